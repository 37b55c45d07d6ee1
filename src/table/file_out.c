#include "table/file_out.h"

#include "base/fail.h"
#include "codec/codec.h"
#include "parquet/writer.h"
#include "table/shred.h"

enum {
    short_run = 64,       // shorter ones are copied together before they are encoded
    copy_rows = 4096,
    shred_rows = 16384,   // of a long run, at a time
    codec_level = 1,      // of zstd: the file is read more often than the disk is full
    sink_bytes = PQ_PACE_STEP_BYTES,
    // Whoever wants one row decodes a page of each column, and its dictionary.
    page_rows = 2048,
    group_rows = 1 << 18,  // two threads share a file by its row groups
    page_bytes = 64 << 10,
    dictionary_bytes = 128 << 10,
};

static pqdb_code flush(struct pq_file_out *out, pqdb_error *err) {
    PQ_TRY(pq_pace_write(out->pace, out->file, out->offset, pq_bytes_text(&out->buffer), err));
    out->offset += out->buffer.length;
    out->buffer.length = 0;
    return PQDB_OK;
}

static pqdb_code sink_append(void *ctx, const void *data, size_t length, pqdb_error *err) {
    struct pq_file_out *out = ctx;
    PQ_TRY(pq_bytes_append(&out->buffer, data, length, err));
    return out->buffer.length >= sink_bytes ? flush(out, err) : PQDB_OK;
}

pqdb_code pq_file_out_open(struct pq_file_out *out, pqdb_error *err) {
    pq_arena_init(&out->arena, out->alloc);
    pq_bytes_init(&out->buffer, out->alloc);
    out->is_open = true;
    PQ_TRY(pq_file_open(out->store, out->path, PQ_OPEN_WRITE, &out->file, err));
    PQ_TRY(pq_file_truncate(out->file, 0, err));
    out->columns = pq_arena_calloc(&out->arena, out->type->field_count, sizeof *out->columns);
    if (out->columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows to write");
    for (size_t k = 0; k < out->type->field_count; k++) {
        PQ_TRY(pq_builder_init(&out->columns[k], &out->type->fields[k].type, out->alloc, err));
    }
    return PQDB_OK;
}

// ---- encoding -----------------------------------------------------------------------------------

static pqdb_code create_writer(struct pq_file_out *out, const struct pq_type *type,
                               pqdb_error *err) {
    const struct pq_parquet_writer_options options = {
        .type = type, .codec = &pq_codec_zstd, .level = codec_level,
        .page_rows = out->page_rows == 0 ? page_rows : out->page_rows,
        .row_group_rows = out->group_rows == 0 ? group_rows : out->group_rows,
        .page_bytes = page_bytes,
        .dictionary_bytes = dictionary_bytes,
        .is_sorted = true, .sort_field = 0, .variant_form = PQ_VARIANT_AS_JSON};
    const struct pq_parquet_sink sink = {.append = sink_append, .ctx = out};
    return pq_parquet_writer_create(&options, sink, out->alloc, &out->writer, err);
}

/// The writer. How paths are shredded depends on the first rows.
static pqdb_code need_writer(struct pq_file_out *out, const struct pq_batch *first,
                             pqdb_error *err) {
    if (out->writer != NULL) return PQDB_OK;
    if (out->shreds == NULL || first == NULL) return create_writer(out, out->type, err);
    out->layout = pq_arena_calloc(&out->arena, 1, sizeof *out->layout);
    if (out->layout == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows to write");
    PQ_TRY(pq_shred_plan(out->shreds, first, &out->arena, out->layout, err));
    return create_writer(out, out->layout->type, err);
}

static pqdb_code encode_shredded(struct pq_file_out *out, const struct pq_batch *piece,
                                 struct pq_arena *arena, pqdb_error *err) {
    struct pq_batch rows;
    PQ_TRY(need_writer(out, piece, err));
    PQ_TRY(pq_shred_rows(out->layout, piece, arena, &rows, err));
    return pq_parquet_writer_append(out->writer, &rows, err);
}

static pqdb_code encode(struct pq_file_out *out, const struct pq_batch *batch, pqdb_error *err) {
    if (out->shreds == NULL) {
        PQ_TRY(need_writer(out, NULL, err));
        return pq_parquet_writer_append(out->writer, batch, err);
    }
    pqdb_code code = PQDB_OK;
    for (size_t first = 0; first < batch->count && code == PQDB_OK; first += shred_rows) {
        const size_t left = batch->count - first;
        struct pq_arena arena;
        struct pq_batch piece;
        pq_arena_init(&arena, out->alloc);
        code = pq_batch_slice(batch, first, left < shred_rows ? left : shred_rows, &arena, &piece,
                              err);
        if (code == PQDB_OK) code = encode_shredded(out, &piece, &arena, err);
        pq_arena_deinit(&arena);
    }
    return code;
}

static pqdb_code flush_copies(struct pq_file_out *out, pqdb_error *err) {
    if (out->columns[0].count == 0) return PQDB_OK;
    struct pq_arena arena;
    struct pq_batch copies;
    pq_arena_init(&arena, out->alloc);
    pqdb_code code = pq_builder_finish_batch(out->columns, out->type, &arena, &copies, err);
    if (code == PQDB_OK) code = encode(out, &copies, err);
    pq_arena_deinit(&arena);
    for (size_t k = 0; k < out->type->field_count; k++) pq_builder_reset(&out->columns[k]);
    return code;
}

pqdb_code pq_file_out_append(struct pq_file_out *out, const struct pq_batch *batch, size_t first,
                             size_t count, pqdb_error *err) {
    if (count >= short_run) {
        PQ_TRY(flush_copies(out, err));
        struct pq_arena arena;
        struct pq_batch run;
        pq_arena_init(&arena, out->alloc);
        pqdb_code code = pq_batch_slice(batch, first, count, &arena, &run, err);
        if (code == PQDB_OK) code = encode(out, &run, err);
        pq_arena_deinit(&arena);
        return code;
    }
    for (size_t k = 0; k < out->type->field_count; k++) {
        PQ_TRY(pq_builder_append_rows(&out->columns[k], &batch->columns[k], first, count, err));
    }
    return out->columns[0].count >= copy_rows ? flush_copies(out, err) : PQDB_OK;
}

pqdb_code pq_file_out_finish(struct pq_file_out *out, uint64_t *rows, uint64_t *bytes,
                             pqdb_error *err) {
    PQ_TRY(flush_copies(out, err));
    PQ_TRY(need_writer(out, NULL, err));
    struct pq_parquet_file_info info;
    PQ_TRY(pq_parquet_writer_finish(out->writer, &info, err));
    PQ_TRY(flush(out, err));
    *rows = info.row_count;
    *bytes = info.file_bytes;
    return PQDB_OK;
}

void pq_file_out_close(struct pq_file_out *out) {
    if (!out->is_open) return;
    for (size_t k = 0; out->columns != NULL && k < out->type->field_count; k++) {
        pq_builder_deinit(&out->columns[k]);
    }
    pq_parquet_writer_destroy(out->writer);
    pq_file_close(out->file);
    pq_bytes_deinit(&out->buffer);
    pq_arena_deinit(&out->arena);
    out->is_open = false;
}
