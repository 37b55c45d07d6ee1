/// Goal: files and runs of states are merged in the background while a writer creates, replaces and
/// deletes rows: no race (the tsan preset runs this), no row lost, none that comes back, exact
/// views, and few files; nothing half made stays.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/env.h"
#include "base/hash.h"
#include "db/checkpoint_internal.h"
#include "db/open_with.h"
#include "support/test.h"

enum { ROWS = 20000, LIVES = 3, CHECKPOINTS = 12, CREATED = 40, CHANGED = 8 };

static const char schema[] =
    "{ Item: { kind: 'string!', n: 'int!' },\n"
    "  Low: { $from: 'Item', $filter: { n: { $lt: 50 } }, $select: { n: '$n' } },\n"
    "  ByKind: { $from: 'Item', $groupBy: ['kind'], $compute: { rows: { $count: '*' },\n"
    "    sum: { $sum: 'n' } } } }";

static pqdb_error err;
static uint64_t dice = 5;
static int kept[ROWS];  // n of the row that is there, or -1
static unsigned created;

static unsigned roll(unsigned sides) { return (unsigned)(pq_hash_word(++dice) % sides); }

static void must(pqdb_code code) { CHECK(code == PQDB_OK, "%s: %s", err.subject, err.message); }

static void open_world(struct pq_store *store, pqdb_db **db) {
    const struct pq_open_with with = {.store = store, .location = "file:///world",
                                      .env = &pq_env_system, .alloc = &pq_alloc_libc,
                                      .merge_rows = 1, .cut_run_bytes = 1};
    const pqdb_options options = {.checkpoint_ms = 1};
    must(pq_db_open_with(&with, &options, db, &err));
}

static size_t print_row(char *out, size_t room, unsigned row) {
    kept[row] = (int)roll(100);
    return (size_t)snprintf(out, room, "{\"$id\":\"%06u\",\"kind\":\"k%u\",\"n\":%d}\n",
                            row * 7919 % 1000003, row % 5, kept[row]);
}

static atomic_bool stops;
static atomic_int checkpoints;

static void *checkpoint_on(void *ctx) {
    pqdb_error error = {0};
    while (!stops) {
        CHECK(pqdb_checkpoint(ctx, &error) == PQDB_OK, "%s: %s", error.subject, error.message);
        checkpoints++;
    }
    return NULL;
}

static void create_some(pqdb_db *db) {
    char text[CREATED * 80];
    size_t length = 0;
    for (int i = 0; i < CREATED; i++) {
        length += print_row(text + length, sizeof text - length, created++);
    }
    must(pqdb_create(db, "Item", text, length, NULL, NULL, &err));
}

static void change_some(pqdb_db *db) {
    const pqdb_write_options replace = {.on_conflict = "replace"};
    for (int i = 0; i < CHANGED; i++) {
        char text[80];
        const unsigned row = roll(created);
        if (kept[row] < 0 && roll(2) == 0) continue;
        if (kept[row] >= 0 && roll(3) == 0) {
            snprintf(text, sizeof text, "{ $id: '%06u' }", row * 7919 % 1000003);
            must(pqdb_delete(db, "Item", text, NULL, NULL, &err));
            kept[row] = -1;
        } else {
            const size_t length = print_row(text, sizeof text, row);
            must(pqdb_create(db, "Item", text, length, &replace, NULL, &err));
        }
    }
}

static void check(pqdb_db *db, const char *when) {
    uint64_t expected[2] = {0, 0}, count = 0;
    for (unsigned row = 0; row < created; row++) {
        expected[0] += kept[row] >= 0;
        expected[1] += kept[row] >= 0 && kept[row] < 50;
    }
    must(pqdb_count(db, "Item", NULL, &count, &err));
    CHECK(count == expected[0], "%s: %" PRIu64 " rows, not %" PRIu64, when, count, expected[0]);
    must(pqdb_count(db, "Low", NULL, &count, &err));
    CHECK(count == expected[1], "%s: %" PRIu64 " low, not %" PRIu64, when, count, expected[1]);
    for (int i = 0; i < 50; i++) {
        char filter[80];
        const unsigned row = roll(created);
        const unsigned id = row * 7919 % 1000003;
        if (kept[row] >= 0) {
            snprintf(filter, sizeof filter, "{ $id: '%06u', n: %d }", id, kept[row]);
        } else {
            snprintf(filter, sizeof filter, "{ $id: '%06u' }", id);
        }
        must(pqdb_count(db, "Item", filter, &count, &err));
        CHECK(count == (kept[row] >= 0), "%s: %s: %" PRIu64, when, filter, count);
    }
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        pqdb_verified verified;
        must(pqdb_view_verify(db, pqdb_view_name(db, i), NULL, NULL, &verified, &err));
        CHECK(verified.differences == 0, "%s: %s", when, pqdb_view_name(db, i));
    }
}

