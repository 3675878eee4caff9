/* What `run` and `chat` share: sampling from the options, and an answer streamed to stdout. */
#ifndef PIO_APPS_CLI_SPEAK_H
#define PIO_APPS_CLI_SPEAK_H

#include "apps/cli/cli.h"
#include "engine/answer.h"

typedef struct cli_speaker {
    pio_speaker *speaker;
    const cli_options *options;
    pio_sampling sampling; /* the checkpoint's, with the options over it */
    pio_logit_bias biases[CLI_MAX_BIASES];
} cli_speaker;

/* What can be known of the options without a model: numbers in their range. */
pio_status cli_check_speaking(const cli_options *options, pio_error *error);

pio_status cli_speaker_open(const cli_options *options, cli_speaker *out, pio_error *error);
void cli_speaker_close(cli_speaker *speaker);

/* {"messages": [...]} of the system message (if any) and what is in `messages`; a new reference. */
json_t *cli_chat_input(const cli_speaker *speaker, json_t *messages);

/* Renders, runs and prints the answer as it comes, then a newline. Unless it fails, the caller frees *answer. */
pio_status cli_say(cli_speaker *speaker, json_t *input, pio_answer *answer, pio_error *error);

#endif
