/// Law: whatever rows come and go, in whatever batches, with restarts in between, a grouped view is
/// what it is from scratch, and what an obvious evaluator says that shares no code with the engine.
/// Taking everything back leaves nothing behind.
#include <math.h>
#include <string.h>

#include "state/run.h"
#include "support/flow_fixture.h"
#include "support/memory_runs.h"
#include "support/test.h"

enum { LIVE_MAX = 90, STEPS = 60, PARTS_MAX = 12 };

static uint64_t random_state;
static uint32_t below(uint32_t bound) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % bound;
}

/// A source row, as plain as can be. Negative texts are null.
struct row {
    int id, seq, s, t;
    bool has_i, has_d;
    int i;
    double d;
    int v;  // which of the variants, or -1
};

static const char *const texts[] = {"ash", "birch", "cedar", "d\\u00e9odar", ""};
static const char *const variants[] = {"1", "1.0", "'text'", "true", "[1,{k:2}]", "2.5", "-7"};

static struct row random_row(int id, int seq) {
    struct row row = {.id = id, .seq = seq};
    row.s = (int)below(4) - 1;
    row.t = (int)below(6) - 1;
    row.has_i = below(5) > 0;
    row.i = (int)below(101) - 50;
    row.has_d = below(4) > 0;
    row.d = ((double)below(2001) - 1000) / 8;
    row.v = (int)below(8) - 1;
    return row;
}

static struct pq_text row_json(struct pq_arena *arena, const struct row *row) {
    char text[512];
    int used = snprintf(text, sizeof text, "{\"$id\":\"r%d\",\"$seq\":%d", row->id, row->seq);
#define ADD(...) used += snprintf(text + used, sizeof text - (size_t)used, __VA_ARGS__)
    if (row->s >= 0) ADD(",s:\"%s\"", texts[row->s]);
    if (row->t >= 0) ADD(",t:\"%s\"", texts[row->t]);
    if (row->has_i) ADD(",i:%d", row->i);
    if (row->has_d) ADD(",d:%.17g", row->d);
    if (row->v >= 0) ADD(",v:%s", variants[row->v]);
    ADD("}");
#undef ADD
    return pq_arena_copy(arena, (struct pq_text){text, (size_t)used});
}

struct world {
    struct flow_fixture fixture;
    struct row live[LIVE_MAX];
    int live_count, next_id, next_seq;
    struct memory_runs *runs;
    struct pq_run_io io;
    uint64_t next_run;
    struct runs_of_part {
        bool is_there;
        struct pq_run_name names[60];  // newest first
        size_t count;
    } parts[PARTS_MAX];
};

/// Inserts, deletes and updates, shuffled: the images of an update come in any order.
static void random_step(struct world *world, size_t changes) {
    struct pq_text rows[64];
    int64_t weights[64];
    size_t count = 0;
    struct pq_arena *arena = &world->fixture.base.arena;
    for (size_t c = 0; c < changes && count + 2 <= 64; c++) {
        const uint32_t kind = below(world->live_count > LIVE_MAX / 2 ? 5 : 4);
        if (world->live_count == 0 || (kind < 2 && world->live_count < LIVE_MAX)) {
            const struct row row = random_row(world->next_id++, world->next_seq++);
            world->live[world->live_count++] = row;
            rows[count] = row_json(arena, &row);
            weights[count++] = 1;
            continue;
        }
        // What was there before this step, so that no row comes and goes twice in one batch.
        struct row *row = &world->live[below((uint32_t)world->live_count)];
        rows[count] = row_json(arena, row);
        weights[count++] = -1;
        if (kind == 2) {
            const int seq = row->seq;
            *row = random_row(row->id, seq);
            rows[count] = row_json(arena, row);
            weights[count++] = 1;
        } else {
            *row = world->live[--world->live_count];
        }
    }
    for (size_t i = count; i-- > 1;) {
        const size_t j = below((uint32_t)i + 1);
        const struct pq_text row = rows[i];
        const int64_t weight = weights[i];
        rows[i] = rows[j];
        weights[i] = weights[j];
        rows[j] = row;
        weights[j] = weight;
    }
    pqdb_error err;
    const pqdb_code code = flow_fixture_step(&world->fixture, rows, weights, count, &err);
    CHECK(code == PQDB_OK, "step: %s", err.message);
}

