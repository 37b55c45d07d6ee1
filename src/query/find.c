/// query/find.c: the rows of an answer: looked up by id, scanned, sorted, one after the other.
#include "query/find.h"

#include "base/check.h"
#include "base/fail.h"
#include "base/json.h"
#include "expr/compare.h"
#include "query/find_internal.h"
#include "table/fetch.h"
#include "table/memory_index.h"

enum { rows_first = 2048, late_share = 64, late_few = 16, copied_rows = 4096 };
enum { narrow_rows = 2, late_bytes = 1024, ahead_bytes = 64 << 20 };
enum { named_max = 64, places_max = 4096, fetched_rows = 512 };  // of an index

// ---- scanning -----------------------------------------------------------------------------------

/// The rows with what their links lead to, as far as the query names it.
static pqdb_code follow_links(struct pq_find *find, struct pq_batch *batch,
                              struct pq_arena *arena, pqdb_error *err) {
    if (!find->links.any || batch->count == 0) return PQDB_OK;
    const struct pq_batch rows = *batch;
    return pq_expand_rows(&find->links.spec, find->table.lookup, &rows, arena, batch, err);
}

/// The filter of a scan where it leads through links.
static pqdb_code select_linked(void *ctx, const struct pq_batch *rows, struct pq_arena *arena,
                               struct pq_selection *selection, pqdb_error *err) {
    struct pq_find *find = ctx;
    struct pq_batch batch = *rows;
    PQ_TRY(follow_links(find, &batch, arena, err));
    return pq_program_select(find->filter, &batch, arena, selection, err);
}

/// The next rows of the scan that match, in *hold and find->rows; count 0 at the end.
static pqdb_code next_matches(struct pq_find *find, struct pq_scan_rows *found,
                              struct pq_hold **hold, pqdb_error *err) {
    do {
        PQ_TRY(pq_scan_ahead_step(&find->scan, found, hold, err));
        if (found->batch.count == 0) return PQDB_OK;
        PQ_TRY(follow_links(find, &found->batch, &find->rows->arena, err));
        if (!find->after.is_set) return PQDB_OK;
        PQ_TRY(pq_find_position_drop(find, found, &find->rows->arena, err));
    } while (found->batch.count == 0);
    return PQDB_OK;
}

/// Can no row of which this is known be among the first any more? Nulls are last in both
/// directions; rows that are equal in the first key may differ in the next.
static bool is_beyond(void *ctx, const struct pq_known *known) {
    const struct pq_find *find = ctx;
    struct pq_value last;
    if (find->after.is_set && pq_find_position_is_behind(find, known)) return true;
    if (pq_order_last(&find->order, &last) == NULL || last.kind == PQ_NULL) return false;
    if (!known->may_value) return true;
    if (find->key_count > 0 && find->keys[0].descending) {
        return known->has_max && !known->may_nan && pq_value_compare(&known->max, &last) < 0;
    }
    return known->has_min && pq_value_compare(&known->min, &last) > 0;
}

/// The column whose bounds tell what cannot be among the first, or -1.
static int first_column(const struct pq_find *find) {
    const int column = find->key_count == 0 ? 0 : pq_program_column(find->keys[0].program);
    return column < (int)find->snapshot->type->field_count ? column : -1;
}

/// Only the first rows are wanted: few enough that what the sort does not read of them is better
/// read afterwards?
static bool pays_late(const struct pq_find *find) {
    const size_t columns = find->snapshot->type->field_count;
    bool more = false;
    for (size_t k = 0; k < columns; k++) more |= find->wanted[k] && !find->sorted[k];
    const uint64_t keep = find->order.keep, rows = find->snapshot->rows;
    const size_t max = find->table.bytes_max;
    if (max != 0 && keep > late_few && keep > max / late_bytes) return false;
    return more && keep != 0 && (keep <= late_few || keep <= rows / late_share);
}

