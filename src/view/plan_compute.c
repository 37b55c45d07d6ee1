/// `$compute`: aggregates read from the definition, over groups or over the elements of a row.
#include "type/decimal.h"
#include "view/plan_internal.h"

enum { names_max = 64, top_limit_max = 1000 };

// ---- one aggregate ---------------------------------------------------------------------------

static size_t aggregate_names(const char *names[names_max]) {
    size_t count;
    const struct pq_aggregate *const *all = pq_aggregates(&count);
    if (count > names_max) count = names_max;
    for (size_t k = 0; k < count; k++) names[k] = all[k]->name;
    return count;
}

static void unknown_aggregate(struct pq_definition *definition, const struct pq_place *place,
                              struct pq_text name) {
    const char *names[names_max];
    struct pq_view_remedy remedy;
    const size_t count = aggregate_names(names);
    const char *nearest = pq_view_nearest(name, names, count, &remedy);
    if (nearest == NULL) {
        nearest = "compute with aggregates in a view on this one";
    }
    pq_definition_mistake(definition, place, nearest, "%.*s is no aggregate", PQ_TEXT_ARG(name));
}

static bool number_of(const struct pq_json *value, double *number) {
    struct pq_decimal decimal;
    switch (pq_json_kind(value)) {
        case PQ_JSON_INT: *number = (double)pq_json_int(value); return true;
        case PQ_JSON_REAL: *number = pq_json_real(value); return true;
        case PQ_JSON_NUMBER:
            if (!pq_decimal_parse_exact(pq_json_text(value), &decimal)) return false;
            *number = pq_decimal_to_real(decimal);
            return true;
        default: return false;
    }
}

/// `[path, p]` and `[path, k]`; false after a mistake. `*argument` is then the path.
static bool read_parameter(struct pq_definition *definition, struct pq_aggregate_plan *aggregate,
                           const struct pq_place *place, const struct pq_json **argument) {
    const bool is_rank = aggregate->kind->takes_rank;
    const struct pq_json *list = *argument;
    double number;
    if (pq_json_kind(list) == PQ_JSON_LIST && pq_json_count(list) == 2) {
        *argument = pq_json_first(list);
        const bool is_number = number_of(pq_json_next(*argument), &number);
        if (is_number && is_rank && number >= 0 && number <= 1) {
            aggregate->given.rank = number;
            return true;
        }
        if (is_number && !is_rank && number >= 1 && number <= top_limit_max &&
            number == (double)(uint32_t)number) {
            aggregate->given.limit = (uint32_t)number;
            return true;
        }
    }
    if (is_rank) {
        pq_definition_mistake(definition, place, "write $percentile: ['latency', 0.95]",
                              "$percentile takes a path and a rank from 0 to 1");
    } else {
        pq_definition_mistake(definition, place, "write $topK: ['url', 10]",
                              "$topK takes a path and a count from 1 to %d", top_limit_max);
    }
    return false;
}

/// A path without `$`, or an expression.
static bool read_argument(struct pq_definition *definition, const struct pq_place *place,
                          struct pq_argument *argument) {
    const struct pq_text text = pq_json_text_or_empty(place->json);
    *argument = (struct pq_argument){.place = *place};
    switch (pq_json_kind(place->json)) {
        case PQ_JSON_TEXT:
            argument->is_path = text.length > 0 && text.data[0] != '$';
            argument->path = text;
            if (text.length > 0 && !pq_text_is(text, "*")) return true;
            break;
        case PQ_JSON_NULL:
        case PQ_JSON_LIST: break;
        default: return true;  // literals too: { $sum: 1 } counts
    }
    pq_definition_mistake(definition, place, "write a path, like { $sum: 'total' }",
                          pq_text_is(text, "*") ? "only $count takes '*'"
                                                : "an aggregate takes a path or an expression");
    return false;
}

