/// Scanning: the frames of all segments, one after the other, each checked and in its place.
#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"
#include "changelog/log_internal.h"

/// Small at first: most logs are short when they are opened.
enum { read_bytes_min = 16 << 10, read_bytes_max = 256 << 10, window_bytes = 64 << 10 };

/// Why a frame cannot be taken.
enum frame_fault {
    FRAME_WHOLE,
    FRAME_BAD,    // torn, damaged, stale or never written
    FRAME_NEWER,  // of a later format
};

/// Look at the header only; `left` bytes are in the file from it on.
static bool header_is_likely(const uint8_t *header, uint64_t nonce) {
    const uint32_t length = pq_load_u32(header + 60);
    return pq_load_u32(header + 8) == PQ_FRAME_MAGIC &&
           (nonce == 0 || pq_load_u64(header + 24) == nonce) && length >= PQ_FRAME_HEADER_BYTES &&
           length % 8 == 0 && length <= PQ_LOG_FRAME_BYTES_MAX + PQ_FRAME_HEADER_BYTES;
}

static bool frame_is_whole(const uint8_t *bytes, size_t length) {
    return pq_load_u64(bytes) == pq_hash(bytes + 8, length - 8);
}

/// Have file bytes [offset, offset + length) in memory, or fewer at the file's end.
static pqdb_code fill(struct pq_log_scanner *scanner, uint64_t offset, size_t length,
                      size_t *got, pqdb_error *err) {
    struct pq_bytes *buffer = &scanner->buffer;
    const bool is_inside = offset >= scanner->buffer_offset &&
                           offset + length <= scanner->buffer_offset + buffer->length;
    if (!is_inside) {
        size_t wanted = buffer->length * 2;
        if (wanted < read_bytes_min) wanted = read_bytes_min;
        if (wanted > read_bytes_max) wanted = read_bytes_max;
        if (wanted < length) wanted = length;
        if (scanner->follows) {  // what the leader has not finished must not be remembered
            pthread_mutex_lock(&scanner->log->mutex);
            const struct pq_log_position end = scanner->log->end;
            pthread_mutex_unlock(&scanner->log->mutex);
            if (end.segment == scanner->segment.number && offset + wanted > end.offset) {
                wanted = end.offset > offset ? (size_t)(end.offset - offset) : 0;
            }
        }
        buffer->length = 0;
        PQ_TRY(pq_bytes_reserve(buffer, wanted, err));
        PQ_TRY(pq_file_read(scanner->file, offset, buffer->data, &wanted, err));
        buffer->length = wanted;
        scanner->buffer_offset = offset;
    }
    const uint64_t end = scanner->buffer_offset + buffer->length;
    *got = end > offset ? (size_t)(end - offset) : 0;
    return PQDB_OK;
}

/// The bytes at scanner->offset as a frame.
static pqdb_code look(struct pq_log_scanner *scanner, struct pq_log_frame *frame,
                      enum frame_fault *fault, pqdb_error *err) {
    size_t got;
    *fault = FRAME_BAD;
    PQ_TRY(fill(scanner, scanner->offset, PQ_FRAME_HEADER_BYTES, &got, err));
    if (got < PQ_FRAME_HEADER_BYTES) return PQDB_OK;
    const uint8_t *bytes =
        scanner->buffer.data + (scanner->offset - scanner->buffer_offset);
    if (!header_is_likely(bytes, scanner->segment.nonce)) return PQDB_OK;
    const uint32_t length = pq_load_u32(bytes + 60);
    PQ_TRY(fill(scanner, scanner->offset, length, &got, err));
    if (got < length) return PQDB_OK;
    bytes = scanner->buffer.data + (scanner->offset - scanner->buffer_offset);
    if (!frame_is_whole(bytes, length)) return PQDB_OK;
    *fault = bytes[12] > PQ_LOG_FORMAT ? FRAME_NEWER : FRAME_WHOLE;
    *frame = (struct pq_log_frame){.bytes = bytes,
                                   .length = length,
                                   .flags = bytes[13],
                                   .number = pq_load_u64(bytes + 16),
                                   .previous_check = pq_load_u64(bytes + 32),
                                   .first_version = pq_load_u64(bytes + 40),
                                   .time_us = (int64_t)pq_load_u64(bytes + 48),
                                   .commits = pq_load_u32(bytes + 56),
                                   .check = pq_load_u64(bytes),
                                   .offset = scanner->offset};
    return PQDB_OK;
}

