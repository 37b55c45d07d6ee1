#include "parquet/column_write.h"

#include "base/fail.h"
#include "parquet/column_page.h"
#include "parquet/dictionary_trial.h"

enum { levels_max = INT32_MAX / 8 };

pqdb_code pq_column_writer_init(struct pq_column_writer *column, const struct pq_schema *schema,
                                size_t leaf, const struct pq_parquet_writer_options *options,
                                struct pq_arena *arena, pqdb_error *err) {
    const struct pq_alloc *alloc = arena->source;
    const struct pq_leaf *of = &schema->leaves[leaf];
    *column = (struct pq_column_writer){.leaf = of, .options = options, .arena = arena};
    pq_levels_init(&column->levels, alloc);
    pq_value_scratch_init(&column->scratch, alloc);
    struct pq_bytes *const buffers[] = {
        &column->codes,      &column->page_def, &column->page_rep, &column->page_plain,
        &column->page_codes, &column->raw,      &column->wide,     &column->pages,
        &column->hashes,     &column->bloom,    &column->writer.stored,
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) pq_bytes_init(buffers[i], alloc);
    column->writer.codec = options->codec;
    column->writer.level = options->level;
    pq_column_dictionary_init(&column->dictionary,
                              pq_physical_width(of->physical, of->type_length), alloc);
    if (of->conversion == PQ_CONVERT_VARIANT) {
        column->is_metadata = pq_text_is(of->path[of->path_count - 1], "metadata");
        column->is_variant_value = !column->is_metadata;
    }
    pq_column_writer_reset(column);
    PQ_TRY(pq_shred_path_of(schema, leaf, arena, &column->path, err));
    column->wants_bloom = options->bloom_fields != NULL && column->path.is_flat &&
                          options->bloom_fields[column->path.members[0]] &&
                          of->physical != PQ_PHYSICAL_BOOLEAN &&
                          of->conversion != PQ_CONVERT_VARIANT &&
                          of->conversion != PQ_CONVERT_JSON && of->conversion != PQ_CONVERT_NULL;
    return PQDB_OK;
}

void pq_column_writer_deinit(struct pq_column_writer *column) {
    struct pq_bytes *const buffers[] = {
        &column->codes,      &column->page_def, &column->page_rep, &column->page_plain,
        &column->page_codes, &column->raw,      &column->wide,     &column->pages,
        &column->hashes,     &column->bloom,    &column->writer.stored,
    };
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) pq_bytes_deinit(buffers[i]);
    pq_levels_deinit(&column->levels);
    pq_value_scratch_deinit(&column->scratch);
    pq_column_dictionary_deinit(&column->dictionary);
    pq_free(column->arena->source, column->entries, column->entry_capacity,
            sizeof *column->entries);
    pq_free(column->arena->source, column->trial.waiting, column->trial.waiting_capacity,
            sizeof *column->trial.waiting);
}

static bool may_be_coded(const struct pq_column_writer *column) {
    if (column->is_metadata) return true;
    return !column->options->no_dictionary && !column->skip_dictionary &&
           column->leaf->physical != PQ_PHYSICAL_BOOLEAN && !column->is_variant_value &&
           column->leaf->conversion != PQ_CONVERT_JSON &&
           column->leaf->conversion != PQ_CONVERT_NULL;
}

void pq_column_writer_reset(struct pq_column_writer *column) {
    pq_column_dictionary_reset(&column->dictionary);
    column->is_coded = may_be_coded(column);
    column->trial.is_on = column->is_coded && !column->is_metadata;
    column->trial.waiting_count = 0;
    column->split = PQ_SPLIT_TO_MEASURE;
    column->pages.length = 0;
    column->entry_count = 0;
    column->row_count = column->value_count = column->null_count = column->nan_count = 0;
    column->coded_pages = 0;
    column->hashes.length = column->bloom.length = 0;
    memset(column->pages_by_encoding, 0, sizeof column->pages_by_encoding);
    column->writer.raw_bytes = 0;
}

void pq_column_clear_pages(struct pq_column_writer *column) {
    column->page = column->start = (struct pq_page_part){0};
    column->page_def.length = column->page_rep.length = 0;
    column->page_plain.length = column->page_codes.length = 0;
}

static pqdb_code end_page(struct pq_column_writer *column, pqdb_error *err) {
    if (column->page.rows == 0) return PQDB_OK;
    if (column->trial.is_on) return pq_trial_end_page(column, err);
    PQ_TRY(pq_column_page_write(column, err));
    pq_column_clear_pages(column);
    return PQDB_OK;
}

