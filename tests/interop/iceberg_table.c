/// Makes an Iceberg table of all types in the folder given, in five publishes: rows, more rows,
/// dead rows, a new column, a compaction. iceberg_test.py knows what each snapshot must hold.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/fail.h"
#include "batch/builder.h"
#include "codec/codec.h"
#include "parquet/writer.h"
#include "store/store.h"
#include "table/iceberg/iceberg.h"
#include "table/iceberg/measure.h"
#include "variant/variant.h"

enum { COLUMNS = 17, PLAIN_COLUMNS = 16, GROUP_ROWS = 64 };

static const struct pq_field tag_fields[] = {{{"element", 7}, {.kind = PQ_TEXT}, false, 14}};
static const struct pq_field inner_fields[] = {{{"z", 1}, {.kind = PQ_TEXT}, false, 18}};
static const struct pq_field outer_fields[] = {
    {{"x", 1}, {.kind = PQ_FLOAT64}, false, 16},
    {{"y", 1}, {.kind = PQ_OBJECT, .field_count = 1, .fields = inner_fields}, false, 17},
};
static const struct pq_field item_fields[] = {
    {{"sku", 3}, {.kind = PQ_TEXT}, true, 21},
    {{"qty", 3}, {.kind = PQ_INT64}, false, 22},
};
static const struct pq_field items_fields[] = {
    {{"element", 7}, {.kind = PQ_OBJECT, .field_count = 2, .fields = item_fields}, false, 20}};
static const struct pq_field fields[COLUMNS] = {
    {{"$id", 3}, {.kind = PQ_TEXT}, true, 1},
    {{"$seq", 4}, {.kind = PQ_INT64}, true, 2},
    {{"flag", 4}, {.kind = PQ_BOOL}, false, 3},
    {{"single", 6}, {.kind = PQ_FLOAT32}, false, 4},
    {{"real", 4}, {.kind = PQ_FLOAT64}, false, 5},
    {{"price", 5}, {.kind = PQ_DECIMAL, .precision = 9, .scale = 2}, false, 6},
    {{"amount", 6}, {.kind = PQ_DECIMAL, .precision = 18, .scale = 4}, false, 7},
    {{"huge", 4}, {.kind = PQ_DECIMAL, .precision = 38, .scale = 10}, false, 8},
    {{"day", 3}, {.kind = PQ_DATE}, false, 9},
    {{"at_time", 7}, {.kind = PQ_TIME}, false, 10},
    {{"at", 2}, {.kind = PQ_TIMESTAMP}, false, 11},
    {{"raw", 3}, {.kind = PQ_BINARY}, false, 12},
    {{"tags", 4}, {.kind = PQ_LIST, .field_count = 1, .fields = tag_fields}, false, 13},
    {{"nested", 6}, {.kind = PQ_OBJECT, .field_count = 2, .fields = outer_fields}, false, 15},
    {{"items", 5}, {.kind = PQ_LIST, .field_count = 1, .fields = items_fields}, false, 19},
    {{"_extra", 6}, {.kind = PQ_VARIANT}, false, 23},
    {{"later", 5}, {.kind = PQ_TEXT}, false, 24},
};
static const struct pq_type narrow = {
    .kind = PQ_OBJECT, .field_count = PLAIN_COLUMNS, .fields = fields};
static const struct pq_type wide = {.kind = PQ_OBJECT, .field_count = COLUMNS, .fields = fields};

static const struct pq_field delete_fields[] = {
    {{"file_path", 9}, {.kind = PQ_TEXT}, true, PQ_ICEBERG_ID_DELETE_PATH},
    {{"pos", 3}, {.kind = PQ_INT64}, true, PQ_ICEBERG_ID_DELETE_POS},
};
static const struct pq_type delete_type = {
    .kind = PQ_OBJECT, .field_count = 2, .fields = delete_fields};

static pqdb_error err;

static void must(pqdb_code code) {
    if (code == PQDB_OK) return;
    fprintf(stderr, "iceberg_table: %s %s\n", err.subject, err.message);
    exit(EXIT_FAILURE);
}

// ---- rows: every value follows from the row's number, every seventh column value is null

