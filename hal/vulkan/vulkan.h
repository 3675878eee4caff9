/* Vulkan as a device. Kernels are SPIR-V compute shaders whose arguments are push constants and which reach memory by
 * device addresses alone, so that one pipeline layout without descriptor sets serves all of them. */
#ifndef PIO_HAL_VULKAN_VULKAN_H
#define PIO_HAL_VULKAN_VULKAN_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

#include "hal/hal.h"

/* Cooperative matrices as this build's shaders use them (kernels/dialect/matrix.glsl): Khronos's names, or NVIDIA's
 * where glslc knows no others. */
#if PIO_MATRIX_KHR
#define MATRIX(name)            name##KHR
#define VULKAN_MATRIX_EXTENSION VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME
#define VULKAN_MATRIX_RESULT    ResultType
#else
#define MATRIX(name)            name##NV
#define VULKAN_MATRIX_EXTENSION VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME
#define VULKAN_MATRIX_RESULT    DType
#endif

/* The functions that are used, of the instance and of a device. */
#define VULKAN_INSTANCE_FUNCTIONS(X)                                                                                   \
    X(CreateDevice)                                                                                                    \
    X(CreateDebugUtilsMessengerEXT)                                                                                    \
    X(EnumerateDeviceExtensionProperties)                                                                              \
    X(EnumeratePhysicalDevices)                                                                                        \
    X(GetDeviceProcAddr)                                                                                               \
    X(GetPhysicalDeviceFeatures2)                                                                                      \
    X(GetPhysicalDeviceMemoryProperties2)                                                                              \
    X(GetPhysicalDeviceProperties2)                                                                                    \
    X(GetPhysicalDeviceQueueFamilyProperties)                                                                          \
    X(MATRIX(GetPhysicalDeviceCooperativeMatrixProperties))

#define VULKAN_DEVICE_FUNCTIONS(X)                                                                                     \
    X(AllocateCommandBuffers)                                                                                          \
    X(AllocateMemory)                                                                                                  \
    X(BeginCommandBuffer)                                                                                              \
    X(BindBufferMemory)                                                                                                \
    X(CmdBindPipeline)                                                                                                 \
    X(CmdCopyBuffer)                                                                                                   \
    X(CmdDispatch)                                                                                                     \
    X(CmdFillBuffer)                                                                                                   \
    X(CmdPipelineBarrier)                                                                                              \
    X(CmdPushConstants)                                                                                                \
    X(CmdResetQueryPool)                                                                                               \
    X(CmdWriteTimestamp)                                                                                               \
    X(CreateBuffer)                                                                                                    \
    X(CreateCommandPool)                                                                                               \
    X(CreateComputePipelines)                                                                                          \
    X(CreatePipelineCache)                                                                                             \
    X(CreatePipelineLayout)                                                                                            \
    X(CreateQueryPool)                                                                                                 \
    X(CreateSemaphore)                                                                                                 \
    X(CreateShaderModule)                                                                                              \
    X(DestroyBuffer)                                                                                                   \
    X(DestroyCommandPool)                                                                                              \
    X(DestroyDevice)                                                                                                   \
    X(DestroyPipeline)                                                                                                 \
    X(DestroyPipelineCache)                                                                                            \
    X(DestroyPipelineLayout)                                                                                           \
    X(DestroyQueryPool)                                                                                                \
    X(DestroySemaphore)                                                                                                \
    X(DestroyShaderModule)                                                                                             \
    X(DeviceWaitIdle)                                                                                                  \
    X(EndCommandBuffer)                                                                                                \
    X(FlushMappedMemoryRanges)                                                                                         \
    X(FreeMemory)                                                                                                      \
    X(GetBufferDeviceAddress)                                                                                          \
    X(GetBufferMemoryRequirements)                                                                                     \
    X(GetDeviceQueue)                                                                                                  \
    X(GetPipelineCacheData)                                                                                            \
    X(GetQueryPoolResults)                                                                                             \
    X(GetSemaphoreCounterValue)                                                                                        \
    X(InvalidateMappedMemoryRanges)                                                                                    \
    X(MapMemory)                                                                                                       \
    X(QueueSubmit)                                                                                                     \
    X(WaitSemaphores)

#define FIELD_NAMED(name) PFN_vk##name name;
#define FIELD(name)       FIELD_NAMED(name)
typedef struct vulkan_instance {
    VkInstance handle;
    VULKAN_INSTANCE_FUNCTIONS(FIELD)
} vulkan_instance;
typedef struct vulkan_functions {
    VULKAN_DEVICE_FUNCTIONS(FIELD)
} vulkan_functions;
#undef FIELD
#undef FIELD_NAMED

/* ---- vulkan_loader.c ---- the library and the instance, opened once and kept as long as the program runs */

/* NULL: there is none, with the reason and the cure in `why`. */
const vulkan_instance *vulkan_open(char *why, size_t why_bytes);

/* Whether the system has a device that a driver of hardware could be for. */
bool vulkan_expects_hardware(char *why_none, size_t why_bytes);

