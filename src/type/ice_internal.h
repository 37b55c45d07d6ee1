/// Shared by the three files of declarations.
#ifndef PQ_TYPE_ICE_INTERNAL_H
#define PQ_TYPE_ICE_INTERNAL_H

#include "type/ice_type.h"

/// One declaration while it is read.
struct ice_parse {
    struct pq_ice_target *target;
    struct pq_problem_at at;
    pqdb_error *err;
};

/// Add a problem and return PQDB_INVALID.
#define ice_problem(parse, code, remedy, ...)                                            \
    (pq_problem_add((parse)->target->problems, code, (parse)->at, remedy, __VA_ARGS__), \
     pq_fail((parse)->err, PQDB_INVALID, "invalid declaration"))

/// The text after `=`; the field's type is complete.
pqdb_code ice_read_default(struct ice_parse *parse, struct pq_text text);

/// Turn the field's type into a list of it.
pqdb_code pq_ice_wrap_list(struct pq_arena *arena, struct pq_declared_field *field,
                           pqdb_error *err);

#endif
