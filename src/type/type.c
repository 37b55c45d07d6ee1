#include "type/type.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/bytes.h"

const struct pq_type pq_type_null = {.kind = PQ_NULL};
const struct pq_type pq_type_bool = {.kind = PQ_BOOL};
const struct pq_type pq_type_int64 = {.kind = PQ_INT64};
const struct pq_type pq_type_float64 = {.kind = PQ_FLOAT64};
const struct pq_type pq_type_date = {.kind = PQ_DATE};
const struct pq_type pq_type_time = {.kind = PQ_TIME};
const struct pq_type pq_type_timestamp = {.kind = PQ_TIMESTAMP};
const struct pq_type pq_type_text = {.kind = PQ_TEXT};
const struct pq_type pq_type_binary = {.kind = PQ_BINARY};
const struct pq_type pq_type_variant = {.kind = PQ_VARIANT};

bool pq_type_equal(const struct pq_type *a, const struct pq_type *b) {
    if (a->kind != b->kind || a->field_count != b->field_count) return false;
    if (a->kind == PQ_DECIMAL && (a->precision != b->precision || a->scale != b->scale)) {
        return false;
    }
    for (uint32_t i = 0; i < a->field_count; i++) {
        const struct pq_field *x = &a->fields[i], *y = &b->fields[i];
        if (a->kind == PQ_OBJECT && !pq_text_equal(x->name, y->name)) return false;
        if (!pq_type_equal(&x->type, &y->type)) return false;
    }
    return true;
}

size_t pq_kind_width(enum pq_kind kind) {
    switch (kind) {
    case PQ_BOOL: return 1;
    case PQ_FLOAT32:
    case PQ_DATE: return 4;
    case PQ_INT64:
    case PQ_FLOAT64:
    case PQ_TIME:
    case PQ_TIMESTAMP: return 8;
    case PQ_DECIMAL: return 16;
    default: return 0;
    }
}

static const char *kind_name(enum pq_kind kind) {
    static const char *const names[] = {
        [PQ_NULL] = "null",   [PQ_BOOL] = "boolean",   [PQ_INT64] = "int",
        [PQ_FLOAT32] = "float", [PQ_FLOAT64] = "double", [PQ_DECIMAL] = "decimal",
        [PQ_DATE] = "date",   [PQ_TIME] = "time",      [PQ_TIMESTAMP] = "timestamp",
        [PQ_TEXT] = "string", [PQ_BINARY] = "binary",  [PQ_LIST] = "list",
        [PQ_OBJECT] = "object", [PQ_VARIANT] = "variant",
    };
    return names[kind];
}

static pqdb_code write_type(struct pq_bytes *out, const struct pq_type *type);

static pqdb_code write_members(struct pq_bytes *out, const struct pq_type *type) {
    pqdb_code code = pq_bytes_append_text(out, PQ_TEXT("{"), NULL);
    for (uint32_t i = 0; i < type->field_count && code == PQDB_OK; i++) {
        const struct pq_field *field = &type->fields[i];
        code = pq_bytes_printf(out, NULL, "%s %.*s: ", i == 0 ? "" : ",",
                               PQ_TEXT_ARG(field->name));
        if (code == PQDB_OK) code = write_type(out, &field->type);
        if (code == PQDB_OK && field->required) code = pq_bytes_append_byte(out, '!', NULL);
    }
    return code != PQDB_OK ? code : pq_bytes_append_text(out, PQ_TEXT(" }"), NULL);
}

static pqdb_code write_type(struct pq_bytes *out, const struct pq_type *type) {
    if (type->kind == PQ_OBJECT) return write_members(out, type);
    if (type->kind == PQ_DECIMAL) {
        return pq_bytes_printf(out, NULL, "decimal(%u,%u)", (unsigned)type->precision,
                               (unsigned)type->scale);
    }
    if (type->kind != PQ_LIST) {
        return pq_bytes_append_text(out, pq_text_of(kind_name(type->kind)), NULL);
    }
    const pqdb_code code = write_type(out, &type->fields[0].type);
    return code != PQDB_OK ? code : pq_bytes_append_text(out, PQ_TEXT("[]"), NULL);
}

struct pq_text pq_type_format(const struct pq_type *type, struct pq_arena *arena) {
    struct pq_bytes out;
    pq_bytes_init(&out, &arena->alloc);
    if (write_type(&out, type) != PQDB_OK) return (struct pq_text){0};
    return pq_arena_copy(arena, pq_bytes_text(&out));
}

int pq_type_find(const struct pq_type *object, struct pq_text name) {
    for (uint32_t i = 0; i < object->field_count; i++) {
        if (pq_text_equal(object->fields[i].name, name)) return (int)i;
    }
    return -1;
}
