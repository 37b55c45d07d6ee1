/// Goal: another schema for a database in use: every step is told before, what would lose something
/// is refused as a whole, rows of every age are read by the new one, and nobody is disturbed: not
/// writers, not readers, not views that are not affected.
#include <inttypes.h>
#include <parquedb/schema.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/bytes.h"
#include "support/cases.h"
#include "support/db_calls.h"
#include "support/temp.h"

static pqdb_error err;

static pqdb_code apply(pqdb_db *db, const char *schema) {
    return pqdb_schema_apply(db, schema, strlen(schema), NULL, NULL, &err);
}

// ---- cases --------------------------------------------------------------------------------------

/// Where the rows are when the schema changes.
enum place { IN_LOG, IN_FILES, IN_BOTH, PLACES };

static void tell_step(void *ctx, const pqdb_schema_step *step) {
    struct pq_bytes *out = ctx;
    MUST(pq_bytes_printf(out, &err, "%s %s %s", step->action, step->kind, step->name));
    if (step->detail[0] != '\0') MUST(pq_bytes_printf(out, &err, " (%s)", step->detail));
    if (step->is_refused) {
        MUST(pq_bytes_printf(out, &err, " refused: %s; %s", step->reason, step->remedy));
    }
    MUST(pq_bytes_printf(out, &err, "\n"));
}

/// Every row without its system fields.
static void tell_rows(pqdb_db *db, struct pq_bytes *out) {
    for (size_t i = 0; i < pqdb_entry_count(db); i++) {
        pqdb_entry entry;
        MUST(pqdb_entry_at(db, i, &entry, &err));
        pqdb_rows *rows = NULL;
        MUST(pqdb_find(db, entry.name, NULL, &rows, &err));
        for (bool has_row = true; rows != NULL;) {
            MUST(pqdb_rows_next(rows, &has_row, &err));
            if (!has_row) break;
            size_t length;
            const char *json = pqdb_rows_json(rows, &length);
            const char *fields = strstr(json, "\",\"");  // behind $id
            const char *type = strstr(json, ",\"$type\":");
            if (type != NULL) fields = strstr(type + 9, "\",\"");
            const char *end = strstr(json, ",\"createdAt\"");
            if (end == NULL) end = json + length - 1;
            MUST(pq_bytes_printf(out, &err, "%s {%.*s}\n", entry.name,
                                 (int)(end - fields - 2), fields + 2));
        }
        pqdb_rows_close(rows);
    }
}

static void put_rows(pqdb_db *db, const char *lines, enum place place) {
    for (size_t number = 0; *lines != '\0'; number++) {
        const char *space = strchr(lines, ' '), *end = strchr(lines, '\n');
        char name[64];
        if (end == NULL) end = lines + strlen(lines);
        snprintf(name, sizeof name, "%.*s", (int)(space - lines), lines);
        MUST(pqdb_create(db, name, space + 1, (size_t)(end - space - 1), NULL, NULL, &err));
        if (number == 0 && place == IN_BOTH) MUST(pqdb_checkpoint(db, &err));
        lines = *end == '\n' ? end + 1 : end;
    }
    if (place == IN_FILES) MUST(pqdb_checkpoint(db, &err));
}

/// The schema, and behind its closing brace on a line of its own the names that may be dropped.
static pqdb_code apply_text(pqdb_db *db, const char *text, struct pq_bytes *told) {
    const char *last = strrchr(text, '}') + 1;
    char room[256];
    const char *names[8];
    size_t count = 0;
    snprintf(room, sizeof room, "%s", last);
    for (char *at = room; *at != '\0'; at++) {
        const bool is_space = *at == ' ' || *at == '\n';
        if (!is_space && (at == room || at[-1] == '\0')) names[count++] = at;
        if (is_space) *at = '\0';
    }
    const pqdb_schema_options options = {.on_step = tell_step, .ctx = told, .allow_drop = names,
                                         .allow_drop_count = count};
    pqdb_schema_applied applied;
    const pqdb_code code =
        pqdb_schema_apply(db, text, (size_t)(last - text), &options, &applied, &err);
    CHECK((applied.refused > 0) == (code == PQDB_INVALID), "%zu refused: %s", applied.refused,
          code == PQDB_OK ? "applied" : err.message);
    return code;
}

