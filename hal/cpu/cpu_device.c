#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hal/cpu/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ARCH_REQ_XCOMP_PERM and XFEATURE_XTILEDATA of asm/prctl.h and the kernel, 5.16 and later. */
enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };

typedef enum amx_state { AMX_NONE, AMX_REFUSED, AMX_USABLE } amx_state;

/* Asks the system for the tiles' state: the permission is the process's, and a thread that has it gets its 8 KiB of
 * state at its first use. Asking again changes nothing. */
static amx_state find_amx(void) {
    const unsigned bf16 = 1u << 22, tile = 1u << 24, int8 = 1u << 25, all = bf16 | tile | int8; /* leaf 7, EDX */
    const unsigned tile_states = 3u << 17;                                                      /* of XCR0 */
    unsigned eax, ebx, ecx, edx, xcr0, high;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || (edx & all) != all) return AMX_NONE;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE)) return AMX_NONE;
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    if ((xcr0 & tile_states) != tile_states) return AMX_REFUSED;
    return syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) ? AMX_REFUSED : AMX_USABLE;
}
#endif

uint32_t cpu_detect_features(void) {
    uint32_t features = 0;
#if defined(__x86_64__)
    /* The compiler's run-time check includes the operating system's part (XGETBV). */
    __builtin_cpu_init();
    unsigned eax, ebx, ecx, edx;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") &&
        __get_cpuid(1, &eax, &ebx, &ecx, &edx) && (ecx & bit_F16C)) /* clang 14's check does not know "f16c" */
        features |= PIO_CPU_AVX2;
    if ((features & PIO_CPU_AVX2) && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512vnni"))
        features |= PIO_CPU_AVX512;
    /* AVX512_BF16: leaf 7, subleaf 1, EAX bit 5 */
    if ((features & PIO_CPU_AVX512) && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && (eax & 1u << 5))
        features |= PIO_CPU_AVX512BF16;
    if ((features & PIO_CPU_AVX512BF16) && find_amx() == AMX_USABLE) features |= PIO_CPU_AMX;
#endif
    return features;
}

/* Zen 4 reads a stream fastest when left alone; Zen 5 and the Xeons that were tried want to be asked far ahead. */
static bool reads_far(void) {
#if defined(__x86_64__)
    enum { ZEN_4 = 0x19 };
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(0, &eax, &ebx, &ecx, &edx) || ebx != signature_AMD_ebx) return true;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return true;
    return (eax >> 8 & 15) + (eax >> 20 & 255) > ZEN_4; /* the family, and what extends it */
#else
    return false;
#endif
}

static void cpu_name(char *name, size_t bytes) {
    snprintf(name, bytes, "CPU");
#if defined(__x86_64__)
    unsigned brand[12];
    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002u + i, &brand[4 * i], &brand[4 * i + 1], &brand[4 * i + 2], &brand[4 * i + 3]))
            return;
    char text[sizeof brand + 1] = "", *start = text;
    memcpy(text, brand, sizeof brand);
    while (*start == ' ') start++;
    size_t n = strlen(start);
    while (n && start[n - 1] == ' ') start[--n] = 0;
    if (n) snprintf(name, bytes, "%s", start);
#endif
}

/* What a person should know of the tiles. */
static const char *amx_detail(uint32_t features) {
    if (features & PIO_CPU_AMX) return ", AMX";
#if defined(__x86_64__)
    if (find_amx() == AMX_REFUSED) return ", AMX not permitted by the system";
#endif
    return "";
}

