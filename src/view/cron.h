/// view/cron.h: five-field schedules (SPEC 5.1), "0 9-17/2 * * MON-FRI" or "@daily".
#ifndef PQ_VIEW_CRON_H
#define PQ_VIEW_CRON_H

#include <parquedb/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

/// One bit per value that a field admits. A schedule that was parsed comes round sooner or later.
struct pq_cron {
    uint64_t minutes;   // bits 0 to 59
    uint32_t hours;     // bits 0 to 23
    uint32_t days;      // bits 1 to 31
    uint16_t months;    // bits 1 to 12
    uint8_t weekdays;   // bits 0 (Sunday) to 6
    bool follows_clock;    // minute or hour begins with '*': see view/due.h
    bool day_is_star;      // the field begins with '*'
    bool weekday_is_star;  // likewise; when neither does, a day that suits either one is due
};

/// Lists `a,b`, ranges `a-b`, steps `*/n`, `a-b/n` and `a/n` (from a to the end), names of months
/// and weekdays in any case, 7 for Sunday, `@hourly @daily @midnight @weekly @monthly @yearly
/// @annually`. Errors: PQDB_INVALID with a sentence that names the field.
pqdb_code pq_cron_parse(struct pq_text text, struct pq_cron *cron, pqdb_error *err);

/// Is this day due?
bool pq_cron_has_day(const struct pq_cron *cron, int month, int day, int weekday);

#endif
