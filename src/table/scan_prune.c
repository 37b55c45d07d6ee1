/// table/scan_prune.c: what bounds, page index, bloom filters and dictionaries leave of a row
/// group.
#include "base/fail.h"
#include "parquet/inspect.h"
#include "table/scan_internal.h"

/// The pages of a column that the filter asks for, and the one at hand.
struct walk {
    size_t leaf;
    struct pq_parquet_pages pages;
    size_t page;
};

struct prune {
    struct pq_scan *scan;
    const struct pq_data_file *file;
    const struct pq_parquet_file *reader;
    size_t group;
    bool by_paths;   // columns behind the table's are its shredded paths
    size_t leaves;
    bool *asked;  // leaves of which the filter wanted to know
    struct pq_parquet_dictionary *dictionaries;  // by leaf
    struct walk *walks;  // NULL while the whole group is judged
    size_t walk_count;
};

// ---- facts --------------------------------------------------------------------------------------

static bool is_real(enum pq_kind kind) { return kind == PQ_FLOAT32 || kind == PQ_FLOAT64; }

/// `rows` of them have these bounds.
static void know(enum pq_kind kind, const struct pq_parquet_bounds *bounds, uint64_t rows,
                 struct pq_known *known) {
    const bool counted = bounds->null_count >= 0;
    *known = (struct pq_known){
        .may_null = !counted || bounds->null_count > 0,
        .may_value = !counted || (uint64_t)bounds->null_count < rows};
    if (kind == PQ_VARIANT) {
        known->may_null = true;  // a value may be the null of JSON
        known->may_other = known->may_value;
        return;
    }
    known->may_nan = is_real(kind) && bounds->nan_count != 0;
    known->has_min = bounds->has_min;
    known->has_max = bounds->has_max;
    known->min = bounds->min;
    known->max = bounds->max;
}

/// Where the file has a column of the table, a member inside it or, behind these, a shredded path.
struct spot {
    bool is_missing;  // nowhere: all of it is null
    bool is_widened;  // since the file was written: hashes are those of narrower values
    int leaf;         // -1: nothing is known of it
    int rest;         // of a path: the leaf of values of other kinds than the first one's; or -1
    enum pq_kind kind;  // of the table's column or member, or of the path's leaf
};

static struct spot spot_of_path(const struct prune *prune, const struct pq_shred *shred) {
    struct spot spot = {.leaf = -1, .rest = -1};
    struct pq_shred_place place;
    const enum pq_shred_presence presence =
        pq_scan_find_shred(prune->file, prune->reader, shred, &place);
    spot.is_missing = presence == PQ_SHRED_MISSING;
    if (presence != PQ_SHRED_KEPT) return spot;
    spot.leaf = pq_parquet_leaf(prune->reader, place.typed);
    if (place.rest != UINT32_MAX) spot.rest = pq_parquet_leaf(prune->reader, place.rest);
    spot.kind = pq_parquet_type(prune->reader)->fields[place.typed].type.kind;
    return spot;
}

/// The member with an id, or UINT32_MAX.
static uint32_t member_with(const struct pq_type *object, int32_t id) {
    for (uint32_t k = 0; k < object->field_count; k++) {
        if (object->fields[k].id == id && id != 0) return k;
    }
    return UINT32_MAX;
}

/// Of the table's column `at`, or down from there.
static struct spot spot_of_column(const struct prune *prune, const struct pq_known_at *at) {
    enum { depth_max = 16 };
    struct spot spot = {.leaf = -1, .rest = -1};
    uint32_t members[depth_max];
    const uint32_t field = prune->file->fields[at->column];
    const struct pq_type *wanted = &prune->file->options.type->fields[at->column].type;
    spot.is_missing = field == PQ_NO_FIELD;
    spot.kind = wanted->kind;
    if (spot.is_missing || at->step_count > depth_max) return spot;
    const struct pq_type *stored = &pq_parquet_type(prune->reader)->fields[field].type;
    for (size_t k = 0; k < at->step_count; k++) {
        const uint32_t own = pq_known_member(at, k);
        if (wanted->kind != PQ_OBJECT || stored->kind != PQ_OBJECT) return spot;
        if (own >= wanted->field_count) return spot;
        const struct pq_field *member = &wanted->fields[own];
        members[k] = member_with(stored, member->id);
        wanted = &member->type;
        spot.kind = wanted->kind;
        spot.is_missing = members[k] == UINT32_MAX;
        if (spot.is_missing) return spot;
        stored = &stored->fields[members[k]].type;
    }
    spot.leaf = pq_parquet_member_leaf(prune->reader, field, members, at->step_count);
    spot.is_widened = stored->kind != wanted->kind;
    return spot;
}

