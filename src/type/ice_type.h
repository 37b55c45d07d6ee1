/// type/ice_type.h: field declarations of a schema, "decimal(10,2)!", "-> Customer", "string[]".
///
/// A declaration gives the shape of the values (pq_type) and the rules that a write must satisfy.
#ifndef PQ_TYPE_ICE_TYPE_H
#define PQ_TYPE_ICE_TYPE_H

#include "base/arena.h"
#include "type/problem.h"
#include "type/value.h"

struct pq_json;

enum pq_text_form {
    PQ_FORM_ANY,
    PQ_FORM_VARCHAR,  ///< at most length_max code points
    PQ_FORM_CHAR,     ///< exactly length_max code points
    PQ_FORM_EMAIL,
    PQ_FORM_URL,
    PQ_FORM_UUID,
    PQ_FORM_ENUM,  ///< one of enum_values
};

/// `-> Type`, `-> Type[]`, `-> Type.reverse`, or the computed inverse `<- Type.field[]`.
struct pq_relation {
    struct pq_text target;   // name of the declared collection, as the schema writes it there
    struct pq_text reverse;  // name for the way back, or empty
    struct pq_text field;    // inverse only: the target's field that points here
    bool many;
    bool inverse;  // computed: it has no column
};

/// For `base[]` the rules hold for each element; field.type is then a LIST.
struct pq_declared_field {
    struct pq_field field;  // required; id: see pq_entry_row_type
    int32_t column;         // position in the entry's row type; -1: nested, or a computed inverse
    enum pq_text_form form;
    uint32_t length_max;                // VARCHAR, CHAR
    const struct pq_text *enum_values;  // ENUM
    size_t enum_count;
    const struct pq_relation *relation;  // or NULL
    bool indexed;                        // # or ##
    bool unique;                         // ##
    bool has_default;
    /// The default of a scalar; kind PQ_NULL for lists, objects, vectors and variants, whose
    /// default is the value of `default_json`.
    struct pq_value default_value;
    struct pq_text default_json;        // the default as JSON text, empty without one
    uint32_t vector_length;             // vector(n); field.type is a LIST of FLOAT32
    struct pq_declared_field *members;  // of an inline object, or of a list of them
    size_t member_count;
    struct pq_text declaration;  // as written; empty for inline objects
    size_t line, column_in_line;
};

static inline bool pq_declared_is_list(const struct pq_declared_field *field) {
    return field->field.type.kind == PQ_LIST;
}

struct pq_ice_target {
    struct pq_arena *arena;
    struct pq_problems *problems;
    struct pq_declared_field *field;  // filled on success
};

/// Parse one declaration text, without nested members. Adds what is wrong to `problems` at `at`
/// (codes INVALID_TYPE, INVALID_DEFAULT) and returns PQDB_INVALID then. All of it lives in `arena`,
/// the name is copied. Relation targets are not looked up here. Errors: also PQDB_NO_MEMORY.
pqdb_code pq_ice_type_parse(struct pq_text name, struct pq_text declaration,
                            struct pq_problem_at at, struct pq_ice_target *target,
                            pqdb_error *err);

/// Does the text obey the declared form? `why` (may be NULL) is then what it should be, like
/// "one of a, b, c". Text of any form is UTF-8, which the JSON reader has seen to. Any thread.
struct pq_rule_text {
    char text[160];
};
bool pq_declared_accepts(const struct pq_declared_field *field, struct pq_text text,
                         struct pq_rule_text *why);

/// "customer/ann" is "ann": the id that a link means, given the target's name.
struct pq_text pq_relation_id(const struct pq_relation *relation, struct pq_text link);

#endif