static pqdb_code open_scan(struct pq_find *find, pqdb_error *err) {
    const bool by_paths = find->path_filter != NULL;
    find->scan_filter = (struct pq_scan_filter){
        .program = by_paths ? find->path_filter : find->filter, .by_paths = by_paths,
        .columns = find->scanned,
        .select = find->links.any ? select_linked : NULL, .ctx = find};
    struct pq_scan_options options = {.columns = find->is_late ? find->sorted : find->wanted,
                                      .reads = find->reads.whole == NULL ? NULL : &find->reads,
                                      .counts = find->explains ? &find->counts : NULL};
    if (find->filter != NULL) options.filter = &find->scan_filter;
    if (find->filter != NULL && find->explains) {
        const size_t conditions = pq_program_condition_count(find->filter) + 1;
        find->counts.skipped = pq_arena_calloc(&find->arena, conditions, sizeof(uint64_t));
        if (find->counts.skipped == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an explanation");
    }
    const int first = find->streams ? -1 : first_column(find);
    if (first >= 0) {
        find->scan_cut = (struct pq_scan_cut){(uint32_t)first, is_beyond, find};
        options.cut = &find->scan_cut;
        options.backwards = find->key_count > 0 && find->keys[0].descending;
    }
    const bool few = find->limit != 0 && find->limit + find->skip <= rows_first;
    if (few && (find->streams || options.cut != NULL)) options.rows_first = rows_first;
    // Rows behind links are looked up by one thread, and pieces ahead need memory.
    const size_t max = find->table.bytes_max;
    const bool alone = find->links.any || (max != 0 && max < ahead_bytes);
    const uint64_t rows_min = alone ? UINT64_MAX : find->table.ahead_rows;
    pq_scan_ahead_open(&find->scan, find->snapshot, &options, rows_min, find->alloc);
    find->scanning = true;
    find->way = "scan";
    return PQDB_OK;
}

// ---- sorting ------------------------------------------------------------------------------------

static void skip_rows(struct pq_find *find) {
    const size_t count = find->order.ref_count;
    find->next = find->skip < count ? (size_t)find->skip : count;
    if (find->in_windows) find->skip -= find->next;
}

/// The rows that will be given, whole.
static pqdb_code fetch_late(struct pq_find *find, pqdb_error *err) {
    size_t end = find->order.ref_count;
    const uint64_t left = find->limit - find->given;
    if (find->limit != 0 && end > find->next + left) end = find->next + (size_t)left;
    const size_t count = end - find->next;
    pq_hold_unref(find->late);
    find->late = NULL;
    PQ_TRY(pq_hold_create(find->alloc, &find->late, err));
    struct pq_arena *arena = &find->late->arena;
    struct pq_row_place *places = pq_arena_alloc(arena, (count + 1) * sizeof *places);
    if (places == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows of an answer");
    for (size_t i = 0; i < count; i++) {
        places[i] = pq_order_place(&find->order, find->next + i);
    }
    const struct pq_fetch fetch = {.snapshot = find->snapshot, .places = places, .count = count,
                                   .columns = find->wanted, .alloc = find->alloc};
    PQ_TRY(pq_table_fetch(&fetch, arena, &find->late_rows, err));
    find->late_first = find->next;
    return follow_links(find, &find->late_rows, arena, err);
}

/// The rows stay: many keep the memory they came in, few are copied.
static pqdb_code keep_rows(struct pq_find *find, struct pq_scan_rows *found, struct pq_hold *hold,
                           pqdb_error *err) {
    struct pq_arena *arena = &find->rows->arena;
    if (found->batch.count >= copied_rows) return pq_order_hold(&find->order, hold, err);
    uint32_t *all = pq_arena_alloc(arena, found->batch.count * sizeof *all);
    if (all == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows of an answer");
    for (size_t i = 0; i < found->batch.count; i++) all[i] = (uint32_t)i;
    const struct pq_batch few = found->batch;
    found->rows = NULL;  // nobody asks where they are
    PQ_TRY(pq_batch_gather(&few, all, few.count, arena, &found->batch, err));
    return pq_hold_keep_dictionaries(find->rows, &found->batch, err);
}

/// What would be too much to hold is copied, and leaves the pages that it came in. If that is too
/// much as well it becomes a window: the first half, and behind it what another scan finds.
static pqdb_code narrow(struct pq_find *find, pqdb_error *err) {
    const size_t max = find->table.bytes_max;
    struct pq_order *order = &find->order;
    if (max == 0 || order->ref_count < narrow_rows) return PQDB_OK;
    if (order->keep == 0) {
        if (pq_account_used(&find->memory) <= max / 2) return PQDB_OK;
        return pq_order_narrow(order, PQ_FIND_ROWS_MAX, err);
    }
    if (pq_account_used(&find->ordered) <= max) return PQDB_OK;
    PQ_TRY(pq_order_narrow(order, order->keep, err));
    if (pq_account_used(&find->ordered) <= max / 4 * 3) return PQDB_OK;
    find->in_windows = true;
    return pq_order_narrow(order, order->ref_count / 2, err);
}

static pqdb_code collect(struct pq_find *find, pqdb_error *err) {
    for (;;) {
        struct pq_scan_rows found;
        struct pq_hold *hold;
        PQ_TRY(narrow(find, err));
        if (find->order.keep != 0) pq_hold_reset(find->rows);
        PQ_TRY(next_matches(find, &found, &hold, err));
        if (found.batch.count == 0) break;
        if (find->order.keep == 0) PQ_TRY(keep_rows(find, &found, hold, err));
        PQ_TRY(pq_order_add(&find->order, &found, &find->rows->arena, err));
    }
    pq_order_finish(&find->order);
    skip_rows(find);
    return find->is_late ? fetch_late(find, err) : PQDB_OK;
}

/// The ids that the filter names, if it does.
static const struct pq_bound *named_ids(const struct pq_find *find) {
    size_t count;
    if (find->filter == NULL) return NULL;
    const struct pq_bound *bounds = pq_program_bounds(find->filter, &count);
    for (size_t i = 0; i < count; i++) {
        if (bounds[i].column == 0 && bounds[i].op == PQ_BOUND_IN) return &bounds[i];
    }
    return NULL;
}

/// A filter that names ids needs no scan.
static pqdb_code look_up(struct pq_find *find, const struct pq_bound *ids, pqdb_error *err) {
    struct pq_arena *arena = &find->rows->arena;
    find->streams = find->in_windows = false;
    find->order.keep = 0;
    find->way = "by $id";
    for (size_t k = 0; k < ids->value_count; k++) {
        struct pq_scan_rows found = {0};
        struct pq_batch row;
        PQ_TRY(pq_table_get(find->snapshot, ids->values[k].as.text, find->alloc, arena, &row,
                            err));
        find->counts.rows_tested += row.count;
        if (row.count == 0) continue;
        PQ_TRY(follow_links(find, &row, arena, err));
        struct pq_selection selection;
        PQ_TRY(pq_program_select(find->filter, &row, arena, &selection, err));
        if (selection.count == 0) continue;
        find->counts.rows_matched++;
        found.batch = row;
        if (find->after.is_set) PQ_TRY(pq_find_position_drop(find, &found, arena, err));
        if (found.batch.count > 0) PQ_TRY(pq_order_add(&find->order, &found, arena, err));
    }
    pq_order_finish(&find->order);
    pq_order_drop_repeats(&find->order);  // an id may be asked for twice, its row is found once
    skip_rows(find);
    return PQDB_OK;
}

// ---- by an index -------------------------------------------------------------------------------

/// The values of an indexed column that the filter names, if it does.
static const struct pq_bound *named_values(const struct pq_find *find) {
    size_t count;
    if (find->filter == NULL || find->table.indexed == NULL) return NULL;
    const struct pq_bound *bounds = pq_program_bounds(find->filter, &count);
    for (size_t i = 0; i < count; i++) {
        if (bounds[i].op != PQ_BOUND_IN || bounds[i].value_count > named_max) continue;
        if (bounds[i].column >= find->snapshot->type->field_count) continue;
        if (find->table.indexed[bounds[i].column]) return &bounds[i];
    }
    return NULL;
}

/// Where the rows with these values are; *count -1 when they are so many that a scan is better.
static pqdb_code find_places(struct pq_find *find, const struct pq_bound *bound,
                             struct pq_row_place **places, int64_t *count, pqdb_error *err) {
    struct pq_text targets[named_max];
    uint8_t room[named_max][16];
    size_t found;
    for (size_t i = 0; i < bound->value_count; i++) {
        const bool has_text = pq_index_text(&bound->values[i], room[i], &targets[i]);
        pq_assert(has_text);
    }
    const struct pq_linked asked = {.snapshot = find->snapshot, .column = bound->column,
                                    .targets = targets, .count = bound->value_count,
                                    .alloc = find->alloc};
    PQ_TRY(pq_table_linked(&asked, &find->arena, places, &found, err));
    const bool many = found > places_max && found > find->snapshot->rows / late_share;
    *count = many ? -1 : (int64_t)found;
    return PQDB_OK;
}

/// Rows at some places, as far as the filter selects them.
static pqdb_code take_places(struct pq_find *find, const struct pq_row_place *places, size_t count,
                             pqdb_error *err) {
    if (find->order.keep != 0) pq_hold_reset(find->rows);
    struct pq_arena *arena = &find->rows->arena;
    struct pq_scan_rows found = {0};
    struct pq_selection selection;
    const struct pq_fetch fetch = {.snapshot = find->snapshot, .places = places, .count = count,
                                   .columns = find->wanted, .alloc = find->alloc};
    struct pq_batch batch;
    PQ_TRY(pq_table_fetch(&fetch, arena, &batch, err));
    PQ_TRY(follow_links(find, &batch, arena, err));
    find->counts.rows_tested += batch.count;
    PQ_TRY(pq_program_select(find->filter, &batch, arena, &selection, err));
    find->counts.rows_matched += selection.count;
    if (selection.count == 0) return PQDB_OK;
    found.batch = batch;
    if (selection.rows != NULL) {
        PQ_TRY(pq_batch_gather(&batch, selection.rows, selection.count, arena, &found.batch, err));
    }
    if (find->after.is_set) PQ_TRY(pq_find_position_drop(find, &found, arena, err));
    return found.batch.count == 0 ? PQDB_OK : pq_order_add(&find->order, &found, arena, err);
}

/// A filter that names values of an indexed column reads the rows that have them.
static pqdb_code look_up_values(struct pq_find *find, const struct pq_bound *bound, bool *done,
                                pqdb_error *err) {
    struct pq_row_place *places;
    int64_t count;
    PQ_TRY(find_places(find, bound, &places, &count, err));
    *done = count >= 0;
    if (!*done) return PQDB_OK;
    find->streams = find->in_windows = false;
    if (find->limit == 0) find->order.keep = 0;
    find->way = "by an index";
    find->index = find->snapshot->type->fields[bound->column].name;
    for (size_t k = 0; k < find->snapshot->type->field_count; k++) {
        find->wanted[k] |= find->tested[k] || find->sorted[k];
    }
    for (size_t at = 0; at < (size_t)count; at += fetched_rows) {
        const size_t left = (size_t)count - at;
        PQ_TRY(take_places(find, places + at, left < fetched_rows ? left : fetched_rows, err));
    }
    pq_order_finish(&find->order);
    skip_rows(find);
    return PQDB_OK;
}

// ---- the answer ---------------------------------------------------------------------------------

static pqdb_code open_all(struct pq_find *find, const struct pq_find_request *request,
                          pqdb_error *err) {
    PQ_TRY(pq_find_plan(find, request, err));
    PQ_TRY(pq_find_question(find, request, err));
    find->sort = pq_arena_copy(&find->arena, request->sort);
    if (find->sort.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an answer");
    if (request->cursor.length > 0) PQ_TRY(pq_find_position_parse(find, request, err));
    find->in_windows = find->limit == 0 && find->key_count == 0 && !find->streams &&
                       find->snapshot->rows > find->table.window_rows;
    find->shows_windows = find->in_windows;
    if (find->in_windows && find->explains) {  // what is not shown needs no order
        find->in_windows = false;
        find->streams = true;
    }
    const bool keeps_all = find->limit == 0 || find->limit > PQ_FIND_ROWS_MAX - find->skip ||
                           find->skip > PQ_FIND_ROWS_MAX;
    // One more tells whether a page follows.
    find->order.keep = keeps_all ? 0 : find->limit + find->skip + 1;
    if (find->in_windows) find->order.keep = find->table.window_rows;
    const struct pq_bound *ids = named_ids(find);
    if (ids != NULL) return look_up(find, ids, err);
    const struct pq_bound *values = named_values(find);
    if (values != NULL) {
        bool done;
        PQ_TRY(look_up_values(find, values, &done, err));
        if (done) return PQDB_OK;
    }
    find->is_late = !find->streams && !find->in_windows && pays_late(find);
    const size_t columns = find->streams || find->is_late ? 0 : find->snapshot->type->field_count;
    for (size_t k = 0; k < columns; k++) find->wanted[k] |= find->sorted[k];
    PQ_TRY(open_scan(find, err));
    return find->streams ? PQDB_OK : collect(find, err);
}

pqdb_code pq_find_open(const struct pq_find_table *table, struct pq_table_snapshot *snapshot,
                       const struct pq_find_request *request, const struct pq_alloc *alloc,
                       struct pq_find **find, pqdb_error *err) {
    struct pq_find *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an answer");
    *made = (struct pq_find){.table = *table, .skip = request->skip,
                             .limit = request->limit, .counts_only = request->counts_only,
                             .explains = request->explains,
                             .snapshot = pq_table_snapshot_ref(snapshot)};
    pq_account_init(&made->memory, alloc);
    alloc = made->alloc = &made->memory.alloc;
    pq_arena_init(&made->arena, alloc);
    pq_arena_init(&made->computed_arena, alloc);
    pq_bytes_init(&made->cursor, alloc);
    pq_bytes_init(&made->window, alloc);
    pq_account_init(&made->ordered, alloc);
    pq_order_init(&made->order, &made->ordered.alloc);
    pqdb_code code = pq_hold_create(alloc, &made->rows, err);
    if (code == PQDB_OK) code = open_all(made, request, err);
    if (code != PQDB_OK) {
        pq_find_close(made);
        return code;
    }
    *find = made;
    return PQDB_OK;
}

void pq_find_close(struct pq_find *find) {
    if (find == NULL) return;
    if (find->scanning) pq_scan_ahead_close(&find->scan);
    pq_program_destroy(find->filter);
    pq_program_destroy(find->path_filter);
    for (size_t k = 0; k < find->key_count; k++) pq_program_destroy(find->keys[k].program);
    for (size_t k = 0; k < find->column_count; k++) pq_program_destroy(find->columns[k].program);
    for (size_t k = 0; k < find->document_count; k++) pq_json_destroy(find->documents[k]);
    pq_order_deinit(&find->order);
    pq_hold_unref(find->rows);
    pq_hold_unref(find->late);
    pq_table_snapshot_unref(find->snapshot);
    pq_arena_deinit(&find->arena);
    pq_arena_deinit(&find->computed_arena);
    pq_bytes_deinit(&find->cursor);
    pq_bytes_deinit(&find->window);
    pq_free(find->memory.source, find, 1, sizeof *find);
}

const struct pq_find_column *pq_find_columns(const struct pq_find *find, size_t *count) {
    *count = find->column_count;
    return find->columns;
}

const char *pq_find_note(const struct pq_find *find) { return find->note; }

/// Values of the columns that are paths, for find->batch.
static pqdb_code compute(struct pq_find *find, pqdb_error *err) {
    for (size_t k = 0; k < find->column_count; k++) {
        if (find->columns[k].program == NULL) {
            find->computed[k] = find->batch.columns[find->columns[k].column];
            continue;
        }
        PQ_TRY(pq_program_run(find->columns[k].program, &find->batch, &find->computed_arena,
                              &find->computed[k], err));
    }
    return PQDB_OK;
}

static pqdb_code next_streamed(struct pq_find *find, bool *has_row, pqdb_error *err) {
    do {
        find->row++;
        while (find->row >= find->batch.count) {
            struct pq_scan_rows found;
            struct pq_hold *hold;
            pq_hold_reset(find->rows);
            PQ_TRY(next_matches(find, &found, &hold, err));
            find->batch = found.batch;
            if (find->batch.count == 0) {
                *has_row = false;
                return PQDB_OK;
            }
            find->row = 0;
            find->is_computed = false;
        }
    } while (find->skip > 0 && find->skip-- > 0);
    *has_row = true;
    if (find->is_computed) return PQDB_OK;
    pq_arena_reset(&find->computed_arena);
    find->is_computed = true;
    return compute(find, err);
}

pqdb_code pq_find_next_window(struct pq_find *find, bool *more, pqdb_error *err) {
    *more = find->in_windows && find->order.ref_count == find->order.keep;
    if (!*more) return PQDB_OK;
    PQ_TRY(pq_find_position_take(find, find->order.ref_count - 1, err));
    const struct pq_order last = find->order;
    pq_order_deinit(&find->order);
    pq_order_init(&find->order, last.alloc);
    find->order.keep = last.keep;
    find->order.keys = last.keys;
    find->order.key_count = last.key_count;
    pq_scan_ahead_close(&find->scan);
    find->scanning = false;
    PQ_TRY(open_scan(find, err));
    PQ_TRY(collect(find, err));
    *more = find->order.ref_count > 0;
    return PQDB_OK;
}

/// Neighbours come from different batches: paths are computed for one row at a time.
static pqdb_code next_ordered(struct pq_find *find, bool *has_row, pqdb_error *err) {
    *has_row = true;
    while (*has_row && find->next >= find->order.ref_count) {
        PQ_TRY(pq_find_next_window(find, has_row, err));
    }
    if (!*has_row) return PQDB_OK;
    size_t row = find->next - find->late_first;
    const struct pq_batch *rows = &find->late_rows;
    if (!find->is_late) rows = pq_order_row(&find->order, find->next, &row);
    find->next++;
    pq_arena_reset(&find->computed_arena);
    PQ_TRY(pq_batch_slice(rows, row, 1, &find->computed_arena, &find->batch, err));
    find->row = 0;
    return compute(find, err);
}

pqdb_code pq_find_next(struct pq_find *find, bool *has_row, pqdb_error *err) {
    *has_row = false;
    if (find->limit != 0 && find->given == find->limit) return PQDB_OK;
    PQ_TRY(find->streams ? next_streamed(find, has_row, err) : next_ordered(find, has_row, err));
    find->given += *has_row;
    return PQDB_OK;
}

struct pq_text pq_find_id(const struct pq_find *find) {
    return pq_column_text(&find->batch.columns[0], find->row);
}

pqdb_code pq_find_count(const struct pq_find_table *table, struct pq_table_snapshot *snapshot,
                        struct pq_text filter, const struct pq_alloc *alloc, uint64_t *count,
                        pqdb_error *err) {
    *count = snapshot->rows;
    if (filter.length == 0) return PQDB_OK;
    const struct pq_find_request request = {
        .filter = filter, .sort = PQ_TEXT("none"), .counts_only = true};
    struct pq_find *find;
    PQ_TRY(pq_find_open(table, snapshot, &request, alloc, &find, err));
    *count = find->order.ref_count;
    pqdb_code code = PQDB_OK;
    while (code == PQDB_OK && find->streams) {
        struct pq_scan_rows found;
        struct pq_hold *hold;
        code = pq_scan_ahead_step(&find->scan, &found, &hold, err);
        if (code != PQDB_OK || found.batch.count == 0) break;
        *count += found.batch.count;
    }
    pq_find_close(find);
    return code;
}
