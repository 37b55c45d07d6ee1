/// What a commit costs: one event of about 1.2 KB, written by the log and, in turn with it, by bare
/// pwrite + fdatasync into files filled with zeros, preallocated, and growing; what encoding costs
/// alone and by the thousand; how fast the log is read back.
///
///     log_bench [DIRECTORY] [COMMITS]
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "batch/builder.h"
#include "changelog/log.h"

enum { event_bytes = 1175, batch_rows = 1000, batches = 200, bare_bytes = 16 << 20 };

static const struct pq_field fields[] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}, .required = true},
    {.name = {"$seq", 4}, .type = {.kind = PQ_INT64}, .required = true},
    {.name = {"$type", 5}, .type = {.kind = PQ_TEXT}, .required = true},
    {.name = {"createdAt", 9}, .type = {.kind = PQ_TIMESTAMP}},
    {.name = {"updatedAt", 9}, .type = {.kind = PQ_TIMESTAMP}},
    {.name = {"version", 7}, .type = {.kind = PQ_INT64}},
    {.name = {"scriptName", 10}, .type = {.kind = PQ_TEXT}},
    {.name = {"outcome", 7}, .type = {.kind = PQ_TEXT}},
    {.name = {"eventTimestamp", 14}, .type = {.kind = PQ_TIMESTAMP}},
    {.name = {"event", 5}, .type = {.kind = PQ_BINARY}},
};
enum { column_count = sizeof fields / sizeof *fields };
static const struct pq_type type = {
    .kind = PQ_OBJECT, .field_count = column_count, .fields = fields};

static void must(pqdb_code code, const pqdb_error *err) {
    if (code == PQDB_OK) return;
    fprintf(stderr, "log_bench: %s\n", err->message);
    exit(EXIT_FAILURE);
}

static uint64_t now_ns(void) { return pq_env_system.monotonic_ns(NULL); }

/// Field names that repeat and values that mostly do not, as in a real event.
static void make_event(uint64_t n, char event[static event_bytes]) {
    static const char *const keys[] = {
        "\"url\":\"https://api.example.com/v1/orders/", "\"ray\":\"",
        "\"country\":\"DE\",\"colo\":\"FRA\",\"agent\":\"",
        "\"method\":\"GET\",\"status\":200,\"level\":\"log\",\"m\":\""};
    size_t used = 0;
    for (uint64_t part = 0; used < event_bytes; part++) {
        char text[160];
        const int length =
            snprintf(text, sizeof text, "%s%016" PRIx64 "\",%s%" PRIu64 "\",", keys[part % 4],
                     pq_hash_word(n * 64 + part), keys[(part + 1) % 4], pq_hash_word(n) % 1000);
        const size_t fits = event_bytes - used;
        memcpy(event + used, text, (size_t)length < fits ? (size_t)length : fits);
        used += (size_t)length;
    }
}

static struct pq_batch make_batch(uint64_t first, size_t rows, struct pq_arena *arena) {
    struct pq_builder builders[column_count];
    pqdb_error err;
    for (uint32_t k = 0; k < column_count; k++) {
        must(pq_builder_init(&builders[k], &fields[k].type, &arena->alloc, &err), &err);
    }
    for (size_t row = 0; row < rows; row++) {
        char id[32], script[32], event[event_bytes];
        const uint64_t n = first + row;
        const int64_t seq = (int64_t)row, created = 1700000000000000, version = 1;
        const int64_t at = created + (int64_t)(pq_hash_word(n) % 1000000);
        snprintf(id, sizeof id, "01hq%022" PRIx64, n);
        snprintf(script, sizeof script, "worker-%" PRIu64, pq_hash_word(n) % 20);
        make_event(n, event);
        pq_builder_append_bytes(&builders[0], id, 26, NULL);
        pq_builder_append_fixed(&builders[1], &seq, NULL);
        pq_builder_append_bytes(&builders[2], "TailEvents", 10, NULL);
        pq_builder_append_fixed(&builders[3], &created, NULL);
        pq_builder_append_fixed(&builders[4], &created, NULL);
        pq_builder_append_fixed(&builders[5], &version, NULL);
        pq_builder_append_bytes(&builders[6], script, strlen(script), NULL);
        const char *outcome = n % 50 == 0 ? "exception" : "ok";
        pq_builder_append_bytes(&builders[7], outcome, strlen(outcome), NULL);
        pq_builder_append_fixed(&builders[8], &at, NULL);
        pq_builder_append_bytes(&builders[9], event, event_bytes, NULL);
    }
    struct pq_batch batch;
    must(pq_builder_finish_batch(builders, &type, arena, &batch, &err), &err);
    return batch;
}

