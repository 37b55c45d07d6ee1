/// Whole Parquet files: scans of some columns, and writing what was read. Prints JSON lines for
/// parquet_peers.py, which runs pyarrow and DuckDB beside it.
///
///     parquet_files scan FILE THREADS [COLUMN…]       all columns when none is named
///     parquet_files write FILE OUT compatible|compact
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/block_cache.h"
#include "codec/codec.h"
#include "measure.h"
#include "parquet/reader.h"
#include "parquet/writer.h"

enum { columns_max = 64, threads_max = 16, runs = 5, holds_max = 100000 };

/// The best of the runs.
struct best {
    double seconds, cpu_seconds;
};
static const struct best nothing_yet = {1e9, 1e9};

static void keep_best(struct best *best, double began, double began_cpu) {
    const double took = seconds() - began, took_cpu = cpu_seconds() - began_cpu;
    if (took < best->seconds) best->seconds = took;
    if (took_cpu < best->cpu_seconds) best->cpu_seconds = took_cpu;
}

static pqdb_code read_at(void *ctx, uint64_t offset, void *out, size_t length, pqdb_error *err) {
    (void)err;
    const int file = *(const int *)ctx;
    return pread(file, out, length, (off_t)offset) == (ssize_t)length ? PQDB_OK : PQDB_IO;
}

static int descriptor;
static struct pq_block_cache cache;
static const struct pq_alloc *const alloc = &cache.alloc;

static struct pq_parquet_file *open_file(const char *path) {
    struct stat facts;
    pqdb_error err = {0};
    struct pq_parquet_file *file;
    descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0 || fstat(descriptor, &facts) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    const struct pq_parquet_source source = {read_at, &descriptor};
    must(pq_parquet_open(&source, (uint64_t)facts.st_size, NULL, alloc, &file, &err),
         &err);
    return file;
}

struct scan {
    const struct pq_parquet_file *file;
    uint32_t fields[columns_max];
    size_t field_count;
    atomic_size_t next;  // row group * columns + column
    _Atomic uint64_t sum;
};

/// Touch every value once, as a query would.
static uint64_t touch(const struct pq_column *column) {
    uint64_t sum = 0;
    if (column->layout == PQ_DICTIONARY) {
        const uint32_t *codes = column->values;
        for (size_t i = 0; i < column->count; i++) sum += codes[i];
    } else if (column->layout == PQ_BYTES) {
        sum = column->offsets[column->count];
    } else if (pq_kind_width(column->type->kind) == 8) {
        const uint64_t *values = column->values;
        for (size_t i = 0; i < column->count; i++) sum += values[i];
    } else if (column->layout == PQ_FIXED) {
        const uint8_t *values = column->values;
        const size_t bytes = column->count * pq_kind_width(column->type->kind);
        for (size_t i = 0; i + 8 <= bytes; i += 8) {
            uint64_t word;
            memcpy(&word, values + i, 8);
            sum += word;
        }
    }
    return sum;
}

static void *scan_some(void *ctx) {
    struct scan *scan = ctx;
    pqdb_error err = {0};
    struct pq_hold *hold;
    must(pq_hold_create(alloc, &hold, &err), &err);
    const size_t all = pq_parquet_group_count(scan->file) * scan->field_count;
    uint64_t sum = 0;
    for (size_t i; (i = atomic_fetch_add(&scan->next, 1)) < all;) {
        const struct pq_parquet_request request = {.fields = &scan->fields[i % scan->field_count],
                                                   .field_count = 1,
                                                   .group = i / scan->field_count,
                                                   .row_count = UINT64_MAX,
                                                   .hold = hold};
        struct pq_batch batch;
        must(pq_parquet_read(scan->file, &request, &hold->arena, &batch, &err), &err);
        sum += touch(&batch.columns[0]);
        if (pq_hold_is_alone(hold)) pq_hold_reset(hold);
    }
    pq_hold_unref(hold);
    atomic_fetch_add(&scan->sum, sum);
    return NULL;
}

static void scan_once(struct scan *scan, size_t threads, struct best *best) {
    pthread_t workers[threads_max];
    const double began = seconds(), began_cpu = cpu_seconds();
    atomic_store(&scan->next, 0);
    for (size_t i = 1; i < threads; i++) pthread_create(&workers[i], NULL, scan_some, scan);
    scan_some(scan);
    for (size_t i = 1; i < threads; i++) pthread_join(workers[i], NULL);
    keep_best(best, began, began_cpu);
}

