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
/* The harness of the cases (kernels/case.h). */
__attribute__((weak)) void pio_case_name(pio_case_builder *b, const char *format, ...) {
    (void)b, (void)format;
}
__attribute__((weak)) void pio_case_tolerance(pio_case_builder *b, double nmse, const char *reason) {
    (void)b, (void)nmse, (void)reason;
}
__attribute__((weak)) pio_call *pio_case_call(pio_case_builder *b) {
    (void)b;
    return NULL;
}
__attribute__((weak)) const pio_row *pio_case_row(const pio_case_builder *b) {
    (void)b;
    return NULL;
}
__attribute__((weak)) uint32_t pio_case_uniform(pio_case_builder *b, uint32_t n) {
    (void)b, (void)n;
    return 0;
}
__attribute__((weak)) float pio_case_gaussian(pio_case_builder *b) {
    (void)b;
    return 0;
}
__attribute__((weak)) void pio_case_acts(pio_case_builder *b, int in, int32_t bound, int32_t live, int32_t cols,
                                         float scale) {
    (void)b, (void)in, (void)bound, (void)live, (void)cols, (void)scale;
}
__attribute__((weak)) void pio_case_weight(pio_case_builder *b, int in, int32_t rows, int32_t cols, float scale) {
    (void)b, (void)in, (void)rows, (void)cols, (void)scale;
}
__attribute__((weak)) float *pio_case_vector(pio_case_builder *b, int in, int32_t n, float mean, float scale) {
    (void)b, (void)in, (void)n, (void)mean, (void)scale;
    return NULL;
}
__attribute__((weak)) void *pio_case_words(pio_case_builder *b, int in, int64_t bytes) {
    (void)b, (void)in, (void)bytes;
    return NULL;
}
__attribute__((weak)) void pio_case_cache(pio_case_builder *b, int in, int32_t pages) {
    (void)b, (void)in, (void)pages;
}
__attribute__((weak)) void pio_case_step(pio_case_builder *b, const pio_case_sequence *sequences, int n_sequences,
                                         int32_t bound) {
    (void)b, (void)sequences, (void)n_sequences, (void)bound;
}
__attribute__((weak)) void pio_case_output(pio_case_builder *b, int out, int32_t bound, int32_t live, int32_t cols) {
    (void)b, (void)out, (void)bound, (void)live, (void)cols;
}
__attribute__((weak)) void pio_case_output_words(pio_case_builder *b, int out, int64_t bytes) {
    (void)b, (void)out, (void)bytes;
}
__attribute__((weak)) void pio_case_output_cache(pio_case_builder *b, int out, int in) {
    (void)b, (void)out, (void)in;
}
__attribute__((weak)) void pio_case_output_in_place(pio_case_builder *b, int out, int in) {
    (void)b, (void)out, (void)in;
}
