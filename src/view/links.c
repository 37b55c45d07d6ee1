#include "view/links.h"

#include "view/expand_tree.h"

pqdb_code pq_entry_stage(const struct pq_schema *schema, const uint32_t *table_ids,
                         const struct pq_entry *entry, struct pq_arena *arena,
                         const struct pq_stage **stage, pqdb_error *err) {
    struct pq_stage *made = pq_arena_alloc(arena, sizeof *made);
    if (made == NULL) return pq_plan_no_memory(err);
    PQ_TRY(pq_stage_of_entry(entry, arena, made, err));
    made->schema = schema;
    made->table_ids = table_ids;
    *stage = made;
    return PQDB_OK;
}

struct growing {
    struct pq_expand_tree tree;
    pqdb_code code;
    pqdb_error *err;
};

static void add_path(struct growing *growing, struct pq_text path) {
    struct pq_expand_end end;
    if (growing->code != PQDB_OK) return;
    growing->code = pq_expand_tree_add(&growing->tree, path, false, &end, growing->err);
}

static void visit(void *ctx, const struct pq_mention *mention) { add_path(ctx, mention->path); }

pqdb_code pq_query_links_plan(const struct pq_stage *stage, const struct pq_query_paths *paths,
                              struct pq_arena *arena, struct pq_query_links *links,
                              pqdb_error *err) {
    struct growing growing = {.err = err};
    struct pq_stage expanded;
    const struct pq_mention_visitor visitor = {visit, &growing};
    links->any = false;
    pq_expand_tree_init(&growing.tree, stage, arena);
    for (size_t k = 0; k < paths->filter_count; k++) {
        if (paths->filters[k] == NULL) continue;
        pq_mentions_of_filter(paths->filters[k], &visitor);
        pq_mentions_in_elements(paths->filters[k], &visitor);
    }
    for (size_t k = 0; k < paths->path_count; k++) add_path(&growing, paths->paths[k]);
    PQ_TRY(growing.code);
    if (growing.tree.source.links == NULL) return PQDB_OK;
    if (growing.tree.external != NULL) {
        return pq_fail(err, PQDB_UNSUPPORTED,
                       "%s is an external table: its rows cannot be reached through a link",
                       growing.tree.external->name.data);
    }
    PQ_TRY(pq_expand_tree_spec(&growing.tree, NULL, 0, &links->spec, &expanded, err));
    links->scope = expanded.scope;
    links->scope.problems = NULL;
    links->scope.position = NULL;
    links->any = true;
    return PQDB_OK;
}
