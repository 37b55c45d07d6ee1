/// Records: the commits inside frames, decoded one at a time.
#include "base/check.h"
#include "base/fail.h"
#include "changelog/log_internal.h"
#include "changelog/part_internal.h"

void pq_log_records_init(struct pq_log_records *records, struct pq_log *log) {
    *records = (struct pq_log_records){.scanner = {.log = log}};
    pq_arena_init(&records->arena, log->options.alloc);
    pq_bytes_init(&records->joined, log->options.alloc);
    pq_bytes_init(&records->scanner.buffer, log->options.alloc);
}

void pq_log_records_deinit(struct pq_log_records *records) {
    pq_log_scanner_close(&records->scanner);
    pq_arena_deinit(&records->arena);
    pq_bytes_deinit(&records->joined);
}

/// A commit's header inside the current frame.
struct commit {
    enum pq_log_kind kind;
    uint8_t flags;
    uint8_t token_bytes;
    uint32_t parts;
    uint64_t version;
    struct pq_text content;
    bool is_last;
};

static pqdb_code damaged(const struct pq_log_records *records, const char *what,
                         pqdb_error *err) {
    const char *path = records->scanner.file->path;
    return pq_store_fail_at(err, PQDB_CORRUPT, path, records->frame.offset,
                            "%s is damaged in the frame at byte %llu: %s", path,
                            (unsigned long long)records->frame.offset, what);
}

/// Say where, when the part itself could not.
static pqdb_code located(const struct pq_log_records *records, pqdb_code code, pqdb_error *err) {
    if (code != PQDB_CORRUPT || err == NULL) return code;
    char what[sizeof err->message];
    memcpy(what, err->message, sizeof what);
    return damaged(records, what, err);
}

static pqdb_code next_commit(struct pq_log_records *records, struct commit *commit,
                             pqdb_error *err) {
    const struct pq_log_frame *frame = &records->frame;
    const size_t left = frame->length - records->commit_offset;
    const uint8_t *header = frame->bytes + records->commit_offset;
    const uint32_t length = left < PQ_COMMIT_HEADER_BYTES ? 0 : pq_load_u32(header + 8);
    if (length < PQ_COMMIT_HEADER_BYTES || length > left || length % 8 != 0) {
        return damaged(records, "a commit is cut off", err);
    }
    *commit = (struct commit){
        .kind = (enum pq_log_kind)header[0],
        .flags = header[1],
        .token_bytes = header[2],
        .parts = pq_load_u32(header + 4),
        .version = frame->first_version + records->commit,
        .content = {(const char *)header + PQ_COMMIT_HEADER_BYTES, length - PQ_COMMIT_HEADER_BYTES},
        .is_last = records->commit + 1 == frame->commits};
    records->commit++;
    records->commit_offset += length;
    if (commit->is_last && records->commit_offset != frame->length) {
        return damaged(records, "bytes behind its commits", err);
    }
    return PQDB_OK;
}

static pqdb_code decode_part(struct pq_log_records *records, struct pq_text part,
                             const struct pq_log_schemas *schemas, struct pq_log_rows *rows,
                             pqdb_error *err) {
    struct pq_log_record *record = &records->record;
    switch ((enum pq_part_form)part.data[0]) {
        case PQ_PART_ROWS:
            PQ_TRY(pq_log_decode_rows(part, schemas, &records->arena, &rows[record->rows_count],
                                      err));
            record->rows_count++;
            return PQDB_OK;
        case PQ_PART_NAMES:
            return pq_log_decode_names(part, schemas, err);
        case PQ_PART_PAYLOAD:
            return pq_log_decode_payload(part, &records->arena, &record->payload, err);
    }
    return pq_fail(err, PQDB_CORRUPT, "a part of an unknown form");
}