static size_t count_files(struct pq_store *store) {
    struct pq_arena arena;
    struct pq_store_list list;
    size_t count = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    must(pq_store_list(store, "Item/data", &arena, &list, &err));
    for (size_t i = 0; i < list.count; i++) {
        const struct pq_text name = list.entries[i].name;
        count += memmem(name.data, name.length, ".parquet", 8) != NULL &&
                 memmem(name.data, name.length, "delete", 6) == NULL;
    }
    pq_arena_deinit(&arena);
    return count;
}

static void merges_beside_a_writer(void) {
    struct pq_store *store;
    pqdb_db *db;
    created = 0;
    must(pq_store_open_memory(&pq_alloc_libc, &store, &err));
    const struct pq_open_with with = {.store = store, .location = "file:///world",
                                      .env = &pq_env_system, .alloc = &pq_alloc_libc};
    must(pq_db_init_with(&with, pq_text_of(schema), &err));
    for (int life = 0; life < LIVES; life++) {
        pthread_t thread;
        open_world(store, &db);
        stops = false;
        pthread_create(&thread, NULL, checkpoint_on, db);
        checkpoints = 0;
        while (checkpoints < CHECKPOINTS) {
            if (created + 2 * CREATED < ROWS) create_some(db);
            change_some(db);
        }
        check(db, "meanwhile");
        stops = true;
        pthread_join(thread, NULL);
        must(pqdb_close(db, &err));
        open_world(store, &db);
        check(db, "reopened");
        must(pqdb_close(db, &err));
    }
    open_world(store, &db);
    for (int i = 0; i < 10; i++) {
        change_some(db);
        must(pqdb_checkpoint(db, &err));
    }
    const size_t files = count_files(store);
    CHECK(files < 50, "%zu files are left", files);
    must(pqdb_close(db, &err));
    open_world(store, &db);
    check(db, "at the end");
    must(pqdb_close(db, &err));
    pq_store_destroy(store);
}

/// What the next checkpoint takes up is as old as the merge; what died since is dead in its root.
static void deaths_between_a_merge_and_its_checkpoint(void) {
    struct pq_store *store;
    pqdb_db *db;
    created = 0;
    must(pq_store_open_memory(&pq_alloc_libc, &store, &err));
    const struct pq_open_with with = {.store = store, .location = "file:///world",
                                      .env = &pq_env_system, .alloc = &pq_alloc_libc,
                                      .no_keeper = true, .merge_rows = 1};
    must(pq_db_init_with(&with, pq_text_of(schema), &err));
    must(pq_db_open_with(&with, NULL, &db, &err));
    for (int i = 0; i < 8; i++) {
        create_some(db);
        must(pq_db_checkpoint(db, true, &err));
    }
    bool merged = false;
    must(pq_db_merge_files(db, &merged, &err));
    CHECK(merged, "eight files are not merged");
    for (int i = 0; i < 5; i++) change_some(db);
    must(pq_db_checkpoint(db, true, &err));
    check(db, "taken up");
    must(pqdb_close(db, &err));
    must(pq_db_open_with(&with, NULL, &db, &err));
    check(db, "from the root");
    must(pqdb_close(db, &err));
    pq_store_destroy(store);
}

static void what_was_unfinished_goes_with_the_next_opening(void) {
    static const char path[] = "Item/data/00000000000000000001-00000001.parquet.9.links.new";
    struct pq_store *store;
    pqdb_db *db;
    struct pq_file *file = NULL;
    created = 0;
    must(pq_store_open_memory(&pq_alloc_libc, &store, &err));
    const struct pq_open_with with = {.store = store, .location = "file:///world",
                                      .env = &pq_env_system, .alloc = &pq_alloc_libc,
                                      .no_keeper = true};
    must(pq_db_init_with(&with, pq_text_of(schema), &err));
    must(pq_db_open_with(&with, NULL, &db, &err));
    create_some(db);
    must(pqdb_checkpoint(db, &err));
    must(pqdb_close(db, &err));
    must(pq_store_write_file(store, path, PQ_TEXT("half of it"), &err));
    must(pq_db_open_with(&with, NULL, &db, &err));
    CHECK(pq_file_open(store, path, PQ_OPEN_READ, &file, &err) == PQDB_NOT_FOUND, "it stays");
    check(db, "reopened");
    must(pqdb_close(db, &err));
    pq_file_close(file);
    pq_store_destroy(store);
}

int main(void) {
    RUN(what_was_unfinished_goes_with_the_next_opening);
    RUN(deaths_between_a_merge_and_its_checkpoint);
    RUN(merges_beside_a_writer);
    return test_done();
}
