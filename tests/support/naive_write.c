/// What writes do to a collection. Validity (required fields, links that exist) is the caller's.
#include <stdlib.h>
#include <string.h>

#include "support/naive_view.h"

static const struct naive missing;

static bool is(const char *name, const char *other) { return strcmp(name, other) == 0; }

static void *more_room(const void *items, int count, size_t item_bytes) {
    void *made = naive_alloc((size_t)(count + 1) * 2 * item_bytes);
    if (count > 0) memcpy(made, items, (size_t)count * item_bytes);
    return made;
}

// ---- fields of a row --------------------------------------------------------------------------

static int by_key(const void *a, const void *b) {
    return strcmp(((const struct naive *)a)->key, ((const struct naive *)b)->key);
}

/// Sets or, with a missing value, takes away a member; objects are shared between rows, so it is
/// a new one.
static struct naive with_member(const struct naive *object, const char *key,
                                const struct naive *value, bool keeps_null) {
    struct naive made = {.kind = NAIVE_OBJECT};
    made.items = more_room(object->items, object->count, sizeof *made.items);
    for (int i = 0; object->kind == NAIVE_OBJECT && i < object->count; i++) {
        if (is(object->items[i].key, key)) continue;
        made.items[made.count++] = object->items[i];
    }
    if (value->kind != NAIVE_NULL || keeps_null) {
        made.items[made.count] = *value;
        made.items[made.count++].key = key;
    }
    qsort(made.items, (size_t)made.count, sizeof *made.items, by_key);
    return made;
}

static struct naive get(const struct naive_table *table, const struct naive_row *row,
                        const char *path) {
    const struct naive_scope scope = {NULL, table, row};
    return naive_path(&scope, path);
}

static void set(const struct naive_table *table, struct naive_row *row, const char *path,
                const struct naive *value) {
    const size_t length = strcspn(path, ".");
    const char *name = naive_copy(path, length);
    const int at = naive_column_find(table, name, length);
    if (at < 0) {
        row->extra = with_member(&row->extra, name, value, false);
        return;
    }
    struct naive made = *value;
    if (path[length] == '.') {
        if (value->kind == NAIVE_NULL && row->cells[at].kind != NAIVE_OBJECT) return;
        made = with_member(&row->cells[at], path + length + 1, value, true);
    }
    row->cells[at] = naive_convert(table->columns[at].type, &made);
    row->cells[at].key = NULL;
}

static struct naive read_for(const struct naive_table *table, const char *path,
                             const struct pq_json *json) {
    const struct naive_type *type = naive_path_type(NULL, table, path);
    return naive_read(type, json);
}

static bool read_row(const struct naive_table *table, const struct pq_json *json,
                     struct naive_row *row) {
    *row = (struct naive_row){.version = 1};
    row->cells = naive_alloc(NAIVE_COLUMNS * sizeof *row->cells);
    const struct pq_json *key = pq_json_first(json);
    for (size_t i = pq_json_count(json); i > 0; i--, key = pq_json_next(pq_json_next(key))) {
        const char *name = naive_text("%s", pq_json_text(key).data);
        const struct naive value = read_for(table, name, pq_json_next(key));
        if (is(name, "$id")) row->id = value.text;
        else set(table, row, name, &value);
    }
    return row->id != NULL;
}

// ---- create and delete ------------------------------------------------------------------------

static int find(const struct naive_table *table, const char *id) {
    const struct naive_row *row = naive_row_find(table, id);
    return row == NULL ? -1 : (int)(row - table->rows);
}

static void add(struct naive_db *db, struct naive_table *table, const struct naive_row *row) {
    if (table->row_count == table->row_room) {
        table->rows = more_room(table->rows, table->row_count, sizeof *table->rows);
        table->row_room = (table->row_count + 1) * 2;
    }
    struct naive_row *made = &table->rows[table->row_count++];
    *made = *row;
    made->seq = db->next_seq++;
}

