/// table/scan_ahead.h: a scan by two threads: the caller and, where files hold much, a helper.
///
/// The caller plans pieces into a ring; whoever is free reads the next one, with all that takes:
/// decoding, the filter, the columns of what matched. They are given in the order of the scan.
/// Memory: what PQ_AHEAD_PIECES pieces of PQ_SCAN_ROWS rows come to, and no more.
#ifndef PQ_TABLE_SCAN_AHEAD_H
#define PQ_TABLE_SCAN_AHEAD_H

#include <pthread.h>

#include "table/scan.h"

enum {
    PQ_AHEAD_PIECES = 5,         // one with the caller, two being read, two to go on with
    PQ_AHEAD_ROWS_MIN = 131072,  // in files; fewer are read in less time than a thread is worth
};

enum pq_piece_state {
    PQ_PIECE_FREE,
    PQ_PIECE_PLANNED,
    PQ_PIECE_TAKEN,  ///< somebody reads it
    PQ_PIECE_READ,
};

/// A step of the scan. `is_end`: the last one, without rows or with an error.
struct pq_scan_piece {
    enum pq_piece_state state;  // under lock
    struct pq_scan_task task;
    struct pq_hold *hold;  // owned
    struct pq_scan_rows rows;
    bool is_end;
    pqdb_code code;
    pqdb_error error;
};

/// One caller. Must not move while it is open.
struct pq_scan_ahead {
    struct pq_scan scan;  // planned by the caller, who has its reader
    struct pq_scan_reader reader;  // the helper's
    pthread_t thread;
    bool may_help, runs;  // a helper pays; there is one to join
    bool has_piece;       // the caller has the piece at `first`
    bool is_planned;      // nothing follows
    size_t planned;       // pieces so far
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct pq_scan_piece pieces[PQ_AHEAD_PIECES];
    size_t first, filled;  // caller
    bool stops;            // under lock: the caller wants no more
};

/// Where files hold at least `rows_min` rows a helper is started, if one can be had, once the scan
/// turns out to be more than a few pieces.
///
/// Owns    what `options` point to and `alloc` are borrowed until closed; `alloc` is thread-safe
void pq_scan_ahead_open(struct pq_scan_ahead *ahead, struct pq_table_snapshot *snapshot,
                        const struct pq_scan_options *options, uint64_t rows_min,
                        const struct pq_alloc *alloc);
/// At any moment, also in the middle: the helper has ended afterwards.
void pq_scan_ahead_close(struct pq_scan_ahead *ahead);
/// The helper ends, nothing more is read, the counts of the options are complete.
void pq_scan_ahead_stop(struct pq_scan_ahead *ahead);

/// As pq_scan_step: the same pieces in the same order, and an error where it would have come.
/// After the end or an error comes the same again.
///
/// Owns    `rows` is valid until the next call or close, or as long as the caller refers to *hold
/// Errors  those of pq_scan_step
pqdb_code pq_scan_ahead_step(struct pq_scan_ahead *ahead, struct pq_scan_rows *rows,
                             struct pq_hold **hold, pqdb_error *err);
/// The same, the rows alone.
pqdb_code pq_scan_ahead_next(struct pq_scan_ahead *ahead, struct pq_batch *batch,
                             pqdb_error *err);

#endif
