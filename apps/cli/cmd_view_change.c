#include <string.h>

#include "base/bytes.h"
#include "cli/cli.h"
#include "cli/progress.h"

/// As it is given, or the text of a file, or stdin for "-".
static const char *read_definition(struct cli *cli, const char *given) {
    const char *at = given + strspn(given, " \t\r\n");
    if (*at == '{') return given;
    size_t length;
    cli->file = strcmp(given, "-") == 0 ? "stdin" : given;
    return cli_read_all(cli, given, &length);
}

static void show_made(struct cli *cli, pqdb_db *db, const char *name, const char *done) {
    pqdb_view_state state;
    pqdb_error err;
    if (pqdb_view_state_get(db, name, &state, &err) != PQDB_OK) return;
    char rows[32], took[24];
    if (state.version == 0 && strcmp(state.mode, "manual") == 0) {
        cli_note(cli, "%s %s: empty until 'view refresh %s'", done, name, name);
    } else {
        cli_note(cli, "%s %s: %s row%s in %s", done, name, cli_count(state.rows, rows),
                 state.rows == 1 ? "" : "s", cli_duration(state.last_refresh_us, took));
    }
}

int cli_view_create(struct cli *cli) {
    const char *name = cli->args[1], *definition = read_definition(cli, cli->args[2]);
    if (definition == NULL) return CLI_FAILED;
    pqdb_db *db = cli_open(cli, false);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    struct cli_progress progress;
    cli_progress_begin(&progress, cli, "building");
    cli_progress_watch(&progress, name, db);
    const pqdb_code code =
        pqdb_view_create(db, name, definition, cli_print_problem, cli, &err);
    cli_progress_end(&progress);
    if (code == PQDB_OK) show_made(cli, db, name, "made");
    return cli_close(cli, db, code == PQDB_OK ? CLI_DONE : cli_fail_schema(cli, &err));
}

/// Lines and columns would be those of a schema that nobody has seen.
static void print_altered(void *ctx, const pqdb_problem *problem) {
    pqdb_problem shown = *problem;
    shown.line = 0;
    cli_print_problem(ctx, &shown);
}

int cli_view_alter(struct cli *cli) {
    const char *name = cli->args[1], *settings = read_definition(cli, cli->args[2]);
    if (settings == NULL) return CLI_FAILED;
    pqdb_db *db = cli_open(cli, false);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    struct cli_progress progress;
    cli->file = NULL;
    cli_progress_begin(&progress, cli, "altering");
    cli_progress_watch(&progress, name, db);
    const pqdb_code code = pqdb_view_alter(db, name, settings, print_altered, cli, &err);
    cli_progress_end(&progress);
    cli->file = "with that the schema";
    if (code == PQDB_OK) cli_note(cli, "altered %s", name);
    const int done = code == PQDB_OK ? CLI_DONE : cli_fail_schema(cli, &err);
    if (code != PQDB_OK && strstr(err.message, "--allow-drop") != NULL) {
        cli_note(cli, "view alter takes no --allow-drop: change the schema's text (schema show), "
                 "then 'schema apply FILE --allow-drop %s'", name);
    }
    return cli_close(cli, db, done);
}

int cli_view_vacuum(struct cli *cli, const char *keep) {
    pqdb_db *db = cli_open(cli, false);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    pqdb_vacuumed done;
    const pqdb_code code = pqdb_view_vacuum(db, cli->args[1], keep, &done, &err);
    if (code == PQDB_OK) {
        cli_note(cli, "dropped %llu snapshot%s and %llu file%s", (unsigned long long)done.snapshots,
                 done.snapshots == 1 ? "" : "s", (unsigned long long)done.files,
                 done.files == 1 ? "" : "s");
    }
    return cli_close(cli, db, code == PQDB_OK ? CLI_DONE : cli_fail(cli, &err));
}

static const char *source_of(pqdb_db *db, const char *name) {
    pqdb_view_state state;
    return pqdb_view_state_get(db, name, &state, NULL) == PQDB_OK ? state.from : NULL;
}

