/// Goal: views are made, altered, refreshed in every way, appended to, and dropped, whole or not at
/// all, whatever fails (support/story.h): on a view, on a view on a view, with a schedule.
#include "support/story.h"
#include "support/test.h"

static const char schema[] =
    "{ P: { name: 'string!' },\n"
    "  I: { k: 'string!', n: 'int!', p: '-> P', tag: 'string#', $shred: ['v.k'] },\n"
    "  Wide: { $from: 'I', $expand: ['p'], $filter: { p_name: { $ne: 'nobody' } } },\n"
    "  OnWide: { $from: 'Wide', $groupBy: ['p_name', 'v.k'],\n"
    "            $compute: { rows: { $count: '*' } } },\n"
    "  Low: { $from: 'I', $filter: { n: { $lt: 50 } } },\n"
    "  Later: { $from: 'Low', $groupBy: ['k'], $compute: { rows: { $count: '*' },\n"
    "           mid: { $median: 'n' } }, $refresh: { mode: 'manual' } },\n"
    "  Above: { $from: 'Later', $filter: { rows: { $gt: 1 } } },\n"
    "  Hourly: { $from: 'I', $groupBy: ['p'], $compute: { sum: { $sum: 'n' } },\n"
    "            $refresh: { mode: 'scheduled', schedule: '0 * * * *' } },\n"
    "  Seen: { $from: 'I', $select: { n: '$n', p: '$p.name' },\n"
    "          $refresh: { strategy: 'append' } },\n"
    "  Rolled: { $from: 'Low', $groupBy: ['k'], $compute: { sum: { $sum: 'n' } },\n"
    "            $refresh: { mode: 'manual', strategy: 'append' } } }";

static const struct story_step steps[] = {
    {"create", "P", "", "[{\"$id\":\"a\",\"name\":\"Ann\"},{\"$id\":\"b\",\"name\":\"Bo\"}]"},
    {"create", "I", "",
     "[{\"$id\":\"1\",\"k\":\"x\",\"n\":1,\"p\":\"a\",\"v\":{\"k\":1}},"
     "{\"$id\":\"2\",\"k\":\"x\",\"n\":2,\"tag\":\"t\"},"
     "{\"$id\":\"3\",\"k\":\"y\",\"n\":70,\"p\":\"b\"}]"},
    {"refresh", "Later", "", ""},
    {"refresh", "Rolled", "", ""},
    {"view", "Made", "",
     "{ $from: 'Low', $groupBy: ['k'], $compute: { rows: { $count: '*' }, low: { $min: 'n' } } }"},
    {"view", "OnMade", "", "{ $from: 'Made', $compute: { groups: { $count: '*' } } }"},
    {"create", "I", "", "[{\"$id\":\"4\",\"k\":\"y\",\"n\":4,\"p\":\"a\",\"v\":{\"k\":\"q\"}}]"},
    {"checkpoint", "", "", ""},
    {"refresh", "Later", "", ""},
    {"at", "", "", "1"},
    {"due", "Hourly", "", ""},
    {"update", "I", "{ k: 'x' }", "{ $inc: { n: 3 } }"},
    {"alter", "Made", "", "{ $groupBy: ['k', 'p'] }"},
    {"refresh", "Rolled", "", ""},
    {"ask", "", "", ""},
    {"refresh", "Later", "", ""},  // what is to stream is refreshed first, in a commit of its own
    {"alter", "Later", "", "{ mode: 'streaming' }"},
    {"delete", "I", "{ $id: '2' }", ""},
    {"checkpoint", "", "", ""},
    {"full", "Low", "", ""},
    {"alter", "Later", "", "{ mode: 'manual', gracePeriod: '5m' }"},
    {"close", "", "", ""},
    {"create", "I", "", "[{\"$id\":\"5\",\"k\":\"z\",\"n\":5,\"p\":\"b\"}]"},
    {"drop", "Made", "", ""},
    {"full", "Later", "", ""},
    {"at", "", "", "3"},
    {"due", "Hourly", "", ""},
    {"view", "Made", "", "{ $from: 'I', $select: { n: '$n', name: '$p.name' } }"},
    {"update", "P", "a", "{ $set: { name: 'Anna' } }"},
    {"discard", "Seen", "", ""},
    {"checkpoint", "", "", ""},
    {"discard", "Rolled", "", ""},
    {"drop", "Later", "", ""},
    {"create", "I", "", "[{\"$id\":\"6\",\"k\":\"x\",\"n\":6}]"},
};

int main(void) {
    struct story story = {
        .name = "views", .schema = schema, STORY_STEPS(steps),
        .more = {"create", "I", "", "[{\"$id\":\"9\",\"k\":\"y\",\"n\":9}]"},
        .log_segment_bytes = 1 << 13, .crash_stride = 11, .error_stride = 97,
        .memory_stride = 1999};
    story_sweep(&story);
    return test_done();
}
