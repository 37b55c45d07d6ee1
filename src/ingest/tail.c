/// Cloudflare Workers: a tail worker receives a list of TraceItems, workerd writes one a line.
/// `scriptName` is null for a worker without a name, `eventTimestamp` for events without a request.
#include "ingest/source.h"

static const struct pq_fill fills[] = {
    {"scriptName", PQ_FILL_TEXT, "unknown"},
    {"eventTimestamp", PQ_FILL_RECEIVED, NULL},
    {"logs", PQ_FILL_EMPTY, NULL},
    {"exceptions", PQ_FILL_EMPTY, NULL},
};

const struct pq_event_source pq_source_tail = {
    .name = "tail",
    .input = "a Cloudflare TraceItem",
    .fills = fills,
    .fill_count = sizeof fills / sizeof *fills,
};
