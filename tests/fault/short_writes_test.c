/// Goal: each kind of write alone, and the log it goes to, is there whole or not at all wherever
/// the power fails: every call, each way of losing what was not synced; every call that fails,
/// every allocation (support/story.h). Nothing is left out: lives are short.
#include <stdio.h>

#include "base/hash.h"
#include "support/story.h"
#include "support/test.h"

static const char schema[] =
    "{ C: { name: 'string' },\n"
    "  T: { n: 'int!', u: 'string##', tag: 'string#', c: '-> C', $shred: ['v.k'] },\n"
    "  ByC: { $from: 'T', $groupBy: ['c.name'], $compute: { rows: { $count: '*' },\n"
    "         high: { $max: 'n' } } } }";

#define BEFORE                                                                                   \
    {"create", "C", "", "[{\"$id\":\"a\",\"name\":\"Ann\"},{\"$id\":\"b\",\"name\":\"Bo\"}]"},   \
    {"create", "T", "",                                                                          \
     "[{\"$id\":\"1\",\"n\":1,\"u\":\"x\",\"c\":\"a\",\"v\":{\"k\":\"p\"}},"                     \
     "{\"$id\":\"2\",\"n\":2,\"tag\":\"t\",\"c\":\"b\"}]"}

enum { before = 2 };

static const struct story_step creates[] = {
    BEFORE, {"create", "T", "", "[{\"$id\":\"3\",\"n\":3,\"c\":\"a\",\"v\":{\"k\":7}},"
     "{\"$id\":\"4\",\"n\":4}]"}};
static const struct story_step updates[] = {
    BEFORE, {"update", "T", "{ n: { $gt: 0 } }", "{ $inc: { n: 5 }, $set: { 'v.k': [1] } }"}};
static const struct story_step deletes[] = {BEFORE, {"delete", "T", "{ c: 'a' }", ""}};
static const struct story_step upserts[] = {
    BEFORE, {"upsert", "T", "{ u: 'x' }", "{ $set: { c: 'b' } }"},
    {"upsert", "T", "{ $id: '5', u: 'y' }", "{ $set: { n: 5 } }"}};
static const struct story_step replaces[] = {
    BEFORE, {"replace", "T", "", "[{\"$id\":\"1\",\"n\":9,\"u\":\"x\"},{\"$id\":\"8\",\"n\":8}]"}};
/// Through a link: rows of a view change that were not written.
static const struct story_step links[] = {
    BEFORE, {"update", "C", "a", "{ $set: { name: 'Anna' } }"}};
/// Each write as large as a third of a segment: the log begins another, and takes an old one again.
static char wide_rows[3][2400];
static struct story_step rotates[] = {
    BEFORE, {"create", "T", "", wide_rows[0]}, {"create", "T", "", wide_rows[1]},
    {"checkpoint", "", "", ""}, {"create", "T", "", wide_rows[2]}};

static struct story stories[] = {
    {.name = "create", STORY_STEPS(creates)},   {.name = "update", STORY_STEPS(updates)},
    {.name = "delete", STORY_STEPS(deletes)},   {.name = "upsert", STORY_STEPS(upserts)},
    {.name = "replace", STORY_STEPS(replaces)}, {.name = "link", STORY_STEPS(links)},
    {.name = "rotation", STORY_STEPS(rotates), .log_segment_bytes = 1 << 12},
    // A commit that only the log has: the opening replays it, and is cut short.
    {.name = "recovery", STORY_STEPS(creates), .before = before + 1, .is_killed = true},
};

static void fill_wide_rows(void) {
    uint64_t dice = 7;
    for (int i = 0; i < 3; i++) {
        size_t at = (size_t)snprintf(wide_rows[i], sizeof wide_rows[i],
                                     "[{\"$id\":\"w%d\",\"n\":%d,\"text\":\"", i, i);
        for (int k = 0; k < 1100; k++) {  // that LZ4 cannot make smaller
            const uint64_t throw = pq_hash_word(++dice);
            wide_rows[i][at++] = (char)((throw % 2 == 0 ? 'a' : 'A') + throw / 2 % 26);
        }
        snprintf(wide_rows[i] + at, sizeof wide_rows[i] - at, "\"}]");
    }
}

int main(void) {
    fill_wide_rows();
    for (size_t i = 0; i < sizeof stories / sizeof *stories; i++) {
        struct story *story = &stories[i];
        story->schema = schema;
        if (story->before == 0) story->before = before;
        story->more = (struct story_step){"create", "T", "", "[{\"$id\":\"9\",\"n\":9}]"};
        if (story->log_segment_bytes == 0) story->log_segment_bytes = 1 << 13;
        story->crash_stride = story->error_stride = story->memory_stride = 1;
        story_sweep(story);
    }
    return test_done();
}
