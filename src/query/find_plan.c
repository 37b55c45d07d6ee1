/// query/find_plan.c: what is asked: filter, sort and columns compiled, and which columns of the
/// table that takes.
#include <stdio.h>

#include "base/fail.h"
#include "base/json.h"
#include "query/find_internal.h"
#include "table/shred.h"

enum { columns_max = 4096 };  // of an answer

// ---- what is asked ------------------------------------------------------------------------------

static struct pq_scope scope_of(const struct pq_find *find, struct pq_problems *problems) {
    if (find->links.any) {
        struct pq_scope scope = find->links.scope;
        scope.problems = problems;
        return scope;
    }
    return (struct pq_scope){.type = find->snapshot->type, .paths = find->table.paths,
                             .path_count = find->table.path_count,
                             .relations = find->table.relations,
                             .extra_column = find->table.extra_column,
                             .closed = find->table.closed, .strict = find->table.strict,
                             .owner_name = find->table.name.data, .problems = problems};
}

static void note_warnings(struct pq_find *find, const struct pq_problems *problems) {
    for (size_t i = 0; i < problems->count && find->note[0] == '\0'; i++) {
        if (!problems->items[i].warning) continue;
        snprintf(find->note, sizeof find->note, "%.*s", PQ_TEXT_ARG(problems->items[i].message));
    }
}

static pqdb_code parse_document(struct pq_find *find, struct pq_text text, const char *what,
                                const struct pq_json **root, pqdb_error *err) {
    struct pq_json_document *document;
    const pqdb_code code =
        pq_json_parse(text, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, find->alloc, &document, err);
    if (code != PQDB_OK) return pq_fail_subject(err, code, pq_text_of(what));
    find->documents[find->document_count++] = document;
    *root = pq_json_root(document);
    return PQDB_OK;
}

static pqdb_code compile_filter(struct pq_find *find, struct pq_text text, pqdb_error *err) {
    if (text.length == 0) return PQDB_OK;
    const struct pq_json *json;
    PQ_TRY(parse_document(find, text, "filter", &json, err));
    find->filter_document = find->document_count - 1;
    struct pq_problems problems;
    pq_problems_init(&problems, &find->arena);
    const struct pq_scope scope = scope_of(find, &problems);
    const struct pq_source source = {.json = json, .path = PQ_TEXT("filter"),
                                     .code = "INVALID_FILTER"};
    const pqdb_code code = pq_filter_compile(&source, &scope, find->alloc, &find->filter, err);
    note_warnings(find, &problems);
    return code == PQDB_INVALID ? pq_problems_code(&problems, err) : code;
}

/// For scans: a path that files keep as a column of its own is that column.
static pqdb_code compile_path_filter(struct pq_find *find, pqdb_error *err) {
    const struct pq_shreds *shreds = find->snapshot->shreds;
    if (find->filter == NULL || shreds == NULL || find->links.any) return PQDB_OK;
    struct pq_problems problems;  // told already
    pq_problems_init(&problems, &find->arena);
    struct pq_scope scope = scope_of(find, &problems);
    scope.type = shreds->type;
    scope.path_columns = shreds->first;
    const struct pq_source source = {.json = pq_json_root(find->documents[find->filter_document]),
                                     .path = PQ_TEXT("filter"), .code = "INVALID_FILTER"};
    return pq_filter_compile(&source, &scope, find->alloc, &find->path_filter, err);
}

static pqdb_code compile_path(struct pq_find *find, struct pq_text path, const char *where,
                              struct pq_program **program, pqdb_error *err) {
    struct pq_problems problems;
    pq_problems_init(&problems, &find->arena);
    const struct pq_scope scope = scope_of(find, &problems);
    const struct pq_source source = {.field = path, .path = pq_text_of(where),
                                     .code = "INVALID_PATH"};
    const pqdb_code code = pq_expr_compile(&source, &scope, find->alloc, program, err);
    note_warnings(find, &problems);
    return code == PQDB_INVALID ? pq_problems_code(&problems, err) : code;
}

