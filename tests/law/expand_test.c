/// Law: whatever rows come, change and go on either end of a link, in whatever steps, a view that
/// follows links is what it is from scratch; and it makes no difference whether its look-ups show
/// the tables before a step (streaming) or after it (a view that lags). PQ_TEST_SEED=n runs one.
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "batch/builder.h"
#include "expr/print.h"
#include "flow/expand.h"
#include "ingest/rows.h"
#include "support/fixed_env.h"
#include "support/flow_fixture.h"
#include "support/test.h"
#include "view/mentions.h"
#include "view/view.h"

enum {
    tables_max = 48, ids = 6, rows_max = 4096,
    seeds = 12, steps = 14, changes_max = 16,
};

static const char schema_text[] =
    "{ Country: { code: 'string', v: 'variant' },"
    "  Company: { name: 'string', country: '-> Country', parts: [{ c: '-> Country', n: 'int' }],"
    "             staff: '<- Person.company[]' },"
    "  Person: { tier: 'string', company: '-> Company', boss: '-> Person', friends: '-> Person[]',"
    "            ship: { by: '-> Company', zip: 'int' }, v: 'variant',"
    "            orders: '<- Order.person[]' },"
    "  Order: { person: '-> Person', other: '-> Person', tags: '-> Country.orders', n: 'int',"
    "           items: [{ p: '-> Company', k: 'int' }], list: '-> Company[]' },"
    "  ToOne: { $from: 'Order', $expand: ['person', 'other'], $flatten: { other: 'o' } },"
    "  Deep: { $from: 'Order', $expand: ['person.company.country', 'person.ship'],"
    "          $select: { c: '$person_company_country_code', z: '$person_ship_zip',"
    "                     x: '$person.ship.by.country.code', v: '$person.company.country.v',"
    "                     k: '$person.v.k', u: '$person.undeclared' } },"
    "  Lists: { $from: 'Order', $expand: ['items.p', 'list', 'items.p.country', 'list.parts.c'] },"
    "  Unnested: { $from: 'Order', $expand: ['items.p'], $unnest: 'items',"
    "              $filter: { 'items.p.name': { $ne: 'b' } } },"
    "  Kept: { $from: 'Order', $unnest: { path: 'list', as: 'l', keepEmpty: true },"
    "          $select: { l: '$l', name: '$l.name', c: '$l.country.code' } },"
    "  Back: { $from: 'Company', $expand: ['staff', 'staff.orders'] },"
    "  Way: { $from: 'Country', $compute: { c: { $count: 'orders' }, s: { $sum: 'orders.n' } },"
    "         $select: { c: '$c', s: '$s', ids: '$orders' } },"
    "  Self: { $from: 'Person', $expand: ['boss', 'boss.boss', 'friends', 'friends.boss'],"
    "          $select: { a: '$boss_tier', b: '$boss_boss_tier', f: '$friends_tier',"
    "                     fb: '$friends_boss_tier', o: '$boss.friends.0.tier' } },"
    "  Filtered: { $from: 'Order', $filter: { n: { $gt: 2 }, 'person.tier': 'a' } },"
    "  Matched: { $from: 'Order', $filter: { items: { $elemMatch: { 'p.name': 'a' } },"
    "             list: { $elemMatch: { 'country.code': { $exists: true } } } },"
    "             $select: { n: '$n' } },"
    "  Keyed: { $from: 'Order', $groupBy: ['person.v'], $compute: { n: { $count: '*' } } },"
    "  Grouped: { $from: 'Order', $groupBy: ['person.tier', { c: '$person.company.name' }],"
    "             $compute: { n: { $count: '*' }, s: { $sum: 'n' },"
    "                         k: { $count: 'other.tier' } } },"
    "  PerRow: { $from: 'Order', $compute: { s: { $sum: { $multiply: ['$items.k',"
    "            { $strLen: '$items.p.name' }] } } }, $select: { s: '$s' } },"
    "  Above: { $from: 'ToOne', $select: { t: '$person_tier', c: '$person_company.name',"
    "           d: '$person.boss.tier' } },"
    "  OnGroups: { $from: 'Grouped', $filter: { person_tier: { $ne: null } } },"
    "  OnUnnested: { $from: 'Unnested', $select: { c: '$items.p.country.code' } },"
    "  Diamond: { $from: 'Order', $select: { same: { $eq: ['$person.company.name',"
    "             '$other.company.name'] }, b: '$person.boss.company.name' } } }";

