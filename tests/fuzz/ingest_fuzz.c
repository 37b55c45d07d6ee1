/// Any bytes as events and as rows of an entry with every type: whole, and in small chunks. Both
/// give the same rows and refusals, and every column is sound.
#include <stdlib.h>

#include "ingest/rows.h"
#include "support/fixed_env.h"
#include "support/row_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char schema_text[] =
    "{ TailEvents: { $ingest: 'tail' },"
    "  Rows: { $id: 'key', key: 'string', i: 'int = 5', f: 'float', d: 'double', b: 'bool',"
    "    m: 'decimal(20,3)', day: 'date', at: 'timestamp', t: 'time', x: 'binary', v: 'variant',"
    "    tags: 'enum(a,b)[]', vec: 'vector(2)', to: '-> Rows', mail: 'email', site: 'url',"
    "    o: { k: 'uuid', n: { z: 'char(2)' } }, items: [{ qty: 'int!', note: 'varchar(3)' }] } }";

enum { entries = 2, runs_per_reader = 256 };

static struct pq_schema *schema;
static struct {
    struct pq_variant_names *names;
    struct pq_row_reader *reader;
} ways[entries];

static void set_up(void) {
    struct pq_arena arena;
    struct pq_problems problems;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_problems_init(&problems, &arena);
    if (pq_schema_parse(pq_text_of(schema_text), &pq_alloc_libc, &schema, &problems, NULL) !=
            PQDB_OK ||
        problems.errors > 0 || schema->entry_count != entries) {
        abort();
    }
    pq_arena_deinit(&arena);
}

/// A reader with empty lists of names and shapes; it serves many runs, for it is not cheap.
static void renew(size_t i) {
    pq_row_reader_destroy(ways[i].reader);
    pq_variant_names_unref(ways[i].names);
    if (pq_variant_names_create(&pq_alloc_libc, &ways[i].names, NULL) != PQDB_OK) abort();
    const struct pq_row_options options = {.entry = &schema->entries[i],
                                           .names = ways[i].names,
                                           .env = &fixed_env,
                                           .set_aside = true};
    if (pq_row_reader_create(&options, &pq_alloc_libc, &ways[i].reader, NULL) != PQDB_OK) abort();
}

static void print(const struct pq_row_batch *rows, struct pq_bytes *out) {
    for (size_t row = 0; row < rows->batch.count; row++) {
        pq_bytes_printf(out, NULL, "%u", rows->items[row]);
        row_text(&rows->batch, row, out);
    }
    for (size_t i = 0; i < rows->refusal_count; i++) {
        const struct pq_refusal *refusal = &rows->refusals[i];
        pq_bytes_printf(out, NULL, "%u %u %.*s %.*s", (unsigned)refusal->index,
                        (unsigned)refusal->line, PQ_TEXT_ARG(refusal->field),
                        PQ_TEXT_ARG(refusal->message));
    }
    for (size_t k = 0; k < rows->batch.type->field_count; k++) {
        if (!pq_column_is_sound(&rows->batch.columns[k], NULL)) abort();
    }
}

static void read_in_steps(struct pq_row_reader *reader, struct pq_text input, size_t step,
                          struct pq_bytes *out) {
    struct pq_row_batch rows;
    struct pq_ulids ulids;
    pq_ulids_init(&ulids, &fixed_env);
    pq_row_reader_restart(reader);
    while (input.length > 0) {
        const struct pq_text chunk = {input.data, step < input.length ? step : input.length};
        size_t used;
        if (pq_row_reader_push(reader, chunk, &used, NULL) != PQDB_OK) abort();
        if (used < chunk.length) break;  // full: the rest does not matter here
        input = (struct pq_text){input.data + used, input.length - used};
    }
    if (pq_row_reader_end(reader, NULL) != PQDB_OK) abort();
    if (pq_row_reader_take(reader, &rows, NULL) != PQDB_OK) abort();
    if (pq_rows_fill_ids(&rows, &ulids, NULL) != PQDB_OK) abort();
    print(&rows, out);
    pq_rows_deinit(&rows);
}

static void check(struct pq_row_reader *reader, struct pq_text input) {
    struct pq_bytes whole, parts;
    pq_bytes_init(&whole, &pq_alloc_libc);
    pq_bytes_init(&parts, &pq_alloc_libc);
    read_in_steps(reader, input, SIZE_MAX, &whole);
    read_in_steps(reader, input, 1 + input.length % 13, &parts);
    if (!pq_text_equal(pq_bytes_text(&whole), pq_bytes_text(&parts))) abort();
    pq_bytes_deinit(&whole);
    pq_bytes_deinit(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static unsigned runs;
    if (schema == NULL) set_up();
    const struct pq_text input = {(const char *)data, size};
    for (size_t i = 0; i < entries; i++) {
        if (runs % runs_per_reader == 0) renew(i);
        check(ways[i].reader, input);
    }
    runs++;
    return 0;
}
