/// bench/orders_generate.c: COUNT orders on stdout, the same every time: `json` lines or `tabs`.
#include "orders.h"

#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    const bool as_tabs = argc > 1 && strcmp(argv[1], "tabs") == 0;
    const uint64_t count = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
    char line[ORDER_BYTES_MAX];
    for (uint64_t id = 0; id < count; id++) {
        const struct order order = order_at(id, count);
        const size_t length = as_tabs ? order_tabs(&order, line) : order_json(&order, line);
        if (fwrite(line, 1, length, stdout) != length) return EXIT_FAILURE;
    }
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
