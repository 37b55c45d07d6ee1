/// db/replica.c: see replica.h.
#include "db/replica_internal.h"

#include "base/fail.h"
#include "db/append.h"
#include "db/catch_up.h"
#include "db/checkpoint_internal.h"
#include "db/kept.h"
#include "db/schema_change.h"
#include "table/branch.h"

enum { below_max = PQ_VIEWS_BELOW_MAX };

// ---- made of ----------------------------------------------------------------------------------

/// The streaming views below, lowest first; with `all` the others too.
static pqdb_code find_below(const pqdb_db *db, const struct pq_db_table *table, bool all,
                            struct pq_db_table *below[below_max], size_t *count,
                            pqdb_error *err) {
    *count = 0;
    for (const struct pq_view *up = table->view->upstream;
         up != NULL && (all || up->mode == PQ_VIEW_STREAMING); up = up->upstream) {
        if (*count == below_max) {
            return pq_fail(err, PQDB_LIMIT, "the chain of views below is longer than %d",
                           below_max);
        }
        below[(*count)++] = pq_db_by_id(db, up->table);
    }
    for (size_t i = 0; i < *count / 2; i++) {
        struct pq_db_table *swapped = below[i];
        below[i] = below[*count - 1 - i];
        below[*count - 1 - i] = swapped;
    }
    return PQDB_OK;
}

/// What a member knows of the rows it puts out: nothing, none yet, those that are stored.
enum member_rows { ROWS_UNKNOWN, ROWS_NEW, ROWS_STORED };

/// State and rows go on from those of the view, as they are now.
static pqdb_code branch_member(struct pq_db_replica *replica, struct pq_db_member *member,
                               const struct pq_table_options *options, pqdb_error *err) {
    pqdb_db *db = replica->db;
    struct pq_db_table *table = member->table;
    struct pq_node *stored =
        table->node != NULL ? table->node : pq_circuit_find(db->circuit, table->id);
    pq_node_use_parts_of(member->part->node, stored);
    size_t count, stored_count;
    const struct pq_node_part *parts = pq_node_parts(member->part->node, &count);
    const struct pq_node_part *from = pq_node_parts(stored, &stored_count);
    for (size_t i = 0; i < count; i++) {
        if (parts[i].is_there) pq_trace_branch(parts[i].trace, from[i].trace);
    }
    return pq_table_branch(pq_db_snapshot_rows(replica->snapshot, table), options, &member->rows,
                           err);
}

static pqdb_code complete_kept(void *ctx, struct pq_batch *rows, struct pq_arena *arena,
                               pqdb_error *err) {
    const struct pq_db_member *member = ctx;
    if (member->rows == NULL) return PQDB_OK;
    return pq_db_complete_kept(member->table, member->rows, rows, arena, err);
}

static pqdb_code add_member(struct pq_db_replica *replica, struct pq_db_table *table,
                            enum member_rows rows, pqdb_error *err) {
    struct pq_db_member *member = &replica->members[replica->count];
    *member = (struct pq_db_member){.table = table};
    replica->count++;
    PQ_TRY(pq_db_part_create(replica->db, table, &member->part, err));
    const bool is_lean = replica->is_lean && table == replica->top;
    if (table->node != NULL && !is_lean) pq_node_use_parts_of(member->part->node, table->node);
    const struct pq_table_options options = {
        .name = table->entry->name, .names = table->names, .alloc = replica->db->alloc,
        .type = table->view->type, .marks_ids = pq_db_marks_ids(table)};
    if (rows == ROWS_NEW) PQ_TRY(pq_table_create(&options, &member->rows, err));
    if (rows == ROWS_STORED) PQ_TRY(branch_member(replica, member, &options, err));
    PQ_TRY(pq_circuit_add(replica->circuit, member->part->node, err));
    member->part->node = NULL;
    const struct pq_circuit_keeper keeper = {complete_kept, member};
    if (table->entry->retention_keeps) pq_circuit_keep(replica->circuit, table->id, &keeper);
    return PQDB_OK;
}

/// Is there a view with state above `below`, up to `table`?
static bool reads_with_state(const struct pq_db_table *table, const struct pq_db_table *below) {
    for (const struct pq_view *at = table->view; at != NULL; at = at->upstream) {
        if (at->table == below->id) return false;
        if (at->grouped) return true;
    }
    return false;
}

