#include "support/log_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "batch/builder.h"

static const struct pq_field plain_fields[] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}, .required = true},
    {.name = {"$seq", 4}, .type = {.kind = PQ_INT64}, .required = true},
    {.name = {"n", 1}, .type = {.kind = PQ_INT64}},
    {.name = {"any", 3}, .type = {.kind = PQ_VARIANT}},
};

/// Schema 1 has a variant, schema 0 not.
static const struct pq_type types[] = {
    {.kind = PQ_OBJECT, .field_count = 3, .fields = plain_fields},
    {.kind = PQ_OBJECT, .field_count = 4, .fields = plain_fields},
};

static int64_t clock_us = 1000000;
static uint64_t dice = 99;

static int64_t test_now(void *ctx) { return (void)ctx, clock_us += 10; }
static uint64_t test_monotonic(void *ctx) { return (void)ctx, (uint64_t)(clock_us += 10) * 1000; }
static void test_random(void *ctx, void *out, size_t length) {
    (void)ctx;
    for (size_t i = 0; i < length; i++) ((uint8_t *)out)[i] = (uint8_t)pq_hash_word(++dice);
}
const struct pq_env log_world_env = {
    .now_us = test_now, .monotonic_ns = test_monotonic, .random = test_random};

static const struct pq_type *type_of(void *ctx, uint32_t collection, uint32_t schema_id) {
    (void)ctx;
    return collection == 1 && schema_id < 2 ? &types[schema_id] : NULL;
}
static struct pq_variant_names *no_names(void *ctx, uint32_t collection) {
    (void)ctx;
    (void)collection;
    return NULL;
}
const struct pq_log_schemas log_world_schemas = {.type = type_of, .names = no_names};

static struct pq_variant_names *names_of(void *ctx, uint32_t collection) {
    return collection == 1 ? ((struct log_world *)ctx)->names : NULL;
}

static void must(pqdb_code code) {
    if (code != PQDB_OK) abort();
}

static int id_of(uint64_t version, size_t row, char id[static 32]) {
    return snprintf(id, 32, "id-%llu-%zu", (unsigned long long)version, row);
}

static int name_of(uint64_t version, char name[static 32]) {
    return snprintf(name, 32, "name%llu", (unsigned long long)version);
}

static int64_t number_of(uint64_t version, size_t row) {
    return (int64_t)pq_hash_word(version * 1000003 + row);
}

/// { "name<version>": row }, with the name added to the world's list.
static void append_variant(struct log_world *world, struct pq_builder *builder, uint64_t version,
                           size_t row) {
    char name[32];
    const int length = name_of(version, name);
    const uint32_t id = pq_variant_names_add(world->names, (struct pq_text){name, (size_t)length});
    // object with two-byte ids and one-byte offsets: one field, an int8
    const uint8_t bytes[] = {0x12, 1, (uint8_t)id, (uint8_t)(id >> 8), 0, 2, 0x0C, (uint8_t)row};
    must(pq_builder_append_bytes(builder, bytes, sizeof bytes, NULL));
}

static struct pq_batch make_batch(struct log_world *world, uint64_t version,
                                  struct pq_arena *arena) {
    const struct pq_type *type = &types[world->with_variants];
    struct pq_builder builders[4];
    for (uint32_t k = 0; k < type->field_count; k++) {
        must(pq_builder_init(&builders[k], &type->fields[k].type, &arena->alloc, NULL));
    }
    builders[3].names = world->names;
    for (size_t row = 0; row < world->rows; row++) {
        char id[32];
        const int length = id_of(version, row, id);
        const int64_t seq = (int64_t)row, n = number_of(version, row);
        must(pq_builder_append_bytes(&builders[0], id, (size_t)length, NULL));
        must(pq_builder_append_fixed(&builders[1], &seq, NULL));
        must(pq_builder_append_fixed(&builders[2], &n, NULL));
        if (world->with_variants) append_variant(world, &builders[3], version, row);
    }
    struct pq_batch batch;
    must(pq_builder_finish_batch(builders, type, arena, &batch, NULL));
    return batch;
}

static bool variant_is_right(const struct log_world *world, const struct pq_column *column,
                             uint64_t version) {
    char name[32];
    const int length = name_of(version, name);
    for (size_t row = 0; row < column->count; row++) {
        const struct pq_text bytes = pq_column_text(column, row);
        const uint32_t id = (uint8_t)bytes.data[2] | (uint32_t)(uint8_t)bytes.data[3] << 8;
        if (bytes.length != 8 || id >= pq_variant_names_count(world->names)) return false;
        if (!pq_text_equal(pq_variant_names_text(world->names, id),
                           (struct pq_text){name, (size_t)length})) {
            return false;
        }
    }
    return true;
}

