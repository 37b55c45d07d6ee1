#include "store/pace.h"

#include <pthread.h>

#include "base/check.h"
#include "base/fail.h"

enum {
    idle_step_bytes = 8 << 20,  // nobody waits: fewer syncs
    raise_bytes = PQ_PACE_RATE_MAX / 256,
    halving_pause_ns = 10 * 1000 * 1000,  // one slow sync is one reason, not several
    syncs_to_learn = 16,
};

struct grave {
    struct pq_file *file;  // owned
    uint64_t bytes;
    struct grave *next;
};

struct pq_pace {
    struct pq_store *store;
    const struct pq_env *env;

    // Written by the leader without a lock; a lost update costs precision only.
    _Atomic uint64_t rate;
    _Atomic uint64_t average_ns;  // of a commit's sync
    _Atomic uint64_t syncs;
    _Atomic uint64_t last_sync_at;
    _Atomic uint64_t last_halved_at;

    pthread_mutex_t mutex;  // what follows
    uint64_t free_at;       // when the bytes spent so far are paid for
    struct grave *oldest;
    struct grave *newest;
    size_t buried;
    uint64_t buried_bytes;
    uint64_t last_shrink_at;
};

static uint64_t now_ns(const struct pq_pace *pace) {
    return pace->env->monotonic_ns(pace->env->ctx);
}

pqdb_code pq_pace_create(struct pq_store *store, const struct pq_env *env, struct pq_pace **pace,
                         pqdb_error *err) {
    struct pq_pace *made = pq_resize(store->alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "pacing of background writes");
    *made = (struct pq_pace){.store = store, .env = env, .rate = PQ_PACE_RATE_MAX};
    pthread_mutex_init(&made->mutex, NULL);
    *pace = made;
    return PQDB_OK;
}

/// Out of the queue; the mutex is held, or nobody else is there.
static void remove_oldest(struct pq_pace *pace) {
    struct grave *grave = pace->oldest;
    pace->oldest = grave->next;
    if (pace->oldest == NULL) pace->newest = NULL;
    pace->buried--;
    pace->buried_bytes -= grave->bytes;
    pq_file_close(grave->file);
    pq_free(pace->store->alloc, grave, 1, sizeof *grave);
}

void pq_pace_destroy(struct pq_pace *pace) {
    if (pace == NULL) return;
    while (pace->oldest != NULL) remove_oldest(pace);
    pthread_mutex_destroy(&pace->mutex);
    pq_free(pace->store->alloc, pace, 1, sizeof *pace);
}

void pq_pace_note_sync(struct pq_pace *pace, uint64_t sync_ns) {
    const uint64_t now = now_ns(pace), average = pace->average_ns, syncs = pace->syncs;
    pace->last_sync_at = now;
    pace->syncs = syncs + 1;
    if (syncs < syncs_to_learn) {
        pace->average_ns = (average * syncs + sync_ns) / (syncs + 1);
        return;
    }
    const bool is_slow = sync_ns > average * 8;
    // A slow one counts as 8 times the average, so that the yardstick does not run away.
    const uint64_t counted = is_slow ? average * 8 : sync_ns;
    pace->average_ns = average - average / 64 + counted / 64;
    if (is_slow && now - pace->last_halved_at >= halving_pause_ns) {
        const uint64_t halved = pace->rate / 2;
        pace->rate = halved < PQ_PACE_RATE_MIN ? PQ_PACE_RATE_MIN : halved;
        pace->last_halved_at = now;
    }
}

uint64_t pq_pace_rate(const struct pq_pace *pace) {
    if (pace->syncs == 0 || now_ns(pace) - pace->last_sync_at > PQ_PACE_IDLE_NS) {
        return UINT64_MAX;
    }
    return pace->rate;
}

/// The rate for what comes now; what follows may be a little faster.
static uint64_t take_rate(struct pq_pace *pace) {
    const uint64_t rate = pq_pace_rate(pace);
    if (rate == UINT64_MAX) return rate;
    const uint64_t raised = rate + raise_bytes;
    pace->rate = raised > PQ_PACE_RATE_MAX ? PQ_PACE_RATE_MAX : raised;
    return rate;
}

void pq_pace_spend(struct pq_pace *pace, uint64_t bytes) {
    const uint64_t rate = take_rate(pace);
    if (rate == UINT64_MAX) return;
    pthread_mutex_lock(&pace->mutex);
    const uint64_t now = now_ns(pace);
    const uint64_t start = pace->free_at > now ? pace->free_at : now;
    pace->free_at = start + (uint64_t)((double)bytes * 1e9 / (double)rate);
    pthread_mutex_unlock(&pace->mutex);
    if (start > now) pace->env->sleep_ns(pace->env->ctx, start - now);
}

