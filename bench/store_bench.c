/// bench/store_bench.c: what the storage core promises: how long a database takes to come back,
/// what background work costs commits, how much is written and kept, how much slower it is in too
/// little memory. One phase a run, one JSON line on stdout.
///
///     store_bench crash MIB DIRECTORY     a log of so many MiB, killed, opened: with checkpoints
///     store_bench replay MIB DIRECTORY    the same without a checkpoint: all of it is replayed
///     store_bench open ROWS DIRECTORY     orders in files, closed, opened again
///     store_bench update ROWS DIRECTORY   each order is updated twice, in any order: bytes written
///                                         and bytes on disk
///     store_bench load70 ROWS DIRECTORY   single updates at 70 % of what is possible, beside
///                                         checkpoints, merges, and 1 GiB that is being deleted
///     store_bench spill GROUPS DIRECTORY  groups updated at random: enough memory, then a quarter
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <parquedb/view.h>
#include <parquedb/write.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "db/db_internal.h"
#include "measure.h"
#include "table/data_file.h"
#include "orders.h"
#include "tail_events.h"

enum { commit_rows = 1000, event_rows = 250, graves = 16, grave_bytes = 64 << 20 };

static const char shop[] =
    "{ Order: { customer: 'string!', status: 'string!', region: 'string!', channel: 'string!',"
    "  quantity: 'int!', total: 'decimal(10,2)!', placedAt: 'timestamp!' },"
    "  Paid: { $from: 'Order', $filter: { status: 'paid' } },"
    "  ByDay: { $from: 'Order', $groupBy: ['status', { day: '$placedAt' }], $compute: {"
    "    orders: { $count: '*' }, sum: { $sum: 'total' }, most: { $max: 'total' } } } }";

static const char tail[] =
    "{ TailEvents: { $ingest: 'tail' },"
    "  WorkerErrors: { $from: 'TailEvents', $filter: { outcome: { $ne: 'ok' } },"
    "    $select: { scriptName: '$scriptName', url: '$event.request.url' } },"
    "  PerScript: { $from: 'TailEvents', $groupBy: ['scriptName', { hour: '$eventTimestamp' }],"
    "    $compute: { events: { $count: '*' } } } }";

/// Of all files below, but for those in `except`.
static uint64_t bytes_below(const char *path, const char *except) {
    DIR *directory = opendir(path);
    uint64_t bytes = 0;
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        char below[1024];
        struct stat status;
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, except) == 0) continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (lstat(below, &status) != 0) continue;
        bytes += S_ISDIR(status.st_mode) ? bytes_below(below, except) : (uint64_t)status.st_size;
    }
    if (directory != NULL) closedir(directory);
    return bytes;
}

static uint64_t log_bytes(const char *directory) {
    char path[1024];
    snprintf(path, sizeof path, "%s/log", directory);
    return bytes_below(path, "");
}

/// What this process has handed to the system for writing.
static uint64_t written_bytes(void) {
    FILE *file = fopen("/proc/self/io", "r");
    char line[128];
    unsigned long long bytes = 0;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "wchar: ", 7) == 0) bytes = strtoull(line + 7, NULL, 10);
    }
    if (file != NULL) fclose(file);
    return bytes;
}

static void create(pqdb_db *db, const char *name, const char *text, size_t length) {
    const pqdb_write_options replace = {.on_conflict = "replace"};
    pqdb_error err;
    must(pqdb_create(db, name, text, length, &replace, NULL, &err), &err);
}

static void load_orders(pqdb_db *db, uint64_t orders) {
    char *text = must_have(malloc(commit_rows * ORDER_BYTES_MAX));
    for (uint64_t first = 0; first < orders; first += commit_rows) {
        size_t used = 0;
        for (uint64_t i = first; i < first + commit_rows && i < orders; i++) {
            const struct order order = order_at(i, orders);
            used += order_json(&order, text + used);
        }
        create(db, "Order", text, used);
    }
    free(text);
}

// ---- coming back ------------------------------------------------------------------------------

/// Writes events until the log is so large, and ends as a killed process does. Returns how many.
static uint64_t write_and_die(uint64_t log_max, const pqdb_options *options, const char *directory,
                              int out) {
    pqdb_db *db = make_database(directory, tail, options);
    struct tail_events events;
    char *text = must_have(malloc(event_rows * TAIL_EVENT_BYTES_MAX));
    uint64_t rows = 0;
    tail_events_init(&events, 7);
    while (log_bytes(directory) < log_max) {
        for (int commit = 0; commit < 16; commit++) {
            size_t used = 0;
            for (int i = 0; i < event_rows; i++) used += tail_events_next(&events, text + used);
            create(db, "TailEvents", text, used);
            rows += event_rows;
        }
    }
    if (write(out, &rows, sizeof rows) != sizeof rows) _exit(EXIT_FAILURE);
    kill(getpid(), SIGKILL);
    return rows;
}

