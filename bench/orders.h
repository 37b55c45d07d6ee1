/// bench/orders.h: orders and customers of a shop, as JSON lines or tab-separated.
///
/// Deterministic: order i and customer i are the same everywhere. A customer has a hundred orders;
/// customer 0 has exactly ORDERS_OF_FIRST, spread over the whole table. Days and states are mixed,
/// so that a commit of a thousand orders touches hundreds of groups.
#ifndef PQ_BENCH_ORDERS_H
#define PQ_BENCH_ORDERS_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { ORDER_BYTES_MAX = 320, ORDERS_PER_CUSTOMER = 100, ORDERS_OF_FIRST = 1000 };

static const char *const order_states[] = {"new", "paid", "packed", "shipped", "done"};
static const char *const order_regions[] = {"AT", "BE", "CH", "DE", "DK", "ES",
                                            "FR", "IT", "NL", "NO", "PL", "SE"};
static const char *const order_channels[] = {"web", "app", "store"};
static const char *const customer_tiers[] = {"bronze", "silver", "gold", "platinum"};

static inline uint64_t order_mix(uint64_t x) {
    x = (x + 1) * UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

struct order {
    uint64_t id, customer;
    const char *state, *region, *channel;
    unsigned cents, quantity;
    unsigned month, day, hour, minute, second;
};

static inline uint64_t customers_of(uint64_t orders) {
    const uint64_t count = orders / ORDERS_PER_CUSTOMER;
    return count < 2 ? 2 : count;
}

/// Order `id` of a table of `orders`.
static inline struct order order_at(uint64_t id, uint64_t orders) {
    static const unsigned month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const uint64_t a = order_mix(id), b = order_mix(a), every = orders / ORDERS_OF_FIRST;
    struct order order = {.id = id,
                          .state = order_states[a % 5],
                          .region = order_regions[(a >> 8) % 12],
                          .channel = order_channels[(a >> 16) % 3],
                          .cents = (unsigned)((b >> 20) % 100000 + 100),
                          .quantity = (unsigned)(b % 9 + 1),
                          .hour = (unsigned)((a >> 24) % 24),
                          .minute = (unsigned)((a >> 32) % 60),
                          .second = (unsigned)((a >> 40) % 60)};
    const bool is_first = every > 0 && id % every == 0 && id / every < ORDERS_OF_FIRST;
    order.customer = is_first ? 0 : 1 + (b >> 4) % (customers_of(orders) - 1);
    unsigned day = (unsigned)((a >> 44) % 365);
    while (day >= month_days[order.month]) day -= month_days[order.month++];
    order.month++;
    order.day = day + 1;
    return order;
}

/// One line with its end. Returns its length.
static inline size_t order_json(const struct order *order, char out[static ORDER_BYTES_MAX]) {
    return (size_t)snprintf(
        out, ORDER_BYTES_MAX,
        "{\"$id\":\"o%09" PRIu64 "\",\"customer\":\"c%07" PRIu64 "\",\"status\":\"%s\","
        "\"region\":\"%s\",\"channel\":\"%s\",\"quantity\":%u,\"total\":%u.%02u,"
        "\"placedAt\":\"2025-%02u-%02uT%02u:%02u:%02u.000Z\"}\n",
        order->id, order->customer, order->state, order->region, order->channel, order->quantity,
        order->cents / 100, order->cents % 100, order->month, order->day, order->hour,
        order->minute, order->second);
}

static inline size_t order_tabs(const struct order *order, char out[static ORDER_BYTES_MAX]) {
    return (size_t)snprintf(
        out, ORDER_BYTES_MAX,
        "o%09" PRIu64 "\tc%07" PRIu64 "\t%s\t%s\t%s\t%u\t%u.%02u\t"
        "2025-%02u-%02u %02u:%02u:%02u.000\n",
        order->id, order->customer, order->state, order->region, order->channel, order->quantity,
        order->cents / 100, order->cents % 100, order->month, order->day, order->hour,
        order->minute, order->second);
}

static inline size_t customer_json(uint64_t id, char out[static ORDER_BYTES_MAX]) {
    const uint64_t a = order_mix(id + UINT64_C(0x100000000));
    return (size_t)snprintf(out, ORDER_BYTES_MAX,
                            "{\"$id\":\"c%07" PRIu64 "\",\"name\":\"customer %" PRIu64
                            "\",\"tier\":\"%s\",\"country\":\"%s\"}\n",
                            id, id, customer_tiers[a % 4], order_regions[(a >> 8) % 12]);
}

#endif
