#include "collection/links.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fail.h"
#include "expr/compare.h"

enum { path_bytes = 120 };

static bool has_links(const struct pq_declared_field *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (fields[i].relation != NULL && !fields[i].relation->inverse) return true;
        if (has_links(fields[i].members, fields[i].member_count)) return true;
    }
    return false;
}

bool pq_entry_has_links(const struct pq_entry *entry) {
    return has_links(entry->fields, entry->field_count);
}

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "the links of a write");
}

static struct pq_link_target *target_of(struct pq_links *links, const struct pq_relation *relation,
                                        const char *path) {
    for (size_t i = 0; i < links->count; i++) {
        if (pq_text_equal(links->targets[i].relation->target, relation->target) &&
            pq_text_is(links->targets[i].path, path)) {
            return &links->targets[i];
        }
    }
    struct pq_link_target *grown = pq_resize(&links->arena->alloc, links->targets, links->count,
                                             links->count + 1, sizeof *grown);
    if (grown == NULL) return NULL;
    links->targets = grown;
    struct pq_link_target *made = &grown[links->count];
    *made = (struct pq_link_target){.relation = relation,
                                    .path = pq_arena_copy(links->arena, pq_text_of(path))};
    if (made->path.data == NULL) return NULL;
    links->count++;
    return made;
}

static pqdb_code add_id(struct pq_links *links, struct pq_link_target *target, struct pq_text id,
                        pqdb_error *err) {
    if (target->count > 0 && pq_text_equal(target->ids[target->count - 1], id)) return PQDB_OK;
    if (target->count == target->capacity) {
        const size_t capacity = target->capacity == 0 ? 4 : target->capacity * 2;
        struct pq_text *grown = pq_resize(&links->arena->alloc, target->ids, target->capacity,
                                          capacity, sizeof *grown);
        if (grown == NULL) return no_memory(err);
        target->ids = grown;
        target->capacity = capacity;
    }
    target->ids[target->count++] = id;
    return PQDB_OK;
}

/// Rows [first, end) of the column of a field, which may be nested.
struct range {
    const struct pq_declared_field *field;
    const struct pq_column *column;
    size_t first, end;
    char path[path_bytes];
};

static pqdb_code collect_range(struct pq_links *links, const struct range *range,
                               pqdb_error *err) {
    const struct pq_declared_field *field = range->field;
    const struct pq_column *column = range->column;
    struct range inner = *range;
    if (column->type->kind == PQ_LIST) {
        if (range->first == range->end) return PQDB_OK;
        inner.column = &column->children[0];
        inner.first = column->offsets[range->first];
        inner.end = column->offsets[range->end];
        return collect_range(links, &inner, err);
    }
    if (field->relation != NULL) {
        struct pq_link_target *target = target_of(links, field->relation, range->path);
        if (target == NULL) return no_memory(err);
        for (size_t row = range->first; row < range->end; row++) {
            if (pq_column_is_null(column, row)) continue;
            PQ_TRY(add_id(links, target, pq_column_text(column, row), err));
        }
        return PQDB_OK;
    }
    for (size_t i = 0; i < field->member_count; i++) {
        inner.field = &field->members[i];
        if (!has_links(inner.field, 1)) continue;
        const struct pq_text name = inner.field->field.name;
        snprintf(inner.path, sizeof inner.path, "%.60s.%.50s", range->path, name.data);
        inner.column = &column->children[pq_type_find(column->type, name)];
        PQ_TRY(collect_range(links, &inner, err));
    }
    return PQDB_OK;
}

/// All of a top-level field.
static struct range range_of(const struct pq_declared_field *field, const struct pq_batch *rows) {
    struct range range = {.field = field, .column = &rows->columns[field->column],
                          .end = rows->count};
    snprintf(range.path, sizeof range.path, "%.60s", field->field.name.data);
    return range;
}

static int compare_ids(const void *a, const void *b) {
    return pq_text_compare(*(const struct pq_text *)a, *(const struct pq_text *)b);
}

static void make_unique(struct pq_link_target *target) {
    if (target->count < 2) return;
    qsort(target->ids, target->count, sizeof *target->ids, compare_ids);
    size_t kept = 1;
    for (size_t i = 1; i < target->count; i++) {
        if (!pq_text_equal(target->ids[i], target->ids[kept - 1])) {
            target->ids[kept++] = target->ids[i];
        }
    }
    target->count = kept;
}

static bool had_link(const struct pq_links *old, const struct pq_link_target *target,
                     struct pq_text id) {
    for (size_t i = 0; i < old->count; i++) {
        if (!pq_text_equal(old->targets[i].path, target->path)) continue;
        for (size_t k = 0; k < old->targets[i].count; k++) {
            if (pq_text_equal(old->targets[i].ids[k], id)) return true;
        }
    }
    return false;
}

/// The links of a row that it did not have in this column before.
static pqdb_code collect_changed(struct pq_links *links, const struct range *now,
                                 const struct range *before, pqdb_error *err) {
    if (pq_column_compare(before->column, now->first, now->column, now->first) == 0) {
        return PQDB_OK;
    }
    struct pq_links had = {.arena = links->arena}, has = {.arena = links->arena};
    PQ_TRY(collect_range(&had, before, err));
    PQ_TRY(collect_range(&has, now, err));
    for (size_t i = 0; i < has.count; i++) {
        const struct pq_link_target *from = &has.targets[i];
        for (size_t k = 0; k < from->count; k++) {
            if (had_link(&had, from, from->ids[k])) continue;
            struct pq_link_target *target = target_of(links, from->relation, from->path.data);
            if (target == NULL) return no_memory(err);
            PQ_TRY(add_id(links, target, from->ids[k], err));
        }
    }
    return PQDB_OK;
}

pqdb_code pq_links_collect(const struct pq_entry *entry, const struct pq_batch *rows,
                           const struct pq_batch *old, struct pq_arena *arena,
                           struct pq_links *links, pqdb_error *err) {
    *links = (struct pq_links){.arena = arena};
    for (size_t i = 0; i < entry->field_count; i++) {
        const struct pq_declared_field *field = &entry->fields[i];
        if (field->column < 0 || !has_links(field, 1)) continue;
        struct range now = range_of(field, rows);
        if (old == NULL) {
            PQ_TRY(collect_range(links, &now, err));
            continue;
        }
        struct range before = range_of(field, old);
        for (size_t row = 0; row < rows->count; row++) {
            now.first = before.first = row;
            now.end = before.end = row + 1;
            PQ_TRY(collect_changed(links, &now, &before, err));
        }
    }
    for (size_t i = 0; i < links->count; i++) make_unique(&links->targets[i]);
    return PQDB_OK;
}
