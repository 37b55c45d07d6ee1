/// Goal: readers look rows up by id and by link in their snapshots while the writer replaces rows,
/// and every one of them finds exactly what its snapshot holds.
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/hash.h"
#include "batch/builder.h"
#include "support/test.h"
#include "table/fetch.h"
#include "variant/variant.h"

enum { ROWS = 12000,  // no multiple of 7, so that steps of 7 reach every row
       TARGETS = 40, BATCH = 400, READERS = 2, COMMITS = 300, CHANGED = 150 };

static const struct pq_field fields[] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}, .required = true, .id = 1},
    {.name = {"n", 1}, .type = {.kind = PQ_INT64}, .id = 2},
    {.name = {"to", 2}, .type = {.kind = PQ_TEXT}, .id = 3},
};
static const struct pq_type type = {.kind = PQ_OBJECT, .field_count = 3, .fields = fields};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pq_table_snapshot *shown;  // under `lock`
static atomic_bool stops;

static void must(pqdb_code code, const pqdb_error *err) {
    CHECK(code == PQDB_OK, "%s: %s", err->subject, err->message);
}

static struct pq_text print(char out[static 16], const char *what, size_t number) {
    return (struct pq_text){out, (size_t)snprintf(out, 16, "%s-%05zu", what, number)};
}

// ---- the writer ---------------------------------------------------------------------------------

static void append(struct pq_builder *columns, size_t row, uint64_t version) {
    char text[16];
    pqdb_error err = {0};
    struct pq_text id = print(text, "row", row);
    const int64_t n = (int64_t)(row + version * ROWS);
    must(pq_builder_append_bytes(&columns[0], id.data, id.length, &err), &err);
    must(pq_builder_append_fixed(&columns[1], &n, &err), &err);
    id = print(text, "to", row % TARGETS);
    must(pq_builder_append_bytes(&columns[2], id.data, id.length, &err), &err);
}

/// `replaces`: some rows go and come back; otherwise rows [first, first + count) come.
static void commit(struct pq_table *table, size_t first, size_t count, uint64_t version,
                   bool replaces) {
    struct pq_hold *hold;
    struct pq_builder columns[3];
    pqdb_error err = {0};
    must(pq_hold_create(&pq_alloc_libc, &hold, &err), &err);
    for (int k = 0; k < 3; k++) {
        must(pq_builder_init(&columns[k], &fields[k].type, &hold->arena.alloc, &err), &err);
    }
    int64_t *weights = pq_arena_alloc(&hold->arena, 2 * count * sizeof *weights);
    size_t rows = 0;
    for (int in = replaces ? 0 : 1; in < 2; in++) {
        for (size_t i = 0; i < count; i++) {
            append(columns, (first + i * 7) % ROWS, version);
            weights[rows++] = in == 0 ? -1 : 1;
        }
    }
    struct pq_batch batch;
    must(pq_builder_finish_batch(columns, &type, &hold->arena, &batch, &err), &err);
    if (replaces) batch.weights = weights;
    must(pq_table_apply(table, &batch, hold, version, &err), &err);
    must(pq_table_publish(table, &err), &err);
    pthread_mutex_lock(&lock);
    struct pq_table_snapshot *before = shown;
    shown = pq_table_snapshot_ref(table->published);
    pthread_mutex_unlock(&lock);
    pq_table_snapshot_unref(before);
    pq_hold_unref(hold);
}

// ---- a reader -----------------------------------------------------------------------------------

static void read_ids(struct pq_table_snapshot *snapshot, uint64_t dice, struct pq_arena *arena) {
    enum { asked = 50 };
    char texts[asked][16];
    struct pq_text ids[asked];
    size_t rows[asked];
    struct pq_row_place places[asked];
    struct pq_batch batch;
    pqdb_error err = {0};
    for (size_t i = 0; i < asked; i++) {
        rows[i] = pq_hash_word(dice + i) % (ROWS + 100);  // some are not there
        ids[i] = print(texts[i], "row", rows[i]);
    }
    must(pq_table_locate(snapshot, ids, asked, places, &err), &err);
    const struct pq_fetch fetch = {.snapshot = snapshot, .places = places, .count = asked,
                                   .alloc = &pq_alloc_libc};
    must(pq_table_fetch(&fetch, arena, &batch, &err), &err);
    for (size_t i = 0; i < asked; i++) {
        const bool is_there = rows[i] < ROWS;
        CHECK((places[i].segment != NULL) == is_there, "%s", texts[i]);
        if (!is_there) continue;
        const int64_t n = ((const int64_t *)batch.columns[1].values)[i];
        CHECK((size_t)n % ROWS == rows[i], "%" PRId64 " for %s", n, texts[i]);
        CHECK((uint64_t)n / ROWS <= snapshot->version, "%s comes from the future", texts[i]);
    }
}

static void read_links(struct pq_table_snapshot *snapshot, uint64_t dice, struct pq_arena *arena) {
    char text[16];
    pqdb_error err = {0};
    const struct pq_text target = print(text, "to", pq_hash_word(dice) % TARGETS);
    struct pq_row_place *places;
    size_t count;
    const struct pq_linked linked = {.snapshot = snapshot, .column = 2, .targets = &target,
                                     .count = 1, .alloc = &pq_alloc_libc};
    must(pq_table_linked(&linked, arena, &places, &count, &err), &err);
    CHECK(count == ROWS / TARGETS, "%zu rows point to %s", count, text);
}

static void *read_on(void *ctx) {
    uint64_t dice = (uint64_t)(uintptr_t)ctx * 1000000;
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    while (!atomic_load(&stops)) {
        pthread_mutex_lock(&lock);
        struct pq_table_snapshot *snapshot = pq_table_snapshot_ref(shown);
        pthread_mutex_unlock(&lock);
        for (int i = 0; i < 4; i++) {
            pq_arena_reset(&arena);
            dice += 100;
            read_ids(snapshot, dice, &arena);
            read_links(snapshot, dice, &arena);
        }
        pq_table_snapshot_unref(snapshot);
    }
    pq_arena_deinit(&arena);
    return NULL;
}

static void look_ups_beside_the_writer(void) {
    struct pq_variant_names *names;
    struct pq_table *table;
    pqdb_error err = {0};
    must(pq_variant_names_create(&pq_alloc_libc, &names, &err), &err);
    const struct pq_table_options options = {.name = PQ_TEXT("Rows"), .type = &type,
                                             .names = names, .alloc = &pq_alloc_libc};
    must(pq_table_create(&options, &table, &err), &err);
    uint64_t version = 1;
    for (size_t at = 0; at < ROWS; at += BATCH) {
        commit(table, at * 7 % ROWS, BATCH, version++, false);
    }
    pthread_t readers[READERS];
    for (size_t i = 0; i < READERS; i++) {
        pthread_create(&readers[i], NULL, read_on, (void *)(uintptr_t)(i + 1));
    }
    for (int i = 0; i < COMMITS; i++) {
        commit(table, pq_hash_word(version) % ROWS, CHANGED, version, true);
        version++;
    }
    atomic_store(&stops, true);
    for (size_t i = 0; i < READERS; i++) pthread_join(readers[i], NULL);
    CHECK(table->rows == ROWS, "%zu rows", table->rows);
    pq_table_snapshot_unref(shown);
    pq_table_destroy(table);
    pq_variant_names_unref(names);
}

int main(void) {
    RUN(look_ups_beside_the_writer);
    return test_done();
}
