/// type/schema_edit.c: see schema_edit.h. The text has been parsed before, so that this walk only
/// has to tell strings and comments from brackets.
#include "type/schema_edit.h"

#include <string.h>

#include "base/fail.h"
#include "base/json.h"
#include "type/schema.h"

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/// Behind the comment or string that begins at `at`, or `at`.
static size_t skip_token(struct pq_text text, size_t at) {
    const char c = text.data[at], next = at + 1 < text.length ? text.data[at + 1] : '\0';
    if (c == '/' && next == '/') {
        while (at < text.length && text.data[at] != '\n') at++;
        return at;
    }
    if (c == '/' && next == '*') {
        for (at += 2; at + 1 < text.length; at++) {
            if (text.data[at] == '*' && text.data[at + 1] == '/') return at + 2;
        }
        return text.length;
    }
    if (c != '"' && c != '\'') return at;
    for (at++; at < text.length && text.data[at] != c; at++) at += text.data[at] == '\\';
    return at < text.length ? at + 1 : text.length;
}

/// The next character that is neither space nor comment.
static size_t skip_space(struct pq_text text, size_t at) {
    while (at < text.length) {
        const char c = text.data[at];
        if (is_space(c)) {
            at++;
        } else if (c == '/' && skip_token(text, at) > at) {
            at = skip_token(text, at);
        } else if ((unsigned char)c == 0xEF && at + 2 < text.length) {
            at += 3;  // a byte order mark
        } else {
            break;
        }
    }
    return at;
}

/// An entry: its key, and behind its value.
struct span {
    size_t key, key_end, value_end;
};

/// The entry whose key begins at `at`.
static struct span entry_at(struct pq_text text, size_t at) {
    struct span span = {.key = at};
    const size_t quoted = skip_token(text, at);
    if (quoted > at) {
        at = quoted;
    } else {
        while (at < text.length && text.data[at] != ':' && !is_space(text.data[at]) &&
               text.data[at] != '/') {
            at++;
        }
    }
    span.key_end = at;
    for (int depth = 0; at < text.length;) {
        const size_t behind = skip_token(text, at);
        if (behind > at) {
            if (text.data[at] != '/') span.value_end = behind;  // no comment
            at = behind;
            continue;
        }
        const char c = text.data[at];
        if (depth == 0 && (c == ',' || c == '}')) break;
        if (c == '{' || c == '[') depth++;
        if (c == '}' || c == ']') depth--;
        at++;
        if (!is_space(c)) span.value_end = at;
    }
    return span;
}

/// Is the key this name? What is escaped in a key never is: names are letters and digits.
static bool is_named(struct pq_text text, const struct span *span, struct pq_text name) {
    struct pq_text key = {text.data + span->key, span->key_end - span->key};
    if (key.length >= 2 && (key.data[0] == '"' || key.data[0] == '\'')) {
        key = (struct pq_text){key.data + 1, key.length - 2};
    }
    return pq_text_equal(key, name);
}

static pqdb_code check(struct pq_text text, enum pq_json_kind kind, const char *what,
                       pqdb_error *err) {
    struct pq_json_document *document;
    PQ_TRY(pq_json_parse(text, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, &pq_alloc_libc, &document, err));
    const bool right = pq_json_kind(pq_json_root(document)) == kind;
    pq_json_destroy(document);
    return right ? PQDB_OK : pq_fail(err, PQDB_INVALID, "%s must be an object: { … }", what);
}

/// The bracket that ends the schema, and behind the last entry (0: there is none). Comments count
/// as what stands between.
static void find_end(struct pq_text schema, size_t *bracket, size_t *last_end, bool *has_comma) {
    size_t at = skip_space(schema, 0) + 1;
    *last_end = 0;
    *has_comma = false;
    for (;;) {
        at = skip_space(schema, at);
        if (at >= schema.length || schema.data[at] == '}') break;
        const struct span span = entry_at(schema, at);
        *last_end = span.value_end;
        at = skip_space(schema, span.value_end);
        *has_comma = at < schema.length && schema.data[at] == ',';
        if (*has_comma) at++;
    }
    *bracket = at;
}

/// Without space at its ends.
static struct pq_text trimmed(struct pq_text text) {
    while (text.length > 0 && is_space(text.data[0])) {
        text = (struct pq_text){text.data + 1, text.length - 1};
    }
    while (text.length > 0 && is_space(text.data[text.length - 1])) text.length--;
    return text;
}

/// Where a comment to the end of the line may swallow what follows.
static bool ends_in_comment(struct pq_text text) {
    size_t line = text.length;
    while (line > 0 && text.data[line - 1] != '\n') line--;
    for (size_t i = line; i + 1 < text.length; i++) {
        if (text.data[i] == '/' && text.data[i + 1] == '/') return true;
    }
    return false;
}

static void locate(const struct pq_bytes *out, struct pq_schema_place *place) {
    *place = (struct pq_schema_place){1, 1};
    for (size_t i = 0; i < out->length; i++) {
        place->column = out->data[i] == '\n' ? 1 : place->column + 1;
        place->line += out->data[i] == '\n';
    }
}

