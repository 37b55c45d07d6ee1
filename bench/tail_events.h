/// bench/tail_events.h: tail events in the true shape of a Cloudflare TraceItem, about 1.2 KB each.
///
/// Deterministic: a seed gives the same bytes everywhere. Skewed as real traffic is: few scripts,
/// paths and places make most of it; 0 to 5 logs; an event in thirty is an exception.
#ifndef PQ_BENCH_TAIL_EVENTS_H
#define PQ_BENCH_TAIL_EVENTS_H

#include <stdint.h>
#include <stdio.h>

enum { TAIL_EVENT_BYTES_MAX = 8192 };

struct tail_events {
    uint64_t state;
    uint64_t count;  // events so far
    int64_t now_ms;  // of the last one
};

static inline void tail_events_init(struct tail_events *events, uint64_t seed) {
    *events = (struct tail_events){.state = seed, .now_ms = INT64_C(1767225600000)};
}

static inline uint64_t tail_draw(struct tail_events *events, uint64_t below) {
    events->state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t x = events->state;
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (x ^ (x >> 31)) % below;
}

/// Below `count`, small numbers far more often.
static inline uint64_t tail_skewed(struct tail_events *events, uint64_t count) {
    const uint64_t a = tail_draw(events, count), b = tail_draw(events, a + 1);
    return tail_draw(events, b + 1);
}

struct tail_place {
    const char *colo, *country, *city, *region, *timezone, *continent;
};

static const struct tail_place tail_places[] = {
    {"IAD", "US", "Ashburn", "Virginia", "America/New_York", "NA"},
    {"FRA", "DE", "Frankfurt am Main", "Hesse", "Europe/Berlin", "EU"},
    {"LHR", "GB", "London", "England", "Europe/London", "EU"},
    {"SJC", "US", "San Jose", "California", "America/Los_Angeles", "NA"},
    {"AMS", "NL", "Amsterdam", "North Holland", "Europe/Amsterdam", "EU"},
    {"CDG", "FR", "Paris", "Île-de-France", "Europe/Paris", "EU"},
    {"NRT", "JP", "Tokyo", "Tokyo", "Asia/Tokyo", "AS"},
    {"GRU", "BR", "São Paulo", "São Paulo", "America/Sao_Paulo", "SA"},
    {"SIN", "SG", "Singapore", "Singapore", "Asia/Singapore", "AS"},
    {"SYD", "AU", "Sydney", "New South Wales", "Australia/Sydney", "OC"},
    {"BOM", "IN", "Mumbai", "Maharashtra", "Asia/Kolkata", "AS"},
    {"JNB", "ZA", "Johannesburg", "Gauteng", "Africa/Johannesburg", "AF"},
};

static const char *const tail_agents[] = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1 Safari",
    "curl/8.11.0",
};

static const char *const tail_paths[] = {
    "/", "/api/items", "/api/cart", "/api/checkout", "/login", "/assets/app.js", "/api/search",
    "/api/user", "/health", "/webhook/order", "/api/v2/reports/daily", "/img/logo.svg",
};

#define TAIL_PICK(events, list) ((list)[tail_skewed((events), sizeof(list) / sizeof *(list))])
#define TAIL_PRINT(...) \
    (used += (size_t)snprintf(out + used, (size_t)TAIL_EVENT_BYTES_MAX - used, __VA_ARGS__))

