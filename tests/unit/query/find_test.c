/// Goal: find, get and count over rows that are in files, in chunks and in the open chunk at once:
/// order, pages, columns, look-ups by `$id`, names that are not there, limits told as errors.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/write.h>
#include <string.h>

#include "base/bytes.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/test.h"

enum { in_files = 900, in_chunks = 300, in_open = 20, rows_all = in_files + in_chunks + in_open };

static const char schema[] =
    "{ Item: { n: 'int!', half: 'double', kind: 'string', tags: 'string[]' },\n"
    "  Named: { $from: 'Item', $select: { n: '$n', kind: '$kind' } } }";

static pqdb_error err;
static pqdb_db *db;

/// Row i has n = i, half = n / 2 but null for every seventh, kind by three.
static void put(unsigned first, unsigned count) {
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (unsigned i = first; i < first + count; i++) {
        pq_bytes_printf(&text, NULL,
                        "{\"$id\":\"%04u\",\"n\":%u,\"kind\":\"k%u\",\"more\":{\"x\":%u}",
                        (i * 7919) % 10000, i, i % 3, i % 5);
        if (i % 7 != 0) pq_bytes_printf(&text, NULL, ",\"half\":%g", i / 2.0);
        pq_bytes_append_text(&text, PQ_TEXT("}\n"), NULL);
    }
    CHECK(pqdb_create(db, "Item", (const char *)text.data, text.length, NULL, NULL, &err) ==
          PQDB_OK, "%s", err.message);
    pq_bytes_deinit(&text);
}

static unsigned number_of(pqdb_rows *rows) {
    size_t length;
    const char *json = pqdb_rows_json(rows, &length), *n = strstr(json, "\"n\":");
    return n == NULL ? UINT32_MAX : (unsigned)strtoul(n + 4, NULL, 10);
}

/// The n of the answer's rows; how many.
static size_t ask(const char *name, const pqdb_find_options *options, unsigned *out, size_t max) {
    pqdb_rows *rows;
    size_t count = 0;
    bool has_row = true;
    err = (pqdb_error){0};
    if (pqdb_find(db, name, options, &rows, &err) != PQDB_OK) return 0;
    while (pqdb_rows_next(rows, &has_row, &err) == PQDB_OK && has_row) {
        if (count < max) out[count] = number_of(rows);
        count++;
    }
    CHECK(err.code == PQDB_OK || !has_row, "%s", err.message);
    pqdb_rows_close(rows);
    return count;
}

static void rows_come_in_the_order_that_is_asked(void) {
    static unsigned n[rows_all];
    static const char *const names[] = {"Item", "Named"};
    for (int t = 0; t < 2; t++) {
        const pqdb_find_options down = {.sort = "{ n: -1 }"};
        CHECK(ask(names[t], &down, n, rows_all) == rows_all, "%s", err.message);
        for (unsigned i = 0; i < rows_all; i++) CHECK(n[i] == rows_all - 1 - i, "row %u", i);
        const pqdb_find_options two = {.sort = "{ kind: -1, n: 1 }", .skip = 1, .limit = 3};
        CHECK(ask(names[t], &two, n, rows_all) == 3 && n[0] == 5 && n[1] == 8 && n[2] == 11,
              "%u %u %u", n[0], n[1], n[2]);
        CHECK(ask(names[t], NULL, n, rows_all) == rows_all, "%s", err.message);
        for (unsigned i = 1; i < rows_all; i++) {
            CHECK((n[i - 1] * 7919) % 10000 < (n[i] * 7919) % 10000, "ids, row %u", i);
        }
        const pqdb_find_options storage = {.sort = "none"};
        CHECK(ask(names[t], &storage, n, rows_all) == rows_all, "%s", err.message);
    }
    // Nulls are last in both directions, ties by `$id`.
    const pqdb_find_options up = {.sort = "{ half: 1 }"}, down = {.sort = "{ half: -1 }"};
    const unsigned nulls = (rows_all + 6) / 7;
    ask("Item", &up, n, rows_all);
    CHECK(n[0] == 1 && n[rows_all - nulls] % 7 == 0 && n[rows_all - 1] % 7 == 0, "up");
    ask("Item", &down, n, rows_all);
    CHECK(n[0] == rows_all - 1 && n[rows_all - nulls] % 7 == 0 &&
              n[rows_all - 1] % 7 == 0, "down: %u", n[0]);
}

