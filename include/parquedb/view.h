/// parquedb/view.h: materialized views: what state they are in, refresh, verify, explain.
#ifndef PQDB_VIEW_H
#define PQDB_VIEW_H

#include <parquedb/db.h>

PQDB_BEGIN

/// Computed from versions at the time of the call, never stored. Texts are valid until the next
/// call with the same struct or pqdb_close.
typedef struct pqdb_view_state {
    const char *name;
    const char *from;
    const char *mode;   ///< "streaming", "scheduled" or "manual"
    const char *strategy;  ///< "replace" or "append"
    const char *state;  ///< "fresh", "stale" or "invalid"
    char reason[256];   ///< why it is not fresh, or ""
    bool is_incremental;
    const char *not_incremental;   ///< why not, or ""
    char refresh_version_id[20];   ///< hash of the resolved definition, hexadecimal
    uint64_t version;              ///< it reflects its source at this commit; 0: never refreshed
    uint64_t source_version;       ///< last commit that changed the source
    int64_t refreshed_us;          ///< when its contents last changed or were confirmed
    int64_t stale_since_us;        ///< time of the first source commit it lacks, or 0
    uint64_t lag_versions;         ///< source commits it lacks
    const char *schedule;          ///< cron fields, or ""
    const char *last_refresh;      ///< "streaming", "incremental", "full", "append" or "none"
    const char *last_refresh_reason;  ///< why it was "full", or ""
    uint64_t last_refresh_rows;    ///< rows its last refresh changed
    int64_t last_refresh_us;       ///< and how long that took
    char last_error[256];          ///< or ""
    uint64_t rows;
    uint64_t bytes;                ///< of its data files
    int build_percent;             ///< of the build that runs now; -1: none
    int64_t next_try_us;           ///< until a build that failed is tried again, or 0
    const char *timezone;          ///< of the schedule, "UTC" by default; "" without a schedule
    int64_t next_refresh_us;       ///< when the schedule is due next, microseconds since 1970, or 0
    int64_t last_slot_us;          ///< the last time of the schedule that is done, or 0
    bool keeps_dropped;  ///< it, or a view below it, keeps what came of rows that went by
                         ///< `$retention`: it is not what its definition gives over what is there
    uint64_t log_version;  ///< the first commit of the log that its next refresh needs, 0: none
    uint64_t log_bytes;    ///< of the log from there on
    bool log_let_go;       ///< it is too much, or gone: the next refresh is a full one
    int64_t grace_us;      ///< its gracePeriod: no read shows contents older than that; -1: none
} pqdb_view_state;

/// A table that a view reads: the one of `$from`, and those that its links lead to.
typedef struct pqdb_view_source {
    const char *name;
    uint64_t version;     ///< the source's commit that the view shows; 0: none
    uint64_t newest;      ///< the source's last commit; above `version` the view is stale
} pqdb_view_source;
typedef void (*pqdb_on_source)(void *ctx, const pqdb_view_source *source);
PQDB_API pqdb_code pqdb_view_sources(pqdb_db *db, const char *name, pqdb_on_source on_source,
                                     void *ctx, pqdb_error *err);

PQDB_API size_t pqdb_view_count(const pqdb_db *db);
PQDB_API const char *pqdb_view_name(const pqdb_db *db, size_t index);
PQDB_API pqdb_code pqdb_view_state_get(pqdb_db *db, const char *name, pqdb_view_state *state,
                                       pqdb_error *err);

/// Rows that came and went in the source commits that a view lacks, as far as the log tells. Cost:
/// a walk through that part of the log. Errors: PQDB_NOT_FOUND.
PQDB_API pqdb_code pqdb_view_lag_changes(pqdb_db *db, const char *name, uint64_t *rows,
                                         pqdb_error *err);

/// The definition as JSON, valid until close.
PQDB_API pqdb_code pqdb_view_definition(pqdb_db *db, const char *name, const char **json,
                                        pqdb_error *err);

