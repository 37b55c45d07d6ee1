/// apps/cli/call.h: a command on its way from a client to the server of its database, over the
/// socket in the database's directory.
///
/// The client sends one call: a header, its strings, and with the first byte its three standard
/// files. So the server's command reads and prints where the client would, terminal and all. Then
/// one byte a message: the client's 'I' interrupts; the server's 'R' asks for what is typed (when
/// stdin is a terminal, which only the client may read: it is copied into a pipe), and 'D' with a
/// result ends it. A client that is gone interrupts, too. Both ends are of one version.
#ifndef CLI_CALL_H
#define CLI_CALL_H

#include "cli/cli.h"

#define CLI_SOCKET "server.sock"

enum { CLI_CALL_INTERRUPT = 'I', CLI_CALL_READ = 'R', CLI_CALL_DONE = 'D' };

/// What the server says at the end.
struct cli_result {
    char kind;          // CLI_CALL_DONE
    char code;          // the exit code
    bool broken_pipe;   // nobody reads stdout any more: as SIGPIPE
    bool interrupted;   // while it waited for news: as SIGINT
};

/// The socket of the database in `directory`, by a descriptor of that directory: the name of a
/// socket has no room for long paths. -1 with errno.
int cli_socket_connect(const char *directory);
/// Listen there; a socket that nobody listens on any more is replaced. The caller has the
/// database open, so there is no other server. -1 with errno.
int cli_socket_listen(const char *directory);
void cli_socket_remove(const char *directory);

/// The command as `cli` has it, with these files as its standard ones.
bool cli_call_send(int socket, const struct cli *cli, const int files[3]);
/// Into `cli`, its strings in its arena; the files are the caller's. NULL, or what was wrong.
const char *cli_call_receive(int socket, struct cli *cli, int files[3]);

bool cli_send_all(int socket, const void *data, size_t length);
bool cli_receive_all(int socket, void *data, size_t length);

#endif
