/// flow/list_compute.c: aggregates over the elements of each row: the states of groups, in an
/// arena,
/// one per row. What comes out depends on the row alone, so the operator is linear.
#include "flow/op_row.h"

struct pieces {
    struct cells cells;  // first: `grow` gets from here to the rest
    const struct layout *layout;
    struct pq_arena *arena;
};

static pqdb_code grow_piece(struct cells *cells, uint32_t cell, size_t blob_offset, size_t bytes,
                            pqdb_error *err) {
    struct pieces *pieces = (struct pieces *)(void *)cells;
    const uint8_t *old = cells->rows[cell];
    const size_t total = layout_bytes(pieces->layout, old, blob_offset, bytes);
    uint8_t *row = pq_arena_alloc(pieces->arena, total);
    if (row == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu bytes of state", total);
    memcpy(row, old, pieces->layout->fixed_bytes);
    layout_move(pieces->layout, row, old, blob_offset, bytes);
    cells->rows[cell] = row;
    return PQDB_OK;
}

static pqdb_code pieces_init(struct pieces *pieces, const struct layout *layout, size_t count,
                             struct pq_arena *arena, pqdb_error *err) {
    *pieces = (struct pieces){.cells = {.count = (uint32_t)count, .grow = grow_piece},
                              .layout = layout,
                              .arena = arena};
    uint8_t *rows = pq_arena_calloc(arena, count, layout->fixed_bytes);
    pieces->cells.rows = pq_arena_alloc(arena, count * sizeof(uint8_t *));
    if (rows == NULL || pieces->cells.rows == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "states of %zu rows", count);
    }
    for (size_t i = 0; i < count; i++) {
        pieces->cells.rows[i] = rows + i * layout->fixed_bytes;
    }
    return PQDB_OK;
}

/// The elements with what goes along, as a batch for argument programs.
static pqdb_code element_batch(const struct pq_unnest_spec *spec, const struct pq_batch *batch,
                               const struct elements *elements, struct pq_arena *arena,
                               struct pq_batch *out, pqdb_error *err) {
    struct pq_column *columns = pq_arena_calloc(arena, spec->type->field_count, sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu elements", elements->count);
    columns[0] = elements->column;
    PQ_TRY(elements_beside(spec, batch, elements, arena, &columns[1], err));
    for (size_t k = 0; k < spec->carry_count; k++) {
        PQ_TRY(pq_column_gather(&batch->columns[spec->carry[k]], elements->parents,
                                elements->count, arena, &columns[1 + spec->beside_count + k],
                                err));
    }
    *out = (struct pq_batch){.type = spec->type, .count = elements->count, .columns = columns};
    return PQDB_OK;
}

static pqdb_code run_arguments(const struct pq_compute_spec *compute, const struct pq_batch *batch,
                               struct pq_arena *arena, struct pq_column **columns,
                               pqdb_error *err) {
    struct pq_column *arguments =
        pq_arena_calloc(arena, compute->argument_count + 1, sizeof *arguments);
    if (arguments == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "%zu columns", compute->argument_count);
    }
    for (size_t k = 0; k < compute->argument_count; k++) {
        PQ_TRY(operand_run(&compute->arguments[k], batch, arena, &arguments[k], err));
    }
    *columns = arguments;
    return PQDB_OK;
}

static pqdb_code add_elements(struct pieces *pieces, const struct pq_column *arguments,
                              const struct elements *elements, pqdb_error *err) {
    for (size_t i = 0; i < elements->count; i++) {
        uint8_t *row = pieces->cells.rows[elements->parents[i]];
        ((struct group_head *)(void *)row)->rows++;
    }
    const struct pq_column index = {.type = &pq_type_int64,
                                    .layout = PQ_FIXED,
                                    .count = elements->count,
                                    .values = elements->indices};
    for (size_t s = 0; s < pieces->layout->state_count; s++) {
        const struct state_place *state = &pieces->layout->states[s];
        const struct addition addition = {
            .cells = &pieces->cells,
            .cell_of = elements->parents,
            .count = elements->count,
            .offset = state->offset,
            .argument = &arguments[state->argument],
            .by = state->by == PQ_NO_COLUMN ? NULL : &arguments[state->by],
            .index = &index,
            .given = state->given,
            .arena = pieces->arena,
        };
        PQ_TRY(state->kind->add(&addition, err));
    }
    return PQDB_OK;
}

/// One output column.
struct column_plan {
    const struct pq_aggregate_spec *given;
    uint32_t state, second;            // or PQ_NO_COLUMN
    const struct pq_column *argument;  // or NULL
    const struct pq_field *field;
};

static pqdb_code finish_column(const struct pieces *pieces, const struct column_plan *plan,
                               struct pq_column *column, pqdb_error *err) {
    const struct state_place *state =
        plan->state == PQ_NO_COLUMN ? NULL : &pieces->layout->states[plan->state];
    const struct pq_column *argument = plan->argument;
    const struct pq_field *field = plan->field;
    struct emit out;
    PQ_TRY(emit_init(&out, &field->type, pieces->cells.count, pieces->arena, err));
    if (argument != NULL && names_count(&field->type) == names_count(argument->type)) {
        const struct pq_variant_names **names =
            pq_arena_calloc(pieces->arena, names_count(argument->type) + 1, sizeof *names);
        if (names == NULL) return pq_fail(err, PQDB_NO_MEMORY, "lists of names");
        names_take(argument, names);
        emit_use_names(&out, names);
    }
    const struct pq_finish finish = {
        .rows = pieces->cells.rows,
        .count = pieces->cells.count,
        .offset = state == NULL ? PQ_NO_COLUMN : state->offset,
        .second = plan->second == PQ_NO_COLUMN ? PQ_NO_COLUMN
                                               : pieces->layout->states[plan->second].offset,
        .given = state == NULL ? plan->given->given : state->given,
        .state = state == NULL ? NULL : state->kind,
        .argument = argument == NULL ? NULL : argument->type,
        .name = field->name,
        .arena = pieces->arena,
        .out = &out,
    };
    const pqdb_code code = plan->given->kind->finish(&finish, err);
    if (code == PQDB_OK) *column = emit_finish(&out);
    emit_deinit(&out);
    return code;
}

pqdb_code list_compute(const struct list_run *run, const struct pq_batch *batch,
                       struct pq_arena *arena, struct pq_column *columns, pqdb_error *err) {
    const struct pq_unnest_spec *unnest = &run->spec->elements;
    const struct pq_compute_spec *compute = &run->spec->compute;
    struct elements elements;
    struct pq_batch rows;
    struct pieces pieces;
    struct pq_column *arguments = NULL;
    PQ_TRY(elements_of(unnest, &unnest->type->fields[0].type, batch, arena, &elements, err));
    PQ_TRY(element_batch(unnest, batch, &elements, arena, &rows, err));
    PQ_TRY(run_arguments(compute, &rows, arena, &arguments, err));
    PQ_TRY(pieces_init(&pieces, run->layout, batch->count, arena, err));
    PQ_TRY(add_elements(&pieces, arguments, &elements, err));
    for (size_t a = 0; a < compute->aggregate_count; a++) {
        const struct pq_aggregate_spec *given = &compute->aggregates[a];
        const struct pq_column *argument =
            given->argument == PQ_NO_COLUMN ? NULL : &arguments[given->argument];
        const struct column_plan plan = {given, run->layout->state_of[a], run->layout->second_of[a],
                                         argument, &run->fields[a]};
        PQ_TRY(finish_column(&pieces, &plan, &columns[a], err));
    }
    return PQDB_OK;
}
