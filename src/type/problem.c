#include "type/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/fail.h"

enum { message_bytes_max = 512 };

void pq_problems_init(struct pq_problems *problems, struct pq_arena *arena) {
    *problems = (struct pq_problems){.arena = arena};
}

/// The list grows by doubling inside the arena; NULL when it is full or memory is out.
static struct pq_problem *add_item(struct pq_problems *problems) {
    if (problems->count == PQ_PROBLEMS_MAX) return NULL;
    const size_t count = problems->count;
    if (count == 0 || (count >= 4 && (count & (count - 1)) == 0)) {
        const size_t capacity = count == 0 ? 4 : count * 2;
        struct pq_problem *items =
            pq_arena_alloc(problems->arena, capacity * sizeof *problems->items);
        if (items == NULL) return NULL;
        if (count > 0) memcpy(items, problems->items, count * sizeof *items);
        problems->items = items;
    }
    return &problems->items[problems->count];
}

__attribute__((format(printf, 4, 0))) static void add(struct pq_problems *problems,
                                                      struct pq_problem problem,
                                                      const char *remedy, const char *format,
                                                      va_list args) {
    problems->errors += !problem.warning;
    problems->warnings += problem.warning;
    struct pq_problem *item = add_item(problems);
    if (item == NULL) return;
    char message[message_bytes_max];
    vsnprintf(message, sizeof message, format, args);
    problem.path = pq_arena_copy(problems->arena, problem.path);
    problem.message = pq_arena_copy(problems->arena, pq_text_of(message));
    problem.remedy = pq_arena_copy(problems->arena, pq_text_of(remedy == NULL ? "" : remedy));
    if (problem.path.data == NULL || problem.message.data == NULL || problem.remedy.data == NULL) {
        return;
    }
    *item = problem;
    problems->count++;
}

void pq_problem_add(struct pq_problems *problems, const char *code, struct pq_problem_at at,
                    const char *remedy, const char *format, ...) {
    const struct pq_problem problem = {
        .code = code, .path = at.path, .line = at.line, .column = at.column};
    va_list args;
    va_start(args, format);
    add(problems, problem, remedy, format, args);
    va_end(args);
}

void pq_problem_warn(struct pq_problems *problems, const char *code, struct pq_problem_at at,
                     const char *remedy, const char *format, ...) {
    const struct pq_problem problem = {
        .code = code, .path = at.path, .line = at.line, .column = at.column, .warning = true};
    va_list args;
    va_start(args, format);
    add(problems, problem, remedy, format, args);
    va_end(args);
}

static bool comes_before(const struct pq_problem *a, const struct pq_problem *b) {
    const size_t line_a = a->line == 0 ? SIZE_MAX : a->line;  // without a place: at the end
    const size_t line_b = b->line == 0 ? SIZE_MAX : b->line;
    return line_a != line_b ? line_a < line_b : a->column < b->column;
}

void pq_problems_sort(struct pq_problems *problems) {
    for (size_t i = 1; i < problems->count; i++) {  // there are PQ_PROBLEMS_MAX at most
        const struct pq_problem moved = problems->items[i];
        size_t at = i;
        for (; at > 0 && comes_before(&moved, &problems->items[at - 1]); at--) {
            problems->items[at] = problems->items[at - 1];
        }
        problems->items[at] = moved;
    }
}

/// "; did you mean $ne?": a remedy as the end of a sentence.
static void remedy_tail(char *room, size_t room_bytes, struct pq_text remedy) {
    room[0] = '\0';
    if (remedy.length == 0) return;
    const bool asks = pq_text_starts_with(remedy, PQ_TEXT("did you mean")) &&
                      remedy.data[remedy.length - 1] != '?';
    snprintf(room, room_bytes, "; %.*s%s", PQ_TEXT_ARG(remedy), asks ? "?" : "");
    const bool is_word = remedy.length > 1 && room[3] >= 'a' && room[3] <= 'z';
    if (is_word && room[2] >= 'A' && room[2] <= 'Z') room[2] = (char)(room[2] - 'A' + 'a');
}

pqdb_code pq_problems_code(const struct pq_problems *problems, pqdb_error *err) {
    if (problems->errors == 0) return PQDB_OK;
    const struct pq_problem *first = NULL;
    for (size_t i = 0; i < problems->count && first == NULL; i++) {
        if (!problems->items[i].warning) first = &problems->items[i];
    }
    if (first == NULL) {
        return pq_fail(err, PQDB_INVALID, "%zu mistakes, without room to describe them",
                       problems->errors);
    }
    char more[48] = "";
    if (problems->errors > 1) {
        snprintf(more, sizeof more, " (and %zu more)", problems->errors - 1);
    }
    char line[32] = "";
    if (first->line > 0) snprintf(line, sizeof line, "line %zu: ", first->line);
    char remedy[128];
    remedy_tail(remedy, sizeof remedy, first->remedy);
    pq_fail(err, PQDB_INVALID, "%s%s: %s%s%s", line, first->code, first->message.data, remedy,
            more);
    if (err != NULL) snprintf(err->subject, sizeof err->subject, "%s", first->path.data);
    return PQDB_INVALID;
}
