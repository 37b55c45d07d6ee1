/// Parquet alone, in memory: writing and reading tail events of about 1.1 KB (most of it one
/// variant), and point reads. One thread; the rows are made beforehand.
///
///     parquet_bench [rows [case]]      the case may be a part of its name
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/env.h"
#include "base/json.h"
#include "batch/builder.h"
#include "batch/dictionary.h"
#include "codec/codec.h"
#include "parquet/reader.h"
#include "parquet/writer.h"
#include "variant/variant.h"

enum { batch_rows = 1000, member_count = 8 };

static const struct pq_field members[member_count] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}, .required = true, .id = 1},
    {.name = {"$seq", 4}, .type = {.kind = PQ_INT64}, .required = true, .id = 2},
    {.name = {"createdAt", 9}, .type = {.kind = PQ_TIMESTAMP}, .id = 3},
    {.name = {"scriptName", 10}, .type = {.kind = PQ_TEXT}, .id = 4},
    {.name = {"outcome", 7}, .type = {.kind = PQ_TEXT}, .id = 5},
    {.name = {"wallTime", 8}, .type = {.kind = PQ_INT64}, .id = 6},
    {.name = {"cpuTime", 7}, .type = {.kind = PQ_FLOAT64}, .id = 7},
    {.name = {"event", 5}, .type = {.kind = PQ_VARIANT}, .id = 8},
};
static const struct pq_type row_type = {
    .kind = PQ_OBJECT, .field_count = member_count, .fields = members};

static struct pq_variant_names *names;
static struct pq_variant_encoder *encoder;
static struct pq_dictionary *dictionary;

static double now(void) { return (double)pq_env_system.monotonic_ns(NULL) / 1e9; }

static void must(pqdb_code code, const pqdb_error *err) {
    if (code == PQDB_OK) return;
    fprintf(stderr, "parquet_bench: %s %s\n", err->subject, err->message);
    exit(EXIT_FAILURE);
}

static uint64_t state = 1;

static uint64_t draw(uint64_t below) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (state >> 33) % below;
}

static int print_event(char *text, size_t room, size_t i) {
    return snprintf(
        text, room,
        "{\"request\":{\"url\":\"https://shop.example/%s/%zu?ref=%zx\",\"method\":\"%s\","
        "\"headers\":{\"accept\":\"*/*\",\"accept-encoding\":\"gzip, deflate, br\","
        "\"accept-language\":\"en-GB,en;q=0.9\",\"cf-ray\":\"%016zx\",\"connection\":"
        "\"keep-alive\",\"host\":\"shop.example\",\"user-agent\":\"Mozilla/5.0 (X11; Linux "
        "x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.%zu.0 Safari/537.36\","
        "\"x-forwarded-for\":\"203.0.113.%zu\"},\"cf\":{\"asn\":%zu,\"city\":\"Lisbon\","
        "\"clientIp\":\"203.0.113.%zu:%zu\",\"colo\":\"LIS\",\"country\":\"PT\","
        "\"httpProtocol\":\"HTTP/2\",\"latitude\":\"38.72230\",\"longitude\":\"-9.13930\","
        "\"timezone\":\"Europe/Lisbon\",\"tlsCipher\":\"AEAD-AES128-GCM-SHA256\","
        "\"tlsVersion\":\"TLSv1.3\"}},\"response\":{\"status\":%d},\"logs\":[{\"level\":\"log\","
        "\"message\":[\"request\",\"GET\",\"/cart\",%zu],\"timestamp\":%zu}]}",
        i % 3 == 0 ? "cart" : "product", draw(100000), draw(1 << 30), i % 9 == 0 ? "POST" : "GET",
        draw(UINT64_C(1) << 31) * i, draw(7000), draw(256), draw(60000), draw(256), draw(60000),
        i % 17 == 0 ? 404 : 200, draw(1000), 1795330208220 + i);
}

static void append_event(struct pq_builder *builder, size_t i, struct pq_bytes *room) {
    char text[2048];
    pqdb_error err = {0};
    struct pq_json_document *document;
    bool own = false;
    const int length = print_event(text, sizeof text, i);
    must(pq_json_parse((struct pq_text){text, (size_t)length}, PQ_JSON_STRICT, &pq_alloc_libc,
                       &document, &err),
         &err);
    room->length = 0;
    must(pq_variant_encode_json(encoder, pq_json_root(document), room, &own, &err), &err);
    must(pq_builder_append_bytes(builder, room->data, room->length, &err), &err);
    pq_json_destroy(document);
}

