/// apps/cli/call.c: see call.h.
///
///     offset  what
///     0       "PQCALL01"
///     8       u32 bytes of strings | u32 strings | u32 format | u32 columns of the terminal | u32
///     28      flags
///     32      strings, each with its NUL: version, working directory, directory of the database,
///             command, its arguments
///
/// Both ends are on one machine, so numbers are its own.
#include "cli/call.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/bytes.h"

enum { call_bytes_max = 64 << 20, strings_min = 4, clients_waiting = 64 };

struct header {
    char magic[8];
    uint32_t bytes, strings, format, width, reserved, flags;
};

enum {
    flag_format_given = 1,
    flag_quiet = 2,
    flag_colour = 4,
    flag_err_colour = 8,
    flag_in_terminal = 16,
    flag_out_terminal = 32,
    flag_err_terminal = 64,
};

static const char magic[8] = "PQCALL01";

// ---- the socket -------------------------------------------------------------------------------

/// A socket and its address; -1 with errno.
static int open_socket(const char *directory, struct sockaddr_un *address, int *folder) {
    *folder = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0) return -1;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/" CLI_SOCKET, *folder);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

/// `made`, or -1 and its descriptor closed; errno stays.
static int end_socket(int made, int folder, bool good) {
    const int number = errno;
    if (folder >= 0) close(folder);
    if (!good && made >= 0) close(made);
    errno = number;
    return good ? made : -1;
}

int cli_socket_connect(const char *directory) {
    struct sockaddr_un address;
    int folder;
    const int made = open_socket(directory, &address, &folder);
    const bool good =
        made >= 0 && connect(made, (const struct sockaddr *)&address, sizeof address) == 0;
    return end_socket(made, folder, good);
}

void cli_socket_remove(const char *directory) {
    const int folder = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;
    unlinkat(folder, CLI_SOCKET, 0);
    close(folder);
}

int cli_socket_listen(const char *directory) {
    struct sockaddr_un address;
    int folder;
    const int made = open_socket(directory, &address, &folder);
    if (folder >= 0) unlinkat(folder, CLI_SOCKET, 0);
    const mode_t before = umask(0177);  // its owner's alone, from the first moment
    bool good = made >= 0 && bind(made, (const struct sockaddr *)&address, sizeof address) == 0;
    umask(before);
    good = good && listen(made, clients_waiting) == 0;
    return end_socket(made, folder, good);
}

// ---- bytes ------------------------------------------------------------------------------------

