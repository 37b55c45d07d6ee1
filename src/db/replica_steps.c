/// db/replica_steps.c: a replica goes through the log.
///
/// In parts of as many rows as memory allows, each one step over net rows; where a step over
/// several commits would show something else than they do, the parts are smaller.
#include "base/fail.h"
#include "db/changed.h"
#include "db/created.h"
#include "db/replica_internal.h"
#include "db/schema_change.h"
#include "flow/node_reads.h"

// ---- through the log --------------------------------------------------------------------------

bool pq_db_replica_reads(void *ctx, const struct pq_db_table *table) {
    const struct pq_db_replica *replica = ctx;
    for (size_t i = 0; i < replica->count; i++) {
        const struct pq_view *view = replica->members[i].table->view;
        if (view->source == table->id) return true;
        for (size_t k = 0; k < view->linked_count; k++) {
            if (view->linked[k] == table->id) return true;
        }
    }
    return false;
}

/// What the members read of a table's columns. Links look into whole rows.
static const bool *columns_read(void *ctx, const struct pq_db_table *table) {
    struct pq_db_replica *replica = ctx;
    const struct pq_type *type = pq_db_rows_type(table);
    if (replica->read_type == type) return replica->reads;
    bool *reads = pq_arena_calloc(&replica->arena, type->field_count, sizeof *reads);
    for (size_t i = 0; reads != NULL && i < replica->count; i++) {
        const struct pq_db_table *member = replica->members[i].table;
        const struct pq_node *node = pq_circuit_find(replica->circuit, member->id);
        if (pq_node_spec(node)->expand != NULL) return NULL;
        if (member->view->source != table->id) continue;
        size_t count;
        const uint32_t *columns = pq_node_columns(node, &count);
        for (size_t k = 0; k < count; k++) reads[columns[k]] = true;
        if (replica->appends) reads[PQ_SEQ_COLUMN] = true;
    }
    replica->reads = reads;
    replica->read_type = type;
    return reads;
}

/// Where links are followed all of the log is one step: look-ups show only what is after it.
static size_t rows_at_once(const struct pq_db_replica *replica, size_t rows_max) {
    for (size_t i = 0; i < replica->count; i++) {
        if (replica->members[i].table->view->linked_count > 0) return 0;
    }
    return rows_max;
}

static int64_t weight_of(const struct pq_batch *rows) {
    int64_t weight = rows->weights == NULL ? (int64_t)rows->count : 0;
    for (size_t row = 0; rows->weights != NULL && row < rows->count; row++) {
        weight += rows->weights[row];
    }
    return weight;
}

static pqdb_code take_outputs(struct pq_db_replica *replica, struct pq_hold *hold,
                              uint64_t version, pqdb_error *err) {
    for (size_t i = 0; i < replica->count; i++) {
        struct pq_db_member *member = &replica->members[i];
        const struct pq_output *output = &replica->outputs[i];
        if (output->rows.count == 0) continue;
        if (member->table->id == replica->top->view->source) {
            replica->created_rows += weight_of(&output->rows);
        }
        if (member->rows != NULL) {
            PQ_TRY(pq_db_replica_put(replica, member, &output->rows, hold, version, err));
            PQ_TRY(pq_table_publish(member->rows, err));
        } else if (member->table == replica->top) {
            PQ_TRY(replica->on_rows->put(replica->on_rows->ctx, &output->rows, err));
        }
    }
    return PQDB_OK;
}

/// The circuit, and what it puts out. `hold` has room for the step.
static pqdb_code step_circuit(struct pq_db_replica *replica, const struct pq_delta *inputs,
                              size_t count, struct pq_hold *hold, uint64_t version,
                              pqdb_error *err) {
    pq_circuit_step(replica->circuit, inputs, count, &hold->arena, replica->outputs);
    for (size_t i = 0; i < replica->count; i++) {
        const struct pq_db_table *table = replica->members[i].table;
        const pqdb_error *why = pq_circuit_failure(replica->circuit, table->id);
        if (why != NULL) {
            if (err != NULL) *err = *why;
            return why->code;
        }
        if (table == replica->top) break;
    }
    PQ_TRY(take_outputs(replica, hold, version, err));
    for (size_t i = 0; i < replica->count; i++) {
        struct pq_node *node = pq_circuit_find(replica->circuit, replica->members[i].table->id);
        PQ_TRY(pq_node_spill(node, err));
    }
    return PQDB_OK;
}

