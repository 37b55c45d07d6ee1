/// Law: JSON through a variant is canonical JSON, whatever the encoder has seen before, whichever
/// names the list had room for; a renamed variant is the same value; every path finds what a naive
/// walk finds; every prefix and every flipped byte of a value is refused or harmless.
#include <string.h>

#include "base/arena.h"
#include "support/canonical_json.h"
#include "support/test.h"
#include "variant/variant.h"

enum { rounds = 400, own_names = 2 };

static uint64_t state;

static uint64_t draw(uint64_t below) {
    state += UINT64_C(0x9E3779B97F4A7C15);
    uint64_t x = state;
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (x ^ (x >> 31)) % below;
}

static void draw_text(struct pq_bytes *out) {
    static const char *const pieces[] = {"a", "bc", "\\u0000", "\\n", "é", "☃", "😀", "\\\"", "xyz"};
    pq_bytes_append_byte(out, '"', NULL);
    for (uint64_t n = draw(draw(8) == 0 ? 60 : 6); n > 0; n--) {
        pq_bytes_append_text(out, pq_text_of(pieces[draw(9)]), NULL);
    }
    pq_bytes_append_byte(out, '"', NULL);
}

static void draw_number(struct pq_bytes *out) {
    const uint64_t word = draw(UINT64_MAX);
    const int shift = (int)draw(64);
    switch (draw(5)) {
    case 0: pq_bytes_printf(out, NULL, "%lld", (long long)(int64_t)word >> shift); return;
    case 1: pq_bytes_printf(out, NULL, "%s%llu%016llu", draw(2) ? "-" : "",
                            (unsigned long long)word | 1,
                            (unsigned long long)draw(1u << 30)); return;
    case 2: pq_bytes_printf(out, NULL, "%llu.%llu", (unsigned long long)draw(1000),
                            (unsigned long long)draw(100000)); return;
    case 3: pq_bytes_printf(out, NULL, "%llue%d", (unsigned long long)draw(100000),
                            (int)draw(600) - 310); return;
    default: pq_bytes_printf(out, NULL, "%d", (int)draw(300) - 150); return;
    }
}

/// Few shapes come again and again, others are new: names in changing order from a small alphabet.
static void draw_json(struct pq_bytes *out, int depth) {
    const uint64_t pick = draw(depth > 4 ? 5 : 9);
    if (pick == 0) {
        static const char *const words[] = {"null", "true", "false"};
        pq_bytes_append_text(out, pq_text_of(words[draw(3)]), NULL);
    } else if (pick < 3) {
        draw_number(out);
    } else if (pick < 5) {
        draw_text(out);
    } else if (pick < 7) {
        pq_bytes_append_byte(out, '[', NULL);
        for (uint64_t n = draw(draw(20) == 0 ? 300 : 5), i = 0; i < n; i++) {
            if (i > 0) pq_bytes_append_byte(out, ',', NULL);
            draw_json(out, depth + 1);
        }
        pq_bytes_append_byte(out, ']', NULL);
    } else {
        const uint64_t count = draw(6), stride = 1 + draw(4), first = draw(40);
        pq_bytes_append_byte(out, '{', NULL);
        for (uint64_t i = 0; i < count; i++) {
            const uint64_t name = (first + i * stride) * 17 % 61;  // distinct: 61 is a prime
            pq_bytes_printf(out, NULL, "%s\"%.*s%llu\":", i > 0 ? "," : "", (int)(name % 9),
                            "keykeykey", (unsigned long long)name);
            draw_json(out, depth + 1);
        }
        pq_bytes_append_byte(out, '}', NULL);
    }
}

struct fixture {
    struct pq_variant_names *names;
    struct pq_variant_encoder *encoder;
};

static struct fixture make_fixture(struct pq_variant_names *names) {
    struct fixture fixture = {.names = names};
    CHECK(pq_variant_encoder_create(names, &pq_alloc_libc, &fixture.encoder, NULL) == PQDB_OK, "c");
    return fixture;
}

