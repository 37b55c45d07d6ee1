/// Goal: no byte of any file can change unnoticed: after a flip of one of its bits either an answer
/// is refused as CORRUPT with file and offset, or all answers are right; and in any case check says
/// which file it is. Never other rows, never a crash.
/// PQ_FLIPS says how many bytes of each file, spread over it; "all": every byte (hours).
#include <inttypes.h>
#include <parquedb/view.h>
#include <stdlib.h>
#include <string.h>

#include "db/check_internal.h"
#include "support/fault_store.h"
#include "support/rich_db.h"
#include "support/test.h"

enum { flips_per_file = 8 };

static pqdb_error err;
static struct pq_store *store;
static struct pq_bytes expected;

static void must(pqdb_code code, const char *what) {
    CHECK(code == PQDB_OK, "%s: %s %s", what, err.subject, err.message);
    if (code != PQDB_OK) exit(test_done());
}

/// What became of the flips.
struct outcomes {
    size_t flips, refused, right, seen;
};

struct heard {
    const char *path;
    bool named;
    size_t count;
};

static void hear(void *ctx, const pqdb_damage *damage) {
    struct heard *heard = ctx;
    heard->count++;
    heard->named = heard->named || strcmp(damage->file, heard->path) == 0;
}

static bool is_error_told(const pqdb_error *error) {
    return error->code == PQDB_CORRUPT && error->offset >= 0 &&
           strchr(error->subject, '/') != NULL;
}

/// Has a view failed for it? Then it shows its last good rows, and its state names file and byte.
static bool is_failure_told(pqdb_db *db, const char *path) {
    for (size_t i = 0; i < pqdb_view_count(db); i++) {
        pqdb_view_state state;
        if (pqdb_view_state_get(db, pqdb_view_name(db, i), &state, &err) != PQDB_OK) continue;
        const size_t length = strlen(path);
        if (strncmp(state.last_error, path, length) == 0 &&
            strncmp(state.last_error + length, " at byte ", 9) == 0) {
            return true;
        }
    }
    return false;
}

/// Open for reading and look at everything.
static void ask(const char *path, uint64_t offset, struct outcomes *outcomes) {
    const struct pq_open_with with = rich_db_with(store);
    const pqdb_options options = {.read_only = true};
    struct pq_bytes now;
    pqdb_db *db;
    pqdb_error why = {.offset = -1};
    pq_bytes_init(&now, &pq_alloc_libc);
    pqdb_code code = pq_db_open_with(&with, &options, &db, &why);
    bool is_view_failed = false;
    if (code == PQDB_OK) {
        code = rich_db_dump(db, &now, &why);
        is_view_failed = is_failure_told(db, path);
        pqdb_close(db, NULL);
    }
    if (code == PQDB_OK && is_view_failed) {
        outcomes->refused++;
    } else if (code == PQDB_OK) {
        outcomes->right++;
        CHECK(strcmp((char *)now.data, (char *)expected.data) == 0, "%s at %" PRIu64
              ": other rows, and no error", path, offset);
    } else {
        outcomes->refused++;
        const bool is_schema = strcmp(path, "schema.json5") == 0;
        CHECK(is_error_told(&why) || is_schema, "%s at %" PRIu64 ": code %d, %s at %lld: %s", path,
              offset, (int)code, why.subject, (long long)why.offset, why.message);
    }
    pq_bytes_deinit(&now);
}

static const char *last_segment = "";
static uint64_t closing_at;  // in it

static bool is_closing(const char *path, uint64_t offset) {
    return strcmp(path, last_segment) == 0 && offset >= closing_at;
}

