#include "support/flow_fixture.h"

#include <stdlib.h>

#include "base/fail.h"
#include "base/zone.h"
#include "expr/print.h"
#include "support/test.h"

// ---- multisets of texts ------------------------------------------------------------------------

void text_set_add(struct text_set *set, struct pq_text text, int64_t weight) {
    for (size_t i = 0; i < set->count; i++) {
        if (!pq_text_equal(set->entries[i].text, text)) continue;
        set->entries[i].weight += weight;
        if (set->entries[i].weight == 0) set->entries[i] = set->entries[--set->count];
        return;
    }
    if (set->count == set->capacity) {
        set->capacity = set->capacity == 0 ? 64 : set->capacity * 2;
        set->entries = realloc(set->entries, set->capacity * sizeof *set->entries);
        if (set->entries == NULL) abort();
    }
    if (weight != 0) set->entries[set->count++] = (struct text_entry){text, weight};
}

void text_set_deinit(struct text_set *set) {
    free(set->entries);
    *set = (struct text_set){0};
}

static int compare_entries(const void *a, const void *b) {
    return pq_text_compare(((const struct text_entry *)a)->text,
                           ((const struct text_entry *)b)->text);
}

void text_set_sort(struct text_set *set) {
    if (set->count > 0) qsort(set->entries, set->count, sizeof *set->entries, compare_entries);
}

bool text_set_equal(const struct text_set *a, const struct text_set *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        if (a->entries[i].weight != b->entries[i].weight ||
            !pq_text_equal(a->entries[i].text, b->entries[i].text)) {
            return false;
        }
    }
    return true;
}

// ---- a small planner ---------------------------------------------------------------------------

/// Columns of an OBJECT type in the making.
struct fields {
    struct pq_field items[80];
    uint32_t count;
};

static void add_field(struct fields *fields, struct pq_text name, const struct pq_type *type) {
    if (fields->count == 80) abort();
    fields->items[fields->count++] = (struct pq_field){
        .name = name, .type = type->kind == PQ_NULL ? pq_type_variant : *type};
}

static void add_fields(struct fields *fields, const struct pq_type *type) {
    for (uint32_t k = 0; k < type->field_count; k++) {
        add_field(fields, type->fields[k].name, &type->fields[k].type);
    }
}

static void *make(struct flow_fixture *fixture, size_t bytes) {
    void *memory = pq_arena_calloc(&fixture->base.arena, 1, bytes);
    if (memory == NULL) abort();
    return memory;
}

static const struct pq_type *object_of(struct flow_fixture *fixture, const struct fields *fields) {
    struct pq_type *type = make(fixture, sizeof *type);
    struct pq_field *items = make(fixture, fields->count * sizeof *items);
    memcpy(items, fields->items, fields->count * sizeof *items);
    *type = (struct pq_type){.kind = PQ_OBJECT, .field_count = fields->count, .fields = items};
    return type;
}

struct planner {
    struct flow_fixture *fixture;
    const struct pq_type *type;  // of the rows so far
    const struct pq_alloc *alloc;
};

static struct pq_scope scope_of(const struct planner *planner) {
    struct pq_scope scope = planner->fixture->base.scope;
    if (planner->type != scope.type) scope.relations = NULL;
    scope.type = planner->type;
    scope.extra_column = pq_type_find(planner->type, PQ_TEXT("_extra"));
    scope.problems = NULL;
    scope.closed = scope.extra_column < 0;
    return scope;
}

static void keep_program(struct planner *planner, struct pq_program *program) {
    struct flow_fixture *fixture = planner->fixture;
    if (fixture->program_count == FLOW_PROGRAMS_MAX) abort();
    fixture->programs[fixture->program_count++] = program;
}

static pqdb_code plan_filter(struct planner *planner, const struct pq_json *json,
                             const struct pq_program **program, pqdb_error *err) {
    const struct pq_scope scope = scope_of(planner);
    const struct pq_source source = {.json = json, .path = PQ_TEXT("filter"), .code = "F"};
    struct pq_program *made = NULL;
    PQ_TRY(pq_filter_compile(&source, &scope, planner->alloc, &made, err));
    keep_program(planner, made);
    *program = made;
    return PQDB_OK;
}

