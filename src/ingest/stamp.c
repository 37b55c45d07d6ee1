/// What is added to a batch of rows after reading: ids, and what the commit decides.
#include "base/check.h"
#include "base/fail.h"
#include "ingest/rows.h"

pqdb_code pq_rows_fill_ids(struct pq_row_batch *rows, struct pq_ulids *ulids, pqdb_error *err) {
    if (rows->missing_ids == 0) return PQDB_OK;
    const struct pq_column *given = &rows->batch.columns[PQ_COLUMN_ID];
    const size_t count = given->count;
    const size_t given_bytes = given->offsets[count] - given->offsets[0];
    const size_t bytes = given_bytes + rows->missing_ids * PQ_ULID_LENGTH;
    if (bytes > UINT32_MAX) return pq_fail(err, PQDB_LIMIT, "more than 4 GiB of ids in a batch");
    uint32_t *offsets = pq_arena_alloc(&rows->hold->arena, (count + 1) * sizeof *offsets);
    char *data = pq_arena_alloc(&rows->hold->arena, bytes);
    if (offsets == NULL || data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu ids", count);
    pq_u128 next = pq_ulids_take(ulids, rows->missing_ids);
    uint32_t at = 0;
    for (size_t row = 0; row < count; row++) {
        offsets[row] = at;
        if (pq_column_is_null(given, row)) {
            pq_ulid_format(next++, data + at);
            at += PQ_ULID_LENGTH;
        } else {
            const struct pq_text id = pq_column_text(given, row);
            memcpy(data + at, id.data, id.length);
            at += (uint32_t)id.length;
        }
    }
    offsets[count] = at;
    struct pq_column *column = (struct pq_column *)given;
    column->valid = NULL;
    column->offsets = offsets;
    column->data = (const uint8_t *)data;
    rows->missing_ids = 0;
    return PQDB_OK;
}

/// Fill the nulls of a fixed column, which has its memory: the batch made it.
static void fill_nulls(struct pq_column *column, int64_t first, int64_t step) {
    if (column->valid == NULL) return;
    int64_t *values = (int64_t *)column->values;
    for (size_t row = 0; row < column->count; row++) {
        if (column->valid[row] == PQ_ROW_NULL) values[row] = first;
        first += step;
    }
    column->valid = NULL;
}

void pq_rows_stamp(struct pq_row_batch *rows, const struct pq_entry *entry, int64_t first_seq,
                   int64_t now_us) {
    struct pq_column *columns = (struct pq_column *)rows->batch.columns;
    fill_nulls(&columns[PQ_COLUMN_SEQ], first_seq, 1);
    if (!pq_entry_owns_column(entry, PQ_COLUMN_CREATED_AT)) {
        fill_nulls(&columns[PQ_COLUMN_CREATED_AT], now_us, 0);
    }
    if (!pq_entry_owns_column(entry, PQ_COLUMN_UPDATED_AT)) {
        fill_nulls(&columns[PQ_COLUMN_UPDATED_AT], now_us, 0);
    }
    if (!pq_entry_owns_column(entry, PQ_COLUMN_VERSION)) {
        fill_nulls(&columns[PQ_COLUMN_VERSION], 1, 0);
    }
}
