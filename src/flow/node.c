/// flow/node.c: a view: what it reads through links, its row half, then its groups.
#include "flow/node_reads.h"
#include "flow/node_spill.h"
#include "flow/op_expand.h"
#include "flow/op_group.h"
#include "flow/op_row.h"

struct pq_node {
    const struct pq_node_spec *spec;  // borrowed
    const struct pq_alloc *alloc;
    struct row_op rows;      // when spec->rows
    struct group_op group;   // when spec->group
    struct pq_node_part *parts;  // owned, of the group
    size_t part_count;
    uint32_t *columns;       // owned: of the source, that are read
    size_t column_count, column_capacity;
    struct pq_arena arena;   // of `reads`
    struct pq_reads reads;   // of the source's columns
    const struct pq_spill *spill;  // borrowed, or NULL
    const struct expand_run *running;  // while a step runs: sides of what is linked
};

/// Of the rows that the row half, or the groups, take.
static const struct pq_type *input_type(const struct pq_node_spec *spec) {
    return spec->rows != NULL ? spec->rows->input : spec->group->input;
}

/// What the group half reads of its input.
static void add_group_reads(struct column_set *set, const struct pq_group_spec *group) {
    for (size_t k = 0; k < group->key_count; k++) column_set_add_operand(set, &group->keys[k]);
    for (size_t k = 0; k < group->compute.argument_count; k++) {
        column_set_add_operand(set, &group->compute.arguments[k]);
    }
    set->has[PQ_SEQ_COLUMN] = true;
    if (group->index != PQ_NO_COLUMN) set->has[group->index] = true;
    if (group->order_by_id) set->has[PQ_ID_COLUMN] = true;
}

/// What is read of the source, for what is read of the expanded rows.
static pqdb_code before_expand(const struct pq_node_spec *spec, struct column_set *set,
                               const struct pq_alloc *alloc, pqdb_error *err) {
    const struct pq_expand_spec *expand = spec->expand;
    struct column_set source = {0};
    const pqdb_code code = column_set_init(&source, spec->source_type->field_count, alloc, err);
    if (code == PQDB_OK) {
        pq_expand_reads(expand, set->has, source.has);
        column_set_add_program(&source, expand->filter);
    }
    column_set_deinit(set, alloc);
    *set = source;
    return code;
}

static pqdb_code collect_columns(struct pq_node *node, pqdb_error *err) {
    const struct pq_node_spec *spec = node->spec;
    struct column_set set = {0};
    PQ_TRY(column_set_init(&set, input_type(spec)->field_count, node->alloc, err));
    if (spec->rows != NULL) {
        memcpy(set.has, node->rows.of_input.has, set.count * sizeof *set.has);
        column_set_add_program(&set, spec->rows->filter_first);
    } else {
        add_group_reads(&set, spec->group);
    }
    if (spec->expand != NULL) PQ_TRY(before_expand(spec, &set, node->alloc, err));
    node->columns = pq_resize(node->alloc, NULL, 0, set.count + 1, sizeof *node->columns);
    node->column_capacity = set.count + 1;
    for (uint32_t k = 0; k < set.count && node->columns != NULL; k++) {
        if (set.has[k]) node->columns[node->column_count++] = k;
    }
    column_set_deinit(&set, node->alloc);
    return node->columns != NULL ? PQDB_OK : pq_fail(err, PQDB_NO_MEMORY, "a view's columns");
}

