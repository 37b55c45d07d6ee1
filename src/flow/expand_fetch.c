/// flow/expand_fetch.c: rows of a linked table as the look-up shows them, and behind them the
/// images of the other side that the step's delta has.
#include "batch/builder.h"
#include "flow/expand_internal.h"
#include "flow/op_row.h"
#include "variant/variant.h"

static pqdb_code no_memory(size_t rows, pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "expanding %zu rows", rows);
}

// ---- changes ----------------------------------------------------------------------------------

pqdb_code expand_changes_init(struct expand_changes *changes, const struct pq_delta *delta,
                              struct pq_arena *arena, pqdb_error *err) {
    *changes = (struct expand_changes){
        .table = delta->table, .rows = *delta->rows, .ids = {.arena = arena}};
    PQ_TRY(cancel_pairs(&changes->rows, arena, err));
    const struct pq_batch *rows = &changes->rows;
    for (int side = 0; side < 2; side++) {
        changes->images[side] = pq_arena_alloc(arena, rows->count * sizeof(uint32_t));
        if (changes->images[side] == NULL) return no_memory(rows->count, err);
    }
    for (uint32_t row = 0; row < rows->count; row++) {
        const uint32_t known = changes->ids.count;
        uint32_t id;
        PQ_TRY(text_index_add(&changes->ids, pq_column_text(&rows->columns[PQ_ID_COLUMN], row),
                              &id, err));
        if (id == known) {
            changes->images[EXPAND_BEFORE][id] = TEXT_INDEX_NONE;
            changes->images[EXPAND_AFTER][id] = TEXT_INDEX_NONE;
        }
        // Of several images on the way the first one taken back and the last one put there count.
        if (weight_at(rows->weights, row) > 0) {
            changes->images[EXPAND_AFTER][id] = row;
        } else if (changes->images[EXPAND_BEFORE][id] == TEXT_INDEX_NONE) {
            changes->images[EXPAND_BEFORE][id] = row;
        }
    }
    return PQDB_OK;
}

const struct expand_changes *expand_changes_of(const struct expand_run *run, uint32_t table) {
    for (size_t i = 0; i < run->change_count; i++) {
        if (run->changes[i].table == table) return &run->changes[i];
    }
    return NULL;
}

// ---- names ------------------------------------------------------------------------------------

/// Values written anew with one small list of names, which then goes in front of each of them.
static pqdb_code write_own(const struct pq_column *column, struct pq_variant_names *names,
                           struct pq_arena *arena, struct pq_builder *builder, pqdb_error *err) {
    struct pq_variant_encoder *encoder;
    struct pq_bytes values, metadata;
    size_t *ends = pq_arena_calloc(arena, column->count + 1, sizeof *ends);
    bool *own = pq_arena_calloc(arena, column->count + 1, sizeof *own);
    if (ends == NULL || own == NULL) return no_memory(column->count, err);
    PQ_TRY(pq_variant_encoder_create(names, &arena->alloc, &encoder, err));
    pq_bytes_init(&values, &arena->alloc);
    pq_bytes_init(&metadata, &arena->alloc);
    pqdb_code code = PQDB_OK;
    for (size_t row = 0; row < column->count; row++) {
        const struct pq_value value = pq_column_value(column, row);
        if (value.kind != PQ_NULL) {
            PQ_GO(pq_variant_rename(encoder, &value.as.variant, &values, &own[row], err));
        }
        ends[row + 1] = values.length;
    }
    PQ_GO(pq_variant_names_write(names, pq_variant_names_count(names), &metadata, err));
    const size_t shared = metadata.length;
    for (size_t row = 0; row < column->count; row++) {
        const uint8_t *value = values.data + ends[row];
        const size_t length = ends[row + 1] - ends[row];
        if (length == 0) {
            PQ_GO(pq_builder_append_null(builder, err));
        } else if (own[row]) {
            PQ_GO(pq_builder_append_own_names(builder, value, length, err));
        } else {
            metadata.length = shared;
            PQ_GO(pq_bytes_append(&metadata, value, length, err));
            PQ_GO(pq_builder_append_own_names(builder, metadata.data, metadata.length, err));
        }
    }
done:
    pq_variant_encoder_destroy(encoder);
    return code;
}

/// Every variant of the column brings its own names: its collection's list is not the view's.
static pqdb_code bring_names(const struct expand_run *run, struct pq_column *column,
                             pqdb_error *err) {
    struct pq_arena *arena = run->arena;
    if (names_count(column->type) == 0 || column->count == 0) return PQDB_OK;
    if (column->type->kind == PQ_VARIANT) {
        struct pq_variant_names *names;
        struct pq_builder builder;
        PQ_TRY(pq_builder_init(&builder, column->type, &arena->alloc, err));
        PQ_TRY(pq_variant_names_create(&arena->alloc, &names, err));
        const pqdb_code code = write_own(column, names, arena, &builder, err);
        pq_variant_names_unref(names);
        PQ_TRY(code);
        *column = pq_builder_finish(&builder);
        column->names = run->lookup->names;
        return PQDB_OK;
    }
    const uint32_t count = column->type->field_count;
    struct pq_column *children = pq_arena_alloc(arena, count * sizeof *children);
    if (children == NULL) return no_memory(column->count, err);
    for (uint32_t k = 0; k < count; k++) {
        children[k] = column->children[k];
        PQ_TRY(bring_names(run, &children[k], err));
    }
    column->children = children;
    return PQDB_OK;
}

// ---- fetching ---------------------------------------------------------------------------------

