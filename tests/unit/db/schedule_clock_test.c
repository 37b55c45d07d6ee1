/// Goal: scheduled views do not run all at once, and yet each runs every slot once; how late one is
/// follows from its name. The background needs no clock on the wall that goes as the machine's.
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/bytes.h"
#include "db/schedule.h"
#include "db/view_internal.h"
#include "support/db_calls.h"
#include "support/moving_clock.h"

static pqdb_error err;
enum { views_each = 10 };

/// Views that run every minute, every hour and every night, ten each.
static const char *const kinds[] = {"* * * * *", "0 * * * *", "30 2 * * *"};
enum { kind_count = sizeof kinds / sizeof *kinds, view_count = kind_count * views_each };

static pqdb_db *begin(struct fault_store **disk) {
    struct pq_open_with with = db_with(*disk = fault_store_create());
    struct pq_bytes schema;
    with.env = &moving_env;
    pq_bytes_init(&schema, &pq_alloc_libc);
    pq_bytes_printf(&schema, NULL, "{ Item: { n: 'int!' },\n");
    for (int v = 0; v < view_count; v++) {
        pq_bytes_printf(&schema, NULL, "  View%d: { $from: 'Item', $filter: { n: %d },\n"
                        "    $refresh: { mode: 'scheduled', schedule: '%s' } },\n", v, v,
                        kinds[v / views_each]);
    }
    pq_bytes_printf(&schema, NULL, "}");
    pq_bytes_append_byte(&schema, 0, NULL);
    pqdb_db *db = db_make(with, (const char *)schema.data);
    pq_bytes_deinit(&schema);
    return db;
}

struct runs {
    int count;
    int64_t slot_us;
    int64_t late_us;  // of the last one
};

static int64_t slot_of(pqdb_db *db, int v) {
    char name[16];
    snprintf(name, sizeof name, "View%d", v);
    return pq_db_find(db, pq_text_of(name))->facts.slot_us;
}

/// A look five times a second; what runs is counted, at most `late_max` after its slot, and each
/// view as late as the time before.
static void watch(pqdb_db *db, int64_t until_us, struct runs runs[static view_count]) {
    for (; clock_us < until_us; pass(minute / 300)) {
        if (!pq_db_schedule_is_due(db)) continue;
        pq_db_schedule_run(db);
        for (int v = 0; v < view_count; v++) {
            const int64_t slot_us = slot_of(db, v), late_us = clock_us - slot_us;
            if (slot_us == runs[v].slot_us) continue;
            const int64_t late_max = v < views_each ? minute / 20 : minute / 6;
            CHECK(late_us >= 0 && late_us <= late_max + minute / 300, "View%d: %" PRId64 " late", v,
                  late_us);
            CHECK(runs[v].count == 0 || late_us == runs[v].late_us, "View%d: another delay", v);
            runs[v] = (struct runs){runs[v].count + 1, slot_us, late_us};
        }
    }
}

static void views_run_one_by_one_and_every_slot_once(void) {
    struct fault_store *disk;
    clock_us = march_2026 + 30 * minute;
    pqdb_db *db = begin(&disk);
    pq_db_schedule_run(db);
    static struct runs runs[view_count], again[view_count];
    for (int v = 0; v < view_count; v++) runs[v].slot_us = slot_of(db, v);
    db_put(db, "Item", "[{\"n\":1},{\"n\":11},{\"n\":21}]");
    const int64_t late = march_2026 + 2 * hour + 10 * minute;
    clock_us = late + minute / 3;  // all but the nightly ones have missed some, and make good one
    pq_db_schedule_run(db);
    for (int v = 0; v < view_count; v++) {
        const int64_t slot_us = v < views_each       ? late
                                : v < 2 * views_each ? late - 10 * minute
                                                     : runs[v].slot_us;
        CHECK(slot_of(db, v) == slot_us, "View%d: %" PRId64, v, slot_of(db, v) - slot_us);
        runs[v].slot_us = slot_us;
    }
    watch(db, march_2026 + 3 * hour + 10 * minute, runs);
    struct pq_open_with with = db_with(disk);
    with.env = &moving_env;
    db = db_reopen(db, with);
    for (int v = 0; v < view_count; v++) again[v].slot_us = runs[v].slot_us;
    watch(db, march_2026 + 4 * hour + 10 * minute, again);
    for (int kind = 0; kind < kind_count; kind++) {
        int together = 0;
        for (int v = kind * views_each; v < (kind + 1) * views_each; v++) {
            CHECK(runs[v].count == (kind == 0 ? 59 : 1), "View%d: %d runs", v, runs[v].count);
            if (kind == 2) continue;
            CHECK(again[v].late_us == runs[v].late_us, "View%d: late by what it is called", v);
            together += runs[v].late_us == runs[kind * views_each].late_us;
        }
        CHECK(kind == 2 || together < views_each / 2, "%d of %d at once", together, views_each);
    }
    db_end(db, disk);
}

// ---- the background ----------------------------------------------------------------------------

static _Atomic int64_t far_us;
static int64_t far_now_us(void *ctx) { (void)ctx; return far_us; }

static pqdb_view_state state_of(pqdb_db *db, const char *view) {
    pqdb_view_state state = {.state = ""};
    MUST(pqdb_view_state_get(db, view, &state, &err));
    return state;
}

/// In the year 2075, by a clock that stands but for one step of an hour, and one back.
static void the_background_goes_on_whatever_the_clock_shows(void) {
    struct fault_store *disk = fault_store_create();
    struct pq_env env = pq_env_system;
    env.now_us = far_now_us;
    struct pq_open_with with = db_with(disk);
    with.env = &env;
    with.no_keeper = false;
    far_us = INT64_C(3313526400) * 1000000 + 30 * minute;
    const int64_t steps[] = {hour, -20 * minute, 3 * hour};
    const pqdb_options options = {.schedule = true};
    pqdb_db *db = NULL;
    MUST(pq_db_init_with(&with, PQ_TEXT("{ Item: { n: 'int!' }, Often: { $from: 'Item', $refresh: "
                                        "{ mode: 'scheduled', schedule: '0 * * * *' } } }"), &err));
    MUST(pq_db_open_with(&with, &options, &db, &err));
    for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
        db_put(db, "Item", "{\"n\":1}");
        far_us += steps[k];
        const bool runs = steps[k] > 0;
        for (int i = 0; i < 3000 && runs && state_of(db, "Often").rows != k + 1; i++) {
            env.sleep_ns(env.ctx, 10 * 1000 * 1000);
        }
        CHECK(!runs || state_of(db, "Often").rows == k + 1, "step %zu: %s", k,
              state_of(db, "Often").reason);
    }
    db_end(db, disk);
}

int main(void) {
    RUN(views_run_one_by_one_and_every_slot_once);
    RUN(the_background_goes_on_whatever_the_clock_shows);
    return test_done();
}
