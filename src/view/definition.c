/// The form of a definition: which directives there are, and what each one looks like.
#include "view/definition.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/fail.h"
#include "base/zone.h"
#include "type/timestamp.h"

enum { directive_depth_max = 72, columns_max = PQ_ENTRY_FIELDS_MAX, remedy_names_max = 256 };

// ---- reporting -----------------------------------------------------------------------------

void pq_definition_mistake(struct pq_definition *definition, const struct pq_place *place,
                           const char *remedy, const char *format, ...) {
    char message[512];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    const struct pq_entry *entry = definition->entry;
    struct pq_problem_at at = {place->path, entry->line, entry->column};
    if (place->json != NULL) at = pq_schema_at(definition->schema, place->json, place->path);
    pq_problem_add(definition->problems, place->code, at, remedy, "%s", message);
    definition->mistakes++;
}

static struct pq_text join(struct pq_definition *definition, struct pq_text base,
                           struct pq_text key) {
    char *joined = pq_arena_alloc(definition->arena, base.length + key.length + 2);
    if (joined == NULL) {
        definition->no_memory = true;
        return base;
    }
    memcpy(joined, base.data, base.length);
    joined[base.length] = '.';
    if (key.length > 0) memcpy(joined + base.length + 1, key.data, key.length);
    joined[base.length + key.length + 1] = '\0';
    return (struct pq_text){joined, base.length + key.length + 1};
}

struct pq_place pq_definition_place(struct pq_definition *definition, const char *code,
                                    const char *directive, const struct pq_json *json) {
    const struct pq_text path = join(definition, definition->entry->name, pq_text_of(directive));
    return (struct pq_place){code, json, path};
}

struct pq_place pq_place_key(struct pq_definition *definition, const struct pq_place *place,
                             struct pq_text key, const struct pq_json *json) {
    return (struct pq_place){place->code, json, join(definition, place->path, key)};
}

struct pq_place pq_place_index(struct pq_definition *definition, const struct pq_place *place,
                               size_t index, const struct pq_json *json) {
    char key[24];
    snprintf(key, sizeof key, "%zu", index);
    return pq_place_key(definition, place, pq_text_of(key), json);
}

const char *pq_view_nearest(struct pq_text given, const char *const *names, size_t count,
                            struct pq_view_remedy *room) {
    const char *nearest = pq_text_nearest(given, names, count);
    if (nearest == NULL) return NULL;
    snprintf(room->text, sizeof room->text, "did you mean %s", nearest);
    return room->text;
}

bool pq_definition_check_name(struct pq_definition *definition, const struct pq_place *place,
                              struct pq_text name) {
    if (pq_text_is(name, "_extra")) {
        pq_definition_mistake(definition, place, "choose another name",
                              "_extra is where undeclared fields are kept");
        return false;
    }
    if (pq_is_column_name(name)) return true;
    pq_definition_mistake(definition, place, "use letters, digits and _, a digit not first",
                          "'%.*s' is no name for a column", PQ_TEXT_ARG(name));
    return false;
}

struct pq_text pq_json_text_or_empty(const struct pq_json *value) {
    if (value == NULL || pq_json_kind(value) != PQ_JSON_TEXT) return PQ_TEXT("");
    return pq_json_text(value);
}

static bool is_object(const struct pq_json *value) {
    return pq_json_kind(value) == PQ_JSON_OBJECT;
}

/// Names separated by single dots.
static bool is_path(struct pq_text path) {
    if (path.length == 0) return false;
    bool begins = true;
    for (size_t i = 0; i < path.length; i++) {
        if (path.data[i] == '.' && begins) return false;
        begins = path.data[i] == '.';
    }
    return !begins;
}

// ---- the directives, one reader each ---------------------------------------------------------

typedef void read_directive(struct pq_definition *definition, const struct pq_json *value,
                            const struct pq_place *place);

static void read_from(struct pq_definition *definition, const struct pq_json *value,
                      const struct pq_place *place) {
    definition->from = value;
    definition->source = pq_json_text_or_empty(value);
    if (definition->source.length > 0) return;
    pq_definition_mistake(definition, place, "write the source's name: $from: 'Orders'",
                          "$from is the name of a collection or a view");
}

