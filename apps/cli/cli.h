/* The command line: one file a subcommand, one table of options, one way to report errors. */
#ifndef PIO_APPS_CLI_H
#define PIO_APPS_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/status.h"
#include "engine/config.h"
#include "engine/request.h"
#include "text/token_ids.h"
#include "text/utf8.h"

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

/* Which options a subcommand takes. */
typedef enum cli_group {
    CLI_DEVICE = 1 << 0,   /* which device; --config */
    CLI_MODEL = 1 << 1,    /* of memory and tuning */
    CLI_SAMPLING = 1 << 2, /* of answers */
    CLI_JSON = 1 << 3,
    CLI_RUN = 1 << 4,
    CLI_LOGITS = 1 << 5,
    CLI_BENCH = 1 << 6,
    CLI_PLAN = 1 << 7,
    CLI_SPEAK = 1 << 8,
    CLI_FILES = 1 << 9, /* where bundled models are */
    CLI_CHAT = 1 << 10,
    CLI_HARDWARE = 1 << 11, /* what computes there: data types and kernels */
    CLI_COMPARE = 1 << 12,
} cli_group;

enum { CLI_MAX_IMAGES = 64 };

/* What was given on the command line and in the environment. */
typedef struct cli_options {
    const char *model, *prompt; /* positional */
    const char *config_file;
    pio_config config;         /* settings of the command line, the environment and the file */
    pio_engine_options engine; /* what they say of the engine */
    bool json;

    const char *batch_file, *tools;
    bool stats;

    const char *ids, *ids_file, *out;
    int step, greedy;
    const char *images[CLI_MAX_IMAGES];
    int n_images;

    int tokens, batch, repeats, picture;
    bool dummy_weights, graph, profile;

    const char *backends, *bound;
} cli_options;

typedef struct cli_command {
    const char *name, *arguments, *summary;
    int groups;      /* cli_group bits */
    int least, most; /* positional arguments */
    int (*run)(const cli_options *options);
    const char *notes; /* of --help, whole lines; NULL: none */
} cli_command;

int cli_devices(const cli_options *options);
int cli_run(const cli_options *options);
int cli_chat(const cli_options *options);
int cli_bench(const cli_options *options);
int cli_logits(const cli_options *options);
int cli_tokenize(const cli_options *options);
int cli_detokenize(const cli_options *options);
int cli_render(const cli_options *options);
int cli_plan(const cli_options *options);
int cli_compare(const cli_options *options);

/* Fills *options from the environment and the arguments behind the subcommand. Returns EXIT_DONE, or EXIT_USAGE with
 * the sentence printed; *help is set when --help was asked for. The caller frees options->config. */
int cli_parse(const cli_command *command, int argc, char **argv, cli_options *options, bool *help);
void cli_help(const cli_command *command, FILE *to);

/* Prints the sentence as the last line of stderr and returns EXIT_REFUSED, or EXIT_INTERRUPTED when cancelled. */
int cli_refuse(const pio_error *error);

/* The same for what was typed wrong: EXIT_USAGE. */
int cli_refuse_usage(const pio_error *error);

/* Lines of input that were refused while the others are answered. */
typedef struct cli_refusals {
    int n;
    pio_error last;
} cli_refusals; /* begin with {0} */

/* Warns of the line; `file` names where it stands ("'f.jsonl'"). */
void cli_refuse_line(cli_refusals *refusals, const char *file, long line, pio_error *error);

/* The one sentence about them, in the end. Returns EXIT_DONE where there are none. */
int cli_end_lines(const cli_refusals *refusals);

/* Before anything else: standard streams that are closed are opened, so that no file of ours takes their place; a
 * closed pipe and a file that grows too large become errors of the write instead of signals. */
void cli_begin(void);

/* Before any device is opened: has Mesa keep no cache where the disk is full or may not be written (driver_cache.c). */
void cli_spare_driver_cache(void);

/* Flushes stdout; an answer that could not be written is a failure, however it ended. Returns the exit code. */
int cli_end(int code);

/* Prints the object and a newline and frees it; NULL: it could not be made. Returns the exit code. */
int cli_print_json(json_t *json);

/* Appends the ids of "1,2,3", or of a file with a JSON array, to *ids. */
pio_status cli_parse_ids(const char *text, pio_token_ids *ids, pio_error *error);
pio_status cli_read_ids(const char *path, pio_token_ids *ids, pio_error *error);

/* The directory that the model's argument names: a directory, or a bundled model's name. */
pio_status cli_find_model(const cli_options *options, char *path, size_t bytes, pio_error *error);

/* Opens and loads the model, printing the device line; `config_only`: opens it alone. */
pio_status cli_open_model(const cli_options *options, bool config_only, pio_model **model, pio_error *error);

/* ---- Ctrl-C ---- the first one asks to stop, a second one ends the program */
void cli_catch_interrupt(void);
bool cli_interrupted(void);
void cli_forget_interrupt(void);

/* Reads lines from stdin, hands each (without its newline) to `line`, and prints what that appends to `out`. A line
 * that is refused ends the command, with its number in the sentence. */
int cli_each_line(pio_status (*line)(void *user, const char *text, size_t bytes, pio_text *out, pio_error *error),
                  void *user);

/* The whole of stdin or of a file, at most `limit` bytes; the caller frees *text. */
pio_status cli_read_all(FILE *file, const char *name, size_t limit, char **text, size_t *bytes, pio_error *error);

#endif
