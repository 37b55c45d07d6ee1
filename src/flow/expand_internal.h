/// flow/expand_internal.h: what the files of the expand operator share.
#ifndef PQ_FLOW_EXPAND_INTERNAL_H
#define PQ_FLOW_EXPAND_INTERNAL_H

#include "base/check.h"
#include "base/fail.h"
#include "flow/expand.h"
#include "flow/flow.h"
#include "flow/text_index.h"

enum expand_side { EXPAND_BEFORE, EXPAND_AFTER };

/// What a step changes in one table: at most one image of a row before it and one after it.
struct expand_changes {
    uint32_t table;
    struct pq_batch rows;    // what cancels out is gone
    struct text_index ids;   // of the rows
    uint32_t *images[2];     // [side][id]: row, or TEXT_INDEX_NONE
};

struct expand_run {
    const struct pq_expand_spec *spec;
    const struct pq_lookup *lookup;
    struct pq_arena *arena;
    struct expand_changes *changes;  // of the linked tables that changed
    size_t change_count;             // 0: both sides are one
};

static inline enum expand_side expand_shown_side(const struct expand_run *run) {
    return run->lookup->is_after ? EXPAND_AFTER : EXPAND_BEFORE;
}

/// NULL when the step leaves the table alone.
const struct expand_changes *expand_changes_of(const struct expand_run *run, uint32_t table);

pqdb_code expand_changes_init(struct expand_changes *changes, const struct pq_delta *delta,
                              struct pq_arena *arena, pqdb_error *err);

/// Rows at hand, each on its side.
struct expand_level {
    const struct pq_column *columns;
    size_t count;
    const uint8_t *valid;  // rows that are not there have no links; NULL: all are
    const uint8_t *sides;  // NULL: all are on `side`
    enum expand_side side;
};
static inline enum expand_side expand_side_of(const struct expand_level *level, size_t row) {
    return level->sides == NULL ? level->side : (enum expand_side)level->sides[row];
}

/// expand_rows.c: the rows with the parts of `object` behind their members; `out` has room for
/// object->type->field_count columns.
pqdb_code expand_object(const struct expand_run *run, const struct pq_expand_object *object,
                        const struct expand_level *level, struct pq_column *out, pqdb_error *err);

/// expand_link.c: the rows that links lead to, and those that link here.
pqdb_code expand_to(const struct expand_run *run, const struct pq_expand_part *part,
                    const struct expand_level *level, struct pq_column *out, pqdb_error *err);
pqdb_code expand_from(const struct expand_run *run, const struct pq_expand_part *part,
                      const struct expand_level *level, struct pq_column out[2],
                      pqdb_error *err);

/// expand_fetch.c: rows of a linked table as both sides have them.
struct expand_rows {
    size_t count;
    struct pq_column *columns;    // as many as part->column_count
    size_t shown_count;           // rows before it are what the look-up shows
    const uint32_t *changed;      // behind them: rows of `changes`, [count - shown_count]
    const struct expand_changes *changes;  // or NULL
};
struct expand_keys {
    const struct pq_text *texts;
    size_t count;
    bool by_link;
};
/// The rows whose `$id`, or whose link, is one of the keys, on either side.
pqdb_code expand_fetch(const struct expand_run *run, const struct pq_expand_part *part,
                       const struct expand_keys *keys, struct expand_rows *rows,
                       pqdb_error *err);
/// Is the row there on that side?
bool expand_is_on(const struct expand_run *run, const struct expand_rows *rows, size_t row,
                  enum expand_side side);

/// The elements of a LIST, and where each row's begin and end among them.
struct expand_list {
    struct pq_column elements;
    const uint32_t *offsets;  // from 0
    const uint8_t *sides;     // of the elements; NULL: all on the level's side
};
pqdb_code expand_list_of(const struct pq_column *list, const struct expand_level *level,
                         struct pq_arena *arena, struct expand_list *out, pqdb_error *err);

/// Are there values of a link column's row: one text, or the texts of a list?
struct expand_texts {
    const struct pq_column *column;
    size_t from, until;
};
struct expand_texts expand_link_texts(const struct pq_column *links, size_t row);

#endif
