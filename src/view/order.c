/// Which view comes after which. A view has one source, so views form chains and trees; a chain
/// that bites its own tail is a cycle.
#include "view/plan_internal.h"

enum mark { UNSEEN, ON_THE_WAY, ORDERED, LEFT_OUT };

static uint32_t index_of(const struct pq_planner *planner, const struct pq_entry *entry) {
    return (uint32_t)(entry - planner->schema->entries);
}

/// The entry that `$from` names; NULL (reported) when there is none.
static const struct pq_entry *source_of(struct pq_planner *planner,
                                        struct pq_definition *definition) {
    const struct pq_entry *entry = pq_schema_find(planner->schema, definition->source);
    if (entry != NULL || definition->source.length == 0) return entry;
    const char *nearest = pq_schema_nearest(planner->schema, definition->source);
    struct pq_view_remedy remedy;
    if (nearest == definition->entry->name.data) nearest = NULL;
    if (nearest != NULL) pq_view_nearest(definition->source, &nearest, 1, &remedy);
    const struct pq_place place =
        pq_definition_place(definition, "UNKNOWN_SOURCE", "$from", definition->from);
    pq_definition_mistake(definition, &place,
                          nearest == NULL ? "declare it in the schema" : remedy.text,
                          "there is no %.*s", PQ_TEXT_ARG(definition->source));
    return NULL;
}

/// "A -> B -> A", with the entry where the cycle was entered first.
static pqdb_code report_cycle(struct pq_planner *planner, uint32_t first, pqdb_error *err) {
    struct pq_definition *definition = &planner->definitions[first];
    struct pq_bytes path;
    pq_bytes_init(&path, &planner->arena->alloc);
    uint32_t at = first;
    size_t length = 0;
    do {
        const struct pq_definition *here = &planner->definitions[at];
        PQ_TRY(pq_bytes_append_text(&path, here->entry->name, err));
        PQ_TRY(pq_bytes_append_text(&path, PQ_TEXT(" -> "), err));
        at = index_of(planner, pq_schema_find(planner->schema, here->source));
        length++;
    } while (at != first);
    PQ_TRY(pq_bytes_append_text(&path, definition->entry->name, err));
    const struct pq_place place =
        pq_definition_place(definition, "CIRCULAR_DEPENDENCY", "$from", definition->from);
    pq_definition_mistake(definition, &place, "let one of them read a collection", "%s: %.*s",
                          length == 1 ? "a view cannot read itself" : "these views read each other",
                          PQ_TEXT_ARG(pq_bytes_text(&path)));
    return PQDB_OK;
}

/// Follow `$from` until something is known, then order the chain from its bottom up.
static pqdb_code order_chain(struct pq_planner *planner, uint32_t start, uint8_t *marks,
                             uint32_t *chain, struct pq_order *order, pqdb_error *err) {
    size_t length = 0;
    uint32_t at = start;
    bool is_good = true;
    for (;;) {
        struct pq_definition *definition = &planner->definitions[at];
        chain[length++] = at;
        marks[at] = ON_THE_WAY;
        const struct pq_entry *source = source_of(planner, definition);
        is_good = source != NULL;
        if (source == NULL || source->kind != PQ_ENTRY_VIEW) break;
        at = index_of(planner, source);
        if (marks[at] == ON_THE_WAY) {
            PQ_TRY(report_cycle(planner, at, err));
            is_good = false;
        } else if (marks[at] != UNSEEN) {
            is_good = marks[at] == ORDERED;
        } else {
            continue;
        }
        break;
    }
    while (length > 0) {
        const uint32_t top = chain[--length];
        marks[top] = is_good ? ORDERED : LEFT_OUT;
        if (is_good) order->entries[order->count++] = top;
    }
    return PQDB_OK;
}

pqdb_code pq_plan_order(struct pq_planner *planner, struct pq_order *order, pqdb_error *err) {
    const size_t count = planner->schema->entry_count;
    uint8_t *marks = pq_arena_calloc(planner->arena, count, sizeof *marks);
    uint32_t *chain = pq_arena_calloc(planner->arena, count, sizeof *chain);
    order->entries = pq_arena_calloc(planner->arena, count, sizeof *order->entries);
    order->count = 0;
    if (marks == NULL || chain == NULL || order->entries == NULL) return pq_plan_no_memory(err);
    for (uint32_t k = 0; k < count; k++) {
        if (planner->schema->entries[k].kind != PQ_ENTRY_VIEW || marks[k] != UNSEEN) continue;
        PQ_TRY(order_chain(planner, k, marks, chain, order, err));
    }
    return PQDB_OK;
}
