/// One zone: instants at which its offset changes, and a rule for the time after the last of them
/// (the POSIX TZ text in a TZif file's footer). Invariant: instants ascend strictly, and each
/// offset differs from the one before.
///
///     TZif, big-endian (RFC 9636): header, data with 32-bit times (skipped), header, data, footer;
///     of version 1, NUL, only the first two
///     header  4 "TZif"   1 version NUL, '2' and up   15 unused
///             6 × 4 counts: isut, isstd, leap, time, type, char
///     data    time × 8 instants, time × 1 type of each, type × 6 (i32 offset, u8 dst, u8 name),
///             char × 1, leap × 12, isstd × 1, isut × 1
///     footer  newline, TZ text, newline
#include "base/zone.h"

#include <string.h>

#include "base/bytes.h"
#include "base/fail.h"
#include "base/time.h"

enum {
    header_bytes = 44,
    second_max = 26 * 3600,  // no offset is further from Greenwich
    day_seconds = 86400,
};

/// When in a year the clock changes: POSIX `Mm.w.d`, `Jn` or `n`, and a time.
struct change {
    enum { CHANGE_WEEKDAY, CHANGE_JULIAN, CHANGE_DAY } form;
    int month, week, weekday;  // CHANGE_WEEKDAY; Sunday is 0, week 5 the last
    int day;                   // JULIAN: 1 to 365, February 29 not counted; DAY: 0 to 365
    int32_t time_s;            // on the clock before the change; -167 h to 167 h
};

struct rule {
    bool is_given;
    bool has_summer;
    int32_t offset_s, summer_offset_s;
    struct change start, end;  // of summer time
};

struct pq_zone {
    const struct pq_alloc *alloc;
    char *name;         // owned
    size_t name_bytes;  // with its NUL
    size_t count;       // of changes
    size_t capacity;
    int64_t *at_s;           // owned
    int32_t *offset_s;       // owned; offset_s[i] holds from at_s[i] on
    int32_t first_offset_s;  // before at_s[0]
    struct rule rule;
};

// ---- the rule in the footer -------------------------------------------------------------------

static bool take_char(struct pq_text *text, char c) {
    if (text->length == 0 || *text->data != c) return false;
    text->data++;
    text->length--;
    return true;
}

static bool take_number(struct pq_text *text, int max, int *number) {
    int value = 0;
    size_t digits = 0;
    while (text->length > 0 && *text->data >= '0' && *text->data <= '9' && digits < 4) {
        value = value * 10 + (*text->data - '0');
        take_char(text, *text->data);
        digits++;
    }
    *number = value;
    return digits > 0 && value <= max;
}

/// Three or more letters, or anything in angle brackets.
static bool take_name(struct pq_text *text) {
    if (take_char(text, '<')) {
        while (text->length > 0 && *text->data != '>') take_char(text, *text->data);
        return take_char(text, '>');
    }
    size_t length = 0;
    while (text->length > 0 && ((*text->data | 0x20) >= 'a' && (*text->data | 0x20) <= 'z')) {
        take_char(text, *text->data);
        length++;
    }
    return length >= 3;
}

/// [+-]hh[:mm[:ss]]
static bool take_clock(struct pq_text *text, int hour_max, int32_t *seconds) {
    const int sign = text->length > 0 && *text->data == '-' ? -1 : 1;
    int hour, minute = 0, second = 0;
    if (!take_char(text, '-')) take_char(text, '+');
    if (!take_number(text, hour_max, &hour)) return false;
    if (take_char(text, ':')) {
        if (!take_number(text, 59, &minute)) return false;
        if (take_char(text, ':') && !take_number(text, 59, &second)) return false;
    }
    *seconds = sign * (hour * 3600 + minute * 60 + second);
    return true;
}

static bool take_change(struct pq_text *text, struct change *change) {
    *change = (struct change){.time_s = 2 * 3600};
    if (take_char(text, 'M')) {
        change->form = CHANGE_WEEKDAY;
        if (!take_number(text, 12, &change->month) || change->month == 0) return false;
        if (!take_char(text, '.') || !take_number(text, 5, &change->week)) return false;
        if (change->week == 0 || !take_char(text, '.')) return false;
        if (!take_number(text, 6, &change->weekday)) return false;
    } else if (take_char(text, 'J')) {
        change->form = CHANGE_JULIAN;
        if (!take_number(text, 365, &change->day) || change->day == 0) return false;
    } else {
        change->form = CHANGE_DAY;
        if (!take_number(text, 365, &change->day)) return false;
    }
    return !take_char(text, '/') || take_clock(text, 167, &change->time_s);
}

