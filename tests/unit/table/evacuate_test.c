/// Goal: a table whose rows are replaced over and over keeps its memory near what lives, moves only
/// a bounded part of a large chunk at a time, and shows every snapshot what it was taken with.
#include <inttypes.h>
#include <string.h>

#include "batch/builder.h"
#include "support/test.h"
#include "table/scan.h"
#include "table/table.h"
#include "variant/variant.h"

enum { ROWS = 24000, STEP = 100, ROUNDS = 3 };

static const struct pq_field fields[] = {
    {{"$id", 3}, {.kind = PQ_TEXT}, true, 1},
    {{"$seq", 4}, {.kind = PQ_INT64}, true, 2},
};
static const struct pq_type type = {.kind = PQ_OBJECT, .field_count = 2, .fields = fields};
static pqdb_error err;

static void must(pqdb_code code) { CHECK(code == PQDB_OK, "%s %s", err.subject, err.message); }

/// Rows [first, first + count): out where `replaces`, then in with this version as $seq.
static void apply(struct pq_table *table, size_t first, size_t count, uint64_t version) {
    const bool replaces = version > 1;
    struct pq_hold *hold;
    must(pq_hold_create(&pq_alloc_libc, &hold, &err));
    struct pq_builder columns[2];
    for (int k = 0; k < 2; k++) {
        must(pq_builder_init(&columns[k], &fields[k].type, &hold->arena.alloc, &err));
    }
    int64_t *weights = pq_arena_alloc(&hold->arena, 2 * count * sizeof *weights);
    size_t rows = 0;
    for (int in = replaces ? 0 : 1; in < 2; in++) {
        for (size_t i = first; i < first + count; i++) {
            char id[32];
            const int length = snprintf(id, sizeof id, "row-%06zu", i);
            const int64_t seq = (int64_t)version;
            weights[rows++] = in == 0 ? -1 : 1;
            must(pq_builder_append_bytes(&columns[0], id, (size_t)length, &err));
            must(pq_builder_append_fixed(&columns[1], &seq, &err));
        }
    }
    struct pq_batch batch;
    must(pq_builder_finish_batch(columns, &type, &hold->arena, &batch, &err));
    if (replaces) batch.weights = weights;
    must(pq_table_apply(table, &batch, hold, version, &err));
    must(pq_table_publish(table, &err));
    pq_hold_unref(hold);
}

static size_t count_rows(struct pq_table_snapshot *snapshot, int64_t *sum) {
    struct pq_scan scan;
    struct pq_arena arena;
    struct pq_batch batch;
    size_t rows = 0;
    *sum = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_scan_open(&scan, snapshot, NULL, &pq_alloc_libc);
    do {
        must(pq_scan_next(&scan, &arena, &batch, &err));
        const int64_t *seq = batch.count == 0 ? NULL : batch.columns[1].values;
        for (size_t i = 0; i < batch.count; i++) *sum += seq[i];
        rows += batch.count;
    } while (batch.count > 0);
    pq_scan_close(&scan);
    pq_arena_deinit(&arena);
    return rows;
}

static void replaced_rows_leave(void) {
    struct pq_variant_names *names;
    struct pq_table *table;
    must(pq_variant_names_create(&pq_alloc_libc, &names, &err));
    const struct pq_table_options options = {.name = PQ_TEXT("Rows"), .type = &type,
                                             .names = names, .alloc = &pq_alloc_libc};
    must(pq_table_create(&options, &table, &err));
    apply(table, 0, ROWS, 1);
    const size_t at_first = table->memory_bytes;
    struct pq_table_snapshot *before = pq_table_snapshot_ref(table->published);
    struct pq_table_snapshot *halfway = NULL;
    int64_t expected = ROWS, half_sum = 0, sum;
    uint64_t version = 1;
    for (int round = 0; round < ROUNDS; round++) {
        for (size_t first = 0; first < ROWS; first += STEP) {
            const size_t open = table->open_rows;
            version++;
            const int64_t was = round == 0 ? 1 : (int64_t)version - ROWS / STEP;
            expected += ((int64_t)version - was) * STEP;
            apply(table, first, STEP, version);
            const size_t copied = (table->open_rows + PQ_CHUNK_ROWS - open) % PQ_CHUNK_ROWS;
            CHECK(copied <= STEP + PQ_CHUNK_ROWS / 4, "%zu rows copied", copied);
            CHECK(table->rows == ROWS, "%zu rows", table->rows);
            if (version != 180) continue;
            halfway = pq_table_snapshot_ref(table->published);
            half_sum = expected;
        }
    }
    CHECK(count_rows(table->published, &sum) == ROWS && sum == expected, "%" PRId64, sum);
    CHECK(count_rows(halfway, &sum) == ROWS && sum == half_sum, "%" PRId64, sum);
    CHECK(count_rows(before, &sum) == ROWS && sum == ROWS, "%" PRId64, sum);
    CHECK(table->memory_bytes > at_first / 2 && table->memory_bytes < at_first * 4,
          "%zu bytes, %zu at first", table->memory_bytes, at_first);
    pq_table_snapshot_unref(before);
    pq_table_snapshot_unref(halfway);
    pq_table_destroy(table);
    pq_variant_names_unref(names);
}

int main(void) {
    RUN(replaced_rows_leave);
    return test_done();
}
