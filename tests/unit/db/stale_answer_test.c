/// Goal: an answer from a view that lags, or from one above it, names the version that it shows.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <string.h>

#include "support/temp.h"
#include "support/test.h"

static const char schema[] =
    "{ Item: { n: 'int!' },\n"
    "  Later: { $from: 'Item', $refresh: { mode: 'manual' } },\n"
    "  Above: { $from: 'Later', $compute: { rows: { $count: '*' } } } }";

static pqdb_error err;

static void put(pqdb_db *db) {
    CHECK(pqdb_create(db, "Item", "{\"n\":1}", 7, NULL, NULL, &err) == PQDB_OK, "%s", err.message);
}

static void check_answer(pqdb_db *db, const char *view, const char *state, uint64_t version) {
    pqdb_view_state now;
    pqdb_rows *rows = NULL;
    CHECK(pqdb_view_state_get(db, view, &now, &err) == PQDB_OK, "%s", err.message);
    CHECK(strcmp(now.state, state) == 0, "%s is %s", view, now.state);
    CHECK(now.version == version, "%s is at %" PRIu64, view, now.version);
    const bool is_stale = strcmp(state, "stale") == 0;
    CHECK((now.stale_since_us != 0) == is_stale, "%s: since %" PRId64, view, now.stale_since_us);
    CHECK(pqdb_find(db, view, NULL, &rows, &err) == PQDB_OK, "%s", err.message);
    CHECK((strstr(pqdb_rows_note(rows), "stale") != NULL) == is_stale, "%s", pqdb_rows_note(rows));
    CHECK(!is_stale || pqdb_rows_version(rows) == version, "%s shows %" PRIu64, view,
          pqdb_rows_version(rows));
    pqdb_rows_close(rows);
}

static pqdb_db *open_refreshed(const struct temp_directory *place) {
    pqdb_db *db = NULL;
    CHECK(pqdb_init(place->path, schema, strlen(schema), NULL, NULL, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(pqdb_open(place->path, NULL, &db, &err) == PQDB_OK, "%s", err.message);
    put(db);
    CHECK(pqdb_view_refresh(db, "Later", false, NULL, &err) == PQDB_OK, "%s", err.message);
    return db;
}

static void answers_name_the_version_they_show(void) {
    const struct temp_directory place = temp_directory_make();
    pqdb_db *db = open_refreshed(&place);
    pqdb_view_state fresh;
    CHECK(pqdb_view_state_get(db, "Above", &fresh, &err) == PQDB_OK, "%s", err.message);
    CHECK(strcmp(fresh.state, "fresh") == 0, "Above is %s", fresh.state);
    const uint64_t shown = fresh.version;
    put(db);
    put(db);
    check_answer(db, "Later", "stale", shown);
    check_answer(db, "Above", "stale", shown);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
    temp_directory_remove(&place);
}

/// Stored rows with their age, those of now with what was done for that.
static void one_row_and_a_number_say_so_as_well(void) {
    const struct temp_directory place = temp_directory_make();
    pqdb_db *db = open_refreshed(&place);
    pqdb_view_state state;
    CHECK(pqdb_view_state_get(db, "Later", &state, &err) == PQDB_OK, "%s", err.message);
    put(db);
    for (int now = 0; now < 2; now++) {
        pqdb_answered answered = {.version = 0};
        const pqdb_find_options options = {.max_staleness = now ? "0s" : NULL,
                                           .answered = &answered};
        uint64_t count = 0;
        CHECK(pqdb_count_with(db, "Later", &options, &count, &err) == PQDB_OK, "%s", err.message);
        CHECK(count == 1 + (uint64_t)now, "%" PRIu64 " rows", count);
        CHECK(answered.version == state.version + (uint64_t)now, "%" PRIu64, answered.version);
        CHECK(answered.is_caught_up == now && (answered.staleness_us > 0) == !now, "%" PRId64,
              answered.staleness_us);
        CHECK(strstr(answered.note, now ? "brought up" : "is stale") != NULL, "%s", answered.note);
        char *row = NULL;
        pqdb_answered of_row = {.version = 0};
        const pqdb_row_name name = {.table = "Above", .id = "[]", .answered = &of_row,
                                    .max_staleness = options.max_staleness};
        CHECK(pqdb_get_row(db, &name, &row, NULL, &err) == PQDB_OK, "%s", err.message);
        CHECK(row != NULL && strstr(row, now ? "\"rows\":2" : "\"rows\":1") != NULL, "%s", row);
        CHECK(of_row.is_caught_up == now && of_row.version == answered.version, "%s", of_row.note);
        pqdb_free(row);
    }
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
    temp_directory_remove(&place);
}

int main(void) {
    RUN(answers_name_the_version_they_show);
    RUN(one_row_and_a_number_say_so_as_well);
    return test_done();
}