/// `CET-1CEST,M3.5.0,M10.5.0/3`; POSIX counts offsets west of Greenwich, we count them east.
static bool parse_rule(struct pq_text text, struct rule *rule) {
    *rule = (struct rule){.is_given = text.length > 0};
    if (!rule->is_given) return true;
    int32_t west;
    if (!take_name(&text) || !take_clock(&text, 24, &west)) return false;
    rule->offset_s = -west;
    if (text.length == 0) return true;
    rule->has_summer = true;
    rule->summer_offset_s = rule->offset_s + 3600;
    if (!take_name(&text)) return false;
    if (text.length > 0 && *text.data != ',') {
        if (!take_clock(&text, 24, &west)) return false;
        rule->summer_offset_s = -west;
    }
    return take_char(&text, ',') && take_change(&text, &rule->start) && take_char(&text, ',') &&
           take_change(&text, &rule->end) && text.length == 0;
}

/// Seconds since 1970 on the wall's clock.
static int64_t change_local(const struct change *change, int64_t year) {
    int64_t day;
    if (change->form == CHANGE_WEEKDAY) {
        const int64_t first = pq_days_from_civil(year, change->month, 1);
        const int weekday_of_first = (pq_weekday(first) + 1) % 7;  // Sunday 0, as POSIX has it
        int in_month = (change->weekday - weekday_of_first + 7) % 7 + (change->week - 1) * 7;
        while (in_month >= pq_days_in_month(year, change->month)) in_month -= 7;
        day = first + in_month;
    } else {
        const bool skips_leap_day = change->form == CHANGE_JULIAN && change->day >= 60 &&
                                    pq_days_in_month(year, 2) == 29;
        day = pq_days_from_civil(year, 1, 1) + change->day - (change->form == CHANGE_JULIAN) +
              skips_leap_day;
    }
    return day * day_seconds + change->time_s;
}

static struct pq_zone_span rule_span(const struct rule *rule, int64_t instant_s) {
    struct pq_zone_span span = {INT64_MIN, INT64_MAX, rule->offset_s};
    if (!rule->has_summer) return span;
    const int64_t year = pq_civil_from_days(pq_floor_div(instant_s, day_seconds)).year;
    for (int64_t y = year - 1; y <= year + 1; y++) {
        const int64_t instants[] = {change_local(&rule->end, y) - rule->summer_offset_s,
                                    change_local(&rule->start, y) - rule->offset_s};
        for (int k = 0; k < 2; k++) {  // the start last: on the same instant, summer time holds
            if (instants[k] <= instant_s && instants[k] >= span.from_s) {
                span.from_s = instants[k];
                span.offset_s = k == 0 ? rule->offset_s : rule->summer_offset_s;
            }
            if (instants[k] > instant_s && instants[k] < span.until_s) span.until_s = instants[k];
        }
    }
    return span;
}

// ---- asking -----------------------------------------------------------------------------------

const char *pq_zone_name(const struct pq_zone *zone) { return zone->name; }

struct pq_zone_span pq_zone_span_at(const struct pq_zone *zone, int64_t instant_s) {
    size_t low = 0, high = zone->count;  // the first change after the instant
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (zone->at_s[middle] <= instant_s) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const int64_t from = low == 0 ? INT64_MIN : zone->at_s[low - 1];
    const int64_t years_max = INT64_C(200000000000) * 31;  // beyond, the calendar's rule is moot
    if (low == zone->count && zone->rule.is_given && instant_s < years_max &&
        instant_s > -years_max) {
        struct pq_zone_span span = rule_span(&zone->rule, instant_s);
        if (span.from_s < from) span.from_s = from;
        return span;
    }
    return (struct pq_zone_span){from, low == zone->count ? INT64_MAX : zone->at_s[low],
                                 low == 0 ? zone->first_offset_s : zone->offset_s[low - 1]};
}

