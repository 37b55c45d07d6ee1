/// Rows are cut into blocks; every column takes a block before the next one begins, so all are at
/// the same row whenever a row group ends.
#include "base/check.h"
#include "base/fail.h"
#include "parquet/column_write.h"
#include "parquet/file_writer_internal.h"
#include "parquet/writer.h"
#include "variant/variant.h"

enum { block_rows = 1024, metadata_bytes_max = 1 << 20 };
enum { compact_page_rows = 20000, compact_page_bytes = 1 << 20 };

static const struct pq_parquet_writer_options defaults = {
    .row_group_rows = 1 << 20,
    .row_group_bytes = (size_t)64 << 20,
    .page_rows = 4096,
    .page_bytes = 128 << 10,
    .dictionary_bytes = 1 << 20,
};

static pqdb_code fill_options(struct pq_parquet_writer *writer,
                              const struct pq_parquet_writer_options *given, pqdb_error *err) {
    struct pq_parquet_writer_options *options = &writer->options;
    *options = *given;
    if (options->row_group_rows == 0) options->row_group_rows = defaults.row_group_rows;
    if (options->row_group_bytes == 0) options->row_group_bytes = defaults.row_group_bytes;
    const bool is_compact = options->profile == PQ_PROFILE_COMPACT;
    const uint32_t rows_max = is_compact ? compact_page_rows : defaults.page_rows;
    const uint32_t page_bytes = is_compact ? compact_page_bytes : defaults.page_bytes;
    if (options->page_rows == 0 || options->page_rows > rows_max) options->page_rows = rows_max;
    if (options->page_bytes == 0) options->page_bytes = page_bytes;
    if (options->dictionary_bytes == 0) options->dictionary_bytes = defaults.dictionary_bytes;
    const bool has_codec = pq_parquet_codec_number(options->codec) >= 0;
    if (!has_codec || options->codec == &pq_codec_lz4_hadoop) {
        return pq_fail(err, PQDB_UNSUPPORTED, "Parquet files are not written with codec %s",
                       options->codec->name);
    }
    if (given->is_sorted && given->sort_field >= given->type->field_count) {
        return pq_fail(err, PQDB_INVALID, "sort field %u of %u members", given->sort_field,
                       given->type->field_count);
    }
    struct pq_meta_pair *pairs =
        pq_arena_calloc(&writer->arena, given->pair_count + 1, sizeof *pairs);
    if (pairs == NULL) return pq_parquet_no_memory(err, "metadata");
    for (size_t i = 0; i < given->pair_count; i++) {
        pairs[i].has = 6;
        pairs[i].key = pq_arena_copy(&writer->arena, given->pairs[i].key);
        pairs[i].value = pq_arena_copy(&writer->arena, given->pairs[i].value);
        if (pairs[i].key.data == NULL || pairs[i].value.data == NULL) {
            return pq_parquet_no_memory(err, "metadata");
        }
    }
    writer->pairs = pairs;
    return PQDB_OK;
}

pqdb_code pq_parquet_emit(struct pq_parquet_writer *writer, struct pq_text bytes,
                          pqdb_error *err) {
    if (bytes.length == 0) return PQDB_OK;
    PQ_TRY(writer->sink.append(writer->sink.ctx, bytes.data, bytes.length, err));
    writer->position += bytes.length;
    return PQDB_OK;
}

static pqdb_code create_columns(struct pq_parquet_writer *writer, pqdb_error *err) {
    const size_t count = writer->schema.leaf_count;
    writer->columns = pq_arena_calloc(&writer->arena, count, sizeof *writer->columns);
    writer->totals = pq_arena_calloc(&writer->arena, count, sizeof *writer->totals);
    writer->shared = pq_arena_calloc(&writer->arena, count, sizeof *writer->shared);
    if (writer->columns == NULL || writer->totals == NULL || writer->shared == NULL) {
        return pq_parquet_no_memory(err, "columns");
    }
    for (size_t i = 0; i < count; i++) {
        writer->column_count++;
        pq_bytes_init(&writer->shared[i].metadata, writer->alloc);
        PQ_TRY(pq_column_writer_init(&writer->columns[i], &writer->schema, i, &writer->options,
                                     &writer->arena, err));
    }
    return PQDB_OK;
}

pqdb_code pq_parquet_writer_create(const struct pq_parquet_writer_options *options,
                                   struct pq_parquet_sink sink, const struct pq_alloc *alloc,
                                   struct pq_parquet_writer **out, pqdb_error *err) {
    struct pq_parquet_writer *writer = pq_resize(alloc, NULL, 0, 1, sizeof *writer);
    if (writer == NULL) return pq_parquet_no_memory(err, "the writer");
    *writer = (struct pq_parquet_writer){.alloc = alloc, .sink = sink};
    pq_arena_init(&writer->arena, alloc);
    pq_bytes_init(&writer->page, alloc);
    pqdb_code code = PQDB_OK;
    PQ_GO(fill_options(writer, options, err));
    PQ_GO(pq_schema_of_type(options->type, options->variant_form, &writer->arena, &writer->schema,
                            err));
    PQ_GO(create_columns(writer, err));
    PQ_GO(pq_parquet_emit(writer, PQ_TEXT("PAR1"), err));
    *out = writer;
done:
    if (code != PQDB_OK) pq_parquet_writer_destroy(writer);
    return code;
}

