/// What the fuzz targets of filters and expressions share.
#ifndef PQ_TEST_EXPR_FUZZ_H
#define PQ_TEST_EXPR_FUZZ_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/// Compile, run both ways, compare; aborts when they differ or something is unsound.
void expr_fuzz(struct pq_text text, bool is_filter);

#endif