static uint64_t random_state;
static uint32_t below(uint32_t bound) {
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(random_state >> 33) % bound;
}

// ---- tables ------------------------------------------------------------------------------------

struct live {
    struct pq_batch batch;
    uint32_t row;
};

struct table {
    struct live rows[rows_max];
    size_t count;
};

/// Views are kept twice: by look-ups that show before, and after.
struct world {
    struct pq_arena arena;  // everything lives until the end
    struct pq_schema *schema;
    struct pq_views *views;
    struct pq_variant_names *names[tables_max];  // of collections
    struct table tables[2][tables_max];
    struct pq_node *nodes[2][tables_max];
    struct pq_node_spec specs[2][tables_max];
    struct pq_lookup lookups[2][tables_max];
    struct pq_rows rows[2][tables_max];
    struct source {
        struct world *world;
        int side;
        uint32_t table;
    } sources[2][tables_max];
    struct pq_text live[tables_max][ids];  // JSON of collections' rows, empty: none
    int64_t seqs[tables_max][ids];
    int64_t next_seq;
};

static struct pq_text id_of(const struct live *live) {
    return pq_column_text(&live->batch.columns[0], live->row);
}

/// In the order of the delta; of two rows with one id the older one goes.
static void apply(struct world *world, struct table *table, const struct pq_batch *delta) {
    for (uint32_t row = 0; row < delta->count; row++) {
        struct live one = {.row = 0};
        pq_batch_gather(delta, &row, 1, &world->arena, &one.batch, NULL);
        if (delta->weights == NULL || delta->weights[row] > 0) {
            CHECK(table->count < rows_max, "too many rows");
            table->rows[table->count++] = one;
            continue;
        }
        size_t at = 0;
        while (at < table->count && !pq_text_equal(id_of(&table->rows[at]), id_of(&one))) at++;
        CHECK(at < table->count, "%.*s is not there", PQ_TEXT_ARG(id_of(&one)));
        if (at == table->count) continue;
        memmove(&table->rows[at], &table->rows[at + 1],
                (--table->count - at) * sizeof table->rows[0]);
    }
}

static bool is_key(const struct pq_column *column, size_t row, const struct pq_lookup_want *want,
                   size_t depth) {
    if (pq_column_is_null(column, row)) return false;
    if (column->layout == PQ_MEMBERS) {
        return is_key(&column->children[want->link->path[depth]], row, want, depth + 1);
    }
    if (column->layout == PQ_ROWS) {
        for (uint32_t i = column->offsets[row]; i < column->offsets[row + 1]; i++) {
            if (is_key(&column->children[0], i, want, depth)) return true;
        }
        return false;
    }
    for (size_t k = 0; k < want->key_count; k++) {
        if (pq_text_equal(want->keys[k], pq_column_text(column, row))) return true;
    }
    return false;
}

static pqdb_code join(const struct table *table, const uint32_t *rows, size_t count,
                      struct pq_arena *arena, struct pq_batch *out) {
    *out = (struct pq_batch){.count = 0};
    if (count == 0) return PQDB_OK;
    const struct pq_type *type = table->rows[rows[0]].batch.type;
    struct pq_builder *columns = pq_arena_calloc(arena, type->field_count, sizeof *columns);
    if (columns == NULL) return PQDB_NO_MEMORY;
    for (uint32_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&columns[k], &type->fields[k].type, &arena->alloc, NULL));
        for (size_t i = 0; i < count; i++) {
            const struct live *live = &table->rows[rows[i]];
            PQ_TRY(pq_builder_append_rows(&columns[k], &live->batch.columns[k], live->row, 1,
                                          NULL));
        }
    }
    return pq_builder_finish_batch(columns, type, arena, out, NULL);
}