/// As much is given back as is written, where so much is buried: who writes without a pause leaves
/// nobody the time to shrink.
static void keep_up(struct pq_pace *pace, uint64_t written) {
    for (uint64_t freed = 0; freed < written; freed += PQ_PACE_STEP_BYTES) pq_pace_shrink(pace);
}

pqdb_code pq_pace_write(struct pq_pace *pace, struct pq_file *file, uint64_t offset,
                        struct pq_text data, pqdb_error *err) {
    while (data.length > 0) {
        const bool is_idle = pace == NULL || pq_pace_rate(pace) == UINT64_MAX;
        size_t step = is_idle ? idle_step_bytes : PQ_PACE_STEP_BYTES;
        if (step > data.length) step = data.length;
        if (!is_idle) pq_pace_spend(pace, step);
        const struct pq_text piece = {data.data, step};
        PQ_TRY(pq_file_write(file, offset, &piece, 1, err));
        PQ_TRY(pq_file_sync(file, err));
        if (pace != NULL) keep_up(pace, step);
        data.data += step;
        data.length -= step;
        offset += step;
    }
    return PQDB_OK;
}

static void dig_in(struct pq_pace *pace, struct grave *grave) {
    pthread_mutex_lock(&pace->mutex);
    if (pace->newest == NULL) {
        pace->oldest = grave;
    } else {
        pace->newest->next = grave;
    }
    pace->newest = grave;
    pace->buried++;
    pace->buried_bytes += grave->bytes;
    pthread_mutex_unlock(&pace->mutex);
}

pqdb_code pq_pace_bury(struct pq_pace *pace, const char *path, pqdb_error *err) {
    struct pq_store *store = pace->store;
    struct grave *grave = pq_resize(store->alloc, NULL, 0, 1, sizeof *grave);
    struct pq_file *file = NULL;
    if (grave == NULL) return pq_store_fail(err, PQDB_NO_MEMORY, path, "removing %s", path);
    *grave = (struct grave){.bytes = 0};
    pqdb_code code;
    PQ_GO(pq_file_open(store, path, PQ_OPEN_READ, &file, err));
    PQ_GO(pq_file_size(file, &grave->bytes, err));
    if (grave->bytes > PQ_PACE_STEP_BYTES) {
        PQ_GO(pq_file_open(store, path, PQ_OPEN_WRITE, &grave->file, err));
    } else if (grave->bytes > 0 && pq_pace_buried(pace) < PQ_PACE_GRAVES_MAX) {
        grave->file = file;
        file = NULL;
    }
    PQ_GO(pq_store_unlink(store, path, err));
    if (grave->file != NULL) {
        dig_in(pace, grave);
        grave = NULL;
    }
done:
    pq_file_close(file);
    if (grave != NULL) {
        pq_file_close(grave->file);
        pq_free(store->alloc, grave, 1, sizeof *grave);
    }
    return code;
}

/// How long deleting rests after a step.
static uint64_t rest_ns(uint64_t rate) {
    return rate == UINT64_MAX ? PQ_PACE_SHRINK_NS
                              : PQ_PACE_SHRINK_NS * (uint64_t)PQ_PACE_RATE_MAX / rate;
}

/// The mutex is held.
static void shrink_oldest(struct pq_pace *pace) {
    struct grave *grave = pace->oldest;
    if (grave->bytes <= PQ_PACE_STEP_BYTES) {
        remove_oldest(pace);
        return;
    }
    grave->bytes -= PQ_PACE_STEP_BYTES;
    pace->buried_bytes -= PQ_PACE_STEP_BYTES;
    // A file that cannot be shrunk is given back whole: it has no name to return to.
    if (pq_file_truncate(grave->file, grave->bytes, NULL) != PQDB_OK) remove_oldest(pace);
}

uint64_t pq_pace_shrink(struct pq_pace *pace) {
    pthread_mutex_lock(&pace->mutex);
    uint64_t due = UINT64_MAX;
    if (pace->oldest != NULL) {
        const uint64_t now = now_ns(pace), since = now - pace->last_shrink_at;
        uint64_t rest = rest_ns(pq_pace_rate(pace));
        if (since < rest && pace->buried_bytes <= PQ_PACE_BURIED_MAX) {
            due = rest - since;
        } else {
            pace->last_shrink_at = now;
            rest = rest_ns(take_rate(pace));
            shrink_oldest(pace);
            due = pace->oldest == NULL ? UINT64_MAX : rest;
        }
    }
    pthread_mutex_unlock(&pace->mutex);
    return due;
}

size_t pq_pace_buried(struct pq_pace *pace) {
    pthread_mutex_lock(&pace->mutex);
    const size_t buried = pace->buried;
    pthread_mutex_unlock(&pace->mutex);
    return buried;
}
