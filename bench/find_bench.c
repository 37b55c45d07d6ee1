/// Questions to a table in files, beside what bench/find_peers.py asks others of the same files.
///
///     find_bench make orders ROWS DIR       a database of ROWS orders, checkpointed
///     find_bench make flights FILE DIR      one of the rows of FILE, flights-3m.parquet
///     find_bench ask orders|flights DIR     one JSON line a question: the best of five runs, and
///                                           the first, with its files not in memory
#include <fcntl.h>
#include <glob.h>
#include <parquedb/exchange.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <unistd.h>

#include "measure.h"
#include "orders.h"

enum { batch_rows = 10000, gets = 2000, runs = 5 };

/// A question and how many rows it gives; they are taken as JSON when it is no count.
struct question {
    const char *name, *filter, *sort, *select;
    uint64_t limit;
    bool counts;
};

struct table {
    const char *name, *schema;
    const char *view, *view_question;
    const struct question *questions;
    size_t question_count;
};

static const struct question order_questions[] = {
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

static const struct question flight_questions[] = {
    {"count, every row tested", "{ delay: { $ne: 5 }, distance: { $gte: 100 } }", NULL, NULL, 0,
     true},
    {"count, 1 %", "{ delay: { $gte: 105, $lt: 130 } }", NULL, NULL, 0, true},
    {"count, by text", "{ origin: 'ATL', destination: { $in: ['JFK', 'LAX'] } }", NULL, NULL, 0,
     true},
    {"all columns, 0.001 %", "{ delay: 331 }", "none", NULL, 0, false},
    {"3 columns, 1 %", "{ delay: { $gte: 105, $lt: 130 } }", "none", "date,origin,delay", 0, false},
    {"first 10 by delay", NULL, "{ delay: -1 }", NULL, 10, false},
    {"last 100 of an airport by time", "{ origin: 'ATL' }", "{ date: -1 }", NULL, 100, false},
};

static const struct table tables[] = {
    {"Order",
     "{ Order: { customer: 'string!', status: 'string!', region: 'string!', channel: 'string!',\n"
     "           quantity: 'int!', total: 'decimal(12,2)!', placedAt: 'timestamp!' },\n"
     "  ByState: { $from: 'Order', $groupBy: ['status', 'region'],\n"
     "             $compute: { n: { $count: '*' }, sum: { $sum: 'total' },\n"
     "                         top: { $max: 'total' } },\n"
     "             $refresh: { mode: 'manual' } } }",
     "ByState", "group by two texts", order_questions,
     sizeof order_questions / sizeof *order_questions},
    {"Flight",
     "{ Flight: { date: 'timestamp', delay: 'int', distance: 'int', origin: 'string',\n"
     "            destination: 'string' },\n"
     "  ByRoute: { $from: 'Flight', $groupBy: ['origin', 'destination'],\n"
     "             $compute: { n: { $count: '*' }, sum: { $sum: 'delay' },\n"
     "                         top: { $max: 'delay' } },\n"
     "             $refresh: { mode: 'manual' } } }",
     "ByRoute", "group by two texts", flight_questions,
     sizeof flight_questions / sizeof *flight_questions},
};

static pqdb_error err;
static pqdb_db *db;
static const struct table *table;

static void make_orders(uint64_t rows) {
    static char text[batch_rows * ORDER_BYTES_MAX];
    for (uint64_t first = 0; first < rows; first += batch_rows) {
        size_t length = 0;
        for (uint64_t i = first; i < first + batch_rows && i < rows; i++) {
            const struct order order = order_at(i, rows);
            length += order_json(&order, text + length);
        }
        must(pqdb_create(db, "Order", text, length, NULL, NULL, &err), &err);
    }
}

static void make_flights(const char *path) {
    pqdb_ingest *ingest;
    pqdb_written written;
    must(pqdb_ingest_open(db, "Flight", NULL, &ingest, &err), &err);
    must(pqdb_ingest_parquet(ingest, path, NULL, NULL, &err), &err);
    must(pqdb_ingest_finish(ingest, &written, &err), &err);
    pqdb_ingest_close(ingest);
}

static void make(const char *what, const char *directory) {
    db = make_database(directory, table->schema, NULL);
    if (table == &tables[0]) {
        make_orders(strtoull(what, NULL, 10));
    } else {
        make_flights(what);
    }
    must(pqdb_checkpoint(db, &err), &err);
    must(pqdb_close(db, &err), &err);
}

/// The next read comes from the disk.
static void forget_files(const char *directory) {
    char pattern[4096];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/%s/data/*", directory, table->name);
    if (glob(pattern, 0, NULL, &found) != 0) return;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const int file = open(found.gl_pathv[i], O_RDONLY);
        if (file < 0) continue;
        posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        close(file);
    }
    globfree(&found);
}

static uint64_t ask(const struct question *q) {
    uint64_t rows = 0;
    if (q->counts) {
        must(pqdb_count(db, table->name, q->filter, &rows, &err), &err);
        return rows;
    }
    const pqdb_find_options options = {
        .filter = q->filter, .sort = q->sort, .select = q->select, .limit = q->limit};
    return print_answer(db, table->name, &options);
}

static void measure(const struct question *q, const char *directory) {
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

/// Ids all over the table: computed, or every so-manieth of those that are there.
static void choose_ids(char (*ids)[64], uint64_t rows) {
    if (table == &tables[0]) {
        for (uint64_t i = 0; i < gets; i++) {
            snprintf(ids[i], sizeof ids[i], "o%09" PRIu64, order_mix(i) % rows);
        }
        return;
    }
    const pqdb_find_options options = {.sort = "none", .select = "$id"};
    pqdb_rows *answer;
    must(pqdb_find(db, table->name, &options, &answer, &err), &err);
    uint64_t kept = 0;
    bool has_row = true;
    for (uint64_t row = 0; kept < gets; row++) {
        size_t length;
        must(pqdb_rows_next(answer, &has_row, &err), &err);
        if (!has_row) break;
        if (row % (rows / gets) != 0) continue;
        const char *json = pqdb_rows_json(answer, &length);  // {"$id":"…"}
        snprintf(ids[kept++], sizeof *ids, "%.*s", (int)length - 10, json + 8);
    }
    pqdb_rows_close(answer);
    for (uint64_t i = 0; i < gets; i++) {  // in no order
        const uint64_t with = order_mix(i) % gets;
        char id[64];
        memcpy(id, ids[i], sizeof id);
        memcpy(ids[i], ids[with], sizeof id);
        memcpy(ids[with], id, sizeof id);
    }
}

static void measure_gets(uint64_t rows) {
    static double took[gets];
    static char ids[gets][64];
    choose_ids(ids, rows);
    for (int round = 0; round < 2; round++) {
        const double began_cpu = cpu_seconds();
        for (uint64_t i = 0; i < gets; i++) {
            char *json;
            const double began = seconds();
            must(pqdb_get(db, table->name, ids[i], &json, NULL, &err), &err);
            took[i] = seconds() - began;
            pqdb_free(json);
        }
        const double took_cpu = (cpu_seconds() - began_cpu) / gets;
        printf("{\"question\":\"get by id, %s\",\"rows\":1,\"ms\":%.4f,\"p99_ms\":%.4f,"
               "\"cpu_ms\":%.4f,\"id\":\"%s\"}\n", round == 0 ? "first" : "again",
               quantile(took, gets, 500) * 1e3, quantile(took, gets, 990) * 1e3, took_cpu * 1e3,
               ids[0]);
    }
}

static void measure_group(const char *directory) {
    double best = 1e9, best_cpu = 1e9, cold = 0;
    uint64_t rows = 0;
    forget_files(directory);
    for (int run = 0; run < 3; run++) {
        const double began = seconds(), began_cpu = cpu_seconds();
        must(pqdb_view_refresh(db, table->view, true, NULL, &err), &err);
        if (run == 0) cold = seconds() - began;
        if (seconds() - began < best) best = seconds() - began;
        if (cpu_seconds() - began_cpu < best_cpu) best_cpu = cpu_seconds() - began_cpu;
    }
    must(pqdb_count(db, table->view, NULL, &rows, &err), &err);
    printf("{\"question\":\"%s\",\"rows\":%" PRIu64 ",\"ms\":%.3f,\"cpu_ms\":%.3f,"
           "\"cold_ms\":%.3f}\n", table->view_question, rows, best * 1e3, best_cpu * 1e3,
           cold * 1e3);
}

static void ask_all(const char *directory) {
    uint64_t rows;
    must(pqdb_open(directory, NULL, &db, &err), &err);
    must(pqdb_count(db, table->name, NULL, &rows, &err), &err);
    for (size_t i = 0; i < table->question_count; i++) measure(&table->questions[i], directory);
    const double peak = peak_mib();
    measure_gets(rows);
    measure_group(directory);
    printf("{\"question\":\"peak memory\",\"rows\":%" PRIu64 ",\"mib\":%.1f}\n", rows, peak);
    must(pqdb_close(db, &err), &err);
}

int main(int argc, char **argv) {
    if (argc >= 4) table = &tables[strcmp(argv[2], "flights") == 0];
    if (argc == 5 && strcmp(argv[1], "make") == 0) {
        make(argv[3], argv[4]);
    } else if (argc == 4 && strcmp(argv[1], "ask") == 0) {
        ask_all(argv[3]);
    } else {
        fprintf(stderr, "usage: find_bench make orders ROWS DIR | make flights FILE DIR | "
                        "ask orders|flights DIR\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
