/// apps/cli/table.c: rows of cells as an aligned table, CSV (RFC 4180), JSON or NDJSON.
///
/// On a terminal a table fits: its widest columns are cut, or wrapped where the table says so, and
/// where even that does not do, the last columns are left out and told. Elsewhere cells are whole.
#include <string.h>
#include <wchar.h>

#include "cli/cli.h"

enum { gap = 2, floor_max = 10, id_floor_max = 26 };

struct cli_table {
    struct cli *cli;
    struct cli_table_shape shape;
    struct pq_text *cells;  // row after row; NULL data is a missing value
    size_t row_count, row_capacity;
    bool wraps;
};

/// "changed at" as "changedAt".
static const char *program_name(struct cli *cli, const char *name) {
    const size_t length = strlen(name);
    char *out = pq_arena_calloc(&cli->arena, length + 1, 1);
    if (out == NULL) return name;
    size_t at = 0;
    for (size_t i = 0; i < length; i++) {
        const bool upper = i > 0 && name[i - 1] == ' ' && name[i] >= 'a' && name[i] <= 'z';
        if (name[i] != ' ') out[at++] = upper ? (char)(name[i] - 'a' + 'A') : name[i];
    }
    return out;
}

struct cli_table *cli_table_create(struct cli *cli, struct cli_table_shape shape) {
    struct cli_table *table = pq_arena_calloc(&cli->arena, 1, sizeof *table);
    if (table == NULL) return NULL;
    *table = (struct cli_table){.cli = cli, .shape = shape};
    if (shape.is_answer || cli_is_for_people(cli)) return table;
    const char **names = pq_arena_calloc(&cli->arena, shape.column_count + 1, sizeof *names);
    if (names == NULL) return NULL;
    for (size_t k = 0; k < shape.column_count; k++) names[k] = program_name(cli, shape.names[k]);
    table->shape.names = names;
    return table;
}

void cli_table_wrap(struct cli_table *table) {
    if (table != NULL) table->wraps = true;
}

/// Room for one more row, or NULL.
static struct pq_text *new_row(struct cli_table *table) {
    const size_t columns = table->shape.column_count;
    if (table->row_count == table->row_capacity) {
        const size_t capacity = table->row_capacity == 0 ? 64 : table->row_capacity * 2;
        struct pq_text *grown =
            pq_resize(&table->cli->arena.alloc, table->cells, table->row_capacity * columns,
                      capacity * columns, sizeof *grown);
        if (grown == NULL) return NULL;
        table->cells = grown;
        table->row_capacity = capacity;
    }
    return table->cells + table->row_count++ * columns;
}

void cli_table_row(struct cli_table *table, const char *const *cells) {
    struct pq_text *row = table == NULL ? NULL : new_row(table);
    for (size_t k = 0; row != NULL && k < table->shape.column_count; k++) {
        row[k] = cells[k] == NULL ? (struct pq_text){0}
                                  : pq_arena_copy(&table->cli->arena, pq_text_of(cells[k]));
    }
}

void cli_table_texts(struct cli_table *table, const struct pq_text *cells) {
    struct pq_text *row = table == NULL ? NULL : new_row(table);
    if (row != NULL) memcpy(row, cells, table->shape.column_count * sizeof *row);
}

bool cli_table_has_rows(const struct cli_table *table) {
    return table != NULL && table->row_count > 0;
}

// ---- for people -------------------------------------------------------------------------------

/// What one character of a text is on a terminal.
struct glyph {
    char bytes[8];
    size_t length;  // of bytes
    size_t width;   // in columns
};

/// Take one character off. Control characters are shown as escapes: none reaches the terminal.
static struct glyph next_glyph(struct pq_text *text) {
    struct glyph glyph = {0};
    wchar_t wide = 0;
    mbstate_t state = {0};
    size_t taken = mbrtowc(&wide, text->data, text->length, &state);
    const bool broken = taken == (size_t)-1 || taken == (size_t)-2;
    if (broken || taken == 0) taken = 1;
    const int width = broken ? -1 : wcwidth(wide);
    const unsigned char first = (unsigned char)text->data[0];
    if (width >= 0 && first >= 0x20 && taken < sizeof glyph.bytes) {
        memcpy(glyph.bytes, text->data, taken);
        glyph.length = taken;
        glyph.width = (size_t)width;
    } else {
        snprintf(glyph.bytes, sizeof glyph.bytes,
                 first == '\n'   ? "\\n"
                 : first == '\r' ? "\\r"
                 : first == '\t' ? "\\t"
                 : taken > 1     ? "\xEF\xBF\xBD"
                                 : "\\x%02x",
                 first);
        glyph.length = strlen(glyph.bytes);
        glyph.width = taken > 1 ? 1 : glyph.length;
    }
    text->data += taken;
    text->length -= taken;
    return glyph;
}

static size_t width_of(struct pq_text text) {
    size_t width = 0;
    while (text.length > 0) width += next_glyph(&text).width;
    return width;
}

