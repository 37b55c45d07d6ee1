/// The built-in stream collections: their fields, and what is known inside their variants.
#include <stdio.h>

#include "base/fail.h"
#include "type/schema_internal.h"

struct pair {
    const char *name;
    const char *type;
};

struct stream {
    const char *source;      // $ingest
    const char *collection;  // name of the entry, or its $type …
    const char *singular;    // … which may also be this
    struct pair fields[10];
    struct pair paths[12];
};

static const struct stream streams[] = {
    {"tail",
     "TailEvents",
     "TailEvent",
     {{"scriptName", "string!"},
      {"outcome", "string!"},
      {"eventTimestamp", "timestamp!"},
      {"event", "variant?"},
      {"logs", "variant[]"},
      {"exceptions", "variant[]"}},
     {{"event.request.url", "string"},
      {"event.request.method", "string"},
      {"event.request.cf.colo", "string"},
      {"event.request.cf.country", "string"},
      {"event.response.status", "int"},
      {"logs.level", "string"},
      {"logs.timestamp", "timestamp"},
      {"exceptions.name", "string"},
      {"exceptions.message", "string"},
      {"exceptions.timestamp", "timestamp"}}},
    {"ai-sdk",
     "AIRequests",
     "AIRequest",
     {{"modelId", "string!"},
      {"providerId", "string!"},
      {"requestType", "string!"},
      {"tokens", "int?"},
      {"promptTokens", "int?"},
      {"completionTokens", "int?"},
      {"latencyMs", "int!"},
      {"cached", "boolean!"},
      {"error", "variant?"},
      {"timestamp", "timestamp!"}},
     {{0}}},
    {"ai-sdk",
     "Generations",
     "Generation",
     {{"modelId", "string!"},
      {"contentType", "string!"},
      {"content", "variant!"},
      {"prompt", "string?"},
      {"tokens", "int?"},
      {"timestamp", "timestamp!"}},
     {{0}}},
    {"evalite",
     "EvalRuns",
     "EvalRun",
     {{"runId", "int!"}, {"runType", "string!"}, {"timestamp", "timestamp!"}},
     {{0}}},
    {"evalite",
     "EvalScores",
     "EvalScore",
     {{"runId", "int!"},
      {"suiteName", "string!"},
      {"scorerName", "string!"},
      {"score", "decimal(5,4)!"},
      {"timestamp", "timestamp!"}},
     {{0}}},
};
enum { stream_count = sizeof streams / sizeof *streams };

static bool is_named(const struct stream *stream, struct pq_text name) {
    return pq_text_is(name, stream->collection) || pq_text_is(name, stream->singular);
}

/// Which of the source's collections the entry is: by its name, else by its $type, else the only
/// one there is.
static const struct stream *find_stream(const struct pq_entry *entry) {
    const struct stream *only = NULL;
    size_t count = 0;
    for (size_t i = 0; i < stream_count; i++) {
        if (!pq_text_is(entry->ingest, streams[i].source)) continue;
        if (is_named(&streams[i], entry->name)) return &streams[i];
        only = &streams[i];
        count++;
    }
    for (size_t i = 0; i < stream_count; i++) {
        if (!pq_text_is(entry->ingest, streams[i].source)) continue;
        if (is_named(&streams[i], entry->type_name)) return &streams[i];
    }
    return count == 1 ? only : NULL;
}

static void fail_source(struct schema_parse *parse, const struct place *place) {
    static const char *const sources[] = {"tail", "ai-sdk", "evalite", "custom:name"};
    const struct pq_text given = parse->entry->ingest;
    char remedy[80], names[100] = "";
    size_t used = 0;
    for (size_t i = 0; i < stream_count; i++) {
        if (!pq_text_is(given, streams[i].source)) continue;
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s",
                                 used == 0 ? "Name the entry " : " or ", streams[i].collection);
    }
    if (used > 0) {
        snprintf(names + used, sizeof names - used, ", or set its $type to that");
        schema_problem(parse, place, "INVALID_INGEST", names,
                       "'%.*s' has two collections, and neither is named '%.*s'",
                       PQ_TEXT_ARG(given), PQ_TEXT_ARG(parse->entry->name));
        return;
    }
    const char *nearest = schema_did_you_mean(given, sources, 4, remedy);
    schema_problem(parse, place, "INVALID_INGEST",
                   nearest != NULL ? nearest : "Use tail, ai-sdk, evalite or custom:<name>",
                   "'%.*s' is no source of a stream", PQ_TEXT_ARG(given));
}

