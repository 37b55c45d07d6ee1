/// parquet/page_read.h: one page out of a column chunk's bytes: header, checksum, decompression.
#ifndef PQ_PARQUET_PAGE_READ_H
#define PQ_PARQUET_PAGE_READ_H

#include "codec/codec.h"
#include "parquet/checks.h"
#include "parquet/footer.h"
#include "parquet/page_header.h"

struct pq_page {
    enum pq_page_type type;
    int32_t encoding, def_encoding, rep_encoding;
    uint32_t value_count;  // levels; of a dictionary page: entries
    uint64_t offset;       // of the header in the file
    bool is_v2;
    struct pq_text rep, def;  // v2: the level sections
    struct pq_text body;      // v1: levels and values; v2: values
};

/// Walks the pages of a chunk; `bytes` stands for bytes of the file from `offset` on.
struct pq_page_reader {
    const struct pq_codec *codec;
    struct pq_cursor cursor;
    const uint8_t *bytes;
    uint64_t offset;
    const uint32_t *expected;  // check of the next page's header; NULL: unknown
    uint64_t headers;          // check over all headers so far
    bool has_checks;           // there are checks: nothing odd was meant so
    struct pq_arena arena;  // of the page header; reset by each page
    struct pq_bytes room;   // the decompressed page, valid until the next one
};

void pq_page_reader_init(struct pq_page_reader *reader, const struct pq_codec *codec,
                         const struct pq_alloc *alloc);
void pq_page_reader_deinit(struct pq_page_reader *reader);
void pq_page_reader_begin(struct pq_page_reader *reader, const uint8_t *bytes, size_t length,
                          uint64_t offset);

/// The next page; its sections are views into the chunk's bytes or `room`. Index pages are skipped.
/// Errors: PQDB_CORRUPT with err->offset, PQDB_UNSUPPORTED, PQDB_NO_MEMORY.
pqdb_code pq_page_read(struct pq_page_reader *reader, struct pq_page *page, pqdb_error *err);

/// Split a v1 data page's body: move the length-prefixed level sections into rep and def. A legacy
/// BIT_PACKED section has no prefix: its length follows from the level's width.
pqdb_code pq_page_split_levels(struct pq_page *page, uint8_t max_rep, uint8_t max_def,
                               pqdb_error *err);

#endif
