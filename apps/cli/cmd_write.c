#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

enum { refusals_shown = 10 };

/// Shows the first few refusals as they come.
struct refusals {
    struct cli *cli;
    uint64_t count;
};

static void show_refusal(void *ctx, const pqdb_refusal *refusal) {
    struct refusals *seen = ctx;
    if (++seen->count > refusals_shown) return;
    fprintf(stderr, "refused item %llu", (unsigned long long)refusal->index);
    if (refusal->line > 0) fprintf(stderr, " (line %llu)", (unsigned long long)refusal->line);
    fprintf(stderr, ": %s%s%s\n", refusal->field, refusal->field[0] == '\0' ? "" : ": ",
            refusal->message);
}

static void show_rest(const struct refusals *seen, const char *collection) {
    char count[32];
    if (seen->count > refusals_shown) {
        fprintf(stderr, "… and %s more\n", cli_count(seen->count - refusals_shown, count));
    }
    if (seen->count > 0) {
        cli_note(seen->cli, "refused items are kept in rejected/%s.ndjson", collection);
    }
}

static void print_written(struct cli *cli, const char *what, const pqdb_written *written) {
    char accepted[32];
    if (cli->format != CLI_TABLE) {
        printf("{\"version\":%llu,\"accepted\":%llu,\"refused\":%llu,\"repeated\":%s}\n",
               (unsigned long long)written->version, (unsigned long long)written->accepted,
               (unsigned long long)written->refused, written->repeated ? "true" : "false");
        return;
    }
    printf("%s%s row%s %s, version seq-%llu\n", written->repeated ? "already done: " : "",
           cli_count(written->accepted, accepted), written->accepted == 1 ? "" : "s", what,
           (unsigned long long)written->version);
}

// ---- create -----------------------------------------------------------------------------------

static int run_create(struct cli *cli) {
    struct refusals seen = {.cli = cli};
    bool wrong = false;
    pqdb_write_options options = {.on_refusal = show_refusal, .ctx = &seen};
    options.token = cli_value(cli, "--token", &wrong);
    if (wrong || !cli_takes(cli, 1, 2)) return CLI_USAGE;
    const char *given = cli->arg_count == 2 ? cli->args[1] : "-";
    size_t length = strlen(given);
    const char *text = strcmp(given, "-") == 0 ? cli_read_all(cli, "-", &length) : given;
    if (text == NULL) return CLI_FAILED;
    pqdb_db *db = cli_open(cli, false);
    pqdb_error err;
    pqdb_written written;
    int code = CLI_FAILED;
    if (db != NULL) {
        if (pqdb_create(db, cli->args[0], text, length, &options, &written, &err) != PQDB_OK) {
            code = cli_fail(cli, &err);
        } else {
            show_rest(&seen, cli->args[0]);
            print_written(cli, "created", &written);
            code = written.refused > 0 ? CLI_FAILED : CLI_DONE;
        }
        code = cli_close(cli, db, code);
    }
    return code;
}

const struct cli_command cmd_create = {
    .name = "create",
    .usage = "COLLECTION [JSON|-] [--token T]",
    .summary = "create rows: one object, a list, or NDJSON on stdin",
    .help = "All of them are one commit: all or nothing, except that a stream collection sets\n"
            "invalid items aside. A row whose $id is there already is refused.\n",
    .run = run_create,
};

// ---- ingest -----------------------------------------------------------------------------------

struct input {
    FILE *file;
    uint64_t bytes, bytes_all;
    pqdb_ingest *ingest;
    struct cli_progress *progress;
};

static pqdb_code read_input(void *ctx, void *out, size_t capacity, size_t *length,
                            pqdb_error *err) {
    struct input *input = ctx;
    *length = fread(out, 1, capacity, input->file);
    input->bytes += *length;
    cli_progress_tell(input->progress, pqdb_ingest_rows(input->ingest), input->bytes,
                      input->bytes_all);
    if (*length > 0 || !ferror(input->file)) return PQDB_OK;
    *err = (pqdb_error){.code = PQDB_IO, .offset = (int64_t)input->bytes};
    snprintf(err->message, sizeof err->message, "cannot be read: %s", strerror(errno));
    return PQDB_IO;
}

