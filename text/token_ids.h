/* A growing list of token ids. */
#ifndef PIO_TEXT_TOKEN_IDS_H
#define PIO_TEXT_TOKEN_IDS_H

#include <stdint.h>

/* Begin with {0}; free(ids.items) at the end. */
typedef struct pio_token_ids {
    int32_t *items;
    int32_t n_items, items_capacity;
} pio_token_ids;

#endif
