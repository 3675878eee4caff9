#include "kernels/linear/linear_tiles.h"

#include <string.h>

#include "kernels/kernel.h"

size_t pio_linear_tile_bytes(pio_encoding encoding, int32_t cols) {
    if (encoding == PIO_ENC_S8)
        return (size_t)pio_s8_blocks(cols) * (PIO_SCALE_COLUMNS + sizeof(float) + sizeof(int32_t));
    return encoding == PIO_ENC_BF16 ? PIO_ROUND_UP((size_t)cols, 32) * 2 : PIO_ROUND_UP((size_t)cols, 2) * 4;
}

static size_t scratch_of(const pio_call *call, pio_encoding encoding) {
    return (size_t)call->in[0].rows * pio_linear_tile_bytes(encoding, call->in[1].cols);
}

size_t pio_linear_tiles_s8_scratch(const pio_call *call) {
    return scratch_of(call, PIO_ENC_S8);
}

size_t pio_linear_tiles_bf16_scratch(const pio_call *call) {
    return scratch_of(call, PIO_ENC_BF16);
}

size_t pio_linear_tiles_f32_scratch(const pio_call *call) {
    return scratch_of(call, PIO_ENC_F32);
}

pio_status pio_linear_tiles_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    pio_linear_args args;
    pio_linear_args_fill(call, &args);
    args.phase = PIO_LINEAR_PACK;
    pio_status status = recorder->dispatch(recorder, 0, NULL, &args, sizeof args, error);
    if (!status) status = recorder->barrier(recorder, error);
    args.phase = PIO_LINEAR_MULTIPLY;
    return status ? status : recorder->dispatch(recorder, 0, NULL, &args, sizeof args, error);
}

static void pack_tile(const pio_linear_args *a, const pio_tiles *x, int32_t tile, bool bf16) {
    int32_t t0 = pio_tile_begin(x, tile), n = pio_tile_begin(x, tile + 1) - t0;
    uint32_t *words = pio_tile_words(x, t0);
    for (int32_t t = 0; t < n; t++) {
        const uint32_t *row = PIO_AT(const uint32_t, pio_linear_packed_x(a, t0 + t));
        int32_t n_whole = bf16 ? x->n_words : a->cols; /* BF16 rows have zeros past their last column */
        for (int32_t i = 0; i < n_whole; i++) words[i * n + t] = row[i];
        if (n_whole < x->n_words) words[n_whole * n + t] = 0;
    }
}

void pio_tiles_pack(const pio_linear_args *a, pio_worker *worker, const pio_tiles *x, bool bf16) {
    for (int32_t tile; (tile = pio_worker_take(worker)) < x->n;) pack_tile(a, x, tile, bf16);
}

bool pio_tiles_share_of(int32_t n_tiles, int32_t n_parts, int32_t taken, int32_t n_units, int n_workers,
                        pio_tiles_share *share) {
    int32_t cut = n_parts > 1 ? PIO_MIN(n_units, 2 * n_workers) : 0, whole = n_units - cut;
    if (taken < whole) {
        *share = (pio_tiles_share){taken, 0, n_tiles};
        return true;
    }
    int32_t part = (taken - whole) % n_parts;
    *share =
        (pio_tiles_share){whole + (taken - whole) / n_parts, part * n_tiles / n_parts, (part + 1) * n_tiles / n_parts};
    return taken < whole + cut * n_parts;
}
