#include "parquet/page_write.h"

#include "base/fail.h"
#include "codec/crc32.h"
#include "parquet/checks.h"

#define PAGE_BYTES_MAX ((size_t)1 << 30)

static const struct pq_codec *const codecs[] = {
    [1] = &pq_codec_snappy, [2] = &pq_codec_gzip, [4] = &pq_codec_brotli,
    [5] = &pq_codec_lz4_hadoop, [6] = &pq_codec_zstd, [7] = &pq_codec_lz4,
};

int pq_parquet_codec_number(const struct pq_codec *codec) {
    if (codec == NULL) return 0;
    for (int i = 1; i < (int)(sizeof codecs / sizeof *codecs); i++) {
        if (codecs[i] == codec) return i;
    }
    return -1;
}

bool pq_parquet_codec_of(int number, const struct pq_codec **codec) {
    *codec = NULL;
    if (number == 0) return true;
    if (number < 0 || number >= (int)(sizeof codecs / sizeof *codecs)) return false;
    *codec = codecs[number];
    return *codec != NULL;
}

pqdb_code pq_page_write(struct pq_page_writer *writer, struct pq_meta_page *header,
                        struct pq_text raw, struct pq_bytes *out, pqdb_error *err) {
    if (raw.length >= PAGE_BYTES_MAX) {
        return pq_fail(err, PQDB_LIMIT, "a page of %zu bytes, at most %zu", raw.length,
                       PAGE_BYTES_MAX);
    }
    struct pq_text body = raw;
    if (writer->codec != NULL) {
        writer->stored.length = 0;
        PQ_TRY(writer->codec->compress(raw, writer->level, &writer->stored, err));
        body = pq_bytes_text(&writer->stored);
    }
    header->has |= PQ_PAGE_ALWAYS | 1u << PQ_PAGE_CRC;
    header->raw_bytes = (int32_t)raw.length;
    header->stored_bytes = (int32_t)body.length;
    header->crc = (int32_t)pq_crc32(0, body.data, body.length);
    const size_t start = out->length;
    PQ_TRY(pq_thrift_encode(&pq_meta_page_table, header, out, err));
    writer->header_check = pq_check_header(out->data + start, out->length - start);
    writer->raw_bytes += (int64_t)(out->length - start + raw.length);
    return pq_bytes_append_text(out, body, err);
}
