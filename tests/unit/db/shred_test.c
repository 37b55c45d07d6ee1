/// Goal: what `$shred` is for. Filters, selects and builds of views read the columns of paths, and
/// bounds of these leave rows out; files of before get them when the schema asks for them. That no
/// answer changes is what tests/law/shred_test.c holds.
#include <parquedb/query.h>
#include <parquedb/schema.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "db/open_with.h"
#include "store/store.h"
#include "support/db_world.h"
#include "support/test.h"

#define FIELDS "event: 'variant', name: 'string', $paths: { 'event.url': 'string' }"

static pqdb_error err;
static struct pq_store *store;
static pqdb_db *db;

static void must(pqdb_code code) { CHECK(code == PQDB_OK, "%s: %s", err.subject, err.message); }

static void begin(const char *schema) {
    must(pq_store_open_memory(&pq_alloc_libc, &store, &err));
    const struct pq_open_with with = {.store = store, .location = "file:///shred",
                                      .env = &db_world_env, .alloc = &pq_alloc_libc,
                                      .merge_rows = 16, .no_keeper = true};
    must(pq_db_init_with(&with, pq_text_of(schema), &err));
    must(pq_db_open_with(&with, NULL, &db, &err));
}

static void end(void) {
    must(pqdb_close(db, &err));
    pq_store_destroy(store);
}

/// Rows [from, to): urls of a hundred rows each, ascending with the ids.
static void create(unsigned from, unsigned to) {
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (unsigned i = from; i < to; i++) {
        must(pq_bytes_printf(&text, &err,
                             "{\"$id\":\"%06u\",\"name\":\"n\",\"event\":{\"url\":\"u%04u\","
                             "\"pad\":\"%060u\",\"any\":%u}}\n", i, i / 100, i, i / 100));
    }
    must(pqdb_create(db, "Hit", (const char *)text.data, text.length, NULL, NULL, &err));
    pq_bytes_deinit(&text);
    must(pqdb_checkpoint(db, &err));
}

static void check_explained(const char *filter, const char *select, const char *expected) {
    char *json = NULL;
    const pqdb_find_options options = {.filter = filter, .select = select};
    size_t length;
    must(pqdb_explain(db, "Hit", &options, &json, &length, &err));
    CHECK(json != NULL && strstr(json, expected) != NULL, "%s: %s", expected, json);
    pqdb_free(json);
}

static void change(const char *schema) {
    must(pqdb_schema_apply(db, schema, strlen(schema), NULL, NULL, &err));
}

static void paths_are_read_instead_of_variants(void) {
    begin("{ Hit: { " FIELDS ", $shred: ['event.url', 'event.any'] } }");
    create(0, 1000);
    check_explained("{ 'event.url': 'u0003' }", "name",
                    "\"columns\":{\"first\":[\"event.url\"],\"late\":[\"$id\",\"name\"]}");
    check_explained("{ 'event.any': 3 }", "event.url",
                    "\"columns\":{\"first\":[\"event.any\"],\"late\":[\"$id\",\"event.url\"]}");
    // What is no path is read whole, and a path that nobody shredded with it.
    check_explained("{ 'event.url': 'u0003' }", "event", "\"late\":[\"$id\",\"event\"]");
    check_explained("{ 'event.pad': 'x' }", "event.url", "\"first\":[\"event\"]");
    end();
}

