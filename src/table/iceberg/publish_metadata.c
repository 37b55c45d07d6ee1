/// The metadata that a publish makes of the table's present one.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/fail.h"
#include "table/iceberg/publish_internal.h"
#include "table/iceberg/schema_json.h"

static pqdb_code no_memory(const struct pq_iceberg_publish *publish) {
    return pq_fail(publish->err, PQDB_NO_MEMORY, "no memory to publish a table");
}

pqdb_code pq_iceberg_format(struct pq_iceberg_publish *publish, struct pq_text *text,
                            const char *format, ...) {
    char buffer[2 * PQ_ICEBERG_PATH_BYTES];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof buffer) {
        return pq_fail(publish->err, PQDB_LIMIT, "location of a table is too long");
    }
    *text = pq_arena_copy(&publish->scratch, (struct pq_text){buffer, (size_t)length});
    return text->data == NULL ? no_memory(publish) : PQDB_OK;
}

static pqdb_code make_uuid(struct pq_iceberg_publish *publish, struct pq_text *uuid) {
    uint8_t b[16];
    publish->table->env->random(publish->table->env->ctx, b, sizeof b);
    b[6] = (uint8_t)(0x40 | (b[6] & 0x0f));
    b[8] = (uint8_t)(0x80 | (b[8] & 0x3f));
    return pq_iceberg_format(publish, uuid,
                       "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
                       b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11],
                       b[12], b[13], b[14], b[15]);
}

/// Positive, and below 2^53: there are readers in JavaScript.
static int64_t make_snapshot_id(const struct pq_iceberg *table) {
    for (;;) {
        uint64_t bits = 0;
        table->env->random(table->env->ctx, &bits, sizeof bits);
        const int64_t id = (int64_t)(bits >> 11);
        if (id > 0 && pq_iceberg_find_snapshot(&table->metadata, id) == NULL) return id;
    }
}

static pqdb_code take_bytes(struct pq_iceberg_publish *publish, struct pq_text *text) {
    *text = pq_arena_copy(&publish->scratch, pq_bytes_text(&publish->bytes));
    publish->bytes.length = 0;
    return text->data == NULL ? no_memory(publish) : PQDB_OK;
}

static pqdb_code write_schema(struct pq_iceberg_publish *publish) {
    struct pq_iceberg_schema *schema = &publish->schema;
    publish->bytes.length = 0;
    PQ_TRY(pq_iceberg_fields_write(publish->commit->schema, &publish->bytes, publish->err));
    PQ_TRY(take_bytes(publish, &schema->fields));
    schema->keys = PQ_TEXT("");
    if (publish->commit->key_field_id != 0) {
        PQ_TRY(pq_iceberg_format(publish, &schema->keys, "[%" PRId32 "]",
                           publish->commit->key_field_id));
    }
    return PQDB_OK;
}

/// An equal schema of the table, or a new one with the next id.
static pqdb_code choose_schema(struct pq_iceberg_publish *publish) {
    const struct pq_iceberg_metadata *old = &publish->table->metadata;
    struct pq_iceberg_metadata *metadata = &publish->metadata;
    struct pq_iceberg_schema *schema = &publish->schema;
    PQ_TRY(write_schema(publish));
    schema->id = 0;
    for (size_t i = 0; i < old->schema_count; i++) {
        if (pq_text_equal(old->schemas[i].fields, schema->fields) &&
            pq_text_equal(old->schemas[i].keys, schema->keys)) {
            *schema = old->schemas[i];
            metadata->current_schema_id = schema->id;
            return PQDB_OK;
        }
        if (old->schemas[i].id >= schema->id) schema->id = old->schemas[i].id + 1;
    }
    const bool has_keys = schema->keys.length > 0;
    PQ_TRY(pq_bytes_printf(&publish->bytes, publish->err,
                           "{\"type\":\"struct\",\"schema-id\":%" PRId32 "%s%.*s,\"fields\":%.*s}",
                           schema->id, has_keys ? ",\"identifier-field-ids\":" : "",
                           PQ_TEXT_ARG(schema->keys), PQ_TEXT_ARG(schema->fields)));
    PQ_TRY(take_bytes(publish, &schema->json));
    struct pq_iceberg_schema *schemas =
        pq_arena_calloc(&publish->scratch, old->schema_count + 1, sizeof *schemas);
    if (schemas == NULL) return no_memory(publish);
    for (size_t i = 0; i < old->schema_count; i++) schemas[i] = old->schemas[i];
    schemas[old->schema_count] = *schema;
    metadata->schemas = schemas;
    metadata->schema_count = old->schema_count + 1;
    metadata->current_schema_id = schema->id;
    return PQDB_OK;
}

