#include "table/link_file.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/fail.h"
#include "base/hash.h"
#include "state/run.h"
#include "store/pace.h"
#include "table/data_file_internal.h"
#include "table/memory_index.h"
#include "variant/variant.h"

enum { piece_rows = 16384, key_bytes = 4, sink_bytes = PQ_PACE_STEP_BYTES, slot_count_min = 1024 };
enum { tail_bytes = 72, tail_rows = 8 };  // of a run: state/run.h

bool pq_type_can_link(const struct pq_type *type) {
    const bool is_scalar = type->kind == PQ_BOOL || type->kind == PQ_INT64 ||
                           type->kind == PQ_DECIMAL || type->kind == PQ_DATE ||
                           type->kind == PQ_TIME || type->kind == PQ_TIMESTAMP;
    return type->kind == PQ_TEXT || is_scalar ||
           (type->kind == PQ_LIST && type->fields[0].type.kind == PQ_TEXT);
}

static pqdb_code path_of(const struct pq_data_file *file, uint32_t column,
                         char path[PQ_STORE_PATH_MAX], pqdb_error *err) {
    const int length = snprintf(path, PQ_STORE_PATH_MAX, "%s.%d.links", file->path,
                                (int)file->options.type->fields[column].id);
    if (length > 0 && length + 4 < PQ_STORE_PATH_MAX) return PQDB_OK;
    return pq_store_fail(err, PQDB_LIMIT, file->path, "its path is too long for a file beside it");
}

// ---- reading ------------------------------------------------------------------------------------

struct pq_link_file {
    const struct pq_alloc *alloc;
    struct pq_file *file;  // owned
    struct pq_run *run;    // owned reference
    char path[PQ_STORE_PATH_MAX];
};

static pqdb_code read_run(void *ctx, uint64_t id, uint64_t offset, void *out, size_t length,
                          pqdb_error *err) {
    (void)id;
    return pq_file_read_all(ctx, offset, out, length, err);
}

/// What a root would remember of a run stands in its tail as well.
static pqdb_code open_run(struct pq_file *file, const struct pq_alloc *alloc, struct pq_run **run,
                          pqdb_error *err) {
    struct pq_run_name name = {0};
    uint8_t rows[8];
    PQ_TRY(pq_file_size(file, &name.length, err));
    if (name.length < tail_bytes) {
        return pq_fail(err, PQDB_CORRUPT, "the file is too short for a run");
    }
    PQ_TRY(pq_file_read_all(file, name.length - tail_bytes + tail_rows, rows, 8, err));
    name.rows = pq_load_u64(rows);
    const struct pq_run_io io = {.read = read_run, .ctx = file};
    return pq_run_open(&io, &name, alloc, run, err);
}

pqdb_code pq_link_file_check(struct pq_store *store, const char *path,
                             const struct pq_alloc *alloc, pqdb_error *err) {
    struct pq_file *file;
    struct pq_run *run = NULL;
    uint64_t rows;
    PQ_TRY(pq_file_open(store, path, PQ_OPEN_READ, &file, err));
    pqdb_code code = open_run(file, alloc, &run, err);
    if (code == PQDB_OK) code = pq_run_check(run, &rows, err);
    pq_run_unref(run);
    pq_file_close(file);
    if (code == PQDB_CORRUPT) pq_fail_subject(err, code, pq_text_of(path));
    return code;
}

pqdb_code pq_link_file_open(struct pq_data_file *file, uint32_t column,
                            struct pq_link_file **out, pqdb_error *err) {
    const struct pq_alloc *alloc = file->options.alloc;
    struct pq_link_file *links = pq_resize(alloc, NULL, 0, 1, sizeof *links);
    if (links == NULL) return pq_fail(err, PQDB_NO_MEMORY, "links of a file");
    *links = (struct pq_link_file){.alloc = alloc};
    pqdb_code code;
    PQ_GO(path_of(file, column, links->path, err));
    code = pq_file_open(file->options.store, links->path, PQ_OPEN_READ, &links->file, err);
    if (code == PQDB_OK) code = open_run(links->file, alloc, &links->run, err);
    if (code == PQDB_OK) *out = links;
done:
    if (code == PQDB_CORRUPT) pq_fail_subject(err, code, pq_text_of(links->path));
    if (code != PQDB_OK) pq_link_file_close(links);
    if (code != PQDB_NOT_FOUND) return code;
    *out = NULL;
    return PQDB_OK;
}

void pq_link_file_close(struct pq_link_file *links) {
    if (links == NULL) return;
    pq_run_unref(links->run);
    pq_file_close(links->file);
    pq_free(links->alloc, links, 1, sizeof *links);
}

