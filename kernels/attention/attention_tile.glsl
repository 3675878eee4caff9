/* Attention of many rows, by tiles. The query heads of a KV head and the rows of a sequence are one list of virtual
 * rows, v = row * group + head in the group, cut into tiles of 64, so that a whole group shares what is read of K and V
 * and any group fills a tile. A workgroup takes items (sequence, tile, KV head), the longest of a sequence first, and
 * walks their keys in blocks of KEYS, which lie in one page each.
 *
 * A team of 32 threads has 16 virtual rows: their queries and sums stay in its matrices, their scores and weights pass
 * through shared memory, two threads a row. Sums are relative to a reference, the largest score when it was last set.
 * It is set anew, and the sums rescaled, only where a score is over it by SLACK: seldom behind the first blocks, and
 * weights stay below 2^SLACK.
 *
 * float16 (MATRIX_WORDS 1) has 5 bits of exponent and nothing may become infinite or lose its lower bits, so tiles are
 * multiplied by powers of two: a row of queries, whose largest becomes 1 to 2; a block of keys, whose largest becomes
 * 2^14 to 2^15, both taken out of the scores again; and values, by one factor for all blocks so far, for they meet in
 * one sum: the largest of the first block becomes 2^8 to 2^9, and a later block of over 2^15 lowers the factor when the
 * sums are rescaled. bf16's 8 bits are then whole down to 2^-22 of the largest value and less.
 *
 * Registers, for heads of 128 columns on subgroups of 32: sums 64, queries 32, the next keys and values 32, scores 16.
 * Shared memory: under 32 KiB, by attention_launch.c's KEYS. Included behind shader.glsl and what multiplies. */
#include "kernels/attention/attention.h"
#include "kernels/attention/sequences.glsl"
#include "kernels/kv_cache/kv_cache.glsl"

layout(push_constant, scalar) uniform push {
    pio_attention_args a;
};

layout(constant_id = 1) const int DIM = 128;
layout(constant_id = 2) const int KEYS = 16; /* 16 or 32 */
layout(constant_id = 3) const int PAGE_TOKENS = 64;

const int TEAMS = GROUP / 32, ROWS = 16 * TEAMS, EIGHTS = DIM / 8;
const int READ_WORDS = 2 - KV_BF16;                     /* of 16 bytes, eight columns in the cache */
const int READS = (KEYS * EIGHTS + GROUP - 1) / GROUP; /* of eight columns, a thread, of K and of V */
/* Rows of shared arrays are one word longer than what they hold, so that neighbouring rows lie in other banks. */
const int STRIDE = EIGHTS * MATRIX_WORDS + 1, SCORES_STRIDE = KEYS / 4 + 1,
          WEIGHTS_STRIDE = KEYS / 8 * MATRIX_WORDS + 1;
const float NO_SCORE = -1e38;

#include "kernels/attention/reference.glsl"

shared uvec4 tiles[2 * KEYS * STRIDE]; /* keys, then values */
shared uvec4 scores[ROWS * SCORES_STRIDE], weights[ROWS * WEIGHTS_STRIDE];
shared uvec2 largest_bits[GROUP / 4]; /* of the block's keys and values, a subgroup */

struct item_of {
    pio_step_sequence sequence;
    int tile, kv_head;
};

/* Item `index`, counted over the sequences; its n_rows is 0 behind the last. */
item_of item_at(int index, int group) {
    item_of item;
    int n = I32(a.counts).v[1], left = index / a.n_kv_heads;
    item.kv_head = index % a.n_kv_heads;
    for (int s = 0; s < n; s++) {
        item.sequence = SEQUENCES(a.sequences).v[s];
        int n_tiles = (item.sequence.n_rows * group + ROWS - 1) / ROWS;
        item.tile = n_tiles - 1 - left;
        if (item.tile >= 0) return item;
        left -= n_tiles;
    }
    item.sequence.n_rows = 0;
    return item;
}

/* ---- blocks of keys and values ---- */

uvec4 read_k[READS * READ_WORDS], read_v[READS * READ_WORDS];

/* Starts to read the block at key `base`; keys past the last are read as zeros. */
void read_block(item_of item, int base, int n_keys) {
    int page = I32(a.pages).v[item.sequence.first_page + base / PAGE_TOKENS];
    U32V4 block = U32V4(kv_block(a.cache, page, item.kv_head, a.n_kv_heads, DIM, PAGE_TOKENS));
    [[unroll]] for (int i = 0; i < READS; i++) {
        int eight = i * GROUP + int(gl_LocalInvocationIndex), key = eight / EIGHTS,
            at = (base % PAGE_TOKENS * EIGHTS + eight) * READ_WORDS;
        bool there = key < KEYS && base + key < n_keys;
        [[unroll]] for (int w = 0; w < READ_WORDS; w++) {
            read_k[i * READ_WORDS + w] = there ? block.v[at + w] : uvec4(0);
            read_v[i * READ_WORDS + w] = there ? block.v[at + PAGE_TOKENS * EIGHTS * READ_WORDS + w] : uvec4(0);
        }
    }
}

