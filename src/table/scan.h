/// table/scan.h: the live rows of a snapshot, piece by piece: all of them, or those that a filter
/// selects, and then no more of the files is read than that takes.
///
/// Of each row group the filter is asked first what bounds, bloom filters and, for values that are
/// within the bounds, dictionaries tell of it, then of its pages (expr/judge.h): what cannot match
/// is not read. Of what is left the columns of the filter come first, the others only for runs of
/// pages in which rows matched. Rows in memory and rows in files are found alike, and dead ones
/// left out, in the same pass.
#ifndef PQ_TABLE_SCAN_H
#define PQ_TABLE_SCAN_H

#include "expr/judge.h"
#include "expr/reads.h"
#include "parquet/reader.h"
#include "table/table.h"

struct pq_variant_encoder;

enum { PQ_SCAN_ROWS = 16384 };

/// Which rows. `select` NULL is the program over the batch; with it the program is only judged, and
/// may have columns beyond the table's. Any thread.
struct pq_scan_filter {
    const struct pq_program *program;
    bool by_paths;        // it is over the type of the table's shreds (table/shred.h), which has a
                          // column for each path; without `select`
    const bool *columns;  // of the table, or of that type: what the filter reads
    pqdb_code (*select)(void *ctx, const struct pq_batch *batch, struct pq_arena *arena,
                        struct pq_selection *selection, pqdb_error *err);
    void *ctx;
};

/// Rows that have become of no interest, like those behind the last one of the first ten: asked
/// of a group, and of a piece before it is read.
struct pq_scan_cut {
    uint32_t column;
    bool (*is_beyond)(void *ctx, const struct pq_known *known);
    void *ctx;
};

/// What it came to, for people; added up. Files that a cut left out count as not read.
struct pq_scan_counts {
    uint64_t files, files_read;
    uint64_t groups, groups_read;
    uint64_t rows;           // in files
    uint64_t rows_tested;    // in files and in memory
    uint64_t rows_certain;   // that a filter selects for certain: not tested
    uint64_t rows_matched;
    uint64_t memory_rows;
    struct pq_parquet_counts first, late;  // of the columns of the filter, and of the others
    /// Rows of files that were not read, by the condition that none of them can meet; NULL: nobody
    /// wants to know. One more for those that only all conditions together exclude.
    uint64_t *skipped;
    uint64_t cut;  // rows of files, by the cut
};

/// Zero is a default everywhere. All is borrowed until close.
struct pq_scan_options {
    const bool *columns;  // wanted; NULL: all. Others come as columns of nulls
    /// What of these is read; NULL: whole ones. A variant may then come with only what is at the
    /// paths, in files that keep these as columns.
    const struct pq_reads *reads;
    const struct pq_scan_filter *filter;
    const struct pq_scan_cut *cut;
    bool backwards;       // the newest segment first, in each the last row; within a piece forwards
    uint32_t rows_first;  // of the first piece, to double from there on; 0: PQ_SCAN_ROWS
    struct pq_scan_counts *counts;
};

/// Rows of one segment that may be read in one go.
struct pq_scan_task {
    struct pq_segment *segment;
    size_t group;          // FILE: that holds them
    uint64_t group_first;  // FILE: its first row in the file
    uint64_t first, count;
    bool is_certain;  // the filter selects them all
};

/// What a thread needs to read them.
struct pq_scan_reader {
    struct pq_variant_encoder *encoder;  // owned; made when a file with variants is met
    struct pq_hold *scratch;             // owned; what is decoded before it is known what matches
    struct pq_parquet_memo *memo;        // owned, of the row group that was read last
    const struct pq_segment *memo_segment;
    size_t memo_group;
    struct pq_scan_counts counts;
};

struct pq_scan_range {
    uint64_t first, count;  // of a segment
};

/// Of a variant of which only some paths are read: these, as they stand among the table's shreds.
struct pq_scan_paths {
    const uint16_t *shreds;
    size_t count;
};

/// Holds a reference on the snapshot until closed. Must not move while it is open.
struct pq_scan {
    struct pq_table_snapshot *snapshot;
    struct pq_scan_options options;
    const struct pq_alloc *alloc;
    struct pq_arena arena;        // of the whole scan
    struct pq_arena group_arena;  // of the ranges
    const struct pq_batch *nulls;  // PQ_SCAN_ROWS, for columns that are not wanted
    const struct pq_scan_paths *paths;  // by column, where there are any; NULL: nowhere
    // Where it stands: the segment, by their order in the scan; catalog->count of them and the open
    // chunk. Of a file the group, by their order too, and what is left of its ranges.
    size_t segment;
    size_t group;
    bool in_group;
    struct pq_scan_task current;  // of the group: segment, group, is_certain
    struct pq_scan_range *ranges;
    size_t range_count, range;
    bool has_read_file;
    uint32_t rows_next;  // of the next piece
    struct pq_scan_reader reader;  // of the caller
};

void pq_scan_open(struct pq_scan *scan, struct pq_table_snapshot *snapshot,
                  const struct pq_scan_options *options, const struct pq_alloc *alloc);
void pq_scan_close(struct pq_scan *scan);

/// The next rows; `batch->count` 0 is the end.
///
/// Shape   at most PQ_SCAN_ROWS rows, all live at the snapshot's version
/// Owns    chunks are views kept by the snapshot; what comes from a file is in `arena`
/// Errors  PQDB_IO, PQDB_CORRUPT (subject: the file), PQDB_NO_MEMORY, those of the filter
pqdb_code pq_scan_next(struct pq_scan *scan, struct pq_arena *arena, struct pq_batch *batch,
                       pqdb_error *err);

/// The same, and where the rows are. TEXT from files may come as PQ_DICTIONARY, kept by `hold`.
struct pq_scan_rows {
    struct pq_batch batch;
    struct pq_segment *segment;
    const uint32_t *rows;  // of the segment, ascending, in the hold's arena
};
pqdb_code pq_scan_step(struct pq_scan *scan, struct pq_hold *hold, struct pq_scan_rows *rows,
                       pqdb_error *err);

/// Pages of these columns in all files of the snapshot, and their bytes: added up. Behind the
/// table's columns there is one for each shredded path; where a file does not keep that as a column
/// it counts as the variant it leads into. Errors: PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY.
pqdb_code pq_scan_measure(struct pq_table_snapshot *snapshot, const bool *columns,
                          struct pq_parquet_counts *counts, pqdb_error *err);

// ---- the two halves of a step, for scans by several threads -----------------------------------

/// What to read next; `*more` false at the end. Cost: bounds, no rows. One thread at a time.
pqdb_code pq_scan_plan(struct pq_scan *scan, struct pq_scan_task *task, bool *more,
                       pqdb_error *err);

/// Read it; none may match. `hold` NULL: into `arena`, no dictionaries; else `arena` is its own.
/// Any number of threads, each with its reader, while somebody plans.
struct pq_scan_into {
    struct pq_arena *arena;
    struct pq_hold *hold;
};
pqdb_code pq_scan_read(const struct pq_scan *scan, struct pq_scan_reader *reader,
                       const struct pq_scan_task *task, const struct pq_scan_into *into,
                       struct pq_scan_rows *rows, pqdb_error *err);
void pq_scan_reader_deinit(struct pq_scan_reader *reader);
/// What a reader counted goes to the scan's counts.
void pq_scan_reader_report(struct pq_scan *scan, struct pq_scan_reader *reader);

#endif
