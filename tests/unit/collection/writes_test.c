/// Goal: pin every way to change rows by text cases: each is a schema and a script of commands; all
/// views are verified at its end, and again after a reopen from the log alone and from a root,
/// where the collections must read the same.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "db/open_with.h"
#include "support/cases.h"
#include "support/fault_store.h"
#include "support/test.h"

static int64_t now_us;

static int64_t clock_now(void *ctx) {
    (void)ctx;
    return now_us;
}
static uint64_t clock_monotonic(void *ctx) { return (uint64_t)clock_now(ctx) * 1000; }
static void clock_random(void *ctx, void *out, size_t length) {
    static uint64_t dice = 0;
    (void)ctx;
    for (size_t i = 0; i < length; i++) ((uint8_t *)out)[i] = (uint8_t)pq_hash_word(++dice);
}
static void clock_sleep(void *ctx, uint64_t ns) { (void)ctx, (void)ns; }

static const struct pq_env env = {.now_us = clock_now, .monotonic_ns = clock_monotonic,
                                  .random = clock_random, .sleep_ns = clock_sleep};

static const char *const code_names[] = {"OK", "INVALID", "NOT_FOUND", "CONFLICT", "CORRUPT",
                                         "UNSUPPORTED", "IO", "LIMIT", "NO_MEMORY", "CANCELLED"};

static struct pq_open_with with_store(struct fault_store *disk) {
    return (struct pq_open_with){.store = &disk->base, .location = "file:///w", .env = &env,
                                 .alloc = &pq_alloc_libc, .no_keeper = true,
                                 .log_segment_bytes = 1 << 16};
}

static void print(struct pq_bytes *out, const char *text) {
    pq_bytes_append(out, text, strlen(text), NULL);
}

static void print_error(struct pq_bytes *out, const pqdb_error *err) {
    pq_bytes_printf(out, NULL, "%s %s%s%s\n", code_names[err->code], err->subject,
                    err->subject[0] == '\0' ? "" : ": ", err->message);
}

// ---- rows -------------------------------------------------------------------------------------

/// The row without its nulls and, unless `whole`, without its system fields.
static void print_row(struct pq_bytes *out, const char *json, bool whole) {
    static const char *const hidden[] = {"\"$type\":", "\"createdAt\":", "\"updatedAt\":"};
    const char *at = json;
    size_t depth = 0;
    while (*at != '\0') {
        const char *member = at;
        bool quoted = false;
        do {  // up to the comma or brace that ends the member
            if (*at == '"' && at[-1] != '\\') quoted = !quoted;
            if (!quoted && (*at == '{' || *at == '[')) depth++;
            if (!quoted && (*at == '}' || *at == ']')) depth--;
            at++;
        } while (*at != '\0' && !(depth == 1 && !quoted && *at == ','));
        const size_t length = (size_t)(at - member);
        bool hide = length > 5 && (memcmp(at - 5, ":null", 5) == 0);
        for (size_t i = 0; i < 3 && !whole; i++) {
            hide = hide || (member[0] == ',' &&
                            strncmp(member + 1, hidden[i], strlen(hidden[i])) == 0);
        }
        if (hide && *at == '\0') print(out, "}");
        if (!hide) pq_bytes_append(out, member, length, NULL);
    }
    print(out, "\n");
}

static void find_rows(pqdb_db *db, const char *name, const char *filter, bool whole,
                      struct pq_bytes *out) {
    pqdb_error err = {0};
    pqdb_rows *rows;
    const pqdb_find_options options = {.filter = filter, .system_columns = true};
    if (pqdb_find(db, name, &options, &rows, &err) != PQDB_OK) {
        print_error(out, &err);
        return;
    }
    bool has_row;
    while (pqdb_rows_next(rows, &has_row, &err) == PQDB_OK && has_row) {
        size_t length;
        print_row(out, pqdb_rows_json(rows, &length), whole);
    }
    pqdb_rows_close(rows);
}

// ---- commands ---------------------------------------------------------------------------------

struct script {
    struct fault_store *disk;
    pqdb_db *db;
    struct pq_bytes out;
};

static void note_refusal(void *ctx, const pqdb_refusal *refusal) {
    struct script *script = ctx;
    pq_bytes_printf(&script->out, NULL, "refused %" PRIu64 " line %" PRIu64 " %s %s: %s\n",
                    refusal->index, refusal->line, refusal->code, refusal->field,
                    refusal->message);
}

