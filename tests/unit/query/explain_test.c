/// Goal: what an answer reads is counted, and little: a page for an id range, no page where bounds
/// exclude the filter, a heap's worth with a limit; pages by cursor go on behind the last row
/// whatever is written, and refuse what they were not made for.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/write.h>
#include <string.h>

#include "base/json.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/test.h"

enum { rows_all = 40000, page_rows = 2048 };

static const char schema[] =
    "{ Item: { n: 'int!', kind: 'string', note: 'string', box: { size: { w: 'int' } } },\n"
    "  Part: { sku: 'string##', bin: 'int#', day: 'date#', price: 'decimal(8,2)#',\n"
    "          note: 'string' } }";

static pqdb_error err;
static pqdb_db *db;

/// `$id` and n rise together; kind is by twos.
static void put(unsigned first, unsigned step, unsigned count) {
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (unsigned i = first; i < first + step * count; i += step) {
        pq_bytes_printf(&text, NULL,
                        "{\"$id\":\"%06u\",\"n\":%u,\"kind\":\"k%u\",\"note\":\"note of %u\","
                        "\"box\":{\"size\":{\"w\":%u}}}\n",
                        i, i, i / 2 % 2, i, i);
    }
    CHECK(pqdb_create(db, "Item", (const char *)text.data, text.length, NULL, NULL, &err) ==
          PQDB_OK, "%s", err.message);
    pq_bytes_deinit(&text);
}

/// A number of the explanation: "pages", "read".
static uint64_t counted(const pqdb_find_options *options, const char *part, const char *name) {
    struct pq_json_document *document;
    char *json;
    size_t length;
    CHECK(pqdb_explain(db, "Item", options, &json, &length, &err) == PQDB_OK, "%s", err.message);
    const struct pq_text text = {json, length};
    CHECK(pq_json_parse(text, 0, &pq_alloc_libc, &document, &err) == PQDB_OK, "%s: %s", json,
          err.message);
    const struct pq_json *object = pq_json_find(pq_json_root(document), part);
    const struct pq_json *value = object == NULL ? NULL : pq_json_find(object, name);
    CHECK(value != NULL, "%s has no %s.%s", json, part, name);
    const uint64_t number = value == NULL ? UINT64_MAX : (uint64_t)pq_json_int(value);
    pq_json_destroy(document);
    pqdb_free(json);
    return number;
}

static void check_pages(const pqdb_find_options *options, uint64_t most, uint64_t given) {
    const uint64_t read = counted(options, "pages", "read");
    CHECK(read <= most, "%s: %" PRIu64 " pages read, at most %" PRIu64, options->filter, read,
          most);
    CHECK(counted(options, "rows", "given") == given, "%s: rows given", options->filter);
}

static void what_bounds_exclude_is_not_read(void) {
    const pqdb_find_options none = {.filter = "{ n: { $gt: 1000000 } }"};
    check_pages(&none, 0, 0);
    CHECK(counted(&none, "files", "read") == 0, "a file was read");
    CHECK(counted(&none, "rows", "skipped") == rows_all / 2, "rows skipped");
    const pqdb_find_options text = {.filter = "{ kind: { $in: ['a', 'zz'] } }"};
    check_pages(&text, 0, 0);
    const pqdb_find_options between = {.filter = "{ kind: { $in: ['k00', 'k05'] } }"};
    check_pages(&between, 0, 0);  // within the bounds, but not in the dictionary
    const pqdb_find_options missing = {.filter = "{ n: { $exists: false } }"};
    check_pages(&missing, 0, 0);
    const pqdb_find_options few = {.filter = "{ n: { $gte: 5000, $lt: 5010 } }", .select = "n"};
    check_pages(&few, 4, 5);  // one page of n, and where they differ two of `$id`
    const pqdb_find_options range = {.filter = "{ $id: { $startsWith: '00500' } }",
                                     .select = "note"};
    check_pages(&range, 3, 5);
}

