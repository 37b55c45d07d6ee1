/// Goal: views on views move in one step; a view that fails is left behind with its reason, and
/// with it those that read it, while the others go on; every allocation of a step may fail.
#include "flow/circuit.h"

#include <string.h>

#include "support/flow_fixture.h"
#include "support/memory_runs.h"
#include "support/test.h"

/// source 1 -> 2: by s and t -> 3: by s, over 2; and 4: a sum of i over 1.
struct chain {
    struct flow_fixture fixture;  // plans 2, and makes batches
    struct flow_fixture sums;     // plans 4
    struct pq_operand keys[1], arguments[1];
    struct pq_aggregate_spec aggregates[2];
    struct pq_field fields[5];
    struct pq_type output;
    struct pq_group_spec group;
    struct pq_node_spec upper, sum;
    struct pq_circuit *circuit;
    struct pq_arena arena;
};

static pqdb_code no_rows(void *ctx, const struct pq_rows_wish *wish,
                         pqdb_code (*take)(void *taker, const struct pq_batch *batch,
                                           pqdb_error *err),
                         void *taker, pqdb_error *err) {
    (void)ctx;
    (void)wish;
    (void)take;
    (void)taker;
    (void)err;
    return PQDB_OK;
}

static struct pq_node *node_of(const struct pq_node_spec *spec) {
    const struct pq_rows none = {no_rows, NULL};
    struct pq_node *node = NULL;
    CHECK(pq_node_create(spec, &pq_alloc_libc, &node, NULL) == PQDB_OK, "create");
    CHECK(pq_node_full(node, &none, NULL, NULL) == PQDB_OK, "build");
    return node;
}

static void plan_upper(struct chain *chain) {
    const struct pq_type *below = chain->fixture.spec.group->output;
    chain->keys[0] = (struct pq_operand){.column = 2};       // s
    chain->arguments[0] = (struct pq_operand){.column = 4};  // n
    chain->aggregates[0] = (struct pq_aggregate_spec){
        .kind = pq_aggregate_find(PQ_TEXT("$count")), .argument = PQ_NO_COLUMN};
    chain->aggregates[1] = (struct pq_aggregate_spec){
        .kind = pq_aggregate_find(PQ_TEXT("$max")), .argument = 0};
    const struct pq_field fields[5] = {below->fields[0], below->fields[1], below->fields[2],
                                       {.name = PQ_TEXT("groups"), .type = pq_type_int64},
                                       {.name = PQ_TEXT("most"), .type = pq_type_int64}};
    memcpy(chain->fields, fields, sizeof fields);
    chain->output =
        (struct pq_type){.kind = PQ_OBJECT, .field_count = 5, .fields = chain->fields};
    chain->group = (struct pq_group_spec){
        .input = below,
        .keys = chain->keys,
        .key_count = 1,
        .compute = {chain->arguments, 1, chain->aggregates, 2},
        .index = PQ_NO_COLUMN,
        .order_by_id = true,
        .output = &chain->output,
    };
    chain->upper = (struct pq_node_spec){
        .name = PQ_TEXT("Upper"), .table = 3, .source = 2, .group = &chain->group};
}

static struct chain *chain_create(void) {
    struct chain *chain = calloc(1, sizeof *chain);
    if (chain == NULL) abort();
    const struct pq_text lower =
        PQ_TEXT("{ groupBy: ['s', 't'], compute: { n: { $count: '*' } } }");
    const struct pq_text sum = PQ_TEXT("{ compute: { sum: { $sum: 'i' } } }");
    CHECK(flow_fixture_init(&chain->fixture, lower, &pq_alloc_libc, NULL) == PQDB_OK, "lower");
    CHECK(flow_fixture_init(&chain->sums, sum, &pq_alloc_libc, NULL) == PQDB_OK, "sum");
    plan_upper(chain);
    chain->sum = chain->sums.spec;
    chain->sum.name = PQ_TEXT("Sum");
    chain->sum.table = 4;
    CHECK(pq_circuit_create(&pq_alloc_libc, &chain->circuit, NULL) == PQDB_OK, "circuit");
    CHECK(pq_circuit_add(chain->circuit, node_of(&chain->fixture.spec), NULL) == PQDB_OK, "2");
    CHECK(pq_circuit_add(chain->circuit, node_of(&chain->upper), NULL) == PQDB_OK, "3");
    CHECK(pq_circuit_add(chain->circuit, node_of(&chain->sum), NULL) == PQDB_OK, "4");
    pq_arena_init(&chain->arena, &pq_alloc_libc);
    return chain;
}