static struct pq_batch make_batch(struct pq_arena *arena, size_t first) {
    static const char *const outcomes[] = {"ok", "exception", "exceededCpu", "canceled"};
    struct pq_builder *b = pq_arena_calloc(arena, member_count, sizeof *b);
    struct pq_batch batch;
    pqdb_error err = {0};
    struct pq_bytes room;
    pq_bytes_init(&room, &pq_alloc_libc);
    for (size_t k = 0; k < member_count; k++) {
        must(pq_builder_init(&b[k], &members[k].type, &arena->alloc, &err), &err);
    }
    pq_builder_use_dictionary(&b[3], dictionary);
    pq_builder_use_dictionary(&b[4], dictionary);
    b[7].names = names;
    for (size_t i = first; i < first + batch_rows; i++) {
        char text[64];
        int length = snprintf(text, sizeof text, "01j%023zu", i);
        must(pq_builder_append_bytes(&b[0], text, (size_t)length, &err), &err);
        const int64_t seq = (int64_t)i, time = 1795330208220000 + (int64_t)i * 977;
        const int64_t wall = (int64_t)draw(3000);
        const double cpu = (double)draw(100000) / 1000;
        must(pq_builder_append_fixed(&b[1], &seq, &err), &err);
        must(pq_builder_append_fixed(&b[2], &time, &err), &err);
        length = snprintf(text, sizeof text, "script-%d", (int)(draw(40) * draw(40) / 40));
        must(pq_builder_append_bytes(&b[3], text, (size_t)length, &err), &err);
        const char *outcome = outcomes[draw(20) == 0 ? draw(4) : 0];
        must(pq_builder_append_bytes(&b[4], outcome, strlen(outcome), &err), &err);
        must(pq_builder_append_fixed(&b[5], &wall, &err), &err);
        must(pq_builder_append_fixed(&b[6], &cpu, &err), &err);
        append_event(&b[7], i, &room);
    }
    must(pq_builder_finish_batch(b, &row_type, arena, &batch, &err), &err);
    pq_bytes_deinit(&room);
    return batch;
}

static pqdb_code append(void *ctx, const void *data, size_t length, pqdb_error *err) {
    return pq_bytes_append(ctx, data, length, err);
}

static pqdb_code read_at(void *ctx, uint64_t offset, void *out, size_t length, pqdb_error *err) {
    const struct pq_bytes *file = ctx;
    (void)err;
    memcpy(out, file->data + offset, length);
    return PQDB_OK;
}

static double write_file(const struct pq_parquet_writer_options *options,
                         const struct pq_batch *batches, size_t count, struct pq_bytes *out) {
    pqdb_error err = {0};
    struct pq_parquet_writer *writer;
    struct pq_parquet_file_info info;
    out->length = 0;
    const double start = now();
    must(pq_parquet_writer_create(options, (struct pq_parquet_sink){append, out}, &pq_alloc_libc,
                                  &writer, &err),
         &err);
    for (size_t i = 0; i < count; i++) {
        must(pq_parquet_writer_append(writer, &batches[i], &err), &err);
    }
    must(pq_parquet_writer_finish(writer, &info, &err), &err);
    pq_parquet_writer_destroy(writer);
    return now() - start;
}

/// Seconds to read the wanted members of all rows.
static double read_file(struct pq_parquet_file *file, const uint32_t *fields, size_t field_count) {
    pqdb_error err = {0};
    const double start = now();
    for (size_t g = 0; g < pq_parquet_group_count(file); g++) {
        struct pq_hold *hold;
        struct pq_batch batch;
        must(pq_hold_create(&pq_alloc_libc, &hold, &err), &err);
        const struct pq_parquet_request request = {.fields = fields,
                                                   .field_count = field_count,
                                                   .group = g,
                                                   .row_count = UINT64_MAX,
                                                   .encoder = encoder,
                                                   .names = names,
                                                   .hold = hold};
        must(pq_parquet_read(file, &request, &hold->arena, &batch, &err), &err);
        pq_hold_unref(hold);
    }
    return now() - start;
}

