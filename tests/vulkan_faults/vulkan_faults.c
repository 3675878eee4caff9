/* See vulkan_faults.h. Every function that the driver calls stands in one of three tables: those that make an object,
 * those that destroy one, and those that are changed in another way. All others are the real ones. */
#include "tests/vulkan_faults/vulkan_faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#define EXPORT      __attribute__((visibility("default")))
#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

enum { MOST_DEVICES = 8, MOST_PIPELINES = 4096, NAME_BYTES = 64 };

/* ---- orders ---- */

static struct {
    long at[VULKAN_FAULTS_KINDS]; /* -1: none fails */
    VkResult result;
    VkPhysicalDeviceType kinds[MOST_DEVICES];
    int n_devices; /* -1: as they are */
    long card;     /* -1: as it is */
    uint32_t version;
    uint64_t heap;
    char no_feature[NAME_BYTES], no_extension[NAME_BYTES], no_function[NAME_BYTES];
    bool no_compute, no_subgroups, old_loader, no_instance, no_nodes;
    long drop, step, hang;
} orders;

static atomic_long counts[VULKAN_FAULTS_KINDS], live, n_pipelines, n_steps;
static atomic_bool lost;
static VkPipeline _Atomic dropped;

static void read_devices(const char *text) {
    static const struct {
        const char *name;
        VkPhysicalDeviceType type;
    } names[] = {{"discrete", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU},
                 {"integrated", VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU},
                 {"virtual", VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU},
                 {"other", VK_PHYSICAL_DEVICE_TYPE_OTHER},
                 {"software", VK_PHYSICAL_DEVICE_TYPE_CPU}};
    orders.n_devices = 0;
    while (*text && orders.n_devices < MOST_DEVICES) {
        const size_t n = strcspn(text, ",");
        for (size_t i = 0; i < COUNT(names); i++)
            if (strlen(names[i].name) == n && !strncmp(names[i].name, text, n))
                orders.kinds[orders.n_devices++] = names[i].type;
        text += n + (text[n] == ',');
    }
}

static void obey(const char *name, const char *value) {
    static const struct {
        const char *name;
        size_t at;
    } texts[] = {{"no_feature", offsetof(__typeof__(orders), no_feature)},
                 {"no_extension", offsetof(__typeof__(orders), no_extension)},
                 {"no_function", offsetof(__typeof__(orders), no_function)}},
      switches[] = {{"no_compute", offsetof(__typeof__(orders), no_compute)},
                    {"no_subgroups", offsetof(__typeof__(orders), no_subgroups)},
                    {"old_loader", offsetof(__typeof__(orders), old_loader)},
                    {"no_instance", offsetof(__typeof__(orders), no_instance)},
                    {"no_nodes", offsetof(__typeof__(orders), no_nodes)}},
      numbers[] = {{"make", offsetof(__typeof__(orders), at[VULKAN_FAULTS_MAKE])},
                   {"submit", offsetof(__typeof__(orders), at[VULKAN_FAULTS_SUBMIT])},
                   {"wait", offsetof(__typeof__(orders), at[VULKAN_FAULTS_WAIT])},
                   {"card", offsetof(__typeof__(orders), card)},
                   {"hang", offsetof(__typeof__(orders), hang)},
                   {"drop", offsetof(__typeof__(orders), drop)},
                   {"step", offsetof(__typeof__(orders), step)}};
    char *all = (char *)&orders;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (!strcmp(name, texts[i].name)) snprintf(all + texts[i].at, NAME_BYTES, "%s", value);
    for (size_t i = 0; i < COUNT(switches); i++)
        if (!strcmp(name, switches[i].name)) *(bool *)(all + switches[i].at) = true;
    for (size_t i = 0; i < COUNT(numbers); i++)
        if (!strcmp(name, numbers[i].name)) *(long *)(void *)(all + numbers[i].at) = atol(value);
    if (!strcmp(name, "result")) orders.result = (VkResult)atoi(value);
    if (!strcmp(name, "heap")) orders.heap = strtoull(value, NULL, 10);
    if (!strcmp(name, "version")) orders.version = VK_MAKE_API_VERSION(0, atoi(value), atoi(strchr(value, '.') + 1), 0);
    if (!strcmp(name, "devices")) read_devices(value);
}

