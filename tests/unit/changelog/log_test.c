/// Goal: the log keeps what it acknowledged and nothing else: reopening, torn tails, damage, stale
/// frames, failed syncs, commits that span frames, segments that come and go, readers beside.
#include "changelog/log.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hash.h"
#include "support/fault_store.h"
#include "support/log_world.h"
#include "support/temp.h"
#include "support/test.h"

static pqdb_error err;

#define OK(call) CHECK((call) == PQDB_OK, "%s: %s", err.subject, err.message)

static const char first_segment[] = "log/000000000001.log";

static void check_replay(const struct log_world *world, uint64_t first, uint64_t last) {
    CHECK(world->first == first && world->last == last && world->is_right,
          "replayed %" PRIu64 " to %" PRIu64 " %s, not %" PRIu64 " to %" PRIu64, world->first,
          world->last, world->is_right ? "right" : "wrong", first, last);
}

static void append_each(struct log_world *world, uint64_t from, uint64_t to) {
    for (uint64_t version = from; version <= to; version++) {
        OK(log_world_append(world, version, 1, &err));
    }
}

static uint64_t size_of(struct pq_store *store, const char *path) {
    struct pq_file *file;
    uint64_t bytes = 0;
    if (pq_file_open(store, path, PQ_OPEN_READ, &file, &err) != PQDB_OK) return 0;
    OK(pq_file_size(file, &bytes, &err));
    pq_file_close(file);
    return bytes;
}

static size_t file_count(struct pq_store *store) {
    struct pq_arena arena;
    struct pq_store_list list = {0};
    pq_arena_init(&arena, &pq_alloc_libc);
    OK(pq_store_list(store, "log", &arena, &list, &err));
    pq_arena_deinit(&arena);
    return list.count;
}

static void a_log_reopened_has_what_was_appended(void) {
    struct fault_store *disk = fault_store_create();
    struct log_world world = {.store = &disk->base};
    OK(log_world_open(&world, &err));
    check_replay(&world, 0, 0);
    OK(log_world_close(&world, &err));
    uint64_t version = 0;
    for (int round = 0; round < 4; round++) {
        world.with_variants = round % 2 == 1;
        world.with_variants = true;
        OK(log_world_open(&world, &err));
        check_replay(&world, version == 0 ? 0 : 1, version);
        CHECK(pq_log_position(world.log).version == version + 1, "version %" PRIu64, version);
        append_each(&world, version + 1, version + 3);
        OK(log_world_append(&world, version + 4, 5, &err));
        version += 8;
        OK(log_world_close(&world, &err));
    }
    CHECK(file_count(&disk->base) == 1, "a clean close goes on in its segment: %zu files",
          file_count(&disk->base));
    CHECK(size_of(&disk->base, first_segment) < 20000, "the unused rest was given back");
    fault_store_destroy(disk);
}

static void one_append_is_one_write_and_one_sync(void) {
    struct fault_store *disk = fault_store_create();
    struct log_world world = {.store = &disk->base, .segment_bytes = 1 << 20};
    OK(log_world_open(&world, &err));
    append_each(&world, 1, 1);
    const long before = disk->calls;
    OK(log_world_append(&world, 2, 1, &err));
    CHECK(disk->calls == before + 2, "%ld calls", disk->calls - before);
    OK(log_world_append(&world, 3, 40, &err));
    CHECK(disk->calls == before + 4, "%ld calls for 40 commits", disk->calls - before);
    OK(log_world_close(&world, &err));
    fault_store_destroy(disk);
}

