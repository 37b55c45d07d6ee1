/// Views from schema text: what is planned, what is refused and where.
#include <string.h>

#include "base/bytes.h"
#include "flow/node_reads.h"
#include "support/cases.h"
#include "support/test.h"
#include "view/view.h"

enum { entries_max = 64 };

static const uint32_t table_ids[entries_max] = {
    100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112, 113, 114, 115, 116, 117, 118,
    119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137,
};

struct planned {
    struct pq_arena arena;
    struct pq_problems problems;
    struct pq_schema *schema;
    struct pq_views *views;
};

static pqdb_code plan(struct planned *planned, struct pq_text text, const struct pq_alloc *alloc,
                      pqdb_error *err) {
    *planned = (struct planned){0};
    pq_arena_init(&planned->arena, alloc);
    pq_problems_init(&planned->problems, &planned->arena);
    pqdb_code code = pq_schema_parse(text, alloc, &planned->schema, &planned->problems, err);
    if (code != PQDB_OK) return code;
    CHECK(planned->schema->entry_count <= entries_max, "too many entries for this test");
    return pq_views_plan(planned->schema, table_ids, alloc, &planned->views, &planned->problems,
                         err);
}

static void planned_deinit(struct planned *planned) {
    pq_views_destroy(planned->views);
    pq_schema_unref(planned->schema);
    pq_arena_deinit(&planned->arena);
}

static void print_problems(struct pq_bytes *out, const struct pq_problems *problems) {
    for (size_t k = 0; k < problems->count; k++) {
        const struct pq_problem *item = &problems->items[k];
        pq_bytes_printf(out, NULL, "%s%s %s %zu:%zu %s", item->warning ? "warning " : "",
                        item->code, item->path.data, item->line, item->column,
                        item->message.data);
        if (item->remedy.length > 0) pq_bytes_printf(out, NULL, " (%s)", item->remedy.data);
        pq_bytes_printf(out, NULL, "\n");
    }
}

/// What the view's node reads of its source: that there is one proves that the spec is sound.
static void print_reads(struct pq_bytes *out, const struct pq_view *view) {
    struct pq_node *node;
    pqdb_error err = {0};
    if (pq_node_create(&view->spec, &pq_alloc_libc, &node, &err) != PQDB_OK) {
        pq_bytes_printf(out, NULL, "  no node: %s\n", err.message);
        return;
    }
    size_t count;
    const uint32_t *columns = pq_node_columns(node, &count);
    const struct pq_type *input =
        view->spec.rows != NULL ? view->spec.rows->input : view->spec.group->input;
    pq_bytes_printf(out, NULL, "  reads   ");
    for (size_t k = 0; k < count; k++) {
        pq_bytes_printf(out, NULL, " %s", input->fields[columns[k]].name.data);
    }
    pq_bytes_printf(out, NULL, "\n");
    pq_node_destroy(node);
}

static void print_views(struct pq_bytes *out, const struct pq_views *views) {
    for (size_t k = 0; k < views->count; k++) {
        const struct pq_view *view = &views->views[k];
        pq_bytes_printf(out, NULL, "%s\n", view->name.data);
        for (size_t line = 0; line < view->explain_count; line++) {
            pq_bytes_printf(out, NULL, "  %s\n", view->explain[line].data);
        }
        print_reads(out, view);
    }
}

static void check_case(const struct test_case *test, bool with_views) {
    struct planned planned;
    struct pq_bytes got;
    pqdb_error err = {0};
    pq_bytes_init(&got, &pq_alloc_libc);
    pq_bytes_printf(&got, NULL, "%s", "");
    if (plan(&planned, pq_text_of(test->input), &pq_alloc_libc, &err) != PQDB_OK) {
        pq_bytes_printf(&got, NULL, "failed: %s\n", err.message);
    } else if (with_views) {
        print_views(&got, planned.views);
    }
    print_problems(&got, &planned.problems);
    pq_bytes_append_byte(&got, 0, NULL);
    case_expect(test, (const char *)got.data);
    pq_bytes_deinit(&got);
    planned_deinit(&planned);
}

static void check_plan(const struct test_case *test) { check_case(test, true); }
static void check_errors(const struct test_case *test) { check_case(test, false); }

static void plans_match_the_table(void) { cases_run("view/plan.cases", check_plan); }
static void links_match_the_table(void) { cases_run("view/expand.cases", check_plan); }
static void the_seeds_examples_are_planned(void) { cases_run("view/seed.cases", check_plan); }
static void mistakes_match_the_table(void) { cases_run("view/errors.cases", check_errors); }