EXPORT void vulkan_faults_order(const char *text) {
    memset(&orders, 0, sizeof orders);
    for (int i = 0; i < VULKAN_FAULTS_KINDS; i++) orders.at[i] = -1;
    orders.result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
    orders.n_devices = -1;
    orders.card = orders.drop = orders.step = orders.hang = -1;
    for (int i = 0; i < VULKAN_FAULTS_KINDS; i++) atomic_store(&counts[i], 0);
    atomic_store(&n_pipelines, 0);
    atomic_store(&n_steps, 0);
    atomic_store(&lost, false);
    atomic_store(&dropped, VK_NULL_HANDLE);
    while (*text) {
        char word[128];
        const size_t n = strcspn(text, " ");
        snprintf(word, sizeof word, "%.*s", (int)n, text);
        char *value = strchr(word, '=');
        if (value) *value++ = 0;
        obey(word, value ? value : "");
        text += n + (text[n] == ' ');
    }
}

/* Whoever has this library before the C library sees the devices that are pretended. */
EXPORT int access(const char *path, int mode) {
    static int (*real)(const char *, int);
    if (!real) real = (__typeof__(real))dlsym(RTLD_NEXT, "access");
    if (strncmp(path, "/dev/", 5) || (orders.n_devices < 0 && !orders.no_nodes)) return real(path, mode);
    errno = ENOENT;
    return orders.no_nodes ? -1 : 0;
}

EXPORT long vulkan_faults_count(vulkan_faults_kind kind) {
    return atomic_load(&counts[kind]);
}
EXPORT long vulkan_faults_live(void) {
    return atomic_load(&live);
}
EXPORT long vulkan_faults_pipelines(void) {
    return atomic_load(&n_pipelines);
}

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("VULKAN_FAULTS");
    vulkan_faults_order(text ? text : "");
}

/* Counts a call; VK_SUCCESS: it may go on. */
static VkResult meet(vulkan_faults_kind kind) {
    const long n = atomic_fetch_add(&counts[kind], 1);
    const bool now = orders.at[kind] >= 0 && n == orders.at[kind];
    if (now && (kind != VULKAN_FAULTS_MAKE || orders.result == VK_ERROR_DEVICE_LOST)) atomic_store(&lost, true);
    if (kind == VULKAN_FAULTS_MAKE) return now ? orders.result : VK_SUCCESS;
    return atomic_load(&lost) ? VK_ERROR_DEVICE_LOST : VK_SUCCESS;
}

/* Waits from now on last for ever; the longest that may be waited is over at once. */
static bool hangs(void) {
    return orders.hang >= 0 && atomic_load(&counts[VULKAN_FAULTS_WAIT]) > orders.hang;
}

/* ---- the real library ---- */

static PFN_vkGetInstanceProcAddr real_instance;
static PFN_vkGetDeviceProcAddr real_device;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void open_real(void) {
    void *library = dlopen(PIO_REAL_VULKAN, RTLD_NOW | RTLD_LOCAL);
    if (library) real_instance = (PFN_vkGetInstanceProcAddr)dlsym(library, "vkGetInstanceProcAddr");
}

