/* What is said of a model that does not fit: what takes the room, how much there is, and what would fit. */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "engine/model.h"

enum { LEAST_CONTEXT = 256 };

/* Bytes of the weights if matrices were stored as `matrices`; of those that are not so now, unpacked. */
static uint64_t weights_as(const pio_model *model, pio_dtype matrices) {
    const pio_dtype tables = pio_model_table_dtype(matrices);
    uint64_t bytes = 0;
    for (int32_t i = 0; i < model->spec.n_weights; i++) {
        const pio_weight *w = &model->spec.weights[i];
        const pio_dtype dtype = pio_weight_dtype(w->kind, matrices, tables);
        bytes += dtype == w->dtype ? pio_model_weight_bytes(model, i)
                                   : (uint64_t)w->n_matrices * (pio_canonical_code_bytes(dtype, w->rows, w->cols) +
                                                                pio_canonical_sub_bytes(dtype, w->rows, w->cols) +
                                                                pio_canonical_scale_bytes(dtype, w->rows, w->cols));
    }
    return bytes;
}

/* The largest context, in whole pages, whose caches have at most so many bytes; 0: not even a short one. */
static int32_t context_within(const pio_model *model, uint64_t bytes) {
    const int32_t page = model->spec.page_tokens;
    int32_t least = 0, most = model->options.context / page;
    while (least < most) {
        const int32_t middle = least + (most - least + 1) / 2;
        if (pio_model_context_bytes(model, middle * page) <= bytes)
            least = middle;
        else
            most = middle - 1;
    }
    return least * page < PIO_MIN(LEAST_CONTEXT, model->options.context) ? 0 : least * page;
}

/* The first of these that fits: other weights, a smaller context, both. */
static void say_cure(const pio_model *model, uint64_t room, char *text, size_t bytes) {
    static const pio_dtype dtypes[] = {PIO_DTYPE_Q8, PIO_DTYPE_Q4};
    const pio_memory_plan *plan = &model->memory_plan;
    const uint64_t others = plan->total - plan->weights - plan->cache, now = plan->weights;
    int32_t context = others + now < room ? context_within(model, room - others - now) : 0;
    char size[PIO_BYTES_TEXT];
    size_t used = 0;
    text[0] = 0;
    for (size_t i = 0; i < PIO_COUNT(dtypes) && !used; i++) {
        const uint64_t weights = weights_as(model, dtypes[i]), needs = others + weights + plan->cache;
        if (weights < now && needs <= room)
            used = (size_t)snprintf(text, bytes, "--weights %s (%s)", pio_dtype_name(dtypes[i]),
                                    pio_bytes_text(needs, size));
    }
    if (context) used += (size_t)snprintf(text + used, bytes - used, "%s--context %d", used ? " or " : "", context);
    if (used) {
        snprintf(text + used, bytes - used, " would fit");
        return;
    }
    const uint64_t least = weights_as(model, PIO_DTYPE_Q4);
    context = least < now && others + least < room ? context_within(model, room - others - least) : 0;
    if (context)
        snprintf(text, bytes, "--weights q4 with --context %d would fit", context);
    else
        snprintf(text, bytes,
                 "neither --weights q4 nor a smaller --context would do: use a smaller model or a device "
                 "with more memory");
}

typedef struct part {
    const char *name;
    uint64_t bytes;
} part;

/* "weights 8.05 GB, KV cache 4.83 GB, workspace 120 MB": the largest three. */
static void say_parts(const pio_memory_plan *plan, char *text, size_t bytes) {
    part parts[] = {{"weights", plan->weights},
                    {"KV cache", plan->cache},
                    {"workspace", plan->workspace},
                    {"states", plan->states},
                    {"a picture", plan->vision}};
    char size[PIO_BYTES_TEXT];
    size_t used = 0;
    for (size_t n = 0; n < 3; n++) {
        for (size_t i = n + 1; i < PIO_COUNT(parts); i++) {
            if (parts[i].bytes <= parts[n].bytes) continue;
            const part larger = parts[i];
            parts[i] = parts[n];
            parts[n] = larger;
        }
        if (parts[n].bytes && used < bytes)
            used += (size_t)snprintf(text + used, bytes - used, "%s%s %s", n ? ", " : "", parts[n].name,
                                     pio_bytes_text(parts[n].bytes, size));
    }
}

/* A cache layer lies in one buffer. */
static pio_status check_buffers(const pio_model *model, pio_error *error) {
    char size[PIO_BYTES_TEXT], most[PIO_BYTES_TEXT];
    for (int32_t i = 0; i < model->spec.n_caches; i++) {
        const uint64_t bytes = model->spec.caches[i].of_patches ? 0 : pio_model_cache_bytes(model, i, model->n_pages);
        if (bytes > model->chosen.caps.max_buffer_bytes)
            return pio_fail(error, PIO_OUT_OF_MEMORY,
                            "a layer's KV cache of %s is more than the %s that %s has in one piece: use a smaller "
                            "--context",
                            pio_bytes_text(bytes, size), pio_bytes_text(model->chosen.caps.max_buffer_bytes, most),
                            model->chosen.caps.name);
    }
    return PIO_OK;
}

pio_status pio_model_check_memory(const pio_model *model, pio_error *error) {
    const pio_memory_plan *plan = &model->memory_plan;
    char total[PIO_BYTES_TEXT], room[PIO_BYTES_TEXT], parts[160], cure[192];
    uint64_t free_bytes;
    pio_status status = pio_model_available(model, &free_bytes, error);
    if (!status && plan->total <= free_bytes) return check_buffers(model, error);
    if (status) return status;
    say_parts(plan, parts, sizeof parts);
    say_cure(model, free_bytes, cure, sizeof cure);
    const bool allowed = free_bytes == model->options.memory_limit_bytes,
               own = model->chosen.caps.backend == PIO_BACKEND_CPU;
    return pio_fail(error, PIO_OUT_OF_MEMORY, "'%s' needs %s (%s) and %s are %s%s%s: %s", model->directory,
                    pio_bytes_text(plan->total, total), parts, pio_bytes_text(free_bytes, room),
                    allowed ? "allowed (memory_limit)" : "free", allowed || own ? "" : " on ",
                    allowed || own ? "" : model->chosen.caps.name, cure);
}
