/// apps/cli/cmd_serve.c: the server of a database: keeps it open, runs the schedule, and runs
/// commands for clients (cli/call.h), each in a thread of its own.
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/wait.h"
#include "cli/session.h"

enum { clients_max = 64, look_ms = 1000, patience_s = 10, views_max = 1024 };

struct server {
    struct cli *cli;
    pqdb_db *db;
    int listener, signals, stop;
    pthread_mutex_t lock;
    pthread_cond_t left;     // a client
    size_t clients;          // that are served now
    // What was last told of each view; of those that there are.
    struct news {
        uint64_t name;  // its hash
        int64_t slot_us, refreshed_us;
        bool failed;
    } *news, *next_news;
    size_t news_count;
};

// ---- a client ---------------------------------------------------------------------------------

struct client {
    struct server *server;
    int socket;
};

static void refuse(const struct cli_session *session, const char *why) {
    if (session->files[2] >= 0) dprintf(session->files[2], "parquedb: %s\n", why);
}

static int run_for(struct client *client, struct cli_session *session) {
    struct cli cli = {.directory = ""};
    pq_arena_init(&cli.arena, &pq_alloc_libc);
    const char *wrong = cli_call_receive(client->socket, &cli, session->files);
    int code = CLI_FAILED;
    if (wrong != NULL) {
        refuse(session, wrong);
    } else if (!cli_session_begin(session, &cli)) {
        refuse(session, "the server has no memory for this");
    } else {
        code = cli_run_command(&cli);
    }
    cli_session_end(session);
    if (session->is_cut && code == CLI_DONE) code = CLI_FAILED;
    pq_arena_deinit(&cli.arena);
    return code;
}

static void *serve_client(void *ctx) {
    struct client *client = ctx;
    struct server *server = client->server;
    struct cli_session session = {.db = server->db, .socket = client->socket,
                                  .stop = server->stop, .files = {-1, -1, -1}};
    const int code = run_for(client, &session);
    const struct cli_result result = {.kind = CLI_CALL_DONE, .code = (char)code,
                                      .broken_pipe = session.broken_pipe,
                                      .interrupted = session.was_waiting};
    cli_send_all(client->socket, &result, sizeof result);
    close(client->socket);
    pq_free(&pq_alloc_libc, client, 1, sizeof *client);
    pthread_mutex_lock(&server->lock);
    server->clients--;
    pthread_cond_signal(&server->left);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

/// Is it the user whose database this is?
static bool is_trusted(int socket) {
    struct ucred who;
    socklen_t length = sizeof who;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &who, &length) == 0 &&
           (who.uid == geteuid() || who.uid == 0);
}

/// True once there is one client fewer that must wait.
static bool start(struct server *server, int socket) {
    struct client *client = pq_resize(&pq_alloc_libc, NULL, 0, 1, sizeof *client);
    if (client == NULL) return false;
    *client = (struct client){.server = server, .socket = socket};
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve_client, client) != 0) {
        pq_free(&pq_alloc_libc, client, 1, sizeof *client);
        return false;
    }
    pthread_detach(thread);
    return true;
}

static void accept_client(struct server *server) {
    const int socket = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
    if (socket < 0) return;
    pthread_mutex_lock(&server->lock);
    server->clients++;
    pthread_mutex_unlock(&server->lock);
    if (is_trusted(socket) && start(server, socket)) return;
    close(socket);
    pthread_mutex_lock(&server->lock);
    server->clients--;
    pthread_mutex_unlock(&server->lock);
}

/// Others wait in the socket's queue.
static bool has_room(struct server *server) {
    pthread_mutex_lock(&server->lock);
    const bool room = server->clients < clients_max;
    pthread_mutex_unlock(&server->lock);
    return room;
}

// ---- the schedule, told -----------------------------------------------------------------------

static void tell(const struct server *server, const pqdb_view_state *state) {
    struct cli *cli = server->cli;
    char time[40], number[32], wait[24], took[24];
    if (state->last_error[0] != '\0') {
        cli_note(cli, "%s: the refresh failed, it is tried again%s%s: %s", state->name,
                 state->next_try_us > 0 ? " in " : "",
                 state->next_try_us > 0 ? cli_duration(state->next_try_us, wait) : "",
                 state->last_error);
    } else if (state->last_slot_us != 0) {
        cli_note(cli, "%s: done for %s: %s, %s row%s changed, %s", state->name,
                 cli_time(cli, state->last_slot_us, time), state->last_refresh,
                 cli_count(state->last_refresh_rows, number),
                 state->last_refresh_rows == 1 ? "" : "s",
                 cli_duration(state->last_refresh_us, took));
    }
}

/// Views come and go, and with them the places of others.
static struct news news_of(const struct server *server, uint64_t name, size_t guess) {
    if (guess < server->news_count && server->news[guess].name == name) return server->news[guess];
    for (size_t i = 0; i < server->news_count; i++) {
        if (server->news[i].name == name) return server->news[i];
    }
    return (struct news){.name = name};
}

/// Runs of the schedule and views that failed since the last time. Is any failed now?
static bool tell_news(struct server *server, bool silently) {
    bool any_failed = false;
    size_t count = 0;
    for (size_t i = 0; i < pqdb_view_count(server->db) && count < views_max; i++) {
        pqdb_view_state state;
        const char *name = pqdb_view_name(server->db, i);
        if (pqdb_view_state_get(server->db, name, &state, NULL) != PQDB_OK) continue;
        struct news news = news_of(server, pq_hash(name, strlen(name)), i);
        const bool failed = state.last_error[0] != '\0';
        // A time at which nothing had changed is none.
        const bool is_done = !failed && state.last_slot_us != news.slot_us &&
                             state.refreshed_us != news.refreshed_us;
        const bool is_news = is_done || failed != news.failed;
        if (is_news && !silently) tell(server, &state);
        news.slot_us = state.last_slot_us;
        news.refreshed_us = state.refreshed_us;
        news.failed = failed;
        server->next_news[count++] = news;
        any_failed = any_failed || failed;
    }
    struct news *told = server->news;
    server->news = server->next_news;
    server->next_news = told;
    server->news_count = count;
    return any_failed;
}

