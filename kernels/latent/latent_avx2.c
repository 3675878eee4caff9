#define LATENT_PRODUCTS "kernels/latent/latent_products_avx2.h"
#include "kernels/latent/latent_rows.h"

void pio_latent_append_avx2(const void *args, pio_worker *worker) {
    latent_append_run(args, worker, PIO_LAYOUT_LATENT_BF16);
}

void pio_latent_attention_avx2(const void *args, pio_worker *worker) {
    latent_attention_run(args, worker, true);
}

void pio_latent_attention_f32_avx2(const void *args, pio_worker *worker) {
    latent_attention_run(args, worker, false);
}
