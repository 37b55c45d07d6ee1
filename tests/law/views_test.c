/// Law: whatever the views, the events, how they are split into commits, and wherever the database
/// is closed, loses its power or makes a checkpoint, every view equals its recomputation bit for
/// bit (view verify) and what a naive evaluator without any code of ours says; find and count
/// agree. PQ_TEST_SEED=n runs one world, PQ_TEST_WORLDS=n so many.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "db/open_with.h"
#include "support/db_world.h"
#include "support/fault_store.h"
#include "support/naive_view.h"
#include "support/temp.h"
#include "support/test.h"

enum { views_max = 8, tables_max = 2 + views_max, steps = 20, rows_max = 400, seconds_max = 40 };
enum mode { STREAMING, SCHEDULED, MANUAL };

struct view {
    struct naive_view definition;
    int from;
    enum mode mode;
};

struct world {
    uint64_t seed, dice;
    struct pq_arena arena;
    struct naive_table tables[tables_max];  // of lagging views: as they were refreshed
    const char *names[tables_max];
    struct view views[tables_max];
    int table_count;
    struct pq_bytes schema;
    int64_t next_seq;
    uint32_t next_id;
    // In a directory with a keeper, or on a disk that loses its power.
    struct temp_directory place;
    struct fault_store *disk;
    pqdb_options options;
    pqdb_db *db;
};

static pqdb_error err;

static uint64_t roll(struct world *w, uint64_t sides) {
    return pq_hash_word(w->seed * 1000003 + w->dice++) % sides;
}

#define MUST(w, call)                                                                     \
    do {                                                                                  \
        CHECK((call) == PQDB_OK, "seed %" PRIu64 ": %s: %s", (w)->seed, err.subject,      \
              err.message);                                                               \
    } while (0)

// ---- events -----------------------------------------------------------------------------------

static const char *const words[] = {"", "a", "b", "\xc3\xa4", "ab", "a\\\"b", "\xf0\x9f\x98\x80"};
static const char *const zones[] = {"UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"};

static struct naive random_scalar(struct world *w, enum naive_kind kind) {
    struct naive value = {.kind = kind};
    switch (kind) {
    case NAIVE_BOOL: value.number = (int64_t)roll(w, 2); break;
    case NAIVE_INT: value.number = (int64_t)roll(w, 12) - 4; break;
    case NAIVE_DECIMAL: value.number = (int64_t)roll(w, 2000) - 700; break;
    case NAIVE_REAL: value.number = ((int64_t)roll(w, 60) - 20) * 25; break;
    case NAIVE_TEXT: value.text = words[roll(w, 7)]; break;
    case NAIVE_DATE: value.number = 20500 + (int64_t)roll(w, 40); break;
    default:  // around the ends of summer time, to the millisecond
        value.kind = NAIVE_TIME;
        value.number = ((roll(w, 2) == 0 ? INT64_C(1761400000000) : INT64_C(1774700000000)) +
                        (int64_t)roll(w, 200000000)) * 1000;
    }
    return value;
}

static struct naive random_value(struct world *w, const struct naive_column *column, int nulls);

static struct naive random_object(struct world *w) {
    struct naive object = {.kind = NAIVE_OBJECT};
    object.items = pq_arena_calloc(&w->arena, 2, sizeof *object.items);
    static const struct naive_column members[] = {{.kind = NAIVE_INT}, {.kind = NAIVE_TEXT}};
    for (int i = 0; i < 2; i++) {
        const struct naive member = random_value(w, &members[i], 4);
        if (member.kind == NAIVE_NULL) continue;
        object.items[object.item_count] = member;
        object.items[object.item_count++].key = i == 0 ? "a" : "b";
    }
    return object;
}

/// One in `nulls` is missing.
static struct naive random_value(struct world *w, const struct naive_column *column, int nulls) {
    if (roll(w, (uint64_t)nulls) == 0) return (struct naive){0};
    if (column->kind == NAIVE_OBJECT) return random_object(w);
    if (column->kind != NAIVE_LIST) {
        if (column->kind != NAIVE_NULL) return random_scalar(w, column->kind);
        return roll(w, 4) == 0 ? random_object(w)
                               : random_scalar(w, NAIVE_BOOL + (enum naive_kind)roll(w, 2));
    }
    const struct naive_column element = {.kind = column->element};
    struct naive list = {.kind = NAIVE_LIST, .item_count = (int)roll(w, 4)};
    list.items = pq_arena_calloc(&w->arena, (size_t)list.item_count + 1, sizeof *list.items);
    for (int i = 0; i < list.item_count; i++) list.items[i] = random_value(w, &element, 9);
    return list;
}