/// Make a view while writers go on: `definition` is a JSON5 object as a schema has it. It becomes a
/// part of the schema on disk; mistakes are told as pqdb_init does, lines from the definition's
/// first. A streaming or scheduled view is built before this returns, from a snapshot and then the
/// log, so that not a row is missed or taken twice; meanwhile reads of it fail (PQDB_INVALID) and
/// its state tells how far it is. A manual view stays empty until its first refresh.
/// Errors: PQDB_INVALID (a mistake), PQDB_CONFLICT (the name is taken, or the view was dropped
/// while it was built), PQDB_IO: there is no such view. PQDB_LIMIT and the like from the build: it
/// is there, with this as its last error, and is tried again.
PQDB_API pqdb_code pqdb_view_create(pqdb_db *db, const char *name, const char *definition,
                                    pqdb_on_problem on_problem, void *ctx, pqdb_error *err);

/// Change a view's definition: `settings` is a JSON5 object whose members take the place of those
/// that the definition has; null takes one away. Members without a `$` are those of `$refresh`, as
/// in { mode: 'manual', gracePeriod: '5m' }, which hold at once; of another definition the view is
/// built anew before this returns, and reads get the old contents until then.
/// Errors: PQDB_NOT_FOUND; PQDB_INVALID: a mistake, told as pqdb_schema_apply does, and nothing has
/// changed; as pqdb_schema_apply.
PQDB_API pqdb_code pqdb_view_alter(pqdb_db *db, const char *name, const char *settings,
                                   pqdb_on_problem on_problem, void *ctx, pqdb_error *err);
/// Snapshots of a view that other engines could still read, and files that nothing else needs. Of
/// its last four a table keeps those that do not take much; this lets go of them now. Answers that
/// are open here keep what they read until they are closed; engines that read an older snapshot
/// find its files gone.
typedef struct pqdb_vacuumed {
    uint64_t snapshots;  ///< that were dropped
    uint64_t files;      ///< data files that went with them, or will once nobody reads them
} pqdb_vacuumed;
/// `keep` is a duration ("7d"): snapshots younger than that stay; NULL: only the current one does.
/// `vacuumed` may be NULL. Errors: PQDB_NOT_FOUND, PQDB_INVALID, PQDB_IO (then as before, or done).
PQDB_API pqdb_code pqdb_view_vacuum(pqdb_db *db, const char *name, const char *keep,
                                    pqdb_vacuumed *vacuumed, pqdb_error *err);
/// Drop a view, its rows and files; a build of it ends. With `cascade` the views that read it go
/// too. Errors: PQDB_NOT_FOUND; PQDB_CONFLICT: others read it (the first is named); PQDB_IO.
PQDB_API pqdb_code pqdb_view_drop(pqdb_db *db, const char *name, bool cascade, pqdb_error *err);

typedef struct pqdb_refreshed {
    const char *kind;    ///< "none" (it was fresh), "incremental", "full" or "append"
    const char *reason;  ///< why full, why nothing was done, or ""
    uint64_t version;
    uint64_t rows;  ///< that changed
    int64_t us;     ///< it took
    int64_t slot_us;  ///< the time of the schedule that is done with it, microseconds, or 0
} pqdb_refreshed;

/// Bring a scheduled or manual view up to the last commit; a failed streaming one is built again.
/// The old contents stay readable until the new ones are durable. `full` recomputes. A view with
/// strategy 'append' gets what its definition makes of rows that were created since, and keeps what
/// it has; `full` is PQDB_INVALID then, and of one that keeps what came of rows that are gone.
PQDB_API pqdb_code pqdb_view_refresh(pqdb_db *db, const char *name, bool full,
                                     pqdb_refreshed *refreshed, pqdb_error *err);

