/* The layouts q8_x16 and q4_x16 (layouts.h): panels of 16 rows, four columns of each row side by side. */
#include <stdbool.h>

#include "kernels/dtype/layouts.h"

static uint64_t x16_bytes(pio_dtype dtype, int32_t rows, int32_t cols) {
    return (uint64_t)PIO_CEIL_DIV(rows, PIO_X16_ROWS) * pio_x16_panel_of(dtype, cols).bytes;
}

/* The nibbles c0..c7 of a word, c0 lowest, in the order c0 c4 c1 c5 c2 c6 c3 c7: bytes of (c_j, c_4+j). */
static uint32_t pair_nibbles(uint32_t x) {
    uint32_t t = (x ^ x >> 8) & 0x0000ff00u;
    x ^= t ^ t << 8;
    t = (x ^ x >> 4) & 0x00f000f0u;
    return x ^ t ^ t << 4;
}

/* Words [n][16] <- rows [16][n]: n 32-bit words of each row. */
static void interleave_q8(const uint8_t *const rows[PIO_X16_ROWS], int32_t n, uint32_t *restrict out) {
    for (int32_t i = 0; i < n; i++)
        for (int r = 0; r < PIO_X16_ROWS; r++) {
            uint32_t word;
            memcpy(&word, rows[r] + 4 * (size_t)i, 4);
            out[(size_t)i * PIO_X16_ROWS + (size_t)r] = word ^ 0x80808080u;
        }
}

static void interleave_q4(const uint8_t *const rows[PIO_X16_ROWS], int32_t n, uint32_t *restrict out) {
    for (int32_t i = 0; i < n; i++)
        for (int r = 0; r < PIO_X16_ROWS; r++) {
            uint32_t word;
            memcpy(&word, rows[r] + 4 * (size_t)i, 4);
            out[(size_t)i * PIO_X16_ROWS + (size_t)r] = pair_nibbles(word);
        }
}

/* One panel from rows first.. of the canonical planes. */
static void pack_panel(const pio_canonical *src, int32_t first, const pio_x16_panel *p, uint8_t *panel) {
    enum { Z = PIO_Q4_ZEROS };
    static const uint8_t no_codes[2][PIO_SUB_COLUMNS] = {{0}, {Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z, Z}};
    bool q4 = src->dtype == PIO_DTYPE_Q4;
    uint64_t sub_code_bytes = q4 ? PIO_SUB_COLUMNS / 2 : PIO_SUB_COLUMNS;
    uint16_t *scales = (uint16_t *)(void *)panel;
    int8_t *subs = (int8_t *)(panel + p->subs_at);
    memset(panel, 0, p->codes_at);
    for (int32_t r = 0; r < PIO_X16_ROWS && first + r < src->rows; r++) {
        const uint16_t *row_scales = src->scales + (uint64_t)(first + r) * (uint64_t)p->n_blocks;
        for (int32_t b = 0; b < p->n_blocks; b++) scales[b * PIO_X16_ROWS + r] = row_scales[b];
        const int8_t *row_subs = q4 ? src->subs + (uint64_t)(first + r) * (uint64_t)p->n_subs : NULL;
        for (int32_t s = 0; q4 && s < p->n_subs; s++) subs[s * PIO_X16_ROWS + r] = row_subs[s];
    }
    for (int32_t s = 0; s < p->n_subs; s++) {
        const uint8_t *rows[PIO_X16_ROWS];
        for (int32_t r = 0; r < PIO_X16_ROWS; r++)
            rows[r] = first + r < src->rows
                          ? (const uint8_t *)src->codes +
                                ((uint64_t)(first + r) * (uint64_t)p->n_subs + (uint64_t)s) * sub_code_bytes
                          : no_codes[q4];
        uint32_t *out = (uint32_t *)(void *)(panel + p->codes_at + (uint64_t)s * sub_code_bytes * PIO_X16_ROWS);
        (q4 ? interleave_q4 : interleave_q8)(rows, (int32_t)sub_code_bytes / 4, out);
    }
}

