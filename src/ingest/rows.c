#include "ingest/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"
#include "batch/builder.h"
#include "batch/dictionary.h"
#include "ingest/object_internal.h"
#include "ingest/split_internal.h"

enum {
    dictionary_trial_rows = 4096,  // after which a dictionary must have been worth it
};

/// The dictionary of a text column, as long as its texts repeat.
struct text_column {
    struct pq_dictionary *dictionary;  // referenced, or NULL
    uint64_t rows;                     // coded in it so far
    bool is_off;                       // most texts were new: plain bytes from now on
};

/// How much a column (nested ones too, parents first) needed in the last batch.
struct size_hint {
    size_t rows, bytes;
};

struct pq_row_reader {
    const struct pq_alloc *alloc;
    const struct pq_entry *entry;    // borrowed
    struct pq_variant_names *names;  // referenced
    const struct pq_env *env;        // borrowed
    bool set_aside, is_unbounded;
    bool is_alone;  // the item that is read is all of its input
    size_t rows_max;
    unsigned json_flags;
    struct pq_object_plan *plan;  // owned, as all below
    struct pq_object_reader object;
    struct pq_json_reader json;
    struct pq_splitter splitter;
    struct pq_dictionary *type_name;  // the one entry of $type
    struct text_column *texts;        // one per column
    struct pq_builder *builders;      // one per column; their memory is the hold's
    struct size_hint *hints;
    size_t column_count, hint_count;
    uint64_t next_item;
    // The batch so far:
    struct pq_hold *hold;  // NULL before its first item
    uint64_t first_item;
    uint32_t *items;  // in the hold
    uint64_t *lines;  // likewise
    size_t item_capacity;
    struct pq_refusal *refusals;  // in the hold
    size_t refusal_count, refusal_capacity;
    size_t text_bytes;
    uint64_t text_hash;
};

// ---- life -------------------------------------------------------------------------------------

/// Columns that are made when the batch is handed over: all rows have the same.
static bool is_uniform(const struct pq_entry *entry, size_t column) {
    if (column == PQ_COLUMN_SEQ || column == PQ_COLUMN_TYPE) return true;
    if (column != PQ_COLUMN_UPDATED_AT && column != PQ_COLUMN_VERSION) return false;
    return !pq_entry_owns_column(entry, column);
}

static size_t count_builders(const struct pq_type *type) {
    size_t count = 1;
    for (uint32_t k = 0; k < type->field_count; k++) count += count_builders(&type->fields[k].type);
    return count;
}

/// Texts that repeat get codes; ids do not repeat.
static bool wants_dictionary(const struct pq_entry *entry, size_t column) {
    const struct pq_field *field = &pq_entry_row_type(entry)->fields[column];
    if (field->type.kind != PQ_TEXT || column == PQ_COLUMN_ID || column == PQ_COLUMN_TYPE) {
        return false;
    }
    const struct pq_declared_field *declared = pq_entry_find(entry, field->name);
    return declared == NULL || !(declared->unique || pq_text_equal(field->name, entry->id_field));
}

static pqdb_code create_columns(struct pq_row_reader *reader, pqdb_error *err) {
    const struct pq_type *type = pq_entry_row_type(reader->entry);
    const size_t count = type->field_count;
    reader->hint_count = count_builders(type);
    reader->texts = pq_resize(reader->alloc, NULL, 0, count, sizeof *reader->texts);
    reader->builders = pq_resize(reader->alloc, NULL, 0, count, sizeof *reader->builders);
    reader->hints = pq_resize(reader->alloc, NULL, 0, reader->hint_count, sizeof *reader->hints);
    if (reader->texts == NULL || reader->builders == NULL || reader->hints == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a reader of %zu columns", count);
    }
    reader->column_count = count;
    for (size_t k = 0; k < count; k++) {
        reader->texts[k] = (struct text_column){.is_off = !wants_dictionary(reader->entry, k)};
    }
    memset(reader->hints, 0, reader->hint_count * sizeof *reader->hints);
    const struct pq_text type_name = reader->entry->type_name;
    PQ_TRY(pq_dictionary_create(1, (uint32_t)type_name.length, reader->alloc, &reader->type_name,
                                err));
    return pq_dictionary_code(reader->type_name, type_name) == 0
               ? PQDB_OK
               : pq_fail(err, PQDB_NO_MEMORY, "the type's name");
}

