/// table/locate.c: where rows are, for the writer and for snapshots.
#include "base/fail.h"
#include "base/hash.h"
#include "batch/builder.h"
#include "table/data_file.h"
#include "table/table_internal.h"

enum { block_ids = 32 };  // looked up together, so that their cache misses overlap

struct pq_row_view pq_row_view_of(const struct pq_table_snapshot *snapshot,
                                  const struct pq_index_view *index) {
    return (struct pq_row_view){.catalog = snapshot->catalog, .open = snapshot->open,
                                .open_columns = snapshot->open_rows.columns,
                                .open_count = snapshot->open_rows.count,
                                .version = snapshot->version, .tables = index->tables};
}

const struct pq_index_view *pq_index_of(const struct pq_table_snapshot *snapshot,
                                        uint32_t column) {
    for (size_t i = 0; i < snapshot->index_count; i++) {
        if (snapshot->indexes[i].column == column) return &snapshot->indexes[i];
    }
    return NULL;
}

/// The last chunk that begins at or before this number, or NULL.
static struct pq_segment *chunk_of(const struct pq_catalog *catalog, uint64_t number) {
    const uint64_t *first_rows = pq_catalog_first_rows(catalog);
    size_t low = catalog->file_count, high = catalog->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (first_rows[middle] <= number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == catalog->file_count ? NULL : catalog->segments[low - 1];
}

bool pq_row_view_resolve(const struct pq_row_view *view, uint64_t number, uint32_t column,
                         struct pq_row_place *place, const struct pq_column **values) {
    struct pq_segment *segment = view->open;
    if (segment != NULL && number >= segment->first_row) {
        if (number - segment->first_row >= view->open_count) return false;  // born later
        *values = &view->open_columns[column];
    } else {
        segment = chunk_of(view->catalog, number);
        if (segment == NULL || number - segment->first_row >= segment->rows) return false;
        *values = &segment->batch.columns[column];
    }
    *place = (struct pq_row_place){segment, (uint32_t)(number - segment->first_row)};
    return !pq_segment_is_dead(segment, place->row, view->version);
}

static struct pq_row_place find_in_memory(const struct pq_row_view *view, struct pq_text id,
                                          uint64_t hash) {
    for (int t = 0; t < 2; t++) {
        const struct pq_row_table *table = view->tables[t];
        if (table == NULL) continue;
        for (const struct pq_row_entry *entry = pq_row_table_first(table, hash); entry != NULL;
             entry = pq_row_table_match(table, entry->next, hash)) {
            struct pq_row_place place;
            const struct pq_column *ids;
            if (!pq_row_view_resolve(view, entry->row, 0, &place, &ids)) continue;
            if (pq_text_equal(pq_column_text(ids, place.row), id)) return place;
        }
    }
    return (struct pq_row_place){0};
}

static pqdb_code find_in_files(const struct pq_row_view *view, struct pq_text id, uint64_t hash,
                               struct pq_row_place *place, pqdb_error *err) {
    for (size_t i = view->catalog->file_count; i-- > 0;) {
        struct pq_segment *segment = view->catalog->segments[i];
        int64_t row;
        bool may;
        PQ_TRY(pq_data_file_may_have(segment->file, id, hash, &may, err));
        if (!may) continue;
        PQ_TRY(pq_data_file_find(segment->file, id, &row, err));
        if (row < 0 || pq_segment_is_dead(segment, (size_t)row, view->version)) continue;
        *place = (struct pq_row_place){segment, (uint32_t)row};
        return PQDB_OK;
    }
    return PQDB_OK;
}

pqdb_code pq_row_view_locate(const struct pq_row_view *view, const struct pq_text *ids,
                             size_t count, struct pq_row_place *places, pqdb_error *err) {
    for (size_t first = 0; first < count; first += block_ids) {
        const size_t some = count - first < block_ids ? count - first : block_ids;
        uint64_t hashes[block_ids];
        for (size_t i = 0; i < some; i++) {
            hashes[i] = pq_hash(ids[first + i].data, ids[first + i].length);
            if (view->tables[0] != NULL) pq_row_table_prefetch(view->tables[0], hashes[i]);
        }
        for (size_t i = 0; i < some; i++) {
            struct pq_row_place *place = &places[first + i];
            *place = find_in_memory(view, ids[first + i], hashes[i]);
            if (place->segment != NULL) continue;
            PQ_TRY(find_in_files(view, ids[first + i], hashes[i], place, err));
        }
    }
    return PQDB_OK;
}

pqdb_code pq_table_locate(struct pq_table_snapshot *snapshot, const struct pq_text *ids,
                          size_t count, struct pq_row_place *places, pqdb_error *err) {
    const struct pq_row_view view = pq_row_view_of(snapshot, &snapshot->indexes[0]);
    return pq_row_view_locate(&view, ids, count, places, err);
}

pqdb_code pq_table_locate_now(struct pq_table *table, const struct pq_text *ids, size_t count,
                              struct pq_row_place *places, pqdb_error *err) {
    struct pq_column open_ids = {0};
    if (table->open != NULL) open_ids = pq_builder_finish(&table->open_columns[0]);
    const struct pq_row_view view = {
        .catalog = table->catalog, .open = table->open, .open_columns = &open_ids,
        .open_count = table->open_rows, .version = UINT64_MAX,
        .tables = table->indexes[0].tables};
    return pq_row_view_locate(&view, ids, count, places, err);
}
