/* The options: the settings of engine/config.def, and one table of what is the program's own, each row with its group,
 * type, range and help. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/cli/cli.h"

typedef enum value_kind { FLAG, INTEGER, TEXT, TEXT_LIST } value_kind;

typedef struct option {
    const char *name, *value; /* "--step", "N" */
    int group;
    value_kind kind;
    size_t at;        /* offset of the field in cli_options */
    size_t count_at;  /* TEXT_LIST: offset of its count */
    long least, most; /* INTEGER: range; TEXT_LIST: capacity in `most` */
    const char *help;
} option;

#define AT(field) offsetof(cli_options, field)

static const option options_table[] = {
    {"--config", "FILE", CLI_DEVICE, TEXT, AT(config_file), 0, 0, 0, "a JSON object with any of these settings"},
    {"--stats", NULL, CLI_SPEAK, FLAG, AT(stats), 0, 0, 0, "prints token counts and speed to stderr"},
    {"--image", "FILE", CLI_RUN | CLI_CHAT | CLI_LOGITS, TEXT_LIST, AT(images), AT(n_images), 0, CLI_MAX_IMAGES,
     "a picture, in a chat of its first turn; may be repeated"},
    {"--tools", "FILE", CLI_SPEAK, TEXT, AT(tools), 0, 0, 0,
     "a JSON array of the tools that answers may call, each {\"name\", \"description\", \"parameters\"}"},
    {"--batch-file", "FILE", CLI_RUN, TEXT, AT(batch_file), 0, 0, 0,
     "lines of {\"messages\": [...]} or {\"prompt\": ...} in (- is stdin), a JSON string a line out, null for a line "
     "that is refused"},
    {"--backends", "A,B,...", CLI_COMPARE, TEXT, AT(backends), 0, 0, 0, "what is compared; the first is the reference"},
    {"--prompt", "TEXT", CLI_COMPARE, TEXT, AT(prompt), 0, 0, 0, "a user turn (Why is the sky blue?)"},
    {"--bound", "X", CLI_COMPARE, TEXT, AT(bound), 0, 0, 0, "the most drift that still agrees, of the median token"},
    {"--tokens", "N", CLI_COMPARE, INTEGER, AT(tokens), 0, 1, 1 << 16, "places that are predicted (64)"},
    {"--ids", "1,2,3", CLI_LOGITS | CLI_COMPARE, TEXT, AT(ids), 0, 0, 0, "the token ids"},
    {"--ids-file", "FILE", CLI_LOGITS | CLI_COMPARE, TEXT, AT(ids_file), 0, 0, 0, "the token ids as a JSON array"},
    {"--step", "N", CLI_LOGITS, INTEGER, AT(step), 0, 1, 1 << 24,
     "feeds N tokens a step through the cache; 1 is the decode path"},
    {"--greedy", "N", CLI_LOGITS, INTEGER, AT(greedy), 0, 1, 1 << 24,
     "continues by exactly N most likely tokens, in greedy_ids"},
    {"--out", "FILE", CLI_LOGITS, TEXT, AT(out), 0, 0, 0, "the safetensors file to write"},
    {"--dummy-weights", NULL, CLI_BENCH | CLI_COMPARE, FLAG, AT(dummy_weights), 0, 0, 0,
     "random numbers in place of weights; a config.json suffices (compare: with --ids)"},
    {"--tokens", "N", CLI_BENCH, INTEGER, AT(tokens), 0, 1, 1 << 20, "length of the prefill (512)"},
    {"--batch", "N", CLI_BENCH, INTEGER, AT(batch), 0, 1, PIO_MAX_SLOTS, "sequences that decode together (1)"},
    {"--picture", "N", CLI_BENCH, INTEGER, AT(picture), 0, 1, 256,
     "side of the picture that a model with eyes sees, in patches (64)"},
    {"--profile", NULL, CLI_BENCH, FLAG, AT(profile), 0, 0, 0,
     "also the time of each kernel by itself, by the device's clock"},
    {"--repeats", "N", CLI_BENCH, INTEGER, AT(repeats), 0, 1, 1000,
     "timed runs of each test, of which the median counts"},
    {"--graph", NULL, CLI_PLAN, FLAG, AT(graph), 0, 0, 0, "prints the graphs too"},
    {"--json", NULL, CLI_JSON, FLAG, AT(json), 0, 0, 0, "prints JSON"},
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

/* Stores `text` (NULL for a flag) where the row says. */
static int store(const option *o, const char *text, cli_options *out) {
    char *at = (char *)out + o->at;
    switch (o->kind) {
    case FLAG:
        *(bool *)at = !text || (*text && strcmp(text, "0"));
        return EXIT_DONE;
    case INTEGER:
        return store_integer(o, o->name, text, out);
    case TEXT:
        *(const char **)at = text;
        return EXIT_DONE;
    case TEXT_LIST: {
        int *n = (int *)((char *)out + o->count_at);
        if (*n == o->most) return usage("%s may be given fewer times; '%s' is too many", o->name, text);
        ((const char **)at)[(*n)++] = text;
        return EXIT_DONE;
    }
    }
    return EXIT_USAGE;
}

static const option *find(const cli_command *command, const char *name, size_t bytes) {
    for (size_t i = 0; i < PIO_COUNT(options_table); i++) {
        const option *o = &options_table[i];
        if ((command->groups & o->group) && strlen(o->name) == bytes && !memcmp(o->name, name, bytes)) return o;
    }
    return NULL;
}

/* ---- settings: the options that engine/config.def has ---- */

/* The sections whose settings a command takes, as pio_section bits. */
static int sections_of(const cli_command *command) {
    static const struct {
        int group, sections;
    } rows[] = {{CLI_FILES, PIO_SECTION_FILES},
                {CLI_DEVICE, PIO_SECTION_DEVICE},
                {CLI_HARDWARE, PIO_SECTION_HARDWARE},
                {CLI_MODEL, PIO_SECTION_MEMORY | PIO_SECTION_TUNING},
                {CLI_SAMPLING, PIO_SECTION_ANSWER}};
    int sections = 0;
    for (size_t i = 0; i < PIO_COUNT(rows); i++)
        if (command->groups & rows[i].group) sections |= rows[i].sections;
    return sections;
}

/* The setting that "--top-k" names. */
static pio_key find_setting(const cli_command *command, const char *name, size_t bytes) {
    char spelt[64];
    if (bytes < 3 || bytes - 2 >= sizeof spelt || memcmp(name, "--", 2) || memchr(name, '_', bytes))
        return PIO_KEY_COUNT;
    for (size_t i = 2; i < bytes; i++) spelt[i - 2] = (char)(name[i] == '-' ? '_' : name[i]);
    const pio_key key = pio_key_find(spelt, bytes - 2);
    return key < PIO_KEY_COUNT && (pio_key_get(key)->section & sections_of(command)) ? key : PIO_KEY_COUNT;
}

static int set(pio_key key, const char *name, const char *text, cli_options *out) {
    pio_error error;
    const bool list = pio_key_get(key)->type == PIO_SETTING_TEXTS;
    return pio_config_set(&out->config, PIO_ORIGIN_CALLER, name, key, text, list, &error) ? cli_refuse_usage(&error)
                                                                                          : EXIT_DONE;
}

/* The environment and the file of --config; the command line was read and outranks them. */
static int read_others(const cli_command *command, cli_options *out) {
    pio_error error;
    pio_status status = PIO_OK;
    if (out->config_file) status = pio_config_read_file(&out->config, out->config_file, &error);
    if (!status) status = pio_config_read_environment(&out->config, sections_of(command), environ, &error);
    if (!status) status = pio_config_engine(&out->config, &out->engine, &error);
    return status ? cli_refuse_usage(&error) : EXIT_DONE;
}

static bool wants_help(int argc, char **argv) {
    for (int i = 0; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
    return false;
}

/* Takes the option at argv[*i], and its value, behind '=' or as the next argument. */
static int take(const cli_command *command, int argc, char **argv, int *i, cli_options *out) {
    const size_t bytes = strcspn(argv[*i], "=");
    const char *value = argv[*i][bytes] ? argv[*i] + bytes + 1 : NULL;
    const option *o = find(command, argv[*i], bytes);
    const pio_key key = o ? PIO_KEY_COUNT : find_setting(command, argv[*i], bytes);
    char name[64];
    if (!o && key == PIO_KEY_COUNT) return usage("%s has no option '%s': see --help", command->name, argv[*i]);
    snprintf(name, sizeof name, "%.*s", (int)bytes, argv[*i]);
    const bool flag = o ? o->kind == FLAG : pio_key_get(key)->type == PIO_SETTING_SWITCH;
    if (!flag && !value && ++*i == argc)
        return usage("%s wants a value: %s", name, o ? o->help : pio_key_get(key)->help);
    if (!flag && !value) value = argv[*i];
    return o ? store(o, value, out) : set(key, name, value ? value : "on", out);
}

int cli_parse(const cli_command *command, int argc, char **argv, cli_options *out, bool *help) {
    memset(out, 0, sizeof *out);
    *help = wants_help(argc, argv);
    if (*help) return EXIT_DONE;
    int code = EXIT_DONE, n_positional = 0;
    bool only_positional = false;
    for (int i = 0; i < argc && !code; i++) {
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
        code = take(command, argc, argv, &i, out);
    }
    if (!code && n_positional < command->least)
        return usage("%s wants %s: see --help", command->name, command->arguments);
    return code ? code : read_others(command, out);
}

static void print_setting(const pio_key_info *key, FILE *to) {
    static const char *const values[] = {
        [PIO_SETTING_INTEGER] = " N",    [PIO_SETTING_NUMBER] = " X",  [PIO_SETTING_BYTES] = " N[K|M|G]",
        [PIO_SETTING_SWITCH] = "[=off]", [PIO_SETTING_CHOICE] = " T",  [PIO_SETTING_CHOICES] = " T",
        [PIO_SETTING_TEXT] = " TEXT",    [PIO_SETTING_TEXTS] = " TEXT"};
    char head[80], variable[64];
    const int n = snprintf(head, sizeof head, "--%s%s", key->name, values[key->type]);
    for (int i = 2; i < n && head[i] != ' ' && head[i] != '['; i++)
        if (head[i] == '_') head[i] = '-';
    snprintf(variable, sizeof variable, "%s", key->name);
    for (char *c = variable; *c; c++)
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
    fprintf(to, "  %-24s %s%s%s%s%s%s [PIO_%s]\n", head, key->help, *key->choices ? " (" : "", key->choices,
            *key->choices ? ")" : "", *key->model ? "; only of " : "", key->model, variable);
}

void cli_help(const cli_command *command, FILE *to) {
    fprintf(to, "inference-pio %s %s\n\n  %s\n\n", command->name, command->arguments, command->summary);
    if (command->notes) fprintf(to, "%s\n", command->notes);
    for (int key = 0; key < PIO_KEY_COUNT; key++)
        if (pio_key_get((pio_key)key)->section & sections_of(command)) print_setting(pio_key_get((pio_key)key), to);
    for (size_t i = 0; i < PIO_COUNT(options_table); i++) {
        const option *o = &options_table[i];
        if (!(command->groups & o->group)) continue;
        char head[64];
        snprintf(head, sizeof head, "%s %s", o->name, o->value ? o->value : "");
        fprintf(to, "  %-24s %s\n", head, o->help);
    }
    fprintf(to, "  %-24s %s\n", "--help", "this text");
}