static void flip(const char *path, uint64_t offset, struct outcomes *outcomes) {
    const struct pq_open_with with = rich_db_with(store);
    const uint8_t mask = (uint8_t)(1u << (offset * 5 + offset / 8) % 8);
    struct heard heard = {.path = path};
    pqdb_checked checked;
    const pqdb_check_options options = {.on_damage = hear, .ctx = &heard};
    CHECK(fault_store_flip(store, path, offset, mask), "flip");
    outcomes->flips++;
    ask(path, offset, outcomes);
    const pqdb_code code = pq_db_check_with(&with, &options, &checked, &err);
    CHECK(code == PQDB_OK, "%s at %" PRIu64 ": check: %s", path, offset, err.message);
    // Our line in the schema is a comment: what is only in it harms nothing. Nor does damage of the
    // empty frame of a clean close, which is then like one that a crash cut off.
    const bool is_harmless = strcmp(path, "schema.json5") == 0 || is_closing(path, offset);
    const bool is_seen = heard.count > 0 || is_harmless;
    CHECK(is_seen, "%s at %" PRIu64 ": check sees nothing", path, offset);
    CHECK(heard.count == 0 || heard.named, "%s at %" PRIu64 ": check names other files", path,
          offset);
    outcomes->seen += heard.count > 0;
    CHECK(fault_store_flip(store, path, offset, mask), "flip back");
}

/// Each kind of file that a database has is among them.
static void check_kinds(const struct rich_files *files) {
    static const char *const kinds[][2] = {
        {"schema.json5", ""}, {"_state/tables.json", ""}, {"_state/", ".root"},
        {"_state/", ".run"}, {"log/", ".log"}, {"Item/data/", ".parquet"},
        {"Many/data/", ".parquet.ids"}, {"Item/data/", ".links"}, {"Item/data/", "-deletes"},
        {"_views/", ".parquet"}, {"Item/metadata/v", ".metadata.json"},
        {"Item/metadata/snap-", ".avro"}, {"Item/metadata/manifest-", "-data.avro"},
        {"Item/metadata/manifest-", "-deletes.avro"}, {"Item/metadata/version-hint.text", ""}};
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        bool found = false;
        for (size_t i = 0; i < files->count && !found; i++) {
            const char *path = files->paths[i];
            found = strncmp(path, kinds[k][0], strlen(kinds[k][0])) == 0 &&
                    strstr(path, kinds[k][1]) != NULL;
        }
        CHECK(found, "no file %s…%s", kinds[k][0], kinds[k][1]);
    }
}

static void flips_are_seen(void) {
    const char *asked = getenv("PQ_FLIPS");
    const bool all = asked != NULL && strcmp(asked, "all") == 0;
    const uint64_t count = asked == NULL || all ? flips_per_file : strtoull(asked, NULL, 10);
    struct outcomes outcomes = {0};
    struct pq_arena arena;
    struct rich_files files;
    uint64_t bytes = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    rich_db_files(store, &arena, &files);
    check_kinds(&files);
    for (size_t i = 0; i < files.count; i++) {
        const bool is_later = strcmp(files.paths[i], last_segment) > 0;
        if (strncmp(files.paths[i], "log/", 4) != 0 || !is_later) continue;
        last_segment = files.paths[i];
        closing_at = files.bytes[i] - 64;
    }
    for (size_t i = 0; i < files.count; i++) {
        const uint64_t length = files.bytes[i];
        bytes += length;
        uint64_t step = all ? 1 : length / count + 1;
        if (step > 1) step |= 1;
        for (uint64_t at = all ? 0 : i % step; at < length; at += step) {
            flip(files.paths[i], at, &outcomes);
        }
    }
    fprintf(stderr, "    %zu files, %" PRIu64 " bytes, %zu flipped: ", files.count, bytes,
            outcomes.flips);
    fprintf(stderr, "%zu refused, %zu answered right, %zu seen by check\n", outcomes.refused,
            outcomes.right, outcomes.seen);
    pq_arena_deinit(&arena);
}

int main(void) {
    pqdb_db *db;
    must(pq_store_open_memory(&pq_alloc_libc, &store, &err), "store");
    rich_db_make(store);
    const struct pq_open_with with = rich_db_with(store);
    const pqdb_options options = {.read_only = true};
    pq_bytes_init(&expected, &pq_alloc_libc);
    must(pq_db_open_with(&with, &options, &db, &err), "open");
    must(rich_db_dump(db, &expected, &err), "dump");
    must(pqdb_close(db, &err), "close");
    RUN(flips_are_seen);
    pq_bytes_deinit(&expected);
    pq_store_destroy(store);
    return test_done();
}
