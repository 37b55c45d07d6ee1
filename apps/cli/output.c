/// apps/cli/output.c: tables, JSON, NDJSON and CSV on stdout; errors and notes on stderr.
#include <stdarg.h>
#include <string.h>

#include "cli/cli.h"

enum { cell_width_max = 48 };

static const char *bold(bool colour) { return colour ? "\033[1m" : ""; }
static const char *dim(bool colour) { return colour ? "\033[2m" : ""; }
static const char *plain(bool colour) { return colour ? "\033[0m" : ""; }

int cli_fail(const struct cli *cli, const pqdb_error *err) {
    fprintf(stderr, "parquedb: %s", cli->err_colour ? "\033[31m" : "");
    if (err->subject[0] != '\0') fprintf(stderr, "%s: ", err->subject);
    fprintf(stderr, "%s%s", err->message, plain(cli->err_colour));
    if (err->offset >= 0) fprintf(stderr, " (at byte %lld)", (long long)err->offset);
    fputc('\n', stderr);
    return CLI_FAILED;
}

void cli_note(const struct cli *cli, const char *format, ...) {
    if (cli->quiet) return;
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void cli_print_problem(void *ctx, const pqdb_problem *problem) {
    const struct cli *cli = ctx;
    const char *tint = !cli->err_colour ? "" : problem->is_warning ? "\033[33m" : "\033[31m";
    if (problem->line > 0) fprintf(stderr, "%zu:%zu: ", problem->line, problem->column);
    fprintf(stderr, "%s%s%s %s%s%s: %s\n", tint, problem->is_warning ? "warning " : "",
            problem->code, plain(cli->err_colour), problem->path[0] == '\0' ? "" : "at ",
            problem->path, problem->message);
    if (problem->remedy[0] != '\0') fprintf(stderr, "    %s\n", problem->remedy);
}

pqdb_db *cli_open(const struct cli *cli, bool read_only) {
    const pqdb_options options = {.read_only = read_only};
    pqdb_db *db;
    pqdb_error err;
    if (pqdb_open(cli->directory, &options, &db, &err) == PQDB_OK) return db;
    cli_fail(cli, &err);
    return NULL;
}

int cli_close(const struct cli *cli, pqdb_db *db, int code) {
    pqdb_error err;
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

static void print_csv_cell(const char *text, size_t length) {
    if (memchr(text, '"', length) == NULL && memchr(text, ',', length) == NULL &&
        memchr(text, '\n', length) == NULL && memchr(text, '\r', length) == NULL) {
        fwrite(text, 1, length, stdout);
        return;
    }
    fputc('"', stdout);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"') fputc('"', stdout);
        fputc(text[i], stdout);
    }
    fputc('"', stdout);
}

// ---- tables -----------------------------------------------------------------------------------

struct cli_table {
    struct cli *cli;
    const char *const *names;
    const bool *is_number;
    size_t column_count;
    const char **cells;  // row after row; NULL is a missing value
    size_t row_count, row_capacity;
};

struct cli_table *cli_table_create(struct cli *cli, const char *const *names,
                                   const bool *is_number, size_t column_count) {
    struct cli_table *table = pq_arena_alloc(&cli->arena, sizeof *table);
    if (table == NULL) return NULL;
    *table = (struct cli_table){.cli = cli, .names = names, .is_number = is_number,
                                .column_count = column_count};
    return table;
}

void cli_table_row(struct cli_table *table, const char *const *cells) {
    if (table == NULL) return;
    if (table->row_count == table->row_capacity) {
        const size_t capacity = table->row_capacity == 0 ? 64 : table->row_capacity * 2;
        const char **grown = pq_resize(&table->cli->arena.alloc, table->cells,
                                       table->row_capacity * table->column_count,
                                       capacity * table->column_count, sizeof *grown);
        if (grown == NULL) return;
        table->cells = grown;
        table->row_capacity = capacity;
    }
    const char **row = table->cells + table->row_count++ * table->column_count;
    for (size_t k = 0; k < table->column_count; k++) {
        row[k] = cells[k] == NULL
                     ? NULL
                     : pq_arena_copy(&table->cli->arena, pq_text_of(cells[k])).data;
    }
}

/// Code points, which is close enough to columns on a terminal.
static size_t width_of(const char *text) {
    size_t width = 0;
    for (; *text != '\0'; text++) width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

/// The text on one line, cut to `width` code points.
static void print_cut(const char *text, size_t width) {
    const bool cut = width_of(text) > width;
    size_t left = cut ? width - 1 : width;
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text & 0xC0) != 0x80 && left-- == 0) break;
        fputc((unsigned char)*text < 0x20 ? ' ' : *text, stdout);
    }
    if (cut) fputs("…", stdout);
}

static void print_cell(const struct cli_table *table, const char *text, size_t column,
                       size_t width) {
    const bool missing = text == NULL;
    if (missing) text = "null";
    const size_t own = width_of(text) < width ? width_of(text) : width;
    const bool right = table->is_number[column];
    const bool last = column + 1 == table->column_count;
    if (right) printf("%*s", (int)(width - own), "");
    if (missing) fputs(dim(table->cli->colour), stdout);
    print_cut(text, width);
    if (missing) fputs(plain(table->cli->colour), stdout);
    if (!right && !last) printf("%*s", (int)(width - own), "");
    if (!last) fputs("  ", stdout);
}

