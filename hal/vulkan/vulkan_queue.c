/* Queues: what is submitted runs in order. A submission is a slot's `before` (a timestamp, the ordered writes, a
 * barrier), the lists, each of which ends with a barrier, and the slot's `behind` (for the host's eyes, a timestamp);
 * the timeline semaphore then has its number. What the host wrote before a submission, the submission sees. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "hal/vulkan/vulkan.h"

static vulkan_device *device_of(const vulkan_queue *queue) {
    return (vulkan_device *)queue->base.device;
}

static VkResult allocate_buffers(vulkan_queue *queue, uint32_t family) {
    const vulkan_device *device = device_of(queue);
    VkCommandBuffer buffers[2 * VULKAN_SLOTS];
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                          .queueFamilyIndex = family};
    VkResult result = device->vk.CreateCommandPool(device->handle, &pool, NULL, &queue->pool);
    if (result) return result;
    const VkCommandBufferAllocateInfo allocation = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                    .commandPool = queue->pool,
                                                    .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                                    .commandBufferCount = 2 * VULKAN_SLOTS};
    result = device->vk.AllocateCommandBuffers(device->handle, &allocation, buffers);
    for (int i = 0; i < VULKAN_SLOTS && !result; i++) {
        queue->slots[i].before = buffers[2 * i];
        queue->slots[i].behind = buffers[2 * i + 1];
    }
    return result;
}

/* The command buffers behind a submission's lists never change. */
static VkResult record_behind(const vulkan_queue *queue, int slot) {
    const vulkan_device *device = device_of(queue);
    const VkCommandBuffer buffer = queue->slots[slot].behind;
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkResult result = device->vk.BeginCommandBuffer(buffer, &begin);
    if (result) return result;
    vulkan_cmd_barrier(device, buffer, VULKAN_KERNELS | VULKAN_TRANSFERS, VULKAN_HOST);
    if (queue->timestamps)
        device->vk.CmdWriteTimestamp(buffer, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, queue->timestamps,
                                     2 * (uint32_t)slot + 1);
    return device->vk.EndCommandBuffer(buffer);
}

static VkResult open_queue(vulkan_queue *queue, pio_queue_kind kind) {
    const vulkan_device *device = device_of(queue);
    const uint32_t family = device->physical.family,
                   index = kind == PIO_QUEUE_TRANSFER ? device->physical.n_queues - 1 : 0;
    const VkSemaphoreTypeCreateInfo timeline = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                                .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo semaphore = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, .pNext = &timeline};
    const VkQueryPoolCreateInfo queries = {.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
                                           .queryType = VK_QUERY_TYPE_TIMESTAMP,
                                           .queryCount = 2 * VULKAN_SLOTS};
    device->vk.GetDeviceQueue(device->handle, family, index, &queue->handle);
    VkResult result = allocate_buffers(queue, family);
    if (!result) result = device->vk.CreateSemaphore(device->handle, &semaphore, NULL, &queue->semaphore);
    if (!result) result = device->vk.CreateSemaphore(device->handle, &semaphore, NULL, &queue->drained);
    if (!result && device->physical.timestamp_bits)
        result = device->vk.CreateQueryPool(device->handle, &queries, NULL, &queue->timestamps);
    for (int i = 0; i < VULKAN_SLOTS && !result; i++) result = record_behind(queue, i);
    return result;
}

pio_status vulkan_queue_create(pio_device *base, pio_queue_kind kind, pio_queue **out, pio_error *error) {
    vulkan_queue *queue = calloc(1, sizeof *queue);
    if (!queue) return pio_fail_memory(error, "a queue", sizeof *queue);
    queue->base.device = base;
    pio_status status = vulkan_buffer_create(base, VULKAN_STAGING_BYTES, PIO_BUFFER_UPLOAD, "the staging of writes",
                                             &queue->staging, error);
    if (!status) {
        queue->staging_host =
            ((vulkan_buffer *)queue->staging)->block->host + ((vulkan_buffer *)queue->staging)->offset;
        VkResult result = open_queue(queue, kind);
        if (result) status = vulkan_fail((vulkan_device *)base, result, "making a queue", error);
    }
    if (status)
        vulkan_queue_destroy(&queue->base);
    else
        *out = &queue->base;
    return status;
}

