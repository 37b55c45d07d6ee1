/// apps/cli/progress.c: one line on a terminal that is gone when the work is done.
#include <string.h>

#include "cli/cli.h"

enum { bar_width = 16, name_width = 20 };  // the line stays below 80 columns

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

void cli_progress_end(struct cli_progress *progress) {
    if (progress->shown) fputs("\r\033[K", stderr);
    progress->shown = false;
}
