/// The field names that a collection's variants gained, as parts of the log.
#include "base/fail.h"
#include "changelog/format_internal.h"
#include "changelog/part_internal.h"
#include "variant/variant.h"

pqdb_code pq_log_encode_names(uint32_t collection, const struct pq_variant_names *names,
                              uint32_t first, uint32_t count, struct pq_bytes *out) {
    uint8_t header[PQ_PART_HEADER_BYTES] = {PQ_PART_NAMES};
    const size_t start = out->length;
    PQ_TRY(pq_bytes_append(out, header, sizeof header, NULL));
    for (uint32_t id = first; id < first + count; id++) {
        const struct pq_text text = pq_variant_names_text(names, id);
        PQ_TRY(pq_bytes_append_varint(out, text.length, NULL));
        PQ_TRY(pq_bytes_append_text(out, text, NULL));
    }
    while (out->length % 8 != 0) PQ_TRY(pq_bytes_append_byte(out, 0, NULL));
    uint8_t *at = out->data + start;
    pq_store_u32(at + 4, (uint32_t)(out->length - start));
    pq_store_u32(at + 8, collection);
    pq_store_u32(at + 12, first);
    pq_store_u32(at + 16, count);
    return PQDB_OK;
}

static pqdb_code damaged_names(pqdb_error *err, const char *what) {
    return pq_fail(err, PQDB_CORRUPT, "a part of the log is damaged: %s", what);
}

pqdb_code pq_log_decode_names(struct pq_text bytes, const struct pq_log_schemas *schemas,
                              pqdb_error *err) {
    const uint8_t *header = (const uint8_t *)bytes.data;
    const uint32_t first = pq_load_u32(header + 12), count = pq_load_u32(header + 16);
    struct pq_variant_names *names =
        schemas == NULL ? NULL : schemas->names(schemas->ctx, pq_load_u32(header + 8));
    struct pq_cursor cursor = pq_cursor_of(header + PQ_PART_HEADER_BYTES,
                                           bytes.length - PQ_PART_HEADER_BYTES);
    if (names == NULL) return PQDB_OK;
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t length = pq_cursor_varint(&cursor);
        const uint8_t *data = pq_cursor_take(&cursor, (size_t)length);
        if (data == NULL) return damaged_names(err, "a field name cut off");
        const struct pq_text text = {(const char *)data, (size_t)length};
        if (pq_variant_names_add(names, text) != first + i) {
            return damaged_names(err, "field names in another order than before");
        }
    }
    return PQDB_OK;
}
