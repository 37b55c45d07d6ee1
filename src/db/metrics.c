/// db/metrics.c: what a database can tell of itself as text for Prometheus (exposition format
/// 0.0.4). Names are stable: what is measured differently gets another one.
#include <inttypes.h>
#include <parquedb/view.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"
#include "db/db_internal.h"

struct page {
    pqdb_db *db;
    struct pq_bytes out;
    pqdb_error *err;
};

static pqdb_code head(struct page *page, const char *name, const char *help) {
    return pq_bytes_printf(&page->out, page->err,
                           "# HELP parquedb_%s %s\n# TYPE parquedb_%s gauge\n", name, help, name);
}

/// A label's value: backslash, quote and line feed are escaped.
static pqdb_code label(struct page *page, const char *name, const char *value, bool is_first) {
    PQ_TRY(pq_bytes_printf(&page->out, page->err, "%s%s=\"", is_first ? "{" : ",", name));
    for (; *value != '\0'; value++) {
        const char *escaped = *value == '\\' ? "\\\\" : *value == '"' ? "\\\"" : "\\n";
        if (*value == '\\' || *value == '"' || *value == '\n') {
            PQ_TRY(pq_bytes_printf(&page->out, page->err, "%s", escaped));
        } else {
            PQ_TRY(pq_bytes_append_byte(&page->out, (uint8_t)*value, page->err));
        }
    }
    return pq_bytes_append_byte(&page->out, '"', page->err);
}

static pqdb_code number(struct page *page, const char *name, const char *help, uint64_t value) {
    PQ_TRY(head(page, name, help));
    return pq_bytes_printf(&page->out, page->err, "parquedb_%s %" PRIu64 "\n", name, value);
}

static pqdb_code seconds(struct page *page, int64_t us) {
    const uint64_t whole = us < 0 ? 0 : (uint64_t)us;
    return pq_bytes_printf(&page->out, page->err, " %" PRIu64 ".%06" PRIu64 "\n",
                           whole / 1000000, whole % 1000000);
}

// ---- the database -------------------------------------------------------------------------------

static pqdb_code write_database(struct page *page) {
    pqdb_status status;
    PQ_TRY(pqdb_status_get(page->db, &status, page->err));
    PQ_TRY(head(page, "info", "The version of the program, as a label."));
    PQ_TRY(pq_bytes_printf(&page->out, page->err, "parquedb_info"));
    PQ_TRY(label(page, "version", pqdb_version(), true));
    PQ_TRY(pq_bytes_printf(&page->out, page->err, "} 1\n"));
    PQ_TRY(number(page, "commit_version", "The last commit.", status.version));
    PQ_TRY(head(page, "commit_time_seconds", "When the last commit was, in seconds since 1970."));
    PQ_TRY(pq_bytes_printf(&page->out, page->err, "parquedb_commit_time_seconds"));
    PQ_TRY(seconds(page, status.time_us));
    PQ_TRY(number(page, "checkpoint_version", "The commit that the files on disk show.",
                  status.checkpoint_version));
    PQ_TRY(number(page, "log_tail_bytes", "Bytes of the log that no checkpoint covers.",
                  status.log_bytes));
    PQ_TRY(number(page, "log_first_version", "The oldest commit that the log still has.",
                  pqdb_log_first(page->db)));
    PQ_TRY(number(page, "memory_rows_bytes", "Rows held in memory.", status.memory_bytes));
    PQ_TRY(number(page, "file_bytes", "Current data files of all tables.", status.file_bytes));
    PQ_TRY(number(page, "files", "How many data files there are.", status.file_count));
    return number(page, "background_failed", "1 while the last checkpoint has failed, else 0.",
                  status.background_error[0] != '\0');
}

// ---- collections --------------------------------------------------------------------------------

