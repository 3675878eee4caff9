/* Memory that is given back all at once: a compiled template's tree, and all values of one rendering. */
#ifndef PIO_TEXT_TEMPLATE_ARENA_H
#define PIO_TEXT_TEMPLATE_ARENA_H

#include <stddef.h>

typedef struct pio_template_block pio_template_block;

/* Begin with {.limit_bytes = ...}. */
typedef struct pio_template_arena {
    pio_template_block *blocks; /* the newest first */
    size_t used_bytes;          /* in the newest block */
    size_t total_bytes;         /* of all blocks */
    size_t limit_bytes;
    size_t asked_bytes; /* of the request that failed */
} pio_template_arena;

/* Zeroed memory for any type; NULL: no memory, or more than the limit (asked_bytes then says how much). */
void *pio_template_arena_take(pio_template_arena *arena, size_t bytes);

/* The last failure was the limit, not the system. */
int pio_template_arena_limited(const pio_template_arena *arena);

void pio_template_arena_free(pio_template_arena *arena);

#endif
