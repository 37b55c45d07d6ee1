/// view/view.h: view definitions, checked and turned into operators.
///
/// A definition is read from its schema entry, resolved against its source (columns, types, zones)
/// and planned as one circuit node. All views of a schema are planned together, so that names,
/// cycles and order are settled in one place. Immutable afterwards.
#ifndef PQ_VIEW_VIEW_H
#define PQ_VIEW_VIEW_H

#include <parquedb/error.h>

#include "flow/flow.h"
#include "type/schema.h"
#include "view/cron.h"

/// APPENDING: a streaming view with strategy 'append'. Like those that lag it stands outside the
/// circuit, and each commit refreshes it.
enum pq_view_mode { PQ_VIEW_STREAMING, PQ_VIEW_SCHEDULED, PQ_VIEW_MANUAL, PQ_VIEW_APPENDING };

enum { PQ_VIEWS_BELOW_MAX = 64 };  // one below the other, below a view

struct pq_view {
    const struct pq_entry *entry;
    struct pq_text name;
    uint32_t entry_index;  // in the schema
    uint32_t table;        // what it puts out
    uint32_t source;       // what it reads: the table of `$from`
    uint32_t source_entry;  // in the schema
    const struct pq_view *upstream;  // the view `$from` names, or NULL for a collection
    const uint32_t *linked;  // tables of collections that it reads through links, each once
    size_t linked_count;

    enum pq_view_mode mode;
    struct pq_text schedule;  // as written, when scheduled
    struct pq_cron cron;      // and parsed
    struct pq_text zone;      // IANA, empty is UTC
    int64_t grace_us;         // gracePeriod, -1: none
    bool append;              // strategy: 'append'
    enum pq_backend backend;  // resolved: never DEFAULT

    bool grouped;              // has $groupBy, or is one global row
    const struct pq_type *type;   // of the table's rows: $id, $seq, ($index), columns; ids assigned
    /// What paths mean over these rows, for filters of queries. Without problems: copy it to set
    /// them. Open (not `closed`) where the view passes on the undeclared fields of its source.
    struct pq_scope scope;
    const struct pq_stage *stage;  // the same for following links (view/links.h)
    struct pq_node_spec spec;     // refill and lookup are the caller's to set
    uint64_t refresh_version;     // hash of the resolved definition
    struct pq_text definition;    // canonical JSON of the definition as written

    /// What may be incremental and what not, one line an operator, for `view explain`.
    const struct pq_text *explain;
    size_t explain_count;
    struct pq_text not_incremental;  // why a refresh would recompute, or empty
};

struct pq_view_program;

struct pq_views {
    struct pq_arena arena;
    const struct pq_alloc *alloc;
    struct pq_view *views;  // in topological order: a view comes after what it reads
    size_t count;
    struct pq_view_program *programs;  // owned: all that the specs point to
};

/// Plan every view of the schema. `table_ids[i]` is the table of entry i. Mistakes and warnings go
/// into `problems` with the codes of SPEC 5, path, line and column; the views that have none are
/// planned all the same.
///
/// Owns    *views is the caller's (pq_views_destroy); `schema` and `table_ids` are borrowed while
///         it lives
/// Errors  PQDB_NO_MEMORY; mistakes are not errors of this call
pqdb_code pq_views_plan(const struct pq_schema *schema, const uint32_t *table_ids,
                        const struct pq_alloc *alloc, struct pq_views **views,
                        struct pq_problems *problems, pqdb_error *err);
void pq_views_destroy(struct pq_views *views);

/// What paths mean over the rows of a collection, stream or external table. Everything it points
/// to lives in `arena` and in `entry`. Errors: PQDB_NO_MEMORY.
pqdb_code pq_entry_scope(const struct pq_entry *entry, struct pq_arena *arena,
                         struct pq_scope *scope, pqdb_error *err);

/// The planned view of this name, or NULL.
const struct pq_view *pq_views_find(const struct pq_views *views, struct pq_text name);

/// "fresh", "stale" …: computed from versions, never stored (SPEC 5.2).
enum pq_view_state { PQ_VIEW_FRESH, PQ_VIEW_STALE, PQ_VIEW_INVALID };

#endif
