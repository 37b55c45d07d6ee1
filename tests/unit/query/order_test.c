/// Goal: of many rows the first ones are kept, whatever the order they come in, in memory that
/// goes with their number.
#include "query/order.h"

#include <inttypes.h>
#include <stdio.h>

#include "batch/builder.h"
#include "support/test.h"

enum { batch_rows = 1000, batches = 50, rows_all = batch_rows * batches };

static pqdb_error err;

static const struct pq_field fields[] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}, .required = true},
    {.name = {"n", 1}, .type = {.kind = PQ_INT64}, .required = true},
};
static const struct pq_type type = {.kind = PQ_OBJECT, .field_count = 2, .fields = fields};

/// Row n of all comes as number `place` of all: rising, falling or mixed.
static uint64_t number_at(int course, uint64_t place) {
    if (course == 0) return place;
    if (course == 1) return rows_all - 1 - place;
    return place * 7919 % rows_all;
}

static struct pq_batch make_batch(int course, uint64_t first, struct pq_arena *arena) {
    struct pq_builder builders[2];
    struct pq_batch batch;
    for (uint32_t k = 0; k < 2; k++) {
        CHECK(pq_builder_init(&builders[k], &fields[k].type, &arena->alloc, &err) == PQDB_OK, "%s",
              err.message);
    }
    for (uint64_t place = first; place < first + batch_rows; place++) {
        char id[32];
        const int64_t n = (int64_t)number_at(course, place);
        const int length = snprintf(id, sizeof id, "%08" PRId64, n);
        pq_builder_append_bytes(&builders[0], id, (size_t)length, NULL);
        pq_builder_append_fixed(&builders[1], &n, NULL);
    }
    CHECK(pq_builder_finish_batch(builders, &type, arena, &batch, &err) == PQDB_OK, "%s",
          err.message);
    return batch;
}

static size_t held_by(const struct pq_hold *hold) {
    return hold == NULL ? 0 : hold->arena.bytes_held;
}

static void check_first(int course, uint64_t keep) {
    struct pq_order order;
    struct pq_arena arena;
    pq_order_init(&order, &pq_alloc_libc);
    pq_arena_init(&arena, &pq_alloc_libc);
    order.keep = keep;
    size_t most = 0;
    for (uint64_t first = 0; first < rows_all; first += batch_rows) {
        if (keep != 0) pq_arena_reset(&arena);
        const struct pq_batch batch = make_batch(course, first, &arena);
        const struct pq_scan_rows rows = {.batch = batch};
        CHECK(pq_order_add(&order, &rows, &arena, &err) == PQDB_OK, "%s", err.message);
        const size_t held = held_by(order.holds[0]) + held_by(order.holds[1]);
        if (held > most) most = held;
    }
    pq_order_finish(&order);
    const uint64_t expected = keep == 0 || keep > rows_all ? rows_all : keep;
    CHECK(order.ref_count == expected, "%zu rows of %" PRIu64, order.ref_count, expected);
    uint64_t wrong = 0;
    for (size_t i = 0; i < order.ref_count; i++) {
        size_t row;
        const struct pq_batch *batch = pq_order_row(&order, i, &row);
        wrong += ((const int64_t *)batch->columns[1].values)[row] != (int64_t)i;
    }
    CHECK(wrong == 0, "course %d, keep %" PRIu64 ": %" PRIu64 " wrong", course, keep, wrong);
    // A row is 24 bytes or so; what fell out of 10,000 rows is left behind.
    if (keep != 0 && keep <= 1000) CHECK(most < 700000, "keep %" PRIu64 ": %zu", keep, most);
    pq_arena_deinit(&arena);
    pq_order_deinit(&order);
}

static void the_first_rows_are_kept_whatever_order_they_come_in(void) {
    static const uint64_t keeps[] = {0, 1, 2, 17, 1000, 9000, rows_all - 1, rows_all * 2};
    for (int course = 0; course < 3; course++) {
        for (size_t i = 0; i < sizeof keeps / sizeof *keeps; i++) check_first(course, keeps[i]);
    }
}

static void repeats_go_and_no_rows_are_fine(void) {
    struct pq_order order;
    struct pq_arena arena;
    pq_order_init(&order, &pq_alloc_libc);
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_order_finish(&order);
    pq_order_drop_repeats(&order);
    CHECK(order.ref_count == 0, "none");
    const struct pq_batch batch = make_batch(0, 0, &arena);
    for (int i = 0; i < 3; i++) {
        const struct pq_scan_rows rows = {.batch = batch};
        CHECK(pq_order_add(&order, &rows, &arena, &err) == PQDB_OK, "%s", err.message);
    }
    pq_order_finish(&order);
    pq_order_drop_repeats(&order);
    CHECK(order.ref_count == batch_rows, "%zu", order.ref_count);
    pq_arena_deinit(&arena);
    pq_order_deinit(&order);
}

int main(void) {
    RUN(the_first_rows_are_kept_whatever_order_they_come_in);
    RUN(repeats_go_and_no_rows_are_fine);
    return test_done();
}
