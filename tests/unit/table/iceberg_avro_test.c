/// Goal: pin decoding by a table of schemas and bytes; files round-trip in every codec, many blocks
/// long; damage anywhere is found; no failed allocation goes unnoticed.
#include <inttypes.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/crc32.h"
#include "support/cases.h"
#include "support/test.h"
#include "table/iceberg/avro.h"

static const uint8_t sync_marker[PQ_AVRO_SYNC_BYTES] = "0123456789abcde";

// ---- values from bytes

static size_t parse_hex(const char *text, uint8_t *bytes) {
    size_t count = 0;
    for (unsigned byte = 0; sscanf(text, " %2x", &byte) == 1; text += 2) {
        bytes[count++] = (uint8_t)byte;
        while (*text == ' ') text++;
    }
    return count;
}

static void print_value(const struct pq_avro_value *value, struct pq_bytes *out) {
    switch (value->kind) {
        case PQ_AVRO_NULL: pq_bytes_printf(out, NULL, "null"); return;
        case PQ_AVRO_BOOL: pq_bytes_printf(out, NULL, value->as.integer ? "true" : "false"); return;
        case PQ_AVRO_INT:
        case PQ_AVRO_LONG: pq_bytes_printf(out, NULL, "%" PRId64, value->as.integer); return;
        case PQ_AVRO_FLOAT:
        case PQ_AVRO_DOUBLE: pq_bytes_printf(out, NULL, "%g", value->as.real); return;
        case PQ_AVRO_ARRAY:
            pq_bytes_printf(out, NULL, "[");
            for (size_t i = 0; i < value->count; i++) {
                if (i > 0) pq_bytes_printf(out, NULL, " ");
                print_value(&value->as.items[i], out);
            }
            pq_bytes_printf(out, NULL, "]");
            return;
        case PQ_AVRO_MAP:
            pq_bytes_printf(out, NULL, "{");
            for (size_t i = 0; i < value->count; i++) {
                if (i > 0) pq_bytes_printf(out, NULL, i % 2 == 0 ? " " : "=");
                print_value(&value->as.items[i], out);
            }
            pq_bytes_printf(out, NULL, "}");
            return;
        case PQ_AVRO_RECORD:
            pq_bytes_printf(out, NULL, "(");
            for (size_t i = 0; i < value->count; i++) {
                const struct pq_avro_member *member = &value->node->members[i];
                pq_bytes_printf(out, NULL, "%s%s", i > 0 ? " " : "", member->name.data);
                if (member->id >= 0) pq_bytes_printf(out, NULL, "#%" PRId32, member->id);
                pq_bytes_printf(out, NULL, "=");
                print_value(&value->as.items[i], out);
            }
            pq_bytes_printf(out, NULL, ")");
            return;
        default: pq_bytes_printf(out, NULL, "\"%.*s\"", PQ_TEXT_ARG(value->as.bytes));
    }
}

/// A file of one record whose bytes are given; `out` gets its print or the error.
static void decode_one(struct pq_text schema, const uint8_t *bytes, size_t count,
                       struct pq_bytes *out) {
    const struct pq_avro_options options = {.schema = schema, .sync = sync_marker};
    struct pq_avro_writer writer;
    struct pq_avro_reader *reader = NULL;
    const struct pq_avro_value *record = NULL;
    struct pq_bytes file;
    pqdb_error err = {0};
    pq_bytes_init(&file, &pq_alloc_libc);
    pq_avro_writer_init(&writer, &options, &pq_alloc_libc, &file, NULL);
    pq_bytes_append(&writer.block, bytes, count, NULL);
    pq_avro_end_record(&writer, NULL);
    pq_avro_finish(&writer, NULL);
    pq_avro_writer_deinit(&writer);
    pqdb_code code = pq_avro_open(pq_bytes_text(&file), &pq_alloc_libc, &reader, &err);
    if (code == PQDB_OK) code = pq_avro_next(reader, &record, &err);
    if (code == PQDB_OK) {
        print_value(record, out);
        code = pq_avro_next(reader, &record, &err);
        CHECK(code != PQDB_OK || record == NULL, "one record");
    }
    if (code != PQDB_OK) {
        out->length = 0;
        pq_bytes_printf(out, NULL, "%s %s", code == PQDB_CORRUPT ? "CORRUPT" : "?", err.message);
    }
    pq_avro_close(reader);
    pq_bytes_deinit(&file);
}

static void check_case(const struct test_case *test) {
    uint8_t bytes[256];
    struct pq_bytes out;
    pq_bytes_init(&out, &pq_alloc_libc);
    const size_t count = parse_hex(test->parts[1], bytes);
    decode_one(pq_text_of(test->input), bytes, count, &out);
    pq_bytes_append_byte(&out, '\0', NULL);
    case_expect(test, (const char *)out.data);
    pq_bytes_deinit(&out);
}

