/* Kernels: shaders, whose pipelines are made when a list ends: those of all lists that are being recorded, several at a
 * time. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/threads.h"
#include "hal/vulkan/vulkan.h"

pio_status vulkan_module_create(pio_device *device, const pio_module_desc *desc, pio_module **out, pio_error *error) {
    const pio_device_caps *caps = &((vulkan_device *)device)->physical.caps;
    const size_t bytes = sizeof(vulkan_module) + sizeof(vulkan_kernel) * (size_t)desc->n_kernels;
    vulkan_module *module = calloc(1, bytes);
    if (!module) return pio_fail_memory(error, desc->name, bytes);
    module->base = (pio_module){.device = device, .n_kernels = desc->n_kernels};
    for (int i = 0; i < desc->n_kernels; i++) {
        const pio_kernel_desc *from = &desc->kernels[i];
        vulkan_kernel *to = &module->kernels[i];
        if (!from->code || from->n_constants > VULKAN_CONSTANTS) {
            free(module);
            return pio_fail(error, PIO_INTERNAL, "the kernel %s has no shader, or over %d constants", from->name,
                            VULKAN_CONSTANTS);
        }
        to->base = (pio_kernel){.device = device, .args_bytes = from->args_bytes};
        snprintf(to->name, sizeof to->name, "%s", from->name);
        to->code = from->code;
        to->entry = from->entry;
        to->n_constants = (uint32_t)from->n_constants;
        /* Devices whose subgroups have one size run kernels that are written for another only if those emulate it. */
        if (caps->features & PIO_VULKAN_MATRIX && from->subgroup_size != (uint32_t)caps->subgroup_size)
            to->subgroup_size = from->subgroup_size;
        if (from->n_constants) memcpy(to->constants, from->constants, 4 * (size_t)from->n_constants);
    }
    *out = &module->base;
    return PIO_OK;
}

static void forget(vulkan_device *device, vulkan_kernel *kernel) {
    for (int32_t i = 0; i < device->n_wanted && kernel->wanted; i++)
        if (device->wanted[i] == kernel) {
            device->wanted[i] = device->wanted[--device->n_wanted];
            kernel->wanted = false;
        }
}

void vulkan_module_destroy(pio_module *base) {
    vulkan_device *device = (vulkan_device *)base->device;
    vulkan_module *module = (vulkan_module *)base;
    for (int i = 0; i < base->n_kernels; i++) {
        forget(device, &module->kernels[i]);
        if (module->kernels[i].pipeline && !device->hangs)
            device->vk.DestroyPipeline(device->handle, module->kernels[i].pipeline, NULL);
    }
    free(module);
}

pio_kernel *vulkan_module_kernel(pio_module *module, int index) {
    return &((vulkan_module *)module)->kernels[index].base;
}

static VkResult make_pipeline(const vulkan_device *device, vulkan_kernel *kernel) {
    VkSpecializationMapEntry entries[VULKAN_CONSTANTS];
    for (uint32_t i = 0; i < kernel->n_constants; i++) entries[i] = (VkSpecializationMapEntry){i, 4 * i, 4};
    const VkSpecializationInfo constants = {kernel->n_constants, entries, 4 * (size_t)kernel->n_constants,
                                            kernel->constants};
    const VkShaderModuleCreateInfo shader = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                             .codeSize = kernel->code->n_bytes,
                                             .pCode = kernel->code->bytes};
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = kernel->subgroup_size};
    VkComputePipelineCreateInfo info = {.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
                                        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                                                  .pNext = kernel->subgroup_size ? &size : NULL,
                                                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                                                  .pName = kernel->entry,
                                                  .pSpecializationInfo = &constants},
                                        .layout = device->layout};
    VkResult result = device->vk.CreateShaderModule(device->handle, &shader, NULL, &info.stage.module);
    if (result) return result;
    result = device->vk.CreateComputePipelines(device->handle, device->cache, 1, &info, NULL, &kernel->pipeline);
    device->vk.DestroyShaderModule(device->handle, info.stage.module, NULL);
    if (result) kernel->pipeline = VK_NULL_HANDLE;
    return result;
}

bool vulkan_want(vulkan_kernel *kernel) {
    vulkan_device *device = (vulkan_device *)kernel->base.device;
    if (kernel->pipeline || kernel->wanted || kernel->result) return true;
    vulkan_kernel **added = PIO_PUSH(device, wanted);
    if (!added) return false;
    *added = kernel;
    kernel->wanted = true;
    return true;
}

/* What the threads share: each takes the next kernel until all are made. */
typedef struct work {
    vulkan_device *device;
    atomic_int next;
} work;

static void *make_some(void *context) {
    work *w = context;
    int i;
    while ((i = atomic_fetch_add(&w->next, 1)) < w->device->n_wanted) {
        vulkan_kernel *kernel = w->device->wanted[i];
        kernel->result = make_pipeline(w->device, kernel);
        kernel->wanted = false;
    }
    return NULL;
}

void vulkan_make_pipelines(vulkan_device *device) {
    enum { MAX_THREADS = 8 };
    pthread_t threads[MAX_THREADS];
    work w = {.device = device};
    int n_threads = 0;
    while (n_threads < PIO_MIN(PIO_MIN(MAX_THREADS, pio_threads_default()), device->n_wanted) - 1 &&
           !pthread_create(&threads[n_threads], NULL, make_some, &w))
        n_threads++;
    make_some(&w);
    for (int i = 0; i < n_threads; i++) pthread_join(threads[i], NULL);
    device->has_new |= device->n_wanted > 0;
    device->n_wanted = 0;
}

/* ---- the cache of pipelines ---- a driver's cache knows its own bytes and passes over others */

void vulkan_restore_compiled(pio_device *base, const void *bytes, size_t n_bytes) {
    vulkan_device *device = (vulkan_device *)base;
    const VkPipelineCacheCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO, .initialDataSize = n_bytes, .pInitialData = bytes};
    VkPipelineCache restored;
    if (device->vk.CreatePipelineCache(device->handle, &info, NULL, &restored)) return;
    device->vk.DestroyPipelineCache(device->handle, device->cache, NULL);
    device->cache = restored;
    device->compiled_bytes = n_bytes;
}

pio_status vulkan_save_compiled(pio_device *base, void **bytes, size_t *n_bytes, pio_error *error) {
    vulkan_device *device = (vulkan_device *)base;
    size_t n = 0;
    *bytes = NULL;
    *n_bytes = 0;
    if (atomic_load(&base->lost) || !device->has_new) return PIO_OK;
    device->has_new = false;
    VkResult result = device->vk.GetPipelineCacheData(device->handle, device->cache, &n, NULL);
    if (!result && n == device->compiled_bytes) return PIO_OK; /* a cache only grows: all of it was restored */
    if (!result && !(*bytes = malloc(n))) return pio_fail_memory(error, "the compiled kernels", n);
    if (!result) result = device->vk.GetPipelineCacheData(device->handle, device->cache, &n, *bytes);
    if (!result) {
        *n_bytes = device->compiled_bytes = n;
        return PIO_OK;
    }
    free(*bytes);
    *bytes = NULL;
    return vulkan_fail(device, result, "reading the compiled kernels", error);
}
