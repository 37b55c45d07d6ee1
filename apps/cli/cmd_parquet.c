/// apps/cli/cmd_parquet.c: `parquedb parquet FILE`: what any Parquet file says of itself, its rows,
/// and whether it is sound. No database is needed.
#include <parquedb/parquet.h>
#include <string.h>

#include "cli/cli.h"

enum { value_width = 40, pair_width = 60 };

/// One column over all row groups.
struct column {
    const char *path, *codec, *encodings;
    uint64_t values, stored, raw, pages, bloom;
    int64_t nulls;  // -1: unknown
    bool has_index;
    uint64_t crcs;
};

struct layout {
    struct cli *cli;
    pqdb_parquet *file;
    pqdb_parquet_facts facts;
    struct column *columns;
    uint64_t *group_pages;
};

static const char *text_of(struct cli *cli, const char *text) {
    return pq_arena_copy(&cli->arena, pq_text_of(text)).data;
}

static const char *count_of(struct cli *cli, uint64_t count) {
    char room[32];
    return text_of(cli, cli_count(count, room));
}

static const char *size_of(struct cli *cli, uint64_t bytes) {
    char room[24];
    return text_of(cli, cli_size(cli, bytes, room));
}

static const char *number_of(struct cli *cli, uint64_t number) {
    char room[32];
    snprintf(room, sizeof room, "%llu", (unsigned long long)number);
    return text_of(cli, room);
}

static const char *ratio_of(struct cli *cli, uint64_t raw, uint64_t stored) {
    char room[32];
    if (stored == 0) return NULL;
    snprintf(room, sizeof room, "%.1f", (double)raw / (double)stored);
    return text_of(cli, room);
}

static const char *nulls_of(struct cli *cli, int64_t nulls) {
    return nulls < 0 ? NULL : count_of(cli, (uint64_t)nulls);
}

/// A value of a few words, with "…" where more follows.
static const char *short_of(struct cli *cli, const char *text, size_t length, size_t width) {
    char room[256];
    if (length <= width) return pq_arena_copy(&cli->arena, (struct pq_text){text, length}).data;
    while (width > 0 && ((unsigned char)text[width] & 0xC0) == 0x80) width--;  // whole characters
    snprintf(room, sizeof room, "%.*s…", (int)width, text);
    return text_of(cli, room);
}

static void heading(const struct cli *cli, const char *text) {
    printf("\n%s%s%s\n", cli->colour ? "\033[1m" : "", text, cli->colour ? "\033[0m" : "");
}

// ---- gathering --------------------------------------------------------------------------------

struct page_count {
    uint64_t pages, crcs;
};

static void count_page(void *ctx, const pqdb_parquet_page *page) {
    struct page_count *count = ctx;
    count->pages++;
    count->crcs += page->has_crc;
}

static pqdb_code add_chunk(struct layout *layout, size_t group, size_t column, pqdb_error *err) {
    pqdb_parquet_chunk chunk;
    pqdb_code code = pqdb_parquet_chunk_get(layout->file, group, column, &chunk, err);
    if (code != PQDB_OK) return code;
    struct page_count pages = {0};
    code = pqdb_parquet_pages(layout->file, group, column, count_page, &pages, err);
    if (code != PQDB_OK && code != PQDB_UNSUPPORTED) return code;
    struct column *of = &layout->columns[column];
    const bool is_first = group == 0;
    of->path = chunk.path;
    if (is_first || strlen(chunk.encodings) > strlen(of->encodings)) {
        of->encodings = chunk.encodings;
    }
    of->codec = is_first || strcmp(of->codec, chunk.codec) == 0 ? chunk.codec : "several";
    of->values += chunk.values;
    of->stored += chunk.stored_bytes;
    of->raw += chunk.raw_bytes;
    of->pages += pages.pages;
    of->crcs += pages.crcs;
    of->bloom += chunk.bloom_bytes;
    of->has_index = (is_first || of->has_index) && chunk.indexed_pages > 0;
    of->nulls = chunk.nulls < 0 || of->nulls < 0 ? -1 : of->nulls + chunk.nulls;
    layout->group_pages[group] += pages.pages;
    return PQDB_OK;
}

