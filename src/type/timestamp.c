/// ISO 8601 text is taken off the front piece by piece; what is left at the end is a mistake.
#include "type/timestamp.h"

#include "base/check.h"
#include "base/zone.h"

int64_t pq_days_of_timestamp(int64_t timestamp_us) {
    return pq_floor_div(timestamp_us, PQ_US_PER_DAY);
}

// ---- reading ---------------------------------------------------------------------------------

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Exactly `count` digits off the front of `text`.
static bool take_number(struct pq_text *text, size_t count, int *number) {
    if (text->length < count) return false;
    int value = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_digit(text->data[i])) return false;
        value = value * 10 + (text->data[i] - '0');
    }
    text->data += count;
    text->length -= count;
    *number = value;
    return true;
}

static bool take_char(struct pq_text *text, char c) {
    if (text->length == 0 || text->data[0] != c) return false;
    text->data++;
    text->length--;
    return true;
}

/// YYYY-MM-DD, or a sign and six digits of year.
static bool take_date(struct pq_text *text, int64_t *days) {
    int year, month, day, sign = 1;
    size_t year_digits = 4;
    if (text->length > 0 && (*text->data == '+' || *text->data == '-')) {
        sign = *text->data == '-' ? -1 : 1;
        take_char(text, *text->data);
        year_digits = 6;
    }
    if (!take_number(text, year_digits, &year) || !take_char(text, '-') ||
        !take_number(text, 2, &month) || !take_char(text, '-') || !take_number(text, 2, &day)) {
        return false;
    }
    if (month < 1 || month > 12 || day < 1) return false;
    if (day > pq_days_in_month(sign * year, month)) return false;
    *days = pq_days_from_civil(sign * year, month, day);
    return true;
}

/// `.123`, up to nine digits, into microseconds.
static bool take_fraction(struct pq_text *text, int64_t *us) {
    *us = 0;
    if (!take_char(text, '.') && !take_char(text, ',')) return true;
    int digits = 0;
    for (; text->length > 0 && is_digit(*text->data); digits++) {
        if (digits < 6) *us = *us * 10 + (*text->data - '0');
        take_char(text, *text->data);
    }
    for (int i = digits; i < 6; i++) *us *= 10;
    return digits >= 1 && digits <= 9;
}

/// hh:mm[:ss[.f]]; 24:00 only where `end_allowed`.
static bool take_time(struct pq_text *text, bool end_allowed, int64_t *time_us) {
    int hour, minute, second = 0;
    int64_t fraction = 0;
    if (!take_number(text, 2, &hour) || !take_char(text, ':') || !take_number(text, 2, &minute)) {
        return false;
    }
    const bool has_seconds = take_char(text, ':');
    if (has_seconds && (!take_number(text, 2, &second) || !take_fraction(text, &fraction))) {
        return false;
    }
    if (minute > 59 || second > 59 || hour > 24) return false;
    *time_us = hour * PQ_US_PER_HOUR + minute * PQ_US_PER_MINUTE + second * PQ_US_PER_SECOND +
               fraction;
    return *time_us < PQ_US_PER_DAY || (end_allowed && *time_us == PQ_US_PER_DAY);
}

/// Z, ±hh:mm, ±hhmm, ±hh or nothing.
static bool take_zone(struct pq_text *text, int64_t *offset_us) {
    *offset_us = 0;
    if (text->length == 0 || take_char(text, 'Z') || take_char(text, 'z')) return true;
    const int sign = *text->data == '-' ? -1 : 1;
    int hours, minutes = 0;
    if (!take_char(text, '+') && !take_char(text, '-')) return false;
    if (!take_number(text, 2, &hours)) return false;
    if (text->length > 0) {
        take_char(text, ':');
        if (!take_number(text, 2, &minutes)) return false;
    }
    *offset_us = sign * (hours * PQ_US_PER_HOUR + minutes * PQ_US_PER_MINUTE);
    return hours <= 23 && minutes <= 59;
}

bool pq_date_parse(struct pq_text text, int32_t *days) {
    int64_t value;
    if (!take_date(&text, &value) || text.length > 0) return false;
    *days = (int32_t)value;  // six digits of year are 365 million days
    return true;
}

bool pq_time_parse(struct pq_text text, int64_t *time_us) {
    int64_t value;
    if (!take_time(&text, false, &value) || text.length > 0) return false;
    *time_us = value;
    return true;
}

bool pq_timestamp_parse(struct pq_text text, int64_t *timestamp_us) {
    int64_t days, time = 0, offset = 0;
    if (!take_date(&text, &days)) return false;
    if (text.length > 0) {
        if (strchr("Tt ", *text.data) == NULL || !take_char(&text, *text.data)) return false;
        if (!take_time(&text, true, &time) || !take_zone(&text, &offset)) return false;
    }
    time -= offset;
    if (days < 0) {  // the first instant of int64 is inside a day whose start is not
        days++;
        time -= PQ_US_PER_DAY;
    }
    int64_t value;
    if (text.length > 0 || __builtin_mul_overflow(days, PQ_US_PER_DAY, &value) ||
        __builtin_add_overflow(value, time, &value)) {
        return false;
    }
    *timestamp_us = value;
    return true;
}

