/// parquet/value_decode.h: the values section of a data page, by encoding, as stored values.
#ifndef PQ_PARQUET_VALUE_DECODE_H
#define PQ_PARQUET_VALUE_DECODE_H

#include "parquet/page_read.h"
#include "parquet/schema.h"

/// Values as the file has them. Views into the page, the dictionary or the decoder's room.
struct pq_stored_values {
    size_t count;
    const uint8_t *fixed;  // `width` bytes each; BOOLEAN: a byte each
    size_t width;
    const struct pq_text *texts;  // BYTE_ARRAY
    const uint32_t *codes;        // coded: into the dictionary, each checked
};

struct pq_value_decoder {
    const struct pq_leaf *leaf;
    size_t width;
    struct pq_bytes room;     // decoded fixed values, or bytes of texts put together
    struct pq_bytes texts;    // of struct pq_text
    struct pq_bytes numbers;  // of int64_t or uint32_t: lengths, deltas, codes
    // The chunk's dictionary.
    bool has_dictionary;
    uint32_t entry_count;
    struct pq_bytes entries;      // fixed values, or the bytes of texts
    struct pq_bytes entry_texts;  // of struct pq_text
};

void pq_value_decoder_init(struct pq_value_decoder *decoder, const struct pq_leaf *leaf,
                           const struct pq_alloc *alloc);
void pq_value_decoder_deinit(struct pq_value_decoder *decoder);

/// Keep the entries of a dictionary page. Errors: PQDB_CORRUPT, PQDB_UNSUPPORTED, PQDB_NO_MEMORY.
pqdb_code pq_value_decoder_set_dictionary(struct pq_value_decoder *decoder,
                                          const struct pq_page *page, pqdb_error *err);
const struct pq_text *pq_value_decoder_entry_texts(const struct pq_value_decoder *decoder);

/// `take` values of a page behind the first `skip` ones.
///
/// Shape   coded pages give codes, the others fixed or texts; valid until the next call
/// Errors  PQDB_CORRUPT: there are fewer; PQDB_UNSUPPORTED; PQDB_NO_MEMORY
pqdb_code pq_value_decode(struct pq_value_decoder *decoder, const struct pq_page *page,
                          size_t skip, size_t take, struct pq_stored_values *out,
                          pqdb_error *err);

/// Replace codes by the values they stand for.
pqdb_code pq_value_decoder_look_up(struct pq_value_decoder *decoder,
                                   struct pq_stored_values *values, pqdb_error *err);

#endif
