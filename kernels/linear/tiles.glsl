/* Products with many tokens in float32: a workgroup of 256 threads has TILE_TOKENS tokens and TILE_ROWS rows of w, a
 * thread 4 x 4 sums; columns come 16 at a time through shared memory. */
#include "kernels/dtype/weights.glsl"
#include "kernels/linear/tile.h"

const int TILE_TOKENS = PIO_TILE_TOKENS, TILE_ROWS = PIO_TILE_ROWS, TILE_COLS = 16;

layout(constant_id = 2) const int SWIGLU = 0;

shared vec4 x_tile[TILE_COLS * TILE_TOKENS / 4], w_tile[TILE_COLS * TILE_ROWS / 4]; /* [TILE_COLS][rows] */

/* What the includer defines: the address of the tile's token t (0: none), the i-th row of w, and where a sum goes: of
 * token t and row i, or for SwiGLU the finished column i of y. */
uint64_t x_at(int t);
int w_row(int i);
void store(int t, int i, float sum);

/* Rows of SwiGLU's tile are in the order of PIO_SWIGLU_BLOCK gates, their ups, the next gates: a thread has two of each,
 * so that it has both of a pair. In shared memory the rows of a thread stand side by side: where row i of w stands. */
int place_of(int i) {
    if (SWIGLU == 0) return i;
    int in_pair = i % (2 * PIO_SWIGLU_BLOCK), in_block = in_pair % PIO_SWIGLU_BLOCK;
    return 4 * (i / (2 * PIO_SWIGLU_BLOCK) * 8 + in_block / 2) + in_pair / PIO_SWIGLU_BLOCK * 2 + in_block % 2;
}

/* And the row of w that is a thread's i-th. */
int row_of(int i) {
    int quarter = int(gl_LocalInvocationID.x) % 16;
    if (SWIGLU == 0) return 4 * quarter + i;
    return quarter / 8 * 2 * PIO_SWIGLU_BLOCK + quarter % 8 * 2 + i % 2 + i / 2 * PIO_SWIGLU_BLOCK;
}

/* Of the thread: 8 columns of a token, threads 0 to 127, or of a row of w. */
void load_step(matrix m, uint64_t x, int row, int k) {
    vec4 low = vec4(0), high = vec4(0);
    int lane = int(gl_LocalInvocationID.x), at = lane % 128 / 2, first = 8 * (lane % 2);
    if (lane >= 128) at = place_of(at);
    if (k + first < m.cols) {
        if (lane >= 128)
            weights8(m, row, k + first, low, high);
        else if (x != 0ul)
            floats8(x, k + first, m.cols, low, high);
    }
    [[unroll]] for (int i = 0; i < 4; i++) {
        if (lane < 128) {
            x_tile[(first + i) * (TILE_TOKENS / 4) + at / 4][at % 4] = low[i];
            x_tile[(first + 4 + i) * (TILE_TOKENS / 4) + at / 4][at % 4] = high[i];
        } else {
            w_tile[(first + i) * (TILE_ROWS / 4) + at / 4][at % 4] = low[i];
            w_tile[(first + 4 + i) * (TILE_ROWS / 4) + at / 4][at % 4] = high[i];
        }
    }
}

void make_tile(matrix m) {
    int lane = int(gl_LocalInvocationID.x), token = lane / 16 * 4;
    uint64_t x = lane < 128 ? x_at(lane / 2) : 0ul;
    int row = lane < 128 ? 0 : w_row(lane % 128 / 2);
    const int n_inner = x_at(token) != 0ul ? TILE_COLS : 0; /* its tokens may be none */
    mat4 sums = mat4(0); /* a column a token */
    for (int k = 0; k < m.cols; k += TILE_COLS) {
        barrier();
        load_step(m, x, row, k);
        barrier();
        for (int i = 0; i < n_inner; i++)
            sums += outerProduct(w_tile[i * (TILE_ROWS / 4) + lane % 16], x_tile[i * (TILE_TOKENS / 4) + token / 4]);
    }
    [[unroll]] for (int t = 0; t < 4; t++) {
        if (SWIGLU == 0) {
            [[unroll]] for (int i = 0; i < 4; i++) store(token + t, row_of(i), sums[t][i]);
        } else {
            [[unroll]] for (int i = 0; i < 2; i++) {
                float gate = sums[t][i];
                int column = row_of(i) / (2 * PIO_SWIGLU_BLOCK) * PIO_SWIGLU_BLOCK + row_of(i) % PIO_SWIGLU_BLOCK;
                store(token + t, column, gate / (1 + exp(-gate)) * sums[t][i + 2]);
            }
        }
    }
}
