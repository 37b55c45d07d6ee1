#include "db/row_list.h"

#include "base/fail.h"

void pq_db_row_list_init(struct pq_db_row_list *list, const struct pq_alloc *alloc) {
    *list = (struct pq_db_row_list){.alloc = alloc};
    list->end = &list->first;
    pq_arena_init(&list->arena, alloc);
}

void pq_db_row_list_deinit(struct pq_db_row_list *list) {
    for (struct pq_db_row_batch *at = list->first; at != NULL; at = at->next) {
        pq_hold_unref(at->hold);
    }
    pq_arena_deinit(&list->arena);
}

pqdb_code pq_db_row_list_put(void *ctx, const struct pq_batch *rows, pqdb_error *err) {
    struct pq_db_row_list *list = ctx;
    struct pq_db_row_batch *made = pq_arena_calloc(&list->arena, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a refresh");
    PQ_TRY(pq_hold_copy(rows, list->alloc, &made->hold, &made->rows, err));
    *list->end = made;
    list->end = &made->next;
    list->rows += rows->count;
    return PQDB_OK;
}
