/// db/set_aside.c: items that a stream does not take: told, and kept in rejected/.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/fail.h"
#include "base/json.h"
#include "db/write_internal.h"
#include "expr/print.h"

enum { path_max = 512 };

static const char *code_name(pqdb_code code) {
    return code == PQDB_LIMIT ? "LIMIT" : code == PQDB_CONFLICT ? "CONFLICT" : "INVALID";
}

static pqdb_code print_refusal(const struct pq_refusal *refusal, struct pq_bytes *out,
                               pqdb_error *err) {
    PQ_TRY(pq_bytes_printf(out, err, "{\"index\":%" PRIu64 ",\"line\":%" PRIu64 ",\"code\":\"%s\"",
                           refusal->index, refusal->line, code_name(refusal->code)));
    PQ_TRY(pq_bytes_printf(out, err, ",\"field\":"));
    PQ_TRY(pq_json_write_text(out, refusal->field, err));
    PQ_TRY(pq_bytes_printf(out, err, ",\"message\":"));
    PQ_TRY(pq_json_write_text(out, refusal->message, err));
    if (refusal->is_cut) PQ_TRY(pq_bytes_printf(out, err, ",\"cut\":true"));
    // What is no UTF-8 could not be written as a JSON text.
    const bool is_text = pq_text_is_utf8(refusal->text);
    PQ_TRY(pq_bytes_printf(out, err, is_text ? ",\"item\":" : ",\"itemBase64\":"));
    if (is_text) {
        PQ_TRY(pq_json_write_text(out, refusal->text, err));
    } else {
        PQ_TRY(pq_bytes_append_byte(out, '"', err));
        PQ_TRY(pq_base64_write(out, refusal->text, err));
        PQ_TRY(pq_bytes_append_byte(out, '"', err));
    }
    return pq_bytes_append_text(out, PQ_TEXT("}\n"), err);
}

static pqdb_code append_refusals(pqdb_db *db, const char *path, struct pq_text lines,
                                 pqdb_error *err) {
    struct pq_file *file = NULL;
    uint64_t end;
    pqdb_code code;
    PQ_GO(pq_store_make_directory(db->store, "rejected", err));
    PQ_GO(pq_file_open(db->store, path, PQ_OPEN_WRITE, &file, err));
    PQ_GO(pq_file_size(file, &end, err));
    PQ_GO(pq_file_write(file, end, &lines, 1, err));
    PQ_GO(pq_file_sync(file, err));
    PQ_GO(pq_store_sync_directory(db->store, "rejected", err));
done:
    pq_file_close(file);
    return code;
}

pqdb_code pq_db_keep_refusals(pqdb_db *db, const struct pq_db_table *table,
                              const struct pq_refusal *refusals, size_t count, pqdb_error *err) {
    if (count == 0) return PQDB_OK;
    char path[path_max];
    snprintf(path, sizeof path, "rejected/%.*s.ndjson", PQ_TEXT_ARG(table->entry->name));
    struct pq_bytes lines;
    pq_bytes_init(&lines, db->alloc);
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; code == PQDB_OK && i < count; i++) {
        code = print_refusal(&refusals[i], &lines, err);
    }
    if (code == PQDB_OK) {
        pthread_mutex_lock(&db->refusals);
        code = append_refusals(db, path, pq_bytes_text(&lines), err);
        pthread_mutex_unlock(&db->refusals);
    }
    pq_bytes_deinit(&lines);
    return code;
}

void pq_db_tell_refusals(const struct pqdb_write_options *options,
                         const struct pq_refusal *refusals, size_t count) {
    if (options == NULL || options->on_refusal == NULL) return;
    for (size_t i = 0; i < count; i++) {
        const struct pq_refusal *refusal = &refusals[i];
        char field[256], message[512];
        snprintf(field, sizeof field, "%.*s", PQ_TEXT_ARG(refusal->field));
        snprintf(message, sizeof message, "%.*s", PQ_TEXT_ARG(refusal->message));
        const pqdb_refusal told = {.index = refusal->index, .line = refusal->line, .field = field,
                                   .code = code_name(refusal->code), .message = message};
        options->on_refusal(options->ctx, &told);
    }
}

// ---- rows that the leader would not take ------------------------------------------------------

