#include "parquet/variant_column.h"

#include "base/bytes.h"
#include "base/fail.h"
#include "parquet/variant_shredded.h"
#include "variant/variant.h"

size_t pq_variant_metadata_bytes(struct pq_text bytes) {
    struct pq_cursor cursor = pq_cursor_of(bytes.data, bytes.length);
    const uint8_t header = pq_cursor_u8(&cursor);
    const size_t width = (size_t)(header >> 6) + 1;
    uint32_t count = 0, end = 0;
    const uint8_t *at = pq_cursor_take(&cursor, width);
    if (at == NULL || (header & 15) != 1) return 0;
    memcpy(&count, at, width);
    if ((size_t)count > pq_cursor_left(&cursor) / width) return 0;
    pq_cursor_take(&cursor, count * width);
    at = pq_cursor_take(&cursor, width);  // the last offset: where the names end
    if (at == NULL) return 0;
    memcpy(&end, at, width);
    pq_cursor_take(&cursor, end);
    return cursor.failed ? 0 : bytes.length - pq_cursor_left(&cursor);
}

/// The metadata met last: in most files there is only one.
struct known_names {
    struct pq_text metadata;
    const struct pq_variant_names *names;
    struct pq_variant_names *own;  // counted, when they are not the target's
};

/// Does the metadata list the first of these names, in their order? Then ids mean the same. Nothing
/// else is assumed of it: what it says is checked here.
static bool is_prefix_of(struct pq_text metadata, const struct pq_variant_names *names) {
    if (names == NULL || pq_variant_metadata_bytes(metadata) != metadata.length) return false;
    const uint8_t *bytes = (const uint8_t *)metadata.data;
    const size_t width = (size_t)(bytes[0] >> 6) + 1;
    uint32_t count = 0, start = 0, end = 0;
    memcpy(&count, bytes + 1, width);
    const uint8_t *offsets = bytes + 1 + width;
    const char *texts = (const char *)offsets + ((size_t)count + 1) * width;
    const size_t text_bytes = (size_t)(metadata.data + metadata.length - texts);
    if (count > pq_variant_names_count(names)) return false;
    memcpy(&start, offsets, width);
    if (start != 0) return false;
    for (uint32_t i = 0; i < count; i++, start = end) {
        end = 0;
        memcpy(&end, offsets + ((size_t)i + 1) * width, width);
        if (end < start || end > text_bytes) return false;
        const struct pq_text name = {texts + start, end - start};
        if (!pq_text_equal(name, pq_variant_names_text(names, i))) return false;
    }
    return true;
}

static pqdb_code know(struct known_names *known, struct pq_text metadata,
                      const struct pq_variant_target *target, pqdb_error *err) {
    if (known->names != NULL && known->metadata.length == metadata.length &&
        (known->metadata.data == metadata.data || pq_text_equal(known->metadata, metadata))) {
        return PQDB_OK;
    }
    pq_variant_names_unref(known->own);
    *known = (struct known_names){.metadata = metadata};
    if (target->encoder != NULL && is_prefix_of(metadata, target->names)) {
        known->names = target->names;
        return PQDB_OK;
    }
    size_t used = 0;
    PQ_TRY(pq_variant_names_from_metadata((const uint8_t *)metadata.data, metadata.length,
                                          target->alloc, &known->own, &used, err));
    known->names = known->own;
    if (used == metadata.length) return PQDB_OK;
    return pq_fail(err, PQDB_CORRUPT, "bytes behind the metadata of a variant");
}

static struct pq_variant like_known(const struct known_names *known) {
    struct pq_variant like = {.names = known->names};
    // The target's list may be longer than the file's: a value must do with the file's.
    if (known->own == NULL) like.metadata = (const uint8_t *)known->metadata.data;
    return like;
}

static pqdb_code join_one(const struct known_names *known, struct pq_text value,
                          const struct pq_variant_target *target, struct pq_bytes *out, bool *own,
                          pqdb_error *err) {
    struct pq_variant variant = like_known(known);
    variant.bytes = (const uint8_t *)value.data;
    variant.length = value.length;
    PQ_TRY(pq_variant_check(&variant, err));
    *own = false;
    if (known->own == NULL) return pq_bytes_append_text(out, value, err);
    if (target->encoder != NULL) {
        return pq_variant_rename(target->encoder, &variant, out, own, err);
    }
    *own = true;
    PQ_TRY(pq_bytes_append_text(out, known->metadata, err));
    return pq_bytes_append_text(out, value, err);
}

static struct pq_text text_of(const struct pq_variant_part *part, size_t i) {
    if (part->codes != NULL) return part->entries[part->codes[i]];
    const uint32_t start = part->offsets[i];
    return (struct pq_text){(const char *)part->data + start, part->offsets[i + 1] - start};
}

/// The value of text i: as it is stored, or put together in `joined`.
static pqdb_code value_of(const struct pq_variant_parts *parts, size_t i,
                          const struct known_names *known, struct pq_bytes *joined,
                          struct pq_text *value, pqdb_error *err) {
    if (parts->shredded == NULL) {
        *value = text_of(&parts->value, i);
        return PQDB_OK;
    }
    const struct pq_variant like = like_known(known);
    joined->length = 0;
    PQ_TRY(pq_shredded_value(parts->shredded, parts->rows == NULL ? i : parts->rows[i], &like,
                             joined, err));
    *value = pq_bytes_text(joined);
    return PQDB_OK;
}

pqdb_code pq_variant_join(const struct pq_variant_parts *parts,
                          const struct pq_variant_target *target, uint32_t **offsets,
                          uint8_t **marks, const uint8_t **data, pqdb_error *err) {
    struct known_names known = {0};
    struct pq_bytes out, joined;
    pq_bytes_init(&joined, target->alloc);
    pq_bytes_init(&out, &target->arena->alloc);  // its memory stays with the arena
    pqdb_code code = PQDB_OK;
    *offsets = pq_arena_calloc(target->arena, parts->count + 1, sizeof **offsets);
    *marks = pq_arena_calloc(target->arena, parts->count + 1, 1);
    if (*offsets == NULL || *marks == NULL) {
        PQ_GO(pq_fail(err, PQDB_NO_MEMORY, "no memory for %zu variants", parts->count));
    }
    const bool is_stored = parts->value.codes == NULL && parts->shredded == NULL;
    const uint32_t *value_offsets = is_stored ? parts->value.offsets : NULL;
    PQ_GO(pq_bytes_reserve(&out, value_offsets == NULL ? 1 : value_offsets[parts->count] + 1, err));
    for (size_t i = 0; i < parts->count; i++) {
        bool own;
        PQ_GO(know(&known, text_of(&parts->metadata, i), target, err));
        struct pq_text value;
        PQ_GO(value_of(parts, i, &known, &joined, &value, err));
        PQ_GO(join_one(&known, value, target, &out, &own, err));
        if (out.length > UINT32_MAX) {
            PQ_GO(pq_fail(err, PQDB_LIMIT, "more than 4 GiB of variants; read fewer rows"));
        }
        (*marks)[i] = own ? PQ_ROW_OWN_NAMES : PQ_ROW_VALID;
        (*offsets)[i + 1] = (uint32_t)out.length;
    }
    *data = out.data;
done:
    pq_variant_names_unref(known.own);
    pq_bytes_deinit(&joined);
    return code;
}
