/* The driver: which devices there are, and what one consists of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hal/vulkan/vulkan.h"

enum { MAX_DEVICES = 16 };

const char *vulkan_result_name(VkResult result) {
    static const struct {
        VkResult result;
        const char *name;
    } names[] = {
        {VK_ERROR_OUT_OF_HOST_MEMORY, "out of host memory"},
        {VK_ERROR_OUT_OF_DEVICE_MEMORY, "out of device memory"},
        {VK_ERROR_INITIALIZATION_FAILED, "initialisation failed"},
        {VK_ERROR_DEVICE_LOST, "device lost"},
        {VK_ERROR_MEMORY_MAP_FAILED, "mapping failed"},
        {VK_ERROR_LAYER_NOT_PRESENT, "a layer is missing"},
        {VK_ERROR_EXTENSION_NOT_PRESENT, "an extension is missing"},
        {VK_ERROR_FEATURE_NOT_PRESENT, "a feature is missing"},
        {VK_ERROR_INCOMPATIBLE_DRIVER, "no compatible driver"},
        {VK_ERROR_TOO_MANY_OBJECTS, "too many objects"},
    };
    for (size_t i = 0; i < PIO_COUNT(names); i++)
        if (names[i].result == result) return names[i].name;
    return "an unknown error";
}

pio_status vulkan_fail(vulkan_device *device, VkResult result, const char *what, pio_error *error) {
    pio_status status = PIO_INTERNAL;
    if (result == VK_TIMEOUT) {
        device->hangs = true;
        atomic_store(&device->base.lost, true);
        return pio_fail(
            error, PIO_DEVICE_LOST,
            "Vulkan on %s: it has finished nothing for %d s and counts as lost: use another device, or start "
            "its driver anew",
            device->physical.caps.name, vulkan_patience_s(device));
    }
    if (result == VK_ERROR_DEVICE_LOST) {
        atomic_store(&device->base.lost, true);
        status = PIO_DEVICE_LOST;
    } else if (result == VK_ERROR_OUT_OF_HOST_MEMORY || result == VK_ERROR_OUT_OF_DEVICE_MEMORY) {
        status = PIO_OUT_OF_MEMORY;
    }
    return pio_fail(error, status, "Vulkan on %s: %s failed: %s (%d)", device->physical.caps.name, what,
                    vulkan_result_name(result), (int)result);
}

static void get_caps(pio_device *base, pio_device_caps *caps) {
    *caps = ((vulkan_device *)base)->physical.caps;
}

static pio_status get_status(pio_device *base, pio_error *error) {
    if (!atomic_load(&base->lost)) return PIO_OK;
    return pio_fail(error, PIO_DEVICE_LOST, "%s was lost", ((vulkan_device *)base)->physical.caps.name);
}

static void *extension(pio_device *base, const char *name) {
    if (!strcmp(name, "messages")) return (void *)(uintptr_t)vulkan_get_messages();
    return strcmp(name, "compiled") ? NULL : &((vulkan_device *)base)->compiled;
}

static void destroy(pio_device *base) {
    vulkan_device *device = (vulkan_device *)base;
    if (device->handle && !device->hangs) {
        if (device->vk.DeviceWaitIdle) device->vk.DeviceWaitIdle(device->handle);
        vulkan_free_blocks(device);
        if (device->cache) device->vk.DestroyPipelineCache(device->handle, device->cache, NULL);
        if (device->layout) device->vk.DestroyPipelineLayout(device->handle, device->layout, NULL);
        if (device->vk.DestroyDevice) device->vk.DestroyDevice(device->handle, NULL);
    }
    free(device->blocks);
    free(device->wanted);
    free(device);
}

static const pio_device_ops ops = {
    .destroy = destroy,
    .caps = get_caps,
    .status = get_status,
    .memory_budget = vulkan_memory_budget,
    .buffer_create = vulkan_buffer_create,
    .buffer_destroy = vulkan_buffer_destroy,
    .buffer_map = vulkan_buffer_map,
    .buffer_flush = vulkan_buffer_flush,
    .buffer_invalidate = vulkan_buffer_invalidate,
    .module_create = vulkan_module_create,
    .module_destroy = vulkan_module_destroy,
    .module_kernel = vulkan_module_kernel,
    .list_create = vulkan_list_create,
    .list_destroy = vulkan_list_destroy,
    .list_copy = vulkan_list_copy,
    .list_fill = vulkan_list_fill,
    .list_dispatch = vulkan_list_dispatch,
    .list_barrier = vulkan_list_barrier,
    .list_end = vulkan_list_end,
    .queue_create = vulkan_queue_create,
    .queue_destroy = vulkan_queue_destroy,
    .queue_write = vulkan_queue_write,
    .queue_submit = vulkan_queue_submit,
    .queue_wait = vulkan_queue_wait,
    .queue_elapsed = vulkan_queue_elapsed,
    .extension = extension,
};

static int count(char *why_none, size_t why_bytes) {
    VkPhysicalDevice devices[MAX_DEVICES];
    const vulkan_instance *instance = vulkan_open(why_none, why_bytes);
    const int n = instance ? vulkan_list_physical(instance, devices, MAX_DEVICES) : 0;
    if (instance && !n)
        snprintf(why_none, why_bytes,
                 "the Vulkan loader knows no device: install the graphics card's driver, or mesa-vulkan-drivers");
    return n;
}

static pio_status find(int index, vulkan_physical *physical, const vulkan_instance **instance, pio_error *error) {
    VkPhysicalDevice devices[MAX_DEVICES];
    char why[256] = "";
    *instance = vulkan_open(why, sizeof why);
    if (!*instance) return pio_fail(error, PIO_UNSUPPORTED, "%s", why);
    if (index >= vulkan_list_physical(*instance, devices, MAX_DEVICES))
        return pio_fail(error, PIO_UNSUPPORTED, "the Vulkan device %d is no longer there", index);
    vulkan_describe(*instance, devices[index], physical);
    return PIO_OK;
}

static pio_status describe(int index, pio_device_caps *caps, char *why_not, size_t why_bytes, pio_error *error) {
    const vulkan_instance *instance;
    vulkan_physical physical;
    pio_status status = find(index, &physical, &instance, error);
    if (status) return status;
    *caps = physical.caps;
    if (why_bytes) snprintf(why_not, why_bytes, "%s", physical.why_not);
    return PIO_OK;
}

/* The name of a function that the driver lacks, or NULL. */
static const char *load_functions(vulkan_device *device, VkDevice handle) {
    const char *missing = NULL;
#define LOAD(name)                                                                                                     \
    device->vk.name = (PFN_vk##name)device->instance->GetDeviceProcAddr(handle, "vk" #name);                           \
    if (!device->vk.name) missing = "vk" #name;
    VULKAN_DEVICE_FUNCTIONS(LOAD)
#undef LOAD
    return missing;
}

/* The logical device and the objects that all its kernels share. */
static pio_status open_device(vulkan_device *device, pio_error *error) {
    VkDevice handle;
    VkResult result = vulkan_create_logical(device->instance, &device->physical, &handle);
    if (result) return vulkan_fail(device, result, "opening the device", error);
    const char *missing = load_functions(device, handle);
    device->handle = handle;
    if (missing)
        return pio_fail(error, PIO_UNSUPPORTED, "the driver of %s has no %s: install a newer driver",
                        device->physical.caps.name, missing);
    const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, PIO_ARGS_MAX_BYTES};
    const VkPipelineLayoutCreateInfo layout = {.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                               .pushConstantRangeCount = 1,
                                               .pPushConstantRanges = &range};
    const VkPipelineCacheCreateInfo cache = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    result = device->vk.CreatePipelineLayout(handle, &layout, NULL, &device->layout);
    if (!result) result = device->vk.CreatePipelineCache(handle, &cache, NULL, &device->cache);
    return result ? vulkan_fail(device, result, "making a pipeline layout", error) : PIO_OK;
}

static pio_status create(int index, const pio_driver_options *options, pio_device **out, pio_error *error) {
    *out = NULL;
    vulkan_device *device = calloc(1, sizeof *device);
    if (!device) return pio_fail_memory(error, "the Vulkan device", sizeof *device);
    device->base.ops = &ops;
    pio_status status = find(index, &device->physical, &device->instance, error);
    if (!status && device->physical.why_not[0])
        status = pio_fail(error, PIO_UNSUPPORTED, "%s cannot be used: %s", device->physical.caps.name,
                          device->physical.why_not);
    device->physical.caps.features &= ~options->features_off;
    device->compiled = (pio_device_compiled){.restore = vulkan_restore_compiled, .save = vulkan_save_compiled};
    memcpy(device->compiled.key, device->physical.driver_key, sizeof device->compiled.key);
    if (!status) status = open_device(device, error);
    if (status) {
        destroy(&device->base);
        return status;
    }
    *out = &device->base;
    return PIO_OK;
}

const pio_driver pio_vulkan_driver = {PIO_BACKEND_VULKAN, count, describe, create, vulkan_expects_hardware};
