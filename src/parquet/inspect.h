/// parquet/inspect.h: what a file says of itself, with the specification's own words for types and
/// encodings. Texts live in the arena given.
#ifndef PQ_PARQUET_INSPECT_H
#define PQ_PARQUET_INSPECT_H

#include <parquedb/parquet.h>

#include "parquet/reader.h"

size_t pq_parquet_leaf_count(const struct pq_parquet_file *file);

/// The schema tree, depth first, without the root.
pqdb_code pq_parquet_fields(const struct pq_parquet_file *file, struct pq_arena *arena,
                            const pqdb_parquet_field **fields, size_t *count, pqdb_error *err);
pqdb_code pq_parquet_describe_group(const struct pq_parquet_file *file, size_t group,
                                    struct pq_arena *arena, pqdb_parquet_group *facts,
                                    pqdb_error *err);
/// All but min and max, which pq_parquet_group_bounds gives, and the page index.
pqdb_code pq_parquet_describe_chunk(const struct pq_parquet_file *file, size_t group, size_t leaf,
                                    struct pq_arena *arena, pqdb_parquet_chunk *chunk,
                                    pqdb_error *err);

/// The headers of a chunk's pages. Errors: those of pqdb_parquet_pages.
pqdb_code pq_parquet_walk_pages(const struct pq_parquet_file *file, size_t group, size_t leaf,
                                pqdb_on_parquet_page on_page, void *ctx, pqdb_error *err);

#endif
