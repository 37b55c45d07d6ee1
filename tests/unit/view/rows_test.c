/// Planned views at work: rows written one by one through the circuit of all views of a schema,
/// and the same views computed at once from all rows of their sources.
#include <string.h>

#include "base/fail.h"
#include "batch/builder.h"
#include "expr/print.h"
#include "flow/circuit.h"
#include "ingest/rows.h"
#include "support/cases.h"
#include "support/fixed_env.h"
#include "support/flow_fixture.h"
#include "support/test.h"
#include "view/view.h"

enum { tables_max = 16, deltas_max = 256, rows_max = 256 };

/// What was done to a table so far.
struct history {
    struct pq_batch deltas[deltas_max];
    size_t count;
    struct pq_arena *arena;
};

struct world {
    struct pq_arena arena;  // everything lives until the end
    struct pq_problems problems;
    struct pq_schema *schema;
    struct pq_views *views;
    struct pq_variant_names *names;
    struct pq_circuit *circuit;
    struct history tables[tables_max];  // by entry, which is the table's id as well
    struct pq_lookup lookup;
    struct pq_row_batch batches[deltas_max];
    size_t batch_count;
};

/// A row as JSON, without what the database adds to every row of a collection.
static struct pq_text text_of(const struct pq_batch *batch, size_t row, struct pq_arena *arena) {
    static const char *const hidden[] = {"$seq", "$type", "createdAt", "updatedAt", "version"};
    struct pq_bytes text;
    pq_bytes_init(&text, &arena->alloc);
    for (uint32_t k = 0; k < batch->type->field_count; k++) {
        const struct pq_text name = batch->type->fields[k].name;
        bool is_hidden = false;
        for (size_t h = 0; h < sizeof hidden / sizeof *hidden; h++) {
            is_hidden = is_hidden || pq_text_is(name, hidden[h]);
        }
        if (is_hidden || pq_column_is_null(&batch->columns[k], row)) continue;
        pq_bytes_printf(&text, NULL, "%s%.*s: ", text.length == 0 ? "" : ", ", PQ_TEXT_ARG(name));
        CHECK(pq_print_row(&text, &batch->columns[k], row, NULL) == PQDB_OK, "print");
    }
    return pq_bytes_text(&text);
}

static int64_t weight_of(const struct pq_batch *batch, size_t row) {
    return batch->weights == NULL ? 1 : batch->weights[row];
}

// ---- what a table holds ------------------------------------------------------------------------

struct live_row {
    size_t delta;
    uint32_t row;
    struct pq_text text;
};

/// The rows that were not taken back.
static size_t find_live(const struct history *history, struct live_row *rows) {
    size_t count = 0;
    for (size_t k = 0; k < history->count; k++) {
        const struct pq_batch *batch = &history->deltas[k];
        for (uint32_t row = 0; row < batch->count; row++) {
            const struct pq_text text = text_of(batch, row, history->arena);
            if (weight_of(batch, row) > 0) {
                CHECK(count < rows_max, "too many rows for this test");
                rows[count++] = (struct live_row){k, row, text};
                continue;
            }
            size_t at = 0;
            while (at < count && !pq_text_equal(rows[at].text, text)) at++;
            CHECK(at < count, "taken back without having been there: %.*s", PQ_TEXT_ARG(text));
            if (at < count) memmove(&rows[at], &rows[at + 1], (--count - at) * sizeof *rows);
        }
    }
    return count;
}

static pqdb_code scan(void *ctx, const struct pq_rows_wish *wish,
                      pqdb_code (*take)(void *taker, const struct pq_batch *batch,
                                        pqdb_error *err),
                      void *taker, pqdb_error *err) {
    const struct history *history = ctx;
    struct live_row rows[rows_max];
    const size_t count = find_live(history, rows);
    (void)wish;
    for (size_t k = 0; k < count; k++) {
        struct pq_batch one;
        PQ_TRY(pq_batch_gather(&history->deltas[rows[k].delta], &rows[k].row, 1, history->arena,
                               &one, err));
        one.weights = NULL;
        PQ_TRY(take(taker, &one, err));
    }
    return PQDB_OK;
}

