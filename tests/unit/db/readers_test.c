/// Goal: processes read while another one writes: each sees one commit whole, keeps what it has
/// opened however much is rewritten and removed meanwhile, and holds up nothing once it has ended,
/// however it ended. A writer that was killed leaves nothing in the way of the next.
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/store.h"
#include "support/temp.h"
#include "support/test.h"

enum { ROWS = 600, ROUNDS = 14, LOOKS = 25 };

static const char schema[] =
    "{ Item: { n: 'int!' },\n"
    "  ByN: { $from: 'Item', $groupBy: ['n'], $compute: { rows: { $count: '*' } } } }";

static pqdb_error err;
static struct temp_directory place;

#define MUST(call) CHECK((call) == PQDB_OK, "%s: %s", err.subject, err.message)

// ---- the other process ------------------------------------------------------------------------

/// Every row gets another n, in one commit.
static void rewrite(pqdb_db *db, int n) {
    static char text[ROWS * 40];
    size_t length = 0;
    for (int i = 0; i < ROWS; i++) {
        length += (size_t)snprintf(text + length, sizeof text - length,
                                   "{\"$id\":\"%05d\",\"n\":%d}\n", i, n);
    }
    const pqdb_write_options replace = {.on_conflict = "replace"};
    if (pqdb_create(db, "Item", text, length, &replace, NULL, &err) != PQDB_OK) _exit(3);
}

/// For each byte that comes: 'r' rewrites ROUNDS times, with a checkpoint each, 'e' for ever.
static void write_on(int orders, int answers) {
    const pqdb_options options = {.checkpoint_ms = -1};
    pqdb_db *db = NULL;
    char order;
    int n = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // it goes on for ever
    if (pqdb_open(place.path, &options, &db, &err) != PQDB_OK) _exit(2);
    while (read(orders, &order, 1) == 1) {
        for (int i = 0; i < ROUNDS || order == 'e'; i++) {
            rewrite(db, ++n);
            if (pqdb_checkpoint(db, &err) != PQDB_OK) _exit(4);
        }
        if (write(answers, &order, 1) != 1) _exit(5);
    }
    _exit(0);
}

struct writer {
    pid_t pid;
    int orders, answers;
};

static struct writer start_writer(void) {
    int to[2], from[2];
    CHECK(pipe(to) == 0 && pipe(from) == 0, "pipe");
    const pid_t pid = fork();
    if (pid == 0) write_on(to[0], from[1]);
    close(to[0]);
    close(from[1]);
    return (struct writer){pid, to[1], from[0]};
}

static void order(const struct writer *writer, char what) {
    char answer = 0;
    CHECK(write(writer->orders, &what, 1) == 1, "order");
    CHECK(read(writer->answers, &answer, 1) == 1 && answer == what, "the writer has ended");
}

static void end_writer(const struct writer *writer) {
    kill(writer->pid, SIGKILL);
    waitpid(writer->pid, NULL, 0);
    close(writer->orders);
    close(writer->answers);
}

// ---- this one ---------------------------------------------------------------------------------

static pqdb_db *open_reader(void) {
    const pqdb_options options = {.read_only = true};
    pqdb_db *db = NULL;
    MUST(pqdb_open(place.path, &options, &db, &err));
    if (db == NULL) exit(test_done());
    return db;
}

/// One commit, whole: every row has the same n, and the view says so too. Returns it.
static int check_whole(pqdb_db *db) {
    uint64_t rows = 0, groups = 0;
    pqdb_rows *found;
    bool has_row = false;
    int n = -1;
    MUST(pqdb_count(db, "Item", NULL, &rows, &err));
    MUST(pqdb_count(db, "ByN", NULL, &groups, &err));
    CHECK(rows == ROWS && groups == 1, "%" PRIu64 " rows, %" PRIu64 " groups", rows, groups);
    MUST(pqdb_find(db, "ByN", NULL, &found, &err));
    MUST(pqdb_rows_next(found, &has_row, &err));
    size_t length;
    const char *json = has_row ? pqdb_rows_json(found, &length) : "";
    const char *at = strstr(json, "\"n\":");
    if (at != NULL) n = (int)strtol(at + 4, NULL, 10);
    CHECK(strstr(json, "\"rows\":600") != NULL && n >= 0, "%s", json);
    pqdb_rows_close(found);
    char filter[40];
    snprintf(filter, sizeof filter, "{ n: %d }", n);
    MUST(pqdb_count(db, "Item", filter, &rows, &err));
    CHECK(rows == ROWS, "%" PRIu64 " rows of n %d", rows, n);
    return n;
}

