/* Products with many tokens by cooperative matrices: a workgroup of 256 threads, 8 teams, has TILE_TOKENS tokens and
 * TILE_ROWS rows of w; a team has TOKEN_PIECES x 2 pieces of 16 x 16 of the sums. Columns come 32 at a time through shared
 * memory; while they are multiplied, the next are on their way into registers.
 *
 * Activations are F16 rows (kernels/dtype/encoding.h). Weights become float16 times a scale a row: f16s_rows are that
 * already; of q8 and q4 a row's scale is the largest of its blocks', by whose share of it codes are multiplied. */
#include "kernels/dialect/matrix.glsl"
#include "kernels/dtype/weights.glsl"
#include "kernels/linear/tile.h"

layout(constant_id = 1) const int TOKEN_PIECES = 4;
layout(constant_id = 2) const int SWIGLU = 0;

const int TILE_TOKENS = PIO_MATRIX_TILE_TOKENS * TOKEN_PIECES, MOST_TILE_TOKENS = 4 * PIO_MATRIX_TILE_TOKENS,
          TILE_ROWS = PIO_MATRIX_TILE_ROWS;
const int LINE = 5; /* uvec4 from row to row of a tile: 32 columns, and one so that rows begin in different banks */
const int W_AT = MOST_TILE_TOKENS * LINE;

shared uvec4 tile[(MOST_TILE_TOKENS + TILE_ROWS) * LINE];
shared float x_scales[MOST_TILE_TOKENS], w_scales[TILE_ROWS];

/* What the includer defines: the address of the tile's token t (0: none), the i-th row of w, and where a sum goes: of
 * token t and row i, or for SwiGLU the finished column i of y. */
uint64_t x_at(int t);
int w_row(int i);
void store(int t, int i, float sum);

/* ---- one step's columns: a thread has 16 of a token and 16 of a row ---- */

uint half_pair(vec2 codes, float ratio) {
    return packHalf2x16(codes * ratio);
}

void load_w(matrix m, int row, int k, float scale, out uvec4 halves[2]) {
    uint64_t codes = m.codes + uint64_t(row) * m.code_stride;
    if (WEIGHTS == PIO_WEIGHTS_F16S) {
        halves[0] = U32V4(codes).v[k / 8];
        halves[1] = U32V4(codes).v[k / 8 + 1];
        return;
    }
    float ratio = bf16_to_f32(U16(m.scales + uint64_t(row) * m.scale_stride).v[k / 256]) / scale;
    if (WEIGHTS == PIO_WEIGHTS_Q8) {
        uvec4 words = U32V4(codes).v[k / 16];
        [[unroll]] for (int i = 0; i < 4; i++) {
            vec4 four = bytes_of(words[i]);
            halves[i / 2][i % 2 * 2] = half_pair(four.xy, ratio);
            halves[i / 2][i % 2 * 2 + 1] = half_pair(four.zw, ratio);
        }
        return;
    }
    ratio *= float(I8(m.subs + uint64_t(row) * m.sub_stride).v[k / 32]);
    uvec2 words = U32V2(codes).v[k / 16];
    [[unroll]] for (int i = 0; i < 2; i++) {
        vec4 low, high;
        q4_values8(words[i], low, high);
        halves[i] = uvec4(half_pair(low.xy, ratio), half_pair(low.zw, ratio), half_pair(high.xy, ratio),
                          half_pair(high.zw, ratio));
    }
}

/* The scale of a whole row of w. */
float row_scale(matrix m, int row) {
    uint64_t scales = m.scales + uint64_t(row) * m.scale_stride;
    if (WEIGHTS == PIO_WEIGHTS_F16S) return F32(scales).v[0];
    float largest = 0;
    for (int b = 0; b < (m.cols + 255) / 256; b++) largest = max(largest, abs(bf16_to_f32(U16(scales).v[b])));
    return largest > 0 ? largest : 1;
}

/* ---- the tile ---- */

