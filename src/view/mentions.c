#include "view/mentions.h"

#include <math.h>

#include "base/arena.h"
#include "base/fail.h"

enum { path_bytes_max = 4096 };

static void visit(const struct pq_mention_visitor *visitor, struct pq_text path,
                  const struct pq_json *json, bool whole) {
    const struct pq_mention mention = {path, json, whole};
    visitor->visit(visitor->ctx, &mention);
}

static struct pq_text after(struct pq_text text, size_t length) {
    return (struct pq_text){text.data + length, text.length - length};
}

/// '$a.b' names a.b, '$$id' and '$$type' the system fields.
static bool is_path_text(const struct pq_json *json, struct pq_text *path) {
    if (pq_json_kind(json) != PQ_JSON_TEXT) return false;
    const struct pq_text text = pq_json_text(json);
    if (text.length < 2 || text.data[0] != '$') return false;
    *path = after(text, 1);
    return true;
}

static void visit_expr(const struct pq_json *expr, bool whole,
                       const struct pq_mention_visitor *visitor) {
    struct pq_text path;
    const enum pq_json_kind kind = pq_json_kind(expr);
    if (is_path_text(expr, &path)) {
        visit(visitor, path, expr, whole);
    } else if (kind == PQ_JSON_LIST) {
        const struct pq_json *item = pq_json_first(expr);
        for (size_t k = pq_json_count(expr); k > 0; k--) {
            visit_expr(item, whole, visitor);
            item = pq_json_next(item);
        }
    } else if (kind == PQ_JSON_OBJECT) {
        const struct pq_json *key = pq_json_first(expr);
        for (size_t k = pq_json_count(expr); k > 0; k--) {
            const struct pq_json *value = pq_json_next(key);
            const struct pq_text name = pq_json_text(key);
            const bool takes_list = pq_text_is(name, "$size") || pq_text_is(name, "$in") ||
                                    pq_text_is(name, "$arrayElem");
            if (!pq_text_is(name, "$literal")) visit_expr(value, takes_list, visitor);
            key = pq_json_next(value);
        }
    }
}

void pq_mentions_of_expr(const struct pq_json *expr, const struct pq_mention_visitor *visitor) {
    visit_expr(expr, false, visitor);
}

static bool is_logical(struct pq_text name) {
    return pq_text_is(name, "$and") || pq_text_is(name, "$or") || pq_text_is(name, "$nor");
}

void pq_mentions_of_condition(const struct pq_json *key,
                              const struct pq_mention_visitor *visitor) {
    const struct pq_json *value = pq_json_next(key);
    const struct pq_text name = pq_json_text(key);
    if (is_logical(name) || pq_text_is(name, "$not")) {
        pq_mentions_of_filter(value, visitor);
    } else if (pq_text_is(name, "$expr")) {
        pq_mentions_of_expr(value, visitor);
    } else if (name.length > 0) {
        visit(visitor, name, key, false);
    }
}

void pq_mentions_of_filter(const struct pq_json *filter,
                           const struct pq_mention_visitor *visitor) {
    const enum pq_json_kind kind = pq_json_kind(filter);
    if (kind != PQ_JSON_OBJECT && kind != PQ_JSON_LIST) return;
    const struct pq_json *item = pq_json_first(filter);
    for (size_t k = pq_json_count(filter); k > 0; k--) {
        if (kind == PQ_JSON_OBJECT) {
            pq_mentions_of_condition(item, visitor);
            item = pq_json_next(item);
        } else {
            pq_mentions_of_filter(item, visitor);
        }
        item = pq_json_next(item);
    }
}

/// Paths of elements, with the list's in front.
struct in_list {
    const struct pq_mention_visitor *outer;
    struct pq_text list;
};

static void visit_in_list(void *ctx, const struct pq_mention *mention) {
    const struct in_list *in = ctx;
    char path[path_bytes_max];
    if (in->list.length + mention->path.length + 1 > sizeof path) return;  // no path is so long
    memcpy(path, in->list.data, in->list.length);
    path[in->list.length] = '.';
    memcpy(path + in->list.length + 1, mention->path.data, mention->path.length);
    visit(in->outer, (struct pq_text){path, in->list.length + 1 + mention->path.length},
          mention->json, false);
}

/// `$elemMatch` anywhere in the conditions on one field.
static void visit_elements(struct pq_text list, const struct pq_json *condition,
                           const struct pq_mention_visitor *visitor) {
    const enum pq_json_kind kind = pq_json_kind(condition);
    if (kind != PQ_JSON_OBJECT && kind != PQ_JSON_LIST) return;
    const struct pq_json *item = pq_json_first(condition);
    for (size_t k = pq_json_count(condition); k > 0; k--) {
        const bool is_match =
            kind == PQ_JSON_OBJECT && pq_text_is(pq_json_text(item), "$elemMatch");
        if (kind == PQ_JSON_OBJECT) item = pq_json_next(item);
        if (is_match) {
            struct in_list in = {visitor, list};
            const struct pq_mention_visitor inner = {visit_in_list, &in};
            pq_mentions_of_filter(item, &inner);
            pq_mentions_in_elements(item, &inner);
        } else {
            visit_elements(list, item, visitor);
        }
        item = pq_json_next(item);
    }
}

void pq_mentions_in_elements(const struct pq_json *filter,
                             const struct pq_mention_visitor *visitor) {
    const enum pq_json_kind kind = pq_json_kind(filter);
    if (kind != PQ_JSON_OBJECT && kind != PQ_JSON_LIST) return;
    const struct pq_json *item = pq_json_first(filter);
    for (size_t k = pq_json_count(filter); k > 0; k--) {
        struct pq_text name = PQ_TEXT("");
        if (kind == PQ_JSON_OBJECT) {
            name = pq_json_text(item);
            item = pq_json_next(item);
        }
        if (name.length == 0 || name.data[0] == '$') {
            pq_mentions_in_elements(item, visitor);
        } else {
            visit_elements(name, item, visitor);
        }
        item = pq_json_next(item);
    }
}

