#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "expr/compare.h"
#include "expr/compile_internal.h"
#include "type/decimal.h"

static void set_all(struct pq_literal *literal, struct pq_value value) {
    *literal = (struct pq_literal){.own = value, .exact = value, .real = value, .single = value};
}

static bool is_integer_text(struct pq_text text) {
    for (size_t i = 0; i < text.length; i++) {
        const char c = text.data[i];
        if ((c < '0' || c > '9') && !(i == 0 && (c == '-' || c == '+'))) return false;
    }
    return true;
}

static struct pq_value value_of_decimal(struct pq_decimal decimal) {
    struct pq_value value = {.kind = PQ_DECIMAL, .scale = decimal.scale};
    value.as.decimal = decimal.units;
    if (decimal.scale > 0 || decimal.units > INT64_MAX || decimal.units < INT64_MIN) return value;
    return (struct pq_value){.kind = PQ_INT64, .as.integer = (int64_t)decimal.units};
}

/// JSON5 also has +1, .5, 5., Infinity and NaN (0x1F comes as an int). False when it is no number.
static bool literal_of_number(struct pq_text text, struct pq_literal *literal) {
    char room[64];
    struct pq_decimal decimal;
    *literal = (struct pq_literal){.is_number = true};
    if (pq_decimal_parse_exact(text, &decimal)) {
        literal->exact = value_of_decimal(decimal);
        literal->real.as.real = pq_decimal_to_real(decimal);
    } else {
        char *end;
        literal->real.as.real = strtod(text.data, &end);  // the names, too
        if (end != text.data + text.length) return false;
        literal->exact = (struct pq_value){.kind = PQ_FLOAT64};
        literal->exact.as.real = literal->real.as.real;
    }
    literal->real.kind = PQ_FLOAT64;
    snprintf(room, sizeof room, "%.*s", PQ_TEXT_ARG(text));
    const bool whole = text.length < sizeof room;
    literal->single = (struct pq_value){.kind = PQ_FLOAT32};
    literal->single.as.real =
        whole ? (double)strtof(room, NULL) : (double)(float)literal->real.as.real;
    const bool is_double = literal->exact.kind == PQ_FLOAT64 || !is_integer_text(text);
    literal->own = is_double ? literal->real : literal->exact;
    return true;
}

/// A list or an object, encoded once, names in the program's own list.
static bool literal_of_nested(struct pq_compiler *compiler, const struct pq_json *json,
                              struct pq_literal *literal) {
    struct pq_program *program = compiler->program;
    pqdb_error *err = compiler->err;
    if (program->names == NULL) {
        compiler->code = pq_variant_names_create(program->alloc, &program->names, err);
        if (compiler->code != PQDB_OK) return false;
    }
    if (compiler->encoder == NULL) {
        compiler->code = pq_variant_encoder_create(program->names, program->alloc,
                                                   &compiler->encoder, err);
        if (compiler->code != PQDB_OK) return false;
    }
    struct pq_bytes bytes;
    bool own = false;
    pqdb_error why = {0};
    pq_bytes_init(&bytes, &compiler->arena->alloc);
    const pqdb_code code = pq_variant_encode_json(compiler->encoder, json, &bytes, &own, &why);
    if (code == PQDB_INVALID) {
        pq_compile_mistake(compiler, json, NULL, "%s%s%s", why.subject,
                           why.subject[0] == '\0' ? "" : ": ", why.message);
        return false;
    }
    struct pq_value value = {.kind = PQ_VARIANT};
    compiler->code = code;
    if (code == PQDB_OK) {
        const uint8_t mark = own ? PQ_ROW_OWN_NAMES : PQ_ROW_VALID;
        compiler->code = pq_variant_of_row(pq_bytes_text(&bytes), mark, program->names,
                                           compiler->arena, &value.as.variant, &why);
    }
    if (compiler->code != PQDB_OK && err != NULL) *err = why;
    set_all(literal, value);
    return compiler->code == PQDB_OK;
}

