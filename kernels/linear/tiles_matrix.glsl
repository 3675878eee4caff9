/* Products with many tokens by cooperative matrices: a workgroup of 128 threads, 2 x 2 teams, has TILE_TOKENS tokens and
 * TILE_ROWS rows of w; a team has TOKEN_PIECES x 4 pieces of 16 x 16 of the sums, as many as registers hold, since what a
 * piece reads of shared memory serves four others. Columns come 32 at a time through shared memory, two such steps of
 * which take turns where there is room; while one is multiplied, the next is on its way into registers.
 *
 * Activations are F16 rows (kernels/dtype/encoding.h). Weights become float16 times a scale a row: f16s_rows are that
 * already; of q8 and q4 a row's scale is the largest of its blocks', by whose share of it codes are multiplied. */
#include "kernels/dialect/matrix.glsl"
#include "kernels/dtype/weights.glsl"
#include "kernels/linear/tile.h"

layout(constant_id = 1) const int TOKEN_PIECES = 4;
layout(constant_id = 2) const int SWIGLU = 0;

const int TILE_TOKENS = PIO_MATRIX_TILE_TOKENS * TOKEN_PIECES, MOST_TILE_TOKENS = 4 * PIO_MATRIX_TILE_TOKENS,
          TILE_ROWS = PIO_MATRIX_TILE_ROWS, ROW_PIECES = 4;
const int LINE = 5; /* uvec4 from row to row of a tile: 32 columns, and one so that rows begin in different banks */
const int W_AT = MOST_TILE_TOKENS * LINE, STEP = (MOST_TILE_TOKENS + TILE_ROWS) * LINE;
#ifdef PIO_MATRIX_EMULATED
const int STEPS = 1; /* 32 KiB are all that every device has */
#else
const int STEPS = 2;
#endif

shared uvec4 tile[STEPS * STEP];
shared float x_scales[MOST_TILE_TOKENS], w_scales[TILE_ROWS];

/* What the includer defines: the address of the tile's token t (0: none), the i-th row of w, and where a sum goes: of
 * token t and row i, or for SwiGLU the finished column i of y. */
uint64_t x_at(int t);
int w_row(int i);
void store(int t, int i, float sum);

/* ---- weights ---- */

uint half_pair(vec2 codes, float ratio) {
    return packHalf2x16(codes * ratio);
}