/* ---- waiting ---- */

int vulkan_patience_s(const vulkan_device *device) {
    return device->physical.caps.kind == PIO_KIND_SOFTWARE ? 3600 : 120;
}

/* Until the first n submissions are done, or all work has stood still for long: VK_TIMEOUT. */
static VkResult wait_for(const vulkan_queue *queue, VkSemaphore semaphore, uint64_t n, uint64_t timeout_ns) {
    const vulkan_device *device = device_of(queue);
    const VkSemaphoreWaitInfo info = {
        .sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO, .semaphoreCount = 1, .pSemaphores = &semaphore, .pValues = &n};
    const bool endless = timeout_ns == UINT64_MAX;
    if (endless) timeout_ns = (uint64_t)vulkan_patience_s(device) * 1000000000u;
    VkResult result = n ? VK_TIMEOUT : VK_SUCCESS;
    for (uint64_t before = 0, done = 0; result == VK_TIMEOUT; before = done) {
        result = device->vk.WaitSemaphores(device->handle, &info, timeout_ns);
        if (result != VK_TIMEOUT || !endless) return result;
        result = device->vk.GetSemaphoreCounterValue(device->handle, semaphore, &done);
        if (result || done == before) return result ? result : VK_TIMEOUT;
        result = VK_TIMEOUT;
    }
    return result;
}

static void destroy_objects(const vulkan_queue *queue) {
    const vulkan_device *device = device_of(queue);
    if (queue->pool) device->vk.DestroyCommandPool(device->handle, queue->pool, NULL);
    if (queue->timestamps) device->vk.DestroyQueryPool(device->handle, queue->timestamps, NULL);
    if (queue->semaphore) device->vk.DestroySemaphore(device->handle, queue->semaphore, NULL);
    if (queue->drained) device->vk.DestroySemaphore(device->handle, queue->drained, NULL);
}

void vulkan_queue_destroy(pio_queue *base) {
    vulkan_device *device = (vulkan_device *)base->device;
    vulkan_queue *queue = (vulkan_queue *)base;
    if (queue->semaphore && !atomic_load(&base->device->lost)) {
        VkResult result = wait_for(queue, queue->semaphore, base->last_number, UINT64_MAX);
        if (result == VK_TIMEOUT) vulkan_fail(device, result, "waiting", NULL);
    }
    if (!device->hangs) destroy_objects(queue);
    if (queue->staging) vulkan_buffer_destroy(queue->staging);
    free(queue->buffers);
    free(queue);
}

pio_status vulkan_queue_wait(pio_queue *base, uint64_t number, uint64_t timeout_ns, pio_error *error) {
    vulkan_queue *queue = (vulkan_queue *)base;
    VkResult result = wait_for(queue, queue->semaphore, number, timeout_ns);
    if (result == VK_TIMEOUT && timeout_ns != UINT64_MAX)
        return pio_fail(error, PIO_LIMIT, "submission %llu is not done after %.3f s", (unsigned long long)number,
                        (double)timeout_ns / 1e9);
    return result ? vulkan_fail(device_of(queue), result, "waiting", error) : PIO_OK;
}

/* ---- ordered writes ---- */

static vulkan_slot *next_slot(vulkan_queue *queue) {
    return &queue->slots[queue->base.last_number % VULKAN_SLOTS];
}

/* Waits for the submission that used the slot before, and takes back what it held of the ring. */
static VkResult reclaim(vulkan_queue *queue, const vulkan_slot *slot) {
    VkResult result = wait_for(queue, queue->semaphore, slot->number, UINT64_MAX);
    if (!result && slot->number) queue->tail = PIO_MAX(queue->tail, slot->head_end);
    return result;
}

