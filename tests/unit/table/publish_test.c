/// Goal: rows that are dead at the published version are hidden by a delete file that others can
/// trust: sorted, exact, and never changed once a snapshot names it.
#include "table/publish.h"

#include <string.h>

#include "batch/builder.h"
#include "parquet/reader.h"
#include "parquet/writer.h"
#include "support/test.h"
#include "table/data_file.h"

static const struct pq_field fields[] = {
    {{"$id", 3}, {.kind = PQ_TEXT}, true, 1},
    {{"$seq", 4}, {.kind = PQ_INT64}, true, 2},
};
static const struct pq_type type = {.kind = PQ_OBJECT, .field_count = 2, .fields = fields};

struct world {
    struct pq_store *store;
    struct pq_iceberg *iceberg;
    struct pq_arena arena;
    struct pq_segment *segments[3];
    struct pq_iceberg_view view;
    pqdb_error err;
};

static void must(struct world *world, pqdb_code code) {
    CHECK(code == PQDB_OK, "%s %s", world->err.subject, world->err.message);
}

static pqdb_code append_bytes(void *ctx, const void *data, size_t length, pqdb_error *err) {
    return pq_bytes_append(ctx, data, length, err);
}

/// A file of ten rows and the segment over it.
static struct pq_segment *make_segment(struct world *world, const char *path) {
    struct pq_builder columns[2];
    struct pq_batch batch;
    struct pq_parquet_writer *writer = NULL;
    struct pq_parquet_file_info info;
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    for (int i = 0; i < 2; i++) {
        must(world, pq_builder_init(&columns[i], &fields[i].type, &world->arena.alloc, NULL));
    }
    for (int64_t row = 0; row < 10; row++) {
        char id[32];
        snprintf(id, sizeof id, "%c%d", path[12], (int)row);
        pq_builder_append_bytes(&columns[0], id, strlen(id), NULL);
        pq_builder_append_fixed(&columns[1], &row, NULL);
    }
    const struct pq_parquet_writer_options options = {.type = &type};
    const struct pq_parquet_sink sink = {append_bytes, &bytes};
    must(world, pq_builder_finish_batch(columns, &type, &world->arena, &batch, &world->err));
    must(world, pq_parquet_writer_create(&options, sink, &pq_alloc_libc, &writer, &world->err));
    must(world, pq_parquet_writer_append(writer, &batch, &world->err));
    must(world, pq_parquet_writer_finish(writer, &info, &world->err));
    pq_parquet_writer_destroy(writer);
    must(world, pq_store_write_file(world->store, path, pq_bytes_text(&bytes), &world->err));
    const struct pq_data_file_options file_options = {.store = world->store,
                                                      .path = pq_text_of(path),
                                                      .bytes = bytes.length,
                                                      .rows = 10,
                                                      .type = &type,
                                                      .alloc = &pq_alloc_libc};
    struct pq_data_file *file = NULL;
    struct pq_segment *segment = NULL;
    must(world, pq_data_file_create(&file_options, &file, &world->err));
    const struct pq_segment_file given = {.file = file, .rows = 10, .version = 1};
    must(world, pq_segment_create_file(&given, &pq_alloc_libc, &segment, &world->err));
    pq_bytes_deinit(&bytes);
    return segment;
}

static void world_init(struct world *world) {
    memset(world, 0, sizeof *world);
    pq_arena_init(&world->arena, &pq_alloc_libc);
    must(world, pq_store_open_memory(&pq_alloc_libc, &world->store, &world->err));
    must(world, pq_store_make_directory(world->store, "Orders/data", &world->err));
    must(world, pq_iceberg_open(world->store, PQ_TEXT("Orders"), &pq_env_system, &pq_alloc_libc,
                                &world->iceberg, &world->err));
    // Not in the order of their names.
    world->segments[0] = make_segment(world, "Orders/data/b.parquet");
    world->segments[1] = make_segment(world, "Orders/data/a.parquet");
    world->segments[2] = make_segment(world, "Orders/data/c.parquet");
}

static void world_deinit(struct world *world) {
    for (int i = 0; i < 3; i++) pq_segment_unref(world->segments[i]);
    pq_iceberg_close(world->iceberg);
    pq_store_destroy(world->store);
    pq_arena_deinit(&world->arena);
}

static void publish(struct world *world, uint64_t version, size_t file_count) {
    static const struct pq_iceberg_pair pairs[] = {
        {{"parquedb.definition", 19}, {"{}", 2}}, {{"parquedb.lineage", 16}, {"{\"v\":1}", 7}}};
    const struct pq_publish given = {.store = world->store,
                                     .directory = "Orders",
                                     .location = "file:///srv/db",
                                     .version = version,
                                     .time_us = INT64_C(1790000000000000),
                                     .type = &type,
                                     .files = world->segments,
                                     .file_count = file_count,
                                     .rows_changed = true,
                                     .properties = pairs,
                                     .property_count = 2,
                                     .snapshots_kept = 3,
                                     .alloc = &pq_alloc_libc};
    struct pq_iceberg_outcome outcome;
    must(world, pq_table_publish_files(world->iceberg, &given, &world->arena, &outcome,
                                       &world->err));
    must(world, pq_iceberg_load(world->iceberg, &world->arena, &world->view, &world->err));
}

