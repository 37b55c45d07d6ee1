/// Law: however rows lie in files, row groups, pages and memory, however many are dead: a scan with
/// a filter gives each row for which the filter is true value by value, once and whole, and an
/// answer gives them in the order and the part that is asked, in one piece or page by page.
/// Random rows of every kind, random filters, from seeds.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr/compare.h"
#include "expr/run_internal.h"
#include "query/find_internal.h"
#include "support/column_text.h"
#include "support/expr_fixture.h"
#include "support/fault_store.h"
#include "support/random_filter.h"
#include "support/test.h"
#include "table/data_file.h"
#include "table/rewrite.h"
#include "table/scan_ahead.h"

enum { rounds = 60, rows_max = 240, filters = 14 };

#define draw random_draw

static pqdb_error err;
static uint64_t rows_in_files, rows_left_out, groups, groups_left_out;
static uint64_t narrowed;  // answers that were too much to hold

static void must(pqdb_code code) { CHECK(code == PQDB_OK, "%s: %s", err.subject, err.message); }

struct world {
    struct expr_fixture fixture;
    struct pq_type type;     // the fixture's, with field ids
    struct pq_batch all;     // every row there ever was
    bool dead[rows_max];
    struct pq_table *table;
    struct fault_store *disk;
    uint64_t version;
    unsigned files;
};

// ---- a table ------------------------------------------------------------------------------------

static struct pq_type with_ids(const struct pq_type *type, int32_t *next, struct pq_arena *arena) {
    struct pq_type copy = *type;
    struct pq_field *fields = pq_arena_calloc(arena, type->field_count + 1, sizeof *fields);
    for (uint32_t k = 0; k < type->field_count; k++) {
        fields[k] = type->fields[k];
        fields[k].id = (*next)++;
        fields[k].type = with_ids(&type->fields[k].type, next, arena);
    }
    copy.fields = fields;
    return copy;
}

static void apply(struct world *w, const struct pq_batch *rows) {
    struct pq_hold *hold;
    struct pq_batch copy;
    must(pq_hold_copy(rows, &pq_alloc_libc, &hold, &copy, &err));
    must(pq_table_apply(w->table, &copy, hold, ++w->version, &err));
    must(pq_table_publish(w->table, &err));
    pq_hold_unref(hold);
}

static void add_rows(struct world *w, size_t first, size_t count) {
    struct pq_batch rows;
    must(pq_batch_slice(&w->all, first, count, &w->fixture.arena, &rows, &err));
    apply(w, &rows);
}

static void kill_some(struct world *w, size_t below) {
    uint32_t rows[rows_max];
    int64_t weights[rows_max];
    size_t count = 0;
    const size_t share = 2 + draw(12);
    for (uint32_t row = 0; row < below; row++) {
        if (w->dead[row] || draw(share) != 0) continue;
        w->dead[row] = true;
        weights[count] = -1;
        rows[count++] = row;
    }
    struct pq_batch dying;
    must(pq_batch_gather(&w->all, rows, count, &w->fixture.arena, &dying, &err));
    dying.weights = weights;
    if (count > 0) apply(w, &dying);
}

/// What is in memory goes to a file of small groups and pages.
static void write_file(struct world *w) {
    char path[32];
    struct pq_segment *old[rows_max];
    size_t count = 0;
    must(pq_table_seal(w->table, &err));
    must(pq_table_publish(w->table, &err));
    struct pq_table_snapshot *snapshot = w->table->published;
    for (size_t i = snapshot->catalog->file_count; i < snapshot->catalog->count; i++) {
        old[count++] = snapshot->catalog->segments[i];
    }
    if (count == 0) return;
    snprintf(path, sizeof path, "%u.parquet", w->files++);
    const struct pq_rewrite rewrite = {
        .snapshot = snapshot, .segments = old, .count = count, .store = &w->disk->base,
        .path = path, .page_rows = 1 + (uint32_t)draw(9), .group_rows = 1 + (uint32_t)draw(70),
        .alloc = &pq_alloc_libc};
    struct pq_rewritten rewritten;
    struct pq_table_swap swap = {.old = old, .old_count = count};
    must(pq_table_rewrite(&rewrite, &rewritten, &err));
    swap.moved = (const uint32_t *const *)rewritten.moved;
    if (rewritten.rows > 0) {
        const struct pq_data_file_options options = {
            .store = &w->disk->base, .path = pq_text_of(path), .bytes = rewritten.bytes,
            .rows = rewritten.rows, .type = &w->type, .alloc = &pq_alloc_libc};
        struct pq_segment_file given = {.rows = rewritten.rows, .version = w->version};
        must(pq_data_file_create(&options, &given.file, &err));
        must(pq_segment_create_file(&given, &pq_alloc_libc, &swap.fresh, &err));
    }
    must(pq_table_swap(w->table, &swap, &err));
    pq_rewritten_deinit(&rewritten);
    must(pq_table_publish(w->table, &err));
}

