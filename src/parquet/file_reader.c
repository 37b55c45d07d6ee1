/// Opening checks all that later steps rely on: every row group has a chunk per leaf, of the leaf's
/// physical type, within the file; rows add up.
#include "base/check.h"
#include "base/fail.h"
#include "parquet/assemble.h"
#include "parquet/column_read.h"
#include "parquet/file_reader_internal.h"
#include "parquet/page_write.h"
#include "variant/variant.h"

enum { tail_bytes = 8, tail_guess = 65536, slack_bytes = 100 };
enum { footer_bytes_min = 4 << 20, footer_expansion_max = 32 };

static pqdb_code corrupt(int64_t offset, const char *why, pqdb_error *err) {
    const pqdb_code code = pq_fail(err, PQDB_CORRUPT, "not a sound Parquet file: %s", why);
    return pq_parquet_at(code, err, offset, NULL);
}

static pqdb_code check_magic(const uint8_t *magic, int64_t offset, pqdb_error *err) {
    if (memcmp(magic, "PAR1", 4) == 0) return PQDB_OK;
    if (memcmp(magic, "PARE", 4) == 0) {
        return pq_fail(err, PQDB_UNSUPPORTED, "the Parquet file is encrypted");
    }
    return corrupt(offset, "it does not end in PAR1", err);
}

/// Only so many bytes at the end stay: an open file keeps its footer, and there may be many.
static pqdb_code keep_end(struct pq_bytes *bytes, size_t length, pqdb_error *err) {
    struct pq_bytes kept;
    if (bytes->length - length < bytes->length / 4) return PQDB_OK;
    pq_bytes_init(&kept, bytes->alloc);
    PQ_TRY(pq_bytes_append(&kept, bytes->data + bytes->length - length, length, err));
    pq_bytes_deinit(bytes);
    *bytes = kept;
    return PQDB_OK;
}

/// The footer's bytes end in `footer`; `*length` is without length and magic.
static pqdb_code read_footer(struct pq_parquet_file *file, uint32_t *length, pqdb_error *err) {
    const uint64_t size = file->file_bytes;
    if (size < 12) return corrupt(0, "it is too short", err);
    const size_t guess = size < tail_guess ? (size_t)size : tail_guess;
    PQ_TRY(pq_bytes_reserve(&file->footer, guess, err));
    PQ_TRY(file->source.read(file->source.ctx, size - guess, file->footer.data, guess, err));
    file->footer.length = guess;
    const uint8_t *tail = file->footer.data + guess - tail_bytes;
    PQ_TRY(check_magic(tail + 4, (int64_t)size - 4, err));
    *length = pq_load_u32(tail);
    if (*length > size - 12) {
        return corrupt((int64_t)size - tail_bytes, "its footer is longer than the file", err);
    }
    const size_t needed = (size_t)*length + tail_bytes;
    if (needed <= guess) return keep_end(&file->footer, needed, err);
    file->footer.length = 0;
    PQ_TRY(pq_bytes_reserve(&file->footer, needed, err));
    PQ_TRY(file->source.read(file->source.ctx, size - needed, file->footer.data, needed, err));
    file->footer.length = needed;
    return PQDB_OK;
}

/// Ours, of a build that always writes checks?
static bool claims_checks(struct pq_text created_by) {
    static const char first[] = "(build 1)";  // the only build without them
    const size_t length = sizeof first - 1;
    return pq_text_starts_with(created_by, PQ_TEXT("parquedb version ")) &&
           created_by.length > length &&
           memcmp(created_by.data + created_by.length - length, first, length) != 0;
}

static pqdb_code check_footer(struct pq_parquet_file *file, uint8_t *footer, uint32_t length,
                              pqdb_error *err) {
    uint64_t stored, check;
    const int64_t offset = (int64_t)(file->file_bytes - tail_bytes - length);
    file->has_checks = pq_checks_of_footer(footer, length, &stored, &check);
    if (!file->has_checks && claims_checks(file->meta.created_by)) {
        return corrupt(offset, "the checksum of its footer is missing", err);
    }
    if (file->has_checks && stored != check) {
        return corrupt(offset, "the checksum of its footer is wrong", err);
    }
    return PQDB_OK;
}

