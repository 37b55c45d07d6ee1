/// flow/window_word.c: windows of values that sort as one 64-bit word: the smallest of a group, or,
/// with all bits turned, the largest.
#include <math.h>

#include "flow/states.h"
#include "flow/window.h"

struct entry {
    uint64_t word;
    int64_t weight;
};

static const uint64_t top_bit = UINT64_C(1) << 63;
enum { decimal_digits_max = 18 };  // their units fit a word, and a column has one scale

bool word_type(const struct pq_type *type) {
    switch (type->kind) {
        case PQ_BOOL:
        case PQ_INT64:
        case PQ_FLOAT32:
        case PQ_FLOAT64:
        case PQ_DATE:
        case PQ_TIME:
        case PQ_TIMESTAMP: return true;
        case PQ_DECIMAL: return type->precision <= decimal_digits_max;
        default: return false;
    }
}

uint64_t word_of_real(double real) {
    if (isnan(real)) return UINT64_MAX;  // above all numbers
    if (real == 0) real = 0;             // -0 is 0
    uint64_t image;
    memcpy(&image, &real, sizeof image);
    return (image & top_bit) != 0 ? ~image : image | top_bit;
}

double real_of_word(uint64_t word) {
    if (word == UINT64_MAX) return (double)NAN;
    const uint64_t image = (word & top_bit) != 0 ? word ^ top_bit : ~word;
    double real;
    memcpy(&real, &image, sizeof real);
    return real;
}

uint64_t word_of(const struct pq_column *column, size_t row) {
    switch (column->type->kind) {
        case PQ_BOOL: return ((const uint8_t *)column->values)[row] != 0;
        case PQ_DATE: return (uint64_t)((const int32_t *)column->values)[row] ^ top_bit;
        case PQ_FLOAT32: return word_of_real((double)((const float *)column->values)[row]);
        case PQ_FLOAT64: return word_of_real(((const double *)column->values)[row]);
        case PQ_DECIMAL: return (uint64_t)((const pq_i128 *)column->values)[row] ^ top_bit;
        default: return (uint64_t)((const int64_t *)column->values)[row] ^ top_bit;
    }
}

void emit_word(struct emit *out, uint64_t word) {
    struct pq_value value = {.kind = out->type->kind, .scale = out->type->scale};
    switch (value.kind) {
        case PQ_BOOL: value.as.boolean = word != 0; break;
        case PQ_FLOAT32:
        case PQ_FLOAT64: value.as.real = real_of_word(word); break;
        case PQ_DECIMAL: value.as.decimal = (int64_t)(word ^ top_bit); break;
        default: value.as.integer = (int64_t)(word ^ top_bit); break;
    }
    emit_value(out, &value, NULL);
}

static struct window *window_at(const struct addition *addition, uint32_t cell) {
    return (struct window *)(void *)(addition->cells->rows[cell] + addition->offset);
}

static struct entry *entries_of(const uint8_t *row, const struct window *window) {
    return (struct entry *)(uintptr_t)(row + window->entries.offset);
}

/// From the single entry to a list.
static pqdb_code make_list(const struct addition *addition, uint32_t cell, pqdb_error *err) {
    struct window *window = window_at(addition, cell);
    const struct entry one = {window->one.word, window->one.weight};
    memset(&window->one, 0, sizeof window->one);
    window->listed = true;
    PQ_TRY(addition->cells->grow(addition->cells, cell,
                                 addition->offset + offsetof(struct window, entries),
                                 4 * sizeof one, err));
    window = window_at(addition, cell);
    if (window->count == 1) entries_of(addition->cells->rows[cell], window)[0] = one;
    window->entries.length = window->count * (uint32_t)sizeof one;
    return PQDB_OK;
}

static void close_gap(struct window *window, struct entry *entries, uint32_t at) {
    memmove(entries + at, entries + at + 1, (window->count - at - 1) * sizeof *entries);
    window->count--;
    window->entries.length = window->count * (uint32_t)sizeof *entries;
}

