#include "ingest/object_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/fail.h"
#include "ingest/rows.h"

/// What a key means: the index of a member, or one of these.
enum {
    SLOT_EXTRA = 1 << 24,  // not declared
    SLOT_ID,
    SLOT_TYPE,
    SLOT_CREATED_AT,
    SLOT_SYSTEM,  // set by the database alone
};

/// Everything about an object that follows from its keys alone.
struct pq_object_end {
    struct pq_text *keys;  // of a kept shape, else NULL
    size_t key_count;
    uint32_t *slots;  // of the key at each position
    bool *keep;       // is it undeclared?
    size_t extra_count;
    uint32_t *missing;  // members without a key
    size_t missing_count;
};

static pqdb_code no_memory(pqdb_error *err) {
    return pq_fail(err, PQDB_NO_MEMORY, "a row of an item");
}

// ---- plans ------------------------------------------------------------------------------------

static bool is_system_name(struct pq_text name) {
    return pq_text_is(name, "$seq") || pq_text_is(name, "updatedAt") || pq_text_is(name, "version");
}

static uint32_t resolve_key(void *ctx, struct pq_text key) {
    const struct pq_object_plan *plan = ctx;
    for (size_t i = 0; i < plan->member_count; i++) {
        if (pq_text_equal(plan->members[i].declared->field.name, key)) return (uint32_t)i;
    }
    if (plan->entry == NULL) return SLOT_EXTRA;
    if (pq_text_is(key, "$id")) return SLOT_ID;
    if (pq_text_is(key, "$type")) return SLOT_TYPE;
    if (pq_text_is(key, "createdAt")) return SLOT_CREATED_AT;
    return is_system_name(key) ? SLOT_SYSTEM : SLOT_EXTRA;
}

static pqdb_code plan_create(const struct pq_declared_field *fields, size_t count,
                             const struct pq_alloc *alloc, struct pq_object_plan **plan,
                             pqdb_error *err);

/// The object type of a member that is an inline object or a list of them, else NULL.
static const struct pq_type *object_type(const struct pq_declared_field *declared) {
    const struct pq_type *type = &declared->field.type;
    if (type->kind == PQ_LIST) type = &type->fields[0].type;
    return type->kind == PQ_OBJECT ? type : NULL;
}

static pqdb_code plan_member(struct pq_object_plan *plan, struct pq_member_plan *member,
                             pqdb_error *err) {
    const struct pq_declared_field *declared = member->declared;
    member->is_computed = declared->relation != NULL && declared->relation->inverse;
    if (declared->default_json.length > 0) {
        PQ_TRY(pq_json_parse(declared->default_json, PQ_JSON_5 | PQ_JSON_RAW_NUMBERS, plan->alloc,
                             &member->default_value, err));
    }
    const struct pq_type *type = object_type(declared);
    if (type == NULL) return PQDB_OK;
    PQ_TRY(plan_create(declared->members, declared->member_count, plan->alloc, &member->object,
                       err));
    for (size_t i = 0; i < member->object->member_count; i++) {
        struct pq_member_plan *inner = &member->object->members[i];
        const int column = pq_type_find(type, inner->declared->field.name);
        pq_assert(column >= 0 || inner->is_computed);
        inner->column = (size_t)column;
    }
    return PQDB_OK;
}

static pqdb_code plan_create(const struct pq_declared_field *fields, size_t count,
                             const struct pq_alloc *alloc, struct pq_object_plan **plan,
                             pqdb_error *err) {
    struct pq_object_plan *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return no_memory(err);
    *made = (struct pq_object_plan){.alloc = alloc};
    pq_shapes_init(&made->shapes, alloc, resolve_key, made);
    pqdb_code code = PQDB_OK;
    if (count > 0) {
        made->members = pq_resize(alloc, NULL, 0, count, sizeof *made->members);
        if (made->members == NULL) PQ_GO(no_memory(err));
    }
    made->member_count = count;
    for (size_t i = 0; i < count; i++) {
        made->members[i] = (struct pq_member_plan){.declared = &fields[i]};
    }
    for (size_t i = 0; i < count; i++) PQ_GO(plan_member(made, &made->members[i], err));
    *plan = made;
    return PQDB_OK;
done:
    pq_object_plan_destroy(made);
    return code;
}

