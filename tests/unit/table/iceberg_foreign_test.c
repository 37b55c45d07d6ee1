/// Goal: tables that others wrote are read as they meant them: by field ids, whatever names, branch
/// orders, codecs and extra fields they use; what is not read here is refused by name.
#include <inttypes.h>
#include <string.h>

#include "codec/codec.h"
#include "store/store.h"
#include "support/test.h"
#include "table/iceberg/avro.h"
#include "table/iceberg/iceberg.h"
#include "table/iceberg/metadata.h"

// A table as old Java writers have it: names of before 1.4, the null branch last, fields of other
// versions in between, a partition, maps as arrays of records, deprecated fields.

#define OPT(type) "[" type ",\"null\"]"
static const char old_list_schema[] =
    "{\"type\":\"record\",\"name\":\"manifest_file\",\"fields\":["
    "{\"name\":\"manifest_path\",\"type\":\"string\",\"doc\":\"Location\",\"field-id\":500},"
    "{\"name\":\"manifest_length\",\"type\":\"long\",\"field-id\":501},"
    "{\"name\":\"partition_spec_id\",\"type\":\"int\",\"field-id\":502},"
    "{\"name\":\"unheard_of\",\"type\":{\"type\":\"map\",\"values\":[\"null\",\"double\"],"
    "\"key-id\":9000,\"value-id\":9001},\"field-id\":9002},"
    "{\"name\":\"content\",\"type\":\"int\",\"field-id\":517},"
    "{\"name\":\"sequence_number\",\"type\":\"long\",\"field-id\":515},"
    "{\"name\":\"min_sequence_number\",\"type\":\"long\",\"field-id\":516},"
    "{\"name\":\"added_snapshot_id\",\"type\":" OPT("\"long\"") ",\"field-id\":503},"
    "{\"name\":\"added_data_files_count\",\"type\":" OPT("\"int\"") ",\"field-id\":504},"
    "{\"name\":\"added_rows_count\",\"type\":" OPT("\"long\"") ",\"field-id\":512}]}";

static const char old_entry_schema[] =
    "{\"type\":\"record\",\"name\":\"manifest_entry\",\"fields\":["
    "{\"name\":\"status\",\"type\":\"int\",\"field-id\":0},"
    "{\"name\":\"snapshot_id\",\"type\":" OPT("\"long\"") ",\"field-id\":1},"
    "{\"name\":\"sequence_number\",\"type\":" OPT("\"long\"") ",\"field-id\":3},"
    "{\"name\":\"data_file\",\"type\":{\"type\":\"record\",\"name\":\"r2\",\"fields\":["
    "{\"name\":\"content\",\"type\":\"int\",\"field-id\":134},"
    "{\"name\":\"file_path\",\"type\":\"string\",\"field-id\":100},"
    "{\"name\":\"file_format\",\"type\":\"string\",\"field-id\":101},"
    "{\"name\":\"partition\",\"type\":{\"type\":\"record\",\"name\":\"r102\",\"fields\":["
    "{\"name\":\"at_day\",\"type\":" OPT("{\"type\":\"int\",\"logicalType\":\"date\"}")
    ",\"field-id\":1000}]},\"field-id\":102},"
    "{\"name\":\"record_count\",\"type\":\"long\",\"field-id\":103},"
    "{\"name\":\"file_size_in_bytes\",\"type\":\"long\",\"field-id\":104},"
    "{\"name\":\"block_size_in_bytes\",\"type\":\"long\",\"field-id\":105},"
    "{\"name\":\"lower_bounds\",\"type\":" OPT(
        "{\"type\":\"array\",\"logicalType\":\"map\",\"items\":{\"type\":\"record\","
        "\"name\":\"k126_v127\",\"fields\":[{\"name\":\"key\",\"type\":\"int\",\"field-id\":126},"
        "{\"name\":\"value\",\"type\":\"bytes\",\"field-id\":127}]}}") ",\"field-id\":125},"
    "{\"name\":\"equality_ids\",\"type\":" OPT(
        "{\"type\":\"array\",\"items\":\"long\",\"element-id\":136}") ",\"field-id\":135},"
    "{\"name\":\"sort_order_id\",\"type\":" OPT("\"int\"") ",\"field-id\":140}"
    "]},\"field-id\":2}]}";

