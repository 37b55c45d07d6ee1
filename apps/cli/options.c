/// apps/cli/options.c: options anywhere behind the command, as `--name VALUE` or `--name=VALUE`.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static void remove_args(struct cli *cli, int at, int count) {
    memmove(cli->args + at, cli->args + at + count,
            (size_t)(cli->arg_count - at - count) * sizeof *cli->args);
    cli->arg_count -= count;
}

bool cli_flag(struct cli *cli, const char *name) {
    for (int i = 0; i < cli->arg_count; i++) {
        if (strcmp(cli->args[i], name) != 0) continue;
        remove_args(cli, i, 1);
        return true;
    }
    return false;
}

const char *cli_value(struct cli *cli, const char *name, bool *wrong) {
    const size_t length = strlen(name);
    for (int i = 0; i < cli->arg_count; i++) {
        const char *arg = cli->args[i];
        if (strncmp(arg, name, length) != 0) continue;
        if (arg[length] == '=') {
            remove_args(cli, i, 1);
            return arg + length + 1;
        }
        if (arg[length] != '\0') continue;
        if (i + 1 == cli->arg_count) {
            fprintf(stderr, "parquedb: %s needs a value\n", name);
            *wrong = true;
            return NULL;
        }
        const char *value = cli->args[i + 1];
        remove_args(cli, i, 2);
        return value;
    }
    return NULL;
}

uint64_t cli_number(struct cli *cli, const char *name, uint64_t fallback, bool *wrong) {
    const char *text = cli_value(cli, name, wrong);
    if (text == NULL) return fallback;
    if (strncmp(text, "seq-", 4) == 0) text += 4;  // a version may be given as it is shown
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (errno == 0 && *text >= '0' && *text <= '9' && *end == '\0') return number;
    fprintf(stderr, "parquedb: %s takes a whole number, not '%s'\n", name, text);
    *wrong = true;
    return fallback;
}

int cli_usage(const struct cli *cli) {
    fprintf(stderr, "usage: parquedb %s %s\n", cli->command->name, cli->command->usage);
    return CLI_USAGE;
}

bool cli_takes(struct cli *cli, int min, int max) {
    for (int i = 0; i < cli->arg_count; i++) {
        if (strncmp(cli->args[i], "--", 2) != 0 || cli->args[i][2] == '\0') continue;
        fprintf(stderr, "parquedb: %s has no option %s\n", cli->command->name, cli->args[i]);
        cli_usage(cli);
        return false;
    }
    if (cli->arg_count >= min && cli->arg_count <= max) return true;
    cli_usage(cli);
    return false;
}