/// The next word of a line, or the rest of it when it begins a JSON text.
static char *next_word(char **line) {
    while (**line == ' ') ++*line;
    char *word = *line;
    char *end = strchr(word, ' ');
    if (end == NULL) {
        *line = word + strlen(word);
        return word;
    }
    *end = '\0';
    *line = end + 1;
    return word;
}

/// A JSON object at the front of a line, or a word.
static char *next_where(char **line) {
    while (**line == ' ') ++*line;
    if (**line != '{') return next_word(line);
    char *begin = *line;
    size_t depth = 0;
    char *at = begin;
    do {
        if (*at == '{' || *at == '[') depth++;
        if (*at == '}' || *at == ']') depth--;
        at++;
    } while (depth > 0 && *at != '\0');
    *line = *at == '\0' ? at : at + 1;
    *at = '\0';
    return begin;
}

/// "token=a", "expect=2", "on=replace" in front of the rest.
static void read_options(char **line, pqdb_write_options *options) {
    for (;;) {
        while (**line == ' ') ++*line;
        if (strncmp(*line, "token=", 6) == 0) {
            options->token = next_word(line) + 6;
        } else if (strncmp(*line, "expect=", 7) == 0) {
            options->expected_version = strtoull(next_word(line) + 7, NULL, 10);
        } else if (strncmp(*line, "on=", 3) == 0) {
            options->on_conflict = next_word(line) + 3;
        } else {
            return;
        }
    }
}

static void print_written(struct script *script, const pqdb_written *written) {
    pq_bytes_printf(&script->out, NULL, "v%" PRIu64 ":", written->version);
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {{"created", written->created}, {"changed", written->changed},
                  {"removed", written->removed}, {"refused", written->refused}};
    bool any = false;
    for (size_t i = 0; i < 4; i++) {
        if (counts[i].count == 0) continue;
        pq_bytes_printf(&script->out, NULL, " %" PRIu64 " %s", counts[i].count, counts[i].name);
        any = true;
    }
    if (written->repeated) print(&script->out, " known token");
    if (!any && !written->repeated) {
        pq_bytes_printf(&script->out, NULL, " nothing (%" PRIu64 " matched)", written->matched);
    }
    print(&script->out, "\n");
}

static void reopen(struct script *script, const char *how) {
    pqdb_error err = {0};
    const struct pq_open_with with = with_store(script->disk);
    if (strcmp(how, "root") == 0) {
        CHECK(pqdb_checkpoint(script->db, &err) == PQDB_OK, "checkpoint: %s", err.message);
    }
    CHECK(pqdb_close(script->db, &err) == PQDB_OK, "close: %s", err.message);
    CHECK(pq_db_open_with(&with, NULL, &script->db, &err) == PQDB_OK, "open: %s: %s", err.subject,
          err.message);
}

static void run_write(struct script *script, const char *verb, char *line) {
    pqdb_error err = {0};
    pqdb_written written = {0};
    pqdb_write_options options = {.on_refusal = note_refusal, .ctx = script};
    const char *name = next_word(&line);
    read_options(&line, &options);
    pqdb_code code;
    if (strcmp(verb, "create") == 0) {
        for (char *at = line; *at != '\0'; at++) {
            if (*at == '|') *at = '\n';
        }
        code = pqdb_create(script->db, name, line, strlen(line), &options, &written, &err);
    } else {
        pqdb_edit edit = {.where = next_where(&line)};
        edit.operators = line;
        code = strcmp(verb, "update") == 0
                   ? pqdb_update(script->db, name, &edit, &options, &written, &err)
               : strcmp(verb, "upsert") == 0
                   ? pqdb_upsert(script->db, name, &edit, &options, &written, &err)
                   : pqdb_delete(script->db, name, edit.where, &options, &written, &err);
    }
    if (code == PQDB_OK) {
        print_written(script, &written);
    } else {
        print_error(&script->out, &err);
    }
}

static void run_line(struct script *script, char *line) {
    now_us += 1000000;
    const char *verb = next_word(&line);
    if (strcmp(verb, "find") == 0 || strcmp(verb, "times") == 0) {
        const char *name = next_word(&line);
        find_rows(script->db, name, line[0] == '\0' ? NULL : line, verb[0] == 't', &script->out);
    } else if (strcmp(verb, "reopen") == 0) {
        reopen(script, "log");
    } else if (strcmp(verb, "checkpoint") == 0) {
        reopen(script, "root");
    } else {
        run_write(script, verb, line);
    }
}

