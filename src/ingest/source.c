#include "ingest/source.h"

static const struct pq_event_source *const sources[] = {
    &pq_source_tail,
    &pq_source_ai_sdk,
    &pq_source_evalite,
    &pq_source_custom,
};

const struct pq_event_source *pq_source_of(const struct pq_entry *entry) {
    const struct pq_text name = entry->ingest;
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        const struct pq_text known = pq_text_of(sources[i]->name);
        if (pq_text_equal(name, known)) return sources[i];
        const bool has_suffix = name.length > known.length && name.data[known.length] == ':';
        if (has_suffix && pq_text_starts_with(name, known)) return sources[i];
    }
    return NULL;
}

static bool suits(enum pq_fill_kind fill, enum pq_kind kind) {
    switch (fill) {
    case PQ_FILL_TEXT: return kind == PQ_TEXT;
    case PQ_FILL_RECEIVED: return kind == PQ_TIMESTAMP;
    case PQ_FILL_EMPTY: return kind == PQ_LIST;
    }
    return false;
}

const struct pq_fill *pq_source_fill(const struct pq_event_source *source,
                                     const struct pq_declared_field *field) {
    if (source == NULL) return NULL;
    for (size_t i = 0; i < source->fill_count; i++) {
        const struct pq_fill *fill = &source->fills[i];
        if (!pq_text_is(field->field.name, fill->field)) continue;
        return suits(fill->kind, field->field.type.kind) ? fill : NULL;
    }
    return NULL;
}
