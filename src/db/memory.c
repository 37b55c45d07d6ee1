/// db/memory.c: see memory.h.
#include "db/memory.h"

#include <unistd.h>

#include "db/checkpoint_internal.h"
#include "db/view_internal.h"
#include "flow/node_spill.h"

enum {
    rows_share = 4,
    steps_share = 8,
    answer_least = 8 << 20,
    states_floor_share = 8,
    pages_floor_share = 16,
    rows_default_max = 256 << 20,  // of memtables, where no budget is given
    rows_min = 4096,
    fit_rows = 1 << 14,            // a turn of a few milliseconds
};

static size_t half_of_memory(void) {
    const long pages = sysconf(_SC_PHYS_PAGES), bytes = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || bytes <= 0) return (size_t)1 << 30;
    return (size_t)pages / 2 * (size_t)bytes;
}

void pq_db_memory_init(pqdb_db *db, const struct pq_alloc *alloc) {
    struct pq_db_memory *memory = &db->memory;
    const bool is_given = db->options.memory_bytes != 0;
    memory->limit = is_given ? db->options.memory_bytes : half_of_memory();
    memory->rows_max = memory->limit / rows_share;
    if (!is_given && memory->rows_max > rows_default_max) memory->rows_max = rows_default_max;
    if (memory->rows_max < rows_min) memory->rows_max = rows_min;
    pq_account_init(&memory->total, alloc);
    pq_block_cache_init(&db->blocks, &memory->total.alloc);
    if (memory->limit / pages_floor_share < db->blocks.bytes_max) {
        db->blocks.bytes_max = memory->limit / pages_floor_share;
    }
    db->alloc = &db->blocks.alloc;
    pq_account_init(&memory->states, db->alloc);
    pq_account_init(&memory->files, db->alloc);
}

// ---- the division -----------------------------------------------------------------------------

static size_t less(size_t from, size_t what) { return from > what ? from - what : 0; }

/// Of the limit, without what is set aside for rows and steps and what the files' indexes take; or
/// without all that others have now, where that is more.
static size_t free_share(const pqdb_db *db) {
    const struct pq_db_memory *memory = &db->memory;
    const size_t pages = pq_page_cache_bytes(db->pages);
    const size_t indexes = less(pq_account_used(&memory->files), pages);
    const size_t aside = memory->limit / steps_share + memory->rows_max + indexes;
    const size_t others = less(pq_account_used(&memory->total),
                               pq_account_used(&memory->states) + pages);
    return less(memory->limit, others > aside ? others : aside);
}

size_t pq_db_states_max(const pqdb_db *db) {
    const size_t floor = db->memory.limit / states_floor_share;
    const size_t most = less(free_share(db), db->memory.limit / pages_floor_share);
    return most > floor ? most : floor;
}

size_t pq_db_pages_max(const pqdb_db *db) {
    const size_t floor = db->memory.limit / pages_floor_share;
    const size_t most = less(free_share(db), pq_account_used(&db->memory.states));
    return most > floor ? most : floor;
}

size_t pq_db_answer_max(const pqdb_db *db) {
    const size_t limit = db->memory.limit;
    const size_t half = less(limit, pq_account_used(&db->memory.total)) / 2;
    const size_t most = half > limit / steps_share ? half : limit / steps_share;
    return most > answer_least ? most : answer_least;
}

static size_t rows_held(const pqdb_db *db) {
    const struct pq_db_tables *tables = db->tables;
    size_t bytes = 0;
    for (size_t i = 0; i < tables->count; i++) {
        bytes += tables->at[i]->table->memory_bytes + pq_table_index_bytes(tables->at[i]->table);
    }
    return bytes;
}

/// A node that lags is stepped beside the leader: whoever steps it looks after it.
static struct pq_node *leaders_node(const pqdb_db *db, const struct pq_db_table *table) {
    return table->node != NULL ? NULL : pq_db_node(db, table);
}

/// Leader: of every view's node that is stepped by commits.
static size_t dirty_states(const pqdb_db *db) {
    const struct pq_db_tables *tables = db->tables;
    size_t bytes = pq_trace_dirty_bytes(&db->tokens);
    for (size_t i = 0; i < tables->count; i++) {
        const struct pq_node *node = leaders_node(db, tables->at[i]);
        if (node != NULL) bytes += pq_node_dirty_bytes(node);
    }
    return bytes;
}

static uint32_t in_1024ths(size_t part, size_t whole) {
    return part >= whole ? 1024 : (uint32_t)((double)part / (double)whole * 1024);
}

