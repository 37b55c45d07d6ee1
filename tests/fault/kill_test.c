/// Goal: on the real file system, a writer that is killed in the midst of commits, checkpoints,
/// merges and builds loses nothing that it acknowledged and leaves nothing half done, however often
/// that happens; processes that read meanwhile see whole commits and exact views only.
///
/// The writer notes each commit in a file, before as pending and after as committed. PQ_KILLS says
/// how often it is killed (make test-long: some hundred).
#include <inttypes.h>
#include <parquedb/check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/db_world.h"
#include "base/hash.h"
#include "support/test.h"

enum { kills_default = 6, readers = 2, commits_max = 120, life_ms_max = 400, opens_max = 5 };

static pqdb_error err;
static char folder[64], database[96], notes[96];

/// What the writer has noted; written as one, and kept by the system when it is killed.
struct notes {
    uint32_t pending, committed;
};

static void write_notes(int file, struct notes now) {
    if (pwrite(file, &now, sizeof now, 0) != sizeof now) _exit(3);
}

static struct notes read_notes(void) {
    struct notes now = {0};
    const int file = open(notes, O_RDONLY);
    if (file >= 0 && pread(file, &now, sizeof now, 0) < 0) now = (struct notes){0};
    if (file >= 0) close(file);
    return now;
}

static void complain(const char *who, const char *what) {
    fprintf(stderr, "%s: %s: %s: %s\n", who, what, err.subject, err.message);
}

// ---- the writer -------------------------------------------------------------------------------

/// Small limits, so that the keeper always has something to do.
static const pqdb_options busy = {.memory_bytes = 1 << 20, .checkpoint_log_bytes = 1 << 14,
                                  .checkpoint_ms = 20};

static void work_beside(pqdb_db *db, uint32_t commit) {
    if (commit % 7 == 3) pqdb_view_refresh(db, "Later", false, NULL, NULL);
    if (commit % 17 == 5) pqdb_view_refresh(db, "ByKind", true, NULL, NULL);
    if (commit % 13 == 6) pqdb_checkpoint(db, NULL);
    if (commit % 19 == 8) {
        pqdb_view_create(db, "Made", "{ $from: 'Item', $groupBy: ['n'],"
                         " $compute: { rows: { $count: '*' } } }", NULL, NULL, NULL);
    }
    if (commit % 19 == 15) pqdb_view_drop(db, "Made", true, NULL);
}

/// Until it is killed, or the database is large enough.
static int write_on(void) {
    pqdb_db *db;
    const int file = open(notes, O_RDWR | O_CREAT, 0666);
    struct notes now = read_notes();
    if (pqdb_open(database, &busy, &db, &err) != PQDB_OK) {
        complain("writer", "open");
        return 1;
    }
    // A commit that was pending may be there: its token tells.
    for (now.pending = now.committed + 1; now.pending <= commits_max; now.pending++) {
        write_notes(file, now);
        if (db_world_commit(db, now.pending, &err) != PQDB_OK) {
            complain("writer", "commit");
            return 1;
        }
        now.committed = now.pending;
        write_notes(file, now);
        work_beside(db, now.pending);
    }
    return pqdb_close(db, &err) == PQDB_OK ? 0 : 1;
}

// ---- readers ----------------------------------------------------------------------------------

/// May happen beside a writer: what was looked for has just been replaced.
static bool is_passing(pqdb_code code) { return code == PQDB_NOT_FOUND; }

static int look_once(uint64_t *version) {
    pqdb_db *db;
    pqdb_status status;
    const pqdb_options options = {.read_only = true};
    const struct notes before = read_notes();
    const pqdb_code opened = pqdb_open(database, &options, &db, &err);
    if (is_passing(opened)) return 0;
    if (opened != PQDB_OK || pqdb_status_get(db, &status, &err) != PQDB_OK) {
        complain("reader", "open");
        return 1;
    }
    if (status.version < *version) {
        fprintf(stderr, "reader: version %" PRIu64 " after %" PRIu64 "\n", status.version,
                *version);
        return 1;
    }
    *version = status.version;
    for (uint32_t commit = before.committed > 5 ? before.committed - 5 : 1;
         commit <= before.committed; commit++) {
        char filter[64];
        uint64_t rows = 0;
        snprintf(filter, sizeof filter, "{ commit: %u }", commit);
        const pqdb_code code =
            pqdb_count(db, commit % 3 == 0 ? "Feed" : "Item", filter, &rows, &err);
        if (is_passing(code)) break;
        if (code != PQDB_OK || rows != db_world_rows(commit)) {
            complain("reader", filter);
            if (code == PQDB_OK) fprintf(stderr, "reader: %" PRIu64 " rows\n", rows);
            return 1;
        }
    }
    pqdb_verified verified = {0};
    const pqdb_code code = pqdb_view_verify(db, "PerTag", NULL, NULL, &verified, &err);
    pqdb_close(db, NULL);
    if (is_passing(code) || (code == PQDB_OK && verified.differences == 0)) return 0;
    complain("reader", "verify");
    return 1;
}

