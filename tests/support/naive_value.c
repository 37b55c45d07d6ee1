/// Values: reading, comparing, printing.
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/naive.h"

static struct pq_arena *memory;

void naive_use(struct pq_arena *arena) { memory = arena; }

struct pq_arena *naive_memory(void) { return memory; }

void *naive_alloc(size_t bytes) { return pq_arena_calloc(memory, 1, bytes + 1); }

const char *naive_copy(const char *text, size_t length) {
    char *copy = naive_alloc(length);
    if (length > 0) memcpy(copy, text, length);
    return copy;
}

const char *naive_text(const char *format, ...) {
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text) abort();
    return naive_copy(text, (size_t)length);
}

struct naive naive_int(int64_t number) {
    return (struct naive){.kind = NAIVE_INT, .number = number};
}

struct naive naive_real(double real) {
    // NaN and the infinities are no answers: they are missing.
    if (!isfinite(real)) return (struct naive){0};
    return (struct naive){.kind = NAIVE_REAL, .real = real};
}

struct naive naive_list(int count) {
    return (struct naive){.kind = NAIVE_LIST, .count = count,
                          .items = naive_alloc(((size_t)count + 1) * sizeof(struct naive))};
}

const struct naive *naive_member(const struct naive *object, const char *key) {
    for (int i = 0; object->kind == NAIVE_OBJECT && i < object->count; i++) {
        if (strcmp(object->items[i].key, key) == 0) return &object->items[i];
    }
    return NULL;
}

// ---- comparing --------------------------------------------------------------------------------

bool naive_is_number(const struct naive *value) {
    return value->kind == NAIVE_INT || value->kind == NAIVE_DECIMAL || value->kind == NAIVE_REAL;
}

static bool is_time(const struct naive *value) {
    return value->kind == NAIVE_DATE || value->kind == NAIVE_TIME;
}

static int sign(naive_i128 number) { return (number > 0) - (number < 0); }

static int scale_of(const struct naive *value) {
    return value->kind == NAIVE_DECIMAL ? value->scale : 0;
}

/// value * 10^38 * 2^1074: whole for every number there is.
static struct naive_big exact(const struct naive *value) {
    struct naive_big big = value->kind == NAIVE_REAL ? naive_big_of_real(value->real)
                                                     : naive_big_of(value->number);
    const struct naive_big ten = naive_big_of(10);
    for (int i = scale_of(value); i < 38; i++) big = naive_big_multiply(&big, &ten);
    return value->kind == NAIVE_REAL ? big : naive_big_shift(&big, 1074);
}

/// A number of a definition counts as written, but against doubles as a double.
static struct naive against(const struct naive *literal, const struct naive *other) {
    if (!literal->is_literal || literal->kind == NAIVE_REAL || other->kind != NAIVE_REAL) {
        return *literal;
    }
    const struct naive_big big = naive_big_of(literal->number);
    return naive_real(naive_big_round(&big, 0, scale_of(literal)));
}

static int compare_numbers(const struct naive *left, const struct naive *right) {
    const struct naive a = against(left, right), b = against(right, left);
    if (a.kind == NAIVE_REAL && b.kind == NAIVE_REAL) return (a.real > b.real) - (a.real < b.real);
    if (a.kind != NAIVE_REAL && b.kind != NAIVE_REAL && scale_of(&a) == scale_of(&b)) {
        return sign(a.number - b.number);
    }
    const struct naive_big x = exact(&a), y = exact(&b);
    return naive_big_compare(&x, &y);
}

/// Microseconds since 1970; false when that is none.
static bool read_instant(const char *text, naive_i128 *us) {
    int year, month, day, used = 0, hour = 0, minute = 0, second = 0, zone_hour, zone_minute;
    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &used) != 3 || used != 10) return false;
    struct tm utc = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};
    const char *at = text + used;
    naive_i128 part = 0;
    if (*at == 'T' && sscanf(at, "T%2d:%2d%n", &hour, &minute, &used) == 2) {
        at += used;
        if (*at == ':' && sscanf(at, ":%2d%n", &second, &used) == 1) at += used;
        if (*at == '.') {
            int unit = 100000;
            for (at++; *at >= '0' && *at <= '9'; at++, unit /= 10) part += (*at - '0') * unit;
        }
    }
    naive_i128 seconds = timegm(&utc) + hour * 3600 + minute * 60 + second;
    if (*at == '+' || *at == '-') {
        if (sscanf(at + 1, "%2d:%2d", &zone_hour, &zone_minute) != 2) return false;
        seconds -= (*at == '-' ? -1 : 1) * (zone_hour * 3600 + zone_minute * 60);
        at += 6;
    }
    if (*at == 'Z') at++;
    *us = seconds * 1000000 + part;
    return *at == '\0';
}

