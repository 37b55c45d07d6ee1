#include "parquet/value_decode.h"

#include "base/fail.h"
#include "parquet/encoding/delta.h"
#include "parquet/encoding/rle.h"

void pq_value_decoder_init(struct pq_value_decoder *decoder, const struct pq_leaf *leaf,
                           const struct pq_alloc *alloc) {
    *decoder = (struct pq_value_decoder){.leaf = leaf};
    decoder->width = leaf->physical == PQ_PHYSICAL_BOOLEAN
                         ? 1
                         : pq_physical_width(leaf->physical, leaf->type_length);
    struct pq_bytes *const buffers[] = {&decoder->room, &decoder->texts, &decoder->numbers,
                                        &decoder->entries, &decoder->entry_texts};
    for (size_t i = 0; i < 5; i++) pq_bytes_init(buffers[i], alloc);
}

void pq_value_decoder_deinit(struct pq_value_decoder *decoder) {
    struct pq_bytes *const buffers[] = {&decoder->room, &decoder->texts, &decoder->numbers,
                                        &decoder->entries, &decoder->entry_texts};
    for (size_t i = 0; i < 5; i++) pq_bytes_deinit(buffers[i]);
}

static pqdb_code corrupt(const char *why, pqdb_error *err) {
    return pq_fail(err, PQDB_CORRUPT, "the values of a Parquet page are damaged: %s", why);
}

static pqdb_code too_few(pqdb_error *err) { return corrupt("there are too few", err); }

static pqdb_code room_for(struct pq_bytes *bytes, size_t count, size_t width, void **room,
                          pqdb_error *err) {
    bytes->length = 0;
    if (width > 0 && count > SIZE_MAX / 4 / width) return pq_parquet_no_memory(err, "values");
    PQ_TRY(pq_bytes_reserve(bytes, count * width + 1, err));
    *room = bytes->data;
    return PQDB_OK;
}

const struct pq_text *pq_value_decoder_entry_texts(const struct pq_value_decoder *decoder) {
    return (const struct pq_text *)(const void *)decoder->entry_texts.data;
}

/// `take` length-prefixed byte arrays behind `skip` others.
static pqdb_code plain_texts(struct pq_text body, size_t skip, size_t take, struct pq_bytes *room,
                             const struct pq_text **out, pqdb_error *err) {
    if (skip + take > body.length / 4) return too_few(err);  // each has 4 bytes at least
    void *start;
    PQ_TRY(room_for(room, take, sizeof(struct pq_text), &start, err));
    struct pq_text *texts = start;
    const char *at = body.data, *end = body.data + body.length;
    for (size_t i = 0; i < skip + take; i++) {
        if (end - at < 4) return too_few(err);
        const size_t length = pq_load_u32(at);
        at += 4;
        if (length > (size_t)(end - at)) return corrupt("a text is longer than the page", err);
        if (i >= skip) texts[i - skip] = (struct pq_text){at, length};
        at += length;
    }
    *out = texts;
    return PQDB_OK;
}

static void unpack_booleans(const uint8_t *packed, size_t skip, size_t take, uint8_t *out) {
    for (size_t i = 0; i < take; i++) {
        out[i] = packed[(skip + i) / 8] >> ((skip + i) % 8) & 1;
    }
}

static pqdb_code decode_plain(struct pq_value_decoder *decoder, struct pq_text body, size_t skip,
                              size_t take, struct pq_stored_values *out, pqdb_error *err) {
    if (decoder->leaf->physical == PQ_PHYSICAL_BYTE_ARRAY) {
        return plain_texts(body, skip, take, &decoder->texts, &out->texts, err);
    }
    const uint8_t *data = (const uint8_t *)body.data;
    if (decoder->leaf->physical == PQ_PHYSICAL_BOOLEAN) {
        if (body.length < (skip + take + 7) / 8) return too_few(err);
        void *room;
        PQ_TRY(room_for(&decoder->room, take, 1, &room, err));
        unpack_booleans(data, skip, take, room);
        out->fixed = room;
        return PQDB_OK;
    }
    if ((skip + take) > body.length / decoder->width) return too_few(err);
    out->fixed = data == NULL ? NULL : data + skip * decoder->width;
    return PQDB_OK;
}

