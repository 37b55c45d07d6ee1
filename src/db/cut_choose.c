/// db/cut_choose.c: what of a table a checkpoint writes anew.
///
/// Together with the merges beside it (db/compact.c) it bounds what dead rows take on disk: a file
/// that is a quarter dead is written anew, so that all of a table's files take at most 4/3 of what
/// its live rows need. What older snapshots hold comes on top (table/publish.h).
#include "base/fail.h"
#include "db/cut_internal.h"

enum {
    carry_bytes_max = 8 << 20,  // smaller memtables travel in the root,
    carry_share = 32,           // or such a part of memtables' share, if that is less
    carry_chunks_max = 64,      // unless they are in many pieces
    merge_files = 8,            // so many small files become one
    piece_share = 8,            // a part of memtables' share that is worth two files
    cut_rows_max = 1 << 16,     // of a file that is read into memory,
    row_bytes = 1024,           // whose rows may take so much of memtables' share
};

/// One file, or two halves of about the same size where much memory is written by a database that
/// has threads: chunks are in the order of their commits, so generated ids keep the halves apart.
static void divide(const struct cut *cut, struct cut_table *table) {
    const size_t budget = cut->db->memory.rows_max;
    size_t first = table->old_count, bytes = 0;
    if (cut->db->keeper_runs && table->memory >= budget / piece_share) {
        first = 0;
        while (first < table->old_count && bytes < table->memory / 2) {
            const struct pq_segment *segment = table->old[first++];
            if (segment->kind == PQ_SEGMENT_CHUNK) bytes += pq_segment_bytes(segment);
        }
    }
    table->pieces[0] = (struct cut_piece){.old = table->old, .old_count = first};
    table->pieces[1] = (struct cut_piece){.old = table->old + first,
                                          .old_count = table->old_count - first};
    table->piece_count = table->old_count == 0 ? 0 : first < table->old_count ? 2 : 1;
    for (size_t i = 0; i < table->piece_count; i++) {
        table->pieces[i].db = cut->db;
        table->pieces[i].snapshot = table->snapshot;
    }
}

size_t pq_db_cut_rows_max(const pqdb_db *db) {
    const size_t fitting = db->memory.rows_max / row_bytes;
    if (fitting < db->merge_rows) return db->merge_rows;
    return fitting < cut_rows_max ? fitting : cut_rows_max;
}

struct found {
    size_t bytes, chunks;  // in memory
    size_t small;          // files
};

static struct found look(const struct cut *cut, const struct pq_catalog *catalog) {
    struct found found = {0};
    for (size_t i = 0; i < catalog->count; i++) {
        const struct pq_segment *segment = catalog->segments[i];
        if (segment->kind == PQ_SEGMENT_CHUNK) {
            found.bytes += pq_segment_bytes(segment);
            found.chunks++;
        } else {
            found.small += segment->rows <= cut->db->merge_rows && !segment->is_merging;
        }
    }
    return found;
}

/// Those that the merges beside checkpoints would not take: small ones, when there are many, those
/// that are a quarter dead, and those of any size without a live row. So many rows at once that a
/// checkpoint does not take long over them and they fit into memory; what is left waits for the
/// next one, which comes at once.
static void choose_files(struct cut *cut, struct cut_table *table, bool take_small) {
    const struct pq_catalog *catalog = table->snapshot->catalog;
    const uint64_t version = table->snapshot->version;
    const size_t rows_max = pq_db_cut_rows_max(cut->db);
    size_t rows = 0;
    for (size_t i = 0; i < catalog->file_count; i++) {
        struct pq_segment *segment = catalog->segments[i];
        const size_t live = pq_segment_live(segment, version);
        const bool is_large = segment->rows > rows_max && live > 0;
        const bool is_small = segment->rows <= cut->db->merge_rows;
        if (segment->is_merging || is_large || (!(take_small && is_small) &&
                                                live * 4 > segment->rows * 3)) {
            continue;
        }
        if (rows + live > 2 * rows_max) {
            cut->db->files_wait = true;
            return;
        }
        rows += live;
        table->old[table->old_count++] = segment;
    }
}

pqdb_code pq_db_cut_choose(struct cut *cut, struct cut_table *table, pqdb_error *err) {
    const struct pq_catalog *catalog = table->snapshot->catalog;
    table->old = pq_arena_calloc(&cut->arena, catalog->count + 1, sizeof(struct pq_segment *));
    if (table->old == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a checkpoint");
    const struct found found = look(cut, catalog);
    table->memory = found.bytes;
    choose_files(cut, table, found.small >= merge_files);
    const size_t share = cut->db->memory.rows_max / carry_share;
    const size_t carried_max = share < carry_bytes_max ? share : carry_bytes_max;
    // Rows that are carried keep the table's metadata where it is, and with it what files replace.
    const bool files_go = table->old_count > 0 || pq_db_merge_waits_for(cut->db, table->table->id);
    const bool take_memory = found.bytes >= carried_max || found.chunks > carry_chunks_max ||
                             cut->write_all || files_go;
    table->only_files = !take_memory || found.chunks == 0;
    for (size_t i = catalog->file_count; take_memory && i < catalog->count; i++) {
        table->old[table->old_count++] = catalog->segments[i];
    }
    table->writes = table->old_count > 0;
    divide(cut, table);
    return pq_db_merge_adopt(cut, table, err);
}
