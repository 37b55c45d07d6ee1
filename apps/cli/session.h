/// apps/cli/session.h: a command that a server runs for a client. One thread.
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include <sys/types.h>

#include "cli/call.h"

struct cli_session {
    pqdb_db *db;    // the server's; borrowed
    int socket;     // of the client: readable when it interrupts or is gone
    int stop;       // readable once the server stops
    int files[3];   // the client's stdin, stdout and stderr; owned
    bool asked;     // for what is typed
    bool interrupted, was_waiting;  // waiting: for news, when it was interrupted
    bool broken_pipe;
    bool is_cut;    // not all that was printed has reached the client
};

/// Standard files of this thread are the client's. False: no memory.
bool cli_session_begin(struct cli_session *session, struct cli *cli);
/// They are closed; what was printed has been written, or `is_cut`, and the client is told.
void cli_session_end(struct cli_session *session);

#endif
