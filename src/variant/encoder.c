#include "variant/encode_internal.h"

#include <stdlib.h>

#include "base/check.h"

enum {
    own_names_min = 256,
    own_names_max = 1 << 22,
    own_name_bytes_min = 1 << 14,
    own_name_bytes_max = PQ_VARIANT_BYTES_MAX,
};

static uint32_t resolve_name(void *ctx, struct pq_text key) {
    struct pq_variant_encoder *encoder = ctx;
    return pq_variant_names_add(encoder->names, key);
}

pqdb_code pq_variant_encoder_create(struct pq_variant_names *names, const struct pq_alloc *alloc,
                                    struct pq_variant_encoder **encoder, pqdb_error *err) {
    struct pq_variant_encoder *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "variant encoder");
    *made = (struct pq_variant_encoder){.alloc = alloc, .names = pq_variant_names_ref(names)};
    pq_shapes_init(&made->shapes, alloc, resolve_name, made);
    pq_bytes_init(&made->scratch, alloc);
    *encoder = made;
    return PQDB_OK;
}

void pq_variant_encoder_destroy(struct pq_variant_encoder *encoder) {
    if (encoder == NULL) return;
    pq_variant_names_unref(encoder->names);
    pq_variant_names_unref(encoder->own);
    pq_shapes_deinit(&encoder->shapes);
    pq_bytes_deinit(&encoder->scratch);
    pq_free(encoder->alloc, encoder->offsets, encoder->offset_capacity, sizeof *encoder->offsets);
    pq_free(encoder->alloc, encoder->members, encoder->member_capacity, sizeof *encoder->members);
    pq_free(encoder->alloc, encoder, 1, sizeof *encoder);
}

void pq_variant_encoder_look_inside(struct pq_variant_encoder *encoder,
                                    const struct pq_variant_nested *nested) {
    encoder->nested = nested;
}

// ---- containers -------------------------------------------------------------------------------

static size_t header_bytes(const struct pq_container *container) {
    const size_t count = container->count;
    return 1u + (count > 255 ? 4u : 1u) + count * container->id_width +
           (count + 1) * container->offset_width;
}

static pqdb_code grow_offsets(struct pq_variant_encoder *encoder, size_t extra, pqdb_error *err) {
    size_t capacity = encoder->offset_capacity < 64 ? 64 : encoder->offset_capacity * 2;
    if (capacity < encoder->offset_count + extra) capacity = encoder->offset_count + extra;
    uint32_t *grown = pq_resize(encoder->alloc, encoder->offsets, encoder->offset_capacity,
                                capacity, sizeof *grown);
    if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "variant of %zu values", capacity);
    encoder->offsets = grown;
    encoder->offset_capacity = capacity;
    return PQDB_OK;
}

pqdb_code pq_container_begin(struct pq_variant_encoder *encoder, struct pq_container *container,
                             pqdb_error *err) {
    const size_t count = container->count;
    if (count > encoder->offset_capacity - encoder->offset_count) {
        PQ_TRY(grow_offsets(encoder, count, err));
    }
    container->first_offset = encoder->offset_count;
    encoder->offset_count += count;
    container->start = encoder->out->length;
    const size_t header = header_bytes(container);
    PQ_TRY(pq_encoder_reserve(encoder, header, err));
    encoder->out->length += header;
    container->values = encoder->out->length;
    return PQDB_OK;
}

static uint8_t *put_offsets(uint8_t *at, const uint32_t *offsets, size_t count, unsigned width) {
    if (width == 1) {
        for (size_t i = 0; i < count; i++) *at++ = (uint8_t)offsets[i];
    } else if (width == 2) {
        for (size_t i = 0; i < count; i++, at += 2) pq_store_u16(at, (uint16_t)offsets[i]);
    } else {
        for (size_t i = 0; i < count; i++) at = pq_put_width(at, offsets[i], width);
    }
    return at;
}

/// Values that turn out longer or shorter than guessed: make the header's room right.
static pqdb_code move_values(struct pq_variant_encoder *encoder, struct pq_container *container,
                             unsigned width, pqdb_error *err) {
    struct pq_bytes *out = encoder->out;
    const size_t length = out->length - container->values;
    container->offset_width = (uint8_t)width;
    const size_t values = container->start + header_bytes(container);
    PQ_TRY(pq_encoder_reserve(encoder, values + length > out->length ? values + length - out->length
                                                                     : 0, err));
    memmove(out->data + values, out->data + container->values, length);
    container->values = values;
    out->length = values + length;
    return PQDB_OK;
}