static void world_init(struct world *w, uint64_t seed) {
    struct pq_bytes text;
    int32_t next_id = 1;
    memset(w, 0, sizeof *w);
    random_seed(seed);
    expr_fixture_init(&w->fixture);
    w->fixture.scope.problems = NULL;
    w->fixture.dictionaries = draw(2) == 0;
    w->type = with_ids(w->fixture.scope.type, &next_id, &w->fixture.arena);
    w->fixture.scope.type = &w->type;
    w->disk = fault_store_create();
    pq_bytes_init(&text, &w->fixture.arena.alloc);
    random_rows(&text, "r", 1 + draw(rows_max));
    must(expr_fixture_batch(&w->fixture, pq_bytes_text(&text), &w->all, &err));
    struct pq_column *columns = (struct pq_column *)(uintptr_t)w->all.columns;
    for (size_t k = 0; k < w->type.field_count; k++) columns[k].type = &w->type.fields[k].type;
    w->all.type = &w->type;
    const struct pq_table_options options = {.name = PQ_TEXT("Things"), .type = &w->type,
                                             .names = w->fixture.names, .alloc = &pq_alloc_libc};
    must(pq_table_create(&options, &w->table, &err));
    for (size_t row = 0, count; row < w->all.count; row += count) {
        count = 1 + draw(w->all.count);
        if (count > w->all.count - row) count = w->all.count - row;
        add_rows(w, row, count);
        if (draw(3) == 0) kill_some(w, row + count);
        if (draw(4) != 0) write_file(w);
        if (draw(3) == 0) kill_some(w, row + count);
    }
}

static void world_deinit(struct world *w) {
    pq_table_destroy(w->table);
    fault_store_destroy(w->disk);
    expr_fixture_deinit(&w->fixture);
}

// ---- filters ------------------------------------------------------------------------------------

struct question {
    struct pq_text text;
    struct pq_program *filter;
    bool holds[rows_max];  // of live rows
    size_t count;
};

static bool question_init(struct question *q, struct world *w) {
    struct pq_bytes text;
    struct pq_json_document *document;
    struct pq_column mask;
    memset(q, 0, sizeof *q);
    pq_bytes_init(&text, &w->fixture.arena.alloc);
    if (draw(5) == 0) {
        pq_bytes_printf(&text, NULL, "{ $id: { $gte: 'r%05zu', $lt: 'r%05zu' } }", draw(rows_max),
                        draw(rows_max));
    } else {
        random_filter(&text, 0);
    }
    q->text = pq_bytes_text(&text);
    must(pq_json_parse(q->text, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, &w->fixture.arena.alloc,
                       &document, &err));
    const struct pq_source what = {.json = pq_json_root(document), .code = "INVALID"};
    const pqdb_code code =
        pq_filter_compile(&what, &w->fixture.scope, &pq_alloc_libc, &q->filter, &err);
    if (code == PQDB_INVALID) return false;  // `$in` of what is no list
    must(code);
    must(pq_program_run_scalar(q->filter, &w->all, &w->fixture.arena, &mask, &err));
    for (size_t row = 0; row < w->all.count; row++) {
        q->holds[row] = !w->dead[row] && pq_column_value(&mask, row).as.boolean;
        q->count += q->holds[row];
    }
    return true;
}