static pqdb_code set_properties(struct pq_iceberg_publish *publish) {
    const struct pq_iceberg_commit *commit = publish->commit;
    const struct pq_iceberg_metadata *old = &publish->table->metadata;
    struct pq_iceberg_pair *pairs = pq_arena_calloc(
        &publish->scratch, old->property_count + commit->property_count, sizeof *pairs);
    if (pairs == NULL) return no_memory(publish);
    size_t count = 0;
    for (size_t i = 0; i < old->property_count; i++) {
        const struct pq_text key = old->properties[i].key;
        bool is_set = false;
        for (size_t k = 0; k < commit->property_count; k++) {
            is_set = is_set || pq_text_equal(commit->properties[k].key, key);
        }
        if (!is_set) pairs[count++] = old->properties[i];
    }
    for (size_t k = 0; k < commit->property_count; k++) pairs[count++] = commit->properties[k];
    publish->metadata.properties = pairs;
    publish->metadata.property_count = count;
    return PQDB_OK;
}

/// Not those of a moved table, which name files where they were, nor those of version 1, which lack
/// fields, nor when there are partitions: their specs are not written.
static bool keeps_snapshots(const struct pq_iceberg_publish *publish) {
    const struct pq_iceberg *table = publish->table;
    for (size_t i = 0; i < table->manifest_count; i++) {
        if (table->manifests[i]->line.partition_spec_id != 0) return false;
    }
    return !publish->is_moved && table->metadata.format_version >= 2;
}

/// How many of `row`, newest first, stay beside the new snapshot. Keeping one holds the files that
/// its children took away.
static size_t count_kept(const struct pq_iceberg_publish *publish,
                         const struct pq_iceberg_snapshot *const *row, size_t count) {
    const struct pq_iceberg_commit *commit = publish->commit;
    const size_t kept_max = keeps_snapshots(publish) ? commit->snapshots_kept - 1 : 0;
    uint64_t held = (uint64_t)publish->snapshot.removed_bytes;
    size_t kept = 0;
    while (kept < count && kept < kept_max &&
           (commit->held_bytes_max == 0 || held <= commit->held_bytes_max)) {
        held += (uint64_t)row[kept++]->removed_bytes;
    }
    return kept;
}

/// The newest snapshots along the parents, with the new one; the others of that row are `expired`.
static pqdb_code set_snapshots(struct pq_iceberg_publish *publish) {
    const struct pq_iceberg_metadata *old = &publish->table->metadata;
    struct pq_iceberg_metadata *metadata = &publish->metadata;
    const struct pq_iceberg_snapshot **row =
        pq_arena_calloc(&publish->scratch, old->snapshot_count, sizeof(void *));
    struct pq_iceberg_snapshot *snapshots =
        pq_arena_calloc(&publish->scratch, old->snapshot_count + 1, sizeof *snapshots);
    if (row == NULL || snapshots == NULL) return no_memory(publish);
    size_t count = 0;
    const struct pq_iceberg_snapshot *at = pq_iceberg_current(old);
    for (; at != NULL && count < old->snapshot_count; count++) {
        row[count] = at;
        at = pq_iceberg_find_snapshot(old, at->parent_id);
    }
    const size_t kept = count_kept(publish, row, count);
    for (size_t i = 0; i < kept; i++) snapshots[i] = *row[kept - 1 - i];
    snapshots[kept] = publish->snapshot;
    metadata->snapshots = snapshots;
    metadata->snapshot_count = kept + 1;
    metadata->current_snapshot_id = publish->snapshot.id;
    publish->expiry = (struct pq_iceberg_expiry){
        .expired = row + kept,
        .expired_count = count - kept,
        .oldest_kept = kept == 0 ? NULL : row[kept - 1],
        .new_list = &publish->list,
    };
    return PQDB_OK;
}

