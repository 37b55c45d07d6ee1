/// flow/agg_collect.c: `$collect`: all values that are not null, in creation order.
#include "flow/states.h"
#include "flow/window.h"

enum { collected_bytes_max = 1 << 20 };

static const struct pq_state_kind *all_state(const struct pq_type *argument) {
    (void)argument;
    return &pq_state_all;
}

static pqdb_code collect_type(const struct pq_type *argument, struct pq_arena *arena,
                              struct pq_type *type, pqdb_error *err) {
    struct pq_type element;
    PQ_TRY(type_of_argument(argument, arena, &element, err));
    return type_of_list(&element, arena, type, err);
}

static pqdb_code too_large(const struct pq_finish *finish, const uint8_t *row, pqdb_error *err) {
    const struct blob id = group_head(row)->id;
    return pq_fail(err, PQDB_LIMIT, "column '%.*s' of group %.*s: more than 1 MiB of values",
                   PQ_TEXT_ARG(finish->name), (int)id.length, (const char *)row + id.offset);
}

static pqdb_code collect_finish(const struct pq_finish *finish, pqdb_error *err) {
    struct pq_builder *list = &finish->out->builder;
    for (size_t i = 0; i < finish->count; i++) {
        struct window_visit visit = {.next = 0};
        size_t bytes = 0;
        while (window_bytes_each(finish->rows[i], finish->offset, &visit)) {
            for (int64_t left = visit.weight; left > 0; left--) {
                bytes += visit.value.length - 1;  // without its mark
                if (bytes > collected_bytes_max) return too_large(finish, finish->rows[i], err);
                PQ_TRY(cell_build(visit.value, &list->children[0], err));
            }
        }
        PQ_TRY(visit.key.data == NULL ? pq_builder_append_null(list, err)
                                      : pq_builder_end_list(list, err));
    }
    return PQDB_OK;
}

const struct pq_aggregate pq_aggregate_collect = {
    .name = "$collect",
    .help = "the list of all values that are not null, in creation order; of none: null",
    .type = collect_type,
    .state = all_state,
    .finish = collect_finish,
};
