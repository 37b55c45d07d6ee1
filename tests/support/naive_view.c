/// A view: $from, $expand, $unnest, $filter, then $select, groups, or a value computed per row.
#include "support/naive_view.h"

#include <stdlib.h>
#include <string.h>

/// Own copies of the rows, which the stages may change.
static void copy_rows(const struct naive_table *source, struct naive_table *out) {
    out->rows = naive_alloc(((size_t)source->row_count + 1) * sizeof *out->rows);
    out->row_count = source->row_count;
    for (int i = 0; i < source->row_count; i++) {
        struct naive_row *row = &out->rows[i];
        *row = source->rows[i];
        row->cells = naive_alloc(NAIVE_COLUMNS * sizeof *row->cells);
        if (source->column_count == 0) continue;
        memcpy(row->cells, source->rows[i].cells,
               (size_t)source->column_count * sizeof *row->cells);
    }
}

static struct naive keep(const struct naive *value) {
    struct naive made = *value;
    if (value->text != NULL) made.text = naive_copy(value->text, strlen(value->text));
    if (value->key != NULL) made.key = naive_copy(value->key, strlen(value->key));
    if (value->kind != NAIVE_LIST && value->kind != NAIVE_OBJECT) return made;
    made.items = naive_list(value->count).items;
    for (int i = 0; i < value->count; i++) made.items[i] = keep(&value->items[i]);
    return made;
}

static struct naive_type *keep_type(const struct naive_type *type) {
    struct naive_type *made = naive_type_plain(type->kind);
    *made = *type;
    if (type->link != NULL) made->link = naive_copy(type->link, strlen(type->link));
    if (type->via != NULL) made->via = naive_copy(type->via, strlen(type->via));
    if (type->element != NULL) made->element = keep_type(type->element);
    made->members = naive_alloc((size_t)type->member_count * sizeof *made->members);
    for (int i = 0; i < type->member_count; i++) {
        const char *name = type->members[i].name;
        made->members[i].name = naive_copy(name, strlen(name));
        made->members[i].type = keep_type(type->members[i].type);
    }
    return made;
}

void naive_keep(struct naive_table *view) {
    const struct naive_table source = *view;
    copy_rows(&source, view);
    for (int k = 0; k < view->column_count; k++) {
        const struct naive_column *column = &source.columns[k];
        view->columns[k].name = naive_copy(column->name, strlen(column->name));
        view->columns[k].type = keep_type(column->type);
    }
    for (int i = 0; i < view->row_count; i++) {
        struct naive_row *row = &view->rows[i];
        row->id = naive_copy(row->id, strlen(row->id));
        row->extra = keep(&row->extra);
        for (int k = 0; k < view->column_count; k++) row->cells[k] = keep(&row->cells[k]);
    }
}

// ---- unnest -----------------------------------------------------------------------------------

struct unnest {
    int column;
    const char *path, *as, *index;
    bool keep_empty;
};

static const char *option(const struct pq_json *object, const char *name) {
    const struct pq_json *text = pq_json_find(object, name);
    return text == NULL ? NULL : naive_text("%s", pq_json_text(text).data);
}

static bool read_unnest(const struct naive_table *table, const struct pq_json *view,
                        struct unnest *unnest) {
    const struct pq_json *given = pq_json_find(view, "$unnest");
    *unnest = (struct unnest){0};
    if (given == NULL) return false;
    if (pq_json_kind(given) == PQ_JSON_TEXT) {
        unnest->path = naive_text("%s", pq_json_text(given).data);
    } else {
        const struct pq_json *keep = pq_json_find(given, "keepEmpty");
        unnest->path = option(given, "path");
        unnest->as = option(given, "as");
        unnest->index = option(given, "index");
        unnest->keep_empty = keep != NULL && pq_json_bool(keep);
    }
    unnest->column = naive_column_find(table, unnest->path, strlen(unnest->path));
    return true;
}

/// The list itself and what was expanded through it.
static bool goes_along(const struct unnest *unnest, int column, const char *const *paths) {
    if (column == unnest->column) return true;
    const size_t length = strlen(unnest->path);
    const char *path = paths[column];
    return path != NULL && strncmp(path, unnest->path, length) == 0 &&
           (path[length] == '.' || path[length] == '\0');
}

