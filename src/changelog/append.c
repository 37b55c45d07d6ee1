/// Appending: commits become frames, each written whole and synced before the next.
#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"
#include "changelog/log_internal.h"
#include "changelog/part_internal.h"

/// A frame is made behind the room for a segment header, so that the first frame of a segment goes
/// out together with it.
enum { frame_at = PQ_SEGMENT_HEADER_BYTES };

static size_t body_length(const struct pq_log *log) {
    return log->frame.length - frame_at - PQ_FRAME_HEADER_BYTES;
}

pqdb_code pq_log_begin_frame(struct pq_log *log, pqdb_error *err) {
    log->frame.length = 0;
    PQ_TRY(pq_bytes_reserve(&log->frame, frame_at + PQ_FRAME_HEADER_BYTES, err));
    memset(log->frame.data, 0, frame_at + PQ_FRAME_HEADER_BYTES);
    log->frame.length = frame_at + PQ_FRAME_HEADER_BYTES;
    return PQDB_OK;
}

static pqdb_code fail(struct pq_log *log, pqdb_code code) {
    log->state = PQ_LOG_FAILED;
    return code;
}

static bool has_spare(struct pq_log *log) {
    pthread_mutex_lock(&log->mutex);
    const bool has = log->spare_count > 0;
    pthread_mutex_unlock(&log->mutex);
    return has;
}

/// A segment about to be begun with the frame at hand.
struct opening {
    struct pq_file *file;
    uint64_t room;
    struct pq_log_segment segment;
};

/// The first spare, made now when nobody did before.
static pqdb_code open_spare(struct pq_log *log, struct opening *opening, pqdb_error *err) {
    char path[PQ_LOG_PATH_BYTES];
    pqdb_code code = PQDB_OK;
    if (!has_spare(log)) {
        pthread_mutex_lock(&log->keeper_mutex);
        code = pq_log_offer_spare(log, err);
        pthread_mutex_unlock(&log->keeper_mutex);
        PQ_TRY(code);
    }
    pthread_mutex_lock(&log->mutex);
    code = pq_log_reserve_segment(log, err);
    pthread_mutex_unlock(&log->mutex);
    PQ_TRY(code);
    pq_log_path(log, log->last_number + 1, path);
    PQ_TRY(pq_file_open(log->options.store, path, PQ_OPEN_WRITE, &opening->file, err));
    code = pq_file_size(opening->file, &opening->room, err);
    if (code != PQDB_OK) pq_file_close(opening->file);
    return code;
}

/// Fill the frame's header, except for what depends on its place.
static void fill_header(struct pq_log *log, uint8_t flags, uint32_t commits) {
    uint8_t *frame = log->frame.data + frame_at;
    const int64_t now = log->options.env->now_us(log->options.env->ctx);
    if (now > log->time_us) log->time_us = now;
    pq_store_u32(frame + 8, PQ_FRAME_MAGIC);
    frame[12] = PQ_LOG_FORMAT;
    frame[13] = flags;
    pq_store_u16(frame + 14, 0);
    pq_store_u64(frame + 16, log->end.frame);
    pq_store_u64(frame + 32, log->end.check);
    pq_store_u64(frame + 40, log->end.version);
    pq_store_u64(frame + 48, (uint64_t)log->time_us);
    pq_store_u32(frame + 56, commits);
    pq_store_u32(frame + 60, (uint32_t)(log->frame.length - frame_at));
}

/// The nonce of the segment, then the check over all.
static uint64_t seal(struct pq_log *log, uint64_t nonce) {
    uint8_t *frame = log->frame.data + frame_at;
    const size_t length = log->frame.length - frame_at;
    pq_store_u64(frame + 24, nonce);
    const uint64_t check = pq_hash(frame + 8, length - 8);
    pq_store_u64(frame, check);
    return check;
}

static pqdb_code sync_frame(struct pq_log *log, struct pq_file *file, pqdb_error *err) {
    const struct pq_env *env = log->options.env;
    if (log->options.pace == NULL) return pq_file_sync(file, err);
    const uint64_t start = env->monotonic_ns(env->ctx);
    PQ_TRY(pq_file_sync(file, err));
    pq_pace_note_sync(log->options.pace, env->monotonic_ns(env->ctx) - start);
    return PQDB_OK;
}

