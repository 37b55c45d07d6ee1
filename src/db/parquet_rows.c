/// db/parquet_rows.c: the rows of a Parquet file that stands alone, piece by piece.
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/fail.h"
#include "base/json.h"
#include "db/answer_internal.h"
#include "db/parquet_internal.h"
#include "expr/print.h"
#include "variant/variant.h"

enum { piece_rows = 8192 };

struct file_answer {
    const struct pq_alloc *alloc;
    const struct pq_parquet_file *file;
    const char *path;   // of the file, as it was given
    uint32_t *members;  // that can be read
    size_t member_count;
    struct pq_variant_names *names;
    struct pq_variant_encoder *encoder;
    struct pq_hold *hold;  // of the piece
    struct pq_batch batch;
    size_t row;            // in the piece
    size_t group;
    uint64_t next_row;     // of the group: not read yet
    bool is_indexed;       // pages of `group` can be read alone
    bool has_begun;
};

static const struct pq_field *field_of(const struct file_answer *answer, size_t column) {
    pq_assert(column < answer->member_count);
    return &pq_parquet_type(answer->file)->fields[answer->members[column]];
}

static size_t column_count(const void *ctx) {
    return ((const struct file_answer *)ctx)->member_count;
}

static const char *column_name(const void *ctx, size_t column) {
    return field_of(ctx, column)->name.data;
}

static enum pq_kind column_kind(const void *ctx, size_t column) {
    return field_of(ctx, column)->type.kind;
}

/// Do all leaves of the group have an offset index? Then a piece costs its own pages only.
static bool is_indexed(const struct file_answer *answer) {
    const size_t leaves = pq_parquet_leaf_count(answer->file);
    for (size_t i = 0; i < leaves; i++) {
        struct pq_parquet_pages pages;
        const pqdb_code code = pq_parquet_pages(answer->file, answer->group, i, &pages, NULL);
        if (code != PQDB_OK || pages.count == 0) return false;
    }
    return true;
}

/// "file, column" is what an error is about.
static pqdb_code name_file(const struct file_answer *answer, pqdb_code code, pqdb_error *err) {
    if (err == NULL) return code;
    char column[sizeof err->subject];
    memcpy(column, err->subject, sizeof column);
    snprintf(err->subject, sizeof err->subject, "%s%s%.100s", answer->path,
             column[0] == '\0' ? "" : ", ", column);
    return code;
}

static pqdb_code read_piece(struct file_answer *answer, pqdb_error *err) {
    pq_hold_unref(answer->hold);
    answer->hold = NULL;
    answer->batch = (struct pq_batch){0};
    answer->row = 0;
    PQ_TRY(pq_hold_create(answer->alloc, &answer->hold, err));
    const struct pq_parquet_request request = {
        .fields = answer->members,
        .field_count = answer->member_count,
        .group = answer->group,
        .first_row = answer->next_row,
        .row_count = answer->is_indexed ? piece_rows : UINT64_MAX,
        .encoder = answer->encoder,
        .names = answer->names,
        .hold = answer->hold,
    };
    const pqdb_code code =
        pq_parquet_read(answer->file, &request, &answer->hold->arena, &answer->batch, err);
    if (code != PQDB_OK) return name_file(answer, code, err);
    answer->next_row += answer->batch.count;
    return PQDB_OK;
}

static pqdb_code next_row(void *ctx, bool *has_row, pqdb_error *err) {
    struct file_answer *answer = ctx;
    if (answer->has_begun) answer->row++;
    while (answer->row >= answer->batch.count) {
        const size_t groups = pq_parquet_group_count(answer->file);
        if (answer->has_begun && answer->group < groups &&
            answer->next_row >= pq_parquet_group_rows(answer->file, answer->group)) {
            answer->group++;
            answer->next_row = 0;
        }
        if (answer->group >= groups) {
            *has_row = false;
            return PQDB_OK;
        }
        if (answer->next_row == 0) answer->is_indexed = is_indexed(answer);
        answer->has_begun = true;
        if (pq_parquet_group_rows(answer->file, answer->group) == 0) continue;
        PQ_TRY(read_piece(answer, err));
    }
    *has_row = true;
    return PQDB_OK;
}

/// In files of ours `_extra` holds the fields that were not declared: they show inline.
static bool is_extra(const struct file_answer *answer, size_t column) {
    const struct pq_field *field = field_of(answer, column);
    return field->type.kind == PQ_VARIANT && pq_text_is(field->name, "_extra");
}

