/// Goal: whatever comes in, the answer is one clear error that names the place and the remedy,
/// nothing is lost or half written, and the database goes on.
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "support/temp.h"
#include "support/test.h"

static const char schema[] =
    "{ Item: { n: 'int!', price: 'decimal(6,2)', name: 'varchar(3)', on: 'date',\n"
    "          parts: [{ a: 'int!' }], any: 'variant' },\n"
    "  Feed: { $ingest: 'custom:feed', n: 'int!' },\n"
    "  Strict: { $strict: true, n: 'int' },\n"
    "  Sum: { $from: 'Item', $compute: { rows: { $count: '*' }, sum: { $sum: 'n' } } },\n"
    "  Fed: { $from: 'Feed', $compute: { rows: { $count: '*' } } } }";

static pqdb_error err;
static struct temp_directory place;
static pqdb_db *db;
static unsigned long good;  // rows that were taken

static void open_it(void) {
    CHECK(pqdb_open(place.path, NULL, &db, &err) == PQDB_OK, "%s: %s", err.subject, err.message);
}

/// Still usable: the good rows are there, one more is taken, the view is exact.
static void check_alive(const char *after) {
    uint64_t count = 0;
    CHECK(pqdb_count(db, "Item", NULL, &count, &err) == PQDB_OK && count == good,
          "after %s: %" PRIu64 " rows, not %lu", after, count, good);
    CHECK(pqdb_create(db, "Item", "{\"n\":1}", 7, NULL, NULL, &err) == PQDB_OK, "after %s: %s",
          after, err.message);
    good++;
    pqdb_verified verified = {0};
    CHECK(pqdb_view_verify(db, "Sum", NULL, NULL, &verified, &err) == PQDB_OK &&
              verified.differences == 0, "after %s: %s", after, err.message);
}

/// A batch of a good row, the bad one and another good one is refused whole.
static void refuse(const char *bad, pqdb_code code, const char *subject, const char *message) {
    char text[4096];
    const int length = snprintf(text, sizeof text, "{\"n\":1}\n%s\n{\"n\":2}\n", bad);
    err = (pqdb_error){0};
    const pqdb_code got = pqdb_create(db, "Item", text, (size_t)length, NULL, NULL, &err);
    CHECK(got == code, "%s: code %d: %s", bad, (int)got, err.message);
    CHECK(strstr(err.subject, subject) != NULL, "%s: subject '%s', not '%s'", bad, err.subject,
          subject);
    CHECK(strstr(err.message, message) != NULL, "%s: '%s' has no '%s'", bad, err.message, message);
    check_alive(bad);
}

static void rows_that_are_wrong_name_line_and_field(void) {
    refuse("not json", PQDB_INVALID, "", "line 2");
    refuse("{\"n\":1", PQDB_INVALID, "", "line 2");
    refuse("7", PQDB_INVALID, "", "line 2");
    refuse("{\"n\":\"x\"}", PQDB_INVALID, "n", "line 2");
    refuse("{}", PQDB_INVALID, "n", "line 2");
    refuse("{\"n\":9223372036854775808}", PQDB_INVALID, "n", "line 2");
    refuse("{\"n\":1.5}", PQDB_INVALID, "n", "line 2");
    refuse("{\"n\":1e999}", PQDB_INVALID, "n", "line 2");
    refuse("{\"n\":1,\"price\":12345.67}", PQDB_INVALID, "price", "line 2");
    refuse("{\"n\":1,\"name\":\"long\"}", PQDB_INVALID, "name", "line 2");
    refuse("{\"n\":1,\"on\":\"2026-02-30\"}", PQDB_INVALID, "on", "line 2");
    refuse("{\"n\":1,\"parts\":[{\"a\":1},{\"a\":true}]}", PQDB_INVALID, "parts.1.a", "line 2");
    refuse("{\"n\":1,\"any\":1,\"any\":2}", PQDB_INVALID, "", "line 2");
    refuse("{\"n\":1,\"any\":\"\xff\xfe\"}", PQDB_INVALID, "", "line 2");
    refuse("{\"n\":1,\"$id\":\"a/b\"}", PQDB_INVALID, "$id", "line 2");
    refuse("{\"n\":1,\"$id\":\"\"}", PQDB_INVALID, "$id", "line 2");
    refuse("{\"n\":1,\"$id\":\"x\"}\n{\"n\":1,\"$id\":\"x\"}", PQDB_CONFLICT, "", "'x'");
    CHECK(pqdb_create(db, "Item", "{\"n\":1,\"$id\":\"x\"}", 17, NULL, NULL, &err) == PQDB_OK, "%s",
          err.message);
    good++;
    refuse("{\"n\":1,\"$id\":\"x\"}", PQDB_CONFLICT, "", "'x'");
}