static void pages_cover_every_row_once(void) {
    static bool seen[rows_all];
    unsigned n[100];
    size_t all = 0;
    for (uint64_t skip = 0;; skip += 97) {
        const pqdb_find_options page = {.skip = skip, .limit = 97, .sort = "{ kind: 1 }"};
        const size_t count = ask("Item", &page, n, 100);
        for (size_t i = 0; i < count; i++) {
            CHECK(n[i] < rows_all && !seen[n[i]], "%u comes twice", n[i]);
            seen[n[i]] = true;
        }
        all += count;
        if (count == 0) break;
    }
    CHECK(all == rows_all, "%zu rows", all);
}

/// A limit changes how the rows are found, never which.
static void a_page_is_the_same_part_of_the_whole(void) {
    static unsigned all[rows_all], page[rows_all];
    static const char *const sorts[] = {"", "{ half: 1 }", "{ half: -1, kind: 1 }", "{ kind: -1 }"};
    static const uint64_t sizes[] = {1, 2, 50, 400, rows_all, UINT64_MAX};
    for (size_t s = 0; s < sizeof sorts / sizeof *sorts; s++) {
        const pqdb_find_options whole = {.sort = sorts[s], .select = "n,half,more.x"};
        CHECK(ask("Item", &whole, all, rows_all) == rows_all, "%s", err.message);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (uint64_t skip = 0; skip < rows_all + 3; skip += 305) {
                const pqdb_find_options part = {.sort = sorts[s], .select = "n,half,more.x",
                                                .limit = sizes[i], .skip = skip};
                const uint64_t left = skip < rows_all ? rows_all - skip : 0;
                const uint64_t expected = sizes[i] < left ? sizes[i] : left;
                CHECK(ask("Item", &part, page, rows_all) == expected, "%s", err.message);
                CHECK(expected == 0 || memcmp(page, all + skip, expected * sizeof *page) == 0,
                      "sort %s, limit %" PRIu64 ", skip %" PRIu64, sorts[s], sizes[i], skip);
            }
        }
    }
}

static void a_row_is_found_by_id_wherever_it_is(void) {
    const unsigned some[] = {0, 1, 450, in_files - 1, in_files, in_files + in_chunks - 1,
                             in_files + in_chunks, rows_all - 1};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        char id[8], filter[32], expected[16];
        char *json = NULL;
        size_t length;
        unsigned n[2] = {0};
        snprintf(id, sizeof id, "%04u", (some[i] * 7919) % 10000);
        snprintf(filter, sizeof filter, "{ $id: '%s' }", id);
        snprintf(expected, sizeof expected, "\"n\":%u,", some[i]);
        CHECK(pqdb_get(db, "Item", id, &json, &length, &err) == PQDB_OK, "%s: %s", id,
              err.message);
        CHECK(json != NULL && strstr(json, expected) != NULL && strlen(json) == length, "%s: %s",
              id, json);
        pqdb_free(json);
        const pqdb_find_options by_id = {.filter = filter};
        CHECK(ask("Named", &by_id, n, 2) == 1 && n[0] == some[i], "%s: %u", id, n[0]);
    }
    char *json;
    size_t length;
    CHECK(pqdb_get(db, "Item", "12", &json, &length, &err) == PQDB_NOT_FOUND, "%s", err.message);
    CHECK(pqdb_get(db, "Item", "", &json, &length, &err) == PQDB_NOT_FOUND, "%s", err.message);
    CHECK(pqdb_get(db, "Itme", "1", &json, &length, &err) == PQDB_NOT_FOUND &&
              strstr(err.message, "Item") != NULL, "%s", err.message);
}

static void counts_agree_with_filters(void) {
    static const struct { const char *filter; uint64_t count; } asked[] = {
        {NULL, rows_all}, {"", rows_all}, {"{}", rows_all}, {"{ n: { $lt: 950 } }", 950},
        {"{ kind: 'k1' }", (rows_all + 1) / 3}, {"{ half: null }", (rows_all + 6) / 7},
        {"{ 'more.x': 4 }", rows_all / 5}, {"{ nothing: 1 }", 0}};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        uint64_t count = 0;
        CHECK(pqdb_count(db, "Item", asked[i].filter, &count, &err) == PQDB_OK &&
                  count == asked[i].count, "%s: %" PRIu64 ", not %" PRIu64,
              asked[i].filter == NULL ? "" : asked[i].filter, count, asked[i].count);
    }
}

