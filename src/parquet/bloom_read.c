/// Bloom filters of an open file: loaded when first asked, then kept.
#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"
#include "parquet/bloom.h"
#include "parquet/file_reader_internal.h"

enum { header_bytes = 64 };

void pq_loaded_bloom_destroy(struct pq_loaded_bloom *bloom, const struct pq_alloc *alloc) {
    if (bloom == NULL) return;
    pq_bytes_deinit(&bloom->bytes);
    pq_free(alloc, bloom, 1, sizeof *bloom);
}

/// How many bytes header and bitset take. Old writers do not say: then the header is read.
static pqdb_code stored_bytes(const struct pq_parquet_file *file,
                              const struct pq_meta_column *column, uint64_t left,
                              struct pq_loaded_bloom *bloom, uint64_t *bytes, pqdb_error *err) {
    *bytes = (uint64_t)column->bloom_bytes;
    if (PQ_THRIFT_HAS(column, PQ_COLUMN_BLOOM_BYTES)) return PQDB_OK;
    *bytes = left < header_bytes ? left : header_bytes;
    PQ_TRY(pq_bytes_reserve(&bloom->bytes, header_bytes, err));
    PQ_TRY(file->source.read(file->source.ctx, (uint64_t)column->bloom_offset, bloom->bytes.data,
                             (size_t)*bytes, err));
    struct pq_arena arena;
    pq_arena_init(&arena, file->alloc);
    struct pq_cursor cursor = pq_cursor_of(bloom->bytes.data, (size_t)*bytes);
    struct pq_meta_bloom header;
    const pqdb_code code =
        pq_thrift_decode(&pq_meta_bloom_table, &cursor, &arena, &header, NULL);
    *bytes = code == PQDB_OK && header.bytes > 0
                 ? (uint64_t)(cursor.at - bloom->bytes.data) + (uint64_t)header.bytes
                 : 0;
    pq_arena_deinit(&arena);
    return code == PQDB_NO_MEMORY ? pq_parquet_no_memory(err, "a bloom filter") : PQDB_OK;
}

static pqdb_code load_into(const struct pq_parquet_file *file, const struct pq_meta_chunk *chunk,
                           struct pq_loaded_bloom *bloom, pqdb_error *err) {
    const struct pq_meta_column *column = &chunk->column;
    const uint64_t offset = (uint64_t)column->bloom_offset;
    if (column->bloom_offset < 4 || offset >= file->file_bytes) return PQDB_OK;
    const uint64_t left = file->file_bytes - offset;
    uint64_t bytes;
    PQ_TRY(stored_bytes(file, column, left, bloom, &bytes, err));
    if (bytes == 0 || bytes > left || bytes > PQ_BLOOM_BYTES_MAX + header_bytes) return PQDB_OK;
    PQ_TRY(pq_bytes_reserve(&bloom->bytes, (size_t)bytes, err));
    PQ_TRY(file->source.read(file->source.ctx, offset, bloom->bytes.data, (size_t)bytes, err));
    bloom->bytes.length = (size_t)bytes;
    if (!pq_chunk_matches(file, chunk, PQ_CHECKS_BLOOM, pq_bytes_text(&bloom->bytes))) {
        pq_fail(err, PQDB_CORRUPT, "the checksum of a bloom filter is wrong");
        return pq_parquet_at(PQDB_CORRUPT, err, (int64_t)offset, NULL);
    }
    struct pq_arena arena;
    pq_arena_init(&arena, file->alloc);
    if (!pq_bloom_open(pq_bytes_text(&bloom->bytes), &arena, &bloom->bitset)) {
        bloom->bitset = (struct pq_text){0};
    }
    pq_arena_deinit(&arena);
    return PQDB_OK;
}

/// Whoever loads it first publishes it; a second loader throws its own away.
static pqdb_code get_bloom(const struct pq_parquet_file *file, size_t group, size_t leaf,
                           const struct pq_loaded_bloom **out, pqdb_error *err) {
    _Atomic(struct pq_loaded_bloom *) *place =
        &file->blooms[group * file->schema.leaf_count + leaf];
    *out = atomic_load_explicit(place, memory_order_acquire);
    if (*out != NULL) return PQDB_OK;
    struct pq_loaded_bloom *made = pq_resize(file->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_parquet_no_memory(err, "a bloom filter");
    *made = (struct pq_loaded_bloom){0};
    pq_bytes_init(&made->bytes, file->alloc);
    const pqdb_code code = load_into(file, pq_file_chunk(file, group, leaf), made, err);
    if (code != PQDB_OK) {
        pq_loaded_bloom_destroy(made, file->alloc);
        return code;
    }
    struct pq_loaded_bloom *other = NULL;
    if (!atomic_compare_exchange_strong_explicit(place, &other, made, memory_order_acq_rel,
                                                 memory_order_acquire)) {
        pq_loaded_bloom_destroy(made, file->alloc);
        made = other;
    }
    *out = made;
    return PQDB_OK;
}

bool pq_plain_of_value(const struct pq_leaf *leaf, const struct pq_value *value, uint8_t room[8],
                       struct pq_text *plain) {
    if (value->kind != leaf->kind) return false;
    const bool is_text = value->kind == PQ_TEXT || value->kind == PQ_BINARY;
    const bool is_integer = value->kind == PQ_INT64 || value->kind == PQ_DATE ||
                            value->kind == PQ_TIME || value->kind == PQ_TIMESTAMP;
    if (is_text && leaf->physical == PQ_PHYSICAL_BYTE_ARRAY &&
        leaf->conversion == PQ_CONVERT_NONE) {
        *plain = value->as.text;
        return true;
    }
    if (!is_integer) return false;
    pq_store_u64(room, (uint64_t)value->as.integer);
    const bool is_wide =
        leaf->physical == PQ_PHYSICAL_INT64 && leaf->conversion == PQ_CONVERT_NONE;
    const bool is_narrow =
        leaf->physical == PQ_PHYSICAL_INT32 &&
        (leaf->conversion == PQ_CONVERT_INT32 || leaf->conversion == PQ_CONVERT_NONE) &&
        value->as.integer == (int32_t)value->as.integer;
    *plain = (struct pq_text){(const char *)room, is_wide ? 8 : 4};
    return is_wide || is_narrow;
}

pqdb_code pq_parquet_may_hold(const struct pq_parquet_file *file, size_t group, size_t leaf,
                              const struct pq_value *value, bool *may_hold, pqdb_error *err) {
    pq_assert(group < file->meta.group_count && leaf < file->schema.leaf_count);
    const struct pq_meta_column *column = &pq_file_chunk(file, group, leaf)->column;
    uint8_t room[8];
    struct pq_text plain;
    if (!PQ_THRIFT_HAS(column, PQ_COLUMN_BLOOM_OFFSET) ||
        !pq_plain_of_value(&file->schema.leaves[leaf], value, room, &plain)) {
        *may_hold = true;
        return PQDB_OK;
    }
    const struct pq_loaded_bloom *bloom = NULL;
    PQ_TRY(get_bloom(file, group, leaf, &bloom, err));
    *may_hold = bloom->bitset.length == 0 ||
                pq_bloom_has(bloom->bitset, pq_hash_xxh64(plain.data, plain.length));
    return PQDB_OK;
}
