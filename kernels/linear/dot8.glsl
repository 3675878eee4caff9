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
#include "kernels/linear/swiglu.glsl"

layout(constant_id = 1) const int TOKENS = 1;
layout(constant_id = 2) const int ROWS = 1;
layout(constant_id = 3) const int UNROLL = 1;
layout(constant_id = 5) const int CHUNKS = 1; /* of a row */
layout(constant_id = 6) const int UNITS = 1;  /* of a workgroup */
layout(local_size_x_id = 7) in;

const int CHUNK = PIO_DOT8_CHUNK, WORDS = WEIGHTS == PIO_WEIGHTS_Q4 ? 1 : 2; /* WORDS of 16 bytes hold a chunk's codes */
/* Arrays have room for the most, for a specialisation constant is no size of a parameter. */
const int MOST_TOKENS = PIO_LINEAR_GROUP_TOKENS, MOST_SUBGROUPS = PIO_DOT8_THREADS / 4;

/* The codes of each eight columns, four here and four there: q4's the even ones and the odd ones. */
shared uvec4 x_first[TOKENS * CHUNKS], x_second[TOKENS * CHUNKS];
shared uint x_scales[TOKENS * CHUNKS]; /* a bf16 scale, and below the sum of the codes */
shared float partial_squares[TOKENS * MOST_SUBGROUPS];

/* ---- lanes ---- */

int row_of_lane() {
    return int(gl_SubgroupInvocationID) / (int(gl_SubgroupSize) / ROWS);
}

uint chunks_of_step() {
    return gl_SubgroupSize / ROWS;
}

/* In step u of the piece that begins with chunk `first`: of the row's, or past its end, which none is if pieces fill it. */
uint chunk_of_lane(uint first, int u) {
    return first + gl_SubgroupInvocationID % chunks_of_step() + uint(u) * chunks_of_step();
}

bool pieces_fill_rows() {
    return uint(CHUNKS) % (uint(UNROLL) * chunks_of_step()) == 0u;
}

bool is_there(uint c) {
    return pieces_fill_rows() || c < uint(CHUNKS);
}

uint nearest_there(uint c) {
    return pieces_fill_rows() ? c : min(c, uint(CHUNKS - 1));
}