// ---- the rows that links lead to ---------------------------------------------------------------

static bool holds_key(const struct pq_column *column, size_t row, size_t depth,
                      const struct pq_lookup_want *want) {
    if (pq_column_is_null(column, row)) return false;
    if (column->layout == PQ_MEMBERS) {
        return holds_key(&column->children[want->link->path[depth]], row, depth + 1, want);
    }
    if (column->layout == PQ_ROWS) {
        for (uint32_t i = column->offsets[row]; i < column->offsets[row + 1]; i++) {
            if (holds_key(&column->children[0], i, depth, want)) return true;
        }
        return false;
    }
    for (size_t k = 0; k < want->key_count; k++) {
        if (pq_text_equal(want->keys[k], pq_column_text(column, row))) return true;
    }
    return false;
}

/// What the tables hold: a step looks before its rows are kept.
static pqdb_code rows_at(void *ctx, const struct pq_lookup_want *want, struct pq_arena *arena,
                         struct pq_batch *rows, pqdb_error *err) {
    const struct history *history = (const struct history *)ctx + want->table;
    const uint32_t column = want->link == NULL ? PQ_ID_COLUMN : want->link->path[0];
    struct live_row live[rows_max];
    const size_t count = find_live(history, live);
    struct pq_builder *columns = NULL;
    *rows = (struct pq_batch){.count = 0};
    for (size_t i = 0; i < count; i++) {
        const struct pq_batch *batch = &history->deltas[live[i].delta];
        const struct pq_type *type = batch->type;
        if (!holds_key(&batch->columns[column], live[i].row, 1, want)) continue;
        const bool is_first = columns == NULL;
        if (is_first) columns = pq_arena_calloc(arena, type->field_count, sizeof *columns);
        for (uint32_t k = 0; k < type->field_count; k++) {
            struct pq_builder *builder = &columns[k];
            if (is_first) {
                PQ_TRY(pq_builder_init(builder, &type->fields[k].type, &arena->alloc, err));
            }
            PQ_TRY(pq_builder_append_rows(builder, &batch->columns[k], live[i].row, 1, err));
        }
        PQ_TRY(pq_builder_finish_batch(columns, type, arena, rows, err));
    }
    return PQDB_OK;
}

static void add_rows(struct text_set *set, const struct history *history, struct pq_arena *arena) {
    for (size_t k = 0; k < history->count; k++) {
        const struct pq_batch *batch = &history->deltas[k];
        for (size_t row = 0; row < batch->count; row++) {
            text_set_add(set, text_of(batch, row, arena), weight_of(batch, row));
        }
    }
    text_set_sort(set);
}

static void keep(struct world *world, uint32_t table, const struct pq_batch *rows) {
    struct history *history = &world->tables[table];
    CHECK(history->count < deltas_max, "too many steps for this test");
    if (rows->count > 0) history->deltas[history->count++] = *rows;
}

/// Rows of a whole computation, kept beyond the call that brings them.
struct collector {
    struct pq_arena *arena;
    struct history *history;
};

static pqdb_code collect(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    const struct collector *collector = ctx;
    struct history *history = collector->history;
    uint32_t *all = pq_arena_alloc(collector->arena, rows->count * sizeof *all);
    for (uint32_t k = 0; k < rows->count; k++) all[k] = k;
    CHECK(history->count < deltas_max, "too many batches for this test");
    return pq_batch_gather(rows, all, rows->count, collector->arena,
                           &history->deltas[history->count++], err);
}

