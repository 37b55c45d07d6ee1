/// What a planned view is, for people (`view explain`), for metadata (its definition as JSON) and
/// for telling a changed one from the same one (its refresh version).
#include "base/hash.h"
#include "base/zone.h"
#include "view/plan_internal.h"

enum { plan_format = 1 };  // rises when the same definition comes to mean other rows or state

static const char *const backend_names[] = {"native", "native", "iceberg", "delta"};
static const char *const mode_names[] = {"streaming", "scheduled", "manual", "streaming, appends"};

// ---- for people ------------------------------------------------------------------------------

struct lines {
    struct pq_arena *arena;
    struct pq_text *all;
    size_t count, capacity;
    struct pq_bytes line;
    pqdb_error *err;
};

static pqdb_code end_line(struct lines *lines) {
    if (lines->count == lines->capacity) {
        const size_t capacity = lines->capacity == 0 ? 16 : lines->capacity * 2;
        struct pq_text *all = pq_arena_calloc(lines->arena, capacity, sizeof *all);
        if (all == NULL) return pq_plan_no_memory(lines->err);
        if (lines->count > 0) memcpy(all, lines->all, lines->count * sizeof *all);
        lines->all = all;
        lines->capacity = capacity;
    }
    lines->all[lines->count] = pq_arena_copy(lines->arena, pq_bytes_text(&lines->line));
    if (lines->all[lines->count].data == NULL) return pq_plan_no_memory(lines->err);
    lines->count++;
    lines->line.length = 0;
    return PQDB_OK;
}

/// A line of an operator and its JSON.
static pqdb_code add_json(struct lines *lines, const char *label, const struct pq_json *json,
                          const char *note) {
    PQ_TRY(pq_bytes_printf(&lines->line, lines->err, "%-8s ", label));
    PQ_TRY(pq_json_copy(&lines->line, json, NULL, lines->err));
    PQ_TRY(pq_bytes_printf(&lines->line, lines->err, "%s", note));
    return end_line(lines);
}

static pqdb_code add_part(struct lines *lines, const struct pq_view_plan *plan, size_t part,
                          const char *note) {
    if (plan->filters[part].length == 0) return PQDB_OK;
    PQ_TRY(pq_bytes_printf(&lines->line, lines->err, "filter   %.*s%s",
                           PQ_TEXT_ARG(plan->filters[part]), note));
    return end_line(lines);
}

static pqdb_code add_filter(struct lines *lines, const struct pq_view_plan *plan) {
    const struct pq_definition *definition = plan->definition;
    if (definition->filter == NULL) return PQDB_OK;
    const size_t first = plan->filters[0].length + plan->filters[1].length;
    if (first == 0) return add_json(lines, "filter", definition->filter, "");
    PQ_TRY(add_part(lines, plan, 1, " before $unnest"));
    return add_part(lines, plan, 2, "");
}

static pqdb_code put_link(void *ctx, struct pq_text line, pqdb_error *err) {
    struct lines *lines = ctx;
    PQ_TRY(pq_bytes_printf(&lines->line, err, "expand   %.*s", PQ_TEXT_ARG(line)));
    return end_line(lines);
}

static pqdb_code add_compute(struct lines *lines, const struct pq_view_plan *plan) {
    const struct pq_json *compute = plan->definition->compute;
    if (compute == NULL) return PQDB_OK;
    const struct pq_json *key = pq_json_first(compute);
    for (size_t k = pq_json_count(compute); k > 0; k--) {
        const struct pq_text name = pq_json_text(key);
        PQ_TRY(pq_bytes_printf(&lines->line, lines->err, "compute  %.*s = ", PQ_TEXT_ARG(name)));
        key = pq_json_next(key);
        PQ_TRY(pq_json_copy(&lines->line, key, NULL, lines->err));
        PQ_TRY(end_line(lines));
        key = pq_json_next(key);
    }
    return PQDB_OK;
}