/// Do its stored rows, or those of a view below it, not go with the snapshot?
static bool is_behind(const struct pq_db_replica *replica, const struct pq_db_table *table) {
    for (; table->view != NULL; table = pq_db_by_id(replica->db, table->view->source)) {
        const struct pq_db_facts *facts = &replica->snapshot->facts[table->position];
        if (facts->failed || facts->unbuilt || table->view->mode != PQ_VIEW_STREAMING) return true;
    }
    return false;
}

static pqdb_code check_below(const struct pq_db_replica *replica,
                             const struct pq_db_table *below, pqdb_error *err) {
    const struct pq_db_facts *facts = &replica->snapshot->facts[below->position];
    if (!facts->failed && !facts->unbuilt) return PQDB_OK;
    return pq_fail(err, PQDB_INVALID, "%.*s, which it reads, %s",
                   PQ_TEXT_ARG(below->entry->name),
                   facts->failed ? "has failed" : "is not built yet");
}

/// The views below, and what of their rows is of interest.
static pqdb_code add_below(struct pq_db_replica *replica,
                           const struct pq_db_replica_options *options,
                           struct pq_db_table *const *below, size_t count, pqdb_error *err) {
    bool is_branched = false;
    for (size_t i = 0; i < count; i++) {
        if (!options->whole) PQ_TRY(check_below(replica, below[i], err));
        if (options->stored) continue;
        is_branched = is_branched || below[i] == options->branch;
        // Its rows are those of the snapshot, unless what is built starts at an older version.
        const bool keeps = options->whole ? is_behind(replica, below[i])
                                          : options->alone && options->branch == NULL &&
                                                reads_with_state(options->table, below[i]);
        PQ_TRY(add_member(replica, below[i],
                          is_branched ? ROWS_STORED : keeps ? ROWS_NEW : ROWS_UNKNOWN, err));
        if (!options->all_parts) continue;
        pq_db_use_all_parts(pq_circuit_find(replica->circuit, below[i]->id));
    }
    return PQDB_OK;
}

static pqdb_code add_members(struct pq_db_replica *replica,
                             const struct pq_db_replica_options *options, pqdb_error *err) {
    pqdb_db *db = replica->db;
    struct pq_db_table *table = options->table, *below[below_max];
    size_t below_count;
    const bool all = options->whole || options->branch != NULL;
    PQ_TRY(find_below(db, table, all, below, &below_count, err));
    const struct pq_views *views = db->views;
    const size_t most = below_count + 1 + views->count;
    replica->members = pq_arena_calloc(&replica->arena, most, sizeof *replica->members);
    replica->outputs = pq_arena_calloc(&replica->arena, most, sizeof *replica->outputs);
    if (replica->members == NULL || replica->outputs == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a build");
    }
    PQ_TRY(add_below(replica, options, below, below_count, err));
    if (options->borrow) {
        replica->members[replica->count++] =
            (struct pq_db_member){.table = table, .starts_older = true};
        PQ_TRY(pq_circuit_add(replica->circuit, table->node, err));
        const struct pq_circuit_keeper later = {0};  // when its rows are applied
        if (table->entry->retention_keeps) pq_circuit_keep(replica->circuit, table->id, &later);
        return PQDB_OK;
    }
    const bool keeps = options->whole || options->appends || !options->alone;
    PQ_TRY(add_member(replica, table,
                      options->branch != NULL ? ROWS_STORED : keeps ? ROWS_NEW : ROWS_UNKNOWN,
                      err));
    for (size_t i = 0; i < replica->count; i++) {
        struct pq_db_member *member = &replica->members[i];
        member->starts_older = member->table == options->branch;
    }
    if (options->all_parts) pq_db_use_all_parts(pq_circuit_find(replica->circuit, table->id));
    for (size_t i = 0; i < views->count && !options->alone; i++) {
        struct pq_db_table *above = pq_db_by_id(db, views->views[i].table);
        const bool streams = above != NULL && above->view->mode == PQ_VIEW_STREAMING;
        if (!streams || above == table || !pq_db_follows(above, table->id)) continue;
        if (!options->discards && pq_db_is_kept(above, &above->facts)) {
            return pq_db_refuse_loss(above, "with what it reads", err);
        }
        PQ_TRY(add_member(replica, above, ROWS_NEW, err));
    }
    return PQDB_OK;
}

