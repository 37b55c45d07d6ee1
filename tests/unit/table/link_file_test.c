/// Goal: the run beside a data file gives exactly the rows that hold a text, in scalars, in lists
/// and inside their objects; it is made when it is missing, never by one who may only read, its
/// damage is told, and it goes with its file.
#include "table/link_file.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/env.h"
#include "batch/builder.h"
#include "store/pace.h"
#include "support/test.h"
#include "table/rewrite.h"
#include "table/table.h"
#include "variant/variant.h"

enum { ROWS = 5000, TARGETS = 30, TO = 1, TAGS = 2, ITEMS = 3, TO_ID = 12, TAGS_ID = 13,
       ITEMS_ID = 15 };

static const struct pq_field tag_fields[] = {
    {.name = {"element", 7}, .type = {.kind = PQ_TEXT}, .id = 14}};
static const struct pq_field item_fields[] = {
    {.name = {"note", 4}, .type = {.kind = PQ_TEXT}, .id = 17},
    {.name = {"count", 5}, .type = {.kind = PQ_INT64}, .id = 18},
};
static const struct pq_field items_fields[] = {
    {.name = {"element", 7},
     .type = {.kind = PQ_OBJECT, .field_count = 2, .fields = item_fields}, .id = 16}};
static const struct pq_field fields[] = {
    {.name = {"$id", 3}, .type = {.kind = PQ_TEXT}, .required = true, .id = 11},
    {.name = {"to", 2}, .type = {.kind = PQ_TEXT}, .id = TO_ID},
    {.name = {"tags", 4},
     .type = {.kind = PQ_LIST, .field_count = 1, .fields = tag_fields}, .id = TAGS_ID},
    {.name = {"items", 5},
     .type = {.kind = PQ_LIST, .field_count = 1, .fields = items_fields}, .id = ITEMS_ID},
};
static const struct pq_type type = {.kind = PQ_OBJECT, .field_count = 4, .fields = fields};
static const struct pq_type *const table_type = &type;

static pqdb_error err;
static struct pq_store *store;
static uint64_t file_bytes;

static void must(pqdb_code code) { CHECK(code == PQDB_OK, "%s: %s", err.subject, err.message); }

/// Every third row points nowhere; the text of target 0 is empty.
static int target_of(int row) { return row % 3 == 0 ? -1 : row * 7 % TARGETS; }

static struct pq_text print(char out[static 16], int target) {
    return (struct pq_text){
        out, target == 0 ? 0 : (size_t)snprintf(out, 16, "target-%d", target)};
}

static void put(struct pq_builder *to, int target) {
    char text[16];
    const struct pq_text id = print(text, target);
    must(pq_builder_append_bytes(to, id.data, id.length, &err));
}

static void append(struct pq_builder *columns, int row) {
    char id[16];
    const int length = snprintf(id, sizeof id, "%06d", row);
    must(pq_builder_append_bytes(&columns[0], id, (size_t)length, &err));
    if (target_of(row) < 0) {
        must(pq_builder_append_null(&columns[TO], &err));
        must(pq_builder_append_null(&columns[TAGS], &err));
        must(pq_builder_append_null(&columns[ITEMS], &err));
        return;
    }
    put(&columns[TO], target_of(row));
    put(&columns[TAGS].children[0], target_of(row));
    put(&columns[TAGS].children[0], row % TARGETS);
    put(&columns[TAGS].children[0], row % TARGETS);  // twice the same
    must(pq_builder_end_list(&columns[TAGS], &err));
    struct pq_builder *item = &columns[ITEMS].children[0];
    const int notes[] = {target_of(row), row % TARGETS};
    for (int k = 0; k < 2; k++) {
        put(&item->children[0], notes[k]);
        must(pq_builder_append_fixed(&item->children[1], &(int64_t){row}, &err));
        must(pq_builder_end_object(item, &err));
    }
    must(pq_builder_end_list(&columns[ITEMS], &err));
}

/// "t.parquet" in a fresh store.
static void write_table(void) {
    struct pq_variant_names *names;
    struct pq_table *table;
    struct pq_hold *hold;
    struct pq_builder columns[4];
    struct pq_batch batch;
    must(pq_store_open_memory(&pq_alloc_libc, &store, &err));
    must(pq_variant_names_create(&pq_alloc_libc, &names, &err));
    const struct pq_table_options options = {.name = PQ_TEXT("T"), .type = &type, .names = names,
                                             .alloc = &pq_alloc_libc};
    must(pq_table_create(&options, &table, &err));
    must(pq_hold_create(&pq_alloc_libc, &hold, &err));
    for (int k = 0; k < 4; k++) {
        must(pq_builder_init(&columns[k], &fields[k].type, &hold->arena.alloc, &err));
    }
    for (int row = 0; row < ROWS; row++) append(columns, row);
    must(pq_builder_finish_batch(columns, &type, &hold->arena, &batch, &err));
    must(pq_table_apply(table, &batch, hold, 1, &err));
    must(pq_table_publish(table, &err));
    pq_hold_unref(hold);
    const struct pq_rewrite rewrite = {.snapshot = table->published,
                                       .segments = table->catalog->segments,
                                       .count = table->catalog->count, .store = store,
                                       .path = "t.parquet", .alloc = &pq_alloc_libc};
    struct pq_rewritten rewritten;
    must(pq_table_rewrite(&rewrite, &rewritten, &err));
    file_bytes = rewritten.bytes;
    pq_rewritten_deinit(&rewritten);
    pq_table_destroy(table);
    pq_variant_names_unref(names);
}