static void members_of_objects_and_prefixes_exclude_too(void) {
    const pqdb_find_options wide = {.filter = "{ 'box.size.w': { $gt: 1000000 } }"};
    check_pages(&wide, 0, 0);
    const pqdb_find_options lacking = {.filter = "{ 'box.size.w': { $exists: false } }"};
    check_pages(&lacking, 0, 0);
    const pqdb_find_options few = {.filter = "{ 'box.size.w': { $gte: 5000, $lt: 5010 } }",
                                   .select = "n"};
    check_pages(&few, 4, 5);
    const pqdb_find_options all = {.filter = "{ 'box.size.w': { $gte: 0 } }", .sort = "none"};
    CHECK(counted(&all, "rows", "certain") == rows_all / 2, "certain");
    static const char *const none[] = {
        "{ note: { $regex: '^nota' } }", "{ note: { $regex: '^note\\\\.' } }",
        "{ note: { $regex: '^z+' } }",   "{ note: { $regex: '^(?:a)?' , $eq: 'z' } }"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        const pqdb_find_options regex = {.filter = none[i]};
        // A letter that may be repeated, or not be there at all, says nothing.
        check_pages(&regex, i == 2 ? 1000 : 0, 0);
    }
    static const char *const some[] = {
        "{ note: { $regex: '^noteX* of' } }", "{ note: { $regex: '^x|^note' } }",
        "{ note: { $regex: '^NOTE', $options: 'i' } }", "{ note: { $regex: '^note{1} of' } }"};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        const pqdb_find_options regex = {.filter = some[i], .sort = "none", .select = "n"};
        CHECK(counted(&regex, "rows", "given") == rows_all / 2, "%s", some[i]);
    }
}

static void what_matches_for_certain_is_not_tested(void) {
    const pqdb_find_options all = {.filter = "{ n: { $gte: 0 } }", .sort = "none",
                                   .select = "kind"};
    CHECK(counted(&all, "rows", "certain") == rows_all / 2, "certain");
    CHECK(counted(&all, "rows", "tested") == 0, "tested");
    CHECK(counted(&all, "rows", "given") == rows_all / 2, "given");
}

static void a_limit_reads_what_it_gives(void) {
    const pqdb_find_options first = {.limit = 5};
    check_pages(&first, 1, 5);  // of `$id`; the rest is fetched for five rows
    CHECK(counted(&first, "rows", "fetched") == 5, "fetched");
    const pqdb_find_options last = {.limit = 5, .sort = "{ n: -1 }"};
    check_pages(&last, 4, 5);
    const pqdb_find_options stored = {.limit = 5, .sort = "none", .select = "n"};
    check_pages(&stored, 2, 5);
}

static void an_id_is_looked_up(void) {
    char *json;
    size_t length;
    const pqdb_find_options one = {.filter = "{ $id: '000500', n: 500 }"};
    CHECK(pqdb_explain(db, "Item", &one, &json, &length, &err) == PQDB_OK, "%s", err.message);
    CHECK(strstr(json, "\"way\":\"by $id\"") != NULL, "%s", json);
    CHECK(strstr(json, "\"given\":1") != NULL, "%s", json);
    pqdb_free(json);
}

// ---- by an index --------------------------------------------------------------------------------

enum { parts = 20000, bins = 4000, part_files = 3 };

/// sku is unique and in no order of `$id`; bin and day repeat.
static void put_parts(unsigned first, unsigned count) {
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (unsigned i = first; i < first + count; i++) {
        pq_bytes_printf(&text, NULL,
                        "{\"$id\":\"p%06u\",\"sku\":\"s%u\",\"bin\":%u,\"day\":\"2025-%02u-%02u\","
                        "\"price\":%u.5,\"note\":\"part %u\"}\n",
                        i * 7919 % 1000003, i * 31 % 1000003, i % bins, i % 12 + 1, i / 12 % 28 + 1,
                        i % bins, i);
    }
    CHECK(pqdb_create(db, "Part", (const char *)text.data, text.length, NULL, NULL, &err) ==
          PQDB_OK, "%s", err.message);
    pq_bytes_deinit(&text);
}

static char *explain_parts(const pqdb_find_options *options) {
    char *json = NULL;
    CHECK(pqdb_explain(db, "Part", options, &json, NULL, &err) == PQDB_OK, "%s", err.message);
    return json;
}

