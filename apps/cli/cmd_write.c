#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/// The collection that a source like "tail" means.
static const char *collection_of(pqdb_db *db, const char *target) {
    for (size_t i = 0; i < pqdb_entry_count(db); i++) {
        pqdb_entry entry;
        pqdb_error err;
        if (pqdb_entry_at(db, i, &entry, &err) != PQDB_OK) continue;
        if (strcmp(entry.ingest, target) == 0) return entry.name;
    }
    return target;
}

static void show_rest(const struct refusals *seen, pqdb_db *db, const char *target) {
    char count[32];
    if (seen->count > refusals_shown) {
        fprintf(stderr, "… and %s more\n", cli_count(seen->count - refusals_shown, count));
    }
    if (seen->count > 0) {
        cli_note(seen->cli, "refused items are kept in %s/rejected/%s.ndjson",
                 seen->cli->directory, collection_of(db, target));
    }
}

static void print_written(struct cli *cli, const char *what, const pqdb_written *written) {
    char accepted[32], version[32];
    if (cli_is_for_people(cli)) {
        printf("%s%s row%s %s", written->repeated ? "already done: " : "",
               cli_count(written->accepted, accepted), written->accepted == 1 ? "" : "s", what);
        if (written->version > 0) printf(", version %s", cli_version(written->version, version));
        fputc('\n', stdout);
        return;
    }
    static const char *const names[] = {"version", "accepted", "refused", "repeated"};
    static const bool is_number[] = {false, true, true, true};  // repeated: a bare word
    char refused[32];
    const char *cells[] = {cli_version(written->version, version),
                           cli_count(written->accepted, accepted),
                           cli_count(written->refused, refused),
                           written->repeated ? "true" : "false"};
    struct cli_table *table = cli_table_create(
        cli, (struct cli_table_shape){.names = names, .is_number = is_number, .column_count = 4});
    cli_table_row(table, cells);
    cli_table_finish(table);
}

/// Reading from a person is said: else it looks as if nothing happened.
static void say_terminal(const struct cli *cli) {
    if (isatty(STDIN_FILENO)) cli_note(cli, "reading from the terminal; Ctrl-D ends it");
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
    const bool is_stdin = strcmp(given, "-") == 0;
    if (is_stdin) say_terminal(cli);
    const char *text = is_stdin ? cli_read_all(cli, "-", &length) : given;
    if (text == NULL) return CLI_FAILED;
    pqdb_db *db = cli_open(cli, false);
    pqdb_error err;
    pqdb_written written;
    int code = CLI_FAILED;
    if (db != NULL) {
        if (pqdb_create(db, cli->args[0], text, length, &options, &written, &err) != PQDB_OK) {
            code = cli_fail(cli, &err);
        } else {
            show_rest(&seen, db, cli->args[0]);
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

/// Ctrl-C stops between two batches; a second one stops at once.
static volatile sig_atomic_t interrupted;

static void interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

static void catch_interrupts(void) {
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

struct input {
    int file;
    uint64_t bytes, bytes_all;
    pqdb_ingest *ingest;
    struct cli_progress *progress;
};

static pqdb_code read_input(void *ctx, void *out, size_t capacity, size_t *length,
                            pqdb_error *err) {
    struct input *input = ctx;
    // What a pipe has now, not what fills `out`: events are committed while others are awaited.
    ssize_t got;
    do {
        got = read(input->file, out, capacity);
    } while (got < 0 && errno == EINTR && !interrupted);
    const int number = errno;
    *length = got < 0 ? 0 : (size_t)got;
    input->bytes += *length;
    cli_progress_tell(input->progress, pqdb_ingest_rows(input->ingest), input->bytes,
                      input->bytes_all);
    if (interrupted) {
        *length = 0;
        *err = (pqdb_error){.code = PQDB_CANCELLED, .offset = -1, .message = "interrupted"};
        return PQDB_CANCELLED;
    }
    if (got >= 0) return PQDB_OK;
    *err = (pqdb_error){.code = PQDB_IO, .offset = input->bytes > 0 ? (int64_t)input->bytes : -1};
    snprintf(err->message, sizeof err->message, "cannot be read: %s", strerror(number));
    return PQDB_IO;
}

static pqdb_code ingest_file(pqdb_ingest *ingest, const char *path,
                             struct cli_progress *progress, pqdb_error *err) {
    struct input input = {.ingest = ingest, .progress = progress};
    const bool is_stdin = strcmp(path, "-") == 0;
    input.file = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (input.file < 0) {
        *err = (pqdb_error){.code = PQDB_NOT_FOUND, .offset = -1};
        snprintf(err->message, sizeof err->message, "%s", strerror(errno));
        snprintf(err->subject, sizeof err->subject, "%s", path);
        return PQDB_NOT_FOUND;
    }
    struct stat facts;
    if (fstat(input.file, &facts) == 0 && S_ISREG(facts.st_mode)) {
        input.bytes_all = (uint64_t)facts.st_size;
    }
    const pqdb_code code = pqdb_ingest_from(ingest, read_input, &input, err);
    if (code != PQDB_OK && err->subject[0] == '\0') {
        snprintf(err->subject, sizeof err->subject, "%s", is_stdin ? "stdin" : path);
    }
    if (!is_stdin) close(input.file);
    return code;
}

/// Each file is a run of its own: its items are counted from 0, its token is its own.
static pqdb_code ingest_one(pqdb_db *db, struct cli *cli, const char *path,
                            pqdb_write_options *options, pqdb_written *total, pqdb_error *err) {
    struct cli_progress progress;
    cli_progress_begin(&progress, cli, strcmp(path, "-") == 0 ? "stdin" : path);
    if (strcmp(path, "-") == 0) say_terminal(cli);
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
        cli_note(cli, "%s row%s of %s stay%s committed%s", cli_count(committed, count),
                 committed == 1 ? "" : "s", strcmp(path, "-") == 0 ? "stdin" : path,
                 committed == 1 ? "s" : "",
                 options->token == NULL ? "" : "; the same command goes on from there");
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
            show_rest(&seen, db, cli->args[0]);
            return cli_fail(cli, &err);
        }
    }
    const double seconds = cli_seconds() - began;
    show_rest(&seen, db, cli->args[0]);
    print_written(cli, "ingested", &total);
    if (cli_is_for_people(cli) && seconds > 0.5) {
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
    catch_interrupts();
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
