/// JSON as a variant prints it, made without variants: keys in byte order, compact, numbers by
/// value. The oracle of laws about variants.
#ifndef PQ_TEST_CANONICAL_JSON_H
#define PQ_TEST_CANONICAL_JSON_H

#include "base/json.h"

void canonical_json(const struct pq_json *value, struct pq_bytes *out);

#endif
