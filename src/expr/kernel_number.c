/// Arithmetic of ints and doubles, choices between them, and date buckets, by the column.
#include <math.h>

#include "base/fail.h"
#include "base/zone.h"
#include "expr/functions_internal.h"
#include "expr/run_internal.h"
#include "type/timestamp.h"

/// Is every row null of `a` or of `b`: NULL when no row is.
static pqdb_code both_valid(struct pq_run *run, const uint8_t *a, const uint8_t *b, uint8_t **out,
                            pqdb_error *err) {
    *out = NULL;
    if (a == NULL && b == NULL) return PQDB_OK;
    *out = pq_run_alloc(run, run->count, err);
    if (*out == NULL) return PQDB_NO_MEMORY;
    for (size_t i = 0; i < run->count; i++) {
        (*out)[i] = (a == NULL || a[i] != PQ_ROW_NULL) && (b == NULL || b[i] != PQ_ROW_NULL);
    }
    return PQDB_OK;
}

/// Two operands as arrays of one type, constants spread out.
struct pair {
    const void *a, *b;
    uint8_t *valid;  // NULL: no null
};

static const void *spread(struct pq_run *run, const struct pq_value *value, enum pq_kind kind,
                          pqdb_error *err) {
    int64_t *ints = pq_run_alloc(run, run->count * sizeof *ints, err);
    double *reals = (double *)(void *)ints;
    if (ints == NULL) return NULL;
    for (size_t i = 0; i < run->count; i++) {
        if (kind == PQ_INT64) {
            ints[i] = value->as.integer;
        } else {
            reals[i] = value->as.real;
        }
    }
    return ints;
}

/// The operand as an array of `kind`; NULL without an error when it is neither.
static pqdb_code as_array(struct pq_run *run, const struct pq_node *arg, enum pq_kind kind,
                          const void **array, const uint8_t **valid, pqdb_error *err) {
    struct pq_vector *vector;
    *array = NULL;
    *valid = NULL;
    if (arg->kind == PQ_NODE_CONST && arg->literal.is_number) {
        const struct pq_value *value =
            kind == PQ_FLOAT64 ? &arg->literal.real : &arg->literal.exact;
        if (value->kind != kind) return PQDB_OK;
        *array = spread(run, value, kind, err);
        return *array == NULL ? PQDB_NO_MEMORY : PQDB_OK;
    }
    PQ_TRY(pq_run_node(run, arg, &vector, err));
    if (!vector->has_column || vector->column.type->kind != kind) return PQDB_OK;
    *array = vector->column.values;
    *valid = vector->column.valid;
    return PQDB_OK;
}

static pqdb_code fetch_pair(struct pq_run *run, const struct pq_node *node, size_t first,
                            enum pq_kind kind, struct pair *pair, pqdb_error *err) {
    const uint8_t *a_valid, *b_valid;
    *pair = (struct pair){0};
    PQ_TRY(as_array(run, node->args[first], kind, &pair->a, &a_valid, err));
    if (pair->a == NULL) return PQDB_OK;
    PQ_TRY(as_array(run, node->args[first + 1], kind, &pair->b, &b_valid, err));
    if (pair->b == NULL) return PQDB_OK;
    return both_valid(run, a_valid, b_valid, &pair->valid, err);
}

/// Overflow is null: `valid` is made when the first one happens.
static pqdb_code mark_null(struct pq_run *run, uint8_t **valid, size_t row, pqdb_error *err) {
    if (*valid == NULL) {
        *valid = pq_run_alloc(run, run->count, err);
        if (*valid == NULL) return PQDB_NO_MEMORY;
        memset(*valid, PQ_ROW_VALID, run->count);
    }
    (*valid)[row] = PQ_ROW_NULL;
    return PQDB_OK;
}

static pqdb_code int_arithmetic(struct pq_run *run, char operator, struct pair *pair,
                                int64_t *out, pqdb_error *err) {
    const int64_t *a = pair->a, *b = pair->b;
    for (size_t i = 0; i < run->count; i++) {
        const bool overflow = operator == '+'   ? __builtin_add_overflow(a[i], b[i], &out[i])
                              : operator == '-' ? __builtin_sub_overflow(a[i], b[i], &out[i])
                                                : __builtin_mul_overflow(a[i], b[i], &out[i]);
        if (overflow) PQ_TRY(mark_null(run, &pair->valid, i, err));
    }
    return PQDB_OK;
}

