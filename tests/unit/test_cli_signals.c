/* Ctrl-C, readers that go away, and the cache of quantised weights under all of it. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/cli.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"
#include "tests/support/test.h"

/* No end but the context's, which endless_model has far away; any bytes may come. */
#define ENDLESS                                                                                                        \
    "--logit-bias", "511=-1000", "--logit-bias", "510=-1000", "--logit-bias", "509=-1000", "--temperature", "3",       \
        "--context", "30000"

/* The tiny checkpoint with more positions than it was trained for. */
static char *endless_model(void) {
    char *directory = cli_copy_tiny();
    size_t n;
    char *text = cli_read_file(temp_dir_path(directory, "config.json"), &n);
    json_t *config = json_loadb(text, n, 0, NULL);
    json_object_set_new(config, "max_position_embeddings", json_integer(30000));
    free(text);
    text = json_dumps(config, 0);
    temp_dir_write(directory, "config.json", text, strlen(text));
    free(text);
    json_decref(config);
    return directory;
}

static cli_process *start(const char *const *arguments, bool keep_input_open, const char *input) {
    const cli_call call = {.arguments = arguments, .keep_input_open = keep_input_open, .input = input};
    return cli_start(&call);
}

#define START(...) start((const char *const[]){__VA_ARGS__, NULL}, false, NULL)

static void pause_ms(unsigned ms) {
    poll(NULL, 0, (int)ms);
}

static cli_result interrupt(cli_process *process) {
    kill(process->pid, SIGINT);
    return cli_finish(process);
}

static void interrupted_run(void **state) {
    (void)state;
    test_random random = test_random_begin("interrupted_run");
    char *directory = endless_model();
    for (int i = 0; i < 4; i++) {
        cli_process *process = START("run", directory, "hi", ENDLESS);
        assert_true(cli_wait_err(process, "device: "));
        if (i) pause_ms((unsigned)test_random_below(&random, 200));
        cli_result r = interrupt(process);
        CLI_EXPECT(&r, CLI_INTERRUPTED, "device: ");
        json_t *text = json_stringn(r.out, r.n_out);
        assert_non_null(text); /* whole UTF-8 */
        json_decref(text);
        if (r.n_out) assert_int_equal(r.out[r.n_out - 1], '\n');
        cli_free(&r);
    }
    temp_dir_remove(directory);
}

/* Whatever it is doing, from its first instruction on. Before its handler is there, the signal itself ends it. */
static void interrupted_anywhere(void **state) {
    (void)state;
    test_random random = test_random_begin("interrupted_anywhere");
    char *directory = temp_dir_make(), *model = endless_model();
    const char *out = temp_dir_path(directory, "out");
    const char *const runs[][15] = {
        {"run", model, "hi", ENDLESS, NULL},
        {"logits", model, "--ids=1,2,3", "--greedy=29000", "--out", out, NULL},
        {"bench", CLI_TINY, "--dummy-weights", "--repeats=1000", NULL},
        {"run", CLI_TINY, "--batch-file", "-", NULL},
        {"chat", CLI_TINY, NULL},
        {"tokenize", CLI_TINY, NULL},
        {"render", CLI_TINY, NULL},
    };
    for (int i = 0; i < 28; i++) {
        cli_process *process = start(runs[i % 7], true, NULL);
        pause_ms((unsigned)test_random_below(&random, 120));
        kill(process->pid, SIGINT);
        pause_ms(1);
        cli_result r = cli_finish(process);
        if (r.code != -SIGINT) CLI_EXPECT(&r, CLI_INTERRUPTED, NULL);
        assert_int_equal(temp_dir_count(directory), 0);
        cli_free(&r);
    }
    temp_dir_remove(model);
    temp_dir_remove(directory);
}

/* A model of half a gigabyte, long enough to be caught in the middle. */
static char *large_config(void) {
    char *directory = temp_dir_make();
    static const char text[] = "{\"model_type\": \"qwen3\", \"hidden_size\": 2048, \"intermediate_size\": 8192, "
                               "\"num_hidden_layers\": 4, \"num_attention_heads\": 16, \"num_key_value_heads\": 8, "
                               "\"head_dim\": 128, \"vocab_size\": 1024, \"max_position_embeddings\": 4096, "
                               "\"rms_norm_eps\": 1e-6, \"rope_theta\": 1e6, \"tie_word_embeddings\": true}";
    temp_dir_write(directory, "config.json", text, sizeof text - 1);
    return directory;
}