int32_t pq_zone_offset(const struct pq_zone *zone, int64_t instant_s) {
    return pq_zone_span_at(zone, instant_s).offset_s;
}

struct pq_zone_instants pq_zone_instants_of(const struct pq_zone *zone, int64_t local_s) {
    struct pq_zone_instants found = {0};
    const int64_t bound = INT64_MAX / 4;  // far from overflow; no clock shows it
    if (local_s > bound) local_s = bound;
    if (local_s < -bound) local_s = -bound;
    int64_t at = local_s - second_max;
    bool skipped = false;
    int64_t skipped_s = local_s;
    while (at <= local_s + second_max) {
        const struct pq_zone_span span = pq_zone_span_at(zone, at);
        const int64_t instant = local_s - span.offset_s;
        if (instant >= span.from_s && instant < span.until_s) {
            if (found.count == 0) found.first_s = instant;
            found.last_s = instant;
            found.count += found.count < 2;
        } else if (!skipped && instant >= span.until_s) {
            const int32_t after = pq_zone_offset(zone, span.until_s);
            skipped = local_s - after < span.until_s;
            if (skipped) skipped_s = instant;
        }
        if (span.until_s == INT64_MAX) break;
        at = span.until_s;
    }
    if (found.count == 0) found.first_s = found.last_s = skipped_s;
    return found;
}

// ---- reading ----------------------------------------------------------------------------------

static uint32_t big_u32(const uint8_t *at) { return __builtin_bswap32(pq_load_u32(at)); }
static int64_t big_i64(const uint8_t *at) { return (int64_t)__builtin_bswap64(pq_load_u64(at)); }

struct counts {
    size_t isut, isstd, leap, time, type, name;
};

static bool take_header(struct pq_cursor *cursor, struct counts *counts, uint8_t *version) {
    const uint8_t *header = pq_cursor_take(cursor, header_bytes);
    if (header == NULL || memcmp(header, "TZif", 4) != 0) return false;
    *version = header[4];
    *counts = (struct counts){big_u32(header + 20), big_u32(header + 24), big_u32(header + 28),
                              big_u32(header + 32), big_u32(header + 36), big_u32(header + 40)};
    return true;
}

static size_t data_bytes(const struct counts *counts, size_t time_bytes) {
    return counts->time * (time_bytes + 1) + counts->type * 6 + counts->name +
           counts->leap * (time_bytes + 4) + counts->isstd + counts->isut;
}

static pqdb_code corrupt(const struct pq_cursor *cursor, struct pq_text bytes, const char *what,
                         pqdb_error *err) {
    pq_fail(err, PQDB_CORRUPT, "time zone file: %s", what);
    if (err != NULL) err->offset = (int64_t)(cursor->at - (const uint8_t *)bytes.data);
    return PQDB_CORRUPT;
}

static pqdb_code read_changes(struct pq_zone *zone, const struct counts *counts,
                              size_t time_bytes, const uint8_t *data, pqdb_error *err) {
    const uint8_t *indexes = data + counts->time * time_bytes;
    const uint8_t *types = indexes + counts->time;
    int32_t offsets[256];
    for (size_t i = 0; i < counts->type; i++) {
        offsets[i] = (int32_t)big_u32(types + i * 6);
        if (offsets[i] <= -second_max || offsets[i] >= second_max) {
            return pq_fail(err, PQDB_CORRUPT, "time zone file: an offset of more than 26 hours");
        }
    }
    zone->first_offset_s = offsets[0];
    int32_t offset = offsets[0];
    int64_t before = INT64_MIN;
    for (size_t i = 0; i < counts->time; i++) {
        const int64_t at =
            time_bytes == 8 ? big_i64(data + i * 8) : (int32_t)big_u32(data + i * 4);
        if (indexes[i] >= counts->type || (i > 0 && at <= before)) {
            return pq_fail(err, PQDB_CORRUPT, "time zone file: change %zu is out of order", i);
        }
        before = at;
        if (offsets[indexes[i]] == offset) continue;  // only its name or its being summer changed
        offset = offsets[indexes[i]];
        zone->at_s[zone->count] = at;
        zone->offset_s[zone->count++] = offset;
    }
    return PQDB_OK;
}

