/// A store for fault tests: it counts calls, fails the one it is told to, and loses power.
///
/// It wraps a store in memory and remembers for each file what was synced and what was written
/// since, and for each directory which names are not synced yet. fault_store_crash makes the world
/// that the next start finds: every unsynced sector kept, lost or torn, every unsynced name
/// there or not, as the mode and the seed say. Writes never harm bytes outside them. After a
/// failed sync memory shows what was written, and the disk will never have it: the worst that
/// Linux does.
///
///     struct fault_store *disk = fault_store_create();
///     disk->down_at = 17;                       // the power fails in call 17
///     work(&disk->base);
///     struct fault_store *next = fault_store_crash(disk, FAULT_SOME_KEPT, seed);
///     fault_store_destroy(disk);                // after closing what is open there
///
/// One thread changes it; others may read. Calls that change something are counted; reads only with
/// counts_reads.
#ifndef PQ_TEST_FAULT_STORE_H
#define PQ_TEST_FAULT_STORE_H

#include <stdatomic.h>

#include "store/store.h"

enum fault_mode { FAULT_ALL_LOST, FAULT_ALL_KEPT, FAULT_SOME_KEPT };

struct fault_image;
struct fault_name;

struct fault_store {
    struct pq_store base;
    struct pq_store *inner;  // owned
    atomic_long calls;       // so far
    long fail_at;            // this call (from 0) fails, a write in its middle; -1: none
    long fail_count;         // and so many after it; set to 1 at creation
    int fail_errno;          // EIO at creation
    long down_at;            // the power fails in this call; -1: never
    bool counts_reads;
    size_t sector_bytes;     // what is kept or lost as one; 512 at creation, at most 4096
    /// Called in each counted call, when a crash would find what it would find then: behind its
    /// effect, of a sync before it. NULL: nobody.
    void (*on_call)(void *ctx, struct fault_store *disk, const char *path);
    void *on_call_ctx;
    atomic_bool is_down;
    size_t syncs;              // calls of sync that succeeded
    struct fault_image *images;  // owned
    struct fault_name *durable;  // owned: names that survive
    struct fault_name *pending;  // owned: changes of names since, in order
};

struct fault_store *fault_store_create(void);

/// What is left after the power failed now. The old store stays as it was.
struct fault_store *fault_store_crash(struct fault_store *disk, enum fault_mode mode,
                                      uint64_t seed);
/// Of all that is on the disk; equal disks have equal hashes.
uint64_t fault_store_hash(const struct fault_store *disk);
void fault_store_destroy(struct fault_store *disk);

/// Change one byte of a file behind everybody's back; false when the file is shorter.
bool fault_store_flip(struct pq_store *store, const char *path, uint64_t offset, uint8_t mask);

#endif
