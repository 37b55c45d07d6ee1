/// Goal: a table is a list of rows with births and deaths. Whatever it does with them (copies them,
/// takes batches over, evacuates chunks, seals, writes files while more rows die), each snapshot
/// goes on showing exactly the rows of its version, by scan, by id, by place and by link.
#include "table/table.h"

#include <inttypes.h>
#include <string.h>

#include "base/hash.h"
#include "batch/builder.h"
#include "support/fault_store.h"
#include "support/test.h"
#include "table/data_file.h"
#include "table/fetch.h"
#include "table/merge.h"
#include "table/rewrite.h"
#include "table/scan.h"
#include "variant/variant.h"

enum { rows_max = 20000, snapshots_max = 24, steps = 60, column_count = 6 };
enum { target_count = 40, fetch_max = 60 };

static const struct pq_field list_fields[] = {
    {.name = {"element", 7}, .type = {.kind = PQ_INT64}, .id = 5}};
static const struct pq_field tag_fields[] = {
    {.name = {"element", 7}, .type = {.kind = PQ_TEXT}, .id = 8}};
static const struct pq_field fields[] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}, .required = true, .id = 1},
    {.name = {"$seq", 4}, .type = {.kind = PQ_INT64}, .required = true, .id = 2},
    {.name = {"n", 1}, .type = {.kind = PQ_INT64}, .id = 3},
    {.name = {"list", 4},
     .type = {.kind = PQ_LIST, .field_count = 1, .fields = list_fields}, .id = 4},
    {.name = {"to", 2}, .type = {.kind = PQ_TEXT}, .id = 6},
    {.name = {"tags", 4},
     .type = {.kind = PQ_LIST, .field_count = 1, .fields = tag_fields}, .id = 7},
};
static const struct pq_type type = {.kind = PQ_OBJECT, .field_count = column_count,
                                    .fields = fields};

struct row {
    unsigned id;
    uint64_t born, died;  // 0: alive
};

struct world {
    uint64_t dice;
    struct pq_table *table;
    struct pq_variant_names *names;
    struct fault_store *disk;
    struct row rows[rows_max];  // by creation; its place is n
    unsigned count, next_id, files, merges;
    uint64_t version;
    struct pq_table_snapshot *snapshots[snapshots_max];
    uint64_t versions[snapshots_max];
};

static pqdb_error err;

static unsigned roll(struct world *w, unsigned sides) {
    return (unsigned)(pq_hash_word(++w->dice) % sides);
}

static void must(pqdb_code code) { CHECK(code == PQDB_OK, "%s: %s", err.subject, err.message); }

static size_t print_id(unsigned id, char out[static 16]) {
    return (size_t)snprintf(out, 16, "%07u", id * 7919 % 1000003);
}

static bool is_live(const struct row *row, uint64_t version) {
    return row->born <= version && (row->died == 0 || row->died > version);
}

// ---- deltas -----------------------------------------------------------------------------------

/// Row n points to one target, or none, and is tagged with up to two.
static int target_of(int64_t n) { return n % 5 == 0 ? -1 : (int)(n * 7 % target_count); }
static int tag_of(int64_t n, int k) { return (int)(n * (k + 2) % (target_count / 2)); }

static void append_target(struct pq_builder *to, int target) {
    char text[16];
    const int length = snprintf(text, sizeof text, "target-%d", target);
    must(pq_builder_append_bytes(to, text, (size_t)length, &err));
}

/// What dies comes with weight -1 and only its `$id` filled in.
static void append(struct pq_builder columns[column_count], unsigned id, int64_t n) {
    char text[16];
    const size_t length = print_id(id, text);
    must(pq_builder_append_bytes(&columns[0], text, length, &err));
    must(pq_builder_append_fixed(&columns[1], &n, &err));
    must(pq_builder_append_fixed(&columns[2], &n, &err));
    if (target_of(n) < 0) {
        must(pq_builder_append_null(&columns[4], &err));
    } else {
        append_target(&columns[4], target_of(n));
    }
    for (int k = 0; k < n % 3; k++) append_target(&columns[5].children[0], tag_of(n, k));
    must(pq_builder_end_list(&columns[5], &err));
    if (n % 3 == 0) {
        must(pq_builder_append_null(&columns[3], &err));
        return;
    }
    const int64_t element = n * 2;
    must(pq_builder_append_fixed(&columns[3].children[0], &element, &err));
    must(pq_builder_end_list(&columns[3], &err));
}

