/// Goal: pin CSV by text cases, each also pushed byte by byte and in chunks; every failed
/// allocation is reported and leaks nothing.
#include "ingest/csv.h"

#include <inttypes.h>
#include <string.h>

#include "base/fail.h"
#include "support/cases.h"
#include "support/fixed_env.h"
#include "support/row_text.h"
#include "support/test.h"

struct fixture {
    struct pq_arena arena;
    struct pq_schema *schema;
    struct pq_variant_names *names;
};

static void set_up(struct fixture *fixture, const char *schema) {
    struct pq_problems problems;
    pqdb_error err = {0};
    *fixture = (struct fixture){0};
    pq_arena_init(&fixture->arena, &pq_alloc_libc);
    pq_problems_init(&problems, &fixture->arena);
    CHECK(pq_schema_parse(pq_text_of(schema), &pq_alloc_libc, &fixture->schema, &problems, &err) ==
              PQDB_OK && problems.errors == 0,
          "%s", err.message);
    CHECK(pq_variant_names_create(&pq_alloc_libc, &fixture->names, NULL) == PQDB_OK, "names");
}

static void tear_down(struct fixture *fixture) {
    pq_variant_names_unref(fixture->names);
    pq_schema_unref(fixture->schema);
    pq_arena_deinit(&fixture->arena);
}

/// What a file of cases cannot hold: <CR> <BOM> <FF>, the last one no byte of UTF-8.
static void append_bytes(const char *text, struct pq_bytes *out) {
    static const struct {
        const char *name, *bytes;
    } names[] = {{"<CR>", "\r"}, {"<BOM>", "\xEF\xBB\xBF"}, {"<FF>", "\xFF"}};
    while (*text != '\0') {
        size_t k = 0;
        while (k < 3 && strncmp(text, names[k].name, strlen(names[k].name)) != 0) k++;
        if (k == 3) {
            pq_bytes_append_byte(out, (uint8_t)*text++, NULL);
            continue;
        }
        pq_bytes_append(out, names[k].bytes, strlen(names[k].bytes), NULL);
        text += strlen(names[k].name);
    }
}

static pqdb_code take(void *ctx, const struct pq_row_item *item, pqdb_error *err) {
    return pq_row_reader_add(ctx, item, err);
}

/// Read `text` in pieces; what comes of it into `out`, an error as a line.
static pqdb_code read_csv(const struct fixture *fixture, struct pq_text text, size_t step,
                          const struct pq_alloc *alloc, struct pq_bytes *out) {
    struct pq_row_reader *reader = NULL;
    struct pq_csv *csv = NULL;
    struct pq_row_batch rows;
    pqdb_error fault = {0}, *err = &fault;
    const struct pq_entry *entry = pq_schema_find(fixture->schema, PQ_TEXT("T"));
    const struct pq_row_options row_options = {
        .entry = entry, .names = fixture->names, .env = &fixed_env, .set_aside = true};
    pqdb_code code = PQDB_OK;
    PQ_GO(pq_row_reader_create(&row_options, alloc, &reader, err));
    const struct pq_csv_options options = {.entry = entry, .on_item = take, .ctx = reader};
    PQ_GO(pq_csv_create(&options, alloc, &csv, err));
    for (size_t at = 0; at < text.length; at += step) {
        const size_t length = step < text.length - at ? step : text.length - at;
        char *piece = malloc(length);  // exactly as long, for AddressSanitizer
        memcpy(piece, text.data + at, length);
        code = pq_csv_push(csv, (struct pq_text){piece, length}, err);
        free(piece);
        if (code != PQDB_OK) goto done;
    }
    PQ_GO(pq_csv_end(csv, err));
    PQ_GO(pq_row_reader_take(reader, &rows, err));
    row_batch_text(&rows, out);
    pq_rows_deinit(&rows);
done:
    if (code != PQDB_OK) pq_bytes_printf(out, NULL, "error: %s\n", fault.message);
    pq_csv_destroy(csv);
    if (reader != NULL) pq_row_reader_destroy(reader);
    return code;
}