static void x16_planes(pio_dtype dtype, int32_t cols, pio_plane planes[PIO_MAX_PLANES]) {
    memset(planes, 0, PIO_MAX_PLANES * sizeof *planes);
    planes[0].panel_bytes = pio_x16_panel_of(dtype, cols).bytes;
}

static void x16_pack(const pio_canonical *src, void *to) {
    pio_x16_panel p = pio_x16_panel_of(src->dtype, src->cols);
    uint8_t *panel = to;
    for (int32_t first = 0; first < src->rows; first += PIO_X16_ROWS, panel += p.bytes)
        pack_panel(src, first, &p, panel);
}

uint64_t pio_q8_x16_bytes(int32_t rows, int32_t cols) {
    return x16_bytes(PIO_DTYPE_Q8, rows, cols);
}

uint64_t pio_q4_x16_bytes(int32_t rows, int32_t cols) {
    return x16_bytes(PIO_DTYPE_Q4, rows, cols);
}

void pio_q8_x16_planes(int32_t rows, int32_t cols, pio_plane planes[PIO_MAX_PLANES]) {
    (void)rows;
    x16_planes(PIO_DTYPE_Q8, cols, planes);
}

void pio_q8_x16_pack(const pio_canonical *src, void *const to[PIO_MAX_PLANES]) {
    x16_pack(src, to[0]);
}

void pio_q4_x16_planes(int32_t rows, int32_t cols, pio_plane planes[PIO_MAX_PLANES]) {
    (void)rows;
    x16_planes(PIO_DTYPE_Q4, cols, planes);
}

void pio_q4_x16_pack(const pio_canonical *src, void *const to[PIO_MAX_PLANES]) {
    x16_pack(src, to[0]);
}

void pio_q8_x16_unpack_row(const void *packed, int32_t rows, int32_t cols, int32_t row, float *out) {
    (void)rows;
    pio_x16_panel p = pio_x16_panel_of(PIO_DTYPE_Q8, cols);
    const uint8_t *panel = (const uint8_t *)packed + (uint64_t)(row / PIO_X16_ROWS) * p.bytes;
    const uint16_t *scales = (const uint16_t *)(const void *)panel + row % PIO_X16_ROWS;
    const uint8_t *codes = panel + p.codes_at + 4 * (row % PIO_X16_ROWS); /* one row's four columns, every 64 bytes */
    for (int32_t k = 0; k < cols; k++)
        out[k] =
            pio_bf16_to_f32(scales[k / PIO_SCALE_COLUMNS * PIO_X16_ROWS]) * (float)(codes[k / 4 * 64 + k % 4] - 128);
}

void pio_q4_x16_unpack_row(const void *packed, int32_t rows, int32_t cols, int32_t row, float *out) {
    (void)rows;
    pio_x16_panel p = pio_x16_panel_of(PIO_DTYPE_Q4, cols);
    const uint8_t *panel = (const uint8_t *)packed + (uint64_t)(row / PIO_X16_ROWS) * p.bytes;
    const uint16_t *scales = (const uint16_t *)(const void *)panel + row % PIO_X16_ROWS;
    const int8_t *subs = (const int8_t *)panel + p.subs_at + row % PIO_X16_ROWS;
    const uint8_t *codes = panel + p.codes_at + 4 * (row % PIO_X16_ROWS);
    for (int32_t k = 0; k < cols; k++) {
        int code = codes[k / 8 * 64 + k % 4] >> (k & 4) & 15;
        out[k] = pio_bf16_to_f32(scales[k / PIO_SCALE_COLUMNS * PIO_X16_ROWS]) *
                 (float)(subs[k / PIO_SUB_COLUMNS * PIO_X16_ROWS] * pio_q4_levels[code]);
    }
}
