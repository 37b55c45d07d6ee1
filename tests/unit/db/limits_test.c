/// Goal: what docs/limits.md says of schemas, queries, updates and writes holds: the most is taken,
/// and one more is refused with LIMIT and a message that names the bound.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/schema.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <stdarg.h>
#include <string.h>

#include "base/bytes.h"
#include "support/temp.h"
#include "support/test.h"

static pqdb_error err;
static struct temp_directory place;
static pqdb_db *db;
static struct pq_bytes text;  // what is being tried

static void begin(void) { text.length = 0; }

__attribute__((format(printf, 1, 2))) static void add(const char *format, ...) {
    char piece[256];
    va_list arguments;
    va_start(arguments, format);
    const int length = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    CHECK(pq_bytes_append(&text, piece, (size_t)length, &err) == PQDB_OK, "memory");
}

static void repeat(const char *piece, int count) {
    for (int i = 0; i < count; i++) add("%s", piece);
}

static const char *given(void) {
    CHECK(pq_bytes_append_byte(&text, '\0', &err) == PQDB_OK, "memory");
    text.length--;
    return (const char *)text.data;
}

static pqdb_code refusal = PQDB_LIMIT;  // of one more than is allowed

/// `count` of something where `most` are allowed.
static void expect(const char *what, pqdb_code code, int count, int most, const char *bound) {
    if (count <= most) {
        CHECK(code == PQDB_OK, "%d %s: code %d: %s: %s", count, what, (int)code, err.subject,
              err.message);
        return;
    }
    CHECK(code == refusal, "%d %s: code %d: %s", count, what, (int)code, err.message);
    CHECK(strstr(err.message, bound) != NULL, "%s: '%s' does not say %s", what, err.message, bound);
}

// ---- schemas ------------------------------------------------------------------------------------

static void keep_problem(void *ctx, const pqdb_problem *problem) {
    pqdb_error *kept = ctx;
    snprintf(kept->message, sizeof kept->message, "%s", problem->message);
}

static pqdb_code check_text(void) {
    pqdb_error told = {0};
    const char *schema = given();
    const pqdb_code code = pqdb_schema_check(schema, text.length, keep_problem, &told, &err);
    if (code != PQDB_OK && told.message[0] != '\0') err = told;
    return code;
}

static void schemas(void) {
    for (int count = 4096; count <= 4097; count++) {
        begin();
        add("{");
        for (int i = 0; i < count; i++) add("E%d:{n:'int'},", i);
        add("}");
        expect("entries", check_text(), count, 4096, "4096 entries");
        begin();
        add("{ Wide: {");
        for (int i = 0; i < count; i++) add("f%d:'int',", i);
        add("} }");
        refusal = PQDB_INVALID;  // told like every mistake in a schema, with its place
        expect("fields", check_text(), count, 4096, "4096");
        refusal = PQDB_LIMIT;
    }
    for (int bytes = 1 << 20; bytes <= (1 << 20) + 1; bytes++) {
        begin();
        add("{ Item: { n: 'int' } }");
        while (text.length < (size_t)bytes) add(" ");
        expect("bytes of a schema", check_text(), bytes, 1 << 20, "1048576 bytes");
    }
}

static void views(void) {
    refusal = PQDB_INVALID;  // with their places
    for (int count = 65; count <= 66; count++) {
        begin();
        add("{ T: { n: 'int' }, V1: { $from: 'T' },");
        for (int i = 2; i <= count; i++) add("V%d: { $from: 'V%d' },", i, i - 1);
        add("}");
        expect("views in a chain", check_text(), count, 65, "at most 64");
    }
    refusal = PQDB_LIMIT;
    for (int links = 64; links <= 65; links++) {
        begin();
        add("{ N: { next: '-> N', n: 'int' }, V: { $from: 'N', $expand: ['next");
        repeat(".next", links - 1);
        add("'] } }");
        expect("links of a path", check_text(), links, 64, "at most 64 links");
    }
}

// ---- queries ------------------------------------------------------------------------------------

static pqdb_code find(const pqdb_find_options *options) {
    pqdb_rows *rows = NULL;
    const pqdb_code code = pqdb_find(db, "Item", options, &rows, &err);
    pqdb_rows_close(rows);
    return code;
}

static void filters_and_sorts(void) {
    for (int depth = 30; depth <= 65; depth += 35) {
        begin();
        repeat("{ $nor: [", depth);
        add("{ n: 1 }");
        repeat("] }", depth);
        const pqdb_find_options options = {.filter = given()};
        expect("levels of a filter", find(&options), depth, 30, "64");
    }
    for (int parts = 1000; parts <= 4100; parts += 3100) {
        begin();
        add("{ $or: [");
        for (int i = 0; i < parts; i++) add("{ n: %d },", i);
        add("] }");
        const pqdb_find_options options = {.filter = given()};
        expect("parts of a filter", find(&options), parts, 1000, "4096");
    }
    for (int keys = 16; keys <= 17; keys++) {
        begin();
        add("{ n: 1");
        for (int i = 1; i < keys; i++) add(", 'any.p%d': 1", i);
        add(" }");
        const pqdb_find_options options = {.sort = given()};
        expect("sort keys", find(&options), keys, 16, "16 sort keys");
    }
}

// ---- updates ------------------------------------------------------------------------------------

static pqdb_code update(void) {
    const pqdb_edit edit = {.where = "a", .operators = given()};
    return pqdb_update(db, "Item", &edit, NULL, NULL, &err);
}

static void updates(void) {
    for (int count = 4096; count <= 4097; count++) {
        begin();
        add("{ $set: {");
        for (int i = 0; i < count; i++) add("'any.p%d': 1,", i);
        add("} }");
        expect("operations of an update", update(), count, 4096, "4096 operations");
    }
    for (int steps = 64; steps <= 65; steps++) {
        begin();
        add("{ $set: { 'any");
        repeat(".s", steps - 1);
        add("': 1 } }");
        expect("steps of a path", update(), steps, 64, "64 steps");
    }
}

// ---- rows and writes ----------------------------------------------------------------------------

static pqdb_code create(const pqdb_write_options *options) {
    const char *rows = given();
    return pqdb_create(db, "Item", rows, text.length, options, NULL, &err);
}

static void rows_and_tokens(void) {
    for (int depth = 120; depth <= 129; depth += 9) {
        begin();
        add("{\"any\":");
        repeat("[", depth);
        repeat("]", depth);
        add("}");
        expect("levels of a row", create(NULL), depth, 120, "128");
    }
    for (int length = 225; length <= 226; length++) {
        static char token[300];
        memset(token, 't', (size_t)length);
        token[length] = '\0';
        const pqdb_write_options options = {.token = token};
        begin();
        add("{\"n\":1}");
        expect("bytes of a token", create(&options), length, 225, "225");
    }
}

int main(void) {
    static const char schema[] = "{ Item: { n: 'int', any: 'variant' } }";
    place = temp_directory_make();
    pq_bytes_init(&text, &pq_alloc_libc);
    CHECK(pqdb_init(place.path, schema, strlen(schema), NULL, NULL, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(pqdb_open(place.path, NULL, &db, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_create(db, "Item", "{\"$id\":\"a\",\"any\":{}}", 20, NULL, NULL, &err) == PQDB_OK,
          "%s", err.message);
    RUN(schemas);
    RUN(views);
    RUN(filters_and_sorts);
    RUN(updates);
    RUN(rows_and_tokens);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
    pq_bytes_deinit(&text);
    temp_directory_remove(&place);
    return test_done();
}
