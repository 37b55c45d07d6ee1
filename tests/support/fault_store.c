#include "support/fault_store.h"

#include <errno.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"

enum { sector_bytes_max = 4096 };

/// A write, or (data NULL) a new size.
struct change {
    uint64_t offset;
    uint8_t *data;
    size_t length;
    struct change *next;
};

/// The content of a file, whatever its names are.
struct fault_image {
    uint8_t *bytes;  // what is on the disk
    size_t length;
    struct change *changes;  // since then, in order
    struct fault_image *next;
};

/// A name that survives; in `pending`: name `from` becomes `path` (either may be NULL).
struct fault_name {
    char *path;
    char *from;
    struct fault_image *image;  // NULL: a directory
    struct fault_name *next;
};

struct fault_file {
    struct pq_file base;
    struct pq_file *inner;
    struct fault_image *image;
};

static void *must(void *memory) {
    if (memory == NULL) abort();
    return memory;
}

static struct fault_store *fault_of(struct pq_store *store) { return (struct fault_store *)store; }
static struct fault_file *file_of(struct pq_file *file) { return (struct fault_file *)file; }

/// Count a call; an error when it is the one to fail. `*goes_down`: the power fails in it.
static pqdb_code enter(struct fault_store *disk, const char *path, bool *goes_down,
                       pqdb_error *err) {
    *goes_down = false;
    if (disk->is_down) return pq_store_fail_errno(err, path, "reach", EIO);
    const long call = disk->calls++;
    if (call == disk->down_at) {
        disk->is_down = *goes_down = true;
        return PQDB_OK;
    }
    if (disk->fail_at >= 0 && call >= disk->fail_at && call < disk->fail_at + disk->fail_count) {
        return pq_store_fail_errno(err, path, "use", disk->fail_errno);
    }
    return PQDB_OK;
}

/// The call has had its effect, as far as it has one without a sync.
static pqdb_code leave(struct fault_store *disk, const char *path, pqdb_code code, bool goes_down,
                       pqdb_error *err) {
    if (goes_down) return pq_store_fail_errno(err, path, "reach", EIO);
    if (disk->on_call != NULL) disk->on_call(disk->on_call_ctx, disk, path);
    return code;
}

static pqdb_code enter_read(struct fault_store *disk, const char *path, pqdb_error *err) {
    bool goes_down;
    if (disk->is_down) return pq_store_fail_errno(err, path, "reach", EIO);
    if (!disk->counts_reads) return PQDB_OK;
    PQ_TRY(enter(disk, path, &goes_down, err));
    return leave(disk, path, PQDB_OK, goes_down, err);
}

static char *copy_of(const char *path) { return path == NULL ? NULL : must(strdup(path)); }

static void append_name(struct fault_name **list, const char *path, const char *from,
                        struct fault_image *image) {
    while (*list != NULL) list = &(*list)->next;
    *list = must(malloc(sizeof **list));
    **list = (struct fault_name){copy_of(path), copy_of(from), image, NULL};
}

static void remove_name(struct fault_name **at) {
    struct fault_name *name = *at;
    *at = name->next;
    free(name->path);
    free(name->from);
    free(name);
}

static struct fault_name **find_name(struct fault_name **list, const char *path) {
    while (*list != NULL && strcmp((*list)->path, path) != 0) list = &(*list)->next;
    return list;
}

/// One change of a name reaches the disk.
static void apply_name(struct fault_name **durable, const struct fault_name *change) {
    if (change->from != NULL) {
        struct fault_name **old = find_name(durable, change->from);
        if (*old != NULL) remove_name(old);
    }
    if (change->path == NULL) return;
    struct fault_name **at = find_name(durable, change->path);
    if (*at != NULL) remove_name(at);
    append_name(durable, change->path, NULL, change->image);
}

/// The image a path has now: the last word of pending, else durable.
static struct fault_image *image_of(const struct fault_store *disk, const char *path) {
    struct fault_image *image = NULL;
    for (const struct fault_name *name = disk->durable; name != NULL; name = name->next) {
        if (strcmp(name->path, path) == 0) image = name->image;
    }
    for (const struct fault_name *name = disk->pending; name != NULL; name = name->next) {
        if (name->path != NULL && strcmp(name->path, path) == 0) image = name->image;
    }
    return image;
}

