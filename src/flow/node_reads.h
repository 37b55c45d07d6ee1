/// flow/node_reads.h: what a view reads of its source's columns: whole ones, or paths inside them.
#ifndef PQ_FLOW_NODE_READS_H
#define PQ_FLOW_NODE_READS_H

#include "expr/reads.h"
#include "flow/flow.h"

/// Positions of the source's columns that the node reads, ascending, in the node's memory.
const uint32_t *pq_node_columns(const struct pq_node *node, size_t *count);

/// Where the view follows links all columns are whole, and the paths are there nevertheless.
/// Errors: PQDB_NO_MEMORY.
pqdb_code pq_node_collect_reads(const struct pq_node_spec *spec, struct pq_arena *arena,
                                struct pq_reads *reads, pqdb_error *err);

#endif