static const struct pq_iceberg_file *delete_file(const struct world *world) {
    const struct pq_iceberg_file *found = NULL;
    for (size_t i = 0; i < world->view.file_count; i++) {
        if (world->view.files[i].content != PQ_ICEBERG_POSITION_DELETES) continue;
        CHECK(found == NULL, "one delete file");
        found = &world->view.files[i];
    }
    return found;
}

static pqdb_code read_bytes(void *ctx, uint64_t offset, void *out, size_t length,
                            pqdb_error *err) {
    (void)err;
    memcpy(out, ((struct pq_bytes *)ctx)->data + offset, length);
    return PQDB_OK;
}

/// "path:position path:position" of the delete file, paths without the table's.
static void check_deletes(struct world *world, const char *wanted) {
    const struct pq_iceberg_file *file = delete_file(world);
    char path[256], got[256] = "";
    struct pq_bytes bytes;
    struct pq_parquet_file *reader = NULL;
    struct pq_batch batch;
    CHECK(file != NULL, "no delete file; want %s", wanted);
    if (file == NULL) return;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    snprintf(path, sizeof path, "Orders/%s", file->path.data);
    must(world, pq_store_read_file(world->store, path, 1 << 20, &bytes, &world->err));
    CHECK(file->file_bytes == (int64_t)bytes.length, "the manifest knows its size");
    const struct pq_parquet_source source = {read_bytes, &bytes};
    must(world, pq_parquet_open(&source, bytes.length, NULL, &pq_alloc_libc, &reader,
                                &world->err));
    const struct pq_type *columns = pq_parquet_type(reader);
    CHECK(columns->fields[0].id == PQ_ICEBERG_ID_DELETE_PATH &&
              columns->fields[1].id == PQ_ICEBERG_ID_DELETE_POS, "reserved ids");
    const struct pq_parquet_request request = {
        .fields = (const uint32_t[]){0, 1}, .field_count = 2, .row_count = UINT64_MAX};
    must(world, pq_parquet_read(reader, &request, &world->arena, &batch, &world->err));
    CHECK((int64_t)batch.count == file->row_count, "the manifest knows its rows");
    for (size_t row = 0; row < batch.count; row++) {
        const struct pq_text full = pq_column_text(&batch.columns[0], row);
        const struct pq_text table = PQ_TEXT("file:///srv/db/Orders/data/");
        CHECK(pq_text_starts_with(full, table), "%.*s", PQ_TEXT_ARG(full));
        const size_t used = strlen(got);
        snprintf(got + used, sizeof got - used, "%s%.*s:%d", used > 0 ? " " : "",
                 (int)(full.length - table.length), full.data + table.length,
                 (int)((const int64_t *)batch.columns[1].values)[row]);
    }
    CHECK(strcmp(got, wanted) == 0, "got %s, want %s", got, wanted);
    pq_parquet_close(reader);
    pq_bytes_deinit(&bytes);
}

static void dead_rows_are_listed_in_order(void) {
    struct world world;
    world_init(&world);
    publish(&world, 1, 3);
    CHECK(delete_file(&world) == NULL && world.view.file_count == 3, "nothing is dead");
    must(&world, pq_segment_kill(world.segments[0], 7, 2, &world.err));
    must(&world, pq_segment_kill(world.segments[0], 3, 2, &world.err));
    must(&world, pq_segment_kill(world.segments[1], 9, 2, &world.err));
    must(&world, pq_segment_kill(world.segments[2], 0, 3, &world.err));  // after the cut
    publish(&world, 2, 3);
    check_deletes(&world, "a.parquet:9 b.parquet:3 b.parquet:7");
    publish(&world, 3, 3);
    check_deletes(&world, "a.parquet:9 b.parquet:3 b.parquet:7 c.parquet:0");
    world_deinit(&world);
}

static void a_delete_file_that_was_published_does_not_change(void) {
    struct world world;
    world_init(&world);
    must(&world, pq_segment_kill(world.segments[0], 1, 2, &world.err));
    must(&world, pq_segment_kill(world.segments[2], 5, 2, &world.err));
    publish(&world, 2, 3);
    check_deletes(&world, "b.parquet:1 c.parquet:5");
    const struct pq_text first = delete_file(&world)->path;
    publish(&world, 2, 3);
    CHECK(pq_text_equal(delete_file(&world)->path, first), "the same, the same name");
    publish(&world, 2, 2);  // c went in a compaction that no commit came before
    check_deletes(&world, "b.parquet:1");
    CHECK(!pq_text_equal(delete_file(&world)->path, first), "another, another name");
    world_deinit(&world);
}

static void lineage_is_in_the_summary(void) {
    struct world world;
    world_init(&world);
    publish(&world, 1, 3);
    size_t found = 0;
    for (size_t i = 0; i < world.view.summary_count; i++) {
        const struct pq_iceberg_pair *pair = &world.view.summary[i];
        CHECK(!pq_text_is(pair->key, "parquedb.definition"), "not in each snapshot");
        found += pq_text_is(pair->key, "parquedb.lineage") &&
                 pq_text_is(pair->value, "{\"v\":1}");
    }
    CHECK(found == 1 && world.view.property_count == 2, "%zu", found);
    world_deinit(&world);
}

int main(void) {
    RUN(dead_rows_are_listed_in_order);
    RUN(a_delete_file_that_was_published_does_not_change);
    RUN(lineage_is_in_the_summary);
    return test_done();
}