void pq_parquet_writer_destroy(struct pq_parquet_writer *writer) {
    if (writer == NULL) return;
    for (size_t i = 0; i < writer->column_count; i++) {
        // The last column may not have been reached when creating it failed.
        pq_bytes_deinit(&writer->shared[i].metadata);
        pq_variant_names_unref(writer->shared[i].names);
        if (writer->columns[i].leaf != NULL) pq_column_writer_deinit(&writer->columns[i]);
    }
    pq_bytes_deinit(&writer->page);
    pq_free(writer->alloc, writer->groups, writer->group_capacity, sizeof *writer->groups);
    pq_arena_deinit(&writer->arena);
    pq_free(writer->alloc, writer, 1, sizeof *writer);
}

/// The names that an annotated variant column uses, as metadata; written anew only when they grew.
static pqdb_code share_names(struct pq_parquet_writer *writer, size_t leaf,
                             const struct pq_variant_names *names, pqdb_error *err) {
    struct pq_shared_names *shared = &writer->shared[leaf];
    const uint32_t count = names == NULL ? 0 : pq_variant_names_count(names);
    if (shared->is_set && shared->names == names && shared->count == count) return PQDB_OK;
    shared->metadata.length = 0;
    if (names == NULL) {
        static const uint8_t none[] = {1, 0, 0};
        PQ_TRY(pq_bytes_append(&shared->metadata, none, sizeof none, err));
    } else {
        PQ_TRY(pq_variant_names_write(names, count, &shared->metadata, err));
    }
    if (shared->names != names) {
        pq_variant_names_unref(shared->names);
        shared->names = names == NULL ? NULL : pq_variant_names_ref(names);
    }
    shared->count = count;
    shared->is_set = true;
    return PQDB_OK;
}

static const struct pq_column *leaf_column(const struct pq_column_writer *column,
                                           const struct pq_batch *batch) {
    const struct pq_column *at = &batch->columns[column->path.members[0]];
    for (size_t i = 1; i < column->path.depth; i++) at = &at->children[column->path.members[i]];
    return at;
}

static pqdb_code append_block(struct pq_parquet_writer *writer, const struct pq_batch *batch,
                              size_t start, size_t count, pqdb_error *err) {
    for (size_t i = 0; i < writer->column_count; i++) {
        struct pq_column_writer *column = &writer->columns[i];
        struct pq_text metadata = {0};
        if (column->is_metadata) {
            PQ_TRY(share_names(writer, i, leaf_column(column, batch)->names, err));
            metadata = pq_bytes_text(&writer->shared[i].metadata);
        }
        PQ_TRY(pq_column_writer_append(column, batch, start, count, metadata, err));
    }
    writer->group_rows += count;
    return PQDB_OK;
}

static size_t held_bytes(const struct pq_parquet_writer *writer) {
    size_t bytes = 0;
    for (size_t i = 0; i < writer->column_count; i++) {
        bytes += pq_column_writer_bytes(&writer->columns[i]);
    }
    return bytes;
}

static bool is_group_full(const struct pq_parquet_writer *writer) {
    if (writer->group_rows >= writer->options.row_group_rows) return true;
    for (size_t i = 0; i < writer->column_count; i++) {
        if (writer->columns[i].is_metadata &&
            writer->columns[i].dictionary.plain.length > metadata_bytes_max) {
            return true;
        }
    }
    return held_bytes(writer) >= writer->options.row_group_bytes;
}

static pqdb_code append_rows(struct pq_parquet_writer *writer, const struct pq_batch *batch,
                             pqdb_error *err) {
    for (size_t start = 0; start < batch->count;) {
        size_t count = batch->count - start;
        if (count > block_rows) count = block_rows;
        const uint64_t room = writer->options.row_group_rows - writer->group_rows;
        if (count > room) count = (size_t)room;
        PQ_TRY(append_block(writer, batch, start, count, err));
        start += count;
        if (is_group_full(writer)) PQ_TRY(pq_parquet_end_group(writer, err));
    }
    return PQDB_OK;
}

static pqdb_code failed_before(const struct pq_parquet_writer *writer, pqdb_error *err) {
    if (err != NULL) *err = writer->error;
    return writer->failed;
}

static pqdb_code remember(struct pq_parquet_writer *writer, pqdb_code code,
                          const pqdb_error *cause, pqdb_error *err) {
    if (code == PQDB_OK) return PQDB_OK;
    writer->failed = code;
    writer->error = *cause;
    return failed_before(writer, err);
}

pqdb_code pq_parquet_writer_append(struct pq_parquet_writer *writer, const struct pq_batch *batch,
                                   pqdb_error *err) {
    pq_assert(!writer->is_finished);
    pq_assert(batch->type->field_count == writer->options.type->field_count);
    if (writer->failed != PQDB_OK) return failed_before(writer, err);
    pqdb_error cause = {.offset = -1};
    return remember(writer, append_rows(writer, batch, &cause), &cause, err);
}

pqdb_code pq_parquet_writer_finish(struct pq_parquet_writer *writer,
                                   struct pq_parquet_file_info *info, pqdb_error *err) {
    pq_assert(!writer->is_finished);
    if (writer->failed != PQDB_OK) return failed_before(writer, err);
    pqdb_error cause = {.offset = -1};
    pqdb_code code = pq_parquet_end_group(writer, &cause);
    if (code == PQDB_OK) code = pq_parquet_write_footer(writer, &cause);
    if (code == PQDB_OK) code = pq_parquet_fill_info(writer, info, &cause);
    writer->is_finished = code == PQDB_OK;
    return remember(writer, code, &cause, err);
}

uint64_t pq_parquet_writer_bytes(const struct pq_parquet_writer *writer) {
    return writer->position + held_bytes(writer);
}
