/// flow/group_emit.c: group rows as output rows.
#include "expr/compare.h"
#include "flow/op_group.h"
#include "flow/window.h"

pqdb_code group_emits_init(const struct group_op *op, size_t capacity, struct pq_arena *arena,
                           struct emit **emits, pqdb_error *err) {
    const struct pq_group_spec *spec = op->spec;
    const size_t count = spec->compute.aggregate_count, first = 2 + spec->key_count;
    struct emit *made = pq_arena_calloc(arena, count + 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu columns", count);
    for (size_t a = 0; a < count; a++) {
        const struct pq_type *type = &spec->output->fields[first + a].type;
        PQ_TRY(emit_init(&made[a], type, capacity, arena, err));
        const uint32_t argument = spec->compute.aggregates[a].argument;
        if (argument == PQ_NO_COLUMN) continue;
        const struct pq_type *from = operand_type(&spec->compute.arguments[argument], spec->input);
        if (names_count(type) == names_count(from)) {
            emit_use_names(&made[a], op->names + op->names_at[spec->key_count + argument]);
        }
    }
    *emits = made;
    return PQDB_OK;
}

pqdb_code group_emit(const struct group_op *op, uint8_t *const *rows, size_t count,
                     struct emit *emits, pqdb_error *err) {
    const struct pq_group_spec *spec = op->spec;
    for (size_t a = 0; a < spec->compute.aggregate_count; a++) {
        const struct pq_aggregate_spec *given = &spec->compute.aggregates[a];
        const uint32_t s = op->layout.state_of[a];
        const struct state_place *state = s == PQ_NO_COLUMN ? NULL : &op->layout.states[s];
        const uint32_t second = op->layout.second_of[a];
        const struct pq_finish finish = {
            .rows = rows,
            .count = count,
            .offset = state == NULL ? PQ_NO_COLUMN : state->offset,
            .second = second == PQ_NO_COLUMN ? PQ_NO_COLUMN : op->layout.states[second].offset,
            .given = state == NULL ? given->given : state->given,
            .state = state == NULL ? NULL : state->kind,
            .argument = given->argument == PQ_NO_COLUMN
                            ? NULL
                            : operand_type(&spec->compute.arguments[given->argument], spec->input),
            .name = spec->output->fields[2 + spec->key_count + a].name,
            .arena = emits[a].arena,
            .out = &emits[a],
        };
        PQ_TRY(given->kind->finish(&finish, err));
    }
    return PQDB_OK;
}

pqdb_code group_decode_keys(const struct group_op *op, const struct pq_text *keys, size_t count,
                            struct pq_arena *arena, struct pq_column *columns, pqdb_error *err) {
    const struct pq_group_spec *spec = op->spec;
    struct emit *emits = pq_arena_calloc(arena, spec->key_count + 1, sizeof *emits);
    if (emits == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu columns", spec->key_count);
    pqdb_code code = PQDB_OK;
    for (size_t k = 0; k < spec->key_count; k++) {
        PQ_GO(emit_init(&emits[k], &spec->output->fields[2 + k].type, count, arena, err));
        emit_use_names(&emits[k], op->names + op->names_at[k]);
    }
    for (size_t i = 0; i < count; i++) {
        struct pq_cursor cursor = pq_cursor_of(keys[i].data, keys[i].length);
        for (size_t k = 0; k < spec->key_count; k++) PQ_GO(key_emit(&cursor, &emits[k], err));
    }
    for (size_t k = 0; k < spec->key_count; k++) columns[k] = emit_finish(&emits[k]);
done:
    for (size_t k = 0; k < spec->key_count; k++) emit_deinit(&emits[k]);
    return code;
}

static pqdb_code id_column(uint8_t *const *rows, size_t count, struct pq_arena *arena,
                           struct pq_column *column, pqdb_error *err) {
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += group_head(rows[i])->id.length;
    if (bytes > UINT32_MAX) {
        return pq_fail(err, PQDB_LIMIT, "the ids of %zu groups take more than 4 GiB", count);
    }
    uint32_t *offsets = pq_arena_alloc(arena, (count + 1) * sizeof *offsets);
    uint8_t *data = pq_arena_alloc(arena, bytes);
    if (offsets == NULL || data == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "ids of %zu groups", count);
    }
    uint32_t end = 0;
    for (size_t i = 0; i < count; i++) {
        const struct blob id = group_head(rows[i])->id;
        offsets[i] = end;
        memcpy(data + end, rows[i] + id.offset, id.length);
        end += id.length;
    }
    offsets[count] = end;
    column->layout = PQ_BYTES;
    column->offsets = offsets;
    column->data = data;
    return PQDB_OK;
}

pqdb_code group_output(const struct group_op *op, const struct output *output,
                       struct pq_arena *arena, struct pq_batch *batch, pqdb_error *err) {
    const struct pq_type *type = op->spec->output;
    const size_t key_count = op->spec->key_count;
    struct pq_column *columns = pq_arena_calloc(arena, type->field_count, sizeof *columns);
    int64_t *seq = pq_arena_calloc(arena, output->count, sizeof *seq);
    if (columns == NULL || seq == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "%zu output rows", output->count);
    }
    PQ_TRY(id_column(output->rows, output->count, arena, &columns[PQ_ID_COLUMN], err));
    columns[PQ_SEQ_COLUMN].layout = PQ_FIXED;
    columns[PQ_SEQ_COLUMN].values = seq;
    for (size_t k = 0; k < key_count; k++) columns[2 + k] = output->keys[k];
    for (size_t a = 0; a < op->spec->compute.aggregate_count; a++) {
        columns[2 + key_count + a] = emit_finish(&output->emits[a]);
    }
    for (uint32_t k = 0; k < type->field_count; k++) {
        columns[k].type = &type->fields[k].type;
        columns[k].count = output->count;
    }
    *batch = (struct pq_batch){.type = type, .count = output->count, .columns = columns};
    return PQDB_OK;
}