static pqdb_code add_fields(struct schema_parse *parse, const struct stream *stream,
                            struct pq_problem_at at) {
    enum { fields_max = sizeof stream->fields / sizeof *stream->fields };
    struct pq_arena *arena = &parse->schema->arena;
    struct pq_declared_field *fields = pq_arena_calloc(arena, fields_max, sizeof *fields);
    if (fields == NULL) return schema_no_memory(parse);
    size_t count = 0;
    for (; count < fields_max && stream->fields[count].name != NULL; count++) {
        struct pq_ice_target target = {arena, parse->problems, &fields[count]};
        PQ_TRY(pq_ice_type_parse(pq_text_of(stream->fields[count].name),
                                 pq_text_of(stream->fields[count].type), at, &target,
                                 parse->err));
    }
    parse->entry->fields = fields;
    parse->entry->field_count = count;
    return PQDB_OK;
}

static bool has_path(const struct pq_entry *entry, struct pq_text path) {
    for (size_t i = 0; i < entry->path_count; i++) {
        if (pq_text_equal(entry->paths[i].path, path)) return true;
    }
    return false;
}

/// The paths that the entry does not type itself, where they lead into a variant.
static pqdb_code add_paths(struct schema_parse *parse, const struct stream *stream,
                           struct pq_problem_at at) {
    enum { paths_max = sizeof stream->paths / sizeof *stream->paths };
    struct pq_entry *entry = parse->entry;
    struct pq_arena *arena = &parse->schema->arena;
    struct pq_variant_path_type *paths =
        pq_arena_calloc(arena, entry->path_count + paths_max, sizeof *paths);
    if (paths == NULL) return schema_no_memory(parse);
    if (entry->path_count > 0) memcpy(paths, entry->paths, entry->path_count * sizeof *paths);
    size_t count = entry->path_count;
    for (size_t i = 0; i < paths_max && stream->paths[i].name != NULL; i++) {
        const struct pq_text path = pq_text_of(stream->paths[i].name);
        if (has_path(entry, path) || schema_check_variant_path(entry, path) != NULL) continue;
        struct pq_variant_path_type *added = &paths[count++];
        *added = (struct pq_variant_path_type){.path = path, .built_in = true};
        struct pq_ice_target target = {arena, parse->problems, &added->declared};
        PQ_TRY(pq_ice_type_parse(path, pq_text_of(stream->paths[i].type), at, &target,
                                 parse->err));
    }
    entry->paths = paths;
    entry->path_count = count;
    return PQDB_OK;
}

pqdb_code schema_add_stream(struct schema_parse *parse, const struct place *place) {
    struct pq_entry *entry = parse->entry;
    if (pq_text_starts_with(entry->ingest, PQ_TEXT("custom:"))) {
        const struct pq_text name = {entry->ingest.data + 7, entry->ingest.length - 7};
        if (pq_is_entry_name(name)) return PQDB_OK;
        schema_problem(parse, place, "INVALID_INGEST", "Write custom:orders",
                       "the name after custom: is made of letters, digits and _");
        return PQDB_OK;
    }
    const struct stream *stream = find_stream(entry);
    if (stream == NULL) {
        fail_source(parse, place);
        return PQDB_OK;
    }
    struct pq_problem_at at = schema_at(parse, place);
    entry->ingest_collection = pq_text_of(stream->collection);
    if (entry->field_count == 0) PQ_TRY(add_fields(parse, stream, at));
    return add_paths(parse, stream, at);
}