static bool read_by(struct pq_definition *definition, struct pq_aggregate_plan *aggregate,
                    const struct pq_json *value) {
    const struct pq_place place =
        pq_place_key(definition, &aggregate->place, PQ_TEXT("$by"), value);
    if (aggregate->kind == NULL) return false;
    if (!aggregate->kind->takes_by) {
        pq_definition_mistake(definition, &place, NULL, "%s takes no $by", aggregate->kind->name);
        return false;
    }
    aggregate->has_by = true;
    return read_argument(definition, &place, &aggregate->by);
}

/// The one key that is no `$by`; NULL after a mistake.
static const struct pq_json *find_operator(struct pq_definition *definition,
                                           const struct pq_aggregate_plan *aggregate,
                                           const struct pq_json **by) {
    const struct pq_json *value = aggregate->place.json;
    const struct pq_json *found = NULL;
    size_t count = 0;
    *by = NULL;
    if (pq_json_kind(value) == PQ_JSON_OBJECT) {
        const struct pq_json *key = pq_json_first(value);
        for (size_t k = pq_json_count(value); k > 0; k--) {
            if (pq_text_is(pq_json_text(key), "$by")) {
                *by = pq_json_next(key);
            } else {
                found = key;
                count++;
            }
            key = pq_json_next(pq_json_next(key));
        }
    }
    if (count == 1) return found;
    pq_definition_mistake(definition, &aggregate->place,
                          count > 1 ? "give each one a column of its own"
                                    : "write { $sum: 'total' }",
                          count > 1 ? "two aggregates in one expression"
                                    : "a computed column is an aggregate");
    return NULL;
}

static void read_aggregate(struct pq_definition *definition, struct pq_aggregate_plan *aggregate) {
    const struct pq_json *by;
    const struct pq_json *operator= find_operator(definition, aggregate, &by);
    if (operator== NULL) return;
    const struct pq_text name = pq_json_text(operator);
    const struct pq_json *value = pq_json_next(operator);
    const struct pq_aggregate *kind = pq_aggregate_find(name);
    if (kind == NULL) {
        const struct pq_place at = {aggregate->place.code, operator, aggregate->place.path};
        unknown_aggregate(definition, &at, name);
        return;
    }
    aggregate->kind = kind;
    const struct pq_place place = pq_place_key(definition, &aggregate->place, name, value);
    const bool takes_parameter = kind->takes_rank || kind->takes_limit;
    if (takes_parameter && !read_parameter(definition, aggregate, &place, &value)) {
        aggregate->kind = NULL;
        return;
    }
    const struct pq_place at = {place.code, value, place.path};
    aggregate->is_star = kind->takes_star && pq_text_is(pq_json_text_or_empty(value), "*");
    if (aggregate->is_star) aggregate->argument.place = at;
    bool is_good = aggregate->is_star || read_argument(definition, &at, &aggregate->argument);
    if (by != NULL) is_good = read_by(definition, aggregate, by) && is_good;
    if (!is_good) aggregate->kind = NULL;
}

// ---- through which list? ----------------------------------------------------------------------

struct list_use {
    const struct pq_scope *scope;
    struct pq_text list;   // empty: none so far
    bool several;          // different ones
    bool whole;            // it is also taken as one value
};

/// The first list on the way of a path that is entered without a position; empty when none is.
static struct pq_text list_of(const struct pq_scope *scope, struct pq_text path) {
    for (size_t end = 0; end <= path.length; end++) {
        if (end < path.length && path.data[end] != '.') continue;
        const struct pq_text prefix = {path.data, end};
        struct pq_path_meaning meaning;
        if (end == 0 || pq_path_resolve(scope, prefix, &meaning, NULL) != PQDB_OK) break;
        if (meaning.type.kind != PQ_LIST) continue;
        const bool has_position = end + 1 < path.length && path.data[end + 1] >= '0' &&
                                  path.data[end + 1] <= '9';
        if (!has_position) return prefix;
    }
    return PQ_TEXT("");
}

