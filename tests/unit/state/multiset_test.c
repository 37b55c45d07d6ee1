/// Goal: a multiset is what a plain list of (group, value, weight) says, whichever way it is
/// walked, wherever its pieces lie: open, sorted, merged, frozen, in runs, in merged runs.
#include "state/multiset.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "support/memory_runs.h"
#include "support/test.h"

enum { GROUPS = 5, VALUES = 4000 };

static uint64_t random_state = 3;
static uint32_t below(uint32_t bound) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % bound;
}

/// Groups 0 and 1 share a hash.
static const char *const group_names[GROUPS] = {"\x05""ash", "\x05""bee", "", "\x05""elm",
                                                "\x05""a longer name of a group"};
static uint64_t group_hash(int group) {
    return group < 2 ? 77 : pq_hash_word((uint64_t)group);
}

struct world {
    int64_t weights[GROUPS][VALUES];
    struct pq_trace trace;
    struct memory_runs *runs;
    struct pq_run_io io;
    uint64_t run_id;
    struct pq_trace_frozen frozen;
    bool is_frozen;
};

/// Values of several lengths whose order is that of their numbers.
static struct pq_text value_text(char out[64], int value) {
    const int length = snprintf(out, 64, "%05d%.*s", value, value % 7 * 4,
                                "a tail that differs in length");
    return (struct pq_text){out, (size_t)length};
}

static struct pq_multiset_place place_of(int group, struct pq_text value) {
    return (struct pq_multiset_place){group_hash(group), pq_text_of(group_names[group]), value};
}

static void world_init(struct world *world) {
    memset(world, 0, sizeof *world);
    world->runs = calloc(1, sizeof *world->runs);
    if (world->runs == NULL) abort();
    world->io = memory_runs_init(world->runs);
    pq_trace_init(&world->trace, PQ_TRACE_WEIGHTS_ADD, &pq_alloc_libc);
}

static void world_deinit(struct world *world) {
    pq_trace_deinit(&world->trace);
    memory_runs_deinit(world->runs);
    free(world->runs);
}

static void add(struct world *world, int group, int value, int64_t weight) {
    char text[64];
    const struct pq_multiset_place place = place_of(group, value_text(text, value));
    pqdb_error err;
    CHECK(pq_multiset_add(&world->trace, &place, weight, &err) == PQDB_OK, "%s", err.message);
    world->weights[group][value] += weight;
}

/// Many at once, of groups that are named more than once.
static void add_bulk(struct world *world, int count) {
    struct pq_multiset_row *rows = calloc((size_t)count, sizeof *rows);
    struct pq_bytes values;
    struct pq_arena scratch;
    pqdb_error err;
    if (rows == NULL) abort();
    struct pq_multiset_place groups[3 * GROUPS];
    for (int i = 0; i < 3 * GROUPS; i++) groups[i] = place_of(i % GROUPS, PQ_TEXT("unused"));
    pq_bytes_init(&values, &pq_alloc_libc);
    pq_arena_init(&scratch, &pq_alloc_libc);
    for (int i = 0; i < count; i++) {
        char text[64];
        const int value = (int)below(below(3) == 0 ? 40 : VALUES);
        const struct pq_text bytes = value_text(text, value);
        rows[i] = (struct pq_multiset_row){.group = below(3 * GROUPS),
                                           .offset = (uint32_t)values.length,
                                           .length = (uint32_t)bytes.length,
                                           .weight = below(3) == 0 ? -1 : 1};
        CHECK(pq_bytes_append_text(&values, bytes, &err) == PQDB_OK, "%s", err.message);
        world->weights[rows[i].group % GROUPS][value] += rows[i].weight;
    }
    const struct pq_multiset_rows given = {.groups = groups, .group_count = 3 * GROUPS,
                                           .values = values.data, .rows = rows,
                                           .count = (size_t)count};
    CHECK(pq_multiset_add_rows(&world->trace, &given, &scratch, &err) == PQDB_OK, "%s",
          err.message);
    pq_arena_deinit(&scratch);
    pq_bytes_deinit(&values);
    free(rows);
}

