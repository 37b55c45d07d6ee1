/// Goal: the text for Prometheus is one: each metric is introduced once, its samples stand
/// together, labels are quoted, values are numbers; and it says what the states of the views say.
#include <stdlib.h>
#include <string.h>

#include "support/db_calls.h"

static pqdb_error err;

static char *metrics_of(pqdb_db *db) {
    char *text = NULL;
    size_t length = 0;
    MUST(pqdb_metrics(db, &text, &length, &err));
    CHECK(text != NULL && strlen(text) == length && length > 0, "no text");
    if (text == NULL) exit(test_done());
    return text;
}

/// Length of a metric's name at the start of a line.
static size_t name_length(const char *line) {
    return strspn(line, "abcdefghijklmnopqrstuvwxyz_0123456789");
}

/// Behind `{label="value",…}`; NULL when it is none.
static const char *skip_labels(const char *at) {
    if (*at != '{') return at;
    do {
        at++;
        at += name_length(at);
        if (at[0] != '=' || at[1] != '"') return NULL;
        for (at += 2; *at != '"'; at++) {
            if (*at == '\0' || *at == '\n') return NULL;
            if (*at == '\\' && strchr("\\\"n", *++at) == NULL) return NULL;
        }
        at++;
    } while (*at == ',');
    return *at == '}' ? at + 1 : NULL;
}

static bool is_introduced(const char *text, const char *until, const char *name, size_t length) {
    char wanted[128];
    snprintf(wanted, sizeof wanted, "# TYPE %.*s gauge\n", (int)length, name);
    const char *found = strstr(text, wanted);
    return found != NULL && found < until && strstr(found + 1, wanted) == NULL;
}

static void every_line_follows_the_format(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db;
    MUST(db_world_init(&disk->base, &pq_alloc_libc, &err));
    MUST(db_world_open(&disk->base, &pq_alloc_libc, &db, &err));
    for (unsigned i = 1; i < 5; i++) MUST(db_world_commit(db, i, &err));
    char *text = metrics_of(db);
    const char *current = "";
    size_t current_length = 0, samples = 0;
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (strncmp(line, "# HELP parquedb_", 16) == 0) continue;
        if (strncmp(line, "# TYPE ", 7) == 0) {
            current = line + 7;
            current_length = name_length(current);
            CHECK(is_introduced(text, line + 1, current, current_length), "%.60s", line);
            continue;
        }
        const size_t length = name_length(line);
        CHECK(length == current_length && strncmp(line, current, length) == 0,
              "not among its own: %.60s", line);
        const char *value = skip_labels(line + length);
        CHECK(value != NULL && *value == ' ', "%.80s", line);
        if (value == NULL) break;
        char *end;
        strtod(value, &end);
        CHECK(*end == '\n' && end > value + 1, "%.80s", line);
        samples++;
    }
    CHECK(samples > 60, "%zu samples", samples);
    pqdb_free(text);
    db_end(db, disk);
}

static void it_says_what_the_states_say(void) {
    struct fault_store *disk = fault_store_create();
    pqdb_db *db;
    MUST(db_world_init(&disk->base, &pq_alloc_libc, &err));
    MUST(db_world_open(&disk->base, &pq_alloc_libc, &db, &err));
    MUST(db_world_commit(db, 1, &err));
    char *text = metrics_of(db);
    static const char *const lines[] = {
        "\nparquedb_commit_version 1\n",
        "\nparquedb_view_state{view=\"Later\",state=\"stale\"} 1\n",
        "\nparquedb_view_state{view=\"Cheap\",state=\"fresh\"} 1\n",
        "\nparquedb_view_state{view=\"Cheap\",state=\"stale\"} 0\n",
        "\nparquedb_view_version{view=\"Cheap\",mode=\"streaming\"} 1\n",
        "\nparquedb_background_failed 0\n",
        "\nparquedb_collection_rows{collection=\"Feed\",kind=\"stream\"} 0\n"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        CHECK(strstr(text, lines[i]) != NULL, "without %s", lines[i]);
    }
    pqdb_free(text);
    db_end(db, disk);
}

int main(void) {
    RUN(every_line_follows_the_format);
    RUN(it_says_what_the_states_say);
    return test_done();
}
