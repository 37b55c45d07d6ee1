/// flow/op_expand.c: see op_expand.h. Which rows are affected is asked of one side only: a row that
/// differs between the sides is among the changes itself, and so are its links, old and new.
#include "flow/op_expand.h"

#include "batch/builder.h"
#include "flow/op_row.h"

enum { path_max = 64 };

static pqdb_code no_memory(size_t rows, pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "expanding %zu rows", rows);
}

// ---- what comes out ---------------------------------------------------------------------------

/// What stands at the path below each row; null where something on the way is.
static pqdb_code pluck(struct pq_arena *arena, struct pq_column column, const uint32_t *path,
                       size_t length, struct pq_column *out, pqdb_error *err) {
    while (length > 0 && column.layout == PQ_MEMBERS) {
        const uint8_t *outer = column.valid;
        const size_t count = column.count;
        column = column.children[*path++];
        length--;
        if (outer == NULL) continue;
        uint8_t *valid = pq_arena_alloc(arena, count);
        if (valid == NULL) return no_memory(count, err);
        for (size_t row = 0; row < count; row++) {
            const uint8_t own = column.valid == NULL ? PQ_ROW_VALID : column.valid[row];
            valid[row] = outer[row] == PQ_ROW_NULL ? PQ_ROW_NULL : own;
        }
        column.valid = valid;
    }
    *out = column;
    if (length == 0) return PQDB_OK;
    pq_assert(column.layout == PQ_ROWS);
    struct pq_column *elements = pq_arena_alloc(arena, sizeof *elements);
    if (elements == NULL) return no_memory(column.count, err);
    PQ_TRY(pluck(arena, column.children[0], path, length, elements, err));
    out->children = elements;
    return PQDB_OK;
}

/// Elements of plucked lists have types of their own, all the way down.
static pqdb_code retype(struct pq_arena *arena, struct pq_column *column,
                        const struct pq_type *type, pqdb_error *err) {
    column->type = type;
    if (type->kind != PQ_LIST || column->layout != PQ_ROWS) return PQDB_OK;
    struct pq_column *elements = pq_arena_alloc(arena, sizeof *elements);
    if (elements == NULL) return no_memory(column->count, err);
    *elements = column->children[0];
    column->children = elements;
    return retype(arena, elements, &type->fields[0].type, err);
}

static pqdb_code expand_outputs(const struct expand_run *run, const struct expand_level *level,
                              struct pq_batch *out, pqdb_error *err) {
    const struct pq_expand_spec *spec = run->spec;
    const uint32_t count = spec->output->field_count;
    struct pq_column *whole =
        pq_arena_calloc(run->arena, spec->object.type->field_count, sizeof *whole);
    struct pq_column *columns = pq_arena_calloc(run->arena, count, sizeof *columns);
    if (whole == NULL || columns == NULL) return no_memory(level->count, err);
    PQ_TRY(expand_object(run, &spec->object, level, whole, err));
    for (uint32_t k = 0; k < count; k++) {
        const struct pq_expand_output *output = &spec->outputs[k];
        PQ_TRY(pluck(run->arena, whole[output->path[0]], output->path + 1, output->length - 1,
                     &columns[k], err));
        PQ_TRY(retype(run->arena, &columns[k], &spec->output->fields[k].type, err));
    }
    *out = (struct pq_batch){.type = spec->output, .count = level->count, .columns = columns};
    return PQDB_OK;
}

