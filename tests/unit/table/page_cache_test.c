/// Goal: the cache gives back the page that was put in, stays within its bound, and keeps what is
/// used again and again while it lets others go.
#include "table/page_cache.h"

#include "base/hash.h"
#include "batch/builder.h"
#include "support/test.h"

enum { PAGE_ROWS = 512, BYTES_MAX = 1 << 20 };

static pqdb_error err;

static void must(pqdb_code code) { CHECK(code == PQDB_OK, "%s", err.message); }

/// A page whose rows all are its number and column.
static struct pq_page *make_page(const struct pq_page_key *key) {
    struct pq_hold *hold;
    struct pq_builder rows;
    struct pq_page *page;
    must(pq_hold_create(&pq_alloc_libc, &hold, &err));
    must(pq_builder_init(&rows, &pq_type_int64, &hold->arena.alloc, &err));
    const int64_t value = (int64_t)key->page << 8 | key->column;
    for (int i = 0; i < PAGE_ROWS; i++) must(pq_builder_append_fixed(&rows, &value, &err));
    const struct pq_column column = pq_builder_finish(&rows);
    must(pq_page_create(key, &column, hold, &page, &err));
    return page;
}

static bool is_there(struct pq_page_cache *cache, const struct pq_page_key *key) {
    struct pq_page *page = pq_page_cache_find(cache, key);
    if (page == NULL) return false;
    const int64_t *values = page->rows.values;
    const int64_t expected = (int64_t)key->page << 8 | key->column;
    CHECK(page->rows.count == PAGE_ROWS && values[PAGE_ROWS - 1] == expected, "another page");
    pq_page_unref(page);
    return true;
}

static void put(struct pq_page_cache *cache, const struct pq_page_key *key) {
    struct pq_page *page = make_page(key);
    pq_page_cache_add(cache, page);
    pq_page_unref(page);
}

static void keys_tell_file_column_and_page_apart(void) {
    struct pq_page_cache *cache;
    must(pq_page_cache_create(BYTES_MAX, &pq_alloc_libc, &cache, &err));
    const struct pq_page_key key = {7, 1, 4096};
    put(cache, &key);
    put(cache, &key);  // two threads decoded it
    CHECK(is_there(cache, &key), "it was put in");
    CHECK(!is_there(cache, &(struct pq_page_key){8, 1, 4096}), "another file");
    CHECK(!is_there(cache, &(struct pq_page_key){7, 2, 4096}), "another column");
    CHECK(!is_there(cache, &(struct pq_page_key){7, 1, 2048}), "another page");
    pq_page_cache_destroy(cache);
}

static void what_is_used_stays_within_the_bound(void) {
    struct failing_alloc counted = {.alloc = {.resize = failing_resize, .ctx = &counted},
                                    .left = -1};
    struct pq_page_cache *cache;
    must(pq_page_cache_create(BYTES_MAX, &counted.alloc, &cache, &err));
    const struct pq_page_key favourite = {1, 0, 1};
    put(cache, &favourite);
    size_t kept = 0;
    for (uint32_t i = 100; i < 3000; i++) {
        const struct pq_page_key key = {1, 0, i};
        put(cache, &key);
        CHECK(is_there(cache, &favourite), "the favourite went for page %u", i);
    }
    for (uint32_t i = 100; i < 3000; i++) kept += is_there(cache, &(struct pq_page_key){1, 0, i});
    const size_t page_bytes = PAGE_ROWS * 9;
    CHECK(kept > 20 && kept * page_bytes <= BYTES_MAX, "%zu pages are kept", kept);
    pq_page_cache_destroy(cache);
    CHECK(counted.live_bytes == 0, "%ld bytes are left", counted.live_bytes);
}

/// Columns of the same rows share a place; whatever goes and comes, none hides another.
static void pages_that_go_hide_no_others(void) {
    enum { columns = 14, pages = 400 };
    struct pq_page_cache *cache;
    must(pq_page_cache_create(BYTES_MAX, &pq_alloc_libc, &cache, &err));
    struct pq_page *sample = make_page(&(struct pq_page_key){1, 0, 0});
    const size_t page_bytes = sample->bytes;
    pq_page_unref(sample);
    size_t kept = 0;
    for (uint32_t i = 0; i < pages * columns; i++) {
        const uint32_t draw = (uint32_t)(pq_hash_word(i) % (pages * columns));
        const struct pq_page_key key = {1, draw % columns, draw / columns * 512};
        if (!is_there(cache, &key)) put(cache, &key);
    }
    for (uint32_t draw = 0; draw < pages * columns; draw++) {
        kept += is_there(cache, &(struct pq_page_key){1, draw % columns, draw / columns * 512});
    }
    CHECK(kept * page_bytes > BYTES_MAX * 4 / 5, "only %zu pages are found", kept);
    pq_page_cache_destroy(cache);
}

static void a_page_outlives_the_cache_while_it_is_held(void) {
    struct pq_page_cache *cache;
    must(pq_page_cache_create(BYTES_MAX, &pq_alloc_libc, &cache, &err));
    const struct pq_page_key key = {1, 1, 1};
    put(cache, &key);
    struct pq_page *page = pq_page_cache_find(cache, &key);
    pq_page_cache_destroy(cache);
    CHECK(((const int64_t *)page->rows.values)[0] == 257, "its rows are gone");
    pq_page_unref(page);
}

int main(void) {
    RUN(keys_tell_file_column_and_page_apart);
    RUN(what_is_used_stays_within_the_bound);
    RUN(pages_that_go_hide_no_others);
    RUN(a_page_outlives_the_cache_while_it_is_held);
    return test_done();
}
