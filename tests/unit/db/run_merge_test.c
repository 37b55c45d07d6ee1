/// Goal: runs of a large state are merged beside everything else: while a merge is under way
/// commits, answers and checkpoints go on, a checkpoint writes no more than what changed, smaller
/// merges go first, and the next checkpoint takes up what was made; of a state that is gone, or a
/// database that closes, nothing stays.
#include <inttypes.h>
#include <parquedb/view.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "db/checkpoint_internal.h"
#include "db/view_internal.h"
#include "support/db_calls.h"

enum { ROWS = 12000, FEW = 50 };

static const char schema[] =
    "{ T: { k: 'string!', n: 'int!' },\n"
    "  ByK: { $from: 'T', $groupBy: ['k'], $compute: { sum: { $sum: 'n' } } } }";

static pqdb_error err;

/// Rows [from, from + count), a group of a long key each.
static void put_rows(pqdb_db *db, unsigned from, unsigned count, int n) {
    const pqdb_write_options replace = {.on_conflict = "replace"};
    struct pq_bytes json;
    pq_bytes_init(&json, &pq_alloc_libc);
    for (unsigned i = from; i < from + count; i++) {
        MUST(pq_bytes_printf(&json, &err, "{\"$id\":\"%08u\",\"k\":\"%0120u\",\"n\":%d}\n", i, i,
                             n));
    }
    MUST(pqdb_create(db, "T", (const char *)json.data, json.length, &replace, NULL, &err));
    pq_bytes_deinit(&json);
}

/// Stops the merging thread in its first write to a run, behind opening and truncating it.
struct gate {
    pthread_t merger;
    int calls;             // the merger's own
    sem_t reached, open;
    uint64_t writer_runs;  // calls of the other thread that wrote to a run
};

static void at_gate(void *ctx, struct fault_store *disk, const char *path) {
    struct gate *gate = ctx;
    (void)disk;
    if (strstr(path, ".run") == NULL) return;
    if (!pthread_equal(pthread_self(), gate->merger)) {
        gate->writer_runs++;
        return;
    }
    if (++gate->calls != 3) return;
    sem_post(&gate->reached);
    sem_wait(&gate->open);
}

struct merging {
    struct gate *gate;
    pqdb_db *db;
    pqdb_code code;
    bool merged;
};

static void *merge(void *ctx) {
    struct merging *merging = ctx;
    pqdb_error error = {0};
    sem_wait(&merging->gate->open);
    merging->code = pq_db_merge_runs(merging->db, &merging->merged, &error);
    return NULL;
}

struct world {
    struct fault_store *disk;
    pqdb_db *db;
    struct gate gate;
    struct merging merging;
};

static struct pq_open_with with(struct fault_store *disk) {
    struct pq_open_with with = db_with(disk);
    with.cut_run_bytes = 1;
    return with;
}

/// Two runs of all groups; a merge of them is under way, and waits.
static void begin(struct world *world) {
    *world = (struct world){.disk = fault_store_create()};
    world->db = db_make(with(world->disk), schema);
    for (int round = 0; round < 2; round++) {
        for (unsigned from = 0; from < ROWS; from += ROWS / 4) {
            put_rows(world->db, from, ROWS / 4, round);
        }
        MUST(pq_db_checkpoint(world->db, true, &err));
    }
    CHECK(db_files(&world->disk->base, "_state") >= 3, "there are no two runs");
    sem_init(&world->gate.reached, 0, 0);
    sem_init(&world->gate.open, 0, 0);
    world->merging = (struct merging){.gate = &world->gate, .db = world->db};
    if (pthread_create(&world->gate.merger, NULL, merge, &world->merging) != 0) abort();
    world->disk->on_call = at_gate;
    world->disk->on_call_ctx = &world->gate;
    sem_post(&world->gate.open);
    sem_wait(&world->gate.reached);
}

static void go_on(struct world *world, pqdb_code code) {
    sem_post(&world->gate.open);
    pthread_join(world->gate.merger, NULL);
    world->disk->on_call = NULL;
    CHECK(world->merging.code == code, "the merge ended with %d", world->merging.code);
    CHECK(world->merging.merged == (code == PQDB_OK), "it merged");
}

static void end(struct world *world) {
    sem_destroy(&world->gate.reached);
    sem_destroy(&world->gate.open);
    db_end(world->db, world->disk);
}

static size_t count_runs(struct pq_store *store) {
    struct pq_arena arena;
    struct pq_store_list list;
    size_t count = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    MUST(pq_store_list(store, "_state", &arena, &list, &err));
    for (size_t i = 0; i < list.count; i++) {
        const struct pq_text name = list.entries[i].name;
        count += memmem(name.data, name.length, ".run", 4) != NULL;
    }
    pq_arena_deinit(&arena);
    return count;
}

static const struct pq_trace *state_of(pqdb_db *db) {
    size_t count;
    const struct pq_db_table *table = pq_db_find(db, PQ_TEXT("ByK"));
    return pq_node_parts(pq_db_node(db, table), &count)[0].trace;
}

static uint64_t sum_of(pqdb_db *db, unsigned row) {
    char filter[160];
    snprintf(filter, sizeof filter, "{ k: '%0120u', sum: 1000 }", row);
    return db_count(db, "ByK", filter);
}

