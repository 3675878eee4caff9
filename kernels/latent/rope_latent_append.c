/* ROPE_LATENT_APPEND: its launch, and the reference, which is that of its two halves. */
#include "base/compiler.h"
#include "kernels/families.h"

enum { PAIRS = 128 }; /* threads of a workgroup, which have a pair each */

bool pio_rope_latent_append_match(const pio_call *call) {
    return call->attrs.rope_dim <= 2 * PAIRS && pio_latent_match(call);
}

/* A workgroup a token and head, and one more a token. */
void pio_rope_latent_append_launch(const pio_call *call, pio_launch *launch) {
    pio_latent_append_launch(call, launch);
    launch->groups[1] = (uint32_t)call->attrs.n_heads + 1;
}

void pio_rope_latent_append_bind(const pio_call *call, void *args) {
    pio_latent_append_args append;
    pio_latent_append_bind(call, &append);
    *(pio_rope_latent_append_args *)args = (pio_rope_latent_append_args){PIO_LATENT_APPEND_FROM(&append),
                                                                         .q = call->in[4].address,
                                                                         .y = call->out[0].address,
                                                                         .flags = append.flags,
                                                                         .n_heads = call->attrs.n_heads,
                                                                         .head_cols = call->attrs.column,
                                                                         .q_stride = (pio_i32)call->in[4].stride,
                                                                         .y_stride = (pio_i32)call->out[0].stride};
}

void pio_rope_latent_append_ref(const void *args, pio_worker *worker) {
    const pio_rope_latent_append_args *a = args;
    const pio_latent_append_args append = {PIO_LATENT_APPEND_FROM(a), .flags = a->flags};
    const pio_rope_args rope = {.x = a->q,
                                .table = a->table,
                                .y = a->y,
                                .live = a->live,
                                .rows = a->rows,
                                .n_heads = a->n_heads,
                                .head_dim = a->head_cols,
                                .half_dim = a->rope_dim / 2,
                                .x_stride = a->q_stride,
                                .table_stride = a->table_stride,
                                .y_stride = a->y_stride,
                                .flags = a->flags};
    if (worker->index) return; /* each half is a dispatch of its own */
    atomic_int taken[2] = {0, 0};
    pio_worker halves[2];
    for (int i = 0; i < 2; i++)
        halves[i] = (pio_worker){
            .n_workers = 1, .next = &taken[i], .scratch = worker->scratch, .scratch_bytes = worker->scratch_bytes};
    pio_latent_append_ref(&append, &halves[0]);
    pio_rope_ref(&rope, &halves[1]);
}
