/* Products of a few rows of activations with weights in q8 or q4, by integer dot products. A workgroup first rounds its
 * activations to int8, every 32 columns (a chunk) with a scale of their own, and keeps them in shared memory. Then its
 * subgroups stream rows of weights past them, ROWS of them at a time (a unit), each with its share of the lanes, which
 * take a chunk each; UNROLL such steps are loaded together (a piece), and the next piece is on its way while the sums of
 * one are taken.
 *
 * The loop is short, for a layer takes a few microseconds, in which a GPU fetches the code as well as the weights; and
 * masks and shifts are what there are few units for, so that q4's levels are never put together: the bits of its codes
 * weigh 8, 4, 2 and 5 (base/dtype.h), and each mask's dot product is added with its weight. */
#include "kernels/dialect/dot8.glsl"
#include "kernels/dtype/weights.glsl"
#include "kernels/linear/linear.h"

layout(constant_id = 1) const int TOKENS = 1;
layout(constant_id = 2) const int ROWS = 1;
layout(constant_id = 3) const int UNROLL = 1;
layout(constant_id = 5) const int CHUNKS = 1; /* of a row */
layout(constant_id = 6) const int UNITS = 1;  /* of a workgroup */
layout(local_size_x_id = 7) in;

const int CHUNK = PIO_DOT8_CHUNK, WORDS = WEIGHTS == PIO_WEIGHTS_Q4 ? 1 : 2; /* WORDS of 16 bytes hold a chunk's codes */
/* Arrays have room for the most, for a specialisation constant is no size of a parameter. */
const int MOST_TOKENS = PIO_LINEAR_GROUP_TOKENS, MOST_SUBGROUPS = PIO_DOT8_THREADS / 4;

shared uvec4 x_first[TOKENS * CHUNKS], x_second[TOKENS * CHUNKS]; /* codes; of q4 the even columns, then the odd ones */
shared uint x_scales[TOKENS * CHUNKS]; /* a bf16 scale, and below the sum of the codes */
shared float partial_squares[TOKENS * MOST_SUBGROUPS];

/* ---- lanes ---- */

int row_of_lane() {
    return int(gl_SubgroupInvocationID) / (int(gl_SubgroupSize) / ROWS);
}

uint chunk_of_lane() {
    return gl_SubgroupInvocationID % (gl_SubgroupSize / ROWS);
}

uint chunks_of_step() {
    return gl_SubgroupSize / ROWS;
}

/* Each row's sum over its lanes. */
vec2 row_sums(float x) {
    if (ROWS == 1) return vec2(subgroupAdd(x), 0);
    bool second = row_of_lane() == 1;
    return vec2(subgroupAdd(second ? 0 : x), subgroupAdd(second ? x : 0));
}

/* ---- activations ---- */

/* Rounded to the nearest even number, in the low byte: the unit of the last place of a number near 1.5 x 2^23 is 1. */
uint byte_of(float x, float inverse) {
    return floatBitsToUint(fma(x, inverse, 12582912.0)) & 255u;
}

uint four_bytes(vec4 x, float inverse) {
    return byte_of(x.x, inverse) | byte_of(x.y, inverse) << 8 | byte_of(x.z, inverse) << 16 |
           byte_of(x.w, inverse) << 24;
}

/* Columns k .. k + 31 of the float32 row at x, those past n as 0, times `norm` (0: none), become chunk `at`. */
void round_chunk(uint64_t x, uint64_t norm, int k, int n, int at, inout float squares) {
    vec4 v[8], w[8], most = vec4(0);
    [[unroll]] for (int i = 0; i < 8; i += 2) floats8(x, k + 4 * i, n, v[i], v[i + 1]);
    [[unroll]] for (int i = 0; i < 8; i++) squares += dot(v[i], v[i]);
    if (norm != 0ul) {
        [[unroll]] for (int i = 0; i < 8; i += 2) floats8(norm, k + 4 * i, n, w[i], w[i + 1]);
        [[unroll]] for (int i = 0; i < 8; i++) v[i] *= w[i];
    }
    [[unroll]] for (int i = 0; i < 8; i++) most = max(most, abs(v[i]));
    float largest = max(max(most.x, most.y), max(most.z, most.w));
    uint scale = floatBitsToUint(largest * (1.0 / 127)) + 0xffffu & 0xffff0000u; /* up to the next bf16 */
    float inverse = largest > 1e-30 ? 1 / uintBitsToFloat(scale) : 0;
    uvec4 first, second;
    int sum = 0;
    [[unroll]] for (int i = 0; i < 4; i++) {
        bool q4 = WEIGHTS == PIO_WEIGHTS_Q4;
        first[i] = four_bytes(q4 ? vec4(v[2 * i].xz, v[2 * i + 1].xz) : v[i], inverse);
        second[i] = four_bytes(q4 ? vec4(v[2 * i].yw, v[2 * i + 1].yw) : v[4 + i], inverse);
        sum += dot8(first[i], 0x01010101u) + dot8(second[i], 0x01010101u);
    }
    x_first[at] = first;
    x_second[at] = second;
    x_scales[at] = scale | uint(sum) & 0xffffu;
}

