/// Goal: a table's metadata follows its files, publish by publish, and says so when it is read back
/// by another handle: which files, with which metrics; nothing twice; nothing left behind.
#include <inttypes.h>
#include <string.h>

#include "store/store.h"
#include "support/test.h"
#include "table/iceberg/iceberg_internal.h"

#define LOCATION "file:///srv/db/Orders"

static const struct pq_field fields[] = {
    {{"$id", 3}, {.kind = PQ_TEXT}, true, 1},
    {{"$seq", 4}, {.kind = PQ_INT64}, true, 2},
    {{"total", 5}, {.kind = PQ_DECIMAL, .precision = 10, .scale = 2}, false, 3},
};
static const struct pq_type schema = {.kind = PQ_OBJECT, .field_count = 3, .fields = fields};

/// The state of one table under test, and the files that it should have.
struct world {
    struct pq_store *store;
    struct pq_iceberg *table;
    struct pq_arena arena;
    struct pq_iceberg_file files[512];
    size_t file_count;
    uint64_t version;
    uint32_t snapshots_kept;
    struct pq_iceberg_outcome outcome;
    pqdb_error err;
};

static const struct pq_iceberg_column columns[] = {
    {1, 100, 10, 0, -1, {"a", 1}, {"zz", 2}},
    {2, 50, 10, 0, -1, {"\1\0\0\0\0\0\0\0", 8}, {"\7\0\0\0\0\0\0\0", 8}},
    {3, 0, 10, 10, -1, {NULL, 0}, {NULL, 0}},
};
static const int64_t splits[] = {4, 4096};

static void open_table(struct world *world) {
    pq_iceberg_close(world->table);
    world->table = NULL;
    CHECK(pq_iceberg_open(world->store, PQ_TEXT("Orders"), &pq_env_system, &pq_alloc_libc,
                          &world->table, &world->err) == PQDB_OK, "%s", world->err.message);
}

static void world_init(struct world *world) {
    memset(world, 0, sizeof *world);
    world->snapshots_kept = 3;
    pq_arena_init(&world->arena, &pq_alloc_libc);
    CHECK(pq_store_open_memory(&pq_alloc_libc, &world->store, NULL) == PQDB_OK, "store");
    open_table(world);
}

static void world_deinit(struct world *world) {
    pq_iceberg_close(world->table);
    pq_store_destroy(world->store);
    pq_arena_deinit(&world->arena);
}

static void add_file(struct world *world, enum pq_iceberg_content content, int number) {
    char path[64];
    snprintf(path, sizeof path, "data/%06d.parquet", number);
    world->files[world->file_count++] = (struct pq_iceberg_file){
        .content = content,
        .path = pq_arena_copy(&world->arena, pq_text_of(path)),
        .row_count = number,
        .file_bytes = 1000 + number,
        .columns = columns,
        .column_count = 3,
        .split_offsets = splits,
        .split_count = 2,
        .is_sorted = content == PQ_ICEBERG_DATA,
    };
}

static void remove_file(struct world *world, size_t index) {
    world->files[index] = world->files[--world->file_count];
}

static struct pq_iceberg_commit commit_of(struct world *world) {
    return (struct pq_iceberg_commit){
        .version = world->version,
        .time_us = INT64_C(1790000000000000) + (int64_t)world->version * 1000000,
        .location = PQ_TEXT(LOCATION),
        .schema = &schema,
        .key_field_id = 1,
        .files = world->files,
        .file_count = world->file_count,
        .snapshots_kept = world->snapshots_kept,
    };
}

static pqdb_code publish(struct world *world) {
    world->version++;
    const struct pq_iceberg_commit commit = commit_of(world);
    return pq_iceberg_publish(world->table, &commit, &world->arena, &world->outcome, &world->err);
}

static void must_publish(struct world *world) {
    const pqdb_code code = publish(world);
    CHECK(code == PQDB_OK && world->outcome.is_new, "%s", world->err.message);
}

static const struct pq_iceberg_file *find_file(const struct pq_iceberg_view *view,
                                               struct pq_text path) {
    for (size_t i = 0; i < view->file_count; i++) {
        if (pq_text_equal(view->files[i].path, path)) return &view->files[i];
    }
    return NULL;
}

