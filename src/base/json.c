/// The only file that includes yyjson.h. A pq_json is a yyjson_val under another name: yyjson keeps
/// the values of a document in one array, a container before its content, so that walking is
/// pointer arithmetic and nothing is copied. Strings are decoded inside yyjson's copy of the text,
/// in place: that gives their offsets.
#include "base/json.h"

#include <math.h>
#include <stdio.h>
#include <yyjson.h>

#include "base/check.h"
#include "base/fail.h"
#include "base/json_internal.h"

enum {
    slot_count = 3,             // the text, the values, and a spare while they grow
    slot_kept_bytes = 1 << 20,  // a reader gives back more than this before the next text
    integer_text_bytes = 24,
};

/// Memory that yyjson asked for; kept when it frees it.
struct slot {
    char *data;  // owned
    size_t bytes;
    bool taken;
};

struct pq_json_document {
    const struct pq_alloc *alloc;
    struct slot slots[slot_count];
    const yyjson_doc *tree;  // lives in a slot; NULL when nothing was parsed
    size_t text_length;
    char *integers;  // owned: texts of integers from 2^63 to 2^64 - 1
    size_t integers_bytes;
};

static const yyjson_val *value_of(const struct pq_json *value) {
    return (const yyjson_val *)(const void *)value;
}

static unsigned type_of(const yyjson_val *value) { return (unsigned)value->tag & YYJSON_TYPE_MASK; }

static const struct pq_json *json_of(const yyjson_val *value) {
    return (const struct pq_json *)(const void *)value;
}

static void *slot_resize(struct pq_json_document *document, struct slot *slot, size_t bytes) {
    if (slot->bytes < bytes) {
        char *grown = pq_resize(document->alloc, slot->data, slot->bytes, bytes, 1);
        if (grown == NULL) return NULL;
        slot->data = grown;
        slot->bytes = bytes;
    }
    slot->taken = true;
    return slot->data;
}

/// The free slot that is large enough, else the largest free one.
static void *slot_take(void *ctx, size_t bytes) {
    struct pq_json_document *document = ctx;
    struct slot *best = NULL;
    for (size_t i = 0; i < slot_count; i++) {
        struct slot *slot = &document->slots[i];
        if (slot->taken) continue;
        if (best == NULL || (best->bytes < bytes && slot->bytes > best->bytes) ||
            (slot->bytes >= bytes && slot->bytes < best->bytes)) {
            best = slot;
        }
    }
    return best == NULL ? NULL : slot_resize(document, best, bytes);
}

static struct slot *slot_of(struct pq_json_document *document, const void *data) {
    for (size_t i = 0; i < slot_count; i++) {
        if (document->slots[i].data == data) return &document->slots[i];
    }
    return NULL;
}

static void *slot_grow(void *ctx, void *data, size_t old_bytes, size_t bytes) {
    (void)old_bytes;
    struct slot *slot = slot_of(ctx, data);
    pq_assert(slot != NULL);
    return slot_resize(ctx, slot, bytes);
}

static void slot_give(void *ctx, void *data) {
    struct slot *slot = data == NULL ? NULL : slot_of(ctx, data);
    if (slot != NULL) slot->taken = false;
}

/// Forget the last text; keep what memory is worth keeping.
static void clear(struct pq_json_document *document, size_t kept_bytes) {
    for (size_t i = 0; i < slot_count; i++) {
        struct slot *slot = &document->slots[i];
        slot->taken = false;
        if (slot->bytes <= kept_bytes) continue;
        pq_free(document->alloc, slot->data, slot->bytes, 1);
        *slot = (struct slot){0};
    }
    pq_free(document->alloc, document->integers, document->integers_bytes, 1);
    document->integers = NULL;
    document->integers_bytes = 0;
    document->tree = NULL;
}

// ---- errors ---------------------------------------------------------------------------------

