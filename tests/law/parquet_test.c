/// Law: what is written is what is read, whatever the type, the rows, their split into batches, the
/// codec, and however small pages and row groups are; the whole file as well as any range of rows.
/// With a seed and a name, the file of that seed and its rows as JSON go to name.parquet and
/// name.json: the interop tests have other readers read them.
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "batch/builder.h"
#include "batch/dictionary.h"
#include "codec/codec.h"
#include "parquet/writer.h"
#include "support/column_json.h"
#include "support/memory_file.h"
#include "support/test.h"
#include "variant/variant.h"

enum { rounds = 400, rows_max = 300, fields_max = 5, depth_max = 3, batches_max = 4 };

static uint64_t state;

static uint64_t draw(uint64_t below) {
    state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t x = state;
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (x ^ (x >> 31)) % below;
}

static struct pq_type draw_type(struct pq_arena *arena, int depth);

static struct pq_field draw_field(struct pq_arena *arena, int depth, uint32_t k) {
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    struct pq_field field = {.name = pq_text_of(names[k]), .id = (int32_t)draw(1000)};
    field.type = draw_type(arena, depth);
    field.required = field.type.kind != PQ_NULL && draw(3) == 0;
    return field;
}

static struct pq_type draw_type(struct pq_arena *arena, int depth) {
    static const enum pq_kind scalars[] = {PQ_NULL,    PQ_BOOL, PQ_INT64, PQ_FLOAT32,
                                           PQ_FLOAT64, PQ_DECIMAL, PQ_DATE, PQ_TIME,
                                           PQ_TIMESTAMP, PQ_TEXT, PQ_BINARY, PQ_VARIANT};
    const uint64_t pick = draw(depth < depth_max ? 16 : 12);
    if (pick < 12) {
        const uint8_t precision = (uint8_t)(1 + draw(38));
        return (struct pq_type){.kind = scalars[pick],
                                .precision = precision,
                                .scale = (uint8_t)draw(precision + 1u)};
    }
    const bool list = pick < 14;
    const uint32_t count = list ? 1 : 1 + (uint32_t)draw(fields_max);
    struct pq_field *fields = pq_arena_calloc(arena, count, sizeof *fields);
    for (uint32_t k = 0; k < count; k++) fields[k] = draw_field(arena, depth + 1, k);
    if (list) fields[0].name = PQ_TEXT("element");
    return (struct pq_type){
        .kind = list ? PQ_LIST : PQ_OBJECT, .field_count = count, .fields = fields};
}

/// One of few values, or one of many, so that dictionaries are kept as well as given up.
static uint64_t variety;

static pqdb_code append_text(struct pq_builder *builder) {
    char text[200];
    const uint64_t which = draw(variety);
    const int length = snprintf(text, sizeof text, "%.*s\xC3\xA9%llu", (int)(which * 7 % 90),
                                "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
                                "abcdefghijklmnopqrstuvwxyzabcdefghijklmnop",
                                (unsigned long long)which);
    return pq_builder_append_bytes(builder, text, draw(9) == 0 ? 0 : (size_t)length, NULL);
}

static struct pq_variant_encoder *encoder;
static struct pq_variant_names *names;
static struct pq_bytes scratch;

static pqdb_code append_variant(struct pq_builder *builder) {
    static const char *const values[] = {
        "null", "true", "-7", "\"text\"", "[1,[2,\"x\"],{}]", "{\"a\":1,\"b\":{\"c\":[null]}}",
        "12345678901234567890123", "1.5e300", NULL};
    char text[200];
    const unsigned long long n = draw(variety);
    const char *value = values[draw(sizeof values / sizeof *values)];
    // The last one's key changes with the value: names run out and values bring their own.
    const int length = value == NULL
                           ? snprintf(text, sizeof text, "{\"k%llu\":%llu,\"z\":1}", n, n)
                           : snprintf(text, sizeof text, "%s", value);
    struct pq_json_document *document;
    bool own;
    scratch.length = 0;
    pqdb_error err = {0};
    pqdb_code code = pq_json_parse((struct pq_text){text, (size_t)length}, PQ_JSON_STRICT,
                                   &pq_alloc_libc, &document, &err);
    CHECK(code == PQDB_OK, "%s: %s", text, err.message);
    code = pq_variant_encode_json(encoder, pq_json_root(document), &scratch, &own, &err);
    CHECK(code == PQDB_OK, "%s: %s", text, err.message);
    pq_json_destroy(document);
    return own ? pq_builder_append_own_names(builder, scratch.data, scratch.length, NULL)
               : pq_builder_append_bytes(builder, scratch.data, scratch.length, NULL);
}

