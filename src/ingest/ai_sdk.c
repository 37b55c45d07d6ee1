/// The AI SDK's middleware: one record per request, one per generation. It fills in every field.
#include "ingest/source.h"

const struct pq_event_source pq_source_ai_sdk = {
    .name = "ai-sdk",
    .input = "a record of the AI SDK's middleware",
};
