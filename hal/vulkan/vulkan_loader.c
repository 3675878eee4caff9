/* libvulkan.so.1 and an instance of it, which is never destroyed: drivers start threads and register handlers that do
 * not all survive being unloaded, a program opens and closes many models, and the system frees it all at exit. A child
 * after fork() has no driver that works: devices are opened behind a fork, not before it. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "hal/vulkan/vulkan.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static vulkan_instance instance; /* handle NULL: not opened */
static pio_device_messages messages;

const pio_device_messages *vulkan_get_messages(void) {
    return &messages;
}

static VKAPI_ATTR VkBool32 VKAPI_CALL note(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                           VkDebugUtilsMessageTypeFlagsEXT types,
                                           const VkDebugUtilsMessengerCallbackDataEXT *data, void *user) {
    (void)severity, (void)user;
    if (!(types & VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT)) return VK_FALSE;
    messages.n++;
    snprintf(messages.last, sizeof messages.last, "%s", data->pMessage);
    return VK_FALSE;
}

static const VkDebugUtilsMessengerCreateInfoEXT messenger = {
    .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
    .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
    .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT,
    .pfnUserCallback = note};

static bool has_debug_utils(PFN_vkGetInstanceProcAddr get) {
    VkExtensionProperties found[64];
    uint32_t n = 64;
    PFN_vkEnumerateInstanceExtensionProperties enumerate =
        (PFN_vkEnumerateInstanceExtensionProperties)get(NULL, "vkEnumerateInstanceExtensionProperties");
    if (!enumerate || enumerate(NULL, &n, found) < 0) return false;
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(found[i].extensionName, VK_EXT_DEBUG_UTILS_EXTENSION_NAME)) return true;
    return false;
}

static bool too_old(PFN_vkGetInstanceProcAddr get, uint32_t *version) {
    PFN_vkEnumerateInstanceVersion ask = (PFN_vkEnumerateInstanceVersion)get(NULL, "vkEnumerateInstanceVersion");
    *version = VK_API_VERSION_1_0;
    return !ask || ask(version) != VK_SUCCESS || *version < VK_API_VERSION_1_2;
}

static void open_instance(PFN_vkGetInstanceProcAddr get, char *why, size_t why_bytes) {
    const bool debug = has_debug_utils(get);
    const char *extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    const VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                           .pApplicationName = "inference-pio",
                                           .apiVersion = VK_API_VERSION_1_3};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &application,
                                       .enabledExtensionCount = debug,
                                       .ppEnabledExtensionNames = &extension};
    PFN_vkCreateInstance create = (PFN_vkCreateInstance)get(NULL, "vkCreateInstance");
    VkInstance handle;
    uint32_t version;
    if (too_old(get, &version)) {
        snprintf(why, why_bytes, "the Vulkan loader has version %u.%u and 1.2 is needed: install a newer libvulkan1",
                 VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version));
        return;
    }
    VkResult result = create ? create(&info, NULL, &handle) : VK_ERROR_INITIALIZATION_FAILED;
    if (result != VK_SUCCESS) {
        snprintf(why, why_bytes,
                 "the Vulkan loader found no driver (%s): install the graphics card's, or mesa-vulkan-drivers",
                 vulkan_result_name(result));
        return;
    }
#define LOAD_NAMED(name) instance.name = (PFN_vk##name)get(handle, "vk" #name);
#define LOAD(name)       LOAD_NAMED(name)
    VULKAN_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
#undef LOAD_NAMED
    VkDebugUtilsMessengerEXT kept;
    if (debug && instance.CreateDebugUtilsMessengerEXT)
        instance.CreateDebugUtilsMessengerEXT(handle, &messenger, NULL, &kept);
    instance.handle = handle;
}

bool vulkan_expects_hardware(char *why_none, size_t why_bytes) {
    enum { FIRST_RENDER = 128, N_RENDER = 64 }; /* minor numbers of render nodes */
    static const char *const nodes[] = {"/dev/nvidiactl", "/dev/nvhost-ctrl", "/dev/nvmap",   "/dev/dxg",
                                        "/dev/kgsl-3d0",  "/dev/mali0",       "/dev/pvrsrvkm"};
    char path[32];
    for (size_t i = 0; i < PIO_COUNT(nodes); i++)
        if (!access(nodes[i], F_OK)) return true;
    for (int i = 0; i < N_RENDER; i++) {
        snprintf(path, sizeof path, "/dev/dri/renderD%d", FIRST_RENDER + i);
        if (!access(path, F_OK)) return true;
    }
    snprintf(
        why_none, why_bytes,
        "the system shows no graphics device (/dev/dri/renderD*, /dev/nvidiactl, ...); PIO_BACKEND=vulkan asks the "
        "drivers all the same");
    return false;
}

const vulkan_instance *vulkan_open(char *why, size_t why_bytes) {
    pthread_mutex_lock(&lock);
    if (!instance.handle) {
        void *library = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
        PFN_vkGetInstanceProcAddr get =
            library ? (PFN_vkGetInstanceProcAddr)dlsym(library, "vkGetInstanceProcAddr") : NULL;
        if (get)
            open_instance(get, why, why_bytes);
        else
            snprintf(why, why_bytes, "libvulkan.so.1 is not there: install the package libvulkan1 (vulkan-loader)");
        if (library && !instance.handle) dlclose(library);
    }
    pthread_mutex_unlock(&lock);
    return instance.handle ? &instance : NULL;
}
