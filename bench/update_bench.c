/// What changing one row costs: an update of an order by id, durable, with three views on the
/// collection (rows, groups, a view on the groups' source by another key), in turn with a bare
/// pwrite + fdatasync of as many bytes; then deletes, several writers at once, and updates of many
/// rows; last how fast a log of updates is replayed.
///
///     update_bench [DIRECTORY] [ROWS] [UPDATES]
#include <fcntl.h>
#include <inttypes.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/hash.h"

enum { frame_bytes = 1024, writers = 16, create_rows = 5000 };

static const char schema[] =
    "{ Order: { customer: 'string!', status: 'string!', total: 'decimal(10,2)!', n: 'int!',\n"
    "           note: 'string', day: 'date' },\n"
    "  Paid: { $from: 'Order', $filter: { status: 'paid' } },\n"
    "  ByStatus: { $from: 'Order', $groupBy: ['status'], $compute: { rows: { $count: '*' },\n"
    "    sum: { $sum: 'total' }, low: { $min: 'n' }, high: { $max: 'n' } } },\n"
    "  ByDay: { $from: 'Order', $groupBy: [{ day: '$day' }], $compute: { rows: { $count: '*' },\n"
    "    sum: { $sum: 'total' } } } }";

static void must(pqdb_code code, const pqdb_error *err, const char *what) {
    if (code == PQDB_OK) return;
    fprintf(stderr, "update_bench: %s: %s: %s\n", what, err->subject, err->message);
    exit(EXIT_FAILURE);
}

static uint64_t now_ns(void) { return pq_env_system.monotonic_ns(NULL); }

static int compare(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void show(const char *what, uint64_t *took_ns, size_t count) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += took_ns[i];
    qsort(took_ns, count, sizeof *took_ns, compare);
    printf("%-34s p50 %7.1f  p99 %8.1f  p99.9 %8.1f us  %8.0f/s\n", what,
           (double)took_ns[count / 2] / 1e3, (double)took_ns[count * 99 / 100] / 1e3,
           (double)took_ns[count * 999 / 1000] / 1e3, (double)count * 1e9 / (double)total);
}

static void create_orders(pqdb_db *db, size_t rows) {
    const size_t capacity = create_rows * 200;
    char *text = malloc(capacity);
    pqdb_error err;
    for (size_t first = 0; first < rows; first += create_rows) {
        size_t length = 0;
        for (size_t i = first; i < first + create_rows && i < rows; i++) {
            length += (size_t)snprintf(
                text + length, capacity - length,
                "{\"$id\":\"o%07zu\",\"customer\":\"c%zu\",\"status\":\"%s\",\"total\":%zu.25,"
                "\"n\":%zu,\"note\":\"order number %zu\",\"day\":\"2026-01-%02zu\"}\n",
                i, i % 1000, i % 3 == 0 ? "paid" : "open", i % 997, i % 1013, i, i % 28 + 1);
        }
        must(pqdb_create(db, "Order", text, length, NULL, NULL, &err), &err, "create");
    }
    free(text);
}

static uint64_t update_one(pqdb_db *db, uint64_t number, size_t rows) {
    char id[32], operators[128];
    const uint64_t row = pq_hash_word(number) % rows;
    snprintf(id, sizeof id, "o%07" PRIu64, row);
    snprintf(operators, sizeof operators,
             "{\"$set\":{\"status\":\"%s\"},\"$inc\":{\"total\":1.5,\"n\":1}}",
             number % 2 == 0 ? "paid" : "open");
    const pqdb_edit edit = {.where = id, .operators = operators};
    pqdb_error err;
    const uint64_t began = now_ns();
    must(pqdb_update(db, "Order", &edit, NULL, NULL, &err), &err, "update");
    return now_ns() - began;
}

