#include "ingest/split_internal.h"

#include "base/fail.h"
#include "ingest/rows.h"

void pq_splitter_init(struct pq_splitter *splitter, const struct pq_alloc *alloc) {
    *splitter = (struct pq_splitter){0};
    pq_bytes_init(&splitter->rest, alloc);
    pq_splitter_reset(splitter);
}

void pq_splitter_deinit(struct pq_splitter *splitter) { pq_bytes_deinit(&splitter->rest); }

void pq_splitter_reset(struct pq_splitter *splitter) {
    const struct pq_bytes rest = splitter->rest;
    *splitter = (struct pq_splitter){.rest = rest, .line = 1, .may_span_lines = true};
    splitter->rest.length = 0;
}

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

/// Skip white space, counting lines; a byte order mark, too, at the very start.
static void skip_space(struct pq_splitter *splitter, struct pq_text *input) {
    static const char mark[] = "\xEF\xBB\xBF";
    while (splitter->bom_bytes < 3 && input->length > 0) {
        if (*input->data != mark[splitter->bom_bytes]) {
            splitter->bom_bytes = 3;
            break;
        }
        splitter->bom_bytes++;
        input->data++;
        input->length--;
    }
    while (input->length > 0 && is_space(*input->data)) {
        splitter->line += *input->data == '\n';
        input->data++;
        input->length--;
    }
}

static struct pq_text take(struct pq_text *input, size_t length) {
    const struct pq_text taken = {input->data, length};
    input->data += length;
    input->length -= length;
    return taken;
}

/// Keep a piece of an item that goes on, or only its beginning when it grows too long.
static pqdb_code keep(struct pq_splitter *splitter, struct pq_text piece, pqdb_error *err) {
    if (splitter->is_too_long) return PQDB_OK;
    if (piece.length > PQ_ITEM_BYTES_MAX - splitter->rest.length) {
        splitter->is_too_long = true;
        if (splitter->rest.length >= PQ_REFUSAL_TEXT_MAX) {
            splitter->rest.length = PQ_REFUSAL_TEXT_MAX;
            return PQDB_OK;
        }
        piece.length = PQ_REFUSAL_TEXT_MAX - splitter->rest.length;
    }
    return pq_bytes_append_text(&splitter->rest, piece, err);
}

/// The item that ends with `piece`; without copying when it began there.
static pqdb_code finish(struct pq_splitter *splitter, struct pq_text piece, struct pq_item *item,
                        pqdb_error *err) {
    if (splitter->rest.length > 0 || piece.length > PQ_ITEM_BYTES_MAX) {
        PQ_TRY(keep(splitter, piece, err));
        piece = pq_bytes_text(&splitter->rest);
    }
    *item = (struct pq_item){
        .text = piece, .line = splitter->item_line, .is_too_long = splitter->is_too_long};
    if (item->is_too_long) item->fault = "is longer than 64 MiB";
    splitter->is_too_long = false;
    splitter->rest.length = 0;  // the bytes stay until the next call
    return PQDB_OK;
}

// ---- brackets ---------------------------------------------------------------------------------

static void begin_brackets(struct pq_splitter *splitter) {
    splitter->depth = 0;
    splitter->in_text = splitter->is_escaped = false;
}

/// How many bytes from `at` on are plain text: no quote, backslash or control character.
static size_t plain_length(const char *at, size_t left) {
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    size_t length = 0;
    for (; left - length >= 8; length += 8) {
        const uint64_t word = pq_load_u64(at + length);
        const uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');
        const uint64_t low = (word - ones * 0x20) & ~word;
        if (((low | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) & tops) != 0) break;
    }
    while (length < left && at[length] != '"' && at[length] != '\\' &&
           (uint8_t)at[length] >= 0x20) {
        length++;
    }
    return length;
}

enum stop {
    STOP_NONE,     // the text is over
    STOP_END,      // of the value: behind its last bracket, or before ',' or ']' of the list
    STOP_NEWLINE,  // in a text, where JSON has none: behind it
};

/// One character outside of texts. Does the value end there?
static bool take_bracket(struct pq_splitter *splitter, char c) {
    const bool in_list = splitter->mode == PQ_SPLIT_ELEMENT;
    if (in_list && splitter->depth == 0 && (c == ',' || c == ']')) return true;
    if (c == '"') splitter->in_text = true;
    if (c == '{' || c == '[') splitter->depth++;
    if (c == '\n') splitter->line++;
    if ((c != '}' && c != ']') || splitter->depth == 0) return false;
    splitter->depth--;
    return !in_list && splitter->depth == 0;
}

/// Walk over `text`; `*end` is where it stopped.
static enum stop scan(struct pq_splitter *splitter, struct pq_text text, size_t *end) {
    size_t i = 0;
    *end = text.length;
    while (i < text.length) {
        if (!splitter->in_text) {
            if (!take_bracket(splitter, text.data[i++])) continue;
            *end = splitter->mode == PQ_SPLIT_ELEMENT ? i - 1 : i;
            return STOP_END;
        }
        if (!splitter->is_escaped) i += plain_length(text.data + i, text.length - i);
        if (i == text.length) break;
        const char c = text.data[i++];
        if (c == '\n') {
            splitter->line++;
            *end = i;
            return STOP_NEWLINE;
        }
        if (c == '"' && !splitter->is_escaped) splitter->in_text = false;
        splitter->is_escaped = c == '\\' && !splitter->is_escaped;
    }
    return STOP_NONE;
}

