/// What a finished program tells about itself: the columns it reads, the conditions that all have
/// to hold, and those of them that are plain bounds of a column.
#include <stdlib.h>

#include "expr/compile_internal.h"
#include "expr/functions_internal.h"

static int by_number(const void *a, const void *b) {
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/// Every path of the root graph begins in a column; those of $elemMatch begin in their list, which
/// is a path as well. A path that ended up unused is read in vain, but never the other way round.
static bool set_columns(struct pq_compiler *compiler) {
    struct pq_program *program = compiler->program;
    size_t count = 0;
    for (const struct pq_node *node = compiler->paths; node != NULL; node = node->next_path) {
        count++;
    }
    uint32_t *columns = pq_arena_alloc(compiler->arena, (count + 1) * sizeof *columns);
    if (columns == NULL) return pq_compile_no_memory(compiler) != NULL;
    size_t at = 0;
    for (const struct pq_node *node = compiler->paths; node != NULL; node = node->next_path) {
        columns[at++] = node->path.column;
    }
    qsort(columns, count, sizeof *columns, by_number);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || columns[i] != columns[i - 1]) columns[kept++] = columns[i];
    }
    program->columns = columns;
    program->column_count = kept;
    program->paths = compiler->paths;
    return true;
}

static bool is_column(const struct pq_node *node) {
    return node->kind == PQ_NODE_PATH && node->path.step_count == 0 && node->path.inner_count == 0;
}

struct bounds {
    struct pq_compiler *compiler;
    struct pq_bound *items;
    size_t count;
    size_t capacity;
};

static struct pq_value *add_bound(struct bounds *bounds, uint32_t column, enum pq_bound_op op,
                                  size_t value_count) {
    struct pq_arena *arena = bounds->compiler->arena;
    struct pq_value *values = pq_arena_calloc(arena, value_count + 1, sizeof *values);
    if (bounds->count == bounds->capacity) {
        const size_t capacity = bounds->capacity == 0 ? 8 : bounds->capacity * 2;
        struct pq_bound *grown = pq_resize(&arena->alloc, bounds->items, bounds->capacity,
                                           capacity, sizeof *grown);
        if (grown == NULL) {
            values = NULL;
        } else {
            bounds->items = grown;
            bounds->capacity = capacity;
        }
    }
    if (values == NULL) {
        pq_compile_no_memory(bounds->compiler);
        return NULL;
    }
    bounds->items[bounds->count++] = (struct pq_bound){column, op, values, value_count};
    return values;
}

static void add_one(struct bounds *bounds, uint32_t column, enum pq_bound_op op,
                    struct pq_value value) {
    struct pq_value *values = add_bound(bounds, column, op, 1);
    if (values != NULL) values[0] = value;
}

static struct pq_value unit_value(enum pq_kind kind, pq_i128 units) {
    struct pq_value value = {.kind = kind};
    if (kind == PQ_BOOL) {
        value.as.boolean = units != 0;
    } else {
        value.as.integer = (int64_t)units;
    }
    return value;
}

static struct pq_value decimal_value(const struct pq_type *type, pq_i128 units) {
    return (struct pq_value){.kind = PQ_DECIMAL, .scale = type->scale, .as.decimal = units};
}

/// A range in a column's units, cut to what the column can hold.
static void add_range(struct bounds *bounds, const struct pq_node *column,
                      const struct pq_test *test) {
    const enum pq_kind kind = column->type.kind;
    const pq_i128 lowest = kind == PQ_BOOL ? 0 : kind == PQ_DATE ? INT32_MIN : INT64_MIN;
    const pq_i128 highest = kind == PQ_BOOL ? 1 : kind == PQ_DATE ? INT32_MAX : INT64_MAX;
    const uint32_t at = column->path.column;
    if (kind == PQ_DECIMAL) {
        if (test->low > test->high) add_bound(bounds, at, PQ_BOUND_IN, 0);
        if (test->low == test->high) {
            add_one(bounds, at, PQ_BOUND_IN, decimal_value(&column->type, test->low));
        }
        return;
    }
    const pq_i128 low = test->low < lowest ? lowest : test->low;
    const pq_i128 high = test->high > highest ? highest : test->high;
    if (low > high) {
        add_bound(bounds, at, PQ_BOUND_IN, 0);
    } else if (low == high) {
        add_one(bounds, at, PQ_BOUND_IN, unit_value(kind, low));
    } else {
        if (low > lowest) add_one(bounds, at, PQ_BOUND_GTE, unit_value(kind, low));
        if (high < highest) add_one(bounds, at, PQ_BOUND_LTE, unit_value(kind, high));
    }
}