static void chain_destroy(struct chain *chain) {
    pq_circuit_destroy(chain->circuit);
    pq_arena_deinit(&chain->arena);
    flow_fixture_deinit(&chain->fixture);
    flow_fixture_deinit(&chain->sums);
    free(chain);
}

static void step(struct chain *chain, const char *rows, const int64_t *weights,
                 struct pq_output outputs[static 3]) {
    struct pq_batch batch;
    CHECK(expr_fixture_batch(&chain->fixture.base, pq_text_of(rows), &batch, NULL) == PQDB_OK,
          "rows");
    batch.weights = weights;
    const struct pq_delta delta = {1, &batch};
    pq_arena_reset(&chain->arena);
    pq_circuit_step(chain->circuit, &delta, 1, &chain->arena, outputs);
}

static int64_t int_at(const struct pq_output *output, uint32_t column, size_t row) {
    return ((const int64_t *)output->rows.columns[column].values)[row];
}

static void a_view_on_a_view_moves_in_the_same_step(void) {
    struct chain *chain = chain_create();
    struct pq_output outputs[3];
    step(chain, "[{$id:'a',$seq:1,s:'x',t:'p',i:1},{$id:'b',$seq:2,s:'x',t:'q',i:2}]", NULL,
         outputs);
    CHECK(outputs[0].table == 2 && outputs[0].rows.count == 2, "%zu", outputs[0].rows.count);
    CHECK(outputs[1].table == 3 && outputs[1].rows.count == 1, "%zu", outputs[1].rows.count);
    CHECK(int_at(&outputs[1], 3, 0) == 2 && int_at(&outputs[1], 4, 0) == 1, "two groups of one");
    CHECK(outputs[2].rows.count == 2 && int_at(&outputs[2], 2, 1) == 3, "the sum moved to 3");

    step(chain, "[{$id:'c',$seq:3,s:'x',t:'q',i:5}]", NULL, outputs);
    CHECK(outputs[1].rows.count == 2 && outputs[1].rows.weights[0] == -1, "old, then new");
    CHECK(int_at(&outputs[1], 3, 1) == 2 && int_at(&outputs[1], 4, 1) == 2, "one has two now");
    chain_destroy(chain);
}

static void a_delta_that_changes_nothing_above_ends_there(void) {
    struct chain *chain = chain_create();
    struct pq_output outputs[3];
    const int64_t both[2] = {1, -1};
    step(chain, "[{$id:'a',$seq:1,s:'x',t:'p',i:1}]", NULL, outputs);
    step(chain, "[{$id:'b',$seq:2,s:'x',t:'p',i:1},{$id:'a',$seq:1,s:'x',t:'p',i:1}]", both,
         outputs);
    for (int i = 0; i < 3; i++) CHECK(outputs[i].rows.count == 0, "view %d moved", i);
    chain_destroy(chain);
}

static void a_failing_view_leaves_its_readers_and_not_its_sisters(void) {
    struct chain *chain = chain_create();
    struct pq_output outputs[3];
    const int64_t back[1] = {-1};
    step(chain, "[{$id:'a',$seq:1,s:'x',t:'p',i:1}]", NULL, outputs);
    // 2 counts rows: taking back one that it never saw is damage. The sum only subtracts.
    step(chain, "[{$id:'z',$seq:9,s:'y',t:'p',i:1}]", back, outputs);
    CHECK(outputs[0].failed && !outputs[0].attached && outputs[1].failed, "2 and 3 fail");
    CHECK(pq_circuit_failure(chain->circuit, 2)->code == PQDB_CORRUPT, "why");
    CHECK(strstr(pq_circuit_failure(chain->circuit, 3)->message, "which it reads") != NULL, "%s",
          pq_circuit_failure(chain->circuit, 3)->message);
    CHECK(outputs[2].attached && pq_circuit_failure(chain->circuit, 4) == NULL, "4 goes on");

    step(chain, "[{$id:'b',$seq:2,s:'x',t:'p',i:1}]", NULL, outputs);
    CHECK(!outputs[0].attached && !outputs[0].failed && outputs[0].rows.count == 0, "stays out");

    const struct pq_rows none = {no_rows, NULL};
    CHECK(pq_node_full(pq_circuit_find(chain->circuit, 2), &none, NULL, NULL) == PQDB_OK, "anew");
    pq_circuit_attach(chain->circuit, 2);
    step(chain, "[{$id:'b',$seq:2,s:'x',t:'p',i:1}]", NULL, outputs);
    CHECK(outputs[0].attached && outputs[0].rows.count == 1, "takes part again");
    chain_destroy(chain);
}

