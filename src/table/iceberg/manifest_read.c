#include <inttypes.h>

#include "base/fail.h"
#include "table/iceberg/avro.h"
#include "table/iceberg/manifest.h"
#include "table/iceberg/metadata.h"

struct reader {
    struct pq_avro_reader *avro;
    struct pq_text location;
    struct pq_arena *arena;
    pqdb_error *err;
};

static pqdb_code no_memory(const struct reader *reader) {
    return pq_fail(reader->err, PQDB_NO_MEMORY, "no memory for an Iceberg manifest");
}

/// An int or long by id; `missing` where the record has none.
static pqdb_code get_long(const struct reader *reader, const struct pq_avro_value *record,
                          int32_t id, int64_t missing, int64_t *number) {
    const struct pq_avro_value *value = pq_avro_find(record, id);
    *number = missing;
    if (value == NULL) return PQDB_OK;
    if (value->kind != PQ_AVRO_INT && value->kind != PQ_AVRO_LONG) {
        return pq_fail(reader->err, PQDB_CORRUPT, "manifest field %" PRId32 " is no integer", id);
    }
    *number = value->as.integer;
    return PQDB_OK;
}

static pqdb_code get_count(const struct reader *reader, const struct pq_avro_value *record,
                           int32_t id, int64_t *count) {
    PQ_TRY(get_long(reader, record, id, 0, count));
    if (*count >= 0) return PQDB_OK;
    return pq_fail(reader->err, PQDB_CORRUPT, "manifest field %" PRId32 " is negative", id);
}

static bool is_bytes(const struct pq_avro_value *value) {
    return value->kind == PQ_AVRO_STRING || value->kind == PQ_AVRO_BYTES ||
           value->kind == PQ_AVRO_FIXED || value->kind == PQ_AVRO_ENUM;
}

/// A view into the record.
static struct pq_text find_text(const struct pq_avro_value *record, int32_t id) {
    const struct pq_avro_value *value = pq_avro_find(record, id);
    if (value == NULL || !is_bytes(value)) return (struct pq_text){NULL, 0};
    return value->as.bytes;
}

static pqdb_code get_path(const struct reader *reader, const struct pq_avro_value *record,
                          int32_t id, struct pq_text *path) {
    const struct pq_text full = find_text(record, id);
    if (full.length == 0) return pq_fail(reader->err, PQDB_CORRUPT, "manifest without a path");
    *path = pq_arena_copy(reader->arena, pq_iceberg_relative(reader->location, full));
    return path->data == NULL ? no_memory(reader) : PQDB_OK;
}

/// Grows an array in the arena by doubling; NULL when memory is out.
static void *grow(struct pq_arena *arena, void *items, size_t count, size_t *capacity,
                  size_t item_bytes) {
    if (count < *capacity) return items;
    const size_t wanted = *capacity == 0 ? 16 : 2 * *capacity;
    void *grown = pq_arena_calloc(arena, wanted, item_bytes);
    if (grown == NULL) return NULL;
    if (count > 0) memcpy(grown, items, count * item_bytes);
    *capacity = wanted;
    return grown;
}

// ---- manifest list

static pqdb_code read_line(const struct reader *reader, const struct pq_avro_value *record,
                           struct pq_iceberg_manifest *line) {
    int64_t spec_id = 0, content = 0;
    PQ_TRY(get_path(reader, record, 500, &line->path));
    PQ_TRY(get_count(reader, record, 501, &line->bytes));
    PQ_TRY(get_count(reader, record, 502, &spec_id));
    PQ_TRY(get_long(reader, record, 517, 0, &content));
    if (content != 0 && content != 1) {
        return pq_fail(reader->err, PQDB_CORRUPT, "manifest of unknown content %" PRId64, content);
    }
    line->partition_spec_id = (int32_t)spec_id;
    line->content = content == 0 ? PQ_ICEBERG_DATA : PQ_ICEBERG_POSITION_DELETES;
    PQ_TRY(get_count(reader, record, 515, &line->sequence_number));
    PQ_TRY(get_count(reader, record, 516, &line->min_sequence_number));
    PQ_TRY(get_long(reader, record, 503, -1, &line->added_snapshot_id));
    static const int32_t file_ids[3] = {505, 504, 506}, row_ids[3] = {513, 512, 514};
    for (int status = 0; status < 3; status++) {
        PQ_TRY(get_count(reader, record, file_ids[status], &line->file_counts[status]));
        PQ_TRY(get_count(reader, record, row_ids[status], &line->row_counts[status]));
    }
    return PQDB_OK;
}

