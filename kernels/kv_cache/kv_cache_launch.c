/* How devices start the ops that append. */
#include "kernels/families.h"

enum { GROUP = 128, PIECE = 8 /* columns of a thread at a time */, MOST_LANES = 16 };

void pio_kv_append_launch(const pio_call *call, pio_launch *launch) {
    const int64_t threads = (int64_t)call->in[0].rows * call->attrs.n_kv_heads * (call->attrs.head_dim / 4);
    launch->groups[0] = (uint32_t)PIO_CEIL_DIV(threads, GROUP);
    launch->constants[0] = call->in[2].layout != PIO_LAYOUT_KV_F32;
    launch->n_constants = 1;
}

void pio_qk_norm_rope_append_launch(const pio_call *call, pio_launch *launch) {
    const int32_t lanes = PIO_MIN(MOST_LANES, PIO_MAX(4, call->subgroup_size));
    const int64_t heads = (int64_t)call->in[0].rows * (call->attrs.n_heads + 2 * call->attrs.n_kv_heads);
    launch->groups[0] = (uint32_t)PIO_CEIL_DIV(heads * lanes, GROUP);
    launch->constants[0] = call->in[3].layout != PIO_LAYOUT_KV_F32;
    launch->constants[1] = (uint32_t)call->attrs.head_dim;
    launch->constants[2] = (uint32_t)lanes;
    launch->n_constants = 3;
}

/* For heads of any size: a workgroup a token and head. */
static void launch_any(const pio_call *call, int32_t n_heads, int cache, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->in[0].rows;
    launch->groups[1] = (uint32_t)n_heads;
    launch->constants[0] = call->in[cache].layout != PIO_LAYOUT_KV_F32;
    launch->n_constants = 1;
}

void pio_kv_append_any_launch(const pio_call *call, pio_launch *launch) {
    launch_any(call, call->attrs.n_kv_heads, 2, launch);
}

void pio_qk_norm_rope_append_any_launch(const pio_call *call, pio_launch *launch) {
    launch_any(call, call->attrs.n_heads + call->attrs.n_kv_heads, 3, launch);
}

void pio_attention_any_launch(const pio_call *call, pio_launch *launch) {
    launch_any(call, call->attrs.n_heads, 1, launch);
}

bool pio_kv_match_any(const pio_call *call) {
    return call->attrs.head_dim <= PIO_KV_HEAD_DIM_MAX;
}

bool pio_kv_match_device(const pio_call *call) {
    return call->attrs.head_dim % PIECE == 0 && call->attrs.rope_dim % PIECE == 0 &&
           call->attrs.head_dim <= PIO_KV_HEAD_DIM_MAX;
}