/// Write what has changed in each piece of the state as a run.
static void checkpoint(struct world *world) {
    size_t count;
    const struct pq_node_part *parts = pq_node_parts(world->fixture.node, &count);
    CHECK(count <= PARTS_MAX, "%zu pieces", count);
    for (size_t i = 0; i < count; i++) {
        struct runs_of_part *runs = &world->parts[i];
        runs->is_there = parts[i].is_there;
        if (!runs->is_there) continue;
        const struct pq_trace_frozen frozen = pq_trace_freeze(parts[i].trace);
        const struct pq_run_place place = {&world->io, world->next_run++, &pq_alloc_libc};
        struct pq_run_name name;
        struct pq_run *run = NULL;
        CHECK(pq_trace_write(&frozen, &place, &name, NULL) == PQDB_OK, "write");
        if (name.rows > 0) {
            memmove(runs->names + 1, runs->names, runs->count * sizeof *runs->names);
            runs->names[0] = name;
            runs->count++;
            CHECK(pq_run_open(&world->io, &name, &pq_alloc_libc, &run, NULL) == PQDB_OK, "open");
        }
        CHECK(pq_trace_install(parts[i].trace, &frozen, run, NULL) == PQDB_OK, "install");
        pq_run_unref(run);
        if (below(2) == 0 && parts[i].trace->kind == PQ_TRACE_NEWEST_WINS) {
            pq_trace_evict(parts[i].trace, 0, 1000);
        }
    }
}

/// Go on with another node that is opened from the runs.
static void restart(struct world *world) {
    size_t count;
    checkpoint(world);
    pq_node_destroy(world->fixture.node);
    CHECK(pq_node_create(&world->fixture.spec, &pq_alloc_libc, &world->fixture.node, NULL) ==
              PQDB_OK,
          "create");
    const struct pq_node_part *parts = pq_node_parts(world->fixture.node, &count);
    for (size_t i = 0; i < count; i++) {
        const struct runs_of_part *runs = &world->parts[i];
        if (!runs->is_there) continue;
        pq_node_use_part(world->fixture.node, i);
        CHECK(pq_trace_open(parts[i].trace, &world->io, runs->names, runs->count, NULL) == PQDB_OK,
              "open");
    }
}

// ---- the obvious evaluator ---------------------------------------------------------------------

static void print_real(char *out, size_t room, double real) {
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, room, "%.*g", digits, real);
        if (strtod(out, NULL) == real && strchr(out, 'e') == NULL) return;
    }
}

static const char *text_json(int index) {
    static const char *const quoted[] = {"null",        "\"ash\"", "\"birch\"",
                                         "\"cedar\"", "\"déodar\"", "\"\""};
    return quoted[index + 1];
}

static const char *const definition_of_all =
    "{ groupBy: ['s'], compute: { n: { $count: '*' }, ci: { $count: 'i' }, si: { $sum: 'i' },"
    " ai: { $avg: 'i' }, mini: { $min: 'i' }, maxi: { $max: 'i' }, sd: { $sum: 'd' },"
    " mint: { $min: 't' }, maxt: { $max: 't' }, first: { $first: 't' }, last: { $last: 'i' } } }";

static int compare_text(int a, int b) {
    static const char *const raw[] = {"ash", "birch", "cedar", "d\xc3\xa9odar", ""};
    return strcmp(raw[a], raw[b]);
}

