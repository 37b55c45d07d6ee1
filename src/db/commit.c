/// db/commit.c: the sequencer, a role: the caller that gets the leader's lock takes everything that
/// waits, writes one frame, steps the circuit once, publishes once.
#include <string.h>

#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"
#include "batch/builder.h"
#include "db/view_internal.h"

enum { frame_writes_max = 64, frame_bytes_max = 4 << 20 };

/// What a token's row in the trace holds.
struct token_payload {
    uint64_t version;
    uint64_t content;
};

enum { token_content_bytes = 8 };

// ---- tokens -----------------------------------------------------------------------------------

static void split_token(struct pq_text token, struct pq_text *name, uint64_t *content) {
    const size_t name_length = token.length - token_content_bytes - 1;
    *name = (struct pq_text){token.data, name_length};
    *content = pq_load_u64(token.data + name_length + 1);
}

bool pq_db_token_known(pqdb_db *db, struct pq_text token, uint64_t *version, pqdb_code *code,
                       pqdb_error *err) {
    *code = PQDB_OK;
    if (token.length <= token_content_bytes) return false;
    struct pq_text name;
    uint64_t content;
    split_token(token, &name, &content);
    struct pq_trace_row *row;
    const struct pq_hashed_key key = {pq_hash(name.data, name.length), name};
    *code = pq_trace_find(&db->tokens, &key, &row, err);
    if (*code != PQDB_OK || row == NULL) return false;
    struct token_payload payload;
    memcpy(&payload, pq_trace_payload(row), sizeof payload);
    *version = payload.version;
    if (payload.content != content) {
        *code = pq_fail(err, PQDB_CONFLICT,
                        "token '%.*s' was used for other content in version %llu",
                        PQ_TEXT_ARG(name), (unsigned long long)payload.version);
    }
    return true;
}

pqdb_code pq_db_token_add(pqdb_db *db, struct pq_text token, uint64_t version, pqdb_error *err) {
    if (token.length <= token_content_bytes) return PQDB_OK;
    struct pq_text name;
    struct token_payload payload = {.version = version};
    split_token(token, &name, &payload.content);
    struct pq_trace_row *row;
    bool created;
    const struct pq_hashed_key key = {pq_hash(name.data, name.length), name};
    PQ_TRY(pq_trace_touch(&db->tokens, &key, sizeof payload, &row, &created, err));
    memcpy(pq_trace_payload(row), &payload, sizeof payload);
    return PQDB_OK;
}

// ---- a step -----------------------------------------------------------------------------------

pqdb_code pq_db_break(pqdb_db *db, pqdb_code code, const pqdb_error *why) {
    if (!db->broken) {
        db->broken = true;
        db->broken_by = *why;
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

static void note_failure(pqdb_db *db, struct pq_db_table *table) {
    const pqdb_error *why = pq_circuit_failure(db->circuit, table->id);
    if (why == NULL || table->facts.failed || table->facts.unbuilt) return;
    table->facts.failed = true;
    pq_db_set_failure(db, table, why);
    table->facts.reflects = table->table->version;
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
            note_failure(db, table);
            continue;
        }
        if (output->rows.count == 0) continue;
        PQ_TRY(apply_output(db, table, &output->rows, version, err));
        PQ_TRY(pq_table_publish(table->table, err));
        table->facts.refreshed_us = time_us;
        table->facts.last_refresh = "streaming";
        table->facts.last_refresh_rows = output->rows.count;
    }
    return PQDB_OK;
}

/// Rows that several writers brought for one table in one frame, as one batch.
static pqdb_code join_rows(struct pq_arena *arena, const struct pq_db_delta *deltas, size_t count,
                           struct pq_batch *rows, pqdb_error *err) {
    const struct pq_db_table *table = deltas[0].table;
    const struct pq_type *type = table->table->options.type;
    struct pq_builder *columns = pq_arena_calloc(arena, type->field_count, sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a step");
    for (size_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_builder_init(&columns[k], &type->fields[k].type, &arena->alloc, err));
    }
    for (size_t i = 0; i < count; i++) {
        const struct pq_batch *from = &deltas[i].rows;
        if (deltas[i].table != table) continue;
        pq_assert(from->weights == NULL);
        for (size_t k = 0; k < type->field_count; k++) {
            PQ_TRY(pq_builder_append_rows(&columns[k], &from->columns[k], 0, from->count, err));
        }
    }
    return pq_builder_finish_batch(columns, type, arena, rows, err);
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
        PQ_TRY(pq_table_apply(table, &deltas[i].rows, deltas[i].hold, version, err));
        PQ_TRY(pq_table_publish(table, err));
    }
    return apply_outputs(db, version, time_us, err);
}

// ---- the leader -------------------------------------------------------------------------------

static void finish(struct pq_db_write *write, pqdb_code code, const pqdb_error *why) {
    write->code = code;
    if (code != PQDB_OK) write->error = *why;
    write->done = true;
}

/// $seq counts up from `first`; the column was made by the reader, in memory that is ours.
static void number_rows(struct pq_batch *batch, uint64_t first) {
    int64_t *seq = (int64_t *)(uintptr_t)batch->columns[PQ_COLUMN_SEQ].values;
    for (size_t row = 0; row < batch->count; row++) seq[row] = (int64_t)(first + row);
}

