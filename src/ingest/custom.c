/// `custom:<name>`: the entry declares its own fields, so that only their defaults stand in.
#include "ingest/source.h"

const struct pq_event_source pq_source_custom = {
    .name = "custom",
    .input = "an object with the entry's fields",
};
