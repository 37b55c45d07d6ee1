#include "ingest/csv.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

/// What becomes of the texts of a column.
enum form {
    FORM_TEXT,
    FORM_NUMBER,
    FORM_BOOLEAN,
    FORM_JSON,     // a list or an object
    FORM_VARIANT,  // what is JSON is that, the rest is text
};

struct csv_column {
    struct pq_text key;  // `"name":`, in the arena
    enum form form;
    bool is_declared;
    bool is_number, is_boolean, has_value;  // so far, while types are inferred
};

struct csv_field {
    struct pq_text text;
    bool is_quoted;  // and whether `text` still has its doubled quotes
    bool has_doubled;
};

static const char separators[] = {',', ';', '\t', '|'};

/// Where the scan for the end of a record stands.
enum scan { SCAN_START, SCAN_PLAIN, SCAN_QUOTED, SCAN_QUOTE };

struct reach {  // how far a record was scanned whose end has not come
    size_t bytes;
    enum scan scan;
    uint64_t line_ends;
};

struct pq_csv {
    struct pq_csv_options options;
    const struct pq_alloc *alloc;
    struct pq_arena arena;   // names of columns
    struct pq_bytes rest;    // a record begun in an earlier chunk; while sampling, all there is
    struct pq_bytes json;    // of the record at hand
    struct pq_bytes scratch;  // a field without its doubled quotes
    struct pq_json_reader reader;
    struct csv_column *columns;  // owned, `column_count` long; NULL before the header
    size_t column_count;
    struct csv_field fields[PQ_CSV_COLUMNS_MAX + 1];
    uint64_t line;     // of the next record
    struct reach reach;  // into `rest`: where its end was looked for
    char separator;
    bool is_sampling;  // types are not known yet
    bool has_begun;    // the byte order mark is behind
    bool is_past_header;
};

pqdb_code pq_csv_create(const struct pq_csv_options *options, const struct pq_alloc *alloc,
                        struct pq_csv **csv, pqdb_error *err) {
    struct pq_csv *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a reader of CSV");
    *made = (struct pq_csv){.options = *options, .alloc = alloc, .line = 1, .is_sampling = true};
    pq_arena_init(&made->arena, alloc);
    pq_bytes_init(&made->rest, alloc);
    pq_bytes_init(&made->json, alloc);
    pq_bytes_init(&made->scratch, alloc);
    pq_json_reader_init(&made->reader, alloc);
    *csv = made;
    return PQDB_OK;
}

void pq_csv_destroy(struct pq_csv *csv) {
    if (csv == NULL) return;
    pq_bytes_deinit(&csv->rest);
    pq_bytes_deinit(&csv->json);
    pq_bytes_deinit(&csv->scratch);
    pq_json_reader_deinit(&csv->reader);
    pq_arena_deinit(&csv->arena);
    pq_free(csv->alloc, csv, 1, sizeof *csv);
}

// ---- records ----------------------------------------------------------------------------------

/// One record, without its line end.
struct record {
    struct pq_text text;
    uint64_t line, line_count;
    bool is_open;  // the input ends within quotes
};

/// Before the header is read every candidate is one.
static bool is_separator(const struct pq_csv *csv, char c) {
    if (csv->separator != '\0') return c == csv->separator;
    return memchr(separators, c, sizeof separators) != NULL;
}

/// Take the next record off `text`; false when it does not end there: `reach` then tells where to
/// go on once there is more. At the end of input the last one needs no line end.
static bool next_record(const struct pq_csv *csv, struct pq_text *text, bool is_last,
                        struct reach *reach, struct record *record) {
    enum scan scan = reach->scan;
    uint64_t line_ends = reach->line_ends;
    size_t i = reach->bytes;
    for (; i < text->length; i++) {
        const char c = text->data[i];
        if (c == '\n' && scan != SCAN_QUOTED) break;
        if (c == '\n') line_ends++;
        if (scan == SCAN_QUOTED) {
            if (c == '"') scan = SCAN_QUOTE;
        } else if (c == '"' && scan != SCAN_PLAIN) {
            scan = SCAN_QUOTED;  // at the start of a field, or doubled
        } else {
            scan = is_separator(csv, c) ? SCAN_START : SCAN_PLAIN;
        }
    }
    const bool has_end = i < text->length;
    if (!has_end && (!is_last || i == 0)) {
        *reach = (struct reach){i, scan, line_ends};
        return false;
    }
    *reach = (struct reach){0};
    *record = (struct record){.text = {text->data, i}, .line = csv->line,
                              .line_count = line_ends + 1, .is_open = scan == SCAN_QUOTED};
    if (i > 0 && text->data[i - 1] == '\r') record->text.length--;
    text->data += i + has_end;
    text->length -= i + has_end;
    return true;
}

