/// Goal: rows come out of a run as they went in, by look-up and by walk; any damaged byte is found.
#include "state/run.h"

#include "support/memory_runs.h"
#include "support/test.h"

enum { ROWS = 700 };

/// Ascending hashes with some equal ones, payloads of 0 to a few hundred bytes, one very large.
static struct pq_run_row row_of(uint32_t number, char key[static 16], char *payload) {
    const int length = snprintf(key, 16, "%08u", number);
    const size_t bytes = number == 300 ? 20000 : number * 7 % 300;
    memset(payload, (int)('a' + number % 26), bytes);
    return (struct pq_run_row){.hash = (uint64_t)(number / 3) << 54,
                               .key = {key, (size_t)length},
                               .payload = {payload, number % 10 == 9 ? 0 : bytes},
                               .dead = number % 10 == 9};
}

static struct pq_run_name write_rows(const struct pq_run_io *io, uint64_t id) {
    static char payload[20000];
    char key[16];
    const struct pq_run_place place = {io, id, &pq_alloc_libc};
    struct pq_run_writer *writer;
    struct pq_run_name name = {0};
    CHECK(pq_run_writer_create(&place, PQ_TRACE_NEWEST_WINS, ROWS, &writer, NULL) == PQDB_OK,
          "create");
    for (uint32_t i = 0; i < ROWS; i++) {
        const struct pq_run_row row = row_of(i, key, payload);
        CHECK(pq_run_writer_append(writer, &row, NULL) == PQDB_OK, "append %u", i);
    }
    CHECK(pq_run_writer_finish(writer, &name, NULL) == PQDB_OK, "finish");
    pq_run_writer_destroy(writer);
    return name;
}

static bool same(const struct pq_run_row *a, const struct pq_run_row *b) {
    return a->hash == b->hash && a->dead == b->dead && pq_text_equal(a->key, b->key) &&
           pq_text_equal(a->payload, b->payload);
}

static void rows_come_back(void) {
    struct memory_runs runs;
    const struct pq_run_io io = memory_runs_init(&runs);
    const struct pq_run_name name = write_rows(&io, 0);
    CHECK(name.rows == ROWS && name.length == runs.files[0].length, "name");
    struct pq_run *run = NULL;
    CHECK(pq_run_open(&io, &name, &pq_alloc_libc, &run, NULL) == PQDB_OK, "open");

    static char payload[20000];
    char key[16];
    struct pq_run_row got;
    struct pq_bytes room;
    pq_bytes_init(&room, &pq_alloc_libc);
    for (uint32_t i = 0; i < ROWS; i++) {
        const struct pq_run_row want = row_of(i, key, payload);
        bool found = false;
        const struct pq_hashed_key keys[] = {{want.hash, want.key},
                                             {want.hash + 1, want.key},
                                             {want.hash, PQ_TEXT("no")}};
        CHECK(pq_run_find(run, &keys[0], &room, &got, &found, NULL) == PQDB_OK, "%u", i);
        CHECK(found && same(&got, &want), "row %u", i);
        CHECK(pq_run_find(run, &keys[1], &room, &got, &found, NULL) == PQDB_OK && !found,
              "another hash of %u", i);
        CHECK(pq_run_find(run, &keys[2], &room, &got, &found, NULL) == PQDB_OK && !found,
              "another key of %u", i);
    }
    struct pq_run_cursor cursor;
    pq_run_cursor_init(&cursor, run, &pq_alloc_libc);
    bool more = true;
    for (uint32_t i = 0; i <= ROWS; i++) {
        CHECK(pq_run_cursor_next(&cursor, &got, &more, NULL) == PQDB_OK, "next %u", i);
        CHECK(more == (i < ROWS), "row %u", i);
        const struct pq_run_row want = row_of(i, key, payload);
        if (more) CHECK(same(&got, &want), "row %u", i);
    }
    pq_run_cursor_deinit(&cursor);
    pq_bytes_deinit(&room);
    pq_run_unref(run);
    memory_runs_deinit(&runs);
}

static pqdb_code read_everything(const struct pq_run_io *io, const struct pq_run_name *name) {
    struct pq_run *run = NULL;
    PQ_TRY(pq_run_open(io, name, &pq_alloc_libc, &run, NULL));
    struct pq_run_cursor cursor;
    struct pq_bytes room;
    pq_bytes_init(&room, &pq_alloc_libc);
    pq_run_cursor_init(&cursor, run, &pq_alloc_libc);
    struct pq_run_row row;
    bool more = true, found;
    const struct pq_hashed_key key = {1, PQ_TEXT("key")};
    pqdb_code code = pq_run_find(run, &key, &room, &row, &found, NULL);
    while (code == PQDB_OK && more) code = pq_run_cursor_next(&cursor, &row, &more, NULL);
    pq_run_cursor_deinit(&cursor);
    pq_bytes_deinit(&room);
    pq_run_unref(run);
    return code;
}

