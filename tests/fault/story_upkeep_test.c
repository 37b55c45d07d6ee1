/// Goal: what a database does for itself, checkpoints, merges of files, vacuum, retention of
/// streams, segments of the log that are taken again, loses and leaks nothing, whatever fails
/// (support/story.h).
#include "support/story.h"
#include "support/test.h"

static const char schema[] =
    "{ I: { k: 'string!', n: 'int!', u: 'string##', $history: '1ms', $shred: 'auto' },\n"
    "  Event: { $ingest: 'custom:event', at: 'timestamp', k: 'string!', n: 'int!',\n"
    "           $retention: { after: '1h', by: 'at' }, $history: '1ms' },\n"
    "  Low: { $from: 'I', $filter: { n: { $lt: 50 } } },\n"
    "  ByV: { $from: 'I', $groupBy: ['v.k'], $compute: { sum: { $sum: 'v.n' } } },\n"
    "  ByK: { $from: 'Low', $groupBy: ['k'], $compute: { rows: { $count: '*' },\n"
    "         low: { $min: 'n' }, kinds: { $countDistinct: 'u' } } },\n"
    "  Events: { $from: 'Event', $groupBy: ['k'], $compute: { c: { $count: '*' },\n"
    "            high: { $max: 'n' } } },\n"
    "  Ever: { $from: 'Event', $groupBy: ['k'], $compute: { c: { $count: '*' } },\n"
    "          $onRetention: 'keep' } }";

/// Each round is a file of I more, until eight of them are one.
#define ROUND(n)                                                                                 \
    {"create", "I", "",                                                                          \
     "[{\"$id\":\"a" n "\",\"k\":\"x\",\"n\":" n ",\"u\":\"a" n "\","                             \
     "\"v\":{\"k\":\"" n "\",\"n\":" n "}},"                                                   \
     "{\"$id\":\"b" n "\",\"k\":\"y\",\"n\":6" n "}]"},                                          \
    {"update", "I", "{ k: 'x' }", "{ $inc: { n: 1 } }"},                                         \
    {"checkpoint", "", "", ""}

static const struct story_step steps[] = {
    ROUND("0"), ROUND("1"),
    {"create", "Event", "",
     "[{\"$id\":\"e\",\"k\":\"x\",\"n\":1,\"at\":\"2026-03-01T00:00:00Z\"},"
     "{\"$id\":\"f\",\"k\":\"y\",\"n\":2,\"at\":\"2026-03-01T03:00:00Z\"}]"},
    ROUND("2"), ROUND("3"),
    {"vacuum", "Low", "", ""},
    {"at", "", "", "2"},
    {"retain", "", "", ""},
    {"ask", "", "", ""},
    ROUND("4"), ROUND("5"),
    {"close", "", "", ""},
    {"delete", "I", "{ k: 'y', n: { $lt: 64 } }", ""},
    ROUND("6"), ROUND("7"), ROUND("8"),
    {"vacuum", "ByK", "", ""},
    {"at", "", "", "5"},
    {"retain", "", "", ""},
    ROUND("9"),
};

int main(void) {
    struct story story = {
        .name = "upkeep", .schema = schema, STORY_STEPS(steps),
        .more = {"create", "I", "", "[{\"$id\":\"z\",\"k\":\"y\",\"n\":9}]"},
        .merge_rows = 1, .tokens_max = 8, .log_segment_bytes = 1 << 12, .cut_run_bytes = 1,
        .crash_stride = 41, .error_stride = 173, .memory_stride = 3989};
    story_sweep(&story);
    return test_done();
}