MATRIX_SUM sums[4][2]; /* of which TOKEN_PIECES are used */

void multiply_step(int team_token, int team_row) {
    [[unroll]] for (int k = 0; k < 2; k++) {
        MATRIX_B w[2];
        [[unroll]] for (int n = 0; n < 2; n++) MATRIX_LOAD_BT(w[n], tile, W_AT + (team_row + 16 * n) * LINE + 2 * k, LINE);
        [[unroll]] for (int p = 0; p < TOKEN_PIECES; p++) {
            MATRIX_A x;
            MATRIX_LOAD_A(x, tile, (team_token + 16 * p) * LINE + 2 * k, LINE);
            [[unroll]] for (int n = 0; n < 2; n++) MATRIX_MULTIPLY(sums[p][n], x, w[n]);
        }
    }
}

void multiply_tile(matrix m, int team_token, int team_row) {
    int row = int(gl_LocalInvocationID.x) / 2, part = int(gl_LocalInvocationID.x) % 2, w_at = w_row(row),
        padded = (m.cols + 31) & ~31;
    uint64_t x = row < TILE_TOKENS ? x_at(row) : 0ul;
    float scale = row_scale(m, w_at);
    uvec4 of_x[2] = {uvec4(0), uvec4(0)}, of_w[2];
    if (part == 0) w_scales[row] = scale;
    if (part == 0 && row < TILE_TOKENS) x_scales[row] = x != 0ul ? F32(x).v[padded / 2] : 0;
    [[unroll]] for (int p = 0; p < TOKEN_PIECES; p++)
        [[unroll]] for (int n = 0; n < 2; n++) MATRIX_ZERO(sums[p][n]);
    for (int k = 0; k < padded; k += 32) {
        if (k == 0) {
            load_w(m, w_at, 16 * part, scale, of_w);
            [[unroll]] for (int i = 0; i < 2; i++)
                if (x != 0ul) of_x[i] = U32V4(x).v[2 * part + i];
        }
        barrier();
        [[unroll]] for (int i = 0; i < 2; i++) {
            if (row < TILE_TOKENS) tile[row * LINE + 2 * part + i] = of_x[i];
            tile[W_AT + row * LINE + 2 * part + i] = of_w[i];
        }
        barrier();
        if (k + 32 < padded) {
            load_w(m, w_at, k + 32 + 16 * part, scale, of_w);
            [[unroll]] for (int i = 0; i < 2; i++)
                if (x != 0ul) of_x[i] = U32V4(x).v[(k + 32) / 8 + 2 * part + i];
        }
        multiply_step(team_token, team_row);
    }
    barrier();
}

/* A team's pieces, one row of them after the other, through its part of the tile's memory. */
void store_tile(int team_token, int team_row) {
    int at = int(matrix_team()) * 128, lane = int(matrix_lane());
    [[unroll]] for (int p = 0; p < TOKEN_PIECES; p++) {
        MATRIX_BARRIER();
        [[unroll]] for (int n = 0; n < 2; n++) MATRIX_STORE(sums[p][n], tile, at + 64 * n, 4);
        MATRIX_BARRIER();
        for (int e = lane; e < 256; e += 32) {
            int t = team_token + 16 * p + e / 16, c = e % 16;
            float first = MATRIX_STORED(tile, at, 4, e / 16, c) * x_scales[t] * w_scales[team_row + c],
                  second = MATRIX_STORED(tile, at + 64, 4, e / 16, c) * x_scales[t] * w_scales[team_row + 16 + c];
            if (SWIGLU != 0) {
                store(t, team_row / 2 + c, first / (1 + exp(-first)) * second);
            } else {
                store(t, team_row + c, first);
                store(t, team_row + 16 + c, second);
            }
        }
    }
}

void make_tile(matrix m) {
    int team = int(matrix_team()), team_token = team % 2 * 16 * TOKEN_PIECES, team_row = team / 2 * 32;
    multiply_tile(m, team_token, team_row);
    store_tile(team_token, team_row);
}
