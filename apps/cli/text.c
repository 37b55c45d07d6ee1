/// apps/cli/text.c: numbers, sizes and times as people read them; files as a whole.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/zone.h"
#include "cli/cli.h"

enum { read_bytes = 1 << 16 };

const char *cli_time(const struct cli *cli, int64_t us, char room[40]) {
    if (us == 0) return NULL;
    const bool people = cli_is_for_people(cli);
    const time_t seconds = (time_t)(us / 1000000);
    const int left = (int)(us % 1000000);
    struct tm civil;
    gmtime_r(&seconds, &civil);
    const size_t length =
        strftime(room, 40, people ? "%Y-%m-%d %H:%M:%S" : "%Y-%m-%dT%H:%M:%S", &civil);
    const bool fine = !people && left % 1000 != 0;  // a time in JSON is not rounded
    snprintf(room + length, 40 - length, fine ? ".%06d%s" : ".%03d%s", fine ? left : left / 1000,
             people ? " UTC" : "Z");
    return room;
}

const char *cli_time_in(const char *zone_name, int64_t us, char room[64]) {
    const struct pq_zone *zone;
    room[0] = '\0';
    if (strcmp(zone_name, "UTC") == 0) return room;
    if (pq_zone_find(pq_text_of(zone_name), &zone, NULL) != PQDB_OK) return room;
    const time_t seconds = (time_t)(us / 1000000 + pq_zone_offset(zone, us / 1000000));
    struct tm civil;
    gmtime_r(&seconds, &civil);
    const size_t length = strftime(room, 64, "%a %H:%M ", &civil);
    snprintf(room + length, 64 - length, "%.48s", zone_name);
    return room;
}

const char *cli_minute(int64_t us, char room[40]) {
    const time_t seconds = (time_t)(us / 1000000);
    struct tm civil;
    gmtime_r(&seconds, &civil);
    strftime(room, 40, "%Y-%m-%d %H:%M UTC", &civil);
    return room;
}

/// "4 min": the largest unit of which there is one.
static void print_span(int64_t seconds, char room[24]) {
    static const struct {
        int seconds;
        const char *unit;
    } units[] = {{86400, "d"}, {3600, "h"}, {60, "min"}, {1, "s"}};
    size_t unit = 0;
    while (unit < 3 && seconds < units[unit].seconds) unit++;
    snprintf(room, 24, "%" PRId64 " %s", seconds / units[unit].seconds, units[unit].unit);
}

const char *cli_ago(const struct cli *cli, int64_t us, char room[40]) {
    if (us == 0 || !cli_is_for_people(cli)) return cli_time(cli, us, room);
    const int64_t past = (int64_t)time(NULL) - us / 1000000;
    char span[24];
    print_span(past < 0 ? -past : past, span);
    snprintf(room, 40, past < 0 ? "in %s" : "%s ago", span);
    return room;
}

const char *cli_age(const struct cli *cli, int64_t us, char room[40]) {
    if (us == 0 || !cli_is_for_people(cli)) return cli_time(cli, us, room);
    const int64_t past = (int64_t)time(NULL) - us / 1000000;
    print_span(past < 0 ? 0 : past, room);
    return room;
}

const char *cli_period(int64_t us, char room[24]) {
    static const struct {
        int64_t us;
        const char *unit;
    } units[] = {{INT64_C(86400000000), "d"}, {INT64_C(3600000000), "h"}, {60000000, "m"},
                 {1000000, "s"}, {1000, "ms"}};
    size_t unit = us == 0 ? 3 : 0;
    while (unit < 4 && us % units[unit].us != 0) unit++;
    snprintf(room, 24, "%" PRId64 "%s", us / units[unit].us, units[unit].unit);
    return room;
}

const char *cli_version(uint64_t version, char room[32]) {
    if (version == 0) return NULL;
    snprintf(room, 32, "seq-%" PRIu64, version);
    return room;
}

const char *cli_took(const struct cli *cli, int64_t us, char room[24]) {
    if (cli_is_for_people(cli)) return cli_duration(us, room);
    snprintf(room, 24, "%.3f", (double)us / 1e3);
    return room;
}

const char *cli_size(const struct cli *cli, uint64_t bytes, char room[24]) {
    if (cli_is_for_people(cli)) return cli_bytes(bytes, room);
    snprintf(room, 24, "%" PRIu64, bytes);
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
        snprintf(room, 24, us < 1 ? "< 1 µs" : "%d µs", (int)us);
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
    const bool is_stdin = strcmp(path, "-") == 0;
    const int file = is_stdin ? STDIN_FILENO : open(cli_path(cli, path), O_RDONLY | O_CLOEXEC);
    if (is_stdin) path = "stdin";
    if (file < 0) return fail_file(cli, path, strerror(errno));
    struct pq_bytes text;
    pq_bytes_init(&text, &cli->arena.alloc);
    pqdb_code code = PQDB_OK;
    ssize_t got = 1;
    while (code == PQDB_OK && got > 0) {
        code = pq_bytes_reserve(&text, read_bytes, NULL);
        if (code != PQDB_OK) break;
        uint8_t *end = text.data + text.length;
        got = is_stdin ? cli_read_stdin(cli, end, read_bytes - 1) : read(file, end, read_bytes - 1);
        if (got > 0) text.length += (size_t)got;
    }
    const int number = errno;
    if (!is_stdin) close(file);
    if (code != PQDB_OK) return fail_file(cli, path, "does not fit into memory");
    if (got < 0) return fail_file(cli, path, strerror(number));
    text.data[text.length] = '\0';
    *length = text.length;
    return (const char *)text.data;
}