void pq_object_plan_destroy(struct pq_object_plan *plan) {
    if (plan == NULL) return;
    for (size_t i = 0; plan->members != NULL && i < plan->member_count; i++) {
        pq_json_destroy(plan->members[i].default_value);
        pq_object_plan_destroy(plan->members[i].object);
    }
    pq_free(plan->alloc, plan->members, plan->member_count, sizeof *plan->members);
    pq_shapes_deinit(&plan->shapes);
    pq_free(plan->alloc, plan, 1, sizeof *plan);
}

/// The id may come from a text or an integer.
static pqdb_code find_id_member(struct pq_object_plan *plan, pqdb_error *err) {
    const struct pq_entry *entry = plan->entry;
    if (entry->id_field.length == 0) return PQDB_OK;
    for (size_t i = 0; i < plan->member_count; i++) {
        const struct pq_member_plan *member = &plan->members[i];
        if (!pq_text_equal(member->declared->field.name, entry->id_field)) continue;
        const enum pq_kind kind = member->declared->field.type.kind;
        if (kind != PQ_TEXT && kind != PQ_INT64) break;
        plan->id_member = member;
        return PQDB_OK;
    }
    return pq_fail(err, PQDB_UNSUPPORTED, "%.*s: $id names '%.*s', which is no text or int field",
                   PQ_TEXT_ARG(entry->name), PQ_TEXT_ARG(entry->id_field));
}

pqdb_code pq_row_plan_create(const struct pq_entry *entry, const struct pq_alloc *alloc,
                             struct pq_object_plan **plan, pqdb_error *err) {
    struct pq_object_plan *made;
    PQ_TRY(plan_create(entry->fields, entry->field_count, alloc, &made, err));
    made->entry = entry;
    made->extra_column = pq_entry_row_type(entry)->field_count - 1;
    const struct pq_event_source *source = pq_source_of(entry);
    for (size_t i = 0; i < made->member_count; i++) {
        struct pq_member_plan *member = &made->members[i];
        if (member->is_computed) continue;
        pq_assert(member->declared->column >= 0);
        member->column = (size_t)member->declared->column;
        member->fill = pq_source_fill(source, member->declared);
    }
    const pqdb_code code = find_id_member(made, err);
    if (code == PQDB_OK) {
        *plan = made;
    } else {
        pq_object_plan_destroy(made);
    }
    return code;
}

bool pq_object_plan_needs_digits(const struct pq_object_plan *plan) {
    for (size_t i = 0; i < plan->member_count; i++) {
        const struct pq_type *type = &plan->members[i].declared->field.type;
        if (type->kind == PQ_LIST) type = &type->fields[0].type;
        if (type->kind == PQ_DECIMAL) return true;
        const struct pq_object_plan *object = plan->members[i].object;
        if (object != NULL && pq_object_plan_needs_digits(object)) return true;
    }
    return false;
}

// ---- shapes -----------------------------------------------------------------------------------