static pqdb_code rows_at(void *ctx, const struct pq_lookup_want *want, struct pq_arena *arena,
                         struct pq_batch *rows, pqdb_error *err) {
    const struct source *source = ctx;
    const struct table *table = &source->world->tables[source->side][want->table];
    uint32_t found[rows_max];
    size_t count = 0;
    (void)err;
    for (size_t k = 1; k < want->column_count; k++) {
        CHECK(want->columns[k - 1] < want->columns[k], "columns ascend");
    }
    for (uint32_t i = 0; i < table->count; i++) {
        const struct live *live = &table->rows[i];
        const uint32_t column = want->link == NULL ? 0 : want->link->path[0];
        if (is_key(&live->batch.columns[column], live->row, want, 1)) found[count++] = i;
    }
    return join(table, found, count, arena, rows);
}

static pqdb_code scan(void *ctx, const struct pq_rows_wish *wish,
                      pqdb_code (*take)(void *taker, const struct pq_batch *batch,
                                        pqdb_error *err),
                      void *taker, pqdb_error *err) {
    const struct source *source = ctx;
    const struct table *table = &source->world->tables[source->side][source->table];
    (void)wish;
    for (uint32_t i = 0; i < table->count; i += 3) {
        uint32_t rows[3];
        size_t count = 0;
        while (count < 3 && i + count < table->count) {
            rows[count] = i + (uint32_t)count;
            count++;
        }
        struct pq_batch batch;
        PQ_TRY(join(table, rows, count, &source->world->arena, &batch));
        PQ_TRY(take(taker, &batch, err));
    }
    return PQDB_OK;
}

// ---- rows --------------------------------------------------------------------------------------

static struct pq_text random_row(struct world *world, uint32_t table, uint32_t id) {
    static const char *const words[] = {"'a'", "'b'", "null", "'c'"};
    char text[512];
#define WORD words[below(4)]
#define ID below(ids + 1)
    switch (table) {
        case 0:
            snprintf(text, sizeof text, "{$id:'%u',code:%s,v:{k:%u,'%u':[{x%u:1}]}}", id, WORD,
                     below(3), below(3), below(3));
            break;
        case 1:
            snprintf(text, sizeof text,
                     "{$id:'%u',name:%s,country:'%u',parts:[{c:'%u',n:%u},{n:1},{c:'%u'}]}", id,
                     WORD, ID, ID, below(3), ID);
            break;
        case 2:
            snprintf(text, sizeof text,
                     "{$id:'%u',tier:%s,company:'%u',boss:'%u',friends:['%u','%u'],"
                     "ship:%s,v:{k:%u,b:2},undeclared:{k:[%u]}}",
                     id, WORD, ID, ID, ID, ID,
                     below(2) == 0 ? "null" : below(2) == 0 ? "{by:'1',zip:3}" : "{by:'2'}",
                     below(3), below(3));
            break;
        default:
            snprintf(text, sizeof text,
                     "{$id:'%u',person:%s'%u'%s,other:'%u',tags:'%u',n:%u,"
                     "items:%s,list:['%u','%u','%u']}",
                     id, below(6) == 0 ? "null,zz:" : "", ID, "", ID, ID, below(6),
                     below(3) == 0 ? "null"
                                   : below(2) == 0 ? "[{p:'0',k:1},{p:'1',k:2},{k:3}]"
                                                   : "[{p:'2',k:4},{p:'0',k:5},{p:'3'}]",
                     ID, ID, ID);
    }
    struct pq_json_document *document;
    struct pq_bytes json;
    pq_bytes_init(&json, &world->arena.alloc);
    CHECK(pq_json_parse(pq_text_of(text), PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, &pq_alloc_libc,
                        &document, NULL) == PQDB_OK,
          "%s", text);
    pq_json_copy(&json, pq_json_root(document), NULL, NULL);
    pq_json_destroy(document);
    return pq_bytes_text(&json);
}

