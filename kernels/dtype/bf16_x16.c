/* The layout bf16_x16 (layouts.h): panels of 16 rows, two columns of each row side by side. */
#include "kernels/dtype/layouts.h"

uint64_t pio_bf16_x16_bytes(int32_t rows, int32_t cols) {
    return (uint64_t)PIO_CEIL_DIV(rows, PIO_X16_ROWS) * pio_bf16_x16_panel_bytes(cols);
}

/* Pairs first..first+n-1 of a row into a panel's lines; without a row, zeros. */
static void pack_pairs(const uint16_t *row, int32_t cols, int32_t first, int32_t n, uint32_t *out) {
    for (int32_t i = first; i < first + n; i++) {
        uint32_t pair = row ? row[2 * i] : 0;
        if (row && 2 * i + 1 < cols) pair |= (uint32_t)row[2 * i + 1] << 16;
        out[(i - first) * PIO_X16_ROWS] = pair;
    }
}

/* One panel [ceil(cols / 2)][16] from up to 16 rows, 16 pairs of each at a time, so that the lines being written stay
 * in the first cache; rows that are missing become zeros. */
static void pack_panel(const uint16_t *rows, int32_t n_rows, int32_t cols, uint32_t *panel) {
    int32_t n_pairs = PIO_CEIL_DIV(cols, 2);
    for (int32_t i = 0; i < n_pairs; i += 16, panel += 16 * PIO_X16_ROWS)
        for (int32_t r = 0; r < PIO_X16_ROWS; r++)
            pack_pairs(r < n_rows ? rows + (uint64_t)r * (uint64_t)cols : NULL, cols, i, PIO_MIN(16, n_pairs - i),
                       panel + r);
}

void pio_bf16_x16_planes(int32_t rows, int32_t cols, pio_plane planes[PIO_MAX_PLANES]) {
    (void)rows;
    memset(planes, 0, PIO_MAX_PLANES * sizeof *planes);
    planes[0].panel_bytes = pio_bf16_x16_panel_bytes(cols);
}

void pio_bf16_x16_pack(const pio_canonical *src, void *const to[PIO_MAX_PLANES]) {
    const int32_t cols = src->cols;
    uint64_t panel_bytes = pio_bf16_x16_panel_bytes(cols);
    uint8_t *panel = to[0];
    const uint16_t *elements = src->codes;
    for (int32_t first = 0; first < src->rows; first += PIO_X16_ROWS, panel += panel_bytes)
        pack_panel(elements + (uint64_t)first * (uint64_t)cols, PIO_MIN(PIO_X16_ROWS, src->rows - first), cols,
                   (uint32_t *)(void *)panel);
}

void pio_bf16_x16_unpack_row(const void *packed, int32_t rows, int32_t cols, int32_t row, float *out) {
    (void)rows;
    const uint8_t *panel = (const uint8_t *)packed + (uint64_t)(row / PIO_X16_ROWS) * pio_bf16_x16_panel_bytes(cols);
    const uint16_t *pairs = (const uint16_t *)(const void *)panel + 2 * (row % PIO_X16_ROWS);
    for (int32_t k = 0; k < cols; k++) out[k] = pio_bf16_to_f32(pairs[k / 2 * 2 * PIO_X16_ROWS + k % 2]);
}
