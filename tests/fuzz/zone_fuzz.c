/// Any bytes as a TZif file: what is accepted answers for any instant without trouble.
#include "base/check.h"
#include "base/zone.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pq_zone *zone = NULL;
    pqdb_error err;
    if (pq_zone_parse(PQ_TEXT("Fuzz/Zone"), (struct pq_text){(const char *)data, size},
                      &pq_alloc_libc, &zone, &err) != PQDB_OK) {
        pq_assert(zone == NULL && err.message[0] != '\0');
        return 0;
    }
    static const int64_t instants[] = {INT64_MIN, INT64_MIN / 2, -1, 0, 1700000000, 4102444800,
                                       INT64_MAX / 2, INT64_MAX};
    for (size_t i = 0; i < sizeof instants / sizeof *instants; i++) {
        const struct pq_zone_span span = pq_zone_span_at(zone, instants[i]);
        pq_assert(span.from_s <= instants[i]);
        pq_assert(instants[i] < span.until_s || span.until_s == INT64_MAX);
        const struct pq_zone_instants found = pq_zone_instants_of(zone, instants[i]);
        pq_assert(found.first_s <= found.last_s);
    }
    pq_zone_destroy(zone);
    return 0;
}
