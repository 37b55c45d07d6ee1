#include <string.h>

#include "cli/cli.h"

// ---- log --------------------------------------------------------------------------------------

static pqdb_code add_change(void *ctx, const pqdb_change *change) {
    char version[32], time[40], added[32], removed[32];
    snprintf(version, sizeof version, "seq-%llu", (unsigned long long)change->version);
    const char *cells[] = {version, cli_time(change->time_us, time), change->kind,
                           change->collection, cli_count(change->rows_added, added),
                           cli_count(change->rows_removed, removed), change->token};
    cli_table_row(ctx, cells);
    return PQDB_OK;
}

static int run_log(struct cli *cli) {
    static const char *const names[] = {"version", "time", "kind", "collection", "added",
                                        "removed", "token"};
    static const bool is_number[] = {false, false, false, false, true, true, false};
    bool wrong = false;
    uint64_t since = cli_number(cli, "--since", UINT64_MAX, &wrong);
    if (wrong || !cli_takes(cli, 0, 0)) return CLI_USAGE;
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    const uint64_t first = pqdb_log_first(db);
    if (since == UINT64_MAX) since = first > 0 ? first - 1 : 0;
    struct cli_table *table = cli_table_create(cli, names, is_number, 7);
    pqdb_error err;
    const pqdb_code code = pqdb_log_read(db, since, add_change, table, &err);
    cli_table_finish(table);
    return cli_close(cli, db, code == PQDB_OK ? CLI_DONE : cli_fail(cli, &err));
}

const struct cli_command cmd_log = {
    .name = "log",
    .usage = "[--since VERSION]",
    .summary = "show the change log",
    .help = "The log reaches back as far as checkpoints, lagging views and retention left it.\n",
    .run = run_log,
};

// ---- checkpoint -------------------------------------------------------------------------------

static int run_checkpoint(struct cli *cli) {
    if (!cli_takes(cli, 0, 0)) return CLI_USAGE;
    pqdb_db *db = cli_open(cli, false);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    pqdb_status status;
    const double began = cli_seconds();
    int code = CLI_DONE;
    if (pqdb_checkpoint(db, &err) != PQDB_OK || pqdb_status_get(db, &status, &err) != PQDB_OK) {
        code = cli_fail(cli, &err);
    } else {
        char size[24], took[24];
        printf("checkpoint at seq-%llu: %zu files, %s, %s\n",
               (unsigned long long)status.checkpoint_version, status.file_count,
               cli_bytes(status.file_bytes, size),
               cli_duration((int64_t)((cli_seconds() - began) * 1e6), took));
    }
    return cli_close(cli, db, code);
}

const struct cli_command cmd_checkpoint = {
    .name = "checkpoint",
    .usage = "",
    .summary = "write everything into Parquet files now",
    .help = "Other engines see the tables as of the last checkpoint.\n",
    .run = run_checkpoint,
};

// ---- status -----------------------------------------------------------------------------------

static void print_status(const pqdb_status *status) {
    char room[40];
    printf("version      seq-%llu  %s\n", (unsigned long long)status->version,
           cli_time(status->time_us, room));
    printf("checkpoint   seq-%llu\n", (unsigned long long)status->checkpoint_version);
    printf("log          %s since the checkpoint\n", cli_bytes(status->log_bytes, room));
    printf("memory       %s of rows\n", cli_bytes(status->memory_bytes, room));
    printf("files        %zu, %s\n", status->file_count, cli_bytes(status->file_bytes, room));
    if (status->background_error[0] != '\0') printf("error        %s\n", status->background_error);
    fputc('\n', stdout);
}

static int show_status(struct cli *cli, pqdb_db *db) {
    static const char *const names[] = {"name", "kind", "from", "rows", "changed at"};
    static const bool is_number[] = {false, false, false, true, false};
    pqdb_status status;
    pqdb_error err;
    if (pqdb_status_get(db, &status, &err) != PQDB_OK) return cli_fail(cli, &err);
    if (cli->format == CLI_TABLE) print_status(&status);
    struct cli_table *table = cli_table_create(cli, names, is_number, 5);
    for (size_t i = 0; i < pqdb_entry_count(db); i++) {
        pqdb_entry entry;
        if (pqdb_entry_at(db, i, &entry, &err) != PQDB_OK) return cli_fail(cli, &err);
        char rows[32], version[32];
        snprintf(version, sizeof version, "seq-%llu", (unsigned long long)entry.version);
        const char *cells[] = {entry.name, entry.kind,
                               entry.from[0] != '\0' ? entry.from : entry.ingest,
                               cli_count(entry.rows, rows), version};
        cli_table_row(table, cells);
    }
    cli_table_finish(table);
    return status.background_error[0] == '\0' ? CLI_DONE : CLI_FAILED;
}

static int run_status(struct cli *cli) {
    if (!cli_takes(cli, 0, 0)) return CLI_USAGE;
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    return cli_close(cli, db, show_status(cli, db));
}

const struct cli_command cmd_status = {
    .name = "status",
    .usage = "",
    .summary = "versions, sizes and every table at a glance",
    .help = "",
    .run = run_status,
};

// ---- version ----------------------------------------------------------------------------------

static int run_version(struct cli *cli) {
    if (!cli_takes(cli, 0, 0)) return CLI_USAGE;
    printf("parquedb %s\n", pqdb_version());
    return CLI_DONE;
}

const struct cli_command cmd_version = {
    .name = "version",
    .usage = "",
    .summary = "which version this is",
    .help = "",
    .run = run_version,
};
