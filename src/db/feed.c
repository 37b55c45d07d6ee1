/// db/feed.c: the exact changes of a view, commit by commit.
///
/// They are stored nowhere: the log has what changed in the collections, and a view's rows follow
/// from them. A private circuit begins with the tables as they were at `since` (a snapshot of now,
/// with the rows that changed put back) and steps through the commits one by one. So a feed is
/// exact after any crash, costs commits nothing, and reaches as far back as the log.
#include <inttypes.h>

#include "base/fail.h"
#include "base/json.h"
#include "db/kept.h"
#include "db/replica.h"
#include "expr/print.h"
#include "query/find.h"
#include "variant/variant.h"

struct pqdb_feed {
    pqdb_db *db;
    struct pq_db_table *table;
    struct pq_db_replica *replica;  // NULL before the first time
    uint64_t version;               // told up to here
    // While commits are told:
    const struct pq_db_overlay_commit *commit;
    pqdb_on_view_change on_change;
    void *ctx;
    struct pq_bytes text;       // of a row
    struct pq_arena row_arena;
    struct pq_sink sink;
};

// ---- rows -------------------------------------------------------------------------------------

/// As `find` prints a row with its system columns.
struct printer {
    const struct pq_find_table *find;
    const struct pq_batch *rows;
    size_t row;
    struct pq_arena *arena;
    struct pq_bytes *out;
};

static bool is_system(const struct printer *printer, struct pq_text name) {
    return !printer->find->closed &&
           (pq_text_is(name, "createdAt") || pq_text_is(name, "updatedAt") ||
            pq_text_is(name, "version"));
}

static pqdb_code print_column(const struct printer *printer, uint32_t k, pqdb_error *err) {
    struct pq_bytes *out = printer->out;
    PQ_TRY(pq_bytes_append_byte(out, k == 0 ? '{' : ',', err));
    PQ_TRY(pq_json_write_text(out, printer->rows->type->fields[k].name, err));
    PQ_TRY(pq_bytes_append_byte(out, ':', err));
    return pq_print_row(out, &printer->rows->columns[k], printer->row, err);
}

/// Undeclared fields stand beside the others.
static pqdb_code print_extra(const struct printer *printer, pqdb_error *err) {
    if (printer->find->extra_column < 0) return PQDB_OK;
    const struct pq_column *extra = &printer->rows->columns[printer->find->extra_column];
    if (pq_column_is_null(extra, printer->row)) return PQDB_OK;
    const uint8_t mark = extra->valid == NULL ? PQ_ROW_VALID : extra->valid[printer->row];
    struct pq_variant variant;
    PQ_TRY(pq_variant_of_row(pq_column_text(extra, printer->row), mark, extra->names,
                             printer->arena, &variant, err));
    const size_t count = pq_variant_count(&variant);
    for (size_t k = 0; k < count; k++) {
        struct pq_text name;
        const struct pq_variant value = pq_variant_at(&variant, k, &name);
        PQ_TRY(pq_bytes_append_byte(printer->out, ',', err));
        PQ_TRY(pq_json_write_text(printer->out, name, err));
        PQ_TRY(pq_bytes_append_byte(printer->out, ':', err));
        PQ_TRY(pq_variant_write_json(&value, printer->out, err));
    }
    return PQDB_OK;
}

static pqdb_code print_row(const struct printer *printer, pqdb_error *err) {
    const struct pq_type *type = printer->rows->type;
    printer->out->length = 0;
    for (uint32_t k = 0; k < type->field_count; k++) {
        const struct pq_text name = type->fields[k].name;
        const bool is_hidden = pq_text_is(name, "$seq") || pq_text_is(name, "$index") ||
                               pq_text_is(name, "_extra");
        if (!is_hidden && !is_system(printer, name)) PQ_TRY(print_column(printer, k, err));
    }
    PQ_TRY(print_extra(printer, err));
    for (uint32_t k = 1; k < type->field_count; k++) {
        if (is_system(printer, type->fields[k].name)) PQ_TRY(print_column(printer, k, err));
    }
    PQ_TRY(pq_bytes_append_byte(printer->out, '}', err));
    return pq_bytes_append_byte(printer->out, '\0', err);
}

