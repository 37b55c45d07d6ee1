#include "table/page_cache.h"

#include <pthread.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"

enum { slots_min = 1024 };

/// Of an open-addressed table.
struct slot {
    uint64_t hash;  // says nearly always which page it is
    struct pq_page *page;  // NULL: free
};

struct shard {
    pthread_mutex_t lock;
    atomic_size_t bytes;  // written under the lock
    struct pq_page *oldest, *newest;
    struct slot *slots;
    size_t slot_count;  // a power of two, at least twice `count`
    size_t count;
};

struct pq_page_cache {
    const struct pq_alloc *alloc;
    atomic_size_t shard_bytes_max;
    struct shard shards[PQ_CACHE_SHARDS];
};

pqdb_code pq_page_cache_create(size_t bytes_max, const struct pq_alloc *alloc,
                               struct pq_page_cache **cache, pqdb_error *err) {
    struct pq_page_cache *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a cache of pages");
    memset(made, 0, sizeof *made);
    made->alloc = alloc;
    atomic_init(&made->shard_bytes_max, bytes_max / PQ_CACHE_SHARDS);
    for (int i = 0; i < PQ_CACHE_SHARDS; i++) pthread_mutex_init(&made->shards[i].lock, NULL);
    *cache = made;
    return PQDB_OK;
}

void pq_page_cache_destroy(struct pq_page_cache *cache) {
    if (cache == NULL) return;
    for (int i = 0; i < PQ_CACHE_SHARDS; i++) {
        struct shard *shard = &cache->shards[i];
        while (shard->oldest != NULL) {
            struct pq_page *page = shard->oldest;
            shard->oldest = page->newer;
            pq_page_unref(page);
        }
        pq_free(cache->alloc, shard->slots, shard->slot_count, sizeof *shard->slots);
        pthread_mutex_destroy(&shard->lock);
    }
    pq_free(cache->alloc, cache, 1, sizeof *cache);
}

