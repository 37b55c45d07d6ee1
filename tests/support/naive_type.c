/// Types and schemas.
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "support/naive.h"
#include "support/naive_view.h"

struct naive_type *naive_type_plain(enum naive_kind kind) {
    struct naive_type *type = naive_alloc(sizeof *type);
    type->kind = kind;
    return type;
}

bool naive_is_inverse(const struct naive_type *type) {
    while (type->kind == NAIVE_LIST) type = type->element;
    return type->via != NULL;
}

static struct naive_type *list_of(struct naive_type *element) {
    struct naive_type *type = naive_type_plain(NAIVE_LIST);
    type->element = element;
    return type;
}

/// `-> Type`, `-> Type[]`, `-> Type.reverse`, `<- Type.field[]`.
static struct naive_type *relation(const char *text) {
    const bool is_inverse = text[0] == '<';
    text += 2 + strspn(text + 2, " ");
    const size_t length = strcspn(text, ".[!?");
    struct naive_type *type = naive_type_plain(NAIVE_TEXT);
    type->link = naive_copy(text, length);
    const char *rest = text + length;
    if (is_inverse) type->via = naive_copy(rest + 1, strcspn(rest + 1, "["));
    return strstr(rest, "[]") == NULL ? type : list_of(type);
}

static struct naive_type *scalar(const char *text) {
    static const struct { const char *name; enum naive_kind kind; } kinds[] = {
        {"int", NAIVE_INT}, {"long", NAIVE_INT}, {"bigint", NAIVE_INT}, {"double", NAIVE_REAL},
        {"float", NAIVE_REAL}, {"number", NAIVE_REAL}, {"decimal", NAIVE_DECIMAL},
        {"date", NAIVE_DATE}, {"timestamp", NAIVE_TIME}, {"datetime", NAIVE_TIME},
        {"boolean", NAIVE_BOOL}, {"variant", NAIVE_NULL}, {"string", NAIVE_TEXT},
        {"text", NAIVE_TEXT}, {"enum", NAIVE_TEXT}, {"varchar", NAIVE_TEXT}};
    const size_t length = strcspn(text, "([#!? =");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strlen(kinds[i].name) != length || strncmp(kinds[i].name, text, length) != 0) continue;
        struct naive_type *type = naive_type_plain(kinds[i].kind);
        const char *comma = strchr(text, ',');
        if (type->kind == NAIVE_DECIMAL && comma != NULL) {
            type->scale = (int)strtol(comma + 1, NULL, 10);
        }
        return strstr(text, "[]") == NULL ? type : list_of(type);
    }
    abort();
}

struct naive_type *naive_type_of(const struct pq_json *json) {
    if (pq_json_kind(json) == PQ_JSON_LIST) return list_of(naive_type_of(pq_json_first(json)));
    if (pq_json_kind(json) == PQ_JSON_TEXT) {
        const char *text = pq_json_text(json).data;
        return text[0] == '-' || text[0] == '<' ? relation(text) : scalar(text);
    }
    struct naive_type *type = naive_type_plain(NAIVE_OBJECT);
    type->member_count = (int)pq_json_count(json);
    type->members = naive_alloc((size_t)type->member_count * sizeof *type->members);
    const struct pq_json *key = pq_json_first(json);
    for (int i = 0; i < type->member_count; i++, key = pq_json_next(pq_json_next(key))) {
        type->members[i].name = naive_text("%s", pq_json_text(key).data);
        type->members[i].type = naive_type_of(pq_json_next(key));
    }
    return type;
}

int naive_column_find(const struct naive_table *table, const char *name, size_t length) {
    for (int k = 0; k < table->column_count; k++) {
        const char *have = table->columns[k].name;
        if (strlen(have) == length && strncmp(have, name, length) == 0) return k;
    }
    return -1;
}

struct naive_table *naive_db_find(const struct naive_db *db, const char *name) {
    for (int i = 0; i < db->table_count; i++) {
        if (strcmp(db->tables[i].name, name) == 0) return (struct naive_table *)&db->tables[i];
    }
    return NULL;
}

const struct naive_row *naive_row_find(const struct naive_table *table, const char *id) {
    for (int i = 0; i < table->row_count; i++) {
        if (strcmp(table->rows[i].id, id) == 0) return &table->rows[i];
    }
    return NULL;
}

void naive_db_add(struct naive_db *db, const char *name, const struct pq_json *entry) {
    if (db->table_count == NAIVE_TABLES) abort();
    struct naive_table *table = &db->tables[db->table_count++];
    *table = (struct naive_table){.name = naive_text("%s", name)};
    const struct pq_json *from = pq_json_find(entry, "$from");
    if (from != NULL) {
        table->view = entry;
        table->from = naive_text("%s", pq_json_text(from).data);
        naive_view_eval(db, table);
        return;
    }
    table->is_collection = true;
    table->is_stream = pq_json_find(entry, "$ingest") != NULL;
    const struct pq_json *key = pq_json_first(entry);
    for (size_t i = pq_json_count(entry); i > 0; i--, key = pq_json_next(pq_json_next(key))) {
        if (pq_json_text(key).data[0] == '$') continue;
        table->columns[table->column_count++] = (struct naive_column){
            naive_text("%s", pq_json_text(key).data), naive_type_of(pq_json_next(key))};
    }
}

/// Collections first, then views as soon as what they are from is there.
void naive_db_read(struct naive_db *db, const struct pq_json *schema) {
    for (int round = 0; round < NAIVE_TABLES; round++) {
        const struct pq_json *key = pq_json_first(schema);
        for (size_t i = pq_json_count(schema); i > 0; i--, key = pq_json_next(pq_json_next(key))) {
            const struct pq_json *entry = pq_json_next(key);
            const struct pq_json *from = pq_json_find(entry, "$from");
            if (naive_db_find(db, pq_json_text(key).data) != NULL) continue;
            if (from == NULL ? round == 0
                             : round > 0 && naive_db_find(db, pq_json_text(from).data) != NULL) {
                naive_db_add(db, pq_json_text(key).data, entry);
            }
        }
    }
}