static void check_parts(const char *filter, const char *index, uint64_t count) {
    char way[64], given[64];
    uint64_t counted_rows = 0;
    const pqdb_find_options all = {.filter = filter};
    char *json = explain_parts(&all);
    snprintf(way, sizeof way, "\"index\":\"%s\"", index);
    snprintf(given, sizeof given, "\"given\":%" PRIu64 "}", count);
    CHECK(strstr(json, way) != NULL && strstr(json, given) != NULL, "%s: %s", filter, json);
    CHECK(pqdb_count(db, "Part", filter, &counted_rows, &err) == PQDB_OK &&
              counted_rows == count, "%s: %" PRIu64 " rows", filter, counted_rows);
    pqdb_free(json);
}

static void equality_on_an_indexed_field_reads_its_rows(void) {
    for (unsigned i = 0; i < part_files; i++) {
        put_parts(parts / part_files * i, parts / part_files);
        CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
    }
    const unsigned in_files = parts / part_files * part_files;
    put_parts(in_files, 500);  // these stay in memory
    for (int round = 0; round < 2; round++) {
        check_parts("{ sku: 's31' }", "sku", 1);
        check_parts("{ sku: 's31', bin: 2 }", "sku", 0);
        check_parts("{ sku: { $in: ['s0', 's62', 'none'] } }", "sku", 2);
        check_parts("{ bin: 7 }", "bin", 6);
        check_parts("{ bin: 7.0 }", "bin", 6);
        check_parts("{ bin: { $in: [7, 8] }, note: { $contains: '4' } }", "bin", 2);
        check_parts("{ price: 7.50 }", "price", 6);
        check_parts("{ price: { $in: [7.5, 8.5, 0.25, 'x'] }, note: { $contains: '4' } }", "price",
                    2);
        check_parts("{ price: 7.501 }", "price", 0);
        check_parts("{ day: '2025-03-01', bin: { $lt: 100 } }", "day", 4);
        CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
    }
    // The first of them, in the order that is asked, and page by page.
    const pqdb_find_options first = {.filter = "{ bin: { $in: [7, 8] } }", .sort = "{ sku: -1 }",
                                     .limit = 5};
    char *json = explain_parts(&first);
    CHECK(strstr(json, "\"given\":5}") != NULL, "%s", json);
    pqdb_free(json);
    pqdb_rows *rows;
    size_t given = 0, length;
    bool has_row = true, is_null;
    char cursor[256] = "", before[32] = "t";
    for (int page = 0; page == 0 || cursor[0] != '\0'; page++) {
        const pqdb_find_options next = {.filter = first.filter, .sort = first.sort, .limit = 5,
                                        .select = "sku", .cursor = cursor};
        CHECK(pqdb_find(db, "Part", &next, &rows, &err) == PQDB_OK, "%s", err.message);
        while (pqdb_rows_next(rows, &has_row, &err) == PQDB_OK && has_row) {
            const char *sku = pqdb_rows_cell(rows, 1, &length, &is_null);
            CHECK(strcmp(sku, before) < 0, "%s behind %s", sku, before);
            snprintf(before, sizeof before, "%s", sku);
            given++;
        }
        snprintf(cursor, sizeof cursor, "%s", pqdb_rows_cursor(rows));
        pqdb_rows_close(rows);
    }
    CHECK(given == 12, "%zu rows", given);
}

// ---- pages by cursor ----------------------------------------------------------------------------

/// Up to 3000 rows behind the cursor, whose n are added up; the next cursor, "" at the end.
static uint64_t read_page(const char *sort, char cursor[256], uint64_t *seen, unsigned *last) {
    pqdb_rows *rows;
    bool has_row = true;
    uint64_t sum = 0;
    const pqdb_find_options page = {
        .filter = "{ kind: 'k0' }", .sort = sort, .limit = 3000, .select = "n", .cursor = cursor};
    CHECK(pqdb_find(db, "Item", &page, &rows, &err) == PQDB_OK, "%s", err.message);
    while (pqdb_rows_next(rows, &has_row, &err) == PQDB_OK && has_row) {
        size_t length;
        bool is_null;
        *last = (unsigned)strtoul(pqdb_rows_cell(rows, 1, &length, &is_null), NULL, 10);
        sum += *last;
        ++*seen;
    }
    snprintf(cursor, 256, "%s", pqdb_rows_cursor(rows));
    pqdb_rows_close(rows);
    return sum;
}

