#include "kernels/latent/latent_rows.h"

void pio_latent_append_portable(const void *args, pio_worker *worker) {
    latent_append_run(args, worker, PIO_LAYOUT_LATENT_F32);
}

void pio_latent_attention_portable(const void *args, pio_worker *worker) {
    latent_attention_run(args, worker, false);
}
