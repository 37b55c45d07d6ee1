/// What snapshots leave behind once they are no longer in the metadata. A manifest and a data file
/// are in the lists of an unbroken row of snapshots: what the oldest kept one lacks, none needs.
#include <stdio.h>
#include <stdlib.h>

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

// ---- after a crash between a publish and the removal of files

struct search {
    struct pq_iceberg *table;
    struct pq_arena scratch;
    struct pq_arena *arena;
    struct names needed;  // in scratch; sorted once complete
    pqdb_error *err;
};

static pqdb_code no_memory(const struct search *search) {
    return pq_fail(search->err, PQDB_NO_MEMORY, "no memory for file names");
}

static pqdb_code need(struct search *search, struct pq_text path) {
    const struct pq_text name = pq_iceberg_relative(search->table->metadata.location, path);
    return add_name(&search->needed, &search->scratch, name) == PQDB_OK ? PQDB_OK
                                                                        : no_memory(search);
}

static pqdb_code need_snapshot(struct search *search, const struct pq_iceberg_snapshot *snapshot) {
    struct pq_iceberg_list list = {NULL, 0};
    PQ_TRY(need(search, snapshot->manifest_list));
    PQ_TRY(pq_iceberg_read_list(search->table, snapshot, &search->scratch, &list, search->err));
    for (size_t i = 0; i < list.count; i++) {
        struct pq_iceberg_entries entries = {NULL, 0};
        PQ_TRY(need(search, list.items[i].path));
        PQ_TRY(pq_iceberg_read_entries(search->table, &list.items[i], &search->scratch, &entries,
                                       search->err));
        for (size_t k = 0; k < entries.count; k++) {
            if (!pq_iceberg_is_live(&entries.items[k])) continue;
            PQ_TRY(need(search, entries.items[k].file.path));
        }
    }
    return PQDB_OK;
}

static int by_bytes(const void *a, const void *b) {
    return pq_text_compare(*(const struct pq_text *)a, *(const struct pq_text *)b);
}

static pqdb_code collect_needed(struct search *search) {
    const struct pq_iceberg_metadata *metadata = &search->table->metadata;
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        PQ_TRY(need_snapshot(search, &metadata->snapshots[i]));
    }
    for (size_t i = 0; i < metadata->metadata_log_count; i++) {
        PQ_TRY(need(search, metadata->metadata_log[i].metadata_file));
    }
    if (search->needed.count > 0) {
        qsort(search->needed.items, search->needed.count, sizeof(struct pq_text), by_bytes);
    }
    return PQDB_OK;
}

static bool ends_with(struct pq_text text, const char *ending) {
    const size_t length = strlen(ending);
    return text.length >= length &&
           memcmp(text.data + text.length - length, ending, length) == 0;
}

/// Could a publish of ours have written it? The current metadata file is no orphan in any case.
static bool is_ours(const struct search *search, const char *directory, struct pq_text name) {
    if (directory[0] == 'd') return ends_with(name, ".parquet");
    if (pq_text_is(name, search->table->file_name)) return false;
    if (name.data[0] == 'v' && ends_with(name, ".metadata.json")) return true;
    return ends_with(name, ".avro") && (pq_text_starts_with(name, PQ_TEXT("snap-")) ||
                                        pq_text_starts_with(name, PQ_TEXT("manifest-")));
}

static pqdb_code find_in(struct search *search, const char *directory, struct names *found) {
    char path[PQ_ICEBERG_PATH_BYTES];
    struct pq_store_list list = {NULL, 0};
    PQ_TRY(pq_iceberg_path(search->table, pq_text_of(directory), path, search->err));
    const pqdb_code code =
        pq_store_list(search->table->store, path, &search->scratch, &list, search->err);
    if (code == PQDB_NOT_FOUND) return PQDB_OK;
    if (code != PQDB_OK) return code;
    for (size_t i = 0; i < list.count; i++) {
        const struct pq_text name = list.entries[i].name;
        if (list.entries[i].is_directory || !is_ours(search, directory, name)) continue;
        snprintf(path, sizeof path, "%s/%.*s", directory, PQ_TEXT_ARG(name));
        const struct pq_text full = pq_text_of(path);
        if (search->needed.count > 0 &&
            bsearch(&full, search->needed.items, search->needed.count, sizeof full, by_bytes)) {
            continue;
        }
        if (add_name(found, search->arena, full) != PQDB_OK) return no_memory(search);
    }
    return PQDB_OK;
}

pqdb_code pq_iceberg_find_orphans(struct pq_iceberg *table, struct pq_arena *arena,
                                  struct pq_iceberg_outcome *orphans, pqdb_error *err) {
    PQ_TRY(pq_iceberg_read(table, err));
    struct search search = {.table = table, .arena = arena, .err = err};
    struct names metadata_files = {NULL, 0, 0}, data_files = {NULL, 0, 0};
    pqdb_code code = PQDB_OK;
    pq_arena_init(&search.scratch, table->alloc);
    PQ_GO(collect_needed(&search));
    PQ_GO(find_in(&search, "metadata", &metadata_files));
    PQ_GO(find_in(&search, "data", &data_files));
    *orphans = (struct pq_iceberg_outcome){
        .snapshot_id = table->metadata.current_snapshot_id,
        .metadata_number = table->number,
        .unneeded = metadata_files.items,
        .unneeded_count = metadata_files.count,
        .released = data_files.items,
        .released_count = data_files.count,
    };
done:
    pq_arena_deinit(&search.scratch);
    return code;
}