pqdb_code pq_schema_text_add(struct pq_text schema, struct pq_text name,
                             struct pq_text definition, struct pq_bytes *out,
                             struct pq_schema_place *place, pqdb_error *err) {
    PQ_TRY(check(schema, PQ_JSON_OBJECT, "a schema", err));
    PQ_TRY(check(definition, PQ_JSON_OBJECT, "a definition", err));
    size_t bracket, last_end;
    bool has_comma;
    find_end(schema, &bracket, &last_end, &has_comma);
    const size_t cut = last_end == 0 || has_comma ? bracket : last_end;
    struct pq_text front = {schema.data, cut};
    struct pq_text between = {schema.data + cut, bracket - cut};  // comments behind the last entry
    PQ_TRY(pq_bytes_append_text(out, front, err));
    if (cut != bracket) PQ_TRY(pq_bytes_append_byte(out, ',', err));
    PQ_TRY(pq_bytes_append_text(out, between, err));
    const bool begins_line = out->length > 0 && out->data[out->length - 1] == '\n';
    definition = trimmed(definition);
    PQ_TRY(pq_bytes_printf(out, err, "%s  ", begins_line ? "" : "\n"));
    if (pq_is_entry_name(name)) PQ_TRY(pq_bytes_append_text(out, name, err));
    if (!pq_is_entry_name(name)) PQ_TRY(pq_json_write_text(out, name, err));
    PQ_TRY(pq_bytes_printf(out, err, ": "));
    locate(out, place);
    PQ_TRY(pq_bytes_append_text(out, definition, err));
    PQ_TRY(pq_bytes_printf(out, err, "%s,\n", ends_in_comment(definition) ? "\n" : ""));
    return pq_bytes_append_text(
        out, (struct pq_text){schema.data + bracket, schema.length - bracket}, err);
}

/// Where the text of an entry begins and ends when it goes: with its comma, and whole lines where
/// nothing else stands on them.
static void widen(struct pq_text schema, size_t behind, struct span span, size_t *from,
                  size_t *to) {
    size_t end = skip_space(schema, span.value_end);
    *to = span.value_end;
    if (end < schema.length && schema.data[end] == ',') *to = end + 1;
    end = *to;
    while (end < schema.length && (schema.data[end] == ' ' || schema.data[end] == '\t')) end++;
    if (end + 1 < schema.length && schema.data[end] == '/' && schema.data[end + 1] == '/') {
        end = skip_token(schema, end);
    }
    if (end < schema.length && schema.data[end] == '\n') *to = end + 1;
    // In front: comments and the indent, from the first line without the entry before.
    size_t line = behind;
    while (line < span.key && schema.data[line - 1] != '\n') line++;
    *from = line;
}

pqdb_code pq_schema_text_remove(struct pq_text schema, const struct pq_text *names, size_t count,
                                struct pq_bytes *out, pqdb_error *err) {
    PQ_TRY(check(schema, PQ_JSON_OBJECT, "a schema", err));
    size_t at = skip_space(schema, 0) + 1, kept = 0;
    for (size_t behind = at;; behind = at) {
        at = skip_space(schema, at);
        if (at >= schema.length || schema.data[at] == '}') break;
        const struct span span = entry_at(schema, at);
        bool goes = false;
        for (size_t i = 0; i < count; i++) goes = goes || is_named(schema, &span, names[i]);
        at = skip_space(schema, span.value_end);
        if (at < schema.length && schema.data[at] == ',') at++;
        if (!goes) continue;
        size_t from, to;
        widen(schema, behind, span, &from, &to);
        if (from < kept) from = kept;
        PQ_TRY(pq_bytes_append_text(out, (struct pq_text){schema.data + kept, from - kept}, err));
        kept = to;
        if (at < to) at = to;
    }
    return pq_bytes_append_text(
        out, (struct pq_text){schema.data + kept, schema.length - kept}, err);
}

/// Behind the colon of an entry.
static size_t value_of(struct pq_text text, const struct span *span) {
    const size_t colon = skip_space(text, span->key_end);
    return skip_space(text, colon < text.length ? colon + 1 : colon);
}

pqdb_code pq_schema_text_replace(struct pq_text schema, struct pq_text name,
                                 struct pq_text definition, struct pq_bytes *out,
                                 pqdb_error *err) {
    PQ_TRY(check(schema, PQ_JSON_OBJECT, "a schema", err));
    PQ_TRY(check(definition, PQ_JSON_OBJECT, "a definition", err));
    for (size_t at = skip_space(schema, 0) + 1;;) {
        at = skip_space(schema, at);
        if (at >= schema.length || schema.data[at] == '}') break;
        const struct span span = entry_at(schema, at);
        if (is_named(schema, &span, name)) {
            const size_t from = value_of(schema, &span);
            const struct pq_text rest = {schema.data + span.value_end,
                                         schema.length - span.value_end};
            PQ_TRY(pq_bytes_append_text(out, (struct pq_text){schema.data, from}, err));
            PQ_TRY(pq_bytes_append_text(out, trimmed(definition), err));
            return pq_bytes_append_text(out, rest, err);
        }
        at = skip_space(schema, span.value_end);
        if (at < schema.length && schema.data[at] == ',') at++;
    }
    return pq_fail(err, PQDB_NOT_FOUND, "the schema has no entry %.*s", PQ_TEXT_ARG(name));
}
