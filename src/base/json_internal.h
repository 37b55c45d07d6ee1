/// What json.c, which knows yyjson, does for json_write.c, which does not.
#ifndef PQ_BASE_JSON_INTERNAL_H
#define PQ_BASE_JSON_INTERNAL_H

#include "base/json.h"

enum { PQ_JSON_REAL_TEXT_MAX = 48 };

/// The shortest digits of a finite double in any notation, NUL-terminated.
void pq_json_real_digits(double value, char out[PQ_JSON_REAL_TEXT_MAX]);

#endif
