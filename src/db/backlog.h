/// db/backlog.h: how far background work is behind the writers, and what commits do about it
/// (ENGINE R2): each waits a little, in proportion to its size and to the backlog, long before all
/// would have to stop.
///
/// There are three backlogs, each in 1024ths: memtables and changed states, which a checkpoint
/// writes (1024: memory is full, writers stop until it is done), dead rows in files, which merges
/// take away (1024: there are as many as live ones), and runs of states, which merges make fewer
/// (1024: some state has 128). From PQ_DB_BACKLOG_EASY on commits are delayed.
#ifndef PQ_DB_BACKLOG_H
#define PQ_DB_BACKLOG_H

#include "db/db_internal.h"

enum {
    PQ_DB_BACKLOG_EASY = 768,
    PQ_DB_BACKLOG_FULL = 1024,
    PQ_DB_DELAY_NS_MAX = 1000 * 1000,  // of a small commit,
    PQ_DB_DELAY_BYTES = 16 << 10,      // and once more for so many bytes: 16 MB/s at the least
};

/// For so long a commit of `bytes` waits; 0 up to EASY.
uint64_t pq_db_delay_ns(uint32_t backlog, uint64_t bytes);

/// Before a commit of some `bytes`: wait in proportion, or while memory is full. No lock held.
void pq_db_wait_for_keeper(pqdb_db *db, uint64_t bytes);

/// Leader: the backlog of dead rows. Below db->dead_bytes of files there is none.
uint32_t pq_db_dead_backlog(const pqdb_db *db);

#endif
