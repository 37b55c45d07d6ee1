/// $expand and $flatten: a walk from each row to what its links lead to.
#include <stdlib.h>
#include <string.h>

#include "support/naive_view.h"

enum { steps_max = 8 };

struct walk {
    const struct naive_db *db;
    const char *steps[steps_max];
    int count;
};

/// What the last step leads to: rows, or inline objects, with which fields, through how many lists.
struct target {
    const struct naive_column *columns;
    int column_count;
    bool has_id;
    int lists;
};

static const struct naive_type *type_of_step(const struct naive_column *columns, int count,
                                             const char *name) {
    for (int k = 0; k < count; k++) {
        if (strcmp(columns[k].name, name) == 0) return columns[k].type;
    }
    abort();
}

static struct target find_target(const struct walk *walk, const struct naive_table *table) {
    struct target target = {table->columns, table->column_count, true, 0};
    for (int i = 0; i < walk->count; i++) {
        const struct naive_type *type =
            type_of_step(target.columns, target.column_count, walk->steps[i]);
        while (type->kind == NAIVE_LIST) {
            target.lists++;
            type = type->element;
        }
        target.has_id = type->link != NULL;
        if (target.has_id) {
            const struct naive_table *linked = naive_db_find(walk->db, type->link);
            target.columns = linked->columns;
            target.column_count = linked->column_count;
        } else {
            target.columns = type->members;
            target.column_count = type->member_count;
        }
    }
    return target;
}

static struct naive walk_row(const struct walk *walk, int step, const struct naive_table *table,
                             const struct naive_row *row, const char *field);

static struct naive walk_value(const struct walk *walk, int step, const struct naive_type *type,
                               const struct naive *value, const char *field) {
    if (value->kind == NAIVE_LIST) {
        struct naive list = naive_list(value->count);
        for (int i = 0; i < value->count; i++) {
            list.items[i] = walk_value(walk, step, type->element, &value->items[i], field);
        }
        return list;
    }
    if (value->kind == NAIVE_NULL) return (struct naive){0};
    if (type->link != NULL) {
        const struct naive_table *table = naive_db_find(walk->db, type->link);
        const struct naive_row *row = naive_row_find(table, value->text);
        return row == NULL ? (struct naive){0} : walk_row(walk, step, table, row, field);
    }
    const bool is_end = step == walk->count;
    const char *name = is_end ? field : walk->steps[step];
    const struct naive_type *next = type_of_step(type->members, type->member_count, name);
    const struct naive *member = naive_member(value, name);
    if (member == NULL) return (struct naive){0};
    struct naive made = *member;
    made.key = NULL;
    return is_end ? made : walk_value(walk, step + 1, next, member, field);
}

static bool links_to(const struct naive *value, const char *id) {
    for (int i = 0; value->kind == NAIVE_LIST && i < value->count; i++) {
        if (links_to(&value->items[i], id)) return true;
    }
    return value->kind == NAIVE_TEXT && strcmp(value->text, id) == 0;
}

/// A computed inverse: the rows there whose field leads here, in order of their ids.
static struct naive walk_back(const struct walk *walk, int step, const struct naive_type *type,
                              const char *id, const char *field) {
    const struct naive_table *table = naive_db_find(walk->db, type->link);
    const int at = naive_column_find(table, type->via, strlen(type->via));
    struct naive_row *rows = naive_alloc(((size_t)table->row_count + 1) * sizeof *rows);
    int count = 0;
    for (int i = 0; i < table->row_count; i++) {
        if (links_to(&table->rows[i].cells[at], id)) rows[count++] = table->rows[i];
    }
    qsort(rows, (size_t)count, sizeof *rows, naive_by_id);
    struct naive list = naive_list(count);
    for (int i = 0; i < count; i++) {
        list.items[i] = walk_row(walk, step, table, &rows[i], field);
    }
    return list;
}

