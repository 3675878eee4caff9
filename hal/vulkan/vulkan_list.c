/* Command lists: an array of commands until the list ends; then the pipelines that are missing are made, and one
 * command buffer is recorded, which is submitted as often as one likes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "hal/vulkan/vulkan.h"

pio_status vulkan_list_create(pio_device *device, bool replayed, pio_list **out, pio_error *error) {
    (void)replayed; /* hal.c sets it */
    vulkan_list *list = calloc(1, sizeof *list);
    if (!list) return pio_fail_memory(error, "a command list", sizeof *list);
    list->base.device = device;
    *out = &list->base;
    return PIO_OK;
}

void vulkan_list_destroy(pio_list *base) {
    vulkan_device *device = (vulkan_device *)base->device;
    vulkan_list *list = (vulkan_list *)base;
    if (list->pool && !device->hangs) device->vk.DestroyCommandPool(device->handle, list->pool, NULL);
    free(list->commands);
    free(list);
}

static pio_status add(pio_list *base, const vulkan_command *command, pio_error *error) {
    vulkan_list *list = (vulkan_list *)base;
    vulkan_command *added = PIO_PUSH(list, commands);
    if (!added) return pio_fail_memory(error, "a command list", sizeof *added * (size_t)list->n_commands);
    *added = *command;
    return PIO_OK;
}

static pio_status not_there(pio_addr address, pio_error *error) {
    return pio_fail(error, PIO_INVALID_ARGUMENT, "no buffer of this device holds all bytes from address %#llx on",
                    (unsigned long long)address);
}

pio_status vulkan_list_copy(pio_list *list, pio_addr to, pio_addr from, uint64_t bytes, pio_error *error) {
    const vulkan_device *device = (vulkan_device *)list->device;
    vulkan_command command = {.kind = VULKAN_COPY,
                              .to_block = vulkan_find_block(device, to, bytes),
                              .from_block = vulkan_find_block(device, from, bytes),
                              .bytes = bytes};
    if (!command.to_block || !command.from_block) return not_there(command.to_block ? from : to, error);
    command.to = to - command.to_block->address;
    command.from = from - command.from_block->address;
    return add(list, &command, error);
}

pio_status vulkan_list_fill(pio_list *list, pio_addr to, uint32_t value, uint64_t bytes, pio_error *error) {
    vulkan_command command = {.kind = VULKAN_FILL,
                              .to_block = vulkan_find_block((vulkan_device *)list->device, to, bytes),
                              .value = value,
                              .bytes = bytes};
    if (!command.to_block) return not_there(to, error);
    command.to = to - command.to_block->address;
    return add(list, &command, error);
}

pio_status vulkan_list_dispatch(pio_list *list, pio_kernel *kernel, const uint32_t groups[3], const void *args,
                                size_t args_bytes, pio_error *error) {
    const vulkan_physical *physical = &((vulkan_device *)list->device)->physical;
    vulkan_command command = {.kind = VULKAN_DISPATCH, .kernel = (vulkan_kernel *)kernel, .bytes = args_bytes};
    for (int i = 0; i < 3; i++)
        if (groups[i] > physical->max_groups[i])
            return pio_fail(error, PIO_LIMIT, "the kernel %s wants %u groups and %s has at most %u: use smaller chunks",
                            command.kernel->name, groups[i], physical->caps.name, physical->max_groups[i]);
    if (!vulkan_want(command.kernel)) return pio_fail_memory(error, "a command list", sizeof command.kernel);
    memcpy(command.groups, groups, sizeof command.groups);
    memcpy(command.args, args, args_bytes);
    return add(list, &command, error);
}

pio_status vulkan_list_barrier(pio_list *list, pio_error *error) {
    return add(list, &(vulkan_command){.kind = VULKAN_BARRIER}, error);
}

void vulkan_cmd_barrier(const vulkan_device *device, VkCommandBuffer buffer, int before, int behind) {
    static const struct {
        vulkan_scope scope;
        VkPipelineStageFlags stage;
        VkAccessFlags writes, reads;
    } rows[] = {
        {VULKAN_KERNELS, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, VK_ACCESS_SHADER_WRITE_BIT, VK_ACCESS_SHADER_READ_BIT},
        {VULKAN_TRANSFERS, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT, VK_ACCESS_TRANSFER_READ_BIT},
        {VULKAN_HOST, VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_WRITE_BIT, VK_ACCESS_HOST_READ_BIT},
    };
    VkPipelineStageFlags from = 0, to = 0;
    VkMemoryBarrier barrier = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    for (size_t i = 0; i < PIO_COUNT(rows); i++) {
        if (before & rows[i].scope) {
            from |= rows[i].stage;
            barrier.srcAccessMask |= rows[i].writes;
        }
        if (behind & rows[i].scope) {
            to |= rows[i].stage;
            barrier.dstAccessMask |= rows[i].reads | rows[i].writes;
        }
    }
    device->vk.CmdPipelineBarrier(buffer, from, to, 0, 1, &barrier, 0, NULL, 0, NULL);
}

