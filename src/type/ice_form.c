/// The forms a text may be held to: lengths, e-mail addresses, URLs, UUIDs, enums.
#include <stdio.h>

#include "type/ice_type.h"

static bool is_letter(char c) {
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || ((unsigned char)c & 0x80) != 0;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static size_t count_code_points(struct pq_text text) {
    size_t count = 0;
    for (size_t i = 0; i < text.length; i++) count += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return count;
}

/// Labels of letters, digits and inner dashes, divided by dots.
static bool is_domain(struct pq_text text) {
    size_t label = 0;
    for (size_t i = 0; i <= text.length; i++) {
        if (i == text.length || text.data[i] == '.') {
            if (label == 0 || text.data[i - 1] == '-') return false;
            label = 0;
            continue;
        }
        const char c = text.data[i];
        if (!is_letter(c) && !is_digit(c) && !(c == '-' && label > 0)) return false;
        if (++label > 63) return false;
    }
    return true;
}

/// What HTML accepts in an e-mail field, and letters beyond ASCII.
static bool is_email(struct pq_text text) {
    const char *at = text.length == 0 ? NULL : memchr(text.data, '@', text.length);
    if (at == NULL || at == text.data || text.length > 254) return false;
    for (const char *c = text.data; c < at; c++) {
        if (!is_letter(*c) && !is_digit(*c) && strchr(".!#$%&'*+/=?^_`{|}~-", *c) == NULL) {
            return false;
        }
        if (*c == '\0') return false;
    }
    return is_domain((struct pq_text){at + 1, text.length - (size_t)(at + 1 - text.data)});
}

/// An absolute URL: a scheme, a colon and something without blanks; after `//` a host.
static bool is_url(struct pq_text text) {
    size_t colon = 0;
    while (colon < text.length && text.data[colon] != ':') {
        const char c = text.data[colon];
        const bool is_ascii_letter = is_letter(c) && (unsigned char)c < 0x80;
        const bool is_later = colon > 0 && (is_digit(c) || c == '+' || c == '-' || c == '.');
        if (!is_ascii_letter && !is_later) return false;
        colon++;
    }
    if (colon == 0 || colon + 1 >= text.length) return false;
    for (size_t i = colon + 1; i < text.length; i++) {
        const char c = text.data[i];
        const bool is_control = (unsigned char)c <= 0x20 || c == 0x7F;
        if (is_control || c == '<' || c == '>' || c == '"' || c == '\\' || c == '^') return false;
    }
    const struct pq_text rest = {text.data + colon + 1, text.length - colon - 1};
    if (!pq_text_starts_with(rest, PQ_TEXT("//"))) return true;
    const bool is_file = colon == 4 && memcmp(text.data, "file", 4) == 0;
    return is_file ? rest.length > 2 : rest.length > 2 && strchr("/?#:", rest.data[2]) == NULL;
}

static bool is_uuid(struct pq_text text) {
    if (text.length != 36) return false;
    for (size_t i = 0; i < 36; i++) {
        const char c = text.data[i];
        const bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        const bool is_hex = is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
        if (is_dash ? c != '-' : !is_hex) return false;
    }
    return true;
}

static bool is_of_enum(const struct pq_declared_field *field, struct pq_text text) {
    for (size_t i = 0; i < field->enum_count; i++) {
        if (pq_text_equal(field->enum_values[i], text)) return true;
    }
    return false;
}

static void explain_enum(const struct pq_declared_field *field, struct pq_rule_text *why) {
    size_t used = (size_t)snprintf(why->text, sizeof why->text, "one of ");
    for (size_t i = 0; i < field->enum_count; i++) {
        const struct pq_text value = field->enum_values[i];
        if (used + value.length + 8 > sizeof why->text) {
            snprintf(why->text + used, sizeof why->text - used, i == 0 ? "its enum" : ", …");
            return;
        }
        used += (size_t)snprintf(why->text + used, sizeof why->text - used, "%s%.*s",
                                 i == 0 ? "" : ", ", PQ_TEXT_ARG(value));
    }
}

static void explain(const struct pq_declared_field *field, struct pq_rule_text *why) {
    static const char *const names[] = {
        [PQ_FORM_ANY] = "text",
        [PQ_FORM_EMAIL] = "an e-mail address like ann@example.com",
        [PQ_FORM_URL] = "an absolute URL like https://example.com/",
        [PQ_FORM_UUID] = "a UUID like 123e4567-e89b-12d3-a456-426614174000",
    };
    if (field->form == PQ_FORM_ENUM) {
        explain_enum(field, why);
    } else if (field->form == PQ_FORM_VARCHAR) {
        snprintf(why->text, sizeof why->text, "at most %u characters long", field->length_max);
    } else if (field->form == PQ_FORM_CHAR) {
        snprintf(why->text, sizeof why->text, "exactly %u characters long", field->length_max);
    } else {
        snprintf(why->text, sizeof why->text, "%s", names[field->form]);
    }
}

bool pq_declared_accepts(const struct pq_declared_field *field, struct pq_text text,
                         struct pq_rule_text *why) {
    bool accepted = true;
    switch (field->form) {
    case PQ_FORM_VARCHAR:
        accepted = text.length <= field->length_max || count_code_points(text) <= field->length_max;
        break;
    case PQ_FORM_CHAR: accepted = count_code_points(text) == field->length_max; break;
    case PQ_FORM_EMAIL: accepted = is_email(text); break;
    case PQ_FORM_URL: accepted = is_url(text); break;
    case PQ_FORM_UUID: accepted = is_uuid(text); break;
    case PQ_FORM_ENUM: accepted = is_of_enum(field, text); break;
    case PQ_FORM_ANY: break;
    }
    if (!accepted && why != NULL) explain(field, why);
    return accepted;
}
