/// Goal: background writes keep to the rate that commits leave them, and big files die slowly; all
/// on a clock of our own.
#include "store/pace.h"

#include "support/fault_store.h"
#include "support/test.h"

enum { mib = 1 << 20, ms = 1000 * 1000 };

static uint64_t now = 1000 * (uint64_t)ms;
static pqdb_error err;

static uint64_t test_now(void *ctx) { return (void)ctx, now; }
static void test_sleep(void *ctx, uint64_t ns) { (void)ctx, now += ns; }
static const struct pq_env env = {.monotonic_ns = test_now, .sleep_ns = test_sleep};

struct world {
    struct fault_store *disk;
    struct pq_pace *pace;
    struct pq_file *file;
};

static struct world open_world(void) {
    struct world world = {.disk = fault_store_create()};
    CHECK(pq_pace_create(&world.disk->base, &env, &world.pace, &err) == PQDB_OK, "create");
    CHECK(pq_file_open(&world.disk->base, "f", PQ_OPEN_WRITE, &world.file, &err) == PQDB_OK, "f");
    return world;
}

static void close_world(struct world *world) {
    pq_file_close(world->file);
    pq_pace_destroy(world->pace);
    fault_store_destroy(world->disk);
}

/// ns that writing so many MiB took.
static uint64_t write_mib(struct world *world, size_t count) {
    static char data[64 * mib];
    const uint64_t start = now;
    const struct pq_text text = {data, count * mib};
    CHECK(pq_pace_write(world->pace, world->file, 0, text, &err) == PQDB_OK, "%s", err.message);
    return now - start;
}

static void without_commits_there_is_no_bound(void) {
    struct world world = open_world();
    CHECK(pq_pace_rate(world.pace) == UINT64_MAX, "nobody has committed yet");
    CHECK(write_mib(&world, 16) == 0 && world.disk->syncs == 2, "%zu syncs", world.disk->syncs);
    pq_pace_note_sync(world.pace, 20000);
    CHECK(pq_pace_rate(world.pace) == PQ_PACE_RATE_MAX, "a commit was here");
    now += PQ_PACE_IDLE_NS + 1;
    CHECK(pq_pace_rate(world.pace) == UINT64_MAX, "it was long ago");
    close_world(&world);
}

static void beside_commits_each_mebibyte_is_synced_and_paid_for(void) {
    struct world world = open_world();
    pq_pace_note_sync(world.pace, 20000);
    const uint64_t took = write_mib(&world, 32);
    CHECK(world.disk->syncs == 32, "%zu syncs", world.disk->syncs);
    // The last step is paid for by whoever comes next.
    const double rate = 31.0 * mib * 1e9 / (double)took;
    CHECK(rate > 195e6 && rate < 201e6, "%.0f bytes a second", rate);
    close_world(&world);
}

static void a_slow_sync_halves_the_rate_which_returns_slowly(void) {
    struct world world = open_world();
    for (int i = 0; i < 32; i++) pq_pace_note_sync(world.pace, 20000);
    pq_pace_note_sync(world.pace, 150000);
    CHECK(pq_pace_rate(world.pace) == PQ_PACE_RATE_MAX, "less than 8 times the average");
    pq_pace_note_sync(world.pace, 400000);
    CHECK(pq_pace_rate(world.pace) == PQ_PACE_RATE_MAX / 2, "halved");
    pq_pace_note_sync(world.pace, 400000);
    CHECK(pq_pace_rate(world.pace) == PQ_PACE_RATE_MAX / 2, "once for one disturbance");
    for (int i = 0; i < 20; i++) {
        now += 11 * ms;
        pq_pace_note_sync(world.pace, 4000000);
    }
    CHECK(pq_pace_rate(world.pace) == PQ_PACE_RATE_MIN, "there is a floor");
    const uint64_t low = pq_pace_rate(world.pace);
    write_mib(&world, 4);
    const uint64_t later = pq_pace_rate(world.pace);
    CHECK(later > low && later < PQ_PACE_RATE_MAX / 4, "%llu", (unsigned long long)later);
    for (int i = 0; i < 70; i++) {
        pq_pace_note_sync(world.pace, 20000);
        write_mib(&world, 4);
    }
    pq_pace_note_sync(world.pace, 20000);
    CHECK(pq_pace_rate(world.pace) == PQ_PACE_RATE_MAX, "back again");
    close_world(&world);
}

static uint64_t size_of(struct pq_file *file) {
    uint64_t bytes = 0;
    CHECK(pq_file_size(file, &bytes, &err) == PQDB_OK, "%s", err.message);
    return bytes;
}

