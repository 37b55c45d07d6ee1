#include "support/naive_view.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct naive missing;

// ---- values -----------------------------------------------------------------------------------

static bool is_number(enum naive_kind kind) {
    return kind == NAIVE_INT || kind == NAIVE_DECIMAL || kind == NAIVE_REAL;
}

static int64_t hundredths(const struct naive *value) {
    return value->kind == NAIVE_INT ? value->number * 100 : value->number;
}

static int sign(int64_t number) { return (number > 0) - (number < 0); }

/// Order of two values of comparable kinds.
static int compare(const struct naive *a, const struct naive *b) {
    if (a->kind == NAIVE_TEXT) return sign(strcmp(a->text, b->text));
    if (is_number(a->kind)) return sign(hundredths(a) - hundredths(b));
    return sign(a->number - b->number);
}

static bool comparable(const struct naive *a, const struct naive *b) {
    return a->kind == b->kind || (is_number(a->kind) && is_number(b->kind));
}

static bool equal(const struct naive *a, const struct naive *b) {
    if (a->kind == NAIVE_NULL || b->kind == NAIVE_NULL) return a->kind == b->kind;
    return comparable(a, b) && compare(a, b) == 0;
}

static const struct naive *get(const struct naive_row *row, struct naive_ref ref) {
    const struct naive *cell = &row->cells[ref.column];
    if (ref.member == 0) return cell;
    for (int i = 0; cell->kind == NAIVE_OBJECT && i < cell->item_count; i++) {
        if (cell->items[i].key[0] == ref.member) return &cell->items[i];
    }
    return &missing;
}

enum naive_kind naive_kind_of(const struct naive_table *table, struct naive_ref ref) {
    if (ref.member != 0) return ref.member == 'a' ? NAIVE_INT : NAIVE_TEXT;
    return table->columns[ref.column].kind;
}

// ---- filters ----------------------------------------------------------------------------------

static bool is_among(const struct naive_filter *filter, const struct naive *value) {
    for (int i = 0; i < filter->value_count; i++) {
        if (equal(value, &filter->values[i])) return true;
    }
    return false;
}

static int part_matches(const struct naive_filter *filter, const struct naive_row *row) {
    int matches = 0;
    for (int i = 0; i < filter->part_count; i++) matches += naive_matches(filter->parts[i], row);
    return matches;
}

bool naive_matches(const struct naive_filter *filter, const struct naive_row *row) {
    if (filter->test == NAIVE_AND) return part_matches(filter, row) == filter->part_count;
    if (filter->test == NAIVE_OR) return part_matches(filter, row) > 0;
    if (filter->test == NAIVE_NOR) return part_matches(filter, row) == 0;
    const struct naive *value = get(row, filter->ref), *with = &filter->values[0];
    switch (filter->test) {
    case NAIVE_EQ: return equal(value, with);
    case NAIVE_NE: return !equal(value, with);
    case NAIVE_IN: return is_among(filter, value);
    case NAIVE_NIN: return !is_among(filter, value);
    case NAIVE_EXISTS: return (value->kind != NAIVE_NULL) == (with->number != 0);
    default: break;
    }
    if (value->kind == NAIVE_NULL || !comparable(value, with)) return false;
    const int order = compare(value, with);
    if (filter->test == NAIVE_LT) return order < 0;
    if (filter->test == NAIVE_LTE) return order <= 0;
    if (filter->test == NAIVE_GT) return order > 0;
    return order >= 0;
}

// ---- columns ----------------------------------------------------------------------------------

static struct naive_column *add_column(struct naive_table *out, const char *name,
                                       enum naive_kind kind) {
    struct naive_column *column = &out->columns[out->column_count++];
    *column = (struct naive_column){.kind = kind};
    snprintf(column->name, sizeof column->name, "%s", name);
    return column;
}

void naive_unnest_columns(const struct naive_view *view, const struct naive_table *source,
                          struct naive_table *out) {
    *out = *source;
    if (view->unnest < 0) return;
    struct naive_column *element = &out->columns[view->unnest];
    element->kind = element->element;
    if (view->as[0] != '\0') snprintf(element->name, sizeof element->name, "%s", view->as);
    if (view->position[0] != '\0') add_column(out, view->position, NAIVE_INT);
    out->is_unnested = true;
}