pqdb_code pq_row_reader_create(const struct pq_row_options *options, const struct pq_alloc *alloc,
                               struct pq_row_reader **reader, pqdb_error *err) {
    const struct pq_entry *entry = options->entry;
    if (entry->kind != PQ_ENTRY_COLLECTION && entry->kind != PQ_ENTRY_STREAM) {
        return pq_fail(err, PQDB_UNSUPPORTED, "%.*s is no collection", PQ_TEXT_ARG(entry->name));
    }
    struct pq_row_reader *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a reader of rows");
    *made = (struct pq_row_reader){
        .alloc = alloc,
        .entry = entry,
        .names = pq_variant_names_ref(options->names),
        .env = options->env,
        .set_aside = options->set_aside,
        .rows_max = options->rows_max == 0 ? PQ_ROWS_DEFAULT : options->rows_max,
    };
    pq_arena_init(&made->object.arena, alloc);
    pq_bytes_init(&made->object.converter.scratch, alloc);
    pq_json_reader_init(&made->json, alloc);
    pq_splitter_init(&made->splitter, alloc);
    pqdb_code code;
    PQ_GO(pq_variant_encoder_create(made->names, alloc, &made->object.converter.encoder, err));
    PQ_GO(pq_row_plan_create(entry, alloc, &made->plan, err));
    PQ_GO(create_columns(made, err));
    if (pq_object_plan_needs_digits(made->plan)) made->json_flags = PQ_JSON_RAW_NUMBERS;
    *reader = made;
    return PQDB_OK;
done:
    pq_row_reader_destroy(made);
    return code;
}

void pq_row_reader_destroy(struct pq_row_reader *reader) {
    if (reader == NULL) return;
    pq_hold_unref(reader->hold);
    pq_object_plan_destroy(reader->plan);
    pq_variant_encoder_destroy(reader->object.converter.encoder);
    pq_variant_names_unref(reader->names);
    pq_bytes_deinit(&reader->object.converter.scratch);
    pq_arena_deinit(&reader->object.arena);
    pq_json_reader_deinit(&reader->json);
    pq_splitter_deinit(&reader->splitter);
    pq_dictionary_unref(reader->type_name);
    for (size_t k = 0; k < reader->column_count; k++) {
        pq_dictionary_unref(reader->texts[k].dictionary);
    }
    const struct pq_alloc *alloc = reader->alloc;
    const size_t count = pq_entry_row_type(reader->entry)->field_count;
    pq_free(alloc, reader->texts, count, sizeof *reader->texts);
    pq_free(alloc, reader->builders, count, sizeof *reader->builders);
    pq_free(alloc, reader->hints, reader->hint_count, sizeof *reader->hints);
    pq_free(alloc, reader, 1, sizeof *reader);
}

// ---- the batch --------------------------------------------------------------------------------

/// Give a builder and those below it room like the last time, and variants their names.
static pqdb_code prepare(struct pq_row_reader *reader, struct pq_builder *builder,
                         size_t *hint_index, pqdb_error *err) {
    const struct size_hint hint = reader->hints[(*hint_index)++];
    if (hint.rows > 0) PQ_TRY(pq_builder_reserve(builder, hint.rows, hint.bytes, err));
    if (builder->type->kind == PQ_VARIANT) builder->names = reader->names;
    for (uint32_t k = 0; k < builder->type->field_count; k++) {
        PQ_TRY(prepare(reader, &builder->children[k], hint_index, err));
    }
    return PQDB_OK;
}

