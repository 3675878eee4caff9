/* What is said of a model that does not fit: what takes the room, how much there is, and what would fit. */
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "engine/model.h"

enum { LEAST_CONTEXT = 256, LEAST_CHUNK = 16, MOST_CURES = 4 };

/* Bytes of a weight in whatever layout of the data type takes the most. */
static uint64_t bytes_as(pio_weight weight, pio_dtype dtype) {
    uint64_t most = 0;
    for (weight.layout = PIO_LAYOUT_NONE + 1; weight.layout < PIO_LAYOUT_COUNT; weight.layout++) {
        const pio_layout_info *info = pio_layout_get(weight.layout);
        if (info->panel_rows && info->dtype == dtype) most = PIO_MAX(most, pio_weight_bytes(&weight));
    }
    return most;
}

/* Bytes of the weights if matrices were stored as `matrices`: no less than they would take. */
static uint64_t weights_as(const pio_model *model, pio_dtype matrices) {
    const pio_dtype tables = pio_model_table_dtype(matrices);
    uint64_t bytes = 0;
    for (int32_t i = 0; i < model->spec.n_weights; i++) {
        const pio_weight *w = &model->spec.weights[i];
        const pio_dtype dtype = pio_weight_dtype(w->kind, matrices, tables);
        bytes += dtype == w->dtype ? pio_model_weight_bytes(model, i) : bytes_as(*w, dtype);
    }
    return bytes;
}

/* ---- what would fit ---- */

/* The settings that can make a model smaller. */
enum { WEIGHTS = 1, CHUNK = 2, CONTEXT = 4 };

/* Other settings, and the plan under them. */
typedef struct cure {
    pio_dtype weights;
    int32_t context, chunk;
    pio_memory_plan plan;
} cure;

static void plan_cure(const pio_model *model, cure *c) {
    c->plan = pio_model_memory_with(model, c->context, c->chunk);
    if (c->weights == model->options.weights) return;
    c->plan.total -= c->plan.weights;
    c->plan.weights = weights_as(model, c->weights);
    c->plan.total += c->plan.weights;
}

/* The largest context, in whole pages, with which it fits; false: not even a short one does. */
static bool shorten(const pio_model *model, uint64_t limit, cure *c) {
    const int32_t page = model->spec.page_tokens;
    int32_t least = 0, most = (model->options.context - 1) / page;
    while (least < most) {
        const int32_t middle = least + (most - least + 1) / 2;
        c->context = middle * page;
        plan_cure(model, c);
        if (pio_memory_fits(&c->plan, limit))
            least = middle;
        else
            most = middle - 1;
    }
    c->context = least * page;
    plan_cure(model, c);
    return c->context >= LEAST_CONTEXT;
}

/* With these weights: the largest chunk that fits, of those that are left to `kinds`. */
static bool fit_chunk(const pio_model *model, int kinds, uint64_t limit, cure *c) {
    const pio_buckets *steps = &model->body;
    for (int i = steps->n - 1; i >= 0; i--) {
        c->chunk = steps->items[i].bound;
        c->context = model->options.context;
        if ((kinds & CHUNK) && i == steps->n - 1) continue;
        if (c->chunk < PIO_MIN(LEAST_CHUNK, model->options.chunk)) return false;
        plan_cure(model, c);
        if (kinds & CONTEXT ? shorten(model, limit, c) : pio_memory_fits(&c->plan, limit)) return true;
        if (!(kinds & CHUNK)) return false;
    }
    return false;
}

/* Whether it fits when the settings of `kinds`, all of them, are made smaller; how, goes to *out. */
static bool find(const pio_model *model, int kinds, uint64_t limit, cure *out) {
    static const pio_dtype dtypes[] = {PIO_DTYPE_Q8, PIO_DTYPE_Q4};
    const uint64_t now = model->memory_plan.weights;
    out->weights = model->options.weights;
    if (!(kinds & WEIGHTS)) return fit_chunk(model, kinds, limit, out);
    for (size_t i = 0; i < PIO_COUNT(dtypes); i++) {
        out->weights = dtypes[i];
        if (weights_as(model, dtypes[i]) < now && fit_chunk(model, kinds, limit, out)) return true;
    }
    return false;
}

