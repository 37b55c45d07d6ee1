/// A schema after it has been read: finding entries and fields, the types of their rows.
#include "type/schema.h"

#include <string.h>

#include "base/fail.h"
#include "type/schema_internal.h"
#include "type/shape.h"

struct pq_schema *pq_schema_ref(const struct pq_schema *schema) {
    struct pq_schema *shared = (struct pq_schema *)(uintptr_t)schema;
    __atomic_add_fetch(&shared->references, 1, __ATOMIC_RELAXED);
    return shared;
}

void pq_schema_unref(const struct pq_schema *schema) {
    struct pq_schema *shared = (struct pq_schema *)(uintptr_t)schema;
    if (shared == NULL || __atomic_sub_fetch(&shared->references, 1, __ATOMIC_ACQ_REL) > 0) return;
    const struct pq_alloc *alloc = shared->arena.source;
    pq_json_destroy(shared->document);
    pq_arena_deinit(&shared->arena);
    pq_free(alloc, shared, 1, sizeof *shared);
}

const struct pq_entry *pq_schema_find(const struct pq_schema *schema, struct pq_text name) {
    const uint32_t position = pq_name_set_find(schema->names, name);
    return position == UINT32_MAX ? NULL : &schema->entries[position];
}

const char *pq_schema_nearest(const struct pq_schema *schema, struct pq_text name) {
    const uint32_t same = pq_name_set_find_any_case(schema->names, name);
    if (same != UINT32_MAX) return schema->entries[same].name.data;
    const char *best = NULL;
    for (size_t i = 0; i < schema->entry_count; i++) {  // two at a time: the better one stays
        const char *pair[] = {schema->entries[i].name.data, best};
        const char *nearest = pq_text_nearest(name, pair, best == NULL ? 1 : 2);
        if (nearest != NULL) best = nearest;
    }
    return best;
}

const struct pq_declared_field *pq_entry_find(const struct pq_entry *entry, struct pq_text name) {
    for (size_t i = 0; i < entry->field_count; i++) {
        if (pq_text_equal(entry->fields[i].field.name, name)) return &entry->fields[i];
    }
    return NULL;
}

bool pq_entry_owns_column(const struct pq_entry *entry, size_t column) {
    for (size_t i = 0; i < entry->field_count; i++) {
        if (entry->fields[i].column == (int32_t)column) return true;
    }
    return false;
}

const struct pq_type *pq_entry_row_type(const struct pq_entry *entry) { return &entry->row_type; }

struct pq_problem_at pq_schema_at(const struct pq_schema *schema, const struct pq_json *value,
                                  struct pq_text path) {
    struct pq_problem_at at = {.path = path};
    pq_json_position(schema->source, pq_json_offset_near(schema->document, value), &at.line,
                     &at.column);
    return at;
}

bool pq_is_column_name(struct pq_text name) {
    for (size_t i = 0; i < name.length; i++) {
        const char c = name.data[i];
        const bool is_letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
        if (!is_letter && (i == 0 || c < '0' || c > '9')) return false;
    }
    return name.length > 0;
}

bool pq_is_entry_name(struct pq_text name) {
    return pq_is_column_name(name) && name.data[0] != '_';
}

// ---- rows -------------------------------------------------------------------------------------

/// Members below `type` get ids after all of their parents' brothers have theirs.
static pqdb_code assign_below(struct pq_type *type, int32_t *next, struct pq_arena *arena,
                              pqdb_error *err) {
    if (type->field_count == 0) return PQDB_OK;
    struct pq_field *fields = pq_arena_alloc(arena, type->field_count * sizeof *fields);
    if (fields == NULL) return pq_fail(err, PQDB_NO_MEMORY, "field ids");
    memcpy(fields, type->fields, type->field_count * sizeof *fields);
    for (uint32_t i = 0; i < type->field_count; i++) fields[i].id = (*next)++;
    for (uint32_t i = 0; i < type->field_count; i++) {
        PQ_TRY(assign_below(&fields[i].type, next, arena, err));
    }
    type->fields = fields;
    return PQDB_OK;
}

pqdb_code pq_type_assign_ids(const struct pq_type *object, int32_t first, struct pq_arena *arena,
                             struct pq_type *out, int32_t *next, pqdb_error *err) {
    struct pq_type type = *object;
    int32_t id = first;
    PQ_TRY(assign_below(&type, &id, arena, err));
    *out = type;
    *next = id;
    return PQDB_OK;
}