static void check_walk(struct world *world, int group, int from, enum pq_multiset_way way,
                       int most) {
    char text[64];
    const int step = way == PQ_MULTISET_UP ? 1 : -1;
    const struct pq_multiset_place place =
        place_of(group, from == VALUES ? PQ_TEXT("~") : value_text(text, from));
    struct pq_multiset_walk walk;
    pqdb_error err = {0};
    bool more = true;
    CHECK(pq_multiset_seek(&world->trace, &place, way, &walk, &err) == PQDB_OK, "%s", err.message);
    int at = way == PQ_MULTISET_UP ? from : from - 1;
    for (int i = 0; i < most && test_failures_ == 0; i++, at += step) {
        while (at >= 0 && at < VALUES && world->weights[group][at] == 0) at += step;
        CHECK(pq_multiset_next(&walk, &more, &err) == PQDB_OK, "%s", err.message);
        const bool expected = at >= 0 && at < VALUES;
        CHECK(more == expected, "group %d from %d, step %d: value %d %s", group, from, i, at,
              expected ? "is missing" : "is not there");
        if (!more || test_failures_ > 0) return;
        CHECK(pq_text_equal(walk.value, value_text(text, at)), "group %d: %.*s, not %s", group,
              PQ_TEXT_ARG(walk.value), text);
        CHECK(walk.weight == world->weights[group][at], "weight of %s: %lld", text,
              (long long)walk.weight);
    }
}

static void check_all(struct world *world) {
    for (int group = 0; group < GROUPS && test_failures_ == 0; group++) {
        check_walk(world, group, 0, PQ_MULTISET_UP, VALUES);
        check_walk(world, group, VALUES, PQ_MULTISET_DOWN, VALUES);
    }
}

static struct pq_run_place next_run(struct world *world) {
    return (struct pq_run_place){&world->io, world->run_id++, &pq_alloc_libc};
}

static void merge_runs(struct world *world) {
    const struct pq_run_merge merge = {.runs = world->trace.runs,
                                       .count = world->trace.run_count};
    const struct pq_run_place place = next_run(world);
    struct pq_run_name name;
    struct pq_run *merged = NULL;
    CHECK(pq_run_merge(&merge, &place, &name, NULL) == PQDB_OK, "merge");
    if (name.rows > 0) {
        CHECK(pq_run_open(&world->io, &name, &pq_alloc_libc, &merged, NULL) == PQDB_OK, "open");
    }
    pq_trace_replace(&world->trace, 0, merge.count, merged);
    pq_run_unref(merged);
}

static void freeze(struct world *world) {
    world->frozen = pq_trace_freeze(&world->trace);
    world->is_frozen = true;
}

static void install(struct world *world) {
    const struct pq_run_place place = next_run(world);
    struct pq_run_name name;
    struct pq_run *run = NULL;
    CHECK(pq_trace_write(&world->frozen, &place, &name, NULL) == PQDB_OK, "write");
    if (name.rows > 0) {
        CHECK(pq_run_open(&world->io, &name, &pq_alloc_libc, &run, NULL) == PQDB_OK, "open");
    }
    CHECK(pq_trace_install(&world->trace, &world->frozen, run, NULL) == PQDB_OK, "install");
    pq_run_unref(run);
    world->is_frozen = false;
    if (world->trace.run_count == 8) merge_runs(world);
}

static void reopen(struct world *world) {
    struct pq_run_name names[8];
    const size_t count = world->trace.run_count;
    for (size_t i = 0; i < count; i++) names[i] = *pq_run_name(world->trace.runs[i]);
    pq_trace_deinit(&world->trace);
    pq_trace_init(&world->trace, PQ_TRACE_WEIGHTS_ADD, &pq_alloc_libc);
    CHECK(pq_trace_open(&world->trace, &world->io, names, count, NULL) == PQDB_OK, "open");
}

static void add_some(struct world *world, int count) {
    for (int i = 0; i < count; i++) {
        const int group = (int)below(GROUPS);
        // Much at the ends, where windows look, and a group that is larger than the others.
        int value = (int)below(below(3) == 0 ? 40 : VALUES);
        if (below(9) == 0) value = VALUES - 1 - value;
        const int64_t there = world->weights[group][value];
        add(world, below(2) == 0 ? 3 : group, value, below(3) == 0 ? -there : 1 + (int)below(3));
    }
}

static void whatever_comes_and_goes_walks_see_the_sums(void) {
    struct world *world = malloc(sizeof *world);
    if (world == NULL) abort();
    world_init(world);
    for (int round = 0; round < 220 && test_failures_ == 0; round++) {
        add_some(world, (int)below(round % 20 == 0 ? 6000 : 120));
        if (round % 7 == 0) add_bulk(world, (int)below(round % 14 == 0 ? 9000 : 2000));
        const int from = (int)below(VALUES + 1);
        check_walk(world, (int)below(GROUPS), from, PQ_MULTISET_UP, 20);
        check_walk(world, (int)below(GROUPS), from, PQ_MULTISET_DOWN, 20);
        const uint32_t kind = below(8);
        if (kind < 2 && !world->is_frozen) {
            freeze(world);
        } else if (kind < 4 && world->is_frozen) {
            install(world);
        } else if (kind == 4 && world->is_frozen) {
            freeze(world);  // the one before was not written
        }
        if (round % 20 == 19) check_all(world);
        if (round % 50 == 49) {
            freeze(world);
            install(world);
            reopen(world);
        }
    }
    check_all(world);
    world_deinit(world);
    free(world);
}

