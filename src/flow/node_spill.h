/// flow/node_spill.h: the state of a view that takes too much memory before a checkpoint writes it.
#ifndef PQ_FLOW_NODE_SPILL_H
#define PQ_FLOW_NODE_SPILL_H

#include "flow/flow.h"
#include "state/spill.h"

/// Bytes of the state that changed since it was last written.
size_t pq_node_dirty_bytes(const struct pq_node *node);

/// From now on (NULL: no more) the state may leave memory between two batches of a build, and where
/// pq_node_spill is called between two steps: when `spill` says that it is due. Borrowed.
/// Errors: as pq_trace_spill; the state is as good as before.
void pq_node_use_spill(struct pq_node *node, const struct pq_spill *spill);
pqdb_code pq_node_spill(struct pq_node *node, pqdb_error *err);

#endif
