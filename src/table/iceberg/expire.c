/// What snapshots leave behind once they are no longer in the metadata. A manifest and a data file
/// are in the lists of an unbroken row of snapshots: what the oldest kept one lacks, none needs.
#include "base/fail.h"
#include "table/iceberg/iceberg_internal.h"

struct names {
    struct pq_text *items;
    size_t count, capacity;
};

static bool has_name(const struct names *names, struct pq_text name) {
    for (size_t i = 0; i < names->count; i++) {
        if (pq_text_equal(names->items[i], name)) return true;
    }
    return false;
}

static pqdb_code add_name(struct names *names, struct pq_arena *arena, struct pq_text name) {
    if (names->count == names->capacity) {
        const size_t wanted = names->capacity == 0 ? 16 : 2 * names->capacity;
        struct pq_text *grown = pq_arena_alloc(arena, wanted * sizeof *grown);
        if (grown == NULL) return PQDB_NO_MEMORY;
        if (names->count > 0) memcpy(grown, names->items, names->count * sizeof *grown);
        names->items = grown;
        names->capacity = wanted;
    }
    names->items[names->count] = pq_arena_copy(arena, name);
    if (names->items[names->count].data == NULL) return PQDB_NO_MEMORY;
    names->count++;
    return PQDB_OK;
}

struct expiry {
    const struct pq_iceberg *table;
    struct pq_arena *scratch;
    struct pq_arena *arena;  // the caller's
    struct names kept;       // manifests of the oldest kept snapshot, in scratch
    struct names unneeded, released;
};

/// Files that `snapshot` took away from its parent, which is gone.
static pqdb_code release_removed(struct expiry *expiry, const struct pq_iceberg_snapshot *snapshot,
                                 const struct pq_iceberg_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        const struct pq_iceberg_manifest *line = &list->items[i];
        if (line->added_snapshot_id != snapshot->id) continue;
        if (line->file_counts[PQ_ICEBERG_DELETED] == 0) continue;
        struct pq_iceberg_entries entries = {NULL, 0};
        PQ_TRY(pq_iceberg_read_entries(expiry->table, line, expiry->scratch, &entries,
                                       NULL));
        for (size_t k = 0; k < entries.count; k++) {
            const struct pq_iceberg_entry *entry = &entries.items[k];
            if (entry->status != PQ_ICEBERG_DELETED || entry->snapshot_id != snapshot->id) continue;
            PQ_TRY(add_name(&expiry->released, expiry->arena, entry->file.path));
        }
    }
    return PQDB_OK;
}

static pqdb_code keep_list(struct expiry *expiry, const struct pq_iceberg_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        PQ_TRY(add_name(&expiry->kept, expiry->scratch, list->items[i].path));
    }
    return PQDB_OK;
}

/// The oldest kept snapshot: its manifests stay. What the new one took away is known already.
static pqdb_code visit_kept(struct expiry *expiry, const struct pq_iceberg_expiry *given) {
    if (given->oldest_kept == NULL) return keep_list(expiry, given->new_list);
    struct pq_iceberg_list list = {NULL, 0};
    PQ_TRY(pq_iceberg_read_list(expiry->table, given->oldest_kept, expiry->scratch, &list, NULL));
    PQ_TRY(keep_list(expiry, &list));
    return release_removed(expiry, given->oldest_kept, &list);
}

static pqdb_code visit_expired(struct expiry *expiry, const struct pq_iceberg_snapshot *snapshot,
                               bool is_parent_expired) {
    struct pq_iceberg_list list = {NULL, 0};
    PQ_TRY(pq_iceberg_read_list(expiry->table, snapshot, expiry->scratch, &list, NULL));
    const struct pq_text list_name =
        pq_iceberg_relative(expiry->table->metadata.location, snapshot->manifest_list);
    PQ_TRY(add_name(&expiry->unneeded, expiry->arena, list_name));
    for (size_t i = 0; i < list.count; i++) {
        const struct pq_text path = list.items[i].path;
        if (has_name(&expiry->kept, path) || has_name(&expiry->unneeded, path)) continue;
        PQ_TRY(add_name(&expiry->unneeded, expiry->arena, path));
    }
    return is_parent_expired ? release_removed(expiry, snapshot, &list) : PQDB_OK;
}

static void visit(struct expiry *expiry, const struct pq_iceberg_expiry *given) {
    // Without the kept names nothing can be given up.
    if (visit_kept(expiry, given) != PQDB_OK) return;
    for (size_t i = 0; i < given->expired_count; i++) {
        visit_expired(expiry, given->expired[i], i + 1 < given->expired_count);
    }
}

static struct names names_of(const struct pq_text *items, size_t count) {
    return (struct names){(struct pq_text *)items, count, count};
}

void pq_iceberg_expire(const struct pq_iceberg *table, const struct pq_iceberg_expiry *given,
                       struct pq_arena *arena, struct pq_iceberg_outcome *outcome) {
    if (given->expired_count == 0) return;
    struct pq_arena scratch;
    pq_arena_init(&scratch, table->alloc);
    struct expiry expiry = {
        .table = table,
        .scratch = &scratch,
        .arena = arena,
        .unneeded = names_of(outcome->unneeded, outcome->unneeded_count),
        .released = names_of(outcome->released, outcome->released_count),
    };
    visit(&expiry, given);
    outcome->unneeded = expiry.unneeded.items;
    outcome->unneeded_count = expiry.unneeded.count;
    outcome->released = expiry.released.items;
    outcome->released_count = expiry.released.count;
    pq_arena_deinit(&scratch);
}
