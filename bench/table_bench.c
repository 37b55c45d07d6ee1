/// Rows that change, in a table of orders: look-ups by id, rows by id and by link, updates; with
/// the rows in memory and in files. Times of the CPU, in one run: a scale and not a promise.
///
///     table_bench [ROWS [DIRECTORY]]
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "batch/builder.h"
#include "table/data_file.h"
#include "table/fetch.h"
#include "table/page_cache.h"
#include "table/rewrite.h"
#include "variant/variant.h"

enum { BATCH_ROWS = 1000, COLUMNS = 8, LINKED = 1000, CUSTOMER = 2, ASKED = 2000 };

static const struct pq_alloc *const heap = &pq_alloc_libc;
static const struct pq_field fields[COLUMNS] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}, .required = true, .id = 1},
    {.name = {"$seq", 4}, .type = {.kind = PQ_INT64}, .required = true, .id = 2},
    {.name = {"customer", 8}, .type = {.kind = PQ_TEXT}, .id = 3},
    {.name = {"status", 6}, .type = {.kind = PQ_TEXT}, .id = 4},
    {.name = {"total", 5}, .type = {.kind = PQ_FLOAT64}, .id = 5},
    {.name = {"placed", 6}, .type = {.kind = PQ_TIMESTAMP}, .id = 6},
    {.name = {"note", 4}, .type = {.kind = PQ_TEXT}, .id = 7},
    {.name = {"version", 7}, .type = {.kind = PQ_INT64}, .id = 8},
};
static const struct pq_type type = {.kind = PQ_OBJECT, .field_count = COLUMNS, .fields = fields};

static pqdb_error err;
static size_t row_count = 1000000;
static uint64_t version;

