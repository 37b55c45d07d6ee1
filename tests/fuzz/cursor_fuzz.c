/// Any bytes as the cursor of a paged answer: it is refused as an argument, or what follows is the
/// end of the whole answer, from some row on, and its own cursors lead on to the same rows. The
/// first byte chooses the order. Mutations would all die at the checksum and the hash of the
/// question, so these are made right first, for most.
#include <parquedb/query.h>
#include <parquedb/write.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/check.h"
#include "base/hash.h"
#include "db/open_with.h"
#include "support/db_world.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { rows_max = 96, orders = 6, head_bytes = 9, check_bytes = 8, page = 7, input_max = 1 << 12,
       raw = 0x80 };

static const char schema[] = "{ T: { n: 'int', x: 'double', s: 'string', b: 'boolean',\n"
                             "       at: 'timestamp', d: 'decimal(6,2)' } }";
static const char *const sorts[orders] = {NULL, "{ n: 1 }", "{ x: -1, s: 1 }", "{ s: -1 }",
                                          "{ b: 1, at: -1, d: 1 }", "{ other: 1, d: -1 }"};

static struct {
    pqdb_db *db;
    char ids[orders][rows_max][16];  // the whole answer in each order
    size_t count;
    uint8_t question[orders][8];     // as the cursors of each order have it
} world;

static void must(pqdb_code code) {
    if (code != PQDB_OK) __builtin_trap();
}

static void put_rows(pqdb_db *db, int first, int count) {
    static const char *const texts[] = {"\"\"", "\"a\"", "null", "\"a\\u0000b\"", "\"ü\"",
                                        "\"zz\""};
    struct pq_bytes rows;
    pq_bytes_init(&rows, &pq_alloc_libc);
    for (int i = first; i < first + count; i++) {
        pq_bytes_printf(&rows, NULL, "{\"$id\":\"t%03d\"", i * 37 % 101);
        if (i % 4 > 0) pq_bytes_printf(&rows, NULL, ",\"n\":%d", (i * 7 % 9 - 4) * 1000);
        if (i % 5 > 0) pq_bytes_printf(&rows, NULL, ",\"x\":%d.5e%d", i % 3 - 1, i % 7 * 40);
        pq_bytes_printf(&rows, NULL, ",\"s\":%s,\"b\":%s", texts[i % 6],
                        i % 3 == 0 ? "null" : i % 2 == 0 ? "true" : "false");
        pq_bytes_printf(&rows, NULL, ",\"at\":\"19%02d-01-15T10:00:00Z\",\"d\":%d.25", 50 + i % 40,
                        i % 11 - 5);
        pq_bytes_printf(&rows, NULL, ",\"other\":%s}\n", i % 2 == 0 ? "[1,\"x\"]" : texts[i % 6]);
    }
    must(pqdb_create(db, "T", (const char *)rows.data, rows.length, NULL, NULL, NULL));
    pq_bytes_deinit(&rows);
}

/// Ids in `ids`, at most `limit` (0: all).
static size_t read_ids(unsigned order, const char *cursor, uint64_t limit, char ids[][16],
                       char next[input_max]) {
    const pqdb_find_options options = {.sort = sorts[order], .cursor = cursor, .limit = limit,
                                       .select = "$id"};
    pqdb_rows *rows;
    must(pqdb_find(world.db, "T", &options, &rows, NULL));
    size_t count = 0, length;
    bool has_row, is_null;
    while (must(pqdb_rows_next(rows, &has_row, NULL)), has_row) {
        pq_assert(count < rows_max);
        snprintf(ids[count++], 16, "%s", pqdb_rows_cell(rows, 0, &length, &is_null));
    }
    if (next != NULL) snprintf(next, input_max, "%s", pqdb_rows_cursor(rows));
    pqdb_rows_close(rows);
    return count;
}