pqdb_code pq_value_decoder_set_dictionary(struct pq_value_decoder *decoder,
                                          const struct pq_page *page, pqdb_error *err) {
    if (page->encoding != PQ_ENCODING_PLAIN && page->encoding != PQ_ENCODING_PLAIN_DICTIONARY) {
        return pq_fail(err, PQDB_UNSUPPORTED, "dictionary page of encoding %d", page->encoding);
    }
    struct pq_stored_values values = {0};
    decoder->entries.length = 0;
    PQ_TRY(pq_bytes_append_text(&decoder->entries, page->body, err));
    const struct pq_text body = pq_bytes_text(&decoder->entries);
    if (decoder->leaf->physical == PQ_PHYSICAL_BYTE_ARRAY) {
        PQ_TRY(plain_texts(body, 0, page->value_count, &decoder->entry_texts, &values.texts, err));
    } else if (decoder->leaf->physical == PQ_PHYSICAL_BOOLEAN) {
        return pq_fail(err, PQDB_UNSUPPORTED, "a dictionary of booleans");
    } else if (page->value_count > body.length / decoder->width) {
        return too_few(err);
    }
    decoder->entry_count = page->value_count;
    decoder->has_dictionary = true;
    return PQDB_OK;
}

static pqdb_code decode_codes(struct pq_value_decoder *decoder, struct pq_text body, size_t skip,
                              size_t take, struct pq_stored_values *out, pqdb_error *err) {
    if (!decoder->has_dictionary) return corrupt("coded, but there is no dictionary", err);
    void *room;
    PQ_TRY(room_for(&decoder->numbers, take, sizeof(uint32_t), &room, err));
    uint32_t *codes = room;
    out->codes = codes;
    if (skip + take == 0) return PQDB_OK;
    if (body.length < 1) return too_few(err);
    const unsigned width = (uint8_t)body.data[0];
    if (width > 32) return corrupt("codes of more than 32 bits", err);
    struct pq_rle_decoder rle;
    pq_rle_decoder_init(&rle, body.data + 1, body.length - 1, width);
    if (!pq_rle_skip(&rle, skip) || !pq_rle_take(&rle, codes, take)) return too_few(err);
    uint32_t largest = 0;
    for (size_t i = 0; i < take; i++) largest = codes[i] > largest ? codes[i] : largest;
    if (take > 0 && largest >= decoder->entry_count) {
        return corrupt("a code beyond the dictionary", err);
    }
    return PQDB_OK;
}

static pqdb_code decode_rle_booleans(struct pq_value_decoder *decoder, struct pq_text body,
                                     size_t skip, size_t take, struct pq_stored_values *out,
                                     pqdb_error *err) {
    if (decoder->leaf->physical != PQ_PHYSICAL_BOOLEAN) {
        return corrupt("run lengths of something that is no boolean", err);
    }
    void *room;
    PQ_TRY(room_for(&decoder->room, take, 1, &room, err));
    out->fixed = room;
    if (skip + take == 0) return PQDB_OK;
    if (body.length < 4 || pq_load_u32(body.data) > body.length - 4) return too_few(err);
    struct pq_rle_decoder rle;
    pq_rle_decoder_init(&rle, body.data + 4, pq_load_u32(body.data), 1);
    if (!pq_rle_skip(&rle, skip) || !pq_rle_take_levels(&rle, room, take, 1)) return too_few(err);
    return PQDB_OK;
}

static pqdb_code decode_delta(struct pq_value_decoder *decoder, struct pq_text body, size_t skip,
                              size_t take, struct pq_stored_values *out, pqdb_error *err) {
    const bool is_int32 = decoder->leaf->physical == PQ_PHYSICAL_INT32;
    if (!is_int32 && decoder->leaf->physical != PQ_PHYSICAL_INT64) {
        return corrupt("deltas of something that is no integer", err);
    }
    struct pq_delta_decoder delta;
    if (!pq_delta_decoder_init(&delta, body.data, body.length, is_int32 ? 32 : 64, UINT32_MAX) ||
        delta.value_count < skip + take) {
        return too_few(err);
    }
    void *room;
    PQ_TRY(room_for(&decoder->numbers, take, sizeof(int64_t), &room, err));
    int64_t *numbers = room, ignored[64];
    for (size_t left = skip; left > 0;) {
        const size_t some = left < 64 ? left : 64;
        if (!pq_delta_take(&delta, ignored, some)) return too_few(err);
        left -= some;
    }
    if (!pq_delta_take(&delta, numbers, take)) return too_few(err);
    if (is_int32) {  // narrowed in place
        int32_t *narrow = room;
        for (size_t i = 0; i < take; i++) {
            const int32_t value = (int32_t)numbers[i];
            memcpy(&narrow[i], &value, sizeof value);
        }
    }
    out->fixed = room;
    return PQDB_OK;
}

