/// db/export.c: a collection or view into a file: NDJSON, CSV (RFC 4180) or Parquet.
#include <errno.h>
#include <limits.h>
#include <parquedb/exchange.h>
#include <parquedb/query.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fail.h"
#include "codec/codec.h"
#include "db/as_of.h"
#include "db/catch_up.h"
#include "db/view_internal.h"
#include "parquet/writer.h"
#include "query/find.h"
#include "table/scan.h"

enum { flush_bytes = 1 << 20, tell_rows = 8192 };

struct export {
    pqdb_db *db;
    const char *name;
    const pqdb_export_options *options;
    const pqdb_export_target *target;
    struct pq_bytes out;  // not written yet
    pqdb_exported done;
};

static pqdb_code flush(struct export *export, pqdb_error *err) {
    if (export->out.length == 0) return PQDB_OK;
    PQ_TRY(export->target->write(export->target->ctx, export->out.data, export->out.length, err));
    export->done.bytes += export->out.length;
    export->out.length = 0;
    return PQDB_OK;
}

static pqdb_code tell(struct export *export, pqdb_error *err) {
    const pqdb_export_options *options = export->options;
    if (options->on_progress == NULL) return PQDB_OK;
    const pqdb_code code =
        options->on_progress(options->ctx, export->done.rows, export->done.bytes);
    return code == PQDB_OK ? code : pq_fail(err, code, "the export was stopped");
}

// ---- text -------------------------------------------------------------------------------------

/// RFC 4180: quoted where it holds a separator, a quote or a line break, or is empty text.
static pqdb_code write_csv_text(struct pq_bytes *out, struct pq_text text, pqdb_error *err) {
    bool needs_quotes = text.length == 0;
    for (size_t i = 0; i < text.length && !needs_quotes; i++) {
        needs_quotes = strchr(",\"\r\n", text.data[i]) != NULL || text.data[i] == '\0';
    }
    if (!needs_quotes) return pq_bytes_append_text(out, text, err);
    PQ_TRY(pq_bytes_append_byte(out, '"', err));
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '"') PQ_TRY(pq_bytes_append_byte(out, '"', err));
        PQ_TRY(pq_bytes_append_byte(out, (uint8_t)text.data[i], err));
    }
    return pq_bytes_append_byte(out, '"', err);
}

