#include <stdarg.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/progress.h"

// ---- log --------------------------------------------------------------------------------------

struct changes {
    struct cli *cli;
    struct cli_table *table;
    uint64_t last;  // version that was shown
};

static const char *or_missing(const char *text) { return text[0] == '\0' ? NULL : text; }

static pqdb_code add_change(void *ctx, const pqdb_change *change) {
    struct changes *changes = ctx;
    changes->last = change->version;
    char version[32], time[40], added[32], removed[32];
    const char *cells[] = {cli_version(change->version, version),
                           cli_time(changes->cli, change->time_us, time), change->kind,
                           or_missing(change->collection), cli_count(change->rows_added, added),
                           cli_count(change->rows_removed, removed), or_missing(change->token)};
    cli_table_row(changes->table, cells);
    return PQDB_OK;
}

/// What comes after `*since`, once. UINT64_MAX: all that the log has.
static int show_log(struct cli *cli, uint64_t *since, bool follows) {
    static const char *const names[] = {"version", "time", "kind", "collection", "added",
                                        "removed", "token"};
    static const bool is_number[] = {false, false, false, false, true, true, false};
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    const uint64_t first = pqdb_log_first(db);
    if (*since == UINT64_MAX) *since = first > 0 ? first - 1 : 0;
    const struct cli_table_shape shape = {names, is_number, 7, NULL, false};
    struct changes changes = {cli, cli_table_create(cli, shape), *since};
    pqdb_error err;
    const pqdb_code code = pqdb_log_read(db, *since, add_change, &changes, &err);
    if (code == PQDB_OK) {
        const bool any = cli_table_has_rows(changes.table);
        if (any || !follows) cli_table_finish(changes.table);
        if (!any && !follows) {
            cli_note(cli, "no commit after seq-%llu", (unsigned long long)*since);
        }
        *since = changes.last;
    }
    return cli_close(cli, db, code == PQDB_OK ? CLI_DONE : cli_fail(cli, &err));
}

static int run_log(struct cli *cli) {
    bool wrong = false;
    uint64_t since = cli_number(cli, "--since", UINT64_MAX, &wrong);
    const bool follows = cli_flag(cli, "--follow");
    if (wrong || !cli_takes(cli, 0, 0)) return CLI_USAGE;
    int code = show_log(cli, &since, follows);
    while (follows && code == CLI_DONE && fflush(stdout) == 0 && cli_pause(cli, 500)) {
        code = show_log(cli, &since, true);  // another process writes: opening again shows it
    }
    return code;
}

const struct cli_command cmd_log = {
    .name = "log",
    .usage = "[--since VERSION] [--follow]",
    .summary = "show the change log",
    .help = "The log reaches back as far as checkpoints, lagging views and retention left it.\n"
            "--follow goes on with what other processes commit.\n",
    .run = run_log,
};

// ---- checkpoint -------------------------------------------------------------------------------

static void print_checkpoint(struct cli *cli, const pqdb_status *status, int64_t us) {
    static const char *const names[] = {"version", "files", "fileBytes", "durationMs"};
    static const bool is_number[] = {false, true, true, true};
    char version[32], files[24], size[24], took[24];
    snprintf(files, sizeof files, "%zu", status->file_count);
    const char *cells[] = {cli_version(status->checkpoint_version, version), files,
                           cli_size(cli, status->file_bytes, size), cli_took(cli, us, took)};
    if (cli_is_for_people(cli)) {
        printf("checkpoint at %s: %s file%s, %s, %s\n", cells[0] == NULL ? "seq-0" : cells[0],
               cells[1], status->file_count == 1 ? "" : "s", cells[2], cells[3]);
        return;
    }
    struct cli_table *table =
        cli_table_create(cli, (struct cli_table_shape){names, is_number, 4, NULL, false});
    cli_table_row(table, cells);
    cli_table_finish(table);
}