/// All `count` lengths (or prefix lengths); `body` moves behind them. None is negative.
static pqdb_code take_lengths(struct pq_text *body, size_t count, int64_t *lengths,
                              pqdb_error *err) {
    struct pq_delta_decoder delta;
    if (!pq_delta_decoder_init(&delta, body->data, body->length, 32, UINT32_MAX) ||
        delta.value_count < count || !pq_delta_take(&delta, lengths, count) ||
        !pq_delta_finish(&delta)) {
        return too_few(err);
    }
    for (size_t i = 0; i < count; i++) {
        if (lengths[i] < 0) return corrupt("a negative length", err);
    }
    body->length -= (size_t)((const char *)delta.cursor.at - body->data);
    body->data = (const char *)delta.cursor.at;
    return PQDB_OK;
}

static pqdb_code decode_delta_lengths(struct pq_value_decoder *decoder, struct pq_text body,
                                      size_t skip, size_t take, struct pq_stored_values *out,
                                      pqdb_error *err) {
    if (decoder->leaf->physical != PQ_PHYSICAL_BYTE_ARRAY) {
        return corrupt("text lengths of something that is no text", err);
    }
    void *room;
    PQ_TRY(room_for(&decoder->numbers, skip + take, sizeof(int64_t), &room, err));
    int64_t *lengths = room;
    PQ_TRY(take_lengths(&body, skip + take, lengths, err));
    PQ_TRY(room_for(&decoder->texts, take, sizeof(struct pq_text), &room, err));
    struct pq_text *texts = room;
    for (size_t i = 0; i < skip + take; i++) {
        const size_t length = (size_t)lengths[i];
        if (length > body.length) return too_few(err);
        if (i >= skip) texts[i - skip] = (struct pq_text){body.data, length};
        body.data += length;
        body.length -= length;
    }
    out->texts = texts;
    return PQDB_OK;
}

/// Texts put together from prefixes of their predecessors: offsets first, as the room may move.
static pqdb_code join_prefixes(struct pq_value_decoder *decoder, struct pq_text body,
                               const int64_t *prefixes, const int64_t *suffixes, size_t count,
                               pqdb_error *err) {
    decoder->room.length = 0;
    size_t before = 0, before_length = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t prefix = (size_t)prefixes[i], suffix = (size_t)suffixes[i];
        if (prefix > before_length || suffix > body.length) {
            return corrupt("a prefix or suffix is too long", err);
        }
        // Prefixes of prefixes can grow far beyond the page.
        if (decoder->room.length + prefix + suffix > UINT32_MAX) {
            return pq_fail(err, PQDB_LIMIT, "a page of texts of more than 4 GiB");
        }
        PQ_TRY(pq_bytes_reserve(&decoder->room, prefix + suffix, err));
        uint8_t *at = decoder->room.data + decoder->room.length;
        if (prefix > 0) memcpy(at, decoder->room.data + before, prefix);
        if (suffix > 0) memcpy(at + prefix, body.data, suffix);
        body.data += suffix;
        body.length -= suffix;
        before = decoder->room.length;
        before_length = prefix + suffix;
        decoder->room.length += before_length;
    }
    return PQDB_OK;
}

static pqdb_code decode_delta_texts(struct pq_value_decoder *decoder, struct pq_text body,
                                    size_t skip, size_t take, struct pq_stored_values *out,
                                    pqdb_error *err) {
    const bool is_fixed = decoder->leaf->physical == PQ_PHYSICAL_FIXED;
    if (!is_fixed && decoder->leaf->physical != PQ_PHYSICAL_BYTE_ARRAY) {
        return corrupt("text deltas of something that is no text", err);
    }
    const size_t count = skip + take;
    void *room;
    PQ_TRY(room_for(&decoder->numbers, 2 * count, sizeof(int64_t), &room, err));
    int64_t *prefixes = room, *suffixes = prefixes + count;
    PQ_TRY(take_lengths(&body, count, prefixes, err));
    PQ_TRY(take_lengths(&body, count, suffixes, err));
    PQ_TRY(join_prefixes(decoder, body, prefixes, suffixes, count, err));
    if (is_fixed) {
        for (size_t i = 0; i < count; i++) {
            if ((size_t)(prefixes[i] + suffixes[i]) != decoder->width) {
                return corrupt("a fixed-length value of another length", err);
            }
        }
        out->fixed = decoder->room.data + skip * decoder->width;
        return PQDB_OK;
    }
    PQ_TRY(room_for(&decoder->texts, take, sizeof(struct pq_text), &room, err));
    struct pq_text *texts = room;
    const char *at = (const char *)decoder->room.data;
    for (size_t i = 0; i < count; i++) {
        const size_t length = (size_t)(prefixes[i] + suffixes[i]);
        if (i >= skip) texts[i - skip] = (struct pq_text){at, length};
        at += length;
    }
    out->texts = texts;
    return PQDB_OK;
}

