/// Questions to a table in files, beside what bench/find_peers.py asks others of the same files.
///
///     find_bench make ROWS DIR     a database of ROWS orders, checkpointed
///     find_bench ask DIR [RUNS]    one JSON line a question: the best of the runs (5), and the
///                                  first, with its files not in memory
#include <fcntl.h>
#include <glob.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <unistd.h>

#include "measure.h"
#include "orders.h"

enum { batch_rows = 10000, gets = 2000 };

static const char schema[] =
    "{ Order: { customer: 'string!', status: 'string!', region: 'string!', channel: 'string!',\n"
    "           quantity: 'int!', total: 'decimal(12,2)!', placedAt: 'timestamp!' },\n"
    "  ByState: { $from: 'Order', $groupBy: ['status', 'region'],\n"
    "             $compute: { n: { $count: '*' }, sum: { $sum: 'total' },\n"
    "                         top: { $max: 'total' } },\n"
    "             $refresh: { mode: 'manual' } } }";

static pqdb_error err;
static pqdb_db *db;

static void make(uint64_t rows, const char *directory) {
    static char text[batch_rows * ORDER_BYTES_MAX];
    db = make_database(directory, schema, NULL);
    for (uint64_t first = 0; first < rows; first += batch_rows) {
        size_t length = 0;
        for (uint64_t i = first; i < first + batch_rows && i < rows; i++) {
            const struct order order = order_at(i, rows);
            length += order_json(&order, text + length);
        }
        must(pqdb_create(db, "Order", text, length, NULL, NULL, &err), &err);
    }
    must(pqdb_checkpoint(db, &err), &err);
    must(pqdb_close(db, &err), &err);
}

