/// db/view_alter.c: a view's definition with other settings: a change of the schema like any other.
#include <parquedb/schema.h>
#include <parquedb/view.h>

#include "base/fail.h"
#include "base/json.h"
#include "db/schema_steps.h"
#include "type/schema_edit.h"

static bool is_directive(struct pq_text key) { return key.length > 0 && key.data[0] == '$'; }

static pqdb_code write_member(struct pq_bytes *out, struct pq_text key, const struct pq_json *value,
                              bool *any, pqdb_error *err) {
    const struct pq_text name = {key.data + is_directive(key), key.length - is_directive(key)};
    PQ_TRY(pq_bytes_printf(out, err, *any ? ", " : " "));
    *any = true;
    if (pq_is_column_name(name)) {
        PQ_TRY(pq_bytes_append_text(out, key, err));
    } else {
        PQ_TRY(pq_json_write_text(out, key, err));
    }
    PQ_TRY(pq_bytes_printf(out, err, ": "));
    return pq_json_write(out, value, err);
}

/// The members of `old` (may be NULL) with those of the layers in their place, and new ones behind;
/// the last layer that has a member says it, null takes it away. Only members that `wants` takes.
struct layers {
    const struct pq_json *old;
    const struct pq_json *layers[2];  // NULL: none
    bool (*wants[2])(struct pq_text key);
};

static const struct pq_json *find_in_layers(const struct layers *layers, struct pq_text key) {
    const struct pq_json *found = NULL;
    for (size_t i = 0; i < 2; i++) {
        if (layers->layers[i] == NULL || !layers->wants[i](key)) continue;
        const struct pq_json *value = pq_json_find(layers->layers[i], key.data);
        if (value != NULL) found = value;
    }
    return found;
}

static pqdb_code write_layers(const struct layers *layers, struct pq_bytes *out, bool *any,
                              pqdb_error *err) {
    const struct pq_json *old = layers->old;
    const struct pq_json *key = old == NULL ? NULL : pq_json_first(old);
    for (size_t i = old == NULL ? 0 : pq_json_count(old); i > 0; i--) {
        const struct pq_text name = pq_json_text(key);
        const struct pq_json *value = pq_json_next(key);
        const struct pq_json *other = find_in_layers(layers, name);
        key = pq_json_next(value);
        if (!layers->wants[0](name)) continue;
        if (other != NULL) value = other;
        if (pq_json_kind(value) != PQ_JSON_NULL || other == NULL) {
            PQ_TRY(write_member(out, name, value, any, err));
        }
    }
    for (size_t i = 0; i < 2; i++) {
        const struct pq_json *layer = layers->layers[i];
        key = layer == NULL ? NULL : pq_json_first(layer);
        for (size_t n = layer == NULL ? 0 : pq_json_count(layer); n > 0; n--) {
            const struct pq_text name = pq_json_text(key);
            const struct pq_json *value = pq_json_next(key);
            key = pq_json_next(value);
            const bool is_old = old != NULL && pq_json_find(old, name.data) != NULL;
            const bool is_last = find_in_layers(layers, name) == value;
            if (is_old || !is_last || !layers->wants[i](name)) continue;
            if (pq_json_kind(value) == PQ_JSON_NULL) continue;
            PQ_TRY(write_member(out, name, value, any, err));
        }
    }
    return PQDB_OK;
}

static bool is_setting(struct pq_text key) { return !is_directive(key); }
static bool is_any(struct pq_text key) { return key.length > 0; }
static bool is_other_directive(struct pq_text key) {
    return is_directive(key) && !pq_text_is(key, "$refresh");
}

static const struct pq_json *object_or_null(const struct pq_json *value) {
    return value != NULL && pq_json_kind(value) == PQ_JSON_OBJECT ? value : NULL;
}

/// Settings without a `$` belong to `$refresh`, whose members are changed one by one.
static pqdb_code merge(const struct pq_json *old, const struct pq_json *settings,
                       struct pq_bytes *out, pqdb_error *err) {
    struct pq_bytes refresh;
    pq_bytes_init(&refresh, out->alloc);
    const struct pq_json *given = pq_json_find(settings, "$refresh");
    const bool removes = given != NULL && pq_json_kind(given) == PQ_JSON_NULL;
    const struct layers members = {
        .old = removes ? NULL : object_or_null(pq_json_find(old, "$refresh")),
        .layers = {object_or_null(given), settings}, .wants = {is_any, is_setting}};
    const struct layers directives = {.old = old, .layers = {settings, NULL},
                                      .wants = {is_other_directive, is_any}};
    bool any = false, any_refresh = false;
    pqdb_code code;
    if (given != NULL && !removes && object_or_null(given) == NULL) {
        PQ_GO(pq_fail(err, PQDB_INVALID, "$refresh must be an object: { … }, or null"));
    }
    PQ_GO(write_layers(&members, &refresh, &any_refresh, err));
    PQ_GO(pq_bytes_append_byte(out, '{', err));
    PQ_GO(write_layers(&directives, out, &any, err));
    if (any_refresh) {
        PQ_GO(pq_bytes_printf(out, err, "%s$refresh: {%.*s }", any ? ", " : " ",
                              PQ_TEXT_ARG(pq_bytes_text(&refresh))));
    }
    PQ_GO(pq_bytes_printf(out, err, " }"));
done:
    pq_bytes_deinit(&refresh);
    return code;
}

static pqdb_code alter_text(pqdb_db *db, struct pq_text name, struct pq_text settings,
                            struct pq_bytes *text, pqdb_error *err) {
    struct pq_json_document *given = NULL;
    struct pq_bytes definition;
    pq_bytes_init(&definition, db->alloc);
    size_t length;
    const char *schema = pqdb_schema_text(db, &length);
    struct pq_db_table *table;
    pqdb_code code;
    PQ_GO(pq_db_find_view(db, name, &table, err));
    PQ_GO(pq_json_parse(settings, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, db->alloc, &given, err));
    if (object_or_null(pq_json_root(given)) == NULL) {
        PQ_GO(pq_fail(err, PQDB_INVALID, "settings must be an object: { mode: 'manual' }"));
    }
    PQ_GO(merge(table->entry->definition, pq_json_root(given), &definition, err));
    PQ_GO(pq_schema_text_replace((struct pq_text){schema, length}, name,
                                 pq_bytes_text(&definition), text, err));
done:
    if (given != NULL) pq_json_destroy(given);
    pq_bytes_deinit(&definition);
    return code;
}

pqdb_code pqdb_view_alter(pqdb_db *db, const char *name, const char *settings,
                          pqdb_on_problem on_problem, void *ctx, pqdb_error *err) {
    const pqdb_schema_options options = {.on_problem = on_problem, .ctx = ctx};
    struct pq_bytes text;
    pq_bytes_init(&text, db->alloc);
    pq_db_lock_schema(db);
    pqdb_code code = alter_text(db, pq_text_of(name), pq_text_of(settings), &text, err);
    if (code == PQDB_OK) code = pq_db_apply_text(db, pq_bytes_text(&text), &options, NULL, err);
    pq_db_unlock_schema(db);
    pq_bytes_deinit(&text);
    return code;
}
