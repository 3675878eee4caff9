/* What a physical device is, what it has, and whether that is enough. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/threads.h"
#include "hal/vulkan/vulkan.h"

int vulkan_list_physical(const vulkan_instance *instance, VkPhysicalDevice *devices, int max) {
    uint32_t n = (uint32_t)max;
    return instance->EnumeratePhysicalDevices(instance->handle, &n, devices) < 0 ? 0 : (int)n;
}

/* The features, chained together: those that every kernel needs, and those that some rows need (pio_feature). */
typedef struct features {
    VkPhysicalDeviceFeatures2 base;
    VkPhysicalDeviceVulkan11Features v11;
    VkPhysicalDeviceVulkan12Features v12;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot;
    VkPhysicalDeviceSubgroupSizeControlFeatures sizes;
    MATRIX(VkPhysicalDeviceCooperativeMatrixFeatures) matrix;
} features;

static const struct {
    const char *name;
    size_t at;
} required[] = {
#define FEATURE(part, name) {#name, offsetof(features, part.name)},
    FEATURE(base, features.shaderInt64) FEATURE(base, features.shaderInt16) FEATURE(v11, storageBuffer16BitAccess)
        FEATURE(v12, storageBuffer8BitAccess) FEATURE(v12, shaderInt8) FEATURE(v12, scalarBlockLayout)
            FEATURE(v12, bufferDeviceAddress) FEATURE(v12, timelineSemaphore)
#undef FEATURE
};

/* The features behind each bit of pio_feature. */
static const struct {
    uint32_t bit;
    size_t at;
} optional[] = {
    {PIO_VULKAN_DOT8, offsetof(features, dot.shaderIntegerDotProduct)},
    {PIO_VULKAN_MATRIX, offsetof(features, matrix.cooperativeMatrix)},
    {PIO_VULKAN_MATRIX, offsetof(features, v12.shaderFloat16)},
    {PIO_VULKAN_MATRIX, offsetof(features, v12.vulkanMemoryModel)},
    {PIO_VULKAN_MATRIX, offsetof(features, v12.vulkanMemoryModelDeviceScope)}, /* of atomics and coherent memory */
    {PIO_VULKAN_MATRIX, offsetof(features, sizes.subgroupSizeControl)},
};

static VkBool32 *feature_at(features *f, size_t at) {
    return (VkBool32 *)(void *)((char *)f + at);
}

static void chain(const vulkan_physical *physical, features *f) {
    void **last = &f->v12.pNext;
    memset(f, 0, sizeof *f);
    f->base.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    f->v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
    f->v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    f->base.pNext = &f->v11;
    f->v11.pNext = &f->v12;
    f->dot.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES;
    f->sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
    f->matrix.sType = MATRIX(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_);
    if (physical->has_dot_products) {
        *last = &f->dot;
        last = &f->dot.pNext;
    }
    if (physical->has_size_control) {
        *last = &f->sizes;
        last = &f->sizes.pNext;
    }
    if (physical->has_matrices) *last = &f->matrix;
}

typedef struct properties {
    VkPhysicalDeviceProperties2 base;
    VkPhysicalDeviceVulkan11Properties v11;
    VkPhysicalDeviceVulkan12Properties v12;
} properties;

static void get_properties(const vulkan_instance *instance, VkPhysicalDevice device, properties *p) {
    memset(p, 0, sizeof *p);
    p->base.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    p->v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
    p->v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
    p->base.pNext = &p->v11;
    p->v11.pNext = &p->v12;
    instance->GetPhysicalDeviceProperties2(device, &p->base);
}

static bool has_extension(const vulkan_instance *instance, VkPhysicalDevice device, const char *name) {
    static _Thread_local VkExtensionProperties found[512];
    uint32_t n = PIO_COUNT(found);
    if (instance->EnumerateDeviceExtensionProperties(device, NULL, &n, found) < 0) return false;
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(found[i].extensionName, name)) return true;
    return false;
}

static bool find_family(const vulkan_instance *instance, vulkan_physical *out) {
    VkQueueFamilyProperties families[32];
    uint32_t n = PIO_COUNT(families), i = 0;
    instance->GetPhysicalDeviceQueueFamilyProperties(out->handle, &n, families);
    while (i < n && !(families[i].queueFlags & VK_QUEUE_COMPUTE_BIT)) i++;
    if (i == n) return false;
    out->family = i;
    out->n_queues = PIO_MIN(families[i].queueCount, 2u);
    out->timestamp_bits = families[i].timestampValidBits;
    return true;
}

