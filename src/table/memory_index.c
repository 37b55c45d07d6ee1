#include "table/memory_index.h"

#include <string.h>

#include "base/bytes.h"
#include "base/check.h"
#include "base/fail.h"
#include "base/hash.h"

enum { head_count_min = 64, prefetch_rows = 16 };

pqdb_code pq_row_table_create(size_t capacity, const struct pq_alloc *alloc,
                              struct pq_row_table **table, pqdb_error *err) {
    size_t head_count = head_count_min;
    while (head_count < capacity) head_count *= 2;
    struct pq_row_table *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    _Atomic(uint32_t) *heads = pq_resize(alloc, NULL, 0, head_count, sizeof *heads);
    struct pq_row_entry *entries = pq_resize(alloc, NULL, 0, capacity, sizeof *entries);
    if (made == NULL || heads == NULL || entries == NULL || capacity >= UINT32_MAX) {
        pq_free(alloc, made, 1, sizeof *made);
        pq_free(alloc, (void *)heads, head_count, sizeof *heads);
        pq_free(alloc, entries, capacity, sizeof *entries);
        return pq_fail(err, PQDB_NO_MEMORY, "an index of %zu rows", capacity);
    }
    memset((void *)heads, 0, head_count * sizeof *heads);
    *made = (struct pq_row_table){.alloc = alloc, .head_count = head_count, .capacity = capacity,
                                  .heads = heads, .entries = entries};
    atomic_init(&made->references, 1);
    *table = made;
    return PQDB_OK;
}

struct pq_row_table *pq_row_table_ref(struct pq_row_table *table) {
    if (table == NULL) return NULL;
    atomic_fetch_add_explicit(&table->references, 1, memory_order_relaxed);
    return table;
}

void pq_row_table_unref(struct pq_row_table *table) {
    if (table == NULL) return;
    if (atomic_fetch_sub_explicit(&table->references, 1, memory_order_acq_rel) != 1) return;
    const struct pq_alloc *alloc = table->alloc;
    pq_free(alloc, (void *)table->heads, table->head_count, sizeof *table->heads);
    pq_free(alloc, table->entries, table->capacity, sizeof *table->entries);
    pq_free(alloc, table, 1, sizeof *table);
}

static void add(struct pq_row_table *table, uint64_t hash, uint64_t number) {
    _Atomic(uint32_t) *head = &table->heads[hash & (table->head_count - 1)];
    table->entries[table->count] = (struct pq_row_entry){
        .row = number, .tag = (uint32_t)(hash >> 32),
        .next = atomic_load_explicit(head, memory_order_relaxed)};
    table->count++;
    atomic_store_explicit(head, (uint32_t)table->count, memory_order_release);
}

bool pq_index_text(const struct pq_value *value, uint8_t room[16], struct pq_text *text) {
    *text = (struct pq_text){(const char *)room, 8};
    switch (value->kind) {
    case PQ_TEXT: *text = value->as.text; return true;
    case PQ_BOOL: pq_store_u64(room, value->as.boolean); return true;
    case PQ_INT64:
    case PQ_DATE:
    case PQ_TIME:
    case PQ_TIMESTAMP: pq_store_u64(room, (uint64_t)value->as.integer); return true;
    case PQ_DECIMAL:
        memcpy(room, &value->as.decimal, 16);
        text->length = 16;
        return true;
    default: return false;
    }
}

static uint64_t hash_of(const struct pq_column *column, size_t row) {
    uint8_t room[16];
    struct pq_text text;
    const bool has_text = pq_index_text_of(column, row, room, &text);
    pq_assert(has_text);
    return pq_hash(text.data, text.length);
}

size_t pq_row_texts_count(const struct pq_column *column, size_t row) {
    if (pq_column_is_null(column, row)) return 0;
    size_t count = 0;
    if (column->layout == PQ_ROWS) {
        for (uint32_t k = column->offsets[row]; k < column->offsets[row + 1]; k++) {
            count += pq_row_texts_count(&column->children[0], k);
        }
    } else if (column->layout == PQ_MEMBERS) {
        for (uint32_t k = 0; k < column->type->field_count; k++) {
            count += pq_row_texts_count(&column->children[k], row);
        }
    } else {
        count = column->type->kind == PQ_TEXT;
    }
    return count;
}

static void add_texts(struct pq_row_table *table, const struct pq_column *column, size_t row,
                      uint64_t number) {
    if (pq_column_is_null(column, row)) return;
    if (column->layout == PQ_ROWS) {
        for (uint32_t k = column->offsets[row]; k < column->offsets[row + 1]; k++) {
            add_texts(table, &column->children[0], k, number);
        }
    } else if (column->layout == PQ_MEMBERS) {
        for (uint32_t k = 0; k < column->type->field_count; k++) {
            add_texts(table, &column->children[k], row, number);
        }
    } else if (column->type->kind == PQ_TEXT) {
        add(table, hash_of(column, row), number);
    }
}

static size_t add_nested(struct pq_row_table *table, const struct pq_column *column, size_t start,
                         size_t count, uint64_t number) {
    for (size_t i = 0; i < count; i++) {
        const size_t texts = pq_row_texts_count(column, start + i);
        if (texts > table->capacity - table->count) return i;
        add_texts(table, column, start + i, number + i);
    }
    return count;
}

size_t pq_row_table_add(struct pq_row_table *table, const struct pq_column *column, size_t start,
                        size_t count, uint64_t number) {
    if (column->layout == PQ_ROWS || column->layout == PQ_MEMBERS) {
        return add_nested(table, column, start, count, number);
    }
    size_t added = 0;
    while (added < count && table->count < table->capacity) {
        uint64_t hashes[prefetch_rows];
        size_t some = count - added < prefetch_rows ? count - added : prefetch_rows;
        if (some > table->capacity - table->count) some = table->capacity - table->count;
        for (size_t i = 0; i < some; i++) {
            if (pq_column_is_null(column, start + added + i)) continue;
            hashes[i] = hash_of(column, start + added + i);
            __builtin_prefetch((void *)&table->heads[hashes[i] & (table->head_count - 1)], 1);
        }
        for (size_t i = 0; i < some; i++) {
            if (pq_column_is_null(column, start + added + i)) continue;
            add(table, hashes[i], number + added + i);
        }
        added += some;
    }
    return added;
}
