#include "base/dtype.h"

const int8_t pio_q4_levels[16] = {-10, -5, -8, -3, -6, -1, -4, 1, -2, 3, 0, 5, 2, 7, 4, 9};

static const char *const names[PIO_DTYPE_COUNT] = {
#define PIO_DTYPE(name, text, bits, scale_columns) [PIO_DTYPE_##name] = text,
#include "base/dtype.def"
#undef PIO_DTYPE
};

const char *pio_dtype_name(pio_dtype dtype) {
    return (unsigned)dtype < PIO_DTYPE_COUNT ? names[dtype] : "unknown";
}

pio_dtype pio_dtype_find(const char *name) {
    for (int i = 0; i < PIO_DTYPE_COUNT; i++)
        if (!strcmp(names[i], name)) return (pio_dtype)i;
    return PIO_DTYPE_COUNT;
}

float pio_f16_to_f32(uint16_t x) {
    uint32_t sign = (uint32_t)(x & 0x8000u) << 16, exponent = x >> 10 & 0x1fu, fraction = x & 0x3ffu, bits;
    if (exponent == 31) {
        bits = sign | 0x7f800000u | fraction << 13;
    } else if (exponent) {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    } else { /* zero or subnormal: fraction * 2^-24 is exact in float32 */
        float y = (float)fraction * 0x1p-24f;
        return sign ? -y : y;
    }
    float y;
    memcpy(&y, &bits, sizeof y);
    return y;
}

uint16_t pio_f32_to_f16(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u) return sign | 0x7e00u;
    if (bits >= 0x47800000u) return sign | 0x7c00u; /* 65536 and above */
    if (bits < 0x38800000u) {                       /* below 2^-14: subnormal, rounded by the float adder */
        float y;
        memcpy(&y, &bits, sizeof y);
        y += 0.5f; /* one unit of the sum's last place is 2^-24 */
        memcpy(&bits, &y, sizeof bits);
        return sign | (uint16_t)(bits - 0x3f000000u);
    }
    bits += 0xfffu + (bits >> 13 & 1u);
    return sign | (uint16_t)((bits - 0x38000000u) >> 13);
}
