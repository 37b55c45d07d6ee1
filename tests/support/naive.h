/// The naive evaluator: collections and views as SPEC.md means them, row by row over plain values,
/// slow and obvious. It shares no code with the engine but the JSON parser, the printing of one
/// double, and arenas; so both can only agree by being right.
///
/// A world is text: a schema (JSON5), rows (JSON), filters and operators (JSON5). Everything lives
/// in the arena given to naive_use until that is reset. Texts hold no NUL.
#ifndef PQ_TEST_NAIVE_H
#define PQ_TEST_NAIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/json.h"

__extension__ typedef __int128 naive_i128;

/// In the order in which kinds sort, null apart.
enum naive_kind {
    NAIVE_NULL, NAIVE_BOOL, NAIVE_INT, NAIVE_DECIMAL, NAIVE_REAL, NAIVE_DATE, NAIVE_TIME,
    NAIVE_TEXT, NAIVE_LIST, NAIVE_OBJECT,
};

struct naive {
    enum naive_kind kind;
    int scale;          // of a decimal
    naive_i128 number;  // bool, int; decimal times 10^scale; days; microseconds
    double real;
    const char *text;
    const char *key;  // its name in an object
    struct naive *items;
    int count;
    bool is_literal;  // a number of a definition, as it was written
};

/// What a column holds. A relation is a text, or a list of texts, with a `link`; a computed
/// inverse is no column: it only leads to other rows.
struct naive_type {
    enum naive_kind kind;  // NAIVE_NULL: a variant
    int scale;
    struct naive_type *element;  // of a list
    struct naive_column *members;
    int member_count;
    const char *link;  // the collection it leads to
    const char *via;   // inverse: the field there that leads here
};

struct naive_column {
    const char *name;
    struct naive_type *type;
};

enum { NAIVE_COLUMNS = 96, NAIVE_TABLES = 32, NAIVE_DEPTH = 6 };

struct naive_row {
    const char *id;
    int64_t seq;             // of its creation
    int order[NAIVE_DEPTH];  // element indexes of its unnests, in turn
    int depth;
    int version;
    struct naive *cells;  // NAIVE_COLUMNS, of the columns
    struct naive extra;   // object: undeclared fields
};

struct naive_table {
    const char *name;
    struct naive_column columns[NAIVE_COLUMNS];
    int column_count;
    struct naive_row *rows;
    int row_count, row_room;
    bool is_collection, is_stream;
    bool is_grouped;             // of a view: its rows are groups
    bool by_id;                  // its rows have no creation order but their ids
    const struct pq_json *view;  // definition, or NULL
    const char *from;
    int64_t first_seq;           // of a view: rows of its source created before take no part
    const struct naive_row *kept;  // of a view: rows that its source had, which take part
    int kept_count;
};

struct naive_db {
    struct naive_table tables[NAIVE_TABLES];
    int table_count;
    int64_t next_seq;
};

// ---- naive_value.c ----------------------------------------------------------------------------

/// Memory of everything from here on.
void naive_use(struct pq_arena *arena);
struct pq_arena *naive_memory(void);
void *naive_alloc(size_t bytes);  // cleared
const char *naive_copy(const char *text, size_t length);
__attribute__((format(printf, 1, 2))) const char *naive_text(const char *format, ...);

bool naive_is_number(const struct naive *value);
/// By exact value; false across kinds, but for numbers and for times.
bool naive_comparable(const struct naive *a, const struct naive *b);
bool naive_equal(const struct naive *a, const struct naive *b);
/// Total order of values that are not null, as sort, $min and $max have it; -1, 0, 1.
int naive_compare(const struct naive *a, const struct naive *b);
const struct naive *naive_member(const struct naive *object, const char *key);

struct naive naive_int(int64_t number);
struct naive naive_real(double real);
struct naive naive_list(int count);
/// As a definition writes it.
struct naive naive_literal(const struct pq_json *json);
/// As a field of this type takes it.
struct naive naive_read(const struct naive_type *type, const struct pq_json *json);
struct naive naive_convert(const struct naive_type *type, const struct naive *value);

void naive_print(const struct naive *value, struct pq_bytes *out);
const char *naive_printed(const struct naive *value);
/// A row as the database prints it: `$id`, the columns, undeclared fields.
const char *naive_row_text(const struct naive_table *table, const struct naive_row *row);

// ---- naive_big.c: whole numbers without an end -------------------------------------------------

enum { NAIVE_LIMBS = 176 };

/// What a whole number stands for: times 2^exponent, by 10^scale and by the divisor.
struct naive_ratio {
    int exponent, scale;
    uint64_t divisor;
    bool is_root;
};

struct naive_big {
    bool negative;
    uint32_t limbs[NAIVE_LIMBS];  // lowest first
};

struct naive_big naive_big_of(naive_i128 number);
/// real * 2^1074, which is whole.
struct naive_big naive_big_of_real(double real);
struct naive_big naive_big_add(const struct naive_big *a, const struct naive_big *b);
struct naive_big naive_big_subtract(const struct naive_big *a, const struct naive_big *b);
struct naive_big naive_big_multiply(const struct naive_big *a, const struct naive_big *b);
struct naive_big naive_big_shift(const struct naive_big *a, int bits);
int naive_big_compare(const struct naive_big *a, const struct naive_big *b);
/// big * 2^exponent / 10^scale, rounded once to the nearest double, ties to even.
double naive_big_round(const struct naive_big *big, int exponent, int scale);
/// The same, divided by `divisor` before it is rounded; with `is_root` the square root of the
/// quotient, which is rounded to 53 digits first, however large or small it is.
double naive_big_quotient(const struct naive_big *big, struct naive_ratio ratio);
bool naive_big_fits(const struct naive_big *big, naive_i128 *number);

// ---- naive_type.c -----------------------------------------------------------------------------

/// A field's type as a schema writes it; `[{…}]`, `{…}` or text.
struct naive_type *naive_type_of(const struct pq_json *json);
struct naive_type *naive_type_plain(enum naive_kind kind);
/// A computed inverse, which has no column.
bool naive_is_inverse(const struct naive_type *type);
int naive_column_find(const struct naive_table *table, const char *name, size_t length);
/// Reads every entry of the schema, views after what they are from; views get their columns.
void naive_db_read(struct naive_db *db, const struct pq_json *schema);
void naive_db_add(struct naive_db *db, const char *name, const struct pq_json *entry);
struct naive_table *naive_db_find(const struct naive_db *db, const char *name);
const struct naive_row *naive_row_find(const struct naive_table *table, const char *id);

// ---- naive_expr.c -----------------------------------------------------------------------------

/// Where a path or an expression is looked up.
struct naive_scope {
    const struct naive_db *db;
    const struct naive_table *table;
    const struct naive_row *row;
};

struct naive naive_path(const struct naive_scope *scope, const char *path);
struct naive naive_expr(const struct naive_scope *scope, const struct pq_json *expr);
bool naive_matches(const struct naive_scope *scope, const struct pq_json *filter);
struct naive_type *naive_path_type(const struct naive_db *db, const struct naive_table *table,
                                   const char *path);
struct naive_type *naive_expr_type(const struct naive_db *db, const struct naive_table *table,
                                   const struct pq_json *expr);

#endif