// ---- writing ---------------------------------------------------------------------------------

static bool applies(const struct pq_rewrite *rewrite, struct pq_text path) {
    return pq_text_starts_with(path, rewrite->from) &&
           (path.length == rewrite->from.length || path.data[rewrite->from.length] == '.');
}

bool pq_rewrite_path(const struct pq_rewrite *rewrite, struct pq_text path,
                     struct pq_arena *arena, struct pq_text *out) {
    if (!applies(rewrite, path)) return false;
    const struct pq_text tail = after(path, rewrite->from.length);
    const size_t length = rewrite->to.length + tail.length;
    char *data = pq_arena_alloc(arena, length + 1);
    *out = (struct pq_text){data, length};
    if (data == NULL) return true;
    memcpy(data, rewrite->to.data, rewrite->to.length);
    if (tail.length > 0) memcpy(data + rewrite->to.length, tail.data, tail.length);
    data[length] = '\0';
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// JSON wants digits on both sides of the point and no plus.
static pqdb_code copy_number(struct pq_bytes *out, struct pq_text text, pqdb_error *err) {
    size_t at = 0;
    if (text.length > 0 && (text.data[0] == '+' || text.data[0] == '-')) at = 1;
    if (at == 1 && text.data[0] == '-') PQ_TRY(pq_bytes_append_byte(out, '-', err));
    for (size_t start = at; at < text.length; at++) {
        const char c = text.data[at];
        const bool digit_before = at > start && is_digit(text.data[at - 1]);
        const bool digit_after = at + 1 < text.length && is_digit(text.data[at + 1]);
        if (c == '.' && !digit_before) PQ_TRY(pq_bytes_append_byte(out, '0', err));
        PQ_TRY(pq_bytes_append_byte(out, (uint8_t)c, err));
        if (c == '.' && !digit_after) PQ_TRY(pq_bytes_append_byte(out, '0', err));
    }
    return PQDB_OK;
}

static pqdb_code copy_text(struct pq_bytes *out, const struct pq_json *value,
                           const struct pq_rewrite *rewrite, pqdb_error *err) {
    struct pq_text path;
    const struct pq_text text = pq_json_text(value);
    if (rewrite == NULL || !is_path_text(value, &path) || !applies(rewrite, path)) {
        return pq_json_write_text(out, text, err);
    }
    // Names of columns and the tails of paths may hold what JSON escapes: written piece by piece.
    struct pq_bytes moved;
    pq_bytes_init(&moved, out->alloc);
    pqdb_code code = pq_bytes_append_byte(&moved, '$', err);
    if (code == PQDB_OK) code = pq_bytes_append_text(&moved, rewrite->to, err);
    if (code == PQDB_OK) {
        code = pq_bytes_append_text(&moved, after(path, rewrite->from.length), err);
    }
    if (code == PQDB_OK) code = pq_json_write_text(out, pq_bytes_text(&moved), err);
    pq_bytes_deinit(&moved);
    return code;
}

static pqdb_code copy_members(struct pq_bytes *out, const struct pq_json *value,
                              const struct pq_rewrite *rewrite, pqdb_error *err) {
    const bool is_object = pq_json_kind(value) == PQ_JSON_OBJECT;
    PQ_TRY(pq_bytes_append_byte(out, is_object ? '{' : '[', err));
    const struct pq_json *member = pq_json_first(value);
    const size_t count = pq_json_count(value);
    for (size_t k = 0; k < count; k++) {
        if (k > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        const struct pq_rewrite *below = rewrite;
        if (is_object) {
            PQ_TRY(pq_json_write_text(out, pq_json_text(member), err));
            PQ_TRY(pq_bytes_append_byte(out, ':', err));
            if (pq_text_is(pq_json_text(member), "$literal")) below = NULL;
            member = pq_json_next(member);
        }
        PQ_TRY(pq_json_copy(out, member, below, err));
        member = pq_json_next(member);
    }
    return pq_bytes_append_byte(out, is_object ? '}' : ']', err);
}

pqdb_code pq_json_copy(struct pq_bytes *out, const struct pq_json *value,
                       const struct pq_rewrite *rewrite, pqdb_error *err) {
    switch (pq_json_kind(value)) {
        case PQ_JSON_NULL: return pq_bytes_append_text(out, PQ_TEXT("null"), err);
        case PQ_JSON_BOOL:
            return pq_bytes_append_text(
                out, pq_json_bool(value) ? PQ_TEXT("true") : PQ_TEXT("false"), err);
        case PQ_JSON_INT: return pq_bytes_printf(out, err, "%lld", (long long)pq_json_int(value));
        case PQ_JSON_REAL: {
            const double real = pq_json_real(value);
            if (isnan(real)) return pq_bytes_append_text(out, PQ_TEXT("NaN"), err);
            if (!isinf(real)) return pq_json_write_real(out, real, err);
            return pq_bytes_append_text(
                out, real < 0 ? PQ_TEXT("-Infinity") : PQ_TEXT("Infinity"), err);
        }
        case PQ_JSON_NUMBER: return copy_number(out, pq_json_text(value), err);
        case PQ_JSON_TEXT: return copy_text(out, value, rewrite, err);
        case PQ_JSON_LIST:
        case PQ_JSON_OBJECT: break;
    }
    return copy_members(out, value, rewrite, err);
}