static size_t row_of(struct pq_text id) {
    return strtoul(id.data + 1, NULL, 10);  // r00012; what follows is another column's
}

static size_t row_at(const struct pq_column *ids, size_t at) {
    char text[16] = {0};
    const struct pq_text id = pq_column_text(ids, at);
    memcpy(text, id.data, id.length < 15 ? id.length : 15);
    return row_of((struct pq_text){text, id.length});
}

// ---- scans --------------------------------------------------------------------------------------

static void check_row(struct world *w, const struct pq_batch *batch, size_t at, size_t row,
                      const bool *wanted) {
    struct pq_bytes given, expected;
    pq_bytes_init(&given, &pq_alloc_libc);
    pq_bytes_init(&expected, &pq_alloc_libc);
    for (size_t k = 0; k < w->type.field_count; k++) {
        if (!wanted[k]) {
            CHECK(pq_column_is_null(&batch->columns[k], at), "column %zu, which nobody wanted", k);
            continue;
        }
        const enum pq_kind kind = w->type.fields[k].type.kind;
        if (kind == PQ_VARIANT || kind == PQ_LIST) continue;  // they may be encoded otherwise
        given.length = expected.length = 0;
        column_text(&batch->columns[k], at, &given);
        column_text(&w->all.columns[k], row, &expected);
        CHECK(pq_text_equal(pq_bytes_text(&given), pq_bytes_text(&expected)),
              "row %zu, column %zu: %.*s, not %.*s", row, k, (int)given.length, given.data,
              (int)expected.length, expected.data);
    }
    pq_bytes_deinit(&given);
    pq_bytes_deinit(&expected);
}

static void check_scan(struct world *w, struct question *q) {
    bool seen[rows_max] = {0}, wanted[64], tested[64] = {0};
    size_t column_count, found = 0;
    const uint32_t *columns = pq_program_columns(q->filter, &column_count);
    for (size_t k = 0; k < column_count; k++) tested[columns[k]] = true;
    for (size_t k = 0; k < w->type.field_count; k++) wanted[k] = k == 0 || draw(3) == 0;
    const struct pq_scan_filter filter = {.program = q->filter, .columns = tested};
    struct pq_scan_counts counts = {0};
    const struct pq_scan_options options = {
        .columns = wanted, .filter = &filter, .backwards = draw(2) == 0,
        .rows_first = (uint32_t)draw(20), .counts = &counts};
    struct pq_hold *hold;
    struct pq_scan_ahead ahead;
    struct pq_scan_rows rows;
    const size_t form = draw(3);
    must(pq_hold_create(&pq_alloc_libc, &hold, &err));
    pq_scan_ahead_open(&ahead, w->table->published, &options, draw(2) == 0 ? 0 : UINT64_MAX,
                       &pq_alloc_libc);
    for (;;) {
        struct pq_hold *theirs;
        pq_hold_reset(hold);
        if (form == 0) {
            must(pq_scan_ahead_step(&ahead, &rows, &theirs, &err));
        } else if (form == 1) {
            must(pq_scan_step(&ahead.scan, hold, &rows, &err));
        } else {
            must(pq_scan_next(&ahead.scan, &hold->arena, &rows.batch, &err));
        }
        if (rows.batch.count == 0) break;
        for (size_t i = 0; i < rows.batch.count; i++, found++) {
            const size_t row = row_at(&rows.batch.columns[0], i);
            CHECK(q->holds[row] && !seen[row], "%.*s: row %zu comes %s", PQ_TEXT_ARG(q->text), row,
                  seen[row] ? "twice" : "and should not");
            seen[row] = true;
            check_row(w, &rows.batch, i, row, wanted);
        }
    }
    pq_scan_ahead_close(&ahead);
    pq_hold_unref(hold);
    CHECK(found == q->count && counts.rows_matched == found, "%.*s: %zu rows of %zu",
          PQ_TEXT_ARG(q->text), found, q->count);
    rows_in_files += counts.rows;
    rows_left_out += counts.rows + counts.memory_rows - counts.rows_tested - counts.rows_certain;
    groups += counts.groups;
    groups_left_out += counts.groups - counts.groups_read;
}

