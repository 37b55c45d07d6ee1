#include "expr/reads.h"

#include "base/fail.h"
#include "expr/program_internal.h"

pqdb_code pq_reads_init(struct pq_reads *reads, size_t column_count, struct pq_arena *arena,
                        pqdb_error *err) {
    *reads = (struct pq_reads){.arena = arena, .column_count = column_count};
    reads->whole = pq_arena_calloc(arena, column_count + 1, sizeof *reads->whole);
    return reads->whole == NULL ? pq_fail(err, PQDB_NO_MEMORY, "a list of columns") : PQDB_OK;
}

void pq_reads_add_column(struct pq_reads *reads, size_t column) {
    if (column < reads->column_count) reads->whole[column] = true;
}

pqdb_code pq_reads_add_path(struct pq_reads *reads, uint32_t column, struct pq_text path,
                            pqdb_error *err) {
    for (size_t i = 0; i < reads->path_count; i++) {
        if (pq_text_equal(reads->paths[i].path, path)) return PQDB_OK;
    }
    if (reads->path_count == reads->path_room) {
        const size_t room = reads->path_room == 0 ? 16 : 2 * reads->path_room;
        void *grown = pq_resize(&reads->arena->alloc, reads->paths, reads->path_room, room,
                                sizeof *reads->paths);
        if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of paths");
        reads->paths = grown;
        reads->path_room = room;
    }
    const struct pq_text text = pq_arena_copy(reads->arena, path);
    if (text.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of paths");
    reads->paths[reads->path_count++] = (struct pq_read_path){column, text};
    return PQDB_OK;
}

pqdb_code pq_reads_add(struct pq_reads *reads, const struct pq_program *program,
                       pqdb_error *err) {
    if (program == NULL) return PQDB_OK;
    for (const struct pq_node *node = program->paths; node != NULL; node = node->next_path) {
        const struct pq_path *path = &node->path;
        if (path->column >= reads->column_count) continue;
        if (path->inner_count > 0 && path->step_count == 0) {
            PQ_TRY(pq_reads_add_path(reads, path->column, path->text, err));
        } else {
            pq_reads_add_column(reads, path->column);
        }
    }
    return PQDB_OK;
}
