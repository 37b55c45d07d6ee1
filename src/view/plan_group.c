/// `$groupBy` keys, and the grouped view: keys, aggregates, `$having`.
#include <stdio.h>

#include "base/zone.h"
#include "type/timestamp.h"
#include "view/plan_internal.h"

struct key {
    struct pq_text name;
    struct pq_place place;
    struct pq_argument argument;
    bool is_good;
};

// ---- keys ------------------------------------------------------------------------------------

/// `customer.tier` makes a column customer_tier.
static pqdb_code name_of_path(struct pq_arena *arena, struct pq_text path, struct pq_text *name,
                              pqdb_error *err) {
    *name = pq_arena_copy(arena, path);
    if (name->data == NULL) return pq_plan_no_memory(err);
    char *data = (char *)(uintptr_t)name->data;
    for (size_t i = 0; i < name->length; i++) {
        if (data[i] == '.') data[i] = '_';
    }
    return PQDB_OK;
}

static pqdb_code read_path_key(struct pq_view_plan *plan, const struct pq_place *place,
                               struct key *key, pqdb_error *err) {
    struct pq_definition *definition = plan->definition;
    const struct pq_text path = pq_json_text(place->json);
    if (path.length == 0 || path.data[0] == '$') {
        pq_definition_mistake(definition, place,
                              path.length == 0 ? "write $groupBy: ['status']"
                                               : "write the path without $, or { name: '$path' }",
                              "'%.*s' is no path to group by", PQ_TEXT_ARG(path));
        return PQDB_OK;
    }
    PQ_TRY(name_of_path(plan->arena, path, &key->name, err));
    key->argument = (struct pq_argument){.place = *place, .is_path = true, .path = path};
    key->is_good = pq_definition_check_name(definition, place, key->name);
    return PQDB_OK;
}

/// `{ day: '$shippedAt', timezone: 'Europe/Berlin' }` below a name.
static void read_zoned(struct pq_definition *definition, const struct pq_json *value,
                       struct key *key) {
    const struct pq_json *name = pq_json_first(value);
    for (size_t k = pq_json_count(value); k > 0; k--) {
        const struct pq_json *given = pq_json_next(name);
        struct pq_place at =
            pq_place_key(definition, &key->place, pq_json_text(name), given);
        if (pq_bucket_find(pq_json_text(name), &key->argument.bucket)) {
            if (key->argument.is_bucket) {
                pq_definition_mistake(definition, &at, "keep one", "two granularities");
                key->is_good = false;
            }
            key->argument.is_bucket = true;
            key->argument.place = at;
        } else if (pq_text_is(pq_json_text(name), "timezone")) {
            pqdb_error why = {0};
            at.code = "INVALID_TIMEZONE";
            const struct pq_text zone = pq_json_text_or_empty(given);
            const pqdb_code code = pq_zone_find(zone, &key->argument.zone, &why);
            if (code == PQDB_NO_MEMORY) definition->no_memory = true;
            if (code != PQDB_OK && code != PQDB_NO_MEMORY) {
                pq_definition_mistake(definition, &at, NULL, "%s", why.message);
                key->is_good = false;
            }
        } else {
            pq_definition_mistake(definition, &at, "a bucket has a granularity and a timezone",
                                  "a date bucket has no %.*s", PQ_TEXT_ARG(pq_json_text(name)));
            key->is_good = false;
        }
        name = pq_json_next(given);
    }
}

/// Does an object name a granularity, or a time zone, rather than an operator?
static bool is_bucket_object(const struct pq_json *value) {
    if (pq_json_kind(value) != PQ_JSON_OBJECT) return false;
    enum pq_bucket bucket;
    const struct pq_json *key = pq_json_first(value);
    for (size_t k = pq_json_count(value); k > 0; k--) {
        if (pq_bucket_find(pq_json_text(key), &bucket) ||
            pq_text_is(pq_json_text(key), "timezone")) {
            return true;
        }
        key = pq_json_next(pq_json_next(key));
    }
    return false;
}

