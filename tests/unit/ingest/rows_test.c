/// Goal: pin the way in by text cases, each also pushed byte by byte and in chunks; then ids,
/// stamps, batches that fill up, long lines, all-or-nothing mode, failing memory, real events.
#include "ingest/rows.h"

#include <inttypes.h>
#include <string.h>

#include "base/fail.h"
#include "batch/dictionary.h"
#include "support/canonical_json.h"
#include "support/cases.h"
#include "support/fixed_env.h"
#include "support/row_text.h"
#include "support/test.h"
#include "type/timestamp.h"

struct fixture {
    struct pq_arena arena;
    struct pq_schema *schema;
    struct pq_variant_names *names;
    struct pq_row_reader *reader;
};

static void set_up(struct fixture *fixture, const char *schema, bool set_aside, size_t rows_max) {
    struct pq_problems problems;
    pqdb_error err = {0};
    *fixture = (struct fixture){0};
    pq_arena_init(&fixture->arena, &pq_alloc_libc);
    pq_problems_init(&problems, &fixture->arena);
    CHECK(pq_schema_parse(pq_text_of(schema), &pq_alloc_libc, &fixture->schema, &problems, &err) ==
          PQDB_OK, "%s", err.message);
    CHECK(problems.errors == 0, "%.*s: %.*s", PQ_TEXT_ARG(problems.items[0].path),
          PQ_TEXT_ARG(problems.items[0].message));
    CHECK(pq_variant_names_create(&pq_alloc_libc, &fixture->names, NULL) == PQDB_OK, "names");
    const struct pq_row_options options = {
        .entry = pq_schema_find(fixture->schema, PQ_TEXT("T")),
        .names = fixture->names,
        .env = &fixed_env,
        .set_aside = set_aside,
        .rows_max = rows_max,
    };
    CHECK(pq_row_reader_create(&options, &pq_alloc_libc, &fixture->reader, &err) == PQDB_OK, "%s",
          err.message);
}

static void tear_down(struct fixture *fixture) {
    pq_row_reader_destroy(fixture->reader);
    pq_variant_names_unref(fixture->names);
    pq_schema_unref(fixture->schema);
    pq_arena_deinit(&fixture->arena);
}

static void print_batch(const struct pq_row_batch *rows, struct pq_bytes *out) {
    row_batch_text(rows, out);
    for (size_t i = 0; i < rows->refusal_count; i++) {
        CHECK(rows->refusals[i].message.length > 0, "a refusal says why");
    }
    for (size_t k = 0; k < rows->batch.type->field_count; k++) {
        pqdb_error err = {0};
        CHECK(pq_column_is_sound(&rows->batch.columns[k], &err), "column %zu: %s", k, err.message);
    }
}

/// Push all of `input` in chunks of `step` bytes and print the one batch that comes of it.
static void read_in_steps(struct fixture *fixture, struct pq_text input, size_t step,
                          struct pq_bytes *out) {
    pqdb_error err = {0};
    struct pq_row_batch rows;
    pq_row_reader_restart(fixture->reader);
    for (size_t at = 0; at < input.length;) {
        size_t length = step < input.length - at ? step : input.length - at, used;
        char *chunk = malloc(length);  // exactly as long, for AddressSanitizer
        memcpy(chunk, input.data + at, length);
        CHECK(pq_row_reader_push(fixture->reader, (struct pq_text){chunk, length}, &used, &err) ==
              PQDB_OK, "%s", err.message);
        CHECK(used == length, "%zu of %zu used", used, length);
        free(chunk);
        at += length;
    }
    CHECK(pq_row_reader_end(fixture->reader, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_row_reader_take(fixture->reader, &rows, &err) == PQDB_OK, "%s", err.message);
    print_batch(&rows, out);
    pq_rows_deinit(&rows);
}

/// The expected text, where a line may end in "*" for any message.
static bool matches(const char *got, const char *want) {
    while (*want != '\0') {
        if (*want == '*' && (want[1] == '\n' || want[1] == '\0')) {
            got += strcspn(got, "\n");
            want++;
        } else if (*got++ != *want++) {
            return false;
        }
    }
    return *got == '\0' || strcmp(got, "\n") == 0;
}

static void check_case(const struct test_case *test) {
    struct fixture fixture;
    struct pq_bytes got;
    pq_bytes_init(&got, &pq_alloc_libc);
    set_up(&fixture, test->input, true, 0);
    static const size_t steps[] = {SIZE_MAX, 1, 2, 7, 64};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        got.length = 0;
        read_in_steps(&fixture, pq_text_of(test->parts[1]), steps[i], &got);
        pq_bytes_append_byte(&got, '\0', NULL);
        CHECK(matches((const char *)got.data, test->expected), "%s:%d: %s, steps of %zu:\n%s",
              test->file, test->line, test->name, steps[i], (const char *)got.data);
    }
    tear_down(&fixture);
    pq_bytes_deinit(&got);
}

