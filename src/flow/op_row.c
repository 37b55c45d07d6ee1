/// flow/op_row.c: see op_row.h.
#include "flow/op_row.h"

// ---- which columns are read -------------------------------------------------------------------

pqdb_code column_set_init(struct column_set *set, size_t count, const struct pq_alloc *alloc,
                          pqdb_error *err) {
    set->has = pq_resize(alloc, NULL, 0, count + 1, sizeof *set->has);
    if (set->has == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a set of %zu columns", count);
    memset(set->has, 0, (count + 1) * sizeof *set->has);
    set->count = count;
    return PQDB_OK;
}

void column_set_deinit(struct column_set *set, const struct pq_alloc *alloc) {
    if (set->has != NULL) pq_free(alloc, set->has, set->count + 1, sizeof *set->has);
    *set = (struct column_set){0};
}

static void add_column(struct column_set *set, uint32_t column) {
    pq_assert(column < set->count);
    set->has[column] = true;
}

void column_set_add_program(struct column_set *set, const struct pq_program *program) {
    if (program == NULL) return;
    size_t count;
    const uint32_t *columns = pq_program_columns(program, &count);
    for (size_t i = 0; i < count; i++) add_column(set, columns[i]);
}

void column_set_add_operand(struct column_set *set, const struct pq_operand *operand) {
    if (operand->program != NULL) {
        column_set_add_program(set, operand->program);
    } else {
        add_column(set, operand->column);
    }
}

static void add_unnest(struct column_set *set, const struct pq_unnest_spec *unnest) {
    column_set_add_operand(set, &unnest->list);
    for (size_t k = 0; k < unnest->beside_count; k++) {
        column_set_add_operand(set, &unnest->beside[k]);
    }
    for (size_t k = 0; k < unnest->carry_count; k++) add_column(set, unnest->carry[k]);
}

/// From the end to the beginning: what a stage reads, and what the stages behind it read through
/// it.
static void collect_reads(struct row_op *op) {
    const struct pq_row_spec *spec = op->spec;
    struct column_set *last = spec->list_count > 0 ? &op->of_computed : &op->of_rows;
    for (uint32_t k = 0; k < spec->output->field_count; k++) {
        column_set_add_operand(last, &spec->columns[k]);
    }
    if (spec->list_count > 0) {
        for (size_t k = 0; k < op->of_rows.count; k++) {
            if (op->of_computed.has[k]) op->of_rows.has[k] = true;
        }
        for (size_t i = 0; i < spec->list_count; i++) {
            add_unnest(&op->of_rows, &spec->lists[i].elements);
        }
    }
    if (spec->unnest != NULL) {
        add_unnest(&op->of_input, spec->unnest);
        add_column(&op->of_input, PQ_ID_COLUMN);
        add_column(&op->of_input, PQ_SEQ_COLUMN);
        if (spec->unnest->parent_index != PQ_NO_COLUMN) {
            add_column(&op->of_input, spec->unnest->parent_index);
        }
    } else {
        for (size_t k = 0; k < op->of_rows.count; k++) {
            if (op->of_rows.has[k]) op->of_input.has[k] = true;
        }
        column_set_add_program(&op->of_input, spec->filter);
    }
}

static pqdb_code init_parts(struct row_op *op, pqdb_error *err) {
    const struct pq_row_spec *spec = op->spec;
    const struct pq_type *rows = spec->unnest != NULL ? spec->unnest->type : spec->input;
    PQ_TRY(column_set_init(&op->of_input, spec->input->field_count, op->alloc, err));
    PQ_TRY(column_set_init(&op->of_rows, rows->field_count, op->alloc, err));
    if (spec->list_count > 0) {
        PQ_TRY(column_set_init(&op->of_computed, spec->computed->field_count, op->alloc, err));
    }
    op->layouts = pq_resize(op->alloc, NULL, 0, spec->list_count + 1, sizeof *op->layouts);
    if (op->layouts == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu lists", spec->list_count);
    memset(op->layouts, 0, (spec->list_count + 1) * sizeof *op->layouts);
    for (size_t i = 0; i < spec->list_count; i++) {
        PQ_TRY(layout_init(&op->layouts[i], &spec->lists[i].compute,
                           spec->lists[i].elements.type, true, op->alloc, err));
    }
    collect_reads(op);
    return PQDB_OK;
}

pqdb_code row_op_init(struct row_op *op, const struct pq_row_spec *spec,
                      const struct pq_alloc *alloc, pqdb_error *err) {
    *op = (struct row_op){.spec = spec, .alloc = alloc};
    const pqdb_code code = init_parts(op, err);
    if (code != PQDB_OK) row_op_deinit(op);
    return code;
}

void row_op_deinit(struct row_op *op) {
    for (size_t i = 0; op->layouts != NULL && i < op->spec->list_count; i++) {
        if (op->layouts[i].states != NULL) layout_deinit(&op->layouts[i], op->alloc);
    }
    if (op->layouts != NULL) {
        pq_free(op->alloc, op->layouts, op->spec->list_count + 1, sizeof *op->layouts);
    }
    op->layouts = NULL;
    column_set_deinit(&op->of_input, op->alloc);
    column_set_deinit(&op->of_rows, op->alloc);
    column_set_deinit(&op->of_computed, op->alloc);
}

// ---- running ----------------------------------------------------------------------------------

/// The selected rows of the columns in the set; the others are only placeholders of their type.
static pqdb_code gather(const struct pq_batch *batch, const struct pq_selection *selection,
                        const struct column_set *set, struct pq_arena *arena,
                        struct pq_batch *out, pqdb_error *err) {
    struct pq_column *columns = pq_arena_calloc(arena, set->count, sizeof *columns);
    int64_t *weights = NULL;
    if (batch->weights != NULL) {
        weights = pq_arena_alloc(arena, selection->count * sizeof *weights);
    }
    if (columns == NULL || (weights == NULL && batch->weights != NULL)) {
        return pq_fail(err, PQDB_NO_MEMORY, "%zu rows", selection->count);
    }
    for (size_t k = 0; k < set->count; k++) {
        columns[k].type = batch->columns[k].type;
        if (!set->has[k]) continue;
        PQ_TRY(pq_column_gather(&batch->columns[k], selection->rows, selection->count, arena,
                                &columns[k], err));
    }
    for (size_t i = 0; i < selection->count && weights != NULL; i++) {
        weights[i] = batch->weights[selection->rows[i]];
    }
    *out = (struct pq_batch){.type = batch->type,
                             .count = selection->count,
                             .columns = columns,
                             .weights = weights};
    return PQDB_OK;
}

static pqdb_code filter(const struct pq_program *program, const struct column_set *set,
                        struct pq_batch *batch, struct pq_arena *arena, pqdb_error *err) {
    if (program == NULL || batch->count == 0) return PQDB_OK;
    struct pq_selection selection;
    PQ_TRY(pq_program_select(program, batch, arena, &selection, err));
    if (selection.rows == NULL) return PQDB_OK;
    const struct pq_batch all = *batch;
    return gather(&all, &selection, set, arena, batch, err);
}

static pqdb_code append_computed(const struct row_op *op, struct pq_batch *batch,
                                 struct pq_arena *arena, pqdb_error *err) {
    const struct pq_row_spec *spec = op->spec;
    const struct pq_type *type = spec->computed;
    struct pq_column *columns = pq_arena_calloc(arena, type->field_count, sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%u columns", type->field_count);
    uint32_t at = batch->type->field_count;
    memcpy(columns, batch->columns, at * sizeof *columns);
    for (size_t i = 0; i < spec->list_count; i++) {
        const struct list_run run = {&spec->lists[i], &op->layouts[i], &type->fields[at]};
        PQ_TRY(list_compute(&run, batch, arena, &columns[at], err));
        at += (uint32_t)spec->lists[i].compute.aggregate_count;
    }
    pq_assert(at == type->field_count);
    batch->type = type;
    batch->columns = columns;
    return PQDB_OK;
}

pqdb_code row_op_run(const struct row_op *op, const struct pq_batch *batch, struct pq_arena *arena,
                     struct pq_batch *out, pqdb_error *err) {
    const struct pq_row_spec *spec = op->spec;
    struct pq_batch rows = *batch;
    *out = (struct pq_batch){.type = spec->output};
    PQ_TRY(filter(spec->filter_first, &op->of_input, &rows, arena, err));
    if (rows.count == 0) return PQDB_OK;
    if (spec->unnest != NULL) {
        const struct pq_batch parents = rows;
        PQ_TRY(unnest_rows(spec->unnest, &parents, arena, &rows, err));
    }
    PQ_TRY(filter(spec->filter, &op->of_rows, &rows, arena, err));
    if (rows.count == 0) return PQDB_OK;
    if (spec->list_count > 0) PQ_TRY(append_computed(op, &rows, arena, err));
    const uint32_t count = spec->output->field_count;
    struct pq_column *columns = pq_arena_alloc(arena, count * sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%u columns", count);
    for (uint32_t k = 0; k < count; k++) {
        PQ_TRY(operand_run(&spec->columns[k], &rows, arena, &columns[k], err));
        columns[k].type = &spec->output->fields[k].type;
    }
    *out = (struct pq_batch){
        .type = spec->output, .count = rows.count, .columns = columns, .weights = rows.weights};
    return PQDB_OK;
}