/* Whether subgroups can have the size of the teams that multiply matrices. */
static bool has_team_size(const vulkan_instance *instance, VkPhysicalDevice device) {
    enum { TEAM = 32 };
    VkPhysicalDeviceSubgroupSizeControlProperties sizes = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceProperties2 asked = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &sizes};
    instance->GetPhysicalDeviceProperties2(device, &asked);
    return sizes.minSubgroupSize <= TEAM && TEAM <= sizes.maxSubgroupSize &&
           (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT);
}

/* Whether the device multiplies matrices of the one shape and the types that shaders use. */
static bool has_matrix_shape(const vulkan_instance *instance, VkPhysicalDevice device) {
    MATRIX(VkCooperativeMatrixProperties) found[64];
    uint32_t n = PIO_COUNT(found);
    for (size_t i = 0; i < PIO_COUNT(found); i++)
        found[i] =
            (MATRIX(VkCooperativeMatrixProperties)){.sType = MATRIX(VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_)};
    if (instance->MATRIX(GetPhysicalDeviceCooperativeMatrixProperties)(device, &n, found) < 0) return false;
    for (uint32_t i = 0; i < n; i++)
        if (found[i].MSize == 16 && found[i].NSize == 16 && found[i].KSize == 16 &&
            found[i].AType == MATRIX(VK_COMPONENT_TYPE_FLOAT16_) && found[i].BType == found[i].AType &&
            found[i].CType == MATRIX(VK_COMPONENT_TYPE_FLOAT32_) && found[i].VULKAN_MATRIX_RESULT == found[i].CType &&
            found[i].scope == MATRIX(VK_SCOPE_SUBGROUP_))
            return true;
    return false;
}

/* What kernels may use: those over matrices, and those of integer dot products. */
enum { MATRIX_SHARED_BYTES = 48 << 10, DOT8_SHARED_BYTES = 32 << 10, DOT8_THREADS = 1024 };

static void fill_features(const vulkan_instance *instance, features *f, vulkan_physical *out) {
    uint32_t absent = 0, bits = 0;
    for (size_t i = 0; i < PIO_COUNT(optional); i++) {
        bits |= optional[i].bit;
        if (!*feature_at(f, optional[i].at)) absent |= optional[i].bit;
    }
    out->caps.features |= bits & ~absent;
    if ((out->caps.features & PIO_VULKAN_MATRIX) &&
        !(out->shared_bytes >= MATRIX_SHARED_BYTES && has_team_size(instance, out->handle) &&
          has_matrix_shape(instance, out->handle)))
        out->caps.features &= ~(uint32_t)PIO_VULKAN_MATRIX;
    if (out->shared_bytes < DOT8_SHARED_BYTES || out->group_threads < DOT8_THREADS)
        out->caps.features &= ~(uint32_t)PIO_VULKAN_DOT8;
}

/* The package that has what is missing, by the vendor of the device. */
static const char *cure_of(const properties *p) {
    static const struct {
        uint32_t vendor;
        const char *text;
    } cures[] = {
        {0x10de, "install NVIDIA's driver 525 or newer (nvidia-driver)"},
        {0x1002, "install Mesa 22.3 or newer (mesa-vulkan-drivers)"},
        {0x8086, "install Mesa 22.3 or newer (mesa-vulkan-drivers)"},
        {0x10005, "install Mesa 22.3 or newer (mesa-vulkan-drivers)"}, /* Mesa's own devices */
    };
    for (size_t i = 0; i < PIO_COUNT(cures); i++)
        if (cures[i].vendor == p->base.properties.vendorID) return cures[i].text;
    return "install the newest driver of its vendor";
}

static void say_why_not(const vulkan_instance *instance, const properties *p, vulkan_physical *out) {
    const uint32_t version = p->base.properties.apiVersion;
    const VkSubgroupFeatureFlags wanted =
        VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    features f;
    if (version < VK_API_VERSION_1_2) {
        snprintf(out->why_not, sizeof out->why_not, "its driver has Vulkan %u.%u and 1.2 is needed: %s",
                 VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version), cure_of(p));
        return;
    }
    chain(out, &f);
    instance->GetPhysicalDeviceFeatures2(out->handle, &f.base);
    fill_features(instance, &f, out);
    for (size_t i = 0; i < PIO_COUNT(required); i++) {
        if (*feature_at(&f, required[i].at)) continue;
        snprintf(out->why_not, sizeof out->why_not, "it lacks %s, which every kernel needs: %s, or choose another",
                 required[i].name, cure_of(p));
        return;
    }
    if (!(p->v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) ||
        (p->v11.subgroupSupportedOperations & wanted) != wanted || p->v11.subgroupSize < 4)
        snprintf(
            out->why_not, sizeof out->why_not,
            "it lacks sums or exchanges over subgroups of 4 threads or more, which every kernel needs: %s, or choose "
            "another",
            cure_of(p));
}