// ---- versions, scopes, memory ------------------------------------------------------------------

/// Of the view named `name`; 0 when there is no such view.
static uint64_t version_of(const char *text, const char *name) {
    struct planned planned;
    pqdb_error err = {0};
    uint64_t version = 0;
    if (plan(&planned, pq_text_of(text), &pq_alloc_libc, &err) == PQDB_OK) {
        const struct pq_view *view = pq_views_find(planned.views, pq_text_of(name));
        if (view != NULL) version = view->refresh_version;
    }
    planned_deinit(&planned);
    return version;
}

static void a_refresh_version_follows_what_decides_the_rows(void) {
#define BASE "a: 'int', b: 'string', $paths: { 'v.x': 'int' }, v: 'variant'"
    const uint64_t first =
        version_of("{ A: {" BASE "}, V: { $from: 'A', $select: { x: '$a', y: '$v.x' } } }", "V");
    CHECK(first != 0, "planned");
    const char *const same[] = {
        "{ A: {" BASE ", more: 'int' }, V: { $from: 'A', $select: { x: '$a', y: '$v.x' } } }",
        "{ B: { z: 'int' }, V: { $select: { x: '$a', y: '$v.x' }, $from: 'A' }, A: {" BASE "} }",
        "{ A: {" BASE "}, V: { $from: 'A', $select: { x: '$a', y: '$v.x' }, $description: 'd',"
        " $refresh: { mode: 'manual', gracePeriod: '1d', timezone: 'Europe/Berlin' } } }",
    };
    for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
        CHECK(version_of(same[k], "V") == first, "%s", same[k]);
    }
    const char *const other[] = {
        "{ A: {" BASE "}, V: { $from: 'A', $select: { y: '$v.x', x: '$a' } } }",
        "{ A: {" BASE "}, V: { $from: 'A', $select: { x: '$a', y: '$v.x' }, $filter: { a: 1 } } }",
        "{ A: { a: 'int', $paths: { 'v.x': 'string' }, v: 'variant' },"
        " V: { $from: 'A', $select: { x: '$a', y: '$v.x' } } }",
        "{ A: { a: 'double', $paths: { 'v.x': 'int' }, v: 'variant' },"
        " V: { $from: 'A', $select: { x: '$a', y: '$v.x' } } }",
        "{ B: {" BASE "}, V: { $from: 'B', $select: { x: '$a', y: '$v.x' } } }",
        "{ A: {" BASE "}, V: { $from: 'A', $select: { x: '$a', y: '$v.x' },"
        " $refresh: { strategy: 'append' } } }",
    };
    for (size_t k = 0; k < sizeof other / sizeof *other; k++) {
        const uint64_t version = version_of(other[k], "V");
        CHECK(version != first && version != 0, "%s", other[k]);
    }
}

static void a_refresh_version_includes_those_below(void) {
    const uint64_t first = version_of(
        "{ A: { a: 'int' }, W: { $from: 'A' }, V: { $from: 'W', $select: { a: '$a' } } }", "V");
    const uint64_t second = version_of(
        "{ A: { a: 'int' }, W: { $from: 'A', $filter: { a: 1 } },"
        " V: { $from: 'W', $select: { a: '$a' } } }", "V");
    CHECK(first != 0 && second != 0 && first != second, "the filter below counts");
}

static void a_refresh_version_includes_types_that_only_a_filter_sees(void) {
    const char *const texts[] = {
        "{ A: { a: 'int', v: 'variant', $paths: { 'v.x': 'int' } },"
        " V: { $from: 'A', $select: { a: '$a' }, $filter: { 'v.x': '1' } } }",
        "{ A: { a: 'int', v: 'variant', $paths: { 'v.x': 'string' } },"
        " V: { $from: 'A', $select: { a: '$a' }, $filter: { 'v.x': '1' } } }",
        "{ A: { a: 'int', v: 'variant', $paths: { 'v.x': 'string', 'w.x': 'int' }, w: 'variant' },"
        " V: { $from: 'A', $select: { a: '$a' }, $filter: { 'v.x': '1' } } }",
    };
    const uint64_t versions[] = {version_of(texts[0], "V"), version_of(texts[1], "V"),
                                 version_of(texts[2], "V")};
    CHECK(versions[0] != 0 && versions[0] != versions[1], "the type counts");
    CHECK(versions[1] == versions[2], "other paths do not");
}

