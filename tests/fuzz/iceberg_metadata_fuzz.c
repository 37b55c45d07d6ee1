/// Any bytes as a table's metadata file: what is accepted can be written and read again.
#include "base/check.h"
#include "table/iceberg/metadata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pq_iceberg_metadata metadata, again;
    struct pq_type schema;
    struct pq_arena arena;
    struct pq_bytes written;
    pqdb_error err;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_bytes_init(&written, &pq_alloc_libc);
    const struct pq_text json = {(const char *)data, size};
    if (pq_iceberg_metadata_parse(json, &arena, &metadata, &err) == PQDB_OK) {
        pq_iceberg_metadata_schema(&metadata, &arena, &schema, &err);
        if (metadata.uuid.data == NULL) metadata.uuid = PQ_TEXT("");
        pq_assert(pq_iceberg_metadata_write(&metadata, &written, &err) == PQDB_OK);
        pq_assert(pq_iceberg_metadata_parse(pq_bytes_text(&written), &arena, &again, &err) ==
                  PQDB_OK);
        pq_assert(again.snapshot_count == metadata.snapshot_count);
        pq_assert(again.property_count == metadata.property_count);
        pq_assert(again.current_snapshot_id == metadata.current_snapshot_id);
    }
    pq_bytes_deinit(&written);
    pq_arena_deinit(&arena);
    return 0;
}
