/// Algorithms of H. Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March,
/// so that the leap day is the last one of its year, and 400 years are one era.
#include "base/time.h"

#include <stdbool.h>

enum { days_per_era = 146097, years_per_era = 400, days_to_epoch = 719468 };

int64_t pq_days_from_civil(int64_t year, int month, int64_t day) {
    if (month <= 2) year--;
    const int64_t era = pq_floor_div(year, years_per_era);
    const int64_t year_of_era = year - era * years_per_era;
    const int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const int64_t day_of_era =
        year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * days_per_era + day_of_era - days_to_epoch;
}

struct pq_civil pq_civil_from_days(int64_t days) {
    days += days_to_epoch;
    const int64_t era = pq_floor_div(days, days_per_era);
    const int64_t day_of_era = days - era * days_per_era;
    const int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const int64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int shifted = (int)((5 * day_of_year + 2) / 153);  // month, from March
    const int month = shifted < 10 ? shifted + 3 : shifted - 9;
    return (struct pq_civil){year_of_era + era * years_per_era + (month <= 2), month,
                             (int)(day_of_year - (153 * shifted + 2) / 5 + 1)};
}

int pq_days_in_month(int64_t year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && is_leap);
}

int pq_weekday(int64_t days) { return (int)pq_floor_mod(days % 7 + 3, 7); }
