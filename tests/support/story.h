/// The life of a database as a list of steps, told once without faults and then again and again
/// with one: the power fails in a call of the store, a call fails, the disk is full, an allocation
/// fails.
///
/// What must hold is the same for every story. After a reopen the database holds exactly what it
/// held after the last step that returned, or the one behind it; views equal their recomputation;
/// the steps can be gone on with from there to the same end; more is accepted; after a checkpoint
/// no byte is damaged and no file is there that nothing names. After an error the open database
/// shows the rows of before, and the step succeeds when it is tried again, at once or after a
/// reopen.
///
///     static const struct story_step steps[] = {{"create", "T", "", "[{\"$id\":\"1\"}]"}, …};
///     static struct story story = {.name = "writes", .schema = schema, STORY_STEPS(steps), …};
///     story_learn(&story);
///     story_crash_everywhere(&story);
///     story_forget(&story);
///
/// PQ_TEST_STRIDE=1 tries every call in every way; without it each story's own strides hold.
#ifndef PQ_TEST_STORY_H
#define PQ_TEST_STORY_H

#include "base/bytes.h"
#include "support/fault_store.h"

/// Verbs, and what the three texts are:
///
///     create, replace          collection, -, rows as JSON            with a token
///     update, upsert           collection, filter, operators          with a token
///     delete                   collection, filter                     with a token
///     checkpoint, retain, close (and open again), ask (everything a reader can)
///     at                       -, -, hours: the clock is at least there
///     view, alter              view, -, definition or settings
///     drop                     view
///     refresh, full, discard, due, vacuum    view
///     apply                    -, a name that may be dropped, schema
///     breaks                   as alter, or without a view as apply; a view's contents do not fit
struct story_step {
    const char *verb, *name, *where, *text;
};

/// Everything that is there, and the rows of collections alone.
struct story_state {
    struct pq_bytes all, rows;
};

struct story {
    const char *name;
    const char *schema;
    const struct story_step *steps;
    size_t step_count;
    size_t before;           // of the steps: they are told once, and the sweeps begin behind them
    bool is_killed;          // … and find what a kill then leaves, not a clean close
    struct story_step more;  // a write behind the last step
    uint64_t merge_rows, tokens_max, log_segment_bytes, cut_run_bytes;  // as pq_open_with has them
    long crash_stride, error_stride, memory_stride;
    struct story_state *states;  // owned: what there is after each step, [0] before the first
    struct fault_store *start;   // owned: what there is after `before` steps; NULL: nothing
    int64_t start_us;
    uint64_t start_dice;
};

#define STORY_STEPS(list) .steps = (list), .step_count = sizeof(list) / sizeof *(list)

/// Tell it without faults; every step must succeed.
void story_learn(struct story *story);
void story_forget(struct story *story);

/// The power fails in each call; of what is not synced all is lost, all kept, some (sectors of 512
/// and of 4096 bytes).
void story_crash_everywhere(const struct story *story);
/// The power fails in a call, and then again and again while the database is opened.
void story_crash_in_recovery(const struct story *story);
/// Each call, reads too, fails: once with EIO, once with ENOSPC, or with ENOSPC until somebody has
/// mended it.
void story_fail_everywhere(const struct story *story);
/// Each allocation fails once.
void story_starve_everywhere(const struct story *story);

/// All of it.
void story_sweep(struct story *story);

#endif
