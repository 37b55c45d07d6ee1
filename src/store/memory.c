/// store/memory.c: files in memory, for databases that live as long as their process and for tests.
///
/// One sorted list of (path, node); a node has its bytes and may have several names. Everything is
/// under one mutex. Invariant: the directory of every entry is an entry too, "" apart.
#include <pthread.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fail.h"
#include "store/store.h"

struct node {
    uint8_t *data;  // owned, `capacity` long, zero beyond `bytes`
    size_t bytes;
    size_t capacity;
    size_t references;  // names and open files
    bool is_directory;
    bool is_locked;
};

struct entry {
    char *path;  // owned
    struct node *node;
};

struct memory_store {
    struct pq_store base;
    pthread_mutex_t mutex;
    struct entry *entries;  // by path
    size_t count;
    size_t capacity;
    struct memory_lock *shared;  // all of one file: there is no other
};

struct memory_file {
    struct pq_file base;
    struct node *node;
};

struct memory_lock {
    struct pq_lock base;
    struct node *node;         // NULL: a shared one
    uint64_t number;           // of it
    struct memory_lock *next;  // likewise
};

static struct memory_store *memory_of(struct pq_store *store) {
    return (struct memory_store *)store;
}

static struct node *node_of(struct pq_file *file) { return ((struct memory_file *)file)->node; }

static void lock_store(struct pq_store *store) { pthread_mutex_lock(&memory_of(store)->mutex); }

static void unlock_store(struct pq_store *store) {
    pthread_mutex_unlock(&memory_of(store)->mutex);
}

static void unref_node(const struct pq_alloc *alloc, struct node *node) {
    if (--node->references > 0) return;
    pq_free(alloc, node->data, node->capacity, 1);
    pq_free(alloc, node, 1, sizeof *node);
}

static char *copy_path(const struct pq_alloc *alloc, const char *path) {
    const size_t bytes = strlen(path) + 1;
    char *copy = pq_resize(alloc, NULL, 0, bytes, 1);
    if (copy != NULL) memcpy(copy, path, bytes);
    return copy;
}

static void free_path(const struct pq_alloc *alloc, char *path) {
    if (path != NULL) pq_free(alloc, path, strlen(path) + 1, 1);
}

