#include "support/story_internal.h"

#include <errno.h>
#include <parquedb/view.h>
#include <string.h>

#include "base/fail.h"
#include "db/check_internal.h"
#include "support/test.h"

/// Half of the time would go into what ASan keeps of memory that is given back.
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "quarantine_size_mb=4:thread_local_quarantine_size_kb=64:malloc_context_size=6";
}

enum { ways = 6, tries_max = 4, chains = 12, looks = 8 };

// ---- what must hold ---------------------------------------------------------------------------

#define HOLDS(life, code, what, k)                                                             \
    CHECK((code) == PQDB_OK, "%s: %s %ld, step %zu: %s: %s", (life)->story->name, what, k,     \
          (life)->done, (life)->err.subject, (life)->err.message)

/// Those that are fresh equal their recomputation; those that are stale do once they are refreshed.
static void verify_views(struct life *life, bool refreshes, const char *what, long k) {
    for (size_t i = 0; i < pqdb_view_count(life->db); i++) {
        const char *name = pqdb_view_name(life->db, i);
        pqdb_view_state state;
        pqdb_verified verified = {0};
        HOLDS(life, pqdb_view_state_get(life->db, name, &state, &life->err), what, k);
        if (state.keeps_dropped || strcmp(state.strategy, "append") == 0) continue;
        if (refreshes) {
            HOLDS(life, pqdb_view_refresh(life->db, name, false, NULL, &life->err), what, k);
        }
        if (!refreshes && strcmp(state.state, "stale") == 0) continue;
        if (!refreshes && state.version == 0) continue;  // it was never refreshed
        const pqdb_code code =
            pqdb_view_verify(life->db, name, NULL, NULL, &verified, &life->err);
        CHECK(code == PQDB_OK && verified.differences == 0,
              "%s: %s %ld, step %zu: %s, %s: %llu differences, %s", life->story->name, what, k,
              life->done, name, state.state, (unsigned long long)verified.differences,
              code == PQDB_OK ? "" : life->err.message);
    }
}

static bool equals(const struct pq_bytes *a, const struct pq_bytes *b) {
    return strcmp((const char *)a->data, (const char *)b->data) == 0;
}

/// The first line in which they differ.
static void tell_difference(const struct pq_bytes *now, const struct pq_bytes *then) {
    const char *a = (const char *)now->data, *b = (const char *)then->data;
    size_t line = 0;
    for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++) line = a[i] == '\n' ? i + 1 : line;
    fprintf(stderr, "    there is: %.*s\n    must be:  %.*s\n", (int)strcspn(a + line, "\n"),
            a + line, (int)strcspn(b + line, "\n"), b + line);
}

/// Which step the database is behind, of the two that are possible.
static void find_place(struct life *life, const char *what, long k) {
    const struct story *story = life->story;
    struct pq_bytes now;
    pq_bytes_init(&now, &pq_alloc_libc);
    HOLDS(life, life_dump(life, true, &now), what, k);
    const size_t next = life->done < story->step_count ? life->done + 1 : life->done;
    const bool is_before = equals(&now, &story->states[life->done].all);
    const bool is_behind = equals(&now, &story->states[next].all);
    CHECK(is_before || is_behind, "%s: %s %ld: not as after %zu steps, nor the next",
          story->name, what, k, life->done);
    if (!is_before && !is_behind) tell_difference(&now, &story->states[life->done].all);
    if (!is_before && is_behind) {
        // Its caller does not know that it was done: a write is tried again by its token.
        const struct story_step *step = story_step_at(story, life->done);
        if (story_is_write(step)) HOLDS(life, life_step(life, step, life->done), what, k);
        life->done = next;
    }
    pq_bytes_deinit(&now);
}

static void check_state(struct life *life, const char *what, long k) {
    struct pq_bytes now;
    pq_bytes_init(&now, &pq_alloc_libc);
    HOLDS(life, life_dump(life, true, &now), what, k);
    const struct pq_bytes *then = &life->story->states[life->done].all;
    CHECK(equals(&now, then), "%s: %s %ld: other rows at the end", life->story->name, what, k);
    if (!equals(&now, then)) tell_difference(&now, then);
    pq_bytes_deinit(&now);
    verify_views(life, false, what, k);
}

static void tell_damage(void *ctx, const pqdb_damage *damage) {
    (void)ctx;
    fprintf(stderr, "    %s at %lld: %s\n", damage->file, (long long)damage->offset,
            damage->message);
}

static void tell_unnamed(void *ctx, const char *file, uint64_t bytes) {
    (void)ctx, (void)bytes;
    fprintf(stderr, "    nothing names %s\n", file);
}