static pqdb_code collection_line(struct page *page, const char *name, const pqdb_entry *entry,
                                 uint64_t value) {
    PQ_TRY(pq_bytes_printf(&page->out, page->err, "parquedb_%s", name));
    PQ_TRY(label(page, "collection", entry->name, true));
    PQ_TRY(label(page, "kind", entry->kind, false));
    return pq_bytes_printf(&page->out, page->err, "} %" PRIu64 "\n", value);
}

static pqdb_code write_collections(struct page *page) {
    static const char *const names[] = {"collection_rows", "collection_version"};
    static const char *const helps[] = {"Live rows.", "The last commit that changed it."};
    for (size_t m = 0; m < 2; m++) {
        PQ_TRY(head(page, names[m], helps[m]));
        for (size_t i = 0; i < pqdb_entry_count(page->db); i++) {
            pqdb_entry entry;
            const pqdb_code code = pqdb_entry_at(page->db, i, &entry, page->err);
            if (code == PQDB_NOT_FOUND) break;  // one less meanwhile
            PQ_TRY(code);
            if (strcmp(entry.kind, "view") == 0) continue;
            PQ_TRY(collection_line(page, names[m], &entry, m == 0 ? entry.rows : entry.version));
        }
    }
    return PQDB_OK;
}

// ---- views --------------------------------------------------------------------------------------

enum unit { COUNT, MICROSECONDS, PERCENT };

typedef int64_t view_value(const struct page *page, const pqdb_view_state *state);

struct view_metric {
    const char *name, *help;
    enum unit unit;
    view_value *value;  // -1: no sample
};

#define VIEW_NUMBER(expression)                       \
    (const struct page *page, const pqdb_view_state *state) { \
        (void)page;                                   \
        return (int64_t)(expression);                 \
    }
static int64_t rows_of VIEW_NUMBER(state->rows)
static int64_t bytes_of VIEW_NUMBER(state->bytes)
static int64_t version_of VIEW_NUMBER(state->version)
static int64_t lag_of VIEW_NUMBER(state->lag_versions)
static int64_t failed_of VIEW_NUMBER(state->last_error[0] != '\0')
static int64_t refreshed_of VIEW_NUMBER(state->refreshed_us)
static int64_t took_of VIEW_NUMBER(state->last_refresh_us)
static int64_t changed_of VIEW_NUMBER(state->last_refresh_rows)
static int64_t built_of VIEW_NUMBER(state->build_percent)
static int64_t next_of VIEW_NUMBER(state->next_refresh_us > 0 ? state->next_refresh_us : -1)

/// How long it lacks a source commit.
static int64_t stale_of(const struct page *page, const pqdb_view_state *state) {
    if (state->stale_since_us == 0) return 0;
    const int64_t now = page->db->env->now_us(page->db->env->ctx);
    return now > state->stale_since_us ? now - state->stale_since_us : 0;
}

static const struct view_metric view_metrics[] = {
    {"view_rows", "Live rows.", COUNT, rows_of},
    {"view_file_bytes", "Its current data files.", COUNT, bytes_of},
    {"view_version", "The commit of its source that it shows.", COUNT, version_of},
    {"view_lag_versions", "Source commits that it lacks.", COUNT, lag_of},
    {"view_stale_seconds", "For how long it has lacked a source commit.", MICROSECONDS, stale_of},
    {"view_failed", "1 while its last refresh or build has failed, else 0.", COUNT, failed_of},
    {"view_refreshed_time_seconds", "When its contents last changed, in seconds since 1970.",
     MICROSECONDS, refreshed_of},
    {"view_refresh_duration_seconds", "What its last refresh took.", MICROSECONDS, took_of},
    {"view_refresh_rows", "Rows that its last refresh changed.", COUNT, changed_of},
    {"view_build_ratio", "How far the build that runs now is, 0 to 1.", PERCENT, built_of},
    {"view_next_refresh_time_seconds", "When its schedule is due next, in seconds since 1970.",
     MICROSECONDS, next_of},
};

