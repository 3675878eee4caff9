#include "kernels/moe/experts.h"

#include <string.h>

#include "kernels/families.h"

pio_experts_memory pio_experts_memory_of(const pio_experts_args *a, bool down, bool tiled, pio_encoding encoding) {
    const size_t n_pairs = (size_t)a->tokens * (size_t)a->n_chosen;
    const size_t n_pieces = PIO_MIN(n_pairs, (size_t)a->n_experts) + n_pairs / PIO_EXPERTS_PIECE_TOKENS;
    const int64_t row = PIO_MAX(pio_encoding_stride(PIO_ENC_F32, a->cols), pio_encoding_stride(PIO_ENC_S8, a->cols));
    pio_experts_memory m = {.piece_tokens = PIO_MIN(a->tokens, PIO_EXPERTS_PIECE_TOKENS)};
    m.tile_bytes = tiled ? PIO_ROUND_UP(pio_linear_tile_bytes(encoding, a->cols), 64) : 0;
    m.tiles_bytes = m.tile_bytes * n_pairs;
    m.product_bytes = down && pio_experts_few(a) ? PIO_ROUND_UP(sizeof(float) * (size_t)a->n_out, 64) : 0;
    m.products_bytes = m.product_bytes * n_pairs;
    m.pieces_bytes = PIO_ROUND_UP(n_pieces * sizeof(pio_experts_piece), 64);
    m.pairs_bytes = PIO_ROUND_UP((2 * n_pairs + (size_t)a->n_experts) * sizeof(pio_i32), 64);
    m.rows_bytes = down || tiled ? 0 : PIO_ROUND_UP((size_t)row * (size_t)m.piece_tokens, 64);
    return m;
}

static const pio_i32 *choices(const pio_experts_args *a, pio_i32 token) {
    return PIO_AT(const pio_i32, a->experts + (pio_u64)token * (pio_u64)a->experts_stride);
}

static const float *weights_of(const pio_experts_args *a, pio_i32 token) {
    return PIO_AT(const float, a->weights + (pio_u64)token * (pio_u64)a->experts_stride);
}

pio_experts_order pio_experts_sort(const pio_experts_args *a, const pio_experts_memory *m, int worker) {
    char *own =
        PIO_AT(char, a->scratch) + m->tiles_bytes + m->products_bytes + (size_t)worker * pio_experts_own_bytes(m);
    const pio_i32 live = pio_experts_live(a), n_pairs = live * a->n_chosen;
    pio_experts_order o = {.pieces = (pio_experts_piece *)(void *)own,
                           .n_pairs = n_pairs,
                           .tokens = (pio_i32 *)(void *)(own + m->pieces_bytes),
                           .rows = own + m->pieces_bytes + m->pairs_bytes};
    pio_i32 *next = o.tokens + 2 * (size_t)a->tokens * (size_t)a->n_chosen, first = 0; /* [n_experts] */
    o.weights = (float *)(void *)(o.tokens + n_pairs);
    memset(next, 0, sizeof *next * (size_t)a->n_experts);
    for (pio_i32 t = 0; t < live; t++)
        for (pio_i32 j = 0; j < a->n_chosen; j++) next[choices(a, t)[j]]++;
    for (pio_i32 e = 0; e < a->n_experts; e++) {
        const pio_i32 end = first + next[e];
        next[e] = first;
        for (; first < end; first += o.pieces[o.n_pieces++].n)
            o.pieces[o.n_pieces] = (pio_experts_piece){e, first, PIO_MIN(end - first, m->piece_tokens)};
    }
    for (pio_i32 t = 0; t < live; t++)
        for (pio_i32 j = 0; j < a->n_chosen; j++) {
            const pio_i32 r = next[choices(a, t)[j]]++;
            o.tokens[r] = t;
            if (a->weights) o.weights[r] = weights_of(a, t)[j];
        }
    return o;
}

static size_t scratch_of(const pio_call *call, bool tiled, pio_encoding encoding) {
    pio_experts_args a;
    pio_experts_args_fill(call, &a);
    const pio_experts_memory m = pio_experts_memory_of(&a, call->op == PIO_OP_EXPERTS_DOWN, tiled, encoding);
    return m.tiles_bytes + m.products_bytes + (size_t)call->n_workers * pio_experts_own_bytes(&m);
}

size_t pio_experts_scratch(const pio_call *call) {
    return scratch_of(call, false, PIO_ENC_F32);
}

size_t pio_experts_tiles_s8_scratch(const pio_call *call) {
    return scratch_of(call, true, PIO_ENC_S8);
}

size_t pio_experts_tiles_bf16_scratch(const pio_call *call) {
    return scratch_of(call, true, PIO_ENC_BF16);
}

size_t pio_experts_tiles_f32_scratch(const pio_call *call) {
    return scratch_of(call, true, PIO_ENC_F32);
}

static pio_status record_two(pio_recorder *recorder, const pio_call *call, pio_i32 first, pio_i32 second,
                             pio_error *error) {
    pio_experts_args args;
    pio_experts_args_fill(call, &args);
    args.phase = first;
    pio_status status = recorder->dispatch(recorder, 0, NULL, &args, sizeof args, error);
    if (!status) status = recorder->barrier(recorder, error);
    args.phase = second;
    return status ? status : recorder->dispatch(recorder, 0, NULL, &args, sizeof args, error);
}

pio_status pio_experts_tiles_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    return record_two(recorder, call, PIO_EXPERTS_PACK, PIO_EXPERTS_MULTIPLY, error);
}

pio_status pio_experts_few_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    pio_experts_args args;
    pio_experts_args_fill(call, &args);
    if (pio_experts_few(&args)) return record_two(recorder, call, PIO_EXPERTS_MULTIPLY, PIO_EXPERTS_REDUCE, error);
    args.phase = PIO_EXPERTS_MULTIPLY;
    return recorder->dispatch(recorder, 0, NULL, &args, sizeof args, error);
}