pqdb_code pq_iceberg_list_read(struct pq_text bytes, struct pq_text location,
                               struct pq_arena *arena, struct pq_iceberg_list *list,
                               pqdb_error *err) {
    struct reader reader = {.location = location, .arena = arena, .err = err};
    struct pq_iceberg_list made = {NULL, 0};
    size_t capacity = 0;
    PQ_TRY(pq_avro_open(bytes, arena->source, &reader.avro, err));
    pqdb_code code = PQDB_OK;
    for (;;) {
        const struct pq_avro_value *record = NULL;
        PQ_GO(pq_avro_next(reader.avro, &record, err));
        if (record == NULL) break;
        made.items = grow(arena, made.items, made.count, &capacity, sizeof *made.items);
        if (made.items == NULL) PQ_GO(no_memory(&reader));
        PQ_GO(read_line(&reader, record, &made.items[made.count++]));
    }
    *list = made;
done:
    pq_avro_close(reader.avro);
    return code;
}

// ---- manifest

/// Metrics are only hints: those of further columns are passed over.
enum { COLUMNS_MAX = 4096 };

/// The column with this id in the file's array, added when it is new there; NULL when it is full.
static struct pq_iceberg_column *column_of(struct pq_iceberg_column *columns, size_t *count,
                                           int32_t id, size_t *guess) {
    // The six maps have the same ids in the same order, nearly always.
    if (*guess < *count && columns[*guess].field_id == id) return &columns[(*guess)++];
    for (size_t i = 0; i < *count; i++) {
        if (columns[i].field_id != id) continue;
        *guess = i + 1;
        return &columns[i];
    }
    if (*count == COLUMNS_MAX) return NULL;
    columns[*count] = (struct pq_iceberg_column){
        .field_id = id, .bytes = -1, .value_count = -1, .null_count = -1, .nan_count = -1};
    *guess = *count + 1;
    return &columns[(*count)++];
}

static const struct {
    int32_t map_id, key_id, value_id;
    size_t offset;  // of the figure in pq_iceberg_column
    bool is_bound;
} metrics[] = {
    {108, 117, 118, offsetof(struct pq_iceberg_column, bytes), false},
    {109, 119, 120, offsetof(struct pq_iceberg_column, value_count), false},
    {110, 121, 122, offsetof(struct pq_iceberg_column, null_count), false},
    {137, 138, 139, offsetof(struct pq_iceberg_column, nan_count), false},
    {125, 126, 127, offsetof(struct pq_iceberg_column, lower), true},
    {128, 129, 130, offsetof(struct pq_iceberg_column, upper), true},
};
enum { METRICS = sizeof metrics / sizeof *metrics };

static pqdb_code read_metric(const struct reader *reader, const struct pq_avro_value *pair,
                             size_t metric, struct pq_iceberg_file *file, size_t *guess) {
    struct pq_iceberg_column *columns = (struct pq_iceberg_column *)file->columns;
    int64_t id = 0;
    PQ_TRY(get_long(reader, pair, metrics[metric].key_id, -1, &id));
    if (id < 0 || id > INT32_MAX) return PQDB_OK;  // a figure of nothing
    struct pq_iceberg_column *column =
        column_of(columns, &file->column_count, (int32_t)id, guess);
    if (column == NULL) return PQDB_OK;
    uint8_t *figure = (uint8_t *)column + metrics[metric].offset;
    if (!metrics[metric].is_bound) {
        int64_t number = -1;
        PQ_TRY(get_long(reader, pair, metrics[metric].value_id, -1, &number));
        memcpy(figure, &number, sizeof number);
        return PQDB_OK;
    }
    const struct pq_text bound = find_text(pair, metrics[metric].value_id);
    if (bound.data == NULL) return PQDB_OK;
    const struct pq_text kept = pq_arena_copy(reader->arena, bound);
    if (kept.data == NULL) return no_memory(reader);
    memcpy(figure, &kept, sizeof kept);
    return PQDB_OK;
}

static pqdb_code read_metrics(const struct reader *reader, const struct pq_avro_value *record,
                              struct pq_iceberg_file *file) {
    size_t most = 0;
    for (size_t i = 0; i < METRICS; i++) {
        const struct pq_avro_value *map = pq_avro_find(record, metrics[i].map_id);
        if (map != NULL && map->kind == PQ_AVRO_ARRAY) most += map->count;
    }
    if (most > COLUMNS_MAX) most = COLUMNS_MAX;
    struct pq_iceberg_column *columns = pq_arena_alloc(reader->arena, most * sizeof *columns);
    if (columns == NULL) return no_memory(reader);
    file->columns = columns;
    for (size_t i = 0; i < METRICS; i++) {
        const struct pq_avro_value *map = pq_avro_find(record, metrics[i].map_id);
        if (map == NULL || map->kind != PQ_AVRO_ARRAY) continue;
        size_t guess = 0;
        for (size_t k = 0; k < map->count; k++) {
            PQ_TRY(read_metric(reader, &map->as.items[k], i, file, &guess));
        }
    }
    return PQDB_OK;
}