static void add_row(struct world *w, struct naive_table *table, struct pq_bytes *text) {
    struct naive_row *row = &table->rows[table->row_count++];
    char *id = pq_arena_alloc(&w->arena, 32);
    // Ids in no order, so that files are sorted differently from memory.
    snprintf(id, 32, "%08x", (unsigned)(++w->next_id * UINT32_C(2654435761)));
    *row = (struct naive_row){.id = id, .seq = w->next_seq++};
    row->cells = pq_arena_calloc(&w->arena, NAIVE_COLUMNS, sizeof *row->cells);
    pq_bytes_printf(text, NULL, "{\"$id\":\"%s\"", id);
    for (int k = 0; k < table->column_count; k++) {
        row->cells[k] = random_value(w, &table->columns[k], 6);
        if (row->cells[k].kind == NAIVE_NULL && roll(w, 2) == 0) continue;
        pq_bytes_printf(text, NULL, ",\"%s\":", table->columns[k].name);
        naive_print(&row->cells[k], text);
    }
    pq_bytes_append_text(text, PQ_TEXT("}\n"), NULL);
}

// ---- schemas ----------------------------------------------------------------------------------

static void add_collection(struct world *w, const char *name, const char *ingest) {
    static const struct { const char *type; enum naive_kind kind, element; } kinds[] = {
        {"int", NAIVE_INT, 0}, {"double", NAIVE_REAL, 0}, {"decimal(10,2)", NAIVE_DECIMAL, 0},
        {"string", NAIVE_TEXT, 0}, {"boolean", NAIVE_BOOL, 0}, {"date", NAIVE_DATE, 0},
        {"timestamp", NAIVE_TIME, 0}, {"string[]", NAIVE_LIST, NAIVE_TEXT},
        {"[{ a: 'int', b: 'string' }]", NAIVE_LIST, NAIVE_OBJECT},
        {"{ a: 'int', b: 'string' }", NAIVE_OBJECT, 0}, {"variant", NAIVE_NULL, 0}};
    enum { kind_count = sizeof kinds / sizeof *kinds };
    struct naive_table *table = &w->tables[w->table_count];
    table->is_open = true;
    table->rows = pq_arena_calloc(&w->arena, rows_max, sizeof *table->rows);
    pq_bytes_printf(&w->schema, NULL, "  %s: { %s", name, ingest);
    for (size_t i = 0; i < kind_count + 3; i++) {
        const size_t kind = i < kind_count ? i : roll(w, kind_count);
        struct naive_column *column = &table->columns[table->column_count++];
        *column = (struct naive_column){.kind = kinds[kind].kind, .element = kinds[kind].element,
                                        .is_extra = kinds[kind].kind == NAIVE_NULL};
        snprintf(column->name, sizeof column->name, "f%zu", i);
        const bool quoted = kinds[kind].type[0] != '{' && kinds[kind].type[0] != '[';
        pq_bytes_printf(&w->schema, NULL, quoted ? "%s: '%s', " : "%s: %s, ", column->name,
                        kinds[kind].type);
    }
    table->columns[table->column_count++] = (struct naive_column){.name = "more", .is_extra = true};
    pq_bytes_append_text(&w->schema, PQ_TEXT("},\n"), NULL);
    w->names[w->table_count++] = name;
}

static bool is_scalar(enum naive_kind kind) {
    return kind >= NAIVE_BOOL && kind <= NAIVE_TIME && kind != NAIVE_MEAN;
}

