/// One publish: compare, then write manifests, list, metadata and hint, in that order, so that
/// whatever a reader can find is complete. The handle changes only once v<N> is durable.
#include <inttypes.h>
#include <stdio.h>

#include "base/fail.h"
#include "table/iceberg/publish_internal.h"

static pqdb_code no_memory(const struct pq_iceberg_publish *publish) {
    return pq_fail(publish->err, PQDB_NO_MEMORY, "no memory to publish a table");
}

// ---- manifests and their list

/// Write a file of the metadata directory and sync it, but not its name: who needs that durable
/// syncs the directory, once for all. What a crashed publish left under the name is overwritten.
static pqdb_code write_unnamed(struct pq_iceberg *table, struct pq_text name,
                               struct pq_text content, pqdb_error *err) {
    char path[PQ_ICEBERG_PATH_BYTES];
    struct pq_file *file = NULL;
    PQ_TRY(pq_iceberg_path(table, name, path, err));
    PQ_TRY(pq_file_open(table->store, path, PQ_OPEN_WRITE, &file, err));
    pqdb_code code = pq_file_truncate(file, 0, err);
    if (code == PQDB_OK) code = pq_file_write(file, 0, &content, 1, err);
    if (code == PQDB_OK) code = pq_file_sync(file, err);
    pq_file_close(file);
    return code;
}

static pqdb_code write_out(struct pq_iceberg_publish *publish, struct pq_text name) {
    return write_unnamed(publish->table, name, pq_bytes_text(&publish->bytes), publish->err);
}

static pqdb_code sync_names(struct pq_iceberg *table, pqdb_error *err) {
    char path[PQ_ICEBERG_PATH_BYTES];
    PQ_TRY(pq_iceberg_path(table, PQ_TEXT("metadata"), path, err));
    return pq_store_sync_directory(table->store, path, err);
}

static pqdb_code write_manifest(struct pq_iceberg_publish *publish,
                                enum pq_iceberg_content content) {
    const struct pq_iceberg_entries *entries = &publish->entries[content];
    struct pq_iceberg_manifest line;
    PQ_TRY(pq_iceberg_plan_entries(publish, content));
    if (entries->count == 0) return PQDB_OK;
    publish->bytes.length = 0;
    PQ_TRY(pq_iceberg_manifest_write(&publish->target, entries, &publish->bytes, &line,
                                     publish->err));
    PQ_TRY(pq_iceberg_format(publish, &line.path, "metadata/manifest-%" PRIu64 "-%s.avro",
                       publish->number, content == PQ_ICEBERG_DATA ? "data" : "deletes"));
    PQ_TRY(write_out(publish, line.path));
    struct pq_iceberg_live *live = NULL;
    PQ_TRY(pq_iceberg_live_create(publish->table->alloc, &line, entries, &live, publish->err));
    publish->manifests[publish->manifest_count++] = live;
    publish->written_count++;
    return PQDB_OK;
}

static pqdb_code write_manifests(struct pq_iceberg_publish *publish) {
    struct pq_iceberg *table = publish->table;
    publish->manifest_capacity = table->manifest_count + 2;
    publish->manifests = pq_resize(table->alloc, NULL, 0, publish->manifest_capacity,
                                   sizeof *publish->manifests);
    if (publish->manifests == NULL) return no_memory(publish);
    PQ_TRY(write_manifest(publish, PQ_ICEBERG_DATA));
    PQ_TRY(write_manifest(publish, PQ_ICEBERG_POSITION_DELETES));
    for (size_t i = 0; i < table->manifest_count; i++) {
        if (publish->fates[i] != PQ_ICEBERG_KEEP) continue;
        publish->manifests[publish->manifest_count++] = table->manifests[i];
    }
    for (size_t i = 0; i < publish->manifest_count; i++) {
        const struct pq_iceberg_live *live = publish->manifests[i];
        struct pq_iceberg_change *change = &publish->change;
        change->total_files[live->line.content] += pq_iceberg_live_files(&live->line);
        change->total_rows[live->line.content] += live->line.row_counts[PQ_ICEBERG_ADDED] +
                                                  live->line.row_counts[PQ_ICEBERG_EXISTING];
        change->total_bytes[live->line.content] += live->file_bytes;
    }
    return PQDB_OK;
}

static pqdb_code write_list(struct pq_iceberg_publish *publish) {
    struct pq_iceberg_list *list = &publish->list;
    struct pq_text name;
    list->items =
        pq_arena_calloc(&publish->scratch, publish->manifest_count, sizeof *list->items);
    if (list->items == NULL) return no_memory(publish);
    list->count = publish->manifest_count;
    for (size_t i = 0; i < list->count; i++) list->items[i] = publish->manifests[i]->line;
    publish->bytes.length = 0;
    PQ_TRY(pq_iceberg_list_write(&publish->target, list, &publish->bytes, publish->err));
    PQ_TRY(pq_iceberg_format(publish, &name, "metadata/snap-%" PRIu64 ".avro", publish->number));
    PQ_TRY(pq_iceberg_format(publish, &publish->snapshot.manifest_list, "%.*s/%.*s",
                       PQ_TEXT_ARG(publish->target.location), PQ_TEXT_ARG(name)));
    return write_out(publish, name);
}

