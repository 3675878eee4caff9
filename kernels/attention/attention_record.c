#include "kernels/attention/attention_flow.h"
#include "kernels/families.h"

int32_t pio_attention_parts(int32_t rows, int32_t group, int n_workers) {
    return n_workers <= 1 ? 1 : n_workers * att_parts_of_worker(rows, group);
}

size_t pio_attention_parts_bytes(int32_t rows, int32_t group, int32_t head_dim, int n_workers) {
    return att_part_bytes(att_part_rows(rows, group), head_dim) * 2 *
           (size_t)pio_attention_parts(rows, group, n_workers);
}

static int32_t group_of(const pio_call *call) {
    return call->attrs.n_heads / call->attrs.n_kv_heads;
}

size_t pio_attention_scratch(const pio_call *call) {
    return pio_attention_parts_bytes(call->in[0].rows, group_of(call), call->attrs.head_dim, call->n_workers);
}

pio_status pio_attention_record(pio_recorder *recorder, const pio_call *call, pio_error *error) {
    pio_attention_args args;
    pio_attention_bind(call, &args);
    args.scratch = call->scratch;
    args.n_parts = call->scratch ? pio_attention_parts(args.rows, group_of(call), call->n_workers) : 1;
    pio_status status = recorder->dispatch(recorder, 0, NULL, &args, sizeof args, error);
    if (status || args.n_parts == 1) return status;
    args.phase = 1;
    status = recorder->barrier(recorder, error);
    return status ? status : recorder->dispatch(recorder, 0, NULL, &args, sizeof args, error);
}

bool pio_attention_match(const pio_call *call) {
    return call->attrs.head_dim <= ATT_HEAD_DIM_MAX;
}
