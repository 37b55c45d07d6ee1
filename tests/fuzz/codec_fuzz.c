/// Hostile blocks and streams: no byte sequence may crash a codec, and none may expand past the
/// stated bound. Byte 0 picks the codec, bytes 1-2 the announced length, the rest is the block.
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "codec/inflate_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define EXPANDED_MAX ((size_t)1 << 20)

static pqdb_code read_block(void *ctx, uint8_t *out, size_t capacity, size_t *length,
                            pqdb_error *err) {
    struct pq_text *left = ctx;
    (void)err;
    *length = left->length < 7 ? left->length : 7;
    if (*length > capacity) *length = capacity;
    memcpy(out, left->data, *length);
    left->data += *length;
    left->length -= *length;
    return PQDB_OK;
}

static void read_stream(struct pq_text block) {
    struct pq_inflate_stream *stream = NULL;
    uint8_t out[1000];
    pq_inflate_stream_open(read_block, &block, &pq_alloc_libc, &stream, NULL);
    if (stream == NULL) return;
    size_t length = sizeof out, total = 0;
    while (length == sizeof out && total < EXPANDED_MAX) {
        if (pq_inflate_stream_read(stream, out, sizeof out, &length, NULL) != PQDB_OK) break;
        total += length;
    }
    pq_inflate_stream_close(stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
#define ADDRESS(x) &pq_codec_##x,
    static const struct pq_codec *const codecs[] = {PQ_CODECS(ADDRESS)};
    if (size < 3) return 0;
    const struct pq_codec *codec = codecs[data[0] % (sizeof codecs / sizeof *codecs)];
    const size_t announced = pq_load_u16(data + 1);
    const struct pq_text block = {(const char *)data + 3, size - 3};

    uint8_t *out = malloc(announced == 0 ? 1 : announced);
    struct pq_bytes expanded;
    pq_bytes_init(&expanded, &pq_alloc_libc);
    codec->decompress(block, out, announced, NULL);
    pq_codec_expand(codec, block, EXPANDED_MAX, &expanded, NULL);
    if (expanded.length > EXPANDED_MAX) abort();
    read_stream(block);
    pq_bytes_deinit(&expanded);
    free(out);
    return 0;
}
