/// All paths that a definition names, wherever they stand.
#include "view/plan_internal.h"

static void visit_bare(const struct pq_mention_visitor *visitor, const struct pq_json *value) {
    const struct pq_text text = pq_json_text_or_empty(value);
    if (text.length == 0 || text.data[0] == '$' || pq_text_is(text, "*")) return;
    visitor->visit(visitor->ctx, &(struct pq_mention){text, value, false});
}

void pq_each_bare_key(const struct pq_definition *definition,
                      const struct pq_mention_visitor *visitor) {
    if (definition->group_by == NULL) return;
    const struct pq_json *item = pq_json_first(definition->group_by);
    for (size_t k = pq_json_count(definition->group_by); k > 0; k--) {
        visit_bare(visitor, item);
        item = pq_json_next(item);
    }
}

void pq_each_bare_argument(const struct pq_definition *definition,
                           const struct pq_mention_visitor *visitor) {
    if (definition->compute == NULL) return;
    const struct pq_json *alias = pq_json_first(definition->compute);
    for (size_t k = pq_json_count(definition->compute); k > 0; k--) {
        const struct pq_json *aggregate = pq_json_next(alias);
        alias = pq_json_next(aggregate);
        if (pq_json_kind(aggregate) != PQ_JSON_OBJECT) continue;
        const struct pq_json *name = pq_json_first(aggregate);
        for (size_t n = pq_json_count(aggregate); n > 0; n--) {
            const struct pq_json *argument = pq_json_next(name);
            visit_bare(visitor, argument);
            if (pq_json_kind(argument) == PQ_JSON_LIST && pq_json_count(argument) > 0) {
                visit_bare(visitor, pq_json_first(argument));  // [path, k]
            }
            name = pq_json_next(argument);
        }
    }
}

void pq_each_mention(const struct pq_definition *definition,
                     const struct pq_mention_visitor *visitor) {
    if (definition->unnest != NULL) {
        visitor->visit(visitor->ctx, &(struct pq_mention){definition->unnest_path,
                                                          definition->unnest, true});
    }
    if (definition->filter != NULL) {
        pq_mentions_of_filter(definition->filter, visitor);
        pq_mentions_in_elements(definition->filter, visitor);
    }
    if (definition->select != NULL) pq_mentions_of_expr(definition->select, visitor);
    if (definition->group_by != NULL) pq_mentions_of_expr(definition->group_by, visitor);
    if (definition->compute != NULL) pq_mentions_of_expr(definition->compute, visitor);
    pq_each_bare_key(definition, visitor);
    pq_each_bare_argument(definition, visitor);
}
