/// flow/circuit.h: views over tables and over each other, stepped together. One commit pushes one
/// delta through all of them, so that a view and the view on top of it never disagree.
#ifndef PQ_FLOW_CIRCUIT_H
#define PQ_FLOW_CIRCUIT_H

#include "flow/flow.h"

/// Nodes in topological order. One thread.
struct pq_circuit;

pqdb_code pq_circuit_create(const struct pq_alloc *alloc, struct pq_circuit **circuit,
                            pqdb_error *err);
void pq_circuit_destroy(struct pq_circuit *circuit);  // its nodes too

/// What the last steps of a node took: averages in which each step counts a sixteenth.
struct pq_circuit_cost {
    uint64_t steps;  // with a delta, ever
    double rows_in, rows_out;
    double ns;       // 0 without a clock
};

/// From now on steps are timed: two readings a node that has a delta. A room without a clock is
/// given one.
void pq_circuit_use_clock(struct pq_circuit *circuit, uint64_t (*now_ns)(void *ctx), void *ctx);

/// NULL when there is no such node. Kept when the node is replaced.
const struct pq_circuit_cost *pq_circuit_cost(const struct pq_circuit *circuit, uint32_t table);

/// Add a node; if its source is a view of this circuit, that one was added before. The circuit owns
/// the node afterwards. Errors: PQDB_NO_MEMORY; PQDB_CONFLICT when the table is there already.
pqdb_code pq_circuit_add(struct pq_circuit *circuit, struct pq_node *node, pqdb_error *err);

/// Take the node of a table out and destroy it; the nodes that read it must be gone.
void pq_circuit_remove(struct pq_circuit *circuit, uint32_t table);

/// Another node in the place of a table's; gives the one that was there. What the two read and put
/// out is the same. The new one is attached.
struct pq_node *pq_circuit_replace(struct pq_circuit *circuit, struct pq_node *node);

/// Take a table's node out without destroying it: it is the caller's again. Nothing may read it.
struct pq_node *pq_circuit_take(struct pq_circuit *circuit, uint32_t table);

size_t pq_circuit_count(const struct pq_circuit *circuit);
struct pq_node *pq_circuit_find(const struct pq_circuit *circuit, uint32_t table);  // or NULL

/// What a step did to one view.
struct pq_output {
    uint32_t table;
    bool attached;         // false: it failed, now or before, or lags on purpose
    bool failed;           // in this step
    struct pq_batch rows;  // count 0 when nothing changed
};

/// One commit (or several joined into one): each table's delta through all views on it, and their
/// deltas through the views on them. A view that fails is detached, and those that read it, their
/// last error kept; the others go on, so there is no error to return. A table that is a view itself
/// may be an input (a refresh of one that lags): it wins over what its node puts out.
///
/// A view is stepped when its source or a table that it reads through links has a delta; the latter
/// are among `inputs`.
///
/// Shape   `outputs` has room for pq_circuit_count(); filled in topological order
/// Owns    the rows live in `step_arena` and in `inputs`
/// Cost    one pass over each delta per view; idle views cost nothing but a look
void pq_circuit_step(struct pq_circuit *circuit, const struct pq_delta *inputs, size_t input_count,
                     struct pq_arena *step_arena, struct pq_output *outputs);

/// Steps from now on only forget rows that have become too old, or no longer. Views that keep do
/// not see it when rows of their source go so.
void pq_circuit_forget(struct pq_circuit *circuit, bool forgets);

/// The table's view keeps. What it puts out is completed before others read it: by rows that it had
/// kept and whose place others take. Without `complete` it is left as it is.
struct pq_circuit_keeper {
    pqdb_code (*complete)(void *ctx, struct pq_batch *rows, struct pq_arena *arena,
                          pqdb_error *err);
    void *ctx;
};
void pq_circuit_keep(struct pq_circuit *circuit, uint32_t table,
                     const struct pq_circuit_keeper *keeper);

/// Why a table's node is detached; NULL when it is attached. Valid until it is attached again.
const pqdb_error *pq_circuit_failure(const struct pq_circuit *circuit, uint32_t table);

/// A view that has been built again (pq_node_full) takes part in the next step; one that lags on
/// purpose does not.
void pq_circuit_attach(struct pq_circuit *circuit, uint32_t table);
void pq_circuit_detach(struct pq_circuit *circuit, uint32_t table, const pqdb_error *reason);

#endif
