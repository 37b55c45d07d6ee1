/// Field ids: found, checked and given. A column keeps its id for life, and an id its column.
#include <inttypes.h>
#include <stdlib.h>

#include "base/fail.h"
#include "table/iceberg/iceberg.h"
#include "table/iceberg/schema_json.h"

static size_t count_fields(const struct pq_type *type) {
    size_t count = type->field_count;
    for (uint32_t i = 0; i < type->field_count; i++) count += count_fields(&type->fields[i].type);
    return count;
}

static size_t collect_ids(const struct pq_type *type, int32_t *ids) {
    size_t count = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        ids[count++] = type->fields[i].id;
        count += collect_ids(&type->fields[i].type, ids + count);
    }
    return count;
}

static int by_value(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

pqdb_code pq_iceberg_check_ids(const struct pq_type *object, struct pq_arena *arena,
                               int32_t *highest, pqdb_error *err) {
    const size_t count = count_fields(object);
    int32_t *ids = pq_arena_calloc(arena, count, sizeof *ids);
    if (ids == NULL) return pq_fail(err, PQDB_NO_MEMORY, "no memory for %zu ids", count);
    collect_ids(object, ids);
    qsort(ids, count, sizeof *ids, by_value);
    for (size_t i = 0; i < count; i++) {
        if (ids[i] <= 0 || ids[i] > PQ_ICEBERG_ID_MAX) {
            return pq_fail(err, PQDB_INVALID, "a column has no Iceberg field id");
        }
        if (i > 0 && ids[i - 1] == ids[i]) {
            return pq_fail(err, PQDB_INVALID, "two columns have the Iceberg field id %" PRId32,
                           ids[i]);
        }
    }
    *highest = count == 0 ? 0 : ids[count - 1];
    return PQDB_OK;
}

const struct pq_field *pq_iceberg_find_field(const struct pq_type *type, int32_t id) {
    for (uint32_t i = 0; i < type->field_count; i++) {
        if (type->fields[i].id == id) return &type->fields[i];
        const struct pq_field *found = pq_iceberg_find_field(&type->fields[i].type, id);
        if (found != NULL) return found;
    }
    return NULL;
}

/// Iceberg lets no column change its type but by widening, which this room does not do.
static bool is_same_column(const struct pq_field *a, const struct pq_field *b) {
    return a->type.kind == b->type.kind && a->type.scale == b->type.scale &&
           a->type.precision == b->type.precision;
}

static const struct pq_field *find_previous(const struct pq_type *previous,
                                            const struct pq_field *field, bool is_element) {
    if (previous == NULL) return NULL;
    for (uint32_t i = 0; i < previous->field_count; i++) {
        const struct pq_field *old = &previous->fields[i];
        if (!is_element && !pq_text_equal(old->name, field->name)) continue;
        return is_same_column(old, field) ? old : NULL;
    }
    return NULL;
}

static pqdb_code assign(struct pq_type *type, const struct pq_type *previous, int32_t *last_id,
                        struct pq_arena *arena, pqdb_error *err) {
    if (type->field_count == 0) return PQDB_OK;
    struct pq_field *fields = pq_arena_calloc(arena, type->field_count, sizeof *fields);
    if (fields == NULL) return pq_fail(err, PQDB_NO_MEMORY, "no memory for a schema");
    for (uint32_t i = 0; i < type->field_count; i++) {
        fields[i] = type->fields[i];
        const struct pq_field *old =
            find_previous(previous, &fields[i], type->kind == PQ_LIST);
        if (old != NULL && old->id > 0) {
            fields[i].id = old->id;
        } else if (*last_id < PQ_ICEBERG_ID_MAX) {
            fields[i].id = ++*last_id;
        } else {
            return pq_fail(err, PQDB_LIMIT, "the table has used up its field ids");
        }
        PQ_TRY(assign(&fields[i].type, old == NULL ? NULL : &old->type, last_id, arena, err));
    }
    type->fields = fields;
    return PQDB_OK;
}

pqdb_code pq_iceberg_assign_ids(const struct pq_type *schema, const struct pq_type *previous,
                                int32_t *last_id, struct pq_arena *arena,
                                const struct pq_type **with_ids, pqdb_error *err) {
    struct pq_type *type = pq_arena_alloc(arena, sizeof *type);
    if (type == NULL) return pq_fail(err, PQDB_NO_MEMORY, "no memory for a schema");
    *type = *schema;
    int32_t last = *last_id;
    PQ_TRY(assign(type, previous, &last, arena, err));
    *last_id = last;
    *with_ids = type;
    return PQDB_OK;
}