/// Is the frame at `at` of a file whole?
static pqdb_code check_candidate(struct pq_file *file, uint64_t at, const uint8_t *header,
                                 struct pq_bytes *room, bool *is_frame, pqdb_error *err) {
    size_t length = pq_load_u32(header + 60);
    const size_t wanted = length;
    room->length = 0;
    PQ_TRY(pq_bytes_reserve(room, length, err));
    PQ_TRY(pq_file_read(file, at, room->data, &length, err));
    *is_frame = length == wanted && frame_is_whole(room->data, length);
    return PQDB_OK;
}

pqdb_code pq_log_read_frame(struct pq_file *file, uint64_t at, struct pq_bytes *room,
                            bool *is_frame, pqdb_error *err) {
    uint8_t header[PQ_FRAME_HEADER_BYTES];
    size_t length = sizeof header;
    *is_frame = false;
    PQ_TRY(pq_file_read(file, at, header, &length, err));
    if (length < sizeof header || !header_is_likely(header, 0)) return PQDB_OK;
    PQ_TRY(check_candidate(file, at, header, room, is_frame, err));
    room->length = pq_load_u32(header + 60);
    return PQDB_OK;
}

pqdb_code pq_log_find_frame(const struct pq_log_search *search, uint64_t *at, pqdb_error *err) {
    struct pq_bytes window, candidate;
    pq_bytes_init(&window, search->alloc);
    pq_bytes_init(&candidate, search->alloc);
    *at = 0;
    pqdb_code code;
    PQ_GO(pq_bytes_reserve(&window, window_bytes, err));
    for (uint64_t start = search->from; start < search->to;) {
        size_t length = window_bytes;
        PQ_GO(pq_file_read(search->file, start, window.data, &length, err));
        if (length < PQ_FRAME_HEADER_BYTES) break;
        size_t i = 0;
        for (; i + PQ_FRAME_HEADER_BYTES <= length && start + i < search->to; i += 8) {
            const uint8_t *header = window.data + i;
            bool is_frame;
            if (!header_is_likely(header, search->nonce) ||
                pq_load_u64(header + 16) < search->least) {
                continue;
            }
            PQ_GO(check_candidate(search->file, start + i, header, &candidate, &is_frame, err));
            if (is_frame) {
                *at = start + i;
                goto done;
            }
        }
        start += i;
    }
done:
    pq_bytes_deinit(&window);
    pq_bytes_deinit(&candidate);
    return code;
}

/// The segment with this number, or the lowest one above; false when there is none.
static bool find_segment(struct pq_log *log, uint64_t least, struct pq_log_segment *segment) {
    pthread_mutex_lock(&log->mutex);
    bool found = false;
    for (size_t i = 0; i < log->segment_count && !found; i++) {
        found = log->segments[i].number >= least;
        if (found) *segment = log->segments[i];
    }
    pthread_mutex_unlock(&log->mutex);
    return found;
}

static pqdb_code trimmed(const struct pq_log_scanner *scanner, pqdb_error *err) {
    return pq_store_fail(err, PQDB_NOT_FOUND, scanner->log->directory,
                         "the log no longer reaches back to version %llu",
                         (unsigned long long)scanner->next_version);
}

/// Is the segment being read no longer one of the log's?
static bool is_trimmed(const struct pq_log_scanner *scanner) {
    struct pq_log_segment oldest;
    return find_segment(scanner->log, 0, &oldest) && oldest.number > scanner->segment.number;
}

static pqdb_code enter_segment(struct pq_log_scanner *scanner,
                               const struct pq_log_segment *segment, pqdb_error *err) {
    char path[PQ_LOG_PATH_BYTES];
    struct pq_file *file;
    pq_log_path(scanner->log, segment->number, path);
    const pqdb_code code =
        pq_file_open(scanner->log->options.store, path, PQ_OPEN_READ, &file, err);
    if (code == PQDB_NOT_FOUND && scanner->follows) return trimmed(scanner, err);
    PQ_TRY(code);
    pq_file_close(scanner->file);
    scanner->file = file;
    scanner->segment = *segment;
    scanner->offset = PQ_SEGMENT_HEADER_BYTES;
    scanner->buffer.length = 0;
    return PQDB_OK;
}

/// Frames are missing where a segment has no header.
static pqdb_code damaged_header(const struct pq_log *log, uint64_t number, pqdb_error *err) {
    char path[PQ_LOG_PATH_BYTES];
    pq_log_path(log, number, path);
    return pq_store_fail_at(err, PQDB_CORRUPT, path, 0,
                            "the header of %s is damaged, and frames are missing there", path);
}

