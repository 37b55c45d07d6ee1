#include "table/merge.h"

#include "base/bytes.h"
#include "base/check.h"
#include "base/fail.h"
#include "table/data_file.h"
#include "table/file_out.h"
#include "variant/variant.h"

enum { piece_rows = 4096 };

/// One file, and the piece of it that is read.
struct input {
    struct pq_segment *segment;
    uint32_t *moved;       // of the outcome
    struct pq_arena arena;  // of the piece
    struct pq_batch piece;
    uint64_t first;  // row of the file that the piece begins with
    size_t at;       // next row of the piece, alive, or its count
    uint64_t prefix;  // first eight bytes of its id, big-endian
};

struct job {
    const struct pq_merge *merge;
    struct pq_rewritten *out;
    struct pq_variant_encoder *encoder;  // owned
    struct input inputs[PQ_MERGE_FILES_MAX];
    size_t count;
    struct pq_file_out file;
    uint64_t rows;
};

static struct pq_text id_of(const struct input *input, size_t row) {
    return pq_column_text(&input->piece.columns[0], row);
}

static uint64_t prefix_of(struct pq_text id) {
    uint8_t bytes[8] = {0};
    memcpy(bytes, id.data, id.length < 8 ? id.length : 8);
    return __builtin_bswap64(pq_load_u64(bytes));
}

static bool is_dead(const struct job *job, const struct input *input, size_t row) {
    return pq_segment_is_dead(input->segment, input->first + row,
                              job->merge->rewrite.snapshot->version);
}

/// On to the next live row, perhaps of a further piece; the input ends with a piece of no rows.
static pqdb_code settle(struct job *job, struct input *input, pqdb_error *err) {
    const struct pq_rewrite *rewrite = &job->merge->rewrite;
    for (;;) {
        while (input->at < input->piece.count && is_dead(job, input, input->at)) input->at++;
        if (input->at < input->piece.count) {
            input->prefix = prefix_of(id_of(input, input->at));
            return PQDB_OK;
        }
        input->first += input->piece.count;
        input->at = 0;
        input->piece.count = 0;
        if (input->first >= input->segment->rows) return PQDB_OK;
        if (job->merge->pause != NULL) PQ_TRY(job->merge->pause(job->merge->ctx, err));
        pq_arena_reset(&input->arena);
        const struct pq_file_read read = {.first = input->first, .count = piece_rows,
                                          .encoder = job->encoder,
                                          .names = rewrite->snapshot->names};
        PQ_TRY(pq_data_file_read(input->segment->file, &read, &input->arena, &input->piece, err));
    }
}

static bool is_below(const struct input *a, size_t row, uint64_t prefix, const struct input *b) {
    if (prefix != b->prefix) return prefix < b->prefix;
    return pq_text_compare(id_of(a, row), id_of(b, b->at)) < 0;
}

/// The input with the lowest id, and the one with the next; NULL where there is none.
static struct input *lowest(struct job *job, struct input **next) {
    struct input *low = NULL;
    *next = NULL;
    for (size_t i = 0; i < job->count; i++) {
        struct input *input = &job->inputs[i];
        if (input->piece.count == 0) continue;
        if (low == NULL || is_below(input, input->at, input->prefix, low)) {
            *next = low;
            low = input;
        } else if (*next == NULL || is_below(input, input->at, input->prefix, *next)) {
            *next = input;
        }
    }
    return low;
}

/// Live rows from `low` that follow one another and come before those of `next`.
static size_t run_length(const struct job *job, const struct input *low,
                         const struct input *next) {
    size_t length = 1;
    while (low->at + length < low->piece.count) {
        const size_t row = low->at + length;
        if (is_dead(job, low, row)) break;
        if (next != NULL && !is_below(low, row, prefix_of(id_of(low, row)), next)) break;
        length++;
    }
    return length;
}

static pqdb_code merge_rows(struct job *job, pqdb_error *err) {
    for (size_t i = 0; i < job->count; i++) PQ_TRY(settle(job, &job->inputs[i], err));
    for (;;) {
        struct input *next, *low = lowest(job, &next);
        if (low == NULL) return PQDB_OK;
        if (!job->file.is_open) PQ_TRY(pq_file_out_open(&job->file, err));
        const size_t length = run_length(job, low, next);
        PQ_TRY(pq_file_out_append(&job->file, &low->piece, low->at, length, err));
        for (size_t i = 0; i < length; i++) {
            low->moved[low->first + low->at + i] = (uint32_t)job->rows++;
        }
        low->at += length;
        PQ_TRY(settle(job, low, err));
    }
}

static pqdb_code begin(struct job *job, pqdb_error *err) {
    const struct pq_rewrite *rewrite = &job->merge->rewrite;
    const struct pq_alloc *alloc = rewrite->alloc;
    struct pq_variant_names *names =
        (struct pq_variant_names *)(uintptr_t)rewrite->snapshot->names;
    job->out->moved = pq_resize(alloc, NULL, 0, rewrite->count, sizeof *job->out->moved);
    if (job->out->moved == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a map of rows");
    memset(job->out->moved, 0, rewrite->count * sizeof *job->out->moved);
    for (size_t i = 0; i < rewrite->count; i++) {
        struct pq_segment *segment = rewrite->segments[i];
        pq_assert(segment->kind == PQ_SEGMENT_FILE);
        uint32_t *moved = pq_resize(alloc, NULL, 0, segment->rows, sizeof *moved);
        if (moved == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a map of %zu rows", segment->rows);
        memset(moved, 0xFF, segment->rows * sizeof *moved);
        job->out->moved[i] = job->inputs[i].moved = moved;
        job->inputs[i].segment = segment;
    }
    return pq_variant_encoder_create(names, alloc, &job->encoder, err);
}

pqdb_code pq_table_merge(const struct pq_merge *merge, struct pq_rewritten *out,
                         pqdb_error *err) {
    const struct pq_rewrite *rewrite = &merge->rewrite;
    struct job job = {
        .merge = merge, .out = out, .count = rewrite->count,
        .file = {.store = rewrite->store, .pace = rewrite->pace, .path = rewrite->path,
                 .type = rewrite->snapshot->type, .shreds = rewrite->snapshot->shreds,
                 .alloc = rewrite->alloc}};
    pq_assert(rewrite->count > 0 && rewrite->count <= PQ_MERGE_FILES_MAX);
    *out = (struct pq_rewritten){.count = rewrite->count, .alloc = rewrite->alloc,
                                 .segments = rewrite->segments};
    for (size_t i = 0; i < job.count; i++) pq_arena_init(&job.inputs[i].arena, rewrite->alloc);
    pqdb_code code;
    PQ_GO(begin(&job, err));
    PQ_GO(merge_rows(&job, err));
    if (job.file.is_open) PQ_GO(pq_file_out_finish(&job.file, &out->rows, &out->bytes, err));
done:
    pq_file_out_close(&job.file);
    pq_variant_encoder_destroy(job.encoder);
    for (size_t i = 0; i < job.count; i++) pq_arena_deinit(&job.inputs[i].arena);
    if (code != PQDB_OK) pq_rewritten_deinit(out);
    return code;
}