static bool same_column(const struct pq_iceberg_column *a, const struct pq_iceberg_column *b) {
    return a->field_id == b->field_id && a->bytes == b->bytes && a->nan_count == b->nan_count &&
           a->value_count == b->value_count && a->null_count == b->null_count &&
           pq_text_equal(a->lower, b->lower) && pq_text_equal(a->upper, b->upper);
}

static void check_file(const struct pq_iceberg_file *want, const struct pq_iceberg_file *got) {
    CHECK(got != NULL, "%s is missing", want->path.data);
    if (got == NULL) return;
    CHECK(got->content == want->content && got->row_count == want->row_count &&
              got->file_bytes == want->file_bytes && got->is_sorted == want->is_sorted,
          "%s", want->path.data);
    CHECK(got->split_count == 2 && got->split_offsets[1] == 4096, "%s", want->path.data);
    CHECK(got->column_count == want->column_count, "%s: %zu columns", want->path.data,
          got->column_count);
    for (size_t i = 0; i < got->column_count && i < want->column_count; i++) {
        CHECK(same_column(&want->columns[i], &got->columns[i]), "%s column %zu", want->path.data,
              i);
    }
}

static void load(struct world *world, struct pq_iceberg_view *view) {
    struct pq_iceberg *reader = NULL;
    memset(view, 0, sizeof *view);
    CHECK(pq_iceberg_open(world->store, PQ_TEXT("Orders"), &pq_env_system, &pq_alloc_libc,
                          &reader, &world->err) == PQDB_OK, "%s", world->err.message);
    CHECK(pq_iceberg_load(reader, &world->arena, view, &world->err) == PQDB_OK, "%s",
          world->err.message);
    pq_iceberg_close(reader);
}

static struct pq_text summary_of(const struct pq_iceberg_view *view, const char *key) {
    const struct pq_text found = pq_iceberg_pair_find(view->summary, view->summary_count, key);
    return found.data == NULL ? PQ_TEXT("none") : found;
}

static void check_files(struct world *world) {
    struct pq_iceberg_view view;
    load(world, &view);
    CHECK(view.file_count == world->file_count, "%zu files, want %zu", view.file_count,
          world->file_count);
    int64_t rows = 0;
    for (size_t i = 0; i < world->file_count; i++) {
        check_file(&world->files[i], find_file(&view, world->files[i].path));
        if (world->files[i].content == PQ_ICEBERG_DATA) rows += world->files[i].row_count;
    }
    char text[32];
    snprintf(text, sizeof text, "%" PRId64, rows);
    CHECK(pq_text_is(summary_of(&view, "total-records"), text), "rows %s", text);
    snprintf(text, sizeof text, "%" PRIu64, world->version);
    CHECK(pq_text_is(summary_of(&view, PQ_ICEBERG_VERSION_KEY), text), "version %s", text);
}

// ---- tests

static void a_new_table_is_not_there(void) {
    struct world world;
    struct pq_iceberg_view view;
    uint64_t version = 0;
    world_init(&world);
    CHECK(!pq_iceberg_version(world.table, &version), "version");
    CHECK(pq_iceberg_load(world.table, &world.arena, &view, &world.err) == PQDB_NOT_FOUND, "load");
    world_deinit(&world);
}

static void what_is_published_is_read_back(void) {
    struct world world;
    struct pq_iceberg_view view;
    world_init(&world);
    must_publish(&world);  // a table without files is a table
    check_files(&world);
    for (int i = 1; i <= 3; i++) add_file(&world, PQ_ICEBERG_DATA, i);
    must_publish(&world);
    check_files(&world);
    add_file(&world, PQ_ICEBERG_POSITION_DELETES, 4);
    must_publish(&world);
    check_files(&world);
    load(&world, &view);
    CHECK(pq_text_is(view.location, LOCATION), "location");
    CHECK(view.format_version == 2 && view.last_column_id == 3, "ids");
    CHECK(view.schema->field_count == 3 && pq_text_is(view.schema->fields[2].name, "total") &&
              view.schema->fields[2].type.kind == PQ_DECIMAL &&
              view.schema->fields[2].type.scale == 2 && view.schema->fields[1].required,
          "schema");
    CHECK(view.sequence_number == 3, "sequence number %" PRId64, view.sequence_number);
    CHECK(find_file(&view, world.files[0].path)->sequence_number == 2, "inherited");
    world_deinit(&world);
}

