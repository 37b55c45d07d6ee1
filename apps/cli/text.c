/// apps/cli/text.c: numbers, sizes and times as people read them; files as a whole.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"

const char *cli_time(int64_t us, char room[40]) {
    if (us == 0) return "-";
    const time_t seconds = (time_t)(us / 1000000);
    struct tm civil;
    gmtime_r(&seconds, &civil);
    const size_t length = strftime(room, 40, "%Y-%m-%d %H:%M:%S", &civil);
    snprintf(room + length, 40 - length, ".%03d UTC", (int)(us % 1000000 / 1000));
    return room;
}

const char *cli_bytes(uint64_t bytes, char room[24]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes;
    size_t unit = 0;
    for (; size >= 1024 && unit < 4; unit++) size /= 1024;
    snprintf(room, 24, unit == 0 ? "%.0f %s" : "%.1f %s", size, units[unit]);
    return room;
}

const char *cli_count(uint64_t count, char room[32]) {
    char digits[24];
    const int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
    int at = 0;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0) room[at++] = ',';
        room[at++] = digits[i];
    }
    room[at] = '\0';
    return room;
}

const char *cli_duration(int64_t us, char room[24]) {
    if (us < 1000) {
        snprintf(room, 24, "%" PRId64 " us", us);
    } else if (us < 1000000) {
        snprintf(room, 24, "%.1f ms", (double)us / 1e3);
    } else {
        snprintf(room, 24, "%.1f s", (double)us / 1e6);
    }
    return room;
}

double cli_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

char *cli_read_all(const struct cli *cli, const char *path, size_t *length) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    size_t capacity = 1 << 16, used = 0;
    char *text = file == NULL ? NULL : malloc(capacity);
    while (text != NULL) {
        used += fread(text + used, 1, capacity - used - 1, file);
        if (used < capacity - 1) break;
        capacity *= 2;
        char *grown = realloc(text, capacity);
        if (grown == NULL) free(text);
        text = grown;
    }
    if (text == NULL || ferror(file)) {
        pqdb_error err = {.code = PQDB_IO, .offset = -1};
        snprintf(err.subject, sizeof err.subject, "%s", path);
        snprintf(err.message, sizeof err.message, "%s", strerror(errno));
        cli_fail(cli, &err);
        free(text);
        text = NULL;
    } else {
        text[used] = '\0';
        *length = used;
    }
    if (file != NULL && file != stdin) fclose(file);
    return text;
}