bool pq_chunk_matches(const struct pq_parquet_file *file, const struct pq_meta_chunk *chunk,
                      size_t at, struct pq_text bytes) {
    return !file->has_checks || chunk->extension.length != PQ_CHECKS_CHUNK_BYTES ||
           pq_load_u64(chunk->extension.data + at) == pq_hash(bytes.data, bytes.length);
}

static pqdb_code decode_footer(struct pq_parquet_file *file, uint32_t length, pqdb_error *err) {
    uint8_t *end = file->footer.data + file->footer.length - tail_bytes;
    struct pq_cursor cursor = pq_cursor_of(end - length, length);
    const int64_t offset = (int64_t)(file->file_bytes - tail_bytes - length);
    // A true footer takes two to four times its length.
    const size_t bytes_max = footer_bytes_min + (size_t)length * footer_expansion_max;
    file->arena.bytes_max = bytes_max;
    const pqdb_code code = pq_thrift_decode(&pq_meta_file_table, &cursor, &file->arena,
                                            &file->meta, err);
    file->arena.bytes_max = 0;
    if (code == PQDB_NO_MEMORY && file->arena.bytes_held > bytes_max / 4) {
        return corrupt(offset, "its footer expands beyond belief", err);
    }
    if (code != PQDB_OK) return pq_parquet_at(code, err, offset, NULL);
    return check_footer(file, end - length, length, err);
}

uint64_t pq_chunk_start(const struct pq_meta_column *column) {
    const int64_t data = column->data_page_offset, dictionary = column->dictionary_page_offset;
    const bool has_dictionary = PQ_THRIFT_HAS(column, PQ_COLUMN_DICTIONARY_OFFSET) &&
                                dictionary >= 4 && dictionary < data;
    return (uint64_t)(has_dictionary ? dictionary : data);
}

uint64_t pq_chunk_bytes(const struct pq_parquet_file *file,
                        const struct pq_meta_column *column) {
    const uint64_t start = pq_chunk_start(column), stored = (uint64_t)column->stored_bytes;
    const uint64_t left = file->file_bytes - tail_bytes - start;
    return stored + slack_bytes < left ? stored + slack_bytes : left;
}

static pqdb_code check_chunk(const struct pq_parquet_file *file, const struct pq_meta_chunk *chunk,
                             const struct pq_leaf *leaf, pqdb_error *err) {
    if (!PQ_THRIFT_HAS(chunk, PQ_CHUNK_COLUMN)) {
        if (PQ_THRIFT_HAS(chunk, PQ_CHUNK_ENCRYPTION)) return PQDB_OK;
        return corrupt(-1, "a column chunk without metadata", err);
    }
    const struct pq_meta_column *column = &chunk->column;
    if (column->type != (int32_t)leaf->physical) {
        return corrupt(-1, "a column chunk of another physical type than its schema", err);
    }
    if (column->value_count < 0) return corrupt(-1, "a negative count of values", err);
    const uint64_t start = pq_chunk_start(column), stored = (uint64_t)column->stored_bytes;
    if (PQ_THRIFT_HAS(chunk, PQ_CHUNK_FILE_PATH) && chunk->file_path.length > 0) return PQDB_OK;
    const uint64_t pages_end = file->file_bytes - tail_bytes;
    if (column->data_page_offset < 0 || column->stored_bytes < 0 || start > pages_end ||
        stored > pages_end - start) {
        return corrupt(column->data_page_offset, "a column chunk outside of the file", err);
    }
    return PQDB_OK;
}

