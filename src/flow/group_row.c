/// flow/group_row.c: which states a group row holds, where, and how it grows.
#include "base/hash.h"
#include "flow/layout.h"

enum { align_mask = 7 };

static size_t aligned(size_t bytes) { return (bytes + align_mask) & ~(size_t)align_mask; }

const struct pq_type *operand_type(const struct pq_operand *operand, const struct pq_type *input) {
    return operand->program != NULL ? pq_program_type(operand->program)
                                    : &input->fields[operand->column].type;
}

pqdb_code operand_run(const struct pq_operand *operand, const struct pq_batch *batch,
                      struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    if (operand->program != NULL) {
        return pq_program_run(operand->program, batch, arena, out, err);
    }
    *out = batch->columns[operand->column];
    return PQDB_OK;
}

/// The trace that a state needs: one that is there already, or a new one.
static uint32_t place_trace(struct layout *layout, enum trace_of of,
                            const struct state_place *given, bool is_late) {
    if (of == TRACE_NONE) return NO_TRACE;
    const uint32_t by = of == TRACE_CREATION ? given->by : PQ_NO_COLUMN;
    for (uint32_t i = 0; i < layout->trace_count; i++) {
        const struct trace_place *there = &layout->traces[i];
        if (there->of == of && there->argument == given->argument && there->by == by) return i;
    }
    layout->traces[layout->trace_count] =
        (struct trace_place){of, given->argument, by, is_late};
    return (uint32_t)layout->trace_count++;
}

/// Where a state of this kind lies: one that is there already, or a new one. NULL needs none.
static uint32_t place_state(struct layout *layout, const struct pq_aggregate_spec *spec,
                            const struct pq_state_kind *kind) {
    if (kind == NULL) return PQ_NO_COLUMN;
    struct state_place given = {.kind = kind,
                                .argument = spec->argument,
                                .by = spec->by,
                                .given = spec->given,
                                .offset = layout->fixed_bytes};
    if (!spec->kind->takes_rank) given.given.rank = spec->kind->given.rank;
    if (!spec->kind->takes_limit) given.given.limit = spec->kind->given.limit;
    for (uint32_t i = 0; i < layout->state_count; i++) {
        const struct state_place *there = &layout->states[i];
        if (there->kind == kind && there->argument == given.argument && there->by == given.by &&
            there->given.rank == given.given.rank && there->given.limit == given.given.limit) {
            return i;
        }
    }
    given.counts =
        place_trace(layout, kind->needs_counts ? TRACE_COUNTS : TRACE_NONE, &given, false);
    given.multiset = place_trace(layout, kind->multiset, &given, kind->multiset_is_late);
    layout->states[layout->state_count] = given;
    layout->always_settles |= kind->always_settles;
    layout->fixed_bytes += (uint32_t)aligned(kind->bytes);
    return (uint32_t)layout->state_count++;
}

static void place_aggregate(struct layout *layout, size_t i, const struct pq_aggregate_spec *given,
                            const struct pq_type *argument, bool of_elements) {
    const struct pq_aggregate *kind = given->kind;
    const struct pq_state_kind *state =
        of_elements && kind->of_elements != NULL ? kind->of_elements : kind->state(argument);
    layout->state_of[i] = place_state(layout, given, state);
    layout->second_of[i] =
        place_state(layout, given, kind->second == NULL ? NULL : kind->second(argument));
}

/// Which kinds of states lie where.
static uint32_t layout_check(const struct layout *layout) {
    uint64_t check = layout->fixed_bytes;
    for (size_t i = 0; i < layout->state_count; i++) {
        const struct state_place *state = &layout->states[i];
        const uint64_t name = pq_hash(state->kind->name, strlen(state->kind->name));
        check = pq_hash_word(check ^ name ^ (uint64_t)state->offset << 32 ^ state->kind->bytes);
    }
    return (uint32_t)(check >> 32) | 1;
}

pqdb_code layout_init(struct layout *layout, const struct pq_compute_spec *compute,
                      const struct pq_type *input, bool of_elements,
                      const struct pq_alloc *alloc, pqdb_error *err) {
    const size_t count = compute->aggregate_count;
    *layout = (struct layout){.aggregate_count = count, .fixed_bytes = sizeof(struct group_head)};
    layout->states = pq_resize(alloc, NULL, 0, 2 * count + 1, sizeof *layout->states);
    layout->state_of = pq_resize(alloc, NULL, 0, count + 1, sizeof *layout->state_of);
    layout->second_of = pq_resize(alloc, NULL, 0, count + 1, sizeof *layout->second_of);
    layout->traces = pq_resize(alloc, NULL, 0, 4 * count + 1, sizeof *layout->traces);
    if (layout->states == NULL || layout->state_of == NULL || layout->second_of == NULL ||
        layout->traces == NULL) {
        layout_deinit(layout, alloc);
        return pq_fail(err, PQDB_NO_MEMORY, "%zu aggregates", count);
    }
    for (size_t i = 0; i < count; i++) {
        const struct pq_aggregate_spec *given = &compute->aggregates[i];
        const struct pq_type *argument =
            given->argument == PQ_NO_COLUMN
                ? NULL
                : operand_type(&compute->arguments[given->argument], input);
        place_aggregate(layout, i, given, argument, of_elements);
    }
    layout->check = layout_check(layout);
    return PQDB_OK;
}

void layout_deinit(struct layout *layout, const struct pq_alloc *alloc) {
    const size_t count = layout->aggregate_count;
    pq_free(alloc, layout->states, 2 * count + 1, sizeof *layout->states);
    pq_free(alloc, layout->state_of, count + 1, sizeof *layout->state_of);
    pq_free(alloc, layout->second_of, count + 1, sizeof *layout->second_of);
    pq_free(alloc, layout->traces, 4 * count + 1, sizeof *layout->traces);
    *layout = (struct layout){0};
}

/// Where blob number `i` of a row is described: the id's, then one of each state; 0 for none.
static size_t blob_at(const struct layout *layout, const uint8_t *row, size_t i) {
    if (i == 0) return offsetof(struct group_head, id);
    const struct state_place *state = &layout->states[i - 1];
    if (state->kind->blob == NULL) return 0;
    const int inside = state->kind->blob(row + state->offset);
    return inside < 0 ? 0 : state->offset + (size_t)inside;
}

static struct blob read_blob(const uint8_t *row, size_t offset) {
    struct blob blob;
    memcpy(&blob, row + offset, sizeof blob);
    return blob;
}

size_t layout_bytes(const struct layout *layout, const uint8_t *row, size_t blob_offset,
                    size_t bytes) {
    size_t total = layout->fixed_bytes;
    for (size_t i = 0; i <= layout->state_count; i++) {
        const size_t at = blob_at(layout, row, i);
        if (at == 0) continue;
        total += at == blob_offset ? aligned(bytes) : read_blob(row, at).room;
    }
    return total;
}

void layout_move(const struct layout *layout, uint8_t *row, const uint8_t *old, size_t blob_offset,
                 size_t bytes) {
    size_t end = layout->fixed_bytes;
    for (size_t i = 0; i <= layout->state_count; i++) {
        const size_t at = blob_at(layout, old, i);
        if (at == 0) continue;
        struct blob blob = read_blob(old, at);
        const size_t room = at == blob_offset ? aligned(bytes) : blob.room;
        if (blob.length > 0) memcpy(row + end, old + blob.offset, blob.length);
        blob.offset = (uint32_t)end;
        blob.room = (uint32_t)room;
        memcpy(row + at, &blob, sizeof blob);
        memset(row + end + blob.length, 0, room - blob.length);
        end += room;
    }
}
