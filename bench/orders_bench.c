/// bench/orders_bench.c: grouped views over orders, measured through the public interface. One
/// phase a run, one JSON line on stdout: so each phase has its own peak of memory.
///
///     orders_bench groups VIEWS ROWS DIRECTORY  1000-row commits, 1 or 10 grouped views live
///     orders_bench exact ROWS DIRECTORY      the same, then updates and deletes: is it right?
///     orders_bench load ROWS DIRECTORY       orders and customers, three views, all in files
///     orders_bench mix ROWS DIRECTORY        on what `load` left: 1 % of a million rows change
///     orders_bench single ROWS DIRECTORY     on what `load` left: one row a commit
///     orders_bench build DIRECTORY           on what `load` left: the grouped view from nothing
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>

#include <fcntl.h>
#include <unistd.h>

#include "measure.h"
#include "orders.h"

enum {
    commit_rows = 1000,
    views_max = 10,
    mix_rows = 100,     // of a commit
    mix_commits = 100,  // of a round: 1 % of a million orders
    mix_rounds = 6,     // the first finds its pages cold, the last one warm
    singles = 3000,
    switches = 21,      // of the customer's tier
};

#define FIELDS(customer)                                                                          \
    "{ customer: '" customer "', status: 'string!', region: 'string!', channel: 'string!',"      \
    "  quantity: 'int!', total: 'decimal(10,2)!', placedAt: 'timestamp!' }"
#define FIGURES                                                                                   \
    "$compute: { orders: { $count: '*' }, sum: { $sum: 'total' }, avg: { $avg: 'total' },"        \
    "  least: { $min: 'total' }, most: { $max: 'total' } }"

/// bench/chdb_orders.py has the same list.
static const char *const group_keys[views_max] = {
    "'status', { day: '$placedAt' }",   "{ day: '$placedAt' }",
    "'status'",                         "'status', { month: '$placedAt' }",
    "'status', 'quantity'",             "'customer'",
    "'status', { week: '$placedAt' }",  "'region', { day: '$placedAt' }",
    "'region', 'status'",               "'channel', { month: '$placedAt' }"};

static char *group_schema(size_t views) {
    enum { capacity = 8192 };
    char *schema = must_have(malloc(capacity));
    size_t used = (size_t)snprintf(schema, capacity, "{ Order: %s", FIELDS("string!"));
    for (size_t i = 0; i < views; i++) {
        used += (size_t)snprintf(schema + used, capacity - used,
                                 ", By%zu: { $from: 'Order', $groupBy: [%s], %s }", i,
                                 group_keys[i], FIGURES);
    }
    snprintf(schema + used, capacity - used, " }");
    return schema;
}

/// Made beforehand, so that only the database is measured.
static char **make_commits(uint64_t orders) {
    const size_t count = orders / commit_rows;
    char **texts = must_have(calloc(count, sizeof *texts));
    for (size_t i = 0; i < count; i++) {
        size_t used = 0;
        char *text = must_have(malloc(commit_rows * ORDER_BYTES_MAX + 1));
        for (uint64_t row = 0; row < commit_rows; row++) {
            const struct order order = order_at(i * commit_rows + row, orders);
            used += order_json(&order, text + used);
        }
        texts[i] = must_have(realloc(text, used + 1));
    }
    return texts;
}

static void groups(size_t views, uint64_t orders, const char *directory) {
    const size_t count = orders / commit_rows;
    char **texts = make_commits(orders);
    double *took = must_have(calloc(count, sizeof *took));
    char *schema = group_schema(views);
    pqdb_error err;
    pqdb_db *db = make_database(directory, schema, NULL);
    const double began = seconds(), cpu = cpu_seconds();
    for (size_t i = 0; i < count; i++) {
        const double start = seconds();
        must(pqdb_create(db, "Order", texts[i], strlen(texts[i]), NULL, NULL, &err), &err);
        took[i] = (seconds() - start) * 1e6;
    }
    const double total = seconds() - began, used = cpu_seconds() - cpu;
    printf("{\"phase\":\"groups-%zu\",\"rows\":%" PRIu64 ",\"seconds\":%.3f,\"cpu_seconds\":%.3f,"
           "\"p50_us\":%.1f,\"p99_us\":%.1f,\"peak_mib\":%.0f}\n",
           views, (uint64_t)count * commit_rows, total, used, quantile(took, count, 500),
           quantile(took, count, 990), peak_mib());
    must(pqdb_close(db, &err), &err);
    for (size_t i = 0; i < count; i++) free(texts[i]);
    free(texts);
    free(took);
    free(schema);
}

