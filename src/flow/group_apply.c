/// flow/group_apply.c: rows into groups: find the groups, add, settle, refill.
#include <inttypes.h>

#include "base/hash.h"
#include "expr/compare.h"
#include "expr/print.h"
#include "flow/op_group.h"

// ---- making groups ----------------------------------------------------------------------------

static pqdb_code print_keys(const struct pq_column *columns, size_t column_count, size_t row,
                            struct pq_bytes *out, pqdb_error *err) {
    out->length = 0;
    PQ_TRY(pq_bytes_append_byte(out, '[', err));
    for (size_t k = 0; k < column_count; k++) {
        if (k > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_print_row(out, &columns[k], row, err));
    }
    return pq_bytes_append_byte(out, ']', err);
}

/// A new group: its `$id`, which depends on the key alone.
static pqdb_code make_group(void *ctx, struct pq_trace_row **row, size_t batch_row,
                            pqdb_error *err) {
    struct touch *touch = ctx;
    struct group_op *op = touch->op;
    const size_t key_count = op->spec->key_count;
    if (op->keys_exact) {
        PQ_TRY(print_keys(touch->keys, key_count, batch_row, &op->scratch, err));
    } else {
        const struct pq_text key = pq_trace_key(*row);
        struct pq_column *columns = pq_arena_calloc(touch->arena, key_count, sizeof *columns);
        if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu group keys", key_count);
        PQ_TRY(group_decode_keys(op, &key, 1, touch->arena, columns, err));
        PQ_TRY(print_keys(columns, key_count, 0, &op->scratch, err));
    }
    const uint32_t start = op->layout.fixed_bytes, length = (uint32_t)op->scratch.length;
    const uint32_t room = (length + 7) & ~7u;
    PQ_TRY(pq_trace_resize(&op->trace, row, start + room, err));
    struct group_head *head = (struct group_head *)(void *)pq_trace_payload(*row);
    head->layout = op->layout.check;
    head->id = (struct blob){.offset = start, .room = room, .length = length};
    memcpy((uint8_t *)head + start, op->scratch.data, length);
    return PQDB_OK;
}

/// cells->grow for rows of a trace.
static pqdb_code grow_row(struct cells *cells, uint32_t cell, size_t blob_offset, size_t bytes,
                          pqdb_error *err) {
    struct touch *touch = (struct touch *)(void *)cells;
    struct group_op *op = touch->op;
    const uint8_t *old = cells->rows[cell];
    struct pq_trace_row **row = &touch->trace_rows[cell];
    op->scratch.length = 0;
    PQ_TRY(pq_bytes_append(&op->scratch, old, (*row)->payload_bytes, err));
    const size_t total = layout_bytes(&op->layout, old, blob_offset, bytes);
    PQ_TRY(pq_trace_resize(&op->trace, row, total, err));
    cells->rows[cell] = pq_trace_payload(*row);
    layout_move(&op->layout, cells->rows[cell], op->scratch.data, blob_offset, bytes);
    return PQDB_OK;
}

// ---- touching ---------------------------------------------------------------------------------