/* What the validation layer has said, where one is on. */
const pio_device_messages *vulkan_get_messages(void);

/* ---- vulkan_physical.c ---- what a physical device is and has */

typedef struct vulkan_physical {
    VkPhysicalDevice handle;
    pio_device_caps caps;
    char why_not[256];                                                        /* "": it can be used */
    bool has_memory_budget, has_dot_products, has_size_control, has_matrices; /* extensions */
    uint32_t family;         /* of queues: the first that computes, for any list runs on any queue */
    uint32_t n_queues;       /* of it that are used: 2, transfers having their own, or 1 */
    uint32_t timestamp_bits; /* of its timestamps */
    float timestamp_ns;      /* a tick */
    uint32_t shared_bytes;   /* of a workgroup, at most */
    uint32_t group_threads;  /* the same */
    uint64_t coherent_bytes; /* nonCoherentAtomSize */
    uint32_t max_groups[3];
    char driver_key[80]; /* of the device and its driver: compiled kernels serve no other */
    VkPhysicalDeviceMemoryProperties memory;
} vulkan_physical;

/* Fills at most `max` of them; the number. */
int vulkan_list_physical(const vulkan_instance *instance, VkPhysicalDevice *devices, int max);
void vulkan_describe(const vulkan_instance *instance, VkPhysicalDevice device, vulkan_physical *out);

/* Creates the logical device, with the features that kernels need. */
VkResult vulkan_create_logical(const vulkan_instance *instance, const vulkan_physical *physical, VkDevice *out);

/* ---- vulkan_device.c ---- */

typedef struct vulkan_block vulkan_block;

typedef struct vulkan_device {
    pio_device base;
    const vulkan_instance *instance;
    vulkan_physical physical;
    VkDevice handle;
    vulkan_functions vk;
    VkPipelineLayout layout;
    VkPipelineCache cache;
    pio_device_compiled compiled;  /* the cache, for a file */
    size_t compiled_bytes;         /* of it when it was last restored or saved */
    bool has_new;                  /* pipelines were made since */
    struct vulkan_kernel **wanted; /* recorded, and without a pipeline */
    int32_t n_wanted, wanted_capacity;
    vulkan_block **blocks; /* by address */
    int32_t n_blocks, blocks_capacity;
    uint64_t used_bytes[VK_MAX_MEMORY_HEAPS];
    atomic_bool hangs; /* and is lost: nothing is destroyed that it may still use */
} vulkan_device;

/* The sentence for a failed call; a device that was lost stays lost, and so does one that hangs (VK_TIMEOUT). */
pio_status vulkan_fail(vulkan_device *device, VkResult result, const char *what, pio_error *error);
const char *vulkan_result_name(VkResult result);

/* ---- vulkan_memory.c ---- blocks of memory, each one VkBuffer, of which buffers are parts */

enum { VULKAN_ALIGNMENT = 256 };

/* A part of a block that is taken. */
typedef struct vulkan_range {
    uint64_t offset, bytes;
} vulkan_range;

struct vulkan_block {
    VkBuffer buffer;
    VkDeviceMemory memory;
    uint32_t type; /* of memory */
    uint64_t bytes;
    pio_addr address;
    char *host;           /* NULL: not mapped */
    vulkan_range *ranges; /* by offset */
    int32_t n_ranges, ranges_capacity;
};

typedef struct vulkan_buffer {
    pio_buffer base;
    vulkan_block *block;
    uint64_t offset;
} vulkan_buffer;

pio_status vulkan_memory_budget(pio_device *, pio_memory_budget *, pio_error *);
pio_status vulkan_buffer_create(pio_device *, uint64_t bytes, uint32_t usage, const char *name, pio_buffer **,
                                pio_error *);
void vulkan_buffer_destroy(pio_buffer *);
pio_status vulkan_buffer_map(pio_buffer *, void **host, pio_error *);
pio_status vulkan_buffer_flush(pio_buffer *, uint64_t offset, uint64_t bytes, pio_error *);
pio_status vulkan_buffer_invalidate(pio_buffer *, uint64_t offset, uint64_t bytes, pio_error *);
void vulkan_free_blocks(vulkan_device *device);

/* The block in which all of [address, address + bytes) lies, or NULL. */
const vulkan_block *vulkan_find_block(const vulkan_device *device, pio_addr address, uint64_t bytes);

/* ---- vulkan_module.c ---- */

enum { VULKAN_CONSTANTS = 16 };

typedef struct vulkan_kernel {
    pio_kernel base;
    char name[128];
    const pio_code *code;
    const char *entry;
    uint32_t constants[VULKAN_CONSTANTS];
    uint32_t n_constants;
    uint32_t subgroup_size; /* 0: the usual one */
    VkPipeline pipeline;    /* made when a list ends, for all lists that are being recorded */
    bool wanted;            /* it stands in the device's list */
    VkResult result;        /* of making the pipeline */
} vulkan_kernel;

typedef struct vulkan_module {
    pio_module base;
    vulkan_kernel kernels[];
} vulkan_module;