static enum naive_kind kind_of_agg(const struct naive_item *agg, const struct naive_table *from) {
    if (agg->what == NAIVE_COUNT_ALL || agg->what == NAIVE_COUNT) return NAIVE_INT;
    return agg->what == NAIVE_AVG ? NAIVE_MEAN : naive_kind_of(from, agg->ref);
}

void naive_view_columns(const struct naive_view *view, const struct naive_table *unnested,
                        struct naive_table *out) {
    if (!view->is_grouped && view->select_count == 0) {
        *out = *unnested;
        out->is_open = false;
        if (view->list_sum >= 0) add_column(out, "list_sum", NAIVE_INT);
        return;
    }
    *out = (struct naive_table){.is_unnested = unnested->is_unnested, .by_id = unnested->by_id};
    for (int i = 0; i < view->select_count; i++) {
        const struct naive_item *item = &view->select[i];
        enum naive_kind kind = naive_kind_of(unnested, item->ref);
        if (item->what == NAIVE_COND) kind = NAIVE_INT;
        struct naive_column *made = add_column(out, item->name, kind);
        made->element = unnested->columns[item->ref.column].element;
        made->is_extra = unnested->columns[item->ref.column].is_extra && kind != NAIVE_INT;
    }
    if (!view->is_grouped) return;
    out->by_id = true;
    for (int i = 0; i < view->key_count; i++) {
        const struct naive_item *key = &view->keys[i];
        const enum naive_kind kind = key->what == NAIVE_NO_BUCKET
                                         ? naive_kind_of(unnested, key->ref)
                                         : key->what == NAIVE_HOUR ? NAIVE_TIME : NAIVE_DATE;
        add_column(out, key->name, kind);
    }
    for (int i = 0; i < view->agg_count; i++) {
        add_column(out, view->aggs[i].name, kind_of_agg(&view->aggs[i], unnested));
    }
}

// ---- rows -------------------------------------------------------------------------------------

static char *print_id(struct pq_arena *arena, const char *id, int index) {
    const size_t room = strlen(id) + 16;
    char *made = pq_arena_alloc(arena, room);
    if (index < 0) snprintf(made, room, "%s#", id);
    if (index >= 0) snprintf(made, room, "%s#%d", id, index);
    return made;
}

/// Element `index` of the row, or -1: none, kept all the same.
static void add_element(const struct naive_view *view, const struct naive_row *row, int index,
                        struct pq_arena *arena, struct naive_table *out) {
    static const struct naive null;
    const int columns = out->column_count - (view->position[0] != '\0');
    const struct naive *list = &row->cells[view->unnest];
    struct naive_row *made = &out->rows[out->row_count++];
    *made = (struct naive_row){.id = print_id(arena, row->id, index), .seq = row->seq,
                               .index = index < 0 ? 0 : index};
    made->cells = pq_arena_calloc(arena, NAIVE_COLUMNS, sizeof *made->cells);
    memcpy(made->cells, row->cells, (size_t)columns * sizeof *made->cells);
    made->cells[view->unnest] = index < 0 ? null : list->items[index];
    made->cells[view->unnest].key = NULL;
    if (view->position[0] == '\0' || index < 0) return;
    made->cells[columns] = (struct naive){.kind = NAIVE_INT, .number = index};
}

static void unnest(const struct naive_view *view, const struct naive_table *source,
                   struct pq_arena *arena, struct naive_table *out) {
    naive_unnest_columns(view, source, out);
    if (view->unnest < 0) return;
    size_t room = 1;
    for (int i = 0; i < source->row_count; i++) {
        room += 1 + (size_t)source->rows[i].cells[view->unnest].item_count;
    }
    out->rows = pq_arena_calloc(arena, room, sizeof *out->rows);
    out->row_count = 0;
    for (int i = 0; i < source->row_count; i++) {
        const struct naive_row *row = &source->rows[i];
        const int count = row->cells[view->unnest].item_count;
        for (int k = 0; k < count; k++) {
            add_element(view, row, k, arena, out);
        }
        if (count > 0 || !view->keep_empty) continue;
        add_element(view, row, -1, arena, out);
    }
}

static void select_cell(const struct naive_item *item, const struct naive_row *row,
                        struct naive *out) {
    *out = *get(row, item->ref);
    out->key = NULL;
    const bool there = out->kind != NAIVE_NULL;
    if (item->what == NAIVE_PLUS && there) out->number += out->kind == NAIVE_INT ? 3 : 300;
    if (item->what == NAIVE_IF_NULL && !there) {
        *out = (struct naive){.kind = NAIVE_TEXT, .text = "seven"};
    }
    // False, null, 0 and '' are false.
    if (item->what == NAIVE_COND) {
        const bool holds = there && !(is_number(out->kind) && out->number == 0) &&
                           !(out->kind == NAIVE_BOOL && out->number == 0) &&
                           !(out->kind == NAIVE_TEXT && out->text[0] == '\0');
        *out = (struct naive){.kind = NAIVE_INT, .number = holds};
    }
}