/// What would have to come next where the text breaks off: the end of the innermost thing begun.
static const char *missing_at_end(struct pq_text text, bool is_json5) {
    const char *answer = "a value";
    size_t depth = 0;
    for (int pass = 0; pass < 2; pass++) {  // the first finds the depth that is left open
        const size_t depth_left = depth;
        depth = 0;
        for (size_t i = 0; i < text.length; i++) {
            const char c = text.data[i];
            if (c == '"' || (is_json5 && c == '\'')) {
                size_t end = i + 1;
                while (end < text.length && text.data[end] != c) {
                    end += text.data[end] == '\\' ? 2 : 1;
                }
                if (end >= text.length) return "the closing quote of a text";
                i = end;
            } else if (is_json5 && c == '/' && i + 1 < text.length && text.data[i + 1] == '/') {
                while (i < text.length && text.data[i] != '\n') i++;
            } else if (c == '[' || c == '{') {
                depth++;
                if (pass == 1 && depth == depth_left) {
                    answer = c == '[' ? "a value, ',' or ']'" : "a member, ',' or '}'";
                }
            } else if ((c == ']' || c == '}') && depth > 0) {
                depth--;
            }
        }
        if (depth == 0) break;
    }
    return answer;
}

/// "found 'x'", "found byte 0x07" or "found the end".
static void describe_found(struct pq_text text, size_t offset, char out[static 32]) {
    if (offset >= text.length) {
        snprintf(out, 32, "found the end");
        return;
    }
    const unsigned char c = (unsigned char)text.data[offset];
    if (c >= 0x20 && c < 0x7F) {
        snprintf(out, 32, "found '%c'", c);
    } else {
        snprintf(out, 32, "found byte 0x%02X", c);
    }
}

static pqdb_code fail_at(size_t offset, pqdb_error *err) {
    if (err != NULL) err->offset = (int64_t)offset;
    return PQDB_INVALID;
}

static pqdb_code fail_parse(struct pq_text text, unsigned flags, const yyjson_read_err *fault,
                            pqdb_error *err) {
    static const char unexpected[] = "unexpected character, ";
    char found[32];
    describe_found(text, fault->pos, found);
    const char *message = fault->msg == NULL ? "" : fault->msg;
    if (strncmp(message, unexpected, sizeof unexpected - 1) == 0) message += sizeof unexpected - 1;
    if (fault->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION) {
        return pq_fail(err, PQDB_NO_MEMORY, "JSON of %zu bytes", text.length);
    }
    if (text.length == 0 || fault->code == YYJSON_READ_ERROR_EMPTY_CONTENT) {
        pq_fail(err, PQDB_INVALID, "expected a value, found nothing");
    } else if (fault->code == YYJSON_READ_ERROR_UNEXPECTED_CONTENT) {
        pq_fail(err, PQDB_INVALID, "expected the end after the first value, %s", found);
    } else if (fault->code == YYJSON_READ_ERROR_UNEXPECTED_END) {
        pq_fail(err, PQDB_INVALID, "expected %s, found the end",
                missing_at_end(text, (flags & PQ_JSON_5) != 0));
    } else if (fault->code == YYJSON_READ_ERROR_JSON_STRUCTURE) {
        pq_fail(err, PQDB_INVALID, "expected a value after the last comma (%s)", message);
    } else if (fault->code == YYJSON_READ_ERROR_INVALID_COMMENT) {
        pq_fail(err, PQDB_INVALID, "expected the end of a comment (%s)", message);
    } else if (fault->code == YYJSON_READ_ERROR_INVALID_NUMBER) {
        pq_fail(err, PQDB_INVALID, "expected a number as JSON writes it (%s)", message);
    } else if (fault->code == YYJSON_READ_ERROR_INVALID_STRING) {
        pq_fail(err, PQDB_INVALID, "expected UTF-8 text as JSON writes it (%s)", message);
    } else {
        pq_fail(err, PQDB_INVALID, "%s, %s", message, found);
    }
    return fail_at(fault->pos, err);
}

// ---- numbers that need a second look ----------------------------------------------------------

