/// flow/node_reads.c: which paths inside the source's variants a view reads: from its last stage to
/// the first, of whose rows they are paths.
#include "base/fail.h"
#include "expr/reads.h"
#include "flow/node_reads.h"

static pqdb_code add_operand(struct pq_reads *reads, const struct pq_operand *operand,
                             pqdb_error *err) {
    if (operand->program != NULL) return pq_reads_add(reads, operand->program, err);
    pq_reads_add_column(reads, operand->column);
    return PQDB_OK;
}

static pqdb_code add_operands(struct pq_reads *reads, const struct pq_operand *operands,
                              size_t count, pqdb_error *err) {
    for (size_t k = 0; k < count; k++) PQ_TRY(add_operand(reads, &operands[k], err));
    return PQDB_OK;
}

/// What is read of a column of a later stage is read of that which goes there as it is.
struct passage {
    const struct pq_reads *from;
    const struct pq_type *from_type;
    struct pq_reads *to;
    const struct pq_type *to_type;
};

static pqdb_code pass(const struct passage *passage, uint32_t at, uint32_t to_at,
                      pqdb_error *err) {
    const struct pq_reads *from = passage->from;
    const bool is_named_alike = pq_text_equal(passage->from_type->fields[at].name,
                                              passage->to_type->fields[to_at].name);
    if (from->whole[at]) pq_reads_add_column(passage->to, to_at);
    for (size_t i = 0; i < from->path_count; i++) {
        if (from->paths[i].column != at) continue;
        if (is_named_alike) {
            PQ_TRY(pq_reads_add_path(passage->to, to_at, from->paths[i].path, err));
        } else {
            pq_reads_add_column(passage->to, to_at);
        }
    }
    return PQDB_OK;
}

static pqdb_code add_group(struct pq_reads *reads, const struct pq_group_spec *group,
                           pqdb_error *err) {
    PQ_TRY(add_operands(reads, group->keys, group->key_count, err));
    if (group->index != PQ_NO_COLUMN) pq_reads_add_column(reads, group->index);
    return add_operands(reads, group->compute.arguments, group->compute.argument_count, err);
}

static pqdb_code add_elements(struct pq_reads *reads, const struct pq_unnest_spec *unnest,
                              pqdb_error *err) {
    PQ_TRY(add_operand(reads, &unnest->list, err));
    return add_operands(reads, unnest->beside, unnest->beside_count, err);
}

/// Of the rows that the columns are made of, unnested or not; what is computed of lists stands
/// behind their own columns. `group`: NULL, or what is read of the columns.
static pqdb_code add_columns(struct pq_reads *reads, const struct pq_row_spec *rows,
                             const struct pq_type *type, const struct pq_reads *group,
                             pqdb_error *err) {
    const struct passage passage = {group, rows->output, reads, type};
    PQ_TRY(pq_reads_add(reads, rows->filter, err));
    for (size_t i = 0; i < rows->list_count; i++) {
        const struct pq_unnest_spec *elements = &rows->lists[i].elements;
        PQ_TRY(add_elements(reads, elements, err));
        for (size_t k = 0; k < elements->carry_count; k++) {
            pq_reads_add_column(reads, elements->carry[k]);
        }
    }
    for (uint32_t k = 0; k < rows->output->field_count; k++) {
        const struct pq_operand *column = &rows->columns[k];
        if (group == NULL || column->program != NULL || column->column >= type->field_count) {
            PQ_TRY(add_operand(reads, column, err));
        } else {
            PQ_TRY(pass(&passage, k, column->column, err));
        }
    }
    return PQDB_OK;
}

static pqdb_code add_rows(struct pq_reads *reads, const struct pq_row_spec *rows,
                          const struct pq_reads *group, pqdb_error *err) {
    const struct pq_unnest_spec *unnest = rows->unnest;
    PQ_TRY(pq_reads_add(reads, rows->filter_first, err));
    if (unnest == NULL) return add_columns(reads, rows, rows->input, group, err);
    struct pq_reads unnested;
    PQ_TRY(pq_reads_init(&unnested, unnest->type->field_count, reads->arena, err));
    PQ_TRY(add_columns(&unnested, rows, unnest->type, group, err));
    PQ_TRY(add_elements(reads, unnest, err));
    const struct passage passage = {&unnested, unnest->type, reads, rows->input};
    const uint32_t first = unnest->type->field_count - (uint32_t)unnest->carry_count;
    for (uint32_t k = 0; k < unnest->carry_count; k++) {
        PQ_TRY(pass(&passage, first + k, unnest->carry[k], err));
    }
    return PQDB_OK;
}

pqdb_code pq_node_collect_reads(const struct pq_node_spec *spec, struct pq_arena *arena,
                                struct pq_reads *reads, pqdb_error *err) {
    const struct pq_type *source = spec->expand != NULL ? spec->source_type
                                   : spec->rows != NULL ? spec->rows->input
                                                        : spec->group->input;
    PQ_TRY(pq_reads_init(reads, source->field_count, arena, err));
    // Links look into columns as they are.
    for (size_t k = 0; spec->expand != NULL && k < reads->column_count; k++) {
        pq_reads_add_column(reads, k);
    }
    if (spec->rows == NULL) return add_group(reads, spec->group, err);
    if (spec->group == NULL) return add_rows(reads, spec->rows, NULL, err);
    struct pq_reads group;
    PQ_TRY(pq_reads_init(&group, spec->group->input->field_count, arena, err));
    PQ_TRY(add_group(&group, spec->group, err));
    return add_rows(reads, spec->rows, &group, err);
}
