/// table/linked.c: the rows that point to given rows of another table.
#include <stdlib.h>

#include "base/fail.h"
#include "base/hash.h"
#include "table/data_file.h"
#include "table/scan.h"
#include "table/table_internal.h"
#include "variant/variant.h"

struct search {
    const struct pq_linked *asked;
    struct pq_arena *arena;
    size_t slot_count;  // power of two
    uint32_t *slots;    // target + 1
    const struct pq_text *only;  // the one target that is looked for, or NULL: any
    struct pq_row_place *places;
    size_t count, capacity;
};

static pqdb_code index_targets(struct search *search, pqdb_error *err) {
    const struct pq_linked *asked = search->asked;
    search->slot_count = 16;
    while (search->slot_count < asked->count * 2) search->slot_count *= 2;
    search->slots = pq_arena_calloc(search->arena, search->slot_count, sizeof *search->slots);
    if (search->slots == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu targets", asked->count);
    for (size_t i = 0; i < asked->count; i++) {
        size_t at = (size_t)pq_hash(asked->targets[i].data, asked->targets[i].length);
        for (at &= search->slot_count - 1; search->slots[at] != 0;) {
            at = (at + 1) & (search->slot_count - 1);
        }
        search->slots[at] = (uint32_t)i + 1;
    }
    return PQDB_OK;
}

static bool is_target(const struct search *search, struct pq_text id) {
    size_t at = (size_t)pq_hash(id.data, id.length) & (search->slot_count - 1);
    for (; search->slots[at] != 0; at = (at + 1) & (search->slot_count - 1)) {
        if (pq_text_equal(search->asked->targets[search->slots[at] - 1], id)) return true;
    }
    return false;
}

/// `depth` members of the path are behind `links`.
static bool holds_target(const struct search *search, const struct pq_column *links, size_t row,
                         size_t depth) {
    if (pq_column_is_null(links, row)) return false;
    if (links->layout == PQ_MEMBERS) {
        const uint32_t member = search->asked->path[depth];
        return holds_target(search, &links->children[member], row, depth + 1);
    }
    if (links->layout != PQ_ROWS) {
        uint8_t room[16];
        struct pq_text id;
        if (!pq_index_text_of(links, row, room, &id)) return false;
        return search->only == NULL ? is_target(search, id) : pq_text_equal(id, *search->only);
    }
    for (uint32_t i = links->offsets[row]; i < links->offsets[row + 1]; i++) {
        if (holds_target(search, &links->children[0], i, depth)) return true;
    }
    return false;
}

static pqdb_code add_place(struct search *search, struct pq_segment *segment, size_t row,
                           pqdb_error *err) {
    if (search->count == search->capacity) {
        const size_t capacity = search->capacity == 0 ? 16 : search->capacity * 2;
        struct pq_row_place *more = pq_arena_alloc(search->arena, capacity * sizeof *more);
        if (more == NULL) return pq_fail(err, PQDB_NO_MEMORY, "places of %zu rows", capacity);
        if (search->count > 0) memcpy(more, search->places, search->count * sizeof *more);
        search->places = more;
        search->capacity = capacity;
    }
    search->places[search->count++] = (struct pq_row_place){segment, (uint32_t)row};
    return PQDB_OK;
}

/// `links` are those of rows [first, first + its count) of the segment.
static pqdb_code search_rows(struct search *search, struct pq_segment *segment, uint64_t first,
                             const struct pq_column *links, pqdb_error *err) {
    const uint64_t version = search->asked->snapshot->version;
    for (size_t i = 0; i < links->count; i++) {
        if (!holds_target(search, links, i, 0)) continue;
        if (pq_segment_is_dead(segment, first + i, version)) continue;
        PQ_TRY(add_place(search, segment, first + i, err));
    }
    return PQDB_OK;
}

/// Without a run beside it: all links of the file.
static pqdb_code scan_file(struct search *search, struct pq_segment *segment, pqdb_error *err) {
    const struct pq_linked *asked = search->asked;
    bool *columns = pq_arena_calloc(search->arena, asked->snapshot->type->field_count, 1);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "links of a file");
    columns[asked->column] = true;
    struct pq_file_read read = {.columns = columns, .names = asked->snapshot->names};
    // Variants may stand beside links. Reading them back adds no name that the list does not have,
    // but for those that never fit it.
    struct pq_variant_names *names = (struct pq_variant_names *)(uintptr_t)read.names;
    PQ_TRY(pq_variant_encoder_create(names, asked->alloc, &read.encoder, err));
    struct pq_arena piece_arena;
    pq_arena_init(&piece_arena, asked->alloc);
    pqdb_code code = PQDB_OK;
    while (read.first < segment->rows) {
        struct pq_batch batch;
        pq_arena_reset(&piece_arena);
        read.count = PQ_SCAN_ROWS;
        PQ_GO(pq_data_file_read(segment->file, &read, &piece_arena, &batch, err));
        PQ_GO(search_rows(search, segment, read.first, &batch.columns[asked->column], err));
        read.first += batch.count;
    }
done:
    pq_arena_deinit(&piece_arena);
    pq_variant_encoder_destroy(read.encoder);
    return code;
}

/// A row of a file, on its way out of the run beside it.
struct found_row {
    struct search *search;
    struct pq_segment *segment;
};

