/// expr/reads.h: what some programs read of the columns of a batch: a column as it is, or only what
/// is at some paths inside it, so that whoever fetches rows need not fetch the rest.
#ifndef PQ_EXPR_READS_H
#define PQ_EXPR_READS_H

#include "expr/expr.h"

/// Of a column that is not `whole` only what is at its paths is read; without paths nothing is.
struct pq_reads {
    struct pq_arena *arena;  // borrowed; holds all of it
    bool *whole;             // by column
    size_t column_count;
    struct pq_read_path {
        uint32_t column;
        struct pq_text path;  // as it was written, from the column's name on
    } *paths;
    size_t path_count, path_room;
};

/// Errors of all: PQDB_NO_MEMORY.
pqdb_code pq_reads_init(struct pq_reads *reads, size_t column_count, struct pq_arena *arena,
                        pqdb_error *err);
/// What the program reads as well; NULL is fine. Columns beyond `column_count` are nobody's
/// business.
pqdb_code pq_reads_add(struct pq_reads *reads, const struct pq_program *program, pqdb_error *err);
void pq_reads_add_column(struct pq_reads *reads, size_t column);
pqdb_code pq_reads_add_path(struct pq_reads *reads, uint32_t column, struct pq_text path,
                            pqdb_error *err);

#endif