struct expand_texts expand_link_texts(const struct pq_column *links, size_t row) {
    if (pq_column_is_null(links, row)) return (struct expand_texts){links, 0, 0};
    if (links->layout != PQ_ROWS) return (struct expand_texts){links, row, row + 1};
    return (struct expand_texts){&links->children[0], links->offsets[row],
                                 links->offsets[row + 1]};
}

static bool links_to(const struct pq_column *links, size_t row, const struct text_index *keys) {
    const struct expand_texts texts = expand_link_texts(links, row);
    for (size_t i = texts.from; i < texts.until; i++) {
        if (pq_column_is_null(texts.column, i)) continue;
        if (text_index_find(keys, pq_column_text(texts.column, i)) != TEXT_INDEX_NONE) return true;
    }
    return false;
}

/// The images of the side that the look-up does not show, as far as they are asked for.
static pqdb_code choose_changed(const struct expand_run *run, const struct pq_expand_part *part,
                                const struct expand_keys *keys, uint32_t **chosen, size_t *count,
                                pqdb_error *err) {
    const struct expand_changes *changes = expand_changes_of(run, part->table);
    const enum expand_side other =
        expand_shown_side(run) == EXPAND_BEFORE ? EXPAND_AFTER : EXPAND_BEFORE;
    *count = 0;
    *chosen = NULL;
    if (changes == NULL) return PQDB_OK;
    struct text_index asked = {.arena = run->arena};
    uint32_t unused;
    for (size_t i = 0; i < keys->count; i++) {
        PQ_TRY(text_index_add(&asked, keys->texts[i], &unused, err));
    }
    uint32_t *rows = pq_arena_alloc(run->arena, changes->ids.count * sizeof *rows);
    if (rows == NULL) return no_memory(changes->ids.count, err);
    for (uint32_t id = 0; id < changes->ids.count; id++) {
        const uint32_t row = changes->images[other][id];
        if (row == TEXT_INDEX_NONE) continue;
        const bool is_asked =
            keys->by_link
                ? links_to(&changes->rows.columns[part->link], row, &asked)
                : text_index_find(&asked, changes->ids.texts[id]) != TEXT_INDEX_NONE;
        if (is_asked) rows[(*count)++] = row;
    }
    *chosen = rows;
    return PQDB_OK;
}

/// Column `from` of the shown rows, then of the changed ones.
static pqdb_code append_changed(const struct expand_run *run, const struct pq_column *shown,
                                const struct pq_column *changed, const struct expand_rows *rows,
                                struct pq_column *out, pqdb_error *err) {
    const size_t changed_count = rows->count - rows->shown_count;
    struct pq_column gathered;
    PQ_TRY(pq_column_gather(changed, rows->changed, changed_count, run->arena, &gathered, err));
    if (rows->shown_count == 0) {
        *out = gathered;
        return PQDB_OK;
    }
    struct pq_builder builder;
    PQ_TRY(pq_builder_init(&builder, shown->type, &run->arena->alloc, err));
    PQ_TRY(pq_builder_append_rows(&builder, shown, 0, rows->shown_count, err));
    PQ_TRY(pq_builder_append_rows(&builder, &gathered, 0, changed_count, err));
    *out = pq_builder_finish(&builder);
    return PQDB_OK;
}

pqdb_code expand_fetch(const struct expand_run *run, const struct pq_expand_part *part,
                       const struct expand_keys *keys, struct expand_rows *rows,
                       pqdb_error *err) {
    const struct pq_link_path link = {&part->link, 1};
    const struct pq_lookup_want want = {
        .table = part->table, .link = keys->by_link ? &link : NULL, .keys = keys->texts,
        .key_count = keys->count, .columns = part->columns, .column_count = part->column_count};
    struct pq_batch shown;
    uint32_t *changed;
    size_t changed_count;
    PQ_TRY(run->lookup->rows_at(run->lookup->ctx, &want, run->arena, &shown, err));
    PQ_TRY(choose_changed(run, part, keys, &changed, &changed_count, err));
    *rows = (struct expand_rows){
        .count = shown.count + changed_count, .shown_count = shown.count, .changed = changed,
        .changes = expand_changes_of(run, part->table),
        .columns = pq_arena_calloc(run->arena, part->column_count, sizeof *rows->columns)};
    if (rows->columns == NULL) return no_memory(rows->count, err);
    for (size_t k = 0; k < part->column_count; k++) {
        struct pq_column *column = &rows->columns[k];
        const uint32_t at = part->columns[k];
        if (shown.count > 0) *column = shown.columns[at];
        if (changed_count > 0) {
            PQ_TRY(append_changed(run, column, &rows->changes->rows.columns[at], rows, column,
                                  err));
        }
        if (rows->count == 0) {
            struct pq_builder none;
            PQ_TRY(pq_builder_init(&none, &part->below.type->fields[k].type, &run->arena->alloc,
                                   err));
            *column = pq_builder_finish(&none);
        }
        if (part->other_names) PQ_TRY(bring_names(run, column, err));
    }
    return PQDB_OK;
}

bool expand_is_on(const struct expand_run *run, const struct expand_rows *rows, size_t row,
                  enum expand_side side) {
    const bool is_shown = row < rows->shown_count;
    if (side != expand_shown_side(run) && is_shown && rows->changes != NULL) {
        const struct pq_text id = pq_column_text(&rows->columns[0], row);
        return text_index_find(&rows->changes->ids, id) == TEXT_INDEX_NONE;
    }
    return is_shown || side != expand_shown_side(run);
}
