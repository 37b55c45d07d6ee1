/// Goal: a trace behaves like a plain table of counters through touches, removals, freezes, runs,
/// merges, eviction and reopening; frozen rows stay as they were; every allocation may fail.
#include "state/trace.h"

#include <pthread.h>

#include "base/hash.h"
#include "support/memory_runs.h"
#include "support/test.h"

enum { KEYS = 3000 };

static struct pq_text key_of(uint32_t number, char room[static 32]) {
    // Some keys are long, so that blocks differ; all of them differ.
    const int length = snprintf(room, 32, number % 7 == 0 ? "a-longer-key-%u" : "k%u", number);
    return (struct pq_text){room, (size_t)length};
}

static uint64_t hash_of(struct pq_text key) {
    // Few distinct hashes in the low half: probing and equal hashes are exercised.
    const uint64_t hash = pq_hash(key.data, key.length);
    return hash % 5 == 0 ? hash % 64 * UINT64_C(0x9E3779B97F4A7C15) : hash;
}

static int64_t *value_of(struct pq_trace_row *row) {
    return (int64_t *)(void *)pq_trace_payload(row);
}

static int64_t get(struct pq_trace *trace, uint32_t number) {
    char room[32];
    struct pq_trace_row *row;
    const struct pq_text key = key_of(number, room);
    const struct pq_hashed_key hashed = {hash_of(key), key};
    const pqdb_code code = pq_trace_find(trace, &hashed, &row, NULL);
    CHECK(code == PQDB_OK, "find %u", number);
    return row == NULL ? 0 : *value_of(row);
}

static pqdb_code add(struct pq_trace *trace, uint32_t number, int64_t by, pqdb_error *err) {
    char room[32];
    struct pq_trace_row *row;
    bool created;
    const struct pq_text key = key_of(number, room);
    const struct pq_hashed_key hashed = {hash_of(key), key};
    PQ_TRY(pq_trace_touch(trace, &hashed, sizeof(int64_t), &row, &created, err));
    if (created) CHECK(*value_of(row) == 0, "a new row is zeroed");
    *value_of(row) += by;
    if (*value_of(row) == 0) pq_trace_remove(trace, row);
    return PQDB_OK;
}

static uint64_t random_state;
static uint32_t random_below(uint32_t bound) {
    random_state += UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(pq_hash_word(random_state) >> 32) % bound;
}

static void touch_makes_finds_and_removes(void) {
    struct pq_trace trace;
    pq_trace_init(&trace, PQ_TRACE_NEWEST_WINS, &pq_alloc_libc);
    CHECK(get(&trace, 1) == 0, "empty");
    CHECK(add(&trace, 1, 5, NULL) == PQDB_OK, "new");
    CHECK(add(&trace, 1, 2, NULL) == PQDB_OK, "again");
    CHECK(get(&trace, 1) == 7 && trace.live_rows == 1, "%ld", (long)get(&trace, 1));
    CHECK(add(&trace, 1, -7, NULL) == PQDB_OK, "to nothing");
    CHECK(get(&trace, 1) == 0 && trace.live_rows == 0, "gone");
    CHECK(add(&trace, 1, 3, NULL) == PQDB_OK && get(&trace, 1) == 3, "made anew");
    pq_trace_deinit(&trace);
}

static void resizing_keeps_what_was_there_and_clears_the_rest(void) {
    struct pq_trace trace;
    pq_trace_init(&trace, PQ_TRACE_NEWEST_WINS, &pq_alloc_libc);
    struct pq_trace_row *row;
    bool created;
    const struct pq_hashed_key key = {1, PQ_TEXT("key")};
    CHECK(pq_trace_touch(&trace, &key, 3, &row, &created, NULL) == PQDB_OK && created, "new");
    memcpy(pq_trace_payload(row), "abc", 3);
    for (size_t bytes = 4; bytes < 9000; bytes = bytes * 3 / 2) {
        CHECK(pq_trace_resize(&trace, &row, bytes, NULL) == PQDB_OK, "to %zu", bytes);
        CHECK(row->payload_bytes == bytes, "%u", row->payload_bytes);
        CHECK(memcmp(pq_trace_payload(row), "abc\0", 4) == 0, "at %zu", bytes);
        CHECK(pq_trace_payload(row)[bytes - 1] == 0, "at %zu", bytes);
    }
    struct pq_trace_row *found;
    CHECK(pq_trace_find(&trace, &key, &found, NULL) == PQDB_OK && found == row, "found");
    pq_trace_deinit(&trace);
}

