/// table/scan_measure.c: how many pages there are to read.
#include "base/fail.h"
#include "table/data_file_internal.h"
#include "table/scan_internal.h"

static pqdb_code measure_field(const struct pq_parquet_file *reader, size_t group, uint32_t field,
                               struct pq_parquet_counts *counts, pqdb_error *err) {
    size_t first, count;
    pq_parquet_leaves(reader, field, &first, &count);
    for (size_t leaf = first; leaf < first + count; leaf++) {
        struct pq_parquet_pages pages;
        PQ_TRY(pq_parquet_pages(reader, group, leaf, &pages, err));
        counts->pages += pages.count;
        for (size_t i = 0; i < pages.count; i++) counts->bytes += pages.pages[i].bytes;
    }
    return PQDB_OK;
}

static pqdb_code measure_file(struct pq_data_file *file, const bool *columns,
                              struct pq_parquet_counts *counts, pqdb_error *err) {
    const struct pq_parquet_file *reader;
    PQ_TRY(pq_data_file_reader(file, &reader, err));
    for (size_t group = 0; group < pq_parquet_group_count(reader); group++) {
        for (size_t k = 0; k < file->options.type->field_count; k++) {
            if (!columns[k] || file->fields[k] == PQ_NO_FIELD) continue;
            const pqdb_code code = measure_field(reader, group, file->fields[k], counts, err);
            PQ_TRY(pq_data_file_named(file, code, err));
        }
    }
    return PQDB_OK;
}

pqdb_code pq_scan_measure(struct pq_table_snapshot *snapshot, const bool *columns,
                          struct pq_parquet_counts *counts, pqdb_error *err) {
    for (size_t i = 0; i < snapshot->catalog->file_count; i++) {
        PQ_TRY(measure_file(snapshot->catalog->segments[i]->file, columns, counts, err));
    }
    return PQDB_OK;
}
