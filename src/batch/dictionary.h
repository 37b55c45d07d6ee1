/// batch/dictionary.h: the distinct texts of a column, append-only and never moved, so that a
/// batch may go on using the entries it saw while the writer adds more.
///
/// Invariant: entry n never changes once added. One writer; readers use only codes they were
/// given. Operators may cache "code -> x" by `serial`. Bounded: PQ_DICTIONARY_ENTRIES_MAX entries,
/// PQ_DICTIONARY_BYTES_MAX bytes of text; beyond that the owner starts a new one (new serial).
#ifndef PQ_BATCH_DICTIONARY_H
#define PQ_BATCH_DICTIONARY_H

#include <parquedb/error.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/text.h"

enum { PQ_DICTIONARY_ENTRIES_MAX = 65536, PQ_DICTIONARY_BYTES_MAX = 1 << 20 };

struct pq_dictionary {
    uint64_t serial;          // unique in the process
    uint32_t count;           // entries so far; only the writer reads this
    uint32_t entries_max;     // fixed at creation
    uint32_t bytes_max;       // fixed at creation
    const uint32_t *offsets;  // entries_max + 1
    const uint8_t *data;      // bytes_max
    const uint64_t *hashes;   // pq_hash of each entry
    uint32_t *slots;          // open addressing, code + 1; power of two
    uint32_t slot_count;
    const struct pq_alloc *alloc;
    int32_t references;  // atomic
};

/// Errors: PQDB_NO_MEMORY.
pqdb_code pq_dictionary_create(uint32_t entries_max, uint32_t bytes_max,
                               const struct pq_alloc *alloc, struct pq_dictionary **dictionary,
                               pqdb_error *err);
struct pq_dictionary *pq_dictionary_ref(const struct pq_dictionary *dictionary);
void pq_dictionary_unref(const struct pq_dictionary *dictionary);

/// The code of `text`, added when new; UINT32_MAX when it is new and does not fit.
uint32_t pq_dictionary_code(struct pq_dictionary *dictionary, struct pq_text text);

static inline struct pq_text pq_dictionary_text(const struct pq_dictionary *dictionary,
                                                uint32_t code) {
    return (struct pq_text){(const char *)dictionary->data + dictionary->offsets[code],
                            dictionary->offsets[code + 1] - dictionary->offsets[code]};
}

#endif