static pqdb_code step(struct pq_db_replica *replica, struct pq_db_changed *changed,
                      pqdb_error *err) {
    struct pq_arena *arena = &changed->hold->arena;
    struct pq_delta *inputs = pq_arena_alloc(arena, (changed->count + 1) * sizeof *inputs);
    if (inputs == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a build");
    size_t count = 0;
    for (size_t i = 0; i < changed->count; i++) {
        struct pq_batch *rows = &changed->tables[i].rows;
        const uint32_t id = changed->tables[i].table->id;
        replica->steps_rows += rows->count;
        if (replica->created_from > 0) {
            const struct pq_batch all = *rows;
            PQ_TRY(pq_db_created_of(&all, replica->created_from, arena, rows, err));
        }
        if (id == replica->top->view->source) replica->created_rows += weight_of(rows);
        if (rows->count > 0) inputs[count++] = (struct pq_delta){.table = id, .rows = rows};
    }
    return step_circuit(replica, inputs, count, changed->hold, changed->to, err);
}

pqdb_code pq_db_replica_step(struct pq_db_replica *replica,
                             const struct pq_db_overlay_commit *commit, pqdb_error *err) {
    struct pq_hold *hold;
    PQ_TRY(pq_hold_create(replica->db->alloc, &hold, err));
    struct pq_delta *inputs =
        pq_arena_alloc(&hold->arena, (commit->part_count + 1) * sizeof *inputs);
    pqdb_code code = inputs == NULL ? pq_fail(err, PQDB_NO_MEMORY, "a step") : PQDB_OK;
    for (size_t i = 0; inputs != NULL && i < commit->part_count; i++) {
        inputs[i] = (struct pq_delta){.table = commit->parts[i].table->id,
                                      .rows = &commit->parts[i].rows};
        replica->steps_rows += commit->parts[i].rows.count;
    }
    if (code == PQDB_OK) {
        code = step_circuit(replica, inputs, commit->part_count, hold, commit->version, err);
    }
    if (code == PQDB_OK) replica->version = commit->version;
    pq_hold_unref(hold);
    return code;
}

void pq_db_replica_show(struct pq_db_replica *replica, struct pq_db_snapshot *snapshot,
                        const struct pq_db_overlay *overlay, uint64_t version) {
    pq_db_replica_take(replica, snapshot);
    for (size_t i = 0; i < replica->count; i++) {
        struct pq_db_part *part = pq_db_replica_part(&replica->members[i]);
        part->source.overlay = overlay;
        part->linked.overlay = overlay;
        part->lookup.is_after = false;  // commits are stepped one by one
    }
    replica->version = version;
}

/// The member that keeps, up to the view in question. What is built from nothing keeps nothing
/// before it is there, so that it does not depend on when the build began.
static const struct pq_db_table *keeper_of(const struct pq_db_replica *replica) {
    for (size_t i = 0; replica->goes_on && i < replica->count; i++) {
        const struct pq_db_table *table = replica->members[i].table;
        if (table->entry->retention_keeps) return table;
        if (table == replica->top) break;
    }
    return NULL;
}

/// What is wanted of the log for new rows alone.
static bool reads_new(void *ctx, const struct pq_db_table *table) {
    const struct pq_db_replica *replica = ctx;
    return table == replica->top->root;
}

/// Once the circuit has gone on from the snapshot, what a step would read of a collection again is
/// not what the circuit has seen: it is refused. Rows held here go along.
static void show_refills(struct pq_db_replica *replica) {
    const bool is_past = replica->version != replica->snapshot->version;
    for (size_t i = 0; i < replica->count; i++) {
        struct pq_db_rows *source = &pq_db_replica_part(&replica->members[i])->source;
        source->refuses = replica->members[i].starts_older || (is_past && source->held == NULL);
    }
}

static pqdb_code check_wanted(const struct pq_db_replica *replica, pqdb_error *err) {
    if (!replica->db->closes && !*replica->stops) return PQDB_OK;
    return pq_fail(err, PQDB_CONFLICT, "the build was given up");
}

/// A part of the log, no further than `to`.
static pqdb_code piece(struct pq_db_replica *replica, uint64_t to, size_t rows_max,
                       pqdb_error *err) {
    PQ_TRY(check_wanted(replica, err));
    const struct pq_db_table *keeper = keeper_of(replica);
    const struct pq_db_changed_options options = {
        .from = replica->version, .to = to,
        .wants = replica->appends ? reads_new : pq_db_replica_reads,
        .reads = columns_read, .ctx = replica, .keeps = keeper == NULL ? NULL : keeper->root,
        .heard = replica->hears ? &replica->db->listener : NULL,
        .apart = keeper != NULL && !keeper->view->grouped, .rows_max = rows_max};
    struct pq_db_changed changed;
    PQ_TRY(pq_db_changed_read(replica->db, &options, &changed, err));
    pqdb_code code = PQDB_OK;
    show_refills(replica);
    if (changed.count > 0) code = step(replica, &changed, err);
    if (code == PQDB_OK) replica->version = changed.to;
    pq_db_changed_deinit(&changed);
    return code;
}

/// What a row is when it goes is what is kept of it, with what it links to then: a step over
/// several commits would show that as it is after the last of them.
static bool steps_each(const struct pq_db_replica *replica) {
    return keeper_of(replica) != NULL && rows_at_once(replica, 1) == 0;
}

static pqdb_code step_each(struct pq_db_replica *replica, struct pq_db_snapshot *snapshot,
                           pqdb_error *err) {
    const struct pq_db_overlay_range range = {.from = replica->version, .to = snapshot->version,
                                              .snapshot = snapshot, .wants = pq_db_replica_reads,
                                              .ctx = replica};
    struct pq_db_overlay *overlay;
    const struct pq_db_overlay_commit *commit;
    PQ_TRY(pq_db_overlay_create(replica->db, &range, &overlay, err));
    pq_db_replica_show(replica, snapshot, overlay, replica->version);
    pqdb_code code = PQDB_OK;
    while (code == PQDB_OK && (commit = pq_db_overlay_next(overlay)) != NULL) {
        pq_circuit_forget(replica->circuit, commit->forgets);
        code = check_wanted(replica, err);
        if (code == PQDB_OK) code = pq_db_replica_step(replica, commit, err);
        pq_db_overlay_apply(overlay);
    }
    pq_circuit_forget(replica->circuit, false);
    pq_db_replica_show(replica, snapshot, NULL,
                       code == PQDB_OK ? snapshot->version : replica->version);
    pq_db_overlay_destroy(overlay);
    return code;
}

pqdb_code pq_db_replica_advance_to(struct pq_db_replica *replica, uint64_t version,
                                   pqdb_error *err) {
    const size_t rows_max = rows_at_once(replica, (size_t)replica->db->piece_rows);
    while (replica->version < version) PQ_TRY(piece(replica, version, rows_max, err));
    return PQDB_OK;
}

pqdb_code pq_db_replica_advance(struct pq_db_replica *replica, struct pq_db_snapshot *snapshot,
                                pqdb_error *err) {
    if (steps_each(replica)) return step_each(replica, snapshot, err);
    pq_db_replica_show_linked(replica, snapshot);
    PQ_TRY(pq_db_replica_advance_to(replica, snapshot->version, err));
    pq_db_replica_take(replica, snapshot);
    return PQDB_OK;
}

/// What came goes, and what went comes.
static pqdb_code turn(struct pq_db_changed *changed, pqdb_error *err) {
    for (size_t i = 0; i < changed->count; i++) {
        struct pq_batch *rows = &changed->tables[i].rows;
        int64_t *weights = pq_arena_alloc(&changed->hold->arena, rows->count * sizeof *weights);
        if (weights == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a build");
        for (size_t k = 0; k < rows->count; k++) {
            weights[k] = rows->weights == NULL ? -1 : -rows->weights[k];
        }
        rows->weights = weights;
    }
    return PQDB_OK;
}

pqdb_code pq_db_replica_rewind(struct pq_db_replica *replica, uint64_t version, pqdb_error *err) {
    const struct pq_db_changed_options options = {
        .from = version, .to = replica->version, .wants = pq_db_replica_reads,
        .reads = columns_read, .ctx = replica};
    struct pq_db_changed changed;
    PQ_TRY(pq_db_changed_read(replica->db, &options, &changed, err));
    pqdb_code code = turn(&changed, err);
    if (code == PQDB_OK && changed.count > 0) code = step(replica, &changed, err);
    if (code == PQDB_OK) replica->version = version;
    pq_db_changed_deinit(&changed);
    return code;
}

pqdb_code pq_db_replica_assist(struct pq_db_replica *replica, size_t rows_max, bool *done,
                               pqdb_error *err) {
    if (steps_each(replica)) {
        *done = true;
        return pq_db_replica_finish(replica, err);
    }
    pq_db_replica_show_linked(replica, NULL);
    for (int i = 0; i < 2 && replica->version < replica->db->version; i++) {
        PQ_TRY(piece(replica, replica->db->version, rows_at_once(replica, rows_max), err));
    }
    *done = replica->version == replica->db->version;
    return PQDB_OK;
}
