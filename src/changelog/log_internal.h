/// changelog/log_internal.h: what the files of the log share.
///
/// A log is a row of segments with rising numbers, "<directory>/<number>.log". Behind the last one
/// in use stand up to PQ_LOG_SPARES_MAX spares: files whose header names no or another number.
/// Invariant: a spare's name is durable before a frame is written into it.
///
/// Room is what a file has already been written: a sync of a small frame within it writes that
/// frame and nothing of the file system. Zeros are written ahead for it, in the background, into
/// the next spare; never into the segment in use. A frame beyond the room makes the file grow.
#ifndef PQ_CHANGELOG_LOG_INTERNAL_H
#define PQ_CHANGELOG_LOG_INTERNAL_H

#include <pthread.h>

#include "changelog/format_internal.h"
#include "changelog/log.h"

enum {
    PQ_LOG_SPARES_MAX = 2,
    PQ_LOG_FILL_BYTES_MIN = 1 << 20,     // the first spare of a log; the next are twice as large
    PQ_LOG_SMALL_FRAME_BYTES = 64 << 10, // up to here a frame gains from room
};

/// A segment in use, as its header says.
struct pq_log_segment {
    uint64_t number;
    uint64_t nonce;
    uint64_t first_frame;
    uint64_t first_version;
    uint64_t previous_check;
    uint64_t end;  // of its frames if known, else the file's size
    int64_t begun_us;
};

/// A frame in memory, checked.
struct pq_log_frame {
    const uint8_t *bytes;  // 8-aligned, view into the scanner
    uint32_t length;
    uint8_t flags;
    uint32_t commits;
    uint64_t number;
    uint64_t previous_check;
    uint64_t first_version;
    int64_t time_us;
    uint64_t check;
    uint64_t offset;  // in its segment
};

/// The field names of a collection that the log has written.
struct pq_log_names {
    uint32_t collection;
    uint32_t logged;
    uint32_t pending;  // in the frame being written
    struct pq_variant_names *names;  // a reference
};

enum pq_log_state {
    PQ_LOG_OPENED,  // not replayed yet
    PQ_LOG_READY,
    PQ_LOG_FAILED,  // nobody knows what the disk has: refuses everything
};

enum { PQ_LOG_MARKS = 256, PQ_LOG_MARK_BYTES = 256 << 10 };

struct pq_log {
    struct pq_log_options options;
    char *directory;  // owned

    pthread_mutex_t keeper_mutex;  // held during prepare and trim, which take their time
    struct pq_file *filling;       // the next spare while zeros are written; NULL: none
    uint64_t filled;               // bytes of it that are durable zeros
    pthread_mutex_t mutex;         // what follows; never held during a write or sync
    struct pq_log_segment *segments;  // owned; numbers are consecutive
    size_t segment_count;
    size_t segment_capacity;
    uint64_t last_number;  // of the last segment in use; spares come behind it
    size_t spare_count;
    struct pq_log_position end;  // behind the last durable frame
    uint64_t room;               // of the last segment
    uint64_t frame_average;      // bytes of the last frames; large until there were some
    struct pq_log_position marks[PQ_LOG_MARKS];  // places behind commits where readers may begin:
    size_t mark_count;                           // the last ones of so many

    // The leader's own.
    enum pq_log_state state;
    struct pq_file *file;  // the last segment; NULL: the next frame begins one
    uint64_t nonce;        // of that segment
    bool ends_closed;      // the last frame is that of a close
    bool was_closed;       // likewise, when it was replayed
    int64_t time_us;
    struct pq_bytes frame;    // room for a segment header, then the frame being made
    struct pq_bytes scratch;  // names and patched part headers of a commit
    struct pq_text *pieces;   // owned: a commit as a gather list
    size_t piece_capacity;
    struct pq_log_names *names;  // owned
    size_t name_count;
    size_t name_capacity;
};

/// Segments: segment.c.
#define PQ_LOG_PATH_BYTES (PQ_STORE_PATH_MAX + 1)
void pq_log_path(const struct pq_log *log, uint64_t number, char path[static PQ_LOG_PATH_BYTES]);
/// The number in a segment's path, 0 when it is none.
uint64_t pq_log_number_of(const char *path);
void pq_log_header_encode(const struct pq_log_segment *segment, int64_t time_us,
                          uint8_t header[static PQ_SEGMENT_HEADER_BYTES]);
