#include "query/find.h"

#include <stdio.h>

#include "base/fail.h"
#include "base/json.h"
#include "expr/print.h"
#include "query/order.h"
#include "table/fetch.h"
#include "table/scan.h"
#include "variant/variant.h"

enum { columns_max = 4096, sort_keys_max = 16, note_bytes = 256 };

static const uint64_t rows_max = UINT64_MAX / 4;  // so that sums of them do not wrap

struct pq_find {
    struct pq_find_table table;
    const struct pq_alloc *alloc;
    struct pq_table_snapshot *snapshot;  // referenced
    struct pq_arena arena;        // lives as long as the answer
    struct pq_arena rows_arena;   // what is ordered; in a streamed answer the current batch
    struct pq_query_links links;
    struct pq_json_document *documents[4];  // filter and sort, and once more for their links
    size_t document_count;
    struct pq_program *filter;
    struct pq_order_key keys[sort_keys_max];
    size_t key_count;
    bool streams;  // storage order: nothing is collected
    struct pq_find_column *columns;
    size_t column_count;
    bool all_columns;  // no select: undeclared fields are printed too
    bool *wanted;      // columns of the table that are read
    uint64_t skip, limit, given;
    struct pq_scan scan;
    bool scanning;
    struct pq_order order;
    size_t next;  // row of `order`
    struct pq_batch batch;  // of the current row
    size_t row;
    struct pq_column *computed;  // of program columns, for `batch`
    bool is_computed;            // in a streamed answer
    struct pq_arena computed_arena;
    char note[note_bytes];
};

// ---- what is asked ----------------------------------------------------------------------------

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
    struct pq_problems problems;
    pq_problems_init(&problems, &find->arena);
    const struct pq_scope scope = scope_of(find, &problems);
    const struct pq_source source = {.json = json, .path = PQ_TEXT("filter"),
                                     .code = "INVALID_FILTER"};
    const pqdb_code code = pq_filter_compile(&source, &scope, find->alloc, &find->filter, err);
    note_warnings(find, &problems);
    return code == PQDB_INVALID ? pq_problems_code(&problems, err) : code;
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
    if (count > sort_keys_max) return pq_fail(err, PQDB_LIMIT, "at most 16 sort keys");
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

// ---- columns ----------------------------------------------------------------------------------

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
static bool is_system(const struct pq_find *find, struct pq_text name) {
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
        if (is_hidden(name) || is_system(find, name)) continue;
        if (pq_text_is(name, "$type") && !find->table.closed && !system_columns) continue;
        add_column(find, k);
    }
    for (uint32_t k = 1; k < type->field_count && system_columns; k++) {
        if (is_system(find, type->fields[k].name)) add_column(find, k);
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
    if (find->columns == NULL || find->wanted == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "columns of an answer");
    }
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

static void want(struct pq_find *find, const struct pq_program *program) {
    if (program == NULL) return;
    size_t count;
    const uint32_t *columns = pq_program_columns(program, &count);
    for (size_t i = 0; i < count; i++) find->wanted[columns[i]] = true;
}

// ---- links ------------------------------------------------------------------------------------

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

// ---- collecting and sorting -------------------------------------------------------------------

/// The rows with what their links lead to, as far as the query names it.
static pqdb_code follow_links(struct pq_find *find, struct pq_batch *batch,
                              struct pq_arena *arena, pqdb_error *err) {
    if (!find->links.any || batch->count == 0) return PQDB_OK;
    const struct pq_batch rows = *batch;
    return pq_expand_rows(&find->links.spec, find->table.lookup, &rows, arena, batch, err);
}