static pqdb_code take_row(void *ctx, uint32_t row, pqdb_error *err) {
    const struct found_row *found = ctx;
    if (row >= found->segment->rows) {
        return pq_fail(err, PQDB_CORRUPT, "its links name row %u of %zu", row,
                       found->segment->rows);
    }
    const uint64_t version = found->search->asked->snapshot->version;
    if (pq_segment_is_dead(found->segment, row, version)) return PQDB_OK;
    return add_place(found->search, found->segment, row, err);
}

/// The run tells of all texts of the column: keep the rows that hold a target at the path.
static pqdb_code keep_holders(struct search *search, size_t from, pqdb_error *err) {
    const struct pq_linked *asked = search->asked;
    const struct pq_row_place *found = search->places + from;
    const size_t count = search->count - from;
    bool *columns = pq_arena_calloc(search->arena, asked->snapshot->type->field_count, 1);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "links of a file");
    columns[asked->column] = true;
    const struct pq_fetch fetch = {.snapshot = asked->snapshot, .places = found, .count = count,
                                   .columns = columns, .alloc = asked->alloc};
    struct pq_batch batch;
    PQ_TRY(pq_table_fetch(&fetch, search->arena, &batch, err));
    search->count = from;
    for (size_t i = 0; i < count; i++) {
        if (!holds_target(search, &batch.columns[asked->column], i, 0)) continue;
        search->places[search->count++] = found[i];
    }
    return PQDB_OK;
}

static pqdb_code search_file(struct search *search, struct pq_segment *segment, pqdb_error *err) {
    const struct pq_linked *asked = search->asked;
    struct found_row found = {search, segment};
    const struct pq_file_linked linked = {.column = asked->column, .targets = asked->targets,
                                          .count = asked->count, .take = take_row, .ctx = &found};
    const size_t before = search->count;
    bool known;
    PQ_TRY(pq_data_file_linked(segment->file, &linked, &known, err));
    if (!known) return scan_file(search, segment, err);
    if (asked->path_length == 0 || search->count == before) return PQDB_OK;
    return keep_holders(search, before, err);
}

// ---- in memory ----------------------------------------------------------------------------------

static pqdb_code search_index(struct search *search, const struct pq_row_view *view, size_t target,
                              pqdb_error *err) {
    const uint32_t column = search->asked->column;
    const struct pq_text id = search->asked->targets[target];
    search->only = &search->asked->targets[target];
    const uint64_t hash = pq_hash(id.data, id.length);
    for (int t = 0; t < 2; t++) {
        const struct pq_row_table *table = view->tables[t];
        if (table == NULL) continue;
        for (const struct pq_row_entry *entry = pq_row_table_first(table, hash); entry != NULL;
             entry = pq_row_table_match(table, entry->next, hash)) {
            struct pq_row_place place;
            const struct pq_column *links;
            if (!pq_row_view_resolve(view, entry->row, column, &place, &links)) continue;
            if (!holds_target(search, links, place.row, 0)) continue;
            PQ_TRY(add_place(search, place.segment, place.row, err));
        }
    }
    return PQDB_OK;
}

/// Without an index all rows are looked at, and the writer is asked for one.
static pqdb_code search_memory(struct search *search, pqdb_error *err) {
    const struct pq_linked *asked = search->asked;
    struct pq_table_snapshot *snapshot = asked->snapshot;
    const struct pq_index_view *index = pq_index_of(snapshot, asked->column);
    if (index != NULL) {
        const struct pq_row_view view = pq_row_view_of(snapshot, index);
        for (size_t i = 0; i < asked->count; i++) PQ_TRY(search_index(search, &view, i, err));
        return PQDB_OK;
    }
    pq_link_wishes_make(snapshot->wishes, asked->column);
    for (size_t i = snapshot->catalog->file_count; i < snapshot->catalog->count; i++) {
        struct pq_segment *segment = snapshot->catalog->segments[i];
        PQ_TRY(search_rows(search, segment, 0, &segment->batch.columns[asked->column], err));
    }
    if (snapshot->open == NULL) return PQDB_OK;
    return search_rows(search, snapshot->open, 0, &snapshot->open_rows.columns[asked->column],
                       err);
}

// ---- all ----------------------------------------------------------------------------------------

static int compare_places(const void *left, const void *right) {
    const struct pq_row_place *a = left, *b = right;
    const uint64_t x = a->segment->serial, y = b->segment->serial;
    if (x != y) return x < y ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

/// A row may be found by two targets, or in two tables of an index.
static void drop_repeats(struct search *search) {
    bool ordered = true;
    for (size_t i = 1; i < search->count && ordered; i++) {
        ordered = compare_places(&search->places[i - 1], &search->places[i]) < 0;
    }
    if (ordered) return;
    qsort(search->places, search->count, sizeof *search->places, compare_places);
    size_t kept = 1;
    for (size_t i = 1; i < search->count; i++) {
        if (compare_places(&search->places[kept - 1], &search->places[i]) == 0) continue;
        search->places[kept++] = search->places[i];
    }
    search->count = kept;
}

pqdb_code pq_table_linked(const struct pq_linked *asked, struct pq_arena *arena,
                          struct pq_row_place **places, size_t *place_count, pqdb_error *err) {
    struct pq_table_snapshot *snapshot = asked->snapshot;
    struct search search = {.asked = asked, .arena = arena};
    PQ_TRY(index_targets(&search, err));
    for (size_t i = 0; i < snapshot->catalog->file_count; i++) {
        PQ_TRY(search_file(&search, snapshot->catalog->segments[i], err));
    }
    PQ_TRY(search_memory(&search, err));
    drop_repeats(&search);
    *places = search.places;
    *place_count = search.count;
    return PQDB_OK;
}