/// What follows from the slots of an object's keys. NULL when memory is out.
static struct pq_object_end *make_end(const struct pq_object_plan *plan, struct pq_arena *arena,
                                   const uint32_t *slots, size_t count) {
    struct pq_object_end *end = pq_arena_calloc(arena, 1, sizeof *end);
    uint32_t *kept_slots = pq_arena_alloc(arena, count * sizeof *kept_slots);
    uint32_t *missing = pq_arena_alloc(arena, plan->member_count * sizeof *missing);
    bool *keep = pq_arena_alloc(arena, count * sizeof *keep);
    bool *given = pq_arena_calloc(arena, plan->member_count, sizeof *given);
    if (end == NULL || kept_slots == NULL || missing == NULL || keep == NULL || given == NULL) {
        return NULL;
    }
    *end = (struct pq_object_end){
        .key_count = count, .slots = kept_slots, .keep = keep, .missing = missing};
    for (size_t i = 0; i < count; i++) {
        kept_slots[i] = slots[i];
        keep[i] = slots[i] == SLOT_EXTRA;
        end->extra_count += keep[i];
        if (slots[i] < plan->member_count) given[slots[i]] = true;
    }
    for (size_t i = 0; i < plan->member_count; i++) {
        if (given[i] || plan->members[i].is_computed) continue;
        end->missing[end->missing_count++] = (uint32_t)i;
    }
    return end;
}

static struct pq_object_end *end_of_shape(struct pq_object_plan *plan, uint32_t node) {
    struct pq_shapes *shapes = &plan->shapes;
    struct pq_object_end *end = shapes->nodes[node].end;
    if (end != NULL) return end;
    uint32_t slots[PQ_SHAPE_KEYS_MAX] = {0};
    const uint32_t count = shapes->nodes[node].depth;
    for (uint32_t at = node, i = count; i > 0; at = shapes->nodes[at].parent) {
        slots[--i] = shapes->nodes[at].value;
    }
    end = make_end(plan, &shapes->arena, slots, count);
    struct pq_text *keys = pq_arena_alloc(&shapes->arena, count * sizeof *keys);
    if (end == NULL || keys == NULL) return NULL;
    for (uint32_t at = node, i = count; i > 0; at = shapes->nodes[at].parent) {
        keys[--i] = shapes->nodes[at].key;
    }
    end->keys = keys;
    shapes->nodes[node].end = end;
    return end;
}

static bool has_keys(const struct pq_object_end *end, const struct pq_json *object) {
    if (pq_json_count(object) != end->key_count) return false;
    const struct pq_json *key = pq_json_first(object);
    for (size_t i = 0; i < end->key_count; i++) {
        if (!pq_key_equal(end->keys[i], pq_json_text(key))) return false;
        key = pq_json_next(pq_json_next(key));
    }
    return true;
}

static pqdb_code repeated_key(struct pq_text key, pqdb_error *err) {
    pq_fail(err, PQDB_INVALID, "occurs twice");
    pq_fail_in_member(err, key);
    return PQDB_INVALID;
}

static int compare_keys(const void *a, const void *b) {
    return pq_text_compare(*(const struct pq_text *)a, *(const struct pq_text *)b);
}

/// An object whose shape is not kept: look every key up, sort to find repeated ones.
static pqdb_code end_of_object(struct pq_object_reader *reader, struct pq_object_plan *plan,
                               const struct pq_json *object, struct pq_object_end **end,
                               pqdb_error *err) {
    const size_t count = pq_json_count(object);
    uint32_t *slots = pq_arena_alloc(&reader->arena, count * sizeof *slots);
    struct pq_text *keys = pq_arena_alloc(&reader->arena, count * sizeof *keys);
    if (slots == NULL || keys == NULL) return no_memory(err);
    const struct pq_json *key = pq_json_first(object);
    for (size_t i = 0; i < count; i++) {
        keys[i] = pq_json_text(key);
        slots[i] = resolve_key(plan, keys[i]);
        key = pq_json_next(pq_json_next(key));
    }
    if (count > 1) qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 1; i < count; i++) {
        if (pq_text_equal(keys[i - 1], keys[i])) return repeated_key(keys[i], err);
    }
    *end = make_end(plan, &reader->arena, slots, count);
    return *end == NULL ? no_memory(err) : PQDB_OK;
}