/* Multiprocessors, where a vendor's extension tells; else a guess, which sizes probes and splits only. */
static int count_processors(const vulkan_instance *instance, const properties *p, VkPhysicalDevice device) {
    enum { GUESS = 32 };
    VkPhysicalDeviceShaderSMBuiltinsPropertiesNV nv = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_SM_BUILTINS_PROPERTIES_NV};
    VkPhysicalDeviceShaderCorePropertiesAMD amd = {.sType =
                                                       VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_CORE_PROPERTIES_AMD};
    VkPhysicalDeviceProperties2 asked = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    if (p->base.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU) return pio_threads_default();
    if (has_extension(instance, device, VK_NV_SHADER_SM_BUILTINS_EXTENSION_NAME)) {
        asked.pNext = &nv;
        instance->GetPhysicalDeviceProperties2(device, &asked);
        return PIO_MAX(1, (int)nv.shaderSMCount);
    }
    if (!has_extension(instance, device, VK_AMD_SHADER_CORE_PROPERTIES_EXTENSION_NAME)) return GUESS;
    asked.pNext = &amd;
    instance->GetPhysicalDeviceProperties2(device, &asked);
    return PIO_MAX(1, (int)(amd.shaderEngineCount * amd.shaderArraysPerEngineCount * amd.computeUnitsPerShaderArray));
}

/* Where the card sits, so that it is known again through another driver; 0 where the driver does not say. */
static uint64_t find_card(const vulkan_instance *instance, VkPhysicalDevice device) {
    VkPhysicalDevicePCIBusInfoPropertiesEXT pci = {.sType =
                                                       VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT};
    VkPhysicalDeviceProperties2 asked = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &pci};
    if (!has_extension(instance, device, VK_EXT_PCI_BUS_INFO_EXTENSION_NAME)) return 0;
    instance->GetPhysicalDeviceProperties2(device, &asked);
    return 1 + ((uint64_t)pci.pciDomain << 16 | pci.pciBus << 8 | pci.pciDevice << 3 | pci.pciFunction);
}

static void fill_heaps(const VkPhysicalDeviceMemoryProperties *memory, pio_device_caps *caps) {
    caps->n_heaps = (int)memory->memoryHeapCount;
    for (int i = 0; i < caps->n_heaps; i++)
        caps->heaps[i] = (pio_heap){memory->memoryHeaps[i].size,
                                    (memory->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0};
}

static void fill_caps(const vulkan_instance *instance, const properties *p, vulkan_physical *out) {
    static const pio_device_kind kinds[] = {
        [VK_PHYSICAL_DEVICE_TYPE_OTHER] = PIO_KIND_OTHER,
        [VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU] = PIO_KIND_INTEGRATED,
        [VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU] = PIO_KIND_DISCRETE,
        [VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU] = PIO_KIND_VIRTUAL,
        [VK_PHYSICAL_DEVICE_TYPE_CPU] = PIO_KIND_SOFTWARE,
    };
    const VkPhysicalDeviceProperties *base = &p->base.properties;
    pio_device_caps *caps = &out->caps;
    *caps = (pio_device_caps){.backend = PIO_BACKEND_VULKAN, .computes = true, .asynchronous = true};
    caps->kind = (size_t)base->deviceType < PIO_COUNT(kinds) ? kinds[base->deviceType] : PIO_KIND_OTHER;
    caps->host_visible = caps->kind == PIO_KIND_SOFTWARE || caps->kind == PIO_KIND_INTEGRATED;
    if (caps->kind == PIO_KIND_SOFTWARE) caps->features |= PIO_VULKAN_SOFTWARE;
    caps->n_workers = count_processors(instance, p, out->handle);
    caps->subgroup_size = (int)p->v11.subgroupSize;
    caps->max_buffer_bytes = p->v11.maxMemoryAllocationSize;
    caps->buffer_alignment = VULKAN_ALIGNMENT;
    snprintf(caps->name, sizeof caps->name, "%.127s", base->deviceName);
    snprintf(caps->driver, sizeof caps->driver, "%.80s%s%.80s", p->v12.driverName, p->v12.driverInfo[0] ? " " : "",
             p->v12.driverInfo);
    snprintf(caps->detail, sizeof caps->detail, "%s, %.121s, Vulkan %u.%u, subgroups of %d",
             pio_device_kind_name(caps->kind), caps->driver, VK_API_VERSION_MAJOR(base->apiVersion),
             VK_API_VERSION_MINOR(base->apiVersion), caps->subgroup_size);
    caps->card = find_card(instance, out->handle);
    fill_heaps(&out->memory, caps);
}

/* Vendor, device, driver version and the UUID that the driver gives its compiler: "10de-2330-..." */
static void write_driver_key(const VkPhysicalDeviceProperties *p, char key[80]) {
    int n = snprintf(key, 80, "%04x-%04x-%08x-", p->vendorID, p->deviceID, p->driverVersion);
    for (size_t i = 0; i < VK_UUID_SIZE; i++) n += snprintf(key + n, 80 - (size_t)n, "%02x", p->pipelineCacheUUID[i]);
}

/* Whether the device's memory is the host's, cached. Memory that is mapped through a bus is not: it is written slowly
 * and read in ages, so that copies are better. */
static bool shares_memory(const VkPhysicalDeviceMemoryProperties *memory) {
    const VkMemoryPropertyFlags wanted =
        VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT | VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++)
        if ((memory->memoryTypes[i].propertyFlags & wanted) == wanted) return true;
    return false;
}

