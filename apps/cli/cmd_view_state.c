/// apps/cli/cmd_view_state.c: `view list` and `view state`.
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"

// ---- list and state ---------------------------------------------------------------------------

enum { CLI_LIST_COLUMNS = 10 };

static const char *or_missing(const char *text) { return text[0] == '\0' ? NULL : text; }

/// Columns that people see only where a view has something to say in them.
struct wanted {
    bool behind, next, error;
};

static void want(pqdb_db *db, struct wanted *wanted) {
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        pqdb_view_state state;
        if (pqdb_view_state_get(db, pqdb_view_name(db, i), &state, NULL) != PQDB_OK) continue;
        wanted->behind = wanted->behind || state.stale_since_us != 0;
        wanted->next = wanted->next || state.next_refresh_us != 0;
        wanted->error = wanted->error || state.last_error[0] != '\0';
    }
}

/// How many columns there are.
static size_t name_columns(bool people, const struct wanted *wanted,
                           const char *names[static CLI_LIST_COLUMNS]) {
    static const char *const always[] = {"view", "state", "rows", "from", "mode", "version",
                                         "refreshed"};
    size_t count = sizeof always / sizeof *always;
    memcpy(names, always, sizeof always);
    if (wanted->behind) names[count++] = people ? "behind" : "staleSince";
    if (wanted->next) names[count++] = people ? "next run" : "nextRefreshAt";
    if (wanted->error) names[count++] = "last error";
    return count;
}

int cli_view_list(struct cli *cli, pqdb_db *db) {
    const bool people = cli_is_for_people(cli);
    struct wanted wanted = {!people, !people, !people};
    if (people) want(db, &wanted);
    static const bool is_number[CLI_LIST_COLUMNS] = {false, false, true};
    const char *names[CLI_LIST_COLUMNS];
    const size_t column_count = name_columns(people, &wanted, names);
    struct cli_table *table = cli_table_create(
        cli, (struct cli_table_shape){names, is_number, column_count, NULL, false});
    int code = CLI_DONE;
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        pqdb_view_state state;
        pqdb_error err;
        if (pqdb_view_state_get(db, pqdb_view_name(db, i), &state, &err) != PQDB_OK) {
            code = cli_fail(cli, &err);
            continue;
        }
        char rows[32], version[32], refreshed[40], behind[40], next[40];
        const char *cells[CLI_LIST_COLUMNS] = {
            state.name, state.state, cli_count(state.rows, rows), state.from, state.mode,
            cli_version(state.version, version), cli_ago(cli, state.refreshed_us, refreshed)};
        size_t count = 7;
        if (wanted.behind) cells[count++] = cli_age(cli, state.stale_since_us, behind);
        if (wanted.next) cells[count++] = cli_ago(cli, state.next_refresh_us, next);
        if (wanted.error) cells[count++] = or_missing(state.last_error);
        cli_table_row(table, cells);
    }
    cli_table_finish(table);
    return code;
}

__attribute__((format(printf, 2, 3))) static void print_field(const char *name,
                                                              const char *format, ...) {
    char line[600];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (line[0] != '\0') printf("  %-14s %s\n", name, line);
}

static void print_heading(const struct cli *cli, const pqdb_view_state *state) {
    const char *tint = strcmp(state->state, "fresh") == 0 ? "\033[32m" : "\033[33m";
    const char *bold = cli->colour ? "\033[1m" : "", *plain = cli->colour ? "\033[0m" : "";
    printf("%s%s%s  %s%s%s%s%s\n", bold, state->name, plain, cli->colour ? tint : "",
           state->state, plain, state->reason[0] == '\0' ? "" : ": ", state->reason);
}

static void print_source_text(void *ctx, const pqdb_view_source *source) {
    (void)ctx;
    char shown[40], newest[40];
    const char *version = cli_version(source->version, shown);
    print_field("source", "%s at %s%s%s", source->name, version == NULL ? "-" : version,
                source->newest > source->version ? ", now at " : "",
                source->newest > source->version ? cli_version(source->newest, newest) : "");
}

/// A time of the schedule, also as the clock of its own zone shows it.
static void print_slot(const struct cli *cli, const pqdb_view_state *state, const char *name,
                       int64_t us) {
    char utc[40], ago[40], local[64];
    if (us == 0) return;
    cli_time_in(state->timezone, us, local);
    print_field(name, "%s, %s%s%s%s", cli_minute(us, utc), cli_ago(cli, us, ago),
                local[0] == '\0' ? "" : " (", local, local[0] == '\0' ? "" : ")");
}

/// 0, too, when the log does not tell.
static uint64_t lag_changes(pqdb_db *db, const pqdb_view_state *state) {
    uint64_t rows = 0;
    pqdb_view_lag_changes(db, state->name, &rows, NULL);
    return rows;
}

