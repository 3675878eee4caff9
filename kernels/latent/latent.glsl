/* Where a latent cache's rows lie: see kv_cache.h. Specialisation constant 0, unless the includer says another, says
 * whether they are bf16. */
#include "kernels/kv_cache/kv_cache.h"

#ifndef LATENT_CONSTANT
#define LATENT_CONSTANT 0
#endif

layout(constant_id = LATENT_CONSTANT) const int LATENT_BF16 = 0;

uint64_t latent_row(uint64_t cache, int row, int head_dim, int rope_dim) {
    int cols = head_dim + rope_dim;
    if (LATENT_BF16 != 0) cols = (cols + PIO_LATENT_BLOCK - 1) / PIO_LATENT_BLOCK * PIO_LATENT_BLOCK;
    return cache + uint64_t(row) * uint64_t(cols * (LATENT_BF16 != 0 ? 2 : 4));
}

float latent_read(uint64_t row, int d) {
    return LATENT_BF16 != 0 ? bf16_to_f32(U16(row).v[d]) : F32(row).v[d];
}

void latent_write(uint64_t row, int d, float x) {
    if (LATENT_BF16 != 0)
        U16(row).v[d] = f32_to_bf16(x);
    else
        F32(row).v[d] = x;
}
