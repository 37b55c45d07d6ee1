/// Bloom filters: what was put in is found, few others are, and the one that arrow wrote is read.
#include "parquet/bloom.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "support/corpus.h"
#include "support/test.h"

static uint64_t hash_of(uint64_t number) { return pq_hash_xxh64(&number, sizeof number); }

static void check_filter(size_t count) {
    struct pq_arena arena;
    struct pq_bytes stored;
    struct pq_text bitset;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_bytes_init(&stored, &pq_alloc_libc);
    uint64_t *hashes = pq_arena_calloc(&arena, count + 1, sizeof *hashes);
    for (size_t i = 0; i < count; i++) hashes[i] = hash_of(i);
    CHECK(pq_bloom_write(hashes, count, &stored, NULL) == PQDB_OK, "write");
    CHECK(pq_bloom_open(pq_bytes_text(&stored), &arena, &bitset), "open");
    size_t missing = 0, others = 0;
    for (size_t i = 0; i < count; i++) missing += !pq_bloom_has(bitset, hashes[i]);
    for (size_t i = 0; i < 10000; i++) others += pq_bloom_has(bitset, hash_of(i + 10000000));
    CHECK(missing == 0, "%zu of %zu are missing", missing, count);
    CHECK(others < 250, "%zu of 10000 others", others);
    for (size_t cut = 0; cut < stored.length; cut += 1 + cut / 2) {
        const struct pq_text part = {(const char *)stored.data, cut};
        CHECK(!pq_bloom_open(part, &arena, &bitset), "cut to %zu bytes", cut);
    }
    pq_bytes_deinit(&stored);
    pq_arena_deinit(&arena);
}

static void what_was_put_in_is_found_and_few_others(void) {
    static const size_t counts[] = {0, 1, 7, 100, 4096, 100000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) check_filter(counts[i]);
}

static void a_filter_of_another_writer_is_read(void) {
    char path[4096];
    struct pq_bytes stored;
    struct pq_arena arena;
    struct pq_text bitset;
    snprintf(path, sizeof path, "%s/parquet-testing/data/bloom_filter.xxhash.bin",
             corpus_folder());
    if (!corpus_read_file(path, &stored)) {
        fprintf(stderr, "    skipped: there is no %s\n", path);
        CHECK(true, "a corpus is not required");
        return;
    }
    pq_arena_init(&arena, &pq_alloc_libc);
    CHECK(pq_bloom_open(pq_bytes_text(&stored), &arena, &bitset), "open");
    static const char *const words[] = {"hello", "parquet", "bloom", "filter"};
    for (size_t i = 0; i < 4; i++) {
        CHECK(pq_bloom_has(bitset, pq_hash_xxh64(words[i], strlen(words[i]))), "%s", words[i]);
    }
    CHECK(!pq_bloom_has(bitset, pq_hash_xxh64("nonsense", 8)), "nonsense");
    pq_arena_deinit(&arena);
    pq_bytes_deinit(&stored);
}

int main(void) {
    RUN(what_was_put_in_is_found_and_few_others);
    RUN(a_filter_of_another_writer_is_read);
    return test_done();
}
