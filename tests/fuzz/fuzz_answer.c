/* Any bytes as an answer, of a form that the first byte chooses, cut where the second says: well-formed events, and the
 * same ones as of the answer in one piece; a call's arguments are an object. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "models/chat/answer_parser.h"
#include "text/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static const char tools_text[] =
    "[{\"name\": \"f\", \"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"string\"}, \"n\":"
    " {\"type\": \"integer\"}, \"o\": {\"type\": \"object\"}, \"l\": {\"type\": \"array\"}}}}, {\"name\": \"g\"}]";

static void require(int ok) {
    if (!ok) abort();
}

/* All events in a row: a byte of the kind before each run of the same, then the bytes. */
typedef struct heard {
    pio_text log, arguments;
    int last;
} heard;

static bool hear(void *user, const pio_answer_event *event) {
    heard *h = user;
    const char kind = (char)('0' + event->kind);
    const bool has_text = event->kind != PIO_ANSWER_CALL && event->kind != PIO_ANSWER_CALL_END;
    require(!has_text || (event->n_bytes && pio_utf8_valid_prefix(event->bytes, event->n_bytes) == event->n_bytes));
    if (h->last != event->kind || !has_text) require(pio_text_append(&h->log, &kind, 1));
    if (has_text) require(pio_text_append(&h->log, event->bytes, event->n_bytes));
    if (event->kind == PIO_ANSWER_CALL) require(pio_text_append(&h->log, event->name, strlen(event->name)));
    if (event->kind == PIO_ANSWER_CALL) h->arguments.n_bytes = 0;
    if (event->kind == PIO_ANSWER_ARGUMENTS) require(pio_text_append(&h->arguments, event->bytes, event->n_bytes));
    if (event->kind == PIO_ANSWER_CALL_END) {
        json_t *object =
            json_loadb(h->arguments.bytes, h->arguments.n_bytes, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        require(json_is_object(object));
        json_decref(object);
    }
    h->last = (int)event->kind;
    return true;
}

static void parse(const pio_answer_parser_options *options, const char *text, size_t n, size_t piece) {
    pio_answer_parser *parser;
    require(!pio_answer_parser_create(options, &parser, NULL));
    for (size_t at = 0; at < n; at += piece)
        require(!pio_answer_parser_push(parser, text + at, n - at < piece ? n - at : piece, NULL));
    require(!pio_answer_parser_finish(parser, NULL));
    pio_answer_parser_destroy(parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes) {
    static const pio_chat_form *const forms[] = {&pio_qwen3_chat_form, &pio_qwen3_coder_chat_form, &pio_glm_chat_form};
    static json_t *tools;
    if (!tools) tools = json_loads(tools_text, 0, NULL);
    require(tools != NULL);
    if (n_bytes < 2) return 0;
    heard whole = {.last = -1}, cut = {.last = -1};
    pio_answer_parser_options options = {
        .form = forms[data[0] % 3], .tools = data[0] & 4 ? NULL : tools, .on_event = hear, .user = &whole};
    options.prompt = data[0] & 8 ? "<|assistant|><think>" : NULL;
    options.n_prompt = options.prompt ? strlen(options.prompt) : 0;
    const char *text = (const char *)data + 2;
    parse(&options, text, n_bytes - 2, n_bytes);
    options.user = &cut;
    parse(&options, text, n_bytes - 2, (size_t)data[1] % 16 + 1);
    require(whole.log.n_bytes == cut.log.n_bytes);
    require(!whole.log.n_bytes || !memcmp(whole.log.bytes, cut.log.bytes, whole.log.n_bytes));
    pio_text_free(&whole.log);
    pio_text_free(&whole.arguments);
    pio_text_free(&cut.log);
    pio_text_free(&cut.arguments);
    return 0;
}