static pqdb_code find_end(struct pq_object_reader *reader, struct pq_object_plan *plan,
                          const struct pq_json *object, struct pq_object_end **end,
                          pqdb_error *err) {
    if (plan->last_end != NULL && has_keys(plan->last_end, object)) {
        *end = plan->last_end;
        return PQDB_OK;
    }
    const size_t count = pq_json_count(object);
    const struct pq_json *key = pq_json_first(object);
    uint32_t node = PQ_SHAPE_ROOT;
    for (size_t i = 0; i < count; i++) {
        node = pq_shape_next(&plan->shapes, node, pq_json_text(key));
        if (node == PQ_SHAPE_REPEATED) return repeated_key(pq_json_text(key), err);
        if (node == PQ_SHAPE_UNKNOWN) break;
        key = pq_json_next(pq_json_next(key));
    }
    if (node == PQ_SHAPE_ROOT || node == PQ_SHAPE_UNKNOWN) {
        return end_of_object(reader, plan, object, end, err);
    }
    *end = plan->last_end = end_of_shape(plan, node);
    return *end == NULL ? no_memory(err) : PQDB_OK;
}

// ---- members ----------------------------------------------------------------------------------

static pqdb_code read_object(struct pq_object_reader *reader, struct pq_object_plan *plan,
                             const struct pq_json *value, struct pq_builder *builder,
                             pqdb_error *err) {
    if (pq_json_kind(value) != PQ_JSON_OBJECT) {
        return pq_fail(err, PQDB_INVALID, "must be an object, not %s", pq_json_kind_name(value));
    }
    PQ_TRY(pq_object_read(reader, plan, value, builder->children, err));
    return pq_builder_end_object(builder, err);
}

static pqdb_code read_element(struct pq_object_reader *reader, struct pq_member_plan *member,
                              const struct pq_json *value, struct pq_builder *builder,
                              pqdb_error *err) {
    if (pq_json_kind(value) == PQ_JSON_NULL) {
        if (member->declared->vector_length == 0) return pq_builder_append_null(builder, err);
        return pq_fail(err, PQDB_INVALID, "must be a number, not null");
    }
    if (member->object != NULL) return read_object(reader, member->object, value, builder, err);
    return pq_convert(&reader->converter, member->declared, value, builder, err);
}

static pqdb_code read_list(struct pq_object_reader *reader, struct pq_member_plan *member,
                           const struct pq_json *list, struct pq_builder *builder,
                           pqdb_error *err) {
    if (pq_json_kind(list) != PQ_JSON_LIST) {
        return pq_fail(err, PQDB_INVALID, "must be a list, not %s", pq_json_kind_name(list));
    }
    const size_t count = pq_json_count(list), wanted = member->declared->vector_length;
    if (wanted > 0 && count != wanted) {
        return pq_fail(err, PQDB_INVALID, "must be a vector of %zu numbers, not %zu", wanted,
                       count);
    }
    const struct pq_json *value = pq_json_first(list);
    for (size_t i = 0; i < count; i++, value = pq_json_next(value)) {
        const pqdb_code code = read_element(reader, member, value, &builder->children[0], err);
        if (code != PQDB_OK) {
            pq_fail_in_element(err, i);
            return code;
        }
    }
    return pq_builder_end_list(builder, err);
}

/// A value that is given and not null.
static pqdb_code read_value(struct pq_object_reader *reader, struct pq_member_plan *member,
                            const struct pq_json *value, struct pq_builder *builder,
                            pqdb_error *err) {
    if (builder->type->kind == PQ_LIST) return read_list(reader, member, value, builder, err);
    if (member->object != NULL) return read_object(reader, member->object, value, builder, err);
    return pq_convert(&reader->converter, member->declared, value, builder, err);
}

/// A field that is missing or null, which is the same.
static pqdb_code read_missing(struct pq_object_reader *reader, struct pq_member_plan *member,
                              struct pq_builder *builder, pqdb_error *err) {
    if (member->fill != NULL) {
        switch (member->fill->kind) {
        case PQ_FILL_TEXT:
            return pq_builder_append_bytes(builder, member->fill->text, strlen(member->fill->text),
                                           err);
        case PQ_FILL_RECEIVED: return pq_builder_append_fixed(builder, &reader->received_us, err);
        case PQ_FILL_EMPTY: return pq_builder_end_list(builder, err);
        }
    }
    if (member->default_value != NULL) {
        const struct pq_json *value = pq_json_root(member->default_value);
        if (pq_json_kind(value) != PQ_JSON_NULL) {
            return read_value(reader, member, value, builder, err);
        }
    }
    if (member->declared->field.required) return pq_fail(err, PQDB_INVALID, "is required");
    return pq_builder_append_null(builder, err);
}

