/// db/refresh.c: bringing a view up to date: by the log where that is possible, else by building it
/// anew from its source. Logged before it is done, so that a crash in between repeats it.
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "db/view_internal.h"

// ---- building anew ----------------------------------------------------------------------------

/// Collects the rows of a full computation in a new table.
struct builder {
    pqdb_db *db;
    struct pq_table *table;
    uint64_t version;
};

static pqdb_code put_rows(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    struct builder *builder = ctx;
    struct pq_hold *hold;
    struct pq_batch copy;  // the rows are views into memory of the computation
    PQ_TRY(pq_hold_copy(rows, builder->db->alloc, &hold, &copy, err));
    const pqdb_code code = pq_table_apply(builder->table, &copy, hold, builder->version, err);
    pq_hold_unref(hold);
    return code;
}

static struct pq_node *node_of(pqdb_db *db, struct pq_db_table *table) {
    return table->node != NULL ? table->node : pq_circuit_find(db->circuit, table->id);
}

static pqdb_code rebuild(pqdb_db *db, struct pq_db_table *table, uint64_t version, int64_t time_us,
                         pqdb_error *err) {
    const uint64_t began = db->env->monotonic_ns(db->env->ctx);
    struct pq_db_rows source = {.db = db, .table = pq_db_by_id(db, table->view->source)};
    const struct pq_rows rows = pq_db_rows_of(&source);
    struct builder builder = {.db = db, .version = version};
    pqdb_code code;
    PQ_GO(pq_db_collect(db, version, time_us, &source.snapshot, err));
    PQ_GO(pq_table_create(&table->table->options, &builder.table, err));
    const struct pq_sink sink = {.put = put_rows, .ctx = &builder};
    PQ_GO(pq_node_full(node_of(db, table), &rows, &sink, err));
    builder.table->version = version;
    PQ_GO(pq_table_publish(builder.table, err));
    struct pq_table *before = table->table;
    table->table = builder.table;
    builder.table = before;
    table->facts.failed = false;
    table->facts.reflects = version;
    table->reflects_position = pq_db_position(db);
    table->facts.refreshed_us = time_us;
    table->facts.last_refresh = "full";
    table->facts.last_refresh_rows = table->table->rows;
    table->facts.last_refresh_took_us =
        (int64_t)((db->env->monotonic_ns(db->env->ctx) - began) / 1000);
    if (table->node == NULL) pq_circuit_attach(db->circuit, table->id);
done:
    pq_table_destroy(builder.table);
    pq_db_snapshot_unref(source.snapshot);
    return code;
}

/// Its node is half built: it takes part in no step until it is built again.
static void note_failed(pqdb_db *db, struct pq_db_table *table, const pqdb_error *why) {
    table->facts.failed = true;
    pq_db_set_failure(db, table, why);
    if (table->node != NULL) return;
    table->facts.reflects = table->table->version;
    pq_circuit_detach(db->circuit, table->id, why);
}

pqdb_code pq_db_rebuild(pqdb_db *db, struct pq_db_table *table, uint64_t version, int64_t time_us,
                        pqdb_error *err) {
    pqdb_error why = {0};
    const pqdb_code code = rebuild(db, table, version, time_us, &why);
    if (code == PQDB_OK) return code;
    note_failed(db, table, &why);
    if (err != NULL) *err = why;
    return code;
}

bool pq_db_is_views_own(pqdb_code code) {
    return code == PQDB_LIMIT || code == PQDB_INVALID || code == PQDB_UNSUPPORTED;
}

/// Does `table` follow `source` through streaming views only?
static bool follows(const struct pq_db_table *table, uint32_t source) {
    for (const struct pq_view *view = table->view; view != NULL; view = view->upstream) {
        if (view->source == source) return true;
        if (view->upstream != NULL && view->upstream->mode != PQ_VIEW_STREAMING) return false;
    }
    return false;
}

/// The view, then every streaming view above it: each from what is stored of the one below.
pqdb_code pq_db_rebuild_with_dependents(pqdb_db *db, struct pq_db_table *table, uint64_t version,
                                        int64_t time_us, pqdb_error *err) {
    PQ_TRY(pq_db_rebuild(db, table, version, time_us, err));
    for (size_t i = 0; i < db->views->count; i++) {
        struct pq_db_table *above = pq_db_by_id(db, db->views->views[i].table);
        if (above->node != NULL || above == table || !follows(above, table->id)) continue;
        const pqdb_code code = pq_db_rebuild(db, above, version, time_us, err);
        if (code != PQDB_OK && !pq_db_is_views_own(code)) return code;
    }
    return pq_db_publish(db, version, time_us, err);
}

// ---- by the log -------------------------------------------------------------------------------

enum { chain_max = 64 };

/// The stateless views between a collection and the lagging view, lowest first.
struct chain {
    struct pq_node *nodes[chain_max];
    size_t count;
    struct pq_db_table *collection;
};

