/// Any JSON5 as an update: it is refused with a reason, or what it makes of a few rows are rows
/// that could have been created: printed as JSON they are read back, and print the same.
#include <stdlib.h>
#include <string.h>

#include "collection/update.h"
#include "expr/print.h"
#include "ingest/rows.h"
#include "support/fixed_env.h"
#include "type/problem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char schema_text[] =
    "{ P: { x: 'int' },\n"
    "  T: { n: 'int!', d: 'decimal(6,2)', f: 'double', g: 'float', s: 'string = dflt',\n"
    "       e: 'enum(a,b)', v: 'varchar(3)', b: 'boolean', at: 'timestamp', day: 'date',\n"
    "       clock: 'time', bin: 'binary', l: 'int[]', tags: 'string[]', w: 'vector(2)',\n"
    "       a: { city: 'string!', zip: 'int', in: { x: 'variant' } },\n"
    "       items: [{ p: 'string!', q: 'decimal(4,1)', c: '-> P' }], c: '-> P', many: '-> P[]',\n"
    "       any: 'variant', back: '<- P.t[]' } }";

static const char rows_text[] =
    "{\"$id\":\"a\",\"n\":1,\"d\":1.25,\"f\":0.1,\"g\":0.5,\"e\":\"a\",\"v\":\"xyz\",\"b\":true,"
    "\"at\":\"2026-01-15T10:00:00Z\",\"day\":\"2026-01-15\",\"clock\":\"10:00:00\","
    "\"bin\":\"Zm9v\",\"l\":[1,null,3],\"tags\":[\"x\",\"y\"],\"w\":[1,2],"
    "\"a\":{\"city\":\"c\",\"zip\":5,\"in\":{\"x\":[1,{\"k\":2}]}},"
    "\"items\":[{\"p\":\"p\",\"q\":1.5,\"c\":\"ann\"},{\"p\":\"q\"}],\"c\":\"ann\","
    "\"many\":[\"ann\"],\"any\":{\"deep\":[1,2.5,\"t\",null]},\"u\":1,\"o\":{\"p\":{\"q\":[1]}}}\n"
    "{\"$id\":\"b\",\"n\":9223372036854775807,\"any\":[1],\"u\":\"text\"}\n"
    "{\"$id\":\"c\",\"n\":-1,\"f\":1e308,\"o\":123456789012345678901234567890}\n";

/// Made once, never freed.
struct world {
    struct pq_arena arena;
    const struct pq_entry *entry;
    struct pq_variant_names *names;
    struct pq_row_reader *reader;
    struct pq_row_batch rows;
};

static void must(bool truth) {
    if (!truth) abort();
}

static struct world *world(void) {
    static struct world made;
    if (made.entry != NULL) return &made;
    static struct pq_schema *schema;
    struct pq_problems problems;
    pq_arena_init(&made.arena, &pq_alloc_libc);
    pq_problems_init(&problems, &made.arena);
    must(pq_schema_parse(pq_text_of(schema_text), &pq_alloc_libc, &schema, &problems, NULL) ==
         PQDB_OK);
    made.entry = pq_schema_find(schema, PQ_TEXT("T"));
    must(pq_variant_names_create(&pq_alloc_libc, &made.names, NULL) == PQDB_OK);
    const struct pq_row_options options = {
        .entry = made.entry, .names = made.names, .env = &fixed_env};
    must(pq_row_reader_create(&options, &pq_alloc_libc, &made.reader, NULL) == PQDB_OK);
    must(pq_row_reader_read(made.reader, pq_text_of(rows_text), &made.rows, NULL) == PQDB_OK);
    pq_rows_stamp(&made.rows, made.entry, 1, FIXED_NOW_US);
    return &made;
}

static void print_row(const struct pq_batch *rows, size_t row, struct pq_bytes *out) {
    const struct pq_type *type = rows->type;
    const size_t extra = type->field_count - 1;
    pq_bytes_append_byte(out, '{', NULL);
    for (size_t k = 0; k < extra; k++) {
        if (k != PQ_COLUMN_ID && k < PQ_COLUMN_DECLARED) continue;
        if (k > 0) pq_bytes_append_byte(out, ',', NULL);
        pq_json_write_text(out, type->fields[k].name, NULL);
        pq_bytes_append_byte(out, ':', NULL);
        pq_print_row(out, &rows->columns[k], row, NULL);
    }
    const size_t at = out->length;
    if (!pq_column_is_null(&rows->columns[extra], row)) {
        pq_print_row(out, &rows->columns[extra], row, NULL);
        out->data[at] = out->length - at > 2 ? ',' : ' ';
    } else {
        pq_bytes_append_byte(out, '}', NULL);
    }
    pq_bytes_append_byte(out, '\n', NULL);
}

/// Is the row what a create would have made of it?
static void check_created(struct world *w, const struct pq_batch *rows, size_t row) {
    struct pq_bytes json, again;
    struct pq_row_batch read;
    pq_bytes_init(&json, &pq_alloc_libc);
    pq_bytes_init(&again, &pq_alloc_libc);
    print_row(rows, row, &json);
    must(pq_row_reader_read(w->reader, pq_bytes_text(&json), &read, NULL) == PQDB_OK);
    must(read.batch.count == 1);
    for (size_t k = PQ_COLUMN_DECLARED; k < rows->type->field_count; k++) {
        must(pq_column_is_sound(&rows->columns[k], NULL));
    }
    print_row(&read.batch, 0, &again);
    must(pq_text_equal(pq_bytes_text(&json), pq_bytes_text(&again)));
    pq_bytes_deinit(&again);
    pq_rows_deinit(&read);
    pq_bytes_deinit(&json);
}

/// What an upsert would create out of nothing is JSON, whatever a reader of rows says to it.
static void check_insert(struct pq_update *update) {
    struct pq_bytes json;
    struct pq_json_document *document;
    pq_bytes_init(&json, &pq_alloc_libc);
    if (pq_update_insert(update, NULL, PQ_TEXT("new"), &json, NULL) == PQDB_OK) {
        must(pq_json_parse(pq_bytes_text(&json), PQ_JSON_STRICT, &pq_alloc_libc, &document,
                           NULL) == PQDB_OK);
        pq_json_destroy(document);
    }
    pq_bytes_deinit(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct world *w = world();
    const struct pq_update_options options = {.entry = w->entry, .names = w->names,
                                              .alloc = &pq_alloc_libc, .now_us = FIXED_NOW_US};
    struct pq_update *update;
    pqdb_error err = {0};
    const struct pq_text text = {(const char *)data, size};
    if (pq_update_compile(&options, text, &update, &err) != PQDB_OK) {
        must(err.message[0] != '\0');
        return 0;
    }
    for (size_t row = 0; row < w->rows.batch.count; row++) {
        struct pq_arena arena;
        struct pq_batch one;
        struct pq_updated updated;
        pq_arena_init(&arena, &pq_alloc_libc);
        must(pq_batch_slice(&w->rows.batch, row, 1, &arena, &one, NULL) == PQDB_OK);
        const pqdb_code code = pq_update_run(update, &one, &arena, &updated, &err);
        must(code == PQDB_OK || err.message[0] != '\0');
        if (code == PQDB_OK && updated.rows.count == 1) check_created(w, &updated.rows, 0);
        pq_arena_deinit(&arena);
    }
    check_insert(update);
    pq_update_destroy(update);
    return 0;
}
