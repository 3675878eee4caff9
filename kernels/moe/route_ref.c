#include <math.h>

#include "kernels/families.h"

bool pio_route_serves(const pio_attrs *attrs, int32_t n_experts, int32_t n_chosen) {
    const int32_t n_groups = attrs->n_groups, n_top = attrs->n_top_groups;
    if (n_groups < 1 || n_experts % n_groups || n_top < 1 || n_top > n_groups) return false;
    if (n_groups > 1 && n_experts / n_groups < 2) return false;
    return n_chosen >= 1 && n_chosen <= n_experts / n_groups * n_top &&
           3 * sizeof(float) * (size_t)n_experts <= PIO_WORKER_SCRATCH_BYTES;
}

bool pio_route_match(const pio_call *call) {
    return pio_route_serves(&call->attrs, call->in[0].cols, call->out[0].cols - call->attrs.n_shared);
}

void pio_route_bind(const pio_call *call, void *args) {
    const pio_operand *logits = &call->in[0], *experts = &call->out[0], *weights = &call->out[1];
    *(pio_route_args *)args = (pio_route_args){.logits = logits->address,
                                               .bias = call->n_in > 1 ? call->in[1].address : 0,
                                               .experts = experts->address,
                                               .weights = weights->address,
                                               .live = logits->live,
                                               .rows = logits->rows,
                                               .n_experts = logits->cols,
                                               .n_chosen = experts->cols - call->attrs.n_shared,
                                               .n_shared = call->attrs.n_shared,
                                               .n_groups = call->attrs.n_groups,
                                               .n_top_groups = call->attrs.n_top_groups,
                                               .logits_stride = (pio_i32)logits->stride,
                                               .experts_stride = (pio_i32)experts->stride,
                                               .weights_stride = (pio_i32)weights->stride,
                                               .flags = call->attrs.flags,
                                               .scale = call->attrs.scale,
                                               .eps = call->attrs.eps};
}

static double score_of(const pio_route_args *a, const float *logits, int32_t expert) {
    double sum = 0;
    if (a->flags & PIO_ROUTE_SIGMOID) return 1 / (1 + exp(-(double)logits[expert]));
    for (int32_t e = 0; e < a->n_experts; e++) sum += exp((double)logits[e] - (double)logits[expert]);
    return 1 / sum;
}

/* The sum of the two best of n ranks. */
static double group_rank(const double *rank, int32_t n) {
    double best = -INFINITY, second = -INFINITY;
    for (int32_t i = 0; i < n; i++) {
        if (rank[i] > best) {
            second = best;
            best = rank[i];
        } else if (rank[i] > second) {
            second = rank[i];
        }
    }
    return best + second;
}

/* Ranks of experts whose group is not among the best become -infinity. */
static void leave_best_groups(const pio_route_args *a, double *rank) {
    const int32_t size = a->n_experts / a->n_groups;
    for (int32_t g = 0; g < a->n_groups && a->n_groups > 1; g++) {
        int32_t better = 0;
        double own = group_rank(rank + g * size, size);
        for (int32_t other = 0; other < a->n_groups; other++) {
            /* Groups that were left out already had a rank below the others'. */
            double its = group_rank(rank + other * size, size);
            better += its > own || (its == own && other < g);
        }
        for (int32_t e = g * size; e < (g + 1) * size && better >= a->n_top_groups; e++) rank[e] = -INFINITY;
    }
}

void pio_route_token_ref(const pio_route_args *a, int32_t t, bool live, const float *logits, double *rank) {
    int32_t *experts = PIO_AT(int32_t, a->experts + (pio_u64)t * (pio_u64)a->experts_stride);
    float *weights = PIO_AT(float, a->weights + (pio_u64)t * (pio_u64)a->weights_stride);
    for (int32_t j = 0; j < a->n_chosen + a->n_shared && !live; j++) experts[j] = -1;
    if (!live) return;
    for (int32_t e = 0; e < a->n_experts; e++)
        rank[e] = score_of(a, logits, e) + (a->bias ? (double)PIO_AT(const float, a->bias)[e] : 0);
    leave_best_groups(a, rank);
    double sum = 0;
    for (int32_t j = 0; j < a->n_chosen; j++) {
        int32_t best = 0;
        for (int32_t e = 1; e < a->n_experts; e++)
            if (rank[e] > rank[best]) best = e;
        rank[best] = -INFINITY;
        experts[j] = best;
        sum += score_of(a, logits, best);
    }
    for (int32_t j = 0; j < a->n_chosen; j++) {
        double weight = score_of(a, logits, experts[j]);
        if (a->flags & PIO_ROUTE_NORMALISE) weight /= sum + (double)a->eps;
        weights[j] = (float)(weight * (double)a->scale);
    }
    for (int32_t j = 0; j < a->n_shared; j++) {
        experts[a->n_chosen + j] = a->n_experts + j;
        weights[a->n_chosen + j] = 1;
    }
}

void pio_route_ref(const void *args, pio_worker *worker) {
    const pio_route_args *a = args;
    const int32_t live = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    for (int32_t t; (t = pio_worker_take(worker)) < a->rows;)
        pio_route_token_ref(a, t, t < live, PIO_AT(const float, a->logits + (pio_u64)t * (pio_u64)a->logits_stride),
                            worker->scratch);
}
