/// db/commit.c: the sequencer, a role: the caller that gets the leader's lock takes everything that
/// waits, writes one frame, steps the circuit once, publishes once.
#include <string.h>

#include "base/fail.h"
#include "batch/builder.h"
#include "db/commit.h"
#include "db/append.h"
#include "db/kept.h"
#include "db/tokens.h"
#include "db/view_internal.h"

enum { frame_writes_max = 64, frame_bytes_max = 4 << 20, evict_rows_min = 256 };

// ---- a step -----------------------------------------------------------------------------------

pqdb_code pq_db_break(pqdb_db *db, pqdb_code code, const pqdb_error *why) {
    if (db->broken) return code;
    db->broken = true;
    if (why != NULL) {
        db->broken_by = *why;
    } else {  // the caller did not want to know
        pq_fail(&db->broken_by, code, "a change failed half way: close the database and open it");
    }
    return code;
}

static pqdb_code fresh_step_hold(pqdb_db *db, pqdb_error *err) {
    if (db->step_hold != NULL && pq_hold_is_alone(db->step_hold)) {
        pq_hold_reset(db->step_hold);
        return PQDB_OK;
    }
    pq_hold_unref(db->step_hold);
    db->step_hold = NULL;
    return pq_hold_create(db->alloc, &db->step_hold, err);
}

static pqdb_code note_failure(pqdb_db *db, struct pq_db_table *table, pqdb_error *err) {
    const pqdb_error *why = pq_circuit_failure(db->circuit, table->id);
    if (why == NULL || table->facts.failed || table->facts.unbuilt) return PQDB_OK;
    if (pq_db_dies_of(table, why->code)) {
        if (err != NULL) *err = *why;
        return why->code;
    }
    table->facts.failed = true;
    pq_db_set_failure(db, table, why);
    pq_db_set_reflects(db, table, table->table->version);
    return PQDB_OK;
}

/// A view's delta into its table. What is large enough to be taken over is copied first: the step's
/// memory, and that of the commit, must not stay for the sake of a view that filters much away.
static pqdb_code apply_output(pqdb_db *db, struct pq_db_table *table, const struct pq_batch *rows,
                              uint64_t version, pqdb_error *err) {
    if (rows->count < PQ_ADOPT_ROWS) {
        return pq_table_apply(table->table, rows, db->step_hold, version, err);
    }
    struct pq_hold *hold;
    struct pq_batch copy;
    PQ_TRY(pq_hold_copy(rows, db->alloc, &hold, &copy, err));
    const pqdb_code code = pq_table_apply(table->table, &copy, hold, version, err);
    pq_hold_unref(hold);
    return code;
}

static pqdb_code apply_outputs(pqdb_db *db, uint64_t version, int64_t time_us, pqdb_error *err) {
    const size_t nodes = pq_circuit_count(db->circuit);
    for (size_t i = 0; i < nodes; i++) {
        const struct pq_output *output = &db->outputs[i];
        struct pq_db_table *table = pq_db_by_id(db, output->table);
        if (!output->attached) {
            PQ_TRY(note_failure(db, table, err));
            continue;
        }
        if (output->rows.count == 0) continue;
        PQ_TRY(apply_output(db, table, &output->rows, version, err));
        PQ_TRY(pq_table_publish(table->table, err));
        table->facts.refreshed_us = time_us;
        table->facts.last = (struct pq_last_refresh){.kind = PQ_REFRESH_STREAMING,
                                                     .rows = output->rows.count};
    }
    return PQDB_OK;
}

/// Rows that several writers brought for one table in one frame, as one batch. Their ids do not
/// meet, so the weighted rows are those of one delta.
static pqdb_code join_rows(struct pq_arena *arena, const struct pq_db_delta *deltas, size_t count,
                           struct pq_batch *rows, pqdb_error *err) {
    const struct pq_db_table *table = deltas[0].table;
    const struct pq_type *type = table->table->options.type;
    struct pq_builder *columns = pq_arena_calloc(arena, type->field_count, sizeof *columns);
    size_t total = 0, at = 0;
    bool is_weighted = false;
    for (size_t i = 0; i < count; i++) {
        if (deltas[i].table != table) continue;
        total += deltas[i].rows.count;
        is_weighted = is_weighted || deltas[i].rows.weights != NULL;
    }
    int64_t *weights = is_weighted ? pq_arena_alloc(arena, total * sizeof *weights) : NULL;
    if (columns == NULL || (is_weighted && weights == NULL)) {
        return pq_fail(err, PQDB_NO_MEMORY, "a step");
    }
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&columns[k], &type->fields[k].type, &arena->alloc, err));
    }
    for (size_t i = 0; i < count; i++) {
        const struct pq_batch *from = &deltas[i].rows;
        if (deltas[i].table != table) continue;
        for (size_t k = 0; k < type->field_count; k++) {
            PQ_TRY(pq_builder_append_rows(&columns[k], &from->columns[k], 0, from->count, err));
        }
        for (size_t row = 0; is_weighted && row < from->count; row++) {
            weights[at++] = from->weights == NULL ? 1 : from->weights[row];
        }
    }
    PQ_TRY(pq_builder_finish_batch(columns, type, arena, rows, err));
    rows->weights = weights;
    return PQDB_OK;
}