static void a_sum_that_does_not_fit_fails_its_view_alone(void) {
    struct chain *chain = chain_create();
    struct pq_output outputs[3];
    step(chain,
         "[{$id:'a',$seq:1,s:'x',i:9223372036854775807},{$id:'b',$seq:2,s:'x',i:1}]", NULL,
         outputs);
    CHECK(outputs[2].failed && pq_circuit_failure(chain->circuit, 4)->code == PQDB_LIMIT, "4");
    CHECK(strcmp(pq_circuit_failure(chain->circuit, 4)->subject, "Sum") == 0, "names the view");
    CHECK(outputs[0].attached && outputs[1].attached, "2 and 3 go on");
    chain_destroy(chain);
}

static void a_refresh_of_a_lagging_view_reaches_its_readers(void) {
    struct chain *chain = chain_create();
    struct pq_output outputs[3];
    step(chain, "[{$id:'a',$seq:1,s:'x',t:'p',i:1}]", NULL, outputs);
    const pqdb_error reason = {.code = PQDB_OK, .message = "it is scheduled"};
    pq_circuit_detach(chain->circuit, 2, &reason);
    step(chain, "[{$id:'b',$seq:2,s:'x',t:'q',i:1}]", NULL, outputs);
    CHECK(!outputs[0].attached && outputs[1].attached, "2 lags, 3 waits");
    CHECK(outputs[1].rows.count == 0 && outputs[2].rows.count == 2, "only 4 moves");

    struct pq_batch batch, delta;
    CHECK(expr_fixture_batch(&chain->fixture.base, PQ_TEXT("[{$id:'b',$seq:2,s:'x',t:'q',i:1}]"),
                             &batch, NULL) == PQDB_OK,
          "rows");
    CHECK(pq_node_step(pq_circuit_find(chain->circuit, 2), &batch, &chain->arena, &delta, NULL) ==
              PQDB_OK,
          "refresh");
    const struct pq_delta input = {2, &delta};
    pq_circuit_step(chain->circuit, &input, 1, &chain->arena, outputs);
    CHECK(outputs[1].rows.count == 2 && int_at(&outputs[1], 3, 1) == 2, "3 follows");
    chain_destroy(chain);
}

static void a_row_view_is_silent_where_it_did_not_change(void) {
    struct flow_fixture fixture;
    CHECK(flow_fixture_init(&fixture, PQ_TEXT("{ filter: { i: 1 }, select: { s: '$s' } }"),
                            &pq_alloc_libc, NULL) == PQDB_OK,
          "init");
    struct pq_batch batch, out;
    const char *rows = "[{$id:'a',$seq:1,s:'x',i:1,t:'new'},{$id:'b',$seq:2,s:'x',i:1},"
                       "{$id:'a',$seq:1,s:'x',i:1,t:'old'},{$id:'b',$seq:2,s:'old',i:1}]";
    const int64_t weights[4] = {1, 1, -1, -1};
    CHECK(expr_fixture_batch(&fixture.base, pq_text_of(rows), &batch, NULL) == PQDB_OK, "rows");
    batch.weights = weights;
    CHECK(pq_node_step(fixture.node, &batch, &fixture.step_arena, &out, NULL) == PQDB_OK, "step");
    CHECK(out.count == 2 && out.weights[0] + out.weights[1] == 0, "%zu rows", out.count);
    CHECK(pq_text_is(pq_column_text(&out.columns[0], 0), "b"), "only b changed");
    flow_fixture_deinit(&fixture);
}

