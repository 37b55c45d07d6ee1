/// Due instants against a simulated cron daemon that steps minute by minute through the years. It
/// shares nothing with the code under test: the fields are read value by value from their text, the
/// clock is that of the C library's time zones, what runs when that clock moves is what cron(8) of
/// Debian says, told with a virtual clock.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/test.h"
#include "view/due.h"

static const char *const zones[] = {
    "UTC",                 "Europe/Berlin",  "America/New_York",  "Europe/London",
    "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "America/St_Johns",
    "Pacific/Apia",        "Asia/Tehran",    "America/Santiago",  "Africa/Cairo",
    "Antarctica/Troll",    "Antarctica/Casey",  // moved by two hours, and by three
};

static const char *const schedules[] = {
    "* * * * *",         "*/15 * * * *",     "0 * * * *",           "0 0 * * *",
    "30 2 * * *",        "*/30 2 * * *",     "15,45 1-3 * * *",     "0 0 * * SUN",
    "5 */3 * * *",       "59 23 31 * *",     "30 4 1,15 * 5",       "0 3 * 3,4,10,11 *",
    "45 23 * * *",       "10 0 29 2 *",      "* 2 * * *",           "7 1/5 * * *",
    "0-30/7 2 * Jan,OCT 7", "0 12 */10 * 3", "20 2 13 * fri",       "0 0-23 * * *",
    "0,1,59 0,1,2,3,23 * MAR-NOV MON-FRI/2", "30 1 1-7 * FRI-SUN",  "0 0 1 1 *",
    "45 0 25-31/2,1 oct-dec *",
};
enum { schedule_count = sizeof schedules / sizeof *schedules, hours_3 = 180 };

// ---- the daemon's own reading of a schedule -----------------------------------------------------

struct field {
    int low, high;
    const char *names[12];  // from `low` on
};
static const struct field fields[5] = {
    {0, 59, {0}}, {0, 23, {0}}, {1, 31, {0}},
    {1, 12, {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
    {0, 6, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}}};

static int number_of(const struct field *field, const char *text) {
    for (int k = 0; k < 12 && field->names[k] != NULL; k++) {
        if (strncasecmp(text, field->names[k], 3) == 0) return field->low + k;
    }
    return (int)strtol(text, NULL, 10);
}

/// `a`, `a-b`, `*`, each perhaps with `/n`.
static bool item_admits(const struct field *field, const char *item, int value) {
    const char *slash = strchr(item, '/'), *dash = strchr(item, '-');
    const int step = slash == NULL ? 1 : (int)strtol(slash + 1, NULL, 10);
    int first = field->low, last = field->high;
    if (item[0] != '*') {
        first = number_of(field, item);
        if (dash != NULL) last = number_of(field, dash + 1);
        else if (slash == NULL) last = first;
        if (last < first) last += 7;  // to a Sunday
    }
    return value >= first && value <= last && (value - first) % step == 0;
}

static bool admits(const struct field *field, const char *text, int value) {
    char copy[64], *rest = copy;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *item = strsep(&rest, ","); item != NULL; item = strsep(&rest, ",")) {
        if (item_admits(field, item, value)) return true;
        if (field == &fields[4] && value == 0 && item_admits(field, item, 7)) return true;
    }
    return false;
}

// ---- the daemon ---------------------------------------------------------------------------------

/// Sets of jobs, a bit each.
struct daemon {
    uint32_t at_minute[60], at_hour[24], on_day[32], in_month[13], on_weekday[7];
    uint32_t day_or_weekday;  // neither field begins with a star
    uint32_t wildcards;       // minute or hour does
    int64_t day;              // whose jobs are these
    uint32_t of_day;
};

struct job {
    struct pq_cron cron;
    int64_t expected_us;  // what pq_cron_next says comes next; 0: not asked
    int64_t fired;
    int wrong;
};
static struct job jobs[schedule_count];
static struct daemon cron;

static void hire(size_t k) {
    const uint32_t bit = UINT32_C(1) << k;
    char texts[5][32];
    CHECK(sscanf(schedules[k], "%31s %31s %31s %31s %31s", texts[0], texts[1], texts[2], texts[3],
                 texts[4]) == 5, "%s", schedules[k]);
    uint32_t *const sets[5] = {cron.at_minute, cron.at_hour, cron.on_day, cron.in_month,
                               cron.on_weekday};
    for (int f = 0; f < 5; f++) {
        for (int value = fields[f].low; value <= fields[f].high; value++) {
            if (admits(&fields[f], texts[f], value)) sets[f][value] |= bit;
        }
    }
    if (texts[0][0] == '*' || texts[1][0] == '*') cron.wildcards |= bit;
    if (texts[2][0] != '*' && texts[4][0] != '*') cron.day_or_weekday |= bit;
}

/// The jobs that the clock on the wall asks for.
static uint32_t suits(int64_t local_minute) {
    const int64_t day = local_minute / 1440, of_day = local_minute % 1440;
    if (day != cron.day) {
        const time_t local = (time_t)(local_minute * 60);
        struct tm tm;
        gmtime_r(&local, &tm);
        const uint32_t by_day = cron.on_day[tm.tm_mday], by_week = cron.on_weekday[tm.tm_wday];
        cron.day = day;
        cron.of_day = cron.in_month[tm.tm_mon + 1] &
                      ((by_day & by_week) | ((by_day | by_week) & cron.day_or_weekday));
    }
    return cron.of_day & cron.at_hour[of_day / 60] & cron.at_minute[of_day % 60];
}