/// The segment that is to be read is not in use: it was trimmed, or its header is damaged.
static pqdb_code not_in_use(const struct pq_log_scanner *scanner, uint64_t number,
                            pqdb_error *err) {
    char path[PQ_LOG_PATH_BYTES];
    struct pq_file *file;
    pq_log_path(scanner->log, number, path);
    if (pq_file_open(scanner->log->options.store, path, PQ_OPEN_READ, &file, NULL) != PQDB_OK) {
        return trimmed(scanner, err);
    }
    pq_file_close(file);
    return damaged_header(scanner->log, number, err);
}

pqdb_code pq_log_scanner_open(struct pq_log *log, const struct pq_log_position *from,
                              struct pq_log_scanner *scanner, pqdb_error *err) {
    struct pq_log_segment segment;
    *scanner = (struct pq_log_scanner){.log = log, .next_frame = 1, .next_version = 1};
    pq_bytes_init(&scanner->buffer, log->options.alloc);
    const bool found = find_segment(log, from->segment, &segment);
    if (from->segment != 0) {
        scanner->next_version = from->version;
        if (!found || segment.number != from->segment) {
            return not_in_use(scanner, from->segment, err);
        }
    }
    if (!found) return PQDB_OK;  // a log without a frame
    if (from->segment == 0 && segment.first_frame != 1) {
        return not_in_use(scanner, segment.number - 1, err);
    }
    PQ_TRY(enter_segment(scanner, &segment, err));
    scanner->next_frame = segment.first_frame;
    scanner->next_version = segment.first_version;
    scanner->check = segment.previous_check;
    if (from->segment != 0) {
        scanner->offset = from->offset;
        scanner->next_frame = from->frame;
        scanner->next_version = from->version;
        scanner->check = from->check;
    }
    return PQDB_OK;
}

void pq_log_scanner_close(struct pq_log_scanner *scanner) {
    pq_file_close(scanner->file);
    pq_bytes_deinit(&scanner->buffer);
    scanner->file = NULL;
}

struct pq_log_position pq_log_scanner_position(const struct pq_log_scanner *scanner) {
    return (struct pq_log_position){.segment = scanner->segment.number,
                                    .offset = scanner->offset,
                                    .frame = scanner->next_frame,
                                    .version = scanner->next_version,
                                    .check = scanner->check};
}

static pqdb_code damaged(const struct pq_log_scanner *scanner, const char *what,
                         pqdb_error *err) {
    return pq_store_fail_at(err, PQDB_CORRUPT, scanner->file->path, scanner->offset,
                            "%s is damaged at byte %llu: %s", scanner->file->path,
                            (unsigned long long)scanner->offset, what);
}

/// Frames are numbered without gaps, chained by their checks, and so are their versions.
static pqdb_code check_chain(const struct pq_log_scanner *scanner,
                             const struct pq_log_frame *frame, pqdb_error *err) {
    if (frame->number != scanner->next_frame) return damaged(scanner, "a frame is missing", err);
    if (frame->previous_check != scanner->check) {
        return damaged(scanner, "its frame does not continue the one before", err);
    }
    if (frame->first_version != scanner->next_version) {
        return damaged(scanner, "a version is missing", err);
    }
    return PQDB_OK;
}

/// Does the frame repeat the last one of the segment before?
static bool is_repeated(const struct pq_log_scanner *scanner, const struct pq_log_frame *frame) {
    return scanner->offset == PQ_SEGMENT_HEADER_BYTES && (frame->flags & PQ_FRAME_COPY) != 0 &&
           frame->number + 1 == scanner->next_frame &&
           frame->previous_check == scanner->check_before;
}

/// How many commits of a frame are complete: all but one that goes on in the next frame.
static uint64_t versions_of(const struct pq_log_frame *frame) {
    uint64_t versions = frame->commits;
    size_t at = PQ_FRAME_HEADER_BYTES;
    for (uint32_t i = 0; i < frame->commits; i++) {
        if (at + PQ_COMMIT_HEADER_BYTES > frame->length) return versions;  // seen when it is read
        const bool is_last = i + 1 == frame->commits;
        if (is_last && (frame->bytes[at + 1] & PQ_COMMIT_MORE) != 0) versions--;
        const uint32_t length = pq_load_u32(frame->bytes + at + 8);
        if (length < PQ_COMMIT_HEADER_BYTES) return versions;
        at += length;
    }
    return versions;
}