/// Element `at` of the row's list; -1: there is none, and the row is kept all the same.
static struct naive_row element(const struct naive_row *row, const struct unnest *unnest,
                                int columns, const char *const *paths, int at) {
    struct naive_row made = *row;
    made.cells = naive_alloc(NAIVE_COLUMNS * sizeof *made.cells);
    for (int k = 0; k < columns; k++) {
        made.cells[k] = row->cells[k];
        if (!goes_along(unnest, k, paths)) continue;
        const struct naive *list = &row->cells[k];
        const bool there = at >= 0 && list->kind == NAIVE_LIST;
        made.cells[k] = there ? list->items[at] : (struct naive){0};
        made.cells[k].key = NULL;
    }
    made.id = at >= 0 ? naive_text("%s#%d", row->id, at) : naive_text("%s#", row->id);
    if (made.depth == NAIVE_DEPTH) abort();
    made.order[made.depth++] = at < 0 ? 0 : at;
    if (unnest->index == NULL) return made;
    // The position stands behind the element.
    for (int k = columns; k > unnest->column + 1; k--) made.cells[k] = made.cells[k - 1];
    made.cells[unnest->column + 1] = at < 0 ? (struct naive){0} : naive_int(at);
    return made;
}

static void unnest_rows(struct naive_table *table, const struct unnest *unnest,
                        const char *const *paths) {
    size_t room = 1;
    int count = 0;
    for (int i = 0; i < table->row_count; i++) {
        room += 1 + (size_t)table->rows[i].cells[unnest->column].count;
    }
    struct naive_row *rows = naive_alloc(room * sizeof *rows);
    for (int i = 0; i < table->row_count; i++) {
        const struct naive *list = &table->rows[i].cells[unnest->column];
        const int elements = list->kind == NAIVE_LIST ? list->count : 0;
        for (int k = elements == 0 && unnest->keep_empty ? -1 : 0; k < elements; k++) {
            rows[count++] = element(&table->rows[i], unnest, table->column_count, paths, k);
        }
    }
    table->rows = rows;
    table->row_count = count;
    for (int k = 0; k < table->column_count; k++) {
        if (goes_along(unnest, k, paths) && table->columns[k].type->kind == NAIVE_LIST) {
            table->columns[k].type = table->columns[k].type->element;
        }
    }
    if (unnest->as != NULL) table->columns[unnest->column].name = unnest->as;
    if (unnest->index != NULL) {
        for (int k = table->column_count++; k > unnest->column + 1; k--) {
            table->columns[k] = table->columns[k - 1];
        }
        table->columns[unnest->column + 1] =
            (struct naive_column){unnest->index, naive_type_plain(NAIVE_INT)};
    }
}

// ---- rows -------------------------------------------------------------------------------------

static void filter_rows(const struct naive_db *db, struct naive_table *table,
                        const struct pq_json *filter) {
    int kept = 0;
    for (int i = 0; filter != NULL && i < table->row_count; i++) {
        const struct naive_scope scope = {db, table, &table->rows[i]};
        if (naive_matches(&scope, filter)) table->rows[kept++] = table->rows[i];
    }
    if (filter != NULL) table->row_count = kept;
}

static void select_columns(const struct naive_db *db, struct naive_table *table,
                           const struct pq_json *select) {
    const struct naive_table from = *table;
    struct naive **cells = naive_alloc(((size_t)from.row_count + 1) * sizeof *cells);
    for (int i = 0; i < from.row_count; i++) {
        cells[i] = naive_alloc(NAIVE_COLUMNS * sizeof **cells);
    }
    table->column_count = 0;
    const struct pq_json *key = pq_json_first(select);
    for (size_t n = pq_json_count(select); n > 0; n--, key = pq_json_next(pq_json_next(key))) {
        const struct pq_json *expr = pq_json_next(key);
        const int at = table->column_count++;
        table->columns[at] = (struct naive_column){naive_text("%s", pq_json_text(key).data),
                                                   naive_expr_type(db, &from, expr)};
        for (int i = 0; i < from.row_count; i++) {
            const struct naive_scope scope = {db, &from, &from.rows[i]};
            const struct naive value = naive_expr(&scope, expr);
            cells[i][at] = naive_convert(table->columns[at].type, &value);
        }
    }
    for (int i = 0; i < from.row_count; i++) {
        table->rows[i].cells = cells[i];
        table->rows[i].extra = (struct naive){0};
    }
}

// ---- computed per row ---------------------------------------------------------------------------

/// The list column that an aggregate's argument goes through, or -1.
static int list_in(const struct naive_table *table, const struct pq_json *argument,
                   bool is_path) {
    if (pq_json_kind(argument) == PQ_JSON_TEXT) {
        const char *path = pq_json_text(argument).data;
        if (!is_path && path[0] != '$') return -1;
        if (!is_path) path++;
        const int at = naive_column_find(table, path, strcspn(path, "."));
        return at >= 0 && table->columns[at].type->kind == NAIVE_LIST ? at : -1;
    }
    const bool is_list = pq_json_kind(argument) == PQ_JSON_LIST;
    if (!is_list && pq_json_kind(argument) != PQ_JSON_OBJECT) return -1;
    const struct pq_json *at = pq_json_count(argument) > 0 ? pq_json_first(argument) : NULL;
    for (size_t i = pq_json_count(argument); i > 0; i--) {
        if (!is_list) at = pq_json_next(at);
        const int found = list_in(table, at, false);
        if (found >= 0) return found;
        at = pq_json_next(at);
    }
    return -1;
}