/// The data behind a header: its times are as wide as its version has them.
static pqdb_code read_data(struct pq_zone *zone, struct pq_cursor *cursor, struct pq_text bytes,
                           const struct counts *counts, size_t time_bytes, pqdb_error *err) {
    if (counts->leap > 0) {
        return pq_fail(err, PQDB_UNSUPPORTED, "time zone file counts leap seconds");
    }
    if (counts->type == 0 || counts->type > 256) {
        return corrupt(cursor, bytes, "needs 1 to 256 kinds of time", err);
    }
    const uint8_t *data = pq_cursor_take(cursor, data_bytes(counts, time_bytes));
    if (data == NULL) return corrupt(cursor, bytes, "ends too early", err);
    if (counts->time > 0) {
        zone->at_s = pq_resize(zone->alloc, NULL, 0, counts->time, sizeof *zone->at_s);
        zone->offset_s = pq_resize(zone->alloc, NULL, 0, counts->time, sizeof *zone->offset_s);
        zone->capacity = counts->time;
        if (zone->at_s == NULL || zone->offset_s == NULL) {
            return pq_fail(err, PQDB_NO_MEMORY, "time zone");
        }
    }
    return read_changes(zone, counts, time_bytes, data, err);
}

static pqdb_code read_footer(struct pq_zone *zone, const struct pq_cursor *cursor,
                             struct pq_text bytes, pqdb_error *err) {
    struct pq_text footer = {(const char *)cursor->at, pq_cursor_left(cursor)};
    const char *end = footer.length > 1 ? memchr(footer.data + 1, '\n', footer.length - 1) : NULL;
    if (!take_char(&footer, '\n') || end == NULL) {
        return corrupt(cursor, bytes, "has no footer", err);
    }
    footer.length = (size_t)(end - footer.data);
    if (!parse_rule(footer, &zone->rule)) {
        return corrupt(cursor, bytes, "the rule in the footer is not POSIX TZ", err);
    }
    return PQDB_OK;
}

static pqdb_code read_file(struct pq_zone *zone, struct pq_text bytes, pqdb_error *err) {
    struct pq_cursor cursor = pq_cursor_of(bytes.data, bytes.length);
    struct counts counts;
    uint8_t version;
    if (!take_header(&cursor, &counts, &version)) {
        return corrupt(&cursor, bytes, "does not begin with a TZif header", err);
    }
    if (version < '2') return read_data(zone, &cursor, bytes, &counts, 4, err);
    pq_cursor_take(&cursor, data_bytes(&counts, 4));
    if (!take_header(&cursor, &counts, &version)) {
        return corrupt(&cursor, bytes, "the second header is missing", err);
    }
    PQ_TRY(read_data(zone, &cursor, bytes, &counts, 8, err));
    return read_footer(zone, &cursor, bytes, err);
}

pqdb_code pq_zone_parse(struct pq_text name, struct pq_text bytes, const struct pq_alloc *alloc,
                        struct pq_zone **zone, pqdb_error *err) {
    struct pq_zone *fresh = pq_resize(alloc, NULL, 0, 1, sizeof *fresh);
    if (fresh == NULL) return pq_fail(err, PQDB_NO_MEMORY, "time zone");
    *fresh = (struct pq_zone){.alloc = alloc};
    pqdb_code code = PQDB_OK;
    fresh->name = pq_resize(alloc, NULL, 0, name.length + 1, 1);
    if (fresh->name == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "time zone");
        goto done;
    }
    if (name.length > 0) memcpy(fresh->name, name.data, name.length);
    fresh->name[name.length] = '\0';
    fresh->name_bytes = name.length + 1;
    PQ_GO(read_file(fresh, bytes, err));
    *zone = fresh;
done:
    if (code != PQDB_OK) pq_zone_destroy(fresh);
    return code;
}

void pq_zone_destroy(struct pq_zone *zone) {
    if (zone == NULL) return;
    pq_free(zone->alloc, zone->at_s, zone->capacity, sizeof *zone->at_s);
    pq_free(zone->alloc, zone->offset_s, zone->capacity, sizeof *zone->offset_s);
    pq_free(zone->alloc, zone->name, zone->name_bytes, 1);
    pq_free(zone->alloc, zone, 1, sizeof *zone);
}
