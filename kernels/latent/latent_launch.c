#include "kernels/families.h"

static void launch(const pio_call *call, int cache, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->in[0].rows;
    launch->constants[0] = call->in[cache].layout == PIO_LAYOUT_LATENT_BF16;
    launch->n_constants = 1;
}

/* A workgroup a token. */
void pio_latent_append_launch(const pio_call *call, pio_launch *out) {
    launch(call, 2, out);
}

/* A workgroup a token and head. */
void pio_latent_attention_launch(const pio_call *call, pio_launch *out) {
    launch(call, 1, out);
    out->groups[1] = (uint32_t)call->attrs.n_heads;
}