static size_t value_bytes(const struct pq_column_writer *column, size_t value) {
    const struct pq_value_block *block = &column->block;
    return block->texts == NULL ? block->width : block->texts[value].length + 4;
}

/// How many of the rows left fit into the page being filled: at least one if it is empty.
static struct pq_page_part fitting_run(const struct pq_column_writer *column, size_t level,
                                       size_t value) {
    const struct pq_levels *levels = &column->levels;
    const size_t rows_max = column->options->page_rows - column->page.rows;
    const bool counts_codes = column->is_coded && !column->trial.is_on;
    const bool has_lists = column->leaf->max_rep > 0;
    const size_t bytes_max = column->options->page_bytes, used = column->page.plain_bytes;
    struct pq_page_part run = {0}, row = {0};
    size_t at = level, next = value;
    while (at < levels->count && run.rows < rows_max) {
        row = run;
        do {
            if (!levels->has_nulls || levels->def[at] == column->leaf->max_def) {
                row.plain_bytes += counts_codes ? 4 : value_bytes(column, next);
                row.values++;
                next++;
            }
            row.levels++;
            at++;
        } while (has_lists && at < levels->count && levels->rep[at] != 0);
        row.rows++;
        if (used + row.plain_bytes > bytes_max && (run.rows > 0 || column->page.rows > 0)) break;
        run = row;
    }
    return run;
}

static pqdb_code copy_values(struct pq_column_writer *column, size_t value, size_t count,
                             size_t plain_bytes, pqdb_error *err) {
    const struct pq_value_block *block = &column->block;
    if (column->is_coded) {
        const uint32_t *codes = (const uint32_t *)(const void *)column->codes.data;
        return pq_bytes_append(&column->page_codes, codes + value, count * sizeof *codes, err);
    }
    struct pq_bytes *plain = &column->page_plain;
    if (block->texts == NULL) {
        return pq_bytes_append(plain, block->fixed + value * block->width, count * block->width,
                               err);
    }
    PQ_TRY(pq_bytes_reserve(plain, plain_bytes, err));
    uint8_t *out = plain->data + plain->length;
    const bool is_text = column->leaf->kind == PQ_TEXT;
    for (size_t i = value; i < value + count; i++) {
        const struct pq_text text = block->texts[i];
        if (is_text && !pq_text_is_utf8(text)) {
            return pq_fail(err, PQDB_INVALID, "text that is not UTF-8");
        }
        pq_store_u32(out, (uint32_t)text.length);
        if (text.length > 0) memcpy(out + 4, text.data, text.length);
        out += 4 + text.length;
    }
    plain->length = (size_t)(out - plain->data);
    return PQDB_OK;
}

static pqdb_code copy_run(struct pq_column_writer *column, size_t level, size_t value,
                          const struct pq_page_part *run, pqdb_error *err) {
    const struct pq_levels *levels = &column->levels;
    const struct pq_leaf *leaf = column->leaf;
    if (run->levels > levels_max - column->page.levels) {
        return pq_fail(err, PQDB_LIMIT, "a row with more than %d list elements", levels_max);
    }
    if (leaf->max_rep > 0) {
        PQ_TRY(pq_bytes_append(&column->page_rep, levels->rep + level, run->levels, err));
    }
    if (leaf->max_def > 0) {
        PQ_TRY(pq_bytes_reserve(&column->page_def, run->levels, err));
        uint8_t *def = column->page_def.data + column->page_def.length;
        if (levels->has_nulls) {
            memcpy(def, levels->def + level, run->levels);
        } else {
            memset(def, leaf->max_def, run->levels);
        }
        column->page_def.length += run->levels;
    }
    if (run->values > 0) PQ_TRY(copy_values(column, value, run->values, run->plain_bytes, err));
    column->page.rows += run->rows;
    column->page.levels += run->levels;
    column->page.values += run->values;
    column->page.plain_bytes += run->plain_bytes;
    return PQDB_OK;
}

static pqdb_code gather(struct pq_column_writer *column, struct pq_text metadata,
                        pqdb_error *err) {
    if (column->leaf->conversion == PQ_CONVERT_VARIANT) {
        return pq_values_gather_variant(&column->levels, column->is_metadata, metadata,
                                        &column->scratch, &column->block, err);
    }
    return pq_values_gather(column->leaf, &column->levels, &column->scratch, &column->block, err);
}

