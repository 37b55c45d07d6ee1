/// Goal: paths that files keep as columns (`$shred`) change no answer. Two collections get the same
/// writes, one of them shreds, by changing choices; whatever is asked of both gives the same rows,
/// and so do views over them: from memory and from files, before and after merges, changes of the
/// schema and openings, over values of every kind.
///
/// PQ_LAW_SEED=n draws one world, PQ_LAW_SECONDS=n new ones for so long.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/schema.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "db/open_with.h"
#include "support/db_world.h"
#include "support/law_random.h"
#include "store/store.h"
#include "support/test.h"

enum { worlds_everyday = 12, steps_max = 14, asked = 12, paths_count = 13 };

static const char *const paths[paths_count] = {
    "v.s", "v.n", "v.d", "v.at", "v.dec", "v.flag", "v.any", "v.o.x", "v.o", "v.l.0", "more.k",
    "v.o.deep.er", "v.l",
};
static const char declared[] =
    "$paths: { 'v.s': 'string', 'v.n': 'int', 'v.d': 'double', 'v.at': 'timestamp',\n"
    "          'v.dec': 'decimal(8,2)', 'v.flag': 'boolean' }";

struct world {
    struct law_dice dice;
    struct pq_store *store;
    pqdb_db *db;
    unsigned rows;
    unsigned style;  // of the values at hand: they come in runs
    struct pq_bytes schema, text, a, b;
};

static pqdb_error err;

static void must(const struct world *w, pqdb_code code, const char *what) {
    CHECK(code == PQDB_OK, "seed %" PRIu64 ": %s: %s %s", w->dice.seed, what, err.subject,
          err.message);
}

static unsigned roll(struct world *w, unsigned sides) {
    return (unsigned)law_roll(&w->dice, sides);
}

/// What was said, until something else is.
static const char *text_of(struct pq_bytes *out) {
    pq_bytes_append_byte(out, '\0', NULL);
    out->length--;
    return (const char *)out->data;
}

// ---- schema -------------------------------------------------------------------------------------

static void say_shred(struct world *w) {
    if (roll(w, 5) == 0) return;
    if (roll(w, 4) == 0) {
        law_say(&w->schema, ", $shred: 'auto'");
        return;
    }
    law_say(&w->schema, ", $shred: [");
    for (size_t i = 0; i < paths_count; i++) {
        if (roll(w, 2) == 0) law_say(&w->schema, "'%s', ", paths[i]);
    }
    law_say(&w->schema, "]");
}

static void say_views(struct world *w, const char *name) {
    law_say(&w->schema,
            "  Few%s: { $from: '%s', $filter: { 'v.n': { $gt: 3 } },\n"
            "    $select: { s: '$v.s', any: '$v.any', k: '$more.k' } },\n"
            "  Per%s: { $from: '%s', $groupBy: ['v.s'], $compute: { rows: { $count: '*' },\n"
            "    sum: { $sum: 'v.d' }, low: { $min: 'v.any' }, last: { $max: 'v.at' } } },\n"
            "  Els%s: { $from: '%s', $unnest: { path: 'v.l', as: 'e' },\n"
            "    $filter: { 'v.s': { $ne: 'a' } }, $select: { e: '$e', n: '$v.n' } },\n"
            "  Pos%s: { $from: '%s', $filter: { 'v.n': { $gt: 0 } }, $groupBy: ['v.flag'],\n"
            "    $compute: { rows: { $count: 'v.o.x' }, any: { $countDistinct: 'v.any' } } },\n",
            name, name, name, name, name, name, name, name);
}

static const char *say_schema(struct world *w) {
    w->schema.length = 0;
    law_say(&w->schema, "{ A: { v: 'variant', name: 'string', %s", declared);
    say_shred(w);
    law_say(&w->schema, " },\n  B: { v: 'variant', name: 'string', %s },\n", declared);
    say_views(w, "A");
    say_views(w, "B");
    law_say(&w->schema, "}");
    return text_of(&w->schema);
}

static void change_schema(struct world *w) {
    const char *schema = say_schema(w);
    must(w, pqdb_schema_apply(w->db, schema, strlen(schema), NULL, NULL, &err), schema);
}

// ---- rows ---------------------------------------------------------------------------------------

static const char *const scalars[] = {
    "0", "1", "3", "5", "7", "-2", "9007199254740993", "123456789012345678901234567890",
    "1.5", "3.0", "-0.0", "0.1", "1e300", "99999.995", "\"\"", "\"a\"", "\"ab\"", "\"b\"",
    "\"3\"", "\"2026-01-15T10:00:00Z\"", "\"2026-01-16\"", "1768471200000", "\"\xc3\xa4\"",
    "\"a text that is longer than the bounds of a page keep of it, in any case: 1\"",
    "\"a text that is longer than the bounds of a page keep of it, in any case: 2\"",
    "true", "false", "null",
};
enum { scalar_count = sizeof scalars / sizeof *scalars };

