/// changelog/log.h: the change log, the only thing a commit writes.
///
/// One frame per fdatasync; frame n+1 is written only after n is durable. So a bad last frame is a
/// torn tail and is cut, a bad frame with a valid one behind it is damage (CORRUPT); `close` ends
/// with an empty frame, so that damage of the last commit shows too. Each frame names its number,
/// its segment's random nonce and the check of the frame before: nothing stale can come back.
/// docs/format.md has the bytes of frames and segments.
///
/// Threads: append, position and close belong to the leader; prepare, trim and readers may run on
/// other threads meanwhile.
#ifndef PQ_CHANGELOG_LOG_H
#define PQ_CHANGELOG_LOG_H

#include "base/env.h"
#include "changelog/part.h"
#include "store/pace.h"
#include "store/store.h"
#include "variant/variant.h"

enum {
    PQ_LOG_FORMAT = 1,  // newer ones are refused
    PQ_LOG_TOKEN_BYTES_MAX = 255,
    PQ_LOG_ROWS_PARTS_MAX = 4096,       // collections in one commit
    PQ_LOG_PARTS_MAX = 2 * PQ_LOG_ROWS_PARTS_MAX,  // each with new names before it
    PQ_LOG_FRAME_BYTES_MAX = 16 << 20,  // a larger commit spans frames
    PQ_LOG_COMMIT_BYTES_MAX = 1 << 30,
    PQ_LOG_SEGMENT_BYTES = 64 << 20,
};

/// What a commit is; numbers are stored. ATTACH is reserved: data files by name instead of rows.
enum pq_log_kind {
    PQ_LOG_COMMIT = 1,
    PQ_LOG_REFRESH = 2,
    PQ_LOG_SWAP = 3,
    PQ_LOG_SCHEMA = 4,
    PQ_LOG_RETENTION = 5,
    PQ_LOG_ATTACH = 6,
};

/// A place between two frames. Zero is the beginning of the log. A root stores it.
struct pq_log_position {
    uint64_t segment;
    uint64_t offset;
    uint64_t frame;    // number of the next frame
    uint64_t version;  // of the next commit; the first one of a database is 1
    uint64_t check;    // of the frame before
};

struct pq_log;

struct pq_log_options {
    struct pq_store *store;
    const char *directory;
    const struct pq_env *env;
    const struct pq_alloc *alloc;  // thread-safe
    struct pq_pace *pace;          // may be NULL
    struct pq_log_position from;   // where replay begins
    int64_t from_time_us;          // of the commit before it: later ones have no earlier time
    uint64_t segment_bytes;        // 0: PQ_LOG_SEGMENT_BYTES; tests take small ones
    uint64_t until_version;        // read only: no commit above; 0: all
    bool read_only;                // writes nothing, ends at the last whole frame
};

/// A part made by pq_log_encode_*.
struct pq_log_part {
    struct pq_text bytes;
    uint64_t first_seq;  // of ROWS; 0 leaves what was encoded
};

struct pq_log_commit {
    enum pq_log_kind kind;
    struct pq_text token;  // of idempotency, may be empty
    const struct pq_log_part *parts;
    size_t part_count;
};

/// A commit as it is read. Everything in it is valid until the next one is read.
struct pq_log_record {
    uint64_t version;
    int64_t time_us;  // never goes back from one version to the next
    enum pq_log_kind kind;
    struct pq_text token;
    const struct pq_log_rows *rows;
    size_t rows_count;
    struct pq_text payload;
    struct pq_log_position next;  // the first frame behind this commit's, for a root at `version`
    bool last_in_frame;           // only then `next` is exactly behind this version
};

struct pq_log_visitor {
    struct pq_log_schemas schemas;
    pqdb_code (*visit)(void *ctx, const struct pq_log_record *record, pqdb_error *err);
    void *ctx;
};

/// Find the segments; a new log is begun where none is. Nothing is read but headers.
/// Errors: UNSUPPORTED (written by a newer version: named), CORRUPT, NOT_FOUND (the log no longer
/// reaches back to `from`, or read_only and no log), IO, NO_MEMORY.
pqdb_code pq_log_open(const struct pq_log_options *options, struct pq_log **log, pqdb_error *err);

/// Hand every commit from `options->from` on to `visit`, in order, then make the log ready for
/// appends: the torn tail is left behind and the last frame is written again and synced, because
/// after a failed fsync memory may show what the disk lacks. Must be called once, before append.
/// New variant names are added to schemas.names before the commit that uses them.
/// Errors: CORRUPT with file and offset; those of `visit`; IO. Then only close is allowed.
pqdb_code pq_log_replay(struct pq_log *log, const struct pq_log_visitor *visitor,
                        pqdb_error *err);

