/// flow/group_traces.c: what a view keeps beside its group rows: counts of values, and multisets
/// that windows are filled from again. Their keys are the group's key and the value behind it.
///
/// A multiset only for windows of $min, $max, $first or $last is late: it is made from the view's
/// source when such a window runs empty for the first time, or in the next build where the source
/// does not show the rows of that version any more; or ahead of that, beside the writers
/// (db/build.c). A source that only grows costs nothing.
#include "base/hash.h"
#include "flow/op_group.h"
#include "flow/states.h"
#include "flow/window.h"

enum { count_block_rows = 64 };

/// The payload of a row in a trace of counts.
struct count_row {
    int64_t count;
    uint32_t touched;  // while a batch is counted: its change + 1; else 0
    uint32_t unused;
};

static const char *const trace_names[] = {
    [TRACE_NONE] = "",
    [TRACE_COUNTS] = "counts",
    [TRACE_NUMBERS] = "numbers",
    [TRACE_VALUES] = "values",
    [TRACE_CREATION] = "creation",
    [TRACE_RANKED] = "ranked",
};

static const char *const trace_descriptions[] = {
    [TRACE_NONE] = "",
    [TRACE_COUNTS] = "how often each value occurs",
    [TRACE_NUMBERS] = "numbers in order",
    [TRACE_VALUES] = "values in order",
    [TRACE_CREATION] = "values in creation order",
    [TRACE_RANKED] = "values by how often they occur",
};

pqdb_code group_traces_init(struct group_op *op, pqdb_error *err) {
    const struct layout *layout = &op->layout;
    op->traces = pq_resize(op->alloc, NULL, 0, layout->trace_count + 1, sizeof *op->traces);
    if (op->traces == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "%zu pieces of state", layout->trace_count);
    }
    for (size_t i = 0; i < layout->trace_count; i++) {
        const struct trace_place *place = &layout->traces[i];
        struct group_trace *trace = &op->traces[i];
        *trace = (struct group_trace){.is_made = !place->is_late,
                                       .what = trace_descriptions[place->of]};
        pq_trace_init(&trace->trace,
                      place->of == TRACE_COUNTS ? PQ_TRACE_NEWEST_WINS : PQ_TRACE_WEIGHTS_ADD,
                      op->alloc);
        const int length =
            place->by == PQ_NO_COLUMN
                ? snprintf(trace->name, sizeof trace->name, "%s %u", trace_names[place->of],
                           place->argument)
                : snprintf(trace->name, sizeof trace->name, "%s %u by %u", trace_names[place->of],
                           place->argument, place->by);
        pq_assert(length > 0 && (size_t)length < sizeof trace->name);
    }
    return PQDB_OK;
}

void group_traces_deinit(struct group_op *op) {
    if (op->traces == NULL) return;
    for (size_t i = 0; i < op->layout.trace_count; i++) pq_trace_deinit(&op->traces[i].trace);
    pq_free(op->alloc, op->traces, op->layout.trace_count + 1, sizeof *op->traces);
    op->traces = NULL;
}

void group_traces_clear(struct group_op *op) {
    for (size_t i = 0; i < op->layout.trace_count; i++) pq_trace_clear(&op->traces[i].trace);
}

struct pq_multiset_place group_place(const struct touch *touch, uint32_t cell) {
    const struct pq_trace_row *row = touch->trace_rows[cell];
    return (struct pq_multiset_place){row->hash, pq_trace_key(row), {"", 0}};
}

// ---- counts -----------------------------------------------------------------------------------

static struct count_row *count_of(struct pq_trace_row *row) {
    return (struct count_row *)(void *)pq_trace_payload(row);
}

/// Keep what changed; values nothing is left of go.
static pqdb_code end_counts(struct touch *touch, struct pq_trace *trace,
                            struct pq_trace_row *const *rows, struct value_changes *changes,
                            pqdb_error *err) {
    size_t kept = 0;
    for (size_t i = 0; i < changes->count; i++) {
        struct value_change change = changes->all[i];
        struct count_row *counted = count_of(rows[i]);
        change.now = counted->count;
        counted->touched = 0;
        if (change.now < 0) return group_broken(touch, change.cell, err);
        if (change.now == 0) pq_trace_remove(trace, rows[i]);
        if (change.now != change.before) changes->all[kept++] = change;
    }
    changes->count = kept;
    return PQDB_OK;
}

/// A batch on its way into a trace of counts.
struct counting {
    struct touch *touch;
    struct pq_trace *trace;
    struct pq_keys keys;  // of the values
    struct value_changes *changes;
    struct pq_trace_row **rows;  // of the changes
};

