#include "table/rewrite.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "base/fail.h"
#include "batch/builder.h"
#include "table/data_file.h"
#include "table/file_out.h"
#include "table/table_internal.h"
#include "variant/variant.h"

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
    struct pq_file_out file;
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
    struct pq_arena piece_arena;
    PQ_TRY(pq_variant_encoder_create(names, rewrite->alloc, &encoder, err));
    pq_arena_init(&piece_arena, rewrite->alloc);
    struct pq_file_read read = {.count = segment->rows, .encoder = encoder, .names = names};
    pqdb_code code = PQDB_OK;
    while (code == PQDB_OK && read.first < segment->rows) {
        struct pq_batch piece;
        pq_arena_reset(&piece_arena);
        code = pq_data_file_read(segment->file, &read, &piece_arena, &piece, err);
        for (size_t k = 0; code == PQDB_OK && k < type->field_count; k++) {
            code = pq_builder_append_rows(&columns[k], &piece.columns[k], 0, piece.count, err);
        }
        if (code == PQDB_OK) read.first += piece.count;
    }
    pq_arena_deinit(&piece_arena);
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

static pqdb_code write_file(struct job *job, pqdb_error *err) {
    PQ_TRY(pq_file_out_open(&job->file, err));
    for (size_t i = 0; i < job->ref_count;) {
        const struct row_ref *first = &job->refs[i];
        size_t length = 1;
        while (i + length < job->ref_count && first[length].segment == first->segment &&
               first[length].row == first->row + length) {
            length++;
        }
        PQ_TRY(pq_file_out_append(&job->file, &job->batches[first->segment], first->row, length,
                                  err));
        i += length;
    }
    return pq_file_out_finish(&job->file, &job->out->rows, &job->out->bytes, err);
}

pqdb_code pq_table_rewrite(const struct pq_rewrite *rewrite, struct pq_rewritten *out,
                           pqdb_error *err) {
    struct job job = {
        .rewrite = rewrite, .out = out,
        .file = {.store = rewrite->store, .pace = rewrite->pace, .path = rewrite->path,
                 .type = rewrite->snapshot->type, .shreds = rewrite->snapshot->shreds,
                 .page_rows = rewrite->page_rows,
                 .group_rows = rewrite->group_rows, .alloc = rewrite->alloc}};
    *out = (struct pq_rewritten){.count = rewrite->count, .alloc = rewrite->alloc,
                                 .segments = rewrite->segments};
    pq_arena_init(&job.arena, rewrite->alloc);
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
        } else if (pq_segment_live(segment, rewrite->snapshot->version) > 0) {
            PQ_GO(load_file(&job, segment, &job.batches[i], err));
        }
    }
    PQ_GO(collect_refs(&job, err));
    PQ_GO(map_rows(&job, err));
    if (job.ref_count > 0) PQ_GO(write_file(&job, err));
done:
    pq_file_out_close(&job.file);
    pq_arena_deinit(&job.arena);
    if (code != PQDB_OK) pq_rewritten_deinit(out);
    return code;
}

pqdb_code pq_table_write_beside(const struct pq_table_snapshot *snapshot,
                                struct pq_data_file *file, struct pq_pace *pace, pqdb_error *err) {
    PQ_TRY(pq_data_file_write_ids(file, snapshot->marks_ids, pace, err));
    struct pq_link_wishes *wishes = snapshot->wishes;
    for (uint32_t k = 0; k < wishes->column_count; k++) {
        if (!atomic_load_explicit(&wishes->wanted[k], memory_order_relaxed)) continue;
        PQ_TRY(pq_data_file_write_links(file, k, pace, err));
    }
    return PQDB_OK;
}