static void say_value(struct world *w) {
    static const char *const nested[] = {"{\"x\":1}", "[]", "[1,\"a\"]", "{}",
                                         "{\"x\":null,\"deep\":{\"er\":2}}"};
    if (roll(w, 8) > 0) {  // values that stand together are alike
        law_say(&w->text, "%s", scalars[(w->style + roll(w, 4)) % scalar_count]);
    } else if (roll(w, 3) > 0) {
        law_say(&w->text, "%s", scalars[roll(w, scalar_count)]);
    } else {
        law_say(&w->text, "%s", nested[roll(w, 5)]);
    }
}

static void say_members(struct world *w, const char *const *names, size_t count) {
    bool any = false;
    law_say(&w->text, "{");
    for (size_t i = 0; i < count; i++) {
        if (roll(w, 5) == 0) continue;
        law_say(&w->text, "%s\"%s\":", any ? "," : "", names[i]);
        say_value(w);
        any = true;
    }
}

static void say_variant(struct world *w) {
    static const char *const names[] = {"s", "n", "d", "at", "dec", "flag", "any"};
    static const char *const inner[] = {"x", "y"};
    if (roll(w, 12) == 0) {
        say_value(w);
        return;
    }
    say_members(w, names, sizeof names / sizeof *names);
    law_say(&w->text, "%s\"pad\":1", w->text.data[w->text.length - 1] == '{' ? "" : ",");
    if (roll(w, 3) > 0) {
        law_say(&w->text, ",\"o\":");
        say_members(w, inner, 2);
        const bool first = w->text.data[w->text.length - 1] == '{';
        if (roll(w, 2) == 0) {
            law_say(&w->text, "%s\"deep\":{\"er\":", first ? "" : ",");
            say_value(w);
            law_say(&w->text, "}");
        }
        law_say(&w->text, "}");
    }
    if (roll(w, 3) == 0) {
        law_say(&w->text, ",\"l\":[");
        say_value(w);
        law_say(&w->text, "]");
    }
    law_say(&w->text, "}");
}

static void say_row(struct world *w, unsigned id) {
    law_say(&w->text, "{\"$id\":\"%05u\",\"name\":\"n%u\"", id, id % 7);
    if (roll(w, 15) > 0) {
        law_say(&w->text, ",\"v\":");
        say_variant(w);
    }
    if (roll(w, 2) == 0) {
        law_say(&w->text, ",\"more\":{\"k\":");
        say_value(w);
        law_say(&w->text, "}");
    }
    law_say(&w->text, "}\n");
}

static void write_both(struct world *w, const pqdb_write_options *options) {
    for (int side = 0; side < 2; side++) {
        must(w, pqdb_create(w->db, side == 0 ? "A" : "B", (const char *)w->text.data,
                            w->text.length, options, NULL, &err), "create");
    }
}

static void create_rows(struct world *w) {
    w->text.length = 0;
    w->style = roll(w, scalar_count);
    for (unsigned left = 1 + roll(w, 120); left > 0; left--) say_row(w, w->rows++);
    write_both(w, NULL);
}

static void replace_rows(struct world *w) {
    const pqdb_write_options replace = {.on_conflict = "replace"};
    w->text.length = 0;
    const unsigned first = roll(w, w->rows + 1), count = roll(w, 20);
    for (unsigned id = first; id < w->rows && id < first + count; id++) say_row(w, id);
    if (w->text.length > 0) write_both(w, &replace);
}

static void say_filter(struct world *w);

static void change_rows(struct world *w) {
    w->text.length = 0;
    law_say(&w->text, "{ $set: { 'v.s': ");
    say_value(w);
    law_say(&w->text, " } }");
    char *operators = strdup(text_of(&w->text));
    say_filter(w);
    const char *filter = text_of(&w->text);
    const bool deletes = roll(w, 4) == 0;
    char few[64];
    snprintf(few, sizeof few, "{ $id: { $gte: '%05u' }, name: 'n%u' }", roll(w, w->rows + 1),
             roll(w, 7));
    const pqdb_edit edit = {.where = filter, .operators = operators};
    pqdb_code codes[2];
    for (int side = 0; side < 2; side++) {
        const char *name = side == 0 ? "A" : "B";
        codes[side] = deletes ? pqdb_delete(w->db, name, few, NULL, NULL, &err)
                              : pqdb_update(w->db, name, &edit, NULL, NULL, &err);
    }
    CHECK(codes[0] == codes[1], "seed %" PRIu64 ": %s: %d, %d", w->dice.seed, filter, codes[0],
          codes[1]);
    free(operators);
}

