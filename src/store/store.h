/// store/store.h: the one seam between the database and its files.
///
/// A store is a tree of files under relative paths ("log/000000000001.log", parts divided by '/',
/// no "..", at most PQ_STORE_PATH_MAX bytes; an absolute path is taken as it is by the file system
/// store). Implementations: store/fs.c, store/memory.c; tests/support/fault_store.c wraps one,
/// fails calls on demand and simulates the loss of power. To add one: copy memory.c.
///
/// What a crash leaves: bytes are safe after pq_file_sync; a name (new, renamed, linked, removed)
/// is safe after pq_store_sync_directory of its directory. Until then each may be there or not, in
/// any order. A write never harms bytes outside it.
///
/// Errors of all calls: NOT_FOUND (no such file), CONFLICT (it exists already, or another process
/// holds the lock), IO (with the file in err->subject and what to do in the message), NO_MEMORY.
/// EINTR and short transfers are handled inside. Any thread; one file may be read by many at once.
#ifndef PQ_STORE_STORE_H
#define PQ_STORE_STORE_H

#include <parquedb/error.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/bytes.h"
#include "base/text.h"

enum { PQ_STORE_PATH_MAX = 1023 };

enum pq_open_mode {
    PQ_OPEN_READ,   ///< must exist
    PQ_OPEN_WRITE,  ///< read and write; made when missing
    PQ_OPEN_NEW,    ///< read and write; CONFLICT when it exists
};

struct pq_store_entry {
    struct pq_text name;  // NUL-terminated, without the directory
    uint64_t bytes;       // 0 for a directory
    bool is_directory;
};

struct pq_store_list {
    struct pq_store_entry *entries;  // by name, ascending
    size_t count;
};

struct pq_store_ops;

struct pq_store {
    const struct pq_store_ops *ops;
    const struct pq_alloc *alloc;  // borrowed; thread-safe
    uint64_t salt;                 // makes names of temporary files differ between processes
};

struct pq_file {
    struct pq_store *store;
    char *path;  // owned, for messages
};

/// Held until unlocked, or until the process ends however it ends.
struct pq_lock {
    struct pq_store *store;
};

/// What an implementation fills in. The wrappers below say what each call means.
struct pq_store_ops {
    const char *kind;  // "fs", "memory"
    void (*destroy)(struct pq_store *store);
    pqdb_code (*open)(struct pq_store *store, const char *path, enum pq_open_mode mode,
                      struct pq_file **file, pqdb_error *err);
    void (*close)(struct pq_file *file);
    pqdb_code (*read)(struct pq_file *file, uint64_t offset, void *out, size_t *length,
                      pqdb_error *err);
    pqdb_code (*write)(struct pq_file *file, uint64_t offset, const struct pq_text *pieces,
                       size_t count, pqdb_error *err);
    pqdb_code (*sync)(struct pq_file *file, pqdb_error *err);
    pqdb_code (*size)(struct pq_file *file, uint64_t *bytes, pqdb_error *err);
    pqdb_code (*truncate)(struct pq_file *file, uint64_t bytes, pqdb_error *err);
    pqdb_code (*rename)(struct pq_store *store, const char *from, const char *to, pqdb_error *err);
    pqdb_code (*link)(struct pq_store *store, const char *from, const char *to, pqdb_error *err);
    pqdb_code (*unlink)(struct pq_store *store, const char *path, pqdb_error *err);
    pqdb_code (*list)(struct pq_store *store, const char *directory, struct pq_arena *arena,
                      struct pq_store_list *list, pqdb_error *err);
    pqdb_code (*make_directory)(struct pq_store *store, const char *path, pqdb_error *err);
    pqdb_code (*sync_directory)(struct pq_store *store, const char *path, pqdb_error *err);
    pqdb_code (*lock)(struct pq_store *store, const char *path, struct pq_lock **lock,
                      pqdb_error *err);
    pqdb_code (*share)(struct pq_store *store, const char *path, uint64_t number,
                       struct pq_lock **lock, pqdb_error *err);
    pqdb_code (*is_shared)(struct pq_store *store, const char *path, uint64_t below,
                           bool *is_shared, pqdb_error *err);
    void (*unlock)(struct pq_lock *lock);
};

/// Files below the directory `root`. When it is missing: made with its parents, or NOT_FOUND.
pqdb_code pq_store_open_fs(const char *root, bool make, const struct pq_alloc *alloc,
                           struct pq_store **store, pqdb_error *err);
/// Files in memory, gone with the store. `alloc` must be thread-safe when threads share it.
pqdb_code pq_store_open_memory(const struct pq_alloc *alloc, struct pq_store **store,
                               pqdb_error *err);
