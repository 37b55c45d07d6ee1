/// db/schedule.h: when scheduled views are due, and the thread that refreshes them then.
///
/// A *slot* is an instant at which a schedule is due (view/due.h). The last one that a view's
/// contents complete is written with every refresh (REFRESH and SWAP records, the root): so a slot
/// that nobody was there for is made good once, whoever comes next, and none is run twice.
#ifndef PQ_DB_SCHEDULE_H
#define PQ_DB_SCHEDULE_H

#include "db/db_internal.h"

/// The slot that has come by `now_us` and `done_us` does not complete, or PQ_DB_NO_SLOT. A clock
/// that was set back repeats no slot, unless it was set back by three hours or more: that is a
/// correction, as it is for cron. A schedule that follows the clock (every few minutes) goes on
/// with the new time at once.
/// Cost: microseconds.
enum { PQ_DB_NO_SLOT = 0 };
int64_t pq_db_slot_due(const struct pq_view *view, int64_t done_us, int64_t now_us);

/// What contents that are made at `now_us` complete: the due slot, or else what was complete
/// before. PQ_DB_NO_SLOT for views without a schedule.
int64_t pq_db_slot_done(const struct pq_view *view, int64_t done_us, int64_t now_us);

/// The first slot to come; PQ_DB_NO_SLOT: none in 30 years.
int64_t pq_db_slot_next(const struct pq_view *view, int64_t now_us);

/// Is there work, by the published facts and the clock? A view's slot is run up to ten seconds late
/// (a twentieth of the time to the next), each view by its own part of that, so that not all of
/// them run at once; after a failure later and later.
bool pq_db_schedule_is_due(pqdb_db *db);
/// Refresh what is due, one after the other, what is read before what reads it. No lock held.
void pq_db_schedule_run(pqdb_db *db);

#endif