static void a_frozen_part_shows_the_rows_as_they_were(void) {
    struct pq_trace trace;
    struct memory_runs runs;
    const struct pq_run_io io = memory_runs_init(&runs);
    pq_trace_init(&trace, PQ_TRACE_NEWEST_WINS, &pq_alloc_libc);
    for (uint32_t i = 0; i < 100; i++) add(&trace, i, 1, NULL);
    const struct pq_trace_frozen frozen = pq_trace_freeze(&trace);
    for (uint32_t i = 0; i < 50; i++) add(&trace, i, 10, NULL);
    for (uint32_t i = 50; i < 60; i++) add(&trace, i, -1, NULL);
    for (uint32_t i = 100; i < 120; i++) add(&trace, i, 1, NULL);

    const struct pq_run_place place = {&io, 7, &pq_alloc_libc};
    struct pq_run_name name;
    CHECK(pq_trace_write(&frozen, &place, &name, NULL) == PQDB_OK, "write");
    CHECK(name.id == 7 && name.rows == 100, "%llu rows", (unsigned long long)name.rows);
    struct pq_trace then;
    pq_trace_init(&then, PQ_TRACE_NEWEST_WINS, &pq_alloc_libc);
    CHECK(pq_trace_open(&then, &io, &name, 1, NULL) == PQDB_OK, "open");
    for (uint32_t i = 0; i < 120; i++) {
        CHECK(get(&then, i) == (i < 100), "then %u: %ld", i, (long)get(&then, i));
        CHECK(get(&trace, i) == (i < 50 ? 11 : i >= 60), "now %u: %ld", i, (long)get(&trace, i));
    }
    pq_trace_deinit(&then);
    pq_trace_deinit(&trace);
    memory_runs_deinit(&runs);
}

struct model {
    int64_t values[KEYS];
    struct pq_trace trace;
    struct memory_runs runs;
    struct pq_run_io io;
    uint64_t next_id;
};

static void checkpoint(struct model *model) {
    const struct pq_trace_frozen frozen = pq_trace_freeze(&model->trace);
    // The owner goes on while the keeper writes.
    const uint32_t number = random_below(KEYS);
    add(&model->trace, number, 4, NULL);
    model->values[number] += 4;
    const struct pq_run_place place = {&model->io, model->next_id++, &pq_alloc_libc};
    struct pq_run_name name;
    CHECK(pq_trace_write(&frozen, &place, &name, NULL) == PQDB_OK, "write");
    struct pq_run *run = NULL;
    if (name.rows > 0) {
        CHECK(pq_run_open(&model->io, &name, &pq_alloc_libc, &run, NULL) == PQDB_OK, "open");
    }
    CHECK(pq_trace_install(&model->trace, &frozen, run, NULL) == PQDB_OK, "install");
    pq_run_unref(run);
}

static void merge(struct model *model, size_t first, size_t count) {
    if (count == 0) return;
    const struct pq_run_merge given = {.runs = model->trace.runs + first, .count = count,
                                       .drop_dead = first + count == model->trace.run_count};
    const struct pq_run_place place = {&model->io, model->next_id++, &pq_alloc_libc};
    struct pq_run_name name;
    CHECK(pq_run_merge(&given, &place, &name, NULL) == PQDB_OK, "merge");
    struct pq_run *run = NULL;
    if (name.rows > 0) {
        CHECK(pq_run_open(&model->io, &name, &pq_alloc_libc, &run, NULL) == PQDB_OK, "open");
    }
    pq_trace_replace(&model->trace, first, count, run);
    pq_run_unref(run);
}