pqdb_code pq_page_create(const struct pq_page_key *key, const struct pq_column *rows,
                         struct pq_hold *hold, struct pq_page **page, pqdb_error *err) {
    struct pq_page *made = pq_resize(hold->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a page");
    *made = (struct pq_page){.key = *key, .hold = hold, .rows = *rows, .alloc = hold->alloc,
                             .bytes = sizeof *made + hold->arena.bytes_held};
    atomic_init(&made->references, 1);
    *page = made;
    return PQDB_OK;
}

void pq_page_unref(struct pq_page *page) {
    if (page == NULL) return;
    if (atomic_fetch_sub_explicit(&page->references, 1, memory_order_acq_rel) != 1) return;
    pq_hold_unref(page->hold);
    pq_free(page->alloc, page, 1, sizeof *page);
}

// ---- under a shard's lock -----------------------------------------------------------------------

static bool is_same(const struct pq_page_key *a, const struct pq_page_key *b) {
    return a->file == b->file && a->column == b->column && a->page == b->page;
}

/// The column stands in the bits that no place depends on: the pages of the same rows are
/// neighbours, and whoever reads a row finds them in few lines of memory.
static uint64_t hash_of(const struct pq_page_key *key) {
    const uint64_t hash = pq_hash_word(key->file << 32 ^ key->page);
    return (hash & ~(uint64_t)UINT16_MAX) | (key->column & UINT16_MAX);
}

static struct shard *shard_of(struct pq_page_cache *cache, uint64_t hash) {
    return &cache->shards[(hash >> 32) % PQ_CACHE_SHARDS];
}

static void take_out(struct shard *shard, struct pq_page *page) {
    *(page->older == NULL ? &shard->oldest : &page->older->newer) = page->newer;
    *(page->newer == NULL ? &shard->newest : &page->newer->older) = page->older;
}

static void put_newest(struct shard *shard, struct pq_page *page) {
    page->older = shard->newest;
    page->newer = NULL;
    *(shard->newest == NULL ? &shard->oldest : &shard->newest->newer) = page;
    shard->newest = page;
}

static struct slot *home_of(const struct shard *shard, uint64_t hash) {
    return &shard->slots[hash >> 36 & (shard->slot_count - 1)];
}

static struct slot *slot_after(const struct shard *shard, const struct slot *slot) {
    return &shard->slots[(size_t)(slot - shard->slots + 1) & (shard->slot_count - 1)];
}

/// The slot of the page, or the free one where it belongs. NULL while the shard has no slots.
static struct slot *find(const struct shard *shard, uint64_t hash, const struct pq_page_key *key) {
    if (shard->slot_count == 0) return NULL;
    struct slot *slot = home_of(shard, hash);
    while (slot->page != NULL && (slot->hash != hash || !is_same(&slot->page->key, key))) {
        slot = slot_after(shard, slot);
    }
    return slot;
}

/// Room for one more page. Without memory for it the shard stays as it is, and takes none.
static bool reserve_slot(struct shard *shard, const struct pq_alloc *alloc) {
    if (shard->count * 2 < shard->slot_count) return true;
    struct shard grown = *shard;
    grown.slot_count = shard->slot_count == 0 ? slots_min : shard->slot_count * 2;
    grown.slots = pq_resize(alloc, NULL, 0, grown.slot_count, sizeof *grown.slots);
    if (grown.slots == NULL) return false;
    memset(grown.slots, 0, grown.slot_count * sizeof *grown.slots);
    for (size_t i = 0; i < shard->slot_count; i++) {
        if (shard->slots[i].page == NULL) continue;
        *find(&grown, shard->slots[i].hash, &shard->slots[i].page->key) = shard->slots[i];
    }
    pq_free(alloc, shard->slots, shard->slot_count, sizeof *shard->slots);
    shard->slots = grown.slots;
    shard->slot_count = grown.slot_count;
    return true;
}

/// Free the slot; what was put behind it for want of a place moves up.
static void free_slot(struct shard *shard, struct slot *gone) {
    const size_t mask = shard->slot_count - 1;
    shard->count--;
    for (struct slot *slot = slot_after(shard, gone); slot->page != NULL;
         slot = slot_after(shard, slot)) {
        const size_t home = (size_t)(home_of(shard, slot->hash) - shard->slots);
        const size_t here = (size_t)(slot - shard->slots), free = (size_t)(gone - shard->slots);
        if (((here - home) & mask) < ((here - free) & mask)) continue;
        *gone = *slot;
        gone = slot;
    }
    *gone = (struct slot){0};
}

/// The oldest page that was not used since it was last looked at here: out of the slots, and into
/// a list of what is to be let go, by `newer`.
static void drop_oldest(struct shard *shard, struct pq_page **dropped) {
    struct pq_page *page = shard->oldest;
    while (page->used) {
        page->used = false;
        take_out(shard, page);
        put_newest(shard, page);
        page = shard->oldest;
    }
    free_slot(shard, find(shard, hash_of(&page->key), &page->key));
    take_out(shard, page);
    shard->bytes -= page->bytes;
    page->newer = *dropped;
    *dropped = page;
}

// ---- the cache ----------------------------------------------------------------------------------

struct pq_page *pq_page_cache_find(struct pq_page_cache *cache, const struct pq_page_key *key) {
    const uint64_t hash = hash_of(key);
    struct shard *shard = shard_of(cache, hash);
    pthread_mutex_lock(&shard->lock);
    const struct slot *slot = find(shard, hash, key);
    struct pq_page *page = slot == NULL ? NULL : slot->page;
    if (page != NULL) {
        atomic_fetch_add_explicit(&page->references, 1, memory_order_relaxed);
        page->used = true;
    }
    pthread_mutex_unlock(&shard->lock);
    return page;
}

static void let_go(struct pq_page *dropped) {
    while (dropped != NULL) {
        struct pq_page *page_after = dropped->newer;
        pq_page_unref(dropped);
        dropped = page_after;
    }
}

void pq_page_cache_fit(struct pq_page_cache *cache, size_t bytes_max) {
    const size_t most = bytes_max / PQ_CACHE_SHARDS;
    if (atomic_exchange_explicit(&cache->shard_bytes_max, most, memory_order_relaxed) <= most) {
        return;
    }
    for (int i = 0; i < PQ_CACHE_SHARDS; i++) {
        struct shard *shard = &cache->shards[i];
        struct pq_page *dropped = NULL;
        pthread_mutex_lock(&shard->lock);
        while (shard->bytes > most) drop_oldest(shard, &dropped);
        pthread_mutex_unlock(&shard->lock);
        let_go(dropped);
    }
}

size_t pq_page_cache_bytes(const struct pq_page_cache *cache) {
    size_t bytes = 0;
    for (int i = 0; i < PQ_CACHE_SHARDS; i++) {
        bytes += atomic_load_explicit(&cache->shards[i].bytes, memory_order_relaxed);
    }
    return bytes;
}

void pq_page_cache_add(struct pq_page_cache *cache, struct pq_page *page) {
    const uint64_t hash = hash_of(&page->key);
    struct shard *shard = shard_of(cache, hash);
    struct pq_page *dropped = NULL;
    pthread_mutex_lock(&shard->lock);
    if (page->bytes <= cache->shard_bytes_max && reserve_slot(shard, cache->alloc)) {
        struct slot *slot = find(shard, hash, &page->key);
        if (slot->page == NULL) {
            *slot = (struct slot){hash, page};
            shard->count++;
            put_newest(shard, page);
            atomic_fetch_add_explicit(&page->references, 1, memory_order_relaxed);
            shard->bytes += page->bytes;
        }
        while (shard->bytes > cache->shard_bytes_max) drop_oldest(shard, &dropped);
    }
    pthread_mutex_unlock(&shard->lock);
    let_go(dropped);
}
