#include <inttypes.h>

#include "base/fail.h"
#include "base/json.h"
#include "table/iceberg/metadata.h"
#include "table/iceberg/schema_json.h"

struct parser {
    struct pq_arena *arena;
    pqdb_error *err;
    struct pq_bytes text;  // for raw JSON
};

static pqdb_code corrupt(const struct parser *parser, const char *what) {
    return pq_fail(parser->err, PQDB_CORRUPT, "Iceberg metadata: %s", what);
}

static pqdb_code no_memory(const struct parser *parser) {
    return pq_fail(parser->err, PQDB_NO_MEMORY, "no memory for Iceberg metadata");
}

/// NULL also for JSON null: Iceberg treats both alike.
static const struct pq_json *find(const struct pq_json *object, const char *key) {
    const struct pq_json *value = pq_json_find(object, key);
    return value == NULL || pq_json_kind(value) == PQ_JSON_NULL ? NULL : value;
}

static const struct pq_json *find_list(const struct pq_json *object, const char *key) {
    const struct pq_json *value = find(object, key);
    return value != NULL && pq_json_kind(value) == PQ_JSON_LIST ? value : NULL;
}

/// `missing` is the value of an absent field; what is no integer is refused.
static pqdb_code parse_int(const struct parser *parser, const struct pq_json *object,
                           const char *key, int64_t missing, int64_t *value) {
    const struct pq_json *found = find(object, key);
    *value = missing;
    if (found == NULL) return PQDB_OK;
    if (pq_json_kind(found) != PQ_JSON_INT) {
        return pq_fail(parser->err, PQDB_CORRUPT, "Iceberg metadata: '%s' is no integer", key);
    }
    *value = pq_json_int(found);
    return PQDB_OK;
}

static pqdb_code parse_int32(const struct parser *parser, const struct pq_json *object,
                             const char *key, int32_t missing, int32_t *value) {
    int64_t wide = missing;
    PQ_TRY(parse_int(parser, object, key, missing, &wide));
    if (wide < INT32_MIN || wide > INT32_MAX) {
        return pq_fail(parser->err, PQDB_CORRUPT, "Iceberg metadata: '%s' leaves 32 bits", key);
    }
    *value = (int32_t)wide;
    return PQDB_OK;
}

static pqdb_code parse_text(const struct parser *parser, const struct pq_json *object,
                            const char *key, struct pq_text *text) {
    const struct pq_json *found = find(object, key);
    *text = (struct pq_text){NULL, 0};
    if (found == NULL || pq_json_kind(found) != PQ_JSON_TEXT) return PQDB_OK;
    *text = pq_arena_copy(parser->arena, pq_json_text(found));
    return text->data == NULL ? no_memory(parser) : PQDB_OK;
}

/// A value as compact JSON, "" for NULL.
static pqdb_code keep_json(struct parser *parser, const struct pq_json *value,
                           struct pq_text *json) {
    *json = PQ_TEXT("");
    if (value == NULL) return PQDB_OK;
    parser->text.length = 0;
    PQ_TRY(pq_json_write(&parser->text, value, parser->err));
    *json = pq_arena_copy(parser->arena, pq_bytes_text(&parser->text));
    return json->data == NULL ? no_memory(parser) : PQDB_OK;
}

static pqdb_code parse_pairs(const struct parser *parser, const struct pq_json *object,
                             const struct pq_iceberg_pair **pairs, size_t *count) {
    *count = 0;
    *pairs = NULL;
    if (object == NULL || pq_json_kind(object) != PQ_JSON_OBJECT) return PQDB_OK;
    const size_t total = pq_json_count(object);
    struct pq_iceberg_pair *made = pq_arena_calloc(parser->arena, total, sizeof *made);
    if (made == NULL) return no_memory(parser);
    const struct pq_json *key = total == 0 ? NULL : pq_json_first(object);
    for (size_t i = 0; i < total; i++) {
        const struct pq_json *value = pq_json_next(key);
        if (pq_json_kind(value) == PQ_JSON_TEXT) {
            struct pq_iceberg_pair *pair = &made[(*count)++];
            pair->key = pq_arena_copy(parser->arena, pq_json_text(key));
            pair->value = pq_arena_copy(parser->arena, pq_json_text(value));
            if (pair->key.data == NULL || pair->value.data == NULL) return no_memory(parser);
        }
        if (i + 1 < total) key = pq_json_next(value);
    }
    *pairs = made;
    return PQDB_OK;
}

