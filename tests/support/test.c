#include "support/test.h"

_Atomic long test_checks_, test_failures_;

int test_done(void) {
    if (test_checks_ == 0) test_failures_++;
    fprintf(stderr, "%ld checks, %ld failed\n", (long)test_checks_, (long)test_failures_);
    return test_failures_ == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void *failing_resize(void *ctx, void *ptr, size_t old_bytes, size_t new_bytes) {
    struct failing_alloc *failing = ctx;
    if (new_bytes > 0 && failing->left-- == 0) return NULL;
    failing->live_bytes += (long)new_bytes - (long)old_bytes;
    if (new_bytes == 0) {
        free(ptr);
        return NULL;
    }
    return realloc(ptr, new_bytes);
}
