/* LATENT_ATTENTION by tiles. All heads share one latent a token, so the heads of a sequence's rows are one list of
 * virtual rows, v = row * n_heads + head, cut into tiles of 32: a latent that was read serves 20 heads at once, and is
 * key and value in one. A workgroup takes an item (sequence, tile, part of the keys), the longest of a sequence first,
 * and walks its keys in blocks of 16, which lie in one page each.
 *
 * A row of sums is too long for one team's registers, so the eight teams share each block: for the scores, a team has
 * 16 virtual rows and a quarter of the columns, and the quarters are added up by the softmax; for the values it has all
 * rows and an eighth of the columns. Scores, weights and factors pass through shared memory, between four barriers a
 * block. References, slack and float16's powers of two are as in kernels/attention/attention_tile.glsl, but that keys
 * are values here and take the values' factor.
 *
 * Registers, for 512 + 64 columns on subgroups of 32: sums 64, queries 36, the next latents 20. Shared memory: 30 KiB.
 * Included behind shader.glsl, with a GROUP of 256, and what multiplies. */
#include "kernels/attention/sequences.glsl"
#include "kernels/dialect/floats.glsl"
#include "kernels/latent/latent.h"

layout(push_constant, scalar) uniform push {
    pio_latent_attention_args a;
};

layout(constant_id = 0) const int LATENT = 512;
layout(constant_id = 1) const int COLS = 576; /* latent and rotated columns */
layout(constant_id = 2) const int STEP = 576; /* numbers from row to row of the cache */
layout(constant_id = 3) const int PAGE_TOKENS = 64;

#define VALUE_DIM       LATENT
#define PART_LEAST_KEYS 32
#include "kernels/attention/parts.glsl"
#include "kernels/attention/reference.glsl"

const int TEAMS = GROUP / 32, ROWS = 32, KEYS = 16, EIGHTS = COLS / 8, QUARTERS = TEAMS / 2;
const int READS = (KEYS * EIGHTS + GROUP - 1) / GROUP;            /* of eight columns, a thread */
const int STEPS = (COLS / 16 + QUARTERS - 1) / QUARTERS;          /* of 16 columns of scores, a team */
const int VALUES = (LATENT / 16 + TEAMS - 1) / TEAMS;             /* of 16 columns of values, a team */
/* Rows of shared arrays are one word longer than what they hold, so that neighbouring rows lie in other banks. */
const int STRIDE = EIGHTS + 1, PATCH_STRIDE = KEYS / 4 + 1, PATCH = 16 * PATCH_STRIDE, WEIGHTS_STRIDE = KEYS / 8 + 1;

shared uvec4 tiles[KEYS * STRIDE];
shared uvec4 patches[TEAMS * PATCH]; /* 16 x 16 floats, a team */
shared uvec4 weights[ROWS * WEIGHTS_STRIDE];
shared vec2 rows[ROWS]; /* what a row's sums shrink by; at the end the row's reference and total */
shared uint largest_bits[GROUP / 4];
shared int rescaled; /* one more than the last block whose weights need rescaled sums */

struct item_of {
    pio_step_sequence sequence;
    int tile, n_keys;
};

int n_tiles_of(pio_step_sequence sequence) {
    return (sequence.n_rows * a.n_heads + ROWS - 1) / ROWS;
}

/* Keys that the last row of a sequence's tile sees. */
int keys_of_tile(pio_step_sequence sequence, int tile) {
    return sequence.context + (min((tile + 1) * ROWS, sequence.n_rows * a.n_heads) - 1) / a.n_heads + 1;
}

/* Item `index`, counted over the sequences; its n_rows is 0 behind the last. */
item_of item_at(int index) {
    item_of item;
    int n = I32(a.counts).v[1];
    for (int s = 0; s < n; s++) {
        item.sequence = SEQUENCES(a.sequences).v[s];
        int n_tiles = n_tiles_of(item.sequence);
        item.tile = n_tiles - 1 - index;
        item.n_keys = keys_of_tile(item.sequence, item.tile);
        if (item.tile >= 0) return item;
        index -= n_tiles;
    }
    item.sequence.n_rows = 0;
    return item;
}