/// Puts at most `width` columns; gives how many it were.
static size_t print_cut(struct pq_text text, size_t width) {
    const bool cut = width_of(text) > width;
    const size_t room = cut ? width - 1 : width;
    size_t used = 0;
    while (text.length > 0) {
        const struct glyph glyph = next_glyph(&text);
        if (used + glyph.width > room) break;
        fwrite(glyph.bytes, 1, glyph.length, stdout);
        used += glyph.width;
    }
    if (cut) fputs("…", stdout);
    return used + (cut ? 1 : 0);
}

/// What of it fits, at least one character: up to a space, if there is one.
static struct pq_text line_of(struct pq_text text, size_t width) {
    struct pq_text rest = text;
    size_t used = 0, fits = 0, words = 0;
    while (rest.length > 0) {
        const bool is_space = rest.data[0] == ' ';
        used += next_glyph(&rest).width;
        if (is_space) words = fits;
        if (used > width && fits > 0) return (struct pq_text){text.data, words > 0 ? words : fits};
        fits = text.length - rest.length;
    }
    return text;
}

static struct pq_text missing(const struct cli_table *table) {
    return table->shape.is_answer ? PQ_TEXT("null") : PQ_TEXT("-");
}

static void print_padding(size_t columns) { printf("%*s", (int)columns, ""); }

/// How good a state is that a table of ours tells.
static const char *tint_of(const struct cli_table *table, size_t column, struct pq_text text) {
    const char *name = table->shape.names[column];
    if (table->shape.is_answer || (strcmp(name, "state") != 0 && strcmp(name, "result") != 0)) {
        return "";
    }
    if (pq_text_is(text, name)) return "";  // the heading
    const bool good = pq_text_is(text, "fresh") || pq_text_is(text, "exact");
    return good ? "\033[32m" : "\033[33m";
}

static void print_cell(const struct cli_table *table, struct pq_text text, size_t column,
                       const size_t *widths) {
    const bool is_missing = text.data == NULL, colour = table->cli->colour;
    if (is_missing) text = missing(table);
    const size_t width = widths[column], own = width_of(text);
    if (column > 0) print_padding(gap);
    if (table->shape.is_number[column] && own < width) print_padding(width - own);
    const char *tint = !colour ? "" : is_missing ? "\033[2m" : tint_of(table, column, text);
    fputs(tint, stdout);
    const size_t used = print_cut(text, width);
    if (tint[0] != '\0') fputs("\033[0m", stdout);
    const bool is_last = column + 1 == table->shape.column_count || widths[column + 1] == 0;
    if (!table->shape.is_number[column] && !is_last) print_padding(width - used);
}

/// How far a column may be cut; numbers and times not at all.
static size_t floor_of(const struct cli_table *table, size_t natural, size_t column) {
    const bool *whole = table->shape.is_whole;
    if (whole == NULL ? table->shape.is_number[column] : whole[column]) return natural;
    const size_t most = column == 0 ? id_floor_max : floor_max;
    return natural < most ? natural : most;
}

/// Narrow the widest until all fit into `room`; columns that do not fit even so get width 0.
static size_t fit(const struct cli_table *table, size_t *widths) {
    const size_t count = table->shape.column_count, room = table->cli->width;
    size_t shown = 0, least = 0;
    for (; shown < count; shown++) {
        const size_t more = floor_of(table, widths[shown], shown) + (shown > 0 ? gap : 0);
        if (shown > 0 && least + more > room) break;
        least += more;
    }
    for (size_t k = shown; k < count; k++) widths[k] = 0;
    size_t cap = room, total = room + 1;
    for (; total > room && cap > 0; cap--) {
        total = (shown - 1) * gap;
        for (size_t k = 0; k < shown; k++) {
            const size_t least_of = floor_of(table, widths[k], k);
            const size_t cut = widths[k] < cap ? widths[k] : cap;
            total += cut > least_of ? cut : least_of;
        }
    }
    cap++;
    for (size_t k = 0; k < shown; k++) {
        const size_t least_of = floor_of(table, widths[k], k);
        if (widths[k] > cap) widths[k] = cap > least_of ? cap : least_of;
    }
    return shown;
}

static void print_line(const struct cli_table *table, const struct pq_text *row, size_t shown,
                       const size_t *widths) {
    for (size_t k = 0; k < shown; k++) print_cell(table, row[k], k, widths);
    fputc('\n', stdout);
}

/// The row, which is used up, in as many lines as it takes.
static void print_wrapped(const struct cli_table *table, struct pq_text *row, size_t shown,
                          const size_t *widths) {
    for (bool is_left = true; is_left;) {
        is_left = false;
        for (size_t k = 0; k < shown; k++) {
            const struct pq_text line = line_of(row[k], widths[k]);
            print_cell(table, line, k, widths);
            size_t used = line.length;
            while (used < row[k].length && row[k].data[used] == ' ') used++;
            row[k] = row[k].data == NULL ? PQ_TEXT("")
                                         : (struct pq_text){row[k].data + used,
                                                            row[k].length - used};
            is_left = is_left || row[k].length > 0;
        }
        fputc('\n', stdout);
    }
}