static struct pq_text value_at(const struct counting *counting, size_t i) {
    const struct pq_keys *keys = &counting->keys;
    return (struct pq_text){(const char *)keys->data + keys->offsets[i],
                            keys->offsets[i + 1] - keys->offsets[i]};
}

static pqdb_code count_value(const struct counting *counting, const struct pq_hashed_key *key,
                             size_t i, pqdb_error *err) {
    struct value_changes *changes = counting->changes;
    struct pq_trace_row *row;
    bool created;
    PQ_TRY(pq_trace_touch(counting->trace, key, sizeof(struct count_row), &row, &created, err));
    struct count_row *counted = count_of(row);
    if (counted->touched == 0) {
        changes->all[changes->count] = (struct value_change){
            counting->touch->cell_of[i], value_at(counting, i), counted->count, 0};
        counting->rows[changes->count++] = row;
        counted->touched = (uint32_t)changes->count;
    }
    counted->count += weight_at(counting->touch->batch->weights, i);
    return PQDB_OK;
}

/// Some rows together: first all slots, then all rows of the trace come into reach.
static pqdb_code count_block(const struct counting *counting, size_t start, size_t end,
                             pqdb_error *err) {
    struct pq_bytes *scratch = &counting->touch->op->scratch;
    uint64_t hashes[count_block_rows];
    uint32_t ends[count_block_rows + 1] = {0}, rows[count_block_rows];
    size_t count = 0;
    scratch->length = 0;
    for (size_t i = start; i < end; i++) {
        if (key_is_null(&counting->keys, i)) continue;
        const struct pq_multiset_place group =
            group_place(counting->touch, counting->touch->cell_of[i]);
        const struct pq_text value = value_at(counting, i);
        PQ_TRY(pq_bytes_append_text(scratch, group.group, err));
        PQ_TRY(pq_bytes_append_text(scratch, value, err));
        hashes[count] = pq_hash_word(group.hash ^ pq_hash(value.data, value.length));
        pq_trace_prefetch(counting->trace, hashes[count]);
        rows[count] = (uint32_t)i;
        ends[++count] = (uint32_t)scratch->length;
    }
    for (size_t k = 0; k < count; k++) pq_trace_prefetch_row(counting->trace, hashes[k]);
    for (size_t k = 0; k < count; k++) {
        const struct pq_hashed_key key = {
            hashes[k], {(const char *)scratch->data + ends[k], ends[k + 1] - ends[k]}};
        PQ_TRY(count_value(counting, &key, rows[k], err));
    }
    return PQDB_OK;
}

static pqdb_code count_values(struct touch *touch, struct pq_trace *trace,
                              const struct pq_column *argument, struct value_changes *changes,
                              pqdb_error *err) {
    const size_t count = touch->batch->count;
    struct counting counting = {.touch = touch, .trace = trace, .changes = changes};
    PQ_TRY(pq_keys_encode(argument, 1, count, touch->arena, &counting.keys, err));
    counting.rows = pq_arena_alloc(touch->arena, count * sizeof(struct pq_trace_row *));
    changes->all = pq_arena_alloc(touch->arena, count * sizeof *changes->all);
    changes->count = 0;
    if (counting.rows == NULL || changes->all == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "counts of %zu rows", count);
    }
    for (size_t start = 0; start < count; start += count_block_rows) {
        const size_t end = count - start < count_block_rows ? count : start + count_block_rows;
        PQ_TRY(count_block(&counting, start, end, err));
    }
    return end_counts(touch, trace, counting.rows, changes, err);
}

// ---- multisets --------------------------------------------------------------------------------

static pqdb_code add_ranked(struct touch *touch, struct pq_trace *trace,
                            const struct value_changes *changes, pqdb_error *err) {
    struct pq_bytes key;
    pq_bytes_init(&key, &touch->arena->alloc);
    for (size_t i = 0; i < changes->count; i++) {
        const struct value_change *change = &changes->all[i];
        struct pq_multiset_place place = group_place(touch, change->cell);
        if (change->before > 0) {
            key.length = 0;
            PQ_TRY(ranked_write(change->value, change->before, &key, err));
            place.value = pq_bytes_text(&key);
            PQ_TRY(pq_multiset_add(trace, &place, -1, err));
        }
        if (change->now > 0) {
            key.length = 0;
            PQ_TRY(ranked_write(change->value, change->now, &key, err));
            place.value = pq_bytes_text(&key);
            PQ_TRY(pq_multiset_add(trace, &place, 1, err));
        }
    }
    return PQDB_OK;
}

/// Rows on their way into a multiset.
struct appending {
    const struct addition *rows;
    const struct pq_multiset_place *groups;  // by cell
    size_t group_count;
    const uint8_t *values;
    struct pq_multiset_row *added;  // those that have a value
    size_t count;
};