static void append_change(struct fault_image *image, uint64_t offset, const void *data,
                          size_t length) {
    struct change **at = &image->changes;
    while (*at != NULL) at = &(*at)->next;
    *at = must(malloc(sizeof **at));
    **at = (struct change){.offset = offset, .length = length};
    if (data != NULL) {
        (*at)->data = must(malloc(length + 1));
        memcpy((*at)->data, data, length);
    }
}

static void drop_changes(struct fault_image *image) {
    while (image->changes != NULL) {
        struct change *change = image->changes;
        image->changes = change->next;
        free(change->data);
        free(change);
    }
}

static void set_length(struct fault_image *image, size_t length) {
    image->bytes = must(realloc(image->bytes, length + 1));
    if (length > image->length) memset(image->bytes + image->length, 0, length - image->length);
    image->length = length;
}

static void put(struct fault_image *image, uint64_t offset, const uint8_t *data, size_t length) {
    if (offset + length > image->length) set_length(image, (size_t)offset + length);
    memcpy(image->bytes + offset, data, length);
}

static void apply_change(struct fault_image *image, const struct change *change) {
    if (change->data == NULL) {
        set_length(image, (size_t)change->offset);
    } else {
        put(image, change->offset, change->data, change->length);
    }
}

static struct fault_image *new_image(struct fault_store *disk) {
    struct fault_image *image = must(calloc(1, sizeof *image));
    image->next = disk->images;
    disk->images = image;
    return image;
}

static pqdb_code fault_open(struct pq_store *store, const char *path, enum pq_open_mode mode,
                            struct pq_file **file, pqdb_error *err) {
    struct fault_store *disk = fault_of(store);
    bool goes_down = false;
    struct pq_file *inner = NULL;
    const bool exists =
        mode != PQ_OPEN_NEW &&
        disk->inner->ops->open(disk->inner, path, PQ_OPEN_READ, &inner, NULL) == PQDB_OK;
    if (exists) pq_file_close(inner);
    if (exists || mode == PQ_OPEN_READ) {
        PQ_TRY(enter_read(disk, path, err));
    } else {
        PQ_TRY(enter(disk, path, &goes_down, err));
    }
    PQ_TRY(pq_file_open(disk->inner, path, mode, &inner, err));
    struct fault_image *image = exists ? image_of(disk, path) : new_image(disk);
    if (!exists) append_name(&disk->pending, path, NULL, image);
    if (goes_down) {
        pq_file_close(inner);
        return leave(disk, path, PQDB_OK, goes_down, err);
    }
    if (!exists) PQ_TRY(leave(disk, path, PQDB_OK, false, err));
    struct fault_file *opened = must(malloc(sizeof *opened));
    *opened = (struct fault_file){{store, copy_of(path)}, inner, image};
    *file = &opened->base;
    return PQDB_OK;
}

static void fault_close(struct pq_file *file) {
    pq_file_close(file_of(file)->inner);
    free(file->path);
    free(file);
}

static pqdb_code fault_read(struct pq_file *file, uint64_t offset, void *out, size_t *length,
                            pqdb_error *err) {
    PQ_TRY(enter_read(fault_of(file->store), file->path, err));
    return pq_file_read(file_of(file)->inner, offset, out, length, err);
}

static pqdb_code fault_write(struct pq_file *file, uint64_t offset, const struct pq_text *pieces,
                             size_t count, pqdb_error *err) {
    bool goes_down;
    const pqdb_code entered = enter(fault_of(file->store), file->path, &goes_down, err);
    if (entered != PQDB_OK && fault_of(file->store)->is_down) return entered;
    size_t total = 0;
    for (size_t i = 0; i < count; i++) total += pieces[i].length;
    uint8_t *joined = must(malloc(total + 1));
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].length > 0) memcpy(joined + at, pieces[i].data, pieces[i].length);
        at += pieces[i].length;
    }
    if (entered != PQDB_OK) total /= 2;  // what went before the disk was full
    const struct pq_text written = {(const char *)joined, total};
    const pqdb_code code = pq_file_write(file_of(file)->inner, offset, &written, 1, NULL);
    append_change(file_of(file)->image, offset, joined, total);
    free(joined);
    if (entered != PQDB_OK) return entered;
    return leave(fault_of(file->store), file->path, code, goes_down, err);
}

