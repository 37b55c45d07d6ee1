/// The log as a whole: open, replay, readers, close.
#include "changelog/log.h"

#include <stdio.h>

#include "base/check.h"
#include "base/fail.h"
#include "changelog/log_internal.h"

static void destroy(struct pq_log *log) {
    const struct pq_alloc *alloc = log->options.alloc;
    pq_file_close(log->file);
    pq_file_close(log->filling);
    for (size_t i = 0; i < log->name_count; i++) pq_variant_names_unref(log->names[i].names);
    pq_free(alloc, log->names, log->name_capacity, sizeof *log->names);
    pq_free(alloc, log->pieces, log->piece_capacity, sizeof *log->pieces);
    pq_free(alloc, log->segments, log->segment_capacity, sizeof *log->segments);
    pq_bytes_deinit(&log->frame);
    pq_bytes_deinit(&log->scratch);
    if (log->directory != NULL) pq_free(alloc, log->directory, strlen(log->directory) + 1, 1);
    pthread_mutex_destroy(&log->keeper_mutex);
    pthread_mutex_destroy(&log->mutex);
    pq_free(alloc, log, 1, sizeof *log);
}

pqdb_code pq_log_open(const struct pq_log_options *options, struct pq_log **log,
                      pqdb_error *err) {
    const size_t bytes = strlen(options->directory) + 1;
    struct pq_log *made = pq_resize(options->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "opening the log");
    *made = (struct pq_log){.options = *options, .time_us = options->from_time_us};
    pthread_mutex_init(&made->keeper_mutex, NULL);
    pthread_mutex_init(&made->mutex, NULL);
    pq_bytes_init(&made->frame, options->alloc);
    pq_bytes_init(&made->scratch, options->alloc);
    if (options->segment_bytes == 0) made->options.segment_bytes = PQ_LOG_SEGMENT_BYTES;
    made->frame_average = 2 * PQ_LOG_SMALL_FRAME_BYTES;
    pqdb_code code = PQDB_OK;
    made->directory = pq_resize(options->alloc, NULL, 0, bytes, 1);
    if (made->directory == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "opening the log");
        goto done;
    }
    memcpy(made->directory, options->directory, bytes);
    made->options.directory = made->directory;
    PQ_GO(pq_log_find_segments(made, err));
    *log = made;
done:
    if (code != PQDB_OK) destroy(made);
    return code;
}

pqdb_code pq_log_use_names(struct pq_log *log, uint32_t collection,
                           const struct pq_variant_names *names, pqdb_error *err) {
    struct pq_log_names *at = log->names;
    while (at < log->names + log->name_count && at->collection != collection) at++;
    if (at == log->names + log->name_count) {
        if (log->name_count == log->name_capacity) {
            const size_t grown = log->name_capacity == 0 ? 16 : log->name_capacity * 2;
            void *list = pq_resize(log->options.alloc, log->names, log->name_capacity, grown,
                                   sizeof *log->names);
            if (list == NULL) return pq_fail(err, PQDB_NO_MEMORY, "names of a collection");
            log->names = list;
            log->name_capacity = grown;
        }
        at = &log->names[log->name_count++];
        *at = (struct pq_log_names){.collection = collection};
    }
    struct pq_variant_names *shared = pq_variant_names_ref(names);
    pq_variant_names_unref(at->names);
    at->names = shared;
    at->logged = at->pending = pq_variant_names_count(names);
    return PQDB_OK;
}

struct pq_log_position pq_log_position(const struct pq_log *log) { return log->end; }

int64_t pq_log_time_us(const struct pq_log *log) { return log->time_us; }

