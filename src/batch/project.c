/// batch/project.c: see project.h.
#include "batch/project.h"

#include "base/arena.h"
#include "base/fail.h"
#include "type/shape.h"

static pqdb_code no_room(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "rows of an older shape");
}

/// The column that has this id, or NULL. Without ids the name says it.
static const struct pq_column *column_of(const struct pq_type *type,
                                         const struct pq_column *columns,
                                         const struct pq_field *wanted) {
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct pq_field *field = &type->fields[i];
        const bool by_id = field->id != 0 && wanted->id != 0;
        if (by_id ? field->id == wanted->id : pq_text_equal(field->name, wanted->name)) {
            return &columns[i];
        }
    }
    return NULL;
}

static pqdb_code project_members(const struct pq_column *column, const struct pq_type *wanted,
                                 struct pq_arena *arena, struct pq_column *out,
                                 pqdb_error *err) {
    struct pq_column *children =
        pq_arena_calloc(arena, wanted->field_count + 1, sizeof *children);
    if (children == NULL) return no_room(err);
    for (uint32_t i = 0; i < wanted->field_count; i++) {
        const struct pq_field *field = &wanted->fields[i];
        const struct pq_column *child = column_of(column->type, column->children, field);
        if (child != NULL) {
            PQ_TRY(pq_column_project(child, &field->type, arena, &children[i], err));
        } else {
            PQ_TRY(pq_column_of_nulls(&field->type, column->count, arena, &children[i], err));
        }
    }
    out->children = children;
    return PQDB_OK;
}

static pqdb_code widen(const struct pq_column *column, struct pq_arena *arena,
                       struct pq_column *out, pqdb_error *err) {
    double *values = pq_arena_alloc(arena, (column->count + 1) * sizeof *values);
    if (values == NULL) return no_room(err);
    const float *narrow = column->values;
    for (size_t i = 0; i < column->count; i++) values[i] = (double)narrow[i];
    out->values = values;
    return PQDB_OK;
}

pqdb_code pq_column_project(const struct pq_column *column, const struct pq_type *wanted,
                            struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    const enum pq_kind from = column->type->kind;
    struct pq_column made = *column;
    made.type = wanted;
    if (from == PQ_FLOAT32 && wanted->kind == PQ_FLOAT64) {
        PQ_TRY(widen(column, arena, &made, err));
    } else if (from != wanted->kind) {
        return pq_fail(err, PQDB_CORRUPT, "a column of another type than the table's");
    } else if (from == PQ_LIST) {
        struct pq_column *element = pq_arena_alloc(arena, sizeof *element);
        if (element == NULL) return no_room(err);
        PQ_TRY(pq_column_project(&column->children[0], &wanted->fields[0].type, arena, element,
                                 err));
        made.children = element;
    } else if (from == PQ_OBJECT) {
        PQ_TRY(project_members(column, wanted, arena, &made, err));
    }
    *out = made;
    return PQDB_OK;
}

pqdb_code pq_batch_project(const struct pq_batch *batch, const struct pq_type *wanted,
                           const struct pq_variant_names *names, struct pq_arena *arena,
                           struct pq_batch *out, pqdb_error *err) {
    struct pq_column *columns = pq_arena_calloc(arena, wanted->field_count + 1, sizeof *columns);
    if (columns == NULL) return no_room(err);
    for (uint32_t i = 0; i < wanted->field_count; i++) {
        const struct pq_field *field = &wanted->fields[i];
        const struct pq_column *column = column_of(batch->type, batch->columns, field);
        if (column != NULL) {
            PQ_TRY(pq_column_project(column, &field->type, arena, &columns[i], err));
            continue;
        }
        PQ_TRY(pq_column_of_nulls(&field->type, batch->count, arena, &columns[i], err));
        columns[i].names = names;
    }
    *out = (struct pq_batch){.type = wanted, .count = batch->count, .columns = columns,
                             .weights = batch->weights};
    return PQDB_OK;
}
