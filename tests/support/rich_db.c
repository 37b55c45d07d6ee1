#include "support/rich_db.h"

#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/fail.h"
#include "support/db_world.h"
#include "support/test.h"

enum { many_rows = 4200, files_max = 400 };

static const char schema[] =
    "{\n"
    "  C: { name: 'string!', tier: 'string', $history: '1ms' },\n"  // the log is trimmed
    "  Item: { n: 'int!', u: 'string##', c: '-> C', kind: 'string', price: 'decimal(10,2)',\n"
    "          at: 'timestamp', tags: 'string[]', a: { x: 'int' }, tag: 'string#',\n"
    "          $history: '1ms', $shred: ['more.k.0', 'more.j'] },\n"
    "  Many: { $ingest: 'custom:many', x: 'int!', $history: '1ms' },\n"
    "  Low: { $from: 'Item', $filter: { n: { $lt: 50 } }, $select: { n: '$n', kind: '$kind' } },\n"
    "  With: { $from: 'Item', $expand: ['c'], $flatten: { c: 'of' },\n"
    "    $select: { name: '$of_name', tier: '$of_tier', n: '$n' } },\n"
    "  Tags: { $from: 'Item', $unnest: 'tags' },\n"
    "  ByKind: { $from: 'Item', $groupBy: ['kind'],\n"
    "    $compute: { rows: { $count: '*' }, low: { $min: 'n' }, mid: { $median: 'n' },\n"
    "      sum: { $sum: 'price' }, as: { $countDistinct: 'c' }, last: { $last: 'more' } } },\n"
    "  Above: { $from: 'ByKind', $filter: { rows: { $gt: 1 } } },\n"
    "  Total: { $from: 'Many', $groupBy: ['x'], $compute: { rows: { $count: '*' } } },\n"
    "  Later: { $from: 'Item', $groupBy: ['c'], $compute: { rows: { $count: '*' } },\n"
    "    $refresh: { mode: 'manual' } },\n"
    "}\n";

static void must(pqdb_code code, const pqdb_error *err, const char *what) {
    if (code == PQDB_OK) return;
    fprintf(stderr, "%s: %s: %s\n", what, err->subject, err->message);
    exit(1);
}

struct pq_open_with rich_db_with(struct pq_store *store) {
    return (struct pq_open_with){.store = store, .location = "file:///rich",
                                 .env = &db_world_env, .alloc = &pq_alloc_libc,
                                 .no_keeper = true, .log_segment_bytes = 1 << 14};
}

static void put_items(pqdb_db *db, int first, int count) {
    char text[16384], token[24];
    size_t length = 0;
    pqdb_error err;
    for (int i = first; i < first + count; i++) {
        length += (size_t)snprintf(
            text + length, sizeof text - length,
            "{\"$id\":\"i%04d\",\"n\":%d,\"u\":\"u%d\",\"c\":\"c%d\",\"kind\":\"k%d\","
            "\"price\":\"%d.25\",\"at\":\"2026-01-15T10:%02d:00Z\",\"tags\":[\"a\",\"b%d\"],"
            "\"a\":{\"x\":%d},\"more\":{\"k\":[%d,null]}}\n",
            i, i * 7 % 101, i, i % 5, i % 3, i, i % 60, i % 4, i, i);
    }
    snprintf(token, sizeof token, "items %d", first);
    const pqdb_write_options options = {.token = token};
    must(pqdb_create(db, "Item", text, length, &options, NULL, &err), &err, "items");
}

static void put_many(pqdb_db *db) {
    pqdb_error err;
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (int i = 0; i < many_rows; i++) {
        pq_bytes_printf(&text, NULL, "{\"$id\":\"m%05d\",\"x\":%d}\n", i, i % 40);
    }
    must(pqdb_create(db, "Many", (const char *)text.data, text.length, NULL, NULL, &err), &err,
         "many");
    pq_bytes_deinit(&text);
}

static void change(pqdb_db *db, int round) {
    pqdb_error err;
    char filter[64], set[64];
    snprintf(filter, sizeof filter, "{ n: { $lt: %d } }", 10 + round);
    snprintf(set, sizeof set, "{ $inc: { n: 3 }, $set: { kind: 'r%d' } }", round);
    const pqdb_edit edit = {.where = filter, .operators = set};
    must(pqdb_update(db, "Item", &edit, NULL, NULL, &err), &err, "update");
    const pqdb_edit tier = {.where = "c1", .operators = "{ $set: { tier: 'gold' } }"};
    must(pqdb_update(db, "C", &tier, NULL, NULL, &err), &err, "update");
    snprintf(filter, sizeof filter, "{ $id: 'i%04d' }", round);
    must(pqdb_delete(db, "Item", filter, NULL, NULL, &err), &err, "delete");
}