static void what_was_taken_back_leaves_no_run(void) {
    struct world *world = malloc(sizeof *world);
    if (world == NULL) abort();
    world_init(world);
    for (int i = 0; i < 3000; i++) add(world, i % GROUPS, i % VALUES, 1);
    for (int i = 0; i < 3000; i++) add(world, i % GROUPS, i % VALUES, -1);
    freeze(world);
    install(world);
    CHECK(world->trace.run_count == 0, "%zu runs", world->trace.run_count);
    for (int i = 0; i < 3000; i++) add(world, i % GROUPS, i % VALUES, 1);
    freeze(world);
    install(world);
    for (int i = 0; i < 3000; i++) add(world, i % GROUPS, i % VALUES, -1);
    freeze(world);
    install(world);
    CHECK(world->trace.run_count == 2, "%zu runs", world->trace.run_count);
    check_all(world);
    merge_runs(world);
    CHECK(world->trace.run_count == 0, "%zu runs are left", world->trace.run_count);
    check_all(world);
    world_deinit(world);
    free(world);
}

/// Many equal values take little memory, and a row of a run a few bytes.
static void pieces_and_runs_are_small(void) {
    struct world *world = malloc(sizeof *world);
    if (world == NULL) abort();
    world_init(world);
    for (int i = 0; i < 200000; i++) add(world, 4, i % 10, 1);
    CHECK(pq_trace_bytes(&world->trace) < 300000, "%zu bytes of ten values",
          pq_trace_bytes(&world->trace));
    for (int i = 0; i < VALUES; i++) add(world, 4, i, 1);
    freeze(world);
    install(world);
    const struct pq_run_name *name = pq_run_name(world->trace.runs[0]);
    CHECK(name->rows == VALUES && name->length < VALUES * 28, "%llu bytes",
          (unsigned long long)name->length);
    CHECK(pq_trace_bytes(&world->trace) < 20000, "%zu bytes in memory",
          pq_trace_bytes(&world->trace));
    world_deinit(world);
    free(world);
}

static void a_damaged_run_is_told(void) {
    struct world *world = malloc(sizeof *world);
    if (world == NULL) abort();
    world_init(world);
    for (int i = 0; i < 2000; i++) add(world, 3, i, 1);
    freeze(world);
    install(world);
    struct pq_bytes *file = &world->runs->files[0];
    char text[64];
    for (size_t at = 20; at < file->length; at += 611) {
        file->data[at] ^= 4;
        struct pq_multiset_walk walk;
        const struct pq_multiset_place place = place_of(3, value_text(text, 0));
        pqdb_error err = {0};
        bool more = true;
        struct pq_run_name name = *pq_run_name(world->trace.runs[0]);
        struct pq_trace other;
        pq_trace_init(&other, PQ_TRACE_WEIGHTS_ADD, &pq_alloc_libc);
        pqdb_code code = pq_trace_open(&other, &world->io, &name, 1, &err);
        if (code == PQDB_OK) code = pq_multiset_seek(&other, &place, PQ_MULTISET_UP, &walk, &err);
        for (int i = 0; code == PQDB_OK && more; i++) code = pq_multiset_next(&walk, &more, &err);
        CHECK(code == PQDB_CORRUPT, "byte %zu: %d %s", at, (int)code, err.message);
        pq_trace_deinit(&other);
        file->data[at] ^= 4;
    }
    struct pq_trace groups;
    pqdb_error err;
    pq_trace_init(&groups, PQ_TRACE_NEWEST_WINS, &pq_alloc_libc);
    CHECK(pq_trace_open(&groups, &world->io, pq_run_name(world->trace.runs[0]), 1, &err) ==
              PQDB_CORRUPT,
          "a run of another kind");
    pq_trace_deinit(&groups);
    world_deinit(world);
    free(world);
}

int main(void) {
    RUN(whatever_comes_and_goes_walks_see_the_sums);
    RUN(what_was_taken_back_leaves_no_run);
    RUN(pieces_and_runs_are_small);
    RUN(a_damaged_run_is_told);
    return test_done();
}
