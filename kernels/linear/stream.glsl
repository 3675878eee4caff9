/* Products of a few rows of weights with a few rows of activations: a subgroup or a workgroup streams ROWS rows of w, its
 * threads share the columns, CHUNK in a row each, which is one load; UNROLL such steps are under way together. Rows that
 * are even, which all are in practice, have a loop of their own: a thread goes through it once or twice, so that what
 * counts is how much code has to be fetched. */
#include "kernels/dtype/weights.glsl"
#include "kernels/linear/linear.h"
#include "kernels/linear/swiglu.glsl"

layout(constant_id = 1) const int TOKENS = 1;
layout(constant_id = 2) const int ROWS = 2;
layout(constant_id = 3) const int UNROLL = 4;

/* What a call takes, set by the caller, and what it leaves. As parameters, arrays would be copied, and have room for the
 * most that there can be. */
int rows[ROWS];                    /* of w */
uint64_t x[TOKENS];                /* float32 rows of activations */
float sums[ROWS * TOKENS];         /* sums[i * TOKENS + t]: rows[i] of w times x[t] */
float squares[TOKENS];             /* of x[t], where there is a norm */

const int CHUNK = WEIGHTS == PIO_WEIGHTS_F32 ? 4 : WEIGHTS == PIO_WEIGHTS_Q8 || WEIGHTS == PIO_WEIGHTS_Q4 ? 16 : 8;

/* ---- weights ---- */

/* Whether whole chunks can be loaded from everywhere. */
bool is_even(matrix m) {
    uint64_t low_bits = uint64_t(m.code_stride);
    [[unroll]] for (int t = 0; t < TOKENS; t++) low_bits |= x[t];
    return m.cols % CHUNK == 0 && (low_bits & 15ul) == 0ul;
}

/* The codes of columns k .. k + CHUNK - 1; 0 past the row's end, where there may be no memory. */
uvec4 codes_at(matrix m, int row, int k, bool even) {
    uint64_t codes = m.codes + uint64_t(row) * m.code_stride;
    if (k >= m.cols) return uvec4(0);
    if (WEIGHTS == PIO_WEIGHTS_Q4) return uvec4(U32V2(codes).v[k / CHUNK], 0, 0);
    if (even || (m.code_stride & 15u) == 0u) return U32V4(codes).v[k / CHUNK];
    uvec4 words = uvec4(0); /* float32 or bf16 rows that begin anywhere */
    [[dont_unroll]] for (int i = 0; i < CHUNK && k + i < m.cols; i++) {
        if (CHUNK == 4)
            words[i] = U32(codes).v[k + i];
        else
            words[i / 2] |= uint(U16(codes).v[k + i]) << 16 * (i % 2);
    }
    return words;
}

/* By what a chunk's codes are multiplied; a row's sum in the end. */
float scale_at(matrix m, int row, int k) {
    if (WEIGHTS != PIO_WEIGHTS_Q8 && WEIGHTS != PIO_WEIGHTS_Q4) return 1;
    uint64_t scales = m.scales + uint64_t(row) * m.scale_stride;
    if (k >= m.cols) return 0;
    float scale = bf16_to_f32(U16(scales).v[k / 256]);
    return WEIGHTS == PIO_WEIGHTS_Q8 ? scale : scale * float(I8(m.subs + uint64_t(row) * m.sub_stride).v[k / 32]);
}

float row_scale(matrix m, int row) {
    return WEIGHTS == PIO_WEIGHTS_F16S ? F32(m.scales).v[row] : 1;
}

/* ---- activations ---- as a thread keeps CHUNK of them */

struct activations {
    vec4 x[4]; /* of which CHUNK / 4 are used */
};

/* Four columns of the float32 row at x, those past n as 0; times the norm's weights, where there are any. */
vec4 four_at(uint64_t from, uint64_t norm, int k, int n, bool even, inout float square_sum) {
    vec4 v = vec4(0), w = vec4(1);
    if (even ? k < n : k + 4 <= n && (from & 15ul) == 0ul) {
        v = F32V4(from).v[k / 4];
        if (norm != 0ul) w = F32V4(norm).v[k / 4];
    } else if (!even) {
        [[dont_unroll]] for (int i = 0; i < 4 && k + i < n; i++) {
            v[i] = F32(from).v[k + i];
            if (norm != 0ul) w[i] = F32(norm).v[k + i];
        }
    }
    square_sum += dot(v, v);
    return v * w;
}

activations activations_at(uint64_t from, uint64_t norm, int k, int n, bool even, inout float square_sum) {
    activations a;
    [[unroll]] for (int i = 0; i < CHUNK / 4; i++) a.x[i] = four_at(from, norm, k + 4 * i, n, even, square_sum);
    return a;
}