static char *nested(size_t depth) {
    char *text = malloc(2 * depth + 32);
    const size_t length = (size_t)snprintf(text, 32, "{\"n\":1,\"any\":");
    memset(text + length, '[', depth);
    memset(text + length + depth, ']', depth);
    memcpy(text + length + 2 * depth, "}\n", 3);
    return text;
}

static void a_line_10000_deep_is_refused(void) {
    char *text = nested(10000);
    const pqdb_code code = pqdb_create(db, "Item", text, strlen(text), NULL, NULL, &err);
    CHECK(code == PQDB_INVALID || code == PQDB_LIMIT, "code %d: %s", (int)code, err.message);
    CHECK(strstr(err.message, "deep") != NULL || strstr(err.message, "level") != NULL, "%s",
          err.message);
    free(text);
    check_alive("a deep line");
}

// ---- streams set aside --------------------------------------------------------------------------

struct told {
    unsigned count;
    uint64_t index, line;
    char code[16], message[300];
};

static void tell(void *ctx, const pqdb_refusal *refusal) {
    struct told *told = ctx;
    told->count++;
    told->index = refusal->index;
    told->line = refusal->line;
    snprintf(told->code, sizeof told->code, "%s", refusal->code);
    snprintf(told->message, sizeof told->message, "%s", refusal->message);
}

static size_t rejected_bytes(void) {
    char path[300];
    struct stat status;
    snprintf(path, sizeof path, "%s/rejected/Feed.ndjson", place.path);
    return stat(path, &status) == 0 ? (size_t)status.st_size : 0;
}

/// `before`, `times` times `filler`, `after`: three items of which the one in the middle is bad.
static void set_aside(const char *before, char filler, size_t times, const char *after,
                      struct told *told) {
    static uint64_t fed;
    *told = (struct told){0};
    const size_t kept = rejected_bytes();
    const pqdb_write_options options = {.on_refusal = tell, .ctx = told};
    pqdb_ingest *ingest;
    pqdb_written written = {0};
    CHECK(pqdb_ingest_open(db, "Feed", &options, &ingest, &err) == PQDB_OK, "%s", err.message);
    char block[1 << 16];
    memset(block, filler, sizeof block);
    pqdb_code code = pqdb_ingest_feed(ingest, before, strlen(before), &err);
    for (size_t left = times; code == PQDB_OK && left > 0;) {
        const size_t piece = left < sizeof block ? left : sizeof block;
        code = pqdb_ingest_feed(ingest, block, piece, &err);
        left -= piece;
    }
    if (code == PQDB_OK) code = pqdb_ingest_feed(ingest, after, strlen(after), &err);
    if (code == PQDB_OK) code = pqdb_ingest_finish(ingest, &written, &err);
    pqdb_ingest_close(ingest);
    CHECK(code == PQDB_OK, "%s: %s", before, err.message);
    CHECK(written.accepted == 2 && written.refused == 1 && told->count == 1,
          "%s: %" PRIu64 " accepted, %" PRIu64 " refused", before, written.accepted,
          written.refused);
    CHECK(told->index == 1 && told->line == 2, "item %" PRIu64 ", line %" PRIu64, told->index,
          told->line);
    CHECK(rejected_bytes() > kept, "nothing was kept of %s", before);
    uint64_t count = 0;
    fed += 2;
    CHECK(pqdb_count(db, "Feed", NULL, &count, &err) == PQDB_OK && count == fed,
          "%" PRIu64 " rows", count);
}

