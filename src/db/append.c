/// db/append.c: see append.h.
#include "db/append.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/fail.h"
#include "batch/builder.h"
#include "db/catch_up.h"
#include "db/changed.h"
#include "db/checkpoint_internal.h"
#include "db/commit.h"
#include "db/created.h"
#include "db/kept.h"
#include "db/replica.h"
#include "db/row_list.h"
#include "table/data_file.h"

// ---- what they come to ------------------------------------------------------------------------

static pqdb_code name_ids(const struct pq_batch *rows, uint64_t names, struct pq_arena *arena,
                          struct pq_column *ids, pqdb_error *err) {
    const struct pq_type *type = &rows->type->fields[PQ_ID_COLUMN].type;
    struct pq_builder builder;
    struct pq_bytes id;
    pq_bytes_init(&id, &arena->alloc);
    PQ_TRY(pq_builder_init(&builder, type, &arena->alloc, err));
    for (size_t row = 0; row < rows->count; row++) {
        id.length = 0;
        PQ_TRY(pq_bytes_append_text(&id, pq_column_text(&rows->columns[PQ_ID_COLUMN], row), err));
        PQ_TRY(pq_bytes_printf(&id, err, "@%" PRIu64, names));
        PQ_TRY(pq_builder_append_bytes(&builder, id.data, id.length, err));
    }
    *ids = pq_builder_finish(&builder);
    return PQDB_OK;
}

