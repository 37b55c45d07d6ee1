/// Goal: pin what a schema document means, every mistake in one with its place, and the rows that
/// follow from it.
#include "type/schema.h"

#include <string.h>

#include "base/bytes.h"
#include "support/cases.h"
#include "support/test.h"

static void print_fields(struct pq_bytes *out, struct pq_arena *arena,
                         const struct pq_entry *entry) {
    for (size_t i = 0; i < entry->field_count; i++) {
        const struct pq_declared_field *field = &entry->fields[i];
        const struct pq_text type = pq_type_format(&field->field.type, arena);
        pq_bytes_printf(out, NULL, "  %s %s%s @%d", field->field.name.data, type.data,
                        field->field.required ? "!" : "", field->column);
        if (field->relation != NULL) {
            pq_bytes_printf(out, NULL, " %s %s", field->relation->inverse ? "<-" : "->",
                            field->relation->target.data);
        }
        pq_bytes_printf(out, NULL, "\n");
    }
    for (size_t i = 0; i < entry->path_count; i++) {
        const struct pq_variant_path_type *path = &entry->paths[i];
        pq_bytes_printf(out, NULL, "  %s: %s%s\n", path->path.data,
                        pq_type_format(&path->declared.field.type, arena).data,
                        path->built_in ? " built-in" : "");
    }
    for (size_t i = 0; i < entry->shred_count; i++) {
        pq_bytes_printf(out, NULL, "  shred %s\n", entry->shred[i].data);
    }
}

static void print_ids(struct pq_bytes *out, const struct pq_type *type) {
    for (uint32_t i = 0; i < type->field_count; i++) {
        pq_bytes_printf(out, NULL, "%s%s %d", i == 0 ? "" : ", ", type->fields[i].name.data,
                        type->fields[i].id);
        if (type->fields[i].type.field_count == 0) continue;
        pq_bytes_printf(out, NULL, " {");
        print_ids(out, &type->fields[i].type);
        pq_bytes_printf(out, NULL, "}");
    }
}

static void print_text(struct pq_bytes *out, const char *label, struct pq_text text) {
    if (text.length > 0) pq_bytes_printf(out, NULL, " %s=%s", label, text.data);
}

static void print_entry(struct pq_bytes *out, struct pq_arena *arena,
                        const struct pq_entry *entry) {
    static const char *const kinds[] = {"collection", "stream", "view", "external"};
    static const char *const backends[] = {"", " native", " iceberg", " delta"};
    pq_bytes_printf(out, NULL, "%zu:%zu %s %s%s%s", entry->line, entry->column, kinds[entry->kind],
                    entry->name.data, entry->broken ? " broken" : "", backends[entry->backend]);
    if (!pq_text_equal(entry->type_name, entry->name)) print_text(out, "type", entry->type_name);
    print_text(out, "id", entry->id_field);
    print_text(out, "ingest", entry->ingest);
    print_text(out, "stream", entry->ingest_collection);
    print_text(out, "was", entry->was);
    print_text(out, "description", entry->description);
    print_text(out, "format", entry->source_format);
    print_text(out, "location", entry->source_location);
    if (entry->strict) pq_bytes_printf(out, NULL, " strict");
    if (entry->has_history) {
        pq_bytes_printf(out, NULL, " history=%llds", (long long)(entry->history_us / 1000000));
    }
    if (entry->retention_us > 0) {
        pq_bytes_printf(out, NULL, " retention=%llds by %s",
                        (long long)(entry->retention_us / 1000000), entry->retention_by.data);
    }
    if (entry->retention_keeps) pq_bytes_printf(out, NULL, " keeps");
    pq_bytes_printf(out, NULL, "\n");
    print_fields(out, arena, entry);
}

static void print_problems(struct pq_bytes *out, const struct pq_problems *problems) {
    for (size_t i = 0; i < problems->count; i++) {
        const struct pq_problem *problem = &problems->items[i];
        pq_bytes_printf(out, NULL, "%zu:%zu %s %s: %s", problem->line, problem->column,
                        problem->code, problem->path.data, problem->message.data);
        if (problem->remedy.length > 0) pq_bytes_printf(out, NULL, " | %s", problem->remedy.data);
        pq_bytes_printf(out, NULL, "\n");
    }
}

/// Problems when there are any, else the entries, or with "ids" the ids of the first entry.
static void check_schema(const struct test_case *test) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_schema *schema = NULL;
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    pqdb_error err;
    const pqdb_code code =
        pq_schema_parse(pq_text_of(test->input), &pq_alloc_libc, &schema, &problems, &err);
    CHECK((code == PQDB_OK) == (schema != NULL), "code %d", code);
    CHECK(code == PQDB_OK || problems.errors > 0, "%s", err.message);
    print_problems(&out, &problems);
    if (problems.errors == 0 && test->part_count == 3) {
        print_ids(&out, pq_entry_row_type(&schema->entries[0]));
    } else if (problems.errors == 0) {
        for (size_t i = 0; i < schema->entry_count; i++) {
            print_entry(&out, &arena, &schema->entries[i]);
        }
    }
    pq_bytes_append_byte(&out, '\0', NULL);
    case_expect(test, (const char *)out.data);
    pq_bytes_deinit(&out);
    pq_schema_unref(schema);
    pq_arena_deinit(&arena);
}