static pqdb_code gather(struct layout *layout, pqdb_error *err) {
    struct pq_arena *arena = &layout->cli->arena;
    pqdb_parquet_facts_get(layout->file, &layout->facts);
    const pqdb_parquet_facts *facts = &layout->facts;
    layout->columns = pq_arena_calloc(arena, facts->columns + 1, sizeof *layout->columns);
    layout->group_pages = pq_arena_calloc(arena, facts->groups + 1, sizeof(uint64_t));
    if (layout->columns == NULL || layout->group_pages == NULL) return PQDB_NO_MEMORY;
    for (size_t g = 0; g < facts->groups; g++) {
        for (size_t c = 0; c < facts->columns; c++) {
            const pqdb_code code = add_chunk(layout, g, c, err);
            if (code != PQDB_OK) return code;
        }
    }
    return PQDB_OK;
}

// ---- for people -------------------------------------------------------------------------------

static void print_pairs(struct layout *layout) {
    for (size_t i = 0; i < layout->facts.pairs; i++) {
        pqdb_parquet_pair pair;
        pqdb_parquet_pair_get(layout->file, i, &pair);
        char size[24];
        const bool is_short = pair.value_length <= pair_width;
        printf("%s%.*s = %s\n", i == 0 ? "metadata    " : "            ", (int)pair.key_length,
               pair.key,
               is_short ? short_of(layout->cli, pair.value, pair.value_length, pair_width)
                        : cli_bytes(pair.value_length, size));
    }
}

static void print_head(struct layout *layout, const char *path) {
    const pqdb_parquet_facts *facts = &layout->facts;
    char bytes[24], rows[32], groups[32], columns[32];
    printf("%s: %s, %s row%s in %s row group%s, %s column%s\n", path,
           cli_bytes(facts->file_bytes, bytes), cli_count(facts->rows, rows),
           facts->rows == 1 ? "" : "s", cli_count(facts->groups, groups),
           facts->groups == 1 ? "" : "s", cli_count(facts->columns, columns),
           facts->columns == 1 ? "" : "s");
    if (facts->created_by[0] != '\0') printf("written by  %s\n", facts->created_by);
    print_pairs(layout);
}

static void print_schema(struct layout *layout) {
    static const char *const names[] = {"field", "id", "", "stored as", "meaning", "read as"};
    static const bool is_number[] = {false, true, false, false, false, false};
    struct cli *cli = layout->cli;
    struct cli_table *table = cli_table_create(
        cli, (struct cli_table_shape){.names = names, .is_number = is_number, .column_count = 6});
    for (size_t i = 0; i < layout->facts.fields; i++) {
        pqdb_parquet_field field;
        pqdb_parquet_field_get(layout->file, i, &field);
        char name[512];
        snprintf(name, sizeof name, "%*s%s", (int)(2 * field.depth), "", field.name);
        const char *cells[] = {
            name,
            field.field_id == 0 ? "" : number_of(cli, (uint64_t)(uint32_t)field.field_id),
            field.repetition,
            field.physical[0] == '\0' ? "group" : field.physical,
            field.annotation,
            field.unreadable[0] == '\0' ? field.read_as : field.unreadable};
        cli_table_row(table, cells);
    }
    heading(cli, "schema");
    cli_table_finish(table);
}

static void print_columns(struct layout *layout) {
    static const char *const names[] = {"column", "values", "nulls", "stored", "raw", "ratio",
                                        "pages", "codec", "encodings", "beside"};
    static const bool is_number[] = {false, true, true, true, true, true, true};
    bool numbers[10] = {0};
    memcpy(numbers, is_number, sizeof is_number);
    struct cli *cli = layout->cli;
    struct cli_table *table = cli_table_create(
        cli, (struct cli_table_shape){.names = names, .is_number = numbers, .column_count = 10});
    for (size_t c = 0; c < layout->facts.columns; c++) {
        const struct column *of = &layout->columns[c];
        if (of->path == NULL) continue;
        char beside[80];
        snprintf(beside, sizeof beside, "%s%s%s", of->has_index ? "index" : "",
                 of->crcs == of->pages && of->pages > 0 ? (of->has_index ? ", crc" : "crc") : "",
                 of->bloom > 0 ? ", bloom" : "");
        const char *cells[] = {of->path, count_of(cli, of->values), nulls_of(cli, of->nulls),
                               size_of(cli, of->stored), size_of(cli, of->raw),
                               ratio_of(cli, of->raw, of->stored), count_of(cli, of->pages),
                               of->codec, of->encodings, beside};
        cli_table_row(table, cells);
    }
    heading(cli, "columns");
    cli_table_finish(table);
}