static void check_case_at(const struct test_case *test, enum place place) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), test->parts[0]);
    struct pq_bytes told, again;
    pq_bytes_init(&told, &pq_alloc_libc);
    pq_bytes_init(&again, &pq_alloc_libc);
    put_rows(db, test->parts[1], place);
    apply_text(db, test->parts[2], &told);
    const size_t steps = told.length;
    tell_rows(db, &told);
    MUST(pq_bytes_append_byte(&told, '\0', &err));
    case_expect(test, (const char *)told.data);
    for (int round = 0; round < 3; round++) {  // as it was left, from a root, from files
        db = db_reopen(db, db_with(disk));
        again.length = 0;
        tell_rows(db, &again);
        CHECK(pq_text_equal(pq_bytes_text(&again), (struct pq_text){(char *)told.data + steps,
                                                                    told.length - steps - 1}),
              "%s:%d, place %d, round %d:\n%.*s", test->file, test->line, (int)place, round,
              PQ_TEXT_ARG(pq_bytes_text(&again)));
        for (size_t i = 0; i < pqdb_view_count(db); i++) db_verify(db, pqdb_view_name(db, i));
        if (round > 0) MUST(pqdb_checkpoint(db, &err));
    }
    db_end(db, disk);
    pq_bytes_deinit(&told);
    pq_bytes_deinit(&again);
}

static void check_case(const struct test_case *test) {
    for (int place = 0; place < PLACES; place++) check_case_at(test, (enum place)place);
}

static void steps_and_rows_match_the_table(void) {
    cases_run("db/schema_apply.cases", check_case);
}

// ---- nobody is disturbed ------------------------------------------------------------------------

static const char before[] =
    "{ Item: { k: 'string!', n: 'int!', w: 'float' }, Other: { m: 'int' },\n"
    "  Some: { $from: 'Item', $filter: { n: { $gte: 10 } }, $history: '1d' },\n"
    "  Sums: { $from: 'Item', $groupBy: ['k'], $compute: { s: { $sum: 'n' } } },\n"
    "  Later: { $from: 'Item', $groupBy: ['k'], $compute: { c: { $count: '*' } },\n"
    "           $refresh: { mode: 'manual' } } }";
static const char after[] =
    "{ Item: { k: 'string!', n: 'int!', w: 'double', more: 'string' }, Other: { m: 'int' },\n"
    "  Some: { $from: 'Item', $select: { n: '$n', w: '$w' }, $filter: { n: { $gte: 10 } },\n"
    "          $history: '1d' },\n"
    "  Sums: { $from: 'Item', $groupBy: ['k'], $compute: { s: { $sum: 'n' } } },\n"
    "  Later: { $from: 'Item', $groupBy: ['k'], $compute: { c: { $count: '*' } },\n"
    "           $refresh: { mode: 'manual' } } }";

static const char later[] =
    "{ Item: { k: 'string!', n: 'int!', w: 'double', i: { j: 'int' } }, Other: { m: 'int' },\n"
    "  Some: { $from: 'Item', $filter: { n: { $gte: 20 } }, $history: '1d' },\n"
    "  Sums: { $from: 'Item', $groupBy: ['k'], $compute: { s: { $sum: 'n' } } },\n"
    "  Later: { $from: 'Some', $groupBy: ['k'], $compute: { c: { $count: '*' } },\n"
    "           $refresh: { mode: 'manual' } } }";

static void put(pqdb_db *db, unsigned first, unsigned count) {
    char text[8192];
    size_t length = 0;
    for (unsigned i = first; i < first + count; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "{\"k\":\"k%u\",\"n\":%u,\"w\":0.5}\n", i % 7, i % 100);
    }
    MUST(pqdb_create(db, "Item", text, length, NULL, NULL, &err));
}

static void a_view_that_is_not_affected_is_not_built_again(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), before);
    put(db, 0, 50);
    MUST(pqdb_view_refresh(db, "Later", false, NULL, &err));
    put(db, 50, 50);
    MUST(apply(db, after));
    pqdb_view_state state;
    MUST(pqdb_view_state_get(db, "Sums", &state, &err));
    CHECK(strcmp(state.last_refresh, "streaming") == 0, "%s", state.last_refresh);
    MUST(pqdb_view_state_get(db, "Some", &state, &err));
    CHECK(strcmp(state.last_refresh, "full") == 0, "%s", state.last_refresh);
    put(db, 100, 50);
    pqdb_refreshed refreshed;
    MUST(pqdb_view_refresh(db, "Later", false, &refreshed, &err));
    CHECK(strcmp(refreshed.kind, "incremental") == 0, "%s: %s", refreshed.kind,
          refreshed.reason);
    for (size_t i = 0; i < pqdb_view_count(db); i++) db_verify(db, pqdb_view_name(db, i));
    db_end(db, disk);
}