static void items_become_rows_or_refusals_as_in_the_cases(void) {
    CHECK(cases_run("ingest/rows.cases", check_case) > 20, "cases");
}

static void ids_are_generated_where_none_was_given_and_rise(void) {
    struct fixture fixture;
    struct pq_row_batch rows;
    struct pq_ulids ulids;
    set_up(&fixture, "{ T: { s: 'string' } }", true, 0);
    pq_ulids_init(&ulids, &fixed_env);
    CHECK(pq_row_reader_read(fixture.reader, PQ_TEXT("[{},{\"$id\":\"mine\"},{},{}]"), &rows,
                             NULL) == PQDB_OK, "read");
    CHECK(rows.missing_ids == 3, "%zu", rows.missing_ids);
    CHECK(pq_rows_fill_ids(&rows, &ulids, NULL) == PQDB_OK && rows.missing_ids == 0, "fill");
    const struct pq_column *ids = &rows.batch.columns[PQ_COLUMN_ID];
    CHECK(pq_text_is(pq_column_text(ids, 1), "mine"), "the given id is kept");
    struct pq_text before = {0};
    for (size_t row = 0; row < 4; row++) {
        if (row == 1) continue;
        const struct pq_text id = pq_column_text(ids, row);
        CHECK(id.length == PQ_ULID_LENGTH, "%.*s", PQ_TEXT_ARG(id));
        CHECK(pq_text_compare(before, id) < 0, "%.*s does not rise", PQ_TEXT_ARG(id));
        before = id;
    }
    CHECK(pq_column_is_sound(ids, NULL), "sound");
    pq_rows_deinit(&rows);
    tear_down(&fixture);
}

static void the_commit_stamps_what_was_not_given(void) {
    struct fixture fixture;
    struct pq_row_batch rows;
    set_up(&fixture, "{ T: { s: 'string' } }", true, 0);
    CHECK(pq_row_reader_read(fixture.reader, PQ_TEXT("[{},{\"createdAt\":1000},{}]"), &rows,
                             NULL) == PQDB_OK, "read");
    pq_rows_stamp(&rows, pq_schema_find(fixture.schema, PQ_TEXT("T")), 70, 5);
    const struct pq_column *columns = rows.batch.columns;
    for (size_t row = 0; row < 3; row++) {
        const int64_t created_at = row == 1 ? 1000000 : 5;
        CHECK(pq_column_value(&columns[PQ_COLUMN_SEQ], row).as.integer == 70 + (int64_t)row, "seq");
        CHECK(pq_column_value(&columns[PQ_COLUMN_CREATED_AT], row).as.integer == created_at, "at");
        CHECK(pq_column_value(&columns[PQ_COLUMN_UPDATED_AT], row).as.integer == 5, "updated");
        CHECK(pq_column_value(&columns[PQ_COLUMN_VERSION], row).as.integer == 1, "version");
        CHECK(pq_text_is(pq_column_text(&columns[PQ_COLUMN_TYPE], row), "T"), "type");
    }
    for (size_t k = 0; k < rows.batch.type->field_count; k++) {
        CHECK(pq_column_is_sound(&columns[k], NULL), "column %zu", k);
    }
    pq_rows_deinit(&rows);
    tear_down(&fixture);
}

