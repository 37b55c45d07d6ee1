/// Views from schema text: what is planned, what is refused and where.
#include <string.h>

#include "base/bytes.h"
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
static void the_seeds_examples_are_planned(void) { cases_run("view/seed.cases", check_plan); }
static void mistakes_match_the_table(void) { cases_run("view/errors.cases", check_errors); }

int main(void) {
    RUN(plans_match_the_table);
    RUN(the_seeds_examples_are_planned);
    RUN(mistakes_match_the_table);
    return test_done();
}