static void come_back(const char *phase, uint64_t mib, const char *directory) {
    const bool replays = strcmp(phase, "replay") == 0;
    const pqdb_options options = {.checkpoint_ms = replays ? -1 : 0,
                                  .memory_bytes = replays ? UINT64_C(1) << 40 : 0,
                                  .checkpoint_log_bytes = replays ? UINT64_C(1) << 40 : 0};
    int pipe_ends[2];
    uint64_t rows = 0;
    if (pipe(pipe_ends) != 0) exit(EXIT_FAILURE);
    const pid_t child = fork();
    if (child == 0) write_and_die(mib << 20, &options, directory, pipe_ends[1]);
    if (read(pipe_ends[0], &rows, sizeof rows) != sizeof rows) exit(EXIT_FAILURE);
    waitpid(child, NULL, 0);
    const uint64_t log = log_bytes(directory);
    pqdb_error err;
    pqdb_db *db;
    const double began = seconds(), cpu = cpu_seconds();
    must(pqdb_open(directory, &options, &db, &err), &err);
    const double took = seconds() - began, used = cpu_seconds() - cpu;
    pqdb_status status;
    must(pqdb_status_get(db, &status, &err), &err);
    const uint64_t replayed = (status.version - status.checkpoint_version) * event_rows;
    printf("{\"phase\":\"%s\",\"log_mib\":%.0f,\"events\":%" PRIu64 ",\"replayed\":%" PRIu64
           ",\"seconds\":%.3f,\"cpu_seconds\":%.3f,\"peak_mib\":%.0f}\n",
           phase, (double)log / (1 << 20), rows, replayed, took, used, peak_mib());
    must(pqdb_close(db, &err), &err);
}

static void open_again(uint64_t orders, const char *directory) {
    enum { times = 21 };
    pqdb_error err;
    pqdb_db *db = make_database(directory, shop, NULL);
    double took[times];
    load_orders(db, orders);
    must(pqdb_close(db, &err), &err);
    for (int i = 0; i < times; i++) {
        const double began = seconds();
        must(pqdb_open(directory, NULL, &db, &err), &err);
        took[i] = seconds() - began;
        must(pqdb_close(db, &err), &err);
    }
    const double first = took[0] * 1e3;
    printf("{\"phase\":\"reopen\",\"rows\":%" PRIu64 ",\"first_ms\":%.2f,\"p50_ms\":%.2f}\n",
           orders, first, quantile(took, times, 500) * 1e3);
}

// ---- what updates cost ------------------------------------------------------------------------

static void settle(pqdb_db *db) {
    pqdb_error err;
    for (int i = 0; i < 3; i++) must(pqdb_checkpoint(db, &err), &err);
}

/// What the live rows of all tables take of their files.
static double live_mib(const pqdb_db *db) {
    const struct pq_db_tables *tables = db->tables;
    double live = 0;
    for (size_t i = 0; i < tables->count; i++) {
        const struct pq_table *table = tables->at[i]->table;
        const struct pq_catalog *catalog = table->catalog;
        double bytes = 0, rows = 0;
        for (size_t k = 0; k < catalog->file_count; k++) {
            bytes += (double)pq_data_file_bytes(catalog->segments[k]->file);
            rows += (double)catalog->segments[k]->rows;
        }
        live += (double)table->rows < rows ? bytes * (double)table->rows / rows : bytes;
    }
    return live / (1 << 20);
}

/// Of all but the log and the views' states.
static double tables_mib(const char *directory) {
    char states[1024];
    snprintf(states, sizeof states, "%s/_state", directory);
    return (double)(bytes_below(directory, "log") - bytes_below(states, "")) / (1 << 20);
}

