#include "table/page_cache.h"

#include <pthread.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"

enum { head_count = 1024 };  // of a shard

struct shard {
    pthread_mutex_t lock;
    atomic_size_t bytes;  // written under the lock
    struct pq_page *oldest, *newest;
    struct pq_page *heads[head_count];
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

static uint64_t hash_of(const struct pq_page_key *key) {
    return pq_hash_word(key->file << 40 ^ (uint64_t)key->column << 28 ^ key->page);
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

static struct pq_page *find(struct shard *shard, uint64_t hash, const struct pq_page_key *key) {
    struct pq_page *page = shard->heads[hash / PQ_CACHE_SHARDS % head_count];
    while (page != NULL && !is_same(&page->key, key)) page = page->next;
    return page;
}

/// The oldest page that was not used since it was last looked at here: out of the chains, and into
/// a list of what is to be let go, by `next`.
static void drop_oldest(struct shard *shard, struct pq_page **dropped) {
    struct pq_page *page = shard->oldest;
    while (page->used) {
        page->used = false;
        take_out(shard, page);
        put_newest(shard, page);
        page = shard->oldest;
    }
    struct pq_page **link =
        &shard->heads[hash_of(&page->key) / PQ_CACHE_SHARDS % head_count];
    while (*link != page) link = &(*link)->next;
    *link = page->next;
    take_out(shard, page);
    shard->bytes -= page->bytes;
    page->next = *dropped;
    *dropped = page;
}

// ---- the cache ----------------------------------------------------------------------------------

struct pq_page *pq_page_cache_find(struct pq_page_cache *cache, const struct pq_page_key *key) {
    const uint64_t hash = hash_of(key);
    struct shard *shard = &cache->shards[hash % PQ_CACHE_SHARDS];
    pthread_mutex_lock(&shard->lock);
    struct pq_page *page = find(shard, hash, key);
    if (page != NULL) {
        atomic_fetch_add_explicit(&page->references, 1, memory_order_relaxed);
        page->used = true;
    }
    pthread_mutex_unlock(&shard->lock);
    return page;
}

static void let_go(struct pq_page *dropped) {
    while (dropped != NULL) {
        struct pq_page *page_after = dropped->next;
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
    struct shard *shard = &cache->shards[hash % PQ_CACHE_SHARDS];
    struct pq_page *dropped = NULL;
    pthread_mutex_lock(&shard->lock);
    if (find(shard, hash, &page->key) == NULL && page->bytes <= cache->shard_bytes_max) {
        struct pq_page **head = &shard->heads[hash / PQ_CACHE_SHARDS % head_count];
        page->next = *head;
        *head = page;
        put_newest(shard, page);
        atomic_fetch_add_explicit(&page->references, 1, memory_order_relaxed);
        shard->bytes += page->bytes;
        while (shard->bytes > cache->shard_bytes_max) drop_oldest(shard, &dropped);
    }
    pthread_mutex_unlock(&shard->lock);
    let_go(dropped);
}