static void put_text(struct pq_builder *column, const char *format, int row) {
    char text[64];
    const int length = snprintf(text, sizeof text, format, row);
    must(pq_builder_append_bytes(column, text, (size_t)length, &err));
}

static void put_fixed(struct pq_builder *column, const struct pq_value *value) {
    must(pq_builder_append_value(column, value, &err));
}

/// Row by row: no list, an empty one, one of a text and a null, and so on.
static void put_tags(struct pq_builder *column, int row) {
    if (row % 4 == 0) {
        must(pq_builder_append_null(column, &err));
        return;
    }
    for (int i = 1; i < row % 4; i++) {
        if (i == 2) {
            must(pq_builder_append_null(&column->children[0], &err));
        } else {
            put_text(&column->children[0], "tag %d", row);
        }
    }
    must(pq_builder_end_list(column, &err));
}

static void put_nested(struct pq_builder *column, int row) {
    if (row % 5 == 0) {
        must(pq_builder_append_null(column, &err));
        return;
    }
    put_fixed(&column->children[0], &(struct pq_value){.kind = PQ_FLOAT64, .as.real = row / 2.0});
    struct pq_builder *inner = &column->children[1];
    if (row % 5 == 1) {
        must(pq_builder_append_null(inner, &err));
    } else {
        put_text(&inner->children[0], "z%d", row);
        must(pq_builder_end_object(inner, &err));
    }
    must(pq_builder_end_object(column, &err));
}

static void put_items(struct pq_builder *column, int row) {
    if (row % 6 == 5) {
        must(pq_builder_append_null(column, &err));
        return;
    }
    struct pq_builder *item = &column->children[0];
    for (int i = 0; i < row % 6; i++) {
        put_text(&item->children[0], "sku-%d", i);
        if (i % 2 == 1) {
            must(pq_builder_append_null(&item->children[1], &err));
        } else {
            put_fixed(&item->children[1],
                      &(struct pq_value){.kind = PQ_INT64, .as.integer = row + i});
        }
        must(pq_builder_end_object(item, &err));
    }
    must(pq_builder_end_list(column, &err));
}

static void put_extra(struct pq_builder *column, struct pq_variant_encoder *encoder, int row) {
    char json[96];
    struct pq_json_document *document = NULL;
    struct pq_bytes value;
    bool own = false;
    snprintf(json, sizeof json, "{\"n\":%d,\"list\":[true,null,%d.5],\"text\":\"\\u00e4%d\"}", row,
             row, row);
    must(pq_json_parse(pq_text_of(json), PQ_JSON_STRICT, &pq_alloc_libc, &document, &err));
    pq_bytes_init(&value, &pq_alloc_libc);
    must(pq_variant_encode_json(encoder, pq_json_root(document), &value, &own, &err));
    must(pq_builder_append_bytes(column, value.data, value.length, &err));
    pq_bytes_deinit(&value);
    pq_json_destroy(document);
}

static void put_scalar(struct pq_builder *column, int index, int row) {
    struct pq_value value = {.kind = column->type->kind, .scale = column->type->scale};
    switch (index) {
        case 1: value.as.integer = row; break;
        case 2: value.as.boolean = row % 2 == 0; break;
        case 3: value.as.real = row / 4.0; break;
        case 4: value.as.real = row * 1e10 + 0.25; break;
        case 5: value.as.decimal = (pq_i128)row * 25 - 1000; break;
        case 6: value.as.decimal = (pq_i128)row * 1000000007 - 5; break;
        case 7: value.as.decimal = (pq_i128)INT64_MAX * 1000000 * (row - 50); break;
        case 8: value.as.integer = 20000 + row; break;
        case 9: value.as.integer = INT64_C(1000001) * row; break;
        default: value.as.integer = INT64_C(1790000000000000) + INT64_C(1000001) * row; break;
    }
    put_fixed(column, &value);
}

static void put_cell(struct pq_builder *column, int index, int row,
                     struct pq_variant_encoder *encoder) {
    switch (index) {
        case 0: put_text(column, "row-%04d", row); break;
        case 11:
            must(pq_builder_append_bytes(column, "\0\xff\x80", (size_t)row % 4, &err));
            break;
        case 12: put_tags(column, row); break;
        case 13: put_nested(column, row); break;
        case 14: put_items(column, row); break;
        case 15: put_extra(column, encoder, row); break;
        case 16: put_text(column, "later %d", row); break;
        default: put_scalar(column, index, row); break;
    }
}

