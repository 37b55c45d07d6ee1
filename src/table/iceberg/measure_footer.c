#include "base/fail.h"
#include "table/iceberg/measure.h"
#include "table/shred.h"

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "no memory for the metrics of a file");
}

/// Both of one kind, neither NaN.
static bool is_less(const struct pq_value *a, const struct pq_value *b) {
    switch (a->kind) {
        case PQ_BOOL: return a->as.boolean < b->as.boolean;
        case PQ_FLOAT32:
        case PQ_FLOAT64: return a->as.real < b->as.real;
        case PQ_DECIMAL: return a->as.decimal < b->as.decimal;
        case PQ_TEXT:
        case PQ_BINARY: return pq_text_compare(a->as.text, b->as.text) < 0;
        default: return a->as.integer < b->as.integer;
    }
}

static pqdb_code measure_leaf(const struct pq_parquet_file *reader, size_t leaf,
                              struct pq_arena *arena, struct pq_iceberg_column *column,
                              pqdb_error *err) {
    struct pq_value lower = {.kind = PQ_NULL}, upper = {.kind = PQ_NULL};
    bool has_lower = true, has_upper = true;
    for (size_t group = 0; group < pq_parquet_group_count(reader); group++) {
        struct pq_parquet_bounds bounds;
        pq_parquet_group_bounds(reader, group, leaf, &bounds);
        const int64_t rows = (int64_t)pq_parquet_group_rows(reader, group);
        column->value_count += rows;
        if (bounds.null_count < 0) column->null_count = -1;
        if (column->null_count >= 0) column->null_count += bounds.null_count;
        if (bounds.null_count == rows) continue;  // nothing to bound
        has_lower = has_lower && bounds.has_min;
        has_upper = has_upper && bounds.has_max;
        if (has_lower && (lower.kind == PQ_NULL || is_less(&bounds.min, &lower))) {
            lower = bounds.min;
        }
        if (has_upper && (upper.kind == PQ_NULL || is_less(&upper, &bounds.max))) {
            upper = bounds.max;
        }
    }
    if (has_lower) PQ_TRY(pq_iceberg_bound(&lower, false, arena, &column->lower, err));
    return has_upper ? pq_iceberg_bound(&upper, true, arena, &column->upper, err) : PQDB_OK;
}

pqdb_code pq_iceberg_measure_footer(const struct pq_parquet_file *reader, struct pq_arena *arena,
                                    struct pq_iceberg_file *file, pqdb_error *err) {
    const struct pq_type *type = pq_parquet_type(reader);
    struct pq_iceberg_column *columns =
        pq_arena_calloc(arena, type->field_count, sizeof *columns);
    if (columns == NULL) return no_memory(err);
    size_t count = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const int leaf = pq_parquet_leaf(reader, i);
        const int32_t id = type->fields[i].id;
        if (leaf < 0 || id == 0 || id >= PQ_SHRED_FIELD_ID) continue;
        struct pq_iceberg_column *column = &columns[count++];
        *column = (struct pq_iceberg_column){
            .field_id = id, .bytes = -1, .nan_count = -1};
        PQ_TRY(measure_leaf(reader, (size_t)leaf, arena, column, err));
    }
    file->row_count = (int64_t)pq_parquet_row_count(reader);
    file->columns = columns;
    file->column_count = count;
    return PQDB_OK;
}
