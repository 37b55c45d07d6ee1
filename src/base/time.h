/// base/time.h: the proleptic Gregorian calendar by days since 1970-01-01. No leap seconds.
#ifndef PQ_BASE_TIME_H
#define PQ_BASE_TIME_H

#include <stdint.h>

struct pq_civil {
    int64_t year;  // 0 is 1 BC
    int month;     // 1 to 12
    int day;       // 1 to 31
};

/// Any year that fits; `month` 1 to 12, `day` may lie outside its month.
int64_t pq_days_from_civil(int64_t year, int month, int64_t day);
struct pq_civil pq_civil_from_days(int64_t days);
int pq_days_in_month(int64_t year, int month);

/// Monday 0 to Sunday 6.
int pq_weekday(int64_t days);

/// Division rounded towards minus infinity, and what it leaves (0 to b - 1); b above 0.
static inline int64_t pq_floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
static inline int64_t pq_floor_mod(int64_t a, int64_t b) { return a % b + (a % b < 0 ? b : 0); }

#endif