/// Every commit to the visitor, until the log's end. Readers of its own see what came before.
static pqdb_code visit_all(struct pq_log *log, struct pq_log_records *records,
                           const struct pq_log_visitor *visitor, pqdb_error *err) {
    const uint64_t until = log->options.until_version;
    for (;;) {
        const struct pq_log_record *record;
        PQ_TRY(pq_log_records_next(records, 0, &visitor->schemas, &record, err));
        if (record == NULL || (until != 0 && record->version > until)) return PQDB_OK;
        log->time_us = record->time_us;
        pthread_mutex_lock(&log->mutex);
        log->end = pq_log_scanner_position(&records->scanner);
        pthread_mutex_unlock(&log->mutex);
        PQ_TRY(visitor->visit(visitor->ctx, record, err));
    }
}

/// The last frame again, read anew: the scanner holds other bytes by now. From `records` only the
/// place is taken. What is behind it goes first: a full disk needs that room for the frame.
static pqdb_code secure_tail(struct pq_log *log, struct pq_log_records *records,
                             pqdb_error *err) {
    struct pq_log_scanner *scanner = &records->scanner;
    struct pq_log_frame *frame = &records->last;
    char path[PQ_LOG_PATH_BYTES];
    pqdb_code code = PQDB_OK;
    const struct pq_log_segment *last = &log->segments[log->segment_count - 1];
    uint64_t bytes = 0;
    struct pq_bytes room;
    pq_bytes_init(&room, log->options.alloc);
    struct pq_file *file = NULL;
    pq_log_path(log, records->last_segment, path);
    PQ_GO(pq_file_open(log->options.store, path, PQ_OPEN_WRITE, &file, err));
    PQ_GO(pq_bytes_reserve(&room, frame->length, err));
    PQ_GO(pq_file_read_all(file, frame->offset, room.data, frame->length, err));
    PQ_GO(pq_file_size(file, &bytes, err));
    frame->bytes = room.data;
    // After a clean close nothing stands behind the last frame, so that its segment can go on.
    const bool in_place = (frame->flags & PQ_FRAME_CLOSED) != 0 &&
                          records->last_segment == last->number && bytes == scanner->offset;
    if (in_place) {
        log->file = file;
        log->nonce = last->nonce;
        file = NULL;
    }
    if (records->last_segment == log->end.segment && bytes > log->end.offset) {
        PQ_GO(pq_file_truncate(file, log->end.offset, err));
    }
    PQ_GO(pq_log_repeat_frame(log, frame, in_place, err));
    log->ends_closed = log->was_closed = (frame->flags & PQ_FRAME_CLOSED) != 0;
done:
    pq_file_close(file);
    pq_bytes_deinit(&room);
    return code;
}

pqdb_code pq_log_replay(struct pq_log *log, const struct pq_log_visitor *visitor,
                        pqdb_error *err) {
    pq_assert(log->state == PQ_LOG_OPENED);
    struct pq_log_records records;
    pqdb_code code;
    log->state = PQ_LOG_FAILED;
    pq_log_records_init(&records, log);
    PQ_GO(pq_log_scanner_open(log, &log->options.from, &records.scanner, err));
    PQ_GO(visit_all(log, &records, visitor, err));
    log->end = pq_log_scanner_position(&records.scanner);
    PQ_GO(pq_log_check_spares(log, log->end.frame, err));
    if (records.last.length > 0 && !log->options.read_only) {
        PQ_GO(secure_tail(log, &records, err));
    }
    log->state = PQ_LOG_READY;
done:
    pq_log_records_deinit(&records);
    return code;
}

struct pq_log_reader {
    struct pq_log_records records;
    struct pq_log_schemas schemas;
    uint64_t least_version;
};

/// `mutex` is held. Of the segment in which to look for a version: the last that begins below it,
/// because one that begins with it may begin in its middle.
static struct pq_log_position segment_of(const struct pq_log *log, uint64_t version) {
    struct pq_log_position place = {0};
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct pq_log_segment *segment = &log->segments[i];
        if (i > 0 && segment->first_version >= version) break;
        place = (struct pq_log_position){.segment = segment->number,
                                         .offset = PQ_SEGMENT_HEADER_BYTES,
                                         .frame = segment->first_frame,
                                         .version = segment->first_version,
                                         .check = segment->previous_check};
    }
    return place;
}

