#include "support/expr_fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "expr/print.h"
#include "expr/run_internal.h"
#include "support/expr_fixture.h"

static const char rows[] =
    "[{ $id: 'a', $type: 'T', b: true, i: 1, j: 2, f: 0.5, d: 1.5, e: -0.0, dec: 1.25,"
    "   day: '2024-01-15', clock: '10:00', at: '2024-01-15T10:00:00Z', at2: 0, s: 'a', t: 'Ä,b',"
    "   bin: 'x', tags: ['a', 'b'], items: [{ product: 'p', qty: 1, note: { x: [1] } }],"
    "   addr: { city: 'c', geo: { lat: 1 } }, v: { a: [1, 'x', null] }, inner: { n: 1, t: 'x' },"
    "   logs: [{ level: 'warn' }, 5], friend: 'ann', color: 'red' },"
    " { i: -9223372036854775808, d: NaN, s: '', v: 12345678901234567890, logs: [], tags: [] },"
    " {}, { i: 9223372036854775807, d: 1e308, e: 1e308, v: [1, 2], at: -1, t: '2024-01-15' }]";

/// Made once, never freed. Names that values bring along are the harder layout.
static const struct expr_fixture *fixture_of(struct pq_batch *batch) {
    static struct expr_fixture fixture;
    static struct pq_batch made;
    if (made.columns == NULL) {
        expr_fixture_init(&fixture);
        fixture.foreign_names = true;
        fixture.dictionaries = true;
        if (expr_fixture_batch(&fixture, PQ_TEXT(rows), &made, NULL) != PQDB_OK) abort();
    }
    *batch = made;
    return &fixture;
}

static void compare_ways(const struct pq_program *program, const struct pq_batch *batch,
                         struct pq_arena *arena) {
    struct pq_column vector, scalar;
    struct pq_bytes a, b;
    const pqdb_code one = pq_program_run(program, batch, arena, &vector, NULL);
    const pqdb_code two = pq_program_run_scalar(program, batch, arena, &scalar, NULL);
    if (one != PQDB_OK || two != PQDB_OK) {  // a limit may be met by one way only
        if (one != PQDB_OK && one != PQDB_LIMIT) abort();
        return;
    }
    pqdb_error err;
    if (!pq_column_is_sound(&vector, &err) || vector.count != batch->count) abort();
    pq_bytes_init(&a, &arena->alloc);
    pq_bytes_init(&b, &arena->alloc);
    for (size_t row = 0; row < batch->count; row++) {
        if (pq_print_row(&a, &vector, row, NULL) != PQDB_OK) abort();
        if (pq_print_row(&b, &scalar, row, NULL) != PQDB_OK) abort();
    }
    if (pq_text_equal(pq_bytes_text(&a), pq_bytes_text(&b))) return;
    fprintf(stderr, "%.*s\n%.*s\n", PQ_TEXT_ARG(pq_bytes_text(&a)), PQ_TEXT_ARG(pq_bytes_text(&b)));
    abort();
}

void expr_fuzz(struct pq_text text, bool is_filter) {
    struct pq_batch batch;
    struct pq_arena arena;
    struct pq_problems problems;
    struct pq_json_document *document = NULL;
    struct pq_program *program = NULL;
    if (text.length > 1 << 16) return;
    struct pq_scope scope = fixture_of(&batch)->scope;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_problems_init(&problems, &arena);
    scope.problems = &problems;
    const unsigned flags = PQ_JSON_5 | PQ_JSON_RAW_NUMBERS;
    if (pq_json_parse(text, flags, &pq_alloc_libc, &document, NULL) == PQDB_OK) {
        const struct pq_source source = {.json = pq_json_root(document),
                                         .path = PQ_TEXT("fuzz"),
                                         .code = "INVALID_FILTER"};
        const pqdb_code code = (is_filter ? pq_filter_compile : pq_expr_compile)(
            &source, &scope, &pq_alloc_libc, &program, NULL);
        if (code == PQDB_INVALID && problems.errors == 0) abort();
        if (code == PQDB_OK) compare_ways(program, &batch, &arena);
    }
    pq_program_destroy(program);
    pq_json_destroy(document);
    pq_arena_deinit(&arena);
}