static void a_zone_counts_where_there_are_buckets(void) {
    const char *const texts[] = {
        "{ A: { a: 'int' }, V: { $from: 'A', $groupBy: [{ day: '$createdAt' }] } }",
        "{ A: { a: 'int' }, V: { $from: 'A', $groupBy: [{ day: '$createdAt' }],"
        " $refresh: { timezone: 'Europe/Berlin' } } }",
        "{ A: { a: 'int' }, V: { $from: 'A', $groupBy: [{ day: '$createdAt' }],"
        " $refresh: { timezone: 'Europe/Paris' } } }",
    };
    const uint64_t versions[] = {version_of(texts[0], "V"), version_of(texts[1], "V"),
                                 version_of(texts[2], "V")};
    CHECK(versions[0] != versions[1] && versions[1] != versions[2], "zones differ");
}

static void a_view_tells_what_it_is(void) {
    struct planned planned;
    pqdb_error err = {0};
    const char *text =
        "{ V: { $from: 'W', $filter: { n: { $gt: +.5, $lt: 0x10 } }, // comment\n},"
        " A: { n: 'int' }, W: { $from: 'A', $refresh: { mode: 'scheduled', schedule: '@daily',"
        " timezone: 'Europe/Berlin', strategy: 'append', backend: 'delta' } },"
        " G: { $from: 'A', $refresh: { mode: 'manual', gracePeriod: '2h' } } }";
    CHECK(plan(&planned, pq_text_of(text), &pq_alloc_libc, &err) == PQDB_OK, "%s", err.message);
    CHECK(planned.views->count == 3, "%zu views", planned.views->count);
    const struct pq_view *w = &planned.views->views[0];
    const struct pq_view *v = &planned.views->views[1];
    const struct pq_view *g = pq_views_find(planned.views, PQ_TEXT("G"));
    CHECK(pq_text_is(w->name, "W") && pq_text_is(v->name, "V"), "W comes before V");
    CHECK(v->upstream == w && w->upstream == NULL, "V reads W");
    CHECK(v->entry_index == 0 && v->table == 100 && v->source == 102, "tables of V");
    CHECK(w->entry_index == 2 && w->table == 102 && w->source == 101, "tables of W");
    CHECK(w->mode == PQ_VIEW_SCHEDULED && v->mode == PQ_VIEW_STREAMING, "modes");
    CHECK(pq_text_is(w->schedule, "@daily") && w->cron.minutes == 1 && w->cron.hours == 1, "cron");
    CHECK(pq_text_is(w->zone, "Europe/Berlin"), "zone");
    CHECK(g->grace_us == INT64_C(7200000000) && v->grace_us == -1, "grace periods");
    CHECK(w->append && !v->append, "strategies");
    CHECK(w->backend == PQ_BACKEND_DELTA && v->backend == PQ_BACKEND_DELTA, "backends");
    CHECK(pq_text_is(v->definition, "{\"$from\":\"W\",\"$filter\":{\"n\":{\"$gt\":0.5,"
                                    "\"$lt\":16}}}"),
          "%s", v->definition.data);
    CHECK(v->not_incremental.length == 0, "incremental");
    for (uint32_t k = 0; k < v->type->field_count; k++) {
        CHECK(v->type->fields[k].id == (int32_t)k + 1, "ids count from 1");
    }
    CHECK(pq_views_find(planned.views, PQ_TEXT("X")) == NULL, "no X");
    planned_deinit(&planned);
}

static void a_backend_is_always_resolved(void) {
    struct planned planned;
    pqdb_error err = {0};
    const char *text = "{ A: { a: 'int' }, V: { $from: 'A' }, W: { $from: 'V' } }";
    CHECK(plan(&planned, pq_text_of(text), &pq_alloc_libc, &err) == PQDB_OK, "%s", err.message);
    for (size_t k = 0; k < planned.views->count; k++) {
        CHECK(planned.views->views[k].backend == PQ_BACKEND_NATIVE, "view %zu", k);
    }
    planned_deinit(&planned);
}

