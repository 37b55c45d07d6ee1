/// Any bytes as an Avro file: as bare values, as a manifest list, as a manifest.
#include "base/check.h"
#include "table/iceberg/avro.h"
#include "table/iceberg/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t count_values(const struct pq_avro_value *value) {
    size_t count = 1;
    switch (value->kind) {
        case PQ_AVRO_ARRAY:
        case PQ_AVRO_MAP:
        case PQ_AVRO_RECORD:
            for (size_t i = 0; i < value->count; i++) count += count_values(&value->as.items[i]);
            return count;
        case PQ_AVRO_BYTES:
        case PQ_AVRO_STRING:
        case PQ_AVRO_FIXED: return count + pq_text_is_utf8(value->as.bytes);
        default: return count;
    }
}

static void read_values(struct pq_text file) {
    struct pq_avro_reader *reader = NULL;
    const struct pq_avro_value *record = NULL;
    pqdb_error err;
    if (pq_avro_open(file, &pq_alloc_libc, &reader, &err) != PQDB_OK) return;
    while (pq_avro_next(reader, &record, &err) == PQDB_OK && record != NULL) {
        pq_assert(count_values(record) > 0);
    }
    pq_avro_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct pq_text file = {(const char *)data, size};
    const struct pq_text location = PQ_TEXT("file:///srv/db/Orders");
    struct pq_arena arena;
    pqdb_error err;
    read_values(file);
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_iceberg_list list;
    if (pq_iceberg_list_read(file, location, &arena, &list, &err) == PQDB_OK) {
        for (size_t i = 0; i < list.count; i++) pq_assert(list.items[i].path.length > 0);
    }
    const struct pq_iceberg_manifest line = {.sequence_number = 7, .added_snapshot_id = 8};
    struct pq_iceberg_entries entries;
    if (pq_iceberg_manifest_read(file, &line, location, &arena, &entries, &err) == PQDB_OK) {
        for (size_t i = 0; i < entries.count; i++) {
            pq_assert(entries.items[i].file.path.length > 0);
            pq_assert(entries.items[i].file.row_count >= 0);
        }
    }
    pq_arena_deinit(&arena);
    return 0;
}