static struct spot spot_of(const struct prune *prune, const struct pq_known_at *at) {
    const struct pq_shreds *shreds = prune->scan->snapshot->shreds;
    if (at->column < prune->file->options.type->field_count) return spot_of_column(prune, at);
    if (!prune->by_paths) return (struct spot){.leaf = -1, .rest = -1};
    return spot_of_path(prune, &shreds->items[at->column - shreds->first]);
}

/// Values of other kinds: in the group.
static void know_rest(const struct prune *prune, const struct spot *spot,
                      struct pq_known *known) {
    struct pq_parquet_bounds bounds;
    pq_parquet_group_bounds(prune->reader, prune->group, (size_t)spot->rest, &bounds);
    const uint64_t rows = pq_parquet_group_rows(prune->reader, prune->group);
    known->may_other = bounds.null_count < 0 || (uint64_t)bounds.null_count < rows;
    known->may_value = known->may_value || known->may_other;
}

static void know_spot(const struct prune *prune, const struct spot *spot, const struct walk *walk,
                      struct pq_known *known) {
    struct pq_parquet_bounds bounds;
    *known = (struct pq_known){.may_null = true, .may_value = !spot->is_missing,
                               .may_nan = !spot->is_missing, .may_other = !spot->is_missing};
    if (spot->leaf < 0) return;
    uint64_t rows = pq_parquet_group_rows(prune->reader, prune->group);
    if (walk == NULL) {
        pq_parquet_group_bounds(prune->reader, prune->group, (size_t)spot->leaf, &bounds);
    } else {
        rows = walk->pages.pages[walk->page].row_count;
        pq_parquet_page_bounds(prune->reader, prune->group, walk->leaf, walk->page, &bounds);
    }
    know(spot->kind, &bounds, rows, known);
    if (spot->rest >= 0) know_rest(prune, spot, known);
}

static pqdb_code known(void *ctx, const struct pq_known_at *at, struct pq_known *out,
                       pqdb_error *err) {
    const struct prune *prune = ctx;
    const struct spot spot = spot_of(prune, at);
    const struct walk *walk = NULL;
    (void)err;
    for (size_t i = 0; i < prune->walk_count && spot.leaf >= 0; i++) {
        if (prune->walks[i].leaf == (size_t)spot.leaf) walk = &prune->walks[i];
    }
    if (spot.leaf >= 0) prune->asked[spot.leaf] = true;
    know_spot(prune, &spot, walk, out);
    return PQDB_OK;
}

static pqdb_code may_hold(void *ctx, const struct pq_known_at *at, const struct pq_value *value,
                          bool *may, pqdb_error *err) {
    const struct prune *prune = ctx;
    const struct spot spot = spot_of(prune, at);
    const int leaf = spot.leaf;
    *may = !spot.is_missing;
    if (leaf < 0 || spot.is_widened) return PQDB_OK;
    PQ_TRY(pq_parquet_may_hold(prune->reader, prune->group, (size_t)leaf, value, may, err));
    if (!*may) return PQDB_OK;
    struct pq_parquet_dictionary *dictionary = &prune->dictionaries[leaf];
    dictionary->file = prune->reader;
    dictionary->group = prune->group;
    dictionary->leaf = (size_t)leaf;
    dictionary->arena = &prune->scan->group_arena;
    return pq_parquet_dictionary_holds(dictionary, value, may, err);
}

