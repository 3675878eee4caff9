/* Buffers are mapped, not allocated: their pages are placed by whoever writes them first, and large ones by huge pages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "hal/cpu/cpu.h"

enum { HUGE_PAGE = 2 << 20, SMALL_PAGE = 4 << 10 };

static uint64_t read_kib(const char *line, const char *key) {
    unsigned long long kib;
    size_t n = strlen(key);
    return !strncmp(line, key, n) && sscanf(line + n, " %llu", &kib) == 1 ? (uint64_t)kib << 10 : 0;
}

/* What is left of the address space that the process may have (ulimit -v). */
static uint64_t free_addresses(void) {
    struct rlimit limit;
    unsigned long long used_pages = 0;
    if (getrlimit(RLIMIT_AS, &limit) || limit.rlim_cur == RLIM_INFINITY) return UINT64_MAX;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%llu", &used_pages) != 1) used_pages = 0;
    if (file) fclose(file);
    uint64_t used = (uint64_t)used_pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return limit.rlim_cur > used ? limit.rlim_cur - used : 0;
}

pio_status cpu_memory_budget(pio_device *device, pio_memory_budget *budget, pio_error *error) {
    (void)device;
    FILE *file = fopen("/proc/meminfo", "r");
    if (!file) return pio_fail(error, PIO_IO, "/proc/meminfo cannot be read: mount /proc");
    char line[256];
    while (fgets(line, sizeof line, file)) {
        uint64_t total = read_kib(line, "MemTotal:"), available = read_kib(line, "MemAvailable:");
        if (total) budget->total_bytes = total;
        if (available) budget->free_bytes = available;
    }
    fclose(file);
    pio_cgroup group;
    pio_cgroup_self(&group);
    pio_cgroup_memory(&group, &budget->total_bytes, &budget->free_bytes);
    budget->free_bytes = PIO_MIN(budget->free_bytes, free_addresses());
    return PIO_OK;
}

static pio_status check_free(pio_device *device, uint64_t bytes, const char *name, pio_error *error) {
    pio_memory_budget budget;
    if (bytes < HUGE_PAGE) return PIO_OK;
    pio_status status = pio_device_memory_budget(device, &budget, error);
    if (status || bytes <= budget.free_bytes) return status;
    return pio_fail(error, PIO_OUT_OF_MEMORY, "'%s' needs %.1f MB and %.1f MB are free", name, (double)bytes / 1e6,
                    (double)budget.free_bytes / 1e6);
}

/* Maps from a huge page's border on, by mapping more and giving the ends back. What follows the last whole huge page
 * stays in small ones: a model has hundreds of buffers, and the memory plan counts what they hold. */
static void *map_huge(uint64_t bytes) {
    char *start =
        mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) return NULL;
    size_t before = (size_t)(-(uintptr_t)start % HUGE_PAGE);
    if (before) munmap(start, before);
    munmap(start + before + bytes, HUGE_PAGE - before);
    madvise(start + before, bytes, MADV_HUGEPAGE); /* where the system has none, ordinary pages do */
    return start + before;
}

pio_status cpu_buffer_create(pio_device *device, uint64_t bytes, uint32_t usage, const char *name, pio_buffer **out,
                             pio_error *error) {
    (void)usage;
    pio_status status = check_free(device, bytes, name, error);
    if (status) return status;
    cpu_buffer *buffer = calloc(1, sizeof *buffer);
    if (!buffer) return pio_fail_memory(error, name, sizeof *buffer);
    bool huge = bytes >= HUGE_PAGE;
    buffer->mapped_bytes = PIO_ROUND_UP(bytes, huge ? (uint64_t)SMALL_PAGE : 64u);
    buffer->memory = huge ? map_huge(buffer->mapped_bytes) : aligned_alloc(64, buffer->mapped_bytes);
    if (!buffer->memory) {
        free(buffer);
        return pio_fail_memory(error, name, bytes);
    }
    buffer->base = (pio_buffer){device, (pio_addr)(uintptr_t)buffer->memory, bytes};
    *out = &buffer->base;
    return PIO_OK;
}

void cpu_buffer_destroy(pio_buffer *base) {
    cpu_buffer *buffer = (cpu_buffer *)base;
    if (buffer->base.bytes >= HUGE_PAGE)
        munmap(buffer->memory, buffer->mapped_bytes);
    else
        free(buffer->memory);
    free(buffer);
}

pio_status cpu_buffer_map(pio_buffer *base, void **host, pio_error *error) {
    (void)error;
    *host = ((cpu_buffer *)base)->memory;
    return PIO_OK;
}

pio_status cpu_buffer_sync(pio_buffer *buffer, uint64_t offset, uint64_t bytes, pio_error *error) {
    (void)buffer, (void)offset, (void)bytes, (void)error;
    return PIO_OK;
}
