/// Law: whatever the type and the rows, a builder's column, its slices, gathers and copies show the
/// rows that a naive copy, row by row, would show; and every one of them is sound.
#include <string.h>

#include "base/arena.h"
#include "batch/builder.h"
#include "batch/dictionary.h"
#include "support/column_text.h"
#include "support/test.h"

enum { rounds = 300, rows_max = 90, depth_max = 3 };

static uint64_t state;

static uint64_t draw(uint64_t below) {
    state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t x = state;
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (x ^ (x >> 31)) % below;
}

static struct pq_type draw_type(struct pq_arena *arena, int depth) {
    static const enum pq_kind scalars[] = {PQ_NULL,    PQ_BOOL, PQ_INT64, PQ_FLOAT32,
                                           PQ_FLOAT64, PQ_DECIMAL, PQ_DATE, PQ_TIME,
                                           PQ_TIMESTAMP, PQ_TEXT, PQ_BINARY, PQ_VARIANT};
    const uint64_t pick = draw(depth < depth_max ? 16 : 12);
    if (pick < 12) {
        return (struct pq_type){.kind = scalars[pick], .precision = 38, .scale = 4};
    }
    const bool list = pick < 14;
    const uint32_t count = list ? 1 : (uint32_t)draw(4);
    struct pq_field *fields = pq_arena_calloc(arena, count, sizeof *fields);
    for (uint32_t k = 0; k < count; k++) fields[k].type = draw_type(arena, depth + 1);
    return (struct pq_type){
        .kind = list ? PQ_LIST : PQ_OBJECT, .field_count = count, .fields = fields};
}

/// Use a tiny dictionary for every second text column below, so that some overflow midway.
static void use_dictionaries(struct pq_builder *builder, struct pq_dictionary *dictionary) {
    if (builder->type->kind == PQ_TEXT && draw(2) == 0) {
        pq_builder_use_dictionary(builder, dictionary);
    }
    for (uint32_t k = 0; k < builder->type->field_count; k++) {
        use_dictionaries(&builder->children[k], dictionary);
    }
}

static void append_random(struct pq_builder *builder) {
    const enum pq_kind kind = builder->type->kind;
    pqdb_code code;
    if (draw(5) == 0 || kind == PQ_NULL) {
        code = pq_builder_append_null(builder, NULL);
    } else if (kind == PQ_LIST) {
        for (uint64_t n = draw(4); n > 0; n--) append_random(&builder->children[0]);
        code = pq_builder_end_list(builder, NULL);
    } else if (kind == PQ_OBJECT) {
        for (uint32_t k = 0; k < builder->type->field_count; k++) {
            append_random(&builder->children[k]);
        }
        code = pq_builder_end_object(builder, NULL);
    } else if (kind == PQ_TEXT || kind == PQ_BINARY || kind == PQ_VARIANT) {
        char text[24] = {1, 0, 0};  // metadata without names, for variants that bring their own
        const int length = snprintf(text + 3, sizeof text - 3, "%.*s%d", (int)draw(12),
                                    "abcdefghijklm", (int)draw(12));
        code = kind == PQ_VARIANT && draw(3) == 0
                   ? pq_builder_append_own_names(builder, text, (size_t)length + 3, NULL)
                   : pq_builder_append_bytes(builder, text + 3, (size_t)length, NULL);
    } else {
        const uint64_t word = draw(UINT64_MAX);
        pq_i128 wide = kind == PQ_BOOL ? (pq_i128)(word & 1) : (pq_i128)word * (int64_t)draw(1000);
        if (kind == PQ_FLOAT32) wide = (pq_i128)(word & 0x3FFFFFFF);
        if (kind == PQ_FLOAT64) wide = (pq_i128)(word & 0x3FFFFFFFFFFFFFFF);
        code = pq_builder_append_fixed(builder, &wide, NULL);
    }
    CHECK(code == PQDB_OK, "kind %d", (int)kind);
}

/// What a row shows, and the valid byte that column_text does not print.
static struct pq_text show(const struct pq_column *column, size_t row, struct pq_bytes *room) {
    room->length = 0;
    column_text(column, row, room);
    const uint8_t mark = column->valid == NULL ? PQ_ROW_VALID : column->valid[row];
    pq_bytes_append(room, &mark, 1, NULL);
    return pq_bytes_text(room);
}

static struct pq_bytes got_room, want_room;

static void check_same(const char *what, const struct pq_column *got, size_t got_row,
                       const struct pq_column *want, size_t want_row) {
    const struct pq_text a = show(got, got_row, &got_room), b = show(want, want_row, &want_room);
    CHECK(pq_text_equal(a, b), "%s, row %zu: %.*s, not %.*s", what, got_row, PQ_TEXT_ARG(a),
          PQ_TEXT_ARG(b));
}

static void check_sound(const char *what, const struct pq_column *column) {
    pqdb_error err = {0};
    CHECK(pq_column_is_sound(column, &err), "%s: %s", what, err.message);
}

