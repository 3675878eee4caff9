/* The dispatches of experts on devices: few pairs in one (experts_few.glsl), many in two or three (experts_many.glsl).
 */
#include "kernels/families.h"
#include "kernels/linear/tile.h"

bool pio_route_match_device(const pio_call *call) {
    return pio_route_match(call) && call->in[0].cols <= PIO_ROUTE_EXPERTS_MAX;
}

/* ---- few pairs ---- hardly two of them of one expert, so that each reads a matrix of its own */

enum { FEW_TOKENS = 16 };

static bool is_few(const pio_call *call) {
    const pio_operand *experts = &call->in[2];
    return experts->rows <= FEW_TOKENS && experts->rows * experts->cols <= PIO_EXPERTS_FEW_PAIRS;
}

bool pio_experts_stream_match(const pio_call *call) {
    const bool norms = call->in[2].rows <= PIO_LINEAR_GROUP_TOKENS; /* as long as the router does */
    return is_few(call) && (norms ? pio_experts_match_normed(call) : pio_experts_match(call));
}

static int32_t op_of(const pio_call *call) {
    return call->op == PIO_OP_EXPERTS_SWIGLU ? PIO_EXPERTS_OP_SWIGLU
           : call->op == PIO_OP_EXPERTS_DOWN ? PIO_EXPERTS_OP_DOWN
                                             : PIO_EXPERTS_OP_LINEAR;
}

/* A workgroup some rows, and a choice or, of EXPERTS_DOWN, a token, whose choices its subgroups share. */
void pio_experts_stream_launch(const pio_call *call, pio_launch *launch) {
    const pio_operand *w = &call->in[1], *experts = &call->in[2];
    const bool down = call->op == PIO_OP_EXPERTS_DOWN, swiglu = call->op == PIO_OP_EXPERTS_SWIGLU;
    const int32_t n_pairs = experts->rows * experts->cols, subgroups = PIO_LINEAR_GROUP / 32;
    const int32_t n_shares = down ? experts->rows * PIO_MIN(experts->cols, subgroups) : n_pairs;
    const int32_t rows = pio_linear_stream_constants(call, (int64_t)w->rows * n_shares, swiglu ? 2 : 1, 1, launch);
    launch->groups[0] = (uint32_t)PIO_CEIL_DIV(w->rows, down ? rows : rows * subgroups);
    launch->groups[1] = (uint32_t)(down ? experts->rows : n_pairs);
    launch->constants[4] = (uint32_t)op_of(call);
    launch->n_constants = 5;
}

bool pio_experts_dot8_match(const pio_call *call) {
    const bool down = call->op == PIO_OP_EXPERTS_DOWN;
    return pio_dot8_fits(call, down ? call->in[2].cols : 1) && pio_experts_stream_match(call);
}

void pio_experts_dot8_launch(const pio_call *call, pio_launch *launch) {
    const pio_operand *experts = &call->in[2];
    const bool down = call->op == PIO_OP_EXPERTS_DOWN, swiglu = call->op == PIO_OP_EXPERTS_SWIGLU;
    const int32_t terms = down ? experts->cols : 1;
    const pio_dot8_work work = {terms, down ? experts->rows : experts->rows * experts->cols, terms, swiglu};
    pio_dot8_launch(call, &work, op_of(call), launch);
}

/* ---- many pairs ---- */

/* A kind of tile: pairs and rows of w; pieces of 32 pairs, where there are some. */
typedef struct shape {
    int32_t pairs, rows, pieces;
    uint32_t subgroup_size;
} shape;

static shape plain_shape(const pio_call *call) {
    (void)call;
    return (shape){PIO_TILE_TOKENS, PIO_TILE_ROWS, 1, 0};
}

/* As many pieces as an expert has pairs for, were they spread evenly. */
static shape matrix_shape(const pio_call *call) {
    const int32_t each = call->in[2].rows * call->in[2].cols / call->in[1].n_matrices;
    const int32_t pieces = each > 2 * PIO_MATRIX_TILE_TOKENS ? 4 : each > PIO_MATRIX_TILE_TOKENS ? 2 : 1;
    return (shape){pieces * PIO_MATRIX_TILE_TOKENS, PIO_MATRIX_TILE_ROWS, pieces, 32};
}

bool pio_experts_device_match(const pio_call *call) {
    return !is_few(call) && call->in[1].n_matrices <= PIO_EXPERTS_MAX && pio_experts_match(call);
}

/* llvmpipe ends loops after 65,535 rounds. */
bool pio_experts_emulated_match(const pio_call *call) {
    return pio_experts_device_match(call) && call->in[1].cols <= 600;
}

static size_t scratch_of(const pio_call *call, shape tile) {
    const size_t n_pairs = (size_t)call->in[2].rows * (size_t)call->in[2].cols;
    const bool down = call->op == PIO_OP_EXPERTS_DOWN;
    return PIO_EXPERTS_PRODUCTS_AT(n_pairs, (size_t)call->in[1].n_matrices, (size_t)tile.pairs) +
           (down ? sizeof(float) * n_pairs * (size_t)call->in[1].rows : 0);
}

static pio_status record(pio_recorder *recorder, const pio_call *call, shape tile, pio_error *error) {
    const bool down = call->op == PIO_OP_EXPERTS_DOWN;
    pio_experts_args a;
    pio_experts_args_fill(call, &a);
    const struct {
        pio_i32 phase;
        int32_t x, y;
    } dispatches[] = {
        {PIO_EXPERTS_DEVICE_SORT, a.n_experts, 1},
        {PIO_EXPERTS_DEVICE_MULTIPLY, PIO_EXPERTS_TILES(a.tokens * a.n_chosen, a.n_experts, tile.pairs),
         PIO_CEIL_DIV(a.n_out, tile.rows)},
        {PIO_EXPERTS_DEVICE_REDUCE, a.tokens, 1},
    };
    pio_status status = PIO_OK;
    for (int i = 0; i < (down ? 3 : 2) && !status; i++) {
        const pio_launch launch = {.groups = {(uint32_t)dispatches[i].x, (uint32_t)dispatches[i].y, 1},
                                   .constants = {pio_launch_weights(call->in[1].layout), (uint32_t)tile.pieces,
                                                 call->op == PIO_OP_EXPERTS_SWIGLU, down},
                                   .n_constants = 4,
                                   .subgroup_size = tile.subgroup_size};
        a.phase = dispatches[i].phase;
        if (i) status = recorder->barrier(recorder, error);
        if (!status) status = recorder->dispatch(recorder, 0, &launch, &a, sizeof a, error);
    }
    return status;
}

size_t pio_experts_plain_scratch(const pio_call *call) {
    return scratch_of(call, plain_shape(call));
}

pio_status pio_experts_plain_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    return record(recorder, call, plain_shape(call), error);
}

size_t pio_experts_matrix_scratch(const pio_call *call) {
    return scratch_of(call, matrix_shape(call));
}

pio_status pio_experts_matrix_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    return record(recorder, call, matrix_shape(call), error);
}
