/// Goal: updates, upserts, deletes and replacements with tokens are there whole or not at all,
/// whatever store call the power fails in, whatever call or allocation fails: after a reopen the
/// state is that of the last acknowledged step or the one behind it, the steps can be repeated from
/// there by their tokens, and every view is exact.
/// PQ_TEST_STRIDE=1 tries every call in every way.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/test.h"

enum { ways = 4, stride_default = 7 };

static pqdb_error err;
static long stride = stride_default;

static const char schema[] =
    "{ C: { name: 'string' },\n"
    "  T: { n: 'int!', u: 'string##', c: '-> C', l: 'string[]', a: { x: 'int' },\n"
    "       d: 'decimal(8,2) = 1' },\n"
    "  F: { $ingest: 'custom:f', x: 'int!' },\n"
    "  Low: { $from: 'T', $filter: { n: { $lt: 5 } } },\n"
    "  Tags: { $from: 'T', $unnest: 'l' },\n"
    "  PerTag: { $from: 'Tags', $groupBy: ['l'], $compute: { rows: { $count: '*' } } },\n"
    "  ByC: { $from: 'T', $groupBy: ['c'], $compute: { rows: { $count: '*' },\n"
    "    sum: { $sum: 'd' }, low: { $min: 'n' }, high: { $max: 'n' }, first: { $first: 'n' } } },\n"
    "  All: { $from: 'F', $compute: { sum: { $sum: 'x' } } } }";

/// One write each; NULL operators and rows: a checkpoint.
static const struct step {
    const char *verb, *name, *where, *text;
} steps[] = {
    {"create", "C", "", "[{\"$id\":\"ann\"},{\"$id\":\"bob\"}]"},
    {"create", "T", "",
     "[{\"$id\":\"1\",\"n\":1,\"u\":\"a\",\"c\":\"ann\",\"l\":[\"x\",\"y\"],\"more\":{\"k\":1}},"
     "{\"$id\":\"2\",\"n\":2,\"u\":\"b\",\"c\":\"bob\",\"l\":[\"x\"]},"
     "{\"$id\":\"3\",\"n\":3,\"c\":\"ann\"}]"},
    {"update", "T", "1", "{ $inc: { n: 10, d: 0.5 }, $push: { l: 'z' }, $set: { 'a.x': 1 } }"},
    {"update", "T", "{ n: { $lt: 5 } }", "{ $set: { c: 'bob' }, $addToSet: { l: 'w' } }"},
    {"upsert", "T", "{ $id: '4', u: 'd' }", "{ $set: { n: 4 }, $setOnInsert: { l: ['new'] } }"},
    {"checkpoint", "", "", ""},
    {"update", "T", "{}", "{ $inc: { n: 1 }, $rename: { more: 'less' } }"},
    {"delete", "T", "2", ""},
    {"upsert", "T", "{ u: 'd' }", "{ $inc: { n: 1 }, $pull: { l: 'new' } }"},
    {"create", "F", "", "[{\"$id\":\"f\",\"x\":1},{\"$id\":\"g\",\"x\":2}]"},
    {"replace", "T", "",
     "[{\"$id\":\"1\",\"n\":0,\"u\":\"b\"},{\"$id\":\"2\",\"n\":9,\"u\":\"a\"}]"},
    {"update", "F", "f", "{ $mul: { x: 10 } }"},
    {"checkpoint", "", "", ""},
    {"delete", "T", "{ n: { $gt: 4 } }", ""},
    {"create", "T", "", "[{\"$id\":\"2\",\"n\":5,\"u\":\"c\",\"c\":\"ann\"}]"},
    {"update", "T", "{ $id: { $in: ['1', '2'] } }", "{ $unset: { u: 1 }, $max: { n: 3 } }"},
    {"delete", "F", "{}", ""},
    {"checkpoint", "", "", ""},
};
enum { step_count = sizeof steps / sizeof *steps };