static size_t count_files(const char *below) {
    struct pq_store *store;
    struct pq_arena arena;
    struct pq_store_list list = {0};
    pq_arena_init(&arena, &pq_alloc_libc);
    MUST(pq_store_open_fs(place.path, false, &pq_alloc_libc, &store, &err));
    MUST(pq_store_list(store, below, &arena, &list, &err));
    pq_store_destroy(store);
    pq_arena_deinit(&arena);
    return list.count;
}

static void begin(void) {
    place = temp_directory_make();
    MUST(pqdb_init(place.path, schema, sizeof schema - 1, NULL, NULL, &err));
}

static void a_reader_keeps_what_it_opened(void) {
    begin();
    const struct writer writer = start_writer();
    order(&writer, 'r');
    pqdb_db *before = open_reader();  // nothing of its files has been read yet
    order(&writer, 'r');
    order(&writer, 'r');
    CHECK(check_whole(before) == ROUNDS, "it sees what it opened");
    MUST(pqdb_view_verify(before, "ByN", NULL, NULL, NULL, &err));
    pqdb_db *after = open_reader();
    CHECK(check_whole(after) == 3 * ROUNDS, "another sees what is newest");
    MUST(pqdb_close(after, &err));
    const size_t files = count_files("Item/data"), states = count_files("_state");
    MUST(pqdb_close(before, &err));
    order(&writer, 'r');
    CHECK(count_files("Item/data") < files, "%zu files, were %zu", count_files("Item/data"),
          files);
    CHECK(count_files("_state") < states, "%zu states, were %zu", count_files("_state"), states);
    end_writer(&writer);
    temp_directory_remove(&place);
}

static void readers_come_and_go_beside_a_writer(void) {
    begin();
    const struct writer writer = start_writer();
    order(&writer, 'r');
    CHECK(write(writer.orders, "e", 1) == 1, "order");
    int last = 0;
    for (int i = 0; i < LOOKS; i++) {
        pqdb_db *db = open_reader();
        usleep(1000 * (unsigned)(i % 4));
        const int n = check_whole(db);
        CHECK(n >= last, "%d after %d", n, last);
        last = n;
        MUST(pqdb_close(db, &err));
    }
    CHECK(last > ROUNDS, "the writer stands still at %d", last);
    end_writer(&writer);
    const pqdb_options options = {.checkpoint_ms = -1};
    pqdb_db *db = NULL;
    MUST(pqdb_open(place.path, &options, &db, &err));  // the lock of the dead is no lock
    CHECK(check_whole(db) >= last, "a commit is lost");
    pqdb_db *second = NULL;
    CHECK(pqdb_open(place.path, &options, &second, &err) == PQDB_CONFLICT, "two writers");
    CHECK(strstr(err.message, "process") != NULL, "%s", err.message);
    MUST(pqdb_close(db, &err));
    temp_directory_remove(&place);
}

static void a_killed_reader_holds_up_nothing(void) {
    begin();
    const struct writer writer = start_writer();
    order(&writer, 'r');
    int ready[2];
    char byte = 0;
    CHECK(pipe(ready) == 0, "pipe");
    const pid_t reader = fork();
    if (reader == 0) {
        const pqdb_options options = {.read_only = true};
        pqdb_db *db = NULL;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (pqdb_open(place.path, &options, &db, &err) != PQDB_OK) _exit(2);
        if (write(ready[1], "r", 1) != 1) _exit(3);
        for (;;) pause();
    }
    CHECK(read(ready[0], &byte, 1) == 1, "the reader has ended");
    order(&writer, 'r');
    order(&writer, 'r');
    const size_t files = count_files("Item/data");
    kill(reader, SIGKILL);
    waitpid(reader, NULL, 0);
    order(&writer, 'r');
    CHECK(count_files("Item/data") < files, "%zu files, were %zu", count_files("Item/data"),
          files);
    close(ready[0]);
    close(ready[1]);
    end_writer(&writer);
    temp_directory_remove(&place);
}

int main(void) {
    RUN(a_reader_keeps_what_it_opened);
    RUN(readers_come_and_go_beside_a_writer);
    RUN(a_killed_reader_holds_up_nothing);
    return test_done();
}
