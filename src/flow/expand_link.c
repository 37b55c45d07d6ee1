/// flow/expand_link.c: all links of a level at once: distinct ones are looked up, then the rows are
/// gathered beside the links.
#include <stdlib.h>

#include "batch/builder.h"
#include "flow/expand_internal.h"

static pqdb_code no_memory(size_t rows, pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "expanding %zu rows", rows);
}

// ---- lists ------------------------------------------------------------------------------------

pqdb_code expand_list_of(const struct pq_column *list, const struct expand_level *level,
                         struct pq_arena *arena, struct expand_list *out, pqdb_error *err) {
    const uint32_t start = list->count == 0 ? 0 : list->offsets[0];
    const uint32_t end = list->count == 0 ? 0 : list->offsets[list->count];
    uint32_t *offsets = pq_arena_alloc(arena, (list->count + 1) * sizeof *offsets);
    uint8_t *sides = level->sides == NULL ? NULL : pq_arena_alloc(arena, end - start);
    if (offsets == NULL || (sides == NULL && level->sides != NULL)) {
        return no_memory(list->count, err);
    }
    PQ_TRY(pq_column_slice(&list->children[0], start, end - start, arena, &out->elements, err));
    offsets[0] = 0;
    for (size_t row = 0; row < list->count; row++) {
        offsets[row + 1] = list->offsets[row + 1] - start;
        for (uint32_t i = offsets[row]; sides != NULL && i < offsets[row + 1]; i++) {
            sides[i] = level->sides[row];
        }
    }
    out->offsets = offsets;
    out->sides = sides;
    return PQDB_OK;
}

static struct pq_column list_column(const struct pq_type *type, const struct pq_column *like,
                                    const struct expand_list *list,
                                    const struct pq_column *elements) {
    return (struct pq_column){.type = type, .layout = PQ_ROWS, .count = like->count,
                              .valid = like->valid, .offsets = list->offsets,
                              .children = elements};
}

/// Rows of a linked table with what they link to, and which of them are wanted.
struct shown {
    const struct pq_column *columns;
    const uint32_t *rows;  // [count], TEXT_INDEX_NONE for none
    size_t count;
};

/// An OBJECT per row wanted, null for none.
static pqdb_code show_rows(const struct expand_run *run, const struct pq_expand_part *part,
                           const struct shown *shown, struct pq_column *out, pqdb_error *err) {
    const uint32_t *rows = shown->rows;
    const size_t count = shown->count;
    const struct pq_type *type =
        part->type->kind == PQ_LIST ? &part->type->fields[0].type : part->type;
    struct pq_column *members =
        pq_arena_calloc(run->arena, type->field_count + 1, sizeof *members);
    uint8_t *valid = pq_arena_alloc(run->arena, count);
    if (members == NULL || valid == NULL) return no_memory(count, err);
    for (uint32_t k = 0; k < type->field_count; k++) {
        PQ_TRY(pq_column_gather(&shown->columns[part->shown[k]], rows, count, run->arena,
                                &members[k], err));
        members[k].type = &type->fields[k].type;
    }
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        valid[i] = rows[i] == TEXT_INDEX_NONE ? PQ_ROW_NULL : PQ_ROW_VALID;
        all = all && valid[i] == PQ_ROW_VALID;
    }
    *out = (struct pq_column){.type = type, .layout = PQ_MEMBERS, .count = count,
                              .valid = all ? NULL : valid, .children = members};
    return PQDB_OK;
}

/// Rows of a linked table, each on one side, with what they link to in turn.
static pqdb_code go_on(const struct expand_run *run, const struct pq_expand_part *part,
                       const struct expand_level *level, struct pq_column **columns,
                       pqdb_error *err) {
    *columns = pq_arena_calloc(run->arena, part->below.type->field_count, sizeof **columns);
    if (*columns == NULL) return no_memory(level->count, err);
    return expand_object(run, &part->below, level, *columns, err);
}

// ---- to ---------------------------------------------------------------------------------------

/// Links of a level, null or not, and where they lead.
struct links {
    const struct pq_column *texts;
    struct expand_level level;
    struct text_index ids;
    uint32_t *id_of;       // [texts->count], TEXT_INDEX_NONE for no link
    uint32_t *row_of[2];   // [side][id]: of the fetched rows
    uint32_t *rows;        // [texts->count]: what comes out
};

