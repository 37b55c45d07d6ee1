/// table/data_file_internal.h: what an open data file is made of.
#ifndef PQ_TABLE_DATA_FILE_INTERNAL_H
#define PQ_TABLE_DATA_FILE_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "table/data_file.h"
#include "table/page_cache.h"

struct pq_id_filter;
struct pq_link_file;

#define PQ_NO_FIELD UINT32_MAX

enum { PQ_TOUCHED_PAGES = 64 };

struct pq_data_file {
    struct pq_data_file_options options;
    atomic_uint references;
    uint64_t id;  // unique in the process: names its pages in the cache
    char *path;  // owned, NUL-terminated
    size_t path_bytes;
    pthread_mutex_t lock;             // guards opening, and reading of the filter
    struct pq_file *file;             // open once the reader is
    struct pq_parquet_file *reader;   // set once, under the lock
    uint32_t *fields;                 // owned: the file's member for each table column, or none
    struct pq_text id_low, id_high;   // of the reader; no bounds: high has data NULL
    struct pq_page_cache *own_pages;  // owned; when the options give none
    /// Pages of variants of which few rows were read: what they are found by, at a place that
    /// follows from it. One that is forgotten is decoded in part once more.
    atomic_uint_fast64_t touched[PQ_TOUCHED_PAGES];
    struct pq_id_filter *filter;      // owned; NULL: none
    atomic_bool is_filter_read;
    pthread_mutex_t links_lock;       // guards making and opening of what follows
    struct pq_link_file **links;      // owned, one for each table column; NULL until one is open
};

/// Errors of the reader get the file's name.
pqdb_code pq_data_file_named(const struct pq_data_file *file, pqdb_code code, pqdb_error *err);

#endif
