/// db/as_of.c: see as_of.h.
#include "db/as_of.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "collection/links.h"
#include "db/changed.h"
#include "db/overlay.h"
#include "db/schema_change.h"
#include "db/view_internal.h"
#include "table/data_file.h"
#include "type/timestamp.h"

struct past {
    pqdb_db *db;
    struct pq_db_snapshot *snapshot;
    struct pq_db_table *table;
    uint64_t version;
    struct pq_table *rows;
    uint64_t step;  // versions inside `rows`
};

// ---- which version ------------------------------------------------------------------------------

static pqdb_code too_old(const struct past *past, pqdb_error *err) {
    const uint64_t first = pq_log_first_version(past->db->log);
    pq_fail(err, PQDB_NOT_FOUND, "its rows are known back to seq-%" PRIu64 " only; declare a "
            "longer $history to keep more from now on", first == 0 ? 0 : first - 1);
    return pq_fail_subject(err, PQDB_NOT_FOUND, past->table->entry->name);
}

/// The last commit up to a time. Cost: a segment of the log.
static pqdb_code find_time(struct past *past, int64_t time_us, pqdb_error *err) {
    pqdb_db *db = past->db;
    const struct pq_log_schemas none = pq_db_log_counts();
    const uint64_t first = pq_log_first_version(db->log), now = past->snapshot->version;
    uint64_t from = pq_log_version_near(db->log, time_us);
    past->version = time_us >= past->snapshot->time_us ? now : from == 0 ? 0 : from - 1;
    if (past->version == now) return PQDB_OK;
    struct pq_log_reader *reader;
    PQ_TRY(pq_log_reader_open(db->log, from, &none, &reader, err));
    pqdb_code code;
    for (;;) {
        const struct pq_log_record *record;
        PQ_GO(pq_log_reader_next(reader, &record, err));
        if (record == NULL || record->version > now || record->time_us > time_us) break;
        past->version = record->version;
    }
    if (past->version + 1 == first && first > 1) code = too_old(past, err);
done:
    pq_log_reader_close(reader);
    return code;
}

static pqdb_code find_version(struct past *past, struct pq_text when, pqdb_error *err) {
    const struct pq_text digits = when.length > 4 && memcmp(when.data, "seq-", 4) == 0
                                      ? (struct pq_text){when.data + 4, when.length - 4}
                                      : when;
    int64_t time_us;
    bool is_number = digits.length > 0 && digits.length < 20;
    for (size_t i = 0; i < digits.length; i++) {
        is_number = is_number && digits.data[i] >= '0' && digits.data[i] <= '9';
    }
    if (!is_number && pq_timestamp_parse(when, &time_us)) return find_time(past, time_us, err);
    if (!is_number) {
        return pq_fail(err, PQDB_INVALID, "'%.*s' is neither a version (42, seq-42) nor a time "
                       "(2026-01-15T10:00:00Z)", (int)(when.length < 40 ? when.length : 40),
                       when.data);
    }
    uint64_t version = 0;
    for (size_t i = 0; i < digits.length; i++) {
        version = version * 10 + (uint64_t)(digits.data[i] - '0');
    }
    if (version > past->snapshot->version) {
        return pq_fail(err, PQDB_INVALID, "seq-%" PRIu64 " has not been yet, the last commit is "
                       "seq-%" PRIu64, version, past->snapshot->version);
    }
    past->version = version;
    return version < past->snapshot->version &&
                   version + 1 < pq_log_first_version(past->db->log)
               ? too_old(past, err) : PQDB_OK;
}

// ---- what a repair lost -------------------------------------------------------------------------

static pqdb_code check_kept(const struct past *past, const struct pq_db_table *table,
                            pqdb_error *err) {
    const uint64_t lost = table == NULL ? 0 : table->lost_before;
    if (past->version >= lost) return PQDB_OK;
    pq_fail(err, PQDB_NOT_FOUND, "a repair lost rows of %.*s that were damaged, so what there was "
            "before seq-%" PRIu64 " is not known; from there on it is",
            PQ_TEXT_ARG(table->entry->name), lost);
    return pq_fail_subject(err, PQDB_NOT_FOUND, past->table->entry->name);
}

