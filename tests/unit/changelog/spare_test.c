/// Goal: a small log is small, and frames of a busy one go where zeros were written before: spares
/// are filled step by step, each twice the one before, and nobody waits for them.
#include <inttypes.h>
#include <stdio.h>

#include "changelog/log.h"
#include "support/fault_store.h"
#include "support/log_world.h"
#include "support/test.h"

enum { mib = 1 << 20, small_rows = 3, step_rows = 1000, large_rows = 8000 };

static pqdb_error err;

#define OK(call) CHECK((call) == PQDB_OK, "%s: %s", err.subject, err.message)

static uint64_t next_version;

/// A log in memory with segments of 4 MiB.
static struct log_world begin(struct fault_store **disk, size_t rows) {
    *disk = fault_store_create();
    struct log_world world = {.store = &(*disk)->base, .segment_bytes = 4 * mib, .rows = rows};
    OK(log_world_open(&world, &err));
    next_version = 1;
    return world;
}

static void append(struct log_world *world, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) OK(log_world_append(world, next_version++, 1, &err));
}

static void append_until_short(struct log_world *world) {
    for (int i = 0; i < 1000 && !pq_log_is_short(world->log); i++) append(world, 1);
    CHECK(pq_log_is_short(world->log), "not short at %" PRIu64, pq_log_position(world->log).offset);
}

/// 0 when it is not there.
static uint64_t segment_bytes(const struct log_world *world, int number) {
    char path[32];
    struct pq_file *file;
    uint64_t bytes = 0;
    snprintf(path, sizeof path, "log/%012d.log", number);
    if (pq_file_open(world->store, path, PQ_OPEN_READ, &file, &err) != PQDB_OK) return 0;
    OK(pq_file_size(file, &bytes, &err));
    pq_file_close(file);
    return bytes;
}

/// Reopened, the log has all that was appended.
static void end(struct log_world *world, struct fault_store *disk) {
    OK(log_world_close(world, &err));
    OK(log_world_open(world, &err));
    CHECK(world->is_right && world->last == next_version - 1, "replayed up to %" PRIu64,
          world->last);
    OK(log_world_close(world, &err));
    fault_store_destroy(disk);
}

static void a_few_commits_need_no_room_ahead(void) {
    struct fault_store *disk;
    struct log_world world = begin(&disk, small_rows);
    append(&world, 4);
    CHECK(!pq_log_is_short(world.log), "after four frames");
    OK(pq_log_prepare(world.log, &err));
    CHECK(segment_bytes(&world, 1) == pq_log_position(world.log).offset, "as large as its frames");
    CHECK(segment_bytes(&world, 2) == 0, "no spare");
    end(&world, disk);
}

static void small_frames_move_into_a_filled_spare(void) {
    struct fault_store *disk;
    struct log_world world = begin(&disk, small_rows);
    append_until_short(&world);
    CHECK(next_version < 20, "short at version %" PRIu64, next_version);
    OK(pq_log_prepare(world.log, &err));
    CHECK(segment_bytes(&world, 2) == mib && !pq_log_is_short(world.log), "one step is a spare");
    append(&world, 10);
    CHECK(pq_log_position(world.log).segment == 2, "the log is there now");
    CHECK(segment_bytes(&world, 2) == mib, "and does not grow");
    end(&world, disk);
}

static void the_next_spare_is_twice_as_large_and_filled_in_steps(void) {
    struct fault_store *disk;
    struct log_world world = begin(&disk, step_rows);
    append_until_short(&world);
    OK(pq_log_prepare(world.log, &err));
    append_until_short(&world);
    CHECK(pq_log_position(world.log).segment == 2, "half of the first spare is used");
    OK(pq_log_prepare(world.log, &err));
    CHECK(segment_bytes(&world, 3) == mib && pq_log_is_short(world.log), "a step of two");
    append(&world, 60);
    CHECK(pq_log_position(world.log).segment == 2, "nobody waits for the rest");
    CHECK(segment_bytes(&world, 2) == pq_log_position(world.log).offset, "the segment grows");
    OK(pq_log_prepare(world.log, &err));
    CHECK(segment_bytes(&world, 3) == 2 * mib && !pq_log_is_short(world.log), "the second step");
    append(&world, 1);
    CHECK(pq_log_position(world.log).segment == 3, "a grown segment is left at once");
    end(&world, disk);
}

