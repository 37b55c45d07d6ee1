/// Shredded variants of apache/parquet-testing: every row is the value that stands beside the file,
/// with the kinds it has there; files that are no variants are errors.
#include <string.h>

#include "parquet/reader.h"
#include "support/corpus.h"
#include "support/memory_file.h"
#include "variant/variant.h"

/// Cases of cases.json with an error_message.
static const struct {
    const char *name;
    pqdb_code code;
} errors[] = {
    {"case-040.parquet", PQDB_CORRUPT},      // an element with value and typed_value
    {"case-042.parquet", PQDB_CORRUPT},      // a row with both
    {"case-087.parquet", PQDB_CORRUPT},      // a value that is no object, with typed fields
    {"case-127.parquet", PQDB_UNSUPPORTED},  // unsigned
    {"case-128.parquet", PQDB_CORRUPT},
    {"case-137.parquet", PQDB_UNSUPPORTED},  // FIXED without annotation
};

static pqdb_code expected_code(const char *name) {
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        if (strcmp(errors[i].name, name) == 0) return errors[i].code;
    }
    return PQDB_OK;
}

struct world {
    struct pq_variant_names *names;
    struct pq_variant_encoder *encoder;
    struct pq_hold *hold;
    size_t cases, values;
};

static void world_init(struct world *world) {
    *world = (struct world){0};
    CHECK(pq_variant_names_create(&pq_alloc_libc, &world->names, NULL) == PQDB_OK, "names");
    CHECK(pq_variant_encoder_create(world->names, &pq_alloc_libc, &world->encoder, NULL) == PQDB_OK,
          "encoder");
    CHECK(pq_hold_create(&pq_alloc_libc, &world->hold, NULL) == PQDB_OK, "hold");
}

static void world_deinit(struct world *world) {
    pq_hold_unref(world->hold);
    pq_variant_encoder_destroy(world->encoder);
    pq_variant_names_unref(world->names);
}

/// The variant of the file beside, in the world's names and as JSON.
static bool read_expected(struct world *world, const char *path, struct pq_bytes *value,
                          struct pq_bytes *json) {
    struct pq_bytes bytes;
    if (!corpus_read_file(path, &bytes)) return false;
    struct pq_variant_names *names;
    pqdb_error err = {0};
    size_t used;
    CHECK(pq_variant_names_from_metadata(bytes.data, bytes.length, &pq_alloc_libc, &names, &used,
                                         &err) == PQDB_OK, "%s: %s", path, err.message);
    const struct pq_variant variant = {
        .bytes = bytes.data + used, .length = bytes.length - used, .names = names};
    CHECK(pq_variant_check(&variant, &err) == PQDB_OK, "%s: %s", path, err.message);
    bool own;
    CHECK(pq_variant_rename(world->encoder, &variant, value, &own, &err) == PQDB_OK && !own, "%s",
          path);
    pq_variant_write_json(&variant, json, NULL);
    pq_variant_names_unref(names);
    pq_bytes_deinit(&bytes);
    return true;
}

static void check_row(struct world *world, const char *path, const struct pq_column *column,
                      size_t row) {
    struct pq_bytes value, json, got;
    pq_bytes_init(&value, &pq_alloc_libc);
    pq_bytes_init(&json, &pq_alloc_libc);
    pq_bytes_init(&got, &pq_alloc_libc);
    if (!read_expected(world, path, &value, &json)) {
        CHECK(pq_column_is_null(column, row), "%s: there is no expected value", path);
    } else if (pq_column_is_null(column, row)) {
        CHECK(false, "%s: missing", path);
    } else {
        pqdb_error err = {0};
        struct pq_variant variant;
        CHECK(pq_variant_of_row(pq_column_text(column, row), column->valid[row], column->names,
                                &world->hold->arena, &variant, &err) == PQDB_OK, "%s", path);
        pq_variant_write_json(&variant, &got, NULL);
        CHECK(pq_text_equal(pq_bytes_text(&got), pq_bytes_text(&json)), "%s: %.*s, not %.*s", path,
              PQ_TEXT_ARG(pq_bytes_text(&got)), PQ_TEXT_ARG(pq_bytes_text(&json)));
        // Kinds that print alike differ here: int8 and int64, with and without zone, nanoseconds.
        bool own;
        got.length = 0;
        CHECK(pq_variant_rename(world->encoder, &variant, &got, &own, &err) == PQDB_OK, "%s", path);
        CHECK(pq_text_equal(pq_bytes_text(&got), pq_bytes_text(&value)), "%s: other bytes", path);
        world->values++;
    }
    pq_bytes_deinit(&value);
    pq_bytes_deinit(&json);
    pq_bytes_deinit(&got);
}

static pqdb_code read_variants(struct world *world, struct pq_bytes *bytes, bool with_encoder,
                               struct pq_batch *batch, pqdb_error *err) {
    const struct pq_parquet_source source = memory_file_source(bytes);
    struct pq_parquet_file *file;
    pqdb_code code = pq_parquet_open(&source, bytes->length, NULL, &pq_alloc_libc, &file, err);
    if (code != PQDB_OK) return code;
    const uint32_t field = (uint32_t)pq_type_find(pq_parquet_type(file), PQ_TEXT("var"));
    const struct pq_parquet_request request = {
        .fields = &field, .field_count = 1, .row_count = UINT64_MAX, .hold = world->hold,
        .encoder = with_encoder ? world->encoder : NULL, .names = world->names};
    code = pq_parquet_read(file, &request, &world->hold->arena, batch, err);
    pq_parquet_close(file);
    return code;
}

static void check_case(struct world *world, const char *folder, const char *name,
                       bool with_encoder) {
    char path[8192];
    struct pq_bytes bytes;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!corpus_read_file(path, &bytes)) return;
    struct pq_batch batch;
    pqdb_error err = {0};
    const pqdb_code code = read_variants(world, &bytes, with_encoder, &batch, &err);
    CHECK(code == expected_code(name), "%s: code %d: %s", name, (int)code, err.message);
    for (size_t i = 0; code == PQDB_OK && i < batch.count; i++) {
        snprintf(path, sizeof path, "%s/%.*s_row-%zu.variant.bin", folder,
                 (int)(strstr(name, ".parquet") - name), name, i);
        check_row(world, path, &batch.columns[0], i);
    }
    world->cases++;
    pq_bytes_deinit(&bytes);
}

static void check_all(bool with_encoder) {
    char path[4096];
    DIR *dir = corpus_open("parquet-testing/shredded_variant", path);
    if (dir == NULL) return;
    struct world world;
    world_init(&world);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strstr(entry->d_name, ".parquet") == NULL) continue;
        check_case(&world, path, entry->d_name, with_encoder);
    }
    closedir(dir);
    CHECK(world.cases >= 137 && world.values >= 131, "%zu cases, %zu values", world.cases,
          world.values);
    world_deinit(&world);
}

static void shredded_variants_have_the_values_beside_them(void) { check_all(true); }
static void they_can_keep_their_own_names(void) { check_all(false); }

int main(void) {
    RUN(shredded_variants_have_the_values_beside_them);
    RUN(they_can_keep_their_own_names);
    return test_done();
}