static void a_stream_sets_aside_what_is_wrong(void) {
    struct told told;
    set_aside("{\"n\":1}\nnot json\n", ' ', 1, "\n{\"n\":2}\n", &told);
    set_aside("{\"n\":1}\n{\"n\":\"", 'x', 10, "\"}\n{\"n\":2}\n", &told);
    set_aside("{\"n\":1}\n{\"n\":1,\"x\":\"", '\xff', 3, "\"}\n{\"n\":2}\n", &told);
    set_aside("{\"n\":1}\n{\"n\":1,\"x\":", '[', 10000, "\n{\"n\":2}\n", &told);
    set_aside("{\"n\":1}\n{\"n\":1,\"x\":\"", 'x', 100 << 20, "\"}\n{\"n\":2}\n", &told);
    CHECK(strcmp(told.code, "LIMIT") == 0, "%s: %s", told.code, told.message);
    CHECK(rejected_bytes() < 8 << 20, "%zu bytes are kept of refused items", rejected_bytes());
    check_alive("a line of 100 MB");
}

static void a_line_that_is_cut_off_is_refused(void) {
    struct told told = {0};
    const pqdb_write_options options = {.on_refusal = tell, .ctx = &told};
    pqdb_ingest *ingest;
    pqdb_written written = {0};
    CHECK(pqdb_ingest_open(db, "Feed", &options, &ingest, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_ingest_feed(ingest, "{\"n\":1}\n{\"n\":", 13, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_ingest_finish(ingest, &written, &err) == PQDB_OK, "%s", err.message);
    pqdb_ingest_close(ingest);
    CHECK(written.accepted == 1 && told.count == 1 && told.line == 2, "line %" PRIu64 ": %s",
          told.line, told.message);
}

static pqdb_code cut_gzip(void *ctx, void *out, size_t capacity, size_t *length,
                          pqdb_error *error) {
    (void)capacity, (void)error;
    static const unsigned char start[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0x56};
    *length = *(int *)ctx == 0 ? sizeof start : 0;
    if (*length > 0) memcpy(out, start, sizeof start);
    ++*(int *)ctx;
    return PQDB_OK;
}

static void a_cut_gzip_stream_is_damage(void) {
    pqdb_ingest *ingest;
    int calls = 0;
    CHECK(pqdb_ingest_open(db, "Feed", NULL, &ingest, &err) == PQDB_OK, "%s", err.message);
    const pqdb_code code = pqdb_ingest_from(ingest, cut_gzip, &calls, &err);
    CHECK(code == PQDB_CORRUPT, "code %d: %s", (int)code, err.message);
    pqdb_ingest_close(ingest);
    check_alive("a cut stream");
}

// ---- wrong calls --------------------------------------------------------------------------------

static void wrong_names_and_definitions_are_told(void) {
    CHECK(pqdb_create(db, "Itme", "{}", 2, NULL, NULL, &err) == PQDB_NOT_FOUND &&
              strstr(err.message, "Item") != NULL, "%s", err.message);
    CHECK(pqdb_create(db, "Sum", "{}", 2, NULL, NULL, &err) == PQDB_INVALID &&
              strstr(err.message, "Item") != NULL, "%s", err.message);
    CHECK(pqdb_create(db, "Strict", "{\"m\":1}", 7, NULL, NULL, &err) == PQDB_INVALID &&
              strstr(err.subject, "m") != NULL, "%s: %s", err.subject, err.message);
    uint64_t count;
    CHECK(pqdb_count(db, "Item", "{ n: { $gtt: 1 } }", &count, &err) == PQDB_INVALID &&
              strstr(err.message, "$gt") != NULL, "%s", err.message);
    CHECK(pqdb_count(db, "Item", "{ n: ", &count, &err) == PQDB_INVALID, "%s", err.message);
    CHECK(pqdb_view_verify(db, "Item", NULL, NULL, NULL, &err) == PQDB_INVALID, "%s", err.message);
    CHECK(pqdb_view_refresh(db, "Smu", false, NULL, &err) == PQDB_NOT_FOUND &&
              strstr(err.message, "Sum") != NULL, "%s", err.message);
    char *json;
    size_t length;
    CHECK(pqdb_get(db, "Item", "none", &json, &length, &err) == PQDB_NOT_FOUND, "%s", err.message);
    const pqdb_write_options token = {.token = "once"};
    pqdb_written written = {0};
    CHECK(pqdb_create(db, "Item", "{\"n\":7}", 7, &token, NULL, &err) == PQDB_OK, "%s",
          err.message);
    good++;
    CHECK(pqdb_create(db, "Item", "{\"n\":7}", 7, &token, &written, &err) == PQDB_OK &&
              written.repeated && written.accepted == 0, "%s", err.message);
    CHECK(pqdb_create(db, "Item", "{\"n\":8}", 7, &token, NULL, &err) == PQDB_CONFLICT &&
              strstr(err.message, "once") != NULL, "%s", err.message);
    check_alive("wrong calls");
}

// ---- places -----------------------------------------------------------------------------------

static void a_second_writer_hears_who_is_there(void) {
    char pid[16];
    pqdb_db *second;
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    CHECK(pqdb_open(place.path, NULL, &second, &err) == PQDB_CONFLICT, "%s", err.message);
    CHECK(strstr(err.message, pid) != NULL, "%s: no pid", err.message);
    fflush(stderr);
    const pid_t child = fork();
    if (child == 0) {
        const pqdb_code code = pqdb_open(place.path, NULL, &second, &err);
        _exit(code == PQDB_CONFLICT && strstr(err.message, pid) != NULL ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(status == 0, "another process was not refused with the pid");
    check_alive("a second writer");
    const pqdb_options read_only = {.read_only = true};
    CHECK(pqdb_open(place.path, &read_only, &second, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_create(second, "Item", "{\"n\":1}", 7, NULL, NULL, &err) == PQDB_INVALID &&
              strstr(err.message, "reading only") != NULL, "%s", err.message);
    pqdb_close(second, NULL);
    check_alive("a reader");
}

static void what_is_no_database_is_not_opened(void) {
    const struct temp_directory empty = temp_directory_make();
    char file[300];
    pqdb_db *other;
    CHECK(pqdb_open(empty.path, NULL, &other, &err) == PQDB_NOT_FOUND &&
              strstr(err.message, "init") != NULL && strcmp(err.subject, "") != 0, "%s: %s",
          err.subject, err.message);
    CHECK(pqdb_open("/nowhere/at/all", NULL, &other, &err) == PQDB_NOT_FOUND, "%s", err.message);
    snprintf(file, sizeof file, "%s/file", empty.path);
    fclose(fopen(file, "w"));
    const pqdb_code code = pqdb_open(file, NULL, &other, &err);
    CHECK(code == PQDB_NOT_FOUND || code == PQDB_IO, "code %d: %s", (int)code, err.message);
    CHECK(pqdb_init(place.path, schema, strlen(schema), NULL, NULL, &err) == PQDB_CONFLICT, "%s",
          err.message);
    CHECK(pqdb_init(empty.path, "{ A: { b: 'strin' } }", 21, NULL, NULL, &err) == PQDB_INVALID,
          "%s", err.message);
    CHECK(pqdb_open(empty.path, NULL, &other, &err) == PQDB_NOT_FOUND, "a wrong schema stays");
    temp_directory_remove(&empty);
}

/// In a process that may not write there (root may write anywhere).
static void a_read_only_directory_is_told(void) {
    const struct temp_directory closed = temp_directory_make();
    char path[300];
    snprintf(path, sizeof path, "%s/db", closed.path);
    CHECK(pqdb_init(path, schema, strlen(schema), NULL, NULL, &err) == PQDB_OK, "%s", err.message);
    chmod(path, 0555);
    chmod(closed.path, 0555);
    fflush(stderr);
    const pid_t child = fork();
    if (child == 0) {
        pqdb_db *other;
        char below[320];
        snprintf(below, sizeof below, "%s/new", closed.path);
        if (geteuid() == 0 && setuid(65534) != 0) _exit(0);
        const pqdb_code opened = pqdb_open(path, NULL, &other, &err);
        CHECK(opened == PQDB_IO && err.subject[0] != '\0', "open: code %d: %s: %s", (int)opened,
              err.subject, err.message);
        const pqdb_code made = pqdb_init(below, schema, strlen(schema), NULL, NULL, &err);
        CHECK(made == PQDB_IO && err.subject[0] != '\0', "init: code %d: %s: %s", (int)made,
              err.subject, err.message);
        _exit(test_failures_ == 0 ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(status == 0, "a read-only directory");
    chmod(closed.path, 0755);
    chmod(path, 0755);
    temp_directory_remove(&closed);
}

/// On a file system of a few megabytes, where that can be made (tests/fault has the rest).
static void a_full_disk_loses_nothing(void) {
    const struct temp_directory small = temp_directory_make();
    if (mount("none", small.path, "tmpfs", 0, "size=80m") != 0) {
        fprintf(stderr, "    no file system of its own can be mounted here\n");
        temp_directory_remove(&small);
        return;
    }
    pqdb_db *other;
    char row[2100], fill[300];
    CHECK(pqdb_init(small.path, schema, strlen(schema), NULL, NULL, &err) == PQDB_OK &&
              pqdb_open(small.path, NULL, &other, &err) == PQDB_OK, "%s", err.message);
    snprintf(fill, sizeof fill, "%s/fill", small.path);
    FILE *filler = fopen(fill, "w");
    while (fwrite(row, sizeof row, 1, filler) == 1) continue;
    fclose(filler);
    uint64_t taken = 0, count = 0;
    pqdb_code code = PQDB_OK;
    for (int i = 0; code == PQDB_OK && i < 100000; i++) {
        const int length = snprintf(row, sizeof row, "{\"n\":1,\"x\":\"%02000d\"}", i);
        code = pqdb_create(other, "Item", row, (size_t)length, NULL, NULL, &err);
        taken += code == PQDB_OK;
    }
    if (code == PQDB_OK) code = pqdb_checkpoint(other, &err);
    CHECK(code == PQDB_IO && err.subject[0] != '\0', "code %d: %s: %s", (int)code, err.subject,
          err.message);
    CHECK(pqdb_count(other, "Item", NULL, &count, &err) == PQDB_OK && count == taken,
          "%" PRIu64 " of %" PRIu64 " rows", count, taken);
    pqdb_close(other, NULL);
    unlink(fill);
    CHECK(pqdb_open(small.path, NULL, &other, &err) == PQDB_OK, "%s: %s", err.subject, err.message);
    CHECK(pqdb_count(other, "Item", NULL, &count, &err) == PQDB_OK && count == taken,
          "%" PRIu64 " of %" PRIu64 " rows", count, taken);
    CHECK(pqdb_create(other, "Item", "{\"n\":1}", 7, NULL, NULL, &err) == PQDB_OK, "%s",
          err.message);
    pqdb_close(other, NULL);
    umount(small.path);
    temp_directory_remove(&small);
}

/// The newest root with another format number and a check that fits.
static void a_newer_format_is_not_touched(void) {
    CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
    char command[700];
    snprintf(command, sizeof command, "ls %s/_state/*.root | tail -n 1", place.path);
    char path[400] = "";
    FILE *list = popen(command, "r");
    CHECK(fgets(path, sizeof path, list) != NULL, "no root");
    pclose(list);
    path[strcspn(path, "\n")] = '\0';
    static unsigned char bytes[1 << 20], newer[1 << 20];
    FILE *file = fopen(path, "r+");
    const size_t length = fread(bytes, 1, sizeof bytes, file);
    memcpy(newer, bytes, length);
    newer[8]++;
    pq_store_u64(newer + length - 8, pq_hash(newer, length - 8));
    rewind(file);
    fwrite(newer, 1, length, file);
    fclose(file);
    const pqdb_code code = pqdb_open(place.path, NULL, &db, &err);
    CHECK(code == PQDB_UNSUPPORTED && strstr(err.subject, ".root") != NULL, "code %d: %s: %s",
          (int)code, err.subject, err.message);
    file = fopen(path, "r+");
    fwrite(bytes, 1, length, file);
    fclose(file);
    open_it();
    check_alive("a newer format");
}

int main(void) {
    place = temp_directory_make();
    CHECK(pqdb_init(place.path, schema, strlen(schema), NULL, NULL, &err) == PQDB_OK, "%s",
          err.message);
    open_it();
    RUN(rows_that_are_wrong_name_line_and_field);
    RUN(a_line_10000_deep_is_refused);
    RUN(a_stream_sets_aside_what_is_wrong);
    RUN(a_line_that_is_cut_off_is_refused);
    RUN(a_cut_gzip_stream_is_damage);
    RUN(wrong_names_and_definitions_are_told);
    RUN(a_second_writer_hears_who_is_there);
    RUN(what_is_no_database_is_not_opened);
    RUN(a_read_only_directory_is_told);
    RUN(a_full_disk_loses_nothing);
    RUN(a_newer_format_is_not_touched);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
    temp_directory_remove(&place);
    return test_done();
}
