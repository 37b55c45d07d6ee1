/// A slot is a place where a node may have a value: a row, or an element of the nearest list. The
/// levels of any leaf below tell the slots: those entries that begin one (repetition level at most
/// the list's) and lie in an element that exists (definition level at least the list's).
#include "parquet/assemble.h"

#include "base/check.h"
#include "base/fail.h"
#include "parquet/variant_column.h"
#include "parquet/variant_shredded.h"

/// Where slots come from: the nearest list, or the rows.
struct frame {
    uint8_t rep;  // level of its elements; 0: rows
    uint8_t def;  // from which on there is an element
};

static pqdb_code no_memory(pqdb_error *err) { return pq_parquet_no_memory(err, "a column"); }

static pqdb_code disagree(pqdb_error *err) {
    return pq_fail(err, PQDB_CORRUPT, "the columns of a nested Parquet value disagree");
}

static const struct pq_leaf_values *leaf_of(const struct pq_assembly *assembly,
                                            const struct pq_node *node) {
    return &assembly->leaves[node->leaf - assembly->first_leaf];
}

static bool begins_slot(const struct pq_leaf_values *leaf, size_t i, const struct frame *frame) {
    return (leaf->rep == NULL || leaf->rep[i] <= frame->rep) &&
           (leaf->def == NULL || leaf->def[i] >= frame->def);
}

static size_t count_slots(const struct pq_leaf_values *leaf, const struct frame *frame) {
    if (leaf->rep == NULL) return leaf->level_count;
    size_t count = 0;
    for (size_t i = 0; i < leaf->level_count; i++) count += begins_slot(leaf, i, frame);
    return count;
}

/// Is every level at least `def`?
static bool is_all(const uint8_t *levels, size_t count, uint8_t def) {
    size_t i = 0;
    uint8_t below = 0;
    for (; i + 256 <= count && below == 0; i += 256) {  // inner loops without a way out vectorise
        for (size_t k = 0; k < 256; k++) below |= levels[i + k] < def;
    }
    for (; i < count; i++) below |= levels[i] < def;
    return below == 0;
}

/// valid[] of the slots by their level; NULL when none is null.
static pqdb_code mark_slots(const struct pq_assembly *assembly, const struct pq_leaf_values *leaf,
                            const struct frame *frame, uint8_t def, struct pq_column *column,
                            pqdb_error *err) {
    column->count = count_slots(leaf, frame);
    column->valid = NULL;
    if (leaf->def == NULL) return PQDB_OK;
    if (leaf->rep == NULL && is_all(leaf->def, column->count, def)) return PQDB_OK;
    uint8_t *valid = pq_arena_alloc(assembly->arena, column->count + 1);
    if (valid == NULL) return no_memory(err);
    if (leaf->rep == NULL) {
        for (size_t i = 0; i < column->count; i++) valid[i] = leaf->def[i] >= def;
        column->valid = valid;
        return PQDB_OK;
    }
    size_t slot = 0, values = 0;
    for (size_t i = 0; i < leaf->level_count; i++) {
        if (!begins_slot(leaf, i, frame)) continue;
        valid[slot] = leaf->def[i] >= def;
        values += valid[slot++];
    }
    if (values < column->count) column->valid = valid;
    return PQDB_OK;
}

/// One value per slot without a branch on what is null: the slot takes the next value, or zero.
#define SPREAD(type)                                                  \
    {                                                                 \
        const type *from = values;                                    \
        type *to = (type *)(void *)spread;                            \
        for (; slot < count && next < value_count; slot++) {          \
            to[slot] = valid[slot] ? from[next] : 0;                  \
            next += valid[slot];                                      \
        }                                                             \
        if (slot < count) memset(to + slot, 0, (count - slot) * width); \
    }

