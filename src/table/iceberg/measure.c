#include "table/iceberg/measure.h"

#include "base/fail.h"
#include "table/iceberg/schema_json.h"

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "no memory for the metrics of a file");
}

static pqdb_code keep(struct pq_arena *arena, const void *data, size_t length,
                      struct pq_text *bound, pqdb_error *err) {
    *bound = pq_arena_copy(arena, (struct pq_text){data, length});
    return bound->data == NULL ? no_memory(err) : PQDB_OK;
}

static bool is_float(const struct pq_type *type, int32_t id) {
    const struct pq_field *field = pq_iceberg_find_field(type, id);
    return field != NULL &&
           (field->type.kind == PQ_FLOAT32 || field->type.kind == PQ_FLOAT64);
}

pqdb_code pq_iceberg_measure_written(const struct pq_parquet_file_info *info,
                                     const struct pq_type *type, struct pq_arena *arena,
                                     struct pq_iceberg_file *file, pqdb_error *err) {
    struct pq_iceberg_column *columns = pq_arena_calloc(arena, info->leaf_count, sizeof *columns);
    int64_t *splits = pq_arena_calloc(arena, info->split_count, sizeof *splits);
    if (columns == NULL || splits == NULL) return no_memory(err);
    size_t count = 0;
    for (size_t i = 0; i < info->leaf_count; i++) {
        const struct pq_parquet_leaf_info *leaf = &info->leaves[i];
        if (leaf->field_id == 0) continue;
        struct pq_iceberg_column *column = &columns[count++];
        *column = (struct pq_iceberg_column){.field_id = leaf->field_id,
                                             .bytes = (int64_t)leaf->stored_bytes,
                                             .value_count = (int64_t)leaf->value_count,
                                             .null_count = (int64_t)leaf->null_count,
                                             .nan_count = -1};
        if (is_float(type, leaf->field_id)) column->nan_count = (int64_t)leaf->nan_count;
        // A cut path would say that the deletes are those of many files.
        if (!leaf->has_bounds || leaf->field_id == PQ_ICEBERG_ID_DELETE_PATH) continue;
        PQ_TRY(keep(arena, leaf->lower.data, leaf->lower.length, &column->lower, err));
        if (!leaf->has_upper) continue;
        PQ_TRY(keep(arena, leaf->upper.data, leaf->upper.length, &column->upper, err));
    }
    for (size_t i = 0; i < info->split_count; i++) splits[i] = info->split_offsets[i];
    file->row_count = (int64_t)info->row_count;
    file->file_bytes = (int64_t)info->file_bytes;
    file->columns = columns;
    file->column_count = count;
    file->split_offsets = splits;
    file->split_count = info->split_count;
    return PQDB_OK;
}