/* c / 8, for loads: what does not depend on the lane or on `first` is a constant. */
uint eighth(uint first, int u) {
    return chunks_of_step() % 8u == 0u && pieces_fill_rows() ? chunk_of_lane(first, 0) / 8u + uint(u) * (chunks_of_step() / 8u)
                                                             : nearest_there(chunk_of_lane(first, u)) / 8u;
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

/* What the four lanes of a chunk have: they tell each other in the chunk's own memory. All lanes call it. */
uvec4 of_chunk(int at, int part, uint own) {
    x_first[at][part] = own;
    subgroupBarrier();
    uvec4 all = x_first[at];
    subgroupBarrier();
    return all;
}

/* Eight columns become a quarter of chunk `at`. */
void round_part(vec4 low, vec4 high, int at, int part) {
    vec4 most = max(abs(low), abs(high));
    uvec4 all = of_chunk(at, part, floatBitsToUint(max(max(most.x, most.y), max(most.z, most.w))));
    float largest = uintBitsToFloat(max(max(all.x, all.y), max(all.z, all.w)));    /* none is negative */
    uint scale = floatBitsToUint(largest * (1.0 / 127)) + 0xffffu & 0xffff0000u; /* up to the next bf16 */
    float inverse = largest > 1e-30 ? 1 / uintBitsToFloat(scale) : 0;
    uint first = four_bytes(WEIGHTS == PIO_WEIGHTS_Q4 ? vec4(low.xz, high.xz) : low, inverse);
    uint second = four_bytes(WEIGHTS == PIO_WEIGHTS_Q4 ? vec4(low.yw, high.yw) : high, inverse);
    if (WEIGHTS == PIO_WEIGHTS_Q4) {
        all = of_chunk(at, part, uint(dot8(first, 0x01010101u) + dot8(second, 0x01010101u)));
        scale |= all.x + all.y + all.z + all.w & 0xffffu;
    }
    x_first[at][part] = first;
    x_second[at][part] = second;
    if (part == 0) x_scales[at] = scale;
}

/* The float32 row at x [cols], times `norm` (0: none); returns the lane's share of the squares' sum. Lanes past the end
 * do what the last one does. */
float round_row(uint64_t x, uint64_t norm, int cols, int t) {
    int parts = 4 * CHUNKS;
    float squares = 0;
    [[dont_unroll]] for (int first = int(gl_SubgroupID * gl_SubgroupSize); first < parts; first += int(gl_WorkGroupSize.x)) {
        int own = first + int(gl_SubgroupInvocationID), i = min(own, parts - 1);
        vec4 low = vec4(0), high = vec4(0);
        if (8 * i < cols) {
            low = F32V4(x).v[2 * i];
            high = F32V4(x).v[2 * i + 1];
        }
        if (own == i) squares += dot(low, low) + dot(high, high);
        if (norm != 0ul && 8 * i < cols) {
            low *= F32V4(norm).v[2 * i];
            high *= F32V4(norm).v[2 * i + 1];
        }
        round_part(low, high, t * CHUNKS + i / 4, i % 4);
    }
    return squares;
}

/* Rounds x[t] [cols]; inverse[t] is what the norm multiplies by. All threads of the group call it. */
void round_activations(uint64_t x[MOST_TOKENS], uint64_t norm, float eps, int cols, out float inverse[MOST_TOKENS]) {
    [[unroll]] for (int t = 0; t < TOKENS; t++) {
        float squares = round_row(x[t], norm, cols, t);
        if (norm == 0ul) continue;
        squares = subgroupAdd(squares);
        if (subgroupElect()) partial_squares[t * MOST_SUBGROUPS + gl_SubgroupID] = squares;
    }
    barrier();
    [[unroll]] for (int t = 0; t < TOKENS; t++) {
        float squares = 0;
        inverse[t] = 1;
        if (norm == 0ul) continue;
        [[dont_unroll]] for (uint i = gl_SubgroupInvocationID; i < gl_NumSubgroups; i += gl_SubgroupSize)
            squares += partial_squares[t * MOST_SUBGROUPS + i];
        inverse[t] = inversesqrt(subgroupAdd(squares) / cols + eps);
    }
}

/* ---- weights ---- */

/* As loaded, so that nothing waits for it before it is used. */
struct piece {
    uvec4 codes[PIO_DOT8_LOADS];
    uint scales[PIO_DOT8_LOADS]; /* bf16 */
    int subs[PIO_DOT8_LOADS];    /* of q4 */
};

/* The lane's chunks of its row from step `first` on; for those past the row's end the last one. */
piece load_piece(matrix m, int row, uint first) {
    uint64_t codes = m.codes + uint64_t(row) * m.code_stride, subs = m.subs + uint64_t(row) * m.sub_stride,
             scales = m.scales + uint64_t(row) * m.scale_stride;
    piece p;
    [[unroll]] for (int u = 0; u < UNROLL; u++) {
        uint c = nearest_there(chunk_of_lane(first, u));
        [[unroll]] for (int i = 0; i < WORDS; i++) p.codes[u * WORDS + i] = U32V4(codes).v[c * WORDS + i];
        p.scales[u] = uint(U16(scales).v[eighth(first, u)]);
        if (WEIGHTS == PIO_WEIGHTS_Q4) p.subs[u] = int(I8(subs).v[c]);
    }
    return p;
}

/* 0 for chunks past the row's end. */
float scale_of(piece p, int u, bool there) {
    float scale = there ? uintBitsToFloat(p.scales[u] << 16) : 0;
    return WEIGHTS == PIO_WEIGHTS_Q4 ? scale * float(p.subs[u]) : scale;
}

int q8_product(uvec4 low, uvec4 high, uvec4 first, uvec4 second) {
    int sum = 0;
    [[unroll]] for (int i = 0; i < 2; i++) {
        sum += dot8(low[2 * i], first[i]) + dot8(low[2 * i + 1], second[i]);
        sum += dot8(high[2 * i], first[2 + i]) + dot8(high[2 * i + 1], second[2 + i]);
    }
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

/* The lane's part of the piece times x[t]. */
float piece_product(piece p, uint first, int t) {
    float product = 0;
    [[unroll]] for (int u = 0; u < UNROLL; u++) {
        uint c = chunk_of_lane(first, u), at = uint(t * CHUNKS) + nearest_there(c), both = x_scales[at];
        int sum = WEIGHTS == PIO_WEIGHTS_Q4
                      ? q4_product(p.codes[u], x_first[at], x_second[at], bitfieldExtract(int(both), 0, 16))
                      : q8_product(p.codes[u * WORDS], p.codes[u * WORDS + WORDS - 1], x_first[at], x_second[at]);
        product += scale_of(p, u, is_there(c)) * uintBitsToFloat(both & 0xffff0000u) * float(sum);
    }
    return product;
}

/* ---- the stream ---- a unit's sums are over the rows of n_terms matrices: of a term, all of a row's pieces */

/* The units of w [n_out, cols]: its rows in order, or with SwiGLU a gate and its up. */
int n_units_of(bool swiglu, int n_out) {
    return swiglu ? n_out / 2 : (n_out + ROWS - 1) / ROWS;
}

/* The lane's row of a unit. */
int row_of_unit(bool swiglu, int unit, int n_out) {
    return swiglu ? gate_row(unit) + row_of_lane() * PIO_SWIGLU_BLOCK : min(unit * ROWS + row_of_lane(), n_out - 1);
}

/* What a kernel says: the lane's row of a unit, a term's matrix, what is asked for before a unit's sums, what a piece
 * adds to them, and where they go. */
int row_of(int unit);
matrix matrix_of(int term);
void begin(int unit);
void add(piece p, uint first, int term, inout float sums[MOST_TOKENS]);
void finish(int unit, float sums[MOST_TOKENS]);

int first_unit() {
    return int(gl_WorkGroupID.x) * UNITS + int(gl_SubgroupID);
}

/* p: the first unit's first piece, which is loaded before the activations are rounded. */
void stream_units(piece p, int n_units, int n_terms) {
    int unit = first_unit(), end = min(int(gl_WorkGroupID.x) * UNITS + UNITS, n_units), term = 0;
    float sums[MOST_TOKENS];
    piece next;
    [[unroll]] for (int t = 0; t < TOKENS; t++) sums[t] = 0;
    for (uint first = 0u; unit < end; p = next) {
        uint its_first = first;
        int its_unit = unit, its_term = term;
        if (first == 0u && term == 0) begin(unit);
        first += uint(UNROLL) * chunks_of_step();
        if (first >= uint(CHUNKS)) {
            first = 0u;
            term++;
        }
        if (term == n_terms) {
            term = 0;
            unit += int(gl_NumSubgroups);
        }
        if (unit < end) next = load_piece(matrix_of(term), row_of(unit), first);
        add(p, its_first, its_term, sums);
        if (unit == its_unit) continue;
        finish(its_unit, sums);
        [[unroll]] for (int t = 0; t < TOKENS; t++) sums[t] = 0;
    }
}