static void step_over(struct pq_log_scanner *scanner, const struct pq_log_frame *frame) {
    scanner->check_before = frame->previous_check;
    scanner->check = frame->check;
    scanner->next_frame = frame->number + 1;
    scanner->next_version = frame->first_version + versions_of(frame);
    scanner->offset += frame->length;
}

/// Behind the last whole frame of the last segment: a torn tail, or damage before a whole frame?
static pqdb_code check_tail(struct pq_log_scanner *scanner, pqdb_error *err) {
    uint64_t at;
    const struct pq_log_search search = {
        .file = scanner->file,
        .alloc = scanner->log->options.alloc,
        .from = scanner->offset,
        .to = scanner->offset + PQ_LOG_FRAME_BYTES_MAX + 2 * PQ_FRAME_HEADER_BYTES,
        .nonce = scanner->segment.nonce,
        .least = scanner->next_frame};
    PQ_TRY(pq_log_find_frame(&search, &at, err));
    if (at == 0) return PQDB_OK;
    return damaged(scanner, "a frame is bad, and a whole one follows", err);
}

/// No frame at the offset. Go to the next segment (`*moved`), or find out what that means.
static pqdb_code leave_segment(struct pq_log_scanner *scanner, bool *moved, pqdb_error *err) {
    struct pq_log *log = scanner->log;
    struct pq_log_segment next;
    *moved = find_segment(log, scanner->segment.number + 1, &next);
    if (!*moved) {
        scanner->at_tail = true;
        return scanner->follows ? damaged(scanner, "a frame is bad", err)
                                : check_tail(scanner, err);
    }
    if (scanner->follows && is_trimmed(scanner)) return trimmed(scanner, err);
    if (next.first_frame != scanner->next_frame && next.first_frame + 1 != scanner->next_frame) {
        if (next.number != scanner->segment.number + 1) {
            return damaged_header(log, scanner->segment.number + 1, err);
        }
        return damaged(scanner, "a frame is bad, and the log goes on in the next segment", err);
    }
    return enter_segment(scanner, &next, err);
}

/// Has everything up to log->end been seen?
static bool has_caught_up(struct pq_log_scanner *scanner) {
    pthread_mutex_lock(&scanner->log->mutex);
    const bool caught_up = scanner->next_frame >= scanner->log->end.frame;
    pthread_mutex_unlock(&scanner->log->mutex);
    return caught_up;
}

/// A reader that began before the first frame has no file yet.
static pqdb_code enter_first(struct pq_log_scanner *scanner, bool *entered, pqdb_error *err) {
    struct pq_log_segment first;
    *entered = find_segment(scanner->log, 0, &first);
    return *entered ? enter_segment(scanner, &first, err) : PQDB_OK;
}

pqdb_code pq_log_scanner_next(struct pq_log_scanner *scanner, struct pq_log_frame *frame,
                              bool *found, pqdb_error *err) {
    enum frame_fault fault;
    bool moved;
    int looks = 0;
    *found = false;
    if (scanner->file == NULL) {
        PQ_TRY(enter_first(scanner, &moved, err));
        if (!moved) return PQDB_OK;
    }
    for (;;) {
        if (scanner->follows && has_caught_up(scanner)) return PQDB_OK;
        PQ_TRY(look(scanner, frame, &fault, err));
        if (fault == FRAME_NEWER) {
            return pq_store_fail_at(err, PQDB_UNSUPPORTED, scanner->file->path, scanner->offset,
                                    "a frame of format %u: this version reads up to %d, open it "
                                    "with a newer one",
                                    frame->bytes[12], PQ_LOG_FORMAT);
        }
        if (fault == FRAME_WHOLE && is_repeated(scanner, frame)) {
            scanner->check = frame->check;
            scanner->offset += frame->length;
            continue;
        }
        if (fault == FRAME_WHOLE) {
            PQ_TRY(check_chain(scanner, frame, err));
            step_over(scanner, frame);
            *found = true;
            return PQDB_OK;
        }
        // Another process may be writing just here: what is bad now may be whole a moment later.
        const bool may_change = scanner->log->options.read_only && looks < 2;
        if (may_change) scanner->buffer.length = 0;
        if (may_change && looks++ == 0) continue;
        const pqdb_code code = leave_segment(scanner, &moved, err);
        if (code == PQDB_CORRUPT && may_change) continue;
        PQ_TRY(code);
        if (!moved) return PQDB_OK;
        looks = 0;
    }
}
