/* The answer parser from inside: what its parts share. A part is a step function, the parser's state: it takes some of
 * the input and returns true, or returns false to wait for more. Once `last` is set no more will come, and only an
 * empty input may be waited for. */
#ifndef PIO_MODELS_CHAT_PARSER_H
#define PIO_MODELS_CHAT_PARSER_H

#include "models/chat/answer_parser.h"
#include "models/chat/json_mend.h"
#include "models/chat/marks.h"
#include "models/chat/tools.h"

typedef bool pio_parser_step(pio_answer_parser *p);

/* Text outside of calls, the answer's or the reasoning's. */
typedef struct pio_said {
    pio_text space; /* white space, held until it is known what follows */
    bool begun;     /* something was given out */
    bool beside;    /* a mark stands beside the space */
} pio_said;

/* A call in tags (tag_call.c, tag_value.c). */
typedef struct pio_tag_call {
    pio_text key, keys; /* the argument's; all so far, each with a NUL behind it */
    pio_text value;     /* of an argument whose type is not decided yet */
    uint32_t types;     /* that the schema allows for the value */
    bool is_string;     /* the value is one, and its beginning is out */
    bool is_fresh;      /* nothing of the value has come */
    bool ignored;       /* the key came before */
    int32_t n_arguments;
} pio_tag_call;

/* A call in JSON (json_call.c). */
typedef struct pio_json_call {
    pio_text raw;    /* as it came, with the mark before it */
    pio_text mended; /* what is made of it */
    pio_json_mender mender;
} pio_json_call;

struct pio_answer_parser {
    pio_answer_parser_options options;
    pio_utf8_gate gate;
    pio_text input;
    size_t at; /* before it, input is done with */
    bool last, muted, calls;
    pio_status status; /* the first failure */

    pio_parser_step *step;
    pio_said text, thought;
    bool reasoning;  /* outside of calls: what comes is */
    bool after_call; /* nothing but white space and marks since */
    size_t n_space;  /* of it before the last of these marks */

    int32_t n_calls;
    bool open;    /* the last of them */
    bool in_json; /* what may become one is awaited */
    char id[64];
    pio_text name;        /* NUL-terminated */
    const json_t *schema; /* of its arguments; NULL: none is known */
    pio_tag_call tag;
    pio_json_call json;

    pio_answer_event_kind kind; /* of what is gathered in `out` */
    pio_text out;
};

/* The input that is left. */
static inline const char *pio_parser_at(const pio_answer_parser *p) {
    return p->input.bytes + p->at;
}
static inline const char *pio_parser_end(const pio_answer_parser *p) {
    return p->input.bytes + p->input.n_bytes;
}
static inline void pio_parser_take_to(pio_answer_parser *p, const char *at) {
    p->at = (size_t)(at - p->input.bytes);
}

/* Appends; without memory the parser fails. */
void pio_parser_put(pio_answer_parser *p, pio_text *to, const char *bytes, size_t n_bytes);
void pio_parser_need(pio_answer_parser *p, bool fits); /* fails without memory */

void pio_parser_say(pio_answer_parser *p, const char *bytes, size_t n_bytes);   /* text or reasoning */
void pio_parser_argue(pio_answer_parser *p, const char *bytes, size_t n_bytes); /* arguments of the open call */

/* Begins a call, ends it, with the step that then follows. */
void pio_parser_begin_call(pio_answer_parser *p, const char *name, size_t n_bytes);
void pio_parser_end_call(pio_answer_parser *p);

/* A mark was taken: the white space on both its sides belongs to it. */
void pio_parser_note_mark(pio_answer_parser *p);

/* Whether a call of that name may begin; `offered`: only one that the request offers. */
bool pio_parser_takes_name(const pio_answer_parser *p, const char *name, size_t n_bytes, bool offered);

/* ---- steps and what leads to them ---- */

pio_parser_step pio_step_outside; /* outside.c */

typedef enum pio_verdict {
    PIO_VERDICT_NO,   /* it is text */
    PIO_VERDICT_WAIT, /* it depends on what follows */
    PIO_VERDICT_YES,
} pio_verdict;

/* A call whose JSON begins at `at`, '{' or '['. */
void pio_json_call_begin(pio_answer_parser *p, const char *at);
void pio_json_call_finish(pio_answer_parser *p); /* at the end of the answer */
void pio_json_call_free(pio_json_call *call);

/* A call in tags whose name, or the tag with the name, begins at `at`. YES: the input is taken and the call begun. */
pio_verdict pio_tag_call_begin(pio_answer_parser *p, const char *at, bool offered);
void pio_tag_call_finish(pio_answer_parser *p);
void pio_tag_call_free(pio_tag_call *call);
pio_parser_step pio_step_tag_body; /* tag_call.c: between arguments */

/* An argument, whose value then begins (tag_value.c). */
void pio_tag_value_begin(pio_answer_parser *p, const char *key, size_t n_key);
void pio_tag_value_add(pio_answer_parser *p, const char *bytes, size_t n_bytes);
void pio_tag_value_end(pio_answer_parser *p);
pio_parser_step pio_step_tag_value, pio_step_tag_gap; /* the value; before the mark that opens it */

/* A key behind the mark that opens it. */
typedef struct pio_tag_key {
    const char *key, *rest; /* what belongs to the value and stands in a malformed tag */
    size_t n_key, n_rest;
    const char *after;
    bool whole; /* the tag was closed as it should be */
} pio_tag_key;

/* NO: there is none. */
pio_verdict pio_tag_key_read(const pio_answer_parser *p, const char *at, pio_tag_key *out);
bool pio_tag_key_is_new(const pio_answer_parser *p, const pio_tag_key *key); /* the call has no such argument yet */

#endif
