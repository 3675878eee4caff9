#include "kernels/attention/attention_bf16_avx512.h"

#include "kernels/attention/attention_kv.h"
#include "kernels/families.h"

void pio_attention_avx512bf16(const void *args, pio_worker *worker) {
    att_run(args, worker);
}
