#include "store/store.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/check.h"
#include "base/fail.h"

static void set_subject(pqdb_error *err, const char *path) {
    const size_t length = strlen(path), room = sizeof err->subject - 1;
    // The end of a long path says more than its beginning.
    const char *from = length > room ? path + (length - room) : path;
    memcpy(err->subject, from, strlen(from) + 1);
}

pqdb_code pq_store_fail(pqdb_error *err, pqdb_code code, const char *path, const char *format,
                        ...) {
    if (err == NULL) return code;
    *err = (pqdb_error){.code = code, .offset = -1};
    set_subject(err, path);
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return code;
}

pqdb_code pq_store_fail_at(pqdb_error *err, pqdb_code code, const char *path, uint64_t offset,
                           const char *format, ...) {
    if (err == NULL) return code;
    *err = (pqdb_error){.code = code, .offset = (int64_t)offset};
    set_subject(err, path);
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return code;
}

static const struct {
    int number;
    pqdb_code code;
    const char *remedy;
} remedies[] = {
    {ENOENT, PQDB_NOT_FOUND, "no such file or directory"},
    {EEXIST, PQDB_CONFLICT, "it exists already"},
    {ENOSPC, PQDB_IO, "the disk is full: free some space, then try again"},
    {EDQUOT, PQDB_IO, "the disk quota is used up: free some space, then try again"},
    {EROFS, PQDB_IO, "the file system is read-only: mount it writable or choose another directory"},
    {EACCES, PQDB_IO, "permission denied: check the owner and mode of the file and its directory"},
    {EPERM, PQDB_IO, "not permitted: check the owner and mode of the file and its directory"},
    {EMFILE, PQDB_IO, "too many open files: raise the limit (ulimit -n)"},
    {ENFILE, PQDB_IO, "too many open files in the whole system"},
    {ENOTDIR, PQDB_IO, "a part of the path is a file, not a directory"},
    {EISDIR, PQDB_IO, "it is a directory, not a file"},
    {EFBIG, PQDB_IO, "the file would be larger than the file system or ulimit -f allows"},
    {ENOMEM, PQDB_NO_MEMORY, "the system is out of memory"},
    {EIO, PQDB_IO, "the device failed (EIO): check the system log and the disk"},
};

pqdb_code pq_store_fail_errno(pqdb_error *err, const char *path, const char *act, int number) {
    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++) {
        if (remedies[i].number != number) continue;
        return pq_store_fail(err, remedies[i].code, path, "cannot %s %s: %s", act, path,
                             remedies[i].remedy);
    }
    char room[128];
    return pq_store_fail(err, PQDB_IO, path, "cannot %s %s: %s", act, path,
                         strerror_r(number, room, sizeof room));
}

void pq_store_destroy(struct pq_store *store) {
    if (store != NULL) store->ops->destroy(store);
}

static pqdb_code check_path(const char *path, pqdb_error *err) {
    if (strlen(path) <= PQ_STORE_PATH_MAX) return PQDB_OK;
    return pq_store_fail(err, PQDB_LIMIT, path, "path of more than %d bytes", PQ_STORE_PATH_MAX);
}

pqdb_code pq_file_open(struct pq_store *store, const char *path, enum pq_open_mode mode,
                       struct pq_file **file, pqdb_error *err) {
    PQ_TRY(check_path(path, err));
    return store->ops->open(store, path, mode, file, err);
}

void pq_file_close(struct pq_file *file) {
    if (file != NULL) file->store->ops->close(file);
}

pqdb_code pq_file_read(struct pq_file *file, uint64_t offset, void *out, size_t *length,
                       pqdb_error *err) {
    return file->store->ops->read(file, offset, out, length, err);
}

pqdb_code pq_file_read_all(struct pq_file *file, uint64_t offset, void *out, size_t length,
                           pqdb_error *err) {
    size_t got = length;
    PQ_TRY(pq_file_read(file, offset, out, &got, err));
    if (got == length) return PQDB_OK;
    return pq_store_fail_at(err, PQDB_CORRUPT, file->path, offset + got,
                            "%s ends where %zu more bytes should be", file->path, length - got);
}

pqdb_code pq_file_write(struct pq_file *file, uint64_t offset, const struct pq_text *pieces,
                        size_t count, pqdb_error *err) {
    return file->store->ops->write(file, offset, pieces, count, err);
}

pqdb_code pq_file_sync(struct pq_file *file, pqdb_error *err) {
    return file->store->ops->sync(file, err);
}

pqdb_code pq_file_size(struct pq_file *file, uint64_t *bytes, pqdb_error *err) {
    return file->store->ops->size(file, bytes, err);
}

pqdb_code pq_file_truncate(struct pq_file *file, uint64_t bytes, pqdb_error *err) {
    return file->store->ops->truncate(file, bytes, err);
}

pqdb_code pq_store_rename(struct pq_store *store, const char *from, const char *to,
                          pqdb_error *err) {
    PQ_TRY(check_path(to, err));
    return store->ops->rename(store, from, to, err);
}

pqdb_code pq_store_link(struct pq_store *store, const char *from, const char *to,
                        pqdb_error *err) {
    PQ_TRY(check_path(to, err));
    return store->ops->link(store, from, to, err);
}

pqdb_code pq_store_unlink(struct pq_store *store, const char *path, pqdb_error *err) {
    return store->ops->unlink(store, path, err);
}

pqdb_code pq_store_list(struct pq_store *store, const char *directory, struct pq_arena *arena,
                        struct pq_store_list *list, pqdb_error *err) {
    return store->ops->list(store, directory, arena, list, err);
}

