#include "support/random_batch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "batch/builder.h"
#include "batch/dictionary.h"

enum { depth_max = 3 };

enum mood { MOOD_NOISE, MOOD_EQUAL, MOOD_NULL, MOOD_COUNTING, MOOD_FEW, MOOD_COUNT };

uint64_t random_below(struct random_source *source, uint64_t below) {
    source->state += UINT64_C(0x9E3779B97F4A7C15);
    return pq_hash_word(source->state) % below;
}

static void must(pqdb_code code) {
    if (code != PQDB_OK) abort();
}

static struct pq_text name_of(size_t k, struct pq_arena *arena) {
    char name[16];
    snprintf(name, sizeof name, "c%zu", k);
    return pq_arena_copy(arena, pq_text_of(name));
}

static struct pq_type type_at(struct random_source *source, int depth, struct pq_arena *arena) {
    static const enum pq_kind kinds[] = {PQ_NULL, PQ_BOOL, PQ_INT64, PQ_FLOAT32, PQ_FLOAT64,
                                         PQ_DECIMAL, PQ_DATE, PQ_TIME, PQ_TIMESTAMP, PQ_TEXT,
                                         PQ_BINARY, PQ_VARIANT, PQ_LIST, PQ_OBJECT};
    struct pq_type type = {.kind = kinds[random_below(source, depth < depth_max ? 14 : 12)]};
    if (type.kind == PQ_DECIMAL) {
        type.precision = 38;
        type.scale = (uint8_t)random_below(source, 12);
    }
    if (type.kind != PQ_LIST && type.kind != PQ_OBJECT) return type;
    type.field_count = type.kind == PQ_LIST ? 1 : 1 + (uint32_t)random_below(source, 3);
    struct pq_field *fields = pq_arena_calloc(arena, type.field_count, sizeof *fields);
    for (uint32_t k = 0; k < type.field_count; k++) {
        fields[k] = (struct pq_field){.name = name_of(k, arena),
                                      .type = type_at(source, depth + 1, arena)};
    }
    type.fields = fields;
    return type;
}

struct pq_type random_type(struct random_source *source, size_t columns_max,
                           struct pq_arena *arena) {
    const uint32_t count = 2 + (uint32_t)random_below(source, columns_max + 1);
    struct pq_field *fields = pq_arena_calloc(arena, count, sizeof *fields);
    fields[0] = (struct pq_field){.name = PQ_TEXT("$id"), .type = pq_type_text, .required = true};
    fields[1] = (struct pq_field){.name = PQ_TEXT("$seq"), .type = pq_type_int64, .required = true};
    for (uint32_t k = 2; k < count; k++) {
        fields[k] = (struct pq_field){.name = name_of(k, arena),
                                      .type = type_at(source, 0, arena)};
    }
    return (struct pq_type){.kind = PQ_OBJECT, .field_count = count, .fields = fields};
}

static void append_text(struct random_source *source, struct pq_builder *builder, uint64_t value) {
    char text[64];
    const enum pq_kind kind = builder->type->kind;
    if (kind == PQ_VARIANT) {
        const uint8_t bytes[5] = {0x01, 0, 0, 12, (uint8_t)value};  // metadata, int8
        must(value % 3 == 0 ? pq_builder_append_own_names(builder, bytes, 5, NULL)
                            : pq_builder_append_bytes(builder, bytes + 3, 2, NULL));
        return;
    }
    const int length = snprintf(text, sizeof text, "%.*s%llu", (int)(value % 30),
                                "abcdefghijklmnopqrstuvwxyz0123456789", (unsigned long long)value);
    const size_t cut = random_below(source, 20) == 0 ? 0 : (size_t)length;
    must(pq_builder_append_bytes(builder, text, cut, NULL));
}

static void append_row(struct random_source *source, struct pq_builder *builder, enum mood mood,
                       uint64_t row) {
    const enum pq_kind kind = builder->type->kind;
    const bool may_be_null = mood == MOOD_NOISE || mood == MOOD_FEW;
    if (kind == PQ_NULL || mood == MOOD_NULL || (may_be_null && random_below(source, 6) == 0)) {
        must(pq_builder_append_null(builder, NULL));
        return;
    }
    if (kind == PQ_LIST) {
        for (uint64_t n = random_below(source, 4); n > 0; n--) {
            append_row(source, &builder->children[0], mood, row);
        }
        must(pq_builder_end_list(builder, NULL));
        return;
    }
    if (kind == PQ_OBJECT) {
        for (uint32_t k = 0; k < builder->type->field_count; k++) {
            append_row(source, &builder->children[k], mood, row);
        }
        must(pq_builder_end_object(builder, NULL));
        return;
    }
    const uint64_t noise = random_below(source, UINT64_MAX);
    uint64_t value = mood == MOOD_EQUAL      ? 42
                     : mood == MOOD_COUNTING ? 1000 + row
                     : mood == MOOD_FEW      ? noise % 4
                                             : noise;
    if (kind == PQ_TEXT || kind == PQ_BINARY || kind == PQ_VARIANT) {
        append_text(source, builder, value);
        return;
    }
    if (kind == PQ_BOOL) value &= 1;
    if (kind == PQ_FLOAT32) value &= 0x3FFFFFFF;
    if (kind == PQ_FLOAT64) value &= 0x3FFFFFFFFFFFFFFF;
    const pq_i128 wide = kind == PQ_DECIMAL ? (pq_i128)value * 1000003 : (pq_i128)value;
    must(pq_builder_append_fixed(builder, &wide, NULL));
}

static void prepare(struct random_source *source, struct pq_builder *builder,
                    struct pq_arena *arena) {
    if (builder->type->kind == PQ_VARIANT) builder->names = source->names;
    if (builder->type->kind == PQ_TEXT && random_below(source, 2) == 0) {
        struct pq_dictionary *dictionary;
        must(pq_dictionary_create(2000, 60000, &arena->alloc, &dictionary, NULL));
        for (int i = 0; i < 10; i++) pq_dictionary_code(dictionary, name_of((size_t)i, arena));
        pq_builder_use_dictionary(builder, dictionary);
    }
    for (uint32_t k = 0; k < builder->type->field_count; k++) {
        prepare(source, &builder->children[k], arena);
    }
}

struct pq_batch random_batch(struct random_source *source, const struct pq_type *type,
                             size_t rows, struct pq_arena *arena) {
    struct pq_builder *members = pq_arena_calloc(arena, type->field_count, sizeof *members);
    for (uint32_t k = 0; k < type->field_count; k++) {
        must(pq_builder_init(&members[k], &type->fields[k].type, &arena->alloc, NULL));
        enum mood mood = (enum mood)random_below(source, MOOD_COUNT);
        if (k == 0) mood = MOOD_COUNTING;
        if (k == 1) mood = random_below(source, 4) == 0 ? MOOD_EQUAL : MOOD_COUNTING;
        if (k > 1) prepare(source, &members[k], arena);
        for (size_t row = 0; row < rows; row++) append_row(source, &members[k], mood, row);
    }
    struct pq_batch batch;
    must(pq_builder_finish_batch(members, type, arena, &batch, NULL));
    return batch;
}
