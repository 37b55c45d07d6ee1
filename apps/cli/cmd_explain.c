/// apps/cli/cmd_explain.c: `explain find …`: what an answer read and what it left unread.
#include <string.h>

#include "base/json.h"
#include "cli/cli.h"

enum { label_width = 10 };

static void label(const struct cli *cli, const char *name) {
    printf("%s%-*s%s", cli->colour ? "\033[2m" : "", label_width, name,
           cli->colour ? "\033[0m" : "");
}

static uint64_t number_in(const struct pq_json *object, const char *name) {
    const struct pq_json *value = pq_json_find(object, name);
    return value == NULL ? 0 : (uint64_t)pq_json_int(value);
}

static void print_list(const struct pq_json *list, const char *nothing) {
    const size_t count = list == NULL ? 0 : pq_json_count(list);
    const struct pq_json *item = count == 0 ? NULL : pq_json_first(list);
    for (size_t i = 0; i < count; i++, item = pq_json_next(item)) {
        printf("%s%.*s", i == 0 ? "" : ", ", PQ_TEXT_ARG(pq_json_text(item)));
    }
    printf("%s\n", count == 0 ? nothing : "");
}

/// "files     3 of 12 read"
static void print_share(const struct cli *cli, const struct pq_json *root, const char *name) {
    const struct pq_json *share = pq_json_find(root, name);
    char all[32], read[32];
    if (share == NULL) return;
    label(cli, name);
    if (strcmp(name, "bytes") == 0) {
        printf("%s of %s read\n", cli_bytes(number_in(share, "read"), read),
               cli_bytes(number_in(share, "all"), all));
    } else {
        printf("%s of %s read\n", cli_count(number_in(share, "read"), read),
               cli_count(number_in(share, "all"), all));
    }
}

static void print_columns(const struct cli *cli, const struct pq_json *columns) {
    static const struct {
        const char *name, *label;
    } parts[] = {{"first", "first"}, {"late", "then"}, {"fetched", "at last"}};
    for (size_t i = 0; columns != NULL && i < sizeof parts / sizeof *parts; i++) {
        const struct pq_json *list = pq_json_find(columns, parts[i].name);
        if (list == NULL || pq_json_count(list) == 0) continue;
        label(cli, parts[i].label);
        print_list(list, "");
    }
}

static void print_rows(const struct cli *cli, const struct pq_json *rows) {
    static const struct {
        const char *name, *words;
    } parts[] = {
        {"inFiles", "in files"}, {"inMemory", "in memory"}, {"skipped", "skipped"},
        {"beyondLimit", "beyond the limit"}, {"tested", "tested"},
        {"certain", "match for certain"}, {"matched", "matched"},
        {"fetched", "fetched at last"}, {"given", "given"},
    };
    bool any = false;
    char number[32];
    label(cli, "rows");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const uint64_t count = number_in(rows, parts[i].name);
        if (count == 0 && strcmp(parts[i].name, "given") != 0) continue;
        printf("%s%s %s", any ? ", " : "", cli_count(count, number), parts[i].words);
        any = true;
    }
    printf("\n");
}

static void print_skipped(const struct cli *cli, const struct pq_json *list) {
    const size_t count = list == NULL ? 0 : pq_json_count(list);
    const struct pq_json *item = count == 0 ? NULL : pq_json_first(list);
    char number[32];
    for (size_t i = 0; i < count; i++, item = pq_json_next(item)) {
        label(cli, i == 0 ? "skipped" : "");
        printf("%s rows by %.*s\n", cli_count(number_in(item, "rows"), number),
               PQ_TEXT_ARG(pq_json_text(pq_json_find(item, "by"))));
    }
}

/// "seq-8, brought up to it for this answer" or "seq-3, stale for 5.0 s"
static void print_shown(const struct cli *cli, const struct pq_json *root) {
    const struct pq_json *stale = pq_json_find(root, "staleMs");
    const bool caught_up = pq_json_bool(pq_json_find(root, "caughtUp"));
    const bool is_known = pq_json_kind(stale) != PQ_JSON_NULL;
    const int64_t stale_us = is_known ? (int64_t)(pq_json_real(stale) * 1000) : 0;
    char age[24];
    label(cli, "version");
    printf("%.*s%s%s%s\n", PQ_TEXT_ARG(pq_json_text(pq_json_find(root, "version"))),
           caught_up ? ", brought up to it for this answer" : "",
           !is_known ? ", stale" : stale_us > 0 ? ", stale for " : "",
           stale_us > 0 ? cli_duration(stale_us, age) : "");
}

static void print_for_people(const struct cli *cli, const struct pq_json *root) {
    const struct pq_json *sort = pq_json_find(root, "sort");
    print_shown(cli, root);
    label(cli, "way");
    printf("%.*s", PQ_TEXT_ARG(pq_json_text(pq_json_find(root, "way"))));
    const struct pq_json *index = pq_json_find(root, "index");
    if (index != NULL) printf(": %.*s", PQ_TEXT_ARG(pq_json_text(index)));
    printf("\n");
    label(cli, "filter");
    print_list(pq_json_find(root, "filter"), "none");
    label(cli, "order");
    printf("%.*s: %.*s\n", PQ_TEXT_ARG(pq_json_text(pq_json_find(sort, "by"))),
           PQ_TEXT_ARG(pq_json_text(pq_json_find(sort, "how"))));
    print_columns(cli, pq_json_find(root, "columns"));
    print_share(cli, root, "files");
    print_share(cli, root, "groups");
    print_share(cli, root, "pages");
    print_share(cli, root, "bytes");
    print_rows(cli, pq_json_find(root, "rows"));
    print_skipped(cli, pq_json_find(root, "skipped"));
    char took[24];
    label(cli, "took");
    printf("%s\n", cli_duration((int64_t)(pq_json_real(pq_json_find(root, "ms")) * 1000), took));
}

static int show(const struct cli *cli, const char *json, size_t length) {
    struct pq_json_document *document;
    pqdb_error err;
    if (!cli_is_for_people(cli)) {
        cli_print_json(cli, json, length);
        return CLI_DONE;
    }
    const struct pq_text text = {json, length};
    if (pq_json_parse(text, 0, &pq_alloc_libc, &document, &err) != PQDB_OK) {
        return cli_fail(cli, &err);
    }
    print_for_people(cli, pq_json_root(document));
    pq_json_destroy(document);
    return CLI_DONE;
}

static int run_explain(struct cli *cli) {
    struct cli_find find;
    if (cli->arg_count < 1 || strcmp(cli->args[0], "find") != 0) {
        return cli_usage(cli, "explains a find: parquedb explain find NAME …");
    }
    const int code = cli_take_find(cli, &find, 1);
    if (code != CLI_DONE) return code;
    pqdb_db *db = cli_open(cli, true);
    if (db == NULL) return CLI_FAILED;
    pqdb_error err;
    char *json;
    size_t length;
    int result;
    if (pqdb_explain(db, find.name, &find.options, &json, &length, &err) != PQDB_OK) {
        result = cli_fail(cli, &err);
    } else {
        result = show(cli, json, length);
        pqdb_free(json);
    }
    return cli_close(cli, db, result);
}

const struct cli_command cmd_explain = {
    .name = "explain",
    .usage = "find NAME [FILTER] [the options of find]",
    .summary = "find, and tell what was read and what was left unread, and why",
    .help = "The rows are found as `find` finds them, but not shown. pages and bytes are those of\n"
            "the columns that are read; 'first' are the columns of the filter, 'then' those read\n"
            "where rows matched, 'at last' those fetched for the rows that are given.\n",
    .run = run_explain,
};
