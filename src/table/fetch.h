/// table/fetch.h: few rows of a snapshot: where they are by `$id` or by a link, and what they hold.
///
/// A place is good as long as the snapshot it came from is held. Any thread; nothing is locked.
#ifndef PQ_TABLE_FETCH_H
#define PQ_TABLE_FETCH_H

#include "table/table.h"

struct pq_row_place {
    struct pq_segment *segment;  // NULL: there is no such row
    uint32_t row;
};

/// Where the live row with each id is, in the order asked; ids may repeat.
///
/// Shape   `places`: `count` of them, the caller's
/// Errors  PQDB_IO, PQDB_CORRUPT (subject: the file), PQDB_NO_MEMORY
pqdb_code pq_table_locate(struct pq_table_snapshot *snapshot, const struct pq_text *ids,
                          size_t count, struct pq_row_place *places, pqdb_error *err);

/// The same of what is applied, published or not. Writer only; good until the next delta.
pqdb_code pq_table_locate_now(struct pq_table *table, const struct pq_text *ids, size_t count,
                              struct pq_row_place *places, pqdb_error *err);

/// The rows at `places`, which may come in any order and repeat.
struct pq_fetch {
    struct pq_table_snapshot *snapshot;
    const struct pq_row_place *places;  // of this snapshot; without a segment: a row of nulls
    size_t count;
    const bool *columns;  // wanted; NULL: all. Others come as columns of nulls
    const struct pq_alloc *alloc;
};

/// Shape   `count` rows in the order of the places, in the table's type, weights NULL
/// Owns    everything is in `arena`, but for dictionaries and names, which the snapshot keeps
/// Errors  PQDB_IO, PQDB_CORRUPT (subject: the file), PQDB_NO_MEMORY, PQDB_LIMIT: 4 GiB in a column
pqdb_code pq_table_fetch(const struct pq_fetch *fetch, struct pq_arena *arena,
                         struct pq_batch *batch, pqdb_error *err);

/// The live row with this id as a batch of one row, or of none. As pq_table_fetch.
pqdb_code pq_table_get(struct pq_table_snapshot *snapshot, struct pq_text id,
                       const struct pq_alloc *alloc, struct pq_arena *arena,
                       struct pq_batch *batch, pqdb_error *err);

/// Which rows point to one of these?
struct pq_linked {
    struct pq_table_snapshot *snapshot;
    uint32_t column;  // TEXT, or LIST of TEXT: ids of rows of another table; or a number or time,
                      // targets then being what pq_index_text gives; or inline objects,
    const uint32_t *path;  // which hold them in these members, in lists or not
    size_t path_length;
    const struct pq_text *targets;
    size_t count;
    const struct pq_alloc *alloc;
};

/// The live rows whose link column holds one of the targets, each row once, in no order.
///
/// Cost    in memory O(rows found), once the writer has made the index that the first call asks for
/// Owns    `*places` is in `arena`
/// Errors  PQDB_IO, PQDB_CORRUPT (subject: the file), PQDB_NO_MEMORY
pqdb_code pq_table_linked(const struct pq_linked *asked, struct pq_arena *arena,
                          struct pq_row_place **places, size_t *place_count, pqdb_error *err);

#endif