static pqdb_code decode_commit(struct pq_log_records *records, const struct commit *commit,
                               const struct pq_log_schemas *schemas, pqdb_error *err) {
    struct pq_text left = commit->content;
    const size_t token_padded = pq_log_padded(commit->token_bytes);
    if (commit->parts > PQ_LOG_PARTS_MAX) return damaged(records, "too many parts", err);
    if (token_padded > left.length) return damaged(records, "a token is cut off", err);
    struct pq_log_rows *rows =
        pq_arena_alloc(&records->arena, commit->parts * sizeof *rows);
    if (rows == NULL) return pq_fail(err, PQDB_NO_MEMORY, "reading the log");
    records->record = (struct pq_log_record){.version = commit->version,
                                             .time_us = records->frame.time_us,
                                             .kind = commit->kind,
                                             .token = {left.data, commit->token_bytes},
                                             .rows = rows,
                                             .next = pq_log_scanner_position(&records->scanner),
                                             .last_in_frame = commit->is_last};
    left = (struct pq_text){left.data + token_padded, left.length - token_padded};
    for (uint32_t i = 0; i < commit->parts; i++) {
        const size_t length = pq_log_part_length(left);
        if (length == 0) return damaged(records, "a part is cut off", err);
        const struct pq_text part = {left.data, length};
        PQ_TRY(located(records, decode_part(records, part, schemas, rows, err), err));
        left = (struct pq_text){left.data + length, left.length - length};
    }
    return left.length == 0 ? PQDB_OK : damaged(records, "bytes behind its parts", err);
}

/// A piece of a commit that spans frames: keep it; `*is_whole` when it was the last one.
static pqdb_code join(struct pq_log_records *records, struct commit *commit, bool *is_whole,
                      pqdb_error *err) {
    const bool is_first = (commit->flags & PQ_COMMIT_CONTINUED) == 0;
    *is_whole = (commit->flags & PQ_COMMIT_MORE) == 0;
    if (!commit->is_last && !*is_whole) return damaged(records, "a commit goes on too early", err);
    if (is_first) {
        records->joined.length = 0;
        records->is_joining = true;
    }
    if (records->joined.length + commit->content.length > PQ_LOG_COMMIT_BYTES_MAX) {
        return damaged(records, "a commit is too large", err);
    }
    PQ_TRY(pq_bytes_append_text(&records->joined, commit->content, err));
    commit->content = pq_bytes_text(&records->joined);
    if (*is_whole) records->is_joining = false;
    return PQDB_OK;
}

/// Have a frame with commits left; `*found` false at the end of the log.
static pqdb_code have_frame(struct pq_log_records *records, bool *found, pqdb_error *err) {
    while (!records->has_frame || records->commit == records->frame.commits) {
        records->has_frame = false;
        PQ_TRY(pq_log_scanner_next(&records->scanner, &records->frame, found, err));
        if (!*found) return PQDB_OK;
        records->last = records->frame;
        records->last_segment = records->scanner.segment.number;
        records->has_frame = true;
        records->commit = 0;
        records->commit_offset = PQ_FRAME_HEADER_BYTES;
    }
    *found = true;
    return PQDB_OK;
}

pqdb_code pq_log_records_next(struct pq_log_records *records, uint64_t least_version,
                              const struct pq_log_schemas *schemas,
                              const struct pq_log_record **record, pqdb_error *err) {
    struct commit commit;
    bool found, is_whole = true;
    pq_arena_reset(&records->arena);
    for (*record = NULL;;) {
        PQ_TRY(have_frame(records, &found, err));
        if (!found) return PQDB_OK;
        PQ_TRY(next_commit(records, &commit, err));
        const bool is_continued = (commit.flags & PQ_COMMIT_CONTINUED) != 0;
        if (!is_continued) records->is_joining = false;  // its rest was never written
        if (commit.version < least_version) continue;
        if (is_continued && !records->is_joining) {
            return pq_store_fail(err, PQDB_NOT_FOUND, records->scanner.file->path,
                                 "the log no longer reaches back to version %llu",
                                 (unsigned long long)commit.version);
        }
        if (is_continued || (commit.flags & PQ_COMMIT_MORE) != 0) {
            PQ_TRY(join(records, &commit, &is_whole, err));
            if (!is_whole) continue;
        }
        PQ_TRY(decode_commit(records, &commit, schemas, err));
        *record = &records->record;
        return PQDB_OK;
    }
}
