#include "table/rewrite.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/fail.h"
#include "batch/builder.h"
#include "codec/codec.h"
#include "parquet/writer.h"
#include "table/data_file.h"
#include "table/table_internal.h"
#include "variant/variant.h"

enum {
    short_run = 64,       // shorter ones are copied together before they are encoded
    copy_rows = 4096,
    codec_level = 1,      // of zstd: the file is read more often than the disk is full
    // Whoever wants one row decodes a page of each column, and its dictionary.
    page_rows = 2048,
    page_bytes = 64 << 10,
    dictionary_bytes = 128 << 10,
    sink_bytes = PQ_PACE_STEP_BYTES,
};

/// Where a live row is, with the beginning of its id for a quick comparison.
struct row_ref {
    uint64_t prefix;  // first eight bytes of the id, big-endian
    uint32_t segment;
    uint32_t row;
};

struct job {
    const struct pq_rewrite *rewrite;
    struct pq_rewritten *out;
    struct pq_batch *batches;  // rows of each segment
    struct pq_arena arena;     // of rows read from files, refs, builders
    struct row_ref *refs;
    size_t ref_count;
    bool sorted;  // the refs came in order
    struct pq_file *file;
    uint64_t offset;
    struct pq_bytes buffer;
    struct pq_parquet_writer *writer;
    struct pq_builder *columns;  // for short runs
};

void pq_rewritten_deinit(struct pq_rewritten *rewritten) {
    if (rewritten->moved == NULL) return;
    for (size_t i = 0; i < rewritten->count; i++) {
        pq_free(rewritten->alloc, rewritten->moved[i],
                rewritten->moved[i] == NULL ? 0 : rewritten->segments[i]->rows, sizeof(uint32_t));
    }
    pq_free(rewritten->alloc, rewritten->moved, rewritten->count, sizeof *rewritten->moved);
    rewritten->moved = NULL;
}

// ---- the rows, in order -----------------------------------------------------------------------

static pqdb_code load_file(struct job *job, struct pq_segment *segment, struct pq_batch *batch,
                           pqdb_error *err) {
    const struct pq_rewrite *rewrite = job->rewrite;
    const struct pq_type *type = rewrite->snapshot->type;
    struct pq_variant_names *names =
        (struct pq_variant_names *)(uintptr_t)rewrite->snapshot->names;
    struct pq_builder *columns = pq_arena_calloc(&job->arena, type->field_count, sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows of a file");
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&columns[k], &type->fields[k].type, &job->arena.alloc, err));
    }
    struct pq_variant_encoder *encoder;
    PQ_TRY(pq_variant_encoder_create(names, rewrite->alloc, &encoder, err));
    struct pq_file_read read = {.count = segment->rows, .encoder = encoder, .names = names};
    pqdb_code code = PQDB_OK;
    while (code == PQDB_OK && read.first < segment->rows) {
        struct pq_batch piece;
        code = pq_data_file_read(segment->file, &read, &job->arena, &piece, err);
        for (size_t k = 0; code == PQDB_OK && k < type->field_count; k++) {
            code = pq_builder_append_rows(&columns[k], &piece.columns[k], 0, piece.count, err);
        }
        if (code == PQDB_OK) read.first += piece.count;
    }
    pq_variant_encoder_destroy(encoder);
    PQ_TRY(code);
    return pq_builder_finish_batch(columns, type, &job->arena, batch, err);
}

static uint64_t prefix_of(struct pq_text id) {
    uint8_t bytes[8] = {0};
    memcpy(bytes, id.data, id.length < 8 ? id.length : 8);
    return __builtin_bswap64(pq_load_u64(bytes));
}

static struct pq_text id_of(const struct job *job, const struct row_ref *ref) {
    return pq_column_text(&job->batches[ref->segment].columns[0], ref->row);
}

static int compare_refs(const void *left, const void *right, void *ctx) {
    const struct row_ref *a = left, *b = right;
    if (a->prefix != b->prefix) return a->prefix < b->prefix ? -1 : 1;
    return pq_text_compare(id_of(ctx, a), id_of(ctx, b));
}

