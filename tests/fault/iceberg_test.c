/// Goal: whatever fails in a publish, a memory request, a call of the store, the power, the table
/// is readable as it was before or as it should be, and the next publish makes it right.
#include <inttypes.h>
#include <string.h>

#include "base/fail.h"
#include "support/fault_store.h"
#include "support/test.h"
#include "table/iceberg/iceberg.h"

enum { STEPS = 9, FILES_MAX = 64 };

static const struct pq_field fields[] = {
    {{"$id", 3}, {.kind = PQ_TEXT}, true, 1},
    {{"total", 5}, {.kind = PQ_FLOAT64}, false, 2},
};
static const struct pq_type schema = {.kind = PQ_OBJECT, .field_count = 2, .fields = fields};
static const struct pq_iceberg_column columns[] = {
    {1, 100, 10, 0, -1, {"a", 1}, {"zz", 2}},
    {2, 100, 10, 0, 0, {NULL, 0}, {NULL, 0}},
};

/// The files after step `step`: one more each time, every fourth step takes two away, every fifth
/// has a delete file.
struct content {
    struct pq_iceberg_file files[FILES_MAX];
    char paths[FILES_MAX][32];
    size_t count;
};

static void add_file(struct content *content, int number, enum pq_iceberg_content kind) {
    char *path = content->paths[content->count];
    snprintf(path, sizeof content->paths[0], "data/%d.parquet", number);
    content->files[content->count++] = (struct pq_iceberg_file){
        .content = kind, .path = pq_text_of(path), .row_count = number, .file_bytes = 100,
        .columns = columns, .column_count = 2};
}

static void content_at(int step, struct content *content) {
    content->count = 0;
    for (int i = 1; i <= step; i++) {
        const bool is_gone = (step >= 4 && i <= 2) || (step >= 8 && i <= 4);
        if (!is_gone) add_file(content, i, PQ_ICEBERG_DATA);
    }
    if (step >= 5) add_file(content, 100 + step / 5, PQ_ICEBERG_POSITION_DELETES);
}

static struct pq_iceberg_commit commit_of(int step, const struct content *content) {
    return (struct pq_iceberg_commit){
        .version = (uint64_t)step,
        .time_us = INT64_C(1790000000000000) + step * 1000000,
        .location = PQ_TEXT("file:///srv/db/Orders"),
        .schema = &schema,
        .key_field_id = 1,
        .files = content->files,
        .file_count = content->count,
        .snapshots_kept = 3,
    };
}

static pqdb_code publish(struct pq_iceberg *table, int step, pqdb_error *err) {
    struct content content;
    struct pq_iceberg_outcome outcome;
    struct pq_arena arena;
    content_at(step, &content);
    const struct pq_iceberg_commit commit = commit_of(step, &content);
    pq_arena_init(&arena, &pq_alloc_libc);
    const pqdb_code code = pq_iceberg_publish(table, &commit, &arena, &outcome, err);
    pq_arena_deinit(&arena);
    return code;
}

static pqdb_code open_table(struct pq_store *store, const struct pq_alloc *alloc,
                            struct pq_iceberg **table, pqdb_error *err) {
    return pq_iceberg_open(store, PQ_TEXT("Orders"), &pq_env_system, alloc, table, err);
}

static bool has_files_of(const struct pq_iceberg_view *view, int step) {
    struct content content;
    content_at(step, &content);
    size_t found = 0;
    for (size_t i = 0; i < view->file_count; i++) {
        for (size_t k = 0; k < content.count; k++) {
            found += pq_text_equal(view->files[i].path, content.files[k].path) &&
                     view->files[i].row_count == content.files[k].row_count;
        }
    }
    return view->file_count == content.count && found == content.count;
}

/// Readers that trust the hint must find what it names, whole.
static void check_hint(struct pq_store *store, const char *when, long at) {
    char path[64];
    struct pq_bytes hint, metadata;
    pq_bytes_init(&hint, &pq_alloc_libc);
    pq_bytes_init(&metadata, &pq_alloc_libc);
    if (pq_store_read_file(store, "Orders/metadata/version-hint.text", 20, &hint, NULL) ==
        PQDB_OK) {
        snprintf(path, sizeof path, "Orders/metadata/v%.*s.metadata.json",
                 PQ_TEXT_ARG(pq_bytes_text(&hint)));
        CHECK(pq_store_read_file(store, path, 1 << 20, &metadata, NULL) == PQDB_OK &&
                  metadata.length > 0 && metadata.data[metadata.length - 1] == '}',
              "%s %ld: the hint names %s", when, at, path);
    }
    pq_bytes_deinit(&hint);
    pq_bytes_deinit(&metadata);
}

/// The step that a fresh reader finds, or -1 when there is no table yet.
static int step_of(struct pq_store *store, const char *when, long at) {
    struct pq_iceberg *table = NULL;
    struct pq_iceberg_view view;
    struct pq_arena arena;
    pqdb_error err = {0};
    int step = -1;
    pq_arena_init(&arena, &pq_alloc_libc);
    pqdb_code code = open_table(store, &pq_alloc_libc, &table, &err);
    CHECK(code == PQDB_OK, "%s %ld: open: %s %s", when, at, err.subject, err.message);
    if (code == PQDB_OK) code = pq_iceberg_load(table, &arena, &view, &err);
    CHECK(code == PQDB_OK || code == PQDB_NOT_FOUND, "%s %ld: load: %s %s", when, at, err.subject,
          err.message);
    uint64_t version = 0;
    if (code == PQDB_OK && pq_iceberg_version(table, &version)) {
        step = (int)version;
        CHECK(has_files_of(&view, step), "%s %ld: other files than those of step %d", when, at,
              step);
    }
    pq_iceberg_close(table);
    pq_arena_deinit(&arena);
    check_hint(store, when, at);
    return step;
}

