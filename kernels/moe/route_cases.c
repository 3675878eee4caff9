/* The cases of ROUTE. Logits are drawn until no two experts' ranks are so near that rounding decides between them;
 * where ranks are equal on purpose, they are so in every arithmetic. */
#include <math.h>

#include "kernels/case.h"
#include "kernels/families.h"

typedef struct shape {
    const char *name;
    int32_t bound, live, n_experts, n_chosen, n_groups, n_top_groups;
    int32_t flags;
    bool bias, ties;
    float scale, logit_scale;
    float bias_around;
    int32_t n_shared;
} shape;

static const shape shapes[] = {
    {"softmax, normalised", 1, 1, 128, 8, 1, 1, PIO_ROUTE_NORMALISE, false, false, 1, 1},
    {"sigmoid, one shared", 1, 1, 64, 4, 1, 1, PIO_ROUTE_SIGMOID | PIO_ROUTE_NORMALISE, true, false, 1.8f, 1, 0, 1},
    {"softmax, two shared", 5, 4, 12, 3, 1, 1, PIO_ROUTE_NORMALISE, false, false, 2, 1, 0, 2},
    {"softmax", 17, 12, 16, 4, 1, 1, 0, false, false, 1, 2},
    {"sigmoid, bias", 5, 5, 64, 4, 1, 1, PIO_ROUTE_SIGMOID | PIO_ROUTE_NORMALISE, true, false, 1.8f, 1},
    {"sigmoid, bias, groups", 9, 8, 64, 6, 8, 3, PIO_ROUTE_SIGMOID | PIO_ROUTE_NORMALISE, true, false, 2.5f, 1},
    {"sigmoid, groups of two", 4, 4, 10, 4, 5, 2, PIO_ROUTE_SIGMOID, false, false, 1, 1},
    {"softmax, bias, groups", 3, 3, 24, 5, 3, 2, PIO_ROUTE_NORMALISE, true, false, 1, 1},
    {"one expert of five", 8, 7, 5, 1, 1, 1, PIO_ROUTE_NORMALISE, false, false, 1, 1},
    {"one expert of one", 2, 2, 1, 1, 1, 1, 0, false, false, 1, 1},
    {"all experts", 6, 6, 7, 7, 1, 1, 0, false, false, 1, 1},
    {"a bias that outweighs the scores", 4, 4, 32, 3, 1, 1, PIO_ROUTE_SIGMOID | PIO_ROUTE_NORMALISE, true, false, 1,
     0.01f},
    {"equal ranks", 6, 6, 40, 5, 1, 1, PIO_ROUTE_NORMALISE, false, true, 1, 1},
    {"equal sigmoids, groups", 6, 5, 40, 5, 4, 2, PIO_ROUTE_SIGMOID, false, true, 1, 1},
    {"ranks below zero, groups", 7, 7, 32, 4, 8, 2, PIO_ROUTE_SIGMOID | PIO_ROUTE_NORMALISE, true, false, 1, 1, -3},
    {"steep", 3, 3, 33, 4, 1, 1, PIO_ROUTE_NORMALISE, false, false, 1, 12},
    {"no token", 3, 0, 16, 2, 1, 1, 0, false, false, 1, 1},
};

static double rank_of(const shape *s, const float *logits, const float *bias, int32_t e) {
    double sum = 0;
    if (s->flags & PIO_ROUTE_SIGMOID) return 1 / (1 + exp(-(double)logits[e])) + (bias ? (double)bias[e] : 0);
    for (int32_t i = 0; i < s->n_experts; i++) sum += exp((double)logits[i] - (double)logits[e]);
    return 1 / sum + (bias ? (double)bias[e] : 0);
}

/* Whether float32 might put two experts in another order than float64. */
static bool is_close(const shape *s, const float *logits, const float *bias) {
    enum { MOST = 128 };
    double rank[MOST];
    for (int32_t e = 0; e < s->n_experts; e++) rank[e] = rank_of(s, logits, bias, e);
    for (int32_t e = 0; e < s->n_experts; e++)
        for (int32_t i = 0; i < e; i++)
            if (fabs(rank[e] - rank[i]) < (bias ? 2e-6 : 1e-5 * fmin(rank[e], rank[i]))) return true;
    return false;
}

static void draw_logits(pio_case_builder *b, const shape *s, const float *bias, float *logits) {
    do
        for (int32_t e = 0; e < s->n_experts; e++)
            logits[e] = s->ties ? 0.5f * (float)pio_case_uniform(b, 5) : s->logit_scale * pio_case_gaussian(b);
    while (!s->ties && is_close(s, logits, bias));
}

