#include "collection/unique.h"

#include "base/fail.h"
#include "base/hash.h"
#include "expr/compare.h"
#include "table/scan.h"

bool pq_entry_has_unique(const struct pq_entry *entry) {
    for (size_t i = 0; i < entry->field_count; i++) {
        if (entry->fields[i].unique) return true;
    }
    return false;
}

void pq_unique_init(struct pq_unique *unique, const struct pq_entry *entry,
                    const struct pq_alloc *alloc) {
    *unique = (struct pq_unique){.entry = entry, .alloc = alloc};
    pq_trace_init(&unique->holders, PQ_TRACE_NEWEST_WINS, alloc);
}

void pq_unique_deinit(struct pq_unique *unique) {
    if (unique->entry != NULL) pq_trace_deinit(&unique->holders);
    *unique = (struct pq_unique){0};
}

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "an index of unique values");
}

/// The bytes that stand for a value of a field.
static pqdb_code key_of(uint32_t field, const struct pq_column *column, size_t row,
                        struct pq_bytes *out, pqdb_error *err) {
    const struct pq_value value = pq_column_value(column, row);
    out->length = 0;
    PQ_TRY(pq_bytes_append(out, &field, sizeof field, err));
    return pq_key_encode(&value, out, err);
}

static struct pq_hashed_key hashed(const struct pq_bytes *key) {
    return (struct pq_hashed_key){pq_hash(key->data, key->length), pq_bytes_text(key)};
}

// ---- the index --------------------------------------------------------------------------------

static pqdb_code set_holder(struct pq_unique *unique, const struct pq_bytes *key,
                            struct pq_text id, pqdb_error *err) {
    const struct pq_hashed_key at = hashed(key);
    struct pq_trace_row *row;
    bool created;
    PQ_TRY(pq_trace_touch(&unique->holders, &at, id.length, &row, &created, err));
    if (row->payload_bytes != id.length) {
        PQ_TRY(pq_trace_resize(&unique->holders, &row, id.length, err));
    }
    memcpy(pq_trace_payload(row), id.data, id.length);
    return PQDB_OK;
}

static pqdb_code add_rows(struct pq_unique *unique, const struct pq_batch *rows,
                          pqdb_error *err) {
    struct pq_bytes key;
    pq_bytes_init(&key, unique->alloc);
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; code == PQDB_OK && i < unique->entry->field_count; i++) {
        const struct pq_declared_field *field = &unique->entry->fields[i];
        if (!field->unique) continue;
        const struct pq_column *column = &rows->columns[field->column];
        for (size_t row = 0; code == PQDB_OK && row < rows->count; row++) {
            if (pq_column_is_null(column, row)) continue;
            if (rows->weights != NULL && rows->weights[row] < 0) continue;
            code = key_of((uint32_t)i, column, row, &key, err);
            if (code != PQDB_OK) break;
            code = set_holder(unique, &key, pq_column_text(&rows->columns[PQ_COLUMN_ID], row), err);
        }
    }
    pq_bytes_deinit(&key);
    return code;
}

void pq_unique_note(struct pq_unique *unique, const struct pq_batch *delta) {
    if (!unique->is_warm || add_rows(unique, delta, NULL) == PQDB_OK) return;
    pq_trace_clear(&unique->holders);
    unique->is_warm = false;
}

static pqdb_code scan_all(struct pq_unique *unique, struct pq_table_snapshot *snapshot,
                          const bool *wanted, pqdb_error *err) {
    const struct pq_scan_options options = {.columns = wanted};
    struct pq_arena batch_arena;
    struct pq_scan scan;
    struct pq_batch batch;
    pqdb_code code;
    pq_arena_init(&batch_arena, unique->alloc);
    pq_scan_open(&scan, snapshot, &options, unique->alloc);
    do {
        pq_arena_reset(&batch_arena);
        PQ_GO(pq_scan_next(&scan, &batch_arena, &batch, err));
        if (batch.count > 0) PQ_GO(add_rows(unique, &batch, err));
    } while (batch.count > 0);
done:
    pq_scan_close(&scan);
    pq_arena_deinit(&batch_arena);
    return code;
}

/// The columns that the index is about.
static bool *wanted_columns(const struct pq_unique *unique, size_t width, struct pq_arena *arena) {
    bool *wanted = pq_arena_calloc(arena, width, sizeof *wanted);
    if (wanted == NULL) return NULL;
    wanted[PQ_COLUMN_ID] = true;
    for (size_t i = 0; i < unique->entry->field_count; i++) {
        if (unique->entry->fields[i].unique) wanted[unique->entry->fields[i].column] = true;
    }
    return wanted;
}

// ---- a write ----------------------------------------------------------------------------------