/// The circuit takes one delta of each table, and looks no further than the first.
static pqdb_code join_deltas(struct pq_arena *arena, const struct pq_db_delta *deltas, size_t count,
                             struct pq_delta *inputs, size_t *input_count, pqdb_error *err) {
    *input_count = 0;
    for (size_t i = 0; i < count; i++) {
        const uint32_t table = deltas[i].table->id;
        bool is_first = true, is_last = true;
        for (size_t k = 0; k < *input_count; k++) is_first = is_first && inputs[k].table != table;
        if (!is_first) continue;
        for (size_t k = i + 1; k < count; k++) is_last = is_last && deltas[k].table->id != table;
        struct pq_delta *input = &inputs[(*input_count)++];
        *input = (struct pq_delta){.table = table, .rows = &deltas[i].rows};
        if (is_last) continue;
        struct pq_batch *joined = pq_arena_alloc(arena, sizeof *joined);
        if (joined == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a step");
        PQ_TRY(join_rows(arena, deltas + i, count - i, joined, err));
        input->rows = joined;
    }
    return PQDB_OK;
}

pqdb_code pq_db_step(pqdb_db *db, const struct pq_db_delta *deltas, size_t count,
                     uint64_t version, int64_t time_us, pqdb_error *err) {
    PQ_TRY(fresh_step_hold(db, err));
    struct pq_arena *arena = &db->step_hold->arena;
    struct pq_delta *inputs = pq_arena_alloc(arena, count * sizeof *inputs);
    if (inputs == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a step");
    size_t input_count;
    PQ_TRY(join_deltas(arena, deltas, count, inputs, &input_count, err));
    pq_circuit_step(db->circuit, inputs, input_count, arena, db->outputs);
    for (size_t i = 0; i < count; i++) {
        struct pq_table *table = deltas[i].table->table;
        if (deltas[i].rows.weights != NULL) deltas[i].table->rows_go = true;
        PQ_TRY(pq_table_apply(table, &deltas[i].rows, deltas[i].hold, version, err));
        PQ_TRY(pq_table_publish(table, err));
    }
    PQ_TRY(apply_outputs(db, version, time_us, err));
    const struct pq_db_stepped stepped = {
        .inputs = inputs, .input_count = input_count, .outputs = db->outputs,
        .output_count = pq_circuit_count(db->circuit), .version = version, .time_us = time_us};
    pq_db_hear(db, &stepped);
    return pq_db_append_step(db, &stepped, err);
}

// ---- the leader -------------------------------------------------------------------------------

static void finish(struct pq_db_write *write, pqdb_code code, const pqdb_error *why) {
    write->code = code;
    if (code != PQDB_OK) write->error = *why;
    write->done = true;
}

/// The writes of one frame, and what they change: no other of them may change or rely on it, for
/// all of them are formed against the state before the frame.
struct frame {
    struct pq_db_write *writes[frame_writes_max];
    size_t count;
    size_t bytes;
    size_t noted;     // so many writes are in `slots`
    uint64_t *slots;  // hashes of what changes, 0 is free; in the step's memory
    size_t slot_count, slots_used;
};

static pqdb_code grow_slots(struct frame *frame, struct pq_arena *arena, size_t more,
                            pqdb_error *err) {
    if ((frame->slots_used + more) * 2 <= frame->slot_count) return PQDB_OK;
    size_t slot_count = 256;
    while (slot_count < (frame->slots_used + more) * 2) slot_count *= 2;
    uint64_t *slots = pq_arena_calloc(arena, slot_count, sizeof *slots);
    if (slots == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a frame of %zu rows", more);
    for (size_t i = 0; i < frame->slot_count; i++) {
        if (frame->slots[i] == 0) continue;
        size_t at = (size_t)frame->slots[i] & (slot_count - 1);
        while (slots[at] != 0) at = (at + 1) & (slot_count - 1);
        slots[at] = frame->slots[i];
    }
    frame->slots = slots;
    frame->slot_count = slot_count;
    return PQDB_OK;
}

/// Note what the writes so far change, once another one wants to join them.
static pqdb_code note_changes(struct frame *frame, struct pq_arena *arena, pqdb_error *err) {
    for (; frame->noted < frame->count; frame->noted++) {
        const struct pq_db_write *write = frame->writes[frame->noted];
        PQ_TRY(grow_slots(frame, arena, write->changes.count, err));
        for (size_t i = 0; i < write->changes.count; i++) {
            const uint64_t hash = write->changes.hashes[i];
            size_t at = (size_t)hash & (frame->slot_count - 1);
            while (frame->slots[at] != 0) at = (at + 1) & (frame->slot_count - 1);
            frame->slots[at] = hash;
            frame->slots_used++;
        }
    }
    return PQDB_OK;
}

static bool has_any(const struct frame *frame, const struct pq_db_hashes *hashes) {
    for (size_t i = 0; frame->slots_used > 0 && i < hashes->count; i++) {
        const uint64_t hash = hashes->hashes[i];
        for (size_t at = (size_t)hash & (frame->slot_count - 1); frame->slots[at] != 0;
             at = (at + 1) & (frame->slot_count - 1)) {
            if (frame->slots[at] == hash) return true;
        }
    }
    return false;
}

static bool has_token(const struct frame *frame, struct pq_text token) {
    for (size_t i = 0; i < frame->count; i++) {
        if (pq_db_token_same_name(token, frame->writes[i]->token)) return true;
    }
    return false;
}

/// May the write be committed? If not, it is finished. *waits: it must come first in a frame.
static bool admit(pqdb_db *db, struct frame *frame, struct pq_db_write *write, bool *waits) {
    pqdb_error err = {0};
    uint64_t version;
    pqdb_code code;
    if (pq_db_token_known(db, write->token, &version, &code, &err)) {
        write->repeated = code == PQDB_OK;
        write->version = version;
        finish(write, code, &err);
        return false;
    }
    const bool is_first = frame->count == 0;
    write->first_seq = write->table->next_seq;
    if (code == PQDB_OK && !is_first) code = note_changes(frame, &db->step_hold->arena, &err);
    if (code == PQDB_OK && !is_first && has_any(frame, &write->changes)) *waits = true;
    if (code == PQDB_OK && !*waits && write->form != NULL) code = write->form(write, &err);
    if (code == PQDB_OK && !is_first && write->form != NULL) {
        *waits = *waits || has_any(frame, &write->changes) || has_any(frame, &write->relies);
    }
    if (code == PQDB_OK && !*waits && write->changes_nothing) {
        write->version = db->version;
        finish(write, code, &err);
        return false;
    }
    if (code == PQDB_OK) return true;
    finish(write, code, &err);
    return false;
}

/// $seq counts up from `first`; the column was made by the reader, in memory that is ours.
static void number_rows(const struct pq_db_write *write) {
    int64_t *seq = (int64_t *)(uintptr_t)write->batch.columns[PQ_COLUMN_SEQ].values;
    for (size_t row = 0; row < write->batch.count; row++) {
        seq[row] = (int64_t)(write->first_seq + row);
    }
}

static void join_frame(struct frame *frame, struct pq_db_write *write) {
    if (write->batch.weights == NULL && write->batch.count > 0) {
        number_rows(write);
        write->new_rows = write->batch.count;
    }
    write->table->next_seq += write->new_rows;
    frame->bytes += write->part.length;
    frame->writes[frame->count++] = write;
}

/// The commits of one frame: durable, applied, published.
static pqdb_code commit_frame(pqdb_db *db, const struct frame *frame, pqdb_error *err) {
    struct pq_log_part parts[frame_writes_max];
    struct pq_log_commit commits[frame_writes_max];
    struct pq_db_delta deltas[frame_writes_max];
    struct pq_db_write *const *writes = frame->writes;
    const size_t count = frame->count;
    size_t delta_count = 0;
    for (size_t i = 0; i < count; i++) {
        const bool is_empty = writes[i]->batch.count == 0;  // only its token is kept
        const bool is_numbered = writes[i]->batch.weights == NULL;
        parts[i] = (struct pq_log_part){.bytes = writes[i]->part,
                                        .first_seq = is_numbered ? writes[i]->first_seq : 0};
        commits[i] = (struct pq_log_commit){
            .kind = writes[i]->forgets ? PQ_LOG_RETENTION : PQ_LOG_COMMIT,
            .token = writes[i]->token, .parts = &parts[i], .part_count = !is_empty};
        if (is_empty) continue;
        deltas[delta_count++] = (struct pq_db_delta){
            .table = writes[i]->table, .rows = writes[i]->batch, .hold = writes[i]->hold};
    }
    const uint64_t first = pq_log_position(db->log).version;
    const pqdb_code logged = pq_log_append(db->log, commits, count, err);
    if (logged != PQDB_OK) {
        for (size_t i = 0; i < count; i++) writes[i]->table->next_seq -= writes[i]->new_rows;
        return logged;
    }
    pqdb_error why;
    const uint64_t last = first + count - 1;
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; i < count; i++) {
        writes[i]->version = first + i;
        if (code != PQDB_OK) continue;
        code = pq_db_token_add(db, writes[i]->token, first + i, pq_log_time_us(db->log), &why);
    }
    if (code == PQDB_OK) {
        pq_circuit_forget(db->circuit, count > 0 && writes[0]->forgets);
        code = pq_db_step(db, deltas, delta_count, last, pq_log_time_us(db->log), &why);
        pq_circuit_forget(db->circuit, false);
        if (count > 0 && writes[0]->forgets) pq_db_note_forgotten(db, writes[0]->table);
    }
    for (size_t i = 0; code == PQDB_OK && i < count; i++) {
        struct pq_unique *unique = &writes[i]->table->unique;
        if (unique->entry == NULL || writes[i]->batch.count == 0) continue;
        pq_unique_note(unique, &writes[i]->batch);
    }
    if (code == PQDB_OK) code = pq_db_publish(db, last, pq_log_time_us(db->log), &why);
    db->version = last;
    if (code == PQDB_OK) return PQDB_OK;
    // It is in the log, so it is not lost: reopening applies it.
    pq_db_break(db, code, &why);
    return pq_fail(err, code, "committed, but memory no longer matches the log; reopen (%s)",
                   why.message);
}

/// The next write, if it may be looked at for this frame: a token is checked against what is
/// applied, and what reads any number of rows comes first in its frame.
static struct pq_db_write *take_write(pqdb_db *db, const struct frame *frame) {
    pthread_mutex_lock(&db->queue_lock);
    struct pq_db_write *write = db->queue;
    const bool is_full = frame->count == frame_writes_max || frame->bytes > frame_bytes_max;
    if (write != NULL && frame->count > 0 &&
        (is_full || write->reads_all || frame->writes[0]->forgets ||
         has_token(frame, write->token) ||
         frame->bytes + write->part.length > frame_bytes_max)) {
        write = NULL;
    }
    if (write != NULL) {
        db->queue = write->next;
        if (db->queue == NULL) db->queue_end = &db->queue;
        write->next = NULL;
    }
    pthread_mutex_unlock(&db->queue_lock);
    return write;
}

static void put_back(pqdb_db *db, struct pq_db_write *write) {
    pthread_mutex_lock(&db->queue_lock);
    write->next = db->queue;
    if (db->queue == NULL) db->queue_end = &write->next;
    db->queue = write;
    pthread_mutex_unlock(&db->queue_lock);
}

/// What a frame brings may bring as many rows of states into memory: as many go.
static size_t rows_of(const struct frame *frame) {
    size_t rows = 0;
    for (size_t i = 0; i < frame->count; i++) rows += frame->writes[i]->batch.count;
    return rows;
}

static void lead(pqdb_db *db) {
    struct frame frame;
    frame.count = frame.bytes = frame.noted = frame.slot_count = frame.slots_used = 0;
    pqdb_error err = {0};
    pqdb_code code = pq_db_check_open(db, &err);
    if (code == PQDB_OK) code = fresh_step_hold(db, &err);
    struct pq_db_write *write;
    while ((write = take_write(db, &frame)) != NULL) {
        bool waits = false;
        if (code != PQDB_OK) {
            finish(write, code, &err);
        } else if (admit(db, &frame, write, &waits)) {
            if (!waits) {
                join_frame(&frame, write);
                continue;
            }
            put_back(db, write);
            break;
        }
    }
    if (frame.count == 0) return;
    code = commit_frame(db, &frame, &err);
    for (size_t i = 0; i < frame.count; i++) finish(frame.writes[i], code, &err);
    pq_db_memory_fit(db, evict_rows_min + 2 * rows_of(&frame));
    pq_db_keeper_look(db);
}

pqdb_code pq_db_commit(pqdb_db *db, struct pq_db_write *write) {
    write->next = NULL;
    pthread_mutex_lock(&db->queue_lock);
    *db->queue_end = write;
    db->queue_end = &write->next;
    pthread_mutex_unlock(&db->queue_lock);
    pthread_mutex_lock(&db->leader);
    while (!write->done) lead(db);
    pthread_mutex_unlock(&db->leader);
    return write->code;
}
