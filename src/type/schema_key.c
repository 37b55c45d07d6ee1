/// The `$` keys of an entry. To add one: a line in ENTRY_KEYS and a function that reads its value.
#include <stdio.h>

#include "base/fail.h"
#include "type/schema_internal.h"
#include "type/timestamp.h"

enum {
    COLLECTION = 1 << PQ_ENTRY_COLLECTION,
    STREAM = 1 << PQ_ENTRY_STREAM,
    VIEW = 1 << PQ_ENTRY_VIEW,
    EXTERNAL = 1 << PQ_ENTRY_EXTERNAL,
    OWN = COLLECTION | STREAM,
    ANY = OWN | VIEW | EXTERNAL,
};

/// When a key is read: before the entry's own fields, after them, or after those of its stream.
enum phase { PHASE_FIRST, PHASE_FIELDS, PHASE_STREAM };

typedef pqdb_code read_key(struct schema_parse *parse, const struct place *place,
                           const struct pq_json *value);

static read_key read_type, read_id, read_from, read_ingest, read_source, read_strict, read_backend,
    read_paths, read_shred, read_retention, read_on_retention, read_history, read_was,
    read_description;

#define ENTRY_KEYS(X)                                             \
    X("$type", OWN | VIEW, PHASE_FIRST, read_type)                \
    X("$id", OWN | EXTERNAL, PHASE_STREAM, read_id)               \
    X("$from", VIEW, PHASE_FIRST, read_from)                      \
    X("$ingest", STREAM, PHASE_FIRST, read_ingest)                \
    X("$source", EXTERNAL, PHASE_FIRST, read_source)              \
    X("$strict", OWN, PHASE_FIRST, read_strict)                   \
    X("$backend", OWN | VIEW, PHASE_FIRST, read_backend)          \
    X("$paths", OWN | EXTERNAL, PHASE_FIELDS, read_paths)         \
    X("$shred", OWN, PHASE_STREAM, read_shred)                    \
    X("$retention", OWN, PHASE_STREAM, read_retention)            \
    X("$onRetention", VIEW, PHASE_FIRST, read_on_retention)       \
    X("$history", OWN | VIEW, PHASE_FIRST, read_history)          \
    X("$was", ANY, PHASE_FIRST, read_was)                         \
    X("$description", ANY, PHASE_FIRST, read_description)

struct entry_key {
    const char *name;
    int kinds;
    enum phase phase;
    read_key *read;
};

#define AS_KEY(name, kinds, phase, read) {name, kinds, phase, read},
static const struct entry_key keys[] = {ENTRY_KEYS(AS_KEY)};
#define AS_NAME(name, kinds, phase, read) name,
const char *const pq_entry_keys[] = {ENTRY_KEYS(AS_NAME)};
enum { key_count = sizeof keys / sizeof *keys };
const size_t pq_entry_key_count = key_count;

static const char *const view_keys[] = {"$expand", "$flatten", "$unnest",  "$filter", "$select",
                                        "$groupBy", "$compute", "$having", "$refresh"};
enum { view_key_count = sizeof view_keys / sizeof *view_keys };

// ---- values -----------------------------------------------------------------------------------

/// A text that is not empty; false and a problem otherwise.
static bool text_of(struct schema_parse *parse, const struct place *place,
                    const struct pq_json *value, const char *code, struct pq_text *text) {
    const bool is_text = pq_json_kind(value) == PQ_JSON_TEXT;
    if (is_text && pq_json_text(value).length > 0) {
        *text = pq_json_text(value);
        return true;
    }
    schema_problem(parse, place, code, NULL, "%.*s is %s", PQ_TEXT_ARG(place->name),
                   is_text ? "empty" : "not text");
    return false;
}

static bool duration_of(struct schema_parse *parse, const struct place *place,
                        const struct pq_json *value, int64_t *duration_us) {
    struct pq_text text;
    if (!text_of(parse, place, value, "INVALID_DURATION", &text)) return false;
    if (pq_duration_parse(text, duration_us)) return true;
    schema_problem(parse, place, "INVALID_DURATION", "Write a number and ms, s, m, h or d: '30d'",
                   "'%.*s' is no duration", (int)(text.length < 40 ? text.length : 40), text.data);
    return false;
}

static pqdb_code read_type(struct schema_parse *parse, const struct place *place,
                           const struct pq_json *value) {
    text_of(parse, place, value, "INVALID_VALUE", &parse->entry->type_name);
    return PQDB_OK;
}

