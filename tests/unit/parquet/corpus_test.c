/// Foreign files: every one of apache/parquet-testing is read as a whole, or refused with a reason;
/// none of bad_data does harm. The interop tests compare the cells with other readers', by running
/// this program with a file's name: it prints a JSON line of names, then one a row.
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "parquet/reader.h"
#include "support/column_json.h"
#include "support/corpus.h"
#include "support/memory_file.h"
#include "support/test.h"

static void print_names(const struct pq_batch *batch) {
    struct pq_bytes line;
    pq_bytes_init(&line, &pq_alloc_libc);
    for (uint32_t k = 0; k < batch->type->field_count; k++) {
        pq_bytes_printf(&line, NULL, k == 0 ? "[" : ",");
        pq_json_write_text(&line, batch->type->fields[k].name, NULL);
    }
    printf("%.*s]\n", PQ_TEXT_ARG(pq_bytes_text(&line)));
    pq_bytes_deinit(&line);
}

static void print_rows(const struct pq_batch *batch) {
    struct pq_bytes line;
    pq_bytes_init(&line, &pq_alloc_libc);
    for (size_t i = 0; i < batch->count; i++) {
        line.length = 0;
        for (uint32_t k = 0; k < batch->type->field_count; k++) {
            pq_bytes_printf(&line, NULL, k == 0 ? "[" : ",");
            column_json(&batch->columns[k], i, &line);
        }
        printf("%.*s]\n", PQ_TEXT_ARG(pq_bytes_text(&line)));
    }
    pq_bytes_deinit(&line);
}

/// Read all rows of all members that can be read; the first refusal or damage ends it.
static pqdb_code read_all(struct pq_bytes *bytes, bool print, pqdb_error *err) {
    const struct pq_parquet_source source = memory_file_source(bytes);
    struct pq_parquet_file *file;
    pqdb_code code = pq_parquet_open(&source, bytes->length, NULL, &pq_alloc_libc, &file, err);
    if (code != PQDB_OK) return code;
    uint32_t fields[1000];
    size_t field_count = 0;
    const struct pq_type *type = pq_parquet_type(file);
    for (uint32_t k = 0; k < type->field_count && k < 1000; k++) {
        if (pq_parquet_unreadable(file, k) == NULL) {
            fields[field_count++] = k;
        } else if (print) {
            fprintf(stderr, "%.*s: %s\n", PQ_TEXT_ARG(type->fields[k].name),
                    pq_parquet_unreadable(file, k));
        }
    }
    if (field_count == 0) code = pq_fail(err, PQDB_UNSUPPORTED, "no member can be read");
    for (size_t g = 0; g < pq_parquet_group_count(file) && code == PQDB_OK; g++) {
        struct pq_hold *hold;
        CHECK(pq_hold_create(&pq_alloc_libc, &hold, NULL) == PQDB_OK, "hold");
        const struct pq_parquet_request request = {.fields = fields,
                                                   .field_count = field_count,
                                                   .group = g,
                                                   .row_count = UINT64_MAX,
                                                   .hold = hold};
        struct pq_batch batch;
        code = pq_parquet_read(file, &request, &hold->arena, &batch, err);
        if (code == PQDB_OK) {
            pqdb_error unsound = {0};
            for (size_t k = 0; k < field_count; k++) {
                CHECK(pq_column_is_sound(&batch.columns[k], &unsound), "%s", unsound.message);
            }
            if (print && g == 0) print_names(&batch);
            if (print) print_rows(&batch);
        }
        pq_hold_unref(hold);
    }
    pq_parquet_close(file);
    return code;
}

/// Files that are rightly refused.
static const struct {
    const char *name;
    pqdb_code code;
} refused[] = {
    {"datapage_v1-corrupt-checksum.parquet", PQDB_CORRUPT},
    {"rle-dict-uncompressed-corrupt-checksum.parquet", PQDB_CORRUPT},
    {"large_string_map.brotli.parquet", PQDB_LIMIT},  // one text of 2 GiB, in 4.6 kB
    {"encrypt_columns_plaintext_footer.parquet.encrypted", PQDB_OK},  // but for two columns
};

static pqdb_code expected_code(const char *name) {
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (strcmp(refused[i].name, name) == 0) return refused[i].code;
    }
    return strstr(name, ".encrypted") != NULL ? PQDB_UNSUPPORTED : PQDB_OK;
}

static void each_file(const char *folder, void (*check)(const char *name, struct pq_bytes *bytes)) {
    char path[4096];
    DIR *dir = corpus_open(folder, path);
    if (dir == NULL) return;
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strstr(entry->d_name, ".parquet") == NULL || strstr(entry->d_name, ".json") != NULL) {
            continue;
        }
        struct pq_bytes bytes;
        snprintf(path, sizeof path, "%s/%s/%s", corpus_folder(), folder, entry->d_name);
        if (!corpus_read_file(path, &bytes)) continue;
        check(entry->d_name, &bytes);
        pq_bytes_deinit(&bytes);
    }
    closedir(dir);
}

static void check_good(const char *name, struct pq_bytes *bytes) {
    pqdb_error err = {0};
    const pqdb_code code = read_all(bytes, false, &err);
    CHECK(code == expected_code(name), "%s: code %d: %s %s at %lld", name, (int)code, err.subject,
          code == PQDB_OK ? "" : err.message, (long long)err.offset);
}

static void check_encrypted(const char *name, struct pq_bytes *bytes) {
    pqdb_error err = {0};
    CHECK(read_all(bytes, false, &err) == PQDB_UNSUPPORTED, "%s is not refused", name);
}

static void check_bad(const char *name, struct pq_bytes *bytes) {
    pqdb_error err = {0};
    const pqdb_code code = read_all(bytes, false, &err);
    // An RLE width of 0 is read as "always entry 0", as pyarrow, DuckDB and arrow-rs do.
    const bool is_readable = strcmp(name, "ARROW-GH-43605.parquet") == 0;
    CHECK(code == (is_readable ? PQDB_OK : PQDB_CORRUPT), "%s: code %d: %s", name, (int)code,
          code == PQDB_OK ? "" : err.message);
}

static void good_files_are_read_or_refused_with_a_reason(void) {
    each_file("parquet-testing/data", check_good);
    each_file("parquet-testing/data/geospatial", check_good);
    each_file("parquet-testing/data/aes256", check_encrypted);
    static const char *const encodings[] = {
        "PLAIN", "PLAIN_DICTIONARY", "RLE_DICTIONARY", "DELTA_BINARY_PACKED",
        "DELTA_LENGTH_BYTE_ARRAY", "DELTA_BYTE_ARRAY", "BYTE_STREAM_SPLIT"};
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
        char folder[100];
        snprintf(folder, sizeof folder, "iceberg-encodings/%s", encodings[i]);
        each_file(folder, check_good);
    }
}

static void bad_files_do_no_harm(void) { each_file("parquet-testing/bad_data", check_bad); }

int main(int argc, char **argv) {
    if (argc == 2) {
        struct pq_bytes bytes;
        pqdb_error err = {0};
        if (!corpus_read_file(argv[1], &bytes)) return 2;
        const pqdb_code code = read_all(&bytes, true, &err);
        if (code != PQDB_OK) {
            fprintf(stderr, "code %d: %s %s at %lld\n", (int)code, err.subject, err.message,
                    (long long)err.offset);
        }
        pq_bytes_deinit(&bytes);
        return code == PQDB_OK ? 0 : 1;
    }
    RUN(good_files_are_read_or_refused_with_a_reason);
    RUN(bad_files_do_no_harm);
    return test_done();
}
