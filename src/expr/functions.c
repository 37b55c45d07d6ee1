#include "expr/functions_internal.h"

#include "base/check.h"


#define PQ_FIELD(name, help)
#define PQ_LOGICAL(name, help)

const struct pq_function pq_functions[] = {
#define pq_kernel_NONE NULL
#define PQ_FUNCTION(name, signature, args_min, args_max, keys, rule, scalar, kernel, help) \
    {name, signature, args_min, args_max, keys, pq_rule_##rule, pq_scalar_##scalar,        \
     pq_kernel_##kernel, help},
#include "expr/functions.def"
#undef PQ_FUNCTION
};
const size_t pq_function_count = sizeof pq_functions / sizeof *pq_functions;

const struct pq_function *pq_function_find(struct pq_text name) {
    for (size_t i = 0; i < pq_function_count; i++) {
        if (pq_text_is(name, pq_functions[i].name)) return &pq_functions[i];
    }
    return NULL;
}

const struct pq_function *pq_function_get(const char *name) {
    const struct pq_function *function = pq_function_find(pq_text_of(name));
    pq_assert(function != NULL);
    return function;
}