static void interrupted_loading_and_bench(void **state) {
    (void)state;
    char *directory = large_config();
    for (unsigned ms = 0; ms <= 200; ms += 200) {
        cli_process *process = START("bench", directory, "--dummy-weights", "--repeats=1000", "--json");
        assert_true(cli_wait_err(process, "device: "));
        pause_ms(ms);
        cli_result r = interrupt(process);
        CLI_EXPECT(&r, CLI_INTERRUPTED, "interrupted");
        assert_string_equal(r.out, "");
        cli_free(&r);
    }
    temp_dir_remove(directory);
}

/* Its answer goes into a pipe that is full and that nobody reads: the first Ctrl-C cannot be obeyed, the second is. */
static void second_interrupt(void **state) {
    (void)state;
    int ends[2];
    char junk[4096] = {0};
    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    while (write(ends[1], junk, sizeof junk) > 0) continue;
    fcntl(ends[1], F_SETFL, 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        signal(SIGINT, SIG_DFL);
        execl(PIO_BUILD_DIR "/inference-pio", "inference-pio", "run", CLI_TINY, "hi", (char *)NULL);
        _exit(121);
    }
    int how, n = 0;
    while (!waitpid(pid, &how, WNOHANG)) {
        pause_ms(200);
        if (n++ > CLI_LIMIT_S * 5) fail_msg("it does not end");
        kill(pid, SIGINT);
    }
    assert_true((WIFEXITED(how) && WEXITSTATUS(how) == CLI_INTERRUPTED) ||
                (WIFSIGNALED(how) && WTERMSIG(how) == SIGINT));
    close(ends[0]);
    close(ends[1]);
}

/* Each answer stops, and the chat does not: the next line is answered. Between lines it ends. */
static void interrupted_chat_on_a_pipe(void **state) {
    (void)state;
    char *directory = endless_model();
    const char *const arguments[] = {"chat", directory, "--stats", ENDLESS, NULL};
    for (int waits = 0; waits < 2; waits++) {
        cli_process *process = start(arguments, true, NULL);
        assert_true(cli_wait_err(process, "device: "));
        for (int turn = 0; turn < 3; turn++) {
            const size_t before = process->result.n_out; /* NULs may come, too */
            cli_send(process, "What is 1 + 1?\n");
            assert_true(cli_wait_more_out(process, before));
            kill(process->pid, SIGINT);
            if (!cli_wait_err_times(process, "answer: ", turn + 1))
                fail_msg("turn %d: the chat has ended: %s", turn, process->result.err);
        }
        if (waits) pause_ms(50);
        if (waits) kill(process->pid, SIGINT);
        cli_result r = cli_finish(process);
        CLI_EXPECT(&r, waits ? CLI_INTERRUPTED : CLI_DONE, NULL);
        json_t *text = json_stringn(r.out, r.n_out);
        assert_non_null(text);
        json_decref(text);
        cli_free(&r);
    }
    temp_dir_remove(directory);
}

/* ---- a person at a terminal ---- */

typedef struct terminal {
    pid_t pid;
    int fd;
    char text[1 << 18];
    size_t n, seen;
} terminal;

/* Reads what comes. */
static void read_more(terminal *t, const char *wanted) {
    struct pollfd end = {t->fd, POLLIN, 0};
    ssize_t n = poll(&end, 1, CLI_LIMIT_S * 1000) > 0 ? read(t->fd, t->text + t->n, sizeof t->text - 1 - t->n) : 0;
    if (n <= 0) fail_msg("the terminal never showed '%s' but '%s'", wanted, t->text + t->seen);
    for (size_t i = t->n; i < t->n + (size_t)n; i++)
        if (!t->text[i]) t->text[i] = '?';
    t->n += (size_t)n;
    t->text[t->n] = 0;
}

