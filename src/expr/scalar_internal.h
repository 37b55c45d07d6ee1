/// expr/scalar_internal.h: what the files of scalar functions share.
#ifndef PQ_EXPR_SCALAR_INTERNAL_H
#define PQ_EXPR_SCALAR_INTERNAL_H

#include "base/fail.h"
#include "expr/functions_internal.h"
#include "expr/run_internal.h"

/// The head of a scalar function: most need only `args` and `out`, which begins as null.
#define SCALAR(name)                                                                       \
    pqdb_code pq_scalar_##name(__attribute__((unused)) struct pq_run *run,                 \
                               __attribute__((unused)) const struct pq_node *node,         \
                               __attribute__((unused)) const struct pq_value *args,        \
                               __attribute__((unused)) struct pq_value *out,               \
                               __attribute__((unused)) pqdb_error *err)

static inline pqdb_code pq_give_bool(struct pq_value *out, bool boolean) {
    *out = (struct pq_value){.kind = PQ_BOOL, .as.boolean = boolean};
    return PQDB_OK;
}
static inline pqdb_code pq_give_int(struct pq_value *out, int64_t integer) {
    *out = (struct pq_value){.kind = PQ_INT64, .as.integer = integer};
    return PQDB_OK;
}
static inline pqdb_code pq_give_real(struct pq_value *out, double real) {
    *out = (struct pq_value){.kind = PQ_FLOAT64, .as.real = real};
    return PQDB_OK;
}
static inline pqdb_code pq_give_text(struct pq_value *out, struct pq_text text) {
    *out = (struct pq_value){.kind = PQ_TEXT, .as.text = text};
    return PQDB_OK;
}

/// A number that is whole and fits. False otherwise.
bool pq_value_index(const struct pq_value *number, int64_t *index);

#endif
