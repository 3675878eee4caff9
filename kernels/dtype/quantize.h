/* Quantising: rows of a checkpoint to the canonical form of a data type (kernels/dtype/layout.h). */
#ifndef PIO_KERNELS_DTYPE_QUANTIZE_H
#define PIO_KERNELS_DTYPE_QUANTIZE_H

#include <stdint.h>

#include "kernels/dtype/layout.h"

/* Converts rows [to->rows, to->cols] of type `from` (f32, bf16 or f16), row-major without gaps, into the planes of `to`
 * (f32, bf16, q8 or q4). cpu_features (PIO_CPU_...) picks the implementation; all give the same bits. scratch: room for
 * pio_quantize_scratch(cols) bytes, 64-byte aligned, a thread's own. Any number of threads may convert different rows.
 * bf16 rows may already lie where they stay, at to->codes: then they are only looked through.
 *
 * q8: scale = largest magnitude of the block / 127 as bf16, codes to the nearest.
 * q4: for each of a list of scales around (largest magnitude) / 120, every group of 32 gets the sub-scale, of either
 *     sign, with the least squared error among the 4 next to the one that just reaches the group's extremes; the scale
 *     with the least sum over its 8 groups wins; one more scale, the least-squares one for the codes found, is tried.
 *     The search is in 16-bit integers: the block's values times 16384 / largest.
 * A block whose largest magnitude is below 2^-100 becomes zero.
 *
 * Returns -1, or the index row * cols + column of the first value that is infinite or NaN. */
int64_t pio_quantize(uint32_t cpu_features, pio_dtype from, const void *rows, const pio_canonical *to, void *scratch);

static inline uint64_t pio_quantize_scratch(int32_t cols) {
    return 4 * (((uint64_t)cols + 511) / 512 * 512);
}

#endif
