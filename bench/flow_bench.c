/// Grouping by three keys with count, avg, min and max, in steps of 1000 rows and of one; touching
/// a trace. Prints nanoseconds of CPU a row: one run, a scale and not a promise.
///
///     flow_bench [ROWS]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "batch/dictionary.h"
#include "flow/flow.h"

enum { BATCHES = 64, BATCH_ROWS = 1000, COLUMNS = 6 };

static const struct pq_alloc *const heap = &pq_alloc_libc;

static const struct pq_field source_fields[COLUMNS] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}},
    {.name = {"$seq", 4}, .type = {.kind = PQ_INT64}},
    {.name = {"script", 6}, .type = {.kind = PQ_TEXT}},
    {.name = {"method", 6}, .type = {.kind = PQ_TEXT}},
    {.name = {"hour", 4}, .type = {.kind = PQ_TIMESTAMP}},
    {.name = {"latency", 7}, .type = {.kind = PQ_FLOAT64}},
};
static const struct pq_type source_type = {
    .kind = PQ_OBJECT, .field_count = COLUMNS, .fields = source_fields};

static const struct pq_field view_fields[] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}},
    {.name = {"$seq", 4}, .type = {.kind = PQ_INT64}},
    {.name = {"script", 6}, .type = {.kind = PQ_TEXT}},
    {.name = {"method", 6}, .type = {.kind = PQ_TEXT}},
    {.name = {"hour", 4}, .type = {.kind = PQ_TIMESTAMP}},
    {.name = {"n", 1}, .type = {.kind = PQ_INT64}},
    {.name = {"avg", 3}, .type = {.kind = PQ_FLOAT64}},
    {.name = {"min", 3}, .type = {.kind = PQ_FLOAT64}},
    {.name = {"max", 3}, .type = {.kind = PQ_FLOAT64}},
};
static const struct pq_type view_type = {
    .kind = PQ_OBJECT, .field_count = 9, .fields = view_fields};

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

static struct pq_dictionary *dictionary_of(const char *prefix, unsigned count) {
    struct pq_dictionary *dictionary;
    if (pq_dictionary_create(4096, 1 << 16, heap, &dictionary, NULL) != PQDB_OK) abort();
    char text[64];
    for (unsigned i = 0; i < count; i++) {
        const int length = snprintf(text, sizeof text, "%s-%u", prefix, i);
        pq_dictionary_code(dictionary, (struct pq_text){text, (size_t)length});
    }
    return dictionary;
}

struct shape {
    unsigned scripts, methods, hours;
    const struct pq_dictionary *script_names, *method_names;
    bool plain;  // text as bytes, not as codes
};

/// The texts that the codes stand for.
static void make_plain(struct pq_column *column) {
    const uint32_t *codes = column->values;
    uint32_t *offsets = take(column->count + 1, sizeof *offsets);
    uint8_t *data = take(column->count, 64);
    offsets[0] = 0;
    for (size_t i = 0; i < column->count; i++) {
        const struct pq_text text = pq_dictionary_text(column->dictionary, codes[i]);
        memcpy(data + offsets[i], text.data, text.length);
        offsets[i + 1] = offsets[i] + (uint32_t)text.length;
    }
    column->layout = PQ_BYTES;
    column->offsets = offsets;
    column->data = data;
}

/// Rows of the source; memory is never given back.
static struct pq_batch make_batch(const struct shape *shape, size_t rows) {
    uint32_t *id_offsets = take(rows + 1, sizeof *id_offsets);
    uint8_t *id_data = take(rows, 8);
    int64_t *seq = take(rows, 8), *hour = take(rows, 8);
    uint32_t *script = take(rows, 4), *method = take(rows, 4);
    double *latency = take(rows, 8);
    for (size_t i = 0; i <= rows; i++) id_offsets[i] = (uint32_t)(i * 8);
    for (size_t i = 0; i < rows; i++) {
        seq[i] = (int64_t)i;
        script[i] = (uint32_t)random_below(shape->scripts);
        method[i] = (uint32_t)random_below(shape->methods);
        hour[i] = INT64_C(1700000000000000) + (int64_t)random_below(shape->hours) * 3600000000;
        latency[i] = (double)random_below(1000000) / 997;
    }
    struct pq_column *columns = take(COLUMNS, sizeof *columns);
    for (uint32_t k = 0; k < COLUMNS; k++) {
        columns[k] = (struct pq_column){.type = &source_fields[k].type, .count = rows};
    }
    columns[0].layout = PQ_BYTES;
    columns[0].offsets = id_offsets;
    columns[0].data = id_data;
    columns[1].values = seq;
    columns[2].layout = columns[3].layout = PQ_DICTIONARY;
    columns[2].values = script;
    columns[2].dictionary = shape->script_names;
    columns[3].values = method;
    columns[3].dictionary = shape->method_names;
    if (shape->plain) make_plain(&columns[2]);
    if (shape->plain) make_plain(&columns[3]);
    columns[4].values = hour;
    columns[5].values = latency;
    return (struct pq_batch){.type = &source_type, .count = rows, .columns = columns};
}

static pqdb_code no_rows(void *ctx, const struct pq_rows_wish *wish,
                         pqdb_code (*put)(void *taker, const struct pq_batch *batch,
                                          pqdb_error *err),
                         void *taker, pqdb_error *err) {
    (void)ctx, (void)wish, (void)put, (void)taker, (void)err;
    return PQDB_OK;
}

