#include <string.h>

#include "cli/cli.h"
#include "cli/progress.h"

struct flags {
    bool full, due, discard, cascade, follows;
    uint64_t since;  // UINT64_MAX: not given
    const char *keep;
};

// ---- one view ---------------------------------------------------------------------------------

static void print_column(void *ctx, const char *name, const char *type, bool is_system) {
    (void)ctx;
    if (!is_system || strcmp(name, "$id") == 0) printf("  %-24s %s\n", name, type);
}

static int show_view(struct cli *cli, pqdb_db *db, const char *name) {
    pqdb_error err;
    const char *definition;
    if (pqdb_view_definition(db, name, &definition, &err) != PQDB_OK) return cli_fail(cli, &err);
    cli_print_json(cli, definition, strlen(definition));
    if (!cli_is_for_people(cli)) return CLI_DONE;
    puts("\ncolumns");
    if (pqdb_columns(db, name, print_column, NULL, &err) != PQDB_OK) return cli_fail(cli, &err);
    return CLI_DONE;
}

static void print_line(void *ctx, const char *line) {
    (void)ctx;
    puts(line);
}

static int explain_view(struct cli *cli, pqdb_db *db, const char *name) {
    pqdb_error err;
    if (pqdb_view_explain(db, name, print_line, NULL, &err) != PQDB_OK) {
        return cli_fail(cli, &err);
    }
    return CLI_DONE;
}

static void print_difference(void *ctx, const pqdb_difference *difference) {
    struct cli_progress *progress = ctx;
    cli_progress_end(progress);
    fprintf(stderr, "%s\n    stored      %s\n    recomputed  %s\n", difference->id,
            difference->stored == NULL ? "(missing)" : difference->stored,
            difference->recomputed == NULL ? "(none)" : difference->recomputed);
}

/// What is known to be behind has nothing to compare. A view that failed is no such: it is told.
static bool is_only_stale(struct cli *cli, pqdb_db *db, const char *name,
                          struct cli_table *table) {
    pqdb_view_state state;
    pqdb_error err;
    if (pqdb_view_state_get(db, name, &state, &err) != PQDB_OK) return false;
    const bool appends = strcmp(state.strategy, "append") == 0, keeps = state.keeps_dropped;
    if (state.last_error[0] != '\0') return false;
    if (!appends && !keeps && strcmp(state.state, "fresh") == 0) return false;
    char version[32];
    const char *cells[] = {name, appends ? "appends" : keeps ? "keeps" : state.state, NULL, NULL,
                           cli_version(state.version, version), NULL};
    cli_table_row(table, cells);
    cli_note(cli, "%s is not verified: %s", name,
             appends ? "it appends, and keeps what it has"
             : keeps ? "it keeps what came of rows that are gone"
                     : state.reason);
    return true;
}

static int verify_view(struct cli *cli, pqdb_db *db, const char *name, struct cli_table *table) {
    pqdb_verified verified;
    pqdb_error err;
    const double began = cli_seconds();
    struct cli_progress progress;
    cli_progress_begin(&progress, cli, "verifying");
    cli_progress_watch(&progress, name, NULL);
    const pqdb_code code =
        pqdb_view_verify(db, name, print_difference, &progress, &verified, &err);
    cli_progress_end(&progress);
    if (code != PQDB_OK) return cli_fail(cli, &err);
    const bool exact = verified.differences == 0;
    char rows[32], differences[32], version[32], took[24];
    const int64_t us = (int64_t)((cli_seconds() - began) * 1e6);
    const char *cells[] = {name, exact ? "exact" : "DIFFERS",
                           cli_count(verified.rows_stored, rows),
                           cli_count(verified.differences, differences),
                           cli_version(verified.version, version), cli_took(cli, us, took)};
    cli_table_row(table, cells);
    return exact ? CLI_DONE : CLI_FAILED;
}

static int verify_views(struct cli *cli, pqdb_db *db, const char *only) {
    const char *const names[] = {"view", "result", "rows", "differences", "version",
                                 cli_is_for_people(cli) ? "took" : "durationMs"};
    static const bool is_number[] = {false, false, true, true, false, true};
    struct cli_table *table =
        cli_table_create(cli, (struct cli_table_shape){names, is_number, 6, NULL, false});
    int code = CLI_DONE;
    const size_t count = only == NULL ? pqdb_view_count(db) : 1;
    for (size_t i = 0; i < count; i++) {
        const char *name = only == NULL ? pqdb_view_name(db, i) : only;
        if (only == NULL && is_only_stale(cli, db, name, table)) continue;
        if (verify_view(cli, db, name, table) != CLI_DONE) code = CLI_FAILED;
    }
    if (only == NULL || code == CLI_DONE || cli_table_has_rows(table)) cli_table_finish(table);
    return code;
}