static void chain_deinit(struct chain *chain) {
    for (size_t i = 0; i < chain->count; i++) pq_node_destroy(chain->nodes[i]);
    chain->count = 0;
}

/// NULL, or why the view cannot follow the log.
static const char *not_by_log(const pqdb_db *db, const struct pq_db_table *table) {
    size_t length = 0;
    for (const struct pq_view *up = table->view->upstream; up != NULL; up = up->upstream) {
        if (up->grouped || up->mode != PQ_VIEW_STREAMING) {
            return "what it reads keeps state of its own, whose changes are not in the log";
        }
        if (++length == chain_max) return "the chain of views below it is too long";
    }
    if (table->facts.reflects == 0) return "it was never refreshed";
    if (table->facts.reflects + 1 < pq_log_first_version(db->log)) {
        return "the log no longer reaches back to its last refresh";
    }
    return NULL;
}

static pqdb_code chain_init(pqdb_db *db, struct pq_db_table *table, struct chain *chain,
                            pqdb_error *err) {
    const struct pq_view *ups[chain_max];
    size_t count = 0;
    chain->count = 0;
    chain->collection = table->root;
    for (const struct pq_view *up = table->view->upstream; up != NULL; up = up->upstream) {
        ups[count++] = up;
    }
    while (count-- > 0) {
        struct pq_node *node;
        PQ_TRY(pq_node_create(&ups[count]->spec, db->alloc, &node, err));
        chain->nodes[chain->count++] = node;
    }
    return PQDB_OK;
}

/// What a refresh adds and takes away, kept until all of it is known.
struct change {
    struct change *next;
    struct pq_hold *hold;  // owned
    struct pq_batch rows;
};

struct changes {
    struct pq_arena arena;  // of the list
    struct change *first, **end;
    uint64_t rows;
};

static void changes_deinit(struct changes *changes) {
    for (struct change *at = changes->first; at != NULL; at = at->next) pq_hold_unref(at->hold);
    pq_arena_deinit(&changes->arena);
}

static pqdb_code keep_change(pqdb_db *db, struct changes *changes, const struct pq_batch *rows,
                             pqdb_error *err) {
    struct change *made = pq_arena_calloc(&changes->arena, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a refresh");
    PQ_TRY(pq_hold_copy(rows, db->alloc, &made->hold, &made->rows, err));
    *changes->end = made;
    changes->end = &made->next;
    changes->rows += rows->count;
    return PQDB_OK;
}

/// One delta of the collection up the chain and into the view.
static pqdb_code catch_up_rows(pqdb_db *db, struct pq_db_table *table, struct chain *chain,
                               const struct pq_batch *delta, struct changes *changes,
                               pqdb_error *err) {
    struct pq_hold *hold;
    PQ_TRY(pq_hold_create(db->alloc, &hold, err));
    struct pq_batch rows = *delta, out;
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; i < chain->count && rows.count > 0; i++) {
        PQ_GO(pq_node_step(chain->nodes[i], &rows, &hold->arena, &out, err));
        rows = out;
    }
    if (rows.count == 0) goto done;
    PQ_GO(pq_node_step(table->node, &rows, &hold->arena, &out, err));
    if (out.count > 0) PQ_GO(keep_change(db, changes, &out, err));
done:
    pq_hold_unref(hold);
    return code;
}

static pqdb_code catch_up(pqdb_db *db, struct pq_db_table *table, uint64_t to,
                          struct changes *changes, pqdb_error *err) {
    const struct pq_log_schemas schemas = pq_db_log_schemas(db);
    struct pq_log_reader *reader = NULL;
    struct chain chain = {0};
    pqdb_code code;
    PQ_GO(chain_init(db, table, &chain, err));
    PQ_GO(pq_log_reader_open(db->log, table->facts.reflects + 1, &schemas, &reader, err));
    for (;;) {
        const struct pq_log_record *record;
        PQ_GO(pq_log_reader_next(reader, &record, err));
        if (record == NULL || record->version > to) break;
        for (size_t i = 0; i < record->rows_count; i++) {
            if (record->rows[i].collection != chain.collection->id) continue;
            PQ_GO(catch_up_rows(db, table, &chain, &record->rows[i].batch, changes, err));
        }
    }
done:
    pq_log_reader_close(reader);
    chain_deinit(&chain);
    return code;
}

// ---- the refresh ------------------------------------------------------------------------------

