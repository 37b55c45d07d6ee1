/// table/memory_index.h: which rows in memory may hold a text: hash -> row numbers.
///
/// One writer adds, any thread looks up without a lock. Nothing is ever taken out: a row that died
/// or left memory is skipped by whoever finds it. A table never grows: when it is full a larger one
/// takes the new rows, what still lives is moved into it bit by bit, and the old one goes with the
/// last snapshot that holds it. Invariant: an entry is whole before its head is stored (release).
///
/// Cost: 16 bytes a text and 4 a head; a look-up touches a head, an entry and the row.
#ifndef PQ_TABLE_MEMORY_INDEX_H
#define PQ_TABLE_MEMORY_INDEX_H

#include <parquedb/error.h>
#include <stdatomic.h>

#include "base/alloc.h"
#include "batch/column.h"

struct pq_row_entry {
    uint64_t row;   // its number among all rows the table ever had in memory
    uint32_t next;  // entry + 1 in the chain of its head, or 0
    uint32_t tag;   // upper half of the hash
};

/// Counted.
struct pq_row_table {
    atomic_uint references;
    const struct pq_alloc *alloc;
    size_t head_count;  // power of two
    size_t capacity;
    size_t count;       // entries; writer only
    _Atomic(uint32_t) *heads;  // entry + 1
    struct pq_row_entry *entries;
};

/// The writer's index of one column. Rows with numbers in [move_next, move_end) are found in
/// tables[1] alone, if there is one.
struct pq_memory_index {
    uint32_t column;
    bool is_complete;  // every live row in memory is in one of the tables
    struct pq_row_table *tables[2];  // referenced, or NULL; new rows go into the first
    uint64_t move_next, move_end;
};

/// What a snapshot holds of it.
struct pq_index_view {
    uint32_t column;
    struct pq_row_table *tables[2];  // referenced, or NULL
};

/// Errors: PQDB_NO_MEMORY.
pqdb_code pq_row_table_create(size_t capacity, const struct pq_alloc *alloc,
                              struct pq_row_table **table, pqdb_error *err);
struct pq_row_table *pq_row_table_ref(struct pq_row_table *table);  // NULL is fine
void pq_row_table_unref(struct pq_row_table *table);                // NULL is fine

/// What an index knows a scalar by: a text itself, the bytes of a number or time in `room`. Equal
/// exactly where values of the column's type are. False: the kind has no index.
bool pq_index_text(const struct pq_value *value, uint8_t room[16], struct pq_text *text);
/// The same of a row that is not null.
static inline bool pq_index_text_of(const struct pq_column *column, size_t row, uint8_t room[16],
                                    struct pq_text *text) {
    const struct pq_value value = pq_column_value(column, row);
    return pq_index_text(&value, room, text);
}

/// How many texts a row of a column holds: one, or those in its lists and inline objects.
size_t pq_row_texts_count(const struct pq_column *column, size_t row);

/// Enter the texts of rows [start, start + count) of a column, those inside lists and inline
/// objects too; row `start` has number `number`. Returns how many rows there was room for.
size_t pq_row_table_add(struct pq_row_table *table, const struct pq_column *column, size_t start,
                        size_t count, uint64_t number);

static inline void pq_row_table_prefetch(const struct pq_row_table *table, uint64_t hash) {
    __builtin_prefetch((const void *)&table->heads[hash & (table->head_count - 1)]);
}

/// The first entry of a chain, or NULL; then the next one with the same tag.
static inline const struct pq_row_entry *pq_row_table_match(const struct pq_row_table *table,
                                                            uint32_t at, uint64_t hash) {
    while (at != 0) {
        const struct pq_row_entry *entry = &table->entries[at - 1];
        if (entry->tag == (uint32_t)(hash >> 32)) return entry;
        at = entry->next;
    }
    return NULL;
}
static inline const struct pq_row_entry *pq_row_table_first(const struct pq_row_table *table,
                                                            uint64_t hash) {
    const _Atomic(uint32_t) *head = &table->heads[hash & (table->head_count - 1)];
    return pq_row_table_match(table, atomic_load_explicit(head, memory_order_acquire), hash);
}

#endif
