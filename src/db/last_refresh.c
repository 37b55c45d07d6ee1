#include "db/last_refresh.h"

#include <inttypes.h>

#include "base/fail.h"

static const char *const kinds[] = {
    [PQ_REFRESH_NONE] = "none", [PQ_REFRESH_STREAMING] = "streaming",
    [PQ_REFRESH_INCREMENTAL] = "incremental", [PQ_REFRESH_FULL] = "full",
    [PQ_REFRESH_APPEND] = "append",
};
static const char *const whys[] = {
    [PQ_WHY_NOT] = "",
    [PQ_WHY_ASKED] = "asked for",
    [PQ_WHY_DISCARD] = "asked for, with all that it had discarded",
    [PQ_WHY_FAILED] = "its last step failed",
    [PQ_WHY_DEFINITION] = "it is new, or its definition is",
    [PQ_WHY_SOURCE_STATE] =
        "what it reads keeps state of its own, whose changes are not in the log",
    [PQ_WHY_SOURCE_KEEPS] = "what it reads keeps rows that are gone, which the log does not tell",
    [PQ_WHY_SOURCE_LAGGED] = "what it reads lagged at its last refresh",
    [PQ_WHY_FIRST] = "it was never refreshed",
    [PQ_WHY_LOG_GONE] = "the log no longer reaches back to its last refresh",
    [PQ_WHY_COST] = "so much has changed that this costs less",
    [PQ_WHY_TAKEN_BACK] = "more was taken back than its state can tell",
};

const char *pq_refresh_kind_text(enum pq_refresh_kind kind) { return kinds[kind]; }
const char *pq_refresh_why_text(enum pq_refresh_why why) { return whys[why]; }

pqdb_code pq_last_refresh_write(struct pq_bytes *out, const struct pq_last_refresh *last,
                                pqdb_error *err) {
    PQ_TRY(pq_bytes_printf(out, err,
                           "{\"kind\":\"%s\",\"reason\":\"%s\",\"rows\":%" PRIu64
                           ",\"us\":%" PRId64,
                           kinds[last->kind], whys[last->why], last->rows, last->took_us));
    if (last->names > 0) PQ_TRY(pq_bytes_printf(out, err, ",\"names\":%" PRIu64, last->names));
    return pq_bytes_append_byte(out, '}', err);
}

/// Its place among the texts, 0 if it is none of them.
static unsigned place(const char *const *texts, size_t count, const struct pq_json *value) {
    for (unsigned i = 0; value != NULL && i < count; i++) {
        if (pq_json_kind(value) != PQ_JSON_TEXT) break;
        if (pq_text_is(pq_json_text(value), texts[i])) return i;
    }
    return 0;
}

static int64_t number(const struct pq_json *value) {
    return value != NULL && pq_json_kind(value) == PQ_JSON_INT ? pq_json_int(value) : 0;
}

struct pq_last_refresh pq_last_refresh_read(const struct pq_json *object) {
    if (object == NULL || pq_json_kind(object) != PQ_JSON_OBJECT) {
        return (struct pq_last_refresh){0};
    }
    return (struct pq_last_refresh){
        .kind = place(kinds, sizeof kinds / sizeof *kinds, pq_json_find(object, "kind")),
        .why = place(whys, sizeof whys / sizeof *whys, pq_json_find(object, "reason")),
        .rows = (uint64_t)number(pq_json_find(object, "rows")),
        .took_us = number(pq_json_find(object, "us")),
        .names = (uint64_t)number(pq_json_find(object, "names"))};
}
