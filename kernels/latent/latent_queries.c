/* LATENT_QUERIES: its launch, and the reference, which is that of its two halves. */
#include "base/compiler.h"
#include "kernels/families.h"

enum { Q = 4, W = 5 }; /* inputs, behind those of LATENT_APPEND */

bool pio_latent_queries_match(const pio_call *call) {
    const pio_layout layout = call->in[W].layout;
    return (layout == PIO_LAYOUT_BF16_ROWS || layout == PIO_LAYOUT_F32_ROWS) &&
           call->in[Q].stride == call->out[0].stride && pio_rope_latent_append_match(call);
}

/* As LINEAR_HEADS, and one head more. */
void pio_latent_queries_launch(const pio_call *call, pio_launch *launch) {
    pio_call product = {.n_workers = call->n_workers, .in = {call->in[Q], call->in[W]}};
    pio_linear_heads_launch(&product, launch);
    launch->groups[2]++;
    launch->constants[4] = call->in[2].layout == PIO_LAYOUT_LATENT_BF16;
    launch->n_constants = 5;
}

void pio_latent_queries_bind(const pio_call *call, void *args) {
    const pio_operand *w = &call->in[W];
    pio_rope_latent_append_args first;
    pio_rope_latent_append_bind(call, &first);
    *(pio_latent_queries_args *)args =
        (pio_latent_queries_args){PIO_LATENT_APPEND_FROM(&first),
                                  .q = first.q,
                                  .y = first.y,
                                  .w = w->address,
                                  .q_latent = call->out[2].address,
                                  .flags = first.flags | (pio_i32)w->layout << PIO_LATENT_QUERIES_LAYOUT,
                                  .n_heads = first.n_heads,
                                  .head_cols = first.head_cols,
                                  .q_stride = first.q_stride,
                                  .q_latent_stride = (pio_i32)call->out[2].stride,
                                  .matrix_bytes = (pio_i32)w->matrix_bytes};
}

/* The product first: y may be q. */
void pio_latent_queries_ref(const void *args, pio_worker *worker) {
    const pio_latent_queries_args *a = args;
    const pio_i32 flags = a->flags & ((1 << PIO_LATENT_QUERIES_LAYOUT) - 1);
    const pio_linear_heads_args product = {.x = a->q,
                                           .w = a->w,
                                           .matrix_bytes = (pio_u64)a->matrix_bytes,
                                           .y = a->q_latent,
                                           .live = a->live,
                                           .rows = a->rows,
                                           .n_heads = a->n_heads,
                                           .cols = a->head_cols - a->rope_dim,
                                           .n_out = a->head_dim,
                                           .head_cols = a->head_cols,
                                           .column = a->rope_dim,
                                           .w_layout = a->flags >> PIO_LATENT_QUERIES_LAYOUT,
                                           .x_stride = a->q_stride,
                                           .y_stride = a->q_latent_stride};
    const pio_rope_latent_append_args append = {PIO_LATENT_APPEND_FROM(a),
                                                .q = a->q,
                                                .y = a->y,
                                                .flags = flags,
                                                .n_heads = a->n_heads,
                                                .head_cols = a->head_cols,
                                                .q_stride = a->q_stride,
                                                .y_stride = a->q_stride};
    if (worker->index) return; /* each half is a dispatch of its own */
    atomic_int taken = 0;
    pio_worker alone = {
        .n_workers = 1, .next = &taken, .scratch = worker->scratch, .scratch_bytes = worker->scratch_bytes};
    pio_linear_heads_ref(&product, &alone);
    pio_rope_latent_append_ref(&append, worker);
}