bool pq_duration_parse(struct pq_text text, int64_t *duration_us) {
    static const struct {
        const char *unit;
        int64_t us;
    } units[] = {{"ms", PQ_US_PER_MS},
                 {"s", PQ_US_PER_SECOND},
                 {"m", PQ_US_PER_MINUTE},
                 {"h", PQ_US_PER_HOUR},
                 {"d", PQ_US_PER_DAY}};
    int64_t value = 0;
    size_t digits = 0;
    for (; digits < text.length && is_digit(text.data[digits]); digits++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text.data[digits] - '0', &value)) {
            return false;
        }
    }
    if (digits == 0) return false;
    const struct pq_text unit = {text.data + digits, text.length - digits};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!pq_text_is(unit, units[i].unit)) continue;
        if (__builtin_mul_overflow(value, units[i].us, &value)) return false;
        *duration_us = value;
        return true;
    }
    return false;
}

// ---- printing --------------------------------------------------------------------------------

static char *put_padded(char *at, int64_t value, int digits) {
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + digits;
}

static char *put_date(char *at, int64_t days) {
    const struct pq_civil civil = pq_civil_from_days(days);
    if (civil.year >= 0 && civil.year <= 9999) {
        at = put_padded(at, civil.year, 4);
    } else {
        const int64_t year = civil.year < 0 ? -civil.year : civil.year;
        *at++ = civil.year < 0 ? '-' : '+';
        at = put_padded(at, year, year > 999999 ? 7 : 6);  // int32 days reach year 5.9 million
    }
    *at++ = '-';
    at = put_padded(at, civil.month, 2);
    *at++ = '-';
    return put_padded(at, civil.day, 2);
}

/// hh:mm:ss and the fraction: none where `always` is off and it is 0, else three or six digits.
static char *put_time(char *at, int64_t time_us, bool always) {
    at = put_padded(at, time_us / PQ_US_PER_HOUR, 2);
    *at++ = ':';
    at = put_padded(at, time_us / PQ_US_PER_MINUTE % 60, 2);
    *at++ = ':';
    at = put_padded(at, time_us / PQ_US_PER_SECOND % 60, 2);
    const int64_t fraction = time_us % PQ_US_PER_SECOND;
    if (fraction == 0 && !always) return at;
    *at++ = '.';
    return fraction % 1000 == 0 ? put_padded(at, fraction / 1000, 3) : put_padded(at, fraction, 6);
}

size_t pq_timestamp_format(int64_t timestamp_us, char out[PQ_TIME_TEXT_MAX]) {
    char *at = put_date(out, pq_days_of_timestamp(timestamp_us));
    *at++ = 'T';
    at = put_time(at, pq_floor_mod(timestamp_us, PQ_US_PER_DAY), true);
    *at++ = 'Z';
    *at = '\0';
    return (size_t)(at - out);
}

size_t pq_date_format(int64_t days, char out[PQ_TIME_TEXT_MAX]) {
    char *at = put_date(out, days);
    *at = '\0';
    return (size_t)(at - out);
}

size_t pq_time_format(int64_t time_us, char out[PQ_TIME_TEXT_MAX]) {
    char *at = put_time(out, time_us, false);
    *at = '\0';
    return (size_t)(at - out);
}

// ---- buckets ---------------------------------------------------------------------------------

const char *const pq_bucket_names[PQ_BUCKET_COUNT] = {"minute", "hour",  "date",    "day",
                                                      "week",   "month", "quarter", "year"};

bool pq_bucket_find(struct pq_text name, enum pq_bucket *bucket) {
    for (int i = 0; i < PQ_BUCKET_COUNT; i++) {
        if (!pq_text_is(name, pq_bucket_names[i])) continue;
        *bucket = (enum pq_bucket)i;
        return true;
    }
    return false;
}

int32_t pq_bucket_of_days(int64_t days, enum pq_bucket bucket) {
    pq_assert(pq_bucket_is_date(bucket));
    if (bucket == PQ_BUCKET_DATE || bucket == PQ_BUCKET_DAY) return (int32_t)days;
    if (bucket == PQ_BUCKET_WEEK) return (int32_t)(days - pq_weekday(days));
    const struct pq_civil civil = pq_civil_from_days(days);
    int month = civil.month;
    if (bucket == PQ_BUCKET_QUARTER) month -= (month - 1) % 3;
    if (bucket == PQ_BUCKET_YEAR) month = 1;
    return (int32_t)pq_days_from_civil(civil.year, month, 1);
}

/// An instant moved onto the clocks of its zone; at the ends of int64 it stays where it is.
static int64_t to_local(int64_t timestamp_us, const struct pq_zone *zone) {
    if (zone == NULL) return timestamp_us;
    const int32_t offset = pq_zone_offset(zone, pq_floor_div(timestamp_us, PQ_US_PER_SECOND));
    int64_t local;
    const bool is_out = __builtin_add_overflow(timestamp_us, offset * PQ_US_PER_SECOND, &local);
    return is_out ? timestamp_us : local;
}

int64_t pq_bucket_of_timestamp(int64_t timestamp_us, enum pq_bucket bucket,
                               const struct pq_zone *zone) {
    const int64_t local = to_local(timestamp_us, zone);
    if (pq_bucket_is_date(bucket)) return pq_bucket_of_days(pq_days_of_timestamp(local), bucket);
    const int64_t unit = bucket == PQ_BUCKET_MINUTE ? PQ_US_PER_MINUTE : PQ_US_PER_HOUR;
    const int64_t past = pq_floor_mod(local, unit);
    return timestamp_us < INT64_MIN + past ? INT64_MIN : timestamp_us - past;
}