static void apply(struct world *w, unsigned added, unsigned dying) {
    struct pq_hold *hold;
    struct pq_builder columns[column_count];
    struct pq_batch batch;
    must(pq_hold_create(&pq_alloc_libc, &hold, &err));
    for (int k = 0; k < column_count; k++) {
        must(pq_builder_init(&columns[k], &fields[k].type, &hold->arena.alloc, &err));
    }
    int64_t *weights = pq_arena_alloc(&hold->arena, (added + dying + 1) * sizeof *weights);
    unsigned count = 0;
    w->version++;
    for (unsigned i = 0; i < dying; i++) {
        struct row *row = w->count == 0 ? NULL : &w->rows[roll(w, w->count)];
        if (row == NULL || !is_live(row, w->version)) continue;
        row->died = w->version;
        append(columns, row->id, row - w->rows);
        weights[count++] = -1;
    }
    const bool only_added = count == 0;
    for (unsigned i = 0; i < added && w->count < rows_max; i++) {
        unsigned id = w->next_id++;
        // Now and then an id that died before lives again.
        const struct row *old = w->count == 0 ? NULL : &w->rows[roll(w, w->count)];
        bool taken = old == NULL || old->died == 0 || roll(w, 3) != 0;
        for (unsigned k = 0; !taken && k < w->count; k++) {
            taken = w->rows[k].id == old->id && w->rows[k].died == 0;
        }
        if (!taken) id = old->id;
        append(columns, id, w->count);
        w->rows[w->count++] = (struct row){.id = id, .born = w->version};
        weights[count++] = 1;
    }
    must(pq_builder_finish_batch(columns, &type, &hold->arena, &batch, &err));
    if (!only_added) batch.weights = weights;
    must(pq_table_apply(w->table, &batch, hold, w->version, &err));
    pq_hold_unref(hold);
}

// ---- snapshots --------------------------------------------------------------------------------

static void check_row(struct world *w, const struct pq_batch *batch, size_t at, bool *seen,
                      uint64_t version) {
    const int64_t n = ((const int64_t *)batch->columns[2].values)[at];
    char id[16];
    CHECK(n >= 0 && n < w->count && !seen[n], "row %" PRId64 " comes twice", n);
    if (n < 0 || n >= w->count) return;
    seen[n] = true;
    print_id(w->rows[n].id, id);
    CHECK(is_live(&w->rows[n], version), "row %" PRId64 " is not of version %" PRIu64, n, version);
    CHECK(pq_text_is(pq_column_text(&batch->columns[0], at), id), "row %" PRId64 " is not %s", n,
          id);
    const struct pq_column *list = &batch->columns[3];
    const bool is_null = list->valid != NULL && list->valid[at] == PQ_ROW_NULL;
    CHECK(is_null == (n % 3 == 0), "the list of row %" PRId64, n);
    if (is_null) return;
    const int64_t *elements = list->children[0].values;
    CHECK(list->offsets[at + 1] - list->offsets[at] == 1 && elements[list->offsets[at]] == n * 2,
          "the list of row %" PRId64, n);
}

/// The row that is live under this id, or -1.
static int64_t row_of(const struct world *w, unsigned id, uint64_t version) {
    for (unsigned i = 0; i < w->count; i++) {
        if (w->rows[i].id == id && is_live(&w->rows[i], version)) return i;
    }
    return -1;
}