static void operations_follow_from_the_files(void) {
    struct world world;
    struct pq_iceberg_view view;
    world_init(&world);
    add_file(&world, PQ_ICEBERG_DATA, 1);
    add_file(&world, PQ_ICEBERG_DATA, 2);
    must_publish(&world);
    load(&world, &view);
    CHECK(pq_text_is(summary_of(&view, "operation"), "append"), "append");
    CHECK(pq_text_is(summary_of(&view, "added-records"), "3"), "added");
    CHECK(pq_text_is(summary_of(&view, "added-files-size"), "2003"), "added");
    CHECK(pq_text_is(summary_of(&view, "deleted-records"), "none"), "deleted");
    remove_file(&world, 0);
    must_publish(&world);
    load(&world, &view);
    CHECK(pq_text_is(summary_of(&view, "operation"), "delete"), "delete");
    CHECK(pq_text_is(summary_of(&view, "deleted-records"), "1"), "deleted");
    CHECK(pq_text_is(summary_of(&view, "total-data-files"), "1"), "total");
    remove_file(&world, 0);
    add_file(&world, PQ_ICEBERG_DATA, 5);
    must_publish(&world);
    load(&world, &view);
    CHECK(pq_text_is(summary_of(&view, "operation"), "overwrite"), "overwrite");
    add_file(&world, PQ_ICEBERG_POSITION_DELETES, 6);
    must_publish(&world);
    load(&world, &view);
    CHECK(pq_text_is(summary_of(&view, "operation"), "delete"), "delete");
    CHECK(pq_text_is(summary_of(&view, "added-position-deletes"), "6"), "deletes");
    CHECK(pq_text_is(summary_of(&view, "total-position-deletes"), "6"), "deletes");
    CHECK(pq_text_is(summary_of(&view, "total-records"), "5"), "rows are counted without them");
    world_deinit(&world);
}

static void a_repeated_publish_does_nothing(void) {
    struct world world;
    world_init(&world);
    add_file(&world, PQ_ICEBERG_DATA, 1);
    add_file(&world, PQ_ICEBERG_DATA, 2);
    must_publish(&world);
    const int64_t snapshot_id = world.outcome.snapshot_id;
    for (int i = 0; i < 2; i++) {
        world.version--;
        CHECK(publish(&world) == PQDB_OK && !world.outcome.is_new, "%s", world.err.message);
        CHECK(world.outcome.snapshot_id == snapshot_id && world.outcome.metadata_number == 1, "id");
        const struct pq_iceberg_file first = world.files[0];
        world.files[0] = world.files[1];
        world.files[1] = first;
        open_table(&world);
        uint64_t version = 0;
        CHECK(pq_iceberg_version(world.table, &version) && version == 1, "version");
    }
    // A compaction makes no version, and may leave as many files as there were.
    world.version--;
    remove_file(&world, 0);
    add_file(&world, PQ_ICEBERG_DATA, 3);
    must_publish(&world);
    check_files(&world);
    world_deinit(&world);
}

static void time_does_not_go_back(void) {
    struct world world;
    struct pq_iceberg_view view;
    world_init(&world);
    must_publish(&world);
    load(&world, &view);
    const int64_t time_ms = view.time_ms;
    struct pq_iceberg_commit commit = commit_of(&world);
    commit.version = 2;
    commit.time_us -= INT64_C(3600000000);
    CHECK(pq_iceberg_publish(world.table, &commit, &world.arena, &world.outcome, NULL) == PQDB_OK,
          "publish");
    load(&world, &view);
    CHECK(view.time_ms == time_ms, "readers refuse clocks that go back");
    world_deinit(&world);
}