// ---- updates and deletes on the grouped view --------------------------------------------------

static uint64_t differences(pqdb_db *db, const char *view) {
    pqdb_error err;
    pqdb_verified verified;
    must(pqdb_view_verify(db, view, NULL, NULL, &verified, &err), &err);
    return verified.differences;
}

static void exact(uint64_t orders, const char *directory) {
    char **texts = make_commits(orders);
    char *schema = group_schema(1);
    pqdb_error err;
    pqdb_written updated, removed;
    pqdb_db *db = make_database(directory, schema, NULL);
    for (size_t i = 0; i < orders / commit_rows; i++) {
        must(pqdb_create(db, "Order", texts[i], strlen(texts[i]), NULL, NULL, &err), &err);
        free(texts[i]);
    }
    const pqdb_edit edit = {.where = "{ $id: { $endsWith: '7' } }",
                            .operators = "{ $inc: { total: 1 } }"};
    must(pqdb_update(db, "Order", &edit, NULL, &updated, &err), &err);
    must(pqdb_delete(db, "Order", "{ $id: { $endsWith: '9' } }", NULL, &removed, &err), &err);
    printf("{\"phase\":\"exact\",\"updated\":%" PRIu64 ",\"removed\":%" PRIu64
           ",\"differences\":%" PRIu64 "}\n",
           updated.changed, removed.removed, differences(db, "By0"));
    must(pqdb_close(db, &err), &err);
    free(texts);
    free(schema);
}

// ---- a large table ----------------------------------------------------------------------------

static const char shop[] =
    "{ Customer: { name: 'string!', tier: 'string!', country: 'string!' },"
    "  Order: " FIELDS("-> Customer") ","
    "  ByDay: { $from: 'Order', $groupBy: ['status', { day: '$placedAt' }], " FIGURES " },"
    "  ByTier: { $from: 'Order', $expand: ['customer'],"
    "    $groupBy: ['status', 'customer.tier'], $compute: { orders: { $count: '*' },"
    "    sum: { $sum: 'total' }, avg: { $avg: 'total' } } },"
    "  Large: { $from: 'Order', $filter: { total: { $gt: 1000 } },"
    "    $select: { customer: '$customer', total: '$total', status: '$status' } } }";

struct lines {
    uint64_t next, count, orders;
    bool are_customers;
};

static pqdb_code read_lines(void *ctx, void *out, size_t capacity, size_t *length,
                            pqdb_error *err) {
    struct lines *lines = ctx;
    (void)err;
    *length = 0;
    while (lines->next < lines->count && *length + ORDER_BYTES_MAX <= capacity) {
        char *at = (char *)out + *length;
        const struct order order = order_at(lines->next, lines->orders);
        *length += lines->are_customers ? customer_json(lines->next, at) : order_json(&order, at);
        lines->next++;
    }
    return PQDB_OK;
}

static void ingest(pqdb_db *db, const char *collection, struct lines lines) {
    pqdb_error err;
    pqdb_ingest *run;
    must(pqdb_ingest_open(db, collection, NULL, &run, &err), &err);
    must(pqdb_ingest_from(run, read_lines, &lines, &err), &err);
    must(pqdb_ingest_finish(run, NULL, &err), &err);
    pqdb_ingest_close(run);
}

static void load(uint64_t orders, const char *directory) {
    pqdb_error err;
    pqdb_db *db = make_database(directory, shop, NULL);
    const double began = seconds(), cpu = cpu_seconds();
    ingest(db, "Customer", (struct lines){.count = customers_of(orders), .are_customers = true});
    ingest(db, "Order", (struct lines){.count = orders, .orders = orders});
    must(pqdb_checkpoint(db, &err), &err);
    printf("{\"phase\":\"load-%" PRIu64 "\",\"rows\":%" PRIu64 ",\"seconds\":%.3f,"
           "\"cpu_seconds\":%.3f,\"peak_mib\":%.0f}\n",
           orders, orders, seconds() - began, cpu_seconds() - cpu, peak_mib());
    must(pqdb_close(db, &err), &err);
}