/// A value that a row of the delta brings.
struct claim {
    uint32_t row, field;
    struct pq_text key;
    struct pq_text holder;  // its $id, or data NULL
};

struct checking {
    struct pq_unique *unique;
    const struct pq_write_delta *delta;
    struct pq_arena *arena;
    struct claim *claims;
    size_t claim_count;
    uint64_t *hashes;
    size_t hash_count;
    struct pq_unique_clashes *clashes;
};

static struct pq_text id_of(const struct checking *checking, size_t row) {
    return pq_column_text(&checking->delta->rows.columns[PQ_COLUMN_ID], row);
}

static pqdb_code find_claims(struct checking *checking, pqdb_error *err) {
    const struct pq_batch *rows = &checking->delta->rows;
    const struct pq_entry *entry = checking->unique->entry;
    struct pq_bytes key;
    pq_bytes_init(&key, &checking->arena->alloc);
    for (size_t i = 0; i < entry->field_count; i++) {
        if (!entry->fields[i].unique) continue;
        const struct pq_column *column = &rows->columns[entry->fields[i].column];
        for (size_t row = 0; row < rows->count; row++) {
            if (pq_column_is_null(column, row)) continue;
            PQ_TRY(key_of((uint32_t)i, column, row, &key, err));
            const struct pq_hashed_key at = hashed(&key);
            checking->hashes[checking->hash_count++] = at.hash;
            if (row < checking->delta->minus) continue;
            struct pq_trace_row *holder;
            PQ_TRY(pq_trace_find(&checking->unique->holders, &at, &holder, err));
            struct claim *claim = &checking->claims[checking->claim_count++];
            *claim = (struct claim){.row = (uint32_t)row, .field = (uint32_t)i,
                                    .key = pq_arena_copy(checking->arena, at.bytes)};
            if (holder != NULL) {
                claim->holder = pq_arena_copy(
                    checking->arena, (struct pq_text){(const char *)pq_trace_payload(holder),
                                                      holder->payload_bytes});
            }
            if (claim->key.data == NULL) return no_memory(err);
            if (holder != NULL && claim->holder.data == NULL) return no_memory(err);
        }
    }
    return PQDB_OK;
}

static pqdb_code add_clash(struct checking *checking, const struct claim *claim,
                           struct pq_text holder, bool in_batch, pqdb_error *err) {
    struct pq_unique_clashes *all = checking->clashes;
    if (all->count == all->capacity) {
        const size_t capacity = all->capacity == 0 ? 8 : all->capacity * 2;
        struct pq_unique_clash *grown = pq_resize(&checking->arena->alloc, all->items,
                                                  all->capacity, capacity, sizeof *grown);
        if (grown == NULL) return no_memory(err);
        all->items = grown;
        all->capacity = capacity;
    }
    const struct pq_unique_clash clash = {
        .row = claim->row, .field = &checking->unique->entry->fields[claim->field].field,
        .holder = holder, .in_batch = in_batch};
    size_t at = all->count++;
    for (; at > 0 && all->items[at - 1].row > clash.row; at--) all->items[at] = all->items[at - 1];
    all->items[at] = clash;
    return PQDB_OK;
}

/// Open addressing over texts; slots are index + 1.
static uint32_t *find_slot(uint32_t *slots, size_t slot_count, const struct claim *claims,
                           struct pq_text key) {
    size_t at = (size_t)pq_hash(key.data, key.length) & (slot_count - 1);
    while (slots[at] != 0 && !pq_text_equal(claims[slots[at] - 1].key, key)) {
        at = (at + 1) & (slot_count - 1);
    }
    return &slots[at];
}

/// Two rows of the delta with one value: the later one clashes, and claims nothing more.
static pqdb_code find_twins(struct checking *checking, pqdb_error *err) {
    size_t slot_count = 16;
    while (slot_count < checking->claim_count * 2) slot_count *= 2;
    uint32_t *slots = pq_arena_calloc(checking->arena, slot_count, sizeof *slots);
    if (slots == NULL) return no_memory(err);
    for (size_t i = 0; i < checking->claim_count; i++) {
        struct claim *claim = &checking->claims[i];
        uint32_t *slot = find_slot(slots, slot_count, checking->claims, claim->key);
        if (*slot == 0) {
            *slot = (uint32_t)i + 1;
            continue;
        }
        const struct claim *first = &checking->claims[*slot - 1];
        PQ_TRY(add_clash(checking, claim, id_of(checking, first->row), true, err));
        claim->holder.data = NULL;
    }
    return PQDB_OK;
}

/// Is the row one of those that the delta takes away? Then its value is free: if it comes back with
/// it, that is a claim like any other.
static bool goes(const struct checking *checking, const uint32_t *slots, size_t slot_count,
                 struct pq_text id) {
    size_t at = (size_t)pq_hash(id.data, id.length) & (slot_count - 1);
    for (; slots[at] != 0; at = (at + 1) & (slot_count - 1)) {
        if (pq_text_equal(id_of(checking, slots[at] - 1), id)) return true;
    }
    return false;
}

