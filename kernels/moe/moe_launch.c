/* The dispatches of experts on devices: few pairs in one, many in two or three (see experts.comp). */
#include "kernels/families.h"

bool pio_route_match_device(const pio_call *call) {
    return pio_route_match(call) && call->in[0].cols <= PIO_ROUTE_EXPERTS_MAX;
}

static bool is_few(const pio_experts_args *a) {
    return a->tokens * a->n_chosen <= PIO_EXPERTS_FEW_PAIRS && a->tokens <= PIO_LINEAR_GROUP_TOKENS;
}

bool pio_experts_match_device(const pio_call *call) {
    pio_experts_args a;
    pio_experts_args_fill(call, &a);
    return call->in[1].n_matrices <= PIO_EXPERTS_MAX && (is_few(&a) || !pio_experts_has_norm(call)) &&
           pio_experts_match_normed(call);
}

size_t pio_experts_device_scratch(const pio_call *call) {
    pio_experts_args a;
    pio_experts_args_fill(call, &a);
    if (is_few(&a)) return 0;
    const size_t n_pairs = (size_t)a.tokens * (size_t)a.n_chosen;
    return PIO_EXPERTS_PRODUCTS_AT(n_pairs, (size_t)a.n_experts) +
           (call->op == PIO_OP_EXPERTS_DOWN ? sizeof(float) * n_pairs * (size_t)a.n_out : 0);
}

static uint32_t op_of(const pio_call *call) {
    return call->op == PIO_OP_EXPERTS_SWIGLU ? PIO_EXPERTS_OP_SWIGLU
           : call->op == PIO_OP_EXPERTS_DOWN ? PIO_EXPERTS_OP_DOWN
                                             : PIO_EXPERTS_OP_LINEAR;
}

static pio_status dispatch(pio_recorder *recorder, const pio_call *call, pio_experts_args *args, pio_i32 phase,
                           int32_t x, int32_t y, pio_error *error) {
    const pio_launch launch = {.groups = {(uint32_t)x, (uint32_t)y, 1},
                               .constants = {pio_launch_weights(call->in[1].layout),
                                             is_few(args) ? 1 : PIO_LINEAR_GROUP_TOKENS, op_of(call),
                                             pio_experts_has_norm(call)},
                               .n_constants = 4};
    args->phase = phase;
    return recorder->dispatch(recorder, 0, &launch, args, sizeof *args, error);
}

pio_status pio_experts_device_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    pio_experts_args a;
    pio_experts_args_fill(call, &a);
    const bool down = call->op == PIO_OP_EXPERTS_DOWN;
    const int32_t n_pairs = a.tokens * a.n_chosen, row_groups = PIO_CEIL_DIV(a.n_out, PIO_LINEAR_GROUP_ROWS);
    if (is_few(&a))
        return dispatch(recorder, call, &a, PIO_EXPERTS_DEVICE_FEW, row_groups, down ? a.tokens : n_pairs, error);
    pio_status status = dispatch(recorder, call, &a, PIO_EXPERTS_DEVICE_SORT, 1, a.n_experts, error);
    if (!status) status = recorder->barrier(recorder, error);
    if (!status)
        status = dispatch(recorder, call, &a, PIO_EXPERTS_DEVICE_SORTED, row_groups,
                          PIO_EXPERTS_TILES(n_pairs, a.n_experts), error);
    if (status || !down) return status;
    status = recorder->barrier(recorder, error);
    return status ? status : dispatch(recorder, call, &a, PIO_EXPERTS_DEVICE_REDUCE, 1, a.tokens, error);
}
