/* Chat templates: the Jinja language (https://jinja.palletsprojects.com/en/stable/templates/) as the reference library
 * sets it up for chat templates: blocks trimmed, loop controls, `generation` blocks, values that cannot be changed,
 * JSON without HTML escapes, and the functions raise_exception, strftime_now, range, dict, namespace, cycler and
 * joiner. Output is the same byte for byte; what is not served (include, import, extends, numbers of more than 64 bits)
 * is refused in one sentence that names the template, the line and the construct.
 *
 * A rendering is bounded in steps, depth, memory and output, so a template from outside can do no harm but fail. */
#ifndef PIO_TEXT_TEMPLATE_H
#define PIO_TEXT_TEMPLATE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "text/utf8.h"

typedef struct pio_template pio_template;

/* 0 in a field: its default. */
typedef struct pio_template_limits {
    uint64_t steps; /* evaluated expressions and statements, and 64-byte pieces of text worked through; 50 million */
    int32_t depth;  /* nested statements, expressions and calls; 1000 */
    size_t memory_bytes; /* of all values; 256 MiB */
    size_t output_bytes; /* 64 MiB */
} pio_template_limits;

/* Compiles `n_bytes` of UTF-8; `name` stands for the template in errors. PIO_CORRUPT: a mistake in the template;
 * PIO_UNSUPPORTED: a construct that is not served; PIO_LIMIT, PIO_OUT_OF_MEMORY. The source is not needed afterwards.
 */
pio_status pio_template_compile(const char *source, size_t n_bytes, const char *name, pio_template **out,
                                pio_error *error);

/* Appends the rendering to *out. `variables` is a JSON object whose keys are the template's variables (what it lacks is
 * undefined); it is only read. NULL limits: the defaults. PIO_INVALID_ARGUMENT: the template refused the input by
 * raise_exception, or it applied an operation to a value that does not have it; PIO_UNSUPPORTED; PIO_LIMIT;
 * PIO_OUT_OF_MEMORY. On failure *out is as before. Threads: a template may be rendered by several at once. */
pio_status pio_template_render(const pio_template *compiled, json_t *variables, const pio_template_limits *limits,
                               pio_text *out, pio_error *error);

/* Accepts NULL. */
void pio_template_free(pio_template *compiled);

/* The template's name, as given to pio_template_compile. */
const char *pio_template_name(const pio_template *compiled);

#endif