/* The settings that a user may make smaller. */
static int open_kinds(const pio_model *model) {
    const pio_engine_options *o = &model->options;
    return (weights_as(model, PIO_DTYPE_Q4) < model->memory_plan.weights ? WEIGHTS : 0) |
           (o->chunk > LEAST_CHUNK ? CHUNK : 0) | (o->context > LEAST_CONTEXT ? CONTEXT : 0);
}

/* A limit in the unit of --memory-limit that leaves room for so much. */
static unsigned long long limit_for(uint64_t bytes) {
    return (unsigned long long)PIO_CEIL_DIV(bytes, UINT64_C(1) << 20);
}

/* "--weights q4 with --context 512 (3.2 GB)"; with a larger limit, where it is found beyond the present one. */
static void show(const pio_model *model, int kinds, const cure *c, char *text, size_t bytes) {
    const uint64_t limit = model->options.memory_limit_bytes;
    char size[PIO_BYTES_TEXT];
    size_t used = 0;
    text[0] = 0;
    if (kinds & WEIGHTS) used += (size_t)snprintf(text, bytes, "--weights %s", pio_dtype_name(c->weights));
    if (kinds & CHUNK)
        used += (size_t)snprintf(text + used, bytes - used, "%s--prefill-chunk %d", used ? " with " : "", c->chunk);
    if ((kinds & CONTEXT) && model->options.context_of)
        used += (size_t)snprintf(text + used, bytes - used, "%sa context of %d in place of %s", used ? " with " : "",
                                 c->context, model->options.context_of);
    else if (kinds & CONTEXT)
        used += (size_t)snprintf(text + used, bytes - used, "%s--context %d", used ? " with " : "", c->context);
    if (limit && c->plan.total > limit)
        used += (size_t)snprintf(text + used, bytes - used, " with --memory-limit %lluM", limit_for(c->plan.total));
    const bool full = pio_memory_full_heap(&model->memory_plan) >= 0;
    const uint64_t needs =
        full ? pio_memory_in_heap(&c->plan, c->plan.budget.heap_of[PIO_BUFFER_DEVICE]) : c->plan.total;
    snprintf(text + used, bytes - used, " (%s)", pio_bytes_text(needs, size));
}

typedef struct cures {
    char texts[MOST_CURES][200];
    int n;
} cures;

/* Each setting that is enough by itself; else the first two, or three, that are enough together. */
static void find_cures(const pio_model *model, uint64_t limit, cures *out) {
    static const int single[] = {WEIGHTS, CHUNK, CONTEXT},
                     several[] = {CHUNK | CONTEXT, WEIGHTS | CHUNK, WEIGHTS | CONTEXT, WEIGHTS | CHUNK | CONTEXT};
    const int open = open_kinds(model);
    cure c;
    for (size_t i = 0; i < PIO_COUNT(single); i++)
        if ((open & single[i]) && find(model, single[i], limit, &c))
            show(model, single[i], &c, out->texts[out->n++], sizeof *out->texts);
    for (size_t i = 0; i < PIO_COUNT(several) && !out->n; i++)
        if ((open & several[i]) == several[i] && find(model, several[i], limit, &c))
            show(model, several[i], &c, out->texts[out->n++], sizeof *out->texts);
}

/* The limit that would let the model in as it is, where there is one and memory enough. */
static void raise_limit(const pio_model *model, cures *out) {
    const pio_memory_plan *plan = &model->memory_plan;
    const uint64_t limit = model->options.memory_limit_bytes;
    if (!limit || plan->total <= limit || !pio_memory_fits(plan, 0)) return;
    snprintf(out->texts[out->n++], sizeof *out->texts, "--memory-limit %lluM", limit_for(plan->total));
}

/* Nothing that was tried is enough. */
static void say_no_cure(const pio_model *model, char *text, size_t bytes) {
    static const struct {
        int kind;
        const char *name;
    } kinds[] = {{WEIGHTS, "--weights q4"}, {CONTEXT, "a smaller context"}, {CHUNK, "a smaller --prefill-chunk"}};
    const int open = open_kinds(model), n = __builtin_popcount((unsigned)open);
    size_t used = (size_t)snprintf(text, bytes, n > 1 ? "neither" : n ? "not even" : "no setting");
    int said = 0;
    for (size_t i = 0; i < PIO_COUNT(kinds); i++)
        if (open & kinds[i].kind)
            used += (size_t)snprintf(text + used, bytes - used, "%s %s", said++ ? " nor" : "", kinds[i].name);
    snprintf(text + used, bytes - used, " would do: use a smaller model or a device with more memory");
}