static const struct pq_field system_columns[] = {
    [PQ_COLUMN_ID] = {{"$id", 3}, {.kind = PQ_TEXT}, true, 1},
    [PQ_COLUMN_SEQ] = {{"$seq", 4}, {.kind = PQ_INT64}, true, 2},
    [PQ_COLUMN_TYPE] = {{"$type", 5}, {.kind = PQ_TEXT}, true, 3},
    [PQ_COLUMN_CREATED_AT] = {{"createdAt", 9}, {.kind = PQ_TIMESTAMP}, true, 4},
    [PQ_COLUMN_UPDATED_AT] = {{"updatedAt", 9}, {.kind = PQ_TIMESTAMP}, true, 5},
    [PQ_COLUMN_VERSION] = {{"version", 7}, {.kind = PQ_INT64}, true, 6},
};
enum { extra_id = PQ_COLUMN_DECLARED + 1 };

/// The system column whose place a declared field takes, or -1.
static int32_t system_column_of(struct pq_text name) {
    for (int32_t i = PQ_COLUMN_CREATED_AT; i <= PQ_COLUMN_VERSION; i++) {
        if (pq_text_equal(system_columns[i].name, name)) return i;
    }
    return -1;
}

/// Hand the ids of the row type down to the declarations it was made from.
static void copy_ids(struct pq_declared_field *field, const struct pq_field *column) {
    field->field = *column;
    const struct pq_type *type = &column->type;
    if (field->member_count > 0 && type->kind == PQ_LIST) type = &type->fields[0].type;
    for (size_t i = 0; i < field->member_count; i++) copy_ids(&field->members[i], &type->fields[i]);
}

/// Columns of the row type, without the ids of nested fields.
static uint32_t put_columns(struct pq_entry *entry, struct pq_field *columns) {
    const bool is_external = entry->kind == PQ_ENTRY_EXTERNAL;
    uint32_t count = is_external ? PQ_COLUMN_SEQ + 1 : PQ_COLUMN_DECLARED;
    memcpy(columns, system_columns, count * sizeof *columns);
    for (size_t i = 0; i < entry->field_count; i++) {
        struct pq_declared_field *field = &entry->fields[i];
        if (field->relation != NULL && field->relation->inverse) continue;
        const int32_t taken = is_external ? -1 : system_column_of(field->field.name);
        field->column = taken >= 0 ? taken : (int32_t)count++;
        columns[field->column] = field->field;
    }
    if (!is_external) {
        columns[count++] = (struct pq_field){{"_extra", 6}, {.kind = PQ_VARIANT}, false, extra_id};
    }
    return count;
}

void pq_entry_use_ids(struct pq_entry *entry, const struct pq_type *ids) {
    pq_shape_copy_ids(&entry->row_type, ids);
    for (size_t i = 0; i < entry->field_count; i++) {
        struct pq_declared_field *field = &entry->fields[i];
        if (field->column >= 0) copy_ids(field, &entry->row_type.fields[field->column]);
    }
}

pqdb_code schema_lay_out(struct schema_parse *parse, struct pq_entry *entry) {
    entry->row_type = (struct pq_type){.kind = PQ_OBJECT};
    if (entry->kind == PQ_ENTRY_VIEW) return PQDB_OK;
    struct pq_arena *arena = &parse->schema->arena;
    const size_t count_max = entry->field_count + PQ_COLUMN_DECLARED + 1;
    struct pq_field *columns = pq_arena_calloc(arena, count_max, sizeof *columns);
    if (columns == NULL) return schema_no_memory(parse);
    const uint32_t count = put_columns(entry, columns);
    const bool is_external = entry->kind == PQ_ENTRY_EXTERNAL;
    int32_t next = is_external ? 1 : extra_id + 1;
    for (uint32_t i = is_external ? 0 : PQ_COLUMN_DECLARED; i < count; i++) {
        if (is_external || i + 1 < count) columns[i].id = next++;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (i < PQ_COLUMN_DECLARED && !is_external) columns[i].id = (int32_t)i + 1;
        PQ_TRY(assign_below(&columns[i].type, &next, arena, parse->err));
    }
    for (size_t i = 0; i < entry->field_count; i++) {
        struct pq_declared_field *field = &entry->fields[i];
        if (field->column >= 0) copy_ids(field, &columns[field->column]);
    }
    entry->row_type.field_count = count;
    entry->row_type.fields = columns;
    return PQDB_OK;
}
