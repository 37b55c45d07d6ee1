/// view/expand_tree.h: which links a definition or a query follows, and what it reads behind them.
///
/// A tree grows path by path. A node stands for rows (of the source, of a linked table) or for
/// inline objects on the way; its links lead on. In the end it becomes an operator's spec.
#ifndef PQ_VIEW_EXPAND_TREE_H
#define PQ_VIEW_EXPAND_TREE_H

#include "flow/expand.h"
#include "view/plan_internal.h"

enum { PQ_EXPAND_LINKS_MAX = 64 };  // on one path

struct pq_expand_node;

/// What leads on from a node's objects.
struct pq_expand_link {
    struct pq_expand_link *next;
    enum pq_expand_kind kind;
    struct pq_text name;  // of the member, or of the way back
    uint32_t member;      // of the node's type; not for FROM
    const struct pq_declared_field *field;  // that holds the link, or the inline objects
    struct pq_expand_node *below;
    bool shows_id;        // `$id` of the rows behind it is read
    uint32_t at;          // in the node's object, once there is a spec; FROM: of the rows
};

struct pq_expand_node {
    const struct pq_type *type;    // OBJECT, as it is without links
    const struct pq_entry *entry;  // rows of this collection as they are, or NULL
    const struct pq_stage *stage;  // of the source, else NULL
    const struct pq_declared_field *objects;  // these inline objects, or NULL
    bool *reads;                   // of linked rows: which members; else NULL
    uint32_t *positions;           // of those among the fetched columns, once there is a spec
    struct pq_expand_link *links, **links_end;
};

struct pq_expand_tree {
    const struct pq_schema *schema;
    const uint32_t *table_ids;
    struct pq_arena *arena;
    struct pq_expand_node source;
    const struct pq_entry *root;      // whose list of names the rows that come out have
    const struct pq_entry *external;  // a link leads to this external table
    bool is_broken;                   // a linked entry has mistakes of its own
};

/// Where a path ends.
struct pq_expand_end {
    struct pq_expand_link *links[PQ_EXPAND_LINKS_MAX];  // that it follows
    size_t link_count;
    struct pq_expand_node *node;            // behind the last of them
    const struct pq_declared_field *field;  // it ends at, or NULL
    struct pq_text missing;                 // the first name that nobody declared, or empty
    const char *missing_in;                 // what does not have it
    size_t lists;                           // on the way
    struct pq_text list;                    // the path of the first of them
    bool crosses;                           // a relation is among the links
};

/// `source` and what it points to outlive the tree.
void pq_expand_tree_init(struct pq_expand_tree *tree, const struct pq_stage *source,
                         struct pq_arena *arena);

/// Follow a path from the source's rows, adding links and what is read. With `inside` the rows, or
/// the inline objects, that it ends at are entered too.
pqdb_code pq_expand_tree_add(struct pq_expand_tree *tree, struct pq_text path, bool inside,
                             struct pq_expand_end *end, pqdb_error *err);

/// A column that `$expand` makes: member `member` behind the last of the links.
struct pq_expand_column {
    struct pq_text name, path;
    const struct pq_expand_end *end;
    uint32_t member;
    const struct pq_declared_field *declared;
    struct pq_along along;
    bool leads_on;  // a path goes on behind it
};

/// The operator's spec, and the stage of its rows: the source's columns, the given ones, hidden
/// ones for paths that go on behind links of either.
pqdb_code pq_expand_tree_spec(struct pq_expand_tree *tree, const struct pq_expand_column *columns,
                              size_t column_count, struct pq_expand_spec *spec,
                              struct pq_stage *stage, pqdb_error *err);

#endif