static pqdb_code append_fixed(struct pq_builder *builder) {
    const struct pq_type *type = builder->type;
    uint64_t word = draw(variety) * UINT64_C(0x9E3779B97F4A7C15);
    if (draw(20) == 0) word = draw(2) == 0 ? UINT64_C(1) << 63 : UINT64_MAX >> 1;
    pq_i128 wide = (int64_t)word;
    if (type->kind == PQ_BOOL) wide = word & 1;
    if (type->kind == PQ_DECIMAL) {
        pq_i128 limit = 1;
        for (unsigned i = 0; i < type->precision; i++) limit *= 10;
        wide = (wide * (int64_t)draw(UINT64_MAX)) % limit;
        if (draw(20) == 0) wide = draw(2) == 0 ? limit - 1 : 1 - limit;
    }
    return pq_builder_append_fixed(builder, &wide, NULL);
}

static void append_random(struct pq_builder *builder, bool required) {
    const enum pq_kind kind = builder->type->kind;
    pqdb_code code;
    if (kind == PQ_NULL || (!required && draw(5) == 0)) {
        code = pq_builder_append_null(builder, NULL);
    } else if (kind == PQ_LIST) {
        for (uint64_t n = draw(4); n > 0; n--) {
            append_random(&builder->children[0], builder->type->fields[0].required);
        }
        code = pq_builder_end_list(builder, NULL);
    } else if (kind == PQ_OBJECT) {
        for (uint32_t k = 0; k < builder->type->field_count; k++) {
            append_random(&builder->children[k], builder->type->fields[k].required);
        }
        code = pq_builder_end_object(builder, NULL);
    } else if (kind == PQ_VARIANT) {
        code = append_variant(builder);
    } else if (kind == PQ_TEXT || kind == PQ_BINARY) {
        code = append_text(builder);
    } else {
        code = append_fixed(builder);
    }
    CHECK(code == PQDB_OK, "kind %d", (int)kind);
}

static void set_up(struct pq_builder *builder, struct pq_dictionary *dictionary) {
    if (builder->type->kind == PQ_TEXT && draw(2) == 0) {
        pq_builder_use_dictionary(builder, dictionary);
    }
    if (builder->type->kind == PQ_VARIANT) builder->names = names;
    for (uint32_t k = 0; k < builder->type->field_count; k++) {
        set_up(&builder->children[k], dictionary);
    }
}

static struct pq_batch draw_batch(const struct pq_type *type, struct pq_arena *arena,
                                  struct pq_dictionary *dictionary) {
    struct pq_builder *members = pq_arena_calloc(arena, type->field_count, sizeof *members);
    const size_t rows = draw(6) == 0 ? 0 : draw(rows_max);
    for (uint32_t k = 0; k < type->field_count; k++) {
        CHECK(pq_builder_init(&members[k], &type->fields[k].type, &arena->alloc, NULL) == PQDB_OK,
              "init");
        set_up(&members[k], dictionary);
        for (size_t i = 0; i < rows; i++) append_random(&members[k], type->fields[k].required);
    }
    struct pq_batch batch;
    CHECK(pq_builder_finish_batch(members, type, arena, &batch, NULL) == PQDB_OK, "finish");
    return batch;
}

static void draw_options(struct pq_parquet_writer_options *options, const struct pq_type *type) {
    static const bool all[fields_max] = {true, true, true, true, true};
    static const struct pq_codec *const codecs[] = {
        NULL, &pq_codec_zstd, &pq_codec_snappy, &pq_codec_gzip, &pq_codec_lz4, &pq_codec_brotli};
    *options = (struct pq_parquet_writer_options){
        .type = type,
        .codec = codecs[draw(6)],
        .row_group_rows = (uint32_t)(draw(2) == 0 ? 0 : 1 + draw(400)),
        .row_group_bytes = draw(4) == 0 ? 2000 : 0,
        .page_rows = (uint32_t)(draw(2) == 0 ? 0 : 1 + draw(60)),
        .page_bytes = (uint32_t)(draw(2) == 0 ? 0 : 1 + draw(500)),
        .dictionary_bytes = (uint32_t)(draw(3) == 0 ? 1 + draw(300) : 0),
        .no_dictionary = draw(5) == 0,
        .variant_form = draw(2) == 0 ? PQ_VARIANT_AS_JSON : PQ_VARIANT_ANNOTATED,
        .profile = draw(2) == 0 ? PQ_PROFILE_COMPATIBLE : PQ_PROFILE_COMPACT,
        .bloom_fields = draw(2) == 0 ? all : NULL,
    };
}