static void print_groups(struct layout *layout) {
    static const char *const names[] = {"row group", "first row", "rows", "stored", "raw",
                                        "pages", "sorted by"};
    static const bool is_number[] = {true, true, true, true, true, true, false};
    struct cli *cli = layout->cli;
    struct cli_table *table = cli_table_create(
        cli, (struct cli_table_shape){.names = names, .is_number = is_number, .column_count = 7});
    for (size_t g = 0; g < layout->facts.groups; g++) {
        pqdb_parquet_group group;
        pqdb_parquet_group_get(layout->file, g, &group);
        const char *cells[] = {number_of(cli, g), count_of(cli, group.first_row),
                               count_of(cli, group.rows), size_of(cli, group.stored_bytes),
                               size_of(cli, group.raw_bytes),
                               count_of(cli, layout->group_pages[g]), group.sorted_by};
        cli_table_row(table, cells);
    }
    heading(cli, "row groups");
    cli_table_finish(table);
}

/// Smallest and largest values, per column chunk.
static pqdb_code print_statistics(struct layout *layout, pqdb_error *err) {
    static const char *const names[] = {"row group", "column", "min", "max"};
    static const bool is_number[] = {true, false, false, false};
    struct cli *cli = layout->cli;
    struct cli_table *table = cli_table_create(
        cli, (struct cli_table_shape){.names = names, .is_number = is_number, .column_count = 4});
    for (size_t g = 0; g < layout->facts.groups; g++) {
        for (size_t c = 0; c < layout->facts.columns; c++) {
            pqdb_parquet_chunk chunk;
            const pqdb_code code = pqdb_parquet_chunk_get(layout->file, g, c, &chunk, err);
            if (code != PQDB_OK) return code;
            if (chunk.min == NULL && chunk.max == NULL) continue;
            const char *const bounds[] = {chunk.min, chunk.max};
            const char *cells[] = {number_of(cli, g), chunk.path, NULL, NULL};
            for (size_t i = 0; i < 2; i++) {
                if (bounds[i] == NULL) continue;
                cells[2 + i] = short_of(cli, bounds[i], strlen(bounds[i]), value_width);
            }
            cli_table_row(table, cells);
        }
    }
    if (!cli_table_has_rows(table)) return PQDB_OK;
    heading(cli, "statistics");
    cli_table_finish(table);
    return PQDB_OK;
}

static int print_layout(struct layout *layout, const char *path) {
    pqdb_error err = {.offset = -1, .message = "out of memory"};
    pqdb_code code = gather(layout, &err);
    if (code != PQDB_OK) return cli_fail(layout->cli, &err);
    print_head(layout, path);
    print_schema(layout);
    print_columns(layout);
    if (layout->facts.groups > 0) print_groups(layout);
    code = print_statistics(layout, &err);
    return code == PQDB_OK ? CLI_DONE : cli_fail(layout->cli, &err);
}

// ---- for programs -----------------------------------------------------------------------------

static void json_text(const char *name, const char *text) {
    printf(",\"%s\":", name);
    if (text == NULL) {
        fputs("null", stdout);
    } else {
        cli_json_text(stdout, text, strlen(text));
    }
}

static void json_number(const char *name, int64_t number) {
    if (number < 0) {
        printf(",\"%s\":null", name);
    } else {
        printf(",\"%s\":%lld", name, (long long)number);
    }
}

