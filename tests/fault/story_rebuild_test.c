/// Goal: old contents of a view whose definition has changed stay through everything that fails
/// (support/story.h): the new ones cannot be made for a while, and then they can.
#include "support/story.h"
#include "support/test.h"

/// Of two rows it is too much.
#define TOO_MUCH "{ $cond: [{ $gt: ['$n', 0] }, 9223372036854775807, 0] }"

static const char schema[] =
    "{ I: { k: 'string!', n: 'int!' },\n"
    "  J: { n: 'int!' },\n"
    "  Low: { $from: 'I', $filter: { n: { $lt: 50 } } },\n"
    "  ByK: { $from: 'Low', $groupBy: ['k'], $compute: { rows: { $count: '*' } } },\n"
    "  On: { $from: 'ByK', $select: { rows: '$rows' } } }";
/// On another collection, and the one before is gone.
static const char other[] =
    "{ J: { n: 'int!' },\n"
    "  Low: { $from: 'J', $compute: { sum: { $sum: " TOO_MUCH " } } } }";

static const struct story_step steps[] = {
    {"create", "I", "", "[{\"$id\":\"1\",\"k\":\"x\",\"n\":1},{\"$id\":\"2\",\"k\":\"x\","
                        "\"n\":2,\"more\":{\"a\":[1]}},{\"$id\":\"3\",\"k\":\"y\",\"n\":70}]"},
    {"create", "J", "", "[{\"$id\":\"1\",\"n\":1},{\"$id\":\"2\",\"n\":2}]"},
    {"breaks", "ByK", "", "{ $compute: { sum: { $sum: " TOO_MUCH " } } }"},
    {"create", "I", "", "[{\"$id\":\"4\",\"k\":\"y\",\"n\":4}]"},
    {"checkpoint", "", "", ""},
    {"close", "", "", ""},
    {"update", "I", "{ k: 'x' }", "{ $inc: { n: 3 } }"},
    {"ask", "", "", ""},
    {"alter", "ByK", "", "{ $compute: { high: { $max: 'n' } } }"},
    {"checkpoint", "", "", ""},
    {"breaks", "", "I", other},
    {"create", "J", "", "[{\"$id\":\"3\",\"n\":3}]"},
    {"checkpoint", "", "", ""},
    {"close", "", "", ""},
    {"checkpoint", "", "", ""},
    {"alter", "Low", "", "{ $compute: { rows: { $count: '*' } } }"},
};

int main(void) {
    struct story story = {
        .name = "rebuild", .schema = schema, STORY_STEPS(steps),
        .more = {"create", "J", "", "[{\"$id\":\"9\",\"n\":0}]"},
        .log_segment_bytes = 1 << 13, .crash_stride = 7, .error_stride = 53,
        .memory_stride = 1201};
    story_sweep(&story);
    return test_done();
}
