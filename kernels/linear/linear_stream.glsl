/* The linear layers' shaders for a few tokens: a workgroup has GROUP_ROWS rows of w and TOKENS tokens. */
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

/* The subgroup's products of the rows from `first` on; its threads store one each. */
void multiply(matrix m, int first, int first_token, int n_tokens) {
    int rows[MOST_ROWS];
    uint64_t x[MOST_TOKENS];
    float sums[MOST_ROWS * MOST_TOKENS], squares[MOST_TOKENS];
    [[unroll]] for (int i = 0; i < ROWS; i++)
        rows[i] = SWIGLU != 0 ? swiglu_row(first, i, a.n_out) : plain_row(first, i, a.n_out);
    [[unroll]] for (int t = 0; t < TOKENS; t++)
        x[t] = row_at(a.x, first_token + min(t, n_tokens - 1), a.x_stride);
    stream(m, rows, x, a.norm, sums, squares);
    if (a.norm != 0ul)
        [[unroll]] for (int i = 0; i < ROWS * TOKENS; i++)
            sums[i] *= inversesqrt(squares[i % TOKENS] / a.cols + a.norm_eps);
    int lanes = int(gl_SubgroupSize), n_rows = SWIGLU != 0 ? ROWS / 2 : ROWS;
    [[unroll]] for (int i = 0; i < n_rows; i++) {
        [[unroll]] for (int t = 0; t < TOKENS; t++) {
            int n = first / (ROWS / n_rows) + i;
            if ((i * TOKENS + t) % lanes != int(gl_SubgroupInvocationID) || t >= n_tokens) continue;
            if (SWIGLU != 0 && n < a.n_out / 2)
                F32(row_at(a.y, first_token + t, a.y_stride)).v[n] =
                    silu_times(sums[i * TOKENS + t], sums[(i + n_rows) * TOKENS + t]);
            if (SWIGLU == 0 && n < a.n_out) store(first_token + t, n, sums[i * TOKENS + t]);
        }
    }
}

void main() {
    int first_token = int(gl_WorkGroupID.y) * TOKENS, n_tokens = live_rows(a.live, a.rows) - first_token;
    if (n_tokens <= 0) return;
    matrix m = matrix_at(a.w, a.n_out, a.cols);
    for (int r = ROWS * int(gl_SubgroupID); r < GROUP_ROWS; r += ROWS * int(gl_NumSubgroups))
        multiply(m, int(gl_WorkGroupID.x) * GROUP_ROWS + r, first_token, n_tokens);
}
