/* What `run` and `chat` share: settings, tools and pictures from the options, and answers made and shown. */
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
    json_t *tools; /* of --tools; NULL: none */
} cli_speaker;

pio_status cli_speaker_open(const cli_options *options, cli_speaker *out, pio_error *error);
void cli_speaker_close(cli_speaker *speaker);

/* What the template takes for these messages. A new reference; NULL: no memory. */
json_t *cli_input(const cli_speaker *speaker, json_t *messages);

/* The content of a user turn: the text alone, or the pictures (a list of paths; NULL: none) and it. A new reference. */
json_t *cli_content(const json_t *pictures, json_t *text);

/* An answer with the settings of the command line, not yet run. */
pio_answer cli_answer(const cli_speaker *speaker);

/* Renders, runs and shows the answer: as it comes, then a newline; with --json when it is whole, one line. Unless it
 * fails, the caller frees *answer. */
pio_status cli_say(cli_speaker *speaker, json_t *input, pio_answer *answer, pio_error *error);

/* The same for a text as it stands, completed; with the setting `suffix`, between this prefix and that. */
pio_status cli_complete(cli_speaker *speaker, const char *prefix, pio_answer *answer, pio_error *error);

/* ---- showing (show.c) ---- */

/* Prints an answer while it comes: text and tool calls to stdout, reasoning to stderr. */
typedef struct cli_printer {
    bool hides_reasoning;
    bool in_line;    /* stdout's last character was no newline */
    bool in_thought; /* stderr's */
} cli_printer;

bool cli_print_event(void *printer, const pio_answer_event *event);
bool cli_print_text(void *printer, const char *text, size_t bytes);

/* [{"id", "type": "function", "function": {"name", "arguments": {...}}}]. A new reference; NULL: no memory. */
json_t *cli_tool_calls(const pio_answer *answer);

/* The answer as JSON: text, reasoning, tool_calls, finish, counts and times. A new reference; NULL: no memory. */
json_t *cli_answer_json(const cli_speaker *speaker, const pio_answer *answer);

/* One line of stdout; takes the reference. */
pio_status cli_print_line(json_t *json, pio_error *error);

/* To stderr: that the context cut the answer, if it did; with --stats the counts. `of` stands before ("'f', line 3: ")
 */
void cli_note_cut(const cli_speaker *speaker, const pio_answer *answer, const char *of);
void cli_print_stats(const pio_answer *answer);

/* ---- many conversations of --batch-file (batch.c) ---- */
int cli_run_batch(cli_speaker *speaker);

#endif
