/* What `run` and `chat` share: sampling from the options, and an answer streamed to stdout. */
#ifndef PIO_APPS_CLI_SPEAK_H
#define PIO_APPS_CLI_SPEAK_H

#include "apps/cli/cli.h"
#include "engine/prompt.h"

typedef struct cli_speaker {
    pio_speaker *speaker;
    const cli_options *options;
    pio_config config;            /* the options' settings over the checkpoint's */
    pio_answer_settings settings; /* of every answer */
    bool has_form;
    pio_chat_form form;
} cli_speaker;

pio_status cli_speaker_open(const cli_options *options, cli_speaker *out, pio_error *error);
void cli_speaker_close(cli_speaker *speaker);

/* An answer with the settings of the command line, not yet run. */
pio_answer cli_answer(const cli_speaker *speaker);

/* Renders, runs and prints the answer as it comes, then a newline. Unless it fails, the caller frees *answer. */
pio_status cli_say(cli_speaker *speaker, json_t *input, pio_answer *answer, pio_error *error);

/* The same for a text as it stands, completed; with the setting `suffix`, between this prefix and that. */
pio_status cli_complete(cli_speaker *speaker, const char *prefix, pio_answer *answer, pio_error *error);

#endif