/// Every byte is sound, and there is no file that nothing names.
static void check_files(struct life *life, const char *what, long k) {
    const struct pq_open_with with = life_with(life);
    const pqdb_check_options options = {.on_damage = tell_damage, .on_unnamed = tell_unnamed};
    pqdb_checked checked = {0};
    HOLDS(life, pq_db_check_with(&with, &options, &checked, &life->err), what, k);
    CHECK(checked.damages == 0, "%s: %s %ld: damage", life->story->name, what, k);
    CHECK(checked.unnamed_files == 0, "%s: %s %ld: files leak", life->story->name, what, k);
}

/// Open, look, go on to the end and one step more, checkpoint, and look after another open.
static void check_disk(const struct life *left, struct pq_store *store, const char *what, long k) {
    struct life life = *left;
    const struct story *story = life.story;
    life.store = store;
    life.alloc = &pq_alloc_libc;
    life.db = NULL;
    pqdb_code code = life_open(&life);
    if (code == PQDB_NOT_FOUND && !life.made) {
        HOLDS(&life, life_make(&life), what, k);
        code = life_open(&life);
    }
    HOLDS(&life, code, what, k);
    if (code != PQDB_OK) return;
    find_place(&life, what, k);
    verify_views(&life, false, what, k);
    HOLDS(&life, life_go_on(&life, story->step_count + 1), what, k);
    check_state(&life, what, k);
    HOLDS(&life, pqdb_checkpoint(life.db, &life.err), what, k);
    check_files(&life, what, k);
    HOLDS(&life, life_close(&life), what, k);
    code = life_open(&life);
    HOLDS(&life, code, what, k);
    if (code != PQDB_OK) return;
    check_state(&life, what, k);
    verify_views(&life, true, what, k);
    HOLDS(&life, life_close(&life), what, k);
}

/// A life behind the steps that are told before.
static struct fault_store *begin(const struct story *story, struct life *life,
                                 const struct pq_alloc *alloc) {
    struct fault_store *disk = story->start == NULL
                                   ? fault_store_create()
                                   : fault_store_crash(story->start, FAULT_ALL_KEPT, 0);
    *life = life_begin(story, &disk->base, alloc);
    if (story->start == NULL) return disk;
    life->made = true;
    life->done = story->before;
    story_clock_us = story->start_us;
    story_dice = story->start_dice;
    return disk;
}

// ---- the power fails --------------------------------------------------------------------------

/// Disks, each with the number of steps that are done, that were looked at already.
struct seen {
    uint64_t *hashes;  // owned
    size_t count;
};

static bool is_seen(struct seen *seen, uint64_t hash) {
    for (size_t i = 0; i < seen->count; i++) {
        if (seen->hashes[i] == hash) return true;
    }
    seen->hashes = realloc(seen->hashes, (seen->count + 1) * sizeof hash);
    if (seen->hashes == NULL) abort();
    seen->hashes[seen->count++] = hash;
    return false;
}

static struct fault_store *crash(struct fault_store *disk, long way, uint64_t seed) {
    disk->sector_bytes = way % 2 == 0 ? 512 : 4096;
    return fault_store_crash(disk, way == 0   ? FAULT_ALL_LOST
                                   : way == 1 ? FAULT_ALL_KEPT
                                              : FAULT_SOME_KEPT, seed);
}

struct crashes {
    struct life *life;
    long call, stride, count;
    struct seen seen;
};

static void crash_so(struct crashes *crashes, struct fault_store *disk, long k, long way) {
    struct life *life = crashes->life;
    const int64_t now_us = story_clock_us;
    struct fault_store *next = crash(disk, way, (uint64_t)(way * 100000 + k));
    crashes->count++;
    if (!is_seen(&crashes->seen, fault_store_hash(next) + 2 * life->done + life->made)) {
        check_disk(life, &next->base, "crash in call", k);
    }
    fault_store_destroy(next);
    story_clock_us = now_us;
}

/// What a crash in this call would leave is looked at while the story goes on.
static void crash_here(void *ctx, struct fault_store *disk, const char *path) {
    struct crashes *crashes = ctx;
    (void)path;
    const long k = crashes->call++;
    if (k % crashes->stride != 0) return;
    if (crashes->stride > 1) {
        crash_so(crashes, disk, k, k / crashes->stride % ways);
        return;
    }
    for (long way = 0; way < ways; way++) crash_so(crashes, disk, k, way);
}

static long stride_of(long usual) {
    const char *asked = getenv("PQ_TEST_STRIDE");
    return asked == NULL ? usual : strtol(asked, NULL, 10);
}