static struct naive walk_row(const struct walk *walk, int step, const struct naive_table *table,
                             const struct naive_row *row, const char *field) {
    if (step == walk->count && field == NULL) {
        return (struct naive){.kind = NAIVE_TEXT, .text = row->id};
    }
    const char *name = step == walk->count ? field : walk->steps[step];
    const int at = naive_column_find(table, name, strlen(name));
    if (step == walk->count) {
        struct naive value = row->cells[at];
        value.key = NULL;
        return value;
    }
    const struct naive_type *type = table->columns[at].type;
    const struct naive_type *element = type->kind == NAIVE_LIST ? type->element : type;
    if (element->via != NULL) return walk_back(walk, step + 1, element, row->id, field);
    return walk_value(walk, step + 1, type, &row->cells[at], field);
}

// ---- columns ----------------------------------------------------------------------------------

/// 'customer.address' as a prefix: its longest beginning that `$flatten` renames, then the rest.
static const char *prefix_of(const char *path, const struct pq_json *flatten) {
    const char *renamed = "", *rest = path;
    const struct pq_json *key = flatten == NULL ? NULL : pq_json_first(flatten);
    for (size_t i = flatten == NULL ? 0 : pq_json_count(flatten); i > 0; i--) {
        const struct pq_text from = pq_json_text(key);
        const bool fits = strncmp(path, from.data, from.length) == 0 &&
                          (path[from.length] == '.' || path[from.length] == '\0');
        if (fits && path + from.length > rest) {
            renamed = naive_text("%s", pq_json_text(pq_json_next(key)).data);
            rest = path + from.length;
        }
        key = pq_json_next(pq_json_next(key));
    }
    char *prefix = (char *)(uintptr_t)naive_text("%s%s", renamed, rest);
    for (char *at = prefix; *at != '\0'; at++) *at = *at == '.' ? '_' : *at;
    return prefix;
}

/// Links in a list of lists are plain texts: no path leads on from there.
static struct naive_type *list_of(struct naive_type *element) {
    struct naive_type *list = naive_type_plain(NAIVE_LIST);
    list->element = element;
    if (element->kind != NAIVE_LIST || element->element->link == NULL) return list;
    list->element = naive_type_plain(NAIVE_LIST);
    list->element->element = naive_type_plain(element->element->kind);
    return list;
}

static void add_column(const struct walk *walk, struct naive_table *table, const char *name,
                       struct target target, const struct naive_column *field) {
    struct naive_column *column = &table->columns[table->column_count];
    if (table->column_count == NAIVE_COLUMNS) abort();
    column->name = name;
    column->type = field == NULL ? naive_type_plain(NAIVE_TEXT) : field->type;
    for (int i = 0; i < target.lists; i++) column->type = list_of(column->type);
    for (int i = 0; i < table->row_count; i++) {
        struct naive_row *row = &table->rows[i];
        row->cells[table->column_count] =
            walk_row(walk, 0, table, row, field == NULL ? NULL : field->name);
    }
    table->column_count++;
}

static void expand_path(const struct naive_db *db, struct naive_table *table, const char *path,
                        const char *prefix, const char **paths) {
    struct walk walk = {.db = db};
    for (const char *at = path; at != NULL;) {
        const size_t length = strcspn(at, ".");
        walk.steps[walk.count++] = naive_copy(at, length);
        at = at[length] == '\0' ? NULL : at + length + 1;
    }
    const struct target target = find_target(&walk, table);
    const int first = table->column_count;
    bool shows_id = target.has_id;
    for (int k = 0; k < target.column_count; k++) {
        if (strcmp(target.columns[k].name, "id") == 0) shows_id = false;
    }
    if (shows_id) add_column(&walk, table, naive_text("%s_id", prefix), target, NULL);
    for (int k = 0; k < target.column_count; k++) {
        const struct naive_column *field = &target.columns[k];
        if (naive_is_inverse(field->type)) continue;
        add_column(&walk, table, naive_text("%s_%s", prefix, field->name), target, field);
    }
    for (int k = first; k < table->column_count; k++) paths[k] = path;
}

void naive_expand(const struct naive_db *db, struct naive_table *table, const struct pq_json *view,
                  const char **paths) {
    const struct pq_json *list = pq_json_find(view, "$expand");
    if (list == NULL) return;
    const struct pq_json *item = pq_json_first(list);
    for (size_t i = pq_json_count(list); i > 0; i--, item = pq_json_next(item)) {
        const char *path = naive_text("%s", pq_json_text(item).data);
        expand_path(db, table, path, prefix_of(path, pq_json_find(view, "$flatten")), paths);
    }
}