static pqdb_code print_extra(struct pq_bytes *out, const struct pq_column *column, size_t row,
                             pqdb_error *err) {
    if (pq_column_is_null(column, row)) return PQDB_OK;
    const struct pq_value value = pq_column_value(column, row);
    const struct pq_variant *extra = &value.as.variant;
    if (pq_variant_shape(extra) != PQ_VARIANT_OBJECT) return PQDB_OK;
    const size_t count = pq_variant_count(extra);
    for (size_t k = 0; k < count; k++) {
        struct pq_text name;
        const struct pq_variant member = pq_variant_at(extra, k, &name);
        PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_json_write_text(out, name, err));
        PQ_TRY(pq_bytes_append_byte(out, ':', err));
        PQ_TRY(pq_variant_write_json(&member, out, err));
    }
    return PQDB_OK;
}

static pqdb_code print_row(void *ctx, struct pq_bytes *out, pqdb_error *err) {
    struct file_answer *answer = ctx;
    for (size_t k = 0; k < answer->member_count; k++) {
        if (k > 0 && is_extra(answer, k)) {
            PQ_TRY(print_extra(out, &answer->batch.columns[k], answer->row, err));
            continue;
        }
        PQ_TRY(pq_bytes_append_byte(out, k == 0 ? '{' : ',', err));
        PQ_TRY(pq_json_write_text(out, field_of(answer, k)->name, err));
        PQ_TRY(pq_bytes_append_byte(out, ':', err));
        PQ_TRY(pq_print_row(out, &answer->batch.columns[k], answer->row, err));
    }
    return pq_bytes_append_byte(out, '}', err);
}

static pqdb_code print_cell(void *ctx, size_t column, struct pq_bytes *out, bool *is_null,
                            pqdb_error *err) {
    struct file_answer *answer = ctx;
    const struct pq_column *cells = &answer->batch.columns[column];
    *is_null = pq_column_is_null(cells, answer->row);
    if (*is_null) return PQDB_OK;
    struct pq_value value = pq_column_value(cells, answer->row);
    if (value.kind == PQ_VARIANT) value = pq_variant_unwrap(&value.as.variant);
    return pq_print_text(out, &value, err);
}

static void close_answer(void *ctx) {
    struct file_answer *answer = ctx;
    pq_hold_unref(answer->hold);
    pq_variant_encoder_destroy(answer->encoder);
    pq_variant_names_unref(answer->names);
    const size_t members = pq_parquet_type(answer->file)->field_count;
    pq_free(answer->alloc, answer->members, members, sizeof *answer->members);
    pq_free(answer->alloc, answer, 1, sizeof *answer);
}

static const struct pq_answer_kind file_answer_kind = {
    .column_count = column_count, .column_name = column_name, .column_kind = column_kind,
    .next = next_row, .json = print_row, .cell = print_cell, .close = close_answer};

/// Which members can be read; the first one that cannot is noted.
static pqdb_code choose_members(struct file_answer *answer, pqdb_rows *rows, pqdb_error *err) {
    const struct pq_type *type = pq_parquet_type(answer->file);
    answer->members =
        pq_resize(answer->alloc, NULL, 0, type->field_count, sizeof *answer->members);
    if (answer->members == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an answer");
    size_t left_out = 0;
    for (uint32_t k = 0; k < type->field_count; k++) {
        const char *why = pq_parquet_unreadable(answer->file, k);
        if (why == NULL) {
            answer->members[answer->member_count++] = k;
        } else if (left_out++ == 0) {
            snprintf(rows->shows.note, sizeof rows->shows.note, "%.*s is left out: %s",
                     PQ_TEXT_ARG(type->fields[k].name), why);
        }
    }
    if (answer->member_count > 0) return PQDB_OK;
    return pq_fail(err, PQDB_UNSUPPORTED, "no column can be read: %s",
                   pq_parquet_unreadable(answer->file, 0));
}

pqdb_code pqdb_parquet_rows(pqdb_parquet *file, pqdb_rows **rows, pqdb_error *err) {
    pqdb_rows *made;
    PQ_TRY(pq_answer_create(file->alloc, &made, err));
    struct file_answer *answer = pq_resize(file->alloc, NULL, 0, 1, sizeof *answer);
    if (answer == NULL) {
        pqdb_rows_close(made);
        return pq_fail(err, PQDB_NO_MEMORY, "an answer");
    }
    *answer = (struct file_answer){.alloc = file->alloc, .file = file->file,
                                   .path = file->path};
    made->kind = &file_answer_kind;
    made->ctx = answer;
    pqdb_code code;
    PQ_GO(choose_members(answer, made, err));
    PQ_GO(pq_variant_names_create(file->alloc, &answer->names, err));
    PQ_GO(pq_variant_encoder_create(answer->names, file->alloc, &answer->encoder, err));
    *rows = made;
done:
    if (code != PQDB_OK) pqdb_rows_close(made);
    return code;
}
