/* The linear layers' shaders for a few tokens: a workgroup has ROWS rows of w and TOKENS tokens, and its
 * threads share the columns. */
#define GROUP 128 /* PIO_LINEAR_GROUP */
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/stream.glsl"

layout(constant_id = 4) const int SWIGLU = 0;

layout(push_constant, scalar) uniform push {
    pio_linear_args a;
};

void store(int t, int n, float sum) {
    if (a.bias != 0ul) sum += F32(a.bias).v[n];
    if (a.residual != 0ul) sum += F32(row_at(a.residual, t, a.residual_stride)).v[n];
    F32(row_at(a.y, t, a.y_stride)).v[n] = sum;
}

shared float partials[(ROWS + 1) * TOKENS * GROUP / 4];

/* The workgroup's sum of what the subgroups left behind `at`. */
float add_partials(int at) {
    float sum = 0;
    for (uint i = 0; i < gl_NumSubgroups; i++) sum += partials[at * gl_NumSubgroups + i];
    return sum;
}

/* A row's product with a token, times what the norm divides by. */
float finished(int i, int t) {
    float sum = add_partials(i * TOKENS + t);
    return a.norm == 0ul ? sum : sum * inversesqrt(add_partials(ROWS * TOKENS + t) / a.cols + a.norm_eps);
}

void main() {
    int first_token = int(gl_WorkGroupID.y) * TOKENS, n_tokens = live_rows(a.live, a.rows) - first_token,
        first = int(gl_WorkGroupID.x) * ROWS, n_rows = SWIGLU != 0 ? ROWS / 2 : ROWS;
    if (n_tokens <= 0) return;
    [[unroll]] for (int i = 0; i < ROWS; i++)
        rows[i] = SWIGLU != 0 ? swiglu_row(first, i, a.n_out) : plain_row(first, i, a.n_out);
    [[unroll]] for (int t = 0; t < TOKENS; t++)
        x[t] = row_at(a.x, first_token + min(t, n_tokens - 1), a.x_stride);
    add_products(matrix_at(a.w, a.n_out, a.cols), a.norm, int(gl_LocalInvocationID.x), GROUP);
    if (subgroupElect()) {
        [[unroll]] for (int i = 0; i < ROWS * TOKENS; i++)
            partials[i * gl_NumSubgroups + gl_SubgroupID] = sums[i];
        [[unroll]] for (int t = 0; t < TOKENS; t++)
            partials[(ROWS * TOKENS + t) * gl_NumSubgroups + gl_SubgroupID] = squares[t];
    }
    barrier();
    for (int o = int(gl_LocalInvocationID.x); o < n_rows * TOKENS; o += GROUP) {
        int i = o / TOKENS, t = o % TOKENS, n = first / (ROWS / n_rows) + i;
        if (t >= n_tokens || n >= a.n_out / (ROWS / n_rows)) continue;
        if (SWIGLU != 0)
            F32(row_at(a.y, first_token + t, a.y_stride)).v[n] = silu_times(finished(i, t), finished(i + n_rows, t));
        else
            store(first_token + t, n, finished(i, t));
    }
}
