/// Goal: however often a collection's columns have changed, the list of tables is read as it was
/// written: what a database may write it can open.
#include "db/shapes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test.h"

enum { fields_count = 4096, changes = 300 };  // more than 64 MiB of text

static pqdb_error err;
static struct pq_field fields[fields_count];
static char names[fields_count][32];
static struct pq_type types[changes];

static void a_long_history_of_columns_is_read_again(void) {
    struct pq_store *store;
    struct pq_arena arena;
    struct pq_db_shape table = {.name = {"Wide", 4}, .directory = {"Wide", 4}, .id = 1,
                                .next_field = fields_count + 1, .types = types,
                                .type_count = changes};
    const struct pq_db_shapes shapes = {
        .schema_hash = 7, .next_id = 2, .tables = &table, .count = 1};
    struct pq_db_shapes read = {0};
    bool is_exact;
    for (int i = 0; i < fields_count; i++) {
        snprintf(names[i], sizeof names[i], "a column of many %d", i);
        fields[i] = (struct pq_field){
            .name = pq_text_of(names[i]), .id = i + 1, .type = {.kind = PQ_INT64}};
    }
    for (int i = 0; i < changes; i++) {
        types[i] = (struct pq_type){
            .kind = PQ_OBJECT, .fields = fields, .field_count = fields_count};
    }
    pq_arena_init(&arena, &pq_alloc_libc);
    if (pq_store_open_memory(&pq_alloc_libc, &store, &err) != PQDB_OK) abort();
    CHECK(pq_store_make_directory(store, "_state", &err) == PQDB_OK, "%s", err.message);
    CHECK(pq_db_shapes_write(store, NULL, &shapes, &pq_alloc_libc, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(pq_db_shapes_read(store, PQ_TEXT("{}"), &arena, &read, &is_exact, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(read.count == 1 && read.tables[0].type_count == changes &&
              read.tables[0].types[changes - 1].field_count == fields_count,
          "%zu tables", read.count);
    pq_arena_deinit(&arena);
    pq_store_destroy(store);
}

int main(void) {
    RUN(a_long_history_of_columns_is_read_again);
    return test_done();
}
