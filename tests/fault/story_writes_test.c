/// Goal: what callers write, create, update, upsert, delete, replace, in batches and with tokens,
/// is there whole or not at all, whatever fails (support/story.h), and every view is exact.
#include "support/story.h"
#include "support/test.h"

static const char schema[] =
    "{ C: { name: 'string' },\n"
    "  T: { n: 'int!', u: 'string##', tag: 'string#', c: '-> C', l: 'string[]', a: { x: 'int' },\n"
    "       d: 'decimal(8,2) = 1', $shred: ['more.k', 'less.k'] },\n"
    "  F: { $ingest: 'custom:f', x: 'int!', v: 'variant', $shred: 'auto' },\n"
    "  Low: { $from: 'T', $filter: { n: { $lt: 5 } } },\n"
    "  Wide: { $from: 'T', $expand: ['c'] },\n"
    "  Kinds: { $from: 'F', $groupBy: ['v.kind'], $compute: { high: { $max: 'v.n' } } },\n"
    "  Tags: { $from: 'T', $unnest: 'l' },\n"
    "  PerTag: { $from: 'Tags', $groupBy: ['l'], $compute: { rows: { $count: '*' } } },\n"
    "  ByC: { $from: 'T', $groupBy: ['c'], $compute: { rows: { $count: '*' },\n"
    "    sum: { $sum: 'd' }, mean: { $avg: 'd' }, low: { $min: 'n' }, high: { $max: 'n' },\n"
    "    first: { $first: 'n' }, last: { $last: 'less' }, mid: { $median: 'n' },\n"
    "    kinds: { $countDistinct: 'u' }, top: { $topK: ['n', 2] } } },\n"
    "  All: { $from: 'F', $compute: { sum: { $sum: 'x' } } } }";

static const struct story_step steps[] = {
    {"create", "C", "", "[{\"$id\":\"ann\"},{\"$id\":\"bob\"}]"},
    {"create", "T", "",
     "[{\"$id\":\"1\",\"n\":1,\"u\":\"a\",\"c\":\"ann\",\"l\":[\"x\",\"y\"],\"tag\":\"t\","
     "\"more\":{\"k\":1}},"
     "{\"$id\":\"2\",\"n\":2,\"u\":\"b\",\"c\":\"bob\",\"l\":[\"x\"]},"
     "{\"$id\":\"3\",\"n\":3,\"c\":\"ann\"}]"},
    {"update", "T", "1", "{ $inc: { n: 10, d: 0.5 }, $push: { l: 'z' }, $set: { 'a.x': 1 } }"},
    {"update", "T", "{ n: { $lt: 5 } }", "{ $set: { c: 'bob', tag: 't' }, $addToSet: { l: 'w' } }"},
    {"upsert", "T", "{ $id: '4', u: 'd' }", "{ $set: { n: 4 }, $setOnInsert: { l: ['new'] } }"},
    {"checkpoint", "", "", ""},
    {"update", "T", "{}", "{ $inc: { n: 1 }, $rename: { more: 'less' } }"},
    {"delete", "T", "2", ""},
    {"upsert", "T", "{ u: 'd' }", "{ $inc: { n: 1 }, $pull: { l: 'new' } }"},
    {"create", "F", "", "[{\"$id\":\"f\",\"x\":1,\"v\":{\"kind\":\"a\",\"n\":7}},"
     "{\"$id\":\"g\",\"x\":2,\"v\":{\"kind\":3,\"n\":\"x\"}}]"},
    {"close", "", "", ""},
    {"replace", "T", "",
     "[{\"$id\":\"1\",\"n\":0,\"u\":\"b\"},{\"$id\":\"2\",\"n\":9,\"u\":\"a\"}]"},
    {"ask", "", "", ""},
    {"update", "F", "f", "{ $mul: { x: 10 }, $set: { 'v.n': 9.5 } }"},
    {"update", "C", "ann", "{ $set: { name: 'Ann' } }"},
    {"checkpoint", "", "", ""},
    {"delete", "T", "{ n: { $gt: 4 } }", ""},
    {"create", "T", "", "[{\"$id\":\"2\",\"n\":5,\"u\":\"c\",\"c\":\"ann\"}]"},
    {"update", "T", "{ $id: { $in: ['1', '2'] } }", "{ $unset: { u: 1 }, $max: { n: 3 } }"},
    {"delete", "F", "{}", ""},
    {"checkpoint", "", "", ""},
};

int main(void) {
    struct story story = {
        .name = "writes", .schema = schema, STORY_STEPS(steps),
        .more = {"create", "T", "", "[{\"$id\":\"9\",\"n\":9}]"},
        .log_segment_bytes = 1 << 13, .crash_stride = 7, .error_stride = 61,
        .memory_stride = 997};
    story_sweep(&story);
    return test_done();
}
