/// Scheduled views of a world: hourly, by a clock that the world's steps move.
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "db/schedule.h"
#include "support/db_world.h"
#include "support/law_world.h"
#include "support/test.h"

static pqdb_error err;
struct world_counts world_counts;

// ---- the clock --------------------------------------------------------------------------------

static const int64_t minute_us = INT64_C(60) * 1000000, hour_us = 60 * minute_us;
static _Atomic int64_t wall_us;
static _Atomic uint64_t runs_ns;  // of the clock that is never set

static int64_t now_us(void *ctx) {
    (void)ctx;
    return atomic_fetch_add(&wall_us, 10) + 10;
}
static uint64_t monotonic_ns(void *ctx) {
    (void)ctx;
    return atomic_fetch_add(&runs_ns, 10000) + 10000;
}

/// Half a minute past ten: later than any view is allowed to be behind its hour, or any minute
/// that the clock is moved to.
struct pq_env world_clock_begin(void) {
    struct pq_env env = db_world_env;
    wall_us = INT64_C(1768471230) * 1000000;
    runs_ns = 1;
    env.now_us = now_us;
    env.monotonic_ns = monotonic_ns;
    return env;
}

int64_t world_now_us(struct world *w) {
    return w->disk != NULL ? wall_us : pq_env_system.now_us(pq_env_system.ctx);
}

static void move_clock(struct world *w) {
    static const int64_t minutes[] = {7, 61, 61, 190, -25, -61, -240};
    const int64_t by = minutes[world_roll(w, sizeof minutes / sizeof *minutes)];
    world_tell("the clock moves by", naive_text("%d min", (int)by), "");
    wall_us += by * minute_us;
    if (by > 0) runs_ns += (uint64_t)(by * minute_us) * 1000;
}

// ---- slots ------------------------------------------------------------------------------------

static int64_t slot_of(struct world *w, int t) {
    pqdb_view_state state = {0};
    const char *name = w->naive.tables[t].name;
    WORLD_MUST(w, pqdb_view_state_get(w->db, name, &state, &err), name);
    if (!w->failed && state.last_error[0] != '\0') world_fail(w, "%s: %s", name, state.last_error);
    return state.last_slot_us;
}

void world_note_slots(struct world *w) {
    for (int t = w->collections; t < w->naive.table_count && !w->failed; t++) {
        if (w->modes[t] == SCHEDULED && !world_lacks(w, t)) w->slots_us[t] = slot_of(w, t);
    }
}

void world_check_slots(struct world *w) {
    for (int t = w->collections; t < w->naive.table_count && !w->failed; t++) {
        if (w->modes[t] != SCHEDULED || world_lacks(w, t)) continue;
        const int64_t slot_us = slot_of(w, t);
        if (slot_us == w->slots_us[t]) continue;
        world_fail(w, "%s: the slot %" PRId64 " was done, now it is %" PRId64,
                   w->naive.tables[t].name, w->slots_us[t] / 1000000, slot_us / 1000000);
    }
}

/// '0 * * * *': the last full hour, unless it is done; and where the clock was set back behind what
/// is done, the new time holds at once.
static bool is_due(const struct world *w, int t, int64_t now) {
    const int64_t full_us = now / hour_us * hour_us;
    return full_us > w->slots_us[t] || w->slots_us[t] - now >= minute_us;
}

static void expect(struct world *w, int t, int64_t slot_us, int64_t now) {
    const int64_t expected_us = is_due(w, t, now) ? now / hour_us * hour_us : w->slots_us[t];
    if (w->failed || slot_us == expected_us) return;
    world_fail(w, "%s: at %" PRId64 " slot %" PRId64 " is done, not %" PRId64,
               w->naive.tables[t].name, now / 1000000, slot_us / 1000000, expected_us / 1000000);
}

// ---- what is due ------------------------------------------------------------------------------

/// As `view refresh --due` asks, view by view.
static void run_by_name(struct world *w, int t) {
    const char *name = w->naive.tables[t].name;
    pqdb_refreshed refreshed = {.reason = ""};
    const int64_t now = wall_us;
    const bool runs = is_due(w, t, now);
    world_tell("refresh --due", name, runs ? "it is time" : "");
    WORLD_MUST(w, pqdb_view_refresh_due(w->db, name, &refreshed, &err), name);
    if (w->failed) return;
    if (runs == (strcmp(refreshed.reason, "it is not due") == 0)) {
        world_fail(w, "%s is %sdue: %s", name, runs ? "" : "not ", refreshed.reason);
    }
    expect(w, t, slot_of(w, t), now);
    if (!runs || w->failed) return;
    world_counts.due++;
    if (!w->appends[t]) {
        world_refreshed(w, t);
    } else if (strcmp(refreshed.kind, "none") != 0) {
        world_compute(w);
        world_append(w, t, refreshed.version);
    }
}

/// As the background does it; not where the version of each refresh has to be known.
static void run_all(struct world *w) {
    bool runs[NAIVE_TABLES] = {false};
    const int64_t now = wall_us;
    for (int t = w->collections; t < w->naive.table_count; t++) {
        runs[t] = w->modes[t] == SCHEDULED && !world_lacks(w, t) && is_due(w, t, now);
    }
    world_tell("the schedule runs", "", "");
    pq_db_schedule_run(w->db);
    for (int t = w->collections; t < w->naive.table_count && !w->failed; t++) {
        if (w->modes[t] != SCHEDULED || world_lacks(w, t)) continue;
        expect(w, t, slot_of(w, t), now);
        if (!runs[t]) continue;
        world_counts.due++;
        world_refreshed(w, t);
    }
}

static void run_due(struct world *w) {
    bool appends = false;
    world_note_slots(w);
    for (int t = w->collections; t < w->naive.table_count; t++) {
        appends = appends || (w->modes[t] == SCHEDULED && w->appends[t] && !world_lacks(w, t));
    }
    if (!appends && world_roll(w, 2) == 0) {
        run_all(w);
        return;
    }
    for (int t = w->collections; t < w->naive.table_count && !w->failed; t++) {
        if (w->modes[t] == SCHEDULED && !world_lacks(w, t)) run_by_name(w, t);
    }
}

void world_pass_time(struct world *w) {
    if (w->disk == NULL) return;
    move_clock(w);
    const uint64_t then = world_roll(w, 4);
    if (then == 0) world_reopen(w);  // what is missed meanwhile is made good once
    if (then == 1) world_lose_power(w);
    if (!w->failed) run_due(w);
    if (w->failed) return;
    const uint64_t version = world_version(w);
    pq_db_schedule_run(w->db);
    if (world_version(w) != version) world_fail(w, "the schedule ran twice");
    if (world_roll(w, 3) == 0) world_lose_power(w);
}
