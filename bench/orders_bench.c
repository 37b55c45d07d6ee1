/// bench/orders_bench.c: grouped views over orders, measured through the public interface. One
/// phase a run, one JSON line on stdout: so each phase has its own peak of memory.
///
///     orders_bench groups VIEWS ROWS DIRECTORY   1000-row commits, 1 or 10 grouped views live
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>

#include "measure.h"
#include "orders.h"

enum { commit_rows = 1000, views_max = 10 };

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

int main(int argc, char **argv) {
    const char *phase = argc > 1 ? argv[1] : "";
    if (argc == 5 && strcmp(phase, "groups") == 0) {
        const size_t views = strtoul(argv[2], NULL, 10);
        groups(views > views_max ? views_max : views, strtoull(argv[3], NULL, 10), argv[4]);
    } else {
        fprintf(stderr, "usage: orders_bench groups VIEWS ROWS DIR\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
