/// One telling of a story: story_steps.c runs it, story.c breaks what is below it and looks.
#ifndef PQ_TEST_STORY_INTERNAL_H
#define PQ_TEST_STORY_INTERNAL_H

#include "db/open_with.h"
#include "support/story.h"

struct life {
    const struct story *story;
    struct pq_store *store;
    const struct pq_alloc *alloc;
    pqdb_db *db;     // NULL: not open
    size_t done;     // steps that returned
    bool made;       // the database is there
    bool is_deaf;    // it does not ask what went wrong: `err` is not given
    pqdb_error err;  // of what failed last
};

/// Of all lives; begin again with each.
extern int64_t story_clock_us;
extern uint64_t story_dice;

struct life life_begin(const struct story *story, struct pq_store *store,
                       const struct pq_alloc *alloc);
struct pq_open_with life_with(const struct life *life);
pqdb_code life_make(struct life *life);  // an empty database
pqdb_code life_open(struct life *life);
pqdb_code life_close(struct life *life);

/// Steps up to `end`, or to the first that fails; `step_count` + 1 is behind `more`.
pqdb_code life_go_on(struct life *life, size_t end);
pqdb_code life_step(struct life *life, const struct story_step *step, size_t number);
/// Make it, unless it is there, all steps, close it.
pqdb_code life_live(struct life *life);

const struct story_step *story_step_at(const struct story *story, size_t number);
bool story_is_write(const struct story_step *step);

/// Every row but its times, as text with a NUL behind it; with views: also theirs, and the schema.
pqdb_code life_dump(struct life *life, bool with_views, struct pq_bytes *out);

#endif
