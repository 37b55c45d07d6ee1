#include "base/fail.h"
#include "base/hash.h"
#include "table/iceberg/publish_internal.h"

enum {
    MERGE_COUNT = 8,             // manifests of like size that become one
    MERGE_FILES_MAX = 32 << 10,  // live files of a manifest that is merged no more
};

static pqdb_code no_memory(const struct pq_iceberg_publish *publish) {
    return pq_fail(publish->err, PQDB_NO_MEMORY, "no memory to compare a table's files");
}

/// The slot of a path: its own, or a free one.
static uint32_t *find_slot(const struct pq_iceberg_publish *publish, struct pq_text path) {
    size_t at = (size_t)pq_hash(path.data, path.length) & publish->slot_mask;
    for (;; at = (at + 1) & publish->slot_mask) {
        const uint32_t slot = publish->slots[at];
        if (slot == 0) break;
        if (pq_text_equal(publish->commit->files[slot - 1].path, path)) break;
    }
    return &publish->slots[at];
}

static pqdb_code index_files(struct pq_iceberg_publish *publish) {
    const struct pq_iceberg_commit *commit = publish->commit;
    size_t slot_count = 16;
    while (slot_count < 2 * commit->file_count) slot_count *= 2;
    publish->slots = pq_arena_calloc(&publish->scratch, slot_count, sizeof *publish->slots);
    publish->owners =
        pq_arena_calloc(&publish->scratch, commit->file_count, sizeof *publish->owners);
    if (publish->slots == NULL || publish->owners == NULL) return no_memory(publish);
    publish->slot_mask = slot_count - 1;
    for (size_t i = 0; i < commit->file_count; i++) {
        uint32_t *slot = find_slot(publish, commit->files[i].path);
        if (*slot != 0) {
            return pq_fail(publish->err, PQDB_INVALID, "file '%.*s' stands twice in a table",
                           PQ_TEXT_ARG(commit->files[i].path));
        }
        *slot = (uint32_t)i + 1;
    }
    return PQDB_OK;
}

static enum pq_iceberg_fate compare_manifest(struct pq_iceberg_publish *publish, size_t index) {
    const struct pq_iceberg_live *live = publish->table->manifests[index];
    // Our tables are unpartitioned: the other manifests' files are not ours, and none is kept.
    if (live->path_count == 0 || live->line.partition_spec_id != 0) return PQ_ICEBERG_DROP;
    bool is_whole = true;
    for (size_t i = 0; i < live->path_count; i++) {
        const uint32_t slot = *find_slot(publish, live->paths[i]);
        if (slot == 0 || publish->owners[slot - 1] != 0) {
            is_whole = false;  // removed, or a second time in the table
        } else {
            publish->owners[slot - 1] = (uint32_t)index + 1;
        }
    }
    return is_whole && !publish->is_moved ? PQ_ICEBERG_KEEP : PQ_ICEBERG_REWRITE;
}

// ---- merging

static unsigned tier_of(size_t live_files) {
    unsigned tier = 0;
    for (; live_files >= MERGE_COUNT; live_files /= MERGE_COUNT) tier++;
    return tier;
}

/// A kept manifest that is not larger, by tier, than what is to be written.
static bool is_mergeable(const struct pq_iceberg_publish *publish, size_t index,
                         enum pq_iceberg_content content, unsigned tier) {
    const struct pq_iceberg_live *live = publish->table->manifests[index];
    return publish->fates[index] == PQ_ICEBERG_KEEP && live->line.content == content &&
           live->path_count < MERGE_FILES_MAX && tier_of(live->path_count) <= tier;
}

/// Seven manifests beside the new one, none larger: all become one, and so on with the result. So
/// a file is written anew about log8(files) times, and a list has few lines.
static void plan_merges(struct pq_iceberg_publish *publish, enum pq_iceberg_content content) {
    const struct pq_iceberg *table = publish->table;
    size_t live_files = 0;
    bool is_written = false;
    for (size_t i = 0; i < publish->commit->file_count; i++) {
        const uint32_t owner = publish->owners[i];
        if (publish->commit->files[i].content != content) continue;
        if (owner != 0 && publish->fates[owner - 1] == PQ_ICEBERG_KEEP) continue;
        live_files++;
        is_written = true;
    }
    while (is_written) {
        const unsigned tier = tier_of(live_files);
        size_t count = 0;
        for (size_t i = 0; i < table->manifest_count; i++) {
            count += is_mergeable(publish, i, content, tier);
        }
        if (count + 1 < MERGE_COUNT) return;
        for (size_t i = 0; i < table->manifest_count; i++) {
            if (!is_mergeable(publish, i, content, tier)) continue;
            publish->fates[i] = PQ_ICEBERG_REWRITE;
            live_files += table->manifests[i]->path_count;
        }
    }
}