static pqdb_code check_groups(struct pq_parquet_file *file, pqdb_error *err) {
    const size_t count = file->meta.group_count, leaves = file->schema.leaf_count;
    file->group_first_row = pq_arena_calloc(&file->arena, count + 1, sizeof(uint64_t));
    file->indexes = pq_arena_calloc(&file->arena, count, leaves * sizeof *file->indexes);
    file->blooms = pq_arena_calloc(&file->arena, count, leaves * sizeof *file->blooms);
    if (file->group_first_row == NULL ||
        ((file->indexes == NULL || file->blooms == NULL) && count > 0)) {
        return pq_parquet_no_memory(err, "the footer");
    }
    for (size_t g = 0; g < count; g++) {
        const struct pq_meta_group *group = &file->meta.groups[g];
        if (group->chunk_count != leaves) return corrupt(-1, "a row group lacks columns", err);
        if (group->row_count < 0 || group->row_count > INT64_MAX / 4) {
            return corrupt(-1, "an impossible count of rows", err);
        }
        const uint64_t first = file->group_first_row[g];
        if (first > INT64_MAX / 2) return corrupt(-1, "an impossible count of rows", err);
        file->group_first_row[g + 1] = first + (uint64_t)group->row_count;
        for (size_t i = 0; i < leaves; i++) {
            PQ_TRY(check_chunk(file, &group->chunks[i], &file->schema.leaves[i], err));
        }
    }
    file->meta.row_count = (int64_t)file->group_first_row[count];  // some writers leave 0 there
    return PQDB_OK;
}

const char *pq_chunk_unreadable(const struct pq_meta_chunk *chunk) {
    if (!PQ_THRIFT_HAS(chunk, PQ_CHUNK_COLUMN) || PQ_THRIFT_HAS(chunk, PQ_CHUNK_ENCRYPTION)) {
        return "the column is encrypted";
    }
    if (PQ_THRIFT_HAS(chunk, PQ_CHUNK_FILE_PATH) && chunk->file_path.length > 0) {
        return "the column stands in another file";
    }
    const struct pq_codec *codec;
    if (!pq_parquet_codec_of(chunk->column.codec, &codec)) {
        return "the column's compression is not supported";
    }
    return NULL;
}

static pqdb_code find_unreadable(struct pq_parquet_file *file, pqdb_error *err) {
    const struct pq_node *root = &file->schema.root;
    file->unreadable = pq_arena_calloc(&file->arena, root->child_count, sizeof(const char *));
    if (file->unreadable == NULL) return pq_parquet_no_memory(err, "the footer");
    for (uint32_t k = 0; k < root->child_count; k++) {
        const struct pq_node *node = &root->children[k];
        for (uint32_t i = node->leaf; i < node->leaf + node->leaf_count; i++) {
            const char *reason = file->schema.leaves[i].unreadable;
            for (size_t g = 0; g < file->meta.group_count && reason == NULL; g++) {
                reason = pq_chunk_unreadable(pq_file_chunk(file, g, i));
            }
            if (reason != NULL) file->unreadable[k] = reason;
        }
    }
    return PQDB_OK;
}

static pqdb_code copy_pairs(struct pq_parquet_file *file, pqdb_error *err) {
    file->pairs = pq_arena_calloc(&file->arena, file->meta.pair_count, sizeof *file->pairs);
    if (file->pairs == NULL) return pq_parquet_no_memory(err, "the footer");
    for (size_t i = 0; i < file->meta.pair_count; i++) {
        file->pairs[i].key = file->meta.pairs[i].key;
        file->pairs[i].value = file->meta.pairs[i].value;
    }
    return PQDB_OK;
}

pqdb_code pq_parquet_open(const struct pq_parquet_source *source, uint64_t file_bytes,
                          const struct pq_parquet_open_options *options,
                          const struct pq_alloc *alloc, struct pq_parquet_file **out,
                          pqdb_error *err) {
    struct pq_parquet_file *file = pq_resize(alloc, NULL, 0, 1, sizeof *file);
    if (file == NULL) return pq_parquet_no_memory(err, "the footer");
    *file = (struct pq_parquet_file){.alloc = alloc, .source = *source, .file_bytes = file_bytes};
    pq_arena_init(&file->arena, alloc);
    pq_bytes_init(&file->footer, alloc);
    const bool json_as_variant = options != NULL && options->json_as_variant;
    uint32_t length = 0;
    pqdb_code code = PQDB_OK;
    PQ_GO(read_footer(file, &length, err));
    PQ_GO(decode_footer(file, length, err));
    PQ_GO(pq_schema_of_footer(&file->meta, json_as_variant, &file->arena, &file->schema, err));
    PQ_GO(check_groups(file, err));
    PQ_GO(find_unreadable(file, err));
    PQ_GO(copy_pairs(file, err));
    *out = file;
done:
    if (code != PQDB_OK) {
        pq_parquet_at(code, err, (int64_t)file_bytes - tail_bytes - (int64_t)length, NULL);
        pq_parquet_close(file);
    }
    return code;
}

