/// query/find_explain.c: how an answer was found, as one JSON object.
#include <stdio.h>

#include "base/fail.h"
#include "base/json.h"
#include "query/find_internal.h"
#include "table/scan.h"
#include "table/shred.h"

static pqdb_code begin(struct pq_bytes *out, const char *name, pqdb_error *err) {
    if (out->data[out->length - 1] != '{') PQ_TRY(pq_bytes_append_byte(out, ',', err));
    return pq_bytes_printf(out, err, "\"%s\":", name);
}

static pqdb_code number(struct pq_bytes *out, const char *name, uint64_t value, pqdb_error *err) {
    PQ_TRY(begin(out, name, err));
    return pq_bytes_printf(out, err, "%llu", (unsigned long long)value);
}

static pqdb_code text(struct pq_bytes *out, const char *name, const char *value,
                      pqdb_error *err) {
    PQ_TRY(begin(out, name, err));
    return pq_json_write_text(out, pq_text_of(value), err);
}

/// "files": { "all": 12, "read": 3 }
static pqdb_code share(struct pq_bytes *out, const char *name, uint64_t all, uint64_t read,
                       pqdb_error *err) {
    PQ_TRY(begin(out, name, err));
    return pq_bytes_printf(out, err, "{\"all\":%llu,\"read\":%llu}", (unsigned long long)all,
                           (unsigned long long)read);
}

/// The table's columns and, behind them, the paths that files keep as columns.
static const struct pq_type *type_of(const struct pq_find *find) {
    const struct pq_shreds *shreds = find->snapshot->shreds;
    return shreds == NULL || find->links.any ? find->snapshot->type : shreds->type;
}

static pqdb_code columns(const struct pq_find *find, struct pq_bytes *out, const char *name,
                         const bool *chosen, const bool *without, pqdb_error *err) {
    const struct pq_type *type = type_of(find);
    bool any = false;
    PQ_TRY(begin(out, name, err));
    PQ_TRY(pq_bytes_append_byte(out, '[', err));
    for (size_t k = 0; k < type->field_count; k++) {
        if (!chosen[k] || (without != NULL && without[k])) continue;
        if (any) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(pq_json_write_text(out, type->fields[k].name, err));
        any = true;
    }
    return pq_bytes_append_byte(out, ']', err);
}

static pqdb_code condition(const struct pq_find *find, size_t k, struct pq_bytes *out,
                           pqdb_error *err) {
    struct pq_bytes printed;
    pq_bytes_init(&printed, find->alloc);
    pqdb_code code = pq_program_print_condition(find->filter, (uint32_t)k, &printed, err);
    if (code == PQDB_OK) code = pq_json_write_text(out, pq_bytes_text(&printed), err);
    pq_bytes_deinit(&printed);
    return code;
}

static pqdb_code filter(const struct pq_find *find, struct pq_bytes *out, pqdb_error *err) {
    PQ_TRY(begin(out, "filter", err));
    PQ_TRY(pq_bytes_append_byte(out, '[', err));
    const size_t count = find->filter == NULL ? 0 : pq_program_condition_count(find->filter);
    for (size_t k = 0; k < count; k++) {
        if (k > 0) PQ_TRY(pq_bytes_append_byte(out, ',', err));
        PQ_TRY(condition(find, k, out, err));
    }
    return pq_bytes_append_byte(out, ']', err);
}

static pqdb_code skipped(const struct pq_find *find, struct pq_bytes *out, pqdb_error *err) {
    PQ_TRY(begin(out, "skipped", err));
    PQ_TRY(pq_bytes_append_byte(out, '[', err));
    const size_t count = find->filter == NULL ? 0 : pq_program_condition_count(find->filter);
    bool any = false;
    for (size_t k = 0; find->counts.skipped != NULL && k <= count; k++) {
        if (find->counts.skipped[k] == 0) continue;
        PQ_TRY(pq_bytes_append_text(out, any ? PQ_TEXT(",{\"by\":") : PQ_TEXT("{\"by\":"), err));
        if (k < count) {
            PQ_TRY(condition(find, k, out, err));
        } else {
            PQ_TRY(pq_bytes_append_text(out, PQ_TEXT("\"all of them together\""), err));
        }
        PQ_TRY(number(out, "rows", find->counts.skipped[k], err));
        PQ_TRY(pq_bytes_append_byte(out, '}', err));
        any = true;
    }
    return pq_bytes_append_byte(out, ']', err);
}

