/// db/write.c: the public way to change rows. Filter and operators are compiled in the caller's
/// thread; the leader forms the delta (db/form.c).
#include <parquedb/write.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "db/backlog.h"
#include "db/schema_change.h"
#include "db/write_internal.h"
#include "query/find.h"

// ---- a change ---------------------------------------------------------------------------------

void pq_db_change_init(struct pq_db_change *change, pqdb_db *db, struct pq_db_table *table) {
    *change = (struct pq_db_change){.db = db, .write = {.table = table}};
    pq_bytes_init(&change->part, db->alloc);
    pq_bytes_init(&change->token, db->alloc);
}

void pq_db_change_deinit(struct pq_db_change *change) {
    pq_match_deinit(&change->match);
    pq_update_destroy(change->update);
    pq_row_reader_destroy(change->creator);
    pq_rows_deinit(&change->created);
    pq_bytes_deinit(&change->part);
    pq_bytes_deinit(&change->token);
}

pqdb_code pq_db_make_token(const char *token, uint64_t number, uint64_t content,
                           struct pq_bytes *out, pqdb_error *err) {
    out->length = 0;
    if (token == NULL || token[0] == '\0') return PQDB_OK;
    if (strlen(token) > PQ_DB_TOKEN_BYTES_MAX) {
        return pq_fail(err, PQDB_LIMIT, "a token has at most %d bytes", PQ_DB_TOKEN_BYTES_MAX);
    }
    PQ_TRY(pq_bytes_append_text(out, pq_text_of(token), err));
    if (number != UINT64_MAX) {
        PQ_TRY(pq_bytes_printf(out, err, "#%llu", (unsigned long long)number));
    }
    uint8_t tail[9] = {0};
    pq_store_u64(tail + 1, content);
    return pq_bytes_append(out, tail, sizeof tail, err);
}

void pq_db_written(const struct pq_db_change *change, struct pqdb_written *written) {
    if (written == NULL) return;
    *written = (pqdb_written){.version = change->write.version,
                              .repeated = change->write.repeated};
    if (change->write.repeated) return;
    written->accepted = change->added + change->changed;
    written->matched = change->matched;
    written->created = change->added;
    written->changed = change->changed;
    written->removed = change->removed;
}

static pqdb_code commit(struct pq_db_change *change, pqdb_error *err) {
    pq_db_wait_for_keeper(change->db, change->write.part.length);
    const pqdb_code code = pq_db_commit(change->db, &change->write);
    if (code != PQDB_OK && err != NULL) *err = change->write.error;
    return code;
}

// ---- rows that are created --------------------------------------------------------------------

static pqdb_code encode_rows(struct pq_db_change *change, pqdb_error *err) {
    const struct pq_batch *batch = &change->rows->batch;
    const struct pq_log_rows rows = {.collection = change->write.table->id,
                                     .schema_id = pq_db_schema_id(change->write.table),
                                     .rows_plus = (uint32_t)batch->count, .waits_for_seq = true,
                                     .batch = *batch};
    change->part.length = 0;
    PQ_TRY(pq_log_encode_rows(&rows, &change->part, err));
    change->write.part = pq_bytes_text(&change->part);
    change->is_encoded = true;
    return PQDB_OK;
}

pqdb_code pq_db_create_rows(struct pq_db_change *change, pqdb_error *err) {
    pqdb_db *db = change->db;
    struct pq_db_write *write = &change->write;
    const struct pq_row_batch *rows = change->rows;
    const struct pq_entry *entry = write->table->entry;
    change->set_aside_count = 0;
    if (rows->batch.count == 0 && write->token.length == 0) {
        struct pq_db_snapshot *now = pq_db_snapshot(db);
        write->version = now->version;
        pq_db_snapshot_unref(now);
        return PQDB_OK;
    }
    *write = (struct pq_db_write){.table = write->table, .token = write->token,
                                  .batch = rows->batch, .hold = rows->hold, .ctx = change};
    const bool links = entry->kind != PQ_ENTRY_STREAM && pq_entry_has_links(entry);
    if (!change->ids_are_new || links || write->table->unique.entry != NULL) {
        write->form = pq_db_form_create;
    }
    change->added = rows->batch.count;
    PQ_TRY(encode_rows(change, err));
    return commit(change, err);
}

