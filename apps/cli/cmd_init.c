#include <parquedb/schema.h>
#include <string.h>

#include "cli/cli.h"

static int run_init(struct cli *cli) {
    if (!cli_takes(cli, 0, 1)) return CLI_USAGE;
    const char *path = cli->arg_count == 1 ? cli->args[0] : "schema.json5";
    size_t length;
    const char *schema = cli_read_all(cli, path, &length);
    if (schema == NULL && cli->arg_count == 0) {
        cli_note(cli, "write a schema there, or name one: parquedb init SCHEMA.json5");
    }
    if (schema == NULL) return CLI_FAILED;
    cli->file = strcmp(path, "-") == 0 ? "stdin" : path;
    pqdb_error err;
    const pqdb_code code =
        pqdb_init(cli->directory, schema, length, cli_print_problem, cli, &err);
    if (code != PQDB_OK) return cli_fail_schema(cli, &err);
    cli_note(cli, "made %s", cli->directory);
    return CLI_DONE;
}

const struct cli_command cmd_init = {
    .name = "init",
    .usage = "[SCHEMA.json5]",
    .summary = "create a database from a schema",
    .help = "SCHEMA.json5 is ./schema.json5 unless named; - is stdin. Every mistake in it is\n"
            "shown at once, with line, column and what to do.\n",
    .run = run_init,
    .alone = true,
};

// ---- schema -----------------------------------------------------------------------------------

static int check_schema(struct cli *cli) {
    size_t length;
    const char *schema = cli_read_all(cli, cli->args[1], &length);
    if (schema == NULL) return CLI_FAILED;
    cli->file = strcmp(cli->args[1], "-") == 0 ? "stdin" : cli->args[1];
    pqdb_error err;
    const pqdb_code code = pqdb_schema_check(schema, length, cli_print_problem, cli, &err);
    if (code != PQDB_OK) return cli_fail_schema(cli, &err);
    cli_note(cli, "%s is right", cli->file);
    return CLI_DONE;
}

static int show_schema(struct cli *cli) {
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    size_t length;
    const char *text = pqdb_schema_text(db, &length);
    fwrite(text, 1, length, stdout);
    if (length > 0 && text[length - 1] != '\n') fputc('\n', stdout);
    return cli_close(cli, db, CLI_DONE);
}

enum { plan_columns = 6, plan_columns_allowed = 4 };

/// The steps, kept until it is known whether any is refused.
struct plan {
    struct cli *cli;
    const char *(*steps)[plan_columns];  // in the arena
    size_t count, room;
    bool refuses;
};

static void keep_step(void *ctx, const pqdb_schema_step *step) {
    struct plan *plan = ctx;
    if (plan->count == plan->room) {
        const size_t room = plan->room == 0 ? 32 : plan->room * 2;
        const char *(*grown)[plan_columns] = pq_arena_alloc(&plan->cli->arena,
                                                            room * sizeof *grown);
        if (grown == NULL) return;
        if (plan->count > 0) memcpy(grown, plan->steps, plan->count * sizeof *grown);
        plan->steps = grown;
        plan->room = room;
    }
    const char *const given[plan_columns] = {step->action, step->kind, step->name,
                                             step->detail, step->reason, step->remedy};
    for (size_t i = 0; i < plan_columns; i++) {
        const struct pq_text kept = pq_arena_copy(&plan->cli->arena, pq_text_of(given[i]));
        plan->steps[plan->count][i] = given[i][0] == '\0' ? NULL : kept.data;
    }
    plan->count++;
    plan->refuses = plan->refuses || step->is_refused;
}

/// Below the table, where there is room for it.
static void show_refusal(const struct plan *plan, const char *const *step) {
    const char *tint = plan->cli->colour ? "\033[31m" : "", *change = step[3], *why = step[4];
    if (why == NULL) return;
    printf("%srefused%s: %s %s%s%s: %s\n", tint, tint[0] == '\0' ? "" : "\033[0m", step[0], step[2],
           change == NULL ? "" : ", ", change == NULL ? "" : change, why);
    if (step[5] != NULL) printf("    %s\n", step[5]);
}