static void record_command(const vulkan_list *list, const vulkan_command *c, VkPipeline *bound) {
    const vulkan_device *device = (vulkan_device *)list->base.device;
    const VkCommandBuffer buffer = list->buffer;
    const vulkan_functions *vk = &device->vk;
    const VkBufferCopy region = {c->from, c->to, c->bytes};
    switch (c->kind) {
    case VULKAN_DISPATCH:
        if (*bound != c->kernel->pipeline)
            vk->CmdBindPipeline(buffer, VK_PIPELINE_BIND_POINT_COMPUTE, c->kernel->pipeline);
        *bound = c->kernel->pipeline;
        vk->CmdPushConstants(buffer, device->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, (uint32_t)c->bytes, c->args);
        vk->CmdDispatch(buffer, c->groups[0], c->groups[1], c->groups[2]);
        return;
    case VULKAN_COPY:
        vk->CmdCopyBuffer(buffer, c->from_block->buffer, c->to_block->buffer, 1, &region);
        return;
    case VULKAN_FILL:
        vk->CmdFillBuffer(buffer, c->to_block->buffer, c->to, c->bytes, c->value);
        return;
    case VULKAN_BARRIER:
        if (list->scope) vulkan_cmd_barrier(device, buffer, list->scope, list->scope);
        return;
    }
}

/* Makes the pipelines that are wanted. Those of other lists may fail: their lists will say so. */
static pio_status make_missing(const vulkan_list *list, pio_error *error) {
    vulkan_device *device = (vulkan_device *)list->base.device;
    char what[192];
    for (int32_t i = 0; i < list->n_commands; i++)
        if (list->commands[i].kernel && !vulkan_want(list->commands[i].kernel))
            return pio_fail_memory(error, "a command list", sizeof *device->wanted * (size_t)device->n_wanted);
    vulkan_make_pipelines(device);
    for (int32_t i = 0; i < list->n_commands; i++) {
        const vulkan_kernel *kernel = list->commands[i].kernel;
        if (!kernel || kernel->pipeline) continue;
        snprintf(what, sizeof what, "compiling the kernel %s", kernel->name);
        return vulkan_fail(device, kernel->result, what, error);
    }
    return PIO_OK;
}

static int scope_of(const vulkan_command *c) {
    return c->kind == VULKAN_DISPATCH ? VULKAN_KERNELS : c->kind == VULKAN_BARRIER ? 0 : VULKAN_TRANSFERS;
}

/* A list orders itself before what follows it, in its submission or a later one; barriers within it order its own kinds
 * of commands. */
static VkResult record(vulkan_list *list) {
    const vulkan_device *device = (vulkan_device *)list->base.device;
    if (list->pool) device->vk.DestroyCommandPool(device->handle, list->pool, NULL); /* of an end that failed */
    list->pool = VK_NULL_HANDLE;
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .queueFamilyIndex = device->physical.family};
    VkResult result = device->vk.CreateCommandPool(device->handle, &pool, NULL, &list->pool);
    if (result) return result;
    const VkCommandBufferAllocateInfo allocation = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                                    .commandPool = list->pool,
                                                    .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                                    .commandBufferCount = 1};
    result = device->vk.AllocateCommandBuffers(device->handle, &allocation, &list->buffer);
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
                                            .flags = list->base.replayed ? VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT
                                                                         : VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT};
    if (!result) result = device->vk.BeginCommandBuffer(list->buffer, &begin);
    if (result) return result;
    VkPipeline bound = VK_NULL_HANDLE;
    list->scope = 0;
    for (int32_t i = 0; i < list->n_commands; i++) list->scope |= scope_of(&list->commands[i]);
    for (int32_t i = 0; i < list->n_commands; i++) record_command(list, &list->commands[i], &bound);
    if (list->scope) vulkan_cmd_barrier(device, list->buffer, list->scope, VULKAN_KERNELS | VULKAN_TRANSFERS);
    return device->vk.EndCommandBuffer(list->buffer);
}

pio_status vulkan_list_end(pio_list *base, pio_error *error) {
    vulkan_list *list = (vulkan_list *)base;
    pio_status status = make_missing(list, error);
    if (status) return status;
    VkResult result = record(list);
    if (result) return vulkan_fail((vulkan_device *)base->device, result, "recording a command list", error);
    free(list->commands);
    list->commands = NULL;
    list->n_commands = list->commands_capacity = 0;
    return PIO_OK;
}