static double read_points(struct pq_parquet_file *file, size_t count) {
    static const uint32_t fields[] = {0, 7};
    pqdb_error err = {0};
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    const double start = now();
    for (size_t i = 0; i < count; i++) {
        struct pq_parquet_request request = {.fields = fields, .field_count = 2, .row_count = 1,
                                             .encoder = encoder, .names = names};
        struct pq_batch batch;
        request.group = pq_parquet_find_group(file, draw(pq_parquet_row_count(file)),
                                              &request.first_row);
        pq_arena_reset(&arena);
        must(pq_parquet_read(file, &request, &arena, &batch, &err), &err);
    }
    const double seconds = now() - start;
    pq_arena_deinit(&arena);
    return seconds / (double)count;
}

static void measure(const char *name, struct pq_parquet_writer_options options,
                    const struct pq_batch *batches, size_t count, double memory_mb) {
    static const uint32_t all[] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct pq_bytes bytes;
    struct pq_parquet_file *file;
    pqdb_error err = {0};
    pq_bytes_init(&bytes, &pq_alloc_libc);
    options.type = &row_type;
    write_file(&options, batches, count, &bytes);  // memory is there afterwards
    const double written = write_file(&options, batches, count, &bytes);
    const struct pq_parquet_source source = {read_at, &bytes};
    const struct pq_parquet_open_options open_options = {.json_as_variant = true};
    must(pq_parquet_open(&source, bytes.length, &open_options, &pq_alloc_libc, &file, &err), &err);
    const double flat = read_file(file, all, 7), event = read_file(file, all + 7, 1);
    const double point = read_points(file, 200);
    const double rows = (double)count * batch_rows;
    printf("%-22s %7.2f %9.0f %8.0f %9.1f %10.3f %10.2f %10.0f\n", name, written / rows * 1e6,
           rows / written / 1000, memory_mb / written, (double)bytes.length / 1e6,
           flat / rows * 1e6, event / rows * 1e6, point * 1e6);
    pq_parquet_close(file);
    pq_bytes_deinit(&bytes);
}

int main(int argc, char **argv) {
    const size_t rows = argc > 1 ? (size_t)strtoull(argv[1], NULL, 10) : 100000;
    const size_t count = rows / batch_rows;
    pqdb_error err = {0};
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    must(pq_variant_names_create(&pq_alloc_libc, &names, &err), &err);
    must(pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, &err), &err);
    must(pq_dictionary_create(1000, 100000, &pq_alloc_libc, &dictionary, &err), &err);
    struct pq_batch *batches = pq_arena_calloc(&arena, count, sizeof *batches);
    double memory_mb = 0;
    for (size_t i = 0; i < count; i++) {
        batches[i] = make_batch(&arena, i * batch_rows);
        memory_mb += (double)pq_batch_bytes(&batches[i]) / 1e6;
    }
    printf("%zu rows, %.0f MB in memory\n", count * batch_rows, memory_mb);
    printf("%-22s %7s %9s %8s %9s %10s %10s %10s\n", "", "us/row", "krows/s", "MB/s", "file MB",
           "7 flat us", "event us", "point us");
    const struct {
        const char *name;
        struct pq_parquet_writer_options options;
    } cases[] = {
        {"variant, none", {.variant_form = PQ_VARIANT_ANNOTATED}},
        {"variant, snappy", {.variant_form = PQ_VARIANT_ANNOTATED, .codec = &pq_codec_snappy}},
        {"variant, zstd 1",
         {.variant_form = PQ_VARIANT_ANNOTATED, .codec = &pq_codec_zstd, .level = 1}},
        {"variant, zstd 3",
         {.variant_form = PQ_VARIANT_ANNOTATED, .codec = &pq_codec_zstd, .level = 3}},
        {"JSON, none", {.variant_form = PQ_VARIANT_AS_JSON}},
        {"JSON, zstd 1", {.codec = &pq_codec_zstd, .level = 1}},
        {"JSON, zstd 3", {.codec = &pq_codec_zstd, .level = 3}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (argc > 2 && strstr(cases[i].name, argv[2]) == NULL) continue;
        measure(cases[i].name, cases[i].options, batches, count, memory_mb);
    }
    pq_dictionary_unref(dictionary);
    pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
    pq_arena_deinit(&arena);
    return EXIT_SUCCESS;
}
