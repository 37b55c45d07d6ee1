/// Segments: their names, headers, spares, and what a directory of them means after a crash.
#include <stdio.h>

#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"
#include "changelog/log_internal.h"

enum { digits = 12 };

void pq_log_path(const struct pq_log *log, uint64_t number, char path[static PQ_LOG_PATH_BYTES]) {
    snprintf(path, PQ_LOG_PATH_BYTES, "%s/%0*llu.log", log->directory, digits,
             (unsigned long long)number);
}

/// The number in a file's name, 0 when it is not a segment's.
static uint64_t number_of(struct pq_text name) {
    uint64_t number = 0;
    if (name.length != digits + 4 || memcmp(name.data + digits, ".log", 4) != 0) return 0;
    for (size_t i = 0; i < digits; i++) {
        if (name.data[i] < '0' || name.data[i] > '9') return 0;
        number = number * 10 + (uint64_t)(name.data[i] - '0');
    }
    return number;
}

uint64_t pq_log_number_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return number_of(pq_text_of(slash == NULL ? path : slash + 1));
}

void pq_log_header_encode(const struct pq_log_segment *segment, int64_t time_us,
                          uint8_t header[static PQ_SEGMENT_HEADER_BYTES]) {
    pq_store_u32(header + 8, PQ_SEGMENT_MAGIC);
    pq_store_u32(header + 12, PQ_LOG_FORMAT);
    pq_store_u64(header + 16, segment->number);
    pq_store_u64(header + 24, segment->nonce);
    pq_store_u64(header + 32, segment->first_frame);
    pq_store_u64(header + 40, segment->first_version);
    pq_store_u64(header + 48, segment->previous_check);
    pq_store_u64(header + 56, (uint64_t)time_us);
    pq_store_u64(header, pq_hash(header + 8, PQ_SEGMENT_HEADER_BYTES - 8));
}

enum header_kind {
    HEADER_EMPTY,   // zeros: a spare that was never used
    HEADER_STALE,   // of another number: a segment used again
    HEADER_BAD,     // torn or damaged
    HEADER_IN_USE,
};

static enum header_kind header_decode(const uint8_t header[static PQ_SEGMENT_HEADER_BYTES],
                                      uint64_t number, struct pq_log_segment *segment) {
    static const uint8_t zeros[PQ_SEGMENT_HEADER_BYTES];
    if (memcmp(header, zeros, sizeof zeros) == 0) return HEADER_EMPTY;
    if (pq_load_u32(header + 8) != PQ_SEGMENT_MAGIC ||
        pq_load_u64(header) != pq_hash(header + 8, PQ_SEGMENT_HEADER_BYTES - 8)) {
        return HEADER_BAD;
    }
    *segment = (struct pq_log_segment){.number = pq_load_u64(header + 16),
                                       .nonce = pq_load_u64(header + 24),
                                       .first_frame = pq_load_u64(header + 32),
                                       .first_version = pq_load_u64(header + 40),
                                       .previous_check = pq_load_u64(header + 48),
                                       .begun_us = (int64_t)pq_load_u64(header + 56)};
    return segment->number == number ? HEADER_IN_USE : HEADER_STALE;
}

static pqdb_code read_header(struct pq_log *log, uint64_t number, struct pq_log_segment *segment,
                             enum header_kind *kind, pqdb_error *err) {
    char path[PQ_LOG_PATH_BYTES];
    uint8_t header[PQ_SEGMENT_HEADER_BYTES] = {0};
    size_t length = sizeof header;
    struct pq_file *file;
    pq_log_path(log, number, path);
    PQ_TRY(pq_file_open(log->options.store, path, PQ_OPEN_READ, &file, err));
    const pqdb_code code = pq_file_read(file, 0, header, &length, err);
    pq_file_close(file);
    PQ_TRY(code);
    *kind = header_decode(header, number, segment);
    const uint32_t format = pq_load_u32(header + 12);
    if (*kind == HEADER_IN_USE && format > PQ_LOG_FORMAT) {
        return pq_store_fail(err, PQDB_UNSUPPORTED, path,
                             "log format %u: this version reads up to %d, open it with a newer one",
                             format, PQ_LOG_FORMAT);
    }
    return PQDB_OK;
}

