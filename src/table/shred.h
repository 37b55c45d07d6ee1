/// table/shred.h: paths inside variants that data files keep as columns of their own (`$shred`).
///
/// A file holds its variants whole, as other engines read them, and behind the table's columns what
/// is at each shredded path once more:
///
///     event.request.url:typed   declared by $paths: in that type; another kind is null
///     event.request.url:any     else: values of one kind, the one that the file has most of
///     event.request.url:rest    ... and those of other kinds, as JSON
///
/// The name begins with that of the file's own column, so a renamed field is still found. Their
/// field ids begin at PQ_SHRED_FIELD_ID and belong to no table's schema: who reads the table by ids
/// does not see them.
/// Invariant: a column made from them equals the one that the program makes from the variants.
#ifndef PQ_TABLE_SHRED_H
#define PQ_TABLE_SHRED_H

#include "expr/expr.h"
#include "type/schema.h"

enum { PQ_SHREDS_MAX = PQ_SHRED_PATHS_MAX, PQ_SHRED_FIELD_ID = 1 << 30 };

struct pq_shred {
    struct pq_text path;
    struct pq_type type;         // what programs see: the declared one, or VARIANT
    struct pq_inner_path inner;  // from the table's column on
    struct pq_program *program;  // over the table's columns
};

/// Of one table. Immutable.
struct pq_shreds {
    const struct pq_alloc *alloc;
    struct pq_arena arena;
    const struct pq_type *type;  // the table's columns, then one for each path, named by it
    uint32_t first;              // of these
    struct pq_shred *items;
    size_t count;
};

/// Paths that do not lead from a column straight into a variant, and repeated ones, are left out.
/// *shreds NULL: none is left. `scope` is the table's; what it points to outlives the result.
/// Errors: PQDB_LIMIT (more than PQ_SHREDS_MAX), PQDB_NO_MEMORY.
pqdb_code pq_shreds_create(const struct pq_scope *scope, const struct pq_text *paths, size_t count,
                           const struct pq_alloc *alloc, struct pq_shreds **shreds,
                           pqdb_error *err);
void pq_shreds_destroy(struct pq_shreds *shreds);  // NULL is fine

// ---- writing ------------------------------------------------------------------------------------

/// What a new file looks like. Lives in the arena that it was made in.
struct pq_shred_layout {
    const struct pq_shreds *shreds;
    const struct pq_type *type;  // of the file
    enum pq_kind kinds[PQ_SHREDS_MAX];
};

/// The kinds are chosen by the first rows. Errors of both: PQDB_NO_MEMORY, those of programs.
pqdb_code pq_shred_plan(const struct pq_shreds *shreds, const struct pq_batch *first,
                        struct pq_arena *arena, struct pq_shred_layout *layout, pqdb_error *err);
/// Rows of the table as rows of the file: the same columns and those of the paths.
pqdb_code pq_shred_rows(const struct pq_shred_layout *layout, const struct pq_batch *rows,
                        struct pq_arena *arena, struct pq_batch *out, pqdb_error *err);

// ---- reading ------------------------------------------------------------------------------------

/// Members of a file's type.
struct pq_shred_place {
    uint32_t typed;
    uint32_t rest;  // UINT32_MAX: there is none, `typed` has the declared type
};
/// Where a file keeps the path; `column` is the file's name of the table's column. False: nowhere,
/// or in another type.
bool pq_shred_find(const struct pq_shred *shred, struct pq_text column,
                   const struct pq_type *file, struct pq_shred_place *place);

/// Does a data file keep all paths of its table, as far as it has the variants? Errors: PQDB_IO,
/// PQDB_CORRUPT, PQDB_NO_MEMORY.
struct pq_data_file;
pqdb_code pq_shreds_are_kept(const struct pq_shreds *shreds, struct pq_data_file *file, bool *kept,
                             pqdb_error *err);

/// What was read of a file. `rest` NULL: there is none.
struct pq_shred_part {
    const struct pq_shred *shred;
    const struct pq_column *typed, *rest;
};

/// What is at the path, in shred->type. The column shares the part's memory, and the arena's.
pqdb_code pq_shred_join(const struct pq_shred_part *part, const struct pq_variant_names *names,
                        struct pq_arena *arena, struct pq_column *out, pqdb_error *err);

/// Variants that have, at the paths of the parts, what is there, and are empty otherwise: they do
/// for whoever reads only these paths. No path may lead through another. `*done` false: names are
/// not in the list; the variants themselves have to be read.
/// Cost: the values are copied.
struct pq_shred_parts {
    const struct pq_shred_part *items;
    size_t count;
    struct pq_variant_names *names;  // of the table
};
pqdb_code pq_shred_assemble(const struct pq_shred_parts *parts, struct pq_arena *arena,
                            struct pq_column *out, bool *done, pqdb_error *err);

#endif