static pqdb_code read_description(struct schema_parse *parse, const struct place *place,
                                  const struct pq_json *value) {
    text_of(parse, place, value, "INVALID_VALUE", &parse->entry->description);
    return PQDB_OK;
}

/// Room view reads it.
static pqdb_code read_from(struct schema_parse *parse, const struct place *place,
                           const struct pq_json *value) {
    (void)parse;
    (void)place;
    (void)value;
    return PQDB_OK;
}

static pqdb_code read_ingest(struct schema_parse *parse, const struct place *place,
                             const struct pq_json *value) {
    text_of(parse, place, value, "INVALID_INGEST", &parse->entry->ingest);
    return PQDB_OK;
}

static pqdb_code read_strict(struct schema_parse *parse, const struct place *place,
                             const struct pq_json *value) {
    if (pq_json_kind(value) == PQ_JSON_BOOL) {
        parse->entry->strict = pq_json_bool(value);
    } else {
        schema_problem(parse, place, "INVALID_VALUE", NULL, "$strict is true or false");
    }
    return PQDB_OK;
}

static pqdb_code read_backend(struct schema_parse *parse, const struct place *place,
                              const struct pq_json *value) {
    static const char *const names[] = {"native", "iceberg", "delta"};
    struct pq_text text;
    char room[80];
    if (!text_of(parse, place, value, "INVALID_BACKEND", &text)) return PQDB_OK;
    for (int i = 0; i < 3; i++) {
        if (!pq_text_is(text, names[i])) continue;
        parse->entry->backend = (enum pq_backend)(PQ_BACKEND_NATIVE + i);
        return PQDB_OK;
    }
    const char *nearest = schema_did_you_mean(text, names, 3, room);
    schema_problem(parse, place, "INVALID_BACKEND",
                   nearest != NULL ? nearest : "Use native, iceberg or delta",
                   "'%.*s' is no backend", PQ_TEXT_ARG(text));
    return PQDB_OK;
}

static pqdb_code read_history(struct schema_parse *parse, const struct place *place,
                              const struct pq_json *value) {
    parse->entry->has_history = duration_of(parse, place, value, &parse->entry->history_us);
    return PQDB_OK;
}

static pqdb_code read_on_retention(struct schema_parse *parse, const struct place *place,
                                   const struct pq_json *value) {
    if (pq_json_kind(value) == PQ_JSON_TEXT && pq_text_is(pq_json_text(value), "keep")) {
        parse->entry->retention_keeps = true;
    } else {
        schema_problem(parse, place, "INVALID_RETENTION",
                       "Write 'keep', or leave it out to follow the source",
                       "$onRetention can only be 'keep'");
    }
    return PQDB_OK;
}

/// Which of them are declared is known once the fields are read.
static void check_former_fields(struct schema_parse *parse, const struct place *place) {
    const struct pq_entry *entry = parse->entry;
    const struct pq_json *value = pq_json_find(entry->definition, "$was");
    const struct place was = {place, PQ_TEXT("$was"), value};
    for (size_t i = 0; i < entry->former_count; i++) {
        const struct pq_former_name *former = &entry->former[i];
        const struct place child = {&was, former->now, pq_json_find(value, former->now.data)};
        if (pq_entry_find(entry, former->now) == NULL) {
            schema_problem(parse, &child, "INVALID_WAS", "Name a declared field, then what it was",
                           "there is no field '%.*s'", PQ_TEXT_ARG(former->now));
        } else if (pq_entry_find(entry, former->was) != NULL) {
            schema_problem(parse, &child, "INVALID_WAS", "Name a field that is gone",
                           "'%.*s' is still a field", PQ_TEXT_ARG(former->was));
        }
    }
}

/// `{ now: 'before' }`.
static pqdb_code read_former_fields(struct schema_parse *parse, const struct place *place,
                                    const struct pq_json *object) {
    struct pq_arena *arena = &parse->schema->arena;
    struct pq_entry *entry = parse->entry;
    entry->former = pq_arena_calloc(arena, pq_json_count(object) + 1, sizeof *entry->former);
    if (entry->former == NULL) return schema_no_memory(parse);
    if (entry->kind == PQ_ENTRY_VIEW) {
        schema_problem(parse, place, "INVALID_WAS", "Write the name that the view had before",
                       "columns of a view follow from its definition");
        return PQDB_OK;
    }
    const struct pq_json *key = pq_json_first(object);
    for (size_t i = 0; i < pq_json_count(object); i++) {
        const struct place child = {place, pq_json_text(key), key};
        const struct pq_json *value = pq_json_next(key);
        key = pq_json_next(value);
        struct pq_text was;
        if (!text_of(parse, &child, value, "INVALID_WAS", &was)) continue;
        if (!pq_is_column_name(was) || pq_text_equal(was, child.name)) {
            schema_problem(parse, &child, "INVALID_WAS", "Write the name that the field had before",
                           "'%.*s' cannot have been its name", PQ_TEXT_ARG(was));
            continue;
        }
        entry->former[entry->former_count++] =
            (struct pq_former_name){.now = child.name, .was = was};
    }
    return PQDB_OK;
}

