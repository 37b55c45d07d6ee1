#include "base/wait.h"

#include <errno.h>
#include <time.h>

#include "base/env.h"

void pq_wait_init(pthread_cond_t *cond) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

uint64_t pq_wait_end(uint64_t ns) { return pq_env_system.monotonic_ns(NULL) + ns; }

bool pq_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t end_ns) {
    const struct timespec end = {.tv_sec = (time_t)(end_ns / 1000000000u),
                                 .tv_nsec = (long)(end_ns % 1000000000u)};
    return pthread_cond_timedwait(cond, lock, &end) != ETIMEDOUT;
}
