/// base/env.h: the only way to the clock, to waiting and to randomness. Tests pass their own, so
/// that a seed replays a failure.
#ifndef PQ_BASE_ENV_H
#define PQ_BASE_ENV_H

#include <stddef.h>
#include <stdint.h>

struct pq_env {
    int64_t (*now_us)(void *ctx);        // wall clock, microseconds since 1970
    uint64_t (*monotonic_ns)(void *ctx);  // never goes back; any origin
    void (*random)(void *ctx, void *out, size_t length);
    void (*sleep_ns)(void *ctx, uint64_t ns);  // at least so long
    void *ctx;
};

/// The real clock and getrandom(2). Any thread.
extern const struct pq_env pq_env_system;

#endif