static void remember(struct pq_row_reader *reader, const struct pq_builder *builder,
                     size_t *hint_index) {
    const size_t spare = builder->data_length / 8;
    reader->hints[(*hint_index)++] = (struct size_hint){
        .rows = builder->count + builder->count / 8, .bytes = builder->data_length + spare};
    for (uint32_t k = 0; k < builder->type->field_count; k++) {
        remember(reader, &builder->children[k], hint_index);
    }
}

static pqdb_code use_dictionary(struct pq_row_reader *reader, size_t column, pqdb_error *err) {
    struct text_column *text = &reader->texts[column];
    if (text->is_off) return PQDB_OK;
    if (text->dictionary == NULL) {
        PQ_TRY(pq_dictionary_create(PQ_DICTIONARY_ENTRIES_MAX, PQ_DICTIONARY_BYTES_MAX,
                                    reader->alloc, &text->dictionary, err));
        text->rows = 0;
    }
    pq_builder_use_dictionary(&reader->builders[column], text->dictionary);
    return PQDB_OK;
}

/// A full dictionary is followed by a new one, if its texts repeated; else the column has none.
static void judge_dictionary(struct pq_row_reader *reader, size_t column) {
    struct text_column *text = &reader->texts[column];
    if (text->dictionary == NULL) return;
    const struct pq_builder *builder = &reader->builders[column];
    text->rows += builder->count;
    const bool is_full = builder->layout != PQ_DICTIONARY;
    if (text->rows >= dictionary_trial_rows && text->dictionary->count > text->rows / 2) {
        text->is_off = true;
    }
    if (!is_full && !text->is_off) return;
    pq_dictionary_unref(text->dictionary);
    text->dictionary = NULL;
}

static pqdb_code begin_batch(struct pq_row_reader *reader, pqdb_error *err) {
    if (reader->hold != NULL) return PQDB_OK;
    struct pq_hold *hold;
    PQ_TRY(pq_hold_create(reader->alloc, &hold, err));
    const struct pq_type *type = pq_entry_row_type(reader->entry);
    size_t hint_index = 0;
    pqdb_code code = PQDB_OK;
    for (size_t k = 0; k < reader->column_count && code == PQDB_OK; k++) {
        struct pq_builder *builder = &reader->builders[k];
        code = pq_builder_init(builder, &type->fields[k].type, &hold->arena.alloc, err);
        if (code == PQDB_OK) code = use_dictionary(reader, k, err);
        if (code == PQDB_OK) code = prepare(reader, builder, &hint_index, err);
    }
    if (code != PQDB_OK) {
        pq_hold_unref(hold);
        return code;
    }
    reader->hold = hold;
    reader->first_item = reader->next_item;
    reader->items = NULL;
    reader->lines = NULL;
    reader->refusals = NULL;
    reader->item_capacity = reader->refusal_capacity = reader->refusal_count = 0;
    reader->text_bytes = 0;
    reader->text_hash = 0;
    return PQDB_OK;
}

static void drop_batch(struct pq_row_reader *reader) {
    pq_hold_unref(reader->hold);
    reader->hold = NULL;
}

static size_t row_count(const struct pq_row_reader *reader) {
    return reader->hold == NULL ? 0 : reader->builders[PQ_COLUMN_ID].count;
}

static void truncate_rows(struct pq_row_reader *reader, size_t count) {
    for (size_t k = 0; k < reader->column_count; k++) {
        if (!is_uniform(reader->entry, k)) pq_builder_truncate(&reader->builders[k], count);
    }
}

// ---- items ------------------------------------------------------------------------------------

/// One more place in an array that lives in the hold. NULL when memory is out.
static void *grow(struct pq_row_reader *reader, void *array, size_t *capacity, size_t item_bytes) {
    const size_t grown = *capacity == 0 ? 16 : *capacity * 2;
    void *moved = pq_resize(&reader->hold->arena.alloc, array, *capacity, grown, item_bytes);
    if (moved != NULL) *capacity = grown;
    return moved;
}

