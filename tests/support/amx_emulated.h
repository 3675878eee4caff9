/* What kernels/dialect/amx.h offers, in plain C and as strict as the processor, which refuses tiles of the wrong shape
 * and knows none before they are configured. A file includes this first and then a kernel's source. */
#ifndef PIO_KERNELS_DIALECT_AMX_H
#define PIO_KERNELS_DIALECT_AMX_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "base/dtype.h"

enum { PIO_AMX_ROWS = 16, PIO_AMX_ROW_BYTES = 64, PIO_AMX_TILE_BYTES = PIO_AMX_ROWS * PIO_AMX_ROW_BYTES };

typedef struct amx_tile {
    int rows, row_bytes; /* 0: not configured */
    union {
        int32_t s32[16];
        uint8_t u8[64];
        int8_t s8[64];
        uint16_t bf16[32];
        float f32[16];
    } row[16];
} amx_tile;

static _Thread_local amx_tile amx_tiles[8];

static inline amx_tile *amx_tile_at(int index) {
    amx_tile *tile = &amx_tiles[index];
    if (tile->rows) return tile;
    fprintf(stderr, "tile %d is used and not configured\n", index);
    abort();
}

static inline void pio_amx_configure_products(int rows) {
    if (rows < 1 || rows > 16) abort();
    memset(amx_tiles, 0, sizeof amx_tiles);
    for (int i = 0; i < 8; i++) amx_tiles[i].rows = i < 6 ? rows : 16, amx_tiles[i].row_bytes = 64;
}

static inline void pio_amx_release(void) {
    memset(amx_tiles, 0, sizeof amx_tiles);
}

static inline void amx_zero(int index) {
    amx_tile *tile = amx_tile_at(index);
    memset(tile->row, 0, sizeof tile->row);
}

static inline void amx_load(int index, const void *from, int64_t stride) {
    amx_tile *tile = amx_tile_at(index);
    for (int r = 0; r < tile->rows; r++)
        memcpy(&tile->row[r], (const char *)from + r * stride, (size_t)tile->row_bytes);
}

static inline void amx_store(int index, void *to, int64_t stride) {
    const amx_tile *tile = amx_tile_at(index);
    for (int r = 0; r < tile->rows; r++) memcpy((char *)to + r * stride, &tile->row[r], (size_t)tile->row_bytes);
}

static inline void amx_check(const amx_tile *c, const amx_tile *a, const amx_tile *b) {
    if (c->rows == a->rows && c->row_bytes == b->row_bytes && a->row_bytes == 4 * b->rows) return;
    fprintf(stderr, "tiles do not fit: c %d x %d bytes, a %d x %d, b %d x %d\n", c->rows, c->row_bytes, a->rows,
            a->row_bytes, b->rows, b->row_bytes);
    abort();
}

static inline void amx_dot_s8(int to, int left, int right, int right_is_signed) {
    amx_tile *c = amx_tile_at(to);
    const amx_tile *a = amx_tile_at(left), *b = amx_tile_at(right);
    amx_check(c, a, b);
    for (int m = 0; m < a->rows; m++)
        for (int k = 0; k < b->rows; k++)
            for (int n = 0; n < 64; n++)
                c->row[m].s32[n / 4] +=
                    a->row[m].s8[4 * k + n % 4] * (right_is_signed ? b->row[k].s8[n] : b->row[k].u8[n]);
}

/* Even and odd products are summed apart, their sums added, and that to c. */
static inline void amx_dot_bf16(int to, int left, int right) {
    amx_tile *c = amx_tile_at(to);
    const amx_tile *a = amx_tile_at(left), *b = amx_tile_at(right);
    amx_check(c, a, b);
    for (int m = 0; m < a->rows; m++) {
        float sums[32] = {0};
        for (int k = 0; k < b->rows; k++)
            for (int n = 0; n < 32; n++)
                sums[n] =
                    fmaf(pio_bf16_to_f32(a->row[m].bf16[2 * k + n % 2]), pio_bf16_to_f32(b->row[k].bf16[n]), sums[n]);
        for (int n = 0; n < 16; n++) c->row[m].f32[n] += sums[2 * n] + sums[2 * n + 1];
    }
}

#define PIO_AMX_LOAD(tile, from, stride) amx_load(tile, from, stride)
#define PIO_AMX_STORE(tile, to, stride)  amx_store(tile, to, stride)
#define PIO_AMX_ZERO(tile)               amx_zero(tile)
#define PIO_AMX_DOT_S8_S8(c, a, b)       amx_dot_s8(c, a, b, 1)
#define PIO_AMX_DOT_S8_U8(c, a, b)       amx_dot_s8(c, a, b, 0)
#define PIO_AMX_DOT_BF16(c, a, b)        amx_dot_bf16(c, a, b)

#endif