/// A write that failed in its middle, of a full disk say, gives back what it took.
static pqdb_code write_or_shrink(struct pq_file *file, uint64_t offset, struct pq_text piece,
                                 uint64_t room, pqdb_error *err) {
    const pqdb_code code = pq_file_write(file, offset, &piece, 1, err);
    if (code != PQDB_OK && offset + piece.length > room) {
        pq_file_truncate(file, room > offset ? room : offset, NULL);
    }
    return code;
}

/// Write and sync log->frame as the first one of a new segment.
static pqdb_code write_first(struct pq_log *log, uint64_t *check, pqdb_error *err) {
    struct opening opening = {0};
    const uint8_t *frame = log->frame.data + frame_at;
    PQ_TRY(open_spare(log, &opening, err));
    opening.segment = (struct pq_log_segment){.number = log->last_number + 1,
                                              .first_frame = pq_load_u64(frame + 16),
                                              .first_version = pq_load_u64(frame + 40),
                                              .previous_check = pq_load_u64(frame + 32),
                                              .end = log->options.segment_bytes,
                                              .begun_us = log->time_us};
    log->options.env->random(log->options.env->ctx, &opening.segment.nonce,
                             sizeof opening.segment.nonce);
    *check = seal(log, opening.segment.nonce);
    pq_log_header_encode(&opening.segment, log->time_us, log->frame.data);
    const pqdb_code code =
        write_or_shrink(opening.file, 0, pq_bytes_text(&log->frame), opening.room, err);
    if (code != PQDB_OK) {
        pq_file_close(opening.file);
        return code;
    }
    if (sync_frame(log, opening.file, err) != PQDB_OK) {
        pq_file_close(opening.file);
        return fail(log, PQDB_IO);
    }
    pq_file_close(log->file);
    log->file = opening.file;
    log->nonce = opening.segment.nonce;
    pthread_mutex_lock(&log->mutex);
    log->room = opening.room;
    if (log->segment_count > 0) log->segments[log->segment_count - 1].end = log->end.offset;
    log->segments[log->segment_count++] = opening.segment;
    log->last_number = opening.segment.number;
    log->spare_count--;
    log->end.segment = opening.segment.number;
    log->end.offset = log->frame.length;
    pthread_mutex_unlock(&log->mutex);
    return PQDB_OK;
}

/// Write and sync log->frame behind the others of its segment.
static pqdb_code write_next(struct pq_log *log, uint64_t *check, pqdb_error *err) {
    const struct pq_text piece = {(const char *)log->frame.data + frame_at,
                                  log->frame.length - frame_at};
    *check = seal(log, log->nonce);
    PQ_TRY(write_or_shrink(log->file, log->end.offset, piece, log->room, err));
    if (sync_frame(log, log->file, err) != PQDB_OK) return fail(log, PQDB_IO);
    pthread_mutex_lock(&log->mutex);
    log->end.offset += piece.length;
    pthread_mutex_unlock(&log->mutex);
    return PQDB_OK;
}

/// Where there is no room, a spare is taken if there is one. Without one the segment grows; a full
/// one too as long as the keeper is busy, because it may be at the next file.
static bool begins_segment(struct pq_log *log, size_t length) {
    if (log->file == NULL) return true;
    const uint64_t end = log->end.offset + length;
    if (end <= log->room) return false;
    if (has_spare(log)) return true;
    if (end <= log->options.segment_bytes) return false;
    if (pthread_mutex_trylock(&log->keeper_mutex) != 0) return false;
    pthread_mutex_unlock(&log->keeper_mutex);
    return true;
}

