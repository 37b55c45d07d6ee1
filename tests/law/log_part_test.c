/// Law: decoding what was encoded gives the rows that were put in, for every type, mood and cut of
/// a batch; a part that is damaged or cut anywhere is refused or read, never a crash; and without
/// memory encoding and decoding fail cleanly.
#include <inttypes.h>

#include "changelog/part.h"
#include "support/column_text.h"
#include "support/random_batch.h"
#include "support/test.h"

enum { rounds = 400, rows_max = 700, damages = 60 };

static struct random_source source = {.state = 20261122};
static const struct pq_type *the_type;
static pqdb_error err;

static const struct pq_type *type_of(void *ctx, uint32_t collection, uint32_t schema_id) {
    (void)ctx;
    return collection == 7 && schema_id == 3 ? the_type : NULL;
}

static struct pq_variant_names *names_of(void *ctx, uint32_t collection) {
    (void)ctx;
    (void)collection;
    return NULL;
}

static const struct pq_log_schemas schemas = {.type = type_of, .names = names_of};

/// Any columns of the type.
static bool the_reads[64];

static const bool *reads_of(void *ctx, uint32_t collection) {
    (void)ctx;
    (void)collection;
    return the_reads;
}

static const struct pq_log_schemas some_columns = {
    .type = type_of, .names = names_of, .reads = reads_of};

static void show(const struct pq_column *column, size_t row, struct pq_bytes *room) {
    room->length = 0;
    column_text(column, row, room);
    const uint8_t mark = column->valid == NULL ? PQ_ROW_VALID : column->valid[row];
    if (column->type->kind == PQ_VARIANT) pq_bytes_append(room, &mark, 1, NULL);
}

/// In all columns, or those that are read.
static void check_equal(const struct pq_batch *got, const struct pq_batch *want,
                        const bool *reads) {
    struct pq_bytes a, b;
    pq_bytes_init(&a, &pq_alloc_libc);
    pq_bytes_init(&b, &pq_alloc_libc);
    CHECK(got->count == want->count, "%zu rows, not %zu", got->count, want->count);
    for (uint32_t k = 0; k < the_type->field_count && got->count == want->count; k++) {
        if (reads != NULL && !reads[k]) {
            CHECK(got->columns[k].count == 0 && got->columns[k].type != NULL, "column %u", k);
            continue;
        }
        CHECK(pq_column_is_sound(&got->columns[k], &err), "column %u: %s", k, err.message);
        for (size_t row = 0; row < want->count; row++) {
            show(&got->columns[k], row, &a);
            show(&want->columns[k], row, &b);
            if (pq_text_equal(pq_bytes_text(&a), pq_bytes_text(&b))) continue;
            CHECK(false, "column %u, row %zu: %.*s, not %.*s", k, row,
                  PQ_TEXT_ARG(pq_bytes_text(&a)), PQ_TEXT_ARG(pq_bytes_text(&b)));
            break;
        }
    }
    pq_bytes_deinit(&a);
    pq_bytes_deinit(&b);
}

static void check_some_columns(const struct pq_log_rows *rows, const struct pq_bytes *bytes,
                               struct pq_arena *arena) {
    struct pq_log_rows got;
    for (uint32_t k = 0; k < the_type->field_count; k++) the_reads[k] = random_below(&source, 2);
    const pqdb_code code =
        pq_log_decode_rows(pq_bytes_text(bytes), &some_columns, arena, &got, &err);
    CHECK(code == PQDB_OK, "%s", err.message);
    if (code == PQDB_OK) check_equal(&got.batch, &rows->batch, the_reads);
}

static void check_round_trip(const struct pq_log_rows *rows, struct pq_bytes *bytes,
                             struct pq_arena *arena) {
    struct pq_log_rows got;
    bytes->length = 0;
    CHECK(pq_log_encode_rows(rows, bytes, &err) == PQDB_OK, "%s", err.message);
    CHECK(bytes->length % 8 == 0, "%zu bytes", bytes->length);
    const pqdb_code code =
        pq_log_decode_rows(pq_bytes_text(bytes), &schemas, arena, &got, &err);
    CHECK(code == PQDB_OK, "%s", err.message);
    if (code != PQDB_OK) return;
    CHECK(got.collection == 7 && got.schema_id == 3, "%u %u", got.collection, got.schema_id);
    CHECK(got.rows_minus == rows->rows_minus && got.rows_plus == rows->rows_plus, "counts");
    CHECK((got.batch.weights != NULL) == (rows->rows_minus > 0), "weights");
    for (size_t i = 0; i < got.batch.count && got.batch.weights != NULL; i++) {
        CHECK(got.batch.weights[i] == (i < rows->rows_minus ? -1 : 1), "weight of row %zu", i);
    }
    check_equal(&got.batch, &rows->batch, NULL);
    check_some_columns(rows, bytes, arena);
}