bool pq_literal_of(struct pq_compiler *compiler, const struct pq_json *json,
                   struct pq_literal *literal) {
    char text[32];
    struct pq_value value = {.kind = PQ_NULL};
    switch (pq_json_kind(json)) {
        case PQ_JSON_NULL: break;
        case PQ_JSON_BOOL:
            value = (struct pq_value){.kind = PQ_BOOL, .as.boolean = pq_json_bool(json)};
            break;
        case PQ_JSON_INT:
            snprintf(text, sizeof text, "%" PRId64, pq_json_int(json));
            return literal_of_number(pq_text_of(text), literal);
        case PQ_JSON_REAL:
            snprintf(text, sizeof text, "%.17g", pq_json_real(json));
            return literal_of_number(pq_text_of(text), literal);
        case PQ_JSON_NUMBER:
            if (literal_of_number(pq_json_text(json), literal)) return true;
            pq_compile_mistake(compiler, json, NULL, "%.*s is no number",
                               PQ_TEXT_ARG(pq_json_text(json)));
            return false;
        case PQ_JSON_TEXT:
            value = (struct pq_value){.kind = PQ_TEXT};
            value.as.text = pq_arena_copy(compiler->arena, pq_json_text(json));
            if (value.as.text.data == NULL) return pq_compile_no_memory(compiler) != NULL;
            break;
        case PQ_JSON_LIST:
        case PQ_JSON_OBJECT: return literal_of_nested(compiler, json, literal);
    }
    set_all(literal, value);
    return true;
}

void pq_literal_link(struct pq_literal *literal, const struct pq_relation *relation) {
    if (relation == NULL || literal->own.kind != PQ_TEXT) return;
    literal->own.as.text = pq_relation_id(relation, literal->own.as.text);
    set_all(literal, literal->own);
}

static bool hash_texts(struct pq_compiler *compiler, struct pq_set *set) {
    size_t slot_count = 8;
    while (slot_count < set->count * 2) slot_count *= 2;
    uint32_t *slots = pq_arena_calloc(compiler->arena, slot_count, sizeof *slots);
    if (slots == NULL) return pq_compile_no_memory(compiler) != NULL;
    for (size_t i = 0; i < set->count; i++) {
        const struct pq_value *value = &set->items[i].own;
        if (value->kind != PQ_TEXT) continue;
        size_t at = pq_hash(value->as.text.data, value->as.text.length) & (slot_count - 1);
        while (slots[at] != 0) at = (at + 1) & (slot_count - 1);
        slots[at] = (uint32_t)i + 1;
    }
    set->slots = slots;
    set->slot_count = slot_count;
    return true;
}

const struct pq_set *pq_set_of(struct pq_compiler *compiler, const struct pq_json *list,
                               const struct pq_relation *relation) {
    struct pq_set *set = pq_arena_calloc(compiler->arena, 1, sizeof *set);
    const size_t count = pq_json_count(list);
    struct pq_literal *items = pq_arena_calloc(compiler->arena, count + 1, sizeof *items);
    if (set == NULL || items == NULL) {
        pq_compile_no_memory(compiler);
        return NULL;
    }
    const struct pq_json *json = count == 0 ? NULL : pq_json_first(list);
    for (size_t i = 0; i < count; i++, json = pq_json_next(json)) {
        const size_t mark = pq_compile_enter_index(compiler, i);
        if (pq_literal_of(compiler, json, &items[i])) pq_literal_link(&items[i], relation);
        pq_compile_leave(compiler, mark);
        if (compiler->code != PQDB_OK) return NULL;
        set->has_null |= items[i].own.kind == PQ_NULL;
    }
    set->items = items;
    set->count = count;
    return hash_texts(compiler, set) ? set : NULL;
}

bool pq_set_has_text(const struct pq_set *set, struct pq_text text) {
    size_t at = pq_hash(text.data, text.length) & (set->slot_count - 1);
    for (; set->slots[at] != 0; at = (at + 1) & (set->slot_count - 1)) {
        if (pq_text_equal(set->items[set->slots[at] - 1].own.as.text, text)) return true;
    }
    return false;
}

bool pq_set_has(const struct pq_set *set, const struct pq_value *value) {
    if (value->kind == PQ_NULL) return set->has_null;
    if (value->kind == PQ_TEXT) return pq_set_has_text(set, value->as.text);
    for (size_t i = 0; i < set->count; i++) {
        if (pq_value_match(value, pq_literal_beside(&set->items[i], value->kind))) return true;
    }
    return false;
}
