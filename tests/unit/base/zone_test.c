/// Goal: hold our reading of the tz database to tables of known offsets, around every kind of
/// change of clocks.
#include "base/zone.h"

#include <pthread.h>
#include <string.h>

#include "base/time.h"
#include "support/cases.h"
#include "support/test.h"

/// "2024-03-31T02:30:00" as seconds, whatever clock it was read from.
static int64_t seconds_of(const char *text) {
    int year, month, day, hour, minute, second;
    CHECK(sscanf(text, "%d-%d-%dT%d:%d:%d", &year, &month, &day, &hour, &minute, &second) == 6,
          "%s", text);
    return pq_days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second;
}

static const struct pq_zone *zone_of(const char *name) {
    const struct pq_zone *zone = NULL;
    pqdb_error err;
    CHECK(pq_zone_find(pq_text_of(name), &zone, &err) == PQDB_OK, "%s: %s", name, err.message);
    return zone;
}

static void check_offset(const struct test_case *test) {
    char name[64], instant[64], got[64];
    CHECK(sscanf(test->input, "%63s %63s", name, instant) == 2, "%s", test->input);
    const struct pq_zone *zone = zone_of(name);
    if (zone == NULL) return;
    const int64_t at = seconds_of(instant);
    const struct pq_zone_span span = pq_zone_span_at(zone, at);
    CHECK(span.from_s <= at && at < span.until_s, "%s: the span misses the instant", test->input);
    snprintf(got, sizeof got, "%d", pq_zone_offset(zone, at));
    case_expect(test, got);
}

static void check_local(const struct test_case *test) {
    char name[64], local[64], got[96];
    CHECK(sscanf(test->input, "%63s %63s", name, local) == 2, "%s", test->input);
    const struct pq_zone *zone = zone_of(name);
    if (zone == NULL) return;
    const int64_t at = seconds_of(local);
    const struct pq_zone_instants found = pq_zone_instants_of(zone, at);
    snprintf(got, sizeof got, "%d: %lld %lld", found.count, (long long)(found.first_s - at),
             (long long)(found.last_s - at));
    case_expect(test, got);
}

static void offsets_are_those_of_the_table(void) {
    cases_run("base/zone_offset.cases", check_offset);
}
static void clocks_mean_the_instants_of_the_table(void) {
    cases_run("base/zone_local.cases", check_local);
}

static void unknown_zones_are_refused_with_the_nearest_name(void) {
    const struct pq_zone *zone = NULL;
    pqdb_error err;
    CHECK(pq_zone_find(PQ_TEXT("Europe/Berln"), &zone, &err) == PQDB_INVALID &&
              strstr(err.message, "did you mean Europe/Berlin?") != NULL,
          "%s", err.message);
    CHECK(pq_zone_find(PQ_TEXT("europe/paris"), &zone, &err) == PQDB_INVALID &&
              strstr(err.message, "did you mean Europe/Paris?") != NULL,
          "%s", err.message);
    static const char *const refused[] = {
        "",          "/etc/passwd",   "../../etc/passwd", "Europe", "zone.tab",
        "localtime", "Europe/../UTC", "tzdata.zi",        "CEST",   " UTC"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK(pq_zone_find(pq_text_of(refused[i]), &zone, &err) == PQDB_INVALID, "'%s': %s",
              refused[i], err.message);
    }
    CHECK(pq_zone_find(PQ_TEXT("right/UTC"), &zone, &err) != PQDB_OK, "leap seconds are counted");
    CHECK(zone == NULL, "a failed search gave a zone");
}

static void a_name_is_always_the_same_zone(void) {
    CHECK(zone_of("Asia/Tokyo") == zone_of("Asia/Tokyo"), "two zones");
    CHECK(strcmp(pq_zone_name(zone_of("UTC")), "UTC") == 0, "UTC");
    CHECK(pq_zone_offset(zone_of("UTC"), 0) == 0, "UTC");
    CHECK(strlen(pq_zone_database_version()) >= 5, "%s", pq_zone_database_version());
}

static void *find_many(void *seen) {
    static const char *const names[] = {"Africa/Cairo", "America/Lima", "Asia/Dhaka",
                                        "Europe/Rome"};
    const struct pq_zone **zones = seen;
    for (int i = 0; i < 4; i++) zones[i] = zone_of(names[i]);
    return NULL;
}