// ---- the server -------------------------------------------------------------------------------

static int fail(const struct server *server, const char *what) {
    pqdb_error err = {.code = PQDB_IO, .offset = -1};
    snprintf(err.subject, sizeof err.subject, "%.120s", server->cli->directory);
    snprintf(err.message, sizeof err.message, "%s: %s", what, strerror(errno));
    return cli_fail(server->cli, &err);
}

/// Until a signal asks for the end.
static void serve(struct server *server) {
    for (;;) {
        struct pollfd files[] = {{.fd = server->signals, .events = POLLIN},
                                 {.fd = has_room(server) ? server->listener : -1,
                                  .events = POLLIN}};
        poll(files, 2, look_ms);
        if (files[0].revents != 0) break;
        if (files[1].revents != 0) accept_client(server);
        tell_news(server, false);
    }
    struct signalfd_siginfo what;
    if (read(server->signals, &what, sizeof what) != (ssize_t)sizeof what) return;
}

/// Clients are interrupted, as by Ctrl-C, and have a while to end what they commit.
static bool end_clients(struct server *server) {
    const uint64_t one = 1;
    const uint64_t end_ns = pq_wait_end(UINT64_C(1000000000) * patience_s);
    if (write(server->stop, &one, sizeof one) < 0) return false;
    pthread_mutex_lock(&server->lock);
    while (server->clients > 0 && pq_wait_until(&server->left, &server->lock, end_ns)) continue;
    const bool all = server->clients == 0;
    pthread_mutex_unlock(&server->lock);
    return all;
}

static int run_open(struct server *server) {
    struct cli *cli = server->cli;
    server->listener = cli_socket_listen(cli->directory);
    if (server->listener < 0) {
        return cli_close(cli, server->db, fail(server, "cannot listen on " CLI_SOCKET));
    }
    tell_news(server, true);
    cli_note(cli, "serving %s, process %d; Ctrl-C ends it", cli->directory, (int)getpid());
    serve(server);
    cli_socket_remove(cli->directory);
    close(server->listener);
    cli_note(cli, "closing %s", cli->directory);
    if (!end_clients(server)) {
        // What was acknowledged is in the log; the database cannot be closed under a command.
        cli_note(cli, "a command did not end within %d s and is left", patience_s);
        _exit(CLI_FAILED);
    }
    const bool any_failed = tell_news(server, true);
    return cli_close(cli, server->db, any_failed ? CLI_FAILED : CLI_DONE);
}

/// Another server has it, perhaps.
static int fail_open(const struct cli *cli, pqdb_error *err) {
    const int other = err->code == PQDB_CONFLICT ? cli_socket_connect(cli->directory) : -1;
    if (other < 0) return cli_fail(cli, err);
    close(other);
    char who[32] = "another process";
    const char *end = strstr(err->message, " is writing");
    if (end != NULL && end - err->message < (ptrdiff_t)sizeof who) {
        snprintf(who, sizeof who, "%.*s", (int)(end - err->message), err->message);
    }
    err->subject[0] = '\0';
    snprintf(err->message, sizeof err->message, "%s serves %s already; commands find it", who,
             cli->directory);
    return cli_fail(cli, err);
}

static int run_serve(struct cli *cli) {
    if (!cli_takes(cli, 0, 0)) return CLI_USAGE;
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);  // of all threads to come
    signal(SIGPIPE, SIG_IGN);                 // a client that stops reading is no end
    struct server server = {.cli = cli, .signals = signalfd(-1, &ends, SFD_CLOEXEC),
                            .stop = eventfd(0, EFD_CLOEXEC)};
    server.news = pq_arena_calloc(&cli->arena, views_max, sizeof *server.news);
    server.next_news = pq_arena_calloc(&cli->arena, views_max, sizeof *server.news);
    if (server.signals < 0 || server.stop < 0 || server.news == NULL || server.next_news == NULL) {
        return fail(&server, "cannot be served");
    }
    pthread_mutex_init(&server.lock, NULL);
    pq_wait_init(&server.left);
    const pqdb_options options = {.schedule = true, .memory_bytes = cli->memory_bytes};
    pqdb_error err;
    if (pqdb_open(cli->directory, &options, &server.db, &err) != PQDB_OK) {
        return fail_open(cli, &err);
    }
    const int code = run_open(&server);
    close(server.signals);
    close(server.stop);
    return code;
}

const struct cli_command cmd_serve = {
    .name = "serve",
    .usage = "",
    .summary = "keep the database open: run the schedule, and the commands of others",
    .help = "Scheduled views are refreshed at their times; what fails is tried again, later and\n"
            "later, and told here and by view state. While it runs, every command on the same\n"
            "directory is run by it, through the socket server.sock there, which only its owner\n"
            "may use: commands have the same output and exit codes, files and stdin are the\n"
            "client's. Ctrl-C or SIGTERM ends it: clients are interrupted, then the database is\n"
            "closed. The exit code is 1 when a view has failed by then.\n",
    .run = run_serve,
    .alone = true,
};