static int list_of_aggregate(const struct naive_table *table, const struct pq_json *aggregate) {
    const struct pq_json *argument = pq_json_next(pq_json_first(aggregate));
    if (pq_json_kind(argument) == PQ_JSON_LIST) argument = pq_json_first(argument);
    return list_in(table, argument, true);
}

/// One aggregate over the elements of each row's list, as if it were unnested.
static void compute_column(const struct naive_db *db, struct naive_table *table,
                           const char *const *paths, const struct pq_json *key) {
    const struct pq_json *aggregate = pq_json_next(key);
    const int list = list_of_aggregate(table, aggregate);
    const struct unnest unnest = {.column = list, .path = table->columns[list].name};
    const int at = table->column_count;
    struct naive_table elements = *table;
    for (int i = 0; i < table->row_count; i++) {
        elements = *table;
        elements.rows = &table->rows[i];
        elements.row_count = 1;
        unnest_rows(&elements, &unnest, paths);
        table->rows[i].cells[at] =
            naive_aggregate(db, &elements, elements.rows, elements.row_count, aggregate);
    }
    elements = *table;
    elements.row_count = 0;
    unnest_rows(&elements, &unnest, paths);
    table->columns[at] = (struct naive_column){naive_text("%s", pq_json_text(key).data),
                                               naive_aggregate_type(db, &elements, aggregate)};
    table->column_count++;
}

static void compute(const struct naive_db *db, struct naive_table *table,
                    const struct pq_json *view, const char *const *paths) {
    table->is_grouped = false;
    const struct pq_json *aggregates = pq_json_find(view, "$compute");
    const struct pq_json *key = aggregates == NULL ? NULL : pq_json_first(aggregates);
    const bool is_grouped = pq_json_find(view, "$groupBy") != NULL;
    if (is_grouped || (key != NULL && list_of_aggregate(table, pq_json_next(key)) < 0)) {
        naive_group(db, table, view);
        table->is_grouped = true;
        return;
    }
    for (size_t i = key == NULL ? 0 : pq_json_count(aggregates); i > 0; i--) {
        compute_column(db, table, paths, key);
        key = pq_json_next(pq_json_next(key));
    }
    const struct pq_json *select = pq_json_find(view, "$select");
    if (select != NULL) select_columns(db, table, select);
}

void naive_view_eval(const struct naive_db *db, struct naive_table *view) {
    const struct naive_table *source = naive_db_find(db, view->from);
    const struct naive_table own = *view;
    const char *paths[NAIVE_COLUMNS] = {0};
    struct unnest unnest;
    struct naive_table taken = *source;
    const size_t most = (size_t)source->row_count + (size_t)own.kept_count;
    taken.rows = naive_alloc((most + 1) * sizeof *taken.rows);
    taken.row_count = 0;
    for (int i = 0; i < source->row_count; i++) {
        const bool takes_part = source->rows[i].seq >= own.first_seq;
        if (takes_part) taken.rows[taken.row_count++] = source->rows[i];
    }
    for (int i = 0; i < own.kept_count; i++) taken.rows[taken.row_count++] = own.kept[i];
    *view = taken;
    copy_rows(&taken, view);
    naive_expand(db, view, own.view, paths);
    // From here on an undeclared field cannot be named where the columns are those of a view.
    if (read_unnest(view, own.view, &unnest)) unnest_rows(view, &unnest, paths);
    filter_rows(db, view, pq_json_find(own.view, "$filter"));
    compute(db, view, own.view, paths);
    view->name = own.name;
    view->view = own.view;
    view->from = own.from;
    view->first_seq = own.first_seq;
    view->kept = own.kept;
    view->kept_count = own.kept_count;
    view->is_collection = view->is_stream = false;
    qsort(view->rows, (size_t)view->row_count, sizeof *view->rows, naive_by_id);
    int kept = 0;
    for (int k = 0; k < view->column_count; k++) {
        if (naive_is_inverse(view->columns[k].type)) continue;
        for (int i = 0; kept != k && i < view->row_count; i++) {
            view->rows[i].cells[kept] = view->rows[i].cells[k];
        }
        view->columns[kept++] = view->columns[k];
    }
    view->column_count = kept;
}