static void json_page(void *ctx, const pqdb_parquet_page *page) {
    bool *has_page = ctx;
    printf("%s{\"offset\":%llu", *has_page ? "," : "", (unsigned long long)page->offset);
    *has_page = true;
    json_text("kind", page->kind);
    json_text("encoding", page->encoding);
    json_number("storedBytes", (int64_t)page->stored_bytes);
    json_number("rawBytes", (int64_t)page->raw_bytes);
    json_number("values", (int64_t)page->values);
    json_number("rows", page->rows);
    json_number("nulls", page->nulls);
    printf(",\"crc\":%s}", page->has_crc ? "true" : "false");
}

static pqdb_code json_chunk(pqdb_parquet *file, size_t group, size_t column, pqdb_error *err) {
    pqdb_parquet_chunk chunk;
    pqdb_code code = pqdb_parquet_chunk_get(file, group, column, &chunk, err);
    if (code != PQDB_OK) return code;
    printf("%s{\"column\":%zu", column == 0 ? "" : ",", column);
    json_text("path", chunk.path);
    json_text("codec", chunk.codec);
    json_text("encodings", chunk.encodings);
    json_number("values", (int64_t)chunk.values);
    json_number("nulls", chunk.nulls);
    json_number("storedBytes", (int64_t)chunk.stored_bytes);
    json_number("rawBytes", (int64_t)chunk.raw_bytes);
    json_number("offset", (int64_t)chunk.offset);
    json_number("indexedPages", (int64_t)chunk.indexed_pages);
    json_number("bloomBytes", (int64_t)chunk.bloom_bytes);
    json_text("min", chunk.min);
    json_text("max", chunk.max);
    bool has_page = false;
    printf(",\"pages\":[");
    code = pqdb_parquet_pages(file, group, column, json_page, &has_page, err);
    printf("]}");
    return code == PQDB_UNSUPPORTED ? PQDB_OK : code;
}

static void json_schema(pqdb_parquet *file, size_t count) {
    printf(",\"schema\":[");
    for (size_t i = 0; i < count; i++) {
        pqdb_parquet_field field;
        pqdb_parquet_field_get(file, i, &field);
        printf("%s{\"depth\":%u", i == 0 ? "" : ",", field.depth);
        json_text("name", field.name);
        json_text("repetition", field.repetition);
        json_text("physical", field.physical[0] == '\0' ? NULL : field.physical);
        json_text("annotation", field.annotation[0] == '\0' ? NULL : field.annotation);
        json_number("fieldId", field.field_id == 0 ? -1 : field.field_id);
        json_number("column", field.column);
        json_text("readAs", field.read_as[0] == '\0' ? NULL : field.read_as);
        json_text("unreadable", field.unreadable[0] == '\0' ? NULL : field.unreadable);
        fputc('}', stdout);
    }
    fputc(']', stdout);
}

static void json_pairs(pqdb_parquet *file, size_t count) {
    printf(",\"metadata\":{");
    for (size_t i = 0; i < count; i++) {
        pqdb_parquet_pair pair;
        pqdb_parquet_pair_get(file, i, &pair);
        if (i > 0) fputc(',', stdout);
        cli_json_text(stdout, pair.key, pair.key_length);
        fputc(':', stdout);
        cli_json_text(stdout, pair.value, pair.value_length);
    }
    fputc('}', stdout);
}

/// One object on one line; what was printed before a failure is no JSON.
static int json_layout(struct cli *cli, pqdb_parquet *file, const char *path) {
    pqdb_parquet_facts facts;
    pqdb_parquet_facts_get(file, &facts);
    printf("{\"file\":");
    cli_json_text(stdout, path, strlen(path));
    json_text("createdBy", facts.created_by);
    json_number("bytes", (int64_t)facts.file_bytes);
    json_number("rows", (int64_t)facts.rows);
    json_pairs(file, facts.pairs);
    json_schema(file, facts.fields);
    printf(",\"rowGroups\":[");
    for (size_t g = 0; g < facts.groups; g++) {
        pqdb_parquet_group group;
        pqdb_parquet_group_get(file, g, &group);
        printf("%s{\"firstRow\":%llu", g == 0 ? "" : ",", (unsigned long long)group.first_row);
        json_number("rows", (int64_t)group.rows);
        json_number("storedBytes", (int64_t)group.stored_bytes);
        json_number("rawBytes", (int64_t)group.raw_bytes);
        json_text("sortedBy", group.sorted_by[0] == '\0' ? NULL : group.sorted_by);
        printf(",\"columns\":[");
        for (size_t c = 0; c < facts.columns; c++) {
            pqdb_error err = {.offset = -1};
            if (json_chunk(file, g, c, &err) != PQDB_OK) return cli_fail(cli, &err);
        }
        printf("]}");
    }
    printf("]}\n");
    return CLI_DONE;
}

