/// Goal: a checkpoint writes over no file, whatever names an earlier opening has given.
#include <inttypes.h>
#include <parquedb/db.h>
#include <parquedb/query.h>
#include <parquedb/write.h>
#include <stdio.h>
#include <string.h>

#include "support/temp.h"
#include "support/test.h"

enum { STRANGERS = 16 };

static void path_of(const char *root, unsigned id, char path[512]) {
    snprintf(path, 512, "%s/Orders/data/%020d-%08x.parquet", root, 2, id);
}

static void put_strangers(const char *root) {
    for (unsigned id = 1; id <= STRANGERS; id++) {
        char path[512];
        path_of(root, id, path);
        FILE *file = fopen(path, "w");
        CHECK(file != NULL && fputs("mine", file) >= 0, "%s", path);
        if (file != NULL) fclose(file);
    }
}

static bool are_strangers_whole(const char *root) {
    for (unsigned id = 1; id <= STRANGERS; id++) {
        char path[512], text[8] = "";
        path_of(root, id, path);
        FILE *file = fopen(path, "r");
        const size_t length = file == NULL ? 0 : fread(text, 1, sizeof text - 1, file);
        if (file != NULL) fclose(file);
        if (length != 4 || memcmp(text, "mine", 4) != 0) return false;
    }
    return true;
}

static void a_checkpoint_writes_over_no_file(void) {
    static const char schema[] = "{ Orders: { total: 'int' } }";
    const struct temp_directory temp = temp_directory_make();
    char root[300];
    pqdb_error err = {0};
    pqdb_db *db = NULL;
    pqdb_written written;
    snprintf(root, sizeof root, "%s/db", temp.path);
    CHECK(pqdb_init(root, schema, strlen(schema), NULL, NULL, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_open(root, NULL, &db, &err) == PQDB_OK, "%s", err.message);
    for (int version = 1; version <= 2; version++) {
        CHECK(pqdb_create(db, "Orders", "{\"total\":1}", 11, NULL, &written, &err) == PQDB_OK, "%s",
              err.message);
        if (version == 2) put_strangers(root);
        CHECK(pqdb_checkpoint(db, &err) == PQDB_OK, "%s", err.message);
    }
    CHECK(are_strangers_whole(root), "a file of version 2 was written over");
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
    CHECK(pqdb_open(root, NULL, &db, &err) == PQDB_OK, "%s", err.message);
    uint64_t count = 0;
    CHECK(pqdb_count(db, "Orders", NULL, &count, &err) == PQDB_OK && count == 2,
          "%" PRIu64 " rows: %s", count, err.message);
    CHECK(pqdb_close(db, &err) == PQDB_OK, "%s", err.message);
    temp_directory_remove(&temp);
}

int main(void) {
    RUN(a_checkpoint_writes_over_no_file);
    return test_done();
}