/// A column or member that holds a scalar; false when none was found.
static bool random_ref(struct world *w, const struct naive_table *table, struct naive_ref *ref) {
    for (int attempt = 0; attempt < 40; attempt++) {
        const int at = (int)roll(w, (uint64_t)table->column_count);
        const struct naive_column *column = &table->columns[at];
        *ref = (struct naive_ref){.column = at};
        if (column->is_extra) continue;
        if (column->kind == NAIVE_OBJECT) ref->member = roll(w, 2) == 0 ? 'a' : 'b';
        if (is_scalar(naive_kind_of(table, *ref))) return true;
    }
    return false;
}

static struct naive_filter *random_filter(struct world *w, const struct naive_table *table,
                                          int depth) {
    struct naive_filter *filter = pq_arena_calloc(&w->arena, 1, sizeof *filter);
    filter->test = (enum naive_test)roll(w, depth > 0 ? NAIVE_NOR + 1 : NAIVE_EXISTS + 1);
    if (filter->test >= NAIVE_AND) {
        filter->part_count = 1 + (int)roll(w, 3);
        for (int i = 0; i < filter->part_count; i++) {
            filter->parts[i] = random_filter(w, table, depth - 1);
            if (filter->parts[i] == NULL) return NULL;
        }
        return filter;
    }
    if (!random_ref(w, table, &filter->ref)) return NULL;
    const enum naive_kind kind = naive_kind_of(table, filter->ref);
    filter->value_count = filter->test == NAIVE_IN || filter->test == NAIVE_NIN ? 3 : 1;
    for (int i = 0; i < filter->value_count; i++) {
        enum naive_kind of = kind;
        if ((kind == NAIVE_DECIMAL || kind == NAIVE_REAL) && roll(w, 2) == 0) of = NAIVE_INT;
        if (filter->test == NAIVE_EXISTS) of = NAIVE_BOOL;
        filter->values[i] = random_scalar(w, of);
    }
    const bool takes_null = filter->test < NAIVE_LT || filter->test == NAIVE_IN;
    if (takes_null && roll(w, 6) == 0) filter->values[0] = (struct naive){0};
    return filter;
}

static void random_unnest(struct world *w, const struct naive_table *source,
                          struct naive_view *view) {
    view->unnest = -1;
    if (source->is_unnested || roll(w, 3) != 0) return;
    for (int k = 0; k < source->column_count; k++) {
        const struct naive_column *column = &source->columns[k];
        if (column->kind != NAIVE_LIST || column->is_extra || roll(w, 2) == 0) continue;
        view->unnest = k;
    }
    if (view->unnest < 0) return;
    view->keep_empty = roll(w, 2) == 0;
    if (roll(w, 2) == 0) snprintf(view->as, sizeof view->as, "element");
    if (roll(w, 2) == 0) snprintf(view->position, sizeof view->position, "at_index");
}

static void random_select(struct world *w, const struct naive_table *from,
                          struct naive_view *view) {
    const int count = (int)roll(w, NAIVE_PARTS + 1);
    for (int i = 0; i < count; i++) {
        struct naive_item *item = &view->select[view->select_count];
        if (!random_ref(w, from, &item->ref)) return;
        const enum naive_kind kind = naive_kind_of(from, item->ref);
        const bool adds = kind == NAIVE_INT || kind == NAIVE_DECIMAL;
        item->what = (int)roll(w, 4);
        if (item->what == NAIVE_PLUS && !adds) item->what = NAIVE_PLAIN;
        if (item->what == NAIVE_IF_NULL && kind != NAIVE_TEXT) item->what = NAIVE_PLAIN;
        snprintf(item->name, sizeof item->name, "s%d", view->select_count++);
    }
}

static void random_keys(struct world *w, const struct naive_table *from, struct naive_view *view) {
    const int count = (int)roll(w, 3);
    for (int i = 0; i < count; i++) {
        struct naive_item *key = &view->keys[view->key_count];
        if (!random_ref(w, from, &key->ref)) return;
        const enum naive_kind kind = naive_kind_of(from, key->ref);
        if (kind == NAIVE_REAL) continue;  // its text in an `$id` is another test's business
        key->zone = zones[roll(w, 4)];
        if (kind == NAIVE_TIME) key->what = NAIVE_HOUR + (int)roll(w, 5);
        if (kind == NAIVE_DATE) key->what = NAIVE_DAY + (int)roll(w, 4);
        if (roll(w, 4) == 0) key->what = NAIVE_NO_BUCKET;
        snprintf(key->name, sizeof key->name, "k%d", view->key_count++);
    }
}