static void values_decode_as_the_table_says(void) {
    CHECK(cases_run("table/avro.cases", check_case) > 20, "cases");
}

// ---- whole files

static const char pair_schema[] =
    "{\"type\":\"record\",\"name\":\"r\",\"fields\":["
    "{\"name\":\"i\",\"type\":\"long\",\"field-id\":1},"
    "{\"name\":\"s\",\"type\":[\"null\",\"string\"],\"field-id\":2}]}";

static pqdb_code write_pairs(const struct pq_alloc *alloc, bool deflate, int count,
                             struct pq_bytes *file) {
    const struct pq_avro_entry entries[] = {{PQ_TEXT("content"), PQ_TEXT("data")},
                                            {PQ_TEXT("empty"), PQ_TEXT("")}};
    const struct pq_avro_options options = {.schema = pq_text_of(pair_schema),
                                            .entries = entries,
                                            .entry_count = 2,
                                            .deflate = deflate,
                                            .sync = sync_marker};
    struct pq_avro_writer writer;
    pqdb_code code = pq_avro_writer_init(&writer, &options, alloc, file, NULL);
    for (int i = 0; i < count && code == PQDB_OK; i++) {
        char text[64];
        snprintf(text, sizeof text, "value number %d", i);
        code = pq_avro_put_long(&writer.block, i - count / 2, NULL);
        if (code == PQDB_OK) code = pq_avro_put_long(&writer.block, i % 3 != 0, NULL);
        if (code == PQDB_OK && i % 3 != 0) {
            code = pq_avro_put_bytes(&writer.block, pq_text_of(text), NULL);
        }
        if (code == PQDB_OK) code = pq_avro_end_record(&writer, NULL);
    }
    if (code == PQDB_OK) code = pq_avro_finish(&writer, NULL);
    pq_avro_writer_deinit(&writer);
    return code;
}

static bool is_pair(const struct pq_avro_value *record, int i, int count) {
    char text[64];
    snprintf(text, sizeof text, "value number %d", i);
    const struct pq_avro_value *number = pq_avro_find(record, 1), *value = pq_avro_find(record, 2);
    if (number == NULL || number->as.integer != i - count / 2) return false;
    if (i % 3 == 0) return value == NULL;
    return value != NULL && pq_text_is(value->as.bytes, text);
}

static pqdb_code read_pairs(struct pq_text file, const struct pq_alloc *alloc, int count,
                            bool *is_right) {
    struct pq_avro_reader *reader = NULL;
    const struct pq_avro_value *record = NULL;
    *is_right = true;
    pqdb_code code = pq_avro_open(file, alloc, &reader, NULL);
    if (code != PQDB_OK) return code;
    *is_right = pq_text_is(pq_avro_header(reader, "content"), "data") &&
                pq_text_is(pq_avro_header(reader, "avro.schema"), pair_schema) &&
                pq_avro_header(reader, "empty").data != NULL &&
                pq_avro_header(reader, "none").data == NULL;
    for (int i = 0; code == PQDB_OK; i++) {
        code = pq_avro_next(reader, &record, NULL);
        if (code != PQDB_OK) break;
        if (record == NULL) {
            *is_right = *is_right && i == count;
            break;
        }
        *is_right = *is_right && is_pair(record, i, count);
    }
    pq_avro_close(reader);
    return code;
}

static void files_round_trip(void) {
    const int counts[] = {0, 1, 10, 20000};
    for (int i = 0; i < 8; i++) {
        struct pq_bytes file;
        bool is_right = false;
        pq_bytes_init(&file, &pq_alloc_libc);
        CHECK(write_pairs(&pq_alloc_libc, i % 2 == 0, counts[i / 2], &file) == PQDB_OK, "write");
        CHECK(read_pairs(pq_bytes_text(&file), &pq_alloc_libc, counts[i / 2], &is_right) ==
                      PQDB_OK && is_right, "%d records", counts[i / 2]);
        pq_bytes_deinit(&file);
    }
}