static void a_lost_hint_is_written_again(void) {
    struct world world;
    struct pq_bytes hint;
    pq_bytes_init(&hint, &pq_alloc_libc);
    world_init(&world);
    must_publish(&world);
    must_publish(&world);
    CHECK(pq_store_write_file(world.store, "Orders/metadata/version-hint.text", PQ_TEXT("1"),
                              NULL) == PQDB_OK, "hint");
    open_table(&world);
    world.version--;
    CHECK(publish(&world) == PQDB_OK && !world.outcome.is_new, "%s", world.err.message);
    CHECK(pq_store_read_file(world.store, "Orders/metadata/version-hint.text", 10, &hint, NULL) ==
                  PQDB_OK && pq_text_is(pq_bytes_text(&hint), "2"), "hint");
    pq_bytes_deinit(&hint);
    world_deinit(&world);
}

static void wrong_commits_are_refused(void) {
    struct world world;
    world_init(&world);
    add_file(&world, PQ_ICEBERG_DATA, 1);
    add_file(&world, PQ_ICEBERG_DATA, 1);
    CHECK(publish(&world) == PQDB_INVALID && strstr(world.err.message, "twice"), "%s",
          world.err.message);
    world.file_count = 0;
    struct pq_iceberg_commit commit = commit_of(&world);
    commit.location = PQ_TEXT("/srv/db/Orders");
    CHECK(pq_iceberg_publish(world.table, &commit, &world.arena, &world.outcome, &world.err) ==
              PQDB_INVALID, "location");
    struct pq_field clash[3] = {fields[0], fields[1], fields[2]};
    const struct pq_type clashing = {.kind = PQ_OBJECT, .field_count = 3, .fields = clash};
    commit = commit_of(&world);
    commit.schema = &clashing;
    clash[2].id = 2;
    CHECK(pq_iceberg_publish(world.table, &commit, &world.arena, &world.outcome, &world.err) ==
              PQDB_INVALID, "id twice");
    clash[2].id = 0;
    CHECK(pq_iceberg_publish(world.table, &commit, &world.arena, &world.outcome, &world.err) ==
              PQDB_INVALID, "no id");
    CHECK(pq_iceberg_load(world.table, &world.arena, &(struct pq_iceberg_view){0}, NULL) ==
              PQDB_NOT_FOUND, "nothing was written");
    world_deinit(&world);
}

static void schemas_evolve_and_come_back(void) {
    struct world world;
    struct pq_iceberg_view view;
    const struct pq_type narrow = {.kind = PQ_OBJECT, .field_count = 2, .fields = fields};
    world_init(&world);
    const struct pq_type *const types[] = {&schema, &narrow, &schema};
    const int32_t ids[] = {0, 1, 0};
    for (int i = 0; i < 3; i++) {
        struct pq_iceberg_commit commit = commit_of(&world);
        commit.version = (uint64_t)i + 1;
        commit.schema = types[i];
        CHECK(pq_iceberg_publish(world.table, &commit, &world.arena, &world.outcome, &world.err) ==
                  PQDB_OK, "%s", world.err.message);
        load(&world, &view);
        CHECK(view.schema_id == ids[i], "schema id %d", view.schema_id);
        CHECK(view.schema->field_count == types[i]->field_count, "fields");
        CHECK(view.last_column_id == 3, "ids are not given back");
    }
    world_deinit(&world);
}

static void properties_are_set_and_kept(void) {
    struct world world;
    struct pq_iceberg_view view;
    const struct pq_iceberg_pair first[] = {{PQ_TEXT("a"), PQ_TEXT("1")},
                                            {PQ_TEXT("b\""), PQ_TEXT("{\"x\":\"\\n\"}")}};
    const struct pq_iceberg_pair second[] = {{PQ_TEXT("a"), PQ_TEXT("2")}};
    world_init(&world);
    struct pq_iceberg_commit commit = commit_of(&world);
    commit.properties = first;
    commit.property_count = 2;
    commit.summary = second;
    commit.summary_count = 1;
    CHECK(pq_iceberg_publish(world.table, &commit, &world.arena, &world.outcome, NULL) == PQDB_OK,
          "publish");
    commit.properties = second;
    commit.property_count = 1;
    CHECK(pq_iceberg_publish(world.table, &commit, &world.arena, &world.outcome, NULL) == PQDB_OK,
          "publish");
    load(&world, &view);
    CHECK(view.property_count == 2, "%zu", view.property_count);
    CHECK(pq_text_is(pq_iceberg_pair_find(view.properties, 2, "a"), "2"), "a");
    CHECK(pq_text_is(pq_iceberg_pair_find(view.properties, 2, "b\""), "{\"x\":\"\\n\"}"), "b");
    CHECK(pq_text_is(summary_of(&view, "a"), "2"), "summary");
    world_deinit(&world);
}