static const char old_metadata[] =
    "{\"format-version\":2,\"table-uuid\":\"9c12d441-03fe-4693-9a96-a0705ddf69c1\","
    "\"location\":\"file:/srv/foreign/t/\",\"last-sequence-number\":34,"
    "\"last-updated-ms\":1602638573590,\"last-column-id\":12,\"current-schema-id\":1,"
    "\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":1,\"name\":\"x\","
    "\"required\":true,\"type\":\"long\"}]},{\"type\":\"struct\",\"schema-id\":1,"
    "\"identifier-field-ids\":[1],\"fields\":["
    "{\"id\":1,\"name\":\"x\",\"required\":true,\"type\":\"int\"},"
    "{\"id\":2,\"name\":\"d\",\"required\":false,\"type\":\"decimal(9,2)\",\"doc\":\"money\"},"
    "{\"id\":3,\"name\":\"e\",\"required\":false,\"type\":\"decimal(9, 2)\"},"
    "{\"id\":4,\"name\":\"f\",\"required\":false,\"type\":\"fixed[16]\"},"
    "{\"id\":5,\"name\":\"u\",\"required\":false,\"type\":\"uuid\"},"
    "{\"id\":6,\"name\":\"t\",\"required\":false,\"type\":\"timestamp\"},"
    "{\"id\":7,\"name\":\"m\",\"required\":false,\"type\":{\"type\":\"map\",\"key-id\":8,"
    "\"key\":\"string\",\"value-id\":9,\"value-required\":false,\"value\":\"double\"}},"
    "{\"id\":10,\"name\":\"l\",\"required\":false,\"type\":{\"type\":\"list\",\"element-id\":11,"
    "\"element-required\":true,\"element\":{\"type\":\"struct\",\"fields\":[{\"id\":12,"
    "\"name\":\"y\",\"required\":false,\"type\":\"date\"}]}}}]}],"
    "\"default-spec-id\":3,\"partition-specs\":[{\"spec-id\":3,\"fields\":[{\"name\":\"at_day\","
    "\"transform\":\"day\",\"source-id\":6,\"field-id\":1000}]}],\"last-partition-id\":1000,"
    "\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,\"fields\":[]}],"
    "\"properties\":{\"owner\":\"somebody\"},\"current-snapshot-id\":%s,"
    "\"refs\":{\"main\":{\"snapshot-id\":%s,\"type\":\"branch\"}},"
    "\"snapshots\":[{\"snapshot-id\":3051729675574597004,\"sequence-number\":34,"
    "\"timestamp-ms\":1602638573590,\"summary\":{\"operation\":\"append\"},"
    "\"manifest-list\":\"file:/srv/foreign/t/metadata/s1.avro\",\"schema-id\":1}],"
    "\"snapshot-log\":[],\"metadata-log\":[]}";

enum { KNOWN, UNKNOWN };  // branches of OPT

struct foreign {
    struct pq_store *store;
    struct pq_arena arena;
    struct pq_iceberg *table;
    struct pq_iceberg_view view;
    pqdb_error err;
    bool deflate;
    int content;         // of the data file
    const char *format;  // of the data file
    const char *location;
};

static void put_container(struct foreign *foreign, const char *path, const char *schema,
                          const struct pq_bytes *record) {
    static const uint8_t sync_marker[PQ_AVRO_SYNC_BYTES] = {7};
    const struct pq_avro_options options = {
        .schema = pq_text_of(schema), .deflate = foreign->deflate, .sync = sync_marker};
    struct pq_avro_writer writer;
    struct pq_bytes file;
    pq_bytes_init(&file, &pq_alloc_libc);
    pq_avro_writer_init(&writer, &options, &pq_alloc_libc, &file, NULL);
    pq_bytes_append(&writer.block, record->data, record->length, NULL);
    pq_avro_end_record(&writer, NULL);
    pq_avro_finish(&writer, NULL);
    CHECK(pq_store_write_file(foreign->store, path, pq_bytes_text(&file), NULL) == PQDB_OK, "%s",
          path);
    pq_avro_writer_deinit(&writer);
    pq_bytes_deinit(&file);
}

static void put_path(struct foreign *foreign, struct pq_bytes *out, const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", foreign->location, name);
    pq_avro_put_bytes(out, pq_text_of(path), NULL);
}