static void drop_fixture(struct fixture *fixture) {
    pq_variant_encoder_destroy(fixture->encoder);
    pq_variant_names_unref(fixture->names);
}

static void check_text(const char *what, const struct pq_variant *variant,
                       const struct pq_bytes *want) {
    struct pq_bytes got;
    pqdb_error err = {0};
    pq_bytes_init(&got, &pq_alloc_libc);
    CHECK(pq_variant_check(variant, &err) == PQDB_OK, "%s: %s", what, err.message);
    CHECK(pq_variant_write_json(variant, &got, NULL) == PQDB_OK, "%s", what);
    CHECK(pq_text_equal(pq_bytes_text(&got), pq_bytes_text(want)), "%s:\n%.*s\n%.*s", what,
          PQ_TEXT_ARG(pq_bytes_text(&got)), PQ_TEXT_ARG(pq_bytes_text(want)));
    pq_bytes_deinit(&got);
}

static void check_paths(const struct pq_variant *variant, const struct pq_variant *root,
                        struct pq_variant_step *steps, size_t depth) {
    uint32_t ids[16];
    pq_variant_path_resolve(root->names, steps, depth, ids);
    const struct pq_value found = pq_variant_path(root, steps, ids, depth);
    const struct pq_value want = pq_variant_unwrap(variant);
    CHECK(found.kind == want.kind, "depth %zu: kind %d, not %d", depth, (int)found.kind,
          (int)want.kind);
    if (want.kind == PQ_VARIANT) {
        CHECK(found.as.variant.bytes == variant->bytes, "depth %zu", depth);
        CHECK(found.as.variant.length == variant->length, "depth %zu", depth);
    }
    if (want.kind == PQ_TEXT) CHECK(found.as.text.data == want.as.text.data, "depth %zu", depth);
    if (pq_variant_shape(variant) == PQ_VARIANT_SCALAR || depth == 16) return;
    const bool is_list = pq_variant_shape(variant) == PQ_VARIANT_ARRAY;
    for (size_t k = 0; k < pq_variant_count(variant); k++) {
        steps[depth] = (struct pq_variant_step){.name = PQ_TEXT("no such name"), .index = -1};
        const struct pq_variant inner = pq_variant_at(variant, k, &steps[depth].name);
        if (is_list) steps[depth].index = (int64_t)k;
        check_paths(&inner, root, steps, depth + 1);
    }
    steps[depth] = (struct pq_variant_step){.name = PQ_TEXT("no such name"), .index = 100000};
    pq_variant_path_resolve(root->names, steps, depth + 1, ids);
    CHECK(depth == 15 || pq_variant_path(root, steps, ids, depth + 1).kind == PQ_NULL, "missing");
}

static void check_rename(struct fixture *to, const struct pq_variant *variant,
                         const struct pq_bytes *want) {
    struct pq_bytes bytes;
    struct pq_arena arena;
    struct pq_variant renamed;
    bool own;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    pq_arena_init(&arena, &pq_alloc_libc);
    CHECK(pq_variant_rename(to->encoder, variant, &bytes, &own, NULL) == PQDB_OK, "rename");
    CHECK(pq_variant_of_row(pq_bytes_text(&bytes), own ? own_names : 1, to->names, &arena, &renamed,
                            NULL) == PQDB_OK, "row");
    check_text("renamed", &renamed, want);
    pq_arena_deinit(&arena);
    pq_bytes_deinit(&bytes);
}