static void bench_single(pqdb_db *db, const char *directory, size_t rows, size_t count) {
    char path[600], block[frame_bytes] = {1};
    snprintf(path, sizeof path, "%s/bare", directory);
    const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || posix_fallocate(file, 0, (off_t)(count * frame_bytes)) != 0) exit(1);
    uint64_t *updates = malloc(count * sizeof *updates), *bare = malloc(count * sizeof *bare);
    for (size_t i = 0; i < 200; i++) update_one(db, i, rows);
    for (size_t i = 0; i < count; i++) {
        updates[i] = update_one(db, i, rows);
        const uint64_t began = now_ns();
        if (pwrite(file, block, sizeof block, (off_t)(i * frame_bytes)) < 0) exit(1);
        if (fdatasync(file) != 0) exit(1);
        bare[i] = now_ns() - began;
    }
    show("update by id, 3 views", updates, count);
    show("bare 1 KiB write + fdatasync", bare, count);
    free(updates);
    free(bare);
    close(file);
    unlink(path);
}

struct writer {
    pqdb_db *db;
    size_t number, count, rows;
};

static void *write_many(void *ctx) {
    const struct writer *writer = ctx;
    for (size_t i = 0; i < writer->count; i++) {
        update_one(writer->db, writer->number * 1000003 + i, writer->rows);
    }
    return NULL;
}

static void bench_writers(pqdb_db *db, size_t rows, size_t count) {
    pthread_t threads[writers];
    struct writer each[writers];
    const uint64_t began = now_ns();
    for (size_t i = 0; i < writers; i++) {
        each[i] = (struct writer){db, i + 1, count / writers, rows};
        pthread_create(&threads[i], NULL, write_many, &each[i]);
    }
    for (size_t i = 0; i < writers; i++) pthread_join(threads[i], NULL);
    printf("%-34s %8.0f/s\n", "updates by id, 16 writers",
           (double)(count / writers * writers) * 1e9 / (double)(now_ns() - began));
}

static void bench_many(pqdb_db *db, size_t rows) {
    pqdb_error err;
    pqdb_written written;
    const pqdb_edit edit = {.where = "{ n: { $lt: 100 } }", .operators = "{ $inc: { n: 2000 } }"};
    uint64_t began = now_ns();
    must(pqdb_update(db, "Order", &edit, NULL, &written, &err), &err, "update");
    printf("update of %7" PRIu64 " rows of %zu       %8.0f rows/s\n", written.changed, rows,
           (double)written.changed * 1e9 / (double)(now_ns() - began));
    began = now_ns();
    must(pqdb_delete(db, "Order", "{ n: { $gte: 2000 } }", NULL, &written, &err), &err, "delete");
    printf("delete of %7" PRIu64 " rows               %8.0f rows/s\n", written.removed,
           (double)written.removed * 1e9 / (double)(now_ns() - began));
}

/// The log of everything since the checkpoint, as a crash leaves it.
static void bench_replay(const char *path, uint64_t changes) {
    pqdb_db *db;
    pqdb_error err;
    const pqdb_options options = {.read_only = true};
    const uint64_t began = now_ns();
    must(pqdb_open(path, &options, &db, &err), &err, "open");
    const double seconds = (double)(now_ns() - began) / 1e9;
    printf("%-34s %8.0f rows/s (%.2f s)\n", "replay of old and new rows", (double)changes / seconds,
           seconds);
    must(pqdb_close(db, &err), &err, "close");
}

int main(int argc, char **argv) {
    const char *directory = argc > 1 ? argv[1] : ".";
    const size_t rows = argc > 2 ? strtoull(argv[2], NULL, 10) : 100000;
    const size_t count = argc > 3 ? strtoull(argv[3], NULL, 10) : 20000;
    char path[600];
    pqdb_error err;
    pqdb_db *db;
    const pqdb_options options = {.checkpoint_ms = -1, .checkpoint_log_bytes = UINT64_C(1) << 40};
    snprintf(path, sizeof path, "%s/update_bench.db", directory);
    must(pqdb_init(path, schema, strlen(schema), NULL, NULL, &err), &err, "init");
    must(pqdb_open(path, &options, &db, &err), &err, "open");
    create_orders(db, rows);
    bench_single(db, directory, rows, count);
    must(pqdb_checkpoint(db, &err), &err, "checkpoint");
    puts("rows in files:");
    bench_single(db, directory, rows, count);
    bench_writers(db, rows, count);
    bench_replay(path, 2 * (2 * count + 200));
    bench_many(db, rows);
    must(pqdb_close(db, &err), &err, "close");
    return EXIT_SUCCESS;
}
