#include <string.h>

#include "cli/cli.h"

/// As it is given, or the text of a file, or stdin for "-".
static const char *read_definition(struct cli *cli, const char *given) {
    const char *at = given + strspn(given, " \t\r\n");
    if (*at == '{') return given;
    size_t length;
    cli->file = strcmp(given, "-") == 0 ? "stdin" : given;
    return cli_read_all(cli, given, &length);
}

static void show_made(struct cli *cli, pqdb_db *db, const char *name) {
    pqdb_view_state state;
    pqdb_error err;
    if (pqdb_view_state_get(db, name, &state, &err) != PQDB_OK) return;
    char rows[32], took[24];
    if (state.version == 0 && strcmp(state.mode, "manual") == 0) {
        cli_note(cli, "made %s: empty until 'view refresh %s'", name, name);
    } else {
        cli_note(cli, "made %s: %s row%s in %s", name, cli_count(state.rows, rows),
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
    cli_progress_say(&progress, name);
    const pqdb_code code =
        pqdb_view_create(db, name, definition, cli_print_problem, cli, &err);
    cli_progress_end(&progress);
    if (code == PQDB_OK) show_made(cli, db, name);
    return cli_close(cli, db, code == PQDB_OK ? CLI_DONE : cli_fail_schema(cli, &err));
}

int cli_view_drop(struct cli *cli, bool cascade) {
    pqdb_db *db = cli_open(cli, false);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    const pqdb_code code = pqdb_view_drop(db, cli->args[1], cascade, &err);
    if (code == PQDB_OK) cli_note(cli, "dropped %s", cli->args[1]);
    return cli_close(cli, db, code == PQDB_OK ? CLI_DONE : cli_fail(cli, &err));
}
