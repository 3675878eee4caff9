/* The layouts *_rows: the canonical planes one after the other, each at a multiple of 16 bytes. */
#include "base/compiler.h"
#include "kernels/dtype/layouts.h"

static uint64_t plane_end(uint64_t at, uint64_t bytes) {
    return PIO_ROUND_UP(at + bytes, 16);
}

static uint64_t rows_bytes(pio_dtype dtype, int32_t rows, int32_t cols) {
    uint64_t subs_at = plane_end(0, pio_canonical_code_bytes(dtype, rows, cols));
    uint64_t scales_at = plane_end(subs_at, pio_canonical_sub_bytes(dtype, rows, cols));
    return plane_end(scales_at, pio_canonical_scale_bytes(dtype, rows, cols));
}

/* The packed tensor's planes, from row `first_row` on. */
static pio_canonical planes(const void *packed, pio_dtype dtype, int32_t first_row, int32_t rows, int32_t cols) {
    uint8_t *base = (uint8_t *)(uintptr_t)packed;
    uint64_t subs_at = plane_end(0, pio_canonical_code_bytes(dtype, rows, cols));
    uint64_t scales_at = plane_end(subs_at, pio_canonical_sub_bytes(dtype, rows, cols));
    return (pio_canonical){
        .dtype = dtype,
        .rows = rows - first_row,
        .cols = cols,
        .codes = base + pio_canonical_code_bytes(dtype, first_row, cols),
        .subs = (int8_t *)(base + subs_at + pio_canonical_sub_bytes(dtype, first_row, cols)),
        .scales = (uint16_t *)(void *)(base + scales_at + pio_canonical_scale_bytes(dtype, first_row, cols))};
}

static void rows_pack(const pio_canonical *src, int32_t first_row, void *packed, int32_t rows, int32_t cols) {
    pio_canonical to = planes(packed, src->dtype, first_row, rows, cols);
    int32_t n = PIO_MIN(src->rows, rows - first_row);
    memcpy(to.codes, src->codes, pio_canonical_code_bytes(src->dtype, n, cols));
    if (src->subs) memcpy(to.subs, src->subs, pio_canonical_sub_bytes(src->dtype, n, cols));
    if (src->scales) memcpy(to.scales, src->scales, pio_canonical_scale_bytes(src->dtype, n, cols));
}

#define ROWS_LAYOUT(name, dtype)                                                                                       \
    uint64_t pio_##name##_bytes(int32_t rows, int32_t cols) {                                                          \
        return rows_bytes(dtype, rows, cols);                                                                          \
    }                                                                                                                  \
    void pio_##name##_pack(const pio_canonical *src, int32_t first_row, void *packed, int32_t rows, int32_t cols) {    \
        rows_pack(src, first_row, packed, rows, cols);                                                                 \
    }                                                                                                                  \
    void pio_##name##_unpack_row(const void *packed, int32_t rows, int32_t cols, int32_t row, float *out) {            \
        pio_canonical src = planes(packed, dtype, row, rows, cols);                                                    \
        pio_canonical_row(&src, 0, out);                                                                               \
    }

ROWS_LAYOUT(f32_rows, PIO_DTYPE_F32)
ROWS_LAYOUT(bf16_rows, PIO_DTYPE_BF16)
ROWS_LAYOUT(q8_rows, PIO_DTYPE_Q8)
ROWS_LAYOUT(q4_rows, PIO_DTYPE_Q4)