/// The next rows of the scan that match, in `arena`; count 0 at the end.
static pqdb_code next_matches(struct pq_find *find, struct pq_arena *arena,
                              struct pq_batch *batch, pqdb_error *err) {
    for (;;) {
        PQ_TRY(pq_scan_next(&find->scan, arena, batch, err));
        PQ_TRY(follow_links(find, batch, arena, err));
        if (batch->count == 0 || find->filter == NULL) return PQDB_OK;
        struct pq_selection selection;
        PQ_TRY(pq_program_select(find->filter, batch, arena, &selection, err));
        if (selection.rows == NULL && selection.count == batch->count) return PQDB_OK;
        if (selection.count == 0) continue;
        struct pq_batch matches;
        PQ_TRY(pq_batch_gather(batch, selection.rows, selection.count, arena, &matches, err));
        *batch = matches;
        return PQDB_OK;
    }
}

static void skip_rows(struct pq_find *find) {
    const size_t count = find->order.ref_count;
    find->next = find->skip < count ? (size_t)find->skip : count;
}

static pqdb_code collect(struct pq_find *find, pqdb_error *err) {
    const bool keeps_all = find->limit == 0 || find->limit > rows_max - find->skip ||
                           find->skip > rows_max;
    find->order.keep = keeps_all ? 0 : find->limit + find->skip;
    for (;;) {
        struct pq_batch batch;
        if (!keeps_all) pq_arena_reset(&find->rows_arena);
        PQ_TRY(next_matches(find, &find->rows_arena, &batch, err));
        if (batch.count == 0) break;
        PQ_TRY(pq_order_add(&find->order, &batch, &find->rows_arena, err));
    }
    pq_order_finish(&find->order);
    skip_rows(find);
    return PQDB_OK;
}

/// A filter that names one id needs no scan.
static pqdb_code look_up(struct pq_find *find, bool *done, pqdb_error *err) {
    size_t count;
    const struct pq_bound *bounds =
        find->filter == NULL ? NULL : pq_program_bounds(find->filter, &count);
    *done = false;
    for (size_t i = 0; bounds != NULL && i < count; i++) {
        if (bounds[i].column != 0 || bounds[i].op != PQ_BOUND_IN) continue;
        *done = true;
        for (size_t k = 0; k < bounds[i].value_count; k++) {
            struct pq_batch row;
            PQ_TRY(pq_table_get(find->snapshot, bounds[i].values[k].as.text, find->alloc,
                                &find->rows_arena, &row, err));
            if (row.count == 0) continue;
            PQ_TRY(follow_links(find, &row, &find->rows_arena, err));
            struct pq_selection selection;
            PQ_TRY(pq_program_select(find->filter, &row, &find->rows_arena, &selection, err));
            if (selection.count == 0) continue;
            PQ_TRY(pq_order_add(&find->order, &row, &find->rows_arena, err));
        }
        break;
    }
    if (!*done) return PQDB_OK;
    pq_order_finish(&find->order);
    pq_order_drop_repeats(&find->order);  // an id may be asked for twice, its row is found once
    find->streams = false;
    skip_rows(find);
    return PQDB_OK;
}

// ---- the answer -------------------------------------------------------------------------------

static pqdb_code open_all(struct pq_find *find, const struct pq_find_request *request,
                          pqdb_error *err) {
    PQ_TRY(plan_links(find, request, err));
    PQ_TRY(compile_filter(find, request->filter, err));
    PQ_TRY(compile_sort(find, request->sort, err));
    PQ_TRY(choose_columns(find, request, err));
    want(find, find->filter);
    for (size_t k = 0; k < find->key_count; k++) want(find, find->keys[k].program);
    for (size_t k = 0; k < find->column_count; k++) want(find, find->columns[k].program);
    // The table's own columns come first in both.
    if (find->links.any) pq_expand_reads(&find->links.spec, find->wanted, find->wanted);
    find->computed = pq_arena_calloc(&find->arena, find->column_count + 1, sizeof *find->computed);
    if (find->computed == NULL) return pq_fail(err, PQDB_NO_MEMORY, "columns of an answer");
    find->order.keys = find->keys;
    find->order.key_count = find->key_count;
    bool found;
    PQ_TRY(look_up(find, &found, err));
    if (found) return PQDB_OK;
    const struct pq_scan_options options = {.columns = find->wanted};
    pq_scan_open(&find->scan, find->snapshot, &options, find->alloc);
    find->scanning = true;
    return find->streams ? PQDB_OK : collect(find, err);
}

