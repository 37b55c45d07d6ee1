/// What the files that read a schema share: where they are in the document, and how they complain.
#ifndef PQ_TYPE_SCHEMA_INTERNAL_H
#define PQ_TYPE_SCHEMA_INTERNAL_H

#include "type/name_set.h"
#include "type/schema.h"

enum { PQ_SCHEMA_DEPTH_MAX = 100, PQ_FIELD_DEPTH_MAX = 16, PQ_SCHEMA_PATH_MAX = 120 };

struct schema_parse {
    struct pq_schema *schema;
    struct pq_problems *problems;
    struct pq_entry *entry;  // the one being read, or NULL
    pqdb_error *err;
    struct {  // lines are counted once, as the text is read from front to back
        size_t offset, line, column;
    } cursor;
    char path[PQ_SCHEMA_PATH_MAX];  // room for the path of a problem
};

/// A key on the way from the document's root: "Order", "items", "qty".
struct place {
    const struct place *up;  // NULL: directly below the root
    struct pq_text name;
    const struct pq_json *key;  // NULL for what has no key
};

/// Path, line and column of a place; the path is valid until the next call.
struct pq_problem_at schema_at(struct schema_parse *parse, const struct place *place);

/// Add an error and mark the entry that is being read.
#define schema_problem(parse, place, code, remedy, ...)                                   \
    do {                                                                                  \
        if ((parse)->entry != NULL) (parse)->entry->broken = true;                        \
        pq_problem_add((parse)->problems, code, schema_at(parse, place), remedy, __VA_ARGS__); \
    } while (0)

/// "Did you mean x?" in `room`, or NULL when nothing is near.
const char *schema_did_you_mean(struct pq_text given, const char *const *names, size_t count,
                                char room[80]);

pqdb_code schema_no_memory(struct schema_parse *parse);

/// Read every `$` key of a collection, stream or external table but $ingest's own fields; of a view
/// those that are not its definition's business.
pqdb_code schema_read_keys(struct schema_parse *parse, const struct place *place);

/// What needs the entry's fields: $id, $paths, $shred, $retention.
pqdb_code schema_check_keys(struct schema_parse *parse, const struct place *place);

/// Read the columns that `object` declares; `depth` 0 is the entry itself.
struct field_list {
    struct pq_declared_field *items;
    size_t count;
};
pqdb_code schema_read_fields(struct schema_parse *parse, const struct place *place,
                             const struct pq_json *object, size_t depth, struct field_list *list);

/// The fields and paths of a built-in $ingest source, where the entry declares none of its own.
pqdb_code schema_add_stream(struct schema_parse *parse, const struct place *place);

/// Every relation names a collection, every inverse a relation that points here.
void schema_check_relations(struct schema_parse *parse);

/// Give the entry its row type, and its fields their columns and ids.
pqdb_code schema_lay_out(struct schema_parse *parse, struct pq_entry *entry);

/// Walk "a.b.c" from the entry's fields to the variant it goes into. NULL when it is fine, else
/// what is wrong.
const char *schema_check_variant_path(const struct pq_entry *entry, struct pq_text path);

#endif