static pqdb_code set_up(struct world *world, struct pq_text text, pqdb_error *err) {
    static const uint32_t ids[tables_max] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    pq_arena_init(&world->arena, &pq_alloc_libc);
    pq_problems_init(&world->problems, &world->arena);
    for (size_t k = 0; k < tables_max; k++) world->tables[k].arena = &world->arena;
    PQ_TRY(pq_schema_parse(text, &pq_alloc_libc, &world->schema, &world->problems, err));
    CHECK(world->schema->entry_count <= tables_max, "too many entries for this test");
    PQ_TRY(pq_views_plan(world->schema, ids, &pq_alloc_libc, &world->views, &world->problems,
                         err));
    PQ_TRY(pq_problems_code(&world->problems, err));
    PQ_TRY(pq_variant_names_create(&pq_alloc_libc, &world->names, err));
    PQ_TRY(pq_circuit_create(&pq_alloc_libc, &world->circuit, err));
    world->lookup = (struct pq_lookup){rows_at, world->tables, world->names, false};
    for (size_t k = 0; k < world->views->count; k++) {
        const struct pq_view *view = &world->views->views[k];
        struct pq_rows *rows = pq_arena_alloc(&world->arena, sizeof *rows);
        struct pq_node_spec *spec = pq_arena_alloc(&world->arena, sizeof *spec);
        struct pq_node *node;
        *rows = (struct pq_rows){scan, &world->tables[view->source]};
        *spec = view->spec;
        spec->refill = rows;
        spec->lookup = &world->lookup;
        PQ_TRY(pq_node_create(spec, &pq_alloc_libc, &node, err));
        PQ_TRY(pq_circuit_add(world->circuit, node, err));
        struct collector collector = {&world->arena, &world->tables[view->table]};
        const struct pq_sink sink = {collect, &collector};
        PQ_TRY(pq_node_full(node, rows, &sink, err));
    }
    return PQDB_OK;
}

static void tear_down(struct world *world) {
    pq_circuit_destroy(world->circuit);
    for (size_t k = 0; k < world->batch_count; k++) pq_rows_deinit(&world->batches[k]);
    pq_variant_names_unref(world->names);
    pq_views_destroy(world->views);
    pq_schema_unref(world->schema);
    pq_arena_deinit(&world->arena);
}

// ---- writing ---------------------------------------------------------------------------------

/// "Order { … }" creates a row, "-Order { … }" takes the row of that text back: which one it was.
static int64_t seq_of(const char *const *lines, size_t count, struct pq_text line) {
    for (size_t k = 0; k < count; k++) {
        const size_t length = strcspn(lines[k], "\n");
        if (pq_text_equal((struct pq_text){lines[k], length}, line)) return (int64_t)k;
    }
    CHECK(false, "no such row: %.*s", PQ_TEXT_ARG(line));
    return 0;
}

static pqdb_code read_row(struct world *world, struct pq_text line, int64_t seq, int64_t weight,
                          uint32_t *table, pqdb_error *err) {
    const char *space = memchr(line.data, ' ', line.length);
    CHECK(space != NULL, "no space in '%.*s'", PQ_TEXT_ARG(line));
    if (space == NULL) return PQDB_INVALID;
    const struct pq_text name = {line.data, (size_t)(space - line.data)};
    const struct pq_text json = {space, line.length - name.length};
    const struct pq_entry *entry = pq_schema_find(world->schema, name);
    CHECK(entry != NULL, "no entry '%.*s'", PQ_TEXT_ARG(name));
    const struct pq_row_options options = {.entry = entry, .names = world->names,
                                           .env = &fixed_env};
    struct pq_row_reader *reader;
    PQ_TRY(pq_row_reader_create(&options, &pq_alloc_libc, &reader, err));
    struct pq_row_batch *batch = &world->batches[world->batch_count++];
    const pqdb_code code = pq_row_reader_read(reader, json, batch, err);
    pq_row_reader_destroy(reader);
    PQ_TRY(code);
    pq_rows_stamp(batch, entry, seq, FIXED_NOW_US);
    int64_t *weights = pq_arena_alloc(&world->arena, batch->batch.count * sizeof *weights);
    for (size_t k = 0; k < batch->batch.count; k++) weights[k] = weight;
    batch->batch.weights = weights;
    *table = (uint32_t)(entry - world->schema->entries);
    return PQDB_OK;
}

