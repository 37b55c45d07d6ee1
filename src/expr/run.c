#include "base/check.h"
#include "base/fail.h"
#include "expr/functions_internal.h"
#include "expr/nested.h"
#include "expr/run_internal.h"
#include "type/decimal.h"

void *pq_run_alloc(struct pq_run *run, size_t bytes, pqdb_error *err) {
    void *memory = pq_arena_alloc(run->arena, bytes);
    if (memory == NULL) pq_fail(err, PQDB_NO_MEMORY, "an expression over %zu rows", run->count);
    return memory;
}

void pq_vector_of_fixed(struct pq_run *run, const struct pq_type *type, const void *values,
                        const uint8_t *valid, struct pq_vector *out) {
    out->has_column = true;
    out->column = (struct pq_column){
        .type = type, .layout = PQ_FIXED, .count = run->count, .valid = valid, .values = values};
}

void pq_vector_of_mask(struct pq_run *run, const uint8_t *mask, struct pq_vector *out) {
    pq_vector_of_fixed(run, &pq_type_bool, mask, NULL, out);
}

struct pq_value pq_vector_at(const struct pq_vector *vector, size_t row) {
    if (vector->constant != NULL) return *vector->constant;
    if (vector->values != NULL) return vector->values[row];
    return pq_column_value(&vector->column, row);
}

bool pq_value_is_true(const struct pq_value *plain) {
    switch (plain->kind) {
        case PQ_NULL: return false;
        case PQ_BOOL: return plain->as.boolean;
        case PQ_INT64: return plain->as.integer != 0;
        case PQ_FLOAT32:
        case PQ_FLOAT64: return plain->as.real != 0;
        case PQ_DECIMAL: return plain->as.decimal != 0;
        case PQ_TEXT: return plain->as.text.length > 0;
        default: return true;
    }
}

/// Rows of a variant column as plain values, beside the column.
static pqdb_code unwrap_column(struct pq_run *run, struct pq_vector *vector, pqdb_error *err) {
    struct pq_value *values = pq_run_alloc(run, run->count * sizeof *values, err);
    if (values == NULL) return PQDB_NO_MEMORY;
    for (size_t row = 0; row < run->count; row++) {
        if (pq_column_is_null(&vector->column, row)) {
            values[row] = (struct pq_value){.kind = PQ_NULL};
            continue;
        }
        const struct pq_variant variant = pq_run_variant(&vector->column, row);
        values[row] = pq_variant_unwrap(&variant);
    }
    vector->values = values;
    return PQDB_OK;
}

pqdb_code pq_run_values(struct pq_run *run, const struct pq_node *node, struct pq_vector **vector,
                        pqdb_error *err) {
    PQ_TRY(pq_run_node(run, node, vector, err));
    struct pq_vector *found = *vector;
    if (found->constant != NULL || found->values != NULL) return PQDB_OK;
    if (found->column.type->kind != PQ_VARIANT) return PQDB_OK;
    return unwrap_column(run, found, err);
}

static bool is_real(enum pq_kind kind) { return kind == PQ_FLOAT32 || kind == PQ_FLOAT64; }

/// Number literals of a call, read as their neighbours in this row want it.
static void read_literals(const struct pq_node *node, struct pq_value *args) {
    enum pq_kind beside = PQ_INT64;
    for (size_t k = 0; k < node->arg_count; k++) {
        if (node->args[k]->kind == PQ_NODE_CONST || !is_real(args[k].kind)) continue;
        beside = args[k].kind;
    }
    if (beside == PQ_FLOAT32 && node->reading == PQ_READ_ADAPTED) beside = PQ_FLOAT64;
    for (size_t k = 0; k < node->arg_count; k++) {
        const struct pq_node *arg = node->args[k];
        if (arg->kind != PQ_NODE_CONST || !arg->literal.is_number) continue;
        args[k] = *pq_literal_beside(&arg->literal, beside);
    }
}

static bool is_wanted(char letter, enum pq_kind kind) {
    switch (letter) {
        case 't': return kind == PQ_TEXT;
        case 'n': return kind == PQ_INT64 || kind == PQ_DECIMAL || is_real(kind);
        case 'd':
            return kind == PQ_DATE || kind == PQ_TIMESTAMP || kind == PQ_TEXT ||
                   kind == PQ_INT64 || kind == PQ_DECIMAL || is_real(kind);
        default: return kind != PQ_NULL;
    }
}

/// Does the call happen, or is the result null because an argument is none of its business?
static bool are_wanted(const struct pq_node *node, const struct pq_value *args) {
    const char *letter = node->function->signature;
    if (*letter == '?') return true;
    for (size_t k = 0; k < node->arg_count; k++) {
        if (!is_wanted(*letter, args[k].kind)) return false;
        if (letter[1] != '\0') letter++;
    }
    return true;
}

