/* A plugin's life, with the C interface alone:
 *
 *     cc examples/plugin.c -Iinclude -Lbuild -linference_pio -o plugin && LD_LIBRARY_PATH=build ./plugin [DIRECTORY]
 *
 * Without a directory it answers with the tiny checkpoint that is bundled. */
#include <stdio.h>

#include "inference_pio/plugin.h"

extern char **environ;

static bool print(void *user, pio_delta delta, int32_t call, const char *text, size_t bytes) {
    (void)call;
    if (delta == PIO_DELTA_TEXT) fwrite(text, 1, bytes, user);
    return true; /* false would end the answer */
}

static pio_status answer(pio_plugin *plugin) {
    const pio_option turn[] = {{"text", "What is 47 + 38?"}, {"max_tokens", "50"}};
    const pio_option brief[] = {{"max_tokens", "20"}, {"temperature", "0"}};
    const char *conversation = "[{\"role\": \"user\", \"content\": \"My name is Ada.\"},"
                               " {\"role\": \"assistant\", \"content\": \"Nice to meet you, Ada!\"},"
                               " {\"role\": \"user\", \"content\": \"What is my name?\"}]";
    const char *prompt = "<|im_start|>user\nSpell house.<|im_end|>\n<|im_start|>assistant\n";
    pio_result *result;
    pio_status status = pio_plugin_infer(plugin, &(pio_options){turn, 2}, &result);
    if (status) return status;
    printf("infer: %s (%d tokens, %s)\n", pio_result_text(result), (int)pio_result_answer_tokens(result),
           pio_result_finish(result));
    pio_result_free(result);

    printf("chat: ");
    status = pio_plugin_chat_completion(plugin, conversation, NULL, print, stdout, &result);
    printf("\n");
    if (status) return status;
    pio_result_free(result);

    status = pio_plugin_generate_text(plugin, prompt, &(pio_options){brief, 2}, NULL, NULL, &result);
    if (status) return status;
    printf("generate: %s\n", pio_result_text(result));
    pio_result_free(result);
    return PIO_OK;
}

int main(int argc, char **argv) {
    const pio_option settings[] = {{"context", "512"}};
    pio_plugin *plugin;
    pio_error error;
    if (pio_create_qwen3_4b_instruct_2507_plugin(&plugin, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    pio_status status = pio_plugin_read_environment(plugin, environ);
    if (!status) status = pio_plugin_initialize(plugin, &(pio_options){settings, 1});
    if (!status) status = pio_plugin_load_model(plugin, argc > 1 ? argv[1] : NULL);
    if (!status) {
        fprintf(stderr, "device: %s\n", pio_plugin_device(plugin));
        if (pio_plugin_is_bundled(plugin)) fprintf(stderr, "bundled: %s\n", pio_plugin_model(plugin));
        status = answer(plugin);
    }
    if (status) fprintf(stderr, "%s\n", pio_plugin_error(plugin));
    pio_plugin_cleanup(plugin);
    return status ? 1 : 0;
}