static pqdb_code filter_rows(const struct expand_run *run, struct pq_batch *rows,
                             pqdb_error *err) {
    if (run->spec->filter == NULL || rows->count == 0) return PQDB_OK;
    struct pq_selection selection;
    PQ_TRY(pq_program_select(run->spec->filter, rows, run->arena, &selection, err));
    if (selection.rows == NULL) return PQDB_OK;
    const struct pq_batch all = *rows;
    struct pq_column *columns =
        pq_arena_calloc(run->arena, all.type->field_count, sizeof *columns);
    int64_t *weights = pq_arena_alloc(run->arena, selection.count * sizeof *weights);
    if (columns == NULL || weights == NULL) return no_memory(all.count, err);
    for (uint32_t k = 0; k < all.type->field_count; k++) {
        columns[k] = (struct pq_column){.type = &all.type->fields[k].type};
        if (all.columns[k].count != all.count) continue;  // nobody reads it
        PQ_TRY(pq_column_gather(&all.columns[k], selection.rows, selection.count, run->arena,
                                &columns[k], err));
    }
    for (size_t i = 0; i < selection.count; i++) {
        weights[i] = weight_at(all.weights, selection.rows[i]);
    }
    rows->columns = columns;
    rows->count = selection.count;
    rows->weights = weights;
    return PQDB_OK;
}

void expand_run_init(struct expand_run *run, const struct pq_expand_spec *spec,
                     const struct pq_lookup *lookup, struct pq_arena *arena) {
    *run = (struct expand_run){.spec = spec, .lookup = lookup, .arena = arena};
}

pqdb_code expand_side(const struct expand_run *run, enum expand_side side,
                      const struct pq_batch *rows, struct pq_batch *out, pqdb_error *err) {
    struct pq_batch kept = *rows;
    PQ_TRY(filter_rows(run, &kept, err));
    const struct expand_level level = {
        .columns = kept.columns,
        .count = kept.count,
        .side = run->change_count == 0 ? expand_shown_side(run) : side,
    };
    PQ_TRY(expand_outputs(run, &level, out, err));
    out->weights = kept.weights;
    return PQDB_OK;
}

pqdb_code pq_expand_rows(const struct pq_expand_spec *spec, const struct pq_lookup *lookup,
                         const struct pq_batch *rows, struct pq_arena *arena,
                         struct pq_batch *out, pqdb_error *err) {
    struct expand_run run;
    expand_run_init(&run, spec, lookup, arena);
    return expand_side(&run, expand_shown_side(&run), rows, out, err);
}

/// Columns of the source come before the parts, of which FROM has two.
static uint32_t source_columns(const struct pq_expand_spec *spec) {
    uint32_t count = spec->object.type->field_count;
    for (size_t k = 0; k < spec->object.part_count; k++) {
        count -= spec->object.parts[k].kind == PQ_EXPAND_FROM ? 2 : 1;
    }
    return count;
}

void pq_expand_reads(const struct pq_expand_spec *spec, const bool *outputs, bool *source) {
    const uint32_t count = source_columns(spec);
    for (uint32_t k = 0; k < spec->output->field_count; k++) {
        const uint32_t column = spec->outputs[k].path[0];
        if (outputs[k] && column < count) source[column] = true;
    }
    for (size_t k = 0; k < spec->object.part_count; k++) {
        const struct pq_expand_part *part = &spec->object.parts[k];
        if (part->kind != PQ_EXPAND_FROM) source[part->member] = true;
    }
    source[PQ_ID_COLUMN] = true;
}

// ---- which rows are affected ------------------------------------------------------------------

/// Affected rows of the source. One look-up by link usually finds all of them, so it asks for whole
/// rows; where several do, or links lead here, the rows are asked for by their ids.
struct source_rows {
    const struct expand_step *step;
    struct pq_batch rows;  // of the last look-up
    size_t lookups;        // that found some
};

/// An object of a table's rows, on the way to the links inside it.
struct place {
    const struct pq_expand_object *object;
    uint32_t table;
    const uint32_t *columns;  // of the table, that are the object's members; NULL: all of them
    uint32_t path[path_max];  // from the table's columns to the object
    size_t length;
    struct source_rows *source;  // NULL: rows of a linked table
};

static pqdb_code add_ids(const struct pq_column *ids, size_t count, struct text_index *out,
                         pqdb_error *err) {
    uint32_t unused;
    for (size_t row = 0; row < count; row++) {
        PQ_TRY(text_index_add(out, pq_column_text(ids, row), &unused, err));
    }
    return PQDB_OK;
}