/// Flip, cut or overwrite; what is refused is CORRUPT, what is read is sound in shape.
static void check_damage(struct pq_bytes *bytes, const struct pq_alloc *alloc) {
    uint8_t *copy = pq_resize(alloc, NULL, 0, bytes->length, 1);
    for (int i = 0; i < damages; i++) {
        memcpy(copy, bytes->data, bytes->length);
        size_t length = bytes->length;
        if (random_below(&source, 4) == 0) length = random_below(&source, length / 8) * 8;
        for (uint64_t n = 1 + random_below(&source, 3); n > 0 && length > 0; n--) {
            copy[random_below(&source, length)] = (uint8_t)random_below(&source, 256);
        }
        if (length >= 8) pq_store_u32(copy + 4, (uint32_t)length);
        struct pq_arena arena;
        struct pq_log_rows got;
        pq_arena_init(&arena, alloc);
        arena.bytes_max = 8 << 20;
        const pqdb_code code = pq_log_decode_rows((struct pq_text){(char *)copy, length},
                                                  i % 2 == 0 ? &schemas : &some_columns, &arena,
                                                  &got, &err);
        CHECK(code == PQDB_OK || code == PQDB_CORRUPT || code == PQDB_NO_MEMORY, "code %d",
              (int)code);
        if (code == PQDB_OK && got.batch.type != NULL) pq_batch_bytes(&got.batch);
        pq_arena_deinit(&arena);
    }
    pq_free(alloc, copy, bytes->length, 1);
}

static void decoding_gives_back_what_was_encoded(void) {
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    for (int round = 0; round < rounds; round++) {
        struct pq_arena arena;
        pq_arena_init(&arena, &pq_alloc_libc);
        const struct pq_type type = random_type(&source, 5, &arena);
        the_type = &type;
        const size_t most = round % 10 == 0 ? rows_max : 12;
        const size_t count = random_below(&source, most);
        struct pq_batch whole = random_batch(&source, &type, count, &arena), batch;
        const size_t start = random_below(&source, count + 1);
        const size_t left = random_below(&source, count - start + 1);
        CHECK(pq_batch_slice(&whole, start, left, &arena, &batch, &err) == PQDB_OK, "slice");
        const uint32_t minus = round % 3 == 0 ? (uint32_t)random_below(&source, left + 1) : 0;
        check_round_trip(&(struct pq_log_rows){.collection = 7,
                                               .schema_id = 3,
                                               .rows_minus = minus,
                                               .rows_plus = (uint32_t)left - minus,
                                               .first_seq = 99,
                                               .batch = batch},
                         &bytes, &arena);
        check_damage(&bytes, &pq_alloc_libc);
        pq_arena_deinit(&arena);
    }
    pq_bytes_deinit(&bytes);
}

/// Rows of `whole` that go, and come again with one in `rarity` exchanged for another; then more.
static struct pq_log_rows updates(const struct pq_batch *whole, uint32_t minus, uint32_t more,
                                  uint64_t rarity, struct pq_arena *arena) {
    uint32_t *rows = pq_arena_alloc(arena, (2 * minus + more) * sizeof *rows);
    for (uint32_t i = 0; i < 2 * minus + more; i++) {
        const bool same = i < minus || (i < 2 * minus && random_below(&source, rarity) > 0);
        rows[i] = same ? i % minus : (uint32_t)random_below(&source, whole->count);
    }
    struct pq_log_rows updated = {.collection = 7, .schema_id = 3, .rows_minus = minus,
                                  .rows_plus = minus + more};
    CHECK(pq_batch_gather(whole, rows, 2 * minus + more, arena, &updated.batch, &err) == PQDB_OK,
          "%s", err.message);
    return updated;
}

static void rows_that_come_again_are_given_back(void) {
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    for (int round = 0; round < rounds; round++) {
        struct pq_arena arena;
        pq_arena_init(&arena, &pq_alloc_libc);
        const struct pq_type type = random_type(&source, 5, &arena);
        the_type = &type;
        const size_t count = 1 + random_below(&source, round % 10 == 0 ? 300 : 12);
        const struct pq_batch whole = random_batch(&source, &type, count, &arena);
        const struct pq_log_rows rows =
            updates(&whole, (uint32_t)(1 + random_below(&source, count)),
                    (uint32_t)random_below(&source, 3), 1 + random_below(&source, 9), &arena);
        check_round_trip(&rows, &bytes, &arena);
        check_damage(&bytes, &pq_alloc_libc);
        pq_arena_deinit(&arena);
    }
    pq_bytes_deinit(&bytes);
}

static void an_update_is_written_as_what_differs(void) {
    struct pq_arena arena;
    struct pq_bytes bytes;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_bytes_init(&bytes, &pq_alloc_libc);
    struct random_source seeded = {.state = 4};
    const struct pq_type type = random_type(&seeded, 9, &arena);
    the_type = &type;
    const struct pq_batch whole = random_batch(&seeded, &type, 1000, &arena);
    const struct pq_log_rows once = {.collection = 7, .schema_id = 3, .rows_plus = 1000,
                                     .batch = whole};
    check_round_trip(&once, &bytes, &arena);
    const size_t one_image = bytes.length;
    const struct pq_log_rows rows = updates(&whole, 1000, 0, 100, &arena);
    check_round_trip(&rows, &bytes, &arena);
    CHECK(bytes.length < one_image + one_image / 8, "%zu bytes, one image has %zu", bytes.length,
          one_image);
    pq_bytes_deinit(&bytes);
    pq_arena_deinit(&arena);
}

