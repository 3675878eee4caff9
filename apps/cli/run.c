/* run: one answer to one user turn; or, with --batch-file, many conversations together. */
#include "apps/cli/speak.h"

static pio_status check_options(const cli_options *o, pio_error *error) {
    if (o->n_images && o->batch_file)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "--image goes with a prompt: in a batch file pictures are parts of messages");
    if (!o->prompt == !o->batch_file)
        return pio_fail(error, PIO_INVALID_ARGUMENT, "run wants either a prompt or --batch-file: see --help");
    return PIO_OK;
}

static int run_one(cli_speaker *speaker) {
    const cli_options *options = speaker->options;
    json_t *pictures = json_array(), *text = json_string(options->prompt);
    for (int i = 0; i < options->n_images; i++) json_array_append_new(pictures, json_string(options->images[i]));
    json_t *messages = json_pack("[{s:s, s:o}]", "role", "user", "content", cli_content(pictures, text));
    json_t *input = messages ? cli_input(speaker, messages) : NULL;
    const bool completes = pio_config_is_set(&speaker->config, PIO_KEY_SUFFIX);
    pio_answer answer;
    pio_error error = {0};
    pio_status status = !input      ? pio_fail_memory(&error, "the prompt", sizeof *input)
                        : completes ? cli_complete(speaker, options->prompt, &answer, &error)
                                    : cli_say(speaker, input, &answer, &error);
    json_decref(input);
    json_decref(messages);
    json_decref(pictures);
    json_decref(text);
    if (status) return cli_refuse(&error);
    pio_answer_free(&answer);
    return cli_interrupted() ? EXIT_INTERRUPTED : EXIT_DONE;
}

int cli_run(const cli_options *options) {
    enum { TOGETHER = 16, TOGETHER_CONTEXT = 2048 };
    pio_error error = {0};
    cli_speaker speaker = {0};
    cli_options adjusted = *options;
    if (options->batch_file) { /* conversations run side by side */
        if (!pio_config_is_set(&options->config, PIO_KEY_MAX_SEQUENCES)) adjusted.engine.max_sequences = TOGETHER;
        if (!adjusted.engine.context) adjusted.engine.most_context = TOGETHER_CONTEXT;
    }
    cli_catch_interrupt();
    if (check_options(options, &error)) return cli_refuse_usage(&error);
    pio_status status = cli_speaker_open(&adjusted, &speaker, &error);
    if (status) return cli_refuse(&error);
    int code = options->batch_file ? cli_run_batch(&speaker) : run_one(&speaker);
    cli_speaker_close(&speaker);
    return code;
}
