/// Any schema text: it is read and its views are planned, or what is wrong is said with a place.
/// Every planned view has a node, and planning it again gives the same versions.
#include "base/check.h"
#include "view/view.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { bytes_max = 1 << 16 };

struct planned {
    struct pq_arena arena;
    struct pq_problems problems;
    struct pq_schema *schema;
    struct pq_views *views;
};

static pqdb_code plan(struct planned *planned, struct pq_text text, pqdb_error *err) {
    static uint32_t ids[PQ_SCHEMA_ENTRIES_MAX];
    for (uint32_t k = 0; k < PQ_SCHEMA_ENTRIES_MAX; k++) ids[k] = k;
    *planned = (struct planned){.schema = NULL};
    pq_arena_init(&planned->arena, &pq_alloc_libc);
    pq_problems_init(&planned->problems, &planned->arena);
    const pqdb_code code = pq_schema_parse(text, &pq_alloc_libc, &planned->schema,
                                           &planned->problems, err);
    if (code != PQDB_OK) return code;
    return pq_views_plan(planned->schema, ids, &pq_alloc_libc, &planned->views,
                         &planned->problems, err);
}

static void planned_deinit(struct planned *planned) {
    pq_views_destroy(planned->views);
    pq_schema_unref(planned->schema);
    pq_arena_deinit(&planned->arena);
}

static void check_problems(const struct planned *planned) {
    for (size_t k = 0; k < planned->problems.count; k++) {
        const struct pq_problem *item = &planned->problems.items[k];
        pq_assert(item->code != NULL && item->code[0] != '\0' && item->message.length > 0);
        pq_assert(item->line > 0 && item->column > 0);
    }
}

static void check_view(const struct pq_views *views, const struct pq_view *view) {
    struct pq_node *node;
    pqdb_error err;
    pq_assert(view->type->field_count >= 2 && view->explain_count > 0);
    pq_assert(view->definition.length > 0 && view->refresh_version != 0);
    pq_assert(view->upstream == NULL ||
              (view->upstream >= views->views && view->upstream < view));
    pq_assert(pq_node_create(&view->spec, &pq_alloc_libc, &node, &err) == PQDB_OK);
    pq_node_destroy(node);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct pq_text text = {(const char *)data, size};
    struct planned first, second;
    pqdb_error err = {0};
    if (size > bytes_max) return 0;
    const pqdb_code code = plan(&first, text, &err);
    pq_assert(code == PQDB_OK || err.message[0] != '\0');
    if (code == PQDB_OK) {
        check_problems(&first);
        pq_assert(plan(&second, text, &err) == PQDB_OK);
        pq_assert(first.views->count == second.views->count);
        for (size_t k = 0; k < first.views->count; k++) {
            check_view(first.views, &first.views->views[k]);
            pq_assert(first.views->views[k].refresh_version ==
                      second.views->views[k].refresh_version);
        }
        planned_deinit(&second);
    }
    planned_deinit(&first);
    return 0;
}