static pqdb_code affected_in(const struct expand_run *run, const struct place *place,
                             struct text_index *out, pqdb_error *err);

static struct place below(const struct place *place, const struct pq_expand_part *part) {
    if (part->kind != PQ_EXPAND_INSIDE) {
        return (struct place){
            .object = &part->below, .table = part->table, .columns = part->columns};
    }
    struct place inner = *place;
    const bool is_column = place->length == 0 && place->columns != NULL;
    pq_assert(place->length < path_max);
    inner.object = &part->below;
    inner.path[inner.length++] = is_column ? place->columns[part->member] : part->member;
    return inner;
}

/// The rows that hold a link to one of the ids.
static pqdb_code linking_rows(const struct expand_run *run, const struct place *place,
                              const struct pq_expand_part *part, const struct text_index *ids,
                              struct text_index *out, pqdb_error *err) {
    static const uint32_t id_column = PQ_ID_COLUMN;
    const struct place at = below(place, &(struct pq_expand_part){.kind = PQ_EXPAND_INSIDE,
                                                                  .member = part->member});
    const struct pq_link_path link = {at.path, at.length};
    struct source_rows *source = place->source;
    struct pq_lookup_want want = {
        .table = place->table, .link = &link, .keys = ids->texts, .key_count = ids->count,
        .columns = &id_column, .column_count = 1};
    if (source != NULL && source->lookups == 0) {
        want.columns = source->step->columns;
        want.column_count = source->step->column_count;
    }
    struct pq_batch rows;
    PQ_TRY(run->lookup->rows_at(run->lookup->ctx, &want, run->arena, &rows, err));
    if (rows.count == 0) return PQDB_OK;
    if (source != NULL && source->lookups++ == 0) source->rows = rows;
    return add_ids(&rows.columns[PQ_ID_COLUMN], rows.count, out, err);
}

static pqdb_code add_links(const struct pq_column *links, size_t count, struct text_index *out,
                           pqdb_error *err) {
    uint32_t unused;
    for (size_t row = 0; row < count; row++) {
        const struct expand_texts texts = expand_link_texts(links, row);
        for (size_t i = texts.from; i < texts.until; i++) {
            if (pq_column_is_null(texts.column, i)) continue;
            PQ_TRY(text_index_add(out, pq_column_text(texts.column, i), &unused, err));
        }
    }
    return PQDB_OK;
}

/// The rows that the changed or affected ones link to, or did.
static pqdb_code linked_rows(const struct expand_run *run, const struct place *place,
                             const struct pq_expand_part *part, const struct text_index *ids,
                             struct text_index *out, pqdb_error *err) {
    if (place->source != NULL) place->source->lookups += 2;  // only their ids are known
    const struct expand_changes *changes = expand_changes_of(run, part->table);
    if (changes != NULL) {
        PQ_TRY(add_links(&changes->rows.columns[part->link], changes->rows.count, out, err));
    }
    const uint32_t columns[2] = {PQ_ID_COLUMN, part->link};
    const struct pq_lookup_want want = {
        .table = part->table, .keys = ids->texts, .key_count = ids->count, .columns = columns,
        .column_count = part->link == PQ_ID_COLUMN ? 1 : 2};
    struct pq_batch rows;
    PQ_TRY(run->lookup->rows_at(run->lookup->ctx, &want, run->arena, &rows, err));
    if (rows.count == 0) return PQDB_OK;
    return add_links(&rows.columns[part->link], rows.count, out, err);
}