/// ", and with it A, B": the views that stand on it.
static const char *name_those_above(struct cli *cli, pqdb_db *db, const char *name) {
    struct pq_bytes out;
    pq_bytes_init(&out, &cli->arena.alloc);
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        const char *view = pqdb_view_name(db, i), *at = source_of(db, view);
        while (at != NULL && strcmp(at, name) != 0) at = source_of(db, at);
        const char *before = out.length == 0 ? ", and with it " : ", ";
        if (at != NULL) pq_bytes_printf(&out, NULL, "%s%s", before, view);
    }
    return pq_bytes_append_byte(&out, '\0', NULL) == PQDB_OK ? (const char *)out.data : "";
}

int cli_view_drop(struct cli *cli, bool cascade) {
    pqdb_db *db = cli_open(cli, false);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    const char *others = cascade ? name_those_above(cli, db, cli->args[1]) : "";
    const pqdb_code code = pqdb_view_drop(db, cli->args[1], cascade, &err);
    if (code == PQDB_OK) cli_note(cli, "dropped %s%s", cli->args[1], others);
    return cli_close(cli, db, code == PQDB_OK ? CLI_DONE : cli_fail(cli, &err));
}

// ---- changes ----------------------------------------------------------------------------------

struct changes {
    struct cli *cli;
    struct cli_table *table;  // of formats that are no stream
};

static pqdb_code show_change(void *ctx, const pqdb_view_change *change) {
    struct changes *changes = ctx;
    char version[32], weight[24], time[40];
    snprintf(weight, sizeof weight, "%lld", (long long)change->weight);
    if (changes->table != NULL) {
        const char *cells[] = {cli_version(change->version, version), weight, change->row};
        cli_table_row(changes->table, cells);
        return PQDB_OK;
    }
    printf("{\"version\":\"%s\",\"time\":", cli_version(change->version, version));
    const char *at = cli_time(changes->cli, change->time_us, time);
    printf(at == NULL ? "null" : "\"%s\"", at);
    printf(",\"weight\":%s,\"row\":%.*s}\n", weight, (int)change->length, change->row);
    return PQDB_OK;
}

/// UINT64_MAX: as far back as the log reaches.
static uint64_t from(pqdb_db *db, uint64_t since) {
    if (since != UINT64_MAX) return since;
    const uint64_t first = pqdb_log_first(db);
    return first > 0 ? first - 1 : 0;
}

/// Another process writes: what it has committed since is seen by opening again.
static int follow(struct cli *cli, struct changes *changes, uint64_t since) {
    for (;;) {
        pqdb_db *db = cli_open(cli, true);
        if (db == NULL) return CLI_FAILED;
        pqdb_error err;
        pqdb_feed *feed = NULL;
        pqdb_status status;
        since = from(db, since);
        pqdb_code code = pqdb_status_get(db, &status, &err);
        if (code == PQDB_OK && status.version > since) {
            code = pqdb_feed_open(db, cli->args[1], since, &feed, &err);
            if (code == PQDB_OK) code = pqdb_feed_next(feed, show_change, changes, &err);
            if (code == PQDB_OK) since = pqdb_feed_version(feed);
            pqdb_feed_close(feed);
        }
        fflush(stdout);
        const int closed = cli_close(cli, db, code == PQDB_OK ? CLI_DONE : cli_fail(cli, &err));
        if (closed != CLI_DONE || ferror(stdout)) return CLI_FAILED;
        if (!cli_pause(cli, 500)) return CLI_DONE;
    }
}

int cli_view_changes(struct cli *cli, uint64_t since, bool follows) {
    static const char *const names[] = {"version", "weight", "row"};
    static const bool is_number[] = {false, true, false};
    struct changes changes = {.cli = cli};
    if (cli->format != CLI_NDJSON && !follows) {
        changes.table =
            cli_table_create(cli, (struct cli_table_shape){names, is_number, 3, NULL, false});
    }
    if (follows) return follow(cli, &changes, since);
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    pqdb_feed *feed = NULL;
    pqdb_code code = pqdb_feed_open(db, cli->args[1], from(db, since), &feed, &err);
    if (code == PQDB_OK) code = pqdb_feed_next(feed, show_change, &changes, &err);
    if (code == PQDB_OK && changes.table != NULL) cli_table_finish(changes.table);
    char version[32];
    if (code == PQDB_OK) {
        const char *at = cli_version(pqdb_feed_version(feed), version);
        cli_note(cli, "up to %s", at == NULL ? "seq-0" : at);
    }
    pqdb_feed_close(feed);
    return cli_close(cli, db, code == PQDB_OK ? CLI_DONE : cli_fail(cli, &err));
}
