/// db/schema_check.c: the rows that are there, asked whether a step may be taken.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "base/hash.h"
#include "db/schema_steps.h"
#include "table/scan.h"
#include "variant/variant.h"

enum { names_full = 1024 };

/// What is counted in one column.
struct census {
    struct pq_db_step *step;
    const struct pq_declared_field *field;  // whose rules hold from now on, or NULL
    uint64_t filled, missing, unfit, kept;
    struct pq_bytes hashes;  // of values, where they have to be unique
};

static bool obeys(const struct pq_declared_field *field, const struct pq_column *column,
                  size_t row) {
    if (column->type->kind == PQ_LIST) {
        for (uint32_t at = column->offsets[row]; at < column->offsets[row + 1]; at++) {
            if (pq_column_is_null(&column->children[0], at)) continue;
            if (!obeys(field, &column->children[0], at)) return false;
        }
        return true;
    }
    if (column->type->kind != PQ_TEXT) return false;
    return pq_declared_accepts(field, pq_column_text(column, row), NULL);
}

static pqdb_code note_hash(struct census *census, const struct pq_column *column, size_t row,
                           pqdb_error *err) {
    const struct pq_value value = pq_column_value(column, row);
    uint64_t hash;
    switch (value.kind) {
        case PQ_TEXT:
        case PQ_BINARY: hash = pq_hash(value.as.text.data, value.as.text.length); break;
        case PQ_DECIMAL: hash = pq_hash(&value.as.decimal, sizeof value.as.decimal); break;
        default: {
            const size_t width = pq_kind_width(value.kind);
            hash = pq_hash((const char *)column->values + row * width, width);
        }
    }
    return pq_bytes_append(&census->hashes, &hash, sizeof hash, err);
}

/// Does the undeclared part of a row hold this name?
static bool keeps(const struct pq_column *extra, size_t row, struct pq_text name) {
    const struct pq_variant_step step = {.name = name, .index = -1};
    const struct pq_value value = pq_column_value(extra, row);
    uint32_t id;
    struct pq_variant found;
    pq_variant_path_resolve(extra->names, &step, 1, &id);
    return pq_variant_find(&value.as.variant, &step, &id, 1, &found) &&
           !pq_variant_is_null(&found);
}

static pqdb_code count_rows(struct census *census, const struct pq_column *column,
                            pqdb_error *err) {
    const struct pq_db_step *step = census->step;
    for (size_t row = 0; row < column->count; row++) {
        if (pq_column_is_null(column, row)) {
            census->missing++;
            continue;
        }
        census->filled++;
        if (step->need == PQ_DB_NEED_UNUSED) {
            census->kept += keeps(column, row, step->field);
        } else if (step->need == PQ_DB_NEED_FITTING) {
            const bool known = census->field != NULL && !step->is_nested &&
                               census->field->vector_length == 0;
            census->unfit += !known || !obeys(census->field, column, row);
        } else if (step->need == PQ_DB_NEED_UNIQUE) {
            PQ_TRY(note_hash(census, column, row, err));
        }
    }
    return PQDB_OK;
}

static pqdb_code take_census(pqdb_db *db, struct pq_table_snapshot *rows, uint32_t column,
                             struct census *census, pqdb_error *err) {
    struct pq_arena arena;
    pq_arena_init(&arena, db->alloc);
    bool *wanted = pq_arena_calloc(&arena, rows->type->field_count, sizeof *wanted);
    if (wanted == NULL) {
        pq_arena_deinit(&arena);
        return pq_fail(err, PQDB_NO_MEMORY, "a check of rows");
    }
    wanted[column] = true;
    const struct pq_scan_options options = {.columns = wanted};
    struct pq_arena batch_arena;
    pq_arena_init(&batch_arena, db->alloc);
    struct pq_scan scan;
    pq_scan_open(&scan, rows, &options, db->alloc);
    pqdb_code code;
    for (;;) {
        struct pq_batch batch;
        pq_arena_reset(&batch_arena);
        PQ_GO(pq_scan_next(&scan, &batch_arena, &batch, err));
        if (batch.count == 0) break;
        PQ_GO(count_rows(census, &batch.columns[column], err));
    }
done:
    pq_scan_close(&scan);
    pq_arena_deinit(&batch_arena);
    pq_arena_deinit(&arena);
    return code;
}

