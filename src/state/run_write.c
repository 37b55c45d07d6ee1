/// state/run_write.c: rows in order -> blocks, index, filter, tail.
#include <inttypes.h>

#include "base/check.h"
#include "base/fail.h"
#include "state/run_format.h"

struct pq_run_writer {
    struct pq_run_place place;
    enum pq_trace_kind kind;
    struct pq_bytes block;  // the one being filled, head included
    uint32_t block_rows;
    struct pq_bytes index;
    uint64_t first_hash, last_hash;  // of the block; of the row before
    uint64_t offset;                 // where the block will be
    uint64_t rows, dead, rows_max;
    uint8_t *filter;
    uint64_t filter_lines;
    // WEIGHTS_ADD.
    struct pq_bytes last_key;  // of the row before
    struct pq_bytes hashes;    // u64 each, for the filter
};

int pq_run_compare(const struct pq_run_row *a, const struct pq_run_row *b) {
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    return pq_text_compare(a->key, b->key);
}

pqdb_code pq_run_writer_create(const struct pq_run_place *place, enum pq_trace_kind kind,
                               uint64_t rows_max, struct pq_run_writer **writer, pqdb_error *err) {
    struct pq_run_writer *made = pq_resize(place->alloc, NULL, 0, 1, sizeof *made);
    // How many hashes a multiset has is known at its end.
    const uint64_t lines = kind == PQ_TRACE_WEIGHTS_ADD ? 1 : run_filter_lines(rows_max);
    uint8_t *filter = pq_resize(place->alloc, NULL, 0, lines, RUN_FILTER_LINE);
    if (made == NULL || filter == NULL) {
        pq_free(place->alloc, made, 1, sizeof *made);
        pq_free(place->alloc, filter, lines, RUN_FILTER_LINE);
        return pq_fail(err, PQDB_NO_MEMORY, "run of %" PRIu64 " rows", rows_max);
    }
    memset(filter, 0, lines * RUN_FILTER_LINE);
    *made = (struct pq_run_writer){
        .place = *place, .kind = kind, .rows_max = rows_max, .filter = filter,
        .filter_lines = lines};
    pq_bytes_init(&made->last_key, place->alloc);
    pq_bytes_init(&made->hashes, place->alloc);
    pq_bytes_init(&made->block, place->alloc);
    pq_bytes_init(&made->index, place->alloc);
    *writer = made;
    return PQDB_OK;
}

void pq_run_writer_destroy(struct pq_run_writer *writer) {
    if (writer == NULL) return;
    pq_bytes_deinit(&writer->block);
    pq_bytes_deinit(&writer->index);
    pq_bytes_deinit(&writer->last_key);
    pq_bytes_deinit(&writer->hashes);
    pq_free(writer->place.alloc, writer->filter, writer->filter_lines, RUN_FILTER_LINE);
    pq_free(writer->place.alloc, writer, 1, sizeof *writer);
}

static pqdb_code append(struct pq_run_writer *writer, const void *data, size_t length,
                        pqdb_error *err) {
    PQ_TRY(writer->place.io->append(writer->place.io->ctx, writer->place.id, data, length, err));
    writer->offset += length;
    return PQDB_OK;
}

static pqdb_code flush_block(struct pq_run_writer *writer, pqdb_error *err) {
    if (writer->block_rows == 0) return PQDB_OK;
    struct pq_bytes *block = &writer->block;
    pq_store_u32(block->data + 8, (uint32_t)block->length);
    pq_store_u32(block->data + 12, writer->block_rows);
    pq_store_u64(block->data, pq_hash(block->data + 8, block->length - 8));

    PQ_TRY(pq_bytes_reserve(&writer->index, RUN_INDEX_ENTRY, err));
    uint8_t *entry = writer->index.data + writer->index.length;
    pq_store_u64(entry, writer->first_hash);
    pq_store_u64(entry + 8, writer->offset);
    pq_store_u32(entry + 16, (uint32_t)block->length);
    pq_store_u32(entry + 20, writer->block_rows);
    PQ_TRY(append(writer, block->data, block->length, err));
    writer->index.length += RUN_INDEX_ENTRY;
    block->length = 0;
    writer->block_rows = 0;
    return PQDB_OK;
}

static void add_to_filter(struct pq_run_writer *writer, uint64_t hash) {
    uint8_t *line =
        writer->filter + run_filter_line(hash, writer->filter_lines) * RUN_FILTER_LINE;
    const uint64_t mixed = pq_hash_word(hash);
    for (unsigned probe = 0; probe < RUN_FILTER_PROBES; probe++) {
        const uint32_t bit = run_filter_bit(mixed, probe);
        line[bit / 8] = (uint8_t)(line[bit / 8] | 1u << (bit % 8));
    }
}

static pqdb_code put_row(struct pq_run_writer *writer, const struct pq_run_row *row,
                         size_t payload, pqdb_error *err) {
    struct pq_bytes *block = &writer->block;
    pq_store_u64(block->data + block->length, row->hash);
    block->length += 8;
    PQ_TRY(pq_bytes_append_varint(block, row->key.length, err));
    PQ_TRY(pq_bytes_append_varint(block, (uint64_t)payload << 1 | row->dead, err));
    PQ_TRY(pq_bytes_append(block, row->key.data, row->key.length, err));
    PQ_TRY(pq_bytes_append(block, row->payload.data, payload, err));
    add_to_filter(writer, row->hash);
    return PQDB_OK;
}

