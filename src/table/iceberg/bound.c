/// Bounds of columns in Iceberg's single-value form.
#include <math.h>

#include "base/fail.h"
#include "parquet/statistics.h"
#include "table/iceberg/measure.h"

enum { CUT = 16, CUT_BYTES = 4 * CUT };  // code points, and what they may take

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "no memory for the metrics of a file");
}

static pqdb_code keep(struct pq_arena *arena, const void *data, size_t length,
                      struct pq_text *bound, pqdb_error *err) {
    *bound = pq_arena_copy(arena, (struct pq_text){data, length});
    return bound->data == NULL ? no_memory(err) : PQDB_OK;
}

/// Minimal two's complement, most significant byte first.
static pqdb_code keep_decimal(pq_i128 value, struct pq_arena *arena, struct pq_text *bound,
                              pqdb_error *err) {
    uint8_t bytes[16];
    for (int i = 0; i < 16; i++) bytes[15 - i] = (uint8_t)((pq_u128)value >> (8 * i));
    size_t start = 0;
    const uint8_t sign = value < 0 ? 0xff : 0;
    while (start < 15 && bytes[start] == sign && (bytes[start + 1] & 0x80) == (sign & 0x80)) {
        start++;
    }
    return keep(arena, bytes + start, sizeof bytes - start, bound, err);
}

static pqdb_code keep_cut(const struct pq_value *value, bool is_upper, struct pq_arena *arena,
                          struct pq_text *bound, pqdb_error *err) {
    char room[CUT_BYTES];
    bool is_exact = false;
    struct pq_text cut = {NULL, 0};
    const bool is_text = value->kind == PQ_TEXT;
    const struct pq_bound_limit limit = {is_text, is_upper, is_text ? CUT_BYTES : CUT,
                                         is_text ? CUT : SIZE_MAX};
    if (!pq_bound_cut(&limit, value->as.text, room, &cut, &is_exact)) return PQDB_OK;
    return keep(arena, cut.data, cut.length, bound, err);
}

pqdb_code pq_iceberg_bound(const struct pq_value *value, bool is_upper, struct pq_arena *arena,
                           struct pq_text *bound, pqdb_error *err) {
    *bound = (struct pq_text){NULL, 0};
    // Which zero was met is nobody's business: the bound is good for both.
    const double real = value->as.real == 0 ? (is_upper ? 0.0 : -0.0) : value->as.real;
    const float narrow = (float)real;
    const int32_t days = (int32_t)value->as.integer;
    switch (value->kind) {
        case PQ_BOOL: return keep(arena, value->as.boolean ? "\1" : "\0", 1, bound, err);
        case PQ_INT64:
        case PQ_TIME:
        case PQ_TIMESTAMP: return keep(arena, &value->as.integer, 8, bound, err);
        case PQ_DATE: return keep(arena, &days, sizeof days, bound, err);
        case PQ_FLOAT32:
            if (isnan(real)) return PQDB_OK;
            return keep(arena, &narrow, sizeof narrow, bound, err);
        case PQ_FLOAT64:
            if (isnan(real)) return PQDB_OK;
            return keep(arena, &real, sizeof real, bound, err);
        case PQ_DECIMAL: return keep_decimal(value->as.decimal, arena, bound, err);
        case PQ_TEXT:
        case PQ_BINARY: return keep_cut(value, is_upper, arena, bound, err);
        case PQ_NULL:
        case PQ_LIST:
        case PQ_OBJECT:
        case PQ_VARIANT: break;
    }
    return PQDB_OK;
}
