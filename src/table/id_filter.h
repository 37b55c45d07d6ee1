/// table/id_filter.h: may a data file hold an id? A filter of 10 bits a row beside the file, so
/// that an id that is not there costs a look into memory and not a page of every file. And, where
/// rows die by their ids all the time, a mark of each row, so that a row is found in its page
/// without decoding the page.
///
///     offset  what: `<data file>.ids`
///     0       "PQIDS001", or "PQIDS002": with marks
///     8       u64 rows | u64 lines
///     24      u64 check (pq_hash) of the lines | u64 check of the 32 bytes before
///     40      the lines of 64 bytes: as the filter of a run (state/run_format.h), of pq_hash(id)
///     ...     for each PQ_MARKS_ROWS rows of the data file, in its order (the last ones: fewer):
///             u64 check of the marks | u16 of each row, then u8 of each row: the lowest bits of
///             pq_hash(id), and those above
///
/// Derived: without it every id may be there, and pages are decoded.
#ifndef PQ_TABLE_ID_FILTER_H
#define PQ_TABLE_ID_FILTER_H

#include "table/data_file.h"

enum { PQ_MARKS_ROWS = 1024 };

struct pq_id_filter;
struct pq_pace;

/// Read the filter whole; *filter NULL when there is none, or when it is damaged.
/// Cost    10 bits of memory a row
/// Errors  PQDB_IO, PQDB_NO_MEMORY
pqdb_code pq_id_filter_read(struct pq_data_file *file, struct pq_id_filter **filter,
                            pqdb_error *err);
/// Is the file at `path` the sound filter of a data file with so many rows (PQ_ID_FILTER_ANY: any
/// number)? Errors: PQDB_CORRUPT (subject: the path, with the offset), PQDB_IO, PQDB_NO_MEMORY.
#define PQ_ID_FILTER_ANY UINT64_MAX
pqdb_code pq_id_filter_check(struct pq_store *store, const char *path, uint64_t rows,
                             const struct pq_alloc *alloc, pqdb_error *err);
void pq_id_filter_destroy(struct pq_id_filter *filter, const struct pq_alloc *alloc);

/// Write it, whole or not at all, from the ids of the data file; its name is not yet durable.
/// Cost    10 bits of memory a row, marks or not
/// Errors  PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY
pqdb_code pq_id_filter_write(struct pq_data_file *file, bool with_marks, struct pq_pace *pace,
                             pqdb_error *err);

bool pq_id_filter_may_have(const struct pq_id_filter *filter, uint64_t hash);

bool pq_id_filter_has_marks(const struct pq_id_filter *filter);

/// Blocks of marks as they were read last; all zero: none.
enum { PQ_MARKS_BLOCK = 8 + 3 * PQ_MARKS_ROWS, PQ_MARKS_READ = 4 };
struct pq_marks {
    uint64_t block, count;
    uint8_t data[PQ_MARKS_READ * PQ_MARKS_BLOCK];
};

/// Rows of the data file.
struct pq_row_range {
    uint64_t first, end;
};
/// Gets rows that have the mark of an id, ascending.
struct pq_marked {
    uint64_t hash;  // pq_hash of the id
    void (*take)(void *ctx, size_t index, uint32_t row);
    void *ctx;
    size_t index;  // handed on
};

/// Which rows of a range have the mark of an id. Any thread, each with `marks` of its own, which is
/// used again where it has the range.
///
/// Shape   `*sound` false: a block is damaged
/// Cost    3 bytes a row of the range are read, and some more to whole blocks
/// Errors  PQDB_IO
pqdb_code pq_id_filter_marked(const struct pq_id_filter *filter, struct pq_row_range range,
                              struct pq_marks *marks, const struct pq_marked *to, bool *sound,
                              pqdb_error *err);

#endif