/// CPU time: there is one thread and no disk, and the machine may be busy.
static double now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void group(const struct shape *shape, size_t batch_rows, size_t rows, const char *title) {
    const struct pq_operand keys[3] = {{.column = 2}, {.column = 3}, {.column = 4}};
    const struct pq_operand arguments[1] = {{.column = 5}};
    const struct pq_aggregate_spec aggregates[4] = {
        {.kind = pq_aggregate_find(PQ_TEXT("$count")), .argument = PQ_NO_COLUMN},
        {.kind = pq_aggregate_find(PQ_TEXT("$avg")), .argument = 0},
        {.kind = pq_aggregate_find(PQ_TEXT("$min")), .argument = 0},
        {.kind = pq_aggregate_find(PQ_TEXT("$max")), .argument = 0},
    };
    const struct pq_group_spec spec = {
        .input = &source_type,
        .keys = keys,
        .key_count = 3,
        .compute = {arguments, 1, aggregates, 4},
        .index = PQ_NO_COLUMN,
        .output = &view_type,
    };
    const struct pq_node_spec node_spec = {
        .name = PQ_TEXT("bench"), .table = 2, .source = 1, .group = &spec};
    const struct pq_rows none = {no_rows, NULL};
    struct pq_node *node;
    if (pq_node_create(&node_spec, heap, &node, NULL) != PQDB_OK) abort();
    if (pq_node_full(node, &none, NULL, NULL) != PQDB_OK) abort();
    struct pq_batch batches[BATCHES];
    for (int i = 0; i < BATCHES; i++) batches[i] = make_batch(shape, batch_rows);
    struct pq_arena arena;
    pq_arena_init(&arena, heap);
    const size_t steps = rows / batch_rows;
    size_t out_rows = 0;
    double start = 0;
    for (size_t i = 0; i < steps + steps / 4; i++) {
        if (i == steps / 4) start = now_ns();  // the first quarter warms up
        struct pq_batch out;
        pqdb_error err;
        pq_arena_reset(&arena);
        if (pq_node_step(node, &batches[i % BATCHES], &arena, &out, &err) != PQDB_OK) {
            fprintf(stderr, "%s\n", err.message);
            abort();
        }
        out_rows += out.count;
    }
    const double ns = now_ns() - start;
    size_t parts;
    const double all = (double)(steps * batch_rows);
    printf("%-44s %7.1f ns/row %7.2f M rows/s %8.2f us/step (%zu groups, %.2f out rows a row)\n",
           title, ns / all, all / ns * 1e3, ns / (double)steps / 1e3,
           pq_node_parts(node, &parts)[0].trace->live_rows, (double)out_rows / all / 1.25);
    pq_arena_deinit(&arena);
    pq_node_destroy(node);
}

static void touch(size_t keys, size_t touches) {
    struct pq_trace trace;
    pq_trace_init(&trace, PQ_TRACE_NEWEST_WINS, heap);
    double start = 0;
    for (int round = 0; round < 2; round++) {  // the first one fills
        start = now_ns();
        const size_t count = round == 0 ? keys : touches;
        uint64_t ahead[16] = {0};
        for (size_t i = 0; i < count + 8; i++) {
            const uint64_t next = round == 0 ? i : random_below(keys);
            pq_trace_prefetch(&trace, pq_hash_word(next + 1));
            const uint64_t number = ahead[i % 8];
            ahead[i % 8] = next;
            pq_trace_prefetch_row(&trace, pq_hash_word(ahead[(i + 4) % 8] + 1));
            if (i < 8) continue;
            const uint64_t words[2] = {number, ~number};
            const struct pq_hashed_key key = {pq_hash_word(number + 1), {(const char *)words, 16}};
            struct pq_trace_row *row;
            bool created;
            if (pq_trace_touch(&trace, &key, 128, &row, &created, NULL) != PQDB_OK) abort();
            ++*(int64_t *)(void *)pq_trace_payload(row);
        }
    }
    printf("trace touch, %8zu keys of 16 B + 128 B       %7.1f ns\n", keys,
           (now_ns() - start) / (double)touches);
    pq_trace_deinit(&trace);
}

int main(int argc, char **argv) {
    const size_t rows = argc > 1 ? strtoul(argv[1], NULL, 10) : 4000000;
    struct shape shape = {.scripts = 20, .methods = 5, .hours = 20};
    shape.script_names = dictionary_of("script-of-a-worker", 200);
    shape.method_names = dictionary_of("METHOD", 5);
    group(&shape, BATCH_ROWS, rows, "3 keys, count avg min max, 1000-row steps");
    group(&shape, 64000, rows, "the same, 64000-row steps");
    group(&shape, 1, rows / 10, "the same, one-row steps");
    shape.plain = true;
    group(&shape, BATCH_ROWS, rows, "the same, 1000-row steps, text as bytes");
    shape.plain = false;
    shape.scripts = 200;
    shape.hours = 1000;
    group(&shape, BATCH_ROWS, rows, "1 M groups, 1000-row steps");
    touch(2000, rows);
    touch(1000000, rows);
    return EXIT_SUCCESS;
}