static void make(void) {
    static char location[] = "file:///fuzz";
    struct pq_store *store;
    must(pq_store_open_memory(&pq_alloc_libc, &store, NULL));
    const struct pq_open_with with = {.store = store, .location = location, .env = &db_world_env,
                                      .alloc = &pq_alloc_libc, .no_keeper = true};
    must(pq_db_init_with(&with, pq_text_of(schema), NULL));
    must(pq_db_open_with(&with, NULL, &world.db, NULL));
    put_rows(world.db, 0, 64);
    must(pqdb_checkpoint(world.db, NULL));
    put_rows(world.db, 64, 27);
    for (unsigned order = 0; order < orders; order++) {
        char cursor[input_max], first[1][16];
        struct pq_bytes bytes;
        world.count = read_ids(order, NULL, 0, world.ids[order], NULL);
        read_ids(order, NULL, 1, first, cursor);
        pq_bytes_init(&bytes, &pq_alloc_libc);
        must(pq_base64_read(&bytes, pq_text_of(cursor), NULL));
        memcpy(world.question[order], bytes.data + 1, 8);
        pq_bytes_deinit(&bytes);
    }
}

/// The text of a cursor of this order whose keys are the bytes; else the bytes are the text.
static void make_cursor(const uint8_t *data, size_t size, struct pq_bytes *text) {
    struct pq_bytes bytes;
    uint8_t check[check_bytes];
    pq_bytes_init(&bytes, &pq_alloc_libc);
    if ((data[0] & raw) == 0) {
        must(pq_bytes_append_byte(&bytes, 1, NULL));
        must(pq_bytes_append(&bytes, world.question[data[0] % raw % orders], 8, NULL));
        must(pq_bytes_append(&bytes, data + 1, size - 1, NULL));
        pq_store_u64(check, pq_hash(bytes.data, bytes.length));
        must(pq_bytes_append(&bytes, check, check_bytes, NULL));
        must(pq_base64_write(text, pq_bytes_text(&bytes), NULL));
    } else {
        must(pq_bytes_append(text, data + 1, size - 1, NULL));
    }
    must(pq_bytes_append_byte(text, '\0', NULL));
    pq_bytes_deinit(&bytes);
}

static void check_rest(unsigned order, const char *cursor, bool is_empty) {
    char rest[rows_max][16], paged[rows_max][16], next[2][input_max];
    const size_t count = read_ids(order, cursor, 0, rest, NULL);
    pq_assert(count <= world.count && (!is_empty || count == world.count));
    for (size_t i = 0; i < count; i++) {
        pq_assert(strcmp(rest[i], world.ids[order][world.count - count + i]) == 0);
    }
    size_t got = read_ids(order, cursor, page, paged, next[0]);
    for (int turn = 0; next[turn][0] != '\0'; turn = !turn) {
        pq_assert(got % page == 0 && got < count);
        got += read_ids(order, next[turn], page, paged + got, next[!turn]);
    }
    pq_assert(got == count);
    for (size_t i = 0; i < count; i++) pq_assert(strcmp(rest[i], paged[i]) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > input_max / 2) return 0;
    if (world.db == NULL) make();
    struct pq_bytes cursor;
    pqdb_error err;
    pqdb_rows *rows = NULL;
    const unsigned order = data[0] % raw % orders;
    pq_bytes_init(&cursor, &pq_alloc_libc);
    make_cursor(data, size, &cursor);
    const char *text = (const char *)cursor.data;
    const pqdb_find_options options = {.sort = sorts[order], .cursor = text};
    const pqdb_code code = pqdb_find(world.db, "T", &options, &rows, &err);
    pqdb_rows_close(rows);
    pq_assert(code == PQDB_OK || (code == PQDB_INVALID && strcmp(err.subject, "cursor") == 0));
    if (code == PQDB_OK) check_rest(order, text, text[0] == '\0');
    pq_bytes_deinit(&cursor);
    return 0;
}