pqdb_code pq_find_open(const struct pq_find_table *table, struct pq_table_snapshot *snapshot,
                       const struct pq_find_request *request, const struct pq_alloc *alloc,
                       struct pq_find **find, pqdb_error *err) {
    struct pq_find *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an answer");
    *made = (struct pq_find){.table = *table, .alloc = alloc, .skip = request->skip,
                             .limit = request->limit,
                             .snapshot = pq_table_snapshot_ref(snapshot)};
    pq_arena_init(&made->arena, alloc);
    pq_arena_init(&made->rows_arena, alloc);
    pq_arena_init(&made->computed_arena, alloc);
    pq_order_init(&made->order, alloc);
    const pqdb_code code = open_all(made, request, err);
    if (code != PQDB_OK) {
        pq_find_close(made);
        return code;
    }
    *find = made;
    return PQDB_OK;
}

void pq_find_close(struct pq_find *find) {
    if (find == NULL) return;
    if (find->scanning) pq_scan_close(&find->scan);
    pq_program_destroy(find->filter);
    for (size_t k = 0; k < find->key_count; k++) pq_program_destroy(find->keys[k].program);
    for (size_t k = 0; k < find->column_count; k++) pq_program_destroy(find->columns[k].program);
    for (size_t k = 0; k < find->document_count; k++) pq_json_destroy(find->documents[k]);
    pq_order_deinit(&find->order);
    pq_table_snapshot_unref(find->snapshot);
    pq_arena_deinit(&find->arena);
    pq_arena_deinit(&find->rows_arena);
    pq_arena_deinit(&find->computed_arena);
    pq_free(find->alloc, find, 1, sizeof *find);
}

const struct pq_find_column *pq_find_columns(const struct pq_find *find, size_t *count) {
    *count = find->column_count;
    return find->columns;
}

const char *pq_find_note(const struct pq_find *find) { return find->note; }

/// Values of the columns that are paths, for find->batch.
static pqdb_code compute(struct pq_find *find, pqdb_error *err) {
    for (size_t k = 0; k < find->column_count; k++) {
        if (find->columns[k].program == NULL) {
            find->computed[k] = find->batch.columns[find->columns[k].column];
            continue;
        }
        PQ_TRY(pq_program_run(find->columns[k].program, &find->batch, &find->computed_arena,
                              &find->computed[k], err));
    }
    return PQDB_OK;
}

static pqdb_code next_streamed(struct pq_find *find, bool *has_row, pqdb_error *err) {
    do {
        find->row++;
        while (find->row >= find->batch.count) {
            pq_arena_reset(&find->rows_arena);
            PQ_TRY(next_matches(find, &find->rows_arena, &find->batch, err));
            if (find->batch.count == 0) {
                *has_row = false;
                return PQDB_OK;
            }
            find->row = 0;
            find->is_computed = false;
        }
    } while (find->skip > 0 && find->skip-- > 0);
    *has_row = true;
    if (find->is_computed) return PQDB_OK;
    pq_arena_reset(&find->computed_arena);
    find->is_computed = true;
    return compute(find, err);
}

/// Neighbours come from different batches: paths are computed for one row at a time.
static pqdb_code next_ordered(struct pq_find *find, bool *has_row, pqdb_error *err) {
    *has_row = find->next < find->order.ref_count;
    if (!*has_row) return PQDB_OK;
    size_t row;
    const struct pq_batch *rows = pq_order_row(&find->order, find->next++, &row);
    pq_arena_reset(&find->computed_arena);
    PQ_TRY(pq_batch_slice(rows, row, 1, &find->computed_arena, &find->batch, err));
    find->row = 0;
    return compute(find, err);
}