/// When it runs, and how old what it shows may be.
static void print_mode(const struct cli *cli, const pqdb_view_state *state) {
    char room[24];
    const bool appends = strcmp(state->strategy, "append") == 0, comes = state->schedule[0] != '\0';
    print_field("mode", "%s%s%s%s", state->mode, appends ? ", appends" : "",
                comes ? ", at " : "", state->schedule);
    print_slot(cli, state, "last run", state->last_slot_us);
    print_slot(cli, state, "next run", state->next_refresh_us);
    if (state->grace_us >= 0) {
        print_field("grace", "%s: for a read, what is older is brought up to date",
                    cli_period(state->grace_us, room));
    }
}

static void print_lag(const struct cli *cli, pqdb_db *db, const pqdb_view_state *state) {
    char room[40], ago[40], number[32];
    if (state->lag_versions == 0) return;
    const uint64_t changes = lag_changes(db, state);
    const char *since = cli_time(cli, state->stale_since_us, room);
    print_field("lag", "%llu version%s, %s row%s changed%s%s%s%s",
                (unsigned long long)state->lag_versions, state->lag_versions == 1 ? "" : "s",
                cli_count(changes, number), changes == 1 ? "" : "s",
                since == NULL ? "" : ", stale since ", since == NULL ? "" : since,
                since == NULL ? "" : ", ",
                since == NULL ? "" : cli_ago(cli, state->stale_since_us, ago));
}

/// What a commit took for a streaming view is not measured.
static void print_refreshed(const struct cli *cli, const pqdb_view_state *state) {
    char room[40], ago[40], number[32], took[24];
    const char *when = cli_time(cli, state->refreshed_us, room);
    if (when == NULL) {
        print_field("refreshed", "never");
        return;
    }
    const char *why = state->last_refresh_reason;
    const bool is_measured = state->last_refresh_us > 0;
    print_field("refreshed", "%s, %s (%s%s%s, %s row%s changed%s%s)", when,
                cli_ago(cli, state->refreshed_us, ago), state->last_refresh,
                why[0] == '\0' ? "" : ": ", why, cli_count(state->last_refresh_rows, number),
                state->last_refresh_rows == 1 ? "" : "s", is_measured ? ", " : "",
                is_measured ? cli_duration(state->last_refresh_us, took) : "");
}

static void print_state_text(const struct cli *cli, pqdb_db *db, const pqdb_view_state *state) {
    char room[40], more[40], number[32];
    print_heading(cli, state);
    print_field("from", "%s", state->from);
    print_mode(cli, state);
    print_field("rows", "%s, %s in files", cli_count(state->rows, number),
                cli_bytes(state->bytes, room));
    const char *version = cli_version(state->version, room);
    print_field("version", "%s", version == NULL ? "none yet" : version);
    pqdb_view_sources(db, state->name, print_source_text, NULL, NULL);
    print_lag(cli, db, state);
    print_refreshed(cli, state);
    if (state->log_version > 0) {
        print_field("log", "%s since %s %s", cli_bytes(state->log_bytes, room),
                    cli_version(state->log_version, more),
                    state->log_let_go
                        ? "is more than is kept for it: its next refresh is a full one"
                        : "is kept for its next refresh");
    }
    print_field("incremental", "%s%s", state->is_incremental ? "yes" : "no: ",
                state->is_incremental ? "" : state->not_incremental);
    print_field("definition", "%s", state->refresh_version_id);
    if (state->keeps_dropped) {
        print_field("retention", "keeps what came of rows that are gone: it cannot be verified");
    }
    print_field("last error", "%s", state->last_error);
    if (state->next_try_us > 0) {
        print_field("next try", "in %s", cli_duration(state->next_try_us, room));
    }
}

/// A text, or null for NULL and "".
static void print_json_field(const char *name, const char *value) {
    printf("%s\"%s\":", strcmp(name, "name") == 0 ? "" : ",", name);
    if (value == NULL || value[0] == '\0') {
        fputs("null", stdout);
    } else {
        cli_json_text(stdout, value, strlen(value));
    }
}