void pq_parquet_close(struct pq_parquet_file *file) {
    if (file == NULL) return;
    const bool is_checked = file->indexes != NULL && file->blooms != NULL;
    const size_t count = is_checked ? file->meta.group_count : 0;
    for (size_t i = 0; i < count * file->schema.leaf_count; i++) {
        pq_loaded_index_destroy(atomic_load(&file->indexes[i]), file->alloc);
        pq_loaded_bloom_destroy(atomic_load(&file->blooms[i]), file->alloc);
    }
    pq_bytes_deinit(&file->footer);
    pq_arena_deinit(&file->arena);
    pq_free(file->alloc, file, 1, sizeof *file);
}

const struct pq_type *pq_parquet_type(const struct pq_parquet_file *file) {
    return file->schema.type;
}

const char *pq_parquet_unreadable(const struct pq_parquet_file *file, size_t field) {
    pq_assert(field < file->schema.root.child_count);
    return file->unreadable[field];
}

uint64_t pq_parquet_row_count(const struct pq_parquet_file *file) {
    return (uint64_t)file->meta.row_count;
}

size_t pq_parquet_group_count(const struct pq_parquet_file *file) {
    return file->meta.group_count;
}

uint64_t pq_parquet_group_rows(const struct pq_parquet_file *file, size_t group) {
    pq_assert(group < file->meta.group_count);
    return (uint64_t)file->meta.groups[group].row_count;
}

uint64_t pq_parquet_group_first_row(const struct pq_parquet_file *file, size_t group) {
    pq_assert(group <= file->meta.group_count);
    return file->group_first_row[group];
}

uint64_t pq_parquet_group_bytes(const struct pq_parquet_file *file, size_t group) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < file->schema.leaf_count; i++) {
        bytes += (uint64_t)pq_file_chunk(file, group, i)->column.stored_bytes;
    }
    return bytes;
}

