/// bench/tail_bench.c: the main job measured through the public interface. One phase a run, one
/// JSON line on stdout: so each phase has its own peak of memory.
///
///     tail_bench bulk FILE DIRECTORY      NDJSON file -> collection and three views on Parquet
///     tail_bench live EVENTS DIRECTORY    commits of 1000 events, four streaming views
///     tail_bench single COMMITS DIRECTORY   commits of one event, four streaming views
///     tail_bench busy COMMITS DIRECTORY   the same while checkpoints are written
///     tail_bench open DIRECTORY           what `bulk` left: open, find by id, empty refresh
#include <parquedb/query.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <pthread.h>
#include <stdatomic.h>

#include "measure.h"
#include "tail_events.h"

enum { live_rows = 1000, checkpoint_pause_ms = 50 };

#define VIEWS                                                                                     \
    "TailEvents: { $ingest: 'tail' },"                                                            \
    "WorkerLogs: { $from: 'TailEvents', $unnest: 'logs', $select: { scriptName: '$scriptName',"   \
    "  level: '$logs.level', message: '$logs.message', timestamp: '$logs.timestamp',"             \
    "  colo: '$event.request.cf.colo' } },"                                                       \
    "WorkerErrors: { $from: 'TailEvents', $filter: { $or: [ { outcome: { $ne: 'ok' } },"          \
    "  { 'exceptions.0': { $exists: true } } ] }, $select: { scriptName: '$scriptName',"          \
    "  outcome: '$outcome', exceptionName: '$exceptions.0.name',"                                 \
    "  exceptionMessage: '$exceptions.0.message', url: '$event.request.url',"                     \
    "  status: '$event.response.status', colo: '$event.request.cf.colo',"                         \
    "  timestamp: '$eventTimestamp' } },"                                                         \
    "WorkerRequests: { $from: 'TailEvents', $filter: { event: { $exists: true } }, $select: {"    \
    "  scriptName: '$scriptName', method: '$event.request.method', url: '$event.request.url',"    \
    "  status: '$event.response.status', outcome: '$outcome', colo: '$event.request.cf.colo',"    \
    "  country: '$event.request.cf.country', timestamp: '$eventTimestamp' } },"

static const char bulk_schema[] = "{" VIEWS "}";
static const char live_schema[] =
    "{" VIEWS
    "EndpointMetrics: { $from: 'WorkerRequests',"
    "  $groupBy: ['scriptName', 'method', { hour: '$timestamp' }], $compute: {"
    "  requestCount: { $count: '*' }, avgStatus: { $avg: 'status' },"
    "  errorRate: { $avg: { $cond: [{ $ne: ['$outcome', 'ok'] }, 1, 0] } } } } }";

// ---- bulk -------------------------------------------------------------------------------------

static pqdb_code read_file(void *ctx, void *out, size_t capacity, size_t *length,
                           pqdb_error *err) {
    (void)err;
    *length = fread(out, 1, capacity, ctx);
    return PQDB_OK;
}

static void bulk(const char *path, const char *directory) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) exit(EXIT_FAILURE);
    pqdb_error err;
    pqdb_db *db = make_database(directory, bulk_schema, NULL);
    const double began = seconds(), cpu = cpu_seconds();
    pqdb_ingest *ingest;
    pqdb_written written;
    must(pqdb_ingest_open(db, "tail", NULL, &ingest, &err), &err);
    must(pqdb_ingest_from(ingest, read_file, file, &err), &err);
    must(pqdb_ingest_finish(ingest, &written, &err), &err);
    const double durable = seconds() - began;
    pqdb_ingest_close(ingest);
    must(pqdb_checkpoint(db, &err), &err);
    const double took = seconds() - began, used = cpu_seconds() - cpu;
    must(pqdb_close(db, &err), &err);
    printf("{\"phase\":\"bulk\",\"events\":%llu,\"seconds\":%.3f,\"durable_seconds\":%.3f,"
           "\"cpu_seconds\":%.3f,\"peak_mib\":%.0f}\n",
           (unsigned long long)written.accepted, took, durable, used, peak_mib());
    fclose(file);
}

// ---- live and single --------------------------------------------------------------------------

/// Texts made beforehand, so that only the database is measured.
static char **make_texts(size_t count, size_t rows) {
    char **texts = calloc(count, sizeof *texts);
    char *line = malloc(TAIL_EVENT_BYTES_MAX);
    struct tail_events events;
    tail_events_init(&events, 7);
    for (size_t i = 0; texts != NULL && i < count; i++) {
        size_t used = 0, capacity = rows * 1400 + TAIL_EVENT_BYTES_MAX;
        texts[i] = malloc(capacity);
        if (texts[i] == NULL || line == NULL) exit(EXIT_FAILURE);
        for (size_t row = 0; row < rows; row++) {
            const size_t length = tail_events_next(&events, line);
            if (used + length + 1 > capacity) {
                capacity *= 2;
                texts[i] = realloc(texts[i], capacity);
                if (texts[i] == NULL) exit(EXIT_FAILURE);
            }
            memcpy(texts[i] + used, line, length);
            used += length;
        }
        texts[i][used] = '\0';
    }
    free(line);
    return texts;
}