static pqdb_code view_line(struct page *page, const struct view_metric *metric,
                           const pqdb_view_state *state) {
    const int64_t value = metric->value(page, state);
    if (value < 0) return PQDB_OK;
    PQ_TRY(pq_bytes_printf(&page->out, page->err, "parquedb_%s", metric->name));
    PQ_TRY(label(page, "view", state->name, true));
    PQ_TRY(label(page, "mode", state->mode, false));
    PQ_TRY(pq_bytes_append_byte(&page->out, '}', page->err));
    if (metric->unit == MICROSECONDS) return seconds(page, value);
    if (metric->unit == PERCENT) {
        return pq_bytes_printf(&page->out, page->err, " %.2f\n", (double)value / 100);
    }
    return pq_bytes_printf(&page->out, page->err, " %" PRId64 "\n", value);
}

static pqdb_code state_lines(struct page *page, const pqdb_view_state *state) {
    static const char *const states[] = {"fresh", "stale", "invalid"};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        PQ_TRY(pq_bytes_printf(&page->out, page->err, "parquedb_view_state"));
        PQ_TRY(label(page, "view", state->name, true));
        PQ_TRY(label(page, "state", states[i], false));
        PQ_TRY(pq_bytes_printf(&page->out, page->err, "} %d\n",
                               strcmp(state->state, states[i]) == 0));
    }
    return PQDB_OK;
}

/// All states at once: metrics of one view belong together, lines of one metric stand together.
static pqdb_code read_states(struct page *page, struct pq_arena *arena, pqdb_view_state **states,
                             size_t *count) {
    const size_t most = pqdb_view_count(page->db);
    *states = pq_arena_calloc(arena, most + 1, sizeof **states);
    if (*states == NULL) return pq_fail(page->err, PQDB_NO_MEMORY, "metrics");
    for (size_t i = 0; i < most; i++) {
        const char *name = pqdb_view_name(page->db, i);
        const pqdb_code code =
            pqdb_view_state_get(page->db, name, &(*states)[*count], page->err);
        if (code == PQDB_NOT_FOUND) continue;  // dropped meanwhile
        PQ_TRY(code);
        ++*count;
    }
    return PQDB_OK;
}

static pqdb_code write_views(struct page *page, struct pq_arena *arena) {
    pqdb_view_state *states;
    size_t count = 0;
    PQ_TRY(read_states(page, arena, &states, &count));
    if (count == 0) return PQDB_OK;
    PQ_TRY(head(page, "view_state", "1 for the state that the view is in, 0 for the others."));
    for (size_t i = 0; i < count; i++) PQ_TRY(state_lines(page, &states[i]));
    for (size_t m = 0; m < sizeof view_metrics / sizeof *view_metrics; m++) {
        PQ_TRY(head(page, view_metrics[m].name, view_metrics[m].help));
        for (size_t i = 0; i < count; i++) PQ_TRY(view_line(page, &view_metrics[m], &states[i]));
    }
    return PQDB_OK;
}

pqdb_code pqdb_metrics(pqdb_db *db, char **text, size_t *length, pqdb_error *err) {
    struct page page = {.db = db, .err = err};
    struct pq_arena arena;
    pq_bytes_init(&page.out, &pq_alloc_libc);
    pq_arena_init(&arena, db->alloc);
    pqdb_code code = write_database(&page);
    if (code == PQDB_OK) code = write_collections(&page);
    if (code == PQDB_OK) code = write_views(&page, &arena);
    if (code == PQDB_OK) code = pq_bytes_append_byte(&page.out, '\0', err);
    pq_arena_deinit(&arena);
    if (code != PQDB_OK) {
        pq_bytes_deinit(&page.out);
        return code;
    }
    *text = (char *)page.out.data;  // pqdb_free gives it back
    if (length != NULL) *length = page.out.length - 1;
    return PQDB_OK;
}