static void read_named_key(struct pq_view_plan *plan, const struct pq_place *place,
                           struct key *key) {
    struct pq_definition *definition = plan->definition;
    const struct pq_json *name = pq_json_first(place->json);
    const struct pq_json *value = pq_json_next(name);
    key->name = pq_json_text(name);
    key->place = pq_place_key(definition, place, key->name, value);
    const struct pq_place named = {place->code, name, key->place.path};
    key->is_good = pq_definition_check_name(definition, &named, key->name);
    key->argument = (struct pq_argument){
        .place = key->place, .zone = definition->zone_rules, .path = PQ_TEXT("")};
    key->argument.is_bucket = pq_bucket_find(key->name, &key->argument.bucket);
    if (is_bucket_object(value)) {
        key->argument.is_bucket = false;
        read_zoned(definition, value, key);
        if (!key->argument.is_bucket && key->is_good) {
            pq_definition_mistake(definition, &key->place, "add one: { day: '$createdAt' }",
                                  "a date bucket needs a granularity");
            key->is_good = false;
        }
    }
    const struct pq_json *source = key->argument.place.json;
    const struct pq_text text = pq_json_text_or_empty(source);
    if (!key->is_good || pq_json_kind(source) != PQ_JSON_TEXT) return;
    if (text.length >= 2 && text.data[0] == '$') return;
    struct pq_view_remedy remedy;
    snprintf(remedy.text, sizeof remedy.text, "write '$%.*s'", PQ_TEXT_ARG(text));
    pq_definition_mistake(definition, &key->argument.place,
                          text.length == 0 ? "write '$path'" : remedy.text,
                          "the text '%.*s' would be one group", PQ_TEXT_ARG(text));
    key->is_good = false;
}

/// A list that is entered without a position has no value to group by.
static void check_through_list(struct pq_view_plan *plan, struct key *key) {
    struct pq_path_meaning meaning;
    struct pq_text path = key->argument.path;
    if (!key->argument.is_path) {
        path = pq_json_text_or_empty(key->argument.place.json);
        if (path.length < 2 || path.data[0] != '$') return;
        path.data++;
        path.length--;
    }
    if (pq_path_resolve(&plan->stage->scope, path, &meaning, NULL) != PQDB_OK) return;
    if (!meaning.through_list) return;
    pq_definition_mistake(plan->definition, &key->argument.place, "add $unnest",
                          "%.*s lies in a list: a row has many of them", PQ_TEXT_ARG(path));
    key->is_good = false;
}

static pqdb_code read_key(struct pq_view_plan *plan, const struct pq_place *place,
                          struct key *key, pqdb_error *err) {
    *key = (struct key){.place = *place, .name = PQ_TEXT("")};
    if (pq_json_kind(place->json) == PQ_JSON_TEXT) {
        PQ_TRY(read_path_key(plan, place, key, err));
    } else if (pq_json_kind(place->json) == PQ_JSON_OBJECT && pq_json_count(place->json) == 1) {
        read_named_key(plan, place, key);
    } else if (is_bucket_object(place->json)) {
        pq_definition_mistake(plan->definition, place,
                              "write { day: { day: '$createdAt', timezone: 'Europe/Berlin' } }",
                              "a bucket with a zone needs a name");
    } else {
        pq_definition_mistake(plan->definition, place, "write 'path' or { name: '$path' }",
                              "a key is a path or one name with its value");
    }
    if (key->is_good) check_through_list(plan, key);
    return PQDB_OK;
}

