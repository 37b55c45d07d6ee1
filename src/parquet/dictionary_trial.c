#include "parquet/dictionary_trial.h"

#include "base/fail.h"
#include "parquet/column_page.h"
#include "parquet/encoding/bit_pack.h"

static void add_part(struct pq_page_part *to, const struct pq_page_part *part) {
    to->rows += part->rows;
    to->levels += part->levels;
    to->values += part->values;
    to->plain_bytes += part->plain_bytes;
}

/// Write the pages that wait; the page being filled moves to the front of the buffers.
static pqdb_code write_waiting(struct pq_column_writer *column, pqdb_error *err) {
    struct pq_dictionary_trial *trial = &column->trial;
    const struct pq_page_part filling = column->page;
    column->start = (struct pq_page_part){0};
    for (size_t i = 0; i < trial->waiting_count; i++) {
        column->page = trial->waiting[i];
        PQ_TRY(pq_column_page_write(column, err));
        add_part(&column->start, &column->page);
    }
    trial->waiting_count = 0;
    trial->is_on = false;
    const struct pq_page_part done = column->start;
    const struct {
        struct pq_bytes *bytes;
        size_t done;
    } buffers[] = {{&column->page_def, done.levels},
                   {&column->page_rep, done.levels},
                   {&column->page_codes, done.values * sizeof(uint32_t)},
                   {&column->page_plain, done.plain_bytes}};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) {
        struct pq_bytes *bytes = buffers[i].bytes;
        if (bytes->length == 0) continue;
        bytes->length -= buffers[i].done;
        memmove(bytes->data, bytes->data + buffers[i].done, bytes->length);
    }
    column->start = (struct pq_page_part){0};
    column->page = filling;
    return PQDB_OK;
}

pqdb_code pq_trial_give_up(struct pq_column_writer *column, pqdb_error *err) {
    const uint32_t *codes = (const uint32_t *)(const void *)column->page_codes.data;
    const size_t count = column->page_codes.length / sizeof *codes;
    PQ_TRY(pq_bytes_reserve(&column->page_plain, column->start.plain_bytes +
                            column->page.plain_bytes, err));
    PQ_TRY(pq_column_dictionary_values(&column->dictionary, codes, count, &column->page_plain,
                                       err));
    column->page_codes.length = 0;
    column->is_coded = false;
    column->skip_dictionary = true;
    pq_column_dictionary_reset(&column->dictionary);
    return write_waiting(column, err);
}

static pqdb_code wait(struct pq_column_writer *column, pqdb_error *err) {
    struct pq_dictionary_trial *trial = &column->trial;
    if (trial->waiting_count == trial->waiting_capacity) {
        const size_t room = trial->waiting_capacity == 0 ? 16 : trial->waiting_capacity * 2;
        void *grown = pq_resize(column->arena->source, trial->waiting, trial->waiting_capacity,
                                room, sizeof *trial->waiting);
        if (grown == NULL) return pq_parquet_no_memory(err, "pages");
        trial->waiting = grown;
        trial->waiting_capacity = room;
    }
    trial->waiting[trial->waiting_count++] = column->page;
    add_part(&column->start, &column->page);
    column->page = (struct pq_page_part){0};
    return PQDB_OK;
}

static size_t code_bytes(const struct pq_column_writer *column, size_t count) {
    return count * pq_bits_needed(column->dictionary.count) / 8;
}

/// The values of the first page, as they would be written without dictionary: `*raw` is a view.
static pqdb_code encode_first_page(struct pq_column_writer *column, struct pq_text *raw,
                                   pqdb_error *err) {
    struct pq_bytes *plain = &column->page_plain;  // empty as long as values are coded
    PQ_TRY(pq_column_dictionary_values(&column->dictionary, pq_column_page_codes(column),
                                       column->page.values, plain, err));
    *raw = pq_bytes_text(plain);
    plain->length = 0;
    if (column->options->profile != PQ_PROFILE_COMPACT) return PQDB_OK;
    int32_t encoding;
    column->raw.length = 0;
    PQ_TRY(pq_column_append_compact(column, plain->data, column->page.values, &column->raw,
                                    &encoding, err));
    *raw = pq_bytes_text(&column->raw);
    return PQDB_OK;
}

