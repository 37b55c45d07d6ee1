/// db/listen.c: see listen.h.
#include "db/listen.h"

#include "base/fail.h"
#include "db/append.h"

enum { bytes_floor = 16 << 20 };  // that a build may hold, or the share of all states

void pq_db_listen(pqdb_db *db, struct pq_db_table *view) {
    const size_t share = pq_db_states_max(db);
    struct pq_db_listener *listener = &db->listener;
    listener->to = view;
    listener->bytes_max = db->listen_bytes != 0 ? db->listen_bytes
                          : share > bytes_floor ? share
                                                : bytes_floor;
}

void pq_db_listen_end(pqdb_db *db) {
    struct pq_db_listener *listener = &db->listener;
    for (struct pq_db_heard *at = listener->first, *next; at != NULL; at = next) {
        next = at->next;
        pq_hold_unref(at->hold);
    }
    listener->to = NULL;
    listener->first = listener->last = NULL;
    listener->bytes = 0;
    listener->code = PQDB_OK;
}

static pqdb_code keep(pqdb_db *db, const struct pq_batch *rows, uint64_t version) {
    struct pq_db_listener *listener = &db->listener;
    struct pq_hold *hold;
    struct pq_batch copy;
    listener->bytes += pq_batch_bytes(rows);
    if (listener->bytes > listener->bytes_max) return PQDB_LIMIT;
    PQ_TRY(pq_hold_copy(rows, &db->memory.states.alloc, &hold, &copy, NULL));
    struct pq_db_heard *heard = pq_arena_calloc(&hold->arena, 1, sizeof *heard);
    if (heard == NULL) {
        pq_hold_unref(hold);
        return PQDB_NO_MEMORY;
    }
    heard->version = version;
    heard->hold = hold;
    heard->rows = copy;
    if (listener->last == NULL) listener->first = heard;
    else listener->last->next = heard;
    listener->last = heard;
    return PQDB_OK;
}

void pq_db_hear(pqdb_db *db, const struct pq_db_stepped *stepped) {
    struct pq_db_listener *listener = &db->listener;
    if (listener->to == NULL || listener->code != PQDB_OK) return;
    const struct pq_batch *rows = pq_db_stepped_into(stepped, listener->to->id);
    if (rows != NULL) listener->code = keep(db, rows, stepped->version);
}
