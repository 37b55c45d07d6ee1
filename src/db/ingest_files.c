/// db/ingest_files.c: streams and files into an ingest run: JSON, CSV, Parquet.
#include <parquedb/exchange.h>
#include <parquedb/parquet.h>
#include <string.h>

#include "base/fail.h"
#include "codec/inflate_stream.h"
#include "db/ingest_internal.h"
#include "ingest/csv.h"

enum { inflate_bytes = 256 << 10, tell_rows = 8192 };

/// The public callback behind the stream's.
struct reading {
    pqdb_read read;
    void *ctx;
};

static pqdb_code read_through(void *ctx, uint8_t *out, size_t capacity, size_t *length,
                              pqdb_error *err) {
    const struct reading *reading = ctx;
    return reading->read(reading->ctx, out, capacity, length, err);
}

/// Takes the stream's plain bytes.
struct taker {
    pqdb_code (*take)(void *ctx, struct pq_text bytes, pqdb_error *err);
    void *ctx;
};

static pqdb_code read_all(struct reading *reading, const struct taker *taker,
                          const struct pq_alloc *alloc, pqdb_error *err) {
    struct pq_inflate_stream *stream = NULL;
    pqdb_code code;
    uint8_t *room = pq_resize(alloc, NULL, 0, inflate_bytes, 1);
    if (room == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an ingest run");
    PQ_GO(pq_inflate_stream_open(read_through, reading, alloc, &stream, err));
    for (;;) {
        size_t length;
        PQ_GO(pq_inflate_stream_read(stream, room, inflate_bytes, &length, err));
        if (length == 0) break;
        PQ_GO(taker->take(taker->ctx, (struct pq_text){(const char *)room, length}, err));
    }
done:
    pq_inflate_stream_close(stream);
    pq_free(alloc, room, inflate_bytes, 1);
    return code;
}

static pqdb_code take_json(void *ctx, struct pq_text bytes, pqdb_error *err) {
    return pqdb_ingest_feed(ctx, bytes.data, bytes.length, err);
}

pqdb_code pqdb_ingest_from(pqdb_ingest *ingest, pqdb_read read, void *ctx, pqdb_error *err) {
    struct reading reading = {.read = read, .ctx = ctx};
    const struct taker taker = {.take = take_json, .ctx = ingest};
    return read_all(&reading, &taker, pq_ingest_alloc(ingest), err);
}

static pqdb_code take_csv(void *ctx, struct pq_text bytes, pqdb_error *err) {
    return pq_csv_push(ctx, bytes, err);
}

pqdb_code pqdb_ingest_csv(pqdb_ingest *ingest, pqdb_read read, void *ctx, pqdb_error *err) {
    const struct pq_csv_options options = {
        .entry = pq_ingest_entry(ingest), .on_item = pq_ingest_item, .ctx = ingest};
    struct pq_csv *csv;
    PQ_TRY(pq_csv_create(&options, pq_ingest_alloc(ingest), &csv, err));
    struct reading reading = {.read = read, .ctx = ctx};
    const struct taker taker = {.take = take_csv, .ctx = csv};
    pqdb_code code = read_all(&reading, &taker, pq_ingest_alloc(ingest), err);
    if (code == PQDB_OK) code = pq_csv_end(csv, err);
    pq_csv_destroy(csv);
    return code;
}

/// Whom to tell how far it is.
struct teller {
    pqdb_on_rows on_progress;
    void *ctx;
    uint64_t rows_all;
};

static pqdb_code take_rows(pqdb_ingest *ingest, pqdb_rows *rows, const struct teller *teller,
                           pqdb_error *err) {
    for (uint64_t count = 1;; count++) {
        bool has_row;
        PQ_TRY(pqdb_rows_next(rows, &has_row, err));
        if (!has_row) return PQDB_OK;
        size_t length;
        const char *json = pqdb_rows_json(rows, &length);
        if (json == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a row");
        const struct pq_text text = {json, length};
        const struct pq_row_item item = {.json = text, .original = text};
        PQ_TRY(pq_ingest_item(ingest, &item, err));
        if (count % tell_rows != 0 || teller->on_progress == NULL) continue;
        const pqdb_code code = teller->on_progress(teller->ctx, count, teller->rows_all);
        if (code != PQDB_OK) return pq_fail(err, code, "interrupted");
    }
}

pqdb_code pqdb_ingest_parquet(pqdb_ingest *ingest, const char *path, pqdb_on_rows on_progress,
                              void *ctx, pqdb_error *err) {
    pqdb_parquet *file;
    pqdb_rows *rows = NULL;
    pqdb_code code;
    PQ_TRY(pqdb_parquet_open(path, &file, err));
    pqdb_parquet_facts facts;
    pqdb_parquet_facts_get(file, &facts);
    const struct teller teller = {on_progress, ctx, facts.rows};
    PQ_GO(pqdb_parquet_rows(file, &rows, err));
    PQ_GO(take_rows(ingest, rows, &teller, err));
done:
    pqdb_rows_close(rows);
    pqdb_parquet_close(file);
    return code;
}