/* The functions that are wrapped, as the real library has them. */
#define MAKERS(X)                                                                                                      \
    X(AllocateMemory,                                                                                                  \
      (VkDevice device, const VkMemoryAllocateInfo *a, const VkAllocationCallbacks *b, VkDeviceMemory *c),             \
      (device, a, b, c), 1)                                                                                            \
    X(CreateBuffer, (VkDevice device, const VkBufferCreateInfo *a, const VkAllocationCallbacks *b, VkBuffer *c),       \
      (device, a, b, c), 1)                                                                                            \
    X(CreateCommandPool,                                                                                               \
      (VkDevice device, const VkCommandPoolCreateInfo *a, const VkAllocationCallbacks *b, VkCommandPool *c),           \
      (device, a, b, c), 1)                                                                                            \
    X(CreatePipelineCache,                                                                                             \
      (VkDevice device, const VkPipelineCacheCreateInfo *a, const VkAllocationCallbacks *b, VkPipelineCache *c),       \
      (device, a, b, c), 1)                                                                                            \
    X(CreatePipelineLayout,                                                                                            \
      (VkDevice device, const VkPipelineLayoutCreateInfo *a, const VkAllocationCallbacks *b, VkPipelineLayout *c),     \
      (device, a, b, c), 1)                                                                                            \
    X(CreateQueryPool,                                                                                                 \
      (VkDevice device, const VkQueryPoolCreateInfo *a, const VkAllocationCallbacks *b, VkQueryPool *c),               \
      (device, a, b, c), 1)                                                                                            \
    X(CreateSemaphore,                                                                                                 \
      (VkDevice device, const VkSemaphoreCreateInfo *a, const VkAllocationCallbacks *b, VkSemaphore *c),               \
      (device, a, b, c), 1)                                                                                            \
    X(CreateShaderModule,                                                                                              \
      (VkDevice device, const VkShaderModuleCreateInfo *a, const VkAllocationCallbacks *b, VkShaderModule *c),         \
      (device, a, b, c), 1)                                                                                            \
    X(AllocateCommandBuffers, (VkDevice device, const VkCommandBufferAllocateInfo *a, VkCommandBuffer *b),             \
      (device, a, b), 0)                                                                                               \
    X(BeginCommandBuffer, (VkCommandBuffer buffer, const VkCommandBufferBeginInfo *a), (buffer, a), 0)                 \
    X(BindBufferMemory, (VkDevice device, VkBuffer a, VkDeviceMemory b, VkDeviceSize c), (device, a, b, c), 0)         \
    X(EndCommandBuffer, (VkCommandBuffer buffer), (buffer), 0)                                                         \
    X(MapMemory, (VkDevice device, VkDeviceMemory a, VkDeviceSize b, VkDeviceSize c, VkMemoryMapFlags d, void **e),    \
      (device, a, b, c, d, e), 0)

#define DESTROYERS(X)                                                                                                  \
    X(FreeMemory, VkDeviceMemory)                                                                                      \
    X(DestroyBuffer, VkBuffer)                                                                                         \
    X(DestroyCommandPool, VkCommandPool)                                                                               \
    X(DestroyPipeline, VkPipeline)                                                                                     \
    X(DestroyPipelineCache, VkPipelineCache)                                                                           \
    X(DestroyPipelineLayout, VkPipelineLayout)                                                                         \
    X(DestroyQueryPool, VkQueryPool)                                                                                   \
    X(DestroySemaphore, VkSemaphore)                                                                                   \
    X(DestroyShaderModule, VkShaderModule)

#define CHANGED(X)                                                                                                     \
    X(CmdBindPipeline)                                                                                                 \
    X(CmdDispatch)                                                                                                     \
    X(CreateComputePipelines)                                                                                          \
    X(DestroyDevice)                                                                                                   \
    X(DeviceWaitIdle)                                                                                                  \
    X(GetSemaphoreCounterValue)                                                                                        \
    X(QueueSubmit)                                                                                                     \
    X(WaitSemaphores)

#ifdef VK_KHR_cooperative_matrix
#define MORE_INSTANCE(X) X(GetPhysicalDeviceCooperativeMatrixPropertiesKHR)
#else
#define MORE_INSTANCE(X)
#endif

#define INSTANCE(X)                                                                                                    \
    X(CreateDevice)                                                                                                    \
    X(EnumerateDeviceExtensionProperties)                                                                              \
    X(EnumeratePhysicalDevices)                                                                                        \
    X(GetPhysicalDeviceFeatures2)                                                                                      \
    X(GetPhysicalDeviceMemoryProperties2)                                                                              \
    X(GetPhysicalDeviceProperties2)                                                                                    \
    X(GetPhysicalDeviceQueueFamilyProperties)                                                                          \
    X(GetPhysicalDeviceCooperativeMatrixPropertiesNV)                                                                  \
    MORE_INSTANCE(X)

#define FIELD(name, ...) PFN_vk##name name;
static struct { MAKERS(FIELD) DESTROYERS(FIELD) CHANGED(FIELD) INSTANCE(FIELD) } real;
#undef FIELD

#define MAKE(name, parameters, arguments, n)                                                                           \
    static VKAPI_ATTR VkResult VKAPI_CALL my_##name parameters {                                                       \
        VkResult result = meet(VULKAN_FAULTS_MAKE);                                                                    \
        if (!result) result = real.name arguments;                                                                     \
        if (!result) atomic_fetch_add(&live, n);                                                                       \
        return result;                                                                                                 \
    }
MAKERS(MAKE)
#undef MAKE

