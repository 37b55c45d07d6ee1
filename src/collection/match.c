#include "collection/match.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/json.h"

// ---- compiling --------------------------------------------------------------------------------

static int compare_ids(const void *a, const void *b) {
    return pq_text_compare(*(const struct pq_text *)a, *(const struct pq_text *)b);
}

/// The ids that the filter demands, each once, so that rows are looked up and not searched.
static pqdb_code take_ids(struct pq_match *match, pqdb_error *err) {
    size_t count;
    const struct pq_bound *bounds = pq_program_bounds(match->filter, &count);
    for (size_t i = 0; i < count && !match->by_id; i++) {
        if (bounds[i].column != 0 || bounds[i].op != PQ_BOUND_IN) continue;
        struct pq_text *ids =
            pq_resize(match->alloc, NULL, 0, bounds[i].value_count + 1, sizeof *ids);
        if (ids == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a filter");
        for (size_t k = 0; k < bounds[i].value_count; k++) ids[k] = bounds[i].values[k].as.text;
        match->ids = ids;
        match->id_capacity = bounds[i].value_count + 1;
        qsort(ids, bounds[i].value_count, sizeof *ids, compare_ids);
        for (size_t k = 0; k < bounds[i].value_count; k++) {
            if (k > 0 && pq_text_equal(ids[k], ids[match->id_count - 1])) continue;
            ids[match->id_count++] = ids[k];
        }
        match->by_id = true;
    }
    return PQDB_OK;
}

/// "customer/ann" is "ann", if the rows are customers.
static struct pq_text plain_id(struct pq_text id, struct pq_text type_name) {
    if (id.length <= type_name.length || id.data[type_name.length] != '/') return id;
    const struct pq_text prefix = {id.data, type_name.length};
    if (!pq_text_equal_any_case(prefix, type_name)) return id;
    return (struct pq_text){id.data + prefix.length + 1, id.length - prefix.length - 1};
}

static void note_warning(struct pq_match *match, const struct pq_problems *problems) {
    for (size_t i = 0; i < problems->count && !match->is_warned; i++) {
        const struct pq_problem *problem = &problems->items[i];
        if (!problem->warning) continue;
        pq_fail(&match->warning, PQDB_INVALID, "%.*s", PQ_TEXT_ARG(problem->message));
        pq_fail_subject(&match->warning, PQDB_INVALID, problem->path);
        match->is_warned = true;
    }
}

pqdb_code pq_match_refuse_warnings(const struct pq_match *match, pqdb_error *err) {
    if (!match->is_warned) return PQDB_OK;
    if (err != NULL) *err = match->warning;
    return PQDB_INVALID;
}

static pqdb_code compile(struct pq_match *match, struct pq_text where,
                         const struct pq_scope *scope, pqdb_error *err) {
    const pqdb_code parsed = pq_json_parse(where, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, match->alloc,
                                           &match->document, err);
    if (parsed != PQDB_OK) return pq_fail_subject(err, parsed, PQ_TEXT("filter"));
    struct pq_arena arena;
    pq_arena_init(&arena, match->alloc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_scope with_problems = *scope;
    with_problems.problems = &problems;
    const struct pq_source source = {.json = pq_json_root(match->document),
                                     .path = PQ_TEXT("filter"), .code = "INVALID_FILTER"};
    pqdb_code code = pq_filter_compile(&source, &with_problems, match->alloc, &match->filter, err);
    if (code == PQDB_INVALID) code = pq_problems_code(&problems, err);
    note_warning(match, &problems);
    pq_arena_deinit(&arena);
    return code == PQDB_OK ? take_ids(match, err) : code;
}

pqdb_code pq_match_init(struct pq_match *match, struct pq_text where, const struct pq_scope *scope,
                        struct pq_text type_name, const struct pq_alloc *alloc, pqdb_error *err) {
    *match = (struct pq_match){.alloc = alloc};
    while (where.length > 0 && (where.data[0] == ' ' || where.data[0] == '\n')) {
        where.data++;
        where.length--;
    }
    if (where.length == 0) {
        return pq_fail(err, PQDB_INVALID, "no filter is given: an id, { field: value }, or {} for "
                                          "every row");
    }
    if (where.data[0] == '{') return compile(match, where, scope, err);
    match->id = plain_id(where, type_name);
    match->by_id = true;
    match->ids = &match->id;
    match->id_count = 1;
    return PQDB_OK;
}

void pq_match_deinit(struct pq_match *match) {
    if (match->ids != NULL && match->ids != &match->id) {
        pq_free(match->alloc, (void *)(uintptr_t)match->ids, match->id_capacity,
                sizeof *match->ids);
    }
    pq_program_destroy(match->filter);
    pq_json_destroy(match->document);
    *match = (struct pq_match){0};
}

// ---- finding ----------------------------------------------------------------------------------

static pqdb_code fetch(const struct pq_match *match, struct pq_table_snapshot *snapshot,
                       struct pq_arena *arena, struct pq_batch *rows, pqdb_error *err) {
    const size_t count = match->id_count;
    struct pq_row_place *places = pq_arena_alloc(arena, count * sizeof *places);
    if (places == NULL) return pq_fail(err, PQDB_NO_MEMORY, "the places of %zu rows", count);
    PQ_TRY(pq_table_locate(snapshot, match->ids, count, places, err));
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (places[i].segment != NULL) places[found++] = places[i];
    }
    const struct pq_fetch asked = {
        .snapshot = snapshot, .places = places, .count = found, .alloc = match->alloc};
    return pq_table_fetch(&asked, arena, rows, err);
}

/// Keep those for which the filter is true.
static pqdb_code keep_selected(const struct pq_match *match, struct pq_arena *arena,
                               struct pq_batch *rows, pqdb_error *err) {
    struct pq_selection selected;
    PQ_TRY(pq_program_select(match->filter, rows, arena, &selected, err));
    if (selected.rows == NULL || selected.count == rows->count) return PQDB_OK;
    struct pq_batch kept;
    PQ_TRY(pq_batch_gather(rows, selected.rows, selected.count, arena, &kept, err));
    *rows = kept;
    return PQDB_OK;
}

/// The row with the lowest id.
static pqdb_code keep_first(struct pq_arena *arena, struct pq_batch *rows, pqdb_error *err) {
    uint32_t lowest = 0;
    for (size_t row = 1; row < rows->count; row++) {
        const struct pq_text id = pq_column_text(&rows->columns[0], row);
        if (pq_text_compare(id, pq_column_text(&rows->columns[0], lowest)) < 0) {
            lowest = (uint32_t)row;
        }
    }
    if (rows->count <= 1) return PQDB_OK;
    struct pq_batch kept;
    PQ_TRY(pq_batch_gather(rows, &lowest, 1, arena, &kept, err));
    *rows = kept;
    return PQDB_OK;
}

pqdb_code pq_match_find(const struct pq_match *match, struct pq_table_snapshot *snapshot,
                        bool first, struct pq_arena *arena, struct pq_batch *rows,
                        pqdb_error *err) {
    PQ_TRY(fetch(match, snapshot, arena, rows, err));
    if (match->filter != NULL && rows->count > 0) PQ_TRY(keep_selected(match, arena, rows, err));
    return first ? keep_first(arena, rows, err) : PQDB_OK;
}
