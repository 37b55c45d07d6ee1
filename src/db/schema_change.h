/// db/schema_change.h: views that come and go while the database is open.
#ifndef PQ_DB_SCHEMA_CHANGE_H
#define PQ_DB_SCHEMA_CHANGE_H

#include "db/db_internal.h"

/// A schema and the plan of its views. Tables point into it, so it stays until close.
struct pq_db_plan {
    struct pq_db_plan *older;
    struct pq_schema *schema;  // owned reference
    struct pq_views *views;    // owned
    const uint32_t *ids;       // of the tables, by entry; lives as long as the plan
};

/// Parse and plan the text for tables with the ids that they have; new views get the next ones.
/// Mistakes go into `problems` and are no error of this call.
pqdb_code pq_db_plan_text(pqdb_db *db, struct pq_text text, struct pq_problems *problems,
                          struct pq_db_plan **plan, pqdb_error *err);
/// Leader: it is the database's from now on.
void pq_db_use_plan(pqdb_db *db, struct pq_db_plan *plan);
void pq_db_plan_destroy(pqdb_db *db, struct pq_db_plan *plan);  // NULL is allowed

/// open.c: a table's directory, rows, names and queries.
pqdb_code pq_db_make_table(pqdb_db *db, struct pq_db_table *table, pqdb_error *err);

/// garbage.c: every file below the directory of a view that is no more; those that a reader holds,
/// later (a crash in between: at the next open). `refreshing` is held.
void pq_db_remove_files(pqdb_db *db, const char *directory);
/// At open: the directories of views that are not in the schema.
pqdb_code pq_db_remove_dropped(pqdb_db *db, struct pq_arena *arena, pqdb_error *err);

#endif