static void fill_caps(pio_device_caps *caps, int n_workers, uint32_t features) {
    memset(caps, 0, sizeof *caps);
    caps->backend = PIO_BACKEND_CPU;
    caps->kind = PIO_KIND_PROCESSOR;
    caps->features = features;
    caps->computes = caps->host_visible = true;
    caps->n_workers = n_workers;
    caps->subgroup_size = 1;
    caps->max_buffer_bytes = UINT64_C(1) << 46;
    caps->buffer_alignment = 64;
    cpu_name(caps->name, sizeof caps->name);
    snprintf(caps->detail, sizeof caps->detail, "%d thread%s%s%s%s", n_workers, n_workers == 1 ? "" : "s",
             features & PIO_CPU_AVX512 ? ", AVX-512 VNNI"
             : features & PIO_CPU_AVX2 ? ", AVX2"
                                       : "",
             features & PIO_CPU_AVX512BF16 ? " BF16" : "", amx_detail(features));
}

static void get_caps(pio_device *base, pio_device_caps *caps) {
    const cpu_device *device = (cpu_device *)base;
    fill_caps(caps, pio_pool_size(device->pool), device->features);
}

static pio_status get_status(pio_device *base, pio_error *error) {
    (void)base, (void)error;
    return PIO_OK;
}

static void destroy(pio_device *base) {
    cpu_device *device = (cpu_device *)base;
    size_t bytes = device->pool ? (size_t)pio_pool_size(device->pool) * PIO_WORKER_SCRATCH_BYTES : 0;
    if (device->scratch) munmap(device->scratch, bytes);
    pio_pool_destroy(device->pool);
    free(device);
}

static const pio_device_ops ops = {
    .destroy = destroy,
    .caps = get_caps,
    .status = get_status,
    .memory_budget = cpu_memory_budget,
    .buffer_create = cpu_buffer_create,
    .buffer_destroy = cpu_buffer_destroy,
    .buffer_map = cpu_buffer_map,
    .buffer_flush = cpu_buffer_sync,
    .buffer_invalidate = cpu_buffer_sync,
    .module_create = cpu_module_create,
    .module_destroy = cpu_module_destroy,
    .module_kernel = cpu_module_kernel,
    .list_create = cpu_list_create,
    .list_destroy = cpu_list_destroy,
    .list_copy = cpu_list_copy,
    .list_fill = cpu_list_fill,
    .list_dispatch = cpu_list_dispatch,
    .list_barrier = cpu_list_barrier,
    .list_end = cpu_list_end,
    .queue_create = cpu_queue_create,
    .queue_destroy = cpu_queue_destroy,
    .queue_write = cpu_queue_write,
    .queue_submit = cpu_queue_submit,
    .queue_wait = cpu_queue_wait,
    .queue_elapsed = cpu_queue_elapsed,
};

static int count(char *why_none, size_t why_bytes) {
    (void)why_none, (void)why_bytes;
    return 1;
}

static pio_status describe(int index, pio_device_caps *caps, char *why_not, size_t why_bytes, pio_error *error) {
    (void)index, (void)error;
    fill_caps(caps, pio_threads_default(), cpu_detect_features());
    if (why_bytes) why_not[0] = 0;
    return PIO_OK;
}

static pio_status create(int index, const pio_driver_options *options, pio_device **out, pio_error *error) {
    (void)index;
    *out = NULL;
    cpu_device *device = calloc(1, sizeof *device);
    if (!device) return pio_fail_memory(error, "the CPU device", sizeof *device);
    device->base.ops = &ops;
    device->features = cpu_detect_features() & ~options->features_off;
    device->reads_far = reads_far();
    pio_status status = pio_pool_create(options->n_threads, &device->pool, error);
    if (status) {
        free(device);
        return status;
    }
    int n = pio_pool_size(device->pool);
    pio_barrier_init(&device->barrier, n);
    size_t bytes = (size_t)n * PIO_WORKER_SCRATCH_BYTES;
    void *scratch = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (scratch == MAP_FAILED) {
        destroy(&device->base);
        return pio_fail_memory(error, "the CPU device's scratch", bytes);
    }
    device->scratch = scratch;
    *out = &device->base;
    return PIO_OK;
}

const pio_driver pio_cpu_driver = {PIO_BACKEND_CPU, count, describe, create};