static void a_torn_tail_is_cut_and_the_log_goes_on(void) {
    for (uint64_t cut = 0; cut < 700; cut += 37) {
        struct fault_store *disk = fault_store_create();
        struct log_world world = {.store = &disk->base, .segment_bytes = 1 << 16};
        OK(log_world_open(&world, &err));
        append_each(&world, 1, 5);
        const struct pq_log_position before = pq_log_position(world.log);
        append_each(&world, 6, 6);
        const struct pq_log_position end = pq_log_position(world.log);
        struct fault_store *next = fault_store_crash(disk, FAULT_ALL_KEPT, 0);
        OK(log_world_close(&world, &err));
        fault_store_destroy(disk);
        const uint64_t at = before.offset + cut;
        if (at < end.offset) CHECK(fault_store_flip(&next->base, first_segment, at, 0x10), "flip");
        world.store = &next->base;
        OK(log_world_open(&world, &err));
        const uint64_t last = at < end.offset ? 5 : 6;
        check_replay(&world, 1, last);
        struct pq_file *file;
        uint64_t bytes = 0;
        OK(pq_file_open(&next->base, first_segment, PQ_OPEN_READ, &file, &err));
        OK(pq_file_size(file, &bytes, &err));
        pq_file_close(file);
        CHECK(bytes == (at < end.offset ? before.offset : end.offset), "%llu bytes at cut %llu",
              (unsigned long long)bytes, (unsigned long long)cut);
        append_each(&world, last + 1, last + 2);
        OK(log_world_close(&world, &err));
        OK(log_world_open(&world, &err));
        check_replay(&world, 1, last + 2);
        OK(log_world_close(&world, &err));
        fault_store_destroy(next);
    }
}

/// A closed log of a few commits, in one segment.
static struct fault_store *closed_log(struct log_world *world, uint64_t commits) {
    struct fault_store *disk = fault_store_create();
    world->store = &disk->base;
    OK(log_world_open(world, &err));
    append_each(world, 1, commits);
    OK(log_world_close(world, &err));
    return disk;
}

static void any_flipped_byte_of_a_closed_log_is_corrupt(void) {
    struct log_world world = {.segment_bytes = 1 << 16, .rows = 1};
    struct fault_store *disk = closed_log(&world, 3);
    const uint64_t bytes = size_of(&disk->base, first_segment);
    CHECK(bytes > 500, "%" PRIu64, bytes);
    // The closing frame itself holds nothing, and is the only one that may be torn.
    const uint64_t close_at = bytes - 64;
    for (uint64_t at = 0; at < bytes; at++) {
        fault_store_flip(&disk->base, first_segment, at, (uint8_t)(1u << at % 8));
        world.read_only = true;
        const pqdb_code code = log_world_open(&world, &err);
        if (at < close_at) {
            CHECK(code == PQDB_CORRUPT, "byte %" PRIu64 ": code %d", at, (int)code);
            CHECK(strcmp(err.subject, first_segment) == 0 && err.offset >= 0, "'%s'", err.subject);
        } else {
            CHECK(code == PQDB_OK, "byte %" PRIu64 ": %s", at, err.message);
            check_replay(&world, 1, 3);
        }
        if (code == PQDB_OK) OK(log_world_close(&world, &err));
        fault_store_flip(&disk->base, first_segment, at, (uint8_t)(1u << at % 8));
    }
    fault_store_destroy(disk);
}

static void a_stale_frame_behind_a_cut_tail_stays_away(void) {
    struct fault_store *disk = fault_store_create();
    struct log_world world = {.store = &disk->base, .segment_bytes = 1 << 16};
    OK(log_world_open(&world, &err));
    append_each(&world, 1, 4);
    const struct pq_log_position third = pq_log_position(world.log);
    append_each(&world, 5, 5);
    const struct pq_log_position fourth = pq_log_position(world.log);
    append_each(&world, 6, 6);
    struct fault_store *next = fault_store_crash(disk, FAULT_ALL_KEPT, 0);
    OK(log_world_close(&world, &err));
    fault_store_destroy(disk);
    // Frame 5 is torn, frame 6 whole: with the order of writes that this log keeps, it is damage.
    world.store = &next->base;
    fault_store_flip(&next->base, first_segment, third.offset + 70, 1);
    CHECK(log_world_open(&world, &err) == PQDB_CORRUPT, "a whole frame follows a bad one");
    // Both torn: the tail is cut. Then frame 6 turns out to be whole again; nobody looks.
    fault_store_flip(&next->base, first_segment, fourth.offset + 70, 1);
    OK(log_world_open(&world, &err));
    check_replay(&world, 1, 4);
    fault_store_flip(&next->base, first_segment, third.offset + 70, 1);
    fault_store_flip(&next->base, first_segment, fourth.offset + 70, 1);
    append_each(&world, 5, 5);
    struct fault_store *last = fault_store_crash(next, FAULT_ALL_KEPT, 0);
    OK(log_world_close(&world, &err));
    world.store = &last->base;
    const pqdb_code code = log_world_open(&world, &err);
    CHECK(code == PQDB_CORRUPT || (world.last == 5 && world.is_right), "code %d", (int)code);
    if (code == PQDB_OK) OK(log_world_close(&world, &err));
    fault_store_destroy(next);
    fault_store_destroy(last);
}