static void the_state_of_another_definition_is_refused(void) {
    struct flow_fixture one, other;
    CHECK(flow_fixture_init(&one, PQ_TEXT("{ groupBy: ['s'], compute: { n: { $sum: 'i' } } }"),
                            &pq_alloc_libc, NULL) == PQDB_OK &&
              flow_fixture_init(&other,
                                PQ_TEXT("{ groupBy: ['s'], compute: { n: { $min: 'i' } } }"),
                                &pq_alloc_libc, NULL) == PQDB_OK,
          "init");
    const struct pq_text row = PQ_TEXT("{$id:'a',$seq:1,s:'x',i:1}");
    CHECK(flow_fixture_step(&one, &row, NULL, 1, NULL) == PQDB_OK, "step");
    struct memory_runs *runs = calloc(1, sizeof *runs);
    const struct pq_run_io io = memory_runs_init(runs);
    const struct pq_run_place place = {&io, 0, &pq_alloc_libc};
    size_t count;
    const struct pq_trace_frozen frozen =
        pq_trace_freeze(pq_node_parts(one.node, &count)[0].trace);
    struct pq_run_name name;
    CHECK(pq_trace_write(&frozen, &place, &name, NULL) == PQDB_OK, "write");
    CHECK(pq_trace_open(pq_node_parts(other.node, &count)[0].trace, &io, &name, 1, NULL) ==
              PQDB_OK,
          "open");
    CHECK(flow_fixture_step(&other, &row, NULL, 1, NULL) == PQDB_CORRUPT, "step");
    flow_fixture_deinit(&one);
    flow_fixture_deinit(&other);
    memory_runs_deinit(runs);
    free(runs);
}

/// More keys than a memo holds, several times over; each row is there twice in the end.
static void many_keys_outgrow_the_memo(void) {
    enum { KEYS = 9000 };
    struct flow_fixture fixture;
    CHECK(flow_fixture_init(&fixture,
                            PQ_TEXT("{ groupBy: ['i', 's'], compute: { n: { $count: '*' } } }"),
                            &pq_alloc_libc, NULL) == PQDB_OK,
          "init");
    for (int round = 0; round < 2; round++) {
        for (int start = 0; start < KEYS; start += 1500) {
            struct pq_bytes json;
            pq_bytes_init(&json, &fixture.base.arena.alloc);
            for (int i = start; i < start + 1500; i++) {
                pq_bytes_printf(&json, NULL, "%s{$id:'r%d',$seq:%d,i:%d,s:'s%d'}",
                                i == start ? "[" : ",", i, i, i, i / 2);
            }
            pq_bytes_append_byte(&json, ']', NULL);
            struct pq_batch batch, out;
            CHECK(expr_fixture_batch(&fixture.base, pq_bytes_text(&json), &batch, NULL) == PQDB_OK,
                  "rows");
            pq_arena_reset(&fixture.step_arena);
            CHECK(pq_node_step(fixture.node, &batch, &fixture.step_arena, &out, NULL) == PQDB_OK,
                  "step");
            CHECK(out.count == (round == 0 ? 1500 : 3000), "%zu rows", out.count);
            const int64_t *counts = out.columns[4].values;
            for (size_t i = 0; i < out.count; i++) {
                CHECK(counts[i] == (round == 0 || i < 1500 ? 1 : 2), "row %zu", i);
            }
        }
    }
    size_t count;
    CHECK(pq_node_parts(fixture.node, &count)[0].trace->live_rows == KEYS, "groups");
    flow_fixture_deinit(&fixture);
}

