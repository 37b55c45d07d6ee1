/// Any text as a schema: no trouble, and what is accepted has sound rows.
#include "base/check.h"
#include "type/schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct pq_entry *entry) {
    const struct pq_type *rows = pq_entry_row_type(entry);
    for (uint32_t i = 0; i < rows->field_count; i++) {
        pq_assert(rows->fields[i].id > 0);
        pq_assert(pq_type_find(rows, rows->fields[i].name) == (int)i || entry->broken);
    }
    for (size_t i = 0; i < entry->field_count; i++) {
        const struct pq_declared_field *field = &entry->fields[i];
        pq_assert(field->column < (int32_t)rows->field_count);
        pq_assert(field->field.name.data[field->field.name.length] == '\0');
        if (field->column >= 0) {
            pq_assert(field->field.id == rows->fields[field->column].id);
            pq_assert(pq_type_equal(&field->field.type, &rows->fields[field->column].type));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct pq_arena arena;
    pq_arena_init(&arena, &pq_alloc_libc);
    struct pq_problems problems;
    pq_problems_init(&problems, &arena);
    struct pq_schema *schema = NULL;
    pqdb_error err;
    const struct pq_text text = {(const char *)data, size};
    if (pq_schema_parse(text, &pq_alloc_libc, &schema, &problems, &err) == PQDB_OK) {
        for (size_t i = 0; i < schema->entry_count; i++) {
            check_entry(&schema->entries[i]);
            pq_assert(!schema->entries[i].broken || problems.errors > 0);
        }
    } else {
        pq_assert(schema == NULL && err.message[0] != '\0');
    }
    for (size_t i = 0; i < problems.count; i++) {
        pq_assert(problems.items[i].line > 0 && problems.items[i].message.length > 0);
    }
    pq_schema_unref(schema);
    pq_arena_deinit(&arena);
    return 0;
}