/// The snapshot log without what expired.
static pqdb_code set_snapshot_log(struct pq_iceberg_publish *publish) {
    const struct pq_iceberg_metadata *old = &publish->table->metadata;
    struct pq_iceberg_metadata *metadata = &publish->metadata;
    struct pq_iceberg_log_entry *log =
        pq_arena_calloc(&publish->scratch, old->snapshot_log_count + 1, sizeof *log);
    if (log == NULL) return no_memory(publish);
    size_t count = 0;
    for (size_t i = 0; i < old->snapshot_log_count; i++) {
        if (pq_iceberg_find_snapshot(metadata, old->snapshot_log[i].snapshot_id) == NULL) continue;
        log[count++] = old->snapshot_log[i];
    }
    log[count++] = (struct pq_iceberg_log_entry){.time_ms = publish->snapshot.time_ms,
                                                 .snapshot_id = publish->snapshot.id};
    metadata->snapshot_log = log;
    metadata->snapshot_log_count = count;
    return PQDB_OK;
}

/// The files that fall out of the metadata log.
static pqdb_code name_unneeded(struct pq_iceberg_publish *publish,
                               const struct pq_iceberg_log_entry *gone, size_t count) {
    const struct pq_text location = publish->table->metadata.location;
    struct pq_text *names = pq_arena_calloc(publish->arena, count, sizeof *names);
    if (names == NULL) return no_memory(publish);
    for (size_t i = 0; i < count; i++) {
        names[i] =
            pq_arena_copy(publish->arena, pq_iceberg_relative(location, gone[i].metadata_file));
        if (names[i].data == NULL) return no_memory(publish);
    }
    publish->outcome.unneeded = names;
    publish->outcome.unneeded_count = count;
    return PQDB_OK;
}

/// The metadata log with the file that was current until now.
static pqdb_code set_metadata_log(struct pq_iceberg_publish *publish) {
    const struct pq_iceberg *table = publish->table;
    const struct pq_iceberg_metadata *old = &table->metadata;
    struct pq_iceberg_log_entry *log =
        pq_arena_calloc(&publish->scratch, old->metadata_log_count + 1, sizeof *log);
    if (log == NULL) return no_memory(publish);
    size_t count = old->metadata_log_count;
    for (size_t i = 0; i < count; i++) log[i] = old->metadata_log[i];
    if (table->exists) {
        log[count].time_ms = old->last_updated_ms;
        PQ_TRY(pq_iceberg_format(publish, &log[count].metadata_file, "%.*s/metadata/%s",
                                 PQ_TEXT_ARG(old->location), table->file_name));
        count++;
    }
    const size_t kept_max = publish->is_moved ? 0 : publish->commit->snapshots_kept;
    const size_t gone = count > kept_max ? count - kept_max : 0;
    publish->metadata.metadata_log = log + gone;
    publish->metadata.metadata_log_count = count - gone;
    return name_unneeded(publish, log, gone);
}

/// What this snapshot took away, when its parent is not kept either.
static pqdb_code name_released(struct pq_iceberg_publish *publish) {
    const int64_t *removed = publish->change.removed_files;
    const size_t most = (size_t)(removed[0] + removed[1]);
    if (publish->expiry.oldest_kept != NULL) return PQDB_OK;
    struct pq_text *names = pq_arena_calloc(publish->arena, most, sizeof *names);
    if (names == NULL) return no_memory(publish);
    size_t count = 0;
    for (int content = 0; content < 2; content++) {
        const struct pq_iceberg_entries *entries = &publish->entries[content];
        for (size_t i = 0; i < entries->count; i++) {
            if (pq_iceberg_is_live(&entries->items[i])) continue;
            names[count] = pq_arena_copy(publish->arena, entries->items[i].file.path);
            if (names[count++].data == NULL) return no_memory(publish);
        }
    }
    publish->outcome.released = names;
    publish->outcome.released_count = count;
    return PQDB_OK;
}