/// Where to look for a version: there, or behind the last mark below it.
static struct pq_log_position place_of(struct pq_log *log, uint64_t version, bool *found) {
    pthread_mutex_lock(&log->mutex);
    *found = log->segment_count == 0 || log->segments[0].first_version <= version;
    struct pq_log_position place = segment_of(log, version);
    for (size_t i = 0; i < PQ_LOG_MARKS && i < log->mark_count; i++) {
        const struct pq_log_position *mark = &log->marks[i];
        const bool is_nearer = mark->segment == place.segment && mark->offset > place.offset;
        if (is_nearer && mark->version <= version) place = *mark;
    }
    pthread_mutex_unlock(&log->mutex);
    return place;
}

struct pq_log_position pq_log_segment_of(struct pq_log *log, uint64_t version) {
    pthread_mutex_lock(&log->mutex);
    const struct pq_log_position place = segment_of(log, version);
    pthread_mutex_unlock(&log->mutex);
    return place;
}

pqdb_code pq_log_reader_open(struct pq_log *log, uint64_t from_version,
                             const struct pq_log_schemas *schemas, struct pq_log_reader **reader,
                             pqdb_error *err) {
    bool found;
    const struct pq_log_position place = place_of(log, from_version, &found);
    if (!found) {
        return pq_store_fail(err, PQDB_NOT_FOUND, log->directory,
                             "the log no longer reaches back to version %llu, only to %llu",
                             (unsigned long long)from_version,
                             (unsigned long long)pq_log_first_version(log));
    }
    struct pq_log_reader *made = pq_resize(log->options.alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "reading the log");
    *made = (struct pq_log_reader){.least_version = from_version};
    if (schemas != NULL) made->schemas = *schemas;
    pq_log_records_init(&made->records, log);
    const pqdb_code code = pq_log_scanner_open(log, &place, &made->records.scanner, err);
    made->records.scanner.follows = true;
    if (code != PQDB_OK) {
        pq_log_reader_close(made);
        return code;
    }
    *reader = made;
    return PQDB_OK;
}

pqdb_code pq_log_reader_next(struct pq_log_reader *reader, const struct pq_log_record **record,
                             pqdb_error *err) {
    const struct pq_log_schemas *schemas = reader->schemas.type == NULL ? NULL : &reader->schemas;
    return pq_log_records_next(&reader->records, reader->least_version, schemas, record, err);
}

void pq_log_reader_close(struct pq_log_reader *reader) {
    if (reader == NULL) return;
    const struct pq_alloc *alloc = reader->records.scanner.log->options.alloc;
    pq_log_records_deinit(&reader->records);
    pq_free(alloc, reader, 1, sizeof *reader);
}

/// Give back what holds no frames: the unused rest of the segment, and the spares.
static void release_room(struct pq_log *log) {
    char path[PQ_LOG_PATH_BYTES];
    if (log->file != NULL && log->room > log->end.offset) {
        pq_file_truncate(log->file, log->end.offset, NULL);
    }
    pq_log_drop_filling(log);
    for (; log->spare_count > 0; log->spare_count--) {
        pq_log_path(log, log->last_number + log->spare_count, path);
        pq_store_unlink(log->options.store, path, NULL);
    }
}

bool pq_log_was_closed(const struct pq_log *log) { return log->was_closed; }

pqdb_code pq_log_close(struct pq_log *log, pqdb_error *err) {
    if (log == NULL) return PQDB_OK;
    pqdb_code code = PQDB_OK;
    if (log->state == PQ_LOG_READY && !log->options.read_only) {
        if (log->file != NULL && !log->ends_closed) {
            code = pq_log_begin_frame(log, err);
            if (code == PQDB_OK) code = pq_log_flush(log, PQ_FRAME_CLOSED, 0, 0, err);
        }
        if (code == PQDB_OK) release_room(log);
    }
    destroy(log);
    return code;
}