static pqdb_code drop_leaving(struct checking *checking, pqdb_error *err) {
    size_t slot_count = 16;
    while (slot_count < checking->delta->minus * 2) slot_count *= 2;
    uint32_t *slots = pq_arena_calloc(checking->arena, slot_count, sizeof *slots);
    if (slots == NULL) return no_memory(err);
    for (size_t row = 0; row < checking->delta->minus; row++) {
        const struct pq_text id = id_of(checking, row);
        size_t at = (size_t)pq_hash(id.data, id.length) & (slot_count - 1);
        while (slots[at] != 0) at = (at + 1) & (slot_count - 1);
        slots[at] = (uint32_t)row + 1;
    }
    for (size_t i = 0; i < checking->claim_count; i++) {
        struct claim *claim = &checking->claims[i];
        if (claim->holder.data == NULL) continue;
        if (goes(checking, slots, slot_count, claim->holder)) claim->holder.data = NULL;
    }
    return PQDB_OK;
}

/// Those who had the values last: do they live, and still have them?
static pqdb_code ask_holders(struct checking *checking, struct pq_table_snapshot *snapshot,
                             const bool *wanted, pqdb_error *err) {
    const size_t count = checking->claim_count;
    struct pq_text *ids = pq_arena_alloc(checking->arena, count * sizeof *ids);
    uint32_t *asked = pq_arena_alloc(checking->arena, count * sizeof *asked);
    struct pq_row_place *places = pq_arena_alloc(checking->arena, count * sizeof *places);
    if (ids == NULL || asked == NULL || places == NULL) return no_memory(err);
    size_t asked_count = 0, found = 0;
    for (size_t i = 0; i < count; i++) {
        if (checking->claims[i].holder.data == NULL) continue;
        ids[asked_count] = checking->claims[i].holder;
        asked[asked_count++] = (uint32_t)i;
    }
    if (asked_count == 0) return PQDB_OK;
    PQ_TRY(pq_table_locate(snapshot, ids, asked_count, places, err));
    for (size_t i = 0; i < asked_count; i++) {
        if (places[i].segment == NULL) continue;
        asked[found] = asked[i];
        places[found++] = places[i];
    }
    struct pq_batch holders;
    const struct pq_fetch fetch = {.snapshot = snapshot, .places = places, .count = found,
                                   .columns = wanted, .alloc = checking->unique->alloc};
    PQ_TRY(pq_table_fetch(&fetch, checking->arena, &holders, err));
    struct pq_bytes key;
    pq_bytes_init(&key, &checking->arena->alloc);
    for (size_t i = 0; i < found; i++) {
        const struct claim *claim = &checking->claims[asked[i]];
        const struct pq_declared_field *field = &checking->unique->entry->fields[claim->field];
        const struct pq_column *column = &holders.columns[field->column];
        if (pq_column_is_null(column, i)) continue;
        PQ_TRY(key_of(claim->field, column, i, &key, err));
        if (!pq_text_equal(pq_bytes_text(&key), claim->key)) continue;
        PQ_TRY(add_clash(checking, claim, claim->holder, false, err));
    }
    return PQDB_OK;
}

pqdb_code pq_unique_check(struct pq_unique *unique, const struct pq_write_delta *delta,
                          struct pq_table_snapshot *snapshot, struct pq_arena *arena,
                          struct pq_unique_clashes *clashes, pqdb_error *err) {
    struct checking checking = {
        .unique = unique, .delta = delta, .arena = arena, .clashes = clashes};
    const size_t most = delta->rows.count * unique->entry->field_count;
    const bool *wanted = wanted_columns(unique, delta->rows.type->field_count, arena);
    checking.claims = pq_arena_alloc(arena, most * sizeof *checking.claims);
    checking.hashes = pq_arena_alloc(arena, most * sizeof *checking.hashes);
    if (wanted == NULL || checking.claims == NULL || checking.hashes == NULL) {
        return no_memory(err);
    }
    if (!unique->is_warm) {
        pq_trace_clear(&unique->holders);
        PQ_TRY(scan_all(unique, snapshot, wanted, err));
        unique->is_warm = true;
    }
    *clashes = (struct pq_unique_clashes){0};
    PQ_TRY(find_claims(&checking, err));
    PQ_TRY(find_twins(&checking, err));
    PQ_TRY(drop_leaving(&checking, err));
    PQ_TRY(ask_holders(&checking, snapshot, wanted, err));
    clashes->hashes = checking.hashes;
    clashes->hash_count = checking.hash_count;
    return PQDB_OK;
}