static void show_plan(const struct plan *plan) {
    static const char *const names[] = {"step", "kind", "name", "change", "refused", "remedy"};
    static const bool is_number[plan_columns] = {false};
    const bool is_for_people = cli_is_for_people(plan->cli);
    if (plan->count == 0 && is_for_people) return;
    struct cli_table *table = cli_table_create(
        plan->cli, (struct cli_table_shape){
                       .names = names, .is_number = is_number,
                       .column_count = is_for_people ? plan_columns_allowed : plan_columns});
    cli_table_wrap(table);
    for (size_t i = 0; i < plan->count; i++) cli_table_row(table, plan->steps[i]);
    cli_table_finish(table);
    for (size_t i = 0; is_for_people && i < plan->count; i++) show_refusal(plan, plan->steps[i]);
}

static int apply_schema(struct cli *cli, const pqdb_schema_options *given) {
    size_t length;
    const char *schema = cli_read_all(cli, cli->args[1], &length);
    if (schema == NULL) return CLI_FAILED;
    cli->file = strcmp(cli->args[1], "-") == 0 ? "stdin" : cli->args[1];
    pqdb_db *db = cli_open(cli, given->dry_run);
    if (db == NULL) return CLI_FAILED;
    struct plan plan = {.cli = cli};
    pqdb_schema_options options = *given;
    options.on_step = keep_step;
    options.ctx = &plan;
    pqdb_error err;
    // What is wrong with the text is told before: with its lines, as `check` does.
    pqdb_code code = pqdb_schema_check(schema, length, cli_print_problem, cli, &err);
    if (code != PQDB_OK) {
        cli_fail_schema(cli, &err);
        return cli_close(cli, db, CLI_FAILED);
    }
    pqdb_schema_applied applied;
    code = pqdb_schema_apply(db, schema, length, &options, &applied, &err);
    show_plan(&plan);
    char version[32];
    if (code != PQDB_OK) {
        cli_fail(cli, &err);
    } else if (plan.count == 0) {
        cli_note(cli, "the schema is as it was");
    } else if (options.dry_run) {
        cli_note(cli, "nothing was changed: %zu step%s would be taken", applied.steps,
                 applied.steps == 1 ? "" : "s");
    } else {
        cli_note(cli, "applied as %s", cli_version(applied.version, version));
    }
    return cli_close(cli, db, code == PQDB_OK ? CLI_DONE : CLI_FAILED);
}

static int run_schema(struct cli *cli) {
    struct cli_values drops = {.count = 0};
    bool wrong = false;
    const pqdb_schema_options options = {
        .dry_run = cli_flag(cli, "--dry-run"),
        .allow_drop_count = cli_values(cli, "--allow-drop", &drops, &wrong),
        .allow_drop = drops.at};
    if (wrong || !cli_takes(cli, 1, 2)) return CLI_USAGE;
    const bool is_apply = strcmp(cli->args[0], "apply") == 0;
    if ((options.dry_run || options.allow_drop_count > 0) && !is_apply) {
        return cli_usage(cli, "takes --dry-run and --allow-drop with 'apply FILE'");
    }
    if (is_apply && cli->arg_count == 2) return apply_schema(cli, &options);
    if (strcmp(cli->args[0], "check") == 0 && cli->arg_count == 2) return check_schema(cli);
    if (strcmp(cli->args[0], "show") == 0 && cli->arg_count == 1) return show_schema(cli);
    return cli_usage(cli, "is 'check FILE', 'show' or 'apply FILE'");
}

const struct cli_command cmd_schema = {
    .name = "schema",
    .usage = "check FILE | show | apply FILE [--dry-run] [--allow-drop NAME]",
    .summary = "check a schema file, show the one that was applied, or apply another",
    .help = "apply shows every step from the schema there is to the one in FILE, then takes them\n"
            "in one commit while readers and writers go on. Rows that exist are read as they are:\n"
            "a new field is missing in them, a wider type holds the same values, $was renames.\n"
            "Views that changed are built anew.\n"
            "  --dry-run          only show the steps\n"
            "  --allow-drop NAME  this collection, or field as in Order.note, may lose its data;\n"
            "                     without it such a step is refused, and with it everything else\n",
    .run = run_schema,
};