static void read_expand(struct pq_definition *definition, const struct pq_json *value,
                        const struct pq_place *place) {
    if (pq_json_kind(value) != PQ_JSON_LIST || pq_json_count(value) == 0) {
        pq_definition_mistake(definition, place, "write $expand: ['customer']",
                              "$expand is a list of paths");
        return;
    }
    definition->expand = value;
    size_t index = 0;
    const struct pq_json *item = pq_json_first(value);
    for (const size_t count = pq_json_count(value); index < count; index++) {
        if (!is_path(pq_json_text_or_empty(item))) {
            const struct pq_place at = pq_place_index(definition, place, index, item);
            pq_definition_mistake(definition, &at, NULL,
                                  "a path to expand is names with dots between them");
        }
        item = pq_json_next(item);
    }
}

static void read_flatten(struct pq_definition *definition, const struct pq_json *value,
                         const struct pq_place *place) {
    if (!is_object(value) || pq_json_count(value) == 0) {
        pq_definition_mistake(definition, place, "write $flatten: { customer: 'buyer' }",
                              "$flatten gives prefixes to expanded paths");
        return;
    }
    definition->flatten = value;
    const struct pq_json *key = pq_json_first(value);
    for (size_t k = pq_json_count(value); k > 0; k--) {
        const struct pq_json *prefix = pq_json_next(key);
        const struct pq_place at = pq_place_key(definition, place, pq_json_text(key), prefix);
        pq_definition_check_name(definition, &at, pq_json_text_or_empty(prefix));
        key = pq_json_next(prefix);
    }
}

static void read_unnest_option(struct pq_definition *definition, struct pq_text key,
                               const struct pq_json *value, const struct pq_place *place) {
    static const char *const names[] = {"path", "as", "index", "keepEmpty"};
    const struct pq_place at = pq_place_key(definition, place, key, value);
    if (pq_text_is(key, "path")) {
        definition->unnest_path = pq_json_text_or_empty(value);
    } else if (pq_text_is(key, "as")) {
        definition->unnest_as = pq_json_text_or_empty(value);
        pq_definition_check_name(definition, &at, definition->unnest_as);
    } else if (pq_text_is(key, "index")) {
        definition->unnest_index = pq_json_text_or_empty(value);
        pq_definition_check_name(definition, &at, definition->unnest_index);
    } else if (!pq_text_is(key, "keepEmpty")) {
        struct pq_view_remedy remedy;
        pq_definition_mistake(definition, &at, pq_view_nearest(key, names, 4, &remedy),
                              "$unnest has no option %.*s (only path, as, index, keepEmpty)",
                              PQ_TEXT_ARG(key));
    } else if (pq_json_kind(value) == PQ_JSON_BOOL) {
        definition->keep_empty = pq_json_bool(value);
    } else {
        pq_definition_mistake(definition, &at, NULL, "keepEmpty is true or false");
    }
}

static void read_unnest(struct pq_definition *definition, const struct pq_json *value,
                        const struct pq_place *place) {
    definition->unnest = value;
    definition->unnest_path = pq_json_text_or_empty(value);
    if (is_object(value)) {
        const struct pq_json *key = pq_json_first(value);
        for (size_t k = pq_json_count(value); k > 0; k--) {
            const struct pq_json *option = pq_json_next(key);
            read_unnest_option(definition, pq_json_text(key), option, place);
            key = pq_json_next(option);
        }
    }
    if (is_path(definition->unnest_path)) return;
    pq_definition_mistake(definition, place, "write $unnest: 'items' or { path: 'items' }",
                          "$unnest names the path of a list");
}

static void read_filter(struct pq_definition *definition, const struct pq_json *value,
                        const struct pq_place *place) {
    if (is_object(value)) {
        definition->filter = value;
        return;
    }
    pq_definition_mistake(definition, place, "write $filter: { status: 'open' }",
                          "$filter is an object of conditions");
}

static void read_having(struct pq_definition *definition, const struct pq_json *value,
                        const struct pq_place *place) {
    if (is_object(value)) {
        definition->having = value;
        return;
    }
    pq_definition_mistake(definition, place, "write $having: { orders: { $gt: 1 } }",
                          "$having is an object of conditions");
}