static bool instant(const struct naive *value, naive_i128 *us) {
    if (value->kind == NAIVE_TEXT) return read_instant(value->text, us);
    *us = value->number;
    if (value->kind == NAIVE_DATE) *us = value->number * 86400 * 1000000;
    if (value->kind == NAIVE_INT) *us = value->number * 1000;
    return is_time(value) || value->kind == NAIVE_INT;
}

static int rank(const struct naive *value) {
    if (naive_is_number(value)) return NAIVE_INT;
    return is_time(value) ? NAIVE_TIME : (int)value->kind;
}

bool naive_comparable(const struct naive *a, const struct naive *b) {
    naive_i128 us;
    if (a->kind == NAIVE_NULL || b->kind == NAIVE_NULL) return false;
    if (rank(a) == rank(b)) return true;
    return (is_time(a) && instant(b, &us)) || (is_time(b) && instant(a, &us));
}

int naive_compare(const struct naive *a, const struct naive *b) {
    naive_i128 a_us, b_us;
    if ((is_time(a) || is_time(b)) && instant(a, &a_us) && instant(b, &b_us)) {
        return sign(a_us - b_us);
    }
    if (rank(a) != rank(b)) return rank(a) < rank(b) ? -1 : 1;
    if (naive_is_number(a)) return compare_numbers(a, b);
    if (a->kind == NAIVE_BOOL) return sign(a->number - b->number);
    if (a->kind == NAIVE_TEXT) return sign(strcmp(a->text, b->text));
    for (int i = 0; i < a->count && i < b->count; i++) {
        const struct naive *x = &a->items[i], *y = &b->items[i];
        if (a->kind == NAIVE_OBJECT && strcmp(x->key, y->key) != 0) {
            return sign(strcmp(x->key, y->key));
        }
        if (x->kind == NAIVE_NULL || y->kind == NAIVE_NULL) {
            if (x->kind == y->kind) continue;
            return x->kind == NAIVE_NULL ? -1 : 1;
        }
        const int order = naive_compare(x, y);
        if (order != 0) return order;
    }
    return sign(a->count - b->count);
}

static bool equal_objects(const struct naive *a, const struct naive *b) {
    static const struct naive missing;
    for (int i = 0; i < a->count; i++) {
        const struct naive *other = naive_member(b, a->items[i].key);
        if (!naive_equal(&a->items[i], other == NULL ? &missing : other)) return false;
    }
    return true;
}

bool naive_equal(const struct naive *a, const struct naive *b) {
    if (a->kind == NAIVE_NULL || b->kind == NAIVE_NULL) return a->kind == b->kind;
    if (!naive_comparable(a, b)) return false;
    if (a->kind == NAIVE_OBJECT) return equal_objects(a, b) && equal_objects(b, a);
    if (a->kind != NAIVE_LIST) return naive_compare(a, b) == 0;
    if (a->count != b->count) return false;
    for (int i = 0; i < a->count; i++) {
        if (!naive_equal(&a->items[i], &b->items[i])) return false;
    }
    return true;
}

// ---- reading ----------------------------------------------------------------------------------

static struct naive read_number(const char *text) {
    const char *point = strchr(text, '.');
    if (strpbrk(text, "eE") != NULL || strlen(text) > 38) return naive_real(strtod(text, NULL));
    struct naive value = {.kind = point == NULL ? NAIVE_INT : NAIVE_DECIMAL};
    for (const char *at = text; *at != '\0'; at++) {
        if (*at >= '0' && *at <= '9') value.number = value.number * 10 + (*at - '0');
    }
    if (point != NULL) value.scale = (int)strlen(point + 1);
    if (text[0] == '-') value.number = -value.number;
    return value;
}

static struct naive read_items(const struct pq_json *json,
                               struct naive read(const struct pq_json *)) {
    const bool is_list = pq_json_kind(json) == PQ_JSON_LIST;
    struct naive value = naive_list((int)pq_json_count(json));
    value.kind = is_list ? NAIVE_LIST : NAIVE_OBJECT;
    const struct pq_json *at = value.count > 0 ? pq_json_first(json) : NULL;
    for (int i = 0; i < value.count; i++) {
        const char *key = is_list ? NULL : naive_text("%s", pq_json_text(at).data);
        if (!is_list) at = pq_json_next(at);
        value.items[i] = read(at);
        value.items[i].key = key;
        at = pq_json_next(at);
    }
    return value;
}