// ---- files

struct maker {
    const char *root;  // of the database
    struct pq_store *store;
    struct pq_iceberg *table;
    struct pq_arena arena;
    struct pq_iceberg_file files[8];
    size_t file_count;
    uint64_t version;
};

static pqdb_code append(void *ctx, const void *data, size_t length, pqdb_error *error) {
    return pq_bytes_append(ctx, data, length, error);
}

static void write_file(struct maker *maker, struct pq_iceberg_file *file,
                       const struct pq_type *type, const struct pq_batch *batch) {
    const struct pq_parquet_writer_options options = {
        .type = type,
        .codec = &pq_codec_zstd,
        .row_group_rows = GROUP_ROWS,
        .is_sorted = type != &delete_type,
        .variant_form = PQ_VARIANT_AS_JSON,
    };
    struct pq_bytes bytes;
    struct pq_parquet_writer *writer = NULL;
    struct pq_parquet_file_info info;
    char path[PQ_STORE_PATH_MAX];
    pq_bytes_init(&bytes, &pq_alloc_libc);
    const struct pq_parquet_sink sink = {append, &bytes};
    must(pq_parquet_writer_create(&options, sink, &pq_alloc_libc, &writer, &err));
    must(pq_parquet_writer_append(writer, batch, &err));
    must(pq_parquet_writer_finish(writer, &info, &err));
    must(pq_iceberg_measure_written(&info, type, &maker->arena, file, &err));
    snprintf(path, sizeof path, "Orders/%s", file->path.data);
    must(pq_store_write_file(maker->store, path, pq_bytes_text(&bytes), &err));
    pq_parquet_writer_destroy(writer);
    pq_bytes_deinit(&bytes);
}

/// Rows [rows[0], rows[1]) but for two.
static void add_rows(struct maker *maker, const char *path, const struct pq_type *type,
                     const int rows[4]) {
    struct pq_variant_names *names = NULL;
    struct pq_variant_encoder *encoder = NULL;
    struct pq_builder columns[COLUMNS];
    struct pq_batch batch;
    must(pq_variant_names_create(&pq_alloc_libc, &names, &err));
    must(pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, &err));
    for (uint32_t i = 0; i < type->field_count; i++) {
        must(pq_builder_init(&columns[i], &type->fields[i].type, &pq_alloc_libc, &err));
        if (type->fields[i].type.kind == PQ_VARIANT) columns[i].names = names;
    }
    for (int row = rows[0]; row < rows[1]; row++) {
        if (row == rows[2] || row == rows[3]) continue;
        for (uint32_t i = 0; i < type->field_count; i++) {
            if (i > 1 && i < 16 && (row + (int)i) % 7 == 0) {
                must(pq_builder_append_null(&columns[i], &err));
            } else {
                put_cell(&columns[i], (int)i, row, encoder);
            }
        }
    }
    must(pq_builder_finish_batch(columns, type, &maker->arena, &batch, &err));
    struct pq_iceberg_file *file = &maker->files[maker->file_count++];
    *file = (struct pq_iceberg_file){.path = pq_text_of(path), .is_sorted = true};
    write_file(maker, file, type, &batch);
    for (uint32_t i = 0; i < type->field_count; i++) pq_builder_deinit(&columns[i]);
    pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
}

static void add_deletes(struct maker *maker, const char *path, const char *const *data_paths,
                        const int64_t *positions, size_t count) {
    struct pq_builder columns[2];
    struct pq_batch batch;
    for (int i = 0; i < 2; i++) {
        must(pq_builder_init(&columns[i], &delete_fields[i].type, &pq_alloc_libc, &err));
    }
    for (size_t i = 0; i < count; i++) {
        char full[1200];
        snprintf(full, sizeof full, "file://%s/Orders/%s", maker->root, data_paths[i]);
        must(pq_builder_append_bytes(&columns[0], full, strlen(full), &err));
        must(pq_builder_append_fixed(&columns[1], &positions[i], &err));
    }
    must(pq_builder_finish_batch(columns, &delete_type, &maker->arena, &batch, &err));
    struct pq_iceberg_file *file = &maker->files[maker->file_count++];
    *file = (struct pq_iceberg_file){.content = PQ_ICEBERG_POSITION_DELETES,
                                     .path = pq_text_of(path)};
    write_file(maker, file, &delete_type, &batch);
    for (int i = 0; i < 2; i++) pq_builder_deinit(&columns[i]);
}

