#include "support/scenario.h"

#include <string.h>

#include "support/law_random.h"
#include "support/test.h"

enum { line_max = 4096 };

/// The end of the JSON value that begins here: brackets are matched, quotes skipped.
static const char *end_of_value(const char *at) {
    int depth = 0;
    char quote = '\0';
    for (; *at != '\0'; at++) {
        if (quote != '\0') {
            if (*at == '\\' && at[1] != '\0') at++;
            else if (*at == quote) quote = '\0';
        } else if (*at == '"' || *at == '\'') {
            quote = *at;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if ((*at == '}' || *at == ']') && --depth == 0) {
            return at + 1;
        }
    }
    return at;
}

/// Cuts a piece off the line, without the spaces around it.
static char *cut(char **rest, bool is_value) {
    char *begin = *rest + strspn(*rest, " ");
    char *end = is_value ? begin + (end_of_value(begin) - begin) : begin + strcspn(begin, " ");
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return begin;
}

void scenario_run(const struct test_case *test, const struct scenario_player *player) {
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    player->begin(player->ctx, test->input);
    const char *text = test->parts[1];
    while (*text != '\0') {
        char line[line_max];
        const size_t length = strcspn(text, "\n");
        CHECK(length < sizeof line, "%s:%d: a line is too long", test->file, test->line);
        if (length >= sizeof line) break;
        memcpy(line, text, length);
        line[length] = '\0';
        text += length + (text[length] == '\n');
        char *rest = line;
        struct scenario_step step;
        step.verb = cut(&rest, false);
        step.table = cut(&rest, false);
        step.first = cut(&rest, true);
        step.second = cut(&rest, true);
        player->play(player->ctx, &step, &out);
    }
    player->end(player->ctx);
    pq_bytes_append_byte(&out, '\0', NULL);
    case_expect(test, (const char *)out.data);
    pq_bytes_deinit(&out);
}

// ---- the naive evaluator ------------------------------------------------------------------------

static struct {
    struct pq_arena arena;
    struct naive_db db;
} naive;

static void naive_begin(void *ctx, const char *schema) {
    (void)ctx;
    pq_arena_init(&naive.arena, &pq_alloc_libc);
    naive_use(&naive.arena);
    naive.db = (struct naive_db){0};
    naive_db_read(&naive.db, law_parse(schema));
}

static void naive_end(void *ctx) {
    (void)ctx;
    pq_arena_deinit(&naive.arena);
}

static void naive_show(const char *name, struct pq_bytes *out) {
    for (int i = 0; i < naive.db.table_count; i++) {
        if (naive.db.tables[i].view != NULL) naive_view_eval(&naive.db, &naive.db.tables[i]);
    }
    struct naive_table table = *naive_db_find(&naive.db, name);
    qsort(table.rows, (size_t)table.row_count, sizeof *table.rows, naive_by_id);
    law_say(out, "%s\n", name);
    for (int i = 0; i < table.row_count; i++) {
        law_say(out, "  %s\n", naive_row_text(&table, &table.rows[i]));
    }
}

static bool is(const char *name, const char *other) { return strcmp(name, other) == 0; }

static void naive_play(void *ctx, const struct scenario_step *step, struct pq_bytes *out) {
    (void)ctx;
    struct naive_db *db = &naive.db;
    if (is(step->verb, "show")) naive_show(step->table, out);
    if (step->first[0] == '\0') return;
    struct naive_table *table = naive_db_find(db, step->table);
    const bool is_row = step->first[0] == '{';
    const bool creates = is(step->verb, "create") || is(step->verb, "ignore") ||
                         is(step->verb, "replace");
    const struct pq_json *first =
        law_parse(creates && is_row ? naive_text("[%s]", step->first) : step->first);
    const struct pq_json *second = step->second[0] == '\0' ? NULL : law_parse(step->second);
    if (creates) {
        const enum naive_conflict conflict = is(step->verb, "create")   ? NAIVE_REFUSE
                                             : is(step->verb, "ignore") ? NAIVE_IGNORE
                                                                        : NAIVE_REPLACE;
        if (!naive_create(db, table, first, conflict)) {
            law_say(out, "%s %s: CONFLICT\n", step->verb, step->table);
        }
    } else if (is(step->verb, "update")) {
        naive_update(db, table, first, second);
    } else if (is(step->verb, "upsert")) {
        naive_upsert(db, table, first, second);
    } else if (is(step->verb, "delete")) {
        naive_delete(db, table, first);
    }
}

const struct scenario_player scenario_naive = {NULL, naive_begin, naive_play, naive_end};
