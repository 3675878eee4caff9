/* Running build/inference-pio as a user does: a process of its own, its output and the way it ended. Everything here
 * fails the running test when the system refuses. One thread. */
#ifndef PIO_TESTS_CLI_H
#define PIO_TESTS_CLI_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CLI_TINY      "qwen3_4b_instruct_2507"
#define CLI_TINY_PATH PIO_SOURCE_DIR "/assets/tiny/" CLI_TINY

/* No program hangs. This is not about speed: sanitizers and busy machines make a second a minute. */
enum { CLI_LIMIT_S = 600 };

enum { CLI_DONE = 0, CLI_REFUSED = 1, CLI_USAGE = 2, CLI_INTERRUPTED = 130 };

/* Where the child's stdout goes. */
typedef enum cli_sink {
    CLI_PIPE = 0,
    CLI_CLOSED,      /* no descriptor at all */
    CLI_BROKEN_PIPE, /* a pipe that nobody reads */
    CLI_FULL_DISK,   /* /dev/full */
} cli_sink;

typedef struct cli_call {
    const char *const *arguments;   /* behind the program's name, NULL at the end */
    const char *input;              /* stdin; NULL: empty */
    size_t n_input;                 /* its bytes; 0: strlen */
    const char *const *environment; /* "NAME=VALUE", NULL at the end; else no PIO_... but the test's own
                                       PIO_BACKEND, and no cache directory is set */
    size_t address_space_bytes;     /* limits of the process; 0: none */
    size_t file_bytes;
    cli_sink sink;
    bool keep_input_open; /* cli_send writes more */
} cli_call;

/* The strings have a NUL behind their bytes. */
typedef struct cli_result {
    int code; /* the exit code, or minus the signal that ended it */
    char *out, *err;
    size_t n_out, n_err;
} cli_result;

/* Runs to the end, for CLI_LIMIT_S at most. Free with cli_free. */
cli_result cli_run(const cli_call *call);
void cli_free(cli_result *result);

/* cli_run with arguments alone. */
#define CLI(...) cli_run(&(const cli_call){.arguments = (const char *const[]){__VA_ARGS__, NULL}})

/* ---- in steps ---- */

typedef struct cli_process {
    pid_t pid;
    int in, out, err; /* -1: closed */
    cli_result result;
} cli_process;

cli_process *cli_start(const cli_call *call);

/* Reads until stdout (or stderr) holds the text. False when the program ended before. */
bool cli_wait_out(cli_process *process, const char *text);
bool cli_wait_err(cli_process *process, const char *text);

/* Until stdout has more than n bytes, or stderr holds the text so many times. */
bool cli_wait_more_out(cli_process *process, size_t n_bytes);
bool cli_wait_err_times(cli_process *process, const char *text, int times);
void cli_send(cli_process *process, const char *text);
void cli_close_input(cli_process *process);

/* Waits for the end and frees the process. */
cli_result cli_finish(cli_process *process);

/* ---- what every command promises ---- */

/* It ended with `code`; if that is not CLI_DONE, stderr ends with exactly one sentence, which holds every part that is
 * given (NULL ends them). Prints both streams when not so. */
void cli_expect(const cli_result *result, int code, const char *const *parts);
#define CLI_EXPECT(result, code, ...) cli_expect(result, code, (const char *const[]){__VA_ARGS__, NULL})

/* Runs, expects and frees. */
#define CLI_REFUSES(code_, parts_, ...)                                                                                \
    do {                                                                                                               \
        cli_result refused_ = CLI(__VA_ARGS__);                                                                        \
        CLI_EXPECT(&refused_, code_, CLI_PARTS parts_);                                                                \
        cli_free(&refused_);                                                                                           \
    } while (0)
#define CLI_PARTS(...) __VA_ARGS__

/* ---- checkpoints to be spoilt ---- */

/* A copy of the tiny checkpoint in a fresh directory; free with temp_dir_remove. */
char *cli_copy_tiny(void);

/* Reads a file whole. */
char *cli_read_file(const char *path, size_t *n_bytes);

#endif
