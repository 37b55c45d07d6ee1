/// view/due.h: the instants at which a schedule is due, as Debian's cron would run it.
///
/// A schedule reads the clock on the wall of its zone. When that clock is moved by less than three
/// hours (summer time), a schedule with '*' in front of minute or hour follows the clock: it is
/// due whenever the clock shows a time that suits, in a repeated hour twice, in a skipped one not.
/// Any other schedule is due once for each time it names: at the first of two, and for a skipped
/// time at the instant of the change. A move of three hours or more is a correction: every
/// schedule follows the clock then. Source: cron(8) of Debian, "daylight saving time".
#ifndef PQ_VIEW_DUE_H
#define PQ_VIEW_DUE_H

#include "base/zone.h"
#include "view/cron.h"

/// The first due instant after `after_us`; INT64_MAX when none comes in the next 30 years.
/// Units   microseconds since 1970; `zone` NULL is UTC
/// Cost    a few microseconds; for rare days, some nanoseconds per day on the way
int64_t pq_cron_next(const struct pq_cron *cron, const struct pq_zone *zone, int64_t after_us);

/// The last due instant at or before `until_us`; INT64_MIN when there was none in 30 years.
int64_t pq_cron_last(const struct pq_cron *cron, const struct pq_zone *zone, int64_t until_us);

#endif