// ---- check ------------------------------------------------------------------------------------

static void show_problem(void *ctx, const pqdb_parquet_problem *problem) {
    struct cli *cli = ctx;
    fprintf(stderr, "%srow group %zu, %s%s: %s", cli->err_colour ? "\033[31m" : "",
            problem->group, problem->column[0] == '\0' ? "a column" : problem->column,
            cli->err_colour ? "\033[0m" : "", problem->message);
    if (problem->offset >= 0) fprintf(stderr, " (at byte %lld)", (long long)problem->offset);
    fputc('\n', stderr);
}

static int run_check(struct cli *cli, pqdb_parquet *file) {
    pqdb_parquet_checked checked;
    pqdb_error err;
    if (pqdb_parquet_check(file, show_problem, cli, &checked, &err) != PQDB_OK) {
        return cli_fail(cli, &err);
    }
    if (cli_is_for_people(cli)) {
        char pages[32], crcs[32], values[32];
        printf("%s: %s pages (%s with a checksum), %s values%s\n",
               checked.problems == 0 ? "sound" : "DAMAGED", cli_count(checked.pages, pages),
               cli_count(checked.pages_with_crc, crcs), cli_count(checked.values, values),
               checked.unsupported > 0 ? "; some columns cannot be read here" : "");
    } else {
        static const char *const names[] = {"pages", "pages with crc", "values", "bounds",
                                            "unsupported", "problems"};
        static const bool is_number[] = {true, true, true, true, true, true};
        const char *cells[] = {
            number_of(cli, checked.pages), number_of(cli, checked.pages_with_crc),
            number_of(cli, checked.values), number_of(cli, checked.bounds),
            number_of(cli, checked.unsupported), number_of(cli, checked.problems)};
        struct cli_table *table = cli_table_create(
            cli,
            (struct cli_table_shape){.names = names, .is_number = is_number, .column_count = 6});
        cli_table_row(table, cells);
        cli_table_finish(table);
    }
    return checked.problems == 0 ? CLI_DONE : CLI_FAILED;
}

static int run_rows(struct cli *cli, pqdb_parquet *file) {
    pqdb_rows *rows;
    pqdb_error err;
    if (pqdb_parquet_rows(file, &rows, &err) != PQDB_OK) return cli_fail(cli, &err);
    const int code = cli_print_rows(cli, rows);
    pqdb_rows_close(rows);
    return code;
}

static int run_parquet(struct cli *cli) {
    const bool wants_rows = cli_flag(cli, "--rows"), wants_check = cli_flag(cli, "--check");
    if (!cli_takes(cli, 1, 1)) return CLI_USAGE;
    if (wants_rows && wants_check) return cli_usage(cli, "takes --rows or --check, not both");
    const char *path = cli->args[0];
    pqdb_parquet *file;
    pqdb_error err;
    if (pqdb_parquet_open(path, &file, &err) != PQDB_OK) return cli_fail(cli, &err);
    struct layout layout = {.cli = cli, .file = file};
    const int code = wants_rows                ? run_rows(cli, file)
                     : wants_check             ? run_check(cli, file)
                     : cli_is_for_people(cli) ? print_layout(&layout, path)
                                               : json_layout(cli, file, path);
    pqdb_parquet_close(file);
    return code;
}

const struct cli_command cmd_parquet = {
    .name = "parquet",
    .usage = "FILE [--rows|--check]",
    .summary = "look into a Parquet file, whoever wrote it",
    .help = "Shows schema, columns, row groups and statistics; with --format json or in a pipe\n"
            "everything down to the pages, as one JSON object.\n"
            "--rows shows the rows. --check decodes every page and compares checksums, and the\n"
            "statistics with the values; a damaged file makes the exit code 1.\n",
    .run = run_parquet,
    .alone = true,
};
