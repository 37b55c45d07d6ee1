#include "ingest/fields.h"

#include "base/fail.h"
#include "ingest/object_internal.h"

struct pq_field_reader {
    const struct pq_alloc *alloc;
    const struct pq_variant_names *names;  // referenced
    struct pq_object_plan *plan;           // owned, as all below
    struct pq_object_reader object;
    struct pq_json_reader json;
};

pqdb_code pq_field_reader_create(const struct pq_entry *entry, struct pq_variant_names *names,
                                 const struct pq_alloc *alloc, struct pq_field_reader **reader,
                                 pqdb_error *err) {
    struct pq_field_reader *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a reader of fields");
    *made = (struct pq_field_reader){.alloc = alloc, .names = pq_variant_names_ref(names)};
    pq_arena_init(&made->object.arena, alloc);
    pq_bytes_init(&made->object.converter.scratch, alloc);
    pq_json_reader_init(&made->json, alloc);
    pqdb_code code;
    PQ_GO(pq_variant_encoder_create(names, alloc, &made->object.converter.encoder, err));
    PQ_GO(pq_row_plan_create(entry, alloc, &made->plan, err));
    *reader = made;
    return PQDB_OK;
done:
    pq_field_reader_destroy(made);
    return code;
}

void pq_field_reader_destroy(struct pq_field_reader *reader) {
    if (reader == NULL) return;
    pq_object_plan_destroy(reader->plan);
    pq_variant_encoder_destroy(reader->object.converter.encoder);
    pq_variant_names_unref(reader->names);
    pq_bytes_deinit(&reader->object.converter.scratch);
    pq_arena_deinit(&reader->object.arena);
    pq_json_reader_deinit(&reader->json);
    pq_free(reader->alloc, reader, 1, sizeof *reader);
}

pqdb_code pq_field_read(struct pq_field_reader *reader, size_t field, struct pq_text json,
                        int64_t received_us, struct pq_builder *builder, pqdb_error *err) {
    const struct pq_json *value = NULL;
    if (json.length > 0) {
        PQ_TRY(pq_json_reader_parse(&reader->json, json, PQ_JSON_RAW_NUMBERS, &value, err));
    }
    if (err != NULL) err->subject[0] = '\0';
    reader->object.received_us = received_us;
    const pqdb_code code = pq_object_read_member(&reader->object, &reader->plan->members[field],
                                                 value, builder, err);
    if (reader->object.arena.blocks != NULL) pq_arena_reset(&reader->object.arena);
    return code;
}

struct pq_variant_encoder *pq_field_encoder(struct pq_field_reader *reader) {
    return reader->object.converter.encoder;
}