static void remove_file(struct maker *maker, const char *path) {
    for (size_t i = 0; i < maker->file_count; i++) {
        if (!pq_text_is(maker->files[i].path, path)) continue;
        maker->files[i] = maker->files[--maker->file_count];
        return;
    }
    pq_assert(false);
}

static void publish(struct maker *maker, const struct pq_type *type,
                    enum pq_iceberg_operation operation) {
    char location[1200], lineage[64];
    snprintf(location, sizeof location, "file://%s/Orders", maker->root);
    snprintf(lineage, sizeof lineage, "{\"sources\":{\"Carts\":%" PRIu64 "}}", maker->version + 1);
    const struct pq_iceberg_pair summary[] = {{PQ_TEXT("parquedb.lineage"), pq_text_of(lineage)}};
    const struct pq_iceberg_pair properties[] = {
        {PQ_TEXT("parquedb.definition"), PQ_TEXT("{\"$from\":\"Carts\"}")}};
    const struct pq_iceberg_commit commit = {
        .version = ++maker->version,
        .time_us = INT64_C(1790000000000000) + (int64_t)maker->version * 1000000,
        .location = pq_text_of(location),
        .operation = operation,
        .schema = type,
        .key_field_id = 1,
        .files = maker->files,
        .file_count = maker->file_count,
        .properties = properties,
        .property_count = 1,
        .summary = summary,
        .summary_count = 1,
        .snapshots_kept = 10,
    };
    struct pq_iceberg_outcome outcome;
    must(pq_iceberg_publish(maker->table, &commit, &maker->arena, &outcome, &err));
}

static void make_table(struct maker *maker) {
    static const char *const first[] = {"data/1.parquet", "data/1.parquet", "data/2.parquet"};
    static const int64_t first_positions[] = {3, 7, 0};
    add_rows(maker, "data/1.parquet", &narrow, (const int[]){0, 100, -1, -1});
    publish(maker, &narrow, PQ_ICEBERG_DERIVED);
    add_rows(maker, "data/2.parquet", &narrow, (const int[]){100, 150, -1, -1});
    publish(maker, &narrow, PQ_ICEBERG_DERIVED);
    add_deletes(maker, "data/3-deletes.parquet", first, first_positions, 3);
    publish(maker, &narrow, PQ_ICEBERG_DERIVED);
    add_rows(maker, "data/4.parquet", &wide, (const int[]){150, 160, -1, -1});
    publish(maker, &wide, PQ_ICEBERG_DERIVED);
    remove_file(maker, "data/1.parquet");
    remove_file(maker, "data/3-deletes.parquet");
    add_rows(maker, "data/5.parquet", &wide, (const int[]){0, 100, 3, 7});
    add_deletes(maker, "data/5-deletes.parquet", first + 2, first_positions + 2, 1);
    publish(maker, &wide, PQ_ICEBERG_REPLACE);
}

int main(int argc, char **argv) {
    if (argc != 2 || argv[1][0] != '/') {
        fprintf(stderr, "usage: iceberg_table ABSOLUTE_FOLDER\n");
        return EXIT_FAILURE;
    }
    struct maker maker = {.root = argv[1]};
    pq_arena_init(&maker.arena, &pq_alloc_libc);
    must(pq_store_open_fs(argv[1], true, &pq_alloc_libc, &maker.store, &err));
    must(pq_store_make_directory(maker.store, "Orders/data", &err));
    must(pq_iceberg_open(maker.store, PQ_TEXT("Orders"), &pq_env_system, &pq_alloc_libc,
                         &maker.table, &err));
    make_table(&maker);
    pq_iceberg_close(maker.table);
    pq_store_destroy(maker.store);
    pq_arena_deinit(&maker.arena);
    return EXIT_SUCCESS;
}
