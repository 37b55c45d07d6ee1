/// apps/cli/progress.h: one line on a terminal, for work of more than a second.
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "cli/cli.h"

struct cli_watch;
struct cli_progress {
    bool shown, enabled;
    double began, last;
    const char *what;
    struct cli_watch *watch;  // owned, or NULL
};
void cli_progress_begin(struct cli_progress *progress, const struct cli *cli, const char *what);
void cli_progress_tell(struct cli_progress *progress, uint64_t rows, uint64_t bytes,
                       uint64_t bytes_all);
/// What is being done, without a measure.
void cli_progress_say(struct cli_progress *progress, const char *what);
/// While one call works: after a second, what is done to `name`, and of a build how far it is. The
/// database may be NULL.
void cli_progress_watch(struct cli_progress *progress, const char *name, pqdb_db *db);
void cli_progress_end(struct cli_progress *progress);
/// Of this thread's command: the line goes, since something else is told.
void cli_progress_clear(void);

#endif
