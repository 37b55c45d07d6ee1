/// What each aggregate costs when rows come and go: half of every step takes rows back, half puts
/// new ones there. Prints nanoseconds of CPU a row, old or new, and bytes of state a group, for few
/// large groups and many small ones: one run, a scale and not a promise.
///
///     aggregate_bench [GROUPS…]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "flow/flow.h"

enum { STEP_ROWS = 1000, COLUMNS = 4, STEPS = 400 };

static const struct pq_alloc *const heap = &pq_alloc_libc;

static const struct pq_field source_fields[COLUMNS] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}},
    {.name = {"$seq", 4}, .type = {.kind = PQ_INT64}},
    {.name = {"g", 1}, .type = {.kind = PQ_INT64}},
    {.name = {"x", 1}, .type = {.kind = PQ_INT64}},
};
static const struct pq_type source_type = {
    .kind = PQ_OBJECT, .field_count = COLUMNS, .fields = source_fields};

static uint64_t random_state = 1;
static uint64_t random_below(uint64_t bound) {
    random_state += UINT64_C(0x9E3779B97F4A7C15);
    return (pq_hash_word(random_state) >> 16) % bound;
}

static void *take(size_t count, size_t bytes) {
    void *memory = pq_resize(heap, NULL, 0, count, bytes);
    if (memory == NULL) abort();
    return memory;
}

/// CPU time: there is one thread and no disk, and the machine may be busy.
static double now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

struct row {
    int64_t seq, group, x;
};

/// The source's rows, and the batch of a step.
struct source {
    struct row *rows;
    size_t count;
    uint64_t groups, values;
    int64_t next_seq;
    uint32_t id_offsets[STEP_ROWS + 1];
    uint8_t id_data[STEP_ROWS * 8];
    int64_t columns[3][STEP_ROWS];
    int64_t weights[STEP_ROWS];
};

static void put(struct source *source, size_t at, const struct row *row, int64_t weight) {
    source->columns[0][at] = row->seq;
    source->columns[1][at] = row->group;
    source->columns[2][at] = row->x;
    source->weights[at] = weight;
}

static struct pq_batch batch_of(struct source *source, struct pq_column columns[COLUMNS],
                                size_t count) {
    for (size_t i = 0; i <= count; i++) source->id_offsets[i] = (uint32_t)(i * 8);
    columns[0] = (struct pq_column){.type = &source_fields[0].type,
                                    .layout = PQ_BYTES,
                                    .count = count,
                                    .offsets = source->id_offsets,
                                    .data = source->id_data};
    for (int k = 1; k < COLUMNS; k++) {
        columns[k] = (struct pq_column){
            .type = &source_fields[k].type, .count = count, .values = source->columns[k - 1]};
    }
    return (struct pq_batch){
        .type = &source_type, .count = count, .columns = columns, .weights = source->weights};
}

static struct row random_row(struct source *source) {
    return (struct row){source->next_seq++, (int64_t)random_below(source->groups),
                        (int64_t)random_below(source->values)};
}

static pqdb_code scan(void *ctx, const struct pq_rows_wish *wish,
                      pqdb_code (*taker_takes)(void *taker, const struct pq_batch *batch,
                                               pqdb_error *err),
                      void *taker, pqdb_error *err) {
    struct source *source = ctx;
    struct source *copy = take(1, sizeof *copy);
    (void)wish;
    pqdb_code code = PQDB_OK;
    for (size_t start = 0; start < source->count && code == PQDB_OK; start += STEP_ROWS) {
        struct pq_column batch_columns[COLUMNS];
        const size_t left = source->count - start;
        const size_t count = left < STEP_ROWS ? left : STEP_ROWS;
        for (size_t i = 0; i < count; i++) put(copy, i, &source->rows[start + i], 1);
        const struct pq_batch batch = batch_of(copy, batch_columns, count);
        code = taker_takes(taker, &batch, err);
    }
    pq_free(heap, copy, 1, sizeof *copy);
    return code;
}

static void check(pqdb_code code, const pqdb_error *err) {
    if (code == PQDB_OK) return;
    fprintf(stderr, "%s\n", err->message);
    exit(1);
}

