#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <parquedb/exchange.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/progress.h"

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
    if (cli->in_terminal) cli_note(cli, "reading from the terminal; Ctrl-D ends it");
}

// ---- create -----------------------------------------------------------------------------------

static int run_create(struct cli *cli) {
    struct refusals seen = {.cli = cli};
    bool wrong = false;
    pqdb_write_options options = {.on_refusal = show_refusal, .ctx = &seen};
    options.token = cli_value(cli, "--token", &wrong);
    options.on_conflict = cli_value(cli, "--on-conflict", &wrong);
    if (wrong || !cli_takes(cli, 1, 2)) return CLI_USAGE;
    if (options.on_conflict != NULL && strcmp(options.on_conflict, "ignore") != 0 &&
        strcmp(options.on_conflict, "replace") != 0) {
        return cli_usage(cli, "takes --on-conflict ignore or replace, not '%s'",
                         options.on_conflict);
    }
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
    .usage = "COLLECTION [JSON|-] [--on-conflict ignore|replace] [--token T]",
    .summary = "create rows: one object, a list, or NDJSON on stdin",
    .help = "All of them are one commit: all or nothing, except that a stream collection sets\n"
            "invalid items aside. A row whose $id is there already is refused, unless\n"
            "--on-conflict says what happens: ignore it, or replace the row that is there.\n",
    .run = run_create,
};

// ---- ingest -----------------------------------------------------------------------------------

struct source {
    const char *path;
    pqdb_file_format format;  // UNKNOWN: JSON
};

struct input {
    const struct cli *cli;
    int file;
    bool is_stdin;
    uint64_t bytes, bytes_all;
    pqdb_ingest *ingest;
    struct cli_progress *progress;
};

static pqdb_code cancel(pqdb_error *err) {
    *err = (pqdb_error){.code = PQDB_CANCELLED, .offset = -1, .message = "interrupted"};
    return PQDB_CANCELLED;
}

static pqdb_code read_input(void *ctx, void *out, size_t capacity, size_t *length,
                            pqdb_error *err) {
    struct input *input = ctx;
    // What a pipe has now, not what fills `out`: events are committed while others are awaited.
    ssize_t got;
    do {
        got = input->is_stdin ? cli_read_stdin(input->cli, out, capacity)
                              : read(input->file, out, capacity);
    } while (got < 0 && errno == EINTR && !cli_is_interrupted(input->cli));
    const int number = errno;
    *length = got < 0 ? 0 : (size_t)got;
    input->bytes += *length;
    cli_progress_tell(input->progress, pqdb_ingest_rows(input->ingest), input->bytes,
                      input->bytes_all);
    if (cli_is_interrupted(input->cli)) {
        *length = 0;
        return cancel(err);
    }
    if (got >= 0) return PQDB_OK;
    *err = (pqdb_error){.code = PQDB_IO, .offset = input->bytes > 0 ? (int64_t)input->bytes : -1};
    snprintf(err->message, sizeof err->message, "cannot be read: %s", strerror(number));
    return PQDB_IO;
}

static pqdb_code tell_rows(void *ctx, uint64_t rows, uint64_t rows_all) {
    struct input *input = ctx;
    // Bytes are what a bar is made of; a row counts as one.
    cli_progress_tell(input->progress, pqdb_ingest_rows(input->ingest), rows, rows_all);
    return cli_is_interrupted(input->cli) ? PQDB_CANCELLED : PQDB_OK;
}

static pqdb_code ingest_file(struct cli *cli, pqdb_ingest *ingest, const struct source *source,
                             struct cli_progress *progress, pqdb_error *err) {
    const char *path = source->path;
    const bool is_stdin = strcmp(path, "-") == 0;
    struct input input = {.cli = cli, .ingest = ingest, .progress = progress,
                          .is_stdin = is_stdin};
    if (source->format == PQDB_FILE_PARQUET) {
        return pqdb_ingest_parquet(ingest, cli_path(cli, path), tell_rows, &input, err);
    }
    input.file = is_stdin ? cli_stdin(cli) : open(cli_path(cli, path), O_RDONLY | O_CLOEXEC);
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
    const pqdb_code code = source->format == PQDB_FILE_CSV
                               ? pqdb_ingest_csv(ingest, read_input, &input, err)
                               : pqdb_ingest_from(ingest, read_input, &input, err);
    if (code != PQDB_OK && err->subject[0] == '\0') {
        snprintf(err->subject, sizeof err->subject, "%s", is_stdin ? "stdin" : path);
    }
    if (!is_stdin) close(input.file);
    return code;
}

