/// flow/node_reads.c: which paths inside the source's variants a view reads.
#include "flow/node_spill.h"

#include "base/fail.h"
#include "expr/reads.h"

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

static pqdb_code add_unnest(struct pq_reads *reads, const struct pq_unnest_spec *unnest,
                            pqdb_error *err) {
    PQ_TRY(add_operand(reads, &unnest->list, err));
    PQ_TRY(add_operands(reads, unnest->beside, unnest->beside_count, err));
    for (size_t k = 0; k < unnest->carry_count; k++) pq_reads_add_column(reads, unnest->carry[k]);
    return PQDB_OK;
}

/// Behind an unnest nothing reads the source any more; computed columns stand behind the row's own.
static pqdb_code add_rows(struct pq_reads *reads, const struct pq_row_spec *rows,
                          pqdb_error *err) {
    PQ_TRY(pq_reads_add(reads, rows->filter_first, err));
    if (rows->unnest != NULL) return add_unnest(reads, rows->unnest, err);
    PQ_TRY(pq_reads_add(reads, rows->filter, err));
    for (size_t i = 0; i < rows->list_count; i++) {
        PQ_TRY(add_unnest(reads, &rows->lists[i].elements, err));
    }
    return add_operands(reads, rows->columns, rows->output->field_count, err);
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
    if (spec->rows != NULL) return add_rows(reads, spec->rows, err);
    const struct pq_group_spec *group = spec->group;
    PQ_TRY(add_operands(reads, group->keys, group->key_count, err));
    if (group->index != PQ_NO_COLUMN) pq_reads_add_column(reads, group->index);
    return add_operands(reads, group->compute.arguments, group->compute.argument_count, err);
}