static void only_the_columns_asked_for_are_given(void) {
    pqdb_rows *rows;
    bool has_row, is_null;
    size_t length;
    const pqdb_find_options some = {.select = "kind,more.x", .filter = "{ n: 4 }"};
    CHECK(pqdb_find(db, "Item", &some, &rows, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_rows_next(rows, &has_row, &err) == PQDB_OK && has_row, "%s", err.message);
    CHECK(pqdb_rows_column_count(rows) == 3 &&
              strcmp(pqdb_rows_column_name(rows, 0), "$id") == 0 &&
              strcmp(pqdb_rows_column_name(rows, 1), "kind") == 0, "columns");
    CHECK(strcmp(pqdb_rows_cell(rows, 1, &length, &is_null), "k1") == 0 && !is_null, "kind");
    CHECK(strcmp(pqdb_rows_cell(rows, 2, &length, &is_null), "4") == 0 && !is_null, "more.x");
    CHECK(strstr(pqdb_rows_json(rows, &length), "\"n\"") == NULL, "n was not asked for");
    pqdb_rows_close(rows);
    const pqdb_find_options system = {.system_columns = true, .limit = 1};
    CHECK(pqdb_find(db, "Item", &system, &rows, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_rows_next(rows, &has_row, &err) == PQDB_OK && has_row, "%s", err.message);
    CHECK(strstr(pqdb_rows_json(rows, &length), "\"$type\":\"Item\"") != NULL &&
              strstr(pqdb_rows_json(rows, &length), "\"version\":1") != NULL, "%s",
          pqdb_rows_json(rows, &length));
    pqdb_rows_close(rows);
}

static void what_is_not_understood_is_an_error(void) {
    static const struct { pqdb_find_options options; pqdb_code code; const char *says; } bad[] = {
        {{.filter = "{ n: { $gtt: 1 } }"}, PQDB_INVALID, "$gt"},
        {{.filter = "{ n: "}, PQDB_INVALID, ""},
        {{.sort = "{ n: 2 }"}, PQDB_INVALID, ""},
        {{.sort = "{ n: 'up' }"}, PQDB_INVALID, ""},
        {{.sort = "[ n ]"}, PQDB_INVALID, ""}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        pqdb_rows *rows;
        const pqdb_code code = pqdb_find(db, "Item", &bad[i].options, &rows, &err);
        CHECK(code == bad[i].code && strstr(err.message, bad[i].says) != NULL,
              "%zu: code %d: %s: %s", i, (int)code, err.subject, err.message);
        if (code == PQDB_OK) pqdb_rows_close(rows);
    }
    pqdb_rows *rows;
    const pqdb_find_options unknown = {.filter = "{ knid: 'k1' }"};
    CHECK(pqdb_find(db, "Named", &unknown, &rows, &err) == PQDB_OK, "%s", err.message);
    CHECK(strstr(pqdb_rows_note(rows), "knid") != NULL, "note: %s", pqdb_rows_note(rows));
    pqdb_rows_close(rows);
}

static void an_answer_stays_as_it_was(void) {
    pqdb_rows *rows;
    const pqdb_find_options storage = {.sort = "none"};
    CHECK(pqdb_find(db, "Item", &storage, &rows, &err) == PQDB_OK, "%s", err.message);
    const uint64_t version = pqdb_rows_version(rows);
    put(rows_all, 40);
    CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
    size_t count = 0;
    bool has_row = true;
    while (pqdb_rows_next(rows, &has_row, &err) == PQDB_OK && has_row) {
        count++;
        CHECK(number_of(rows) < rows_all, "a row from the future");
    }
    CHECK(count == rows_all && pqdb_rows_version(rows) == version, "%zu rows", count);
    pqdb_rows_close(rows);
}

int main(void) {
    struct fault_store *disk = fault_store_create();
    const struct pq_open_with with = {.store = &disk->base, .location = "file:///find",
                                      .env = &db_world_env, .alloc = &pq_alloc_libc,
                                      .log_segment_bytes = 1 << 20, .no_keeper = true};
    CHECK(pq_db_init_with(&with, pq_text_of(schema), &err) == PQDB_OK &&
              pq_db_open_with(&with, NULL, &db, &err) == PQDB_OK, "%s", err.message);
    put(0, in_files / 2);
    CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
    put(in_files / 2, in_files / 2);
    CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
    put(in_files, in_chunks);
    put(in_files + in_chunks, in_open);
    RUN(rows_come_in_the_order_that_is_asked);
    RUN(pages_cover_every_row_once);
    RUN(a_page_is_the_same_part_of_the_whole);
    RUN(a_row_is_found_by_id_wherever_it_is);
    RUN(counts_agree_with_filters);
    RUN(only_the_columns_asked_for_are_given);
    RUN(what_is_not_understood_is_an_error);
    RUN(an_answer_stays_as_it_was);
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
    return test_done();
}
