/// db/metadata.c: tables' Iceberg metadata, a projection of the root, and what an interrupted
/// publish of before has left.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fail.h"
#include "changelog/log.h"
#include "db/cut_internal.h"
#include "table/publish.h"

enum { snapshots_kept = 4 };  // at most

static void close_metadata(struct pq_db_table *own) {
    pq_iceberg_close(own->iceberg);
    own->iceberg = NULL;
}

/// Until a root has seen the table published, what lies there may be of a view of that name that
/// was dropped, perhaps half removed: then it is gone on from, not read.
static pqdb_code open_metadata(pqdb_db *db, struct pq_db_table *own, pqdb_error *err) {
    const struct pq_text directory = pq_text_of(own->directory);
    char room[16];
    if (own->iceberg != NULL) return PQDB_OK;
    PQ_TRY(pq_iceberg_open(db->store, directory, db->env, db->alloc, &own->iceberg, err));
    if (own->published_version > 0) return PQDB_OK;
    bool is_ours;
    PQ_TRY(pq_iceberg_has_property(own->iceberg, PQ_DB_TABLE_KEY, pq_db_table_property(own, room),
                                   &is_ours, err));
    if (is_ours) return PQDB_OK;
    close_metadata(own);
    return pq_iceberg_open_anew(db->store, directory, db->env, db->alloc, &own->iceberg, err);
}

/// Metadata that cannot be read keeps no table back: it follows from the root.
static pqdb_code write_metadata(struct pq_db_table *own, const struct pq_publish *publish,
                                struct cut *cut, struct pq_iceberg_outcome *outcome,
                                pqdb_error *err) {
    pqdb_db *db = cut->db;
    pqdb_code code = open_metadata(db, own, err);
    if (code == PQDB_OK) {
        code = pq_table_publish_files(own->iceberg, publish, &cut->arena, outcome, err);
    }
    if (code == PQDB_CORRUPT || code == PQDB_NOT_FOUND) {
        close_metadata(own);
        PQ_TRY(pq_iceberg_open_anew(db->store, pq_text_of(own->directory), db->env, db->alloc,
                                    &own->iceberg, err));
        code = pq_table_publish_files(own->iceberg, publish, &cut->arena, outcome, err);
        own->is_tidied = false;
    }
    if (code != PQDB_OK) close_metadata(own);
    return code;
}

// ---- what nothing is to be published of -------------------------------------------------------

/// The process before may have been killed while it told what it had published.
static pqdb_code announce(pqdb_db *db, struct pq_db_table *own, pqdb_error *err) {
    pqdb_error why = {0};
    if (own->iceberg == NULL) {
        PQ_TRY(pq_iceberg_open(db->store, pq_text_of(own->directory), db->env, db->alloc,
                               &own->iceberg, err));
    }
    const pqdb_code code = pq_iceberg_announce(own->iceberg, &why);
    // Metadata that cannot be read is written anew when the table changes.
    own->is_announced = code == PQDB_OK || code == PQDB_CORRUPT || code == PQDB_NOT_FOUND;
    if (own->is_announced) return PQDB_OK;
    close_metadata(own);
    if (err != NULL) *err = why;
    return code;
}

static void tidy(pqdb_db *db, struct pq_db_table *own, struct pq_arena *arena) {
    if (own->is_tidied) return;
    own->is_tidied = true;
    pq_db_remove_orphans(db, own, arena);
}

static pqdb_code look_after(struct cut *cut, struct pq_db_table *own, pqdb_error *err) {
    if (own->is_announced && own->is_tidied) return PQDB_OK;
    PQ_TRY(announce(cut->db, own, err));
    tidy(cut->db, own, &cut->arena);
    close_metadata(own);
    return PQDB_OK;
}

bool pq_db_has_newer_files(const struct pq_root_table *named) {
    for (size_t i = 0; i < named->file_count; i++) {
        const char *name = strrchr(named->files[i].path.data, '/');
        if (name != NULL && strtoull(name + 1, NULL, 10) > named->published) return true;
    }
    return false;
}

void pq_db_announce_published(pqdb_db *db, const struct pq_root *root) {
    if (db->options.read_only || pq_log_was_closed(db->log)) return;
    for (size_t i = 0; i < root->table_count; i++) {
        const struct pq_root_table *named = &root->tables[i];
        struct pq_db_table *own = pq_db_by_id(db, named->id);
        const bool is_behind = named->published < named->version || pq_db_has_newer_files(named);
        const bool may_be_new = is_behind && named->carried.length == 0;
        if (own == NULL || !own->in_root || !may_be_new || own->iceberg != NULL) continue;
        announce(db, own, NULL);  // else the next checkpoint does
        close_metadata(own);
    }
}

// ---- publish ----------------------------------------------------------------------------------

static pqdb_code list_files(struct cut *cut, const struct cut_table *table,
                            struct pq_publish *publish, pqdb_error *err) {
    const struct pq_catalog *catalog = table->snapshot->catalog;
    struct pq_segment **files = pq_arena_calloc(&cut->arena, catalog->count + 1, sizeof *files);
    if (files == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a list of files");
    size_t count = 0;
    for (size_t i = 0; i < catalog->count; i++) {
        struct pq_segment *segment = catalog->segments[i];
        if (segment->kind == PQ_SEGMENT_FILE) files[count++] = segment;
    }
    publish->files = files;
    publish->file_count = count;
    return PQDB_OK;
}

static pqdb_code publish_table(struct cut *cut, struct cut_table *table, pqdb_error *err) {
    pqdb_db *db = cut->db;
    struct pq_db_table *own = table->table;
    if (own->published_version >= table->version && !table->writes && own->published_version > 0) {
        return look_after(cut, own, err);
    }
    struct pq_publish publish = {
        .store = db->store, .directory = own->directory, .location = db->location,
        .version = cut->root.version, .time_us = cut->root.time_us, .type = table->snapshot->type,
        .rows_changed = !table->only_files || own->published_version < table->version,
        .snapshots_kept = snapshots_kept, .alloc = db->alloc};
    struct pq_db_pairs pairs;
    PQ_TRY(list_files(cut, table, &publish, err));
    PQ_TRY(pq_db_lineage(db, own, &table->root, &cut->arena, &pairs, err));
    publish.properties = pairs.pairs;
    publish.property_count = pairs.count;
    struct pq_iceberg_outcome outcome;
    PQ_TRY(write_metadata(own, &publish, cut, &outcome, err));
    own->published_version = cut->root.version;
    own->is_announced = true;
    PQ_TRY(pq_db_release(db, own, &outcome, err));
    tidy(db, own, &cut->arena);
    return PQDB_OK;
}

/// A table whose rows in memory travel in the root is not published: its metadata stays at the
/// version whose rows all are in files.
static bool is_complete(const struct cut_table *table) {
    return table->root.carried.length == 0 && !table->is_unbuilt;
}

pqdb_code pq_db_publish_metadata(struct cut *cut, pqdb_error *err) {
    for (size_t i = 0; i < cut->table_count; i++) {
        if (is_complete(&cut->tables[i])) PQ_TRY(publish_table(cut, &cut->tables[i], err));
    }
    return PQDB_OK;
}
