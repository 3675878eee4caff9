/* The functions of each weight layout, and how the panels of the quantised ones lie in memory. */
#ifndef PIO_KERNELS_DTYPE_LAYOUTS_H
#define PIO_KERNELS_DTYPE_LAYOUTS_H

#include "base/compiler.h"
#include "kernels/dtype/layout.h"

#define PIO_ROWS_LAYOUT(NAME, name, dtype)                                                                             \
    uint64_t pio_##name##_bytes(int32_t rows, int32_t cols);                                                           \
    void pio_##name##_planes(int32_t rows, int32_t cols, pio_plane planes[PIO_MAX_PLANES]);                            \
    void pio_##name##_unpack_row(const void *packed, int32_t rows, int32_t cols, int32_t row, float *out);
#define PIO_LAYOUT(NAME, name, dtype, panel)                                                                           \
    PIO_ROWS_LAYOUT(NAME, name, dtype)                                                                                 \
    void pio_##name##_pack(const pio_canonical *src, void *const to[PIO_MAX_PLANES]);
#define PIO_CACHE_LAYOUT(NAME, name, dtype)
#include "kernels/dtype/layout.def"
#undef PIO_LAYOUT
#undef PIO_ROWS_LAYOUT
#undef PIO_CACHE_LAYOUT

/* f16s_rows: bf16 weights for matrix units that know float16 alone. Codes float16 [rows][cols rounded up to 32, zeros];
 * then, at a multiple of 16 bytes, scales float32 [rows]. value = scale * code; a row's scale is the power of two that
 * puts its largest magnitude into [2^14, 2^15), so that values down to 2^-28 of it are exact. */

/* q8_x16 and q4_x16: panels of 16 rows, one after the other. A panel holds, each at a multiple of 64 bytes,
 *
 *   scales  bf16 [ceil(cols / 256)][16]
 *   subs    int8 [ceil(cols / 32)][16]                     (q4)
 *   codes   q8: u8 [ceil(cols / 32)][8][16][4]: the code of row r, column 32 s + 4 g + j, plus 128, at [s][g][r][j]:
 *               what vpdpbusd takes as its unsigned operand
 *           q4: u8 [ceil(cols / 32)][4][16][4]: at [s][v][r][j] the code of column 32 s + 8 v + j in the low four bits
 *               and of column 32 s + 8 v + 4 + j in the high ones
 *
 * Rows and columns past the end have code 0 (q4: that of level 0) and scale 0. */
enum { PIO_X16_ROWS = 16 };

typedef struct pio_x16_panel {
    uint64_t subs_at, codes_at, bytes; /* in bytes from the panel's start */
    int32_t n_blocks, n_subs;          /* of 256 and of 32 columns */
} pio_x16_panel;

static inline pio_x16_panel pio_x16_panel_of(pio_dtype dtype, int32_t cols) {
    pio_x16_panel p = {.n_blocks = PIO_CEIL_DIV(cols, PIO_SCALE_COLUMNS),
                       .n_subs = PIO_CEIL_DIV(cols, PIO_SUB_COLUMNS)};
    uint64_t sub_bytes = dtype == PIO_DTYPE_Q4 ? (uint64_t)p.n_subs * PIO_X16_ROWS : 0;
    uint64_t code_bytes = (uint64_t)p.n_subs * PIO_SUB_COLUMNS * PIO_X16_ROWS / (dtype == PIO_DTYPE_Q4 ? 2 : 1);
    p.subs_at = PIO_ROUND_UP((uint64_t)p.n_blocks * PIO_X16_ROWS * 2, 64);
    p.codes_at = PIO_ROUND_UP(p.subs_at + sub_bytes, 64);
    p.bytes = p.codes_at + code_bytes;
    return p;
}

/* bf16_x16: panels of 16 rows, one after the other: bf16 [ceil(cols / 2)][16][2], the pair of columns 2 i, 2 i + 1 of
 * row r at [i][r]: 64 bytes are what vdpbf16ps takes, and a shift or a mask makes one column of 16 rows of them. Rows
 * and the column past the end are 0. */
static inline uint64_t pio_bf16_x16_panel_bytes(int32_t cols) {
    return (uint64_t)PIO_CEIL_DIV(cols, 2) * PIO_X16_ROWS * 4;
}

#endif