static struct pq_bytes got_row, want_row;

static void check_rows(const struct pq_batch *got, const struct pq_batch *batches,
                       uint64_t first) {
    uint64_t start = 0;
    for (size_t b = 0; b < batches_max; b++) {
        for (size_t i = 0; i < batches[b].count; i++) {
            const uint64_t row = start + i;
            if (row < first || row >= first + got->count) continue;
            for (uint32_t k = 0; k < got->type->field_count; k++) {
                got_row.length = want_row.length = 0;
                column_json(&got->columns[k], (size_t)(row - first), &got_row);
                column_json(&batches[b].columns[k], i, &want_row);
                CHECK(pq_text_equal(pq_bytes_text(&got_row), pq_bytes_text(&want_row)),
                      "row %llu member %u: %.*s, not %.*s", (unsigned long long)row, k,
                      PQ_TEXT_ARG(pq_bytes_text(&got_row)),
                      PQ_TEXT_ARG(pq_bytes_text(&want_row)));
            }
        }
        start += batches[b].count;
    }
}

/// <0, 0, >0; NaN is nothing to compare.
static int compare(const struct pq_value *a, const struct pq_value *b) {
    switch (a->kind) {
    case PQ_TEXT:
    case PQ_BINARY: return pq_text_compare(a->as.text, b->as.text);
    case PQ_DECIMAL: return (a->as.decimal > b->as.decimal) - (a->as.decimal < b->as.decimal);
    case PQ_FLOAT32:
    case PQ_FLOAT64: return (a->as.real > b->as.real) - (a->as.real < b->as.real);
    case PQ_BOOL: return a->as.boolean - b->as.boolean;
    default: return (a->as.integer > b->as.integer) - (a->as.integer < b->as.integer);
    }
}

/// Rows [first, first + count) of a member against what the file says of them.
static void check_bounds(const struct pq_parquet_bounds *bounds, const struct pq_column *column,
                         size_t first, size_t count) {
    int64_t nulls = 0;
    bool met_min = false, met_max = false, has_values = false;
    for (size_t i = first; i < first + count; i++) {
        if (column->type->kind == PQ_NULL || pq_column_is_null(column, i)) {
            nulls++;
            continue;
        }
        const struct pq_value value = pq_column_value(column, i);
        const bool is_real = value.kind == PQ_FLOAT32 || value.kind == PQ_FLOAT64;
        if (is_real && isnan(value.as.real)) continue;
        has_values = true;
        if (bounds->has_min) CHECK(compare(&value, &bounds->min) >= 0, "below the lower bound");
        if (bounds->has_max) CHECK(compare(&value, &bounds->max) <= 0, "above the upper bound");
        met_min |= bounds->has_min && compare(&value, &bounds->min) == 0;
        met_max |= bounds->has_max && compare(&value, &bounds->max) == 0;
    }
    CHECK(bounds->null_count == -1 || bounds->null_count == nulls, "%lld nulls, not %lld",
          (long long)bounds->null_count, (long long)nulls);
    CHECK(has_values || (!bounds->has_min && !bounds->has_max), "bounds of nothing");
    CHECK(!bounds->has_min || !bounds->is_min_exact || met_min, "an exact bound is a value");
    CHECK(!bounds->has_max || !bounds->is_max_exact || met_max, "an exact bound is a value");
}

static void check_statistics(const struct pq_parquet_file *file, size_t group,
                             const struct pq_batch *batch) {
    for (size_t k = 0; k < batch->type->field_count; k++) {
        const int leaf = pq_parquet_leaf(file, k);
        const struct pq_column *column = &batch->columns[k];
        if (leaf < 0) continue;
        struct pq_parquet_bounds bounds;
        struct pq_parquet_pages pages;
        pq_parquet_group_bounds(file, group, (size_t)leaf, &bounds);
        CHECK(bounds.null_count >= 0, "the null count is always written");
        CHECK(bounds.has_min || column->type->kind != PQ_INT64 ||
                  bounds.null_count == (int64_t)batch->count,
              "numbers have bounds");
        check_bounds(&bounds, column, 0, batch->count);
        pqdb_error err = {0};
        CHECK(pq_parquet_pages(file, group, (size_t)leaf, &pages, &err) == PQDB_OK, "%s",
              err.message);
        CHECK(pages.count > 0, "there is always an offset index");
        for (size_t i = 0; i < pages.count; i++) {
            const struct pq_parquet_page *page = &pages.pages[i];
            pq_parquet_page_bounds(file, group, (size_t)leaf, i, &bounds);
            check_bounds(&bounds, column, page->first_row, page->row_count);
        }
    }
}