static void evaluate_group(const struct world *world, int s, struct pq_bytes *out) {
    int n = 0, ci = 0, mint = -1, maxt = -1;
    long si = 0, mini = 0, maxi = 0;
    double sd = 0;
    const struct row *first = NULL, *last = NULL;
    for (int k = 0; k < world->live_count; k++) {
        const struct row *row = &world->live[k];
        if (row->s != s) continue;
        n++;
        if (row->has_i) {
            if (ci == 0 || row->i < mini) mini = row->i;
            if (ci == 0 || row->i > maxi) maxi = row->i;
            ci++;
            si += row->i;
        }
        if (row->has_d) sd += row->d;
        if (row->t >= 0 && (mint < 0 || compare_text(row->t, mint) < 0)) mint = row->t;
        if (row->t >= 0 && (maxt < 0 || compare_text(row->t, maxt) > 0)) maxt = row->t;
        if (first == NULL || row->seq < first->seq) first = row;
        if (last == NULL || row->seq > last->seq) last = row;
    }
    if (n == 0) return;
    char ai[40] = "null", sum[40], low[40] = "null", high[40] = "null", final[40] = "null";
    char id[40];
    if (ci > 0) print_real(ai, sizeof ai, (double)si / ci);
    print_real(sum, sizeof sum, sd + 0.0);
    if (ci > 0) snprintf(low, sizeof low, "%ld", mini);
    if (ci > 0) snprintf(high, sizeof high, "%ld", maxi);
    if (last->has_i) snprintf(final, sizeof final, "%d", last->i);
    snprintf(id, sizeof id, s < 0 ? "[null]" : "[\\\"%s\\\"]", s < 0 ? "" : texts[s]);
    pq_bytes_printf(out, NULL,
                    "{\"$id\":\"%s\",\"s\":%s,\"n\":%d,\"ci\":%d,\"si\":%ld,\"ai\":%s,"
                    "\"mini\":%s,\"maxi\":%s,\"sd\":%s,\"mint\":%s,\"maxt\":%s,\"first\":%s,"
                    "\"last\":%s}\n",
                    id, text_json(s), n, ci, si, ai, low, high, sum, text_json(mint),
                    text_json(maxt), text_json(first->t), final);
}

/// Groups in the order of their lines: "ash" < "birch" < "cedar" < null.
static struct pq_text evaluate(struct world *world) {
    struct pq_bytes out;
    pq_bytes_init(&out, &world->fixture.base.arena.alloc);
    for (int s = -1; s < 3; s++) evaluate_group(world, s < 2 ? s + 1 : -1, &out);
    pq_bytes_append_byte(&out, '\0', NULL);
    return (struct pq_text){(const char *)out.data, out.length - 1};
}

// ---- the laws ----------------------------------------------------------------------------------

static void check_against_scratch(struct world *world, uint64_t seed, int step) {
    struct text_set full = {0};
    pqdb_error err;
    CHECK(flow_fixture_full(&world->fixture, &full, &err) == PQDB_OK, "full: %s", err.message);
    text_set_sort(&world->fixture.view);
    CHECK(text_set_equal(&full, &world->fixture.view),
          "seed %llu, step %d: steps\n%s, from scratch\n%s", (unsigned long long)seed, step,
          flow_fixture_text(&world->fixture, &world->fixture.view).data,
          flow_fixture_text(&world->fixture, &full).data);
    text_set_deinit(&full);
}

static struct world *world_create(const char *definition, uint64_t seed) {
    struct world *world = calloc(1, sizeof *world);
    world->runs = calloc(1, sizeof *world->runs);
    if (world == NULL || world->runs == NULL) abort();
    world->io = memory_runs_init(world->runs);
    random_state = seed * 77 + 5;
    world->next_seq = -20;  // creation numbers order as signed
    pqdb_error err;
    CHECK(flow_fixture_init(&world->fixture, pq_text_of(definition), &pq_alloc_libc, &err) ==
              PQDB_OK,
          "%s: %s", definition, err.message);
    world->fixture.base.dictionaries = seed % 2 == 0;
    return world;
}

static void world_destroy(struct world *world) {
    flow_fixture_deinit(&world->fixture);
    memory_runs_deinit(world->runs);
    free(world->runs);
    free(world);
}