/// The next read comes from the disk.
static void forget_files(const char *directory) {
    char pattern[4096];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/Order/data/*", directory);
    if (glob(pattern, 0, NULL, &found) != 0) return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const int file = open(found.gl_pathv[i], O_RDONLY);
        if (file < 0) continue;
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        close(file);
    }
    globfree(&found);
}

/// A question and how many rows it gives; `first` rows are taken as JSON when it is no count.
struct question {
    const char *name, *filter, *sort, *select;
    uint64_t limit;
    bool counts;
};
static const struct question questions[] = {
    {"count, every row tested", "{ quantity: { $ne: 5 }, total: { $gte: 2.5 } }", NULL, NULL, 0,
     true},
    {"count, 1 %", "{ total: { $gte: 500, $lt: 510 } }", NULL, NULL, 0, true},
    {"count, by text", "{ status: 'paid', region: { $in: ['AT', 'DE'] } }", NULL, NULL, 0, true},
    {"count, range of ids", "{ $id: { $gte: 'o000100000', $lt: 'o000110000' } }", NULL, NULL, 0,
     true},
    {"all columns, 0.001 %", "{ total: 777.77 }", "none", NULL, 0, false},
    {"3 columns, 1 %", "{ total: { $gte: 500, $lt: 510 } }", "none", "customer,total,placedAt", 0,
     false},
    {"first 10 by total", NULL, "{ total: -1 }", NULL, 10, false},
    {"first 10 by $id", NULL, NULL, NULL, 10, false},
    {"last 100 of a state by time", "{ status: 'paid' }", "{ placedAt: -1 }", NULL, 100, false},
};
enum { question_count = sizeof questions / sizeof *questions };

static uint64_t ask(const struct question *q) {
    uint64_t rows = 0;
    if (q->counts) {
        must(pqdb_count(db, "Order", q->filter, &rows, &err), &err);
        return rows;
    }
    const pqdb_find_options options = {
        .filter = q->filter, .sort = q->sort, .select = q->select, .limit = q->limit};
    pqdb_rows *answer;
    must(pqdb_find(db, "Order", &options, &answer, &err), &err);
    for (bool has_row = true; has_row; rows += has_row) {
        size_t length;
        must(pqdb_rows_next(answer, &has_row, &err), &err);
        if (has_row) pqdb_rows_json(answer, &length);
    }
    pqdb_rows_close(answer);
    return rows;
}

static void measure(const struct question *q, const char *directory, int runs) {
    double best = 1e9, best_cpu = 1e9, cold = 0;
    uint64_t rows = 0;
    forget_files(directory);
    for (int run = 0; run < runs; run++) {
        const double began = seconds(), began_cpu = cpu_seconds();
        rows = ask(q);
        const double took = seconds() - began, took_cpu = cpu_seconds() - began_cpu;
        if (run == 0) cold = took;
        if (took < best) best = took;
        if (took_cpu < best_cpu) best_cpu = took_cpu;
    }
    printf("{\"question\":\"%s\",\"rows\":%" PRIu64 ",\"ms\":%.3f,\"cpu_ms\":%.3f,"
           "\"cold_ms\":%.3f}\n", q->name, rows, best * 1e3, best_cpu * 1e3, cold * 1e3);
}

/// Rows by id, all over the table; half of them were looked at before.
static void measure_gets(uint64_t rows) {
    static double took[gets];
    for (int round = 0; round < 2; round++) {
        const double began_cpu = cpu_seconds();
        for (uint64_t i = 0; i < gets; i++) {
            char id[32];
            char *json;
            snprintf(id, sizeof id, "o%09" PRIu64, order_mix(i) % rows);
            const double began = seconds();
            must(pqdb_get(db, "Order", id, &json, NULL, &err), &err);
            took[i] = seconds() - began;
            pqdb_free(json);
        }
        const double took_cpu = (cpu_seconds() - began_cpu) / gets;
        printf("{\"question\":\"get by id, %s\",\"rows\":1,\"ms\":%.4f,\"p99_ms\":%.4f,"
               "\"cpu_ms\":%.4f}\n", round == 0 ? "first" : "again",
               quantile(took, gets, 500) * 1e3, quantile(took, gets, 990) * 1e3, took_cpu * 1e3);
    }
}

static void measure_group(void) {
    double best = 1e9, best_cpu = 1e9;
    uint64_t rows = 0;
    for (int run = 0; run < 3; run++) {
        const double began = seconds(), began_cpu = cpu_seconds();
        must(pqdb_view_refresh(db, "ByState", true, NULL, &err), &err);
        if (seconds() - began < best) best = seconds() - began;
        if (cpu_seconds() - began_cpu < best_cpu) best_cpu = cpu_seconds() - began_cpu;
    }
    must(pqdb_count(db, "ByState", NULL, &rows, &err), &err);
    printf("{\"question\":\"group by two texts\",\"rows\":%" PRIu64 ",\"ms\":%.3f,"
           "\"cpu_ms\":%.3f}\n", rows, best * 1e3, best_cpu * 1e3);
}

static void ask_all(const char *directory, int runs) {
    uint64_t rows;
    must(pqdb_open(directory, NULL, &db, &err), &err);
    must(pqdb_count(db, "Order", NULL, &rows, &err), &err);
    for (size_t i = 0; i < question_count; i++) measure(&questions[i], directory, runs);
    measure_gets(rows);
    const double peak = peak_mib();
    measure_group();
    printf("{\"question\":\"peak memory\",\"rows\":%" PRIu64 ",\"mib\":%.1f}\n", rows, peak);
    must(pqdb_close(db, &err), &err);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "make") == 0) {
        make(strtoull(argv[2], NULL, 10), argv[3]);
    } else if (argc >= 3 && strcmp(argv[1], "ask") == 0) {
        const int runs = argc > 3 ? (int)strtoul(argv[3], NULL, 10) : 5;
        ask_all(argv[2], runs < 1 ? 1 : runs);
    } else {
        fprintf(stderr, "usage: find_bench make ROWS DIR | ask DIR [RUNS]\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