static void read_until(terminal *t, const char *wanted) {
    const char *found;
    while (!(found = strstr(t->text + t->seen, wanted))) read_more(t, wanted);
    t->seen = (size_t)(found - t->text) + strlen(wanted);
}

static void type(const terminal *t, const char *text) {
    assert_int_equal(write(t->fd, text, strlen(text)), strlen(text));
}

/* Types a line and waits for the first of its answer. A Ctrl-C before that would throw the line away: the terminal
 * does so. */
static void ask(terminal *t, const char *line) {
    type(t, line);
    read_until(t, "\r\n"); /* its echo */
    while (t->n == t->seen) read_more(t, "an answer");
}

static void chat_with_a_person(bool twice) {
    static terminal t;
    t = (terminal){0};
    char *directory = endless_model();
    t.pid = forkpty(&t.fd, NULL, NULL, NULL);
    if (t.pid < 0) { /* no terminals here */
        temp_dir_remove(directory);
        skip();
    }
    if (!t.pid) {
        signal(SIGINT, SIG_DFL);
        execl(PIO_BUILD_DIR "/inference-pio", "inference-pio", "chat", directory, "--context=30000",
              "--logit-bias=511=-1000", "--logit-bias=510=-1000", "--logit-bias=509=-1000", (char *)NULL);
        _exit(121);
    }
    read_until(&t, "device: ");
    read_until(&t, "Ctrl-C stops an answer; at the prompt Ctrl-D, or Ctrl-C twice, ends the chat");
    read_until(&t, "\r\n> ");
    for (int turn = 0; turn < 3; turn++) { /* each time the answer stops, and the chat does not */
        ask(&t, "What is 12 + 34?\n");
        type(&t, "\x03");
        read_until(&t, "\r\n> ");
    }
    type(&t, "caf\xe9\n");
    read_until(&t, "UTF-8");
    read_until(&t, "\r\n> ");
    for (int i = 0; i < 2; i++) { /* at the prompt: the line goes, the chat stays */
        type(&t, "What is my na");
        read_until(&t, "na");
        type(&t, "\x03");
        read_until(&t, "(Ctrl-C again or Ctrl-D ends the chat)");
        read_until(&t, "\r\n> ");
        type(&t, "\n"); /* a line between: it is not twice */
        read_until(&t, "> ");
    }
    if (twice) {
        type(&t, "\x03");
        read_until(&t, "ends the chat)\r\n> ");
    }
    type(&t, twice ? "\x03" : "\x04");
    int how;
    waitpid(t.pid, &how, 0);
    assert_true(WIFEXITED(how));
    assert_int_equal(WEXITSTATUS(how), twice ? CLI_INTERRUPTED : CLI_DONE);
    close(t.fd);
    temp_dir_remove(directory);
}

static void chat_at_a_terminal(void **state) {
    (void)state;
    chat_with_a_person(false);
}

static void chat_left_by_two_interrupts(void **state) {
    (void)state;
    chat_with_a_person(true);
}

/* ---- readers that go away ---- */

static void reader_leaves(void **state) {
    (void)state;
    char *directory = endless_model();
    cli_process *process = START("run", directory, "hi", ENDLESS);
    assert_true(cli_wait_err(process, "device: "));
    close(process->out);
    process->out = -1;
    cli_result r = cli_finish(process);
    CLI_EXPECT(&r, CLI_REFUSED, "standard output cannot be written");
    cli_free(&r);
    temp_dir_remove(directory);
}

/* ---- the cache ---- */

static cli_call cached(const char *directory, const char *weights) {
    static char settings[4][700];
    static const char *environment[4][2];
    static const char *arguments[4][8];
    static int turn;
    int i = turn++ % 4;
    snprintf(settings[i], sizeof settings[i], "XDG_CACHE_HOME=%s", directory);
    environment[i][0] = settings[i];
    const char *const words[] = {"run", CLI_TINY, "What is 12 + 34?", "--cache", "--weights", weights, NULL};
    memcpy(arguments[i], words, sizeof words);
    return (cli_call){.arguments = arguments[i], .environment = environment[i]};
}

