#include "support/cases.h"

#include <stdbool.h>
#include <string.h>

#include "support/test.h"

static char *read_text(const char *file) {
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/cases/%s", PQ_PROJECT_DIR, file);
    FILE *stream = fopen(path, "rb");
    if (stream == NULL) return NULL;
    fseek(stream, 0, SEEK_END);
    const size_t size = (size_t)ftell(stream);
    rewind(stream);
    char *text = malloc(size + 1);
    const bool complete = text != NULL && fread(text, 1, size, stream) == size;
    fclose(stream);
    if (!complete) {
        free(text);
        return NULL;
    }
    text[size] = '\0';
    return text;
}

static char *next_line(char **cursor) {
    char *line = *cursor;
    if (*line == '\0') return NULL;
    char *end = strchr(line, '\n');
    if (end != NULL) *end = '\0';
    *cursor = end == NULL ? line + strlen(line) : end + 1;
    return line;
}

/// Parts are rebuilt in place: a part never outgrows the lines it came from.
static void append_line(char **part_end, const char *line) {
    if (line[0] == '\\') line++;
    const size_t length = strlen(line);
    memmove(*part_end, line, length);
    (*part_end)[length] = '\n';
    *part_end += length + 1;
}

/// An empty part has no byte of its own to end it: the next part begins where it does.
static void end_part(struct test_case *test, char *end) {
    if (test->part_count == 0) return;
    const char **part = &test->parts[test->part_count - 1];
    while (end > *part && end[-1] == '\n') end--;
    *end = '\0';
    if (**part == '\0') *part = "";
}

static bool finish_case(struct test_case *test, void (*check)(const struct test_case *test)) {
    if (test->name == NULL) return true;
    if (test->part_count < 2) {
        CHECK(false, "%s:%d: '%s' has no \"--\" line", test->file, test->line, test->name);
        return false;
    }
    test->input = test->parts[0];
    test->expected = test->parts[test->part_count - 1];
    check(test);
    return true;
}

static size_t run_blocks(const char *file, char *text,
                         void (*check)(const struct test_case *test)) {
    struct test_case test = {.file = file};
    size_t count = 0;
    int line_number = 0;
    char *cursor = text, *part_end = NULL;
    for (char *line; (line = next_line(&cursor)) != NULL;) {
        line_number++;
        if (line[0] == '#') continue;
        const bool begins = strncmp(line, "== ", 3) == 0;
        const bool divides = strcmp(line, "--") == 0;
        if (test.name == NULL && !begins) {
            CHECK(line[0] == '\0', "%s:%d: text before the first \"== \"", file,
                  line_number);
            continue;
        }
        if (!begins && !divides) {
            append_line(&part_end, line);
            continue;
        }
        end_part(&test, part_end);
        if (begins) {
            if (!finish_case(&test, check)) return count;
            test = (struct test_case){.file = file, .line = line_number, .name = line + 3};
            count++;
        }
        if (test.part_count == CASE_PARTS_MAX) {
            CHECK(false, "%s:%d: more than %d parts", file, line_number, CASE_PARTS_MAX);
            return count;
        }
        // A name needs its own bytes, a "--" line does not.
        part_end = begins ? cursor : line;
        test.parts[test.part_count++] = part_end;
    }
    end_part(&test, part_end);
    finish_case(&test, check);
    return count;
}

size_t cases_run(const char *file, void (*check)(const struct test_case *test)) {
    char *text = read_text(file);
    if (text == NULL) {
        CHECK(false, "tests/cases/%s cannot be read", file);
        return 0;
    }
    const size_t count = run_blocks(file, text, check);
    CHECK(count > 0, "%s has no case", file);
    free(text);
    return count;
}

void case_expect(const struct test_case *test, const char *got) {
    size_t length = strlen(got);
    while (length > 0 && got[length - 1] == '\n') length--;
    CHECK(strlen(test->expected) == length && memcmp(test->expected, got, length) == 0,
          "%s:%d: %s\n--- input\n%s\n--- want\n%s\n--- got\n%s", test->file, test->line, test->name,
          test->input, test->expected, got);
}