#if MATRIX_WORDS == 1
/* The larger of a word's two bf16s without sign, as they are ordered like integers. */
uint larger_of(uint word, uint than) {
    return max(than, max(word & 0x7fffu, word >> 16 & 0x7fffu));
}

/* Has every thread of the subgroup see the largest of what it read. */
void find_largest() {
    uvec2 most = uvec2(0);
    [[unroll]] for (int i = 0; i < READS; i++) {
        [[unroll]] for (int j = 0; j < 4; j++) {
            most.x = larger_of(read_k[i][j], most.x);
            most.y = larger_of(read_v[i][j], most.y);
        }
    }
    most = subgroupMax(most);
    if (subgroupElect()) largest_bits[gl_SubgroupID] = most;
}

/* The exponents of the largest key and value of the block: largest < 2^(exponent + 1). */
ivec2 block_exponents() {
    uvec2 most = largest_bits[0];
    for (uint i = 1; i < gl_NumSubgroups; i++) most = max(most, largest_bits[i]);
    return max(ivec2(most >> 7) - 127, ivec2(-100));
}
#endif

/* What was read goes to the tiles, times a factor. */
void write_block(vec2 factors) {
    [[unroll]] for (int i = 0; i < READS; i++) {
        int eight = i * GROUP + int(gl_LocalInvocationIndex), key = eight / EIGHTS,
            at = key * STRIDE + eight % EIGHTS * MATRIX_WORDS;
        if (key >= KEYS) break;
        vec4 low, high;
        open8(read_k[i * READ_WORDS], read_k[(i + 1) * READ_WORDS - 1], low, high);
        low *= factors.x;
        high *= factors.x;
        MATRIX_PUT8(tiles, at, low, high);
        open8(read_v[i * READ_WORDS], read_v[(i + 1) * READ_WORDS - 1], low, high);
        low *= factors.y;
        high *= factors.y;
        MATRIX_PUT8(tiles, at + KEYS * STRIDE, low, high);
    }
}

/* ---- an item ---- */

