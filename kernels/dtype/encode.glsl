/* Writing a row in an encoding of kernels/dtype/encoding.h. The includer defines float value(int i), the row's element
 * i; all threads of the workgroup call encode_row. */
#include "kernels/dtype/encodings.h"

/* As pio_f32_to_f16 rounds, for magnitudes below 2^15; packHalf2x16 may round in any way. */
uint f16_of(float x) {
    uint bits = floatBitsToUint(x), magnitude = bits & 0x7fffffffu, sign = bits >> 16 & 0x8000u;
    uint normal = magnitude + 0xfffu + (magnitude >> 13 & 1u) - 0x38000000u >> 13;
    uint small = floatBitsToUint(uintBitsToFloat(magnitude) + 0.5) - 0x3f000000u;
    return sign | (magnitude >= 0x7f800000u ? 0x7e00u : magnitude < 0x38800000u ? small : normal);
}

/* The power of two below which a row's codes are kept: pio_f16_row_scale. */
float f16_row_scale(float largest) {
    uint exponent = floatBitsToUint(largest) >> 23 & 255u;
    return uintBitsToFloat((exponent > 15u ? exponent - 14u : 1u) << 23);
}

void encode_f16(uint64_t y, int cols) {
    int lane = int(gl_LocalInvocationID.x), padded = (cols + 31) & ~31;
    float largest = 0;
    for (int i = lane; i < cols; i += GROUP) largest = max(largest, abs(value(i)));
    float scale = f16_row_scale(group_max(largest)), inverse = 1 / scale;
    for (int i = 2 * lane; i < padded; i += 2 * GROUP) {
        uint low = i < cols ? f16_of(value(i) * inverse) : 0u, high = i + 1 < cols ? f16_of(value(i + 1) * inverse) : 0u;
        U32(y).v[i / 2] = low | high << 16;
    }
    if (lane == 0) F32(y).v[padded / 2] = scale;
}

void encode_s8(uint64_t y, int cols) {
    int lane = int(gl_LocalInvocationID.x), n_blocks = (cols + 255) / 256;
    for (int b = 0; b < n_blocks; b++) {
        int end = min(cols, 256 * b + 256);
        float largest = 0, sum = 0; /* of codes: exact */
        for (int i = 256 * b + lane; i < end; i += GROUP) largest = max(largest, abs(value(i)));
        float scale = group_max(largest) * (1.0 / 127), inverse = scale > 0 ? 1 / scale : 0;
        for (int i = 256 * b + lane; i < 256 * b + 256; i += GROUP) {
            float code = i < end ? clamp(roundEven(value(i) * inverse), -127, 127) : 0;
            I8(y).v[i] = int8_t(code);
            sum += code;
        }
        sum = group_sum(sum);
        if (lane == 0) F32(y).v[64 * n_blocks + b] = scale;
        if (lane == 0) I32(y).v[65 * n_blocks + b] = int(sum);
    }
}

void encode_row(uint64_t y, int cols, int encoding) {
    if (encoding == PIO_ENCODING_F16)
        encode_f16(y, cols);
    else if (encoding == PIO_ENCODING_S8)
        encode_s8(y, cols);
    else
        for (int i = int(gl_LocalInvocationID.x); i < cols; i += GROUP) F32(y).v[i] = value(i);
}