static pqdb_code run_step(pqdb_db *db, unsigned number) {
    const struct step *step = &steps[number];
    char token[16];
    snprintf(token, sizeof token, "s%u", number);
    const pqdb_edit edit = {.where = step->where, .operators = step->text};
    pqdb_write_options options = {.token = token};
    if (strcmp(step->verb, "checkpoint") == 0) return pqdb_checkpoint(db, &err);
    if (strcmp(step->verb, "update") == 0) {
        return pqdb_update(db, step->name, &edit, &options, NULL, &err);
    }
    if (strcmp(step->verb, "upsert") == 0) {
        return pqdb_upsert(db, step->name, &edit, &options, NULL, &err);
    }
    if (strcmp(step->verb, "delete") == 0) {
        return pqdb_delete(db, step->name, step->where, &options, NULL, &err);
    }
    if (strcmp(step->verb, "replace") == 0) options.on_conflict = "replace";
    return pqdb_create(db, step->name, step->text, strlen(step->text), &options, NULL, &err);
}

// ---- what a database holds --------------------------------------------------------------------

static pqdb_code dump_one(pqdb_db *db, const char *name, const char *select,
                          struct pq_bytes *out) {
    pqdb_rows *rows;
    const pqdb_find_options options = {.select = select};
    pqdb_code code = pqdb_find(db, name, &options, &rows, &err);
    bool has_row = code == PQDB_OK;
    while (has_row) {
        size_t length;
        code = pqdb_rows_next(rows, &has_row, &err);
        if (code != PQDB_OK || !has_row) break;
        const char *json = pqdb_rows_json(rows, &length);
        pq_bytes_append(out, json, length, NULL);
        pq_bytes_append_byte(out, '\n', NULL);
    }
    if (code == PQDB_OK) pqdb_rows_close(rows);
    return code;
}

/// Everything but times, as text.
static void dump(pqdb_db *db, struct pq_bytes *out) {
    out->length = 0;
    const pqdb_code code =
        dump_one(db, "T", "$id,n,u,c,l,a,d,more,less,version", out) == PQDB_OK &&
                dump_one(db, "C", "$id,version", out) == PQDB_OK &&
                dump_one(db, "F", "$id,x,version", out) == PQDB_OK
            ? PQDB_OK
            : err.code;
    CHECK(code == PQDB_OK, "dump: %s", err.message);
    pq_bytes_append_byte(out, '\0', NULL);
}

/// The state after each step of a world without faults; [0] before the first.
static struct pq_bytes states[step_count + 1];

static struct pq_open_with open_with(struct pq_store *store, const struct pq_alloc *alloc) {
    return (struct pq_open_with){.store = store, .location = "file:///w", .env = &db_world_env,
                                 .alloc = alloc, .no_keeper = true,
                                 .log_segment_bytes = 1 << 13};
}

static pqdb_code make(struct pq_store *store) {
    const struct pq_open_with with = open_with(store, &pq_alloc_libc);
    return pq_db_init_with(&with, pq_text_of(schema), &err);
}

static pqdb_code open_db(struct pq_store *store, const struct pq_alloc *alloc, pqdb_db **db) {
    const struct pq_open_with with = open_with(store, alloc);
    return pq_db_open_with(&with, NULL, db, &err);
}

static void learn_states(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db;
    CHECK(make(&disk->base) == PQDB_OK && open_db(&disk->base, &pq_alloc_libc, &db) == PQDB_OK,
          "%s", err.message);
    for (unsigned i = 0; i <= step_count; i++) {
        pq_bytes_init(&states[i], &pq_alloc_libc);
        if (i > 0) CHECK(run_step(db, i - 1) == PQDB_OK, "step %u: %s", i, err.message);
        dump(db, &states[i]);
    }
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
}

// ---- a life with a fault ----------------------------------------------------------------------

/// Steps until one fails; returns how many were acknowledged.
static unsigned live(struct pq_store *store, const struct pq_alloc *alloc, pqdb_code *code) {
    unsigned done = 0;
    pqdb_db *db;
    *code = open_db(store, alloc, &db);
    if (*code != PQDB_OK) return 0;
    while (done < step_count && (*code = run_step(db, done)) == PQDB_OK) done++;
    pqdb_error late;
    const pqdb_code closed = pqdb_close(db, &late);
    if (*code == PQDB_OK && closed != PQDB_OK) {
        err = late;
        *code = closed;
    }
    return done;
}

