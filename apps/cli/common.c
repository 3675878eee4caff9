/* What the subcommands share: errors, interrupts, lines, and opening a model. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/cli/cli.h"
#include "engine/bundled.h"

static void print_error(const pio_error *error) {
    fflush(stdout);
    fprintf(stderr, "inference-pio: %s\n", error->text);
}

int cli_refuse(const pio_error *error) {
    print_error(error);
    return error->status == PIO_CANCELLED || cli_interrupted() ? EXIT_INTERRUPTED : EXIT_REFUSED;
}

int cli_refuse_usage(const pio_error *error) {
    print_error(error);
    return error->status == PIO_OUT_OF_MEMORY ? EXIT_REFUSED : EXIT_USAGE; /* no fault of what was typed */
}

void cli_refuse_line(cli_refusals *refusals, const char *file, long line, pio_error *error) {
    pio_fail_prefix(error, "%s, line %ld", file, line);
    fflush(stdout);
    fprintf(stderr, "warning: %s\n", error->text);
    refusals->n++;
    refusals->last = *error;
}

int cli_end_lines(const cli_refusals *refusals) {
    pio_error error = refusals->last;
    if (!refusals->n) return EXIT_DONE;
    if (refusals->n > 1) pio_fail_prefix(&error, "%d lines were refused, the last of them", refusals->n);
    return cli_refuse(&error);
}

/* ---- the standard streams ---- */

void cli_begin(void) {
    static const int modes[] = {O_RDONLY, O_RDONLY, O_RDWR}; /* what is written to a closed stdout is an error */
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0) (void)!open("/dev/null", modes[fd]); /* takes the lowest free number: fd */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

int cli_end(int code) {
    pio_error error;
    errno = 0;
    bool failed = fflush(stdout) || ferror(stdout);
    if (!failed || code != EXIT_DONE) return code;
    pio_fail(&error, PIO_IO, errno ? "standard output cannot be written: %s" : "standard output cannot be written",
             strerror(errno));
    return cli_refuse(&error);
}

int cli_print_json(json_t *json) {
    pio_error error;
    bool printed = json && !json_dumpf(json, stdout, JSON_INDENT(2)) && putchar('\n') != EOF;
    json_decref(json);
    if (printed || ferror(stdout)) return EXIT_DONE; /* cli_end tells of what could not be written */
    pio_fail(&error, PIO_INVALID_ARGUMENT, "the result is no JSON: a name in it is not UTF-8, or memory ran out");
    return cli_refuse(&error);
}

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t interrupts; /* a signal handler reaches nothing else */

static void on_interrupt(int signal_number) {
    (void)signal_number;
    if (interrupts++) _exit(EXIT_INTERRUPTED);
}

void cli_catch_interrupt(void) {
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
}

bool cli_interrupted(void) {
    return interrupts > 0;
}
void cli_forget_interrupt(void) {
    interrupts = 0;
}

/* ---- standard input ---- */

int cli_each_line(pio_status (*line)(void *, const char *, size_t, pio_text *, pio_error *), void *user) {
    char *text = NULL;
    size_t capacity = 0;
    pio_text out = {0};
    pio_error error = {0};
    pio_status status = PIO_OK;
    ssize_t n;
    for (long number = 1; !status && (n = getline(&text, &capacity, stdin)) >= 0; number++) {
        if (n && text[n - 1] == '\n') n--;
        out.n_bytes = 0;
        status = line(user, text, (size_t)n, &out, &error);
        if (status)
            pio_fail_prefix(&error, "standard input, line %ld", number);
        else if (fwrite(out.bytes, 1, out.n_bytes, stdout) != out.n_bytes)
            break;
    }
    free(text);
    pio_text_free(&out);
    if (!status && n < 0 && !feof(stdin))
        status = pio_fail(&error, PIO_IO, "standard input cannot be read: %s", strerror(errno));
    return status ? cli_refuse(&error) : EXIT_DONE; /* cli_end tells of what could not be written */
}

static pio_status fail_reading(FILE *file, const char *name, size_t limit, bool no_memory, pio_error *error) {
    if (cli_interrupted()) return pio_fail(error, PIO_CANCELLED, "interrupted while reading %s", name);
    if (ferror(file)) return pio_fail(error, PIO_IO, "%s cannot be read: %s", name, strerror(errno));
    return no_memory ? pio_fail_memory(error, name, limit)
                     : pio_fail(error, PIO_LIMIT, "%s is longer than %zu bytes", name, limit);
}

pio_status cli_read_all(FILE *file, const char *name, size_t limit, char **text, size_t *bytes, pio_error *error) {
    size_t capacity = 1 << 16;
    char *grown = malloc(capacity);
    *bytes = 0;
    *text = grown;
    while (grown && !feof(file) && !ferror(file) && *bytes <= limit) {
        *bytes += fread(*text + *bytes, 1, capacity - *bytes - 1, file);
        if (*bytes + 1 < capacity) continue;
        grown = realloc(*text, capacity *= 2);
        if (grown) *text = grown;
    }
    if (grown && feof(file) && *bytes <= limit) {
        (*text)[*bytes] = 0;
        return PIO_OK;
    }
    pio_status status = fail_reading(file, name, grown ? limit : capacity, !grown, error);
    free(*text);
    *text = NULL;
    return status;
}

/* ---- models ---- */

pio_status cli_find_model(const cli_options *options, char *path, size_t bytes, pio_error *error) {
    char program[4096];
    const ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[PIO_MAX(n, 0)] = 0;
    return pio_find_model(options->model, pio_config_text(&options->config, PIO_KEY_HOME), program, path, bytes, error);
}

static void note(void *user, bool warning, const char *line) {
    (void)user;
    fprintf(stderr, "%s%s\n", warning ? "warning: " : "", line);
}

static bool progress(void *user, const char *what, double fraction) {
    (void)user;
    if (isatty(STDERR_FILENO)) {
        int filled = (int)(fraction * 30);
        fprintf(stderr, "\r%s [%.*s%*s] %3.0f%%%s", what, filled, "==============================", 30 - filled, "",
                fraction * 100, fraction >= 1 ? "\r\033[K" : "");
        fflush(stderr);
    }
    return !cli_interrupted();
}

/* What follows when the model is open on a device. The line of one that may yet be passed over waits until the model is
 * loaded: of two devices the second one's says what became of the first. */
static pio_status start(const cli_options *options, bool config_only, pio_model *model, pio_error *error) {
    pio_status status = pio_config_check_model(&options->config, pio_model_family_name(model->family), error);
    if (status) return status;
    const bool waits =
        !config_only && model->options.backend == PIO_AUTO && model->chosen.caps.backend != PIO_BACKEND_CPU;
    if (!waits) pio_model_note_device(model);
    if (config_only) return PIO_OK;
    status = pio_model_check_computes(model, error);
    if (!status) status = pio_model_load(model, error);
    if (!status && waits) pio_model_note_device(model);
    return status;
}

pio_status cli_open_model(const cli_options *options, bool config_only, pio_model **model, pio_error *error) {
    char path[4096];
    *model = NULL;
    pio_engine_options engine = options->engine;
    engine.note = note;
    engine.progress = progress;
    engine.dummy_weights = options->dummy_weights;
    engine.config_only = config_only;
    pio_status status = cli_find_model(options, path, sizeof path, error);
    if (!status) status = pio_model_open(path, &engine, model, error);
    if (!status) status = start(options, config_only, *model, error);
    while (status && *model && pio_model_move(model, error)) status = start(options, config_only, *model, error);
    if (status) {
        pio_model_close(*model);
        *model = NULL;
    }
    return status;
}
