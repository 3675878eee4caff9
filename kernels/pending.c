/* Stands in for op families and layouts on their way: a family that lands deletes its lines here, the last one the
 * file. */
#include "kernels/case.h"
#include "kernels/families.h"

__attribute__((weak)) void pio_embed_bind(const pio_call *call, void *args) {
    (void)call, (void)args;
}
__attribute__((weak)) void pio_embed_ref(const void *args, pio_worker *worker) {
    (void)args, (void)worker;
}
__attribute__((weak)) bool pio_embed_case(pio_case_builder *builder, int index) {
    (void)builder, (void)index;
    return false;
}
__attribute__((weak)) void pio_gather_rows_bind(const pio_call *call, void *args) {
    (void)call, (void)args;
}
__attribute__((weak)) void pio_gather_rows_ref(const void *args, pio_worker *worker) {
    (void)args, (void)worker;
}
__attribute__((weak)) bool pio_gather_rows_case(pio_case_builder *builder, int index) {
    (void)builder, (void)index;
    return false;
}
__attribute__((weak)) void pio_rmsnorm_bind(const pio_call *call, void *args) {
    (void)call, (void)args;
}
__attribute__((weak)) void pio_rmsnorm_ref(const void *args, pio_worker *worker) {
    (void)args, (void)worker;
}
__attribute__((weak)) bool pio_rmsnorm_case(pio_case_builder *builder, int index) {
    (void)builder, (void)index;
    return false;
}
__attribute__((weak)) void pio_add_bind(const pio_call *call, void *args) {
    (void)call, (void)args;
}
__attribute__((weak)) void pio_add_ref(const void *args, pio_worker *worker) {
    (void)args, (void)worker;
}
__attribute__((weak)) bool pio_add_case(pio_case_builder *builder, int index) {
    (void)builder, (void)index;
    return false;
}
__attribute__((weak)) void pio_swiglu_bind(const pio_call *call, void *args) {
    (void)call, (void)args;
}
__attribute__((weak)) void pio_swiglu_ref(const void *args, pio_worker *worker) {
    (void)args, (void)worker;
}
__attribute__((weak)) bool pio_swiglu_case(pio_case_builder *builder, int index) {
    (void)builder, (void)index;
    return false;
}
__attribute__((weak)) void pio_convert_bind(const pio_call *call, void *args) {
    (void)call, (void)args;
}
__attribute__((weak)) void pio_convert_ref(const void *args, pio_worker *worker) {
    (void)args, (void)worker;
}
__attribute__((weak)) bool pio_convert_case(pio_case_builder *builder, int index) {
    (void)builder, (void)index;
    return false;
}
__attribute__((weak)) void pio_rope_table_bind(const pio_call *call, void *args) {
    (void)call, (void)args;
}
__attribute__((weak)) void pio_rope_table_ref(const void *args, pio_worker *worker) {
    (void)args, (void)worker;
}
__attribute__((weak)) bool pio_rope_table_case(pio_case_builder *builder, int index) {
    (void)builder, (void)index;
    return false;
}
__attribute__((weak)) void pio_rope_bind(const pio_call *call, void *args) {
    (void)call, (void)args;
}
__attribute__((weak)) void pio_rope_ref(const void *args, pio_worker *worker) {
    (void)args, (void)worker;
}
__attribute__((weak)) bool pio_rope_case(pio_case_builder *builder, int index) {
    (void)builder, (void)index;
    return false;
}
__attribute__((weak)) void pio_sample_bind(const pio_call *call, void *args) {
    (void)call, (void)args;
}
__attribute__((weak)) void pio_sample_ref(const void *args, pio_worker *worker) {
    (void)args, (void)worker;
}
__attribute__((weak)) bool pio_sample_case(pio_case_builder *builder, int index) {
    (void)builder, (void)index;
    return false;
}
__attribute__((weak)) void pio_probe_read_bind(const pio_call *call, void *args) {
    (void)call, (void)args;
}
__attribute__((weak)) void pio_probe_read_ref(const void *args, pio_worker *worker) {
    (void)args, (void)worker;
}
__attribute__((weak)) bool pio_probe_read_case(pio_case_builder *builder, int index) {
    (void)builder, (void)index;
    return false;
}
__attribute__((weak)) void pio_probe_ops_bind(const pio_call *call, void *args) {
    (void)call, (void)args;
}
__attribute__((weak)) void pio_probe_ops_ref(const void *args, pio_worker *worker) {
    (void)args, (void)worker;
}
__attribute__((weak)) bool pio_probe_ops_case(pio_case_builder *builder, int index) {
    (void)builder, (void)index;
    return false;
}
uint64_t pio_bf16_x16_bytes(int32_t rows, int32_t cols);
void pio_bf16_x16_pack(const pio_canonical *src, int32_t first_row, void *packed, int32_t rows, int32_t cols);
void pio_bf16_x16_unpack_row(const void *packed, int32_t rows, int32_t cols, int32_t row, float *out);
__attribute__((weak)) uint64_t pio_bf16_x16_bytes(int32_t rows, int32_t cols) {
    (void)rows, (void)cols;
    return 0;
}
__attribute__((weak)) void pio_bf16_x16_pack(const pio_canonical *src, int32_t first_row, void *packed, int32_t rows,
                                             int32_t cols) {
    (void)src, (void)first_row, (void)packed, (void)rows, (void)cols;
}
__attribute__((weak)) void pio_bf16_x16_unpack_row(const void *packed, int32_t rows, int32_t cols, int32_t row,
                                                   float *out) {
    (void)packed, (void)rows, (void)cols, (void)row, (void)out;
}
