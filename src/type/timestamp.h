/// type/timestamp.h: dates, times, timestamps and durations as numbers and as ISO 8601 text, and
/// the calendar buckets of $groupBy and $dateTrunc.
#ifndef PQ_TYPE_TIMESTAMP_H
#define PQ_TYPE_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "base/time.h"

#define PQ_US_PER_MS INT64_C(1000)
#define PQ_US_PER_SECOND INT64_C(1000000)
#define PQ_US_PER_MINUTE (60 * PQ_US_PER_SECOND)
#define PQ_US_PER_HOUR (60 * PQ_US_PER_MINUTE)
#define PQ_US_PER_DAY (24 * PQ_US_PER_HOUR)

/// Rounded towards minus infinity: the day an instant lies in, UTC.
int64_t pq_days_of_timestamp(int64_t timestamp_us);

/// ISO 8601 text. A date is YYYY-MM-DD (or ±YYYYYY-MM-DD); a time hh:mm[:ss[.f…]], at most nine
/// digits after the point, of which those beyond microseconds are cut off. A timestamp is a date,
/// or a date, `T` or a space, a time and perhaps a zone: Z, ±hh:mm, ±hhmm or ±hh; without one it is
/// UTC. 24:00 is the end of a day. False for everything else; the output is then untouched.
bool pq_date_parse(struct pq_text text, int32_t *days);
bool pq_time_parse(struct pq_text text, int64_t *time_us);
bool pq_timestamp_parse(struct pq_text text, int64_t *timestamp_us);

enum { PQ_TIME_TEXT_MAX = 40 };

/// As SPEC 4 prints: 2026-01-15T10:00:00.000Z (six digits where there are microseconds),
/// 2026-01-15, and a time of day as 10:00:00 with three or six digits where it has them. Years
/// outside 0 to 9999 are written ±YYYYYY. NUL-terminated; the length is returned.
size_t pq_timestamp_format(int64_t timestamp_us, char out[PQ_TIME_TEXT_MAX]);
size_t pq_date_format(int64_t days, char out[PQ_TIME_TEXT_MAX]);
size_t pq_time_format(int64_t time_us, char out[PQ_TIME_TEXT_MAX]);

/// `^\d+(ms|s|m|h|d)$`. False when it is anything else or does not fit.
bool pq_duration_parse(struct pq_text text, int64_t *duration_us);

/// Granularities of date buckets. MINUTE and HOUR give timestamps, all others dates.
enum pq_bucket {
    PQ_BUCKET_MINUTE,
    PQ_BUCKET_HOUR,
    PQ_BUCKET_DATE,  // the same as DAY
    PQ_BUCKET_DAY,
    PQ_BUCKET_WEEK,  // begins on Monday
    PQ_BUCKET_MONTH,
    PQ_BUCKET_QUARTER,
    PQ_BUCKET_YEAR,
};
enum { PQ_BUCKET_COUNT = PQ_BUCKET_YEAR + 1 };
extern const char *const pq_bucket_names[PQ_BUCKET_COUNT];  // "minute" …

bool pq_bucket_find(struct pq_text name, enum pq_bucket *bucket);
static inline bool pq_bucket_is_date(enum pq_bucket bucket) { return bucket >= PQ_BUCKET_DATE; }

/// First day of the bucket that the day lies in; only for buckets that are dates.
int32_t pq_bucket_of_days(int64_t days, enum pq_bucket bucket);

struct pq_zone;  // base/zone.h

/// Start of the bucket that the instant lies in, on the clocks of `zone` (NULL: UTC): microseconds
/// for MINUTE and HOUR, days for the others. The two passes of a repeated hour are two buckets.
int64_t pq_bucket_of_timestamp(int64_t timestamp_us, enum pq_bucket bucket,
                               const struct pq_zone *zone);

#endif