static void a_full_batch_stops_the_input_and_counts_go_on(void) {
    struct fixture fixture;
    struct pq_row_batch rows;
    set_up(&fixture, "{ T: { s: 'string' } }", true, 3);
    const struct pq_text input = PQ_TEXT("{\"s\":\"0\"}\n5\n{\"s\":\"2\"}\n"
                                         "{\"s\":\"3\"}\n{\"s\":\"4\"}");
    size_t at = 0, used, batches = 0, items = 0;
    while (at < input.length) {
        const struct pq_text rest = {input.data + at, input.length - at};
        CHECK(pq_row_reader_push(fixture.reader, rest, &used, NULL) == PQDB_OK, "push");
        at += used;
        if (!pq_row_reader_is_full(fixture.reader)) continue;
        CHECK(pq_row_reader_take(fixture.reader, &rows, NULL) == PQDB_OK, "take");
        CHECK(rows.first_item == 0 && rows.batch.count == 2 && rows.refusal_count == 1, "first");
        CHECK(rows.items[1] == 2 && rows.refusals[0].index == 1, "indexes");
        items += rows.batch.count + rows.refusal_count;
        batches++;
        pq_rows_deinit(&rows);
    }
    CHECK(pq_row_reader_end(fixture.reader, NULL) == PQDB_OK, "end");
    CHECK(pq_row_reader_take(fixture.reader, &rows, NULL) == PQDB_OK, "take");
    CHECK(rows.first_item == 3 && rows.batch.count == 2 && rows.items[1] == 1, "the rest");
    CHECK(batches == 1 && items == 3, "%zu batches of %zu items", batches, items);
    pq_rows_deinit(&rows);
    CHECK(pq_row_reader_take(fixture.reader, &rows, NULL) == PQDB_OK, "take");
    CHECK(rows.batch.count == 0 && rows.refusal_count == 0, "an empty batch is one, too");
    pq_rows_deinit(&rows);
    tear_down(&fixture);
}

static void a_line_that_is_too_long_spoils_no_other(void) {
    struct fixture fixture;
    struct pq_row_batch rows;
    size_t used;
    set_up(&fixture, "{ T: { s: 'string' } }", true, 0);
    static char chunk[1 << 20];
    memset(chunk, 'x', sizeof chunk);
    pq_row_reader_push(fixture.reader, PQ_TEXT("{\"s\":\"a\"}\n{\"s\":\""), &used, NULL);
    for (int i = 0; i < 70; i++) {
        CHECK(pq_row_reader_push(fixture.reader, (struct pq_text){chunk, sizeof chunk}, &used,
                                 NULL) == PQDB_OK, "push");
    }
    pq_row_reader_push(fixture.reader, PQ_TEXT("\"}\n{\"s\":\"b\"}\n"), &used, NULL);
    CHECK(pq_row_reader_end(fixture.reader, NULL) == PQDB_OK, "end");
    CHECK(pq_row_reader_take(fixture.reader, &rows, NULL) == PQDB_OK, "take");
    CHECK(rows.batch.count == 2 && rows.refusal_count == 1, "two rows, one refused");
    const struct pq_refusal *refusal = &rows.refusals[0];
    CHECK(refusal->code == PQDB_LIMIT && refusal->index == 1 && refusal->line == 2, "which");
    CHECK(refusal->is_cut && refusal->text.length == PQ_REFUSAL_TEXT_MAX, "its beginning");
    pq_rows_deinit(&rows);
    tear_down(&fixture);
}