static void random_groups(struct world *w, const struct naive_table *from,
                          struct naive_view *view) {
    view->is_grouped = true;
    random_keys(w, from, view);
    view->aggs[0] = (struct naive_item){.name = "rows", .what = NAIVE_COUNT_ALL};
    view->agg_count = 1;
    const int count = (int)roll(w, NAIVE_PARTS * 2 - 1);
    for (int i = 0; i < count; i++) {
        struct naive_item *agg = &view->aggs[view->agg_count];
        if (!random_ref(w, from, &agg->ref)) break;
        const enum naive_kind kind = naive_kind_of(from, agg->ref);
        const bool adds = kind == NAIVE_INT || kind == NAIVE_DECIMAL || kind == NAIVE_REAL;
        agg->what = NAIVE_COUNT + (int)roll(w, 7);
        if ((agg->what == NAIVE_SUM || agg->what == NAIVE_AVG) && !adds) agg->what = NAIVE_COUNT;
        const bool orders = agg->what == NAIVE_MIN || agg->what == NAIVE_MAX;
        if (orders && kind == NAIVE_BOOL) agg->what = NAIVE_LAST;
        snprintf(agg->name, sizeof agg->name, "c%d", view->agg_count++);
    }
    if (view->key_count > 0 && roll(w, 4) == 0) view->having = 1 + (int)roll(w, 4);
}

static void add_view(struct world *w, int number) {
    static const char *const names[] = {"V0", "V1", "V2", "V3", "V4", "V5", "V6", "V7"};
    static const char *const modes[] = {"mode: 'streaming'",
                                        "mode: 'scheduled', schedule: '0 * * * *'",
                                        "mode: 'manual'"};
    struct view *view = &w->views[w->table_count];
    struct naive_view *definition = &view->definition;
    const uint64_t tables = roll(w, 3) == 0 ? 2 : (uint64_t)w->table_count;
    const int from = (int)roll(w, tables);
    const struct naive_table *source = &w->tables[from];
    struct naive_table unnested;
    view->from = from;
    view->mode = roll(w, 4) != 0 ? STREAMING : roll(w, 2) == 0 ? SCHEDULED : MANUAL;
    definition->list_sum = -1;
    random_unnest(w, source, definition);
    naive_unnest_columns(definition, source, &unnested);
    if (roll(w, 2) == 0) definition->filter = random_filter(w, &unnested, 2);
    const uint64_t shape = roll(w, 5);
    if (shape < 2) random_select(w, &unnested, definition);
    if (shape > 2) random_groups(w, &unnested, definition);
    for (int k = 0; shape == 2 && k < unnested.column_count; k++) {
        const struct naive_column *column = &unnested.columns[k];
        const bool is_ours = strcmp(column->name, "list_sum") == 0;
        if (is_ours) definition->list_sum = -1;
        if (is_ours) break;
        if (column->kind != NAIVE_LIST || column->element != NAIVE_OBJECT) continue;
        definition->list_sum = k;
    }
    naive_view_columns(definition, &unnested, &w->tables[w->table_count]);
    pq_bytes_printf(&w->schema, NULL, "  %s: { $from: '%s',", names[number], w->names[from]);
    naive_print_view(definition, source, &unnested, &w->schema);
    pq_bytes_printf(&w->schema, NULL, " $refresh: { %s } },\n", modes[view->mode]);
    w->names[w->table_count++] = names[number];
}

static void make_schema(struct world *w) {
    pq_bytes_append_text(&w->schema, PQ_TEXT("{\n"), NULL);
    add_collection(w, "Item", "");
    add_collection(w, "Feed", "$ingest: 'custom:feed', ");
    const int views = 3 + (int)roll(w, views_max - 2);
    for (int i = 0; i < views; i++) add_view(w, i);
    pq_bytes_append_text(&w->schema, PQ_TEXT("}\n"), NULL);
}

// ---- the database -----------------------------------------------------------------------------

