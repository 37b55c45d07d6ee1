/// Any JSON5 as a filter: it is refused with a reason, or it runs over a fixed batch and by vectors
/// selects what it selects value by value.
#include <stdlib.h>

#include "support/expr_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    expr_fuzz((struct pq_text){(const char *)data, size}, true);
    return 0;
}
