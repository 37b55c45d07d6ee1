/// Goal: pin the shared list: ids for good, bounds, its Parquet metadata, readers beside a writer.
#include <pthread.h>
#include <string.h>

#include "support/test.h"
#include "variant/variant.h"

static struct pq_variant_names *new_names(void) {
    struct pq_variant_names *names = NULL;
    CHECK(pq_variant_names_create(&pq_alloc_libc, &names, NULL) == PQDB_OK, "create");
    return names;
}

static void names_have_one_id_for_good(void) {
    struct pq_variant_names *names = new_names();
    CHECK(pq_variant_names_find(names, PQ_TEXT("url")) == UINT32_MAX, "not there yet");
    CHECK(pq_variant_names_add(names, PQ_TEXT("url")) == 0, "the first");
    CHECK(pq_variant_names_add(names, PQ_TEXT("")) == 1, "an empty name is a name");
    CHECK(pq_variant_names_add(names, PQ_TEXT("URL")) == 2, "case matters");
    CHECK(pq_variant_names_add(names, PQ_TEXT("url")) == 0, "known");
    CHECK(pq_variant_names_find(names, PQ_TEXT("")) == 1, "found");
    CHECK(pq_variant_names_count(names) == 3, "%u", pq_variant_names_count(names));
    CHECK(pq_text_is(pq_variant_names_text(names, 2), "URL"), "text");
    CHECK(pq_variant_names_ref(names) == names, "ref");
    pq_variant_names_unref(names);
    pq_variant_names_unref(names);
    pq_variant_names_unref(NULL);
}

static void the_list_is_bounded(void) {
    struct pq_variant_names *names = new_names();
    char name[16];
    for (unsigned i = 0; i < PQ_VARIANT_NAMES_MAX + 10; i++) {
        const int length = snprintf(name, sizeof name, "n%u", i);
        const uint32_t id = pq_variant_names_add(names, (struct pq_text){name, (size_t)length});
        CHECK(id == (i < PQ_VARIANT_NAMES_MAX ? i : UINT32_MAX), "name %u has id %u", i, id);
    }
    CHECK(pq_variant_names_find(names, PQ_TEXT("n4095")) == 4095, "the last one is found");
    pq_variant_names_unref(names);

    names = new_names();
    static char long_name[PQ_VARIANT_NAME_BYTES_MAX];
    memset(long_name, 'x', sizeof long_name);
    CHECK(pq_variant_names_add(names, (struct pq_text){long_name, sizeof long_name - 1}) == 0,
          "a long name");
    CHECK(pq_variant_names_add(names, PQ_TEXT("ab")) == UINT32_MAX, "two bytes, one is left");
    CHECK(pq_variant_names_add(names, PQ_TEXT("a")) == 1, "the last byte");
    pq_variant_names_unref(names);
}

static void metadata_reads_back(void) {
    for (unsigned count = 0; count < 3000; count = count * 3 + 1) {
        struct pq_variant_names *names = new_names(), *read = NULL;
        struct pq_bytes metadata;
        pq_bytes_init(&metadata, &pq_alloc_libc);
        for (unsigned i = 0; i < count + 2; i++) {
            char name[16];
            const int length = snprintf(name, sizeof name, "%u", (i * 7919) % 100003);
            pq_variant_names_add(names, (struct pq_text){name, (size_t)length});
        }
        CHECK(pq_variant_names_write(names, count, &metadata, NULL) == PQDB_OK, "write");
        pq_bytes_append(&metadata, "value", 5, NULL);
        size_t used = 0;
        CHECK(pq_variant_names_from_metadata(metadata.data, metadata.length, &pq_alloc_libc, &read,
                                             &used, NULL) == PQDB_OK, "%u names", count);
        CHECK(used == metadata.length - 5, "used %zu of %zu", used, metadata.length);
        CHECK(pq_variant_names_count(read) == count, "%u names", count);
        for (uint32_t id = 0; id < count; id++) {
            const struct pq_text text = pq_variant_names_text(names, id);
            CHECK(pq_text_equal(text, pq_variant_names_text(read, id)), "%u", id);
            CHECK(pq_variant_names_find(read, text) == id, "%u", id);
        }
        pq_variant_names_unref(names);
        pq_variant_names_unref(read);
        pq_bytes_deinit(&metadata);
    }
}

static const struct {
    const char *name;
    size_t length;
    uint8_t bytes[12];
} damaged[] = {
    {"nothing", 0, {0}},
    {"another version", 3, {2, 0, 0}},
    {"no count", 1, {1}},
    {"no offsets", 2, {1, 0}},
    {"more names than bytes", 5, {1, 200, 0, 1, 2}},
    {"names behind the end", 5, {1, 1, 0, 2, 'a'}},
    {"a first offset that is not 0", 6, {1, 1, 1, 2, 'a', 'b'}},
    {"falling offsets", 8, {1, 2, 0, 2, 1, 'a', 'b', 'c'}},
    {"an inner offset behind the end", 7, {1, 2, 0, 9, 2, 'a', 'b'}},
    {"no UTF-8", 5, {1, 1, 0, 1, 0xFF}},
    {"four-byte count beyond all bytes", 9, {0xC1, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0}},
};

static void damaged_metadata_is_refused(void) {
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        struct pq_variant_names *names = NULL;
        size_t used;
        CHECK(pq_variant_names_from_metadata(damaged[i].bytes, damaged[i].length, &pq_alloc_libc,
                                             &names, &used, NULL) == PQDB_CORRUPT,
              "%s", damaged[i].name);
        CHECK(names == NULL, "%s", damaged[i].name);
    }
}

enum { threads = 4, names_each = 900 };

static void *add_names(void *arg) {
    struct pq_variant_names *names = arg;
    for (unsigned i = 0; i < names_each; i++) {
        char name[16];
        const int length = snprintf(name, sizeof name, "name %u", i);
        const uint32_t id = pq_variant_names_add(names, (struct pq_text){name, (size_t)length});
        const struct pq_text text = pq_variant_names_text(names, id);
        CHECK(text.length == (size_t)length && memcmp(text.data, name, text.length) == 0, "%u", i);
    }
    return NULL;
}

static void threads_agree_on_ids(void) {
    struct pq_variant_names *names = new_names();
    pthread_t ids[threads];
    for (int i = 0; i < threads; i++) {
        CHECK(pthread_create(&ids[i], NULL, add_names, names) == 0, "thread");
    }
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    CHECK(pq_variant_names_count(names) == names_each, "%u", pq_variant_names_count(names));
    pq_variant_names_unref(names);
}

int main(void) {
    RUN(names_have_one_id_for_good);
    RUN(the_list_is_bounded);
    RUN(metadata_reads_back);
    RUN(damaged_metadata_is_refused);
    RUN(threads_agree_on_ids);
    return test_done();
}
