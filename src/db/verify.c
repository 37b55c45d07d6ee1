/// db/verify.c: does a view hold what its definition gives? Both sides are added up as weighted
/// sums of row hashes in buckets of ids, so memory stays small and order does not matter; only
/// buckets that differ are looked at row by row.
#include <parquedb/view.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "db/schema_change.h"
#include "db/view_internal.h"
#include "expr/compare.h"
#include "expr/print.h"

enum { bucket_count = 4096, differences_shown = 10, suspects_max = 100000 };

/// Sum over rows of weight × hash, modulo 2^128 in two halves; equal multisets have equal sums.
struct bucket {
    uint64_t low, high;
    int64_t rows;
};

struct suspect {
    struct pq_text id;    // in the arena
    struct pq_text json;  // of the row
    uint64_t low, high;
    int64_t weight;
    bool stored;
};

struct side {
    struct pq_arena arena;  // of one batch
    const struct pq_type *type;
    struct bucket *buckets;  // first pass
    const bool *differs;     // second pass: which buckets are looked at
    struct pq_arena *kept;   // second pass
    struct suspect *suspects;
    size_t *suspect_count;
    bool stored;
    int64_t rows;
};

static size_t bucket_of(struct pq_text id) {
    return (size_t)(pq_hash(id.data, id.length) % bucket_count);
}

static pqdb_code print_row(const struct pq_batch *rows, size_t row, struct pq_bytes *out,
                           pqdb_error *err) {
    PQ_TRY(pq_bytes_append_byte(out, '{', err));
    for (size_t k = 0; k < rows->type->field_count; k++) {
        if (k > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_bytes_printf(out, err, "\"%.*s\":", PQ_TEXT_ARG(rows->type->fields[k].name)));
        PQ_TRY(pq_print_row(out, &rows->columns[k], row, err));
    }
    PQ_TRY(pq_bytes_append_byte(out, '}', err));
    return pq_bytes_append_byte(out, '\0', err);
}

