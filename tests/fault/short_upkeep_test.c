/// Goal: each piece of upkeep alone, a checkpoint, a merge of files, one of runs, a vacuum, a
/// retention, an opening behind a kill, loses and leaks nothing wherever the power fails: every
/// call, each way of losing what was not synced; every call that fails (support/story.h). Lives are
/// short, so that nothing is left out; of allocations every fifth.
#include "support/story.h"
#include "support/test.h"

static const char schema[] =
    "{ T: { n: 'int!', u: 'string##', c: '-> T', $history: '1ms', $shred: ['v.k'] },\n"
    "  E: { $ingest: 'custom:e', at: 'timestamp', n: 'int!', $history: '1ms',\n"
    "       $retention: { after: '1h', by: 'at' } },\n"
    "  ByK: { $from: 'T', $groupBy: ['v.k'], $compute: { rows: { $count: '*' },\n"
    "         low: { $min: 'n' } } },\n"
    "  All: { $from: 'E', $compute: { rows: { $count: '*' }, high: { $max: 'n' } } } }";

#define ROWS(n)                                                                                \
    {"create", "T", "",                                                                        \
     "[{\"$id\":\"a" n "\",\"n\":" n ",\"u\":\"" n "\",\"c\":\"a" n "\",\"v\":{\"k\":\"x\"}}," \
     "{\"$id\":\"b" n "\",\"n\":" n "0,\"v\":{\"k\":" n "}}]"}
#define CHANGE {"update", "T", "{ 'v.k': 'x' }", "{ $inc: { n: 1 } }"}
#define CHECKPOINT {"checkpoint", "", "", ""}
#define ROUND(n) ROWS(n), CHANGE, CHECKPOINT
#define EVENTS                                                                                 \
    {"create", "E", "",                                                                        \
     "[{\"$id\":\"e\",\"n\":1,\"at\":\"2026-03-01T00:00:00Z\"},"                               \
     "{\"$id\":\"f\",\"n\":2,\"at\":\"2026-03-01T03:00:00Z\"}]"}

/// The first one that a database makes, and one that goes on from it.
static const struct story_step first[] = {ROWS("1"), EVENTS, CHECKPOINT};
static const struct story_step next[] = {ROUND("1"), ROWS("2"), {"delete", "T", "a1", ""},
                                         CHECKPOINT};
/// The eighth file: they become one.
static const struct story_step merge[] = {ROUND("1"), ROUND("2"), ROUND("3"), ROUND("4"),
                                          ROUND("5"), ROUND("6"), ROUND("7"), ROWS("8"),
                                          CHECKPOINT};
/// What changes again and again is merged beside the checkpoint, which is followed by another one.
static const struct story_step runs[] = {ROUND("1"), ROWS("2"), CHECKPOINT};
static const struct story_step vacuum[] = {ROUND("1"), ROUND("2"), ROUND("3"),
                                           {"vacuum", "ByK", "", ""}};
static const struct story_step retention[] = {EVENTS, CHECKPOINT, {"at", "", "", "2"},
                                              {"retain", "", "", ""}};
/// What only the log has; what a root has, and the log behind it.
static const struct story_step replay[] = {ROWS("1"), EVENTS, CHANGE};
static const struct story_step resume[] = {ROUND("1"), ROWS("2"), CHANGE,
                                           {"delete", "T", "b1", ""}};
/// The clean close itself, and the opening behind it.
static const struct story_step reopen[] = {ROUND("1"), ROWS("2"), {"close", "", "", ""}};

static struct story stories[] = {
    {.name = "first checkpoint", STORY_STEPS(first), .before = 2},
    {.name = "checkpoint", STORY_STEPS(next), .before = 5},
    {.name = "merge", STORY_STEPS(merge), .before = 22, .merge_rows = 1},
    {.name = "runs", STORY_STEPS(runs), .before = 4, .cut_run_bytes = 1},
    {.name = "vacuum", STORY_STEPS(vacuum), .before = 9},
    {.name = "retention", STORY_STEPS(retention), .before = 3},
    {.name = "replay", STORY_STEPS(replay), .before = 3, .is_killed = true},
    {.name = "root and replay", STORY_STEPS(resume), .before = 6, .is_killed = true},
    {.name = "reopen", STORY_STEPS(reopen), .before = 4},
};

int main(void) {
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        struct story *story = &stories[i];
        story->schema = schema;
        story->more = (struct story_step){"create", "T", "", "[{\"$id\":\"9\",\"n\":9}]"};
        story->log_segment_bytes = 1 << 13;
        story->crash_stride = story->error_stride = 1;
        story->memory_stride = 5;
        story_sweep(story);
    }
    return test_done();
}