pqdb_code pq_container_end(struct pq_variant_encoder *encoder, struct pq_container *container,
                           uint8_t **ids, pqdb_error *err) {
    struct pq_bytes *out = encoder->out;
    const size_t length = out->length - container->values, count = container->count;
    if (length > UINT32_MAX) return pq_fail(err, PQDB_LIMIT, "a value of more than 4 GiB");
    const unsigned width = pq_width_of(length);
    if (width != container->offset_width) PQ_TRY(move_values(encoder, container, width, err));
    uint8_t *at = out->data + container->start;
    const unsigned large = count > 255, id_width = container->id_width;
    if (id_width == 0) {
        *at++ = (uint8_t)(BASIC_ARRAY | (width - 1) << 2 | large << 4);
    } else {
        *at++ = (uint8_t)(BASIC_OBJECT | (width - 1) << 2 | (id_width - 1) << 4 | large << 6);
    }
    at = pq_put_width(at, (uint32_t)count, large ? 4 : 1);
    *ids = at;
    const uint32_t *offsets = encoder->offsets + container->first_offset;
    at = put_offsets(at + count * id_width, offsets, count, width);
    pq_put_width(at, (uint32_t)length, width);
    encoder->offset_count = container->first_offset;
    return PQDB_OK;
}

// ---- members ----------------------------------------------------------------------------------

pqdb_code pq_members_push(struct pq_variant_encoder *encoder, struct pq_text name,
                          pqdb_error *err) {
    struct pq_variant_names *names = encoder->own != NULL ? encoder->own : encoder->names;
    const uint32_t id = pq_variant_names_add(names, name);
    if (id == UINT32_MAX) {
        encoder->names_are_full = true;
        return pq_fail(err, PQDB_LIMIT, "more distinct names than one value may have");
    }
    if (encoder->member_count == encoder->member_capacity) {
        const size_t old = encoder->member_capacity, capacity = old == 0 ? 64 : old * 2;
        struct pq_member *grown = pq_resize(encoder->alloc, encoder->members, old, capacity,
                                            sizeof *grown);
        if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "object of %zu members", capacity);
        encoder->members = grown;
        encoder->member_capacity = capacity;
    }
    encoder->members[encoder->member_count++] = (struct pq_member){.name = name, .id = id};
    return PQDB_OK;
}

static int compare_members(const void *a, const void *b) {
    const struct pq_member *x = a, *y = b;
    return pq_text_compare(x->name, y->name);
}

pqdb_code pq_members_sort(struct pq_variant_encoder *encoder, size_t first, pqdb_error *err) {
    struct pq_member *members = encoder->members + first;
    const size_t count = encoder->member_count - first;
    bool sorted = true;
    for (size_t i = 0; i < count; i++) {
        members[i].position = (uint32_t)i;
        if (i > 0 && compare_members(&members[i - 1], &members[i]) >= 0) sorted = false;
    }
    if (!sorted) qsort(members, count, sizeof *members, compare_members);
    for (size_t i = 1; i < count; i++) {
        if (compare_members(&members[i - 1], &members[i]) != 0) continue;
        pq_fail(err, PQDB_INVALID, "the key occurs twice");
        pq_fail_in_member(err, members[i].name);
        return PQDB_INVALID;
    }
    for (size_t i = 0; i < count; i++) members[members[i].position].rank = (uint32_t)i;
    return PQDB_OK;
}

unsigned pq_members_id_width(const struct pq_variant_encoder *encoder, size_t first) {
    uint32_t highest = 0;
    for (size_t i = first; i < encoder->member_count; i++) {
        if (encoder->members[i].id > highest) highest = encoder->members[i].id;
    }
    return pq_width_of(highest);
}

void pq_members_pop(struct pq_variant_encoder *encoder, size_t first,
                    const struct pq_container *container, uint8_t *ids) {
    for (size_t i = first; i < encoder->member_count; i++) {
        ids = pq_put_width(ids, encoder->members[i].id, container->id_width);
    }
    encoder->member_count = first;
}

// ---- scalars ----------------------------------------------------------------------------------

pqdb_code pq_encode_primitive(struct pq_variant_encoder *encoder, uint8_t primitive,
                              const void *bytes, size_t length, pqdb_error *err) {
    PQ_TRY(pq_encoder_reserve(encoder, 1 + length, err));
    uint8_t *at = encoder->out->data + encoder->out->length;
    *at = (uint8_t)(BASIC_PRIMITIVE | primitive << 2);
    if (length > 0) memcpy(at + 1, bytes, length);
    encoder->out->length += 1 + length;
    return PQDB_OK;
}

