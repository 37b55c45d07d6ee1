/// db/form.c: a write becomes a delta, as leader, against the published state: what it matches,
/// whether ids and unique values are free, whether links lead somewhere.
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "collection/unique.h"
#include "db/schema_change.h"
#include "db/view_internal.h"
#include "db/write_internal.h"
#include "query/find.h"

uint64_t pq_db_row_hash(uint32_t table, struct pq_text id) {
    const uint64_t hash = pq_hash_word(pq_hash(id.data, id.length) + table);
    return hash == 0 ? 1 : hash;
}

static struct pq_table_snapshot *state_of(const struct pq_db_write *write) {
    return write->table->table->published;
}

static struct pq_arena *arena_of(const struct pq_db_write *write) { return &write->hold->arena; }

// ---- what it touches --------------------------------------------------------------------------

/// Rows and unique values that the delta changes.
static pqdb_code note_changes(struct pq_db_write *write, const struct pq_write_delta *delta,
                              const struct pq_unique_clashes *unique, pqdb_error *err) {
    const size_t most = delta->rows.count + unique->hash_count;
    uint64_t *hashes = pq_arena_alloc(arena_of(write), most * sizeof *hashes);
    if (hashes == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a write of %zu rows", most);
    size_t count = 0;
    for (size_t row = 0; row < delta->rows.count; row++) {
        const struct pq_text id = pq_column_text(&delta->rows.columns[PQ_COLUMN_ID], row);
        hashes[count++] = pq_db_row_hash(write->table->id, id);
    }
    for (size_t i = 0; i < unique->hash_count; i++) {
        const uint64_t hash = pq_hash_word(unique->hashes[i] ^ ~(uint64_t)write->table->id);
        hashes[count++] = hash == 0 ? 1 : hash;
    }
    write->changes = (struct pq_db_hashes){hashes, count};
    return PQDB_OK;
}

// ---- links ------------------------------------------------------------------------------------

static pqdb_code no_such_target(const struct pq_link_target *target, struct pq_text id,
                                pqdb_error *err) {
    pq_fail(err, PQDB_INVALID, "links to '%.*s', which is not in %.*s: create it first, or in the "
                               "same batch", (int)(id.length < 80 ? id.length : 80), id.data,
            PQ_TEXT_ARG(target->relation->target));
    return pq_fail_subject(err, PQDB_INVALID, target->path);
}

/// Is it among the rows that come?
static bool comes_with(const struct pq_batch *plus, struct pq_text id) {
    const struct pq_column *ids = &plus->columns[PQ_COLUMN_ID];
    for (size_t row = 0; row < plus->count; row++) {
        if (pq_text_equal(pq_column_text(ids, row), id)) return true;
    }
    return false;
}

static pqdb_code check_target(struct pq_db_write *write, const struct pq_link_target *target,
                              const struct pq_batch *plus, uint64_t *hashes, pqdb_error *err) {
    const struct pq_db_change *change = write->ctx;
    const struct pq_db_table *table = pq_db_find(change->db, target->relation->target);
    if (table == NULL) return PQDB_OK;  // external
    struct pq_row_place *places =
        pq_arena_alloc(arena_of(write), target->count * sizeof *places);
    if (places == NULL) return pq_fail(err, PQDB_NO_MEMORY, "the links of a write");
    PQ_TRY(pq_table_locate(table->table->published, target->ids, target->count, places, err));
    for (size_t i = 0; i < target->count; i++) {
        hashes[i] = pq_db_row_hash(table->id, target->ids[i]);
        if (places[i].segment != NULL) continue;
        if (table == write->table && comes_with(plus, target->ids[i])) continue;
        return no_such_target(target, target->ids[i], err);
    }
    return PQDB_OK;
}

/// Links that the rows set: `old`, row by row, is what they were, or NULL.
static pqdb_code check_links(struct pq_db_write *write, const struct pq_batch *plus,
                             const struct pq_batch *old, pqdb_error *err) {
    const struct pq_entry *entry = write->table->entry;
    write->relies = (struct pq_db_hashes){0};
    if (entry->kind == PQ_ENTRY_STREAM || plus->count == 0 || !pq_entry_has_links(entry)) {
        return PQDB_OK;
    }
    struct pq_links links;
    PQ_TRY(pq_links_collect(entry, plus, old, arena_of(write), &links, err));
    size_t most = 0, count = 0;
    for (size_t i = 0; i < links.count; i++) most += links.targets[i].count;
    uint64_t *hashes = pq_arena_alloc(arena_of(write), most * sizeof *hashes);
    if (hashes == NULL) return pq_fail(err, PQDB_NO_MEMORY, "the links of a write");
    for (size_t i = 0; i < links.count; i++) {
        PQ_TRY(check_target(write, &links.targets[i], plus, hashes + count, err));
        count += links.targets[i].count;
    }
    write->relies = (struct pq_db_hashes){hashes, count};
    return PQDB_OK;
}

// ---- unique values ----------------------------------------------------------------------------

static pqdb_code clash_error(const struct pq_unique_clash *clash, pqdb_error *err) {
    const struct pq_text holder = clash->holder;
    pq_fail(err, PQDB_CONFLICT, "is unique, and the row '%.*s'%s has this value already",
            (int)(holder.length < 80 ? holder.length : 80), holder.data,
            clash->in_batch ? " of the same write" : "");
    return pq_fail_subject(err, PQDB_CONFLICT, clash->field->name);
}

static pqdb_code check_unique(struct pq_db_write *write, const struct pq_write_delta *delta,
                              struct pq_unique_clashes *clashes, pqdb_error *err) {
    *clashes = (struct pq_unique_clashes){0};
    if (write->table->unique.entry == NULL || delta->rows.count == 0) return PQDB_OK;
    return pq_unique_check(&write->table->unique, delta, state_of(write), arena_of(write), clashes,
                           err);
}

// ---- the finished delta -----------------------------------------------------------------------

static pqdb_code encode(struct pq_db_write *write, const struct pq_write_delta *delta,
                        pqdb_error *err) {
    struct pq_db_change *change = write->ctx;
    const struct pq_log_rows rows = {
        .collection = write->table->id, .schema_id = pq_db_schema_id(write->table),
        .rows_minus = (uint32_t)delta->minus,
        .rows_plus = (uint32_t)(delta->rows.count - delta->minus),
        .waits_for_seq = delta->rows.weights == NULL, .batch = delta->rows};
    change->part.length = 0;
    change->is_encoded = false;  // the rows as they came: a write that waits is formed again
    PQ_TRY(pq_log_encode_rows(&rows, &change->part, err));
    write->part = pq_bytes_text(&change->part);
    return PQDB_OK;
}

static pqdb_code finish(struct pq_db_write *write, const struct pq_write_delta *delta,
                        const struct pq_unique_clashes *clashes, pqdb_error *err) {
    PQ_TRY(note_changes(write, delta, clashes, err));
    write->batch = delta->rows;
    write->changes_nothing = delta->rows.count == 0 && write->token.length == 0;
    const struct pq_db_change *change = write->ctx;
    const bool is_encoded = change->is_encoded && delta->rows.weights == NULL &&
                            delta->rows.count == change->rows->batch.count;
    if (is_encoded || delta->rows.count == 0) return PQDB_OK;
    return encode(write, delta, err);
}

// ---- rows that are created --------------------------------------------------------------------

/// Rows that are set aside, each with its fault, ascending.
static pqdb_code add_fault(struct pq_db_change *change, uint32_t row, const pqdb_error *fault,
                           pqdb_error *err) {
    struct pq_arena *arena = arena_of(&change->write);
    const size_t most = change->rows->batch.count;
    if (change->set_aside_count == 0) {
        change->set_aside = pq_arena_alloc(arena, most * sizeof *change->set_aside);
        change->faults = pq_arena_alloc(arena, most * sizeof *change->faults);
        if (change->set_aside == NULL || change->faults == NULL) {
            return pq_fail(err, PQDB_NO_MEMORY, "refusals of %zu rows", most);
        }
    }
    const size_t count = change->set_aside_count;
    if (count > 0 && change->set_aside[count - 1] == row) return PQDB_OK;
    change->set_aside[count] = row;
    change->faults[count] = *fault;
    change->set_aside_count++;
    return PQDB_OK;
}

static pqdb_code add_conflicts(struct pq_db_change *change, const struct pq_created *created,
                               pqdb_error *err) {
    const struct pq_column *ids = &change->rows->batch.columns[PQ_COLUMN_ID];
    for (size_t i = 0; i < created->set_aside_count; i++) {
        const struct pq_text id = pq_column_text(ids, created->set_aside[i]);
        pqdb_error fault;
        pq_fail(&fault, PQDB_CONFLICT, "'%.*s' is there already",
                (int)(id.length < 80 ? id.length : 80), id.data);
        pq_fail_subject(&fault, PQDB_CONFLICT, PQ_TEXT("$id"));
        PQ_TRY(add_fault(change, created->set_aside[i], &fault, err));
    }
    return PQDB_OK;
}

static pqdb_code add_clashes(struct pq_db_change *change, const struct pq_unique_clashes *clashes,
                             pqdb_error *err) {
    for (size_t i = 0; i < clashes->count; i++) {
        pqdb_error fault;
        clash_error(&clashes->items[i], &fault);
        PQ_TRY(add_fault(change, clashes->items[i].row, &fault, err));
    }
    return PQDB_OK;
}

/// The rows whose links lead nowhere: asked row by row, once some row's do.
static pqdb_code add_dangling(struct pq_db_change *change, const struct pq_batch *plus,
                              pqdb_error *err) {
    struct pq_db_write *write = &change->write;
    for (size_t row = 0; row < plus->count; row++) {
        struct pq_batch one;
        struct pq_links links;
        pqdb_error fault = {0};
        PQ_TRY(pq_batch_slice(plus, row, 1, arena_of(write), &one, err));
        PQ_TRY(pq_links_collect(write->table->entry, &one, NULL, arena_of(write), &links, err));
        pqdb_code code = PQDB_OK;
        for (size_t i = 0; code == PQDB_OK && i < links.count; i++) {
            uint64_t *hashes =
                pq_arena_alloc(arena_of(write), links.targets[i].count * sizeof *hashes);
            if (hashes == NULL) return pq_fail(err, PQDB_NO_MEMORY, "the links of a write");
            code = check_target(write, &links.targets[i], plus, hashes, &fault);
        }
        if (code == PQDB_INVALID) code = add_fault(change, (uint32_t)row, &fault, err);
        if (code != PQDB_OK) return code;
    }
    return PQDB_OK;
}

static pqdb_code set_aside_error(const struct pq_db_change *change, pqdb_error *err) {
    return pq_fail(err, PQDB_CONFLICT, "%zu items are set aside", change->set_aside_count);
}

pqdb_code pq_db_form_create(struct pq_db_write *write, pqdb_error *err) {
    struct pq_db_change *change = write->ctx;
    const struct pq_batch *rows = &change->rows->batch;
    const struct pq_create create = {.entry = write->table->entry, .rows = rows,
                                     .snapshot = state_of(write),
                                     .on_conflict = change->on_conflict,
                                     .first_seq = write->first_seq, .alloc = change->db->alloc};
    struct pq_created created = {.new_rows = rows->count};
    struct pq_unique_clashes clashes;
    change->set_aside_count = 0;
    if (change->ids_are_new) {
        PQ_TRY(pq_delta_make(NULL, rows, arena_of(write), &created.delta, err));
    } else {
        PQ_TRY(pq_create_form(&create, arena_of(write), &created, err));
    }
    PQ_TRY(check_unique(write, &created.delta, &clashes, err));
    const bool sets_aside = change->on_conflict == PQ_CONFLICT_SET_ASIDE;
    if (created.set_aside_count > 0) {  // then positions in the delta are others
        PQ_TRY(add_conflicts(change, &created, err));
    } else if (sets_aside) {
        PQ_TRY(add_clashes(change, &clashes, err));
    } else if (clashes.count > 0) {
        return clash_error(&clashes.items[0], err);
    }
    if (change->set_aside_count > 0) return set_aside_error(change, err);
    struct pq_batch plus = created.delta.rows;
    if (created.delta.minus > 0) {
        PQ_TRY(pq_batch_slice(&created.delta.rows, created.delta.minus,
                              created.new_rows + created.replaced, arena_of(write), &plus, err));
    }
    const pqdb_code linked = check_links(write, &plus, NULL, err);
    if (linked == PQDB_INVALID && sets_aside) {
        PQ_TRY(add_dangling(change, &plus, err));
        return set_aside_error(change, err);
    }
    PQ_TRY(linked);
    change->added = created.new_rows;
    change->changed = created.replaced;
    write->new_rows = created.new_rows;
    return finish(write, &created.delta, &clashes, err);
}

// ---- rows that change -------------------------------------------------------------------------

static pqdb_code check_version(const struct pq_db_change *change, const struct pq_batch *old,
                               pqdb_error *err) {
    if (change->expected_version == 0) return PQDB_OK;
    const struct pq_db_table *table = change->write.table;
    if (old->count == 0) {
        return pq_fail(err, PQDB_CONFLICT, "no row of %.*s matches that had version %llu",
                       PQ_TEXT_ARG(table->entry->name),
                       (unsigned long long)change->expected_version);
    }
    const int64_t *versions = old->columns[PQ_COLUMN_VERSION].values;
    for (size_t row = 0; row < old->count; row++) {
        if ((uint64_t)versions[row] == change->expected_version) continue;
        const struct pq_text id = pq_column_text(&old->columns[PQ_COLUMN_ID], row);
        pq_fail(err, PQDB_CONFLICT, "row '%.*s' of %.*s has version %lld, not %llu: read it again",
                (int)(id.length < 60 ? id.length : 60), id.data, PQ_TEXT_ARG(table->entry->name),
                (long long)versions[row], (unsigned long long)change->expected_version);
        return pq_fail_subject(err, PQDB_CONFLICT, PQ_TEXT("version"));
    }
    return PQDB_OK;
}

/// The rows that `find` finds in the published state.
static pqdb_code find_matching(struct pq_db_change *change, struct pq_batch *rows,
                               pqdb_error *err) {
    pqdb_db *db = change->db;
    struct pq_db_write *write = &change->write;
    struct pq_arena *arena = arena_of(write);
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    struct pq_db_lookup linked = {.db = db, .snapshot = snapshot};
    const struct pq_lookup lookup = pq_db_lookup_of(&linked, write->table, true);
    struct pq_find_table table = *write->table->find;
    table.lookup = &lookup;
    const bool first = change->creator != NULL;
    const struct pq_find_request request = {
        .filter = pq_text_of(change->where), .select = PQ_TEXT("$id"),
        .sort = first ? PQ_TEXT("") : PQ_TEXT("none"),
        .limit = first ? 1 : change->rows_max};
    struct pq_match by_ids = {.alloc = db->alloc, .by_id = true};
    struct pq_text *ids = NULL;
    size_t capacity = 0;
    struct pq_find *find = NULL;
    pqdb_code code;
    PQ_GO(pq_find_open(&table, pq_db_snapshot_rows(snapshot, write->table), &request, db->alloc,
                       &find, err));
    for (;;) {
        bool has_row;
        PQ_GO(pq_find_next(find, &has_row, err));
        if (!has_row) break;
        if (by_ids.id_count == capacity) {
            const size_t more = capacity == 0 ? 64 : capacity * 2;
            struct pq_text *grown = pq_resize(&arena->alloc, ids, capacity, more, sizeof *ids);
            if (grown == NULL) PQ_GO(pq_fail(err, PQDB_NO_MEMORY, "%zu ids", more));
            ids = grown;
            capacity = more;
        }
        ids[by_ids.id_count] = pq_arena_copy(arena, pq_find_id(find));
        if (ids[by_ids.id_count++].data == NULL) {
            PQ_GO(pq_fail(err, PQDB_NO_MEMORY, "%zu ids", by_ids.id_count));
        }
    }
    by_ids.ids = ids;
    PQ_GO(pq_match_find(&by_ids, state_of(write), first, arena, rows, err));
done:
    pq_find_close(find);
    pq_db_snapshot_unref(snapshot);
    return code;
}

/// Nothing matched: the row that the filter and the operators describe.
static pqdb_code form_insert(struct pq_db_change *change, struct pq_write_delta *delta,
                             pqdb_error *err) {
    struct pq_db_write *write = &change->write;
    const pqdb_db *db = change->db;
    const struct pq_json *filter =
        change->match.document == NULL ? NULL : pq_json_root(change->match.document);
    struct pq_bytes json;
    pq_bytes_init(&json, db->alloc);
    struct pq_row_batch *rows = &change->created;
    pq_rows_deinit(rows);
    pqdb_code code;
    PQ_GO(pq_update_insert(change->update, filter, change->match.id, &json, err));
    PQ_GO(pq_row_reader_read(change->creator, pq_bytes_text(&json), rows, err));
    struct pq_ulids ulids;
    pq_ulids_init(&ulids, db->env);
    PQ_GO(pq_rows_fill_ids(rows, &ulids, err));
    pq_rows_stamp(rows, write->table->entry, 0, db->env->now_us(db->env->ctx));
    const struct pq_create create = {.entry = write->table->entry, .rows = &rows->batch,
                                     .snapshot = state_of(write), .alloc = db->alloc};
    struct pq_created created;
    PQ_GO(pq_create_form(&create, arena_of(write), &created, err));
    PQ_GO(check_links(write, &rows->batch, NULL, err));
    *delta = created.delta;
    change->added = write->new_rows = 1;
done:
    pq_bytes_deinit(&json);
    return code;
}

static pqdb_code form_update(struct pq_db_change *change, const struct pq_batch *old,
                             struct pq_write_delta *delta, pqdb_error *err) {
    struct pq_db_write *write = &change->write;
    struct pq_arena *arena = arena_of(write);
    struct pq_updated updated;
    struct pq_batch gone = *old;
    PQ_TRY(pq_update_run(change->update, old, arena, &updated, err));
    if (updated.rows.count < old->count) {
        PQ_TRY(pq_batch_gather(old, updated.old, updated.rows.count, arena, &gone, err));
    }
    PQ_TRY(check_links(write, &updated.rows, &gone, err));
    change->changed = updated.rows.count;
    return pq_delta_make(&gone, &updated.rows, arena, delta, err);
}

static pqdb_code form_rows(struct pq_db_write *write, pqdb_error *err) {
    struct pq_db_change *change = write->ctx;
    struct pq_batch old;
    struct pq_write_delta delta;
    struct pq_unique_clashes clashes;
    change->added = change->changed = change->removed = write->new_rows = 0;
    write->relies = (struct pq_db_hashes){0};
    if (!change->match.by_id || change->follows_links || change->rows_max > 0) {
        PQ_TRY(find_matching(change, &old, err));
    } else {
        PQ_TRY(pq_match_find(&change->match, state_of(write), change->creator != NULL,
                             arena_of(write), &old, err));
    }
    PQ_TRY(check_version(change, &old, err));
    change->matched = old.count;
    if (old.count == 0 && change->creator != NULL) {
        PQ_TRY(form_insert(change, &delta, err));
    } else if (change->update == NULL) {
        change->removed = old.count;
        PQ_TRY(pq_delta_make(&old, NULL, arena_of(write), &delta, err));
    } else {
        PQ_TRY(form_update(change, &old, &delta, err));
    }
    PQ_TRY(check_unique(write, &delta, &clashes, err));
    if (clashes.count > 0) return clash_error(&clashes.items[0], err);
    return finish(write, &delta, &clashes, err);
}

/// Nothing is written yet, so what would take too much memory can still be refused. Retention goes
/// by rows, and has to go on.
pqdb_code pq_db_form_change(struct pq_db_write *write, pqdb_error *err) {
    const struct pq_db_change *change = write->ctx;
    struct pq_arena *arena = arena_of(write);
    const size_t max = pq_db_answer_max(change->db);
    if (change->rows_max == 0) arena->bytes_max = max;
    const pqdb_code code = form_rows(write, err);
    arena->bytes_max = 0;
    if (code != PQDB_NO_MEMORY || change->rows_max != 0 || arena->bytes_held < max / 2) return code;
    return pq_fail(err, PQDB_LIMIT, "the rows to change of %.*s take more than the %zu MiB that "
                                    "the memory budget has for a write: change fewer at a time, "
                                    "by a narrower filter, or raise the budget (--memory)",
                   PQ_TEXT_ARG(write->table->entry->name), max >> 20);
}