pqdb_code pq_log_reserve_segment(struct pq_log *log, pqdb_error *err) {
    if (log->segment_count < log->segment_capacity) return PQDB_OK;
    const size_t grown = log->segment_capacity == 0 ? 16 : log->segment_capacity * 2;
    void *segments = pq_resize(log->options.alloc, log->segments, log->segment_capacity, grown,
                               sizeof *log->segments);
    if (segments == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of %zu segments", grown);
    log->segments = segments;
    log->segment_capacity = grown;
    return PQDB_OK;
}

static pqdb_code add_segment(struct pq_log *log, const struct pq_log_segment *segment,
                             pqdb_error *err) {
    PQ_TRY(pq_log_reserve_segment(log, err));
    log->segments[log->segment_count++] = *segment;
    log->last_number = segment->number;
    return PQDB_OK;
}

/// What the first spare behind a segment with `room` is filled up to: small in a small log.
static uint64_t fill_target(const struct pq_log *log, uint64_t room) {
    uint64_t target = room > UINT64_MAX / 2 ? room : 2 * room;
    if (target < PQ_LOG_FILL_BYTES_MIN) target = PQ_LOG_FILL_BYTES_MIN;
    return target < log->options.segment_bytes ? target : log->options.segment_bytes;
}

/// Files behind the last segment in use: those with room are spares, all others go.
static pqdb_code keep_spares(struct pq_log *log, const struct pq_store_list *list,
                             pqdb_error *err) {
    const struct pq_log_options *options = &log->options;
    char path[PQ_LOG_PATH_BYTES];
    for (size_t i = 0; i < list->count && !options->read_only; i++) {
        const uint64_t number = number_of(list->entries[i].name);
        if (number <= log->last_number) continue;
        const bool is_next = number == log->last_number + log->spare_count + 1;
        if (is_next && list->entries[i].bytes >= fill_target(log, 0) &&
            log->spare_count < PQ_LOG_SPARES_MAX) {
            log->spare_count++;
            continue;
        }
        pq_log_path(log, number, path);
        PQ_TRY(pq_store_unlink(options->store, path, err));
    }
    return PQDB_OK;
}

/// A file is missing between `previous` and `number`. What is below was trimmed already, if it is
/// not needed: its removal is not durable yet, that of others is.
static pqdb_code skip_gap(struct pq_log *log, uint64_t previous, uint64_t number,
                          pqdb_error *err) {
    char path[PQ_LOG_PATH_BYTES];
    if (log->options.from.segment >= number) {
        log->segment_count = 0;
        return PQDB_OK;
    }
    pq_log_path(log, previous + 1, path);
    return pq_store_fail(err, PQDB_CORRUPT, path, "the log's segment %s is missing", path);
}

/// A file with no header of its own among others is no fault by itself: a segment whose first write
/// failed looks so. Whether frames are missing there shows when they are read.
static pqdb_code sort_files(struct pq_log *log, const struct pq_store_list *list,
                            pqdb_error *err) {
    uint64_t previous = 0;
    for (size_t i = 0; i < list->count; i++) {
        const uint64_t number = number_of(list->entries[i].name);
        struct pq_log_segment segment;
        enum header_kind kind;
        if (number == 0) continue;
        PQ_TRY(read_header(log, number, &segment, &kind, err));
        segment.end = list->entries[i].bytes;
        if (kind == HEADER_IN_USE) {
            if (log->segment_count > 0 && previous + 1 != number) {
                PQ_TRY(skip_gap(log, previous, number, err));
            }
            PQ_TRY(add_segment(log, &segment, err));
        }
        previous = number;
    }
    return PQDB_OK;
}

pqdb_code pq_log_find_segments(struct pq_log *log, pqdb_error *err) {
    struct pq_arena arena;
    struct pq_store_list list;
    pq_arena_init(&arena, log->options.alloc);
    pqdb_code code = pq_store_list(log->options.store, log->directory, &arena, &list, err);
    if (code == PQDB_NOT_FOUND && !log->options.read_only) {
        list = (struct pq_store_list){0};
        code = PQDB_OK;
    }
    if (code == PQDB_OK) code = sort_files(log, &list, err);
    if (code == PQDB_OK && log->segment_count == 0 && !log->options.read_only) {
        code = pq_store_make_directory(log->options.store, log->directory, err);
    }
    pq_arena_deinit(&arena);
    return code;
}

/// Was a file behind the last segment in use after all? Its header would be damage, not a torn
/// write: header and first frame share a sector.
static pqdb_code check_spare(struct pq_log *log, uint64_t number, uint64_t next_frame,
                             pqdb_error *err) {
    struct pq_log_segment segment;
    enum header_kind kind;
    PQ_TRY(read_header(log, number, &segment, &kind, err));
    if (kind != HEADER_BAD) return PQDB_OK;
    char path[PQ_LOG_PATH_BYTES];
    struct pq_file *file;
    uint64_t at = 0;
    pq_log_path(log, number, path);
    PQ_TRY(pq_file_open(log->options.store, path, PQ_OPEN_READ, &file, err));
    const struct pq_log_search search = {.file = file,
                                         .alloc = log->options.alloc,
                                         .from = PQ_SEGMENT_HEADER_BYTES,
                                         .to = UINT64_MAX,
                                         .least = next_frame};
    const pqdb_code code = pq_log_find_frame(&search, &at, err);
    pq_file_close(file);
    if (code != PQDB_OK || at == 0) return code;
    PQ_TRY(read_header(log, number, &segment, &kind, err));
    if (kind != HEADER_BAD) return PQDB_OK;  // another process has just written it
    return pq_store_fail_at(err, PQDB_CORRUPT, path, 0,
                            "the header of %s is damaged, but it has a whole frame at %llu", path,
                            (unsigned long long)at);
}

pqdb_code pq_log_check_spares(struct pq_log *log, uint64_t next_frame, pqdb_error *err) {
    struct pq_arena arena;
    struct pq_store_list list;
    pq_arena_init(&arena, log->options.alloc);
    pqdb_code code;
    PQ_GO(pq_store_list(log->options.store, log->directory, &arena, &list, err));
    for (size_t i = 0; i < list.count; i++) {
        const uint64_t number = number_of(list.entries[i].name);
        if (number > log->last_number) PQ_GO(check_spare(log, number, next_frame, err));
    }
    PQ_GO(keep_spares(log, &list, err));
    // Their names may be known to memory only.
    if (log->spare_count > 0) {
        PQ_GO(pq_store_sync_directory(log->options.store, log->directory, err));
    }
done:
    pq_arena_deinit(&arena);
    return code;
}

static uint64_t next_spare_number(struct pq_log *log) {
    pthread_mutex_lock(&log->mutex);
    const uint64_t number = log->last_number + log->spare_count + 1;
    pthread_mutex_unlock(&log->mutex);
    return number;
}

static void add_spare(struct pq_log *log) {
    pthread_mutex_lock(&log->mutex);
    log->spare_count++;
    pthread_mutex_unlock(&log->mutex);
}

/// An empty file with the next number, its name durable.
static pqdb_code begin_spare(struct pq_log *log, struct pq_file **file, pqdb_error *err) {
    char path[PQ_LOG_PATH_BYTES];
    struct pq_store *store = log->options.store;
    pq_log_path(log, next_spare_number(log), path);
    PQ_TRY(pq_file_open(store, path, PQ_OPEN_WRITE, file, err));
    const pqdb_code code = pq_store_sync_directory(store, log->directory, err);
    if (code == PQDB_OK) return PQDB_OK;
    pq_file_close(*file);
    *file = NULL;
    pq_store_unlink(store, path, NULL);
    return code;
}

static void end_filling(struct pq_log *log) {
    pq_file_close(log->filling);
    log->filling = NULL;
    log->filled = 0;
}

void pq_log_drop_filling(struct pq_log *log) {
    char path[PQ_LOG_PATH_BYTES];
    if (log->filling == NULL) return;
    pq_log_path(log, next_spare_number(log), path);
    end_filling(log);
    pq_store_unlink(log->options.store, path, NULL);
}

pqdb_code pq_log_offer_spare(struct pq_log *log, pqdb_error *err) {
    pthread_mutex_lock(&log->mutex);
    const bool has_spare = log->spare_count > 0;
    pthread_mutex_unlock(&log->mutex);
    if (has_spare) return PQDB_OK;
    if (log->filling == NULL) PQ_TRY(begin_spare(log, &log->filling, err));
    end_filling(log);
    add_spare(log);
    return PQDB_OK;
}

bool pq_log_is_short(struct pq_log *log) {
    pthread_mutex_lock(&log->mutex);
    const bool is_short = log->spare_count == 0 && log->end.offset > log->room / 2 &&
                          log->frame_average <= PQ_LOG_SMALL_FRAME_BYTES;
    pthread_mutex_unlock(&log->mutex);
    return is_short;
}

/// One step of zeros, durable.
static pqdb_code fill(struct pq_log *log, uint64_t target, pqdb_error *err) {
    static const char zeros[16 << 10];
    struct pq_text pieces[PQ_PACE_STEP_BYTES / sizeof zeros];
    uint64_t left = target - log->filled, bytes = 0;
    size_t count = 0;
    for (; left > 0 && count < sizeof pieces / sizeof *pieces; count++) {
        const size_t length = left < sizeof zeros ? (size_t)left : sizeof zeros;
        pieces[count] = (struct pq_text){zeros, length};
        bytes += length;
        left -= length;
    }
    if (log->options.pace != NULL) pq_pace_spend(log->options.pace, bytes);
    PQ_TRY(pq_file_write(log->filling, log->filled, pieces, count, err));
    PQ_TRY(pq_file_sync(log->filling, err));
    log->filled += bytes;
    return PQDB_OK;
}

static pqdb_code fill_spare(struct pq_log *log, pqdb_error *err) {
    pthread_mutex_lock(&log->mutex);
    const uint64_t target = fill_target(log, log->room);
    pthread_mutex_unlock(&log->mutex);
    if (log->filling == NULL) PQ_TRY(begin_spare(log, &log->filling, err));
    pqdb_code code = PQDB_OK;
    if (log->filled < target) code = fill(log, target, err);
    if (code != PQDB_OK) {
        pq_log_drop_filling(log);
    } else if (log->filled >= target) {
        end_filling(log);
        add_spare(log);
    }
    return code;
}

pqdb_code pq_log_prepare(struct pq_log *log, pqdb_error *err) {
    pqdb_code code = PQDB_OK;
    pthread_mutex_lock(&log->keeper_mutex);
    if (pq_log_is_short(log)) code = fill_spare(log, err);
    pthread_mutex_unlock(&log->keeper_mutex);
    return code;
}

/// One segment below what is needed: it becomes a spare, or goes for good.
static pqdb_code retire(struct pq_log *log, const struct pq_log_segment *segment,
                        pqdb_error *err) {
    char path[PQ_LOG_PATH_BYTES], spare[PQ_LOG_PATH_BYTES];
    struct pq_store *store = log->options.store;
    pq_log_path(log, segment->number, path);
    pthread_mutex_lock(&log->mutex);
    const bool has_room = log->spare_count < PQ_LOG_SPARES_MAX;
    pthread_mutex_unlock(&log->mutex);
    // A segment that was cut short at a close is not worth keeping.
    if (!has_room || segment->end < log->options.segment_bytes / 2) {
        return log->options.pace == NULL ? pq_store_unlink(store, path, err)
                                         : pq_pace_bury(log->options.pace, path, err);
    }
    pq_log_drop_filling(log);
    pq_log_path(log, next_spare_number(log), spare);
    PQ_TRY(pq_store_rename(store, path, spare, err));
    PQ_TRY(pq_store_sync_directory(store, log->directory, err));
    add_spare(log);
    return PQDB_OK;
}

/// Out of the list, so that no reader begins there; false when nothing is left to trim.
static bool take_oldest(struct pq_log *log, const struct pq_log_position *position,
                        int64_t keep_us, struct pq_log_segment *segment) {
    pthread_mutex_lock(&log->mutex);
    const bool has = log->segment_count > 1 && log->segments[0].number < position->segment &&
                     log->segments[1].begun_us < keep_us;
    if (has) {
        *segment = log->segments[0];
        log->segment_count--;
        memmove(log->segments, log->segments + 1, log->segment_count * sizeof *log->segments);
    }
    pthread_mutex_unlock(&log->mutex);
    return has;
}

pqdb_code pq_log_trim_before(struct pq_log *log, const struct pq_log_position *position,
                             int64_t keep_us, pqdb_error *err) {
    pqdb_code code = PQDB_OK;
    struct pq_log_segment segment;
    if (log->options.read_only) return PQDB_OK;
    pthread_mutex_lock(&log->keeper_mutex);
    while (code == PQDB_OK && take_oldest(log, position, keep_us, &segment)) {
        code = retire(log, &segment, err);
    }
    pthread_mutex_unlock(&log->keeper_mutex);
    return code;
}

pqdb_code pq_log_trim(struct pq_log *log, const struct pq_log_position *position,
                      pqdb_error *err) {
    return pq_log_trim_before(log, position, INT64_MAX, err);
}

uint64_t pq_log_version_near(struct pq_log *log, int64_t time_us) {
    pthread_mutex_lock(&log->mutex);
    uint64_t version = log->segment_count > 0 ? log->segments[0].first_version : log->end.version;
    for (size_t i = 0; i < log->segment_count; i++) {
        if (log->segments[i].begun_us < time_us) version = log->segments[i].first_version;
    }
    pthread_mutex_unlock(&log->mutex);
    return version;
}

uint64_t pq_log_first_version(struct pq_log *log) {
    pthread_mutex_lock(&log->mutex);
    const uint64_t version =
        log->segment_count > 0 ? log->segments[0].first_version : log->end.version;
    pthread_mutex_unlock(&log->mutex);
    return version;
}

uint64_t pq_log_bytes_since(struct pq_log *log, const struct pq_log_position *position) {
    uint64_t bytes = 0;
    pthread_mutex_lock(&log->mutex);
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct pq_log_segment *segment = &log->segments[i];
        const bool is_last = segment->number == log->end.segment;
        const uint64_t end = is_last ? log->end.offset : segment->end;
        const uint64_t start = segment->number == position->segment ? position->offset : 0;
        if (segment->number >= position->segment && end > start) bytes += end - start;
    }
    pthread_mutex_unlock(&log->mutex);
    return bytes;
}