pqdb_code pq_log_flush(struct pq_log *log, uint8_t flags, uint32_t commits, uint64_t versions,
                       pqdb_error *err) {
    const size_t length = log->frame.length - frame_at;
    uint64_t check = 0;
    fill_header(log, flags, commits);
    PQ_TRY(begins_segment(log, length) ? write_first(log, &check, err)
                                       : write_next(log, &check, err));
    pthread_mutex_lock(&log->mutex);
    log->frame_average = log->frame_average - log->frame_average / 8 + length / 8;
    log->end.check = check;
    log->end.frame++;
    log->end.version += versions;
    pthread_mutex_unlock(&log->mutex);
    for (size_t i = 0; i < log->name_count; i++) log->names[i].logged = log->names[i].pending;
    log->ends_closed = (flags & PQ_FRAME_CLOSED) != 0;
    return PQDB_OK;
}

pqdb_code pq_log_repeat_frame(struct pq_log *log, const struct pq_log_frame *frame, bool in_place,
                              pqdb_error *err) {
    if (in_place) {
        const struct pq_text piece = {(const char *)frame->bytes, frame->length};
        PQ_TRY(pq_file_write(log->file, frame->offset, &piece, 1, err));
        return pq_file_sync(log->file, err);
    }
    uint64_t check = 0;
    PQ_TRY(pq_log_begin_frame(log, err));
    log->frame.length = frame_at;
    PQ_TRY(pq_bytes_append(&log->frame, frame->bytes, frame->length, err));
    log->frame.data[frame_at + 13] = frame->flags | PQ_FRAME_COPY;
    PQ_TRY(write_first(log, &check, err));
    log->end.check = check;
    return PQDB_OK;
}

static struct pq_log_names *find_names(struct pq_log *log, uint32_t collection) {
    for (size_t i = 0; i < log->name_count; i++) {
        if (log->names[i].collection == collection) return &log->names[i];
    }
    return NULL;
}

/// The NAMES part that must stand before `part`, appended to scratch; nothing when none is new.
static pqdb_code log_names(struct pq_log *log, struct pq_text part, uint32_t *count,
                           pqdb_error *err) {
    if (part.data[0] != PQ_PART_ROWS || (part.data[1] & PQ_PART_HAS_VARIANT) == 0) return PQDB_OK;
    const uint32_t collection = pq_load_u32(part.data + 8);
    struct pq_log_names *names = find_names(log, collection);
    if (names == NULL) return PQDB_OK;
    const uint32_t now = pq_variant_names_count(names->names);
    if (now == names->pending) return PQDB_OK;
    if (pq_log_encode_names(collection, names->names, names->pending, now - names->pending,
                            &log->scratch) != PQDB_OK) {
        return pq_fail(err, PQDB_NO_MEMORY, "logging field names");
    }
    names->pending = now;
    (*count)++;
    return PQDB_OK;
}

/// A commit laid out as a list of pieces: token, names, parts with their headers patched.
struct layout {
    size_t piece_count;
    size_t piece;  // being copied
    size_t done;   // of that piece
    uint64_t left;
    uint32_t parts;
};

static pqdb_code reserve_pieces(struct pq_log *log, size_t count, pqdb_error *err) {
    if (count <= log->piece_capacity) return PQDB_OK;
    void *grown = pq_resize(log->options.alloc, log->pieces, log->piece_capacity, count,
                            sizeof *log->pieces);
    if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a commit of %zu pieces", count);
    log->pieces = grown;
    log->piece_capacity = count;
    return PQDB_OK;
}

static void add_piece(struct pq_log *log, struct layout *layout, const void *data, size_t length) {
    log->pieces[layout->piece_count++] = (struct pq_text){data, length};
    layout->left += length;
}

/// The header of a part as it is stored: first_seq is known now.
static void patch_header(struct pq_log *log, const struct pq_log_part *part) {
    uint8_t *header = log->scratch.data + log->scratch.length;
    memcpy(header, part->bytes.data, PQ_PART_HEADER_BYTES);
    if (part->bytes.data[0] == PQ_PART_ROWS && part->first_seq != 0) {
        pq_store_u64(header + 24, part->first_seq);
    }
    log->scratch.length += PQ_PART_HEADER_BYTES;
}