static void print_table(const struct cli_table *table) {
    size_t *widths =
        pq_arena_calloc(&table->cli->arena, table->column_count + 1, sizeof *widths);
    if (widths == NULL) return;
    for (size_t k = 0; k < table->column_count; k++) {
        widths[k] = width_of(table->names[k]);
        for (size_t row = 0; row < table->row_count; row++) {
            const char *cell = table->cells[row * table->column_count + k];
            const size_t width = cell == NULL ? 4 : width_of(cell);
            if (width > widths[k]) widths[k] = width;
        }
        if (widths[k] > cell_width_max && table->cli->colour) widths[k] = cell_width_max;
    }
    fputs(bold(table->cli->colour), stdout);
    for (size_t k = 0; k < table->column_count; k++) {
        print_cell(table, table->names[k], k, widths[k]);
    }
    printf("%s\n", plain(table->cli->colour));
    for (size_t row = 0; row < table->row_count; row++) {
        for (size_t k = 0; k < table->column_count; k++) {
            print_cell(table, table->cells[row * table->column_count + k], k, widths[k]);
        }
        fputc('\n', stdout);
    }
}

static void print_json_row(const struct cli_table *table, size_t row) {
    fputc('{', stdout);
    for (size_t k = 0; k < table->column_count; k++) {
        const char *cell = table->cells[row * table->column_count + k];
        if (k > 0) fputc(',', stdout);
        cli_json_text(stdout, table->names[k], strlen(table->names[k]));
        fputc(':', stdout);
        if (cell == NULL || (table->is_number[k] && cell[0] == '\0')) {
            fputs("null", stdout);
        } else if (table->is_number[k]) {
            for (; *cell != '\0'; cell++) {
                if (*cell != ',') fputc(*cell, stdout);
            }
        } else {
            cli_json_text(stdout, cell, strlen(cell));
        }
    }
    fputc('}', stdout);
}

static void print_csv(const struct cli_table *table) {
    for (size_t k = 0; k < table->column_count; k++) {
        printf("%s%s", k > 0 ? "," : "", table->names[k]);
    }
    fputc('\n', stdout);
    for (size_t row = 0; row < table->row_count; row++) {
        for (size_t k = 0; k < table->column_count; k++) {
            const char *cell = table->cells[row * table->column_count + k];
            if (k > 0) fputc(',', stdout);
            if (cell != NULL) print_csv_cell(cell, strlen(cell));
        }
        fputc('\n', stdout);
    }
}

void cli_table_finish(struct cli_table *table) {
    if (table == NULL) return;
    const enum cli_format format = table->cli->format;
    if (format == CLI_TABLE) print_table(table);
    if (format == CLI_CSV) print_csv(table);
    if (format == CLI_JSON) fputc('[', stdout);
    for (size_t row = 0; (format == CLI_JSON || format == CLI_NDJSON) && row < table->row_count;
         row++) {
        if (row > 0) fputs(format == CLI_JSON ? ",\n " : "", stdout);
        print_json_row(table, row);
        if (format == CLI_NDJSON) fputc('\n', stdout);
    }
    if (format == CLI_JSON) fputs("]\n", stdout);
}

// ---- answers ----------------------------------------------------------------------------------

static pqdb_code print_cells(struct cli *cli, pqdb_rows *rows, uint64_t *count, pqdb_error *err) {
    const size_t columns = pqdb_rows_column_count(rows);
    const char **names = pq_arena_calloc(&cli->arena, columns + 1, sizeof *names);
    bool *is_number = pq_arena_calloc(&cli->arena, columns + 1, sizeof *is_number);
    const char **cells = pq_arena_calloc(&cli->arena, columns + 1, sizeof *cells);
    if (names == NULL || is_number == NULL || cells == NULL) return PQDB_NO_MEMORY;
    for (size_t k = 0; k < columns; k++) {
        names[k] = pqdb_rows_column_name(rows, k);
        is_number[k] = strcmp(pqdb_rows_column_kind(rows, k), "number") == 0;
    }
    struct cli_table *table = cli_table_create(cli, names, is_number, columns);
    if (table == NULL) return PQDB_NO_MEMORY;
    bool has_row = false;
    pqdb_code code;
    while ((code = pqdb_rows_next(rows, &has_row, err)) == PQDB_OK && has_row) {
        for (size_t k = 0; k < columns; k++) {
            struct pq_text cell = {0};
            bool is_null = false;
            cell.data = pqdb_rows_cell(rows, k, &cell.length, &is_null);
            cells[k] = is_null || cell.data == NULL ? NULL
                                                    : pq_arena_copy(&cli->arena, cell).data;
        }
        cli_table_row(table, cells);
        ++*count;
    }
    cli_table_finish(table);
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
        cli_note(cli, "%s%s row%s at version seq-%llu%s", dim(cli->err_colour),
                 cli_count(count, number), count == 1 ? "" : "s",
                 (unsigned long long)pqdb_rows_version(rows), plain(cli->err_colour));
    }
    return fflush(stdout) == 0 ? CLI_DONE : CLI_FAILED;
}