/// An object with a name for a column as each key. False when there are too many to go on.
static bool read_columns(struct pq_definition *definition, const struct pq_json *value,
                         const struct pq_place *place) {
    if (pq_json_count(value) > columns_max) {
        pq_definition_mistake(definition, place, "split the view", "more than %d columns",
                              columns_max);
        return false;
    }
    const struct pq_json *key = pq_json_first(value);
    for (size_t k = pq_json_count(value); k > 0; k--) {
        const struct pq_place at = pq_place_key(definition, place, pq_json_text(key), key);
        pq_definition_check_name(definition, &at, pq_json_text(key));
        key = pq_json_next(pq_json_next(key));
    }
    return true;
}

static void read_select(struct pq_definition *definition, const struct pq_json *value,
                        const struct pq_place *place) {
    if (is_object(value) && pq_json_count(value) > 0) {
        if (read_columns(definition, value, place)) definition->select = value;
    } else {
        pq_definition_mistake(definition, place, "write $select: { total: '$total' }",
                              "$select names at least one column");
    }
}

static void read_group_by(struct pq_definition *definition, const struct pq_json *value,
                          const struct pq_place *place) {
    const bool is_list = pq_json_kind(value) == PQ_JSON_LIST;
    if (!is_list || pq_json_count(value) == 0) {
        pq_definition_mistake(definition, place,
                              is_list ? "leave $groupBy out for one row over everything"
                                      : "write $groupBy: ['status', { day: '$createdAt' }]",
                              "$groupBy is a list of at least one key");
    } else if (pq_json_count(value) > columns_max) {
        pq_definition_mistake(definition, place, NULL, "more than %d keys", columns_max);
    } else {
        definition->group_by = value;
    }
}

static void read_compute(struct pq_definition *definition, const struct pq_json *value,
                         const struct pq_place *place) {
    if (is_object(value) && pq_json_count(value) > 0) {
        if (read_columns(definition, value, place)) definition->compute = value;
    } else {
        pq_definition_mistake(definition, place, "write $compute: { orders: { $count: '*' } }",
                              "$compute names at least one aggregate");
    }
}

// ---- $refresh --------------------------------------------------------------------------------

/// The position of a text among names; -1 (reported) when it is none of them.
static int choose(struct pq_definition *definition, const struct pq_place *place,
                  const char *const *names, size_t count) {
    const struct pq_text given = pq_json_text_or_empty(place->json);
    for (size_t k = 0; k < count; k++) {
        if (pq_text_is(given, names[k])) return (int)k;
    }
    struct pq_view_remedy remedy;
    const char *last = place->path.data + place->path.length;
    while (last > place->path.data && last[-1] != '.') last--;
    char all[96] = "";
    for (size_t k = 0, used = 0; k < count; k++) {
        used += (size_t)snprintf(all + used, sizeof all - used, "%s%s", k == 0 ? "" : ", ",
                                 names[k]);
    }
    pq_definition_mistake(definition, place, pq_view_nearest(given, names, count, &remedy),
                          "%s is one of %s, not '%.*s'", last, all, PQ_TEXT_ARG(given));
    return -1;
}

static void read_mode(struct pq_definition *definition, struct pq_place *place) {
    static const char *const names[] = {"streaming", "scheduled", "manual"};
    place->code = "INVALID_REFRESH_MODE";
    const int mode = choose(definition, place, names, 3);
    if (mode >= 0) definition->mode = (enum pq_view_mode)mode;
}

static void read_schedule(struct pq_definition *definition, struct pq_place *place) {
    pqdb_error why = {0};
    place->code = "INVALID_SCHEDULE";
    definition->schedule = pq_json_text_or_empty(place->json);
    if (definition->schedule.length == 0) {
        pq_definition_mistake(definition, place, "write '0 * * * *', or '@hourly'",
                              "schedule is text with five fields");
        return;
    }
    if (pq_cron_parse(definition->schedule, &definition->cron, &why) == PQDB_OK) return;
    pq_definition_mistake(definition, place, "write five fields, like '0 * * * *', or '@hourly'",
                          "%s", why.message);
}

