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

static pqdb_code run_operands(const struct pq_operand *operands, size_t count,
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
    PQ_TRY(run_operands(spec->keys, spec->key_count, batch, arena, &touch->keys, err));
    PQ_TRY(run_operands(spec->compute.arguments, spec->compute.argument_count, batch, arena,
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

/// Cells by key bytes, for rows that are scanned.
struct wanted {
    struct touch *touch;
    const bool *exhausted;  // [state][cell]
    uint32_t *slots;        // cell + 1, open addressing by hash of the key bytes
    size_t slot_count;
    struct pq_arena arena;  // of one scanned batch
};

static bool is_exhausted(const struct wanted *wanted, size_t state, uint32_t cell) {
    return wanted->exhausted[state * wanted->touch->cells.count + cell];
}

static pqdb_code want_cells(struct wanted *wanted, pqdb_error *err) {
    const struct touch *touch = wanted->touch;
    const uint32_t cells = touch->cells.count;
    wanted->slot_count = 64;
    while (wanted->slot_count < 2 * (size_t)cells) wanted->slot_count *= 2;
    wanted->slots =
        pq_arena_calloc(touch->arena, wanted->slot_count, sizeof *wanted->slots);
    if (wanted->slots == NULL) return pq_fail(err, PQDB_NO_MEMORY, "refilling %u groups", cells);
    for (uint32_t cell = 0; cell < cells; cell++) {
        bool any = false;
        for (size_t s = 0; s < touch->op->layout.state_count; s++) {
            any |= is_exhausted(wanted, s, cell);
        }
        if (!any) continue;
        const struct pq_text key = pq_trace_key(touch->trace_rows[cell]);
        size_t at = pq_hash(key.data, key.length) & (wanted->slot_count - 1);
        while (wanted->slots[at] != 0) at = (at + 1) & (wanted->slot_count - 1);
        wanted->slots[at] = cell + 1;
    }
    return PQDB_OK;
}

static uint32_t find_wanted(const struct wanted *wanted, struct pq_text key) {
    size_t at = pq_hash(key.data, key.length) & (wanted->slot_count - 1);
    for (; wanted->slots[at] != 0; at = (at + 1) & (wanted->slot_count - 1)) {
        const uint32_t cell = wanted->slots[at] - 1;
        if (pq_text_equal(pq_trace_key(wanted->touch->trace_rows[cell]), key)) return cell;
    }
    return NO_CELL;
}

/// Feed the rows whose window of this state is exhausted, and only those.
static pqdb_code feed_state(struct wanted *wanted, size_t s, const struct feed *feed,
                            pqdb_error *err) {
    struct touch *touch = wanted->touch;
    struct pq_arena *arena = &wanted->arena;
    const struct pq_group_spec *spec = touch->op->spec;
    const size_t count = feed->batch->count;
    uint32_t *rows = pq_arena_alloc(arena, count * sizeof *rows);
    uint32_t *cell_of = pq_arena_alloc(arena, count * sizeof *cell_of);
    struct pq_column *arguments =
        pq_arena_calloc(arena, spec->compute.argument_count + 1, sizeof *arguments);
    if (rows == NULL || cell_of == NULL || arguments == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "refilling from %zu rows", count);
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t cell = feed->cell_of[i];
        if (cell == NO_CELL || !is_exhausted(wanted, s, cell)) continue;
        rows[kept] = (uint32_t)i;
        cell_of[kept++] = cell;
    }
    if (kept == 0) return PQDB_OK;
    const struct state_place *state = &touch->op->layout.states[s];
    struct pq_batch batch;
    PQ_TRY(pq_batch_gather(feed->batch, rows, kept, arena, &batch, err));
    PQ_TRY(pq_column_gather(&feed->arguments[state->argument], rows, kept, arena,
                            &arguments[state->argument], err));
    if (state->by != PQ_NO_COLUMN) {
        PQ_TRY(pq_column_gather(&feed->arguments[state->by], rows, kept, arena,
                                &arguments[state->by], err));
    }
    const struct feed part = {&batch, arguments, cell_of};
    return add_to_state(touch, state, &part, err);
}

static pqdb_code feed_states(struct wanted *wanted, const struct feed *feed, pqdb_error *err) {
    for (size_t s = 0; s < wanted->touch->op->layout.state_count; s++) {
        PQ_TRY(feed_state(wanted, s, feed, err));
    }
    return PQDB_OK;
}

/// A batch of the source: which of its rows belong to wanted groups?
static pqdb_code take_scanned(void *taker, const struct pq_batch *batch, pqdb_error *err) {
    struct wanted *wanted = taker;
    struct pq_arena *arena = &wanted->arena;
    const struct pq_group_spec *spec = wanted->touch->op->spec;
    if (batch->count == 0) return PQDB_OK;
    pq_arena_reset(arena);
    struct feed feed = {.batch = batch};
    const struct pq_column *columns;
    PQ_TRY(run_operands(spec->keys, spec->key_count, batch, arena, &columns, err));
    PQ_TRY(run_operands(spec->compute.arguments, spec->compute.argument_count, batch, arena,
                        &feed.arguments, err));
    uint32_t *cell_of = pq_arena_calloc(arena, batch->count, sizeof *cell_of);
    if (cell_of == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu rows", batch->count);
    if (spec->key_count > 0) {
        struct pq_keys keys;
        PQ_TRY(pq_keys_encode(columns, spec->key_count, batch->count, arena, &keys, err));
        for (size_t i = 0; i < batch->count; i++) {
            cell_of[i] = find_wanted(wanted, (struct pq_text){
                                                 (const char *)keys.data + keys.offsets[i],
                                                 keys.offsets[i + 1] - keys.offsets[i]});
        }
    }
    feed.cell_of = cell_of;
    return feed_states(wanted, &feed, err);
}

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

/// The step's own rows go first, so that what is taken back is known before anything is dropped:
/// from then on rows are only added, and a window that holds a value keeps one.
static pqdb_code refill_windows(struct wanted *wanted, const struct pq_rows *refill,
                                pqdb_error *err) {
    struct touch *touch = wanted->touch;
    for (size_t s = 0; s < touch->op->layout.state_count; s++) {
        const struct state_place *state = &touch->op->layout.states[s];
        for (uint32_t cell = 0; cell < touch->cells.count; cell++) {
            if (is_exhausted(wanted, s, cell)) {
                state->kind->restart(touch->cells.rows[cell], state->offset);
            }
        }
    }
    const struct feed feed = {touch->batch, touch->arguments, touch->cell_of};
    PQ_TRY(want_cells(wanted, err));
    PQ_TRY(feed_states(wanted, &feed, err));
    return refill->scan(refill->ctx, NULL, 0, take_scanned, wanted, err);
}

/// From their multisets, those that have one. `*any`: others are left.
static pqdb_code refill_from_multisets(struct touch *touch, bool *exhausted, bool *any,
                                       pqdb_error *err) {
    const struct group_op *op = touch->op;
    *any = false;
    for (size_t s = 0; s < op->layout.state_count; s++) {
        const struct state_place *place = &op->layout.states[s];
        const bool has_multiset =
            place->multiset != NO_TRACE && op->traces[place->multiset].is_made;
        for (uint32_t cell = 0; cell < touch->cells.count; cell++) {
            bool *is_exhausted = &exhausted[s * touch->cells.count + cell];
            if (!*is_exhausted) continue;
            *any |= !has_multiset;
            if (!has_multiset) continue;
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
            if (place->kind->settle(touch->cells.rows[cell], place) != STATE_WHOLE) {
                return pq_fail(err, PQDB_CORRUPT,
                               "the state of the view does not fit together: %s",
                               op->traces[place->multiset].name);
            }
            *is_exhausted = false;
        }
    }
    return PQDB_OK;
}

static pqdb_code refill_from_source(struct touch *touch, const bool *exhausted,
                                    const struct pq_rows *refill, pqdb_error *err) {
    if (refill == NULL) {
        return pq_fail(err, PQDB_UNSUPPORTED,
                       "the smallest or first value of a group was taken back, and its source "
                       "cannot be read again");
    }
    struct wanted wanted = {.touch = touch, .exhausted = exhausted};
    pq_arena_init(&wanted.arena, touch->op->alloc);
    const pqdb_code code = refill_windows(&wanted, refill, err);
    pq_arena_deinit(&wanted.arena);
    return code;
}

static pqdb_code look_after_windows(struct touch *touch, const struct pq_rows *refill,
                                    pqdb_error *err) {
    const size_t count = touch->op->layout.state_count * touch->cells.count;
    bool *exhausted = pq_arena_calloc(touch->arena, count, sizeof *exhausted);
    if (exhausted == NULL) return pq_fail(err, PQDB_NO_MEMORY, "settling %zu windows", count);
    bool any;
    PQ_TRY(settle(touch, exhausted, &any, err));
    if (any) PQ_TRY(refill_from_multisets(touch, exhausted, &any, err));
    if (!any) return PQDB_OK;
    PQ_TRY(refill_from_source(touch, exhausted, refill, err));
    PQ_TRY(settle(touch, exhausted, &any, err));
    if (!any) return PQDB_OK;
    return pq_fail(err, PQDB_CORRUPT, "the source has fewer rows than were counted");
}

pqdb_code group_apply(struct touch *touch, const struct pq_rows *refill, pqdb_error *err) {
    PQ_TRY(count_rows(touch, err));
    PQ_TRY(group_traces_add(touch, err));
    const struct feed feed = {touch->batch, touch->arguments, touch->cell_of};
    const struct layout *layout = &touch->op->layout;
    for (size_t s = 0; s < layout->state_count; s++) {
        PQ_TRY(add_to_state(touch, &layout->states[s], &feed, err));
    }
    return touch->takes_back || layout->always_settles ? look_after_windows(touch, refill, err)
                                                       : PQDB_OK;
}