pqdb_code pq_iceberg_begin_metadata(struct pq_iceberg_publish *publish) {
    const struct pq_iceberg_commit *commit = publish->commit;
    const struct pq_iceberg_metadata *old = &publish->table->metadata;
    struct pq_iceberg_metadata *metadata = &publish->metadata;
    int32_t highest_id = 0;
    PQ_TRY(pq_iceberg_check_ids(commit->schema, &publish->scratch, &highest_id, publish->err));
    *metadata = *old;
    metadata->format_version = 2;
    metadata->location = commit->location;
    metadata->key_field_id = commit->key_field_id;
    if (highest_id > old->last_column_id) metadata->last_column_id = highest_id;
    if (old->uuid.data == NULL) PQ_TRY(make_uuid(publish, &metadata->uuid));
    metadata->last_sequence_number = old->last_sequence_number + 1;
    // Readers insist on clocks that do not go back.
    const int64_t time_ms = commit->time_us / 1000;
    metadata->last_updated_ms = time_ms > old->last_updated_ms ? time_ms : old->last_updated_ms;
    PQ_TRY(choose_schema(publish));
    publish->snapshot = (struct pq_iceberg_snapshot){
        .id = make_snapshot_id(publish->table),
        .parent_id = old->current_snapshot_id,
        .sequence_number = metadata->last_sequence_number,
        .time_ms = metadata->last_updated_ms,
    };
    publish->table->env->random(publish->table->env->ctx, publish->sync, sizeof publish->sync);
    publish->target = (struct pq_iceberg_target){
        .location = commit->location,
        .snapshot_id = publish->snapshot.id,
        .parent_snapshot_id = publish->snapshot.parent_id,
        .sequence_number = publish->snapshot.sequence_number,
        .schema = publish->schema.json,
        .schema_id = publish->schema.id,
        .sync = publish->sync,
    };
    return PQDB_OK;
}

pqdb_code pq_iceberg_finish_metadata(struct pq_iceberg_publish *publish) {
    const int64_t *removed = publish->change.removed_bytes;
    publish->snapshot.removed_bytes =
        removed[PQ_ICEBERG_DATA] + removed[PQ_ICEBERG_POSITION_DELETES];
    publish->bytes.length = 0;
    PQ_TRY(pq_iceberg_snapshot_write(&publish->snapshot, publish->schema.id, publish->commit,
                                     &publish->change, &publish->bytes, publish->err));
    PQ_TRY(take_bytes(publish, &publish->snapshot.json));
    PQ_TRY(set_properties(publish));
    PQ_TRY(set_snapshots(publish));
    PQ_TRY(set_snapshot_log(publish));
    PQ_TRY(set_metadata_log(publish));
    return name_released(publish);
}

// ---- without a new snapshot ---------------------------------------------------------------------

/// The snapshot log of what is kept.
static pqdb_code keep_snapshot_log(struct pq_iceberg_publish *publish) {
    const struct pq_iceberg_metadata *old = &publish->table->metadata;
    struct pq_iceberg_metadata *metadata = &publish->metadata;
    struct pq_iceberg_log_entry *log =
        pq_arena_calloc(&publish->scratch, old->snapshot_log_count + 1, sizeof *log);
    if (log == NULL) return no_memory(publish);
    metadata->snapshot_log_count = 0;
    for (size_t i = 0; i < old->snapshot_log_count; i++) {
        if (pq_iceberg_find_snapshot(metadata, old->snapshot_log[i].snapshot_id) == NULL) continue;
        log[metadata->snapshot_log_count++] = old->snapshot_log[i];
    }
    metadata->snapshot_log = log;
    return PQDB_OK;
}

pqdb_code pq_iceberg_drop_snapshots(struct pq_iceberg_publish *publish, int64_t keep_ms) {
    const struct pq_iceberg_metadata *old = &publish->table->metadata;
    const struct pq_iceberg_snapshot **row =
        pq_arena_calloc(&publish->scratch, old->snapshot_count + 1, sizeof(void *));
    struct pq_iceberg_snapshot *snapshots =
        pq_arena_calloc(&publish->scratch, old->snapshot_count + 1, sizeof *snapshots);
    if (row == NULL || snapshots == NULL) return no_memory(publish);
    size_t count = 0, kept = 0;
    for (const struct pq_iceberg_snapshot *at = pq_iceberg_current(old);
         at != NULL && count < old->snapshot_count; count++) {
        row[count] = at;
        kept += kept == count && (count == 0 || at->time_ms >= keep_ms);
        at = pq_iceberg_find_snapshot(old, at->parent_id);
    }
    publish->expiry = (struct pq_iceberg_expiry){
        .expired = row + kept, .expired_count = count - kept,
        .oldest_kept = kept == 0 ? NULL : row[kept - 1]};
    if (count == kept) return PQDB_OK;
    for (size_t i = 0; i < kept; i++) snapshots[i] = *row[kept - 1 - i];
    publish->metadata = *old;
    publish->metadata.snapshots = snapshots;
    publish->metadata.snapshot_count = kept;
    PQ_TRY(keep_snapshot_log(publish));
    return set_metadata_log(publish);
}