static pqdb_code read_was(struct schema_parse *parse, const struct place *place,
                          const struct pq_json *value) {
    if (pq_json_kind(value) == PQ_JSON_OBJECT) return read_former_fields(parse, place, value);
    struct pq_text text;
    if (!text_of(parse, place, value, "INVALID_WAS", &text)) return PQDB_OK;
    if (pq_is_entry_name(text) && !pq_text_equal(text, parse->entry->name)) {
        parse->entry->was = text;
    } else {
        schema_problem(parse, place, "INVALID_WAS", "Write the name that the entry had before",
                       "'%.*s' cannot have been its name", PQ_TEXT_ARG(text));
    }
    return PQDB_OK;
}

struct member {
    const char *name;
    const struct pq_json *value;  // NULL when it is not there
};

/// Find the two members that an object value may have. False and problems when it has others.
static bool members_of(struct schema_parse *parse, const struct place *place,
                       const struct pq_json *object, const char *code, struct member members[2]) {
    bool is_sound = true;
    const struct pq_json *key = pq_json_first(object);
    for (size_t i = 0; i < pq_json_count(object); i++) {
        const struct place child = {place, pq_json_text(key), key};
        const struct pq_json *value = pq_json_next(key);
        key = pq_json_next(value);
        if (pq_text_is(child.name, members[0].name)) {
            members[0].value = value;
        } else if (pq_text_is(child.name, members[1].name)) {
            members[1].value = value;
        } else {
            schema_problem(parse, &child, code, NULL, "%.*s knows only %s and %s",
                           PQ_TEXT_ARG(place->name), members[0].name, members[1].name);
            is_sound = false;
        }
    }
    return is_sound;
}

static pqdb_code read_source(struct schema_parse *parse, const struct place *place,
                             const struct pq_json *value) {
    struct member members[2] = {{"format", NULL}, {"location", NULL}};
    struct pq_entry *entry = parse->entry;
    if (pq_json_kind(value) != PQ_JSON_OBJECT) {
        schema_problem(parse, place, "INVALID_SOURCE",
                       "Write { format: 'iceberg', location: '…' }", "$source is not an object");
        return PQDB_OK;
    }
    if (!members_of(parse, place, value, "INVALID_SOURCE", members)) return PQDB_OK;
    for (int i = 0; i < 2; i++) {
        if (members[i].value == NULL) {
            schema_problem(parse, place, "INVALID_SOURCE",
                           "Write { format: 'iceberg', location: '…' }", "$source lacks its %s",
                           members[i].name);
            return PQDB_OK;
        }
    }
    const struct place format = {place, PQ_TEXT("format"), place->key};
    const struct place location = {place, PQ_TEXT("location"), place->key};
    const bool is_read =
        text_of(parse, &format, members[0].value, "INVALID_SOURCE", &entry->source_format) &&
        text_of(parse, &location, members[1].value, "INVALID_SOURCE", &entry->source_location);
    if (is_read && !pq_text_is(entry->source_format, "iceberg") &&
        !pq_text_is(entry->source_format, "delta")) {
        schema_problem(parse, &format, "INVALID_SOURCE", "Use iceberg or delta",
                       "'%.*s' is no table format", PQ_TEXT_ARG(entry->source_format));
    }
    return PQDB_OK;
}

// ---- what needs the fields -----------------------------------------------------------------

