/// table/table_internal.h: what the files of this room share: the indexes of rows in memory, and
/// look-ups in one view of them, the writer's or a snapshot's.
#ifndef PQ_TABLE_TABLE_INTERNAL_H
#define PQ_TABLE_TABLE_INTERNAL_H

#include "table/fetch.h"
#include "table/memory_index.h"
#include "table/table.h"

// ---- the writer's side: table_index.c -----------------------------------------------------------

/// One more index, of no rows yet.
pqdb_code pq_table_index_create(struct pq_table *table, uint32_t column, pqdb_error *err);

/// Enter rows [start, start + count) of a batch of the table's type, on their way into memory:
/// row `start` gets number `number`. Rows of the open chunk before them are open_rows.
struct pq_index_rows {
    const struct pq_column *columns;
    size_t start, count;
    uint64_t number;
};
pqdb_code pq_table_index_rows(struct pq_table *table, const struct pq_index_rows *rows,
                              pqdb_error *err);

/// After a commit of `added` new rows: move some more of what lives into the newest table of each
/// index; begin the index of a column that somebody asked for.
pqdb_code pq_table_index_advance(struct pq_table *table, size_t added, pqdb_error *err);
/// After chunks have left: make tables that are far too large small again.
pqdb_code pq_table_index_shrink(struct pq_table *table, pqdb_error *err);

void pq_table_indexes_deinit(struct pq_table *table);

/// Columns whose links somebody looks up. Counted: snapshots outlive their table.
struct pq_link_wishes {
    atomic_uint references;
    const struct pq_alloc *alloc;
    size_t column_count;
    atomic_bool news;  // one of the following since the writer last looked
    atomic_bool wanted[];
};
struct pq_link_wishes *pq_link_wishes_create(size_t column_count, const struct pq_alloc *alloc);
struct pq_link_wishes *pq_link_wishes_ref(struct pq_link_wishes *wishes);
/// Any thread.
void pq_link_wishes_make(struct pq_link_wishes *wishes, uint32_t column);
void pq_link_wishes_unref(struct pq_link_wishes *wishes);  // NULL is fine

// ---- one view: locate.c -------------------------------------------------------------------------

struct pq_row_view {
    const struct pq_catalog *catalog;
    struct pq_segment *open;               // or NULL
    const struct pq_column *open_columns;  // up to the one that is looked at
    size_t open_count;
    uint64_t version;  // deaths after it do not count
    struct pq_row_table *const *tables;    // 2, any may be NULL: of the index that is looked at
};

/// The view that a snapshot has; an index of `column`, or NULL.
struct pq_row_view pq_row_view_of(const struct pq_table_snapshot *snapshot,
                                  const struct pq_index_view *index);
const struct pq_index_view *pq_index_of(const struct pq_table_snapshot *snapshot,
                                        uint32_t column);

/// The row with this number, its column and the row's position there; false when the view does not
/// see it or it is dead.
bool pq_row_view_resolve(const struct pq_row_view *view, uint64_t number, uint32_t column,
                         struct pq_row_place *place, const struct pq_column **values);

/// Rows that are about to die: each is there, or the table is damaged.
struct pq_hashed_id;
struct pq_dying {
    struct pq_hashed_id *ids;     // in; their order is lost. `index`: of the place
    struct pq_row_place *places;  // out
    uint8_t *found;               // scratch
    size_t count;                 // of each
    size_t first;                 // the caller's
};
/// Cost    files are asked one after the other, for all ids in their order
/// Errors  as pq_table_locate
pqdb_code pq_table_locate_dying(struct pq_table *table, const struct pq_dying *dying,
                                pqdb_error *err);

/// As pq_table_locate.
pqdb_code pq_row_view_locate(const struct pq_row_view *view, const struct pq_text *ids,
                             size_t count, struct pq_row_place *places, pqdb_error *err);

#endif
