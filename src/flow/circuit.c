/// flow/circuit.c: see circuit.h.
#include "flow/circuit.h"

#include <inttypes.h>

#include "base/check.h"
#include "base/fail.h"

struct member {
    struct pq_node *node;  // owned
    uint32_t table, source;
    size_t upstream;  // its source's member, or NO_MEMBER
    bool attached;
    pqdb_error failure;  // why not
    struct pq_circuit_cost cost;
    bool keeps;  // does not see rows of its source go in a step that only forgets
    struct pq_circuit_keeper keeper;
};
#define NO_MEMBER SIZE_MAX

struct pq_circuit {
    const struct pq_alloc *alloc;
    struct member *members;  // owned, topological
    size_t count, capacity;
    uint64_t (*now_ns)(void *ctx);  // or NULL
    void *clock;
    bool forgets;
};

pqdb_code pq_circuit_create(const struct pq_alloc *alloc, struct pq_circuit **circuit,
                            pqdb_error *err) {
    struct pq_circuit *made = pq_resize(alloc, NULL, 0, 1, sizeof *made);
    if (made == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a circuit");
    *made = (struct pq_circuit){.alloc = alloc};
    *circuit = made;
    return PQDB_OK;
}

void pq_circuit_destroy(struct pq_circuit *circuit) {
    if (circuit == NULL) return;
    for (size_t i = 0; i < circuit->count; i++) pq_node_destroy(circuit->members[i].node);
    pq_free(circuit->alloc, circuit->members, circuit->capacity, sizeof *circuit->members);
    pq_free(circuit->alloc, circuit, 1, sizeof *circuit);
}

static size_t find(const struct pq_circuit *circuit, uint32_t table) {
    for (size_t i = 0; i < circuit->count; i++) {
        if (circuit->members[i].table == table) return i;
    }
    return NO_MEMBER;
}

static struct member *get(const struct pq_circuit *circuit, uint32_t table) {
    const size_t i = find(circuit, table);
    pq_assert(i != NO_MEMBER);
    return &circuit->members[i];
}

pqdb_code pq_circuit_add(struct pq_circuit *circuit, struct pq_node *node, pqdb_error *err) {
    const struct pq_node_spec *spec = pq_node_spec(node);
    if (find(circuit, spec->table) != NO_MEMBER) {
        return pq_fail(err, PQDB_CONFLICT, "view '%.*s' is in the circuit already",
                       PQ_TEXT_ARG(spec->name));
    }
    if (circuit->count == circuit->capacity) {
        const size_t capacity = circuit->capacity == 0 ? 8 : circuit->capacity * 2;
        void *grown = pq_resize(circuit->alloc, circuit->members, circuit->capacity, capacity,
                                sizeof *circuit->members);
        if (grown == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a circuit of %zu views", capacity);
        circuit->members = grown;
        circuit->capacity = capacity;
    }
    circuit->members[circuit->count++] = (struct member){
        .node = node,
        .table = spec->table,
        .source = spec->source,
        .upstream = find(circuit, spec->source),
        .attached = true,
    };
    return PQDB_OK;
}

struct pq_node *pq_circuit_replace(struct pq_circuit *circuit, struct pq_node *node) {
    struct member *member = get(circuit, pq_node_spec(node)->table);
    struct pq_node *before = member->node;
    member->node = node;
    member->attached = true;
    return before;
}

struct pq_node *pq_circuit_take(struct pq_circuit *circuit, uint32_t table) {
    const size_t gone = find(circuit, table);
    pq_assert(gone != NO_MEMBER);
    struct pq_node *node = circuit->members[gone].node;
    circuit->count--;
    memmove(circuit->members + gone, circuit->members + gone + 1,
            (circuit->count - gone) * sizeof *circuit->members);
    for (size_t i = 0; i < circuit->count; i++) {
        struct member *member = &circuit->members[i];
        pq_assert(member->upstream != gone);
        if (member->upstream != NO_MEMBER && member->upstream > gone) member->upstream--;
    }
    return node;
}

void pq_circuit_remove(struct pq_circuit *circuit, uint32_t table) {
    if (find(circuit, table) == NO_MEMBER) return;
    pq_node_destroy(pq_circuit_take(circuit, table));
}

size_t pq_circuit_count(const struct pq_circuit *circuit) { return circuit->count; }

void pq_circuit_use_clock(struct pq_circuit *circuit, uint64_t (*now_ns)(void *ctx), void *ctx) {
    circuit->now_ns = now_ns;
    circuit->clock = ctx;
}

const struct pq_circuit_cost *pq_circuit_cost(const struct pq_circuit *circuit, uint32_t table) {
    const size_t i = find(circuit, table);
    return i == NO_MEMBER ? NULL : &circuit->members[i].cost;
}

static uint64_t read_clock(const struct pq_circuit *circuit) {
    return circuit->now_ns == NULL ? 0 : circuit->now_ns(circuit->clock);
}

static void add_cost(struct pq_circuit_cost *cost, size_t rows_in, size_t rows_out, uint64_t ns) {
    const double part = cost->steps < 16 ? 1.0 / (double)(cost->steps + 1) : 1.0 / 16;
    cost->steps++;
    cost->rows_in += ((double)rows_in - cost->rows_in) * part;
    cost->rows_out += ((double)rows_out - cost->rows_out) * part;
    cost->ns += ((double)ns - cost->ns) * part;
}

struct pq_node *pq_circuit_find(const struct pq_circuit *circuit, uint32_t table) {
    const size_t i = find(circuit, table);
    return i == NO_MEMBER ? NULL : circuit->members[i].node;
}

const pqdb_error *pq_circuit_failure(const struct pq_circuit *circuit, uint32_t table) {
    const struct member *member = get(circuit, table);
    return member->attached ? NULL : &member->failure;
}

void pq_circuit_attach(struct pq_circuit *circuit, uint32_t table) {
    get(circuit, table)->attached = true;
}

void pq_circuit_detach(struct pq_circuit *circuit, uint32_t table, const pqdb_error *reason) {
    struct member *member = get(circuit, table);
    member->attached = false;
    member->failure = *reason;
}

static void fail_member(struct member *member, pqdb_error *error) {
    const struct pq_text name = pq_node_spec(member->node)->name;
    if (error->subject[0] == '\0') {
        snprintf(error->subject, sizeof error->subject, "%.*s", PQ_TEXT_ARG(name));
    }
    member->attached = false;
    member->failure = *error;
}

/// A view that reads a failed one would miss a delta: it fails with it.
static void fail_with_upstream(struct member *member, const struct member *upstream) {
    pqdb_error error;
    pq_fail(&error, upstream->failure.code, "view '%.*s', which it reads, failed: %.160s",
            PQ_TEXT_ARG(pq_node_spec(upstream->node)->name), upstream->failure.message);
    fail_member(member, &error);
}

static const struct pq_batch *input_of(const struct member *member, const struct pq_delta *inputs,
                                       size_t input_count) {
    for (size_t i = 0; i < input_count; i++) {
        if (inputs[i].table == member->source) return inputs[i].rows;
    }
    return NULL;
}

struct step_input {
    const struct pq_batch *delta;  // of the member's source, or NULL
    const struct pq_delta *inputs;
    size_t input_count;
};

/// The member's own delta, behind the inputs that it reads through links. `*rows_in` is how many
/// rows that are; 0: there was nothing to do.
static pqdb_code step_member(const struct member *member, const struct step_input *input,
                             struct pq_arena *arena, struct pq_batch *out, size_t *rows_in,
                             pqdb_error *err) {
    const struct pq_batch *delta = input->delta;
    *rows_in = delta == NULL ? 0 : delta->count;
    if (pq_node_spec(member->node)->expand == NULL) {
        if (*rows_in == 0) return PQDB_OK;
        return pq_node_step(member->node, delta, arena, out, err);
    }
    const size_t room = input->input_count + 1;
    struct pq_delta *deltas = pq_arena_alloc(arena, room * sizeof *deltas);
    if (deltas == NULL) return pq_fail(err, PQDB_NO_MEMORY, "a step of %zu tables", room);
    size_t count = 0;
    for (size_t i = 0; i < input->input_count; i++) {
        const uint32_t table = input->inputs[i].table;
        if (table != member->source && pq_node_reads(member->node, table)) {
            deltas[count++] = input->inputs[i];
            *rows_in += input->inputs[i].rows->count;
        }
    }
    if (delta != NULL) deltas[count++] = (struct pq_delta){member->source, delta};
    return count == 0 ? PQDB_OK
                      : pq_node_step_all(member->node, deltas, count, arena, out, err);
}

void pq_circuit_keep(struct pq_circuit *circuit, uint32_t table,
                     const struct pq_circuit_keeper *keeper) {
    struct member *member = get(circuit, table);
    member->keeps = true;
    member->keeper = *keeper;
}

static pqdb_code complete(const struct member *member, struct pq_batch *rows,
                          struct pq_arena *arena, pqdb_error *err) {
    if (member->keeper.complete == NULL || rows->count == 0) return PQDB_OK;
    return member->keeper.complete(member->keeper.ctx, rows, arena, err);
}

void pq_circuit_forget(struct pq_circuit *circuit, bool forgets) { circuit->forgets = forgets; }

void pq_circuit_step(struct pq_circuit *circuit, const struct pq_delta *inputs, size_t input_count,
                     struct pq_arena *step_arena, struct pq_output *outputs) {
    for (size_t i = 0; i < circuit->count; i++) {
        struct member *member = &circuit->members[i];
        struct pq_output *output = &outputs[i];
        *output = (struct pq_output){.table = member->table};
        if (!member->attached) continue;
        const struct pq_batch *delta = input_of(member, inputs, input_count);
        if (delta == NULL && member->upstream != NO_MEMBER) {
            const struct pq_output *upstream = &outputs[member->upstream];
            if (upstream->failed) {
                fail_with_upstream(member, &circuit->members[member->upstream]);
                output->failed = true;
                continue;
            }
            if (upstream->rows.count > 0) delta = &upstream->rows;
        }
        output->attached = true;
        if (circuit->forgets && member->keeps && delta != NULL) continue;
        pqdb_error error;
        const struct step_input input = {delta, inputs, input_count};
        const uint64_t began = read_clock(circuit);
        size_t rows_in;
        pqdb_code code =
            step_member(member, &input, step_arena, &output->rows, &rows_in, &error);
        if (code == PQDB_OK) code = complete(member, &output->rows, step_arena, &error);
        if (code != PQDB_OK) {
            fail_member(member, &error);
            *output = (struct pq_output){.table = member->table, .failed = true};
        } else if (rows_in > 0) {
            add_cost(&member->cost, rows_in, output->rows.count, read_clock(circuit) - began);
        }
    }
}