/// Cut and flipped values are refused, or they are values: then they can be walked.
static void check_damage(const struct pq_variant *variant, struct pq_bytes *copy) {
    struct pq_bytes text;
    pq_bytes_init(&text, &pq_alloc_libc);
    for (int i = 0; i < 8; i++) {
        copy->length = 0;
        pq_bytes_append(copy, variant->bytes, variant->length, NULL);
        const size_t at = draw(variant->length);
        if (i % 2 == 0) copy->length = at;
        if (i % 2 == 1) copy->data[at] ^= (uint8_t)(1 + draw(255));
        uint8_t *exact = malloc(copy->length + 1);
        memcpy(exact, copy->data, copy->length);
        const struct pq_variant damaged = {
            .bytes = exact, .length = copy->length, .names = variant->names};
        const pqdb_code code = pq_variant_check(&damaged, NULL);
        CHECK(code == PQDB_OK || code == PQDB_CORRUPT, "code %d", (int)code);
        CHECK(i % 2 == 1 || code == PQDB_CORRUPT, "a cut value of %zu bytes", copy->length);
        text.length = 0;
        if (code == PQDB_OK) CHECK(pq_variant_write_json(&damaged, &text, NULL) == PQDB_OK, "walk");
        free(exact);
    }
    pq_bytes_deinit(&text);
}

static void check_round(struct fixture *shared, struct fixture *tiny, struct pq_bytes *room) {
    struct pq_bytes json, want, bytes;
    struct pq_json_document *document;
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    pq_bytes_init(&json, &pq_alloc_libc);
    pq_bytes_init(&want, &pq_alloc_libc);
    pq_bytes_init(&bytes, &pq_alloc_libc);
    draw_json(&json, 0);
    pqdb_error err = {0};
    const unsigned flags = draw(2) == 0 ? PQ_JSON_STRICT : PQ_JSON_RAW_NUMBERS;
    CHECK(pq_json_parse(pq_bytes_text(&json), 0, &pq_alloc_libc, &document, &err) == PQDB_OK, "%s",
          err.message);
    canonical_json(pq_json_root(document), &want);
    pq_json_destroy(document);
    CHECK(pq_json_parse(pq_bytes_text(&json), flags, &pq_alloc_libc, &document, NULL) == PQDB_OK,
          "parse");
    struct fixture *fixtures[] = {shared, tiny};
    for (int i = 0; i < 2; i++) {
        struct fixture *with = fixtures[i];
        struct pq_variant variant;
        bool own;
        bytes.length = 0;
        CHECK(pq_variant_encode_json(with->encoder, pq_json_root(document), &bytes, &own, &err) ==
              PQDB_OK, "%s %s", err.subject, err.message);
        CHECK(pq_variant_of_row(pq_bytes_text(&bytes), own ? own_names : 1, with->names, &arena,
                                &variant, NULL) == PQDB_OK, "row");
        check_text(i == 0 ? "shared" : "tiny", &variant, &want);
        struct pq_variant_step steps[17];
        check_paths(&variant, &variant, steps, 0);
        check_rename(fixtures[1 - i], &variant, &want);
        check_damage(&variant, room);
    }
    pq_json_destroy(document);
    pq_bytes_deinit(&json);
    pq_bytes_deinit(&want);
    pq_bytes_deinit(&bytes);
    pq_arena_deinit(&arena);
}

static void json_through_a_variant_is_canonical_json(void) {
    struct pq_variant_names *names, *few;
    struct pq_bytes room;
    size_t used;
    static const uint8_t metadata[] = {1, 3, 0, 1, 2, 6, '0', '1', 'k', 'e', 'y', '3'};
    pq_bytes_init(&room, &pq_alloc_libc);
    CHECK(pq_variant_names_create(&pq_alloc_libc, &names, NULL) == PQDB_OK, "names");
    CHECK(pq_variant_names_from_metadata(metadata, sizeof metadata, &pq_alloc_libc, &few, &used,
                                         NULL) == PQDB_OK, "names");
    struct fixture shared = make_fixture(names), tiny = make_fixture(few);
    for (uint64_t seed = 1; seed <= rounds && test_failures_ == 0; seed++) {
        state = seed;
        check_round(&shared, &tiny, &room);
        if (test_failures_ > 0) fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    }
    drop_fixture(&shared);
    drop_fixture(&tiny);
    pq_bytes_deinit(&room);
}

int main(void) {
    RUN(json_through_a_variant_is_canonical_json);
    return test_done();
}