static void update_all(uint64_t orders, const char *directory) {
    pqdb_error err;
    pqdb_db *db = make_database(directory, shop, NULL);
    load_orders(db, orders);
    settle(db);
    char *text = must_have(malloc(commit_rows * ORDER_BYTES_MAX));
    const uint64_t before = written_bytes();
    uint64_t given = 0;
    double most = 0;
    const double began = seconds(), cpu = cpu_seconds();
    for (uint64_t done = 0; done < 2 * orders; done += commit_rows) {
        size_t used = 0;
        for (uint64_t i = done; i < done + commit_rows; i++) {
            struct order order = order_at(order_mix(i) % orders, orders);
            order.cents = (unsigned)(order_mix(i + orders) % 100000 + 100);
            order.quantity = (unsigned)(i % 9 + 1);
            used += order_json(&order, text + used);
        }
        create(db, "Order", text, used);
        given += used;
        if (done % (64 * commit_rows) != 0) continue;
        const double ratio = tables_mib(directory) / live_mib(db);
        if (ratio > most) most = ratio;
    }
    const double took = seconds() - began, spent = cpu_seconds() - cpu;
    settle(db);
    const uint64_t written = written_bytes() - before;
    const double live = live_mib(db), left = tables_mib(directory);
    printf("{\"phase\":\"update\",\"rows\":%" PRIu64 ",\"seconds\":%.3f,\"cpu_seconds\":%.3f,"
           "\"given_mib\":%.1f,\"written_mib\":%.1f,\"live_mib\":%.1f,\"tables_mib\":%.1f,"
           "\"most_ratio\":%.2f,\"total_mib\":%.1f,\"peak_mib\":%.0f}\n",
           2 * orders, took, spent, (double)given / (1 << 20), (double)written / (1 << 20), live,
           left, most, (double)bytes_below(directory, "log") / (1 << 20), peak_mib());
    free(text);
    must(pqdb_close(db, &err), &err);
}

// ---- commits beside all that --------------------------------------------------------------------

static double update_one(pqdb_db *db, uint64_t number, uint64_t orders) {
    char id[32], operators[96];
    pqdb_error err;
    snprintf(id, sizeof id, "o%09" PRIu64, order_mix(number) % orders);
    snprintf(operators, sizeof operators, "{\"$inc\":{\"quantity\":1},\"$set\":{\"total\":%u.25}}",
             (unsigned)(order_mix(number + 7) % 100000));
    const pqdb_edit edit = {.where = id, .operators = operators};
    const double began = seconds();
    must(pqdb_update(db, "Order", &edit, NULL, NULL, &err), &err);
    return seconds() - began;
}

