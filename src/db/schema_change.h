/// db/schema_change.h: views that come and go while the database is open.
#ifndef PQ_DB_SCHEMA_CHANGE_H
#define PQ_DB_SCHEMA_CHANGE_H

#include "db/db_internal.h"
#include "db/shapes.h"

/// A schema and the plan of its views. Tables point into it, so it stays until close.
struct pq_db_plan {
    struct pq_db_plan *older;
    struct pq_schema *schema;  // owned reference
    struct pq_views *views;    // owned
    const uint32_t *ids;       // of the tables, by entry; lives as long as the plan
    const struct pq_db_shapes *shapes;  // as they are under this plan
    struct pq_db_follow *follows;       // how they came to be, by entry
};

/// Parse and plan the text for the tables that there are `before` (NULL: a new database); new ones
/// get the next ids. Mistakes go into `problems` and are no error of this call.
pqdb_code pq_db_plan_from(const struct pq_db_shapes *before, struct pq_text text,
                          const struct pq_alloc *alloc, struct pq_problems *problems,
                          struct pq_db_plan **plan, pqdb_error *err);
/// The same from the newest plan.
pqdb_code pq_db_plan_text(pqdb_db *db, struct pq_text text, struct pq_problems *problems,
                          struct pq_db_plan **plan, pqdb_error *err);
/// Leader: it is the database's from now on.
void pq_db_use_plan(pqdb_db *db, struct pq_db_plan *plan);
void pq_db_plan_destroy(const struct pq_alloc *alloc, struct pq_db_plan *plan);  // NULL allowed
/// The plan's text and shapes on disk in place of the newest plan's. After an error the old text is
/// there again, as far as the disk allows.
pqdb_code pq_db_write_plan(pqdb_db *db, const struct pq_db_plan *plan, pqdb_error *err);

/// What the bytes of the log mean by the newest schema; and for readers that want no rows.
struct pq_log_schemas pq_db_log_schemas(pqdb_db *db);
struct pq_log_schemas pq_db_log_counts(void);
/// The type of a table's rows, that in which a part of the log has them (NULL: a later one than the
/// table knows), and what parts that are written now say.
const struct pq_type *pq_db_rows_type(const struct pq_db_table *table);
const struct pq_type *pq_db_log_type(const struct pq_db_table *table, uint32_t schema_id);
uint32_t pq_db_schema_id(const struct pq_db_table *table);
/// Is it a view whose rows change as a matter of course, so that they die by their ids?
bool pq_db_marks_ids(const struct pq_db_table *table);
/// Do rows of the one read as rows of the other, under the same rules?
bool pq_db_is_same_entry(const struct pq_entry *a, const struct pq_entry *b);

/// retention.c: delete what is older than `$retention`, as far as it is there now. No lock held.
/// How long to wait for the next look, in ns (UINT64_MAX: nothing is ever too old). Does the view,
/// or one below it, keep results of rows that went so? Then it is not what its definition gives.
pqdb_code pq_db_retain(pqdb_db *db, pqdb_error *err);
uint64_t pq_db_retention_pause(pqdb_db *db);
bool pq_db_keeps_dropped(const struct pq_db_table *table);

/// Leader: a SCHEMA record. What was done, and to what.
pqdb_code pq_db_log_schema(pqdb_db *db, const char *verb, const struct pq_text *names,
                           size_t count, pqdb_error *err);

/// schema_steps.c: does a text that was edited by hand lose nothing? Errors: PQDB_INVALID.
pqdb_code pq_db_check_lossless(const struct pq_db_shapes *before, const struct pq_db_plan *plan,
                               pqdb_error *err);

/// open.c: the tables of a plan, of which nothing is made yet; a table's rows, names (where it has
/// none yet) and queries; and those of all tables of the newest list, with a circuit for them.
pqdb_code pq_db_list_tables(pqdb_db *db, const struct pq_db_plan *plan, uint32_t generation,
                            struct pq_db_tables **out, pqdb_error *err);
/// shreds.c: which paths the files of a collection keep as columns (`$shred`).
pqdb_code pq_db_make_shreds(pqdb_db *db, struct pq_db_table *table, pqdb_error *err);
pqdb_code pq_db_make_table(pqdb_db *db, struct pq_db_table *table, pqdb_error *err);
pqdb_code pq_db_make_tables(pqdb_db *db, pqdb_error *err);
/// load.c: a table's contents from the root; of a view with another definition they are `shown`
/// until it is built. The table of this id in the root, or NULL. And would the definitions discard
/// what the root has of views, which nothing could make again (PQDB_INVALID)?
pqdb_code pq_db_load_table(pqdb_db *db, const struct pq_root *root,
                           const struct pq_root_table *named, pqdb_error *err);
const struct pq_root_table *pq_db_named_in(const struct pq_root *root, uint32_t id);
pqdb_code pq_db_check_discards(const pqdb_db *db, const struct pq_root *root, pqdb_error *err);
/// recover.c: a view's node, with the state the root names. What cannot be used of a view waits to
/// be built.
pqdb_code pq_db_open_view(pqdb_db *db, const struct pq_root *root, const struct pq_view *view,
                          pqdb_error *err);
/// reload.c: leader, `refreshing`, the gate closed, the last root at the last commit: the database
/// goes over to the plan. Tables and views that are the same keep what they have. After an error it
/// has to be opened again.
pqdb_code pq_db_reload(pqdb_db *db, struct pq_db_plan *plan, pqdb_error *err);

/// garbage.c: every file below the directory of a view that is no more; those that a reader holds,
/// later (a crash in between: at the next open). `refreshing` is held.
void pq_db_remove_files(pqdb_db *db, const char *directory);
/// The directories of views and collections that are in the schema no longer. `refreshing` is held,
/// or nobody else is there.
pqdb_code pq_db_remove_dropped(pqdb_db *db, struct pq_arena *arena, pqdb_error *err);
/// At open: temporary files that were not yet renamed.
pqdb_code pq_db_remove_unfinished(pqdb_db *db, struct pq_arena *arena, pqdb_error *err);

#endif
