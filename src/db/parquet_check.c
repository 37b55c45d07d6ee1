/// db/parquet_check.c: is a Parquet file sound? Every page is decoded, and what the statistics say
/// is held against the values.
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "db/parquet_internal.h"
#include "expr/compare.h"
#include "variant/variant.h"

struct check {
    pqdb_parquet *file;
    pqdb_on_parquet_problem on_problem;
    void *ctx;
    struct pq_variant_names *names;
    struct pq_variant_encoder *encoder;
    pqdb_parquet_checked found;
    size_t group;
};

static const char *code_name(pqdb_code code) {
    return code == PQDB_CORRUPT       ? "CORRUPT"
           : code == PQDB_UNSUPPORTED ? "UNSUPPORTED"
           : code == PQDB_LIMIT       ? "LIMIT"
           : code == PQDB_IO          ? "IO"
                                      : "INVALID";
}

static void tell(struct check *check, pqdb_code code, const pqdb_error *err) {
    check->found.problems++;
    if (check->on_problem == NULL) return;
    const pqdb_parquet_problem problem = {.group = check->group, .column = err->subject,
                                          .offset = err->offset, .code = code_name(code),
                                          .message = err->message};
    check->on_problem(check->ctx, &problem);
}

static void tell_of(struct check *check, const struct pq_field *field, const char *message) {
    pqdb_error err = {.offset = -1};
    pq_fail_subject(&err, PQDB_CORRUPT, field->name);
    snprintf(err.message, sizeof err.message, "%s", message);
    tell(check, PQDB_CORRUPT, &err);
}

/// A zero bound includes both zeros; NaN is outside of bounds.
static bool is_within(const struct pq_parquet_bounds *bounds, const struct pq_value *value) {
    const bool is_real = value->kind == PQ_FLOAT32 || value->kind == PQ_FLOAT64;
    if (is_real && value->as.real != value->as.real) return true;
    return (!bounds->has_min || pq_value_compare(&bounds->min, value) <= 0) &&
           (!bounds->has_max || pq_value_compare(value, &bounds->max) <= 0);
}

static void check_bounds(struct check *check, const struct pq_field *field, int leaf,
                         const struct pq_column *column) {
    struct pq_parquet_bounds bounds;
    pq_parquet_group_bounds(check->file->file, check->group, (size_t)leaf, &bounds);
    if (bounds.null_count < 0 && !bounds.has_min && !bounds.has_max) return;
    int64_t nulls = 0;
    bool are_within = true;
    for (size_t i = 0; i < column->count; i++) {
        if (pq_column_is_null(column, i)) {
            nulls++;
        } else if (are_within && (bounds.has_min || bounds.has_max)) {
            const struct pq_value value = pq_column_value(column, i);
            are_within = is_within(&bounds, &value);
        }
    }
    check->found.bounds++;
    if (!are_within) tell_of(check, field, "a value lies outside of the column's statistics");
    if (bounds.null_count >= 0 && bounds.null_count != nulls) {
        tell_of(check, field, "the statistics count other nulls than there are");
    }
}

/// Every value must be in the bloom filter.
static void check_bloom(struct check *check, const struct pq_field *field, int leaf,
                        const struct pq_column *column) {
    for (size_t i = 0; i < column->count; i++) {
        if (pq_column_is_null(column, i)) continue;
        const struct pq_value value = pq_column_value(column, i);
        pqdb_error problem = {.offset = -1};
        bool may_hold;
        const pqdb_code code = pq_parquet_may_hold(check->file->file, check->group, (size_t)leaf,
                                                   &value, &may_hold, &problem);
        if (code != PQDB_OK) {
            tell(check, code, &problem);
            return;
        }
        if (may_hold) continue;
        tell_of(check, field, "the bloom filter lacks a value");
        return;
    }
}