static void take_everything_back(struct world *world) {
    while (world->live_count > 0) {
        struct pq_text rows[20];
        int64_t weights[20];
        size_t count = 0;
        while (world->live_count > 0 && count < 20) {
            rows[count] = row_json(&world->fixture.base.arena,
                                   &world->live[--world->live_count]);
            weights[count++] = -1;
        }
        pqdb_error err;
        CHECK(flow_fixture_step(&world->fixture, rows, weights, count, &err) == PQDB_OK, "%s",
              err.message);
    }
}

/// No group, no count of a value, no value.
static void check_nothing_left(struct world *world, const char *definition) {
    size_t count;
    const struct pq_node_part *parts = pq_node_parts(world->fixture.node, &count);
    const bool keyed = strstr(definition, "groupBy") != NULL;
    for (size_t i = keyed ? 0 : 1; i < count; i++) {
        struct pq_trace *trace = parts[i].trace;
        if (trace->kind == PQ_TRACE_NEWEST_WINS) {
            CHECK(trace->live_rows == 0, "%s: rows are left", parts[i].name);
            continue;
        }
        struct pq_run_name name;
        checkpoint(world);
        if (trace->run_count == 0) continue;
        const struct pq_run_place place = {&world->io, world->next_run++, &pq_alloc_libc};
        const size_t most = trace->run_count < 8 ? trace->run_count : 8;
        const struct pq_run_merge merge = {.runs = trace->runs, .count = most};
        CHECK(pq_run_merge(&merge, &place, &name, NULL) == PQDB_OK, "merge");
        CHECK(trace->run_count > 8 || name.rows == 0, "%s: values are left", parts[i].name);
    }
}

static void run_world(const char *definition, uint64_t seed, bool is_known, size_t *refills) {
    struct world *world = world_create(definition, seed);
    const struct pq_text empty = flow_fixture_text(&world->fixture, &world->fixture.view);
    for (int step = 0; step < STEPS && test_failures_ == 0; step++) {
        random_step(world, 1 + below(step % 5 == 0 ? 30 : 4));
        if (is_known) {
            const struct pq_text want = evaluate(world);
            const struct pq_text got = flow_fixture_text(&world->fixture, &world->fixture.view);
            CHECK(pq_text_equal(want, got), "seed %llu, step %d: want\n%sgot\n%s",
                  (unsigned long long)seed, step, want.data, got.data);
        }
        if (step % 4 == 0) check_against_scratch(world, seed, step);
        const uint32_t what = below(16);
        if (what < 2) restart(world);
        if (what == 2) checkpoint(world);
    }
    *refills += world->fixture.refills;
    take_everything_back(world);
    const struct pq_text left = flow_fixture_text(&world->fixture, &world->fixture.view);
    CHECK(pq_text_equal(left, empty), "left behind: %s", left.data);
    check_nothing_left(world, definition);
    world_destroy(world);
}

static void steps_agree_with_the_obvious_evaluator(void) {
    size_t refills = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) run_world(definition_of_all, seed, true, &refills);
    CHECK(refills > 20, "windows were refilled %zu times", refills);
}

