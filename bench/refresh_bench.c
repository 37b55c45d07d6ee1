/// bench/refresh_bench.c: what a refresh costs after one, ten and a hundred percent of the rows
/// have changed, an empty one, and an answer of now from a view that lags. On what `orders_bench
/// load` left, whose views go. One JSON line.
///
///     refresh_bench DIRECTORY
///
/// Peer: bench/duckdb_orders.py computes the same view on the same rows.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>

#include "measure.h"

enum { rounds = 3, empties = 2000 };

static const char view[] =
    "{ $from: 'Order', $groupBy: ['status', { day: '$placedAt' }], $compute: {"
    "  orders: { $count: '*' }, sum: { $sum: 'total' }, avg: { $avg: 'total' },"
    "  least: { $min: 'total' }, most: { $max: 'total' } },"
    "  $refresh: { mode: 'manual' } }";

static pqdb_db *db;
static pqdb_error err;

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
    const char *kind;
};

static struct took refresh(bool full) {
    pqdb_refreshed refreshed;
    const double began = seconds();
    must(pqdb_view_refresh(db, "Later", full, &refreshed, &err), &err);
    return (struct took){(seconds() - began) * 1e3, refreshed.kind};
}

/// Every order whose id ends so: a hundredth, a tenth, all.
static void change(const char *ending) {
    char where[64];
    snprintf(where, sizeof where, "{ $id: { $endsWith: '%s' } }", ending);
    const pqdb_edit edit = {.where = where, .operators = "{ $inc: { total: 1 } }"};
    must(pqdb_update(db, "Order", &edit, NULL, NULL, &err), &err);
}

/// The best of some rounds, and the kind of the last.
static struct took refresh_after(const char *const *endings, size_t count) {
    struct took best = {0};
    for (int round = 0; round < rounds; round++) {
        for (size_t i = 0; i < count; i++) change(endings[i]);
        must(pqdb_checkpoint(db, &err), &err);
        const struct took took = refresh(false);
        if (round == 0 || took.ms < best.ms) best.ms = took.ms;
        best.kind = took.kind;
    }
    return best;
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
    for (int round = 0; round < rounds; round++) {
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
    uint64_t orders;
    must(pqdb_count(db, "Order", NULL, &orders, &err), &err);
    refresh(false);
    const double full_ms = refresh(true).ms;
    const struct took one = refresh_after(hundredth, 1), ten = refresh_after(tails, 1);
    const struct took all = refresh_after(tails, 10);
    const double empty_us = refresh_nothing(), fresh_ms = read_all(NULL);
    const double behind_ms = read_behind(hundredth[0]);
    pqdb_verified verified;
    must(pqdb_view_verify(db, "Later", NULL, NULL, &verified, &err), &err);
    printf("{\"phase\":\"refresh\",\"rows\":%" PRIu64 ",\"full_ms\":%.3f,\"one_ms\":%.3f,"
           "\"one\":\"%s\",\"ten_ms\":%.3f,\"ten\":\"%s\",\"all_ms\":%.3f,\"all\":\"%s\","
           "\"empty_us\":%.2f,\"fresh_read_ms\":%.3f,\"behind_read_ms\":%.3f,"
           "\"differences\":%" PRIu64 ",\"peak_mib\":%.0f}\n",
           orders, full_ms, one.ms, one.kind, ten.ms, ten.kind, all.ms, all.kind, empty_us,
           fresh_ms, behind_ms, verified.differences, peak_mib());
    must(pqdb_close(db, &err), &err);
    return 0;
}
