/// table/table_index.c: the writer's side of the indexes over rows in memory.
#include "base/check.h"
#include "base/fail.h"
#include "batch/builder.h"
#include "table/table_internal.h"

enum {
    capacity_min = 1024,     // entries
    move_per_row = 4,        // old rows that are moved for each new one,
    move_per_commit = 64,    // and besides
    begin_per_commit = 16384,  // rows entered into an index that is not complete yet
};

// ---- wishes -------------------------------------------------------------------------------------

struct pq_link_wishes *pq_link_wishes_create(size_t column_count, const struct pq_alloc *alloc) {
    struct pq_link_wishes *made = pq_resize(alloc, NULL, 0, sizeof *made + column_count, 1);
    if (made == NULL) return NULL;
    atomic_init(&made->references, 1);
    made->alloc = alloc;
    made->column_count = column_count;
    atomic_init(&made->news, false);
    for (size_t k = 0; k < column_count; k++) atomic_init(&made->wanted[k], false);
    return made;
}

struct pq_link_wishes *pq_link_wishes_ref(struct pq_link_wishes *wishes) {
    atomic_fetch_add_explicit(&wishes->references, 1, memory_order_relaxed);
    return wishes;
}

void pq_link_wishes_unref(struct pq_link_wishes *wishes) {
    if (wishes == NULL) return;
    if (atomic_fetch_sub_explicit(&wishes->references, 1, memory_order_acq_rel) != 1) return;
    pq_free(wishes->alloc, wishes, sizeof *wishes + wishes->column_count, 1);
}

void pq_link_wishes_make(struct pq_link_wishes *wishes, uint32_t column) {
    atomic_store_explicit(&wishes->wanted[column], true, memory_order_relaxed);
    atomic_store_explicit(&wishes->news, true, memory_order_release);
}

void pq_table_want_index(struct pq_table *table, uint32_t column) {
    pq_link_wishes_make(table->wishes, column);
}

// ---- one index ----------------------------------------------------------------------------------

static size_t entries_of(const struct pq_column *column, size_t start, size_t count) {
    if (column->layout != PQ_ROWS && column->layout != PQ_MEMBERS) return count;
    size_t entries = 0;
    for (size_t i = 0; i < count; i++) entries += pq_row_texts_count(column, start + i);
    return entries;
}

/// At least as many as live rows in memory have.
static size_t entries_in_memory(const struct pq_table *table, uint32_t column) {
    size_t entries = 0;
    for (size_t i = table->catalog->file_count; i < table->catalog->count; i++) {
        const struct pq_segment *segment = table->catalog->segments[i];
        const struct pq_column *of = &segment->batch.columns[column];
        const bool is_nested = of->layout == PQ_ROWS || of->layout == PQ_MEMBERS;
        entries += is_nested ? entries_of(of, 0, segment->rows) : segment->rows - segment->dead;
    }
    if (table->open == NULL) return entries;
    const struct pq_column of = pq_builder_finish(&table->open_columns[column]);
    return entries + entries_of(&of, 0, table->open_rows);
}

static bool is_moving(const struct pq_memory_index *index) {
    return index->move_next < index->move_end;
}

/// Live rows of one chunk from row `first` on, at most `budget`; the table has room for them.
/// Returns the first row that was not looked at.
static size_t move_rows(struct pq_memory_index *index, const struct pq_segment *segment,
                        size_t first, size_t budget) {
    const struct pq_column *column = &segment->batch.columns[index->column];
    const size_t end = segment->rows - first < budget ? segment->rows : first + budget;
    while (first < end) {
        size_t run = 0;
        while (first + run < end && !pq_segment_is_dead(segment, first + run, UINT64_MAX)) run++;
        const size_t added = pq_row_table_add(index->tables[0], column, first, run,
                                              segment->first_row + first);
        if (added < run) return first + added;
        first += run;
        while (first < end && pq_segment_is_dead(segment, first, UINT64_MAX)) first++;
    }
    return end;
}

/// Move at most `budget` rows; when all are moved the table before goes. False: there is no room.
static bool advance(struct pq_table *table, struct pq_memory_index *index, size_t budget) {
    const struct pq_catalog *catalog = table->catalog;
    for (size_t i = catalog->file_count; is_moving(index) && budget > 0; i++) {
        const struct pq_segment *segment = i < catalog->count ? catalog->segments[i] : NULL;
        if (segment == NULL || segment->first_row >= index->move_end) {
            index->move_next = index->move_end;
            break;
        }
        if (segment->first_row + segment->rows <= index->move_next) continue;
        if (segment->first_row > index->move_next) index->move_next = segment->first_row;
        const size_t first = (size_t)(index->move_next - segment->first_row);
        const size_t next = move_rows(index, segment, first, budget);
        index->move_next = segment->first_row + next;
        if (next - first < budget && next < segment->rows) return false;
        budget -= next - first;
    }
    if (is_moving(index)) return true;
    pq_row_table_unref(index->tables[1]);
    index->tables[1] = NULL;
    index->is_complete = true;
    return true;
}

