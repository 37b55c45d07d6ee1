/// db/check_shapes.c: can a damaged _state/tables.json be done without? Then the ids and columns of
/// all tables are those that a new database with this schema would have: so they were never
/// changed, and an open writes the file anew. The root, each data file and each commit of the log
/// is asked whether it knows them otherwise.
#include <string.h>

#include "base/fail.h"
#include "changelog/log.h"
#include "db/check_internal.h"
#include "db/schema_change.h"
#include "parquet/reader.h"
#include "table/data_file.h"
#include "table/shred.h"

/// Where a carried part says which shape its rows have (docs/format.md, Part).
enum { part_schema_offset = 12 };

static const struct pq_field *field_with(const struct pq_type *type, int32_t id) {
    for (size_t i = 0; i < type->field_count; i++) {
        if (type->fields[i].id == id) return &type->fields[i];
    }
    return NULL;
}

/// Every column of the file is one of the type's, by id and name, or of a path that is shredded.
static bool has_columns(const struct pq_type *type, const struct pq_type *stored) {
    for (size_t i = 0; i < stored->field_count; i++) {
        const struct pq_field *there = &stored->fields[i];
        if (there->id >= PQ_SHRED_FIELD_ID) continue;
        const struct pq_field *here = field_with(type, there->id);
        if (here == NULL || !pq_text_equal(here->name, there->name)) return false;
        if (here->type.kind == PQ_OBJECT && there->type.kind == PQ_OBJECT &&
            !has_columns(&here->type, &there->type)) {
            return false;
        }
    }
    return true;
}

static pqdb_code compare_file(struct pq_db_check *check, const struct pq_type *type,
                              const struct pq_root_file *named, bool *fits, pqdb_error *err) {
    const struct pq_data_file_options options = {
        .store = check->store, .path = named->path, .bytes = named->bytes, .rows = named->rows,
        .type = type, .read_only = true, .alloc = check->alloc};
    struct pq_data_file *file;
    const struct pq_parquet_file *reader;
    PQ_TRY(pq_data_file_create(&options, &file, err));
    const pqdb_code code = pq_data_file_reader(file, &reader, err);
    if (code == PQDB_OK) *fits = has_columns(type, pq_parquet_type(reader));
    pq_data_file_unref(file);
    return code;
}

static bool is_in(struct pq_text path, struct pq_text directory) {
    return path.length > directory.length && path.data[directory.length] == '/' &&
           memcmp(path.data, directory.data, directory.length) == 0;
}

static uint32_t schema_of(struct pq_text part) {
    uint32_t id = 0;
    memcpy(&id, part.data + part_schema_offset, sizeof id);
    return id;
}

static pqdb_code compare_table(struct pq_db_check *check, const struct pq_db_plan *plan,
                               const struct pq_root_table *table, bool *fits, pqdb_error *err) {
    const struct pq_db_shape *shape = pq_db_shape_find(plan->shapes, table->id);
    *fits = shape != NULL && shape->type_count == 1 && pq_text_equal(shape->name, table->name) &&
            (table->carried.length <= part_schema_offset + 4 || schema_of(table->carried) == 0);
    for (size_t i = 0; *fits && i < table->file_count; i++) {
        *fits = is_in(table->files[i].path, shape->directory);
        if (*fits) PQ_TRY(compare_file(check, &shape->types[0], &table->files[i], fits, err));
    }
    return PQDB_OK;
}

static pqdb_code pass(void *ctx, const struct pq_log_record *record, pqdb_error *err) {
    (void)ctx, (void)record, (void)err;
    return PQDB_OK;
}

static pqdb_code walk_log(const struct pq_db_plan *plan, struct pq_log *log, bool *fits,
                          pqdb_error *err) {
    const struct pq_log_visitor nothing = {.schemas = pq_db_log_counts(), .visit = pass};
    struct pq_log_reader *reader;
    PQ_TRY(pq_log_replay(log, &nothing, err));
    PQ_TRY(pq_log_reader_open(log, pq_log_first_version(log), NULL, &reader, err));
    const struct pq_log_record *record = NULL;
    pqdb_code code = pq_log_reader_next(reader, &record, err);
    while (code == PQDB_OK && *fits && record != NULL) {
        for (size_t i = 0; i < record->rows_count; i++) {
            const struct pq_log_rows *rows = &record->rows[i];
            *fits = *fits && rows->schema_id == 0 &&
                    pq_db_shape_find(plan->shapes, rows->collection) != NULL;
        }
        if (record->kind == PQ_LOG_SCHEMA) *fits = false;
        code = pq_log_reader_next(reader, &record, err);
    }
    pq_log_reader_close(reader);
    return code;
}

static pqdb_code compare_log(struct pq_db_check *check, const struct pq_db_plan *plan, bool *fits,
                             pqdb_error *err) {
    const struct pq_log_options options = {
        .store = check->store, .directory = "log", .env = check->with->env, .alloc = check->alloc,
        .from = check->root.position, .read_only = true};
    struct pq_log *log = NULL;
    pqdb_code code = pq_log_open(&options, &log, err);
    if (code == PQDB_OK) code = walk_log(plan, log, fits, err);
    pq_log_close(log, NULL);
    return code;
}

static pqdb_code compare(struct pq_db_check *check, const struct pq_db_plan *plan, bool *fits,
                         pqdb_error *err) {
    *fits = true;
    for (size_t i = 0; *fits && i < check->root.table_count; i++) {
        PQ_TRY(compare_table(check, plan, &check->root.tables[i], fits, err));
    }
    return *fits ? compare_log(check, plan, fits, err) : PQDB_OK;
}

pqdb_code pq_db_check_shapes_follow(struct pq_db_check *check, bool *follow, pqdb_error *err) {
    struct pq_problems problems;
    struct pq_db_plan *plan = NULL;
    pqdb_error why = {0};
    *follow = false;
    if (check->schema == NULL) return PQDB_OK;
    pq_problems_init(&problems, &check->arena);
    pqdb_code code = pq_db_plan_from(NULL, check->schema->source, check->alloc, &problems, &plan,
                                     &why);
    if (code == PQDB_OK) code = pq_problems_code(&problems, &why);
    bool fits = false;
    if (code == PQDB_OK) code = compare(check, plan, &fits, &why);
    *follow = code == PQDB_OK && fits;
    if (*follow) {
        check->plan = plan;
        check->shapes = *plan->shapes;
    } else {
        pq_db_plan_destroy(check->alloc, plan);
    }
    // What is damaged besides tells nothing; it is found by itself.
    if (code == PQDB_OK || pq_db_is_damage(code)) return PQDB_OK;
    if (err != NULL) *err = why;
    return code;
}