// ---- answers ------------------------------------------------------------------------------------

static const char *const sorts[] = {
    "", "{ $id: -1 }", "{ i: 1 }", "{ s: -1, d: 1 }", "{ d: -1 }", "{ f: 1, $id: -1 }",
    "{ dec: 1 }", "{ at: -1, t: 1 }", "{ 'v.a': 1 }", "{ b: -1 }", "{ day: 1 }", "{ v: -1 }",
};

struct order {
    struct world *w;
    size_t key_count;
    struct pq_column keys[4];
    bool descending[4];
};

static int compare_rows(const void *left, const void *right, void *ctx) {
    const struct order *order = ctx;
    const size_t a = *(const size_t *)left, b = *(const size_t *)right;
    for (size_t k = 0; k < order->key_count; k++) {
        const struct pq_column *key = &order->keys[k];
        const struct pq_value x = pq_column_value(key, a), y = pq_column_value(key, b);
        const bool x_null = pq_column_is_null(key, a), y_null = pq_column_is_null(key, b);
        if (x_null && y_null) continue;
        if (x_null || y_null) return x_null ? 1 : -1;
        const int found = pq_value_compare(&x, &y);
        if (found != 0) return order->descending[k] ? -found : found;
    }
    return a < b ? -1 : a > b;
}

static void order_init(struct order *order, struct world *w, const char *sort) {
    *order = (struct order){.w = w};
    struct pq_json_document *document;
    if (*sort == '\0') return;
    must(pq_json_parse(pq_text_of(sort), PQ_JSON_5 | PQ_JSON_RAW_NUMBERS,
                       &w->fixture.arena.alloc, &document, &err));
    const struct pq_json *root = pq_json_root(document), *key = pq_json_first(root);
    for (size_t i = pq_json_count(root); i > 0; i--, key = pq_json_next(pq_json_next(key))) {
        struct pq_program *program;
        const struct pq_source what = {.field = pq_json_text(key), .code = "INVALID"};
        must(pq_expr_compile(&what, &w->fixture.scope, &w->fixture.arena.alloc, &program, &err));
        must(pq_program_run(program, &w->all, &w->fixture.arena, &order->keys[order->key_count],
                            &err));
        const struct pq_text direction = pq_json_text(pq_json_next(key));
        order->descending[order->key_count++] = pq_text_is(direction, "-1");
    }
}

static struct pq_find *open_find(struct world *w, struct question *q, const char *sort,
                                 const struct pq_find_request *part) {
    const struct pq_find_table table = {
        .name = PQ_TEXT("Things"), .paths = w->fixture.scope.paths,
        .path_count = w->fixture.scope.path_count, .relations = w->fixture.scope.relations,
        .extra_column = w->fixture.scope.extra_column,
        .window_rows = draw(2) == 0 ? 1 + draw(40) : UINT64_MAX,
        .bytes_max = draw(8) == 0 ? 4096u << draw(5) : 0,
        .ahead_rows = draw(2) == 0 ? 0 : UINT64_MAX};
    struct pq_find_request request = *part;
    struct pq_find *find = NULL;
    request.filter = q->text;
    request.sort = pq_text_of(sort);
    must(pq_find_open(&table, w->table->published, &request, &pq_alloc_libc, &find, &err));
    narrowed += find != NULL && find->in_windows && find->key_count > 0;
    return find;
}

