#include "db/tokens.h"

#include <string.h>

#include "base/fail.h"
#include "base/hash.h"

enum {
    content_bytes = 8,
    overflow_share = 8,        // so much more than the bound is worth a merge
    bucket_count = 4096,       // of versions
    memory_bytes_max = 16 << 20,
    evict_rows_max = 1 << 15,  // a checkpoint: a few milliseconds
};

static const int64_t kept_us = INT64_C(7) * 24 * 3600 * 1000000;

struct payload {
    uint64_t version;
    uint64_t content;
    int64_t time_us;  // 0: not known
};

static struct payload read_payload(const void *bytes, size_t length) {
    struct payload payload = {0};
    memcpy(&payload, bytes, length < sizeof payload ? length : sizeof payload);
    return payload;
}

static bool is_expired(const struct payload *payload, int64_t now_us) {
    return payload->time_us != 0 && now_us - payload->time_us > kept_us;
}

static void split(struct pq_text token, struct pq_text *name, uint64_t *content) {
    const size_t name_length = token.length - content_bytes - 1;
    *name = (struct pq_text){token.data, name_length};
    *content = pq_load_u64(token.data + name_length + 1);
}

bool pq_db_token_same_name(struct pq_text a, struct pq_text b) {
    if (a.length <= content_bytes || b.length <= content_bytes) return false;
    struct pq_text name, other;
    uint64_t content;
    split(a, &name, &content);
    split(b, &other, &content);
    return pq_text_equal(name, other);
}

/// The least time that a commit of now can have.
static int64_t commit_time(const pqdb_db *db) {
    const int64_t now = db->env->now_us(db->env->ctx), last = pq_log_time_us(db->log);
    return now > last ? now : last;
}

bool pq_db_token_known(pqdb_db *db, struct pq_text token, uint64_t *version, pqdb_code *code,
                       pqdb_error *err) {
    *code = PQDB_OK;
    if (token.length <= content_bytes) return false;
    struct pq_text name;
    uint64_t content;
    split(token, &name, &content);
    struct pq_trace_row *row;
    const struct pq_hashed_key key = {pq_hash(name.data, name.length), name};
    *code = pq_trace_find(&db->tokens, &key, &row, err);
    if (*code != PQDB_OK || row == NULL) return false;
    const struct payload payload = read_payload(pq_trace_payload(row), row->payload_bytes);
    if (payload.version < db->tokens_from || is_expired(&payload, commit_time(db))) return false;
    *version = payload.version;
    if (payload.content != content) {
        *code = pq_fail(err, PQDB_CONFLICT,
                        "token '%.*s' was used for other content in version %llu",
                        PQ_TEXT_ARG(name), (unsigned long long)payload.version);
    }
    return true;
}

pqdb_code pq_db_token_add(pqdb_db *db, struct pq_text token, uint64_t version, int64_t time_us,
                          pqdb_error *err) {
    if (token.length <= content_bytes) return PQDB_OK;
    struct pq_text name;
    struct payload payload = {.version = version, .time_us = time_us};
    split(token, &name, &payload.content);
    struct pq_trace_row *row;
    bool created;
    const struct pq_hashed_key key = {pq_hash(name.data, name.length), name};
    PQ_TRY(pq_trace_touch(&db->tokens, &key, sizeof payload, &row, &created, err));
    if (row->payload_bytes != sizeof payload) {
        PQ_TRY(pq_trace_resize(&db->tokens, &row, sizeof payload, err));
    }
    memcpy(pq_trace_payload(row), &payload, sizeof payload);
    return PQDB_OK;
}

// ---- forgetting -------------------------------------------------------------------------------

bool pq_db_tokens_overflow(const struct pq_db_token_bound *bound, struct pq_run *const *runs,
                           size_t count) {
    uint64_t rows = 0;
    for (size_t i = 0; i < count; i++) rows += pq_run_name(runs[i])->rows;
    return rows > bound->tokens_max + bound->tokens_max / overflow_share;
}

/// How many tokens there are of each `width` versions of [low, high).
struct spread {
    uint64_t low, high, width;
    uint32_t counts[bucket_count];
};

static pqdb_code spread_run(struct spread *spread, const struct pq_db_token_bound *bound,
                            struct pq_run_cursor *cursor, pqdb_error *err) {
    for (;;) {
        struct pq_run_row row;
        bool more;
        PQ_TRY(pq_run_cursor_next(cursor, &row, &more, err));
        if (!more) return PQDB_OK;
        const struct payload payload = read_payload(row.payload.data, row.payload.length);
        if (row.dead || is_expired(&payload, bound->now_us)) continue;
        if (payload.version < spread->low || payload.version >= spread->high) continue;
        spread->counts[(payload.version - spread->low) / spread->width]++;
    }
}

pqdb_code pq_db_tokens_choose(struct pq_db_token_bound *bound, struct pq_run *const *runs,
                              size_t count, const struct pq_alloc *alloc, pqdb_error *err) {
    struct spread spread = {.high = bound->end + 1};
    uint64_t wanted = bound->tokens_max;  // so many of the newest below `high`
    while (spread.high - spread.low > 1) {
        spread.width = (spread.high - spread.low - 1) / bucket_count + 1;
        memset(spread.counts, 0, sizeof spread.counts);
        for (size_t i = 0; i < count; i++) {
            struct pq_run_cursor cursor;
            pq_run_cursor_init(&cursor, runs[i], alloc);
            const pqdb_code code = spread_run(&spread, bound, &cursor, err);
            pq_run_cursor_deinit(&cursor);
            PQ_TRY(code);
        }
        size_t bucket = bucket_count;
        while (bucket > 0 && spread.counts[bucket - 1] < wanted) {
            wanted -= spread.counts[--bucket];
        }
        if (bucket == 0) return PQDB_OK;  // there are not so many
        const uint64_t low = spread.low + (bucket - 1) * spread.width;
        if (low + spread.width < spread.high) spread.high = low + spread.width;
        spread.low = low;
    }
    bound->from = spread.low;
    return PQDB_OK;
}

bool pq_db_token_stays(const void *ctx, const struct pq_run_row *row) {
    const struct pq_db_token_bound *bound = ctx;
    const struct payload payload = read_payload(row->payload.data, row->payload.length);
    return payload.version >= bound->from && !is_expired(&payload, bound->now_us);
}

void pq_db_tokens_forget(pqdb_db *db, const struct pq_db_token_bound *bound) {
    if (bound->from > db->tokens_from) db->tokens_from = bound->from;
    pq_trace_evict(&db->tokens, memory_bytes_max, evict_rows_max);
}
