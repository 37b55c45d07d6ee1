#include "ingest/ulid.h"

enum { random_bytes = 10 };

void pq_ulids_init(struct pq_ulids *ulids, const struct pq_env *env) {
    *ulids = (struct pq_ulids){.env = env};
}

pq_u128 pq_ulids_take(struct pq_ulids *ulids, uint64_t count) {
    const uint64_t now_ms = (uint64_t)(ulids->env->now_us(ulids->env->ctx) / 1000);
    const uint64_t last_ms = (uint64_t)(ulids->last >> (8 * random_bytes));
    if (!ulids->started || now_ms > last_ms) {
        uint8_t bytes[random_bytes];
        ulids->env->random(ulids->env->ctx, bytes, sizeof bytes);
        bytes[0] &= 0x7F;  // so that counting up never reaches the time
        pq_u128 fresh = now_ms;
        for (size_t i = 0; i < sizeof bytes; i++) fresh = fresh << 8 | bytes[i];
        ulids->last = fresh - 1;
        ulids->started = true;
    }
    const pq_u128 first = ulids->last + 1;
    ulids->last += count;
    return first;
}

void pq_ulid_format(pq_u128 ulid, char out[PQ_ULID_LENGTH]) {
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    // 130 bits of digits for 128: the first digit is at most 7.
    for (int i = PQ_ULID_LENGTH - 1; i >= 0; i--) {
        out[i] = digits[(unsigned)ulid & 31];
        ulid >>= 5;
    }
}