static void a_buried_file_loses_its_name_at_once_and_its_bytes_slowly(void) {
    struct world world = open_world();
    CHECK(pq_file_truncate(world.file, 3 * mib + 5, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_pace_bury(world.pace, "f", &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_pace_bury(world.pace, "f", &err) == PQDB_NOT_FOUND, "the name is gone");
    CHECK(pq_pace_buried(world.pace) == 1 && size_of(world.file) == 3 * mib + 5, "still whole");
    CHECK(pq_pace_shrink(world.pace) == PQ_PACE_SHRINK_NS, "one step");
    CHECK(size_of(world.file) == 2 * mib + 5, "%llu", (unsigned long long)size_of(world.file));
    now += 2 * ms;
    CHECK(pq_pace_shrink(world.pace) == PQ_PACE_SHRINK_NS - 2 * ms, "not yet");
    CHECK(size_of(world.file) == 2 * mib + 5, "not yet");
    now += 3 * ms;
    CHECK(pq_pace_shrink(world.pace) == PQ_PACE_SHRINK_NS, "second step");
    now += 5 * ms;
    CHECK(pq_pace_shrink(world.pace) == PQ_PACE_SHRINK_NS && size_of(world.file) == 5, "third");
    now += 5 * ms;
    CHECK(pq_pace_shrink(world.pace) == UINT64_MAX && pq_pace_buried(world.pace) == 0, "done");
    close_world(&world);
}

static void bury_new(struct world *world, uint64_t bytes) {
    struct pq_file *file;
    CHECK(pq_file_open(&world->disk->base, "g", PQ_OPEN_NEW, &file, &err) == PQDB_OK, "g");
    CHECK(pq_file_truncate(file, bytes, &err) == PQDB_OK, "%s", err.message);
    pq_file_close(file);
    CHECK(pq_pace_bury(world->pace, "g", &err) == PQDB_OK, "%s", err.message);
}

static void small_files_go_one_by_one_up_to_a_number(void) {
    struct world world = open_world();
    CHECK(pq_pace_bury(world.pace, "f", &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_pace_buried(world.pace) == 0, "an empty one has nothing to wait for");
    for (int i = 0; i < PQ_PACE_GRAVES_MAX + 5; i++) bury_new(&world, 1000);
    CHECK(pq_pace_buried(world.pace) == PQ_PACE_GRAVES_MAX, "%zu", pq_pace_buried(world.pace));
    bury_new(&world, 2 * mib);
    CHECK(pq_pace_buried(world.pace) == PQ_PACE_GRAVES_MAX + 1, "a big one has to wait");
    CHECK(pq_pace_shrink(world.pace) == PQ_PACE_SHRINK_NS, "one of them");
    CHECK(pq_pace_buried(world.pace) == PQ_PACE_GRAVES_MAX, "%zu", pq_pace_buried(world.pace));
    close_world(&world);
}

static void deleting_gives_way_to_commits_that_it_slows_down(void) {
    struct world world = open_world();
    for (int i = 0; i < 32; i++) pq_pace_note_sync(world.pace, 20000);
    for (int i = 0; i < 5; i++) bury_new(&world, 64 * mib);
    CHECK(pq_pace_shrink(world.pace) == PQ_PACE_SHRINK_NS, "as fast as it may");
    pq_pace_note_sync(world.pace, 400000);
    const uint64_t due = pq_pace_shrink(world.pace);
    CHECK(due == 2 * PQ_PACE_SHRINK_NS, "half as fast: %llu", (unsigned long long)due);
    uint64_t rest = due;
    for (int i = 0; i < 200; i++) {
        now += rest;
        pq_pace_note_sync(world.pace, 20000);
        const uint64_t next = pq_pace_shrink(world.pace);
        CHECK(next <= rest && next >= PQ_PACE_SHRINK_NS, "%llu", (unsigned long long)next);
        rest = next;
    }
    CHECK(rest == PQ_PACE_SHRINK_NS, "as fast as before: %llu", (unsigned long long)rest);
    close_world(&world);
}

static void files_shrink_while_others_are_written(void) {
    struct world world = open_world();
    pq_pace_note_sync(world.pace, 20000);
    bury_new(&world, 64 * mib);
    write_mib(&world, 32);
    CHECK(pq_pace_buried(world.pace) == 1, "all at once");
    write_mib(&world, 40);
    CHECK(pq_pace_buried(world.pace) == 0, "%zu are left", pq_pace_buried(world.pace));
    for (int i = 0; i < 20; i++) bury_new(&world, 64 * mib);  // more than may wait
    for (int i = 0; i < 300; i++) pq_pace_shrink(world.pace);
    CHECK(pq_pace_buried(world.pace) == 16, "%zu are left", pq_pace_buried(world.pace));
    close_world(&world);
}

static void graves_may_be_left_at_the_end(void) {
    struct world world = open_world();
    for (int i = 0; i < 3; i++) bury_new(&world, 2 * mib);
    CHECK(pq_pace_buried(world.pace) == 3, "three");
    close_world(&world);
}

int main(void) {
    RUN(without_commits_there_is_no_bound);
    RUN(beside_commits_each_mebibyte_is_synced_and_paid_for);
    RUN(a_slow_sync_halves_the_rate_which_returns_slowly);
    RUN(a_buried_file_loses_its_name_at_once_and_its_bytes_slowly);
    RUN(small_files_go_one_by_one_up_to_a_number);
    RUN(deleting_gives_way_to_commits_that_it_slows_down);
    RUN(files_shrink_while_others_are_written);
    RUN(graves_may_be_left_at_the_end);
    return test_done();
}