bool cli_send_all(int socket, const void *data, size_t length) {
    for (const char *at = data; length > 0;) {
        const ssize_t sent = send(socket, at, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return false;
        at += sent;
        length -= (size_t)sent;
    }
    return true;
}

bool cli_receive_all(int socket, void *data, size_t length) {
    for (char *at = data; length > 0;) {
        const ssize_t got = recv(socket, at, length, 0);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        at += got;
        length -= (size_t)got;
    }
    return true;
}

// ---- a call -----------------------------------------------------------------------------------

static bool put(struct pq_bytes *strings, const char *text) {
    return pq_bytes_append(strings, text, strlen(text) + 1, NULL) == PQDB_OK;
}

static uint32_t flags_of(const struct cli *cli) {
    return (cli->format_given ? flag_format_given : 0u) | (cli->quiet ? flag_quiet : 0u) |
           (cli->colour ? flag_colour : 0u) | (cli->err_colour ? flag_err_colour : 0u) |
           (cli->in_terminal ? flag_in_terminal : 0u) |
           (cli->out_terminal ? flag_out_terminal : 0u) |
           (cli->err_terminal ? flag_err_terminal : 0u);
}

/// The header, and with its first byte the files.
static bool send_header(int socket, const struct header *header, const int files[3]) {
    union {
        struct cmsghdr aligned;
        char room[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    struct iovec bytes = {.iov_base = (void *)(uintptr_t)header, .iov_len = sizeof *header};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(3 * sizeof(int));
    memcpy(CMSG_DATA(rights), files, 3 * sizeof(int));
    return sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)sizeof *header;
}

bool cli_call_send(int socket, const struct cli *cli, const int files[3]) {
    char working[4096];
    struct pq_bytes strings;
    pq_bytes_init(&strings, &pq_alloc_libc);
    bool good = getcwd(working, sizeof working) != NULL && put(&strings, pqdb_version()) &&
                put(&strings, working) && put(&strings, cli->directory) &&
                put(&strings, cli->command->name);
    for (int i = 0; good && i < cli->arg_count; i++) good = put(&strings, cli->args[i]);
    struct header header = {.bytes = (uint32_t)strings.length,
                            .strings = (uint32_t)(strings_min + cli->arg_count),
                            .format = (uint32_t)cli->format, .width = (uint32_t)cli->width,
                            .flags = flags_of(cli)};
    memcpy(header.magic, magic, sizeof magic);
    good = good && strings.length <= call_bytes_max && send_header(socket, &header, files) &&
           cli_send_all(socket, strings.data, strings.length);
    pq_bytes_deinit(&strings);
    return good;
}

/// The files beside the first bytes; where they are not three, none stays open.
static bool take_files(struct msghdr *message, int files[3]) {
    const struct cmsghdr *rights = CMSG_FIRSTHDR(message);
    if (rights == NULL || rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) {
        return false;
    }
    const size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    const bool good = count == 3 && (message->msg_flags & MSG_CTRUNC) == 0;
    for (size_t i = 0; i < count; i++) {
        int file;
        memcpy(&file, CMSG_DATA(rights) + i * sizeof file, sizeof file);
        if (good) files[i] = file;
        if (!good) close(file);
    }
    return good;
}

static bool receive_header(int socket, struct header *header, int files[3]) {
    union {
        struct cmsghdr aligned;
        char room[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    struct iovec bytes = {.iov_base = header, .iov_len = sizeof *header};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control.room,
                             .msg_controllen = sizeof control.room};
    const ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    return got > 0 && take_files(&message, files) &&
           cli_receive_all(socket, (char *)header + got, sizeof *header - (size_t)got) &&
           memcmp(header->magic, magic, sizeof magic) == 0 && header->bytes > 0 &&
           header->bytes <= call_bytes_max && header->strings >= strings_min &&
           header->strings <= header->bytes && header->format > CLI_AUTO &&
           header->format <= CLI_PROMETHEUS;
}

static void take_flags(struct cli *cli, const struct header *header) {
    cli->format = (enum cli_format)header->format;
    cli->width = header->width;
    cli->format_given = (header->flags & flag_format_given) != 0;
    cli->quiet = (header->flags & flag_quiet) != 0;
    cli->colour = (header->flags & flag_colour) != 0;
    cli->err_colour = (header->flags & flag_err_colour) != 0;
    cli->in_terminal = (header->flags & flag_in_terminal) != 0;
    cli->out_terminal = (header->flags & flag_out_terminal) != 0;
    cli->err_terminal = (header->flags & flag_err_terminal) != 0;
}

const char *cli_call_receive(int socket, struct cli *cli, int files[3]) {
    struct header header;
    static const char foreign[] = "this is no call of the command";
    if (!receive_header(socket, &header, files)) return foreign;
    char *text = pq_arena_alloc(&cli->arena, header.bytes);
    char **strings = pq_arena_calloc(&cli->arena, header.strings + 1, sizeof *strings);
    if (text == NULL || strings == NULL) return "the call does not fit into memory";
    if (!cli_receive_all(socket, text, header.bytes) || text[header.bytes - 1] != '\0') {
        return foreign;
    }
    char *at = text;
    for (uint32_t i = 0; i < header.strings; i++) {
        if (at >= text + header.bytes) return foreign;
        strings[i] = at;
        at += strlen(at) + 1;
    }
    if (strcmp(strings[0], pqdb_version()) != 0) return "the server is of another version";
    take_flags(cli, &header);
    cli->working = strings[1];
    cli->directory = strings[2];
    cli->command = cli_find_command(strings[3]);
    cli->args = strings + strings_min;
    cli->arg_count = (int)(header.strings - strings_min);
    return cli->command == NULL || cli->command->alone ? foreign : NULL;
}