static void schemas_mean_what_the_table_says(void) { cases_run("type/schema.cases", check_schema); }
static void mistakes_are_named_with_their_place(void) {
    cases_run("type/schema_error.cases", check_schema);
}

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL, "%s", path);
    if (file == NULL) return NULL;
    char *text = calloc(1, 1 << 16);
    const size_t length = fread(text, 1, (1 << 16) - 1, file);
    CHECK(length > 0, "%s is empty", path);
    fclose(file);
    return text;
}

static struct pq_schema *parse_file(const char *name, struct pq_problems *problems) {
    char path[512];
    snprintf(path, sizeof path, "%s/tests/cases/schema/%s", PQ_PROJECT_DIR, name);
    char *text = read_file(path);
    struct pq_schema *schema = NULL;
    pqdb_error err;
    if (text != NULL) {
        CHECK(pq_schema_parse(pq_text_of(text), &pq_alloc_libc, &schema, problems, &err) == PQDB_OK,
              "%s: %s", name, err.message);
    }
    free(text);
    return schema;
}

static void the_schemas_of_the_first_document_are_sound(void) {
    static const struct {
        const char *file;
        size_t collections, streams, views;
    } files[] = {{"quick_start.json5", 2, 1, 2},   {"stream_spelled_out.json5", 0, 1, 1},
                 {"tail_worker.json5", 0, 1, 4},   {"ai_observability.json5", 0, 4, 3},
                 {"refresh_modes.json5", 2, 0, 4}, {"directives.json5", 4, 1, 8}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct pq_arena arena;
        pq_arena_init(&arena, &pq_alloc_libc);
        struct pq_problems problems;
        pq_problems_init(&problems, &arena);
        struct pq_schema *schema = parse_file(files[i].file, &problems);
        for (size_t k = 0; k < problems.count; k++) {
            CHECK(false, "%s:%zu: %s", files[i].file, problems.items[k].line,
                  problems.items[k].message.data);
        }
        size_t counts[4] = {0};
        for (size_t k = 0; schema != NULL && k < schema->entry_count; k++) {
            counts[schema->entries[k].kind]++;
        }
        CHECK(counts[0] == files[i].collections && counts[1] == files[i].streams &&
                  counts[2] == files[i].views && counts[3] == 0,
              "%s: %zu %zu %zu", files[i].file, counts[0], counts[1], counts[2]);
        pq_schema_unref(schema);
        pq_arena_deinit(&arena);
    }
}

static void the_short_and_the_long_spelling_of_a_stream_are_one(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_schema *longer = parse_file("stream_spelled_out.json5", &problems);
    struct pq_schema *shorter = parse_file("tail_worker.json5", &problems);
    const struct pq_entry *a = pq_schema_find(longer, PQ_TEXT("TailEvents"));
    const struct pq_entry *b = pq_schema_find(shorter, PQ_TEXT("TailEvents"));
    CHECK(a != NULL && b != NULL && pq_type_equal(pq_entry_row_type(a), pq_entry_row_type(b)),
          "the row types differ");
    CHECK(a->path_count == 10 && b->path_count == 10, "%zu and %zu paths", a->path_count,
          b->path_count);
    pq_schema_unref(longer);
    pq_schema_unref(shorter);
    pq_arena_deinit(&arena);
}

static void declarations_carry_the_ids_of_their_columns(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_schema *schema = NULL;
    const struct pq_text text = PQ_TEXT("{ A: { n: 'int', o: { p: 'int' }, l: [{ q: 'date' }] } }");
    CHECK(pq_schema_parse(text, &pq_alloc_libc, &schema, &problems, NULL) == PQDB_OK, "parse");
    const struct pq_declared_field *fields = schema->entries[0].fields;
    CHECK(fields[0].field.id == 8 && fields[1].field.id == 9 && fields[2].field.id == 10, "top");
    CHECK(fields[1].members[0].field.id == 11, "o.p has id %d", fields[1].members[0].field.id);
    CHECK(fields[2].members[0].field.id == 13, "l.q has id %d", fields[2].members[0].field.id);
    pq_schema_unref(schema);
    pq_arena_deinit(&arena);
}