static void append(struct appending *to, size_t row, size_t offset, size_t length) {
    to->added[to->count++] =
        (struct pq_multiset_row){.group = to->rows->cell_of[row],
                                 .offset = (uint32_t)offset,
                                 .length = (uint32_t)length,
                                 .weight = weight_at(to->rows->weights, row)};
}

static pqdb_code add_numbers(struct appending *to, pqdb_error *err) {
    uint8_t *words = pq_arena_alloc(to->rows->arena, 8 * to->rows->count);
    if (words == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu numbers", to->rows->count);
    for (size_t i = 0; i < to->rows->count; i++) {
        uint64_t word;
        bool is_number;
        PQ_TRY(number_word(to->rows->argument, i, to->rows->arena, &word, &is_number, err));
        if (!is_number) continue;
        store_word(words + 8 * i, word);
        append(to, i, 8 * i, 8);
    }
    to->values = words;
    return PQDB_OK;
}

static pqdb_code add_values(struct appending *to, pqdb_error *err) {
    struct pq_keys keys;
    PQ_TRY(pq_keys_encode(to->rows->argument, 1, to->rows->count, to->rows->arena, &keys, err));
    for (size_t i = 0; i < to->rows->count; i++) {
        if (key_is_null(&keys, i)) continue;
        append(to, i, keys.offsets[i], keys.offsets[i + 1] - keys.offsets[i]);
    }
    to->values = keys.data;
    return PQDB_OK;
}

/// Order, value, and how long the order is.
static pqdb_code add_creation(struct appending *to, pqdb_error *err) {
    const struct addition *rows = to->rows;
    struct pq_keys by = {NULL, NULL};
    struct pq_bytes value, values;
    pq_bytes_init(&value, &rows->arena->alloc);
    pq_bytes_init(&values, &rows->arena->alloc);
    if (rows->by != NULL) {
        PQ_TRY(pq_keys_encode(rows->by, 1, rows->count, rows->arena, &by, err));
    }
    for (size_t i = 0; i < rows->count; i++) {
        if (rows->by != NULL && key_is_null(&by, i)) continue;
        PQ_TRY(order_write(rows, &by, i, &value, err));
        const uint32_t length = (uint32_t)value.length;
        PQ_TRY(cell_write(rows->argument, i, &value, err));
        PQ_TRY(pq_bytes_append(&value, &length, sizeof length, err));
        append(to, i, values.length, value.length);
        PQ_TRY(pq_bytes_append_text(&values, pq_bytes_text(&value), err));
        if (values.length > UINT32_MAX) {
            return pq_fail(err, PQDB_LIMIT, "the values of %zu rows pass 4 GiB", rows->count);
        }
    }
    to->values = values.data;
    return PQDB_OK;
}

/// Rows of a batch into the multisets that are made of rows.
static pqdb_code add_rows(const struct trace_place *place, struct pq_trace *trace,
                          struct appending *to, pqdb_error *err) {
    struct pq_arena *arena = to->rows->arena;
    to->count = 0;
    to->added = pq_arena_alloc(arena, to->rows->count * sizeof *to->added);
    if (to->added == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu values", to->rows->count);
    switch (place->of) {
        case TRACE_NUMBERS: PQ_TRY(add_numbers(to, err)); break;
        case TRACE_VALUES: PQ_TRY(add_values(to, err)); break;
        case TRACE_CREATION: PQ_TRY(add_creation(to, err)); break;
        default: return PQDB_OK;
    }
    const struct pq_multiset_rows given = {.groups = to->groups,
                                           .group_count = to->group_count,
                                           .values = to->values,
                                           .rows = to->added,
                                           .count = to->count};
    return pq_multiset_add_rows(trace, &given, arena, err);
}

static const struct value_changes *changes_of(const struct touch *touch, uint32_t argument) {
    const struct layout *layout = &touch->op->layout;
    for (size_t i = 0; i < layout->trace_count; i++) {
        if (layout->traces[i].of == TRACE_COUNTS && layout->traces[i].argument == argument) {
            return &touch->changes[i];
        }
    }
    pq_assert(false);  // what ranks values counts them
    return NULL;
}

pqdb_code group_traces_add(struct touch *touch, pqdb_error *err) {
    struct group_op *op = touch->op;
    const struct layout *layout = &op->layout;
    if (layout->trace_count == 0) return PQDB_OK;
    struct pq_multiset_place *groups =
        pq_arena_alloc(touch->arena, touch->cells.count * sizeof *groups);
    touch->changes =
        pq_arena_calloc(touch->arena, layout->trace_count, sizeof *touch->changes);
    if (groups == NULL || touch->changes == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "%zu pieces of state", layout->trace_count);
    }
    for (uint32_t cell = 0; cell < touch->cells.count; cell++) {
        groups[cell] = group_place(touch, cell);
    }
    const struct feed feed = {touch->batch, touch->arguments, touch->cell_of};
    for (size_t i = 0; i < layout->trace_count; i++) {
        const struct trace_place *place = &layout->traces[i];
        struct pq_trace *trace = &op->traces[i].trace;
        if (!op->traces[i].is_made) continue;
        if (place->of == TRACE_COUNTS) {
            PQ_TRY(count_values(touch, trace, &touch->arguments[place->argument],
                                &touch->changes[i], err));
        } else if (place->of == TRACE_RANKED) {
            PQ_TRY(add_ranked(touch, trace, changes_of(touch, place->argument), err));
        } else {
            const struct addition rows =
                group_addition(touch, &feed, place->argument, place->by);
            struct appending to = {
                .rows = &rows, .groups = groups, .group_count = touch->cells.count};
            PQ_TRY(add_rows(place, trace, &to, err));
        }
    }
    return PQDB_OK;
}

// ---- late multisets ---------------------------------------------------------------------------

struct making {
    struct touch *touch;
    const bool *wanted;
    struct pq_arena arena;  // of one scanned batch
};

/// Groups by what `feed->cell_of` says.
struct places {
    const struct pq_multiset_place *all;
    size_t count;
};

/// Rows to all wanted traces.
static pqdb_code add_wanted(const struct making *making, const struct feed *feed,
                            struct pq_arena *arena, const struct places *groups,
                            pqdb_error *err) {
    struct group_op *op = making->touch->op;
    for (size_t i = 0; i < op->layout.trace_count; i++) {
        const struct trace_place *place = &op->layout.traces[i];
        if (!making->wanted[i]) continue;
        struct addition rows = group_addition(making->touch, feed, place->argument, place->by);
        rows.arena = arena;
        struct appending to = {
            .rows = &rows, .groups = groups->all, .group_count = groups->count};
        PQ_TRY(add_rows(place, &op->traces[i].trace, &to, err));
    }
    return PQDB_OK;
}

static pqdb_code take_scanned(void *taker, const struct pq_batch *batch, pqdb_error *err) {
    struct making *making = taker;
    struct pq_arena *arena = &making->arena;
    const struct pq_group_spec *spec = making->touch->op->spec;
    struct feed feed = {.batch = batch};
    const struct pq_column *keys;
    if (batch->count == 0) return PQDB_OK;
    pq_arena_reset(arena);
    uint32_t *cell_of = pq_arena_alloc(arena, batch->count * sizeof *cell_of);
    struct pq_multiset_place *groups = pq_arena_alloc(arena, batch->count * sizeof *groups);
    if (cell_of == NULL || groups == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "%zu rows", batch->count);
    }
    for (size_t i = 0; i < batch->count; i++) cell_of[i] = (uint32_t)i;
    feed.cell_of = cell_of;
    PQ_TRY(group_operands(spec->keys, spec->key_count, batch, arena, &keys, err));
    PQ_TRY(group_operands(spec->compute.arguments, spec->compute.argument_count, batch, arena,
                          &feed.arguments, err));
    PQ_TRY(group_keys_places(keys, spec->key_count, batch->count, arena, groups, err));
    return add_wanted(making, &feed, arena, &(struct places){groups, batch->count}, err);
}

