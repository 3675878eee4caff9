#version 460
#extension GL_GOOGLE_include_directive : require
#define GROUP 64
#include "kernels/dialect/shader.glsl"
#include "kernels/elementwise/elementwise.h"
#include "kernels/moe/products.glsl"
#include "kernels/moe/moe.h"

/* A workgroup has ROWS rows of an expert's matrix and up to TOKENS of its pairs. Few pairs are found by looking at all
 * choices (TOKENS is 1 then); many are put in order first, by the phase SORT, into scratch:
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

int choice(int c) {
    return I32(row_at(a.experts, c / a.n_chosen, a.experts_stride)).v[c % a.n_chosen];
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

/* The place of choice c among n in the order of experts. */
int place_of(int c, int n) {
    int expert = choice(c), place = 0;
    for (int other = 0; other < n; other++) {
        int its = choice(other);
        if (its < expert || (its == expert && other < c)) place++;
    }
    return place;
}

/* ---- phases ---- */

shared int firsts[PIO_ROUTE_EXPERTS_MAX + 1], tile_firsts[PIO_ROUTE_EXPERTS_MAX + 1];

/* One workgroup: a thread looks at all choices for each of its experts. */
void sort_pairs(int n_pairs, int lane) {
    for (int e = lane; e < a.n_experts; e += GROUP) {
        int n = 0;
        for (int c = 0; c < n_pairs; c++)
            if (choice(c) == e) n++;
        firsts[e] = n;
    }
    barrier();
    if (lane == 0) {
        int first = 0, n_tiles = 0;
        for (int e = 0; e < a.n_experts; e++) {
            int n = firsts[e];
            firsts[e] = first;
            tile_firsts[e] = n_tiles;
            first += n;
            n_tiles += (n + MOST_TOKENS - 1) / MOST_TOKENS;
        }
        firsts[a.n_experts] = first;
        I32(a.scratch).v[0] = n_tiles;
    }
    barrier();
    I32 pairs = I32(pairs_at());
    for (int e = lane; e < a.n_experts; e += GROUP) {
        int pair = firsts[e], tile = tile_firsts[e];
        for (int first = firsts[e]; first < firsts[e + 1]; first += MOST_TOKENS)
            tiles(a.scratch).v[1 + tile++] = ivec4(e, first, min(MOST_TOKENS, firsts[e + 1] - first), 0);
        for (int c = 0; c < n_pairs; c++)
            if (choice(c) == e) pairs.v[pair++] = c;
    }
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
    multiply(expert_matrix(expert), rows, x);
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

void multiply_sorted(int lane) {
    int number = int(gl_WorkGroupID.y), choices[MOST_TOKENS];
    if (number >= I32(a.scratch).v[0]) return;
    ivec4 tile = tiles(a.scratch).v[1 + number];
    for (int t = 0; t < MOST_TOKENS; t++) choices[t] = I32(pairs_at()).v[tile.y + min(t, tile.z - 1)];
    multiply_pairs(tile.x, tile.y, tile.z, choices, lane);
}

/* A workgroup a choice. */
void multiply_few(int n_pairs, int lane) {
    int c = int(gl_WorkGroupID.y), choices[MOST_TOKENS];
    if (c >= n_pairs) return;
    choices[0] = c;
    multiply_pairs(choice(c), place_of(c, n_pairs), 1, choices, lane);
}

/* A workgroup a token: the products of its choices, one after the other. */
void down_few(int n_pairs, int lane) {
    int t = int(gl_WorkGroupID.y), rows[ROWS], column = int(gl_WorkGroupID.x) * ROWS + lane;
    if (t * a.n_chosen >= n_pairs) return;
    uint64_t x[MOST_TOKENS];
    float sum = 0;
    for (int i = 0; i < ROWS; i++) rows[i] = row_of(i);
    for (int j = 0; j < a.n_chosen; j++) {
        int c = t * a.n_chosen + j;
        x[0] = row_at(a.x, place_of(c, n_pairs), a.x_stride);
        multiply(expert_matrix(choice(c)), rows, x);
        if (lane < ROWS) sum += F32(row_at(a.weights, t, a.weights_stride)).v[j] * products[lane];
        barrier();
    }
    if (lane < ROWS && column < a.n_out)
        F32(row_at(a.y, t, a.y_stride)).v[column] = F32(row_at(a.residual, t, a.residual_stride)).v[column] + sum;
}

/* A workgroup a token: adds up its choices' products. */
void reduce(int n_pairs, int lane) {
    int t = int(gl_WorkGroupID.y);
    if (t * a.n_chosen >= n_pairs) return;
    F32 weights = F32(row_at(a.weights, t, a.weights_stride)), y = F32(row_at(a.y, t, a.y_stride)),
        residual = F32(row_at(a.residual, t, a.residual_stride));
    for (int n = lane; n < a.n_out; n += GROUP) {
        float sum = residual.v[n];
        for (int j = 0; j < a.n_chosen; j++)
            sum += weights.v[j] * F32(products_at(t * a.n_chosen + j)).v[n];
        y.v[n] = sum;
    }
}

void main() {
    int n_pairs = live_rows(a.live, a.tokens) * a.n_chosen, lane = int(gl_LocalInvocationID.x);
    if (a.phase == PIO_EXPERTS_DEVICE_SORT)
        sort_pairs(n_pairs, lane);
    else if (a.phase == PIO_EXPERTS_DEVICE_SORTED)
        multiply_sorted(lane);
    else if (a.phase == PIO_EXPERTS_DEVICE_REDUCE)
        reduce(n_pairs, lane);
    else if (OP == PIO_EXPERTS_OP_DOWN)
        down_few(n_pairs, lane);
    else
        multiply_few(n_pairs, lane);
}