/// $id, $seq, $type and a time, as every create has them.
static struct pq_batch creates(size_t rows, struct pq_type *type, struct pq_arena *arena) {
    struct random_source seeded = {.state = 5};
    static const struct pq_field fields[] = {{.name = {"$id", 3}, .type = {.kind = PQ_TEXT}},
                                             {.name = {"$seq", 4}, .type = {.kind = PQ_INT64}}};
    *type = (struct pq_type){.kind = PQ_OBJECT, .field_count = 2, .fields = fields};
    return random_batch(&seeded, type, rows, arena);
}

static void a_counting_seq_is_left_to_the_leader(void) {
    struct pq_arena arena;
    struct pq_bytes bytes;
    struct pq_type type;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_bytes_init(&bytes, &pq_alloc_libc);
    struct pq_log_rows rows = {.collection = 7, .schema_id = 3, .rows_plus = 5}, got;
    rows.batch = creates(5, &type, &arena);
    the_type = &type;
    struct pq_column columns[2] = {rows.batch.columns[0], rows.batch.columns[1]};
    const int64_t seqs[] = {0, 1, 2, 3, 4};
    columns[1].values = seqs;
    rows.batch.columns = columns;
    CHECK(pq_log_encode_rows(&rows, &bytes, &err) == PQDB_OK, "%s", err.message);
    pq_store_u64(bytes.data + 24, 1000);  // as pq_log_append does
    CHECK(pq_log_decode_rows(pq_bytes_text(&bytes), &schemas, &arena, &got, &err) == PQDB_OK, "%s",
          err.message);
    for (int i = 0; i < 5; i++) {
        const int64_t seq = ((const int64_t *)got.batch.columns[1].values)[i];
        CHECK(seq == 1000 + i, "row %d has seq %" PRId64, i, seq);
    }
    pq_bytes_deinit(&bytes);
    pq_arena_deinit(&arena);
}

static void an_unknown_schema_gives_counts_only(void) {
    struct pq_arena arena;
    struct pq_bytes bytes;
    struct pq_type type;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_bytes_init(&bytes, &pq_alloc_libc);
    struct pq_log_rows rows = {.collection = 8, .schema_id = 3, .rows_plus = 4}, got;
    rows.batch = creates(4, &type, &arena);
    CHECK(pq_log_encode_rows(&rows, &bytes, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_log_decode_rows(pq_bytes_text(&bytes), &schemas, &arena, &got, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(got.batch.type == NULL && got.batch.count == 4 && got.collection == 8, "counts");
    CHECK(pq_log_decode_rows(pq_bytes_text(&bytes), NULL, &arena, &got, &err) == PQDB_OK, "%s",
          err.message);
    rows.collection = 7;
    the_type = &pq_type_null;  // another schema than the rows were written with
    bytes.length = 0;
    CHECK(pq_log_encode_rows(&rows, &bytes, &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_log_decode_rows(pq_bytes_text(&bytes), &schemas, &arena, &got, &err) == PQDB_CORRUPT,
          "a count of columns");
    pq_bytes_deinit(&bytes);
    pq_arena_deinit(&arena);
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct random_source seeded = {.state = 77};
    const struct pq_type type = random_type(&seeded, 9, &arena);
    the_type = &type;
    const struct pq_log_rows rows = {.collection = 7,
                                     .schema_id = 3,
                                     .rows_plus = 2000,
                                     .batch = random_batch(&seeded, &type, 2000, &arena)};
    pqdb_code code = PQDB_NO_MEMORY;
    long fail_at = 0;
    for (; code == PQDB_NO_MEMORY; fail_at++) {
        struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
        failing.alloc.ctx = &failing;
        struct pq_bytes bytes;
        struct pq_arena decoded;
        struct pq_log_rows got;
        pq_bytes_init(&bytes, &failing.alloc);
        pq_arena_init(&decoded, &failing.alloc);
        code = pq_log_encode_rows(&rows, &bytes, &err);
        CHECK(code == PQDB_OK || bytes.length == 0, "%zu bytes are left", bytes.length);
        if (code == PQDB_OK) {
            code = pq_log_decode_rows(pq_bytes_text(&bytes), &schemas, &decoded, &got, &err);
        }
        pq_arena_deinit(&decoded);
        pq_bytes_deinit(&bytes);
        CHECK(failing.live_bytes == 0, "fail_at %ld leaks %ld bytes", fail_at, failing.live_bytes);
    }
    CHECK(code == PQDB_OK && fail_at > 5, "stopped at %ld with code %d", fail_at, (int)code);
    pq_arena_deinit(&arena);
}

int main(void) {
    RUN(decoding_gives_back_what_was_encoded);
    RUN(rows_that_come_again_are_given_back);
    RUN(an_update_is_written_as_what_differs);
    RUN(a_counting_seq_is_left_to_the_leader);
    RUN(an_unknown_schema_gives_counts_only);
    RUN(every_failed_allocation_is_reported_and_leaks_nothing);
    return test_done();
}