static pqdb_code collect_refs(struct job *job, pqdb_error *err) {
    const struct pq_rewrite *rewrite = job->rewrite;
    size_t total = 0;
    for (size_t i = 0; i < rewrite->count; i++) total += rewrite->segments[i]->rows;
    job->refs = pq_arena_alloc(&job->arena, (total + 1) * sizeof *job->refs);
    if (job->refs == NULL) return pq_fail(err, PQDB_NO_MEMORY, "the order of %zu rows", total);
    job->sorted = true;
    for (uint32_t i = 0; i < rewrite->count; i++) {
        const struct pq_segment *segment = rewrite->segments[i];
        for (uint32_t row = 0; row < segment->rows; row++) {
            if (pq_segment_is_dead(segment, row, rewrite->snapshot->version)) continue;
            struct row_ref *ref = &job->refs[job->ref_count];
            *ref = (struct row_ref){.segment = i, .row = row};
            ref->prefix = prefix_of(id_of(job, ref));
            job->sorted = job->sorted &&
                          (job->ref_count == 0 || compare_refs(ref - 1, ref, job) < 0);
            job->ref_count++;
        }
    }
    if (!job->sorted) qsort_r(job->refs, job->ref_count, sizeof *job->refs, compare_refs, job);
    return PQDB_OK;
}

