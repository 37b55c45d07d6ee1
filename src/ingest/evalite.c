/// Evalite's adapter: one record per run, one per score. It fills in every field.
#include "ingest/source.h"

const struct pq_event_source pq_source_evalite = {
    .name = "evalite",
    .input = "a record of Evalite's adapter",
};