/// Afterwards the table has changed, for everybody.
static pqdb_code write_metadata(struct pq_iceberg_publish *publish) {
    struct pq_iceberg *table = publish->table;
    struct pq_text name;
    char path[PQ_ICEBERG_PATH_BYTES];
    publish->bytes.length = 0;
    PQ_TRY(pq_iceberg_metadata_write(&publish->metadata, &publish->bytes, publish->err));
    PQ_TRY(pq_iceberg_format(publish, &name, "metadata/v%" PRIu64 ".metadata.json",
                             publish->number));
    PQ_TRY(pq_iceberg_path(table, name, path, publish->err));
    const pqdb_code code = pq_store_create_file(
        table->store, path, pq_bytes_text(&publish->bytes), publish->err);
    // Another writer was first, or nobody knows: the next call looks the table up again.
    if (code != PQDB_OK) pq_iceberg_forget(table);
    return code;
}

/// Whole at any time, but not durable: after a crash an older one may be there again.
static pqdb_code write_hint(struct pq_iceberg *table, pqdb_error *err) {
    char from[PQ_ICEBERG_PATH_BYTES], to[PQ_ICEBERG_PATH_BYTES], number[24];
    if (table->is_hinted) return PQDB_OK;
    PQ_TRY(pq_iceberg_path(table, PQ_TEXT(PQ_ICEBERG_HINT ".new"), from, err));
    PQ_TRY(pq_iceberg_path(table, PQ_TEXT(PQ_ICEBERG_HINT), to, err));
    snprintf(number, sizeof number, "%" PRIu64, table->number);
    PQ_TRY(write_unnamed(table, PQ_TEXT(PQ_ICEBERG_HINT ".new"), pq_text_of(number), err));
    PQ_TRY(pq_store_rename(table->store, from, to, err));
    table->is_hinted = true;
    return PQDB_OK;
}

pqdb_code pq_iceberg_announce(struct pq_iceberg *table, pqdb_error *err) {
    PQ_TRY(pq_iceberg_read(table, err));
    return table->exists ? write_hint(table, err) : PQDB_OK;
}

/// `bytes` is the metadata file.
static pqdb_code install_metadata(struct pq_iceberg_publish *publish) {
    struct pq_iceberg *table = publish->table;
    pq_arena_reset(&table->arena);
    table->is_anew = false;
    table->exists = true;
    table->is_hinted = false;
    table->number = publish->number;
    snprintf(table->file_name, sizeof table->file_name, "v%" PRIu64 ".metadata.json",
             table->number);
    const pqdb_code code = pq_iceberg_metadata_parse(
        pq_bytes_text(&publish->bytes), &table->arena, &table->metadata, publish->err);
    if (code != PQDB_OK) pq_iceberg_forget(table);
    return code;
}

/// The handle holds what was written.
static pqdb_code install(struct pq_iceberg_publish *publish) {
    struct pq_iceberg *table = publish->table;
    for (size_t i = 0; i < table->manifest_count; i++) {
        if (publish->fates[i] == PQ_ICEBERG_KEEP) continue;
        pq_iceberg_live_destroy(table->alloc, table->manifests[i]);
    }
    pq_free(table->alloc, table->manifests, table->manifest_capacity, sizeof *table->manifests);
    table->manifests = publish->manifests;
    table->manifest_count = publish->manifest_count;
    table->manifest_capacity = publish->manifest_capacity;
    publish->manifests = NULL;
    publish->manifest_count = publish->written_count = 0;
    return install_metadata(publish);
}

static pqdb_code run(struct pq_iceberg_publish *publish) {
    struct pq_iceberg *table = publish->table;
    PQ_TRY(pq_iceberg_read_manifests(table, publish->err));
    publish->is_moved =
        table->exists && !pq_text_equal(table->metadata.location, publish->commit->location);
    publish->number = table->number + 1;
    PQ_TRY(pq_iceberg_begin_metadata(publish));
    PQ_TRY(pq_iceberg_plan(publish));
    if (!table->exists) {
        char path[PQ_ICEBERG_PATH_BYTES];
        PQ_TRY(pq_iceberg_path(table, PQ_TEXT("metadata"), path, publish->err));
        PQ_TRY(pq_store_make_directory(table->store, path, publish->err));
    }
    PQ_TRY(write_manifests(publish));
    PQ_TRY(write_list(publish));
    PQ_TRY(pq_iceberg_finish_metadata(publish));
    PQ_TRY(sync_names(table, publish->err));
    PQ_TRY(write_metadata(publish));
    pq_iceberg_expire(table, &publish->expiry, publish->arena, &publish->outcome);
    PQ_TRY(install(publish));
    return write_hint(table, publish->err);
}

