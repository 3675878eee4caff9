/* Weights by 8 columns at a time, from the rows of kernels/dtype/layout.h and layouts.h: planes of codes, of sub-scales
 * (q4) and of scales, each beginning at a multiple of 16 bytes. The layout is specialisation constant 0. */
#include "kernels/dtype/weights.h"

layout(constant_id = 0) const uint WEIGHTS = PIO_WEIGHTS_F32;

struct matrix {
    uint64_t codes, subs, scales;
    int cols;
    uint code_stride, sub_stride, scale_stride; /* bytes from row to row of each plane */
};

uint64_t plane_end(uint64_t at, int rows, uint stride) {
    return at + uint64_t(rows) * stride + 15ul & ~15ul;
}

/* w [rows, cols]. */
matrix matrix_at(uint64_t w, int rows, int cols) {
    matrix m;
    uint padded = uint(cols) + 31u & ~31u;
    m.cols = cols;
    m.code_stride = WEIGHTS == PIO_WEIGHTS_F32    ? 4u * cols
                    : WEIGHTS == PIO_WEIGHTS_BF16 ? 2u * cols
                    : WEIGHTS == PIO_WEIGHTS_F16S ? 2u * padded
                    : WEIGHTS == PIO_WEIGHTS_Q8   ? padded
                                                  : padded / 2u;
    m.sub_stride = WEIGHTS == PIO_WEIGHTS_Q4 ? padded / 32u : 0u;
    m.scale_stride = WEIGHTS == PIO_WEIGHTS_F16S ? 4u : 2u * ((uint(cols) + 255u) / 256u);
    m.codes = w;
    m.subs = plane_end(w, rows, m.code_stride);
    m.scales = plane_end(m.subs, rows, m.sub_stride);
    return m;
}

/* The levels of a word's eight codes of q4, a byte each, ten more than they are: those of columns 0 2 4 6, then 1 3 5 7.
 * The bits of a code weigh 8, 4, 2 and 5 (base/dtype.h). */
const int Q4_OFFSET = 10;

uint q4_levels_low(uint codes) {
    return (codes & 0x0f0f0f0fu) + 4u * (codes & 0x01010101u);
}

uvec2 q4_levels(uint codes) {
    return uvec2(q4_levels_low(codes), q4_levels_low(codes >> 4));
}

/* Four signed bytes. */
vec4 bytes_of(uint word) {
    return vec4(bitfieldExtract(int(word), 0, 8), bitfieldExtract(int(word), 8, 8), bitfieldExtract(int(word), 16, 8),
                bitfieldExtract(int(word), 24, 8));
}

/* Eight of a float32 row that may begin anywhere, the columns past n as 0. */
void floats8(uint64_t row, int k, int n, out vec4 low, out vec4 high) {
    if (k + 8 <= n && (row & 15ul) == 0ul) {
        low = F32V4(row).v[k / 4];
        high = F32V4(row).v[k / 4 + 1];
        return;
    }
    F32 x = F32(row);
    [[unroll]] for (int i = 0; i < 4; i++) {
        low[i] = k + i < n ? x.v[k + i] : 0;
        high[i] = k + 4 + i < n ? x.v[k + 4 + i] : 0;
    }
}

/* Eight bf16, and eight float16, of the words. */
void bf16s8(uvec4 words, out vec4 low, out vec4 high) {
    low = uintBitsToFloat(uvec4(words.x << 16, words.x & 0xffff0000u, words.y << 16, words.y & 0xffff0000u));
    high = uintBitsToFloat(uvec4(words.z << 16, words.z & 0xffff0000u, words.w << 16, words.w & 0xffff0000u));
}

void halves8(uvec4 words, out vec4 low, out vec4 high) {
    low = vec4(unpackHalf2x16(words.x), unpackHalf2x16(words.y));
    high = vec4(unpackHalf2x16(words.z), unpackHalf2x16(words.w));
}

/* The levels of eight codes of q4. */
void q4_values8(uint codes, out vec4 low, out vec4 high) {
    uvec2 levels = q4_levels(codes);
    vec4 even = bytes_of(levels.x) - float(Q4_OFFSET), odd = bytes_of(levels.y) - float(Q4_OFFSET);
    low = vec4(even.x, odd.x, even.y, odd.y);
    high = vec4(even.z, odd.z, even.w, odd.w);
}

void bf16s8(uint64_t row, int k, int n, out vec4 low, out vec4 high) {
    if (k + 8 <= n && (row & 15ul) == 0ul) {
        bf16s8(U32V4(row).v[k / 8], low, high);
        return;
    }
    U16 x = U16(row);
    [[unroll]] for (int i = 0; i < 4; i++) {
        low[i] = k + i < n ? bf16_to_f32(x.v[k + i]) : 0;
        high[i] = k + 4 + i < n ? bf16_to_f32(x.v[k + 4 + i]) : 0;
    }
}

/* Columns k .. k + 7 of a row, k a multiple of 8; those past the last are 0. */
void weights8(matrix m, int row, int k, out vec4 low, out vec4 high) {
    uint64_t codes = m.codes + uint64_t(row) * m.code_stride;
    if (WEIGHTS == PIO_WEIGHTS_F32) {
        floats8(codes, k, m.cols, low, high);
    } else if (WEIGHTS == PIO_WEIGHTS_BF16) {
        bf16s8(codes, k, m.cols, low, high);
    } else if (WEIGHTS == PIO_WEIGHTS_F16S) {
        float scale = F32(m.scales).v[row];
        halves8(U32V4(codes).v[k / 8], low, high);
        low *= scale;
        high *= scale;
    } else {
        float scale = bf16_to_f32(U16(m.scales + uint64_t(row) * m.scale_stride).v[k / 256]);
        if (WEIGHTS == PIO_WEIGHTS_Q8) {
            uvec2 words = U32V2(codes).v[k / 8];
            low = scale * bytes_of(words.x);
            high = scale * bytes_of(words.y);
        } else {
            scale *= float(I8(m.subs + uint64_t(row) * m.sub_stride).v[k / 32]);
            q4_values8(U32(codes).v[k / 8], low, high);
            low *= scale;
            high *= scale;
        }
    }
}

/* One weight. */
float weight_at(matrix m, int row, int k) {
    vec4 low, high;
    weights8(m, row, k & ~7, low, high);
    return (k & 4) != 0 ? high[k & 3] : low[k & 3];
}