static void wait_until(double when) {
    const double left = when - seconds();
    if (left <= 0) return;
    const struct timespec pause = {.tv_sec = (time_t)left,
                                   .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
    nanosleep(&pause, NULL);
}

/// Files of 1 GiB together, which are then removed as replaced data files are.
static void bury(pqdb_db *db, const char *directory) {
    static char block[1 << 20];
    for (int i = 0; i < graves; i++) {
        char path[1024], name[32];
        snprintf(name, sizeof name, "grave-%d", i);
        snprintf(path, sizeof path, "%s/%s", directory, name);
        const int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        memset(block, i + 1, sizeof block);
        for (int k = 0; file >= 0 && k < grave_bytes / (int)sizeof block; k++) {
            if (write(file, block, sizeof block) != (ssize_t)sizeof block) exit(EXIT_FAILURE);
        }
        if (file < 0 || fdatasync(file) != 0) exit(EXIT_FAILURE);
        close(file);
    }
    pqdb_error err;
    for (int i = 0; i < graves; i++) {
        char name[32];
        snprintf(name, sizeof name, "grave-%d", i);
        must(pq_pace_bury(db->pace, name, &err), &err);
    }
}

struct load {
    pqdb_db *db;
    uint64_t orders, done;
    double *took, *late;  // the commit; from when it was due
    size_t count;
};

/// `count` commits, `every` seconds one; those that come late do not wait.
static void paced(struct load *load, size_t count, double every) {
    const double began = seconds();
    for (size_t i = 0; i < count; i++) {
        const double due = began + (double)i * every;
        wait_until(due);
        load->took[i] = update_one(load->db, load->done++, load->orders) * 1e6;
        load->late[i] = (seconds() - due) * 1e6;
    }
    load->count = count;
}

static void print_load(struct load *load, const char *what, double every) {
    quantile(load->took, load->count, 0);  // sorts
    quantile(load->late, load->count, 0);
    printf("{\"phase\":\"%s\",\"commits_per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,"
           "\"p999_us\":%.1f,\"max_us\":%.1f,\"due_p999_us\":%.1f,\"due_max_us\":%.1f}\n",
           what, 1 / every, quantile(load->took, load->count, 500),
           quantile(load->took, load->count, 990), quantile(load->took, load->count, 999),
           load->took[load->count - 1], quantile(load->late, load->count, 999),
           load->late[load->count - 1]);
}

static void beside(uint64_t orders, const char *directory) {
    enum { tries = 4000, commits = 20000 };
    const pqdb_options options = {.checkpoint_ms = 1000};
    pqdb_error err;
    struct load load = {.db = make_database(directory, shop, &options), .orders = orders};
    load.took = must_have(calloc(commits, sizeof *load.took));
    load.late = must_have(calloc(commits, sizeof *load.late));
    load_orders(load.db, orders);
    settle(load.db);
    const double began = seconds();
    for (int i = 0; i < tries; i++) update_one(load.db, load.done++, orders);
    const double every = (seconds() - began) / tries / 0.7;
    paced(&load, commits, every);
    print_load(&load, "load70", every);
    bury(load.db, directory);
    size_t count = 0;
    while (pq_pace_buried(load.db->pace) > 0 && count < commits) {
        load.took[count] = update_one(load.db, load.done++, orders) * 1e6;
        load.late[count] = load.took[count];
        wait_until(seconds() + every - load.took[count++] / 1e6);
    }
    load.count = count;
    print_load(&load, "bury", every);
    must(pqdb_close(load.db, &err), &err);
    free(load.took);
    free(load.late);
}

// ---- too little memory ------------------------------------------------------------------------

static const char grouped[] =
    "{ Hit: { $ingest: 'custom:hit', user: 'int!', bytes: 'int!' },"
    "  ByUser: { $from: 'Hit', $groupBy: ['user'], $compute: { hits: { $count: '*' },"
    "    sum: { $sum: 'bytes' }, most: { $max: 'bytes' } } } }";

static double hit(uint64_t groups, const char *directory, size_t memory, pqdb_memory *held) {
    enum { rows = 10000, line = 48 };
    const pqdb_options options = {.memory_bytes = memory};
    char *text = must_have(malloc(rows * line));
    pqdb_error err;
    pqdb_db *db = make_database(directory, grouped, &options);
    const double began = seconds();
    for (uint64_t first = 0; first < 3 * groups; first += rows) {
        size_t used = 0;
        for (uint64_t i = first; i < first + rows; i++) {
            const uint64_t user = i < groups ? i : order_mix(i) % groups;
            used += (size_t)snprintf(text + used, line, "{\"user\":%" PRIu64 ",\"bytes\":%u}\n",
                                     user, (unsigned)(order_mix(i) >> 44));
        }
        create(db, "Hit", text, used);
    }
    const double took = seconds() - began;
    pqdb_status status;
    must(pqdb_status_get(db, &status, &err), &err);
    *held = status.memory;
    pqdb_verified verified;
    must(pqdb_view_verify(db, "ByUser", NULL, NULL, &verified, &err), &err);
    if (verified.differences != 0) {
        fprintf(stderr, "store_bench: %" PRIu64 " groups are wrong\n", verified.differences);
        exit(EXIT_FAILURE);
    }
    must(pqdb_close(db, &err), &err);
    free(text);
    return took;
}

static void spill(uint64_t groups, const char *directory) {
    char path[1024];
    pqdb_memory all, quarter;
    snprintf(path, sizeof path, "%s.enough", directory);
    const double enough = hit(groups, path, 0, &all);
    const size_t budget = (all.states + all.rows) / 4;
    const double little = hit(groups, directory, budget, &quarter);
    printf("{\"phase\":\"spill\",\"groups\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"needed_mib\":%.0f,"
           "\"budget_mib\":%.0f,\"seconds\":%.3f,\"enough_seconds\":%.3f}\n",
           groups, 3 * groups, (double)(all.states + all.rows) / (1 << 20),
           (double)budget / (1 << 20), little, enough);
}

int main(int argc, char **argv) {
    static const struct phase {
        const char *name;
        void (*run)(uint64_t size, const char *directory);
    } phases[] = {{"open", open_again}, {"update", update_all}, {"load70", beside},
                  {"spill", spill}};
    const char *name = argc == 4 ? argv[1] : "";
    if (strcmp(name, "crash") == 0 || strcmp(name, "replay") == 0) {
        come_back(name, strtoull(argv[2], NULL, 10), argv[3]);
        return EXIT_SUCCESS;
    }
    for (size_t i = 0; i < sizeof phases / sizeof *phases; i++) {
        if (strcmp(name, phases[i].name) != 0) continue;
        phases[i].run(strtoull(argv[2], NULL, 10), argv[3]);
        return EXIT_SUCCESS;
    }
    fprintf(stderr, "usage: store_bench crash|replay MIB DIR | open|update|load70 ROWS DIR | "
                    "spill GROUPS DIR\n");
    return 2;
}