/// Of the collection, of what a view reads, of what links may lead to.
static pqdb_code check_all_kept(const struct past *past, pqdb_error *err) {
    const struct pq_db_tables *tables = past->snapshot->list;
    const struct pq_db_table *at = past->table;
    while (at != NULL && at->view != NULL) {
        for (size_t i = 0; i < at->view->linked_count; i++) {
            const uint32_t linked = at->view->linked[i];
            PQ_TRY(check_kept(past, pq_db_snapshot_by_id(past->snapshot, linked), err));
        }
        at = pq_db_snapshot_by_id(past->snapshot, at->view->source);
    }
    PQ_TRY(check_kept(past, at, err));
    if (at != past->table || !pq_entry_has_links(at->entry)) return PQDB_OK;
    for (size_t i = 0; i < tables->count; i++) {
        if (tables->at[i]->view == NULL) PQ_TRY(check_kept(past, tables->at[i], err));
    }
    return PQDB_OK;
}

// ---- a collection -------------------------------------------------------------------------------

/// The file once more, with the rows dead that are now.
static pqdb_code add_file(struct past *past, const struct pq_segment *segment, pqdb_error *err) {
    pqdb_db *db = past->db;
    const uint64_t now = pq_db_snapshot_rows(past->snapshot, past->table)->version;
    const size_t words = (segment->rows + 63) / 64;
    uint64_t *dead = pq_resize(db->alloc, NULL, 0, words, sizeof *dead);
    if (dead == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows of before");
    pq_segment_dead_bits(segment, now, dead);
    const struct pq_data_file_options options = {
        .store = db->store, .path = pq_data_file_path(segment->file),
        .bytes = pq_data_file_bytes(segment->file), .rows = segment->rows,
        .type = past->rows->options.type, .pages = db->pages, .alloc = db->alloc,
        .read_only = true};  // what lies beside the file is the table's own business
    struct pq_data_file *file;
    struct pq_segment *fresh;
    pqdb_code code = pq_data_file_create(&options, &file, err);
    if (code == PQDB_OK) {
        const struct pq_segment_file given = {.file = file, .rows = segment->rows, .dead = dead,
                                              .version = past->step};
        code = pq_segment_create_file(&given, db->alloc, &fresh, err);
        if (code != PQDB_OK) pq_data_file_unref(file);
    }
    pq_free(db->alloc, dead, words, sizeof *dead);
    PQ_TRY(code);
    const struct pq_table_swap swap = {.fresh = fresh};
    code = pq_table_swap(past->rows, &swap, err);
    if (code != PQDB_OK) pq_segment_unref(fresh);
    return code;
}

/// Copied, as they are few: what is in memory.
static pqdb_code add_chunk(struct past *past, const struct pq_segment *segment,
                           const struct pq_batch *batch, pqdb_error *err) {
    const uint64_t now = pq_db_snapshot_rows(past->snapshot, past->table)->version;
    struct pq_hold *hold;
    PQ_TRY(pq_hold_create(past->db->alloc, &hold, err));
    uint32_t *live = pq_arena_alloc(&hold->arena, (batch->count + 1) * sizeof *live);
    size_t count = 0;
    pqdb_code code = live == NULL ? pq_fail(err, PQDB_NO_MEMORY, "rows of before") : PQDB_OK;
    for (uint32_t row = 0; code == PQDB_OK && row < batch->count; row++) {
        if (!pq_segment_is_dead(segment, row, now)) live[count++] = row;
    }
    struct pq_batch rows;
    if (code == PQDB_OK && count > 0) {
        code = pq_batch_gather(batch, live, count, &hold->arena, &rows, err);
        if (code == PQDB_OK) code = pq_hold_keep_dictionaries(hold, &rows, err);
        rows.weights = NULL;
        if (code == PQDB_OK) code = pq_table_apply(past->rows, &rows, hold, ++past->step, err);
    }
    pq_hold_unref(hold);
    return code;
}

/// Those that came since go, and those that went come back.
static pqdb_code take_back(struct past *past, const struct pq_db_changed *changed,
                           const struct pq_batch *rows, pqdb_error *err) {
    struct pq_arena *arena = &changed->hold->arena;
    uint32_t *order = pq_arena_alloc(arena, (rows->count + 1) * sizeof *order);
    int64_t *weights = pq_arena_alloc(arena, (rows->count + 1) * sizeof *weights);
    if (order == NULL || weights == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows of before");
    size_t count = 0;
    for (int64_t sign = -1; sign <= 1; sign += 2) {
        for (uint32_t row = 0; row < rows->count; row++) {
            const int64_t weight = rows->weights == NULL ? 1 : rows->weights[row];
            if (weight == sign) continue;
            order[count] = row;
            weights[count++] = sign;
        }
    }
    struct pq_batch back;
    PQ_TRY(pq_batch_gather(rows, order, count, arena, &back, err));
    back.weights = weights;
    return pq_table_apply(past->rows, &back, changed->hold, ++past->step, err);
}

static bool is_it(void *ctx, const struct pq_db_table *table) { return table == ctx; }

static pqdb_code fill_collection(struct past *past, pqdb_error *err) {
    const struct pq_table_snapshot *now = pq_db_snapshot_rows(past->snapshot, past->table);
    const struct pq_catalog *catalog = now->catalog;
    for (size_t i = 0; i < catalog->count; i++) {
        const struct pq_segment *segment = catalog->segments[i];
        if (segment->kind == PQ_SEGMENT_FILE) PQ_TRY(add_file(past, segment, err));
    }
    for (size_t i = 0; i < catalog->count; i++) {
        const struct pq_segment *segment = catalog->segments[i];
        if (segment->kind == PQ_SEGMENT_FILE) continue;
        PQ_TRY(add_chunk(past, segment, &segment->batch, err));
    }
    if (now->open != NULL) PQ_TRY(add_chunk(past, now->open, &now->open_rows, err));
    const struct pq_db_changed_options options = {
        .from = past->version, .to = past->snapshot->version, .wants = is_it, .ctx = past->table,
        .snapshot = past->snapshot};
    struct pq_db_changed changed;
    PQ_TRY(pq_db_changed_read(past->db, &options, &changed, err));
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; code == PQDB_OK && i < changed.count; i++) {
        code = take_back(past, &changed, &changed.tables[i].rows, err);
    }
    pq_db_changed_deinit(&changed);
    return code;
}

// ---- a view -------------------------------------------------------------------------------------

static pqdb_code refuse(const struct past *past, pqdb_code code, const char *why,
                        pqdb_error *err) {
    pq_fail(err, code, "%s", why);
    return pq_fail_subject(err, code, past->table->entry->name);
}

/// Does the record say what the view showed from then on? Then up to which commit.
static pqdb_code read_refresh(const struct past *past, const struct pq_log_record *record,
                              uint64_t *shown, pqdb_error *err) {
    if (record->kind != PQ_LOG_REFRESH && record->kind != PQ_LOG_SWAP) return PQDB_OK;
    struct pq_json_document *document;
    PQ_TRY(pq_json_parse(record->payload, PQ_JSON_STRICT, past->db->alloc, &document, err));
    const struct pq_json *said = pq_json_root(document);
    const bool is_object = pq_json_kind(said) == PQ_JSON_OBJECT;
    const struct pq_json *view = is_object ? pq_json_find(said, "view") : NULL;
    const struct pq_json *to = is_object ? pq_json_find(said, "to") : NULL;
    if (view != NULL && to != NULL && pq_json_kind(view) == PQ_JSON_TEXT &&
        pq_json_kind(to) == PQ_JSON_INT &&
        pq_text_equal(pq_json_text(view), past->table->entry->name)) {
        *shown = (uint64_t)pq_json_int(to);
    }
    pq_json_destroy(document);
    return PQDB_OK;
}

/// What a view that lags showed at the version: its last refresh until then.
static pqdb_code find_refresh(struct past *past, pqdb_error *err) {
    const struct pq_log_schemas none = pq_db_log_counts();
    const uint64_t first = pq_log_first_version(past->db->log);
    struct pq_log_reader *reader;
    uint64_t shown = 0;
    PQ_TRY(pq_log_reader_open(past->db->log, first, &none, &reader, err));
    pqdb_code code;
    for (;;) {
        const struct pq_log_record *record;
        PQ_GO(pq_log_reader_next(reader, &record, err));
        if (record == NULL || record->version > past->version) break;
        PQ_GO(read_refresh(past, record, &shown, err));
    }
    if (shown == 0 || shown + 1 < first) {
        code = refuse(past, PQDB_NOT_FOUND, "the log tells of no refresh of it up to then", err);
    }
    past->version = shown;
done:
    pq_log_reader_close(reader);
    return code;
}

static pqdb_code check_view(struct past *past, pqdb_error *err) {
    const struct pq_view *view = past->table->view;
    if (view->append) {
        return refuse(past, PQDB_UNSUPPORTED, "it appends: what it showed then is not kept", err);
    }
    if (pq_db_keeps_dropped(past->table)) {
        return refuse(past, PQDB_UNSUPPORTED, "it keeps what came of rows that are gone: what it "
                      "showed then is not kept", err);
    }
    for (const struct pq_view *up = view->upstream; up != NULL; up = up->upstream) {
        if (up->mode == PQ_VIEW_STREAMING) continue;
        return refuse(past, PQDB_UNSUPPORTED, "it reads a view that is not streaming: what that "
                      "showed then is not kept", err);
    }
    return view->mode == PQ_VIEW_STREAMING ? PQDB_OK : find_refresh(past, err);
}

static pqdb_code take_rows(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    struct past *past = ctx;
    return pq_db_put_rows(past->db, past->rows, rows, NULL, ++past->step, err);
}

static pqdb_code fill_view(struct past *past, const struct pq_db_overlay *overlay,
                           pqdb_error *err) {
    const struct pq_db_rows source = {.db = past->db, .snapshot = past->snapshot,
                                      .table = past->table, .overlay = overlay,
                                      .recompute = true};
    return pq_db_compute(&source, take_rows, past, err);
}

// ---- the whole ----------------------------------------------------------------------------------

static bool is_collection(void *ctx, const struct pq_db_table *table) {
    return table != ctx && table->view == NULL;
}

static pqdb_code fill(struct past *past, struct pq_db_as_of *out, pqdb_error *err) {
    const bool is_view = past->table->view != NULL;
    const struct pq_db_overlay_range range = {
        .from = past->version, .to = past->snapshot->version, .snapshot = past->snapshot,
        .wants = is_collection, .ctx = past->table};
    if (is_view) PQ_TRY(check_view(past, err));
    PQ_TRY(check_all_kept(past, err));
    struct pq_db_overlay_range asked = range;
    asked.from = past->version;  // of a view that lags
    if (is_view || pq_entry_has_links(past->table->entry)) {
        PQ_TRY(pq_db_overlay_create(past->db, &asked, &out->overlay, err));
    }
    PQ_TRY(is_view ? fill_view(past, out->overlay, err) : fill_collection(past, err));
    return pq_table_publish(past->rows, err);
}

pqdb_code pq_db_as_of_open(pqdb_db *db, struct pq_db_snapshot *snapshot,
                           struct pq_db_table *table, struct pq_text when,
                           struct pq_db_as_of *out, pqdb_error *err) {
    struct past past = {.db = db, .snapshot = snapshot, .table = table};
    struct pq_db_as_of made = {.version = 0};
    PQ_TRY(find_version(&past, when, err));
    const struct pq_table_options options = {.name = table->entry->name, .names = table->names,
                                             .alloc = db->alloc, .type = pq_db_rows_type(table),
                                             .shreds = table->shreds};
    PQ_TRY(pq_table_create(&options, &made.rows, err));
    past.rows = made.rows;
    pqdb_code code = fill(&past, &made, err);
    made.version = past.version;
    const bool is_trimmed = code == PQDB_NOT_FOUND && err != NULL && err->subject[0] == '\0';
    if (is_trimmed) code = too_old(&past, err);  // meanwhile
    if (code == PQDB_OK) *out = made;
    if (code != PQDB_OK) pq_db_as_of_close(&made);
    return code;
}

void pq_db_as_of_close(struct pq_db_as_of *as_of) {
    pq_table_destroy(as_of->rows);
    pq_db_overlay_destroy(as_of->overlay);
    *as_of = (struct pq_db_as_of){.version = 0};
}