static bool is_large(const yyjson_val *value) {
    return (uint8_t)value->tag == (YYJSON_TYPE_NUM | YYJSON_SUBTYPE_UINT) &&
           value->uni.u64 > INT64_MAX;
}

/// JSON5's own spellings that were kept as text: NaN and Infinity become reals, hexadecimal
/// integers int64; the others can stay.
static pqdb_code settle_raw(struct pq_json_document *document, yyjson_val *value,
                            pqdb_error *err) {
    const char *digits = value->uni.str;
    const bool negative = *digits == '-';
    if (*digits == '-' || *digits == '+') digits++;
    if (*digits == 'i' || *digits == 'I' || *digits == 'n' || *digits == 'N') {
        const double real = *digits == 'i' || *digits == 'I' ? (double)INFINITY : (double)NAN;
        unsafe_yyjson_set_real(value, negative ? -real : real);
    } else if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X')) {
        int64_t integer = 0;
        for (const char *d = digits + 2; *d != '\0'; d++) {
            const int digit = *d <= '9' ? *d - '0' : (*d | 0x20) - 'a' + 10;
            if (__builtin_mul_overflow(integer, 16, &integer) ||
                __builtin_add_overflow(integer, digit, &integer)) {
                const size_t offset = (size_t)(value->uni.str - document->tree->str_pool);
                pq_fail(err, PQDB_INVALID, "expected a hexadecimal number of at most 63 bits");
                return fail_at(offset, err);
            }
        }
        unsafe_yyjson_set_sint(value, negative ? -integer : integer);
    }
    return PQDB_OK;
}

/// yyjson reads integers up to 2^64 - 1 as such; ours end at 2^63 - 1, beyond they are text.
static pqdb_code settle_numbers(struct pq_json_document *document, unsigned flags,
                                pqdb_error *err) {
    yyjson_val *values = document->tree->root;
    const size_t count = document->tree->val_read;
    size_t large_count = 0;
    for (size_t i = 0; i < count; i++) large_count += is_large(&values[i]);
    if (large_count > 0) {
        document->integers = pq_resize(document->alloc, NULL, 0, large_count, integer_text_bytes);
        if (document->integers == NULL) return pq_fail(err, PQDB_NO_MEMORY, "integers as text");
        document->integers_bytes = large_count * integer_text_bytes;
    }
    char *room = document->integers;
    for (size_t i = 0; i < count && large_count > 0; i++) {
        if (!is_large(&values[i])) continue;
        const int length = snprintf(room, integer_text_bytes, "%llu",
                                    (unsigned long long)values[i].uni.u64);
        unsafe_yyjson_set_raw(&values[i], room, (size_t)length);
        room += integer_text_bytes;
        large_count--;
    }
    if ((flags & PQ_JSON_5) == 0) return PQDB_OK;
    for (size_t i = 0; i < count; i++) {
        if (type_of(&values[i]) == YYJSON_TYPE_RAW) PQ_TRY(settle_raw(document, &values[i], err));
    }
    return PQDB_OK;
}

// ---- documents --------------------------------------------------------------------------------

static pqdb_code parse_into(struct pq_json_document *document, struct pq_text text,
                            unsigned flags, pqdb_error *err) {
    if ((flags & PQ_JSON_5) != 0 && !pq_text_is_utf8(text)) {  // yyjson looks at texts only
        pq_fail(err, PQDB_INVALID, "expected UTF-8");
        return PQDB_INVALID;
    }
    const yyjson_read_flag read_flags =
        ((flags & PQ_JSON_5) != 0 ? YYJSON_READ_JSON5 : 0) |
        ((flags & PQ_JSON_RAW_NUMBERS) != 0 ? YYJSON_READ_NUMBER_AS_RAW
                                            : YYJSON_READ_BIGNUM_AS_RAW);
    const yyjson_alc slots = {slot_take, slot_grow, slot_give, document};
    yyjson_read_err fault = {0};
    char *input = (char *)(uintptr_t)text.data;  // not written: YYJSON_READ_INSITU is off
    document->tree = yyjson_read_opts(input, text.length, read_flags, &slots, &fault);
    if (document->tree == NULL) return fail_parse(text, flags, &fault, err);
    document->text_length = text.length;
    const pqdb_code code = settle_numbers(document, flags, err);
    if (code != PQDB_OK) document->tree = NULL;
    return code;
}