static void read_timezone(struct pq_definition *definition, struct pq_place *place) {
    pqdb_error why = {0};
    place->code = "INVALID_TIMEZONE";
    definition->zone = pq_json_text_or_empty(place->json);
    if (definition->zone.length == 0) {
        pq_definition_mistake(definition, place, "write a zone's name, like 'Europe/Berlin'",
                              "timezone is the name of a zone");
        return;
    }
    const pqdb_code code = pq_zone_find(definition->zone, &definition->zone_rules, &why);
    if (code == PQDB_NO_MEMORY) definition->no_memory = true;
    if (code == PQDB_OK || code == PQDB_NO_MEMORY) return;
    pq_definition_mistake(definition, place, NULL, "%s", why.message);
}

static void read_grace(struct pq_definition *definition, struct pq_place *place) {
    place->code = "INVALID_DURATION";
    const struct pq_text text = pq_json_text_or_empty(place->json);
    if (pq_duration_parse(text, &definition->grace_us)) return;
    const bool is_text = pq_json_kind(place->json) == PQ_JSON_TEXT;
    pq_definition_mistake(definition, place, "write a number and ms, s, m, h or d: '15m'",
                          is_text ? "'%.*s' is no duration" : "%.*sa duration is text",
                          PQ_TEXT_ARG(text));
}

static void read_strategy(struct pq_definition *definition, struct pq_place *place) {
    static const char *const names[] = {"replace", "append"};
    place->code = "INVALID_STRATEGY";
    definition->append = choose(definition, place, names, 2) == 1;
}

static void read_backend(struct pq_definition *definition, struct pq_place *place) {
    static const char *const names[] = {"native", "iceberg", "delta"};
    static const enum pq_backend backends[] = {PQ_BACKEND_NATIVE, PQ_BACKEND_ICEBERG,
                                               PQ_BACKEND_DELTA};
    place->code = "INVALID_BACKEND";
    const int chosen = choose(definition, place, names, 3);
    if (chosen < 0) return;
    definition->backend = backends[chosen];
    const enum pq_backend other = definition->entry->backend;
    if (other == PQ_BACKEND_DEFAULT || other == definition->backend) return;
    pq_definition_mistake(definition, place, "keep one of them",
                          "$backend and $refresh.backend name different ones");
}

static const struct {
    const char *name;
    void (*read)(struct pq_definition *definition, struct pq_place *place);
} settings[] = {
    {"mode", read_mode},         {"schedule", read_schedule}, {"timezone", read_timezone},
    {"gracePeriod", read_grace}, {"strategy", read_strategy}, {"backend", read_backend},
};
enum { setting_count = sizeof settings / sizeof *settings };

static void read_setting(struct pq_definition *definition, const struct pq_json *key,
                         const struct pq_place *place) {
    const struct pq_text name = pq_json_text(key);
    struct pq_place at = pq_place_key(definition, place, name, pq_json_next(key));
    const char *names[setting_count];
    for (size_t k = 0; k < setting_count; k++) {
        names[k] = settings[k].name;
        if (!pq_text_is(name, settings[k].name)) continue;
        settings[k].read(definition, &at);
        return;
    }
    struct pq_view_remedy remedy;
    at.code = "UNKNOWN_DIRECTIVE";
    at.json = key;
    const char *nearest = pq_view_nearest(name, names, setting_count, &remedy);
    pq_definition_mistake(definition, &at,
                          nearest != NULL ? nearest : "it has mode, schedule, timezone, "
                                                      "gracePeriod, strategy and backend",
                          "$refresh has no setting %.*s", PQ_TEXT_ARG(name));
}

/// What was appended is never brought up to date.
static void check_grace(struct pq_definition *definition, const struct pq_place *place) {
    const struct pq_json *grace = pq_json_find(definition->refresh, "gracePeriod");
    if (grace == NULL || !definition->append) return;
    struct pq_place at = pq_place_key(definition, place, PQ_TEXT("gracePeriod"), grace);
    at.code = "INVALID_DURATION";
    pq_definition_mistake(definition, &at, "leave gracePeriod out (null takes it away)",
                          "a view that appends has no gracePeriod: what it has stays as it is");
}

