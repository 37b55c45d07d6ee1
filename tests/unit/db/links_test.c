/// Goal: views and queries that follow links are right whatever happens to either end of a link,
/// across refreshes, checkpoints and restarts.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <string.h>

#include "support/temp.h"
#include "support/test.h"

static const char schema[] =
    "{ Company: { name: 'string', country: 'string' },\n"
    "  Customer: { name: 'string', tier: 'string', company: '-> Company',\n"
    "              orders: '<- Order.customer[]', v: 'variant' },\n"
    "  Product: { title: 'string' },\n"
    "  Order: { customer: '-> Customer', n: 'int',\n"
    "           items: [{ product: '-> Product', k: 'int' }] },\n"
    "  Wide: { $from: 'Order', $expand: ['customer', 'customer.company', 'items.product'] },\n"
    "  Groups: { $from: 'Order', $groupBy: ['customer.tier', 'customer.company.name'],\n"
    "            $compute: { n: { $count: '*' }, s: { $sum: 'n' } } },\n"
    "  Items: { $from: 'Order', $unnest: 'items', $select: { t: '$items.product.title' } },\n"
    "  Back: { $from: 'Customer', $compute: { n: { $count: 'orders' } }, $select: { n: '$n' } },\n"
    "  Above: { $from: 'Wide', $filter: { 'customer.tier': 'gold' },\n"
    "           $select: { v: '$customer_v', c: '$customer.company.country' } },\n"
    "  Later: { $from: 'Order', $filter: { 'customer.company.name': { $ne: 'b' } },\n"
    "           $refresh: { mode: 'manual' } },\n"
    "  LaterGroups: { $from: 'Wide', $groupBy: ['customer.tier'],\n"
    "                 $compute: { n: { $count: '*' } }, $refresh: { mode: 'manual' } } }";

static const char *const views[] = {"Wide",  "Groups", "Items",      "Back",
                                    "Above", "Later",  "LaterGroups"};

static pqdb_error err;
static struct temp_directory place;
static pqdb_db *db;

#define MUST(call) CHECK((call) == PQDB_OK, "%s: %s", err.subject, err.message)

static void start(void) {
    place = temp_directory_make();
    MUST(pqdb_init(place.path, schema, strlen(schema), NULL, NULL, &err));
    MUST(pqdb_open(place.path, NULL, &db, &err));
}

static void stop(void) {
    MUST(pqdb_close(db, &err));
    temp_directory_remove(&place);
}

static void reopen(void) {
    MUST(pqdb_close(db, &err));
    MUST(pqdb_open(place.path, NULL, &db, &err));
}

static void create(const char *collection, const char *json) {
    MUST(pqdb_create(db, collection, json, strlen(json), NULL, NULL, &err));
}

static void update(const char *collection, const char *filter, const char *operators) {
    const pqdb_edit edit = {.where = filter, .operators = operators};
    MUST(pqdb_update(db, collection, &edit, NULL, NULL, &err));
}

static void fill(void) {
    create("Company", "[{\"$id\":\"a\",\"name\":\"a\",\"country\":\"DE\"},"
                      "{\"$id\":\"b\",\"name\":\"b\"}]");
    create("Customer", "[{\"$id\":\"1\",\"tier\":\"gold\",\"company\":\"a\",\"v\":{\"k\":[1]}},"
                       "{\"$id\":\"2\",\"tier\":\"tin\",\"company\":\"b\"}]");
    create("Product", "{\"$id\":\"p\",\"title\":\"Tea\"}");
    create("Order", "[{\"$id\":\"x\",\"customer\":\"1\",\"n\":1,"
                    "\"items\":[{\"product\":\"p\",\"k\":2}]},"
                    "{\"$id\":\"y\",\"customer\":\"2\",\"n\":2,"
                    "\"items\":[{\"k\":1},{\"product\":\"p\"}]},"
                    "{\"$id\":\"z\",\"n\":4}]");
}

static void verify_all(const char *when) {
    for (size_t k = 0; k < sizeof views / sizeof *views; k++) {
        pqdb_verified verified;
        MUST(pqdb_view_refresh(db, views[k], false, NULL, &err));
        MUST(pqdb_view_verify(db, views[k], NULL, NULL, &verified, &err));
        CHECK(verified.differences == 0, "%s %s: %" PRIu64 " differences", views[k], when,
              verified.differences);
    }
}

static uint64_t count(const char *name, const char *filter) {
    uint64_t rows = 0;
    MUST(pqdb_count(db, name, filter, &rows, &err));
    return rows;
}

static void views_follow_both_ends_of_a_link(void) {
    start();
    fill();
    verify_all("at first");
    CHECK(count("Wide", "{ customer_tier: 'gold', customer_company_name: 'a' }") == 1, "wide");
    update("Customer", "{ $id: '2' }", "{ $set: { tier: 'gold' } }");
    CHECK(count("Wide", "{ customer_tier: 'gold' }") == 2, "both are gold");
    verify_all("after a target changed");
    update("Company", "{ $id: 'a' }", "{ $set: { name: 'c', country: 'FR' } }");
    CHECK(count("Above", "{ c: 'FR' }") == 1, "two levels down");
    verify_all("after a target of a target changed");
    update("Order", "{ $id: 'x' }", "{ $set: { customer: '2' } }");
    update("Customer", "{ $id: '1' }", "{ $unset: { company: true } }");
    verify_all("after links changed");
    MUST(pqdb_delete(db, "Customer", "{ $id: '2' }", NULL, NULL, &err));
    MUST(pqdb_delete(db, "Product", "{ $id: 'p' }", NULL, NULL, &err));
    CHECK(count("Wide", "{ customer_id: null, customer: '2' }") == 2, "they dangle");
    CHECK(count("Items", "{ t: null }") == 3, "no title");
    verify_all("after targets were deleted");
    create("Customer", "{\"$id\":\"2\",\"tier\":\"new\",\"company\":\"a\"}");
    CHECK(count("Groups", "{ customer_tier: 'new', n: 2, s: 3 }") == 1, "met again");
    verify_all("after a target came back");
    stop();
}