static pqdb_code number_links(const struct expand_run *run, struct links *links,
                              pqdb_error *err) {
    const size_t count = links->texts->count;
    links->ids = (struct text_index){.arena = run->arena};
    links->id_of = pq_arena_alloc(run->arena, count * sizeof *links->id_of);
    links->rows = pq_arena_alloc(run->arena, count * sizeof *links->rows);
    if (links->id_of == NULL || links->rows == NULL) return no_memory(count, err);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *valid = links->level.valid;
        links->id_of[i] = TEXT_INDEX_NONE;
        if (pq_column_is_null(links->texts, i)) continue;
        if (valid != NULL && valid[i] == PQ_ROW_NULL) continue;
        PQ_TRY(text_index_add(&links->ids, pq_column_text(links->texts, i), &links->id_of[i],
                              err));
    }
    return PQDB_OK;
}

/// row_of for both sides.
static pqdb_code place_rows(const struct expand_run *run, const struct expand_rows *rows,
                            struct links *links, pqdb_error *err) {
    const uint32_t count = links->ids.count;
    for (int side = 0; side < 2; side++) {
        links->row_of[side] = pq_arena_alloc(run->arena, count * sizeof(uint32_t));
        if (links->row_of[side] == NULL) return no_memory(count, err);
        for (uint32_t id = 0; id < count; id++) links->row_of[side][id] = TEXT_INDEX_NONE;
        for (size_t row = 0; row < rows->count; row++) {
            if (!expand_is_on(run, rows, row, (enum expand_side)side)) continue;
            const uint32_t id =
                text_index_find(&links->ids, pq_column_text(&rows->columns[0], row));
            if (id != TEXT_INDEX_NONE) links->row_of[side][id] = (uint32_t)row;
        }
    }
    return PQDB_OK;
}

/// A row that is met on both sides, and links on, becomes two: what it links to may differ.
static pqdb_code split_sides(const struct expand_run *run, const struct pq_expand_part *part,
                             struct links *links, struct expand_rows *rows,
                             struct expand_level *level, pqdb_error *err) {
    const uint32_t id_count = links->ids.count;
    uint32_t *entries = pq_arena_alloc(run->arena, 2 * (size_t)id_count * sizeof *entries);
    uint8_t *sides = pq_arena_alloc(run->arena, 2 * (size_t)id_count);
    if (entries == NULL || sides == NULL) return no_memory(id_count, err);
    uint32_t count = 0;
    for (int side = 0; side < 2; side++) {
        for (uint32_t id = 0; id < id_count; id++) {
            if (links->row_of[side][id] == TEXT_INDEX_NONE) continue;
            entries[count] = links->row_of[side][id];
            sides[count] = (uint8_t)side;
            links->row_of[side][id] = count++;
        }
    }
    struct pq_column *columns = pq_arena_calloc(run->arena, part->column_count, sizeof *columns);
    if (columns == NULL) return no_memory(count, err);
    for (size_t k = 0; k < part->column_count; k++) {
        PQ_TRY(pq_column_gather(&rows->columns[k], entries, count, run->arena, &columns[k], err));
    }
    *level = (struct expand_level){.columns = columns, .count = count, .sides = sides};
    return PQDB_OK;
}

static pqdb_code follow(const struct expand_run *run, const struct pq_expand_part *part,
                        struct links *links, struct pq_column *out, pqdb_error *err) {
    struct expand_rows rows;
    struct pq_column *columns;
    PQ_TRY(number_links(run, links, err));
    const struct expand_keys keys = {links->ids.texts, links->ids.count, false};
    PQ_TRY(expand_fetch(run, part, &keys, &rows, err));
    PQ_TRY(place_rows(run, &rows, links, err));
    struct expand_level level = {
        .columns = rows.columns, .count = rows.count, .side = links->level.side};
    if (links->level.sides != NULL && part->below.part_count > 0) {
        PQ_TRY(split_sides(run, part, links, &rows, &level, err));
    }
    PQ_TRY(go_on(run, part, &level, &columns, err));
    for (size_t i = 0; i < links->texts->count; i++) {
        const uint32_t id = links->id_of[i];
        links->rows[i] = id == TEXT_INDEX_NONE
                             ? TEXT_INDEX_NONE
                             : links->row_of[expand_side_of(&links->level, i)][id];
    }
    const struct shown shown = {columns, links->rows, links->texts->count};
    return show_rows(run, part, &shown, out, err);
}