static pqdb_code list_parts(struct pq_node *node, pqdb_error *err) {
    const size_t count = 1 + node->group.layout.trace_count;
    node->parts = pq_resize(node->alloc, NULL, 0, count, sizeof *node->parts);
    if (node->parts == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu pieces of state", count);
    node->part_count = count;
    node->parts[0] = (struct pq_node_part){
        .name = "groups", .what = "one row a group", .trace = &node->group.trace, .is_there = true};
    for (size_t i = 1; i < count; i++) {
        struct group_trace *trace = &node->group.traces[i - 1];
        node->parts[i] = (struct pq_node_part){.name = trace->name,
                                               .what = trace->what,
                                               .trace = &trace->trace,
                                               .is_late = node->group.layout.traces[i - 1].is_late};
    }
    return PQDB_OK;
}

static void free_parts(struct pq_node *node) {
    pq_free(node->alloc, node->parts, node->part_count, sizeof *node->parts);
}

pqdb_code pq_node_create(const struct pq_node_spec *spec, const struct pq_alloc *alloc,
                         struct pq_node **node, pqdb_error *err) {
    pq_assert(spec->rows != NULL || spec->group != NULL);
    struct pq_node *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a view");
    *made = (struct pq_node){.spec = spec, .alloc = alloc};
    pq_arena_init(&made->arena, alloc);
    bool rows = false, group = false;
    pqdb_code code = PQDB_OK;
    if (spec->rows != NULL) PQ_GO(row_op_init(&made->rows, spec->rows, alloc, err));
    rows = spec->rows != NULL;
    if (spec->group != NULL) PQ_GO(group_op_init(&made->group, spec, alloc, err));
    group = spec->group != NULL;
    if (group) PQ_GO(list_parts(made, err));
    PQ_GO(collect_columns(made, err));
    PQ_GO(pq_node_collect_reads(spec, &made->arena, &made->reads, err));
    *node = made;
    return PQDB_OK;
done:
    pq_arena_deinit(&made->arena);
    pq_free(alloc, made->columns, made->column_capacity, sizeof *made->columns);
    free_parts(made);
    if (group) group_op_deinit(&made->group);
    if (rows) row_op_deinit(&made->rows);
    pq_free(alloc, made, 1, sizeof *made);
    return code;
}

void pq_node_destroy(struct pq_node *node) {
    if (node == NULL) return;
    free_parts(node);
    if (node->spec->group != NULL) group_op_deinit(&node->group);
    if (node->spec->rows != NULL) row_op_deinit(&node->rows);
    pq_free(node->alloc, node->columns, node->column_capacity, sizeof *node->columns);
    pq_arena_deinit(&node->arena);
    pq_free(node->alloc, node, 1, sizeof *node);
}

const struct pq_node_spec *pq_node_spec(const struct pq_node *node) { return node->spec; }

const struct pq_node_part *pq_node_parts(struct pq_node *node, size_t *count) {
    for (size_t i = 1; i < node->part_count; i++) {
        node->parts[i].is_there = node->group.traces[i - 1].is_made;
    }
    *count = node->part_count;
    return node->parts;
}

void pq_node_use_part(struct pq_node *node, size_t part) {
    if (part > 0) node->group.traces[part - 1].is_made = true;
}

void pq_node_use_parts_of(struct pq_node *node, const struct pq_node *other) {
    for (size_t i = 1; i < node->part_count && node->part_count == other->part_count; i++) {
        node->group.traces[i - 1].is_made |= other->group.traces[i - 1].is_made;
    }
}

void pq_node_take_parts(struct pq_node *to, struct pq_node *from) {
    for (size_t i = 1; i < to->part_count; i++) {
        struct group_trace *lacks = &to->group.traces[i - 1], *has = &from->group.traces[i - 1];
        if (lacks->is_made || !has->is_made) continue;
        const struct pq_trace empty = lacks->trace;
        lacks->trace = has->trace;
        has->trace = empty;
        lacks->is_made = true;
        has->is_made = false;
    }
}

const uint32_t *pq_node_columns(const struct pq_node *node, size_t *count) {
    *count = node->column_count;
    return node->columns;
}

size_t pq_node_bytes(const struct pq_node *node) {
    size_t bytes = sizeof *node + node->column_capacity * sizeof *node->columns;
    if (node->spec->group != NULL) {
        for (size_t i = 0; i < node->part_count; i++) {
            bytes += pq_trace_bytes(node->parts[i].trace);
        }
        bytes += group_keys_bytes(&node->group.keys);
    }
    return bytes;
}

size_t pq_node_dirty_bytes(const struct pq_node *node) {
    size_t bytes = 0;
    for (size_t i = 0; i < node->part_count; i++) {
        bytes += pq_trace_dirty_bytes(node->parts[i].trace);
    }
    return bytes;
}

void pq_node_use_spill(struct pq_node *node, const struct pq_spill *spill) { node->spill = spill; }

pqdb_code pq_node_spill(struct pq_node *node, pqdb_error *err) {
    if (node->spill == NULL || node->part_count == 0) return PQDB_OK;
    if (!node->spill->is_due(node->spill->ctx, pq_node_dirty_bytes(node))) return PQDB_OK;
    for (size_t i = 0; i < node->part_count; i++) {
        PQ_TRY(pq_trace_spill(node->parts[i].trace, node->spill, err));
    }
    return PQDB_OK;
}

/// The source's rows as the group half reads them.
struct through {
    struct pq_node *node;
    const struct pq_rows *source;
    pqdb_code (*take)(void *taker, const struct pq_batch *batch, pqdb_error *err);
    void *taker;
    struct pq_arena arena;  // of one batch
};

/// The source's rows as of before the running step, if there is one, with what they link to.
static pqdb_code expand_through(struct through *through, const struct pq_batch *batch,
                                struct pq_batch *rows, pqdb_error *err) {
    const struct pq_node *node = through->node;
    struct expand_run run;
    expand_run_init(&run, node->spec->expand, node->spec->lookup, &through->arena);
    if (node->running != NULL) {
        run.changes = node->running->changes;
        run.change_count = node->running->change_count;
    }
    return expand_side(&run, EXPAND_BEFORE, batch, rows, err);
}

static pqdb_code take_through(void *taker, const struct pq_batch *batch, pqdb_error *err) {
    struct through *through = taker;
    const struct pq_node *node = through->node;
    struct pq_batch rows = *batch;
    pq_arena_reset(&through->arena);
    if (node->spec->expand != NULL) {
        PQ_TRY(expand_through(through, batch, &rows, err));
        if (rows.count == 0) return PQDB_OK;
    }
    if (node->spec->rows != NULL) {
        const struct pq_batch expanded = rows;
        PQ_TRY(row_op_run(&node->rows, &expanded, &through->arena, &rows, err));
    }
    return rows.count == 0 ? PQDB_OK : through->take(through->taker, &rows, err);
}

static pqdb_code scan_through(void *ctx, const struct pq_rows_wish *wish,
                              pqdb_code (*take)(void *taker, const struct pq_batch *batch,
                                                pqdb_error *err),
                              void *taker, pqdb_error *err) {
    (void)wish;  // what the whole node reads is asked for
    struct through *through = ctx;
    const struct pq_node *node = through->node;
    through->take = take;
    through->taker = taker;
    pq_arena_init(&through->arena, node->alloc);
    const struct pq_rows_wish whole = {node->columns, node->column_count, &node->reads};
    const pqdb_code code =
        through->source->scan(through->source->ctx, &whole, take_through, through, err);
    pq_arena_deinit(&through->arena);
    return code;
}

/// The row half and the groups, over rows that are expanded already.
static pqdb_code step_rows(struct pq_node *node, const struct pq_batch *delta,
                           struct pq_arena *arena, struct pq_batch *out, pqdb_error *err) {
    const struct pq_node_spec *spec = node->spec;
    struct pq_batch rows = *delta;
    if (spec->rows != NULL) PQ_TRY(row_op_run(&node->rows, delta, arena, &rows, err));
    if (spec->group == NULL) {
        PQ_TRY(cancel_pairs(&rows, arena, err));
        *out = rows;
        return PQDB_OK;
    }
    struct through through = {.node = node, .source = spec->refill};
    const struct pq_rows refill = {scan_through, &through};
    return group_op_step(&node->group, &rows, spec->refill == NULL ? NULL : &refill, arena, out,
                         err);
}

pqdb_code pq_node_step(struct pq_node *node, const struct pq_batch *delta, struct pq_arena *arena,
                       struct pq_batch *out, pqdb_error *err) {
    if (node->spec->expand == NULL) return step_rows(node, delta, arena, out, err);
    const struct pq_delta deltas[] = {{node->spec->source, delta}};
    return pq_node_step_all(node, deltas, 1, arena, out, err);
}

pqdb_code pq_node_step_all(struct pq_node *node, const struct pq_delta *deltas, size_t count,
                           struct pq_arena *arena, struct pq_batch *out, pqdb_error *err) {
    const struct pq_node_spec *spec = node->spec;
    *out = (struct pq_batch){.count = 0};
    if (spec->expand == NULL) {
        for (size_t i = 0; i < count; i++) {
            if (deltas[i].table != spec->source || deltas[i].rows->count == 0) continue;
            return step_rows(node, deltas[i].rows, arena, out, err);
        }
        return PQDB_OK;
    }
    const struct expand_step step = {
        .spec = spec->expand, .lookup = spec->lookup, .source = spec->source,
        .source_type = spec->source_type, .columns = node->columns,
        .column_count = node->column_count, .deltas = deltas, .delta_count = count};
    struct expand_run run;
    struct pq_batch rows;
    PQ_TRY(expand_op_step(&step, arena, &run, &rows, err));
    if (rows.count == 0) return PQDB_OK;
    node->running = &run;
    const pqdb_code code = step_rows(node, &rows, arena, out, err);
    node->running = NULL;
    return code;
}

bool pq_node_reads(const struct pq_node *node, uint32_t table) {
    const struct pq_expand_spec *expand = node->spec->expand;
    if (node->spec->source == table) return true;
    for (size_t i = 0; expand != NULL && i < expand->table_count; i++) {
        if (expand->tables[i] == table) return true;
    }
    return false;
}

struct build {
    struct pq_node *node;
    const struct pq_sink *sink;
    struct pq_arena arena;  // of one batch
};

static pqdb_code take_for_build(void *taker, const struct pq_batch *batch, pqdb_error *err) {
    struct build *build = taker;
    if (build->node->spec->group == NULL) {
        if (build->sink == NULL || batch->count == 0) return PQDB_OK;
        return build->sink->put(build->sink->ctx, batch, err);
    }
    pq_arena_reset(&build->arena);
    PQ_TRY(group_op_add(&build->node->group, batch, &build->arena, err));
    return pq_node_spill(build->node, err);
}

pqdb_code pq_node_full(struct pq_node *node, const struct pq_rows *rows,
                       const struct pq_sink *sink, pqdb_error *err) {
    const struct pq_group_spec *group = node->spec->group;
    if (group != NULL) group_op_clear(&node->group);
    struct build build = {.node = node, .sink = sink};
    struct through through = {.node = node, .source = rows};
    pq_arena_init(&build.arena, node->alloc);
    pqdb_code code = scan_through(&through, NULL, take_for_build, &build, err);
    if (code == PQDB_OK && group != NULL) code = group_op_put(&node->group, sink, err);
    pq_arena_deinit(&build.arena);
    return code;
}