/// `json` an expression, or `field` a path.
static pqdb_code plan_operand(struct planner *planner, const struct pq_json *json,
                              struct pq_text field, struct pq_operand *operand, pqdb_error *err) {
    const struct pq_scope scope = scope_of(planner);
    const struct pq_source source = {
        .json = json, .field = field, .path = PQ_TEXT("expr"), .code = "E"};
    struct pq_program *made = NULL;
    PQ_TRY(pq_expr_compile(&source, &scope, planner->alloc, &made, err));
    keep_program(planner, made);
    *operand = (struct pq_operand){.program = made};
    return PQDB_OK;
}

static const struct pq_type *type_of(const struct planner *planner,
                                     const struct pq_operand *operand) {
    return operand->program != NULL ? pq_program_type(operand->program)
                                    : &planner->type->fields[operand->column].type;
}

static struct pq_text last_name(struct pq_text path) {
    for (size_t i = path.length; i-- > 0;) {
        if (path.data[i] == '.') {
            return (struct pq_text){path.data + i + 1, path.length - i - 1};
        }
    }
    return path;
}

static pqdb_code plan_unnest(struct planner *planner, const struct pq_json *json,
                             struct pq_row_spec *spec, pqdb_error *err) {
    struct pq_unnest_spec *unnest = make(planner->fixture, sizeof *unnest);
    const bool object = pq_json_kind(json) == PQ_JSON_OBJECT;
    const struct pq_text path = pq_json_text(object ? pq_json_find(json, "path") : json);
    PQ_TRY(plan_operand(planner, NULL, path, &unnest->list, err));
    unnest->keep_empty = object && pq_json_find(json, "keepEmpty") != NULL;
    const int there = pq_type_find(planner->type, PQ_TEXT("$index"));
    unnest->parent_index = there < 0 ? PQ_NO_COLUMN : (uint32_t)there;
    const struct pq_type *list = type_of(planner, &unnest->list);
    const struct pq_text name = last_name(path);
    struct fields fields = {.count = 0};
    add_field(&fields, PQ_TEXT("$id"), &pq_type_text);
    add_field(&fields, PQ_TEXT("$seq"), &pq_type_int64);
    add_field(&fields, PQ_TEXT("$index"), &pq_type_int64);
    add_field(&fields, name, list->kind == PQ_LIST ? &list->fields[0].type : &pq_type_variant);
    uint32_t *carry = make(planner->fixture, planner->type->field_count * sizeof *carry);
    for (uint32_t k = 2; k < planner->type->field_count; k++) {
        const struct pq_field *field = &planner->type->fields[k];
        if (pq_text_equal(field->name, name) || (int)k == there) continue;
        carry[unnest->carry_count++] = k;
        add_field(&fields, field->name, &field->type);
    }
    unnest->carry = carry;
    unnest->type = planner->type = object_of(planner->fixture, &fields);
    spec->unnest = unnest;
    return PQDB_OK;
}

static pqdb_code plan_argument(struct planner *planner, const struct pq_json *value,
                               struct pq_operand *operand, pqdb_error *err) {
    const bool is_path = pq_json_kind(value) == PQ_JSON_TEXT;
    return plan_operand(planner, is_path ? NULL : value,
                        is_path ? pq_json_text(value) : (struct pq_text){0}, operand, err);
}

/// `{ $sum: 'path' }`, `{ $count: '*' }`, `{ $avg: { $cond: … } }`, `{ $first: 'x', $by: 'ts' }`.
/// `operands`: the argument, then `$by`; those that are there have positions 0 and 1.
static pqdb_code plan_aggregate(struct planner *planner, const struct pq_json *json,
                                struct pq_aggregate_spec *spec, struct pq_operand operands[2],
                                struct pq_type *type, pqdb_error *err) {
    const struct pq_json *name = pq_json_first(json), *value = pq_json_next(name);
    struct pq_aggregate_parameters given = {0};
    if (pq_json_kind(value) == PQ_JSON_LIST) {
        const struct pq_json *parameter = pq_json_next(pq_json_first(value));
        value = pq_json_first(value);
        given.rank = strtod(pq_json_text(parameter).data, NULL);  // numbers keep their text here
        given.limit = (uint32_t)given.rank;
    }
    *spec = (struct pq_aggregate_spec){
        .argument = PQ_NO_COLUMN, .by = PQ_NO_COLUMN, .given = given};
    spec->kind = pq_aggregate_find(pq_json_text(name));
    if (spec->kind == NULL) return pq_fail(err, PQDB_INVALID, "no such aggregate");
    if (pq_json_kind(value) == PQ_JSON_TEXT && pq_text_is(pq_json_text(value), "*")) {
        return spec->kind->type(NULL, &planner->fixture->base.arena, type, err);
    }
    PQ_TRY(plan_argument(planner, value, &operands[0], err));
    spec->argument = 0;
    const struct pq_json *by = pq_json_find(json, "$by");
    if (by != NULL) {
        PQ_TRY(plan_argument(planner, by, &operands[1], err));
        spec->by = 1;
    }
    return spec->kind->type(type_of(planner, &operands[0]), &planner->fixture->base.arena, type,
                            err);
}