static void must(pqdb_code code) {
    if (code == PQDB_OK) return;
    fprintf(stderr, "table_bench: %s: %s\n", err.subject, err.message);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

// ---- rows ---------------------------------------------------------------------------------------

/// Scattered, so that neighbours in a batch are none in a file.
static struct pq_text order_id(char out[static 32], size_t row) {
    const uint64_t name = pq_hash_word(row + 1);
    return (struct pq_text){out, (size_t)snprintf(out, 32, "order-%016" PRIx64, name)};
}

static struct pq_text customer_id(char out[static 32], size_t customer) {
    return (struct pq_text){out, (size_t)snprintf(out, 32, "customer-%08zu", customer)};
}

static void put(struct pq_builder *column, struct pq_text text) {
    must(pq_builder_append_bytes(column, text.data, text.length, &err));
}

static void append(struct pq_builder *columns, size_t row) {
    static const char *const status[] = {"new", "paid", "sent", "done"};
    char text[64];
    const int64_t seq = (int64_t)row, placed = (int64_t)(1700000000 + row) * 1000000;
    const int64_t changes = (int64_t)version;
    const double total = (double)(pq_hash_word(row) % 100000) / 100;
    put(&columns[0], order_id(text, row));
    must(pq_builder_append_fixed(&columns[1], &seq, &err));
    put(&columns[CUSTOMER], customer_id(text, pq_hash_word(row * 3) % (row_count / LINKED + 1)));
    put(&columns[3], pq_text_of(status[pq_hash_word(row * 5 + version) % 4]));
    must(pq_builder_append_fixed(&columns[4], &total, &err));
    must(pq_builder_append_fixed(&columns[5], &placed, &err));
    snprintf(text, sizeof text, "to be left at door %zu", row % 977);
    put(&columns[6], pq_text_of(text));
    must(pq_builder_append_fixed(&columns[7], &changes, &err));
}

/// Rows [first, first + count), or replace `count` at random.
static double commit(struct pq_table *table, size_t first, size_t count, bool replaces) {
    struct pq_hold *hold;
    struct pq_builder columns[COLUMNS];
    struct pq_batch batch;
    must(pq_hold_create(heap, &hold, &err));
    for (int k = 0; k < COLUMNS; k++) {
        must(pq_builder_init(&columns[k], &fields[k].type, &hold->arena.alloc, &err));
    }
    int64_t *weights = pq_arena_alloc(&hold->arena, 2 * count * sizeof *weights);
    size_t rows = 0;
    version++;
    for (int in = replaces ? 0 : 1; in < 2; in++) {
        for (size_t i = 0; i < count; i++) {
            const size_t at = replaces ? pq_hash_word(version) + i * 997 : first + i;
            append(columns, at % row_count);
            weights[rows++] = in == 0 ? -1 : 1;
        }
    }
    must(pq_builder_finish_batch(columns, &type, &hold->arena, &batch, &err));
    if (replaces) batch.weights = weights;
    const double start = now();
    must(pq_table_apply(table, &batch, hold, version, &err));
    must(pq_table_publish(table, &err));
    const double took = now() - start;
    pq_hold_unref(hold);
    return took;
}

// ---- figures ------------------------------------------------------------------------------------

static int compare_times(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static void report(const char *what, double *times, size_t count) {
    qsort(times, count, sizeof *times, compare_times);
    printf("%-46s p50 %9.2f us   p99 %9.2f us   max %9.2f us\n", what, times[count / 2],
           times[count * 99 / 100], times[count - 1]);
}

static void measure_single(struct pq_table_snapshot *snapshot, const char *what, size_t spread) {
    static double locate[ASKED], fetch[ASKED];
    struct pq_arena arena;
    pq_arena_init(&arena, heap);
    char title[64];
    for (size_t i = 0; i < ASKED; i++) {
        char text[32];
        const struct pq_text id =
            order_id(text, pq_hash_word(i * 31 % (spread == 0 ? ASKED : spread)) % row_count);
        struct pq_row_place place;
        struct pq_batch batch;
        pq_arena_reset(&arena);
        const double start = now();
        must(pq_table_locate(snapshot, &id, 1, &place, &err));
        const double middle = now();
        const struct pq_fetch asked = {.snapshot = snapshot, .places = &place, .count = 1,
                                       .alloc = heap};
        must(pq_table_fetch(&asked, &arena, &batch, &err));
        fetch[i] = now() - middle;
        locate[i] = middle - start;
        if (place.segment == NULL) exit(1);
    }
    snprintf(title, sizeof title, "%s: locate one id", what);
    report(title, locate, ASKED);
    snprintf(title, sizeof title, "%s: fetch one row", what);
    report(title, fetch, ASKED);
    pq_arena_deinit(&arena);
}

static void measure_missing(struct pq_table_snapshot *snapshot, const char *what) {
    static char texts[BATCH_ROWS][32];
    static struct pq_text ids[BATCH_ROWS];
    static struct pq_row_place places[BATCH_ROWS];
    char title[64];
    double times[20];
    for (size_t round = 0; round < 20; round++) {
        for (size_t i = 0; i < BATCH_ROWS; i++) {
            ids[i] = order_id(texts[i], row_count * 2 + round * BATCH_ROWS + i);
        }
        const double start = now();
        must(pq_table_locate(snapshot, ids, BATCH_ROWS, places, &err));
        times[round] = now() - start;
    }
    snprintf(title, sizeof title, "%s: 1000 ids that are not there", what);
    report(title, times, 20);
}

static void measure_linked(struct pq_table_snapshot *snapshot, const char *what, int rounds) {
    double linked[40], fetch[40];
    struct pq_arena arena;
    pq_arena_init(&arena, heap);
    char title[64];
    size_t found = 0;
    for (int i = 0; i < rounds; i++) {
        char text[32];
        const struct pq_text id =
            customer_id(text, pq_hash_word((uint64_t)i + 7) % (row_count / LINKED + 1));
        struct pq_row_place *places;
        struct pq_batch batch;
        size_t count;
        pq_arena_reset(&arena);
        const struct pq_linked asked = {.snapshot = snapshot, .column = CUSTOMER, .targets = &id,
                                        .count = 1, .alloc = heap};
        const double start = now();
        must(pq_table_linked(&asked, &arena, &places, &count, &err));
        linked[i] = now() - start;
        const struct pq_fetch rows = {.snapshot = snapshot, .places = places, .count = count,
                                      .alloc = heap};
        must(pq_table_fetch(&rows, &arena, &batch, &err));
        fetch[i] = now() - start - linked[i];
        found += count;
    }
    snprintf(title, sizeof title, "%s: %zu rows by link", what, found / (size_t)rounds);
    report(title, linked, (size_t)rounds);
    snprintf(title, sizeof title, "%s: fetch them", what);
    report(title, fetch, (size_t)rounds);
    pq_arena_deinit(&arena);
}

static void measure_updates(struct pq_table *table, const char *what) {
    static double times[2000];
    char title[64];
    for (size_t i = 0; i < 2000; i++) times[i] = commit(table, 0, 1, true);
    snprintf(title, sizeof title, "%s: apply an update of one row", what);
    report(title, times, 2000);
    for (size_t i = 0; i < 100; i++) times[i] = commit(table, 0, BATCH_ROWS, true);
    snprintf(title, sizeof title, "%s: apply updates of 1000 rows", what);
    report(title, times, 100);
}

// ---- files --------------------------------------------------------------------------------------

static void write_file(struct pq_table *table, struct pq_store *store,
                       struct pq_page_cache *pages) {
    must(pq_table_seal(table, &err));
    must(pq_table_publish(table, &err));
    struct pq_table_snapshot *snapshot = pq_table_snapshot_ref(table->published);
    const struct pq_catalog *catalog = snapshot->catalog;
    const struct pq_rewrite rewrite = {.snapshot = snapshot, .segments = catalog->segments,
                                       .count = catalog->count, .store = store,
                                       .path = "orders.parquet", .alloc = heap};
    struct pq_rewritten rewritten;
    const double start = now();
    must(pq_table_rewrite(&rewrite, &rewritten, &err));
    printf("a file of %" PRIu64 " rows, %" PRIu64 " bytes, written in %.0f ms\n", rewritten.rows,
           rewritten.bytes, (now() - start) / 1e3);
    const struct pq_data_file_options options = {
        .store = store, .path = PQ_TEXT("orders.parquet"), .bytes = rewritten.bytes,
        .rows = rewritten.rows, .type = &type, .pages = pages, .alloc = heap};
    struct pq_data_file *file;
    must(pq_data_file_create(&options, &file, &err));
    const double beside = now();
    must(pq_table_write_beside(snapshot, file, NULL, &err));
    printf("its filter of ids and its links: %.0f ms\n", (now() - beside) / 1e3);
    const struct pq_segment_file given = {.file = file, .rows = rewritten.rows,
                                          .version = version};
    struct pq_table_swap swap = {.old = catalog->segments,
                                 .moved = (const uint32_t *const *)rewritten.moved,
                                 .old_count = catalog->count};
    must(pq_segment_create_file(&given, heap, &swap.fresh, &err));
    must(pq_table_swap(table, &swap, &err));
    must(pq_table_publish(table, &err));
    pq_rewritten_deinit(&rewritten);
    pq_table_snapshot_unref(snapshot);
}

int main(int argc, char **argv) {
    if (argc > 1) row_count = strtoull(argv[1], NULL, 10);
    const char *directory = argc > 2 ? argv[2] : ".";
    struct pq_variant_names *names;
    struct pq_table *table;
    struct pq_store *store;
    struct pq_page_cache *pages;
    must(pq_store_open_fs(directory, false, heap, &store, &err));
    must(pq_variant_names_create(heap, &names, &err));
    const struct pq_table_options options = {.name = PQ_TEXT("Order"), .type = &type,
                                             .names = names, .alloc = heap};
    must(pq_table_create(&options, &table, &err));
    double total = 0;
    for (size_t row = 0; row < row_count; row += BATCH_ROWS) {
        total += commit(table, row, BATCH_ROWS, false);
    }
    printf("%zu rows in batches of %d: %.0f ns a row\n", row_count, BATCH_ROWS,
           total / (double)row_count * 1e3);
    measure_single(table->published, "memory", 0);
    measure_missing(table->published, "memory");
    measure_linked(table->published, "memory, no index", 3);
    measure_updates(table, "memory");
    measure_linked(table->published, "memory", 40);
    must(pq_page_cache_create(256 << 20, heap, &pages, &err));
    write_file(table, store, pages);
    measure_single(table->published, "file, cold", 0);
    measure_single(table->published, "file, warm", 50);
    measure_missing(table->published, "file");
    measure_linked(table->published, "file, cold", 3);
    measure_linked(table->published, "file", 10);
    measure_updates(table, "file");
    pq_table_destroy(table);
    pq_page_cache_destroy(pages);
    pq_variant_names_unref(names);
    pq_store_unlink(store, "orders.parquet", NULL);
    pq_store_unlink(store, "orders.parquet.3.links", NULL);
    pq_store_unlink(store, "orders.parquet.ids", NULL);
    pq_store_destroy(store);
    return 0;
}