static struct pq_open_with on_disk(const struct world *w) {
    return (struct pq_open_with){.store = w->disk == NULL ? NULL : &w->disk->base,
                                 .location = "file:///world",
                                 .env = &db_world_env, .alloc = &pq_alloc_libc,
                                 .log_segment_bytes = 1 << 16, .no_keeper = true};
}

static bool open_world(struct world *w) {
    const struct pq_open_with with = on_disk(w);
    w->db = NULL;
    const pqdb_code code = w->disk != NULL ? pq_db_open_with(&with, &w->options, &w->db, &err)
                                           : pqdb_open(w->place.path, &w->options, &w->db, &err);
    CHECK(code == PQDB_OK, "seed %" PRIu64 ": open: %s: %s", w->seed, err.subject, err.message);
    return code == PQDB_OK;
}

static bool make_world(struct world *w, uint64_t seed) {
    *w = (struct world){.seed = seed, .next_seq = 1};
    pq_arena_init(&w->arena, &pq_alloc_libc);
    pq_bytes_init(&w->schema, &pq_alloc_libc);
    make_schema(w);
    const struct pq_text schema = pq_bytes_text(&w->schema);
    w->options.memory_bytes = roll(w, 2) == 0 ? 1 << 16 : 1 << 20;
    w->options.checkpoint_ms = 5;
    pqdb_code code;
    if (roll(w, 3) != 0) {
        w->disk = fault_store_create();
        const struct pq_open_with with = on_disk(w);
        code = pq_db_init_with(&with, schema, &err);
    } else {
        w->place = temp_directory_make();
        code = pqdb_init(w->place.path, schema.data, schema.length, NULL, NULL, &err);
    }
    CHECK(code == PQDB_OK, "seed %" PRIu64 ": %s: %s\n%.*s", seed, err.subject, err.message,
          (int)schema.length, schema.data);
    return code == PQDB_OK && open_world(w);
}

static void end_world(struct world *w) {
    if (w->db != NULL) MUST(w, pqdb_close(w->db, &err));
    if (w->disk != NULL) fault_store_destroy(w->disk);
    if (w->place.path[0] != '\0') temp_directory_remove(&w->place);
    pq_bytes_deinit(&w->schema);
    pq_arena_deinit(&w->arena);
}

/// The power fails: what was acknowledged is there, whatever the disk kept of the rest.
static bool lose_power(struct world *w) {
    struct fault_store *next =
        fault_store_crash(w->disk, (enum fault_mode)roll(w, 3), w->seed + w->dice);
    pqdb_close(w->db, NULL);
    fault_store_destroy(w->disk);
    w->disk = next;
    return open_world(w);
}

static void write_rows(struct world *w) {
    const int at = (int)roll(w, 2);
    struct naive_table *table = &w->tables[at];
    const int sizes[] = {1, 2, 5, 30, 300};
    int count = 1 + (int)roll(w, (uint64_t)sizes[roll(w, 5)]);
    if (count > rows_max - table->row_count) count = rows_max - table->row_count;
    if (count == 0) return;
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (int i = 0; i < count; i++) add_row(w, table, &text);
    pqdb_written written = {0};
    const char *bytes = (const char *)text.data;
    if (roll(w, 2) == 0) {
        MUST(w, pqdb_create(w->db, w->names[at], bytes, text.length, NULL, &written, &err));
    } else {
        pqdb_ingest *ingest;
        MUST(w, pqdb_ingest_open(w->db, w->names[at], NULL, &ingest, &err));
        for (size_t used = 0; used < text.length;) {
            size_t piece = 1 + roll(w, 2000);
            if (piece > text.length - used) piece = text.length - used;
            MUST(w, pqdb_ingest_feed(ingest, bytes + used, piece, &err));
            used += piece;
        }
        MUST(w, pqdb_ingest_finish(ingest, &written, &err));
        pqdb_ingest_close(ingest);
    }
    CHECK(written.accepted == (uint64_t)count && written.refused == 0,
          "seed %" PRIu64 ": %" PRIu64 " of %d accepted", w->seed, written.accepted, count);
    pq_bytes_deinit(&text);
}

// ---- the law ----------------------------------------------------------------------------------