static pqdb_code sort_direction(const struct pq_json *value, struct pq_text path,
                                bool *descending, pqdb_error *err) {
    const enum pq_json_kind kind = pq_json_kind(value);
    if (kind == PQ_JSON_TEXT || kind == PQ_JSON_NUMBER) {
        const struct pq_text text = pq_json_text(value);
        *descending = pq_text_is(text, "-1") || pq_text_is(text, "desc");
        if (*descending || pq_text_is(text, "1") || pq_text_is(text, "asc")) return PQDB_OK;
    }
    pq_fail(err, PQDB_INVALID, "a sort direction is 1, -1, 'asc' or 'desc'");
    return pq_fail_subject(err, PQDB_INVALID, path);
}

static pqdb_code compile_sort(struct pq_find *find, struct pq_text text, pqdb_error *err) {
    find->streams = pq_text_is(text, "none");
    if (text.length == 0 || find->streams) return PQDB_OK;
    const struct pq_json *json;
    PQ_TRY(parse_document(find, text, "sort", &json, err));
    if (pq_json_kind(json) != PQ_JSON_OBJECT) {
        pq_fail(err, PQDB_INVALID, "a sort is an object like { total: -1, name: 1 }");
        return pq_fail_subject(err, PQDB_INVALID, PQ_TEXT("sort"));
    }
    const size_t count = pq_json_count(json);
    if (count > PQ_SORT_KEYS_MAX) return pq_fail(err, PQDB_LIMIT, "at most 16 sort keys");
    const struct pq_json *key = count == 0 ? NULL : pq_json_first(json);
    for (size_t i = 0; i < count; i++) {
        const struct pq_json *value = pq_json_next(key);
        struct pq_order_key *made = &find->keys[i];
        PQ_TRY(sort_direction(value, pq_json_text(key), &made->descending, err));
        PQ_TRY(compile_path(find, pq_json_text(key), "sort", &made->program, err));
        find->key_count++;
        key = pq_json_next(value);
    }
    return PQDB_OK;
}

// ---- columns ------------------------------------------------------------------------------------

static bool is_hidden(struct pq_text name) {
    return pq_text_is(name, "$seq") || pq_text_is(name, "$index") || pq_text_is(name, "_extra");
}

static void add_column(struct pq_find *find, uint32_t column) {
    const struct pq_field *field = &find->snapshot->type->fields[column];
    find->columns[find->column_count++] =
        (struct pq_find_column){.name = field->name, .type = field->type, .column = column};
    find->wanted[column] = true;
}

/// A collection's own system columns: those between `$seq` and the declared ones.
bool pq_find_is_system(const struct pq_find *find, struct pq_text name) {
    return !find->table.closed &&
           (pq_text_is(name, "createdAt") || pq_text_is(name, "updatedAt") ||
            pq_text_is(name, "version"));
}

static void choose_all(struct pq_find *find, bool system_columns) {
    const struct pq_type *type = find->snapshot->type;
    find->all_columns = true;
    add_column(find, 0);
    for (uint32_t k = 1; k < type->field_count; k++) {
        const struct pq_text name = type->fields[k].name;
        if (is_hidden(name) || pq_find_is_system(find, name)) continue;
        if (pq_text_is(name, "$type") && !find->table.closed && !system_columns) continue;
        add_column(find, k);
    }
    for (uint32_t k = 1; k < type->field_count && system_columns; k++) {
        if (pq_find_is_system(find, type->fields[k].name)) add_column(find, k);
    }
    if (find->table.extra_column >= 0) find->wanted[find->table.extra_column] = true;
}

static struct pq_text trimmed(struct pq_text text) {
    while (text.length > 0 && text.data[0] == ' ') {
        text.data++;
        text.length--;
    }
    while (text.length > 0 && text.data[text.length - 1] == ' ') text.length--;
    return text;
}

