/// apps/cli/output.c: answers on stdout; errors, problems and notes on stderr.
#include <stdarg.h>
#include <string.h>

#include "cli/progress.h"
#include "cli/session.h"

static const char *dim(bool colour) { return colour ? "\033[2m" : ""; }
static const char *plain(bool colour) { return colour ? "\033[0m" : ""; }

/// Does the message name its subject itself, or is there none? Not "Orders: Orders is a view".
static bool is_named(const pqdb_error *err) {
    const char *found = strstr(err->message, err->subject);
    const bool is_path = strchr(err->subject, '/') != NULL;
    return err->subject[0] == '\0' || found == err->message ||
           (found != NULL && (is_path || err->code == PQDB_NOT_FOUND));
}

int cli_fail(const struct cli *cli, const pqdb_error *err) {
    fflush(stdout);
    fprintf(stderr, "parquedb: %s", cli->err_colour ? "\033[31m" : "");
    if (!is_named(err)) {
        cli_print_text(cli, err->subject);
        fputs(": ", stderr);
    }
    cli_print_text(cli, err->message);
    fputs(plain(cli->err_colour), stderr);
    if (err->offset >= 0) fprintf(stderr, " (at byte %lld)", (long long)err->offset);
    fputc('\n', stderr);
    return CLI_FAILED;
}

void cli_note(const struct cli *cli, const char *format, ...) {
    if (cli->quiet) return;
    fflush(stdout);  // both may be one terminal
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

int cli_fail_schema(const struct cli *cli, const pqdb_error *err) {
    if (err->code != PQDB_INVALID || cli->mistakes == 0) return cli_fail(cli, err);
    const char *what = cli->file != NULL ? cli->file : "the definition";
    fprintf(stderr, "parquedb: %s has %zu mistake%s\n", what, cli->mistakes,
            cli->mistakes == 1 ? "" : "s");
    return CLI_FAILED;
}

static void print_remedy(const char *remedy) {
    const size_t length = strlen(remedy);
    const bool asks = strncmp(remedy, "did you mean", 12) == 0 && remedy[length - 1] != '?';
    const bool is_word = remedy[0] >= 'A' && remedy[0] <= 'Z' && remedy[1] >= 'a';
    fprintf(stderr, "    %c%s%s\n", is_word ? remedy[0] - 'A' + 'a' : remedy[0], remedy + 1,
            asks ? "?" : "");
}

void cli_print_problem(void *ctx, const pqdb_problem *problem) {
    struct cli *cli = ctx;
    if (problem->is_warning && cli->quiet) return;
    cli_progress_clear();
    if (!problem->is_warning) cli->mistakes++;
    const char *tint = !cli->err_colour ? "" : problem->is_warning ? "\033[33m" : "\033[31m";
    if (cli->file != NULL) fprintf(stderr, "%s:", cli->file);
    if (problem->line > 0) fprintf(stderr, "%zu:%zu:", problem->line, problem->column);
    if (cli->file != NULL || problem->line > 0) fputc(' ', stderr);
    fprintf(stderr, "%s%s%s%s%s%s: %s\n", tint, problem->is_warning ? "warning " : "",
            problem->code, cli->err_colour ? "\033[0m" : "",
            problem->path[0] == '\0' ? "" : " at ", problem->path, problem->message);
    if (problem->remedy[0] != '\0') print_remedy(problem->remedy);
}

pqdb_db *cli_open(const struct cli *cli, bool read_only) {
    if (cli->session != NULL) return cli->session->db;
    const pqdb_options options = {.read_only = read_only, .memory_bytes = cli->memory_bytes};
    pqdb_db *db;
    pqdb_error err;
    if (pqdb_open(cli->directory, &options, &db, &err) == PQDB_OK) return db;
    cli_fail(cli, &err);
    return NULL;
}

int cli_close(const struct cli *cli, pqdb_db *db, int code) {
    pqdb_error err;
    if (cli->session != NULL) return code;
    return pqdb_close(db, &err) == PQDB_OK ? code : cli_fail(cli, &err);
}

// ---- text in other forms ----------------------------------------------------------------------

void cli_json_text(FILE *out, const char *text, size_t length) {
    fputc('"', out);
    for (size_t i = 0; i < length; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            fprintf(out, "\\%c", c);
        } else if (c < 0x20) {
            fprintf(out, "\\u%04x", c);
        } else {
            fputc(c, out);
        }
    }
    fputc('"', out);
}

/// Where a line of pretty JSON begins.
static void begin_line(size_t depth) {
    fputc('\n', stdout);
    for (size_t i = 0; i < depth; i++) fputs("  ", stdout);
}

/// Containers over lines, empty ones and those of a few characters on one.
static size_t short_end(const char *json, size_t length, size_t at) {
    enum { short_max = 60 };
    bool in_text = false;
    size_t depth = 0;
    for (size_t i = at; i < length && i < at + short_max; i++) {
        const char c = json[i];
        if (in_text && c == '\\') i++;
        if (c == '"') in_text = !in_text;
        if (in_text) continue;
        if (c == '{' || c == '[') depth++;
        if ((c == '}' || c == ']') && --depth == 0) return i + 1;
    }
    return at;
}