pqdb_code expand_to(const struct expand_run *run, const struct pq_expand_part *part,
                    const struct expand_level *level, struct pq_column *out, pqdb_error *err) {
    const struct pq_column *column = &level->columns[part->member];
    if (column->layout != PQ_ROWS) {
        struct links links = {.texts = column, .level = *level};
        return follow(run, part, &links, out, err);
    }
    struct expand_list list;
    struct pq_column *elements = pq_arena_alloc(run->arena, sizeof *elements);
    if (elements == NULL) return no_memory(level->count, err);
    PQ_TRY(expand_list_of(column, level, run->arena, &list, err));
    struct links links = {.texts = &list.elements,
                          .level = {.sides = list.sides, .side = level->side}};
    PQ_TRY(follow(run, part, &links, elements, err));
    *out = list_column(part->type, column, &list, elements);
    return PQDB_OK;
}

// ---- from -------------------------------------------------------------------------------------

/// A row that links to a row at hand.
struct back {
    uint32_t parent;  // number of its id
    uint8_t side;
    uint32_t row;     // of the fetched rows
    struct pq_text id;
};

struct backs {
    struct back *all;
    size_t count, capacity;
    struct text_index ids;  // of the rows at hand
    uint32_t *first[2];     // [side][id]: where its backs begin
    uint32_t *counts[2];
    const struct expand_level *level;
};

static pqdb_code add_back(const struct expand_run *run, struct backs *backs,
                          const struct back *back, pqdb_error *err) {
    if (backs->count == backs->capacity) {
        const size_t capacity = backs->capacity == 0 ? 64 : 2 * backs->capacity;
        struct back *all = pq_arena_alloc(run->arena, capacity * sizeof *all);
        if (all == NULL) return no_memory(capacity, err);
        if (backs->count > 0) memcpy(all, backs->all, backs->count * sizeof *all);
        backs->all = all;
        backs->capacity = capacity;
    }
    backs->all[backs->count++] = *back;
    return PQDB_OK;
}

/// A row that links to the same one twice counts once.
static bool is_there(const struct backs *backs, size_t from, const struct back *back) {
    for (size_t i = from; i < backs->count; i++) {
        if (backs->all[i].parent == back->parent && backs->all[i].side == back->side) return true;
    }
    return false;
}

static pqdb_code find_backs(const struct expand_run *run, const struct expand_rows *rows,
                            const struct pq_column *links, struct backs *backs, pqdb_error *err) {
    for (uint32_t row = 0; row < rows->count; row++) {
        const struct expand_texts texts = expand_link_texts(links, row);
        const size_t from = backs->count;
        for (size_t i = texts.from; i < texts.until; i++) {
            if (pq_column_is_null(texts.column, i)) continue;
            const uint32_t parent =
                text_index_find(&backs->ids, pq_column_text(texts.column, i));
            for (uint8_t side = 0; parent != TEXT_INDEX_NONE && side < 2; side++) {
                const struct back back = {parent, side, row,
                                          pq_column_text(&rows->columns[0], row)};
                if (backs->level->sides == NULL && side != backs->level->side) continue;
                if (!expand_is_on(run, rows, row, (enum expand_side)side)) continue;
                if (!is_there(backs, from, &back)) PQ_TRY(add_back(run, backs, &back, err));
            }
        }
    }
    return PQDB_OK;
}

static int compare_backs(const void *left, const void *right) {
    const struct back *a = left, *b = right;
    if (a->side != b->side) return a->side < b->side ? -1 : 1;
    if (a->parent != b->parent) return a->parent < b->parent ? -1 : 1;
    return pq_text_compare(a->id, b->id);
}

static pqdb_code sort_backs(const struct expand_run *run, struct backs *backs, pqdb_error *err) {
    if (backs->count > 0) qsort(backs->all, backs->count, sizeof *backs->all, compare_backs);
    for (int side = 0; side < 2; side++) {
        backs->first[side] = pq_arena_calloc(run->arena, backs->ids.count, sizeof(uint32_t));
        backs->counts[side] = pq_arena_calloc(run->arena, backs->ids.count, sizeof(uint32_t));
        if (backs->first[side] == NULL || backs->counts[side] == NULL) {
            return no_memory(backs->count, err);
        }
    }
    for (size_t i = 0; i < backs->count; i++) {
        const struct back *back = &backs->all[i];
        if (backs->counts[back->side][back->parent]++ == 0) {
            backs->first[back->side][back->parent] = (uint32_t)i;
        }
    }
    return PQDB_OK;
}