static pqdb_code choose_path(struct pq_find *find, struct pq_text path, pqdb_error *err) {
    const int column = pq_type_find(find->snapshot->type, path);
    if (column == 0) return PQDB_OK;  // there already
    if (column > 0 && !is_hidden(path)) {
        add_column(find, (uint32_t)column);
        return PQDB_OK;
    }
    struct pq_find_column *made = &find->columns[find->column_count];
    made->name = pq_arena_copy(&find->arena, path);
    if (made->name.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a column");
    PQ_TRY(compile_path(find, path, "select", &made->program, err));
    made->type = *pq_program_type(made->program);
    find->column_count++;
    return PQDB_OK;
}

static pqdb_code choose_columns(struct pq_find *find, const struct pq_find_request *request,
                                pqdb_error *err) {
    const size_t fields = find->snapshot->type->field_count;
    size_t items = 2;
    for (size_t i = 0; i < request->select.length; i++) items += request->select.data[i] == ',';
    if (items > columns_max) return pq_fail(err, PQDB_LIMIT, "at most %d columns", columns_max);
    find->columns = pq_arena_calloc(&find->arena, fields + items, sizeof *find->columns);
    const size_t wanted = find->links.any ? find->links.spec.output->field_count : fields;
    find->wanted = pq_arena_calloc(&find->arena, wanted, sizeof *find->wanted);
    find->tested = pq_arena_calloc(&find->arena, wanted, sizeof *find->tested);
    find->sorted = pq_arena_calloc(&find->arena, wanted, sizeof *find->sorted);
    const struct pq_shreds *shreds = find->snapshot->shreds;
    const size_t paths = shreds == NULL ? 0 : shreds->count;
    find->scanned = pq_arena_calloc(&find->arena, wanted + paths, sizeof *find->scanned);
    if (find->columns == NULL || find->wanted == NULL || find->tested == NULL ||
        find->sorted == NULL || find->scanned == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "columns of an answer");
    }
    if (find->counts_only) return PQDB_OK;
    if (request->select.length == 0) {
        choose_all(find, request->system_columns);
        return PQDB_OK;
    }
    add_column(find, 0);
    struct pq_text rest = request->select;
    while (rest.length > 0) {
        const char *comma = memchr(rest.data, ',', rest.length);
        const size_t length = comma == NULL ? rest.length : (size_t)(comma - rest.data);
        PQ_TRY(choose_path(find, trimmed((struct pq_text){rest.data, length}), err));
        const size_t used = comma == NULL ? length : length + 1;
        rest.data += used;
        rest.length -= used;
    }
    return PQDB_OK;
}

static void want(const struct pq_program *program, bool *wanted) {
    if (program == NULL) return;
    size_t count;
    const uint32_t *columns = pq_program_columns(program, &count);
    for (size_t i = 0; i < count; i++) wanted[columns[i]] = true;
}

// ---- links --------------------------------------------------------------------------------------

/// Paths of the sort and the columns; `paths` has room for as many as there may be.
static pqdb_code name_paths(struct pq_find *find, const struct pq_find_request *request,
                            struct pq_text *paths, size_t *count, pqdb_error *err) {
    *count = 0;
    if (request->sort.length > 0 && !pq_text_is(request->sort, "none")) {
        const struct pq_json *json;
        PQ_TRY(parse_document(find, request->sort, "sort", &json, err));
        const bool is_object = pq_json_kind(json) == PQ_JSON_OBJECT;
        const struct pq_json *key =
            is_object && pq_json_count(json) > 0 ? pq_json_first(json) : NULL;
        for (size_t k = is_object ? pq_json_count(json) : 0; k > 0 && *count < columns_max; k--) {
            paths[(*count)++] = pq_json_text(key);
            key = pq_json_next(pq_json_next(key));
        }
    }
    struct pq_text rest = request->select;
    while (rest.length > 0 && *count < columns_max) {
        const char *comma = memchr(rest.data, ',', rest.length);
        const size_t length = comma == NULL ? rest.length : (size_t)(comma - rest.data);
        paths[(*count)++] = trimmed((struct pq_text){rest.data, length});
        const size_t used = comma == NULL ? length : length + 1;
        rest.data += used;
        rest.length -= used;
    }
    return PQDB_OK;
}