static void entries_and_places_are_found(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_schema *schema = NULL;
    pqdb_error err;
    const struct pq_text text = PQ_TEXT(
        "{ Order: { a: 'int' },\n  V: { $from: 'Order',\n"
        "    $filter: { a: [true, 5] } } }");
    CHECK(pq_schema_parse(text, &pq_alloc_libc, &schema, &problems, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(pq_schema_find(schema, PQ_TEXT("order")) == NULL, "names are exact");
    CHECK(strcmp(pq_schema_nearest(schema, PQ_TEXT("order")), "Order") == 0, "by case");
    CHECK(strcmp(pq_schema_nearest(schema, PQ_TEXT("Ordr")), "Order") == 0, "by distance");
    CHECK(pq_schema_nearest(schema, PQ_TEXT("Something")) == NULL, "nothing is near");
    const struct pq_entry *view = pq_schema_find(schema, PQ_TEXT("V"));
    CHECK(view != NULL && view->row_type.field_count == 0, "the view");
    const struct pq_json *filter = pq_json_find(view->definition, "$filter");
    const struct pq_json *list = pq_json_find(filter, "a");
    struct pq_problem_at at = pq_schema_at(schema, list, PQ_TEXT("V.$filter.a"));
    CHECK(at.line == 3 && at.column == 16, "%zu:%zu", at.line, at.column);
    at = pq_schema_at(schema, pq_json_next(pq_json_first(list)), PQ_TEXT(""));
    CHECK(at.line == 3 && at.column == 26, "%zu:%zu", at.line, at.column);
    struct pq_schema *again = pq_schema_ref(schema);
    pq_schema_unref(schema);
    CHECK(pq_schema_find(again, PQ_TEXT("Order")) != NULL, "a reference keeps it");
    pq_schema_unref(again);
    pq_arena_deinit(&arena);
}

static void every_allocation_may_fail(void) {
    static const char text[] =
        "{ A: { x: 'enum(a,b) = a', y: [{ z: '-> B', w: 'vector(2) = [1,2]' }], $id: 'x',"
        "       $paths: { 'q.r': 'string' }, $shred: ['q.r'], $retention: '30d' },"
        "  B: { name: 'string!', as: '<- A.b[]', $was: 'C' },"
        "  TailEvents: { $ingest: 'tail' }, V: { $from: 'A', $bogus: 1 }, A2: { x: 5 } }";
    for (long n = 0;; n++) {
        struct failing_alloc memory = {.alloc = {failing_resize, &memory}, .left = n};
        struct pq_arena arena;
        pq_arena_init(&arena, &pq_alloc_libc);
        struct pq_problems problems;
        pq_problems_init(&problems, &arena);
        struct pq_schema *schema = NULL;
        const pqdb_code code =
            pq_schema_parse(pq_text_of(text), &memory.alloc, &schema, &problems, NULL);
        CHECK((code == PQDB_OK) == (schema != NULL), "allocation %ld", n);
        pq_schema_unref(schema);
        CHECK(memory.live_bytes == 0, "allocation %ld: %ld bytes leak", n, memory.live_bytes);
        const size_t errors = problems.errors;
        pq_arena_deinit(&arena);
        if (code == PQDB_OK) {
            CHECK(errors == 2, "%zu errors", errors);  // A2.x, and A.b that is not there
            break;
        }
        CHECK(code == PQDB_NO_MEMORY, "allocation %ld: code %d", n, code);
    }
}

static void limits_are_kept(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_schema *schema = NULL;
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (int i = 0; i <= PQ_SCHEMA_BYTES_MAX; i++) pq_bytes_append_byte(&text, ' ', NULL);
    CHECK(pq_schema_parse(pq_bytes_text(&text), &pq_alloc_libc, &schema, &problems, NULL) ==
              PQDB_LIMIT,
          "a megabyte of blanks");
    text.length = 0;
    for (int i = 0; i <= PQ_SCHEMA_ENTRIES_MAX; i++) {
        pq_bytes_printf(&text, NULL, "%sE%d: {}", i == 0 ? "{" : ",", i);
    }
    pq_bytes_append_byte(&text, '}', NULL);
    CHECK(pq_schema_parse(pq_bytes_text(&text), &pq_alloc_libc, &schema, &problems, NULL) ==
              PQDB_LIMIT,
          "too many entries");
    text.length = 0;
    for (int i = 0; i <= PQ_ENTRY_FIELDS_MAX; i++) {
        pq_bytes_printf(&text, NULL, "%sf%d: 'int'", i == 0 ? "{ E: {" : ",", i);
    }
    pq_bytes_append_text(&text, PQ_TEXT("}}"), NULL);
    CHECK(
        pq_schema_parse(pq_bytes_text(&text), &pq_alloc_libc, &schema, &problems, NULL) == PQDB_OK,
        "too many fields are a problem of the entry");
    CHECK(problems.errors == 1 && strcmp(problems.items[0].code, "TOO_MANY") == 0, "%zu",
          problems.errors);
    pq_schema_unref(schema);
    pq_bytes_deinit(&text);
    pq_arena_deinit(&arena);
}

int main(void) {
    RUN(schemas_mean_what_the_table_says);
    RUN(mistakes_are_named_with_their_place);
    RUN(the_schemas_of_the_first_document_are_sound);
    RUN(the_short_and_the_long_spelling_of_a_stream_are_one);
    RUN(declarations_carry_the_ids_of_their_columns);
    RUN(entries_and_places_are_found);
    RUN(every_allocation_may_fail);
    RUN(limits_are_kept);
    return test_done();
}