static int read_on(void) {
    uint64_t version = 0;
    for (;;) {
        if (look_once(&version) != 0) return 1;
    }
}

// ---- the parent -------------------------------------------------------------------------------

static pid_t start(int (*work)(void)) {
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) _exit(work());
    return child;
}

static void pause_ms(unsigned ms) {
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

/// Ended by the kill, or in order.
static bool reap(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
           (WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/// What check says, for the eyes of who reads the failure.
static void tell_damage(void *ctx, const pqdb_damage *damage) {
    (void)ctx;
    fprintf(stderr, "    %s at %" PRId64 ": %s\n", damage->file, (int64_t)damage->offset,
            damage->message);
}

/// What the writer left: whole commits, exact views, sound files, nothing that leaks.
static void check_left(long kill_number) {
    const struct notes now = read_notes();
    const pqdb_options options = {.checkpoint_ms = -1};
    pqdb_db *db;
    const pqdb_check_options look = {.on_damage = tell_damage};
    pqdb_checked checked;
    const pqdb_code code = pqdb_open(database, &options, &db, &err);
    CHECK(code == PQDB_OK, "kill %ld: %s: %s", kill_number, err.subject, err.message);
    if (code != PQDB_OK) return;
    db_world_check(db, now.committed, now.pending, "kill", kill_number);
    CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "kill %ld: %s", kill_number, err.message);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "kill %ld: %s", kill_number, err.message);
    CHECK(pqdb_check(database, &look, &checked, &err) == PQDB_OK && checked.damages == 0,
          "kill %ld: %" PRIu64 " damages", kill_number, checked.damages);
}

static void begin_database(void) {
    char command[200];
    snprintf(command, sizeof command, "rm -rf %s %s", database, notes);
    CHECK(system(command) == 0, "%s", command);
    CHECK(pqdb_init(database, db_world_schema, strlen(db_world_schema), NULL, NULL, &err) ==
              PQDB_OK, "%s", err.message);
}

/// All rows into files, and nothing is left that nothing names.
static void end_database(void) {
    pqdb_db *db;
    pqdb_checked checked;
    const pqdb_options options = {.checkpoint_ms = -1};
    CHECK(pqdb_open(database, &options, &db, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_create(db, "Feed", "{\"commit\":0,\"x\":1}", 18, NULL, NULL, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_check(database, NULL, &checked, &err) == PQDB_OK && checked.damages == 0, "%s",
          err.message);
    CHECK(checked.unnamed_files == 0, "%" PRIu64 " files are leaked", checked.unnamed_files);
}

static void a_killed_writer_loses_nothing(void) {
    const char *asked = getenv("PQ_KILLS");
    const long kills = asked == NULL ? kills_default : strtol(asked, NULL, 10);
    long commits = 0;
    const char *given = getenv("PQ_SEED");
    uint64_t seed = given == NULL ? (uint64_t)time(NULL) : strtoull(given, NULL, 10);
    fprintf(stderr, "    seed %" PRIu64 "\n", seed);
    begin_database();
    for (long i = 0; i < kills; i++) {
        pid_t reading[readers];
        const pid_t writer = start(write_on);
        for (int k = 0; k < readers; k++) reading[k] = start(read_on);
        seed = pq_hash_word(seed + 1);
        pause_ms(1 + (unsigned)(seed % life_ms_max));
        kill(writer, SIGKILL);
        CHECK(reap(writer), "kill %ld: the writer failed", i);
        for (int k = 0; k < readers; k++) {
            kill(reading[k], SIGKILL);
            CHECK(reap(reading[k]), "kill %ld: a reader failed", i);
        }
        check_left(i);
        if (read_notes().committed < commits_max && i + 1 < kills) continue;
        commits += read_notes().committed;
        end_database();
        if (i + 1 < kills) begin_database();
    }
    fprintf(stderr, "    %ld kills, %ld commits\n", kills, commits);
}

int main(void) {
    const char *temporary = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/pq-kill-XXXXXX", temporary == NULL ? "/tmp" : temporary);
    if (mkdtemp(folder) == NULL) return 1;
    snprintf(database, sizeof database, "%s/data", folder);
    snprintf(notes, sizeof notes, "%s/notes", folder);
    RUN(a_killed_writer_loses_nothing);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    CHECK(system(command) == 0, "%s", command);
    return test_done();
}
