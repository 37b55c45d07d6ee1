#include "parquet/schema.h"

#include <stdio.h>

size_t pq_physical_width(enum pq_physical physical, uint32_t type_length) {
    switch (physical) {
        case PQ_PHYSICAL_INT32:
        case PQ_PHYSICAL_FLOAT: return 4;
        case PQ_PHYSICAL_INT64:
        case PQ_PHYSICAL_DOUBLE: return 8;
        case PQ_PHYSICAL_INT96: return 12;
        case PQ_PHYSICAL_FIXED: return type_length;
        default: return 0;
    }
}

pqdb_code pq_parquet_at(pqdb_code code, pqdb_error *err, int64_t offset,
                        const struct pq_leaf *leaf) {
    if (err == NULL) return code;
    if (err->offset < 0) err->offset = offset;
    if (leaf == NULL || err->subject[0] != '\0') return code;
    size_t used = 0;
    for (size_t i = 0; i < leaf->path_count && used < sizeof err->subject; i++) {
        const int written = snprintf(err->subject + used, sizeof err->subject - used, "%s%.*s",
                                     i == 0 ? "" : ".", PQ_TEXT_ARG(leaf->path[i]));
        if (written < 0) break;
        used += (size_t)written;
    }
    return code;
}
