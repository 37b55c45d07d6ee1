/// Goal: every store keeps the promises of store/store.h: the same walk over the file system,
/// memory and the fault store; then what only the real one has: other processes, wrong modes.
#include "store/store.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/fault_store.h"
#include "support/temp.h"
#include "support/test.h"

static pqdb_error err;

static void write_text(struct pq_store *store, const char *path, const char *text) {
    const pqdb_code code = pq_store_write_file(store, path, pq_text_of(text), &err);
    CHECK(code == PQDB_OK, "%s: %s", path, err.message);
}

static bool holds(struct pq_store *store, const char *path, const char *text) {
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    const bool same = pq_store_read_file(store, path, 1 << 20, &bytes, &err) == PQDB_OK &&
                      pq_text_is(pq_bytes_text(&bytes), text);
    pq_bytes_deinit(&bytes);
    return same;
}

static void check_files(struct pq_store *store) {
    struct pq_file *file, *again;
    CHECK(pq_file_open(store, "a", PQ_OPEN_READ, &file, &err) == PQDB_NOT_FOUND, "missing");
    CHECK(strcmp(err.subject, "a") == 0, "subject is '%s'", err.subject);
    CHECK(pq_file_open(store, "no/a", PQ_OPEN_WRITE, &file, &err) == PQDB_NOT_FOUND, "directory");
    CHECK(pq_file_open(store, "a", PQ_OPEN_NEW, &file, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_file_open(store, "a", PQ_OPEN_NEW, &again, &err) == PQDB_CONFLICT, "exists");

    const struct pq_text pieces[] = {PQ_TEXT("one "), PQ_TEXT(""), PQ_TEXT("two")};
    CHECK(pq_file_write(file, 3, pieces, 3, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_file_sync(file, &err) == PQDB_OK, "%s", err.message);
    char got[16] = {0};
    size_t length = sizeof got;
    CHECK(pq_file_read(file, 3, got, &length, &err) == PQDB_OK && length == 7, "%zu", length);
    CHECK(strcmp(got, "one two") == 0, "'%s'", got);
    CHECK(pq_file_read_all(file, 3, got, 8, &err) == PQDB_CORRUPT && err.offset == 10,
          "short file: offset %lld", (long long)err.offset);

    uint64_t size;
    CHECK(pq_file_truncate(file, 5000, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_file_size(file, &size, &err) == PQDB_OK && size == 5000, "grown");
    CHECK(pq_file_truncate(file, 4, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_file_truncate(file, 6, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_file_read_all(file, 0, got, 6, &err) == PQDB_OK, "%s", err.message);
    CHECK(memcmp(got, "\0\0\0o\0\0", 6) == 0, "what was cut is zero when it comes back");

    CHECK(pq_store_unlink(store, "a", &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_store_unlink(store, "a", &err) == PQDB_NOT_FOUND, "gone");
    CHECK(pq_file_read_all(file, 0, got, 6, &err) == PQDB_OK, "an open file outlives its name");
    pq_file_close(file);
    pq_file_close(NULL);
}

static void check_names(struct pq_store *store) {
    CHECK(pq_store_make_directory(store, "x/y/z", &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_store_make_directory(store, "x/y", &err) == PQDB_OK, "%s", err.message);
    write_text(store, "x/b", "first");
    write_text(store, "x/b", "second");
    CHECK(holds(store, "x/b", "second"), "replaced");
    CHECK(pq_store_create_file(store, "x/b", PQ_TEXT("third"), &err) == PQDB_CONFLICT, "claimed");
    CHECK(holds(store, "x/b", "second"), "unchanged");
    CHECK(pq_store_create_file(store, "x/a", PQ_TEXT(""), &err) == PQDB_OK, "%s", err.message);
    CHECK(holds(store, "x/a", ""), "empty");
    CHECK(pq_store_rename(store, "x/b", "x/y/b", &err) == PQDB_OK, "%s", err.message);
    CHECK(!holds(store, "x/b", "second") && holds(store, "x/y/b", "second"), "moved");
    CHECK(pq_store_rename(store, "x/b", "x/c", &err) == PQDB_NOT_FOUND, "nothing to move");
    CHECK(pq_store_link(store, "x/y/b", "x/a", &err) == PQDB_CONFLICT, "link onto a file");
    CHECK(pq_store_make_directory(store, "x/a", &err) == PQDB_IO, "a file is no directory");

    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_store_list list;
    CHECK(pq_store_list(store, "x", &arena, &list, &err) == PQDB_OK, "%s", err.message);
    CHECK(list.count == 2, "%zu entries: no temporary file is left", list.count);
    CHECK(pq_text_is(list.entries[0].name, "a") && !list.entries[0].is_directory, "a");
    CHECK(pq_text_is(list.entries[1].name, "y") && list.entries[1].is_directory, "y");
    CHECK(pq_store_list(store, "x/y", &arena, &list, &err) == PQDB_OK && list.count == 2, "b z");
    CHECK(list.entries[0].bytes == 6, "%llu bytes", (unsigned long long)list.entries[0].bytes);
    CHECK(pq_store_list(store, "", &arena, &list, &err) == PQDB_OK && list.count == 1, "root");
    CHECK(pq_store_list(store, "nothing", &arena, &list, &err) == PQDB_NOT_FOUND, "missing");
    pq_arena_deinit(&arena);

    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    CHECK(pq_store_read_file(store, "x/y/b", 5, &bytes, &err) == PQDB_LIMIT, "6 bytes, 5 allowed");
    CHECK(bytes.length == 0, "nothing was read");
    pq_bytes_deinit(&bytes);

    char path[PQ_STORE_PATH_MAX + 2];
    memset(path, 'p', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    struct pq_file *file;
    CHECK(pq_file_open(store, path, PQ_OPEN_WRITE, &file, &err) == PQDB_LIMIT, "long path");
}

static void check_locks(struct pq_store *store) {
    struct pq_lock *lock, *second;
    CHECK(pq_store_lock(store, "lock", &lock, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_store_lock(store, "lock", &second, &err) == PQDB_CONFLICT, "held");
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld is", (long)getpid());
    CHECK(strstr(err.message, pid) != NULL, "names the holder: %s", err.message);
    pq_store_unlock(lock);
    CHECK(pq_store_lock(store, "lock", &lock, &err) == PQDB_OK, "%s", err.message);
    pq_store_unlock(lock);
    pq_store_unlock(NULL);
}

static void check_store(struct pq_store *store) {
    check_files(store);
    check_names(store);
    check_locks(store);
    pq_store_destroy(store);
}

static void a_store_in_memory_keeps_the_promises(void) {
    struct failing_alloc counting = {.alloc = {.resize = failing_resize}, .left = -1};
    counting.alloc.ctx = &counting;
    struct pq_store *store;
    CHECK(pq_store_open_memory(&counting.alloc, &store, &err) == PQDB_OK, "%s", err.message);
    check_store(store);
    CHECK(counting.live_bytes == 0, "%ld bytes leaked", counting.live_bytes);
}

static void the_file_system_keeps_the_promises(void) {
    const struct temp_directory temp = temp_directory_make();
    char root[300];
    snprintf(root, sizeof root, "%s/deep/root", temp.path);
    struct pq_store *store;
    CHECK(pq_store_open_fs(root, false, &pq_alloc_libc, &store, &err) == PQDB_NOT_FOUND, "missing");
    CHECK(pq_store_open_fs(root, true, &pq_alloc_libc, &store, &err) == PQDB_OK, "%s", err.message);
    check_store(store);
    temp_directory_remove(&temp);
}

static void the_fault_store_keeps_the_promises(void) { check_store(&fault_store_create()->base); }

static void a_lock_dies_with_its_process(void) {
    const struct temp_directory temp = temp_directory_make();
    struct pq_store *store;
    CHECK(pq_store_open_fs(temp.path, true, &pq_alloc_libc, &store, &err) == PQDB_OK, "open");
    int ready[2];
    CHECK(pipe(ready) == 0, "pipe");
    const pid_t child = fork();
    if (child == 0) {
        struct pq_lock *lock;
        const bool got = pq_store_lock(store, "lock", &lock, NULL) == PQDB_OK;
        if (write(ready[1], got ? "y" : "n", 1) == 1) pause();
        _exit(0);
    }
    char answer = 'n';
    CHECK(read(ready[0], &answer, 1) == 1 && answer == 'y', "the child holds the lock");
    struct pq_lock *lock;
    CHECK(pq_store_lock(store, "lock", &lock, &err) == PQDB_CONFLICT, "a second writer");
    char pid[32];
    snprintf(pid, sizeof pid, "process %ld is", (long)child);
    CHECK(strstr(err.message, pid) != NULL, "names the child: %s", err.message);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CHECK(pq_store_lock(store, "lock", &lock, &err) == PQDB_OK, "stale: %s", err.message);
    pq_store_unlock(lock);
    close(ready[0]);
    close(ready[1]);
    pq_store_destroy(store);
    temp_directory_remove(&temp);
}

static void each_system_error_says_what_to_do(void) {
    static const struct {
        int number;
        pqdb_code code;
        const char *says;
    } table[] = {
        {ENOSPC, PQDB_IO, "cannot write log/1: the disk is full: free some space, then try again"},
        {EROFS, PQDB_IO, "read-only: mount it writable"},
        {EACCES, PQDB_IO, "permission denied: check the owner"},
        {EIO, PQDB_IO, "the device failed"},
        {ENOENT, PQDB_NOT_FOUND, "no such file"},
        {EEXIST, PQDB_CONFLICT, "exists already"},
        {ENOMEM, PQDB_NO_MEMORY, "out of memory"},
        {EXDEV, PQDB_IO, "cannot write log/1: "},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        CHECK(pq_store_fail_errno(&err, "log/1", "write", table[i].number) == table[i].code, "%s",
              table[i].says);
        CHECK(strstr(err.message, table[i].says) != NULL, "'%s'", err.message);
        CHECK(err.offset == -1 && strcmp(err.subject, "log/1") == 0, "'%s'", err.subject);
    }
}

/// As an ordinary user, because root may write everywhere.
static void check_read_only(const char *root) {
    if (getuid() == 0 && setuid(65534) != 0) exit(0);
    struct pq_store *store;
    struct pq_file *file;
    const pqdb_code opened = pq_store_open_fs(root, false, &pq_alloc_libc, &store, &err);
    if (opened != PQDB_OK) exit(1);
    const bool refused = pq_file_open(store, "new", PQ_OPEN_WRITE, &file, &err) == PQDB_IO &&
                         strstr(err.message, "cannot create new: permission denied") != NULL;
    exit(refused ? 0 : 1);
}

static void a_read_only_directory_is_said_to_be_one(void) {
    const struct temp_directory temp = temp_directory_make();
    chmod(temp.path, 0555);
    const pid_t child = fork();
    if (child == 0) check_read_only(temp.path);
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0, "status %d", status);
    chmod(temp.path, 0755);
    temp_directory_remove(&temp);
}

int main(void) {
    RUN(a_store_in_memory_keeps_the_promises);
    RUN(the_file_system_keeps_the_promises);
    RUN(the_fault_store_keeps_the_promises);
    RUN(a_lock_dies_with_its_process);
    RUN(each_system_error_says_what_to_do);
    RUN(a_read_only_directory_is_said_to_be_one);
    return test_done();
}