void attend(item_of item, int group) {
    const int team = int(matrix_team()), lane = int(matrix_lane()), row = team * 16 + lane / 2, part = lane % 2;
    const int team_scores = team * 16 * SCORES_STRIDE, team_weights = team * 16 * WEIGHTS_STRIDE;
    const pio_step_sequence sequence = item.sequence;
    const int n_virtual = sequence.n_rows * group, v = item.tile * ROWS + row, mine = min(v, n_virtual - 1),
              head = item.kv_head * group + mine % group, t = sequence.first_row + mine / group;
    const bool full = (a.flags & PIO_ATTENTION_FULL) != 0;
    const int last_row = full ? sequence.n_rows - 1 : (min((item.tile + 1) * ROWS, n_virtual) - 1) / group,
              n_keys = sequence.context + last_row + 1,
              n_seen = sequence.context + (full ? sequence.n_rows : mine / group + 1); /* by this thread's row */

    read_block(item, 0, n_keys);

    /* Queries, a patch of 16 columns at a time. */
    MATRIX_A q[DIM / 16];
    MATRIX_SUM sums[DIM / 16];
    F32V4 from = F32V4(row_at(a.q, t, a.q_stride) + 4ul * uint64_t(head * DIM));
    float q_factor = 1, score_factor = a.scale * 1.44269504; /* scores are logarithms to base 2 */
#if MATRIX_WORDS == 1
    float most = 0;
    for (int i = part; i < EIGHTS; i += 2) {
        vec4 low = abs(from.v[2 * i]), high = abs(from.v[2 * i + 1]), both = max(low, high);
        most = max(most, max(max(both.x, both.y), max(both.z, both.w)));
    }
    most = max(most, subgroupShuffleXor(most, 1u));
    int q_exponent = clamp(int(floatBitsToUint(most) >> 23) - 127, -100, 100);
    q_factor = power_of_two(-q_exponent);
    score_factor *= power_of_two(q_exponent);
#endif
    MATRIX_UNROLL for (int k = 0; k < DIM / 16; k++) {
        vec4 low = from.v[4 * k + 2 * part] * q_factor, high = from.v[4 * k + 2 * part + 1] * q_factor;
        MATRIX_BARRIER();
        MATRIX_PUT8(scores, team_scores + lane / 2 * SCORES_STRIDE + part * MATRIX_WORDS, low, high);
        MATRIX_BARRIER();
        MATRIX_LOAD_A(q[k], scores, team_scores, SCORES_STRIDE);
        MATRIX_ZERO(sums[k]);
    }

    float reference = NO_SCORE, total = 0; /* the total is of this thread's half of the keys */
    int v_exponent = 0;                    /* of the values in the sums */
    for (int base = 0; base < n_keys; base += KEYS) {
        float block_factor = score_factor, shrink = 1;
        vec2 factors = vec2(1);
#if MATRIX_WORDS == 1
        find_largest();
#endif
        barrier(); /* nobody reads the last block */
#if MATRIX_WORDS == 1
        ivec2 exponents = block_exponents();
        int v_before = v_exponent;
        if (base == 0 || exponents.y > v_exponent + 6) v_exponent = exponents.y;
        factors = vec2(power_of_two(14 - exponents.x), power_of_two(8 - v_exponent));
        block_factor *= power_of_two(exponents.x - 14);
        if (base > 0 && v_exponent != v_before) shrink = power_of_two(v_before - v_exponent);
#endif
        write_block(factors);
        if (base + KEYS < n_keys) read_block(item, base + KEYS, n_keys);
        barrier();

        MATRIX_UNROLL for (int n = 0; n < KEYS / 16; n++) {
            MATRIX_SUM products;
            MATRIX_ZERO(products);
            MATRIX_UNROLL for (int k = 0; k < DIM / 16; k++) {
                MATRIX_B keys;
                MATRIX_LOAD_BT(keys, tiles, n * 16 * STRIDE + k * 2 * MATRIX_WORDS, STRIDE);
                MATRIX_MULTIPLY(products, q[k], keys);
            }
            MATRIX_STORE(products, scores, team_scores + n * 4, SCORES_STRIDE);
        }
        MATRIX_BARRIER();

        /* The softmax of KEYS / 2 scores a thread. */
        float x[KEYS / 2], largest = NO_SCORE;
        [[unroll]] for (int i = 0; i < KEYS / 8; i++) {
            vec4 four = uintBitsToFloat(scores[row * SCORES_STRIDE + part * (KEYS / 8) + i]) * block_factor;
            [[unroll]] for (int j = 0; j < 4; j++) {
                bool seen = base + part * (KEYS / 2) + 4 * i + j < n_seen;
                x[4 * i + j] = seen ? four[j] : NO_SCORE;
                largest = max(largest, x[4 * i + j]);
            }
        }
        largest = max(largest, subgroupShuffleXor(largest, 1u));
        shrink *= raise_reference(largest, reference, total);
        [[unroll]] for (int i = 0; i < KEYS / 2; i++) {
            x[i] = weight_of(x[i], reference);
            total += x[i];
        }
        [[unroll]] for (int i = 0; i < KEYS / 16; i++) {
            vec4 low = vec4(x[8 * i], x[8 * i + 1], x[8 * i + 2], x[8 * i + 3]),
                 high = vec4(x[8 * i + 4], x[8 * i + 5], x[8 * i + 6], x[8 * i + 7]);
            MATRIX_PUT8(weights, row * WEIGHTS_STRIDE + (part * (KEYS / 16) + i) * MATRIX_WORDS, low, high);
        }
        if (matrix_team_any(shrink != 1)) {
            MATRIX_SUM factor;
            MATRIX_BARRIER(); /* every score was read */
            [[unroll]] for (int i = 0; i < 2; i++)
                scores[row * SCORES_STRIDE + 2 * part + i] = floatBitsToUint(vec4(shrink));
            MATRIX_BARRIER();
            MATRIX_LOAD(factor, scores, team_scores, SCORES_STRIDE);
            MATRIX_UNROLL for (int n = 0; n < DIM / 16; n++) MATRIX_SCALE(sums[n], factor);
        }
        MATRIX_BARRIER();
        MATRIX_UNROLL for (int k = 0; k < KEYS / 16; k++) {
            MATRIX_A by;
            MATRIX_LOAD_A(by, weights, team_weights + k * 2 * MATRIX_WORDS, WEIGHTS_STRIDE);
            MATRIX_UNROLL for (int n = 0; n < DIM / 16; n++) {
                MATRIX_B values;
                MATRIX_LOAD_B(values, tiles, (KEYS + k * 16) * STRIDE + n * 2 * MATRIX_WORDS, STRIDE);
                MATRIX_MULTIPLY(sums[n], by, values);
            }
        }
    }

    total += subgroupShuffleXor(total, 1u);
    float factor = total > 0 ? 1 / total : 0;
#if MATRIX_WORDS == 1
    factor *= power_of_two(v_exponent - 8);
#endif
    F32V4 to = F32V4(row_at(a.y, t, a.y_stride) + 4ul * uint64_t(head * DIM));
    MATRIX_UNROLL for (int n = 0; n < DIM / 16; n++) {
        MATRIX_BARRIER();
        MATRIX_STORE(sums[n], scores, team_scores, SCORES_STRIDE);
        MATRIX_BARRIER();
        if (v >= n_virtual) continue;
        [[unroll]] for (int i = 0; i < 2; i++)
            to.v[4 * n + 2 * part + i] = uintBitsToFloat(scores[row * SCORES_STRIDE + 2 * part + i]) * factor;
    }
}

void main() {
    const int group = a.n_heads / a.n_kv_heads;
    for (int index = int(gl_WorkGroupID.x);; index += int(gl_NumWorkGroups.x)) {
        item_of item = item_at(index, group);
        if (item.sequence.n_rows == 0) return;
        attend(item, group);
        barrier(); /* nobody reads the shared arrays */
    }
}