/// As the cases write it.
static void show_returns(struct pq_bytes *text) {
    struct pq_bytes shown;
    pq_bytes_init(&shown, &pq_alloc_libc);
    for (size_t i = 0; i < text->length; i++) {
        const bool is_return = text->data[i] == '\r';
        pq_bytes_append_text(&shown, is_return ? PQ_TEXT("<CR>")
                                               : (struct pq_text){(char *)&text->data[i], 1}, NULL);
    }
    text->length = 0;
    pq_bytes_append_text(text, pq_bytes_text(&shown), NULL);
    pq_bytes_deinit(&shown);
}

static void check_case(const struct test_case *test) {
    static const size_t steps[] = {1 << 20, 1, 2, 7, 64};
    struct fixture fixture;
    struct pq_bytes text, got;
    pq_bytes_init(&text, &pq_alloc_libc);
    pq_bytes_init(&got, &pq_alloc_libc);
    set_up(&fixture, test->input);
    append_bytes(test->parts[1], &text);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        got.length = 0;
        read_csv(&fixture, pq_bytes_text(&text), steps[i], &pq_alloc_libc, &got);
        show_returns(&got);
        pq_bytes_append_byte(&got, '\0', NULL);
        case_expect(test, (const char *)got.data);
    }
    tear_down(&fixture);
    pq_bytes_deinit(&text);
    pq_bytes_deinit(&got);
}

static void records_become_rows_or_refusals_as_in_the_cases(void) {
    CHECK(cases_run("ingest/csv.cases", check_case) > 20, "cases");
}

static void types_are_told_by_the_first_megabyte(void) {
    struct fixture fixture;
    struct pq_bytes text, got;
    pq_bytes_init(&text, &pq_alloc_libc);
    pq_bytes_init(&got, &pq_alloc_libc);
    set_up(&fixture, "{ T: {} }");
    pq_bytes_printf(&text, NULL, "$id,n\n");
    for (int i = 0; text.length < PQ_CSV_SAMPLE_BYTES + 10; i++) {
        pq_bytes_printf(&text, NULL, "%07d,%d\n", i, i % 10);
    }
    pq_bytes_printf(&text, NULL, "last,x\n");
    CHECK(read_csv(&fixture, pq_bytes_text(&text), 1 << 16, &pq_alloc_libc, &got) == PQDB_OK, "ok");
    pq_bytes_append_byte(&got, '\0', NULL);
    const char *rows = (const char *)got.data;
    CHECK(strstr(rows, "$id='0000001' _extra={\"n\":1}") != NULL, "numbers: %.200s", rows);
    CHECK(strstr(rows, "$id='last' _extra={\"n\":\"x\"}") != NULL, "one that is none is text");
    tear_down(&fixture);
    pq_bytes_deinit(&text);
    pq_bytes_deinit(&got);
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void) {
    struct fixture fixture;
    struct pq_bytes got;
    pq_bytes_init(&got, &pq_alloc_libc);
    set_up(&fixture, "{ T: { n: 'int', s: 'string', l: 'int[]' } }");
    pqdb_code code = PQDB_NO_MEMORY;
    for (long fail_at = 0; code == PQDB_NO_MEMORY; fail_at++) {
        struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
        failing.alloc.ctx = &failing;
        const struct pq_text text =
            PQ_TEXT("$id,n,s,l,u\na,1,\"x \"\"y\"\"\",\"[1,2]\",5\nb,x\n\"c\"\n");
        code = read_csv(&fixture, text, 11, &failing.alloc, &got);
        CHECK(failing.live_bytes == 0, "allocation %ld leaks %ld", fail_at, failing.live_bytes);
    }
    CHECK(code == PQDB_OK, "code %d", (int)code);
    tear_down(&fixture);
    pq_bytes_deinit(&got);
}

int main(void) {
    RUN(records_become_rows_or_refusals_as_in_the_cases);
    RUN(types_are_told_by_the_first_megabyte);
    RUN(every_failed_allocation_is_reported_and_leaks_nothing);
    return test_done();
}