/// Milliseconds since the first source commit that it lacks.
static long long lag_ms(const pqdb_view_state *state) {
    if (state->stale_since_us == 0) return 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const long long ms = (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    return ms - state->stale_since_us / 1000;
}

static void print_source_json(void *ctx, const pqdb_view_source *source) {
    const char **comma = ctx;
    char room[40];
    const char *version = cli_version(source->version, room);
    fputs(*comma, stdout);
    *comma = ",";
    cli_json_text(stdout, source->name, strlen(source->name));
    printf(version == NULL ? ":null" : ":\"%s\"", version);
}

static void print_state_json(const struct cli *cli, pqdb_db *db, const pqdb_view_state *state) {
    char time[40], version[32];
    fputc('{', stdout);
    print_json_field("name", state->name);
    print_json_field("from", state->from);
    print_json_field("state", state->state);
    print_json_field("reason", state->reason);
    print_json_field("mode", state->mode);
    print_json_field("strategy", state->strategy);
    print_json_field("schedule", state->schedule);
    printf(",\"incrementalEligible\":%s", state->is_incremental ? "true" : "false");
    print_json_field("notIncremental", state->not_incremental);
    print_json_field("version", cli_version(state->version, version));
    fputs(",\"lineage\":{\"sourceSnapshots\":{", stdout);
    const char *comma = "";
    pqdb_view_sources(db, state->name, print_source_json, &comma, NULL);
    printf("},\"refreshVersionId\":\"%s\"", state->refresh_version_id);
    print_json_field("lastRefreshTime", cli_time(cli, state->refreshed_us, time));
    fputc('}', stdout);
    print_json_field("staleSince", cli_time(cli, state->stale_since_us, time));
    printf(",\"lag\":{\"versions\":%llu,\"changes\":%llu,\"ms\":%lld}",
           (unsigned long long)state->lag_versions, (unsigned long long)lag_changes(db, state),
           lag_ms(state));
    fputs(",\"lastRefresh\":{\"kind\":", stdout);
    cli_json_text(stdout, state->last_refresh, strlen(state->last_refresh));
    print_json_field("reason", state->last_refresh_reason);
    printf(",\"rows\":%llu,\"durationMs\":%.3f}", (unsigned long long)state->last_refresh_rows,
           (double)state->last_refresh_us / 1e3);
    print_json_field("nextRefreshAt", state->next_refresh_us == 0
                                          ? NULL
                                          : cli_time(cli, state->next_refresh_us, time));
    print_json_field("lastSlot", cli_time(cli, state->last_slot_us, time));
    print_json_field("timezone", state->timezone);
    if (state->grace_us >= 0) {
        printf(",\"gracePeriodMs\":%lld", (long long)state->grace_us / 1000);
    }
    print_json_field("lastError", state->last_error);
    if (state->next_try_us > 0) {
        printf(",\"nextTryMs\":%lld", (long long)state->next_try_us / 1000);
    }
    if (state->keeps_dropped) printf(",\"keepsDropped\":true");
    if (state->log_version > 0) {
        printf(",\"log\":{\"from\":\"%s\",\"bytes\":%llu,\"letGo\":%s}",
               cli_version(state->log_version, version), (unsigned long long)state->log_bytes,
               state->log_let_go ? "true" : "false");
    }
    printf(",\"rows\":%llu,\"bytes\":%llu}", (unsigned long long)state->rows,
           (unsigned long long)state->bytes);
}

static struct cli_table *state_table(struct cli *cli) {
    static const char *const names[] = {"name", "from", "state", "reason", "mode", "schedule",
                                        "version", "lastRefreshTime", "staleSince", "lagVersions",
                                        "rows", "bytes", "lastError"};
    static const bool is_number[13] = {[9] = true, [10] = true, [11] = true};
    return cli_table_create(cli, (struct cli_table_shape){names, is_number, 13, NULL, false});
}

static void add_state(const struct cli *cli, struct cli_table *table,
                      const pqdb_view_state *state) {
    char version[32], refreshed[40], stale[40], lag[32], rows[32], bytes[24];
    const char *cells[] = {state->name, state->from, state->state, or_missing(state->reason),
                           state->mode, or_missing(state->schedule),
                           cli_version(state->version, version),
                           cli_time(cli, state->refreshed_us, refreshed),
                           cli_time(cli, state->stale_since_us, stale),
                           cli_count(state->lag_versions, lag), cli_count(state->rows, rows),
                           cli_size(cli, state->bytes, bytes), or_missing(state->last_error)};
    cli_table_row(table, cells);
}

/// One view's state; into the table for CSV.
static int show_state(struct cli *cli, pqdb_db *db, const char *name, struct cli_table *table) {
    pqdb_view_state state;
    pqdb_error err;
    if (pqdb_view_state_get(db, name, &state, &err) != PQDB_OK) return cli_fail(cli, &err);
    if (cli_is_for_people(cli)) {
        print_state_text(cli, db, &state);
    } else if (cli->format == CLI_CSV) {
        add_state(cli, table, &state);
    } else {
        print_state_json(cli, db, &state);
        if (cli->format == CLI_NDJSON) fputc('\n', stdout);
    }
    return state.last_error[0] == '\0' ? CLI_DONE : CLI_FAILED;
}

int cli_view_states(struct cli *cli, pqdb_db *db, const char *only) {
    struct cli_table *table = cli->format == CLI_CSV ? state_table(cli) : NULL;
    const bool json = cli->format == CLI_JSON, list = json && only == NULL;
    int code = CLI_DONE;
    if (list) fputc('[', stdout);
    const size_t count = only == NULL ? pqdb_view_count(db) : 1;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && cli_is_for_people(cli)) fputc('\n', stdout);
        if (i > 0 && list) fputs(",\n ", stdout);
        const char *name = only == NULL ? pqdb_view_name(db, i) : only;
        if (show_state(cli, db, name, table) != CLI_DONE) code = CLI_FAILED;
    }
    if (list) fputc(']', stdout);
    if (json && (list || code == CLI_DONE)) fputc('\n', stdout);
    cli_table_finish(table);
    return code;
}
