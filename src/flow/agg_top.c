/// flow/agg_top.c: `$mode` and `$topK: [path, k]`: the values that occur most often, the smallest
/// of those that do equally often first. A value of several kinds (1, 1.0) is one.
#include "flow/states.h"
#include "flow/window.h"

pqdb_code ranked_write(struct pq_text value, int64_t count, struct pq_bytes *key,
                       pqdb_error *err) {
    uint8_t word[8];
    store_word(word, ~(uint64_t)count);
    PQ_TRY(pq_bytes_append(key, word, sizeof word, err));
    return pq_bytes_append_text(key, value, err);
}

static const struct pq_state_kind *top_state(const struct pq_type *argument) {
    (void)argument;
    return &pq_state_top;
}

/// The first of a row's values, most frequent first.
static pqdb_code element_top(const struct pq_finish *finish, const uint8_t *row, size_t most,
                             struct counted **top, size_t *top_count, pqdb_error *err) {
    struct counted *values;
    size_t count;
    PQ_TRY(elements_counted(row, finish->offset, finish->arena, &values, &count, err));
    if (most > count) most = count;
    struct counted *best = pq_arena_alloc(finish->arena, (most + 1) * sizeof *best);
    if (best == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu values", most);
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = used;
        while (at > 0 && best[at - 1].count < values[i].count) at--;
        if (at == most) continue;
        if (used < most) used++;
        memmove(best + at + 1, best + at, (used - at - 1) * sizeof *best);
        best[at] = values[i];
    }
    *top = best;
    *top_count = used;
    return PQDB_OK;
}

static pqdb_code group_top(const struct pq_finish *finish, const uint8_t *row, size_t most,
                           struct counted **top, size_t *top_count, pqdb_error *err) {
    struct window_visit visit = {.next = 0};
    struct counted *values = pq_arena_alloc(finish->arena, most * sizeof *values);
    if (values == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu values", most);
    size_t count = 0;
    while (count < most && window_bytes_each(row, finish->offset, &visit)) {
        const uint64_t occurs = ~load_word((const uint8_t *)visit.key.data);
        values[count++] =
            (struct counted){{visit.key.data + 8, visit.key.length - 8}, (size_t)occurs};
    }
    *top = values;
    *top_count = count;
    return PQDB_OK;
}

static pqdb_code read_top(const struct pq_finish *finish, size_t i, struct counted **top,
                          size_t *count, pqdb_error *err) {
    const bool of_elements = finish->state == &pq_state_elements;
    return (of_elements ? element_top : group_top)(finish, finish->rows[i], finish->given.limit,
                                                   top, count, err);
}

static pqdb_code mode_finish(const struct pq_finish *finish, pqdb_error *err) {
    for (size_t i = 0; i < finish->count; i++) {
        struct counted *top;
        size_t count;
        PQ_TRY(read_top(finish, i, &top, &count, err));
        if (count == 0) {
            PQ_TRY(emit_null(finish->out, err));
            continue;
        }
        struct pq_cursor key = pq_cursor_of(top->value.data, top->value.length);
        PQ_TRY(key_emit(&key, finish->out, err));
    }
    return PQDB_OK;
}

static pqdb_code top_finish(const struct pq_finish *finish, pqdb_error *err) {
    struct pq_builder *list = &finish->out->builder, *entry = &list->children[0];
    for (size_t i = 0; i < finish->count; i++) {
        struct counted *top;
        size_t count;
        PQ_TRY(read_top(finish, i, &top, &count, err));
        if (count == 0) {
            PQ_TRY(pq_builder_append_null(list, err));
            continue;
        }
        for (size_t k = 0; k < count; k++) {
            const int64_t occurs = (int64_t)top[k].count;
            struct pq_cursor key = pq_cursor_of(top[k].value.data, top[k].value.length);
            PQ_TRY(key_build(&key, finish->out, &entry->children[0], err));
            PQ_TRY(pq_builder_append_fixed(&entry->children[1], &occurs, err));
            PQ_TRY(pq_builder_end_object(entry, err));
        }
        PQ_TRY(pq_builder_end_list(list, err));
    }
    return PQDB_OK;
}

static pqdb_code top_type(const struct pq_type *argument, struct pq_arena *arena,
                          struct pq_type *type, pqdb_error *err) {
    struct pq_field *fields = pq_arena_calloc(arena, 2, sizeof *fields);
    if (fields == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a type");
    fields[0].name = PQ_TEXT("value");
    fields[1].name = PQ_TEXT("count");
    PQ_TRY(type_of_argument(argument, arena, &fields[0].type, err));
    fields[1].type = pq_type_int64;
    const struct pq_type entry = {.kind = PQ_OBJECT, .field_count = 2, .fields = fields};
    return type_of_list(&entry, arena, type, err);
}

const struct pq_aggregate pq_aggregate_mode = {
    .name = "$mode",
    .help = "the most frequent value, the smallest of several",
    .given = {.limit = 1},
    .type = type_of_argument,
    .state = top_state,
    .of_elements = &pq_state_elements,
    .finish = mode_finish,
};

const struct pq_aggregate pq_aggregate_top = {
    .name = "$topK",
    .help = "the most frequent values, each { value, count }; of none: null",
    .takes_limit = true,
    .type = top_type,
    .state = top_state,
    .of_elements = &pq_state_elements,
    .finish = top_finish,
};
