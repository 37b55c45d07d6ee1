/// apps/cli/progress.c: one line on a terminal that is gone when the work is done.
#include <pthread.h>
#include <string.h>

#include "base/wait.h"
#include "cli/progress.h"

enum { bar_width = 16, name_width = 20 };  // the line stays below 80 columns

/// A thread that tells what one call does, while it lasts.
struct cli_watch {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changes;
    bool ended;   // guarded by lock
    bool shown;   // the thread's until it is joined
    FILE *out;
    const char *what, *name;  // borrowed
    pqdb_db *db;
};

static _Thread_local struct cli_progress *current;

void cli_progress_begin(struct cli_progress *progress, const struct cli *cli, const char *what) {
    const char *slash = strrchr(what, '/');
    if (slash != NULL) what = slash + 1;
    *progress = (struct cli_progress){.what = what, .began = cli_seconds()};
    progress->enabled = !cli->quiet && cli->err_terminal;
}

void cli_progress_tell(struct cli_progress *progress, uint64_t rows, uint64_t bytes,
                       uint64_t bytes_all) {
    if (!progress->enabled) return;
    const double now = cli_seconds();
    if (now - progress->began < 1.0 || now - progress->last < 0.1) return;
    progress->last = now;
    progress->shown = true;
    char count[32], rate[32], size[24];
    fprintf(stderr, "\r\033[K%.*s ", name_width, progress->what);
    if (bytes_all > 0) {
        const int done = (int)((double)bytes / (double)bytes_all * bar_width);
        for (int i = 0; i < bar_width; i++) fputs(i < done ? "█" : "░", stderr);
        fprintf(stderr, " %3.0f %%  ", 100.0 * (double)bytes / (double)bytes_all);
    } else {
        fprintf(stderr, "%s  ", cli_bytes(bytes, size));
    }
    fprintf(stderr, "%s rows  %s/s", cli_count(rows, count),
            cli_count((uint64_t)((double)rows / (now - progress->began)), rate));
    fflush(stderr);
}

void cli_progress_say(struct cli_progress *progress, const char *what) {
    if (!progress->enabled) return;
    progress->shown = true;
    fprintf(stderr, "\r\033[K%s %s …", progress->what, what);
    fflush(stderr);
}

static void *tell_when_long(void *ctx) {
    static const uint64_t first_ns = 1000000000, next_ns = 200000000;
    struct cli_watch *watch = ctx;
    uint64_t end_ns = pq_wait_end(first_ns);
    pthread_mutex_lock(&watch->lock);
    while (!watch->ended) {
        if (pq_wait_until(&watch->changes, &watch->lock, end_ns)) continue;
        pqdb_view_state state;
        char part[16] = "";
        const bool is_view = watch->db != NULL &&
                             pqdb_view_state_get(watch->db, watch->name, &state, NULL) == PQDB_OK;
        if (is_view && state.build_percent >= 0) {
            snprintf(part, sizeof part, " %d %%", state.build_percent);
        }
        fprintf(watch->out, "\r\033[K%s %s …%s", watch->what, watch->name, part);
        fflush(watch->out);
        watch->shown = true;
        end_ns = pq_wait_end(next_ns);
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

void cli_progress_watch(struct cli_progress *progress, const char *name, pqdb_db *db) {
    static const struct pq_alloc *const alloc = &pq_alloc_libc;
    if (!progress->enabled || progress->watch != NULL) return;
    struct cli_watch *watch = pq_resize(alloc, NULL, 0, 1, sizeof *watch);
    if (watch == NULL) return;  // then nothing is told
    *watch = (struct cli_watch){.out = stderr, .what = progress->what, .name = name, .db = db};
    pthread_mutex_init(&watch->lock, NULL);
    pq_wait_init(&watch->changes);
    if (pthread_create(&watch->thread, NULL, tell_when_long, watch) == 0) {
        progress->watch = watch;
        current = progress;
    } else {
        pq_free(alloc, watch, 1, sizeof *watch);
    }
}

static void end_watch(struct cli_progress *progress) {
    struct cli_watch *watch = progress->watch;
    if (watch == NULL) return;
    pthread_mutex_lock(&watch->lock);
    watch->ended = true;
    pthread_cond_signal(&watch->changes);
    pthread_mutex_unlock(&watch->lock);
    pthread_join(watch->thread, NULL);
    progress->shown = progress->shown || watch->shown;
    progress->watch = NULL;
    pthread_cond_destroy(&watch->changes);
    pthread_mutex_destroy(&watch->lock);
    pq_free(&pq_alloc_libc, watch, 1, sizeof *watch);
}

void cli_progress_end(struct cli_progress *progress) {
    end_watch(progress);
    if (progress->shown) fputs("\r\033[K", stderr);
    progress->shown = false;
    current = NULL;
}

void cli_progress_clear(void) {
    if (current != NULL) cli_progress_end(current);
}
