/// Any text as a schedule, with an instant before it: it is refused with a sentence, or the
/// instants it is due at go up, the next is the last again, and each falls on a minute.
#include "base/bytes.h"
#include "base/check.h"
#include "view/due.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { steps = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pq_cron cron;
    pqdb_error err = {.offset = -1};
    if (size < 4) return 0;
    int64_t at = INT64_C(1000000) * pq_load_u32(data);  // until 2106
    const struct pq_text text = {(const char *)data + 4, size - 4};
    if (pq_cron_parse(text, &cron, &err) != PQDB_OK) {
        pq_assert(err.message[0] != '\0');
        return 0;
    }
    for (int i = 0; i < steps; i++) {
        const int64_t next = pq_cron_next(&cron, NULL, at);
        if (next == INT64_MAX) break;  // the 29th of February that is a Monday
        pq_assert(next > at && next % (60 * INT64_C(1000000)) == 0);
        pq_assert(pq_cron_last(&cron, NULL, next) == next);
        at = next;
    }
    return 0;
}
