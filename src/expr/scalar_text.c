/// Texts and lists, one value at a time. Positions and lengths are in code points.
#include "base/hash.h"
#include "expr/nested.h"
#include "expr/print.h"
#include "expr/scalar_internal.h"

static bool begins_code_point(char c) { return ((uint8_t)c & 0xC0) != 0x80; }

/// Byte position after `count` code points from `at`.
static size_t skip(struct pq_text text, size_t at, int64_t count) {
    while (count > 0 && at < text.length) {
        at++;
        while (at < text.length && !begins_code_point(text.data[at])) at++;
        count--;
    }
    return at;
}

SCALAR(concat) {
    size_t length = 0;
    for (size_t k = 0; k < node->arg_count; k++) length += args[k].as.text.length;
    char *room = pq_run_alloc(run, length, err);
    if (room == NULL) return PQDB_NO_MEMORY;
    size_t at = 0;
    for (size_t k = 0; k < node->arg_count; k++) {
        const struct pq_text text = args[k].as.text;
        if (text.length > 0) memcpy(room + at, text.data, text.length);
        at += text.length;
    }
    return pq_give_text(out, (struct pq_text){room, length});
}

static pqdb_code to_case(struct pq_run *run, const struct pq_node *node,
                         const struct pq_value *args, struct pq_value *out, pqdb_error *err) {
    struct pq_text text;
    struct pq_caser *caser = run->slots[node->slot].scratch;
    const bool upper = node->function->scalar == pq_scalar_to_upper;
    PQ_TRY(pq_text_to_case(args[0].as.text, upper, run->arena, &caser, &text, err));
    run->slots[node->slot].scratch = caser;
    return pq_give_text(out, text);
}
SCALAR(to_lower) { return to_case(run, node, args, out, err); }
SCALAR(to_upper) { return to_case(run, node, args, out, err); }

/// Unicode's white space, and the zero byte.
static bool is_white(struct pq_text c) {
    static const char *const white[] = {
        " ",            "\t",           "\n",           "\v",           "\f",
        "\r",           "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\xA8",
        "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80",
    };
    if (c.length == 1 && c.data[0] == '\0') return true;
    for (size_t i = 0; i < sizeof white / sizeof *white; i++) {
        if (pq_text_is(c, white[i])) return true;
    }
    // U+2000 to U+200A
    return c.length == 3 && memcmp(c.data, "\xE2\x80", 2) == 0 && (uint8_t)c.data[2] >= 0x80 &&
           (uint8_t)c.data[2] <= 0x8A;
}

static bool is_one_of(struct pq_text c, struct pq_text set) {
    for (size_t at = 0; at < set.length;) {
        const size_t next = skip(set, at, 1);
        if (pq_text_equal(c, (struct pq_text){set.data + at, next - at})) return true;
        at = next;
    }
    return false;
}

SCALAR(trim) {
    const struct pq_text text = args[0].as.text;
    const struct pq_text *set = node->arg_count > 1 ? &args[1].as.text : NULL;
    size_t start = 0, end = text.length;
    while (start < end) {
        const size_t next = skip(text, start, 1);
        const struct pq_text c = {text.data + start, next - start};
        if (!(set == NULL ? is_white(c) : is_one_of(c, *set))) break;
        start = next;
    }
    while (end > start) {
        size_t last = end - 1;
        while (last > start && !begins_code_point(text.data[last])) last--;
        const struct pq_text c = {text.data + last, end - last};
        if (!(set == NULL ? is_white(c) : is_one_of(c, *set))) break;
        end = last;
    }
    return pq_give_text(out, (struct pq_text){text.data + start, end - start});
}

SCALAR(substr) {
    const struct pq_text text = args[0].as.text;
    int64_t start, count = -1;
    if (!pq_value_index(&args[1], &start)) return PQDB_OK;
    if (node->arg_count > 2 && !pq_value_index(&args[2], &count)) return PQDB_OK;
    if (start < 0) return pq_give_text(out, (struct pq_text){text.data, 0});
    const size_t from = skip(text, 0, start);
    const size_t until = count < 0 ? text.length : skip(text, from, count);
    return pq_give_text(out, (struct pq_text){text.data + from, until - from});
}

SCALAR(str_len) {
    const struct pq_text text = args[0].as.text;
    int64_t count = 0;
    for (size_t i = 0; i < text.length; i++) count += begins_code_point(text.data[i]);
    return pq_give_int(out, count);
}

/// Where the next separator begins, or the end.
static size_t find(struct pq_text text, size_t at, struct pq_text separator) {
    const char *found =
        at < text.length
            ? memmem(text.data + at, text.length - at, separator.data, separator.length)
            : NULL;
    return found == NULL ? text.length : (size_t)(found - text.data);
}

/// A one-row list column in the arena, whose texts are views. An empty separator gives null.
SCALAR(split) {
    const struct pq_text text = args[0].as.text, separator = args[1].as.text;
    if (separator.length == 0) return PQDB_OK;
    size_t count = 1;
    for (size_t at = find(text, 0, separator); at < text.length;
         at = find(text, at + separator.length, separator)) {
        count++;
    }
    struct pq_builder builder;
    PQ_TRY(pq_builder_init(&builder, &node->type, &run->arena->alloc, err));
    for (size_t at = 0, k = 0; k < count; k++) {
        const size_t end = find(text, at, separator);
        PQ_TRY(pq_builder_append_bytes(&builder.children[0], text.data + at, end - at, err));
        at = end + separator.length;
    }
    PQ_TRY(pq_builder_end_list(&builder, err));
    struct pq_column *column = pq_run_alloc(run, sizeof *column, err);
    if (column == NULL) return PQDB_NO_MEMORY;
    *column = pq_builder_finish(&builder);
    *out = (struct pq_value){.kind = PQ_LIST};
    out->as.nested.column = column;
    return PQDB_OK;
}

SCALAR(hash) {
    struct pq_bytes json;
    pq_bytes_init(&json, &run->arena->alloc);
    PQ_TRY(pq_print_json(&json, &args[0], err));
    const uint64_t hash = pq_hash_xxh64(json.data, json.length);
    pq_bytes_deinit(&json);
    return pq_give_int(out, (int64_t)(hash & INT64_MAX));
}

SCALAR(to_string) {
    struct pq_bytes text;
    pq_bytes_init(&text, &run->arena->alloc);
    PQ_TRY(pq_bytes_reserve(&text, 1, err));
    PQ_TRY(pq_print_text(&text, &args[0], err));
    return pq_give_text(out, pq_bytes_text(&text));
}

SCALAR(size) {
    if (!pq_value_is_list(&args[0])) return PQDB_OK;
    return pq_give_int(out, (int64_t)pq_nested_count(&args[0]));
}

SCALAR(array_elem) {
    int64_t position;
    if (!pq_value_is_list(&args[0]) || !pq_value_index(&args[1], &position)) return PQDB_OK;
    const int64_t count = (int64_t)pq_nested_count(&args[0]);
    if (position < 0) position += count;
    if (position >= 0 && position < count) *out = pq_nested_at(&args[0], (size_t)position, NULL);
    return PQDB_OK;
}