static pqdb_code check_member(struct check *check, uint32_t member, pqdb_error *err) {
    const struct pq_parquet_file *file = check->file->file;
    if (pq_parquet_unreadable(file, member) != NULL) {
        check->found.unsupported++;
        return PQDB_OK;
    }
    struct pq_hold *hold;
    PQ_TRY(pq_hold_create(check->file->alloc, &hold, err));
    const struct pq_parquet_request request = {
        .fields = &member, .field_count = 1, .group = check->group, .row_count = UINT64_MAX,
        .encoder = check->encoder, .names = check->names, .hold = hold};
    struct pq_batch batch;
    pqdb_error problem = {.offset = -1};
    const pqdb_code code = pq_parquet_read(file, &request, &hold->arena, &batch, &problem);
    if (code == PQDB_OK) {
        check->found.values += batch.count;
        const int leaf = pq_parquet_leaf(file, member);
        if (leaf >= 0) {
            const struct pq_field *field = &pq_parquet_type(file)->fields[member];
            check_bounds(check, field, leaf, &batch.columns[0]);
            check_bloom(check, field, leaf, &batch.columns[0]);
        }
    } else if (code != PQDB_NO_MEMORY) {
        tell(check, code, &problem);
    }
    pq_hold_unref(hold);
    if (code == PQDB_NO_MEMORY && err != NULL) *err = problem;
    return code == PQDB_NO_MEMORY ? code : PQDB_OK;
}

static void count_page(void *ctx, const pqdb_parquet_page *page) {
    struct check *check = ctx;
    check->found.pages++;
    check->found.pages_with_crc += page->has_crc;
}

/// Headers are counted, and the page index is loaded, which checks it.
static void check_leaf(struct check *check, size_t leaf) {
    const struct pq_parquet_file *file = check->file->file;
    pqdb_error problem = {.offset = -1};
    pqdb_code code = pq_parquet_walk_pages(file, check->group, leaf, count_page, check, &problem);
    // What reading a damaged page said already need not be said again.
    if (code == PQDB_CORRUPT && check->found.problems > 0) code = PQDB_OK;
    struct pq_parquet_pages pages;
    if (code == PQDB_OK) code = pq_parquet_pages(file, check->group, leaf, &pages, &problem);
    if (code != PQDB_OK && code != PQDB_UNSUPPORTED) tell(check, code, &problem);
}

/// The only bytes that no checksum covers.
static void check_start(struct check *check) {
    char magic[4];
    pqdb_error problem = {.offset = 0};
    pqdb_code code = pq_file_read_all(check->file->bytes, 0, magic, sizeof magic, &problem);
    if (code == PQDB_OK && memcmp(magic, "PAR1", sizeof magic) != 0) {
        code = pq_fail(&problem, PQDB_CORRUPT, "it does not begin with PAR1");
        problem.offset = 0;
    }
    if (code != PQDB_OK) tell(check, code, &problem);
}

static pqdb_code check_all(struct check *check, pqdb_error *err) {
    const struct pq_parquet_file *file = check->file->file;
    check_start(check);
    PQ_TRY(pq_variant_names_create(check->file->alloc, &check->names, err));
    PQ_TRY(pq_variant_encoder_create(check->names, check->file->alloc, &check->encoder, err));
    for (size_t g = 0; g < pq_parquet_group_count(file); g++) {
        check->group = g;
        for (uint32_t k = 0; k < pq_parquet_type(file)->field_count; k++) {
            PQ_TRY(check_member(check, k, err));
        }
        for (size_t i = 0; i < pq_parquet_leaf_count(file); i++) check_leaf(check, i);
    }
    return PQDB_OK;
}

pqdb_code pqdb_parquet_check(pqdb_parquet *file, pqdb_on_parquet_problem on_problem, void *ctx,
                             pqdb_parquet_checked *checked, pqdb_error *err) {
    struct check check = {.file = file, .on_problem = on_problem, .ctx = ctx};
    const pqdb_code code = check_all(&check, err);
    pq_variant_encoder_destroy(check.encoder);
    pq_variant_names_unref(check.names);
    if (code == PQDB_OK) *checked = check.found;
    return code;
}