static pqdb_code call_row(struct pq_run *run, const struct pq_node *node, struct pq_value *args,
                          struct pq_value *result, pqdb_error *err) {
    if (node->reading != PQ_READ_OWN) read_literals(node, args);
    *result = (struct pq_value){.kind = PQ_NULL};
    if (!are_wanted(node, args)) return PQDB_OK;
    return node->function->scalar(run, node, args, result, err);
}

/// What a function gave, as its node's type promises.
static pqdb_code append_result(struct pq_builder *builder, const struct pq_value *result,
                               pqdb_error *err) {
    struct pq_value widened;
    if (result->kind == PQ_NULL || !pq_value_widen(result, builder->type, &widened)) {
        return pq_builder_append_null(builder, err);
    }
    return pq_builder_append_value(builder, &widened, err);
}

/// The arguments of a call: constant ones are fetched once.
struct operands {
    struct pq_vector **vectors;
    struct pq_value *row;  // the values at one row
    bool constant;         // all of them
};

static pqdb_code fetch_operands(struct pq_run *run, const struct pq_node *node,
                                struct operands *operands, pqdb_error *err) {
    const size_t count = node->arg_count + 1;
    operands->vectors = pq_run_alloc(run, count * sizeof *operands->vectors, err);
    operands->row = pq_run_alloc(run, count * sizeof *operands->row, err);
    operands->constant = true;
    if (operands->vectors == NULL || operands->row == NULL) return PQDB_NO_MEMORY;
    for (size_t k = 0; k < node->arg_count; k++) {
        PQ_TRY(pq_run_values(run, node->args[k], &operands->vectors[k], err));
        operands->constant &= operands->vectors[k]->constant != NULL;
    }
    return PQDB_OK;
}

static pqdb_code call_at(struct pq_run *run, const struct pq_node *node,
                         struct operands *operands, size_t row, struct pq_value *result,
                         pqdb_error *err) {
    for (size_t k = 0; k < node->arg_count; k++) {
        operands->row[k] = pq_vector_at(operands->vectors[k], row);
    }
    return call_row(run, node, operands->row, result, err);
}

static pqdb_code call_all(struct pq_run *run, const struct pq_node *node,
                          struct operands *operands, struct pq_vector *out, pqdb_error *err) {
    if (node->type.kind == PQ_VARIANT) {
        struct pq_value *values = pq_run_alloc(run, run->count * sizeof *values, err);
        if (values == NULL) return PQDB_NO_MEMORY;
        for (size_t row = 0; row < run->count; row++) {
            PQ_TRY(call_at(run, node, operands, row, &values[row], err));
            values[row] = pq_value_plain(&values[row]);
        }
        out->values = values;
        return PQDB_OK;
    }
    struct pq_builder builder;
    struct pq_value result;
    PQ_TRY(pq_builder_init(&builder, &node->type, &run->arena->alloc, err));
    for (size_t row = 0; row < run->count; row++) {
        PQ_TRY(call_at(run, node, operands, row, &result, err));
        PQ_TRY(append_result(&builder, &result, err));
    }
    out->has_column = true;
    out->column = pq_builder_finish(&builder);
    return PQDB_OK;
}

/// Value by value: every function can do this.
static pqdb_code run_scalars(struct pq_run *run, const struct pq_node *node,
                             struct pq_vector *out, pqdb_error *err) {
    struct operands operands;
    PQ_TRY(fetch_operands(run, node, &operands, err));
    if (!operands.constant && node->type.kind != PQ_NULL) {
        return call_all(run, node, &operands, out, err);
    }
    struct pq_value *constant = pq_run_alloc(run, sizeof *constant, err);
    if (constant == NULL) return PQDB_NO_MEMORY;
    *constant = (struct pq_value){.kind = PQ_NULL};
    out->constant = constant;
    if (node->type.kind == PQ_NULL) return PQDB_OK;
    struct pq_value result;
    PQ_TRY(call_at(run, node, &operands, 0, &result, err));
    if (node->type.kind == PQ_VARIANT) {
        *constant = pq_value_plain(&result);
    } else if (result.kind != PQ_NULL) {
        if (!pq_value_widen(&result, &node->type, constant)) constant->kind = PQ_NULL;
    }
    return PQDB_OK;
}

static pqdb_code run_call(struct pq_run *run, const struct pq_node *node, struct pq_vector *out,
                          pqdb_error *err) {
    bool done = false;
    if (node->function->kernel != NULL && !run->scalar_only && node->type.kind != PQ_NULL) {
        PQ_TRY(node->function->kernel(run, node, out, &done, err));
    }
    return done ? PQDB_OK : run_scalars(run, node, out, err);
}

pqdb_code pq_run_node(struct pq_run *run, const struct pq_node *node, struct pq_vector **vector,
                      pqdb_error *err) {
    struct pq_vector *out = &run->slots[node->slot];
    *vector = out;
    if (out->ready) return PQDB_OK;
    switch (node->kind) {
        case PQ_NODE_CONST: out->constant = &node->literal.own; break;
        case PQ_NODE_PATH: PQ_TRY(pq_run_path(run, node, out, err)); break;
        case PQ_NODE_CALL: PQ_TRY(run_call(run, node, out, err)); break;
    }
    out->ready = true;
    return PQDB_OK;
}