/// One block of ten pairs under another codec's name.
static void other_codecs_are_read(void) {
    static const struct { const char *name; const struct pq_codec *codec; } codecs[] = {
        {"snappy", &pq_codec_snappy}, {"zstandard", &pq_codec_zstd}};
    for (size_t i = 0; i < 2; i++) {
        struct pq_bytes plain, packed, file;
        bool is_right = false;
        pq_bytes_init(&plain, &pq_alloc_libc);
        pq_bytes_init(&packed, &pq_alloc_libc);
        pq_bytes_init(&file, &pq_alloc_libc);
        write_pairs(&pq_alloc_libc, false, 10, &plain);
        // The header ends with the first sync marker: take it apart there and name another codec.
        uint8_t *header_end = memmem(plain.data, plain.length, sync_marker, PQ_AVRO_SYNC_BYTES);
        uint8_t *name = memmem(plain.data, plain.length, "avro.codec", 10);
        pq_bytes_append(&file, plain.data, (size_t)(name + 10 - plain.data), NULL);
        pq_avro_put_bytes(&file, pq_text_of(codecs[i].name), NULL);
        pq_bytes_append(&file, name + 15, (size_t)(header_end + 16 - (name + 15)), NULL);
        struct pq_cursor rest =
            pq_cursor_of(header_end + 16, plain.length - (size_t)(header_end + 16 - plain.data));
        pq_cursor_varint(&rest);
        const size_t length = (size_t)pq_unzigzag(pq_cursor_varint(&rest));
        const struct pq_text block = {(const char *)rest.at, length};
        codecs[i].codec->compress(block, 0, &packed, NULL);
        if (i == 0) {
            const uint32_t check = __builtin_bswap32(pq_crc32(0, block.data, block.length));
            pq_bytes_append(&packed, &check, 4, NULL);
        }
        pq_avro_put_long(&file, 10, NULL);
        pq_avro_put_bytes(&file, pq_bytes_text(&packed), NULL);
        pq_bytes_append(&file, sync_marker, PQ_AVRO_SYNC_BYTES, NULL);
        CHECK(read_pairs(pq_bytes_text(&file), &pq_alloc_libc, 10, &is_right) == PQDB_OK &&
                  is_right, "%s", codecs[i].name);
        if (i == 0) {
            file.data[file.length - 17] ^= 1;
            CHECK(read_pairs(pq_bytes_text(&file), &pq_alloc_libc, 10, &is_right) ==
                      PQDB_CORRUPT, "snappy's checksum");
        }
        pq_bytes_deinit(&plain);
        pq_bytes_deinit(&packed);
        pq_bytes_deinit(&file);
    }
}

static void no_prefix_of_a_file_is_a_file(void) {
    struct pq_bytes file;
    bool is_right = false;
    pq_bytes_init(&file, &pq_alloc_libc);
    write_pairs(&pq_alloc_libc, true, 10, &file);
    size_t accepted = 0;
    for (size_t length = 0; length < file.length; length++) {
        const struct pq_text prefix = {(const char *)file.data, length};
        const pqdb_code code = read_pairs(prefix, &pq_alloc_libc, 10, &is_right);
        CHECK(code == PQDB_OK || code == PQDB_CORRUPT, "prefix of %zu bytes: %d", length, code);
        accepted += code == PQDB_OK;
    }
    CHECK(accepted == 1, "only the header without blocks, an empty file, is whole: %zu", accepted);
    pq_bytes_deinit(&file);
}

static void a_wrong_sync_marker_is_damage(void) {
    struct pq_bytes file;
    bool is_right = false;
    pq_bytes_init(&file, &pq_alloc_libc);
    write_pairs(&pq_alloc_libc, true, 10, &file);
    file.data[file.length - 1] ^= 1;
    CHECK(read_pairs(pq_bytes_text(&file), &pq_alloc_libc, 10, &is_right) == PQDB_CORRUPT, "sync");
    pq_bytes_deinit(&file);
}

static void every_failed_allocation_is_reported_and_leaks_nothing(void) {
    pqdb_code code = PQDB_NO_MEMORY;
    for (long fail_at = 0; code == PQDB_NO_MEMORY; fail_at++) {
        struct failing_alloc failing = {.alloc = {.resize = failing_resize}, .left = fail_at};
        failing.alloc.ctx = &failing;
        struct pq_bytes file;
        bool is_right = false;
        pq_bytes_init(&file, &failing.alloc);
        code = write_pairs(&failing.alloc, true, 100, &file);
        if (code == PQDB_OK) {
            code = read_pairs(pq_bytes_text(&file), &failing.alloc, 100, &is_right);
            CHECK(code == PQDB_NO_MEMORY || is_right, "fail_at %ld", fail_at);
        }
        pq_bytes_deinit(&file);
        CHECK(failing.live_bytes == 0, "fail_at %ld leaks %ld bytes", fail_at, failing.live_bytes);
    }
    CHECK(code == PQDB_OK, "code %d", (int)code);
}

int main(void) {
    RUN(values_decode_as_the_table_says);
    RUN(files_round_trip);
    RUN(other_codecs_are_read);
    RUN(no_prefix_of_a_file_is_a_file);
    RUN(a_wrong_sync_marker_is_damage);
    RUN(every_failed_allocation_is_reported_and_leaks_nothing);
    return test_done();
}