static pqdb_code write_rows(struct world *world, const char *text, pqdb_error *err) {
    const char *lines[deltas_max];
    size_t count = 0;
    while (*text != '\0') {
        const bool is_back = *text == '-';
        lines[count] = text;
        const size_t length = strcspn(text, "\n");
        const struct pq_text line = {text + is_back, length - is_back};
        const int64_t seq = is_back ? seq_of(lines, count, line) : (int64_t)count;
        count++;
        text += length + (text[length] == '\n');
        uint32_t table;
        PQ_TRY(read_row(world, line, seq, is_back ? -1 : 1, &table, err));
        const struct pq_batch *rows = &world->batches[world->batch_count - 1].batch;
        const struct pq_delta delta = {table, rows};
        struct pq_output outputs[tables_max];
        pq_circuit_step(world->circuit, &delta, 1, &world->arena, outputs);
        keep(world, table, rows);
        for (size_t k = 0; k < pq_circuit_count(world->circuit); k++) {
            if (!outputs[k].attached) {
                *err = *pq_circuit_failure(world->circuit, outputs[k].table);
                return err->code;
            }
            keep(world, outputs[k].table, &outputs[k].rows);
        }
    }
    return PQDB_OK;
}

static pqdb_code print_view(struct world *world, const struct pq_view *view, struct pq_bytes *out,
                            pqdb_error *err) {
    struct text_set stepped = {0}, full = {0};
    struct history computed = {.count = 0};
    struct collector collector = {&world->arena, &computed};
    const struct pq_sink sink = {collect, &collector};
    const struct pq_rows rows = {scan, &world->tables[view->source]};
    struct pq_node_spec spec = view->spec;
    struct pq_node *node;
    spec.refill = &rows;
    spec.lookup = &world->lookup;
    PQ_TRY(pq_node_create(&spec, &pq_alloc_libc, &node, err));
    const pqdb_code code = pq_node_full(node, &rows, &sink, err);
    pq_node_destroy(node);
    PQ_TRY(code);
    add_rows(&stepped, &world->tables[view->table], &world->arena);
    add_rows(&full, &computed, &world->arena);
    CHECK(text_set_equal(&stepped, &full), "%s: steps and full computation differ",
          view->name.data);
    pq_bytes_printf(out, err, "%s\n", view->name.data);
    for (size_t k = 0; k < stepped.count; k++) {
        CHECK(stepped.entries[k].weight == 1, "%.*s: weight %lld",
              PQ_TEXT_ARG(stepped.entries[k].text), (long long)stepped.entries[k].weight);
        pq_bytes_printf(out, err, "  %.*s\n", PQ_TEXT_ARG(stepped.entries[k].text));
    }
    text_set_deinit(&stepped);
    text_set_deinit(&full);
    return PQDB_OK;
}

static void check_case(const struct test_case *test) {
    static struct world world;
    pqdb_error err = {0};
    struct pq_bytes got;
    pq_bytes_init(&got, &pq_alloc_libc);
    world = (struct world){0};
    pqdb_code code = set_up(&world, pq_text_of(test->input), &err);
    if (code == PQDB_OK) code = write_rows(&world, test->parts[1], &err);
    for (size_t k = 0; code == PQDB_OK && k < world.views->count; k++) {
        code = print_view(&world, &world.views->views[k], &got, &err);
    }
    if (code != PQDB_OK) pq_bytes_printf(&got, NULL, "failed: %s\n", err.message);
    pq_bytes_append_byte(&got, 0, NULL);
    case_expect(test, (const char *)got.data);
    pq_bytes_deinit(&got);
    tear_down(&world);
}

static void views_match_the_table(void) { cases_run("view/rows.cases", check_case); }
static void links_match_the_table(void) { cases_run("view/expand_rows.cases", check_case); }

int main(void) {
    RUN(views_match_the_table);
    RUN(links_match_the_table);
    return test_done();
}
