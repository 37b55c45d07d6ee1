#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"

struct flags {
    bool full, due, discard, cascade, follows;
    uint64_t since;  // UINT64_MAX: not given
    const char *keep;
};

// ---- list and state ---------------------------------------------------------------------------

static int list_views(struct cli *cli, pqdb_db *db) {
    static const char *const names[] = {"view", "state", "rows", "from", "mode", "version",
                                        "refreshed"};
    static const bool is_number[] = {false, false, true, false, false, false, false};
    struct cli_table *table =
        cli_table_create(cli, (struct cli_table_shape){names, is_number, 7, NULL, false});
    int code = CLI_DONE;
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        pqdb_view_state state;
        pqdb_error err;
        if (pqdb_view_state_get(db, pqdb_view_name(db, i), &state, &err) != PQDB_OK) {
            code = cli_fail(cli, &err);
            continue;
        }
        char rows[32], version[32], refreshed[40];
        const char *cells[] = {state.name, state.state, cli_count(state.rows, rows), state.from,
                               state.mode, cli_version(state.version, version),
                               cli_ago(cli, state.refreshed_us, refreshed)};
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
    char utc[40], local[64];
    if (us == 0) return;
    print_field(name, "%s%s%s", cli_time(cli, us, utc),
                strcmp(state->timezone, "UTC") == 0 ? "" : ", ",
                cli_time_in(state->timezone, us, local));
}

/// 0, too, when the log does not tell.
static uint64_t lag_changes(pqdb_db *db, const pqdb_view_state *state) {
    uint64_t rows = 0;
    pqdb_view_lag_changes(db, state->name, &rows, NULL);
    return rows;
}

