#include <string.h>

#include "cli/cli.h"

typedef pqdb_code change_rows(pqdb_db *db, const char *collection, const pqdb_edit *edit,
                              const pqdb_write_options *options, pqdb_written *written,
                              pqdb_error *err);

static pqdb_code remove_rows(pqdb_db *db, const char *collection, const pqdb_edit *edit,
                             const pqdb_write_options *options, pqdb_written *written,
                             pqdb_error *err) {
    return pqdb_delete(db, collection, edit->where, options, written, err);
}

static void print_for_people(const pqdb_written *written, bool removes) {
    char number[32], matched[32], version[32];
    if (written->repeated) {
        printf("already done, version %s\n", cli_version(written->version, version));
        return;
    }
    if (written->created > 0) {
        printf("%s row created", cli_count(written->created, number));
    } else {
        const uint64_t count = removes ? written->removed : written->changed;
        printf("%s row%s %s", cli_count(count, number), count == 1 ? "" : "s",
               removes ? "deleted" : "updated");
        if (!removes && written->matched != count) {
            printf(" of %s that match", cli_count(written->matched, matched));
        }
    }
    if (written->version > 0) printf(", version %s", cli_version(written->version, version));
    fputc('\n', stdout);
}

static void print_changed(struct cli *cli, const pqdb_written *written, bool removes) {
    if (cli_is_for_people(cli)) {
        print_for_people(written, removes);
        return;
    }
    static const char *const names[] = {"version", "matched", "created",
                                        "changed", "removed", "repeated"};
    static const bool is_number[] = {false, true, true, true, true, true};
    char version[32], matched[32], created[32], changed[32], removed[32];
    const char *cells[] = {cli_version(written->version, version),
                           cli_count(written->matched, matched),
                           cli_count(written->created, created),
                           cli_count(written->changed, changed),
                           cli_count(written->removed, removed),
                           written->repeated ? "true" : "false"};
    struct cli_table *table = cli_table_create(
        cli, (struct cli_table_shape){.names = names, .is_number = is_number, .column_count = 6});
    cli_table_row(table, cells);
    cli_table_finish(table);
}

static int run_change(struct cli *cli, change_rows *change, bool removes) {
    bool wrong = false;
    pqdb_write_options options = {0};
    options.token = cli_value(cli, "--token", &wrong);
    options.expected_version = cli_number(cli, "--expected-version", 0, &wrong);
    const int wanted = removes ? 2 : 3;
    if (wrong || !cli_takes(cli, wanted, wanted)) return CLI_USAGE;
    pqdb_db *db = cli_open(cli, false);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    pqdb_written written;
    int code = CLI_DONE;
    const pqdb_edit edit = {.where = cli->args[1], .operators = removes ? NULL : cli->args[2]};
    if (change(db, cli->args[0], &edit, &options, &written, &err) != PQDB_OK) {
        code = cli_fail(cli, &err);
    } else {
        print_changed(cli, &written, removes);
    }
    return cli_close(cli, db, code);
}

static int run_update(struct cli *cli) { return run_change(cli, pqdb_update, false); }
static int run_upsert(struct cli *cli) { return run_change(cli, pqdb_upsert, false); }
static int run_delete(struct cli *cli) { return run_change(cli, remove_rows, true); }

const struct cli_command cmd_update = {
    .name = "update",
    .usage = "COLLECTION FILTER|ID OPERATORS [--expected-version N] [--token T]",
    .summary = "change rows: parquedb update Order o1 \"{ $set: { status: 'paid' } }\"",
    .help = "FILTER is an object like { status: 'open' } ({} is every row), or the $id of a row.\n"
            "OPERATORS: $set $unset $inc $mul $min $max $push $pull $addToSet $pop $rename\n"
            "$currentDate $setOnInsert, each an object of fields: { $inc: { visits: 1 } }.\n"
            "All rows change in one commit, or none does. Matching nothing is no error. With\n"
            "--expected-version a row that has another version is a conflict.\n",
    .run = run_update,
};

const struct cli_command cmd_upsert = {
    .name = "upsert",
    .usage = "COLLECTION FILTER|ID OPERATORS [--expected-version N] [--token T]",
    .summary = "change the first row that matches, or create it",
    .help = "A row that is created has the fields that FILTER sets equal to something (or the\n"
            "$id), what OPERATORS make of them, and the defaults. See parquedb update --help.\n",
    .run = run_upsert,
};

const struct cli_command cmd_delete = {
    .name = "delete",
    .usage = "COLLECTION FILTER|ID [--expected-version N] [--token T]",
    .summary = "remove rows",
    .help = "FILTER is an object like { status: 'done' } ({} is every row), or the $id of a row.\n"
            "Links to a row that is gone dangle. Matching nothing is no error.\n",
    .run = run_delete,
};