/// The row that a collection holds under this id, behind those of the delta.
static void append(struct world *world, uint32_t table, uint32_t id, int64_t weight,
                   struct pq_batch *delta) {
    const struct pq_text json = world->live[table][id];
    const int64_t seq = world->seqs[table][id];
    const struct pq_entry *entry = &world->schema->entries[table];
    const struct pq_row_options options = {.entry = entry, .names = world->names[table],
                                           .env = &fixed_env};
    struct pq_row_reader *reader;
    struct pq_row_batch made;
    pqdb_error err = {0};
    CHECK(pq_row_reader_create(&options, &pq_alloc_libc, &reader, &err) == PQDB_OK, "reader");
    CHECK(pq_row_reader_read(reader, json, &made, &err) == PQDB_OK, "%s in %.*s", err.message,
          PQ_TEXT_ARG(json));
    pq_row_reader_destroy(reader);
    pq_rows_stamp(&made, entry, seq, FIXED_NOW_US);
    struct table both = {.count = 0};
    for (uint32_t row = 0; row < delta->count; row++) {
        both.rows[both.count++] = (struct live){*delta, row};
    }
    struct pq_batch one;
    const uint32_t first = 0;
    pq_batch_gather(&made.batch, &first, 1, &world->arena, &one, NULL);
    both.rows[both.count++] = (struct live){one, 0};
    uint32_t all[rows_max];
    for (uint32_t i = 0; i < both.count; i++) all[i] = i;
    int64_t *weights = pq_arena_alloc(&world->arena, both.count * sizeof *weights);
    for (size_t i = 0; i < delta->count; i++) weights[i] = delta->weights[i];
    weights[both.count - 1] = weight;
    join(&both, all, both.count, &world->arena, delta);
    delta->weights = weights;
    pq_rows_deinit(&made);
}

/// Creates, updates and deletes, several of one row too, in the order of commits.
static void random_change(struct world *world, struct pq_batch *deltas) {
    const uint32_t table = below(4), id = below(ids);
    struct pq_text *live = &world->live[table][id];
    const bool was_there = live->length > 0;
    if (was_there) {
        append(world, table, id, -1, &deltas[table]);
    }
    if (was_there && below(3) == 0) {
        *live = PQ_TEXT("");
        return;
    }
    if (!was_there) world->seqs[table][id] = world->next_seq++;
    *live = random_row(world, table, id);
    append(world, table, id, 1, &deltas[table]);
}

// ---- views -------------------------------------------------------------------------------------

static void set_up(struct world *world) {
    static uint32_t table_ids[tables_max];
    pqdb_error err = {0};
    struct pq_problems problems;
    pq_arena_init(&world->arena, &pq_alloc_libc);
    pq_problems_init(&problems, &world->arena);
    for (uint32_t k = 0; k < tables_max; k++) table_ids[k] = k;
    CHECK(pq_schema_parse(pq_text_of(schema_text), &pq_alloc_libc, &world->schema, &problems,
                          &err) == PQDB_OK,
          "%s", err.message);
    CHECK(pq_views_plan(world->schema, table_ids, &pq_alloc_libc, &world->views, &problems,
                        &err) == PQDB_OK,
          "%s", err.message);
    CHECK(pq_problems_code(&problems, &err) == PQDB_OK, "%s", err.message);
    for (uint32_t k = 0; k < 4; k++) {
        pq_variant_names_create(&pq_alloc_libc, &world->names[k], NULL);
    }
    for (int side = 0; side < 2; side++) {
        world->sources[side][0] = (struct source){world, side, 0};
        for (size_t k = 0; k < world->views->count; k++) {
            const struct pq_view *view = &world->views->views[k];
            struct pq_node_spec *spec = &world->specs[side][view->table];
            world->sources[side][view->table] = (struct source){world, side, view->source};
            world->rows[side][view->table] =
                (struct pq_rows){scan, &world->sources[side][view->table]};
            *spec = view->spec;
            const struct pq_view *lowest = view;
            while (lowest->upstream != NULL) lowest = lowest->upstream;
            world->lookups[side][view->table] =
                (struct pq_lookup){rows_at, &world->sources[side][0],
                                   world->names[lowest->source], side == 1};
            spec->lookup = &world->lookups[side][view->table];
            struct pq_node **node = &world->nodes[side][view->table];
            CHECK(pq_node_create(spec, &pq_alloc_libc, node, &err) == PQDB_OK, "node");
            CHECK(pq_node_full(*node, &world->rows[side][view->table], NULL, &err) == PQDB_OK,
                  "empty");
        }
    }
}

