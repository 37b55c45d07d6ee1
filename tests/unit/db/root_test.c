/// Goal: a root reads back as it was written; any flipped byte and any cut of the newest is CORRUPT
/// (or UNSUPPORTED, where the format's number is) and names the file; the older one is not taken
/// for it.
#include "db/root.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "support/fault_store.h"
#include "support/test.h"

static pqdb_error err;

static struct pq_root make_root(uint64_t version, struct pq_root_table tables[2]) {
    static const uint64_t dead[] = {5, 1};
    static const struct pq_root_file files[] = {
        {.path = {"Item/data/1.parquet", 19}, .bytes = 1234, .rows = 70,
         .dead = {(const char *)dead, sizeof dead}},
        {.path = {"Item/data/2.parquet", 19}, .bytes = UINT64_C(5) << 32, .rows = 1}};
    static const struct pq_run_name runs[] = {{.id = 7, .rows = 3}, {.id = 2, .rows = 9}};
    static const struct pq_root_state states[] = {
        {.name = {"groups", 6}, .runs = runs, .run_count = 2},
        {.name = {"counts 0", 8}, .runs = runs, .run_count = 0},
        {.name = {"creation 1 by 2", 15}, .runs = runs, .run_count = 1}};
    tables[0] = (struct pq_root_table){.name = {"Item", 4}, .id = 1, .version = version,
                                       .next_seq = 90, .published = version - 1,
                                       .lost_before = version - 2, .files = files,
                                       .file_count = 2, .carried = {"carried rows", 12},
                                       .names = {"\0\1names", 7}};
    tables[1] = (struct pq_root_table){.name = {"View \"x\"", 8}, .id = 4, .version = 3,
                                       .states = states, .state_count = 3,
                                       .refresh_version = UINT64_C(0xFEDCBA9876543210),
                                       .reflects = 2, .pace = PQ_ROOT_BY_REFRESHES,
                                       .kept = true, .refreshed_us = 1768471200000001,
                                       .last = {PQ_REFRESH_FULL, PQ_WHY_COST, 12, 3400},
                                       .failure = {"the sum does not fit", 20},
                                       .columns = {"[{\"id\":2,\"name\":\"a%s\"}]", 23},
                                       .names_of = 1, .is_old = true,
                                       .reflects_position = {.segment = 1, .offset = 64,
                                                             .frame = 2, .version = 3,
                                                             .check = UINT64_MAX}};
    return (struct pq_root){.version = version, .time_us = 1768471200000000,
                            .position = {.segment = 3, .offset = 512, .frame = 9,
                                         .version = version + 1, .check = 77},
                            .tables = tables, .table_count = 2, .tokens = states[2],
                            .run_id = 7};
}

static bool same_text(struct pq_text a, struct pq_text b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static bool same_runs(const struct pq_root_state *a, const struct pq_root_state *b) {
    if (a->run_count != b->run_count) return false;
    for (size_t k = 0; k < a->run_count; k++) {
        if (a->runs[k].id != b->runs[k].id || a->runs[k].rows != b->runs[k].rows) return false;
    }
    return true;
}

static void check_same(const struct pq_root *read, const struct pq_root *root) {
    CHECK(read->version == root->version && read->time_us == root->time_us &&
              read->run_id == root->run_id && same_runs(&read->tokens, &root->tokens) &&
              read->table_count == 2 &&
              memcmp(&read->position, &root->position, sizeof root->position) == 0, "the root");
    for (size_t i = 0; i < 2 && read->table_count == 2; i++) {
        const struct pq_root_table *a = &read->tables[i], *b = &root->tables[i];
        CHECK(same_text(a->name, b->name) && a->id == b->id && a->version == b->version &&
                  a->next_seq == b->next_seq && a->published == b->published &&
                  a->lost_before == b->lost_before &&
                  a->refresh_version == b->refresh_version && a->reflects == b->reflects &&
                  a->pace == b->pace && a->kept == b->kept && a->is_old == b->is_old &&
                  a->names_of == b->names_of && same_text(a->columns, b->columns) &&
                  a->refreshed_us == b->refreshed_us && a->last.kind == b->last.kind &&
                  a->last.why == b->last.why && a->last.rows == b->last.rows &&
                  a->last.took_us == b->last.took_us && a->state_count == b->state_count &&
                  memcmp(&a->reflects_position, &b->reflects_position,
                         sizeof a->reflects_position) == 0, "table %zu", i);
        CHECK(same_text(a->carried, b->carried) && same_text(a->names, b->names) &&
                  same_text(a->failure, b->failure), "blobs of table %zu", i);
        CHECK(a->file_count == b->file_count, "table %zu", i);
        for (size_t k = 0; k < a->file_count; k++) {
            CHECK(same_text(a->files[k].path, b->files[k].path) &&
                      a->files[k].bytes == b->files[k].bytes &&
                      a->files[k].rows == b->files[k].rows &&
                      same_text(a->files[k].dead, b->files[k].dead), "file %zu", k);
        }
        for (size_t k = 0; k < a->state_count; k++) {
            CHECK(same_text(a->states[k].name, b->states[k].name) &&
                      same_runs(&a->states[k], &b->states[k]),
                  "state %zu", k);
        }
    }
}

static pqdb_code read_root(struct pq_store *store, const struct pq_root *expected) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_root root = {0};
    bool found = false;
    err = (pqdb_error){0};
    const pqdb_code code = pq_root_read_newest(store, &arena, &root, &found, &err);
    if (code == PQDB_OK && found) check_same(&root, expected);
    CHECK(code != PQDB_OK || found == (expected != NULL), "found or not");
    pq_arena_deinit(&arena);
    return code;
}