static pqdb_code fault_size(struct pq_file *file, uint64_t *bytes, pqdb_error *err) {
    PQ_TRY(enter_read(fault_of(file->store), file->path, err));
    return pq_file_size(file_of(file)->inner, bytes, err);
}

static pqdb_code fault_truncate(struct pq_file *file, uint64_t bytes, pqdb_error *err) {
    bool goes_down;
    PQ_TRY(enter(fault_of(file->store), file->path, &goes_down, err));
    const pqdb_code code = pq_file_truncate(file_of(file)->inner, bytes, err);
    append_change(file_of(file)->image, bytes, NULL, 0);
    return leave(fault_of(file->store), file->path, code, goes_down, err);
}

static pqdb_code fault_sync(struct pq_file *file, pqdb_error *err) {
    struct fault_store *disk = fault_of(file->store);
    struct fault_image *image = file_of(file)->image;
    bool goes_down;
    const bool was_down = disk->is_down;
    const pqdb_code code = enter(disk, file->path, &goes_down, err);
    if (code != PQDB_OK && !was_down) drop_changes(image);  // clean pages that were never written
    PQ_TRY(code);
    PQ_TRY(leave(disk, file->path, PQDB_OK, goes_down, err));
    for (const struct change *change = image->changes; change != NULL; change = change->next) {
        apply_change(image, change);
    }
    drop_changes(image);
    disk->syncs++;
    return PQDB_OK;
}

static pqdb_code fault_rename(struct pq_store *store, const char *from, const char *to,
                              pqdb_error *err) {
    bool goes_down;
    PQ_TRY(enter(fault_of(store), from, &goes_down, err));
    struct fault_image *image = image_of(fault_of(store), from);
    const pqdb_code code = pq_store_rename(fault_of(store)->inner, from, to, err);
    if (code == PQDB_OK) append_name(&fault_of(store)->pending, to, from, image);
    return leave(fault_of(store), from, code, goes_down, err);
}

static pqdb_code fault_link(struct pq_store *store, const char *from, const char *to,
                            pqdb_error *err) {
    bool goes_down;
    PQ_TRY(enter(fault_of(store), to, &goes_down, err));
    struct fault_image *image = image_of(fault_of(store), from);
    const pqdb_code code = pq_store_link(fault_of(store)->inner, from, to, err);
    if (code == PQDB_OK) append_name(&fault_of(store)->pending, to, NULL, image);
    return leave(fault_of(store), to, code, goes_down, err);
}

static pqdb_code fault_unlink(struct pq_store *store, const char *path, pqdb_error *err) {
    bool goes_down;
    PQ_TRY(enter(fault_of(store), path, &goes_down, err));
    const pqdb_code code = pq_store_unlink(fault_of(store)->inner, path, err);
    if (code == PQDB_OK) append_name(&fault_of(store)->pending, NULL, path, NULL);
    return leave(fault_of(store), path, code, goes_down, err);
}

static pqdb_code fault_list(struct pq_store *store, const char *directory, struct pq_arena *arena,
                            struct pq_store_list *list, pqdb_error *err) {
    PQ_TRY(enter_read(fault_of(store), directory, err));
    return pq_store_list(fault_of(store)->inner, directory, arena, list, err);
}

static pqdb_code fault_make_directory(struct pq_store *store, const char *path, pqdb_error *err) {
    struct fault_store *disk = fault_of(store);
    bool goes_down;
    PQ_TRY(enter(disk, path, &goes_down, err));
    const pqdb_code code = disk->inner->ops->make_directory(disk->inner, path, err);
    if (code == PQDB_OK) append_name(&disk->pending, path, NULL, NULL);
    return leave(disk, path, code, goes_down, err);
}

static bool is_in(const char *path, const char *directory) {
    if (path == NULL) return false;
    const char *slash = strrchr(path, '/');
    const size_t length = slash == NULL ? 0 : (size_t)(slash - path);
    return strlen(directory) == length && strncmp(path, directory, length) == 0;
}

static pqdb_code fault_sync_directory(struct pq_store *store, const char *path, pqdb_error *err) {
    struct fault_store *disk = fault_of(store);
    bool goes_down;
    PQ_TRY(enter(disk, path, &goes_down, err));
    PQ_TRY(leave(disk, path, PQDB_OK, goes_down, err));
    for (struct fault_name **at = &disk->pending; *at != NULL;) {
        if (is_in((*at)->path, path) || is_in((*at)->from, path)) {
            apply_name(&disk->durable, *at);
            remove_name(at);
        } else {
            at = &(*at)->next;
        }
    }
    return pq_store_sync_directory(disk->inner, path, err);
}

