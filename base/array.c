#include "base/array.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

bool pio_array_reserve(void **items, int32_t n, int32_t more, int32_t *capacity, size_t item_bytes) {
    if (more < 0 || n > INT32_MAX - more) return false;
    if (n + more <= *capacity) return true;
    int32_t wanted = *capacity > INT32_MAX / 2 ? INT32_MAX : PIO_MAX(n + more, 2 * *capacity);
    size_t bytes;
    if (PIO_MUL_OVERFLOWS((size_t)wanted, item_bytes, &bytes)) return false;
    void *grown = realloc(*items, bytes);
    if (!grown) return false;
    *items = grown;
    *capacity = wanted;
    return true;
}

void *pio_array_push(void **items, int32_t *n, int32_t *capacity, size_t item_bytes) {
    if (*n == *capacity && !pio_array_reserve(items, *n, PIO_MAX(1, *n), capacity, item_bytes)) return NULL;
    char *item = (char *)*items + (size_t)(*n)++ * item_bytes;
    memset(item, 0, item_bytes);
    return item;
}