static pqdb_code read_splits(const struct reader *reader, const struct pq_avro_value *record,
                             struct pq_iceberg_file *file) {
    const struct pq_avro_value *list = pq_avro_find(record, 132);
    if (list == NULL || list->kind != PQ_AVRO_ARRAY) return PQDB_OK;
    int64_t *offsets = pq_arena_alloc(reader->arena, list->count * sizeof *offsets);
    if (offsets == NULL) return no_memory(reader);
    for (size_t i = 0; i < list->count; i++) {
        const struct pq_avro_value *item = &list->as.items[i];
        if (item->kind != PQ_AVRO_LONG && item->kind != PQ_AVRO_INT) return PQDB_OK;
        offsets[i] = item->as.integer;
    }
    file->split_offsets = offsets;
    file->split_count = list->count;
    return PQDB_OK;
}

/// What cannot be read here is refused where it matters: in a live file.
static pqdb_code check_readable(const struct reader *reader, const struct pq_avro_value *record,
                                int64_t content) {
    if (content == 2) {
        return pq_fail(reader->err, PQDB_UNSUPPORTED, "the table has equality deletes");
    }
    if (content != 0 && content != 1) {
        return pq_fail(reader->err, PQDB_CORRUPT, "file of unknown content %" PRId64, content);
    }
    const struct pq_text format = find_text(record, 101);
    if (format.length == 7 && strncasecmp(format.data, "parquet", 7) == 0) return PQDB_OK;
    return pq_fail(reader->err, PQDB_UNSUPPORTED, "the table has files of format '%.*s'",
                   PQ_TEXT_ARG(format));
}

static pqdb_code read_file(const struct reader *reader, const struct pq_avro_value *record,
                           bool is_live, struct pq_iceberg_file *file) {
    int64_t content = 0, order_id = 0;
    PQ_TRY(get_long(reader, record, 134, 0, &content));
    if (is_live) PQ_TRY(check_readable(reader, record, content));
    file->content = content == 0 ? PQ_ICEBERG_DATA : PQ_ICEBERG_POSITION_DELETES;
    PQ_TRY(get_path(reader, record, 100, &file->path));
    PQ_TRY(get_count(reader, record, 103, &file->row_count));
    PQ_TRY(get_count(reader, record, 104, &file->file_bytes));
    PQ_TRY(get_long(reader, record, 140, 0, &order_id));
    file->is_sorted = order_id == PQ_ICEBERG_SORT_BY_KEY;
    PQ_TRY(read_metrics(reader, record, file));
    return read_splits(reader, record, file);
}

static pqdb_code read_entry(const struct reader *reader, const struct pq_avro_value *record,
                            const struct pq_iceberg_manifest *line,
                            struct pq_iceberg_entry *entry) {
    int64_t status = 0;
    PQ_TRY(get_long(reader, record, 0, 0, &status));
    if (status < PQ_ICEBERG_EXISTING || status > PQ_ICEBERG_DELETED) {
        return pq_fail(reader->err, PQDB_CORRUPT, "file of unknown status %" PRId64, status);
    }
    entry->status = (enum pq_iceberg_status)status;
    // Only what was added by the manifest's own snapshot inherits; tables of version 1 have none.
    const int64_t inherited = status == PQ_ICEBERG_ADDED ? line->sequence_number : 0;
    PQ_TRY(get_long(reader, record, 1, line->added_snapshot_id, &entry->snapshot_id));
    PQ_TRY(get_long(reader, record, 3, inherited, &entry->sequence_number));
    PQ_TRY(get_long(reader, record, 4, inherited, &entry->file_sequence_number));
    const struct pq_avro_value *file = pq_avro_find(record, 2);
    if (file == NULL || file->kind != PQ_AVRO_RECORD) {
        return pq_fail(reader->err, PQDB_CORRUPT, "manifest entry without a file");
    }
    PQ_TRY(read_file(reader, file, pq_iceberg_is_live(entry), &entry->file));
    entry->file.sequence_number = entry->sequence_number;
    entry->file.partition_spec_id = line->partition_spec_id;
    return PQDB_OK;
}

pqdb_code pq_iceberg_manifest_read(struct pq_text bytes, const struct pq_iceberg_manifest *line,
                                   struct pq_text location, struct pq_arena *arena,
                                   struct pq_iceberg_entries *entries, pqdb_error *err) {
    struct reader reader = {.location = location, .arena = arena, .err = err};
    struct pq_iceberg_entries made = {NULL, 0};
    size_t capacity = 0;
    PQ_TRY(pq_avro_open(bytes, arena->source, &reader.avro, err));
    pqdb_code code = PQDB_OK;
    for (;;) {
        const struct pq_avro_value *record = NULL;
        PQ_GO(pq_avro_next(reader.avro, &record, err));
        if (record == NULL) break;
        made.items = grow(arena, made.items, made.count, &capacity, sizeof *made.items);
        if (made.items == NULL) PQ_GO(no_memory(&reader));
        PQ_GO(read_entry(&reader, record, line, &made.items[made.count++]));
    }
    *entries = made;
done:
    pq_avro_close(reader.avro);
    return code;
}