void rich_db_make(struct pq_store *store) {
    static const char people[] =
        "{\"$id\":\"c0\",\"name\":\"Ann\"}\n{\"$id\":\"c1\",\"name\":\"Bo\"}\n"
        "{\"$id\":\"c2\",\"name\":\"Cy\"}\n{\"$id\":\"c3\",\"name\":\"Di\"}\n"
        "{\"$id\":\"c4\",\"name\":\"Ed\"}\n";
    const struct pq_open_with with = rich_db_with(store);
    pqdb_error err;
    pqdb_db *db;
    must(pq_db_init_with(&with, pq_text_of(schema), &err), &err, "init");
    must(pq_db_open_with(&with, NULL, &db, &err), &err, "open");
    must(pqdb_create(db, "C", people, sizeof people - 1, NULL, NULL, &err), &err, "people");
    put_items(db, 0, 60);
    put_many(db);
    must(pqdb_view_refresh(db, "Later", false, NULL, &err), &err, "refresh");
    must(pqdb_checkpoint(db, &err), &err, "checkpoint");
    change(db, 1);
    put_items(db, 60, 40);
    must(pqdb_checkpoint(db, &err), &err, "checkpoint");
    change(db, 2);
    put_items(db, 100, 10);
    must(pqdb_close(db, &err), &err, "close");
}

// ---- everything it holds ----------------------------------------------------------------------

static pqdb_code dump_one(pqdb_db *db, const char *name, const pqdb_find_options *options,
                          struct pq_bytes *out, pqdb_error *err) {
    pqdb_rows *rows;
    PQ_TRY(pqdb_find(db, name, options, &rows, err));
    bool has_row = true;
    pqdb_code code = PQDB_OK;
    pq_bytes_printf(out, NULL, "%s\n", name);
    while (code == PQDB_OK && has_row) {
        size_t length;
        code = pqdb_rows_next(rows, &has_row, err);
        if (code != PQDB_OK || !has_row) break;
        const char *json = pqdb_rows_json(rows, &length);
        pq_bytes_append(out, json, length, NULL);
        pq_bytes_append_byte(out, '\n', NULL);
    }
    pqdb_rows_close(rows);
    return code;
}

pqdb_code rich_db_dump(pqdb_db *db, struct pq_bytes *out, pqdb_error *err) {
    static const struct {
        const char *name;
        pqdb_find_options options;
    } looks[] = {
        {"C", {.sort = "{ $id: 1 }", .select = "$id,name,tier,version"}},
        {"Item", {.sort = "{ $id: 1 }", .select = "$id,n,u,c,kind,price,at,tags,a,more,version"}},
        {"Item", {.filter = "{ $id: 'i0042' }", .select = "$id,n,more"}},
        {"Item", {.filter = "{ 'c.name': 'Bo' }", .sort = "{ $id: 1 }", .select = "$id"}},
        {"Item", {.filter = "{ n: { $gt: 90 } }", .sort = "{ $id: 1 }", .select = "$id"}},
        {"Item", {.filter = "{ 'more.k.0': { $gt: 50 } }", .sort = "{ $id: 1 }", .select = "$id"}},
        {"Many", {.filter = "{ x: 7 }", .sort = "{ $id: 1 }", .select = "$id,x"}},
        {"Many", {.filter = "{ $id: 'm04000' }", .select = "$id,x"}},
        {"Low", {.sort = "{ $id: 1 }"}},
        {"With", {.sort = "{ $id: 1 }"}},
        {"Tags", {.sort = "{ $id: 1 }", .select = "$id,n,tags"}},
        {"ByKind", {.sort = "{ kind: 1 }"}},
        {"Above", {.sort = "{ kind: 1 }"}},
        {"Total", {.sort = "{ x: 1 }"}},
        {"Later", {.sort = "{ c: 1 }"}},
    };
    out->length = 0;
    for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
        PQ_TRY(dump_one(db, looks[i].name, &looks[i].options, out, err));
    }
    uint64_t count;
    PQ_TRY(pqdb_count(db, "Many", NULL, &count, err));
    pq_bytes_printf(out, NULL, "%llu", (unsigned long long)count);
    return pq_bytes_append_byte(out, '\0', err);
}

// ---- its files --------------------------------------------------------------------------------

static void add_files(struct pq_store *store, const char *directory, struct pq_arena *arena,
                      struct rich_files *files) {
    struct pq_store_list list;
    if (pq_store_list(store, directory, arena, &list, NULL) != PQDB_OK) return;
    for (size_t i = 0; i < list.count; i++) {
        char path[PQ_STORE_PATH_MAX];
        snprintf(path, sizeof path, "%s%s%.*s", directory, directory[0] == '\0' ? "" : "/",
                 PQ_TEXT_ARG(list.entries[i].name));
        if (strcmp(path, "lock") == 0 || strcmp(path, "damaged") == 0) continue;
        if (list.entries[i].is_directory) {
            add_files(store, path, arena, files);
        } else if (files->count < files_max) {
            files->bytes[files->count] = list.entries[i].bytes;
            files->paths[files->count++] = pq_arena_copy(arena, pq_text_of(path)).data;
        }
    }
}

void rich_db_files(struct pq_store *store, struct pq_arena *arena, struct rich_files *files) {
    *files = (struct rich_files){
        .paths = pq_arena_calloc(arena, files_max, sizeof(const char *)),
        .bytes = pq_arena_calloc(arena, files_max, sizeof(uint64_t))};
    add_files(store, "", arena, files);
}
