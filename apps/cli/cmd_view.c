#include <string.h>

#include "cli/cli.h"

// ---- list and state ---------------------------------------------------------------------------

static int list_views(struct cli *cli, pqdb_db *db) {
    static const char *const names[] = {"view", "from", "mode", "state", "rows", "version",
                                        "refreshed"};
    static const bool is_number[] = {false, false, false, false, true, false, false};
    struct cli_table *table = cli_table_create(cli, names, is_number, 7);
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        pqdb_view_state state;
        pqdb_error err;
        if (pqdb_view_state_get(db, pqdb_view_name(db, i), &state, &err) != PQDB_OK) {
            cli_fail(cli, &err);
            continue;
        }
        char rows[32], version[32], refreshed[40];
        snprintf(version, sizeof version, "seq-%llu", (unsigned long long)state.version);
        const char *cells[] = {state.name, state.from, state.mode, state.state,
                               cli_count(state.rows, rows), version,
                               cli_time(state.refreshed_us, refreshed)};
        cli_table_row(table, cells);
    }
    cli_table_finish(table);
    return CLI_DONE;
}

static void print_field(const char *name, const char *value) {
    if (value[0] != '\0') printf("  %-16s %s\n", name, value);
}

static void print_state_text(const pqdb_view_state *state, bool colour) {
    char room[40], more[24];
    const char *tint = strcmp(state->state, "fresh") == 0 ? "\033[32m" : "\033[33m";
    printf("%s%s%s  %s%s%s%s%s\n", colour ? "\033[1m" : "", state->name, colour ? "\033[0m" : "",
           colour ? tint : "", state->state, colour ? "\033[0m" : "",
           state->reason[0] == '\0' ? "" : ": ", state->reason);
    print_field("from", state->from);
    print_field("mode", state->mode);
    print_field("schedule", state->schedule);
    print_field("incremental", state->is_incremental ? "yes" : state->not_incremental);
    printf("  %-16s seq-%llu (source at seq-%llu)\n", "version",
           (unsigned long long)state->version, (unsigned long long)state->source_version);
    if (state->lag_versions > 0) {
        printf("  %-16s %llu versions, stale since %s\n", "lag",
               (unsigned long long)state->lag_versions, cli_time(state->stale_since_us, room));
    }
    print_field("definition", state->refresh_version_id);
    print_field("refreshed", cli_time(state->refreshed_us, room));
    printf("  %-16s %s, %llu rows changed%s%s\n", "last refresh", state->last_refresh,
           (unsigned long long)state->last_refresh_rows, state->last_refresh_us > 0 ? ", " : "",
           state->last_refresh_us > 0 ? cli_duration(state->last_refresh_us, more) : "");
    printf("  %-16s %s rows", "holds", cli_count(state->rows, room));
    printf(", %s in files\n", cli_bytes(state->bytes, more));
    print_field("last error", state->last_error);
}

static void print_json_field(const char *name, const char *value, bool first) {
    printf("%s\"%s\":", first ? "" : ",", name);
    cli_json_text(stdout, value, strlen(value));
}

static void print_state_json(const pqdb_view_state *state) {
    fputc('{', stdout);
    print_json_field("name", state->name, true);
    print_json_field("state", state->state, false);
    print_json_field("reason", state->reason, false);
    print_json_field("mode", state->mode, false);
    printf(",\"incrementalEligible\":%s", state->is_incremental ? "true" : "false");
    printf(",\"lineage\":{\"sourceSnapshots\":{");
    cli_json_text(stdout, state->from, strlen(state->from));
    printf(":\"seq-%llu\"},\"refreshVersionId\":\"%s\",\"lastRefreshTime\":",
           (unsigned long long)state->version, state->refresh_version_id);
    char time[40];
    cli_json_text(stdout, cli_time(state->refreshed_us, time), strlen(time));
    printf("},\"lag\":{\"versions\":%llu},\"rows\":%llu,\"bytes\":%llu",
           (unsigned long long)state->lag_versions, (unsigned long long)state->rows,
           (unsigned long long)state->bytes);
    print_json_field("lastError", state->last_error, false);
    fputs("}\n", stdout);
}

static int show_state(struct cli *cli, pqdb_db *db, const char *name) {
    pqdb_view_state state;
    pqdb_error err;
    if (pqdb_view_state_get(db, name, &state, &err) != PQDB_OK) return cli_fail(cli, &err);
    if (cli->format == CLI_TABLE) {
        print_state_text(&state, cli->colour);
    } else {
        print_state_json(&state);
    }
    return state.last_error[0] == '\0' ? CLI_DONE : CLI_FAILED;
}