static void every_damaged_byte_is_found(void) {
    struct memory_runs runs;
    const struct pq_run_io io = memory_runs_init(&runs);
    const struct pq_run_name name = write_rows(&io, 0);
    CHECK(read_everything(&io, &name) == PQDB_OK, "whole");
    for (size_t i = 0; i < name.length; i += i < name.length - 2000 ? 97 : 1) {
        runs.files[0].data[i] ^= 0x10;
        CHECK(read_everything(&io, &name) == PQDB_CORRUPT, "byte %zu", i);
        runs.files[0].data[i] ^= 0x10;
    }
    for (uint64_t length = 0; length < name.length; length += 501) {
        const struct pq_run_name cut = {name.id, length, name.rows};
        CHECK(read_everything(&io, &cut) == PQDB_CORRUPT, "cut at %zu", (size_t)length);
    }
    memory_runs_deinit(&runs);
}

static void merging_keeps_the_newest_row_of_a_key(void) {
    struct memory_runs runs;
    const struct pq_run_io io = memory_runs_init(&runs);
    static const struct {
        const char *key, *payload;
    } rows[2][3] = {{{"a", "new"}, {"b", NULL}, {"d", "new"}},
                    {{"a", "old"}, {"b", "old"}, {"c", "old"}}};
    struct pq_run *opened[2];
    struct pq_run_name name;
    for (uint64_t id = 0; id < 2; id++) {
        const struct pq_run_place place = {&io, id, &pq_alloc_libc};
        struct pq_run_writer *writer;
        CHECK(pq_run_writer_create(&place, PQ_TRACE_NEWEST_WINS, 3, &writer, NULL) == PQDB_OK,
              "create");
        for (size_t i = 0; i < 3; i++) {
            const bool dead = rows[id][i].payload == NULL;
            const struct pq_run_row row = {
                (uint64_t)rows[id][i].key[0], pq_text_of(rows[id][i].key),
                dead ? (struct pq_text){0} : pq_text_of(rows[id][i].payload), dead, 0};
            CHECK(pq_run_writer_append(writer, &row, NULL) == PQDB_OK, "append");
        }
        CHECK(pq_run_writer_finish(writer, &name, NULL) == PQDB_OK, "finish");
        pq_run_writer_destroy(writer);
        CHECK(pq_run_open(&io, &name, &pq_alloc_libc, &opened[id], NULL) == PQDB_OK, "open");
    }
    for (int drop = 0; drop < 2; drop++) {
        const struct pq_run_merge given = {
            .runs = opened, .count = 2, .drop_dead = drop == 1};
        const struct pq_run_place place = {&io, 5 + (uint64_t)drop, &pq_alloc_libc};
        CHECK(pq_run_merge(&given, &place, &name, NULL) == PQDB_OK, "merge");
        struct pq_run *merged;
        CHECK(pq_run_open(&io, &name, &pq_alloc_libc, &merged, NULL) == PQDB_OK, "open");
        char got[64] = "";
        struct pq_run_cursor cursor;
        pq_run_cursor_init(&cursor, merged, &pq_alloc_libc);
        struct pq_run_row row;
        for (bool more = true;;) {
            CHECK(pq_run_cursor_next(&cursor, &row, &more, NULL) == PQDB_OK, "next");
            if (!more) break;
            const size_t used = strlen(got);
            snprintf(got + used, sizeof got - used, "%.*s=%.*s ", PQ_TEXT_ARG(row.key),
                     PQ_TEXT_ARG(row.dead ? PQ_TEXT("dead") : row.payload));
        }
        const char *want = drop ? "a=new c=old d=new " : "a=new b=dead c=old d=new ";
        CHECK(strcmp(got, want) == 0, "got %s", got);
        pq_run_cursor_deinit(&cursor);
        pq_run_unref(merged);
    }
    pq_run_unref(opened[0]);
    pq_run_unref(opened[1]);
    memory_runs_deinit(&runs);
}

struct steps {
    struct memory_runs *runs;
    size_t read_bytes, read_before, most;  // of blocks
    long count, last;                      // of pauses; the one that says no, or -1
};