static void read_refresh(struct pq_definition *definition, const struct pq_json *value,
                         const struct pq_place *place) {
    definition->refresh = value;
    if (!is_object(value)) {
        pq_definition_mistake(definition, place, "write $refresh: { mode: 'manual' }",
                              "$refresh is an object of settings");
        return;
    }
    const struct pq_json *key = pq_json_first(value);
    for (size_t k = pq_json_count(value); k > 0; k--) {
        read_setting(definition, key, place);
        key = pq_json_next(pq_json_next(key));
    }
    const struct pq_json *schedule = pq_json_find(value, "schedule");
    const struct pq_json *mode = pq_json_find(value, "mode");
    if (schedule == NULL && pq_text_is(pq_json_text_or_empty(mode), "scheduled")) {
        struct pq_place at = pq_place_key(definition, place, PQ_TEXT("mode"), mode);
        at.code = "MISSING_SCHEDULE";
        pq_definition_mistake(definition, &at, "add schedule: '0 * * * *'",
                              "a scheduled view needs a schedule");
    }
    const char *other = definition->mode == PQ_VIEW_MANUAL ? "manual" : "streaming";
    const bool is_known = mode == NULL || pq_text_is(pq_json_text_or_empty(mode), other);
    if (schedule != NULL && definition->mode != PQ_VIEW_SCHEDULED && is_known) {
        struct pq_place at = pq_place_key(definition, place, PQ_TEXT("schedule"), schedule);
        at.code = "INVALID_SCHEDULE";
        pq_definition_mistake(definition, &at,
                              "add mode: 'scheduled', or leave schedule out (null takes it away)",
                              "a %s view has no schedule", other);
    }
    check_grace(definition, place);
}

// ---- the whole -------------------------------------------------------------------------------

static const struct {
    const char *name;
    const char *code;
    read_directive *read;
    bool shapes;  // what the others mean depends on it: without it, they are not looked at
} directives[] = {
    {"$from", "INVALID_FROM", read_from, true},
    {"$expand", "INVALID_EXPAND", read_expand, true},
    {"$flatten", "INVALID_FLATTEN", read_flatten, true},
    {"$unnest", "INVALID_UNNEST", read_unnest, true},
    {"$filter", "INVALID_FILTER", read_filter, false},
    {"$select", "INVALID_SELECT", read_select, false},
    {"$groupBy", "INVALID_GROUP_BY", read_group_by, true},
    {"$compute", "INVALID_COMPUTE", read_compute, true},
    {"$having", "INVALID_HAVING", read_having, false},
    {"$refresh", "INVALID_REFRESH_MODE", read_refresh, false},
};
enum { directive_count = sizeof directives / sizeof *directives };

static bool is_deeper(const struct pq_json *value, size_t depth_max) {
    const enum pq_json_kind kind = pq_json_kind(value);
    if (kind != PQ_JSON_LIST && kind != PQ_JSON_OBJECT) return false;
    if (depth_max == 0) return true;
    const size_t width = kind == PQ_JSON_OBJECT ? 2 : 1;
    const struct pq_json *child = pq_json_first(value);
    for (size_t k = pq_json_count(value) * width; k > 0; k--) {
        if (is_deeper(child, depth_max - 1)) return true;
        child = pq_json_next(child);
    }
    return false;
}

static bool is_entry_key(struct pq_text name) {
    for (size_t k = 0; k < pq_entry_key_count; k++) {
        if (pq_text_is(name, pq_entry_keys[k])) return true;
    }
    return false;
}

static void unknown_directive(struct pq_definition *definition, const struct pq_json *key) {
    const struct pq_text name = pq_json_text(key);
    const char *names[remedy_names_max];
    size_t count = 0;
    for (size_t k = 0; k < directive_count; k++) names[count++] = directives[k].name;
    for (size_t k = 0; k < pq_entry_key_count && count < remedy_names_max; k++) {
        names[count++] = pq_entry_keys[k];
    }
    const struct pq_place entry = {"UNKNOWN_DIRECTIVE", key, definition->entry->name};
    const struct pq_place at = pq_place_key(definition, &entry, name, key);
    struct pq_view_remedy remedy;
    const char *nearest = pq_view_nearest(name, names, count, &remedy);
    if (name.length > 0 && name.data[0] != '$' && nearest == NULL) {
        nearest = "name columns in $select, or leave $from out for a collection";
    }
    pq_definition_mistake(definition, &at, nearest, "a view has no %.*s", PQ_TEXT_ARG(name));
}

