/// Goal: pin what times may look like, how they are printed, and where buckets begin.
#include "type/timestamp.h"

#include <string.h>

#include "base/zone.h"
#include "support/cases.h"
#include "support/test.h"

static void check_time(const struct test_case *test) {
    char got[PQ_TIME_TEXT_MAX] = "none";
    const struct pq_text text = pq_text_of(test->input);
    int64_t value;
    int32_t days;
    if (strcmp(test->parts[1], "timestamp") == 0) {
        if (pq_timestamp_parse(text, &value)) pq_timestamp_format(value, got);
    } else if (strcmp(test->parts[1], "date") == 0) {
        if (pq_date_parse(text, &days)) pq_date_format(days, got);
    } else if (strcmp(test->parts[1], "time") == 0) {
        if (pq_time_parse(text, &value)) pq_time_format(value, got);
    } else if (pq_duration_parse(text, &value)) {
        snprintf(got, sizeof got, "%lld", (long long)value);
    }
    case_expect(test, got);
}

static void check_bucket(const struct test_case *test) {
    char name[32], zone_name[64], got[PQ_TIME_TEXT_MAX] = "none";
    CHECK(sscanf(test->parts[1], "%31s %63s", name, zone_name) == 2, "%s", test->parts[1]);
    int64_t instant = 0;
    CHECK(pq_timestamp_parse(pq_text_of(test->input), &instant), "%s", test->input);
    enum pq_bucket bucket = PQ_BUCKET_DAY;
    CHECK(pq_bucket_find(pq_text_of(name), &bucket), "%s", name);
    const struct pq_zone *zone = NULL;
    if (strcmp(zone_name, "-") != 0) {
        CHECK(pq_zone_find(pq_text_of(zone_name), &zone, NULL) == PQDB_OK, "%s", zone_name);
    }
    const int64_t start = pq_bucket_of_timestamp(instant, bucket, zone);
    if (pq_bucket_is_date(bucket)) {
        pq_date_format(start, got);
    } else {
        pq_timestamp_format(start, got);
    }
    case_expect(test, got);
}

static void texts_parse_and_print_as_the_table_says(void) {
    cases_run("type/timestamp.cases", check_time);
}
static void buckets_begin_where_the_table_says(void) {
    cases_run("type/bucket.cases", check_bucket);
}

static void the_calendar_closes_over_800_years(void) {
    int64_t days = pq_days_from_civil(1600, 1, 1);
    for (int64_t year = 1600; year < 2400; year++) {
        for (int month = 1; month <= 12; month++) {
            for (int day = 1; day <= pq_days_in_month(year, month); day++, days++) {
                const struct pq_civil civil = pq_civil_from_days(days);
                CHECK(pq_days_from_civil(year, month, day) == days && civil.year == year &&
                          civil.month == month && civil.day == day,
                      "%lld-%d-%d", (long long)year, month, day);
            }
        }
    }
    CHECK(pq_days_from_civil(1970, 1, 1) == 0 && pq_weekday(0) == 3 && pq_weekday(-4) == 6,
          "1970 began on a Thursday");
}

static void the_ends_of_int64_are_printed_and_bucketed(void) {
    char text[PQ_TIME_TEXT_MAX];
    pq_timestamp_format(INT64_MAX, text);
    CHECK(strcmp(text, "+294247-01-10T04:00:54.775807Z") == 0, "%s", text);
    int64_t back;
    CHECK(pq_timestamp_parse(pq_text_of(text), &back) && back == INT64_MAX, "%s", text);
    pq_timestamp_format(INT64_MIN, text);
    CHECK(strcmp(text, "-290308-12-21T19:59:05.224192Z") == 0, "%s", text);
    CHECK(pq_timestamp_parse(pq_text_of(text), &back) && back == INT64_MIN, "%s", text);
    const struct pq_zone *zone = NULL;
    CHECK(pq_zone_find(PQ_TEXT("Asia/Tokyo"), &zone, NULL) == PQDB_OK, "Tokyo");
    for (int bucket = 0; bucket < PQ_BUCKET_COUNT; bucket++) {
        pq_bucket_of_timestamp(INT64_MAX, (enum pq_bucket)bucket, zone);
        pq_bucket_of_timestamp(INT64_MIN, (enum pq_bucket)bucket, zone);
    }
    pq_date_format(INT32_MAX, text);
    pq_date_format(INT32_MIN, text);
}

int main(void) {
    RUN(texts_parse_and_print_as_the_table_says);
    RUN(buckets_begin_where_the_table_says);
    RUN(the_calendar_closes_over_800_years);
    RUN(the_ends_of_int64_are_printed_and_bucketed);
    return test_done();
}