static void print_table(const struct cli_table *table) {
    struct cli *cli = table->cli;
    const size_t columns = table->shape.column_count;
    size_t *widths = pq_arena_calloc(&cli->arena, columns + 1, sizeof *widths);
    struct pq_text *names = pq_arena_calloc(&cli->arena, columns + 1, sizeof *names);
    if (widths == NULL || names == NULL || columns == 0) return;
    for (size_t k = 0; k < columns; k++) {
        names[k] = pq_text_of(table->shape.names[k]);
        widths[k] = width_of(names[k]);
        for (size_t row = 0; row < table->row_count; row++) {
            const struct pq_text cell = table->cells[row * columns + k];
            const size_t width = width_of(cell.data == NULL ? missing(table) : cell);
            if (width > widths[k]) widths[k] = width;
        }
    }
    const size_t shown = cli->width == 0 ? columns : fit(table, widths);
    if (cli->colour) fputs("\033[1m", stdout);
    print_line(table, names, shown, widths);
    if (cli->colour) fputs("\033[0m", stdout);
    for (size_t row = 0; row < table->row_count; row++) {
        struct pq_text *cells = table->cells + row * columns;
        if (table->wraps) print_wrapped(table, cells, shown, widths);
        else print_line(table, cells, shown, widths);
    }
    if (shown < columns) {
        cli_note(cli, "%zu more column%s (%s …): %s--format json shows all", columns - shown,
                 columns - shown == 1 ? "" : "s", table->shape.names[shown],
                 table->shape.is_answer ? "choose with --select, or " : "");
    }
}

// ---- for programs -----------------------------------------------------------------------------

static void print_json_row(const struct cli_table *table, size_t row) {
    const size_t columns = table->shape.column_count;
    fputc('{', stdout);
    for (size_t k = 0; k < columns; k++) {
        const struct pq_text cell = table->cells[row * columns + k];
        const char *name = table->shape.names[k];
        if (k > 0) fputc(',', stdout);
        cli_json_text(stdout, name, strlen(name));
        fputc(':', stdout);
        if (cell.data == NULL || (table->shape.is_number[k] && cell.length == 0)) {
            fputs("null", stdout);
        } else if (table->shape.is_number[k]) {
            for (size_t i = 0; i < cell.length; i++) {
                if (cell.data[i] != ',') fputc(cell.data[i], stdout);
            }
        } else {
            cli_json_text(stdout, cell.data, cell.length);
        }
    }
    fputc('}', stdout);
}

/// An empty text is quoted: unquoted it is a missing value.
static void print_csv_cell(struct pq_text text, bool is_number, bool is_answer) {
    bool quoted = text.data != NULL && text.length == 0;
    for (size_t i = 0; i < text.length; i++) {
        quoted = quoted || (text.data[i] != '\0' && strchr("\",\r\n", text.data[i]) != NULL);
    }
    const bool grouped = is_number && !is_answer;  // our own counts have commas, for people
    if (quoted && !grouped) fputc('"', stdout);
    for (size_t i = 0; i < text.length; i++) {
        if (grouped && text.data[i] == ',') continue;
        if (text.data[i] == '"') fputc('"', stdout);
        fputc(text.data[i], stdout);
    }
    if (quoted && !grouped) fputc('"', stdout);
}

static void print_csv(const struct cli_table *table) {
    const size_t columns = table->shape.column_count;
    for (size_t k = 0; k < columns; k++) {
        if (k > 0) fputc(',', stdout);
        print_csv_cell(pq_text_of(table->shape.names[k]), false, true);
    }
    fputs("\r\n", stdout);
    for (size_t row = 0; row < table->row_count; row++) {
        for (size_t k = 0; k < columns; k++) {
            if (k > 0) fputc(',', stdout);
            print_csv_cell(table->cells[row * columns + k], table->shape.is_number[k],
                           table->shape.is_answer);
        }
        fputs("\r\n", stdout);
    }
}

void cli_table_list(const struct cli_table *table) {
    fputc('[', stdout);
    for (size_t row = 0; table != NULL && row < table->row_count; row++) {
        if (row > 0) fputs(table->cli->format == CLI_JSON ? ",\n " : ",", stdout);
        print_json_row(table, row);
    }
    fputc(']', stdout);
}

void cli_table_finish(struct cli_table *table) {
    if (table == NULL) return;
    const enum cli_format format = table->cli->format;
    if (format == CLI_TABLE) print_table(table);
    if (format == CLI_CSV) print_csv(table);
    if (format == CLI_JSON) {
        cli_table_list(table);
        fputc('\n', stdout);
    }
    for (size_t row = 0; format == CLI_NDJSON && row < table->row_count; row++) {
        print_json_row(table, row);
        fputc('\n', stdout);
    }
}