static pqdb_code measure(void *ctx, size_t index, struct pq_arena *arena,
                         struct pq_iceberg_file *file, pqdb_error *err) {
    (void)arena;
    (void)err;
    ((size_t *)ctx)[0]++;
    ((size_t *)ctx)[1] = index;
    file->row_count = 77;
    return PQDB_OK;
}

static void only_new_files_are_measured(void) {
    struct world world;
    struct pq_iceberg_view view;
    size_t calls[2] = {0, 0};
    world_init(&world);
    add_file(&world, PQ_ICEBERG_DATA, 1);
    must_publish(&world);
    add_file(&world, PQ_ICEBERG_DATA, 2);
    struct pq_iceberg_commit commit = commit_of(&world);
    commit.measure = measure;
    commit.measure_ctx = calls;
    CHECK(pq_iceberg_publish(world.table, &commit, &world.arena, &world.outcome, NULL) == PQDB_OK,
          "publish");
    CHECK(calls[0] == 1 && calls[1] == 1, "%zu calls", calls[0]);
    load(&world, &view);
    CHECK(find_file(&view, world.files[1].path)->row_count == 77, "measured");
    world_deinit(&world);
}

/// Everything that a kept snapshot needs is there, and nothing else is.
static void check_store(struct world *world) {
    struct pq_store_list list;
    size_t needed = world->table->metadata.metadata_log_count + 2;  // with the hint
    struct pq_text seen[256];
    size_t seen_count = 0;
    const struct pq_iceberg_metadata *metadata = &world->table->metadata;
    CHECK(metadata->snapshot_count <= world->snapshots_kept &&
              metadata->metadata_log_count <= world->snapshots_kept &&
              metadata->snapshot_log_count == metadata->snapshot_count, "history is bounded");
    for (size_t i = 0; i < world->table->metadata.snapshot_count; i++) {
        struct pq_iceberg_list manifests = {NULL, 0};
        CHECK(pq_iceberg_read_list(world->table, &world->table->metadata.snapshots[i],
                                   &world->arena, &manifests, &world->err) == PQDB_OK,
              "%s: %s", world->err.subject, world->err.message);
        needed++;
        for (size_t k = 0; k < manifests.count; k++) {
            struct pq_iceberg_entries entries = {NULL, 0};
            CHECK(pq_iceberg_read_entries(world->table, &manifests.items[k], &world->arena,
                                          &entries, &world->err) == PQDB_OK,
                  "%s: %s", world->err.subject, world->err.message);
            bool is_seen = false;
            for (size_t j = 0; j < seen_count; j++) {
                is_seen = is_seen || pq_text_equal(seen[j], manifests.items[k].path);
            }
            if (!is_seen && seen_count < 256) seen[seen_count++] = manifests.items[k].path;
        }
    }
    CHECK(pq_store_list(world->store, "Orders/metadata", &world->arena, &list, NULL) == PQDB_OK,
          "list");
    CHECK(list.count == needed + seen_count, "%zu files, %zu needed", list.count,
          needed + seen_count);
}

static void remove_unneeded(struct world *world) {
    char path[PQ_ICEBERG_PATH_BYTES];
    for (size_t i = 0; i < world->outcome.unneeded_count; i++) {
        snprintf(path, sizeof path, "Orders/%s", world->outcome.unneeded[i].data);
        CHECK(pq_store_unlink(world->store, path, NULL) == PQDB_OK, "%s", path);
    }
}

