/// Goal: a schema is applied whole or not at all, whatever fails (support/story.h): fields come,
/// get another name, type or rule, and go; collections and views come, change their name and go.
#include "support/story.h"
#include "support/test.h"

#define VIEWS                                                                                 \
    "  Low: { $from: 'I', $filter: { n: { $lt: 50 } } },\n"                                   \
    "  ByK: { $from: 'Low', $groupBy: ['k'], $compute: { rows: { $count: '*' },\n"            \
    "         high: { $max: 'n' } } },\n"                                                     \
    "  Later: { $from: 'I', $groupBy: ['k'], $compute: { sum: { $sum: 'n' } },\n"             \
    "           $refresh: { mode: 'manual' } },\n"

static const char first[] =
    "{ P: { name: 'string!' },\n"
    "  I: { k: 'string!', n: 'int!', p: '-> P', tag: 'string#' },\n" VIEWS
    "  Feed: { $ingest: 'custom:feed', x: 'int!', v: 'variant' },\n"
    "  Kinds: { $from: 'Feed', $groupBy: ['v.kind'], $compute: { c: { $count: '*' } } } }";
/// One field more, one wider, one with another name.
static const char second[] =
    "{ P: { name: 'string!', age: 'int = 7' },\n"
    "  I: { $was: { label: 'tag' }, k: 'string!', n: 'int!', p: '-> P', label: 'string#',\n"
    "       fresh: 'int[]', $shred: ['more.x', 'other.k'] },\n" VIEWS
    "  Feed: { $ingest: 'custom:feed', x: 'int', v: 'variant', $shred: 'auto' },\n"
    "  Kinds: { $from: 'Feed', $groupBy: ['v.kind'], $compute: { c: { $count: '*' } } } }";
/// Another view, another definition, a field and a stream that go.
static const char third[] =
    "{ P: { name: 'string!', age: 'int = 7' },\n"
    "  I: { k: 'string!', n: 'int!', p: '-> P', fresh: 'int[]', $shred: ['other.k'] },\n"
    "  Q: { of: '-> I' },\n"
    "  Sum: { $from: 'I', $compute: { sum: { $sum: 'n' } } },\n"
    "  OnSum: { $from: 'Sum', $filter: { sum: { $gt: 3 } } },\n" VIEWS "}";
static const char fourth[] =
    "{ Person: { $was: 'P', $type: 'P', name: 'string!', age: 'int = 7' },\n"
    "  I: { k: 'string!', n: 'int!', p: '-> Person', fresh: 'int[]', u: 'string##' },\n"
    "  Low: { $from: 'I', $filter: { n: { $lt: 5 } } },\n"
    "  ByK: { $from: 'Low', $groupBy: ['k'], $compute: { rows: { $count: '*' } } } }";

static const struct story_step steps[] = {
    {"create", "P", "", "[{\"$id\":\"a\",\"name\":\"Ann\"},{\"$id\":\"b\",\"name\":\"Bo\"}]"},
    {"create", "I", "",
     "[{\"$id\":\"1\",\"k\":\"x\",\"n\":1,\"p\":\"a\",\"tag\":\"t\"},"
     "{\"$id\":\"2\",\"k\":\"x\",\"n\":2,\"more\":[1]},"
     "{\"$id\":\"3\",\"k\":\"y\",\"n\":70,\"p\":\"b\"}]"},
    {"create", "Feed", "", "[{\"$id\":\"f\",\"x\":1,\"v\":{\"kind\":\"a\"}},"
     "{\"$id\":\"g\",\"x\":2}]"},
    {"refresh", "Later", "", ""},
    {"checkpoint", "", "", ""},
    {"update", "I", "{ k: 'x' }", "{ $inc: { n: 3 } }"},
    {"apply", "", "", second},
    {"create", "I", "", "[{\"$id\":\"4\",\"k\":\"y\",\"n\":4,\"label\":\"l\",\"fresh\":[1,2],"
     "\"other\":{\"k\":\"z\"}}]"},
    {"create", "P", "", "[{\"$id\":\"c\",\"name\":\"Cy\"}]"},
    {"ask", "", "", ""},
    {"checkpoint", "", "", ""},
    {"apply", "", "Feed", "{ P: { name: 'string!', age: 'int = 7' },\n"
     "  I: { k: 'string!', n: 'int!', p: '-> P', label: 'string#', fresh: 'int[]' },\n" VIEWS "}"},
    {"apply", "", "I.label", third},
    {"create", "Q", "", "[{\"$id\":\"q\",\"of\":\"1\"}]"},
    {"refresh", "Later", "", ""},
    {"close", "", "", ""},
    {"update", "I", "1", "{ $set: { fresh: [9] } }"},
    {"apply", "", "Q", fourth},
    {"create", "I", "", "[{\"$id\":\"5\",\"k\":\"z\",\"n\":3,\"u\":\"u\",\"p\":\"c\"}]"},
    {"checkpoint", "", "", ""},
    {"delete", "I", "{ n: { $gt: 60 } }", ""},
};

int main(void) {
    struct story story = {
        .name = "schema", .schema = first, STORY_STEPS(steps),
        .more = {"create", "I", "", "[{\"$id\":\"9\",\"k\":\"y\",\"n\":9}]"},
        .log_segment_bytes = 1 << 13, .crash_stride = 9, .error_stride = 71,
        .memory_stride = 1499};
    story_sweep(&story);
    return test_done();
}
