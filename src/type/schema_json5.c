/// The schema document: from JSON5 text to entries. Reading never stops at a mistake; the order is
/// keys, fields, what keys say about fields, then relations and rows once all entries are known.
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "type/schema_internal.h"
#include "type/timestamp.h"

pqdb_code schema_no_memory(struct schema_parse *parse) {
    return pq_fail(parse->err, PQDB_NO_MEMORY, "schema of %zu bytes", parse->schema->source.length);
}

// ---- places and problems ---------------------------------------------------------------------

static size_t write_path(const struct place *place, char *out, size_t length) {
    size_t used = place->up == NULL ? 0 : write_path(place->up, out, length);
    if (used + 1 >= length) return used;
    const int more = snprintf(out + used, length - used, "%s%.*s", used == 0 ? "" : ".",
                              (int)(place->name.length < length ? place->name.length : length),
                              place->name.data);
    used += (size_t)(more < 0 ? 0 : more);
    return used < length ? used : length - 1;
}

static bool begins_code_point(char c) { return ((unsigned char)c & 0xC0) != 0x80; }

/// Step back to an offset before the cursor.
static void move_back(struct schema_parse *parse, size_t offset) {
    const char *text = parse->schema->source.data;
    bool crossed_line = false;
    for (; parse->cursor.offset > offset; parse->cursor.offset--) {
        const char c = text[parse->cursor.offset - 1];
        crossed_line |= c == '\n';
        parse->cursor.line -= c == '\n';
        parse->cursor.column -= begins_code_point(c) && !crossed_line;
    }
    if (!crossed_line) return;
    parse->cursor.column = 1;
    for (size_t i = offset; i > 0 && text[i - 1] != '\n'; i--) {
        parse->cursor.column += begins_code_point(text[i - 1]);
    }
}

static void move_to(struct schema_parse *parse, size_t offset) {
    const struct pq_text text = parse->schema->source;
    if (parse->cursor.line == 0) parse->cursor.line = parse->cursor.column = 1;
    if (offset < parse->cursor.offset) move_back(parse, offset);
    for (; parse->cursor.offset < offset && parse->cursor.offset < text.length;
         parse->cursor.offset++) {
        const char c = text.data[parse->cursor.offset];
        if (c == '\n') {
            parse->cursor.line++;
            parse->cursor.column = 1;
        } else {
            parse->cursor.column += begins_code_point(c);
        }
    }
}

struct pq_problem_at schema_at(struct schema_parse *parse, const struct place *place) {
    const struct pq_json *key = place->key;
    const int64_t offset =
        key == NULL ? 0 : pq_json_offset_near(parse->schema->document, key);
    move_to(parse, (size_t)offset);
    write_path(place, parse->path, sizeof parse->path);
    return (struct pq_problem_at){pq_text_of(parse->path), parse->cursor.line,
                                  parse->cursor.column};
}

const char *schema_did_you_mean(struct pq_text given, const char *const *names, size_t count,
                                char room[80]) {
    const char *nearest = pq_text_nearest(given, names, count);
    if (nearest == NULL) return NULL;
    snprintf(room, 80, "Did you mean %.50s?", nearest);
    return room;
}

// ---- duplicate keys ---------------------------------------------------------------------------

static pqdb_code check_keys_differ(struct schema_parse *parse, const struct place *place,
                                   const struct pq_json *object) {
    const size_t count = pq_json_count(object);
    size_t slot_count = 4;
    while (slot_count < count * 2) slot_count *= 2;
    const struct pq_json **slots =
        pq_arena_calloc(&parse->schema->arena, slot_count, sizeof *slots);
    if (slots == NULL) return schema_no_memory(parse);
    const struct pq_json *key = pq_json_first(object);
    for (size_t i = 0; i < count; i++) {
        const struct pq_text name = pq_json_text(key);
        size_t at = (size_t)pq_hash(name.data, name.length) & (slot_count - 1);
        while (slots[at] != NULL && !pq_text_equal(pq_json_text(slots[at]), name)) {
            at = (at + 1) & (slot_count - 1);
        }
        if (slots[at] != NULL) {
            const struct place twin = {place, name, key};
            schema_problem(parse, &twin, "DUPLICATE_KEY", "Remove one of them",
                           "the key '%.*s' stands twice",
                           (int)(name.length < 60 ? name.length : 60), name.data);
        }
        slots[at] = key;
        key = pq_json_next(pq_json_next(key));
    }
    return PQDB_OK;
}