/// The row as the item it was: its id, what is declared and what is not.
static pqdb_code print_item(const struct pq_batch *batch, size_t row, struct pq_bytes *out,
                            pqdb_error *err) {
    const struct pq_type *type = batch->type;
    const size_t extra = type->field_count - 1;
    PQ_TRY(pq_bytes_append_byte(out, '{', err));
    bool is_first = true;
    for (size_t k = 0; k < type->field_count; k++) {
        const bool is_given = k == PQ_COLUMN_ID || (k >= PQ_COLUMN_DECLARED && k < extra);
        if (!is_given || pq_column_is_null(&batch->columns[k], row)) continue;
        if (!is_first) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        is_first = false;
        PQ_TRY(pq_json_write_text(out, type->fields[k].name, err));
        PQ_TRY(pq_bytes_append_byte(out, ':', err));
        PQ_TRY(pq_print_row(out, &batch->columns[k], row, err));
    }
    if (!pq_column_is_null(&batch->columns[extra], row)) {
        const size_t at = out->length;
        PQ_TRY(pq_print_row(out, &batch->columns[extra], row, err));
        out->data[at] = is_first ? ' ' : ',';  // in the place of its brace
        return PQDB_OK;
    }
    return pq_bytes_append_byte(out, '}', err);
}

static pqdb_code make_refusal(const struct pq_row_batch *rows, size_t row, const pqdb_error *fault,
                              struct pq_refusal *refusal, pqdb_error *err) {
    struct pq_arena *arena = &rows->hold->arena;
    struct pq_bytes item;
    pq_bytes_init(&item, &arena->alloc);
    PQ_TRY(print_item(&rows->batch, row, &item, err));
    *refusal = (struct pq_refusal){.index = rows->first_item + rows->items[row],
                                   .line = rows->lines[row], .code = fault->code,
                                   .field = pq_arena_copy(arena, pq_text_of(fault->subject)),
                                   .message = pq_arena_copy(arena, pq_text_of(fault->message)),
                                   .text = pq_bytes_text(&item)};
    if (refusal->text.length > PQ_REFUSAL_TEXT_MAX) {
        refusal->text.length = PQ_REFUSAL_TEXT_MAX;
        refusal->is_cut = true;
    }
    if (refusal->field.data != NULL && refusal->message.data != NULL) return PQDB_OK;
    return pq_fail(err, PQDB_NO_MEMORY, "a refused item");
}

/// The batch without the rows that are set aside.
static pqdb_code drop_rows(struct pq_row_batch *rows, const uint32_t *gone, size_t count,
                           pqdb_error *err) {
    struct pq_arena *arena = &rows->hold->arena;
    const size_t before = rows->batch.count;
    uint32_t *kept = pq_arena_alloc(arena, before * sizeof *kept);
    uint32_t *items = pq_arena_alloc(arena, before * sizeof *items);
    uint64_t *lines = pq_arena_alloc(arena, before * sizeof *lines);
    if (kept == NULL || items == NULL || lines == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a batch of %zu rows", before);
    }
    size_t left = 0, next = 0;
    for (size_t row = 0; row < before; row++) {
        if (next < count && gone[next] == row) {
            next++;
            continue;
        }
        kept[left] = (uint32_t)row;
        items[left] = rows->items[row];
        lines[left++] = rows->lines[row];
    }
    struct pq_batch batch;
    PQ_TRY(pq_batch_gather(&rows->batch, kept, left, arena, &batch, err));
    rows->batch = batch;
    rows->items = items;
    rows->lines = lines;
    return PQDB_OK;
}

pqdb_code pq_db_set_aside(struct pq_db_change *change, pqdb_error *err) {
    struct pq_row_batch *rows = change->rows;
    const size_t count = change->set_aside_count, before = rows->refusal_count;
    struct pq_refusal *all =
        pq_arena_alloc(&rows->hold->arena, (before + count) * sizeof *all);
    if (all == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu refused items", count);
    if (before > 0) memcpy(all, rows->refusals, before * sizeof *all);
    for (size_t i = 0; i < count; i++) {
        PQ_TRY(make_refusal(rows, change->set_aside[i], &change->faults[i], &all[before + i],
                            err));
    }
    PQ_TRY(drop_rows(rows, change->set_aside, count, err));
    rows->refusals = all;
    rows->refusal_count = before + count;
    return PQDB_OK;
}

static int compare_refusals(const void *a, const void *b) {
    const struct pq_refusal *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

void pq_db_sort_refusals(struct pq_row_batch *rows) {
    if (rows->refusal_count < 2) return;
    qsort((struct pq_refusal *)(uintptr_t)rows->refusals, rows->refusal_count,
          sizeof *rows->refusals, compare_refusals);
}
