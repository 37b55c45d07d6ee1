/// base/wait.h: waiting for another thread, but not for ever. Time is that of the clock that is
/// never set: moving the wall's clock makes no wait longer or shorter.
#ifndef PQ_BASE_WAIT_H
#define PQ_BASE_WAIT_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/// For pq_wait_until; pthread_cond_wait, _signal, _broadcast and _destroy are as ever.
void pq_wait_init(pthread_cond_t *cond);

/// The instant `ns` from now.
uint64_t pq_wait_end(uint64_t ns);

/// `lock` is held, before and after. False: the instant has come. True: perhaps not yet, look.
bool pq_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t end_ns);

#endif