static pqdb_code life_of_a_view(const char *definition, const struct pq_alloc *alloc,
                                pqdb_error *err) {
    static const char *const rows[] = {
        "{$id:'a',$seq:1,s:'x',v:{a:1},d:1,items:[{qty:1,product:'p'},{qty:2}]}",
        "{$id:'b',$seq:2,s:'y',v:2.5,d:1e300,items:[{qty:5}]}",
        "{$id:'c',$seq:3,s:'x',v:'t',d:-1e300,items:[]}",
    };
    struct flow_fixture fixture;
    struct pq_text texts[3];
    const int64_t back[3] = {-1, -1, -1};
    for (int i = 0; i < 3; i++) texts[i] = pq_text_of(rows[i]);
    pqdb_code code = flow_fixture_init(&fixture, pq_text_of(definition), alloc, err);
    if (code == PQDB_OK) code = flow_fixture_step(&fixture, texts, NULL, 3, err);
    if (code == PQDB_OK) code = flow_fixture_step(&fixture, texts, back, 2, err);
    if (code == PQDB_OK) code = flow_fixture_step(&fixture, texts, NULL, 1, err);
    flow_fixture_deinit(&fixture);
    return code;
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void) {
    static const char *const definitions[] = {
        "{ unnest: 'items', filter: { 'items.qty': { $gt: 0 } }, groupBy: ['s', 'v'],"
        " compute: { n: { $count: '*' }, d: { $sum: 'd' }, m: { $min: 'items.product' },"
        " f: { $first: 'v' }, x: { $max: 'items.qty' } } }",
        "{ groupBy: ['s'], compute: { sd: { $stddev: 'd' }, m: { $median: 'd' },"
        " n: { $countDistinct: 'v' }, top: { $topK: ['v', 2] }, all: { $collect: 'v' },"
        " mo: { $mode: 'd' }, by: { $last: 'v', $by: 'd' }, lo: { $min: 'd' } } }",
        "{ lists: { top: { $topK: ['items.product', 2] } }, select: { top: '$top' } }",
    };
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++) {
        pqdb_code code = PQDB_NO_MEMORY;
        long fail_at = 0;
        for (; code == PQDB_NO_MEMORY; fail_at++) {
            struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
            failing.alloc.ctx = &failing;
            code = life_of_a_view(definitions[i], &failing.alloc, NULL);
            CHECK(failing.live_bytes == 0, "fail_at %ld leaks %ld bytes", fail_at,
                  failing.live_bytes);
        }
        CHECK(code == PQDB_OK && fail_at > 10, "stopped at %ld with code %d", fail_at, (int)code);
    }
}

/// More than 1 MiB of values makes the view fail, and says where.
static void a_list_has_its_limit(void) {
    struct flow_fixture fixture;
    CHECK(flow_fixture_init(&fixture,
                            PQ_TEXT("{ groupBy: ['s'], compute: { all: { $collect: 't' } } }"),
                            &pq_alloc_libc, NULL) == PQDB_OK,
          "init");
    enum { TEXT = 1 << 18 };
    char *json = malloc(TEXT + 100);
    pqdb_error err = {0};
    pqdb_code code = PQDB_OK;
    for (int i = 0; i < 5; i++) {
        const int start = snprintf(json, 100, "{$id:'r%d',$seq:%d,s:'x',t:'", i, i);
        memset(json + start, 'a' + i, TEXT);
        snprintf(json + start + TEXT, 3, "'}");
        const struct pq_text row = pq_text_of(json);
        CHECK(code == PQDB_OK, "%d rows: %s", i, err.message);
        code = flow_fixture_step(&fixture, &row, NULL, 1, &err);
    }
    CHECK(code == PQDB_LIMIT, "code %d", (int)code);
    CHECK(strcmp(err.message, "column 'all' of group [\"x\"]: more than 1 MiB of values") == 0,
          "%s", err.message);
    free(json);
    flow_fixture_deinit(&fixture);
}

/// Squares below zero, while a step runs, and then one that is far away.
static void what_is_taken_back_before_it_is_there_leaves_nothing(void) {
    struct flow_fixture fixture;
    CHECK(flow_fixture_init(&fixture, PQ_TEXT("{ compute: { sd: { $stddev: 'd' } } }"),
                            &pq_alloc_libc, NULL) == PQDB_OK,
          "init");
    const struct pq_text rows[] = {PQ_TEXT("{$id:'a',$seq:1,d:0.3}"),
                                   PQ_TEXT("{$id:'b',$seq:2,d:1e100}"),
                                   PQ_TEXT("{$id:'a',$seq:1,d:0.3}"),
                                   PQ_TEXT("{$id:'b',$seq:2,d:1e100}"),
                                   PQ_TEXT("{$id:'c',$seq:3,d:1}"),
                                   PQ_TEXT("{$id:'d',$seq:4,d:3}")};
    const int64_t weights[] = {-1, 1, 1, -1, 1, 1};
    pqdb_error err;
    CHECK(flow_fixture_step(&fixture, rows, weights, 6, &err) == PQDB_OK, "%s", err.message);
    const struct pq_text text = flow_fixture_text(&fixture, &fixture.view);
    CHECK(pq_text_is(text, "{\"$id\":\"[]\",\"sd\":1}\n"), "%s", text.data);
    flow_fixture_deinit(&fixture);
}

