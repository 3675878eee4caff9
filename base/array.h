/* Growing arrays: items, their count and capacity are fields of the owner. */
#ifndef PIO_BASE_ARRAY_H
#define PIO_BASE_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes room for `more` items after the first `n`. On failure nothing changes. */
bool pio_array_reserve(void **items, int32_t n, int32_t more, int32_t *capacity, size_t item_bytes);

/* Appends one zeroed item and returns it, or NULL. PIO_PUSH does so for the fields items, n_items and items_capacity.
 */
void *pio_array_push(void **items, int32_t *n, int32_t *capacity, size_t item_bytes);

#define PIO_PUSH(owner, items)                                                                                         \
    pio_array_push((void **)&(owner)->items, &(owner)->n_##items, &(owner)->items##_capacity, sizeof *(owner)->items)

#endif
