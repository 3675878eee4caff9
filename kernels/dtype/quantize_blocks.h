/* The block quantisers of each instruction set: quantize_blocks_inc.h, compiled over that set's lanes. */
#ifndef PIO_KERNELS_DTYPE_QUANTIZE_BLOCKS_H
#define PIO_KERNELS_DTYPE_QUANTIZE_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

/* Rows are padded with zeros to a multiple of 512 columns; the outputs have room for n_blocks blocks of 256. */
typedef struct pio_block_quantizer {
    /* The largest magnitude of n values, n a multiple of 16; not finite where one of them is not. */
    float (*largest)(const float *x, int32_t n);
    void (*q8)(const float *x, float largest, int8_t codes[256], uint16_t *scale);
    /* Two blocks at a time. */
    void (*q4)(const float x[512], const float largest[2], uint8_t codes[256], int8_t subs[16], uint16_t scales[2]);
    /* f16 or bf16 to float32. */
    void (*widen_f16)(const uint16_t *x, int32_t n, float *out);
    /* Whether none of n values is infinite or NaN. */
    bool (*finite_bf16)(const uint16_t *x, int32_t n);
} pio_block_quantizer;

extern const pio_block_quantizer pio_block_quantizer_base, pio_block_quantizer_avx2, pio_block_quantizer_avx512;

#endif
