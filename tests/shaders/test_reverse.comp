#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 64
#include "kernels/dialect/shader.glsl"

layout(push_constant, scalar) uniform push {
    uint64_t to, from;
    uint n, value;
};

void main() {
    for (uint i = gl_LocalInvocationID.x; i < n; i += GROUP) U32(to).v[i] = U32(from).v[n - 1 - i] + value;
}
