/// flow/expand_rows.c: an object with its parts: inside inline objects and lists, and behind links.
#include "flow/expand_internal.h"

static pqdb_code no_memory(size_t rows, pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "expanding %zu rows", rows);
}

/// Null where either is.
static pqdb_code both_valid(const struct expand_run *run, const uint8_t *outer,
                            const uint8_t *own, size_t count, const uint8_t **valid,
                            pqdb_error *err) {
    *valid = outer == NULL ? own : outer;
    if (outer == NULL || own == NULL) return PQDB_OK;
    uint8_t *merged = pq_arena_alloc(run->arena, count);
    if (merged == NULL) return no_memory(count, err);
    for (size_t i = 0; i < count; i++) {
        merged[i] = outer[i] == PQ_ROW_NULL ? PQ_ROW_NULL : own[i];
    }
    *valid = merged;
    return PQDB_OK;
}

/// The objects of a column, in lists or not, with `below` behind their members.
static pqdb_code expand_inside(const struct expand_run *run, const struct pq_expand_object *below,
                               const struct pq_column *column, const struct expand_level *level,
                               struct pq_column *out, pqdb_error *err) {
    const bool is_list = column->layout == PQ_ROWS;
    const uint32_t count = is_list ? 1 : below->type->field_count;
    struct pq_column *children = pq_arena_calloc(run->arena, count, sizeof *children);
    if (children == NULL) return no_memory(column->count, err);
    const struct pq_type *type = out->type;
    *out = *column;
    out->type = type;
    out->children = children;
    if (is_list) {
        struct expand_list list;
        PQ_TRY(expand_list_of(column, level, run->arena, &list, err));
        const struct expand_level inner = {.sides = list.sides, .side = level->side};
        out->offsets = list.offsets;
        children[0].type = &type->fields[0].type;
        return expand_inside(run, below, &list.elements, &inner, &children[0], err);
    }
    struct expand_level inner = *level;
    inner.columns = column->children;
    inner.count = column->count;
    PQ_TRY(both_valid(run, level->valid, column->valid, column->count, &inner.valid, err));
    return expand_object(run, below, &inner, children, err);
}

pqdb_code expand_object(const struct expand_run *run, const struct pq_expand_object *object,
                        const struct expand_level *level, struct pq_column *out,
                        pqdb_error *err) {
    size_t at = object->type->field_count;
    for (size_t k = 0; k < object->part_count; k++) {
        at -= object->parts[k].kind == PQ_EXPAND_FROM ? 2 : 1;
    }
    for (size_t k = 0; k < at; k++) out[k] = level->columns[k];
    for (size_t k = 0; k < object->part_count; k++) {
        const struct pq_expand_part *part = &object->parts[k];
        out[at].type = part->type;
        switch (part->kind) {
            case PQ_EXPAND_INSIDE:
                PQ_TRY(expand_inside(run, &part->below, &level->columns[part->member], level,
                                     &out[at], err));
                break;
            case PQ_EXPAND_TO: PQ_TRY(expand_to(run, part, level, &out[at], err)); break;
            case PQ_EXPAND_FROM: PQ_TRY(expand_from(run, part, level, &out[at++], err)); break;
        }
        at++;
    }
    return PQDB_OK;
}
