#include "expr/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdint.h>

#include "base/fail.h"

struct pq_regex {
    pcre2_general_context *context;  // allocates from `alloc`
    pcre2_code *code;
    const struct pq_alloc *alloc;
    struct pq_regex *next;
};

struct pq_regex_match {
    const struct pq_regex *regex;
    pcre2_match_context *limits;
    pcre2_match_data *data;
};

/// PCRE2 frees without a size: it is kept in front, within an alignment unit.
enum { HEAD = 16 };

static void *take(size_t bytes, void *ctx) {
    uint8_t *memory = pq_resize(ctx, NULL, 0, bytes + HEAD, 1);
    if (memory == NULL) return NULL;
    memcpy(memory, &bytes, sizeof bytes);
    return memory + HEAD;
}

static void give_back(void *memory, void *ctx) {
    if (memory == NULL) return;
    uint8_t *start = (uint8_t *)memory - HEAD;
    size_t bytes;
    memcpy(&bytes, start, sizeof bytes);
    pq_free(ctx, start, bytes + HEAD, 1);
}

/// PCRE2 hands `ctx` back as it was given and never writes through it.
static pcre2_general_context *context_of(const struct pq_alloc *alloc) {
    return pcre2_general_context_create(take, give_back, (void *)(uintptr_t)alloc);
}

static bool read_options(struct pq_text options, uint32_t *flags, char *unknown) {
    for (size_t i = 0; i < options.length; i++) {
        switch (options.data[i]) {
            case 'i': *flags |= PCRE2_CASELESS; break;
            case 'm': *flags |= PCRE2_MULTILINE; break;
            case 's': *flags |= PCRE2_DOTALL; break;
            case 'x': *flags |= PCRE2_EXTENDED; break;
            default: *unknown = options.data[i]; return false;
        }
    }
    return true;
}

