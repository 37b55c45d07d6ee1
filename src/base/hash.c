#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t pq_hash(const void *data, size_t length) { return XXH3_64bits(data, length); }

uint64_t pq_hash_xxh64(const void *data, size_t length) { return XXH64(data, length, 0); }
