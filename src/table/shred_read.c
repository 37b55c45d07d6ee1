/// table/shred_read.c: values of shredded paths, from the columns that a file keeps them in.
#include <stdlib.h>

#include "base/bytes.h"
#include "base/fail.h"
#include "batch/builder.h"
#include "table/shred.h"
#include "variant/build.h"
#include "variant/variant.h"

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "values of shredded paths");
}

static bool is_there(const struct pq_column *column, size_t row) {
    return column != NULL && !pq_column_is_null(column, row);
}

/// The value of the typed column, as a variant.
static pqdb_code append_typed(const struct pq_column *typed, size_t row, struct pq_bytes *out,
                              pqdb_error *err) {
    if (typed->type->kind == PQ_TEXT) {
        return pq_variant_append_text(out, pq_column_text(typed, row), err);
    }
    const struct pq_value value = pq_column_value(typed, row);
    return pq_variant_encode_scalar(&value, out, err);
}

// ---- one path -----------------------------------------------------------------------------------

pqdb_code pq_shred_join(const struct pq_shred_part *part, const struct pq_variant_names *names,
                        struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    const struct pq_column *typed = part->typed, *rest = part->rest;
    if (rest == NULL) {
        *out = *typed;
        out->type = &part->shred->type;
        return PQDB_OK;
    }
    struct pq_builder builder;
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &arena->alloc);
    PQ_TRY(pq_builder_init(&builder, &pq_type_variant, &arena->alloc, err));
    builder.names = names;
    for (size_t row = 0; row < typed->count; row++) {
        if (is_there(typed, row)) {
            bytes.length = 0;
            PQ_TRY(append_typed(typed, row, &bytes, err));
            PQ_TRY(pq_builder_append_bytes(&builder, bytes.data, bytes.length, err));
        } else if (is_there(rest, row)) {
            PQ_TRY(pq_builder_append_rows(&builder, rest, row, 1, err));
        } else {
            PQ_TRY(pq_builder_append_null(&builder, err));
        }
    }
    *out = pq_builder_finish(&builder);
    return PQDB_OK;
}

// ---- several paths of one column ----------------------------------------------------------------

struct part {
    struct pq_shred_part read;
    const uint32_t *ids;  // of the steps' names
};

struct assembly {
    struct part *parts;  // in the order of their steps
    struct pq_variant_member *members;  // as a stack
    struct pq_bytes bytes;
    size_t row;
    pqdb_error *err;
};

static struct pq_text step_of(const struct part *part, size_t depth) {
    return part->read.shred->inner.steps[depth].name;
}

static int by_steps(const void *a, const void *b) {
    const struct part *left = a, *right = b;
    const size_t left_count = left->read.shred->inner.step_count;
    const size_t right_count = right->read.shred->inner.step_count;
    for (size_t k = 0; k < left_count && k < right_count; k++) {
        const int order = pq_text_compare(step_of(left, k), step_of(right, k));
        if (order != 0) return order;
    }
    return left_count < right_count ? -1 : left_count > right_count;
}

static pqdb_code append_leaf(struct assembly *assembly, const struct part *part) {
    const struct pq_column *rest = part->read.rest;
    if (is_there(part->read.typed, assembly->row)) {
        return append_typed(part->read.typed, assembly->row, &assembly->bytes, assembly->err);
    }
    if (!is_there(rest, assembly->row)) return PQDB_OK;
    return pq_bytes_append_text(&assembly->bytes, pq_column_text(rest, assembly->row),
                                assembly->err);
}

/// Parts [from, to) begin with the same `depth` steps: the object that stands there, or nothing
/// where all of it is missing.
static pqdb_code append_object(struct assembly *assembly, size_t from, size_t to, size_t depth,
                               struct pq_variant_member *members) {
    const size_t start = assembly->bytes.length;
    size_t count = 0;
    for (size_t end; from < to; from = end) {
        const struct part *first = &assembly->parts[from];
        const struct pq_text name = step_of(first, depth);
        for (end = from + 1; end < to; end++) {
            if (!pq_text_equal(step_of(&assembly->parts[end], depth), name)) break;
        }
        const size_t offset = assembly->bytes.length;
        if (first->read.shred->inner.step_count == depth + 1) {
            PQ_TRY(append_leaf(assembly, first));
        } else {
            PQ_TRY(append_object(assembly, from, end, depth + 1, members + count));
        }
        if (assembly->bytes.length == offset) continue;
        members[count++] = (struct pq_variant_member){name, first->ids[depth],
                                                      (uint32_t)(offset - start)};
    }
    if (count == 0) return PQDB_OK;
    return pq_variant_wrap_object(&assembly->bytes, start, members, count, assembly->err);
}

/// Names of all steps, in the list of the table. False: one does not fit.
static bool name_steps(struct part *part, struct pq_variant_names *names, uint32_t *ids) {
    part->ids = ids;
    for (size_t k = 0; k < part->read.shred->inner.step_count; k++) {
        ids[k] = pq_variant_names_add(names, step_of(part, k));
        if (ids[k] == UINT32_MAX) return false;
    }
    return true;
}

static bool has_own_names(const struct pq_column *rest) {
    for (size_t row = 0; rest != NULL && rest->valid != NULL && row < rest->count; row++) {
        if (rest->valid[row] == PQ_ROW_OWN_NAMES) return true;
    }
    return false;
}

static pqdb_code prepare(struct assembly *assembly, const struct pq_shred_parts *parts,
                         struct pq_arena *arena, bool *done) {
    assembly->parts = pq_arena_calloc(arena, parts->count, sizeof *assembly->parts);
    if (assembly->parts == NULL) return no_memory(assembly->err);
    size_t steps = 0;
    *done = true;
    for (size_t i = 0; i < parts->count; i++) {
        struct part *part = &assembly->parts[i];
        part->read = parts->items[i];
        const size_t step_count = part->read.shred->inner.step_count;
        uint32_t *ids = pq_arena_alloc(arena, step_count * sizeof *ids);
        if (ids == NULL) return no_memory(assembly->err);
        *done = *done && name_steps(part, parts->names, ids) && !has_own_names(part->read.rest);
        steps += step_count;
    }
    assembly->members = pq_arena_alloc(arena, (steps + 1) * sizeof *assembly->members);
    if (assembly->members == NULL) return no_memory(assembly->err);
    qsort(assembly->parts, parts->count, sizeof *assembly->parts, by_steps);
    return PQDB_OK;
}

pqdb_code pq_shred_assemble(const struct pq_shred_parts *parts, struct pq_arena *arena,
                            struct pq_column *out, bool *done, pqdb_error *err) {
    struct assembly assembly = {.err = err};
    struct pq_builder builder;
    pq_bytes_init(&assembly.bytes, &arena->alloc);
    PQ_TRY(prepare(&assembly, parts, arena, done));
    if (!*done) return PQDB_OK;
    PQ_TRY(pq_builder_init(&builder, &pq_type_variant, &arena->alloc, err));
    builder.names = parts->names;
    for (size_t row = 0; row < parts->items[0].typed->count; row++) {
        assembly.bytes.length = 0;
        assembly.row = row;
        PQ_TRY(append_object(&assembly, 0, parts->count, 0, assembly.members));
        if (assembly.bytes.length == 0) {
            PQ_TRY(pq_builder_append_null(&builder, err));
        } else {
            PQ_TRY(pq_builder_append_bytes(&builder, assembly.bytes.data, assembly.bytes.length,
                                           err));
        }
    }
    *out = pq_builder_finish(&builder);
    return PQDB_OK;
}