enum verdict { VERDICT_OPEN, VERDICT_KEEP, VERDICT_GIVE_UP };

/// Few repeated values among many: the dictionary of all rows has about as many entries as a draw
/// of the page's values with replacement would need to repeat as often.
static bool may_pay_later(const struct pq_column_writer *column) {
    const struct pq_column_dictionary *dictionary = &column->dictionary;
    const size_t count = column->page.values, repeated = count - dictionary->count;
    if (repeated == 0) return false;
    const double entries = (double)count * (double)count / (2.0 * (double)repeated);
    const double entry_bytes = (double)dictionary->plain.length / dictionary->count;
    return entries * entry_bytes <= 2.0 * column->options->dictionary_bytes;
}

/// The dictionary serves many pages, and codes compress better than deltas: these must be clearly
/// shorter.
static pqdb_code judge_first_page(struct pq_column_writer *column, enum verdict *verdict,
                                  pqdb_error *err) {
    struct pq_dictionary_trial *trial = &column->trial;
    const struct pq_column_dictionary *dictionary = &column->dictionary;
    const size_t codes = code_bytes(column, column->page.values);
    const enum pq_physical physical = column->leaf->physical;
    const bool may_be_deltas =
        column->options->profile == PQ_PROFILE_COMPACT &&
        (physical == PQ_PHYSICAL_INT32 || physical == PQ_PHYSICAL_INT64);
    const bool is_shorter = dictionary->plain.length + codes < column->page.plain_bytes;
    *verdict = is_shorter ? VERDICT_KEEP : VERDICT_GIVE_UP;
    if (is_shorter ? !may_be_deltas : !may_pay_later(column)) return PQDB_OK;
    struct pq_text values;
    PQ_TRY(encode_first_page(column, &values, err));
    if (is_shorter) {
        if (values.length <= codes / 4 * 3) *verdict = VERDICT_GIVE_UP;
        return PQDB_OK;
    }
    *verdict = VERDICT_OPEN;
    size_t value_bytes, entry_bytes;
    PQ_TRY(pq_column_stored_bytes(column, values, &value_bytes, err));
    PQ_TRY(pq_column_stored_bytes(column, pq_bytes_text(&dictionary->plain), &entry_bytes, err));
    trial->value_share = (double)value_bytes / (double)column->page.plain_bytes;
    trial->entry_share = (double)entry_bytes / (double)dictionary->plain.length;
    return PQDB_OK;
}

/// `start` counts what waits.
static bool pays(const struct pq_column_writer *column) {
    const struct pq_dictionary_trial *trial = &column->trial;
    const double entries = trial->entry_share * (double)column->dictionary.plain.length;
    const double codes = (double)code_bytes(column, column->start.values);
    return entries + codes <= trial->value_share * (double)column->start.plain_bytes;
}

pqdb_code pq_trial_end_page(struct pq_column_writer *column, pqdb_error *err) {
    struct pq_dictionary_trial *trial = &column->trial;
    enum verdict verdict = VERDICT_OPEN;
    if (trial->waiting_count > 0) {
        PQ_TRY(wait(column, err));
        if (pays(column)) verdict = VERDICT_KEEP;
    } else if (column->page.values == 0) {
        PQ_TRY(pq_column_page_write(column, err));  // only nulls: they say nothing of values
        pq_column_clear_pages(column);
    } else {
        PQ_TRY(judge_first_page(column, &verdict, err));
        PQ_TRY(wait(column, err));
    }
    if (verdict == VERDICT_OPEN) return PQDB_OK;
    return verdict == VERDICT_KEEP ? write_waiting(column, err) : pq_trial_give_up(column, err);
}

pqdb_code pq_trial_end_chunk(struct pq_column_writer *column, pqdb_error *err) {
    if (!column->trial.is_on || column->trial.waiting_count == 0) return PQDB_OK;
    return pays(column) ? write_waiting(column, err) : pq_trial_give_up(column, err);
}