pqdb_code pq_run_mask(struct pq_run *run, const struct pq_node *node, const uint8_t **mask,
                      pqdb_error *err) {
    struct pq_vector *vector;
    PQ_TRY(pq_run_node(run, node, &vector, err));
    const struct pq_column *column = &vector->column;
    const bool is_bool = vector->has_column && column->type->kind == PQ_BOOL;
    if (is_bool && column->valid == NULL) {
        *mask = column->values;
        return PQDB_OK;
    }
    uint8_t *made = pq_run_alloc(run, run->count, err);
    if (made == NULL) return PQDB_NO_MEMORY;
    *mask = made;
    if (is_bool) {
        const uint8_t *values = column->values;
        for (size_t row = 0; row < run->count; row++) made[row] = values[row] & column->valid[row];
        return PQDB_OK;
    }
    if (vector->constant != NULL) {
        memset(made, pq_value_is_true(vector->constant), run->count);
        return PQDB_OK;
    }
    PQ_TRY(pq_run_values(run, node, &vector, err));
    for (size_t row = 0; row < run->count; row++) {
        const struct pq_value value = pq_vector_at(vector, row);
        made[row] = pq_value_is_true(&value);
    }
    return PQDB_OK;
}

static pqdb_code run_begin(struct pq_run *run, size_t slot_count, pqdb_error *err) {
    run->slots = pq_arena_calloc(run->arena, slot_count + 1, sizeof *run->slots);
    if (run->slots == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a run of %zu slots", slot_count);
    return PQDB_OK;
}

pqdb_code pq_run_elements(struct pq_run *run, const struct pq_element_match *match,
                          const struct pq_vector *elements, size_t count, const uint8_t **mask,
                          pqdb_error *err) {
    struct pq_run inner = *run;
    inner.batch = NULL;
    inner.element = elements;
    inner.element_type = &match->type;
    inner.count = count;
    PQ_TRY(run_begin(&inner, match->slot_count, err));
    return pq_run_mask(&inner, match->root, mask, err);
}

/// A constant, or values that only the run knows, as a column of the program's type.
static pqdb_code build_column(struct pq_run *run, const struct pq_vector *vector,
                              const struct pq_type *type, struct pq_column *out,
                              pqdb_error *err) {
    if (type->kind == PQ_VARIANT || type->kind == PQ_NULL) {
        return pq_run_encode(run, vector, out, err);
    }
    struct pq_builder builder;
    PQ_TRY(pq_builder_init(&builder, type, &run->arena->alloc, err));
    for (size_t row = 0; row < run->count; row++) {
        const struct pq_value value = pq_vector_at(vector, row);
        PQ_TRY(append_result(&builder, &value, err));
    }
    *out = pq_builder_finish(&builder);
    return PQDB_OK;
}

static pqdb_code run_root(struct pq_run *run, struct pq_column *out, pqdb_error *err) {
    const struct pq_node *root = run->program->root;
    struct pq_vector *vector;
    PQ_TRY(run_begin(run, run->program->slot_count, err));
    PQ_TRY(pq_run_node(run, root, &vector, err));
    if (vector->has_column) {
        *out = vector->column;
        return PQDB_OK;
    }
    return build_column(run, vector, &root->type, out, err);
}

static struct pq_run run_of(const struct pq_program *program, const struct pq_batch *batch,
                            struct pq_arena *arena) {
    return (struct pq_run){
        .program = program, .batch = batch, .count = batch->count, .arena = arena};
}

pqdb_code pq_program_run(const struct pq_program *program, const struct pq_batch *batch,
                         struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    struct pq_run run = run_of(program, batch, arena);
    return run_root(&run, out, err);
}

pqdb_code pq_program_run_scalar(const struct pq_program *program, const struct pq_batch *batch,
                                struct pq_arena *arena, struct pq_column *out, pqdb_error *err) {
    struct pq_run run = run_of(program, batch, arena);
    run.scalar_only = true;
    return run_root(&run, out, err);
}

pqdb_code pq_program_select(const struct pq_program *program, const struct pq_batch *batch,
                            struct pq_arena *arena, struct pq_selection *selection,
                            pqdb_error *err) {
    struct pq_run run = run_of(program, batch, arena);
    const uint8_t *mask;
    PQ_TRY(run_begin(&run, program->slot_count, err));
    PQ_TRY(pq_run_mask(&run, program->root, &mask, err));
    size_t count = 0;
    for (size_t row = 0; row < run.count; row++) count += mask[row];
    *selection = (struct pq_selection){.count = count};
    if (count == run.count) return PQDB_OK;
    uint32_t *rows = pq_run_alloc(&run, (count + 1) * sizeof *rows, err);
    if (rows == NULL) return PQDB_NO_MEMORY;
    for (size_t row = 0, at = 0; at < count; row++) {
        rows[at] = (uint32_t)row;
        at += mask[row];
    }
    selection->rows = rows;
    return PQDB_OK;
}