static pqdb_code map_rows(struct job *job, pqdb_error *err) {
    const struct pq_rewrite *rewrite = job->rewrite;
    struct pq_rewritten *out = job->out;
    out->moved = pq_resize(rewrite->alloc, NULL, 0, rewrite->count, sizeof *out->moved);
    if (out->moved == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a map of rows");
    memset(out->moved, 0, rewrite->count * sizeof *out->moved);
    for (size_t i = 0; i < rewrite->count; i++) {
        const size_t rows = rewrite->segments[i]->rows;
        out->moved[i] = pq_resize(rewrite->alloc, NULL, 0, rows, sizeof(uint32_t));
        if (out->moved[i] == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a map of %zu rows", rows);
        memset(out->moved[i], 0xFF, rows * sizeof(uint32_t));
    }
    for (size_t i = 0; i < job->ref_count; i++) {
        out->moved[job->refs[i].segment][job->refs[i].row] = (uint32_t)i;
    }
    return PQDB_OK;
}

// ---- the file ---------------------------------------------------------------------------------

static pqdb_code flush(struct job *job, pqdb_error *err) {
    PQ_TRY(pq_pace_write(job->rewrite->pace, job->file, job->offset, pq_bytes_text(&job->buffer),
                         err));
    job->offset += job->buffer.length;
    job->buffer.length = 0;
    return PQDB_OK;
}

static pqdb_code sink_append(void *ctx, const void *data, size_t length, pqdb_error *err) {
    struct job *job = ctx;
    PQ_TRY(pq_bytes_append(&job->buffer, data, length, err));
    return job->buffer.length >= sink_bytes ? flush(job, err) : PQDB_OK;
}

static pqdb_code open_writer(struct job *job, pqdb_error *err) {
    const struct pq_rewrite *rewrite = job->rewrite;
    PQ_TRY(pq_file_open(rewrite->store, rewrite->path, PQ_OPEN_WRITE, &job->file, err));
    PQ_TRY(pq_file_truncate(job->file, 0, err));
    const struct pq_parquet_writer_options options = {
        .type = rewrite->snapshot->type, .codec = &pq_codec_zstd, .level = codec_level,
        .page_rows = page_rows, .page_bytes = page_bytes, .dictionary_bytes = dictionary_bytes,
        .is_sorted = true, .sort_field = 0, .variant_form = PQ_VARIANT_AS_JSON};
    const struct pq_parquet_sink sink = {.append = sink_append, .ctx = job};
    return pq_parquet_writer_create(&options, sink, rewrite->alloc, &job->writer, err);
}

static pqdb_code flush_copies(struct job *job, pqdb_error *err) {
    if (job->columns == NULL || job->columns[0].count == 0) return PQDB_OK;
    struct pq_arena *arena = &job->arena;
    const struct pq_type *type = job->rewrite->snapshot->type;
    struct pq_batch copies;
    PQ_TRY(pq_builder_finish_batch(job->columns, type, arena, &copies, err));
    PQ_TRY(pq_parquet_writer_append(job->writer, &copies, err));
    for (size_t k = 0; k < type->field_count; k++) pq_builder_reset(&job->columns[k]);
    return PQDB_OK;
}

static pqdb_code copy_run(struct job *job, const struct pq_batch *batch, size_t first,
                          size_t count, pqdb_error *err) {
    const struct pq_type *type = job->rewrite->snapshot->type;
    if (job->columns == NULL) {
        job->columns = pq_arena_calloc(&job->arena, type->field_count, sizeof *job->columns);
        if (job->columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows to write");
        for (size_t k = 0; k < type->field_count; k++) {
            PQ_TRY(pq_builder_init(&job->columns[k], &type->fields[k].type, &job->arena.alloc,
                                   err));
        }
    }
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_append_rows(&job->columns[k], &batch->columns[k], first, count, err));
    }
    return job->columns[0].count >= copy_rows ? flush_copies(job, err) : PQDB_OK;
}

static pqdb_code write_rows(struct job *job, pqdb_error *err) {
    for (size_t i = 0; i < job->ref_count;) {
        const struct row_ref *first = &job->refs[i];
        size_t length = 1;
        while (i + length < job->ref_count && first[length].segment == first->segment &&
               first[length].row == first->row + length) {
            length++;
        }
        const struct pq_batch *batch = &job->batches[first->segment];
        if (length < short_run) {
            PQ_TRY(copy_run(job, batch, first->row, length, err));
        } else {
            PQ_TRY(flush_copies(job, err));
            struct pq_batch run;
            PQ_TRY(pq_batch_slice(batch, first->row, length, &job->arena, &run, err));
            PQ_TRY(pq_parquet_writer_append(job->writer, &run, err));
        }
        i += length;
    }
    return flush_copies(job, err);
}

static pqdb_code write_file(struct job *job, pqdb_error *err) {
    PQ_TRY(open_writer(job, err));
    PQ_TRY(write_rows(job, err));
    struct pq_parquet_file_info info;
    PQ_TRY(pq_parquet_writer_finish(job->writer, &info, err));
    PQ_TRY(flush(job, err));
    job->out->rows = info.row_count;
    job->out->bytes = info.file_bytes;
    return PQDB_OK;
}

pqdb_code pq_table_rewrite(const struct pq_rewrite *rewrite, struct pq_rewritten *out,
                           pqdb_error *err) {
    struct job job = {.rewrite = rewrite, .out = out};
    *out = (struct pq_rewritten){.count = rewrite->count, .alloc = rewrite->alloc,
                                 .segments = rewrite->segments};
    pq_arena_init(&job.arena, rewrite->alloc);
    pq_bytes_init(&job.buffer, rewrite->alloc);
    pqdb_code code;
    job.batches = pq_arena_calloc(&job.arena, rewrite->count + 1, sizeof *job.batches);
    if (job.batches == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "rows to write");
        goto done;
    }
    for (size_t i = 0; i < rewrite->count; i++) {
        struct pq_segment *segment = rewrite->segments[i];
        if (segment->kind == PQ_SEGMENT_CHUNK) {
            job.batches[i] = segment->batch;
        } else {
            PQ_GO(load_file(&job, segment, &job.batches[i], err));
        }
    }
    PQ_GO(collect_refs(&job, err));
    PQ_GO(map_rows(&job, err));
    if (job.ref_count > 0) PQ_GO(write_file(&job, err));
done:
    pq_parquet_writer_destroy(job.writer);
    pq_file_close(job.file);
    pq_bytes_deinit(&job.buffer);
    pq_arena_deinit(&job.arena);
    if (code != PQDB_OK) pq_rewritten_deinit(out);
    return code;
}

pqdb_code pq_table_write_links(const struct pq_table_snapshot *snapshot, struct pq_data_file *file,
                               struct pq_pace *pace, pqdb_error *err) {
    struct pq_link_wishes *wishes = snapshot->wishes;
    for (uint32_t k = 0; k < wishes->column_count; k++) {
        if (!atomic_load_explicit(&wishes->wanted[k], memory_order_relaxed)) continue;
        PQ_TRY(pq_data_file_write_links(file, k, pace, err));
    }
    return PQDB_OK;
}