static struct naive read_plain(const struct pq_json *json,
                               struct naive read(const struct pq_json *)) {
    struct naive value = {0};
    switch (pq_json_kind(json)) {
    case PQ_JSON_NULL: return value;
    case PQ_JSON_BOOL: return (struct naive){.kind = NAIVE_BOOL, .number = pq_json_bool(json)};
    case PQ_JSON_INT: return naive_int(pq_json_int(json));
    case PQ_JSON_REAL: return naive_real(pq_json_real(json));
    case PQ_JSON_NUMBER: return read_number(pq_json_text(json).data);
    case PQ_JSON_TEXT:
        value.kind = NAIVE_TEXT;
        value.text = naive_copy(pq_json_text(json).data, pq_json_text(json).length);
        return value;
    case PQ_JSON_LIST:
    case PQ_JSON_OBJECT: break;
    }
    return read_items(json, read);
}

struct naive naive_literal(const struct pq_json *json) {
    struct naive value = read_plain(json, naive_literal);
    value.is_literal = naive_is_number(&value);
    return value;
}

static int by_key(const void *a, const void *b) {
    return strcmp(((const struct naive *)a)->key, ((const struct naive *)b)->key);
}

/// In a variant: whole numbers are ints, all others doubles; keys in byte order.
static struct naive read_variant(const struct pq_json *json) {
    struct naive value = read_plain(json, read_variant);
    if (value.kind == NAIVE_DECIMAL) value = naive_real(strtod(pq_json_text(json).data, NULL));
    if (value.kind == NAIVE_OBJECT) {
        qsort(value.items, (size_t)value.count, sizeof *value.items, by_key);
    }
    return value;
}

static struct naive rescale(const struct naive *value, int scale) {
    struct naive made = {.kind = NAIVE_DECIMAL, .scale = scale, .number = value->number};
    naive_i128 unit = 1;
    for (int i = scale_of(value); i < scale; i++) made.number *= 10;
    for (int i = scale; i < scale_of(value); i++) unit *= 10;
    // Half to even.
    naive_i128 whole = made.number / unit, rest = made.number % unit;
    if (rest < 0) rest = -rest;
    if (rest * 2 > unit || (rest * 2 == unit && whole % 2 != 0)) whole += sign(made.number);
    made.number = whole;
    return made;
}

static struct naive convert_object(const struct naive_type *type, const struct naive *value) {
    struct naive made = naive_list(type->member_count);
    made.kind = NAIVE_OBJECT;
    for (int i = 0; i < type->member_count; i++) {
        const struct naive *member = naive_member(value, type->members[i].name);
        if (member != NULL) made.items[i] = naive_convert(type->members[i].type, member);
        made.items[i].key = type->members[i].name;
    }
    return made;
}

struct naive naive_convert(const struct naive_type *type, const struct naive *value) {
    struct naive made = *value;
    made.is_literal = false;
    if (type->kind == NAIVE_NULL || value->kind == NAIVE_NULL) return made;
    if (type->kind == NAIVE_OBJECT) return convert_object(type, value);
    if (type->kind == NAIVE_LIST) {
        made = naive_list(value->count);
        for (int i = 0; i < value->count; i++) {
            made.items[i] = naive_convert(type->element, &value->items[i]);
        }
    } else if (type->kind == NAIVE_DECIMAL) {
        made = rescale(value, type->scale);
    } else if (type->kind == NAIVE_REAL && value->kind != NAIVE_REAL) {
        const struct naive_big big = naive_big_of(value->number);
        made = naive_real(naive_big_round(&big, 0, scale_of(value)));
    } else if (type->kind == NAIVE_DATE || type->kind == NAIVE_TIME) {
        made = (struct naive){.kind = type->kind};
        if (!instant(value, &made.number)) return (struct naive){0};
        if (type->kind == NAIVE_DATE) made.number /= (naive_i128)86400 * 1000000;
    } else if (type->link != NULL) {
        const size_t length = strlen(type->link);
        if (strncasecmp(value->text, type->link, length) == 0 && value->text[length] == '/') {
            made.text += length + 1;
        }
    }
    return made;
}

struct naive naive_read(const struct naive_type *type, const struct pq_json *json) {
    if (type->kind == NAIVE_NULL) return read_variant(json);
    const struct naive value = naive_literal(json);
    if (type->kind == NAIVE_REAL && pq_json_kind(json) == PQ_JSON_NUMBER) {
        return naive_real(strtod(pq_json_text(json).data, NULL));
    }
    return naive_convert(type, &value);
}

