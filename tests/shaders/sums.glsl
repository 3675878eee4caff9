/* Sums and maxima over a workgroup of GROUP threads, twice in a row, so that the second could disturb who still reads
 * the first: what each thread got. */
#include "kernels/dialect/shader.glsl"

layout(push_constant, scalar) uniform push {
    uint64_t to, from; /* [threads, 4] and [threads, 2] */
};

void main() {
    uint thread = gl_GlobalInvocationID.x;
    for (uint round = 0; round < 2; round++) {
        float x = F32(from).v[2 * thread + round];
        F32(to).v[4 * thread + 2 * round] = group_sum(x);
        F32(to).v[4 * thread + 2 * round + 1] = group_max(x);
    }
}
