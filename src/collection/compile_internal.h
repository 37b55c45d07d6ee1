/// collection/compile_internal.h: the text of an update into operations.
#ifndef PQ_COLLECTION_COMPILE_INTERNAL_H
#define PQ_COLLECTION_COMPILE_INTERNAL_H

#include "collection/update_internal.h"

struct pq_operations {
    struct pq_operation *items;  // in the context's arena
    size_t count;
};

/// `root` outlives them. Deinit after an error too. Errors: as pq_update_compile.
pqdb_code pq_operations_compile(const struct pq_update_context *context, const struct pq_json *root,
                                struct pq_operations *all, pqdb_error *err);
void pq_operations_deinit(struct pq_operations *all);

#endif