static void attributes(pio_case_builder *b, const shape *s) {
    pio_call *call = pio_case_call(b);
    pio_case_name(b, "%s: %d of %d, %d of %d rows", s->name, s->n_chosen, s->n_experts, s->live, s->bound);
    call->attrs.flags = s->flags;
    call->attrs.scale = s->scale;
    call->attrs.eps = 1e-20f;
    call->attrs.n_groups = s->n_groups;
    call->attrs.n_top_groups = s->n_top_groups;
    call->attrs.n_shared = s->n_shared;
}

static void outputs(pio_case_builder *b, const shape *s) {
    pio_call *call = pio_case_call(b);
    const int32_t cols = s->n_chosen + s->n_shared;
    const int64_t stride = pio_encoding_stride(PIO_ENC_F32, cols);
    pio_case_output_words(b, 0, stride * s->bound);
    call->out[0].rows = s->bound;
    call->out[0].cols = cols;
    call->out[0].stride = stride;
    pio_case_output(b, 1, s->bound, s->live, cols);
}

bool pio_route_case(pio_case_builder *b, int index) {
    if ((size_t)index >= PIO_COUNT(shapes)) return false;
    const shape *s = &shapes[index];
    const int64_t stride = pio_encoding_stride(PIO_ENC_F32, s->n_experts);
    attributes(b, s);
    pio_case_tolerance(b, 1e-11, "exponentials within 2 units in the last place");
    float *logits = pio_case_acts(b, 0, s->bound, s->live, s->n_experts, 1);
    const float *bias = s->bias ? pio_case_vector(b, 1, s->n_experts, s->bias_around, 0.3f) : NULL;
    for (int32_t t = 0; t < s->live; t++) draw_logits(b, s, bias, (float *)((char *)logits + stride * t));
    outputs(b, s);
    return true;
}

/* Experts are so far apart that no rounding changes who is chosen: expert e's row of w is row (e x 5 + 3) mod n of a
 * ladder, a multiple of one direction that every token has a part of. */
bool pio_router_case(pio_case_builder *b, int index) {
    static const struct {
        shape shape;
        int32_t cols;
        bool norm;
    } cases[] = {
        {{"softmax", 1, 1, 128, 8, 1, 1, PIO_ROUTE_NORMALISE, false, false, 1, 1}, 2048, true},
        {{"sigmoid, bias, shared", 1, 1, 64, 4, 1, 1, PIO_ROUTE_SIGMOID | PIO_ROUTE_NORMALISE, true, false, 1.8f, 1, 0,
          1},
         300,
         true},
        {{"softmax", 8, 7, 33, 5, 1, 1, 0, false, false, 1, 1}, 96, false},
        {{"sigmoid, groups", 4, 4, 16, 4, 4, 2, PIO_ROUTE_SIGMOID, false, false, 2, 1, 0, 2}, 1030, true},
        {{"one of one", 2, 1, 1, 1, 1, 1, 0, false, false, 1, 1}, 33, true},
        {{"no token", 3, 0, 8, 2, 1, 1, 0, false, false, 1, 1}, 64, true},
    };
    if ((size_t)index >= PIO_COUNT(cases)) return false;
    const shape *s = &cases[index].shape;
    const int32_t cols = cases[index].cols, n = s->n_experts;
    const pio_case_sequence sequence = {3, s->live};
    attributes(b, s);
    pio_case_tolerance(b, 1e-10, "float32 sums in another order, and their exponentials");
    pio_case_call(b)->attrs.norm_eps = 1e-6f;
    pio_case_step(b, &sequence, 1, s->bound);
    float *x = pio_case_acts(b, 0, s->bound, s->live, cols, 1), *w = pio_case_weight(b, 1, n, cols, 0);
    for (int32_t t = 0; t < s->live; t++)
        for (int32_t k = 0; k < cols; k++)
            ((float *)((char *)x + pio_encoding_stride(PIO_ENC_F32, cols) * t))[k] += k % 2 ? 2 : -2;
    for (int32_t e = 0; e < n; e++)
        for (int32_t k = 0; k < cols; k++)
            w[e * cols + k] = (k % 2 ? 1.0f : -1.0f) * (float)((e * 5 + 3) % n) / (float)(n * cols);
    if (s->bias) pio_case_vector(b, 2, n, 0, 0)[n / 2] = 10;
    if (cases[index].norm) pio_case_vector(b, PIO_ROUTER_NORM, cols, 1, 0.1f);
    outputs(b, s);
    return true;
}