static pqdb_code write_csv_header(struct pq_bytes *out, const pqdb_rows *rows, pqdb_error *err) {
    const size_t columns = pqdb_rows_column_count(rows);
    for (size_t k = 0; k < columns; k++) {
        if (k > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(write_csv_text(out, pq_text_of(pqdb_rows_column_name(rows, k)), err));
    }
    return pq_bytes_append_text(out, PQ_TEXT("\r\n"), err);
}

static pqdb_code write_csv_row(struct pq_bytes *out, pqdb_rows *rows, pqdb_error *err) {
    const size_t columns = pqdb_rows_column_count(rows);
    for (size_t k = 0; k < columns; k++) {
        bool is_null = false;
        struct pq_text cell;
        cell.data = pqdb_rows_cell(rows, k, &cell.length, &is_null);
        if (cell.data == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a row");
        if (k > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        if (!is_null) PQ_TRY(write_csv_text(out, cell, err));
    }
    return pq_bytes_append_text(out, PQ_TEXT("\r\n"), err);
}

static pqdb_code write_json_row(struct pq_bytes *out, pqdb_rows *rows, pqdb_error *err) {
    size_t length;
    const char *json = pqdb_rows_json(rows, &length);
    if (json == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a row");
    PQ_TRY(pq_bytes_append(out, json, length, err));
    return pq_bytes_append_byte(out, '\n', err);
}

static pqdb_code write_text(struct export *export, bool is_csv, pqdb_rows *rows,
                            pqdb_error *err) {
    if (is_csv) PQ_TRY(write_csv_header(&export->out, rows, err));
    for (;;) {
        bool has_row;
        PQ_TRY(pqdb_rows_next(rows, &has_row, err));
        if (!has_row) return PQDB_OK;
        PQ_TRY(is_csv ? write_csv_row(&export->out, rows, err)
                      : write_json_row(&export->out, rows, err));
        if (export->out.length >= flush_bytes) PQ_TRY(flush(export, err));
        if (++export->done.rows % tell_rows == 0) PQ_TRY(tell(export, err));
    }
}

static pqdb_code export_text(struct export *export, bool is_csv, pqdb_error *err) {
    const pqdb_find_options options = {.sort = "none", .as_of = export->options->as_of};
    pqdb_rows *rows;
    PQ_TRY(pqdb_find(export->db, export->name, &options, &rows, err));
    export->done.version = pqdb_rows_version(rows);
    snprintf(export->done.note, sizeof export->done.note, "%s", pqdb_rows_note(rows));
    pqdb_code code = write_text(export, is_csv, rows, err);
    pqdb_rows_close(rows);
    if (code == PQDB_OK) code = flush(export, err);
    return code;
}

// ---- Parquet ----------------------------------------------------------------------------------

/// The columns that an answer has, and the undeclared fields.
struct choice {
    uint32_t *columns;  // of the table
    size_t count;
    bool *wanted;       // by column of the table
    bool *blooms;       // by position here: `$id` and indexed fields
    struct pq_type type;
};

static bool wants_bloom(const struct pq_entry *entry, struct pq_text name) {
    if (pq_text_is(name, "$id")) return true;
    const struct pq_declared_field *declared = pq_entry_find(entry, name);
    return declared != NULL && (declared->indexed || declared->unique);
}

static pqdb_code choose(const struct pq_db_table *table, const struct pq_find *find,
                        const struct pq_type *type, struct pq_arena *arena,
                        struct choice *choice, pqdb_error *err) {
    size_t count;
    const struct pq_find_column *columns = pq_find_columns(find, &count);
    *choice = (struct choice){
        .columns = pq_arena_calloc(arena, count + 1, sizeof *choice->columns),
        .wanted = pq_arena_calloc(arena, type->field_count, sizeof *choice->wanted),
        .blooms = pq_arena_calloc(arena, count + 1, sizeof *choice->blooms)};
    struct pq_field *fields = pq_arena_calloc(arena, count + 1, sizeof *fields);
    if (choice->columns == NULL || choice->wanted == NULL || choice->blooms == NULL ||
        fields == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "columns of an export");
    }
    for (size_t k = 0; k < count; k++) choice->columns[choice->count++] = columns[k].column;
    if (table->find->extra_column >= 0) {
        choice->columns[choice->count++] = (uint32_t)table->find->extra_column;
    }
    for (size_t k = 0; k < choice->count; k++) {
        fields[k] = type->fields[choice->columns[k]];
        choice->wanted[choice->columns[k]] = true;
        choice->blooms[k] = wants_bloom(table->entry, fields[k].name);
    }
    choice->type = (struct pq_type){
        .kind = PQ_OBJECT, .field_count = (uint32_t)choice->count, .fields = fields};
    return PQDB_OK;
}

/// The writer's sink: pages come as large pieces, so nothing is gathered.
static pqdb_code append_bytes(void *ctx, const void *data, size_t length, pqdb_error *err) {
    struct export *export = ctx;
    PQ_TRY(export->target->write(export->target->ctx, data, length, err));
    export->done.bytes += length;
    return PQDB_OK;
}

static pqdb_code write_batches(struct export *export, struct pq_scan *scan,
                               const struct choice *choice, struct pq_parquet_writer *writer,
                               pqdb_error *err) {
    struct pq_arena piece_arena;
    struct pq_column *columns =
        pq_resize(export->db->alloc, NULL, 0, choice->count, sizeof *columns);
    if (columns == NULL) return pq_fail(err, PQDB_NO_MEMORY, "columns of an export");
    pq_arena_init(&piece_arena, export->db->alloc);
    pqdb_code code = PQDB_OK;
    for (;;) {
        struct pq_batch batch;
        pq_arena_reset(&piece_arena);
        PQ_GO(pq_scan_next(scan, &piece_arena, &batch, err));
        if (batch.count == 0) break;
        for (size_t k = 0; k < choice->count; k++) columns[k] = batch.columns[choice->columns[k]];
        const struct pq_batch chosen = {
            .type = &choice->type, .count = batch.count, .columns = columns};
        PQ_GO(pq_parquet_writer_append(writer, &chosen, err));
        export->done.rows += batch.count;
        PQ_GO(tell(export, err));
    }
done:
    pq_arena_deinit(&piece_arena);
    pq_free(export->db->alloc, columns, choice->count, sizeof *columns);
    return code;
}

static pqdb_code write_parquet(struct export *export, struct pq_table_snapshot *snapshot,
                               const struct choice *choice, pqdb_error *err) {
    const bool is_compact = export->options->compact;
    const struct pq_parquet_writer_options options = {
        .type = &choice->type,
        .codec = &pq_codec_zstd,
        .profile = is_compact ? PQ_PROFILE_COMPACT : PQ_PROFILE_COMPATIBLE,
        .bloom_fields = choice->blooms};
    const struct pq_parquet_sink sink = {.append = append_bytes, .ctx = export};
    struct pq_parquet_writer *writer;
    PQ_TRY(pq_parquet_writer_create(&options, sink, export->db->alloc, &writer, err));
    struct pq_scan scan;
    pq_scan_open(&scan, snapshot, &(struct pq_scan_options){.columns = choice->wanted},
                 export->db->alloc);
    struct pq_parquet_file_info info;
    pqdb_code code = write_batches(export, &scan, choice, writer, err);
    if (code == PQDB_OK) code = pq_parquet_writer_finish(writer, &info, err);
    pq_scan_close(&scan);
    pq_parquet_writer_destroy(writer);
    return code;
}

/// The state of a view that is not fresh, as find says it.
static pqdb_code note_version(struct export *export, pqdb_error *err) {
    const pqdb_find_options options = {.sort = "none", .limit = 1};
    pqdb_rows *rows;
    PQ_TRY(pqdb_find(export->db, export->name, &options, &rows, err));
    export->done.version = pqdb_rows_version(rows);
    snprintf(export->done.note, sizeof export->done.note, "%s", pqdb_rows_note(rows));
    pqdb_rows_close(rows);
    return PQDB_OK;
}

static pqdb_code export_parquet(struct export *export, pqdb_error *err) {
    const struct pq_db_table *as;
    const bool is_past = export->options->as_of != NULL;
    if (!is_past) PQ_TRY(note_version(export, err));
    struct pq_db_shown shown = {0};
    struct pq_db_as_of past = {.version = 0};
    struct pq_table_snapshot *rows;
    struct pq_find *find = NULL;
    struct pq_arena arena;
    struct choice choice;
    pq_arena_init(&arena, export->db->alloc);
    pqdb_code code;
    const struct pq_find_request request = {.sort = PQ_TEXT("none")};
    if (is_past) {
        struct pq_db_table *table;
        shown.snapshot = pq_db_snapshot(export->db);
        PQ_GO(pq_db_snapshot_find(export->db, shown.snapshot, pq_text_of(export->name), &table,
                                  err));
        as = table;
        PQ_GO(pq_db_as_of_open(export->db, shown.snapshot, table,
                               pq_text_of(export->options->as_of), &past, err));
        export->done.version = past.version;
        rows = past.rows->published;
    } else {
        PQ_GO(pq_db_show(export->db, pq_text_of(export->name), -1, &shown, err));
        as = shown.as;
        rows = shown.rows;
    }
    PQ_GO(pq_find_open(as->find, rows, &request, export->db->alloc, &find, err));
    PQ_GO(choose(as, find, rows->type, &arena, &choice, err));
    PQ_GO(write_parquet(export, rows, &choice, err));
done:
    pq_find_close(find);
    pq_db_as_of_close(&past);
    pq_arena_deinit(&arena);
    pq_db_shown_deinit(&shown);
    return code;
}

// ---- where it goes ----------------------------------------------------------------------------

static bool has_ending(struct pq_text path, const char *ending) {
    const size_t length = strlen(ending);
    if (path.length <= length) return false;
    const struct pq_text tail = {path.data + path.length - length, length};
    return pq_text_equal_any_case(tail, pq_text_of(ending));
}

pqdb_file_format pqdb_file_format_of(const char *path) {
    static const struct {
        const char *ending;
        pqdb_file_format format;
    } endings[] = {{".ndjson", PQDB_FILE_NDJSON}, {".jsonl", PQDB_FILE_NDJSON},
                   {".json", PQDB_FILE_NDJSON},   {".csv", PQDB_FILE_CSV},
                   {".tsv", PQDB_FILE_CSV},       {".parquet", PQDB_FILE_PARQUET},
                   {".pq", PQDB_FILE_PARQUET}};
    struct pq_text name = pq_text_of(path);
    const bool is_packed = has_ending(name, ".gz") || has_ending(name, ".zst");
    if (is_packed) name.length -= has_ending(name, ".gz") ? 3 : 4;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (!has_ending(name, endings[i].ending)) continue;
        const bool is_whole = !is_packed || endings[i].format != PQDB_FILE_PARQUET;
        return is_whole ? endings[i].format : PQDB_FILE_UNKNOWN;
    }
    return PQDB_FILE_UNKNOWN;
}

pqdb_code pqdb_export_to(pqdb_db *db, const char *name, const pqdb_export_target *target,
                         const pqdb_export_options *options, pqdb_exported *exported,
                         pqdb_error *err) {
    static const pqdb_export_options defaults;
    struct export export = {.db = db, .name = name, .target = target,
                            .options = options == NULL ? &defaults : options};
    pq_bytes_init(&export.out, db->alloc);
    pqdb_code code;
    switch (export.options->format) {
    case PQDB_FILE_NDJSON: code = export_text(&export, false, err); break;
    case PQDB_FILE_CSV: code = export_text(&export, true, err); break;
    case PQDB_FILE_PARQUET: code = export_parquet(&export, err); break;
    default: code = pq_fail(err, PQDB_INVALID, "the format is not said: ndjson, csv or parquet");
    }
    pq_bytes_deinit(&export.out);
    if (code == PQDB_OK && exported != NULL) *exported = export.done;
    return code;
}

/// A file that is being written.
struct target {
    struct pq_store *store;
    struct pq_file *file;
    uint64_t bytes;
};

static pqdb_code write_file(void *ctx, const void *data, size_t length, pqdb_error *err) {
    struct target *target = ctx;
    const struct pq_text piece = {data, length};
    PQ_TRY(pq_file_write(target->file, target->bytes, &piece, 1, err));
    target->bytes += length;
    return PQDB_OK;
}

/// The folder as an absolute path, and the name in it.
static pqdb_code split_path(const char *path, char folder[PATH_MAX], const char **name,
                            pqdb_error *err) {
    const char *slash = strrchr(path, '/');
    *name = slash == NULL ? path : slash + 1;
    const size_t length = slash == NULL ? 0 : (size_t)(slash - path) + 1;
    char given[PATH_MAX];
    if (**name == '\0' || length >= sizeof given || strlen(path) >= PQ_STORE_PATH_MAX - 32) {
        pq_fail(err, PQDB_INVALID, "that is no name for a file");
        return pq_fail_subject(err, PQDB_INVALID, pq_text_of(path));
    }
    memcpy(given, path, length);
    given[length] = '\0';
    if (realpath(length == 0 ? "." : given, folder) != NULL) return PQDB_OK;
    return pq_store_fail_errno(err, path, "write", errno);
}

pqdb_code pqdb_export(pqdb_db *db, const char *name, const char *path,
                      const pqdb_export_options *options, pqdb_exported *exported,
                      pqdb_error *err) {
    pqdb_export_options chosen = options == NULL ? (pqdb_export_options){0} : *options;
    if (chosen.format == PQDB_FILE_UNKNOWN) chosen.format = pqdb_file_format_of(path);
    char folder[PATH_MAX], beside[PATH_MAX];
    const char *file_name;
    PQ_TRY(split_path(path, folder, &file_name, err));
    struct target target = {0};
    PQ_TRY(pq_store_open_fs(folder, false, db->alloc, &target.store, err));
    snprintf(beside, sizeof beside, "%s.%d.tmp", file_name, (int)getpid());
    bool is_made = false;
    pqdb_code code;
    PQ_GO(pq_file_open(target.store, beside, PQ_OPEN_WRITE, &target.file, err));
    is_made = true;
    PQ_GO(pq_file_truncate(target.file, 0, err));
    const pqdb_export_target to = {.write = write_file, .ctx = &target};
    PQ_GO(pqdb_export_to(db, name, &to, &chosen, exported, err));
    PQ_GO(pq_file_sync(target.file, err));
    PQ_GO(pq_store_rename(target.store, beside, file_name, err));
    is_made = false;
    PQ_GO(pq_store_sync_directory(target.store, "", err));
done:
    pq_file_close(target.file);
    if (is_made) pq_store_unlink(target.store, beside, NULL);
    pq_store_destroy(target.store);
    return code;
}