/// Scratch holds: the padded token, the new names, a header a part.
static pqdb_code lay_out(struct pq_log *log, const struct pq_log_commit *commit,
                         struct layout *layout, pqdb_error *err) {
    *layout = (struct layout){.parts = (uint32_t)commit->part_count};
    log->scratch.length = 0;
    PQ_TRY(reserve_pieces(log, 2 * commit->part_count + 1, err));
    PQ_TRY(pq_bytes_append_text(&log->scratch, commit->token, err));
    while (log->scratch.length % 8 != 0) PQ_TRY(pq_bytes_append_byte(&log->scratch, 0, err));
    for (size_t i = 0; i < commit->part_count; i++) {
        PQ_TRY(log_names(log, commit->parts[i].bytes, &layout->parts, err));
    }
    const size_t front = log->scratch.length;
    PQ_TRY(pq_bytes_reserve(&log->scratch, commit->part_count * PQ_PART_HEADER_BYTES, err));
    add_piece(log, layout, log->scratch.data, front);
    for (size_t i = 0; i < commit->part_count; i++) {
        const struct pq_text bytes = commit->parts[i].bytes;
        add_piece(log, layout, log->scratch.data + log->scratch.length, PQ_PART_HEADER_BYTES);
        patch_header(log, &commit->parts[i]);
        add_piece(log, layout, bytes.data + PQ_PART_HEADER_BYTES,
                  bytes.length - PQ_PART_HEADER_BYTES);
    }
    if (layout->left > PQ_LOG_COMMIT_BYTES_MAX) {
        return pq_fail(err, PQDB_LIMIT, "a commit of %llu bytes, at most %d: write it in pieces",
                       (unsigned long long)layout->left, PQ_LOG_COMMIT_BYTES_MAX);
    }
    return PQDB_OK;
}

/// Append a commit header and the next `length` bytes of the layout to the frame.
static pqdb_code put_commit(struct pq_log *log, const struct pq_log_commit *commit,
                            struct layout *layout, size_t length, uint8_t flags,
                            pqdb_error *err) {
    PQ_TRY(pq_bytes_reserve(&log->frame, PQ_COMMIT_HEADER_BYTES + length, err));
    uint8_t *at = log->frame.data + log->frame.length;
    memset(at, 0, PQ_COMMIT_HEADER_BYTES);
    at[0] = (uint8_t)commit->kind;
    at[1] = flags;
    at[2] = (uint8_t)commit->token.length;
    pq_store_u32(at + 4, layout->parts);
    pq_store_u32(at + 8, (uint32_t)(PQ_COMMIT_HEADER_BYTES + length));
    log->frame.length += PQ_COMMIT_HEADER_BYTES + length;
    at += PQ_COMMIT_HEADER_BYTES;
    layout->left -= length;
    while (length > 0) {
        const struct pq_text piece = log->pieces[layout->piece];
        size_t step = piece.length - layout->done;
        if (step > length) step = length;
        if (step > 0) memcpy(at, piece.data + layout->done, step);
        at += step;
        length -= step;
        layout->done += step;
        if (layout->done == piece.length) {
            layout->piece++;
            layout->done = 0;
        }
    }
    return PQDB_OK;
}

static pqdb_code check_commit(const struct pq_log_commit *commit, pqdb_error *err) {
    if (commit->token.length > PQ_LOG_TOKEN_BYTES_MAX) {
        return pq_fail(err, PQDB_LIMIT, "a token of %zu bytes, at most %d", commit->token.length,
                       PQ_LOG_TOKEN_BYTES_MAX);
    }
    if (commit->part_count > PQ_LOG_ROWS_PARTS_MAX) {
        return pq_fail(err, PQDB_LIMIT, "a commit to %zu collections, at most %d",
                       commit->part_count, PQ_LOG_ROWS_PARTS_MAX);
    }
    for (size_t i = 0; i < commit->part_count; i++) {
        const struct pq_text bytes = commit->parts[i].bytes;
        pq_assert(bytes.length > 0 && pq_log_part_length(bytes) == bytes.length);
    }
    return PQDB_OK;
}

/// What an append has put into the frame at hand, and made durable before.
struct progress {
    uint32_t commits;   // in the frame
    uint64_t versions;  // of those complete
    bool has_flushed;
};

