/// Goal: rows die by their ids in files without a page being decoded, and always the right ones:
/// whatever share their marks, whatever died before, and where a file has no marks or damaged ones.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "batch/builder.h"
#include "support/test.h"
#include "table/data_file.h"
#include "table/fetch.h"
#include "table/id_filter.h"
#include "table/page_cache.h"
#include "table/rewrite.h"
#include "table/table.h"
#include "variant/variant.h"

enum { FILES = 3, FILE_ROWS = 12000, ROWS = FILES * FILE_ROWS, STEP_MAX = 700 };

static const struct pq_field fields[] = {
    {{"$id", 3}, {.kind = PQ_TEXT}, true, 1},
    {{"$seq", 4}, {.kind = PQ_INT64}, true, 2},
};
static const struct pq_type type = {.kind = PQ_OBJECT, .field_count = 2, .fields = fields};
static pqdb_error err;

static void must(pqdb_code code) { CHECK(code == PQDB_OK, "%s %s", err.subject, err.message); }

struct world {
    struct pq_store *store;
    struct pq_page_cache *pages;
    struct pq_variant_names *names;
    struct pq_table *table;
    uint64_t version;
    uint64_t dice;
    size_t order[ROWS];  // rows, shuffled
};

static size_t roll(struct world *w, size_t sides) {
    w->dice = w->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(w->dice >> 33) % sides;
}

static struct pq_text id_of(size_t row, char room[32]) {
    return (struct pq_text){room, (size_t)snprintf(room, 32, "[%06zu]", row)};
}

/// One delta: `rows` with this weight.
static pqdb_code apply(struct world *w, const size_t *rows, size_t count, int64_t weight) {
    struct pq_hold *hold;
    struct pq_builder columns[2];
    must(pq_hold_create(&pq_alloc_libc, &hold, &err));
    for (int k = 0; k < 2; k++) {
        must(pq_builder_init(&columns[k], &fields[k].type, &hold->arena.alloc, &err));
    }
    int64_t *weights = pq_arena_alloc(&hold->arena, (count + 1) * sizeof *weights);
    const int64_t seq = (int64_t)++w->version;
    for (size_t i = 0; i < count; i++) {
        char room[32];
        const struct pq_text id = id_of(rows[i], room);
        weights[i] = weight;
        must(pq_builder_append_bytes(&columns[0], id.data, id.length, &err));
        must(pq_builder_append_fixed(&columns[1], &seq, &err));
    }
    struct pq_batch batch;
    must(pq_builder_finish_batch(columns, &type, &hold->arena, &batch, &err));
    batch.weights = weights;
    const pqdb_code code = pq_table_apply(w->table, &batch, hold, w->version, &err);
    pq_hold_unref(hold);
    if (code == PQDB_OK) must(pq_table_publish(w->table, &err));
    return code;
}

/// All rows in memory become the file `number`.
static void write_file(struct world *w, int number, bool with_ids) {
    char path[32];
    snprintf(path, sizeof path, "%d.parquet", number);
    must(pq_table_seal(w->table, &err));
    must(pq_table_publish(w->table, &err));
    struct pq_table_snapshot *snapshot = pq_table_snapshot_ref(w->table->published);
    const struct pq_catalog *catalog = snapshot->catalog;
    struct pq_segment *const *chunks = catalog->segments + catalog->file_count;
    const struct pq_rewrite rewrite = {.snapshot = snapshot, .segments = chunks,
                                       .count = catalog->count - catalog->file_count,
                                       .store = w->store, .path = path,
                                       .alloc = &pq_alloc_libc};
    struct pq_rewritten written;
    must(pq_table_rewrite(&rewrite, &written, &err));
    const struct pq_data_file_options options = {
        .store = w->store, .path = pq_text_of(path), .bytes = written.bytes,
        .rows = written.rows, .type = &type, .pages = w->pages, .alloc = &pq_alloc_libc};
    struct pq_segment_file given = {.rows = written.rows, .version = w->version};
    struct pq_segment *fresh;
    must(pq_data_file_create(&options, &given.file, &err));
    if (with_ids) must(pq_table_write_beside(snapshot, given.file, NULL, &err));
    must(pq_segment_create_file(&given, &pq_alloc_libc, &fresh, &err));
    const struct pq_table_swap swap = {.old = chunks, .old_count = rewrite.count, .fresh = fresh,
                                       .moved = (const uint32_t *const *)written.moved};
    must(pq_table_swap(w->table, &swap, &err));
    must(pq_table_publish(w->table, &err));
    pq_rewritten_deinit(&written);
    pq_table_snapshot_unref(snapshot);
}

