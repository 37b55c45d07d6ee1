/// Goal: a row whose page nobody has asked for is read out of it alone; asked for again, the page
/// is decoded and kept; and the row is the same each time.
#include <parquedb/query.h>
#include <parquedb/write.h>
#include <string.h>

#include "db/view_internal.h"
#include "support/db_calls.h"
#include "support/temp.h"
#include "table/page_cache.h"

enum { rows = 3000, rows_at_once = 500, bytes_of_page = 40 * 1000 };

static pqdb_error err;

static size_t print_row(char *out, size_t room, unsigned i) {
    return (size_t)snprintf(out, room,
                            "{\"$id\":\"r%05u\",\"n\":%u,\"free\":{\"i\":%u,"
                            "\"list\":[%u,null,\"%x\"],\"text\":\"%08x %08x\"}}\n",
                            i, i, i, i % 7, i, i * 2654435761u, i * 40503u);
}

static pqdb_db *make_rows(const char *directory) {
    static const char schema[] = "{ Item: { n: 'int!' } }";
    static char text[rows_at_once * 160];
    pqdb_db *db;
    MUST(pqdb_init(directory, schema, sizeof schema - 1, NULL, NULL, &err));
    MUST(pqdb_open(directory, NULL, &db, &err));
    for (unsigned i = 0; i < rows;) {
        size_t length = 0;
        for (const unsigned end = i + rows_at_once; i < end; i++) {
            length += print_row(text + length, sizeof text - length, i);
        }
        MUST(pqdb_create(db, "Item", text, length, NULL, NULL, &err));
    }
    MUST(pqdb_checkpoint(db, &err));
    MUST(pqdb_close(db, &err));
    MUST(pqdb_open(directory, NULL, &db, &err));
    return db;
}

static void check_row(pqdb_db *db, unsigned i) {
    char id[16], want[160], *json = NULL;
    snprintf(id, sizeof id, "r%05u", i);
    print_row(want, sizeof want, i);
    want[strlen(want) - 2] = '\0';  // others come behind `free`
    const char *members = strstr(want, "\"free\"");
    MUST(pqdb_get(db, "Item", id, &json, NULL, &err));
    CHECK(strstr(json, members) != NULL, "%s is %s, without %s", id, json, members);
    pqdb_free(json);
}

static void a_row_of_a_cold_page_is_read_alone(void) {
    const struct temp_directory place = temp_directory_make();
    pqdb_db *db = make_rows(place.path);
    check_row(db, 1700);
    const size_t cold = pq_page_cache_bytes(db->pages);
    check_row(db, 1701);
    const size_t warm = pq_page_cache_bytes(db->pages);
    CHECK(warm > cold + bytes_of_page, "%zu bytes of pages, then %zu", cold, warm);
    for (unsigned i = 0; i < 200; i++) check_row(db, i * 7919 % rows);
    MUST(pqdb_close(db, &err));
    temp_directory_remove(&place);
}

static void many_rows_of_cold_pages_are_as_they_were(void) {
    const struct temp_directory place = temp_directory_make();
    pqdb_db *db = make_rows(place.path);
    // Rows that lie near each other, far apart, and in two pages, changed out of what is stored.
    static const char *const wheres[] = {
        "{ $id: { $in: ['r00010', 'r00012', 'r00013'] } }",
        "{ $id: { $in: ['r00020', 'r01900'] } }",
        "{ $id: { $in: ['r00000', 'r02999'] } }"};
    for (size_t i = 0; i < sizeof wheres / sizeof *wheres; i++) {
        const pqdb_edit edit = {.where = wheres[i], .operators = "{ $inc: { n: 1 } }"};
        MUST(pqdb_update(db, "Item", &edit, NULL, NULL, &err));
    }
    static const unsigned changed[] = {10, 12, 13, 20, 1900, 0, 2999};
    for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) check_row(db, changed[i]);
    MUST(pqdb_close(db, &err));
    temp_directory_remove(&place);
}

int main(void) {
    RUN(a_row_of_a_cold_page_is_read_alone);
    RUN(many_rows_of_cold_pages_are_as_they_were);
    return test_done();
}
