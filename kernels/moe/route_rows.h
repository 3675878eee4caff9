/* The rows of ROUTE, one source for all instruction sets: a file a set defines NAME and includes this. A tile is one
 * token. */
#include <math.h>

#include "kernels/dialect/vector.h"
#include "kernels/families.h"

static PIO_ALWAYS_INLINE void sigmoids(const float *logits, pio_i32 n, float *scores) {
    for (pio_i32 e = 0; e < n; e++) scores[e] = 1.0f / (1.0f + pio_exp(-logits[e]));
}

static PIO_ALWAYS_INLINE void softmax(const float *logits, pio_i32 n, float *scores) {
    float most = logits[0];
    for (pio_i32 e = 1; e < n; e++) most = logits[e] > most ? logits[e] : most;
    for (pio_i32 e = 0; e < n; e++) scores[e] = pio_exp(logits[e] - most);
    const float sum = pio_sum(scores, n);
    for (pio_i32 e = 0; e < n; e++) scores[e] /= sum;
}

/* The k highest of n numbers, best first, the lower index where they are equal. best [k] holds the indices. */
static PIO_ALWAYS_INLINE void highest(const float *x, pio_i32 n, pio_i32 k, pio_i32 *best) {
    for (pio_i32 i = 0; i < n; i++) {
        if (i >= k && !(x[i] > x[best[k - 1]])) continue;
        pio_i32 at = i < k ? i : k - 1;
        for (; at > 0 && x[i] > x[best[at - 1]]; at--) best[at] = best[at - 1];
        best[at] = i;
    }
}

/* Ranks of experts whose group is not among the best become -infinity. */
static PIO_ALWAYS_INLINE void leave_best_groups(const pio_route_args *a, float *rank, float *groups, pio_i32 *best) {
    const pio_i32 size = a->n_experts / a->n_groups;
    for (pio_i32 g = 0; g < a->n_groups; g++) {
        pio_i32 two[2];
        highest(rank + g * size, size, 2, two);
        groups[g] = rank[g * size + two[0]] + rank[g * size + two[1]];
    }
    highest(groups, a->n_groups, a->n_top_groups, best);
    for (pio_i32 i = 0; i < a->n_top_groups; i++) groups[best[i]] = INFINITY;
    for (pio_i32 g = 0; g < a->n_groups; g++)
        for (pio_i32 e = g * size; e < (g + 1) * size && groups[g] < INFINITY; e++) rank[e] = -INFINITY;
}

static PIO_ALWAYS_INLINE void route_token(const pio_route_args *a, pio_i32 t, float *scratch) {
    const pio_i32 n = a->n_experts, k = a->n_chosen;
    const float *logits = PIO_AT(const float, a->logits + (pio_u64)t * (pio_u64)a->logits_stride);
    const float *bias = PIO_AT(const float, a->bias);
    pio_i32 *experts = PIO_AT(pio_i32, a->experts + (pio_u64)t * (pio_u64)a->experts_stride);
    float *weights = PIO_AT(float, a->weights + (pio_u64)t * (pio_u64)a->weights_stride);
    float *scores = scratch, *rank = scores + n, *groups = rank + n;
    if (a->flags & PIO_ROUTE_SIGMOID)
        sigmoids(logits, n, scores);
    else
        softmax(logits, n, scores);
    for (pio_i32 e = 0; e < n; e++) {
        const float own = bias ? scores[e] + bias[e] : scores[e];
        rank[e] = own == own ? own : -INFINITY; /* damaged logits lead to some experts all the same */
    }
    if (a->n_groups > 1) leave_best_groups(a, rank, groups, (pio_i32 *)(void *)(groups + a->n_groups));
    highest(rank, n, k, experts);
    float sum = 0;
    for (pio_i32 j = 0; j < k; j++) sum += scores[experts[j]];
    const float divisor = a->flags & PIO_ROUTE_NORMALISE ? sum + a->eps : 1.0f;
    for (pio_i32 j = 0; j < k; j++) weights[j] = scores[experts[j]] / divisor * a->scale;
    for (pio_i32 j = 0; j < a->n_shared; j++) {
        experts[k + j] = n + j;
        weights[k + j] = 1;
    }
}

void NAME(const void *args, pio_worker *worker) {
    const pio_route_args *a = args;
    const pio_i32 live = a->live ? *PIO_AT(const pio_i32, a->live) : a->rows;
    for (pio_i32 t; (t = pio_worker_take(worker)) < a->rows;) {
        pio_i32 *experts = PIO_AT(pio_i32, a->experts + (pio_u64)t * (pio_u64)a->experts_stride);
        if (t < live)
            route_token(a, t, worker->scratch);
        else
            for (pio_i32 j = 0; j < a->n_chosen + a->n_shared; j++) experts[j] = -1;
    }
}