/// Rows of three files that lie among each other, `marks` of which have marks. In `order`: all.
static struct world *make_world(int marked) {
    static struct world w;
    w = (struct world){.dice = 7};
    must(pq_store_open_memory(&pq_alloc_libc, &w.store, &err));
    must(pq_page_cache_create(64 << 20, &pq_alloc_libc, &w.pages, &err));
    must(pq_variant_names_create(&pq_alloc_libc, &w.names, &err));
    const struct pq_table_options options = {.name = PQ_TEXT("Rows"), .type = &type,
                                             .names = w.names, .marks_ids = true,
                                             .alloc = &pq_alloc_libc};
    must(pq_table_create(&options, &w.table, &err));
    for (int file = 0; file < FILES; file++) {
        for (size_t i = 0; i < FILE_ROWS; i++) w.order[i] = i * FILES + (size_t)file;
        must(apply(&w, w.order, FILE_ROWS, 1));
        write_file(&w, file, file < marked);
    }
    for (size_t i = 0; i < ROWS; i++) w.order[i] = i;
    for (size_t i = ROWS - 1; i > 0; i--) {
        const size_t other = roll(&w, i + 1), row = w.order[i];
        w.order[i] = w.order[other];
        w.order[other] = row;
    }
    return &w;
}

static void unmake_world(struct world *w) {
    pq_table_destroy(w->table);
    pq_variant_names_unref(w->names);
    pq_page_cache_destroy(w->pages);
    pq_store_destroy(w->store);
}

static bool is_there(struct world *w, size_t row) {
    char room[32];
    bool has;
    must(pq_table_has(w->table, id_of(row, room), &has, &err));
    return has;
}

/// Rows order[done ...) die, some at a time; whoever is looked at is there or not as it should be.
static void kill_all(struct world *w, size_t done) {
    while (done < ROWS) {
        size_t count = roll(w, STEP_MAX) + 1;
        if (count > ROWS - done) count = ROWS - done;
        must(apply(w, w->order + done, count, -1));
        done += count;
        CHECK(w->table->rows == ROWS - done, "%zu rows, %zu died", w->table->rows, done);
        for (int i = 0; i < 20; i++) {
            const size_t at = roll(w, ROWS);
            CHECK(is_there(w, w->order[at]) == (at >= done), "row %zu", w->order[at]);
        }
    }
}

static void rows_die_without_a_page_being_decoded(void) {
    struct world *w = make_world(FILES);
    must(apply(w, w->order, 5, -1));
    must(apply(w, w->order + 5, 300, -1));
    CHECK(pq_page_cache_bytes(w->pages) == 0, "%zu bytes", pq_page_cache_bytes(w->pages));
    CHECK(w->table->rows == ROWS - 305, "%zu", w->table->rows);
    unmake_world(w);
}

static void all_rows_die_and_no_other(void) {
    struct world *w = make_world(FILES);
    kill_all(w, 0);
    unmake_world(w);
}

struct marked_row {
    uint32_t mark;
    size_t row;
};