static void reopen(struct model *model) {
    // What is touched beside the checkpoint is lost, as it would be without the log's replay.
    int64_t before[KEYS];
    memcpy(before, model->values, sizeof before);
    checkpoint(model);
    memcpy(model->values, before, sizeof before);
    struct pq_run_name names[MEMORY_RUNS_MAX];
    const size_t count = model->trace.run_count;
    for (size_t i = 0; i < count; i++) names[i] = *pq_run_name(model->trace.runs[i]);
    pq_trace_deinit(&model->trace);
    pq_trace_init(&model->trace, PQ_TRACE_NEWEST_WINS, &pq_alloc_libc);
    CHECK(pq_trace_open(&model->trace, &model->io, names, count, NULL) == PQDB_OK, "reopen");
}

static pqdb_code count_row(void *ctx, const struct pq_run_row *row, pqdb_error *err) {
    (void)err;
    int64_t *totals = ctx;
    int64_t value;
    memcpy(&value, row->payload.data, sizeof value);
    totals[0]++;
    totals[1] += value;
    return PQDB_OK;
}

static void check_model(struct model *model) {
    int64_t want[2] = {0}, got[2] = {0};
    for (uint32_t i = 0; i < KEYS; i++) {
        const int64_t value = get(&model->trace, i);
        CHECK(value == model->values[i], "key %u: %ld, not %ld", i, (long)value,
              (long)model->values[i]);
        want[0] += model->values[i] != 0;
        want[1] += model->values[i];
    }
    CHECK(pq_trace_each(&model->trace, count_row, got, NULL) == PQDB_OK, "each");
    CHECK(got[0] == want[0] && got[1] == want[1], "%ld rows, not %ld", (long)got[0],
          (long)want[0]);
}

static void it_agrees_with_a_plain_table(void) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        random_state = seed;
        struct model *model = calloc(1, sizeof *model);
        model->io = memory_runs_init(&model->runs);
        pq_trace_init(&model->trace, PQ_TRACE_NEWEST_WINS, &pq_alloc_libc);
        for (int round = 0; round < 40; round++) {
            for (uint32_t i = random_below(400); i > 0; i--) {
                const uint32_t number = random_below(random_below(2) == 0 ? 50 : KEYS);
                const int64_t by = random_below(3) == 0 ? -model->values[number] : 1;
                if (by == 0) continue;
                model->values[number] += by;
                CHECK(add(&model->trace, number, by, NULL) == PQDB_OK, "add");
            }
            switch (random_below(8)) {
                case 0:
                case 1: checkpoint(model); break;
                case 2: pq_trace_evict(&model->trace, 20000, 500); break;
                case 5: pq_trace_tidy(&model->trace, random_below(600)); break;
                case 3: {
                    const size_t count = model->trace.run_count;
                    const size_t first = count > 0 ? random_below((uint32_t)count) : 0;
                    merge(model, first, count - first < 8 ? count - first : 8);
                    break;
                }
                case 4:
                    if (seed % 2 == 0) reopen(model);
                    break;
                default: break;
            }
            if (round % 10 == 9) check_model(model);
        }
        check_model(model);
        pq_trace_deinit(&model->trace);
        memory_runs_deinit(&model->runs);
        free(model);
    }
}

static void a_hot_state_does_not_grow_with_its_checkpoints(void) {
    struct model *model = calloc(1, sizeof *model);
    model->io = memory_runs_init(&model->runs);
    pq_trace_init(&model->trace, PQ_TRACE_NEWEST_WINS, &pq_alloc_libc);
    size_t bytes = 0;
    for (int round = 0; round < 30; round++) {
        for (uint32_t i = 0; i < 500; i++) add(&model->trace, i, 1, NULL);
        checkpoint(model);
        CHECK(pq_trace_tidy(&model->trace, SIZE_MAX) > 0, "it looked at everything");
        if (round == 3) bytes = model->trace.bytes_held;
        if (model->trace.run_count == 8) merge(model, 0, 8);
    }
    CHECK(model->trace.bytes_held <= bytes * 3 / 2, "%zu, was %zu", model->trace.bytes_held, bytes);
    pq_trace_deinit(&model->trace);
    memory_runs_deinit(&model->runs);
    free(model);
}