static void all_go_on_while_a_large_merge_is_under_way(void) {
    struct world world;
    begin(&world);
    for (unsigned i = 0; i < 8; i++) {
        put_rows(world.db, i * FEW, FEW, 1000);
        CHECK(sum_of(world.db, i * FEW) == 1, "the view does not show the commit");
        MUST(pq_db_checkpoint(world.db, true, &err));
    }
    // A run is opened, truncated, written and synced twice; what is merged takes more.
    CHECK(world.gate.writer_runs == 8 * 5,
          "8 checkpoints wrote to runs %" PRIu64 " times", world.gate.writer_runs);
    CHECK(count_runs(&world.disk->base) == 2 + 1 + 8, "%zu runs", count_runs(&world.disk->base));
    go_on(&world, PQDB_OK);
    // The eight new ones were merged meanwhile: two merges wait for checkpoints.
    CHECK(count_runs(&world.disk->base) == 2 + 1 + 8 + 1, "%zu runs",
          count_runs(&world.disk->base));
    MUST(pq_db_checkpoint(world.db, false, &err));
    MUST(pq_db_checkpoint(world.db, false, &err));
    MUST(pq_db_checkpoint(world.db, false, &err));
    CHECK(count_runs(&world.disk->base) == 2, "%zu runs", count_runs(&world.disk->base));
    for (int life = 0; life < 2; life++) {
        CHECK(db_count(world.db, "ByK", NULL) == ROWS, "groups");
        CHECK(db_count(world.db, "ByK", "{ sum: 1000 }") == 8 * FEW, "groups of the last commits");
        db_verify(world.db, "ByK");
        // What is changed next is found in the runs.
        put_rows(world.db, (unsigned)life, ROWS / 4, 1);
        db_verify(world.db, "ByK");
        put_rows(world.db, 0, 8 * FEW, 1000);
        world.db = db_reopen(world.db, with(world.disk));
    }
    end(&world);
}

/// pqdb_checkpoint merges what is due itself, until nothing is.
static void a_checkpoint_that_is_asked_for_leaves_few_runs(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(with(disk), schema);
    for (unsigned i = 0; i < 12; i++) {
        put_rows(db, i * FEW, FEW, 1);
        MUST(pq_db_checkpoint(db, true, &err));
    }
    CHECK(count_runs(&disk->base) == 12, "%zu runs", count_runs(&disk->base));
    MUST(pqdb_checkpoint(db, &err));
    MUST(pqdb_checkpoint(db, &err));
    CHECK(count_runs(&disk->base) < 8, "%zu runs", count_runs(&disk->base));
    db_verify(db, "ByK");
    db_end(db, disk);
}

static void a_database_that_closes_does_not_wait_for_it(void) {
    struct world world;
    begin(&world);
    world.db->closes = true;
    go_on(&world, PQDB_CONFLICT);
    CHECK(count_runs(&world.disk->base) == 2, "%zu runs", count_runs(&world.disk->base));
    world.db = db_reopen(world.db, with(world.disk));
    db_verify(world.db, "ByK");
    end(&world);
}

static void of_a_view_that_is_gone_nothing_stays(void) {
    for (int is_done = 0; is_done < 2; is_done++) {
        struct world world;
        begin(&world);
        if (is_done) go_on(&world, PQDB_OK);
        MUST(pqdb_view_drop(world.db, "ByK", false, &err));
        MUST(pq_db_checkpoint(world.db, true, &err));
        if (!is_done) go_on(&world, PQDB_OK);
        put_rows(world.db, 0, 1, 7);
        MUST(pq_db_checkpoint(world.db, true, &err));
        MUST(pq_db_checkpoint(world.db, true, &err));
        CHECK(count_runs(&world.disk->base) == 0, "%zu runs", count_runs(&world.disk->base));
        end(&world);
    }
}

/// The root may be there although it could not be written: then what it names stays.
static void a_checkpoint_that_fails_takes_it_up_later(void) {
    struct world world;
    begin(&world);
    go_on(&world, PQDB_OK);
    for (long call = 0; call < 40; call++) {
        put_rows(world.db, 0, 1, (int)call);
        world.disk->fail_at = world.disk->calls + call;
        const pqdb_code code = pq_db_checkpoint(world.db, false, &err);
        world.disk->fail_at = -1;
        if (code == PQDB_OK) break;
        if (pq_db_checkpoint(world.db, false, &err) != PQDB_OK) {
            world.db = db_reopen(world.db, with(world.disk));
        }
        db_verify(world.db, "ByK");
    }
    world.db = db_reopen(world.db, with(world.disk));
    db_verify(world.db, "ByK");
    put_rows(world.db, 0, 1, 1000);
    MUST(pq_db_checkpoint(world.db, false, &err));
    MUST(pq_db_checkpoint(world.db, true, &err));
    const struct pq_trace *trace = state_of(world.db);
    CHECK(count_runs(&world.disk->base) == trace->run_count, "%zu runs, %zu are named",
          count_runs(&world.disk->base), trace->run_count);
    end(&world);
}

int main(void) {
    RUN(all_go_on_while_a_large_merge_is_under_way);
    RUN(a_checkpoint_that_is_asked_for_leaves_few_runs);
    RUN(a_database_that_closes_does_not_wait_for_it);
    RUN(of_a_view_that_is_gone_nothing_stays);
    RUN(a_checkpoint_that_fails_takes_it_up_later);
    return test_done();
}
