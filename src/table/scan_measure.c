/// table/scan_measure.c: how many pages there are to read.
#include "base/fail.h"
#include "table/scan_internal.h"

static pqdb_code measure_field(const struct pq_parquet_file *reader, size_t group, uint32_t field,
                               struct pq_parquet_counts *counts, pqdb_error *err) {
    size_t first, count;
    pq_parquet_leaves(reader, field, &first, &count);
    for (size_t leaf = first; leaf < first + count; leaf++) {
        struct pq_parquet_pages pages;
        PQ_TRY(pq_parquet_pages(reader, group, leaf, &pages, err));
        counts->pages += pages.count;
        counts->bytes += pq_parquet_chunk_bytes(reader, group, leaf);
    }
    return PQDB_OK;
}

/// What a file has of a shredded path.
static void add_path(const struct pq_data_file *file, const struct pq_parquet_file *reader,
                     const struct pq_shred *shred, bool *fields) {
    struct pq_shred_place place;
    switch (pq_scan_find_shred(file, reader, shred, &place)) {
    case PQ_SHRED_MISSING: break;
    case PQ_SHRED_INSIDE: fields[file->fields[shred->inner.column]] = true; break;
    default:
        fields[place.typed] = true;
        if (place.rest != UINT32_MAX) fields[place.rest] = true;
    }
}

/// Which members of the file's type that is.
static void choose_fields(const struct pq_table_snapshot *snapshot,
                          const struct pq_data_file *file, const struct pq_parquet_file *reader,
                          const bool *columns, bool *fields) {
    const struct pq_shreds *shreds = snapshot->shreds;
    for (size_t k = 0; k < snapshot->type->field_count; k++) {
        if (columns[k] && file->fields[k] != PQ_NO_FIELD) fields[file->fields[k]] = true;
    }
    for (size_t i = 0; shreds != NULL && i < shreds->count; i++) {
        if (columns[shreds->first + i]) add_path(file, reader, &shreds->items[i], fields);
    }
}

static pqdb_code measure_file(const struct pq_table_snapshot *snapshot, struct pq_data_file *file,
                              const bool *columns, struct pq_parquet_counts *counts,
                              pqdb_error *err) {
    const struct pq_parquet_file *reader;
    PQ_TRY(pq_data_file_reader(file, &reader, err));
    const uint32_t width = pq_parquet_type(reader)->field_count;
    bool *fields = pq_resize(snapshot->alloc, NULL, 0, width + 1, sizeof *fields);
    if (fields == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    memset(fields, 0, (width + 1) * sizeof *fields);
    choose_fields(snapshot, file, reader, columns, fields);
    pqdb_code code = PQDB_OK;
    for (size_t group = 0; group < pq_parquet_group_count(reader); group++) {
        for (uint32_t k = 0; k < width && code == PQDB_OK; k++) {
            if (fields[k]) code = measure_field(reader, group, k, counts, err);
        }
    }
    pq_free(snapshot->alloc, fields, width + 1, sizeof *fields);
    return pq_data_file_named(file, code, err);
}

pqdb_code pq_scan_measure(struct pq_table_snapshot *snapshot, const bool *columns,
                          struct pq_parquet_counts *counts, pqdb_error *err) {
    for (size_t i = 0; i < snapshot->catalog->file_count; i++) {
        PQ_TRY(measure_file(snapshot, snapshot->catalog->segments[i]->file, columns, counts, err));
    }
    return PQDB_OK;
}