/// Send entries behind the edge until K values are inside.
static void trim(struct window *window, const struct entry *entries) {
    uint32_t values = 0;
    for (uint32_t i = 0; i < window->count; i++) values += entries[i].weight > 0;
    const uint32_t most = window->wide ? WINDOW_ENTRIES : 1;
    while (values > most) {
        const struct entry *last = &entries[--window->count];
        window->outside += last->weight;
        window->bounded = true;
        values -= last->weight > 0;
    }
    window->entries.length = window->count * (uint32_t)sizeof *entries;
}

static pqdb_code add_listed(const struct addition *addition, uint32_t cell, uint64_t word,
                            int64_t weight, pqdb_error *err) {
    struct window *window = window_at(addition, cell);
    struct entry *entries = entries_of(addition->cells->rows[cell], window);
    uint32_t at = 0;
    while (at < window->count && entries[at].word < word) at++;
    if (at == window->count && window->bounded) {
        window->outside += weight;
        return PQDB_OK;
    }
    if (at < window->count && entries[at].word == word) {
        entries[at].weight += weight;
        const bool is_edge = window->bounded && at + 1 == window->count;
        if (entries[at].weight == 0 && !is_edge) close_gap(window, entries, at);
    } else {
        const size_t bytes = (window->count + 1) * sizeof *entries;
        if (bytes > window->entries.room) {
            PQ_TRY(addition->cells->grow(addition->cells, cell,
                                         addition->offset + offsetof(struct window, entries),
                                         2 * bytes, err));
            window = window_at(addition, cell);
            entries = entries_of(addition->cells->rows[cell], window);
        }
        memmove(entries + at + 1, entries + at, (window->count - at) * sizeof *entries);
        entries[at] = (struct entry){word, weight};
        window->count++;
    }
    if (weight < 0) window->wide = true;
    trim(window, entries);
    return PQDB_OK;
}

static pqdb_code add_word(const struct addition *addition, uint32_t cell, uint64_t word,
                          int64_t weight, pqdb_error *err) {
    struct window *window = window_at(addition, cell);
    if (window->listed) return add_listed(addition, cell, word, weight, err);
    if (window->count == 0) {
        window->one.word = word;
        window->one.weight = weight;
        window->count = 1;
        return PQDB_OK;
    }
    if (word == window->one.word) {
        window->one.weight += weight;
        window->wide |= weight < 0;
        return PQDB_OK;
    }
    if (word > window->one.word && window->bounded) {
        window->outside += weight;
        return PQDB_OK;
    }
    if (window->wide || weight < 0 || window->one.weight <= 0) {
        PQ_TRY(make_list(addition, cell, err));
        return add_listed(addition, cell, word, weight, err);
    }
    window->bounded = true;
    if (word > window->one.word) {
        window->outside += weight;
    } else {
        window->outside += window->one.weight;
        window->one.word = word;
        window->one.weight = weight;
    }
    return PQDB_OK;
}

static pqdb_code add_turned(const struct addition *addition, uint64_t turn, pqdb_error *err) {
    const struct pq_column *argument = addition->argument;
    for (size_t i = 0; i < addition->count; i++) {
        if (pq_column_is_null(argument, i)) continue;
        PQ_TRY(add_word(addition, addition->cell_of[i], word_of(argument, i) ^ turn,
                        weight_at(addition->weights, i), err));
    }
    return PQDB_OK;
}

static pqdb_code add_min(const struct addition *addition, pqdb_error *err) {
    return add_turned(addition, 0, err);
}
static pqdb_code add_max(const struct addition *addition, pqdb_error *err) {
    return add_turned(addition, UINT64_MAX, err);
}

static int word_blob(const uint8_t *state) {
    const struct window *window = (const struct window *)(const void *)state;
    return window->listed ? (int)offsetof(struct window, entries) : -1;
}

static enum settled settle_one(struct window *window) {
    if (window->outside < 0 || (window->count == 1 && window->one.weight < 0)) return STATE_BROKEN;
    if (window->outside == 0) {
        window->bounded = false;
        if (window->one.weight == 0) window->count = 0;
        return STATE_WHOLE;
    }
    return window->one.weight == 0 ? STATE_EXHAUSTED : STATE_WHOLE;
}

