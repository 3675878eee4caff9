#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 64
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/moe/products.glsl"
#include "kernels/moe/moe.h"

/* A workgroup has ROWS rows of an expert's matrix and up to TOKENS of its pairs. Few pairs (PIO_EXPERTS_FEW_PAIRS, and
 * TOKENS is 1) are taken as they come; many are put in order first, by the phase SORT, into scratch:
 *
 *   i32 n_tiles, [3 unused]; i32 tile [n_tiles][4]: expert, first pair, number of pairs; i32 pair [n_pairs]: its choice,
 *   t n_chosen + j; f32 product [n_pairs, n_out], for EXPERTS_DOWN */
layout(constant_id = 2) const int OP = PIO_EXPERTS_OP_LINEAR;

layout(push_constant, scalar) uniform push {
    pio_experts_args a;
};

layout(buffer_reference, scalar, buffer_reference_align = 16) buffer tiles {
    ivec4 v[];
};

int choice_of(int t, int j) {
    return I32(row_at(a.experts, t, a.experts_stride)).v[j];
}

int choice(int c) {
    return choice_of(c / a.n_chosen, c % a.n_chosen);
}

uint64_t pairs_at() {
    return a.scratch + 16ul * uint64_t(1 + PIO_EXPERTS_TILES(a.tokens * a.n_chosen, a.n_experts));
}

uint64_t products_at(int pair) {
    return a.scratch + PIO_EXPERTS_PRODUCTS_AT(a.tokens * a.n_chosen, a.n_experts) +
           4ul * uint64_t(pair) * uint64_t(a.n_out);
}

matrix expert_matrix(int expert) {
    return matrix_at(a.w + uint64_t(expert) * a.matrix_bytes, a.n_out, a.cols);
}

int row_of(int i) {
    return OP == PIO_EXPERTS_OP_SWIGLU ? swiglu_row(i, a.n_out) : min(int(gl_WorkGroupID.x) * ROWS + i, a.n_out - 1);
}

/* ---- few pairs ---- */

shared int few[PIO_EXPERTS_FEW_PAIRS]; /* all choices */

void load_few(int n_pairs, int lane) {
    for (int c = lane; c < n_pairs; c += GROUP) few[c] = choice(c);
    barrier();
}

/* The place of choice c in the order of experts. */
int place_of(int c, int n_pairs) {
    int place = 0;
    for (int other = 0; other < n_pairs; other++)
        place += int(few[other] < few[c] || (few[other] == few[c] && other < c));
    return place;
}

/* The products of one expert's pairs first .. first + n - 1, which are the choices choices[]. */
void multiply_pairs(int expert, int first, int n, int choices[MOST_TOKENS], int lane) {
    int rows[ROWS];
    uint64_t x[MOST_TOKENS];
    for (int i = 0; i < ROWS; i++) rows[i] = row_of(i);
    for (int t = 0; t < TOKENS; t++) {
        int at = min(t, n - 1);
        x[t] = row_at(a.x, OP == PIO_EXPERTS_OP_DOWN ? first + at : choices[at] / a.n_chosen, a.x_stride);
    }
    multiply(expert_matrix(expert), rows, x, a.norm, a.norm_eps);
    int n_rows = OP == PIO_EXPERTS_OP_SWIGLU ? ROWS / 2 : ROWS,
        n_out = OP == PIO_EXPERTS_OP_SWIGLU ? a.n_out / 2 : a.n_out;
    for (int o = lane; o < n_rows * TOKENS; o += GROUP) {
        int i = o / TOKENS, t = o % TOKENS, column = int(gl_WorkGroupID.x) * n_rows + i;
        if (t >= n || column >= n_out) continue;
        if (OP == PIO_EXPERTS_OP_DOWN)
            F32(products_at(choices[t])).v[column] = products[o];
        else
            F32(row_at(a.y, first + t, a.y_stride)).v[column] =
                OP == PIO_EXPERTS_OP_SWIGLU ? swiglu_product(i, t) : products[o];
    }
}

/* A workgroup a choice. */
void multiply_few(int n_pairs, int lane) {
    int c = int(gl_WorkGroupID.y), choices[MOST_TOKENS];
    if (c >= n_pairs) return;
    choices[0] = c;
    load_few(n_pairs, lane);
    multiply_pairs(few[c], place_of(c, n_pairs), 1, choices, lane);
}

/* A workgroup a token. Its choices' products are one long product: threads share the columns of all of them, and what
 * they have is added up once. */