static uint64_t random_state;
static size_t random_below(size_t bound) {
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(random_state >> 33) % bound;
}

/// Random files come and go; what is unneeded is removed each time.
static void many_publishes_leave_nothing_behind_and_stay_few(uint32_t snapshots_kept) {
    struct world world;
    bool is_there[4096] = {false};
    world_init(&world);
    world.snapshots_kept = snapshots_kept;
    random_state = snapshots_kept;
    int next = 1;
    size_t released = 0;
    for (int round = 0; round < 120; round++) {
        while (world.file_count > 0 && random_below(4) == 0) {
            remove_file(&world, random_below(world.file_count));
        }
        const size_t added = random_below(4) == 0 ? random_below(20) : 1;
        for (size_t i = 0; i < added && world.file_count < 500; i++) {
            is_there[next] = true;
            add_file(&world, random_below(5) == 0, next++);
        }
        must_publish(&world);
        remove_unneeded(&world);
        for (size_t i = 0; i < world.outcome.released_count; i++) {
            const long number = strtol(world.outcome.released[i].data + 5, NULL, 10);
            CHECK(is_there[number], "%ld is released twice", number);
            is_there[number] = false;
            released++;
        }
        CHECK(world.table->manifest_count <= 40, "%zu manifests", world.table->manifest_count);
        if (round % 8 == 0) open_table(&world);
        check_files(&world);
        check_store(&world);
    }
    for (uint32_t i = 0; i < snapshots_kept; i++) {
        must_publish(&world);
        remove_unneeded(&world);
        released += world.outcome.released_count;
    }
    check_store(&world);
    CHECK(released + world.file_count == (size_t)next - 1, "%zu released, %zu live of %d", released,
          world.file_count, next - 1);
    world_deinit(&world);
}

static void history_of_one_snapshot(void) { many_publishes_leave_nothing_behind_and_stay_few(1); }
static void history_of_four_snapshots(void) { many_publishes_leave_nothing_behind_and_stay_few(4); }

static void a_publish_of_one_file_writes_one_manifest(void) {
    struct world world;
    struct pq_store_list before, after;
    world_init(&world);
    world.snapshots_kept = 1000;
    for (int i = 1; i <= 100; i++) add_file(&world, PQ_ICEBERG_DATA, i);
    must_publish(&world);
    pq_store_list(world.store, "Orders/metadata", &world.arena, &before, NULL);
    add_file(&world, PQ_ICEBERG_DATA, 101);
    must_publish(&world);
    pq_store_list(world.store, "Orders/metadata", &world.arena, &after, NULL);
    CHECK(after.count == before.count + 3, "%zu more files", after.count - before.count);
    CHECK(world.table->manifest_count == 2 && world.table->manifests[0]->path_count == 1, "new");
    for (int i = 102; i <= 108; i++) {
        add_file(&world, PQ_ICEBERG_DATA, i);
        must_publish(&world);
    }
    CHECK(world.table->manifest_count == 2 && world.table->manifests[0]->path_count == 8,
          "eight small ones became one, the large one stayed: %zu", world.table->manifest_count);
    check_files(&world);
    world_deinit(&world);
}