static bool bound_op(enum pq_test_op op, enum pq_bound_op *out) {
    switch (op) {
        case PQ_OP_EQ: *out = PQ_BOUND_IN; return true;
        case PQ_OP_GT: *out = PQ_BOUND_GT; return true;
        case PQ_OP_GTE: *out = PQ_BOUND_GTE; return true;
        case PQ_OP_LT: *out = PQ_BOUND_LT; return true;
        case PQ_OP_LTE: *out = PQ_BOUND_LTE; return true;
        default: return false;
    }
}

static void add_set(struct bounds *bounds, const struct pq_node *column,
                    const struct pq_test *test) {
    if (test->set->has_null) return;
    const bool text = test->kind == PQ_TEST_TEXT;
    size_t count = 0;
    struct pq_value *values = add_bound(bounds, column->path.column, PQ_BOUND_IN,
                                        text ? test->set->count : test->member_count);
    if (values == NULL) return;
    if (text) {
        for (size_t i = 0; i < test->set->count; i++) {
            const struct pq_value *value = &test->set->items[i].own;
            if (value->kind == PQ_TEXT) values[count++] = *value;
        }
    } else {
        const enum pq_kind kind = column->type.kind;
        const bool narrow = kind == PQ_DATE || kind == PQ_BOOL;
        for (size_t i = 0; i < test->member_count; i++) {
            const pq_i128 unit = test->members[i];
            if (kind == PQ_DECIMAL) values[count++] = decimal_value(&column->type, unit);
            if (kind == PQ_DECIMAL) continue;
            const pq_i128 back = narrow ? (pq_i128)(int32_t)unit : (pq_i128)(int64_t)unit;
            if (back == unit) values[count++] = unit_value(kind, unit);
        }
    }
    bounds->items[bounds->count - 1].value_count = count;
}

static void add_test(struct bounds *bounds, const struct pq_node *call) {
    const struct pq_node *column = call->args[0];
    const struct pq_test *test = call->extra;
    enum pq_bound_op op;
    if (!is_column(column) || test->op == PQ_OP_NE) return;
    if (test->op == PQ_OP_IN) {
        const bool known = test->kind == PQ_TEST_TEXT || test->kind == PQ_TEST_MEMBER;
        if (known) add_set(bounds, column, test);
        return;
    }
    if (!bound_op(test->op, &op)) return;
    if (test->kind == PQ_TEST_RANGE) {
        add_range(bounds, column, test);
    } else if (test->kind == PQ_TEST_TEXT) {
        add_one(bounds, column->path.column, op,
                (struct pq_value){.kind = PQ_TEXT, .as.text = test->text});
    } else if (test->kind == PQ_TEST_REAL && column->type.kind == PQ_FLOAT64) {
        add_one(bounds, column->path.column, op,
                (struct pq_value){.kind = PQ_FLOAT64, .as.real = test->real});
    }
}

static void add_conjuncts(struct bounds *bounds, const struct pq_node *node) {
    if (node->kind != PQ_NODE_CALL) return;
    if (node->function->scalar == pq_scalar_and) {
        for (size_t k = 0; k < node->arg_count; k++) add_conjuncts(bounds, node->args[k]);
    } else if (node->function->kernel == pq_kernel_compare) {
        add_test(bounds, node);
    }
}

static size_t count_conditions(const struct pq_node *node) {
    if (node->kind != PQ_NODE_CALL || node->function->scalar != pq_scalar_and) return 1;
    size_t count = 0;
    for (size_t k = 0; k < node->arg_count; k++) count += count_conditions(node->args[k]);
    return count;
}

static void list_conditions(struct pq_program *program, const struct pq_node *node) {
    if (node->kind != PQ_NODE_CALL || node->function->scalar != pq_scalar_and) {
        program->conditions[program->condition_count++] = node;
        return;
    }
    for (size_t k = 0; k < node->arg_count; k++) list_conditions(program, node->args[k]);
}

static bool set_conditions(struct pq_compiler *compiler) {
    struct pq_program *program = compiler->program;
    const size_t count = count_conditions(program->root);
    program->conditions = pq_arena_alloc(compiler->arena, (count + 1) * sizeof(struct pq_node *));
    if (program->conditions == NULL) return pq_compile_no_memory(compiler) != NULL;
    list_conditions(program, program->root);
    return true;
}

bool pq_compile_finish(struct pq_compiler *compiler) {
    struct pq_program *program = compiler->program;
    struct bounds bounds = {.compiler = compiler};
    if (!set_columns(compiler) || !set_conditions(compiler)) return false;
    add_conjuncts(&bounds, program->root);
    program->bounds = bounds.items;
    program->bound_count = bounds.count;
    const enum pq_kind kind = program->root->type.kind;
    if (program->names == NULL && (kind == PQ_VARIANT || kind == PQ_NULL) &&
        compiler->code == PQDB_OK && compiler->mistakes == 0) {
        compiler->code = pq_variant_names_create(program->alloc, &program->names, compiler->err);
    }
    return compiler->code == PQDB_OK;
}
