/// db/row_list.h: what a refresh adds and takes away, kept until all of it is known.
#ifndef PQ_DB_ROW_LIST_H
#define PQ_DB_ROW_LIST_H

#include "base/arena.h"
#include "batch/hold.h"

struct pq_db_row_batch {
    struct pq_db_row_batch *next;
    struct pq_hold *hold;  // owned
    struct pq_batch rows;
};

struct pq_db_row_list {
    struct pq_db_row_batch *first, **end;
    uint64_t rows;
    struct pq_arena arena;  // of the list
    const struct pq_alloc *alloc;
};

void pq_db_row_list_init(struct pq_db_row_list *list, const struct pq_alloc *alloc);
void pq_db_row_list_deinit(struct pq_db_row_list *list);

/// A copy of the rows goes to the end. A pq_sink's put: `list` is a struct pq_db_row_list.
pqdb_code pq_db_row_list_put(void *list, const struct pq_batch *rows, pqdb_error *err);

#endif
