#include "kernels/families.h"

/* A workgroup a token and head, told whether the cache, operand `cache`, is bf16. */
static void launch_heads(const pio_call *call, int32_t n_heads, int cache, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->in[0].rows;
    launch->groups[1] = (uint32_t)n_heads;
    launch->constants[0] = call->in[cache].layout == PIO_LAYOUT_KV_BF16;
    launch->n_constants = 1;
}

void pio_kv_append_launch(const pio_call *call, pio_launch *launch) {
    launch_heads(call, call->attrs.n_kv_heads, 2, launch);
}

void pio_qk_norm_rope_append_launch(const pio_call *call, pio_launch *launch) {
    launch_heads(call, call->attrs.n_heads + call->attrs.n_kv_heads, 3, launch);
}

void pio_attention_launch(const pio_call *call, pio_launch *launch) {
    launch_heads(call, call->attrs.n_heads, 1, launch);
}

bool pio_kv_match_device(const pio_call *call) {
    return call->attrs.head_dim <= PIO_KV_HEAD_DIM_MAX;
}
