/// Paths inside variants: the same questions to tail events with and without `$shred`, beside what
/// bench/shred_peers.py asks DuckDB of the files of the latter.
///
///     shred_bench make EVENTS DIR [shredded]   a database of so many events, checkpointed
///     shred_bench ask DIR [RUNS]               one JSON line a question: the best of the runs (5),
///                                              bytes of pages read and of all that there are
#include <inttypes.h>
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>

#include "measure.h"
#include "tail_events.h"

enum { batch_events = 10000 };

#define VIEWS                                                                                   \
    "  ByPlace: { $from: 'TailEvents', $refresh: { mode: 'manual' },\n"                         \
    "    $groupBy: [{ country: '$event.request.cf.country' },\n"                                \
    "               { status: '$event.response.status' }], $compute: { n: { $count: '*' } } }"

static const char plain[] = "{ TailEvents: { $ingest: 'tail' },\n" VIEWS " }";
static const char shredded[] =
    "{ TailEvents: { $ingest: 'tail', $shred: ['event.request.url', 'event.request.cf.country',\n"
    "  'event.response.status', 'event.request.headers.cf-ray'] },\n" VIEWS " }";

static pqdb_error err;
static pqdb_db *db;

static void make(uint64_t count, const char *directory, const char *schema) {
    char *text = must_have(malloc((size_t)batch_events * TAIL_EVENT_BYTES_MAX));
    struct tail_events events;
    pqdb_ingest *ingest;
    pqdb_written written;
    tail_events_init(&events, 7);
    db = make_database(directory, schema, NULL);
    must(pqdb_ingest_open(db, "tail", NULL, &ingest, &err), &err);
    for (uint64_t done = 0; done < count;) {
        size_t length = 0;
        for (int i = 0; i < batch_events && done < count; i++, done++) {
            length += tail_events_next(&events, text + length);
        }
        must(pqdb_ingest_feed(ingest, text, length, &err), &err);
    }
    must(pqdb_ingest_finish(ingest, &written, &err), &err);
    pqdb_ingest_close(ingest);
    must(pqdb_checkpoint(db, &err), &err);
    must(pqdb_close(db, &err), &err);
    free(text);
}

/// A count where nothing is selected, else the rows as JSON.
struct question {
    const char *name, *filter, *select;
};
static const struct question questions[] = {
    {"count, a url", "{ 'event.request.url': 'https://shop1.example/api/cart?id=77' }", NULL},
    {"count, a country", "{ 'event.request.cf.country': 'JP' }", NULL},
    {"count, errors", "{ 'event.response.status': { $gte: 400 } }", NULL},
    {"count, a country that is not there", "{ 'event.request.cf.country': 'XX' }", NULL},
    {"count, an undeclared path", "{ 'event.request.headers.cf-ray': { $startsWith: '00ff' } }",
     NULL},
    {"2 paths of errors in a country",
     "{ 'event.response.status': 404, 'event.request.cf.country': 'ZA' }",
     "event.request.url,event.request.cf.country"},
};
enum { question_count = sizeof questions / sizeof *questions };

static pqdb_find_options options_of(const struct question *q) {
    return (pqdb_find_options){.filter = q->filter, .sort = "none",
                               .select = q->select == NULL ? "$id" : q->select};
}

static uint64_t ask(const struct question *q) {
    uint64_t rows = 0;
    if (q->select == NULL) {
        must(pqdb_count(db, "TailEvents", q->filter, &rows, &err), &err);
        return rows;
    }
    const pqdb_find_options options = options_of(q);
    return print_answer(db, "TailEvents", &options);
}

/// "bytes":{"all":50100,"read":9600}
static void print_bytes(const struct question *q) {
    const pqdb_find_options options = options_of(q);
    char *json;
    size_t length;
    must(pqdb_explain(db, "TailEvents", &options, &json, &length, &err), &err);
    const char *bytes = strstr(json, "\"bytes\":{"), *end = NULL;
    if (bytes != NULL) end = strchr(bytes, '}');
    if (end != NULL) printf(",%.*s", (int)(end + 1 - bytes), bytes);
    pqdb_free(json);
}

static void measure(const struct question *q, int runs) {
    double best = 1e9, best_cpu = 1e9;
    uint64_t rows = 0;
    for (int run = 0; run < runs; run++) {
        const double began = seconds(), began_cpu = cpu_seconds();
        rows = ask(q);
        const double took = seconds() - began, took_cpu = cpu_seconds() - began_cpu;
        if (took < best) best = took;
        if (took_cpu < best_cpu) best_cpu = took_cpu;
    }
    printf("{\"question\":\"%s\",\"rows\":%" PRIu64 ",\"ms\":%.3f,\"cpu_ms\":%.3f", q->name, rows,
           best * 1e3, best_cpu * 1e3);
    print_bytes(q);
    printf("}\n");
}

static void measure_view(void) {
    uint64_t rows = 0;
    const double began = seconds(), began_cpu = cpu_seconds();
    must(pqdb_view_refresh(db, "ByPlace", true, NULL, &err), &err);
    const double took = seconds() - began, took_cpu = cpu_seconds() - began_cpu;
    must(pqdb_count(db, "ByPlace", NULL, &rows, &err), &err);
    printf("{\"question\":\"a view by country and status, in full\",\"rows\":%" PRIu64
           ",\"ms\":%.3f,\"cpu_ms\":%.3f}\n", rows, took * 1e3, took_cpu * 1e3);
}

int main(int argc, char **argv) {
    if (argc >= 4 && strcmp(argv[1], "make") == 0) {
        make(strtoull(argv[2], NULL, 10), argv[3], argc > 4 ? shredded : plain);
    } else if (argc >= 3 && strcmp(argv[1], "ask") == 0) {
        const int runs = argc > 3 ? (int)strtoul(argv[3], NULL, 10) : 5;
        must(pqdb_open(argv[2], NULL, &db, &err), &err);
        for (size_t i = 0; i < question_count; i++) measure(&questions[i], runs < 1 ? 1 : runs);
        measure_view();
        must(pqdb_close(db, &err), &err);
    } else {
        fprintf(stderr, "usage: shred_bench make EVENTS DIR [shredded] | ask DIR [RUNS]\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
