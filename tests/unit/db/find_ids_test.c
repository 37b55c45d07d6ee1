/// Goal: a row is in an answer once, however often its id is asked for, and no limit is too large.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/write.h>
#include <string.h>

#include "support/temp.h"
#include "support/test.h"

static pqdb_error err;

static void check(pqdb_db *db, const pqdb_find_options *options, uint64_t expected) {
    pqdb_rows *rows = NULL;
    const char *what = options->filter == NULL ? "all" : options->filter;
    uint64_t count = 0;
    bool has_row = true;
    CHECK(pqdb_find(db, "A", options, &rows, &err) == PQDB_OK, "%s", err.message);
    while (rows != NULL && has_row) {
        CHECK(pqdb_rows_next(rows, &has_row, &err) == PQDB_OK, "%s", err.message);
        count += has_row;
    }
    CHECK(count == expected, "%s: %" PRIu64 " rows", what, count);
    pqdb_rows_close(rows);
    if (options->limit != 0) return;
    CHECK(pqdb_count(db, "A", options->filter, &count, &err) == PQDB_OK, "%s", err.message);
    CHECK(count == expected, "%s: counted %" PRIu64, what, count);
}

static void rows_come_once(void) {
    static const char rows[] =
        "{\"$id\":\"a\",\"n\":1}\n{\"$id\":\"b\",\"n\":1}\n"
        "{\"$id\":\"c\",\"n\":2}\n{\"$id\":\"d\",\"n\":2}\n";
    const struct temp_directory place = temp_directory_make();
    pqdb_db *db = NULL;
    CHECK(pqdb_init(place.path, "{ A: { n: 'int' } }", 19, NULL, NULL, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(pqdb_open(place.path, NULL, &db, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_create(db, "A", rows, sizeof rows - 1, NULL, NULL, &err) == PQDB_OK, "%s",
          err.message);
    check(db, &(pqdb_find_options){.filter = "{ $id: { $in: ['b', 'a', 'b', 'x', 'x'] } }"}, 2);
    check(db, &(pqdb_find_options){.filter = "{ $id: { $in: ['a', 'a', 'd'] }, n: 1 }"}, 1);
    check(db, &(pqdb_find_options){.filter = "{ $id: { $in: ['d', 'a', 'd'] } }",
                                   .sort = "{ n: -1 }"}, 2);
    check(db, &(pqdb_find_options){.filter = "{ $id: 'c' }"}, 1);
    check(db, &(pqdb_find_options){.limit = UINT64_MAX, .skip = 1}, 3);
    check(db, &(pqdb_find_options){.limit = UINT64_MAX - 1, .skip = 3}, 1);
    check(db, &(pqdb_find_options){.limit = 2, .skip = UINT64_MAX}, 0);
    check(db, &(pqdb_find_options){.limit = 2, .skip = 1}, 2);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
    temp_directory_remove(&place);
}

int main(void) {
    RUN(rows_come_once);
    return test_done();
}