static pqdb_code fault_lock(struct pq_store *store, const char *path, struct pq_lock **lock,
                            pqdb_error *err) {
    PQ_TRY(enter_read(fault_of(store), path, err));
    return pq_store_lock(fault_of(store)->inner, path, lock, err);
}

static pqdb_code fault_share(struct pq_store *store, const char *path, uint64_t number,
                             struct pq_lock **lock, pqdb_error *err) {
    return pq_store_share(fault_of(store)->inner, path, number, lock, err);
}

static pqdb_code fault_is_shared(struct pq_store *store, const char *path, uint64_t below,
                                 bool *is_shared, pqdb_error *err) {
    return pq_store_is_shared(fault_of(store)->inner, path, below, is_shared, err);
}

static void fault_unlock(struct pq_lock *lock) { pq_store_unlock(lock); }

static void fault_destroy(struct pq_store *store) { fault_store_destroy(fault_of(store)); }

static const struct pq_store_ops fault_ops = {
    .kind = "fault",
    .destroy = fault_destroy,
    .open = fault_open,
    .close = fault_close,
    .read = fault_read,
    .write = fault_write,
    .sync = fault_sync,
    .size = fault_size,
    .truncate = fault_truncate,
    .rename = fault_rename,
    .link = fault_link,
    .unlink = fault_unlink,
    .list = fault_list,
    .make_directory = fault_make_directory,
    .sync_directory = fault_sync_directory,
    .lock = fault_lock,
    .share = fault_share,
    .is_shared = fault_is_shared,
    .unlock = fault_unlock,
};

struct fault_store *fault_store_create(void) {
    struct fault_store *disk = must(calloc(1, sizeof *disk));
    disk->base = (struct pq_store){.ops = &fault_ops, .alloc = &pq_alloc_libc};
    if (pq_store_open_memory(&pq_alloc_libc, &disk->inner, NULL) != PQDB_OK) abort();
    disk->fail_at = disk->down_at = -1;
    disk->fail_count = 1;
    disk->fail_errno = EIO;
    disk->sector_bytes = 512;
    return disk;
}

void fault_store_destroy(struct fault_store *disk) {
    if (disk == NULL) return;
    pq_store_destroy(disk->inner);
    while (disk->durable != NULL) remove_name(&disk->durable);
    while (disk->pending != NULL) remove_name(&disk->pending);
    while (disk->images != NULL) {
        struct fault_image *image = disk->images;
        disk->images = image->next;
        drop_changes(image);
        free(image->bytes);
        free(image);
    }
    free(disk);
}

struct dice {
    enum fault_mode mode;
    uint64_t state;
    size_t sector_bytes;
};

static uint64_t roll(struct dice *dice) {
    dice->state += UINT64_C(0x9E3779B97F4A7C15);
    return pq_hash_word(dice->state);
}

static bool is_kept(struct dice *dice) {
    if (dice->mode != FAULT_SOME_KEPT) return dice->mode == FAULT_ALL_KEPT;
    return roll(dice) % 2 == 0;
}

/// Each sector of a write is kept, lost, torn behind some byte, or (if it lay wholly inside) noise.
static void survive_write(struct fault_image *image, const struct change *change,
                          struct dice *dice) {
    for (size_t done = 0; done < change->length;) {
        const size_t start = (size_t)change->offset + done;
        size_t step = dice->sector_bytes - start % dice->sector_bytes;
        if (step > change->length - done) step = change->length - done;
        if (is_kept(dice)) {
            put(image, start, change->data + done, step);
        } else if (dice->mode == FAULT_SOME_KEPT && roll(dice) % 4 == 0) {
            put(image, start, change->data + done, roll(dice) % step);
        } else if (dice->mode == FAULT_SOME_KEPT && step == dice->sector_bytes &&
                   roll(dice) % 8 == 0) {
            uint8_t noise[sector_bytes_max];
            for (size_t i = 0; i < step; i++) noise[i] = (uint8_t)roll(dice);
            put(image, start, noise, step);
        }
        done += step;
    }
}

