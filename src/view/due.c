#include "view/due.h"

#include "base/time.h"

enum { minute_s = 60, hour_s = 3600, day_s = 86400, correction_s = 3 * hour_s };
static const int64_t horizon_s = INT64_C(30) * 366 * day_s;
static const int64_t none = INT64_MIN;

static bool has_day(const struct pq_cron *cron, int64_t day) {
    const struct pq_civil civil = pq_civil_from_days(day);
    return pq_cron_has_day(cron, civil.month, civil.day, (pq_weekday(day) + 1) % 7);
}

/// The first time of the clock that suits in [from, until), or `none`.
static int64_t next_local(const struct pq_cron *cron, int64_t from_s, int64_t until_s) {
    from_s = pq_floor_div(from_s + minute_s - 1, minute_s) * minute_s;
    int64_t earliest = pq_floor_mod(from_s, day_s) / minute_s;
    for (int64_t day = pq_floor_div(from_s, day_s); day * day_s < until_s; day++, earliest = 0) {
        if (!has_day(cron, day)) continue;
        for (int64_t minute = earliest; minute < 1440; minute++) {
            if ((cron->hours >> (minute / 60) & 1) == 0) {
                minute += 59 - minute % 60;
            } else if ((cron->minutes >> (minute % 60) & 1) != 0) {
                const int64_t found_s = day * day_s + minute * minute_s;
                return found_s < until_s ? found_s : none;
            }
        }
    }
    return none;
}

/// The last time of the clock that suits in [from, until), or `none`.
static int64_t last_local(const struct pq_cron *cron, int64_t from_s, int64_t until_s) {
    int64_t latest = pq_floor_mod(until_s - 1, day_s) / minute_s;
    int64_t day = pq_floor_div(until_s - 1, day_s);
    for (; (day + 1) * day_s > from_s; day--, latest = 1439) {
        if (!has_day(cron, day)) continue;
        for (int64_t minute = latest; minute >= 0; minute--) {
            if ((cron->hours >> (minute / 60) & 1) == 0) {
                minute -= minute % 60;
            } else if ((cron->minutes >> (minute % 60) & 1) != 0) {
                const int64_t found_s = day * day_s + minute * minute_s;
                return found_s >= from_s ? found_s : none;
            }
        }
    }
    return none;
}

/// A stretch of time in which the clock runs evenly, and how it was set at its beginning.
struct stretch {
    int64_t from_s, until_s;  // instants, within the horizon
    int64_t offset_s;
    int64_t first_local_s;  // times of the clock before it were due in an earlier stretch
    int64_t skipped_s;      // length of what the clock skipped at from_s and is due there, or 0
};

static struct stretch stretch_at(const struct pq_cron *cron, const struct pq_zone *zone,
                                 int64_t instant_s) {
    if (zone == NULL) {
        return (struct stretch){.from_s = instant_s - horizon_s, .until_s = instant_s + horizon_s,
                                .first_local_s = instant_s - horizon_s};
    }
    struct pq_zone_span span = pq_zone_span_at(zone, instant_s);
    struct stretch stretch = {.offset_s = span.offset_s};
    stretch.until_s = span.until_s < instant_s + horizon_s ? span.until_s : instant_s + horizon_s;
    while (span.from_s > instant_s - horizon_s) {  // spans may be cut where nothing changes
        const struct pq_zone_span before = pq_zone_span_at(zone, span.from_s - 1);
        if (before.offset_s != span.offset_s) break;
        span.from_s = before.from_s;
    }
    const bool has_change = span.from_s > instant_s - horizon_s;
    stretch.from_s = has_change ? span.from_s : instant_s - horizon_s;
    stretch.first_local_s = stretch.from_s + stretch.offset_s;
    if (!has_change || cron->follows_clock) return stretch;
    const int64_t forward_s = span.offset_s - pq_zone_offset(zone, span.from_s - 1);
    if (forward_s > 0 && forward_s < correction_s) stretch.skipped_s = forward_s;
    if (forward_s < 0 && forward_s > -correction_s) stretch.first_local_s -= forward_s;
    return stretch;
}

static int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }

int64_t pq_cron_next(const struct pq_cron *cron, const struct pq_zone *zone, int64_t after_us) {
    const int64_t begin_s = pq_floor_div(after_us, 1000000) + 1;
    for (int64_t at_s = begin_s; at_s < begin_s + horizon_s;) {
        const struct stretch stretch = stretch_at(cron, zone, at_s);
        const int64_t start_s = stretch.from_s + stretch.offset_s;
        if (at_s == stretch.from_s &&
            next_local(cron, start_s - stretch.skipped_s, start_s) != none) {
            return at_s * 1000000;
        }
        const int64_t local_s =
            next_local(cron, max(at_s + stretch.offset_s, stretch.first_local_s),
                       stretch.until_s + stretch.offset_s);
        if (local_s != none) return (local_s - stretch.offset_s) * 1000000;
        at_s = stretch.until_s;
    }
    return INT64_MAX;
}

int64_t pq_cron_last(const struct pq_cron *cron, const struct pq_zone *zone, int64_t until_us) {
    const int64_t begin_s = pq_floor_div(until_us, 1000000);
    for (int64_t at_s = begin_s; at_s > begin_s - horizon_s;) {
        const struct stretch stretch = stretch_at(cron, zone, at_s);
        const int64_t start_s = stretch.from_s + stretch.offset_s;
        const int64_t local_s =
            last_local(cron, stretch.first_local_s, at_s + stretch.offset_s + 1);
        if (local_s != none) return (local_s - stretch.offset_s) * 1000000;
        if (last_local(cron, start_s - stretch.skipped_s, start_s) != none) {
            return stretch.from_s * 1000000;
        }
        at_s = stretch.from_s - 1;
    }
    return INT64_MIN;
}
