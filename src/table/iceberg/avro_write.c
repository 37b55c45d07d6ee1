#include "base/fail.h"
#include "codec/codec.h"
#include "table/iceberg/avro.h"
#include "table/iceberg/seal.h"

enum { BLOCK_BYTES = 64 << 10 };

pqdb_code pq_avro_put_long(struct pq_bytes *out, int64_t value, pqdb_error *err) {
    return pq_bytes_append_varint(out, pq_zigzag(value), err);
}

pqdb_code pq_avro_put_bytes(struct pq_bytes *out, struct pq_text bytes, pqdb_error *err) {
    PQ_TRY(pq_avro_put_long(out, (int64_t)bytes.length, err));
    return pq_bytes_append_text(out, bytes, err);
}

static pqdb_code put_entry(struct pq_bytes *out, struct pq_text key, struct pq_text value,
                           pqdb_error *err) {
    PQ_TRY(pq_avro_put_bytes(out, key, err));
    return pq_avro_put_bytes(out, value, err);
}

pqdb_code pq_avro_writer_init(struct pq_avro_writer *writer, const struct pq_avro_options *options,
                              const struct pq_alloc *alloc, struct pq_bytes *out,
                              pqdb_error *err) {
    *writer = (struct pq_avro_writer){.out = out, .start = out->length,
                                      .deflate = options->deflate};
    memcpy(writer->sync, options->sync, PQ_AVRO_SYNC_BYTES);
    pq_bytes_init(&writer->block, alloc);
    PQ_TRY(pq_bytes_append(out, "Obj\1", 4, err));
    PQ_TRY(pq_avro_put_long(out, (int64_t)options->entry_count + 3, err));
    PQ_TRY(put_entry(out, PQ_TEXT("avro.schema"), options->schema, err));
    PQ_TRY(put_entry(out, PQ_TEXT("avro.codec"),
                     options->deflate ? PQ_TEXT("deflate") : PQ_TEXT("null"), err));
    PQ_TRY(put_entry(out, PQ_TEXT(PQ_SEAL_KEY), PQ_TEXT(PQ_SEAL_DIGITS), err));
    for (size_t i = 0; i < options->entry_count; i++) {
        PQ_TRY(put_entry(out, options->entries[i].key, options->entries[i].value, err));
    }
    PQ_TRY(pq_avro_put_long(out, 0, err));
    return pq_bytes_append(out, writer->sync, PQ_AVRO_SYNC_BYTES, err);
}

static pqdb_code compress_block(struct pq_avro_writer *writer, struct pq_bytes *compressed,
                                pqdb_error *err) {
    PQ_TRY(pq_codec_deflate.compress(pq_bytes_text(&writer->block), 0, compressed, err));
    return pq_avro_put_bytes(writer->out, pq_bytes_text(compressed), err);
}

static pqdb_code write_block(struct pq_avro_writer *writer, pqdb_error *err) {
    if (writer->record_count == 0) return PQDB_OK;
    PQ_TRY(pq_avro_put_long(writer->out, (int64_t)writer->record_count, err));
    if (writer->deflate) {
        struct pq_bytes compressed;
        pq_bytes_init(&compressed, writer->block.alloc);
        const pqdb_code code = compress_block(writer, &compressed, err);
        pq_bytes_deinit(&compressed);
        PQ_TRY(code);
    } else {
        PQ_TRY(pq_avro_put_bytes(writer->out, pq_bytes_text(&writer->block), err));
    }
    writer->block.length = 0;
    writer->record_count = 0;
    return pq_bytes_append(writer->out, writer->sync, PQ_AVRO_SYNC_BYTES, err);
}

pqdb_code pq_avro_end_record(struct pq_avro_writer *writer, pqdb_error *err) {
    writer->record_count++;
    return writer->block.length < BLOCK_BYTES ? PQDB_OK : write_block(writer, err);
}

pqdb_code pq_avro_finish(struct pq_avro_writer *writer, pqdb_error *err) {
    PQ_TRY(write_block(writer, err));
    pq_seal(writer->out, writer->start);
    return PQDB_OK;
}

void pq_avro_writer_deinit(struct pq_avro_writer *writer) { pq_bytes_deinit(&writer->block); }