static void check_range(const struct pq_parquet_file *file, size_t group, uint64_t first,
                        uint64_t count, const struct pq_batch *batches) {
    struct pq_hold *hold;
    CHECK(pq_hold_create(&pq_alloc_libc, &hold, NULL) == PQDB_OK, "hold");
    static const uint32_t fields[] = {0, 1, 2, 3, 4};
    const struct pq_type *type = pq_parquet_type(file);
    const struct pq_parquet_request request = {
        .fields = fields,
        .field_count = type->field_count,
        .group = group,
        .first_row = first,
        .row_count = count,
        .encoder = encoder,
        .names = names,
        .hold = draw(2) == 0 ? hold : NULL,
    };
    struct pq_batch batch;
    pqdb_error err = {0};
    const pqdb_code code = pq_parquet_read(file, &request, &hold->arena, &batch, &err);
    CHECK(code == PQDB_OK, "%s: %s at %lld", err.subject, err.message, (long long)err.offset);
    if (code == PQDB_OK) {
        for (uint32_t k = 0; k < type->field_count; k++) {
            CHECK(batch.columns[k].count == batch.count, "member %u has %zu rows", k,
                  batch.columns[k].count);
            CHECK(pq_column_is_sound(&batch.columns[k], &err), "member %u: %s", k, err.message);
        }
        if (first == 0 && count == UINT64_MAX) check_statistics(file, group, &batch);
        check_rows(&batch, batches, pq_parquet_group_first_row(file, group) + first);
    }
    pq_hold_unref(hold);
}

/// Every value of a flat leaf may be there, says its bloom filter.
static void check_blooms(const struct pq_parquet_file *file, size_t group, uint64_t first,
                         const struct pq_batch *batches) {
    const uint64_t end = first + pq_parquet_group_rows(file, group);
    uint64_t start = 0;
    for (size_t b = 0; b < batches_max; start += batches[b++].count) {
        for (uint32_t k = 0; k < batches[b].type->field_count; k++) {
            const int leaf = pq_parquet_leaf(file, k);
            for (size_t i = 0; leaf >= 0 && i < batches[b].count; i++) {
                if (start + i < first || start + i >= end) continue;
                const struct pq_value value = pq_column_value(&batches[b].columns[k], i);
                bool may_hold = false;
                CHECK(pq_parquet_may_hold(file, group, (size_t)leaf, &value, &may_hold, NULL) ==
                              PQDB_OK && may_hold,
                      "row %llu member %u is not in the bloom filter",
                      (unsigned long long)(start + i), k);
            }
        }
    }
}

static void check_type(const struct pq_type *got, const struct pq_type *want) {
    CHECK(got->kind == want->kind && got->field_count == want->field_count, "kind %d, not %d",
          (int)got->kind, (int)want->kind);
    if (got->kind == PQ_DECIMAL) {
        CHECK(got->precision == want->precision && got->scale == want->scale, "decimal");
    }
    for (uint32_t k = 0; k < got->field_count; k++) {
        const struct pq_field *a = &got->fields[k], *b = &want->fields[k];
        CHECK(pq_text_equal(a->name, b->name) && a->id == b->id && a->required == b->required,
              "field %.*s", PQ_TEXT_ARG(b->name));
        check_type(&a->type, &b->type);
    }
}

static void check_file(struct pq_bytes *bytes, const struct pq_type *type,
                       const struct pq_batch *batches) {
    struct pq_parquet_file *file;
    pqdb_error err = {0};
    const struct pq_parquet_source source = memory_file_source(bytes);
    const struct pq_parquet_open_options options = {.json_as_variant = true};
    const pqdb_code code =
        pq_parquet_open(&source, bytes->length, &options, &pq_alloc_libc, &file, &err);
    CHECK(code == PQDB_OK, "open: %s", err.message);
    if (code != PQDB_OK) return;
    uint64_t rows = 0;
    for (size_t b = 0; b < batches_max; b++) rows += batches[b].count;
    CHECK(pq_parquet_row_count(file) == rows, "%llu rows", (unsigned long long)rows);
    check_type(pq_parquet_type(file), type);
    for (size_t g = 0; g < pq_parquet_group_count(file); g++) {
        check_range(file, g, 0, UINT64_MAX, batches);
        const uint64_t here = pq_parquet_group_rows(file, g), first = draw(here + 1);
        check_range(file, g, first, draw(here - first + 1), batches);
        check_range(file, g, draw(here), 1, batches);
        check_blooms(file, g, pq_parquet_group_first_row(file, g), batches);
    }
    pq_parquet_close(file);
}