pqdb_code group_operands(const struct pq_operand *operands, size_t count,
                              const struct pq_batch *batch, struct pq_arena *arena,
                              const struct pq_column **columns, pqdb_error *err) {
    struct pq_column *out = pq_arena_alloc(arena, (count + 1) * sizeof *out);
    if (out == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu columns", count);
    for (size_t k = 0; k < count; k++) {
        PQ_TRY(operand_run(&operands[k], batch, arena, &out[k], err));
    }
    *columns = out;
    return PQDB_OK;
}

static void remember_names(struct group_op *op, const struct touch *touch) {
    const struct pq_group_spec *spec = op->spec;
    for (size_t k = 0; k < spec->key_count; k++) {
        names_take(&touch->keys[k], op->names + op->names_at[k]);
    }
    for (size_t k = 0; k < spec->compute.argument_count; k++) {
        names_take(&touch->arguments[k], op->names + op->names_at[spec->key_count + k]);
    }
}

static pqdb_code add_cell(struct touch *touch, struct pq_trace_row *row, uint32_t batch_row,
                          uint32_t *cell_of, pqdb_error *err) {
    struct group_head *head = (struct group_head *)(void *)pq_trace_payload(row);
    if (head->touched == 0) {
        const struct layout *layout = &touch->op->layout;
        if (row->payload_bytes < layout->fixed_bytes || head->layout != layout->check) {
            return pq_fail(err, PQDB_CORRUPT, "the stored state is of another definition");
        }
        const uint32_t cell = touch->cells.count++;
        touch->cells.rows[cell] = (uint8_t *)head;
        touch->trace_rows[cell] = row;
        touch->first_row[cell] = batch_row;
        touch->existed[cell] = head->rows > 0 || touch->op->spec->key_count == 0;
        head->touched = cell + 1;
    }
    *cell_of = head->touched - 1;
    return PQDB_OK;
}

/// Without keys: the one row there is.
static pqdb_code global_row(struct touch *touch, struct pq_trace_row **row, pqdb_error *err) {
    struct group_op *op = touch->op;
    bool created;
    const struct pq_hashed_key key = {0, PQ_TEXT("")};
    PQ_TRY(pq_trace_touch(&op->trace, &key, op->layout.fixed_bytes, row, &created, err));
    return created ? make_group(touch, row, 0, err) : PQDB_OK;
}

pqdb_code group_make_global(struct group_op *op, pqdb_error *err) {
    struct touch touch = {.op = op};
    struct pq_trace_row *row;
    return global_row(&touch, &row, err);
}

static pqdb_code touch_global(struct touch *touch, uint32_t *cell_of, pqdb_error *err) {
    struct pq_trace_row *row;
    PQ_TRY(global_row(touch, &row, err));
    uint32_t cell;
    PQ_TRY(add_cell(touch, row, 0, &cell, err));
    memset(cell_of, 0, touch->batch->count * sizeof *cell_of);
    return PQDB_OK;
}

static pqdb_code touch_keyed(struct touch *touch, uint32_t *cell_of, pqdb_error *err) {
    struct group_op *op = touch->op;
    const size_t count = touch->batch->count;
    struct pq_trace_row **rows =
        pq_arena_alloc(touch->arena, count * sizeof(struct pq_trace_row *));
    if (rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "groups of %zu rows", count);
    const struct key_rows given = {
        .columns = touch->keys,
        .count = count,
        .payload_bytes = op->layout.fixed_bytes,
        .make = make_group,
        .ctx = touch,
        .rows = rows,
    };
    PQ_TRY(group_keys_touch(&op->keys, &op->trace, &given, touch->arena, err));
    for (size_t i = 0; i < count; i++) {
        PQ_TRY(add_cell(touch, rows[i], (uint32_t)i, &cell_of[i], err));
    }
    return PQDB_OK;
}

pqdb_code group_touch(struct group_op *op, const struct pq_batch *batch, struct pq_arena *arena,
                      struct touch *touch, pqdb_error *err) {
    const struct pq_group_spec *spec = op->spec;
    *touch = (struct touch){.cells = {.grow = grow_row}, .op = op, .batch = batch, .arena = arena};
    const size_t count = batch->count, most = spec->key_count == 0 ? 1 : count;
    touch->cells.rows = pq_arena_alloc(arena, most * sizeof(uint8_t *));
    touch->trace_rows = pq_arena_alloc(arena, most * sizeof(struct pq_trace_row *));
    touch->first_row = pq_arena_alloc(arena, most * sizeof *touch->first_row);
    touch->existed = pq_arena_alloc(arena, most * sizeof *touch->existed);
    uint32_t *cell_of = pq_arena_alloc(arena, count * sizeof *cell_of);
    if (touch->cells.rows == NULL || touch->trace_rows == NULL || touch->first_row == NULL ||
        touch->existed == NULL || cell_of == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "groups of %zu rows", count);
    }
    for (size_t i = 0; i < count && batch->weights != NULL; i++) {
        touch->takes_back |= batch->weights[i] < 0;
    }
    PQ_TRY(group_operands(spec->keys, spec->key_count, batch, arena, &touch->keys, err));
    PQ_TRY(group_operands(spec->compute.arguments, spec->compute.argument_count, batch, arena,
                        &touch->arguments, err));
    remember_names(op, touch);
    touch->cell_of = cell_of;
    return spec->key_count == 0 ? touch_global(touch, cell_of, err)
                                : touch_keyed(touch, cell_of, err);
}

void group_release(struct touch *touch) {
    for (uint32_t cell = 0; cell < touch->cells.count; cell++) {
        struct group_head *head = (struct group_head *)(void *)touch->cells.rows[cell];
        head->touched = 0;
        if (head->rows == 0 && touch->op->spec->key_count > 0) {
            pq_trace_remove(&touch->op->trace, touch->trace_rows[cell]);
        }
    }
}

// ---- adding -----------------------------------------------------------------------------------

struct addition group_addition(struct touch *touch, const struct feed *feed, uint32_t argument,
                               uint32_t by) {
    const struct pq_group_spec *spec = touch->op->spec;
    const struct pq_batch *batch = feed->batch;
    return (struct addition){
        .cells = &touch->cells,
        .cell_of = feed->cell_of,
        .weights = batch->weights,
        .count = batch->count,
        .argument = argument == PQ_NO_COLUMN ? NULL : &feed->arguments[argument],
        .by = by == PQ_NO_COLUMN ? NULL : &feed->arguments[by],
        .seq = &batch->columns[PQ_SEQ_COLUMN],
        .index = spec->index == PQ_NO_COLUMN ? NULL : &batch->columns[spec->index],
        .id = spec->order_by_id ? &batch->columns[PQ_ID_COLUMN] : NULL,
        .arena = touch->arena,
    };
}

static pqdb_code add_to_state(struct touch *touch, const struct state_place *state,
                              const struct feed *feed, pqdb_error *err) {
    struct addition addition = group_addition(touch, feed, state->argument, state->by);
    addition.offset = state->offset;
    addition.given = state->given;
    addition.changes = state->counts == NO_TRACE ? NULL : &touch->changes[state->counts];
    return state->kind->add(&addition, err);
}