/// A lagging view's source does not show old rows: the next build makes what was asked for, and
/// from then on steps are enough.
static void a_build_makes_what_was_asked_for(void) {
    struct flow_fixture fixture;
    CHECK(flow_fixture_init(&fixture, PQ_TEXT("{ compute: { m: { $min: 'i' } } }"),
                            &pq_alloc_libc, NULL) == PQDB_OK,
          "init");
    const struct pq_text rows[3] = {PQ_TEXT("{$id:'a',$seq:1,i:1}"),
                                    PQ_TEXT("{$id:'b',$seq:2,i:2}"),
                                    PQ_TEXT("{$id:'c',$seq:3,i:3}")};
    const int64_t back[1] = {-1};
    pqdb_error err;
    size_t count;
    CHECK(flow_fixture_step(&fixture, rows, NULL, 3, NULL) == PQDB_OK, "three rows");
    const struct pq_rows *refill = fixture.spec.refill;
    fixture.spec.refill = NULL;
    CHECK(flow_fixture_step(&fixture, rows, back, 1, &err) == PQDB_UNSUPPORTED, "the smallest");
    struct pq_node *next;
    CHECK(pq_node_create(&fixture.spec, &pq_alloc_libc, &next, NULL) == PQDB_OK, "create");
    pq_node_use_parts_of(next, fixture.node);
    CHECK(pq_node_parts(next, &count)[1].is_there && count == 2, "it is asked for");
    CHECK(pq_node_full(next, refill, NULL, &err) == PQDB_OK, "%s", err.message);
    pq_node_destroy(fixture.node);
    fixture.node = next;
    CHECK(flow_fixture_step(&fixture, rows, back, 1, &err) == PQDB_OK, "%s", err.message);
    CHECK(flow_fixture_step(&fixture, rows + 1, back, 1, &err) == PQDB_OK, "%s", err.message);
    const struct pq_text text = flow_fixture_text(&fixture, &fixture.view);
    CHECK(pq_text_is(text, "{\"$id\":\"[]\",\"m\":3}\n"), "%s", text.data);
    flow_fixture_deinit(&fixture);
}

static void a_source_that_only_grows_says_what_it_cannot_do(void) {
    struct flow_fixture fixture;
    CHECK(flow_fixture_init(&fixture, PQ_TEXT("{ compute: { m: { $min: 'i' } } }"),
                            &pq_alloc_libc, NULL) == PQDB_OK,
          "init");
    fixture.spec.refill = NULL;
    const struct pq_text rows[2] = {PQ_TEXT("{$id:'a',$seq:1,i:1}"),
                                    PQ_TEXT("{$id:'b',$seq:2,i:2}")};
    const int64_t back[1] = {-1};
    pqdb_error err;
    CHECK(flow_fixture_step(&fixture, rows, NULL, 2, NULL) == PQDB_OK, "two rows");
    CHECK(flow_fixture_step(&fixture, rows + 1, back, 1, NULL) == PQDB_OK, "not the smallest");
    CHECK(flow_fixture_step(&fixture, rows + 1, NULL, 1, NULL) == PQDB_OK, "again");
    CHECK(flow_fixture_step(&fixture, rows, back, 1, &err) == PQDB_UNSUPPORTED, "the smallest");
    flow_fixture_deinit(&fixture);
}

int main(void) {
    RUN(a_view_on_a_view_moves_in_the_same_step);
    RUN(a_delta_that_changes_nothing_above_ends_there);
    RUN(a_failing_view_leaves_its_readers_and_not_its_sisters);
    RUN(a_sum_that_does_not_fit_fails_its_view_alone);
    RUN(a_refresh_of_a_lagging_view_reaches_its_readers);
    RUN(a_row_view_is_silent_where_it_did_not_change);
    RUN(the_state_of_another_definition_is_refused);
    RUN(many_keys_outgrow_the_memo);
    RUN(every_failed_allocation_is_reported_and_leaks_nothing);
    RUN(a_list_has_its_limit);
    RUN(what_is_taken_back_before_it_is_there_leaves_nothing);
    RUN(a_build_makes_what_was_asked_for);
    RUN(a_source_that_only_grows_says_what_it_cannot_do);
    return test_done();
}
