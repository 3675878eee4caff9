/* Any bytes as a template, rendered with a conversation under small limits: a sentence, or well-formed text. */
#include <stdint.h>
#include <stdlib.h>

#include "text/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static const char conversation[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"Be \\u00e9 brief.\"}, {\"role\": \"user\", \"content\":"
    " [{\"type\": \"text\", \"text\": \"<hi> 1\\n2\"}]}, {\"role\": \"assistant\", \"content\": null, \"tool_calls\":"
    " [{\"function\": {\"name\": \"f\", \"arguments\": {\"a\": [1, -2.5, true]}}}]}], \"tools\": [{\"name\": \"f\"}],"
    " \"n\": 3, \"f\": 2.5, \"s\": \"a b\\u00df\", \"l\": [3, 1, 2], \"d\": {\"b\": 1, \"a\": {\"c\": []}}}";

static void require(int ok) {
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    static json_t *input;
    if (!input) input = json_loads(conversation, 0, NULL);
    require(input != NULL);
    const pio_template_limits limits = {
        .steps = 20000, .depth = 100, .memory_bytes = (size_t)4 << 20, .output_bytes = (size_t)1 << 20};
    pio_template *t;
    pio_text out = {0};
    pio_error error = {0};
    pio_status status = pio_template_compile((const char *)data, n_bytes, "fuzz", &t, &error);
    require((status == PIO_OK) == (t != NULL));
    if (!status) status = pio_template_render(t, input, &limits, &out, &error);
    require(status != PIO_INTERNAL);
    require(status == PIO_OK || (error.status == status && error.text[0] && !out.n_bytes));
    require(pio_utf8_valid_prefix(out.bytes, out.n_bytes) == out.n_bytes && out.n_bytes <= limits.output_bytes);
    pio_template_free(t);
    pio_text_free(&out);
    return 0;
}