static void publish_deinit(struct pq_iceberg_publish *publish) {
    const struct pq_alloc *alloc = publish->table->alloc;
    for (size_t i = 0; i < publish->written_count; i++) {
        pq_iceberg_live_destroy(alloc, publish->manifests[i]);
    }
    pq_free(alloc, publish->manifests, publish->manifest_capacity, sizeof *publish->manifests);
    pq_bytes_deinit(&publish->bytes);
    pq_arena_deinit(&publish->scratch);
}

static pqdb_code check_commit(const struct pq_iceberg_commit *commit, pqdb_error *err) {
    const struct pq_text location = commit->location;
    if (location.length == 0 || memmem(location.data, location.length, ":/", 2) == NULL ||
        location.data[location.length - 1] == '/') {
        return pq_fail(err, PQDB_INVALID,
                       "location '%.*s' of a table must have a scheme and no closing slash",
                       PQ_TEXT_ARG(location));
    }
    if (commit->snapshots_kept == 0) {
        return pq_fail(err, PQDB_INVALID, "a table keeps at least its current snapshot");
    }
    if (commit->file_count >= UINT32_MAX) {
        return pq_fail(err, PQDB_LIMIT, "a table of %zu files", commit->file_count);
    }
    return PQDB_OK;
}

/// Does the current snapshot say all this already?
static bool is_published(const struct pq_iceberg *table, const struct pq_iceberg_commit *commit) {
    char wanted[24];
    snprintf(wanted, sizeof wanted, "%016" PRIx64, pq_iceberg_fingerprint(commit));
    const struct pq_text found = pq_iceberg_pair_find(
        table->metadata.summary, table->metadata.summary_count, PQ_ICEBERG_FINGERPRINT_KEY);
    return pq_text_is(found, wanted);
}

pqdb_code pq_iceberg_publish(struct pq_iceberg *table, const struct pq_iceberg_commit *commit,
                             struct pq_arena *arena, struct pq_iceberg_outcome *outcome,
                             pqdb_error *err) {
    PQ_TRY(check_commit(commit, err));
    PQ_TRY(pq_iceberg_read(table, err));
    if (is_published(table, commit)) {
        PQ_TRY(write_hint(table, err));
        *outcome = (struct pq_iceberg_outcome){
            .snapshot_id = table->metadata.current_snapshot_id, .metadata_number = table->number};
        return PQDB_OK;
    }
    struct pq_iceberg_publish publish = {
        .table = table, .commit = commit, .err = err, .arena = arena};
    pq_arena_init(&publish.scratch, table->alloc);
    pq_bytes_init(&publish.bytes, table->alloc);
    const pqdb_code code = run(&publish);
    if (code == PQDB_OK) {
        *outcome = publish.outcome;
        outcome->is_new = true;
        outcome->snapshot_id = publish.snapshot.id;
        outcome->metadata_number = publish.number;
    }
    publish_deinit(&publish);
    return code;
}

static pqdb_code vacuum(struct pq_iceberg_publish *publish, int64_t keep_ms) {
    struct pq_iceberg *table = publish->table;
    PQ_TRY(pq_iceberg_drop_snapshots(publish, keep_ms));
    if (publish->expiry.expired_count == 0) return PQDB_OK;
    publish->number = table->number + 1;
    PQ_TRY(write_metadata(publish));
    pq_iceberg_expire(table, &publish->expiry, publish->arena, &publish->outcome);
    PQ_TRY(install_metadata(publish));
    return write_hint(table, publish->err);
}

pqdb_code pq_iceberg_vacuum(struct pq_iceberg *table, int64_t keep_ms, struct pq_arena *arena,
                            struct pq_iceberg_outcome *outcome, size_t *dropped,
                            pqdb_error *err) {
    PQ_TRY(pq_iceberg_read(table, err));
    const struct pq_iceberg_commit commit = {.snapshots_kept = 1};
    struct pq_iceberg_publish publish = {
        .table = table, .commit = &commit, .err = err, .arena = arena};
    pq_arena_init(&publish.scratch, table->alloc);
    pq_bytes_init(&publish.bytes, table->alloc);
    const pqdb_code code = table->exists ? vacuum(&publish, keep_ms) : PQDB_OK;
    *dropped = publish.expiry.expired_count;
    if (code == PQDB_OK) *outcome = publish.outcome;
    publish_deinit(&publish);
    return code;
}
