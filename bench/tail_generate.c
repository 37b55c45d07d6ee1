/// bench/tail_generate.c: COUNT tail events as NDJSON on stdout, the same every time.
#include <stdlib.h>

#include "tail_events.h"

int main(int argc, char **argv) {
    const unsigned long long count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    static char line[TAIL_EVENT_BYTES_MAX];
    struct tail_events events;
    tail_events_init(&events, 42);
    for (unsigned long long i = 0; i < count; i++) {
        const size_t length = tail_events_next(&events, line);
        if (fwrite(line, 1, length, stdout) != length) return EXIT_FAILURE;
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