static size_t n_cached(const char *directory) {
    return temp_dir_count(temp_dir_path(directory, "inference-pio"));
}

static void expect_right(cli_result *r, const char *part) {
    CLI_EXPECT(r, CLI_DONE, "device: ", part);
    assert_string_equal(r->out, "12 + 34 = 46.\n");
    cli_free(r);
}

static void cache_at_once(void **state) {
    (void)state;
    enum { N = 4 };
    static const char *const types[] = {"q8", "q4"};
    for (int type = 0; type < 2; type++) {
        char *directory = temp_dir_make();
        cli_process *processes[N];
        for (int i = 0; i < N; i++) {
            const cli_call call = cached(directory, types[type]);
            processes[i] = cli_start(&call);
        }
        for (int i = 0; i < N; i++) {
            cli_result r = cli_finish(processes[i]);
            assert_null(strstr(r.err, "warning"));
            expect_right(&r, NULL);
        }
        assert_int_equal(n_cached(directory), 1);
        const cli_call call = cached(directory, types[type]);
        cli_result r = cli_run(&call);
        expect_right(&r, NULL);
        assert_int_equal(n_cached(directory), 1);
        temp_dir_remove(directory);
    }
}

static void cache_spoilt(void **state) {
    (void)state;
    test_random random = test_random_begin("cache_spoilt");
    char *directory = temp_dir_make(), path[900] = "", command[1000];
    cli_call call = cached(directory, "q8");
    cli_result r = cli_run(&call);
    expect_right(&r, NULL);
    snprintf(command, sizeof command, "ls %s/inference-pio/*", directory);
    FILE *list = popen(command, "r");
    assert_non_null(fgets(path, sizeof path, list));
    pclose(list);
    path[strcspn(path, "\n")] = 0;
    size_t n;
    char *whole = cli_read_file(path, &n);
    for (int i = 0; i < 4; i++) {
        size_t length = i ? test_random_below(&random, n) : 0;
        assert_int_equal(truncate(path, (off_t)length), 0);
        r = cli_run(&call);
        expect_right(&r, NULL);
        size_t again;
        char *made = cli_read_file(path, &again);
        assert_int_equal(again, n);
        assert_memory_equal(made, whole, n);
        free(made);
        assert_int_equal(n_cached(directory), 1);
    }
    free(whole);
    temp_dir_remove(directory);
}

static void cache_that_cannot_be(void **state) {
    (void)state;
    cli_call call = cached("/dev/null/cache", "q8");
    cli_result r = cli_run(&call);
    expect_right(&r, "warning: quantised weights are not kept");
    char *directory = temp_dir_make();
    call = cached(directory, "q4");
    call.file_bytes = 100000;
    r = cli_run(&call);
    expect_right(&r, "warning: quantised weights are not kept");
    assert_int_equal(n_cached(directory), 0);
    temp_dir_remove(directory);
}

static void cache_on_a_full_disk(void **state) {
    (void)state;
    char *directory = temp_dir_make(), command[700];
    snprintf(command, sizeof command, "mount -t tmpfs -o size=256k pio-test %s 2>/dev/null", directory);
    if (system(command)) {
        temp_dir_remove(directory);
        skip();
    }
    const cli_call call = cached(directory, "q8");
    cli_result r = cli_run(&call);
    size_t left = n_cached(directory);
    snprintf(command, sizeof command, "umount %s", directory);
    assert_int_equal(system(command), 0);
    expect_right(&r, "warning: quantised weights are not kept");
    assert_int_equal(left, 0);
    temp_dir_remove(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interrupted_run),
        cmocka_unit_test(interrupted_anywhere),
        cmocka_unit_test(interrupted_loading_and_bench),
        cmocka_unit_test(second_interrupt),
        cmocka_unit_test(interrupted_chat_on_a_pipe),
        cmocka_unit_test(chat_at_a_terminal),
        cmocka_unit_test(chat_left_by_two_interrupts),
        cmocka_unit_test(reader_leaves),
        cmocka_unit_test(cache_at_once),
        cmocka_unit_test(cache_spoilt),
        cmocka_unit_test(cache_that_cannot_be),
        cmocka_unit_test(cache_on_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
