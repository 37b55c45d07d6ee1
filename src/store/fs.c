/// store/fs.c: the file system. Paths are resolved below an open directory, so the database goes on
/// working when its directory is renamed.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fail.h"
#include "store/store.h"

struct fs_store {
    struct pq_store base;
    int root;  // open directory
};

struct fs_file {
    struct pq_file base;
    int fd;
};

struct fs_lock {
    struct pq_lock base;
    int fd;
};

enum { pieces_max = 64 };

static int root_of(const struct pq_store *store) { return ((const struct fs_store *)store)->root; }
static int fd_of(const struct pq_file *file) { return ((const struct fs_file *)file)->fd; }

static void fs_destroy(struct pq_store *store) {
    close(root_of(store));
    pq_free(store->alloc, store, 1, sizeof(struct fs_store));
}

static int open_again(int root, const char *path, int flags) {
    int fd;
    do {
        fd = openat(root, path, flags | O_CLOEXEC, 0666);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

static pqdb_code fs_open(struct pq_store *store, const char *path, enum pq_open_mode mode,
                         struct pq_file **file, pqdb_error *err) {
    static const int flags[] = {[PQ_OPEN_READ] = O_RDONLY,
                                [PQ_OPEN_WRITE] = O_RDWR | O_CREAT,
                                [PQ_OPEN_NEW] = O_RDWR | O_CREAT | O_EXCL};
    const size_t length = strlen(path);
    struct fs_file *opened = pq_resize(store->alloc, NULL, 0, 1, sizeof *opened);
    char *name = pq_resize(store->alloc, NULL, 0, length + 1, 1);
    if (opened == NULL || name == NULL) {
        pq_free(store->alloc, opened, 1, sizeof *opened);
        pq_free(store->alloc, name, length + 1, 1);
        return pq_store_fail(err, PQDB_NO_MEMORY, path, "opening %s", path);
    }
    const int fd = open_again(root_of(store), path, flags[mode]);
    if (fd < 0) {
        const int number = errno;
        pq_free(store->alloc, opened, 1, sizeof *opened);
        pq_free(store->alloc, name, length + 1, 1);
        return pq_store_fail_errno(err, path, mode == PQ_OPEN_READ ? "open" : "create", number);
    }
    memcpy(name, path, length + 1);
    *opened = (struct fs_file){.base = {.store = store, .path = name}, .fd = fd};
    *file = &opened->base;
    return PQDB_OK;
}

static void fs_close(struct pq_file *file) {
    const struct pq_alloc *alloc = file->store->alloc;
    close(fd_of(file));  // an error here says nothing that a sync has not said before
    pq_free(alloc, file->path, strlen(file->path) + 1, 1);
    pq_free(alloc, file, 1, sizeof(struct fs_file));
}

static pqdb_code fs_read(struct pq_file *file, uint64_t offset, void *out, size_t *length,
                         pqdb_error *err) {
    size_t done = 0;
    while (done < *length) {
        const ssize_t got =
            pread(fd_of(file), (char *)out + done, *length - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return pq_store_fail_errno(err, file->path, "read", errno);
        if (got == 0) break;
        done += (size_t)got;
    }
    *length = done;
    return PQDB_OK;
}

/// Write up to pieces_max pieces; a short write goes on behind what was written. 0 or errno.
static int write_fd(int fd, uint64_t offset, struct iovec *vector, int count) {
    while (count > 0) {
        const ssize_t wrote = pwritev(fd, vector, count, (off_t)offset);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return errno;
        offset += (uint64_t)wrote;
        size_t left = (size_t)wrote;
        for (; count > 0 && left >= vector->iov_len; count--) left -= vector++->iov_len;
        if (count == 0) break;
        if (wrote == 0) return ENOSPC;
        vector->iov_base = (char *)vector->iov_base + left;
        vector->iov_len -= left;
    }
    return 0;
}

static pqdb_code fs_write(struct pq_file *file, uint64_t offset, const struct pq_text *pieces,
                          size_t count, pqdb_error *err) {
    struct iovec vector[pieces_max];
    for (size_t i = 0; i < count;) {
        int filled = 0;
        uint64_t bytes = 0;
        for (; i < count && filled < pieces_max; i++) {
            if (pieces[i].length == 0) continue;
            vector[filled++] = (struct iovec){.iov_base = (void *)(uintptr_t)pieces[i].data,
                                              .iov_len = pieces[i].length};
            bytes += pieces[i].length;
        }
        const int number = write_fd(fd_of(file), offset, vector, filled);
        if (number != 0) return pq_store_fail_errno(err, file->path, "write", number);
        offset += bytes;
    }
    return PQDB_OK;
}

static pqdb_code sync_fd(int fd, const char *path, pqdb_error *err) {
    int number;
    do {
        number = fdatasync(fd) == 0 ? 0 : errno;
    } while (number == EINTR);
    return number == 0 ? PQDB_OK : pq_store_fail_errno(err, path, "sync", number);
}

static pqdb_code fs_sync(struct pq_file *file, pqdb_error *err) {
    return sync_fd(fd_of(file), file->path, err);
}

static pqdb_code fs_size(struct pq_file *file, uint64_t *bytes, pqdb_error *err) {
    struct stat status;
    if (fstat(fd_of(file), &status) != 0) {
        return pq_store_fail_errno(err, file->path, "look at", errno);
    }
    *bytes = (uint64_t)status.st_size;
    return PQDB_OK;
}

static int truncate_fd(int fd, uint64_t bytes) {
    int number;
    do {
        number = ftruncate(fd, (off_t)bytes) == 0 ? 0 : errno;
    } while (number == EINTR);
    return number;
}

static pqdb_code fs_truncate(struct pq_file *file, uint64_t bytes, pqdb_error *err) {
    const int number = truncate_fd(fd_of(file), bytes);
    return number == 0 ? PQDB_OK : pq_store_fail_errno(err, file->path, "truncate", number);
}

static pqdb_code fs_rename(struct pq_store *store, const char *from, const char *to,
                           pqdb_error *err) {
    if (renameat(root_of(store), from, root_of(store), to) == 0) return PQDB_OK;
    return pq_store_fail_errno(err, from, "rename", errno);
}

static pqdb_code fs_link(struct pq_store *store, const char *from, const char *to,
                         pqdb_error *err) {
    if (linkat(root_of(store), from, root_of(store), to, 0) == 0) return PQDB_OK;
    return pq_store_fail_errno(err, to, "create", errno);
}

static pqdb_code fs_unlink(struct pq_store *store, const char *path, pqdb_error *err) {
    if (unlinkat(root_of(store), path, 0) == 0) return PQDB_OK;
    return pq_store_fail_errno(err, path, "remove", errno);
}

static const char *directory_or_root(const char *path) { return *path == '\0' ? "." : path; }

static int by_name(const void *a, const void *b) {
    return pq_text_compare(((const struct pq_store_entry *)a)->name,
                           ((const struct pq_store_entry *)b)->name);
}

static pqdb_code list_entries(DIR *directory, const char *path, struct pq_arena *arena,
                              struct pq_store_list *list, pqdb_error *err) {
    size_t capacity = 0;
    *list = (struct pq_store_list){0};
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(directory);
        if (entry == NULL && errno != 0) return pq_store_fail_errno(err, path, "list", errno);
        if (entry == NULL) break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        struct stat status;
        if (fstatat(dirfd(directory), entry->d_name, &status, 0) != 0) continue;  // gone meanwhile
        if (list->count == capacity) {
            const size_t grown = capacity == 0 ? 16 : capacity * 2;
            void *entries = pq_resize(&arena->alloc, list->entries, capacity, grown,
                                      sizeof *list->entries);
            if (entries == NULL) {
                return pq_store_fail(err, PQDB_NO_MEMORY, path, "listing %s", path);
            }
            list->entries = entries;
            capacity = grown;
        }
        const struct pq_text name = pq_arena_copy(arena, pq_text_of(entry->d_name));
        if (name.data == NULL) return pq_store_fail(err, PQDB_NO_MEMORY, path, "listing %s", path);
        const bool is_directory = S_ISDIR(status.st_mode);
        list->entries[list->count++] = (struct pq_store_entry){
            .name = name,
            .bytes = is_directory ? 0 : (uint64_t)status.st_size,
            .is_directory = is_directory};
    }
    if (list->count > 1) qsort(list->entries, list->count, sizeof *list->entries, by_name);
    return PQDB_OK;
}

static pqdb_code fs_list(struct pq_store *store, const char *path, struct pq_arena *arena,
                         struct pq_store_list *list, pqdb_error *err) {
    const int fd = open_again(root_of(store), directory_or_root(path), O_RDONLY | O_DIRECTORY);
    if (fd < 0) return pq_store_fail_errno(err, path, "list", errno);
    DIR *directory = fdopendir(fd);
    if (directory == NULL) {
        const int number = errno;
        close(fd);
        return pq_store_fail_errno(err, path, "list", number);
    }
    const pqdb_code code = list_entries(directory, path, arena, list, err);
    closedir(directory);
    return code;
}

static pqdb_code fs_make_directory(struct pq_store *store, const char *path, pqdb_error *err) {
    if (mkdirat(root_of(store), path, 0777) == 0) return PQDB_OK;
    const int number = errno;
    struct stat status;
    // On a read-only file system mkdir of what exists may say EROFS or EACCES instead of EEXIST.
    const bool exists = fstatat(root_of(store), path, &status, 0) == 0;
    if (exists && S_ISDIR(status.st_mode)) {
        return pq_store_fail_errno(err, path, "make", EEXIST);
    }
    return pq_store_fail_errno(err, path, "make", exists ? ENOTDIR : number);
}

static pqdb_code fs_sync_directory(struct pq_store *store, const char *path, pqdb_error *err) {
    const int fd = open_again(root_of(store), directory_or_root(path), O_RDONLY | O_DIRECTORY);
    if (fd < 0) return pq_store_fail_errno(err, path, "sync", errno);
    int number;
    do {
        number = fsync(fd) == 0 ? 0 : errno;
    } while (number == EINTR);
    close(fd);
    if (number == 0 || number == EINVAL) return PQDB_OK;  // EINVAL: names need no sync there
    return pq_store_fail_errno(err, path, "sync", number);
}

/// The holder wrote its pid into the file; the kernel's lock, not the text, decides.
static pqdb_code refuse_lock(int fd, const char *path, pqdb_error *err) {
    char text[24] = {0};
    const ssize_t got = pread(fd, text, sizeof text - 1, 0);
    const long pid = got > 0 ? strtol(text, NULL, 10) : 0;
    if (pid > 0) {
        return pq_store_fail(err, PQDB_CONFLICT, path,
                             "process %ld is writing here: end it, or send it the command", pid);
    }
    return pq_store_fail(err, PQDB_CONFLICT, path, "another process is writing here");
}

static pqdb_code write_pid(int fd, const char *path, pqdb_error *err) {
    char text[24];
    const size_t length = (size_t)snprintf(text, sizeof text, "%ld\n", (long)getpid());
    struct iovec vector = {.iov_base = text, .iov_len = length};
    int number = truncate_fd(fd, 0);
    if (number == 0) number = write_fd(fd, 0, &vector, 1);
    return number == 0 ? PQDB_OK : pq_store_fail_errno(err, path, "write", number);
}

static pqdb_code fs_lock(struct pq_store *store, const char *path, struct pq_lock **lock,
                         pqdb_error *err) {
    struct fs_lock *held = pq_resize(store->alloc, NULL, 0, 1, sizeof *held);
    if (held == NULL) return pq_store_fail(err, PQDB_NO_MEMORY, path, "locking %s", path);
    pqdb_code code;
    const int fd = open_again(root_of(store), path, O_RDWR | O_CREAT);
    if (fd < 0) {
        code = pq_store_fail_errno(err, path, "lock", errno);
        goto done;
    }
    int number;
    do {
        number = flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
    } while (number == EINTR);
    if (number == EWOULDBLOCK) {
        code = refuse_lock(fd, path, err);
    } else if (number != 0) {
        code = pq_store_fail_errno(err, path, "lock", number);
    } else {
        code = write_pid(fd, path, err);
    }
done:
    if (code != PQDB_OK) {
        if (fd >= 0) close(fd);
        pq_free(store->alloc, held, 1, sizeof *held);
        return code;
    }
    *held = (struct fs_lock){.base = {.store = store}, .fd = fd};
    *lock = &held->base;
    return PQDB_OK;
}

/// The byte at `number` of the file, which need not be there. Locks of open files, not of
/// processes: so readers in one process do not share their fate.
static pqdb_code fs_share(struct pq_store *store, const char *path, uint64_t number,
                          struct pq_lock **lock, pqdb_error *err) {
    int fd = open_again(root_of(store), path, O_RDONLY);
    if (fd < 0 && errno == ENOENT) fd = open_again(root_of(store), path, O_RDWR | O_CREAT);
    if (fd < 0 && (errno == EROFS || errno == EACCES || errno == EPERM)) {
        *lock = NULL;
        return PQDB_OK;
    }
    if (fd < 0) return pq_store_fail_errno(err, path, "open", errno);
    struct flock range = {.l_type = F_RDLCK, .l_whence = SEEK_SET,
                          .l_start = (off_t)(number & INT64_MAX), .l_len = 1};
    struct fs_lock *held = pq_resize(store->alloc, NULL, 0, 1, sizeof *held);
    pqdb_code code = PQDB_OK;
    if (held == NULL) {
        code = pq_store_fail(err, PQDB_NO_MEMORY, path, "locking %s", path);
    } else if (fcntl(fd, F_OFD_SETLK, &range) != 0) {
        code = pq_store_fail_errno(err, path, "lock", errno);
    }
    if (code != PQDB_OK) {
        close(fd);
        pq_free(store->alloc, held, 1, sizeof *held);
        return code;
    }
    *held = (struct fs_lock){.base = {.store = store}, .fd = fd};
    *lock = &held->base;
    return PQDB_OK;
}

static pqdb_code fs_is_shared(struct pq_store *store, const char *path, uint64_t below,
                              bool *is_shared, pqdb_error *err) {
    *is_shared = false;
    if (below == 0) return PQDB_OK;
    const int fd = open_again(root_of(store), path, O_RDONLY);
    if (fd < 0 && errno == ENOENT) return PQDB_OK;
    if (fd < 0) return pq_store_fail_errno(err, path, "open", errno);
    struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET,
                          .l_len = below > INT64_MAX ? 0 : (off_t)below};  // 0: to the end
    const int number = fcntl(fd, F_OFD_GETLK, &range) == 0 ? 0 : errno;
    close(fd);
    if (number != 0) return pq_store_fail_errno(err, path, "lock", number);
    *is_shared = range.l_type != F_UNLCK;
    return PQDB_OK;
}

/// The file stays: removing it would let two processes hold locks on two files of one name.
static void fs_unlock(struct pq_lock *lock) {
    struct fs_lock *held = (struct fs_lock *)lock;
    close(held->fd);
    pq_free(lock->store->alloc, held, 1, sizeof *held);
}

static const struct pq_store_ops fs_ops = {
    .kind = "fs",
    .destroy = fs_destroy,
    .open = fs_open,
    .close = fs_close,
    .read = fs_read,
    .write = fs_write,
    .sync = fs_sync,
    .size = fs_size,
    .truncate = fs_truncate,
    .rename = fs_rename,
    .link = fs_link,
    .unlink = fs_unlink,
    .list = fs_list,
    .make_directory = fs_make_directory,
    .sync_directory = fs_sync_directory,
    .lock = fs_lock,
    .share = fs_share,
    .is_shared = fs_is_shared,
    .unlock = fs_unlock,
};

/// mkdir -p; errno says what went wrong first.
static bool make_root(const char *root) {
    char prefix[PQ_STORE_PATH_MAX + 1];
    const size_t length = strlen(root);
    int first = 0;
    for (size_t i = 1; i <= length; i++) {
        if (root[i] != '/' && root[i] != '\0') continue;
        memcpy(prefix, root, i);
        prefix[i] = '\0';
        if (mkdir(prefix, 0777) == 0 || errno == EEXIST) continue;
        if (first == 0) first = errno;
        if (i < length) continue;
        errno = first;
        return false;
    }
    return true;
}

pqdb_code pq_store_open_fs(const char *root, bool make, const struct pq_alloc *alloc,
                           struct pq_store **store, pqdb_error *err) {
    if (*root == '\0' || strlen(root) > PQ_STORE_PATH_MAX) {
        return pq_store_fail(err, PQDB_INVALID, root, "a directory of 1 to %d bytes is needed",
                             PQ_STORE_PATH_MAX);
    }
    struct fs_store *opened = pq_resize(alloc, NULL, 0, 1, sizeof *opened);
    if (opened == NULL) return pq_store_fail(err, PQDB_NO_MEMORY, root, "opening %s", root);
    int fd = open_again(AT_FDCWD, root, O_RDONLY | O_DIRECTORY);
    if (fd < 0 && errno == ENOENT && make && make_root(root)) {
        fd = open_again(AT_FDCWD, root, O_RDONLY | O_DIRECTORY);
    }
    if (fd < 0) {
        const int number = errno;
        pq_free(alloc, opened, 1, sizeof *opened);
        return pq_store_fail_errno(err, root, "open", number);
    }
    *opened = (struct fs_store){
        .base = {.ops = &fs_ops, .alloc = alloc, .salt = (uint64_t)getpid()}, .root = fd};
    *store = &opened->base;
    return PQDB_OK;
}