static int by_mark(const void *a, const void *b) {
    const struct marked_row *x = a, *y = b;
    if (x->mark != y->mark) return x->mark < y->mark ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/// Of two rows of a page with one mark now the first, now the second dies, and not the other.
static void rows_with_the_same_mark_are_told_apart(void) {
    static struct marked_row rows[FILE_ROWS];
    struct world *w = make_world(FILES);
    size_t pairs = 0;
    for (int file = 0; file < FILES; file++) {
        for (size_t i = 0; i < FILE_ROWS; i++) {
            char room[32];
            const size_t row = i * FILES + (size_t)file;
            const struct pq_text id = id_of(row, room);
            rows[i] = (struct marked_row){pq_hash(id.data, id.length) & 0xFFFFFF, row};
        }
        qsort(rows, FILE_ROWS, sizeof *rows, by_mark);
        for (size_t i = 1; i < FILE_ROWS; i++) {
            const size_t a = rows[i - 1].row, b = rows[i].row;
            const bool one_page = a / FILES / 4096 == b / FILES / 4096;
            if (rows[i - 1].mark != rows[i].mark || !one_page) continue;
            const size_t first = pairs++ % 2 == 0 ? a : b, second = a + b - first;
            must(apply(w, &first, 1, -1));
            CHECK(!is_there(w, first) && is_there(w, second), "%zu and %zu", first, second);
        }
    }
    CHECK(pairs > 1, "%zu pairs: none share a mark", pairs);
    unmake_world(w);
}

/// The same ids again, in a further file and in memory: what died before has their marks too.
static void rows_that_came_again_die_where_they_are(void) {
    struct world *w = make_world(FILES);
    must(apply(w, w->order, ROWS / 2, -1));
    must(apply(w, w->order, ROWS / 2, 1));
    write_file(w, FILES, true);
    must(apply(w, w->order, ROWS / 4, -1));
    must(apply(w, w->order, ROWS / 4, 1));
    kill_all(w, 0);
    unmake_world(w);
}

static void files_without_marks_are_searched(void) {
    for (int marked = 0; marked < FILES; marked++) {
        struct world *w = make_world(marked);
        kill_all(w, 0);
        unmake_world(w);
    }
}

static void damaged_marks_are_done_without(void) {
    struct world *w = make_world(FILES);
    struct pq_bytes content;
    pq_bytes_init(&content, &pq_alloc_libc);
    must(apply(w, w->order, 1, -1));  // all filters are read now
    must(pq_store_read_file(w->store, "1.parquet.ids", 1 << 20, &content, &err));
    const size_t marks = content.length - FILE_ROWS * 3 - (FILE_ROWS + 1023) / 1024 * 8;
    for (size_t at = marks + 100; at < content.length; at += 6000) content.data[at] ^= 16;
    struct pq_file *file;
    const struct pq_text piece = pq_bytes_text(&content);
    must(pq_file_open(w->store, "1.parquet.ids", PQ_OPEN_WRITE, &file, &err));
    must(pq_file_write(file, 0, &piece, 1, &err));
    pq_file_close(file);
    kill_all(w, 1);
    pq_bytes_deinit(&content);
    unmake_world(w);
}

static void a_row_that_is_not_there_is_an_error(void) {
    struct world *w = make_world(FILES);
    const size_t rows[] = {ROWS + 7};
    must(apply(w, w->order, 10, -1));
    CHECK(apply(w, rows, 1, -1) == PQDB_CORRUPT, "a row that never was");
    CHECK(strcmp(err.message, "row '[036007]' should be there to go") == 0, "%s", err.message);
    CHECK(apply(w, w->order + 3, 1, -1) == PQDB_CORRUPT, "a row that died before");
    CHECK(strcmp(err.subject, "Rows") == 0, "%s", err.subject);
    unmake_world(w);
}

int main(void) {
    RUN(rows_die_without_a_page_being_decoded);
    RUN(all_rows_die_and_no_other);
    RUN(rows_with_the_same_mark_are_told_apart);
    RUN(rows_that_came_again_die_where_they_are);
    RUN(files_without_marks_are_searched);
    RUN(damaged_marks_are_done_without);
    RUN(a_row_that_is_not_there_is_an_error);
    return test_done();
}
