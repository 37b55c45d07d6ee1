/// flow/op_group.c: a step of a grouped view, and its twin.
#include "flow/op_group.h"

enum { put_rows = 4096 };

static pqdb_code init_names(struct group_op *op, pqdb_error *err) {
    const struct pq_group_spec *spec = op->spec;
    const size_t keys = spec->key_count, count = keys + spec->compute.argument_count;
    op->names_at = pq_resize(op->alloc, NULL, 0, count + 1, sizeof *op->names_at);
    if (op->names_at == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu operands", count);
    uint32_t total = 0;
    for (size_t k = 0; k < count; k++) {
        const struct pq_operand *operand =
            k < keys ? &spec->keys[k] : &spec->compute.arguments[k - keys];
        op->names_at[k] = total;
        const struct pq_type *type = operand_type(operand, spec->input);
        // What can only be null comes as a variant column.
        total += type->kind == PQ_NULL ? 1 : (uint32_t)names_count(type);
    }
    op->names_at[count] = total;
    op->names = pq_resize(op->alloc, NULL, 0, total + 1, sizeof *op->names);
    if (op->names == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%u lists of names", total);
    for (uint32_t i = 0; i <= total; i++) op->names[i] = NULL;
    return PQDB_OK;
}

static bool keys_are_exact(const struct pq_group_spec *spec) {
    for (size_t k = 0; k < spec->key_count; k++) {
        switch (operand_type(&spec->keys[k], spec->input)->kind) {
            case PQ_BOOL:
            case PQ_INT64:
            case PQ_DECIMAL:
            case PQ_DATE:
            case PQ_TIME:
            case PQ_TIMESTAMP:
            case PQ_TEXT:
            case PQ_BINARY: break;
            default: return false;
        }
    }
    return true;
}

pqdb_code group_op_init(struct group_op *op, const struct pq_node_spec *spec,
                        const struct pq_alloc *alloc, pqdb_error *err) {
    const struct pq_group_spec *group = spec->group;
    *op = (struct group_op){.spec = group, .name = spec->name, .alloc = alloc};
    pq_assert(group->output->field_count ==
              2 + group->key_count + group->compute.aggregate_count);
    op->keys_exact = keys_are_exact(group);
    pq_trace_init(&op->trace, PQ_TRACE_NEWEST_WINS, alloc);
    pq_bytes_init(&op->scratch, alloc);
    pqdb_code code;
    PQ_GO(layout_init(&op->layout, &group->compute, group->input, false, alloc, err));
    PQ_GO(group_traces_init(op, err));
    PQ_GO(group_keys_init(&op->keys, group->key_count, alloc, err));
    PQ_GO(init_names(op, err));
done:
    if (code != PQDB_OK) group_op_deinit(op);
    return code;
}

void group_op_deinit(struct group_op *op) {
    if (op->spec == NULL) return;  // a view without groups
    if (op->names != NULL) {
        const size_t count = op->spec->key_count + op->spec->compute.argument_count;
        pq_free(op->alloc, op->names, op->names_at[count] + 1, sizeof *op->names);
    }
    pq_free(op->alloc, op->names_at,
            op->spec->key_count + op->spec->compute.argument_count + 1, sizeof *op->names_at);
    group_keys_deinit(&op->keys);
    group_traces_deinit(op);
    if (op->layout.states != NULL) layout_deinit(&op->layout, op->alloc);
    pq_bytes_deinit(&op->scratch);
    pq_trace_deinit(&op->trace);
    op->names = NULL;
    op->names_at = NULL;
}

void group_op_clear(struct group_op *op) {
    pq_trace_clear(&op->trace);
    group_traces_clear(op);
    group_keys_forget(&op->keys);
}

// ---- a step -----------------------------------------------------------------------------------

/// The rows of a step's output: all old ones, then all new ones.
struct step {
    struct touch touch;
    struct emit *emits;
    uint8_t **rows;       // group rows, [old_count + new_count]
    uint32_t *batch_rows;  // a row of the batch with the same key
    uint32_t *new_of;     // [cell] output row, or NO_CELL
    size_t old_count, new_count;
};

static pqdb_code emit_old(struct step *step, pqdb_error *err) {
    const struct touch *touch = &step->touch;
    const uint32_t cells = touch->cells.count;
    step->rows = pq_arena_alloc(touch->arena, 2 * (size_t)cells * sizeof(uint8_t *));
    step->batch_rows = pq_arena_alloc(touch->arena, 2 * (size_t)cells * sizeof(uint32_t));
    step->new_of = pq_arena_alloc(touch->arena, cells * sizeof(uint32_t));
    if (step->rows == NULL || step->batch_rows == NULL || step->new_of == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "%u groups", cells);
    }
    PQ_TRY(group_emits_init(touch->op, 2 * (size_t)cells, touch->arena, &step->emits, err));
    for (uint32_t cell = 0; cell < cells; cell++) {
        if (!touch->existed[cell]) continue;
        step->batch_rows[step->old_count] = touch->first_row[cell];
        step->rows[step->old_count++] = touch->cells.rows[cell];
    }
    return group_emit(touch->op, step->rows, step->old_count, step->emits, err);
}

static pqdb_code emit_new(struct step *step, pqdb_error *err) {
    const struct touch *touch = &step->touch;
    const bool global = touch->op->spec->key_count == 0;
    size_t old = 0, count = step->old_count;
    for (uint32_t cell = 0; cell < touch->cells.count; cell++) {
        uint8_t *row = touch->cells.rows[cell];
        if (touch->existed[cell]) step->rows[old++] = row;  // it may have moved
        step->new_of[cell] = NO_CELL;
        if (group_head(row)->rows == 0 && !global) continue;
        step->new_of[cell] = (uint32_t)count;
        step->batch_rows[count] = touch->first_row[cell];
        step->rows[count++] = row;
    }
    step->new_count = count - step->old_count;
    return group_emit(touch->op, step->rows + step->old_count, step->new_count, step->emits, err);
}

static pqdb_code step_keys(const struct step *step, struct pq_column **keys, pqdb_error *err) {
    const struct touch *touch = &step->touch;
    const struct group_op *op = touch->op;
    const size_t count = step->old_count + step->new_count, key_count = op->spec->key_count;
    struct pq_column *columns = pq_arena_calloc(touch->arena, key_count + 1, sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu columns", key_count);
    *keys = columns;
    if (op->keys_exact) {
        for (size_t k = 0; k < key_count; k++) {
            PQ_TRY(pq_column_gather(&touch->keys[k], step->batch_rows, count, touch->arena,
                                    &columns[k], err));
        }
        return PQDB_OK;
    }
    struct pq_text *texts = pq_arena_alloc(touch->arena, count * sizeof *texts);
    if (texts == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu keys", count);
    for (size_t i = 0; i < count; i++) {
        const uint32_t cell = group_head(step->rows[i])->touched - 1;
        texts[i] = pq_trace_key(touch->trace_rows[cell]);
    }
    return group_decode_keys(op, texts, count, touch->arena, columns, err);
}

/// Did the group's row stay the same?
static bool is_unchanged(const struct group_op *op, const struct pq_batch *rows, size_t old,
                         size_t new) {
    for (size_t k = 2 + op->spec->key_count; k < rows->type->field_count; k++) {
        if (!column_rows_equal(&rows->columns[k], old, new)) return false;
    }
    return true;
}

/// Weights, and without the pairs that cancel out.
static pqdb_code weigh(const struct step *step, struct pq_batch *rows, pqdb_error *err) {
    const struct touch *touch = &step->touch;
    const size_t count = rows->count;
    int64_t *weights = pq_arena_alloc(touch->arena, count * sizeof *weights);
    uint32_t *kept = pq_arena_alloc(touch->arena, count * sizeof *kept);
    if (weights == NULL || kept == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu rows", count);
    for (size_t i = 0; i < count; i++) weights[i] = i < step->old_count ? -1 : 1;
    rows->weights = weights;
    size_t old = 0, unchanged = 0;
    for (uint32_t cell = 0; cell < touch->cells.count; cell++) {
        if (!touch->existed[cell]) continue;
        const uint32_t new = step->new_of[cell];
        if (new != NO_CELL && is_unchanged(touch->op, rows, old, new)) {
            weights[old] = weights[new] = 0;
            unchanged++;
        }
        old++;
    }
    if (unchanged == 0) return PQDB_OK;
    size_t kept_count = 0;
    for (size_t i = 0; i < count; i++) {
        if (weights[i] != 0) kept[kept_count++] = (uint32_t)i;
    }
    const struct pq_batch all = *rows;
    return pq_batch_gather(&all, kept, kept_count, touch->arena, rows, err);
}

static pqdb_code step_output(struct step *step, struct pq_batch *out, pqdb_error *err) {
    const struct touch *touch = &step->touch;
    struct pq_column *keys = NULL;
    PQ_TRY(emit_new(step, err));
    PQ_TRY(step_keys(step, &keys, err));
    const struct output output = {step->rows, step->old_count + step->new_count, keys,
                                  step->emits};
    PQ_TRY(group_output(touch->op, &output, touch->arena, out, err));
    PQ_TRY(weigh(step, out, err));
    return group_having(touch->op, out, touch->arena, err);
}

static void end_emits(const struct group_op *op, struct emit *emits) {
    if (emits == NULL) return;
    for (size_t a = 0; a < op->spec->compute.aggregate_count; a++) emit_deinit(&emits[a]);
}

pqdb_code group_op_step(struct group_op *op, const struct pq_batch *batch,
                        const struct pq_rows *refill, struct pq_arena *arena,
                        struct pq_batch *out, pqdb_error *err) {
    *out = (struct pq_batch){.type = op->spec->output};
    if (batch->count == 0) return PQDB_OK;
    struct step step = {.emits = NULL};
    struct pq_batch rows;
    pqdb_code code;
    PQ_GO(group_touch(op, batch, arena, &step.touch, err));
    PQ_GO(emit_old(&step, err));
    PQ_GO(group_apply(&step.touch, refill, err));
    PQ_GO(step_output(&step, &rows, err));
    group_release(&step.touch);
    if (rows.count > 0) *out = rows;
done:
    end_emits(op, step.emits);
    return code;
}

// ---- the twin ---------------------------------------------------------------------------------

pqdb_code group_op_add(struct group_op *op, const struct pq_batch *batch, struct pq_arena *arena,
                       pqdb_error *err) {
    struct touch touch;
    if (batch->count == 0) return PQDB_OK;
    PQ_TRY(group_touch(op, batch, arena, &touch, err));
    PQ_TRY(group_apply(&touch, NULL, err));
    group_release(&touch);
    return PQDB_OK;
}

struct put {
    struct group_op *op;
    const struct pq_sink *sink;
    struct pq_arena arena;
    bool copies;     // rows of runs are views into a block
    uint8_t **rows;  // views into the trace, or in the arena
    struct pq_text *keys;
    size_t count;
};

static pqdb_code put_batch(struct put *put, struct emit **emits, pqdb_error *err) {
    struct pq_arena *arena = &put->arena;
    const size_t key_count = put->op->spec->key_count;
    struct pq_column *keys = pq_arena_calloc(arena, key_count + 1, sizeof *keys);
    if (keys == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu columns", key_count);
    PQ_TRY(group_decode_keys(put->op, put->keys, put->count, arena, keys, err));
    PQ_TRY(group_emits_init(put->op, put->count, arena, emits, err));
    PQ_TRY(group_emit(put->op, put->rows, put->count, *emits, err));
    const struct output output = {put->rows, put->count, keys, *emits};
    struct pq_batch batch;
    PQ_TRY(group_output(put->op, &output, arena, &batch, err));
    PQ_TRY(group_having(put->op, &batch, arena, err));
    return batch.count == 0 ? PQDB_OK : put->sink->put(put->sink->ctx, &batch, err);
}

static pqdb_code flush(struct put *put, pqdb_error *err) {
    if (put->count == 0) return PQDB_OK;
    struct emit *emits = NULL;
    const pqdb_code code = put_batch(put, &emits, err);
    end_emits(put->op, emits);
    put->count = 0;
    pq_arena_reset(&put->arena);
    return code;
}

static pqdb_code put_group(void *ctx, const struct pq_run_row *row, pqdb_error *err) {
    struct put *put = ctx;
    struct pq_text key = row->key, payload = row->payload;
    if (put->copies) {
        key = pq_arena_copy(&put->arena, row->key);
        payload = pq_arena_copy(&put->arena, row->payload);  // 16-aligned
        if (key.data == NULL || payload.data == NULL) {
            return pq_fail(err, PQDB_NO_MEMORY, "%d output rows", put_rows);
        }
    }
    put->rows[put->count] = (uint8_t *)(uintptr_t)payload.data;
    put->keys[put->count++] = key;
    return put->count == put_rows ? flush(put, err) : PQDB_OK;
}

pqdb_code group_op_put(struct group_op *op, const struct pq_sink *sink, pqdb_error *err) {
    struct put put = {.op = op, .sink = sink, .copies = op->trace.run_count > 0};
    pq_arena_init(&put.arena, op->alloc);
    pqdb_code code = PQDB_OK;
    if (op->spec->key_count == 0) PQ_GO(group_make_global(op, err));
    if (sink == NULL) goto done;
    put.rows = pq_resize(op->alloc, NULL, 0, put_rows, sizeof(uint8_t *));
    put.keys = pq_resize(op->alloc, NULL, 0, put_rows, sizeof *put.keys);
    if (put.rows == NULL || put.keys == NULL) {
        PQ_GO(pq_fail(err, PQDB_NO_MEMORY, "%d output rows", put_rows));
    }
    PQ_GO(pq_trace_each(&op->trace, put_group, &put, err));
    PQ_GO(flush(&put, err));
done:
    pq_free(op->alloc, put.rows, put_rows, sizeof(uint8_t *));
    pq_free(op->alloc, put.keys, put_rows, sizeof *put.keys);
    pq_arena_deinit(&put.arena);
    return code;
}
