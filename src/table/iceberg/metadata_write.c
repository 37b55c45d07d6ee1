#include <inttypes.h>

#include "base/fail.h"
#include "base/json.h"
#include "table/iceberg/metadata.h"
#include "table/iceberg/seal.h"

static pqdb_code write_key(struct pq_bytes *out, const char *key, pqdb_error *err) {
    const bool is_first = out->length > 0 && out->data[out->length - 1] == '{';
    return pq_bytes_printf(out, err, "%s\"%s\":", is_first ? "" : ",", key);
}

static pqdb_code write_int(struct pq_bytes *out, const char *key, int64_t value, pqdb_error *err) {
    PQ_TRY(write_key(out, key, err));
    return pq_bytes_printf(out, err, "%" PRId64, value);
}

static pqdb_code write_text(struct pq_bytes *out, const char *key, struct pq_text value,
                            pqdb_error *err) {
    PQ_TRY(write_key(out, key, err));
    return pq_json_write_text(out, value, err);
}

static pqdb_code write_raw(struct pq_bytes *out, const char *key, struct pq_text json,
                           pqdb_error *err) {
    PQ_TRY(write_key(out, key, err));
    return pq_bytes_append_text(out, json, err);
}

static pqdb_code write_properties(const struct pq_iceberg_metadata *metadata, struct pq_bytes *out,
                                  pqdb_error *err) {
    PQ_TRY(write_raw(out, "properties", PQ_TEXT("{"), err));
    for (size_t i = 0; i < metadata->property_count; i++) {
        if (i > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_json_write_text(out, metadata->properties[i].key, err));
        PQ_TRY(pq_bytes_append_byte(out, ':', err));
        PQ_TRY(pq_json_write_text(out, metadata->properties[i].value, err));
    }
    return pq_bytes_append_byte(out, '}', err);
}

static pqdb_code write_schemas(const struct pq_iceberg_metadata *metadata, struct pq_bytes *out,
                               pqdb_error *err) {
    PQ_TRY(write_raw(out, "schemas", PQ_TEXT("["), err));
    for (size_t i = 0; i < metadata->schema_count; i++) {
        if (i > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_bytes_append_text(out, metadata->schemas[i].json, err));
    }
    return pq_bytes_append_byte(out, ']', err);
}

static pqdb_code write_orders(const struct pq_iceberg_metadata *metadata, struct pq_bytes *out,
                              pqdb_error *err) {
    const bool sorted = metadata->key_field_id != 0;
    PQ_TRY(write_int(out, "default-sort-order-id", sorted ? PQ_ICEBERG_SORT_BY_KEY : 0, err));
    PQ_TRY(write_raw(out, "sort-orders", PQ_TEXT("[{\"order-id\":0,\"fields\":[]}"), err));
    if (sorted) {
        PQ_TRY(pq_bytes_printf(out, err, ",{\"order-id\":%d,\"fields\":[{\"transform\":"
                               "\"identity\",\"source-id\":%" PRId32 ",\"direction\":\"asc\","
                               "\"null-order\":\"nulls-first\"}]}",
                               PQ_ICEBERG_SORT_BY_KEY, metadata->key_field_id));
    }
    return pq_bytes_append_byte(out, ']', err);
}

static pqdb_code write_snapshots(const struct pq_iceberg_metadata *metadata, struct pq_bytes *out,
                                 pqdb_error *err) {
    PQ_TRY(write_int(out, "current-snapshot-id", metadata->current_snapshot_id, err));
    PQ_TRY(write_raw(out, "refs", PQ_TEXT("{"), err));
    if (metadata->current_snapshot_id != PQ_ICEBERG_NO_SNAPSHOT) {
        PQ_TRY(pq_bytes_printf(out, err, "\"main\":{\"snapshot-id\":%" PRId64
                               ",\"type\":\"branch\"}", metadata->current_snapshot_id));
    }
    PQ_TRY(pq_bytes_append_byte(out, '}', err));
    PQ_TRY(write_raw(out, "snapshots", PQ_TEXT("["), err));
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        if (i > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_bytes_append_text(out, metadata->snapshots[i].json, err));
    }
    return pq_bytes_append_byte(out, ']', err);
}

static pqdb_code write_logs(const struct pq_iceberg_metadata *metadata, struct pq_bytes *out,
                            pqdb_error *err) {
    PQ_TRY(write_raw(out, "snapshot-log", PQ_TEXT("["), err));
    for (size_t i = 0; i < metadata->snapshot_log_count; i++) {
        const struct pq_iceberg_log_entry *entry = &metadata->snapshot_log[i];
        PQ_TRY(pq_bytes_printf(out, err, "%s{\"timestamp-ms\":%" PRId64 ",\"snapshot-id\":%" PRId64
                               "}", i > 0 ? "," : "", entry->time_ms, entry->snapshot_id));
    }
    PQ_TRY(pq_bytes_append_byte(out, ']', err));
    PQ_TRY(write_raw(out, "metadata-log", PQ_TEXT("["), err));
    for (size_t i = 0; i < metadata->metadata_log_count; i++) {
        const struct pq_iceberg_log_entry *entry = &metadata->metadata_log[i];
        PQ_TRY(pq_bytes_printf(out, err, "%s{\"timestamp-ms\":%" PRId64 ",\"metadata-file\":",
                               i > 0 ? "," : "", entry->time_ms));
        PQ_TRY(pq_json_write_text(out, entry->metadata_file, err));
        PQ_TRY(pq_bytes_append_byte(out, '}', err));
    }
    return pq_bytes_append_byte(out, ']', err);
}

pqdb_code pq_iceberg_metadata_write(const struct pq_iceberg_metadata *metadata,
                                    struct pq_bytes *out, pqdb_error *err) {
    const size_t start = out->length;
    PQ_TRY(pq_bytes_append_byte(out, '{', err));
    PQ_TRY(write_int(out, "format-version", 2, err));
    PQ_TRY(write_text(out, PQ_SEAL_KEY, PQ_TEXT(PQ_SEAL_DIGITS), err));
    PQ_TRY(write_text(out, "table-uuid", metadata->uuid, err));
    PQ_TRY(write_text(out, "location", metadata->location, err));
    PQ_TRY(write_int(out, "last-sequence-number", metadata->last_sequence_number, err));
    PQ_TRY(write_int(out, "last-updated-ms", metadata->last_updated_ms, err));
    PQ_TRY(write_int(out, "last-column-id", metadata->last_column_id, err));
    PQ_TRY(write_int(out, "current-schema-id", metadata->current_schema_id, err));
    PQ_TRY(write_schemas(metadata, out, err));
    // 999: no partition field was ever given an id.
    PQ_TRY(write_raw(out, "default-spec-id", PQ_TEXT("0"), err));
    PQ_TRY(write_raw(out, "partition-specs", PQ_TEXT("[{\"spec-id\":0,\"fields\":[]}]"), err));
    PQ_TRY(write_raw(out, "last-partition-id", PQ_TEXT("999"), err));
    PQ_TRY(write_orders(metadata, out, err));
    PQ_TRY(write_properties(metadata, out, err));
    PQ_TRY(write_snapshots(metadata, out, err));
    PQ_TRY(write_logs(metadata, out, err));
    PQ_TRY(pq_bytes_append_byte(out, '}', err));
    pq_seal(out, start);
    return PQDB_OK;
}