static pqdb_code parse_schema(struct parser *parser, const struct pq_json *json,
                              struct pq_iceberg_schema *schema) {
    if (find_list(json, "fields") == NULL) return corrupt(parser, "a schema without fields");
    PQ_TRY(parse_int32(parser, json, "schema-id", 0, &schema->id));
    PQ_TRY(keep_json(parser, json, &schema->json));
    PQ_TRY(keep_json(parser, find_list(json, "fields"), &schema->fields));
    return keep_json(parser, find_list(json, "identifier-field-ids"), &schema->keys);
}

/// Version 1 may have the current schema only, as "schema".
static pqdb_code parse_schemas(struct parser *parser, const struct pq_json *root,
                               struct pq_iceberg_metadata *metadata) {
    const struct pq_json *list = find_list(root, "schemas");
    const struct pq_json *single = list == NULL ? find(root, "schema") : NULL;
    const size_t count = list != NULL ? pq_json_count(list) : single != NULL ? 1 : 0;
    if (count == 0) return corrupt(parser, "no schema");
    struct pq_iceberg_schema *schemas = pq_arena_calloc(parser->arena, count, sizeof *schemas);
    if (schemas == NULL) return no_memory(parser);
    const struct pq_json *json = list != NULL ? pq_json_first(list) : single;
    for (size_t i = 0; i < count; i++) {
        PQ_TRY(parse_schema(parser, json, &schemas[i]));
        if (i + 1 < count) json = pq_json_next(json);
    }
    metadata->schemas = schemas;
    metadata->schema_count = count;
    return parse_int32(parser, root, "current-schema-id", schemas[0].id,
                       &metadata->current_schema_id);
}

/// A counter of a snapshot's summary, which are texts; 0: none, or no number.
static int64_t counter(const struct pq_json *snapshot, const char *key) {
    const struct pq_json *summary = find(snapshot, "summary");
    const bool is_there = summary != NULL && pq_json_kind(summary) == PQ_JSON_OBJECT;
    const struct pq_json *found = is_there ? find(summary, key) : NULL;
    if (found == NULL || pq_json_kind(found) != PQ_JSON_TEXT) return 0;
    const struct pq_text text = pq_json_text(found);
    int64_t number = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' || number > INT64_MAX / 100) return 0;
        number = number * 10 + (text.data[i] - '0');
    }
    return number;
}

static pqdb_code parse_snapshot(struct parser *parser, const struct pq_json *json,
                                struct pq_iceberg_snapshot *snapshot) {
    PQ_TRY(parse_int(parser, json, "snapshot-id", PQ_ICEBERG_NO_SNAPSHOT, &snapshot->id));
    if (snapshot->id < 0) return corrupt(parser, "a snapshot without id");
    PQ_TRY(parse_int(parser, json, "parent-snapshot-id", PQ_ICEBERG_NO_SNAPSHOT,
                     &snapshot->parent_id));
    PQ_TRY(parse_int(parser, json, "sequence-number", 0, &snapshot->sequence_number));
    PQ_TRY(parse_int(parser, json, "timestamp-ms", 0, &snapshot->time_ms));
    PQ_TRY(parse_text(parser, json, "manifest-list", &snapshot->manifest_list));
    snapshot->removed_bytes = counter(json, "removed-files-size");
    return keep_json(parser, json, &snapshot->json);
}