/// Goal: slabs in which little is left are emptied a bounded number of rows at a time, also while
/// the owner goes on and a part is written, into full slabs.
static void sparse_slabs_are_emptied_a_little_at_a_time(void) {
    enum { MANY = 60000, TURN = 2000, SLAB_ROWS = (1 << 20) / 56 };
    struct model *model = calloc(1, sizeof *model);
    struct pq_trace *trace = &model->trace;
    model->io = memory_runs_init(&model->runs);
    pq_trace_init(trace, PQ_TRACE_NEWEST_WINS, &pq_alloc_libc);
    for (uint32_t i = 0; i < MANY; i++) add(trace, i, 1, NULL);
    for (int round = 0; round < 2; round++) {
        checkpoint(model);
        // All but every tenth row leave their slabs.
        for (uint32_t i = 0; i < MANY && round == 0; i++) {
            if (i % 10 != 0) add(trace, i, 1, NULL);
        }
    }
    const size_t before = trace->bytes_held;
    size_t turns = 0, left = 0, held = before;
    for (; left == 0; turns++) {
        left = pq_trace_tidy(trace, TURN);
        CHECK(held - trace->bytes_held <= (TURN / SLAB_ROWS + 1) * ((1 << 20) + 4096) ||
                  held < trace->bytes_held,
              "a turn of %d rows gave %zu bytes back", TURN, held - trace->bytes_held);
        held = trace->bytes_held;
        CHECK(add(trace, (uint32_t)turns, 1, NULL) == PQDB_OK, "add");
    }
    CHECK(turns >= 4, "all was done in %zu turns", turns);
    CHECK(trace->bytes_held < before * 2 / 3, "%zu bytes of %zu are left", trace->bytes_held,
          before);
    for (uint32_t i = 0; i < MANY; i++) {
        int64_t want = 1 + (i % 10 != 0) + (i < turns);
        if (i < KEYS) want += model->values[i];
        CHECK(get(trace, i) == want, "key %u: %ld, not %ld", i, (long)get(trace, i), (long)want);
    }
    pq_trace_deinit(trace);
    memory_runs_deinit(&model->runs);
    free(model);
}

static pqdb_code life_of_a_trace(const struct pq_alloc *alloc, pqdb_error *err) {
    struct memory_runs runs;
    const struct pq_run_io io = memory_runs_init(&runs);
    struct pq_trace trace;
    pq_trace_init(&trace, PQ_TRACE_NEWEST_WINS, alloc);
    struct pq_run *run = NULL;
    pqdb_code code;
    for (uint32_t i = 0; i < 200; i++) PQ_GO(add(&trace, i, 1, err));
    for (uint64_t round = 0; round < 2; round++) {
        const struct pq_trace_frozen frozen = pq_trace_freeze(&trace);
        const struct pq_run_place place = {&io, round, alloc};
        struct pq_run_name name;
        PQ_GO(pq_trace_write(&frozen, &place, &name, err));
        PQ_GO(pq_run_open(&io, &name, alloc, &run, err));
        PQ_GO(pq_trace_install(&trace, &frozen, run, err));
        pq_run_unref(run);
        run = NULL;
        pq_trace_evict(&trace, 0, SIZE_MAX);
        for (uint32_t i = 100; i < 300; i++) PQ_GO(add(&trace, i, 1, err));
    }
    const struct pq_run_merge given = {.runs = trace.runs, .count = 2, .drop_dead = true};
    const struct pq_run_place place = {&io, 2, alloc};
    struct pq_run_name name;
    PQ_GO(pq_run_merge(&given, &place, &name, err));
    PQ_GO(pq_run_open(&io, &name, alloc, &run, err));
    pq_trace_replace(&trace, 0, 2, run);
    CHECK(name.rows == 300, "%llu", (unsigned long long)name.rows);
done:
    pq_run_unref(run);
    pq_trace_deinit(&trace);
    memory_runs_deinit(&runs);
    return code;
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void) {
    pqdb_code code = PQDB_NO_MEMORY;
    long fail_at = 0;
    for (; code == PQDB_NO_MEMORY; fail_at++) {
        struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
        failing.alloc.ctx = &failing;
        code = life_of_a_trace(&failing.alloc, NULL);
        CHECK(failing.live_bytes == 0, "fail_at %ld leaks %ld bytes", fail_at, failing.live_bytes);
    }
    CHECK(code == PQDB_OK && fail_at > 20, "stopped at %ld with code %d", fail_at, (int)code);
}