static int run_checkpoint(struct cli *cli) {
    if (!cli_takes(cli, 0, 0)) return CLI_USAGE;
    pqdb_db *db = cli_open(cli, false);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    pqdb_status status;
    const double began = cli_seconds();
    int code = CLI_DONE;
    struct cli_progress progress;
    cli_progress_begin(&progress, cli, "writing");
    cli_progress_watch(&progress, "a checkpoint", NULL);
    const pqdb_code written = pqdb_checkpoint(db, &err);
    cli_progress_end(&progress);
    if (written != PQDB_OK || pqdb_status_get(db, &status, &err) != PQDB_OK) {
        code = cli_fail(cli, &err);
    } else {
        print_checkpoint(cli, &status, (int64_t)((cli_seconds() - began) * 1e6));
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

// ---- compact ----------------------------------------------------------------------------------

struct compacting {
    struct cli *cli;
    struct cli_table *table;
    size_t changed;  // collections and views
    double began;    // with the one that comes next
};

static bool is_as_before(const pqdb_compacted *compacted) {
    return compacted->files_before == compacted->files_after &&
           compacted->bytes_before == compacted->bytes_after;
}

/// For people only what changed.
static void add_compacted(void *ctx, const pqdb_compacted *compacted) {
    struct compacting *compacting = ctx;
    struct cli *cli = compacting->cli;
    const bool is_same = is_as_before(compacted);
    const double now = cli_seconds(), took_s = now - compacting->began;
    compacting->began = now;
    compacting->changed += !is_same;
    if (is_same && cli_is_for_people(cli)) return;
    char files_before[32], files_after[32], bytes_before[32], bytes_after[32], took[32];
    const char *cells[] = {compacted->name, cli_count(compacted->files_before, files_before),
                           cli_count(compacted->files_after, files_after),
                           cli_size(cli, compacted->bytes_before, bytes_before),
                           cli_size(cli, compacted->bytes_after, bytes_after),
                           cli_took(cli, (int64_t)(took_s * 1e6), took)};
    cli_table_row(compacting->table, cells);
}

static int run_compact(struct cli *cli) {
    static const char *const names[] = {"name",        "filesBefore", "filesAfter",
                                        "bytesBefore", "bytesAfter",  "durationMs"};
    static const bool is_number[] = {false, true, true, true, true, true};
    if (!cli_takes(cli, 0, 1)) return CLI_USAGE;
    pqdb_db *db = cli_open(cli, false);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    const struct cli_table_shape shape = {names, is_number, 6, NULL, false};
    struct compacting compacting = {
        .cli = cli, .table = cli_table_create(cli, shape), .began = cli_seconds()};
    struct cli_progress progress;
    cli_progress_begin(&progress, cli, "merging");
    cli_progress_watch(&progress, "a merge", NULL);
    const char *name = cli->arg_count > 0 ? cli->args[0] : NULL;
    const pqdb_code code = pqdb_compact(db, name, add_compacted, &compacting, &err);
    cli_progress_end(&progress);
    if (code != PQDB_OK) return cli_close(cli, db, cli_fail(cli, &err));
    if (!cli_is_for_people(cli) || compacting.changed > 0) cli_table_finish(compacting.table);
    if (compacting.changed == 0) {
        cli_note(cli, "nothing to do: each has one file, or none, and no dead row in it");
    }
    return cli_close(cli, db, CLI_DONE);
}

const struct cli_command cmd_compact = {
    .name = "compact",
    .usage = "[NAME]",
    .summary = "merge data files, and leave out rows that are gone",
    .help = "Of NAME, a collection or view, or of all. The background does so too where it pays:\n"
            "eight files of a size become one, one that is a quarter dead is written anew. This\n"
            "goes on until there is one file. Readers and writers go on meanwhile. What was\n"
            "replaced stays on disk until nobody may read it any more: see view vacuum.\n",
    .run = run_compact,
};

// ---- status -----------------------------------------------------------------------------------

__attribute__((format(printf, 2, 3))) static void print_line(const char *name,
                                                             const char *format, ...) {
    va_list arguments;
    printf("%-12s ", name);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    fputc('\n', stdout);
}

/// Of the holders the one that needs most.
static void take_farthest(void *ctx, const pqdb_log_holder *holder) {
    pqdb_log_holder *farthest = ctx;
    const bool is_first = farthest->reason == NULL;
    if (holder->is_let_go || (!is_first && holder->bytes <= farthest->bytes)) return;
    *farthest = *holder;
}

static void print_log(pqdb_db *db, const pqdb_status *status) {
    char since[40], kept[40], version[32];
    pqdb_log_holder holder = {0};
    pqdb_log_holders(db, take_farthest, &holder, NULL);
    const char *from = cli_version(holder.version, version);
    print_line("log", "%s since the checkpoint", cli_bytes(status->log_bytes, since));
    if (from != NULL) {
        print_line("", "%s kept since %s: %s%s%s", cli_bytes(holder.bytes, kept), from,
                   holder.name, holder.name[0] == '\0' ? "" : ", ", holder.reason);
    }
}

static void print_memory(const pqdb_memory *memory) {
    char used[40], limit[40], rows[40], states[40], pages[40], indexes[40];
    print_line("memory", "%s of %s", cli_bytes(memory->used, used),
               cli_bytes(memory->limit, limit));
    print_line("", "rows %s, states %s, pages %s, indexes %s",
               cli_bytes(memory->rows, rows), cli_bytes(memory->states, states),
               cli_bytes(memory->pages, pages), cli_bytes(memory->indexes, indexes));
}

/// What is wrong with views, and what runs.
static void print_views(pqdb_db *db) {
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        pqdb_view_state state;
        char wait[40];
        if (pqdb_view_state_get(db, pqdb_view_name(db, i), &state, NULL) != PQDB_OK) continue;
        if (state.build_percent >= 0) {
            print_line("building", "%s, %d %%", state.name, state.build_percent);
        }
        if (state.last_error[0] == '\0') continue;
        print_line("error", "%s: %s%s%s", state.name, state.last_error,
                   state.next_try_us > 0 ? "; tried again in " : "",
                   state.next_try_us > 0 ? cli_duration(state.next_try_us, wait) : "");
    }
}

static void print_status(const struct cli *cli, pqdb_db *db, const pqdb_status *status) {
    char room[40], version[32];
    const char *time = cli_time(cli, status->time_us, room);
    const char *at = cli_version(status->version, version);
    print_line("version", "%s  %s", at == NULL ? "none yet" : at, time == NULL ? "" : time);
    at = cli_version(status->checkpoint_version, version);
    print_line("checkpoint", "%s", at == NULL ? "none yet" : at);
    print_log(db, status);
    print_memory(&status->memory);
    print_line("files", "%zu, %s", status->file_count, cli_bytes(status->file_bytes, room));
    print_views(db);
    if (status->background_error[0] != '\0') print_line("error", "%s", status->background_error);
    fputc('\n', stdout);
}

static void print_text_or_null(const char *name, const char *text) {
    printf(",\"%s\":", name);
    if (text == NULL || text[0] == '\0') {
        fputs("null", stdout);
    } else {
        cli_json_text(stdout, text, strlen(text));
    }
}

static void print_holder_json(void *ctx, const pqdb_log_holder *holder) {
    bool *any = ctx;
    char version[32];
    fputs(*any ? ",{\"reason\":" : "{\"reason\":", stdout);
    *any = true;
    cli_json_text(stdout, holder->reason, strlen(holder->reason));
    print_text_or_null("name", holder->name);
    print_text_or_null("from", cli_version(holder->version, version));
    printf(",\"bytes\":%llu,\"letGo\":%s}", (unsigned long long)holder->bytes,
           holder->is_let_go ? "true" : "false");
}

/// The status as one object; its tables, the list of them, follow before it is closed.
static void begin_status_json(const struct cli *cli, pqdb_db *db, const pqdb_status *status) {
    char version[32], time[40];
    fputs("{\"directory\":", stdout);
    cli_json_text(stdout, cli->directory, strlen(cli->directory));
    print_text_or_null("version", cli_version(status->version, version));
    print_text_or_null("time", cli_time(cli, status->time_us, time));
    print_text_or_null("checkpoint", cli_version(status->checkpoint_version, version));
    printf(",\"logBytes\":%llu,\"memoryBytes\":%llu,\"files\":%zu,\"fileBytes\":%llu",
           (unsigned long long)status->log_bytes, (unsigned long long)status->memory_bytes,
           status->file_count, (unsigned long long)status->file_bytes);
    const pqdb_memory *memory = &status->memory;
    printf(",\"memory\":{\"used\":%llu,\"limit\":%llu,\"rows\":%llu,\"states\":%llu,"
           "\"pages\":%llu,\"indexes\":%llu}", (unsigned long long)memory->used,
           (unsigned long long)memory->limit, (unsigned long long)memory->rows,
           (unsigned long long)memory->states, (unsigned long long)memory->pages,
           (unsigned long long)memory->indexes);
    print_text_or_null("lastError", status->background_error);
    fputs(",\"logKept\":[", stdout);
    bool any = false;
    pqdb_log_holders(db, print_holder_json, &any, NULL);
    fputs("],\"tables\":", stdout);
}

static int add_entries(struct cli *cli, pqdb_db *db, struct cli_table *table) {
    for (size_t i = 0; i < pqdb_entry_count(db); i++) {
        pqdb_entry entry;
        pqdb_error err;
        if (pqdb_entry_at(db, i, &entry, &err) != PQDB_OK) return cli_fail(cli, &err);
        char rows[32], version[32], behind[40];
        pqdb_view_state state;
        const bool has_state = strcmp(entry.kind, "view") == 0 &&
                               pqdb_view_state_get(db, entry.name, &state, NULL) == PQDB_OK;
        const bool lags = has_state && state.stale_since_us != 0;
        const char *cells[] = {entry.name, entry.kind,
                               or_missing(entry.from[0] != '\0' ? entry.from : entry.ingest),
                               cli_count(entry.rows, rows), cli_version(entry.version, version),
                               has_state ? state.state : NULL,
                               lags ? cli_age(cli, state.stale_since_us, behind) : NULL};
        cli_table_row(table, cells);
    }
    return CLI_DONE;
}

static int show_status(struct cli *cli, pqdb_db *db) {
    const char *const names[] = {"name", "kind", "from", "rows", "changed at", "state",
                                 cli_is_for_people(cli) ? "behind" : "staleSince"};
    static const bool is_number[] = {false, false, false, true, false, false, false};
    pqdb_status status;
    pqdb_error err;
    if (pqdb_status_get(db, &status, &err) != PQDB_OK) return cli_fail(cli, &err);
    struct cli_table *table =
        cli_table_create(cli, (struct cli_table_shape){names, is_number, 7, NULL, false});
    if (add_entries(cli, db, table) != CLI_DONE) return CLI_FAILED;
    const bool json = cli->format == CLI_JSON || cli->format == CLI_NDJSON;
    if (cli_is_for_people(cli)) print_status(cli, db, &status);
    if (json) {
        begin_status_json(cli, db, &status);
        cli_table_list(table);
        fputs("}\n", stdout);
    } else {
        cli_table_finish(table);
    }
    return status.background_error[0] == '\0' ? CLI_DONE : CLI_FAILED;
}

static int show_metrics(struct cli *cli, pqdb_db *db) {
    char *text;
    size_t length;
    pqdb_error err;
    if (pqdb_metrics(db, &text, &length, &err) != PQDB_OK) return cli_fail(cli, &err);
    fwrite(text, 1, length, stdout);
    pqdb_free(text);
    return CLI_DONE;
}

static int run_status(struct cli *cli) {
    if (!cli_takes(cli, 0, 0)) return CLI_USAGE;
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    const bool is_metrics = cli->format == CLI_PROMETHEUS;
    return cli_close(cli, db, is_metrics ? show_metrics(cli, db) : show_status(cli, db));
}

const struct cli_command cmd_status = {
    .name = "status",
    .usage = "[--format prometheus]",
    .summary = "versions, sizes and every table at a glance",
    .help = "--format prometheus gives the same and the state of each view as metrics, for a\n"
            "scraper or its textfile collector; docs/status.md names them. Exit code 1 (other\n"
            "formats): the last checkpoint failed.\n",
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
    .alone = true,
};