static void a_full_segment_takes_the_spare_as_far_as_it_is(void) {
    struct fault_store *disk;
    struct log_world world = begin(&disk, step_rows);
    append_until_short(&world);
    OK(pq_log_prepare(world.log, &err));
    append_until_short(&world);
    OK(pq_log_prepare(world.log, &err));
    while (pq_log_position(world.log).segment == 2) append(&world, 1);
    const uint64_t bytes = segment_bytes(&world, 2);
    CHECK(bytes > 4 * mib - 65536 && bytes <= 4 * mib, "full: %" PRIu64, bytes);
    CHECK(segment_bytes(&world, 3) == mib, "one step");
    append_until_short(&world);
    OK(pq_log_prepare(world.log, &err));
    CHECK(segment_bytes(&world, 4) == mib, "the next one");
    end(&world, disk);
}

static void a_trimmed_segment_takes_the_place_of_a_spare_being_filled(void) {
    struct fault_store *disk;
    struct log_world world = begin(&disk, step_rows);
    while (pq_log_position(world.log).segment <= 1) append(&world, 1);
    CHECK(segment_bytes(&world, 1) > 3 * mib, "without preparation a segment grows to the full");
    append_until_short(&world);
    OK(pq_log_prepare(world.log, &err));
    append(&world, 1);
    CHECK(pq_log_position(world.log).segment == 3, "in the first spare");
    append_until_short(&world);
    OK(pq_log_prepare(world.log, &err));
    CHECK(segment_bytes(&world, 4) == mib && pq_log_is_short(world.log), "half a spare");
    world.from = pq_log_position(world.log);
    OK(pq_log_trim(world.log, &world.from, &err));
    CHECK(segment_bytes(&world, 1) == 0 && segment_bytes(&world, 4) > 3 * mib, "used again");
    CHECK(!pq_log_is_short(world.log), "it is written");
    append(&world, 60);
    CHECK(pq_log_position(world.log).segment == 4, "over its old frames");
    end(&world, disk);
}

static void large_frames_need_no_room(void) {
    struct fault_store *disk;
    struct log_world world = begin(&disk, large_rows);
    for (int i = 0; i < 60; i++) {
        append(&world, 1);
        CHECK(!pq_log_is_short(world.log), "frames of 160 KB");
    }
    CHECK(pq_log_position(world.log).segment >= 2, "segments end all the same");
    end(&world, disk);
}

static void a_close_gives_the_spares_back(void) {
    struct fault_store *disk;
    struct log_world world = begin(&disk, step_rows);
    append_until_short(&world);
    OK(pq_log_prepare(world.log, &err));
    append_until_short(&world);
    OK(pq_log_prepare(world.log, &err));
    CHECK(segment_bytes(&world, 3) == mib, "half a spare");
    OK(log_world_close(&world, &err));
    CHECK(segment_bytes(&world, 3) == 0, "gone");
    CHECK(segment_bytes(&world, 2) < mib, "the room behind the last frame, too");
    OK(log_world_open(&world, &err));
    end(&world, disk);
}

static void a_disk_too_full_for_a_spare_still_takes_commits(void) {
    struct fault_store *disk;
    struct log_world world = begin(&disk, small_rows);
    append_until_short(&world);
    disk->fail_at = disk->calls + 3;  // opens, syncs the directory, writes
    CHECK(pq_log_prepare(world.log, &err) == PQDB_IO, "full");
    CHECK(segment_bytes(&world, 2) == 0, "nothing is left of it");
    append(&world, 10);
    OK(pq_log_prepare(world.log, &err));
    CHECK(segment_bytes(&world, 2) == mib, "the next try");
    end(&world, disk);
}

int main(void) {
    RUN(a_few_commits_need_no_room_ahead);
    RUN(small_frames_move_into_a_filled_spare);
    RUN(the_next_spare_is_twice_as_large_and_filled_in_steps);
    RUN(a_full_segment_takes_the_spare_as_far_as_it_is);
    RUN(a_trimmed_segment_takes_the_place_of_a_spare_being_filled);
    RUN(large_frames_need_no_room);
    RUN(a_close_gives_the_spares_back);
    RUN(a_disk_too_full_for_a_spare_still_takes_commits);
    return test_done();
}