/// What every table must hold now: streaming views follow, the others stay.
static void compute(struct world *w) {
    for (int t = 2; t < w->table_count; t++) {
        if (w->views[t].mode != STREAMING) continue;
        naive_view_eval(&w->views[t].definition, &w->tables[w->views[t].from], &w->arena,
                        &w->tables[t]);
    }
}

static void refresh(struct world *w, int t) {
    MUST(w, pqdb_view_refresh(w->db, w->names[t], roll(w, 4) == 0, NULL, &err));
    pqdb_view_state state;
    MUST(w, pqdb_view_state_get(w->db, w->names[t], &state, &err));
    CHECK(w->views[t].from >= 2 || strcmp(state.state, "fresh") == 0,
          "seed %" PRIu64 ": %s is %s after its refresh: %s", w->seed, w->names[t], state.state,
          state.reason);
    naive_view_eval(&w->views[t].definition, &w->tables[w->views[t].from], &w->arena,
                    &w->tables[t]);
    compute(w);
}

static bool is_system(const char *name) {
    return name[0] == '$' || strcmp(name, "createdAt") == 0 || strcmp(name, "updatedAt") == 0 ||
           strcmp(name, "version") == 0;
}

/// Is the printed row this one? Every column, and no other.
static bool is_row(const struct naive_table *table, const struct naive_row *row,
                   const struct pq_json *printed) {
    const struct pq_json *id = pq_json_find(printed, "$id");
    if (id == NULL || !pq_text_is(pq_json_text(id), row->id)) return false;
    for (int k = 0; k < table->column_count; k++) {
        if (!naive_is(&row->cells[k], pq_json_find(printed, table->columns[k].name))) return false;
    }
    const struct pq_json *key = pq_json_first(printed);
    for (size_t i = pq_json_count(printed); i > 0; i--) {
        bool known = is_system(pq_json_text(key).data);
        for (int k = 0; k < table->column_count; k++) {
            known = known || pq_text_is(pq_json_text(key), table->columns[k].name);
        }
        if (!known) return false;
        key = pq_json_next(pq_json_next(key));
    }
    return true;
}

/// Every row of the answer, in order; `filter` (or NULL) picks among the expected ones.
static void check_answer(struct world *w, int t, const struct naive_filter *filter,
                         const char *text) {
    const struct naive_table *table = &w->tables[t];
    const pqdb_find_options options = {.filter = text, .sort = t < 2 ? "none" : NULL};
    pqdb_rows *rows;
    const pqdb_code code = pqdb_find(w->db, w->names[t], &options, &rows, &err);
    CHECK(code == PQDB_OK, "seed %" PRIu64 ": %s %s: %s", w->seed, w->names[t], text, err.message);
    if (code != PQDB_OK) return;
    uint64_t expected = 0, count = 0;
    bool has_row = false, good = true;
    MUST(w, pqdb_rows_next(rows, &has_row, &err));
    for (int i = 0; t >= 2 && i < table->row_count; i++) {
        if (filter != NULL && !naive_matches(filter, &table->rows[i])) continue;
        expected++;
        if (!good || !has_row) continue;
        size_t length;
        const char *json = pqdb_rows_json(rows, &length);
        struct pq_json_document *document;
        MUST(w, pq_json_parse((struct pq_text){json, length}, PQ_JSON_STRICT, &pq_alloc_libc,
                              &document, &err));
        good = is_row(table, &table->rows[i], pq_json_root(document));
        CHECK(good, "seed %" PRIu64 ": %s %s: row %s is %s\n%.*s", w->seed, w->names[t],
              text == NULL ? "" : text, table->rows[i].id, json, (int)w->schema.length,
              (const char *)w->schema.data);
        pq_json_destroy(document);
        MUST(w, pqdb_rows_next(rows, &has_row, &err));
    }
    pqdb_rows_close(rows);
    for (int i = 0; t < 2 && i < table->row_count; i++) {
        expected += filter == NULL || naive_matches(filter, &table->rows[i]);
    }
    MUST(w, pqdb_count(w->db, w->names[t], text, &count, &err));
    CHECK(!good || count == expected, "seed %" PRIu64 ": %s %s: %" PRIu64 " rows, not %" PRIu64
          "\n%.*s", w->seed, w->names[t], text == NULL ? "" : text, count, expected,
          (int)w->schema.length, (const char *)w->schema.data);
}

