/// Goal: rows of nested columns become the variants that JSON of them would be.
#include "batch/variant_value.h"

#include "batch/builder.h"
#include "support/test.h"

static const struct pq_field item_fields[] = {
    {.name = {"qty", 3}, .type = {.kind = PQ_INT64}},
    {.name = {"price", 5}, .type = {.kind = PQ_DECIMAL, .precision = 10, .scale = 2}},
    {.name = {"at", 2}, .type = {.kind = PQ_TIMESTAMP}},
};
static const struct pq_field element[] = {
    {.name = {"element", 7}, .type = {.kind = PQ_OBJECT, .field_count = 3, .fields = item_fields}},
};
static const struct pq_type items = {.kind = PQ_LIST, .field_count = 1, .fields = element};

static void check_row(struct pq_variant_encoder *encoder, const struct pq_variant_names *names,
                      const struct pq_column *column, const char *want) {
    struct pq_bytes bytes, text;
    bool own;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    pq_bytes_init(&text, &pq_alloc_libc);
    const struct pq_value value = pq_column_value(column, column->count - 1);
    CHECK(pq_variant_encode_value(encoder, &value, &bytes, &own, NULL) == PQDB_OK && !own, "%s",
          want);
    const struct pq_variant variant = {
        .bytes = bytes.data, .length = bytes.length, .names = names};
    CHECK(pq_variant_check(&variant, NULL) == PQDB_OK, "%s", want);
    pq_variant_write_json(&variant, &text, NULL);
    CHECK(pq_text_is(pq_bytes_text(&text), want), "%.*s", PQ_TEXT_ARG(pq_bytes_text(&text)));
    pq_bytes_deinit(&bytes);
    pq_bytes_deinit(&text);
}

static void lists_of_objects_become_arrays_of_objects(void) {
    struct pq_variant_names *names;
    struct pq_variant_encoder *encoder;
    struct pq_builder builder;
    CHECK(pq_variant_names_create(&pq_alloc_libc, &names, NULL) == PQDB_OK, "names");
    CHECK(pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, NULL) == PQDB_OK, "encoder");
    CHECK(pq_builder_init(&builder, &items, &pq_alloc_libc, NULL) == PQDB_OK, "init");
    struct pq_builder *item = &builder.children[0];
    const int64_t qty = 3, at = INT64_C(1768471200000000);
    const pq_i128 price = -1250;
    pq_builder_append_fixed(&item->children[0], &qty, NULL);
    pq_builder_append_fixed(&item->children[1], &price, NULL);
    pq_builder_append_fixed(&item->children[2], &at, NULL);
    pq_builder_end_object(item, NULL);
    pq_builder_append_null(item, NULL);
    pq_builder_end_list(&builder, NULL);
    struct pq_column column = pq_builder_finish(&builder);
    check_row(encoder, names, &column,
              "[{\"at\":\"2026-01-15T10:00:00.000Z\",\"price\":-12.50,\"qty\":3},null]");
    pq_builder_end_list(&builder, NULL);
    column = pq_builder_finish(&builder);
    check_row(encoder, names, &column, "[]");
    pq_builder_append_null(&builder, NULL);
    column = pq_builder_finish(&builder);
    check_row(encoder, names, &column, "null");
    pq_builder_deinit(&builder);
    pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
}

int main(void) {
    RUN(lists_of_objects_become_arrays_of_objects);
    return test_done();
}