static void without_setting_aside_the_first_refusal_fails_the_batch(void) {
    struct fixture fixture;
    struct pq_row_batch rows;
    pqdb_error err = {0};
    set_up(&fixture, "{ T: { a: { n: 'int' } } }", false, 0);
    CHECK(pq_row_reader_read(fixture.reader, PQ_TEXT("{\"a\":{\"n\":1}}\n\n{\"a\":{\"n\":\"x\"}}"),
                             &rows, &err) == PQDB_INVALID, "read");
    CHECK(strcmp(err.subject, "a.n") == 0, "%s", err.subject);
    CHECK(strcmp(err.message, "item 1 (line 3) must be an integer, not text") == 0, "%s",
          err.message);
    CHECK(pq_row_reader_count(fixture.reader) == 0, "nothing is left of it");
    CHECK(pq_row_reader_read(fixture.reader, PQ_TEXT("{\"a\":{\"n\":1}}"), &rows, &err) == PQDB_OK,
          "the next input: %s", err.message);
    CHECK(rows.batch.count == 1 && rows.first_item == 0, "counted from the start");
    pq_rows_deinit(&rows);
    tear_down(&fixture);
}

/// Texts that repeat share codes over batches; texts that do not are left plain after a trial.
static void dictionaries_persist_while_texts_repeat(void) {
    struct fixture fixture;
    struct pq_row_batch rows;
    struct pq_bytes input;
    pq_bytes_init(&input, &pq_alloc_libc);
    set_up(&fixture, "{ T: { s: 'string', u: 'string' } }", true, 0);
    uint64_t serial = 0;
    for (int batch = 0; batch < 3; batch++) {
        input.length = 0;
        for (int i = 0; i < 5000; i++) {
            pq_bytes_printf(&input, NULL, "{\"s\":\"%d\",\"u\":\"%d %d\"}\n", i % 7, batch, i);
        }
        CHECK(pq_row_reader_read(fixture.reader, pq_bytes_text(&input), &rows, NULL) == PQDB_OK,
              "read");
        const struct pq_column *s = &rows.batch.columns[PQ_COLUMN_DECLARED], *u = s + 1;
        CHECK(s->layout == PQ_DICTIONARY && s->dictionary->count == 7, "7 texts, 7 entries");
        CHECK(batch == 0 || s->dictionary->serial == serial, "the same dictionary");
        serial = s->dictionary->serial;
        CHECK(u->layout == (batch == 0 ? PQ_DICTIONARY : PQ_BYTES), "batch %d", batch);
        CHECK(pq_text_is(pq_column_text(s, 4999), "1"), "the last row");
        pq_rows_deinit(&rows);
    }
    tear_down(&fixture);
    pq_bytes_deinit(&input);
}

static void an_id_has_its_longest_length(void) {
    struct fixture fixture;
    struct pq_row_batch rows;
    struct pq_bytes input;
    pq_bytes_init(&input, &pq_alloc_libc);
    set_up(&fixture, "{ T: { s: 'string' } }", true, 0);
    for (int length = PQ_ID_BYTES_MAX; length < PQ_ID_BYTES_MAX + 2; length++) {
        pq_bytes_printf(&input, NULL, "{\"$id\":\"%0*d\"}\n", length, 7);
    }
    CHECK(pq_row_reader_read(fixture.reader, pq_bytes_text(&input), &rows, NULL) == PQDB_OK, "r");
    CHECK(rows.batch.count == 1 && rows.refusal_count == 1, "%zu rows", rows.batch.count);
    CHECK(rows.refusals[0].index == 1 && pq_text_is(rows.refusals[0].field, "$id"), "which");
    pq_rows_deinit(&rows);
    tear_down(&fixture);
    pq_bytes_deinit(&input);
}

/// More keys than a kept shape has: each is still looked up, and still told apart.
static void objects_of_many_keys_are_read_like_others(void) {
    struct fixture fixture;
    struct pq_row_batch rows;
    struct pq_bytes input;
    pq_bytes_init(&input, &pq_alloc_libc);
    set_up(&fixture, "{ T: { k5: 'int', o: { s: 'int' } } }", true, 0);
    for (int repeated = 0; repeated < 2; repeated++) {
        pq_bytes_append_byte(&input, '{', NULL);
        for (int i = 0; i < 1000; i++) pq_bytes_printf(&input, NULL, "\"k%d\":%d,", i, i);
        pq_bytes_printf(&input, NULL, "\"%s\":7}\n", repeated ? "k5" : "last");
    }
    CHECK(pq_row_reader_read(fixture.reader, pq_bytes_text(&input), &rows, NULL) == PQDB_OK, "r");
    CHECK(rows.batch.count == 1 && rows.refusal_count == 1, "%zu rows", rows.batch.count);
    CHECK(pq_column_value(&rows.batch.columns[PQ_COLUMN_DECLARED], 0).as.integer == 5, "k5");
    CHECK(pq_text_is(rows.refusals[0].field, "k5"), "%.*s", PQ_TEXT_ARG(rows.refusals[0].field));
    pq_rows_deinit(&rows);
    tear_down(&fixture);
    pq_bytes_deinit(&input);
}

