/// Fuzz: any bytes as the first segment of a log. Mutations would all die at the checksums, so the
/// checks of the header and of the frames are made right first, as far as lengths allow; then
/// opening, replaying and appending must end in an answer.
#include "base/hash.h"
#include "changelog/log.h"
#include "support/log_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { header_bytes = 64, input_max = 1 << 20 };

/// Give header and frames the checks, and the frames the nonce and the chain, that they need.
static void seal(uint8_t *bytes, size_t size) {
    if (size < header_bytes) return;
    pq_store_u64(bytes, pq_hash(bytes + 8, header_bytes - 8));
    uint64_t previous = pq_load_u64(bytes + 48);
    for (size_t at = header_bytes; at + header_bytes <= size;) {
        const size_t length = pq_load_u32(bytes + at + 60);
        if (length < header_bytes || length % 8 != 0 || length > size - at) return;
        pq_store_u64(bytes + at + 24, pq_load_u64(bytes + 24));
        pq_store_u64(bytes + at + 32, previous);
        previous = pq_hash(bytes + at + 8, length - 8);
        pq_store_u64(bytes + at, previous);
        at += length;
    }
}

static pqdb_code visit(void *ctx, const struct pq_log_record *record, pqdb_error *err) {
    (void)ctx;
    (void)err;
    for (size_t i = 0; i < record->rows_count; i++) {
        const struct pq_batch *batch = &record->rows[i].batch;
        for (uint32_t k = 0; batch->type != NULL && k < batch->type->field_count; k++) {
            // Texts are not checked for UTF-8 again; all that keeps loops inside memory is.
            if (batch->columns[k].type->kind == PQ_TEXT) continue;
            if (!pq_column_is_sound(&batch->columns[k], NULL)) __builtin_trap();
        }
    }
    return PQDB_OK;
}

static void write_segment(struct pq_store *store, const uint8_t *data, size_t size) {
    struct pq_file *file;
    uint8_t *bytes = pq_resize(&pq_alloc_libc, NULL, 0, size + 1, 1);
    if (bytes == NULL || pq_store_make_directory(store, "log", NULL) != PQDB_OK) __builtin_trap();
    if (size > 0) memcpy(bytes, data, size);
    if (size > 0 && (data[size - 1] & 1) != 0) seal(bytes, size);
    const struct pq_text piece = {(const char *)bytes, size};
    if (pq_file_open(store, "log/000000000001.log", PQ_OPEN_NEW, &file, NULL) != PQDB_OK ||
        pq_file_write(file, 0, &piece, 1, NULL) != PQDB_OK) {
        __builtin_trap();
    }
    pq_file_close(file);
    pq_free(&pq_alloc_libc, bytes, size + 1, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pq_store *store;
    if (size > input_max || pq_store_open_memory(&pq_alloc_libc, &store, NULL) != PQDB_OK) return 0;
    write_segment(store, data, size);
    const struct pq_log_options options = {.store = store,
                                           .directory = "log",
                                           .env = &log_world_env,
                                           .alloc = &pq_alloc_libc,
                                           .segment_bytes = 1 << 16};
    const struct pq_log_visitor visitor = {log_world_schemas, visit, NULL};
    struct pq_log *log;
    pqdb_error err;
    if (pq_log_open(&options, &log, &err) == PQDB_OK) {
        if (pq_log_replay(log, &visitor, &err) == PQDB_OK) {
            const struct pq_log_commit commit = {.kind = PQ_LOG_COMMIT};
            if (pq_log_append(log, &commit, 1, &err) != PQDB_OK) __builtin_trap();
        }
        pq_log_close(log, NULL);
    }
    pq_store_destroy(store);
    return 0;
}
