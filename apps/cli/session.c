/// apps/cli/session.c: what a command does that may run in its own process or in a server, for a
/// client: where it reads and prints, when it is interrupted, how it waits.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/// Before cli.h gives the names their other meaning.
static FILE *process_out(void) { return stdout; }
static FILE *process_err(void) { return stderr; }

#include "cli/session.h"

_Thread_local FILE *cli_out, *cli_err;

void cli_use_process(void) {
    cli_out = process_out();
    cli_err = process_err();
}

// ---- interrupts -------------------------------------------------------------------------------

static volatile sig_atomic_t interrupted;  // of the command's own process

static void interrupt(int signal) {
    (void)signal;
    interrupted = 1;
}

void cli_catch_interrupts(const struct cli *cli) {
    if (cli->session != NULL) return;
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/// Wait until `file` (-1: none) can be read, the client interrupts or the time is over.
static bool wait_for(struct cli_session *session, int file, int timeout_ms) {
    struct pollfd files[] = {{.fd = session->socket, .events = POLLIN},
                             {.fd = session->stop, .events = POLLIN},
                             {.fd = file, .events = POLLIN}};
    int ready;
    do {
        ready = poll(files, 3, timeout_ms);
    } while (ready < 0 && errno == EINTR);
    // The client says nothing but that it is interrupted, or gone.
    if (files[0].revents != 0 || files[1].revents != 0) session->interrupted = true;
    return files[2].revents != 0;
}

bool cli_is_interrupted(const struct cli *cli) {
    if (cli->session == NULL) return interrupted != 0;
    if (!cli->session->interrupted) wait_for(cli->session, -1, 0);
    return cli->session->interrupted;
}

bool cli_pause(const struct cli *cli, int ms) {
    if (cli->session == NULL) {
        const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
        nanosleep(&pause, NULL);
        return true;
    }
    wait_for(cli->session, -1, ms);
    cli->session->was_waiting = cli->session->interrupted;
    return !cli->session->interrupted;
}

// ---- files ------------------------------------------------------------------------------------

int cli_stdin(const struct cli *cli) {
    return cli->session == NULL ? STDIN_FILENO : cli->session->files[0];
}

ssize_t cli_read_stdin(const struct cli *cli, void *out, size_t capacity) {
    struct cli_session *session = cli->session;
    if (session == NULL) return read(STDIN_FILENO, out, capacity);
    const char asks = CLI_CALL_READ;
    if (cli->in_terminal && !session->asked) cli_send_all(session->socket, &asks, 1);
    session->asked = true;
    if (!session->interrupted) wait_for(session, session->files[0], -1);
    if (!session->interrupted) return read(session->files[0], out, capacity);
    errno = EINTR;
    return -1;
}

const char *cli_path(struct cli *cli, const char *path) {
    if (cli->working == NULL || path[0] == '/' || strcmp(path, "-") == 0) return path;
    const size_t length = strlen(cli->working) + strlen(path) + 2;
    char *joined = pq_arena_alloc(&cli->arena, length);
    if (joined == NULL) abort();
    snprintf(joined, length, "%s/%s", cli->working, path);
    return joined;
}

/// As the client named it.
void cli_print_text(const struct cli *cli, const char *text) {
    const size_t length = cli->working == NULL ? 0 : strlen(cli->working);
    if (length == 0) fputs(text, stderr);
    while (length > 0 && *text != '\0') {
        const bool is_own = strncmp(text, cli->working, length) == 0 &&
                            text[length] == '/';
        if (is_own) text += length + 1;
        if (*text != '\0') fputc(*text++, stderr);
    }
}

// ---- a client's command -----------------------------------------------------------------------

/// Nothing is printed for a client that is not there any more.
static ssize_t print(struct cli_session *session, int file, const char *bytes, size_t length) {
    if (!session->interrupted) wait_for(session, -1, 0);
    size_t done = 0;
    while (done < length && !session->broken_pipe) {
        if (session->interrupted && file == session->files[1]) {
            session->is_cut = true;
            break;
        }
        const ssize_t put = write(file, bytes + done, length - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0 && errno == EPIPE) session->broken_pipe = true;
        if (put < 0) {
            session->is_cut = session->is_cut || (file == session->files[1] && errno != EPIPE);
            break;
        }
        done += (size_t)put;
    }
    return (ssize_t)done;
}

static ssize_t print_out(void *ctx, const char *bytes, size_t length) {
    struct cli_session *session = ctx;
    return print(session, session->files[1], bytes, length);
}

static ssize_t print_err(void *ctx, const char *bytes, size_t length) {
    struct cli_session *session = ctx;
    return print(session, session->files[2], bytes, length);
}

bool cli_session_begin(struct cli_session *session, struct cli *cli) {
    const cookie_io_functions_t out = {.write = print_out}, errors = {.write = print_err};
    cli->session = session;
    cli_out = fopencookie(session, "w", out);
    cli_err = fopencookie(session, "w", errors);
    if (cli_out == NULL || cli_err == NULL) return false;
    setvbuf(cli_err, NULL, _IOLBF, 0);
    if (cli->out_terminal) setvbuf(cli_out, NULL, _IOLBF, 0);
    return true;
}

void cli_session_end(struct cli_session *session) {
    if (cli_out != NULL) fclose(cli_out);
    if (cli_err != NULL && session->is_cut) {
        fputs("parquedb: not all of the answer was printed: it was interrupted\n", cli_err);
    }
    if (cli_err != NULL) fclose(cli_err);
    cli_out = cli_err = NULL;
    for (int i = 0; i < 3; i++) {
        if (session->files[i] >= 0) close(session->files[i]);
    }
}
