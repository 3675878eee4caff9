#include "kernels/families.h"
#include "kernels/kv_cache/append_flow.h"

void pio_kv_append_avx512(const void *args, pio_worker *worker) {
    append_kv_run(args, worker, PIO_LAYOUT_KV_BF16);
}

void pio_qk_norm_rope_append_avx512(const void *args, pio_worker *worker) {
    append_qkv_run(args, worker, PIO_LAYOUT_KV_BF16);
}
