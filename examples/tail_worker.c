/// examples/tail_worker.c: the whole way in one program: a database, events in, a view out.
///
///     cc tail_worker.c -lparquedb -o tail_worker && ./tail_worker DIRECTORY
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char schema[] =
    "{ TailEvents: { $ingest: 'tail' },"
    "  Outcomes: { $from: 'TailEvents', $groupBy: ['scriptName', 'outcome'],"
    "              $compute: { events: { $count: '*' }, last: { $max: 'eventTimestamp' } } } }";

static const char events[] =
    "{\"scriptName\":\"shop\",\"outcome\":\"ok\",\"eventTimestamp\":1767225600000}\n"
    "{\"scriptName\":\"shop\",\"outcome\":\"exception\",\"eventTimestamp\":1767225601000}\n"
    "{\"scriptName\":\"shop\",\"outcome\":\"ok\",\"eventTimestamp\":1767225602000}\n";

static void must(pqdb_code code, const pqdb_error *err) {
    if (code == PQDB_OK) return;
    fprintf(stderr, "%s: %s\n", err->subject, err->message);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv) {
    const char *directory = argc > 1 ? argv[1] : "tail-worker-data";
    pqdb_error err;
    pqdb_db *db;
    must(pqdb_init(directory, schema, strlen(schema), NULL, NULL, &err), &err);
    must(pqdb_open(directory, NULL, &db, &err), &err);

    pqdb_written written;
    must(pqdb_create(db, "TailEvents", events, strlen(events), NULL, &written, &err), &err);
    printf("%llu events in version %llu\n", (unsigned long long)written.accepted,
           (unsigned long long)written.version);

    pqdb_rows *rows;
    bool has_row;
    must(pqdb_find(db, "Outcomes", NULL, &rows, &err), &err);
    while (must(pqdb_rows_next(rows, &has_row, &err), &err), has_row) {
        size_t length;
        puts(pqdb_rows_json(rows, &length));
    }
    pqdb_rows_close(rows);

    pqdb_verified verified;
    must(pqdb_view_verify(db, "Outcomes", NULL, NULL, &verified, &err), &err);
    printf("%llu differences\n", (unsigned long long)verified.differences);
    must(pqdb_close(db, &err), &err);
    return verified.differences == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
