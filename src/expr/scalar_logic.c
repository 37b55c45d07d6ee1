/// Comparisons, truth and choices, one value at a time.
#include "expr/compare.h"
#include "expr/nested.h"
#include "expr/scalar_internal.h"

static pqdb_code relate(const struct pq_value *args, struct pq_value *out, int sign,
                        bool or_equal) {
    int order;
    if (!pq_value_relate(&args[0], &args[1], &order)) return pq_give_bool(out, false);
    return pq_give_bool(out, order * sign > 0 || (or_equal && order == 0));
}

SCALAR(eq) { return pq_give_bool(out, pq_value_match(&args[0], &args[1])); }
SCALAR(ne) { return pq_give_bool(out, !pq_value_match(&args[0], &args[1])); }
SCALAR(gt) { return relate(args, out, 1, false); }
SCALAR(gte) { return relate(args, out, 1, true); }
SCALAR(lt) { return relate(args, out, -1, false); }
SCALAR(lte) { return relate(args, out, -1, true); }

SCALAR(in) {
    const size_t count = pq_value_is_list(&args[1]) ? pq_nested_count(&args[1]) : 0;
    for (size_t k = 0; k < count; k++) {
        const struct pq_value element = pq_nested_at(&args[1], k, NULL);
        if (pq_value_match(&args[0], &element)) return pq_give_bool(out, true);
    }
    return pq_give_bool(out, false);
}

SCALAR(in_set) {
    const struct pq_test *test = node->extra;
    return pq_give_bool(out, pq_set_has(test->set, &args[0]));
}

SCALAR(all) {
    const struct pq_set *set = node->extra;
    if (!pq_value_is_list(&args[0])) return pq_give_bool(out, false);
    const size_t count = pq_nested_count(&args[0]);
    for (size_t i = 0; i < set->count; i++) {
        bool found = false;
        for (size_t k = 0; k < count && !found; k++) {
            const struct pq_value element = pq_nested_at(&args[0], k, NULL);
            found = pq_value_match(&element, pq_literal_beside(&set->items[i], element.kind));
        }
        if (!found) return pq_give_bool(out, false);
    }
    return pq_give_bool(out, true);
}

SCALAR(exists) { return pq_give_bool(out, args[0].kind != PQ_NULL); }

SCALAR(type) {
    const struct pq_kind_set *set = node->extra;
    enum pq_kind kind = args[0].kind;
    if (kind == PQ_VARIANT) kind = pq_value_is_list(&args[0]) ? PQ_LIST : PQ_OBJECT;
    return pq_give_bool(out, (set->kinds >> kind & 1) != 0);
}

SCALAR(and) {
    for (size_t k = 0; k < node->arg_count; k++) {
        if (!pq_value_is_true(&args[k])) return pq_give_bool(out, false);
    }
    return pq_give_bool(out, true);
}
SCALAR(or) {
    for (size_t k = 0; k < node->arg_count; k++) {
        if (pq_value_is_true(&args[k])) return pq_give_bool(out, true);
    }
    return pq_give_bool(out, false);
}
SCALAR(not) { return pq_give_bool(out, !pq_value_is_true(&args[0])); }

static pqdb_code test_text(const struct pq_node *node, const struct pq_value *args,
                           struct pq_value *out) {
    return pq_give_bool(out, args[0].kind == PQ_TEXT && pq_test_text(node->extra, args[0].as.text));
}
SCALAR(starts_with) { return test_text(node, args, out); }
SCALAR(ends_with) { return test_text(node, args, out); }
SCALAR(contains) { return test_text(node, args, out); }

SCALAR(regex_match) {
    const struct pq_test *test = node->extra;
    struct pq_vector *own = &run->slots[node->slot];
    bool matches = false;
    pqdb_code code = PQDB_OK;
    if (args[0].kind != PQ_TEXT) return pq_give_bool(out, false);
    struct pq_regex_match *match = own->scratch;
    if (match == NULL) code = pq_regex_match_create(test->regex, run->arena, &match, err);
    if (code == PQDB_OK) code = pq_regex_matches(match, args[0].as.text, &matches, err);
    own->scratch = match;
    return code == PQDB_OK ? pq_give_bool(out, matches) : code;
}

SCALAR(cond) {
    *out = pq_value_is_true(&args[0]) ? args[1] : args[2];
    return PQDB_OK;
}

SCALAR(switch) {
    size_t k = 0;
    while (k + 1 < node->arg_count && !pq_value_is_true(&args[k])) k += 2;
    *out = k + 1 < node->arg_count ? args[k + 1] : args[node->arg_count - 1];
    return PQDB_OK;
}

SCALAR(if_null) {
    size_t k = 0;
    while (k + 1 < node->arg_count && args[k].kind == PQ_NULL) k++;
    *out = args[k];
    return PQDB_OK;
}

static pqdb_code extreme(const struct pq_node *node, const struct pq_value *args,
                         struct pq_value *out, int sign) {
    for (size_t k = 0; k < node->arg_count; k++) {
        if (args[k].kind == PQ_NULL) continue;
        if (out->kind == PQ_NULL || pq_value_compare(&args[k], out) * sign > 0) *out = args[k];
    }
    return PQDB_OK;
}
SCALAR(min) { return extreme(node, args, out, -1); }
SCALAR(max) { return extreme(node, args, out, 1); }
SCALAR(same) {
    *out = args[0];
    return PQDB_OK;
}