/// From now on the names that `names` gains are logged with the frame that uses them first. Those
/// it has now count as logged. `names` is kept (ref) until close. Calling again replaces it.
pqdb_code pq_log_use_names(struct pq_log *log, uint32_t collection,
                           const struct pq_variant_names *names, pqdb_error *err);

/// The commits take the next versions; all are durable afterwards. One frame, one write and one
/// sync, unless they are larger than PQ_LOG_FRAME_BYTES_MAX.
///
/// Cost    a copy, a checksum, one pwrite, one fdatasync; no allocation in the steady state
/// Errors  INVALID, LIMIT: nothing written. IO (disk full …): not committed, may be tried again.
///         After a failed sync, or a failure in the middle of a spanning commit, nobody knows
///         whether the commits are there: from then on the log refuses everything; reopen it.
pqdb_code pq_log_append(struct pq_log *log, const struct pq_log_commit *commits, size_t count,
                        pqdb_error *err);

/// Behind the last durable frame; .version is the next commit's.
struct pq_log_position pq_log_position(const struct pq_log *log);

/// The time of the last commit, never going back.
int64_t pq_log_time_us(const struct pq_log *log);

/// Should a segment be made ready? Then call prepare in the background until it no longer should:
/// a call writes a paced step of zeros. Without that the log works as well, but a sync of a small
/// frame costs more: it writes what the file system knows of the file, too.
bool pq_log_is_short(struct pq_log *log);
pqdb_code pq_log_prepare(struct pq_log *log, pqdb_error *err);

/// Nothing below `position` is needed any more: whole segments below it are used again (or buried
/// when there is a spare one already). Readers that are behind find NOT_FOUND.
pqdb_code pq_log_trim(struct pq_log *log, const struct pq_log_position *position, pqdb_error *err);

/// The same for segments in which every commit is older than `keep_us`.
pqdb_code pq_log_trim_before(struct pq_log *log, const struct pq_log_position *position,
                             int64_t keep_us, pqdb_error *err);

/// Where the segment begins in which the version is, or the first one.
struct pq_log_position pq_log_segment_of(struct pq_log *log, uint64_t version);
/// A version that can be read, none behind which is older than the time but for those of a segment.
uint64_t pq_log_version_near(struct pq_log *log, int64_t time_us);

/// Bytes of frames from `position` to the end, segment headers included.
uint64_t pq_log_bytes_since(struct pq_log *log, const struct pq_log_position *position);

/// The oldest version that can still be read.
uint64_t pq_log_first_version(struct pq_log *log);

/// Commits from `from_version` on, one at a time, up to what is durable at each call.
struct pq_log_reader;
pqdb_code pq_log_reader_open(struct pq_log *log, uint64_t from_version,
                             const struct pq_log_schemas *schemas, struct pq_log_reader **reader,
                             pqdb_error *err);
/// `*record` is NULL when there is nothing more for now; more may come later.
pqdb_code pq_log_reader_next(struct pq_log_reader *reader, const struct pq_log_record **record,
                             pqdb_error *err);
void pq_log_reader_close(struct pq_log_reader *reader);

/// Read every frame of every segment of a log that is open and was not replayed. `options.from` is
/// what is needed: damage before it only says so in `checked`, and the walk goes on from there.
/// Errors: PQDB_CORRUPT with file and offset, and `checked` tells how far it was whole; as
/// pq_log_replay.
struct pq_log_checked {
    size_t segments;
    uint64_t frames, commits, bytes;
    struct pq_log_position end;  // of what is whole
    bool older_is_damaged;
    struct pq_log_position older_end;
    pqdb_error older_damage;
};
pqdb_code pq_log_check(struct pq_log *log, struct pq_log_checked *checked, pqdb_error *err);

/// Write a segment's header anew from its first frame. Nobody has the log open.
/// Errors: PQDB_CORRUPT when that frame is not whole, PQDB_IO, PQDB_NO_MEMORY.
struct pq_log_repair {
    struct pq_store *store;
    const char *path;
    const struct pq_alloc *alloc;
};
pqdb_code pq_log_repair_header(const struct pq_log_repair *repair, pqdb_error *err);

/// End with an empty frame (unless read_only, failed or never replayed) and free everything,
/// also when that fails. NULL is allowed. No reader may be open.
pqdb_code pq_log_close(struct pq_log *log, pqdb_error *err);
/// Did it end with a close when it was replayed? Any thread.
bool pq_log_was_closed(const struct pq_log *log);

#endif