// ---- rows that change -------------------------------------------------------------------------

struct change_request {
    const char *collection, *where, *operators;  // operators NULL: delete
    bool creates;
    const pqdb_write_options *options;
    uint64_t rows_max;  // not 0: a commit of retention, of so many rows
};

/// Does the filter lead through links? Then the leader asks as `find` does.
static pqdb_code see_links(struct pq_db_change *change, pqdb_error *err) {
    const struct pq_find_table *find = change->write.table->find;
    if (change->match.document == NULL) return PQDB_OK;
    const struct pq_json *filter = pq_json_root(change->match.document);
    const struct pq_query_paths paths = {.filters = &filter, .filter_count = 1};
    struct pq_query_links links;
    struct pq_arena arena;
    pq_arena_init(&arena, change->db->alloc);
    const pqdb_code code = pq_query_links_plan(find->stage, &paths, &arena, &links, err);
    change->follows_links = code == PQDB_OK && links.any;
    pq_arena_deinit(&arena);
    return code;
}

static pqdb_code compile_match(struct pq_db_change *change, const char *where, pqdb_error *err) {
    const struct pq_db_table *table = change->write.table;
    const struct pq_find_table *find = table->find;
    const struct pq_scope scope = {
        .type = pq_entry_row_type(table->entry), .paths = find->paths,
        .path_count = find->path_count, .relations = find->relations,
        .extra_column = find->extra_column, .closed = find->closed, .strict = find->strict,
        .owner_name = find->name.data};
    if (where == NULL) where = "";
    PQ_TRY(pq_match_init(&change->match, pq_text_of(where), &scope, table->entry->type_name,
                         change->db->alloc, err));
    PQ_TRY(see_links(change, err));
    change->where = where;
    return change->follows_links ? PQDB_OK : pq_match_refuse_warnings(&change->match, err);
}

static pqdb_code compile_update(struct pq_db_change *change, const char *operators,
                                pqdb_error *err) {
    const struct pq_db_table *table = change->write.table;
    const struct pq_update_options options = {
        .entry = table->entry, .names = table->names, .alloc = change->db->alloc,
        .now_us = change->db->env->now_us(change->db->env->ctx)};
    return pq_update_compile(&options, pq_text_of(operators), &change->update, err);
}

/// The token stands for the whole request.
static pqdb_code make_token(struct pq_db_change *change, const struct change_request *request,
                            pqdb_error *err) {
    const char *operators = request->operators == NULL ? "" : request->operators;
    const char *where = request->where == NULL ? "" : request->where;
    uint64_t content = pq_hash(where, strlen(where));
    content = pq_hash_word(content + pq_hash(operators, strlen(operators)));
    content = pq_hash_word(content + change->expected_version * 4 +
                           (request->operators == NULL ? 2 : request->creates));
    PQ_TRY(pq_db_make_token(request->options->token, UINT64_MAX, content, &change->token, err));
    change->write.token = pq_bytes_text(&change->token);
    return PQDB_OK;
}

static pqdb_code check_options(const struct pq_db_table *table, const pqdb_write_options *options,
                               pqdb_error *err) {
    if (options->on_conflict != NULL) {
        return pq_fail(err, PQDB_INVALID, "on conflict is for rows that are created");
    }
    if (options->expected_version != 0 &&
        pq_entry_owns_column(table->entry, PQ_COLUMN_VERSION)) {
        return pq_fail(err, PQDB_INVALID, "%.*s has a field 'version' of its own, so its rows have "
                                          "no version to expect", PQ_TEXT_ARG(table->entry->name));
    }
    return PQDB_OK;
}

