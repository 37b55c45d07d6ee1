/// A clock that only the test moves, dice that repeat, sleep that takes no time. One thread.
#ifndef PQ_TEST_MOVING_CLOCK_H
#define PQ_TEST_MOVING_CLOCK_H

#include "base/env.h"
#include "base/hash.h"

static int64_t clock_us;  // on the wall
static uint64_t run_ns;   // of the clock that is never set
static uint64_t dice_thrown;

static const int64_t minute = INT64_C(60) * 1000000, hour = 60 * minute, day = 24 * hour;
static const int64_t march_2026 = INT64_C(1772323200) * 1000000;  // 2026-03-01T00:00:00Z

static int64_t moving_now_us(void *ctx) { (void)ctx; return clock_us; }
static uint64_t moving_monotonic_ns(void *ctx) { (void)ctx; return run_ns; }
static void moving_dice(void *ctx, void *out, size_t length) {
    (void)ctx;
    for (size_t i = 0; i < length; i++) {
        ((uint8_t *)out)[i] = (uint8_t)pq_hash_word(++dice_thrown);
    }
}
static void moving_sleep(void *ctx, uint64_t ns) { (void)ctx, (void)ns; }

static const struct pq_env moving_env = {.now_us = moving_now_us,
                                         .monotonic_ns = moving_monotonic_ns,
                                         .random = moving_dice, .sleep_ns = moving_sleep};

/// Time passes on both clocks.
static void pass(int64_t us) {
    clock_us += us;
    run_ns += (uint64_t)us * 1000;
}

#endif