/* "A, B or C would fit" */
static void say_cure(const pio_model *model, char *text, size_t bytes) {
    const uint64_t limit = model->options.memory_limit_bytes;
    cures found = {.n = 0};
    size_t used = 0;
    find_cures(model, limit, &found);
    raise_limit(model, &found);
    if (!found.n && limit) find_cures(model, 0, &found);
    if (!found.n) {
        say_no_cure(model, text, bytes);
        return;
    }
    for (int i = 0; i < found.n; i++)
        used += (size_t)snprintf(text + used, bytes - used, "%s%s",
                                 !i                ? ""
                                 : i + 1 < found.n ? ", "
                                                   : " or ",
                                 found.texts[i]);
    snprintf(text + used, bytes - used, " would fit");
}

/* ---- what takes the room ---- */

typedef struct part {
    const char *name;
    uint64_t bytes;
} part;

/* "weights 8.05 GB, KV cache 4.83 GB, workspace 120 MB": the largest three. */
static void say_parts(const pio_memory_plan *plan, uint64_t staging, char *text, size_t bytes) {
    part parts[] = {{"weights", plan->weights}, {"KV cache", plan->cache},   {"workspace", plan->workspace},
                    {"states", plan->states},   {"a picture", plan->vision}, {"staging while loading", staging}};
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

/* Memory of the host's, on a device with its own: what loading takes of it grows with the threads. */
static pio_status fail_host(const pio_model *model, int heap, pio_error *error) {
    const pio_memory_plan *plan = &model->memory_plan;
    char needs[PIO_BYTES_TEXT], room[PIO_BYTES_TEXT];
    return pio_fail(error, PIO_OUT_OF_MEMORY,
                    "'%s' needs %s of the host's memory while it is loaded and %s are free to %s: use fewer --threads",
                    model->directory, pio_bytes_text(pio_memory_in_heap(plan, heap), needs),
                    pio_bytes_text(plan->budget.heaps[heap].bytes, room), model->chosen.caps.name);
}

static pio_status fail_device(const pio_model *model, int heap, pio_error *error) {
    const pio_memory_plan *plan = &model->memory_plan;
    const pio_device_caps *caps = &model->chosen.caps;
    const bool allowed = heap < 0, own = caps->backend == PIO_BACKEND_CPU,
               staged = !allowed && heap == plan->budget.heap_of[PIO_BUFFER_UPLOAD | PIO_BUFFER_READBACK];
    char needs[PIO_BYTES_TEXT], room[PIO_BYTES_TEXT], parts[160], cure_text[600];
    say_parts(plan, staged ? plan->staging : 0, parts, sizeof parts);
    say_cure(model, cure_text, sizeof cure_text);
    return pio_fail(error, PIO_OUT_OF_MEMORY, "'%s' needs %s (%s) and %s are %s%s%s: %s", model->directory,
                    pio_bytes_text(allowed ? plan->total : pio_memory_in_heap(plan, heap), needs), parts,
                    pio_bytes_text(allowed ? model->options.memory_limit_bytes : plan->budget.heaps[heap].bytes, room),
                    allowed ? "allowed (memory_limit)" : "free", allowed || own ? "" : " on ",
                    allowed || own ? "" : caps->name, cure_text);
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

pio_status pio_model_check_memory(pio_model *model, pio_error *error) {
    const pio_memory_plan *plan = &model->memory_plan;
    const uint64_t limit = model->options.memory_limit_bytes;
    pio_status status = pio_model_look_at_memory(model, error);
    if (status) return status;
    const int heap = pio_memory_full_heap(plan);
    if (heap >= 0 && heap != plan->budget.heap_of[PIO_BUFFER_DEVICE]) return fail_host(model, heap, error);
    if (heap >= 0 && (!limit || limit > plan->budget.free_bytes)) return fail_device(model, heap, error);
    if (limit && plan->total > limit) return fail_device(model, -1, error);
    return heap < 0 ? check_buffers(model, error) : fail_device(model, heap, error);
}