/// Where the operand is among the arguments; columns are there once.
static uint32_t place_argument(struct pq_operand *arguments, size_t *count,
                               const struct pq_operand *operand) {
    for (size_t i = 0; i < *count && operand->program == NULL; i++) {
        if (arguments[i].program == NULL && arguments[i].column == operand->column) {
            return (uint32_t)i;
        }
    }
    arguments[*count] = *operand;
    return (uint32_t)(*count)++;
}

static pqdb_code plan_compute(struct planner *planner, const struct pq_json *json,
                              struct pq_compute_spec *compute, struct fields *fields,
                              pqdb_error *err) {
    const size_t count = pq_json_count(json);
    struct pq_operand *arguments = make(planner->fixture, (2 * count + 1) * sizeof *arguments);
    struct pq_aggregate_spec *aggregates =
        make(planner->fixture, (count + 1) * sizeof *aggregates);
    const struct pq_json *name = count == 0 ? NULL : pq_json_first(json);
    for (size_t i = 0; i < count; i++, name = pq_json_next(pq_json_next(name))) {
        struct pq_operand operands[2];
        struct pq_type type;
        PQ_TRY(plan_aggregate(planner, pq_json_next(name), &aggregates[i], operands, &type, err));
        add_field(fields, pq_json_text(name), &type);
        if (aggregates[i].argument != PQ_NO_COLUMN) {
            aggregates[i].argument =
                place_argument(arguments, &compute->argument_count, &operands[0]);
        }
        if (aggregates[i].by != PQ_NO_COLUMN) {
            aggregates[i].by = place_argument(arguments, &compute->argument_count, &operands[1]);
        }
    }
    compute->arguments = arguments;
    compute->aggregates = aggregates;
    compute->aggregate_count = count;
    return PQDB_OK;
}

/// Per-row compute, one list each: `{ n: { $sum: 'items.qty' } }` is over the elements of items.
static pqdb_code plan_lists(struct planner *planner, const struct pq_json *json,
                            struct pq_row_spec *spec, pqdb_error *err) {
    const size_t count = pq_json_count(json);
    struct pq_list_compute_spec *lists = make(planner->fixture, count * sizeof *lists);
    struct fields fields = {.count = 0};
    add_fields(&fields, planner->type);
    const struct pq_json *name = pq_json_first(json);
    for (size_t i = 0; i < count; i++, name = pq_json_next(pq_json_next(name))) {
        const struct pq_json *given = pq_json_next(pq_json_first(pq_json_next(name)));
        const struct pq_text path =
            pq_json_text(pq_json_kind(given) == PQ_JSON_LIST ? pq_json_first(given) : given);
        const char *dot = memchr(path.data, '.', path.length);
        const struct pq_text list = {path.data,
                                     dot == NULL ? path.length : (size_t)(dot - path.data)};
        struct pq_unnest_spec *elements = &lists[i].elements;
        PQ_TRY(plan_operand(planner, NULL, list, &elements->list, err));
        elements->parent_index = PQ_NO_COLUMN;
        const struct pq_type *type = type_of(planner, &elements->list);
        struct fields element = {.count = 0};
        add_field(&element, list, type->kind == PQ_LIST ? &type->fields[0].type : &pq_type_variant);
        elements->type = object_of(planner->fixture, &element);
        struct planner inner = *planner;
        inner.type = elements->type;
        struct pq_operand *argument = make(planner->fixture, 2 * sizeof *argument);
        struct pq_aggregate_spec *aggregate = make(planner->fixture, sizeof *aggregate);
        struct pq_type result;
        PQ_TRY(plan_aggregate(&inner, pq_json_next(name), aggregate, argument, &result, err));
        lists[i].compute = (struct pq_compute_spec){
            argument, aggregate->by == PQ_NO_COLUMN ? 1 : 2, aggregate, 1};
        add_field(&fields, pq_json_text(name), &result);
    }
    spec->lists = lists;
    spec->list_count = count;
    spec->computed = planner->type = object_of(planner->fixture, &fields);
    return PQDB_OK;
}

