/// Goal: the file system store hides what the system's calls may do: be interrupted by a signal,
/// transfer less than was asked for; and what they refuse, each of them, is an error after which
/// the database opens with everything that was acknowledged.
///
/// The calls are replaced when this test is linked (tests/CMakeLists.txt: -Wl,--wrap).
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/hash.h"
#include "support/db_world.h"
#include "support/rich_db.h"
#include "support/temp.h"
#include "support/test.h"

enum { storm_max = 5, pieces = 200, stride_default = 23 };

static pqdb_error err;

/// What happens to the next calls.
static struct {
    bool is_stormy;  // signals, and short transfers
    uint64_t dice;
    long storm;      // signals in a row so far
    long signals, short_transfers;
    long calls, fail_at;  // counted, and the one that fails; -1: none
    int fail_errno;
} world = {.fail_at = -1};

static uint64_t roll(void) { return pq_hash_word(++world.dice); }

/// Does the call end here, with errno set?
static bool ends(bool may_be_interrupted) {
    if (world.calls++ == world.fail_at) {
        errno = world.fail_errno;
        return true;
    }
    if (!world.is_stormy || !may_be_interrupted) return false;
    if (roll() % 2 == 0 || ++world.storm > storm_max) {
        world.storm = 0;
        return false;
    }
    world.signals++;
    errno = EINTR;
    return true;
}

static size_t shortened(size_t length) {
    if (!world.is_stormy || length < 2 || roll() % 2 == 0) return length;
    world.short_transfers++;
    return 1 + (size_t)(roll() % (length - 1));
}

#define WRAPPED(result, name, ...)   \
    result __real_##name(__VA_ARGS__); \
    result __wrap_##name(__VA_ARGS__); \
    result __wrap_##name(__VA_ARGS__)

WRAPPED(ssize_t, pread, int fd, void *out, size_t length, off_t offset) {
    return ends(true) ? -1 : __real_pread(fd, out, shortened(length), offset);
}

WRAPPED(ssize_t, pwrite, int fd, const void *data, size_t length, off_t offset) {
    return ends(true) ? -1 : __real_pwrite(fd, data, shortened(length), offset);
}

WRAPPED(ssize_t, pwritev, int fd, const struct iovec *vector, int count, off_t offset) {
    struct iovec cut[64];
    size_t total = 0;
    if (ends(true)) return -1;
    for (int i = 0; i < count; i++) total += vector[i].iov_len;
    total = shortened(total);
    int kept = 0;
    for (; kept < count && total > 0; kept++) {
        cut[kept] = vector[kept];
        if (cut[kept].iov_len > total) cut[kept].iov_len = total;
        total -= cut[kept].iov_len;
    }
    return __real_pwritev(fd, cut, kept, offset);
}

int __real_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...);
int __wrap_openat(int at, const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return ends(true) ? -1 : __real_openat(at, path, flags, mode);
}

// No power fails here: a sync that is not refused has nothing to do.
WRAPPED(int, fdatasync, int fd) { return (void)fd, ends(true) ? -1 : 0; }
WRAPPED(int, fsync, int fd) { return (void)fd, ends(true) ? -1 : 0; }
WRAPPED(int, ftruncate, int fd, off_t bytes) {
    return ends(true) ? -1 : __real_ftruncate(fd, bytes);
}
WRAPPED(int, flock, int fd, int what) { return ends(true) ? -1 : __real_flock(fd, what); }
WRAPPED(int, fstat, int fd, struct stat *status) {
    return ends(false) ? -1 : __real_fstat(fd, status);
}
WRAPPED(int, renameat, int a, const char *from, int b, const char *to) {
    return ends(false) ? -1 : __real_renameat(a, from, b, to);
}
WRAPPED(int, linkat, int a, const char *from, int b, const char *to, int flags) {
    return ends(false) ? -1 : __real_linkat(a, from, b, to, flags);
}
WRAPPED(int, unlinkat, int at, const char *path, int flags) {
    return ends(false) ? -1 : __real_unlinkat(at, path, flags);
}
WRAPPED(int, mkdirat, int at, const char *path, mode_t mode) {
    return ends(false) ? -1 : __real_mkdirat(at, path, mode);
}

static void begin_storm(uint64_t seed) {
    world.dice = seed;
    world.is_stormy = true;
}

static void end_storm(void) { world.is_stormy = false; }

// ---- the store --------------------------------------------------------------------------------

static void transfers_go_on_where_they_were_cut(void) {
    const struct temp_directory home = temp_directory_make();
    struct pq_store *store;
    struct pq_file *file;
    static uint8_t bytes[1 << 16], back[sizeof bytes];
    struct pq_text parts[pieces];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)pq_hash_word(i);
    CHECK(pq_store_open_fs(home.path, true, &pq_alloc_libc, &store, &err) == PQDB_OK, "%s",
          err.message);
    begin_storm(7);
    for (size_t round = 0; round < 40; round++) {
        size_t length = 0;
        for (size_t i = 0; i < pieces; i++) {
            const size_t part = (size_t)(roll() % (2 * sizeof bytes / pieces));
            const size_t room = sizeof bytes - length;
            parts[i] = (struct pq_text){(char *)bytes + length, part < room ? part : room};
            length += parts[i].length;
        }
        CHECK(pq_file_open(store, "a", PQ_OPEN_WRITE, &file, &err) == PQDB_OK, "%s", err.message);
        CHECK(pq_file_write(file, round, parts, pieces, &err) == PQDB_OK, "%s", err.message);
        CHECK(pq_file_sync(file, &err) == PQDB_OK, "%s", err.message);
        CHECK(pq_file_read_all(file, round, back, length, &err) == PQDB_OK, "%s", err.message);
        CHECK(memcmp(back, bytes, length) == 0, "round %zu: other bytes", round);
        CHECK(pq_file_truncate(file, 0, &err) == PQDB_OK, "%s", err.message);
        pq_file_close(file);
    }
    struct pq_lock *lock = NULL;
    for (int i = 0; i < 20; i++) {
        CHECK(pq_store_lock(store, "lock", &lock, &err) == PQDB_OK, "%s", err.message);
        pq_store_unlock(lock);
        CHECK(pq_store_write_file(store, "b", PQ_TEXT("text"), &err) == PQDB_OK, "%s",
              err.message);
    }
    end_storm();
    CHECK(world.signals > 100 && world.short_transfers > 100, "%ld signals, %ld short transfers",
          world.signals, world.short_transfers);
    pq_store_destroy(store);
    temp_directory_remove(&home);
}