static pqdb_code log_refresh(pqdb_db *db, const struct pq_db_table *table, bool full,
                             uint64_t *version, pqdb_error *err) {
    struct pq_bytes payload, part;
    pq_bytes_init(&payload, db->alloc);
    pq_bytes_init(&part, db->alloc);
    pqdb_code code;
    PQ_GO(pq_bytes_printf(&payload, err, "{\"view\":"));
    PQ_GO(pq_json_write_text(&payload, table->entry->name, err));
    PQ_GO(pq_bytes_printf(&payload, err, ",\"from\":%llu,\"to\":%llu}",
                          (unsigned long long)table->facts.reflects,
                          (unsigned long long)db->version));
    PQ_GO(pq_log_encode_payload(pq_bytes_text(&payload), &part, err));
    const struct pq_log_part parts[] = {{.bytes = pq_bytes_text(&part)}};
    const struct pq_log_commit commit = {.kind = full ? PQ_LOG_SWAP : PQ_LOG_REFRESH,
                                         .parts = parts, .part_count = 1};
    *version = pq_log_position(db->log).version;
    PQ_GO(pq_log_append(db->log, &commit, 1, err));
    db->version = *version;
done:
    pq_bytes_deinit(&payload);
    pq_bytes_deinit(&part);
    return code;
}

uint64_t pq_db_source_version(pqdb_db *db, const struct pq_db_table *table) {
    return pq_db_by_id(db, table->view->source)->table->version;
}

/// All of the change is computed before any of it is applied: a view that fails on the way keeps
/// what it had.
static pqdb_code refresh_by_log(pqdb_db *db, struct pq_db_table *table, uint64_t version,
                                uint64_t to, pqdb_error *err) {
    const uint64_t began = db->env->monotonic_ns(db->env->ctx);
    const int64_t now_us = db->env->now_us(db->env->ctx);
    struct changes changes = {.end = &changes.first};
    pq_arena_init(&changes.arena, db->alloc);
    pqdb_code code = catch_up(db, table, to, &changes, err);
    if (code != PQDB_OK) {
        note_failed(db, table, err);
        goto done;
    }
    for (struct change *at = changes.first; code == PQDB_OK && at != NULL; at = at->next) {
        const struct pq_db_delta step = {.table = table, .rows = at->rows, .hold = at->hold};
        code = pq_db_step(db, &step, 1, version, now_us, err);
    }
    if (code != PQDB_OK) {
        pq_db_break(db, code, err);  // half applied; the log has the refresh, reopening repeats it
        goto done;
    }
    table->facts.reflects = to;
    table->facts.last_refresh_rows = changes.rows;
    table->reflects_position = pq_db_position(db);
    table->facts.refreshed_us = now_us;
    table->facts.last_refresh = "incremental";
    table->facts.last_refresh_took_us =
        (int64_t)((db->env->monotonic_ns(db->env->ctx) - began) / 1000);
    code = pq_db_publish(db, version, pq_log_time_us(db->log), err);
done:
    changes_deinit(&changes);
    return code;
}

static pqdb_code refresh_locked(pqdb_db *db, struct pq_db_table *table, bool full,
                                pqdb_refreshed *refreshed, pqdb_error *err) {
    const bool lags = table->node != NULL;
    *refreshed = (pqdb_refreshed){.kind = "none", .reason = "", .version = db->version};
    if (!full && !table->facts.failed && (!lags || (table->facts.reflects > 0 &&
                                              pq_db_source_version(db, table) <=
                                                  table->facts.reflects))) {
        return PQDB_OK;
    }
    const char *why = full             ? "asked for"
                      : table->facts.failed ? "its last step failed"
                                      : not_by_log(db, table);
    const uint64_t to = db->version;
    uint64_t version;
    PQ_TRY(log_refresh(db, table, why != NULL, &version, err));
    pqdb_error failure = {0};
    const pqdb_code code =
        why != NULL ? pq_db_rebuild_with_dependents(db, table, version, pq_log_time_us(db->log),
                                                    &failure)
                    : refresh_by_log(db, table, version, to, &failure);
    if (code != PQDB_OK) {
        pq_db_publish(db, version, pq_log_time_us(db->log), NULL);  // the views' states
        if (err != NULL) *err = failure;
        return code;
    }
    *refreshed = (pqdb_refreshed){.kind = table->facts.last_refresh,
                                  .reason = why == NULL ? "" : why,
                                  .version = version, .rows = table->facts.last_refresh_rows,
                                  .us = table->facts.last_refresh_took_us};
    return PQDB_OK;
}

pqdb_code pqdb_view_refresh(pqdb_db *db, const char *name, bool full, pqdb_refreshed *refreshed,
                            pqdb_error *err) {
    pqdb_refreshed unused;
    struct pq_db_table *table;
    PQ_TRY(pq_db_find_view(db, pq_text_of(name), &table, err));
    pthread_mutex_lock(&db->refreshing);
    pthread_mutex_lock(&db->leader);
    pqdb_code code = pq_db_check_open(db, err);
    if (code == PQDB_OK) {
        code = refresh_locked(db, table, full, refreshed == NULL ? &unused : refreshed, err);
    }
    pthread_mutex_unlock(&db->leader);
    pthread_mutex_unlock(&db->refreshing);
    return code;
}
