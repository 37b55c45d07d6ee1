/// parquet/column_dictionary.h: the distinct values of a column chunk while it is written.
///
/// The entries are kept as the dictionary page will hold them: PLAIN, in order of first use.
#ifndef PQ_PARQUET_COLUMN_DICTIONARY_H
#define PQ_PARQUET_COLUMN_DICTIONARY_H

#include "base/bytes.h"
#include "batch/dictionary.h"
#include "parquet/column_values.h"

#define PQ_NO_CODE UINT32_MAX

struct pq_column_dictionary {
    const struct pq_alloc *alloc;
    size_t width;           // of a value; 0: byte arrays
    struct pq_bytes plain;  // the page
    uint32_t count;
    uint32_t capacity;      // of starts and marks
    uint32_t *starts;       // owned; where an entry begins in `plain`, its length prefix included
    uint32_t *marks;        // owned; the page that used an entry last
    uint64_t *slots;        // owned; high half of the hash, code + 1
    size_t slot_count;      // power of two
    uint64_t serial;        // of the pq_dictionary whose codes `remap` translates, 0: none
    uint32_t *remap;        // owned; PQ_NO_CODE: not met yet
    size_t remap_count;
};

void pq_column_dictionary_init(struct pq_column_dictionary *dictionary, size_t width,
                               const struct pq_alloc *alloc);
void pq_column_dictionary_deinit(struct pq_column_dictionary *dictionary);
/// No entries; memory is kept.
void pq_column_dictionary_reset(struct pq_column_dictionary *dictionary);

/// About what the entries take in memory: the page, and what finds them.
size_t pq_column_dictionary_bytes(const struct pq_column_dictionary *dictionary);

/// The value of an entry, without length prefix.
struct pq_text pq_column_dictionary_value(const struct pq_column_dictionary *dictionary,
                                          uint32_t code);

/// Codes of the block's values into `codes`. New text is checked to be UTF-8 if `is_text`.
/// Errors: PQDB_INVALID, PQDB_LIMIT (`plain` would pass 2 GiB), PQDB_NO_MEMORY.
pqdb_code pq_column_dictionary_encode(struct pq_column_dictionary *dictionary,
                                      const struct pq_value_block *block, bool is_text,
                                      uint32_t *codes, pqdb_error *err);

/// The same for values that are coded already: each code of `column` is looked up once.
pqdb_code pq_column_dictionary_remap(struct pq_column_dictionary *dictionary,
                                     const struct pq_levels *levels, uint32_t *codes,
                                     pqdb_error *err);

/// Append the PLAIN values of codes. Errors: PQDB_NO_MEMORY.
pqdb_code pq_column_dictionary_values(const struct pq_column_dictionary *dictionary,
                                      const uint32_t *codes, size_t count, struct pq_bytes *out,
                                      pqdb_error *err);

#endif