static pqdb_code find_one(struct pq_run_cursor *cursor, struct pq_text target,
                          const struct pq_file_linked *asked, pqdb_error *err) {
    const uint64_t hash = pq_hash(target.data, target.length);
    bool holds = false;
    pq_run_cursor_seek(cursor, hash);
    for (;;) {
        struct pq_run_row row;
        bool more;
        PQ_TRY(pq_run_cursor_next(cursor, &row, &more, err));
        if (!more || row.hash > hash) return PQDB_OK;
        if (row.hash < hash) continue;
        if (row.key.length < key_bytes) return pq_fail(err, PQDB_CORRUPT, "a row has no number");
        if (row.payload.length > 0) {
            const struct pq_text text = {row.payload.data + 1, row.payload.length - 1};
            holds = pq_text_equal(text, target);
        }
        if (!holds) continue;
        const uint8_t *key = (const uint8_t *)row.key.data;
        PQ_TRY(asked->take(asked->ctx, __builtin_bswap32(pq_load_u32(key)), err));
    }
}

pqdb_code pq_link_file_find(struct pq_link_file *links, const struct pq_file_linked *asked,
                            pqdb_error *err) {
    struct pq_run_cursor cursor;
    pq_run_cursor_init(&cursor, links->run, links->alloc);
    pqdb_code code = PQDB_OK;
    for (size_t i = 0; code == PQDB_OK && i < asked->count; i++) {
        code = find_one(&cursor, asked->targets[i], asked, err);
    }
    pq_run_cursor_deinit(&cursor);
    if (code == PQDB_CORRUPT) pq_fail_subject(err, code, pq_text_of(links->path));
    return code;
}

// ---- collecting ---------------------------------------------------------------------------------

struct link {
    uint64_t hash;
    uint32_t row;
    uint32_t text;  // where in `texts`
};

/// A text that has come, by its hash.
struct slot {
    uint64_t hash;
    uint32_t text;  // + 1; 0: free
};

struct build {
    struct pq_data_file *file;
    uint32_t column;
    struct pq_pace *pace;
    const struct pq_alloc *alloc;
    struct link *links;  // owned
    size_t count, capacity;
    struct pq_bytes texts;  // u32 length and bytes each
    struct slot *slots;     // owned; slot_count is a power of two
    size_t slot_count, text_count;
    struct pq_file *out;
    struct pq_bytes buffer;
    uint64_t written;
};

static struct pq_text text_at(const struct build *build, uint32_t at) {
    return (struct pq_text){(const char *)build->texts.data + at + 4,
                            pq_load_u32(build->texts.data + at)};
}

static pqdb_code grow_slots(struct build *build, pqdb_error *err) {
    const size_t count = build->slot_count == 0 ? slot_count_min : build->slot_count * 2;
    struct slot *slots = pq_resize(build->alloc, NULL, 0, count, sizeof *slots);
    if (slots == NULL) return pq_fail(err, PQDB_NO_MEMORY, "links of a file");
    memset(slots, 0, count * sizeof *slots);
    for (size_t i = 0; i < build->slot_count; i++) {
        if (build->slots[i].text == 0) continue;
        size_t at = build->slots[i].hash & (count - 1);
        while (slots[at].text != 0) at = (at + 1) & (count - 1);
        slots[at] = build->slots[i];
    }
    pq_free(build->alloc, build->slots, build->slot_count, sizeof *slots);
    build->slots = slots;
    build->slot_count = count;
    return PQDB_OK;
}

/// Where the text is kept; the same place whenever it comes.
static pqdb_code keep_text(struct build *build, struct pq_text text, uint64_t hash, uint32_t *out,
                           pqdb_error *err) {
    if (build->text_count * 2 >= build->slot_count) PQ_TRY(grow_slots(build, err));
    size_t at = hash & (build->slot_count - 1);
    for (; build->slots[at].text != 0; at = (at + 1) & (build->slot_count - 1)) {
        *out = build->slots[at].text - 1;
        if (build->slots[at].hash == hash && pq_text_equal(text_at(build, *out), text)) {
            return PQDB_OK;
        }
    }
    if (build->texts.length + text.length + 4 >= UINT32_MAX) {
        return pq_fail(err, PQDB_LIMIT, "more than 4 GiB of ids in the links of one file");
    }
    *out = (uint32_t)build->texts.length;
    uint8_t length[4];
    pq_store_u32(length, (uint32_t)text.length);
    PQ_TRY(pq_bytes_append(&build->texts, length, 4, err));
    PQ_TRY(pq_bytes_append(&build->texts, text.data, text.length, err));
    build->slots[at] = (struct slot){hash, *out + 1};
    build->text_count++;
    return PQDB_OK;
}