/// Rows written on both sides of the page's end, and rows that go: those that were there all along
/// come once each.
static void a_page_goes_on_behind_the_last_row_whatever_is_written(void) {
    char cursor[256] = "";
    unsigned last = 0;
    uint64_t seen = 0, sum = 0, expected = 0, expected_count = 0;
    for (unsigned n = 0; n < rows_all; n += 4) {
        if (n % 1000 == 0) continue;  // they go away meanwhile
        expected += n;
        expected_count++;
    }
    for (int page = 0; page == 0 || cursor[0] != '\0'; page++) {
        sum += read_page("", cursor, &seen, &last);
        if (page > 0) continue;
        for (unsigned n = 0; n < rows_all; n += 1000) {
            char id[16];
            snprintf(id, sizeof id, "%06u", n);
            if (n <= last && n % 4 == 0) sum -= n, seen--;
            pqdb_written written;
            CHECK(pqdb_delete(db, "Item", id, NULL, &written, &err) == PQDB_OK, "%s", err.message);
        }
        put(1, 4, last / 4);  // before the page's end, k0: never seen
        CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
    }
    CHECK(seen == expected_count && sum == expected, "%" PRIu64 " rows of %" PRIu64, seen,
          expected_count);
    char down[256] = "";
    uint64_t all = 0, pages = 0;
    for (unsigned before = UINT32_MAX; pages == 0 || down[0] != '\0'; before = last) {
        read_page("{ n: -1 }", down, &all, &last);
        CHECK(last < before, "page %" PRIu64 " ends at %u", pages, last);
        pages++;
    }
    CHECK(pages > 3, "%" PRIu64 " pages", pages);
}

static void a_cursor_is_refused_where_it_does_not_belong(void) {
    char cursor[256] = "", damaged[256];
    unsigned last;
    uint64_t seen = 0;
    read_page("{ n: 1 }", cursor, &seen, &last);
    CHECK(cursor[0] != '\0', "no cursor");
    snprintf(damaged, sizeof damaged, "%s", cursor);
    damaged[10] = damaged[10] == 'A' ? 'B' : 'A';
    const pqdb_find_options wrong[] = {
        {.filter = "{ kind: 'k0' }", .sort = "{ n: -1 }", .cursor = cursor},
        {.filter = "{ kind: 'k1' }", .sort = "{ n: 1 }", .cursor = cursor},
        {.sort = "none", .cursor = cursor},
        {.filter = "{ kind: 'k0' }", .sort = "{ n: 1 }", .cursor = damaged},
        {.filter = "{ kind: 'k0' }", .sort = "{ n: 1 }", .cursor = "x y"},
        {.filter = "{ kind: 'k0' }", .sort = "{ n: 1 }", .cursor = "AA"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        pqdb_rows *rows;
        CHECK(pqdb_find(db, "Item", &wrong[i], &rows, &err) == PQDB_INVALID, "%zu was taken", i);
        CHECK(strcmp(err.subject, "cursor") == 0, "%zu: %s", i, err.subject);
    }
}

int main(void) {
    struct fault_store *disk = fault_store_create();
    const struct pq_open_with with = {.store = &disk->base, .location = "file:///explain",
                                      .env = &db_world_env, .alloc = &pq_alloc_libc,
                                      .log_segment_bytes = 1 << 20, .no_keeper = true};
    CHECK(pq_db_init_with(&with, pq_text_of(schema), &err) == PQDB_OK &&
              pq_db_open_with(&with, NULL, &db, &err) == PQDB_OK, "%s", err.message);
    put(0, 2, rows_all / 2);
    CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
    RUN(what_bounds_exclude_is_not_read);
    RUN(members_of_objects_and_prefixes_exclude_too);
    RUN(what_matches_for_certain_is_not_tested);
    RUN(a_limit_reads_what_it_gives);
    RUN(an_id_is_looked_up);
    RUN(equality_on_an_indexed_field_reads_its_rows);
    RUN(a_cursor_is_refused_where_it_does_not_belong);
    RUN(a_page_goes_on_behind_the_last_row_whatever_is_written);
    pqdb_close(db, NULL);
    fault_store_destroy(disk);
    return test_done();
}