/* Begins the next submission's slot. */
static VkResult open_slot(vulkan_queue *queue) {
    const vulkan_device *device = device_of(queue);
    vulkan_slot *slot = next_slot(queue);
    const uint32_t first_query = 2 * (uint32_t)(slot - queue->slots);
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    if (queue->open) return VK_SUCCESS;
    VkResult result = reclaim(queue, slot);
    if (!result) result = device->vk.BeginCommandBuffer(slot->before, &begin);
    if (result) return result;
    if (queue->timestamps) {
        device->vk.CmdResetQueryPool(slot->before, queue->timestamps, first_query, 2);
        device->vk.CmdWriteTimestamp(slot->before, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT, queue->timestamps, first_query);
    }
    queue->open = true;
    queue->n_loose = 0;
    return VK_SUCCESS;
}

/* Ends the open slot: what was written is there for all that follows. */
static VkResult close_slot(vulkan_queue *queue) {
    const vulkan_device *device = device_of(queue);
    const VkCommandBuffer buffer = next_slot(queue)->before;
    queue->open = false;
    vulkan_cmd_barrier(device, buffer, VULKAN_KERNELS | VULKAN_TRANSFERS, VULKAN_KERNELS | VULKAN_TRANSFERS);
    return device->vk.EndCommandBuffer(buffer);
}

/* Runs the command buffers; the semaphore then has the number. */
static VkResult submit_buffers(const vulkan_queue *queue, const VkCommandBuffer *buffers, int32_t n,
                               VkSemaphore semaphore, uint64_t number) {
    const VkTimelineSemaphoreSubmitInfo value = {.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
                                                 .signalSemaphoreValueCount = 1,
                                                 .pSignalSemaphoreValues = &number};
    const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                               .pNext = &value,
                               .commandBufferCount = (uint32_t)n,
                               .pCommandBuffers = buffers,
                               .signalSemaphoreCount = 1,
                               .pSignalSemaphores = &semaphore};
    return device_of(queue)->vk.QueueSubmit(queue->handle, 1, &info, VK_NULL_HANDLE);
}

/* Runs the writes of the open slot now and waits for them: the ring is full of them alone. */
static VkResult drain(vulkan_queue *queue) {
    const vulkan_slot *slot = next_slot(queue);
    const uint64_t number = queue->n_drains + 1;
    VkResult result = close_slot(queue);
    if (!result) result = submit_buffers(queue, &slot->before, 1, queue->drained, number);
    if (!result) result = wait_for(queue, queue->drained, queue->n_drains = number, UINT64_MAX);
    if (!result) queue->tail = queue->head;
    return result ? result : open_slot(queue);
}

/* A piece of the ring, in one: its offset. The oldest submission that holds some of it is waited for. */
static VkResult take_staging(vulkan_queue *queue, uint64_t bytes, uint64_t *offset) {
    const uint64_t size = VULKAN_STAGING_BYTES;
    VkResult result = VK_SUCCESS;
    if (queue->head % size + bytes > size) queue->head = PIO_ROUND_UP(queue->head, size);
    for (uint64_t i = 1; i < VULKAN_SLOTS && !result && queue->head + bytes - queue->tail > size; i++)
        result = reclaim(queue, &queue->slots[(queue->base.last_number + i) % VULKAN_SLOTS]);
    if (!result && queue->head + bytes - queue->tail > size) result = drain(queue);
    *offset = queue->head % size;
    queue->head += PIO_ROUND_UP(bytes, 16u);
    return result;
}

/* A barrier where the write meets one that has none behind it yet. */
static void order_write(vulkan_queue *queue, pio_addr to, uint64_t bytes) {
    bool meets = queue->n_loose == VULKAN_LOOSE_WRITES;
    for (int i = 0; i < queue->n_loose && !meets; i++)
        meets = to < queue->loose[i].to + queue->loose[i].bytes && queue->loose[i].to < to + bytes;
    if (meets) {
        vulkan_cmd_barrier(device_of(queue), next_slot(queue)->before, VULKAN_TRANSFERS, VULKAN_TRANSFERS);
        queue->n_loose = 0;
    }
    queue->loose[queue->n_loose].to = to;
    queue->loose[queue->n_loose++].bytes = bytes;
}

