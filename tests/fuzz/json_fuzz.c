/// Any bytes: parse either way; what parses is written, and what was written parses to the same
/// text again.
#include "base/check.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_value(const struct pq_json_document *document, const struct pq_json *value) {
    struct pq_bytes first, second;
    pq_bytes_init(&first, &pq_alloc_libc);
    pq_bytes_init(&second, &pq_alloc_libc);
    pq_assert(pq_json_write(&first, value, NULL) == PQDB_OK);
    struct pq_json_document *again;
    pqdb_error err;
    pq_assert(pq_json_parse(pq_bytes_text(&first), PQ_JSON_RAW_NUMBERS, &pq_alloc_libc, &again,
                            &err) == PQDB_OK);
    pq_assert(pq_json_write(&second, pq_json_root(again), NULL) == PQDB_OK);
    pq_assert(pq_text_equal(pq_bytes_text(&first), pq_bytes_text(&second)));
    pq_assert(pq_json_offset_near(document, value) >= 0);
    pq_json_destroy(again);
    pq_bytes_deinit(&first);
    pq_bytes_deinit(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const struct pq_text text = {(const char *)data, size};
    struct pq_json_reader reader;
    pq_json_reader_init(&reader, &pq_alloc_libc);
    for (unsigned flags = 0; flags < 4; flags++) {
        const struct pq_json *root;
        pqdb_error err;
        if (pq_json_reader_parse(&reader, text, flags, &root, &err) == PQDB_OK) {
            check_value(reader.document, root);
        } else {
            pq_assert(err.message[0] != '\0' && err.offset <= (int64_t)size);
        }
    }
    pq_json_reader_deinit(&reader);
    return 0;
}