bool log_world_is_right(const struct log_world *world, const struct pq_log_record *record) {
    char token[32];
    const int length = name_of(record->version, token);
    if (!pq_text_equal(record->token, (struct pq_text){token, (size_t)length})) return false;
    if (record->rows_count != 1 || record->kind != PQ_LOG_COMMIT) return false;
    const struct pq_log_rows *rows = &record->rows[0];
    if (rows->batch.type == NULL || rows->batch.count != world->rows) return false;
    if (rows->first_seq != record->version << 20) return false;
    for (size_t row = 0; row < world->rows; row++) {
        char id[32];
        const struct pq_text want = {id, (size_t)id_of(record->version, row, id)};
        const int64_t *seqs = rows->batch.columns[1].values;
        const int64_t *numbers = rows->batch.columns[2].values;
        if (!pq_text_equal(pq_column_text(&rows->batch.columns[0], row), want) ||
            seqs[row] != (int64_t)(rows->first_seq + row) ||
            numbers[row] != number_of(record->version, row)) {
            return false;
        }
    }
    return rows->schema_id == 0 ||
           variant_is_right(world, &rows->batch.columns[3], record->version);
}

static pqdb_code visit(void *ctx, const struct pq_log_record *record, pqdb_error *err) {
    struct log_world *world = ctx;
    (void)err;
    if (world->last == 0) world->first = record->version;
    if (world->last != 0 && record->version != world->last + 1) world->is_right = false;
    if (!log_world_is_right(world, record)) world->is_right = false;
    world->last = record->version;
    world->at_last = record->next;
    return PQDB_OK;
}

pqdb_code log_world_open(struct log_world *world, pqdb_error *err) {
    const struct pq_alloc *alloc = world->alloc == NULL ? &pq_alloc_libc : world->alloc;
    const struct pq_log_options options = {.store = world->store,
                                           .directory = "log",
                                           .env = &log_world_env,
                                           .alloc = alloc,
                                           .from = world->from,
                                           .segment_bytes = world->segment_bytes,
                                           .read_only = world->read_only};
    const struct pq_log_visitor visitor = {
        .schemas = {.type = type_of, .names = names_of, .ctx = world}, .visit = visit,
        .ctx = world};
    world->first = world->last = 0;
    world->is_right = true;
    if (world->rows == 0) world->rows = 3;
    must(pq_variant_names_create(&pq_alloc_libc, &world->names, NULL));
    for (uint64_t version = 1; version < world->from.version; version++) {  // as a root keeps them
        char name[32];
        const int length = name_of(version, name);
        pq_variant_names_add(world->names, (struct pq_text){name, (size_t)length});
    }
    pqdb_code code = pq_log_open(&options, &world->log, err);
    if (code == PQDB_OK) {
        code = pq_log_replay(world->log, &visitor, err);
        if (code == PQDB_OK) code = pq_log_use_names(world->log, 1, world->names, err);
        if (code != PQDB_OK) log_world_close(world, NULL);
    } else {
        log_world_close(world, NULL);
    }
    return code;
}

pqdb_code log_world_append(struct log_world *world, uint64_t version, size_t count,
                           pqdb_error *err) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_log_commit *commits = pq_arena_calloc(&arena, count, sizeof *commits);
    struct pq_bytes *bytes = pq_arena_calloc(&arena, count, sizeof *bytes);
    for (size_t i = 0; i < count; i++) {
        struct pq_log_rows rows = {.collection = 1,
                                   .schema_id = world->with_variants,
                                   .rows_plus = (uint32_t)world->rows,
                                   .batch = make_batch(world, version + i, &arena)};
        pq_bytes_init(&bytes[i], &pq_alloc_libc);
        must(pq_log_encode_rows(&rows, &bytes[i], NULL));
        struct pq_log_part *part = pq_arena_calloc(&arena, 1, sizeof *part);
        *part = (struct pq_log_part){pq_bytes_text(&bytes[i]), (version + i) << 20};
        char name[32];
        const struct pq_text token = {name, (size_t)name_of(version + i, name)};
        commits[i] = (struct pq_log_commit){.kind = PQ_LOG_COMMIT,
                                            .token = pq_arena_copy(&arena, token),
                                            .parts = part,
                                            .part_count = 1};
    }
    const pqdb_code code = pq_log_append(world->log, commits, count, err);
    for (size_t i = 0; i < count; i++) pq_bytes_deinit(&bytes[i]);
    pq_arena_deinit(&arena);
    return code;
}

pqdb_code log_world_close(struct log_world *world, pqdb_error *err) {
    const pqdb_code code = pq_log_close(world->log, err);
    world->log = NULL;
    pq_variant_names_unref(world->names);
    world->names = NULL;
    return code;
}
