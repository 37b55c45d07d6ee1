/// apps/cli/forward.c: the client: a command that runs in the server of its database.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/call.h"

static volatile sig_atomic_t was_interrupted;

static void interrupt(int signal) { was_interrupted = signal; }

/// Signals come while poll waits and at no other time. A second one ends the client.
static void catch_signals(sigset_t *while_waiting) {
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    sigset_t held;
    sigemptyset(&action.sa_mask);
    sigemptyset(&held);
    sigaddset(&held, SIGINT);
    sigaddset(&held, SIGTERM);
    sigprocmask(SIG_BLOCK, &held, while_waiting);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/// End as a process does that got this signal and did not expect it.
static void end_by(int signal) {
    sigset_t none;
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&none);
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    raise(signal);
}

/// What the terminal has, into the server's pipe; closed at the end.
static void copy_typed(int *pipe_end) {
    char bytes[4096];
    const ssize_t got = read(STDIN_FILENO, bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) return;
    bool good = got > 0;
    for (ssize_t at = 0; good && at < got;) {
        const ssize_t put = write(*pipe_end, bytes + at, (size_t)(got - at));
        good = put > 0 || (put < 0 && errno == EINTR);
        at += put > 0 ? put : 0;
    }
    if (good) return;
    close(*pipe_end);
    *pipe_end = -1;
}

static int gone(void) {
    fputs("parquedb: the server went away; what it has acknowledged is kept\n", stderr);
    return CLI_FAILED;
}

static int end_with(const struct cli_result *result) {
    if (result->broken_pipe) end_by(SIGPIPE);
    if (result->interrupted && was_interrupted != 0) end_by(was_interrupted);
    return result->code;
}

/// Until the server says that it is done.
static int wait_for_result(int socket, int *pipe_end) {
    sigset_t while_waiting;
    bool copies = false, told = false;
    catch_signals(&while_waiting);
    for (;;) {
        struct pollfd files[] = {{.fd = socket, .events = POLLIN},
                                 {.fd = copies ? STDIN_FILENO : -1, .events = POLLIN}};
        const int ready = ppoll(files, 2, NULL, &while_waiting);
        if (was_interrupted != 0 && !told) {
            const char message = CLI_CALL_INTERRUPT;
            told = true;
            if (!cli_send_all(socket, &message, 1)) return gone();
        }
        if (ready <= 0) continue;
        if (files[1].revents != 0) copy_typed(pipe_end);
        copies = copies && *pipe_end >= 0;
        if (files[0].revents == 0) continue;
        struct cli_result result;
        if (!cli_receive_all(socket, &result.kind, 1)) return gone();
        copies = copies || (result.kind == CLI_CALL_READ && *pipe_end >= 0);
        if (result.kind != CLI_CALL_DONE) continue;
        if (!cli_receive_all(socket, (char *)&result + 1, sizeof result - 1)) return gone();
        return end_with(&result);
    }
}

static int refuse(const struct cli *cli, int number) {
    pqdb_error err = {.code = PQDB_IO, .offset = -1};
    snprintf(err.subject, sizeof err.subject, "%.100s/" CLI_SOCKET, cli->directory);
    snprintf(err.message, sizeof err.message, "the server cannot be asked: %s",
             number == EACCES ? "it belongs to another user" : strerror(number));
    return cli_fail(cli, &err);
}

bool cli_forward(struct cli *cli, int *code) {
    const int socket = cli_socket_connect(cli->directory);
    if (socket < 0 && (errno == ENOENT || errno == ECONNREFUSED || errno == ENOTDIR)) return false;
    if (socket < 0) {
        *code = refuse(cli, errno);
        return true;
    }
    int typed[2] = {-1, -1};  // a terminal can be read by nobody else
    const bool copies = cli->in_terminal && pipe(typed) == 0;
    const int files[3] = {copies ? typed[0] : STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    fflush(NULL);
    const bool sent = cli_call_send(socket, cli, files);
    if (copies) close(typed[0]);
    *code = sent ? wait_for_result(socket, &typed[1]) : gone();
    if (typed[1] >= 0) close(typed[1]);
    close(socket);
    return true;
}