static void steps_agree_with_the_twin(void) {
    static const char *const definitions[] = {
        "{ compute: { n: { $count: '*' }, min: { $min: 'v' }, max: { $max: 'v' },"
        " first: { $first: 'v' }, last: { $last: 'v' }, sum: { $sum: 'v' }, avg: { $avg: 'v' },"
        " var: { $variance: 'v' } } }",
        "{ groupBy: ['s'], compute: { var: { $variance: 'd' }, sd: { $stddev: 'i' },"
        " vs: { $varianceSamp: 'i' }, ss: { $stddevSamp: 'd' } } }",
        "{ groupBy: ['s'], compute: { f: { $first: 't', $by: 'i' }, l: { $last: 'v', $by: 'd' },"
        " n: { $last: 'i', $by: 'v' } } }",
        "{ groupBy: ['s'], compute: { n: { $countDistinct: 'v' }, m: { $mode: 'v' },"
        " top: { $topK: ['v', 2] }, ni: { $countDistinct: 'i' }, mt: { $mode: 't' } } }",
        "{ groupBy: ['s'], compute: { m: { $median: 'i' }, p: { $percentile: ['i', 0.9] },"
        " q: { $percentile: ['d', 0.1] }, r: { $median: 'v' }, lo: { $min: 'i' } } }",
        "{ compute: { m: { $median: 'd' }, p: { $percentile: ['d', 0.25] }, t: { $topK: ['i', 3] },"
        " max: { $max: 'd' }, n: { $countDistinct: 'd' } } }",
        "{ groupBy: ['t'], compute: { all: { $collect: 'v' }, d: { $collect: 'i' } } }",
        "{ groupBy: ['v', 't'], compute: { n: { $count: 'v' }, max: { $max: 'd' } } }",
        "{ groupBy: ['d'], compute: { first: { $first: 's' }, min: { $min: 'i' } } }",
        "{ groupBy: ['s', 't', 'i'], compute: { a: { $avg: 'd' } }, having: { a: { $gt: 0 } } }",
        "{ groupBy: [{ big: { $gt: ['$i', 0] } }], filter: { t: { $ne: 'ash' } },"
        " compute: { m: { $max: { $multiply: ['$i', '$d'] } },"
        " rate: { $avg: { $cond: [{ $eq: ['$s', 'birch'] }, 1, 0] } } } }",
        "{ groupBy: ['s'], orderById: true, compute: { f: { $first: 'd' }, l: { $last: 'v' } } }",
        "{ filter: { i: { $gte: 0 } }, select: { s: '$s', x: { $add: ['$i', '$d'] } } }",
    };
    size_t refills = 0;
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++) {
        for (uint64_t seed = 1; seed <= 4; seed++) run_world(definitions[i], seed, false, &refills);
    }
}

/// Doubles of any size: only exact sums come back to nothing, and to the same sum in any order.
static void double_sums_are_exact(void) {
    static const char *const values[] = {"1e308",  "-1e308", "5e-324", "-5e-324", "1e-300",
                                         "1.5e17", "-3",     "0.1",    "1e16",    "-1e200"};
    struct world *world = world_create(
        "{ groupBy: ['s'], compute: { sum: { $sum: 'd' }, avg: { $avg: 'd' },"
        " sd: { $stddev: 'd' } } }",
        3);
    char text[128];
    struct pq_text rows[40];
    int64_t weights[40];
    for (size_t i = 0; i < 40; i++) {
        snprintf(text, sizeof text, "{$id:'r%zu',$seq:%zu,s:'x',d:%s}", i, i, values[i % 10]);
        rows[i] = pq_arena_copy(&world->fixture.base.arena, pq_text_of(text));
        weights[i] = 1;
    }
    pqdb_error err;
    for (size_t i = 0; i < 40; i += 4) {
        CHECK(flow_fixture_step(&world->fixture, rows + i, weights + i, 4, &err) == PQDB_OK, "%s",
              err.message);
        check_against_scratch(world, 3, (int)i);
    }
    for (size_t i = 0; i < 40; i++) weights[i] = -1;
    for (size_t i = 0; i < 39; i++) {
        const size_t at = i * 7 % 40;
        CHECK(flow_fixture_step(&world->fixture, rows + at, weights, 1, &err) == PQDB_OK, "%s",
              err.message);
        check_against_scratch(world, 4, (int)i);
    }
    world_destroy(world);
}