static pqdb_code add_columns(struct lines *lines, const struct pq_view *view) {
    for (uint32_t k = 0; k < view->type->field_count; k++) {
        const struct pq_field *field = &view->type->fields[k];
        const struct pq_text type = pq_type_format(&field->type, lines->arena);
        if (type.data == NULL) return pq_plan_no_memory(lines->err);
        if (pq_text_is(field->name, "$seq") || pq_text_is(field->name, "$index")) continue;
        PQ_TRY(pq_bytes_printf(&lines->line, lines->err, "column   %.*s %.*s%s",
                               PQ_TEXT_ARG(field->name), PQ_TEXT_ARG(type),
                               field->required ? "!" : ""));
        PQ_TRY(end_line(lines));
    }
    return PQDB_OK;
}

static pqdb_code add_operators(struct lines *lines, const struct pq_view_plan *plan) {
    const struct pq_definition *definition = plan->definition;
    const struct pq_view *view = plan->view;
    PQ_TRY(pq_bytes_printf(&lines->line, lines->err, "from     %.*s (%s, %s)",
                           PQ_TEXT_ARG(definition->source), mode_names[view->mode],
                           backend_names[view->backend]));
    PQ_TRY(end_line(lines));
    PQ_TRY(add_part(lines, plan, 0, " before links are followed"));
    PQ_TRY(pq_plan_each_link(plan->links, PQ_TEXT(""), plan->arena,
                             &(struct pq_line_sink){put_link, lines}, lines->err));
    if (definition->unnest != NULL) {
        const bool keeps = definition->keep_empty;
        PQ_TRY(pq_bytes_printf(&lines->line, lines->err, "unnest   %.*s: a row per element%s",
                               PQ_TEXT_ARG(definition->unnest_path),
                               keeps ? ", and one where there is none" : ""));
        PQ_TRY(end_line(lines));
    }
    PQ_TRY(add_filter(lines, plan));
    if (definition->group_by != NULL) {
        PQ_TRY(add_json(lines, "group", definition->group_by, ": state per group"));
    } else if (view->grouped) {
        PQ_TRY(pq_bytes_printf(&lines->line, lines->err, "group    all rows: state of one row"));
        PQ_TRY(end_line(lines));
    }
    PQ_TRY(add_compute(lines, plan));
    if (definition->having != NULL) PQ_TRY(add_json(lines, "having", definition->having, ""));
    if (definition->select != NULL) PQ_TRY(add_json(lines, "select", definition->select, ""));
    return add_columns(lines, view);
}

static pqdb_code explain(struct pq_view_plan *plan, pqdb_error *err) {
    struct lines lines = {.arena = plan->arena, .err = err};
    pq_bytes_init(&lines.line, plan->planner->views->alloc);
    const pqdb_code code = add_operators(&lines, plan);
    pq_bytes_deinit(&lines.line);
    plan->view->explain = lines.all;
    plan->view->explain_count = lines.count;
    return code;
}

// ---- the resolved definition ------------------------------------------------------------------

static bool names_zone(const struct pq_json *value) {
    const enum pq_json_kind kind = pq_json_kind(value);
    if (kind != PQ_JSON_LIST && kind != PQ_JSON_OBJECT) return false;
    const struct pq_json *child = pq_json_first(value);
    for (size_t k = pq_json_count(value); k > 0; k--) {
        if (kind == PQ_JSON_OBJECT) {
            if (pq_text_is(pq_json_text(child), "timezone")) return true;
            child = pq_json_next(child);
        }
        if (names_zone(child)) return true;
        child = pq_json_next(child);
    }
    return false;
}

static pqdb_code add_field(struct pq_bytes *out, const struct pq_field *field,
                           struct pq_arena *arena, pqdb_error *err) {
    const struct pq_text type = pq_type_format(&field->type, arena);
    if (type.data == NULL) return pq_plan_no_memory(err);
    return pq_bytes_printf(out, err, "%.*s: %.*s%s\n", PQ_TEXT_ARG(field->name),
                           PQ_TEXT_ARG(type), field->required ? "!" : "");
}

static pqdb_code hash_link(void *ctx, struct pq_text line, pqdb_error *err) {
    return pq_bytes_printf(ctx, err, "link %.*s\n", PQ_TEXT_ARG(line));
}