/// The bytes of a file after the crash, as a new image.
static struct fault_image survive(const struct fault_image *image, struct dice *dice) {
    struct fault_image left = {0};
    set_length(&left, 0);
    put(&left, 0, image->length == 0 ? (const uint8_t *)"" : image->bytes, image->length);
    for (const struct change *change = image->changes; change != NULL; change = change->next) {
        if (change->data != NULL) {
            survive_write(&left, change, dice);
        } else if (is_kept(dice)) {
            apply_change(&left, change);
        }
    }
    return left;
}

static bool has_parent(struct fault_name **names, const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return true;
    char *parent = must(strndup(path, (size_t)(slash - path)));
    struct fault_name **found = find_name(names, parent);
    const bool has = *found != NULL && (*found)->image == NULL && has_parent(names, parent);
    free(parent);
    return has;
}

static void put_directories(struct fault_store *next, struct fault_name **names) {
    // A directory is shorter than what is in it: make them by length.
    for (size_t length = 1; length <= PQ_STORE_PATH_MAX; length++) {
        for (struct fault_name *name = *names; name != NULL; name = name->next) {
            if (name->image != NULL || strlen(name->path) != length) continue;
            if (!has_parent(names, name->path)) continue;
            next->inner->ops->make_directory(next->inner, name->path, NULL);
            append_name(&next->durable, name->path, NULL, NULL);
        }
    }
}

struct fault_store *fault_store_crash(struct fault_store *disk, enum fault_mode mode,
                                      uint64_t seed) {
    struct dice dice = {mode, pq_hash_word(seed + 1), disk->sector_bytes};
    struct fault_store *next = fault_store_create();
    struct fault_name *names = NULL;
    for (const struct fault_name *n = disk->durable; n != NULL; n = n->next) apply_name(&names, n);
    for (const struct fault_name *n = disk->pending; n != NULL; n = n->next) {
        if (is_kept(&dice)) apply_name(&names, n);
    }
    put_directories(next, &names);
    for (struct fault_name *name = names; name != NULL; name = name->next) {
        if (name->image == NULL || !has_parent(&names, name->path)) continue;
        struct fault_image *image = new_image(next);
        struct fault_image *following = image->next;
        *image = survive(name->image, &dice);
        image->next = following;
        append_name(&next->durable, name->path, NULL, image);
        struct pq_file *file;
        const struct pq_text bytes = {(const char *)image->bytes, image->length};
        if (pq_file_open(next->inner, name->path, PQ_OPEN_NEW, &file, NULL) != PQDB_OK) abort();
        if (pq_file_write(file, 0, &bytes, 1, NULL) != PQDB_OK) abort();
        pq_file_close(file);
    }
    while (names != NULL) remove_name(&names);
    return next;
}

uint64_t fault_store_hash(const struct fault_store *disk) {
    uint64_t hash = 0;
    for (const struct fault_name *name = disk->durable; name != NULL; name = name->next) {
        const uint64_t of_name = pq_hash(name->path, strlen(name->path));
        const struct fault_image *image = name->image;
        const uint64_t of_bytes = image == NULL ? 1 : pq_hash(image->bytes, image->length);
        hash += pq_hash_word(of_name ^ pq_hash_word(of_bytes));  // in any order
    }
    return hash;
}

bool fault_store_flip(struct pq_store *store, const char *path, uint64_t offset, uint8_t mask) {
    struct pq_store *inner =
        strcmp(store->ops->kind, "fault") == 0 ? fault_of(store)->inner : store;
    struct pq_file *file;
    if (pq_file_open(inner, path, PQ_OPEN_WRITE, &file, NULL) != PQDB_OK) return false;
    uint8_t byte;
    bool flipped = pq_file_read_all(file, offset, &byte, 1, NULL) == PQDB_OK;
    if (flipped) {
        byte ^= mask;
        const struct pq_text piece = {(const char *)&byte, 1};
        flipped = pq_file_write(file, offset, &piece, 1, NULL) == PQDB_OK;
    }
    pq_file_close(file);
    if (flipped && inner != store) {  // on the disk as well
        struct fault_image *image = image_of(fault_of(store), path);
        if (image != NULL && offset < image->length) image->bytes[offset] ^= mask;
    }
    return flipped;
}
