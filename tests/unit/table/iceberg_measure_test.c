/// Goal: a file's metrics are the same whether its writer tells them or its footer.
#include <math.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fail.h"
#include "batch/builder.h"
#include "parquet/reader.h"
#include "parquet/writer.h"
#include "support/test.h"
#include "table/iceberg/measure.h"

enum { COLUMNS = 8, ROWS = 300 };

static const struct pq_field tag_fields[] = {{{"element", 7}, {.kind = PQ_TEXT}, false, 9}};
static const struct pq_field fields[COLUMNS] = {
    {{"$id", 3}, {.kind = PQ_TEXT}, true, 1},
    {{"n", 1}, {.kind = PQ_INT64}, false, 2},
    {{"real", 4}, {.kind = PQ_FLOAT64}, false, 3},
    {{"price", 5}, {.kind = PQ_DECIMAL, .precision = 20, .scale = 2}, false, 4},
    {{"day", 3}, {.kind = PQ_DATE}, false, 5},
    {{"flag", 4}, {.kind = PQ_BOOL}, false, 6},
    {{"none", 4}, {.kind = PQ_TIMESTAMP}, false, 7},
    {{"tags", 4}, {.kind = PQ_LIST, .field_count = 1, .fields = tag_fields}, false, 8},
};
static const struct pq_type type = {.kind = PQ_OBJECT, .field_count = COLUMNS, .fields = fields};

static pqdb_code append_bytes(void *ctx, const void *data, size_t length, pqdb_error *err) {
    return pq_bytes_append(ctx, data, length, err);
}

static pqdb_code read_bytes(void *ctx, uint64_t offset, void *out, size_t length,
                            pqdb_error *err) {
    const struct pq_bytes *file = ctx;
    if (offset > file->length || length > file->length - offset) {
        return pq_fail(err, PQDB_CORRUPT, "beyond the file");
    }
    memcpy(out, file->data + offset, length);
    return PQDB_OK;
}

static void put_row(struct pq_builder *columns, int row) {
    char id[64];
    const double real = row % 10 == 3 ? NAN : row / 8.0;
    const int64_t n = row - 100;
    const pq_i128 price = (pq_i128)(row - 150) * 1000000000000;
    const int32_t day = 20000 + row;
    const uint8_t flag = row % 2 == 0;
    snprintf(id, sizeof id, "a long identifier with number %05d", row);
    pq_builder_append_bytes(&columns[0], id, strlen(id), NULL);
    const void *const values[] = {&n, &real, &price, &day, &flag};
    for (int i = 0; i < 5; i++) {
        if ((row + i) % 7 == 0) {
            pq_builder_append_null(&columns[1 + i], NULL);
        } else {
            pq_builder_append_fixed(&columns[1 + i], values[i], NULL);
        }
    }
    pq_builder_append_null(&columns[6], NULL);
    for (int i = 0; i < row % 3; i++) {
        pq_builder_append_bytes(&columns[7].children[0], "tag", 3, NULL);
    }
    pq_builder_end_list(&columns[7], NULL);
}

static void write_file(struct pq_arena *arena, struct pq_bytes *file,
                       struct pq_iceberg_file *measured) {
    struct pq_builder columns[COLUMNS];
    struct pq_batch batch;
    struct pq_parquet_writer *writer = NULL;
    struct pq_parquet_file_info info;
    pqdb_error err = {0};
    for (int i = 0; i < COLUMNS; i++) {
        pq_builder_init(&columns[i], &fields[i].type, &pq_alloc_libc, NULL);
    }
    for (int row = 0; row < ROWS; row++) put_row(columns, row);
    const struct pq_parquet_writer_options options = {.type = &type, .row_group_rows = 128};
    const struct pq_parquet_sink sink = {append_bytes, file};
    CHECK(pq_builder_finish_batch(columns, &type, arena, &batch, &err) == PQDB_OK &&
              pq_parquet_writer_create(&options, sink, &pq_alloc_libc, &writer, &err) == PQDB_OK &&
              pq_parquet_writer_append(writer, &batch, &err) == PQDB_OK &&
              pq_parquet_writer_finish(writer, &info, &err) == PQDB_OK &&
              pq_iceberg_measure_written(&info, &type, arena, measured, &err) == PQDB_OK,
          "%s", err.message);
    pq_parquet_writer_destroy(writer);
    for (int i = 0; i < COLUMNS; i++) pq_builder_deinit(&columns[i]);
}

static void read_footer(struct pq_arena *arena, struct pq_bytes *file,
                        struct pq_iceberg_file *measured) {
    const struct pq_parquet_source source = {read_bytes, file};
    struct pq_parquet_file *reader = NULL;
    pqdb_error err = {0};
    CHECK(pq_parquet_open(&source, file->length, NULL, &pq_alloc_libc, &reader, &err) == PQDB_OK &&
              pq_iceberg_measure_footer(reader, arena, measured, &err) == PQDB_OK,
          "%s", err.message);
    pq_parquet_close(reader);
}

static const struct pq_iceberg_column *column_of(const struct pq_iceberg_file *file, int32_t id) {
    for (size_t i = 0; i < file->column_count; i++) {
        if (file->columns[i].field_id == id) return &file->columns[i];
    }
    return NULL;
}

static void writer_and_footer_agree(void) {
    struct pq_arena arena;
    struct pq_bytes file;
    struct pq_iceberg_file written = {0}, footer = {0};
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_bytes_init(&file, &pq_alloc_libc);
    write_file(&arena, &file, &written);
    read_footer(&arena, &file, &footer);
    CHECK(written.row_count == ROWS && footer.row_count == ROWS, "rows");
    CHECK(written.file_bytes == (int64_t)file.length, "bytes");
    CHECK(written.split_count == 3 && written.split_offsets[0] == 4, "row groups");
    CHECK(written.column_count == COLUMNS && footer.column_count == COLUMNS - 1,
          "the list's elements are a leaf: %zu %zu", written.column_count, footer.column_count);
    for (int32_t id = 1; id <= 7; id++) {
        const struct pq_iceberg_column *a = column_of(&written, id), *b = column_of(&footer, id);
        CHECK(a != NULL && b != NULL, "column %d", id);
        if (a == NULL || b == NULL) continue;
        CHECK(a->value_count == b->value_count && a->null_count == b->null_count, "counts of %d",
              id);
        CHECK((a->lower.data == NULL) == (b->lower.data == NULL) &&
                  pq_text_equal(a->lower, b->lower), "lower bound of %d", id);
        CHECK((a->upper.data == NULL) == (b->upper.data == NULL) &&
                  pq_text_equal(a->upper, b->upper), "upper bound of %d", id);
        CHECK(a->bytes > 0 && (a->nan_count >= 0) == (id == 3), "figures of %d", id);
    }
    CHECK(column_of(&written, 3)->nan_count > 20, "NaN");
    CHECK(column_of(&written, 7)->null_count == ROWS &&
              column_of(&written, 7)->lower.data == NULL, "nothing but null");
    CHECK(pq_text_is(column_of(&written, 1)->upper, "a long identifif"), "cut and raised");
    CHECK(column_of(&written, 9)->lower.data == NULL, "no bounds in lists");
    pq_bytes_deinit(&file);
    pq_arena_deinit(&arena);
}

int main(void) {
    RUN(writer_and_footer_agree);
    return test_done();
}