static void much_text_fills_a_batch_before_many_rows_do(void) {
    struct fixture fixture;
    struct pq_row_batch rows;
    struct pq_bytes line;
    pq_bytes_init(&line, &pq_alloc_libc);
    set_up(&fixture, "{ T: { s: 'string' } }", true, 0);
    pq_bytes_printf(&line, NULL, "{\"x\":\"%0*d\"}\n", 4 << 20, 7);
    size_t pushed = 0, used;
    while (!pq_row_reader_is_full(fixture.reader) && pushed < 100) {
        CHECK(pq_row_reader_push(fixture.reader, pq_bytes_text(&line), &used, NULL) == PQDB_OK,
              "push");
        pushed++;
    }
    CHECK(pushed == 8, "%zu lines of 4 MiB", pushed);
    CHECK(pq_row_reader_push(fixture.reader, pq_bytes_text(&line), &used, NULL) == PQDB_OK, "full");
    CHECK(used == 0, "a full batch takes nothing");
    CHECK(pq_row_reader_take(fixture.reader, &rows, NULL) == PQDB_OK, "take");
    CHECK(rows.batch.count == 8, "%zu rows", rows.batch.count);
    pq_rows_deinit(&rows);
    tear_down(&fixture);
    pq_bytes_deinit(&line);
}

static void bytes_that_are_no_utf8_and_a_byte_order_mark(void) {
    struct fixture fixture;
    struct pq_row_batch rows;
    set_up(&fixture, "{ T: { s: 'string' } }", true, 0);
    const struct pq_text input = PQ_TEXT("\xEF\xBB\xBF{\"s\":\"a\"}\n"
                                         "{\"s\":\"\xFF\"}\n\0\n{\"\xC0\xAF\":1}");
    for (size_t step = 1; step < 50; step += 24) {
        struct pq_bytes got;
        pq_bytes_init(&got, &pq_alloc_libc);
        read_in_steps(&fixture, input, step, &got);
        pq_bytes_append_byte(&got, '\0', NULL);
        const char *want = "0 s='a'\nrefused 1 line 2 : *\nrefused 2 line 3 : *\n"
                           "refused 3 line 4 : *\n";
        CHECK(matches((const char *)got.data, want), "%s", (const char *)got.data);
        pq_bytes_deinit(&got);
    }
    CHECK(pq_row_reader_read(fixture.reader, input, &rows, NULL) == PQDB_OK, "read");
    const struct pq_text text = rows.refusals[0].text;
    CHECK(text.length == 9 && text.data[6] == '\xFF', "the text is kept as it came");
    pq_rows_deinit(&rows);
    tear_down(&fixture);
}

static void a_batch_of_one_row_takes_little_memory(void) {
    struct fixture fixture;
    struct pq_row_batch rows;
    set_up(&fixture, "{ T: { $ingest: 'tail', $type: 'TailEvents' } }", true, 0);
    for (int i = 0; i < 2; i++) {  // the first one cannot know better
        const struct pq_text event = PQ_TEXT("{\"outcome\":\"ok\",\"event\":{\"a\":1}}");
        CHECK(pq_row_reader_read(fixture.reader, event, &rows, NULL) == PQDB_OK, "read");
        CHECK(i == 0 || rows.hold->arena.bytes_held < 5000, "%zu bytes",
              rows.hold->arena.bytes_held);
        pq_rows_deinit(&rows);
    }
    tear_down(&fixture);
}