static int by_time(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void print_times(const char *what, uint64_t *times, size_t count) {
    qsort(times, count, sizeof *times, by_time);
    printf("%-44s p50 %7.1f  p99 %7.1f  p99.9 %7.1f  max %8.1f us\n", what,
           (double)times[count / 2] / 1e3, (double)times[count * 99 / 100] / 1e3,
           (double)times[count * 999 / 1000] / 1e3, (double)times[count - 1] / 1e3);
}

static const struct pq_type *type_of(void *ctx, uint32_t collection, uint32_t schema_id) {
    (void)ctx;
    return collection == 1 && schema_id == 0 ? &type : NULL;
}
static struct pq_variant_names *names_of(void *ctx, uint32_t collection) {
    (void)ctx;
    (void)collection;
    return NULL;
}

static pqdb_code count_rows(void *ctx, const struct pq_log_record *record, pqdb_error *err) {
    (void)err;
    for (size_t i = 0; i < record->rows_count; i++) *(size_t *)ctx += record->rows[i].batch.count;
    return PQDB_OK;
}

static size_t replayed;

static struct pq_log *open_log(struct pq_store *store) {
    const struct pq_log_options options = {.store = store,
                                           .directory = "log",
                                           .env = &pq_env_system,
                                           .alloc = &pq_alloc_libc};
    const struct pq_log_visitor visitor = {
        {.type = type_of, .names = names_of}, count_rows, &replayed};
    struct pq_log *log;
    pqdb_error err;
    must(pq_log_open(&options, &log, &err), &err);
    must(pq_log_replay(log, &visitor, &err), &err);
    return log;
}

static void append(struct pq_log *log, const struct pq_bytes *bytes, uint64_t first_seq) {
    const struct pq_log_part part = {pq_bytes_text(bytes), first_seq};
    const struct pq_log_commit commit = {.kind = PQ_LOG_COMMIT, .parts = &part, .part_count = 1};
    pqdb_error err;
    must(pq_log_append(log, &commit, 1, &err), &err);
}

enum bare_kind { BARE_FILLED, BARE_PREALLOCATED, BARE_GROWING, BARE_KINDS };

/// A file to write to without a database.
struct bare {
    int fd;
    uint64_t offset;
    uint64_t *times;
};

static struct bare open_bare(const char *directory, enum bare_kind kind, size_t commits) {
    static const char zeros[1 << 20];
    char path[600];
    struct bare bare = {.times = calloc(commits, sizeof *bare.times)};
    snprintf(path, sizeof path, "%s/bare-%d", directory, (int)kind);
    bare.fd = open(path, O_RDWR | O_CREAT, 0644);
    bool is_made = bare.fd >= 0 && bare.times != NULL;
    if (kind == BARE_PREALLOCATED) is_made = is_made && fallocate(bare.fd, 0, 0, bare_bytes) == 0;
    for (off_t at = 0; kind == BARE_FILLED && is_made && at < bare_bytes; at += 1 << 20) {
        is_made = pwrite(bare.fd, zeros, sizeof zeros, at) == (ssize_t)sizeof zeros;
    }
    if (!is_made || fsync(bare.fd) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    unlink(path);
    return bare;
}

static void write_bare(struct bare *bare, size_t commit, const struct pq_bytes *bytes) {
    const uint64_t start = now_ns();
    if (pwrite(bare->fd, bytes->data, bytes->length, (off_t)bare->offset) < 0 ||
        fdatasync(bare->fd) != 0) {
        abort();
    }
    bare->times[commit] = now_ns() - start;
    bare->offset += bytes->length;
}

/// One event a commit, in turn with bare writes of as many bytes.
static void bench_commits(struct pq_log *log, const char *directory, size_t commits) {
    static const char *const names[BARE_KINDS] = {"bare pwrite + fdatasync, filled with zeros",
                                                  "bare, preallocated", "bare, growing"};
    uint64_t *ours = calloc(commits, sizeof *ours);
    uint64_t encode_ns = 0;
    struct pq_arena arena;
    struct pq_bytes bytes;
    struct bare bare[BARE_KINDS];
    if (commits > bare_bytes / 2048) commits = bare_bytes / 2048;
    for (int k = 0; k < BARE_KINDS; k++) bare[k] = open_bare(directory, (enum bare_kind)k, commits);
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_bytes_init(&bytes, &pq_alloc_libc);
    for (size_t i = 0; i < commits; i++) {
        pq_arena_reset(&arena);
        const struct pq_log_rows rows = {
            .collection = 1, .rows_plus = 1, .batch = make_batch(i, 1, &arena)};
        bytes.length = 0;
        const uint64_t start = now_ns();
        must(pq_log_encode_rows(&rows, &bytes, NULL), NULL);
        const uint64_t encoded = now_ns();
        append(log, &bytes, i + 1);
        const uint64_t done = now_ns();
        ours[i] = done - start;
        encode_ns += encoded - start;
        while (pq_log_is_short(log)) must(pq_log_prepare(log, NULL), NULL);
        for (int k = 0; k < BARE_KINDS; k++) write_bare(&bare[k], i, &bytes);
    }
    printf("one event: %zu bytes of part, encoded in %.2f us\n", bytes.length,
           (double)encode_ns / 1e3 / (double)commits);
    print_times("encode + pq_log_append", ours, commits);
    for (int k = 0; k < BARE_KINDS; k++) {
        print_times(names[k], bare[k].times, commits);
        close(bare[k].fd);
        free(bare[k].times);
    }
    pq_bytes_deinit(&bytes);
    pq_arena_deinit(&arena);
    free(ours);
}

static void bench_batches(struct pq_log *log) {
    struct pq_arena arena;
    struct pq_bytes bytes;
    uint64_t encode_ns = 0, append_ns = 0, total = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_bytes_init(&bytes, &pq_alloc_libc);
    for (uint64_t i = 0; i < batches; i++) {
        pq_arena_reset(&arena);
        const struct pq_log_rows rows = {
            .collection = 1,
            .rows_plus = batch_rows,
            .batch = make_batch(i * batch_rows, batch_rows, &arena)};
        bytes.length = 0;
        const uint64_t start = now_ns();
        must(pq_log_encode_rows(&rows, &bytes, NULL), NULL);
        const uint64_t encoded = now_ns();
        append(log, &bytes, i + 1);
        append_ns += now_ns() - encoded;
        encode_ns += encoded - start;
        total += bytes.length;
    }
    const double rows = (double)batches * batch_rows;
    printf("%d events: encode %.2f us and %.0f bytes an event, append %.2f us an event\n",
           batch_rows, (double)encode_ns / 1e3 / rows, (double)total / rows,
           (double)append_ns / 1e3 / rows);
    pq_bytes_deinit(&bytes);
    pq_arena_deinit(&arena);
}

int main(int argc, char **argv) {
    char directory[512];
    snprintf(directory, sizeof directory, "%s/log-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    const size_t commits = argc > 2 ? strtoul(argv[2], NULL, 10) : 5000;
    struct pq_store *store;
    pqdb_error err;
    if (mkdtemp(directory) == NULL) {
        perror(directory);
        return EXIT_FAILURE;
    }
    must(pq_store_open_fs(directory, false, &pq_alloc_libc, &store, &err), &err);
    struct pq_log *log = open_log(store);
    bench_commits(log, directory, commits < 1000 ? 1000 : commits);
    bench_batches(log);
    must(pq_log_close(log, &err), &err);
    const uint64_t start = now_ns();
    log = open_log(store);
    const double seconds = (double)(now_ns() - start) / 1e9;
    printf("replay: %zu events, %.0f a second\n", replayed, (double)replayed / seconds);
    must(pq_log_close(log, &err), &err);
    for (int number = 1; number < 100; number++) {
        char path[32];
        snprintf(path, sizeof path, "log/%012d.log", number);
        pq_store_unlink(store, path, NULL);
    }
    pq_store_destroy(store);
    char path[600];
    snprintf(path, sizeof path, "%s/log", directory);
    rmdir(path);
    rmdir(directory);
    return EXIT_SUCCESS;
}
