/// Goal: with writers on both ends of every link, refreshes, full builds and checkpoints beside
/// them lose nothing: views are exact while it goes on, and after a restart.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "support/temp.h"
#include "support/test.h"

static const char schema[] =
    "{ Company: { name: 'string' },\n"
    "  Customer: { tier: 'string', company: '-> Company', orders: '<- Order.customer[]',\n"
    "              v: 'variant' },\n"
    "  Order: { customer: '-> Customer', n: 'int', items: [{ by: '-> Company' }],\n"
    "           also: '-> Customer[]' },\n"
    "  Wide: { $from: 'Order', $expand: ['customer', 'customer.company', 'items.by', 'also'] },\n"
    "  Groups: { $from: 'Order', $groupBy: ['customer.tier', 'customer.company.name'],\n"
    "            $compute: { n: { $count: '*' }, s: { $sum: 'n' } } },\n"
    "  Items: { $from: 'Order', $unnest: 'items', $filter: { 'items.by.name': { $ne: 'a' } } },\n"
    "  Back: { $from: 'Customer', $expand: ['orders'] },\n"
    "  Above: { $from: 'Wide', $groupBy: ['customer_tier'], $compute: { n: { $count: '*' } } },\n"
    "  Later: { $from: 'Order', $expand: ['customer'], $refresh: { mode: 'manual' } },\n"
    "  LaterGroups: { $from: 'Wide', $groupBy: ['customer.company.name'],\n"
    "                 $compute: { n: { $count: '*' } }, $refresh: { mode: 'manual' } } }";

static const char *const views[] = {"Wide",  "Groups", "Items",      "Back",
                                    "Above", "Later",  "LaterGroups"};
enum { view_count = sizeof views / sizeof *views, writers = 3, rounds = 28 };

static pqdb_db *db;
static atomic_bool stops;
static pqdb_error err;

#define MUST(call) CHECK((call) == PQDB_OK, "%s: %s", err.subject, err.message)

static unsigned draw(unsigned *dice, unsigned sides) {
    *dice = *dice * 1103515245u + 12345u;
    return (*dice >> 16) % sides;
}

static pqdb_code put(const char *collection, const char *json, pqdb_error *why) {
    const pqdb_write_options replace = {.on_conflict = "replace"};
    return pqdb_create(db, collection, json, strlen(json), &replace, NULL, why);
}

/// Creates, replacements and deletes of everything; a link to what is not there is refused.
static void *write_on(void *ctx) {
    unsigned dice = (unsigned)(uintptr_t)ctx * 7919 + 1;
    while (!atomic_load(&stops)) {
        pqdb_error why = {0};
        char text[256], id[16];
        const unsigned what = draw(&dice, 10), order = draw(&dice, 30);
        const unsigned customer = draw(&dice, 12), company = draw(&dice, 5);
        pqdb_code code;
        if (what < 5) {
            snprintf(text, sizeof text,
                     "{\"$id\":\"o%u\",\"customer\":\"c%u\",\"n\":%u,"
                     "\"items\":[{\"by\":\"k%u\"},{}],\"also\":[\"c%u\",\"c%u\"]}",
                     order, customer, order, company, customer, (customer + 1) % 12);
            code = put("Order", text, &why);
        } else if (what < 7) {
            snprintf(text, sizeof text,
                     "{\"$id\":\"c%u\",\"tier\":\"t%u\",\"company\":\"k%u\",\"v\":{\"z%u\":1}}",
                     customer, order % 3, company, order);
            code = put("Customer", text, &why);
        } else if (what < 8) {
            snprintf(text, sizeof text, "{\"$id\":\"k%u\",\"name\":\"%c\"}", company,
                     'a' + (char)(order % 3));
            code = put("Company", text, &why);
        } else {
            snprintf(id, sizeof id, what == 8 ? "o%u" : "c%u", what == 8 ? order : customer);
            code = pqdb_delete(db, what == 8 ? "Order" : "Customer", id, NULL, NULL, &why);
        }
        CHECK(code == PQDB_OK || code == PQDB_INVALID, "%s: %s", why.subject, why.message);
    }
    return NULL;
}

static void verify(const char *view, const char *when) {
    pqdb_verified verified = {0};
    MUST(pqdb_view_verify(db, view, NULL, NULL, &verified, &err));
    CHECK(verified.differences == 0, "%s %s: %" PRIu64 " differences", view, when,
          verified.differences);
}

static void verify_all(const char *when) {
    for (size_t k = 0; k < view_count; k++) {
        MUST(pqdb_view_refresh(db, views[k], false, NULL, &err));
        verify(views[k], when);
    }
}

static void refreshes_beside_writers_lose_no_link(void) {
    const struct temp_directory place = temp_directory_make();
    pthread_t threads[writers];
    MUST(pqdb_init(place.path, schema, strlen(schema), NULL, NULL, &err));
    MUST(pqdb_open(place.path, NULL, &db, &err));
    for (uintptr_t i = 0; i < writers; i++) {
        CHECK(pthread_create(&threads[i], NULL, write_on, (void *)i) == 0, "thread %d", (int)i);
    }
    for (int round = 0; round < rounds; round++) {
        uint64_t rows;
        MUST(pqdb_view_refresh(db, views[round % view_count], round % 3 != 0, NULL, &err));
        MUST(pqdb_count(db, "Order", "{ 'customer.company.name': 'a' }", &rows, &err));
        verify(views[round % 5], "beside writers");
        if (round % 9 == 8) MUST(pqdb_checkpoint(db, &err));
    }
    atomic_store(&stops, true);
    for (int i = 0; i < writers; i++) pthread_join(threads[i], NULL);
    verify_all("when all is quiet");
    MUST(pqdb_close(db, &err));
    MUST(pqdb_open(place.path, NULL, &db, &err));
    verify_all("after a restart");
    MUST(pqdb_close(db, &err));
    temp_directory_remove(&place);
}

int main(void) {
    RUN(refreshes_beside_writers_lose_no_link);
    return test_done();
}