/// The rows that it may change are known before it is formed: it waits for a frame that has none.
static pqdb_code note_ids(struct pq_db_change *change, pqdb_error *err) {
    struct pq_db_write *write = &change->write;
    if (write->reads_all) return PQDB_OK;
    const size_t count = change->match.id_count;
    uint64_t *hashes = pq_arena_alloc(&write->hold->arena, count * sizeof *hashes);
    if (hashes == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a write of %zu ids", count);
    for (size_t i = 0; i < count; i++) {
        hashes[i] = pq_db_row_hash(write->table->id, change->match.ids[i]);
    }
    write->changes = (struct pq_db_hashes){hashes, count};
    return PQDB_OK;
}

static pqdb_code prepare(struct pq_db_change *change, const struct change_request *request,
                         pqdb_error *err) {
    pqdb_db *db = change->db;
    struct pq_db_write *write = &change->write;
    change->expected_version = request->options->expected_version;
    PQ_TRY(make_token(change, request, err));
    PQ_TRY(compile_match(change, request->where, err));
    if (request->operators != NULL) PQ_TRY(compile_update(change, request->operators, err));
    if (request->creates) {
        PQ_TRY(pq_db_make_reader(db, write->table, false, &change->creator, err));
    }
    PQ_TRY(pq_hold_create(db->alloc, &write->hold, err));
    write->form = pq_db_form_change;
    write->ctx = change;
    write->forgets = request->rows_max > 0;
    change->rows_max = request->rows_max;
    write->reads_all = write->forgets || change->follows_links || !change->match.by_id;
    return note_ids(change, err);
}

static pqdb_code run_inside(pqdb_db *db, const struct change_request *request,
                            pqdb_written *written, pqdb_error *err) {
    struct pq_db_table *table;
    struct pq_db_change change;
    PQ_TRY(pq_db_find_writable(db, request->collection, &table, err));
    PQ_TRY(check_options(table, request->options, err));
    pq_db_change_init(&change, db, table);
    pqdb_code code;
    PQ_GO(prepare(&change, request, err));
    PQ_GO(commit(&change, err));
    pq_db_written(&change, written);
done:
    pq_hold_unref(change.write.hold);
    pq_db_change_deinit(&change);
    return code;
}

static pqdb_code run(pqdb_db *db, const struct change_request *request, pqdb_written *written,
                     pqdb_error *err) {
    pq_db_gate_enter(&db->gate);
    const pqdb_code code = run_inside(db, request, written, err);
    pq_db_gate_leave(&db->gate);
    return code;
}

static const pqdb_write_options defaults;

static struct change_request request_of(const char *collection, const pqdb_edit *edit,
                                        const pqdb_write_options *options) {
    return (struct change_request){.collection = collection, .where = edit->where,
                                   .operators = edit->operators == NULL ? "" : edit->operators,
                                   .options = options == NULL ? &defaults : options};
}

pqdb_code pqdb_update(pqdb_db *db, const char *collection, const pqdb_edit *edit,
                      const pqdb_write_options *options, pqdb_written *written, pqdb_error *err) {
    const struct change_request request = request_of(collection, edit, options);
    return run(db, &request, written, err);
}

pqdb_code pqdb_upsert(pqdb_db *db, const char *collection, const pqdb_edit *edit,
                      const pqdb_write_options *options, pqdb_written *written, pqdb_error *err) {
    struct change_request request = request_of(collection, edit, options);
    request.creates = true;
    return run(db, &request, written, err);
}

pqdb_code pqdb_delete(pqdb_db *db, const char *collection, const char *where,
                      const pqdb_write_options *options, pqdb_written *written, pqdb_error *err) {
    const struct change_request request = {.collection = collection, .where = where,
                                           .options = options == NULL ? &defaults : options};
    return run(db, &request, written, err);
}

pqdb_code pq_db_delete_old(pqdb_db *db, const char *collection, const char *where,
                           uint64_t rows_max, uint64_t *removed, pqdb_error *err) {
    const struct change_request request = {.collection = collection, .where = where,
                                           .options = &defaults, .rows_max = rows_max};
    pqdb_written written;
    PQ_TRY(run(db, &request, &written, err));
    *removed = written.removed;
    return PQDB_OK;
}