static void scopes_say_what_queries_may_name(void) {
    struct planned planned;
    pqdb_error err = {0};
    const char *text = "{ C: {}, A: { c: '-> C', v: 'variant', $paths: { 'v.x': 'int' } },"
                       " V: { $from: 'A' }, S: { $from: 'A', $select: { d: '$c', w: '$v' } } }";
    CHECK(plan(&planned, pq_text_of(text), &pq_alloc_libc, &err) == PQDB_OK, "%s", err.message);
    struct pq_scope scope;
    CHECK(pq_entry_scope(pq_schema_find(planned.schema, PQ_TEXT("A")), &planned.arena, &scope,
                         &err) == PQDB_OK,
          "%s", err.message);
    CHECK(!scope.closed && scope.extra_column == 8 && scope.path_count == 1, "A is open");
    CHECK(scope.relations[6] != NULL && scope.relations[7] == NULL, "c is a link");
    const struct pq_scope *copy = &pq_views_find(planned.views, PQ_TEXT("V"))->scope;
    CHECK(!copy->closed && copy->extra_column == 8 && copy->path_count == 1, "V is open");
    const struct pq_scope *selected = &pq_views_find(planned.views, PQ_TEXT("S"))->scope;
    CHECK(selected->closed && selected->extra_column == -1, "S is closed");
    CHECK(selected->relations[2] != NULL && selected->problems == NULL, "d is a link");
    struct pq_path_meaning meaning;
    CHECK(pq_path_resolve(selected, PQ_TEXT("w.x"), &meaning, &err) == PQDB_OK &&
              meaning.type.kind == PQ_INT64,
          "w.x has the type declared for v.x");
    planned_deinit(&planned);
}

static const char *const sweep_text =
    "{ A: { a: 'int', l: [{ x: 'decimal(8,2)', s: 'int[]' }], v: 'variant', c: '-> A',"
    "       $paths: { 'v.y': 'string', 'v.l.z': 'int' } },\n"
    "  U: { $from: 'A', $unnest: { path: 'v.l', as: 'e', index: 'n', keepEmpty: true },"
    "       $filter: { a: 1, 'e.z': { $gt: 0 }, c: 'A/x' } },\n"
    "  S: { $from: 'U', $select: { y: '$v.y', z: '$e.z', s: { $concat: ['$v.y', '!'] } } },\n"
    "  P: { $from: 'A', $compute: { t: { $sum: { $multiply: ['$l.x', '$a'] } },"
    "       n: { $count: 'l' } }, $select: { t: '$t', n: '$n' } },\n"
    "  G: { $from: 'A', $unnest: 'l', $groupBy: ['v.y', { d: { day: '$createdAt',"
    "       timezone: 'Europe/Berlin' } }], $compute: { n: { $count: '*' }, m: { $max: 'l.x' } },"
    "       $having: { n: { $gt: 1 } }, $refresh: { mode: 'scheduled', schedule: '@daily' } },\n"
    "  X: { $from: 'A', $expand: ['c', 'c.c'], $flatten: { c: 'd' },"
    "       $filter: { a: 1, 'c.a': 2 } },\n"
    "  L: { $from: 'B', $expand: ['as.c'], $unnest: 'l', $groupBy: ['l.b.v.y'], $compute:"
    "       { n: { $count: 'as_c_a' } } }, B: { as: '<- C.b[]', l: [{ b: '-> A' }] },"
    "  C: { b: '-> B', c: '-> A' }, Y: { $from: 'Z' }, Z: { $from: 'Y' },\n"
    "  W: { $from: 'G', $filter: { nn: 1, n: { $bad: 2 } } } }";

static void planning_survives_every_failing_allocation(void) {
    struct failing_alloc failing = {.alloc = {failing_resize, NULL}, .left = 0};
    failing.alloc.ctx = &failing;
    pqdb_code code = PQDB_NO_MEMORY;
    long n = 0;
    for (; code == PQDB_NO_MEMORY && n < 20000; n++) {
        struct planned planned;
        pqdb_error err = {0};
        failing.left = n;
        code = plan(&planned, pq_text_of(sweep_text), &failing.alloc, &err);
        CHECK(code == PQDB_OK || code == PQDB_NO_MEMORY, "%ld: code %d, %s", n, code, err.message);
        planned_deinit(&planned);
        CHECK(failing.live_bytes == 0, "%ld: %ld bytes left", n, failing.live_bytes);
    }
    CHECK(code == PQDB_OK, "it went through after %ld allocations", n);
}

int main(void) {
    RUN(a_refresh_version_follows_what_decides_the_rows);
    RUN(a_refresh_version_includes_those_below);
    RUN(a_refresh_version_includes_types_that_only_a_filter_sees);
    RUN(a_zone_counts_where_there_are_buckets);
    RUN(a_view_tells_what_it_is);
    RUN(a_backend_is_always_resolved);
    RUN(scopes_say_what_queries_may_name);
    RUN(planning_survives_every_failing_allocation);
    RUN(plans_match_the_table);
    RUN(links_match_the_table);
    RUN(the_seeds_examples_are_planned);
    RUN(mistakes_match_the_table);
    return test_done();
}
