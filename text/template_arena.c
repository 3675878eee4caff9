#include "text/template_arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"

struct pio_template_block {
    pio_template_block *next;
    size_t bytes; /* behind the header */
};

enum { ALIGNMENT = 16, FIRST_BYTES = 16 << 10, LARGEST_BYTES = 1 << 20 };
#define HEADER_BYTES PIO_ROUND_UP(sizeof(pio_template_block), (size_t)ALIGNMENT)

static int add_block(pio_template_arena *arena, size_t bytes) {
    size_t wanted = arena->blocks ? PIO_MIN(2 * arena->blocks->bytes, (size_t)LARGEST_BYTES) : (size_t)FIRST_BYTES;
    size_t room = arena->limit_bytes - PIO_MIN(arena->limit_bytes, arena->total_bytes);
    if (bytes > room || room - bytes < HEADER_BYTES) return 0;
    wanted = PIO_MAX(PIO_MIN(wanted, room - HEADER_BYTES), bytes);
    pio_template_block *block = malloc(HEADER_BYTES + wanted);
    if (!block) return 0;
    *block = (pio_template_block){.next = arena->blocks, .bytes = wanted};
    arena->blocks = block;
    arena->used_bytes = 0;
    arena->total_bytes += HEADER_BYTES + wanted;
    return 1;
}

void *pio_template_arena_take(pio_template_arena *arena, size_t bytes) {
    if (bytes > (size_t)-1 - ALIGNMENT - HEADER_BYTES) {
        arena->asked_bytes = bytes;
        return NULL;
    }
    size_t rounded = PIO_ROUND_UP(PIO_MAX(bytes, (size_t)1), (size_t)ALIGNMENT);
    if (!arena->blocks || rounded > arena->blocks->bytes - arena->used_bytes) {
        if (!add_block(arena, rounded)) {
            arena->asked_bytes = rounded;
            return NULL;
        }
    }
    void *memory = (char *)arena->blocks + HEADER_BYTES + arena->used_bytes;
    arena->used_bytes += rounded;
    return memset(memory, 0, rounded);
}

int pio_template_arena_limited(const pio_template_arena *arena) {
    size_t room = arena->limit_bytes - PIO_MIN(arena->limit_bytes, arena->total_bytes);
    return arena->asked_bytes > room || room - arena->asked_bytes < HEADER_BYTES;
}

void pio_template_arena_free(pio_template_arena *arena) {
    while (arena->blocks) {
        pio_template_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
    arena->used_bytes = arena->total_bytes = 0;
}