pqdb_code pq_iceberg_plan(struct pq_iceberg_publish *publish) {
    const struct pq_iceberg *table = publish->table;
    PQ_TRY(index_files(publish));
    publish->fates =
        pq_arena_calloc(&publish->scratch, table->manifest_count, sizeof *publish->fates);
    if (publish->fates == NULL) return no_memory(publish);
    for (size_t i = 0; i < table->manifest_count; i++) {
        publish->fates[i] = compare_manifest(publish, i);
    }
    plan_merges(publish, PQ_ICEBERG_DATA);
    plan_merges(publish, PQ_ICEBERG_POSITION_DELETES);
    return PQDB_OK;
}

// ---- the new manifest

static size_t count_entries(const struct pq_iceberg_publish *publish,
                            enum pq_iceberg_content content) {
    const struct pq_iceberg *table = publish->table;
    size_t count = 0;
    for (size_t i = 0; i < table->manifest_count; i++) {
        if (publish->fates[i] != PQ_ICEBERG_REWRITE) continue;
        if (table->manifests[i]->line.content == content) count += table->manifests[i]->path_count;
    }
    for (size_t i = 0; i < publish->commit->file_count; i++) {
        count += publish->owners[i] == 0 && publish->commit->files[i].content == content;
    }
    return count;
}

static pqdb_code rewrite_entries(struct pq_iceberg_publish *publish, size_t index,
                                 struct pq_iceberg_entries *entries) {
    const struct pq_iceberg_live *live = publish->table->manifests[index];
    struct pq_iceberg_change *change = &publish->change;
    struct pq_iceberg_entries old = {NULL, 0};
    PQ_TRY(pq_iceberg_read_entries(publish->table, &live->line, &publish->scratch, &old,
                                   publish->err));
    size_t live_count = 0;
    for (size_t i = 0; i < old.count; i++) live_count += pq_iceberg_is_live(&old.items[i]);
    if (live_count != live->path_count) {
        return pq_fail(publish->err, PQDB_CORRUPT, "manifest '%.*s' changed after it was written",
                       PQ_TEXT_ARG(live->line.path));
    }
    for (size_t i = 0; i < old.count; i++) {
        struct pq_iceberg_entry entry = old.items[i];
        if (!pq_iceberg_is_live(&entry)) continue;
        const uint32_t slot = *find_slot(publish, entry.file.path);
        if (slot != 0 && publish->owners[slot - 1] == (uint32_t)index + 1) {
            entry.status = PQ_ICEBERG_EXISTING;
        } else {
            entry.status = PQ_ICEBERG_DELETED;
            entry.snapshot_id = publish->target.snapshot_id;
            change->removed_files[live->line.content]++;
            change->removed_rows[live->line.content] += entry.file.row_count;
            change->removed_bytes[live->line.content] += entry.file.file_bytes;
        }
        entries->items[entries->count++] = entry;
    }
    return PQDB_OK;
}

static pqdb_code add_file(struct pq_iceberg_publish *publish, size_t index,
                          struct pq_iceberg_entries *entries) {
    const struct pq_iceberg_commit *commit = publish->commit;
    struct pq_iceberg_change *change = &publish->change;
    struct pq_iceberg_file file = commit->files[index];
    if (commit->measure != NULL) {
        PQ_TRY(commit->measure(commit->measure_ctx, index, &publish->scratch, &file,
                               publish->err));
        file.path = commit->files[index].path;
        file.content = commit->files[index].content;
    }
    change->added_files[file.content]++;
    change->added_rows[file.content] += file.row_count;
    change->added_bytes[file.content] += file.file_bytes;
    entries->items[entries->count++] = (struct pq_iceberg_entry){
        .status = PQ_ICEBERG_ADDED, .snapshot_id = publish->target.snapshot_id, .file = file};
    return PQDB_OK;
}

pqdb_code pq_iceberg_plan_entries(struct pq_iceberg_publish *publish,
                                  enum pq_iceberg_content content) {
    const struct pq_iceberg *table = publish->table;
    struct pq_iceberg_entries *entries = &publish->entries[content];
    const size_t count = count_entries(publish, content);
    if (count == 0) return PQDB_OK;
    entries->items = pq_arena_calloc(&publish->scratch, count, sizeof *entries->items);
    if (entries->items == NULL) return no_memory(publish);
    for (size_t i = 0; i < table->manifest_count; i++) {
        if (publish->fates[i] != PQ_ICEBERG_REWRITE) continue;
        if (table->manifests[i]->line.content != content) continue;
        PQ_TRY(rewrite_entries(publish, i, entries));
    }
    for (size_t i = 0; i < publish->commit->file_count; i++) {
        if (publish->owners[i] != 0 || publish->commit->files[i].content != content) continue;
        PQ_TRY(add_file(publish, i, entries));
    }
    return PQDB_OK;
}