// ---- the cut ------------------------------------------------------------------------------------

/// Of rows [first, first + count) of the group: all its pages must be beyond.
static bool is_beyond(const struct prune *prune, const struct pq_scan_cut *cut, uint64_t first,
                      uint64_t count) {
    struct pq_known of;
    struct pq_parquet_pages pages;
    const struct pq_known_at at = {.column = cut->column};
    const struct spot spot = spot_of(prune, &at);
    know_spot(prune, &spot, NULL, &of);
    if (cut->is_beyond(cut->ctx, &of)) return true;
    const int leaf = spot.leaf;
    if (leaf < 0 || pq_parquet_pages(prune->reader, prune->group, (size_t)leaf, &pages, NULL) !=
                        PQDB_OK || !pages.has_bounds) {
        return false;
    }
    size_t low = 0, high = pages.count;
    while (low + 1 < high) {
        const size_t middle = low + (high - low) / 2;
        *(pages.pages[middle].first_row <= first ? &low : &high) = middle;
    }
    struct walk walk = {.leaf = (size_t)leaf, .pages = pages, .page = low};
    for (; walk.page < pages.count; walk.page++) {
        if (pages.pages[walk.page].first_row >= first + count) break;
        know_spot(prune, &spot, &walk, &of);
        if (!cut->is_beyond(cut->ctx, &of)) return false;
    }
    return true;
}

bool pq_scan_is_cut(const struct pq_scan *scan, const struct pq_scan_task *task) {
    const struct pq_scan_cut *cut = scan->options.cut;
    if (cut == NULL || task->segment->kind != PQ_SEGMENT_FILE) return false;
    const struct prune prune = {.scan = (struct pq_scan *)(uintptr_t)scan,
                                .file = task->segment->file,
                                .reader = task->segment->file->reader, .group = task->group};
    return is_beyond(&prune, cut, task->first - task->group_first, task->count);
}

// ---- groups and pages ---------------------------------------------------------------------------

/// Which condition is to blame is looked for only when somebody wants to know.
static pqdb_code blame(const struct prune *prune, const struct pq_facts *facts, uint64_t rows,
                       pqdb_error *err) {
    const struct pq_scan_options *options = &prune->scan->options;
    if (options->counts == NULL || options->counts->skipped == NULL) return PQDB_OK;
    const struct pq_program *program = options->filter->program;
    const size_t count = pq_program_condition_count(program);
    uint32_t guilty = 0;
    for (; guilty < count; guilty++) {
        enum pq_verdict verdict;
        PQ_TRY(pq_program_judge(program, guilty, facts, &verdict, err));
        if ((verdict & PQ_MAY_BE_TRUE) == 0) break;
    }
    options->counts->skipped[guilty] += rows;
    return PQDB_OK;
}

/// Rows [from, to) of the group may match.
static void add_range(struct pq_scan *scan, uint64_t from, uint64_t to) {
    const uint64_t first = scan->current.group_first + from;
    if (scan->range_count > 0) {
        struct pq_scan_range *last = &scan->ranges[scan->range_count - 1];
        if (last->first + last->count == first) {
            last->count += to - from;
            return;
        }
    }
    scan->ranges[scan->range_count++] = (struct pq_scan_range){first, to - from};
}