static void check_disk(struct pq_store *store, unsigned done, const char *what, long number) {
    pqdb_db *db;
    struct pq_bytes now;
    const pqdb_code code = open_db(store, &pq_alloc_libc, &db);
    CHECK(code == PQDB_OK, "%s %ld: %s: %s", what, number, err.subject, err.message);
    if (code != PQDB_OK) return;
    pq_bytes_init(&now, &pq_alloc_libc);
    dump(db, &now);
    const unsigned next = done < step_count ? done + 1 : done;
    CHECK(strcmp((char *)now.data, (char *)states[done].data) == 0 ||
              strcmp((char *)now.data, (char *)states[next].data) == 0,
          "%s %ld after %u steps:\n%s\nnot\n%s", what, number, done, (char *)now.data,
          (char *)states[done].data);
    db_world_verify(db, what, number);
    for (unsigned i = done; i < step_count; i++) {
        CHECK(run_step(db, i) == PQDB_OK, "%s %ld: step %u again: %s: %s", what, number, i,
              err.subject, err.message);
    }
    dump(db, &now);
    CHECK(strcmp((char *)now.data, (char *)states[step_count].data) == 0, "%s %ld at its end:\n%s",
          what, number, (char *)now.data);
    db_world_verify(db, what, number);
    pq_bytes_deinit(&now);
    pqdb_close(db, NULL);
}

static long count_calls(long *before) {
    struct fault_store *disk = fault_store_create();
    pqdb_code code;
    CHECK(make(&disk->base) == PQDB_OK, "%s", err.message);
    *before = disk->calls;
    CHECK(live(&disk->base, &pq_alloc_libc, &code) == step_count && code == PQDB_OK, "%s",
          err.message);
    const long calls = disk->calls;
    check_disk(&disk->base, step_count, "no fault", 0);
    fault_store_destroy(disk);
    return calls;
}

static void every_call_may_be_the_last(void) {
    long first;
    const long calls = count_calls(&first);
    for (long k = first; k < calls; k += stride) {
        struct fault_store *disk = fault_store_create();
        pqdb_code code;
        make(&disk->base);
        disk->down_at = k;
        const unsigned done = live(&disk->base, &pq_alloc_libc, &code);
        for (long way = 0; way < ways; way++) {
            if (stride > 1 && way != k / stride % ways) continue;
            const enum fault_mode mode = way == 0   ? FAULT_ALL_LOST
                                         : way == 1 ? FAULT_ALL_KEPT
                                                    : FAULT_SOME_KEPT;
            struct fault_store *next =
                fault_store_crash(disk, mode, (uint64_t)(way * 10000 + k));
            check_disk(&next->base, done, "crash in call", k);
            fault_store_destroy(next);
        }
        fault_store_destroy(disk);
    }
}

static void every_call_may_fail_once(void) {
    long first;
    const long calls = count_calls(&first);
    for (long k = first; k < calls; k += stride) {
        struct fault_store *disk = fault_store_create();
        pqdb_code code;
        make(&disk->base);
        disk->fail_at = k;
        disk->fail_errno = k % 2 == 0 ? EIO : ENOSPC;
        const unsigned done = live(&disk->base, &pq_alloc_libc, &code);
        CHECK(code == PQDB_OK || code == PQDB_IO || code == PQDB_LIMIT, "call %ld: code %d: %s", k,
              (int)code, err.message);
        check_disk(&disk->base, done, "error in call", k);
        fault_store_destroy(disk);
    }
}

static void every_allocation_may_fail(void) {
    long n = 0;
    for (bool finished = false; !finished; n += 9 * stride - 8) {
        struct fault_store *disk = fault_store_create();
        struct failing_alloc failing = {.left = n};
        failing.alloc = (struct pq_alloc){failing_resize, &failing};
        pqdb_code code;
        make(&disk->base);
        const unsigned done = live(&disk->base, &failing.alloc, &code);
        finished = failing.left >= 0;
        CHECK(code == PQDB_OK || code == PQDB_NO_MEMORY, "allocation %ld: code %d: %s: %s", n,
              (int)code, err.subject, err.message);
        CHECK(failing.live_bytes == 0, "allocation %ld: %ld bytes leaked", n, failing.live_bytes);
        check_disk(&disk->base, done, "allocation", n);
        fault_store_destroy(disk);
    }
    fprintf(stderr, "    %ld allocations\n", n);
}

int main(void) {
    const char *asked = getenv("PQ_TEST_STRIDE");
    if (asked != NULL) stride = strtol(asked, NULL, 10);
    RUN(learn_states);
    RUN(every_call_may_be_the_last);
    RUN(every_call_may_fail_once);
    RUN(every_allocation_may_fail);
    for (unsigned i = 0; i <= step_count; i++) pq_bytes_deinit(&states[i]);
    return test_done();
}