#define DESTROY(name, type)                                                                                            \
    static VKAPI_ATTR void VKAPI_CALL my_##name(VkDevice device, type object,                                          \
                                                const VkAllocationCallbacks *callbacks) {                              \
        if (object) atomic_fetch_sub(&live, 1);                                                                        \
        if (atomic_load(&lost)) real.DeviceWaitIdle(device); /* nothing runs on a device that is lost */               \
        real.name(device, object, callbacks);                                                                          \
    }
DESTROYERS(DESTROY)
#undef DESTROY

/* ---- the work of a device ---- */

static VKAPI_ATTR VkResult VKAPI_CALL my_CreateComputePipelines(VkDevice device, VkPipelineCache cache, uint32_t n,
                                                                const VkComputePipelineCreateInfo *infos,
                                                                const VkAllocationCallbacks *callbacks,
                                                                VkPipeline *pipelines) {
    VkResult result = meet(VULKAN_FAULTS_MAKE);
    for (uint32_t i = 0; i < n; i++) pipelines[i] = VK_NULL_HANDLE;
    if (result) return result;
    result = real.CreateComputePipelines(device, cache, n, infos, callbacks, pipelines);
    for (uint32_t i = 0; i < n && !result; i++) {
        atomic_fetch_add(&live, 1);
        if (atomic_fetch_add(&n_pipelines, 1) == orders.drop) atomic_store(&dropped, pipelines[i]);
    }
    return result;
}

static _Thread_local VkPipeline bound; /* lists are recorded one at a time */

static VKAPI_ATTR void VKAPI_CALL my_CmdBindPipeline(VkCommandBuffer buffer, VkPipelineBindPoint point,
                                                     VkPipeline pipeline) {
    bound = pipeline;
    real.CmdBindPipeline(buffer, point, pipeline);
}

static VKAPI_ATTR void VKAPI_CALL my_CmdDispatch(VkCommandBuffer buffer, uint32_t x, uint32_t y, uint32_t z) {
    if (!bound || bound != atomic_load(&dropped)) real.CmdDispatch(buffer, x, y, z);
}