static void the_reader_serves_collections_alone(void) {
    struct fixture fixture;
    struct pq_row_reader *reader = NULL;
    set_up(&fixture, "{ T: { s: 'string' }, V: { $from: 'T' } }", true, 0);
    const struct pq_row_options options = {.entry = pq_schema_find(fixture.schema, PQ_TEXT("V")),
                                           .names = fixture.names,
                                           .env = &fixed_env};
    CHECK(pq_row_reader_create(&options, &pq_alloc_libc, &reader, NULL) == PQDB_UNSUPPORTED, "V");
    CHECK(reader == NULL, "no reader");
    tear_down(&fixture);
}

/// The row as JSON, built from its columns, with the undeclared rest inline: what was given.
static void check_event(const struct pq_batch *batch, size_t row, const struct pq_json *event) {
    struct pq_bytes got, want;
    pq_bytes_init(&got, &pq_alloc_libc);
    pq_bytes_init(&want, &pq_alloc_libc);
    row_text(batch, row, &got);
    pq_bytes_printf(&want, NULL, " scriptName='unknown' outcome='%s'",
                    pq_json_text(pq_json_find(event, "outcome")).data);
    char at[PQ_TIME_TEXT_MAX];
    pq_timestamp_format(pq_json_int(pq_json_find(event, "eventTimestamp")) * PQ_US_PER_MS, at);
    pq_bytes_printf(&want, NULL, " eventTimestamp=%s", at);
    const struct pq_json *detail = pq_json_find(event, "event");
    if (pq_json_kind(detail) != PQ_JSON_NULL) {
        pq_bytes_printf(&want, NULL, " event=");
        canonical_json(detail, &want);
    }
    static const char *const lists[] = {"logs", "exceptions"};
    for (size_t i = 0; i < 2; i++) {
        const struct pq_json *list = pq_json_find(event, lists[i]);
        const struct pq_json *element = pq_json_first(list);
        pq_bytes_printf(&want, NULL, " %s=[", lists[i]);
        for (size_t k = 0; k < pq_json_count(list); k++, element = pq_json_next(element)) {
            if (k > 0) pq_bytes_append(&want, ", ", 2, NULL);
            canonical_json(element, &want);
        }
        pq_bytes_append_byte(&want, ']', NULL);
    }
    static const char *const rest[] = {"cpuTime", "diagnosticsChannelEvents", "executionModel",
                                       "truncated", "wallTime"};
    pq_bytes_printf(&want, NULL, " _extra={");
    for (size_t i = 0; i < 5; i++) {
        pq_bytes_printf(&want, NULL, "%s\"%s\":", i > 0 ? "," : "", rest[i]);
        canonical_json(pq_json_find(event, rest[i]), &want);
    }
    pq_bytes_append_byte(&want, '}', NULL);
    CHECK(pq_text_equal(pq_bytes_text(&got), pq_bytes_text(&want)), "row %zu:\n%.*s\n%.*s", row,
          PQ_TEXT_ARG(pq_bytes_text(&got)), PQ_TEXT_ARG(pq_bytes_text(&want)));
    pq_bytes_deinit(&got);
    pq_bytes_deinit(&want);
}