/// Ids of rows of place->table whose parts may differ between the sides.
static pqdb_code affected_in(const struct expand_run *run, const struct place *place,
                             struct text_index *out, pqdb_error *err) {
    for (size_t k = 0; k < place->object->part_count; k++) {
        const struct pq_expand_part *part = &place->object->parts[k];
        const struct place inner = below(place, part);
        if (part->kind == PQ_EXPAND_INSIDE) {
            PQ_TRY(affected_in(run, &inner, out, err));
            continue;
        }
        struct text_index ids = {.arena = run->arena};
        const struct expand_changes *changes = expand_changes_of(run, part->table);
        if (changes != NULL) {
            PQ_TRY(add_ids(&changes->rows.columns[PQ_ID_COLUMN], changes->rows.count, &ids, err));
        }
        PQ_TRY(affected_in(run, &inner, &ids, err));
        if (ids.count == 0) continue;
        PQ_TRY(part->kind == PQ_EXPAND_TO ? linking_rows(run, place, part, &ids, out, err)
                                          : linked_rows(run, place, part, &ids, out, err));
    }
    return PQDB_OK;
}

/// Of rows found by link those that did not change themselves.
static pqdb_code keep_unchanged(const struct expand_run *run, const struct text_index *changed,
                                const struct source_rows *source, struct pq_batch *rows,
                                pqdb_error *err) {
    const struct pq_batch *found = &source->rows;
    uint32_t *kept = pq_arena_alloc(run->arena, found->count * sizeof *kept);
    struct pq_column *columns =
        pq_arena_calloc(run->arena, found->type->field_count, sizeof *columns);
    if (kept == NULL || columns == NULL) return no_memory(found->count, err);
    size_t count = 0;
    for (uint32_t row = 0; row < found->count; row++) {
        const struct pq_text id = pq_column_text(&found->columns[PQ_ID_COLUMN], row);
        if (text_index_find(changed, id) == TEXT_INDEX_NONE) kept[count++] = row;
    }
    *rows = *found;
    if (count == found->count) return PQDB_OK;
    for (size_t k = 0; k < source->step->column_count; k++) {
        const uint32_t at = source->step->columns[k];
        PQ_TRY(pq_column_gather(&found->columns[at], kept, count, run->arena, &columns[at], err));
    }
    rows->columns = columns;
    rows->count = count;
    return PQDB_OK;
}

/// Rows of the source that did not change, but what they link to did.
static pqdb_code affected_rows(const struct expand_run *run, const struct expand_step *step,
                               const struct pq_batch *changed, struct pq_batch *rows,
                               pqdb_error *err) {
    struct text_index ids = {.arena = run->arena}, own = {.arena = run->arena};
    struct source_rows source = {.step = step};
    const struct place place = {
        .object = &step->spec->object, .table = step->source, .source = &source};
    *rows = (struct pq_batch){.count = 0};
    if (run->change_count == 0) return PQDB_OK;
    PQ_TRY(affected_in(run, &place, &ids, err));
    if (ids.count == 0) return PQDB_OK;
    if (changed->count > 0) {
        PQ_TRY(add_ids(&changed->columns[PQ_ID_COLUMN], changed->count, &own, err));
    }
    if (source.lookups == 1) return keep_unchanged(run, &own, &source, rows, err);
    struct pq_text *keys = pq_arena_alloc(run->arena, ids.count * sizeof *keys);
    if (keys == NULL) return no_memory(ids.count, err);
    size_t key_count = 0;
    for (uint32_t id = 0; id < ids.count; id++) {
        if (text_index_find(&own, ids.texts[id]) == TEXT_INDEX_NONE) {
            keys[key_count++] = ids.texts[id];
        }
    }
    const struct pq_lookup_want want = {
        .table = step->source, .keys = keys, .key_count = key_count, .columns = step->columns,
        .column_count = step->column_count};
    if (key_count == 0) return PQDB_OK;
    return run->lookup->rows_at(run->lookup->ctx, &want, run->arena, rows, err);
}

// ---- a step -----------------------------------------------------------------------------------

static bool is_linked(const struct pq_expand_spec *spec, uint32_t table) {
    for (size_t i = 0; i < spec->table_count; i++) {
        if (spec->tables[i] == table) return true;
    }
    return false;
}