/// Where `path` is, or would be.
static size_t place_of(const struct memory_store *store, struct pq_text path) {
    size_t low = 0, high = store->count;
    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (pq_text_compare(pq_text_of(store->entries[middle].path), path) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct entry *find(const struct memory_store *store, struct pq_text path) {
    const size_t place = place_of(store, path);
    if (place == store->count) return NULL;
    struct entry *entry = &store->entries[place];
    return pq_text_equal(pq_text_of(entry->path), path) ? entry : NULL;
}

static bool has_directory(const struct memory_store *store, const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) return true;
    const struct entry *parent =
        find(store, (struct pq_text){path, (size_t)(slash - path)});
    return parent != NULL && parent->node->is_directory;
}

/// A new name for `node`, which gains a reference.
static pqdb_code add_entry(struct memory_store *store, const char *path, struct node *node,
                           pqdb_error *err) {
    const struct pq_alloc *alloc = store->base.alloc;
    if (!has_directory(store, path)) {
        return pq_store_fail(err, PQDB_NOT_FOUND, path,
                             "cannot create %s: its directory is missing", path);
    }
    if (store->count == store->capacity) {
        const size_t grown = store->capacity == 0 ? 16 : store->capacity * 2;
        void *entries = pq_resize(alloc, store->entries, store->capacity, grown,
                                  sizeof *store->entries);
        if (entries == NULL) return pq_store_fail(err, PQDB_NO_MEMORY, path, "creating %s", path);
        store->entries = entries;
        store->capacity = grown;
    }
    char *name = copy_path(alloc, path);
    if (name == NULL) return pq_store_fail(err, PQDB_NO_MEMORY, path, "creating %s", path);
    const size_t place = place_of(store, pq_text_of(path));
    memmove(&store->entries[place + 1], &store->entries[place],
            (store->count - place) * sizeof *store->entries);
    store->entries[place] = (struct entry){name, node};
    store->count++;
    node->references++;
    return PQDB_OK;
}

static void remove_entry(struct memory_store *store, struct entry *entry) {
    const size_t place = (size_t)(entry - store->entries);
    free_path(store->base.alloc, entry->path);
    unref_node(store->base.alloc, entry->node);
    store->count--;
    memmove(entry, entry + 1, (store->count - place) * sizeof *entry);
}

static pqdb_code add_node(struct memory_store *store, const char *path, bool is_directory,
                          struct node **node, pqdb_error *err) {
    const struct pq_alloc *alloc = store->base.alloc;
    struct node *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_store_fail(err, PQDB_NO_MEMORY, path, "creating %s", path);
    *made = (struct node){.is_directory = is_directory};
    const pqdb_code code = add_entry(store, path, made, err);
    if (code != PQDB_OK) {
        pq_free(alloc, made, 1, sizeof *made);
        return code;
    }
    *node = made;
    return PQDB_OK;
}

static void memory_destroy(struct pq_store *store) {
    struct memory_store *memory = memory_of(store);
    while (memory->count > 0) remove_entry(memory, &memory->entries[memory->count - 1]);
    pq_free(store->alloc, memory->entries, memory->capacity, sizeof *memory->entries);
    pthread_mutex_destroy(&memory->mutex);
    pq_free(store->alloc, memory, 1, sizeof *memory);
}

static pqdb_code missing(const char *path, const char *act, pqdb_error *err) {
    return pq_store_fail(err, PQDB_NOT_FOUND, path, "cannot %s %s: no such file or directory", act,
                         path);
}

static pqdb_code exists(const char *path, pqdb_error *err) {
    return pq_store_fail(err, PQDB_CONFLICT, path, "cannot create %s: it exists already", path);
}

static pqdb_code find_or_add(struct memory_store *store, const char *path, enum pq_open_mode mode,
                             struct node **node, pqdb_error *err) {
    const struct entry *entry = find(store, pq_text_of(path));
    if (entry == NULL && mode == PQ_OPEN_READ) return missing(path, "open", err);
    if (entry != NULL && mode == PQ_OPEN_NEW) return exists(path, err);
    if (entry == NULL) return add_node(store, path, false, node, err);
    if (entry->node->is_directory) {
        return pq_store_fail(err, PQDB_IO, path, "%s is a directory, not a file", path);
    }
    *node = entry->node;
    return PQDB_OK;
}

static pqdb_code memory_open(struct pq_store *store, const char *path, enum pq_open_mode mode,
                             struct pq_file **file, pqdb_error *err) {
    struct memory_file *opened = pq_resize(store->alloc, NULL, 0, 1, sizeof *opened);
    char *name = copy_path(store->alloc, path);
    struct node *node = NULL;
    pqdb_code code = opened != NULL && name != NULL
                         ? PQDB_OK
                         : pq_store_fail(err, PQDB_NO_MEMORY, path, "opening %s", path);
    if (code == PQDB_OK) {
        lock_store(store);
        code = find_or_add(memory_of(store), path, mode, &node, err);
        if (code == PQDB_OK) node->references++;
        unlock_store(store);
    }
    if (code != PQDB_OK) {
        pq_free(store->alloc, opened, 1, sizeof *opened);
        free_path(store->alloc, name);
        return code;
    }
    *opened = (struct memory_file){.base = {.store = store, .path = name}, .node = node};
    *file = &opened->base;
    return PQDB_OK;
}

static void memory_close(struct pq_file *file) {
    struct pq_store *store = file->store;
    lock_store(store);
    unref_node(store->alloc, node_of(file));
    unlock_store(store);
    free_path(store->alloc, file->path);
    pq_free(store->alloc, file, 1, sizeof(struct memory_file));
}

static pqdb_code memory_read(struct pq_file *file, uint64_t offset, void *out, size_t *length,
                             pqdb_error *err) {
    (void)err;
    lock_store(file->store);
    const struct node *node = node_of(file);
    const size_t left = offset < node->bytes ? node->bytes - (size_t)offset : 0;
    if (*length > left) *length = left;
    if (*length > 0) memcpy(out, node->data + offset, *length);
    unlock_store(file->store);
    return PQDB_OK;
}

/// Make the file at least so long, zeros at its end.
static pqdb_code extend(struct pq_file *file, uint64_t bytes, pqdb_error *err) {
    struct node *node = node_of(file);
    if (bytes <= node->bytes) return PQDB_OK;
    if (bytes > node->capacity) {
        uint64_t grown = (uint64_t)node->capacity + node->capacity / 2;
        if (grown < bytes) grown = bytes;
        void *data = grown > SIZE_MAX / 2 ? NULL
                                          : pq_resize(file->store->alloc, node->data,
                                                      node->capacity, (size_t)grown, 1);
        if (data == NULL) {
            return pq_store_fail(err, PQDB_NO_MEMORY, file->path, "%s with %llu bytes in memory",
                                 file->path, (unsigned long long)bytes);
        }
        node->data = data;
        node->capacity = (size_t)grown;
    }
    memset(node->data + node->bytes, 0, (size_t)bytes - node->bytes);
    node->bytes = (size_t)bytes;
    return PQDB_OK;
}

static pqdb_code memory_write(struct pq_file *file, uint64_t offset, const struct pq_text *pieces,
                              size_t count, pqdb_error *err) {
    uint64_t end = offset;
    for (size_t i = 0; i < count; i++) end += pieces[i].length;
    lock_store(file->store);
    const pqdb_code code = extend(file, end, err);
    if (code == PQDB_OK) {
        uint8_t *at = node_of(file)->data + offset;
        for (size_t i = 0; i < count; i++) {
            if (pieces[i].length > 0) memcpy(at, pieces[i].data, pieces[i].length);
            at += pieces[i].length;
        }
    }
    unlock_store(file->store);
    return code;
}

static pqdb_code memory_sync(struct pq_file *file, pqdb_error *err) {
    (void)file;
    (void)err;
    return PQDB_OK;
}

static pqdb_code memory_size(struct pq_file *file, uint64_t *bytes, pqdb_error *err) {
    (void)err;
    lock_store(file->store);
    *bytes = node_of(file)->bytes;
    unlock_store(file->store);
    return PQDB_OK;
}

static pqdb_code memory_truncate(struct pq_file *file, uint64_t bytes, pqdb_error *err) {
    lock_store(file->store);
    const pqdb_code code = extend(file, bytes, err);
    if (code == PQDB_OK) node_of(file)->bytes = (size_t)bytes;
    unlock_store(file->store);
    return code;
}

static pqdb_code rename_locked(struct memory_store *store, const char *from, const char *to,
                               pqdb_error *err) {
    const struct entry *source = find(store, pq_text_of(from));
    if (source == NULL) return missing(from, "rename", err);
    if (source->node->is_directory) {
        return pq_store_fail(err, PQDB_UNSUPPORTED, from, "directories are not renamed in memory");
    }
    struct node *node = source->node;
    struct entry *target = find(store, pq_text_of(to));
    if (target == NULL) {
        PQ_TRY(add_entry(store, to, node, err));
    } else if (target->node == node) {
        return PQDB_OK;
    } else {
        unref_node(store->base.alloc, target->node);
        target->node = node;
        node->references++;
    }
    remove_entry(store, find(store, pq_text_of(from)));
    return PQDB_OK;
}

static pqdb_code memory_rename(struct pq_store *store, const char *from, const char *to,
                               pqdb_error *err) {
    lock_store(store);
    const pqdb_code code = rename_locked(memory_of(store), from, to, err);
    unlock_store(store);
    return code;
}

static pqdb_code memory_link(struct pq_store *store, const char *from, const char *to,
                             pqdb_error *err) {
    lock_store(store);
    struct memory_store *memory = memory_of(store);
    const struct entry *source = find(memory, pq_text_of(from));
    pqdb_code code;
    if (source == NULL) {
        code = missing(from, "link", err);
    } else if (find(memory, pq_text_of(to)) != NULL) {
        code = exists(to, err);
    } else {
        code = add_entry(memory, to, source->node, err);
    }
    unlock_store(store);
    return code;
}

static pqdb_code memory_unlink(struct pq_store *store, const char *path, pqdb_error *err) {
    lock_store(store);
    struct entry *entry = find(memory_of(store), pq_text_of(path));
    pqdb_code code = PQDB_OK;
    if (entry == NULL) {
        code = missing(path, "remove", err);
    } else if (entry->node->is_directory) {
        code = pq_store_fail(err, PQDB_IO, path, "%s is a directory, not a file", path);
    } else {
        remove_entry(memory_of(store), entry);
    }
    unlock_store(store);
    return code;
}

/// Entries of one directory stand together: they share its path and a '/'.
static pqdb_code list_locked(const struct memory_store *store, const char *directory,
                             struct pq_arena *arena, struct pq_store_list *list, pqdb_error *err) {
    const size_t prefix = *directory == '\0' ? 0 : strlen(directory) + 1;
    struct pq_store_entry *entries = pq_arena_alloc(arena, store->count * sizeof *entries);
    if (entries == NULL) return pq_store_fail(err, PQDB_NO_MEMORY, directory, "listing it");
    size_t count = 0;
    for (size_t i = 0; i < store->count; i++) {
        const struct entry *entry = &store->entries[i];
        if (prefix > 0 && (strncmp(entry->path, directory, prefix - 1) != 0 ||
                           entry->path[prefix - 1] != '/')) {
            continue;
        }
        const char *name = entry->path + prefix;
        if (*name == '\0' || strchr(name, '/') != NULL) continue;
        const struct pq_text copy = pq_arena_copy(arena, pq_text_of(name));
        if (copy.data == NULL) return pq_store_fail(err, PQDB_NO_MEMORY, directory, "listing it");
        entries[count++] = (struct pq_store_entry){.name = copy,
                                                   .bytes = entry->node->bytes,
                                                   .is_directory = entry->node->is_directory};
    }
    *list = (struct pq_store_list){entries, count};
    return PQDB_OK;
}

static pqdb_code memory_list(struct pq_store *store, const char *directory, struct pq_arena *arena,
                             struct pq_store_list *list, pqdb_error *err) {
    lock_store(store);
    const struct entry *entry = find(memory_of(store), pq_text_of(directory));
    const bool is_there = *directory == '\0' || (entry != NULL && entry->node->is_directory);
    const pqdb_code code = is_there ? list_locked(memory_of(store), directory, arena, list, err)
                                    : missing(directory, "list", err);
    unlock_store(store);
    return code;
}

static pqdb_code memory_make_directory(struct pq_store *store, const char *path, pqdb_error *err) {
    lock_store(store);
    const struct entry *entry = find(memory_of(store), pq_text_of(path));
    struct node *node;
    pqdb_code code;
    if (entry == NULL) {
        code = add_node(memory_of(store), path, true, &node, err);
    } else if (entry->node->is_directory) {
        code = exists(path, err);
    } else {
        code = pq_store_fail(err, PQDB_IO, path, "%s is a file, not a directory", path);
    }
    unlock_store(store);
    return code;
}

static pqdb_code memory_sync_directory(struct pq_store *store, const char *path, pqdb_error *err) {
    lock_store(store);
    const struct entry *entry = find(memory_of(store), pq_text_of(path));
    const bool is_there = *path == '\0' || (entry != NULL && entry->node->is_directory);
    unlock_store(store);
    return is_there ? PQDB_OK : missing(path, "sync", err);
}

static pqdb_code memory_lock(struct pq_store *store, const char *path, struct pq_lock **lock,
                             pqdb_error *err) {
    struct memory_lock *held = pq_resize(store->alloc, NULL, 0, 1, sizeof *held);
    if (held == NULL) return pq_store_fail(err, PQDB_NO_MEMORY, path, "locking %s", path);
    struct node *node = NULL;
    lock_store(store);
    pqdb_code code = find_or_add(memory_of(store), path, PQ_OPEN_WRITE, &node, err);
    if (code == PQDB_OK && node->is_locked) {
        code = pq_store_fail(err, PQDB_CONFLICT, path,
                             "process %ld is writing here: end it, or send it the command",
                             (long)getpid());
    }
    if (code == PQDB_OK) {
        node->is_locked = true;
        node->references++;
    }
    unlock_store(store);
    if (code != PQDB_OK) {
        pq_free(store->alloc, held, 1, sizeof *held);
        return code;
    }
    *held = (struct memory_lock){.base = {.store = store}, .node = node};
    *lock = &held->base;
    return PQDB_OK;
}

static pqdb_code memory_share(struct pq_store *store, const char *path, uint64_t number,
                              struct pq_lock **lock, pqdb_error *err) {
    struct memory_lock *held = pq_resize(store->alloc, NULL, 0, 1, sizeof *held);
    if (held == NULL) return pq_store_fail(err, PQDB_NO_MEMORY, path, "locking %s", path);
    lock_store(store);
    *held = (struct memory_lock){.base = {.store = store}, .number = number,
                                 .next = memory_of(store)->shared};
    memory_of(store)->shared = held;
    unlock_store(store);
    *lock = &held->base;
    return PQDB_OK;
}

static pqdb_code memory_is_shared(struct pq_store *store, const char *path, uint64_t below,
                                  bool *is_shared, pqdb_error *err) {
    (void)path, (void)err;
    *is_shared = false;
    lock_store(store);
    for (const struct memory_lock *at = memory_of(store)->shared; at != NULL; at = at->next) {
        *is_shared = *is_shared || at->number < below;
    }
    unlock_store(store);
    return PQDB_OK;
}

static void memory_unlock(struct pq_lock *lock) {
    struct pq_store *store = lock->store;
    struct memory_lock *held = (struct memory_lock *)lock;
    lock_store(store);
    if (held->node != NULL) {
        held->node->is_locked = false;
        unref_node(store->alloc, held->node);
    } else {
        struct memory_lock **link = &memory_of(store)->shared;
        while (*link != held) link = &(*link)->next;
        *link = held->next;
    }
    unlock_store(store);
    pq_free(store->alloc, held, 1, sizeof *held);
}

static const struct pq_store_ops memory_ops = {
    .kind = "memory",
    .destroy = memory_destroy,
    .open = memory_open,
    .close = memory_close,
    .read = memory_read,
    .write = memory_write,
    .sync = memory_sync,
    .size = memory_size,
    .truncate = memory_truncate,
    .rename = memory_rename,
    .link = memory_link,
    .unlink = memory_unlink,
    .list = memory_list,
    .make_directory = memory_make_directory,
    .sync_directory = memory_sync_directory,
    .lock = memory_lock,
    .share = memory_share,
    .is_shared = memory_is_shared,
    .unlock = memory_unlock,
};

pqdb_code pq_store_open_memory(const struct pq_alloc *alloc, struct pq_store **store,
                               pqdb_error *err) {
    struct memory_store *opened = pq_resize(alloc, NULL, 0, 1, sizeof *opened);
    if (opened == NULL) return pq_store_fail(err, PQDB_NO_MEMORY, "", "a store in memory");
    *opened = (struct memory_store){.base = {.ops = &memory_ops, .alloc = alloc}};
    pthread_mutex_init(&opened->mutex, NULL);
    *store = &opened->base;
    return PQDB_OK;
}
