/* ROUTER in plain C, with float64 sums: the logits of a token, then ROUTE. */
#include "kernels/families.h"
#include "kernels/linear/linear_ref.h"

bool pio_router_match(const pio_call *call) {
    const int32_t n_experts = call->in[1].rows, n_chosen = call->out[0].cols - call->attrs.n_shared;
    return n_experts <= PIO_ROUTE_EXPERTS_MAX && pio_route_serves(&call->attrs, n_experts, n_chosen);
}

size_t pio_router_scratch(const pio_call *call) {
    return sizeof(float) * (size_t)call->in[0].rows * (size_t)call->in[1].rows;
}

/* A workgroup an expert and token. */
void pio_router_launch(const pio_call *call, pio_launch *launch) {
    launch->groups[0] = (uint32_t)call->in[1].rows;
    launch->groups[1] = (uint32_t)call->in[0].rows;
}

void pio_router_bind(const pio_call *call, void *args) {
    const pio_operand *x = &call->in[0], *w = &call->in[1], *experts = &call->out[0], *weights = &call->out[1];
    *(pio_router_args *)args =
        (pio_router_args){.x = x->address,
                          .w = w->address,
                          .bias = call->n_in > 2 ? call->in[2].address : 0,
                          .norm = pio_call_has(call, PIO_ROUTER_NORM) ? call->in[PIO_ROUTER_NORM].address : 0,
                          .experts = experts->address,
                          .weights = weights->address,
                          .live = x->live,
                          .scratch = call->scratch,
                          .arrived = call->step.counts + offsetof(pio_step_counts, arrived),
                          .rows = x->rows,
                          .cols = w->cols,
                          .n_experts = w->rows,
                          .n_chosen = experts->cols - call->attrs.n_shared,
                          .n_shared = call->attrs.n_shared,
                          .n_groups = call->attrs.n_groups,
                          .n_top_groups = call->attrs.n_top_groups,
                          .x_stride = (pio_i32)x->stride,
                          .experts_stride = (pio_i32)experts->stride,
                          .weights_stride = (pio_i32)weights->stride,
                          .flags = call->attrs.flags,
                          .scale = call->attrs.scale,
                          .eps = call->attrs.eps,
                          .norm_eps = call->attrs.norm_eps};
}

/* logits [n_experts] of one token. */
static void multiply(const pio_router_args *a, const float *x, float *logits) {
    const float *w = PIO_AT(const float, a->w), *norm = PIO_AT(const float, a->norm);
    for (int32_t e = 0; e < a->n_experts; e++)
        logits[e] = (float)pio_product_ref(x, norm, a->norm_eps, w + (size_t)e * (size_t)a->cols, a->cols);
}

void pio_router_ref(const void *args, pio_worker *worker) {
    const pio_router_args *a = args;
    pio_route_args route = {.logits = (pio_u64)(uintptr_t)worker->scratch,
                            .bias = a->bias,
                            .live = a->live,
                            .rows = a->rows,
                            .n_experts = a->n_experts,
                            .n_chosen = a->n_chosen,
                            .n_shared = a->n_shared,
                            .n_groups = a->n_groups,
                            .n_top_groups = a->n_top_groups,
                            .experts_stride = a->experts_stride,
                            .weights_stride = a->weights_stride,
                            .flags = a->flags,
                            .scale = a->scale,
                            .eps = a->eps};
    const int32_t live = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    float *logits = worker->scratch;
    route.experts = a->experts;
    route.weights = a->weights;
    for (int32_t t; (t = pio_worker_take(worker)) < a->rows;) {
        if (t < live) multiply(a, PIO_AT(const float, a->x + (pio_u64)t * (pio_u64)a->x_stride), logits);
        pio_route_token_ref(&route, t, t < live, logits, (double *)(void *)(logits + PIO_ROUND_UP(a->n_experts, 2)));
    }
}