static int show_states(struct cli *cli, pqdb_db *db) {
    int code = CLI_DONE;
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        if (show_state(cli, db, pqdb_view_name(db, i)) != CLI_DONE) code = CLI_FAILED;
    }
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
    printf("%s\n", definition);
    if (cli->format != CLI_TABLE) return CLI_DONE;
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
    (void)ctx;
    printf("  %s\n    stored      %s\n    recomputed  %s\n", difference->id,
           difference->stored == NULL ? "(missing)" : difference->stored,
           difference->recomputed == NULL ? "(none)" : difference->recomputed);
}

static int verify_view(struct cli *cli, pqdb_db *db, const char *name) {
    pqdb_verified verified;
    pqdb_error err;
    const double began = cli_seconds();
    if (pqdb_view_verify(db, name, print_difference, NULL, &verified, &err) != PQDB_OK) {
        return cli_fail(cli, &err);
    }
    char rows[32], took[24];
    printf("%s  %s: %s rows at seq-%llu%s", name,
           verified.differences == 0 ? "exact" : "DIFFERS", cli_count(verified.rows_stored, rows),
           (unsigned long long)verified.version, verified.differences == 0 ? "" : ", ");
    if (verified.differences > 0) {
        printf("%s rows differ", cli_count(verified.differences, rows));
    }
    printf(", %s\n", cli_duration((int64_t)((cli_seconds() - began) * 1e6), took));
    return verified.differences == 0 ? CLI_DONE : CLI_FAILED;
}

static int verify_views(struct cli *cli, pqdb_db *db) {
    int code = CLI_DONE;
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        if (verify_view(cli, db, pqdb_view_name(db, i)) != CLI_DONE) code = CLI_FAILED;
    }
    return code;
}

static int refresh_view(struct cli *cli, pqdb_db *db, const char *name, bool full) {
    pqdb_refreshed refreshed;
    pqdb_error err;
    if (pqdb_view_refresh(db, name, full, &refreshed, &err) != PQDB_OK) {
        return cli_fail(cli, &err);
    }
    if (strcmp(refreshed.kind, "none") == 0) {
        printf("%s  was fresh at seq-%llu\n", name, (unsigned long long)refreshed.version);
        return CLI_DONE;
    }
    char rows[32], took[24];
    printf("%s  refreshed (%s%s%s): %s rows changed, %s, version seq-%llu\n", name, refreshed.kind,
           refreshed.reason[0] == '\0' ? "" : ": ", refreshed.reason,
           cli_count(refreshed.rows, rows), cli_duration(refreshed.us, took),
           (unsigned long long)refreshed.version);
    return CLI_DONE;
}

static int refresh_views(struct cli *cli, pqdb_db *db, bool full) {
    int code = CLI_DONE;
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        if (refresh_view(cli, db, pqdb_view_name(db, i), full) != CLI_DONE) code = CLI_FAILED;
    }
    return code;
}

static int run_on(struct cli *cli, pqdb_db *db, bool full) {
    const char *verb = cli->args[0], *name = cli->arg_count > 1 ? cli->args[1] : NULL;
    if (strcmp(verb, "list") == 0) return list_views(cli, db);
    if (strcmp(verb, "state") == 0) {
        return name == NULL ? show_states(cli, db) : show_state(cli, db, name);
    }
    if (strcmp(verb, "verify") == 0) {
        return name == NULL ? verify_views(cli, db) : verify_view(cli, db, name);
    }
    if (strcmp(verb, "refresh") == 0) {
        return name == NULL ? refresh_views(cli, db, full) : refresh_view(cli, db, name, full);
    }
    if (name == NULL) return cli_usage(cli);
    if (strcmp(verb, "show") == 0) return show_view(cli, db, name);
    if (strcmp(verb, "explain") == 0) return explain_view(cli, db, name);
    return cli_usage(cli);
}

static int run_view(struct cli *cli) {
    const bool full = cli_flag(cli, "--full");
    if (!cli_takes(cli, 1, 2)) return CLI_USAGE;
    pqdb_db *db = cli_open(cli, strcmp(cli->args[0], "refresh") != 0);
    if (db == NULL) return CLI_FAILED;
    return cli_close(cli, db, run_on(cli, db, full));
}

const struct cli_command cmd_view = {
    .name = "view",
    .usage = "list | state [V] | show V | explain V | verify [V] | refresh [V] [--full]",
    .summary = "look at materialized views, verify and refresh them",
    .help = "list     every view with its state\n"
            "state    version, lag, lineage, last refresh and error\n"
            "show     definition and columns\n"
            "explain  operators, column types, where state is kept\n"
            "verify   recompute and compare row by row; exit code 1 on a difference\n"
            "refresh  bring scheduled and manual views up to date; --full recomputes\n",
    .run = run_view,
};