pqdb_code pq_encode_integer(struct pq_variant_encoder *encoder, int64_t value, pqdb_error *err) {
    uint8_t primitive = PQ_PRIMITIVE_INT64;
    if (value == (int8_t)value) {
        primitive = PQ_PRIMITIVE_INT8;
    } else if (value == (int16_t)value) {
        primitive = PQ_PRIMITIVE_INT16;
    } else if (value == (int32_t)value) {
        primitive = PQ_PRIMITIVE_INT32;
    }
    PQ_TRY(pq_encoder_reserve(encoder, 9, err));
    uint8_t *at = encoder->out->data + encoder->out->length;
    *at = (uint8_t)(BASIC_PRIMITIVE | primitive << 2);
    memcpy(at + 1, &value, 8);  // the bytes beyond its width are written over
    encoder->out->length += 1 + ((size_t)1 << (primitive - PQ_PRIMITIVE_INT8));
    return PQDB_OK;
}

pqdb_code pq_encode_text(struct pq_variant_encoder *encoder, struct pq_text text, pqdb_error *err) {
    if (text.length > UINT32_MAX) return pq_fail(err, PQDB_LIMIT, "a text of more than 4 GiB");
    PQ_TRY(pq_encoder_reserve(encoder, 5 + text.length, err));
    uint8_t *at = encoder->out->data + encoder->out->length;
    size_t header = 1;
    if (text.length < 64) {
        *at = (uint8_t)(BASIC_SHORT_TEXT | text.length << 2);
    } else {
        *at = BASIC_PRIMITIVE | PQ_PRIMITIVE_TEXT << 2;
        pq_store_u32(at + 1, (uint32_t)text.length);
        header = 5;
    }
    pq_copy_short(at + header, text.data, text.length);
    encoder->out->length += header + text.length;
    return PQDB_OK;
}

// ---- own names --------------------------------------------------------------------------------

static pqdb_code attempt(struct pq_variant_encoder *encoder, struct pq_encode_job job,
                         struct pq_bytes *out, pqdb_error *err) {
    const size_t start = out->length;
    encoder->out = out;
    encoder->names_are_full = false;
    encoder->offset_count = encoder->member_count = 0;
    pqdb_code code = job.encode(encoder, job.source, err);
    if (code == PQDB_OK && out->length - start > PQ_VARIANT_BYTES_MAX) {
        code = pq_fail(err, PQDB_LIMIT, "a variant of more than %d MiB",
                       PQ_VARIANT_BYTES_MAX >> 20);
    }
    if (code != PQDB_OK) out->length = start;
    return code;
}

static pqdb_code run_with_own_names(struct pq_variant_encoder *encoder, struct pq_encode_job job,
                                    struct pq_bytes *out, pqdb_error *err) {
    uint32_t entries_max = own_names_min, bytes_max = own_name_bytes_min;
    pqdb_code code;
    for (;;) {
        PQ_TRY(pq_variant_names_create_bounded(entries_max, bytes_max, encoder->alloc,
                                               &encoder->own, err));
        encoder->scratch.length = 0;
        code = attempt(encoder, job, &encoder->scratch, err);
        const bool again = code != PQDB_OK && encoder->names_are_full &&
                           entries_max < own_names_max;
        if (!again) break;
        pq_variant_names_unref(encoder->own);
        encoder->own = NULL;
        entries_max *= 16;
        bytes_max = bytes_max >= own_name_bytes_max / 16 ? own_name_bytes_max : bytes_max * 16;
    }
    const size_t start = out->length;
    if (code == PQDB_OK) {
        code = pq_variant_names_write(encoder->own, pq_variant_names_count(encoder->own), out, err);
    }
    if (code == PQDB_OK) {
        code = pq_bytes_append(out, encoder->scratch.data, encoder->scratch.length, err);
    }
    if (code != PQDB_OK) out->length = start;
    pq_variant_names_unref(encoder->own);
    encoder->own = NULL;
    return code;
}

pqdb_code pq_encode_run(struct pq_variant_encoder *encoder, struct pq_encode_job job,
                        struct pq_bytes *out, bool *own, pqdb_error *err) {
    pqdb_code code = attempt(encoder, job, out, err);
    *own = code != PQDB_OK && encoder->names_are_full;
    if (*own) code = run_with_own_names(encoder, job, out, err);
    return code;
}
