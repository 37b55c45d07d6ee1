/// flow/window.h: windows, and how they keep values.
#ifndef PQ_FLOW_WINDOW_H
#define PQ_FLOW_WINDOW_H

#include "expr/compare.h"
#include "flow/layout.h"

/// A window onto the multiset of a group's values: the first K of them in the aggregate's order,
/// with counts, and the number of rows behind its edge. K is 1 until a value is taken back out of
/// it, then WINDOW_ENTRIES; of $mode and $topK it is WINDOW_ENTRIES more than are shown.
///
/// Invariant: when `bounded`, the last entry is the edge, whatever its count: a value is inside
/// exactly when it is not behind the edge. When not, every value is inside.
struct window {
    int64_t outside;  // rows behind the edge
    uint32_t count;   // entries
    bool wide;        // K is WINDOW_ENTRIES
    bool bounded;
    bool listed;      // entries are in the blob
    uint8_t unused;
    union {
        struct {
            uint64_t word;
            int64_t weight;
        } one;  // of a word window not `listed`
        struct blob entries;
    };
};
enum { WINDOW_ENTRIES = 16 };

/// Behind every value of a multiset.
static const struct pq_text multiset_end = {
    "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 18};

/// The first entry there is a row of; false for none.
bool window_word_head(const uint8_t *row, uint32_t offset, uint64_t *word);
bool window_bytes_head(const uint8_t *row, uint32_t offset, struct pq_text *key,
                       struct pq_text *value);

/// All entries there are rows of, in order: false behind the last. Begin with zeros.
struct window_visit {
    struct pq_text key, value;
    int64_t weight;
    size_t at;
    uint32_t next;
};
bool window_bytes_each(const uint8_t *row, uint32_t offset, struct window_visit *visit);

/// window_rank.c: a number as a word of its double; the value at rank p * (n - 1), linear between
/// its neighbours, of a window (false: it has no numbers) and of an array.
pqdb_code number_word(const struct pq_column *column, size_t row, struct pq_arena *arena,
                      uint64_t *word, bool *is_number, pqdb_error *err);
bool rank_read(const uint8_t *row, uint32_t offset, double p, double *real);
double rank_of_sorted(const double *sorted, size_t count, double p);

/// The key of a value in TRACE_RANKED: 8 bytes that fall as the count rises, then the value.
pqdb_code ranked_write(struct pq_text value, int64_t count, struct pq_bytes *key, pqdb_error *err);

/// element_values.c: the different values of a row's elements by canonical key, ascending, with
/// how often each occurs; in `arena`.
struct counted {
    struct pq_text value;
    size_t count;
};
pqdb_code elements_counted(const uint8_t *row, uint32_t offset, struct pq_arena *arena,
                           struct counted **values, size_t *count, pqdb_error *err);

/// Words that sort as the values of a column of one of these types; and back.
bool word_type(const struct pq_type *type);
uint64_t word_of(const struct pq_column *column, size_t row);
uint64_t word_of_real(double real);
double real_of_word(uint64_t word);
void emit_word(struct emit *out, uint64_t word);
/// Words as bytes that sort likewise.
static inline void store_word(uint8_t out[8], uint64_t word) {
    word = __builtin_bswap64(word);
    memcpy(out, &word, sizeof word);
}
static inline uint64_t load_word(const uint8_t *in) {
    uint64_t word;
    memcpy(&word, in, sizeof word);
    return __builtin_bswap64(word);
}

/// A column's row as bytes of its own (cell.c), nested values too; and back into an output.
pqdb_code cell_write(const struct pq_column *column, size_t row, struct pq_bytes *out,
                     pqdb_error *err);
pqdb_code cell_emit(struct pq_text cell, struct emit *out, pqdb_error *err);
pqdb_code cell_build(struct pq_text cell, struct pq_builder *builder, pqdb_error *err);

/// The value whose canonical key begins at the cursor (key_decode.c), as a row of the output's
/// type.
pqdb_code key_emit(struct pq_cursor *key, struct emit *out, pqdb_error *err);
/// The same into a builder inside the output's.
pqdb_code key_build(struct pq_cursor *key, struct emit *out, struct pq_builder *builder,
                    pqdb_error *err);
/// Its double, rounded; false when it is no number, or NaN.
bool key_real(struct pq_cursor *key, double *real);
/// The word of a value of a word kind. False: damaged.
bool key_word(struct pq_cursor *key, const struct pq_type *type, uint64_t *word);

/// Is the key of one value that of null?
bool key_is_null(const struct pq_keys *keys, size_t row);

/// The place of a row among the others: what `$by` says, then its creation. `by` are the keys of
/// addition->by.
pqdb_code order_write(const struct addition *addition, const struct pq_keys *by, size_t row,
                      struct pq_bytes *key, pqdb_error *err);

#endif