static const char newest[] = PQ_STATE_DIRECTORY "/00000000000000000041.root";

static struct fault_store *with_roots(struct pq_root *last, struct pq_root_table tables[2]) {
    struct fault_store *disk = fault_store_create();
    struct pq_root_table older_tables[2];
    const struct pq_root older = make_root(9, older_tables);
    *last = make_root(41, tables);
    CHECK(pq_store_make_directory(&disk->base, PQ_STATE_DIRECTORY, &err) == PQDB_OK, "%s",
          err.message);
    CHECK(read_root(&disk->base, NULL) == PQDB_OK, "%s", err.message);
    CHECK(pq_root_write(&disk->base, &older, &pq_alloc_libc, &err) == PQDB_OK &&
              pq_root_write(&disk->base, last, &pq_alloc_libc, &err) == PQDB_OK, "%s",
          err.message);
    return disk;
}

static void a_root_reads_back_as_written(void) {
    struct pq_root root;
    struct pq_root_table tables[2];
    struct fault_store *disk = with_roots(&root, tables);
    CHECK(read_root(&disk->base, &root) == PQDB_OK, "%s: %s", err.subject, err.message);
    fault_store_destroy(disk);
}

static void every_flipped_byte_is_noticed(void) {
    struct pq_root root;
    struct pq_root_table tables[2];
    struct fault_store *disk = with_roots(&root, tables);
    uint64_t at = 0;
    for (; fault_store_flip(&disk->base, newest, at, (uint8_t)(1 << at % 8)); at++) {
        const pqdb_code code = read_root(&disk->base, &root);
        const bool is_number = at >= 8 && at < 12;
        CHECK(code == PQDB_CORRUPT || (is_number && code == PQDB_UNSUPPORTED),
              "byte %" PRIu64 ": code %d", at, (int)code);
        CHECK(strcmp(err.subject, newest) == 0, "byte %" PRIu64 ": subject '%s'", at, err.subject);
        fault_store_flip(&disk->base, newest, at, (uint8_t)(1 << at % 8));
    }
    CHECK(at > 500, "%" PRIu64 " bytes", at);
    CHECK(read_root(&disk->base, &root) == PQDB_OK, "%s", err.message);
    fault_store_destroy(disk);
}

static void every_cut_is_noticed(void) {
    struct pq_root root;
    struct pq_root_table tables[2];
    struct fault_store *disk = with_roots(&root, tables);
    struct pq_file *file;
    uint64_t bytes;
    CHECK(pq_file_open(&disk->base, newest, PQ_OPEN_WRITE, &file, &err) == PQDB_OK &&
              pq_file_size(file, &bytes, &err) == PQDB_OK, "%s", err.message);
    while (bytes-- > 0) {
        CHECK(pq_file_truncate(file, bytes, &err) == PQDB_OK, "%s", err.message);
        const pqdb_code code = read_root(&disk->base, &root);
        CHECK(code == PQDB_CORRUPT && strcmp(err.subject, newest) == 0,
              "%" PRIu64 " bytes: code %d: %s", bytes, (int)code, err.subject);
    }
    pq_file_close(file);
    fault_store_destroy(disk);
}

int main(void) {
    RUN(a_root_reads_back_as_written);
    RUN(every_flipped_byte_is_noticed);
    RUN(every_cut_is_noticed);
    return test_done();
}
