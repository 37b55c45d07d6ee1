/// apps/cli/options.c: options anywhere behind the command, as `--name VALUE` or `--name=VALUE`;
/// what follows `--` is no option.
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static void remove_args(struct cli *cli, int at, int count) {
    memmove(cli->args + at, cli->args + at + count,
            (size_t)(cli->arg_count - at - count) * sizeof *cli->args);
    cli->arg_count -= count;
}

/// Options end at `--`.
static int option_end(const struct cli *cli) {
    int end = 0;
    while (end < cli->arg_count && strcmp(cli->args[end], "--") != 0) end++;
    return end;
}

bool cli_flag(struct cli *cli, const char *name) {
    bool found = false;
    for (int i = 0; i < option_end(cli); i++) {
        if (strcmp(cli->args[i], name) != 0) continue;
        remove_args(cli, i--, 1);
        found = true;
    }
    return found;
}

/// Is it `name` or `name=…`?
static bool is_option(const char *arg, const char *name) {
    const size_t length = strlen(name);
    return strncmp(arg, name, length) == 0 && (arg[length] == '\0' || arg[length] == '=');
}

/// Take the first one out, at `at`; NULL when its value is not there.
static const char *take_value(struct cli *cli, const char *name, int at) {
    const char *arg = cli->args[at];
    if (arg[strlen(name)] == '=') {
        remove_args(cli, at, 1);
        return arg + strlen(name) + 1;
    }
    const char *value = at + 1 < cli->arg_count ? cli->args[at + 1] : NULL;
    if (value == NULL || strncmp(value, "--", 2) == 0) {
        fprintf(stderr, "parquedb: %s needs a value\n", name);
        return NULL;
    }
    remove_args(cli, at, 2);
    return value;
}

size_t cli_values(struct cli *cli, const char *name, struct cli_values *values, bool *wrong) {
    for (int i = 0; i < option_end(cli) && !*wrong; i++) {
        if (!is_option(cli->args[i], name)) continue;
        const char *value = take_value(cli, name, i--);
        *wrong = value == NULL || values->count == CLI_VALUES_MAX;
        if (value != NULL && *wrong) {
            fprintf(stderr, "parquedb: %s is given more than %d times\n", name, CLI_VALUES_MAX);
        }
        if (!*wrong) values->at[values->count++] = value;
    }
    return values->count;
}

const char *cli_value(struct cli *cli, const char *name, bool *wrong) {
    const char *value = NULL;
    for (int i = 0; i < option_end(cli) && !*wrong; i++) {
        if (!is_option(cli->args[i], name)) continue;
        if (value != NULL) {
            fprintf(stderr, "parquedb: %s is given twice\n", name);
            *wrong = true;
            return NULL;
        }
        value = take_value(cli, name, i--);
        if (value == NULL) *wrong = true;
    }
    return value;
}

uint64_t cli_number(struct cli *cli, const char *name, uint64_t fallback, bool *wrong) {
    const char *given = cli_value(cli, name, wrong), *text = given;
    if (text == NULL) return fallback;
    if (strncmp(text, "seq-", 4) == 0) text += 4;  // a version may be given as it is shown
    char *end;
    errno = 0;
    const unsigned long long number = strtoull(text, &end, 10);
    if (errno == 0 && *text >= '0' && *text <= '9' && *end == '\0') return number;
    fprintf(stderr, "parquedb: %s takes a whole number, not '%s'\n", name, given);
    *wrong = true;
    return fallback;
}

/// "", "B", "KiB", "MB", "g" …: the power of 1024, or -1.
static int power_of_unit(const char *unit) {
    static const char letters[] = "kmgt";
    const char *letter = *unit == '\0' ? NULL : strchr(letters, tolower((unsigned char)*unit));
    const char *rest = letter == NULL ? unit : unit + 1;
    if (letter != NULL && *rest == 'i') rest++;
    if (*rest == 'B' || *rest == 'b') rest++;
    if (*rest != '\0') return -1;
    return letter == NULL ? 0 : (int)(letter - letters) + 1;
}

size_t cli_bytes_given(struct cli *cli, const char *name, bool *wrong) {
    const char *given = cli_value(cli, name, wrong);
    if (given == NULL) return 0;
    char *unit;
    errno = 0;
    const unsigned long long number = strtoull(given, &unit, 10);
    const int power = errno == 0 && *given >= '0' && *given <= '9' ? power_of_unit(unit) : -1;
    const unsigned shift = power < 0 ? 0 : 10u * (unsigned)power;
    if (power >= 0 && number <= SIZE_MAX >> shift && number << shift >= 1 << 20) {
        return (size_t)number << shift;
    }
    fprintf(stderr, "parquedb: %s takes a size of at least 1MiB, as 256MiB or 4GiB, not '%s'\n",
            name, given);
    *wrong = true;
    return 0;
}

static void show_usage(const struct cli *cli) {
    fprintf(stderr, "usage: parquedb %s%s%s\n", cli->command->name,
            cli->command->usage[0] == '\0' ? "" : " ", cli->command->usage);
}

int cli_usage(const struct cli *cli, const char *format, ...) {
    fprintf(stderr, "parquedb: %s ", cli->command->name);
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    show_usage(cli);
    return CLI_USAGE;
}

bool cli_takes(struct cli *cli, int min, int max) {
    const int end = option_end(cli);
    for (int i = 0; i < end; i++) {
        const char *arg = cli->args[i];
        if (arg[0] != '-' || (arg[1] != '-' && !isalpha((unsigned char)arg[1]))) continue;
        cli_usage(cli, "has no option %s", arg);
        return false;
    }
    if (end < cli->arg_count) remove_args(cli, end, 1);
    if (cli->arg_count < min) {
        cli_usage(cli, cli->arg_count == 0 ? "needs more to go on" : "needs more than that");
    } else if (cli->arg_count > max) {
        cli_usage(cli, "takes no '%s'", cli->args[max]);
    }
    return cli->arg_count >= min && cli->arg_count <= max;
}