static pqdb_code plan_select(struct planner *planner, const struct pq_json *json,
                             struct pq_row_spec *spec, pqdb_error *err) {
    struct fields fields = {.count = 0};
    struct pq_operand *columns = make(planner->fixture, 80 * sizeof *columns);
    const int index = pq_type_find(planner->type, PQ_TEXT("$index"));
    if (json == NULL) {
        add_fields(&fields, planner->type);
        for (uint32_t k = 0; k < fields.count; k++) columns[k].column = k;
    } else {
        add_field(&fields, PQ_TEXT("$id"), &pq_type_text);
        add_field(&fields, PQ_TEXT("$seq"), &pq_type_int64);
        columns[1].column = 1;
        if (index >= 0) {
            columns[2].column = (uint32_t)index;
            add_field(&fields, PQ_TEXT("$index"), &pq_type_int64);
        }
        const struct pq_json *name = pq_json_first(json);
        for (size_t i = 0; i < pq_json_count(json); i++, name = pq_json_next(pq_json_next(name))) {
            struct pq_operand *column = &columns[fields.count];
            PQ_TRY(plan_operand(planner, pq_json_next(name), (struct pq_text){0}, column, err));
            add_field(&fields, pq_json_text(name), type_of(planner, column));
        }
    }
    spec->columns = columns;
    spec->output = planner->type = object_of(planner->fixture, &fields);
    return PQDB_OK;
}

static pqdb_code plan_key(struct planner *planner, const struct pq_json *item,
                          struct pq_operand *key, struct fields *fields, pqdb_error *err) {
    if (pq_json_kind(item) == PQ_JSON_TEXT) {
        PQ_TRY(plan_operand(planner, NULL, pq_json_text(item), key, err));
        add_field(fields, last_name(pq_json_text(item)), type_of(planner, key));
        return PQDB_OK;
    }
    const struct pq_json *name = pq_json_first(item), *value = pq_json_next(name);
    const struct pq_json *first =
        pq_json_kind(value) == PQ_JSON_OBJECT ? pq_json_first(value) : NULL;
    struct pq_bucket_key bucket = {.source = {.json = value, .path = PQ_TEXT("key"), .code = "G"}};
    bool is_bucket = pq_bucket_find(pq_json_text(name), &bucket.bucket);
    if (first != NULL && pq_bucket_find(pq_json_text(first), &bucket.bucket)) {
        is_bucket = true;
        bucket.source.json = pq_json_next(first);
        const struct pq_json *zone = pq_json_find(value, "timezone");
        if (zone != NULL) PQ_TRY(pq_zone_find(pq_json_text(zone), &bucket.zone, err));
    }
    if (is_bucket) {
        const struct pq_scope scope = scope_of(planner);
        struct pq_program *made = NULL;
        PQ_TRY(pq_bucket_compile(&bucket, &scope, planner->alloc, &made, err));
        keep_program(planner, made);
        *key = (struct pq_operand){.program = made};
    } else {
        PQ_TRY(plan_operand(planner, value, (struct pq_text){0}, key, err));
    }
    add_field(fields, pq_json_text(name), type_of(planner, key));
    return PQDB_OK;
}

static pqdb_code plan_group(struct planner *planner, const struct pq_json *definition,
                            struct pq_group_spec *spec, pqdb_error *err) {
    const struct pq_json *keys = pq_json_find(definition, "groupBy");
    const struct pq_json *compute = pq_json_find(definition, "compute");
    const struct pq_json *having = pq_json_find(definition, "having");
    const size_t count = keys == NULL ? 0 : pq_json_count(keys);
    struct pq_operand *operands = make(planner->fixture, (count + 1) * sizeof *operands);
    struct fields fields = {.count = 0};
    const int index = pq_type_find(planner->type, PQ_TEXT("$index"));
    *spec = (struct pq_group_spec){.input = planner->type,
                                   .keys = operands,
                                   .key_count = count,
                                   .index = index < 0 ? PQ_NO_COLUMN : (uint32_t)index,
                                   .order_by_id = pq_json_find(definition, "orderById") != NULL};
    add_field(&fields, PQ_TEXT("$id"), &pq_type_text);
    add_field(&fields, PQ_TEXT("$seq"), &pq_type_int64);
    const struct pq_json *item = count == 0 ? NULL : pq_json_first(keys);
    for (size_t k = 0; k < count; k++, item = pq_json_next(item)) {
        PQ_TRY(plan_key(planner, item, &operands[k], &fields, err));
    }
    if (compute != NULL) PQ_TRY(plan_compute(planner, compute, &spec->compute, &fields, err));
    spec->output = planner->type = object_of(planner->fixture, &fields);
    return having == NULL ? PQDB_OK : plan_filter(planner, having, &spec->having, err);
}