static struct pq_data_file *open_file(bool read_only) {
    const struct pq_data_file_options options = {
        .store = store, .path = PQ_TEXT("t.parquet"), .bytes = file_bytes, .rows = ROWS,
        .type = table_type, .read_only = read_only, .alloc = &pq_alloc_libc};
    struct pq_data_file *file;
    must(pq_data_file_create(&options, &file, &err));
    return file;
}

static bool exists(const char *path) {
    struct pq_file *file = NULL;
    const pqdb_code code = pq_file_open(store, path, PQ_OPEN_READ, &file, &err);
    pq_file_close(file);
    return code == PQDB_OK;
}

static pqdb_code take(void *ctx, uint32_t row, pqdb_error *error) {
    (void)error;
    ((int *)ctx)[row]++;
    return PQDB_OK;
}

static bool points(uint32_t column, int row, int target) {
    if (target_of(row) < 0) return false;
    return target_of(row) == target || (column != TO && row % TARGETS == target);
}

static void check_column(struct pq_data_file *file, uint32_t column) {
    for (int target = 0; target <= TARGETS; target++) {  // the last one is nobody's
        static int times[ROWS];
        char text[16];
        const struct pq_text id = print(text, target);
        const struct pq_file_linked asked = {.column = column, .targets = &id, .count = 1,
                                             .take = take, .ctx = times};
        bool known = false;
        memset(times, 0, sizeof times);
        must(pq_data_file_linked(file, &asked, &known, &err));
        CHECK(known, "there is no run");
        for (int row = 0; row < ROWS; row++) {
            CHECK(times[row] == points(column, row, target), "row %d comes %d times for %d", row,
                  times[row], target);
        }
    }
}

static void every_row_is_found_by_what_it_holds(void) {
    write_table();
    struct pq_data_file *file = open_file(false);
    CHECK(!exists("t.parquet.12.links"), "nobody asked");
    check_column(file, TO);
    check_column(file, TAGS);
    check_column(file, ITEMS);
    CHECK(exists("t.parquet.12.links") && exists("t.parquet.13.links"), "they stay");
    CHECK(!exists("t.parquet.12.links.new"), "under their last name alone");
    pq_data_file_unref(file);
    file = open_file(true);
    check_column(file, TO);
    pq_data_file_unref(file);
    pq_store_destroy(store);
}

static void who_may_only_read_writes_nothing(void) {
    write_table();
    struct pq_data_file *file = open_file(true);
    const struct pq_text id = PQ_TEXT("target-1");
    const struct pq_file_linked asked = {.column = TO, .targets = &id, .count = 1, .take = take};
    bool known = true;
    must(pq_data_file_linked(file, &asked, &known, &err));
    CHECK(!known && !exists("t.parquet.12.links"), "a run from nowhere");
    pq_data_file_unref(file);
    pq_store_destroy(store);
}

static void damage_names_the_file(void) {
    write_table();
    struct pq_data_file *file = open_file(false);
    must(pq_data_file_write_links(file, TO, NULL, &err));
    pq_data_file_unref(file);
    struct pq_bytes bytes;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    must(pq_store_read_file(store, "t.parquet.12.links", 1 << 24, &bytes, &err));
    for (size_t at = 0; at < bytes.length; at += 97) {
        bytes.data[at] ^= 0x40;
        must(pq_store_write_file(store, "t.parquet.12.links", pq_bytes_text(&bytes), &err));
        bytes.data[at] ^= 0x40;
        file = open_file(false);
        pqdb_code code = PQDB_OK;
        for (int target = 0; target < TARGETS && code == PQDB_OK; target++) {
            static int times[ROWS];
            char text[16];
            const struct pq_text id = print(text, target);
            const struct pq_file_linked asked = {.column = TO, .targets = &id, .count = 1,
                                                 .take = take, .ctx = times};
            bool known;
            code = pq_data_file_linked(file, &asked, &known, &err);
        }
        // A block that no target needs, or the filter, which nobody reads here.
        CHECK(code == PQDB_OK || (code == PQDB_CORRUPT &&
                                  strcmp(err.subject, "t.parquet.12.links") == 0),
              "byte %zu: %s: %s", at, err.subject, err.message);
        CHECK(at > bytes.length / 2 || code == PQDB_CORRUPT, "byte %zu is not missed", at);
        pq_data_file_unref(file);
    }
    pq_bytes_deinit(&bytes);
    pq_store_destroy(store);
}

static void links_go_with_their_file(void) {
    write_table();
    struct pq_pace *pace;
    struct pq_data_file *file = open_file(false);
    must(pq_data_file_write_links(file, TAGS, NULL, &err));
    pq_data_file_unref(file);
    must(pq_pace_create(store, &pq_env_system, &pace, &err));
    pq_data_file_bury(pace, PQ_TEXT("t.parquet"), table_type);
    CHECK(!exists("t.parquet") && !exists("t.parquet.13.links"), "something is left");
    pq_pace_destroy(pace);
    pq_store_destroy(store);
}

int main(void) {
    RUN(every_row_is_found_by_what_it_holds);
    RUN(who_may_only_read_writes_nothing);
    RUN(damage_names_the_file);
    RUN(links_go_with_their_file);
    return test_done();
}
