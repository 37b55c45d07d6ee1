/// A directory of its own for a test that needs the real file system; removed with all its content.
#ifndef PQ_TEST_TEMP_H
#define PQ_TEST_TEMP_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct temp_directory {
    char path[256];
};

/// Below TMPDIR, or /tmp. Stops the test when that fails.
static inline struct temp_directory temp_directory_make(void) {
    struct temp_directory made;
    const char *base = getenv("TMPDIR");
    snprintf(made.path, sizeof made.path, "%s/parquedb-XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(made.path) == NULL) {
        perror(made.path);
        exit(EXIT_FAILURE);
    }
    return made;
}

static inline int temp_remove_one(const char *path, const struct stat *status, int kind,
                                  struct FTW *walk) {
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static inline void temp_directory_remove(const struct temp_directory *directory) {
    nftw(directory->path, temp_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
