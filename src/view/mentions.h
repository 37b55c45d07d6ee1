/// view/mentions.h: the paths that filters and expressions name, found without compiling them; and
/// their JSON written again, with paths below one prefix moved to another.
#ifndef PQ_VIEW_MENTIONS_H
#define PQ_VIEW_MENTIONS_H

#include <parquedb/error.h>

#include "base/json.h"

/// One mention: `path` as at field position ("$id", "logs.level"), `json` the text or key that it
/// stands in. `whole`: an operator takes the list it names as one value (`$size`, `$arrayElem`,
/// `$in`).
struct pq_mention {
    struct pq_text path;
    const struct pq_json *json;
    bool whole;
};
struct pq_mention_visitor {
    void (*visit)(void *ctx, const struct pq_mention *mention);
    void *ctx;
};

/// Recursive: the caller has bounded the depth.
void pq_mentions_of_filter(const struct pq_json *filter, const struct pq_mention_visitor *visitor);
/// Of one key of a filter and its value.
void pq_mentions_of_condition(const struct pq_json *key, const struct pq_mention_visitor *visitor);
/// What `$elemMatch` asks of elements: the list's path with the element's behind it. The paths live
/// as long as the call.
void pq_mentions_in_elements(const struct pq_json *filter,
                             const struct pq_mention_visitor *visitor);
void pq_mentions_of_expr(const struct pq_json *expr, const struct pq_mention_visitor *visitor);

/// Paths that are `from` or begin with it and a dot begin with `to` instead.
struct pq_rewrite {
    struct pq_text from, to;
};

/// Append the value as JSON, numbers as they were but for JSON5's spellings (+1, .5, 0x10);
/// Infinity and NaN stay. `rewrite` (may be NULL) applies to the paths of an expression.
pqdb_code pq_json_copy(struct pq_bytes *out, const struct pq_json *value,
                       const struct pq_rewrite *rewrite, pqdb_error *err);

/// `path` under the rewrite; false when it does not apply. `out` lives in `arena`; its data is
/// NULL when memory is out.
struct pq_arena;
bool pq_rewrite_path(const struct pq_rewrite *rewrite, struct pq_text path,
                     struct pq_arena *arena, struct pq_text *out);

#endif