/// The rows of the answer are `rows` from `*at` on; `*at` moves on.
static size_t check_part(struct pq_find *find, const size_t *rows, size_t count, size_t *at,
                         const char *what) {
    struct pq_bytes id;
    size_t given = 0;
    bool has_row = true, is_null;
    pq_bytes_init(&id, &pq_alloc_libc);
    for (;; given++) {
        must(pq_find_next(find, &has_row, &err));
        if (!has_row || test_failures_ > 0) break;
        id.length = 0;
        must(pq_find_cell(find, 0, &id, &is_null, &err));
        must(pq_bytes_append_byte(&id, 0, &err));
        const size_t row = row_of((struct pq_text){(const char *)id.data, id.length});
        CHECK(*at < count && rows[*at] == row, "%s: row %zu at %zu", what, row, *at);
        (*at)++;
    }
    pq_bytes_deinit(&id);
    return given;
}

static void check_pages(struct world *w, struct question *q, const char *sort,
                        const size_t *rows, size_t count) {
    struct pq_bytes cursor;
    size_t at = 0;
    pq_bytes_init(&cursor, &pq_alloc_libc);
    const uint64_t limit = 1 + draw(count + 2);
    for (;;) {
        const struct pq_find_request part = {.limit = limit, .cursor = pq_bytes_text(&cursor)};
        struct pq_find *find = open_find(w, q, sort, &part);
        struct pq_text next;
        if (find == NULL) break;
        check_part(find, rows, count, &at, sort);
        must(pq_find_cursor(find, &next, &err));
        cursor.length = 0;
        must(pq_bytes_append_text(&cursor, next, &err));
        pq_find_close(find);
        CHECK((cursor.length > 0) == (at < count), "%s: %zu of %zu rows", sort, at, count);
        if (cursor.length == 0 || test_failures_ > 0) break;
    }
    CHECK(at == count, "%s: %zu of %zu rows by cursor", sort, at, count);
    pq_bytes_deinit(&cursor);
}

static void check_find(struct world *w, struct question *q) {
    static size_t rows[rows_max];
    size_t count = 0, at = 0;
    struct order order;
    const char *sort = sorts[draw(sizeof sorts / sizeof *sorts)];
    order_init(&order, w, sort);
    for (size_t row = 0; row < w->all.count; row++) {
        if (q->holds[row]) rows[count++] = row;
    }
    qsort_r(rows, count, sizeof *rows, compare_rows, &order);
    const struct pq_find_request whole = {0};
    struct pq_find *find = open_find(w, q, sort, &whole);
    CHECK(find == NULL || check_part(find, rows, count, &at, sort) == count, "%s: %zu rows", sort,
          count);
    pq_find_close(find);
    const struct pq_find_request part = {.limit = 1 + draw(12), .skip = draw(3) * draw(8)};
    size_t first = part.skip < count ? part.skip : count;
    find = open_find(w, q, sort, &part);
    const size_t left = count - first;
    const size_t expected = part.limit < left ? part.limit : left;
    CHECK(find == NULL || check_part(find, rows, count, &first, sort) == expected,
          "%s: a part of %zu rows", sort, expected);
    pq_find_close(find);
    if (draw(2) == 0) check_pages(w, q, sort, rows, count);
}

static void a_filter_gives_the_same_rows_wherever_they_lie(void) {
    static struct world w;
    static struct question q;
    for (uint64_t seed = 1; seed <= rounds && test_failures_ == 0; seed++) {
        world_init(&w, seed);
        for (int i = 0; i < filters && test_failures_ == 0; i++) {
            if (question_init(&q, &w)) {
                check_scan(&w, &q);
                check_find(&w, &q);
            }
            pq_program_destroy(q.filter);
            if (test_failures_ > 0) fprintf(stderr, "filter %.*s\n", PQ_TEXT_ARG(q.text));
        }
        world_deinit(&w);
        if (test_failures_ > 0) fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    }
    CHECK(narrowed > 50, "%llu answers came in windows", (unsigned long long)narrowed);
    CHECK(rows_left_out * 4 > rows_in_files, "%llu of %llu rows were left unread",
          (unsigned long long)rows_left_out, (unsigned long long)rows_in_files);
    CHECK(groups_left_out * 8 > groups, "%llu of %llu row groups were left unread",
          (unsigned long long)groups_left_out, (unsigned long long)groups);
}

int main(void) {
    RUN(a_filter_gives_the_same_rows_wherever_they_lie);
    return test_done();
}
