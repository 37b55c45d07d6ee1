/// bench/refresh_bench.c: what a refresh costs after one, ten and a hundred percent of the rows
/// have changed, an empty one, and an answer of now from a view that lags. On what `orders_bench
/// load` left, whose views go. One JSON line.
///
/// The first refresh after rows have changed misses what $min and $max are found in again; it has a
/// figure of its own, and the others follow when the background has made that.
///
///     refresh_bench DIRECTORY
///
/// Peer: bench/duckdb_orders.py computes the same view on the same rows.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>

#include "measure.h"

enum { one_rounds = 3, ten_rounds = 2, all_rounds = 1, empties = 2000, wait_max_s = 120,
       ids_at_once = 1000 * 1000 };

static const char view[] =
    "{ $from: 'Order', $groupBy: ['status', { day: '$placedAt' }], $compute: {"
    "  orders: { $count: '*' }, sum: { $sum: 'total' }, avg: { $avg: 'total' },"
    "  least: { $min: 'total' }, most: { $max: 'total' } },"
    "  $refresh: { mode: 'manual' } }";

static pqdb_db *db;
static pqdb_error err;
static uint64_t orders;

static pqdb_db *open_loaded(const char *directory) {
    static const char *const others[] = {"ByDay", "ByTier", "Large"};
    const pqdb_options options = {.memory_bytes = (size_t)6 << 30};
    must(pqdb_open(directory, &options, &db, &err), &err);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        pqdb_view_drop(db, others[i], false, NULL);
    }
    pqdb_view_drop(db, "Later", false, NULL);
    must(pqdb_view_create(db, "Later", view, NULL, NULL, &err), &err);
    return db;
}

struct took {
    double ms;
    double mib;  // the most that was resident meanwhile, beside what was before
    const char *kind;
};

static struct took refresh(bool full) {
    pqdb_refreshed refreshed;
    forget_peak();
    const double before_mib = peak_mib(), began = seconds();
    must(pqdb_view_refresh(db, "Later", full, &refreshed, &err), &err);
    return (struct took){(seconds() - began) * 1e3, peak_mib() - before_mib, refreshed.kind};
}

/// Every order whose id ends so: a hundredth, a tenth, all; those of a million ids at a time.
static void change(const char *ending) {
    for (uint64_t first = 0; first < orders; first += ids_at_once) {
        char where[128];
        snprintf(where, sizeof where,
                 "{ $id: { $gte: 'o%09" PRIu64 "', $lt: 'o%09" PRIu64 "', $endsWith: '%s' } }",
                 first, first + ids_at_once, ending);
        const pqdb_edit edit = {.where = where, .operators = "{ $inc: { total: 1 } }"};
        must(pqdb_update(db, "Order", &edit, NULL, NULL, &err), &err);
    }
}

/// The best of some rounds, and the kind of the last.
static struct took refresh_after(const char *const *endings, size_t count, int rounds) {
    struct took best = {0};
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) change(endings[i]);
        must(pqdb_checkpoint(db, &err), &err);
        const struct took took = refresh(false);
        const double mib = took.mib > best.mib ? took.mib : best.mib;
        if (round == 0 || took.ms < best.ms) best = took;
        best.kind = took.kind;
        best.mib = mib;
    }
    return best;
}

static void find_values(void *ctx, const char *line) {
    if (strstr(line, "values in order") != NULL) *(bool *)ctx = true;
}

/// Until the background has made what the first refresh missed.
static double wait_for_values(void) {
    const double began = seconds();
    for (bool is_made = false; !is_made && seconds() - began < wait_max_s;) {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        must(pqdb_view_explain(db, "Later", find_values, &is_made, &err), &err);
    }
    return seconds() - began;
}

/// Every row of the view, in ms.
static double read_all(const char *max_staleness) {
    const pqdb_find_options options = {.max_staleness = max_staleness};
    pqdb_rows *rows;
    bool has_row = true;
    const double began = seconds();
    must(pqdb_find(db, "Later", &options, &rows, &err), &err);
    while (has_row) must(pqdb_rows_next(rows, &has_row, &err), &err);
    pqdb_rows_close(rows);
    return (seconds() - began) * 1e3;
}

/// The median of many refreshes of what is fresh, in us.
static double refresh_nothing(void) {
    static double took[empties];
    for (int i = 0; i < empties; i++) {
        const double began = seconds();
        must(pqdb_view_refresh(db, "Later", false, NULL, &err), &err);
        took[i] = (seconds() - began) * 1e6;
    }
    return quantile(took, empties, 500);
}

static double read_behind(const char *ending) {
    double best = 0;
    for (int round = 0; round < one_rounds; round++) {
        change(ending);
        const double took = read_all("0s");
        if (round == 0 || took < best) best = took;
        refresh(false);
    }
    return best;
}

int main(int count, char **arguments) {
    static const char *const tails[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    static const char *const hundredth[] = {"77"};
    if (count != 2) {
        fprintf(stderr, "usage: refresh_bench DIRECTORY\n");
        return 2;
    }
    db = open_loaded(arguments[1]);
    must(pqdb_count(db, "Order", NULL, &orders, &err), &err);
    refresh(false);
    const struct took full = refresh(true);
    const struct took first = refresh_after(hundredth, 1, 1);
    const bool has_missed = strcmp(first.kind, "full") == 0;
    const double made_s = has_missed ? wait_for_values() : 0;
    const struct took one = refresh_after(hundredth, 1, one_rounds);
    const struct took ten = refresh_after(tails, 1, ten_rounds);
    const struct took all = refresh_after(tails, 10, all_rounds);
    const double empty_us = refresh_nothing(), fresh_ms = read_all(NULL);
    const double behind_ms = read_behind(hundredth[0]);
    pqdb_verified verified;
    must(pqdb_view_verify(db, "Later", NULL, NULL, &verified, &err), &err);
    printf("{\"phase\":\"refresh\",\"rows\":%" PRIu64 ",\"full_ms\":%.3f,\"full_mib\":%.0f,"
           "\"first_ms\":%.3f,\"first\":\"%s\",\"made_s\":%.2f,",
           orders, full.ms, full.mib, first.ms, first.kind, made_s);
    printf("\"one_ms\":%.3f,\"one\":\"%s\",\"one_mib\":%.0f,\"ten_ms\":%.3f,\"ten\":\"%s\","
           "\"all_ms\":%.3f,\"all\":\"%s\",\"all_mib\":%.0f,",
           one.ms, one.kind, one.mib, ten.ms, ten.kind, all.ms, all.kind, all.mib);
    printf("\"empty_us\":%.2f,\"fresh_read_ms\":%.3f,\"behind_read_ms\":%.3f,"
           "\"differences\":%" PRIu64 "}\n",
           empty_us, fresh_ms, behind_ms, verified.differences);
    must(pqdb_close(db, &err), &err);
    return 0;
}
