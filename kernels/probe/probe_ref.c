#include "kernels/case.h"
#include "kernels/families.h"

void pio_probe_read_bind(const pio_call *call, void *args) {
    *(pio_probe_read_args *)args =
        (pio_probe_read_args){.data = call->in[0].address,
                              .sums = call->out[0].address,
                              .bytes = (pio_u64)call->in[0].rows * (pio_u64)call->in[0].stride};
}

/* Contiguous shares of whole pieces: the same for every row, so that the sums can be compared. */
void pio_probe_share(const pio_probe_read_args *a, const pio_worker *worker, pio_u64 *from, pio_u64 *to) {
    const pio_u64 pieces = a->bytes / PIO_PROBE_PIECE, n = (pio_u64)worker->n_workers, w = (pio_u64)worker->index;
    *from = pieces * w / n * PIO_PROBE_PIECE;
    *to = pieces * (w + 1) / n * PIO_PROBE_PIECE;
}

void pio_probe_read_ref(const void *args, pio_worker *worker) {
    const pio_probe_read_args *a = args;
    pio_u64 from, to, sum = 0;
    pio_probe_share(a, worker, &from, &to);
    for (pio_u64 at = from; at < to; at += 8) sum += *PIO_AT(const pio_u64, a->data + at);
    PIO_AT(pio_u64, a->sums)[worker->index] = sum;
}

void pio_probe_ops_bind(const pio_call *call, void *args) {
    *(pio_probe_ops_args *)args = (pio_probe_ops_args){.done = call->out[0].address, .millions = call->attrs.flags};
}

/* The contract's smallest answer: the operations that were asked for. */
void pio_probe_ops_ref(const void *args, pio_worker *worker) {
    const pio_probe_ops_args *a = args;
    if (worker->index == 0) PIO_AT(pio_u64, a->done)[0] = (pio_u64)a->millions * 1000000;
}

bool pio_probe_read_case(pio_case_builder *b, int index) {
    if (index) return false;
    pio_case_name(b, "3 MB");
    pio_case_acts(b, 0, 300, 300, 2560, 1.0f);
    pio_case_output_words(b, 0, 8 * PIO_PROBE_WORKERS);
    return true;
}

bool pio_probe_ops_case(pio_case_builder *b, int index) {
    if (index) return false;
    pio_case_name(b, "40 million");
    pio_case_call(b)->attrs.flags = 40;
    pio_case_acts(b, 0, 1, 1, 64, 1.0f);
    pio_case_output_words(b, 0, 8);
    return true;
}
