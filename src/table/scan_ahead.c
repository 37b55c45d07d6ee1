#include "table/scan_ahead.h"

enum { alone_pieces = 3 };  // read by the caller before a helper is worth it

static void read_piece(struct pq_scan_ahead *ahead, struct pq_scan_reader *reader,
                       struct pq_scan_piece *piece) {
    const struct pq_scan_into into = {.arena = &piece->hold->arena, .hold = piece->hold};
    piece->code = pq_scan_read(&ahead->scan, reader, &piece->task, &into, &piece->rows,
                               &piece->error);
    piece->is_end = piece->code != PQDB_OK;
    pthread_mutex_lock(&ahead->lock);
    piece->state = PQ_PIECE_READ;
    pthread_cond_broadcast(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
}

// ---- the helper --------------------------------------------------------------------------------

/// Under lock: take any piece that nobody reads yet, an early one first; NULL when there is none.
static struct pq_scan_piece *take_piece(struct pq_scan_ahead *ahead, size_t from) {
    for (size_t i = 0; i < PQ_AHEAD_PIECES; i++) {
        struct pq_scan_piece *piece = &ahead->pieces[(from + i) % PQ_AHEAD_PIECES];
        if (piece->state != PQ_PIECE_PLANNED) continue;
        piece->state = PQ_PIECE_TAKEN;
        return piece;
    }
    return NULL;
}

static void *help(void *ctx) {
    struct pq_scan_ahead *ahead = ctx;
    size_t next = 0;
    for (;;) {
        struct pq_scan_piece *piece = NULL;
        pthread_mutex_lock(&ahead->lock);
        while (!ahead->stops && (piece = take_piece(ahead, next)) == NULL) {
            pthread_cond_wait(&ahead->changed, &ahead->lock);
        }
        pthread_mutex_unlock(&ahead->lock);
        if (piece == NULL) break;
        next = (size_t)(piece - ahead->pieces) + 1;
        read_piece(ahead, &ahead->reader, piece);
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
    *ahead = (struct pq_scan_ahead){.may_help = rows_in_files(snapshot) >= rows_min};
    pq_scan_open(&ahead->scan, snapshot, options, alloc);
    pthread_mutex_init(&ahead->lock, NULL);
    pthread_cond_init(&ahead->changed, NULL);
}

void pq_scan_ahead_stop(struct pq_scan_ahead *ahead) {
    if (ahead->runs) {
        pthread_mutex_lock(&ahead->lock);
        ahead->stops = true;
        pthread_cond_broadcast(&ahead->changed);
        pthread_mutex_unlock(&ahead->lock);
        pthread_join(ahead->thread, NULL);
        ahead->runs = false;
    }
    ahead->may_help = false;
    pq_scan_reader_report(&ahead->scan, &ahead->reader);
    pq_scan_reader_report(&ahead->scan, &ahead->scan.reader);
}

void pq_scan_ahead_close(struct pq_scan_ahead *ahead) {
    pq_scan_ahead_stop(ahead);
    pq_scan_reader_deinit(&ahead->reader);
    for (size_t i = 0; i < PQ_AHEAD_PIECES; i++) pq_hold_unref(ahead->pieces[i].hold);
    pthread_cond_destroy(&ahead->changed);
    pthread_mutex_destroy(&ahead->lock);
    pq_scan_close(&ahead->scan);
}

// ---- the caller --------------------------------------------------------------------------------

/// Room for the next piece: its memory, unless somebody still refers to it.
static pqdb_code empty_hold(const struct pq_scan_ahead *ahead, struct pq_scan_piece *piece) {
    if (piece->hold != NULL && pq_hold_is_alone(piece->hold)) {
        pq_hold_reset(piece->hold);
        return PQDB_OK;
    }
    pq_hold_unref(piece->hold);
    piece->hold = NULL;
    return pq_hold_create(ahead->scan.alloc, &piece->hold, &piece->error);
}

static void plan_piece(struct pq_scan_ahead *ahead) {
    struct pq_scan_piece *piece = &ahead->pieces[(ahead->first + ahead->filled) % PQ_AHEAD_PIECES];
    bool more = false;
    piece->rows = (struct pq_scan_rows){.batch = {.type = ahead->scan.snapshot->type}};
    piece->code = empty_hold(ahead, piece);
    if (piece->code == PQDB_OK) {
        piece->code = pq_scan_plan(&ahead->scan, &piece->task, &more, &piece->error);
    }
    piece->is_end = piece->code != PQDB_OK || !more;
    ahead->is_planned = piece->is_end;
    ahead->planned++;
    ahead->filled++;
    pthread_mutex_lock(&ahead->lock);
    piece->state = piece->is_end ? PQ_PIECE_READ : PQ_PIECE_PLANNED;
    pthread_cond_signal(&ahead->changed);
    pthread_mutex_unlock(&ahead->lock);
}

static void leave_piece(struct pq_scan_ahead *ahead) {
    pthread_mutex_lock(&ahead->lock);
    ahead->pieces[ahead->first].state = PQ_PIECE_FREE;
    pthread_mutex_unlock(&ahead->lock);
    ahead->first = (ahead->first + 1) % PQ_AHEAD_PIECES;
    ahead->filled--;
}

/// The helper joins in when the scan goes on.
static void get_help(struct pq_scan_ahead *ahead) {
    if (ahead->runs || !ahead->may_help || ahead->planned < alone_pieces) return;
    ahead->may_help = false;
    ahead->runs = pthread_create(&ahead->thread, NULL, help, ahead) == 0;
}

/// Work on the piece at `first`, or on a later one while the helper reads it, until it is read.
static void finish_first(struct pq_scan_ahead *ahead) {
    struct pq_scan_piece *first = &ahead->pieces[ahead->first];
    for (;;) {
        struct pq_scan_piece *mine = NULL;
        pthread_mutex_lock(&ahead->lock);
        while (first->state != PQ_PIECE_READ && (mine = take_piece(ahead, ahead->first)) == NULL) {
            pthread_cond_wait(&ahead->changed, &ahead->lock);
        }
        pthread_mutex_unlock(&ahead->lock);
        if (mine == NULL) return;
        read_piece(ahead, &ahead->scan.reader, mine);
    }
}

pqdb_code pq_scan_ahead_step(struct pq_scan_ahead *ahead, struct pq_scan_rows *rows,
                             struct pq_hold **hold, pqdb_error *err) {
    const struct pq_scan_piece *piece = &ahead->pieces[ahead->first];
    if (ahead->has_piece && !piece->is_end) leave_piece(ahead);
    for (ahead->has_piece = true;; leave_piece(ahead)) {
        get_help(ahead);
        const size_t most = ahead->runs ? PQ_AHEAD_PIECES : 1;  // not what may not be needed
        while (!ahead->is_planned && ahead->filled < most) plan_piece(ahead);
        finish_first(ahead);
        piece = &ahead->pieces[ahead->first];
        if (piece->is_end || piece->rows.batch.count > 0) break;
    }
    if (piece->code == PQDB_OK) {
        *rows = piece->rows;
        *hold = piece->hold;
    } else if (err != NULL) {
        *err = piece->error;
    }
    return piece->code;
}

pqdb_code pq_scan_ahead_next(struct pq_scan_ahead *ahead, struct pq_batch *batch,
                             pqdb_error *err) {
    struct pq_scan_rows rows;
    struct pq_hold *hold;
    const pqdb_code code = pq_scan_ahead_step(ahead, &rows, &hold, err);
    if (code == PQDB_OK) *batch = rows.batch;
    return code;
}