static const char *or_missing(const char *text) { return text[0] == '\0' ? NULL : text; }

static bool is_scheduled(pqdb_db *db, const char *name) {
    pqdb_view_state state;
    return pqdb_view_state_get(db, name, &state, NULL) == PQDB_OK && state.schedule[0] != '\0';
}

static int refresh_view(struct cli *cli, pqdb_db *db, const char *name, const struct flags *flags,
                        struct cli_table *table) {
    pqdb_refreshed refreshed;
    pqdb_error err;
    struct cli_progress progress;
    cli_progress_begin(&progress, cli, "refreshing");
    cli_progress_watch(&progress, name, db);
    const pqdb_code code = flags->discard ? pqdb_view_discard(db, name, &refreshed, &err)
                           : flags->due   ? pqdb_view_refresh_due(db, name, &refreshed, &err)
                                          : pqdb_view_refresh(db, name, flags->full, &refreshed,
                                                              &err);
    cli_progress_end(&progress);
    if (code != PQDB_OK) return cli_fail(cli, &err);
    char rows[32], version[32], took[24];
    const char *cells[] = {name, refreshed.kind, or_missing(refreshed.reason),
                           cli_count(refreshed.rows, rows),
                           cli_version(refreshed.version, version),
                           cli_took(cli, refreshed.us, took)};
    cli_table_row(table, cells);
    return CLI_DONE;
}

static int refresh_views(struct cli *cli, pqdb_db *db, const char *only,
                         const struct flags *flags) {
    const bool people = cli_is_for_people(cli);
    const char *const names[] = {"view", people ? "refresh" : "kind", "reason",
                                 people ? "rows changed" : "rows", "version",
                                 people ? "took" : "durationMs"};
    static const bool is_number[] = {false, false, false, true, false, true};
    struct cli_table *table =
        cli_table_create(cli, (struct cli_table_shape){names, is_number, 6, NULL, false});
    int code = CLI_DONE;
    const size_t count = only == NULL ? pqdb_view_count(db) : 1;
    for (size_t i = 0; i < count; i++) {
        const char *name = only == NULL ? pqdb_view_name(db, i) : only;
        if (only == NULL && flags->due && !is_scheduled(db, name)) continue;
        if (refresh_view(cli, db, name, flags, table) != CLI_DONE) code = CLI_FAILED;
    }
    if (only == NULL || cli_table_has_rows(table)) cli_table_finish(table);
    return code;
}

static int run_on(struct cli *cli, pqdb_db *db, const struct flags *flags) {
    const char *verb = cli->args[0], *name = cli->arg_count > 1 ? cli->args[1] : NULL;
    if (name == NULL && cli_is_for_people(cli) && pqdb_view_count(db) == 0) {
        cli_note(cli, "there are no views; 'view create V DEF' makes one");
        return CLI_DONE;
    }
    if (strcmp(verb, "list") == 0) return cli_view_list(cli, db);
    if (strcmp(verb, "state") == 0) return cli_view_states(cli, db, name);
    if (strcmp(verb, "verify") == 0) return verify_views(cli, db, name);
    if (strcmp(verb, "refresh") == 0) return refresh_views(cli, db, name, flags);
    if (strcmp(verb, "show") == 0) return show_view(cli, db, name);
    return explain_view(cli, db, name);
}