static pqdb_code real_arithmetic(struct pq_run *run, char operator, struct pair *pair,
                                 double *out, pqdb_error *err) {
    const double *a = pair->a, *b = pair->b;
    switch (operator) {
        case '+': for (size_t i = 0; i < run->count; i++) out[i] = a[i] + b[i]; break;
        case '-': for (size_t i = 0; i < run->count; i++) out[i] = a[i] - b[i]; break;
        case '*': for (size_t i = 0; i < run->count; i++) out[i] = a[i] * b[i]; break;
        default:
            for (size_t i = 0; i < run->count; i++) {
                out[i] = b[i] == 0 ? (double)INFINITY : a[i] / b[i];
            }
    }
    for (size_t i = 0; i < run->count; i++) {
        if (isfinite(out[i])) continue;
        const bool by_zero = operator == '/' && b[i] == 0;
        const bool overflow = isinf(out[i]) && isfinite(a[i]) && isfinite(b[i]);
        if (by_zero || overflow) PQ_TRY(mark_null(run, &pair->valid, i, err));
    }
    return PQDB_OK;
}

pqdb_code pq_kernel_arithmetic(struct pq_run *run, const struct pq_node *node,
                               struct pq_vector *out, bool *done, pqdb_error *err) {
    static const struct {
        pq_scalar *scalar;
        char operator;
    } operators[] = {{pq_scalar_add, '+'},
                     {pq_scalar_subtract, '-'},
                     {pq_scalar_multiply, '*'},
                     {pq_scalar_divide, '/'}};
    const enum pq_kind kind = node->type.kind;
    struct pair pair;
    char operator = 0;
    if (node->arg_count != 2 || (kind != PQ_INT64 && kind != PQ_FLOAT64)) return PQDB_OK;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (node->function->scalar == operators[i].scalar) operator = operators[i].operator;
    }
    PQ_TRY(fetch_pair(run, node, 0, kind, &pair, err));
    if (pair.a == NULL || pair.b == NULL) return PQDB_OK;
    void *values = pq_run_alloc(run, run->count * sizeof(int64_t), err);
    if (values == NULL) return PQDB_NO_MEMORY;
    if (kind == PQ_INT64) {
        PQ_TRY(int_arithmetic(run, operator, &pair, values, err));
    } else {
        PQ_TRY(real_arithmetic(run, operator, &pair, values, err));
    }
    pq_vector_of_fixed(run, &node->type, values, pair.valid, out);
    *done = true;
    return PQDB_OK;
}

/// `$cond` between two ints or two doubles, the nulls of each side with it.
pqdb_code pq_kernel_cond(struct pq_run *run, const struct pq_node *node, struct pq_vector *out,
                         bool *done, pqdb_error *err) {
    const enum pq_kind kind = node->type.kind;
    const void *arrays[2];
    const uint8_t *valids[2], *mask;
    if (kind != PQ_INT64 && kind != PQ_FLOAT64) return PQDB_OK;
    for (size_t k = 0; k < 2; k++) {
        PQ_TRY(as_array(run, node->args[k + 1], kind, &arrays[k], &valids[k], err));
        if (arrays[k] == NULL) return PQDB_OK;
    }
    PQ_TRY(pq_run_mask(run, node->args[0], &mask, err));
    uint64_t *values = pq_run_alloc(run, run->count * sizeof *values, err);
    if (values == NULL) return PQDB_NO_MEMORY;
    const uint64_t *yes = arrays[0], *no = arrays[1];
    for (size_t i = 0; i < run->count; i++) values[i] = mask[i] ? yes[i] : no[i];
    uint8_t *valid = NULL;
    if (valids[0] != NULL || valids[1] != NULL) {
        valid = pq_run_alloc(run, run->count, err);
        if (valid == NULL) return PQDB_NO_MEMORY;
        for (size_t i = 0; i < run->count; i++) {
            const uint8_t *chosen = valids[mask[i] ? 0 : 1];
            valid[i] = chosen == NULL || chosen[i] != PQ_ROW_NULL;
        }
    }
    pq_vector_of_fixed(run, &node->type, values, valid, out);
    *done = true;
    return PQDB_OK;
}

/// Timestamps to buckets; neighbours often share one, and a zone is asked once for each stretch.
pqdb_code pq_kernel_date_trunc(struct pq_run *run, const struct pq_node *node,
                               struct pq_vector *out, bool *done, pqdb_error *err) {
    const struct pq_date_call *call = node->extra;
    struct pq_vector *source;
    PQ_TRY(pq_run_node(run, node->args[0], &source, err));
    if (!source->has_column || source->column.type->kind != PQ_TIMESTAMP) return PQDB_OK;
    const int64_t *times = source->column.values;
    const bool is_date = node->type.kind == PQ_DATE;
    void *values = pq_run_alloc(run, run->count * (is_date ? sizeof(int32_t) : sizeof(int64_t)),
                                err);
    if (values == NULL) return PQDB_NO_MEMORY;
    for (size_t i = 0; i < run->count; i++) {
        const bool null = pq_column_is_null(&source->column, i);
        const int64_t start = null ? 0 : pq_bucket_of_timestamp(times[i], call->bucket, call->zone);
        if (is_date) {
            ((int32_t *)values)[i] = (int32_t)start;
        } else {
            ((int64_t *)values)[i] = start;
        }
    }
    pq_vector_of_fixed(run, &node->type, values, source->column.valid, out);
    *done = true;
    return PQDB_OK;
}
