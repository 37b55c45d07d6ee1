/// The links that a view follows, in words: for people, and for telling a changed definition.
#include "view/expand_tree.h"

static pqdb_code add_way(struct pq_bytes *out, struct pq_text way, struct pq_text name,
                         pqdb_error *err) {
    PQ_TRY(pq_bytes_append_text(out, way, err));
    if (way.length > 0) PQ_TRY(pq_bytes_append_byte(out, '.', err));
    return pq_bytes_append_text(out, name, err);
}

static pqdb_code add_link(const struct pq_expand_link *link, struct pq_text path,
                          struct pq_bytes *line, pqdb_error *err) {
    const struct pq_expand_node *rows = link->below;
    const bool is_back = link->kind == PQ_EXPAND_FROM;
    const char *many = link->field->field.type.kind == PQ_LIST ? "[]" : "";
    PQ_TRY(pq_bytes_printf(line, err, "%.*s %s %.*s", PQ_TEXT_ARG(path), is_back ? "<-" : "->",
                           PQ_TEXT_ARG(rows->entry->name)));
    if (is_back) {
        PQ_TRY(pq_bytes_printf(line, err, ".%.*s", PQ_TEXT_ARG(link->field->field.name)));
    }
    PQ_TRY(pq_bytes_printf(line, err, "%s (", is_back ? "[]" : many));
    bool is_first = true;
    for (uint32_t k = 0; k < rows->type->field_count; k++) {
        if (k == PQ_COLUMN_ID ? !link->shows_id : !rows->reads[k]) continue;
        PQ_TRY(pq_bytes_printf(line, err, "%s%.*s", is_first ? "" : ", ",
                               PQ_TEXT_ARG(rows->type->fields[k].name)));
        is_first = false;
    }
    return pq_bytes_printf(line, err, "): a change there finds the rows by %s %.*s",
                           is_back ? "its own" : "their",
                           PQ_TEXT_ARG(is_back ? link->field->field.name : link->name));
}

pqdb_code pq_plan_each_link(const struct pq_expand_link *links, struct pq_text way,
                            struct pq_arena *arena, const struct pq_line_sink *sink,
                            pqdb_error *err) {
    for (const struct pq_expand_link *link = links; link != NULL; link = link->next) {
        struct pq_bytes path, line;
        pq_bytes_init(&path, &arena->alloc);
        pq_bytes_init(&line, &arena->alloc);
        PQ_TRY(add_way(&path, way, link->name, err));
        if (link->kind != PQ_EXPAND_INSIDE) {
            PQ_TRY(add_link(link, pq_bytes_text(&path), &line, err));
            PQ_TRY(sink->put(sink->ctx, pq_bytes_text(&line), err));
        }
        PQ_TRY(pq_plan_each_link(link->below->links, pq_bytes_text(&path), arena, sink, err));
    }
    return PQDB_OK;
}