static VKAPI_ATTR VkResult VKAPI_CALL my_QueueSubmit(VkQueue queue, uint32_t n, const VkSubmitInfo *infos,
                                                     VkFence fence) {
    enum { OF_TWO_LISTS = 4 }; /* the driver has one before them and one behind */
    if (n && infos->commandBufferCount >= OF_TWO_LISTS && atomic_fetch_add(&n_steps, 1) == orders.step)
        atomic_store(&lost, true);
    const VkResult result = meet(VULKAN_FAULTS_SUBMIT);
    return result ? result : real.QueueSubmit(queue, n, infos, fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL my_WaitSemaphores(VkDevice device, const VkSemaphoreWaitInfo *info,
                                                        uint64_t timeout) {
    const VkResult result = meet(VULKAN_FAULTS_WAIT);
    if (hangs()) return timeout == UINT64_MAX ? VK_ERROR_UNKNOWN : VK_TIMEOUT;
    return result ? result : real.WaitSemaphores(device, info, timeout);
}

static VKAPI_ATTR VkResult VKAPI_CALL my_GetSemaphoreCounterValue(VkDevice device, VkSemaphore semaphore,
                                                                  uint64_t *value) {
    const VkResult result = real.GetSemaphoreCounterValue(device, semaphore, value);
    if (hangs()) *value = 0;
    return result;
}

/* What was submitted before the loss is truly done when this returns, so that memory may go. */
static VKAPI_ATTR VkResult VKAPI_CALL my_DeviceWaitIdle(VkDevice device) {
    const VkResult result = real.DeviceWaitIdle(device);
    return atomic_load(&lost) ? VK_ERROR_DEVICE_LOST : result;
}

static VKAPI_ATTR void VKAPI_CALL my_DestroyDevice(VkDevice device, const VkAllocationCallbacks *callbacks) {
    if (device) atomic_fetch_sub(&live, 1);
    real.DestroyDevice(device, callbacks);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL my_GetDeviceProcAddr(VkDevice device, const char *name) {
    if (!strcmp(name, orders.no_function)) return NULL;
#define WRAP(function, ...)                                                                                            \
    if (!strcmp(name, "vk" #function)) {                                                                               \
        real.function = (PFN_vk##function)real_device(device, name);                                                   \
        return (PFN_vkVoidFunction)my_##function;                                                                      \
    }
    MAKERS(WRAP)
    DESTROYERS(WRAP)
    CHANGED(WRAP)
#undef WRAP
    return real_device(device, name);
}

/* ---- devices ---- each is the real one under a number of its own */

typedef struct fake {
    VkPhysicalDevice of;
    int number;
} fake;

static fake fakes[MOST_DEVICES];

static const fake *fake_of(VkPhysicalDevice device) {
    return (const fake *)(void *)device;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_EnumeratePhysicalDevices(VkInstance instance, uint32_t *n,
                                                                  VkPhysicalDevice *devices) {
    VkPhysicalDevice found[MOST_DEVICES];
    uint32_t n_found = MOST_DEVICES;
    VkResult result = real.EnumeratePhysicalDevices(instance, &n_found, found);
    if (result < 0) return result;
    const uint32_t all = orders.n_devices < 0 ? n_found : n_found ? (uint32_t)orders.n_devices : 0;
    const uint32_t given = devices ? (*n < all ? *n : all) : all;
    for (uint32_t i = 0; i < given; i++) {
        fakes[i] = (fake){found[orders.n_devices < 0 ? i : 0], (int)i};
        if (devices) devices[i] = (VkPhysicalDevice)(void *)&fakes[i];
    }
    *n = given;
    return VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_EnumerateDeviceExtensionProperties(VkPhysicalDevice device, const char *layer,
                                                                            uint32_t *n,
                                                                            VkExtensionProperties *properties) {
    const uint32_t room = *n;
    VkResult result = real.EnumerateDeviceExtensionProperties(fake_of(device)->of, layer, n, properties);
    if (result || !properties) return result;
    for (uint32_t i = 0; i < *n; i++)
        if (!strcmp(properties[i].extensionName, orders.no_extension)) properties[i] = properties[--*n];
    if (orders.card >= 0 && *n < room) strcpy(properties[(*n)++].extensionName, VK_EXT_PCI_BUS_INFO_EXTENSION_NAME);
    return result;
}

/* The structure of that type behind the first. */
static void *find(void *first, VkStructureType type) {
    VkBaseOutStructure *at = first;
    while (at && at->sType != type) at = at->pNext;
    return at;
}

static VKAPI_ATTR void VKAPI_CALL my_GetPhysicalDeviceProperties2(VkPhysicalDevice device,
                                                                  VkPhysicalDeviceProperties2 *p) {
    real.GetPhysicalDeviceProperties2(fake_of(device)->of, p);
    VkPhysicalDeviceVulkan11Properties *v11 = find(p, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES);
    VkPhysicalDevicePCIBusInfoPropertiesEXT *pci =
        find(p, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT);
    if (orders.n_devices >= 0) p->properties.deviceType = orders.kinds[fake_of(device)->number];
    if (orders.version) p->properties.apiVersion = orders.version;
    if (v11 && orders.no_subgroups) v11->subgroupSupportedOperations = VK_SUBGROUP_FEATURE_BASIC_BIT;
    if (pci && orders.card >= 0) {
        pci->pciDomain = pci->pciDevice = pci->pciFunction = 0;
        pci->pciBus = (uint32_t)orders.card;
    }
}

static VKAPI_ATTR void VKAPI_CALL my_GetPhysicalDeviceFeatures2(VkPhysicalDevice device,
                                                                VkPhysicalDeviceFeatures2 *features) {
    static const struct {
        const char *name;
        VkStructureType type;
        size_t at;
    } names[] = {
#define F10(name)                                                                                                      \
    {#name, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, offsetof(VkPhysicalDeviceFeatures2, features.name)}
#define F11(name)                                                                                                      \
    { #name, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, offsetof(VkPhysicalDeviceVulkan11Features, name) }
#define F12(name)                                                                                                      \
    { #name, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, offsetof(VkPhysicalDeviceVulkan12Features, name) }
        F10(shaderInt64), F10(shaderInt16),       F11(storageBuffer16BitAccess), F12(storageBuffer8BitAccess),
        F12(shaderInt8),  F12(scalarBlockLayout), F12(bufferDeviceAddress),      F12(timelineSemaphore),
    };
    real.GetPhysicalDeviceFeatures2(fake_of(device)->of, features);
    for (size_t i = 0; i < COUNT(names); i++) {
        char *in = strcmp(names[i].name, orders.no_feature) ? NULL : find(features, names[i].type);
        if (in) *(VkBool32 *)(void *)(in + names[i].at) = VK_FALSE;
    }
}

static VKAPI_ATTR void VKAPI_CALL my_GetPhysicalDeviceMemoryProperties2(VkPhysicalDevice device,
                                                                        VkPhysicalDeviceMemoryProperties2 *memory) {
    real.GetPhysicalDeviceMemoryProperties2(fake_of(device)->of, memory);
    VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget =
        find(memory, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
    for (uint32_t i = 0; i < memory->memoryProperties.memoryHeapCount && orders.heap; i++) {
        VkDeviceSize *bytes = &memory->memoryProperties.memoryHeaps[i].size;
        if (*bytes > orders.heap) *bytes = orders.heap;
        if (budget && budget->heapBudget[i] > orders.heap) budget->heapBudget[i] = orders.heap;
        if (budget) budget->heapUsage[i] = 0;
    }
}

static VKAPI_ATTR void VKAPI_CALL my_GetPhysicalDeviceQueueFamilyProperties(VkPhysicalDevice device, uint32_t *n,
                                                                            VkQueueFamilyProperties *families) {
    real.GetPhysicalDeviceQueueFamilyProperties(fake_of(device)->of, n, families);
    for (uint32_t i = 0; families && i < *n && orders.no_compute; i++)
        families[i].queueFlags &= ~(VkQueueFlags)VK_QUEUE_COMPUTE_BIT;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_GetPhysicalDeviceCooperativeMatrixPropertiesNV(
    VkPhysicalDevice device, uint32_t *n, VkCooperativeMatrixPropertiesNV *properties) {
    return real.GetPhysicalDeviceCooperativeMatrixPropertiesNV(fake_of(device)->of, n, properties);
}

#ifdef VK_KHR_cooperative_matrix
static VKAPI_ATTR VkResult VKAPI_CALL my_GetPhysicalDeviceCooperativeMatrixPropertiesKHR(
    VkPhysicalDevice device, uint32_t *n, VkCooperativeMatrixPropertiesKHR *properties) {
    return real.GetPhysicalDeviceCooperativeMatrixPropertiesKHR(fake_of(device)->of, n, properties);
}
#endif

static VKAPI_ATTR VkResult VKAPI_CALL my_CreateDevice(VkPhysicalDevice device, const VkDeviceCreateInfo *info,
                                                      const VkAllocationCallbacks *callbacks, VkDevice *out) {
    VkResult result = meet(VULKAN_FAULTS_MAKE);
    if (!result) result = real.CreateDevice(fake_of(device)->of, info, callbacks, out);
    if (!result) atomic_fetch_add(&live, 1);
    return result;
}

/* ---- the library ---- */

static VKAPI_ATTR VkResult VKAPI_CALL my_EnumerateInstanceVersion(uint32_t *version) {
    *version = VK_API_VERSION_1_1;
    return VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL my_CreateInstance(const VkInstanceCreateInfo *info,
                                                        const VkAllocationCallbacks *callbacks, VkInstance *out) {
    (void)info, (void)callbacks, (void)out;
    return VK_ERROR_INCOMPATIBLE_DRIVER;
}

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *name);

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL vkGetInstanceProcAddr(VkInstance instance, const char *name) {
    pthread_once(&once, open_real);
    if (!real_instance) return NULL;
    if (orders.old_loader && !strcmp(name, "vkEnumerateInstanceVersion"))
        return (PFN_vkVoidFunction)my_EnumerateInstanceVersion;
    if (orders.no_instance && !strcmp(name, "vkCreateInstance")) return (PFN_vkVoidFunction)my_CreateInstance;
    if (!strcmp(name, "vkGetDeviceProcAddr")) {
        real_device = (PFN_vkGetDeviceProcAddr)real_instance(instance, name);
        return (PFN_vkVoidFunction)my_GetDeviceProcAddr;
    }
#define WRAP(function)                                                                                                 \
    if (!strcmp(name, "vk" #function)) {                                                                               \
        real.function = (PFN_vk##function)real_instance(instance, name);                                               \
        return (PFN_vkVoidFunction)my_##function;                                                                      \
    }
    INSTANCE(WRAP)
#undef WRAP
    return real_instance(instance, name);
}
