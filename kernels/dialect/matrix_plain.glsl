/* The names of matrix.glsl without matrix units. MATRIX_WORDS says what the eight numbers of a factor take in an array:
 * one element as float16, two as float32. A thread keeps half a row of a sum, and the row of the left factor that it
 * needs; right factors are read when they are multiplied, all from the shared array that the includer names
 * MATRIX_TILES. */
#include "kernels/dialect/matrix_teams.glsl"

/* Loops over arrays of matrices stay loops: unrolled, they cost a compiler for a CPU (llvmpipe) minutes; and unrolling
 * less would pass the 65,535 rounds after which llvmpipe leaves a kernel's loops. */
#define MATRIX_UNROLL [[dont_unroll]]

struct matrix_left {
    vec4 v[4];
};
struct matrix_right {
    int at, stride;
    bool transposed; /* a row of the array is a column of the matrix */
};
struct matrix_sum {
    vec4 v[2];
};
#define MATRIX_A   matrix_left
#define MATRIX_B   matrix_right
#define MATRIX_SUM matrix_sum

int matrix_row() {
    return int(matrix_lane()) / 2;
}
int matrix_half() {
    return int(matrix_lane()) % 2;
}

/* Four numbers of an array, from number 4 * i of a row on. */
#if MATRIX_WORDS == 1
vec4 matrix_halves(uvec4 words, int i) {
    return i % 2 == 0 ? vec4(unpackHalf2x16(words.x), unpackHalf2x16(words.y))
                      : vec4(unpackHalf2x16(words.z), unpackHalf2x16(words.w));
}
#define MATRIX_FOUR(array, at, i) matrix_halves(array[(at) + (i) / 2], i)
#define MATRIX_PUT8(array, at, low, high)                                                                              \
    array[at] = uvec4(packHalf2x16(low.xy), packHalf2x16(low.zw), packHalf2x16(high.xy), packHalf2x16(high.zw))
#else
#define MATRIX_FOUR(array, at, i) uintBitsToFloat(array[(at) + (i)])
#define MATRIX_PUT8(array, at, low, high)                                                                              \
    array[at] = floatBitsToUint(low);                                                                                  \
    array[(at) + 1] = floatBitsToUint(high)
#endif

#define MATRIX_LOAD_A(m, array, at, stride)                                                                            \
    [[unroll]] for (int e_ = 0; e_ < 4; e_++) m.v[e_] = MATRIX_FOUR(array, (at) + matrix_row() * (stride), e_)
#define MATRIX_LOAD_B(m, array, at, stride)  m = matrix_right(at, stride, false)
#define MATRIX_LOAD_BT(m, array, at, stride) m = matrix_right(at, stride, true)
#define MATRIX_ZERO(sum)                     sum.v[0] = sum.v[1] = vec4(0)

#define MATRIX_AT4(at, stride, e) (at) + matrix_row() * (stride) + 2 * matrix_half() + (e)
#define MATRIX_STORE(sum, array, at, stride)                                                                          \
    [[unroll]] for (int e_ = 0; e_ < 2; e_++) array[MATRIX_AT4(at, stride, e_)] = floatBitsToUint(sum.v[e_])
#define MATRIX_LOAD(sum, array, at, stride)                                                                           \
    [[unroll]] for (int e_ = 0; e_ < 2; e_++) sum.v[e_] = uintBitsToFloat(array[MATRIX_AT4(at, stride, e_)])
#define MATRIX_SCALE(sum, factors)                                                                                     \
    [[unroll]] for (int e_ = 0; e_ < 2; e_++) sum.v[e_] *= factors.v[e_]

/* A macro, for the includer declares MATRIX_TILES behind this file. */
#define MATRIX_MULTIPLY(sum, a, b)                                                                                     \
    if (b.transposed) {                                                                                                \
        [[unroll]] for (int c_ = 0; c_ < 8; c_++) {                                                                    \
            int row_ = b.at + (8 * matrix_half() + c_) * b.stride;                                                     \
            [[unroll]] for (int k_ = 0; k_ < 4; k_++)                                                                  \
                sum.v[c_ / 4][c_ % 4] += dot(a.v[k_], MATRIX_FOUR(MATRIX_TILES, row_, k_));                            \
        }                                                                                                              \
    } else {                                                                                                           \
        [[unroll]] for (int k_ = 0; k_ < 16; k_++) {                                                                   \
            int row_ = b.at + k_ * b.stride + MATRIX_WORDS * matrix_half();                                            \
            sum.v[0] += a.v[k_ / 4][k_ % 4] * MATRIX_FOUR(MATRIX_TILES, row_, 0);                                      \
            sum.v[1] += a.v[k_ / 4][k_ % 4] * MATRIX_FOUR(MATRIX_TILES, row_, 1);                                      \
        }                                                                                                              \
    }