pqdb_code pq_db_append_name(const struct pq_batch *rows, uint64_t names, struct pq_arena *arena,
                            struct pq_batch *named, pqdb_error *err) {
    const size_t columns = rows->type->field_count;
    struct pq_column *copy = pq_arena_calloc(arena, columns, sizeof *copy);
    if (copy == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an append");
    for (size_t k = 0; k < columns; k++) copy[k] = rows->columns[k];
    PQ_TRY(name_ids(rows, names, arena, &copy[PQ_ID_COLUMN], err));
    *named = *rows;
    named->columns = copy;
    return PQDB_OK;
}

/// Rows on their way, under ids of their own.
struct named {
    struct pq_sink to;
    uint64_t names;
    const struct pq_alloc *alloc;
};

static pqdb_code put_named(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    const struct named *named = ctx;
    struct pq_arena arena;
    struct pq_batch renamed;
    pq_arena_init(&arena, named->alloc);
    pqdb_code code = pq_db_append_name(rows, named->names, &arena, &renamed, err);
    if (code == PQDB_OK) code = named->to.put(named->to.ctx, &renamed, err);
    pq_arena_deinit(&arena);
    return code;
}

static struct named named_into(struct pq_db_row_list *list, uint64_t names) {
    return (struct named){.to = {.put = pq_db_row_list_put, .ctx = list}, .names = names,
                          .alloc = list->alloc};
}

/// The definition over the new rows alone; of none nothing comes, not even a global row.
static pqdb_code compute(pqdb_db *db, struct pq_db_created *created, struct pq_db_table *table,
                         uint64_t names, struct pq_db_row_list *list, pqdb_error *err) {
    struct named named = named_into(list, names);
    const struct pq_rows rows = pq_db_created_rows(created);
    struct pq_db_row_list made;
    const struct pq_sink keep = {.put = pq_db_row_list_put, .ctx = &made};
    struct pq_db_part *part;
    PQ_TRY(pq_db_part_create(db, table, &part, err));
    part->lookup.is_after = true;
    pq_db_row_list_init(&made, db->alloc);
    pqdb_code code = pq_node_full(part->node, &rows, &keep, err);
    for (struct pq_db_row_batch *at = made.first;
         code == PQDB_OK && created->rows > 0 && at != NULL; at = at->next) {
        code = put_named(&named, &at->rows, err);
    }
    pq_db_row_list_deinit(&made);
    pq_db_part_destroy(db, part);
    return code;
}

/// Leader: all that is new, out of what is stored.
static pqdb_code compute_new(pqdb_db *db, struct pq_db_table *table, uint64_t names,
                             struct pq_db_row_list *list, pqdb_error *err) {
    struct pq_db_rows source = {.db = db, .table = pq_db_by_id(db, table->view->source)};
    const struct pq_rows stored = pq_db_rows_of(&source);
    struct pq_db_created created = {.from = table->facts.mark, .alloc = db->alloc,
                                    .stored = &stored};
    return compute(db, &created, table, names, list, err);
}

// ---- beside the writers -----------------------------------------------------------------------

/// A refresh until it is one, and what it goes by.
struct attempt {
    pqdb_db *db;
    struct pq_db_table *table;
    bool discards;
    uint64_t mark, from;  // what is new, and since when
    uint64_t at;          // the snapshot it was computed from
    uint64_t began_ns;
    struct pq_db_replica *replica;  // owned
    bool is_named;                  // its rows have their ids; then
    struct pq_segment **files;      // owned references, in the replica's arena: rows that are
    size_t file_count;              // written, until the view has them
};

static bool is_root(void *ctx, const struct pq_db_table *table) {
    return ((const struct pq_db_table *)ctx)->root == table;
}

/// What is new of the collection itself the log has, where it reaches back: no need to scan all.
static pqdb_code build_by_log(struct attempt *attempt, pqdb_error *err) {
    pqdb_db *db = attempt->db;
    struct pq_db_changed changed;
    const struct pq_db_changed_options options = {.from = attempt->from, .to = attempt->at,
                                                  .wants = is_root, .ctx = attempt->table};
    PQ_TRY(pq_db_changed_read(db, &options, &changed, err));
    struct pq_db_created created = {.from = attempt->mark, .alloc = db->alloc,
                                    .batches = changed.count > 0 ? &changed.tables[0].rows : NULL,
                                    .batch_count = changed.count > 0};
    const struct pq_rows rows = pq_db_created_rows(&created);
    const pqdb_code code = pq_db_replica_build_from(attempt->replica, &rows, err);
    attempt->replica->created_rows = created.rows;
    pq_db_changed_deinit(&changed);
    return code;
}

static pqdb_code compute_beside(struct attempt *attempt, struct pq_db_snapshot *snapshot,
                                pqdb_error *err) {
    pqdb_db *db = attempt->db;
    struct pq_db_table *table = attempt->table;
    const struct pq_db_replica_options options = {
        .table = table, .alone = true, .all_parts = true, .appends = true,
        .created_from = attempt->mark,
        .stored = pq_db_reads_kept(db, table)};  // what is kept no collection has any more
    attempt->at = snapshot->version;
    PQ_TRY(pq_db_replica_create(db, &options, snapshot, &attempt->replica, err));
    const bool by_log = attempt->mark > 0 && table->view->source == table->root->id &&
                        attempt->from + 1 >= pq_log_first_version(db->log);
    PQ_TRY(by_log ? build_by_log(attempt, err) : pq_db_replica_build(attempt->replica, err));
    return pq_db_replica_catch_up(attempt->replica, err);
}

/// Leader: has something moved that the replica does not follow?
static bool is_overtaken(const struct attempt *attempt) {
    pqdb_db *db = attempt->db;
    if (!attempt->discards && attempt->table->facts.mark != attempt->mark) return true;
    const struct pq_db_table *source = pq_db_by_id(db, attempt->table->view->source);
    const bool keeps = pq_db_reads_kept(db, attempt->table);
    if (keeps && source->table->version > attempt->at) return true;
    for (const struct pq_view *view = attempt->table->view; view != NULL; view = view->upstream) {
        for (size_t i = 0; i < view->linked_count; i++) {
            const struct pq_db_table *linked = pq_db_by_id(db, view->linked[i]);
            if (linked->table->version > attempt->at) return true;
        }
    }
    return false;
}

static struct pq_db_member *made_of(const struct attempt *attempt) {
    return &attempt->replica->members[attempt->replica->count - 1];
}

/// What the replica has at the last commit, under the ids of the refresh; of what is named already
/// only what is in memory.
static pqdb_code take_rows(const struct attempt *attempt, uint64_t version,
                           struct pq_db_row_list *list, pqdb_error *err) {
    const struct pq_db_replica *replica = attempt->replica;
    struct named named = named_into(list, version);
    struct pq_db_rows made = {.db = attempt->db, .table = attempt->table,
                              .held = made_of(attempt)->rows};
    const struct pq_rows rows = pq_db_rows_of(&made);
    if (replica->created_rows == 0) return PQDB_OK;
    if (replica->names > 0) return rows.scan(rows.ctx, NULL, pq_db_row_list_put, list, err);
    return rows.scan(rows.ctx, NULL, put_named, &named, err);
}

// ---- many rows --------------------------------------------------------------------------------

static bool has_followers(const pqdb_db *db, const struct pq_db_table *table) {
    const struct pq_views *views = db->views;
    for (size_t i = 0; i < views->count; i++) {
        const struct pq_db_table *above = pq_db_by_id(db, views->views[i].table);
        const bool streams = above != NULL && above->view->mode == PQ_VIEW_STREAMING;
        if (streams && above != table && pq_db_follows(above, table->id)) return true;
    }
    return false;
}

static size_t rows_in_memory(const struct pq_table *table) {
    size_t rows = table->rows;
    for (size_t i = 0; i < table->catalog->file_count; i++) {
        rows -= table->catalog->segments[i]->rows - table->catalog->segments[i]->dead;
    }
    return rows;
}

static pqdb_code put_made(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    const struct attempt *attempt = ctx;
    pqdb_db *db = attempt->db;
    struct pq_table *made = made_of(attempt)->rows;
    PQ_TRY(pq_db_put_rows(db, made, rows, NULL, attempt->replica->version, err));
    return pq_db_spill_rows(db, attempt->table, made, attempt->replica->version, err);
}

/// All that was made goes into another table under its ids, which what comes has from here on.
static pqdb_code name_made(struct attempt *attempt, pqdb_error *err) {
    struct pq_db_member *member = made_of(attempt);
    struct pq_table *unnamed = member->rows;
    // The version that the refresh has if no commit comes before it; no other one names so.
    const uint64_t names = attempt->at + 1;
    struct named named = {.to = {.put = put_made, .ctx = attempt}, .names = names,
                          .alloc = attempt->db->alloc};
    struct pq_db_rows made = {.db = attempt->db, .table = attempt->table, .held = unnamed};
    const struct pq_rows rows = pq_db_rows_of(&made);
    PQ_TRY(pq_table_create(&unnamed->options, &member->rows, err));
    attempt->replica->names = names;
    pqdb_code code = rows.scan(rows.ctx, NULL, put_named, &named, err);
    if (code == PQDB_OK) code = pq_table_publish(member->rows, err);
    pq_db_spill_bury(attempt->db, unnamed);
    pq_table_destroy(unnamed);
    return code;
}

/// More than the leader should add: into files. Not where views follow, which step with all of it,
/// nor where rows of the view may have these ids.
static pqdb_code write_made(struct attempt *attempt, const struct pq_db_snapshot *snapshot,
                            pqdb_error *err) {
    enum { rounds_max = 4 };
    pqdb_db *db = attempt->db;
    const struct pq_table_snapshot *stored = pq_db_snapshot_rows(snapshot, attempt->table);
    const bool is_much = made_of(attempt)->rows->rows > db->led_rows;
    if (!is_much || stored->version == attempt->at || has_followers(db, attempt->table)) {
        return PQDB_OK;
    }
    PQ_TRY(name_made(attempt, err));
    struct pq_table *made = made_of(attempt)->rows;
    for (int i = 0; i < rounds_max && rows_in_memory(made) > db->led_rows; i++) {
        PQ_TRY(pq_db_write_rows(db, attempt->table, made, attempt->replica->version, err));
        PQ_TRY(pq_db_replica_catch_up(attempt->replica, err));
    }
    return PQDB_OK;
}

/// Leader: the files out of the replica, which has no more than what is in memory then.
static pqdb_code take_files(struct attempt *attempt, pqdb_error *err) {
    struct pq_table *made = made_of(attempt)->rows;
    const size_t count = made->catalog->file_count;
    struct pq_segment **files =
        pq_arena_alloc(&attempt->replica->arena, (count + 1) * sizeof(struct pq_segment *));
    if (files == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an append");
    for (size_t i = 0; i < count; i++) files[i] = made->catalog->segments[i];
    for (size_t i = 0; i < count; i++) pq_segment_ref(files[i]);
    attempt->files = files;
    attempt->file_count = count;
    const struct pq_table_swap swap = {.old = files, .old_count = count};
    PQ_TRY(pq_table_swap(made, &swap, err));
    return pq_table_publish(made, err);
}

/// Leader, at the refresh: the view's own from here on.
static pqdb_code give_files(struct attempt *attempt, pqdb_error *err) {
    struct pq_table *rows = attempt->table->table;
    PQ_TRY(pq_table_seal(rows, err));
    while (attempt->file_count > 0) {
        const struct pq_table_swap swap = {.fresh = attempt->files[attempt->file_count - 1]};
        PQ_TRY(pq_table_swap(rows, &swap, err));
        attempt->file_count--;
    }
    return PQDB_OK;
}

/// Leader, at the refresh: what was there goes, all that was made is in its place.
static void exchange(struct attempt *attempt) {
    struct pq_db_table *table = attempt->table;
    struct pq_db_member *member = made_of(attempt);
    struct pq_table *before = table->table;
    pq_db_retire_files(attempt->db, before);
    table->table = member->rows;
    member->rows = before;
    member->is_installed = true;
}

/// Of an attempt that came to nothing.
static void bury_files(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->file_count; i++) {
        pq_data_file_bury(attempt->db->pace, pq_data_file_path(attempt->files[i]->file),
                          attempt->table->view->type);
        pq_segment_unref(attempt->files[i]);
    }
}

// ---- a refresh --------------------------------------------------------------------------------

/// Takes every row of the view back.
static pqdb_code take_back(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    struct pq_db_row_list *list = ctx;
    struct pq_arena arena;
    pq_arena_init(&arena, list->alloc);
    struct pq_batch minus = *rows;
    int64_t *weights = pq_arena_alloc(&arena, (rows->count + 1) * sizeof *weights);
    pqdb_code code = weights == NULL ? pq_fail(err, PQDB_NO_MEMORY, "an append") : PQDB_OK;
    for (size_t i = 0; weights != NULL && i < rows->count; i++) weights[i] = -1;
    minus.weights = weights;
    if (code == PQDB_OK && rows->count > 0) code = pq_db_row_list_put(list, &minus, err);
    pq_arena_deinit(&arena);
    return code;
}

static pqdb_code take_back_all(pqdb_db *db, struct pq_db_table *table,
                               struct pq_db_row_list *list, pqdb_error *err) {
    struct pq_db_rows own = {.db = db, .table = table};
    const struct pq_rows stored = pq_db_rows_of(&own);
    return stored.scan(stored.ctx, NULL, take_back, list, err);
}

/// Leader, where nothing was computed before.
static pqdb_code collect(pqdb_db *db, struct pq_db_table *table, bool discard, uint64_t names,
                         struct pq_db_row_list *list, pqdb_error *err) {
    const uint64_t mark = table->facts.mark;
    pqdb_code code = PQDB_OK;
    if (discard) {
        table->facts.mark = 0;
        code = take_back_all(db, table, list, err);
    }
    if (code == PQDB_OK) code = compute_new(db, table, names, list, err);
    if (code != PQDB_OK) table->facts.mark = mark;
    return code;
}

static pqdb_code apply(pqdb_db *db, struct pq_db_table *table, const struct pq_db_row_list *list,
                       uint64_t version, int64_t time_us, pqdb_error *err) {
    for (struct pq_db_row_batch *at = list->first; at != NULL; at = at->next) {
        const struct pq_db_delta step = {.table = table, .rows = at->rows, .hold = at->hold};
        PQ_TRY(pq_db_step(db, &step, 1, version, time_us, err));
    }
    pq_db_hide_shown(db, table);
    struct pq_db_facts *facts = &table->facts;
    const bool is_first = pq_db_is_new(facts);
    facts->mark = table->root->next_seq;
    facts->failed = facts->unbuilt = facts->refresh_failed = false;
    pq_db_set_reflects(db, table, version);
    table->facts.reflects_position = pq_db_position(db);
    if (list->rows == 0 && !is_first) return PQDB_OK;
    facts->refreshed_us = time_us;
    facts->last = (struct pq_last_refresh){.kind = PQ_REFRESH_APPEND, .rows = list->rows};
    return PQDB_OK;
}

/// Leader: brought to the last commit, or computed at once where it was overtaken: what is for the
/// leader to add, and what the refresh tells of itself.
static pqdb_code finish(struct attempt *attempt, uint64_t version, struct pq_db_row_list *list,
                        struct pq_last_refresh *did, pqdb_error *err) {
    pqdb_db *db = attempt->db;
    PQ_TRY(pq_db_check_open(db, err));
    if (is_overtaken(attempt)) {
        PQ_TRY(collect(db, attempt->table, attempt->discards, version, list, err));
        did->rows = list->rows;
        return PQDB_OK;
    }
    PQ_TRY(pq_db_replica_finish(attempt->replica, err));
    const uint64_t names = attempt->replica->names;
    attempt->is_named = names > 0;
    did->names = names == version ? 0 : names;
    if (attempt->is_named) {
        did->rows = made_of(attempt)->rows->rows;
        if (attempt->discards) did->rows += attempt->table->table->rows;
        if (attempt->discards) return PQDB_OK;
        PQ_TRY(take_files(attempt, err));
        return take_rows(attempt, version, list, err);
    }
    if (attempt->discards) PQ_TRY(take_back_all(db, attempt->table, list, err));
    PQ_TRY(take_rows(attempt, version, list, err));
    did->rows = list->rows;
    return PQDB_OK;
}

/// Leader, once it is in the log.
static pqdb_code add(struct attempt *attempt, const struct pq_db_row_list *list, uint64_t version,
                     int64_t time_us, pqdb_error *err) {
    pqdb_db *db = attempt->db;
    struct pq_db_table *table = attempt->table;
    if (attempt->is_named && attempt->discards) exchange(attempt);
    if (attempt->is_named && !attempt->discards) PQ_TRY(give_files(attempt, err));
    PQ_TRY(apply(db, table, list, version, time_us, err));
    if (!attempt->is_named) return PQDB_OK;
    table->table->version = version;
    return pq_table_publish(table->table, err);
}

/// Leader: the record first.
static pqdb_code refresh(struct attempt *attempt, pqdb_error *err) {
    pqdb_db *db = attempt->db;
    struct pq_db_table *table = attempt->table;
    const bool discards = attempt->discards;
    struct pq_db_row_list list;
    uint64_t version = pq_log_position(db->log).version;
    struct pq_last_refresh did = {.kind = PQ_REFRESH_APPEND,
                                  .why = discards ? PQ_WHY_DISCARD : PQ_WHY_NOT};
    pq_db_row_list_init(&list, db->alloc);
    pqdb_code code;
    PQ_GO(finish(attempt, version, &list, &did, err));
    did.took_us = (int64_t)((db->env->monotonic_ns(db->env->ctx) - attempt->began_ns) / 1000);
    PQ_GO(pq_db_log_refresh(db, table, discards ? PQ_DB_LOGGED_SWAP : PQ_DB_LOGGED_ROWS, &did,
                            &version, err));
    const int64_t time_us = pq_log_time_us(db->log);
    code = add(attempt, &list, version, time_us, err);
    table->facts.refreshed_us = time_us;
    table->facts.last = did;
    if (code == PQDB_OK) code = pq_db_publish(db, version, time_us, err);
    if (code != PQDB_OK) pq_db_break(db, code, err);  // reopening repeats it
done:
    pq_db_row_list_deinit(&list);
    return code;
}

static pqdb_code refresh_locked(struct attempt *attempt, pqdb_error *err) {
    pqdb_db *db = attempt->db;
    pq_db_lock_contents(db);
    pq_db_catch_up_drop(db, attempt->table);
    pthread_mutex_lock(&db->leader);
    const pqdb_code code = refresh(attempt, err);
    pthread_mutex_unlock(&db->leader);
    pq_db_unlock_contents(db);
    return code;
}

pqdb_code pq_db_append_refresh(pqdb_db *db, struct pq_db_table *table, bool discard,
                               pqdb_error *err) {
    struct attempt attempt = {.db = db, .table = table, .discards = discard,
                              .began_ns = db->env->monotonic_ns(db->env->ctx)};
    struct pq_db_snapshot *snapshot;
    pqdb_error why = {0};
    PQ_TRY(pq_db_build_begin(db, table, &snapshot, err));
    attempt.mark = discard ? 0 : snapshot->facts[table->position].mark;
    attempt.from = snapshot->facts[table->position].reflects;
    pqdb_code code = compute_beside(&attempt, snapshot, &why);
    if (code == PQDB_OK) code = write_made(&attempt, snapshot, &why);
    pq_db_snapshot_unref(snapshot);
    if (code == PQDB_OK) code = refresh_locked(&attempt, &why);
    const bool is_large = attempt.replica != NULL && attempt.replica->names > 0;
    bury_files(&attempt);
    pq_db_build_end(db, table, code, &why);
    pq_db_replica_destroy(attempt.replica);
    if (is_large) pq_db_keeper_want(db);  // recovery would compute it again until it is in a root
    if (code != PQDB_OK && err != NULL) *err = why;
    return code;
}

pqdb_code pq_db_append_here(pqdb_db *db, struct pq_db_table *table,
                            const struct pq_db_append_at *at, pqdb_error *err) {
    struct pq_db_row_list list;
    pqdb_error why = {0};
    const uint64_t names = at->names > 0 ? at->names : at->version;
    pq_db_row_list_init(&list, db->alloc);
    pqdb_code code = collect(db, table, at->discard, names, &list, &why);
    if (code == PQDB_OK) code = apply(db, table, &list, at->version, at->time_us, &why);
    if (code != PQDB_OK && pq_db_is_views_own(code)) pq_db_note_failed(db, table, &why);
    pq_db_row_list_deinit(&list);
    if (code != PQDB_OK && err != NULL) *err = why;
    return code;
}

// ---- with every commit ------------------------------------------------------------------------

bool pq_db_has_appending(const pqdb_db *db) {
    const struct pq_views *views = db->views;
    for (size_t i = 0; i < views->count; i++) {
        if (views->views[i].mode == PQ_VIEW_APPENDING) return true;
    }
    return false;
}

const struct pq_batch *pq_db_stepped_into(const struct pq_db_stepped *stepped, uint32_t table) {
    for (size_t i = 0; i < stepped->input_count; i++) {
        if (stepped->inputs[i].table == table) return stepped->inputs[i].rows;
    }
    for (size_t i = 0; i < stepped->output_count; i++) {
        const struct pq_output *output = &stepped->outputs[i];
        if (output->table == table && output->rows.count > 0) return &output->rows;
    }
    return NULL;
}

static bool follows(const struct pq_db_stepped *stepped, const struct pq_db_table *table) {
    if (table == NULL || table->view->mode != PQ_VIEW_APPENDING) return false;
    if (table->facts.failed || table->facts.unbuilt) return false;
    return pq_db_stepped_into(stepped, table->root->id) != NULL;
}

/// A view's part of the step, until all are known: then the step's memory is needed again.
struct part {
    struct pq_db_table *table;
    struct pq_db_row_list list;
};

static pqdb_code compute_part(pqdb_db *db, const struct pq_db_stepped *stepped,
                              struct part *part, pqdb_error *err) {
    const struct pq_batch *rows = pq_db_stepped_into(stepped, part->table->view->source);
    struct pq_db_created created = {.from = part->table->facts.mark, .alloc = db->alloc,
                                    .batches = rows, .batch_count = rows != NULL};
    pqdb_error why = {0};
    const struct pq_db_facts *source = &pq_db_by_id(db, part->table->view->source)->facts;
    if (source->failed || source->unbuilt) {  // what is new to it is so still when that is mended
        pq_fail(&why, PQDB_INVALID, "what it reads has failed");
        pq_db_note_failed(db, part->table, &why);
        part->table = NULL;
        return PQDB_OK;
    }
    if (rows == NULL) return PQDB_OK;
    const pqdb_code code =
        compute(db, &created, part->table, stepped->version, &part->list, &why);
    if (code != PQDB_OK && pq_db_is_views_own(code)) {
        pq_db_note_failed(db, part->table, &why);
        part->table = NULL;
        return PQDB_OK;
    }
    if (code != PQDB_OK && err != NULL) *err = why;
    return code;
}

pqdb_code pq_db_append_step(pqdb_db *db, const struct pq_db_stepped *stepped, pqdb_error *err) {
    const struct pq_views *views = db->views;
    struct part *parts = NULL;
    size_t count = 0, following = 0;
    for (size_t i = 0; i < views->count; i++) {
        following += views->views[i].mode == PQ_VIEW_APPENDING;
    }
    if (following == 0) return PQDB_OK;
    parts = pq_resize(db->alloc, NULL, 0, following, sizeof *parts);
    if (parts == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an append");
    for (size_t i = 0; i < views->count; i++) {
        if (views->views[i].mode != PQ_VIEW_APPENDING) continue;
        struct pq_db_table *table = pq_db_by_id(db, views->views[i].table);
        if (!follows(stepped, table)) continue;
        parts[count].table = table;
        pq_db_row_list_init(&parts[count++].list, db->alloc);
    }
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; code == PQDB_OK && i < count; i++) {
        code = compute_part(db, stepped, &parts[i], err);
    }
    const struct pq_db_stepped done = *stepped;  // what it points to goes with the next step
    for (size_t i = 0; code == PQDB_OK && i < count; i++) {
        if (parts[i].table == NULL) continue;
        code = apply(db, parts[i].table, &parts[i].list, done.version, done.time_us, err);
    }
    for (size_t i = 0; i < count; i++) pq_db_row_list_deinit(&parts[i].list);
    pq_free(db->alloc, parts, following, sizeof *parts);
    return code;
}