/// Fill segments, last_number and spare_count from the directory. Errors as pq_log_open.
pqdb_code pq_log_find_segments(struct pq_log *log, pqdb_error *err);
/// Remember a segment that was begun; mutex held.
pqdb_code pq_log_reserve_segment(struct pq_log *log, pqdb_error *err);
/// Have a spare: the one being filled as far as it is, else one without room. The caller holds
/// keeper_mutex.
pqdb_code pq_log_offer_spare(struct pq_log *log, pqdb_error *err);
/// The spare being filled goes. The caller holds keeper_mutex, or is alone.
void pq_log_drop_filling(struct pq_log *log);
/// A spare whose bad header hides frames that were acknowledged? CORRUPT then.
pqdb_code pq_log_check_spares(struct pq_log *log, uint64_t next_frame, pqdb_error *err);

/// Frames: append.c.
/// Write what log->frame holds as the next frame, sync it and move the end.
pqdb_code pq_log_flush(struct pq_log *log, uint8_t flags, uint32_t commits, uint64_t versions,
                       pqdb_error *err);
pqdb_code pq_log_begin_frame(struct pq_log *log, pqdb_error *err);
/// Write `frame` again: in its place, or as the first frame of a new segment.
pqdb_code pq_log_repeat_frame(struct pq_log *log, const struct pq_log_frame *frame, bool in_place,
                              pqdb_error *err);

/// Scanning: scan.c. A cursor over the frames of all segments.
struct pq_log_scanner {
    struct pq_log *log;
    struct pq_file *file;           // of `segment`, NULL before the first
    struct pq_log_segment segment;  // the one being read
    uint64_t offset;                // of the next frame
    uint64_t next_frame;
    uint64_t next_version;
    uint64_t check;         // of the last frame
    uint64_t check_before;  // of the one before it
    bool follows;           // stop at log->end; else at the last whole frame
    bool at_tail;           // the last call found the end of the log
    struct pq_bytes buffer;  // file bytes from buffer_offset on
    uint64_t buffer_offset;
};

/// At `from`, or at the beginning when it is zero. Errors: NOT_FOUND.
pqdb_code pq_log_scanner_open(struct pq_log *log, const struct pq_log_position *from,
                              struct pq_log_scanner *scanner, pqdb_error *err);
void pq_log_scanner_close(struct pq_log_scanner *scanner);
/// The next frame that was not seen yet; `*found` false at the end of the log. The view is valid
/// until the next call. Errors: CORRUPT, IO, NO_MEMORY, NOT_FOUND (trimmed away meanwhile).
pqdb_code pq_log_scanner_next(struct pq_log_scanner *scanner, struct pq_log_frame *frame,
                              bool *found, pqdb_error *err);
/// Is a whole frame at `at`? Then its bytes are in `room`.
pqdb_code pq_log_read_frame(struct pq_file *file, uint64_t at, struct pq_bytes *room,
                            bool *is_frame, pqdb_error *err);
struct pq_log_position pq_log_scanner_position(const struct pq_log_scanner *scanner);
/// Is there a whole frame numbered `least` or more in [from, to) of a file?
struct pq_log_search {
    struct pq_file *file;
    const struct pq_alloc *alloc;
    uint64_t from;
    uint64_t to;
    uint64_t nonce;  // 0: any
    uint64_t least;
};
/// Where the first one is, or 0.
pqdb_code pq_log_find_frame(const struct pq_log_search *search, uint64_t *at, pqdb_error *err);

/// Records: record.c. Frames as commits; a commit that spans frames is joined.
struct pq_log_records {
    struct pq_log_scanner scanner;
    struct pq_arena arena;  // dies with the record
    struct pq_bytes joined; // pieces of a spanning commit
    bool is_joining;
    struct pq_log_frame frame;
    struct pq_log_frame last;  // the last whole one, whose bytes are gone; length 0: none
    uint64_t last_segment;     // which holds it
    bool has_frame;
    uint32_t commit;       // of the frame, next to be given
    uint32_t commit_offset;
    struct pq_log_record record;
};

void pq_log_records_init(struct pq_log_records *records, struct pq_log *log);
void pq_log_records_deinit(struct pq_log_records *records);
/// The next commit with at least `least_version`; NULL at the end of the log.
pqdb_code pq_log_records_next(struct pq_log_records *records, uint64_t least_version,
                              const struct pq_log_schemas *schemas,
                              const struct pq_log_record **record, pqdb_error *err);

#endif