/// A quote that does not end before the input does took all that followed for its text: what is
/// wrong is its line, and the next ones are records again.
static void keep_first_line(struct pq_text *text, struct record *record) {
    const char *end = memchr(record->text.data, '\n', record->text.length);
    if (!record->is_open || end == NULL) return;
    const char *all_end = text->data + text->length;
    record->text.length = (size_t)(end - record->text.data);
    if (record->text.length > 0 && end[-1] == '\r') record->text.length--;
    record->line_count = 1;
    *text = (struct pq_text){end + 1, (size_t)(all_end - end - 1)};
}

/// Split a record into csv->fields. Gives a fault, or NULL.
static const char *split(struct pq_csv *csv, struct pq_text record, size_t *count) {
    const char *at = record.data, *end = record.data + record.length;
    const char *fault = NULL;
    *count = 0;
    for (;;) {
        struct csv_field field = {.is_quoted = at < end && *at == '"'};
        const char *start = at + field.is_quoted;
        if (field.is_quoted) {
            for (at = start; at < end; at++) {
                if (*at != '"') continue;
                if (at + 1 < end && at[1] == '"') {
                    field.has_doubled = true;
                    at++;
                    continue;
                }
                break;
            }
            field.text = (struct pq_text){start, (size_t)(at - start)};
            if (at == end) return "has a quoted field that does not end";
            at++;
            if (at < end && *at != csv->separator) fault = "has text behind a quoted field";
        }
        while (at < end && *at != csv->separator) at++;
        if (!field.is_quoted) field.text = (struct pq_text){start, (size_t)(at - start)};
        if (*count > PQ_CSV_COLUMNS_MAX) return "has too many fields";
        csv->fields[(*count)++] = field;
        if (at == end) return fault;
        at++;
    }
}

/// The field's text without doubled quotes; valid until the next call.
static pqdb_code text_of(struct pq_csv *csv, const struct csv_field *field, struct pq_text *text,
                         pqdb_error *err) {
    *text = field->text;
    if (!field->has_doubled) return PQDB_OK;
    csv->scratch.length = 0;
    PQ_TRY(pq_bytes_reserve(&csv->scratch, field->text.length, err));
    for (size_t i = 0; i < field->text.length; i++) {
        csv->scratch.data[csv->scratch.length++] = (uint8_t)field->text.data[i];
        if (field->text.data[i] == '"') i++;
    }
    *text = pq_bytes_text(&csv->scratch);
    return PQDB_OK;
}

// ---- types ------------------------------------------------------------------------------------

static size_t digits(struct pq_text text, size_t at) {
    while (at < text.length && text.data[at] >= '0' && text.data[at] <= '9') at++;
    return at;
}

/// As JSON writes numbers.
static bool is_json_number(struct pq_text text) {
    size_t at = text.length > 0 && text.data[0] == '-';
    const size_t whole = at;
    at = digits(text, at);
    if (at == whole || (text.data[whole] == '0' && at > whole + 1)) return false;
    if (at < text.length && text.data[at] == '.') {
        const size_t point = ++at;
        at = digits(text, at);
        if (at == point) return false;
    }
    if (at < text.length && (text.data[at] == 'e' || text.data[at] == 'E')) {
        at++;
        if (at < text.length && (text.data[at] == '+' || text.data[at] == '-')) at++;
        const size_t exponent = at;
        at = digits(text, at);
        if (at == exponent) return false;
    }
    return at == text.length;
}

