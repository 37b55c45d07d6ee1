#include "view/cron.h"

#include "base/fail.h"

enum { field_count = 5, minute = 0, hour = 1, day = 2, month = 3, weekday = 4 };

struct field {
    const char *title;
    unsigned low, high;
    const char *names;     // three letters each, from `name_base` on
    unsigned name_base;
};

static const struct field fields[field_count] = {
    {"minute", 0, 59, "", 0},
    {"hour", 0, 23, "", 0},
    {"day of month", 1, 31, "", 0},
    {"month", 1, 12, "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC", 1},
    {"day of week", 0, 7, "SUNMONTUEWEDTHUFRISAT", 0},
};

static const struct {
    const char *name, *fields;
} macros[] = {
    {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"},  {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
    {"@annually", "0 0 1 1 *"},
};
enum { macro_count = sizeof macros / sizeof *macros };

/// What is left of one field.
struct rest {
    const char *at, *end;
};

static bool take(struct rest *rest, char c) {
    if (rest->at == rest->end || *rest->at != c) return false;
    rest->at++;
    return true;
}

static char upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c; }

static bool take_name(struct rest *rest, const struct field *field, unsigned *value) {
    if (rest->end - rest->at < 3) return false;
    for (unsigned k = 0; field->names[k] != '\0'; k += 3) {
        if (upper(rest->at[0]) != field->names[k] || upper(rest->at[1]) != field->names[k + 1] ||
            upper(rest->at[2]) != field->names[k + 2]) {
            continue;
        }
        rest->at += 3;
        *value = field->name_base + k / 3;
        return true;
    }
    return false;
}

static bool take_number(struct rest *rest, unsigned *value) {
    const char *start = rest->at;
    unsigned number = 0;
    while (rest->at < rest->end && *rest->at >= '0' && *rest->at <= '9') {
        if (number < 1000) number = number * 10 + (unsigned)(*rest->at - '0');
        rest->at++;
    }
    if (rest->at == start) return false;
    *value = number;
    return true;
}

static pqdb_code take_value(struct rest *rest, const struct field *field, unsigned *value,
                            pqdb_error *err) {
    if (take_name(rest, field, value)) return PQDB_OK;
    if (!take_number(rest, value)) {
        const char *kind = field->names[0] == '\0' ? "" : " or name";
        if (rest->at == rest->end) {
            return pq_fail(err, PQDB_INVALID, "%s: a number%s is missing at its end", field->title,
                           kind);
        }
        return pq_fail(err, PQDB_INVALID, "%s: a number%s is missing at '%.*s'", field->title, kind,
                       (int)(rest->end - rest->at), rest->at);
    }
    if (*value < field->low || *value > field->high) {
        return pq_fail(err, PQDB_INVALID, "%s: %u is not between %u and %u", field->title, *value,
                       field->low, field->high);
    }
    return PQDB_OK;
}

/// One item of a list: `*`, `a`, `a-b`, each perhaps with `/n`.
static pqdb_code take_item(struct rest *rest, const struct field *field, uint64_t *bits,
                           pqdb_error *err) {
    unsigned first = field->low;
    unsigned last = field == &fields[weekday] ? 6 : field->high;
    unsigned step = 1;
    if (!take(rest, '*')) {
        const unsigned open_end = last;
        PQ_TRY(take_value(rest, field, &first, err));
        last = first;
        if (take(rest, '-')) {
            PQ_TRY(take_value(rest, field, &last, err));
            if (field == &fields[weekday] && last == 0 && first > 0) last = 7;  // FRI-SUN
            if (last < first) {
                return pq_fail(err, PQDB_INVALID, "%s: the range %u-%u runs backwards",
                               field->title, first, last);
            }
        } else if (rest->at < rest->end && *rest->at == '/') {
            last = open_end < first ? first : open_end;
        }
    }
    if (take(rest, '/')) {
        if (!take_number(rest, &step) || step == 0) {
            return pq_fail(err, PQDB_INVALID, "%s: after '/' comes a step of at least 1",
                           field->title);
        }
    }
    for (unsigned value = first; value <= last; value += step) *bits |= UINT64_C(1) << value;
    return PQDB_OK;
}

