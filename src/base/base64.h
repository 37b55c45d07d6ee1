/// base/base64.h: bytes as text, RFC 4648 with padding.
#ifndef PQ_BASE_BASE64_H
#define PQ_BASE_BASE64_H

#include "base/bytes.h"

/// Append 4 characters for every 3 bytes or part of them.
pqdb_code pq_base64_write(struct pq_bytes *out, struct pq_text bytes, pqdb_error *err);

/// Append the bytes that `text` stands for. Padding may be missing, `-` and `_` are taken for `+`
/// and `/`; nothing else is forgiven. Errors: PQDB_INVALID (`out` is then as it was).
pqdb_code pq_base64_read(struct pq_bytes *out, struct pq_text text, pqdb_error *err);

#endif