static struct pq_text trim(struct pq_text text) {
    while (text.length > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.length--;
    }
    while (text.length > 0 &&
           (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t')) {
        text.length--;
    }
    return text;
}

/// A number as people write it, "+5", "007", ".5", as JSON has it; false when it is none.
static bool plain_number(struct pq_text text, bool *is_negative, struct pq_text *rest,
                         bool *lacks_zero) {
    text = trim(text);
    *is_negative = text.length > 0 && text.data[0] == '-';
    if (text.length > 0 && (text.data[0] == '-' || text.data[0] == '+')) {
        text.data++;
        text.length--;
    }
    while (text.length > 1 && text.data[0] == '0' && text.data[1] >= '0' && text.data[1] <= '9') {
        text.data++;
        text.length--;
    }
    *lacks_zero = text.length > 1 && text.data[0] == '.';
    *rest = text;
    if (*lacks_zero) return digits(text, 1) == text.length;
    return text.length > 0 && text.data[0] != '-' && is_json_number(text);
}

/// -1: it is no boolean.
static int boolean_of(struct pq_text text) {
    static const struct {
        const char *name;
        int value;
    } names[] = {{"true", 1}, {"false", 0}, {"t", 1}, {"f", 0}, {"yes", 1}, {"no", 0},
                 {"y", 1}, {"n", 0}, {"1", 1}, {"0", 0}};
    text = trim(text);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (pq_text_equal_any_case(text, pq_text_of(names[i].name))) return names[i].value;
    }
    return -1;
}

static enum form form_of(const struct pq_type *type) {
    switch (type->kind) {
    case PQ_BOOL: return FORM_BOOLEAN;
    case PQ_INT64:
    case PQ_FLOAT32:
    case PQ_FLOAT64:
    case PQ_DECIMAL: return FORM_NUMBER;
    case PQ_LIST:
    case PQ_OBJECT: return FORM_JSON;
    case PQ_VARIANT: return FORM_VARIANT;
    default: return FORM_TEXT;
    }
}

/// The declared kind of a time is text; but milliseconds are a number.
static bool is_time(const struct pq_type *type) {
    return type->kind == PQ_TIMESTAMP || type->kind == PQ_DATE;
}

static pqdb_code name_column(struct pq_csv *csv, size_t index, pqdb_error *err) {
    struct pq_text name;
    PQ_TRY(text_of(csv, &csv->fields[index], &name, err));
    name = trim(name);
    if (name.length == 0) {
        return pq_fail(err, PQDB_INVALID, "column %zu of the CSV header has no name", index + 1);
    }
    struct pq_bytes key;
    pq_bytes_init(&key, &csv->arena.alloc);
    PQ_TRY(pq_json_write_text(&key, name, err));
    PQ_TRY(pq_bytes_append_byte(&key, ':', err));
    const struct pq_text made = pq_bytes_text(&key);
    for (size_t i = 0; i < index; i++) {
        if (!pq_text_equal(csv->columns[i].key, made)) continue;
        return pq_fail(err, PQDB_INVALID, "the CSV header has column '%.*s' twice",
                       PQ_TEXT_ARG(name));
    }
    struct csv_column *column = &csv->columns[index];
    *column = (struct csv_column){.key = made, .is_number = true, .is_boolean = true};
    const struct pq_declared_field *declared = pq_entry_find(csv->options.entry, name);
    column->is_declared = declared != NULL || name.data[0] == '$';
    if (declared != NULL) {
        column->form = form_of(&declared->field.type);
        if (is_time(&declared->field.type)) column->form = FORM_VARIANT;
    }
    return PQDB_OK;
}