/// The codes of the block's values: by remapping where the column is coded itself, else by value.
static pqdb_code code_block(struct pq_column_writer *column, pqdb_error *err) {
    const struct pq_levels *levels = &column->levels;
    column->codes.length = 0;
    PQ_TRY(pq_bytes_reserve(&column->codes, levels->value_count * sizeof(uint32_t) + 1, err));
    uint32_t *codes = (uint32_t *)(void *)column->codes.data;
    if (levels->column->layout == PQ_DICTIONARY) {
        return pq_column_dictionary_remap(&column->dictionary, levels, codes, err);
    }
    return pq_column_dictionary_encode(&column->dictionary, &column->block,
                                       column->leaf->kind == PQ_TEXT, codes, err);
}

/// A dictionary that outgrew its bound ends with the pages before this block.
static pqdb_code check_dictionary(struct pq_column_writer *column, pqdb_error *err) {
    if (column->is_metadata ||
        column->dictionary.plain.length <= column->options->dictionary_bytes) {
        return PQDB_OK;
    }
    if (column->trial.is_on) return pq_trial_give_up(column, err);
    PQ_TRY(end_page(column, err));
    column->is_coded = false;
    return PQDB_OK;
}

/// Values are gathered unless codes alone will do. While the dictionary is on trial both are ready,
/// because the trial may end in the middle of the block.
static pqdb_code prepare_values(struct pq_column_writer *column, struct pq_text metadata,
                                pqdb_error *err) {
    if (column->levels.value_count == 0) return PQDB_OK;
    const bool needs_values = !column->is_coded || column->trial.is_on ||
                              column->levels.column->layout != PQ_DICTIONARY;
    if (needs_values) PQ_TRY(gather(column, metadata, err));
    if (!column->is_coded) return PQDB_OK;
    PQ_TRY(code_block(column, err));
    PQ_TRY(check_dictionary(column, err));
    return column->is_coded || needs_values ? PQDB_OK : gather(column, metadata, err);
}

static pqdb_code append_block(struct pq_column_writer *column, struct pq_text metadata,
                              pqdb_error *err) {
    PQ_TRY(prepare_values(column, metadata, err));
    size_t level = 0, value = 0;
    while (level < column->levels.count) {
        const struct pq_page_part run = fitting_run(column, level, value);
        if (run.rows == 0) {
            PQ_TRY(end_page(column, err));
            continue;
        }
        PQ_TRY(copy_run(column, level, value, &run, err));
        level += run.levels;
        value += run.values;
        if (column->page.rows == column->options->page_rows) PQ_TRY(end_page(column, err));
    }
    return PQDB_OK;
}

pqdb_code pq_column_writer_append(struct pq_column_writer *column, const struct pq_batch *batch,
                                  size_t start, size_t count, struct pq_text metadata,
                                  pqdb_error *err) {
    pqdb_code code = pq_shred(&column->path, batch, start, count, &column->levels, err);
    if (code == PQDB_OK) code = append_block(column, metadata, err);
    return code == PQDB_OK ? code : pq_parquet_at(code, err, -1, column->leaf);
}

size_t pq_column_writer_bytes(const struct pq_column_writer *column) {
    return column->pages.length + pq_column_dictionary_bytes(&column->dictionary) +
           column->page_plain.length + column->page_codes.length + column->page_def.length +
           column->page_rep.length;
}

/// One page of distinct values for many of codes: zstd's default level finds more in it than the
/// lowest ones, and costs little.
static int dictionary_level(const struct pq_parquet_writer_options *options) {
    enum { least = 3 };
    const bool is_low =
        options->codec == &pq_codec_zstd && options->level > 0 && options->level < least;
    return is_low ? least : options->level;
}

pqdb_code pq_column_writer_end_chunk(struct pq_column_writer *column,
                                     struct pq_bytes *dictionary_page, pqdb_error *err) {
    PQ_TRY(end_page(column, err));
    PQ_TRY(pq_trial_end_chunk(column, err));
    if (column->wants_bloom) PQ_TRY(pq_column_make_bloom(column, err));
    if (column->coded_pages == 0) return PQDB_OK;
    struct pq_meta_page header = {.has = 1u << PQ_PAGE_HAS_DICTIONARY, .type = PQ_PAGE_DICTIONARY};
    header.dictionary = (struct pq_meta_dictionary_page){
        .has = 0x6,
        .value_count = (int32_t)column->dictionary.count,
        .encoding = PQ_ENCODING_PLAIN,
    };
    column->writer.level = dictionary_level(column->options);
    return pq_page_write(&column->writer, &header, pq_bytes_text(&column->dictionary.plain),
                         dictionary_page, err);
}
