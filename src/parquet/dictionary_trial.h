/// parquet/dictionary_trial.h: does a dictionary pay for this column chunk?
///
/// Values are coded from the start, and the codes of full pages wait. The dictionary is kept once
/// it and the codes are shorter than the values: after the first page raw, later as they would be
/// stored, the shares being measured on that page. It is given up when so few values repeat in the
/// first page that the dictionary would outgrow its bound, when it does, or when the chunk ends
/// before it paid. Then the pages that waited are written at once, the one way or the other.
///
/// What waits is counted as held by the chunk, so that the row group's bound is theirs too.
#ifndef PQ_PARQUET_DICTIONARY_TRIAL_H
#define PQ_PARQUET_DICTIONARY_TRIAL_H

#include "parquet/column_write.h"

/// The page being filled is full. Errors: those of pq_column_page_write.
pqdb_code pq_trial_end_page(struct pq_column_writer *column, pqdb_error *err);
/// Values go on without dictionary; the page being filled stays so.
pqdb_code pq_trial_give_up(struct pq_column_writer *column, pqdb_error *err);
/// No page follows: decide if it is still open.
pqdb_code pq_trial_end_chunk(struct pq_column_writer *column, pqdb_error *err);

/// Of column_write.c: all pages of the buffers are written.
void pq_column_clear_pages(struct pq_column_writer *column);

#endif
