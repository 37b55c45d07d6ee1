/// Due instants against a simulated cron daemon that steps minute by minute through the years, with
/// the C library's own time zones. The daemon keeps a virtual clock, as Debian's cron(8) describes.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/test.h"
#include "view/due.h"

static const char *const zones[] = {
    "UTC",                 "Europe/Berlin",  "America/New_York", "Europe/London",
    "Australia/Lord_Howe", "Asia/Kathmandu", "Africa/Casablanca", "America/St_Johns",
    "Pacific/Apia",        "Asia/Tehran",    "America/Santiago", "Africa/Cairo",
};

static const char *const schedules[] = {
    "* * * * *",   "*/15 * * * *", "0 * * * *",     "@daily",        "30 2 * * *",
    "*/30 2 * * *", "15,45 1-3 * * *", "0 0 * * SUN", "5 */3 * * *", "59 23 31 * *",
    "30 4 1,15 * 5", "0 3 * 3,4,10,11 *", "45 23 * * *", "10 0 29 2 *",
};

enum { schedule_count = sizeof schedules / sizeof *schedules, hours_3 = 180 };

/// One job of the daemon, its fields read by other means than the code under test.
struct job {
    struct pq_cron cron;
    bool wildcard;
    int64_t expected_us;  // what pq_cron_next says comes next
    int64_t fired;
    int wrong;
};

static bool suits(const struct job *job, int64_t local_minute) {
    const time_t local = (time_t)(local_minute * 60);
    struct tm tm;
    gmtime_r(&local, &tm);
    const struct pq_cron *cron = &job->cron;
    if ((cron->minutes >> tm.tm_min & 1) == 0 || (cron->hours >> tm.tm_hour & 1) == 0) return false;
    if ((cron->months >> (tm.tm_mon + 1) & 1) == 0) return false;
    const bool day = (cron->days >> tm.tm_mday & 1) != 0;
    const bool weekday = (cron->weekdays >> tm.tm_wday & 1) != 0;
    return cron->day_is_star || cron->weekday_is_star ? day && weekday : day || weekday;
}

static void fire(struct job *job, const struct pq_zone *zone, const char *where, int64_t minute) {
    const int64_t at_us = minute * 60000000;
    if (at_us != job->expected_us && job->wrong++ == 0) {
        CHECK(false, "%s: the daemon ran at %" PRId64 ", pq_cron_next said %" PRId64, where,
              at_us / 1000000, job->expected_us / 1000000);
    }
    CHECK(pq_cron_last(&job->cron, zone, at_us) == at_us, "%s: last at %" PRId64, where, minute);
    CHECK(pq_cron_last(&job->cron, zone, at_us - 1000000) < at_us, "%s: before %" PRId64, where,
          minute);
    job->fired++;
    job->expected_us = pq_cron_next(&job->cron, zone, at_us);
}

/// What the daemon does in the minute in which the wall clock shows `local`.
static bool runs(const struct job *job, int64_t virtual_minute, int64_t local) {
    const int64_t moved = local - virtual_minute;
    if (moved == 1 || moved >= hours_3 || moved <= -hours_3) return suits(job, local);
    if (job->wildcard) return suits(job, local);
    for (int64_t minute = virtual_minute + 1; minute <= local; minute++) {
        if (suits(job, minute)) return true;
    }
    return false;
}

static int64_t local_minute(int64_t minute) {
    const time_t at = (time_t)(minute * 60);
    struct tm tm;
    localtime_r(&at, &tm);
    return minute + tm.tm_gmtoff / 60;
}

static void step_zone(const char *name, int64_t from, int64_t until) {
    const struct pq_zone *zone;
    pqdb_error err;
    CHECK(pq_zone_find(pq_text_of(name), &zone, &err) == PQDB_OK, "%s", name);
    setenv("TZ", name, 1);
    tzset();
    static struct job jobs[schedule_count];
    for (size_t k = 0; k < schedule_count; k++) {
        jobs[k] = (struct job){0};
        CHECK(pq_cron_parse(pq_text_of(schedules[k]), &jobs[k].cron, &err) == PQDB_OK, "parse");
        const char *hours = strchr(schedules[k], ' ');
        jobs[k].wildcard = schedules[k][0] == '*' || (hours != NULL && hours[1] == '*');
        jobs[k].expected_us = pq_cron_next(&jobs[k].cron, zone, (from - 1) * 60000000);
    }
    int64_t virtual_minute = local_minute(from) - 1, offset = 0;
    bool changes = true;
    for (int64_t minute = from; minute < until; minute++) {
        if (changes || minute % 15 == 0) {
            offset = local_minute(minute) - minute;
            const int64_t end = minute - minute % 15 + 15;
            changes = local_minute(end) - end != offset;
        }
        const int64_t local = minute + offset, moved = local - virtual_minute;
        for (size_t k = 0; k < schedule_count; k++) {
            char where[96];
            if (!runs(&jobs[k], virtual_minute, local)) continue;
            snprintf(where, sizeof where, "'%s' in %s", schedules[k], name);
            fire(&jobs[k], zone, where, minute);
        }
        if (moved > 0 || moved <= -hours_3) virtual_minute = local;
    }
    for (size_t k = 0; k < schedule_count; k++) {
        CHECK(jobs[k].wrong == 0, "'%s' in %s: %d wrong", schedules[k], name, jobs[k].wrong);
        CHECK(jobs[k].expected_us >= until * 60000000, "'%s' in %s: one was not run", schedules[k],
              name);
        CHECK(k + 1 == schedule_count || jobs[k].fired > 0, "'%s' ran", schedules[k]);
    }
}

/// From 2011 on: Samoa's skipped 30 December, the leap day of 2012, and zones that changed their
/// rules. PQ_LAW_YEARS makes it longer.
static void every_zone_and_schedule_is_due_when_the_daemon_runs(void) {
    const char *years = getenv("PQ_LAW_YEARS");
    const int64_t start = INT64_C(1293840000) / 60;  // 2011-01-01
    const int64_t length = (years == NULL ? 2 : (int)strtol(years, NULL, 10)) * INT64_C(365) * 1440;
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        step_zone(zones[z], start, start + length);
    }
}

int main(void) {
    RUN(every_zone_and_schedule_is_due_when_the_daemon_runs);
    return test_done();
}