static void commit_all(pqdb_db *db, char **texts, size_t count, double *took_us) {
    pqdb_error err;
    for (size_t i = 0; i < count; i++) {
        const double began = seconds();
        must(pqdb_create(db, "TailEvents", texts[i], strlen(texts[i]), NULL, NULL, &err), &err);
        took_us[i] = (seconds() - began) * 1e6;
    }
}

struct spent {
    double seconds, cpu_seconds;
};

static void print_latencies(const char *phase, double *took_us, size_t count, struct spent spent,
                            size_t rows) {
    const double p50 = quantile(took_us, count, 500), p99 = quantile(took_us, count, 990);
    printf("{\"phase\":\"%s\",\"commits\":%zu,\"events\":%zu,\"seconds\":%.3f,"
           "\"cpu_seconds\":%.3f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
           "\"max_us\":%.1f,\"peak_mib\":%.0f}\n",
           phase, count, count * rows, spent.seconds, spent.cpu_seconds, p50, p99,
           quantile(took_us, count, 999), took_us[count - 1], peak_mib());
}

struct disturber {
    pqdb_db *db;
    atomic_bool stops;
    atomic_int checkpoints;
};

static void *disturb(void *ctx) {
    struct disturber *disturber = ctx;
    pqdb_error err;
    const struct timespec pause = {.tv_nsec = checkpoint_pause_ms * 1000000L};
    while (!atomic_load(&disturber->stops)) {
        must(pqdb_checkpoint(disturber->db, &err), &err);
        atomic_fetch_add(&disturber->checkpoints, 1);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void commits(const char *phase, size_t count, size_t rows, const char *directory) {
    char **texts = make_texts(count, rows);
    double *took_us = calloc(count, sizeof *took_us);
    if (texts == NULL || took_us == NULL) exit(EXIT_FAILURE);
    pqdb_error err;
    pqdb_db *db = make_database(directory, live_schema, NULL);
    struct disturber disturber = {.db = db};
    pthread_t thread;
    const bool busy = strcmp(phase, "busy") == 0;
    if (busy && pthread_create(&thread, NULL, disturb, &disturber) != 0) exit(EXIT_FAILURE);
    const double began = seconds(), cpu = cpu_seconds();
    commit_all(db, texts, count, took_us);
    const struct spent spent = {seconds() - began, cpu_seconds() - cpu};
    if (busy) {
        atomic_store(&disturber.stops, true);
        pthread_join(thread, NULL);
        fprintf(stderr, "tail_bench: %d checkpoints meanwhile\n", disturber.checkpoints);
    }
    print_latencies(phase, took_us, count, spent, rows);
    must(pqdb_close(db, &err), &err);
    for (size_t i = 0; i < count; i++) free(texts[i]);
    free(texts);
    free(took_us);
}

// ---- open -------------------------------------------------------------------------------------

enum { looks = 200 };

static void open_and_ask(const char *directory) {
    pqdb_error err;
    pqdb_db *db;
    double began = seconds();
    must(pqdb_open(directory, NULL, &db, &err), &err);
    const double opened = seconds() - began;
    const pqdb_find_options some = {.sort = "none", .select = "$id", .limit = looks,
                                    .filter = "{ outcome: 'exception' }"};
    pqdb_rows *rows;
    static char ids[looks][64];
    size_t count = 0;
    bool has_row;
    must(pqdb_find(db, "TailEvents", &some, &rows, &err), &err);
    while (must(pqdb_rows_next(rows, &has_row, &err), &err), has_row) {
        size_t length;
        bool is_null;
        snprintf(ids[count++], sizeof ids[0], "%s", pqdb_rows_cell(rows, 0, &length, &is_null));
    }
    pqdb_rows_close(rows);
    double found[looks], refreshed[looks];
    for (size_t i = 0; i < looks; i++) {
        char *json;
        began = seconds();
        must(pqdb_get(db, "TailEvents", ids[i % count], &json, NULL, &err), &err);
        found[i] = seconds() - began;
        pqdb_free(json);
        began = seconds();
        must(pqdb_view_refresh(db, "WorkerLogs", false, NULL, &err), &err);
        refreshed[i] = seconds() - began;
    }
    must(pqdb_close(db, &err), &err);
    const double first = found[0] * 1e6;  // before they are sorted
    printf("{\"phase\":\"open\",\"open_ms\":%.2f,\"find_first_us\":%.1f,\"find_p50_us\":%.1f,"
           "\"empty_refresh_us\":%.2f}\n",
           opened * 1e3, first, quantile(found, looks, 500) * 1e6,
           quantile(refreshed, looks, 500) * 1e6);
}

int main(int argc, char **argv) {
    const char *phase = argc > 2 ? argv[1] : "";
    if (strcmp(phase, "open") == 0) {
        open_and_ask(argv[2]);
    } else if (argc > 3 && strcmp(phase, "bulk") == 0) {
        bulk(argv[2], argv[3]);
    } else if (argc > 3 && strcmp(phase, "live") == 0) {
        commits(phase, strtoull(argv[2], NULL, 10) / live_rows, live_rows, argv[3]);
    } else if (argc > 3 && (strcmp(phase, "single") == 0 || strcmp(phase, "busy") == 0)) {
        commits(phase, strtoull(argv[2], NULL, 10), 1, argv[3]);
    } else {
        fprintf(stderr, "usage: tail_bench bulk FILE DIR | live EVENTS DIR | single COMMITS DIR | "
                        "busy COMMITS DIR | open DIR\n");
        return 2;
    }
    return EXIT_SUCCESS;
}