// ---- a database -------------------------------------------------------------------------------

static void dump(struct pq_store *store, struct pq_bytes *out) {
    const struct pq_open_with with = rich_db_with(store);
    pqdb_db *db;
    pq_bytes_init(out, &pq_alloc_libc);
    if (pq_db_open_with(&with, NULL, &db, &err) != PQDB_OK ||
        rich_db_dump(db, out, &err) != PQDB_OK) {
        CHECK(false, "%s: %s", err.subject, err.message);
        exit(test_done());
    }
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
}

static void a_database_is_the_same_in_a_storm(void) {
    const struct temp_directory home = temp_directory_make();
    struct pq_store *stormy, *calm;
    struct pq_bytes here, there;
    CHECK(pq_store_open_fs(home.path, true, &pq_alloc_libc, &stormy, &err) == PQDB_OK &&
              pq_store_open_memory(&pq_alloc_libc, &calm, &err) == PQDB_OK, "%s", err.message);
    rich_db_make(calm);
    dump(calm, &there);
    begin_storm(11);
    rich_db_make(stormy);
    dump(stormy, &here);
    end_storm();
    CHECK(strcmp((char *)here.data, (char *)there.data) == 0, "other rows");
    fprintf(stderr, "    %ld signals, %ld short transfers\n", world.signals,
            world.short_transfers);
    pq_bytes_deinit(&here);
    pq_bytes_deinit(&there);
    pq_store_destroy(stormy);
    pq_store_destroy(calm);
    temp_directory_remove(&home);
}

/// Commits and checkpoints, until one fails; how many commits were acknowledged.
static pqdb_code live(struct pq_store *store, unsigned *acknowledged) {
    pqdb_db *db;
    *acknowledged = 0;
    pqdb_code code = db_world_open(store, &pq_alloc_libc, &db, &err);
    if (code != PQDB_OK) return code;
    for (unsigned i = 1; code == PQDB_OK && i <= 4; i++) {
        code = db_world_commit(db, i, &err);
        if (code == PQDB_OK) *acknowledged = i;
        if (code == PQDB_OK && i % 2 == 0) code = pqdb_checkpoint(db, &err);
    }
    const pqdb_code closed = pqdb_close(db, NULL);
    return code == PQDB_OK ? closed : code;
}

/// False when the calls were fewer.
static bool fail_in(long call, int number) {
    const struct temp_directory home = temp_directory_make();
    struct pq_store *store;
    unsigned acknowledged;
    pqdb_db *db;
    CHECK(pq_store_open_fs(home.path, true, &pq_alloc_libc, &store, &err) == PQDB_OK &&
              db_world_init(store, &pq_alloc_libc, &err) == PQDB_OK, "%s", err.message);
    world.calls = 0;
    world.fail_at = call;
    world.fail_errno = number;
    const pqdb_code code = live(store, &acknowledged);
    const bool was_felt = world.calls > call;
    world.fail_at = -1;
    CHECK(code == PQDB_OK || (code == PQDB_IO && err.message[0] != '\0'), "call %ld: code %d: %s",
          call, (int)code, err.message);
    const pqdb_code again = db_world_open(store, &pq_alloc_libc, &db, &err);
    CHECK(again == PQDB_OK, "call %ld: %s: %s", call, err.subject, err.message);
    if (again == PQDB_OK) {
        unsigned last = db_world_check(db, acknowledged, acknowledged + 1, "call", call);
        CHECK(db_world_commit(db, ++last, &err) == PQDB_OK, "call %ld: %s", call, err.message);
        CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "call %ld: %s", call, err.message);
        db_world_check(db, last, last, "call", call);
        pqdb_close(db, NULL);
    }
    pq_store_destroy(store);
    temp_directory_remove(&home);
    return was_felt;
}

static void every_call_of_the_system_may_be_refused(void) {
    static const int numbers[] = {EIO, ENOSPC, EDQUOT, EIO};
    const char *asked = getenv("PQ_TEST_STRIDE");
    const long stride = asked == NULL ? stride_default : strtol(asked, NULL, 10);
    long call = 0, tried = 0;
    while (fail_in(call, numbers[tried % 4])) {
        call += stride;
        tried++;
    }
    fprintf(stderr, "    %ld calls, %ld refused\n", call, tried);
}

int main(void) {
    RUN(transfers_go_on_where_they_were_cut);
    RUN(a_database_is_the_same_in_a_storm);
    RUN(every_call_of_the_system_may_be_refused);
    return test_done();
}