static void restarts_and_checkpoints_lose_no_link(void) {
    start();
    fill();
    reopen();
    verify_all("after a replay");
    MUST(pqdb_checkpoint(db, &err));
    update("Customer", "{}", "{ $set: { tier: 'x' } }");
    verify_all("with rows in files");
    reopen();
    update("Company", "{}", "{ $set: { name: 'd' } }");
    CHECK(count("Groups", "{ customer_company_name: 'd' }") == 1, "one group of both");
    verify_all("with a root and a log");
    MUST(pqdb_checkpoint(db, &err));
    reopen();
    verify_all("with a root alone");
    stop();
}

static void count_source(void *ctx, const pqdb_view_source *source) {
    const bool moved = strcmp(source->name, "Company") == 0;
    CHECK((source->newest > source->version) == moved, "%s at %" PRIu64, source->name,
          source->version);
    ++*(size_t *)ctx;
}

static void a_lagging_view_is_stale_by_what_it_links_to(void) {
    start();
    fill();
    verify_all("at first");
    pqdb_view_state state;
    pqdb_refreshed refreshed;
    update("Company", "{ $id: 'a' }", "{ $set: { name: 'b' } }");
    MUST(pqdb_view_state_get(db, "Later", &state, &err));
    CHECK(strcmp(state.state, "stale") == 0 && strstr(state.reason, "Company") != NULL, "%s: %s",
          state.state, state.reason);
    size_t sources = 0;
    MUST(pqdb_view_sources(db, "Later", count_source, &sources, &err));
    CHECK(sources == 3, "%zu sources", sources);
    CHECK(state.lag_versions > 0 && state.stale_since_us != 0, "it lags by one");
    CHECK(count("Later", "{}") == 2, "as it was");
    MUST(pqdb_view_refresh(db, "Later", false, &refreshed, &err));
    CHECK(strcmp(refreshed.kind, "incremental") == 0 && refreshed.rows == 1, "%s, %" PRIu64 " rows",
          refreshed.kind, refreshed.rows);
    CHECK(count("Later", "{}") == 1, "only the order without a customer");
    update("Company", "{}", "{ $set: { name: 'q' } }");
    update("Order", "{ $id: 'x' }", "{ $set: { n: 7 } }");
    MUST(pqdb_delete(db, "Order", "{ $id: 'y' }", NULL, NULL, &err));
    verify_all("after several commits");
    stop();
}

static void queries_follow_links(void) {
    start();
    fill();
    CHECK(count("Order", "{ 'customer.tier': 'gold' }") == 1, "a link");
    CHECK(count("Order", "{ 'customer.company.name': { $in: ['a', 'b'] } }") == 2, "two");
    CHECK(count("Order", "{ 'customer.company': 'company/b' }") == 1, "a normalised literal");
    CHECK(count("Order", "{ $id: 'x', 'customer.tier': 'tin' }") == 0, "by id");
    CHECK(count("Order", "{ items: { $elemMatch: { 'product.title': 'Tea', k: 2 } } }") == 1,
          "elements");
    CHECK(count("Customer", "{ 'orders.0.n': 2 }") == 1, "the way back");
    CHECK(count("Customer", "{ $expr: { $eq: [{ $size: '$orders' }, 1] } }") == 2, "ids of it");
    CHECK(count("Wide", "{ 'customer_company.country': 'DE' }") == 1, "of a view's link");
    const pqdb_find_options options = {.filter = "{ 'customer.v.k.0': 1 }",
                                       .sort = "{ 'customer.company.name': -1 }",
                                       .select = "customer.company.country,n"};
    pqdb_rows *rows = NULL;
    bool has_row = false;
    size_t length;
    MUST(pqdb_find(db, "Order", &options, &rows, &err));
    MUST(pqdb_rows_next(rows, &has_row, &err));
    const char *json = has_row ? pqdb_rows_json(rows, &length) : "";
    CHECK(strcmp(json, "{\"$id\":\"x\",\"customer.company.country\":\"DE\",\"n\":1}") == 0,
          "%s", json);
    pqdb_rows_close(rows);
    const pqdb_edit edit = {.where = "{ 'customer.tier': 'gold' }",
                            .operators = "{ $set: { n: 9 } }"};
    const uint64_t golden = count("Order", edit.where);
    pqdb_written written;
    MUST(pqdb_update(db, "Order", &edit, NULL, &written, &err));
    CHECK(golden > 0 && written.matched == golden && count("Order", "{ n: 9 }") == golden,
          "%d of %d", (int)written.matched, (int)golden);
    stop();
}

int main(void) {
    RUN(views_follow_both_ends_of_a_link);
    RUN(restarts_and_checkpoints_lose_no_link);
    RUN(a_lagging_view_is_stale_by_what_it_links_to);
    RUN(queries_follow_links);
    return test_done();
}