/// The directory that holds `path`, "" for the root.
static void parent_of(const char *path, char parent[static PQ_STORE_PATH_MAX + 1]) {
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    if (slash == path) length = 1;
    memcpy(parent, path, length);
    parent[length] = '\0';
}

pqdb_code pq_store_make_directory(struct pq_store *store, const char *path, pqdb_error *err) {
    PQ_TRY(check_path(path, err));
    char prefix[PQ_STORE_PATH_MAX + 1], parent[PQ_STORE_PATH_MAX + 1];
    const size_t length = strlen(path);
    for (size_t i = 1; i <= length; i++) {
        if (path[i] != '/' && path[i] != '\0') continue;
        memcpy(prefix, path, i);
        prefix[i] = '\0';
        const pqdb_code code = store->ops->make_directory(store, prefix, err);
        if (code != PQDB_OK && code != PQDB_CONFLICT) return code;
        // One that exists may have been made just now, by a call whose sync failed.
        parent_of(prefix, parent);
        PQ_TRY(pq_store_sync_directory(store, parent, err));
    }
    return PQDB_OK;
}

pqdb_code pq_store_sync_directory(struct pq_store *store, const char *path, pqdb_error *err) {
    return store->ops->sync_directory(store, path, err);
}

pqdb_code pq_store_lock(struct pq_store *store, const char *path, struct pq_lock **lock,
                        pqdb_error *err) {
    PQ_TRY(check_path(path, err));
    return store->ops->lock(store, path, lock, err);
}

pqdb_code pq_store_share(struct pq_store *store, const char *path, uint64_t number,
                         struct pq_lock **lock, pqdb_error *err) {
    PQ_TRY(check_path(path, err));
    return store->ops->share(store, path, number, lock, err);
}

pqdb_code pq_store_is_shared(struct pq_store *store, const char *path, uint64_t below,
                             bool *is_shared, pqdb_error *err) {
    PQ_TRY(check_path(path, err));
    return store->ops->is_shared(store, path, below, is_shared, err);
}

void pq_store_unlock(struct pq_lock *lock) {
    if (lock != NULL) lock->store->ops->unlock(lock);
}

pqdb_code pq_store_read_file(struct pq_store *store, const char *path, size_t bytes_max,
                             struct pq_bytes *out, pqdb_error *err) {
    struct pq_file *file;
    PQ_TRY(pq_file_open(store, path, PQ_OPEN_READ, &file, err));
    uint64_t bytes;
    pqdb_code code;
    PQ_GO(pq_file_size(file, &bytes, err));
    if (bytes > bytes_max) {
        code = pq_store_fail(err, PQDB_LIMIT, path, "%s has %llu bytes, at most %zu are read", path,
                             (unsigned long long)bytes, bytes_max);
        goto done;
    }
    PQ_GO(pq_bytes_reserve(out, (size_t)bytes, err));
    if (bytes > 0) {
        PQ_GO(pq_file_read_all(file, 0, out->data + out->length, (size_t)bytes, err));
    }
    out->length += (size_t)bytes;
done:
    pq_file_close(file);
    return code;
}

/// A synced file with the content, under a name of its own beside `path`.
static pqdb_code write_temporary(struct pq_store *store, const char *path, struct pq_text content,
                                 char temporary[static PQ_STORE_PATH_MAX + 1], pqdb_error *err) {
    static _Atomic uint64_t counter;
    const int length = snprintf(temporary, PQ_STORE_PATH_MAX + 1, "%s.%llu-%llu.tmp", path,
                                (unsigned long long)store->salt, (unsigned long long)counter++);
    if (length < 0 || length > PQ_STORE_PATH_MAX) {
        return pq_store_fail(err, PQDB_LIMIT, path, "path of more than %d bytes",
                             PQ_STORE_PATH_MAX - 32);
    }
    struct pq_file *file;
    PQ_TRY(pq_file_open(store, temporary, PQ_OPEN_WRITE, &file, err));
    pqdb_code code;
    PQ_GO(pq_file_truncate(file, 0, err));
    if (content.length > 0) PQ_GO(pq_file_write(file, 0, &content, 1, err));
    PQ_GO(pq_file_sync(file, err));
done:
    pq_file_close(file);
    if (code != PQDB_OK) pq_store_unlink(store, temporary, NULL);
    return code;
}

pqdb_code pq_store_write_file(struct pq_store *store, const char *path, struct pq_text content,
                              pqdb_error *err) {
    char temporary[PQ_STORE_PATH_MAX + 1], parent[PQ_STORE_PATH_MAX + 1];
    PQ_TRY(write_temporary(store, path, content, temporary, err));
    const pqdb_code code = pq_store_rename(store, temporary, path, err);
    if (code != PQDB_OK) {
        pq_store_unlink(store, temporary, NULL);
        return code;
    }
    parent_of(path, parent);
    return pq_store_sync_directory(store, parent, err);
}

pqdb_code pq_store_create_file(struct pq_store *store, const char *path, struct pq_text content,
                               pqdb_error *err) {
    char temporary[PQ_STORE_PATH_MAX + 1], parent[PQ_STORE_PATH_MAX + 1];
    PQ_TRY(write_temporary(store, path, content, temporary, err));
    const pqdb_code code = pq_store_link(store, temporary, path, err);
    pq_store_unlink(store, temporary, NULL);
    PQ_TRY(code);
    parent_of(path, parent);
    return pq_store_sync_directory(store, parent, err);
}
