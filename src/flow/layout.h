/// flow/layout.h: which states the groups of a view hold, where, and which traces they need.
#ifndef PQ_FLOW_LAYOUT_H
#define PQ_FLOW_LAYOUT_H

#include "flow/flow_internal.h"

/// The states that a list of aggregates needs, and where they lie.
struct state_place {
    const struct pq_state_kind *kind;
    uint32_t argument;  // or PQ_NO_COLUMN
    uint32_t by;
    struct pq_aggregate_parameters given;
    uint32_t offset;
    uint32_t counts;    // the trace of counts it needs, or NO_TRACE
    uint32_t multiset;  // its multiset, likewise
};

/// A trace beside that of the groups. Keys begin with the group's key.
struct trace_place {
    enum trace_of of;
    uint32_t argument;
    uint32_t by;    // CREATION: or PQ_NO_COLUMN
    bool is_late;
};
#define NO_TRACE UINT32_MAX

struct layout {
    struct state_place *states;  // owned
    size_t state_count;
    uint32_t *state_of;   // owned: per aggregate
    uint32_t *second_of;  // owned: likewise, or PQ_NO_COLUMN
    size_t aggregate_count;
    struct trace_place *traces;  // owned
    size_t trace_count;
    bool always_settles;
    uint32_t fixed_bytes;  // where blobs begin
    uint32_t check;        // differs where rows would be read wrongly
};
pqdb_code layout_init(struct layout *layout, const struct pq_compute_spec *compute,
                      const struct pq_type *input, bool of_elements,
                      const struct pq_alloc *alloc, pqdb_error *err);
void layout_deinit(struct layout *layout, const struct pq_alloc *alloc);

/// Bytes a row needs when `blob_offset` (0: none) gets `bytes` of room.
size_t layout_bytes(const struct layout *layout, const uint8_t *row, size_t blob_offset,
                    size_t bytes);
/// Move the blobs of `row` (as they lie in `old`, a copy of the row) to their new places.
void layout_move(const struct layout *layout, uint8_t *row, const uint8_t *old, size_t blob_offset,
                 size_t bytes);

#endif
