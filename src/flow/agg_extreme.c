/// flow/agg_extreme.c: `$min $max $first $last`: the head of a window.
#include "flow/states.h"
#include "flow/window.h"

static const struct pq_state_kind *min_state(const struct pq_type *argument) {
    return word_type(argument) ? &pq_state_min_word : &pq_state_min_bytes;
}
static const struct pq_state_kind *max_state(const struct pq_type *argument) {
    return word_type(argument) ? &pq_state_max_word : &pq_state_max_bytes;
}
static const struct pq_state_kind *first_state(const struct pq_type *argument) {
    (void)argument;
    return &pq_state_first;
}
static const struct pq_state_kind *last_state(const struct pq_type *argument) {
    (void)argument;
    return &pq_state_last;
}

static void finish_words(const struct pq_finish *finish, uint64_t turn) {
    uint64_t word;
    for (size_t i = 0; i < finish->count; i++) {
        if (window_word_head(finish->rows[i], finish->offset, &word)) {
            emit_word(finish->out, word ^ turn);
        } else {
            emit_fixed_null(finish->out);
        }
    }
}

static pqdb_code finish_keys(const struct pq_finish *finish, pqdb_error *err) {
    struct pq_text key, value;
    for (size_t i = 0; i < finish->count; i++) {
        if (!window_bytes_head(finish->rows[i], finish->offset, &key, &value)) {
            PQ_TRY(emit_null(finish->out, err));
            continue;
        }
        struct pq_cursor cursor = pq_cursor_of(key.data, key.length);
        PQ_TRY(key_emit(&cursor, finish->out, err));
    }
    return PQDB_OK;
}

static pqdb_code min_finish(const struct pq_finish *finish, pqdb_error *err) {
    if (finish->state != &pq_state_min_word) return finish_keys(finish, err);
    finish_words(finish, 0);
    return PQDB_OK;
}

static pqdb_code max_finish(const struct pq_finish *finish, pqdb_error *err) {
    if (finish->state != &pq_state_max_word) return finish_keys(finish, err);
    finish_words(finish, UINT64_MAX);
    return PQDB_OK;
}

static pqdb_code order_finish(const struct pq_finish *finish, pqdb_error *err) {
    struct pq_text key, value;
    for (size_t i = 0; i < finish->count; i++) {
        if (window_bytes_head(finish->rows[i], finish->offset, &key, &value)) {
            PQ_TRY(cell_emit(value, finish->out, err));
        } else {
            PQ_TRY(emit_null(finish->out, err));
        }
    }
    return PQDB_OK;
}

const struct pq_aggregate pq_aggregate_min = {
    .name = "$min",
    .help = "the smallest value that is not null",
    .type = type_of_argument,
    .state = min_state,
    .finish = min_finish,
};

const struct pq_aggregate pq_aggregate_max = {
    .name = "$max",
    .help = "the largest value that is not null",
    .type = type_of_argument,
    .state = max_state,
    .finish = max_finish,
};

const struct pq_aggregate pq_aggregate_first = {
    .name = "$first",
    .help = "the value of the row created first, null or not",
    .takes_by = true,
    .type = type_of_argument,
    .state = first_state,
    .finish = order_finish,
};

const struct pq_aggregate pq_aggregate_last = {
    .name = "$last",
    .help = "the value of the row created last, null or not",
    .takes_by = true,
    .type = type_of_argument,
    .state = last_state,
    .finish = order_finish,
};
