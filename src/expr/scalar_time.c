/// Times and conversions, one value at a time. A function of time takes a date, a timestamp, ISO
/// 8601 text or milliseconds since 1970; only instants are shifted by a zone, dates never.
#include <math.h>
#include <stdlib.h>

#include "base/time.h"
#include "base/zone.h"
#include "expr/scalar_internal.h"
#include "type/decimal.h"
#include "type/timestamp.h"

/// A date or an instant.
struct moment {
    bool is_date;
    bool has_us;
    int64_t days;  // the date
    int64_t us;    // the instant, or the date's midnight where 64 bits hold it
};

static struct moment moment_of_days(int64_t days) {
    struct moment moment = {.is_date = true, .days = days};
    moment.has_us = !__builtin_mul_overflow(days, PQ_US_PER_DAY, &moment.us);
    return moment;
}

static bool moment_of(const struct pq_value *value, struct moment *moment) {
    struct pq_value instant;
    int32_t days;
    if (value->kind == PQ_DATE) {
        *moment = moment_of_days(value->as.integer);
        return true;
    }
    if (value->kind == PQ_TEXT && pq_date_parse(value->as.text, &days)) {
        *moment = moment_of_days(days);
        return true;
    }
    if (!pq_value_convert(value, &pq_type_timestamp, &instant)) return false;
    *moment = (struct moment){.has_us = true, .us = instant.as.integer};
    return true;
}

/// What a calendar and a clock in the zone show.
struct local {
    int64_t days;
    int64_t time_us;
};

static struct local local_of(const struct moment *moment, const struct pq_zone *zone) {
    if (moment->is_date) return (struct local){moment->days, 0};
    const int64_t seconds = pq_floor_div(moment->us, PQ_US_PER_SECOND);
    const int64_t offset = zone == NULL ? 0 : pq_zone_offset(zone, seconds);
    const int64_t local_s = seconds + offset;
    const int64_t day_s = PQ_US_PER_DAY / PQ_US_PER_SECOND;
    const int64_t fraction_us = pq_floor_mod(moment->us, PQ_US_PER_SECOND);
    return (struct local){pq_floor_div(local_s, day_s),
                          pq_floor_mod(local_s, day_s) * PQ_US_PER_SECOND + fraction_us};
}

SCALAR(date_trunc) {
    const struct pq_date_call *call = node->extra;
    struct moment moment;
    if (!moment_of(&args[0], &moment)) return PQDB_OK;
    const bool to_date = pq_bucket_is_date(call->bucket);
    *out = (struct pq_value){.kind = to_date ? PQ_DATE : PQ_TIMESTAMP};
    if (moment.is_date) {
        out->as.integer = to_date ? pq_bucket_of_days(moment.days, call->bucket) : moment.us;
        if (!to_date && !moment.has_us) out->kind = PQ_NULL;
    } else {
        out->as.integer = pq_bucket_of_timestamp(moment.us, call->bucket, call->zone);
    }
    return PQDB_OK;
}

/// ISO 8601: the week of a year that has its Thursday.
static int64_t iso_week(int64_t days) {
    const int64_t thursday = days - pq_weekday(days) + 3;
    const int64_t year = pq_civil_from_days(thursday).year;
    return (thursday - pq_days_from_civil(year, 1, 1)) / 7 + 1;
}

static int64_t part_of(const struct local *local, enum pq_date_unit unit) {
    const struct pq_civil civil = pq_civil_from_days(local->days);
    const int64_t time = local->time_us;
    switch (unit) {
        case PQ_UNIT_YEAR: return civil.year;
        case PQ_UNIT_QUARTER: return (civil.month - 1) / 3 + 1;
        case PQ_UNIT_MONTH: return civil.month;
        case PQ_UNIT_WEEK: return iso_week(local->days);
        case PQ_UNIT_DAY: return civil.day;
        case PQ_UNIT_HOUR: return time / PQ_US_PER_HOUR;
        case PQ_UNIT_MINUTE: return time % PQ_US_PER_HOUR / PQ_US_PER_MINUTE;
        case PQ_UNIT_SECOND: return time % PQ_US_PER_MINUTE / PQ_US_PER_SECOND;
        case PQ_UNIT_MILLISECOND: return time % PQ_US_PER_SECOND / PQ_US_PER_MS;
        case PQ_UNIT_MICROSECOND: return time % PQ_US_PER_SECOND;
        case PQ_UNIT_DAY_OF_WEEK: return pq_weekday(local->days) + 1;
        case PQ_UNIT_DAY_OF_YEAR:
            return local->days - pq_days_from_civil(civil.year, 1, 1) + 1;
    }
    return 0;
}

SCALAR(date_part) {
    const struct pq_date_call *call = node->extra;
    struct moment moment;
    if (!moment_of(&args[0], &moment)) return PQDB_OK;
    const struct local local = local_of(&moment, call->zone);
    return pq_give_int(out, part_of(&local, call->unit));
}

