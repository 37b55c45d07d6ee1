/// apps/cli/cmd_check.c: `parquedb check`: is every stored byte sound, and what can be rebuilt?
#include <parquedb/check.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/progress.h"

struct shown {
    struct cli *cli;
    struct cli_table *table;  // for programs
    struct cli_progress progress;
};

static const char *outcome_of(const pqdb_damage *damage) {
    if (damage->is_repaired) return damage->is_lost ? "cut out" : "rebuilt";
    return damage->is_lost ? "lost" : "can be rebuilt";
}

static const char *tint_of(const struct cli *cli, const pqdb_damage *damage) {
    if (!cli->colour) return "";
    return damage->is_lost ? "\033[31m" : damage->is_repaired ? "\033[32m" : "\033[33m";
}

/// The file and what is wrong on the first line, what follows from it on the second.
static void print_damage(struct cli *cli, const pqdb_damage *damage) {
    printf("%s%-14s%s  %s", tint_of(cli, damage), outcome_of(damage), cli->colour ? "\033[0m" : "",
           damage->file);
    if (damage->offset >= 0) printf(" at byte %lld", (long long)damage->offset);
    printf(": %s\n%16s%s%s%s\n", damage->message, "", damage->table,
           damage->table[0] == '\0' ? "" : ": ", damage->remedy);
}

static void show_damage(void *ctx, const pqdb_damage *damage) {
    struct shown *shown = ctx;
    cli_progress_end(&shown->progress);
    if (cli_is_for_people(shown->cli)) {
        print_damage(shown->cli, damage);
        return;
    }
    char offset[24];
    snprintf(offset, sizeof offset, "%lld", (long long)damage->offset);
    const char *cells[] = {damage->file, damage->offset < 0 ? NULL : offset, damage->part,
                           damage->table[0] == '\0' ? NULL : damage->table, outcome_of(damage),
                           damage->message, damage->remedy};
    cli_table_row(shown->table, cells);
}

static void show_progress(void *ctx, const char *file, uint64_t bytes, uint64_t bytes_all) {
    struct shown *shown = ctx;
    struct cli_progress *progress = &shown->progress;
    const double now = cli_seconds();
    (void)file;
    if (now - progress->began < 1.0 || now - progress->last < 0.1) return;
    progress->last = now;
    char text[64], done[24], all[24];
    snprintf(text, sizeof text, "%s of %s", cli_bytes(bytes < bytes_all ? bytes : bytes_all, done),
             cli_bytes(bytes_all, all));
    cli_progress_say(progress, text);
}

static void print_line(const char *what, uint64_t count, const char *more) {
    char room[32];
    if (count > 0) printf("  %-16s%12s%s\n", what, cli_count(count, room), more);
}

static void print_counts(const pqdb_checked *checked) {
    char bytes[24], detail[80], number[32], version[32];
    const char *at = cli_version(checked->version, version);
    if (checked->damages > 0) printf("\n");
    const char *state = checked->damages == 0                   ? "sound"
                        : checked->damages == checked->repaired ? "repaired"
                                                                : "DAMAGED";
    printf("%s: %s file%s, %s, up to %s\n", state,
           cli_count(checked->files, number), checked->files == 1 ? "" : "s",
           cli_bytes(checked->bytes, bytes), at == NULL ? "seq-0" : at);
    print_line("roots", checked->roots, "");
    snprintf(detail, sizeof detail, "  with %s commits", cli_count(checked->commits, number));
    print_line("log frames", checked->frames, detail);
    snprintf(detail, sizeof detail, "  with %s pages", cli_count(checked->pages, number));
    print_line("data files", checked->data_files, detail);
    print_line("beside them", checked->side_files, "  filters of ids, links");
    snprintf(detail, sizeof detail, "  with %s rows", cli_count(checked->run_rows, number));
    print_line("state runs", checked->runs, detail);
    print_line("metadata", checked->metadata_files, "  files");
    snprintf(detail, sizeof detail, "  %s that the next open or checkpoint removes",
             cli_bytes(checked->unnamed_bytes, bytes));
    print_line("unnamed files", checked->unnamed_files, detail);
}

static void print_outcome(const struct cli *cli, const pqdb_checked *checked, bool repair) {
    char a[32], b[32];
    if (checked->damages == 0) return;
    const uint64_t left = checked->damages - checked->repaired;
    if (!repair) {
        cli_note(cli, "%s damaged, %s of it lost; check --repair rebuilds the rest",
                 cli_count(checked->damages, a), cli_count(checked->lost, b));
    } else {
        cli_note(cli, "%s repaired, %s left; damaged files are in damaged/",
                 cli_count(checked->repaired, a), cli_count(left, b));
    }
}

static int run_check(struct cli *cli) {
    static const char *const names[] = {"file", "offset", "part", "table", "outcome", "message",
                                        "remedy"};
    static const bool is_number[] = {false, true, false, false, false, false, false};
    const bool repair = cli_flag(cli, "--repair");
    if (!cli_takes(cli, 0, 1)) return CLI_USAGE;
    struct shown shown = {.cli = cli};
    if (!cli_is_for_people(cli)) {
        shown.table = cli_table_create(
            cli, (struct cli_table_shape){.names = names, .is_number = is_number,
                                          .column_count = 7});
    }
    cli_progress_begin(&shown.progress, cli, "check");
    const pqdb_check_options options = {.name = cli->arg_count == 1 ? cli->args[0] : NULL,
                                        .repair = repair, .on_damage = show_damage,
                                        .on_progress = show_progress, .ctx = &shown};
    pqdb_checked checked;
    pqdb_error err;
    const pqdb_code code = pqdb_check(cli->directory, &options, &checked, &err);
    cli_progress_end(&shown.progress);
    if (!cli_is_for_people(cli)) cli_table_finish(shown.table);
    if (code != PQDB_OK) return cli_fail(cli, &err);
    if (cli_is_for_people(cli)) print_counts(&checked);
    print_outcome(cli, &checked, repair);
    return checked.damages == checked.repaired ? CLI_DONE : CLI_FAILED;
}

const struct cli_command cmd_check = {
    .name = "check",
    .usage = "[NAME] [--repair]",
    .summary = "is every stored byte sound, and what can be rebuilt?",
    .help = "Reads all there is: schema, roots, change log, each page of each data file, filters,\n"
            "links, states of views, Iceberg metadata; or the files of one collection or view.\n"
            "Says for each damage the file, the byte, and what it is rebuilt from, or that it is\n"
            "lost. Works on a database that cannot be opened, and beside a process that writes.\n"
            "--repair rebuilds what can be: views from their sources, filters and links from data\n"
            "files, a checkpoint from the one before and the log, metadata from the root. Damaged\n"
            "files are moved into damaged/ of the database. Exit code 1 while damage is left.\n",
    .run = run_check,
    .alone = true,
};