static pqdb_code append_item(struct pq_row_reader *reader, uint64_t index, uint64_t line,
                             pqdb_error *err) {
    const size_t row = row_count(reader) - 1;
    if (row == reader->item_capacity) {
        size_t line_capacity = reader->item_capacity;
        void *lines = grow(reader, reader->lines, &line_capacity, sizeof *reader->lines);
        if (lines != NULL) reader->lines = lines;
        void *items = lines == NULL ? NULL : grow(reader, reader->items, &reader->item_capacity,
                                                  sizeof *reader->items);
        if (items == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a batch of %zu rows", row);
        reader->items = items;
    }
    reader->items[row] = (uint32_t)(index - reader->first_item);
    reader->lines[row] = line;
    return PQDB_OK;
}

/// Set an item aside, or fail with it.
static pqdb_code refuse(struct pq_row_reader *reader, const struct pq_item *item, uint64_t index,
                        const pqdb_error *fault, pqdb_error *err) {
    if (!reader->set_aside) {
        if (reader->is_alone) {
            const char *const whose = fault->subject[0] == '\0' ? "the row " : "";
            pq_fail(err, fault->code, "%s%s", whose, fault->message);
            return pq_fail_subject(err, fault->code, pq_text_of(fault->subject));
        }
        pq_fail(err, fault->code, "item %" PRIu64 " (line %" PRIu64 ") %s", index, item->line,
                fault->message);
        return pq_fail_subject(err, fault->code, pq_text_of(fault->subject));
    }
    if (reader->refusal_count == reader->refusal_capacity) {
        void *grown = grow(reader, reader->refusals, &reader->refusal_capacity,
                           sizeof *reader->refusals);
        if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a refused item");
        reader->refusals = grown;
    }
    struct pq_text text = item->original.data != NULL ? item->original : item->text;
    const bool is_cut = item->is_too_long || text.length > PQ_REFUSAL_TEXT_MAX;
    if (text.length > PQ_REFUSAL_TEXT_MAX) text.length = PQ_REFUSAL_TEXT_MAX;
    struct pq_arena *arena = &reader->hold->arena;
    const struct pq_refusal refusal = {
        .index = index,
        .line = item->line,
        .code = fault->code,
        .field = pq_arena_copy(arena, pq_text_of(fault->subject)),
        .message = pq_arena_copy(arena, pq_text_of(fault->message)),
        .text = pq_arena_copy(arena, text),
        .is_cut = is_cut,
    };
    if (refusal.field.data == NULL || refusal.message.data == NULL || refusal.text.data == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a refused item");
    }
    reader->refusals[reader->refusal_count++] = refusal;
    return PQDB_OK;
}

/// The item as a row, or what is wrong with it in `fault`.
static pqdb_code read_row(struct pq_row_reader *reader, const struct pq_item *item,
                          pqdb_error *fault) {
    if (item->fault != NULL) {
        return pq_fail(fault, item->is_too_long ? PQDB_LIMIT : PQDB_INVALID, "%s", item->fault);
    }
    const struct pq_json *root;
    pqdb_error parse = {0};
    const pqdb_code code = pq_json_reader_parse(&reader->json, item->text, reader->json_flags,
                                                &root, &parse);
    if (code != PQDB_OK) {
        const int64_t at = parse.offset < 0 ? 0 : parse.offset + 1;
        return pq_fail(fault, code, "is not JSON: at byte %" PRId64 " %s", at, parse.message);
    }
    if (pq_json_kind(root) != PQ_JSON_OBJECT) {
        return pq_fail(fault, PQDB_INVALID, "must be an object, not %s", pq_json_kind_name(root));
    }
    PQ_TRY(pq_object_read(&reader->object, reader->plan, root, reader->builders, fault));
    if (reader->object.arena.blocks != NULL) pq_arena_reset(&reader->object.arena);
    return PQDB_OK;
}

static pqdb_code read_item(struct pq_row_reader *reader, const struct pq_item *item,
                           pqdb_error *err) {
    PQ_TRY(begin_batch(reader, err));
    const uint64_t index = reader->next_item++;
    const size_t rows = row_count(reader);
    pqdb_error fault;
    fault.subject[0] = '\0';
    reader->text_bytes += item->text.length;
    reader->text_hash =
        pq_hash_word(reader->text_hash ^ pq_hash(item->text.data, item->text.length));
    const pqdb_code code = read_row(reader, item, &fault);
    if (code == PQDB_OK) return append_item(reader, index, item->line, err);
    truncate_rows(reader, rows);
    if (code == PQDB_NO_MEMORY) return pq_fail(err, code, "%s", fault.message);
    return refuse(reader, item, index, &fault, err);
}

// ---- input ------------------------------------------------------------------------------------

static int64_t now_us(const struct pq_row_reader *reader) {
    return reader->env->now_us(reader->env->ctx);
}

size_t pq_row_reader_count(const struct pq_row_reader *reader) {
    return reader->hold == NULL ? 0 : row_count(reader) + reader->refusal_count;
}

bool pq_row_reader_is_full(const struct pq_row_reader *reader) {
    if (reader->hold == NULL || reader->is_unbounded) return false;
    return pq_row_reader_count(reader) >= reader->rows_max ||
           reader->text_bytes >= PQ_ROWS_TEXT_BYTES;
}

/// Is there nothing but one item in an input that is read as a whole?
static bool is_alone(const struct pq_row_reader *reader, struct pq_text rest) {
    if (!reader->is_unbounded || reader->next_item > 0) return false;
    for (size_t i = 0; i < rest.length; i++) {
        if (strchr(" \t\r\n]", rest.data[i]) == NULL || rest.data[i] == '\0') return false;
    }
    return true;
}

pqdb_code pq_row_reader_push(struct pq_row_reader *reader, struct pq_text chunk, size_t *used,
                             pqdb_error *err) {
    struct pq_text input = chunk;
    reader->object.received_us = now_us(reader);
    pqdb_code code = PQDB_OK;
    while (code == PQDB_OK && input.length > 0 && !pq_row_reader_is_full(reader)) {
        struct pq_item item;
        bool found;
        code = pq_splitter_next(&reader->splitter, &input, &item, &found, err);
        if (code != PQDB_OK || !found) continue;
        reader->is_alone = is_alone(reader, input);
        code = read_item(reader, &item, err);
    }
    if (code != PQDB_OK) drop_batch(reader);
    *used = chunk.length - input.length;
    return code;
}

pqdb_code pq_row_reader_add(struct pq_row_reader *reader, const struct pq_row_item *item,
                            pqdb_error *err) {
    const struct pq_item read = {.text = item->fault == NULL ? item->json : item->original,
                                 .line = item->line,
                                 .fault = item->fault,
                                 .original = item->original};
    reader->object.received_us = now_us(reader);
    const pqdb_code code = read_item(reader, &read, err);
    if (code != PQDB_OK) drop_batch(reader);
    return code;
}

pqdb_code pq_row_reader_end(struct pq_row_reader *reader, pqdb_error *err) {
    struct pq_item item;
    reader->object.received_us = now_us(reader);
    while (pq_splitter_end(&reader->splitter, &item)) {
        reader->is_alone = is_alone(reader, PQ_TEXT(""));
        const pqdb_code code = read_item(reader, &item, err);
        if (code != PQDB_OK) {
            drop_batch(reader);
            return code;
        }
    }
    return PQDB_OK;
}

void pq_row_reader_restart(struct pq_row_reader *reader) {
    drop_batch(reader);
    pq_splitter_reset(&reader->splitter);
    reader->next_item = 0;
}

// ---- handing over -----------------------------------------------------------------------------

/// A column of nulls, or of the type's name, with memory that pq_rows_stamp may write.
static pqdb_code uniform_column(struct pq_row_reader *reader, size_t column, size_t count,
                                struct pq_column *out, pqdb_error *err) {
    const struct pq_type *type = &pq_entry_row_type(reader->entry)->fields[column].type;
    struct pq_arena *arena = &reader->hold->arena;
    const bool is_name = column == PQ_COLUMN_TYPE;
    void *values = pq_arena_calloc(arena, count, is_name ? sizeof(uint32_t) : sizeof(int64_t));
    void *valid = is_name ? NULL : pq_arena_calloc(arena, count, 1);
    if (values == NULL || (valid == NULL && !is_name)) {
        return pq_fail(err, PQDB_NO_MEMORY, "column of %zu rows", count);
    }
    *out = (struct pq_column){.type = type,
                              .layout = is_name ? PQ_DICTIONARY : PQ_FIXED,
                              .count = count,
                              .valid = valid,
                              .values = values,
                              .dictionary = is_name ? reader->type_name : NULL};
    return PQDB_OK;
}

static pqdb_code finish_batch(struct pq_row_reader *reader, struct pq_batch *batch,
                              pqdb_error *err) {
    const size_t rows = row_count(reader);
    struct pq_column *columns = pq_arena_alloc(&reader->hold->arena,
                                               reader->column_count * sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a batch of %zu rows", rows);
    for (size_t k = 0; k < reader->column_count; k++) {
        if (is_uniform(reader->entry, k)) {
            PQ_TRY(uniform_column(reader, k, rows, &columns[k], err));
        } else {
            columns[k] = pq_builder_finish(&reader->builders[k]);
            pq_assert(columns[k].count == rows);
        }
        pq_assert_slow(pq_column_is_sound(&columns[k], NULL));
    }
    *batch = (struct pq_batch){
        .type = pq_entry_row_type(reader->entry), .count = rows, .columns = columns};
    return pq_hold_keep_dictionaries(reader->hold, batch, err);
}

pqdb_code pq_row_reader_take(struct pq_row_reader *reader, struct pq_row_batch *rows,
                             pqdb_error *err) {
    PQ_TRY(begin_batch(reader, err));
    struct pq_batch batch;
    const pqdb_code code = finish_batch(reader, &batch, err);
    if (code != PQDB_OK) {
        drop_batch(reader);
        return code;
    }
    *rows = (struct pq_row_batch){
        .hold = reader->hold,
        .batch = batch,
        .first_item = reader->first_item,
        .items = reader->items,
        .lines = reader->lines,
        .refusals = reader->refusals,
        .refusal_count = reader->refusal_count,
        .missing_ids = reader->builders[PQ_COLUMN_ID].null_count,
        .text_bytes = reader->text_bytes,
        .text_hash = reader->text_hash,
    };
    size_t hint_index = 0;
    for (size_t k = 0; k < reader->column_count; k++) {
        remember(reader, &reader->builders[k], &hint_index);
        judge_dictionary(reader, k);
    }
    reader->hold = NULL;
    return PQDB_OK;
}

pqdb_code pq_row_reader_read(struct pq_row_reader *reader, struct pq_text text,
                             struct pq_row_batch *rows, pqdb_error *err) {
    size_t used;
    pq_row_reader_restart(reader);
    reader->is_unbounded = true;
    pqdb_code code = pq_row_reader_push(reader, text, &used, err);
    if (code == PQDB_OK) code = pq_row_reader_end(reader, err);
    if (code == PQDB_OK) code = pq_row_reader_take(reader, rows, err);
    reader->is_unbounded = reader->is_alone = false;
    if (code != PQDB_OK) pq_row_reader_restart(reader);
    return code;
}
