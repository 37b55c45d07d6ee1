/// Goal: a block of deaths tells of each row when it died, from the first to the last of them, and
/// readers beside the writer find all that were put before what they look at was published; a few
/// deaths take little.
#include "table/deaths.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "support/test.h"

static uint32_t order[PQ_DEATH_BLOCK_ROWS];  // rows as they die; the i-th dies at i / 3 + 1

static void shuffle(uint64_t dice) {
    for (uint32_t i = 0; i < PQ_DEATH_BLOCK_ROWS; i++) order[i] = i;
    for (uint32_t i = PQ_DEATH_BLOCK_ROWS - 1; i > 0; i--) {
        const uint32_t k = (uint32_t)(pq_hash_word(++dice) % (i + 1));
        const uint32_t row = order[i];
        order[i] = order[k];
        order[k] = row;
    }
}

static void put(_Atomic(struct pq_deaths *) *deaths, uint32_t i, atomic_size_t *bytes) {
    const pqdb_code code = pq_deaths_put(deaths, order[i], i / 3 + 1, &pq_alloc_libc, bytes, NULL);
    CHECK(code == PQDB_OK, "put %u", i);
}

/// Rows order[0 .. count) died, and no others.
static void check(const struct pq_deaths *deaths, uint32_t count) {
    uint32_t want[PQ_DEATH_BLOCK_ROWS] = {0}, got[PQ_DEATH_BLOCK_ROWS] = {0};
    for (uint32_t i = 0; i < count; i++) want[order[i]] = i / 3 + 1;
    size_t wrong = 0, at = 0, row;
    uint32_t when;
    for (size_t k = 0; k < PQ_DEATH_BLOCK_ROWS; k++) {
        wrong += pq_deaths_find(deaths, k) != want[k];
    }
    CHECK(wrong == 0, "of %u deaths, %zu are wrong", count, wrong);
    while (pq_deaths_next(deaths, &at, &row, &when)) got[row] += when;
    CHECK(memcmp(got, want, sizeof got) == 0, "walking %u deaths", count);
    CHECK(count == 0 || deaths->newest == (count - 1) / 3 + 1, "the newest of %u", count);
}

static void each_row_has_its_time(void) {
    for (uint64_t seed = 0; seed < 4; seed++) {
        _Atomic(struct pq_deaths *) deaths = NULL;
        atomic_size_t bytes = 0;
        shuffle(seed * 10000);
        for (uint32_t i = 0; i < PQ_DEATH_BLOCK_ROWS; i++) {
            put(&deaths, i, &bytes);
            const size_t most = i < 48 ? 600 : i < 192 ? 2800 : 20000;
            CHECK(bytes <= most, "%u deaths take %zu bytes", i + 1, (size_t)bytes);
            if (i < 300 || i % 100 == 0) check(deaths, i + 1);
        }
        check(deaths, PQ_DEATH_BLOCK_ROWS);
        pq_deaths_destroy(deaths, &pq_alloc_libc);
    }
}

struct shared {
    _Atomic(struct pq_deaths *) deaths;
    atomic_uint published;  // so many have died
};

static void *read_on(void *ctx) {
    struct shared *shared = ctx;
    size_t missed = 0;
    for (uint32_t known = 0; known < PQ_DEATH_BLOCK_ROWS;) {
        known = atomic_load(&shared->published);
        const struct pq_deaths *deaths = atomic_load(&shared->deaths);
        for (uint32_t i = 0; i < known; i++) {
            missed += pq_deaths_find(deaths, order[i]) != i / 3 + 1;
        }
    }
    CHECK(missed == 0, "%zu deaths were not found", missed);
    return NULL;
}

static void readers_find_what_was_published(void) {
    struct shared shared = {0};
    atomic_size_t bytes = 0;
    pthread_t thread;
    shuffle(77);
    if (pthread_create(&thread, NULL, read_on, &shared) != 0) abort();
    for (uint32_t i = 0; i < PQ_DEATH_BLOCK_ROWS; i++) {
        put(&shared.deaths, i, &bytes);
        atomic_store(&shared.published, i + 1);
    }
    pthread_join(thread, NULL);
    pq_deaths_destroy(shared.deaths, &pq_alloc_libc);
}

int main(void) {
    RUN(each_row_has_its_time);
    RUN(readers_find_what_was_published);
    return test_done();
}