static void check_get(struct world *w, struct pq_table_snapshot *snapshot, unsigned id,
                      uint64_t version) {
    struct pq_arena arena;
    struct pq_batch batch;
    char text[16];
    const int64_t expected = row_of(w, id, version);
    pq_arena_init(&arena, &pq_alloc_libc);
    const struct pq_text wanted = {text, print_id(id, text)};
    must(pq_table_get(snapshot, wanted, &pq_alloc_libc, &arena, &batch, &err));
    CHECK(batch.count == (expected >= 0), "%s: %zu rows at %" PRIu64, text, batch.count, version);
    if (batch.count == 1 && expected >= 0) {
        const int64_t n = ((const int64_t *)batch.columns[2].values)[0];
        CHECK(n == expected, "%s is row %" PRId64 ", not %" PRId64, text, n, expected);
    }
    pq_arena_deinit(&arena);
}

static void check_fetched(const struct pq_batch *batch, size_t at, int64_t n, const bool *wanted) {
    if (n < 0) {
        for (int k = 0; k < column_count; k++) {
            CHECK(pq_column_is_null(&batch->columns[k], at), "no row has a value in %d", k);
        }
        return;
    }
    CHECK(!wanted[2] || ((const int64_t *)batch->columns[2].values)[at] == n, "not row %" PRId64,
          n);
    CHECK(wanted[2] || pq_column_is_null(&batch->columns[2], at), "what nobody wanted");
    const struct pq_column *tags = &batch->columns[5];
    CHECK(!wanted[5] || tags->offsets[at + 1] - tags->offsets[at] == n % 3, "tags of %" PRId64, n);
    CHECK(pq_column_is_null(&batch->columns[4], at) == (!wanted[4] || target_of(n) < 0),
          "the target of %" PRId64, n);
    char target[16];
    snprintf(target, sizeof target, "target-%d", target_of(n));
    if (!wanted[4] || target_of(n) < 0) return;
    CHECK(pq_text_is(pq_column_text(&batch->columns[4], at), target), "not %s", target);
}

/// Some ids, known or not, some of them twice, with some of the columns.
static void check_fetch(struct world *w, struct pq_table_snapshot *snapshot, uint64_t version) {
    static char texts[fetch_max][16];
    struct pq_text ids[fetch_max];
    int64_t expected[fetch_max];
    struct pq_row_place places[fetch_max];
    bool wanted[column_count];
    const unsigned count = w->count == 0 ? 0 : roll(w, fetch_max);
    for (unsigned i = 0; i < count; i++) {
        const unsigned id = roll(w, 10) == 0 ? 999999 : w->rows[roll(w, w->count)].id;
        ids[i] = (struct pq_text){texts[i], print_id(id, texts[i])};
        expected[i] = row_of(w, id, version);
    }
    for (int k = 0; k < column_count; k++) wanted[k] = roll(w, 3) != 0;
    struct pq_arena arena;
    struct pq_batch batch;
    pq_arena_init(&arena, &pq_alloc_libc);
    must(pq_table_locate(snapshot, ids, count, places, &err));
    const struct pq_fetch fetch = {.snapshot = snapshot, .places = places, .count = count,
                                   .columns = wanted, .alloc = &pq_alloc_libc};
    must(pq_table_fetch(&fetch, &arena, &batch, &err));
    CHECK(batch.count == count && batch.weights == NULL, "%zu rows of %u", batch.count, count);
    for (unsigned i = 0; i < count; i++) {
        CHECK((places[i].segment == NULL) == (expected[i] < 0), "%s at %" PRIu64, texts[i],
              version);
        check_fetched(&batch, i, expected[i], wanted);
    }
    pq_arena_deinit(&arena);
}