static pqdb_code find_changes(const struct expand_step *step, struct expand_run *run,
                              struct pq_batch *changed, pqdb_error *err) {
    run->changes = pq_arena_calloc(run->arena, step->delta_count, sizeof *run->changes);
    if (run->changes == NULL) return no_memory(step->delta_count, err);
    *changed = (struct pq_batch){.type = step->source_type};
    for (size_t i = 0; i < step->delta_count; i++) {
        const struct pq_delta *delta = &step->deltas[i];
        if (delta->rows->count == 0) continue;
        if (delta->table == step->source) {
            *changed = *delta->rows;
            PQ_TRY(cancel_pairs(changed, run->arena, err));
        }
        if (!is_linked(step->spec, delta->table)) continue;
        PQ_TRY(expand_changes_init(&run->changes[run->change_count], delta, run->arena, err));
        if (run->changes[run->change_count].rows.count > 0) run->change_count++;
    }
    return PQDB_OK;
}

/// The changed rows, then the affected ones taken back and put there again.
static pqdb_code join_rows(const struct expand_step *step, const struct expand_run *run,
                           const struct pq_batch *changed, const struct pq_batch *affected,
                           struct pq_batch *rows, pqdb_error *err) {
    *rows = *changed;
    if (affected->count == 0) return PQDB_OK;
    const size_t count = changed->count + 2 * affected->count;
    struct pq_column *columns =
        pq_arena_calloc(run->arena, step->source_type->field_count, sizeof *columns);
    int64_t *weights = pq_arena_alloc(run->arena, count * sizeof *weights);
    if (columns == NULL || weights == NULL) return no_memory(count, err);
    for (uint32_t k = 0; k < step->source_type->field_count; k++) {
        columns[k].type = &step->source_type->fields[k].type;
    }
    for (size_t k = 0; k < step->column_count; k++) {
        const uint32_t at = step->columns[k];
        struct pq_builder builder;
        PQ_TRY(pq_builder_init(&builder, columns[at].type, &run->arena->alloc, err));
        if (changed->count > 0) {
            PQ_TRY(pq_builder_append_rows(&builder, &changed->columns[at], 0, changed->count,
                                          err));
        }
        for (int side = 0; side < 2; side++) {
            PQ_TRY(pq_builder_append_rows(&builder, &affected->columns[at], 0, affected->count,
                                          err));
        }
        columns[at] = pq_builder_finish(&builder);
    }
    for (size_t i = 0; i < changed->count; i++) weights[i] = weight_at(changed->weights, i);
    for (size_t i = 0; i < affected->count; i++) {
        weights[changed->count + i] = -1;
        weights[changed->count + affected->count + i] = 1;
    }
    *rows = (struct pq_batch){
        .type = step->source_type, .count = count, .columns = columns, .weights = weights};
    return PQDB_OK;
}

pqdb_code expand_op_step(const struct expand_step *step, struct pq_arena *arena,
                         struct expand_run *run, struct pq_batch *out, pqdb_error *err) {
    struct pq_batch changed, affected, rows;
    uint8_t *sides = NULL;
    expand_run_init(run, step->spec, step->lookup, arena);
    *out = (struct pq_batch){.type = step->spec->output};
    PQ_TRY(find_changes(step, run, &changed, err));
    PQ_TRY(affected_rows(run, step, &changed, &affected, err));
    PQ_TRY(join_rows(step, run, &changed, &affected, &rows, err));
    PQ_TRY(filter_rows(run, &rows, err));
    if (rows.count == 0) return PQDB_OK;
    if (run->change_count > 0) {
        sides = pq_arena_alloc(arena, rows.count);
        if (sides == NULL) return no_memory(rows.count, err);
        for (size_t i = 0; i < rows.count; i++) {
            sides[i] = weight_at(rows.weights, i) < 0 ? EXPAND_BEFORE : EXPAND_AFTER;
        }
    }
    const struct expand_level level = {.columns = rows.columns, .count = rows.count,
                                       .sides = sides, .side = expand_shown_side(run)};
    PQ_TRY(expand_outputs(run, &level, out, err));
    out->weights = rows.weights;
    return PQDB_OK;
}