/// All objects below `value`, at most PQ_SCHEMA_DEPTH_MAX deep.
static pqdb_code check_value(struct schema_parse *parse, const struct place *place,
                             const struct pq_json *value, size_t depth) {
    const enum pq_json_kind kind = pq_json_kind(value);
    if (kind != PQ_JSON_OBJECT && kind != PQ_JSON_LIST) return PQDB_OK;
    if (depth > PQ_SCHEMA_DEPTH_MAX) {
        schema_problem(parse, place, "TOO_DEEP", "Write it flatter",
                       "objects and lists are nested more than %d deep", PQ_SCHEMA_DEPTH_MAX);
        return PQDB_OK;
    }
    if (kind == PQ_JSON_OBJECT) PQ_TRY(check_keys_differ(parse, place, value));
    const struct pq_json *at = pq_json_first(value);
    for (size_t i = 0; i < pq_json_count(value); i++) {
        struct place child = *place;
        if (kind == PQ_JSON_OBJECT) {
            child = (struct place){place, pq_json_text(at), at};
            at = pq_json_next(at);
        }
        PQ_TRY(check_value(parse, &child, at, depth + 1));
        at = pq_json_next(at);
    }
    return PQDB_OK;
}

// ---- entries ----------------------------------------------------------------------------------

/// Which of $from, $source and $ingest makes the entry what it is.
static enum pq_entry_kind kind_of(struct schema_parse *parse, const struct place *place,
                                  const struct pq_json *object) {
    static const struct {
        const char *key;
        enum pq_entry_kind kind;
    } kinds[] = {{"$from", PQ_ENTRY_VIEW},
                 {"$source", PQ_ENTRY_EXTERNAL},
                 {"$ingest", PQ_ENTRY_STREAM}};
    enum pq_entry_kind kind = PQ_ENTRY_COLLECTION;
    const char *first = NULL;
    for (size_t i = 0; i < 3; i++) {
        if (pq_json_find(object, kinds[i].key) == NULL) continue;
        if (first != NULL) {
            schema_problem(parse, place, "CONFLICTING_KIND", "Make two entries of it",
                           "an entry has either %s or %s", first, kinds[i].key);
            continue;
        }
        first = kinds[i].key;
        kind = kinds[i].kind;
    }
    return kind;
}

static void check_name(struct schema_parse *parse, const struct place *place,
                       struct pq_name_set *names, size_t position) {
    const struct pq_text name = place->name;
    const bool is_reserved = pq_text_equal_any_case(name, PQ_TEXT("log")) ||
                             pq_text_equal_any_case(name, PQ_TEXT("rejected"));
    if (!pq_is_entry_name(name) || is_reserved) {
        schema_problem(parse, place, "INVALID_NAME",
                       is_reserved ? "Choose another; it is that of a directory here"
                                   : "Begin with a letter; letters, digits and _ may follow",
                       is_reserved ? "the name '%.*s' is taken by the database itself"
                                   : "'%.*s' is no entry name",
                       (int)(name.length < 60 ? name.length : 60), name.data);
    }
    const uint32_t twin = pq_name_set_add(names, name, (uint32_t)position);
    if (twin == UINT32_MAX) return;
    const struct pq_text other = parse->schema->entries[twin].name;
    if (pq_text_equal(other, name)) return;  // reported as DUPLICATE_KEY
    schema_problem(parse, place, "DUPLICATE_NAME", "Rename one of them",
                   "'%.*s' and '%.*s' differ only in case", PQ_TEXT_ARG(other), PQ_TEXT_ARG(name));
}

static pqdb_code read_entry(struct schema_parse *parse, const struct place *place,
                            const struct pq_json *object) {
    struct pq_entry *entry = parse->entry;
    if (pq_json_kind(object) != PQ_JSON_OBJECT) {
        schema_problem(parse, place, "INVALID_ENTRY", "Write Order: { total: 'decimal(10,2)!' }",
                       "an entry is an object of fields or of a view's directives");
        return PQDB_OK;
    }
    PQ_TRY(check_value(parse, place, object, 1));
    entry->kind = kind_of(parse, place, object);
    PQ_TRY(schema_read_keys(parse, place));
    if (entry->kind == PQ_ENTRY_VIEW) return PQDB_OK;
    struct field_list list;
    const pqdb_code code = schema_read_fields(parse, place, object, 0, &list);
    if (code == PQDB_INVALID) return PQDB_OK;
    if (code != PQDB_OK) return code;
    entry->fields = list.items;
    entry->field_count = list.count;
    return schema_check_keys(parse, place);
}

static pqdb_code read_entries(struct schema_parse *parse, const struct pq_json *root) {
    struct pq_schema *schema = parse->schema;
    const size_t count = pq_json_count(root);
    struct pq_name_set *names = pq_arena_alloc(&schema->arena, sizeof *names);
    schema->entries = pq_arena_calloc(&schema->arena, count, sizeof *schema->entries);
    if (schema->entries == NULL || names == NULL ||
        !pq_name_set_init(names, (uint32_t)count, &schema->arena)) {
        return schema_no_memory(parse);
    }
    schema->names = names;
    const struct place nowhere = {0};
    PQ_TRY(check_keys_differ(parse, &nowhere, root));
    const struct pq_json *key = pq_json_first(root);
    for (size_t i = 0; i < count; i++) {
        const struct pq_json *value = pq_json_next(key);
        const struct place place = {NULL, pq_json_text(key), key};
        const struct pq_problem_at at = schema_at(parse, &place);
        parse->entry = &schema->entries[i];
        *parse->entry = (struct pq_entry){
            .name = place.name,
            .type_name = place.name,
            .line = at.line,
            .column = at.column,
            .history_us = 7 * PQ_US_PER_DAY,
            .definition = value,
        };
        schema->entry_count = i + 1;
        check_name(parse, &place, names, i);
        PQ_TRY(read_entry(parse, &place, value));
        key = pq_json_next(value);
    }
    parse->entry = NULL;
    return PQDB_OK;
}