/* Columns k .. k + 7 of a row as float16, to be multiplied by the row's scale. */
uvec4 halves_at(matrix m, int row, int k, float scale) {
    uint64_t codes = m.codes + uint64_t(row) * m.code_stride;
    if (WEIGHTS == PIO_WEIGHTS_F16S) return U32V4(codes).v[k / 8];
    float ratio = bf16_to_f32(U16(m.scales + uint64_t(row) * m.scale_stride).v[k / 256]) / scale;
    vec4 low, high;
    if (WEIGHTS == PIO_WEIGHTS_Q8) {
        uvec2 words = U32V2(codes).v[k / 8];
        low = bytes_of(words.x);
        high = bytes_of(words.y);
    } else {
        ratio *= float(I8(m.subs + uint64_t(row) * m.sub_stride).v[k / 32]);
        q4_values8(U32(codes).v[k / 8], low, high);
    }
    return uvec4(half_pair(low.xy, ratio), half_pair(low.zw, ratio), half_pair(high.xy, ratio),
                 half_pair(high.zw, ratio));
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

MATRIX_SUM sums[4][ROW_PIECES]; /* of which TOKEN_PIECES are used */

void multiply_step(int at, int team_token, int team_row) {
    [[unroll]] for (int k = 0; k < 2; k++) {
        MATRIX_B w[ROW_PIECES];
        [[unroll]] for (int n = 0; n < ROW_PIECES; n++)
            MATRIX_LOAD_BT(w[n], tile, at + W_AT + (team_row + 16 * n) * LINE + 2 * k, LINE);
        [[unroll]] for (int p = 0; p < TOKEN_PIECES; p++) {
            MATRIX_A x;
            MATRIX_LOAD_A(x, tile, at + (team_token + 16 * p) * LINE + 2 * k, LINE);
            [[unroll]] for (int n = 0; n < ROW_PIECES; n++) MATRIX_MULTIPLY(sums[p][n], x, w[n]);
        }
    }
}

/* What a thread brings of each step: 8 columns of every 32nd token and row. */
struct share {
    uvec4 x[4], w[4];
};

void multiply_tile(matrix m, int team_token, int team_row) {
    int first = int(gl_LocalInvocationID.x) / 4, part = int(gl_LocalInvocationID.x) % 4, padded = (m.cols + 31) & ~31,
        rows[4], at = 0;
    uint64_t x[4];
    float scales[4];
    share next;
    [[unroll]] for (int i = 0; i < 4; i++) {
        rows[i] = w_row(first + 32 * i);
        scales[i] = row_scale(m, rows[i]);
        w_scales[first + 32 * i] = scales[i];
        x[i] = i < TOKEN_PIECES ? x_at(first + 32 * i) : 0ul;
        x_scales[first + 32 * i] = x[i] != 0ul ? F32(x[i]).v[padded / 2] : 0;
        next.x[i] = uvec4(0);
    }
    [[unroll]] for (int p = 0; p < TOKEN_PIECES; p++)
        [[unroll]] for (int n = 0; n < ROW_PIECES; n++) MATRIX_ZERO(sums[p][n]);
    for (int k = -32; k < padded; k += 32) { /* the first round only fetches */
        if (k >= 0) {
            if (STEPS == 1) barrier();
            [[unroll]] for (int i = 0; i < 4; i++) {
                if (i < TOKEN_PIECES) tile[at + (first + 32 * i) * LINE + part] = next.x[i];
                tile[at + W_AT + (first + 32 * i) * LINE + part] = next.w[i];
            }
            barrier();
        }
        if (k + 32 < padded) {
            [[unroll]] for (int i = 0; i < 4; i++) {
                next.w[i] = halves_at(m, rows[i], k + 32 + 8 * part, scales[i]);
                if (x[i] != 0ul) next.x[i] = U32V4(x[i]).v[(k + 32) / 8 + part];
            }
        }
        if (k >= 0) {
            multiply_step(at, team_token, team_row);
            if (STEPS == 2) at = STEP - at;
        }
    }
    barrier();
}

/* A team's pieces, two at a time, through its part of the tile's memory. */
void store_tile(int team_token, int team_row) {
    int at = int(matrix_team()) * 128, lane = int(matrix_lane());
    [[unroll]] for (int p = 0; p < TOKEN_PIECES; p++) {
        [[unroll]] for (int n = 0; n < ROW_PIECES; n += 2) {
            MATRIX_BARRIER();
            MATRIX_STORE(sums[p][n], tile, at, 4);
            MATRIX_STORE(sums[p][n + 1], tile, at + 64, 4);
            MATRIX_BARRIER();
            for (int e = lane; e < 256; e += 32) {
                int t = team_token + 16 * p + e / 16, c = e % 16, row = team_row + 16 * n;
                float one = MATRIX_STORED(tile, at, 4, e / 16, c) * x_scales[t] * w_scales[row + c],
                      two = MATRIX_STORED(tile, at + 64, 4, e / 16, c) * x_scales[t] * w_scales[row + 16 + c];
                if (SWIGLU != 0) {
                    store(t, row / 2 + c, one / (1 + exp(-one)) * two);
                } else {
                    store(t, row + c, one);
                    store(t, row + 16 + c, two);
                }
            }
        }
    }
}

void make_tile(matrix m) {
    int team = int(matrix_team()), team_token = team % 2 * 16 * TOKEN_PIECES, team_row = team / 2 * 16 * ROW_PIECES;
    multiply_tile(m, team_token, team_row);
    store_tile(team_token, team_row);
}