static pqdb_code add_link(struct build *build, struct pq_text text, uint64_t row,
                          pqdb_error *err) {
    if (build->count == build->capacity) {
        const size_t capacity = build->capacity == 0 ? piece_rows : build->capacity * 2;
        struct link *more = pq_resize(build->alloc, build->links, build->capacity, capacity,
                                      sizeof *more);
        if (more == NULL) return pq_fail(err, PQDB_NO_MEMORY, "%zu links of a file", capacity);
        build->links = more;
        build->capacity = capacity;
    }
    struct link link = {.hash = pq_hash(text.data, text.length), .row = (uint32_t)row};
    PQ_TRY(keep_text(build, text, link.hash, &link.text, err));
    build->links[build->count++] = link;
    return PQDB_OK;
}

/// Every text of a row, those inside lists and inline objects too.
static pqdb_code add_texts(struct build *build, const struct pq_column *column, size_t at,
                           uint64_t row, pqdb_error *err) {
    if (pq_column_is_null(column, at)) return PQDB_OK;
    if (column->layout == PQ_ROWS) {
        for (uint32_t k = column->offsets[at]; k < column->offsets[at + 1]; k++) {
            PQ_TRY(add_texts(build, &column->children[0], k, row, err));
        }
    } else if (column->layout == PQ_MEMBERS) {
        for (uint32_t k = 0; k < column->type->field_count; k++) {
            PQ_TRY(add_texts(build, &column->children[k], at, row, err));
        }
    } else if (column->type->kind == PQ_TEXT) {
        PQ_TRY(add_link(build, pq_column_text(column, at), row, err));
    }
    return PQDB_OK;
}

/// An indexed column of numbers or times; those inside links' objects have no index.
static pqdb_code add_scalars(struct build *build, const struct pq_column *column, uint64_t first,
                             pqdb_error *err) {
    for (size_t i = 0; i < column->count; i++) {
        uint8_t room[16];
        struct pq_text text;
        if (pq_column_is_null(column, i) || !pq_index_text_of(column, i, room, &text)) continue;
        PQ_TRY(add_link(build, text, first + i, err));
    }
    return PQDB_OK;
}

static pqdb_code add_rows(struct build *build, const struct pq_column *column, uint64_t first,
                          pqdb_error *err) {
    if (column->layout == PQ_FIXED) return add_scalars(build, column, first, err);
    for (size_t i = 0; i < column->count; i++) {
        PQ_TRY(add_texts(build, column, i, first + i, err));
    }
    return PQDB_OK;
}

static pqdb_code collect(struct build *build, pqdb_error *err) {
    const size_t field_count = build->file->options.type->field_count;
    struct pq_arena arena, piece_arena;
    pq_arena_init(&arena, build->alloc);
    pq_arena_init(&piece_arena, build->alloc);
    bool *columns = pq_arena_calloc(&arena, field_count, sizeof *columns);
    struct pq_file_read read = {.columns = columns, .count = piece_rows};
    struct pq_variant_names *names = NULL;  // of variants beside the texts; nobody keeps them
    pqdb_code code = PQDB_OK;
    if (columns == NULL) {
        code = pq_fail(err, PQDB_NO_MEMORY, "links of a file");
        goto done;
    }
    columns[build->column] = true;
    PQ_GO(pq_variant_names_create(build->alloc, &names, err));
    PQ_GO(pq_variant_encoder_create(names, build->alloc, &read.encoder, err));
    read.names = names;
    while (read.first < build->file->options.rows) {
        struct pq_batch batch;
        pq_arena_reset(&piece_arena);
        PQ_GO(pq_data_file_read(build->file, &read, &piece_arena, &batch, err));
        PQ_GO(add_rows(build, &batch.columns[build->column], read.first, err));
        read.first += batch.count;
    }
done:
    pq_variant_encoder_destroy(read.encoder);
    pq_variant_names_unref(names);
    pq_arena_deinit(&piece_arena);
    pq_arena_deinit(&arena);
    return code;
}

// ---- writing ------------------------------------------------------------------------------------

static int compare_links(const void *left, const void *right) {
    const struct link *a = left, *b = right;
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    if (a->row != b->row) return a->row < b->row ? -1 : 1;
    return a->text < b->text ? -1 : a->text > b->text;
}

static pqdb_code flush(struct build *build, pqdb_error *err) {
    PQ_TRY(pq_pace_write(build->pace, build->out, build->written, pq_bytes_text(&build->buffer),
                         err));
    build->written += build->buffer.length;
    build->buffer.length = 0;
    return PQDB_OK;
}

static pqdb_code append_run(void *ctx, uint64_t id, const void *data, size_t length,
                            pqdb_error *err) {
    (void)id;
    struct build *build = ctx;
    PQ_TRY(pq_bytes_append(&build->buffer, data, length, err));
    return build->buffer.length >= sink_bytes ? flush(build, err) : PQDB_OK;
}

