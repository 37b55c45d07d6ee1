#include "base/env.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>


static int64_t system_now_us(void *ctx) {
    (void)ctx;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static uint64_t system_monotonic_ns(void *ctx) {
    (void)ctx;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void system_random(void *ctx, void *out, size_t length) {
    (void)ctx;
    uint8_t *at = out;
    while (length > 0) {
        const ssize_t got = getrandom(at, length, 0);
        if (got < 0) continue;  // EINTR is the only error getrandom gives for a valid buffer
        at += got;
        length -= (size_t)got;
    }
}

static void system_sleep_ns(void *ctx, uint64_t ns) {
    (void)ctx;
    struct timespec left = {.tv_sec = (time_t)(ns / 1000000000u),
                            .tv_nsec = (long)(ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) continue;
}

const struct pq_env pq_env_system = {.now_us = system_now_us,
                                     .monotonic_ns = system_monotonic_ns,
                                     .random = system_random,
                                     .sleep_ns = system_sleep_ns};
