/* The products of experts with a few tokens: pairs are taken as they come. */
#define GROUP 128 /* PIO_LINEAR_GROUP */
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/linear/stream.glsl"
#include "kernels/moe/moe.h"

layout(constant_id = 4) const int OP = PIO_EXPERTS_OP_LINEAR;

layout(push_constant, scalar) uniform push {
    pio_experts_args a;
};

#include "kernels/moe/choices.glsl"

shared float partials[GROUP / 4 * ROWS]; /* EXPERTS_DOWN: [subgroups][ROWS] */

matrix matrix_of(int c) {
    return matrix_at(a.w + uint64_t(choices[c]) * a.matrix_bytes, a.n_out, a.cols);
}

/* The subgroup's products of choice c with the rows of its expert's matrix from `first` on. */
void multiply(int c, int first, int n_pairs) {
    int n_rows = OP == PIO_EXPERTS_OP_SWIGLU ? ROWS / 2 : ROWS, lanes = int(gl_SubgroupSize);
    [[unroll]] for (int i = 0; i < ROWS; i++)
        rows[i] = OP == PIO_EXPERTS_OP_SWIGLU ? swiglu_row(first, i, a.n_out) : plain_row(first, i, a.n_out);
    x[0] = row_at(a.x, c / a.n_chosen, a.x_stride);
    stream(matrix_of(c), a.norm);
    float scale = a.norm == 0ul ? 1 : inversesqrt(squares[0] / a.cols + a.norm_eps);
    F32 y = F32(row_at(a.y, place_of(c, n_pairs), a.y_stride));
    [[unroll]] for (int i = 0; i < n_rows; i++) {
        int n = first / (ROWS / n_rows) + i;
        if (i % lanes != int(gl_SubgroupInvocationID)) continue;
        if (OP == PIO_EXPERTS_OP_SWIGLU && n < a.n_out / 2)
            y.v[n] = silu_times(scale * sums[i], scale * sums[i + n_rows]);
        if (OP != PIO_EXPERTS_OP_SWIGLU && n < a.n_out) y.v[n] = scale * sums[i];
    }
}

/* A token's results from row `first` on: each subgroup takes some of its choices, then all are added up. */
void down(int t, int first, int n_pairs) {
    int lane = int(gl_LocalInvocationID.x);
    float all[ROWS];
    F32 weights = F32(row_at(a.weights, t, a.experts_stride));
    [[unroll]] for (int i = 0; i < ROWS; i++) {
        rows[i] = plain_row(first, i, a.n_out);
        all[i] = 0;
    }
    for (int j = int(gl_SubgroupID); j < a.n_chosen; j += int(gl_NumSubgroups)) {
        int c = t * a.n_chosen + j;
        x[0] = row_at(a.x, place_of(c, n_pairs), a.x_stride);
        stream(matrix_of(c), 0ul);
        [[unroll]] for (int i = 0; i < ROWS; i++) all[i] += weights.v[j] * sums[i];
    }
    if (subgroupElect())
        [[unroll]] for (int i = 0; i < ROWS; i++) partials[gl_SubgroupID * ROWS + i] = all[i];
    barrier();
    if (lane >= ROWS || first + lane >= a.n_out) return;
    float sum = F32(row_at(a.residual, t, a.residual_stride)).v[first + lane];
    for (int s = 0; s < int(gl_NumSubgroups); s++) sum += partials[s * ROWS + lane];
    F32(row_at(a.y, t, a.y_stride)).v[first + lane] = sum;
}

/* A workgroup some rows, and a choice or, of EXPERTS_DOWN, a token. */
void main() {
    int n_pairs = live_rows(a.live, a.tokens) * a.n_chosen, y = int(gl_WorkGroupID.y), x = int(gl_WorkGroupID.x);
    if (y * (OP == PIO_EXPERTS_OP_DOWN ? a.n_chosen : 1) >= n_pairs) return;
    load_choices(n_pairs);
    barrier();
    if (OP == PIO_EXPERTS_OP_DOWN)
        down(y, x * ROWS, n_pairs);
    else
        for (int r = ROWS * int(gl_SubgroupID); r < GROUP_ROWS; r += ROWS * int(gl_NumSubgroups))
            multiply(y, x * GROUP_ROWS + r, n_pairs);
}