bool naive_create(struct naive_db *db, struct naive_table *table, const struct pq_json *rows,
                  enum naive_conflict conflict) {
    struct naive_row row;
    if (table->is_stream && conflict == NAIVE_REFUSE) conflict = NAIVE_IGNORE;  // set aside
    const size_t count = pq_json_count(rows);
    const struct pq_json *first = count > 0 ? pq_json_first(rows) : NULL, *at = first;
    for (size_t i = 0; conflict == NAIVE_REFUSE && i < count; i++, at = pq_json_next(at)) {
        const struct pq_json *id = pq_json_find(at, "$id"), *other = first;
        if (find(table, pq_json_text(id).data) >= 0) return false;
        for (size_t k = 0; k < i; k++, other = pq_json_next(other)) {
            if (is(pq_json_text(pq_json_find(other, "$id")).data, pq_json_text(id).data)) {
                return false;
            }
        }
    }
    at = first;
    for (size_t i = 0; i < count; i++, at = pq_json_next(at)) {
        if (!read_row(table, at, &row)) abort();
        const int old = find(table, row.id);
        if (old < 0) add(db, table, &row);
        if (old < 0 || conflict == NAIVE_IGNORE) continue;
        row.seq = table->rows[old].seq;
        row.version = table->rows[old].version + 1;
        table->rows[old] = row;
    }
    return true;
}

int naive_delete(struct naive_db *db, struct naive_table *table, const struct pq_json *filter) {
    int kept = 0;
    for (int i = 0; i < table->row_count; i++) {
        const struct naive_scope scope = {db, table, &table->rows[i]};
        if (!naive_matches(&scope, filter)) table->rows[kept++] = table->rows[i];
    }
    const int gone = table->row_count - kept;
    table->row_count = kept;
    return gone;
}

// ---- operators --------------------------------------------------------------------------------

static bool is_among(const struct naive *list, const struct naive *value) {
    for (int i = 0; i < list->count; i++) {
        if (naive_equal(&list->items[i], value)) return true;
    }
    return false;
}

static struct naive pushed(const struct naive *list, const struct naive *value) {
    struct naive made = naive_list(list->count + 1);
    for (int i = 0; i < list->count; i++) made.items[i] = list->items[i];
    made.items[list->count] = *value;
    return made;
}

static struct naive pulled(const struct naive *list, const struct naive *value) {
    struct naive made = naive_list(list->count);
    made.count = 0;
    for (int i = 0; i < list->count; i++) {
        if (!naive_equal(&list->items[i], value)) made.items[made.count++] = list->items[i];
    }
    return made;
}

static struct naive popped(const struct naive *list, bool first) {
    struct naive made = *list;
    if (made.count == 0) return made;
    made.count--;
    if (first) made.items++;
    return made;
}

/// Whole numbers and decimals of one scale; doubles only where sums are exact.
static struct naive number(const char *op, const struct naive *old, const struct naive *by) {
    struct naive made = *by;
    if (is(op, "$inc") && old->kind == NAIVE_NULL) return made;
    if (old->kind == NAIVE_NULL) made.number = 0;
    if (old->kind == NAIVE_NULL) made.real = 0;
    if (old->kind == NAIVE_NULL) return made;
    if (made.kind == NAIVE_REAL) {
        made.real = is(op, "$inc") ? old->real + by->real : old->real * by->real;
    } else if (is(op, "$inc")) {
        made.number = old->number + by->number;
    } else {
        made.number = old->number * by->number;
        made.scale = old->scale + by->scale;
    }
    return made;
}

