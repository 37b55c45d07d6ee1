/// apps/cli/main.c: `parquedb [options] COMMAND …`: global options, dispatch, help.
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/cli.h"

static const struct cli_command *const commands[] = {
    &cmd_init,   &cmd_schema, &cmd_create, &cmd_update, &cmd_upsert, &cmd_delete,
    &cmd_get,    &cmd_find,   &cmd_count,  &cmd_explain, &cmd_ingest, &cmd_view,   &cmd_log,
    &cmd_status, &cmd_checkpoint, &cmd_compact, &cmd_check, &cmd_import, &cmd_export,
    &cmd_parquet, &cmd_serve, &cmd_version,
};

enum { command_count = sizeof commands / sizeof *commands };

static void print_help(FILE *out) {
    fputs("parquedb: materialized views over a change log, exact at every commit, as open files\n\n"
          "usage: parquedb [--db DIR] [--format table|json|ndjson|csv|parquet] [--memory SIZE] "
          "[--quiet]\n                COMMAND …\n\n",
          out);
    for (size_t i = 0; i < command_count; i++) {
        fprintf(out, "  %-11s %s\n", commands[i]->name, commands[i]->summary);
    }
    fputs("\n  --db DIR    the database, default ./data\n"
          "  --format F  table on a terminal, NDJSON in a pipe, unless told\n"
          "  --memory S  for all it holds in memory, as 256MiB; default half of the machine's\n"
          "  --quiet     only errors on stderr\n\n"
          "parquedb COMMAND --help tells more; what follows -- is no option. Exit codes:\n"
          "0 done, 1 failed or something refused, 2 wrong usage. NO_COLOR is honoured.\n",
          out);
}

const struct cli_command *cli_find_command(const char *name) {
    for (size_t i = 0; i < command_count; i++) {
        if (strcmp(commands[i]->name, name) == 0) return commands[i];
    }
    return NULL;
}

static bool read_format(struct cli *cli) {
    static const struct {
        const char *name;
        enum cli_format format;
    } formats[] = {{"table", CLI_TABLE}, {"json", CLI_JSON}, {"ndjson", CLI_NDJSON},
                   {"csv", CLI_CSV}, {"parquet", CLI_PARQUET}, {"prometheus", CLI_PROMETHEUS}};
    bool wrong = false;
    const char *given = cli_value(cli, "--format", &wrong);
    if (wrong) return false;
    if (given == NULL) {
        cli->format = cli->out_terminal ? CLI_TABLE : CLI_NDJSON;
        return true;
    }
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].name, given) == 0) cli->format = formats[i].format;
    }
    cli->format_given = true;
    if (cli->format != CLI_AUTO) return true;
    fprintf(stderr, "parquedb: --format is table, json, ndjson, csv or parquet, not '%s'\n", given);
    return false;
}

static int unknown_command(const char *name) {
    const char *names[command_count];
    for (size_t i = 0; i < command_count; i++) names[i] = commands[i]->name;
    const char *nearest = pq_text_nearest(pq_text_of(name), names, command_count);
    const bool is_option = name[0] == '-';
    fprintf(stderr, "parquedb: there is no %s '%s'", is_option ? "option" : "command", name);
    if (nearest != NULL) fprintf(stderr, "; did you mean '%s'?", nearest);
    fputs("\nparquedb --help shows what there is\n", stderr);
    return CLI_USAGE;
}

static int show_help(const struct cli *cli) {
    printf("usage: parquedb %s %s\n\n%s\n%s", cli->command->name, cli->command->usage,
           cli->command->summary, cli->command->help);
    return CLI_DONE;
}

int cli_run_command(struct cli *cli) { return cli->command->run(cli); }

static int run(struct cli *cli) {
    bool wrong = false;
    const char *directory = cli_value(cli, "--db", &wrong);
    if (directory != NULL) cli->directory = directory;
    cli->memory_bytes = cli_bytes_given(cli, "--memory", &wrong);
    if (cli->memory_bytes != 0) pq_alloc_libc_keep_little();
    cli->quiet = cli_flag(cli, "--quiet");
    if (wrong || !read_format(cli)) return CLI_USAGE;
    const bool long_help = cli_flag(cli, "--help");
    bool help = cli_flag(cli, "-h") || long_help;
    if (cli->arg_count > 0 && strcmp(cli->args[0], "help") == 0) {
        help = true;
        cli->args++;
        cli->arg_count--;
    }
    if (cli->arg_count == 0) {
        print_help(help ? stdout : stderr);
        return help ? CLI_DONE : CLI_USAGE;
    }
    if (strcmp(cli->args[0], "--version") == 0) cli->args[0] += 2;
    cli->command = cli_find_command(cli->args[0]);
    if (cli->command == NULL) return unknown_command(cli->args[0]);
    cli->args++;
    cli->arg_count--;
    if (help) return show_help(cli);
    const bool is_exchange = cli->command == &cmd_import || cli->command == &cmd_export;
    if (cli->format == CLI_PARQUET && !is_exchange) {
        return cli_usage(cli, "does not answer in Parquet: use export");
    }
    if (cli->format == CLI_PROMETHEUS && cli->command != &cmd_status) {
        return cli_usage(cli, "does not answer for Prometheus: use status");
    }
    int code;
    if (!cli->command->alone && cli_forward(cli, &code)) return code;
    return cli_run_command(cli);
}

/// A closed descriptor would be given to the first file that is opened, and that file be read as
/// stdin or written over by a message. Using one of these is an error instead.
static void hold_standard_files(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        const int held = open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (held != fd) abort();
    }
}

/// Columns of the terminal that stdout is, 0 when it is none.
static size_t terminal_width(void) {
    if (!isatty(STDOUT_FILENO)) return 0;
    struct winsize size;
    const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
}

int main(int argc, char **argv) {
    hold_standard_files();
    setlocale(LC_CTYPE, "C.UTF-8");  // the width of characters; numbers stay as they are
    cli_use_process();
    struct cli cli = {.directory = "./data", .args = argv + 1, .arg_count = argc - 1,
                      .in_terminal = isatty(STDIN_FILENO), .out_terminal = isatty(STDOUT_FILENO),
                      .err_terminal = isatty(STDERR_FILENO)};
    pq_arena_init(&cli.arena, &pq_alloc_libc);
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    const bool colours = (no_colour == NULL || no_colour[0] == '\0') &&
                         (terminal == NULL || strcmp(terminal, "dumb") != 0);
    cli.colour = colours && cli.out_terminal;
    cli.err_colour = colours && cli.err_terminal;
    cli.width = terminal_width();
    int code = run(&cli);
    // A full disk shows only now.
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == CLI_DONE) {
        const char *why = errno == 0 ? "cannot be written" : strerror(errno);
        fprintf(stderr, "parquedb: stdout: %s\n", why);
        code = CLI_FAILED;
    }
    pq_arena_deinit(&cli.arena);
    return code;
}