/// The leaves that were asked for and have bounds by page. *room: pages in all.
static pqdb_code find_walks(struct prune *prune, size_t *room, pqdb_error *err) {
    struct pq_arena *arena = &prune->scan->group_arena;
    size_t count = 0;
    *room = 1;
    struct walk *walks = pq_arena_alloc(arena, (prune->leaves + 1) * sizeof *walks);
    if (walks == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    for (size_t leaf = 0; leaf < prune->leaves; leaf++) {
        if (!prune->asked[leaf]) continue;
        struct walk walk = {.leaf = leaf};
        PQ_TRY(pq_parquet_pages(prune->reader, prune->group, walk.leaf, &walk.pages, err));
        if (!walk.pages.has_bounds || walk.pages.count < 2) continue;
        *room += walk.pages.count;
        walks[count++] = walk;
    }
    prune->walks = walks;
    prune->walk_count = count;
    return PQDB_OK;
}

/// Step behind row `from`: the first row at which one of the columns begins another page.
static uint64_t next_edge(const struct prune *prune, uint64_t rows) {
    uint64_t edge = rows;
    for (size_t i = 0; i < prune->walk_count; i++) {
        const struct walk *walk = &prune->walks[i];
        const struct pq_parquet_page *page = &walk->pages.pages[walk->page];
        const uint64_t end = page->first_row + page->row_count;
        if (end < edge) edge = end;
    }
    return edge;
}

static void step_to(struct prune *prune, uint64_t row) {
    for (size_t i = 0; i < prune->walk_count; i++) {
        struct walk *walk = &prune->walks[i];
        while (walk->page + 1 < walk->pages.count &&
               walk->pages.pages[walk->page + 1].first_row <= row) {
            walk->page++;
        }
    }
}

static pqdb_code choose_pages(struct prune *prune, const struct pq_facts *facts, uint64_t rows,
                              pqdb_error *err) {
    struct pq_scan *scan = prune->scan;
    const struct pq_program *program = scan->options.filter->program;
    size_t room;
    PQ_TRY(find_walks(prune, &room, err));
    scan->ranges = pq_arena_alloc(&scan->group_arena, room * sizeof *scan->ranges);
    if (scan->ranges == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    for (uint64_t row = 0, edge; row < rows; row = edge) {
        enum pq_verdict verdict;
        step_to(prune, row);
        edge = next_edge(prune, rows);
        if (edge <= row) edge = rows;  // an index that makes no sense skips nothing
        PQ_TRY(pq_program_judge(program, PQ_WHOLE_FILTER, facts, &verdict, err));
        if ((verdict & PQ_MAY_BE_TRUE) != 0) {
            add_range(scan, row, edge);
        } else {
            PQ_TRY(blame(prune, facts, edge - row, err));
        }
    }
    return PQDB_OK;
}

static pqdb_code choose_all(struct pq_scan *scan, uint64_t rows, pqdb_error *err) {
    scan->ranges = pq_arena_alloc(&scan->group_arena, sizeof *scan->ranges);
    if (scan->ranges == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    if (rows > 0) add_range(scan, 0, rows);
    return PQDB_OK;
}

pqdb_code pq_scan_choose_ranges(struct pq_scan *scan, const struct pq_parquet_file *reader,
                                pqdb_error *err) {
    const struct pq_scan_filter *filter = scan->options.filter;
    struct prune prune = {.scan = scan, .file = scan->current.segment->file, .reader = reader,
                          .group = scan->current.group};
    const uint64_t rows = pq_parquet_group_rows(reader, prune.group);
    if (filter == NULL || filter->program == NULL) return choose_all(scan, rows, err);
    prune.by_paths = filter->by_paths;
    prune.leaves = pq_parquet_leaf_count(reader);
    prune.asked = pq_arena_calloc(&scan->group_arena, prune.leaves + 1, sizeof *prune.asked);
    prune.dictionaries =
        pq_arena_calloc(&scan->group_arena, prune.leaves + 1, sizeof *prune.dictionaries);
    if (prune.asked == NULL || prune.dictionaries == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a scan");
    }
    const struct pq_facts facts = {.known = known, .may_hold = may_hold, .ctx = &prune};
    enum pq_verdict verdict;
    PQ_TRY(pq_program_judge(filter->program, PQ_WHOLE_FILTER, &facts, &verdict, err));
    if ((verdict & PQ_MAY_BE_TRUE) == 0) return blame(&prune, &facts, rows, err);
    scan->current.is_certain = (verdict & PQ_MAY_BE_FALSE) == 0;
    if (scan->current.is_certain) return choose_all(scan, rows, err);
    const struct pq_facts of_pages = {.known = known, .ctx = &prune};
    return choose_pages(&prune, &of_pages, rows, err);
}
