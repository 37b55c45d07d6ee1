#include <errno.h>
#include <parquedb/exchange.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/progress.h"

struct export {
    const struct cli *cli;
    struct cli_progress progress;
    uint64_t rows_all;
};

static pqdb_code tell(void *ctx, uint64_t rows, uint64_t bytes) {
    struct export *export = ctx;
    (void)bytes;
    // The bar is of rows: how many bytes there will be is not known.
    cli_progress_tell(&export->progress, rows, rows, export->rows_all);
    return export->cli->session != NULL && cli_is_interrupted(export->cli) ? PQDB_CANCELLED
                                                                           : PQDB_OK;
}

static pqdb_code write_stdout(void *ctx, const void *data, size_t length, pqdb_error *err) {
    (void)ctx;
    if (fwrite(data, 1, length, stdout) == length) return PQDB_OK;
    *err = (pqdb_error){.code = PQDB_IO, .offset = -1, .subject = "stdout"};
    snprintf(err->message, sizeof err->message, "%s", strerror(errno));
    return PQDB_IO;
}

static pqdb_file_format format_of(const struct cli *cli, const char *path) {
    if (!cli->format_given) return pqdb_file_format_of(path);
    return cli->format == CLI_CSV       ? PQDB_FILE_CSV
           : cli->format == CLI_PARQUET ? PQDB_FILE_PARQUET
           : cli->format == CLI_NDJSON  ? PQDB_FILE_NDJSON
                                        : PQDB_FILE_UNKNOWN;
}

static bool is_packed(const char *path) {
    const size_t length = strlen(path);
    return (length > 3 && strcmp(path + length - 3, ".gz") == 0) ||
           (length > 4 && strcmp(path + length - 4, ".zst") == 0);
}

static int run_export(struct cli *cli) {
    bool wrong = false;
    const char *profile = cli_value(cli, "--profile", &wrong);
    const char *as_of = cli_value(cli, "--as-of", &wrong);
    if (wrong || !cli_takes(cli, 2, 2)) return CLI_USAGE;
    const bool is_compact = profile != NULL && strcmp(profile, "compact") == 0;
    if (profile != NULL && !is_compact && strcmp(profile, "compatible") != 0) {
        return cli_usage(cli, "takes --profile compatible or compact, not '%s'", profile);
    }
    const char *name = cli->args[0], *path = cli->args[1];
    const bool is_stdout = strcmp(path, "-") == 0;
    struct export export = {.cli = cli};
    const pqdb_export_options options = {
        .format = format_of(cli, path), .compact = is_compact, .on_progress = tell,
        .ctx = &export, .as_of = as_of};
    if (is_packed(path)) return cli_usage(cli, "does not compress: %s", path);
    if (options.format == PQDB_FILE_UNKNOWN) {
        return cli_usage(cli, "cannot tell the format of %s: give --format ndjson, csv or parquet",
                         path);
    }
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    pqdb_exported done;
    int code = CLI_DONE;
    pqdb_count(db, name, NULL, &export.rows_all, &err);
    cli_progress_begin(&export.progress, cli, name);
    const pqdb_export_target target = {.write = write_stdout};
    const pqdb_code result = is_stdout ? pqdb_export_to(db, name, &target, &options, &done, &err)
                                       : pqdb_export(db, name, cli_path(cli, path), &options, &done,
                                                      &err);
    cli_progress_end(&export.progress);
    if (result != PQDB_OK) {
        code = cli_fail(cli, &err);
    } else {
        char rows[32], bytes[24];
        if (done.note[0] != '\0') cli_note(cli, "note: %s", done.note);
        cli_note(cli, "%s row%s at version seq-%llu, %s", cli_count(done.rows, rows),
                 done.rows == 1 ? "" : "s", (unsigned long long)done.version,
                 cli_bytes(done.bytes, bytes));
    }
    return cli_close(cli, db, code);
}

const struct cli_command cmd_export = {
    .name = "export",
    .usage = "NAME FILE [--format ndjson|csv|parquet] [--profile compatible|compact]\n"
             "      [--as-of T|VERSION]",
    .summary = "write a collection or view into a file: NDJSON, CSV, Parquet",
    .help = "The format is told by the file's name, or by --format; - is stdout. Rows come in\n"
            "storage order, from one snapshot. The file is there whole, or not at all. Fields\n"
            "that were not declared are inline in NDJSON and in the column _extra of Parquet; CSV\n"
            "has only the declared ones. import takes all three back. --profile compact makes\n"
            "smaller Parquet, with encodings that old readers do not know. --as-of writes rows as\n"
            "they were at a version (42, seq-42) or time (2026-01-15T10:00:00Z).\n",
    .run = run_export,
};
