#include "tests/support/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

extern char **environ;

enum { MAX_ARGUMENTS = 40 };

/* ---- the child ---- */

static void limit(int resource, size_t bytes) {
    const struct rlimit value = {bytes, bytes};
    if (bytes && setrlimit(resource, &value)) _exit(120);
}

static void set_environment(const char *const *environment) {
    unsetenv("XDG_CACHE_HOME");
    for (char **setting = environ; *setting;) { /* unsetenv moves up what follows */
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*setting, "="), *setting);
        const bool kept = strncmp(name, "PIO_", 4) || !strcmp(name, "PIO_BACKEND") || strlen(name) == sizeof name - 1;
        if (kept || unsetenv(name)) setting++;
    }
    for (; environment && *environment; environment++) putenv((char *)*environment);
}

static void become(const cli_call *call, int in, int out, int err) {
    static char program[] = PIO_BUILD_DIR "/inference-pio";
    char *arguments[MAX_ARGUMENTS + 2] = {program};
    for (int i = 0; call->arguments[i] && i < MAX_ARGUMENTS; i++) arguments[i + 1] = (char *)call->arguments[i];
    dup2(in, STDIN_FILENO);
    dup2(err, STDERR_FILENO);
    if (call->sink == CLI_FULL_DISK) out = open("/dev/full", O_WRONLY);
    dup2(out, STDOUT_FILENO);
    if (call->sink == CLI_CLOSED) close(STDOUT_FILENO);
    set_environment(call->environment);
    limit(RLIMIT_AS, call->address_space_bytes);
    limit(RLIMIT_FSIZE, call->file_bytes);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL); /* a shell's jobs in the background ignore it */
    execv(program, arguments);
    _exit(121);
}

static void make_pipe(int ends[2]) {
    if (pipe2(ends, O_CLOEXEC)) fail_msg("no pipe: %s", strerror(errno));
}

cli_process *cli_start(const cli_call *call) {
    cli_process *process = calloc(1, sizeof *process);
    int in[2], out[2], err[2];
    assert_non_null(process);
    signal(SIGPIPE, SIG_IGN); /* a child that ends without reading its input is no fault of the test */
    make_pipe(in);
    make_pipe(out);
    make_pipe(err);
    if (call->sink == CLI_BROKEN_PIPE) close(out[0]);
    process->pid = fork();
    if (process->pid < 0) fail_msg("no process: %s", strerror(errno));
    if (!process->pid) become(call, in[0], out[1], err[1]);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    process->in = in[1];
    process->out = call->sink == CLI_BROKEN_PIPE ? -1 : out[0];
    process->err = err[0];
    process->result = (cli_result){.out = calloc(1, 1), .err = calloc(1, 1)};
    if (call->input) { /* inputs are smaller than a pipe holds, else a writer of its own would be needed */
        size_t n = call->n_input ? call->n_input : strlen(call->input);
        assert_true(n <= 60000);
        if (write(process->in, call->input, n) != (ssize_t)n && errno != EPIPE) fail_msg("%s", strerror(errno));
    }
    if (!call->keep_input_open) cli_close_input(process);
    return process;
}

/* ---- its output ---- */

/* Appends what can be read now; closes the descriptor at its end. */
static void take(int *fd, char **text, size_t *n) {
    char piece[65536];
    ssize_t got = read(*fd, piece, sizeof piece);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) {
        close(*fd);
        *fd = -1;
        return;
    }
    *text = realloc(*text, *n + (size_t)got + 1);
    assert_non_null(*text);
    memcpy(*text + *n, piece, (size_t)got);
    *n += (size_t)got;
    (*text)[*n] = 0;
}

static void give_up(const cli_process *process) {
    kill(process->pid, SIGKILL);
    fail_msg("no end after %d s; stdout '%s', stderr '%s'", CLI_LIMIT_S, process->result.out, process->result.err);
}

/* Reads from both streams once there is something; false when both are closed. */
static bool pump(cli_process *process, time_t until) {
    struct pollfd ends[2] = {{process->out, POLLIN, 0}, {process->err, POLLIN, 0}}; /* -1 is passed over */
    if (process->out < 0 && process->err < 0) return false;
    if (time(NULL) >= until) give_up(process);
    if (poll(ends, 2, 1000) <= 0) return true;
    if (ends[0].revents) take(&process->out, &process->result.out, &process->result.n_out);
    if (ends[1].revents) take(&process->err, &process->result.err, &process->result.n_err);
    return true;
}

