/// Goal: views that keep what came of rows that are gone, and what is built over them, are changed
/// whole or not at all, wherever the power or a call fails (support/story.h).
#include "support/story.h"
#include "support/test.h"

static const char schema[] =
    "{ P: { name: 'string!' },\n"
    "  E: { $ingest: 'custom:event', at: 'timestamp', k: 'string!', n: 'int!', p: '-> P',\n"
    "       $retention: { after: '1h', by: 'at' } },\n"
    "  Kept: { $from: 'E', $filter: { n: { $lt: 50 } }, $onRetention: 'keep' },\n"
    "  Later: { $from: 'E', $select: { n: '$n' }, $onRetention: 'keep',\n"
    "           $refresh: { mode: 'manual' } },\n"
    "  Names: { $from: 'E', $groupBy: ['p.name'], $compute: { c: { $count: '*' } },\n"
    "           $onRetention: 'keep', $refresh: { mode: 'manual' } },\n"
    "  Over: { $from: 'Kept', $groupBy: ['k'], $compute: { c: { $count: '*' },\n"
    "          low: { $min: 'n' } } },\n"
    "  Seen: { $from: 'Kept', $refresh: { mode: 'manual', strategy: 'append' } } }";

#define OLD "\"at\":\"2026-03-01T00:00:00Z\""
#define NEW "\"at\":\"2026-03-01T03:00:00Z\""
#define BEFORE                                                                                  \
    {"create", "P", "", "[{\"$id\":\"a\",\"name\":\"Ann\"}]"},                                  \
    {"create", "E", "",                                                                         \
     "[{\"$id\":\"1\",\"k\":\"x\",\"n\":1,\"p\":\"a\"," NEW "},"                                \
     "{\"$id\":\"2\",\"k\":\"y\",\"n\":60," NEW "}]"},                                          \
    {"refresh", "Later", "", ""}, {"refresh", "Names", "", ""},                                 \
    {"create", "E", "",                                                                         \
     "[{\"$id\":\"3\",\"k\":\"x\",\"n\":3,\"p\":\"a\"," OLD "},"                                \
     "{\"$id\":\"4\",\"k\":\"y\",\"n\":4," OLD "}]"},                                           \
    {"at", "", "", "2"}, {"retain", "", "", ""}, {"checkpoint", "", "", ""},                    \
    {"update", "P", "{ $id: 'a' }", "{ $set: { name: 'Bea' } }"},                               \
    {"create", "E", "", "[{\"$id\":\"3\",\"k\":\"z\",\"n\":5," NEW "}]"},                       \
    {"delete", "E", "{ $id: '3' }", ""}

static const struct story_step refreshes[] = {BEFORE, {"refresh", "Later", "", ""},
                                              {"refresh", "Names", "", ""}};
static const struct story_step builds[] = {BEFORE, {"full", "Over", "", ""},
                                           {"refresh", "Seen", "", ""}};

static struct story stories[] = {
    {.name = "refresh of what keeps", .schema = schema, STORY_STEPS(refreshes), .before = 11},
    {.name = "builds over it", .schema = schema, STORY_STEPS(builds), .before = 11},
};

int main(void) {
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        struct story *story = &stories[i];
        story->more = (struct story_step){"create", "E", "",
                                          "[{\"$id\":\"9\",\"k\":\"y\",\"n\":9," NEW "}]"};
        story->log_segment_bytes = 1 << 13;
        story->crash_stride = story->error_stride = 1;
        story->memory_stride = 3;
        story_sweep(story);
    }
    return test_done();
}
