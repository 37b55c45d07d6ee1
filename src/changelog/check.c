/// Is every segment and frame of the log whole?
#include "base/fail.h"
#include "changelog/log_internal.h"

static pqdb_code walk(struct pq_log *log, const struct pq_log_position *from,
                      struct pq_log_checked *checked, pqdb_error *err) {
    struct pq_log_scanner scanner;
    struct pq_log_frame frame;
    bool found = true;
    pqdb_code code = pq_log_scanner_open(log, from, &scanner, err);
    while (code == PQDB_OK && found) {
        code = pq_log_scanner_next(&scanner, &frame, &found, err);
        if (code != PQDB_OK || !found) continue;
        checked->frames++;
        checked->commits += frame.commits;
        checked->bytes += frame.length;
    }
    checked->end = pq_log_scanner_position(&scanner);
    pq_log_scanner_close(&scanner);
    return code;
}

static struct pq_log_position start_of(const struct pq_log_segment *segment) {
    return (struct pq_log_position){.segment = segment->number, .offset = PQ_SEGMENT_HEADER_BYTES,
                                    .frame = segment->first_frame,
                                    .version = segment->first_version,
                                    .check = segment->previous_check};
}

static bool is_before(const struct pq_log_position *a, const struct pq_log_position *b) {
    return a->segment != b->segment ? a->segment < b->segment : a->offset < b->offset;
}

pqdb_code pq_log_check(struct pq_log *log, struct pq_log_checked *checked, pqdb_error *err) {
    const struct pq_log_position *needed = &log->options.from;
    *checked = (struct pq_log_checked){.segments = log->segment_count};
    if (log->segment_count == 0) return walk(log, needed, checked, err);
    const struct pq_log_position first = start_of(&log->segments[0]);
    // Below `first` there is nothing any more: a place before it is told by the walk from it.
    const bool has_older = needed->segment != 0 && is_before(&first, needed);
    const struct pq_log_position from = has_older ? first : *needed;
    pqdb_code code = walk(log, &from, checked, err);
    if (code == PQDB_CORRUPT && has_older && is_before(&checked->end, needed)) {
        checked->older_is_damaged = true;
        checked->older_end = checked->end;
        if (err != NULL) checked->older_damage = *err;
        code = walk(log, needed, checked, err);
    }
    if (code == PQDB_OK) code = pq_log_check_spares(log, checked->end.frame, err);
    return code;
}

pqdb_code pq_log_repair_header(const struct pq_log_repair *repair, pqdb_error *err) {
    struct pq_file *file;
    struct pq_bytes frame;
    bool is_frame = false;
    pqdb_code code;
    pq_bytes_init(&frame, repair->alloc);
    PQ_TRY(pq_file_open(repair->store, repair->path, PQ_OPEN_WRITE, &file, err));
    PQ_GO(pq_log_read_frame(file, PQ_SEGMENT_HEADER_BYTES, &frame, &is_frame, err));
    if (!is_frame) {
        code = pq_store_fail_at(err, PQDB_CORRUPT, repair->path, 0,
                                "neither header nor first frame of %s are whole", repair->path);
        goto done;
    }
    const struct pq_log_segment segment = {.number = pq_log_number_of(repair->path),
                                           .nonce = pq_load_u64(frame.data + 24),
                                           .first_frame = pq_load_u64(frame.data + 16),
                                           .first_version = pq_load_u64(frame.data + 40),
                                           .previous_check = pq_load_u64(frame.data + 32)};
    uint8_t header[PQ_SEGMENT_HEADER_BYTES];
    pq_log_header_encode(&segment, (int64_t)pq_load_u64(frame.data + 48), header);
    const struct pq_text piece = {(const char *)header, sizeof header};
    PQ_GO(pq_file_write(file, 0, &piece, 1, err));
    PQ_GO(pq_file_sync(file, err));
done:
    pq_file_close(file);
    pq_bytes_deinit(&frame);
    return code;
}