bool cli_wait_out(cli_process *process, const char *text) {
    const time_t until = time(NULL) + CLI_LIMIT_S;
    while (!strstr(process->result.out, text))
        if (!pump(process, until)) return false;
    return true;
}

bool cli_wait_err(cli_process *process, const char *text) {
    const time_t until = time(NULL) + CLI_LIMIT_S;
    while (!strstr(process->result.err, text))
        if (!pump(process, until)) return false;
    return true;
}

bool cli_wait_more_out(cli_process *process, size_t n_bytes) {
    const time_t until = time(NULL) + CLI_LIMIT_S;
    while (process->result.n_out <= n_bytes)
        if (!pump(process, until)) return false;
    return true;
}

static int occurrences(const char *text, const char *part) {
    int n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

bool cli_wait_err_times(cli_process *process, const char *text, int times) {
    const time_t until = time(NULL) + CLI_LIMIT_S;
    while (occurrences(process->result.err, text) < times)
        if (!pump(process, until)) return false;
    return true;
}

void cli_send(cli_process *process, const char *text) {
    assert_int_equal(write(process->in, text, strlen(text)), strlen(text));
}

void cli_close_input(cli_process *process) {
    if (process->in >= 0) close(process->in);
    process->in = -1;
}

cli_result cli_finish(cli_process *process) {
    const time_t until = time(NULL) + CLI_LIMIT_S;
    int how;
    cli_close_input(process);
    while (pump(process, until)) continue;
    while (waitpid(process->pid, &how, 0) < 0 && errno == EINTR) continue;
    cli_result result = process->result;
    result.code = WIFEXITED(how) ? WEXITSTATUS(how) : -WTERMSIG(how);
    free(process);
    return result;
}

cli_result cli_run(const cli_call *call) {
    return cli_finish(cli_start(call));
}

void cli_free(cli_result *result) {
    free(result->out);
    free(result->err);
    *result = (cli_result){0};
}

/* ---- promises ---- */

static int count(const char *text, const char *part) {
    int n = 0;
    for (; (text = strstr(text, part)); text += strlen(part)) n++;
    return n;
}

/* The error's line: the last, the only one of its kind, and no longer than a sentence. */
static const char *check_sentence(const cli_result *r) {
    static const char mark[] = "inference-pio: ";
    const char *at = strstr(r->err, mark), *next;
    while (at && (next = strstr(at + 1, "\ninference-pio: "))) at = next + 1;
    if (!at || (at != r->err && at[-1] != '\n')) return "no sentence";
    if (count(r->err, "\ninference-pio: ") + !strncmp(r->err, mark, strlen(mark)) != 1) return "two sentences";
    const char *end = strchr(at, '\n');
    if (!end || end[1]) return "the sentence is not the last line";
    return NULL;
}

void cli_expect(const cli_result *r, int code, const char *const *parts) {
    const char *wrong = r->code == code ? NULL : "the exit code";
    if (!wrong && code != CLI_DONE && code != CLI_INTERRUPTED) wrong = check_sentence(r);
    for (; !wrong && *parts; parts++)
        if (!strstr(r->err, *parts)) wrong = *parts;
    if (!wrong) return;
    print_error("stdout: %.2000s\nstderr: %.4000s\n", r->out, r->err);
    fail_msg("exit code %d, expected %d; wrong: %s", r->code, code, wrong);
}

/* ---- checkpoints ---- */

char *cli_read_file(const char *path, size_t *n_bytes) {
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("'%s' cannot be opened", path);
    fseek(file, 0, SEEK_END);
    *n_bytes = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*n_bytes + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, *n_bytes, file), *n_bytes);
    text[*n_bytes] = 0;
    fclose(file);
    return text;
}

char *cli_copy_tiny(void) {
    static const char *const names[] = {"config.json",    "generation_config.json", "model.safetensors",
                                        "tokenizer.json", "tokenizer_config.json",  "chat_template.jinja"};
    char *directory = temp_dir_make();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[512];
        size_t n;
        snprintf(path, sizeof path, CLI_TINY_PATH "/%s", names[i]);
        char *text = cli_read_file(path, &n);
        temp_dir_write(directory, names[i], text, n);
        free(text);
    }
    return directory;
}