pqdb_code pq_object_read_member(struct pq_object_reader *reader, struct pq_member_plan *member,
                                const struct pq_json *value, struct pq_builder *builder,
                                pqdb_error *err) {
    pqdb_code code;
    if (member->is_computed) {
        code = pq_fail(err, PQDB_INVALID, "is computed from %.*s.%.*s and cannot be given",
                       PQ_TEXT_ARG(member->declared->relation->target),
                       PQ_TEXT_ARG(member->declared->relation->field));
    } else if (value == NULL || pq_json_kind(value) == PQ_JSON_NULL) {
        code = read_missing(reader, member, builder, err);
    } else {
        code = read_value(reader, member, value, builder, err);
    }
    if (code != PQDB_OK) pq_fail_in_member(err, member->declared->field.name);
    return code;
}

// ---- system fields ----------------------------------------------------------------------------

static pqdb_code append_id(struct pq_builder *builder, struct pq_text id, pqdb_error *err) {
    if (id.length == 0) return pq_fail(err, PQDB_INVALID, "must not be empty");
    if (id.length > PQ_ID_BYTES_MAX) {
        return pq_fail(err, PQDB_INVALID, "must have at most %d bytes, not %zu", PQ_ID_BYTES_MAX,
                       id.length);
    }
    if (memchr(id.data, '/', id.length) != NULL) {
        return pq_fail(err, PQDB_INVALID, "must not contain '/'");
    }
    return pq_builder_append_bytes(builder, id.data, id.length, err);
}

static pqdb_code read_system(struct pq_object_plan *plan, uint32_t slot,
                             const struct pq_json *value, struct pq_builder *builders,
                             pqdb_error *err) {
    const bool is_null = pq_json_kind(value) == PQ_JSON_NULL;
    if (slot == SLOT_SYSTEM && !is_null) {
        return pq_fail(err, PQDB_INVALID, "is set by the database and cannot be given");
    }
    if (slot == SLOT_TYPE && !is_null) {
        const struct pq_text type_name = plan->entry->type_name;
        if (pq_json_kind(value) == PQ_JSON_TEXT && pq_text_equal(pq_json_text(value), type_name)) {
            return PQDB_OK;
        }
        return pq_fail(err, PQDB_INVALID, "must be '%.*s'", PQ_TEXT_ARG(type_name));
    }
    if (slot == SLOT_ID && !is_null) {
        if (pq_json_kind(value) != PQ_JSON_TEXT) {
            return pq_fail(err, PQDB_INVALID, "must be text, not %s", pq_json_kind_name(value));
        }
        return append_id(&builders[PQ_COLUMN_ID], pq_json_text(value), err);
    }
    if (slot == SLOT_CREATED_AT && !is_null) {
        return pq_convert(NULL, NULL, value, &builders[PQ_COLUMN_CREATED_AT], err);
    }
    return PQDB_OK;
}

/// The id that was not given: of the field that supplies it, else null until the commit.
static pqdb_code supply_id(const struct pq_object_plan *plan, struct pq_builder *builders,
                           pqdb_error *err) {
    struct pq_builder *ids = &builders[PQ_COLUMN_ID];
    if (plan->id_member == NULL) return pq_builder_append_null(ids, err);
    const struct pq_column column = pq_builder_finish(&builders[plan->id_member->column]);
    const struct pq_value value = pq_column_value(&column, column.count - 1);
    if (value.kind == PQ_NULL) return pq_builder_append_null(ids, err);
    struct pq_text id = value.as.text;
    char digits[24];
    if (value.kind == PQ_INT64) {
        id.length = (size_t)snprintf(digits, sizeof digits, "%lld", (long long)value.as.integer);
        id.data = digits;
    }
    const pqdb_code code = append_id(ids, id, err);
    if (code != PQDB_OK) pq_fail_in_member(err, plan->entry->id_field);
    return code;
}

