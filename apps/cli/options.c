/* The options: one table for all subcommands, each row with its group, type, range and help. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli/cli.h"
#include "engine/device.h"

typedef enum value_kind { FLAG, INTEGER, TEXT, TEXT_LIST, BACKEND, WEIGHTS, COMPUTE, FEATURES_OFF } value_kind;

typedef struct option {
    const char *name, *value; /* "--context", "N" */
    int group;
    value_kind kind;
    size_t at;            /* offset of the field in cli_options */
    size_t count_at;      /* TEXT_LIST: offset of its count */
    long least, most;     /* INTEGER: range; TEXT_LIST: capacity in `most` */
    const char *variable; /* environment variable with the same meaning, or NULL */
    const char *help;
} option;

#define AT(field) offsetof(cli_options, field)

static const option options_table[] = {
    {"--backend", "B", CLI_DEVICE, BACKEND, AT(engine.backend), 0, 0, 0, "PIO_BACKEND",
     "auto, cuda, hip, vulkan, cpu or null"},
    {"--device", "N", CLI_DEVICE, INTEGER, AT(engine.device), 0, 0, 1023, "PIO_DEVICE",
     "device of that backend, as `devices` numbers them"},
    {"--threads", "N", CLI_DEVICE, INTEGER, AT(engine.n_threads), 0, 1, 1024, "PIO_THREADS",
     "CPU threads; by default one a physical core"},
    {"--kernel", "OP=ROW", CLI_DEVICE, TEXT, AT(engine.kernels), 0, 0, 0, "PIO_KERNEL",
     "forces kernels, comma-separated; `plan` prints their names"},
    {"--cpu-without", "ISA", CLI_DEVICE, FEATURES_OFF, AT(engine.cpu_features_off), 0, 0, 0, "PIO_CPU_WITHOUT",
     "leaves instruction sets alone: avx2, avx512, avx512bf16, amx, comma-separated"},
    {"--weights", "T", CLI_MODEL, WEIGHTS, AT(engine.weights), 0, 0, 0, "PIO_WEIGHTS", "bf16 (as stored), q8 or q4"},
    {"--compute", "T", CLI_MODEL, COMPUTE, AT(engine.compute_f32), 0, 0, 0, "PIO_COMPUTE",
     "fast, or f32: float32 activations, cache and sums, for checking"},
    {"--context", "N", CLI_MODEL, INTEGER, AT(engine.context), 0, 1, 1 << 24, "PIO_CONTEXT",
     "tokens that a conversation may have"},
    {"--cache", NULL, CLI_MODEL, FLAG, AT(cache), 0, 0, 0, "PIO_CACHE",
     "keeps quantised weights under $XDG_CACHE_HOME/inference-pio"},
    {"--temperature", "X", CLI_SAMPLING, TEXT, AT(temperature), 0, 0, 0, NULL, "0: always the most likely token"},
    {"--top-k", "N", CLI_SAMPLING, TEXT, AT(top_k), 0, 0, 0, NULL, "draws from the N most likely tokens; 0: all"},
    {"--top-p", "X", CLI_SAMPLING, TEXT, AT(top_p), 0, 0, 0, NULL,
     "draws from the most likely tokens that make up this much"},
    {"--min-p", "X", CLI_SAMPLING, TEXT, AT(min_p), 0, 0, 0, NULL,
     "leaves out what is less likely than this times the best"},
    {"--repetition-penalty", "X", CLI_SAMPLING, TEXT, AT(repetition_penalty), 0, 0, 0, NULL,
     "divides what occurred before; 1: off"},
    {"--presence-penalty", "X", CLI_SAMPLING, TEXT, AT(presence_penalty), 0, 0, 0, NULL,
     "taken from what was generated before; 0: off"},
    {"--frequency-penalty", "X", CLI_SAMPLING, TEXT, AT(frequency_penalty), 0, 0, 0, NULL,
     "the same, once each time; 0: off"},
    {"--logit-bias", "ID=X", CLI_SAMPLING, TEXT_LIST, AT(biases), AT(n_biases), 0, CLI_MAX_BIASES, NULL,
     "added to a token's logit; may be repeated"},
    {"--seed", "N", CLI_SAMPLING, TEXT, AT(seed), 0, 0, 0, NULL, "the same seed draws the same tokens"},
    {"--stop", "TEXT", CLI_SAMPLING, TEXT_LIST, AT(stops), AT(n_stops), 0, CLI_MAX_STOPS, NULL,
     "ends the answer before this text; may be repeated"},
    {"--max-tokens", "N", CLI_SAMPLING, INTEGER, AT(max_tokens), 0, 1, 1 << 24, NULL, "ends the answer after N tokens"},
    {"--system", "TEXT", CLI_SAMPLING, TEXT, AT(system), 0, 0, 0, NULL, "a system message before the conversation"},
    {"--stats", NULL, CLI_SAMPLING, FLAG, AT(stats), 0, 0, 0, NULL, "prints token counts and speed to stderr"},
    {"--image", "FILE", CLI_RUN | CLI_LOGITS, TEXT_LIST, AT(images), AT(n_images), 0, CLI_MAX_IMAGES, NULL,
     "an image; may be repeated"},
    {"--batch-file", "FILE", CLI_RUN, TEXT, AT(batch_file), 0, 0, 0, NULL,
     "lines of {\"messages\": [...]} in (- is stdin), a JSON string a line out"},
    {"--ids", "1,2,3", CLI_LOGITS, TEXT, AT(ids), 0, 0, 0, NULL, "the token ids"},
    {"--ids-file", "FILE", CLI_LOGITS, TEXT, AT(ids_file), 0, 0, 0, NULL, "the token ids as a JSON array"},
    {"--step", "N", CLI_LOGITS, INTEGER, AT(step), 0, 1, 1 << 24, NULL,
     "feeds N tokens a step through the cache; 1 is the decode path"},
    {"--greedy", "N", CLI_LOGITS, INTEGER, AT(greedy), 0, 1, 1 << 24, NULL,
     "continues by exactly N most likely tokens, in greedy_ids"},
    {"--out", "FILE", CLI_LOGITS, TEXT, AT(out), 0, 0, 0, NULL, "the safetensors file to write"},
    {"--dummy-weights", NULL, CLI_BENCH, FLAG, AT(dummy_weights), 0, 0, 0, NULL,
     "random numbers in place of weights; a config.json suffices"},
    {"--tokens", "N", CLI_BENCH, INTEGER, AT(tokens), 0, 1, 1 << 20, NULL, "length of the prefill (512)"},
    {"--batch", "N", CLI_BENCH, INTEGER, AT(batch), 0, 1, PIO_MAX_SLOTS, NULL, "sequences that decode together (1)"},
    {"--repeats", "N", CLI_BENCH, INTEGER, AT(repeats), 0, 1, 1000, NULL,
     "timed runs of each test, of which the median counts"},
    {"--graph", NULL, CLI_PLAN, FLAG, AT(graph), 0, 0, 0, NULL, "prints the graphs too"},
    {"--json", NULL, CLI_JSON, FLAG, AT(json), 0, 0, 0, NULL, "prints JSON"},
};

