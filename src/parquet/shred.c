#include "parquet/shred.h"

#include "base/check.h"
#include "base/fail.h"

pqdb_code pq_shred_path_of(const struct pq_schema *schema, size_t leaf, struct pq_arena *arena,
                           struct pq_shred_path *path, pqdb_error *err) {
    const struct pq_node *node = &schema->root;
    size_t depth = 0;
    *path = (struct pq_shred_path){
        .leaf = &schema->leaves[leaf],
        .nodes = pq_arena_calloc(arena, PQ_SCHEMA_DEPTH_MAX + 1, sizeof *path->nodes),
        .members = pq_arena_calloc(arena, PQ_SCHEMA_DEPTH_MAX + 1, sizeof *path->members),
    };
    if (path->nodes == NULL || path->members == NULL) {
        return pq_parquet_no_memory(err, "a column");
    }
    while (node->child_count > 0) {
        uint32_t child = 0;
        while (leaf >= node->children[child].leaf + node->children[child].leaf_count) child++;
        node = &node->children[child];
        pq_assert(depth < PQ_SCHEMA_DEPTH_MAX);
        path->nodes[depth] = node;
        path->members[depth++] = child;
    }
    path->depth = depth;
    path->is_flat = depth == 1;
    return PQDB_OK;
}

void pq_levels_init(struct pq_levels *levels, const struct pq_alloc *alloc) {
    *levels = (struct pq_levels){.alloc = alloc};
}

void pq_levels_deinit(struct pq_levels *levels) {
    pq_free(levels->alloc, levels->def, levels->capacity, 1);
    pq_free(levels->alloc, levels->rep, levels->capacity, 1);
    pq_free(levels->alloc, levels->rows, levels->capacity, sizeof *levels->rows);
    *levels = (struct pq_levels){.alloc = levels->alloc};
}

static pqdb_code reserve(struct pq_levels *levels, size_t capacity, pqdb_error *err) {
    if (capacity <= levels->capacity) return PQDB_OK;
    if (capacity > UINT32_MAX) return pq_fail(err, PQDB_LIMIT, "more than 2^32 list elements");
    const struct pq_alloc *alloc = levels->alloc;
    const size_t room = capacity < 2 * levels->capacity ? 2 * levels->capacity : capacity;
    // All three or none: their capacities are one number.
    uint8_t *def = pq_resize(alloc, NULL, 0, room, 1);
    uint8_t *rep = pq_resize(alloc, NULL, 0, room, 1);
    uint32_t *rows = pq_resize(alloc, NULL, 0, room, sizeof *rows);
    if (def == NULL || rep == NULL || rows == NULL) {
        pq_free(alloc, def, room, 1);
        pq_free(alloc, rep, room, 1);
        pq_free(alloc, rows, room, sizeof *rows);
        return pq_parquet_no_memory(err, "levels");
    }
    if (levels->count > 0) {
        memcpy(def, levels->def, levels->count);
        memcpy(rep, levels->rep, levels->count);
        memcpy(rows, levels->rows, levels->value_count * sizeof *rows);
    }
    pq_free(alloc, levels->def, levels->capacity, 1);
    pq_free(alloc, levels->rep, levels->capacity, 1);
    pq_free(alloc, levels->rows, levels->capacity, sizeof *levels->rows);
    levels->def = def;
    levels->rep = rep;
    levels->rows = rows;
    levels->capacity = room;
    return PQDB_OK;
}

static pqdb_code required_is_null(pqdb_error *err) {
    return pq_fail(err, PQDB_INVALID, "null in a required column");
}

static pqdb_code shred_flat(const struct pq_shred_path *path, const struct pq_column *column,
                            size_t start, size_t count, struct pq_levels *levels,
                            pqdb_error *err) {
    const struct pq_node *node = path->nodes[0];
    PQ_TRY(reserve(levels, count, err));
    levels->column = column;
    levels->count = count;
    levels->value_count = count;
    levels->has_nulls = false;
    levels->is_dense = true;
    levels->first_row = start;
    if (node->type->kind == PQ_NULL) {
        memset(levels->def, 0, count);
        levels->has_nulls = true;
        levels->value_count = 0;
        return PQDB_OK;
    }
    if (column->valid == NULL) return PQDB_OK;
    const uint8_t *valid = column->valid + start;
    size_t values = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t is_value = valid[i] != PQ_ROW_NULL;
        levels->def[i] = (uint8_t)(path->leaf->max_def - !is_value);
        levels->rows[values] = (uint32_t)(start + i);
        values += is_value;
    }
    if (values == count) return PQDB_OK;
    if (node->is_required) return required_is_null(err);
    levels->value_count = values;
    levels->has_nulls = true;
    levels->is_dense = false;
    return PQDB_OK;
}

struct descent {
    const struct pq_shred_path *path;
    struct pq_levels *levels;
    pqdb_error *err;
};

static pqdb_code add_null(struct descent *descent, uint8_t rep, uint8_t def) {
    struct pq_levels *levels = descent->levels;
    PQ_TRY(reserve(levels, levels->count + 1, descent->err));
    levels->rep[levels->count] = rep;
    levels->def[levels->count++] = def;
    levels->has_nulls = true;
    return PQDB_OK;
}

static pqdb_code descend(struct descent *descent, size_t depth, const struct pq_column *column,
                         size_t row, uint8_t rep) {
    const struct pq_node *node = descent->path->nodes[depth];
    if (node->type->kind == PQ_NULL || pq_column_is_null(column, row)) {
        if (node->is_required) return required_is_null(descent->err);
        return add_null(descent, rep, (uint8_t)(node->def - 1));
    }
    if (depth + 1 == descent->path->depth) {
        struct pq_levels *levels = descent->levels;
        PQ_TRY(reserve(levels, levels->count + 1, descent->err));
        levels->rep[levels->count] = rep;
        levels->def[levels->count++] = node->def;
        levels->rows[levels->value_count++] = (uint32_t)row;
        return PQDB_OK;
    }
    if (node->type->kind == PQ_OBJECT) {
        const uint32_t member = descent->path->members[depth + 1];
        return descend(descent, depth + 1, &column->children[member], row, rep);
    }
    const uint32_t begin = column->offsets[row], end = column->offsets[row + 1];
    if (begin == end) return add_null(descent, rep, node->def);
    for (uint32_t i = begin; i < end; i++) {
        PQ_TRY(descend(descent, depth + 1, column->children, i, i == begin ? rep : node->rep));
    }
    return PQDB_OK;
}

pqdb_code pq_shred(const struct pq_shred_path *path, const struct pq_batch *batch, size_t start,
                   size_t count, struct pq_levels *levels, pqdb_error *err) {
    const struct pq_column *column = &batch->columns[path->members[0]];
    levels->count = levels->value_count = 0;
    if (path->is_flat) {
        return shred_flat(path, column, start, count, levels, err);
    }
    levels->has_nulls = levels->is_dense = false;
    struct descent descent = {path, levels, err};
    for (size_t i = 0; i < count; i++) {
        PQ_TRY(descend(&descent, 0, column, start + i, 0));
    }
    levels->column = column;
    for (size_t i = 1; i < path->depth; i++) {
        levels->column = &levels->column->children[path->members[i]];
    }
    return PQDB_OK;
}
