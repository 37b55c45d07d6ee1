/// Schedules: every form of a field, what is refused and why.
#include "view/due.h"

#include "base/bytes.h"
#include "support/cases.h"
#include "support/test.h"
#include "type/timestamp.h"

/// "0-59/15" has no canonical spelling: fields are printed as ranges, '*' where all are there.
static void print_field(struct pq_bytes *out, const char *label, uint64_t bits, const int span[2]) {
    pq_bytes_printf(out, NULL, "%s ", label);
    uint64_t all = 0;
    for (int k = span[0]; k <= span[1]; k++) all |= UINT64_C(1) << k;
    if (bits == all) {
        pq_bytes_printf(out, NULL, "*\n");
        return;
    }
    const char *comma = "";
    for (int k = span[0]; k <= span[1]; k++) {
        if ((bits >> k & 1) == 0) continue;
        int last = k;
        while (last < span[1] && (bits >> (last + 1) & 1) != 0) last++;
        pq_bytes_printf(out, NULL, last > k ? "%s%d-%d" : "%s%d", comma, k, last);
        comma = ",";
        k = last;
    }
    pq_bytes_printf(out, NULL, "\n");
}

static void check_schedule(const struct test_case *test) {
    struct pq_bytes got;
    struct pq_cron cron;
    pqdb_error err = {0};
    pq_bytes_init(&got, &pq_alloc_libc);
    if (pq_cron_parse(pq_text_of(test->input), &cron, &err) != PQDB_OK) {
        pq_bytes_printf(&got, NULL, "refused: %s", err.message);
    } else {
        print_field(&got, "minute", cron.minutes, (const int[]){0, 59});
        print_field(&got, "hour", cron.hours, (const int[]){0, 23});
        print_field(&got, "day", cron.days, (const int[]){1, 31});
        print_field(&got, "month", cron.months, (const int[]){1, 12});
        print_field(&got, "weekday", cron.weekdays, (const int[]){0, 6});
        CHECK((cron.minutes >> 60) == 0 && (cron.hours >> 24) == 0 && (cron.days & 1) == 0 &&
                  (cron.months & 1) == 0 && (cron.weekdays >> 7) == 0,
              "%s: bits beyond the fields", test->name);
    }
    pq_bytes_append_byte(&got, 0, NULL);
    case_expect(test, (const char *)got.data);
    pq_bytes_deinit(&got);
}

static void schedules_match_the_table(void) { cases_run("view/cron.cases", check_schedule); }

static void a_day_suits_either_field_when_neither_is_a_star(void) {
    struct pq_cron cron;
    CHECK(pq_cron_parse(PQ_TEXT("30 4 1,15 * 5"), &cron, NULL) == PQDB_OK, "parse");
    CHECK(pq_cron_has_day(&cron, 6, 5, 5), "a Friday");
    CHECK(pq_cron_has_day(&cron, 6, 15, 1), "the 15th");
    CHECK(!pq_cron_has_day(&cron, 6, 2, 2), "a Tuesday");
    CHECK(pq_cron_parse(PQ_TEXT("30 4 */2 * 5"), &cron, NULL) == PQDB_OK, "parse");
    CHECK(pq_cron_has_day(&cron, 6, 5, 5), "an odd Friday");
    CHECK(!pq_cron_has_day(&cron, 6, 12, 5), "*/2 is a star: both fields count");
    CHECK(!pq_cron_has_day(&cron, 6, 3, 3), "an odd Wednesday");
}

/// "2026-06-01T12:00Z Europe/Berlin 30 4 1,15 * 5": the next three due instants, and the last.
static void check_due(const struct test_case *test) {
    char start[32], zone_name[48], schedule[64];
    int64_t at_us;
    struct pq_cron cron;
    const struct pq_zone *zone;
    struct pq_bytes got;
    pqdb_error err;
    CHECK(sscanf(test->input, "%31s %47s %63[^\n]", start, zone_name, schedule) == 3, "input");
    CHECK(pq_timestamp_parse(pq_text_of(start), &at_us), "%s", start);
    CHECK(pq_zone_find(pq_text_of(zone_name), &zone, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_cron_parse(pq_text_of(schedule), &cron, &err) == PQDB_OK, "%s", err.message);
    pq_bytes_init(&got, &pq_alloc_libc);
    int64_t next_us = at_us;
    for (int k = 0; k < 4; k++) {
        char text[PQ_TIME_TEXT_MAX];
        next_us = k < 3 ? pq_cron_next(&cron, zone, next_us) : pq_cron_last(&cron, zone, at_us);
        pq_timestamp_format(next_us, text);
        pq_bytes_printf(&got, NULL, "%s%s\n", k < 3 ? "" : "last ", text);
    }
    pq_bytes_append_byte(&got, 0, NULL);
    case_expect(test, (const char *)got.data);
    pq_bytes_deinit(&got);
}

static void due_instants_match_the_table(void) { cases_run("view/due.cases", check_due); }

int main(void) {
    RUN(due_instants_match_the_table);
    RUN(schedules_match_the_table);
    RUN(a_day_suits_either_field_when_neither_is_a_star);
    return test_done();
}