/// Each row that has one of a few targets comes exactly once.
static void check_linked(struct world *w, struct pq_table_snapshot *snapshot, uint64_t version) {
    const uint32_t column = roll(w, 2) == 0 ? 4 : 5;
    char texts[4][16];
    struct pq_text targets[4];
    bool asked[target_count + 1] = {0};
    const unsigned count = roll(w, 5);
    for (unsigned i = 0; i < count; i++) {
        const unsigned target = roll(w, target_count + 1);
        asked[target] = true;
        targets[i].data = texts[i];
        targets[i].length = (size_t)snprintf(texts[i], sizeof texts[i], "target-%u", target);
    }
    size_t expected = 0;
    static bool is_expected[rows_max];
    for (unsigned n = 0; n < w->count; n++) {
        bool points = column == 4 && target_of(n) >= 0 && asked[target_of(n)];
        for (int k = 0; column == 5 && k < (int)(n % 3); k++) points |= asked[tag_of(n, k)];
        is_expected[n] = points && is_live(&w->rows[n], version);
        expected += is_expected[n];
    }
    struct pq_arena arena;
    struct pq_batch batch;
    struct pq_row_place *places;
    size_t place_count;
    pq_arena_init(&arena, &pq_alloc_libc);
    const struct pq_linked linked = {.snapshot = snapshot, .column = column, .targets = targets,
                                     .count = count, .alloc = &pq_alloc_libc};
    must(pq_table_linked(&linked, &arena, &places, &place_count, &err));
    CHECK(place_count == expected, "%zu rows instead of %zu at %" PRIu64, place_count, expected,
          version);
    const struct pq_fetch fetch = {.snapshot = snapshot, .places = places, .count = place_count,
                                   .alloc = &pq_alloc_libc};
    must(pq_table_fetch(&fetch, &arena, &batch, &err));
    for (size_t i = 0; i < place_count; i++) {
        const int64_t n = ((const int64_t *)batch.columns[2].values)[i];
        CHECK(is_expected[n], "row %" PRId64 " has no such target, or comes twice", n);
        is_expected[n] = false;
    }
    pq_arena_deinit(&arena);
}

static void check_snapshot(struct world *w, struct pq_table_snapshot *snapshot, uint64_t version) {
    static bool seen[rows_max];
    memset(seen, 0, sizeof seen);
    size_t expected = 0, count = 0;
    for (unsigned i = 0; i < w->count; i++) expected += is_live(&w->rows[i], version);
    struct pq_arena arena;
    struct pq_scan scan;
    struct pq_batch batch;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_scan_open(&scan, snapshot, NULL, &pq_alloc_libc);
    do {
        pq_arena_reset(&arena);
        must(pq_scan_next(&scan, &arena, &batch, &err));
        for (size_t i = 0; i < batch.count; i++) check_row(w, &batch, i, seen, version);
        count += batch.count;
    } while (batch.count > 0);
    pq_scan_close(&scan);
    pq_arena_deinit(&arena);
    CHECK(count == expected && snapshot->rows == expected,
          "version %" PRIu64 ": %zu rows and it says %zu, not %zu", version, count,
          snapshot->rows, expected);
    for (int i = 0; i < 3 && w->count > 0; i++) {
        check_get(w, snapshot, w->rows[roll(w, w->count)].id, version);
    }
    check_get(w, snapshot, 999999, version);
    for (int i = 0; i < 3; i++) {
        check_fetch(w, snapshot, version);
        check_linked(w, snapshot, version);
    }
}

static void keep_snapshot(struct world *w) {
    must(pq_table_publish(w->table, &err));
    const unsigned at = roll(w, snapshots_max);
    if (w->snapshots[at] != NULL) {
        check_snapshot(w, w->snapshots[at], w->versions[at]);
        pq_table_snapshot_unref(w->snapshots[at]);
    }
    w->snapshots[at] = pq_table_snapshot_ref(w->table->published);
    w->versions[at] = w->version;
}

// ---- files ------------------------------------------------------------------------------------

static struct pq_segment *segment_of(struct world *w, const char *path,
                                     const struct pq_rewritten *rewritten, uint64_t version) {
    if (rewritten->rows == 0) return NULL;
    const struct pq_data_file_options options = {
        .store = &w->disk->base, .path = pq_text_of(path), .bytes = rewritten->bytes,
        .rows = rewritten->rows, .type = &type, .alloc = &pq_alloc_libc};
    struct pq_data_file *file;
    struct pq_segment *segment;
    must(pq_data_file_create(&options, &file, &err));
    const struct pq_segment_file given = {.file = file, .rows = rewritten->rows,
                                          .version = version};
    must(pq_segment_create_file(&given, &pq_alloc_libc, &segment, &err));
    return segment;
}