static pqdb_code plan(struct planner *planner, const struct pq_json *definition,
                      pqdb_error *err) {
    struct flow_fixture *fixture = planner->fixture;
    struct pq_node_spec *node = &fixture->spec;
    *node = (struct pq_node_spec){.name = PQ_TEXT("View"), .table = 2, .source = 1};
    const struct pq_json *unnest = pq_json_find(definition, "unnest");
    const struct pq_json *filter = pq_json_find(definition, "filter");
    const struct pq_json *lists = pq_json_find(definition, "lists");
    const struct pq_json *select = pq_json_find(definition, "select");
    const bool grouped = pq_json_find(definition, "groupBy") != NULL ||
                         pq_json_find(definition, "compute") != NULL;
    if (!grouped || unnest != NULL || filter != NULL || lists != NULL || select != NULL) {
        struct pq_row_spec *rows = make(fixture, sizeof *rows);
        rows->input = planner->type;
        if (unnest != NULL) PQ_TRY(plan_unnest(planner, unnest, rows, err));
        if (filter != NULL) PQ_TRY(plan_filter(planner, filter, &rows->filter, err));
        if (lists != NULL) PQ_TRY(plan_lists(planner, lists, rows, err));
        PQ_TRY(plan_select(planner, select, rows, err));
        node->rows = rows;
    }
    if (!grouped) return PQDB_OK;
    struct pq_group_spec *group = make(fixture, sizeof *group);
    node->group = group;
    return plan_group(planner, definition, group, err);
}

// ---- running -----------------------------------------------------------------------------------

static pqdb_code batch_of(struct flow_fixture *fixture, const struct pq_text *rows, size_t count,
                          struct pq_batch *batch, pqdb_error *err) {
    struct pq_bytes json;
    pq_bytes_init(&json, &fixture->base.arena.alloc);
    pq_bytes_append_byte(&json, '[', NULL);
    for (size_t i = 0; i < count; i++) {
        if (i > 0) pq_bytes_append_byte(&json, ',', NULL);
        pq_bytes_append_text(&json, rows[i], NULL);
    }
    pq_bytes_append_byte(&json, ']', NULL);
    return expr_fixture_batch(&fixture->base, pq_bytes_text(&json), batch, err);
}

static pqdb_code scan(void *ctx, const struct pq_rows_wish *wish,
                      pqdb_code (*take)(void *taker, const struct pq_batch *batch,
                                        pqdb_error *err),
                      void *taker, pqdb_error *err) {
    (void)wish;
    struct flow_fixture *fixture = ctx;
    fixture->refills++;
    const struct text_set *source = &fixture->source;
    for (size_t start = 0; start < source->count; start += 7) {
        struct pq_text rows[7];
        int64_t weights[7];
        size_t count = 0;
        for (; count < 7 && start + count < source->count; count++) {
            rows[count] = source->entries[start + count].text;
            weights[count] = source->entries[start + count].weight;
        }
        struct pq_batch batch;
        PQ_TRY(batch_of(fixture, rows, count, &batch, err));
        batch.weights = weights;
        PQ_TRY(take(taker, &batch, err));
    }
    return PQDB_OK;
}

static void print_batch_row(const struct pq_batch *batch, size_t row, struct pq_bytes *out) {
    for (uint32_t k = 0, shown = 0; k < batch->type->field_count; k++) {
        if (k == PQ_SEQ_COLUMN) continue;
        if (pq_column_is_null(&batch->columns[k], row) && k > 0 &&
            batch->type->field_count > 20) {
            continue;  // a whole source row: only what is there
        }
        pq_bytes_printf(out, NULL, "%s\"%.*s\":", shown++ == 0 ? "{" : ",",
                        PQ_TEXT_ARG(batch->type->fields[k].name));
        pq_print_row(out, &batch->columns[k], row, NULL);
    }
    pq_bytes_append_byte(out, '}', NULL);
}

struct collector {
    struct flow_fixture *fixture;
    struct text_set *set;
};