static void after_a_failed_sync_the_log_refuses_until_it_is_reopened(void) {
    struct fault_store *disk = fault_store_create();
    struct log_world world = {.store = &disk->base, .segment_bytes = 1 << 16};
    OK(log_world_open(&world, &err));
    append_each(&world, 1, 3);
    disk->fail_at = disk->calls + 1;
    CHECK(log_world_append(&world, 4, 1, &err) == PQDB_IO, "the sync fails");
    CHECK(log_world_append(&world, 4, 1, &err) == PQDB_IO, "and is not tried again");
    CHECK(strstr(err.message, "open it again") != NULL, "%s", err.message);
    const size_t syncs = disk->syncs;
    CHECK(log_world_close(&world, &err) == PQDB_OK && disk->syncs == syncs, "nor at the close");
    // Memory shows commit 4; the disk does not have it. Reopening makes what it shows durable.
    OK(log_world_open(&world, &err));
    check_replay(&world, 1, 4);
    append_each(&world, 5, 5);
    struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 0);
    OK(log_world_close(&world, &err));
    world.store = &next->base;
    OK(log_world_open(&world, &err));
    check_replay(&world, 1, 5);
    OK(log_world_close(&world, &err));
    fault_store_destroy(disk);
    fault_store_destroy(next);
}

/// Of all segments and spares.
static uint64_t log_bytes(struct pq_store *store) {
    struct pq_arena arena;
    struct pq_store_list list;
    uint64_t bytes = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    OK(pq_store_list(store, "log", &arena, &list, &err));
    for (size_t i = 0; i < list.count; i++) bytes += list.entries[i].bytes;
    pq_arena_deinit(&arena);
    return bytes;
}

static void a_full_disk_is_said_and_the_commit_can_be_repeated(void) {
    struct fault_store *disk = fault_store_create();
    struct log_world world = {
        .store = &disk->base, .segment_bytes = 1 << 12, .with_variants = true};
    OK(log_world_open(&world, &err));
    append_each(&world, 1, 3);
    for (uint64_t version = 4; version < 40; version++) {
        const uint64_t bytes = log_bytes(&disk->base);
        disk->fail_at = disk->calls;
        disk->fail_errno = ENOSPC;
        CHECK(log_world_append(&world, version, 1, &err) == PQDB_IO, "full");
        CHECK(strstr(err.message, "disk is full") != NULL, "%s", err.message);
        disk->fail_at = -1;
        CHECK(log_bytes(&disk->base) <= bytes, "%llu", (unsigned long long)version);
        OK(log_world_append(&world, version, 1, &err));
    }
    OK(log_world_close(&world, &err));
    OK(log_world_open(&world, &err));
    check_replay(&world, 1, 39);
    OK(log_world_close(&world, &err));
    fault_store_destroy(disk);
}

static void a_large_commit_spans_frames_and_segments(void) {
    struct fault_store *disk = fault_store_create();
    struct log_world world = {.store = &disk->base, .segment_bytes = 17 << 20};
    OK(log_world_open(&world, &err));
    append_each(&world, 1, 2);
    world.rows = 1300000;  // about 18 MB of ids, offsets and numbers
    struct pq_log_position before = pq_log_position(world.log);
    OK(log_world_append(&world, 3, 1, &err));
    const struct pq_log_position after = pq_log_position(world.log);
    CHECK(after.frame >= before.frame + 2 && after.segment > before.segment, "%" PRIu64 " frames",
          after.frame - before.frame);
    CHECK(after.version == 4, "one version: %" PRIu64, after.version);
    OK(log_world_append(&world, 4, 1, &err));
    OK(log_world_close(&world, &err));
    world.from = before;
    OK(log_world_open(&world, &err));
    check_replay(&world, 3, 4);
    OK(log_world_close(&world, &err));
    fault_store_destroy(disk);
}

