/* Memory: blocks, each one allocation with one VkBuffer over all of it, of which buffers are parts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "hal/vulkan/vulkan.h"

static const uint64_t BLOCK_BYTES = 64 << 20;

/* ---- which memory ---- */

/* Properties that memory must have, and those that it should. */
typedef struct wish {
    VkMemoryPropertyFlags needs, likes;
} wish;

static wish wish_of(const vulkan_device *device, uint32_t usage) {
    const VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, host = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT,
                                cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    if (usage & PIO_BUFFER_READBACK) return (wish){host, cached};
    if (usage & PIO_BUFFER_UPLOAD) return (wish){host, local};
    return device->physical.caps.host_visible ? (wish){host, local | cached} : (wish){0, local};
}

/* The type of memory that has most of what is liked; of equals the first, as drivers order them. */
static uint32_t choose_type(const vulkan_device *device, uint32_t usage, uint32_t allowed) {
    const VkPhysicalDeviceMemoryProperties *memory = &device->physical.memory;
    const wish w = wish_of(device, usage);
    uint32_t best = UINT32_MAX;
    int best_score = -1;
    for (uint32_t i = 0; i < memory->memoryTypeCount; i++) {
        const VkMemoryPropertyFlags has = memory->memoryTypes[i].propertyFlags;
        if (!(allowed & 1u << i) || (has & w.needs) != w.needs) continue;
        const int score = __builtin_popcount(has & w.likes);
        if (score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

static uint32_t heap_of(const vulkan_device *device, uint32_t type) {
    return type == UINT32_MAX ? 0 : device->physical.memory.memoryTypes[type].heapIndex;
}

/* What is free of every heap; without the extension, what this device has not taken itself. */
static void fill_heaps(const vulkan_device *device, pio_memory_budget *budget) {
    const VkPhysicalDeviceMemoryProperties *memory = &device->physical.memory;
    VkPhysicalDeviceMemoryBudgetPropertiesEXT now = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT};
    VkPhysicalDeviceMemoryProperties2 asked = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2,
                                               .pNext = &now};
    if (device->physical.has_memory_budget)
        device->instance->GetPhysicalDeviceMemoryProperties2(device->physical.handle, &asked);
    budget->n_heaps = (int)memory->memoryHeapCount;
    for (int i = 0; i < budget->n_heaps; i++) {
        uint64_t limit = memory->memoryHeaps[i].size, used = device->used_bytes[i];
        if (device->physical.has_memory_budget) {
            limit = PIO_MIN(limit, now.heapBudget[i]);
            used = now.heapUsage[i];
        }
        budget->heaps[i] = (pio_heap){limit > used ? limit - used : 0,
                                      (memory->memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0};
    }
}

pio_status vulkan_memory_budget(pio_device *base, pio_memory_budget *budget, pio_error *error) {
    (void)error;
    const vulkan_device *device = (vulkan_device *)base;
    fill_heaps(device, budget);
    for (uint32_t usage = 0; usage < PIO_BUFFER_USAGES; usage++)
        budget->heap_of[usage] = (uint8_t)heap_of(device, choose_type(device, usage, UINT32_MAX));
    const uint8_t heap = budget->heap_of[PIO_BUFFER_DEVICE];
    budget->total_bytes = device->physical.memory.memoryHeaps[heap].size;
    budget->free_bytes = budget->heaps[heap].bytes;
    return PIO_OK;
}

/* ---- blocks ---- */

static void free_block(vulkan_device *device, vulkan_block *block) {
    if (block->buffer && !device->hangs) device->vk.DestroyBuffer(device->handle, block->buffer, NULL);
    if (block->memory && !device->hangs) {
        device->vk.FreeMemory(device->handle, block->memory, NULL);
        device->used_bytes[heap_of(device, block->type)] -= block->bytes;
    }
    free(block->ranges);
    free(block);
}

void vulkan_free_blocks(vulkan_device *device) {
    for (int32_t i = 0; i < device->n_blocks; i++) free_block(device, device->blocks[i]);
    device->n_blocks = 0;
}

/* The number of blocks that begin at or before the address. */
static int32_t blocks_before(const vulkan_device *device, pio_addr address) {
    int32_t low = 0, high = device->n_blocks;
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (device->blocks[middle]->address <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const vulkan_block *vulkan_find_block(const vulkan_device *device, pio_addr address, uint64_t bytes) {
    const int32_t n = blocks_before(device, address);
    const vulkan_block *block = n ? device->blocks[n - 1] : NULL;
    if (!block || address - block->address > block->bytes || bytes > block->bytes - (address - block->address))
        return NULL;
    return block;
}

static VkResult bind_block(vulkan_device *device, vulkan_block *block, uint32_t usage) {
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                     .size = block->bytes,
                                     .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                              VK_BUFFER_USAGE_TRANSFER_DST_BIT |
                                              VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT,
                                     .sharingMode = VK_SHARING_MODE_EXCLUSIVE};
    VkResult result = device->vk.CreateBuffer(device->handle, &info, NULL, &block->buffer);
    if (result) return result;
    VkMemoryRequirements needs;
    device->vk.GetBufferMemoryRequirements(device->handle, block->buffer, &needs);
    block->type = choose_type(device, usage, needs.memoryTypeBits);
    if (block->type == UINT32_MAX) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    const VkMemoryAllocateFlagsInfo flags = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO,
                                             .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
    const VkMemoryAllocateInfo allocation = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                             .pNext = &flags,
                                             .allocationSize = needs.size,
                                             .memoryTypeIndex = block->type};
    result = device->vk.AllocateMemory(device->handle, &allocation, NULL, &block->memory);
    if (result) return result;
    device->used_bytes[heap_of(device, block->type)] += block->bytes;
    result = device->vk.BindBufferMemory(device->handle, block->buffer, block->memory, 0);
    if (result) return result;
    if (device->physical.memory.memoryTypes[block->type].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT)
        result =
            device->vk.MapMemory(device->handle, block->memory, 0, VK_WHOLE_SIZE, 0, (void **)(void *)&block->host);
    const VkBufferDeviceAddressInfo address = {.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO,
                                               .buffer = block->buffer};
    block->address = device->vk.GetBufferDeviceAddress(device->handle, &address);
    return result;
}

/* A block of at least `bytes`, in its place among the others. */
static VkResult add_block(vulkan_device *device, uint64_t bytes, uint32_t usage, vulkan_block **out) {
    *out = calloc(1, sizeof **out);
    if (!*out || !pio_array_reserve((void **)&device->blocks, device->n_blocks, 1, &device->blocks_capacity,
                                    sizeof *device->blocks)) {
        free(*out);
        return VK_ERROR_OUT_OF_HOST_MEMORY;
    }
    const uint64_t heap = device->physical.memory.memoryHeaps[heap_of(device, choose_type(device, usage, UINT32_MAX))]
                              .size,
                   shared = PIO_MIN(BLOCK_BYTES, heap / 16 / VULKAN_ALIGNMENT * VULKAN_ALIGNMENT);
    (*out)->bytes = bytes > shared / 2 ? PIO_ROUND_UP(bytes, (uint64_t)VULKAN_ALIGNMENT) : shared;
    VkResult result = bind_block(device, *out, usage);
    if (result) {
        free_block(device, *out);
        return result;
    }
    const int32_t at = blocks_before(device, (*out)->address);
    memmove(device->blocks + at + 1, device->blocks + at, sizeof *device->blocks * (size_t)(device->n_blocks - at));
    device->blocks[at] = *out;
    device->n_blocks++;
    return VK_SUCCESS;
}

/* Takes a range of the block: the first that is large enough. The place in block->ranges, or -1. */
static int32_t take_range(vulkan_block *block, uint64_t bytes) {
    uint64_t offset = 0;
    int32_t at = 0;
    for (; at < block->n_ranges && block->ranges[at].offset - offset < bytes; at++)
        offset = PIO_ROUND_UP(block->ranges[at].offset + block->ranges[at].bytes, (uint64_t)VULKAN_ALIGNMENT);
    if (offset > block->bytes || block->bytes - offset < bytes || !PIO_PUSH(block, ranges)) return -1;
    memmove(block->ranges + at + 1, block->ranges + at, sizeof *block->ranges * (size_t)(block->n_ranges - 1 - at));
    block->ranges[at] = (vulkan_range){offset, bytes};
    return at;
}

/* ---- buffers ---- */

/* `free_bytes`: of the heap, besides what blocks have left. */
static VkResult find_range(vulkan_device *device, uint64_t bytes, uint32_t usage, uint64_t free_bytes,
                           vulkan_buffer *buffer) {
    const uint32_t type = choose_type(device, usage, UINT32_MAX);
    vulkan_block *block;
    for (int32_t i = 0; i < device->n_blocks; i++) {
        block = device->blocks[i];
        const int32_t at = block->type == type ? take_range(block, bytes) : -1;
        if (at < 0) continue;
        buffer->block = block;
        buffer->offset = block->ranges[at].offset;
        return VK_SUCCESS;
    }
    if (bytes > free_bytes) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    VkResult result = add_block(device, bytes, usage, &block);
    if (result) return result;
    if (take_range(block, bytes) < 0) return VK_ERROR_OUT_OF_HOST_MEMORY;
    buffer->block = block;
    return VK_SUCCESS;
}

pio_status vulkan_buffer_create(pio_device *base, uint64_t bytes, uint32_t usage, const char *name, pio_buffer **out,
                                pio_error *error) {
    vulkan_device *device = (vulkan_device *)base;
    vulkan_buffer *buffer = calloc(1, sizeof *buffer);
    pio_memory_budget budget;
    if (!buffer) return pio_fail_memory(error, name, sizeof *buffer);
    vulkan_memory_budget(base, &budget, NULL);
    const int heap = budget.heap_of[usage];
    const uint64_t free_bytes = budget.heaps[heap].bytes;
    VkResult result = find_range(device, bytes, usage, free_bytes, buffer);
    if (result) {
        free(buffer);
        if (result != VK_ERROR_OUT_OF_DEVICE_MEMORY && result != VK_ERROR_OUT_OF_HOST_MEMORY)
            return vulkan_fail(device, result, "making a buffer", error);
        return pio_fail(error, PIO_OUT_OF_MEMORY, "'%s' needs %.1f MB and %.1f MB are free in %s %d of %s", name,
                        (double)bytes / 1e6, (double)free_bytes / 1e6,
                        budget.heaps[heap].local ? "heap" : "the host's heap", heap, device->physical.caps.name);
    }
    buffer->base = (pio_buffer){.device = base, .address = buffer->block->address + buffer->offset, .bytes = bytes};
    *out = &buffer->base;
    return PIO_OK;
}

void vulkan_buffer_destroy(pio_buffer *base) {
    vulkan_device *device = (vulkan_device *)base->device;
    vulkan_buffer *buffer = (vulkan_buffer *)base;
    vulkan_block *block = buffer->block;
    int32_t at = 0;
    while (block->ranges[at].offset != buffer->offset) at++;
    block->n_ranges--;
    memmove(block->ranges + at, block->ranges + at + 1, sizeof *block->ranges * (size_t)(block->n_ranges - at));
    free(buffer);
    if (block->n_ranges) return;
    at = blocks_before(device, block->address) - 1;
    device->n_blocks--;
    memmove(device->blocks + at, device->blocks + at + 1, sizeof *device->blocks * (size_t)(device->n_blocks - at));
    free_block(device, block);
}

pio_status vulkan_buffer_map(pio_buffer *base, void **host, pio_error *error) {
    (void)error;
    const vulkan_buffer *buffer = (vulkan_buffer *)base;
    *host = buffer->block->host + buffer->offset;
    return PIO_OK;
}

/* The whole atoms around a range; bytes 0: memory is coherent. */
static VkMappedMemoryRange atoms(const vulkan_buffer *buffer, uint64_t offset, uint64_t bytes) {
    const vulkan_device *device = (vulkan_device *)buffer->base.device;
    const VkMemoryPropertyFlags has = device->physical.memory.memoryTypes[buffer->block->type].propertyFlags;
    const uint64_t atom = device->physical.coherent_bytes, from = (buffer->offset + offset) / atom * atom,
                   end = PIO_ROUND_UP(buffer->offset + offset + bytes, atom);
    return (VkMappedMemoryRange){.sType = VK_STRUCTURE_TYPE_MAPPED_MEMORY_RANGE,
                                 .memory = buffer->block->memory,
                                 .offset = from,
                                 .size = has & VK_MEMORY_PROPERTY_HOST_COHERENT_BIT ? 0
                                         : end >= buffer->block->bytes              ? VK_WHOLE_SIZE
                                                                                    : end - from};
}

pio_status vulkan_buffer_flush(pio_buffer *base, uint64_t offset, uint64_t bytes, pio_error *error) {
    vulkan_device *device = (vulkan_device *)base->device;
    const VkMappedMemoryRange range = atoms((vulkan_buffer *)base, offset, bytes);
    VkResult result = range.size ? device->vk.FlushMappedMemoryRanges(device->handle, 1, &range) : VK_SUCCESS;
    return result ? vulkan_fail(device, result, "flushing memory", error) : PIO_OK;
}

pio_status vulkan_buffer_invalidate(pio_buffer *base, uint64_t offset, uint64_t bytes, pio_error *error) {
    vulkan_device *device = (vulkan_device *)base->device;
    const VkMappedMemoryRange range = atoms((vulkan_buffer *)base, offset, bytes);
    VkResult result = range.size ? device->vk.InvalidateMappedMemoryRanges(device->handle, 1, &range) : VK_SUCCESS;
    return result ? vulkan_fail(device, result, "invalidating memory", error) : PIO_OK;
}