void vulkan_describe(const vulkan_instance *instance, VkPhysicalDevice device, vulkan_physical *out) {
    properties p;
    VkPhysicalDeviceMemoryProperties2 memory = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2};
    memset(out, 0, sizeof *out);
    out->handle = device;
    get_properties(instance, device, &p);
    instance->GetPhysicalDeviceMemoryProperties2(device, &memory);
    out->memory = memory.memoryProperties;
    fill_caps(instance, &p, out);
    out->caps.host_visible &= shares_memory(&out->memory);
    out->timestamp_ns = p.base.properties.limits.timestampPeriod;
    out->shared_bytes = p.base.properties.limits.maxComputeSharedMemorySize;
    out->group_threads = p.base.properties.limits.maxComputeWorkGroupInvocations;
    out->coherent_bytes = p.base.properties.limits.nonCoherentAtomSize;
    write_driver_key(&p.base.properties, out->driver_key);
    memcpy(out->max_groups, p.base.properties.limits.maxComputeWorkGroupCount, sizeof out->max_groups);
    out->has_memory_budget = has_extension(instance, device, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    out->has_dot_products = has_extension(instance, device, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    out->has_size_control = has_extension(instance, device, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    out->has_matrices = has_extension(instance, device, VULKAN_MATRIX_EXTENSION);
    say_why_not(instance, &p, out);
    if (!out->why_not[0] && !find_family(instance, out))
        snprintf(out->why_not, sizeof out->why_not, "it has no queue that computes: choose another device");
}

VkResult vulkan_create_logical(const vulkan_instance *instance, const vulkan_physical *physical, VkDevice *out) {
    const float priorities[2] = {1, 1};
    const char *extensions[4];
    uint32_t n = 0;
    features f;
    chain(physical, &f);
    for (size_t i = 0; i < PIO_COUNT(required); i++) *feature_at(&f, required[i].at) = VK_TRUE;
    for (size_t i = 0; i < PIO_COUNT(optional); i++)
        *feature_at(&f, optional[i].at) |= (physical->caps.features & optional[i].bit) != 0;
    if (physical->has_memory_budget) extensions[n++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
    if (physical->has_dot_products) extensions[n++] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
    if (physical->has_size_control) extensions[n++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
    if (physical->has_matrices) extensions[n++] = VULKAN_MATRIX_EXTENSION;
    const VkDeviceQueueCreateInfo queues = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                            .queueFamilyIndex = physical->family,
                                            .queueCount = physical->n_queues,
                                            .pQueuePriorities = priorities};
    const VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                     .pNext = &f.base,
                                     .queueCreateInfoCount = 1,
                                     .pQueueCreateInfos = &queues,
                                     .enabledExtensionCount = n,
                                     .ppEnabledExtensionNames = extensions};
    return instance->CreateDevice(physical->handle, &info, NULL, out);
}
