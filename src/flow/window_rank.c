/// flow/window_rank.c: the numbers around a rank, for `$percentile` and `$median`.
///
/// The window is an interval of the group's numbers (as doubles): all of them inside it with their
/// weights, and how many rows lie below and above. A number outside changes one counter. When the
/// rank moves out, the multiset is walked from the window's end to it.
#include <math.h>

#include "flow/sums.h"
#include "flow/window.h"

enum { entries_max = 64, margin = 24, first_room = 4 };

struct entry {
    uint64_t word;
    int64_t weight;
};

/// Invariant: a number is in the interval from the first to the last entry exactly when it is
/// listed, if it occurs. Where nothing lies outside (not `bounded_…`), the interval may grow.
struct ranks {
    int64_t n, below, inside;
    uint32_t count;
    bool bounded_below, bounded_above;
    uint8_t unused[2];
    struct blob entries;
};

static struct ranks *ranks_at(const struct cells *cells, uint32_t cell, uint32_t offset) {
    return (struct ranks *)(void *)(cells->rows[cell] + offset);
}

static struct entry *entries_of(const uint8_t *row, const struct ranks *ranks) {
    return (struct entry *)(uintptr_t)(row + ranks->entries.offset);
}

static int64_t above(const struct ranks *ranks) {
    return ranks->n - ranks->below - ranks->inside;
}

/// Where p * (n - 1) lies.
static double rank_of(double p, int64_t n, int64_t *low, int64_t *high) {
    const double rank = p * (double)(n - 1);
    *low = (int64_t)rank;
    if (*low > n - 1) *low = n - 1;
    const double part = rank - (double)*low;
    *high = part > 0 && *low < n - 1 ? *low + 1 : *low;
    return part > 0 ? part : 0;
}

static bool is_covered(const struct ranks *ranks, double p) {
    int64_t low, high;
    rank_of(p, ranks->n, &low, &high);
    return ranks->below <= low && high < ranks->below + ranks->inside;
}

static pqdb_code make_room(struct cells *cells, uint32_t cell, uint32_t offset, uint32_t count,
                           pqdb_error *err) {
    const size_t bytes = count * sizeof(struct entry);
    const struct ranks *ranks = ranks_at(cells, cell, offset);
    if (bytes <= ranks->entries.room) return PQDB_OK;
    size_t room = 2 * bytes;
    if (room < first_room * sizeof(struct entry)) room = first_room * sizeof(struct entry);
    if (room > (entries_max + 1) * sizeof(struct entry)) {
        room = (entries_max + 1) * sizeof(struct entry);
    }
    return cells->grow(cells, cell, offset + offsetof(struct ranks, entries), room, err);
}

static void drop_first(struct ranks *ranks, struct entry *entries) {
    ranks->below += entries[0].weight;
    ranks->inside -= entries[0].weight;
    ranks->bounded_below = true;
    ranks->count--;
    memmove(entries, entries + 1, ranks->count * sizeof *entries);
}

static void drop_last(struct ranks *ranks, const struct entry *entries) {
    ranks->count--;
    ranks->inside -= entries[ranks->count].weight;
    ranks->bounded_above = true;
}

/// The entry farther from the rank goes.
static void trim(struct ranks *ranks, struct entry *entries, double p) {
    if (ranks->count <= entries_max) return;
    const double rank = p * (double)(ranks->n - 1) - (double)ranks->below;
    if (rank < (double)ranks->inside / 2) {
        drop_last(ranks, entries);
    } else {
        drop_first(ranks, entries);
    }
}