/// Values without gaps to one per slot; null slots get zeros.
static pqdb_code spread_fixed(struct pq_assembly const *assembly, const void *values,
                              size_t value_count, size_t width, struct pq_column *column,
                              pqdb_error *err) {
    column->values = values;
    if (column->valid == NULL) return PQDB_OK;
    uint8_t *spread = pq_arena_alloc(assembly->arena, (column->count + 1) * width);
    if (spread == NULL) return no_memory(err);
    const uint8_t *valid = column->valid;
    const size_t count = column->count;
    size_t next = 0, slot = 0;
    switch (width) {
        case 1: SPREAD(uint8_t) break;
        case 4: SPREAD(uint32_t) break;
        case 8: SPREAD(uint64_t) break;
        default: pq_assert(width == sizeof(pq_u128)); SPREAD(pq_u128) break;
    }
    pq_assert(next == value_count);
    column->values = spread;
    return PQDB_OK;
}

static pqdb_code spread_offsets(const struct pq_assembly *assembly, const uint32_t *offsets,
                                struct pq_column *column, pqdb_error *err) {
    column->offsets = offsets;
    if (column->valid == NULL) return PQDB_OK;
    uint32_t *spread =
        pq_arena_calloc(assembly->arena, column->count + 1, sizeof *spread);
    if (spread == NULL) return no_memory(err);
    size_t value = 0;
    for (size_t i = 0; i < column->count; i++) {
        value += column->valid[i] != PQ_ROW_NULL;
        spread[i + 1] = offsets[value];
    }
    column->offsets = spread;
    return PQDB_OK;
}

/// JSON variants: slots that are valid take the mark of their value.
static pqdb_code spread_marks(const struct pq_assembly *assembly, const uint8_t *marks,
                              struct pq_column *column, pqdb_error *err) {
    if (column->valid == NULL) {
        column->valid = marks;
        return PQDB_OK;
    }
    uint8_t *valid = pq_arena_alloc(assembly->arena, column->count + 1);
    if (valid == NULL) return no_memory(err);
    size_t value = 0;
    for (size_t i = 0; i < column->count; i++) {
        valid[i] = column->valid[i] == PQ_ROW_NULL ? PQ_ROW_NULL : marks[value++];
    }
    column->valid = valid;
    return PQDB_OK;
}

static pqdb_code assemble_scalar(const struct pq_assembly *assembly, const struct pq_node *node,
                                 const struct frame *frame, struct pq_column *column,
                                 pqdb_error *err) {
    const struct pq_leaf_values *leaf = leaf_of(assembly, node);
    PQ_TRY(mark_slots(assembly, leaf, frame, leaf->leaf->max_def, column, err));
    const size_t values = leaf->count;
    if (column->valid == NULL && values != column->count) return disagree(err);
    if (leaf->is_coded) {
        column->layout = PQ_DICTIONARY;
        column->dictionary = leaf->dictionary;
        return spread_fixed(assembly, leaf->codes, values, sizeof *leaf->codes, column, err);
    }
    if (leaf->offsets == NULL) {
        column->layout = PQ_FIXED;
        if (node->type->kind == PQ_NULL) return PQDB_OK;
        return spread_fixed(assembly, leaf->values, values, leaf->width, column, err);
    }
    column->layout = PQ_BYTES;
    column->data = leaf->data;
    PQ_TRY(spread_offsets(assembly, leaf->offsets, column, err));
    if (leaf->marks == NULL) return PQDB_OK;
    column->names = assembly->names;
    return spread_marks(assembly, leaf->marks, column, err);
}

static struct pq_variant_part part_of(const struct pq_leaf_values *leaf) {
    return (struct pq_variant_part){
        .codes = leaf->is_coded ? leaf->codes : NULL,
        .entries = leaf->entries,
        .offsets = leaf->offsets,
        .data = leaf->data,
    };
}