static void look_for_list(void *ctx, const struct pq_mention *mention) {
    struct list_use *use = ctx;
    const struct pq_text list = list_of(use->scope, mention->path);
    if (list.length == 0) return;
    if (mention->whole && list.length == mention->path.length) {
        use->whole = true;
    } else if (use->list.length == 0) {
        use->list = list;
    } else if (!pq_text_equal(use->list, list)) {
        use->several = true;
    }
}

static void look_in(const struct pq_argument *argument, struct list_use *use) {
    const struct pq_mention_visitor visitor = {look_for_list, use};
    if (argument->is_path) {
        look_for_list(use, &(struct pq_mention){argument->path, argument->place.json, false});
    } else {
        pq_mentions_of_expr(argument->place.json, &visitor);
    }
}

static void find_list(struct pq_view_plan *plan, struct pq_aggregate_plan *aggregate) {
    struct list_use use = {.scope = &plan->stage->scope, .list = PQ_TEXT("")};
    aggregate->list = PQ_TEXT("");
    if (aggregate->kind == NULL) return;
    if (!aggregate->is_star) look_in(&aggregate->argument, &use);
    if (aggregate->has_by) look_in(&aggregate->by, &use);
    aggregate->list = use.list;
    struct pq_definition *definition = plan->definition;
    if (use.several) {
        pq_definition_mistake(definition, &aggregate->place, "use one list in each aggregate",
                              "it goes through two lists");
    } else if (use.whole && use.list.length > 0) {
        pq_definition_mistake(definition, &aggregate->place, "use two columns",
                              "it takes %.*s both as a list and element by element",
                              PQ_TEXT_ARG(use.list));
    } else if (use.list.length > 0 && definition->group_by != NULL) {
        pq_definition_mistake(definition, &aggregate->place, "add $unnest",
                              "%.*s is a list, and a group has rows, not elements",
                              PQ_TEXT_ARG(use.list));
    }
}

pqdb_code pq_plan_aggregates(struct pq_view_plan *plan, struct pq_aggregate_plans *aggregates,
                             pqdb_error *err) {
    struct pq_definition *definition = plan->definition;
    const size_t mistakes = definition->mistakes;
    *aggregates = (struct pq_aggregate_plans){NULL, 0};
    if (definition->compute == NULL) return PQDB_OK;
    const struct pq_place place =
        pq_definition_place(definition, "INVALID_COMPUTE", "$compute", definition->compute);
    aggregates->count = pq_json_count(definition->compute);
    aggregates->all = pq_arena_calloc(plan->arena, aggregates->count, sizeof *aggregates->all);
    if (aggregates->all == NULL) return pq_plan_no_memory(err);
    size_t list_count = 0;
    const struct pq_json *key = pq_json_first(definition->compute);
    for (size_t k = 0; k < aggregates->count; k++) {
        struct pq_aggregate_plan *aggregate = &aggregates->all[k];
        const struct pq_json *value = pq_json_next(key);
        aggregate->alias = pq_json_text(key);
        aggregate->place = pq_place_key(definition, &place, aggregate->alias, value);
        read_aggregate(definition, aggregate);
        find_list(plan, aggregate);
        list_count += aggregate->list.length > 0;
        key = pq_json_next(value);
    }
    const bool is_mixed = list_count > 0 && list_count < aggregates->count;
    if (definition->mistakes != mistakes || !is_mixed) return PQDB_OK;
    pq_definition_mistake(definition, &place, "split them into two views",
                          "some aggregates go through a list, others do not");
    return PQDB_OK;
}

// ---- specs -----------------------------------------------------------------------------------

struct spec_builder {
    struct pq_view_plan *plan;
    const struct pq_stage *stage;
    struct pq_operand *arguments;
    struct pq_type *types;
    struct pq_text *texts;  // JSON of each expression: equal ones share one operand
    size_t count;
};

