/// db/schema_steps.h: what lies between two schemas, step by step, and which of it loses something.
#ifndef PQ_DB_SCHEMA_STEPS_H
#define PQ_DB_SCHEMA_STEPS_H

#include <parquedb/schema.h>

#include "db/schema_change.h"

/// What a step needs to know of the rows that are there before it may be taken.
enum pq_db_need {
    PQ_DB_NEED_NOTHING,
    PQ_DB_NEED_EMPTY,     // rows would lose something: allowed by name, or without rows
    PQ_DB_NEED_NOTHING_KEPT,  // the same of a view that keeps, once rows it read are gone
    PQ_DB_NEED_FILLED,    // a field becomes required: no row may lack it
    PQ_DB_NEED_FITTING,   // its rules become stricter: every value must obey
    PQ_DB_NEED_UNIQUE,
    PQ_DB_NEED_UNUSED,    // no row keeps an undeclared value of that name
};

struct pq_db_step {
    pqdb_schema_step told;
    enum pq_db_need need;
    const struct pq_db_shape *shape;  // before: of the rows to be asked; NULL: none
    uint32_t column;                  // in its newest type
    bool is_nested;                   // below that column
    const struct pq_entry *entry;     // now, or NULL
    struct pq_text field;             // now: its own name
};

struct pq_db_steps {
    struct pq_db_step *items;
    size_t count, room;
};

/// schema_apply.c: as pqdb_schema_apply; `building` is held.
pqdb_code pq_db_apply_text(pqdb_db *db, struct pq_text text, const pqdb_schema_options *options,
                           pqdb_schema_applied *applied, pqdb_error *err);

/// Everything is in `arena` and in the plans. Errors: PQDB_NO_MEMORY.
pqdb_code pq_db_steps_between(const struct pq_db_plan *before, const struct pq_db_plan *now,
                              struct pq_arena *arena, struct pq_db_steps *steps,
                              pqdb_error *err);

/// Look at the rows of `snapshot` and refuse the steps that they do not allow. Cost: a scan of one
/// column for each rule that becomes stricter. Errors: PQDB_IO, PQDB_CORRUPT, PQDB_NO_MEMORY.
pqdb_code pq_db_steps_check(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                            const pqdb_schema_options *options, struct pq_arena *arena,
                            struct pq_db_steps *steps, pqdb_error *err);

#endif