pqdb_code group_having(const struct group_op *op, struct pq_batch *batch, struct pq_arena *arena,
                       pqdb_error *err) {
    if (op->spec->having == NULL || batch->count == 0) return PQDB_OK;
    struct pq_selection selection;
    PQ_TRY(pq_program_select(op->spec->having, batch, arena, &selection, err));
    if (selection.rows == NULL) return PQDB_OK;
    const struct pq_batch all = *batch;
    return pq_batch_gather(&all, selection.rows, selection.count, arena, batch, err);
}

bool column_rows_equal(const struct pq_column *column, size_t i, size_t j) {
    const uint8_t mark = column->valid == NULL ? PQ_ROW_VALID : column->valid[i];
    if (column->valid != NULL && mark != column->valid[j]) return false;
    if (mark == PQ_ROW_NULL) return true;
    switch (column->layout) {
        case PQ_FIXED: {
            const size_t width = pq_kind_width(column->type->kind);
            const uint8_t *values = column->values;
            return memcmp(values + i * width, values + j * width, width) == 0;
        }
        case PQ_BYTES:
        case PQ_DICTIONARY:
            return pq_text_equal(pq_column_text(column, i), pq_column_text(column, j));
        case PQ_ROWS: {
            const uint32_t a = column->offsets[i], b = column->offsets[j];
            const uint32_t count = column->offsets[i + 1] - a;
            if (column->offsets[j + 1] - b != count) return false;
            for (uint32_t e = 0; e < count; e++) {
                if (!column_rows_equal(&column->children[0], a + e, b + e)) return false;
            }
            return true;
        }
        case PQ_MEMBERS:
            for (uint32_t k = 0; k < column->type->field_count; k++) {
                if (!column_rows_equal(&column->children[k], i, j)) return false;
            }
            return true;
    }
    return false;
}
