/// Any bytes on the server's socket, with any number of files beside them: refused, or a call whose
/// strings all lie in it and are what was sent. No file stays open either way, but the three of a
/// call. The first byte says how many files come, and whether magic, length and number of strings
/// are made right first; the second where the bytes are cut in two.
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/check.h"
#include "cli/call.h"

#undef stderr  // there is no command here that prints to a client

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { header_bytes = 32, files_max = 5, raw = 0x80, input_max = 1 << 14 };

static int run_nothing(struct cli *cli) {
    (void)cli;
    return CLI_DONE;
}

static const struct cli_command find = {.name = "find", .run = run_nothing},
                                serve = {.name = "serve", .run = run_nothing, .alone = true};

const struct cli_command *cli_find_command(const char *name) {
    return strcmp(name, "find") == 0 ? &find : strcmp(name, "serve") == 0 ? &serve : NULL;
}

static void must(bool truth) {
    if (!truth) __builtin_trap();
}

/// In place of the first string stands the version, which no mutation would find.
static void seal(struct pq_bytes *bytes, const uint8_t *data, size_t size) {
    uint8_t header[header_bytes] = "PQCALL01";
    const char *version = pqdb_version();
    memcpy(header + 16, data, size < 16 ? size : 16);
    must(pq_bytes_append(bytes, header, header_bytes, NULL) == PQDB_OK);
    must(pq_bytes_append(bytes, version, strlen(version) + 1, NULL) == PQDB_OK);
    if (size > 16) must(pq_bytes_append(bytes, data + 16, size - 16, NULL) == PQDB_OK);
    uint32_t strings = 0;
    for (size_t i = header_bytes; i < bytes->length; i++) strings += bytes->data[i] == '\0';
    pq_store_u32(bytes->data + 8, (uint32_t)bytes->length - header_bytes);
    pq_store_u32(bytes->data + 12, strings);
}

static void send_some(int socket, const uint8_t *data, size_t size, int file_count) {
    union {
        struct cmsghdr aligned;
        char room[CMSG_SPACE(files_max * sizeof(int))];
    } control = {0};
    struct iovec bytes = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (file_count > 0) {
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE((size_t)file_count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN((size_t)file_count * sizeof(int));
        for (int i = 0; i < file_count; i++) {
            memcpy(CMSG_DATA(rights) + (size_t)i * sizeof socket, &socket, sizeof socket);
        }
    }
    must(sendmsg(socket, &message, MSG_NOSIGNAL) == (ssize_t)size);
}

/// The lowest number that is free: it rises where a file stays open.
static int lowest(void) {
    const int file = dup(STDIN_FILENO);
    must(file >= 0 && close(file) == 0);
    return file;
}

static void check_call(const struct cli *cli, const struct pq_bytes *sent) {
    const char *strings = (const char *)sent->data + header_bytes;
    const char *expected = strings + strlen(strings) + 1;
    pq_assert(cli->command == &find && cli->arg_count >= 0);
    pq_assert(cli->format > CLI_AUTO && cli->format <= CLI_PROMETHEUS);
    const char *const first[] = {cli->working, cli->directory, cli->command->name};
    for (int i = 0; i < 3 + cli->arg_count; i++) {
        const char *given = i < 3 ? first[i] : cli->args[i - 3];
        pq_assert(strcmp(given, expected) == 0);
        expected += strlen(expected) + 1;
    }
    pq_assert(expected <= (const char *)sent->data + sent->length);
    pq_assert(cli->args[cli->arg_count] == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int ends[2], files[3] = {-1, -1, -1};
    struct pq_bytes bytes;
    struct cli cli = {.directory = ""};
    if (size < 3 || size > input_max) return 0;
    pq_bytes_init(&bytes, &pq_alloc_libc);
    if ((data[0] & raw) == 0) seal(&bytes, data + 2, size - 2);
    if ((data[0] & raw) != 0) must(pq_bytes_append(&bytes, data + 2, size - 2, NULL) == PQDB_OK);
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    const int before = lowest();
    const size_t cut = 1 + data[1] % bytes.length;
    send_some(ends[0], bytes.data, cut, data[0] % raw % (files_max + 1));
    if (cut < bytes.length) send_some(ends[0], bytes.data + cut, bytes.length - cut, 0);
    must(shutdown(ends[0], SHUT_WR) == 0);
    pq_arena_init(&cli.arena, &pq_alloc_libc);
    const char *wrong = cli_call_receive(ends[1], &cli, files);
    pq_assert(wrong == NULL || wrong[0] != '\0');
    if (wrong == NULL) check_call(&cli, &bytes);
    for (int i = 0; i < 3; i++) {
        pq_assert(wrong != NULL || files[i] >= 0);
        if (files[i] >= 0) close(files[i]);
    }
    pq_arena_deinit(&cli.arena);
    pq_assert(lowest() == before);
    close(ends[0]);
    close(ends[1]);
    pq_bytes_deinit(&bytes);
    return 0;
}