static int usage(const char *format, const char *name, const char *value) {
    fprintf(stderr, "inference-pio: ");
    fprintf(stderr, format, name, value);
    fputc('\n', stderr);
    return EXIT_USAGE;
}

static int store_integer(const option *o, const char *name, const char *text, cli_options *out) {
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno || end == text || *end || value < o->least || value > o->most) {
        fprintf(stderr, "inference-pio: %s takes a whole number from %ld to %ld, not '%s'\n", name, o->least, o->most,
                text);
        return EXIT_USAGE;
    }
    *(int *)((char *)out + o->at) = (int)value;
    return EXIT_DONE;
}

static int store_features(const char *name, const char *text, cli_options *out) {
    static const struct {
        const char *name;
        uint32_t bits;
    } sets[] = {{"avx2", PIO_CPU_AVX2 | PIO_CPU_AVX512 | PIO_CPU_AVX512BF16 | PIO_CPU_AMX},
                {"avx512", PIO_CPU_AVX512 | PIO_CPU_AVX512BF16 | PIO_CPU_AMX},
                {"avx512bf16", PIO_CPU_AVX512BF16},
                {"amx", PIO_CPU_AMX}};
    while (*text) {
        size_t bytes = strcspn(text, ","), i = 0;
        while (i < PIO_COUNT(sets) && (strlen(sets[i].name) != bytes || memcmp(sets[i].name, text, bytes))) i++;
        if (i == PIO_COUNT(sets)) return usage("%s takes avx2, avx512, avx512bf16 or amx, not '%s'", name, text);
        out->engine.cpu_features_off |= sets[i].bits;
        text += bytes + (text[bytes] == ',');
    }
    return EXIT_DONE;
}

static int store_weights(const char *name, const char *text, cli_options *out) {
    pio_dtype type = pio_dtype_find(text);
    if (type != PIO_DTYPE_BF16 && type != PIO_DTYPE_Q8 && type != PIO_DTYPE_Q4)
        return usage("%s takes bf16, q8 or q4, not '%s'", name, text);
    out->engine.weights = type;
    return EXIT_DONE;
}

