/// apps/cli/cli.h: what every command of `parquedb` shares. A command is one const descriptor; copy
/// cmd_count in cmd_read.c to add one, and list it in main.c.
#ifndef CLI_H
#define CLI_H

#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/arena.h"

enum cli_format { CLI_AUTO, CLI_TABLE, CLI_JSON, CLI_NDJSON, CLI_CSV, CLI_PARQUET,
                  CLI_PROMETHEUS };

/// Exit codes (SPEC 8).
enum { CLI_DONE = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/// Where this thread's command prints, whoever runs it: the files of its own process, or of the
/// client that a server runs it for. In commands `stdout` and `stderr` mean these.
extern _Thread_local FILE *cli_out, *cli_err;
#undef stdout
#undef stderr
#undef printf
#undef vprintf
#undef puts
#undef putchar
#define stdout cli_out
#define stderr cli_err
#define printf(...) fprintf(cli_out, __VA_ARGS__)
#define vprintf(...) vfprintf(cli_out, __VA_ARGS__)
#define puts(text) fprintf(cli_out, "%s\n", text)
#define putchar(c) fputc(c, cli_out)

struct cli_command;
struct cli_session;  // session.h

struct cli {
    const char *directory;
    enum cli_format format;  // never AUTO once a command runs
    bool format_given;       // by --format
    size_t memory_bytes;     // by --memory, or 0
    bool quiet;
    bool colour;      // of stdout
    bool err_colour;  // of stderr
    size_t width;     // of the terminal that stdout is; 0: it is none
    bool in_terminal, out_terminal, err_terminal;
    struct cli_session *session;  // a server runs it for a client; NULL: the command's own process
    const char *working;          // that client's directory, which paths begin in; or NULL
    const char *file;  // whose problems are shown, or NULL
    size_t mistakes;   // of it that were shown
    const struct cli_command *command;
    char **args;  // of the command, without options that were taken
    int arg_count;
    struct pq_arena arena;  // what lives as long as the command
};

struct cli_command {
    const char *name;     // "view state"
    const char *usage;    // what follows the name
    const char *summary;  // one line
    const char *help;     // more lines, or ""
    int (*run)(struct cli *cli);
    bool alone;  // has no use for a server: opens no database, or in its own way
};

extern const struct cli_command cmd_init, cmd_schema, cmd_create, cmd_get, cmd_find, cmd_count,
    cmd_explain, cmd_update, cmd_upsert, cmd_delete, cmd_ingest, cmd_view, cmd_log, cmd_checkpoint,
    cmd_compact, cmd_check, cmd_status, cmd_parquet, cmd_import, cmd_export, cmd_serve, cmd_version;

// main.c
const struct cli_command *cli_find_command(const char *name);  // or NULL
/// Options and arguments are in place.
int cli_run_command(struct cli *cli);

// options.c: each takes the option out of cli->args when it is there.
bool cli_flag(struct cli *cli, const char *name);
/// NULL when it is not there. Without a value it is an error of usage: `*wrong` is set.
const char *cli_value(struct cli *cli, const char *name, bool *wrong);
/// All values of an option that may be given more than once.
enum { CLI_VALUES_MAX = 64 };
struct cli_values { const char *at[CLI_VALUES_MAX]; size_t count; };
size_t cli_values(struct cli *cli, const char *name, struct cli_values *values, bool *wrong);
/// A whole number; `fallback` when it is not there.
uint64_t cli_number(struct cli *cli, const char *name, uint64_t fallback, bool *wrong);
/// A size with or without a unit, "256MiB", at least 1 MiB; 0 when it is not there.
size_t cli_bytes_given(struct cli *cli, const char *name, bool *wrong);
/// Are there `min` to `max` arguments and no unknown option? Else the usage has been shown.
bool cli_takes(struct cli *cli, int min, int max);
/// Say what is wrong, then how the command is used; gives CLI_USAGE.
__attribute__((format(printf, 2, 3))) int cli_usage(const struct cli *cli, const char *format, ...);

// output.c
/// Show the error; gives CLI_FAILED.
int cli_fail(const struct cli *cli, const pqdb_error *err);
/// The same after the problems of a schema were shown: only how many they are.
int cli_fail_schema(const struct cli *cli, const pqdb_error *err);
/// A line on stderr, unless --quiet.
__attribute__((format(printf, 2, 3))) void cli_note(const struct cli *cli, const char *format, ...);
void cli_print_problem(void *ctx, const pqdb_problem *problem);  // ctx: struct cli

/// Is the answer for people, not for programs?
static inline bool cli_is_for_people(const struct cli *cli) { return cli->format == CLI_TABLE; }

// table.c
/// A table that is shown once it is complete; columns of numbers are aligned to the right.
struct cli_table;
struct cli_table_shape {
    const char *const *names;  // borrowed; "changed at" is changedAt for programs
    const bool *is_number;     // borrowed
    size_t column_count;
    const bool *is_whole;  // borrowed: columns that are never cut; NULL: those of numbers
    bool is_answer;  // names as they are, a missing cell is "null" and not "-"
};
struct cli_table *cli_table_create(struct cli *cli, struct cli_table_shape shape);
void cli_table_wrap(struct cli_table *table);  // what is too wide is not cut: it takes more lines
void cli_table_row(struct cli_table *table, const char *const *cells);  // NULL: a missing value
void cli_table_texts(struct cli_table *table, const struct pq_text *cells);
bool cli_table_has_rows(const struct cli_table *table);
void cli_table_finish(struct cli_table *table);  // prints in the chosen format
void cli_table_list(const struct cli_table *table);  // a JSON list

/// Every row of an answer in the chosen format.
int cli_print_rows(struct cli *cli, pqdb_rows *rows);

void cli_json_text(FILE *out, const char *text, size_t length);

/// JSON text, spread over lines for people.
void cli_print_json(const struct cli *cli, const char *json, size_t length);

// text.c: for people with units, for programs without
/// "2026-01-15 10:00:00.000 UTC" or ISO 8601; NULL for 0: it never was.
const char *cli_time(const struct cli *cli, int64_t us, char room[40]);
/// "Mon 09:00 Europe/Berlin"; "" for UTC.
const char *cli_time_in(const char *zone_name, int64_t us, char room[64]);
/// "2026-01-15 10:00 UTC": of schedules.
const char *cli_minute(int64_t us, char room[40]);
/// "12 s ago", "in 4 min" or ISO 8601; NULL for 0.
const char *cli_ago(const struct cli *cli, int64_t us, char room[40]);
/// "12 s", since then, or ISO 8601; NULL for 0.
const char *cli_age(const struct cli *cli, int64_t us, char room[40]);
const char *cli_period(int64_t us, char room[24]);  // "90s", "15m": as a definition has it
/// "seq-42"; NULL for 0.
const char *cli_version(uint64_t version, char room[32]);
const char *cli_took(const struct cli *cli, int64_t us, char room[24]);  // "1.2 ms"; or ms
const char *cli_size(const struct cli *cli, uint64_t bytes, char room[24]);  // or bytes
const char *cli_bytes(uint64_t bytes, char room[24]);  // "12.3 MiB"
const char *cli_count(uint64_t count, char room[32]);  // "1,234,567"
const char *cli_duration(int64_t us, char room[24]);   // "1.2 ms"

// cmd_read.c
/// What `find` and `explain find` take: their options, then the name and a filter behind `before`
/// other arguments. CLI_DONE, or CLI_USAGE once the usage has been shown.
struct cli_find {
    const char *name;
    pqdb_find_options options;
};
int cli_take_find(struct cli *cli, struct cli_find *find, int before);

double cli_seconds(void);

/// The whole of a file, or of stdin for "-", in the arena; NULL after an error has been shown.
const char *cli_read_all(struct cli *cli, const char *path, size_t *length);

// cmd_view_state.c: of `view`; `only` NULL: all of them
int cli_view_list(struct cli *cli, pqdb_db *db);
int cli_view_states(struct cli *cli, pqdb_db *db, const char *only);

// cmd_view_change.c: of `view`, arguments counted
int cli_view_create(struct cli *cli), cli_view_alter(struct cli *cli);
int cli_view_vacuum(struct cli *cli, const char *keep);
int cli_view_drop(struct cli *cli, bool cascade);
int cli_view_changes(struct cli *cli, uint64_t since, bool follows);

// session.c: the same in the command's own process and in a server
void cli_use_process(void);  // this thread prints on the files of the process
/// From now on Ctrl-C is asked for, where it would end the process. Has it come, or has the client
/// gone?
void cli_catch_interrupts(const struct cli *cli);
bool cli_is_interrupted(const struct cli *cli);
/// Wait; false: no longer, nobody is there to be told.
bool cli_pause(const struct cli *cli, int ms);
int cli_stdin(const struct cli *cli);  // its descriptor, to be asked, not read
/// As read(2): what there is now. EINTR when interrupted.
ssize_t cli_read_stdin(const struct cli *cli, void *out, size_t capacity);
/// A file that the user named, as this process finds it.
const char *cli_path(struct cli *cli, const char *path);
/// Into stderr, files as the user named them.
void cli_print_text(const struct cli *cli, const char *text);

// forward.c: has a server run the command? Then with this exit code.
bool cli_forward(struct cli *cli, int *code);

/// Open cli->directory (in a server, it is open); NULL after an error has been shown.
pqdb_db *cli_open(const struct cli *cli, bool read_only);
/// Close, and say when that fails: `code` or CLI_FAILED.
int cli_close(const struct cli *cli, pqdb_db *db, int code);

#endif