/// Is it a verb, with a name where it needs one and none where it takes none?
static bool is_right(struct cli *cli, const struct flags *flags) {
    static const char *const verbs[] = {"list",    "state",  "show", "explain", "verify",
                                        "refresh", "create", "alter",  "drop", "changes", "vacuum"};
    enum { verb_count = sizeof verbs / sizeof *verbs };
    const char *verb = cli->args[0];
    bool known = false;
    for (size_t i = 0; i < verb_count; i++) known = known || strcmp(verbs[i], verb) == 0;
    const bool is_list = strcmp(verb, "list") == 0;
    const bool drops = strcmp(verb, "drop") == 0, alters = strcmp(verb, "alter") == 0;
    const bool creates = strcmp(verb, "create") == 0 || alters;
    const bool changes = strcmp(verb, "changes") == 0;
    const bool vacuums = strcmp(verb, "vacuum") == 0;
    const bool named = strcmp(verb, "show") == 0 || strcmp(verb, "explain") == 0 || drops ||
                       changes || vacuums;
    if (!known) {
        const char *nearest = pq_text_nearest(pq_text_of(verb), verbs, verb_count);
        cli_usage(cli, "has no '%s'%s%s%s", verb, nearest == NULL ? "" : "; did you mean '",
                  nearest == NULL ? "" : nearest, nearest == NULL ? "" : "'?");
    } else if (creates && cli->arg_count != 3) {
        cli_usage(cli, alters ? "alter needs a name and \"{ mode: 'manual' }\", a file, or -"
                              : "create needs a name and '{ $from: … }', a file, or -");
    } else if (!creates && cli->arg_count > 2) {
        cli_usage(cli, "%s takes no '%s'", verb, cli->args[2]);
    } else if (flags->keep != NULL && !vacuums) {
        cli_usage(cli, "%s has no option --keep", verb);
    } else if (flags->cascade && !drops) {
        cli_usage(cli, "%s has no option --cascade", verb);
    } else if (named && cli->arg_count < 2) {
        cli_usage(cli, "%s needs the name of a view", verb);
    } else if (is_list && cli->arg_count > 1) {
        cli_usage(cli, "list takes no '%s'; view state tells about one view", cli->args[1]);
    } else if ((flags->follows || flags->since != UINT64_MAX) && !changes) {
        cli_usage(cli, "%s has no option %s", verb, flags->follows ? "--follow" : "--since");
    } else if ((flags->full || flags->due) && strcmp(verb, "refresh") != 0) {
        cli_usage(cli, "%s has no option %s", verb, flags->full ? "--full" : "--due");
    } else if (flags->discard && (!flags->full || flags->due || cli->arg_count != 2)) {
        cli_usage(cli, "takes --discard with refresh V --full");
    } else if (flags->full && flags->due) {
        cli_usage(cli, "refresh takes --full or --due, not both");
    } else {
        return true;
    }
    return false;
}

static int run_view(struct cli *cli) {
    bool wrong = false;
    const struct flags flags = {.full = cli_flag(cli, "--full"),
                                .due = cli_flag(cli, "--due"),
                                .discard = cli_flag(cli, "--discard"),
                                .cascade = cli_flag(cli, "--cascade"),
                                .follows = cli_flag(cli, "--follow"),
                                .keep = cli_value(cli, "--keep", &wrong),
                                .since = cli_number(cli, "--since", UINT64_MAX, &wrong)};
    if (wrong || !cli_takes(cli, 1, 3) || !is_right(cli, &flags)) return CLI_USAGE;
    if (strcmp(cli->args[0], "create") == 0) return cli_view_create(cli);
    if (strcmp(cli->args[0], "alter") == 0) return cli_view_alter(cli);
    if (strcmp(cli->args[0], "vacuum") == 0) return cli_view_vacuum(cli, flags.keep);
    if (strcmp(cli->args[0], "drop") == 0) return cli_view_drop(cli, flags.cascade);
    if (strcmp(cli->args[0], "changes") == 0) {
        return cli_view_changes(cli, flags.since, flags.follows);
    }
    pqdb_db *db = cli_open(cli, strcmp(cli->args[0], "refresh") != 0);
    if (db == NULL) return CLI_FAILED;
    return cli_close(cli, db, run_on(cli, db, &flags));
}

const struct cli_command cmd_view = {
    .name = "view",
    .usage = "list | state [V] | show V | explain V | verify [V] |\n"
             "       refresh [V] [--full [--discard] | --due] |\n"
             "       create V DEF | alter V JSON | drop V [--cascade] |\n"
             "       changes V [--since VERSION] [--follow] | vacuum V [--keep D]",
    .summary = "look at materialized views; verify, refresh, create, alter and drop them",
    .help = "list     every view with its state, for how long it lacks something, its next run\n"
            "state    version, lag, lineage, last refresh and error, last and next run\n"
            "show     definition and columns\n"
            "explain  operators, column types, where state is kept; for people in every format\n"
            "verify   recompute and compare row by row; exit code 1 on a difference,\n"
            "         the first of which are shown on stderr\n"
            "refresh  bring scheduled and manual views up to date; --full recomputes, --due\n"
            "         takes scheduled views whose time has come, and says why it takes no other;\n"
            "         a view that appends, or keeps what came of rows that are gone, loses what\n"
            "         it has with --full, which takes --discard\n"
            "create   DEF is '{ $from: ... }', a file, or - for stdin; built while writers go on\n"
            "alter    members of JSON take the place of those of the definition, null takes one\n"
            "         away; those without a $ are of $refresh: \"{ mode: 'manual' }\". Settings\n"
            "         hold at once; for another definition it is built anew, and the old rows are\n"
            "         read meanwhile\n"
            "drop     rows and files go; --cascade: the views that read it too\n"
            "vacuum   drops the snapshots of the view's table but the current one, or those older\n"
            "         than D (7d, 12h), and files that only they need; nothing that is read here\n"
            "changes  rows that came and went with each commit behind VERSION, as far as the log\n"
            "         reaches; of streaming views that declare $history. --follow goes on\n",
    .run = run_view,
};
