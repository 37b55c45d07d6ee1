/// Goal: each thing that can be done to a view, and to the schema, is done whole or not at all
/// wherever the power fails: every call, each way of losing what was not synced; every call that
/// fails (support/story.h). Lives are short, so that nothing is left out; of allocations every
/// seventh.
#include "support/story.h"
#include "support/test.h"

#define COLLECTIONS                                                                            \
    "  P: { name: 'string!' },\n"                                                              \
    "  I: { k: 'string!', n: 'int!', p: '-> P' },\n"
#define VIEWS                                                                                  \
    "  Low: { $from: 'I', $filter: { n: { $lt: 50 } } },\n"                                    \
    "  Later: { $from: 'Low', $groupBy: ['k'], $compute: { rows: { $count: '*' },\n"           \
    "           mid: { $median: 'n' } }, $refresh: { mode: 'manual' } },\n"                    \
    "  Above: { $from: 'Later', $filter: { rows: { $gt: 0 } } },\n"                            \
    "  Hourly: { $from: 'I', $expand: ['p'], $select: { n: '$n', name: '$p_name' },\n"         \
    "            $refresh: { mode: 'scheduled', schedule: '0 * * * *' } },\n"                  \
    "  Seen: { $from: 'I', $select: { n: '$n' },\n"                                            \
    "          $refresh: { strategy: 'append', mode: 'manual' } }"

static const char schema[] = "{" COLLECTIONS VIEWS " }";
/// Another view, a path as a column of files, a view less.
static const char other[] =
    "{ P: { name: 'string!', age: 'int = 7' },\n"
    "  I: { k: 'string!', n: 'int!', p: '-> P', v: 'variant', $shred: ['v.k', 'w.k'] },\n"
    "  Low: { $from: 'I', $filter: { n: { $lt: 5 } } },\n"
    "  Sum: { $from: 'Low', $compute: { sum: { $sum: 'n' } } } }";

#define BEFORE                                                                                 \
    {"create", "P", "", "[{\"$id\":\"a\",\"name\":\"Ann\"}]"},                                 \
    {"create", "I", "",                                                                        \
     "[{\"$id\":\"1\",\"k\":\"x\",\"n\":1,\"p\":\"a\",\"w\":{\"k\":1}},"                       \
     "{\"$id\":\"2\",\"k\":\"x\",\"n\":2},{\"$id\":\"3\",\"k\":\"y\",\"n\":70}]"},             \
    {"refresh", "Later", "", ""}, {"checkpoint", "", "", ""}
#define CHANGE {"update", "I", "{ k: 'x' }", "{ $inc: { n: 3 } }"}
#define MADE                                                                                   \
    {"view", "Made", "",                                                                       \
     "{ $from: 'Low', $groupBy: ['k'], $compute: { rows: { $count: '*' }, low: { $min: 'n' } } }"}

static const struct story_step creates[] = {BEFORE, CHANGE, MADE};
static const struct story_step alters[] = {BEFORE, MADE,
                                           {"alter", "Made", "", "{ $groupBy: ['k', 'p'] }"}};
static const struct story_step modes[] = {BEFORE, CHANGE, {"refresh", "Later", "", ""},
                                          {"alter", "Later", "", "{ mode: 'streaming' }"},
                                          {"alter", "Later", "", "{ mode: 'manual' }"}};
static const struct story_step drops[] = {BEFORE, MADE, {"checkpoint", "", "", ""},
                                          {"drop", "Made", "", ""}};
static const struct story_step refreshes[] = {BEFORE, CHANGE, {"refresh", "Later", "", ""}};
static const struct story_step fulls[] = {BEFORE, CHANGE, {"full", "Low", "", ""},
                                          {"full", "Later", "", ""}};
static const struct story_step dues[] = {BEFORE, CHANGE, {"at", "", "", "1"},
                                         {"due", "Hourly", "", ""}};
static const struct story_step appends[] = {BEFORE, {"refresh", "Seen", "", ""}, CHANGE,
                                            {"refresh", "Seen", "", ""},
                                            {"discard", "Seen", "", ""}};
static const struct story_step applies[] = {BEFORE, CHANGE, {"apply", "", "", other}};

static struct story stories[] = {
    {.name = "view create", STORY_STEPS(creates), .before = 5},
    {.name = "view alter", STORY_STEPS(alters), .before = 5},
    {.name = "view modes", STORY_STEPS(modes), .before = 6},
    {.name = "view drop", STORY_STEPS(drops), .before = 6},
    {.name = "refresh", STORY_STEPS(refreshes), .before = 5},
    {.name = "full refresh", STORY_STEPS(fulls), .before = 5},
    {.name = "refresh when due", STORY_STEPS(dues), .before = 6},
    {.name = "append", STORY_STEPS(appends), .before = 6},
    {.name = "schema apply", STORY_STEPS(applies), .before = 5},
};

int main(void) {
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        struct story *story = &stories[i];
        story->schema = schema;
        story->more = (struct story_step){"create", "I", "",
                                          "[{\"$id\":\"9\",\"k\":\"y\",\"n\":9}]"};
        story->log_segment_bytes = 1 << 13;
        story->crash_stride = story->error_stride = 1;
        story->memory_stride = 7;
        story_sweep(story);
    }
    return test_done();
}