static pqdb_code assemble_variant(const struct pq_assembly *assembly, const struct pq_node *node,
                                  const struct frame *frame, struct pq_column *column,
                                  pqdb_error *err) {
    const struct pq_leaf_values *leaves = leaf_of(assembly, node);
    const struct pq_leaf_values *metadata = &leaves[node->is_value_first ? 1 : 0];
    const struct pq_leaf_values *value = &leaves[node->is_value_first ? 0 : 1];
    PQ_TRY(mark_slots(assembly, metadata, frame, metadata->leaf->max_def, column, err));
    if (metadata->count != value->count || metadata->level_count != value->level_count) {
        return disagree(err);
    }
    const struct pq_variant_parts parts = {
        .count = metadata->count, .metadata = part_of(metadata), .value = part_of(value)};
    const struct pq_variant_target target = {assembly->encoder, assembly->names, assembly->arena,
                                             assembly->alloc};
    uint32_t *offsets;
    uint8_t *marks;
    PQ_TRY(pq_variant_join(&parts, &target, &offsets, &marks, &column->data, err));
    column->layout = PQ_BYTES;
    column->names = assembly->names;
    PQ_TRY(spread_offsets(assembly, offsets, column, err));
    return spread_marks(assembly, marks, column, err);
}

static pqdb_code assemble(const struct pq_assembly *assembly, const struct pq_node *node,
                          const struct frame *frame, struct pq_column *column, pqdb_error *err);

/// The rows of a column that are not null, in order; NULL when that is all of them.
static pqdb_code valid_rows(const struct pq_assembly *assembly, const struct pq_column *column,
                            size_t expected, const uint32_t **rows, pqdb_error *err) {
    *rows = NULL;
    if (column->valid == NULL) return column->count == expected ? PQDB_OK : disagree(err);
    uint32_t *valid = pq_arena_alloc(assembly->arena, (column->count + 1) * sizeof *valid);
    if (valid == NULL) return no_memory(err);
    size_t count = 0;
    for (size_t i = 0; i < column->count; i++) {
        if (column->valid[i] != PQ_ROW_NULL) valid[count++] = (uint32_t)i;
    }
    *rows = valid;
    return count == expected ? PQDB_OK : disagree(err);
}

/// The columns of value and typed_value first, then the variants of their rows.
static pqdb_code assemble_shredded(const struct pq_assembly *assembly, const struct pq_node *node,
                                   const struct frame *frame, struct pq_column *column,
                                   pqdb_error *err) {
    const struct pq_leaf_values *metadata =
        &assembly->leaves[node->metadata_leaf - assembly->first_leaf];
    PQ_TRY(mark_slots(assembly, metadata, frame, metadata->leaf->max_def, column, err));
    struct pq_column parts[2];
    struct pq_bytes members;
    struct pq_shredded shredded = {.leaves = assembly->file_leaves, .members = &members};
    for (uint32_t i = 0; i < node->shredded->child_count; i++) {
        const struct pq_node *part = &node->shredded->children[i];
        const struct pq_text name = node->shredded->type->fields[i].name;
        const bool is_typed = pq_text_is(name, "typed_value");
        if (!is_typed && !pq_text_is(name, "value")) continue;
        PQ_TRY(assemble(assembly, part, frame, &parts[is_typed], err));
        if (parts[is_typed].count != column->count) return disagree(err);
        *(is_typed ? &shredded.typed : &shredded.value) = &parts[is_typed];
        if (is_typed) shredded.node = part;
    }
    struct pq_variant_parts source = {
        .count = metadata->count, .metadata = part_of(metadata), .shredded = &shredded};
    PQ_TRY(valid_rows(assembly, column, metadata->count, &source.rows, err));
    const struct pq_variant_target target = {assembly->encoder, assembly->names, assembly->arena,
                                             assembly->alloc};
    uint32_t *offsets;
    uint8_t *marks;
    pq_bytes_init(&members, assembly->alloc);
    const pqdb_code code =
        pq_variant_join(&source, &target, &offsets, &marks, &column->data, err);
    pq_bytes_deinit(&members);
    if (code != PQDB_OK) return code;
    column->layout = PQ_BYTES;
    column->names = assembly->names;
    PQ_TRY(spread_offsets(assembly, offsets, column, err));
    return spread_marks(assembly, marks, column, err);
}

