#include "db/schema_file.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/fail.h"
#include "base/hash.h"
#include "type/schema.h"

#define BEGIN "\n// parquedb check "
#define END ": made by parquedb, change a copy\n"

enum { digits = 16, line_bytes = sizeof BEGIN - 1 + digits + sizeof END - 1 };

static void format_line(struct pq_text text, char line[line_bytes + 1]) {
    snprintf(line, line_bytes + 1, BEGIN "%016" PRIx64 END, pq_hash(text.data, text.length));
}

pqdb_code pq_schema_file_read(struct pq_store *store, struct pq_bytes *out, pqdb_error *err) {
    const size_t start = out->length;
    PQ_TRY(pq_store_read_file(store, PQ_DB_SCHEMA_FILE, PQ_SCHEMA_BYTES_MAX + line_bytes + 1, out,
                              err));
    const size_t length = out->length - start;
    if (length < line_bytes) return PQDB_OK;
    const char *ours = (const char *)out->data + out->length - line_bytes;
    // One of the two is there even where a byte of the line is damaged.
    if (memcmp(ours, BEGIN, sizeof BEGIN - 1) != 0 &&
        memcmp(ours + line_bytes - (sizeof END - 1), END, sizeof END - 1) != 0) {
        return PQDB_OK;
    }
    char line[line_bytes + 1];
    const struct pq_text text = {(const char *)out->data + start, length - line_bytes};
    out->length -= line_bytes;
    format_line(text, line);
    if (memcmp(ours, line, line_bytes) == 0) return PQDB_OK;
    return pq_store_fail_at(err, PQDB_CORRUPT, PQ_DB_SCHEMA_FILE, 0,
                            "it was changed by hand, or is damaged; if it is right as it is, "
                            "remove its last line");
}

static pqdb_code with_line(struct pq_store *store, struct pq_text text, struct pq_bytes *out,
                           pqdb_error *err) {
    char line[line_bytes + 1];
    pq_bytes_init(out, store->alloc);
    PQ_TRY(pq_bytes_append_text(out, text, err));
    format_line(text, line);
    return pq_bytes_append(out, line, line_bytes, err);
}

pqdb_code pq_schema_file_write(struct pq_store *store, struct pq_text text, pqdb_error *err) {
    struct pq_bytes whole;
    pqdb_code code = with_line(store, text, &whole, err);
    if (code == PQDB_OK) {
        code = pq_store_write_file(store, PQ_DB_SCHEMA_FILE, pq_bytes_text(&whole), err);
    }
    pq_bytes_deinit(&whole);
    return code;
}

pqdb_code pq_schema_file_create(struct pq_store *store, struct pq_text text, pqdb_error *err) {
    struct pq_bytes whole;
    pqdb_code code = with_line(store, text, &whole, err);
    if (code == PQDB_OK) {
        code = pq_store_create_file(store, PQ_DB_SCHEMA_FILE, pq_bytes_text(&whole), err);
    }
    pq_bytes_deinit(&whole);
    return code;
}