static void threads_share_the_cache(void) {
    pthread_t threads[4];
    const struct pq_zone *seen[4][4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, find_many, seen[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 1; i < 4; i++)
        CHECK(memcmp(seen[i], seen[0], sizeof seen[0]) == 0, "thread %d", i);
}

/// The stretch before this one ends where this one begins, and it has one offset.
static void check_span(const struct pq_zone *zone, int64_t at) {
    const struct pq_zone_span span = pq_zone_span_at(zone, at);
    const int64_t first = span.from_s == INT64_MIN ? INT64_MIN / 4 : span.from_s;
    CHECK(pq_zone_offset(zone, first) == span.offset_s &&
              pq_zone_offset(zone, span.until_s - 1) == span.offset_s,
          "%s at %lld", pq_zone_name(zone), (long long)at);
    if (span.from_s == INT64_MIN) return;
    CHECK(pq_zone_span_at(zone, span.from_s - 1).until_s == span.from_s, "%s at %lld",
          pq_zone_name(zone), (long long)at);
}

/// Whatever instant a local time is said to mean shows that local time, all over the years.
static void clock_and_instant_agree_everywhere(void) {
    static const char *const names[] = {"Europe/Berlin",    "Australia/Lord_Howe",
                                        "America/St_Johns", "Africa/Casablanca",
                                        "America/Sao_Paulo",   "Pacific/Apia"};
    for (size_t z = 0; z < sizeof names / sizeof *names; z++) {
        const struct pq_zone *zone = zone_of(names[z]);
        if (zone == NULL) continue;
        for (int64_t at = INT64_C(-3000000000); at < INT64_C(6000000000); at += 987654) {
            const int64_t local = at + pq_zone_offset(zone, at);
            const struct pq_zone_instants found = pq_zone_instants_of(zone, local);
            check_span(zone, at);
            CHECK(found.count > 0 && (found.first_s == at || found.last_s == at), "%s at %lld",
                  names[z], (long long)at);
        }
    }
}

/// A TZif file of one kind of time and a footer.
static size_t make_file(char out[static 256], const char *footer) {
    memset(out, 0, 256);
    memcpy(out, "TZif2", 5);
    memcpy(out + 44, "TZif2", 5);
    out[44 + 39] = 1;  // one kind of time
    out[44 + 43] = 4;  // four bytes of names
    const size_t at = 44 + 44 + 6 + 4;
    return at + (size_t)snprintf(out + at, 256 - at, "\n%s\n", footer);
}

static pqdb_code parse_footer(const char *footer, struct pq_zone **zone, pqdb_error *err) {
    char file[256];
    const size_t length = make_file(file, footer);
    return pq_zone_parse(PQ_TEXT("Test/Zone"), (struct pq_text){file, length}, &pq_alloc_libc, zone,
                         err);
}

static void expect_footer(const char *footer, const char *instant, int32_t offset) {
    struct pq_zone *zone = NULL;
    pqdb_error err;
    CHECK(parse_footer(footer, &zone, &err) == PQDB_OK, "%s: %s", footer, err.message);
    if (zone == NULL) return;
    const int32_t got = pq_zone_offset(zone, seconds_of(instant));
    CHECK(got == offset, "%s at %s is %d, not %d", footer, instant, got, offset);
    pq_zone_destroy(zone);
}

static void posix_rules_of_every_form_are_followed(void) {
    expect_footer("", "2024-01-01T00:00:00", 0);
    expect_footer("<+0330>-3:30", "2024-01-01T00:00:00", 12600);
    expect_footer("EST5EDT,M3.2.0,M11.1.0", "2024-03-10T06:59:59", -18000);
    expect_footer("EST5EDT,M3.2.0,M11.1.0", "2024-03-10T07:00:00", -14400);
    expect_footer("EST5EDT,M3.2.0,M11.1.0", "2024-11-03T06:00:00", -18000);
    expect_footer("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T00:59:59", -7200);
    expect_footer("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31T01:00:00", -3600);
    expect_footer("AAA-1BBB,J60/0,J61/0", "2024-02-29T12:00:00", 3600);  // J60 is always March 1
    expect_footer("AAA-1BBB,J60/0,J61/0", "2024-03-01T12:00:00", 7200);
    expect_footer("AAA-1BBB,59/0,60/0", "2024-02-29T12:00:00", 7200);  // 59 counts the leap day
    expect_footer("AAA-1BBB,59/0,60/0", "2023-03-01T12:00:00", 7200);
    expect_footer("XXX3EDT4,0/0,J365/23", "2024-01-01T05:00:00", -14400);  // summer all the year
    expect_footer("XXX3EDT4,0/0,J365/23", "2024-12-31T23:00:00", -14400);
    expect_footer("AAA-12BBB-13,M9.5.0,M4.1.0/3", "2024-01-01T00:00:00", 46800);  // the south
    expect_footer("AAA-12BBB-13,M9.5.0,M4.1.0/3", "2024-07-01T00:00:00", 43200);
}

/// Version 1: one change, at 1000 s, in 32 bits; no rule for the time after it.
static size_t make_old_file(char out[static 256]) {
    static const char data[] = "\0\0\003\350" "\001" "\0\0\016\020\0\0" "\0\0\034\040\001\004"
                               "CET\0CEST";
    memset(out, 0, 256);
    memcpy(out, "TZif", 4);
    out[35] = 1;                  // one change
    out[39] = 2, out[43] = 9;     // two kinds of time, their names
    memcpy(out + 44, data, sizeof data);
    return 44 + sizeof data;
}

static void files_of_every_version_are_read(void) {
    struct pq_zone *zone = NULL;
    pqdb_error err;
    char file[256];
    const size_t length = make_old_file(file);
    CHECK(pq_zone_parse(PQ_TEXT("Old"), (struct pq_text){file, length}, &pq_alloc_libc, &zone,
                        &err) == PQDB_OK, "%s", err.message);
    if (zone == NULL) return;
    CHECK(pq_zone_offset(zone, 999) == 3600 && pq_zone_offset(zone, 1000) == 7200, "32 bits");
    CHECK(pq_zone_offset(zone, INT64_C(1) << 40) == 7200, "the last change holds");
    pq_zone_destroy(zone);
    for (size_t cut = 0; cut < length; cut++) {
        CHECK(pq_zone_parse(PQ_TEXT("Old"), (struct pq_text){file, cut}, &pq_alloc_libc, &zone,
                            &err) == PQDB_CORRUPT, "%zu bytes were accepted", cut);
    }
    for (char version = '2'; version <= '4'; version++) {
        const size_t bytes = make_file(file, "CET-1CEST,M3.5.0,M10.5.0/3");
        file[4] = file[48] = version;
        CHECK(pq_zone_parse(PQ_TEXT("New"), (struct pq_text){file, bytes}, &pq_alloc_libc, &zone,
                            &err) == PQDB_OK, "version %c: %s", version, err.message);
        CHECK(pq_zone_offset(zone, seconds_of("2040-07-01T00:00:00")) == 7200, "summer");
        pq_zone_destroy(zone);
    }
}

static void broken_files_are_refused(void) {
    static const char *const footers[] = {"A5",
                                          "EST",
                                          "EST5EDT",
                                          "EST5EDT,M13.1.0,M11.1.0",
                                          "EST5EDT,M3.0.0,M11.1.0",
                                          "EST5EDT,M3.2.7,M11.1.0",
                                          "EST5EDT,J0,J365",
                                          "EST5EDT,M3.2.0",
                                          "EST25",
                                          "<EST5",
                                          "EST5EDT,M3.2.0,M11.1.0x",
                                          "EST5EDT,366,J1"};
    struct pq_zone *zone = NULL;
    pqdb_error err;
    for (size_t i = 0; i < sizeof footers / sizeof *footers; i++) {
        CHECK(parse_footer(footers[i], &zone, &err) == PQDB_CORRUPT, "%s was accepted", footers[i]);
    }
    char file[256];
    const size_t length = make_file(file, "UTC0");
    for (size_t cut = 0; cut < length; cut++) {
        CHECK(pq_zone_parse(PQ_TEXT("Cut"), (struct pq_text){file, cut}, &pq_alloc_libc, &zone,
                            &err) == PQDB_CORRUPT,
              "%zu bytes were accepted", cut);
    }
    CHECK(zone == NULL, "a failed parse gave a zone");
}

static void every_allocation_may_fail(void) {
    char file[256];
    const size_t length = make_file(file, "CET-1CEST,M3.5.0,M10.5.0/3");
    for (long n = 0;; n++) {
        struct failing_alloc memory = {.alloc = {failing_resize, &memory}, .left = n};
        struct pq_zone *zone = NULL;
        const pqdb_code code = pq_zone_parse(PQ_TEXT("Test"), (struct pq_text){file, length},
                                             &memory.alloc, &zone, NULL);
        pq_zone_destroy(zone);
        CHECK(memory.live_bytes == 0, "allocation %ld leaks", n);
        if (code == PQDB_OK) break;
        CHECK(code == PQDB_NO_MEMORY, "allocation %ld", n);
    }
}

int main(void) {
    RUN(offsets_are_those_of_the_table);
    RUN(clocks_mean_the_instants_of_the_table);
    RUN(unknown_zones_are_refused_with_the_nearest_name);
    RUN(a_name_is_always_the_same_zone);
    RUN(threads_share_the_cache);
    RUN(clock_and_instant_agree_everywhere);
    RUN(posix_rules_of_every_form_are_followed);
    RUN(files_of_every_version_are_read);
    RUN(broken_files_are_refused);
    RUN(every_allocation_may_fail);
    return test_done();
}
