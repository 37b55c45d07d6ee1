/// table/link_file.h: which rows of a data file hold which text in a link column, or which value in
/// an indexed one: a sorted run (state/run.h) beside the file, `<data file>.<field id>.links`.
/// A number or time stands there as the text that pq_index_text makes of it.
///
/// Row of the run: hash is pq_hash of the text; key is the row, u32 big-endian, and one byte more
/// when the same row has a second text of that hash; payload is empty, or '=' and the text, which
/// then holds for this row and those after it of the same hash. Derived: made again when missing.
#ifndef PQ_TABLE_LINK_FILE_H
#define PQ_TABLE_LINK_FILE_H

#include "table/data_file.h"

struct pq_pace;
struct pq_link_file;

/// Is this column one that can hold links, or have an index?
bool pq_type_can_link(const struct pq_type *type);

/// Open the run of a column; *links NULL when there is none.
/// Errors: PQDB_IO, PQDB_CORRUPT (subject: its path), PQDB_NO_MEMORY.
pqdb_code pq_link_file_open(struct pq_data_file *file, uint32_t column,
                            struct pq_link_file **links, pqdb_error *err);
void pq_link_file_close(struct pq_link_file *links);  // NULL is fine
/// Is all of the file at `path` sound? Errors: PQDB_CORRUPT (subject: the path, with the offset),
/// PQDB_IO, PQDB_NO_MEMORY.
pqdb_code pq_link_file_check(struct pq_store *store, const char *path,
                             const struct pq_alloc *alloc, pqdb_error *err);

/// Write it, from the rows of the data file: whole or not at all, but for its name, which is not
/// yet durable. `pace` may be NULL.
/// Cost    16 bytes of memory a link, and each text once
/// Errors  PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY, PQDB_LIMIT: 4 GiB of different texts
pqdb_code pq_link_file_write(struct pq_data_file *file, uint32_t column, struct pq_pace *pace,
                             pqdb_error *err);

/// The rows that hold one of the texts; a row comes once for each of them. Any thread.
/// Cost    a block of 4 KiB for each text, and for each 290 rows found
pqdb_code pq_link_file_find(struct pq_link_file *links, const struct pq_file_linked *asked,
                            pqdb_error *err);

#endif
