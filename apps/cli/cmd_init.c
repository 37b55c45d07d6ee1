#include <string.h>

#include "cli/cli.h"

static int run_init(struct cli *cli) {
    if (!cli_takes(cli, 0, 1)) return CLI_USAGE;
    const char *path = cli->arg_count == 1 ? cli->args[0] : "schema.json5";
    size_t length;
    const char *schema = cli_read_all(cli, path, &length);
    if (schema == NULL && cli->arg_count == 0) {
        cli_note(cli, "write a schema there, or name one: parquedb init SCHEMA.json5");
    }
    if (schema == NULL) return CLI_FAILED;
    cli->file = strcmp(path, "-") == 0 ? "stdin" : path;
    pqdb_error err;
    const pqdb_code code =
        pqdb_init(cli->directory, schema, length, cli_print_problem, cli, &err);
    if (code != PQDB_OK) return cli_fail_schema(cli, &err);
    cli_note(cli, "made %s", cli->directory);
    return CLI_DONE;
}

const struct cli_command cmd_init = {
    .name = "init",
    .usage = "[SCHEMA.json5]",
    .summary = "create a database from a schema",
    .help = "SCHEMA.json5 is ./schema.json5 unless named; - is stdin. Every mistake in it is\n"
            "shown at once, with line, column and what to do.\n",
    .run = run_init,
    .alone = true,
};

// ---- schema -----------------------------------------------------------------------------------

static int check_schema(struct cli *cli) {
    size_t length;
    const char *schema = cli_read_all(cli, cli->args[1], &length);
    if (schema == NULL) return CLI_FAILED;
    cli->file = strcmp(cli->args[1], "-") == 0 ? "stdin" : cli->args[1];
    pqdb_error err;
    const pqdb_code code = pqdb_schema_check(schema, length, cli_print_problem, cli, &err);
    if (code != PQDB_OK) return cli_fail_schema(cli, &err);
    cli_note(cli, "%s is right", cli->file);
    return CLI_DONE;
}

static int show_schema(struct cli *cli) {
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    size_t length;
    const char *text = pqdb_schema_text(db, &length);
    fwrite(text, 1, length, stdout);
    if (length > 0 && text[length - 1] != '\n') fputc('\n', stdout);
    return cli_close(cli, db, CLI_DONE);
}

static int run_schema(struct cli *cli) {
    if (!cli_takes(cli, 1, 2)) return CLI_USAGE;
    if (strcmp(cli->args[0], "check") == 0 && cli->arg_count == 2) return check_schema(cli);
    if (strcmp(cli->args[0], "show") == 0 && cli->arg_count == 1) return show_schema(cli);
    return cli_usage(cli, "is 'check FILE' or 'show'");
}

const struct cli_command cmd_schema = {
    .name = "schema",
    .usage = "check FILE | show",
    .summary = "check a schema file, or show the one that was applied",
    .help = "",
    .run = run_schema,
};