static enum settled settle_word(uint8_t *row, const struct state_place *place) {
    struct window *window = (struct window *)(void *)(row + place->offset);
    if (!window->listed) return settle_one(window);
    struct entry *entries = entries_of(row, window);
    if (window->outside < 0) return STATE_BROKEN;
    if (window->outside == 0) window->bounded = false;
    uint32_t values = 0;
    for (uint32_t i = window->count; i-- > 0;) {
        if (entries[i].weight < 0) return STATE_BROKEN;
        values += entries[i].weight > 0;
        const bool is_edge = window->bounded && i + 1 == window->count;
        if (entries[i].weight == 0 && !is_edge) close_gap(window, entries, i);
    }
    return values == 0 && window->outside > 0 ? STATE_EXHAUSTED : STATE_WHOLE;
}

static void restart_word(uint8_t *row, uint32_t offset) {
    struct window *window = (struct window *)(void *)(row + offset);
    window->outside = 0;
    window->count = 0;
    window->bounded = false;
    window->wide = true;
    if (window->listed) window->entries.length = 0;
}

bool window_word_head(const uint8_t *row, uint32_t offset, uint64_t *word) {
    const struct window *window = (const struct window *)(const void *)(row + offset);
    if (!window->listed) {
        *word = window->one.word;
        return window->count == 1 && window->one.weight > 0;
    }
    const struct entry *entries = entries_of(row, window);
    for (uint32_t i = 0; i < window->count; i++) {
        *word = entries[i].word;
        if (entries[i].weight > 0) return true;
    }
    return false;
}

/// Rows in the window and behind it.
static int64_t all_rows(const uint8_t *row, const struct window *window) {
    int64_t rows = window->outside;
    if (!window->listed) return rows + (window->count > 0 ? window->one.weight : 0);
    const struct entry *entries = entries_of(row, window);
    for (uint32_t i = 0; i < window->count; i++) rows += entries[i].weight;
    return rows;
}

/// The first values of the multiset in the window's order, as many as it holds.
static pqdb_code refill_word(const struct refill *refill, uint64_t turn, pqdb_error *err) {
    const uint32_t offset = refill->place->offset;
    const struct addition addition = {.cells = refill->cells, .offset = offset};
    struct window *window = window_at(&addition, refill->cell);
    int64_t left = all_rows(refill->cells->rows[refill->cell], window);
    struct pq_multiset_place from = refill->group;
    from.value = turn == 0 ? PQ_TEXT("") : multiset_end;
    struct pq_multiset_walk walk;
    restart_word(refill->cells->rows[refill->cell], offset);
    PQ_TRY(pq_multiset_seek(refill->trace, &from, turn == 0 ? PQ_MULTISET_UP : PQ_MULTISET_DOWN,
                            &walk, err));
    for (uint32_t i = 0; i < WINDOW_ENTRIES; i++) {
        bool more;
        uint64_t word;
        PQ_TRY(pq_multiset_next(&walk, &more, err));
        if (!more) break;
        struct pq_cursor key = pq_cursor_of(walk.value.data, walk.value.length);
        if (!key_word(&key, refill->argument, &word)) {
            return pq_fail(err, PQDB_CORRUPT, "a stored value is damaged");
        }
        PQ_TRY(add_word(&addition, refill->cell, word ^ turn, walk.weight, err));
        left -= walk.weight;
    }
    window = window_at(&addition, refill->cell);
    window->outside = left;
    window->bounded = left != 0;
    return PQDB_OK;
}

static pqdb_code refill_min(const struct refill *refill, pqdb_error *err) {
    return refill_word(refill, 0, err);
}
static pqdb_code refill_max(const struct refill *refill, pqdb_error *err) {
    return refill_word(refill, UINT64_MAX, err);
}

#define WORD_WINDOW(kind_name, add_values, refill_values)                              \
    {                                                                                  \
        .name = kind_name, .bytes = sizeof(struct window), .add = add_values,          \
        .blob = word_blob, .settle = settle_word,                                      \
        .multiset = TRACE_VALUES, .multiset_is_late = true, .refill = refill_values,   \
    }
const struct pq_state_kind pq_state_min_word = WORD_WINDOW("lowest values", add_min, refill_min);
const struct pq_state_kind pq_state_max_word = WORD_WINDOW("highest values", add_max, refill_max);