static int by_value(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t count_doubles(struct pq_bytes *hashes) {
    uint64_t *values = (uint64_t *)(void *)hashes->data;
    const size_t count = hashes->length / sizeof *values;
    uint64_t doubles = 0;
    if (count > 1) qsort(values, count, sizeof *values, by_value);
    for (size_t i = 1; i < count; i++) doubles += values[i] == values[i - 1];
    return doubles;
}

static bool may_drop(const pqdb_schema_options *options, const char *name) {
    for (size_t i = 0; i < options->allow_drop_count; i++) {
        if (strcmp(options->allow_drop[i], name) == 0) return true;
    }
    return false;
}

__attribute__((format(printf, 4, 5))) static pqdb_code refuse(struct pq_arena *arena,
                                                              struct pq_db_step *step,
                                                              const char *remedy,
                                                              const char *format, ...) {
    char room[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(room, sizeof room, format, arguments);
    va_end(arguments);
    const struct pq_text reason = pq_arena_copy(arena, pq_text_of(room));
    const struct pq_text what = pq_arena_copy(arena, pq_text_of(remedy));
    if (reason.data == NULL || what.data == NULL) return PQDB_NO_MEMORY;
    step->told.is_refused = true;
    step->told.reason = reason.data;
    step->told.remedy = what.data;
    return PQDB_OK;
}

static const char *rows_text(uint64_t count, char room[40]) {
    snprintf(room, 40, "%" PRIu64 " row%s", count, count == 1 ? "" : "s");
    return room;
}

static pqdb_code judge_loss(const pqdb_schema_options *options, uint64_t rows,
                            struct pq_arena *arena, struct pq_db_step *step) {
    char room[40], remedy[192];
    if (rows == 0 || may_drop(options, step->told.name)) return PQDB_OK;
    const bool is_field = strcmp(step->told.kind, "field") == 0;
    snprintf(remedy, sizeof remedy, "keep it, or say --allow-drop %.128s", step->told.name);
    return refuse(arena, step, remedy, is_field ? "%s would lose it" : "%s would be lost",
                  rows_text(rows, room));
}

/// What the census says of the step.
static pqdb_code judge(const pqdb_schema_options *options, struct census *census,
                       struct pq_arena *arena) {
    struct pq_db_step *step = census->step;
    char room[40];
    switch (step->need) {
        case PQ_DB_NEED_EMPTY:
        case PQ_DB_NEED_NOTHING_KEPT: return judge_loss(options, census->filled, arena, step);
        case PQ_DB_NEED_FILLED:
            if (census->missing == 0) return PQDB_OK;
            return refuse(arena, step, "declare it without !, fill it with update, then require it",
                          "%s lack%s it", rows_text(census->missing, room),
                          census->missing == 1 ? "s" : "");
        case PQ_DB_NEED_FITTING:
            if (census->unfit == 0) return PQDB_OK;
            return refuse(arena, step, "correct them with update first",
                          "%s may break the new rule", rows_text(census->unfit, room));
        case PQ_DB_NEED_UNIQUE: {
            const uint64_t doubles = count_doubles(&census->hashes);
            if (doubles == 0) return PQDB_OK;
            return refuse(arena, step, "give each row a value of its own first",
                          "%s ha%s a value that another one has", rows_text(doubles, room),
                          doubles == 1 ? "s" : "ve");
        }
        case PQ_DB_NEED_UNUSED:
            if (census->kept == 0) return PQDB_OK;
            return refuse(arena, step, "rename what they keep with update ($rename), or take "
                          "another name", "%s keep%s an undeclared value of this name",
                          rows_text(census->kept, room), census->kept == 1 ? "s" : "");
        case PQ_DB_NEED_NOTHING: break;
    }
    return PQDB_OK;
}

struct asked {
    pqdb_db *db;
    struct pq_db_table *table;
    struct pq_table_snapshot *rows;
    const pqdb_schema_options *options;
    struct pq_arena *arena;
};

static pqdb_code check_step(const struct asked *asked, struct pq_db_step *step, pqdb_error *err) {
    pqdb_db *db = asked->db;
    const struct pq_db_table *table = asked->table;
    struct pq_table_snapshot *rows = asked->rows;
    struct census census = {.step = step, .filled = rows->rows, .missing = rows->rows};
    const bool adds = strcmp(step->told.action, "add") == 0;
    const bool is_field = strcmp(step->told.kind, "field") == 0;
    uint32_t column = step->column;
    if (step->need == PQ_DB_NEED_UNUSED) {
        // A name that no row ever used needs no look, as long as the list has taken in all names.
        const bool has_all = pq_variant_names_count(table->names) < names_full;
        if (has_all && pq_variant_names_find(table->names, step->field) == UINT32_MAX) {
            return PQDB_OK;
        }
        column = rows->type->field_count - 1;
    }
    if (step->entry != NULL) census.field = pq_entry_find(step->entry, step->field);
    // What is nested is not looked into: the rows that may have it count.
    const bool looks = is_field && !step->is_nested && rows->rows > 0 &&
                       (!adds || step->need == PQ_DB_NEED_UNUSED);
    pq_bytes_init(&census.hashes, db->alloc);
    pqdb_code code = PQDB_OK;
    if (looks || (step->need == PQ_DB_NEED_FITTING && rows->rows > 0)) {
        census.filled = census.missing = 0;
        code = take_census(db, rows, column, &census, err);
    }
    if (code == PQDB_OK) code = judge(asked->options, &census, asked->arena);
    pq_bytes_deinit(&census.hashes);
    return code;
}

pqdb_code pq_db_steps_check(pqdb_db *db, const struct pq_db_snapshot *snapshot,
                            const pqdb_schema_options *options, struct pq_arena *arena,
                            struct pq_db_steps *steps, pqdb_error *err) {
    for (size_t i = 0; i < steps->count; i++) {
        struct pq_db_step *step = &steps->items[i];
        step->told.is_refused = false;
        if (step->need == PQ_DB_NEED_NOTHING || step->shape == NULL) continue;
        struct pq_db_table *table = pq_db_snapshot_by_id(snapshot, step->shape->id);
        struct pq_table_snapshot *rows =
            table == NULL ? NULL : pq_db_snapshot_rows(snapshot, table);
        if (rows == NULL) continue;
        const bool is_kept = snapshot->facts[table->position].kept;
        if (step->need == PQ_DB_NEED_NOTHING_KEPT && !is_kept) continue;
        const struct asked asked = {db, table, rows, options, arena};
        const pqdb_code code = check_step(&asked, step, err);
        if (code == PQDB_NO_MEMORY) return pq_fail(err, code, "a check of rows");
        PQ_TRY(code);
    }
    return PQDB_OK;
}