static void a_commit_without_its_last_frame_is_dropped(void) {
    struct fault_store *disk = fault_store_create();
    struct log_world world = {.store = &disk->base};
    OK(log_world_open(&world, &err));
    append_each(&world, 1, 2);
    const struct pq_log_position before = pq_log_position(world.log);
    world.rows = 1200000;
    disk->down_at = disk->calls + 3;  // in the sync of its second frame
    CHECK(log_world_append(&world, 3, 1, &err) == PQDB_IO, "down");
    world.rows = 3;
    struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 0);
    OK(log_world_close(&world, &err));
    world.store = &next->base;
    OK(log_world_open(&world, &err));
    check_replay(&world, 1, 2);
    CHECK(pq_log_position(world.log).frame == before.frame + 1, "its first frame is there");
    append_each(&world, 3, 4);
    OK(log_world_close(&world, &err));
    OK(log_world_open(&world, &err));
    check_replay(&world, 1, 4);
    OK(log_world_close(&world, &err));
    fault_store_destroy(disk);
    fault_store_destroy(next);
}

static void segments_are_trimmed_and_used_again(void) {
    struct fault_store *disk = fault_store_create();
    struct log_world world = {.store = &disk->base, .segment_bytes = 1 << 14};
    OK(log_world_open(&world, &err));
    struct pq_log_position place = {0};
    size_t most = 0;
    for (uint64_t version = 1; version <= 600; version++) {
        append_each(&world, version, version);
        OK(pq_log_prepare(world.log, &err));
        if (version % 50 == 0) {
            OK(pq_log_trim(world.log, &place, &err));
            place = pq_log_position(world.log);
            if (file_count(&disk->base) > most) most = file_count(&disk->base);
        }
    }
    CHECK(place.segment > 8, "segment %" PRIu64, place.segment);
    CHECK(most <= 6, "at most %zu files", most);
    CHECK(pq_log_first_version(world.log) > 400, "%" PRIu64, pq_log_first_version(world.log));
    CHECK(pq_log_bytes_since(world.log, &place) == 0, "nothing since");
    append_each(&world, 601, 601);
    const uint64_t bytes = pq_log_bytes_since(world.log, &place);
    CHECK(bytes > 100 && bytes < 1000, "%" PRIu64, bytes);
    struct pq_log_reader *reader;
    CHECK(pq_log_reader_open(world.log, 3, NULL, &reader, &err) == PQDB_NOT_FOUND, "trimmed");
    CHECK(strstr(err.message, "reaches back to version 3") != NULL, "%s", err.message);
    struct fault_store *next = fault_store_crash(disk, FAULT_ALL_LOST, 0);
    OK(log_world_close(&world, &err));
    world.store = &next->base;
    world.from = place;
    OK(log_world_open(&world, &err));
    check_replay(&world, 601, 601);
    append_each(&world, 602, 700);
    OK(log_world_close(&world, &err));
    OK(log_world_open(&world, &err));
    check_replay(&world, 601, 700);
    OK(log_world_close(&world, &err));
    world.from.segment = 1;
    CHECK(log_world_open(&world, &err) == PQDB_NOT_FOUND, "segment 1 is gone");
    fault_store_destroy(disk);
    fault_store_destroy(next);
}

static void a_missing_segment_and_a_damaged_header_are_corrupt(void) {
    struct log_world world = {.segment_bytes = 1 << 12};
    struct fault_store *disk = closed_log(&world, 100);
    CHECK(file_count(&disk->base) > 3, "%zu", file_count(&disk->base));
    for (uint64_t at = 0; at < 3 * 64; at++) {
        // The first one, one in the middle, and the one where a checkpoint ended.
        const char *path = at / 64 == 0 ? first_segment : "log/000000000002.log";
        world.from = (struct pq_log_position){.segment = at / 64 == 2 ? 2 : 0, .version = 30};
        fault_store_flip(&disk->base, path, at % 64, 4);
        CHECK(log_world_open(&world, &err) == PQDB_CORRUPT, "byte %" PRIu64, at);
        CHECK(strcmp(err.subject, path) == 0 && err.offset == 0, "'%s'", err.subject);
        fault_store_flip(&disk->base, path, at % 64, 4);
    }
    world.from = (struct pq_log_position){0};
    OK(pq_store_unlink(&disk->base, "log/000000000002.log", &err));
    CHECK(log_world_open(&world, &err) == PQDB_CORRUPT, "a gap");
    CHECK(strstr(err.message, "is missing") != NULL, "%s", err.message);
    fault_store_destroy(disk);
}