static void check_slice(const struct pq_column *column, struct pq_arena *arena) {
    const size_t start = draw(column->count + 1), count = draw(column->count - start + 1);
    struct pq_column slice, inner;
    CHECK(pq_column_slice(column, start, count, arena, &slice, NULL) == PQDB_OK, "slice");
    check_sound("slice", &slice);
    for (size_t i = 0; i < count; i++) check_same("slice", &slice, i, column, start + i);
    const size_t inner_start = draw(count + 1);
    CHECK(pq_column_slice(&slice, inner_start, count - inner_start, arena, &inner, NULL) == PQDB_OK,
          "slice of a slice");
    for (size_t i = 0; i < inner.count; i++) {
        check_same("slice of a slice", &inner, i, column, start + inner_start + i);
    }
}

static void check_gather(const struct pq_column *column, struct pq_arena *arena) {
    const size_t count = draw(2 * rows_max);
    uint32_t rows[2 * rows_max];
    const bool with_nulls = draw(2) == 0 || column->count == 0;
    for (size_t i = 0; i < count; i++) {
        const bool null = column->count == 0 || (with_nulls && draw(6) == 0);
        rows[i] = null ? UINT32_MAX : (uint32_t)draw(column->count);
    }
    struct pq_column out;
    CHECK(pq_column_gather(column, rows, count, arena, &out, NULL) == PQDB_OK, "gather");
    check_sound("gather", &out);
    for (size_t i = 0; i < count; i++) {
        if (rows[i] != UINT32_MAX) {
            check_same("gather", &out, i, column, rows[i]);
        } else {
            CHECK(pq_column_is_null(&out, i) || column->type->kind == PQ_NULL, "row %zu", i);
        }
    }
}

/// Copy by ranges and row by row into builders with other dictionaries: all show the same rows.
static void check_copies(const struct pq_column *column, struct pq_arena *arena) {
    struct pq_dictionary *dictionary = NULL;
    CHECK(pq_dictionary_create(30, 1000, &pq_alloc_libc, &dictionary, NULL) == PQDB_OK, "create");
    struct pq_builder ranges, values;
    CHECK(pq_builder_init(&ranges, column->type, &pq_alloc_libc, NULL) == PQDB_OK, "init");
    CHECK(pq_builder_init(&values, column->type, &pq_alloc_libc, NULL) == PQDB_OK, "init");
    use_dictionaries(&ranges, dictionary);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t done = 0, step; done < column->count; done += step) {
            step = 1 + draw(column->count - done);
            struct pq_column slice;
            CHECK(pq_column_slice(column, done, step, arena, &slice, NULL) == PQDB_OK, "slice");
            CHECK(pq_builder_append_rows(&ranges, &slice, 0, step, NULL) == PQDB_OK, "ranges");
        }
        for (size_t row = 0; row < column->count; row++) {
            const struct pq_value value = pq_column_value(column, row);
            CHECK(pq_builder_append_value(&values, &value, NULL) == PQDB_OK, "value");
        }
    }
    const struct pq_column by_ranges = pq_builder_finish(&ranges);
    check_sound("ranges", &by_ranges);
    const struct pq_column by_values = pq_builder_finish(&values);
    check_sound("values", &by_values);
    CHECK(by_ranges.count == 2 * column->count, "%zu rows", by_ranges.count);
    size_t nulls = 0;
    for (size_t i = 0; i < by_ranges.count; i++) {
        nulls += pq_column_is_null(&by_ranges, i);
        check_same("ranges", &by_ranges, i, column, i % column->count);
        check_same("values", &by_values, i, column, i % column->count);
    }
    CHECK(nulls == ranges.null_count, "%zu nulls counted as %zu", nulls, ranges.null_count);
    const size_t keep = draw(by_ranges.count + 1);
    pq_builder_truncate(&ranges, keep);
    const struct pq_column kept = pq_builder_finish(&ranges);
    check_sound("truncated", &kept);
    for (size_t i = 0; i < keep; i++) check_same("kept", &kept, i, column, i % column->count);
    pq_builder_deinit(&ranges);
    pq_builder_deinit(&values);
    pq_dictionary_unref(dictionary);
}

static void check_round(uint64_t seed) {
    state = seed;
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_dictionary *dictionary = NULL;
    CHECK(pq_dictionary_create(40, 4000, &pq_alloc_libc, &dictionary, NULL) == PQDB_OK, "create");
    const struct pq_type type = draw_type(&arena, 0);
    struct pq_builder builder;
    CHECK(pq_builder_init(&builder, &type, &pq_alloc_libc, NULL) == PQDB_OK, "init");
    use_dictionaries(&builder, dictionary);
    for (uint64_t n = draw(rows_max); n > 0; n--) append_random(&builder);
    const struct pq_column column = pq_builder_finish(&builder);
    check_sound("built", &column);
    check_slice(&column, &arena);
    check_gather(&column, &arena);
    check_copies(&column, &arena);
    pq_builder_deinit(&builder);
    pq_dictionary_unref(dictionary);
    pq_arena_deinit(&arena);
}

static void slices_gathers_and_copies_show_the_rows_of_a_naive_copy(void) {
    pq_bytes_init(&got_room, &pq_alloc_libc);
    pq_bytes_init(&want_room, &pq_alloc_libc);
    for (uint64_t seed = 1; seed <= rounds && test_failures_ == 0; seed++) {
        check_round(seed);
        if (test_failures_ > 0) fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    }
    pq_bytes_deinit(&got_room);
    pq_bytes_deinit(&want_room);
}

int main(void) {
    RUN(slices_gathers_and_copies_show_the_rows_of_a_naive_copy);
    return test_done();
}