static inline size_t tail_put_request(struct tail_events *events, const char *path, char *out) {
    const struct tail_place place = TAIL_PICK(events, tail_places);
    const char *agent = TAIL_PICK(events, tail_agents);
    const char *method = tail_draw(events, 5) == 0 ? "POST" : "GET";
    size_t used = 0;
    TAIL_PRINT("\"event\":{\"request\":{"
               "\"url\":\"https://shop%u.example%s?id=%u\",\"method\":\"%s\","
               "\"headers\":{\"accept\":\"*/*\",\"accept-encoding\":\"gzip, br\","
               "\"accept-language\":\"en-US,en;q=0.9\",\"connection\":\"Keep-Alive\","
               "\"cf-visitor\":\"{\\\"scheme\\\":\\\"https\\\"}\",\"x-forwarded-proto\":\"https\","
               "\"cf-connecting-ip\":\"203.0.113.%u\",\"cf-ipcountry\":\"%s\","
               "\"cf-ray\":\"%012llx%s\",\"host\":\"shop.example\",\"user-agent\":\"%s\"},",
               (unsigned)tail_skewed(events, 8), path, (unsigned)tail_skewed(events, 5000), method,
               (unsigned)tail_draw(events, 250), place.country,
               (unsigned long long)tail_draw(events, UINT64_C(1) << 48), place.colo, agent);
    TAIL_PRINT("\"cf\":{\"clientTcpRtt\":%u,\"colo\":\"%s\",\"country\":\"%s\",\"city\":\"%s\","
               "\"region\":\"%s\",\"continent\":\"%s\",\"timezone\":\"%s\",\"asn\":%u,"
               "\"asOrganization\":\"Example Networks\","
               "\"requestPriority\":\"weight=256;exclusive=1\","
               "\"httpProtocol\":\"HTTP/2\",\"tlsVersion\":\"TLSv1.3\","
               "\"tlsCipher\":\"AEAD-AES128-GCM-SHA256\"}},\"response\":{\"status\":%u}}",
               (unsigned)tail_skewed(events, 300), place.colo, place.country, place.city,
               place.region, place.continent, place.timezone,
               (unsigned)(1000 + tail_skewed(events, 60000)),
               tail_draw(events, 20) == 0 ? 404u : 200u);
    return used;
}

/// One event as a line, newline included; its length is returned.
static inline size_t tail_events_next(struct tail_events *events, char out[TAIL_EVENT_BYTES_MAX]) {
    static const char *const levels[] = {"log", "log", "info", "warn", "error", "debug"};
    const char *path = TAIL_PICK(events, tail_paths);
    const unsigned trouble = (unsigned)tail_draw(events, 100);
    const char *outcome = trouble < 3 ? "exception" : trouble == 3 ? "exceededCpu" : "ok";
    size_t used = 0;
    events->now_ms += (int64_t)tail_skewed(events, 20);
    events->count++;
    TAIL_PRINT("{\"wallTime\":%u,\"cpuTime\":%u,\"truncated\":false,"
               "\"executionModel\":\"stateless\",\"outcome\":\"%s\",\"scriptName\":\"worker-%u\","
               "\"diagnosticsChannelEvents\":[],\"exceptions\":[",
               (unsigned)tail_skewed(events, 900), (unsigned)tail_skewed(events, 50), outcome,
               (unsigned)tail_skewed(events, 40));
    if (trouble < 3) {
        TAIL_PRINT("{\"stack\":\"    at Object.fetch (app.js:%u:27)\",\"name\":\"TypeError\","
                   "\"message\":\"cannot read properties of undefined\",\"timestamp\":%lld}",
                   (unsigned)tail_skewed(events, 400), (long long)events->now_ms);
    }
    TAIL_PRINT("],\"logs\":[");
    const uint64_t logs = tail_skewed(events, 6);
    for (uint64_t i = 0; i < logs; i++) {
        TAIL_PRINT("%s{\"message\":[\"request\",\"%s\",{\"order\":%u,\"ms\":%u.%u}],"
                   "\"level\":\"%s\","
                   "\"timestamp\":%lld}",
                   i > 0 ? "," : "", path, (unsigned)tail_draw(events, 100000),
                   (unsigned)tail_skewed(events, 500), (unsigned)tail_draw(events, 10),
                   TAIL_PICK(events, levels), (long long)(events->now_ms + (int64_t)i));
    }
    TAIL_PRINT("],\"eventTimestamp\":%lld,", (long long)events->now_ms);
    used += tail_put_request(events, path, out + used);
    TAIL_PRINT("}\n");
    return used;
}

#endif