static void tear_down(struct world *world) {
    for (size_t k = 0; k < world->views->count; k++) {
        const uint32_t table = world->views->views[k].table;
        for (int side = 0; side < 2; side++) pq_node_destroy(world->nodes[side][table]);
    }
    for (uint32_t k = 0; k < 4; k++) pq_variant_names_unref(world->names[k]);
    pq_views_destroy(world->views);
    pq_schema_unref(world->schema);
    pq_arena_deinit(&world->arena);
}

static void print_row(struct world *world, const struct pq_batch *batch, size_t row,
                      struct pq_text *out) {
    struct pq_bytes text;
    pq_bytes_init(&text, &world->arena.alloc);
    for (uint32_t k = 0; k < batch->type->field_count; k++) {
        pq_bytes_printf(&text, NULL, "%.*s ", PQ_TEXT_ARG(batch->type->fields[k].name));
        pq_print_row(&text, &batch->columns[k], row, NULL);
        pq_bytes_append_byte(&text, ' ', NULL);
    }
    *out = pq_bytes_text(&text);
}

struct printed {
    struct world *world;
    struct text_set set;
};

static pqdb_code put(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    struct printed *printed = ctx;
    (void)err;
    for (size_t row = 0; row < rows->count; row++) {
        struct pq_text text;
        print_row(printed->world, rows, row, &text);
        text_set_add(&printed->set, text, 1);
    }
    return PQDB_OK;
}

static void check_view(struct world *world, int side, const struct pq_view *view, uint64_t seed,
                       int step) {
    struct printed stepped = {.world = world}, full = {.world = world};
    const struct table *table = &world->tables[side][view->table];
    for (size_t i = 0; i < table->count; i++) {
        struct pq_text text;
        print_row(world, &table->rows[i].batch, table->rows[i].row, &text);
        text_set_add(&stepped.set, text, 1);
    }
    struct pq_node *node;
    pqdb_error err = {0};
    const struct pq_sink sink = {put, &full};
    CHECK(pq_node_create(&world->specs[side][view->table], &pq_alloc_libc, &node, &err) ==
              PQDB_OK,
          "node");
    CHECK(pq_node_full(node, &world->rows[side][view->table], &sink, &err) == PQDB_OK, "%s",
          err.message);
    pq_node_destroy(node);
    text_set_sort(&stepped.set);
    text_set_sort(&full.set);
    CHECK(text_set_equal(&stepped.set, &full.set), "seed %llu step %d: %s by look-ups %s",
          (unsigned long long)seed, step, view->name.data, side == 0 ? "before" : "after");
    if (!text_set_equal(&stepped.set, &full.set)) {
        for (size_t i = 0; i < stepped.set.count; i++) {
            fprintf(stderr, "  stepped %.*s\n", PQ_TEXT_ARG(stepped.set.entries[i].text));
        }
        for (size_t i = 0; i < full.set.count; i++) {
            fprintf(stderr, "  full    %.*s\n", PQ_TEXT_ARG(full.set.entries[i].text));
        }
    }
    text_set_deinit(&stepped.set);
    text_set_deinit(&full.set);
}

/// What changed in the tables that the view reads.
static size_t deltas_of(struct world *world, int side, const struct pq_view *view,
                        const struct pq_batch *collections, struct pq_delta *deltas) {
    size_t count = 0;
    for (uint32_t k = 0; k < 4; k++) {
        if (collections[k].count == 0) continue;
        if (!pq_node_reads(world->nodes[side][view->table], k)) continue;
        deltas[count++] = (struct pq_delta){k, &collections[k]};
    }
    return count;
}