/* Rounds x[t] [cols]; inverse[t] is what the norm multiplies by. All threads of the group call it. */
void round_activations(uint64_t x[MOST_TOKENS], uint64_t norm, float eps, int cols, out float inverse[MOST_TOKENS]) {
    [[unroll]] for (int t = 0; t < TOKENS; t++) {
        float squares = 0;
        for (int c = int(gl_LocalInvocationID.x); c < CHUNKS; c += int(gl_WorkGroupSize.x))
            round_chunk(x[t], norm, CHUNK * c, cols, t * CHUNKS + c, squares);
        if (norm == 0ul) continue;
        squares = subgroupAdd(squares);
        if (subgroupElect()) partial_squares[t * MOST_SUBGROUPS + gl_SubgroupID] = squares;
    }
    barrier();
    [[unroll]] for (int t = 0; t < TOKENS; t++) {
        float squares = 0;
        inverse[t] = 1;
        if (norm == 0ul) continue;
        for (uint i = 0; i < gl_NumSubgroups; i++) squares += partial_squares[t * MOST_SUBGROUPS + i];
        inverse[t] = inversesqrt(squares / cols + eps);
    }
}

/* ---- weights ---- */

struct piece {
    uvec4 codes[PIO_DOT8_LOADS];
    float scales[PIO_DOT8_LOADS];
};

/* The lane's chunks of its row from step `first` on; those past the row's end count for nothing. */
piece load_piece(matrix m, int row, uint first) {
    uint64_t codes = m.codes + uint64_t(row) * m.code_stride, subs = m.subs + uint64_t(row) * m.sub_stride,
             scales = m.scales + uint64_t(row) * m.scale_stride;
    piece p;
    [[unroll]] for (int u = 0; u < UNROLL; u++) {
        uint c = first + uint(u) * chunks_of_step() + chunk_of_lane(), there = min(c, uint(CHUNKS - 1));
        [[unroll]] for (int i = 0; i < WORDS; i++) p.codes[u * WORDS + i] = U32V4(codes).v[there * WORDS + i];
        float scale = bf16_to_f32(U16(scales).v[there / 8u]);
        if (WEIGHTS == PIO_WEIGHTS_Q4) scale *= float(I8(subs).v[there]);
        p.scales[u] = c == there ? scale : 0;
    }
    return p;
}

int q8_product(uvec4 low, uvec4 high, uvec4 first, uvec4 second) {
    int sum = 0;
    [[unroll]] for (int i = 0; i < 4; i++) sum += dot8(low[i], first[i]);
    [[unroll]] for (int i = 0; i < 4; i++) sum += dot8(high[i], second[i]);
    return sum;
}

/* Codes of odd columns stay in the high halves of their bytes, 16 times what they are. */
int q4_product(uvec4 codes, uvec4 even, uvec4 odd, int sum) {
    int low = -Q4_OFFSET * sum, low_bit = 0, high = 0, high_bit = 0;
    [[unroll]] for (int i = 0; i < 4; i++) {
        low += dot8(even[i], codes[i] & 0x0f0f0f0fu);
        low_bit += dot8(even[i], codes[i] & 0x01010101u);
        high += dot8_unsigned(odd[i], codes[i] & 0xf0f0f0f0u);
        high_bit += dot8(odd[i], codes[i] & 0x10101010u);
    }
    return low + 4 * low_bit + (high >> 4) + (high_bit >> 2);
}

/* sums[t] += the piece times x[t]. */
void add_piece(piece p, uint first, inout float sums[MOST_TOKENS]) {
    [[unroll]] for (int u = 0; u < UNROLL; u++) {
        uint c = min(first + uint(u) * chunks_of_step() + chunk_of_lane(), uint(CHUNKS - 1));
        [[unroll]] for (int t = 0; t < TOKENS; t++) {
            uint at = uint(t * CHUNKS) + c, both = x_scales[at];
            int sum = WEIGHTS == PIO_WEIGHTS_Q4
                          ? q4_product(p.codes[u], x_first[at], x_second[at], bitfieldExtract(int(both), 0, 16))
                          : q8_product(p.codes[u * WORDS], p.codes[u * WORDS + WORDS - 1], x_first[at], x_second[at]);
            sums[t] += p.scales[u] * uintBitsToFloat(both & 0xffff0000u) * float(sum);
        }
    }
}
