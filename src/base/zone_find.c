/// The process's zones: read once from the system's tz database, kept until the process ends.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/fail.h"
#include "base/zone.h"

enum { file_bytes_max = 1 << 20, name_bytes_max = 64, names_max = 1024 };

static const char *const folders[] = {"/usr/share/zoneinfo", "/usr/lib/zoneinfo",
                                      "/usr/share/lib/zoneinfo", "/etc/zoneinfo"};
enum { folder_count = sizeof folders / sizeof *folders };

struct kept {
    struct kept *next;
    struct pq_zone *zone;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;  // guards first_kept
static struct kept *first_kept;

/// The whole file at folders[folder]/name. PQDB_NOT_FOUND when there is no such file.
static pqdb_code read_file(size_t folder, struct pq_text name, struct pq_bytes *bytes,
                           pqdb_error *err) {
    char path[128];
    snprintf(path, sizeof path, "%s/%.*s", folders[folder], PQ_TEXT_ARG(name));
    FILE *file = fopen(path, "rb");
    if (file == NULL) return pq_fail(err, PQDB_NOT_FOUND, "%s does not open", path);
    pqdb_code code = PQDB_OK;
    size_t got = 0;
    do {
        PQ_GO(pq_bytes_reserve(bytes, 4096, err));
        got = fread(bytes->data + bytes->length, 1, bytes->capacity - bytes->length, file);
        bytes->length += got;
    } while (got > 0 && bytes->length <= file_bytes_max);
    if (ferror(file)) code = pq_fail(err, PQDB_NOT_FOUND, "%s is no file", path);  // a folder
    if (bytes->length > file_bytes_max) code = pq_fail(err, PQDB_LIMIT, "%s is too large", path);
done:
    fclose(file);
    return code;
}

static pqdb_code read_from_folders(struct pq_text name, struct pq_bytes *bytes, pqdb_error *err) {
    pqdb_code code = PQDB_NOT_FOUND;
    for (size_t i = 0; i < folder_count && code == PQDB_NOT_FOUND; i++) {
        bytes->length = 0;
        code = read_file(i, name, bytes, err);
    }
    return code;
}

/// Letters, digits and `_ + - /`: no way out of the folder, no hidden or auxiliary file.
static bool is_name(struct pq_text name) {
    if (name.length == 0 || name.length > name_bytes_max) return false;
    for (size_t i = 0; i < name.length; i++) {
        const char c = name.data[i];
        const bool is_letter = ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
        const bool is_other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '/';
        if (!is_letter && !(is_other && i > 0)) return false;
    }
    return !pq_text_is(name, "localtime") && !pq_text_is(name, "posixrules");
}

/// Names are in tzdata.zi as "Z Europe/Berlin 0:53…" and "L Europe/Berlin Europe/Oslo".
static pqdb_code fail_unknown(struct pq_text name, pqdb_error *err) {
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    const char *names[names_max];
    size_t count = 0;
    const char *nearest = NULL;
    if (read_from_folders(PQ_TEXT("tzdata.zi"), &bytes, NULL) == PQDB_OK &&
        pq_bytes_append_byte(&bytes, '\0', NULL) == PQDB_OK) {
        for (char *line = (char *)bytes.data; line != NULL && count < names_max;) {
            char *next = strchr(line, '\n');
            if (next != NULL) *next++ = '\0';
            const bool is_link = strncmp(line, "L ", 2) == 0;
            if (is_link || strncmp(line, "Z ", 2) == 0) {
                char *start = line + 2;
                char *space = strchr(start, ' ');
                if (space != NULL) *space = '\0';
                names[count++] = is_link && space != NULL ? space + 1 : start;
            }
            line = next;
        }
        nearest = pq_text_nearest(name, names, count);
    }
    const int shown = (int)(name.length < name_bytes_max ? name.length : name_bytes_max);
    const pqdb_code code =
        nearest == NULL
            ? pq_fail(err, PQDB_INVALID, "no time zone '%.*s'; give an IANA name like Europe/Paris",
                      shown, name.data)
            : pq_fail(err, PQDB_INVALID, "no time zone '%.*s'; did you mean %s?", shown, name.data,
                      nearest);
    pq_bytes_deinit(&bytes);
    return code;
}

static pqdb_code load(struct pq_text name, struct pq_zone **zone, pqdb_error *err) {
    static const char utc[] = "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                              "\0\0\0\0\0\0\0\0TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                              "\0\0\0\0\0\0\0\0\0\0\0\001\0\0\0\004\0\0\0\0\0\0UTC\0\nUTC0\n";
    if (pq_text_is(name, "UTC")) {
        return pq_zone_parse(name, (struct pq_text){utc, sizeof utc - 1}, &pq_alloc_libc, zone,
                             err);
    }
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    pqdb_code code = is_name(name) ? read_from_folders(name, &bytes, err) : PQDB_NOT_FOUND;
    const bool is_zone = bytes.length >= 4 && memcmp(bytes.data, "TZif", 4) == 0;
    if (code == PQDB_NOT_FOUND || (code == PQDB_OK && !is_zone)) {
        code = fail_unknown(name, err);
    } else if (code == PQDB_OK) {
        code = pq_zone_parse(name, pq_bytes_text(&bytes), &pq_alloc_libc, zone, err);
    }
    if (code != PQDB_OK && err != NULL) {
        snprintf(err->subject, sizeof err->subject, "%.*s",
                 (int)(name.length < name_bytes_max ? name.length : name_bytes_max), name.data);
    }
    pq_bytes_deinit(&bytes);
    return code;
}

static struct kept *keep(struct pq_zone *zone) {
    struct kept *kept = pq_resize(&pq_alloc_libc, NULL, 0, 1, sizeof *kept);
    if (kept == NULL) return NULL;
    *kept = (struct kept){first_kept, zone};
    return first_kept = kept;
}

pqdb_code pq_zone_find(struct pq_text name, const struct pq_zone **zone, pqdb_error *err) {
    pthread_mutex_lock(&lock);
    struct kept *kept = first_kept;
    while (kept != NULL && !pq_text_is(name, pq_zone_name(kept->zone))) kept = kept->next;
    pqdb_code code = PQDB_OK;
    if (kept == NULL) {
        struct pq_zone *fresh = NULL;
        code = load(name, &fresh, err);
        if (code == PQDB_OK && (kept = keep(fresh)) == NULL) {
            pq_zone_destroy(fresh);
            code = pq_fail(err, PQDB_NO_MEMORY, "time zone");
        }
    }
    if (code == PQDB_OK) *zone = kept->zone;
    pthread_mutex_unlock(&lock);
    return code;
}

static pthread_once_t version_once = PTHREAD_ONCE_INIT;
static char version[32] = "unknown";

/// The first line of tzdata.zi is "# version 2025b".
static void read_version(void) {
    static const char prefix[] = "# version ";
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    if (read_from_folders(PQ_TEXT("tzdata.zi"), &bytes, NULL) == PQDB_OK &&
        pq_text_starts_with(pq_bytes_text(&bytes), pq_text_of(prefix))) {
        const char *start = (const char *)bytes.data + sizeof prefix - 1;
        const size_t left = bytes.length - (sizeof prefix - 1);
        const char *end = memchr(start, '\n', left);
        if (end != NULL && end - start < (ptrdiff_t)sizeof version) {
            snprintf(version, sizeof version, "%.*s", (int)(end - start), start);
        }
    }
    pq_bytes_deinit(&bytes);
}

const char *pq_zone_database_version(void) {
    pthread_once(&version_once, read_version);
    return version;
}