static struct pq_db_member *member_of(struct pq_db_replica *replica, uint32_t table) {
    for (size_t i = 0; i < replica->count; i++) {
        if (replica->members[i].table->id == table) return &replica->members[i];
    }
    return NULL;
}

struct pq_db_part *pq_db_replica_part(const struct pq_db_member *member) {
    return member->part == NULL ? member->table->part : member->part;
}

void pq_db_replica_show_linked(struct pq_db_replica *replica,
                               const struct pq_db_snapshot *snapshot) {
    for (size_t i = 0; i < replica->count; i++) {
        struct pq_db_part *part = pq_db_replica_part(&replica->members[i]);
        part->linked.snapshot = snapshot;
        part->lookup.is_after = true;
    }
}

/// The view's own again, for steps of the database's circuit.
static void let_go(struct pq_db_part *part) {
    part->source.snapshot = NULL;
    part->source.held = NULL;
    part->source.refuses = false;
    part->linked.snapshot = NULL;
    part->linked.held = NULL;
    part->lookup.is_after = false;
}

/// What a step finds of its sources: as of the snapshot, or what a member has put out.
static void show_sources(struct pq_db_replica *replica) {
    for (size_t i = 0; i < replica->count; i++) {
        struct pq_db_part *part = pq_db_replica_part(&replica->members[i]);
        const struct pq_db_member *source = member_of(replica, part->source.table->id);
        part->source.snapshot = replica->snapshot;
        if (replica->members[i].table == replica->top) {
            part->source.appends = replica->appends;
            part->source.created_from = replica->created_from;
        }
        part->source.held = source == NULL ? NULL : source->rows;
        // What the source held when the view was last refreshed, nothing knows any more.
        part->source.refuses = replica->members[i].starts_older;
        part->linked.held = part->source.held;
        part->linked.held_id = part->source.table->id;
    }
    pq_db_replica_show_linked(replica, replica->snapshot);
}

void pq_db_replica_take(struct pq_db_replica *replica, struct pq_db_snapshot *snapshot) {
    atomic_fetch_add_explicit(&snapshot->references, 1, memory_order_relaxed);
    pq_db_snapshot_unref(replica->snapshot);
    replica->snapshot = snapshot;
    show_sources(replica);
}

static pqdb_code drop_rows(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    (void)ctx, (void)rows, (void)err;
    return PQDB_OK;
}

const struct pq_sink pq_db_nowhere = {.put = drop_rows};