/// What runs in the minute in which the clock shows `local`: it has moved on by one, or was moved.
static uint32_t runs(int64_t virtual_minute, int64_t local) {
    const int64_t moved = local - virtual_minute - 1;
    if (moved == 0 || moved >= hours_3 || moved <= -hours_3) return suits(local);
    uint32_t fixed = 0;
    for (int64_t minute = virtual_minute + 1; minute <= local; minute++) fixed |= suits(minute);
    return (suits(local) & cron.wildcards) | (fixed & ~cron.wildcards);
}

static int64_t local_minute(int64_t minute) {
    const time_t at = (time_t)(minute * 60);
    struct tm tm;
    localtime_r(&at, &tm);
    return minute + tm.tm_gmtoff / 60;
}

// ---- and what is said to be due -----------------------------------------------------------------

/// What runs every minute is asked seldom, but where the clock moves.
static bool asks(const struct job *job, size_t k, bool is_near) {
    return is_near || k > 0 || job->fired % 61 == 0;
}

static void fire(size_t k, const struct pq_zone *zone, int64_t minute, bool is_near) {
    struct job *job = &jobs[k];
    const int64_t at_us = minute * 60000000;
    if (job->expected_us != 0 && at_us != job->expected_us && job->wrong++ == 0) {
        CHECK(false, "'%s' in %s: the daemon ran at %" PRId64 ", pq_cron_next said %" PRId64,
              schedules[k], pq_zone_name(zone), at_us / 1000000, job->expected_us / 1000000);
    }
    const bool is_asked = asks(job, k, is_near);
    if (is_near || (is_asked && job->fired % 8 == 0)) {
        CHECK(pq_cron_last(&job->cron, zone, at_us) == at_us, "'%s' in %s: last at %" PRId64,
              schedules[k], pq_zone_name(zone), minute);
        CHECK(pq_cron_last(&job->cron, zone, at_us - 1) < at_us, "'%s' in %s: before %" PRId64,
              schedules[k], pq_zone_name(zone), minute);
    }
    job->fired++;
    job->expected_us = is_asked ? pq_cron_next(&job->cron, zone, at_us) : 0;
}

static void begin(const struct pq_zone *zone, int64_t from) {
    pqdb_error err;
    cron = (struct daemon){.day = INT64_MIN};
    for (size_t k = 0; k < schedule_count; k++) {
        hire(k);
        jobs[k] = (struct job){0};
        CHECK(pq_cron_parse(pq_text_of(schedules[k]), &jobs[k].cron, &err) == PQDB_OK, "parse");
        jobs[k].expected_us = pq_cron_next(&jobs[k].cron, zone, (from - 1) * 60000000);
    }
}

static void step_zone(const char *name, int64_t from, int64_t until) {
    const struct pq_zone *zone;
    pqdb_error err;
    CHECK(pq_zone_find(pq_text_of(name), &zone, &err) == PQDB_OK, "%s", name);
    setenv("TZ", name, 1);
    tzset();
    begin(zone, from);
    int64_t virtual_minute = local_minute(from) - 1, offset = 0, near_until = 0;
    bool changes = true;
    for (int64_t minute = from; minute < until; minute++) {
        if (changes || minute % 15 == 0) {
            offset = local_minute(minute) - minute;
            const int64_t end = minute - minute % 15 + 15;
            changes = local_minute(end) - end != offset;
            if (changes) near_until = minute + 30 * 60;
        }
        const int64_t local = minute + offset;
        for (uint32_t left = runs(virtual_minute, local); left != 0; left &= left - 1) {
            fire((size_t)__builtin_ctz(left), zone, minute, minute < near_until);
        }
        if (local > virtual_minute || local - virtual_minute - 1 <= -hours_3) {
            virtual_minute = local;
        }
    }
    for (size_t k = 0; k < schedule_count; k++) {
        const int64_t due_us = jobs[k].expected_us;
        CHECK(jobs[k].wrong == 0, "'%s' in %s: %d wrong", schedules[k], name, jobs[k].wrong);
        CHECK(due_us == 0 || due_us >= until * 60000000, "'%s' in %s: one was not run",
              schedules[k], name);
        CHECK(jobs[k].fired > 0, "'%s' in %s never ran", schedules[k], name);
    }
}

static void step_zones(int64_t start_s, int64_t days) {
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        step_zone(zones[z], start_s / 60, (start_s / 86400 + days) * 1440);
    }
}

/// From 2008 to 2012: two leap days, Samoa's skipped 30 December, zones that changed their rules,
/// and those that moved by three hours.
static void every_schedule_is_due_when_the_daemon_runs_in_five_years(void) {
    step_zones(INT64_C(1199145600), 5 * 365 + 2);
}

/// 2036 to 2038: the changes that files list end there, and their rules for all years begin.
static void those_by_the_rules_for_all_years_are_too(void) {
    step_zones(INT64_C(2082758400), 3 * 365 + 1);
}

int main(void) {
    RUN(every_schedule_is_due_when_the_daemon_runs_in_five_years);
    RUN(those_by_the_rules_for_all_years_are_too);
    return test_done();
}
