/// db/readers.c: see readers.h.
#include "db/readers.h"

#include "base/fail.h"

static const char readers_file[] = "readers";

static pqdb_code newest_version(pqdb_db *db, struct pq_arena *arena, uint64_t *version,
                                pqdb_error *err) {
    struct pq_roots roots;
    PQ_TRY(pq_root_list(db->store, arena, &roots, err));
    *version = roots.count == 0 ? 0 : roots.versions[0];
    return PQDB_OK;
}

pqdb_code pq_db_open_root(pqdb_db *db, struct pq_arena *arena, struct pq_root *root, bool *found,
                          pqdb_error *err) {
    for (;;) {
        uint64_t newest;
        PQ_TRY(pq_root_read_newest(db->store, arena, root, found, err));
        if (!db->options.read_only) return PQDB_OK;
        const uint64_t version = *found ? root->version : 0;
        PQ_TRY(pq_store_share(db->store, readers_file, version, &db->lock, err));
        // No newer one: whoever writes it looks for readers afterwards, and finds this one.
        PQ_TRY(newest_version(db, arena, &newest, err));
        if (newest == version) return PQDB_OK;
        pq_store_unlock(db->lock);
        db->lock = NULL;
        pq_arena_reset(arena);
        *root = (struct pq_root){0};
    }
}

bool pq_db_is_read(pqdb_db *db, uint64_t below) {
    bool is_shared = true;
    return pq_store_is_shared(db->store, readers_file, below, &is_shared, NULL) != PQDB_OK ||
           is_shared;
}
