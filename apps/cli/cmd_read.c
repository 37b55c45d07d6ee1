#include <string.h>

#include "cli/cli.h"

static int run_get(struct cli *cli) {
    if (!cli_takes(cli, 2, 2)) return CLI_USAGE;
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    char *json;
    size_t length;
    int code = CLI_DONE;
    if (pqdb_get(db, cli->args[0], cli->args[1], &json, &length, &err) != PQDB_OK) {
        code = cli_fail(cli, &err);
    } else {
        cli_print_json(cli, json, length);
        pqdb_free(json);
    }
    return cli_close(cli, db, code);
}

const struct cli_command cmd_get = {
    .name = "get",
    .usage = "NAME ID",
    .summary = "show one row of a collection or view",
    .help = "",
    .run = run_get,
};

static int run_find(struct cli *cli) {
    bool wrong = false;
    pqdb_find_options options = {
        .sort = cli_value(cli, "--sort", &wrong), .select = cli_value(cli, "--select", &wrong),
        .limit = cli_number(cli, "--limit", UINT64_MAX, &wrong),
        .skip = cli_number(cli, "--skip", 0, &wrong)};
    if (wrong || !cli_takes(cli, 1, 2)) return CLI_USAGE;
    if (options.limit == 0) return cli_usage(cli, "takes a --limit of 1 or more");
    if (options.limit == UINT64_MAX) options.limit = 0;  // none
    if (cli->arg_count == 2) options.filter = cli->args[1];
    options.system_columns = cli->format == CLI_JSON || cli->format == CLI_NDJSON;
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    pqdb_rows *rows;
    pqdb_error err;
    int code;
    if (pqdb_find(db, cli->args[0], &options, &rows, &err) != PQDB_OK) {
        code = cli_fail(cli, &err);
    } else {
        code = cli_print_rows(cli, rows);
        pqdb_rows_close(rows);
    }
    return cli_close(cli, db, code);
}

const struct cli_command cmd_find = {
    .name = "find",
    .usage = "NAME [FILTER] [--sort J|none] [--select a,b] [--limit N] [--skip N]",
    .summary = "show the rows of a collection or view that match",
    .help = "FILTER is JSON5, like \"{ outcome: { $ne: 'ok' } }\"; --sort like \"{ total: -1 }\".\n"
            "Without --sort rows come by $id; 'none' is the order they are stored in.\n"
            "JSON has the fields that were not declared too; tables and CSV have those that\n"
            "--select names, like event.request.url.\n",
    .run = run_find,
};

static int run_count(struct cli *cli) {
    if (!cli_takes(cli, 1, 2)) return CLI_USAGE;
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    uint64_t count;
    int code = CLI_DONE;
    const char *filter = cli->arg_count == 2 ? cli->args[1] : NULL;
    if (pqdb_count(db, cli->args[0], filter, &count, &err) != PQDB_OK) {
        code = cli_fail(cli, &err);
    } else {
        printf("%llu\n", (unsigned long long)count);
    }
    return cli_close(cli, db, code);
}

const struct cli_command cmd_count = {
    .name = "count",
    .usage = "NAME [FILTER]",
    .summary = "count the rows of a collection or view that match",
    .help = "",
    .run = run_count,
};