static void put_longs(struct pq_bytes *out, const int64_t *values, size_t count) {
    for (size_t i = 0; i < count; i++) pq_avro_put_long(out, values[i], NULL);
}
#define PUT(out, ...) \
    put_longs(out, (const int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / 8)

static void put_list(struct foreign *foreign) {
    struct pq_bytes record;
    pq_bytes_init(&record, &pq_alloc_libc);
    put_path(foreign, &record, "metadata/m1.avro");
    PUT(&record, 5000, 3);
    PUT(&record, -1, 11);  // a map of one pair in a block that says its size
    pq_avro_put_bytes(&record, PQ_TEXT("k"), NULL);
    PUT(&record, 1);
    pq_bytes_append(&record, "\0\0\0\0\0\0\xf0\x3f", 8, NULL);
    PUT(&record, 0);
    PUT(&record, foreign->content > 0, 34, 30, KNOWN, 3051729675574597004, UNKNOWN, UNKNOWN);
    put_container(foreign, "t/metadata/s1.avro", old_list_schema, &record);
    pq_bytes_deinit(&record);
}

static void put_manifest(struct foreign *foreign) {
    struct pq_bytes record;
    pq_bytes_init(&record, &pq_alloc_libc);
    PUT(&record, 1, UNKNOWN, UNKNOWN, foreign->content);
    put_path(foreign, &record, "data/at_day=2020-10-14/00000-0.parquet");
    pq_avro_put_bytes(&record, pq_text_of(foreign->format), NULL);
    PUT(&record, KNOWN, 18549, 42, 4242, 67108864);
    PUT(&record, KNOWN, -1, 6, 1);  // one item in a sized block
    pq_avro_put_bytes(&record, (struct pq_text){"\5\0\0\0", 4}, NULL);
    PUT(&record, 0);
    PUT(&record, foreign->content == 2 ? KNOWN : UNKNOWN);
    if (foreign->content == 2) PUT(&record, 1, 1, 0);
    PUT(&record, UNKNOWN);
    put_container(foreign, "t/metadata/m1.avro", old_entry_schema, &record);
    pq_bytes_deinit(&record);
}

static void put_metadata(struct foreign *foreign, const char *name, const char *current) {
    char path[64], text[8192];
    snprintf(path, sizeof path, "t/metadata/%s", name);
    snprintf(text, sizeof text, old_metadata, current, current);
    CHECK(pq_store_write_file(foreign->store, path, pq_text_of(text), NULL) == PQDB_OK, "%s",
          path);
}

static void foreign_init(struct foreign *foreign) {
    *foreign = (struct foreign){.format = "PARQUET", .location = "file:/srv/foreign/t"};
    pq_arena_init(&foreign->arena, &pq_alloc_libc);
    CHECK(pq_store_open_memory(&pq_alloc_libc, &foreign->store, NULL) == PQDB_OK, "store");
    CHECK(pq_store_make_directory(foreign->store, "t/metadata", NULL) == PQDB_OK, "directory");
}

static void foreign_deinit(struct foreign *foreign) {
    pq_iceberg_close(foreign->table);
    pq_store_destroy(foreign->store);
    pq_arena_deinit(&foreign->arena);
}

static pqdb_code load(struct foreign *foreign) {
    pq_iceberg_close(foreign->table);
    foreign->table = NULL;
    const pqdb_code code =
        pq_iceberg_open(foreign->store, PQ_TEXT("t"), &pq_env_system, &pq_alloc_libc,
                        &foreign->table, &foreign->err);
    if (code != PQDB_OK) return code;
    return pq_iceberg_load(foreign->table, &foreign->arena, &foreign->view, &foreign->err);
}

#define CURRENT "3051729675574597004"

// ---- tests

static void check_file(const struct foreign *foreign) {
    const struct pq_iceberg_view *view = &foreign->view;
    CHECK(view->file_count == 1, "%zu files", view->file_count);
    if (view->file_count != 1) return;
    const struct pq_iceberg_file *file = &view->files[0];
    CHECK(pq_text_is(file->path, "data/at_day=2020-10-14/00000-0.parquet"), "%s", file->path.data);
    CHECK(file->row_count == 42 && file->file_bytes == 4242 && file->partition_spec_id == 3,
          "figures");
    CHECK(file->sequence_number == 34, "inherited");
    CHECK(file->column_count == 1 && file->columns[0].field_id == 1, "metrics");
    CHECK(file->columns[0].lower.length == 4 && file->columns[0].upper.data == NULL &&
              file->columns[0].value_count == -1, "a bound of four bytes, as it was written");
}

static void old_java_files_are_read_by_field_ids(void) {
    static const char *const locations[] = {"file:/srv/foreign/t", "file:///srv/foreign/t",
                                            "/srv/foreign/t"};
    for (int i = 0; i < 6; i++) {
        struct foreign foreign;
        foreign_init(&foreign);
        foreign.deflate = i % 2 == 0;
        foreign.format = i % 2 == 0 ? "PARQUET" : "parquet";
        foreign.location = locations[i / 2];
        put_list(&foreign);
        put_manifest(&foreign);
        put_metadata(&foreign, "v9.metadata.json", "-1");
        put_metadata(&foreign, "v10.metadata.json", CURRENT);
        CHECK(load(&foreign) == PQDB_OK, "%s %s", foreign.err.subject, foreign.err.message);
        check_file(&foreign);
        foreign_deinit(&foreign);
    }
}

static void foreign_types_become_ours(void) {
    static const enum pq_kind kinds[] = {PQ_INT64, PQ_DECIMAL,   PQ_DECIMAL, PQ_BINARY,
                                         PQ_TEXT,  PQ_TIMESTAMP, PQ_LIST,    PQ_LIST};
    struct foreign foreign;
    foreign_init(&foreign);
    put_metadata(&foreign, "v1.metadata.json", "-1");
    CHECK(load(&foreign) == PQDB_OK, "%s", foreign.err.message);
    const struct pq_type *schema = foreign.view.schema;
    CHECK(!foreign.view.has_snapshot && foreign.view.schema_id == 1, "schema");
    CHECK(schema->field_count == 8, "%u fields", schema->field_count);
    for (size_t i = 0; i < 8; i++) CHECK(schema->fields[i].type.kind == kinds[i], "field %zu", i);
    CHECK(schema->fields[1].type.scale == 2 && schema->fields[2].type.precision == 9, "decimals");
    const struct pq_field *pair = &schema->fields[6].type.fields[0];
    CHECK(pair->type.kind == PQ_OBJECT && pair->type.fields[1].id == 9 &&
              pair->type.fields[1].type.kind == PQ_FLOAT64, "a map is a list of pairs");
    CHECK(schema->fields[7].type.fields[0].type.fields[0].id == 12, "nested ids");
    foreign_deinit(&foreign);
}

static void a_table_without_snapshot_may_say_so_in_three_ways(void) {
    static const char *const none[] = {"-1", "null"};
    for (int i = 0; i < 2; i++) {
        struct foreign foreign;
        foreign_init(&foreign);
        put_metadata(&foreign, "v1.metadata.json", none[i]);
        CHECK(load(&foreign) == PQDB_OK && !foreign.view.has_snapshot, "%s", none[i]);
        foreign_deinit(&foreign);
    }
    struct foreign foreign;
    foreign_init(&foreign);
    const struct pq_text json = PQ_TEXT(
        "{\"format-version\":1,\"location\":\"/a\",\"last-column-id\":1,\"schema\":{\"type\":"
        "\"struct\",\"fields\":[{\"id\":1,\"name\":\"x\",\"required\":true,\"type\":\"int\"}]},"
        "\"partition-spec\":[]}");
    pq_store_write_file(foreign.store, "t/metadata/v1.metadata.json", json, NULL);
    CHECK(load(&foreign) == PQDB_OK && !foreign.view.has_snapshot, "version 1, absent");
    foreign_deinit(&foreign);
}

static void compressed_metadata_is_read(void) {
    struct foreign foreign;
    struct pq_bytes packed;
    char text[8192];
    foreign_init(&foreign);
    pq_bytes_init(&packed, &pq_alloc_libc);
    put_metadata(&foreign, "v1.metadata.json", "-1");
    snprintf(text, sizeof text, old_metadata, CURRENT, CURRENT);
    pq_codec_gzip.compress(pq_text_of(text), 0, &packed, NULL);
    pq_store_write_file(foreign.store, "t/metadata/v2.gz.metadata.json", pq_bytes_text(&packed),
                        NULL);
    put_list(&foreign);
    put_manifest(&foreign);
    CHECK(load(&foreign) == PQDB_OK, "%s", foreign.err.message);
    check_file(&foreign);
    pq_bytes_deinit(&packed);
    foreign_deinit(&foreign);
}

static void what_is_not_read_is_refused_by_name(void) {
    static const struct {
        int content;
        const char *format, *word;
    } cases[] = {{2, "PARQUET", "equality"}, {0, "ORC", "ORC"}, {1, "PUFFIN", "PUFFIN"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct foreign foreign;
        foreign_init(&foreign);
        foreign.content = cases[i].content;
        foreign.format = cases[i].format;
        put_list(&foreign);
        put_manifest(&foreign);
        put_metadata(&foreign, "v1.metadata.json", CURRENT);
        CHECK(load(&foreign) == PQDB_UNSUPPORTED && strstr(foreign.err.message, cases[i].word),
              "%s: %s", cases[i].word, foreign.err.message);
        foreign_deinit(&foreign);
    }
    static const struct {
        const char *json, *word;
        pqdb_code code;
    } metadata[] = {
        {"{\"format-version\":3}", "version 3", PQDB_UNSUPPORTED},
        {"{\"format-version\":2}", "location", PQDB_CORRUPT},
        {"{\"format-version\":2,\"location\":\"/a\"}", "schema", PQDB_CORRUPT},
        {"{\"format-version\":\"2\"}", "format-version", PQDB_CORRUPT},
        {"[]", "format-version", PQDB_CORRUPT},
        {"{\"format-version\":2,", "JSON", PQDB_CORRUPT},
        {"", "JSON", PQDB_CORRUPT},
    };
    for (size_t i = 0; i < sizeof metadata / sizeof *metadata; i++) {
        struct foreign foreign;
        foreign_init(&foreign);
        pq_store_write_file(foreign.store, "t/metadata/v1.metadata.json",
                            pq_text_of(metadata[i].json), NULL);
        CHECK(load(&foreign) == metadata[i].code &&
                  strstr(foreign.err.message, metadata[i].word) != NULL,
              "%s: %s", metadata[i].json, foreign.err.message);
        foreign_deinit(&foreign);
    }
}

/// What others put into one of our tables goes with our next publish.
static void a_publish_replaces_what_others_wrote(void) {
    struct foreign foreign;
    struct pq_iceberg_outcome outcome;
    const struct pq_field fields[] = {{{"$id", 3}, {.kind = PQ_TEXT}, true, 1}};
    const struct pq_type schema = {.kind = PQ_OBJECT, .field_count = 1, .fields = fields};
    const struct pq_iceberg_file file = {.path = PQ_TEXT("data/1.parquet"), .row_count = 1};
    const struct pq_iceberg_commit commit = {.version = 5,
                                             .location = PQ_TEXT("file:///srv/foreign/t"),
                                             .schema = &schema,
                                             .key_field_id = 1,
                                             .files = &file,
                                             .file_count = 1,
                                             .snapshots_kept = 2};
    foreign_init(&foreign);
    put_list(&foreign);
    put_manifest(&foreign);
    put_metadata(&foreign, "v1.metadata.json", CURRENT);
    CHECK(load(&foreign) == PQDB_OK, "%s", foreign.err.message);
    uint64_t version = 0;
    CHECK(!pq_iceberg_version(foreign.table, &version), "not ours");
    CHECK(pq_iceberg_publish(foreign.table, &commit, &foreign.arena, &outcome, &foreign.err) ==
              PQDB_OK, "%s", foreign.err.message);
    CHECK(load(&foreign) == PQDB_OK, "%s", foreign.err.message);
    CHECK(foreign.view.file_count == 1 &&
              pq_text_is(foreign.view.files[0].path, "data/1.parquet"), "our file");
    CHECK(foreign.view.schema_id == 2 && foreign.view.last_column_id == 12, "schema");
    CHECK(pq_text_is(foreign.view.uuid, "9c12d441-03fe-4693-9a96-a0705ddf69c1"), "uuid");
    CHECK(foreign.view.sequence_number == 35, "sequence number");
    CHECK(pq_text_is(pq_iceberg_pair_find(foreign.view.properties, foreign.view.property_count,
                                          "owner"), "somebody"), "properties stay");
    foreign_deinit(&foreign);
}

int main(void) {
    RUN(old_java_files_are_read_by_field_ids);
    RUN(foreign_types_become_ours);
    RUN(a_table_without_snapshot_may_say_so_in_three_ways);
    RUN(compressed_metadata_is_read);
    RUN(what_is_not_read_is_refused_by_name);
    RUN(a_publish_replaces_what_others_wrote);
    return test_done();
}