/* ---- blocks of latents ---- */

uvec4 latents[READS];

/* Starts to read the block at key `base`; keys from `last` on are read as zeros. */
void read_block(item_of item, int base, int last) {
    int page = I32(a.pages).v[item.sequence.first_page + base / PAGE_TOKENS];
    uint64_t row = uint64_t(page) * uint64_t(PAGE_TOKENS) + uint64_t(base % PAGE_TOKENS),
             block = a.cache + row * uint64_t(2 * STEP);
    [[unroll]] for (int i = 0; i < READS; i++) {
        int eight = i * GROUP + int(gl_LocalInvocationIndex), key = eight / EIGHTS;
        bool there = key < KEYS && base + key < last;
        latents[i] = there ? U32V4(block).v[key * (STEP / 8) + eight % EIGHTS] : uvec4(0);
    }
}

void find_largest() {
    uint most = 0u;
    [[unroll]] for (int i = 0; i < READS; i++) {
        uvec4 both = max(latents[i] & 0x7fffu, latents[i] >> 16 & 0x7fffu); /* without sign, ordered like integers */
        most = max(most, max(max(both.x, both.y), max(both.z, both.w)));
    }
    most = subgroupMax(most);
    if (subgroupElect()) largest_bits[gl_SubgroupID] = most;
}

/* The largest latent of the block is less than 2^(exponent + 1). */
int block_exponent() {
    uint most = largest_bits[0];
    for (uint i = 1; i < gl_NumSubgroups; i++) most = max(most, largest_bits[i]);
    return max(int(most >> 7) - 127, -100);
}

void write_block(float factor) {
    [[unroll]] for (int i = 0; i < READS; i++) {
        int eight = i * GROUP + int(gl_LocalInvocationIndex), key = eight / EIGHTS;
        if (key >= KEYS) break;
        vec4 low = bf16_to_vec4(latents[i].xy) * factor, high = bf16_to_vec4(latents[i].zw) * factor;
        MATRIX_PUT8(tiles, key * STRIDE + eight % EIGHTS, low, high);
    }
}

/* ---- queries ---- */

/* Four columns of virtual row v's query, from a column on that is a multiple of 4. */
vec4 query4(pio_step_sequence sequence, int v, int column) {
    int t = sequence.first_row + v / a.n_heads, head = v % a.n_heads;
    if (column < LATENT) return F32V4(row_at(a.q_latent, t, a.q_latent_stride)).v[(head * LATENT + column) / 4];
    return F32V4(row_at(a.q, t, a.q_stride)).v[(head * a.head_cols + column - LATENT) / 4];
}

/* ---- an item ---- */

