/// bench/measure.h: clocks, memory, latencies, and errors that end the program.
#ifndef PQ_BENCH_MEASURE_H
#define PQ_BENCH_MEASURE_H

#include <parquedb/db.h>
#include <parquedb/query.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

static inline double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/// User and system time of all threads.
static inline double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6 +
           (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
}

/// The most that was resident, of this program alone: getrusage also counts what forked it.
static inline double peak_mib(void) {
    char line[256];
    double kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) kib = strtod(line + 6, NULL);
    }
    if (status != NULL) fclose(status);
    return kib / 1024;
}

/// From now on peak_mib() is of what comes.
static inline void forget_peak(void) {
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (file == NULL) return;
    fputs("5", file);
    fclose(file);
}

static inline void must(pqdb_code code, const pqdb_error *err) {
    if (code == PQDB_OK) return;
    fprintf(stderr, "bench: %s: %s\n", err->subject, err->message);
    exit(EXIT_FAILURE);
}

static inline void *must_have(void *memory) {
    if (memory != NULL) return memory;
    fprintf(stderr, "bench: out of memory\n");
    exit(EXIT_FAILURE);
}

/// A new database, open.
static inline pqdb_db *make_database(const char *directory, const char *schema,
                                     const pqdb_options *options) {
    pqdb_error err;
    pqdb_db *db;
    must(pqdb_init(directory, schema, strlen(schema), NULL, NULL, &err), &err);
    must(pqdb_open(directory, options, &db, &err), &err);
    return db;
}

/// Every row of an answer as JSON, which goes nowhere; how many there are.
static inline uint64_t print_answer(pqdb_db *db, const char *name,
                                    const pqdb_find_options *options) {
    pqdb_error err;
    pqdb_rows *answer;
    uint64_t rows = 0;
    must(pqdb_find(db, name, options, &answer, &err), &err);
    for (bool has_row = true; has_row; rows += has_row) {
        size_t length;
        must(pqdb_rows_next(answer, &has_row, &err), &err);
        if (has_row) pqdb_rows_json(answer, &length);
    }
    pqdb_rows_close(answer);
    return rows;
}

static inline int by_size(const void *left, const void *right) {
    const double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

/// Sorts `took`; the `per_mille`-th of them.
static inline double quantile(double *took, size_t count, size_t per_mille) {
    qsort(took, count, sizeof *took, by_size);
    return took[count * per_mille / 1000 < count ? count * per_mille / 1000 : count - 1];
}

#endif
