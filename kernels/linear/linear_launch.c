#include "kernels/families.h"
#include "kernels/linear/tile.h"

enum { LANES = 32 }; /* of a subgroup, for estimates */

/* Columns of a layout's rows in one load of a thread: CHUNK in stream.glsl. */
static int32_t chunk_of(pio_layout layout) {
    static const uint8_t columns[PIO_LAYOUT_COUNT] = {[PIO_LAYOUT_F32_ROWS] = 4,
                                                      [PIO_LAYOUT_BF16_ROWS] = 8,
                                                      [PIO_LAYOUT_F16S_ROWS] = 8,
                                                      [PIO_LAYOUT_Q8_ROWS] = 16,
                                                      [PIO_LAYOUT_Q4_ROWS] = 16};
    return columns[layout];
}

/* Constants of stream.glsl, `lanes` threads to a row: at least `least_rows` rows at a time, and more of them, which
 * share the work on activations, as long as each multiprocessor has some 12 subgroups at work, so that enough loads are
 * under way. Steps are shared out evenly among the rounds. */
static int32_t stream_constants(const pio_call *call, int64_t n_rows, int32_t least_rows, int32_t tokens, int32_t lanes,
                                pio_launch *launch) {
    const pio_operand *w = &call->in[1];
    const int32_t steps = PIO_MAX(1, PIO_CEIL_DIV(w->cols, chunk_of(w->layout) * lanes));
    /* q4's loads are half as wide, and its rows half as long. */
    const int32_t share = (w->layout == PIO_LAYOUT_Q4_ROWS ? 1 : 2) * (tokens > 2 ? 2 : 1);
    const int32_t loads = PIO_LINEAR_GROUP_LOADS / share;
    int32_t rows = PIO_LINEAR_GROUP_ROWS / share;
    while (rows > least_rows && n_rows * (lanes / LANES) / rows < 12 * call->n_workers) rows /= 2;
    const int32_t rounds = PIO_CEIL_DIV(steps, loads / rows);
    launch->constants[0] = pio_launch_weights(w->layout);
    launch->constants[1] = (uint32_t)tokens;
    launch->constants[2] = (uint32_t)rows;
    launch->constants[3] = (uint32_t)PIO_CEIL_DIV(steps, rounds);
    return rows;
}

int32_t pio_linear_stream_constants(const pio_call *call, int64_t n_rows, int32_t least_rows, int32_t tokens,
                                    pio_launch *launch) {
    return stream_constants(call, n_rows, least_rows, tokens, LANES, launch);
}

static int32_t tokens_together(const pio_call *call) {
    int32_t tokens = 1;
    while (tokens < PIO_LINEAR_GROUP_TOKENS && tokens < call->in[0].rows) tokens *= 2;
    return tokens;
}

void pio_linear_launch(const pio_call *call, pio_launch *launch) {
    const pio_operand *x = &call->in[0], *w = &call->in[1];
    const bool swiglu = call->op == PIO_OP_LINEAR_SWIGLU;
    const int32_t tokens = tokens_together(call),
                  rows = stream_constants(call, w->rows, swiglu ? 2 : 1, tokens, PIO_LINEAR_GROUP, launch);
    launch->groups[0] = (uint32_t)PIO_CEIL_DIV(w->rows, rows);
    launch->groups[1] = (uint32_t)PIO_CEIL_DIV(x->rows, tokens);
    launch->constants[4] = swiglu;
    launch->n_constants = 5;
}

/* A subgroup has some rows of a head's matrix. */
void pio_linear_heads_launch(const pio_call *call, pio_launch *launch) {
    const pio_operand *x = &call->in[0], *w = &call->in[1];
    const int32_t tokens = tokens_together(call),
                  rows = pio_linear_stream_constants(call, (int64_t)w->rows * w->n_matrices, 1, tokens, launch);
    launch->groups[0] = (uint32_t)PIO_CEIL_DIV(w->rows, rows * (PIO_LINEAR_GROUP / LANES));
    launch->groups[1] = (uint32_t)PIO_CEIL_DIV(x->rows, tokens);
    launch->groups[2] = (uint32_t)w->n_matrices;
    launch->n_constants = 4;
}

bool pio_linear_match_emulated(const pio_call *call) {
    return pio_linear_match(call) && call->in[1].cols <= 600;
}

static void launch_tiles(const pio_call *call, int32_t tokens, int32_t rows, pio_launch *launch) {
    launch->groups[0] = (uint32_t)PIO_CEIL_DIV(call->in[0].rows, tokens);
    launch->groups[1] = (uint32_t)PIO_CEIL_DIV(call->in[1].rows, rows);
    launch->constants[0] = pio_launch_weights(call->in[1].layout);
    launch->constants[2] = call->op == PIO_OP_LINEAR_SWIGLU;
    launch->n_constants = 3;
}

void pio_linear_tiles_launch(const pio_call *call, pio_launch *launch) {
    launch_tiles(call, PIO_TILE_TOKENS, PIO_TILE_ROWS, launch);
}

void pio_linear_matrix_launch(const pio_call *call, pio_launch *launch) {
    int32_t pieces = 1;
    while (pieces < 4 && pieces * PIO_MATRIX_TILE_TOKENS < call->in[0].rows) pieces *= 2;
    launch_tiles(call, pieces * PIO_MATRIX_TILE_TOKENS, PIO_MATRIX_TILE_ROWS, launch);
    launch->constants[1] = (uint32_t)pieces;
    launch->subgroup_size = 32;
}