static pqdb_db *open_shop(const char *directory) {
    const pqdb_options options = {.memory_bytes = (size_t)6 << 30};
    pqdb_error err;
    pqdb_db *db;
    must(pqdb_open(directory, &options, &db, &err), &err);
    return db;
}

/// `{ $id: { $in: [...] } }` with rows drawn from the whole table.
static char *draw_ids(uint64_t draw, uint64_t orders, size_t count) {
    char *text = must_have(malloc(32 + count * 16));
    size_t used = (size_t)snprintf(text, 32, "{ $id: { $in: [");
    for (size_t i = 0; i < count; i++) {
        const uint64_t id = order_mix(draw * 1000003 + i) % orders;
        used += (size_t)snprintf(text + used, 16, "'o%09" PRIu64 "',", id);
    }
    memcpy(text + used - 1, "] } }", 6);
    return text;
}

/// Of ten commits eight change a hundred rows, one creates and one removes as many.
static void change(pqdb_db *db, uint64_t draw, uint64_t orders) {
    pqdb_error err;
    if (draw % 10 == 4) {
        char *text = must_have(malloc(mix_rows * ORDER_BYTES_MAX + 1));
        size_t used = 0;
        for (uint64_t i = 0; i < mix_rows; i++) {
            struct order order = order_at(orders + draw * mix_rows + i, orders);
            order.customer %= customers_of(orders);
            used += order_json(&order, text + used);
        }
        must(pqdb_create(db, "Order", text, used, NULL, NULL, &err), &err);
        free(text);
        return;
    }
    char *where = draw_ids(draw, orders, mix_rows);
    const pqdb_edit edit = {.where = where,
                            .operators = "{ $inc: { total: 1 }, $set: { status: 'paid' } }"};
    must(draw % 10 == 9 ? pqdb_delete(db, "Order", where, NULL, NULL, &err)
                        : pqdb_update(db, "Order", &edit, NULL, NULL, &err), &err);
    free(where);
}

/// The tier of the customer with a thousand orders, there and back.
static void switch_tier(pqdb_db *db, int turn) {
    pqdb_error err;
    const pqdb_edit edit = {.where = "c0000000",
                            .operators = turn % 2 == 0 ? "{ $set: { tier: 'iron' } }"
                                                       : "{ $set: { tier: 'gold' } }"};
    must(pqdb_update(db, "Customer", &edit, NULL, NULL, &err), &err);
}

static void mix(uint64_t orders, const char *directory) {
    pqdb_error err;
    pqdb_db *db = open_shop(directory);
    double tier[switches], rounds[mix_rounds], p50[mix_rounds], cpu[mix_rounds];
    double took[mix_commits];
    double began = seconds();
    switch_tier(db, 0);
    const double cold_tier = seconds() - began;
    for (int round = 0; round < mix_rounds; round++) {
        const double start = seconds(), start_cpu = cpu_seconds();
        for (int i = 0; i < mix_commits; i++) {
            began = seconds();
            change(db, (uint64_t)(round * mix_commits + i), orders);
            took[i] = seconds() - began;
        }
        rounds[round] = (seconds() - start) / mix_commits;
        cpu[round] = (cpu_seconds() - start_cpu) / mix_commits;
        p50[round] = quantile(took, mix_commits, 500);
    }
    for (int i = 0; i < switches; i++) {
        began = seconds();
        switch_tier(db, i + 1);
        tier[i] = seconds() - began;
    }
    const int last = mix_rounds - 1;
    printf("{\"phase\":\"mix-%" PRIu64 "\",\"cold_us\":%.0f,\"warm_us\":%.0f,\"cold_p50_us\":%.0f,"
           "\"warm_p50_us\":%.0f,\"warm_cpu_us\":%.0f,\"customer_cold_ms\":%.2f,"
           "\"customer_ms\":%.2f,\"peak_mib\":%.0f",
           orders, rounds[0] * 1e6, rounds[last] * 1e6, p50[0] * 1e6, p50[last] * 1e6,
           cpu[last] * 1e6, cold_tier * 1e3, quantile(tier, switches, 500) * 1e3, peak_mib());
    printf(",\"differences\":%" PRIu64 "}\n", differences(db, "ByTier") + differences(db, "ByDay"));
    must(pqdb_close(db, &err), &err);
}