/// Updates of random rows: −old +new. What the source holds changes after the step.
static double run_steps(struct pq_node *node, struct source *source, int steps) {
    struct pq_arena arena;
    double spent = 0;
    pq_arena_init(&arena, heap);
    for (int step = 0; step < steps; step++) {
        size_t at[STEP_ROWS / 2];
        struct row new[STEP_ROWS / 2];
        struct pq_column columns[COLUMNS];
        for (int i = 0; i < STEP_ROWS / 2; i++) {
            bool again;
            do {
                at[i] = random_below(source->count);
                again = false;
                for (int k = 0; k < i; k++) again |= at[k] == at[i];
            } while (again);
            new[i] = random_row(source);
            put(source, (size_t)i * 2, &source->rows[at[i]], -1);
            put(source, (size_t)i * 2 + 1, &new[i], 1);
        }
        const struct pq_batch batch = batch_of(source, columns, STEP_ROWS);
        struct pq_batch out;
        pqdb_error err;
        pq_arena_reset(&arena);
        const double start = now_ns();
        check(pq_node_step(node, &batch, &arena, &out, &err), &err);
        spent += now_ns() - start;
        for (int i = 0; i < STEP_ROWS / 2; i++) source->rows[at[i]] = new[i];
    }
    pq_arena_deinit(&arena);
    return spent / ((double)steps * STEP_ROWS);
}

struct shape {
    const char *title;
    const char *aggregate;
    struct pq_aggregate_parameters given;
};

static void measure(const struct shape *shape, uint64_t groups, size_t rows) {
    struct pq_arena types;
    pqdb_error err;
    pq_arena_init(&types, heap);
    const struct pq_operand keys[1] = {{.column = 2}}, arguments[1] = {{.column = 3}};
    const struct pq_aggregate_spec aggregates[1] = {
        {.kind = pq_aggregate_find(pq_text_of(shape->aggregate)),
         .argument = 0,
         .by = PQ_NO_COLUMN,
         .given = shape->given}};
    struct pq_field fields[4] = {source_fields[0], source_fields[1], source_fields[2],
                                 {.name = {"out", 3}}};
    check(aggregates[0].kind->type(&source_fields[3].type, &types, &fields[3].type, &err), &err);
    const struct pq_type output = {.kind = PQ_OBJECT, .field_count = 4, .fields = fields};
    const struct pq_group_spec spec = {.input = &source_type,
                                       .keys = keys,
                                       .key_count = 1,
                                       .compute = {arguments, 1, aggregates, 1},
                                       .index = PQ_NO_COLUMN,
                                       .output = &output};
    struct source *source = take(1, sizeof *source);
    memset(source, 0, sizeof *source);
    source->rows = take(rows, sizeof *source->rows);
    source->count = rows;
    source->groups = groups;
    source->values = 100000;
    for (size_t i = 0; i < rows; i++) source->rows[i] = random_row(source);
    const struct pq_rows all = {scan, source};
    const struct pq_node_spec node_spec = {
        .name = PQ_TEXT("bench"), .table = 2, .source = 1, .group = &spec, .refill = &all};
    struct pq_node *node;
    check(pq_node_create(&node_spec, heap, &node, &err), &err);
    const double start = now_ns();
    check(pq_node_full(node, &all, NULL, &err), &err);
    const double build = (now_ns() - start) / (double)rows;
    run_steps(node, source, STEPS / 8);
    const double ns = run_steps(node, source, STEPS);
    printf("%-16s %8llu groups %8zu rows: build %6.0f ns a row, update %6.0f ns a row, state %5.0f"
           " B a group\n",
           shape->title, (unsigned long long)groups, rows, build, ns,
           (double)pq_node_bytes(node) / (double)groups);
    pq_node_destroy(node);
    pq_free(heap, source->rows, rows, sizeof *source->rows);
    pq_free(heap, source, 1, sizeof *source);
    pq_arena_deinit(&types);
}

int main(int argument_count, char **arguments) {
    static const struct shape shapes[] = {
        {"count", "$count", {0, 0}},
        {"sum", "$sum", {0, 0}},
        {"variance", "$variance", {0, 0}},
        {"min", "$min", {0, 0}},
        {"max", "$max", {0, 0}},
        {"first", "$first", {0, 0}},
        {"median", "$median", {0, 0}},
        {"countDistinct", "$countDistinct", {0, 0}},
        {"mode", "$mode", {0, 0}},
        {"topK 10", "$topK", {0, 10}},
    };
    static const uint64_t usual[] = {2000, 1000000};
    for (int g = 0; g < (argument_count > 1 ? argument_count - 1 : 2); g++) {
        const uint64_t groups =
            argument_count > 1 ? strtoull(arguments[g + 1], NULL, 10) : usual[g];
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            measure(&shapes[i], groups, groups < 500000 ? 1000000 : 2 * groups);
        }
    }
    return 0;
}