/// Which unit of the calendar a day lies in, counted from some origin.
static int64_t ordinal_of(int64_t days, enum pq_date_unit unit) {
    const struct pq_civil civil = pq_civil_from_days(days);
    switch (unit) {
        case PQ_UNIT_YEAR: return civil.year;
        case PQ_UNIT_QUARTER: return civil.year * 4 + (civil.month - 1) / 3;
        case PQ_UNIT_MONTH: return civil.year * 12 + civil.month - 1;
        case PQ_UNIT_WEEK: return pq_floor_div(days - pq_weekday(days), 7);
        default: return days;
    }
}

static int64_t unit_us(enum pq_date_unit unit) {
    switch (unit) {
        case PQ_UNIT_HOUR: return PQ_US_PER_HOUR;
        case PQ_UNIT_MINUTE: return PQ_US_PER_MINUTE;
        case PQ_UNIT_SECOND: return PQ_US_PER_SECOND;
        case PQ_UNIT_MILLISECOND: return PQ_US_PER_MS;
        default: return 1;
    }
}

SCALAR(date_diff) {
    const struct pq_date_call *call = node->extra;
    struct moment from, until;
    int64_t difference;
    if (!moment_of(&args[0], &from) || !moment_of(&args[1], &until)) return PQDB_OK;
    const struct local a = local_of(&from, call->zone), b = local_of(&until, call->zone);
    if (call->unit <= PQ_UNIT_DAY) {
        return pq_give_int(out, ordinal_of(b.days, call->unit) - ordinal_of(a.days, call->unit));
    }
    // Between the instants at which the units begin: an hour that a clock shows twice counts twice.
    const int64_t unit = unit_us(call->unit);
    if (!from.has_us || !until.has_us ||
        __builtin_sub_overflow(until.us - b.time_us % unit, from.us - a.time_us % unit,
                               &difference)) {
        return PQDB_OK;
    }
    return pq_give_int(out, difference / unit);
}

// ---- conversions ------------------------------------------------------------------------------

static bool is_real(const struct pq_value *value) {
    return value->kind == PQ_FLOAT32 || value->kind == PQ_FLOAT64;
}

/// The number that a bool, a number, a time (milliseconds) or a text stands for. False: none.
static bool number_of(const struct pq_value *value, struct pq_value *number) {
    struct pq_decimal decimal;
    *number = *value;
    switch (value->kind) {
        case PQ_BOOL: pq_give_int(number, value->as.boolean); return true;
        case PQ_INT64:
        case PQ_FLOAT32:
        case PQ_FLOAT64:
        case PQ_DECIMAL: return true;
        case PQ_DATE:
        case PQ_TIMESTAMP:
        case PQ_TIME:
            *number = (struct pq_value){.kind = PQ_DECIMAL, .scale = 3};
            number->as.decimal = (pq_i128)value->as.integer *
                                 (value->kind == PQ_DATE ? PQ_US_PER_DAY : 1);
            return true;
        case PQ_TEXT:
            if (!pq_decimal_parse_exact(value->as.text, &decimal)) return false;
            *number = (struct pq_value){.kind = PQ_DECIMAL, .scale = decimal.scale};
            number->as.decimal = decimal.units;
            return true;
        default: return false;
    }
}

SCALAR(to_int) {
    struct pq_value number;
    struct pq_decimal decimal;
    if (!number_of(&args[0], &number)) return PQDB_OK;
    if (number.kind == PQ_INT64) return pq_give_int(out, number.as.integer);
    if (is_real(&number)) {
        const double real = trunc(number.as.real);
        if (!(real >= -0x1p63 && real < 0x1p63)) return PQDB_OK;
        return pq_give_int(out, (int64_t)real);
    }
    decimal = (struct pq_decimal){number.as.decimal, number.scale};
    const bool is_time = args[0].kind != PQ_TEXT && args[0].kind != PQ_DECIMAL;
    if (!pq_decimal_rescale(decimal, 0, is_time ? PQ_ROUND_DOWN : PQ_ROUND_TO_ZERO, &decimal) ||
        decimal.units > INT64_MAX || decimal.units < INT64_MIN) {
        return PQDB_OK;
    }
    return pq_give_int(out, (int64_t)decimal.units);
}

/// Texts that are doubles without being decimals of 38 digits: 1e300, 1e-50, NaN.
static bool parse_real(struct pq_run *run, struct pq_text text, double *real) {
    if (text.length == 0 || text.length > 1024) return false;
    const struct pq_text copy = pq_arena_copy(run->arena, text);
    if (copy.data == NULL || strspn(copy.data, "+-0123456789.eENaInfity") != text.length) {
        return false;
    }
    char *end;
    *real = strtod(copy.data, &end);
    return end == copy.data + text.length;
}

SCALAR(to_double) {
    struct pq_value number;
    double real;
    if (number_of(&args[0], &number)) return pq_give_real(out, pq_number_real(&number));
    if (args[0].kind != PQ_TEXT || !parse_real(run, args[0].as.text, &real)) return PQDB_OK;
    return pq_give_real(out, real);
}

SCALAR(to_decimal) {
    struct pq_value number, decimal;
    if (!number_of(&args[0], &number) || !pq_value_widen(&number, &node->type, &decimal)) {
        return PQDB_OK;
    }
    *out = decimal;
    return PQDB_OK;
}

SCALAR(to_date) {
    struct pq_value instant;
    if (pq_value_convert(&args[0], &pq_type_timestamp, &instant)) *out = instant;
    return PQDB_OK;
}
