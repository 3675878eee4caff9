/* Sums over a workgroup, whatever the subgroups' size. Shaders know of subgroups only their number and their own place
 * among them (kernels/dialect/shader.glsl), so that groups of 4 to 256 threads on subgroups of 4, 8 and 16, which
 * llvmpipe has by LP_NATIVE_VECTOR_WIDTH, show every number of subgroups from 1 to 64: those that a group of any shader
 * has with 32 or 64 lanes among them. */
#include "tests/support/test.h"

#include <string.h>

#include "base/compiler.h"
#include "tests/support/hal.h"

#if PIO_HAS_VULKAN
extern const pio_code pio_spv_test_sums_4, pio_spv_test_sums_16, pio_spv_test_sums_64, pio_spv_test_sums_256;
static const struct {
    uint32_t threads;
    const pio_code *code;
} groups[] = {
    {4, &pio_spv_test_sums_4}, {16, &pio_spv_test_sums_16}, {64, &pio_spv_test_sums_64}, {256, &pio_spv_test_sums_256}};

typedef struct sums_args {
    uint64_t to, from;
} sums_args;

static void run(test_device *t, const pio_code *code, uint32_t n_groups, const sums_args *args) {
    const pio_kernel_desc kernel = {.name = "sums", .code = code, .entry = "main", .args_bytes = sizeof *args};
    const pio_module_desc desc = {.name = "sums", .kernels = &kernel, .n_kernels = 1};
    pio_error error = {0};
    pio_module *module;
    pio_list *list;
    if (pio_module_create(t->device, &desc, &module, &error) || pio_list_create(t->device, false, &list, &error) ||
        pio_list_dispatch(list, pio_module_kernel(module, 0), (uint32_t[]){n_groups, 1, 1}, args, sizeof *args, &error))
        fail_msg("%s", error.text);
    test_hal_submit(t, list);
    pio_list_destroy(list);
    pio_module_destroy(module);
}

/* Whole numbers, so that no order of adding rounds. */
static void fill(test_device *t, float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = (float)test_random_below(&t->random, 2001) - 1000;
}

static void check_group(const float *in, const float *out, uint32_t n_threads) {
    for (uint32_t round = 0; round < 2; round++) {
        float sum = 0, most = in[round];
        for (uint32_t i = 0; i < n_threads; i++) {
            sum += in[2 * i + round];
            most = PIO_MAX(most, in[2 * i + round]);
        }
        for (uint32_t i = 0; i < n_threads; i++)
            if (out[4 * i + 2 * round] != sum || out[4 * i + 2 * round + 1] != most)
                fail_msg("thread %u of %u: %g and %g, not %g and %g", i, n_threads, (double)out[4 * i + 2 * round],
                         (double)out[4 * i + 2 * round + 1], (double)sum, (double)most);
    }
}

static void every_thread_gets_the_sum(test_device *t) {
    enum { GROUPS = 50, MOST = GROUPS * 256 };
    static float in[2 * MOST], out[4 * MOST];
    if (t->driver->backend != PIO_BACKEND_VULKAN) return;
    print_message("subgroups of %d\n", t->caps.subgroup_size);
    pio_buffer *from = test_hal_buffer(t, sizeof in, 0), *to = test_hal_buffer(t, sizeof out, 0);
    const sums_args args = {to->address, from->address};
    for (size_t g = 0; g < PIO_COUNT(groups); g++) {
        fill(t, in, PIO_COUNT(in));
        test_hal_upload(t, from->address, in, sizeof in);
        memset(out, 0xff, sizeof out); /* NaN */
        test_hal_upload(t, to->address, out, sizeof out);
        run(t, groups[g].code, GROUPS, &args);
        test_hal_download(t, to->address, out, sizeof out);
        for (size_t i = 0; i < GROUPS; i++)
            check_group(in + 2 * i * groups[g].threads, out + 4 * i * groups[g].threads, groups[g].threads);
    }
    pio_buffer_destroy(from);
    pio_buffer_destroy(to);
}
#endif

int main(void) {
#if PIO_HAS_VULKAN
    static const test_check checks[] = {{"every_thread_gets_the_sum", every_thread_gets_the_sum, true}};
    return test_hal_run(checks, (int)PIO_COUNT(checks));
#else
    return 77; /* skipped */
#endif
}