/// A former name is nobody's present name, and nobody else's former one.
static pqdb_code check_former_names(struct schema_parse *parse) {
    struct pq_schema *schema = parse->schema;
    struct pq_name_set former;
    if (!pq_name_set_init(&former, (uint32_t)schema->entry_count, &schema->arena)) {
        return schema_no_memory(parse);
    }
    for (size_t i = 0; i < schema->entry_count; i++) {
        parse->entry = &schema->entries[i];
        const struct pq_text was = parse->entry->was;
        if (was.length == 0) continue;
        const bool is_present = pq_schema_find(schema, was) != NULL;
        if (!is_present && pq_name_set_add(&former, was, 0) == UINT32_MAX) continue;
        const struct place entry = {NULL, parse->entry->name, NULL};
        const struct place place = {&entry, PQ_TEXT("$was"),
                                    pq_json_find(parse->entry->definition, "$was")};
        schema_problem(parse, &place, "INVALID_WAS", "Name an entry that is gone",
                       is_present ? "'%.*s' is still an entry" : "two entries were '%.*s'",
                       PQ_TEXT_ARG(was));
    }
    parse->entry = NULL;
    return PQDB_OK;
}

// ---- the document -----------------------------------------------------------------------------

static pqdb_code fail_syntax(struct schema_parse *parse, const pqdb_error *fault) {
    struct pq_problem_at at = {.path = PQ_TEXT("")};
    pq_json_position(parse->schema->source, fault->offset, &at.line, &at.column);
    pq_problem_add(parse->problems, "SYNTAX", at, NULL, "%s", fault->message);
    pq_fail(parse->err, PQDB_INVALID, "schema: line %zu: %s", at.line, fault->message);
    if (parse->err != NULL) parse->err->offset = fault->offset;
    return PQDB_INVALID;
}

static pqdb_code read_document(struct schema_parse *parse) {
    struct pq_schema *schema = parse->schema;
    pqdb_error fault;
    const pqdb_code code = pq_json_parse(schema->source, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS,
                                         schema->arena.source, &schema->document, &fault);
    if (code == PQDB_INVALID) return fail_syntax(parse, &fault);
    if (code != PQDB_OK) return schema_no_memory(parse);
    const struct pq_json *root = pq_json_root(schema->document);
    if (pq_json_kind(root) != PQ_JSON_OBJECT) {
        const struct pq_problem_at at = {.path = PQ_TEXT(""), .line = 1, .column = 1};
        pq_problem_add(parse->problems, "INVALID_SCHEMA", at, "Write { Name: { … } }",
                       "a schema is an object of entries");
        return pq_fail(parse->err, PQDB_INVALID, "a schema is an object of entries");
    }
    if (pq_json_count(root) > PQ_SCHEMA_ENTRIES_MAX) {
        return pq_fail(parse->err, PQDB_LIMIT, "a schema has at most %d entries",
                       PQ_SCHEMA_ENTRIES_MAX);
    }
    PQ_TRY(read_entries(parse, root));
    schema_check_relations(parse);
    PQ_TRY(check_former_names(parse));
    for (size_t i = 0; i < schema->entry_count; i++) {
        PQ_TRY(schema_lay_out(parse, &schema->entries[i]));
    }
    return PQDB_OK;
}

pqdb_code pq_schema_parse(struct pq_text text, const struct pq_alloc *alloc,
                          struct pq_schema **schema, struct pq_problems *problems,
                          pqdb_error *err) {
    if (text.length > PQ_SCHEMA_BYTES_MAX) {
        return pq_fail(err, PQDB_LIMIT, "a schema has at most %d bytes", PQ_SCHEMA_BYTES_MAX);
    }
    struct pq_schema *fresh = pq_resize(alloc, NULL, 0, 1, sizeof *fresh);
    if (fresh == NULL) return pq_fail(err, PQDB_NO_MEMORY, "schema");
    *fresh = (struct pq_schema){.references = 1};
    pq_arena_init(&fresh->arena, alloc);
    fresh->source = pq_arena_copy(&fresh->arena, text);
    struct schema_parse parse = {.schema = fresh, .problems = problems, .err = err};
    const pqdb_code code =
        fresh->source.data == NULL ? schema_no_memory(&parse) : read_document(&parse);
    if (code == PQDB_OK) {
        *schema = fresh;
    } else {
        pq_schema_unref(fresh);
    }
    return code;
}