/// Which links the query follows, before anything of it is compiled.
static pqdb_code plan_links(struct pq_find *find, const struct pq_find_request *request,
                            pqdb_error *err) {
    const struct pq_find_table *table = &find->table;
    const struct pq_json *filter = NULL;
    size_t path_count;
    if (table->stage == NULL || table->lookup == NULL) return PQDB_OK;
    if (request->filter.length + request->sort.length + request->select.length == 0) {
        return PQDB_OK;
    }
    struct pq_text *paths = pq_arena_alloc(&find->arena, columns_max * sizeof *paths);
    if (paths == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an answer");
    if (request->filter.length > 0) {
        PQ_TRY(parse_document(find, request->filter, "filter", &filter, err));
    }
    PQ_TRY(name_paths(find, request, paths, &path_count, err));
    const struct pq_query_paths asked = {&filter, 1, paths, path_count};
    return pq_query_links_plan(table->stage, &asked, &find->arena, &find->links, err);
}

// ---- all of it ----------------------------------------------------------------------------------

/// Columns that are read: by the filter, and in the end. The table's own come first in what they
/// are expanded to.
static void choose_reads(struct pq_find *find) {
    want(find->filter, find->tested);
    want(find->path_filter == NULL ? find->filter : find->path_filter, find->scanned);
    find->wanted[0] = !find->counts_only;  // rows are told apart by it
    find->sorted[0] = true;
    for (size_t k = 0; k < find->key_count; k++) want(find->keys[k].program, find->sorted);
    for (size_t k = 0; k < find->column_count; k++) {
        want(find->columns[k].program, find->wanted);
    }
    if (!find->links.any) return;
    pq_expand_reads(&find->links.spec, find->tested, find->tested);
    pq_expand_reads(&find->links.spec, find->scanned, find->scanned);
    pq_expand_reads(&find->links.spec, find->wanted, find->wanted);
    pq_expand_reads(&find->links.spec, find->sorted, find->sorted);
}

/// What columns are read for, where some of it may be had without the rest of a variant.
static pqdb_code choose_paths(struct pq_find *find, pqdb_error *err) {
    const size_t width = find->snapshot->type->field_count;
    if (find->snapshot->shreds == NULL || find->links.any) return PQDB_OK;
    PQ_TRY(pq_reads_init(&find->reads, width, &find->arena, err));
    for (size_t k = 0; k < find->key_count; k++) {
        PQ_TRY(pq_reads_add(&find->reads, find->keys[k].program, err));
    }
    for (size_t k = 0; k < find->column_count; k++) {
        const struct pq_find_column *column = &find->columns[k];
        PQ_TRY(pq_reads_add(&find->reads, column->program, err));
        if (column->program == NULL) pq_reads_add_column(&find->reads, column->column);
    }
    if (find->all_columns && find->table.extra_column >= 0) {
        pq_reads_add_column(&find->reads, (size_t)find->table.extra_column);
    }
    return PQDB_OK;
}

pqdb_code pq_find_plan(struct pq_find *find, const struct pq_find_request *request,
                       pqdb_error *err) {
    PQ_TRY(plan_links(find, request, err));
    PQ_TRY(compile_filter(find, request->filter, err));
    PQ_TRY(compile_path_filter(find, err));
    PQ_TRY(compile_sort(find, request->sort, err));
    PQ_TRY(choose_columns(find, request, err));
    choose_reads(find);
    PQ_TRY(choose_paths(find, err));
    find->computed = pq_arena_calloc(&find->arena, find->column_count + 1, sizeof *find->computed);
    if (find->computed == NULL) return pq_fail(err, PQDB_NO_MEMORY, "columns of an answer");
    find->order.keys = find->keys;
    find->order.key_count = find->key_count;
    return PQDB_OK;
}