static pqdb_code parse_snapshots(struct parser *parser, const struct pq_json *root,
                                 struct pq_iceberg_metadata *metadata) {
    PQ_TRY(parse_int(parser, root, "current-snapshot-id", PQ_ICEBERG_NO_SNAPSHOT,
                     &metadata->current_snapshot_id));
    const struct pq_json *list = find_list(root, "snapshots");
    const size_t count = list == NULL ? 0 : pq_json_count(list);
    struct pq_iceberg_snapshot *snapshots =
        pq_arena_calloc(parser->arena, count, sizeof *snapshots);
    if (snapshots == NULL) return no_memory(parser);
    const struct pq_json *json = count == 0 ? NULL : pq_json_first(list);
    for (size_t i = 0; i < count; i++) {
        PQ_TRY(parse_snapshot(parser, json, &snapshots[i]));
        if (snapshots[i].id == metadata->current_snapshot_id) {
            PQ_TRY(parse_pairs(parser, find(json, "summary"), &metadata->summary,
                               &metadata->summary_count));
        }
        if (i + 1 < count) json = pq_json_next(json);
    }
    metadata->snapshots = snapshots;
    metadata->snapshot_count = count;
    if (metadata->current_snapshot_id < 0) {
        metadata->current_snapshot_id = PQ_ICEBERG_NO_SNAPSHOT;
    } else if (pq_iceberg_current(metadata) == NULL) {
        return corrupt(parser, "the current snapshot is not among the snapshots");
    }
    return PQDB_OK;
}

static pqdb_code parse_log(struct parser *parser, const struct pq_json *list,
                           const struct pq_iceberg_log_entry **log, size_t *log_count) {
    const size_t count = list == NULL ? 0 : pq_json_count(list);
    struct pq_iceberg_log_entry *entries =
        pq_arena_calloc(parser->arena, count, sizeof *entries);
    if (entries == NULL) return no_memory(parser);
    const struct pq_json *json = count == 0 ? NULL : pq_json_first(list);
    for (size_t i = 0; i < count; i++) {
        PQ_TRY(parse_int(parser, json, "timestamp-ms", 0, &entries[i].time_ms));
        PQ_TRY(parse_int(parser, json, "snapshot-id", PQ_ICEBERG_NO_SNAPSHOT,
                         &entries[i].snapshot_id));
        PQ_TRY(parse_text(parser, json, "metadata-file", &entries[i].metadata_file));
        if (i + 1 < count) json = pq_json_next(json);
    }
    *log = entries;
    *log_count = count;
    return PQDB_OK;
}

static pqdb_code parse_root(struct parser *parser, const struct pq_json *root,
                            struct pq_iceberg_metadata *metadata) {
    PQ_TRY(parse_int32(parser, root, "format-version", 0, &metadata->format_version));
    if (metadata->format_version < 1) return corrupt(parser, "no format-version");
    if (metadata->format_version > 2) {
        return pq_fail(parser->err, PQDB_UNSUPPORTED,
                       "Iceberg format version %" PRId32 " is not supported, only 1 and 2",
                       metadata->format_version);
    }
    PQ_TRY(parse_text(parser, root, "table-uuid", &metadata->uuid));
    PQ_TRY(parse_text(parser, root, "location", &metadata->location));
    struct pq_text *location = &metadata->location;
    if (location->data == NULL) return corrupt(parser, "no location");
    while (location->length > 1 && location->data[location->length - 1] == '/') location->length--;
    PQ_TRY(parse_int(parser, root, "last-sequence-number", 0, &metadata->last_sequence_number));
    PQ_TRY(parse_int(parser, root, "last-updated-ms", 0, &metadata->last_updated_ms));
    PQ_TRY(parse_int32(parser, root, "last-column-id", 0, &metadata->last_column_id));
    PQ_TRY(parse_schemas(parser, root, metadata));
    PQ_TRY(parse_pairs(parser, find(root, "properties"), &metadata->properties,
                       &metadata->property_count));
    PQ_TRY(parse_snapshots(parser, root, metadata));
    PQ_TRY(parse_log(parser, find_list(root, "snapshot-log"), &metadata->snapshot_log,
                     &metadata->snapshot_log_count));
    return parse_log(parser, find_list(root, "metadata-log"), &metadata->metadata_log,
                     &metadata->metadata_log_count);
}

