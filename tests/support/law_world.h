/// A world of the law of views (tests/law/views_test.c): a database, and what the naive evaluator
/// says of it. Its schema and its dice follow from a seed.
#ifndef PQ_TEST_LAW_WORLD_H
#define PQ_TEST_LAW_WORLD_H

#include <parquedb/query.h>
#include <parquedb/schema.h>
#include <parquedb/view.h>
#include <parquedb/write.h>

#include "base/env.h"
#include "support/fault_store.h"
#include "support/law_random.h"
#include "support/temp.h"

enum { world_steps_max = 32 };
#define LAW_GRACE "5610s"  // no sum of the minutes by which the clock moves
static const int64_t law_grace_us = INT64_C(5610000000);
enum mode { STREAMING, SCHEDULED, MANUAL };

/// What of a seed's world is left out: a failure that stays without it does not need it.
struct cut {
    bool steps[world_steps_max];
    bool views[NAIVE_TABLES];
    int rows_max;  // of a batch; 0: any
};

/// Of a collection.
struct law_commit {
    uint64_t version;
    int64_t time_us;
    int collection;
};

struct law_rows {
    struct naive_row *rows;
    int count;
};

struct world {
    uint64_t seed;
    const struct cut *cut;
    struct law_dice dice;
    struct pq_arena memory, scratch;  // the world's; one computation's
    struct naive_db naive;
    enum mode modes[NAIVE_TABLES];
    bool dropped[NAIVE_TABLES];
    int64_t grace_us[NAIVE_TABLES];  // -1: none
    bool appends[NAIVE_TABLES];
    bool keeps[NAIVE_TABLES], is_plain[NAIVE_TABLES];  // plain: it reads nothing through links
    bool has_contents[NAIVE_TABLES];    // refreshed, or always
    uint64_t shows[NAIVE_TABLES];       // of such: the version of its sources
    struct law_rows gone[NAIVE_TABLES];  // rows of its source that go in this commit
    struct law_rows kept[NAIVE_TABLES];  // its own rows of such; a grouped one's source's
    int64_t slots_us[NAIVE_TABLES];      // of scheduled ones: the last that was done
    bool retains[NAIVE_TABLES];    // collections
    bool is_on_disk;               // that may lose its power; there nothing happens by itself
    int collections;
    uint64_t stream;  // of the dice of a step
    const char *max_staleness;  // of what is asked
    struct law_commit *commits; // what the log told of it, as long as it had it
    int commit_count;
    bool is_chain;    // each view is on the one before it
    struct pq_bytes schema;
    // In a directory with a keeper, or on a disk that loses its power.
    struct temp_directory place;
    struct fault_store *disk;
    struct pq_env env;  // of the disk's: with a clock that steps move
    pqdb_options options;
    pqdb_db *db;
    bool failed;
    char failure[8192];
};

extern bool world_tells_story;  // on stderr, of the world that runs

/// What happened in all worlds.
struct world_counts {
    unsigned views[3], appends, keeps, graces;  // by mode; those of them
    unsigned refreshes, due, crashes, reopens, alters, checkpoints;
    unsigned answers[3];  // by enum law_answer
};
extern struct world_counts world_counts;

/// The first failure stays.
__attribute__((format(printf, 2, 3))) void world_fail(struct world *w, const char *format, ...);
/// The call succeeds, or the world has failed.
#define WORLD_MUST(w, call, what) world_must(w, call, what, &err)
void world_must(struct world *w, pqdb_code code, const char *what, const pqdb_error *err);
/// A step of the story, while it happens: what crashes is told as well.
void world_tell(const char *verb, const char *name, const char *text);
uint64_t world_roll(struct world *w, uint64_t sides);
struct law_scope world_scope(struct world *w);

/// Not in the database (any more).
bool world_lacks(const struct world *w, int t);
/// Does a view that keeps lie below it, or is it one?
bool world_is_over_keep(const struct world *w, const struct naive_table *at);
/// Does a view that appends lie below it, or is it one?
bool world_is_over_append(const struct world *w, const struct naive_table *at);
/// The definition of a new view, which the evaluator has from here on.
const char *world_define_view(struct world *w);

void world_make(struct world *w, uint64_t seed, const struct cut *cut);
void world_end(struct world *w);
/// The power fails: what was acknowledged is there, whatever the disk kept of the rest.
void world_lose_power(struct world *w);
void world_reopen(struct world *w);
uint64_t world_version(struct world *w);

/// Streaming views follow, the others stay as they were refreshed.
void world_compute(struct world *w);
/// The view as it is by its definition and what it keeps.
void world_eval(struct world *w, int t);
/// Behind a commit: what was replaced of what it keeps is gone.
void world_settle(struct world *w, int t);
/// What is too old goes.
void world_retain(struct world *w);
/// The definition over the rows that were created since the last time, added to what is there.
void world_append(struct world *w, int t, uint64_t version);
/// Behind a commit: streaming views that append have followed it, and what is kept.
void world_follow(struct world *w, uint64_t version);
void world_refresh(struct world *w, int t);
/// A refresh of what does not append has brought it up to what is there.
void world_refreshed(struct world *w, int t);
/// Rows, versions, filters, counts, verify.
void world_check_table(struct world *w, int t);

// law_age.c
/// What an answer that may be so old (-1: any) shows: what is stored, or that brought up to now;
/// UNSURE: the model does not follow how much of the log is left.
enum law_answer { ANSWER_STORED, ANSWER_NOW, ANSWER_UNSURE };
enum law_answer world_answer(struct world *w, int t, int64_t staleness_us);
/// The view has contents as of the last commit.
void world_shows_now(struct world *w, int t);
/// Look into the log for what was committed since the last time.
void world_read_log(struct world *w);

// law_schedule.c
/// The clock by which the world's commits are dated.
int64_t world_now_us(struct world *w);
/// The clock of a new world.
struct pq_env world_clock_begin(void);
/// Time passes, or the clock is set, here and there the power fails; then scheduled views are
/// refreshed where it is time, once, and no others.
void world_pass_time(struct world *w);
/// What is done of the schedules stays done: noted before the database goes, looked at afterwards.
void world_note_slots(struct world *w);
void world_check_slots(struct world *w);

#endif