/// Byte k of every value stands in stream k; there are as many values as the bytes hold.
static pqdb_code decode_byte_streams(struct pq_value_decoder *decoder, struct pq_text body,
                                     size_t skip, size_t take, struct pq_stored_values *out,
                                     pqdb_error *err) {
    const size_t width = decoder->width;
    if (decoder->leaf->physical == PQ_PHYSICAL_BOOLEAN || width == 0) {
        return corrupt("byte streams of something without a width", err);
    }
    const size_t count = body.length / width;
    if (skip + take > count) return too_few(err);
    void *room;
    PQ_TRY(room_for(&decoder->room, take, width, &room, err));
    uint8_t *fixed = room;
    for (size_t k = 0; k < width; k++) {
        const char *stream = body.data + k * count + skip;
        for (size_t i = 0; i < take; i++) fixed[i * width + k] = (uint8_t)stream[i];
    }
    out->fixed = fixed;
    return PQDB_OK;
}

pqdb_code pq_value_decode(struct pq_value_decoder *decoder, const struct pq_page *page,
                          size_t skip, size_t take, struct pq_stored_values *out,
                          pqdb_error *err) {
    *out = (struct pq_stored_values){.count = take, .width = decoder->width};
    const struct pq_text body = page->body;
    switch (page->encoding) {
        case PQ_ENCODING_PLAIN: return decode_plain(decoder, body, skip, take, out, err);
        case PQ_ENCODING_PLAIN_DICTIONARY:
        case PQ_ENCODING_RLE_DICTIONARY: return decode_codes(decoder, body, skip, take, out, err);
        case PQ_ENCODING_RLE: return decode_rle_booleans(decoder, body, skip, take, out, err);
        case PQ_ENCODING_DELTA_BINARY_PACKED:
            return decode_delta(decoder, body, skip, take, out, err);
        case PQ_ENCODING_DELTA_LENGTH_BYTE_ARRAY:
            return decode_delta_lengths(decoder, body, skip, take, out, err);
        case PQ_ENCODING_DELTA_BYTE_ARRAY:
            return decode_delta_texts(decoder, body, skip, take, out, err);
        case PQ_ENCODING_BYTE_STREAM_SPLIT:
            return decode_byte_streams(decoder, body, skip, take, out, err);
        default:
            return pq_fail(err, PQDB_UNSUPPORTED, "Parquet encoding %d is not supported",
                           page->encoding);
    }
}

pqdb_code pq_value_decoder_look_up(struct pq_value_decoder *decoder,
                                   struct pq_stored_values *values, pqdb_error *err) {
    void *room;
    const size_t count = values->count, width = decoder->width;
    const uint32_t *codes = values->codes;
    if (decoder->leaf->physical == PQ_PHYSICAL_BYTE_ARRAY) {
        PQ_TRY(room_for(&decoder->texts, count, sizeof(struct pq_text), &room, err));
        struct pq_text *texts = room;
        const struct pq_text *entries = pq_value_decoder_entry_texts(decoder);
        for (size_t i = 0; i < count; i++) texts[i] = entries[codes[i]];
        values->texts = texts;
    } else {
        PQ_TRY(room_for(&decoder->room, count, width, &room, err));
        uint8_t *fixed = room;
        const uint8_t *entries = decoder->entries.data;
        for (size_t i = 0; i < count; i++) {
            if (width == 8) {
                pq_store_u64(fixed + i * 8, pq_load_u64(entries + (size_t)codes[i] * 8));
            } else {
                memcpy(fixed + i * width, entries + (size_t)codes[i] * width, width);
            }
        }
        values->fixed = fixed;
    }
    values->codes = NULL;
    return PQDB_OK;
}
