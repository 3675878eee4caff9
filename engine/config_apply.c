/* What the settings are for: the options of a model, the sampling of an answer. */
#include <time.h>

#include "engine/config_parse.h"
#include "engine/device.h"

static uint32_t features_off(const pio_config *config) {
    static const struct {
        const char *name;
        uint32_t bits;
    } sets[] = {{"avx2", PIO_CPU_AVX2 | PIO_CPU_AVX512 | PIO_CPU_AVX512BF16 | PIO_CPU_AMX},
                {"avx512", PIO_CPU_AVX512 | PIO_CPU_AVX512BF16 | PIO_CPU_AMX},
                {"avx512bf16", PIO_CPU_AVX512BF16 | PIO_CPU_AMX}, /* AMX rows lean on it */
                {"amx", PIO_CPU_AMX}};
    uint32_t bits = 0;
    for (int32_t i = 0; i < pio_config_count(config, PIO_KEY_CPU_WITHOUT); i++)
        for (size_t j = 0; j < PIO_COUNT(sets); j++)
            if (!strcmp(pio_config_at(config, PIO_KEY_CPU_WITHOUT, i), sets[j].name)) bits |= sets[j].bits;
    return bits;
}

static pio_kv_type kv_type(const char *text) {
    return !strcmp(text, "bf16") ? PIO_KV_TYPE_BF16 : !strcmp(text, "f32") ? PIO_KV_TYPE_F32 : PIO_KV_TYPE_AUTO;
}

pio_status pio_config_engine(const pio_config *config, pio_engine_options *o, pio_error *error) {
    pio_backend_parse(pio_config_text(config, PIO_KEY_BACKEND), &o->backend, NULL);
    o->device = pio_config_is_set(config, PIO_KEY_DEVICE) ? (int)pio_config_integer(config, PIO_KEY_DEVICE) : PIO_AUTO;
    o->n_threads = (int)pio_config_integer(config, PIO_KEY_THREADS);
    o->cpu_features_off = features_off(config);
    o->weights = pio_dtype_find(pio_config_text(config, PIO_KEY_WEIGHTS));
    o->compute_f32 = !strcmp(pio_config_text(config, PIO_KEY_COMPUTE), "f32");
    o->kernels = pio_config_text(config, PIO_KEY_KERNEL);
    o->context = (int32_t)pio_config_integer(config, PIO_KEY_CONTEXT);
    o->memory_limit_bytes = (uint64_t)pio_config_integer(config, PIO_KEY_MEMORY_LIMIT);
    o->kv_type = kv_type(pio_config_text(config, PIO_KEY_KV_CACHE));
    o->page_tokens = (int32_t)pio_config_integer(config, PIO_KEY_PAGE_TOKENS);
    o->no_prefix_cache = !pio_config_switch(config, PIO_KEY_PREFIX_CACHE);
    o->chunk = (int32_t)pio_config_integer(config, PIO_KEY_PREFILL_CHUNK);
    o->max_sequences = (int32_t)pio_config_integer(config, PIO_KEY_MAX_SEQUENCES);
    const bool cache = pio_config_switch(config, PIO_KEY_CACHE);
    o->cache_directory = cache ? pio_config_text(config, PIO_KEY_CACHE_DIRECTORY) : NULL;
    o->kernel_cache_directory = pio_config_text(config, PIO_KEY_CACHE_DIRECTORY);
    if (cache && !o->cache_directory)
        return pio_fail(error, PIO_NOT_FOUND,
                        "there is no place for the cache: set cache_directory, XDG_CACHE_HOME or HOME");
    return PIO_OK;
}