pqdb_code group_traces_make(struct touch *touch, const bool *wanted, const struct pq_rows *source,
                            pqdb_error *err) {
    struct group_op *op = touch->op;
    // What a build from all rows will make, if the rows of this version are not there.
    for (size_t i = 0; i < op->layout.trace_count; i++) op->traces[i].is_made |= wanted[i];
    if (source == NULL) {
        return pq_fail(err, PQDB_UNSUPPORTED,
                       "the smallest or first value of a group was taken back, and its source "
                       "cannot be read again");
    }
    struct making making = {.touch = touch, .wanted = wanted};
    struct pq_multiset_place *groups =
        pq_arena_alloc(touch->arena, touch->cells.count * sizeof *groups);
    if (groups == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%u groups", touch->cells.count);
    for (uint32_t cell = 0; cell < touch->cells.count; cell++) {
        groups[cell] = group_place(touch, cell);
    }
    pq_arena_init(&making.arena, op->alloc);
    pqdb_code code = source->scan(source->ctx, NULL, take_scanned, &making, err);
    pq_arena_deinit(&making.arena);
    const struct feed feed = {touch->batch, touch->arguments, touch->cell_of};
    const struct places places = {groups, touch->cells.count};
    return code == PQDB_OK ? add_wanted(&making, &feed, touch->arena, &places, err) : code;
}