static pqdb_code parse_field(struct pq_text text, const struct field *field, uint64_t *bits,
                             pqdb_error *err) {
    struct rest rest = {text.data, text.data + text.length};
    *bits = 0;
    do {
        PQ_TRY(take_item(&rest, field, bits, err));
    } while (take(&rest, ','));
    if (rest.at < rest.end) {
        return pq_fail(err, PQDB_INVALID, "%s: '%.*s' cannot be read", field->title,
                       PQ_TEXT_ARG(text));
    }
    return PQDB_OK;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

/// How many fields there are; the first five are kept.
static size_t split(struct pq_text text, struct pq_text parts[field_count]) {
    size_t count = 0;
    size_t at = 0;
    for (;;) {
        while (at < text.length && is_blank(text.data[at])) at++;
        if (at == text.length) return count;
        const size_t start = at;
        while (at < text.length && !is_blank(text.data[at])) at++;
        if (count < field_count) {
            parts[count] = (struct pq_text){text.data + start, at - start};
        }
        count++;
    }
}

bool pq_cron_has_day(const struct pq_cron *cron, int month_number, int day_number,
                     int weekday_number) {
    if ((cron->months >> month_number & 1) == 0) return false;
    const bool suits_day = (cron->days >> day_number & 1) != 0;
    const bool suits_weekday = (cron->weekdays >> weekday_number & 1) != 0;
    if (cron->day_is_star || cron->weekday_is_star) return suits_day && suits_weekday;
    return suits_day || suits_weekday;
}

/// 30 February never comes. Every date that exists falls on every weekday in some year.
static bool comes_round(const struct pq_cron *cron) {
    static const int longest[13] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (int m = 1; m <= 12; m++) {
        for (int d = 1; d <= longest[m]; d++) {
            for (int w = 0; w < 7; w++) {
                if (pq_cron_has_day(cron, m, d, w)) return true;
            }
        }
    }
    return false;
}

static pqdb_code expand_macro(struct pq_text *text, pqdb_error *err) {
    const char *names[macro_count];
    for (size_t k = 0; k < macro_count; k++) {
        names[k] = macros[k].name;
        if (!pq_text_is(*text, macros[k].name)) continue;
        *text = pq_text_of(macros[k].fields);
        return PQDB_OK;
    }
    if (pq_text_is(*text, "@reboot")) {
        return pq_fail(err, PQDB_INVALID, "@reboot is no time: a database does not boot");
    }
    const char *nearest = pq_text_nearest(*text, names, macro_count);
    if (nearest == NULL) {
        return pq_fail(err, PQDB_INVALID, "'%.*s' is no schedule: there are @hourly @daily "
                       "@midnight @weekly @monthly @yearly @annually", PQ_TEXT_ARG(*text));
    }
    return pq_fail(err, PQDB_INVALID, "'%.*s' is no schedule: did you mean %s?",
                   PQ_TEXT_ARG(*text), nearest);
}

/// "hourly", "every hour", six fields of which the first are seconds.
static pqdb_code refuse_count(struct pq_text first, size_t count, pqdb_error *err) {
    for (size_t k = 0; count == 1 && k < macro_count; k++) {
        if (!pq_text_is(first, macros[k].name + 1)) continue;
        return pq_fail(err, PQDB_INVALID, "'%s' begins with an '@'", macros[k].name);
    }
    return pq_fail(err, PQDB_INVALID,
                   "a schedule has five fields (minute hour day month weekday), not %zu%s", count,
                   count == 6 ? ": there are no seconds" : "");
}

pqdb_code pq_cron_parse(struct pq_text text, struct pq_cron *cron, pqdb_error *err) {
    struct pq_text parts[field_count];
    uint64_t bits[field_count];
    size_t count = split(text, parts);
    if (count == 1 && parts[0].data[0] == '@') {
        text = parts[0];
        PQ_TRY(expand_macro(&text, err));
        count = split(text, parts);
    }
    if (count != field_count) return refuse_count(parts[0], count, err);
    for (size_t k = 0; k < field_count; k++) {
        PQ_TRY(parse_field(parts[k], &fields[k], &bits[k], err));
    }
    const struct pq_cron parsed = {
        .minutes = bits[minute],
        .hours = (uint32_t)bits[hour],
        .days = (uint32_t)bits[day],
        .months = (uint16_t)bits[month],
        .weekdays = (uint8_t)((bits[weekday] | bits[weekday] >> 7) & 0x7F),
        .follows_clock = parts[minute].data[0] == '*' || parts[hour].data[0] == '*',
        .day_is_star = parts[day].data[0] == '*',
        .weekday_is_star = parts[weekday].data[0] == '*',
    };
    if (!comes_round(&parsed)) {
        return pq_fail(err, PQDB_INVALID, "day of month: none of its months has such a day");
    }
    *cron = parsed;
    return PQDB_OK;
}
