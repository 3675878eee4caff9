/* Chat forms: the marks by which a family's answers are taken apart into reasoning, text and tool calls. What a prompt
 * looks like is the business of the checkpoint's chat template; a form says what comes back. */
#ifndef PIO_MODELS_CHAT_FORM_H
#define PIO_MODELS_CHAT_FORM_H

/* Calls in tags. A blank in a mark stands for any number of blanks:
 *
 *   <function=NAME> <parameter=KEY> VALUE </parameter> </function>               Qwen3-Coder
 *   NAME <arg_key>KEY</arg_key> <arg_value>VALUE</arg_value>                     GLM */
typedef struct pio_call_tags {
    const char *name_open;   /* "<function =": name and keys stand in their tags and values on lines of their own;
                                NULL: the name follows the mark that opens the call, keys are elements */
    const char *body_close;  /* "</function>"; NULL: the mark that closes the call does it */
    const char *key_open;    /* "<parameter =", "<arg_key>" */
    const char *key_close;   /* ">", "</arg_key>" */
    const char *value_open;  /* "<arg_value>"; NULL: a value begins where its key ends */
    const char *value_close; /* "</parameter", "</arg_value": without the '>', which models forget */
} pio_call_tags;

enum { PIO_MAX_TURN_ENDS = 4 };

typedef struct pio_chat_form {
    /* In a prompt: what the answer goes on from stands behind the last `turn`, unless one of `turn_ends` follows it. */
    const char *turn, *turn_ends[PIO_MAX_TURN_ENDS];
    const char *reasoning_open, *reasoning_close;
    const char *reasoning_end; /* what is said in the model's place when its reasoning is cut short */
    const char *call_open, *call_close;
    const pio_call_tags *tags; /* NULL: calls are JSON, {"name": ..., "arguments": {...}}, which all forms take */
} pio_chat_form;

/* A family names its form in its row (models/model.h). */
extern const pio_chat_form pio_qwen3_chat_form;
extern const pio_chat_form pio_qwen3_coder_chat_form;
extern const pio_chat_form pio_qwen3_vl_chat_form;
extern const pio_chat_form pio_glm_chat_form;

#endif