void attend(item_of item, int part) {
    const int thread = int(gl_LocalInvocationIndex), team = int(matrix_team()), lane = int(matrix_lane());
    const pio_step_sequence sequence = item.sequence;
    const int n_virtual = sequence.n_rows * a.n_heads, part_keys = keys_of_part(item.n_keys),
              first = part * part_keys, last = min(first + part_keys, item.n_keys);
    const bool whole = part_keys >= item.n_keys;
    if (first >= last) return;
    read_block(item, first, last);

    /* Queries: the team's rows, and its columns, a patch of 16 at a time. A row's largest becomes 1 to 2; its threads
     * for the softmax find it, four a row. */
    const int row = thread / 4, quarter = thread % 4, mine = min(item.tile * ROWS + row, n_virtual - 1);
    const bool has_row = row < ROWS;
    float score_factor = a.scale * 1.44269504; /* scores are logarithms to base 2 */
    if (has_row) {
        float most = 0;
        for (int c = 4 * quarter; c < COLS; c += 16) {
            vec4 four = abs(query4(sequence, mine, c));
            most = max(most, max(max(four.x, four.y), max(four.z, four.w)));
        }
        most = max(most, subgroupShuffleXor(most, 1u));
        most = max(most, subgroupShuffleXor(most, 2u));
        int exponent = clamp(int(floatBitsToUint(most) >> 23) - 127, -100, 100);
        score_factor *= power_of_two(exponent);
        rows[row].x = power_of_two(-exponent);
    }
    if (thread == 0) rescaled = 0;
    barrier();
    MATRIX_A q[STEPS];
    MATRIX_SUM sums[2 * VALUES];
    const int q_row = team % 2 * 16 + lane / 2, q_v = min(item.tile * ROWS + q_row, n_virtual - 1);
    MATRIX_UNROLL for (int k = 0; k < STEPS; k++) {
        int column = min((team / 2 * STEPS + k) * 16, COLS - 16) + 8 * (lane % 2);
        vec4 low = query4(sequence, q_v, column) * rows[q_row].x,
             high = query4(sequence, q_v, column + 4) * rows[q_row].x;
        MATRIX_BARRIER();
        MATRIX_PUT8(patches, team * PATCH + lane / 2 * PATCH_STRIDE + lane % 2, low, high);
        MATRIX_BARRIER();
        MATRIX_LOAD_A(q[k], patches, team * PATCH, PATCH_STRIDE);
    }
    MATRIX_UNROLL for (int n = 0; n < 2 * VALUES; n++) MATRIX_ZERO(sums[n]);

    const int n_seen = sequence.context + mine / a.n_heads + 1;
    float reference = NO_SCORE, total = 0;
    int v_exponent = 0; /* of the values in the sums */
    for (int base = first; base < last; base += KEYS) {
        find_largest();
        barrier(); /* nobody reads the last block */
        int exponent = block_exponent(), v_before = v_exponent;
        if (base == first || exponent > v_exponent + 6) v_exponent = exponent;
        write_block(power_of_two(8 - v_exponent));
        if (base + KEYS < last) read_block(item, base + KEYS, last);
        barrier();

        MATRIX_SUM products;
        MATRIX_ZERO(products);
        MATRIX_UNROLL for (int k = 0; k < STEPS; k++) {
            MATRIX_B keys;
            int step = team / 2 * STEPS + k;
            if (step >= COLS / 16) break;
            MATRIX_LOAD_BT(keys, tiles, step * 2, STRIDE);
            MATRIX_MULTIPLY(products, q[k], keys);
        }
        MATRIX_STORE(products, patches, team * PATCH, PATCH_STRIDE);
        barrier();

        if (has_row) {
            vec4 x = vec4(0);
            [[unroll]] for (int i = 0; i < QUARTERS; i++)
                x += uintBitsToFloat(patches[(2 * i + row / 16) * PATCH + row % 16 * PATCH_STRIDE + quarter]);
            x *= score_factor * power_of_two(v_exponent - 8);
            float largest = NO_SCORE, shrink = base > first ? power_of_two(v_before - v_exponent) : 1;
            [[unroll]] for (int j = 0; j < 4; j++) {
                if (base + 4 * quarter + j >= min(n_seen, last)) x[j] = NO_SCORE;
                largest = max(largest, x[j]);
            }
            largest = max(largest, subgroupShuffleXor(largest, 1u));
            largest = max(largest, subgroupShuffleXor(largest, 2u));
            shrink *= raise_reference(largest, reference, total);
            [[unroll]] for (int j = 0; j < 4; j++) {
                x[j] = weight_of(x[j], reference);
                total += x[j];
            }
            int at = row * WEIGHTS_STRIDE + quarter / 2;
            weights[at][quarter % 2 * 2] = packHalf2x16(x.xy);
            weights[at][quarter % 2 * 2 + 1] = packHalf2x16(x.zw);
            if (quarter == 0) rows[row].x = shrink;
            if (shrink != 1) rescaled = base + 1;
        }
        barrier();

        MATRIX_UNROLL for (int m = 0; m < 2; m++) {
            if (rescaled == base + 1) {
                MATRIX_SUM factor;
                MATRIX_BARRIER();
                [[unroll]] for (int i = 0; i < 2; i++)
                    patches[team * PATCH + lane / 2 * PATCH_STRIDE + lane % 2 * 2 + i] =
                        floatBitsToUint(vec4(rows[16 * m + lane / 2].x));
                MATRIX_BARRIER();
                MATRIX_LOAD(factor, patches, team * PATCH, PATCH_STRIDE);
                MATRIX_UNROLL for (int n = 0; n < VALUES; n++) MATRIX_SCALE(sums[2 * n + m], factor);
            }
        }
        MATRIX_A by[2];
        MATRIX_LOAD_A(by[0], weights, 0, WEIGHTS_STRIDE);
        MATRIX_LOAD_A(by[1], weights, 16 * WEIGHTS_STRIDE, WEIGHTS_STRIDE);
        MATRIX_UNROLL for (int n = 0; n < VALUES; n++) {
            MATRIX_B values;
            int column = team * VALUES + n;
            if (column >= LATENT / 16) break;
            MATRIX_LOAD_B(values, tiles, column * 2, STRIDE);
            MATRIX_MULTIPLY(sums[2 * n], by[0], values);
            MATRIX_MULTIPLY(sums[2 * n + 1], by[1], values);
        }
    }

    total += subgroupShuffleXor(total, 1u);
    total += subgroupShuffleXor(total, 2u);
    barrier();
    if (has_row && quarter == 0) {
        rows[row] = vec2(reference, total);
        if (!whole && item.tile * ROWS + row < n_virtual)
            part_write_ends(part_index(sequence.first_row + mine / a.n_heads, part, mine % a.n_heads), reference,
                            total);
    }
    barrier();
    MATRIX_UNROLL for (int m = 0; m < 2; m++) {
        const int out_row = 16 * m + lane / 2, v = item.tile * ROWS + out_row, t = sequence.first_row + v / a.n_heads,
                  head = v % a.n_heads;
        const float factor = power_of_two(v_exponent - 8) * (whole ? inverse_of(rows[out_row].y) : 1);
        MATRIX_UNROLL for (int n = 0; n < VALUES; n++) {
            int column = (team * VALUES + n) * 16 + 8 * (lane % 2);
            MATRIX_BARRIER();
            MATRIX_STORE(sums[2 * n + m], patches, team * PATCH, PATCH_STRIDE);
            MATRIX_BARRIER();
            if (v >= n_virtual || column >= LATENT) continue;
            [[unroll]] for (int i = 0; i < 2; i++) {
                vec4 four = uintBitsToFloat(patches[team * PATCH + lane / 2 * PATCH_STRIDE + lane % 2 * 2 + i]);
                four *= factor;
                if (whole)
                    F32V4(row_at(a.y, t, a.y_stride)).v[(head * LATENT + column) / 4 + i] = four;
                else
                    part_write(part_index(t, part, head), column + 4 * i, four);
            }
        }
    }
}

/* A workgroup a row and head. */
void combine(int t, int head) {
    pio_step_sequence sequence = sequence_of(a.counts, a.sequences, t);
    if (sequence.n_rows == 0) return;
    int n_keys = keys_of_tile(sequence, ((t - sequence.first_row) * a.n_heads + head) / ROWS),
        part_keys = keys_of_part(n_keys);
    if (part_keys >= n_keys) return;
    for (int column = 4 * int(gl_LocalInvocationIndex); column < LATENT; column += 4 * GROUP)
        F32V4(row_at(a.y, t, a.y_stride)).v[(head * LATENT + column) / 4] =
            part_combine(t, head, column, (n_keys + part_keys - 1) / part_keys);
}

void main() {
    if (a.phase == 1) {
        combine(int(gl_WorkGroupID.x), int(gl_WorkGroupID.y));
        return;
    }
    for (int index = int(gl_WorkGroupID.x);; index += int(gl_NumWorkGroups.x)) {
        item_of item = item_at(index);
        if (item.sequence.n_rows == 0) return;
        attend(item, int(gl_WorkGroupID.y));
        barrier(); /* nobody reads the shared arrays */
    }
}
