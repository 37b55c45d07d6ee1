/// Any bytes as CSV, in pieces: every record is a row or refused, and the rows are sound.
#include <stdlib.h>

#include "ingest/csv.h"
#include "support/fixed_env.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pq_schema *schema;
static struct pq_variant_names *names;

static void prepare(void) {
    static const char text[] =
        "{ Item: { n: 'int', d: 'decimal(10,2)', f: 'double', b: 'boolean', t: 'timestamp',"
        " s: 'string!', tags: 'string[]', at: { city: 'string' }, v: 'variant' } }";
    static struct pq_arena arena;
    struct pq_problems problems;
    struct pq_schema *parsed;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_problems_init(&problems, &arena);
    if (pq_schema_parse(pq_text_of(text), &pq_alloc_libc, &parsed, &problems, NULL) != PQDB_OK ||
        pq_variant_names_create(&pq_alloc_libc, &names, NULL) != PQDB_OK) {
        abort();
    }
    schema = parsed;
}

static pqdb_code take(void *ctx, const struct pq_row_item *item, pqdb_error *err) {
    struct pq_row_reader *reader = ctx;
    if ((item->fault == NULL) == (item->json.length == 0)) abort();
    if (pq_row_reader_is_full(reader)) return PQDB_LIMIT;
    return pq_row_reader_add(reader, item, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (schema == NULL) prepare();
    if (size < 1) return 0;
    struct pq_row_reader *reader;
    const struct pq_row_options rows_options = {
        .entry = &schema->entries[0], .names = names, .env = &fixed_env, .set_aside = true};
    if (pq_row_reader_create(&rows_options, &pq_alloc_libc, &reader, NULL) != PQDB_OK) abort();
    const struct pq_csv_options options = {
        .entry = &schema->entries[0], .on_item = take, .ctx = reader};
    struct pq_csv *csv;
    if (pq_csv_create(&options, &pq_alloc_libc, &csv, NULL) != PQDB_OK) abort();
    const size_t piece = 1 + data[0];
    pqdb_code code = PQDB_OK;
    for (size_t at = 1; at < size && code == PQDB_OK; at += piece) {
        const size_t length = size - at < piece ? size - at : piece;
        code = pq_csv_push(csv, (struct pq_text){(const char *)data + at, length}, NULL);
    }
    if (code == PQDB_OK) code = pq_csv_end(csv, NULL);
    struct pq_row_batch batch;
    if (code == PQDB_OK && pq_row_reader_take(reader, &batch, NULL) == PQDB_OK) {
        for (size_t k = 0; k < batch.batch.type->field_count; k++) {
            if (!pq_column_is_sound(&batch.batch.columns[k], NULL)) abort();
        }
        pq_rows_deinit(&batch);
    }
    pq_csv_destroy(csv);
    pq_row_reader_destroy(reader);
    return 0;
}