void down_few(int n_pairs, int lane) {
    int t = int(gl_WorkGroupID.y), first = t * a.n_chosen, rows[ROWS];
    if (first >= n_pairs) return;
    load_few(n_pairs, lane);
    F32 weights = F32(row_at(a.weights, t, a.experts_stride));
    float sums[ROWS];
    for (int i = 0; i < ROWS; i++) {
        rows[i] = row_of(i);
        sums[i] = 0;
    }
    int n_units = (a.cols + 7) / 8, j = lane / n_units, unit = lane % n_units, of = -1;
    matrix one = expert_matrix(0), m = one;
    uint64_t x = 0;
    float weight = 0;
    while (j < a.n_chosen) {
        if (j != of) {
            uint64_t offset = uint64_t(few[first + j]) * a.matrix_bytes;
            m.codes = one.codes + offset;
            m.subs = one.subs + offset;
            m.scales = one.scales + offset;
            x = row_at(a.x, place_of(first + j, n_pairs), a.x_stride);
            weight = weights.v[j];
            of = j;
        }
        vec4 low, high, x_low, x_high;
        floats8(x, 8 * unit, a.cols, x_low, x_high);
        x_low *= weight;
        x_high *= weight;
        [[unroll]] for (int i = 0; i < ROWS; i++) {
            weights8(m, rows[i], 8 * unit, low, high);
            sums[i] += dot(low, x_low) + dot(high, x_high);
        }
        for (unit += GROUP; unit >= n_units; unit -= n_units) j++;
    }
    for (int i = 0; i < ROWS; i++) {
        float sum = subgroupAdd(sums[i]);
        if (subgroupElect()) partials[i * gl_NumSubgroups + gl_SubgroupID] = sum;
    }
    barrier();
    int column = int(gl_WorkGroupID.x) * ROWS + lane;
    if (lane < ROWS && column < a.n_out)
        F32(row_at(a.y, t, a.y_stride)).v[column] =
            F32(row_at(a.residual, t, a.residual_stride)).v[column] + partial_sum(lane);
}

/* ---- many pairs ---- */

shared int counts[PIO_EXPERTS_MAX], thread_counts[GROUP];

int n_tiles_of(int n) {
    return (n + MOST_TOKENS - 1) / MOST_TOKENS;
}

/* A workgroup an expert: counts everybody's pairs, then lists its own and their tiles. A thread has some tokens, one
 * behind the other, so that pairs stay in order. */
void sort_pairs(int n_tokens, int lane) {
    int e = int(gl_WorkGroupID.y), each = (n_tokens + GROUP - 1) / GROUP, end = min(n_tokens, (lane + 1) * each), own = 0;
    for (int i = lane; i < a.n_experts; i += GROUP) counts[i] = 0;
    barrier();
    for (int t = lane * each; t < end; t++)
        for (int j = 0; j < a.n_chosen; j++) {
            int its = choice_of(t, j);
            atomicAdd(counts[its], 1);
            own += int(its == e);
        }
    thread_counts[lane] = own;
    barrier();
    int pair = 0, tile = 0;
    for (int i = 0; i < e; i++) {
        pair += counts[i];
        tile += n_tiles_of(counts[i]);
    }
    for (int i = lane; i < n_tiles_of(counts[e]); i += GROUP) {
        int done = i * MOST_TOKENS;
        tiles(a.scratch).v[1 + tile + i] = ivec4(e, pair + done, min(MOST_TOKENS, counts[e] - done), 0);
    }
    if (e == a.n_experts - 1 && lane == 0) I32(a.scratch).v[0] = tile + n_tiles_of(counts[e]);
    for (int i = 0; i < lane; i++) pair += thread_counts[i];
    I32 pairs = I32(pairs_at());
    for (int t = lane * each; t < end && own > 0; t++)
        for (int j = 0; j < a.n_chosen; j++)
            if (choice_of(t, j) == e) pairs.v[pair++] = t * a.n_chosen + j;
}

void multiply_sorted(int lane) {
    int number = int(gl_WorkGroupID.y), choices[MOST_TOKENS];
    if (number >= I32(a.scratch).v[0]) return;
    ivec4 tile = tiles(a.scratch).v[1 + number];
    for (int t = 0; t < MOST_TOKENS; t++) choices[t] = I32(pairs_at()).v[tile.y + min(t, tile.z - 1)];
    multiply_pairs(tile.x, tile.y, tile.z, choices, lane);
}

/* A workgroup a token: adds up its choices' products. */
void reduce(int n_tokens, int lane) {
    int t = int(gl_WorkGroupID.y);
    if (t >= n_tokens) return;
    F32 weights = F32(row_at(a.weights, t, a.experts_stride)), y = F32(row_at(a.y, t, a.y_stride)),
        residual = F32(row_at(a.residual, t, a.residual_stride));
    for (int n = lane; n < a.n_out; n += GROUP) {
        float sum = residual.v[n];
        for (int j = 0; j < a.n_chosen; j++)
            sum += weights.v[j] * F32(products_at(t * a.n_chosen + j)).v[n];
        y.v[n] = sum;
    }
}

void main() {
    int n_tokens = live_rows(a.live, a.tokens), n_pairs = n_tokens * a.n_chosen, lane = int(gl_LocalInvocationID.x);
    if (a.phase == PIO_EXPERTS_DEVICE_SORT)
        sort_pairs(n_tokens, lane);
    else if (a.phase == PIO_EXPERTS_DEVICE_SORTED)
        multiply_sorted(lane);
    else if (a.phase == PIO_EXPERTS_DEVICE_REDUCE)
        reduce(n_tokens, lane);
    else if (OP == PIO_EXPERTS_OP_DOWN)
        down_few(n_pairs, lane);
    else
        multiply_few(n_pairs, lane);
}
