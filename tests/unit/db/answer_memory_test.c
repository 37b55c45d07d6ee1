/// Goal: an answer of more rows than the memory budget has room for comes in windows, every row
/// once and in order; a change of more is refused with a remedy before anything is written.
#include <parquedb/query.h>
#include <parquedb/write.h>
#include <stdatomic.h>
#include <string.h>

#include "support/db_calls.h"

enum { ROWS = 140000, BATCH = 20000, LIMIT = 16 << 20, PAD = 160 };

static pqdb_error err;
static struct fault_store *disk;

/// The most that was held at once.
static atomic_size_t held, most;

static void *count_resize(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes) {
    (void)ctx;
    void *moved = pq_alloc_libc.resize(NULL, ptr, old_bytes, new_bytes);
    held += new_bytes - (ptr == NULL ? 0 : old_bytes);
    if (held > most) most = held;
    return moved;
}

static const struct pq_alloc counting = {.resize = count_resize};

static pqdb_db *open_with(size_t memory_bytes) {
    struct pq_open_with with = db_with(disk);
    const pqdb_options options = {.memory_bytes = memory_bytes};
    pqdb_db *db = NULL;
    with.alloc = &counting;
    MUST(pq_db_open_with(&with, &options, &db, &err));
    if (db == NULL) exit(test_done());
    return db;
}

/// Row i has n = i * 7919 % ROWS, which is every number once, and a text of PAD characters.
static void fill(void) {
    pqdb_db *db = db_make(db_with(disk), "{ Item: { n: 'int!', pad: 'string' } }");
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (unsigned first = 0; first < ROWS; first += BATCH) {
        text.length = 0;
        for (unsigned i = first; i < first + BATCH; i++) {
            MUST(pq_bytes_printf(&text, &err, "{\"$id\":\"%06u\",\"n\":%u,\"pad\":\"%0*u\"}\n", i,
                                 i * 7919 % ROWS, PAD, i));
        }
        MUST(pq_bytes_append_byte(&text, 0, &err));
        db_put(db, "Item", (const char *)text.data);
        MUST(pqdb_checkpoint(db, &err));
    }
    pq_bytes_deinit(&text);
    MUST(pqdb_close(db, &err));
}

/// The most that was held for an answer of all rows, beside what was there; its order is checked.
static size_t ask(pqdb_db *db, const char *sort, bool is_ordered) {
    const pqdb_find_options options = {.sort = sort};
    const size_t before = held;
    pqdb_rows *rows = NULL;
    bool has_row = true;
    unsigned left = ROWS;
    most = held;
    MUST(pqdb_find(db, "Item", &options, &rows, &err));
    while (rows != NULL) {
        size_t length;
        MUST(pqdb_rows_next(rows, &has_row, &err));
        if (!has_row) break;
        const char *json = pqdb_rows_json(rows, &length), *n = strstr(json, "\"n\":");
        left--;
        CHECK(n != NULL && (!is_ordered || strtoul(n + 4, NULL, 10) == left), "%u: %s", left, json);
    }
    pqdb_rows_close(rows);
    CHECK(left == 0, "%u rows are missing", left);
    return most - before;
}

static void an_answer_comes_in_windows(void) {
    disk = fault_store_create();
    fill();
    pqdb_db *db = open_with(LIMIT);
    const size_t streamed = ask(db, "none", false), ordered = ask(db, "{ n: -1 }", true);
    // All rows are 35 MiB; LIMIT gives an answer 8, and as much again while it leaves some behind.
    CHECK(ordered < streamed + 2 * LIMIT,
          "%zu KiB, %zu when streamed", ordered >> 10, streamed >> 10);
    MUST(pqdb_close(db, &err));
}

static void a_change_of_too_much_is_refused(void) {
    static const char operators[] = "{ $inc: { n: 1 } }";
    pqdb_db *db = open_with(LIMIT);
    const pqdb_edit all = {.where = "{}", .operators = operators};
    const pqdb_edit few = {.where = "{ n: { $lt: 100 } }", .operators = operators};
    pqdb_written written;
    CHECK(pqdb_update(db, "Item", &all, NULL, NULL, &err) == PQDB_LIMIT, "%s", err.message);
    CHECK(strstr(err.message, "narrower filter") != NULL, "%s", err.message);
    CHECK(pqdb_delete(db, "Item", "{}", NULL, NULL, &err) == PQDB_LIMIT, "%s", err.message);
    CHECK(db_count(db, "Item", "{ n: 0 }") == 1, "changed all the same");
    MUST(pqdb_update(db, "Item", &few, NULL, &written, &err));
    CHECK(written.changed == 100, "%llu rows", (unsigned long long)written.changed);
    MUST(pqdb_close(db, &err));
    db = open_with(64 * LIMIT);
    MUST(pqdb_update(db, "Item", &all, NULL, &written, &err));
    CHECK(written.changed == ROWS, "%llu rows", (unsigned long long)written.changed);
    db_end(db, disk);
}

int main(void) {
    RUN(an_answer_comes_in_windows);
    RUN(a_change_of_too_much_is_refused);
    return test_done();
}