/// Some or all segments into one file, with commits in between that kill rows being written.
static void write_a_file(struct world *w) {
    char path[64];
    struct pq_segment *old[rows_max / 16];
    size_t count = 0;
    must(pq_table_seal(w->table, &err));
    must(pq_table_publish(w->table, &err));
    struct pq_table_snapshot *snapshot = pq_table_snapshot_ref(w->table->published);
    const unsigned share = roll(w, 2);
    const bool merges = roll(w, 3) == 0;
    for (size_t i = 0; i < snapshot->catalog->count; i++) {
        struct pq_segment *segment = snapshot->catalog->segments[i];
        const bool take = merges ? segment->kind == PQ_SEGMENT_FILE
                                 : segment->kind == PQ_SEGMENT_CHUNK || roll(w, 2) == share;
        if (take) old[count++] = segment;
        segment->is_frozen = take;
    }
    if (count == 0) {
        pq_table_snapshot_unref(snapshot);
        return;
    }
    snprintf(path, sizeof path, "%u.parquet", w->files++);
    const struct pq_rewrite rewrite = {.snapshot = snapshot, .segments = old, .count = count,
                                       .store = &w->disk->base, .path = path,
                                       .alloc = &pq_alloc_libc};
    struct pq_rewritten rewritten;
    bool only_files = count > 0 && count <= PQ_MERGE_FILES_MAX;
    for (size_t i = 0; i < count; i++) {
        only_files = only_files && old[i]->kind == PQ_SEGMENT_FILE;
    }
    if (only_files) {
        const struct pq_merge merge = {.rewrite = rewrite};
        must(pq_table_merge(&merge, &rewritten, &err));
        w->merges++;
    } else {
        must(pq_table_rewrite(&rewrite, &rewritten, &err));
    }
    apply(w, roll(w, 30), roll(w, 200));
    if (roll(w, 2) == 0) keep_snapshot(w);
    // Sometimes nearly all of them, so that chunks would be evacuated if they were not frozen.
    apply(w, roll(w, 400), roll(w, 2) == 0 ? w->count * 4 : roll(w, 200));
    for (size_t i = 0; i < snapshot->catalog->count; i++) {
        snapshot->catalog->segments[i]->is_frozen = false;
    }
    const struct pq_table_swap swap = {
        .old = old, .moved = (const uint32_t *const *)rewritten.moved, .old_count = count,
        .fresh = segment_of(w, path, &rewritten, snapshot->version),
        .carried = snapshot->version + (only_files ? 1 : 0)};
    // A checkpoint carries the deaths up to its cut before the swap carries the rest.
    for (size_t i = 0; i < count && swap.fresh != NULL && only_files; i++) {
        const struct pq_table_carry carry = {.moved = rewritten.moved[i], .fresh = swap.fresh,
                                             .from = snapshot->version,
                                             .to = snapshot->version + 1};
        must(pq_table_carry_deaths(old[i], &carry, &err));
    }
    must(pq_table_swap(w->table, &swap, &err));
    pq_rewritten_deinit(&rewritten);
    pq_table_snapshot_unref(snapshot);
}