float product(uvec4 codes, activations a) {
    float sum = 0;
    if (WEIGHTS == PIO_WEIGHTS_F32) {
        sum = dot(uintBitsToFloat(codes), a.x[0]);
    } else if (WEIGHTS == PIO_WEIGHTS_Q8) {
        [[unroll]] for (int i = 0; i < CHUNK / 4; i++) sum += dot(bytes_of(codes[i]), a.x[i]);
    } else if (WEIGHTS == PIO_WEIGHTS_Q4) {
        [[unroll]] for (int i = 0; i < CHUNK / 8; i++) {
            vec4 low, high;
            q4_values8(codes[i], low, high);
            sum += dot(low, a.x[2 * i]) + dot(high, a.x[2 * i + 1]);
        }
    } else {
        vec4 low, high;
        if (WEIGHTS == PIO_WEIGHTS_BF16)
            bf16s8(codes, low, high);
        else
            halves8(codes, low, high);
        sum = dot(low, a.x[0]) + dot(high, a.x[1 % (CHUNK / 4)]);
    }
    return sum;
}

/* ---- the stream ---- */

/* Of threads `lane` of `lanes`: adds up its share of rows[i] of m times x[t] times `norm`, and of x[t]'s squares. */
void add_even(matrix m, uint64_t norm, int lane, int lanes) {
    for (int first = 0; first < m.cols; first += UNROLL * CHUNK * lanes) {
        uvec4 codes[UNROLL * ROWS];
        float scales[UNROLL * ROWS];
        [[unroll]] for (int u = 0; u < UNROLL; u++) {
            int k = first + CHUNK * (u * lanes + lane);
            [[unroll]] for (int i = 0; i < ROWS; i++) {
                codes[u * ROWS + i] = codes_at(m, rows[i], k, true);
                scales[u * ROWS + i] = scale_at(m, rows[i], k);
            }
        }
        [[unroll]] for (int u = 0; u < UNROLL; u++) {
            int k = first + CHUNK * (u * lanes + lane);
            [[unroll]] for (int t = 0; t < TOKENS; t++) {
                activations a = activations_at(x[t], norm, k, m.cols, true, squares[t]);
                [[unroll]] for (int i = 0; i < ROWS; i++)
                    sums[i * TOKENS + t] += scales[u * ROWS + i] * product(codes[u * ROWS + i], a);
            }
        }
    }
}

void add_uneven(matrix m, uint64_t norm, int lane, int lanes) {
    [[dont_unroll]] for (int k = CHUNK * lane; k < m.cols; k += CHUNK * lanes) {
        [[unroll]] for (int t = 0; t < TOKENS; t++) {
            activations a = activations_at(x[t], norm, k, m.cols, false, squares[t]);
            [[unroll]] for (int i = 0; i < ROWS; i++)
                sums[i * TOKENS + t] += scale_at(m, rows[i], k) * product(codes_at(m, rows[i], k, false), a);
        }
    }
}

void add_products(matrix m, uint64_t norm, int lane, int lanes) {
    [[unroll]] for (int i = 0; i < ROWS * TOKENS; i++) sums[i] = 0;
    [[unroll]] for (int t = 0; t < TOKENS; t++) squares[t] = 0;
    if (is_even(m))
        add_even(m, norm, lane, lanes);
    else
        add_uneven(m, norm, lane, lanes);
    [[unroll]] for (int i = 0; i < ROWS * TOKENS; i++) sums[i] = subgroupAdd(sums[i]);
    if (norm != 0ul)
        [[unroll]] for (int t = 0; t < TOKENS; t++) squares[t] = subgroupAdd(squares[t]);
    [[unroll]] for (int i = 0; i < ROWS; i++)
        [[unroll]] for (int t = 0; t < TOKENS; t++) sums[i * TOKENS + t] *= row_scale(m, rows[i]);
}

/* The products of rows[] of m with x[] times `norm` [cols] (0: none). Every thread of the subgroup gets all of them. */
void stream(matrix m, uint64_t norm) {
    add_products(m, norm, int(gl_SubgroupInvocationID), int(gl_SubgroupSize));
}

/* ---- which rows ---- a workgroup has GROUP_ROWS rows of w, and its subgroups take ROWS at a time */

const int GROUP_ROWS = ROWS * GROUP / 32;

/* The i-th of ROWS rows of w from `first` on: in order, or for SwiGLU half as many gates and their ups. */
int plain_row(int first, int i, int n_out) {
    return min(first + i, n_out - 1);
}

int swiglu_row(int first, int i, int n_out) {
    int gate = gate_row(first / 2 + i % (ROWS / 2));
    return min(gate + (i < ROWS / 2 ? 0 : PIO_SWIGLU_BLOCK), n_out - 1);
}