static pqdb_code read_id(struct schema_parse *parse, const struct place *place,
                         const struct pq_json *value) {
    struct pq_entry *entry = parse->entry;
    struct pq_text name;
    if (!text_of(parse, place, value, "INVALID_ID", &name)) return PQDB_OK;
    if (entry->kind == PQ_ENTRY_EXTERNAL && entry->field_count == 0) {
        entry->id_field = name;  // the table's own schema will tell
        return PQDB_OK;
    }
    const struct pq_declared_field *field = pq_entry_find(entry, name);
    const enum pq_kind kind = field == NULL ? PQ_NULL : field->field.type.kind;
    const bool is_inverse = field != NULL && field->relation != NULL && field->relation->inverse;
    if ((kind == PQ_TEXT || kind == PQ_INT64) && !is_inverse) {
        entry->id_field = name;
        return PQDB_OK;
    }
    schema_problem(parse, place, "INVALID_ID", "Name a text or int field of the entry",
                   field == NULL ? "$id names '%.*s', which is not declared"
                                 : "$id names '%.*s', whose values are no ids",
                   PQ_TEXT_ARG(name));
    return PQDB_OK;
}

/// The field of a stream that tells its rows' age, else createdAt.
static struct pq_text event_time_of(const struct pq_entry *entry) {
    static const char *const names[] = {"eventTimestamp", "timestamp"};
    for (size_t i = 0; i < 2; i++) {
        const struct pq_declared_field *field = pq_entry_find(entry, pq_text_of(names[i]));
        if (field != NULL && field->field.type.kind == PQ_TIMESTAMP) return field->field.name;
    }
    return PQ_TEXT("createdAt");
}

static bool tells_time(const struct pq_entry *entry, struct pq_text name) {
    const struct pq_declared_field *field = pq_entry_find(entry, name);
    if (field == NULL) return pq_text_is(name, "createdAt") || pq_text_is(name, "updatedAt");
    return field->field.type.kind == PQ_TIMESTAMP || field->field.type.kind == PQ_DATE;
}

static pqdb_code read_retention(struct schema_parse *parse, const struct place *place,
                                const struct pq_json *value) {
    struct member members[2] = {{"after", value}, {"by", NULL}};
    struct pq_entry *entry = parse->entry;
    if (pq_json_kind(value) == PQ_JSON_OBJECT) {
        members[0].value = NULL;
        if (!members_of(parse, place, value, "INVALID_RETENTION", members)) return PQDB_OK;
    }
    if (members[0].value == NULL) {
        schema_problem(parse, place, "INVALID_RETENTION", "Write { after: '30d', by: 'field' }",
                       "$retention does not say after how long");
        return PQDB_OK;
    }
    if (!duration_of(parse, place, members[0].value, &entry->retention_us)) return PQDB_OK;
    if (entry->retention_us == 0) {
        schema_problem(parse, place, "INVALID_RETENTION", "Give the age at which rows go",
                       "$retention of no time would delete every row");
        return PQDB_OK;
    }
    struct pq_text by = event_time_of(entry);
    const struct pq_json *given = members[1].value;
    if (given != NULL && !text_of(parse, place, given, "INVALID_RETENTION", &by)) return PQDB_OK;
    if (tells_time(entry, by)) {
        entry->retention_by = by;
    } else {
        schema_problem(parse, place, "INVALID_RETENTION", "Name a timestamp or date field",
                       "'%.*s' does not tell a row's age", PQ_TEXT_ARG(by));
    }
    return PQDB_OK;
}

static bool has_empty_step(struct pq_text path) {
    bool at_start = true;
    for (size_t i = 0; i < path.length; i++) {
        if (path.data[i] == '.' && at_start) return true;
        at_start = path.data[i] == '.';
    }
    return at_start;
}

const char *schema_check_variant_path(const struct pq_entry *entry, struct pq_text path) {
    const struct pq_declared_field *fields = entry->fields;
    size_t count = entry->field_count, depth = 0;
    if (has_empty_step(path)) return "has an empty step";
    for (struct pq_text rest = path;; depth++) {
        const char *dot = memchr(rest.data, '.', rest.length);
        const size_t length = dot == NULL ? rest.length : (size_t)(dot - rest.data);
        const struct pq_text name = {rest.data, length};
        const struct pq_declared_field *field = NULL;
        for (size_t i = 0; i < count && field == NULL; i++) {
            if (pq_text_equal(fields[i].field.name, name)) field = &fields[i];
        }
        if (dot == NULL) return "does not go into a variant; declare the field itself";
        if (field == NULL && depth > 0) return "names a member that the object does not declare";
        if (field == NULL) {
            const bool is_open = !entry->strict && entry->kind != PQ_ENTRY_EXTERNAL;
            return is_open ? NULL : "begins with a field that is not declared";
        }
        const struct pq_type *type = &field->field.type;
        if (type->kind == PQ_LIST) type = &type->fields[0].type;
        if (type->kind == PQ_VARIANT) return NULL;
        if (field->member_count == 0) return "leads through a field that is no variant";
        fields = field->members;
        count = field->member_count;
        rest = (struct pq_text){dot + 1, rest.length - length - 1};
    }
}