// ---- questions ----------------------------------------------------------------------------------

static void say_literal(struct world *w) {
    law_say(&w->text, "%s", scalars[(w->style + roll(w, scalar_count)) % scalar_count]);
}

static void say_condition(struct world *w) {
    static const char *const orders[] = {"$eq", "$ne", "$gt", "$gte", "$lt", "$lte"};
    const char *path = paths[roll(w, paths_count)];
    switch (roll(w, 10)) {
    case 0: law_say(&w->text, "'%s': { $exists: %s }", path, roll(w, 2) ? "true" : "false"); break;
    case 1: law_say(&w->text, "'%s': { $startsWith: 'a%s' }", path, roll(w, 2) ? "b" : ""); break;
    case 2:
        law_say(&w->text, "'%s': { $regex: '^a%s' }", path, roll(w, 2) ? " text.*2$" : "");
        break;
    case 3:
        law_say(&w->text, "'%s': { %s: [", path, roll(w, 2) ? "$in" : "$nin");
        for (unsigned k = roll(w, 4); k > 0; k--) {
            say_literal(w);
            law_say(&w->text, ", ");
        }
        law_say(&w->text, "] }");
        break;
    case 4: law_say(&w->text, "'%s': { $type: '%s' }", path, roll(w, 2) ? "string" : "int"); break;
    case 5:
        law_say(&w->text, "$expr: { $lt: ['$%s', '$%s'] }", path, paths[roll(w, paths_count)]);
        break;
    default:
        law_say(&w->text, "'%s': { %s: ", path, orders[roll(w, 6)]);
        say_literal(w);
        law_say(&w->text, " }");
    }
}

static void say_conditions(struct world *w, int depth) {
    static const char *const words[] = {"$or", "$and", "$nor"};
    if (depth == 0 || roll(w, 3) > 0) {
        law_say(&w->text, "{ ");
        say_condition(w);
        law_say(&w->text, " }");
        return;
    }
    law_say(&w->text, "{ %s: [", words[roll(w, 3)]);
    for (unsigned k = 1 + roll(w, 3); k > 0; k--) {
        say_conditions(w, depth - 1);
        law_say(&w->text, ", ");
    }
    law_say(&w->text, "] }");
}

static void say_filter(struct world *w) {
    w->text.length = 0;
    say_conditions(w, 2);
}

/// All rows, and between pages nothing.
static void print_rows(struct world *w, const char *name, const pqdb_find_options *options,
                       struct pq_bytes *out) {
    pqdb_rows *rows = NULL;
    bool more = true;
    out->length = 0;
    const pqdb_code code = pqdb_find(w->db, name, options, &rows, &err);
    if (code != PQDB_OK) {
        law_say(out, "%s", err.message);
        return;
    }
    for (;;) {
        size_t length;
        must(w, pqdb_rows_next(rows, &more, &err), "next");
        if (!more) break;
        const char *json = pqdb_rows_json(rows, &length);
        law_say(out, "%.*s\n", (int)length, json);
    }
    pqdb_rows_close(rows);
}

static void compare(struct world *w, const char *left, const char *right,
                    const pqdb_find_options *options) {
    print_rows(w, left, options, &w->a);
    print_rows(w, right, options, &w->b);
    const bool same = pq_text_equal(pq_bytes_text(&w->a), pq_bytes_text(&w->b));
    CHECK(same, "seed %" PRIu64 ": %s\n filter %s sort %s select %s limit %" PRIu64
                "\n with:\n%s\n without:\n%s",
          w->dice.seed, text_of(&w->schema), options->filter, options->sort, options->select,
          options->limit, text_of(&w->a), text_of(&w->b));
}

static void ask(struct world *w) {
    char sort[64], select[96];
    uint64_t counts[2] = {0, 0};
    pqdb_find_options options = {.limit = roll(w, 3) == 0 ? 1 + roll(w, 20) : 0};
    say_filter(w);
    options.filter = text_of(&w->text);
    if (roll(w, 3) > 0) {
        snprintf(select, sizeof select, "%s,%s,%s", paths[roll(w, paths_count)],
                 paths[roll(w, paths_count)], roll(w, 3) == 0 ? "v" : "name");
        options.select = select;
    }
    if (roll(w, 2) == 0) {
        snprintf(sort, sizeof sort, "{ '%s': %d }", paths[roll(w, paths_count)],
                 roll(w, 2) ? 1 : -1);
        options.sort = sort;
    }
    compare(w, "A", "B", &options);
    must(w, pqdb_count(w->db, "A", options.filter, &counts[0], &err), options.filter);
    must(w, pqdb_count(w->db, "B", options.filter, &counts[1], &err), options.filter);
    CHECK(counts[0] == counts[1], "seed %" PRIu64 ": %s: %" PRIu64 ", not %" PRIu64,
          w->dice.seed, options.filter, counts[0], counts[1]);
}