static int run_scan(int argc, char **argv) {
    static struct scan scan;
    scan.file = open_file(argv[2]);
    const size_t threads = strtoul(argv[3], NULL, 10);
    const struct pq_type *type = pq_parquet_type(scan.file);
    for (int i = 4; i < argc && scan.field_count < columns_max; i++) {
        const int field = pq_type_find(type, pq_text_of(argv[i]));
        if (field < 0) return fprintf(stderr, "no column %s\n", argv[i]), 2;
        scan.fields[scan.field_count++] = (uint32_t)field;
    }
    for (uint32_t k = 0; argc == 4 && k < type->field_count; k++) {
        scan.fields[scan.field_count++] = k;
    }
    struct best cold = nothing_yet, best = nothing_yet;
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    scan_once(&scan, threads, &cold);
    for (int i = 0; i < runs; i++) scan_once(&scan, threads, &best);
    printf("{\"phase\":\"scan\",\"by\":\"parquedb\",\"seconds\":%.4f,\"cpu_seconds\":%.4f,"
           "\"cold_seconds\":%.4f,\"rows\":%" PRIu64 ",\"columns\":%zu,\"peak_mib\":%.0f,"
           "\"sum\":%" PRIu64 "}\n",
           best.seconds, best.cpu_seconds, cold.seconds, pq_parquet_row_count(scan.file),
           scan.field_count, peak_mib(), (uint64_t)scan.sum);
    return 0;
}

static pqdb_code append(void *ctx, const void *data, size_t length, pqdb_error *err) {
    (void)err;
    const int file = *(const int *)ctx;
    return write(file, data, length) == (ssize_t)length ? PQDB_OK : PQDB_IO;
}

static void write_once(const struct pq_parquet_writer_options *options,
                       const struct pq_batch *batches, size_t count, const char *path,
                       struct best *best) {
    pqdb_error err = {0};
    struct pq_parquet_writer *writer;
    struct pq_parquet_file_info info;
    int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    const double began = seconds(), began_cpu = cpu_seconds();
    must(pq_parquet_writer_create(options, (struct pq_parquet_sink){append, &out}, alloc,
                                  &writer, &err),
         &err);
    for (size_t i = 0; i < count; i++) {
        must(pq_parquet_writer_append(writer, &batches[i], &err), &err);
    }
    must(pq_parquet_writer_finish(writer, &info, &err), &err);
    pq_parquet_writer_destroy(writer);
    close(out);
    keep_best(best, began, began_cpu);
}

static int run_write(char **argv) {
    const struct pq_parquet_file *file = open_file(argv[2]);
    const struct pq_type *type = pq_parquet_type(file);
    uint32_t fields[columns_max];
    for (uint32_t k = 0; k < type->field_count; k++) fields[k] = k;
    const size_t groups = pq_parquet_group_count(file);
    struct pq_batch *batches = calloc(groups, sizeof *batches);
    pqdb_error err = {0};
    for (size_t g = 0; g < groups; g++) {
        struct pq_hold *hold;  // as long as the process
        must(pq_hold_create(alloc, &hold, &err), &err);
        const struct pq_parquet_request request = {.fields = fields,
                                                   .field_count = type->field_count,
                                                   .group = g,
                                                   .row_count = UINT64_MAX,
                                                   .hold = hold};
        must(pq_parquet_read(file, &request, &hold->arena, &batches[g], &err), &err);
    }
    const struct pq_parquet_writer_options options = {
        .type = type, .codec = &pq_codec_zstd, .level = 1,
        .profile = strcmp(argv[4], "compact") == 0 ? PQ_PROFILE_COMPACT : PQ_PROFILE_COMPATIBLE};
    struct best best = nothing_yet;
    for (int i = 0; i < 3; i++) write_once(&options, batches, groups, argv[3], &best);
    struct stat facts;
    stat(argv[3], &facts);
    printf("{\"phase\":\"write\",\"by\":\"parquedb %s\",\"seconds\":%.4f,\"cpu_seconds\":%.4f,"
           "\"rows\":%" PRIu64 ",\"bytes\":%lld}\n",
           argv[4], best.seconds, best.cpu_seconds, pq_parquet_row_count(file),
           (long long)facts.st_size);
    return 0;
}

int main(int argc, char **argv) {
    pq_block_cache_init(&cache, &pq_alloc_libc);
    if (argc >= 4 && strcmp(argv[1], "scan") == 0) return run_scan(argc, argv);
    if (argc == 5 && strcmp(argv[1], "write") == 0) return run_write(argv);
    fprintf(stderr, "usage: parquet_files scan FILE THREADS [COLUMN…] | write FILE OUT PROFILE\n");
    return 2;
}