static pqdb_code collect(void *ctx, const struct pq_batch *batch, pqdb_error *err) {
    struct collector *collector = ctx;
    if (batch->count == 0) return PQDB_OK;
    for (uint32_t k = 0; k < batch->type->field_count; k++) {
        pqdb_error why;
        const struct pq_column *column = &batch->columns[k];
        CHECK(column->count == batch->count && pq_column_is_sound(column, &why), "column %u", k);
    }
    for (size_t i = 0; i < batch->count; i++) {
        struct pq_bytes text;
        pq_bytes_init(&text, &collector->fixture->base.arena.alloc);
        print_batch_row(batch, i, &text);
        const int64_t weight = batch->weights == NULL ? 1 : batch->weights[i];
        CHECK(weight != 0, "a row of weight 0: %.*s", PQ_TEXT_ARG(pq_bytes_text(&text)));
        text_set_add(collector->set, pq_bytes_text(&text), weight);
    }
    (void)err;
    return PQDB_OK;
}

pqdb_code flow_fixture_init(struct flow_fixture *fixture, struct pq_text definition,
                            const struct pq_alloc *alloc, pqdb_error *err) {
    *fixture = (struct flow_fixture){.rows = {scan, NULL}};
    fixture->rows.ctx = fixture;
    expr_fixture_init(&fixture->base);
    pq_arena_init(&fixture->step_arena, alloc);
    struct pq_json_document *document;
    PQ_TRY(pq_json_parse(definition, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, &fixture->base.arena.alloc,
                         &document, err));
    struct planner planner = {fixture, fixture->base.scope.type, &pq_alloc_libc};
    PQ_TRY(plan(&planner, pq_json_root(document), err));
    fixture->spec.refill = &fixture->rows;
    PQ_TRY(pq_node_create(&fixture->spec, alloc, &fixture->node, err));
    struct collector collector = {fixture, &fixture->view};
    const struct pq_sink sink = {collect, &collector};
    PQ_TRY(pq_node_full(fixture->node, &fixture->rows, &sink, err));
    fixture->refills = 0;
    return PQDB_OK;
}

void flow_fixture_deinit(struct flow_fixture *fixture) {
    pq_node_destroy(fixture->node);
    for (size_t i = 0; i < fixture->program_count; i++) pq_program_destroy(fixture->programs[i]);
    text_set_deinit(&fixture->source);
    text_set_deinit(&fixture->view);
    pq_arena_deinit(&fixture->step_arena);
    expr_fixture_deinit(&fixture->base);
}

pqdb_code flow_fixture_step(struct flow_fixture *fixture, const struct pq_text *rows,
                            const int64_t *weights, size_t count, pqdb_error *err) {
    struct pq_batch batch, out;
    PQ_TRY(batch_of(fixture, rows, count, &batch, err));
    batch.weights = weights;
    pq_arena_reset(&fixture->step_arena);
    PQ_TRY(pq_node_step(fixture->node, &batch, &fixture->step_arena, &out, err));
    for (size_t i = 0; i < count; i++) {
        text_set_add(&fixture->source, pq_arena_copy(&fixture->base.arena, rows[i]),
                     weights == NULL ? 1 : weights[i]);
    }
    struct collector collector = {fixture, &fixture->view};
    PQ_TRY(collect(&collector, &out, err));
    for (size_t i = 0; i < fixture->view.count; i++) {
        CHECK(fixture->view.entries[i].weight > 0, "taken back without having been there: %.*s",
              PQ_TEXT_ARG(fixture->view.entries[i].text));
    }
    return PQDB_OK;
}

pqdb_code flow_fixture_full(struct flow_fixture *fixture, struct text_set *view, pqdb_error *err) {
    struct pq_node *node;
    PQ_TRY(pq_node_create(&fixture->spec, &pq_alloc_libc, &node, err));
    struct collector collector = {fixture, view};
    const struct pq_sink sink = {collect, &collector};
    const pqdb_code code = pq_node_full(node, &fixture->rows, &sink, err);
    pq_node_destroy(node);
    fixture->refills--;
    text_set_sort(view);
    return code;
}

struct pq_text flow_fixture_text(struct flow_fixture *fixture, struct text_set *view) {
    struct pq_bytes out;
    pq_bytes_init(&out, &fixture->base.arena.alloc);
    text_set_sort(view);
    for (size_t i = 0; i < view->count; i++) {
        if (view->entries[i].weight != 1) {
            pq_bytes_printf(&out, NULL, "%lld x ", (long long)view->entries[i].weight);
        }
        pq_bytes_append_text(&out, view->entries[i].text, NULL);
        pq_bytes_append_byte(&out, '\n', NULL);
    }
    pq_bytes_append_byte(&out, '\0', NULL);
    return (struct pq_text){(const char *)out.data, out.length - 1};
}
