/// parquet/page_write.h: one finished page: compressed, checksummed, its header in front.
#ifndef PQ_PARQUET_PAGE_WRITE_H
#define PQ_PARQUET_PAGE_WRITE_H

#include "codec/codec.h"
#include "parquet/footer.h"
#include "parquet/page_header.h"

struct pq_page_writer {
    const struct pq_codec *codec;  // NULL: stored as it is
    int level;
    struct pq_bytes stored;  // scratch
    int64_t raw_bytes;       // of all pages so far, with their headers
    uint32_t header_check;   // of the last one
};

/// Append the page of `header` (type and what belongs to it are set) with `raw` as its body.
/// Errors: PQDB_LIMIT (a page of 1 GiB or more), PQDB_NO_MEMORY.
pqdb_code pq_page_write(struct pq_page_writer *writer, struct pq_meta_page *header,
                        struct pq_text raw, struct pq_bytes *out, pqdb_error *err);

/// Parquet's number of a codec, or -1 when it has none; NULL is UNCOMPRESSED.
int pq_parquet_codec_number(const struct pq_codec *codec);
/// The codec of a number: false when unknown, `*codec` NULL for UNCOMPRESSED.
bool pq_parquet_codec_of(int number, const struct pq_codec **codec);

#endif
