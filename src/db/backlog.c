/// db/backlog.c: see backlog.h.
#include "db/backlog.h"

#include "table/data_file.h"

enum { delay_ns_min = 20 * 1000 };  // a shorter one takes longer than it says

uint64_t pq_db_delay_ns(uint32_t backlog, uint64_t bytes) {
    if (backlog <= PQ_DB_BACKLOG_EASY) return 0;
    const uint32_t most = PQ_DB_BACKLOG_FULL - PQ_DB_BACKLOG_EASY;
    const uint32_t over = backlog < PQ_DB_BACKLOG_FULL ? backlog - PQ_DB_BACKLOG_EASY : most;
    const uint64_t full = PQ_DB_DELAY_NS_MAX + bytes * PQ_DB_DELAY_NS_MAX / PQ_DB_DELAY_BYTES;
    return full / most * over;
}

void pq_db_wait_for_keeper(pqdb_db *db, uint64_t bytes) {
    const uint32_t memory = atomic_load_explicit(&db->memory_backlog, memory_order_relaxed);
    const uint32_t dead = atomic_load_explicit(&db->dead_backlog, memory_order_relaxed);
    const uint32_t runs = atomic_load_explicit(&db->runs_backlog, memory_order_relaxed);
    const uint32_t merges = dead > runs ? dead : runs;
    const uint64_t delay_ns = pq_db_delay_ns(memory > merges ? memory : merges, bytes);
    pthread_mutex_lock(&db->keeper_lock);
    const bool works = db->keeper_runs && db->background_error[0] == '\0';
    while (db->writers_wait && db->keeper_runs && db->background_error[0] == '\0') {
        pthread_cond_wait(&db->keeper_done, &db->keeper_lock);
    }
    pthread_mutex_unlock(&db->keeper_lock);
    if (works && delay_ns >= delay_ns_min) db->env->sleep_ns(db->env->ctx, delay_ns);
}

uint32_t pq_db_dead_backlog(const pqdb_db *db) {
    const struct pq_db_tables *tables = db->tables;
    double all = 0, live = 0;
    for (size_t i = 0; i < tables->count; i++) {
        const struct pq_table *table = tables->at[i]->table;
        double bytes = 0, rows = 0;
        for (size_t k = 0; k < table->catalog->file_count; k++) {
            const struct pq_segment *segment = table->catalog->segments[k];
            bytes += (double)pq_data_file_bytes(segment->file);
            rows += (double)segment->rows;
        }
        all += bytes;
        live += (double)table->rows < rows ? bytes * (double)table->rows / rows : bytes;
    }
    if (all < (double)db->dead_bytes) return 0;
    return all >= 2 * live ? PQ_DB_BACKLOG_FULL
                           : (uint32_t)((all - live) / live * PQ_DB_BACKLOG_FULL);
}