static pqdb_code ingest_file(pqdb_ingest *ingest, const char *path,
                             struct cli_progress *progress, pqdb_error *err) {
    struct input input = {.ingest = ingest, .progress = progress};
    const bool is_stdin = strcmp(path, "-") == 0;
    input.file = is_stdin ? stdin : fopen(path, "rb");
    if (input.file == NULL) {
        *err = (pqdb_error){.code = PQDB_NOT_FOUND, .offset = -1};
        snprintf(err->subject, sizeof err->subject, "%s", path);
        snprintf(err->message, sizeof err->message, "%s", strerror(errno));
        return PQDB_NOT_FOUND;
    }
    struct stat facts;
    if (fstat(fileno(input.file), &facts) == 0 && S_ISREG(facts.st_mode)) {
        input.bytes_all = (uint64_t)facts.st_size;
    }
    const pqdb_code code = pqdb_ingest_from(ingest, read_input, &input, err);
    if (code != PQDB_OK && err->subject[0] == '\0') {
        snprintf(err->subject, sizeof err->subject, "%s", path);
    }
    if (!is_stdin) fclose(input.file);
    return code;
}

/// Each file is a run of its own: its items are counted from 0, its token is its own.
static pqdb_code ingest_one(pqdb_db *db, struct cli *cli, const char *path,
                            pqdb_write_options *options, pqdb_written *total, pqdb_error *err) {
    struct cli_progress progress;
    cli_progress_begin(&progress, cli, path);
    pqdb_ingest *ingest;
    pqdb_code code = pqdb_ingest_open(db, cli->args[0], options, &ingest, err);
    if (code != PQDB_OK) return code;
    pqdb_written written = {0};
    code = ingest_file(ingest, path, &progress, err);
    if (code == PQDB_OK) code = pqdb_ingest_finish(ingest, &written, err);
    const uint64_t committed = pqdb_ingest_rows(ingest);
    pqdb_ingest_close(ingest);
    cli_progress_end(&progress);
    if (code != PQDB_OK && committed > 0) {
        char count[32];
        cli_note(cli, "%s rows were committed before", cli_count(committed, count));
    }
    total->version = written.version > total->version ? written.version : total->version;
    total->accepted += written.accepted;
    total->refused += written.refused;
    total->repeated = written.repeated;
    return code;
}

static int ingest_all(pqdb_db *db, struct cli *cli, const char *token) {
    struct refusals seen = {.cli = cli};
    pqdb_write_options options = {.on_refusal = show_refusal, .ctx = &seen};
    pqdb_written total = {0};
    pqdb_error err;
    const double began = cli_seconds();
    const int files = cli->arg_count > 1 ? cli->arg_count - 1 : 1;
    char own[300];
    for (int i = 0; i < files; i++) {
        const char *path = cli->arg_count > 1 ? cli->args[1 + i] : "-";
        if (token != NULL) snprintf(own, sizeof own, files == 1 ? "%s" : "%s/%d", token, i);
        options.token = token == NULL ? NULL : own;
        if (ingest_one(db, cli, path, &options, &total, &err) != PQDB_OK) {
            show_rest(&seen, cli->args[0]);
            return cli_fail(cli, &err);
        }
    }
    const double seconds = cli_seconds() - began;
    show_rest(&seen, cli->args[0]);
    print_written(cli, "ingested", &total);
    if (cli->format == CLI_TABLE && seconds > 0.5) {
        char rate[32];
        cli_note(cli, "%.1f s, %s rows/s", seconds,
                 cli_count((uint64_t)((double)total.accepted / seconds), rate));
    }
    return total.refused > 0 ? CLI_FAILED : CLI_DONE;
}

static int run_ingest(struct cli *cli) {
    bool wrong = false;
    const char *token = cli_value(cli, "--token", &wrong);
    if (wrong || !cli_takes(cli, 1, 10000)) return CLI_USAGE;
    pqdb_db *db = cli_open(cli, false);
    if (db == NULL) return CLI_FAILED;
    return cli_close(cli, db, ingest_all(db, cli, token));
}

const struct cli_command cmd_ingest = {
    .name = "ingest",
    .usage = "SOURCE|COLLECTION [FILE…] [--token T]",
    .summary = "take in events: tail, ai-sdk, evalite, or any collection",
    .help = "Files hold JSON objects, lists of them, or NDJSON; gzip and zstd are unpacked.\n"
            "Without a file, or for -, stdin is read. A commit is made every 10,000 rows. Invalid\n"
            "items are set aside into rejected/<collection>.ndjson and make the exit code 1. With\n"
            "--token a run that is repeated skips what it had committed.\n",
    .run = run_ingest,
};
