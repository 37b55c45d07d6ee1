/// Paths: through declared objects and lists without touching values, inside variants row by row
/// with names resolved once, and into the type that `$paths` declares.
#include "base/check.h"
#include "base/fail.h"
#include "expr/nested.h"
#include "expr/run_internal.h"

/// Rows of a column seen through a path: `rows` NULL means each row of `column` itself, else row i
/// is rows[i], UINT32_MAX for none.
struct view {
    struct pq_column column;
    const uint32_t *rows;
};

/// Rows whose object is missing have no member: lay the object's nulls over the member's.
static pqdb_code lay_over(struct pq_run *run, struct view *view, const struct pq_column *member,
                          pqdb_error *err) {
    const uint8_t *outer = view->column.valid;
    const size_t count = view->column.count;
    view->column = *member;
    if (outer == NULL) return PQDB_OK;
    uint8_t *valid = pq_run_alloc(run, count, err);
    if (valid == NULL) return PQDB_NO_MEMORY;
    for (size_t row = 0; row < count; row++) {
        const uint8_t own = member->valid == NULL ? PQ_ROW_VALID : member->valid[row];
        valid[row] = outer[row] == PQ_ROW_NULL ? PQ_ROW_NULL : own;
    }
    view->column.valid = valid;
    return PQDB_OK;
}

static pqdb_code into_position(struct pq_run *run, struct view *view, size_t position,
                               pqdb_error *err) {
    const struct pq_column list = view->column;
    uint32_t *rows = pq_run_alloc(run, run->count * sizeof *rows, err);
    if (rows == NULL) return PQDB_NO_MEMORY;
    for (size_t i = 0; i < run->count; i++) {
        const uint32_t row = view->rows == NULL ? (uint32_t)i : view->rows[i];
        rows[i] = UINT32_MAX;
        if (row == UINT32_MAX || pq_column_is_null(&list, row)) continue;
        const uint32_t from = list.offsets[row], until = list.offsets[row + 1];
        if (position < until - from) rows[i] = from + (uint32_t)position;
    }
    view->column = list.children[0];
    view->rows = rows;
    return PQDB_OK;
}

static pqdb_code follow(struct pq_run *run, const struct pq_path *path, struct view *view,
                        pqdb_error *err) {
    for (size_t k = 0; k < path->step_count; k++) {
        const struct pq_static_step step = path->steps[k];
        if (step.is_index) {
            PQ_TRY(into_position(run, view, step.at, err));
        } else {
            PQ_TRY(lay_over(run, view, &view->column.children[step.at], err));
        }
    }
    return PQDB_OK;
}

/// A row of a view of variants; false when it is null.
static bool variant_at(const struct view *view, size_t i, struct pq_variant *variant) {
    const size_t row = view->rows == NULL ? i : view->rows[i];
    if (row == UINT32_MAX || pq_column_is_null(&view->column, row)) return false;
    *variant = pq_run_variant(&view->column, row);
    return true;
}

/// Finds what is at a path inside the rows of a view, or of values.
struct finder {
    const struct pq_path *path;
    const struct view *view;         // of variants
    const struct pq_vector *vector;  // or values
    const struct pq_variant_names *names;  // that `ids` are resolved for
    uint32_t *ids;
};

static bool outer_at(const struct finder *finder, size_t row, struct pq_variant *variant) {
    if (finder->view != NULL) return variant_at(finder->view, row, variant);
    const struct pq_value value = pq_vector_at(finder->vector, row);
    if (value.kind != PQ_VARIANT) return false;  // a scalar has nothing inside
    *variant = value.as.variant;
    return true;
}

static bool find(struct finder *finder, size_t row, struct pq_variant *found) {
    const struct pq_path *path = finder->path;
    struct pq_variant outer;
    if (!outer_at(finder, row, &outer)) return false;
    const bool shared = outer.metadata == NULL && outer.names != NULL;
    if (shared && outer.names != finder->names) {
        finder->names = outer.names;
        pq_variant_path_resolve(outer.names, path->inner, path->inner_count, finder->ids);
    }
    return pq_variant_find(&outer, path->inner, finder->ids, path->inner_count, found);
}

static pqdb_code finder_init(struct pq_run *run, struct finder *finder, pqdb_error *err) {
    finder->ids = pq_run_alloc(run, (finder->path->inner_count + 1) * sizeof *finder->ids, err);
    return finder->ids == NULL ? PQDB_NO_MEMORY : PQDB_OK;
}

static pqdb_code find_values(struct pq_run *run, struct finder *finder, struct pq_vector *out,
                             pqdb_error *err) {
    struct pq_value *values = pq_run_alloc(run, run->count * sizeof *values, err);
    if (values == NULL) return PQDB_NO_MEMORY;
    for (size_t row = 0; row < run->count; row++) {
        struct pq_variant found;
        if (find(finder, row, &found)) {
            values[row] = pq_variant_unwrap(&found);
        } else {
            values[row] = (struct pq_value){.kind = PQ_NULL};
        }
    }
    out->values = values;
    return PQDB_OK;
}

