/// How fast JSON text becomes batches: the step of a caller that comes before the log.
///
///     ingest_bench [events]     default 200000
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/rows.h"
#include "tail_events.h"

enum { rounds = 5 };

static void fail(const char *what, const pqdb_error *err) {
    fprintf(stderr, "%s: %s\n", what, err->message);
    exit(EXIT_FAILURE);
}

struct input {
    char *data;
    size_t length;
    size_t events;
};

static struct input generate(size_t events) {
    struct input input = {.events = events};
    struct tail_events generator;
    tail_events_init(&generator, 1);
    size_t capacity = events * 1500 + TAIL_EVENT_BYTES_MAX;
    input.data = pq_resize(&pq_alloc_libc, NULL, 0, capacity, 1);
    for (size_t i = 0; i < events && input.data != NULL; i++) {
        if (capacity - input.length < TAIL_EVENT_BYTES_MAX) {
            input.data = pq_resize(&pq_alloc_libc, input.data, capacity, capacity * 2, 1);
            capacity *= 2;
        }
        if (input.data != NULL) {
            input.length += tail_events_next(&generator, input.data + input.length);
        }
    }
    return input;
}

static uint64_t now_ns(void) { return pq_env_system.monotonic_ns(NULL); }

/// yyjson alone, the floor under everything.
static double parse_ns(const struct input *input) {
    struct pq_json_reader reader;
    pqdb_error err = {0};
    const struct pq_json *root;
    pq_json_reader_init(&reader, &pq_alloc_libc);
    const uint64_t start = now_ns();
    for (const char *at = input->data, *end = at + input->length; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const struct pq_text line = {at, (size_t)(newline - at)};
        if (pq_json_reader_parse(&reader, line, 0, &root, &err) != PQDB_OK) fail("parse", &err);
        at = newline + 1;
    }
    const uint64_t took = now_ns() - start;
    pq_json_reader_deinit(&reader);
    return (double)took / (double)input->events;
}

struct outcome {
    double ns;
    size_t batch_bytes;
};

static struct outcome read_ns(struct pq_row_reader *reader, const struct input *input) {
    struct outcome outcome = {0};
    struct pq_row_batch rows;
    struct pq_ulids ulids;
    pqdb_error err = {0};
    pq_ulids_init(&ulids, &pq_env_system);
    pq_row_reader_restart(reader);
    const uint64_t start = now_ns();
    for (size_t at = 0, used; at < input->length; at += used) {
        const size_t left = input->length - at, chunk = left < 1 << 18 ? left : 1 << 18;
        const struct pq_text text = {input->data + at, chunk};
        if (pq_row_reader_push(reader, text, &used, &err) != PQDB_OK) fail("push", &err);
        if (!pq_row_reader_is_full(reader) && at + used < input->length) continue;
        if (pq_row_reader_take(reader, &rows, &err) != PQDB_OK) fail("take", &err);
        if (pq_rows_fill_ids(&rows, &ulids, &err) != PQDB_OK) fail("ids", &err);
        outcome.batch_bytes += pq_batch_bytes(&rows.batch);
        if (rows.refusal_count > 0) fprintf(stderr, "%zu refused\n", rows.refusal_count);
        pq_rows_deinit(&rows);
    }
    outcome.ns = (double)(now_ns() - start) / (double)input->events;
    return outcome;
}

/// The same one event at a time, each its own batch, as a single durable event comes.
static double single_ns(struct pq_row_reader *reader, const struct input *input) {
    struct pq_row_batch rows;
    pqdb_error err = {0};
    const char *at = input->data, *end = at + input->length;
    const size_t events = input->events < 20000 ? input->events : 20000;
    const uint64_t start = now_ns();
    for (size_t i = 0; i < events && at < end; i++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const struct pq_text line = {at, (size_t)(newline - at)};
        if (pq_row_reader_read(reader, line, &rows, &err) != PQDB_OK) fail("read", &err);
        pq_rows_deinit(&rows);
        at = newline + 1;
    }
    return (double)(now_ns() - start) / (double)events;
}

int main(int argc, char **argv) {
    const size_t events = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 200000;
    const struct input input = generate(events);
    if (input.data == NULL || events == 0) return EXIT_FAILURE;
    pqdb_error err = {0};
    struct pq_arena arena;
    struct pq_problems problems;
    struct pq_schema *schema;
    struct pq_variant_names *names;
    struct pq_row_reader *reader;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_problems_init(&problems, &arena);
    if (pq_schema_parse(PQ_TEXT("{ TailEvents: { $ingest: 'tail' } }"), &pq_alloc_libc, &schema,
                        &problems, &err) != PQDB_OK) {
        fail("schema", &err);
    }
    if (pq_variant_names_create(&pq_alloc_libc, &names, &err) != PQDB_OK) fail("names", &err);
    const struct pq_row_options options = {.entry = &schema->entries[0],
                                           .names = names,
                                           .env = &pq_env_system,
                                           .set_aside = true};
    if (pq_row_reader_create(&options, &pq_alloc_libc, &reader, &err) != PQDB_OK) {
        fail("reader", &err);
    }
    double parse = 1e9, single = 1e9;
    struct outcome best = {.ns = 1e9};
    for (int i = 0; i < rounds; i++) {
        const double parsed = parse_ns(&input), alone = single_ns(reader, &input);
        const struct outcome outcome = read_ns(reader, &input);
        if (parsed < parse) parse = parsed;
        if (alone < single) single = alone;
        if (outcome.ns < best.ns) best = outcome;
    }
    const double bytes = (double)input.length / (double)events;
    printf("%zu events of %.0f bytes\n", events, bytes);
    printf("parse alone     %7.0f ns/event  %6.2f GB/s\n", parse, bytes / parse);
    printf("text to batch   %7.0f ns/event  %6.0f k events/s, %.0f bytes a row\n", best.ns,
           1e6 / best.ns, (double)best.batch_bytes / (double)events);
    printf("one at a time   %7.0f ns/event\n", single);
    pq_row_reader_destroy(reader);
    pq_variant_names_unref(names);
    pq_schema_unref(schema);
    pq_arena_deinit(&arena);
    return EXIT_SUCCESS;
}
