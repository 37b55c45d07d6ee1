/// Goal: pin which source an entry has and what it fills in.
#include "ingest/source.h"

#include "support/test.h"

static const struct pq_event_source *source_of(const char *ingest) {
    const struct pq_entry entry = {.ingest = pq_text_of(ingest)};
    return pq_source_of(&entry);
}

static void entries_name_their_source(void) {
    CHECK(source_of("tail") == &pq_source_tail, "tail");
    CHECK(source_of("ai-sdk") == &pq_source_ai_sdk, "ai-sdk");
    CHECK(source_of("evalite") == &pq_source_evalite, "evalite");
    CHECK(source_of("custom:orders") == &pq_source_custom, "custom");
    CHECK(source_of("") == NULL, "a collection");
    CHECK(source_of("tails") == NULL, "a longer name is another one");
}

static bool fills(const char *name, enum pq_kind kind) {
    const struct pq_declared_field field = {
        .field = {.name = pq_text_of(name), .type = {.kind = kind}}};
    return pq_source_fill(&pq_source_tail, &field) != NULL;
}

static void a_fill_suits_its_field(void) {
    CHECK(fills("scriptName", PQ_TEXT), "text");
    CHECK(fills("eventTimestamp", PQ_TIMESTAMP), "timestamp");
    CHECK(fills("logs", PQ_LIST) && fills("exceptions", PQ_LIST), "lists");
    CHECK(!fills("outcome", PQ_TEXT), "an outcome must be given");
    CHECK(!fills("logs", PQ_VARIANT), "an own declaration of another kind");
    CHECK(pq_source_fill(NULL, NULL) == NULL, "a collection");
}

int main(void) {
    RUN(entries_name_their_source);
    RUN(a_fill_suits_its_field);
    return test_done();
}