static pqdb_code order(const struct pq_find *find, struct pq_bytes *out, pqdb_error *err) {
    char heap[64];
    PQ_TRY(begin(out, "sort", err));
    PQ_TRY(pq_bytes_append_byte(out, '{', err));
    if (find->sort.length == 0) {
        PQ_TRY(text(out, "by", "$id", err));
    } else {
        PQ_TRY(begin(out, "by", err));
        PQ_TRY(pq_json_write_text(out, find->sort, err));
    }
    const uint64_t window = find->shows_windows ? find->table.window_rows : find->order.keep;
    if (find->scanning && (find->shows_windows || find->in_windows)) {
        snprintf(heap, sizeof heap, "%llu rows at a time", (unsigned long long)window);
        PQ_TRY(text(out, "how", heap, err));
    } else if (find->streams) {
        PQ_TRY(text(out, "how", "as they are stored", err));
    } else if (find->order.keep == 0 || find->order.keep == PQ_FIND_ROWS_MAX) {
        PQ_TRY(text(out, "how", "all matching rows in memory", err));
    } else {
        snprintf(heap, sizeof heap, "a heap of the first %llu rows",
                 (unsigned long long)find->order.keep);
        PQ_TRY(text(out, "how", heap, err));
    }
    return pq_bytes_append_byte(out, '}', err);
}

static pqdb_code rows(const struct pq_find *find, struct pq_bytes *out, pqdb_error *err) {
    const struct pq_scan_counts *counts = &find->counts;
    PQ_TRY(begin(out, "rows", err));
    PQ_TRY(pq_bytes_append_byte(out, '{', err));
    PQ_TRY(number(out, "inFiles", counts->rows, err));
    PQ_TRY(number(out, "inMemory", counts->memory_rows, err));
    uint64_t left_out = 0;
    const size_t count = find->filter == NULL ? 0 : pq_program_condition_count(find->filter) + 1;
    for (size_t k = 0; counts->skipped != NULL && k < count; k++) left_out += counts->skipped[k];
    PQ_TRY(number(out, "skipped", left_out, err));
    PQ_TRY(number(out, "beyondLimit", counts->cut, err));
    PQ_TRY(number(out, "tested", counts->rows_tested, err));
    PQ_TRY(number(out, "certain", counts->rows_certain, err));
    PQ_TRY(number(out, "matched", counts->rows_matched, err));
    PQ_TRY(number(out, "fetched", find->is_late ? find->late_rows.count : 0, err));
    PQ_TRY(number(out, "given", find->given, err));
    return pq_bytes_append_byte(out, '}', err);
}

/// What is read behind the filter: paths instead of the variant that they lead into, where the scan
/// takes them.
static void choose_late(const struct pq_find *find, bool *late) {
    const struct pq_shreds *shreds = find->snapshot->shreds;
    const struct pq_scan_paths *paths = find->scan.scan.paths;
    for (size_t k = 0; k < find->snapshot->type->field_count; k++) {
        if (!(find->is_late ? find->sorted : find->wanted)[k]) continue;
        late[k] = paths == NULL || paths[k].count == 0;
        for (size_t i = 0; !late[k] && i < paths[k].count; i++) {
            late[shreds->first + paths[k].shreds[i]] = true;
        }
    }
}

static pqdb_code reads(struct pq_find *find, struct pq_bytes *out, pqdb_error *err) {
    const struct pq_scan_counts *counts = &find->counts;
    struct pq_parquet_counts all = {0};
    const size_t width = type_of(find)->field_count;
    bool *read = pq_arena_calloc(&find->arena, width + 1, 1);
    bool *late = pq_arena_calloc(&find->arena, width + 1, 1);
    bool *fetched = pq_arena_calloc(&find->arena, width + 1, 1);
    if (read == NULL || late == NULL || fetched == NULL) {
        return pq_fail(err, PQDB_NO_MEMORY, "an explanation");
    }
    choose_late(find, late);
    memcpy(fetched, find->wanted, find->snapshot->type->field_count);
    for (size_t k = 0; k < width; k++) read[k] = late[k] || find->scanned[k];
    PQ_TRY(pq_scan_measure(find->snapshot, read, &all, err));
    PQ_TRY(share(out, "files", counts->files, counts->files_read, err));
    PQ_TRY(share(out, "groups", counts->groups, counts->groups_read, err));
    PQ_TRY(share(out, "pages", all.pages, counts->first.pages + counts->late.pages, err));
    PQ_TRY(share(out, "bytes", all.bytes, counts->first.bytes + counts->late.bytes, err));
    PQ_TRY(begin(out, "columns", err));
    PQ_TRY(pq_bytes_append_byte(out, '{', err));
    PQ_TRY(columns(find, out, "first", find->scanned, NULL, err));
    PQ_TRY(columns(find, out, "late", late, find->scanned, err));
    if (find->is_late) PQ_TRY(columns(find, out, "fetched", fetched, late, err));
    return pq_bytes_append_byte(out, '}', err);
}

pqdb_code pq_find_explain(struct pq_find *find, struct pq_bytes *out, pqdb_error *err) {
    PQ_TRY(text(out, "way", find->way, err));
    if (find->index.length > 0) {
        PQ_TRY(begin(out, "index", err));
        PQ_TRY(pq_json_write_text(out, find->index, err));
    }
    PQ_TRY(filter(find, out, err));
    PQ_TRY(order(find, out, err));
    if (find->scanning) {
        pq_scan_ahead_stop(&find->scan);
        PQ_TRY(reads(find, out, err));
    }
    PQ_TRY(rows(find, out, err));
    return skipped(find, out, err);
}