static struct pq_json_document *document_create(const struct pq_alloc *alloc, pqdb_error *err) {
    struct pq_json_document *document = pq_resize(alloc, NULL, 0, 1, sizeof *document);
    if (document == NULL) {
        pq_fail(err, PQDB_NO_MEMORY, "JSON document");
        return NULL;
    }
    *document = (struct pq_json_document){.alloc = alloc};
    return document;
}

void pq_json_destroy(struct pq_json_document *document) {
    if (document == NULL) return;
    clear(document, 0);
    pq_free(document->alloc, document, 1, sizeof *document);
}

pqdb_code pq_json_parse(struct pq_text text, unsigned flags, const struct pq_alloc *alloc,
                        struct pq_json_document **document, pqdb_error *err) {
    struct pq_json_document *fresh = document_create(alloc, err);
    if (fresh == NULL) return PQDB_NO_MEMORY;
    const pqdb_code code = parse_into(fresh, text, flags, err);
    if (code == PQDB_OK) {
        *document = fresh;
    } else {
        pq_json_destroy(fresh);
    }
    return code;
}

const struct pq_json *pq_json_root(const struct pq_json_document *document) {
    return document->tree == NULL ? NULL : json_of(document->tree->root);
}

void pq_json_reader_init(struct pq_json_reader *reader, const struct pq_alloc *alloc) {
    *reader = (struct pq_json_reader){.alloc = alloc};
}

void pq_json_reader_deinit(struct pq_json_reader *reader) {
    pq_json_destroy(reader->document);
    reader->document = NULL;
}

pqdb_code pq_json_reader_parse(struct pq_json_reader *reader, struct pq_text text, unsigned flags,
                               const struct pq_json **root, pqdb_error *err) {
    if (reader->document == NULL) {
        reader->document = document_create(reader->alloc, err);
        if (reader->document == NULL) return PQDB_NO_MEMORY;
    } else {
        clear(reader->document, slot_kept_bytes);
    }
    PQ_TRY(parse_into(reader->document, text, flags, err));
    *root = pq_json_root(reader->document);
    return PQDB_OK;
}

// ---- values -----------------------------------------------------------------------------------

enum pq_json_kind pq_json_kind(const struct pq_json *value) {
    const yyjson_val *val = value_of(value);
    switch (type_of(val)) {
    case YYJSON_TYPE_RAW: return PQ_JSON_NUMBER;
    case YYJSON_TYPE_BOOL: return PQ_JSON_BOOL;
    case YYJSON_TYPE_NUM:
        return (val->tag & YYJSON_SUBTYPE_MASK) == YYJSON_SUBTYPE_REAL ? PQ_JSON_REAL : PQ_JSON_INT;
    case YYJSON_TYPE_STR: return PQ_JSON_TEXT;
    case YYJSON_TYPE_ARR: return PQ_JSON_LIST;
    case YYJSON_TYPE_OBJ: return PQ_JSON_OBJECT;
    default: return PQ_JSON_NULL;
    }
}

bool pq_json_bool(const struct pq_json *value) {
    pq_assert_slow(pq_json_kind(value) == PQ_JSON_BOOL);
    return value_of(value)->tag == (YYJSON_TYPE_BOOL | YYJSON_SUBTYPE_TRUE);
}

int64_t pq_json_int(const struct pq_json *value) {
    pq_assert_slow(pq_json_kind(value) == PQ_JSON_INT);
    return value_of(value)->uni.i64;
}

double pq_json_real(const struct pq_json *value) {
    pq_assert_slow(pq_json_kind(value) == PQ_JSON_REAL);
    return value_of(value)->uni.f64;
}