static pqdb_code read_path(struct schema_parse *parse, const struct place *place,
                           const struct pq_json *value) {
    struct pq_entry *entry = parse->entry;
    const char *fault = schema_check_variant_path(entry, place->name);
    if (fault != NULL || pq_json_kind(value) != PQ_JSON_TEXT) {
        schema_problem(parse, place, "INVALID_PATHS", "Write 'event.request.url': 'string'",
                       "the path '%.*s' %s", PQ_TEXT_ARG(place->name),
                       fault != NULL ? fault : "has no type as text");
        return PQDB_OK;
    }
    struct pq_variant_path_type *path = &entry->paths[entry->path_count];
    *path = (struct pq_variant_path_type){.path = place->name};
    struct pq_ice_target target = {&parse->schema->arena, parse->problems, &path->declared};
    const pqdb_code code = pq_ice_type_parse(place->name, pq_json_text(value),
                                             schema_at(parse, place), &target, parse->err);
    if (code == PQDB_INVALID) entry->broken = true;
    if (code != PQDB_OK) return code == PQDB_INVALID ? PQDB_OK : code;
    const struct pq_declared_field *declared = &path->declared;
    if (declared->relation != NULL || declared->field.required || declared->indexed ||
        declared->has_default || declared->form != PQ_FORM_ANY) {
        schema_problem(parse, place, "INVALID_PATHS", "Write only the type, like 'string'",
                       "a path inside a variant has a type, and no rules");
        return PQDB_OK;
    }
    entry->path_count++;
    return PQDB_OK;
}

static pqdb_code read_paths(struct schema_parse *parse, const struct place *place,
                            const struct pq_json *value) {
    if (pq_json_kind(value) != PQ_JSON_OBJECT) {
        schema_problem(parse, place, "INVALID_PATHS", "Write { 'event.request.url': 'string' }",
                       "$paths is not an object");
        return PQDB_OK;
    }
    const size_t count = pq_json_count(value);
    parse->entry->paths =
        pq_arena_calloc(&parse->schema->arena, count, sizeof *parse->entry->paths);
    if (parse->entry->paths == NULL) return schema_no_memory(parse);
    const struct pq_json *key = pq_json_first(value);
    for (size_t i = 0; i < count; i++) {
        const struct place path = {place, pq_json_text(key), key};
        const struct pq_json *type = pq_json_next(key);
        PQ_TRY(read_path(parse, &path, type));
        key = pq_json_next(type);
    }
    return PQDB_OK;
}

/// What keeps a path into a variant from being a column of its own, or NULL.
static const char *shred_fault(const struct pq_entry *entry, struct pq_text path) {
    const char *fault = schema_check_variant_path(entry, path);
    if (fault != NULL) return fault;
    const char *dot = memchr(path.data, '.', path.length);
    const struct pq_text name = {path.data, (size_t)(dot - path.data)};
    const struct pq_declared_field *field = pq_entry_find(entry, name);
    if (field != NULL && field->field.type.kind == PQ_LIST) return "leads through a list";
    if (field != NULL && field->field.type.kind != PQ_VARIANT) {
        return "leads into a member of an inline object; only a field's own variant is shredded";
    }
    for (size_t i = 0; i < entry->path_count; i++) {
        const struct pq_type *type = &entry->paths[i].declared.field.type;
        if (!pq_text_equal(entry->paths[i].path, path)) continue;
        if (type->kind == PQ_LIST || type->kind == PQ_OBJECT) return "is declared as no scalar";
    }
    return NULL;
}