static pqdb_code read_header(struct pq_csv *csv, struct pq_text record, pqdb_error *err) {
    size_t counts[4] = {0}, best = 0;
    bool in_quotes = false;
    for (size_t i = 0; i < record.length; i++) {
        if (record.data[i] == '"') in_quotes = !in_quotes;
        for (size_t k = 0; k < 4 && !in_quotes; k++) counts[k] += record.data[i] == separators[k];
    }
    for (size_t k = 1; k < 4; k++) {
        if (counts[k] > counts[best]) best = k;
    }
    csv->separator = separators[best];
    const char *fault = split(csv, record, &csv->column_count);
    if (csv->column_count > PQ_CSV_COLUMNS_MAX) {
        return pq_fail(err, PQDB_LIMIT, "more than %d columns of CSV", PQ_CSV_COLUMNS_MAX);
    }
    if (fault != NULL) return pq_fail(err, PQDB_INVALID, "the CSV header %s", fault);
    csv->columns = pq_arena_calloc(&csv->arena, csv->column_count, sizeof *csv->columns);
    if (csv->columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "columns of CSV");
    for (size_t i = 0; i < csv->column_count; i++) PQ_TRY(name_column(csv, i, err));
    return PQDB_OK;
}

static void look_at(struct pq_csv *csv, struct pq_text record) {
    size_t count;
    if (split(csv, record, &count) != NULL || count != csv->column_count) return;
    for (size_t i = 0; i < count; i++) {
        struct csv_column *column = &csv->columns[i];
        const struct csv_field *field = &csv->fields[i];
        if (field->text.length == 0) continue;
        column->has_value = true;
        if (field->is_quoted || !is_json_number(field->text)) column->is_number = false;
        if (!pq_text_is(field->text, "true") && !pq_text_is(field->text, "false")) {
            column->is_boolean = false;
        }
    }
}

// ---- rows -------------------------------------------------------------------------------------

static pqdb_code write_number(struct pq_csv *csv, struct pq_text text, pqdb_error *err) {
    bool is_negative, lacks_zero;
    struct pq_text rest;
    if (!plain_number(text, &is_negative, &rest, &lacks_zero)) {
        return pq_json_write_text(&csv->json, text, err);
    }
    if (is_negative) PQ_TRY(pq_bytes_append_byte(&csv->json, '-', err));
    if (lacks_zero) PQ_TRY(pq_bytes_append_byte(&csv->json, '0', err));
    return pq_bytes_append_text(&csv->json, rest, err);
}

/// As it is when it is JSON of a kind that has to be, else as text.
static pqdb_code write_json(struct pq_csv *csv, struct pq_text text, pqdb_error *err) {
    const struct pq_text trimmed = trim(text);
    const char first = trimmed.length == 0 ? '\0' : trimmed.data[0];
    const struct pq_json *root;
    const bool is_container = first == '{' || first == '[';
    const bool is_json =
        is_json_number(trimmed) || pq_text_is(trimmed, "true") || pq_text_is(trimmed, "false") ||
        (is_container && pq_json_reader_parse(&csv->reader, trimmed, PQ_JSON_STRICT, &root,
                                              NULL) == PQDB_OK);
    if (!is_json) return pq_json_write_text(&csv->json, text, err);
    const size_t start = csv->json.length;
    PQ_TRY(pq_bytes_append_text(&csv->json, trimmed, err));
    // An item is a line: line breaks between the tokens of a field are spaces.
    for (size_t i = start; i < csv->json.length; i++) {
        if (csv->json.data[i] == '\n' || csv->json.data[i] == '\r') csv->json.data[i] = ' ';
    }
    return PQDB_OK;
}

static pqdb_code write_value(struct pq_csv *csv, const struct csv_column *column,
                             const struct csv_field *field, pqdb_error *err) {
    struct pq_text text;
    PQ_TRY(text_of(csv, field, &text, err));
    if (text.length == 0) {
        const bool is_text = field->is_quoted && column->form == FORM_TEXT;
        return pq_bytes_append_text(&csv->json, is_text ? PQ_TEXT("\"\"") : PQ_TEXT("null"), err);
    }
    switch (column->form) {
    case FORM_NUMBER: return write_number(csv, text, err);
    case FORM_BOOLEAN: {
        const int boolean = boolean_of(text);
        if (boolean < 0) return pq_json_write_text(&csv->json, text, err);
        return pq_bytes_append_text(&csv->json, boolean ? PQ_TEXT("true") : PQ_TEXT("false"), err);
    }
    case FORM_JSON:
    case FORM_VARIANT: return write_json(csv, text, err);
    default: return pq_json_write_text(&csv->json, text, err);
    }
}