pio_status vulkan_queue_write(pio_queue *base, pio_addr to, const void *data, uint64_t bytes, pio_error *error) {
    vulkan_queue *queue = (vulkan_queue *)base;
    vulkan_device *device = device_of(queue);
    const vulkan_block *block = vulkan_find_block(device, to, bytes);
    const vulkan_buffer *staging = (vulkan_buffer *)queue->staging;
    uint64_t offset = 0;
    if (!block) return pio_fail(error, PIO_INVALID_ARGUMENT, "no buffer of this device holds all bytes of a write");
    VkResult result = open_slot(queue);
    if (!result) result = take_staging(queue, bytes, &offset);
    if (result) return vulkan_fail(device, result, "an ordered write", error);
    memcpy(queue->staging_host + offset, data, bytes);
    const VkBufferCopy region = {staging->offset + offset, to - block->address, bytes};
    const VkCommandBuffer buffer = next_slot(queue)->before;
    order_write(queue, to, bytes);
    device->vk.CmdCopyBuffer(buffer, staging->block->buffer, block->buffer, 1, &region);
    return vulkan_buffer_flush(queue->staging, offset, bytes, error);
}

/* ---- submissions ---- */

static VkResult submit(vulkan_queue *queue, pio_list *const *lists, int n_lists) {
    vulkan_slot *slot = next_slot(queue);
    const uint64_t number = queue->base.last_number + 1;
    VkResult result = open_slot(queue);
    if (!result) result = close_slot(queue);
    if (result) return result;
    queue->n_buffers = 0;
    queue->buffers[queue->n_buffers++] = slot->before;
    for (int i = 0; i < n_lists; i++) queue->buffers[queue->n_buffers++] = ((vulkan_list *)lists[i])->buffer;
    queue->buffers[queue->n_buffers++] = slot->behind;
    result = submit_buffers(queue, queue->buffers, queue->n_buffers, queue->semaphore, number);
    if (result) return result;
    slot->number = number;
    slot->head_end = queue->head;
    atomic_store(&queue->base.last_number, number);
    return VK_SUCCESS;
}

pio_status vulkan_queue_submit(pio_queue *base, pio_list *const *lists, int n_lists, uint64_t *number,
                               pio_error *error) {
    vulkan_queue *queue = (vulkan_queue *)base;
    queue->n_buffers = 0;
    if (!pio_array_reserve((void **)&queue->buffers, 0, n_lists + 2, &queue->buffers_capacity, sizeof *queue->buffers))
        return pio_fail_memory(error, "a submission", sizeof *queue->buffers * (size_t)(n_lists + 2));
    VkResult result = submit(queue, lists, n_lists);
    if (result) return vulkan_fail(device_of(queue), result, "a submission", error);
    *number = base->last_number;
    return PIO_OK;
}

pio_status vulkan_queue_elapsed(pio_queue *base, uint64_t number, uint64_t *ns, pio_error *error) {
    const vulkan_queue *queue = (vulkan_queue *)base;
    vulkan_device *device = device_of(queue);
    const uint32_t slot = (uint32_t)((number - 1) % VULKAN_SLOTS), bits = device->physical.timestamp_bits;
    uint64_t ticks[2];
    if (!queue->timestamps)
        return pio_fail(error, PIO_UNSUPPORTED, "%s keeps no time of its work", device->physical.caps.name);
    if (queue->slots[slot].number != number || (queue->open && &queue->slots[slot] == next_slot((vulkan_queue *)base)))
        return pio_fail(error, PIO_LIMIT, "the times of the newest %d submissions are remembered", VULKAN_SLOTS - 1);
    VkResult result = device->vk.GetQueryPoolResults(device->handle, queue->timestamps, 2 * slot, 2, sizeof ticks,
                                                     ticks, 8, VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
    if (result) return vulkan_fail(device, result, "reading times", error);
    const uint64_t mask = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
    *ns = (uint64_t)((double)((ticks[1] - ticks[0]) & mask) * (double)device->physical.timestamp_ns);
    return PIO_OK;
}