void story_crash_everywhere(const struct story *story) {
    struct life life;
    struct fault_store *disk = begin(story, &life, &pq_alloc_libc);
    struct crashes crashes = {.life = &life, .stride = stride_of(story->crash_stride)};
    disk->on_call = crash_here;
    disk->on_call_ctx = &crashes;
    HOLDS(&life, life_live(&life), "crashes", 0L);
    fprintf(stderr, "    %s: %ld calls, %ld crashes, %zu disks\n", story->name, crashes.call,
            crashes.count, crashes.seen.count);
    free(crashes.seen.hashes);
    fault_store_destroy(disk);
}

static long recover_from(const struct story *story, long first, long way) {
    struct life life;
    struct fault_store *disk = begin(story, &life, &pq_alloc_libc);
    long cut_short = 0;
    disk->down_at = first;
    life_live(&life);
    for (bool is_cut = true; is_cut; cut_short += is_cut) {
        struct fault_store *next = crash(disk, (cut_short + way) % ways,
                                         (uint64_t)(first + cut_short));
        fault_store_destroy(disk);
        disk = next;
        disk->down_at = 1 + 3 * cut_short;
        life.store = &disk->base;
        if (life_open(&life) == PQDB_OK) life_close(&life);
        is_cut = disk->is_down;
    }
    disk->down_at = -1;
    check_disk(&life, &disk->base, "crash in recovery after", first);
    fault_store_destroy(disk);
    return cut_short;
}

static long count_calls(const struct story *story, bool reads) {
    struct life life;
    struct fault_store *disk = begin(story, &life, &pq_alloc_libc);
    disk->counts_reads = reads;
    HOLDS(&life, life_live(&life), "counting", 0L);
    const long calls = disk->calls;
    fault_store_destroy(disk);
    return calls;
}

void story_crash_in_recovery(const struct story *story) {
    const long calls = count_calls(story, false);
    const long wide = 13 * stride_of(story->crash_stride);
    const long stride = story->start == NULL ? wide : calls / chains + 1;
    long recoveries = 0;
    for (long k = 1; k < calls; k += stride) recoveries += recover_from(story, k, k / stride);
    fprintf(stderr, "    %s: %ld recoveries cut short\n", story->name, recoveries);
}

// ---- calls and allocations fail ---------------------------------------------------------------

/// The open database shows the rows of before.
static void check_unchanged(struct life *life, const char *what, long k) {
    struct pq_bytes now;
    if (!story_is_write(story_step_at(life->story, life->done))) return;
    pq_bytes_init(&now, &pq_alloc_libc);
    HOLDS(life, life_dump(life, false, &now), what, k);
    const struct pq_bytes *then = &life->story->states[life->done].rows;
    CHECK(equals(&now, then), "%s: %s %ld: step %zu failed, and the rows are others",
          life->story->name, what, k, life->done);
    if (!equals(&now, then)) tell_difference(&now, then);
    pq_bytes_deinit(&now);
}

/// The step that failed is tried again, if need be after a reopen, until it is done.
static pqdb_code insist(struct life *life, const char *what, long k, long *reopened) {
    for (int tries = 0; tries < tries_max; tries++) {
        if (life->db == NULL) {
            PQ_TRY(life_open(life));
            find_place(life, what, k);
        }
        const pqdb_code code = life_go_on(life, life->story->step_count);
        if (code == PQDB_OK) return PQDB_OK;
        const bool is_done_already = code == PQDB_CONFLICT || code == PQDB_NOT_FOUND;
        if (tries == 0 && !is_done_already) continue;
        life_close(life);
        ++*reopened;
    }
    return life->err.code;
}

struct failures {
    const char *what;
    long tried, reopened;
    struct failing_alloc *failing;  // or NULL
};

static pqdb_code begin_again(struct life *life) {
    if (!life->made) {
        const pqdb_code code = life_make(life);
        if (code != PQDB_OK && code != PQDB_CONFLICT) return code;
        life->made = true;
    }
    return life->db == NULL ? life_open(life) : PQDB_OK;
}

/// The story with one fault that `mend` ends once it was felt.
static void live_with_fault(struct life *life, struct fault_store *disk, long k,
                            struct failures *failures) {
    life->is_deaf = k % 4 == 3;
    pqdb_code code = begin_again(life);
    if (code == PQDB_OK) code = life_go_on(life, life->story->step_count);
    CHECK(code == PQDB_OK || code == PQDB_IO || code == PQDB_NO_MEMORY,
          "%s: %s %ld, step %zu: code %d: %s: %s", life->story->name, failures->what, k,
          life->done, (int)code, life->err.subject, life->err.message);
    CHECK(code == PQDB_OK || life->is_deaf || life->err.message[0] != '\0', "%s %ld: no message",
          failures->what, k);
    life->is_deaf = false;
    disk->fail_at = -1;
    if (code != PQDB_OK) {
        if (life->db != NULL) check_unchanged(life, failures->what, k);
        HOLDS(life, begin_again(life), failures->what, k);
        HOLDS(life, insist(life, failures->what, k, &failures->reopened), failures->what, k);
    }
    pqdb_error ignored = life->err;
    life_close(life);
    life->err = ignored;
    failures->tried++;
}

