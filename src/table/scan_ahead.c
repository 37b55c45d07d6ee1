#include "table/scan_ahead.h"

/// Is nothing to come after it?
static bool is_last(const struct pq_scan_piece *piece) {
    return piece->code != PQDB_OK || piece->batch.count == 0;
}

static void read_piece(struct pq_scan *scan, struct pq_scan_piece *piece) {
    pq_arena_reset(&piece->arena);
    piece->code = pq_scan_next(scan, &piece->arena, &piece->batch, &piece->error);
}

static void *read_ahead(void *ctx) {
    struct pq_scan_ahead *ahead = ctx;
    for (bool ends = false; !ends;) {
        pthread_mutex_lock(&ahead->lock);
        while (ahead->filled == PQ_AHEAD_PIECES && !ahead->stops) {
            pthread_cond_wait(&ahead->changed, &ahead->lock);
        }
        struct pq_scan_piece *piece =
            &ahead->pieces[(ahead->first + ahead->filled) % PQ_AHEAD_PIECES];
        ends = ahead->stops;
        pthread_mutex_unlock(&ahead->lock);
        if (ends) break;
        read_piece(&ahead->scan, piece);
        ends = is_last(piece);
        pthread_mutex_lock(&ahead->lock);
        ahead->filled++;
        pthread_cond_signal(&ahead->changed);
        pthread_mutex_unlock(&ahead->lock);
    }
    return NULL;
}

static uint64_t rows_in_files(const struct pq_table_snapshot *snapshot) {
    uint64_t rows = 0;
    for (size_t i = 0; i < snapshot->catalog->count; i++) {
        const struct pq_segment *segment = snapshot->catalog->segments[i];
        if (segment->kind == PQ_SEGMENT_FILE) rows += segment->rows;
    }
    return rows;
}

void pq_scan_ahead_open(struct pq_scan_ahead *ahead, struct pq_table_snapshot *snapshot,
                        const struct pq_scan_options *options, uint64_t rows_min,
                        const struct pq_alloc *alloc) {
    *ahead = (struct pq_scan_ahead){0};
    pq_scan_open(&ahead->scan, snapshot, options, alloc);
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->changed, NULL);
    for (size_t i = 0; i < PQ_AHEAD_PIECES; i++) pq_arena_init(&ahead->pieces[i].arena, alloc);
    if (rows_in_files(snapshot) < rows_min) return;
    ahead->runs = pthread_create(&ahead->thread, NULL, read_ahead, ahead) == 0;
}

void pq_scan_ahead_close(struct pq_scan_ahead *ahead) {
    if (ahead->runs) {
        pthread_mutex_lock(&ahead->lock);
        ahead->stops = true;
        pthread_cond_signal(&ahead->changed);
        pthread_mutex_unlock(&ahead->lock);
        pthread_join(ahead->thread, NULL);
    }
    for (size_t i = 0; i < PQ_AHEAD_PIECES; i++) pq_arena_deinit(&ahead->pieces[i].arena);
    pthread_cond_destroy(&ahead->changed);
    pthread_mutex_destroy(&ahead->lock);
    pq_scan_close(&ahead->scan);
}

/// The piece after the one the caller has, which goes back; the last one stays.
static void take_piece(struct pq_scan_ahead *ahead) {
    pthread_mutex_lock(&ahead->lock);
    if (ahead->has_piece && !is_last(&ahead->pieces[ahead->first])) {
        ahead->first = (ahead->first + 1) % PQ_AHEAD_PIECES;
        ahead->filled--;
        pthread_cond_signal(&ahead->changed);
    }
    while (ahead->filled == 0) pthread_cond_wait(&ahead->changed, &ahead->lock);
    pthread_mutex_unlock(&ahead->lock);
}

pqdb_code pq_scan_ahead_next(struct pq_scan_ahead *ahead, struct pq_batch *batch,
                             pqdb_error *err) {
    if (ahead->runs) {
        take_piece(ahead);
    } else if (!ahead->has_piece || !is_last(&ahead->pieces[ahead->first])) {
        read_piece(&ahead->scan, &ahead->pieces[ahead->first]);
    }
    ahead->has_piece = true;
    const struct pq_scan_piece *piece = &ahead->pieces[ahead->first];
    if (piece->code == PQDB_OK) {
        *batch = piece->batch;
    } else if (err != NULL) {
        *err = piece->error;
    }
    return piece->code;
}