pio_status vulkan_module_create(pio_device *, const pio_module_desc *, pio_module **, pio_error *);
void vulkan_module_destroy(pio_module *);
pio_kernel *vulkan_module_kernel(pio_module *, int index);

/* What the cache of pipelines holds. */
void vulkan_restore_compiled(pio_device *, const void *bytes, size_t n_bytes);
pio_status vulkan_save_compiled(pio_device *, void **bytes, size_t *n_bytes, pio_error *);

/* Notes a kernel that has no pipeline and was not tried; false: no memory. */
bool vulkan_want(vulkan_kernel *kernel);

/* Makes the pipelines that are wanted, several at a time. */
void vulkan_make_pipelines(vulkan_device *device);

/* ---- vulkan_list.c ---- */

typedef enum vulkan_command_kind { VULKAN_DISPATCH, VULKAN_COPY, VULKAN_FILL, VULKAN_BARRIER } vulkan_command_kind;

typedef struct vulkan_command {
    vulkan_command_kind kind;
    vulkan_kernel *kernel; /* dispatch */
    uint32_t groups[3];
    const vulkan_block *to_block, *from_block; /* copy, fill */
    uint64_t to, from, bytes;                  /* offsets in the blocks; dispatch: bytes of arguments */
    uint32_t value;
    uint32_t args[PIO_ARGS_MAX_BYTES / 4];
} vulkan_command;

typedef struct vulkan_list {
    pio_list base;
    vulkan_command *commands; /* until the list ends */
    int32_t n_commands, commands_capacity;
    int scope; /* of its commands */
    VkCommandPool pool;
    VkCommandBuffer buffer;
} vulkan_list;

pio_status vulkan_list_create(pio_device *, bool replayed, pio_list **, pio_error *);
void vulkan_list_destroy(pio_list *);
pio_status vulkan_list_copy(pio_list *, pio_addr to, pio_addr from, uint64_t bytes, pio_error *);
pio_status vulkan_list_fill(pio_list *, pio_addr to, uint32_t value, uint64_t bytes, pio_error *);
pio_status vulkan_list_dispatch(pio_list *, pio_kernel *, const uint32_t groups[3], const void *args, size_t,
                                pio_error *);
pio_status vulkan_list_barrier(pio_list *, pio_error *);
pio_status vulkan_list_end(pio_list *, pio_error *);

/* Commands between which a barrier orders. */
typedef enum vulkan_scope { VULKAN_KERNELS = 1, VULKAN_TRANSFERS = 2, VULKAN_HOST = 4 } vulkan_scope;

/* What `before` wrote is seen by `behind`, which may write there too; bits of vulkan_scope. */
void vulkan_cmd_barrier(const vulkan_device *device, VkCommandBuffer buffer, int before, int behind);

/* ---- vulkan_queue.c ---- */

/* Submissions that may be under way at once, and bytes of ordered writes that wait with them. */
enum { VULKAN_SLOTS = 8, VULKAN_STAGING_BYTES = 4 << 20 };

/* What a submission needs besides its lists: the writes before it, and two timestamps around it. */
typedef struct vulkan_slot {
    VkCommandBuffer before, behind;
    uint64_t number;   /* of the submission that used it last */
    uint64_t head_end; /* where its writes end in the staging ring */
} vulkan_slot;

/* Ordered writes that have no barrier between them yet. */
enum { VULKAN_LOOSE_WRITES = 16 };

typedef struct vulkan_queue {
    pio_queue base;
    VkQueue handle;
    VkCommandPool pool;
    VkQueryPool timestamps; /* two a slot */
    VkSemaphore semaphore;  /* its value: the number of the last submission that is done */
    VkSemaphore drained;    /* the same of what drain() has submitted */
    uint64_t n_drains;
    vulkan_slot slots[VULKAN_SLOTS];
    bool open; /* the next submission's slot is being recorded */
    struct {
        pio_addr to;
        uint64_t bytes;
    } loose[VULKAN_LOOSE_WRITES];
    int n_loose;
    pio_buffer *staging;
    char *staging_host;
    uint64_t head, tail;      /* bytes of the ring ever used, and ever given back */
    VkCommandBuffer *buffers; /* of a submission */
    int32_t n_buffers, buffers_capacity;
} vulkan_queue;

/* How long a device may finish nothing before it is taken to hang. */
int vulkan_patience_s(const vulkan_device *device);

pio_status vulkan_queue_create(pio_device *, pio_queue_kind, pio_queue **, pio_error *);
void vulkan_queue_destroy(pio_queue *);
pio_status vulkan_queue_write(pio_queue *, pio_addr to, const void *data, uint64_t bytes, pio_error *);
pio_status vulkan_queue_submit(pio_queue *, pio_list *const *, int n_lists, uint64_t *number, pio_error *);
pio_status vulkan_queue_wait(pio_queue *, uint64_t number, uint64_t timeout_ns, pio_error *);
pio_status vulkan_queue_elapsed(pio_queue *, uint64_t number, uint64_t *ns, pio_error *);

#endif