size_t pq_parquet_find_group(const struct pq_parquet_file *file, uint64_t row,
                             uint64_t *row_in_group) {
    pq_assert(row < (uint64_t)file->meta.row_count);
    size_t low = 0, high = file->meta.group_count;
    while (low + 1 < high) {
        const size_t middle = low + (high - low) / 2;
        if (file->group_first_row[middle] <= row) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if (row_in_group != NULL) *row_in_group = row - file->group_first_row[low];
    return low;
}

const struct pq_parquet_pair *pq_parquet_pairs(const struct pq_parquet_file *file,
                                               size_t *count) {
    *count = file->meta.pair_count;
    return file->pairs;
}

struct pq_text pq_parquet_created_by(const struct pq_parquet_file *file) {
    return file->meta.created_by;
}

uint64_t pq_parquet_chunk_bytes(const struct pq_parquet_file *file, size_t group, size_t leaf) {
    return (uint64_t)pq_file_chunk(file, group, leaf)->column.stored_bytes;
}

int pq_parquet_leaf(const struct pq_parquet_file *file, size_t field) {
    return pq_parquet_member_leaf(file, field, NULL, 0);
}

int pq_parquet_member_leaf(const struct pq_parquet_file *file, size_t field,
                           const uint32_t *members, size_t count) {
    pq_assert(field < file->schema.root.child_count);
    const struct pq_node *node = &file->schema.root.children[field];
    for (size_t k = 0; k < count; k++) {
        if (node->type->kind != PQ_OBJECT || members[k] >= node->child_count) return -1;
        node = &node->children[members[k]];
    }
    return node->child_count == 0 && node->leaf_count == 1 ? (int)node->leaf : -1;
}

void pq_parquet_leaves(const struct pq_parquet_file *file, size_t field, size_t *first,
                       size_t *count) {
    pq_assert(field < file->schema.root.child_count);
    *first = file->schema.root.children[field].leaf;
    *count = file->schema.root.children[field].leaf_count;
}

/// Chunks are entered when they are first read.
struct pq_parquet_memo {
    const struct pq_parquet_file *file;
    size_t group;
    struct pq_chunk_memo *chunks[];  // owned, one a leaf, or NULL
};

pqdb_code pq_parquet_memo_create(const struct pq_parquet_file *file, size_t group,
                                 struct pq_parquet_memo **memo, pqdb_error *err) {
    pq_assert(group < file->meta.group_count);
    const size_t bytes = file->schema.leaf_count * sizeof(struct pq_chunk_memo *);
    struct pq_parquet_memo *made = pq_resize(file->alloc, NULL, 0, sizeof *made + bytes, 1);
    if (made == NULL) return pq_parquet_no_memory(err, "a row group");
    made->file = file;
    made->group = group;
    memset(made->chunks, 0, bytes);
    *memo = made;
    return PQDB_OK;
}

void pq_parquet_memo_destroy(struct pq_parquet_memo *memo) {
    if (memo == NULL) return;
    const struct pq_alloc *alloc = memo->file->alloc;
    const size_t leaves = memo->file->schema.leaf_count;
    for (size_t i = 0; i < leaves; i++) {
        if (memo->chunks[i] == NULL) continue;
        pq_chunk_memo_deinit(memo->chunks[i]);
        pq_free(alloc, memo->chunks[i], 1, sizeof(struct pq_chunk_memo));
    }
    pq_free(alloc, memo, sizeof *memo + leaves * sizeof(struct pq_chunk_memo *), 1);
}

/// *chunk NULL where nothing is to be remembered.
static pqdb_code chunk_memo(struct pq_parquet_memo *memo, uint32_t leaf,
                            struct pq_chunk_memo **chunk, pqdb_error *err) {
    *chunk = NULL;
    if (memo == NULL) return PQDB_OK;
    if (memo->chunks[leaf] == NULL) {
        struct pq_chunk_memo *made = pq_resize(memo->file->alloc, NULL, 0, 1, sizeof *made);
        if (made == NULL) return pq_parquet_no_memory(err, "a column");
        pq_chunk_memo_init(made, &memo->file->schema.leaves[leaf], memo->file->alloc);
        memo->chunks[leaf] = made;
    }
    *chunk = memo->chunks[leaf];
    return PQDB_OK;
}

/// What a read of several columns shares.
struct reading {
    const struct pq_parquet_file *file;
    const struct pq_parquet_request *request;
    uint64_t row_count;
    struct pq_arena *arena;
    struct pq_json_reader json;
};

static pqdb_code read_leaf(struct reading *reading, uint32_t leaf, struct pq_leaf_values *out,
                           pqdb_error *err) {
    const struct pq_parquet_file *file = reading->file;
    const size_t group = reading->request->group;
    const struct pq_meta_chunk *meta = pq_file_chunk(file, group, leaf);
    const struct pq_leaf *of = &file->schema.leaves[leaf];
    struct pq_chunk chunk = {
        .leaf = of,
        .offset = pq_chunk_start(&meta->column),
        .bytes = pq_chunk_bytes(file, &meta->column),
        .raw_bytes = (uint64_t)meta->column.raw_bytes,
        .value_count = (uint64_t)meta->column.value_count,
        .row_count = pq_parquet_group_rows(file, group),
    };
    uint64_t headers;
    if (file->has_checks && meta->extension.length == PQ_CHECKS_CHUNK_BYTES) {
        headers = pq_load_u64(meta->extension.data + PQ_CHECKS_HEADERS);
        chunk.headers = &headers;
    }
    pq_parquet_codec_of(meta->column.codec, &chunk.codec);
    struct pq_parquet_pages pages = {0};
    if (reading->row_count < chunk.row_count) {
        PQ_TRY(pq_parquet_pages(file, group, leaf, &pages, err));
    }
    struct pq_chunk_request request = {
        .first_row = reading->request->first_row,
        .row_count = reading->row_count,
        .pages = pages.count > 0 ? &pages : NULL,
        .hold = reading->request->hold,
        .counts = reading->request->counts,
        .alloc = file->alloc,
    };
    PQ_TRY(chunk_memo(reading->request->memo, leaf, &request.memo, err));
    *out = (struct pq_leaf_values){
        .leaf = of,
        .arena = reading->arena,
        .width = pq_kind_width(of->kind),
        .encoder = reading->request->encoder,
        .json = &reading->json,
    };
    pq_bytes_init(&out->scratch, file->alloc);
    const pqdb_code code = pq_chunk_read(&file->source, &chunk, &request, out, err);
    pq_bytes_deinit(&out->scratch);
    return code;
}

static pqdb_code read_field(struct reading *reading, uint32_t field, struct pq_column *column,
                            pqdb_error *err) {
    const struct pq_parquet_file *file = reading->file;
    const struct pq_node *node = &file->schema.root.children[field];
    const struct pq_leaf *first = &file->schema.leaves[node->leaf];
    if (file->unreadable[field] != NULL) {
        pq_fail(err, PQDB_UNSUPPORTED, "%s", file->unreadable[field]);
        return pq_parquet_at(PQDB_UNSUPPORTED, err, -1, first);
    }
    if (first->conversion == PQ_CONVERT_JSON && reading->request->encoder == NULL) {
        return pq_fail(err, PQDB_INVALID, "JSON is read as a variant only with an encoder");
    }
    struct pq_leaf_values *leaves =
        pq_arena_calloc(reading->arena, node->leaf_count, sizeof *leaves);
    if (leaves == NULL) return pq_parquet_no_memory(err, "a column");
    for (uint32_t i = 0; i < node->leaf_count; i++) {
        PQ_TRY(read_leaf(reading, node->leaf + i, &leaves[i], err));
    }
    const struct pq_assembly assembly = {
        .leaves = leaves,
        .first_leaf = node->leaf,
        .file_leaves = file->schema.leaves,
        .arena = reading->arena,
        .encoder = reading->request->encoder,
        .names = reading->request->names,
        .alloc = file->alloc,
    };
    pqdb_code code = pq_assemble(&assembly, node, column, err);
    if (code == PQDB_OK && column->count != reading->row_count) {
        code = pq_fail(err, PQDB_CORRUPT, "a Parquet column has other rows than its row group");
    }
    return code == PQDB_OK ? code : pq_parquet_at(code, err, -1, first);
}

static pqdb_code read_fields(struct reading *reading, struct pq_batch *batch, pqdb_error *err) {
    const struct pq_parquet_request *request = reading->request;
    const struct pq_type *file_type = reading->file->schema.type;
    struct pq_column *columns =
        pq_arena_calloc(reading->arena, request->field_count, sizeof *columns);
    struct pq_field *fields =
        pq_arena_calloc(reading->arena, request->field_count, sizeof *fields);
    struct pq_type *type = pq_arena_calloc(reading->arena, 1, sizeof *type);
    if (columns == NULL || fields == NULL || type == NULL) {
        return pq_parquet_no_memory(err, "a batch");
    }
    for (size_t i = 0; i < request->field_count; i++) {
        pq_assert(request->fields[i] < file_type->field_count);
        fields[i] = file_type->fields[request->fields[i]];
        PQ_TRY(read_field(reading, request->fields[i], &columns[i], err));
    }
    *type = (struct pq_type){
        .kind = PQ_OBJECT, .field_count = (uint32_t)request->field_count, .fields = fields};
    *batch = (struct pq_batch){
        .type = type, .count = (size_t)reading->row_count, .columns = columns};
    return PQDB_OK;
}

pqdb_code pq_parquet_read(const struct pq_parquet_file *file,
                          const struct pq_parquet_request *request, struct pq_arena *arena,
                          struct pq_batch *batch, pqdb_error *err) {
    pq_assert(request->group < file->meta.group_count);
    pq_assert(request->hold == NULL || arena == &request->hold->arena);
    pq_assert(request->memo == NULL ||
              (request->memo->file == file && request->memo->group == request->group));
    const uint64_t rows = pq_parquet_group_rows(file, request->group);
    pq_assert(request->first_row <= rows);
    struct reading reading = {.file = file, .request = request, .arena = arena};
    const uint64_t left = rows - request->first_row;
    reading.row_count = request->row_count < left ? request->row_count : left;
    if (reading.row_count >= UINT32_MAX) {
        return pq_fail(err, PQDB_LIMIT, "more than 2^32 rows at once");
    }
    pq_json_reader_init(&reading.json, file->alloc);
    const pqdb_code code = read_fields(&reading, batch, err);
    pq_json_reader_deinit(&reading.json);
    return code;
}
