/* inference-pio: the subcommands and their help. */
#include <string.h>

#include "apps/cli/cli.h"

static const char run_notes[] =
    "  Tool calls of an answer are lines like get_weather({\"city\": \"Paris\"}). With --json an answer is one object "
    "with\n"
    "  text, reasoning, tool_calls, finish (stop, tool_calls, length or cancelled), token counts and seconds.\n"
    "  With --batch-file the options' tools are those of lines that have no \"tools\" of their own; without --json "
    "calls\n"
    "  stay in the text.\n";

static const char chat_notes[] =
    "  Ctrl-C stops an answer. At the prompt it throws the line away, and a second one ends the chat, as Ctrl-D does.\n"
    "  From a pipe every line is a turn; one that cannot be answered is named on standard error, the next goes on, "
    "and\n"
    "  the exit status is 1 at the end.\n\n"
    "  /image FILE    at a line's beginning shows a picture with the next turn, for models with eyes\n"
    "  /tool RESULT   gives the result of a tool call; with the last one that is awaited the model goes on\n";

static const char compare_notes[] =
    "  An entry of --backends is a backend, perhaps the number of its device, and settings, all separated by colons:\n"
    "  cpu,vulkan:1,cpu:compute=f32,cpu:weights=q8:threads=2. A + within a value stands for a comma.\n\n"
    "  Drift is the mean squared error of a token's row over the mean square of the reference's. All get the tokens\n"
    "  that the reference finds most likely. Two agree when the median drift behind the last layer and that of the\n"
    "  logits are within the bound (1e-9 where both compute in float32, else 2e-3; with other weights than the\n"
    "  reference 5e-3 for q8 and 0.1 for q4) and at most one token in 50 is clearly another: in the reference behind\n"
    "  the most likely one by more than 4 x sqrt(bound) times the root mean square of the logits.\n\n"
    "  The exit status is 0 when all agree with the first and 1 when one does not.\n";

static const cli_command commands[] = {
    {"devices", "", "every device, usable or not, and why not", CLI_DEVICE | CLI_JSON, 0, 0, cli_devices, NULL},
    {"run", "MODEL \"prompt\"", "one answer to one user turn, streamed",
     CLI_FILES | CLI_DEVICE | CLI_HARDWARE | CLI_MODEL | CLI_SAMPLING | CLI_SPEAK | CLI_RUN | CLI_JSON, 1, 2, cli_run,
     run_notes},
    {"chat", "MODEL", "a conversation: a turn a line on standard input",
     CLI_FILES | CLI_DEVICE | CLI_HARDWARE | CLI_MODEL | CLI_SAMPLING | CLI_SPEAK | CLI_CHAT | CLI_JSON, 1, 1, cli_chat,
     chat_notes},
    {"bench", "MODEL|CONFIG_DIR", "speed of prefill and decode as a fraction of the device's limits",
     CLI_FILES | CLI_DEVICE | CLI_HARDWARE | CLI_MODEL | CLI_BENCH | CLI_JSON, 1, 1, cli_bench, NULL},
    {"logits", "MODEL", "the logits of given token ids, as a safetensors file",
     CLI_FILES | CLI_DEVICE | CLI_HARDWARE | CLI_MODEL | CLI_LOGITS, 1, 1, cli_logits, NULL},
    {"tokenize", "MODEL", "JSON strings on standard input, a line each -> JSON arrays of ids", CLI_FILES, 1, 1,
     cli_tokenize, NULL},
    {"detokenize", "MODEL", "JSON arrays of ids on standard input, a line each -> JSON strings", CLI_FILES, 1, 1,
     cli_detokenize, NULL},
    {"render", "MODEL", "{\"messages\": [...], ...} on standard input -> the rendered prompt", CLI_FILES, 1, 1,
     cli_render, NULL},
    {"plan", "MODEL|CONFIG_DIR", "the memory it will need and the kernels it will use, without reading weights",
     CLI_FILES | CLI_DEVICE | CLI_HARDWARE | CLI_MODEL | CLI_SAMPLING | CLI_JSON | CLI_PLAN, 1, 1, cli_plan, NULL},
    {"compare", "MODEL|CONFIG_DIR", "one prompt through several backends: drift, tokens, speed, memory",
     CLI_FILES | CLI_DEVICE | CLI_HARDWARE | CLI_MODEL | CLI_COMPARE | CLI_JSON, 1, 1, cli_compare, compare_notes},
};

static void print_overview(FILE *to) {
    fprintf(to, "inference-pio %s: language models on whatever the machine has\n\n", PIO_VERSION);
    for (size_t i = 0; i < PIO_COUNT(commands); i++)
        fprintf(to, "  inference-pio %-10s %-18s %s\n", commands[i].name, commands[i].arguments, commands[i].summary);
    fprintf(to, "\n  inference-pio COMMAND --help     the command's options\n"
                "\nMODEL is a directory in Hugging Face form, or the name of a bundled model.\n"
                "PIO_BACKEND=auto|cuda|hip|vulkan|cpu|null and PIO_DEVICE=N choose the device.\n");
}

static int run(int argc, char **argv) {
    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        print_overview(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_DONE;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("inference-pio " PIO_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < PIO_COUNT(commands); i++) {
        if (strcmp(commands[i].name, argv[1])) continue;
        cli_options options;
        bool help = false;
        int code = cli_parse(&commands[i], argc - 2, argv + 2, &options, &help);
        if (help) cli_help(&commands[i], stdout);
        if (!code && !help) code = commands[i].run(&options);
        pio_config_free(&options.config);
        return code;
    }
    print_overview(stderr);
    fprintf(stderr, "inference-pio: there is no command '%s'\n", argv[1]);
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    cli_begin();
    cli_spare_driver_cache();
    return cli_end(run(argc, argv));
}