static void step_view(struct world *world, int side, const struct pq_view *view,
                      const struct pq_batch *collections, struct pq_batch *outputs) {
    struct pq_delta deltas[tables_max];
    pqdb_error err = {0};
    size_t count = deltas_of(world, side, view, collections, deltas);
    if (view->upstream != NULL && outputs[view->source].count > 0) {
        deltas[count++] = (struct pq_delta){view->source, &outputs[view->source]};
    }
    if (count == 0) return;
    CHECK(pq_node_step_all(world->nodes[side][view->table], deltas, count, &world->arena,
                           &outputs[view->table], &err) == PQDB_OK,
          "%s: %s", view->name.data, err.message);
}

static void run_seed(uint64_t seed) {
    static struct world world;
    memset(&world, 0, sizeof world);
    random_state = pq_hash_word(seed + 1);
    set_up(&world);
    for (int step = 0; step < steps; step++) {
        struct pq_batch deltas[4] = {0}, outputs[2][tables_max] = {0};
        const uint32_t changes = 1 + below(changes_max);
        for (uint32_t k = 0; k < changes; k++) random_change(&world, deltas);
        for (size_t k = 0; k < world.views->count; k++) {
            step_view(&world, 0, &world.views->views[k], deltas, outputs[0]);
        }
        for (int side = 0; side < 2; side++) {
            for (uint32_t k = 0; k < 4; k++) apply(&world, &world.tables[side][k], &deltas[k]);
        }
        for (size_t k = 0; k < world.views->count; k++) {
            const struct pq_view *view = &world.views->views[k];
            apply(&world, &world.tables[0][view->table], &outputs[0][view->table]);
            step_view(&world, 1, view, deltas, outputs[1]);
            apply(&world, &world.tables[1][view->table], &outputs[1][view->table]);
            for (int side = 0; side < 2; side++) check_view(&world, side, view, seed, step);
        }
    }
    tear_down(&world);
}

/// The step, with memory that ends after `left` requests.
static pqdb_code step_short(struct world *world, const struct pq_view *view,
                            const struct pq_delta *deltas, size_t count, long left) {
    struct failing_alloc failing = {.alloc = {failing_resize, NULL}, .left = left};
    failing.alloc.ctx = &failing;
    struct pq_arena arena;
    struct pq_batch out;
    pqdb_error err = {0};
    pq_arena_init(&arena, &failing.alloc);
    const pqdb_code code =
        pq_node_step_all(world->nodes[0][view->table], deltas, count, &arena, &out, &err);
    pq_arena_deinit(&arena);
    CHECK(code == PQDB_OK || code == PQDB_NO_MEMORY, "%s: %s", view->name.data, err.message);
    CHECK(failing.live_bytes == 0, "%s: %ld bytes left", view->name.data, failing.live_bytes);
    return code;
}

/// Of views without state, which a step that fails leaves as they were.
static void memory_that_runs_out_is_told(void) {
    static struct world world;
    memset(&world, 0, sizeof world);
    random_state = 7;
    set_up(&world);
    struct pq_batch deltas[4] = {0};
    for (int k = 0; k < 60; k++) random_change(&world, deltas);
    for (uint32_t k = 0; k < 4; k++) apply(&world, &world.tables[0][k], &deltas[k]);
    memset(deltas, 0, sizeof deltas);
    for (int k = 0; k < 12; k++) random_change(&world, deltas);
    for (size_t k = 0; k < world.views->count; k++) {
        const struct pq_view *view = &world.views->views[k];
        struct pq_delta inputs[tables_max];
        if (view->spec.group != NULL || view->upstream != NULL) continue;
        const size_t count = deltas_of(&world, 0, view, deltas, inputs);
        long left = 0;
        while (left < 10000 && step_short(&world, view, inputs, count, left) != PQDB_OK) left++;
        CHECK(left > 0 && left < 10000, "%s: %ld requests", view->name.data, left);
    }
    tear_down(&world);
}

static void steps_equal_the_whole_on_either_side(void) {
    const char *given = getenv("PQ_TEST_SEED");
    if (given != NULL) {
        run_seed(strtoull(given, NULL, 10));
        return;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++) run_seed(seed);
}

int main(void) {
    RUN(memory_that_runs_out_is_told);
    RUN(steps_equal_the_whole_on_either_side);
    return test_done();
}