// ---- modes ------------------------------------------------------------------------------------

static bool ends_open(struct pq_text line) {
    while (line.length > 0 && is_space(line.data[line.length - 1])) line.length--;
    if (line.length == 0) return false;
    const char last = line.data[line.length - 1];
    return last == '{' || last == '[' || last == ',' || last == ':';
}

/// An item that ends with its line, unless the line shows that it is the first of several.
static pqdb_code next_line(struct pq_splitter *splitter, struct pq_text *input,
                           struct pq_item *item, bool *found, pqdb_error *err) {
    const char *newline = memchr(input->data, '\n', input->length);
    if (newline == NULL) return keep(splitter, take(input, input->length), err);
    const struct pq_text piece = take(input, (size_t)(newline - input->data));
    take(input, 1);
    splitter->mode = PQ_SPLIT_BETWEEN;
    splitter->line++;
    PQ_TRY(finish(splitter, piece, item, err));
    *found = true;
    if (!splitter->may_span_lines) return PQDB_OK;
    splitter->may_span_lines = false;
    if (item->fault != NULL || !ends_open(item->text)) return PQDB_OK;
    *found = false;
    splitter->mode = PQ_SPLIT_VALUE;
    begin_brackets(splitter);
    size_t end;
    if (item->text.data == (const char *)splitter->rest.data) {
        splitter->rest.length = item->text.length;  // it is still there
    } else {
        PQ_TRY(pq_bytes_append_text(&splitter->rest, item->text, err));
    }
    const struct pq_text line = pq_bytes_text(&splitter->rest);
    if (scan(splitter, line, &end) != STOP_NONE || splitter->in_text || splitter->depth == 0) {
        splitter->mode = PQ_SPLIT_BETWEEN;  // brackets that do not match: a broken line
        splitter->rest.length = 0;
        *found = true;
        return PQDB_OK;
    }
    return pq_bytes_append_byte(&splitter->rest, '\n', err);
}

/// An item between brackets.
static pqdb_code next_value(struct pq_splitter *splitter, struct pq_text *input,
                            struct pq_item *item, bool *found, pqdb_error *err) {
    size_t end;
    const enum stop stop = scan(splitter, *input, &end);
    const struct pq_text piece = take(input, end);
    if (stop == STOP_NONE) return keep(splitter, piece, err);
    PQ_TRY(finish(splitter, piece, item, err));
    *found = true;
    if (stop == STOP_NEWLINE) {
        if (item->fault == NULL) item->fault = "has a text that does not end on its line";
        splitter->mode = PQ_SPLIT_BETWEEN;
        splitter->may_span_lines = false;
    } else if (splitter->mode == PQ_SPLIT_VALUE) {
        splitter->mode = PQ_SPLIT_BETWEEN;
        splitter->may_span_lines = true;
    } else {
        const bool is_last = *take(input, 1).data == ']';
        splitter->mode = is_last ? PQ_SPLIT_BETWEEN : PQ_SPLIT_LIST_NEXT;
    }
    return PQDB_OK;
}

static void begin_item(struct pq_splitter *splitter, struct pq_text *input) {
    const char c = *input->data;
    splitter->item_line = splitter->line;
    begin_brackets(splitter);
    if (splitter->mode == PQ_SPLIT_BETWEEN) {
        splitter->mode = c == '[' ? PQ_SPLIT_LIST_START : PQ_SPLIT_LINE;
        if (c == '[') take(input, 1);
    } else if (splitter->mode == PQ_SPLIT_LIST_START && c == ']') {
        take(input, 1);
        splitter->mode = PQ_SPLIT_BETWEEN;
    } else {
        splitter->mode = PQ_SPLIT_ELEMENT;
    }
}

pqdb_code pq_splitter_next(struct pq_splitter *splitter, struct pq_text *input,
                           struct pq_item *item, bool *found, pqdb_error *err) {
    *found = false;
    while (!*found && input->length > 0) {
        switch (splitter->mode) {
        case PQ_SPLIT_LINE: PQ_TRY(next_line(splitter, input, item, found, err)); break;
        case PQ_SPLIT_VALUE:
        case PQ_SPLIT_ELEMENT: PQ_TRY(next_value(splitter, input, item, found, err)); break;
        default:
            skip_space(splitter, input);
            if (input->length > 0) begin_item(splitter, input);
        }
    }
    return PQDB_OK;
}

bool pq_splitter_end(struct pq_splitter *splitter, struct pq_item *item) {
    const enum pq_split_mode mode = splitter->mode;
    *item = (struct pq_item){.text = pq_bytes_text(&splitter->rest),
                             .line = splitter->item_line,
                             .is_too_long = splitter->is_too_long};
    if (item->is_too_long) item->fault = "is longer than 64 MiB";
    splitter->rest.length = 0;
    splitter->is_too_long = false;
    splitter->mode = PQ_SPLIT_BETWEEN;
    if (mode == PQ_SPLIT_BETWEEN) return false;
    if (mode == PQ_SPLIT_LIST_START || mode == PQ_SPLIT_LIST_NEXT) {
        item->line = splitter->line;
        item->fault = "is missing: the input ends before its list does";
    } else if (mode == PQ_SPLIT_ELEMENT && splitter->depth == 0 && !splitter->in_text) {
        splitter->mode = PQ_SPLIT_LIST_NEXT;  // whole, but its list is not
    }
    return true;
}