/// No file or lock of it may be open. NULL is allowed.
void pq_store_destroy(struct pq_store *store);

pqdb_code pq_file_open(struct pq_store *store, const char *path, enum pq_open_mode mode,
                       struct pq_file **file, pqdb_error *err);
void pq_file_close(struct pq_file *file);  // NULL is allowed; what is not synced may be lost
/// `*length` is lowered where the file ends.
pqdb_code pq_file_read(struct pq_file *file, uint64_t offset, void *out, size_t *length,
                       pqdb_error *err);
/// Exactly `length` bytes; CORRUPT when the file is shorter.
pqdb_code pq_file_read_all(struct pq_file *file, uint64_t offset, void *out, size_t length,
                           pqdb_error *err);
/// All pieces one after the other, as one call of the system. After an error some may be written.
pqdb_code pq_file_write(struct pq_file *file, uint64_t offset, const struct pq_text *pieces,
                        size_t count, pqdb_error *err);
/// What was written before is on the disk afterwards (fdatasync). After an error nobody knows: do
/// not call it again and go on; reopen from what is known to be safe.
pqdb_code pq_file_sync(struct pq_file *file, pqdb_error *err);
pqdb_code pq_file_size(struct pq_file *file, uint64_t *bytes, pqdb_error *err);
/// Exactly `bytes` long afterwards; what is new is zero.
pqdb_code pq_file_truncate(struct pq_file *file, uint64_t bytes, pqdb_error *err);

/// Atomic, replaces `to`.
pqdb_code pq_store_rename(struct pq_store *store, const char *from, const char *to,
                          pqdb_error *err);
/// A second name; CONFLICT when `to` exists.
pqdb_code pq_store_link(struct pq_store *store, const char *from, const char *to, pqdb_error *err);
pqdb_code pq_store_unlink(struct pq_store *store, const char *path, pqdb_error *err);
/// Entries live in `arena`. NOT_FOUND when there is no such directory; "" is the root.
pqdb_code pq_store_list(struct pq_store *store, const char *directory, struct pq_arena *arena,
                        struct pq_store_list *list, pqdb_error *err);
/// With its parents, each made durable; fine when it exists.
pqdb_code pq_store_make_directory(struct pq_store *store, const char *path, pqdb_error *err);
pqdb_code pq_store_sync_directory(struct pq_store *store, const char *path, pqdb_error *err);
/// One holder at a time, in this process or another. CONFLICT names the pid of the holder; a file
/// left behind by a process that has ended is taken over.
pqdb_code pq_store_lock(struct pq_store *store, const char *path, struct pq_lock **lock,
                        pqdb_error *err);
/// Any number of holders of any numbers, in any processes. `*lock` is NULL where the file is
/// missing and may not be made.
pqdb_code pq_store_share(struct pq_store *store, const char *path, uint64_t number,
                         struct pq_lock **lock, pqdb_error *err);
/// Is a number below this one shared by anybody?
pqdb_code pq_store_is_shared(struct pq_store *store, const char *path, uint64_t below,
                             bool *is_shared, pqdb_error *err);
void pq_store_unlock(struct pq_lock *lock);  // either kind; NULL is allowed

/// Append the whole file to `out`; LIMIT when it holds more than `bytes_max`.
pqdb_code pq_store_read_file(struct pq_store *store, const char *path, size_t bytes_max,
                             struct pq_bytes *out, pqdb_error *err);
/// Replace or make a file so that after a crash it is whole, old or new: temporary file, sync,
/// rename, sync of the directory. Afterwards it is durable.
pqdb_code pq_store_write_file(struct pq_store *store, const char *path, struct pq_text content,
                              pqdb_error *err);
/// The same, but CONFLICT (and nothing changed) when the file exists: how versions are claimed.
pqdb_code pq_store_create_file(struct pq_store *store, const char *path, struct pq_text content,
                               pqdb_error *err);

/// Fill err with `path` as its subject. For implementations and for the rooms that own a format.
__attribute__((format(printf, 4, 5))) pqdb_code pq_store_fail(pqdb_error *err, pqdb_code code,
                                                              const char *path,
                                                              const char *format, ...);
/// The same with the byte offset at fault.
__attribute__((format(printf, 5, 6))) pqdb_code pq_store_fail_at(pqdb_error *err, pqdb_code code,
                                                                 const char *path, uint64_t offset,
                                                                 const char *format, ...);
/// What a failed system call means and what to do: `act` is "write", "open" …
pqdb_code pq_store_fail_errno(pqdb_error *err, const char *path, const char *act, int number);

#endif