/// All steps, until one fails; tells the last that succeeded.
static int run_steps(struct pq_store *store) {
    struct pq_iceberg *table = NULL;
    if (open_table(store, &pq_alloc_libc, &table, NULL) != PQDB_OK) return 0;
    int done = 0;
    while (done < STEPS && publish(table, done + 1, NULL) == PQDB_OK) done++;
    pq_iceberg_close(table);
    return done;
}

static void after_a_loss_of_power_the_table_is_old_or_new(void) {
    struct fault_store *whole = fault_store_create();
    CHECK(run_steps(&whole->base) == STEPS, "without faults");
    const long calls = whole->calls;
    fault_store_destroy(whole);
    for (long at = 0; at < calls; at++) {
        for (int mode = 0; mode < 4; mode++) {
            struct fault_store *disk = fault_store_create();
            disk->down_at = at;
            const int done = run_steps(&disk->base);
            const enum fault_mode kind = mode < 2 ? (enum fault_mode)mode : FAULT_SOME_KEPT;
            struct fault_store *next =
                fault_store_crash(disk, kind, (uint64_t)(at * 4 + mode));
            fault_store_destroy(disk);
            const int step = step_of(&next->base, "power", at);
            const bool is_expected = step == done || step == done + 1 || (step == -1 && done == 0);
            CHECK(is_expected, "call %ld mode %d: step %d after %d done", at, mode, step, done);
            CHECK(run_steps(&next->base) == STEPS, "call %ld mode %d: goes on", at, mode);
            CHECK(step_of(&next->base, "again", at) == STEPS, "call %ld mode %d", at, mode);
            fault_store_destroy(next);
        }
    }
}

/// One call fails, and the same handle goes on.
static void after_a_failed_call_the_same_publish_succeeds(void) {
    for (long at = 0, is_reached = 1; is_reached; at++) {
        struct fault_store *disk = fault_store_create();
        struct pq_iceberg *table = NULL;
        disk->fail_at = at;
        disk->counts_reads = true;
        pqdb_error err = {0};
        pqdb_code code = open_table(&disk->base, &pq_alloc_libc, &table, &err);
        if (code != PQDB_OK) code = open_table(&disk->base, &pq_alloc_libc, &table, &err);
        CHECK(code == PQDB_OK, "call %ld: %s", at, err.message);
        for (int step = 1; step <= STEPS; step++) {
            code = publish(table, step, &err);
            if (code == PQDB_OK) continue;
            CHECK(code == PQDB_IO && err.message[0] != '\0', "call %ld: code %d", at, (int)code);
            const int seen = step_of(&disk->base, "call", at);
            CHECK(seen == step || seen == step - 1 || (seen == -1 && step == 1),
                  "call %ld: step %d seen in step %d", at, seen, step);
            code = publish(table, step, &err);
            CHECK(code == PQDB_OK, "call %ld: again: %s", at, err.message);
        }
        is_reached = disk->calls > at;
        disk->fail_at = -1;
        pq_iceberg_close(table);
        CHECK(step_of(&disk->base, "end", at) == STEPS, "call %ld", at);
        fault_store_destroy(disk);
    }
}

static pqdb_code publish_and_load(struct pq_store *store, const struct pq_alloc *alloc) {
    struct pq_iceberg *table = NULL;
    struct pq_iceberg_view view;
    struct pq_arena arena;
    PQ_TRY(open_table(store, alloc, &table, NULL));
    pqdb_code code = PQDB_OK;
    for (int step = 1; step <= STEPS && code == PQDB_OK; step++) code = publish(table, step, NULL);
    pq_arena_init(&arena, alloc);
    if (code == PQDB_OK) code = pq_iceberg_load(table, &arena, &view, NULL);
    pq_arena_deinit(&arena);
    pq_iceberg_close(table);
    return code;
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void) {
    pqdb_code code = PQDB_NO_MEMORY;
    long fail_at = 0;
    for (; code == PQDB_NO_MEMORY; fail_at++) {
        struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
        failing.alloc.ctx = &failing;
        struct pq_store *store = NULL;
        pq_store_open_memory(&pq_alloc_libc, &store, NULL);
        code = publish_and_load(store, &failing.alloc);
        CHECK(failing.live_bytes == 0, "fail_at %ld leaks %ld bytes", fail_at, failing.live_bytes);
        const int step = step_of(store, "memory", fail_at);
        CHECK(step >= -1 && step <= STEPS, "fail_at %ld", fail_at);
        CHECK(run_steps(store) == STEPS, "fail_at %ld: goes on", fail_at);
        pq_store_destroy(store);
    }
    CHECK(code == PQDB_OK && fail_at > 50, "stopped at %ld with code %d", fail_at, (int)code);
}

int main(void) {
    RUN(after_a_loss_of_power_the_table_is_old_or_new);
    RUN(after_a_failed_call_the_same_publish_succeeds);
    RUN(every_failed_allocation_is_reported_and_leaks_nothing);
    return test_done();
}