static void rows_are_left_out_by_the_bounds_of_a_path(void) {
    begin("{ Hit: { " FIELDS ", $shred: ['event.url', 'event.any'] } }");
    create(0, 1000);
    create(1000, 6000);
    create(6000, 7000);
    static const struct {
        const char *filter, *expected;
    } cases[] = {
        {"{ 'event.url': 'u0003' }", "\"files\":{\"all\":3,\"read\":1}"},
        {"{ 'event.url': { $in: ['u0003', 'u0068'] } }", "\"files\":{\"all\":3,\"read\":2}"},
        {"{ 'event.url': { $gte: 'u0065' } }", "\"files\":{\"all\":3,\"read\":1}"},
        {"{ 'event.url': { $startsWith: 'u000' } }", "\"files\":{\"all\":3,\"read\":1}"},
        {"{ 'event.url': { $exists: false } }", "\"files\":{\"all\":3,\"read\":0}"},
        {"{ 'event.url': { $ne: null } }", "\"certain\":7000"},
        {"{ 'event.any': 3 }", "\"files\":{\"all\":3,\"read\":1}"},
        {"{ 'event.any': { $lt: 12.5 } }", "\"files\":{\"all\":3,\"read\":2}"},
        {"{ 'event.any': { $in: [3, 'three', 1e6] } }", "\"files\":{\"all\":3,\"read\":1}"},
        {"{ 'event.any': 'three' }", "\"files\":{\"all\":3,\"read\":0}"},
        {"{ 'event.any': { $gte: 0 } }", "\"certain\":7000"},
        {"{ 'event.any': { $exists: false } }", "\"files\":{\"all\":3,\"read\":0}"},
        {"{ $or: [{ 'event.any': 1 }, { 'event.url': 'u0069' }] }",
         "\"files\":{\"all\":3,\"read\":2}"},
        {"{ 'event.url': 'u0032' }", "\"tested\":2048"},  // one run of pages of 2048 rows
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_explained(cases[i].filter, "name", cases[i].expected);
    }
    end();
}

static void files_of_before_are_written_anew(void) {
    begin("{ Hit: { " FIELDS " } }");
    create(0, 1000);
    create(1000, 2000);
    check_explained("{ 'event.url': 'v' }", "name", "\"files\":{\"all\":2,\"read\":2}");
    change("{ Hit: { " FIELDS ", $shred: ['event.url'] } }");
    check_explained("{ 'event.url': 'v' }", "name", "\"files\":{\"all\":1,\"read\":0}");
    create(2000, 3000);
    check_explained("{ 'event.url': 'u0025' }", "name", "\"tested\":1000");
    // Another type is another column, and so is another path.
    change("{ Hit: { event: 'variant', name: 'string', $paths: { 'event.any': 'int' },\n"
           "  $shred: ['event.url', 'event.any'] } }");
    check_explained("{ 'event.url': 'u0025' }", "name", "\"tested\":1000");
    check_explained("{ 'event.any': 31 }", "name", "\"tested\":0");
    // A renamed field keeps its files.
    change("{ Hit: { hit: 'variant', name: 'string', $was: { hit: 'event' },\n"
           "  $paths: { 'hit.any': 'int' }, $shred: ['hit.url', 'hit.any'] } }");
    check_explained("{ 'hit.any': 25 }", "hit.url",
                    "\"columns\":{\"first\":[\"hit.any\"],\"late\":[\"$id\",\"hit.url\"]}");
    check_explained("{ 'hit.any': 25 }", "hit.url", "\"tested\":1000");
    end();
}

static void auto_takes_what_views_read(void) {
    begin("{ Hit: { " FIELDS ", $shred: 'auto' },\n"
          "  ByUrl: { $from: 'Hit', $filter: { 'event.any': { $gt: 2 } },\n"
          "    $groupBy: [{ url: '$event.url' }], $compute: { rows: { $count: '*' } } } }");
    create(0, 1000);
    check_explained("{ 'event.url': 'u0003' }", "event.any",
                    "\"columns\":{\"first\":[\"event.url\"],\"late\":[\"$id\",\"event.any\"]}");
    check_explained("{ 'event.pad': 'x' }", "name", "\"first\":[\"event\"]");
    must(pqdb_view_refresh(db, "ByUrl", true, NULL, &err));
    uint64_t count = 0;
    must(pqdb_count(db, "ByUrl", "{ rows: 100 }", &count, &err));
    CHECK(count == 7, "%llu groups", (unsigned long long)count);
    end();
}

int main(void) {
    RUN(paths_are_read_instead_of_variants);
    RUN(rows_are_left_out_by_the_bounds_of_a_path);
    RUN(files_of_before_are_written_anew);
    RUN(auto_takes_what_views_read);
    return test_done();
}
