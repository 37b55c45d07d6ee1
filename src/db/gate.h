/// db/gate.h: where a write passes from the look at its table until its commit, so that the schema
/// changes while no write is on its way. Lock order: building, making, the gate, refreshing,
/// branching, leader.
#ifndef PQ_DB_GATE_H
#define PQ_DB_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct pq_db_gate {
    pthread_mutex_t lock;  // guards what follows; nothing else is taken within
    pthread_cond_t moves;
    size_t inside;
    bool is_closed;
};

void pq_db_gate_init(struct pq_db_gate *gate);
/// Cost: two uncontended locks a write. Waits while the gate is closed.
void pq_db_gate_enter(struct pq_db_gate *gate);
void pq_db_gate_leave(struct pq_db_gate *gate);
/// Nobody comes in any more, and returns once everybody is out. One at a time (`building`).
void pq_db_gate_close(struct pq_db_gate *gate);
void pq_db_gate_open(struct pq_db_gate *gate);

#endif