static void print_state_text(const struct cli *cli, pqdb_db *db, const pqdb_view_state *state) {
    char room[40], more[40], number[32];
    print_heading(cli, state);
    print_field("from", "%s", state->from);
    const bool appends = strcmp(state->strategy, "append") == 0, comes = state->schedule[0] != '\0';
    print_field("mode", "%s%s%s%s", state->mode, appends ? ", appends" : "",
                comes ? ", at " : "", state->schedule);
    print_slot(cli, state, "last run", state->last_slot_us);
    print_slot(cli, state, "next run", state->next_refresh_us);
    print_field("rows", "%s, %s in files", cli_count(state->rows, number),
                cli_bytes(state->bytes, room));
    const char *version = cli_version(state->version, room);
    print_field("version", "%s", version == NULL ? "none yet" : version);
    pqdb_view_sources(db, state->name, print_source_text, NULL, NULL);
    if (state->lag_versions > 0) {
        const uint64_t changes = lag_changes(db, state);
        const char *since = cli_time(cli, state->stale_since_us, room);
        print_field("lag", "%llu version%s, %s row%s changed%s%s",
                    (unsigned long long)state->lag_versions, state->lag_versions == 1 ? "" : "s",
                    cli_count(changes, number), changes == 1 ? "" : "s",
                    since == NULL ? "" : ", stale since ", since == NULL ? "" : since);
    }
    const char *when = cli_time(cli, state->refreshed_us, room);
    if (when == NULL) {
        print_field("refreshed", "never");
    } else {
        const char *why = state->last_refresh_reason;
        print_field("refreshed", "%s (%s%s%s, %s row%s changed, %s)", when, state->last_refresh,
                    why[0] == '\0' ? "" : ": ", why,
                    cli_count(state->last_refresh_rows, number),
                    state->last_refresh_rows == 1 ? "" : "s",
                    cli_duration(state->last_refresh_us, more));
    }
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
    print_json_field("lastError", state->last_error);
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

static const char *or_missing(const char *text) { return text[0] == '\0' ? NULL : text; }

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

static int show_states(struct cli *cli, pqdb_db *db, const char *only) {
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

// ---- one view ---------------------------------------------------------------------------------

static void print_column(void *ctx, const char *name, const char *type, bool is_system) {
    (void)ctx;
    if (!is_system || strcmp(name, "$id") == 0) printf("  %-24s %s\n", name, type);
}

static int show_view(struct cli *cli, pqdb_db *db, const char *name) {
    pqdb_error err;
    const char *definition;
    if (pqdb_view_definition(db, name, &definition, &err) != PQDB_OK) return cli_fail(cli, &err);
    cli_print_json(cli, definition, strlen(definition));
    if (!cli_is_for_people(cli)) return CLI_DONE;
    puts("\ncolumns");
    if (pqdb_columns(db, name, print_column, NULL, &err) != PQDB_OK) return cli_fail(cli, &err);
    return CLI_DONE;
}

static void print_line(void *ctx, const char *line) {
    (void)ctx;
    puts(line);
}

static int explain_view(struct cli *cli, pqdb_db *db, const char *name) {
    pqdb_error err;
    if (pqdb_view_explain(db, name, print_line, NULL, &err) != PQDB_OK) {
        return cli_fail(cli, &err);
    }
    return CLI_DONE;
}

static void print_difference(void *ctx, const pqdb_difference *difference) {
    struct cli_progress *progress = ctx;
    cli_progress_end(progress);
    fprintf(stderr, "%s\n    stored      %s\n    recomputed  %s\n", difference->id,
            difference->stored == NULL ? "(missing)" : difference->stored,
            difference->recomputed == NULL ? "(none)" : difference->recomputed);
}

/// What is known to be behind has nothing to compare. A view that failed is no such: it is told.
static bool is_only_stale(struct cli *cli, pqdb_db *db, const char *name,
                          struct cli_table *table) {
    pqdb_view_state state;
    pqdb_error err;
    if (pqdb_view_state_get(db, name, &state, &err) != PQDB_OK) return false;
    const bool appends = strcmp(state.strategy, "append") == 0, keeps = state.keeps_dropped;
    if (state.last_error[0] != '\0') return false;
    if (!appends && !keeps && strcmp(state.state, "fresh") == 0) return false;
    char version[32];
    const char *cells[] = {name, appends ? "appends" : keeps ? "keeps" : state.state, NULL, NULL,
                           cli_version(state.version, version), NULL};
    cli_table_row(table, cells);
    cli_note(cli, "%s is not verified: %s", name,
             appends ? "it appends, and keeps what it has"
             : keeps ? "it keeps what came of rows that are gone"
                     : state.reason);
    return true;
}

static int verify_view(struct cli *cli, pqdb_db *db, const char *name, struct cli_table *table) {
    pqdb_verified verified;
    pqdb_error err;
    const double began = cli_seconds();
    struct cli_progress progress;
    cli_progress_begin(&progress, cli, "verifying");
    cli_progress_say(&progress, name);
    const pqdb_code code =
        pqdb_view_verify(db, name, print_difference, &progress, &verified, &err);
    cli_progress_end(&progress);
    if (code != PQDB_OK) return cli_fail(cli, &err);
    const bool exact = verified.differences == 0;
    char rows[32], differences[32], version[32], took[24];
    const int64_t us = (int64_t)((cli_seconds() - began) * 1e6);
    const char *cells[] = {name, exact ? "exact" : "DIFFERS",
                           cli_count(verified.rows_stored, rows),
                           cli_count(verified.differences, differences),
                           cli_version(verified.version, version), cli_took(cli, us, took)};
    cli_table_row(table, cells);
    return exact ? CLI_DONE : CLI_FAILED;
}

static int verify_views(struct cli *cli, pqdb_db *db, const char *only) {
    const char *const names[] = {"view", "result", "rows", "differences", "version",
                                 cli_is_for_people(cli) ? "took" : "durationMs"};
    static const bool is_number[] = {false, false, true, true, false, true};
    struct cli_table *table =
        cli_table_create(cli, (struct cli_table_shape){names, is_number, 6, NULL, false});
    int code = CLI_DONE;
    const size_t count = only == NULL ? pqdb_view_count(db) : 1;
    for (size_t i = 0; i < count; i++) {
        const char *name = only == NULL ? pqdb_view_name(db, i) : only;
        if (only == NULL && is_only_stale(cli, db, name, table)) continue;
        if (verify_view(cli, db, name, table) != CLI_DONE) code = CLI_FAILED;
    }
    if (only == NULL || code == CLI_DONE || cli_table_has_rows(table)) cli_table_finish(table);
    return code;
}

static bool is_scheduled(pqdb_db *db, const char *name) {
    pqdb_view_state state;
    return pqdb_view_state_get(db, name, &state, NULL) == PQDB_OK && state.schedule[0] != '\0';
}

static int refresh_view(struct cli *cli, pqdb_db *db, const char *name, const struct flags *flags,
                        struct cli_table *table) {
    pqdb_refreshed refreshed;
    pqdb_error err;
    struct cli_progress progress;
    cli_progress_begin(&progress, cli, "refreshing");
    cli_progress_say(&progress, name);
    const pqdb_code code = flags->discard ? pqdb_view_discard(db, name, &refreshed, &err)
                           : flags->due   ? pqdb_view_refresh_due(db, name, &refreshed, &err)
                                          : pqdb_view_refresh(db, name, flags->full, &refreshed,
                                                              &err);
    cli_progress_end(&progress);
    if (code != PQDB_OK) return cli_fail(cli, &err);
    char rows[32], version[32], took[24];
    const char *cells[] = {name, refreshed.kind, or_missing(refreshed.reason),
                           cli_count(refreshed.rows, rows),
                           cli_version(refreshed.version, version),
                           cli_took(cli, refreshed.us, took)};
    cli_table_row(table, cells);
    return CLI_DONE;
}

static int refresh_views(struct cli *cli, pqdb_db *db, const char *only,
                         const struct flags *flags) {
    const bool people = cli_is_for_people(cli);
    const char *const names[] = {"view", people ? "refresh" : "kind", "reason",
                                 people ? "rows changed" : "rows", "version",
                                 people ? "took" : "durationMs"};
    static const bool is_number[] = {false, false, false, true, false, true};
    struct cli_table *table =
        cli_table_create(cli, (struct cli_table_shape){names, is_number, 6, NULL, false});
    int code = CLI_DONE;
    const size_t count = only == NULL ? pqdb_view_count(db) : 1;
    for (size_t i = 0; i < count; i++) {
        const char *name = only == NULL ? pqdb_view_name(db, i) : only;
        if (only == NULL && flags->due && !is_scheduled(db, name)) continue;
        if (refresh_view(cli, db, name, flags, table) != CLI_DONE) code = CLI_FAILED;
    }
    if (only == NULL || cli_table_has_rows(table)) cli_table_finish(table);
    return code;
}

static int run_on(struct cli *cli, pqdb_db *db, const struct flags *flags) {
    const char *verb = cli->args[0], *name = cli->arg_count > 1 ? cli->args[1] : NULL;
    if (strcmp(verb, "list") == 0) return list_views(cli, db);
    if (strcmp(verb, "state") == 0) return show_states(cli, db, name);
    if (strcmp(verb, "verify") == 0) return verify_views(cli, db, name);
    if (strcmp(verb, "refresh") == 0) return refresh_views(cli, db, name, flags);
    if (strcmp(verb, "show") == 0) return show_view(cli, db, name);
    return explain_view(cli, db, name);
}

/// Is it a verb, with a name where it needs one and none where it takes none?
static bool is_right(struct cli *cli, const struct flags *flags) {
    static const char *const verbs[] = {"list",    "state",  "show", "explain", "verify",
                                        "refresh", "create", "alter",  "drop", "changes", "vacuum"};
    enum { verb_count = sizeof verbs / sizeof *verbs };
    const char *verb = cli->args[0];
    bool known = false;
    for (size_t i = 0; i < verb_count; i++) known = known || strcmp(verbs[i], verb) == 0;
    const bool is_list = strcmp(verb, "list") == 0;
    const bool drops = strcmp(verb, "drop") == 0, alters = strcmp(verb, "alter") == 0;
    const bool creates = strcmp(verb, "create") == 0 || alters;
    const bool changes = strcmp(verb, "changes") == 0;
    const bool vacuums = strcmp(verb, "vacuum") == 0;
    const bool named = strcmp(verb, "show") == 0 || strcmp(verb, "explain") == 0 || drops ||
                       changes || vacuums;
    if (!known) {
        const char *nearest = pq_text_nearest(pq_text_of(verb), verbs, verb_count);
        cli_usage(cli, "has no '%s'%s%s%s", verb, nearest == NULL ? "" : "; did you mean '",
                  nearest == NULL ? "" : nearest, nearest == NULL ? "" : "'?");
    } else if (creates && cli->arg_count != 3) {
        cli_usage(cli, alters ? "alter needs a name and \"{ mode: 'manual' }\", a file, or -"
                              : "create needs a name and '{ $from: … }', a file, or -");
    } else if (!creates && cli->arg_count > 2) {
        cli_usage(cli, "%s takes no '%s'", verb, cli->args[2]);
    } else if (flags->keep != NULL && !vacuums) {
        cli_usage(cli, "%s has no option --keep", verb);
    } else if (flags->cascade && !drops) {
        cli_usage(cli, "%s has no option --cascade", verb);
    } else if (named && cli->arg_count < 2) {
        cli_usage(cli, "%s needs the name of a view", verb);
    } else if (is_list && cli->arg_count > 1) {
        cli_usage(cli, "list takes no '%s'; view state tells about one view", cli->args[1]);
    } else if ((flags->follows || flags->since != UINT64_MAX) && !changes) {
        cli_usage(cli, "%s has no option %s", verb, flags->follows ? "--follow" : "--since");
    } else if ((flags->full || flags->due) && strcmp(verb, "refresh") != 0) {
        cli_usage(cli, "%s has no option %s", verb, flags->full ? "--full" : "--due");
    } else if (flags->discard && (!flags->full || flags->due || cli->arg_count != 2)) {
        cli_usage(cli, "takes --discard with refresh V --full");
    } else if (flags->full && flags->due) {
        cli_usage(cli, "refresh takes --full or --due, not both");
    } else {
        return true;
    }
    return false;
}

static int run_view(struct cli *cli) {
    bool wrong = false;
    const struct flags flags = {.full = cli_flag(cli, "--full"),
                                .due = cli_flag(cli, "--due"),
                                .discard = cli_flag(cli, "--discard"),
                                .cascade = cli_flag(cli, "--cascade"),
                                .follows = cli_flag(cli, "--follow"),
                                .keep = cli_value(cli, "--keep", &wrong),
                                .since = cli_number(cli, "--since", UINT64_MAX, &wrong)};
    if (wrong || !cli_takes(cli, 1, 3) || !is_right(cli, &flags)) return CLI_USAGE;
    if (strcmp(cli->args[0], "create") == 0) return cli_view_create(cli);
    if (strcmp(cli->args[0], "alter") == 0) return cli_view_alter(cli);
    if (strcmp(cli->args[0], "vacuum") == 0) return cli_view_vacuum(cli, flags.keep);
    if (strcmp(cli->args[0], "drop") == 0) return cli_view_drop(cli, flags.cascade);
    if (strcmp(cli->args[0], "changes") == 0) {
        return cli_view_changes(cli, flags.since, flags.follows);
    }
    pqdb_db *db = cli_open(cli, strcmp(cli->args[0], "refresh") != 0);
    if (db == NULL) return CLI_FAILED;
    return cli_close(cli, db, run_on(cli, db, &flags));
}

const struct cli_command cmd_view = {
    .name = "view",
    .usage = "list | state [V] | show V | explain V | verify [V] |\n"
             "       refresh [V] [--full [--discard] | --due] |\n"
             "       create V DEF | alter V JSON | drop V [--cascade] |\n"
             "       changes V [--since VERSION] [--follow] | vacuum V [--keep D]",
    .summary = "look at materialized views; verify, refresh, create, alter and drop them",
    .help = "list     every view with its state\n"
            "state    version, lag, lineage, last refresh and error\n"
            "show     definition and columns\n"
            "explain  operators, column types, where state is kept; for people in every format\n"
            "verify   recompute and compare row by row; exit code 1 on a difference,\n"
            "         the first of which are shown on stderr\n"
            "refresh  bring scheduled and manual views up to date; --full recomputes, --due\n"
            "         takes scheduled views whose time has come, and says why it takes no other;\n"
            "         a view that appends, or keeps what came of rows that are gone, loses what\n"
            "         it has with --full, which takes --discard\n"
            "create   DEF is '{ $from: ... }', a file, or - for stdin; built while writers go on\n"
            "alter    members of JSON take the place of those of the definition, null takes one\n"
            "         away; those without a $ are of $refresh: \"{ mode: 'manual' }\". Settings\n"
            "         hold at once; for another definition it is built anew, and the old rows are\n"
            "         read meanwhile\n"
            "drop     rows and files go; --cascade: the views that read it too\n"
            "vacuum   drops the snapshots of the view's table but the current one, or those older\n"
            "         than D (7d, 12h), and files that only they need; nothing that is read here\n"
            "changes  rows that came and went with each commit behind VERSION, as far as the log\n"
            "         reaches; of streaming views that declare $history. --follow goes on\n",
    .run = run_view,
};