static pqdb_code not_declared(const struct pq_object_plan *plan, struct pq_text key,
                              pqdb_error *err) {
    const char *names[64];
    size_t count = 0;
    for (size_t i = 0; i < plan->member_count && count < 64; i++) {
        names[count++] = plan->members[i].declared->field.name.data;
    }
    const char *nearest = pq_text_nearest(key, names, count);
    pq_fail(err, PQDB_INVALID, "is not declared%s%s", nearest == NULL ? "" : ": did you mean ",
            nearest == NULL ? "" : nearest);
    pq_fail_in_member(err, key);
    return PQDB_INVALID;
}

static pqdb_code append_extra(struct pq_object_reader *reader, const struct pq_json *object,
                              const bool *keep, struct pq_builder *builder, pqdb_error *err) {
    struct pq_bytes *scratch = &reader->converter.scratch;
    bool own;
    scratch->length = 0;
    PQ_TRY(pq_variant_encode_members(reader->converter.encoder, object, keep, scratch, &own, err));
    if (own) return pq_builder_append_own_names(builder, scratch->data, scratch->length, err);
    return pq_builder_append_bytes(builder, scratch->data, scratch->length, err);
}

/// What a row has besides its declared fields. Ids and times that were given are there already.
static pqdb_code finish_row(struct pq_object_plan *plan, const struct pq_object_end *end,
                            struct pq_builder *builders, pqdb_error *err) {
    const size_t count = builders[plan->extra_column].count;  // the row's position
    if (builders[PQ_COLUMN_ID].count == count) PQ_TRY(supply_id(plan, builders, err));
    struct pq_builder *created_at = &builders[PQ_COLUMN_CREATED_AT];
    if (created_at->count == count) PQ_TRY(pq_builder_append_null(created_at, err));
    if (end->extra_count > 0) return PQDB_OK;
    return pq_builder_append_null(&builders[plan->extra_column], err);
}

pqdb_code pq_object_read(struct pq_object_reader *reader, struct pq_object_plan *plan,
                         const struct pq_json *object, struct pq_builder *builders,
                         pqdb_error *err) {
    struct pq_object_end *end;
    PQ_TRY(find_end(reader, plan, object, &end, err));
    const bool closed = plan->entry == NULL || plan->entry->strict;
    const struct pq_json *key = pq_json_first(object);
    for (size_t i = 0; i < end->key_count; i++) {
        const struct pq_json *value = pq_json_next(key);
        const uint32_t slot = end->slots[i];
        if (slot < plan->member_count) {
            struct pq_member_plan *member = &plan->members[slot];
            PQ_TRY(pq_object_read_member(reader, member, value, &builders[member->column], err));
        } else if (slot != SLOT_EXTRA) {
            const pqdb_code code = read_system(plan, slot, value, builders, err);
            if (code != PQDB_OK) pq_fail_in_member(err, pq_json_text(key));
            PQ_TRY(code);
        } else if (closed) {
            return not_declared(plan, pq_json_text(key), err);
        }
        key = pq_json_next(value);
    }
    for (size_t i = 0; i < end->missing_count; i++) {
        struct pq_member_plan *member = &plan->members[end->missing[i]];
        PQ_TRY(pq_object_read_member(reader, member, NULL, &builders[member->column], err));
    }
    if (plan->entry == NULL) return PQDB_OK;
    PQ_TRY(finish_row(plan, end, builders, err));
    if (end->extra_count == 0) return PQDB_OK;
    return append_extra(reader, object, end->keep, &builders[plan->extra_column], err);
}
