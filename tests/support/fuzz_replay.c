/// Runs a fuzz target once over the empty input and over every file of the given folders: the kept
/// corpus is a regression test in presets without libFuzzer.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    const size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(size + 1);  // the exact size is handed on below, for ASan
    if (data == NULL || fread(data, 1, size, file) != size) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    fclose(file);
    uint8_t *exact = realloc(data, size == 0 ? 1 : size);
    LLVMFuzzerTestOneInput(exact == NULL ? data : exact, size);
    free(exact == NULL ? data : exact);
}

static size_t replay_folder(const char *folder) {
    DIR *dir = opendir(folder);
    if (dir == NULL) return 0;  // a new target has no corpus yet
    size_t count = 0;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.') continue;
        const int length = snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (length < 0 || (size_t)length >= sizeof path) continue;
        replay_file(path);
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv) {
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    size_t count = 0;
    for (int i = 1; i < argc; i++) count += replay_folder(argv[i]);
    printf("%zu inputs replayed\n", count);
    return EXIT_SUCCESS;
}