/// A file filled with zeros, to sync beside the database.
static int open_bare(const char *directory) {
    static const char zeros[1 << 20];
    char path[600];
    snprintf(path, sizeof path, "%s/bare", directory);
    const int fd = open(path, O_RDWR | O_CREAT, 0644);
    for (off_t at = 0; fd >= 0 && at < 8 << 20; at += 1 << 20) {
        if (pwrite(fd, zeros, sizeof zeros, at) < 0) exit(EXIT_FAILURE);
    }
    if (fd < 0 || fsync(fd) != 0) exit(EXIT_FAILURE);
    unlink(path);
    return fd;
}

static void single(uint64_t orders, const char *directory) {
    static const char *const operators[] = {"{ $set: { status: 'packed' }, $inc: { total: 1 } }",
                                            "{ $set: { status: 'done' }, $inc: { total: 1 } }"};
    pqdb_error err;
    pqdb_db *db = open_shop(directory);
    const int fd = open_bare(directory);
    static double took[singles], bare[singles];
    static const char line[1024];
    double cpu = 0;
    for (int i = 0; i < singles + 200; i++) {  // the first ones warm up
        char id[32];
        snprintf(id, sizeof id, "o%09" PRIu64, order_mix((uint64_t)i % 1000) % orders);
        const pqdb_edit edit = {.where = id, .operators = operators[i % 2]};
        const double began = seconds(), used = cpu_seconds();
        must(pqdb_update(db, "Order", &edit, NULL, NULL, &err), &err);
        const double done = seconds();
        const int at = i < 200 ? 0 : i - 200;
        took[at] = (done - began) * 1e6;
        cpu += i < 200 ? 0 : cpu_seconds() - used;
        const double start = seconds();
        if (pwrite(fd, line, sizeof line, (off_t)i * (off_t)sizeof line) < 0) exit(EXIT_FAILURE);
        if (fdatasync(fd) != 0) exit(EXIT_FAILURE);
        bare[at] = (seconds() - start) * 1e6;
    }
    close(fd);
    double total = 0;
    for (int i = 0; i < singles; i++) total += took[i];
    const double p50 = quantile(took, singles, 500);
    printf("{\"phase\":\"single-update\",\"mean_us\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"bare_p50_us\":%.1f,\"cpu_us\":%.1f,\"peak_mib\":%.0f}\n",
           total / singles, p50, quantile(took, singles, 990), quantile(bare, singles, 500),
           cpu / singles * 1e6, peak_mib());
    must(pqdb_close(db, &err), &err);
}

static void build(const char *directory) {
    pqdb_error err;
    pqdb_db *db;
    must(pqdb_open(directory, NULL, &db, &err), &err);
    const double base = peak_mib(), began = seconds(), cpu = cpu_seconds();
    pqdb_refreshed refreshed;
    must(pqdb_view_refresh(db, "ByDay", true, &refreshed, &err), &err);
    printf("{\"phase\":\"build\",\"seconds\":%.4f,\"cpu_seconds\":%.4f,\"base_mib\":%.0f,"
           "\"peak_mib\":%.0f}\n",
           seconds() - began, cpu_seconds() - cpu, base, peak_mib());
    must(pqdb_close(db, &err), &err);
}

int main(int argc, char **argv) {
    const char *phase = argc > 1 ? argv[1] : "", *last = argc > 1 ? argv[argc - 1] : "";
    const uint64_t rows = argc > 3 ? strtoull(argv[argc - 2], NULL, 10) : 0;
    if (argc == 5 && strcmp(phase, "groups") == 0) {
        const size_t views = strtoul(argv[2], NULL, 10);
        groups(views > views_max ? views_max : views, rows, last);
    } else if (argc == 4 && strcmp(phase, "exact") == 0) {
        exact(rows, last);
    } else if (argc == 4 && strcmp(phase, "load") == 0) {
        load(rows, last);
    } else if (argc == 4 && strcmp(phase, "mix") == 0) {
        mix(rows, last);
    } else if (argc == 4 && strcmp(phase, "single") == 0) {
        single(rows, last);
    } else if (argc == 3 && strcmp(phase, "build") == 0) {
        build(last);
    } else {
        fprintf(stderr,
                "usage: orders_bench groups VIEWS ROWS DIR | exact ROWS DIR | load ROWS DIR "
                "| mix ROWS DIR | single ROWS DIR | build DIR\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