static pqdb_code count_change(void *ctx, const pqdb_view_change *change) {
    *(int64_t *)ctx += change->weight;
    return PQDB_OK;
}

static void changes_of_a_view_go_on_where_it_is_the_same(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), before);
    pqdb_feed *feed, *other;
    MUST(pqdb_feed_open(db, "Some", 0, &feed, &err));
    MUST(pqdb_feed_open(db, "Some", 0, &other, &err));
    put(db, 0, 50);
    int64_t rows = 0;
    MUST(pqdb_feed_next(other, count_change, &rows, &err));
    MUST(apply(db, "{ Item: { k: 'string!', n: 'int!', w: 'float' }, Other: { m: 'int', j: 'int' },"
                   " Some: { $from: 'Item', $filter: { n: { $gte: 10 } }, $history: '2d' } }"));
    put(db, 50, 50);
    rows = 0;
    MUST(pqdb_feed_next(feed, count_change, &rows, &err));
    CHECK(rows == (int64_t)db_count(db, "Some", NULL), "%" PRId64 " rows", rows);
    rows = 40;
    MUST(pqdb_feed_next(other, count_change, &rows, &err));
    CHECK(rows == (int64_t)db_count(db, "Some", NULL), "%" PRId64 " rows", rows);
    MUST(apply(db, after));
    CHECK(pqdb_feed_next(feed, count_change, &rows, &err) == PQDB_CONFLICT, "%s", err.message);
    pqdb_feed_close(feed);
    pqdb_feed_close(other);
    db_end(db, disk);
}

static void a_reader_keeps_what_it_began_with(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), before);
    put(db, 0, 50);
    MUST(pqdb_checkpoint(db, &err));
    put(db, 50, 50);
    pqdb_rows *rows;
    MUST(pqdb_find(db, "Item", NULL, &rows, &err));
    static const char next[] = "{ Item: { k: 'string!', w: 'double' }, Other: { m: 'int' } }";
    const pqdb_schema_options options = {
        .allow_drop = (const char *const[]){"Item.n"}, .allow_drop_count = 1};
    MUST(pqdb_schema_apply(db, next, strlen(next), &options, NULL, &err));
    for (int i = 0; i < 3; i++) MUST(pqdb_checkpoint(db, &err));
    size_t read = 0, length;
    for (bool has_row = true;; read++) {
        MUST(pqdb_rows_next(rows, &has_row, &err));
        if (!has_row) break;
        CHECK(strstr(pqdb_rows_json(rows, &length), "\"n\":") != NULL, "n is gone");
    }
    CHECK(read == 100, "%zu rows", read);
    pqdb_rows_close(rows);
    db_end(db, disk);
}

struct writer {
    pqdb_db *db;
    atomic_bool stops;
    uint64_t rows;
    pqdb_code code;
    pqdb_error error;
};

static void *write_rows(void *ctx) {
    struct writer *writer = ctx;
    for (unsigned i = 0; !writer->stops && writer->code == PQDB_OK; i++) {
        char text[64];
        const int length =
            snprintf(text, sizeof text, "{\"k\":\"k%u\",\"n\":%u,\"w\":1}", i % 5, i % 100);
        writer->code = pqdb_create(writer->db, "Item", text, (size_t)length, NULL, NULL,
                                   &writer->error);
        writer->rows += writer->code == PQDB_OK;
    }
    return NULL;
}

static void *read_rows(void *ctx) {
    struct writer *reader = ctx;
    while (!reader->stops && reader->code == PQDB_OK) {
        uint64_t rows;
        pqdb_view_state state;
        reader->code = pqdb_count(reader->db, "Item", "{\"n\":{\"$lt\":50}}", &rows,
                                  &reader->error);
        if (reader->code == PQDB_OK) {
            reader->code = pqdb_view_state_get(reader->db, "Sums", &state, &reader->error);
        }
        reader->rows++;
    }
    return NULL;
}

