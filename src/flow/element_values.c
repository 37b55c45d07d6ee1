/// flow/element_values.c: all values of one row's elements, for aggregates that keep a group's in
/// traces: what a row computes dies with the row. The blob is a list of u32 bytes and canonical
/// key.
#include "flow/states.h"
#include "flow/window.h"

struct elements_state {
    int64_t count;
    struct blob keys;
};

static pqdb_code add_elements(const struct addition *addition, pqdb_error *err) {
    struct pq_keys keys;
    PQ_TRY(pq_keys_encode(addition->argument, 1, addition->count, addition->arena, &keys, err));
    for (size_t i = 0; i < addition->count; i++) {
        if (key_is_null(&keys, i)) continue;
        const uint32_t cell = addition->cell_of[i];
        const uint32_t length = keys.offsets[i + 1] - keys.offsets[i];
        struct elements_state *state =
            (struct elements_state *)(void *)(addition->cells->rows[cell] + addition->offset);
        const size_t needed = state->keys.length + sizeof length + length;
        if (needed > state->keys.room) {
            PQ_TRY(addition->cells->grow(addition->cells, cell,
                                         addition->offset + offsetof(struct elements_state, keys),
                                         2 * needed, err));
            state = (struct elements_state *)(void *)(addition->cells->rows[cell] +
                                                      addition->offset);
        }
        uint8_t *end = addition->cells->rows[cell] + state->keys.offset + state->keys.length;
        memcpy(end, &length, sizeof length);
        memcpy(end + sizeof length, keys.data + keys.offsets[i], length);
        state->keys.length = (uint32_t)needed;
        state->count++;
    }
    return PQDB_OK;
}

static int elements_blob(const uint8_t *state) {
    (void)state;
    return (int)offsetof(struct elements_state, keys);
}

const struct pq_state_kind pq_state_elements = {.name = "values of elements",
                                                .bytes = sizeof(struct elements_state),
                                                .add = add_elements,
                                                .blob = elements_blob};

static void merge(const struct counted *from, struct counted *to, size_t count, size_t width) {
    for (size_t start = 0; start < count; start += 2 * width) {
        const size_t middle = start + width < count ? start + width : count;
        const size_t end = middle + width < count ? middle + width : count;
        size_t a = start, b = middle;
        for (size_t k = start; k < end; k++) {
            const bool takes_b =
                a == middle || (b < end && pq_text_compare(from[b].value, from[a].value) < 0);
            to[k] = takes_b ? from[b++] : from[a++];
        }
    }
}

pqdb_code elements_counted(const uint8_t *row, uint32_t offset, struct pq_arena *arena,
                           struct counted **values, size_t *count, pqdb_error *err) {
    const struct elements_state *state =
        (const struct elements_state *)(const void *)(row + offset);
    const size_t all = (size_t)state->count;
    struct counted *list = pq_arena_alloc(arena, (all + 1) * sizeof *list);
    struct counted *other = pq_arena_alloc(arena, (all + 1) * sizeof *other);
    if (list == NULL || other == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu elements", all);
    const uint8_t *at = row + state->keys.offset;
    for (size_t i = 0; i < all; i++) {
        const uint32_t length = pq_load_u32(at);
        list[i] = (struct counted){{(const char *)at + sizeof length, length}, 1};
        at += sizeof length + length;
    }
    for (size_t width = 1; width < all; width *= 2) {
        merge(list, other, all, width);
        struct counted *swap = list;
        list = other;
        other = swap;
    }
    size_t kept = 0;
    for (size_t i = 0; i < all; i++) {
        if (kept > 0 && pq_text_equal(list[kept - 1].value, list[i].value)) {
            list[kept - 1].count++;
        } else {
            list[kept++] = list[i];
        }
    }
    *values = list;
    *count = kept;
    return PQDB_OK;
}