static void a_failing_store_is_reported(void) {
    struct model *model = calloc(1, sizeof *model);
    model->io = memory_runs_init(&model->runs);
    pq_trace_init(&model->trace, PQ_TRACE_NEWEST_WINS, &pq_alloc_libc);
    for (uint32_t i = 0; i < 1000; i++) {
        add(&model->trace, i, 1, NULL);
        model->values[i] = 1;
    }
    const struct pq_trace_frozen frozen = pq_trace_freeze(&model->trace);
    struct pq_run_name name;
    pqdb_code code = PQDB_IO;
    uint64_t id = 0;
    for (long calls = 0; code == PQDB_IO; calls++, id++) {
        model->runs.calls_left = calls;
        const struct pq_run_place place = {&model->io, id, &pq_alloc_libc};
        code = pq_trace_write(&frozen, &place, &name, NULL);
    }
    CHECK(code == PQDB_OK && id > 5 && name.rows == 1000, "after %d calls", (int)id);
    model->runs.calls_left = -1;
    check_model(model);
    pq_trace_deinit(&model->trace);
    memory_runs_deinit(&model->runs);
    free(model);
}

struct keeper {
    struct pq_trace_frozen frozen;
    struct pq_run_place place;
    struct pq_run_name name;
    pqdb_code code;
};

static void *write_frozen(void *ctx) {
    struct keeper *keeper = ctx;
    keeper->code = pq_trace_write(&keeper->frozen, &keeper->place, &keeper->name, NULL);
    return NULL;
}

/// Most telling under ThreadSanitizer.
static void the_owner_goes_on_while_a_part_is_written(void) {
    struct model *model = calloc(1, sizeof *model);
    model->io = memory_runs_init(&model->runs);
    random_state = 9;
    pq_trace_init(&model->trace, PQ_TRACE_NEWEST_WINS, &pq_alloc_libc);
    for (uint64_t round = 0; round < 6; round++) {
        struct keeper keeper = {.frozen = pq_trace_freeze(&model->trace),
                                .place = {&model->io, round, &pq_alloc_libc}};
        pthread_t thread;
        if (pthread_create(&thread, NULL, write_frozen, &keeper) != 0) abort();
        for (int i = 0; i < 5000; i++) {
            const uint32_t number = random_below(KEYS);
            const int64_t by = i % 5 == 0 ? -model->values[number] : 1;
            if (by == 0) continue;
            model->values[number] += by;
            CHECK(add(&model->trace, number, by, NULL) == PQDB_OK, "add");
        }
        pthread_join(thread, NULL);
        CHECK(keeper.code == PQDB_OK, "write");
        struct pq_run *run = NULL;
        if (keeper.name.rows > 0) {
            CHECK(pq_run_open(&model->io, &keeper.name, &pq_alloc_libc, &run, NULL) == PQDB_OK,
                  "open");
        }
        CHECK(pq_trace_install(&model->trace, &keeper.frozen, run, NULL) == PQDB_OK, "install");
        pq_run_unref(run);
        check_model(model);
    }
    pq_trace_deinit(&model->trace);
    memory_runs_deinit(&model->runs);
    free(model);
}

int main(void) {
    RUN(touch_makes_finds_and_removes);
    RUN(resizing_keeps_what_was_there_and_clears_the_rest);
    RUN(a_frozen_part_shows_the_rows_as_they_were);
    RUN(it_agrees_with_a_plain_table);
    RUN(a_hot_state_does_not_grow_with_its_checkpoints);
    RUN(sparse_slabs_are_emptied_a_little_at_a_time);
    RUN(every_failed_allocation_is_reported_and_leaks_nothing);
    RUN(a_failing_store_is_reported);
    RUN(the_owner_goes_on_while_a_part_is_written);
    return test_done();
}