/// Dead rows of all files become bits, with commits in between.
static void fold_files(struct world *w) {
    must(pq_table_publish(w->table, &err));
    struct pq_table_snapshot *snapshot = pq_table_snapshot_ref(w->table->published);
    struct pq_segment *folded[rows_max / 16];
    const size_t count = snapshot->catalog->file_count;
    for (size_t i = 0; i < count; i++) {
        const struct pq_segment *segment = snapshot->catalog->segments[i];
        uint64_t dead[rows_max / 64 + 1];
        pq_segment_dead_bits(segment, snapshot->version, dead);
        must(pq_segment_fold(segment, snapshot->version, dead, &folded[i], &err));
    }
    apply(w, roll(w, 30), roll(w, 200));
    if (roll(w, 2) == 0) keep_snapshot(w);
    for (size_t i = 0; i < count; i++) {
        const struct pq_segment *old = snapshot->catalog->segments[i];
        const size_t bytes = folded[i]->died_bytes;
        CHECK(bytes == 0, "%zu bytes of deaths in a folded segment", bytes);
        must(pq_table_fold(w->table, old, folded[i], &err));
        CHECK(folded[i]->dead == old->dead, "%zu rows are dead, %zu were", folded[i]->dead,
              old->dead);
        pq_segment_unref(folded[i]);
    }
    pq_table_snapshot_unref(snapshot);
}

static unsigned run(uint64_t seed) {
    static struct world w;
    w = (struct world){.dice = seed * 100000, .disk = fault_store_create()};
    must(pq_variant_names_create(&pq_alloc_libc, &w.names, &err));
    const struct pq_table_options options = {.name = {"T", 1}, .type = &type, .names = w.names,
                                             .alloc = &pq_alloc_libc};
    must(pq_table_create(&options, &w.table, &err));
    for (int i = 0; i < steps; i++) {
        const unsigned what = roll(&w, 10);
        const bool adopts = roll(&w, 4) == 0;
        apply(&w, adopts ? 256 + roll(&w, 300) : roll(&w, 60), adopts ? 0 : roll(&w, 150));
        if (what < 6) keep_snapshot(&w);
        if (what == 6) must(pq_table_seal(w.table, &err));
        if (what == 7) write_a_file(&w);
        if (what == 8) fold_files(&w);
        const struct row *row = &w.rows[roll(&w, w.count + 1)];
        char id[16];
        bool has;
        must(pq_table_has(w.table, (struct pq_text){id, print_id(row->id, id)}, &has, &err));
    }
    keep_snapshot(&w);
    check_snapshot(&w, w.table->published, w.version);
    for (int i = 0; i < snapshots_max; i++) {
        if (w.snapshots[i] == NULL) continue;
        check_snapshot(&w, w.snapshots[i], w.versions[i]);
        pq_table_snapshot_unref(w.snapshots[i]);
    }
    pq_table_destroy(w.table);
    pq_variant_names_unref(w.names);
    fault_store_destroy(w.disk);
    return w.merges;
}

static void every_snapshot_keeps_its_rows(void) {
    unsigned merges = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) merges += run(seed);
    CHECK(merges > 20, "only %u merges of files", merges);
}

static void a_row_that_is_not_there_cannot_go(void) {
    struct pq_variant_names *names;
    struct pq_table *table;
    struct pq_hold *hold;
    struct pq_builder columns[column_count];
    struct pq_batch batch;
    const int64_t weights[] = {-1};
    must(pq_variant_names_create(&pq_alloc_libc, &names, &err));
    const struct pq_table_options options = {.name = {"Missing", 7}, .type = &type,
                                             .names = names, .alloc = &pq_alloc_libc};
    must(pq_table_create(&options, &table, &err));
    must(pq_hold_create(&pq_alloc_libc, &hold, &err));
    for (int k = 0; k < column_count; k++) {
        must(pq_builder_init(&columns[k], &fields[k].type, &hold->arena.alloc, &err));
    }
    append(columns, 5, 1);
    must(pq_builder_finish_batch(columns, &type, &hold->arena, &batch, &err));
    batch.weights = weights;
    CHECK(pq_table_apply(table, &batch, hold, 1, &err) == PQDB_CORRUPT &&
              strcmp(err.subject, "Missing") == 0, "%s: %s", err.subject, err.message);
    pq_hold_unref(hold);
    pq_table_destroy(table);
    pq_variant_names_unref(names);
}

int main(void) {
    RUN(every_snapshot_keeps_its_rows);
    RUN(a_row_that_is_not_there_cannot_go);
    return test_done();
}