static pqdb_code tell_rows(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    struct pqdb_feed *feed = ctx;
    for (size_t row = 0; row < rows->count; row++) {
        pq_arena_reset(&feed->row_arena);
        const struct printer printer = {feed->table->find, rows, row, &feed->row_arena,
                                        &feed->text};
        PQ_TRY(print_row(&printer, err));
        const pqdb_view_change change = {
            .version = feed->commit->version, .time_us = feed->commit->time_us,
            .weight = rows->weights == NULL ? 1 : rows->weights[row],
            .row = (const char *)feed->text.data, .length = feed->text.length - 1};
        const pqdb_code code = feed->on_change(feed->ctx, &change);
        if (code != PQDB_OK) return pq_fail(err, code, "the reader of the changes stopped");
    }
    return PQDB_OK;
}

// ---- open -------------------------------------------------------------------------------------

static pqdb_code refuse(const struct pq_db_table *table, pqdb_code code, const char *why,
                        pqdb_error *err) {
    pq_fail(err, code, "%s", why);
    return pq_fail_subject(err, code, table->entry->name);
}

static pqdb_code check(pqdb_db *db, const struct pq_db_table *table, uint64_t since,
                       uint64_t newest, pqdb_error *err) {
    if (!table->entry->has_history) {
        return refuse(table, PQDB_INVALID, "its changes are not kept: declare $history on it, as "
                      "in $history: '7d'", err);
    }
    for (const struct pq_view *view = table->view; view != NULL; view = view->upstream) {
        if (view->mode != PQ_VIEW_STREAMING) {
            return refuse(table, PQDB_UNSUPPORTED, view == table->view
                          ? "it is not streaming: what a refresh changes is not kept"
                          : "it reads a view that is not streaming", err);
        }
    }
    const uint64_t first = pq_log_first_version(db->log);
    if (since + 1 < first) {
        pq_fail(err, PQDB_NOT_FOUND, "the log begins after version %" PRIu64 "; read the view, "
                "then its changes from there", first - 1);
        return pq_fail_subject(err, PQDB_NOT_FOUND, table->entry->name);
    }
    if (since <= newest) return PQDB_OK;
    return pq_fail(err, PQDB_INVALID, "version %" PRIu64 " has not been yet, the last is %" PRIu64,
                   since, newest);
}