static pqdb_code text_of(struct pq_arena *arena, const struct pq_argument *argument,
                         struct pq_text *text, pqdb_error *err) {
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &arena->alloc);
    if (argument->is_path) {
        PQ_TRY(pq_bytes_append_byte(&bytes, '$', err));
        PQ_TRY(pq_bytes_append_text(&bytes, argument->path, err));
    } else if (pq_json_kind(argument->place.json) == PQ_JSON_TEXT) {
        PQ_TRY(pq_bytes_append_text(&bytes, pq_json_text(argument->place.json), err));
    } else {
        PQ_TRY(pq_json_copy(&bytes, argument->place.json, NULL, err));
    }
    *text = pq_bytes_text(&bytes);
    return PQDB_OK;
}

static pqdb_code add_argument(struct spec_builder *builder, const struct pq_argument *argument,
                              uint32_t *at, pqdb_error *err) {
    struct pq_text text;
    PQ_TRY(text_of(builder->plan->arena, argument, &text, err));
    for (uint32_t k = 0; k < builder->count; k++) {
        if (!pq_text_equal(builder->texts[k], text)) continue;
        *at = k;
        return PQDB_OK;
    }
    struct pq_column_plan column;
    PQ_TRY(pq_plan_value(builder->plan, builder->stage, argument, &column, err));
    *at = (uint32_t)builder->count++;
    builder->arguments[*at] = column.operand;
    builder->types[*at] = column.type.kind == PQ_NULL ? pq_type_variant : column.type;
    builder->texts[*at] = text;
    return PQDB_OK;
}

static pqdb_code add_aggregate(struct spec_builder *builder, struct pq_aggregate_plan *aggregate,
                               struct pq_aggregate_spec *spec, pqdb_error *err) {
    struct pq_definition *definition = builder->plan->definition;
    const size_t mistakes = definition->mistakes;
    *spec = (struct pq_aggregate_spec){aggregate->kind, PQ_NO_COLUMN, PQ_NO_COLUMN,
                                       aggregate->given};
    if (!aggregate->is_star) {
        PQ_TRY(add_argument(builder, &aggregate->argument, &spec->argument, err));
    }
    if (aggregate->has_by) PQ_TRY(add_argument(builder, &aggregate->by, &spec->by, err));
    if (definition->mistakes != mistakes) return PQDB_OK;
    const struct pq_type *argument =
        aggregate->is_star ? NULL : &builder->types[spec->argument];
    const pqdb_code code =
        aggregate->kind->type(argument, builder->plan->arena, &aggregate->type, NULL);
    return code == PQDB_OK ? PQDB_OK : pq_plan_no_memory(err);
}

pqdb_code pq_plan_compute_spec(struct pq_view_plan *plan, const struct pq_stage *stage,
                               struct pq_aggregate_plans *aggregates, struct pq_text list,
                               struct pq_compute_spec *spec, pqdb_error *err) {
    const size_t count = aggregates->count;
    struct spec_builder builder = {.plan = plan, .stage = stage};
    struct pq_aggregate_spec *specs = pq_arena_calloc(plan->arena, count, sizeof *specs);
    builder.arguments = pq_arena_calloc(plan->arena, 2 * count, sizeof *builder.arguments);
    builder.types = pq_arena_calloc(plan->arena, 2 * count, sizeof *builder.types);
    builder.texts = pq_arena_calloc(plan->arena, 2 * count, sizeof *builder.texts);
    if (specs == NULL || builder.arguments == NULL || builder.types == NULL ||
        builder.texts == NULL) {
        return pq_plan_no_memory(err);
    }
    *spec = (struct pq_compute_spec){builder.arguments, 0, specs, 0};
    for (size_t k = 0; k < count; k++) {
        struct pq_aggregate_plan *aggregate = &aggregates->all[k];
        if (aggregate->kind == NULL || !pq_text_equal(aggregate->list, list)) continue;
        PQ_TRY(add_aggregate(&builder, aggregate, &specs[spec->aggregate_count], err));
        spec->aggregate_count++;
    }
    spec->argument_count = builder.count;
    return PQDB_OK;
}