static void ask_all(struct world *w) {
    static const pqdb_find_options all;
    for (int i = 0; i < asked; i++) ask(w);
    compare(w, "A", "B", &all);
    compare(w, "FewA", "FewB", &all);
    compare(w, "PerA", "PerB", &all);
    compare(w, "ElsA", "ElsB", &all);
    compare(w, "PosA", "PosB", &all);
}

/// What stands in the views equals what they are computed to from the files.
static void verify(struct world *w) {
    for (size_t i = 0; i < pqdb_view_count(w->db); i++) {
        pqdb_verified verified = {0};
        const char *name = pqdb_view_name(w->db, i);
        must(w, pqdb_view_verify(w->db, name, NULL, NULL, &verified, &err), name);
        CHECK(verified.differences == 0, "seed %" PRIu64 ": %s", w->dice.seed, name);
    }
}

// ---- worlds -------------------------------------------------------------------------------------

static struct pq_open_with with_of(struct world *w) {
    return (struct pq_open_with){.store = w->store, .location = "file:///shred",
                                 .env = &db_world_env, .alloc = &pq_alloc_libc, .merge_rows = 16,
                                 .no_keeper = true};
}

static void open_db(struct world *w) {
    const struct pq_open_with with = with_of(w);
    must(w, pq_db_open_with(&with, NULL, &w->db, &err), "open");
}

static void step(struct world *w) {
    switch (roll(w, 9)) {
    case 0:
    case 1:
    case 2: create_rows(w); break;
    case 3: replace_rows(w); break;
    case 4: change_rows(w); break;
    case 5: change_schema(w); break;
    case 6: must(w, pqdb_checkpoint(w->db, &err), "checkpoint"); break;
    case 7:
        for (size_t i = 0; i < pqdb_view_count(w->db) && roll(w, 2); i++) {
            must(w, pqdb_view_refresh(w->db, pqdb_view_name(w->db, i), true, NULL, &err), "full");
        }
        break;
    default:
        must(w, pqdb_close(w->db, &err), "close");
        open_db(w);
    }
}

static void run_world(uint64_t seed) {
    struct world w = {.dice = {.seed = seed}};
    must(&w, pq_store_open_memory(&pq_alloc_libc, &w.store, &err), "a store");
    pq_bytes_init(&w.schema, &pq_alloc_libc);
    pq_bytes_init(&w.text, &pq_alloc_libc);
    pq_bytes_init(&w.a, &pq_alloc_libc);
    pq_bytes_init(&w.b, &pq_alloc_libc);
    const struct pq_open_with with = with_of(&w);
    must(&w, pq_db_init_with(&with, pq_text_of(say_schema(&w)), &err), "init");
    open_db(&w);
    create_rows(&w);
    for (int i = 0; i < steps_max && test_failures_ == 0; i++) {
        step(&w);
        if (i % 3 == 2) ask_all(&w);
    }
    must(&w, pqdb_checkpoint(w.db, &err), "checkpoint");
    ask_all(&w);
    verify(&w);
    must(&w, pqdb_close(w.db, &err), "close");
    pq_store_destroy(w.store);
    pq_bytes_deinit(&w.schema);
    pq_bytes_deinit(&w.text);
    pq_bytes_deinit(&w.a);
    pq_bytes_deinit(&w.b);
}

static void shredding_changes_no_answer(void) {
    const char *one = getenv("PQ_LAW_SEED"), *longer = getenv("PQ_LAW_SECONDS");
    const uint64_t first = one != NULL      ? strtoull(one, NULL, 10)
                           : longer != NULL ? (uint64_t)time(NULL)
                                            : 1;
    const time_t until = time(NULL) + (longer == NULL ? 600 : strtol(longer, NULL, 10));
    const uint64_t worlds = one != NULL ? 1 : longer != NULL ? UINT64_MAX : worlds_everyday;
    for (uint64_t done = 0; done < worlds && test_failures_ == 0 && time(NULL) < until; done++) {
        run_world(first + done);
    }
}

int main(void) {
    RUN(shredding_changes_no_answer);
    return test_done();
}