pqdb_code pqdb_feed_open(pqdb_db *db, const char *view, uint64_t since, pqdb_feed **feed,
                         pqdb_error *err) {
    struct pq_db_table *table;
    struct pq_db_snapshot *snapshot = pq_db_snapshot(db);
    pqdb_code code = pq_db_snapshot_find_view(db, snapshot, pq_text_of(view), &table, err);
    if (code == PQDB_OK) code = pq_db_readable(snapshot, table, err);
    if (code == PQDB_OK) code = check(db, table, since, snapshot->version, err);
    pq_db_snapshot_unref(snapshot);
    PQ_TRY(code);
    struct pqdb_feed *made = pq_resize(db->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a feed");
    *made = (struct pqdb_feed){.db = db, .table = table, .version = since};
    made->sink = (struct pq_sink){.put = tell_rows, .ctx = made};
    pq_bytes_init(&made->text, db->alloc);
    pq_arena_init(&made->row_arena, db->alloc);
    *feed = made;
    return PQDB_OK;
}

void pqdb_feed_close(pqdb_feed *feed) {
    if (feed == NULL) return;
    pq_db_replica_destroy(feed->replica);
    pq_bytes_deinit(&feed->text);
    pq_arena_deinit(&feed->row_arena);
    pq_free(feed->db->alloc, feed, 1, sizeof *feed);
}

uint64_t pqdb_feed_version(const pqdb_feed *feed) { return feed->version; }

// ---- on and on --------------------------------------------------------------------------------

/// The collection at the bottom, and those that are reached by links.
static bool is_read(void *ctx, const struct pq_db_table *table) {
    const struct pqdb_feed *feed = ctx;
    for (const struct pq_view *view = feed->table->view; view != NULL; view = view->upstream) {
        if (view->source == table->id) return true;
        for (size_t i = 0; i < view->linked_count; i++) {
            if (view->linked[i] == table->id) return true;
        }
    }
    return false;
}

static pqdb_code begin(pqdb_feed *feed, struct pq_db_snapshot *snapshot,
                       const struct pq_db_overlay *overlay, pqdb_error *err) {
    const bool is_first = feed->replica == NULL;
    if (is_first) {
        const struct pq_db_replica_options options = {.table = feed->table, .alone = true,
                                                      .on_rows = &feed->sink};
        pthread_mutex_lock(&feed->db->leader);  // a swap would take the view's node away
        const pqdb_code code =
            pq_db_replica_create(feed->db, &options, snapshot, &feed->replica, err);
        pthread_mutex_unlock(&feed->db->leader);
        PQ_TRY(code);
    }
    pq_db_replica_show(feed->replica, snapshot, overlay, feed->version);
    return is_first ? pq_db_replica_build(feed->replica, err) : PQDB_OK;
}

static pqdb_code tell(pqdb_feed *feed, struct pq_db_snapshot *snapshot,
                      struct pq_db_overlay *overlay, pqdb_error *err) {
    PQ_TRY(begin(feed, snapshot, overlay, err));
    for (;;) {
        feed->commit = pq_db_overlay_next(overlay);
        if (feed->commit == NULL) break;
        const bool is_kept = feed->commit->forgets && feed->table->entry->retention_keeps;
        if (!is_kept) PQ_TRY(pq_db_replica_step(feed->replica, feed->commit, err));
        pq_db_overlay_apply(overlay);
        feed->version = feed->commit->version;
    }
    feed->version = snapshot->version;
    return PQDB_OK;
}

/// The view may stand in another schema by now. What it tells goes on only if it is the same.
static pqdb_code follow_schema(pqdb_feed *feed, const struct pq_db_snapshot *snapshot,
                               pqdb_error *err) {
    struct pq_db_table *before = feed->table;
    struct pq_db_table *table = pq_db_snapshot_by_id(snapshot, before->id);
    if (table == before) return PQDB_OK;
    if (table == NULL) return refuse(before, PQDB_NOT_FOUND, "the view was dropped", err);
    if (table->view->refresh_version != before->view->refresh_version) {
        return refuse(table, PQDB_CONFLICT, "its definition changed: read the view, then its "
                      "changes from there", err);
    }
    pq_db_replica_destroy(feed->replica);
    feed->replica = NULL;
    feed->table = table;
    return PQDB_OK;
}

/// What its groups keep of rows that are gone no log tells.
static pqdb_code check_kept(const struct pq_db_snapshot *snapshot,
                            const struct pq_db_table *table, pqdb_error *err) {
    if (!table->view->grouped || !pq_db_is_kept(table, &snapshot->facts[table->position])) {
        return PQDB_OK;
    }
    return refuse(table, PQDB_UNSUPPORTED, "it keeps what came of rows that are gone, which its "
                  "changes cannot tell", err);
}

pqdb_code pqdb_feed_next(pqdb_feed *feed, pqdb_on_view_change on_change, void *ctx,
                         pqdb_error *err) {
    struct pq_db_snapshot *snapshot = pq_db_snapshot(feed->db);
    struct pq_db_overlay *overlay = NULL;
    const struct pq_db_overlay_range range = {.from = feed->version, .to = snapshot->version,
                                              .snapshot = snapshot,
                                              .wants = is_read, .ctx = feed};
    feed->on_change = on_change;
    feed->ctx = ctx;
    pqdb_code code = follow_schema(feed, snapshot, err);
    if (code == PQDB_OK) code = pq_db_readable(snapshot, feed->table, err);
    if (code == PQDB_OK) code = check_kept(snapshot, feed->table, err);
    if (code == PQDB_OK) code = pq_db_overlay_create(feed->db, &range, &overlay, err);
    if (code == PQDB_OK) code = tell(feed, snapshot, overlay, err);
    if (feed->replica != NULL) {
        pq_db_replica_show(feed->replica, snapshot, NULL, feed->replica->version);
    }
    pq_db_overlay_destroy(overlay);
    pq_db_snapshot_unref(snapshot);
    return code;
}
