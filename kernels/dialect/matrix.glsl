/* Cooperative matrices of 16 x 16, which a team of 32 threads multiplies: float16 times float16, summed in float32. They
 * are loaded from shared arrays of uvec4, eight float16 each; `at` and `stride` (from row to row) count array elements.
 *
 *   MATRIX_LOAD_A(a, array, at, stride)    a[r][k] = row r of the array
 *   MATRIX_LOAD_B(b, array, at, stride)    b[k][c] = row k of the array
 *   MATRIX_LOAD_BT(b, array, at, stride)   b[k][c]: row c of the array holds k
 *   MATRIX_MULTIPLY(sum, a, b)             sum += a b
 *   MATRIX_STORE(sum, array, at, stride)   row by row, four float32 an element; MATRIX_STORED(array, at, stride, r, c)
 *                                          is a number of them
 *   MATRIX_LOAD(sum, array, at, stride)    what was stored so
 *   MATRIX_SCALE(sum, factors)             sum[r][c] *= factors[r][c], both sums
 *   MATRIX_PUT8(array, at, low, high)      eight numbers of a factor's row; they take MATRIX_WORDS elements
 *   MATRIX_BARRIER()                       of the team's threads and what they have in shared memory
 *   matrix_team_any(x)                     whether x is true for one of them; teams pass by it, as by the barrier, all
 *                                          alike, for an emulated team may have the threads of many subgroups
 *
 * Khronos's extension where glslc knows it (PIO_MATRIX_KHR), else NVIDIA's, which has the same instructions. With
 * PIO_MATRIX_EMULATED a team's threads keep plain numbers: slow, for trying a kernel's logic where there are none. */
#ifdef PIO_MATRIX_EMULATED

#include "kernels/dialect/matrix_teams.glsl"

struct matrix_factor {
    float v[256];
};
struct matrix_sum {
    float v[8]; /* elements lane, lane + 32, ... */
};
#define MATRIX_A   matrix_factor
#define MATRIX_B   matrix_factor
#define MATRIX_SUM matrix_sum

float matrix_half(uvec4 words, int i) {
    vec2 two = unpackHalf2x16(words[i / 2]);
    return i % 2 == 0 ? two.x : two.y;
}

#define MATRIX_LOAD_A(m, array, at, stride)                                                                            \
    for (int e_ = 0; e_ < 256; e_++) m.v[e_] = matrix_half(array[(at) + e_ / 16 * (stride) + e_ % 16 / 8], e_ % 8)
#define MATRIX_LOAD_B MATRIX_LOAD_A
#define MATRIX_LOAD_BT(m, array, at, stride)                                                                           \
    for (int e_ = 0; e_ < 256; e_++)                                                                                   \
        m.v[e_ % 16 * 16 + e_ / 16] = matrix_half(array[(at) + e_ / 16 * (stride) + e_ % 16 / 8], e_ % 8)
#define MATRIX_ZERO(sum)                                                                                               \
    for (int e_ = 0; e_ < 8; e_++) sum.v[e_] = 0
#define MATRIX_STORE(sum, array, at, stride)                                                                           \
    for (int e_ = int(matrix_lane()), j_ = 0; j_ < 8; j_++, e_ += 32)                                                  \
        array[(at) + e_ / 16 * (stride) + e_ % 16 / 4][e_ % 4] = floatBitsToUint(sum.v[j_])
#define MATRIX_LOAD(sum, array, at, stride)                                                                            \
    for (int e_ = int(matrix_lane()), j_ = 0; j_ < 8; j_++, e_ += 32)                                                  \
        sum.v[j_] = uintBitsToFloat(array[(at) + e_ / 16 * (stride) + e_ % 16 / 4][e_ % 4])
#define MATRIX_SCALE(sum, factors)                                                                                     \
    for (int e_ = 0; e_ < 8; e_++) sum.v[e_] *= factors.v[e_]

void matrix_multiply(inout matrix_sum sum, matrix_factor a, matrix_factor b) {
    for (int e = 0; e < 8; e++) {
        int at = e * 32 + int(matrix_lane());
        for (int k = 0; k < 16; k++) sum.v[e] += a.v[at / 16 * 16 + k] * b.v[k * 16 + at % 16];
    }
}
#define MATRIX_MULTIPLY(sum, a, b) matrix_multiply(sum, a, b)

#else

#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

uint matrix_team() {
    return gl_SubgroupID;
}
uint matrix_lane() {
    return gl_SubgroupInvocationID;
}

#if PIO_MATRIX_KHR
#extension GL_KHR_cooperative_matrix : require
#define MATRIX_A   coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseA>
#define MATRIX_B   coopmat<float16_t, gl_ScopeSubgroup, 16, 16, gl_MatrixUseB>
#define MATRIX_SUM coopmat<float, gl_ScopeSubgroup, 16, 16, gl_MatrixUseAccumulator>
#define MATRIX_LOAD_A(m, array, at, stride)  coopMatLoad(m, array, at, stride, gl_CooperativeMatrixLayoutRowMajor)
#define MATRIX_LOAD_B                        MATRIX_LOAD_A
#define MATRIX_LOAD_BT(m, array, at, stride) coopMatLoad(m, array, at, stride, gl_CooperativeMatrixLayoutColumnMajor)
#define MATRIX_MULTIPLY(sum, a, b)           sum = coopMatMulAdd(a, b, sum)
#define MATRIX_STORE(sum, array, at, stride) coopMatStore(sum, array, at, stride, gl_CooperativeMatrixLayoutRowMajor)
#define MATRIX_LOAD                          MATRIX_LOAD_A
#else
#extension GL_NV_cooperative_matrix : require
#define MATRIX_A                             fcoopmatNV<16, gl_ScopeSubgroup, 16, 16>
#define MATRIX_B                             MATRIX_A
#define MATRIX_SUM                           fcoopmatNV<32, gl_ScopeSubgroup, 16, 16>
#define MATRIX_LOAD_A(m, array, at, stride)  coopMatLoadNV(m, array, at, stride, false)
#define MATRIX_LOAD_B                        MATRIX_LOAD_A
#define MATRIX_LOAD_BT(m, array, at, stride) coopMatLoadNV(m, array, at, stride, true)
#define MATRIX_MULTIPLY(sum, a, b)           sum = coopMatMulAddNV(a, b, sum)
#define MATRIX_STORE(sum, array, at, stride) coopMatStoreNV(sum, array, at, stride, false)
#define MATRIX_LOAD                          MATRIX_LOAD_A
#endif
#define MATRIX_ZERO(sum) sum = MATRIX_SUM(0)
#define MATRIX_BARRIER() subgroupMemoryBarrierShared(), subgroupBarrier()
#define MATRIX_SCALE(sum, factors)                                                                                     \
    [[unroll]] for (int e_ = 0; e_ < sum.length(); e_++) sum[e_] *= factors[e_]

bool matrix_team_any(bool x) {
    return subgroupMax(x ? 1 : 0) != 0;
}

#endif

#define MATRIX_WORDS  1
#define MATRIX_UNROLL [[unroll]]
#define MATRIX_PUT8(array, at, low, high)                                                                              \
    array[at] = uvec4(packHalf2x16(low.xy), packHalf2x16(low.zw), packHalf2x16(high.xy), packHalf2x16(high.zw))

#define MATRIX_STORED(array, at, stride, r, c) uintBitsToFloat(array[(at) + (r) * (stride) + (c) / 4][(c) % 4])