static pqdb_code give(struct pq_csv *csv, const struct record *record, pqdb_error *err) {
    size_t count;
    char why[100];
    struct pq_row_item item = {.original = record->text, .line = record->line};
    item.fault = split(csv, record->text, &count);
    if (item.fault == NULL && !pq_text_is_utf8(record->text)) item.fault = "is not UTF-8";
    if (item.fault == NULL && count != csv->column_count) {
        snprintf(why, sizeof why, "has %zu fields, the header %zu", count, csv->column_count);
        item.fault = why;
    }
    csv->json.length = 0;
    for (size_t i = 0; i < count && item.fault == NULL; i++) {
        PQ_TRY(pq_bytes_append_byte(&csv->json, i == 0 ? '{' : ',', err));
        PQ_TRY(pq_bytes_append_text(&csv->json, csv->columns[i].key, err));
        PQ_TRY(write_value(csv, &csv->columns[i], &csv->fields[i], err));
    }
    PQ_TRY(pq_bytes_append_byte(&csv->json, '}', err));
    if (item.fault == NULL) item.json = pq_bytes_text(&csv->json);
    return csv->options.on_item(csv->options.ctx, &item, err);
}

/// All whole records of `text`, which is moved behind them.
static pqdb_code give_all(struct pq_csv *csv, struct pq_text *text, bool is_last,
                          pqdb_error *err) {
    struct record record;
    while (next_record(csv, text, is_last, &csv->reach, &record)) {
        keep_first_line(text, &record);
        csv->line += record.line_count;
        if (record.text.length == 0) continue;
        if (csv->is_past_header) PQ_TRY(give(csv, &record, err));
        csv->is_past_header = true;
    }
    return PQDB_OK;
}

/// Read the header; what there is of records tells the types of columns that are not declared.
static pqdb_code infer(struct pq_csv *csv, struct pq_text text, bool is_last, pqdb_error *err) {
    struct record record;
    struct reach reach = {0};
    while (next_record(csv, &text, is_last, &reach, &record)) {
        keep_first_line(&text, &record);
        if (record.text.length == 0) continue;
        if (csv->columns == NULL) {
            PQ_TRY(read_header(csv, record.text, err));
        } else {
            look_at(csv, record.text);
        }
    }
    for (size_t i = 0; i < csv->column_count; i++) {
        struct csv_column *column = &csv->columns[i];
        if (column->is_declared || !column->has_value) continue;
        if (column->is_number || column->is_boolean) column->form = FORM_VARIANT;
    }
    return PQDB_OK;
}

/// Go through what has gathered in `rest`; what does not end there stays.
static pqdb_code work_off(struct pq_csv *csv, bool is_last, pqdb_error *err) {
    struct pq_text text = pq_bytes_text(&csv->rest);
    if (!csv->has_begun) {
        const bool has_mark = text.length >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0;
        if (has_mark) text = (struct pq_text){text.data + 3, text.length - 3};
        csv->has_begun = true;
    }
    if (csv->is_sampling) PQ_TRY(infer(csv, text, is_last, err));
    csv->is_sampling = csv->columns == NULL;
    if (csv->columns != NULL) PQ_TRY(give_all(csv, &text, is_last, err));
    if (text.length > PQ_ITEM_BYTES_MAX) {
        return pq_fail(err, PQDB_LIMIT, "the record in line %" PRIu64 " is longer than %d MiB: "
                       "does a quote not end?", csv->line, PQ_ITEM_BYTES_MAX >> 20);
    }
    if (text.length > 0) memmove(csv->rest.data, text.data, text.length);
    csv->rest.length = text.length;
    return PQDB_OK;
}

pqdb_code pq_csv_push(struct pq_csv *csv, struct pq_text chunk, pqdb_error *err) {
    PQ_TRY(pq_bytes_append_text(&csv->rest, chunk, err));
    if (csv->is_sampling && csv->rest.length < PQ_CSV_SAMPLE_BYTES) return PQDB_OK;
    return work_off(csv, false, err);
}

pqdb_code pq_csv_end(struct pq_csv *csv, pqdb_error *err) {
    if (csv->rest.length == 0) return PQDB_OK;
    return work_off(csv, true, err);
}
