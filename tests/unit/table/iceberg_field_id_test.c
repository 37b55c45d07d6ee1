/// Goal: a column keeps its id for life and an id its column, at every depth.
#include <string.h>

#include "support/test.h"
#include "table/iceberg/iceberg.h"
#include "table/iceberg/schema_json.h"

static const struct pq_field pair_v1[] = {
    {{"sku", 3}, {.kind = PQ_TEXT}, true, 0},
    {{"qty", 3}, {.kind = PQ_INT64}, false, 0},
};
static const struct pq_field pair_v2[] = {
    {{"qty", 3}, {.kind = PQ_FLOAT64}, false, 0},
    {{"sku", 3}, {.kind = PQ_TEXT}, true, 0},
    {{"note", 4}, {.kind = PQ_TEXT}, false, 0},
};
static const struct pq_field element_v1[] = {
    {{"element", 7}, {.kind = PQ_OBJECT, .field_count = 2, .fields = pair_v1}, false, 0}};
static const struct pq_field element_v2[] = {
    {{"item", 4}, {.kind = PQ_OBJECT, .field_count = 3, .fields = pair_v2}, false, 0}};
static const struct pq_field fields_v1[] = {
    {{"$id", 3}, {.kind = PQ_TEXT}, true, 0},
    {{"items", 5}, {.kind = PQ_LIST, .field_count = 1, .fields = element_v1}, false, 0},
    {{"price", 5}, {.kind = PQ_DECIMAL, .precision = 9, .scale = 2}, false, 0},
};
static const struct pq_field fields_v2[] = {
    {{"$id", 3}, {.kind = PQ_TEXT}, true, 0},
    {{"price", 5}, {.kind = PQ_DECIMAL, .precision = 9, .scale = 3}, false, 0},
    {{"items", 5}, {.kind = PQ_LIST, .field_count = 1, .fields = element_v2}, false, 0},
};
static const struct pq_type v1 = {.kind = PQ_OBJECT, .field_count = 3, .fields = fields_v1};
static const struct pq_type v2 = {.kind = PQ_OBJECT, .field_count = 3, .fields = fields_v2};

static void ids_stay_with_their_columns(void) {
    struct pq_arena arena;
    const struct pq_type *first = NULL, *second = NULL, *third = NULL;
    int32_t last_id = 0, highest = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    CHECK(pq_iceberg_assign_ids(&v1, NULL, &last_id, &arena, &first, NULL) == PQDB_OK, "v1");
    CHECK(last_id == 6, "%d ids", last_id);
    CHECK(pq_iceberg_check_ids(first, &arena, &highest, NULL) == PQDB_OK && highest == 6, "v1");
    CHECK(first->fields[0].id == 1 && first->fields[1].id == 2 && first->fields[2].id == 6, "v1");

    CHECK(pq_iceberg_assign_ids(&v2, first, &last_id, &arena, &second, NULL) == PQDB_OK, "v2");
    const struct pq_field *items = &second->fields[2], *pair = items->type.fields[0].type.fields;
    CHECK(second->fields[0].id == 1 && items->id == 2, "names keep their ids, wherever they stand");
    CHECK(items->type.fields[0].id == 3, "an element has no name of its own");
    CHECK(pair[1].id == 4, "sku stays");
    CHECK(second->fields[1].id == 7 && pair[0].id == 8 && pair[2].id == 9,
          "another type is another column: %d %d %d", second->fields[1].id, pair[0].id, pair[2].id);

    // What goes and comes back is new: its old values must not come back with it.
    CHECK(pq_iceberg_assign_ids(&v1, second, &last_id, &arena, &third, NULL) == PQDB_OK, "v1");
    CHECK(third->fields[2].id > 9 && third->fields[0].id == 1, "%d", third->fields[2].id);
    CHECK(v1.fields[0].id == 0, "the given type is not changed");
    pq_arena_deinit(&arena);
}

static void ids_are_not_used_up_silently(void) {
    struct pq_arena arena;
    const struct pq_type *typed = NULL;
    int32_t last_id = PQ_ICEBERG_ID_MAX - 2;
    pq_arena_init(&arena, &pq_alloc_libc);
    CHECK(pq_iceberg_assign_ids(&v1, NULL, &last_id, &arena, &typed, NULL) == PQDB_LIMIT, "limit");
    CHECK(last_id == PQ_ICEBERG_ID_MAX - 2, "nothing was given");
    pq_arena_deinit(&arena);
}

static void fields_are_found_at_any_depth(void) {
    struct pq_arena arena;
    const struct pq_type *typed = NULL;
    int32_t last_id = 0;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_iceberg_assign_ids(&v1, NULL, &last_id, &arena, &typed, NULL);
    const struct pq_field *found = pq_iceberg_find_field(typed, 5);
    CHECK(found != NULL && pq_text_is(found->name, "qty"), "qty");
    CHECK(pq_iceberg_find_field(typed, 7) == NULL, "none");
    pq_arena_deinit(&arena);
}

int main(void) {
    RUN(ids_stay_with_their_columns);
    RUN(ids_are_not_used_up_silently);
    RUN(fields_are_found_at_any_depth);
    return test_done();
}