/// Change a u64 of frame `number` of the first segment and make its check right again; with
/// `chained` also those of the frames behind.
static void forge(struct pq_store *store, uint64_t number, size_t offset, uint64_t value,
                  bool chained) {
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    OK(pq_store_read_file(store, first_segment, 1 << 20, &bytes, &err));
    uint64_t previous = 0;
    for (size_t at = 64; at + 64 <= bytes.length;) {
        uint8_t *frame = bytes.data + at;
        const uint32_t length = pq_load_u32(frame + 60);
        const uint64_t frame_number = pq_load_u64(frame + 16);
        if (frame_number == number) pq_store_u64(frame + offset, value);
        if (frame_number > number && chained) pq_store_u64(frame + 32, previous);
        if (frame_number >= number) pq_store_u64(frame, pq_hash(frame + 8, length - 8));
        previous = pq_load_u64(frame);
        at += length;
    }
    OK(pq_store_write_file(store, first_segment, pq_bytes_text(&bytes), &err));
    pq_bytes_deinit(&bytes);
}

static void whole_frames_that_do_not_belong_together_are_corrupt(void) {
    static const struct {
        size_t offset;
        uint64_t value;
        bool chained;
        const char *says;
    } table[] = {
        {48, 1, false, "does not continue the one before"},
        {32, 1, true, "does not continue the one before"},
        {40, 9, true, "a version is missing"},
        {16, 9, true, "a frame is missing"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct log_world world = {.segment_bytes = 1 << 16};
        struct fault_store *disk = closed_log(&world, 5);
        forge(&disk->base, 3, table[i].offset, table[i].value, table[i].chained);
        CHECK(log_world_open(&world, &err) == PQDB_CORRUPT, "%s", table[i].says);
        CHECK(strstr(err.message, table[i].says) != NULL, "%s", err.message);
        fault_store_destroy(disk);
    }
}

static void a_newer_format_is_refused_by_name(void) {
    struct log_world world = {0};
    struct fault_store *disk = closed_log(&world, 1);
    struct pq_file *file;
    uint8_t header[64];
    OK(pq_file_open(&disk->base, first_segment, PQ_OPEN_WRITE, &file, &err));
    OK(pq_file_read_all(file, 0, header, sizeof header, &err));
    pq_store_u32(header + 12, PQ_LOG_FORMAT + 1);
    pq_store_u64(header, pq_hash(header + 8, 56));
    const struct pq_text piece = {(const char *)header, sizeof header};
    OK(pq_file_write(file, 0, &piece, 1, &err));
    pq_file_close(file);
    CHECK(log_world_open(&world, &err) == PQDB_UNSUPPORTED, "newer");
    CHECK(strstr(err.message, "log format 2") != NULL, "%s", err.message);
    fault_store_destroy(disk);
}

static void a_reader_follows_the_log(void) {
    struct fault_store *disk = fault_store_create();
    struct log_world world = {.store = &disk->base, .segment_bytes = 1 << 13};
    OK(log_world_open(&world, &err));
    struct pq_log_reader *early, *late = NULL;
    const struct pq_log_record *record;
    OK(pq_log_reader_open(world.log, 1, &log_world_schemas, &early, &err));
    OK(pq_log_reader_next(early, &record, &err));
    CHECK(record == NULL, "nothing yet");
    uint64_t seen = 0;
    for (uint64_t version = 1; version <= 120; version++) {
        append_each(&world, version, version);
        if (version % 7 != 0) continue;
        for (;;) {
            OK(pq_log_reader_next(early, &record, &err));
            if (record == NULL) break;
            CHECK(record->version == ++seen, "%" PRIu64, record->version);
            CHECK(log_world_is_right(&world, record), "version %" PRIu64, seen);
        }
        CHECK(seen == version, "saw up to %" PRIu64, seen);
    }
    for (uint64_t from = 1; from <= 121; from += 13) {
        OK(pq_log_reader_open(world.log, from, &log_world_schemas, &late, &err));
        OK(pq_log_reader_next(late, &record, &err));
        CHECK(record != NULL && record->version == from, "from %" PRIu64, from);
        pq_log_reader_close(late);
    }
    OK(pq_log_reader_open(world.log, 121, NULL, &late, &err));
    OK(pq_log_reader_next(late, &record, &err));
    CHECK(record == NULL, "the future");
    append_each(&world, 121, 121);
    OK(pq_log_reader_next(late, &record, &err));
    CHECK(record != NULL && record->rows[0].batch.count == 3, "counts without schemas");
    pq_log_reader_close(late);
    const struct pq_log_position end = pq_log_position(world.log);
    OK(pq_log_trim(world.log, &end, &err));
    for (int i = 0; i < 200; i++) append_each(&world, 122 + (uint64_t)i, 122 + (uint64_t)i);
    pq_log_reader_close(early);
    OK(log_world_close(&world, &err));
    fault_store_destroy(disk);
}

static void a_reader_that_is_trimmed_away_is_told_so(void) {
    struct fault_store *disk = fault_store_create();
    struct log_world world = {.store = &disk->base, .segment_bytes = 1 << 13};
    OK(log_world_open(&world, &err));
    append_each(&world, 1, 100);
    struct pq_log_reader *reader;
    const struct pq_log_record *record;
    OK(pq_log_reader_open(world.log, 2, &log_world_schemas, &reader, &err));
    OK(pq_log_reader_next(reader, &record, &err));
    const struct pq_log_position end = pq_log_position(world.log);
    OK(pq_log_trim(world.log, &end, &err));
    append_each(&world, 101, 400);
    pqdb_code code = PQDB_OK;
    for (record = NULL; code == PQDB_OK;) {
        code = pq_log_reader_next(reader, &record, &err);
        if (record == NULL) break;
        CHECK(log_world_is_right(&world, record), "version %" PRIu64, record->version);
    }
    CHECK(code == PQDB_NOT_FOUND, "code %d: %s", (int)code, err.message);
    pq_log_reader_close(reader);
    OK(log_world_close(&world, &err));
    fault_store_destroy(disk);
}

static void payloads_and_kinds_come_back(void) {
    struct fault_store *disk = fault_store_create();
    struct log_world world = {.store = &disk->base};
    OK(log_world_open(&world, &err));
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    char large[20000];
    memset(large, 'x', sizeof large);
    OK(pq_log_encode_payload((struct pq_text){large, sizeof large}, &bytes, &err));
    CHECK(bytes.length < 1000, "compressed to %zu", bytes.length);
    const struct pq_log_part part = {.bytes = pq_bytes_text(&bytes)};
    const struct pq_log_commit commits[] = {
        {.kind = PQ_LOG_SCHEMA, .parts = &part, .part_count = 1}, {.kind = PQ_LOG_REFRESH}};
    OK(pq_log_append(world.log, commits, 2, &err));
    struct pq_log_reader *reader;
    const struct pq_log_record *record;
    OK(pq_log_reader_open(world.log, 1, NULL, &reader, &err));
    OK(pq_log_reader_next(reader, &record, &err));
    CHECK(record->kind == PQ_LOG_SCHEMA && !record->last_in_frame, "schema");
    CHECK(pq_text_equal(record->payload, (struct pq_text){large, sizeof large}), "payload");
    const int64_t time_us = record->time_us;
    OK(pq_log_reader_next(reader, &record, &err));
    CHECK(record->kind == PQ_LOG_REFRESH && record->rows_count == 0, "refresh");
    CHECK(record->payload.length == 0 && record->time_us == time_us && record->last_in_frame,
          "one frame");
    CHECK(record->next.offset == pq_log_position(world.log).offset, "the end");
    const struct pq_log_commit long_token = {.kind = PQ_LOG_COMMIT, .token = {large, 256}};
    CHECK(pq_log_append(world.log, &long_token, 1, &err) == PQDB_LIMIT, "a token of 256 bytes");
    pq_log_reader_close(reader);
    pq_bytes_deinit(&bytes);
    OK(log_world_close(&world, &err));
    fault_store_destroy(disk);
}

static void reading_only_changes_nothing(void) {
    struct log_world world = {.read_only = true};
    struct fault_store *disk = fault_store_create();
    world.store = &disk->base;
    CHECK(log_world_open(&world, &err) == PQDB_NOT_FOUND, "no log");
    fault_store_destroy(disk);
    world.read_only = false;
    disk = closed_log(&world, 5);
    const long before = disk->calls;
    world.read_only = true;
    OK(log_world_open(&world, &err));
    check_replay(&world, 1, 5);
    OK(log_world_close(&world, &err));
    CHECK(disk->calls == before, "%ld calls that change something", disk->calls - before);
    fault_store_destroy(disk);
}

static pqdb_code ignore(void *ctx, const struct pq_log_record *record, pqdb_error *error) {
    (void)ctx;
    (void)record;
    (void)error;
    return PQDB_OK;
}

static int64_t backward_us = 5000000;
static int64_t backward(void *ctx) { return (void)ctx, backward_us -= 1000; }

static void commit_times_never_go_back(void) {
    struct fault_store *disk = fault_store_create();
    struct pq_env env = log_world_env;
    env.now_us = backward;
    int64_t last_us = 0;
    for (int round = 0; round < 2; round++) {
        const struct pq_log_options options = {
            .store = &disk->base, .directory = "log", .env = &env, .alloc = &pq_alloc_libc};
        const struct pq_log_visitor visitor = {log_world_schemas, ignore, NULL};
        const struct pq_log_commit commit = {.kind = PQ_LOG_COMMIT};
        struct pq_log *log;
        OK(pq_log_open(&options, &log, &err));
        OK(pq_log_replay(log, &visitor, &err));
        for (int i = 0; i < 3; i++) {
            OK(pq_log_append(log, &commit, 1, &err));
            CHECK(pq_log_time_us(log) >= last_us, "%" PRId64, pq_log_time_us(log));
            last_us = pq_log_time_us(log);
        }
        OK(pq_log_close(log, &err));
    }
    fault_store_destroy(disk);
}

static void the_file_system_keeps_a_log(void) {
    const struct temp_directory temp = temp_directory_make();
    struct log_world world = {.segment_bytes = 1 << 16, .with_variants = true};
    OK(pq_store_open_fs(temp.path, true, &pq_alloc_libc, &world.store, &err));
    for (uint64_t round = 0; round < 3; round++) {
        OK(log_world_open(&world, &err));
        check_replay(&world, round > 0, round * 50);
        append_each(&world, round * 50 + 1, round * 50 + 50);
        OK(log_world_close(&world, &err));
    }
    pq_store_destroy(world.store);
    temp_directory_remove(&temp);
}

/// As an ordinary user, because root may write everywhere.
static void check_read_only(const char *root) {
    if (getuid() == 0 && setuid(65534) != 0) exit(0);
    struct log_world world = {0};
    if (pq_store_open_fs(root, false, &pq_alloc_libc, &world.store, &err) != PQDB_OK) exit(1);
    const bool refused = log_world_open(&world, &err) == PQDB_IO &&
                         strstr(err.message, "permission denied") != NULL &&
                         strcmp(err.subject, "log") == 0;
    exit(refused ? 0 : 2);
}

static void a_read_only_directory_takes_no_log(void) {
    const struct temp_directory temp = temp_directory_make();
    chmod(temp.path, 0555);
    const pid_t child = fork();
    if (child == 0) check_read_only(temp.path);
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0, "status %d", status);
    temp_directory_remove(&temp);
}

