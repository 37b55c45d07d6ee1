/// base/zone.h: time zones by IANA name, from the system's tz database (TZif files, RFC 9636).
///
/// A zone is immutable. Those given out by pq_zone_find are kept until the process ends, so a
/// pointer to one may be compared and stored freely.
#ifndef PQ_BASE_ZONE_H
#define PQ_BASE_ZONE_H

#include <parquedb/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/text.h"

struct pq_zone;

/// Shape   `name` as in "Europe/Berlin" (case counts); "UTC" is known without a tz database
/// Cost    the first use of a name reads a file of a few KiB
/// Thread  any
/// Errors  PQDB_INVALID: no such zone, with the nearest name; PQDB_CORRUPT: its file is broken;
///         PQDB_IO; PQDB_NO_MEMORY
pqdb_code pq_zone_find(struct pq_text name, const struct pq_zone **zone, pqdb_error *err);

const char *pq_zone_name(const struct pq_zone *zone);

/// Seconds east of Greenwich at an instant. The second form also gives the stretch [from, until)
/// around it in which that offset holds (not necessarily the longest one), so that a loop over many
/// instants asks seldom.
struct pq_zone_span {
    int64_t from_s, until_s;
    int32_t offset_s;
};
int32_t pq_zone_offset(const struct pq_zone *zone, int64_t instant_s);
struct pq_zone_span pq_zone_span_at(const struct pq_zone *zone, int64_t instant_s);

/// What a clock on the wall means. `count` 1: one instant. 2: the clock showed it twice, first and
/// last. 0: it was skipped; first and last are the instant with the offset before the gap, so a
/// skipped 02:30 is what would have been 02:30, shown as 03:30.
struct pq_zone_instants {
    int count;
    int64_t first_s, last_s;
};
struct pq_zone_instants pq_zone_instants_of(const struct pq_zone *zone, int64_t local_s);

/// Release of the tz database, like "2025b", or "unknown". Valid until the process ends.
const char *pq_zone_database_version(void);

/// A zone from the bytes of a TZif file, outside the cache. Errors: PQDB_CORRUPT with the offset;
/// PQDB_NO_MEMORY.
pqdb_code pq_zone_parse(struct pq_text name, struct pq_text bytes, const struct pq_alloc *alloc,
                        struct pq_zone **zone, pqdb_error *err);
void pq_zone_destroy(struct pq_zone *zone);

#endif
