/// view/definition.h: a `$from` entry as it is written: its directives, found and checked for form.
///
/// What needs the source's columns (paths, types, names of columns) is checked by plan.c.
#ifndef PQ_VIEW_DEFINITION_H
#define PQ_VIEW_DEFINITION_H

#include <parquedb/error.h>

#include "type/schema.h"
#include "view/view.h"

/// One place in the schema's text: a value, its path, and the code of what is wrong there.
struct pq_place {
    const char *code;
    const struct pq_json *json;  // NULL: the entry's name
    struct pq_text path;
};

struct pq_definition {
    const struct pq_schema *schema;
    const struct pq_entry *entry;
    struct pq_arena *arena;        // borrowed: paths of messages live there
    struct pq_problems *problems;  // borrowed
    size_t mistakes;               // found so far; with any, there is no such view
    bool is_unclear;               // what rows and columns it means cannot be told
    bool no_memory;

    /// The values as written, NULL where there is none.
    const struct pq_json *from, *expand, *flatten, *unnest, *filter, *select, *group_by, *compute,
        *having, *refresh;

    struct pq_text source;  // `$from`

    struct pq_text unnest_path;
    struct pq_text unnest_as;     // empty: the path's last name
    struct pq_text unnest_index;  // empty: not wanted
    bool keep_empty;

    enum pq_view_mode mode;
    struct pq_text schedule;
    struct pq_cron cron;
    struct pq_text zone;
    const struct pq_zone *zone_rules;  // NULL: UTC
    int64_t grace_us;
    bool append;
    enum pq_backend backend;
};

/// Read the definition of a view entry. Mistakes go into `problems`. A directive whose value has
/// not the right form is left NULL. Errors: PQDB_NO_MEMORY.
pqdb_code pq_definition_read(const struct pq_schema *schema, const struct pq_entry *entry,
                             struct pq_arena *arena, struct pq_problems *problems,
                             struct pq_definition *definition, pqdb_error *err);

/// Report a mistake, and count it. `remedy` may be NULL.
__attribute__((format(printf, 4, 5))) void pq_definition_mistake(struct pq_definition *definition,
                                                                 const struct pq_place *place,
                                                                 const char *remedy,
                                                                 const char *format, ...);

/// The place of a directive: "WorkerErrors.$filter".
struct pq_place pq_definition_place(struct pq_definition *definition, const char *code,
                                    const char *directive, const struct pq_json *json);

/// The place of a member or element below another one.
struct pq_place pq_place_key(struct pq_definition *definition, const struct pq_place *place,
                             struct pq_text key, const struct pq_json *json);
struct pq_place pq_place_index(struct pq_definition *definition, const struct pq_place *place,
                               size_t index, const struct pq_json *json);

/// "did you mean $avg", or NULL.
struct pq_view_remedy {
    char text[160];
};
const char *pq_view_nearest(struct pq_text given, const char *const *names, size_t count,
                            struct pq_view_remedy *room);

/// A name for a column of the view; reports and says false when it is none.
bool pq_definition_check_name(struct pq_definition *definition, const struct pq_place *place,
                              struct pq_text name);

/// The text of a text value, else an empty one.
struct pq_text pq_json_text_or_empty(const struct pq_json *value);

#endif