// ---- a case -----------------------------------------------------------------------------------

/// Every collection, whole.
static void dump(pqdb_db *db, struct pq_bytes *out) {
    for (size_t i = 0; i < pqdb_entry_count(db); i++) {
        pqdb_entry entry;
        pqdb_error err;
        if (pqdb_entry_at(db, i, &entry, &err) != PQDB_OK) continue;
        // A view that nothing of the replayed changes reached is left at its earlier version.
        const bool is_view = strcmp(entry.kind, "view") == 0;
        pq_bytes_printf(out, NULL, "%s at %" PRIu64 "\n", entry.name,
                        is_view ? 0 : entry.version);
        find_rows(db, entry.name, NULL, true, out);
    }
    pq_bytes_append_byte(out, '\0', NULL);
}

static void verify_views(pqdb_db *db, const struct test_case *test, const char *when) {
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        pqdb_error err = {0};
        pqdb_verified verified = {0};
        const char *view = pqdb_view_name(db, i);
        CHECK(pqdb_view_verify(db, view, NULL, NULL, &verified, &err) == PQDB_OK &&
                  verified.differences == 0,
              "%s:%d: %s: %s has %" PRIu64 " differences: %s", test->file, test->line, when, view,
              verified.differences, err.message);
    }
}

static void check_reopened(struct script *script, const struct test_case *test) {
    static const char *const ways[] = {"log", "root"};
    for (size_t i = 0; i < 2; i++) {
        struct pq_bytes before, after;
        pq_bytes_init(&before, &pq_alloc_libc);
        pq_bytes_init(&after, &pq_alloc_libc);
        verify_views(script->db, test, ways[i]);
        dump(script->db, &before);
        reopen(script, ways[i]);
        dump(script->db, &after);
        CHECK(strcmp((char *)before.data, (char *)after.data) == 0, "%s:%d: by the %s:\n%s\n%s",
              test->file, test->line, ways[i], (char *)before.data, (char *)after.data);
        verify_views(script->db, test, ways[i]);
        pq_bytes_deinit(&before);
        pq_bytes_deinit(&after);
    }
}

static void check_case(const struct test_case *test) {
    pqdb_error err = {0};
    struct script script = {.disk = fault_store_create()};
    const struct pq_open_with with = with_store(script.disk);
    now_us = INT64_C(1768471200000000);
    pq_bytes_init(&script.out, &pq_alloc_libc);
    pqdb_code code = pq_db_init_with(&with, pq_text_of(test->parts[0]), &err);
    if (code == PQDB_OK) code = pq_db_open_with(&with, NULL, &script.db, &err);
    CHECK(code == PQDB_OK, "%s:%d: %s: %s", test->file, test->line, err.subject, err.message);
    if (code == PQDB_OK) {
        char text[8192];
        snprintf(text, sizeof text, "%s", test->parts[1]);
        for (char *line = text; *line != '\0';) {
            char *end = line + strcspn(line, "\n");
            const bool is_last = *end == '\0';
            *end = '\0';
            run_line(&script, line);
            line = is_last ? end : end + 1;
        }
        pq_bytes_append_byte(&script.out, '\0', NULL);
        case_expect(test, (char *)script.out.data);
        check_reopened(&script, test);
        pqdb_close(script.db, NULL);
    }
    pq_bytes_deinit(&script.out);
    fault_store_destroy(script.disk);
}

static void creates_obey_the_cases(void) {
    CHECK(cases_run("collection/create.cases", check_case) > 10, "cases");
}

static void operators_obey_the_cases(void) {
    CHECK(cases_run("collection/operators.cases", check_case) > 12, "cases");
}

static void updates_upserts_and_deletes_obey_the_cases(void) {
    CHECK(cases_run("collection/changes.cases", check_case) > 15, "cases");
}

static void views_follow_changes_as_in_the_cases(void) {
    CHECK(cases_run("collection/views.cases", check_case) > 3, "cases");
}

int main(void) {
    RUN(creates_obey_the_cases);
    RUN(operators_obey_the_cases);
    RUN(updates_upserts_and_deletes_obey_the_cases);
    RUN(views_follow_changes_as_in_the_cases);
    return test_done();
}