/// Each file is a run of its own: its items are counted from 0, its token is its own.
static pqdb_code ingest_one(pqdb_db *db, struct cli *cli, const struct source *source,
                            const pqdb_write_options *options, pqdb_written *total,
                            pqdb_error *err) {
    const char *path = source->path;
    struct cli_progress progress;
    cli_progress_begin(&progress, cli, strcmp(path, "-") == 0 ? "stdin" : path);
    if (strcmp(path, "-") == 0) say_terminal(cli);
    pqdb_ingest *ingest;
    pqdb_code code = pqdb_ingest_open(db, cli->args[0], options, &ingest, err);
    if (code != PQDB_OK) return code;
    pqdb_written written = {0};
    code = ingest_file(cli, ingest, source, &progress, err);
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

/// One run for each source; "ingested", "imported" is what is said of the rows.
static int ingest_all(pqdb_db *db, struct cli *cli, const struct source *sources, size_t count,
                      pqdb_write_options *options) {
    struct refusals seen = {.cli = cli};
    options->on_refusal = show_refusal;
    options->ctx = &seen;
    pqdb_written total = {0};
    pqdb_error err;
    const double began = cli_seconds();
    const char *token = options->token;
    char own[300];
    for (size_t i = 0; i < count; i++) {
        if (token != NULL) snprintf(own, sizeof own, count == 1 ? "%s" : "%s/%zu", token, i);
        options->token = token == NULL ? NULL : own;
        if (ingest_one(db, cli, &sources[i], options, &total, &err) != PQDB_OK) {
            show_rest(&seen, db, cli->args[0]);
            return cli_fail(cli, &err);
        }
    }
    const double seconds = cli_seconds() - began;
    show_rest(&seen, db, cli->args[0]);
    print_written(cli, options->set_aside ? "imported" : "ingested", &total);
    if (cli_is_for_people(cli) && seconds > 0.5) {
        char rate[32];
        cli_note(cli, "%.1f s, %s rows/s", seconds,
                 cli_count((uint64_t)((double)total.accepted / seconds), rate));
    }
    return total.refused > 0 ? CLI_FAILED : CLI_DONE;
}

static int open_and_ingest(struct cli *cli, const struct source *sources, size_t count,
                           pqdb_write_options *options) {
    pqdb_db *db = cli_open(cli, false);
    if (db == NULL) return CLI_FAILED;
    cli_catch_interrupts(cli);
    return cli_close(cli, db, ingest_all(db, cli, sources, count, options));
}

static struct source *sources_of(struct cli *cli, size_t count) {
    struct source *sources = pq_arena_calloc(&cli->arena, count, sizeof *sources);
    if (sources == NULL) abort();
    return sources;
}

static int run_ingest(struct cli *cli) {
    bool wrong = false;
    pqdb_write_options options = {.token = cli_value(cli, "--token", &wrong)};
    if (wrong || !cli_takes(cli, 1, 10000)) return CLI_USAGE;
    const size_t count = cli->arg_count > 1 ? (size_t)cli->arg_count - 1 : 1;
    struct source *sources = sources_of(cli, count);
    for (size_t i = 0; i < count; i++) {
        sources[i].path = cli->arg_count > 1 ? cli->args[1 + i] : "-";
        sources[i].format = pqdb_file_format_of(sources[i].path);
    }
    return open_and_ingest(cli, sources, count, &options);
}

const struct cli_command cmd_ingest = {
    .name = "ingest",
    .usage = "SOURCE|COLLECTION [FILE…] [--token T]",
    .summary = "take in events: tail, ai-sdk, evalite, or any collection",
    .help = "Files hold JSON objects, lists of them, or NDJSON; or CSV or Parquet, by their\n"
            "name. gzip and zstd are unpacked. Without a file, or for -, stdin is read. A commit\n"
            "is made every 10,000 rows. Invalid\n"
            "items are set aside into rejected/<collection>.ndjson and make the exit code 1. With\n"
            "--token a run that is repeated skips what it had committed.\n",
    .run = run_ingest,
};

// ---- import -----------------------------------------------------------------------------------

/// A pattern that the shell left alone, as the files it means; else the name itself.
static bool expand(struct cli *cli, const char *pattern, struct source **sources, size_t *count) {
    glob_t found = {0};
    const char *path = cli_path(cli, pattern);
    const bool is_pattern = strpbrk(pattern, "*?[") != NULL && access(path, F_OK) != 0;
    if (is_pattern && glob(path, 0, NULL, &found) != 0) {
        globfree(&found);
        pqdb_error err = {.code = PQDB_NOT_FOUND, .offset = -1, .message = "no file is called so"};
        snprintf(err.subject, sizeof err.subject, "%s", pattern);
        cli_fail(cli, &err);
        return false;
    }
    const size_t more = is_pattern ? found.gl_pathc : 1;
    struct source *grown = sources_of(cli, *count + more);
    if (*count > 0) memcpy(grown, *sources, *count * sizeof *grown);
    for (size_t i = 0; i < more; i++) {
        const char *name = is_pattern ? found.gl_pathv[i] : pattern;
        grown[*count + i].path = pq_arena_copy(&cli->arena, pq_text_of(name)).data;
    }
    *sources = grown;
    *count += more;
    globfree(&found);
    return true;
}

static pqdb_file_format format_of(const struct cli *cli, const char *path) {
    if (cli->format_given) {
        return cli->format == CLI_CSV       ? PQDB_FILE_CSV
               : cli->format == CLI_PARQUET ? PQDB_FILE_PARQUET
               : cli->format == CLI_TABLE   ? PQDB_FILE_UNKNOWN
                                            : PQDB_FILE_NDJSON;
    }
    return strcmp(path, "-") == 0 ? PQDB_FILE_NDJSON : pqdb_file_format_of(path);
}

static int run_import(struct cli *cli) {
    bool wrong = false;
    pqdb_write_options options = {.token = cli_value(cli, "--token", &wrong), .set_aside = true};
    if (wrong || !cli_takes(cli, 2, 10000)) return CLI_USAGE;
    struct source *sources = NULL;
    size_t count = 0;
    for (int i = 1; i < cli->arg_count; i++) {
        if (!expand(cli, cli->args[i], &sources, &count)) return CLI_FAILED;
    }
    for (size_t i = 0; i < count; i++) {
        sources[i].format = format_of(cli, sources[i].path);
        if (sources[i].format == PQDB_FILE_UNKNOWN) {
            return cli_usage(cli, "cannot tell what %s holds: give --format ndjson, csv or parquet",
                             sources[i].path);
        }
        if (sources[i].format == PQDB_FILE_PARQUET && strcmp(sources[i].path, "-") == 0) {
            return cli_usage(cli, "takes Parquet from a file, not from stdin");
        }
    }
    if (cli->format_given) cli->format = cli->out_terminal ? CLI_TABLE : CLI_NDJSON;
    return open_and_ingest(cli, sources, count, &options);
}

const struct cli_command cmd_import = {
    .name = "import",
    .usage = "COLLECTION FILE… [--format ndjson|csv|parquet] [--token T]",
    .summary = "take rows from files: NDJSON, CSV, Parquet",
    .help = "What a file holds is told by its name, or by --format; - is stdin. Patterns like\n"
            "'data/*.csv' are expanded. gzip and zstd are unpacked. The first line of CSV names\n"
            "the columns: those that are declared have their types, numbers and booleans of\n"
            "others are found out. A commit is made every 10,000 rows. Invalid rows are set\n"
            "aside into rejected/<collection>.ndjson and make the exit code 1. With --token a run\n"
            "that is repeated skips what it had committed.\n",
    .run = run_import,
};