/// A line a row.
static void save(const char *name, const struct pq_bytes *bytes, const struct pq_batch *batches) {
    char path[4096];
    snprintf(path, sizeof path, "%s.parquet", name);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(bytes->data, 1, bytes->length, file) == bytes->length, "%s", path);
    if (file != NULL) fclose(file);
    snprintf(path, sizeof path, "%s.json", name);
    file = fopen(path, "wb");
    CHECK(file != NULL, "%s", path);
    for (size_t b = 0; b < batches_max && file != NULL; b++) {
        for (size_t i = 0; i < batches[b].count; i++) {
            want_row.length = 0;
            for (uint32_t k = 0; k < batches[b].type->field_count; k++) {
                pq_bytes_printf(&want_row, NULL, k == 0 ? "[" : ",");
                column_json(&batches[b].columns[k], i, &want_row);
            }
            fprintf(file, "%.*s]\n", PQ_TEXT_ARG(pq_bytes_text(&want_row)));
        }
    }
    if (file != NULL) fclose(file);
}

static void round_of(uint64_t seed, const char *name) {
    state = seed * 7919;
    variety = draw(2) == 0 ? 1 + draw(20) : 1000000;
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_dictionary *dictionary;
    CHECK(pq_dictionary_create(20, 400, &pq_alloc_libc, &dictionary, NULL) == PQDB_OK, "room");
    const uint32_t count = 1 + (uint32_t)draw(fields_max);
    struct pq_field *fields = pq_arena_calloc(&arena, count, sizeof *fields);
    for (uint32_t k = 0; k < count; k++) fields[k] = draw_field(&arena, 0, k);
    const struct pq_type type = {.kind = PQ_OBJECT, .field_count = count, .fields = fields};
    struct pq_parquet_writer_options options;
    draw_options(&options, &type);
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    struct pq_parquet_writer *writer;
    pqdb_error err = {0};
    const struct pq_parquet_sink sink = {memory_file_append, &bytes};
    pqdb_code code = pq_parquet_writer_create(&options, sink, &pq_alloc_libc, &writer, &err);
    CHECK(code == PQDB_OK, "seed %llu: %s", (unsigned long long)seed, err.message);
    struct pq_batch batches[batches_max];
    for (size_t b = 0; b < batches_max; b++) {
        batches[b] = draw_batch(&type, &arena, dictionary);
        code = pq_parquet_writer_append(writer, &batches[b], &err);
        CHECK(code == PQDB_OK, "seed %llu: %s", (unsigned long long)seed, err.message);
    }
    struct pq_parquet_file_info info;
    code = pq_parquet_writer_finish(writer, &info, &err);
    CHECK(code == PQDB_OK, "seed %llu: %s", (unsigned long long)seed, err.message);
    CHECK(info.file_bytes == bytes.length, "%zu bytes", bytes.length);
    pq_parquet_writer_destroy(writer);
    const long failures = test_failures_;
    check_file(&bytes, &type, batches);
    if (name != NULL) save(name, &bytes, batches);
    CHECK(test_failures_ == failures, "with seed %llu", (unsigned long long)seed);
    pq_bytes_deinit(&bytes);
    pq_dictionary_unref(dictionary);
    pq_arena_deinit(&arena);
}

static void what_is_written_is_read(void) {
    for (uint64_t seed = 1; seed <= rounds; seed++) round_of(seed, NULL);
}

int main(int argc, char **argv) {
    CHECK(pq_variant_names_create(&pq_alloc_libc, &names, NULL) == PQDB_OK, "names");
    CHECK(pq_variant_encoder_create(names, &pq_alloc_libc, &encoder, NULL) == PQDB_OK, "encoder");
    struct pq_bytes *const rooms[] = {&scratch, &got_row, &want_row};
    for (size_t i = 0; i < 3; i++) pq_bytes_init(rooms[i], &pq_alloc_libc);
    if (argc > 1) {
        round_of(strtoull(argv[1], NULL, 10), argc > 2 ? argv[2] : NULL);
    } else {
        RUN(what_is_written_is_read);
    }
    for (size_t i = 0; i < 3; i++) pq_bytes_deinit(rooms[i]);
    pq_variant_encoder_destroy(encoder);
    pq_variant_names_unref(names);
    return test_done();
}