static pqdb_code flush(struct pq_log *log, struct progress *progress, pqdb_error *err) {
    const pqdb_code code = pq_log_flush(log, 0, progress->commits, progress->versions, err);
    if (code != PQDB_OK && progress->has_flushed) return fail(log, code);
    PQ_TRY(code);
    *progress = (struct progress){.has_flushed = true};
    return pq_log_begin_frame(log, err);
}

/// A commit that no frame can hold, piece by piece.
static pqdb_code put_spanning(struct pq_log *log, const struct pq_log_commit *commit,
                              struct layout *layout, struct progress *progress,
                              pqdb_error *err) {
    uint8_t flags = PQ_COMMIT_MORE;
    const size_t most = PQ_LOG_FRAME_BYTES_MAX - PQ_COMMIT_HEADER_BYTES;
    while (layout->left > most) {
        PQ_TRY(put_commit(log, commit, layout, most, flags, err));
        progress->commits = 1;
        PQ_TRY(flush(log, progress, err));
        flags = PQ_COMMIT_MORE | PQ_COMMIT_CONTINUED;
    }
    PQ_TRY(put_commit(log, commit, layout, (size_t)layout->left, PQ_COMMIT_CONTINUED, err));
    progress->commits = 1;
    progress->versions = 1;
    return PQDB_OK;
}

static pqdb_code put_whole(struct pq_log *log, const struct pq_log_commit *commit,
                           struct progress *progress, pqdb_error *err) {
    struct layout layout;
    PQ_TRY(check_commit(commit, err));
    PQ_TRY(lay_out(log, commit, &layout, err));
    const uint64_t bytes = PQ_COMMIT_HEADER_BYTES + layout.left;
    if (progress->commits > 0 && body_length(log) + bytes > PQ_LOG_FRAME_BYTES_MAX) {
        PQ_TRY(flush(log, progress, err));
    }
    if (bytes > PQ_LOG_FRAME_BYTES_MAX) return put_spanning(log, commit, &layout, progress, err);
    PQ_TRY(put_commit(log, commit, &layout, (size_t)layout.left, 0, err));
    progress->commits++;
    progress->versions++;
    return PQDB_OK;
}

/// Behind whole commits, a quarter of a MiB after the last mark: readers may begin here.
static void mark_end(struct pq_log *log) {
    pthread_mutex_lock(&log->mutex);
    const struct pq_log_position *end = &log->end;
    const size_t last = log->mark_count == 0 ? 0 : (log->mark_count - 1) % PQ_LOG_MARKS;
    const bool is_near = log->mark_count > 0 && log->marks[last].segment == end->segment &&
                         end->offset - log->marks[last].offset < PQ_LOG_MARK_BYTES;
    if (!is_near) log->marks[log->mark_count++ % PQ_LOG_MARKS] = *end;
    pthread_mutex_unlock(&log->mutex);
}

static pqdb_code append_all(struct pq_log *log, const struct pq_log_commit *commits, size_t count,
                            pqdb_error *err) {
    struct progress progress = {0};
    pqdb_code code = pq_log_begin_frame(log, err);
    for (size_t i = 0; i < count && code == PQDB_OK; i++) {
        code = put_whole(log, &commits[i], &progress, err);
    }
    if (code == PQDB_OK) {
        code = pq_log_flush(log, 0, progress.commits, progress.versions, err);
    }
    if (code == PQDB_OK) mark_end(log);
    // Something durable went before: what the caller was told and what the log has differ.
    if (code != PQDB_OK && progress.has_flushed) fail(log, code);
    return code;
}

pqdb_code pq_log_append(struct pq_log *log, const struct pq_log_commit *commits, size_t count,
                        pqdb_error *err) {
    pq_assert(log->state != PQ_LOG_OPENED && !log->options.read_only);
    if (log->state == PQ_LOG_FAILED) {
        return pq_store_fail(err, PQDB_IO, log->directory,
                             "the log stopped after a failed write to disk: close the database and "
                             "open it again");
    }
    if (count == 0) return PQDB_OK;
    const pqdb_code code = append_all(log, commits, count, err);
    if (code != PQDB_OK) {
        for (size_t i = 0; i < log->name_count; i++) log->names[i].pending = log->names[i].logged;
    }
    return code;
}