static struct naive applied(const char *op, const struct naive *old, const struct naive *by) {
    const bool none = old->kind == NAIVE_NULL;
    if (is(op, "$set") || is(op, "$setOnInsert")) return *by;
    if (is(op, "$unset")) return missing;
    if (is(op, "$inc") || is(op, "$mul")) return number(op, old, by);
    if (is(op, "$min")) return none || naive_compare(by, old) < 0 ? *by : *old;
    if (is(op, "$max")) return none || naive_compare(by, old) > 0 ? *by : *old;
    if (is(op, "$push")) return pushed(old, by);
    if (is(op, "$addToSet")) return is_among(old, by) ? *old : pushed(old, by);
    if (none) return *old;
    if (is(op, "$pull")) return pulled(old, by);
    if (is(op, "$pop")) return popped(old, by->number < 0);
    abort();
}

static bool takes_element(const char *op) {
    return is(op, "$push") || is(op, "$pull") || is(op, "$addToSet");
}

static void apply_to(const struct naive_table *table, struct naive_row *row, const char *op,
                     const struct pq_json *key) {
    const struct pq_json *argument = pq_json_next(key);
    const char *path = naive_text("%s", pq_json_text(key).data);
    const struct naive old = get(table, row, path);
    if (is(op, "$rename")) {
        set(table, row, naive_text("%s", pq_json_text(argument).data), &old);
        set(table, row, path, &missing);
        return;
    }
    struct naive by = {0};
    if (takes_element(op)) {
        const struct naive_type *type = naive_path_type(NULL, table, path);
        by = type->kind == NAIVE_LIST ? naive_read(type->element, argument)
                                      : naive_read(type, argument);
    } else if (is(op, "$pop")) {
        by = naive_literal(argument);
    } else if (!is(op, "$unset")) {
        by = read_for(table, path, argument);
    }
    const struct naive made = applied(op, &old, &by);
    set(table, row, path, &made);
}

static void apply_all(const struct naive_table *table, struct naive_row *row,
                      const struct pq_json *ops, bool is_insert) {
    struct naive *cells = naive_alloc(NAIVE_COLUMNS * sizeof *cells);
    memcpy(cells, row->cells, NAIVE_COLUMNS * sizeof *cells);
    row->cells = cells;
    const struct pq_json *op = pq_json_first(ops);
    for (size_t i = pq_json_count(ops); i > 0; i--, op = pq_json_next(pq_json_next(op))) {
        const char *name = pq_json_text(op).data;
        if (is(name, "$setOnInsert") && !is_insert) continue;
        const struct pq_json *fields = pq_json_next(op);
        const struct pq_json *key = pq_json_count(fields) > 0 ? pq_json_first(fields) : NULL;
        for (size_t k = pq_json_count(fields); k > 0; k--, key = pq_json_next(pq_json_next(key))) {
            apply_to(table, row, name, key);
        }
    }
}

static bool update_row(const struct naive_table *table, struct naive_row *row,
                       const struct pq_json *ops) {
    struct naive_row made = *row;
    apply_all(table, &made, ops, false);
    if (is(naive_row_text(table, row), naive_row_text(table, &made))) return false;
    made.version++;
    *row = made;
    return true;
}

int naive_update(struct naive_db *db, struct naive_table *table, const struct pq_json *filter,
                 const struct pq_json *ops) {
    int changed = 0;
    for (int i = 0; i < table->row_count; i++) {
        const struct naive_scope scope = {db, table, &table->rows[i]};
        if (naive_matches(&scope, filter)) changed += update_row(table, &table->rows[i], ops);
    }
    return changed;
}

void naive_upsert(struct naive_db *db, struct naive_table *table, const struct pq_json *filter,
                  const struct pq_json *ops) {
    int best = -1;
    for (int i = 0; i < table->row_count; i++) {
        const struct naive_scope scope = {db, table, &table->rows[i]};
        if (!naive_matches(&scope, filter)) continue;
        if (best < 0 || strcmp(table->rows[i].id, table->rows[best].id) < 0) best = i;
    }
    if (best >= 0) {
        update_row(table, &table->rows[best], ops);
        return;
    }
    struct naive_row row;
    if (!read_row(table, filter, &row)) abort();
    apply_all(table, &row, ops, true);
    add(db, table, &row);
}
