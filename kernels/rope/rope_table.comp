#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 64
#include "kernels/dialect/shader.glsl"
#include "kernels/rope/rope.h"

layout(push_constant, scalar) uniform push {
    pio_rope_table_args a;
};

/* The angle in turns, as a 64-bit fraction of one: exact for the float32 angle but for the last bits of 1 / (2 pi). */
uint64_t turns_of(float angle) {
    uint bits = floatBitsToUint(angle);
    int shift = 150 - int(bits >> 23 & 255u); /* angle = mantissa x 2^-shift */
    uint64_t mantissa = uint64_t(bits & 0x7fffffu | 0x800000u);
    /* 2^64 / (2 pi) is 0x28be60db9391054a: a product of 88 bits. */
    uint64_t low = mantissa * 0x9391054aul, high = mantissa * 0x28be60dbul + (low >> 32);
    low = low & 0xfffffffful | high << 32;
    high = high >> 32;
    if (shift <= 0) return low << min(-shift, 63);
    return shift >= 64 ? high >> min(shift - 64, 63) : low >> shift | high << 64 - shift;
}

/* (cosine, sine) of an angle of at most an eighth of a turn, by their series. */
vec2 unit_at(float r) {
    float s = r * r;
    return vec2(1 + s * (-0.5 + s * (4.1666667e-2 + s * (-1.3888889e-3 + s * 2.4801587e-5))),
                r + r * s * (-1.6666667e-1 + s * (8.3333333e-3 + s * (-1.9841270e-4 + s * 2.7557319e-6))));
}

/* Cosine and sine of a float32 angle, however large. */
vec2 cos_sin(float angle) {
    if (abs(angle) < 1e-3) return unit_at(angle);
    uint64_t turns = turns_of(abs(angle));
    uint quarter = uint(turns + 0x2000000000000000ul >> 62);
    vec2 u = unit_at(float(int64_t(turns - (uint64_t(quarter) << 62))) * 3.4061215800304e-19); /* 2 pi / 2^64 */
    u = (quarter & 1u) == 0u ? u : vec2(-u.y, u.x);
    u = (quarter & 2u) == 0u ? u : -u;
    return angle < 0 ? vec2(u.x, -u.y) : u;
}

/* A workgroup a token. */
void main() {
    int t = int(gl_WorkGroupID.x);
    if (t >= live_rows(a.live, a.rows)) return;
    F32 y = F32(row_at(a.table, t, a.table_stride));
    for (int i = int(gl_LocalInvocationID.x); i < a.half_dim; i += GROUP) {
        int axis = a.axes == 0ul ? 0 : int(F32(a.axes).v[i]);
        vec2 u = a.scale * cos_sin(float(I32(a.positions).v[3 * t + axis]) * F32(a.frequencies).v[i]);
        y.v[i] = u.x;
        y.v[a.half_dim + i] = u.y;
    }
}