static void orphans_are_what_nobody_removed(void) {
    struct world world;
    struct pq_store_list list;
    struct pq_iceberg_outcome orphans;
    world_init(&world);
    pq_store_make_directory(world.store, "Orders/data", NULL);
    size_t unneeded = 0, released = 0;
    for (int i = 1; i <= 20; i++) {
        char path[64];
        add_file(&world, PQ_ICEBERG_DATA, i);
        snprintf(path, sizeof path, "Orders/%s", world.files[world.file_count - 1].path.data);
        CHECK(pq_store_write_file(world.store, path, PQ_TEXT("x"), NULL) == PQDB_OK, "%s", path);
        if (i % 2 == 0) remove_file(&world, 0);
        must_publish(&world);
        unneeded += world.outcome.unneeded_count;
        released += world.outcome.released_count;
    }
    const struct pq_text foreign = PQ_TEXT("not ours");
    pq_store_write_file(world.store, "Orders/metadata/0-of-another-writer.avro", foreign, NULL);
    open_table(&world);
    CHECK(pq_iceberg_find_orphans(world.table, &world.arena, &orphans, &world.err) == PQDB_OK,
          "%s", world.err.message);
    CHECK(orphans.unneeded_count == unneeded && unneeded > 20, "%zu, want %zu",
          orphans.unneeded_count, unneeded);
    CHECK(orphans.released_count == released && released > 5, "%zu, want %zu",
          orphans.released_count, released);
    world.outcome = orphans;
    remove_unneeded(&world);
    pq_store_unlink(world.store, "Orders/metadata/0-of-another-writer.avro", NULL);
    check_store(&world);
    CHECK(pq_iceberg_find_orphans(world.table, &world.arena, &orphans, NULL) == PQDB_OK &&
              orphans.unneeded_count == 0, "%zu", orphans.unneeded_count);
    CHECK(pq_store_list(world.store, "Orders/data", &world.arena, &list, NULL) == PQDB_OK &&
              list.count == 20, "data files are the caller's");
    world_deinit(&world);
}

static void a_moved_table_is_written_anew(void) {
    struct world world;
    struct pq_iceberg_view view;
    world_init(&world);
    for (int i = 1; i <= 3; i++) add_file(&world, PQ_ICEBERG_DATA, i);
    must_publish(&world);
    add_file(&world, PQ_ICEBERG_DATA, 4);
    must_publish(&world);
    open_table(&world);
    struct pq_iceberg_commit commit = commit_of(&world);
    commit.location = PQ_TEXT("file:///mnt/Orders");
    CHECK(pq_iceberg_publish(world.table, &commit, &world.arena, &world.outcome, &world.err) ==
                  PQDB_OK && world.outcome.is_new, "%s", world.err.message);
    remove_unneeded(&world);
    check_files(&world);
    check_store(&world);
    load(&world, &view);
    CHECK(pq_text_is(view.location, "file:///mnt/Orders"), "location");
    CHECK(pq_text_is(summary_of(&view, "operation"), "append"), "no row changed");
    CHECK(world.table->metadata.snapshot_count == 1, "older snapshots name the old place");
    CHECK(find_file(&view, world.files[0].path)->sequence_number == 1, "sequence numbers stay");
    world_deinit(&world);
}

static void another_writer_is_noticed(void) {
    struct world world;
    struct pq_iceberg *other = NULL;
    world_init(&world);
    must_publish(&world);
    CHECK(pq_iceberg_open(world.store, PQ_TEXT("Orders"), &pq_env_system, &pq_alloc_libc, &other,
                          NULL) == PQDB_OK, "open");
    add_file(&world, PQ_ICEBERG_DATA, 1);
    must_publish(&world);
    const struct pq_iceberg_commit commit = commit_of(&world);
    struct pq_iceberg_commit late = commit;
    late.version = 9;
    CHECK(pq_iceberg_publish(other, &late, &world.arena, &world.outcome, &world.err) ==
              PQDB_CONFLICT, "%s", world.err.message);
    CHECK(pq_iceberg_publish(other, &commit, &world.arena, &world.outcome, NULL) == PQDB_OK &&
              !world.outcome.is_new, "the loser sees the winner's table");
    pq_iceberg_close(other);
    check_files(&world);
    world_deinit(&world);
}

int main(void) {
    RUN(a_new_table_is_not_there);
    RUN(what_is_published_is_read_back);
    RUN(operations_follow_from_the_files);
    RUN(a_repeated_publish_does_nothing);
    RUN(time_does_not_go_back);
    RUN(a_lost_hint_is_written_again);
    RUN(wrong_commits_are_refused);
    RUN(schemas_evolve_and_come_back);
    RUN(properties_are_set_and_kept);
    RUN(only_new_files_are_measured);
    RUN(history_of_one_snapshot);
    RUN(history_of_four_snapshots);
    RUN(a_publish_of_one_file_writes_one_manifest);
    RUN(orphans_are_what_nobody_removed);
    RUN(a_moved_table_is_written_anew);
    RUN(another_writer_is_noticed);
    return test_done();
}