void pio_config_answer(const pio_config *config, pio_answer_settings *settings) {
    pio_sampling *s = &settings->sampling;
    *s = (pio_sampling){
        .temperature = (float)pio_config_number(config, PIO_KEY_TEMPERATURE),
        .top_k = (int32_t)pio_config_integer(config, PIO_KEY_TOP_K),
        .top_p = (float)pio_config_number(config, PIO_KEY_TOP_P),
        .min_p = (float)pio_config_number(config, PIO_KEY_MIN_P),
        .repetition_penalty = (float)pio_config_number(config, PIO_KEY_REPETITION_PENALTY),
        .presence_penalty = (float)pio_config_number(config, PIO_KEY_PRESENCE_PENALTY),
        .frequency_penalty = (float)pio_config_number(config, PIO_KEY_FREQUENCY_PENALTY),
        .seed = (uint64_t)pio_config_integer(config, PIO_KEY_SEED),
        .biases = settings->biases,
        .n_biases = pio_config_count(config, PIO_KEY_LOGIT_BIAS),
    };
    for (int32_t i = 0; i < s->n_biases; i++)
        pio_bias_parse(pio_config_at(config, PIO_KEY_LOGIT_BIAS, i), &settings->biases[i]);
    settings->max_tokens = (int32_t)pio_config_integer(config, PIO_KEY_MAX_TOKENS);
    settings->n_stops = pio_config_count(config, PIO_KEY_STOP);
    for (int32_t i = 0; i < settings->n_stops; i++) settings->stops[i] = pio_config_at(config, PIO_KEY_STOP, i);
    const bool budget = pio_config_is_set(config, PIO_KEY_THINKING_BUDGET);
    settings->thinking_budget = budget ? (int32_t)pio_config_integer(config, PIO_KEY_THINKING_BUDGET) : -1;
    settings->inline_reasoning = !strcmp(pio_config_text(config, PIO_KEY_REASONING), "inline");
    settings->hides_reasoning = !strcmp(pio_config_text(config, PIO_KEY_REASONING), "hidden");
    if (pio_config_is_set(config, PIO_KEY_SEED)) return;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    s->seed = (uint64_t)now.tv_sec * 1000000007u + (uint64_t)now.tv_nsec;
}

bool pio_config_form(const pio_config *config, const pio_model_family *family, pio_chat_form *form) {
    const char *calls = pio_config_text(config, PIO_KEY_TOOL_FORM);
    if (!family->chat_form) return false;
    *form = *family->chat_form;
    if (strcmp(calls, "auto")) form->tags = NULL;
    if (!strcmp(calls, "text")) form->call_open = NULL;
    return true;
}

bool pio_config_completion(const pio_config *config, const char *prefix, pio_text *out) {
    const char *suffix = pio_config_text(config, PIO_KEY_SUFFIX);
    const bool spm = !strcmp(pio_config_text(config, PIO_KEY_FIM_FORM), "spm");
    if (!suffix) return pio_text_append(out, prefix, strlen(prefix));
    const char *const parts[2][5] = {
        {"<|fim_prefix|>", prefix, "<|fim_suffix|>", suffix, "<|fim_middle|>"},
        {"<|fim_suffix|>", suffix, "<|fim_prefix|>", prefix, "<|fim_middle|>"},
    };
    bool fits = true;
    for (int i = 0; i < 5 && fits; i++) fits = pio_text_append(out, parts[spm][i], strlen(parts[spm][i]));
    return fits;
}

/* The input of a template, with what the settings add to it. */
static json_t *chat(const pio_config *config, json_t *messages) {
    static const struct {
        pio_key key;
        const char *name; /* to the template and to engine/prompt.h */
    } members[] = {{PIO_KEY_THINKING, "enable_thinking"},
                   {PIO_KEY_MIN_PIXELS, "min_pixels"},
                   {PIO_KEY_MAX_PIXELS, "max_pixels"},
                   {PIO_KEY_MAX_FRAMES, "max_frames"}};
    json_t *input = json_pack("{s:O, s:b}", "messages", messages, "add_generation_prompt", 1);
    for (size_t i = 0; i < PIO_COUNT(members) && input; i++) {
        if (!pio_config_is_set(config, members[i].key)) continue;
        if (!json_object_set_new(input, members[i].name, pio_config_value(config, members[i].key))) continue;
        json_decref(input);
        input = NULL;
    }
    return input;
}

json_t *pio_config_chat(const pio_config *config, json_t *messages) {
    const char *system = pio_config_text(config, PIO_KEY_SYSTEM);
    const char *first = json_string_value(json_object_get(json_array_get(messages, 0), "role"));
    if (!system || (first && !strcmp(first, "system"))) return chat(config, messages);
    json_t *all = json_pack("[{s:s, s:s}]", "role", "system", "content", system);
    if (all && json_array_extend(all, messages)) {
        json_decref(all);
        all = NULL;
    }
    json_t *input = all ? chat(config, all) : NULL;
    json_decref(all);
    return input;
}