/* Stores `text` (NULL for a flag) where the row says; `name` is the option or the variable it came from. */
static int store(const option *o, const char *name, const char *text, cli_options *out) {
    char *at = (char *)out + o->at;
    pio_error error;
    switch (o->kind) {
    case FLAG:
        *(bool *)at = !text || (*text && strcmp(text, "0"));
        return EXIT_DONE;
    case INTEGER:
        return store_integer(o, name, text, out);
    case TEXT:
        *(const char **)at = text;
        return EXIT_DONE;
    case TEXT_LIST: {
        int *n = (int *)((char *)out + o->count_at);
        if (*n == o->most) return usage("%s may be given fewer times; '%s' is too many", name, text);
        ((const char **)at)[(*n)++] = text;
        return EXIT_DONE;
    }
    case BACKEND:
        if (!pio_backend_parse(text, (int *)at, &error)) return EXIT_DONE;
        return usage("%s: %s", name, error.text);
    case WEIGHTS:
        return store_weights(name, text, out);
    case COMPUTE:
        if (strcmp(text, "f32") && strcmp(text, "fast")) return usage("%s takes fast or f32, not '%s'", name, text);
        *(bool *)at = !strcmp(text, "f32");
        return EXIT_DONE;
    case FEATURES_OFF:
        return store_features(name, text, out);
    }
    return EXIT_USAGE;
}

static int from_environment(const cli_command *command, cli_options *out) {
    for (size_t i = 0; i < PIO_COUNT(options_table); i++) {
        const option *o = &options_table[i];
        const char *text = o->variable && (command->groups & o->group) ? getenv(o->variable) : NULL;
        int code = text && *text ? store(o, o->variable, text, out) : EXIT_DONE;
        if (code) return code;
    }
    return EXIT_DONE;
}

/* The row of `argument`, which may hold "=value" behind the name; *value is then set. */
static const option *find(const cli_command *command, const char *argument, const char **value) {
    size_t bytes = strcspn(argument, "=");
    *value = argument[bytes] ? argument + bytes + 1 : NULL;
    for (size_t i = 0; i < PIO_COUNT(options_table); i++) {
        const option *o = &options_table[i];
        if ((command->groups & o->group) && strlen(o->name) == bytes && !memcmp(o->name, argument, bytes)) return o;
    }
    return NULL;
}

static bool wants_help(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
    return false;
}

int cli_parse(const cli_command *command, int argc, char **argv, cli_options *out, bool *help) {
    memset(out, 0, sizeof *out);
    out->engine.backend = out->engine.device = PIO_AUTO;
    out->engine.weights = PIO_DTYPE_BF16;
    *help = wants_help(argc, argv);
    if (*help) return EXIT_DONE;
    int code = from_environment(command, out), n_positional = 0;
    bool only_positional = false;
    for (int i = 0; i < argc && !code; i++) {
        const char *value;
        if (!only_positional && !strcmp(argv[i], "--")) {
            only_positional = true;
            continue;
        }
        if (only_positional || argv[i][0] != '-' || !argv[i][1]) {
            if (n_positional == command->most)
                return usage("%s takes no argument '%s': see --help", command->name, argv[i]);
            *(n_positional++ ? &out->prompt : &out->model) = argv[i];
            continue;
        }
        const option *o = find(command, argv[i], &value);
        if (!o) return usage("%s has no option '%s': see --help", command->name, argv[i]);
        if (o->kind != FLAG && !value && ++i == argc) return usage("%s wants a value: %s", o->name, o->help);
        code = store(o, o->name, o->kind == FLAG ? value : value ? value : argv[i], out);
    }
    if (!code && n_positional < command->least)
        return usage("%s wants %s: see --help", command->name, command->arguments);
    return code;
}

void cli_help(const cli_command *command, FILE *to) {
    fprintf(to, "inference-pio %s %s\n\n  %s\n\n", command->name, command->arguments, command->summary);
    for (size_t i = 0; i < PIO_COUNT(options_table); i++) {
        const option *o = &options_table[i];
        if (!(command->groups & o->group)) continue;
        char head[64];
        snprintf(head, sizeof head, "%s %s", o->name, o->value ? o->value : "");
        fprintf(to, "  %-24s %s%s%s%s\n", head, o->help, o->variable ? " [" : "", o->variable ? o->variable : "",
                o->variable ? "]" : "");
    }
    fprintf(to, "  %-24s %s\n", "--help", "this text");
}
