/* The entries of `compare --backends`: a backend, perhaps the number of its device, and settings. */
#include <stdlib.h>
#include <string.h>

#include "apps/cli/compare.h"

static const int sections = PIO_SECTION_DEVICE | PIO_SECTION_HARDWARE | PIO_SECTION_MEMORY | PIO_SECTION_TUNING;

/* An entry names its backend first; neither that nor anything else may be said again, for which of the two counts? */
static pio_status take(bool given[PIO_KEY_COUNT], const cli_contender *c, pio_key key, pio_error *error) {
    if (given[key])
        return pio_fail(error, PIO_INVALID_ARGUMENT, "--backends '%s': '%s' is given twice: leave one out", c->name,
                        pio_key_get(key)->name);
    given[key] = true;
    return PIO_OK;
}

static pio_status set_named(cli_contender *c, bool given[PIO_KEY_COUNT], char *part, pio_error *error) {
    char *value = strchr(part, '='), source[96];
    if (!value)
        return pio_fail(error, PIO_INVALID_ARGUMENT,
                        "--backends '%s': '%.60s' is neither a device's number nor a setting like weights=q8", c->name,
                        part);
    *value++ = 0;
    const pio_key key = pio_key_find(part, strlen(part));
    if (key < PIO_KEY_COUNT && !(pio_key_get(key)->section & sections))
        return pio_fail(error, PIO_INVALID_ARGUMENT, "--backends '%s': '%s' changes nothing that is compared", c->name,
                        part);
    pio_status status = key < PIO_KEY_COUNT ? take(given, c, key, error) : PIO_OK;
    if (status) return status;
    for (char *at = value; (at = strchr(at, '+'));) *at = ',';
    snprintf(source, sizeof source, "--backends, %.60s", part);
    return pio_config_set_named(&c->config, PIO_ORIGIN_CALLER, source, part, value, error);
}

static pio_status set_number(cli_contender *c, bool given[PIO_KEY_COUNT], const char *part, pio_error *error) {
    pio_status status = take(given, c, PIO_KEY_DEVICE, error);
    if (status) return status;
    return pio_config_set(&c->config, PIO_ORIGIN_CALLER, "--backends", PIO_KEY_DEVICE, part, false, error);
}

static pio_status read_entry(cli_contender *c, char *entry, pio_error *error) {
    bool given[PIO_KEY_COUNT] = {[PIO_KEY_BACKEND] = true};
    char *rest = entry, *part = strsep(&rest, ":");
    pio_status status =
        pio_config_set(&c->config, PIO_ORIGIN_CALLER, "--backends", PIO_KEY_BACKEND, part, false, error);
    while (!status && (part = strsep(&rest, ":"))) {
        const bool number = *part && strspn(part, "0123456789") == strlen(part);
        status = number ? set_number(c, given, part, error) : set_named(c, given, part, error);
    }
    return status;
}

pio_status cli_contenders_read(const cli_options *options, cli_comparison *out, pio_error *error) {
    char *text = options->backends ? strdup(options->backends) : NULL, *rest = text, *entry;
    pio_status status = PIO_OK;
    if (options->backends && !text) return pio_fail_memory(error, "--backends", strlen(options->backends));
    while (!status && (entry = strsep(&rest, ","))) {
        cli_contender *c = &out->contenders[out->n];
        if (out->n == CLI_MAX_CONTENDERS || strlen(entry) >= sizeof c->name)
            status = pio_fail(error, PIO_INVALID_ARGUMENT,
                              "--backends takes at most %d entries of fewer than %zu bytes; '%.60s' is too much",
                              CLI_MAX_CONTENDERS, sizeof c->name, entry);
        else {
            out->n++;
            snprintf(c->name, sizeof c->name, "%s", entry);
            status = pio_config_copy(&options->config, &c->config, error);
            if (!status) status = read_entry(c, entry, error);
        }
    }
    free(text);
    if (!status && out->n < 2)
        status = pio_fail(error, PIO_INVALID_ARGUMENT,
                          "compare wants --backends with two entries or more, like cpu,vulkan or cpu,cpu:compute=f32");
    return status;
}