/// The fetched rows in the order of the backs, each on its side, with what they link to.
static pqdb_code back_columns(const struct expand_run *run, const struct pq_expand_part *part,
                              const struct expand_rows *rows, const struct backs *backs,
                              struct pq_column **columns, pqdb_error *err) {
    uint32_t *order = pq_arena_alloc(run->arena, backs->count * sizeof *order);
    uint8_t *sides = pq_arena_alloc(run->arena, backs->count);
    struct pq_column *fetched = pq_arena_calloc(run->arena, part->column_count, sizeof *fetched);
    if (order == NULL || sides == NULL || fetched == NULL) return no_memory(backs->count, err);
    for (size_t i = 0; i < backs->count; i++) {
        order[i] = backs->all[i].row;
        sides[i] = backs->all[i].side;
    }
    for (size_t k = 0; k < part->column_count; k++) {
        PQ_TRY(pq_column_gather(&rows->columns[k], order, backs->count, run->arena, &fetched[k],
                                err));
    }
    const struct expand_level level = {
        .columns = fetched, .count = backs->count, .sides = sides};
    return go_on(run, part, &level, columns, err);
}

/// Which backs stand in the list of each row at hand.
static pqdb_code list_backs(const struct expand_run *run, const struct expand_level *level,
                            const struct backs *backs, struct expand_list *list, uint32_t **rows,
                            pqdb_error *err) {
    const struct pq_column *ids = &level->columns[PQ_ID_COLUMN];
    uint32_t *offsets = pq_arena_alloc(run->arena, (level->count + 1) * sizeof *offsets);
    uint32_t *parents = pq_arena_alloc(run->arena, level->count * sizeof *parents);
    if (offsets == NULL || parents == NULL) return no_memory(level->count, err);
    uint64_t total = 0;
    offsets[0] = 0;
    for (size_t row = 0; row < level->count; row++) {
        parents[row] = text_index_find(&backs->ids, pq_column_text(ids, row));
        total += backs->counts[expand_side_of(level, row)][parents[row]];
        if (total >= UINT32_MAX) {
            return pq_fail(err, PQDB_LIMIT, "more than 4 G linking rows at once");
        }
        offsets[row + 1] = (uint32_t)total;
    }
    *rows = pq_arena_alloc(run->arena, (size_t)total * sizeof **rows);
    if (*rows == NULL) return no_memory((size_t)total, err);
    for (size_t row = 0; row < level->count; row++) {
        const uint32_t first = backs->first[expand_side_of(level, row)][parents[row]];
        for (uint32_t i = offsets[row]; i < offsets[row + 1]; i++) {
            (*rows)[i] = first + (i - offsets[row]);
        }
    }
    list->offsets = offsets;
    return PQDB_OK;
}

pqdb_code expand_from(const struct expand_run *run, const struct pq_expand_part *part,
                      const struct expand_level *level, struct pq_column out[2],
                      pqdb_error *err) {
    static const struct pq_field id_field = {.type = {.kind = PQ_TEXT}};
    static const struct pq_type ids_type = {
        .kind = PQ_LIST, .field_count = 1, .fields = &id_field};
    struct backs backs = {.ids = {.arena = run->arena}, .level = level};
    struct expand_rows rows;
    struct expand_list list;
    struct pq_column *columns, *elements = pq_arena_calloc(run->arena, 2, sizeof *elements);
    uint32_t unused, *order, link = 0;
    if (elements == NULL) return no_memory(level->count, err);
    for (size_t row = 0; row < level->count; row++) {
        const struct pq_text id = pq_column_text(&level->columns[PQ_ID_COLUMN], row);
        PQ_TRY(text_index_add(&backs.ids, id, &unused, err));
    }
    const struct expand_keys keys = {backs.ids.texts, backs.ids.count, true};
    PQ_TRY(expand_fetch(run, part, &keys, &rows, err));
    while (part->columns[link] != part->link) link++;
    PQ_TRY(find_backs(run, &rows, &rows.columns[link], &backs, err));
    PQ_TRY(sort_backs(run, &backs, err));
    PQ_TRY(back_columns(run, part, &rows, &backs, &columns, err));
    PQ_TRY(list_backs(run, level, &backs, &list, &order, err));
    const uint32_t total = list.offsets[level->count];
    PQ_TRY(pq_column_gather(&columns[0], order, total, run->arena, &elements[0], err));
    PQ_TRY(show_rows(run, part, &(struct shown){columns, order, total}, &elements[1], err));
    const struct pq_column like = {.count = level->count};
    elements[0].type = &id_field.type;
    out[0] = list_column(&ids_type, &like, &list, &elements[0]);
    out[1] = list_column(part->type, &like, &list, &elements[1]);
    return PQDB_OK;
}
