#include "db/gate.h"

void pq_db_gate_init(struct pq_db_gate *gate) {
    *gate = (struct pq_db_gate){.inside = 0};
    pthread_mutex_init(&gate->lock, NULL);
    pthread_cond_init(&gate->moves, NULL);
}

void pq_db_gate_enter(struct pq_db_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    while (gate->is_closed) pthread_cond_wait(&gate->moves, &gate->lock);
    gate->inside++;
    pthread_mutex_unlock(&gate->lock);
}

void pq_db_gate_leave(struct pq_db_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->inside--;
    if (gate->is_closed && gate->inside == 0) pthread_cond_broadcast(&gate->moves);
    pthread_mutex_unlock(&gate->lock);
}

void pq_db_gate_close(struct pq_db_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->is_closed = true;
    while (gate->inside > 0) pthread_cond_wait(&gate->moves, &gate->lock);
    pthread_mutex_unlock(&gate->lock);
}

void pq_db_gate_open(struct pq_db_gate *gate) {
    pthread_mutex_lock(&gate->lock);
    gate->is_closed = false;
    pthread_cond_broadcast(&gate->moves);
    pthread_mutex_unlock(&gate->lock);
}
