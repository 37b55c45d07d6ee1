/// table/page_cache.h: decoded pages of data files, within a bound, for reads of few rows.
///
/// Any thread. A page is immutable and counted; the cache lets go of the oldest that were not used
/// lately (a second chance, so that a look-up moves nothing). A look-up takes one of
/// PQ_CACHE_SHARDS locks for some instructions and never waits for a read.
#ifndef PQ_TABLE_PAGE_CACHE_H
#define PQ_TABLE_PAGE_CACHE_H

#include <parquedb/error.h>
#include <stdatomic.h>

#include "batch/hold.h"

enum { PQ_CACHE_SHARDS = 8 };

struct pq_page_key {
    uint64_t file;    // unique in the process
    uint32_t column;  // of the table
    uint32_t page;    // in the file
};

struct pq_page {
    struct pq_page_key key;
    atomic_uint references;
    bool used;               // since it came, or got its second chance
    uint64_t first_row;      // in the file
    struct pq_column rows;
    struct pq_page *older, *newer;   // by when they did
    struct pq_hold *hold;    // owned reference: the memory of `rows`
    size_t bytes;
    const struct pq_alloc *alloc;
};

struct pq_page_cache;

/// Owns    `alloc` is borrowed until destroy and thread-safe
/// Errors  PQDB_NO_MEMORY
pqdb_code pq_page_cache_create(size_t bytes_max, const struct pq_alloc *alloc,
                               struct pq_page_cache **cache, pqdb_error *err);
/// Pages that somebody holds live on.
void pq_page_cache_destroy(struct pq_page_cache *cache);  // NULL is fine

/// From now on it holds at most so many bytes; what is too much goes now.
void pq_page_cache_fit(struct pq_page_cache *cache, size_t bytes_max);
size_t pq_page_cache_bytes(const struct pq_page_cache *cache);

/// A reference to the page, or NULL.
struct pq_page *pq_page_cache_find(struct pq_page_cache *cache, const struct pq_page_key *key);

/// Keep a page just decoded, made with pq_page_create; older ones may go for it.
void pq_page_cache_add(struct pq_page_cache *cache, struct pq_page *page);

/// A page over `rows`; takes the reference on `hold` on success. Errors: PQDB_NO_MEMORY.
pqdb_code pq_page_create(const struct pq_page_key *key, const struct pq_column *rows,
                         struct pq_hold *hold, struct pq_page **page, pqdb_error *err);
void pq_page_unref(struct pq_page *page);  // NULL is fine

#endif