static pqdb_code compile_pattern(struct pq_regex *regex, struct pq_text pattern, uint32_t flags,
                                 pqdb_error *err) {
    int number;
    PCRE2_SIZE offset;
    pcre2_compile_context *context = pcre2_compile_context_create(regex->context);
    if (context == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a regular expression");
    regex->code = pcre2_compile((PCRE2_SPTR)pattern.data, pattern.length, flags, &number, &offset,
                                context);
    pcre2_compile_context_free(context);
    if (regex->code != NULL) {
        // Without JIT (or memory for it) the interpreter does the same, slower.
        (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
        return PQDB_OK;
    }
    if (number == PCRE2_ERROR_NOMEMORY || number == 121) {  // 121: it failed inside the compiler
        return pq_fail(err, PQDB_NO_MEMORY, "a regular expression");
    }
    PCRE2_UCHAR why[128];
    pcre2_get_error_message(number, why, sizeof why);
    const pqdb_code code = pq_fail(err, PQDB_INVALID, "%s, at byte %zu of the pattern",
                                   (const char *)why, (size_t)offset);
    if (err != NULL) err->offset = (int64_t)offset;
    return code;
}

pqdb_code pq_regex_create(struct pq_text pattern, struct pq_text options,
                          const struct pq_alloc *alloc, struct pq_regex **chain,
                          pqdb_error *err) {
    uint32_t flags = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C;
    char unknown;
    if (!read_options(options, &flags, &unknown)) {
        return pq_fail(err, PQDB_INVALID, "option '%c' is none of i, m, s, x", unknown);
    }
    if (pattern.length > PQ_REGEX_PATTERN_MAX) {
        return pq_fail(err, PQDB_INVALID, "the pattern is longer than %d bytes",
                       PQ_REGEX_PATTERN_MAX);
    }
    struct pq_regex *regex = pq_resize(alloc, NULL, 0, 1, sizeof *regex);
    if (regex == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a regular expression");
    *regex = (struct pq_regex){.alloc = alloc, .context = context_of(alloc)};
    const pqdb_code code = regex->context == NULL
                               ? pq_fail(err, PQDB_NO_MEMORY, "a regular expression")
                               : compile_pattern(regex, pattern, flags, err);
    if (code != PQDB_OK) {
        pq_regex_destroy_all(regex);
        return code;
    }
    regex->next = *chain;
    *chain = regex;
    return PQDB_OK;
}

void pq_regex_destroy_all(struct pq_regex *chain) {
    while (chain != NULL) {
        struct pq_regex *next = chain->next;
        pcre2_code_free(chain->code);
        pcre2_general_context_free(chain->context);
        pq_free(chain->alloc, chain, 1, sizeof *chain);
        chain = next;
    }
}

pqdb_code pq_regex_match_create(const struct pq_regex *regex, struct pq_arena *arena,
                                struct pq_regex_match **match, pqdb_error *err) {
    struct pq_regex_match *created = pq_arena_calloc(arena, 1, sizeof *created);
    pcre2_general_context *context = context_of(&arena->alloc);
    if (created == NULL || context == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a match");
    created->regex = regex;
    created->limits = pcre2_match_context_create(context);
    created->data = pcre2_match_data_create(1, context);
    if (created->limits == NULL || created->data == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "a match");
    }
    pcre2_set_match_limit(created->limits, PQ_REGEX_STEPS_MAX);
    pcre2_set_heap_limit(created->limits, PQ_REGEX_HEAP_KIB_MAX);
    *match = created;
    return PQDB_OK;
}

pqdb_code pq_regex_matches(struct pq_regex_match *match, struct pq_text text, bool *matches,
                           pqdb_error *err) {
    const PCRE2_SPTR data = (PCRE2_SPTR)(text.data == NULL ? "" : text.data);
    int found = pcre2_match(match->regex->code, data, text.length, 0, 0, match->data,
                            match->limits);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {  // the interpreter has its own, larger bound
        found = pcre2_match(match->regex->code, data, text.length, 0, PCRE2_NO_JIT, match->data,
                            match->limits);
    }
    *matches = found >= 0;
    if (found >= 0 || found == PCRE2_ERROR_NOMATCH) return PQDB_OK;
    if (found == PCRE2_ERROR_NOMEMORY) return pq_fail(err, PQDB_NO_MEMORY, "a match");
    return pq_fail(err, PQDB_LIMIT,
                   "a regular expression needs more than %d steps on a text of %zu bytes: "
                   "make it simpler",
                   PQ_REGEX_STEPS_MAX, text.length);
}

static bool is_ascii(struct pq_text text) {
    for (size_t i = 0; i < text.length; i++) {
        if ((text.data[i] & 0x80) != 0) return false;
    }
    return true;
}

/// PCRE2 knows the case of every code point: a pattern that matches all, replaced by itself.
struct pq_caser {
    pcre2_code *all;
    pcre2_match_data *data;
};

static struct pq_caser *caser_create(struct pq_arena *arena) {
    int number;
    PCRE2_SIZE offset;
    struct pq_caser *caser = pq_arena_alloc(arena, sizeof *caser);
    pcre2_general_context *context = context_of(&arena->alloc);
    if (caser == NULL || context == NULL) return NULL;
    pcre2_compile_context *compiling = pcre2_compile_context_create(context);
    if (compiling == NULL) return NULL;
    caser->all = pcre2_compile((PCRE2_SPTR) "(?s)\\A.*\\z", PCRE2_ZERO_TERMINATED,
                               PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &number, &offset, compiling);
    caser->data = pcre2_match_data_create(1, context);
    return caser->all == NULL || caser->data == NULL ? NULL : caser;
}

static pqdb_code unicode_case(const struct pq_caser *caser, struct pq_text text, bool upper,
                              struct pq_arena *arena, struct pq_text *out, pqdb_error *err) {
    const PCRE2_SPTR replacement = (PCRE2_SPTR)(upper ? "\\U$0" : "\\L$0");
    PCRE2_SIZE length = text.length * 2 + 16;  // no other case is twice as long
    char *room = pq_arena_alloc(arena, length);
    if (room == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a text in other case");
    const int number = pcre2_substitute(caser->all, (PCRE2_SPTR)text.data, text.length, 0,
                                        PCRE2_SUBSTITUTE_EXTENDED, caser->data, NULL, replacement,
                                        PCRE2_ZERO_TERMINATED, (PCRE2_UCHAR *)room, &length);
    if (number == PCRE2_ERROR_NOMEMORY) {
        return pq_fail(err, PQDB_NO_MEMORY, "a text in other case");
    }
    *out = number < 1 ? text : (struct pq_text){room, length};  // text that is no UTF-8 stays
    return PQDB_OK;
}

pqdb_code pq_text_to_case(struct pq_text text, bool upper, struct pq_arena *arena,
                          struct pq_caser **caser, struct pq_text *out, pqdb_error *err) {
    if (!is_ascii(text)) {
        if (*caser == NULL) *caser = caser_create(arena);
        if (*caser == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a text in other case");
        return unicode_case(*caser, text, upper, arena, out, err);
    }
    char *room = pq_arena_alloc(arena, text.length);
    if (room == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a text in other case");
    for (size_t i = 0; i < text.length; i++) {
        const char c = text.data[i];
        const bool other = upper ? c >= 'a' && c <= 'z' : c >= 'A' && c <= 'Z';
        room[i] = other ? (char)(c ^ 0x20) : c;
    }
    *out = (struct pq_text){room, text.length};
    return PQDB_OK;
}
