/// query/find_cursor.c: where a page ended, as text that people hand back.
///
/// A cursor names the last row by its keys and `$id`, not by a count, so the next page begins
/// behind it whatever was written since. URL-safe base64 of:
///
///     offset  size  meaning
///     0       1     1: this format
///     1       8     hash of table, filter and sort
///     9       n     each key: u32 length and canonical bytes (expr/compare.h); the last is `$id`
///     9 + n   8     hash of all before
#include "base/base64.h"
#include "base/fail.h"
#include "base/hash.h"
#include "expr/compare.h"
#include "query/find_internal.h"

enum { format = 1, head_bytes = 9, check_bytes = 8 };

/// 7F: null is behind everything, in both directions.
static bool is_null_key(struct pq_text key) {
    return key.length == 1 && (uint8_t)key.data[0] == 0x7F;
}

pqdb_code pq_find_question(struct pq_find *find, const struct pq_find_request *request,
                           pqdb_error *err) {
    struct pq_bytes text;
    pq_bytes_init(&text, find->alloc);
    pqdb_code code = pq_bytes_append_text(&text, find->table.name, err);
    if (code == PQDB_OK) code = pq_bytes_append_byte(&text, 0, err);
    if (code == PQDB_OK) code = pq_bytes_append_text(&text, request->filter, err);
    if (code == PQDB_OK) code = pq_bytes_append_byte(&text, 0, err);
    if (code == PQDB_OK) code = pq_bytes_append_text(&text, request->sort, err);
    if (code == PQDB_OK) find->question = pq_hash(text.data, text.length);
    pq_bytes_deinit(&text);
    return code;
}

// ---- reading ------------------------------------------------------------------------------------

static pqdb_code refuse(const char *why, pqdb_error *err) {
    pq_fail(err, PQDB_INVALID, "%s", why);
    return pq_fail_subject(err, PQDB_INVALID, PQ_TEXT("cursor"));
}

static bool take_keys(struct pq_find *find, struct pq_text bytes) {
    for (size_t k = 0; k <= find->key_count; k++) {
        if (bytes.length < 4 || pq_load_u32(bytes.data) > bytes.length - 4) return false;
        const size_t length = pq_load_u32(bytes.data);
        if (length == 0) return false;
        find->after.keys[k] = (struct pq_text){bytes.data + 4, length};
        bytes.data += 4 + length;
        bytes.length -= 4 + length;
    }
    return bytes.length == 0;
}

pqdb_code pq_find_position_parse(struct pq_find *find, const struct pq_find_request *request,
                                 pqdb_error *err) {
    struct pq_bytes bytes;
    if (find->streams) {
        return refuse("a cursor needs an order: leave out the sort 'none'", err);
    }
    pq_bytes_init(&bytes, &find->arena.alloc);
    const pqdb_code code = pq_base64_read(&bytes, request->cursor, NULL);
    if (code == PQDB_NO_MEMORY) return pq_fail(err, code, "a cursor");
    const size_t length = bytes.length;
    if (code != PQDB_OK || length < head_bytes + check_bytes ||
        pq_hash(bytes.data, length - check_bytes) !=
            pq_load_u64(bytes.data + length - check_bytes)) {
        return refuse("the cursor is damaged: give it as it was printed", err);
    }
    if (bytes.data[0] != format) return refuse("the cursor is of another release", err);
    if (pq_load_u64(bytes.data + 1) != find->question) {
        return refuse("the cursor belongs to another question: give it with the same name, filter "
                      "and sort as the page before", err);
    }
    const struct pq_text keys = {(const char *)bytes.data + head_bytes,
                                 length - head_bytes - check_bytes};
    if (!take_keys(find, keys)) return refuse("the cursor is damaged", err);
    find->after.is_set = true;
    return PQDB_OK;
}

// ---- what lies behind it ------------------------------------------------------------------------

/// Where a key stands to that of the position: below 0 before it, above 0 behind it.
static int place_of(const struct pq_find *find, size_t k, struct pq_text key) {
    const struct pq_text at = find->after.keys[k];
    const bool null = is_null_key(key), at_null = is_null_key(at);
    if (null || at_null) return (int)null - (int)at_null;
    const int order = pq_text_compare(key, at);
    return k < find->key_count && find->keys[k].descending ? -order : order;
}

static struct pq_text key_at(const struct pq_keys *keys, size_t row) {
    return (struct pq_text){(const char *)keys->data + keys->offsets[row],
                            keys->offsets[row + 1] - keys->offsets[row]};
}

/// The canonical bytes of all keys of a batch, and of `$id`.
static pqdb_code encode_keys(const struct pq_find *find, const struct pq_batch *batch,
                             struct pq_arena *arena, struct pq_keys *keys, pqdb_error *err) {
    for (size_t k = 0; k <= find->key_count; k++) {
        struct pq_column column = batch->columns[0];
        if (k < find->key_count) {
            PQ_TRY(pq_program_run(find->keys[k].program, batch, arena, &column, err));
        }
        PQ_TRY(pq_keys_encode(&column, 1, batch->count, arena, &keys[k], err));
    }
    return PQDB_OK;
}

