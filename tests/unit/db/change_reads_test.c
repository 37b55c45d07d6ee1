/// Goal: rows to change are found like those of a question: what bounds, indexes and shredded
/// paths leave out is not read.
#include <parquedb/query.h>
#include <parquedb/write.h>

#include "support/db_calls.h"

static pqdb_error err;
static struct fault_store *disk;
static pqdb_db *db;

static const char schema[] =
    "{ Hit: { name: 'string#', n: 'int', event: 'variant',\n"
    "  $paths: { 'event.url': 'string' }, $shred: ['event.url'] } }";

/// Rows [from, to) in a file: a name and an url of a hundred rows each.
static void put_file(unsigned from, unsigned to) {
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (unsigned i = from; i < to; i++) {
        MUST(pq_bytes_printf(&text, &err, "{\"$id\":\"%06u\",\"name\":\"n%03u\",\"n\":%u,"
                             "\"event\":{\"url\":\"u%04u\",\"pad\":\"%080u\"}}\n", i, i / 100, i,
                             i / 100, i));
    }
    MUST(pq_bytes_append(&text, "", 1, &err));
    db_put(db, "Hit", (const char *)text.data);
    pq_bytes_deinit(&text);
    MUST(pqdb_checkpoint(db, &err));
}

/// Calls that read, of a question or of a deletion, in a database just opened.
static long reads_of(const char *filter, bool deletes, uint64_t *rows) {
    db = db_reopen(db, db_with(disk));
    disk->counts_reads = true;
    const long before = atomic_load(&disk->calls);
    if (deletes) {
        pqdb_written written = {0};
        MUST(pqdb_delete(db, "Hit", filter, NULL, &written, &err));
        *rows = written.removed;
    } else {
        const struct pq_bytes found =
            db_rows(db, "Hit", &(pqdb_find_options){.filter = filter, .sort = "none"});
        *rows = 0;
        for (size_t i = 0; i < found.length; i++) *rows += found.data[i] == '\n';
        pq_bytes_deinit((struct pq_bytes *)&found);
    }
    const long reads = atomic_load(&disk->calls) - before;
    disk->counts_reads = false;
    return reads;
}

static void a_change_reads_what_its_question_reads(void) {
    disk = fault_store_create();
    db = db_make(db_with(disk), schema);
    for (unsigned i = 0; i < 6; i++) put_file(i * 1000, (i + 1) * 1000);
    static const struct {
        const char *filter;
        uint64_t rows;
    } cases[] = {
        {"{ n: { $gte: 9000 } }", 0},         // by the bounds of a column
        {"{ 'event.url': 'v' }", 0},          // of a path
        {"{ name: 'n100' }", 0},              // by an index
        {"{ n: 4321 }", 1},
        {"{ 'event.url': 'u0032' }", 100},
        {"{ name: 'n007' }", 100},
    };
    uint64_t found, gone;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *filter = cases[i].filter;
        const long asked = reads_of(filter, false, &found);
        const long changed = reads_of(filter, true, &gone);
        CHECK(found == cases[i].rows && gone == found, "%s: %llu found, %llu gone", filter,
              (unsigned long long)found, (unsigned long long)gone);
        // What changes is read whole.
        CHECK(found == 0 ? changed <= asked : changed <= 2 * asked,
              "%s: %ld reads, a question %ld", filter, changed, asked);
    }
    db_end(db, disk);
}

int main(void) {
    RUN(a_change_reads_what_its_question_reads);
    return test_done();
}
