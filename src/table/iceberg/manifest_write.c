#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/fail.h"
#include "table/iceberg/avro.h"
#include "table/iceberg/manifest.h"

// The Avro schemas, as Iceberg's own writers have them. Readers find fields by id.

#define FIELD(name, id, type) "{\"name\":\"" name "\",\"type\":" type ",\"field-id\":" #id "}"
#define OPTIONAL(name, id, type) \
    "{\"name\":\"" name "\",\"type\":[\"null\"," type "],\"default\":null,\"field-id\":" #id "}"
#define ID_MAP(key_id, value_id, type)                                                       \
    "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\",\"name\":"   \
    "\"k" #key_id "_v" #value_id "\",\"fields\":[" FIELD("key", key_id, "\"int\"") "," FIELD( \
        "value", value_id, type) "]}}"
#define ID_LIST(id, type) \
    "{\"type\":\"array\",\"items\":" type ",\"element-id\":" #id "}"

static const char manifest_schema[] =
    "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":["
    FIELD("status", 0, "\"int\"") ","
    OPTIONAL("snapshot_id", 1, "\"long\"") ","
    OPTIONAL("sequence_number", 3, "\"long\"") ","
    OPTIONAL("file_sequence_number", 4, "\"long\"") ","
    "{\"name\":\"data_file\",\"type\":"
    "{\"type\":\"record\",\"name\":\"r2\",\"fields\":["
    FIELD("content", 134, "\"int\"") ","
    FIELD("file_path", 100, "\"string\"") ","
    FIELD("file_format", 101, "\"string\"") ","
    FIELD("partition", 102, "{\"type\":\"record\",\"name\":\"r102\",\"fields\":[]}") ","
    FIELD("record_count", 103, "\"long\"") ","
    FIELD("file_size_in_bytes", 104, "\"long\"") ","
    OPTIONAL("column_sizes", 108, ID_MAP(117, 118, "\"long\"")) ","
    OPTIONAL("value_counts", 109, ID_MAP(119, 120, "\"long\"")) ","
    OPTIONAL("null_value_counts", 110, ID_MAP(121, 122, "\"long\"")) ","
    OPTIONAL("nan_value_counts", 137, ID_MAP(138, 139, "\"long\"")) ","
    OPTIONAL("lower_bounds", 125, ID_MAP(126, 127, "\"bytes\"")) ","
    OPTIONAL("upper_bounds", 128, ID_MAP(129, 130, "\"bytes\"")) ","
    OPTIONAL("split_offsets", 132, ID_LIST(133, "\"long\"")) ","
    OPTIONAL("equality_ids", 135, ID_LIST(136, "\"int\"")) ","
    OPTIONAL("sort_order_id", 140, "\"int\"") "]}"
    ",\"field-id\":2}]}";

static const char list_schema[] =
    "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":["
    FIELD("manifest_path", 500, "\"string\"") ","
    FIELD("manifest_length", 501, "\"long\"") ","
    FIELD("partition_spec_id", 502, "\"int\"") ","
    FIELD("content", 517, "\"int\"") ","
    FIELD("sequence_number", 515, "\"long\"") ","
    FIELD("min_sequence_number", 516, "\"long\"") ","
    FIELD("added_snapshot_id", 503, "\"long\"") ","
    FIELD("added_files_count", 504, "\"int\"") ","
    FIELD("existing_files_count", 505, "\"int\"") ","
    FIELD("deleted_files_count", 506, "\"int\"") ","
    FIELD("added_rows_count", 512, "\"long\"") ","
    FIELD("existing_rows_count", 513, "\"long\"") ","
    FIELD("deleted_rows_count", 514, "\"long\"") ","
    OPTIONAL("partitions", 507, ID_LIST(508,
        "{\"type\":\"record\",\"name\":\"r508\",\"fields\":["
        FIELD("contains_null", 509, "\"boolean\"") ","
        OPTIONAL("contains_nan", 518, "\"boolean\"") ","
        OPTIONAL("lower_bound", 510, "\"bytes\"") ","
        OPTIONAL("upper_bound", 511, "\"bytes\"") "]}")) ","
    OPTIONAL("key_metadata", 519, "\"bytes\"") "]}";

enum branch { BRANCH_NULL, BRANCH_VALUE };  // of every OPTIONAL

/// What lies below the table gets its location in front.
static pqdb_code put_path(struct pq_bytes *out, struct pq_text location, struct pq_text path,
                          pqdb_error *err) {
    const bool is_absolute =
        path.length > 0 && (path.data[0] == '/' || memmem(path.data, path.length, ":/", 2));
    if (is_absolute) return pq_avro_put_bytes(out, path, err);
    PQ_TRY(pq_avro_put_long(out, (int64_t)(location.length + 1 + path.length), err));
    PQ_TRY(pq_bytes_append_text(out, location, err));
    PQ_TRY(pq_bytes_append_byte(out, '/', err));
    return pq_bytes_append_text(out, path, err);
}

static pqdb_code put_optional_long(struct pq_bytes *out, bool is_known, int64_t value,
                                   pqdb_error *err) {
    PQ_TRY(pq_avro_put_long(out, is_known ? BRANCH_VALUE : BRANCH_NULL, err));
    return is_known ? pq_avro_put_long(out, value, err) : PQDB_OK;
}

enum metric { BYTES, VALUES, NULLS, NANS, LOWER, UPPER, METRICS };

static int64_t count_of(const struct pq_iceberg_column *column, enum metric metric) {
    switch (metric) {
        case BYTES: return column->bytes;
        case VALUES: return column->value_count;
        case NULLS: return column->null_count;
        case NANS: return column->nan_count;
        default: return -1;
    }
}

static bool has_metric(const struct pq_iceberg_column *column, enum metric metric) {
    if (metric == LOWER) return column->lower.data != NULL;
    if (metric == UPPER) return column->upper.data != NULL;
    return count_of(column, metric) >= 0;
}

/// One of the six maps from column id to figure; null when no column has it.
static pqdb_code put_metric(struct pq_bytes *out, const struct pq_iceberg_file *file,
                            enum metric metric, pqdb_error *err) {
    int64_t count = 0;
    for (size_t i = 0; i < file->column_count; i++) count += has_metric(&file->columns[i], metric);
    if (count == 0) return pq_avro_put_long(out, BRANCH_NULL, err);
    PQ_TRY(pq_avro_put_long(out, BRANCH_VALUE, err));
    PQ_TRY(pq_avro_put_long(out, count, err));
    for (size_t i = 0; i < file->column_count; i++) {
        const struct pq_iceberg_column *column = &file->columns[i];
        if (!has_metric(column, metric)) continue;
        PQ_TRY(pq_avro_put_long(out, column->field_id, err));
        if (metric == LOWER) {
            PQ_TRY(pq_avro_put_bytes(out, column->lower, err));
        } else if (metric == UPPER) {
            PQ_TRY(pq_avro_put_bytes(out, column->upper, err));
        } else {
            PQ_TRY(pq_avro_put_long(out, count_of(column, metric), err));
        }
    }
    return pq_avro_put_long(out, 0, err);
}

static pqdb_code put_splits(struct pq_bytes *out, const struct pq_iceberg_file *file,
                            pqdb_error *err) {
    if (file->split_count == 0) return pq_avro_put_long(out, BRANCH_NULL, err);
    PQ_TRY(pq_avro_put_long(out, BRANCH_VALUE, err));
    PQ_TRY(pq_avro_put_long(out, (int64_t)file->split_count, err));
    for (size_t i = 0; i < file->split_count; i++) {
        PQ_TRY(pq_avro_put_long(out, file->split_offsets[i], err));
    }
    return pq_avro_put_long(out, 0, err);
}

static pqdb_code put_file(struct pq_bytes *out, const struct pq_iceberg_file *file,
                          struct pq_text location, pqdb_error *err) {
    PQ_TRY(pq_avro_put_long(out, file->content, err));
    PQ_TRY(put_path(out, location, file->path, err));
    PQ_TRY(pq_avro_put_bytes(out, PQ_TEXT("PARQUET"), err));
    // The partition of an unpartitioned table is a record without fields: no bytes.
    PQ_TRY(pq_avro_put_long(out, file->row_count, err));
    PQ_TRY(pq_avro_put_long(out, file->file_bytes, err));
    for (enum metric metric = BYTES; metric < METRICS; metric++) {
        PQ_TRY(put_metric(out, file, metric, err));
    }
    PQ_TRY(put_splits(out, file, err));
    PQ_TRY(pq_avro_put_long(out, BRANCH_NULL, err));  // equality_ids
    // Position deletes are sorted by path and position by definition, and have no order id.
    const bool has_order = file->content == PQ_ICEBERG_DATA;
    return put_optional_long(out, has_order, file->is_sorted ? 1 : 0, err);
}

static pqdb_code put_entry(struct pq_bytes *out, const struct pq_iceberg_entry *entry,
                           struct pq_text location, pqdb_error *err) {
    const bool is_added = entry->status == PQ_ICEBERG_ADDED;
    PQ_TRY(pq_avro_put_long(out, entry->status, err));
    PQ_TRY(put_optional_long(out, true, entry->snapshot_id, err));
    PQ_TRY(put_optional_long(out, !is_added, entry->sequence_number, err));
    PQ_TRY(put_optional_long(out, !is_added, entry->file_sequence_number, err));
    return put_file(out, &entry->file, location, err);
}

static void count_entry(const struct pq_iceberg_target *target,
                        const struct pq_iceberg_entry *entry, struct pq_iceberg_manifest *line) {
    line->file_counts[entry->status]++;
    line->row_counts[entry->status] += entry->file.row_count;
    if (!pq_iceberg_is_live(entry)) return;
    const int64_t sequence_number = entry->status == PQ_ICEBERG_ADDED ? target->sequence_number
                                                                      : entry->sequence_number;
    if (sequence_number < line->min_sequence_number) line->min_sequence_number = sequence_number;
}

static pqdb_code write_entries(const struct pq_iceberg_target *target,
                               const struct pq_iceberg_entries *entries,
                               struct pq_avro_writer *writer, struct pq_iceberg_manifest *line,
                               pqdb_error *err) {
    for (size_t i = 0; i < entries->count; i++) {
        PQ_TRY(put_entry(&writer->block, &entries->items[i], target->location, err));
        PQ_TRY(pq_avro_end_record(writer, err));
        count_entry(target, &entries->items[i], line);
    }
    return pq_avro_finish(writer, err);
}

pqdb_code pq_iceberg_manifest_write(const struct pq_iceberg_target *target,
                                    const struct pq_iceberg_entries *entries, struct pq_bytes *out,
                                    struct pq_iceberg_manifest *line, pqdb_error *err) {
    pq_assert(entries->count > 0);
    const enum pq_iceberg_content content = entries->items[0].file.content;
    const size_t start = out->length;
    char schema_id[16];
    snprintf(schema_id, sizeof schema_id, "%" PRId32, target->schema_id);
    const struct pq_avro_entry header[] = {
        {PQ_TEXT("schema"), target->schema},
        {PQ_TEXT("schema-id"), pq_text_of(schema_id)},
        {PQ_TEXT("partition-spec"), PQ_TEXT("[]")},
        {PQ_TEXT("partition-spec-id"), PQ_TEXT("0")},
        {PQ_TEXT("format-version"), PQ_TEXT("2")},
        {PQ_TEXT("content"), content == PQ_ICEBERG_DATA ? PQ_TEXT("data") : PQ_TEXT("deletes")},
    };
    const struct pq_avro_options options = {.schema = pq_text_of(manifest_schema),
                                            .entries = header,
                                            .entry_count = sizeof header / sizeof *header,
                                            .deflate = true,
                                            .sync = target->sync};
    *line = (struct pq_iceberg_manifest){.content = content,
                                         .sequence_number = target->sequence_number,
                                         .min_sequence_number = target->sequence_number,
                                         .added_snapshot_id = target->snapshot_id};
    struct pq_avro_writer writer;
    pqdb_code code = pq_avro_writer_init(&writer, &options, out->alloc, out, err);
    if (code == PQDB_OK) code = write_entries(target, entries, &writer, line, err);
    pq_avro_writer_deinit(&writer);
    line->bytes = (int64_t)(out->length - start);
    return code;
}

static pqdb_code put_line(struct pq_bytes *out, const struct pq_iceberg_manifest *line,
                          struct pq_text location, pqdb_error *err) {
    PQ_TRY(put_path(out, location, line->path, err));
    const int64_t numbers[] = {
        line->bytes,
        line->partition_spec_id,
        line->content,
        line->sequence_number,
        line->min_sequence_number,
        line->added_snapshot_id,
        line->file_counts[PQ_ICEBERG_ADDED],
        line->file_counts[PQ_ICEBERG_EXISTING],
        line->file_counts[PQ_ICEBERG_DELETED],
        line->row_counts[PQ_ICEBERG_ADDED],
        line->row_counts[PQ_ICEBERG_EXISTING],
        line->row_counts[PQ_ICEBERG_DELETED],
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        PQ_TRY(pq_avro_put_long(out, numbers[i], err));
    }
    // Summaries, one for each field of the partition spec: an empty list.
    PQ_TRY(pq_avro_put_long(out, BRANCH_VALUE, err));
    PQ_TRY(pq_avro_put_long(out, 0, err));
    return pq_avro_put_long(out, BRANCH_NULL, err);  // key_metadata
}

static pqdb_code write_lines(const struct pq_iceberg_target *target,
                             const struct pq_iceberg_list *list, struct pq_avro_writer *writer,
                             pqdb_error *err) {
    for (size_t i = 0; i < list->count; i++) {
        PQ_TRY(put_line(&writer->block, &list->items[i], target->location, err));
        PQ_TRY(pq_avro_end_record(writer, err));
    }
    return pq_avro_finish(writer, err);
}

pqdb_code pq_iceberg_list_write(const struct pq_iceberg_target *target,
                                const struct pq_iceberg_list *list, struct pq_bytes *out,
                                pqdb_error *err) {
    char snapshot_id[24], parent_id[24], sequence_number[24];
    snprintf(snapshot_id, sizeof snapshot_id, "%" PRId64, target->snapshot_id);
    snprintf(parent_id, sizeof parent_id, "%" PRId64, target->parent_snapshot_id);
    snprintf(sequence_number, sizeof sequence_number, "%" PRId64, target->sequence_number);
    const struct pq_avro_entry header[] = {
        {PQ_TEXT("snapshot-id"), pq_text_of(snapshot_id)},
        {PQ_TEXT("parent-snapshot-id"),
         target->parent_snapshot_id < 0 ? PQ_TEXT("null") : pq_text_of(parent_id)},
        {PQ_TEXT("sequence-number"), pq_text_of(sequence_number)},
        {PQ_TEXT("format-version"), PQ_TEXT("2")},
    };
    const struct pq_avro_options options = {.schema = pq_text_of(list_schema),
                                            .entries = header,
                                            .entry_count = sizeof header / sizeof *header,
                                            .deflate = true,
                                            .sync = target->sync};
    struct pq_avro_writer writer;
    pqdb_code code = pq_avro_writer_init(&writer, &options, out->alloc, out, err);
    if (code == PQDB_OK) code = write_lines(target, list, &writer, err);
    pq_avro_writer_deinit(&writer);
    return code;
}
