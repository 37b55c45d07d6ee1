/// apps/cli/text.c: numbers, sizes and times as people read them; files as a whole.
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "cli/cli.h"

enum { read_bytes = 1 << 16 };

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

static const char *fail_file(const struct cli *cli, const char *path, const char *why) {
    pqdb_error err = {.code = PQDB_IO, .offset = -1};
    snprintf(err.subject, sizeof err.subject, "%s", path);
    snprintf(err.message, sizeof err.message, "%s", why);
    cli_fail(cli, &err);
    return NULL;
}

const char *cli_read_all(struct cli *cli, const char *path, size_t *length) {
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (file == NULL) return fail_file(cli, path, strerror(errno));
    struct pq_bytes text;
    pq_bytes_init(&text, &cli->arena.alloc);
    pqdb_code code = PQDB_OK;
    size_t got = 1;
    while (code == PQDB_OK && got > 0) {
        code = pq_bytes_reserve(&text, read_bytes, NULL);
        if (code != PQDB_OK) break;
        got = fread(text.data + text.length, 1, read_bytes - 1, file);
        text.length += got;
    }
    const bool failed = ferror(file) != 0;
    const int number = errno;
    if (file != stdin) fclose(file);
    if (code != PQDB_OK) return fail_file(cli, path, "does not fit into memory");
    if (failed) return fail_file(cli, path, strerror(number));
    text.data[text.length] = '\0';
    *length = text.length;
    return (const char *)text.data;
}