pqdb_code pq_find_next(struct pq_find *find, bool *has_row, pqdb_error *err) {
    *has_row = false;
    if (find->limit != 0 && find->given == find->limit) return PQDB_OK;
    PQ_TRY(find->streams ? next_streamed(find, has_row, err) : next_ordered(find, has_row, err));
    find->given += *has_row;
    return PQDB_OK;
}

// ---- printing ---------------------------------------------------------------------------------

static pqdb_code print_extra(struct pq_find *find, struct pq_bytes *out, pqdb_error *err) {
    const struct pq_column *extra = &find->batch.columns[find->table.extra_column];
    if (pq_column_is_null(extra, find->row)) return PQDB_OK;
    const uint8_t mark = extra->valid == NULL ? PQ_ROW_VALID : extra->valid[find->row];
    struct pq_variant variant;
    PQ_TRY(pq_variant_of_row(pq_column_text(extra, find->row), mark, extra->names,
                             &find->computed_arena, &variant, err));
    const size_t count = pq_variant_count(&variant);
    for (size_t k = 0; k < count; k++) {
        struct pq_text name;
        const struct pq_variant value = pq_variant_at(&variant, k, &name);
        PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_json_write_text(out, name, err));
        PQ_TRY(pq_bytes_append_byte(out, ':', err));
        PQ_TRY(pq_variant_write_json(&value, out, err));
    }
    return PQDB_OK;
}

pqdb_code pq_find_json(struct pq_find *find, struct pq_bytes *out, pqdb_error *err) {
    bool extra_due = find->all_columns && find->table.extra_column >= 0;
    PQ_TRY(pq_bytes_append_byte(out, '{', err));
    for (size_t k = 0; k < find->column_count; k++) {
        if (extra_due && is_system(find, find->columns[k].name)) {
            PQ_TRY(print_extra(find, out, err));
            extra_due = false;
        }
        if (k > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_json_write_text(out, find->columns[k].name, err));
        PQ_TRY(pq_bytes_append_byte(out, ':', err));
        PQ_TRY(pq_print_row(out, &find->computed[k], find->row, err));
    }
    if (extra_due) PQ_TRY(print_extra(find, out, err));
    return pq_bytes_append_byte(out, '}', err);
}

pqdb_code pq_find_cell(struct pq_find *find, size_t column, struct pq_bytes *out, bool *is_null,
                       pqdb_error *err) {
    const struct pq_column *cells = &find->computed[column];
    *is_null = pq_column_is_null(cells, find->row);
    if (*is_null) return PQDB_OK;
    struct pq_value value = pq_column_value(cells, find->row);
    if (value.kind == PQ_VARIANT) value = pq_variant_unwrap(&value.as.variant);
    return pq_print_text(out, &value, err);
}

pqdb_code pq_find_count(const struct pq_find_table *table, struct pq_table_snapshot *snapshot,
                        struct pq_text filter, const struct pq_alloc *alloc, uint64_t *count,
                        pqdb_error *err) {
    *count = snapshot->rows;
    if (filter.length == 0) return PQDB_OK;
    const struct pq_find_request request = {.filter = filter, .sort = PQ_TEXT("none"),
                                            .select = PQ_TEXT("$id")};
    struct pq_find *find;
    PQ_TRY(pq_find_open(table, snapshot, &request, alloc, &find, err));
    *count = find->order.ref_count;
    pqdb_code code = PQDB_OK;
    while (code == PQDB_OK && find->streams) {
        struct pq_batch batch;
        pq_arena_reset(&find->rows_arena);
        code = next_matches(find, &find->rows_arena, &batch, err);
        if (code != PQDB_OK || batch.count == 0) break;
        *count += batch.count;
    }
    pq_find_close(find);
    return code;
}