static pqdb_code add_word(const struct addition *addition, uint32_t cell, uint64_t word,
                          int64_t weight, pqdb_error *err) {
    struct ranks *ranks = ranks_at(addition->cells, cell, addition->offset);
    struct entry *entries = entries_of(addition->cells->rows[cell], ranks);
    ranks->n += weight;
    uint32_t at = 0;
    if (ranks->count > 0 && word > entries[ranks->count - 1].word) {
        if (ranks->bounded_above) return PQDB_OK;
        at = ranks->count;
    } else if (ranks->count > 0 && word < entries[0].word) {
        if (ranks->bounded_below) {
            ranks->below += weight;
            return PQDB_OK;
        }
    } else {
        while (at < ranks->count && entries[at].word < word) at++;
    }
    ranks->inside += weight;
    if (at < ranks->count && entries[at].word == word) {
        entries[at].weight += weight;
        return PQDB_OK;
    }
    PQ_TRY(make_room(addition->cells, cell, addition->offset, ranks->count + 1, err));
    ranks = ranks_at(addition->cells, cell, addition->offset);
    entries = entries_of(addition->cells->rows[cell], ranks);
    memmove(entries + at + 1, entries + at, (ranks->count - at) * sizeof *entries);
    entries[at] = (struct entry){word, weight};
    ranks->count++;
    trim(ranks, entries, addition->given.rank);
    ranks->entries.length = ranks->count * (uint32_t)sizeof *entries;
    return PQDB_OK;
}

static pqdb_code add_ranks(const struct addition *addition, pqdb_error *err) {
    for (size_t i = 0; i < addition->count; i++) {
        uint64_t word;
        bool is_number;
        PQ_TRY(number_word(addition->argument, i, addition->arena, &word, &is_number, err));
        if (!is_number) continue;
        PQ_TRY(add_word(addition, addition->cell_of[i], word, weight_at(addition->weights, i),
                        err));
    }
    return PQDB_OK;
}

pqdb_code number_word(const struct pq_column *column, size_t row, struct pq_arena *arena,
                      uint64_t *word, bool *is_number, pqdb_error *err) {
    struct numeric number;
    PQ_TRY(numeric_at(column, row, arena, &number, err));
    *is_number = number.form != NOT_NUMERIC;
    if (*is_number) *word = word_of_real(numeric_real(&number));
    return PQDB_OK;
}

static int ranks_blob(const uint8_t *state) {
    (void)state;
    return (int)offsetof(struct ranks, entries);
}

/// Entries nothing is left of go, but for one that says where the interval is.
static enum settled clean(struct ranks *ranks, struct entry *entries) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < ranks->count; i++) {
        if (entries[i].weight < 0) return STATE_BROKEN;
        if (entries[i].weight > 0) entries[kept++] = entries[i];
    }
    if (kept == 0 && ranks->count > 0 && (ranks->bounded_below || ranks->bounded_above)) kept = 1;
    ranks->count = kept;
    ranks->entries.length = kept * (uint32_t)sizeof *entries;
    return STATE_WHOLE;
}

static enum settled settle_ranks(uint8_t *row, const struct state_place *place) {
    struct ranks *ranks = (struct ranks *)(void *)(row + place->offset);
    if (ranks->below < 0 || above(ranks) < 0) return STATE_BROKEN;
    if (ranks->below == 0) ranks->bounded_below = false;
    if (above(ranks) == 0) ranks->bounded_above = false;
    if (clean(ranks, entries_of(row, ranks)) == STATE_BROKEN) return STATE_BROKEN;
    return ranks->n == 0 || is_covered(ranks, place->given.rank) ? STATE_WHOLE : STATE_EXHAUSTED;
}

/// The window while it moves.
struct moving {
    struct ranks ranks;
    struct entry entries[entries_max + 1];
    int64_t low, high;  // ranks to cover
};

static pqdb_code next_entry(struct pq_multiset_walk *walk, struct entry *entry, bool *more,
                            pqdb_error *err) {
    PQ_TRY(pq_multiset_next(walk, more, err));
    if (!*more) return PQDB_OK;
    if (walk->value.length != 8) {
        return pq_fail(err, PQDB_CORRUPT, "a stored number is damaged");
    }
    *entry = (struct entry){load_word((const uint8_t *)walk->value.data), walk->weight};
    return PQDB_OK;
}

static pqdb_code move_down(struct moving *moving, struct pq_multiset_walk *walk,
                           pqdb_error *err) {
    struct ranks *ranks = &moving->ranks;
    bool more = true;
    for (int spare = margin; spare > 0;) {
        struct entry entry;
        PQ_TRY(next_entry(walk, &entry, &more, err));
        if (!more) break;
        memmove(moving->entries + 1, moving->entries, ranks->count * sizeof entry);
        moving->entries[0] = entry;
        ranks->count++;
        ranks->below -= entry.weight;
        ranks->inside += entry.weight;
        if (ranks->count > entries_max) drop_last(ranks, moving->entries);
        if (ranks->below <= moving->low) spare--;
    }
    return PQDB_OK;
}

