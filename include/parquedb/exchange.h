/// parquedb/exchange.h: whole collections and views into files, and files into collections.
///
/// A file made by pqdb_export is taken back by import: `$id`, the declared fields, and those that
/// were not declared (inline in NDJSON, as `_extra` in Parquet; CSV has only the declared ones).
#ifndef PQDB_EXCHANGE_H
#define PQDB_EXCHANGE_H

#include <parquedb/write.h>

PQDB_BEGIN

typedef enum pqdb_file_format {
    PQDB_FILE_UNKNOWN,
    PQDB_FILE_NDJSON,
    PQDB_FILE_CSV,
    PQDB_FILE_PARQUET,
} pqdb_file_format;

/// By the end of the name: .ndjson .jsonl .json, .csv .tsv, .parquet .pq; for the text formats .gz
/// and .zst may follow.
PQDB_API pqdb_file_format pqdb_file_format_of(const char *path);

typedef struct pqdb_export_options {
    pqdb_file_format format;  ///< UNKNOWN: by the file's name
    const char *as_of;  ///< as pqdb_find_options has it
    bool compact;  ///< Parquet: deltas, split bytes and larger pages, for readers that know them
    /// Called now and then; may be NULL. Another code than PQDB_OK ends the export with it.
    pqdb_code (*on_progress)(void *ctx, uint64_t rows, uint64_t bytes);
    void *ctx;
} pqdb_export_options;

typedef struct pqdb_exported {
    uint64_t rows;
    uint64_t bytes;
    uint64_t version;  ///< that the rows are of
    char note[600];    ///< why the rows are not fresh, or ""
} pqdb_exported;

/// Write all rows of a collection or view, on one snapshot, in storage order. The file is there
/// whole and durable, or not at all: it is written beside and renamed. `options` may be NULL.
///
/// Memory  a few thousand rows; Parquet holds the encoded pages of a row group
/// Errors  PQDB_NOT_FOUND (no such collection or view), PQDB_INVALID (no format, or a type that
///         Parquet cannot hold), PQDB_IO, PQDB_CORRUPT, that of on_progress
PQDB_API pqdb_code pqdb_export(pqdb_db *db, const char *name, const char *path,
                               const pqdb_export_options *options, pqdb_exported *exported,
                               pqdb_error *err);

typedef struct pqdb_export_target {
    pqdb_code (*write)(void *ctx, const void *data, size_t length, pqdb_error *err);
    void *ctx;
} pqdb_export_target;
/// The same into a stream of bytes; `options` gives the format.
PQDB_API pqdb_code pqdb_export_to(pqdb_db *db, const char *name, const pqdb_export_target *target,
                                  const pqdb_export_options *options, pqdb_exported *exported,
                                  pqdb_error *err);

/// CSV into an ingest run: RFC 4180, the first record names the columns. Columns that the
/// collection declares have those types; of others numbers and booleans are told by the first
/// megabyte. Plain, gzip or zstd. Records that are no rows are refused with their line.
/// Errors: as pqdb_ingest_from; PQDB_INVALID also for the header.
PQDB_API pqdb_code pqdb_ingest_csv(pqdb_ingest *ingest, pqdb_read read, void *ctx,
                                   pqdb_error *err);
/// The rows of a Parquet file into an ingest run. Binary is taken as base64, NaN and infinities
/// are missing.
/// Errors: those of pqdb_parquet_open and pqdb_parquet_rows, and of pqdb_ingest_feed;
/// that of `on_progress`, which is called now and then (may be NULL) with the rows read so far.
typedef pqdb_code (*pqdb_on_rows)(void *ctx, uint64_t rows, uint64_t rows_all);
PQDB_API pqdb_code pqdb_ingest_parquet(pqdb_ingest *ingest, const char *path,
                                       pqdb_on_rows on_progress, void *ctx, pqdb_error *err);

PQDB_END

#endif