static pqdb_code read_counted(void *ctx, uint64_t id, uint64_t offset, void *out, size_t length,
                              pqdb_error *err) {
    struct steps *steps = ctx;
    steps->read_bytes += length;
    return memory_runs_read(steps->runs, id, offset, out, length, err);
}

static pqdb_code pause_counted(void *ctx, pqdb_error *err) {
    struct steps *steps = ctx;
    const size_t step = steps->read_bytes - steps->read_before;
    if (step > steps->most) steps->most = step;
    steps->read_before = steps->read_bytes;
    return steps->count++ == steps->last ? pq_fail(err, PQDB_CONFLICT, "enough") : PQDB_OK;
}

/// A hash a row, so that runs of many rows are in order.
static struct pq_run *write_many(const struct pq_run_io *io, uint64_t id, uint32_t rows) {
    static char payload[200];
    const struct pq_run_place place = {io, id, &pq_alloc_libc};
    struct pq_run_writer *writer;
    struct pq_run_name name;
    struct pq_run *run = NULL;
    CHECK(pq_run_writer_create(&place, PQ_TRACE_NEWEST_WINS, rows, &writer, NULL) == PQDB_OK,
          "create");
    for (uint32_t i = 0; i < rows; i++) {
        const struct pq_run_row row = {.hash = i, .key = PQ_TEXT("key"),
                                       .payload = {payload, sizeof payload}};
        CHECK(pq_run_writer_append(writer, &row, NULL) == PQDB_OK, "append %u", i);
    }
    CHECK(pq_run_writer_finish(writer, &name, NULL) == PQDB_OK, "finish");
    pq_run_writer_destroy(writer);
    CHECK(pq_run_open(io, &name, &pq_alloc_libc, &run, NULL) == PQDB_OK, "open");
    return run;
}

/// Goal: however large runs are, between two pauses a merge reads no more than a step's bytes, with
/// what is in its blocks besides; and it ends when a pause says so.
static void a_merge_is_steps_of_a_bounded_size(void) {
    enum { MANY = 20000, RUNS = 4 };
    static struct memory_runs runs;
    struct pq_run_io io = memory_runs_init(&runs);
    struct pq_run *opened[RUNS];
    for (uint64_t id = 0; id < RUNS; id++) opened[id] = write_many(&io, id, MANY);
    struct steps steps = {.runs = &runs, .last = -1};
    io.read = read_counted;
    io.ctx = &steps;
    for (uint64_t id = 0; id < RUNS; id++) {
        struct pq_run *counted = NULL;
        CHECK(pq_run_open(&io, pq_run_name(opened[id]), &pq_alloc_libc, &counted, NULL) == PQDB_OK,
              "open");
        pq_run_unref(opened[id]);
        opened[id] = counted;
    }
    for (long last = -1; last < 3; last += 3) {
        steps = (struct steps){.runs = &runs, .last = last};
        const struct pq_run_merge given = {.runs = opened, .count = RUNS, .drop_dead = true,
                                           .pause = pause_counted, .pause_ctx = &steps};
        const struct pq_run_io out = {.append = memory_runs_append, .finish = memory_runs_finish,
                                      .read = memory_runs_read, .ctx = &runs};
        const struct pq_run_place place = {&out, RUNS + 1 + (uint64_t)(last + 1), &pq_alloc_libc};
        struct pq_run_name name = {0};
        const pqdb_code code = pq_run_merge(&given, &place, &name, NULL);
        CHECK(code == (last < 0 ? PQDB_OK : PQDB_CONFLICT), "%d", code);
        CHECK(steps.most <= PQ_RUN_MERGE_STEP_BYTES + PQ_RUN_MERGE_STEP_BYTES / 8 +
                                RUNS * PQ_RUN_BLOCK_BYTES,
              "%zu bytes in a step", steps.most);
        CHECK(steps.count == (last < 0 ? steps.count : last + 1) && steps.count > 2,
              "%ld pauses", steps.count);
        CHECK(last >= 0 || name.rows == MANY, "rows");
        CHECK(last < 0 || !runs.finished[place.id], "it was finished");
    }
    for (uint64_t id = 0; id < RUNS; id++) pq_run_unref(opened[id]);
    memory_runs_deinit(&runs);
}

int main(void) {
    RUN(rows_come_back);
    RUN(every_damaged_byte_is_found);
    RUN(a_merge_is_steps_of_a_bounded_size);
    RUN(merging_keeps_the_newest_row_of_a_key);
    return test_done();
}