pqdb_code pq_db_replica_create(pqdb_db *db, const struct pq_db_replica_options *options,
                               struct pq_db_snapshot *snapshot, struct pq_db_replica **replica,
                               pqdb_error *err) {
    struct pq_db_replica *made = pq_resize(db->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a build");
    *made = (struct pq_db_replica){.db = db, .top = options->table, .is_lean = options->is_lean,
                                   .appends = options->appends,
                                   .discards = options->discards, .hears = options->hears,
                                   .goes_on = options->borrow || options->branch != NULL,
                                   .stops = options->stops == NULL ? &options->table->build_stops
                                                                   : options->stops,
                                   .created_from = options->created_from,
                                   .version = snapshot->version, .on_rows = options->on_rows};
    const struct pq_db_table *older = options->borrow ? options->table : options->branch;
    if (older != NULL) made->version = snapshot->facts[older->position].reflects;
    pq_arena_init(&made->arena, db->alloc);
    const struct pq_spill *spill = pq_db_spill_begin(db, &made->spill);
    pq_db_replica_take(made, snapshot);
    pqdb_code code = pq_circuit_create(db->alloc, &made->circuit, err);
    if (code == PQDB_OK) code = add_members(made, options, err);
    // A branch's changes would need what it branches from beside their runs.
    for (size_t i = 0; options->branch == NULL && code == PQDB_OK && i < made->count; i++) {
        pq_node_use_spill(pq_circuit_find(made->circuit, made->members[i].table->id), spill);
    }
    if (code == PQDB_OK) {
        show_sources(made);
        *replica = made;
    } else {
        pq_db_replica_destroy(made);
    }
    return code;
}

void pq_db_replica_destroy(struct pq_db_replica *replica) {
    if (replica == NULL) return;
    pqdb_db *db = replica->db;
    for (size_t i = replica->count; i-- > 0;) {
        struct pq_db_member *member = &replica->members[i];
        const bool is_borrowed = member->part == NULL;
        if (is_borrowed && pq_circuit_find(replica->circuit, member->table->id) != NULL) {
            pq_node_use_spill(pq_circuit_take(replica->circuit, member->table->id), NULL);
        }
        if (is_borrowed) let_go(member->table->part);
        if (member->rows != NULL && !member->is_installed) pq_db_spill_bury(db, member->rows);
        pq_table_destroy(member->rows);
    }
    if (replica->circuit != NULL) pq_circuit_destroy(replica->circuit);
    for (size_t i = 0; i < replica->count; i++) pq_db_part_destroy(db, replica->members[i].part);
    pq_db_snapshot_unref(replica->snapshot);
    pq_db_spill_end(&replica->spill);
    pq_arena_deinit(&replica->arena);
    pq_free(db->alloc, replica, 1, sizeof *replica);
}

// ---- from nothing -----------------------------------------------------------------------------

static pqdb_code put_named(struct pq_db_replica *replica, const struct pq_db_member *member,
                           const struct pq_batch *rows, uint64_t version, pqdb_error *err) {
    struct pq_arena arena;
    struct pq_batch named;
    pq_arena_init(&arena, replica->db->alloc);
    pqdb_code code = pq_db_append_name(rows, replica->names, &arena, &named, err);
    if (code == PQDB_OK) {
        code = pq_db_put_rows(replica->db, member->rows, &named, NULL, version, err);
    }
    pq_arena_deinit(&arena);
    return code;
}

/// What a member puts out, into memory or, where that is too much, into files.
pqdb_code pq_db_replica_put(struct pq_db_replica *replica, const struct pq_db_member *member,
                           const struct pq_batch *rows, struct pq_hold *hold, uint64_t version,
                           pqdb_error *err) {
    if (replica->names > 0 && member->table == replica->top) {
        PQ_TRY(put_named(replica, member, rows, version, err));
    } else {
        PQ_TRY(pq_db_put_rows(replica->db, member->rows, rows, hold, version, err));
    }
    return pq_db_spill_rows(replica->db, member->table, member->rows, version, err);
}

struct builder {
    struct pq_db_replica *replica;
    const struct pq_db_member *member;
};

static pqdb_code put_rows(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    const struct builder *builder = ctx;
    struct pq_db_replica *replica = builder->replica;
    return pq_db_replica_put(replica, builder->member, rows, NULL, replica->version, err);
}

static pqdb_code build_from(struct pq_db_replica *replica, const struct pq_db_member *member,
                            const struct pq_rows *rows, pqdb_error *err) {
    struct pq_node *node = pq_circuit_find(replica->circuit, member->table->id);
    struct builder builder = {replica, member};
    const struct pq_sink sink = {.put = put_rows, .ctx = &builder};
    PQ_TRY(pq_node_full(node, rows, member->rows == NULL ? NULL : &sink, err));
    return member->rows == NULL ? PQDB_OK : pq_table_publish(member->rows, err);
}

static pqdb_code build_member(struct pq_db_replica *replica, struct pq_db_member *member,
                              pqdb_error *err) {
    struct pq_node *node = pq_circuit_find(replica->circuit, member->table->id);
    const bool is_top = member->table == replica->top;
    if (member->rows == NULL && pq_node_spec(node)->group == NULL) return PQDB_OK;
    struct pq_db_rows source = member->part->source;
    if (is_top) source.stops = replica->stops;
    if (is_top && replica->stops == &replica->top->build_stops) source.progress = replica->top;
    const struct pq_rows rows = pq_db_rows_of(&source);
    PQ_TRY(build_from(replica, member, &rows, err));
    if (is_top) replica->created_rows = source.created_rows;
    return PQDB_OK;
}

pqdb_code pq_db_replica_build_from(struct pq_db_replica *replica, const struct pq_rows *rows,
                                   pqdb_error *err) {
    return build_from(replica, &replica->members[replica->count - 1], rows, err);
}

/// What it reads has failed: it cannot be built.
static bool fails_with_source(struct pq_db_replica *replica, const struct pq_db_member *member) {
    const struct pq_db_member *source = member_of(replica, member->table->view->source);
    const pqdb_error *why =
        source == NULL ? NULL : pq_circuit_failure(replica->circuit, source->table->id);
    if (why == NULL) return false;
    pqdb_error error;
    pq_fail(&error, why->code, "view '%.*s', which it reads, failed: %.160s",
            PQ_TEXT_ARG(source->table->entry->name), why->message);
    pq_circuit_detach(replica->circuit, member->table->id, &error);
    return true;
}

pqdb_code pq_db_replica_build(struct pq_db_replica *replica, pqdb_error *err) {
    bool is_above = false;
    for (size_t i = 0; i < replica->count; i++) {
        struct pq_db_member *member = &replica->members[i];
        if (is_above && fails_with_source(replica, member)) continue;
        pqdb_error why = {0};
        const pqdb_code code = build_member(replica, member, &why);
        if (code != PQDB_OK && is_above && pq_db_is_views_own(code)) {
            pq_circuit_detach(replica->circuit, member->table->id, &why);
        } else if (code != PQDB_OK) {
            if (err != NULL) *err = why;
            return code;
        }
        is_above = is_above || member->table == replica->top;
    }
    return PQDB_OK;
}

// ---- in its place -----------------------------------------------------------------------------

/// The old node goes, the new one is the circuit's or the view's.
static void install_node(struct pq_db_replica *replica, struct pq_db_member *member) {
    pqdb_db *db = replica->db;
    struct pq_db_table *table = member->table;
    struct pq_node *node = pq_circuit_take(replica->circuit, table->id);
    struct pq_db_part *before = table->part;
    pq_node_use_spill(node, NULL);
    table->part = member->part;
    let_go(table->part);
    if (table->view->mode == PQ_VIEW_STREAMING) {
        before->node = pq_circuit_replace(db->circuit, node);
    } else {
        before->node = table->node;
        table->node = node;
    }
    member->part = before;
}

static pqdb_code install_member(struct pq_db_replica *replica, struct pq_db_member *member,
                                uint64_t version, int64_t time_us, pqdb_error *err) {
    pqdb_db *db = replica->db;
    struct pq_db_table *table = member->table;
    const pqdb_error *why = pq_circuit_failure(replica->circuit, table->id);
    if (why != NULL) {
        pq_db_note_failed(db, table, why);
        pq_circuit_remove(replica->circuit, table->id);
        return PQDB_OK;
    }
    member->rows->version = version;
    PQ_TRY(pq_table_publish(member->rows, err));
    pq_db_catch_up_drop(db, table);
    pq_db_retire_files(db, table->table);
    pq_db_hide_shown(db, table);
    struct pq_table *before = table->table;
    table->table = member->rows;
    member->rows = before;
    member->is_installed = true;
    install_node(replica, member);
    table->has_late_parts = false;  // perhaps: the background looks
    table->facts.last = (struct pq_last_refresh){.kind = PQ_REFRESH_FULL,
                                                 .why = pq_db_not_as_it_is(&table->facts),
                                                 .rows = table->table->rows};
    table->facts.failed = table->facts.unbuilt = table->facts.kept = false;
    pq_db_set_reflects(db, table, version);
    table->facts.reflects_position = pq_db_position(db);
    table->facts.refreshed_us = time_us;
    return PQDB_OK;
}

pqdb_code pq_db_replica_install(struct pq_db_replica *replica, uint64_t version, int64_t time_us,
                                pqdb_error *err) {
    for (size_t i = replica->count; i-- > 0;) {  // what is above comes out of the circuit first
        struct pq_db_member *member = &replica->members[i];
        if (member->rows == NULL) break;
        PQ_TRY(install_member(replica, member, version, time_us, err));
    }
    return PQDB_OK;
}