pqdb_code pq_find_position_drop(struct pq_find *find, struct pq_scan_rows *rows,
                                struct pq_arena *arena, pqdb_error *err) {
    struct pq_keys keys[PQ_SORT_KEYS_MAX + 1];
    const size_t count = rows->batch.count;
    uint32_t *kept = pq_arena_alloc(arena, (count + 1) * sizeof *kept);
    uint32_t *places = pq_arena_alloc(arena, (count + 1) * sizeof *places);
    if (kept == NULL || places == NULL) return pq_fail(err, PQDB_NO_MEMORY, "rows of an answer");
    PQ_TRY(encode_keys(find, &rows->batch, arena, keys, err));
    size_t kept_count = 0;
    for (size_t row = 0; row < count; row++) {
        int place = 0;
        for (size_t k = 0; k <= find->key_count && place == 0; k++) {
            place = place_of(find, k, key_at(&keys[k], row));
        }
        if (place <= 0) continue;
        if (rows->rows != NULL) places[kept_count] = rows->rows[row];
        kept[kept_count++] = (uint32_t)row;
    }
    if (kept_count == count) return PQDB_OK;
    const struct pq_batch all = rows->batch;
    if (rows->rows != NULL) rows->rows = places;
    return pq_batch_gather(&all, kept, kept_count, arena, &rows->batch, err);
}

bool pq_find_position_is_behind(const struct pq_find *find, const struct pq_known *known) {
    const bool descending = find->key_count > 0 && find->keys[0].descending;
    if (known->may_null && (find->key_count > 0 || is_null_key(find->after.keys[0]))) return false;
    if (is_null_key(find->after.keys[0])) return true;  // behind nulls come nulls only
    if (known->may_nan || !(descending ? known->has_min : known->has_max)) return false;
    struct pq_bytes key;
    pq_bytes_init(&key, find->alloc);
    const pqdb_code code = pq_key_encode(descending ? &known->min : &known->max, &key, NULL);
    const bool behind = code == PQDB_OK && place_of(find, 0, pq_bytes_text(&key)) < 0;
    pq_bytes_deinit(&key);
    return behind;
}

// ---- writing ------------------------------------------------------------------------------------

static pqdb_code append_key(struct pq_bytes *out, struct pq_text key, pqdb_error *err) {
    uint8_t length[4];
    pq_store_u32(length, (uint32_t)key.length);
    PQ_TRY(pq_bytes_append(out, length, sizeof length, err));
    return pq_bytes_append_text(out, key, err);
}

/// The keys of row `index` of the order.
static pqdb_code keys_of(struct pq_find *find, size_t index,
                         struct pq_keys keys[static PQ_SORT_KEYS_MAX + 1], pqdb_error *err) {
    size_t row;
    const struct pq_batch *rows = pq_order_row(&find->order, index, &row);
    struct pq_batch one;
    PQ_TRY(pq_batch_slice(rows, row, 1, &find->computed_arena, &one, err));
    return encode_keys(find, &one, &find->computed_arena, keys, err);
}

pqdb_code pq_find_position_take(struct pq_find *find, size_t index, pqdb_error *err) {
    struct pq_keys keys[PQ_SORT_KEYS_MAX + 1];
    PQ_TRY(keys_of(find, index, keys, err));
    find->window.length = 0;
    for (size_t k = 0; k <= find->key_count; k++) {
        PQ_TRY(pq_bytes_append_text(&find->window, key_at(&keys[k], 0), err));
    }
    size_t at = 0;
    for (size_t k = 0; k <= find->key_count; k++) {
        const size_t length = key_at(&keys[k], 0).length;
        find->after.keys[k] = (struct pq_text){(const char *)find->window.data + at, length};
        at += length;
    }
    find->after.is_set = true;
    return PQDB_OK;
}

static pqdb_code write_position(struct pq_find *find, struct pq_bytes *out, pqdb_error *err) {
    struct pq_keys keys[PQ_SORT_KEYS_MAX + 1];
    uint8_t word[8];
    PQ_TRY(keys_of(find, find->next - 1, keys, err));
    PQ_TRY(pq_bytes_append_byte(out, format, err));
    pq_store_u64(word, find->question);
    PQ_TRY(pq_bytes_append(out, word, sizeof word, err));
    for (size_t k = 0; k <= find->key_count; k++) {
        PQ_TRY(append_key(out, key_at(&keys[k], 0), err));
    }
    pq_store_u64(word, pq_hash(out->data, out->length));
    return pq_bytes_append(out, word, sizeof word, err);
}

/// `-` and `_` instead of `+` and `/`, no padding.
static void make_url_safe(struct pq_bytes *text) {
    while (text->length > 0 && text->data[text->length - 1] == '=') text->length--;
    for (size_t i = 0; i < text->length; i++) {
        if (text->data[i] == '+') text->data[i] = '-';
        if (text->data[i] == '/') text->data[i] = '_';
    }
}

/// find->cursor: empty when no row follows.
static pqdb_code make_cursor(struct pq_find *find, pqdb_error *err) {
    const bool at_end = find->next >= find->order.ref_count;
    const bool ends = find->streams || find->limit == 0 || find->given < find->limit ||
                      find->next == 0 || (at_end && !find->in_windows);
    if (ends) return PQDB_OK;
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, find->alloc);
    find->cursor.length = 0;
    pqdb_code code = write_position(find, &bytes, err);
    if (code == PQDB_OK) code = pq_base64_write(&find->cursor, pq_bytes_text(&bytes), err);
    pq_bytes_deinit(&bytes);
    PQ_TRY(code);
    make_url_safe(&find->cursor);
    PQ_TRY(pq_bytes_append_byte(&find->cursor, '\0', err));
    bool more = true;
    if (at_end) PQ_TRY(pq_find_next_window(find, &more, err));
    if (!more) find->cursor.length = 0;
    find->has_cursor = true;
    return PQDB_OK;
}

pqdb_code pq_find_cursor(struct pq_find *find, struct pq_text *cursor, pqdb_error *err) {
    *cursor = (struct pq_text){"", 0};
    if (!find->has_cursor) PQ_TRY(make_cursor(find, err));
    if (find->cursor.length > 1) {
        *cursor = (struct pq_text){(const char *)find->cursor.data, find->cursor.length - 1};
    }
    return PQDB_OK;
}