static pqdb_code suspect(struct side *side, const struct pq_batch *rows, size_t row,
                         struct suspect found, pqdb_error *err) {
    if (*side->suspect_count == suspects_max) return PQDB_OK;
    struct pq_bytes json;
    pq_bytes_init(&json, &side->kept->alloc);
    PQ_TRY(print_row(rows, row, &json, err));
    found.json = pq_bytes_text(&json);
    found.id = pq_arena_copy(side->kept, found.id);
    found.stored = side->stored;
    if (found.id.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a difference");
    side->suspects[(*side->suspect_count)++] = found;
    return PQDB_OK;
}

static pqdb_code take_rows(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    struct side *side = ctx;
    pq_arena_reset(&side->arena);
    struct pq_keys keys;
    PQ_TRY(pq_keys_encode(rows->columns, side->type->field_count, rows->count, &side->arena,
                          &keys, err));
    for (size_t row = 0; row < rows->count; row++) {
        const uint8_t *key = keys.data + keys.offsets[row];
        const size_t length = keys.offsets[row + 1] - keys.offsets[row];
        const uint64_t weight = rows->weights == NULL ? 1 : (uint64_t)rows->weights[row];
        const uint64_t low = pq_hash(key, length), high = pq_hash_xxh64(key, length);
        const struct pq_text id = pq_column_text(&rows->columns[0], row);
        const size_t at = bucket_of(id);
        side->rows += (int64_t)weight;
        if (side->differs == NULL) {
            side->buckets[at].low += weight * low;
            side->buckets[at].high += weight * high;
            side->buckets[at].rows += (int64_t)weight;
        } else if (side->differs[at]) {
            const struct suspect found = {.id = id, .low = low, .high = high,
                                          .weight = (int64_t)weight};
            PQ_TRY(suspect(side, rows, row, found, err));
        }
    }
    return PQDB_OK;
}

static pqdb_code walk(pqdb_db *db, struct pq_db_snapshot *snapshot, struct pq_db_table *table,
                      struct side *side, pqdb_error *err) {
    struct pq_db_rows source = {.db = db, .snapshot = snapshot, .table = table};
    source.recompute = !side->stored;
    const struct pq_rows rows = pq_db_rows_of(&source);
    pq_arena_init(&side->arena, db->alloc);
    side->type = pq_db_snapshot_rows(snapshot, table)->type;  // the table may be replaced
    side->rows = 0;
    pqdb_code code;
    if (side->stored) {
        code = rows.scan(rows.ctx, NULL, take_rows, side, err);
    } else {
        code = pq_db_compute(&source, take_rows, side, err);
    }
    pq_arena_deinit(&side->arena);
    return code;
}

static int by_id(const void *left, const void *right) {
    const struct suspect *a = left, *b = right;
    const int order = pq_text_compare(a->id, b->id);
    return order != 0 ? order : (int)b->stored - (int)a->stored;
}

/// Suspects of one id: do both sides add up to the same?
static void report_id(const struct suspect *group, size_t count,
                      pqdb_on_difference on_difference, void *ctx, pqdb_verified *verified) {
    uint64_t low = 0, high = 0;
    const char *stored = NULL, *recomputed = NULL;
    for (size_t i = 0; i < count; i++) {
        const uint64_t weight = (uint64_t)(group[i].stored ? group[i].weight : -group[i].weight);
        low += weight * group[i].low;
        high += weight * group[i].high;
        if (group[i].weight <= 0) continue;
        if (group[i].stored) stored = group[i].json.data;
        if (!group[i].stored) recomputed = group[i].json.data;
    }
    if (low == 0 && high == 0) return;
    verified->differences++;
    if (on_difference == NULL || verified->differences > differences_shown) return;
    const pqdb_difference difference = {.id = group[0].id.data, .stored = stored,
                                        .recomputed = recomputed};
    on_difference(ctx, &difference);
}

static void report(struct suspect *suspects, size_t count, pqdb_on_difference on_difference,
                   void *ctx, pqdb_verified *verified) {
    qsort(suspects, count, sizeof *suspects, by_id);
    for (size_t i = 0; i < count;) {
        size_t end = i + 1;
        while (end < count && pq_text_equal(suspects[end].id, suspects[i].id)) end++;
        report_id(&suspects[i], end - i, on_difference, ctx, verified);
        i = end;
    }
}

/// Who is told of differences.
struct listener {
    pqdb_on_difference on_difference;
    void *ctx;
};

static pqdb_code compare(pqdb_db *db, struct pq_db_snapshot *snapshot, struct pq_db_table *table,
                         const struct listener *listener, pqdb_verified *verified,
                         pqdb_error *err) {
    struct pq_arena arena;
    pq_arena_init(&arena, db->alloc);
    struct bucket *buckets = pq_arena_calloc(&arena, 2 * bucket_count, sizeof *buckets);
    bool *differs = pq_arena_calloc(&arena, bucket_count, sizeof *differs);
    struct side stored = {.buckets = buckets, .stored = true};
    struct side computed = {.buckets = buckets == NULL ? NULL : buckets + bucket_count};
    pqdb_code code = PQDB_OK;
    bool any = false;
    if (buckets == NULL || differs == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "a verification");
        goto done;
    }
    PQ_GO(walk(db, snapshot, table, &stored, err));
    PQ_GO(walk(db, snapshot, table, &computed, err));
    verified->rows_stored = (uint64_t)stored.rows;
    verified->rows_recomputed = (uint64_t)computed.rows;
    for (size_t i = 0; i < bucket_count; i++) {
        differs[i] = memcmp(&stored.buckets[i], &computed.buckets[i], sizeof *buckets) != 0;
        any = any || differs[i];
    }
    if (!any) goto done;
    size_t count = 0;
    struct suspect *suspects = pq_arena_calloc(&arena, suspects_max, sizeof *suspects);
    if (suspects == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "a verification");
        goto done;
    }
    stored.differs = computed.differs = differs;
    stored.kept = computed.kept = &arena;
    stored.suspects = computed.suspects = suspects;
    stored.suspect_count = computed.suspect_count = &count;
    PQ_GO(walk(db, snapshot, table, &stored, err));
    PQ_GO(walk(db, snapshot, table, &computed, err));
    report(suspects, count, listener->on_difference, listener->ctx, verified);
done:
    pq_arena_deinit(&arena);
    return code;
}

pqdb_code pqdb_view_verify(pqdb_db *db, const char *name, pqdb_on_difference on_difference,
                           void *ctx, pqdb_verified *verified, pqdb_error *err) {
    struct pq_db_table *table;
    pqdb_verified unused;
    if (verified == NULL) verified = &unused;
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    const pqdb_code found = pq_db_snapshot_find_view(db, snapshot, pq_text_of(name), &table, err);
    if (found != PQDB_OK || table->view->append) {
        pq_db_snapshot_unref(snapshot);
        PQ_TRY(found);
        pq_fail(err, PQDB_UNSUPPORTED, "it appends: what it has does not follow from its sources");
        return pq_fail_subject(err, PQDB_UNSUPPORTED, pq_text_of(name));
    }
    pqdb_view_state state;
    pq_db_view_state(db, snapshot, table, &state);
    if (strcmp(state.state, "fresh") != 0) {
        pq_db_snapshot_unref(snapshot);
        pq_fail(err, PQDB_INVALID, "the view is %s (%.150s): refresh it, then verify", state.state,
                state.reason);
        return pq_fail_subject(err, PQDB_INVALID, pq_text_of(name));
    }
    if (pq_db_keeps_dropped(table)) {
        pq_db_snapshot_unref(snapshot);
        pq_fail(err, PQDB_UNSUPPORTED, "it keeps what came of rows that are gone by $retention, so "
                "there is nothing to compare it with");
        return pq_fail_subject(err, PQDB_UNSUPPORTED, pq_text_of(name));
    }
    *verified = (pqdb_verified){.version = snapshot->version};
    const struct listener listener = {.on_difference = on_difference, .ctx = ctx};
    const pqdb_code code = compare(db, snapshot, table, &listener, verified, err);
    pq_db_snapshot_unref(snapshot);
    return code;
}