/// Is an id of this batch live already, or twice in the batch?
static pqdb_code check_ids(const struct pq_db_write *write, struct pq_arena *arena,
                           pqdb_error *err) {
    const struct pq_column *ids = &write->batch.columns[PQ_COLUMN_ID];
    size_t slot_count = 16;
    while (slot_count < ids->count * 2) slot_count *= 2;
    uint32_t *slots = pq_arena_calloc(arena, slot_count, sizeof *slots);
    if (slots == NULL) return pq_fail(err, PQDB_NO_MEMORY, "an index of %zu ids", ids->count);
    for (size_t row = 0; row < ids->count; row++) {
        const struct pq_text id = pq_column_text(ids, row);
        size_t at = (size_t)pq_hash(id.data, id.length) & (slot_count - 1);
        for (; slots[at] != 0; at = (at + 1) & (slot_count - 1)) {
            if (!pq_text_equal(pq_column_text(ids, slots[at] - 1), id)) continue;
            return pq_fail(err, PQDB_CONFLICT, "$id '%.*s' is in the batch twice",
                           PQ_TEXT_ARG(id));
        }
        slots[at] = (uint32_t)row + 1;
        bool has;
        PQ_TRY(pq_table_has(write->table->table, id, &has, err));
        if (!has) continue;
        return pq_fail(err, PQDB_CONFLICT,
                       "a row with $id '%.*s' is there already: update it, or give another id",
                       PQ_TEXT_ARG(id));
    }
    return PQDB_OK;
}

/// May the write be committed? If not, it is finished.
static bool admit(pqdb_db *db, struct pq_db_write *write) {
    pqdb_error err = {0};
    pqdb_code code;
    uint64_t version;
    if (pq_db_token_known(db, write->token, &version, &code, &err)) {
        write->repeated = code == PQDB_OK;
        write->version = version;
        finish(write, code, &err);
        return false;
    }
    if (code == PQDB_OK && !write->ids_are_new) {
        code = check_ids(write, &db->step_hold->arena, &err);
    }
    if (code == PQDB_OK) return true;
    finish(write, code, &err);
    return false;
}

/// The commits of one frame: durable, applied, published.
static pqdb_code commit_frame(pqdb_db *db, struct pq_db_write **writes, size_t count,
                              pqdb_error *err) {
    struct pq_log_part parts[frame_writes_max];
    struct pq_log_commit commits[frame_writes_max];
    struct pq_db_delta deltas[frame_writes_max];
    for (size_t i = 0; i < count; i++) {
        struct pq_db_table *table = writes[i]->table;
        number_rows(&writes[i]->batch, table->next_seq);
        parts[i] = (struct pq_log_part){.bytes = writes[i]->part, .first_seq = table->next_seq};
        commits[i] = (struct pq_log_commit){.kind = PQ_LOG_COMMIT, .token = writes[i]->token,
                                            .parts = &parts[i], .part_count = 1};
        deltas[i] = (struct pq_db_delta){.table = table, .rows = writes[i]->batch,
                                         .hold = writes[i]->hold};
        table->next_seq += writes[i]->batch.count;
    }
    const uint64_t first = pq_log_position(db->log).version;
    const pqdb_code logged = pq_log_append(db->log, commits, count, err);
    if (logged != PQDB_OK) {
        for (size_t i = 0; i < count; i++) writes[i]->table->next_seq -= writes[i]->batch.count;
        return logged;
    }
    pqdb_error why;
    const uint64_t last = first + count - 1;
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; i < count; i++) {
        writes[i]->version = first + i;
        if (code == PQDB_OK) code = pq_db_token_add(db, writes[i]->token, first + i, &why);
    }
    if (code == PQDB_OK) {
        code = pq_db_step(db, deltas, count, last, pq_log_time_us(db->log), &why);
    }
    if (code == PQDB_OK) code = pq_db_publish(db, last, pq_log_time_us(db->log), &why);
    db->version = last;
    if (code == PQDB_OK) return PQDB_OK;
    // It is in the log, so it is not lost: reopening applies it.
    pq_db_break(db, code, &why);
    return pq_fail(err, code, "committed, but memory no longer matches the log; reopen (%s)",
                   why.message);
}

/// Ids and tokens are checked against what is applied, so such a write is the last of its frame.
static bool ends_frame(const struct pq_db_write *write) {
    return !write->ids_are_new || write->token.length > 0;
}

/// Take what waits, up to a frame's worth. Leader.
static struct pq_db_write *take_queue(pqdb_db *db, size_t *count) {
    pthread_mutex_lock(&db->queue_lock);
    struct pq_db_write *first = db->queue, *last = NULL;
    size_t bytes = 0;
    *count = 0;
    for (struct pq_db_write *w = first; w != NULL && *count < frame_writes_max; w = w->next) {
        bytes += w->part.length;
        if (*count > 0 && (bytes > frame_bytes_max || ends_frame(w))) break;
        last = w;
        ++*count;
        if (ends_frame(w)) break;
    }
    if (last != NULL) {
        db->queue = last->next;
        if (db->queue == NULL) db->queue_end = &db->queue;
        last->next = NULL;
    }
    pthread_mutex_unlock(&db->queue_lock);
    return first;
}

static void lead(pqdb_db *db) {
    size_t count;
    struct pq_db_write *write = take_queue(db, &count), *writes[frame_writes_max];
    size_t admitted = 0;
    pqdb_error err = {0};
    const pqdb_code open = pq_db_check_open(db, &err);
    const pqdb_code memory = open != PQDB_OK ? open : fresh_step_hold(db, &err);
    for (; write != NULL; write = write->next) {
        if (memory != PQDB_OK) {
            finish(write, memory, &err);
        } else if (admit(db, write)) {
            writes[admitted++] = write;
        }
    }
    if (admitted == 0) return;
    const pqdb_code code = commit_frame(db, writes, admitted, &err);
    for (size_t i = 0; i < admitted; i++) finish(writes[i], code, &err);
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