pqdb_code group_broken(const struct touch *touch, uint32_t cell, pqdb_error *err) {
    const uint8_t *row = touch->cells.rows[cell];
    const struct blob id = group_head(row)->id;
    return pq_fail(err, PQDB_CORRUPT,
                   "group %.*s: more rows or values are taken back than were there",
                   (int)id.length, (const char *)row + id.offset);
}

static pqdb_code count_rows(struct touch *touch, pqdb_error *err) {
    const struct pq_batch *batch = touch->batch;
    for (size_t i = 0; i < batch->count; i++) {
        struct group_head *head =
            (struct group_head *)(void *)touch->cells.rows[touch->cell_of[i]];
        head->rows += weight_at(batch->weights, i);
    }
    for (uint32_t cell = 0; cell < touch->cells.count && touch->takes_back; cell++) {
        if (group_head(touch->cells.rows[cell])->rows < 0) return group_broken(touch, cell, err);
    }
    return PQDB_OK;
}

// ---- exhausted windows ------------------------------------------------------------------------

/// Which windows have nothing left inside, though there are rows behind their edge?
static pqdb_code settle(struct touch *touch, bool *exhausted, bool *any, pqdb_error *err) {
    *any = false;
    for (size_t s = 0; s < touch->op->layout.state_count; s++) {
        const struct state_place *state = &touch->op->layout.states[s];
        if (state->kind->settle == NULL) continue;
        for (uint32_t cell = 0; cell < touch->cells.count; cell++) {
            const enum settled settled =
                state->kind->settle(touch->cells.rows[cell], state);
            if (settled == STATE_BROKEN) return group_broken(touch, cell, err);
            exhausted[s * touch->cells.count + cell] = settled == STATE_EXHAUSTED;
            *any |= settled == STATE_EXHAUSTED;
        }
    }
    return PQDB_OK;
}

/// Traces that exhausted windows ask for and that are not made yet.
static bool wanted_traces(const struct touch *touch, const bool *exhausted, bool *wanted) {
    const struct group_op *op = touch->op;
    bool any = false;
    for (size_t s = 0; s < op->layout.state_count; s++) {
        const uint32_t trace = op->layout.states[s].multiset;
        for (uint32_t cell = 0; trace != NO_TRACE && cell < touch->cells.count; cell++) {
            if (!exhausted[s * touch->cells.count + cell] || op->traces[trace].is_made) continue;
            wanted[trace] = any = true;
        }
    }
    return any;
}

static pqdb_code refill_window(struct touch *touch, const struct state_place *place,
                               uint32_t cell, pqdb_error *err) {
    const struct group_op *op = touch->op;
    const struct refill refill = {
        .cells = &touch->cells,
        .cell = cell,
        .place = place,
        .trace = &op->traces[place->multiset].trace,
        .group = group_place(touch, cell),
        .argument = touch->arguments[place->argument].type,
        .arena = touch->arena,
    };
    PQ_TRY(place->kind->refill(&refill, err));
    if (place->kind->settle(touch->cells.rows[cell], place) == STATE_WHOLE) return PQDB_OK;
    return pq_fail(err, PQDB_CORRUPT, "the state of the view does not fit together: %s",
                   op->traces[place->multiset].name);
}

static pqdb_code look_after_windows(struct touch *touch, const struct pq_rows *source,
                                    pqdb_error *err) {
    const struct layout *layout = &touch->op->layout;
    const size_t count = layout->state_count * touch->cells.count;
    bool *exhausted = pq_arena_calloc(touch->arena, count, sizeof *exhausted);
    bool *wanted = pq_arena_calloc(touch->arena, layout->trace_count + 1, sizeof *wanted);
    if (exhausted == NULL || wanted == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "settling %zu windows", count);
    }
    bool any;
    PQ_TRY(settle(touch, exhausted, &any, err));
    if (!any) return PQDB_OK;
    if (wanted_traces(touch, exhausted, wanted)) {
        PQ_TRY(group_traces_make(touch, wanted, source, err));
    }
    for (size_t s = 0; s < layout->state_count; s++) {
        for (uint32_t cell = 0; cell < touch->cells.count; cell++) {
            if (!exhausted[s * touch->cells.count + cell]) continue;
            PQ_TRY(refill_window(touch, &layout->states[s], cell, err));
        }
    }
    return PQDB_OK;
}

pqdb_code group_apply(struct touch *touch, const struct pq_rows *source, pqdb_error *err) {
    PQ_TRY(count_rows(touch, err));
    PQ_TRY(group_traces_add(touch, err));
    const struct feed feed = {touch->batch, touch->arguments, touch->cell_of};
    const struct layout *layout = &touch->op->layout;
    for (size_t s = 0; s < layout->state_count; s++) {
        PQ_TRY(add_to_state(touch, &layout->states[s], &feed, err));
    }
    return touch->takes_back || layout->always_settles ? look_after_windows(touch, source, err)
                                                       : PQDB_OK;
}
