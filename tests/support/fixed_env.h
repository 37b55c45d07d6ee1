/// A clock that stands still and randomness that is none, so that tests can name what comes out.
#ifndef PQ_TEST_FIXED_ENV_H
#define PQ_TEST_FIXED_ENV_H

#include <string.h>

#include "base/env.h"

#define FIXED_NOW_US INT64_C(1768471200000000)  // 2026-01-15T10:00:00Z

static inline int64_t fixed_now_us(void *ctx) {
    (void)ctx;
    return FIXED_NOW_US;
}

static inline uint64_t fixed_monotonic_ns(void *ctx) {
    (void)ctx;
    return 0;
}

static inline void fixed_random(void *ctx, void *out, size_t length) {
    (void)ctx;
    memset(out, 0, length);
}

static const struct pq_env fixed_env = {
    .now_us = fixed_now_us, .monotonic_ns = fixed_monotonic_ns, .random = fixed_random};

#endif