// ---- printing ---------------------------------------------------------------------------------

static void print_time(naive_i128 us, struct pq_bytes *out) {
    naive_i128 part = us % 1000000;
    if (part < 0) part += 1000000;
    const time_t seconds = (time_t)((us - part) / 1000000);
    struct tm utc;
    char text[32];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    const bool is_ms = part % 1000 == 0;
    pq_bytes_printf(out, NULL, "\"%s.%0*dZ\"", text, is_ms ? 3 : 6,
                    (int)(is_ms ? part / 1000 : part));
}

static void print_date(naive_i128 days, struct pq_bytes *out) {
    const time_t seconds = (time_t)days * 86400;
    struct tm utc;
    char text[32];
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%d", &utc);
    pq_bytes_printf(out, NULL, "\"%s\"", text);
}

static void print_digits(naive_i128 number, int scale, struct pq_bytes *out) {
    char digits[64];
    int count = 0;
    const bool negative = number < 0;
    do {
        const int digit = (int)(number % 10);
        digits[count++] = (char)('0' + (digit < 0 ? -digit : digit));
        number /= 10;
    } while (number != 0 || count <= scale);
    if (negative) pq_bytes_append_byte(out, '-', NULL);
    while (count > 0) {
        if (count == scale) pq_bytes_append_byte(out, '.', NULL);
        pq_bytes_append_byte(out, (uint8_t)digits[--count], NULL);
    }
}

void naive_print(const struct naive *value, struct pq_bytes *out) {
    switch (value->kind) {
    case NAIVE_NULL: pq_bytes_append_text(out, PQ_TEXT("null"), NULL); return;
    case NAIVE_BOOL: pq_bytes_printf(out, NULL, "%s", value->number ? "true" : "false"); return;
    case NAIVE_INT: print_digits(value->number, 0, out); return;
    case NAIVE_DECIMAL: print_digits(value->number, value->scale, out); return;
    case NAIVE_REAL: pq_json_write_real(out, value->real, NULL); return;
    case NAIVE_DATE: print_date(value->number, out); return;
    case NAIVE_TIME: print_time(value->number, out); return;
    case NAIVE_TEXT: pq_json_write_text(out, pq_text_of(value->text), NULL); return;
    case NAIVE_LIST:
    case NAIVE_OBJECT: break;
    }
    const bool is_list = value->kind == NAIVE_LIST;
    pq_bytes_append_byte(out, is_list ? '[' : '{', NULL);
    for (int i = 0; i < value->count; i++) {
        if (i > 0) pq_bytes_append_byte(out, ',', NULL);
        if (!is_list) {
            pq_json_write_text(out, pq_text_of(value->items[i].key), NULL);
            pq_bytes_append_byte(out, ':', NULL);
        }
        naive_print(&value->items[i], out);
    }
    pq_bytes_append_byte(out, is_list ? ']' : '}', NULL);
}

const char *naive_printed(const struct naive *value) {
    struct pq_bytes out;
    pq_bytes_init(&out, &memory->alloc);
    naive_print(value, &out);
    pq_bytes_append_byte(&out, '\0', NULL);
    return (const char *)out.data;
}

const char *naive_row_text(const struct naive_table *table, const struct naive_row *row) {
    struct pq_bytes out;
    pq_bytes_init(&out, &memory->alloc);
    pq_bytes_append_text(&out, PQ_TEXT("{\"$id\":"), NULL);
    pq_json_write_text(&out, pq_text_of(row->id), NULL);
    for (int k = 0; k < table->column_count; k++) {
        if (naive_is_inverse(table->columns[k].type)) continue;
        pq_bytes_append_byte(&out, ',', NULL);
        pq_json_write_text(&out, pq_text_of(table->columns[k].name), NULL);
        pq_bytes_append_byte(&out, ':', NULL);
        naive_print(&row->cells[k], &out);
    }
    for (int k = 0; row->extra.kind == NAIVE_OBJECT && k < row->extra.count; k++) {
        pq_bytes_append_byte(&out, ',', NULL);
        pq_json_write_text(&out, pq_text_of(row->extra.items[k].key), NULL);
        pq_bytes_append_byte(&out, ':', NULL);
        naive_print(&row->extra.items[k], &out);
    }
    pq_bytes_append_text(&out, PQ_TEXT("}"), NULL);
    pq_bytes_append_byte(&out, '\0', NULL);
    return (const char *)out.data;
}