static struct naive sum_of_list(const struct naive *list) {
    struct naive sum = {.kind = NAIVE_INT};
    for (int i = 0; i < list->item_count; i++) {
        const struct naive *object = &list->items[i];
        for (int k = 0; object->kind == NAIVE_OBJECT && k < object->item_count; k++) {
            if (object->items[k].key[0] == 'a') sum.number += object->items[k].number;
        }
    }
    return sum;
}

static void map_rows(const struct naive_view *view, struct pq_arena *arena,
                     struct naive_table *out) {
    for (int i = 0; i < out->row_count; i++) {
        struct naive_row *row = &out->rows[i];
        struct naive *cells = pq_arena_calloc(arena, NAIVE_COLUMNS, sizeof *cells);
        if (view->select_count == 0) {
            memcpy(cells, row->cells, (NAIVE_COLUMNS - 1) * sizeof *cells);
            if (view->list_sum >= 0) {
                cells[out->column_count - 1] = sum_of_list(&row->cells[view->list_sum]);
            }
        }
        for (int k = 0; k < view->select_count; k++) {
            select_cell(&view->select[k], row, &cells[k]);
        }
        row->cells = cells;
    }
}

// ---- groups -----------------------------------------------------------------------------------

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static void use_zone(const char *zone) {
    static char now[64];
    if (strcmp(now, zone) == 0) return;
    snprintf(now, sizeof now, "%s", zone);
    setenv("TZ", zone, 1);
    tzset();
}

static int64_t days_of(int year, int month, int day) {
    struct tm first = {.tm_year = year, .tm_mon = month, .tm_mday = day};
    return floor_div(timegm(&first), 86400);
}

/// The C library's own calendar and zones.
static struct naive bucket_of(const struct naive_item *key, const struct naive *value) {
    if (key->what == NAIVE_NO_BUCKET || value->kind == NAIVE_NULL) return *value;
    const bool is_date = value->kind == NAIVE_DATE;
    const time_t at = is_date ? value->number * 86400 : floor_div(value->number, 1000000);
    struct tm local;
    use_zone(is_date ? "UTC" : key->zone);
    localtime_r(&at, &local);
    if (key->what == NAIVE_HOUR) {
        const int64_t start = at - local.tm_min * 60 - local.tm_sec;
        return (struct naive){.kind = NAIVE_TIME, .number = start * 1000000};
    }
    int64_t days = days_of(local.tm_year, local.tm_mon, local.tm_mday);
    if (key->what == NAIVE_WEEK) days -= (local.tm_wday + 6) % 7;
    if (key->what == NAIVE_MONTH) days = days_of(local.tm_year, local.tm_mon, 1);
    if (key->what == NAIVE_YEAR) days = days_of(local.tm_year, 0, 1);
    return (struct naive){.kind = NAIVE_DATE, .number = days};
}

static void add_to(const struct naive_item *agg, const struct naive *value, bool is_first,
                   struct naive *state) {
    const bool there = value->kind != NAIVE_NULL;
    switch ((enum naive_agg)agg->what) {
    case NAIVE_COUNT_ALL: state->number++; break;
    case NAIVE_COUNT: state->number += there; break;
    case NAIVE_SUM:
        if (there) state->number += value->number;
        break;
    case NAIVE_AVG:
        if (!there) break;
        state->kind = NAIVE_MEAN;
        state->is_int = value->kind == NAIVE_INT;
        state->number += value->number;
        state->count++;
        break;
    case NAIVE_MIN:
    case NAIVE_MAX:
        if (!there) break;
        if (state->kind == NAIVE_NULL ||
            compare(value, state) * (agg->what == NAIVE_MIN ? 1 : -1) < 0) {
            *state = *value;
        }
        break;
    case NAIVE_FIRST:
        if (is_first) *state = *value;
        break;
    case NAIVE_LAST: *state = *value; break;
    }
    state->key = NULL;
}

static int by_id(const void *left, const void *right) {
    const struct naive_row *a = left, *b = right;
    return strcmp(a->id, b->id);
}