/// A new table with room for what lives, for as much again, and for `needed` entries. What lives
/// is moved into it by `advance`: if a move is still under way all of it now, else little by
/// little, but for the rows of the open chunk, which are few.
static pqdb_code begin(struct pq_table *table, struct pq_memory_index *index, size_t needed,
                       pqdb_error *err) {
    const size_t live = entries_in_memory(table, index->column);
    struct pq_row_table *made;
    PQ_TRY(pq_row_table_create(2 * (live + needed) + capacity_min, table->options.alloc, &made,
                               err));
    const bool at_once = is_moving(index);
    pq_row_table_unref(index->tables[1]);
    index->tables[1] = index->tables[0];
    index->tables[0] = made;
    index->move_next = 0;
    index->move_end = table->open != NULL ? table->open->first_row : table->next_row;
    if (table->open != NULL && table->open_rows > 0) {
        const struct pq_column column = pq_builder_finish(&table->open_columns[index->column]);
        pq_row_table_add(made, &column, 0, table->open_rows, table->open->first_row);
    }
    const bool had_room = advance(table, index, at_once ? SIZE_MAX : move_per_commit);
    pq_assert(had_room);
    return PQDB_OK;
}

static pqdb_code add_rows(struct pq_table *table, struct pq_memory_index *index,
                          const struct pq_index_rows *rows, pqdb_error *err) {
    const struct pq_column *column = &rows->columns[index->column];
    for (int attempt = 0; attempt < 2; attempt++) {
        const size_t added =
            index->tables[0] == NULL ? 0 : pq_row_table_add(index->tables[0], column, rows->start,
                                                            rows->count, rows->number);
        if (added == rows->count) return PQDB_OK;
        // The entries that are in already may go with the old table: all of them once more.
        PQ_TRY(begin(table, index, entries_of(column, rows->start, rows->count), err));
    }
    pq_assert(false);
    return PQDB_OK;
}

// ---- those of a table ---------------------------------------------------------------------------

pqdb_code pq_table_index_rows(struct pq_table *table, const struct pq_index_rows *rows,
                              pqdb_error *err) {
    for (size_t i = 0; i < table->index_count; i++) {
        PQ_TRY(add_rows(table, &table->indexes[i], rows, err));
    }
    return PQDB_OK;
}

pqdb_code pq_table_index_create(struct pq_table *table, uint32_t column, pqdb_error *err) {
    const size_t count = table->index_count;
    struct pq_memory_index *more =
        pq_resize(table->options.alloc, table->indexes, count, count + 1, sizeof *more);
    if (more == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of indexes");
    more[count] = (struct pq_memory_index){.column = column};
    table->indexes = more;
    table->index_count++;
    return PQDB_OK;
}

static bool has_index(const struct pq_table *table, uint32_t column) {
    for (size_t i = 0; i < table->index_count; i++) {
        if (table->indexes[i].column == column) return true;
    }
    return false;
}

static pqdb_code begin_wished(struct pq_table *table, pqdb_error *err) {
    for (uint32_t k = 1; k < table->wishes->column_count; k++) {
        if (!atomic_load_explicit(&table->wishes->wanted[k], memory_order_relaxed)) continue;
        if (has_index(table, k)) continue;
        PQ_TRY(pq_table_index_create(table, k, err));
        PQ_TRY(begin(table, &table->indexes[table->index_count - 1], 0, err));
    }
    return PQDB_OK;
}

pqdb_code pq_table_index_advance(struct pq_table *table, size_t added, pqdb_error *err) {
    if (atomic_load_explicit(&table->wishes->news, memory_order_relaxed) &&
        atomic_exchange_explicit(&table->wishes->news, false, memory_order_acquire)) {
        PQ_TRY(begin_wished(table, err));
    }
    for (size_t i = 0; i < table->index_count; i++) {
        struct pq_memory_index *index = &table->indexes[i];
        if (!is_moving(index)) continue;
        const size_t budget = added * move_per_row + move_per_commit;
        const bool had_room = advance(
            table, index, index->is_complete ? budget : budget + begin_per_commit);
        if (!had_room) PQ_TRY(begin(table, index, 0, err));
    }
    return PQDB_OK;
}

size_t pq_table_index_bytes(const struct pq_table *table) {
    size_t bytes = 0;
    for (size_t i = 0; i < table->index_count; i++) {
        for (size_t k = 0; k < 2; k++) {
            const struct pq_row_table *rows = table->indexes[i].tables[k];
            if (rows == NULL) continue;
            bytes += rows->head_count * sizeof *rows->heads;
            bytes += rows->capacity * sizeof *rows->entries;
        }
    }
    return bytes;
}

pqdb_code pq_table_index_shrink(struct pq_table *table, pqdb_error *err) {
    for (size_t i = 0; i < table->index_count; i++) {
        struct pq_memory_index *index = &table->indexes[i];
        if (index->tables[0] == NULL || is_moving(index)) continue;
        const size_t live = entries_in_memory(table, index->column);
        if (index->tables[0]->capacity <= 4 * live + 8 * capacity_min) continue;
        PQ_TRY(begin(table, index, 0, err));
    }
    return PQDB_OK;
}

void pq_table_indexes_deinit(struct pq_table *table) {
    for (size_t i = 0; i < table->index_count; i++) {
        pq_row_table_unref(table->indexes[i].tables[0]);
        pq_row_table_unref(table->indexes[i].tables[1]);
    }
    pq_free(table->options.alloc, table->indexes, table->index_count, sizeof *table->indexes);
    table->index_count = 0;
}
