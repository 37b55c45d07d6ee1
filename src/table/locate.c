/// table/locate.c: where rows are, for the writer and for snapshots.
#include <stdlib.h>

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

static void hash_block(const struct pq_row_view *view, const struct pq_text *ids, size_t count,
                       uint64_t *hashes) {
    for (size_t i = 0; i < count; i++) {
        hashes[i] = pq_hash(ids[i].data, ids[i].length);
        if (view->tables[0] != NULL) pq_row_table_prefetch(view->tables[0], hashes[i]);
    }
}

pqdb_code pq_row_view_locate(const struct pq_row_view *view, const struct pq_text *ids,
                             size_t count, struct pq_row_place *places, pqdb_error *err) {
    for (size_t first = 0; first < count; first += block_ids) {
        const size_t some = count - first < block_ids ? count - first : block_ids;
        uint64_t hashes[block_ids];
        hash_block(view, ids + first, some, hashes);
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

/// What is applied, published or not. `open_ids` is kept by the caller.
static struct pq_row_view view_now(struct pq_table *table, struct pq_column *open_ids) {
    if (table->open != NULL) *open_ids = pq_builder_finish(&table->open_columns[0]);
    return (struct pq_row_view){
        .catalog = table->catalog, .open = table->open, .open_columns = open_ids,
        .open_count = table->open_rows, .version = UINT64_MAX,
        .tables = table->indexes[0].tables};
}

pqdb_code pq_table_locate_now(struct pq_table *table, const struct pq_text *ids, size_t count,
                              struct pq_row_place *places, pqdb_error *err) {
    struct pq_column open_ids = {0};
    const struct pq_row_view view = view_now(table, &open_ids);
    return pq_row_view_locate(&view, ids, count, places, err);
}

// ---- rows about to die ------------------------------------------------------------------------

enum { FOUND_MANY = 2, FOUND_EXACTLY = 3 };  // living rows with the mark of an id; else 0 or 1

/// A file that is asked for marks.
struct seeking {
    const struct pq_dying *dying;
    struct pq_segment *segment;
};

static void found_row(const struct seeking *seeking, size_t index, uint32_t row, uint8_t how) {
    const struct pq_dying *dying = seeking->dying;
    dying->places[dying->ids[index].index] = (struct pq_row_place){seeking->segment, row};
    dying->found[index] = how;
}

static void take_marked(void *ctx, size_t index, uint32_t row) {
    const struct seeking *seeking = ctx;
    const uint8_t found = seeking->dying->found[index];
    if (found >= FOUND_MANY || pq_segment_is_dead(seeking->segment, row, UINT64_MAX)) return;
    found_row(seeking, index, row, (uint8_t)(found + 1));
}

/// A file without marks: its pages are looked into.
static pqdb_code seek_by_pages(const struct seeking *seeking, size_t count, pqdb_error *err) {
    for (size_t i = 0; i < count; i++) {
        const struct pq_hashed_id *id = &seeking->dying->ids[i];
        struct pq_segment *segment = seeking->segment;
        bool may;
        int64_t row = -1;
        PQ_TRY(pq_data_file_may_have(segment->file, id->id, id->hash, &may, err));
        if (may) PQ_TRY(pq_data_file_find(segment->file, id->id, &row, err));
        if (row < 0 || pq_segment_is_dead(segment, (size_t)row, UINT64_MAX)) continue;
        found_row(seeking, i, (uint32_t)row, FOUND_EXACTLY);
    }
    return PQDB_OK;
}

/// Those that are not in memory come to the front. Returns how many.
static size_t seek_in_memory(const struct pq_row_view *view, const struct pq_dying *dying) {
    size_t left = 0;
    for (size_t first = 0; first < dying->count; first += block_ids) {
        const size_t rest = dying->count - first, some = rest < block_ids ? rest : block_ids;
        struct pq_text ids[block_ids];
        uint64_t hashes[block_ids];
        for (size_t i = 0; i < some; i++) ids[i] = dying->ids[first + i].id;
        hash_block(view, ids, some, hashes);
        for (size_t i = 0; i < some; i++) {
            const uint32_t index = dying->ids[first + i].index;
            dying->places[index] = find_in_memory(view, ids[i], hashes[i]);
            if (dying->places[index].segment != NULL) continue;
            dying->ids[left++] = (struct pq_hashed_id){ids[i], hashes[i], index};
        }
    }
    return left;
}

static int by_id(const void *a, const void *b) {
    const struct pq_hashed_id *x = a, *y = b;
    return pq_text_compare(x->id, y->id);
}

static void sort_ids(struct pq_hashed_id *ids, size_t count) {
    for (size_t i = 1; i < count; i++) {
        if (by_id(&ids[i - 1], &ids[i]) <= 0) continue;
        qsort(ids, count, sizeof *ids, by_id);
        return;
    }
}

pqdb_code pq_table_locate_dying(struct pq_table *table, const struct pq_dying *dying,
                                pqdb_error *err) {
    struct pq_column open_ids = {0};
    const struct pq_row_view view = view_now(table, &open_ids);
    const size_t left = seek_in_memory(&view, dying);
    if (left == 0) return PQDB_OK;
    sort_ids(dying->ids, left);
    memset(dying->found, 0, left);
    struct seeking seeking = {.dying = dying};
    const struct pq_file_marked asked = {
        .ids = dying->ids, .count = left, .take = take_marked, .ctx = &seeking};
    for (size_t i = view.catalog->file_count; i-- > 0;) {
        bool known;
        seeking.segment = view.catalog->segments[i];
        PQ_TRY(pq_data_file_marked(seeking.segment->file, &asked, &known, err));
        if (!known) PQ_TRY(seek_by_pages(&seeking, left, err));
    }
    // Each is there. Where only one living row has an id's mark, it is that one.
    for (size_t i = 0; i < left; i++) {
        const struct pq_hashed_id *id = &dying->ids[i];
        if (dying->found[i] == 1 || dying->found[i] == FOUND_EXACTLY) continue;
        struct pq_row_place *place = &dying->places[id->index];
        *place = (struct pq_row_place){0};
        PQ_TRY(find_in_files(&view, id->id, id->hash, place, err));
    }
    return PQDB_OK;
}