static int by_creation(const void *left, const void *right) {
    const struct naive_row *a = left, *b = right;
    if (a->seq != b->seq) return a->seq < b->seq ? -1 : 1;
    return a->index - b->index;
}

/// The group of a row, made when it is new: its `$id` is its keys as a JSON array.
static struct naive_row *group_of(const struct naive_view *view, const struct naive *keys,
                                  struct pq_arena *arena, struct naive_table *out, bool *is_new) {
    struct pq_bytes id;
    pq_bytes_init(&id, &arena->alloc);
    pq_bytes_append_byte(&id, '[', NULL);
    for (int k = 0; k < view->key_count; k++) {
        if (k > 0) pq_bytes_append_byte(&id, ',', NULL);
        naive_print(&keys[k], &id);
    }
    pq_bytes_append_text(&id, PQ_TEXT("]"), NULL);
    pq_bytes_append_byte(&id, '\0', NULL);
    *is_new = false;
    for (int i = 0; i < out->row_count; i++) {
        if (strcmp(out->rows[i].id, (const char *)id.data) == 0) return &out->rows[i];
    }
    *is_new = true;
    struct naive_row *made = &out->rows[out->row_count++];
    *made = (struct naive_row){.id = (const char *)id.data};
    made->cells = pq_arena_calloc(arena, NAIVE_COLUMNS, sizeof *made->cells);
    for (int k = 0; k < view->key_count; k++) {
        made->cells[k] = keys[k];
        made->cells[k].key = NULL;
    }
    return made;
}

static void group(const struct naive_view *view, const struct naive_table *from,
                  struct pq_arena *arena, struct naive_table *out) {
    struct naive keys[NAIVE_PARTS];
    bool is_new;
    out->rows = pq_arena_calloc(arena, (size_t)from->row_count + 1, sizeof *out->rows);
    out->row_count = 0;
    qsort(from->rows, (size_t)from->row_count, sizeof *from->rows,
          from->by_id ? by_id : by_creation);
    struct naive empty[NAIVE_PARTS * 2] = {0};
    for (int k = 0; k < view->agg_count; k++) {
        const int what = view->aggs[k].what;
        if (what == NAIVE_COUNT_ALL || what == NAIVE_COUNT) empty[k].kind = NAIVE_INT;
        if (what == NAIVE_SUM) empty[k].kind = naive_kind_of(from, view->aggs[k].ref);
    }
    for (int i = 0; i < from->row_count || (i == 0 && view->key_count == 0); i++) {
        const struct naive_row *row = i < from->row_count ? &from->rows[i] : NULL;
        for (int k = 0; row != NULL && k < view->key_count; k++) {
            keys[k] = bucket_of(&view->keys[k], get(row, view->keys[k].ref));
        }
        struct naive_row *to = group_of(view, keys, arena, out, &is_new);
        struct naive *state = to->cells + view->key_count;
        if (is_new) memcpy(state, empty, (size_t)view->agg_count * sizeof *state);
        for (int k = 0; row != NULL && k < view->agg_count; k++) {
            const struct naive *value =
                view->aggs[k].what == NAIVE_COUNT_ALL ? &missing : get(row, view->aggs[k].ref);
            add_to(&view->aggs[k], value, is_new, &state[k]);
        }
    }
    int kept = 0;
    for (int i = 0; i < out->row_count; i++) {
        if (out->rows[i].cells[view->key_count].number >= view->having) {
            out->rows[kept++] = out->rows[i];
        }
    }
    out->row_count = kept;
}

void naive_view_eval(const struct naive_view *view, const struct naive_table *source,
                     struct pq_arena *arena, struct naive_table *out) {
    struct naive_table from;
    unnest(view, source, arena, &from);
    struct naive_row *kept = pq_arena_calloc(arena, (size_t)from.row_count + 1, sizeof *kept);
    int count = 0;
    for (int i = 0; i < from.row_count; i++) {
        if (view->filter != NULL && !naive_matches(view->filter, &from.rows[i])) continue;
        kept[count++] = from.rows[i];
    }
    from.rows = kept;
    from.row_count = count;
    naive_view_columns(view, &from, out);
    if (view->is_grouped) {
        group(view, &from, arena, out);
    } else {
        out->rows = kept;
        out->row_count = count;
        map_rows(view, arena, out);
    }
    qsort(out->rows, (size_t)out->row_count, sizeof *out->rows, by_id);
}