static pqdb_code read_shred(struct schema_parse *parse, const struct place *place,
                            const struct pq_json *value) {
    struct pq_entry *entry = parse->entry;
    const bool is_text = pq_json_kind(value) == PQ_JSON_TEXT;
    entry->shreds_auto = is_text && pq_text_is(pq_json_text(value), "auto");
    if (entry->shreds_auto) return PQDB_OK;
    const size_t count = pq_json_kind(value) == PQ_JSON_LIST ? pq_json_count(value) : 0;
    if (pq_json_kind(value) != PQ_JSON_LIST || count > PQ_SHRED_PATHS_MAX) {
        schema_problem(parse, place, "INVALID_SHRED", "Write ['event.request.url'], or 'auto'",
                       "$shred is not a list of at most %d paths", PQ_SHRED_PATHS_MAX);
        return PQDB_OK;
    }
    entry->shred = pq_arena_calloc(&parse->schema->arena, count, sizeof *entry->shred);
    if (entry->shred == NULL) return schema_no_memory(parse);
    const struct pq_json *item = pq_json_first(value);
    for (size_t i = 0; i < count; i++, item = pq_json_next(item)) {
        struct pq_text path;
        if (!text_of(parse, place, item, "INVALID_SHRED", &path)) continue;
        const char *fault = shred_fault(entry, path);
        if (fault == NULL) {
            entry->shred[entry->shred_count++] = path;
        } else {
            schema_problem(parse, place, "INVALID_SHRED", NULL, "the path '%.*s' %s",
                           PQ_TEXT_ARG(path), fault);
        }
    }
    return PQDB_OK;
}

// ---- all of them ---------------------------------------------------------------------------

static const char *kind_name(enum pq_entry_kind kind) {
    static const char *const names[] = {"a collection", "a stream collection", "a view",
                                        "an external table"};
    return names[kind];
}

static void fail_unknown(struct schema_parse *parse, const struct place *place) {
    const char *names[key_count + view_key_count];
    char room[80];
    for (size_t i = 0; i < key_count; i++) names[i] = keys[i].name;
    for (size_t i = 0; i < view_key_count; i++) {
        names[key_count + i] = view_keys[i];
        if (!pq_text_is(place->name, view_keys[i])) continue;
        schema_problem(parse, place, "MISSING_FROM", "Add $from: 'Source' to make it a view",
                       "%s belongs to a view, and the entry has no $from", view_keys[i]);
        return;
    }
    schema_problem(parse, place, "UNKNOWN_DIRECTIVE",
                   schema_did_you_mean(place->name, names, key_count + view_key_count, room),
                   "unknown key '%.*s'", PQ_TEXT_ARG(place->name));
}

static pqdb_code read_key_of(struct schema_parse *parse, const struct place *place,
                             const struct pq_json *value, enum phase phase) {
    const enum pq_entry_kind kind = parse->entry->kind;
    for (size_t i = 0; i < key_count; i++) {
        if (!pq_text_is(place->name, keys[i].name)) continue;
        if ((keys[i].kinds & 1 << kind) != 0) {
            return keys[i].phase == phase ? keys[i].read(parse, place, value) : PQDB_OK;
        }
        const bool makes_kind = keys[i].read == read_from || keys[i].read == read_ingest ||
                                keys[i].read == read_source;
        if (phase != PHASE_FIRST || makes_kind) return PQDB_OK;  // that is CONFLICTING_KIND
        schema_problem(parse, place, "MISPLACED_DIRECTIVE", "Remove it", "%s has no place in %s",
                       keys[i].name, kind_name(kind));
        return PQDB_OK;
    }
    if (phase == PHASE_FIRST && kind != PQ_ENTRY_VIEW) fail_unknown(parse, place);
    return PQDB_OK;
}

static pqdb_code read_keys(struct schema_parse *parse, const struct place *place,
                           enum phase phase) {
    const struct pq_json *object = parse->entry->definition;
    const struct pq_json *key = pq_json_first(object);
    for (size_t i = 0; i < pq_json_count(object); i++) {
        const struct place child = {place, pq_json_text(key), key};
        const struct pq_json *value = pq_json_next(key);
        key = pq_json_next(value);
        if (child.name.length == 0 || child.name.data[0] != '$') continue;
        PQ_TRY(read_key_of(parse, &child, value, phase));
    }
    return PQDB_OK;
}

pqdb_code schema_read_keys(struct schema_parse *parse, const struct place *place) {
    return read_keys(parse, place, PHASE_FIRST);
}

pqdb_code schema_check_keys(struct schema_parse *parse, const struct place *place) {
    PQ_TRY(read_keys(parse, place, PHASE_FIELDS));
    if (parse->entry->ingest.length > 0) {
        const struct pq_json *value = pq_json_find(parse->entry->definition, "$ingest");
        const struct place ingest = {place, PQ_TEXT("$ingest"), value};
        PQ_TRY(schema_add_stream(parse, &ingest));
    }
    check_former_fields(parse, place);
    return read_keys(parse, place, PHASE_STREAM);
}
