/// Files that others wrote: below PQ_CORPUS_DIR, else ../shared/corpus beside the project.
#ifndef PQ_TEST_CORPUS_H
#define PQ_TEST_CORPUS_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "support/test.h"

static inline const char *corpus_folder(void) {
    const char *given = getenv("PQ_CORPUS_DIR");
    return given == NULL ? PQ_PROJECT_DIR "/../shared/corpus" : given;
}

/// The whole file into `bytes`, which the caller deinits; false when it is not there.
static inline bool corpus_read_file(const char *path, struct pq_bytes *bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    pq_bytes_init(bytes, &pq_alloc_libc);
    char room[65536];
    size_t length;
    while ((length = fread(room, 1, sizeof room, file)) > 0) {
        CHECK(pq_bytes_append(bytes, room, length, NULL) == PQDB_OK, "room");
    }
    fclose(file);
    return true;
}

/// Open a folder of the corpus; without it a line says so, and the test has passed.
static inline DIR *corpus_open(const char *folder, char path[4096]) {
    snprintf(path, 4096, "%s/%s", corpus_folder(), folder);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        fprintf(stderr, "    skipped: there is no corpus at %s\n", path);
        CHECK(true, "a corpus is not required");
    }
    return dir;
}

#endif
