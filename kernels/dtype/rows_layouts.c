/* The layouts *_rows: the canonical planes one after the other, each at a multiple of 16 bytes. */
#include "base/compiler.h"
#include "kernels/dtype/layouts.h"

static uint64_t plane_end(uint64_t at, uint64_t bytes) {
    return PIO_ROUND_UP(at + bytes, 16);
}

static void rows_planes(pio_dtype dtype, int32_t rows, int32_t cols, pio_plane planes[PIO_MAX_PLANES]) {
    uint64_t subs_at = plane_end(0, pio_canonical_code_bytes(dtype, rows, cols));
    uint64_t scales_at = plane_end(subs_at, pio_canonical_sub_bytes(dtype, rows, cols));
    planes[0] = (pio_plane){0, pio_canonical_code_bytes(dtype, 1, cols)};
    planes[1] = (pio_plane){subs_at, pio_canonical_sub_bytes(dtype, 1, cols)};
    planes[2] = (pio_plane){scales_at, pio_canonical_scale_bytes(dtype, 1, cols)};
}

static uint64_t rows_bytes(pio_dtype dtype, int32_t rows, int32_t cols) {
    pio_plane planes[PIO_MAX_PLANES];
    rows_planes(dtype, rows, cols, planes);
    return plane_end(planes[2].at, planes[2].panel_bytes * (uint64_t)rows);
}

static void unpack_row(const void *packed, pio_dtype dtype, int32_t rows, int32_t cols, int32_t row, float *out) {
    uint8_t *base = (uint8_t *)(uintptr_t)packed;
    pio_plane planes[PIO_MAX_PLANES];
    rows_planes(dtype, rows, cols, planes);
    const pio_canonical src = {.dtype = dtype,
                               .rows = rows,
                               .cols = cols,
                               .codes = base,
                               .subs = (int8_t *)(base + planes[1].at),
                               .scales = (uint16_t *)(void *)(base + planes[2].at)};
    pio_canonical_row(&src, row, out);
}

#define ROWS_LAYOUT(name, dtype)                                                                                       \
    uint64_t pio_##name##_bytes(int32_t rows, int32_t cols) {                                                          \
        return rows_bytes(dtype, rows, cols);                                                                          \
    }                                                                                                                  \
    void pio_##name##_planes(int32_t rows, int32_t cols, pio_plane planes[PIO_MAX_PLANES]) {                           \
        rows_planes(dtype, rows, cols, planes);                                                                        \
    }                                                                                                                  \
    void pio_##name##_unpack_row(const void *packed, int32_t rows, int32_t cols, int32_t row, float *out) {            \
        unpack_row(packed, dtype, rows, cols, row, out);                                                               \
    }

ROWS_LAYOUT(f32_rows, PIO_DTYPE_F32)
ROWS_LAYOUT(bf16_rows, PIO_DTYPE_BF16)
ROWS_LAYOUT(q8_rows, PIO_DTYPE_Q8)
ROWS_LAYOUT(q4_rows, PIO_DTYPE_Q4)