/// The columns that are read, the links among them, and the types declared below them.
static pqdb_code add_source(struct pq_bytes *out, const struct pq_view_plan *plan,
                            pqdb_error *err) {
    const struct pq_scope *scope = &plan->source->scope;
    const struct pq_view *upstream = plan->view->upstream;
    bool *is_read = pq_arena_calloc(plan->arena, scope->type->field_count, sizeof *is_read);
    if (is_read == NULL) return pq_plan_no_memory(err);
    pq_plan_mark_read(plan, is_read);
    const unsigned long long below = upstream == NULL ? 0 : upstream->refresh_version;
    PQ_TRY(pq_bytes_printf(out, err, "from %.*s %d%d %016llx\n",
                           PQ_TEXT_ARG(plan->definition->source), scope->closed, scope->strict,
                           below));
    for (uint32_t k = 0; k < scope->type->field_count; k++) {
        if (!is_read[k]) continue;
        PQ_TRY(add_field(out, &scope->type->fields[k], plan->arena, err));
        if (scope->relations[k] == NULL) continue;
        PQ_TRY(pq_bytes_printf(out, err, "-> %.*s\n", PQ_TEXT_ARG(scope->relations[k]->target)));
    }
    PQ_TRY(pq_plan_each_link(plan->links, PQ_TEXT(""), plan->arena,
                             &(struct pq_line_sink){hash_link, out}, err));
    for (size_t k = 0; k < scope->path_count; k++) {
        const int column = pq_stage_begin(plan->source, scope->paths[k].path);
        if (column < 0 || !is_read[column]) continue;
        const struct pq_field field = {.name = scope->paths[k].path, .type = scope->paths[k].type};
        PQ_TRY(add_field(out, &field, plan->arena, err));
    }
    return PQDB_OK;
}

static pqdb_code add_resolved(struct pq_bytes *out, const struct pq_view_plan *plan,
                              pqdb_error *err) {
    const struct pq_definition *definition = plan->definition;
    const struct {
        const char *name;
        const struct pq_json *json;
    } directives[] = {
        {"expand", definition->expand},     {"flatten", definition->flatten},
        {"unnest", definition->unnest},     {"filter", definition->filter},
        {"group", definition->group_by},    {"compute", definition->compute},
        {"having", definition->having},     {"select", definition->select},
    };
    bool has_zone = definition->group_by != NULL && definition->zone_rules != NULL;
    PQ_TRY(pq_bytes_printf(out, err, "plan %d\n", plan_format));
    PQ_TRY(add_source(out, plan, err));
    for (size_t k = 0; k < sizeof directives / sizeof *directives; k++) {
        if (directives[k].json == NULL) continue;
        PQ_TRY(pq_bytes_printf(out, err, "%s ", directives[k].name));
        PQ_TRY(pq_json_copy(out, directives[k].json, NULL, err));
        PQ_TRY(pq_bytes_append_byte(out, '\n', err));
        has_zone = has_zone || names_zone(directives[k].json);
    }
    if (has_zone) {
        PQ_TRY(pq_bytes_printf(out, err, "zone %.*s %s\n", PQ_TEXT_ARG(definition->zone),
                               pq_zone_database_version()));
    }
    if (definition->append) PQ_TRY(pq_bytes_printf(out, err, "append\n"));
    if (definition->entry->retention_keeps) PQ_TRY(pq_bytes_printf(out, err, "keep\n"));
    for (uint32_t k = 0; k < plan->view->type->field_count; k++) {
        PQ_TRY(add_field(out, &plan->view->type->fields[k], plan->arena, err));
    }
    return PQDB_OK;
}

pqdb_code pq_plan_describe(struct pq_view_plan *plan, pqdb_error *err) {
    struct pq_view *view = plan->view;
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, plan->planner->views->alloc);
    pqdb_code code;
    PQ_GO(add_resolved(&bytes, plan, err));
    view->refresh_version = pq_hash(bytes.data, bytes.length);
    bytes.length = 0;
    PQ_GO(pq_json_copy(&bytes, view->entry->definition, NULL, err));
    view->definition = pq_arena_copy(plan->arena, pq_bytes_text(&bytes));
    view->not_incremental = PQ_TEXT("");
    if (view->definition.data == NULL) PQ_GO(pq_plan_no_memory(err));
    PQ_GO(explain(plan, err));
done:
    pq_bytes_deinit(&bytes);
    return code;
}