/// One value 4500 times is more than four limbs hold: the twin adds it once, with its weight.
static void a_sum_outgrows_its_four_limbs(void) {
    static const char *const values[] = {"73786976294838202000", "-73786976294838202000"};
    for (int sign = 0; sign < 2; sign++) {
        struct world *world = world_create(
            "{ groupBy: ['s'], compute: { sum: { $sum: 'd' }, avg: { $avg: 'd' },"
            " var: { $variance: 'd' } } }",
            3);
        char text[128];
        snprintf(text, sizeof text, "{$id:'r',$seq:1,s:'x',d:%s}", values[sign]);
        struct pq_text rows[500] = {PQ_TEXT("{$id:'one',$seq:0,s:'x',d:1}")};
        pqdb_error err;
        for (int round = 0; round < 10; round++) {
            CHECK(flow_fixture_step(&world->fixture, rows, NULL, round == 0 ? 1 : 500, &err) ==
                      PQDB_OK,
                  "%s", err.message);
            for (int i = 0; i < 500; i++) rows[i] = pq_text_of(text);
            check_against_scratch(world, 5, round);
        }
        world_destroy(world);
    }
}

/// Many rows in one or two groups whose values rise with time: first they only come, then the
/// oldest go, then the newest, then any. Windows are left behind and filled again from multisets
/// that lie in memory and in runs.
static void check_far_moves(const char *definition, uint64_t seed) {
    enum { ROWS = 900, BATCH = 30 };
    struct world *world = world_create(definition, seed);
    struct row *live = calloc(ROWS, sizeof *live);
    int count = 0;
    for (int step = 0; step < 110 && test_failures_ == 0; step++) {
        struct pq_text rows[BATCH];
        int64_t weights[BATCH];
        const bool grows = step < 30;
        for (int k = 0; k < BATCH; k++) {
            if (count == 0 || (grows ? below(8) > 0 : below(3) == 0)) {
                struct row *row = &live[count < ROWS ? count++ : 0];
                if (row->id != 0) continue;
                *row = random_row(++world->next_id, world->next_seq++);
                row->s = (int)below(2);
                row->i = (int)(below(4) == 0 ? below(50) : (uint32_t)world->next_seq);
                row->d = row->i * 0.5;
                rows[k] = row_json(&world->fixture.base.arena, row);
                weights[k] = 1;
                continue;
            }
            const int at = step < 60 ? 0 : step < 85 ? count - 1 : (int)below((uint32_t)count);
            rows[k] = row_json(&world->fixture.base.arena, &live[at]);
            weights[k] = -1;
            memmove(&live[at], &live[at + 1], (size_t)(count - at - 1) * sizeof *live);
            live[--count] = (struct row){0};
        }
        pqdb_error err;
        const pqdb_code code =
            flow_fixture_step(&world->fixture, rows, weights, BATCH, &err);
        CHECK(code == PQDB_OK, "step %d: %s", step, err.message);
        if (step % 7 == 0) check_against_scratch(world, seed, step);
        if (step % 13 == 0) checkpoint(world);
        if (step % 37 == 0) restart(world);
    }
    check_against_scratch(world, seed, -1);
    world_destroy(world);
    free(live);
}

static void windows_find_their_values_again(void) {
    static const char *const definitions[] = {
        "{ compute: { m: { $median: 'i' }, p: { $percentile: ['i', 0.02] },"
        " q: { $percentile: ['d', 0.99] }, min: { $min: 'i' }, max: { $max: 'd' } } }",
        "{ groupBy: ['s'], compute: { top: { $topK: ['i', 4] }, mode: { $mode: 'i' },"
        " n: { $countDistinct: 'i' }, all: { $collect: 'i' } } }",
        "{ groupBy: ['s'], compute: { f: { $first: 'i' }, l: { $last: 'v' },"
        " by: { $first: 't', $by: 'd' }, lt: { $max: 't' }, mv: { $min: 'v' } } }",
    };
    for (size_t i = 0; i < sizeof definitions / sizeof *definitions; i++) {
        for (uint64_t seed = 1; seed <= 3; seed++) check_far_moves(definitions[i], seed);
    }
}

int main(void) {
    RUN(steps_agree_with_the_obvious_evaluator);
    RUN(steps_agree_with_the_twin);
    RUN(double_sums_are_exact);
    RUN(a_sum_outgrows_its_four_limbs);
    RUN(windows_find_their_values_again);
    return test_done();
}