static void read_key(struct pq_definition *definition, const struct pq_json *key) {
    const struct pq_text name = pq_json_text(key);
    const struct pq_json *value = pq_json_next(key);
    for (size_t k = 0; k < directive_count; k++) {
        if (!pq_text_is(name, directives[k].name)) continue;
        const size_t mistakes = definition->mistakes;
        const struct pq_place place =
            pq_definition_place(definition, directives[k].code, directives[k].name, value);
        if (is_deeper(value, directive_depth_max)) {
            pq_definition_mistake(definition, &place, "split the view", "nested deeper than %d",
                                  directive_depth_max);
        } else {
            directives[k].read(definition, value, &place);
        }
        if (directives[k].shapes && definition->mistakes != mistakes) definition->is_unclear = true;
        return;
    }
    if (is_entry_key(name)) return;
    unknown_directive(definition, key);
    definition->is_unclear = true;
}

static bool is_expanded(const struct pq_definition *definition, struct pq_text path) {
    if (definition->expand == NULL) return false;
    const struct pq_json *item = pq_json_first(definition->expand);
    for (size_t k = pq_json_count(definition->expand); k > 0; k--) {
        const struct pq_text expanded = pq_json_text_or_empty(item);
        // 'customer' is also on the way of 'customer.address'.
        if (pq_text_starts_with(expanded, path) &&
            (expanded.length == path.length || expanded.data[path.length] == '.')) {
            return true;
        }
        item = pq_json_next(item);
    }
    return false;
}

static void check_flatten(struct pq_definition *definition) {
    const struct pq_place place =
        pq_definition_place(definition, "INVALID_FLATTEN", "$flatten", definition->flatten);
    const struct pq_json *key = pq_json_first(definition->flatten);
    for (size_t k = pq_json_count(definition->flatten); k > 0; k--) {
        const struct pq_text path = pq_json_text(key);
        if (!is_expanded(definition, path)) {
            const struct pq_place at = pq_place_key(definition, &place, path, key);
            pq_definition_mistake(definition, &at, "add the path to $expand",
                                  "%.*s is not expanded", PQ_TEXT_ARG(path));
        }
        key = pq_json_next(pq_json_next(key));
    }
}

/// What cannot stand beside what.
static void check_together(struct pq_definition *definition) {
    if (definition->flatten != NULL) check_flatten(definition);
    if (definition->group_by != NULL && definition->select != NULL) {
        const struct pq_place place =
            pq_definition_place(definition, "INVALID_SELECT", "$select", definition->select);
        pq_definition_mistake(definition, &place, "write a view on this one that selects",
                              "$select cannot stand beside $groupBy");
    }
    if (definition->having != NULL && definition->group_by == NULL &&
        definition->compute == NULL) {
        const struct pq_place place =
            pq_definition_place(definition, "INVALID_HAVING", "$having", definition->having);
        pq_definition_mistake(definition, &place, "use $filter",
                              "$having needs $groupBy or $compute");
    }
}

pqdb_code pq_definition_read(const struct pq_schema *schema, const struct pq_entry *entry,
                             struct pq_arena *arena, struct pq_problems *problems,
                             struct pq_definition *definition, pqdb_error *err) {
    *definition = (struct pq_definition){
        .schema = schema,
        .entry = entry,
        .arena = arena,
        .problems = problems,
        .source = PQ_TEXT(""),
        .grace_us = -1,
        .backend = entry->backend,
        .zone = PQ_TEXT(""),
        .schedule = PQ_TEXT(""),
        .unnest_path = PQ_TEXT(""),
        .unnest_as = PQ_TEXT(""),
        .unnest_index = PQ_TEXT(""),
    };
    if (is_object(entry->definition)) {
        const struct pq_json *key = pq_json_first(entry->definition);
        for (size_t k = pq_json_count(entry->definition); k > 0; k--) {
            read_key(definition, key);
            key = pq_json_next(pq_json_next(key));
        }
        check_together(definition);
    }
    if (definition->no_memory) return pq_fail(err, PQDB_NO_MEMORY, "a view's definition");
    return PQDB_OK;
}