pqdb_code pq_iceberg_metadata_parse(struct pq_text json, struct pq_arena *arena,
                                    struct pq_iceberg_metadata *metadata, pqdb_error *err) {
    struct pq_json_document *document = NULL;
    pqdb_code code = pq_json_parse(json, PQ_JSON_STRICT, arena->source, &document, err);
    if (code == PQDB_INVALID) code = pq_fail(err, PQDB_CORRUPT, "Iceberg metadata is not JSON");
    if (code != PQDB_OK) return code;
    struct parser parser = {.arena = arena, .err = err};
    pq_bytes_init(&parser.text, arena->source);
    struct pq_iceberg_metadata made = {.current_snapshot_id = PQ_ICEBERG_NO_SNAPSHOT};
    code = parse_root(&parser, pq_json_root(document), &made);
    pq_bytes_deinit(&parser.text);
    pq_json_destroy(document);
    if (code == PQDB_OK) *metadata = made;
    return code;
}

pqdb_code pq_iceberg_metadata_schema(const struct pq_iceberg_metadata *metadata,
                                     struct pq_arena *arena, struct pq_type *schema,
                                     pqdb_error *err) {
    for (size_t i = 0; i < metadata->schema_count; i++) {
        if (metadata->schemas[i].id != metadata->current_schema_id) continue;
        struct pq_json_document *document = NULL;
        PQ_TRY(pq_json_parse(metadata->schemas[i].json, PQ_JSON_STRICT, arena->source, &document,
                             err));
        const pqdb_code code =
            pq_iceberg_schema_parse(pq_json_root(document), arena, schema, err);
        pq_json_destroy(document);
        return code;
    }
    return pq_fail(err, PQDB_CORRUPT, "Iceberg metadata: the current schema is not among them");
}

const struct pq_iceberg_snapshot *pq_iceberg_find_snapshot(
    const struct pq_iceberg_metadata *metadata, int64_t id) {
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        if (metadata->snapshots[i].id == id) return &metadata->snapshots[i];
    }
    return NULL;
}

const struct pq_iceberg_snapshot *pq_iceberg_current(const struct pq_iceberg_metadata *metadata) {
    return pq_iceberg_find_snapshot(metadata, metadata->current_snapshot_id);
}

struct pq_text pq_iceberg_pair_find(const struct pq_iceberg_pair *pairs, size_t count,
                                    const char *key) {
    for (size_t i = 0; i < count; i++) {
        if (pq_text_is(pairs[i].key, key)) return pairs[i].value;
    }
    return (struct pq_text){NULL, 0};
}

/// Hadoop writes "file:/a", most others "file:///a".
static struct pq_text without_scheme(struct pq_text path) {
    if (!pq_text_starts_with(path, PQ_TEXT("file:/"))) return path;
    size_t slashes = 5;
    while (slashes + 1 < path.length && path.data[slashes + 1] == '/') slashes++;
    return (struct pq_text){path.data + slashes, path.length - slashes};
}

struct pq_text pq_iceberg_relative(struct pq_text location, struct pq_text path) {
    const struct pq_text above = without_scheme(location), place = without_scheme(path);
    if (above.length == 0 || !pq_text_starts_with(place, above) ||
        place.length <= above.length + 1 || place.data[above.length] != '/') {
        return path;
    }
    return (struct pq_text){place.data + above.length + 1, place.length - above.length - 1};
}