enum pq_db_pressure pq_db_pressure(const pqdb_db *db, uint32_t *backlog) {
    const size_t rows = rows_held(db), states_max = pq_db_states_max(db);
    *backlog = in_1024ths(rows, db->memory.rows_max);
    enum pq_db_pressure pressure = PQ_DB_AT_EASE;
    if (rows > db->memory.rows_max / 4) pressure = PQ_DB_WANTS_CHECKPOINT;
    if (rows > db->memory.rows_max) pressure = PQ_DB_MUST_WAIT;
    if (pq_account_used(&db->memory.states) <= states_max / 2) return pressure;
    const size_t dirty = dirty_states(db);
    const uint32_t of_states = in_1024ths(dirty, states_max);
    if (of_states > *backlog) *backlog = of_states;
    if (dirty > states_max) return PQ_DB_MUST_WAIT;
    return dirty > states_max / 2 && pressure == PQ_DB_AT_EASE ? PQ_DB_WANTS_CHECKPOINT : pressure;
}

// ---- leaving memory ---------------------------------------------------------------------------

/// Each trace down to the part of its bytes that it may keep when all of them are too much.
static size_t evict_node(struct pq_node *node, double keep, size_t rows_max) {
    size_t count;
    const struct pq_node_part *parts = pq_node_parts(node, &count);
    for (size_t i = 0; i < count && rows_max > 0; i++) {
        struct pq_trace *trace = parts[i].trace;
        rows_max = pq_trace_evict(trace, (size_t)((double)trace->bytes_held * keep), rows_max);
    }
    return rows_max;
}

static bool fit_states(pqdb_db *db, size_t rows_max) {
    const size_t used = pq_account_used(&db->memory.states), most = pq_db_states_max(db);
    if (used <= most) return true;
    const struct pq_db_tables *tables = db->tables;
    const double keep = (double)most / (double)used;
    for (size_t i = 0; i < tables->count && rows_max > 0; i++) {
        struct pq_node *node = leaders_node(db, tables->at[i]);
        if (node == NULL) continue;
        rows_max = evict_node(node, keep, rows_max);
    }
    return rows_max > 0;
}

bool pq_db_memory_fit(pqdb_db *db, size_t rows_max) {
    const bool fits = fit_states(db, rows_max);
    pq_page_cache_fit(db->pages, pq_db_pages_max(db));
    return fits;
}

void pq_db_memory_fit_all(pqdb_db *db) {
    bool fits = false;
    while (!fits) {
        pthread_mutex_lock(&db->leader);
        fits = pq_db_memory_fit(db, fit_rows);
        pthread_mutex_unlock(&db->leader);
    }
}

/// Those that lag as well: nobody steps them while `refreshing` is held.
static size_t tidy(pqdb_db *db, size_t rows_max) {
    const struct pq_db_tables *tables = db->tables;
    rows_max = pq_trace_tidy(&db->tokens, rows_max);
    for (size_t i = 0; i < tables->count && rows_max > 0; i++) {
        struct pq_node *node = pq_db_node(db, tables->at[i]);
        if (node == NULL || tables->at[i]->facts.failed || tables->at[i]->facts.unbuilt) continue;
        size_t count;
        const struct pq_node_part *parts = pq_node_parts(node, &count);
        for (size_t k = 0; k < count && rows_max > 0; k++) {
            rows_max = pq_trace_tidy(parts[k].trace, rows_max);
        }
    }
    return rows_max;
}

void pq_db_tidy_states(pqdb_db *db) {
    size_t left = 0;
    while (left == 0) {
        pthread_mutex_lock(&db->branching);  // a branch reads the states that lag
        pthread_mutex_lock(&db->leader);
        left = tidy(db, fit_rows);
        pthread_mutex_unlock(&db->leader);
        pthread_mutex_unlock(&db->branching);
    }
}

// ---- status -----------------------------------------------------------------------------------

void pq_db_memory_status(pqdb_db *db, pqdb_status *status) {
    const struct pq_db_memory *memory = &db->memory;
    const size_t pages = pq_page_cache_bytes(db->pages);
    status->memory_bytes = rows_held(db);
    status->memory = (pqdb_memory){
        .limit = memory->limit, .used = pq_account_used(&memory->total),
        .rows = status->memory_bytes, .rows_max = memory->rows_max,
        .states = pq_account_used(&memory->states), .states_max = pq_db_states_max(db),
        .pages = pages, .pages_max = pq_db_pages_max(db),
        .indexes = less(pq_account_used(&memory->files), pages)};
}