int main(void) {
    RUN(a_log_reopened_has_what_was_appended);
    RUN(one_append_is_one_write_and_one_sync);
    RUN(a_torn_tail_is_cut_and_the_log_goes_on);
    RUN(any_flipped_byte_of_a_closed_log_is_corrupt);
    RUN(a_stale_frame_behind_a_cut_tail_stays_away);
    RUN(after_a_failed_sync_the_log_refuses_until_it_is_reopened);
    RUN(a_full_disk_is_said_and_the_commit_can_be_repeated);
    RUN(a_large_commit_spans_frames_and_segments);
    RUN(a_commit_without_its_last_frame_is_dropped);
    RUN(segments_are_trimmed_and_used_again);
    RUN(a_missing_segment_and_a_damaged_header_are_corrupt);
    RUN(whole_frames_that_do_not_belong_together_are_corrupt);
    RUN(a_newer_format_is_refused_by_name);
    RUN(a_reader_follows_the_log);
    RUN(a_reader_that_is_trimmed_away_is_told_so);
    RUN(payloads_and_kinds_come_back);
    RUN(reading_only_changes_nothing);
    RUN(commit_times_never_go_back);
    RUN(the_file_system_keeps_a_log);
    RUN(a_read_only_directory_takes_no_log);
    return test_done();
}
