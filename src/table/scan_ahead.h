/// table/scan_ahead.h: a scan of a large table that a second thread reads ahead, so that files are
/// read and decoded beside the work on their rows.
///
/// The pieces go through a ring: the thread fills one after the other while the caller has the one
/// before. Memory: what PQ_AHEAD_PIECES pieces of PQ_SCAN_ROWS rows decode to, and no more.
#ifndef PQ_TABLE_SCAN_AHEAD_H
#define PQ_TABLE_SCAN_AHEAD_H

#include <pthread.h>

#include "base/arena.h"
#include "table/scan.h"

enum {
    PQ_AHEAD_PIECES = 3,         // one with the caller, one being read, one between
    PQ_AHEAD_ROWS_MIN = 131072,  // in files; fewer are read in less time than a thread is worth
};

/// What a step of the scan brought. Without rows it is the last one.
struct pq_scan_piece {
    struct pq_arena arena;
    struct pq_batch batch;
    pqdb_code code;
    pqdb_error error;
};

/// One caller. Must not move while it is open.
struct pq_scan_ahead {
    struct pq_scan scan;  // the thread's, while it runs
    pthread_t thread;
    bool runs;            // caller: there is a thread to join; without one next() reads itself
    bool has_piece;       // caller: it has the piece at `first`
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct pq_scan_piece pieces[PQ_AHEAD_PIECES];
    size_t first, filled;  // under lock: where the filled pieces are
    bool stops;            // under lock: the caller wants no more
};

/// Where files hold at least `rows_min` rows a thread is started, if one can be had.
///
/// Owns    `options.columns` and `alloc` are borrowed until closed; `alloc` is thread-safe
void pq_scan_ahead_open(struct pq_scan_ahead *ahead, struct pq_table_snapshot *snapshot,
                        const struct pq_scan_options *options, uint64_t rows_min,
                        const struct pq_alloc *alloc);
/// At any moment, also in the middle: the thread has ended afterwards.
void pq_scan_ahead_close(struct pq_scan_ahead *ahead);

/// As pq_scan_next: the same pieces in the same order, and an error where it would have come.
/// After the end or an error comes the same again.
///
/// Owns    `batch` is valid until the next call or close
/// Errors  those of pq_scan_next
pqdb_code pq_scan_ahead_next(struct pq_scan_ahead *ahead, struct pq_batch *batch,
                             pqdb_error *err);

#endif
