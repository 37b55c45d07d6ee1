/// table/branch.c: see branch.h.
#include "table/branch.h"

#include "base/fail.h"

/// The rows that live at the snapshot, copied into the table.
static pqdb_code copy_rows(struct pq_table *table, const struct pq_segment *segment,
                           const struct pq_batch *rows, uint64_t version, pqdb_error *err) {
    struct pq_arena arena;
    struct pq_hold *hold = NULL;
    struct pq_batch kept, copy;
    pq_arena_init(&arena, table->options.alloc);
    pqdb_code code = PQDB_OK;
    size_t count = 0;
    uint32_t *live = pq_arena_alloc(&arena, (rows->count + 1) * sizeof *live);
    if (live == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "a branch of a table");
        goto done;
    }
    for (size_t row = 0; row < rows->count; row++) {
        if (!pq_segment_is_dead(segment, row, version)) live[count++] = (uint32_t)row;
    }
    if (count == 0) goto done;
    PQ_GO(pq_batch_gather(rows, live, count, &arena, &kept, err));
    PQ_GO(pq_hold_copy(&kept, table->options.alloc, &hold, &copy, err));
    PQ_GO(pq_table_apply(table, &copy, hold, version, err));
done:
    pq_hold_unref(hold);
    pq_arena_deinit(&arena);
    return code;
}

static pqdb_code share_file(struct pq_table *table, struct pq_segment *segment, uint64_t version,
                            pqdb_error *err) {
    const struct pq_alloc *alloc = table->options.alloc;
    const size_t words = (segment->rows + 63) / 64;
    uint64_t *dead = NULL;
    if (pq_segment_has_dead(segment, 0, segment->rows, version)) {
        dead = pq_resize(alloc, NULL, 0, words, sizeof *dead);
        if (dead == NULL) return pq_fail(err, PQDB_NO_MEMORY, "deletions of a branch");
        pq_segment_dead_bits(segment, version, dead);
    }
    const struct pq_segment_file given = {.file = segment->file, .rows = segment->rows,
                                          .dead = dead, .version = version};
    struct pq_segment *made = NULL;
    pqdb_code code = pq_segment_create_file(&given, alloc, &made, err);
    pq_free(alloc, dead, dead == NULL ? 0 : words, sizeof *dead);
    PQ_TRY(code);
    made->origin = pq_segment_ref(segment);
    const struct pq_table_swap swap = {.fresh = made};
    code = pq_table_swap(table, &swap, err);
    if (code != PQDB_OK) pq_segment_unref(made);
    return code;
}

pqdb_code pq_table_branch(const struct pq_table_snapshot *snapshot,
                          const struct pq_table_options *options, struct pq_table **table,
                          pqdb_error *err) {
    struct pq_table *made = NULL;
    const uint64_t version = snapshot->version;
    pqdb_code code;
    PQ_GO(pq_table_create(options, &made, err));
    for (size_t i = 0; i < snapshot->catalog->count; i++) {
        struct pq_segment *segment = snapshot->catalog->segments[i];
        if (segment->kind == PQ_SEGMENT_FILE) PQ_GO(share_file(made, segment, version, err));
        else PQ_GO(copy_rows(made, segment, &segment->batch, version, err));
    }
    if (snapshot->open != NULL) {
        PQ_GO(copy_rows(made, snapshot->open, &snapshot->open_rows, version, err));
    }
    made->version = version;
    PQ_GO(pq_table_publish(made, err));
    *table = made;
done:
    if (code != PQDB_OK) pq_table_destroy(made);
    return code;
}