/// Of a view with strategy 'append', or that keeps what came of rows that are gone
/// (`$onRetention: 'keep'`): all that it has goes, and its definition is applied to every row of
/// its source, in one commit. Errors: PQDB_INVALID: it does neither.
PQDB_API pqdb_code pqdb_view_discard(pqdb_db *db, const char *name, pqdb_refreshed *refreshed,
                                     pqdb_error *err);

/// The same for a scheduled view, and only if a time of its schedule has come that is not done yet,
/// however long ago: it is done once then, and that is durable. For timers outside; with the option
/// `schedule` of pqdb_open nobody has to call it.
/// Errors: those of pqdb_view_refresh; PQDB_INVALID: the view has no schedule.
PQDB_API pqdb_code pqdb_view_refresh_due(pqdb_db *db, const char *name,
                                         pqdb_refreshed *refreshed, pqdb_error *err);

/// One difference between what is stored and what the definition gives.
typedef struct pqdb_difference {
    const char *id;
    const char *stored;      ///< row as JSON, or NULL: missing
    const char *recomputed;  ///< row as JSON, or NULL: should not be there
} pqdb_difference;
typedef void (*pqdb_on_difference)(void *ctx, const pqdb_difference *difference);

typedef struct pqdb_verified {
    uint64_t version;
    uint64_t rows_stored;
    uint64_t rows_recomputed;
    uint64_t differences;  ///< rows that differ
} pqdb_verified;

/// Recompute the view from the collections and compare it with what is stored, row for row, at one
/// snapshot, while writers go on. The first few differences are given to `on_difference`.
/// Errors: a difference is none; PQDB_INVALID when there is nothing readable to compare.
PQDB_API pqdb_code pqdb_view_verify(pqdb_db *db, const char *name,
                                    pqdb_on_difference on_difference, void *ctx,
                                    pqdb_verified *verified, pqdb_error *err);

/// Lines that tell operators, column types, where state is kept and how large it is.
typedef void (*pqdb_on_line)(void *ctx, const char *line);
PQDB_API pqdb_code pqdb_view_explain(pqdb_db *db, const char *name, pqdb_on_line on_line,
                                     void *ctx, pqdb_error *err);

/// A change of a view: a row that came (weight 1) or went (-1) with the commit `version`. An update
/// is both, the old row first or last.
typedef struct pqdb_view_change {
    uint64_t version;
    int64_t time_us;
    int64_t weight;
    const char *row;  ///< as JSON, valid during the call
    size_t length;
} pqdb_view_change;
typedef pqdb_code (*pqdb_on_view_change)(void *ctx, const pqdb_view_change *change);

/// The changes of a view from a version on. The view is streaming and declares `$history`: so long
/// the log is kept, and from it each change is computed again exactly as it was, whatever crash or
/// restart came in between. One thread at a time; open feeds are closed before the database.
typedef struct pqdb_feed pqdb_feed;

/// Cost: the view as of `since` is built at the first pqdb_feed_next (nothing, where its rows and
/// those below depend on single rows). Errors: PQDB_NOT_FOUND (no such view, or the log no longer
/// reaches back to `since`: the message has the oldest version that it does), PQDB_INVALID (without
/// `$history`, or `since` has not been yet), PQDB_UNSUPPORTED (the view lags, or reads one that
/// does).
PQDB_API pqdb_code pqdb_feed_open(pqdb_db *db, const char *view, uint64_t since, pqdb_feed **feed,
                                  pqdb_error *err);

/// Every change up to the last commit, in the order of the versions. `on_change` may end it with a
/// code of its own; the feed is of no more use then: open it again from the last version that was
/// told whole. Errors: that code; as pqdb_feed_open; PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY.
PQDB_API pqdb_code pqdb_feed_next(pqdb_feed *feed, pqdb_on_view_change on_change, void *ctx,
                                  pqdb_error *err);

/// Everything up to this version has been told: where to open it again.
PQDB_API uint64_t pqdb_feed_version(const pqdb_feed *feed);
PQDB_API void pqdb_feed_close(pqdb_feed *feed);  ///< NULL is allowed

PQDB_END

#endif
