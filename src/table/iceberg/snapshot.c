/// The snapshot's entry in the metadata, with the counters of its summary.
#include <inttypes.h>

#include "base/fail.h"
#include "base/hash.h"
#include "base/json.h"
#include "table/iceberg/iceberg_internal.h"
#include "table/iceberg/schema_json.h"

static const char *operation_name(const struct pq_iceberg_commit *commit,
                                  const struct pq_iceberg_change *change) {
    if (commit->operation == PQ_ICEBERG_REPLACE) return "replace";
    if (commit->operation == PQ_ICEBERG_OVERWRITE) return "overwrite";
    const bool adds_rows = change->added_files[PQ_ICEBERG_DATA] > 0;
    const bool takes_rows = change->removed_files[PQ_ICEBERG_DATA] > 0 ||
                            change->added_files[PQ_ICEBERG_POSITION_DELETES] > 0 ||
                            change->removed_files[PQ_ICEBERG_POSITION_DELETES] > 0;
    if (!takes_rows) return "append";
    return adds_rows ? "overwrite" : "delete";
}

static pqdb_code write_pair(struct pq_bytes *out, struct pq_text key, struct pq_text value,
                            pqdb_error *err) {
    PQ_TRY(pq_bytes_append_byte(out, ',', err));
    PQ_TRY(pq_json_write_text(out, key, err));
    PQ_TRY(pq_bytes_append_byte(out, ':', err));
    return pq_json_write_text(out, value, err);
}

struct counter {
    const char *name;
    int64_t value;
    bool is_total;  // written even when it is 0
};

static pqdb_code write_counters(const struct pq_iceberg_change *change, struct pq_bytes *out,
                                pqdb_error *err) {
    enum { DATA = PQ_ICEBERG_DATA, DELETES = PQ_ICEBERG_POSITION_DELETES };
    const bool is_changed = change->added_files[DATA] + change->added_files[DELETES] +
                                change->removed_files[DATA] + change->removed_files[DELETES] > 0;
    const struct counter counters[] = {
        {"added-data-files", change->added_files[DATA], false},
        {"added-records", change->added_rows[DATA], false},
        {"added-files-size", change->added_bytes[DATA] + change->added_bytes[DELETES], false},
        {"added-delete-files", change->added_files[DELETES], false},
        {"added-position-delete-files", change->added_files[DELETES], false},
        {"added-position-deletes", change->added_rows[DELETES], false},
        {"deleted-data-files", change->removed_files[DATA], false},
        {"deleted-records", change->removed_rows[DATA], false},
        {"removed-files-size", change->removed_bytes[DATA] + change->removed_bytes[DELETES],
         false},
        {"removed-delete-files", change->removed_files[DELETES], false},
        {"removed-position-delete-files", change->removed_files[DELETES], false},
        {"removed-position-deletes", change->removed_rows[DELETES], false},
        {"changed-partition-count", is_changed, true},
        {"total-data-files", change->total_files[DATA], true},
        {"total-records", change->total_rows[DATA], true},
        {"total-files-size", change->total_bytes[DATA] + change->total_bytes[DELETES], true},
        {"total-delete-files", change->total_files[DELETES], true},
        {"total-position-deletes", change->total_rows[DELETES], true},
        {"total-equality-deletes", 0, true},
    };
    for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
        if (counters[i].value == 0 && !counters[i].is_total) continue;
        PQ_TRY(pq_bytes_printf(out, err, ",\"%s\":\"%" PRId64 "\"", counters[i].name,
                               counters[i].value));
    }
    return PQDB_OK;
}

static pqdb_code write_summary(const struct pq_iceberg_commit *commit,
                               const struct pq_iceberg_change *change, struct pq_bytes *out,
                               pqdb_error *err) {
    PQ_TRY(pq_bytes_printf(out, err, "{\"operation\":\"%s\"", operation_name(commit, change)));
    PQ_TRY(write_counters(change, out, err));
    PQ_TRY(pq_bytes_printf(out, err, ",\"engine-name\":\"parquedb\",\"" PQ_ICEBERG_VERSION_KEY
                           "\":\"%" PRIu64 "\",\"" PQ_ICEBERG_FINGERPRINT_KEY
                           "\":\"%016" PRIx64 "\"",
                           commit->version, pq_iceberg_fingerprint(commit)));
    for (size_t i = 0; i < commit->summary_count; i++) {
        PQ_TRY(write_pair(out, commit->summary[i].key, commit->summary[i].value, err));
    }
    return pq_bytes_append_byte(out, '}', err);
}

pqdb_code pq_iceberg_snapshot_write(const struct pq_iceberg_snapshot *snapshot, int32_t schema_id,
                                    const struct pq_iceberg_commit *commit,
                                    const struct pq_iceberg_change *change, struct pq_bytes *out,
                                    pqdb_error *err) {
    PQ_TRY(pq_bytes_printf(out, err, "{\"snapshot-id\":%" PRId64, snapshot->id));
    if (snapshot->parent_id != PQ_ICEBERG_NO_SNAPSHOT) {
        PQ_TRY(pq_bytes_printf(out, err, ",\"parent-snapshot-id\":%" PRId64,
                               snapshot->parent_id));
    }
    PQ_TRY(pq_bytes_printf(out, err,
                           ",\"sequence-number\":%" PRId64 ",\"timestamp-ms\":%" PRId64
                           ",\"schema-id\":%" PRId32 ",\"manifest-list\":",
                           snapshot->sequence_number, snapshot->time_ms, schema_id));
    PQ_TRY(pq_json_write_text(out, snapshot->manifest_list, err));
    PQ_TRY(pq_bytes_append_text(out, PQ_TEXT(",\"summary\":"), err));
    PQ_TRY(write_summary(commit, change, out, err));
    return pq_bytes_append_byte(out, '}', err);
}

static uint64_t hash_text(uint64_t hash, struct pq_text text) {
    return pq_hash_word(hash ^ pq_hash(text.data, text.length)) + text.length;
}

static uint64_t hash_type(uint64_t hash, const struct pq_type *type) {
    hash = pq_hash_word(hash + (uint64_t)type->kind * 65536 + type->precision * 256u + type->scale);
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct pq_field *field = &type->fields[i];
        hash = hash_text(hash, field->name);
        hash = pq_hash_word(hash + (uint64_t)(uint32_t)field->id * 2 + field->required);
        hash = hash_type(hash, &field->type);
    }
    return hash;
}

uint64_t pq_iceberg_fingerprint(const struct pq_iceberg_commit *commit) {
    uint64_t hash = hash_text(commit->version, commit->location);
    hash = pq_hash_word(hash + (uint64_t)(uint32_t)commit->key_field_id);
    hash = hash_type(hash, commit->schema);
    for (size_t i = 0; i < commit->property_count; i++) {
        hash = hash_text(hash, commit->properties[i].key);
        hash = hash_text(hash, commit->properties[i].value);
    }
    // A sum: the order of files means nothing.
    uint64_t files = 0;
    for (size_t i = 0; i < commit->file_count; i++) {
        const struct pq_text path = commit->files[i].path;
        files += pq_hash_word(pq_hash(path.data, path.length));
    }
    return pq_hash_word(hash + files) + commit->file_count;
}
