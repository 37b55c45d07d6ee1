#include <string.h>

#include "cli/cli.h"

static int run_get(struct cli *cli) {
    bool wrong = false;
    pqdb_answered answered = {.note = ""};
    pqdb_row_name row = {.as_of = cli_value(cli, "--as-of", &wrong),
                         .max_staleness = cli_value(cli, "--max-staleness", &wrong),
                         .answered = &answered};
    if (wrong || !cli_takes(cli, 2, 2)) return CLI_USAGE;
    row.table = cli->args[0];
    row.id = cli->args[1];
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    char *json;
    size_t length;
    int code = CLI_DONE;
    if (pqdb_get_row(db, &row, &json, &length, &err) != PQDB_OK) {
        code = cli_fail(cli, &err);
    } else {
        cli_print_json(cli, json, length);
        pqdb_free(json);
    }
    if (answered.note[0] != '\0') cli_note(cli, "note: %s", answered.note);
    return cli_close(cli, db, code);
}

const struct cli_command cmd_get = {
    .name = "get",
    .usage = "NAME ID [--as-of T|VERSION] [--max-staleness D]",
    .summary = "show one row of a collection or view",
    .help = "--as-of: as it was at a version (42, seq-42) or time (2026-01-15T10:00:00Z).\n"
            "--max-staleness 30s: of a view that lags by more, as it is now.\n",
    .run = run_get,
};

int cli_take_find(struct cli *cli, struct cli_find *find, int before) {
    bool wrong = false;
    *find = (struct cli_find){
        .options = {.sort = cli_value(cli, "--sort", &wrong),
                    .select = cli_value(cli, "--select", &wrong),
                    .limit = cli_number(cli, "--limit", UINT64_MAX, &wrong),
                    .skip = cli_number(cli, "--skip", 0, &wrong),
                    .as_of = cli_value(cli, "--as-of", &wrong),
                    .cursor = cli_value(cli, "--cursor", &wrong),
                    .max_staleness = cli_value(cli, "--max-staleness", &wrong)}};
    if (wrong || !cli_takes(cli, before + 1, before + 2)) return CLI_USAGE;
    if (find->options.limit == 0) return cli_usage(cli, "takes a --limit of 1 or more");
    if (find->options.limit == UINT64_MAX) find->options.limit = 0;  // none
    find->name = cli->args[before];
    if (cli->arg_count == before + 2) find->options.filter = cli->args[before + 1];
    find->options.system_columns = cli->format == CLI_JSON || cli->format == CLI_NDJSON;
    return CLI_DONE;
}

static int run_find(struct cli *cli) {
    struct cli_find find;
    int code = cli_take_find(cli, &find, 0);
    if (code != CLI_DONE) return code;
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    pqdb_rows *rows;
    pqdb_error err;
    if (pqdb_find(db, find.name, &find.options, &rows, &err) != PQDB_OK) {
        code = cli_fail(cli, &err);
    } else {
        code = cli_print_rows(cli, rows);
        const char *cursor = code == CLI_DONE ? pqdb_rows_cursor(rows) : "";
        if (cursor[0] != '\0') {
            cli_note(cli, "more rows follow:%c--cursor %s", cli->err_terminal ? '\n' : ' ', cursor);
        }
        pqdb_rows_close(rows);
    }
    return cli_close(cli, db, code);
}

const struct cli_command cmd_find = {
    .name = "find",
    .usage = "NAME [FILTER] [--sort J|none] [--select a,b] [--limit N] [--skip N]\n"
             "    [--cursor C] [--as-of T|VERSION] [--max-staleness D]",
    .summary = "show the rows of a collection or view that match",
    .help = "FILTER is JSON5, like \"{ outcome: { $ne: 'ok' } }\"; --sort like \"{ total: -1 }\".\n"
            "Without --sort rows come by $id; 'none' is the order they are stored in.\n"
            "JSON has the fields that were not declared too; tables and CSV have those that\n"
            "--select names, like event.request.url.\n"
            "Where rows follow behind the --limit, stderr says with which --cursor the same\n"
            "question goes on: behind the last row, whatever has been written since.\n"
            "--as-of shows rows as they were at a version (42, seq-42) or a time\n"
            "(2026-01-15T10:00:00Z: the last commit up to it), as far back as $history says.\n"
            "A stale view shows what its last refresh stored, and a note says how old that is.\n"
            "--max-staleness 30s (0s, 5m, 2h, 1d) brings what is older up to now for the answer.\n",
    .run = run_find,
};

static int run_count(struct cli *cli) {
    bool wrong = false;
    pqdb_answered answered;
    pqdb_find_options options = {.as_of = cli_value(cli, "--as-of", &wrong),
                                 .max_staleness = cli_value(cli, "--max-staleness", &wrong),
                                 .answered = &answered};
    if (wrong || !cli_takes(cli, 1, 2)) return CLI_USAGE;
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    uint64_t count;
    int code = CLI_DONE;
    options.filter = cli->arg_count == 2 ? cli->args[1] : NULL;
    if (pqdb_count_with(db, cli->args[0], &options, &count, &err) != PQDB_OK) {
        code = cli_fail(cli, &err);
    } else {
        printf("%llu\n", (unsigned long long)count);
        if (answered.note[0] != '\0') cli_note(cli, "note: %s", answered.note);
    }
    return cli_close(cli, db, code);
}

const struct cli_command cmd_count = {
    .name = "count",
    .usage = "NAME [FILTER] [--as-of T|VERSION] [--max-staleness D]",
    .summary = "count the rows of a collection or view that match",
    .help = "--as-of: as they were at a version (42, seq-42) or time (2026-01-15T10:00:00Z).\n"
            "--max-staleness 30s: of a view that lags by more, as they are now.\n",
    .run = run_count,
};
