/// apps/cli/main.c: `parquedb [options] COMMAND …`: global options, dispatch, help.
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

static const struct cli_command *const commands[] = {
    &cmd_init,  &cmd_schema, &cmd_create, &cmd_get, &cmd_find,       &cmd_count,
    &cmd_ingest, &cmd_view,   &cmd_log,    &cmd_status, &cmd_checkpoint, &cmd_version,
};

enum { command_count = sizeof commands / sizeof *commands };

static void print_help(FILE *out) {
    fputs("parquedb: materialized views over a change log, exact at every commit, as open files\n\n"
          "usage: parquedb [--db DIR] [--format table|json|ndjson|csv] [--quiet] COMMAND …\n\n",
          out);
    for (size_t i = 0; i < command_count; i++) {
        fprintf(out, "  %-11s %s\n", commands[i]->name, commands[i]->summary);
    }
    fputs("\n  --db DIR    the database, default ./data\n"
          "  --format F  table on a terminal, NDJSON in a pipe, unless told\n"
          "  --quiet     only errors on stderr\n\n"
          "parquedb COMMAND --help tells more. Exit codes: 0 done, 1 failed or something refused,\n"
          "2 wrong usage.\n",
          out);
}

static const struct cli_command *find_command(const char *name) {
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
                   {"csv", CLI_CSV}};
    bool wrong = false;
    const char *given = cli_value(cli, "--format", &wrong);
    if (wrong) return false;
    if (given == NULL) {
        cli->format = isatty(STDOUT_FILENO) ? CLI_TABLE : CLI_NDJSON;
        return true;
    }
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (strcmp(formats[i].name, given) == 0) cli->format = formats[i].format;
    }
    if (cli->format != CLI_AUTO) return true;
    fprintf(stderr, "parquedb: --format is table, json, ndjson or csv, not '%s'\n", given);
    return false;
}

int main(int argc, char **argv) {
    struct cli cli = {.directory = "./data", .args = argv + 1, .arg_count = argc - 1};
    pq_arena_init(&cli.arena, &pq_alloc_libc);
    cli.colour = isatty(STDOUT_FILENO);
    cli.err_colour = isatty(STDERR_FILENO);
    bool wrong = false;
    const char *directory = cli_value(&cli, "--db", &wrong);
    if (directory != NULL) cli.directory = directory;
    cli.quiet = cli_flag(&cli, "--quiet");
    if (wrong || !read_format(&cli)) return CLI_USAGE;
    const bool help = cli_flag(&cli, "--help") || cli_flag(&cli, "-h");
    if (cli.arg_count == 0 || strcmp(cli.args[0], "help") == 0) {
        print_help(help || cli.arg_count > 0 ? stdout : stderr);
        return help || cli.arg_count > 0 ? CLI_DONE : CLI_USAGE;
    }
    cli.command = find_command(cli.args[0]);
    if (cli.command == NULL) {
        fprintf(stderr, "parquedb: there is no command '%s'\n\n", cli.args[0]);
        print_help(stderr);
        return CLI_USAGE;
    }
    cli.args++;
    cli.arg_count--;
    if (help) {
        printf("parquedb %s %s\n\n%s\n%s", cli.command->name, cli.command->usage,
               cli.command->summary, cli.command->help);
        return CLI_DONE;
    }
    const int code = cli.command->run(&cli);
    pq_arena_deinit(&cli.arena);
    return code;
}