static void real_events_become_rows_and_lose_nothing(void) {
    const char *path = getenv("PQ_TAIL_EVENTS");
    FILE *file = fopen(path != NULL ? path : PQ_PROJECT_DIR "/../shared/data/tail-workerd.ndjson",
                       "rb");
    if (file == NULL) {
        fprintf(stderr, "    skipped: no tail-workerd.ndjson in ../shared/data\n");
        return;
    }
    struct fixture fixture;
    struct pq_row_batch rows;
    struct pq_bytes input;
    pq_bytes_init(&input, &pq_alloc_libc);
    pq_bytes_reserve(&input, 1 << 20, NULL);
    input.length = fread(input.data, 1, input.capacity, file);
    fclose(file);
    set_up(&fixture, "{ T: { $ingest: 'tail', $type: 'TailEvents' } }", true, 0);
    CHECK(pq_row_reader_read(fixture.reader, pq_bytes_text(&input), &rows, NULL) == PQDB_OK, "r");
    CHECK(rows.batch.count == 500 && rows.refusal_count == 0, "%zu rows", rows.batch.count);
    struct pq_text rest = pq_bytes_text(&input);
    for (size_t row = 0; row < rows.batch.count; row++) {
        const char *end = memchr(rest.data, '\n', rest.length);
        const size_t length = end == NULL ? rest.length : (size_t)(end - rest.data);
        struct pq_json_document *event;
        CHECK(pq_json_parse((struct pq_text){rest.data, length}, 0, &pq_alloc_libc, &event,
                            NULL) == PQDB_OK, "row %zu", row);
        check_event(&rows.batch, row, pq_json_root(event));
        pq_json_destroy(event);
        rest = (struct pq_text){rest.data + length + 1, rest.length - length - 1};
    }
    pq_rows_deinit(&rows);
    tear_down(&fixture);
    pq_bytes_deinit(&input);
}

static pqdb_code read_with(const struct pq_alloc *alloc, struct fixture *fixture) {
    const struct pq_row_options options = {.entry = pq_schema_find(fixture->schema, PQ_TEXT("T")),
                                           .names = fixture->names,
                                           .env = &fixed_env,
                                           .set_aside = true};
    struct pq_row_reader *reader;
    struct pq_row_batch rows;
    PQ_TRY(pq_row_reader_create(&options, alloc, &reader, NULL));
    pqdb_code code = PQDB_OK;
    const char *input = "{\"s\":\"a\",\"x\":{\"y\":[1]},\"o\":{\"k\":2}}\n{\"l\":[{\"q\":1}]}\n5\n";
    for (int i = 0; i < 3 && code == PQDB_OK; i++) {
        code = pq_row_reader_read(reader, pq_text_of(input), &rows, NULL);
        if (code != PQDB_OK) break;
        struct pq_ulids ulids;
        pq_ulids_init(&ulids, &fixed_env);
        code = pq_rows_fill_ids(&rows, &ulids, NULL);
        pq_rows_deinit(&rows);
    }
    pq_row_reader_destroy(reader);
    return code;
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void) {
    struct fixture fixture;
    set_up(&fixture, "{ T: { s: 'string', o: { k: 'int' }, l: [{ q: 'int = 3' }] } }", true, 0);
    bool failed = true;
    long fail_at = 0;
    for (; failed && fail_at < 400; fail_at++) {
        struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
        failing.alloc.ctx = &failing;
        const pqdb_code code = read_with(&failing.alloc, &fixture);
        failed = failing.left < 0;
        CHECK(code == PQDB_NO_MEMORY || code == PQDB_OK, "fail_at %ld: %d", fail_at, (int)code);
        CHECK(failed || code == PQDB_OK, "code %d without a failure", (int)code);
        CHECK(failing.live_bytes == 0, "fail_at %ld leaks %ld bytes", fail_at, failing.live_bytes);
    }
    CHECK(!failed && fail_at > 30, "stopped at %ld", fail_at);
    tear_down(&fixture);
}

int main(void) {
    RUN(items_become_rows_or_refusals_as_in_the_cases);
    RUN(ids_are_generated_where_none_was_given_and_rise);
    RUN(the_commit_stamps_what_was_not_given);
    RUN(a_full_batch_stops_the_input_and_counts_go_on);
    RUN(a_line_that_is_too_long_spoils_no_other);
    RUN(without_setting_aside_the_first_refusal_fails_the_batch);
    RUN(dictionaries_persist_while_texts_repeat);
    RUN(an_id_has_its_longest_length);
    RUN(objects_of_many_keys_are_read_like_others);
    RUN(much_text_fills_a_batch_before_many_rows_do);
    RUN(bytes_that_are_no_utf8_and_a_byte_order_mark);
    RUN(a_batch_of_one_row_takes_little_memory);
    RUN(the_reader_serves_collections_alone);
    RUN(real_events_become_rows_and_lose_nothing);
    RUN(every_failed_allocation_is_reported_and_leaks_nothing);
    return test_done();
}