static void fail_at(const struct story *story, long k, struct failures *failures) {
    struct life life;
    struct fault_store *disk = begin(story, &life, &pq_alloc_libc);
    disk->counts_reads = true;
    disk->fail_at = k;
    disk->fail_errno = failures->tried % 3 == 0 ? EIO : ENOSPC;
    disk->fail_count = failures->tried % 3 == 2 ? 1000000 : 1;
    live_with_fault(&life, disk, k, failures);
    // What a sync that failed has lost would be found out by a crash.
    struct fault_store *next = crash(disk, k % 2, (uint64_t)k);
    check_disk(&life, &next->base, failures->what, k);
    fault_store_destroy(next);
    fault_store_destroy(disk);
}

void story_fail_everywhere(const struct story *story) {
    const long calls = count_calls(story, true), stride = stride_of(story->error_stride);
    struct failures failures = {.what = "error in call"};
    for (long k = 0; k < calls; k += stride) fail_at(story, k, &failures);
    fprintf(stderr, "    %s: %ld calls, %ld failed, %ld reopened\n", story->name, calls,
            failures.tried, failures.reopened);
}

static bool starve_at(const struct story *story, long n, struct failures *failures) {
    struct life life;
    struct failing_alloc failing = {.left = n};
    failing.alloc = (struct pq_alloc){failing_resize, &failing};
    struct fault_store *disk = begin(story, &life, &failing.alloc);
    live_with_fault(&life, disk, n, failures);
    const bool was_felt = failing.left < 0;
    CHECK(failing.live_bytes == 0, "%s: allocation %ld: %ld bytes leak", story->name, n,
          failing.live_bytes);
    if (story->start == NULL || n % looks == 0) check_disk(&life, &disk->base, failures->what, n);
    fault_store_destroy(disk);
    return was_felt;
}

void story_starve_everywhere(const struct story *story) {
    const long stride = stride_of(story->memory_stride);
    struct failures failures = {.what = "allocation"};
    long n = 0;
    while (starve_at(story, n, &failures)) n += stride;
    fprintf(stderr, "    %s: %ld allocations, %ld failed, %ld reopened\n", story->name, n,
            failures.tried, failures.reopened);
}

// ---- the story --------------------------------------------------------------------------------

static void keep_start(struct story *story, struct life *life, struct fault_store *disk) {
    if (!story->is_killed) HOLDS(life, life_close(life), "told", 0L);
    story->start = fault_store_crash(disk, FAULT_ALL_KEPT, 0);
    story->start_us = story_clock_us;
    story->start_dice = story_dice;
    if (!story->is_killed) HOLDS(life, life_open(life), "told", 0L);
}

void story_learn(struct story *story) {
    struct fault_store *disk = fault_store_create();
    struct life life = life_begin(story, &disk->base, &pq_alloc_libc);
    story->states = calloc(story->step_count + 2, sizeof *story->states);
    if (story->states == NULL) abort();
    if (life_make(&life) != PQDB_OK || life_open(&life) != PQDB_OK) {
        HOLDS(&life, life.err.code, "open", 0L);
        exit(test_done());
    }
    for (size_t i = 0; i < story->step_count + 2; i++) {
        pq_bytes_init(&story->states[i].all, &pq_alloc_libc);
        pq_bytes_init(&story->states[i].rows, &pq_alloc_libc);
        const pqdb_code code = life_go_on(&life, i);
        HOLDS(&life, code, "told", 0L);
        if (code != PQDB_OK) exit(test_done());
        HOLDS(&life, life_dump(&life, true, &story->states[i].all), "told", 0L);
        HOLDS(&life, life_dump(&life, false, &story->states[i].rows), "told", 0L);
        verify_views(&life, false, "told", 0);
        if (i > 0 && i == story->before) keep_start(story, &life, disk);
    }
    life_close(&life);
    fault_store_destroy(disk);
}

void story_forget(struct story *story) {
    for (size_t i = 0; i < story->step_count + 2; i++) {
        pq_bytes_deinit(&story->states[i].all);
        pq_bytes_deinit(&story->states[i].rows);
    }
    free(story->states);
    story->states = NULL;
    fault_store_destroy(story->start);
    story->start = NULL;
}

void story_sweep(struct story *story) {
    story_learn(story);
    story_crash_everywhere(story);
    story_crash_in_recovery(story);
    story_fail_everywhere(story);
    story_starve_everywhere(story);
    story_forget(story);
}