/// For a program that is the path itself: bytes from column to column.
static pqdb_code find_column(struct pq_run *run, struct finder *finder, struct pq_vector *out,
                             pqdb_error *err) {
    struct pq_builder builder;
    PQ_TRY(pq_builder_init(&builder, &pq_type_variant, &run->arena->alloc, err));
    builder.names = finder->view->column.names;
    if (builder.names == NULL) builder.names = pq_run_names(run);
    for (size_t row = 0; row < run->count; row++) {
        struct pq_value value = {.kind = PQ_VARIANT};
        if (!find(finder, row, &value.as.variant) || pq_variant_is_null(&value.as.variant)) {
            PQ_TRY(pq_builder_append_null(&builder, err));
        } else if (value.as.variant.metadata == NULL) {
            PQ_TRY(pq_builder_append_bytes(&builder, value.as.variant.bytes,
                                           value.as.variant.length, err));
        } else {
            PQ_TRY(pq_builder_append_value(&builder, &value, err));
        }
    }
    out->has_column = true;
    out->column = pq_builder_finish(&builder);
    return PQDB_OK;
}

/// Straight into a column of the declared type.
static pqdb_code find_declared(struct pq_run *run, const struct pq_node *node,
                               struct finder *finder, struct pq_vector *out, pqdb_error *err) {
    struct pq_builder builder;
    uint64_t mismatches = 0;
    PQ_TRY(pq_builder_init(&builder, &node->type, &run->arena->alloc, err));
    for (size_t row = 0; row < run->count; row++) {
        struct pq_variant found;
        bool mismatch = false;
        if (!find(finder, row, &found)) {
            PQ_TRY(pq_builder_append_null(&builder, err));
            continue;
        }
        const struct pq_value value = pq_variant_unwrap(&found);
        PQ_TRY(pq_append_converted(&builder, &value, &mismatch, err));
        mismatches += mismatch;
    }
    if (mismatches > 0) {  // a counter is all that a run may change in its program
        atomic_fetch_add_explicit((atomic_uint_fast64_t *)(uintptr_t)&run->program->mismatches,
                                  mismatches, memory_order_relaxed);
    }
    out->has_column = true;
    out->column = pq_builder_finish(&builder);
    return PQDB_OK;
}

static pqdb_code find_inside(struct pq_run *run, const struct pq_node *node,
                             struct finder *finder, struct pq_vector *out, pqdb_error *err) {
    finder->path = &node->path;
    PQ_TRY(finder_init(run, finder, err));
    if (node->path.declared && node->type.kind != PQ_VARIANT) {
        return find_declared(run, node, finder, out, err);
    }
    const bool whole = node == run->program->root && finder->view != NULL && !run->scalar_only;
    return whole ? find_column(run, finder, out, err) : find_values(run, finder, out, err);
}

/// Variants at a position of lists: views, where gathering would copy their bytes.
static pqdb_code values_of_view(struct pq_run *run, const struct view *view,
                                struct pq_vector *out, pqdb_error *err) {
    struct pq_value *values = pq_run_alloc(run, run->count * sizeof *values, err);
    if (values == NULL) return PQDB_NO_MEMORY;
    for (size_t row = 0; row < run->count; row++) {
        struct pq_variant variant;
        if (variant_at(view, row, &variant)) {
            values[row] = pq_variant_unwrap(&variant);
        } else {
            values[row] = (struct pq_value){.kind = PQ_NULL};
        }
    }
    out->values = values;
    return PQDB_OK;
}

/// Inside $elemMatch an element that was found in a variant is a value, not a row of a column.
static pqdb_code path_of_values(struct pq_run *run, const struct pq_node *node,
                                struct pq_vector *out, pqdb_error *err) {
    if (node->path.inner_count == 0) {
        out->values = run->element->values;
        out->constant = run->element->constant;
        return PQDB_OK;
    }
    struct finder finder = {.vector = run->element};
    return find_inside(run, node, &finder, out, err);
}

pqdb_code pq_run_path(struct pq_run *run, const struct pq_node *node, struct pq_vector *out,
                      pqdb_error *err) {
    const struct pq_path *path = &node->path;
    struct view view = {0};
    if (run->element != NULL) {
        if (!run->element->has_column) return path_of_values(run, node, out, err);
        view.column = run->element->column;
    } else {
        view.column = run->batch->columns[path->column];
    }
    PQ_TRY(follow(run, path, &view, err));
    if (path->inner_count > 0) {
        struct finder finder = {.view = &view};
        return find_inside(run, node, &finder, out, err);
    }
    if (view.rows != NULL && node->type.kind == PQ_VARIANT) {
        return values_of_view(run, &view, out, err);
    }
    out->has_column = true;
    out->column = view.column;
    if (view.rows == NULL) return PQDB_OK;
    return pq_column_gather(&view.column, view.rows, run->count, run->arena, &out->column, err);
}