static pqdb_code finish_run(void *ctx, uint64_t id, pqdb_error *err) {
    (void)id;
    return flush(ctx, err);
}

static pqdb_code write_links(struct build *build, struct pq_run_writer *writer, pqdb_error *err) {
    struct pq_bytes payload;
    pq_bytes_init(&payload, build->alloc);
    pqdb_code code = PQDB_OK;
    uint8_t key[key_bytes + 1] = {0};
    for (size_t i = 0; i < build->count; i++) {
        const struct link *link = &build->links[i];
        const struct link *before = i == 0 || link[-1].hash != link->hash ? NULL : link - 1;
        const bool same_row = before != NULL && before->row == link->row;
        if (same_row && before->text == link->text) continue;
        key[key_bytes] = same_row ? (uint8_t)(key[key_bytes] + 1) : 0;
        pq_store_u32(key, __builtin_bswap32(link->row));
        payload.length = 0;
        if (before == NULL || before->text != link->text) {
            PQ_GO(pq_bytes_append_byte(&payload, '=', err));
            const struct pq_text text = text_at(build, link->text);
            PQ_GO(pq_bytes_append(&payload, text.data, text.length, err));
        }
        const struct pq_run_row row = {
            .hash = link->hash, .key = {(const char *)key, key_bytes + (size_t)same_row},
            .payload = pq_bytes_text(&payload)};
        PQ_GO(pq_run_writer_append(writer, &row, err));
    }
done:
    pq_bytes_deinit(&payload);
    return code;
}

static pqdb_code write_run(struct build *build, const char *path, pqdb_error *err) {
    PQ_TRY(pq_file_open(build->file->options.store, path, PQ_OPEN_WRITE, &build->out, err));
    PQ_TRY(pq_file_truncate(build->out, 0, err));
    const struct pq_run_io io = {.append = append_run, .finish = finish_run, .ctx = build};
    const struct pq_run_place place = {.io = &io, .alloc = build->alloc};
    struct pq_run_writer *writer;
    PQ_TRY(pq_run_writer_create(&place, PQ_TRACE_NEWEST_WINS, build->count, &writer, err));
    struct pq_run_name name;
    pqdb_code code = write_links(build, writer, err);
    if (code == PQDB_OK) code = pq_run_writer_finish(writer, &name, err);
    pq_run_writer_destroy(writer);
    return code;
}

pqdb_code pq_link_file_write(struct pq_data_file *file, uint32_t column, struct pq_pace *pace,
                             pqdb_error *err) {
    struct build build = {.file = file, .column = column, .pace = pace,
                          .alloc = file->options.alloc};
    char path[PQ_STORE_PATH_MAX], unfinished[PQ_STORE_PATH_MAX];
    pq_bytes_init(&build.texts, build.alloc);
    pq_bytes_init(&build.buffer, build.alloc);
    pqdb_code code;
    PQ_GO(path_of(file, column, path, err));
    snprintf(unfinished, sizeof unfinished, "%.*s.new", (int)sizeof unfinished - 5, path);
    PQ_GO(collect(&build, err));
    if (build.count > 1) qsort(build.links, build.count, sizeof *build.links, compare_links);
    PQ_GO(write_run(&build, unfinished, err));
    PQ_GO(pq_store_rename(file->options.store, unfinished, path, err));
done:
    pq_file_close(build.out);
    if (code != PQDB_OK && build.out != NULL) {
        pq_store_unlink(file->options.store, unfinished, NULL);
    }
    pq_free(build.alloc, build.links, build.capacity, sizeof *build.links);
    pq_free(build.alloc, build.slots, build.slot_count, sizeof *build.slots);
    pq_bytes_deinit(&build.texts);
    pq_bytes_deinit(&build.buffer);
    return code;
}

void pq_data_file_bury(struct pq_pace *pace, struct pq_text path, const struct pq_type *type) {
    char name[PQ_STORE_PATH_MAX];
    for (uint32_t k = 0; k < type->field_count; k++) {
        if (!pq_type_can_link(&type->fields[k].type)) continue;
        snprintf(name, sizeof name, "%.*s.%d.links", PQ_TEXT_ARG(path), (int)type->fields[k].id);
        pq_pace_bury(pace, name, NULL);
    }
    snprintf(name, sizeof name, "%.*s.ids", PQ_TEXT_ARG(path));
    pq_pace_bury(pace, name, NULL);
    snprintf(name, sizeof name, "%.*s", PQ_TEXT_ARG(path));
    pq_pace_bury(pace, name, NULL);  // a name that stays does no harm
}