static pqdb_code assemble_object(const struct pq_assembly *assembly, const struct pq_node *node,
                                 const struct frame *frame, struct pq_column *column,
                                 pqdb_error *err) {
    PQ_TRY(mark_slots(assembly, leaf_of(assembly, node), frame, node->def, column, err));
    struct pq_column *children =
        pq_arena_calloc(assembly->arena, node->child_count, sizeof *children);
    if (children == NULL) return no_memory(err);
    for (uint32_t i = 0; i < node->child_count; i++) {
        PQ_TRY(assemble(assembly, &node->children[i], frame, &children[i], err));
        if (children[i].count != column->count) return disagree(err);
    }
    column->layout = PQ_MEMBERS;
    column->children = children;
    return PQDB_OK;
}

/// An entry either begins a slot, or continues the list of the slot before it.
static pqdb_code list_offsets(const struct pq_node *node, const struct pq_leaf_values *leaf,
                              const struct frame *frame, uint32_t *offsets, size_t slot_count,
                              pqdb_error *err) {
    size_t slot = 0;
    uint32_t elements = 0;
    bool has_elements = false;
    for (size_t i = 0; i < leaf->level_count; i++) {
        const uint8_t rep = leaf->rep[i], def = leaf->def[i];
        if (rep > node->rep) continue;  // inside an element
        if (rep > frame->rep) {
            if (!has_elements || def < node->def_element) return disagree(err);
            elements++;
            continue;
        }
        has_elements = def >= node->def_element;
        if (def < frame->def) continue;  // no slot here
        pq_assert(slot < slot_count);
        offsets[slot++] = elements;
        elements += has_elements;
    }
    offsets[slot] = elements;
    return PQDB_OK;
}

static pqdb_code assemble_list(const struct pq_assembly *assembly, const struct pq_node *node,
                               const struct frame *frame, struct pq_column *column,
                               pqdb_error *err) {
    const struct pq_leaf_values *leaf = leaf_of(assembly, node);
    PQ_TRY(mark_slots(assembly, leaf, frame, node->def, column, err));
    uint32_t *offsets = pq_arena_alloc(assembly->arena, (column->count + 1) * sizeof *offsets);
    struct pq_column *element = pq_arena_calloc(assembly->arena, 1, sizeof *element);
    if (offsets == NULL || element == NULL) return no_memory(err);
    PQ_TRY(list_offsets(node, leaf, frame, offsets, column->count, err));
    const struct frame inner = {.rep = node->rep, .def = node->def_element};
    PQ_TRY(assemble(assembly, &node->children[0], &inner, element, err));
    if (element->count != offsets[column->count]) return disagree(err);
    column->layout = PQ_ROWS;
    column->offsets = offsets;
    column->children = element;
    return PQDB_OK;
}

static pqdb_code assemble(const struct pq_assembly *assembly, const struct pq_node *node,
                          const struct frame *frame, struct pq_column *column, pqdb_error *err) {
    *column = (struct pq_column){.type = node->type};
    switch (node->type->kind) {
        case PQ_LIST: return assemble_list(assembly, node, frame, column, err);
        case PQ_OBJECT: return assemble_object(assembly, node, frame, column, err);
        case PQ_VARIANT:
            if (node->shredded != NULL) {
                return assemble_shredded(assembly, node, frame, column, err);
            }
            if (node->leaf_count == 2) {
                return assemble_variant(assembly, node, frame, column, err);
            }
            return assemble_scalar(assembly, node, frame, column, err);
        default: return assemble_scalar(assembly, node, frame, column, err);
    }
}

pqdb_code pq_assemble(const struct pq_assembly *assembly, const struct pq_node *node,
                      struct pq_column *column, pqdb_error *err) {
    const struct frame rows = {0, 0};
    return assemble(assembly, node, &rows, column, err);
}