struct pq_text pq_json_text(const struct pq_json *value) {
    const yyjson_val *val = value_of(value);
    pq_assert_slow(pq_json_kind(value) == PQ_JSON_TEXT || pq_json_kind(value) == PQ_JSON_NUMBER);
    return (struct pq_text){val->uni.str, (size_t)(val->tag >> YYJSON_TAG_BIT)};
}

bool pq_json_number_real(const struct pq_json *number, double *real) {
    yyjson_val val = {0};
    if (yyjson_read_number(pq_json_text(number).data, &val, 0, NULL, NULL) == NULL) return false;
    *real = unsafe_yyjson_get_num(&val);
    return true;
}

size_t pq_json_count(const struct pq_json *container) {
    return (size_t)(value_of(container)->tag >> YYJSON_TAG_BIT);
}

const struct pq_json *pq_json_first(const struct pq_json *container) {
    return json_of(value_of(container) + 1);
}

const struct pq_json *pq_json_next(const struct pq_json *value) {
    return json_of(unsafe_yyjson_get_next((yyjson_val *)(uintptr_t)value_of(value)));
}

const struct pq_json *pq_json_find(const struct pq_json *value, const char *key) {
    const struct pq_text wanted = pq_text_of(key);
    const size_t count = pq_json_kind(value) == PQ_JSON_OBJECT ? pq_json_count(value) : 0;
    const struct pq_json *name = pq_json_first(value);
    for (size_t i = 0; i < count; i++) {
        const struct pq_json *member = pq_json_next(name);
        if (pq_text_equal(pq_json_text(name), wanted)) return member;
        name = pq_json_next(member);
    }
    return NULL;
}

bool pq_json_read_real(struct pq_text number, double *real) {
    yyjson_val value;
    const yyjson_read_flag flags = YYJSON_READ_ALLOW_EXT_NUMBER | YYJSON_READ_ALLOW_INF_AND_NAN;
    const char *end = yyjson_read_number(number.data, &value, flags, NULL, NULL);
    if (end != number.data + number.length) return false;
    *real = unsafe_yyjson_get_num(&value);
    return true;
}

void pq_json_real_digits(double value, char out[PQ_JSON_REAL_TEXT_MAX]) {
    yyjson_val number = {0};
    unsafe_yyjson_set_real(&number, value);
    char *end = yyjson_write_number(&number, out);
    pq_assert(end != NULL);
    *end = '\0';
}

// ---- positions --------------------------------------------------------------------------------

int64_t pq_json_offset(const struct pq_json_document *document, const struct pq_json *value) {
    const yyjson_val *val = value_of(value);
    const char *pool = document->tree->str_pool;
    if (type_of(val) != YYJSON_TYPE_STR && type_of(val) != YYJSON_TYPE_RAW) return -1;
    const uintptr_t start = (uintptr_t)val->uni.str, from = (uintptr_t)pool;
    if (pool == NULL || start < from || start > from + document->text_length) return -1;
    const size_t offset = (size_t)(start - from);
    const bool is_quoted = offset > 0 && (pool[offset - 1] == '"' || pool[offset - 1] == '\'');
    return (int64_t)offset - (is_quoted ? 1 : 0);
}

int64_t pq_json_offset_near(const struct pq_json_document *document, const struct pq_json *value) {
    for (const yyjson_val *at = value_of(value); at >= document->tree->root; at--) {
        const int64_t offset = pq_json_offset(document, json_of(at));
        if (offset >= 0) return offset;
    }
    return 0;
}

void pq_json_position(struct pq_text text, int64_t offset, size_t *line, size_t *column) {
    const size_t end = offset < 0 ? 0 : (size_t)offset > text.length ? text.length : (size_t)offset;
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < end; i++) {
        if (text.data[i] == '\n') {
            ++*line;
            *column = 1;
        } else if (((unsigned char)text.data[i] & 0xC0) != 0x80) {
            ++*column;  // of a code point, not of each of its bytes
        }
    }
}