void cli_print_json(const struct cli *cli, const char *json, size_t length) {
    size_t depth = 0, short_until = 0;
    bool in_text = false;
    for (size_t i = 0; i < length; i++) {
        const char c = json[i];
        const bool is_short = i < short_until;
        const bool opens = !in_text && (c == '{' || c == '['), closes = c == '}' || c == ']';
        if (cli_is_for_people(cli) && !in_text && closes && !is_short) begin_line(--depth);
        fputc(c, stdout);
        if (!cli_is_for_people(cli)) continue;
        if (in_text && c == '\\' && i + 1 < length) {
            fputc(json[++i], stdout);
        } else if (c == '"') {
            in_text = !in_text;
        } else if (opens && !is_short) {
            short_until = short_end(json, length, i);
            if (short_until == i) begin_line(++depth);
        } else if (!in_text && c == ',' && !is_short) {
            begin_line(depth);
        } else if (!in_text && (c == ',' || c == ':')) {
            fputc(' ', stdout);
        }
    }
    fputc('\n', stdout);
}

// ---- answers ----------------------------------------------------------------------------------

static pqdb_code print_cells(struct cli *cli, pqdb_rows *rows, uint64_t *count, pqdb_error *err) {
    const size_t columns = pqdb_rows_column_count(rows);
    const char **names = pq_arena_calloc(&cli->arena, columns + 1, sizeof *names);
    bool *is_number = pq_arena_calloc(&cli->arena, columns + 1, sizeof *is_number);
    bool *is_whole = pq_arena_calloc(&cli->arena, columns + 1, sizeof *is_whole);
    struct pq_text *cells = pq_arena_calloc(&cli->arena, columns + 1, sizeof *cells);
    if (names == NULL || is_number == NULL || is_whole == NULL || cells == NULL) {
        return PQDB_NO_MEMORY;
    }
    for (size_t k = 0; k < columns; k++) {
        names[k] = pqdb_rows_column_name(rows, k);
        const char *kind = pqdb_rows_column_kind(rows, k);
        is_number[k] = strcmp(kind, "number") == 0;
        is_whole[k] = is_number[k] || strcmp(kind, "time") == 0 || strcmp(kind, "boolean") == 0;
    }
    const struct cli_table_shape shape = {.names = names, .is_number = is_number,
                                          .column_count = columns, .is_whole = is_whole,
                                          .is_answer = true};
    struct cli_table *table = cli_table_create(cli, shape);
    if (table == NULL) return PQDB_NO_MEMORY;
    bool has_row = false;
    pqdb_code code;
    while ((code = pqdb_rows_next(rows, &has_row, err)) == PQDB_OK && has_row) {
        for (size_t k = 0; k < columns; k++) {
            bool is_null = false;
            struct pq_text cell = {0};
            cell.data = pqdb_rows_cell(rows, k, &cell.length, &is_null);
            // Each is valid until the next call only.
            cells[k] = is_null || cell.data == NULL ? (struct pq_text){0}
                                                    : pq_arena_copy(&cli->arena, cell);
        }
        cli_table_texts(table, cells);
        ++*count;
    }
    if (code == PQDB_OK) cli_table_finish(table);
    return code;
}

static pqdb_code print_objects(struct cli *cli, pqdb_rows *rows, uint64_t *count,
                               pqdb_error *err) {
    bool has_row = false;
    pqdb_code code;
    if (cli->format == CLI_JSON) fputc('[', stdout);
    while ((code = pqdb_rows_next(rows, &has_row, err)) == PQDB_OK && has_row) {
        size_t length;
        const char *json = pqdb_rows_json(rows, &length);
        if (json == NULL) return PQDB_NO_MEMORY;
        if (cli->format == CLI_JSON && *count > 0) fputs(",\n ", stdout);
        fwrite(json, 1, length, stdout);
        if (cli->format == CLI_NDJSON) fputc('\n', stdout);
        ++*count;
    }
    if (cli->format == CLI_JSON) fputs("]\n", stdout);
    return code;
}

int cli_print_rows(struct cli *cli, pqdb_rows *rows) {
    pqdb_error err = {.offset = -1, .message = "out of memory"};
    uint64_t count = 0;
    const bool cells = cli->format == CLI_TABLE || cli->format == CLI_CSV;
    const pqdb_code code =
        cells ? print_cells(cli, rows, &count, &err) : print_objects(cli, rows, &count, &err);
    if (code != PQDB_OK) return cli_fail(cli, &err);
    if (pqdb_rows_note(rows)[0] != '\0') cli_note(cli, "note: %s", pqdb_rows_note(rows));
    char number[32];
    if (cli->format == CLI_TABLE) {
        char at[40] = "";
        const unsigned long long version = pqdb_rows_version(rows);
        if (version > 0) snprintf(at, sizeof at, " at version seq-%llu", version);
        cli_note(cli, "%s%s row%s%s%s", dim(cli->err_colour), cli_count(count, number),
                 count == 1 ? "" : "s", at, plain(cli->err_colour));
    }
    return CLI_DONE;
}