static pqdb_code move_up(struct moving *moving, struct pq_multiset_walk *walk, pqdb_error *err) {
    struct ranks *ranks = &moving->ranks;
    bool more = true;
    for (int spare = margin; spare > 0;) {
        struct entry entry;
        PQ_TRY(next_entry(walk, &entry, &more, err));
        if (!more) break;
        moving->entries[ranks->count++] = entry;
        ranks->inside += entry.weight;
        if (ranks->count > entries_max) drop_first(ranks, moving->entries);
        if (ranks->below + ranks->inside > moving->high) spare--;
    }
    return PQDB_OK;
}

static pqdb_code refill_ranks(const struct refill *refill, pqdb_error *err) {
    const uint32_t offset = refill->place->offset, cell = refill->cell;
    const struct ranks *ranks = ranks_at(refill->cells, cell, offset);
    struct moving moving = {.ranks = *ranks};
    uint8_t place[9] = {0};
    struct pq_multiset_place from = refill->group;
    struct pq_multiset_walk walk;
    if (ranks->count == 0) return pq_fail(err, PQDB_CORRUPT, "a window without a place");
    memcpy(moving.entries, entries_of(refill->cells->rows[cell], ranks),
           ranks->count * sizeof *moving.entries);
    rank_of(refill->place->given.rank, ranks->n, &moving.low, &moving.high);
    const bool is_down = moving.low < ranks->below;
    // Up: from behind the last one, which one more byte says.
    store_word(place, moving.entries[is_down ? 0 : ranks->count - 1].word);
    from.value = (struct pq_text){(const char *)place, is_down ? 8 : 9};
    PQ_TRY(pq_multiset_seek(refill->trace, &from, is_down ? PQ_MULTISET_DOWN : PQ_MULTISET_UP,
                            &walk, err));
    PQ_TRY(is_down ? move_down(&moving, &walk, err) : move_up(&moving, &walk, err));
    PQ_TRY(make_room(refill->cells, cell, offset, moving.ranks.count, err));
    struct ranks *moved = ranks_at(refill->cells, cell, offset);
    moving.ranks.entries = moved->entries;
    moving.ranks.entries.length = moving.ranks.count * (uint32_t)sizeof *moving.entries;
    *moved = moving.ranks;
    memcpy(entries_of(refill->cells->rows[cell], moved), moving.entries,
           moved->entries.length);
    return PQDB_OK;
}

const struct pq_state_kind pq_state_rank = {
    .name = "numbers around a rank",
    .bytes = sizeof(struct ranks),
    .add = add_ranks,
    .blob = ranks_blob,
    .settle = settle_ranks,
    .always_settles = true,
    .multiset = TRACE_NUMBERS,
    .refill = refill_ranks,
};

static double rank_between(double low, double high, double part) {
    if (part == 0 || low == high) return low;
    const double gap = high - low;
    if (isfinite(gap) || isinf(low) || isinf(high)) return low + gap * part;
    return low * (1 - part) + high * part;  // their difference is beyond the doubles
}

bool rank_read(const uint8_t *row, uint32_t offset, double p, double *real) {
    const struct ranks *ranks = (const struct ranks *)(const void *)(row + offset);
    if (ranks->n <= 0) return false;
    const struct entry *entries = entries_of(row, ranks);
    int64_t low, high, before = ranks->below;
    const double part = rank_of(p, ranks->n, &low, &high);
    double at_low = (double)NAN, at_high = (double)NAN;
    for (uint32_t i = 0; i < ranks->count; i++) {
        const int64_t end = before + entries[i].weight;
        if (before <= low && low < end) at_low = real_of_word(entries[i].word);
        if (before <= high && high < end) at_high = real_of_word(entries[i].word);
        before = end;
    }
    *real = rank_between(at_low, at_high, part);
    return true;
}

double rank_of_sorted(const double *sorted, size_t count, double p) {
    int64_t low, high;
    const double part = rank_of(p, (int64_t)count, &low, &high);
    return rank_between(sorted[low], sorted[high], part);
}