static pqdb_code plan_keys(struct pq_view_plan *plan, struct pq_columns *columns,
                           struct pq_group_spec *spec, pqdb_error *err) {
    struct pq_definition *definition = plan->definition;
    if (definition->group_by == NULL) return PQDB_OK;
    const struct pq_place place =
        pq_definition_place(definition, "INVALID_GROUP_BY", "$groupBy", definition->group_by);
    const size_t count = pq_json_count(definition->group_by);
    struct pq_operand *operands = pq_arena_calloc(plan->arena, count, sizeof *operands);
    if (operands == NULL) return pq_plan_no_memory(err);
    const struct pq_json *item = pq_json_first(definition->group_by);
    for (size_t k = 0; k < count; k++) {
        const struct pq_place at = pq_place_index(definition, &place, k, item);
        struct key key;
        struct pq_column_plan column;
        item = pq_json_next(item);
        PQ_TRY(read_key(plan, &at, &key, err));
        if (!key.is_good) continue;
        PQ_TRY(pq_plan_value(plan, plan->stage, &key.argument, &column, err));
        pq_columns_check_new(columns, definition, &key.place, key.name);
        operands[k] = column.operand;
        column.required = false;
        pq_columns_add(columns, key.name, &column);
    }
    spec->keys = operands;
    spec->key_count = count;
    return PQDB_OK;
}

// ---- the grouped view ------------------------------------------------------------------------

static void add_aggregates(struct pq_view_plan *plan, const struct pq_aggregate_plans *aggregates,
                           struct pq_columns *columns) {
    for (size_t k = 0; k < aggregates->count; k++) {
        const struct pq_aggregate_plan *aggregate = &aggregates->all[k];
        const struct pq_column_plan column = {.type = aggregate->type, .path = PQ_TEXT("")};
        pq_columns_check_new(columns, plan->definition, &aggregate->place, aggregate->alias);
        pq_columns_add(columns, aggregate->alias, &column);
    }
}

static pqdb_code plan_having(struct pq_view_plan *plan, struct pq_group_spec *spec,
                             pqdb_error *err) {
    struct pq_definition *definition = plan->definition;
    if (definition->having == NULL) return PQDB_OK;
    const struct pq_place place =
        pq_definition_place(definition, "INVALID_HAVING", "$having", definition->having);
    return pq_plan_filter(plan, plan->stage, &place, &spec->having, err);
}

pqdb_code pq_plan_group(struct pq_view_plan *plan, struct pq_aggregate_plans *aggregates,
                        pqdb_error *err) {
    struct pq_definition *definition = plan->definition;
    struct pq_group_spec *spec = pq_arena_calloc(plan->arena, 1, sizeof *spec);
    const size_t keys = definition->group_by == NULL ? 0 : pq_json_count(definition->group_by);
    const size_t mistakes = definition->mistakes;
    struct pq_columns columns;
    if (spec == NULL) return pq_plan_no_memory(err);
    PQ_TRY(pq_plan_project(plan, err));
    PQ_TRY(pq_columns_init(&columns, 2 + keys + aggregates->count, plan->arena, err));
    pq_columns_add(&columns, PQ_TEXT("$id"),
                   &(struct pq_column_plan){
                       .type = pq_type_text, .required = true, .path = PQ_TEXT("")});
    pq_columns_add(&columns, PQ_TEXT("$seq"),
                   &(struct pq_column_plan){
                       .type = pq_type_int64, .required = true, .path = PQ_TEXT("")});
    PQ_TRY(plan_keys(plan, &columns, spec, err));
    PQ_TRY(pq_plan_compute_spec(plan, plan->stage, aggregates, PQ_TEXT(""), &spec->compute, err));
    add_aggregates(plan, aggregates, &columns);
    if (definition->mistakes != mistakes) return PQDB_OK;
    spec->input = plan->stage->scope.type;
    spec->index = plan->stage->index;
    spec->order_by_id = plan->stage->by_id;
    PQ_TRY(pq_plan_finish(plan, &columns, PQ_NO_COLUMN, err));
    spec->output = plan->view->type;
    plan->view->spec.group = spec;
    return plan_having(plan, spec, err);
}