static void writers_and_readers_go_on(void) {
    const struct temp_directory directory = temp_directory_make();
    MUST(pqdb_init(directory.path, before, strlen(before), NULL, NULL, &err));
    pqdb_db *db;
    MUST(pqdb_open(directory.path, NULL, &db, &err));
    struct writer writer = {.db = db}, reader = {.db = db};
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, write_rows, &writer);
    pthread_create(&threads[1], NULL, read_rows, &reader);
    for (int i = 0; i < 8; i++) MUST(apply(db, i % 2 == 0 ? after : later));
    writer.stops = reader.stops = true;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    CHECK(writer.code == PQDB_OK, "%s: %s", writer.error.subject, writer.error.message);
    CHECK(reader.code == PQDB_OK, "%s: %s", reader.error.subject, reader.error.message);
    CHECK(db_count(db, "Item", NULL) == writer.rows, "%" PRIu64 " rows",
          db_count(db, "Item", NULL));
    MUST(pqdb_view_refresh(db, "Later", false, NULL, &err));
    for (size_t i = 0; i < pqdb_view_count(db); i++) db_verify(db, pqdb_view_name(db, i));
    MUST(pqdb_close(db, &err));
    temp_directory_remove(&directory);
}

static void an_ingest_run_ends_only_where_its_collection_changed(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), before);
    pqdb_ingest *items, *others;
    MUST(pqdb_ingest_open(db, "Item", NULL, &items, &err));
    MUST(pqdb_ingest_open(db, "Other", NULL, &others, &err));
    static const char item[] = "{\"k\":\"a\",\"n\":1}\n", other[] = "{\"m\":1}\n";
    MUST(pqdb_ingest_feed(items, item, strlen(item), &err));
    MUST(pqdb_ingest_feed(others, other, strlen(other), &err));
    MUST(apply(db, after));
    pqdb_written written;
    MUST(pqdb_ingest_finish(others, &written, &err));
    CHECK(pqdb_ingest_finish(items, &written, &err) == PQDB_CONFLICT, "%s", err.message);
    pqdb_ingest_close(items);
    pqdb_ingest_close(others);
    CHECK(db_count(db, "Other", NULL) == 1 && db_count(db, "Item", NULL) == 0, "rows");
    db_end(db, disk);
}

// ---- the text on disk ---------------------------------------------------------------------------

static void edit(struct fault_store *disk, const char *text) {
    MUST(pq_store_write_file(&disk->base, "schema.json5", pq_text_of(text), &err));
}

static void a_text_edited_by_hand_is_taken_where_nothing_is_lost(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), before);
    put(db, 0, 50);
    MUST(pqdb_close(db, &err));
    edit(disk, after);
    db = db_open(db_with(disk));
    put(db, 50, 50);
    CHECK(db_count(db, "Item", NULL) == 100, "rows");
    db_verify(db, "Some");
    MUST(pqdb_close(db, &err));
    edit(disk, "{ Item: { k: 'string!', w: 'double' } }");
    const struct pq_open_with with = db_with(disk);
    CHECK(pq_db_open_with(&with, NULL, &db, &err) == PQDB_INVALID, "opened");
    CHECK(strstr(err.message, "Item.n") != NULL, "%s", err.message);
    edit(disk, after);
    db = db_open(db_with(disk));
    CHECK(db_count(db, "Item", NULL) == 100, "rows");
    db_end(db, disk);
}

static void a_dry_run_changes_nothing(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db = db_make(db_with(disk), before);
    const pqdb_schema_options options = {.dry_run = true};
    pqdb_schema_applied applied;
    MUST(pqdb_schema_apply(db, after, strlen(after), &options, &applied, &err));
    CHECK(applied.steps == 3 && applied.refused == 0 && applied.version == 0, "%zu steps",
          applied.steps);
    CHECK(strcmp(pqdb_schema_text(db, NULL), before) == 0, "the text");
    db_end(db, disk);
}

int main(void) {
    RUN(steps_and_rows_match_the_table);
    RUN(a_view_that_is_not_affected_is_not_built_again);
    RUN(changes_of_a_view_go_on_where_it_is_the_same);
    RUN(a_reader_keeps_what_it_began_with);
    RUN(writers_and_readers_go_on);
    RUN(an_ingest_run_ends_only_where_its_collection_changed);
    RUN(a_text_edited_by_hand_is_taken_where_nothing_is_lost);
    RUN(a_dry_run_changes_nothing);
    return test_done();
}