static size_t shared_bytes(struct pq_text a, struct pq_text b) {
    const size_t most = a.length < b.length ? a.length : b.length;
    size_t shared = 0;
    while (shared < most && a.data[shared] == b.data[shared]) shared++;
    return shared;
}

static pqdb_code put_weighted(struct pq_run_writer *writer, const struct pq_run_row *row,
                              pqdb_error *err) {
    struct pq_bytes *block = &writer->block;
    const bool same_hash = writer->rows > 0 && writer->last_hash == row->hash;
    size_t shared = 0;
    if (same_hash && writer->block_rows > 0) {
        shared = shared_bytes(pq_bytes_text(&writer->last_key), row->key);
        PQ_TRY(pq_bytes_append_varint(block, shared + 1, err));
    } else {
        PQ_TRY(pq_bytes_append_byte(block, 0, err));
        PQ_TRY(pq_bytes_append(block, &row->hash, sizeof row->hash, err));
    }
    PQ_TRY(pq_bytes_append_varint(block, row->key.length - shared, err));
    PQ_TRY(pq_bytes_append(block, row->key.data + shared, row->key.length - shared, err));
    PQ_TRY(pq_bytes_append_varint(block, pq_zigzag(row->weight), err));
    if (!same_hash) PQ_TRY(pq_bytes_append(&writer->hashes, &row->hash, sizeof row->hash, err));
    writer->last_key.length = 0;
    return pq_bytes_append_text(&writer->last_key, row->key, err);
}

/// The filter of a multiset, now that its hashes are known.
static pqdb_code make_filter(struct pq_run_writer *writer, pqdb_error *err) {
    const uint64_t count = writer->hashes.length / 8, lines = run_filter_lines(count);
    uint8_t *filter = pq_resize(writer->place.alloc, NULL, 0, lines, RUN_FILTER_LINE);
    if (filter == NULL) return pq_fail(err, PQDB_NO_MEMORY, "filter of %" PRIu64 " groups", count);
    memset(filter, 0, lines * RUN_FILTER_LINE);
    pq_free(writer->place.alloc, writer->filter, writer->filter_lines, RUN_FILTER_LINE);
    writer->filter = filter;
    writer->filter_lines = lines;
    for (uint64_t i = 0; i < count; i++) {
        add_to_filter(writer, pq_load_u64(writer->hashes.data + 8 * i));
    }
    return PQDB_OK;
}

pqdb_code pq_run_writer_append(struct pq_run_writer *writer, const struct pq_run_row *row,
                               pqdb_error *err) {
    pq_assert(writer->rows < writer->rows_max);
    pq_assert(writer->rows == 0 || writer->last_hash <= row->hash);
    const size_t payload = row->dead ? 0 : row->payload.length;
    const size_t most = 8 + 3 * RUN_VARINT_MAX + row->key.length + payload;
    if (most > UINT32_MAX / 2) {
        return pq_fail(err, PQDB_LIMIT, "a row of %zu bytes does not fit into a run", most);
    }
    struct pq_bytes *block = &writer->block;
    if (block->length + most > PQ_RUN_BLOCK_BYTES) PQ_TRY(flush_block(writer, err));
    PQ_TRY(pq_bytes_reserve(block, most + RUN_BLOCK_HEAD, err));
    if (writer->block_rows == 0) {
        memset(block->data, 0, RUN_BLOCK_HEAD);
        block->length = RUN_BLOCK_HEAD;
        writer->first_hash = row->hash;
    }
    PQ_TRY(writer->kind == PQ_TRACE_WEIGHTS_ADD ? put_weighted(writer, row, err)
                                                : put_row(writer, row, payload, err));
    writer->block_rows++;
    writer->rows++;
    writer->dead += row->dead;
    writer->last_hash = row->hash;
    return PQDB_OK;
}

pqdb_code pq_run_writer_finish(struct pq_run_writer *writer, struct pq_run_name *name,
                               pqdb_error *err) {
    const bool is_weighted = writer->kind == PQ_TRACE_WEIGHTS_ADD;
    PQ_TRY(flush_block(writer, err));
    if (is_weighted) PQ_TRY(make_filter(writer, err));
    const uint64_t index_offset = writer->offset;
    const size_t filter_bytes = writer->filter_lines * RUN_FILTER_LINE;
    uint8_t tail[RUN_TAIL];
    pq_store_u64(tail, is_weighted ? PQ_RUN_MAGIC_WEIGHTED : PQ_RUN_MAGIC);
    pq_store_u64(tail + 8, writer->rows);
    pq_store_u64(tail + 16, writer->dead);
    pq_store_u64(tail + 24, writer->index.length / RUN_INDEX_ENTRY);
    pq_store_u64(tail + 32, index_offset);
    pq_store_u64(tail + 40, index_offset + writer->index.length);
    pq_store_u64(tail + 48, pq_hash(writer->index.data, writer->index.length));
    pq_store_u64(tail + 56, pq_hash(writer->filter, filter_bytes));
    pq_store_u64(tail + 64, pq_hash(tail, 64));
    if (writer->index.length > 0) {
        PQ_TRY(append(writer, writer->index.data, writer->index.length, err));
    }
    PQ_TRY(append(writer, writer->filter, filter_bytes, err));
    PQ_TRY(append(writer, tail, sizeof tail, err));
    PQ_TRY(writer->place.io->finish(writer->place.io->ctx, writer->place.id, err));
    *name = (struct pq_run_name){writer->place.id, writer->offset, writer->rows};
    return PQDB_OK;
}
