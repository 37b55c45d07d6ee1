/// Goal: values that others wrote. Reads parquet-testing (variant/ and shredded_variant/) from
/// PQ_CORPUS_DIR, else ../shared/corpus beside the project; skips with a message when absent.
#include <dirent.h>
#include <string.h>

#include "base/arena.h"
#include "support/canonical_json.h"
#include "support/test.h"
#include "variant/variant.h"

static char folder[512];

static struct pq_bytes read_bytes(const char *name, const char *suffix) {
    char path[1024];
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    snprintf(path, sizeof path, "%s/%s%s", folder, name, suffix);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL, "%s", path);
    if (file == NULL) return bytes;
    pq_bytes_reserve(&bytes, 1 << 20, NULL);
    bytes.length = fread(bytes.data, 1, bytes.capacity, file);
    fclose(file);
    return bytes;
}

static bool find_folder(const char *name) {
    const char *base = getenv("PQ_CORPUS_DIR");
    if (base != NULL) {
        snprintf(folder, sizeof folder, "%s/parquet-testing/%s", base, name);
    } else {
        snprintf(folder, sizeof folder, "%s/../shared/corpus/parquet-testing/%s", PQ_PROJECT_DIR,
                 name);
    }
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        fprintf(stderr, "    skipped: no %s\n", folder);
        return false;
    }
    closedir(dir);
    return true;
}

/// Ours differs from data_dictionary.json where that has no exact number, or its own way to print.
static const struct {
    const char *name, *json;
} special[] = {
    {"long_string",
     "\"This string is for sure and certainly longer than 64 bytes and it also includes several "
     "non ascii characters such as 🐢, 💖, ♥️, 🎣 and 🤦!!\""},
    {"primitive_float", "1234567936"},
    {"primitive_decimal8", "12345678.90"},
    {"primitive_decimal16", "12345678912345678.90"},
    {"primitive_time", "\"12:33:54.123456\""},
    {"primitive_timestamp", "\"2025-04-16T16:34:56.780Z\""},
    {"primitive_timestamp_nanos", "\"2024-11-07T12:33:54.123456Z\""},
    {"primitive_timestampntz", "\"2025-04-16T12:34:56.780Z\""},
    {"primitive_timestampntz_nanos", "\"2024-11-07T12:33:54.123456Z\""},
};

static void expected_json(const struct pq_json *dictionary, const char *name,
                          struct pq_bytes *out) {
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        if (strcmp(special[i].name, name) == 0) {
            pq_bytes_append_text(out, pq_text_of(special[i].json), NULL);
            return;
        }
    }
    const struct pq_json *value = pq_json_find(dictionary, name);
    CHECK(value != NULL, "%s is not in the dictionary", name);
    if (value != NULL) canonical_json(value, out);
}

/// Check, print, and rename into a list of our own: the same text.
static void check_variant(const char *name, const struct pq_variant *variant,
                          struct pq_bytes *text) {
    pqdb_error err = {0};
    CHECK(pq_variant_check(variant, &err) == PQDB_OK, "%s: %s", name, err.message);
    if (err.code != PQDB_OK) return;
    pq_variant_write_json(variant, text, NULL);
    struct pq_variant_names *names;
    struct pq_variant_encoder *encoder;
    struct pq_bytes renamed, again;
    bool own;
    pq_bytes_init(&renamed, &pq_alloc_libc);
    pq_bytes_init(&again, &pq_alloc_libc);
    CHECK(pq_variant_names_create(&pq_alloc_libc, &names, NULL) == PQDB_OK, "names");
    CHECK(pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, NULL) == PQDB_OK, "encoder");
    CHECK(pq_variant_rename(encoder, variant, &renamed, &own, NULL) == PQDB_OK, "%s", name);
    const struct pq_variant copy = {
        .bytes = renamed.data, .length = renamed.length, .names = names};
    CHECK(pq_variant_check(&copy, NULL) == PQDB_OK, "%s renamed", name);
    pq_variant_write_json(&copy, &again, NULL);
    CHECK(pq_text_equal(pq_bytes_text(&again), pq_bytes_text(text)), "%s renamed: %.*s", name,
          PQ_TEXT_ARG(pq_bytes_text(&again)));
    pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
    pq_bytes_deinit(&renamed);
    pq_bytes_deinit(&again);
}

static void check_pair(const struct pq_json *dictionary, const char *name) {
    struct pq_bytes metadata = read_bytes(name, ".metadata"), value = read_bytes(name, ".value");
    struct pq_bytes got, want;
    struct pq_variant_names *names = NULL;
    size_t used = 0;
    pq_bytes_init(&got, &pq_alloc_libc);
    pq_bytes_init(&want, &pq_alloc_libc);
    CHECK(pq_variant_names_from_metadata(metadata.data, metadata.length, &pq_alloc_libc, &names,
                                         &used, NULL) == PQDB_OK, "%s", name);
    const struct pq_variant variant = {
        .bytes = value.data, .length = value.length, .names = names};
    check_variant(name, &variant, &got);
    expected_json(dictionary, name, &want);
    CHECK(pq_text_equal(pq_bytes_text(&got), pq_bytes_text(&want)), "%s:\n%.*s\n%.*s", name,
          PQ_TEXT_ARG(pq_bytes_text(&got)), PQ_TEXT_ARG(pq_bytes_text(&want)));
    pq_variant_names_unref(names);
    pq_bytes_deinit(&metadata);
    pq_bytes_deinit(&value);
    pq_bytes_deinit(&got);
    pq_bytes_deinit(&want);
}

static void values_of_others_match_their_dictionary(void) {
    if (!find_folder("variant")) return;
    struct pq_bytes text = read_bytes("data_dictionary", ".json");
    struct pq_json_document *dictionary;
    CHECK(pq_json_parse(pq_bytes_text(&text), PQ_JSON_5, &pq_alloc_libc, &dictionary,
                        NULL) == PQDB_OK,
          "data_dictionary.json");
    DIR *dir = opendir(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char *suffix = strstr(entry->d_name, ".value");
        if (suffix == NULL) continue;
        *suffix = '\0';
        check_pair(pq_json_root(dictionary), entry->d_name);
        count++;
    }
    closedir(dir);
    CHECK(count >= 28, "%d values", count);
    pq_json_destroy(dictionary);
    pq_bytes_deinit(&text);
}

static void values_that_were_shredded_are_sound(void) {
    if (!find_folder("shredded_variant")) return;
    DIR *dir = opendir(folder);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strstr(entry->d_name, ".variant.bin") == NULL) continue;
        struct pq_bytes bytes = read_bytes(entry->d_name, ""), text;
        struct pq_arena arena;
        struct pq_variant variant;
        pq_arena_init(&arena, &pq_alloc_libc);
        pq_bytes_init(&text, &pq_alloc_libc);
        CHECK(pq_variant_of_row(pq_bytes_text(&bytes), 2, NULL, &arena, &variant, NULL) == PQDB_OK,
              "%s", entry->d_name);
        check_variant(entry->d_name, &variant, &text);
        count++;
        pq_arena_deinit(&arena);
        pq_bytes_deinit(&bytes);
        pq_bytes_deinit(&text);
    }
    closedir(dir);
    CHECK(count >= 100, "%d values", count);
}

int main(void) {
    CHECK(sizeof folder > 0, "one check, if all are skipped");
    RUN(values_of_others_match_their_dictionary);
    RUN(values_that_were_shredded_are_sound);
    return test_done();
}