static void show_difference(void *ctx, const pqdb_difference *difference) {
    fprintf(stderr, "    %s %s\n      stored     %s\n      recomputed %s\n", (const char *)ctx,
            difference->id, difference->stored == NULL ? "-" : difference->stored,
            difference->recomputed == NULL ? "-" : difference->recomputed);
}

static void check_table(struct world *w, int t) {
    check_answer(w, t, NULL, NULL);
    const struct naive_filter *filter = random_filter(w, &w->tables[t], 2);
    if (filter != NULL) {
        struct pq_bytes text;
        pq_bytes_init(&text, &pq_alloc_libc);
        naive_print_filter(filter, &w->tables[t], &text);
        pq_bytes_append_byte(&text, '\0', NULL);
        check_answer(w, t, filter, (const char *)text.data);
        pq_bytes_deinit(&text);
    }
    if (t < 2) return;
    pqdb_view_state state;
    MUST(w, pqdb_view_state_get(w->db, w->names[t], &state, &err));
    CHECK(state.last_error[0] == '\0', "seed %" PRIu64 ": %s: %s", w->seed, w->names[t],
          state.last_error);
    if (strcmp(state.state, "fresh") != 0) return;
    pqdb_verified verified = {0};
    MUST(w, pqdb_view_verify(w->db, w->names[t], show_difference, (void *)(uintptr_t)w->names[t],
                             &verified, &err));
    CHECK(verified.differences == 0, "seed %" PRIu64 ": %s: %" PRIu64 " differences\n%.*s",
          w->seed, w->names[t], verified.differences, (int)w->schema.length,
          (const char *)w->schema.data);
}

static bool step(struct world *w) {
    const uint64_t what = roll(w, 12);
    const int t = 2 + (int)roll(w, (uint64_t)w->table_count - 2);
    if (what < 6) {
        write_rows(w);
        compute(w);
    } else if (what < 8) {
        // A streaming view is fresh unless something below it lags.
        if (w->views[t].mode != STREAMING) refresh(w, t);
    } else if (what < 10) {
        MUST(w, pqdb_checkpoint(w->db, &err));
    } else if (what == 10 || w->disk == NULL) {
        MUST(w, pqdb_close(w->db, &err));
        w->db = NULL;
        return open_world(w);
    } else {
        return lose_power(w);
    }
    return true;
}

static void run_world(uint64_t seed) {
    static struct world w;
    const long failures = test_failures_;
    bool lives = make_world(&w, seed);
    for (int t = 2; lives && t < w.table_count; t++) {
        if (w.views[t].mode == MANUAL) continue;
        naive_view_eval(&w.views[t].definition, &w.tables[w.views[t].from], &w.arena, &w.tables[t]);
    }
    for (int i = 0; lives && i < steps && test_failures_ == failures; i++) {
        lives = step(&w);
        for (int t = 0; lives && roll(&w, 3) == 0 && t < w.table_count; t++) check_table(&w, t);
    }
    for (int t = 2; lives && test_failures_ == failures && t < w.table_count; t++) {
        if (w.views[t].mode != STREAMING) refresh(&w, t);
    }
    for (int t = 0; lives && test_failures_ == failures && t < w.table_count; t++) {
        check_table(&w, t);
    }
    end_world(&w);
}

static void views_equal_their_definitions(void) {
    const char *one = getenv("PQ_TEST_SEED"), *many = getenv("PQ_TEST_WORLDS");
    const uint64_t first = one == NULL ? (uint64_t)time(NULL) : strtoull(one, NULL, 10);
    const uint64_t count = many != NULL ? strtoull(many, NULL, 10) : one != NULL ? 1 : UINT64_MAX;
    const time_t began = time(NULL);
    uint64_t done = 0;
    fprintf(stderr, "    seed %" PRIu64 "\n", first);
    while (done < count && test_failures_ < 5) {
        run_world(first + done++);
        if (many == NULL && time(NULL) - began >= seconds_max) break;
    }
    fprintf(stderr, "    %" PRIu64 " worlds\n", done);
}

int main(void) {
    RUN(views_equal_their_definitions);
    return test_done();
}
