/// flow/expand.h: what a view reads through relations.
///
/// Beside a column or member `x` that holds a link stands `x>`: an OBJECT with what is read of the
/// row it leads to, null where it leads nowhere; a LIST of them where there are several. Beside an
/// inline object or a list of them that has links inside stands `x>` too: the same objects with
/// more members. So a path that goes on behind a link goes on in `x>` (expr/expr.h), and an element
/// of `items>` has beside its link the row that it leads to.
#ifndef PQ_FLOW_EXPAND_H
#define PQ_FLOW_EXPAND_H

#include "expr/expr.h"
#include "flow/lookup.h"

struct pq_expand_part;

/// An object (a row, an inline object, a related row) and what is put behind its members.
struct pq_expand_object {
    const struct pq_type *type;  // OBJECT: the members as they are, then the parts in order
    const struct pq_expand_part *parts;
    size_t part_count;
};

enum pq_expand_kind {
    PQ_EXPAND_INSIDE,  ///< the member's own objects, extended by `below`
    PQ_EXPAND_TO,      ///< the rows that the member's links lead to
    PQ_EXPAND_FROM,    ///< the rows that link here: first a LIST of their `$id`, then the rows
};

struct pq_expand_part {
    enum pq_expand_kind kind;
    uint32_t member;  // of the object; not for FROM
    const struct pq_type *type;     // of what is put there; FROM: of the second
    struct pq_expand_object below;  // INSIDE: the member's objects; else the linked rows

    // TO, FROM
    uint32_t table;
    const uint32_t *columns;  // of the table, ascending, the first is `$id`: below's members
    size_t column_count;
    const uint32_t *shown;    // of below.type: the members of the OBJECT that is put there
    uint32_t link;            // FROM: which column of the table holds the link
    bool other_names;         // its variants have another list of names than the view's
};

/// A column that comes out: the path of positions below object.type, lists passed through.
struct pq_expand_output {
    const uint32_t *path;
    size_t length;
};

struct pq_expand_spec {
    struct pq_expand_object object;    // over the source's rows
    const struct pq_program *filter;   // over the source's rows, asked first; or NULL
    const struct pq_expand_output *outputs;
    const struct pq_type *output;      // OBJECT with one field per output; $id, $seq come first
    const uint32_t *tables;            // of the rows that are linked, each once
    size_t table_count;
};

/// Rows with what their links lead to, as the look-up shows it; those that the filter refuses are
/// gone. What an operator does in a view, for queries.
///
/// Owns    `out` lives in `arena` and in `rows`
/// Errors  those of the look-up; PQDB_NO_MEMORY, PQDB_LIMIT
pqdb_code pq_expand_rows(const struct pq_expand_spec *spec, const struct pq_lookup *lookup,
                         const struct pq_batch *rows, struct pq_arena *arena,
                         struct pq_batch *out, pqdb_error *err);

/// Which of the source's columns are read for those of the output that are: both have as many flags
/// as there are columns. Sets flags only.
void pq_expand_reads(const struct pq_expand_spec *spec, const bool *outputs, bool *source);

#endif
