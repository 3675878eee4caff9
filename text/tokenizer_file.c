/* Reading tokenizer.json in one pass; no tree is made of it. The vocabulary is kept in the form that the
 * pre-tokenizer calls for, so a model that stands before it in the file is passed over and read last. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/compiler.h"
#include "text/tokenizer_node.h"

typedef struct reader {
    pio_tokenizer *tokenizer;
    pio_json_cursor cursor;
    char *pool, *pool_at;              /* as long as the file: all its strings fit */
    bool any_normalizer, any_splitter; /* the keys were there, be it with null */
    bool any_model;
    const char *model; /* where one begins that waits, or NULL */
    pio_error *error;
} reader;

static pio_status fail_json(reader *r) {
    return pio_node_fail_json(&r->cursor, r->error);
}

static pio_status fail_corrupt(reader *r, const char *what) {
    return pio_fail(r->error, PIO_CORRUPT, "%s; fetch the file again", what);
}

/* The next key of an object; false at its end or on an error, which the cursor then holds. */
static bool next_key(reader *r, bool *first, const char **key) {
    size_t n;
    if (!pio_json_scan_more(&r->cursor, '}', first)) return false;
    pio_json_scan_peek(&r->cursor);
    return pio_json_scan_key(&r->cursor, &r->pool_at, key, &n);
}

/* normalizer, pre_tokenizer or decoder: null or an object. */
static pio_status read_steps(reader *r, const char *key) {
    pio_tokenizer *t = r->tokenizer;
    pio_node node = {0};
    if (pio_json_scan_peek(&r->cursor) == 'n') return pio_json_scan_skip(&r->cursor) ? PIO_OK : fail_json(r);
    pio_status status = pio_node_read(&r->cursor, &r->pool_at, &node, 0, r->error);
    if (!status && !strcmp(key, "normalizer"))
        status = pio_node_to_normalizer(&node, &t->normalizer, r->error);
    else if (!status && !strcmp(key, "pre_tokenizer"))
        status = pio_node_to_splitter(&node, &t->splitter, r->error);
    else if (!status)
        status = pio_node_to_decoder(&node, &t->decoder, r->error);
    pio_node_free(&node);
    return status;
}

static char *copy_string(pio_node_string string) {
    char *copy = malloc(string.n_bytes + 1);
    if (copy) {
        memcpy(copy, string.text, string.n_bytes);
        copy[string.n_bytes] = 0;
    }
    return copy;
}

static pio_status read_added_token(reader *r) {
    pio_node_string content = {0};
    pio_node_flag single_word = PIO_NODE_ABSENT, lstrip = PIO_NODE_ABSENT, rstrip = PIO_NODE_ABSENT,
                  normalized = PIO_NODE_ABSENT, special = PIO_NODE_ABSENT;
    const struct {
        const char *key;
        pio_node_flag *flag;
    } flags[] = {{"single_word", &single_word},
                 {"lstrip", &lstrip},
                 {"rstrip", &rstrip},
                 {"normalized", &normalized},
                 {"special", &special}};
    pio_status status = PIO_OK;
    if (!pio_json_scan_take(&r->cursor, '{', "an added token must be an object")) return fail_json(r);
    const char *key;
    uint64_t id; /* checked, not kept: see number_added_tokens */
    for (bool first = true; next_key(r, &first, &key);) {
        size_t i = 0;
        while (i < PIO_COUNT(flags) && strcmp(key, flags[i].key) != 0) i++;
        bool ok = !strcmp(key, "content")
                      ? pio_node_read_string(&r->cursor, &r->pool_at, key, &content, &status, r->error)
                  : !strcmp(key, "id")   ? pio_json_scan_u64(&r->cursor, &id)
                  : i < PIO_COUNT(flags) ? pio_node_read_flag(&r->cursor, key, flags[i].flag, &status, r->error)
                                         : pio_json_scan_skip(&r->cursor);
        if (!ok) return status ? status : fail_json(r);
    }
    if (r->cursor.reason) return fail_json(r);
    if (!content.text) return fail_corrupt(r, "an added token has no 'content'");
    if (!content.n_bytes) return fail_corrupt(r, "the 'content' of an added token is empty");
    pio_added_token *token = PIO_PUSH(&r->tokenizer->added, tokens);
    char *copy = token ? copy_string(content) : NULL;
    if (!copy) return pio_fail_memory(r->error, "the added tokens", content.n_bytes);
    *token = (pio_added_token){.content = copy,
                               .n_content = content.n_bytes,
                               .id = -1,
                               .single_word = single_word == PIO_NODE_TRUE,
                               .lstrip = lstrip == PIO_NODE_TRUE,
                               .rstrip = rstrip == PIO_NODE_TRUE,
                               .normalized = normalized == PIO_NODE_TRUE,
                               .special = special == PIO_NODE_TRUE};
    return PIO_OK;
}

static pio_status read_added_tokens(reader *r) {
    if (pio_json_scan_peek(&r->cursor) == 'n') return pio_json_scan_skip(&r->cursor) ? PIO_OK : fail_json(r);
    if (!pio_json_scan_take(&r->cursor, '[', "'added_tokens' must be a list")) return fail_json(r);
    for (bool first = true; pio_json_scan_more(&r->cursor, ']', &first);) {
        pio_status status = read_added_token(r);
        if (status) return status;
    }
    return r->cursor.reason ? fail_json(r) : PIO_OK;
}

static pio_status read_vocab(reader *r) {
    if (!pio_json_scan_take(&r->cursor, '{', "'vocab' must be an object of tokens and ids")) return fail_json(r);
    for (bool first = true; pio_json_scan_more(&r->cursor, '}', &first);) {
        char *pool = r->pool_at; /* the model copies the token */
        const char *token;
        size_t n;
        uint64_t id;
        pio_json_scan_peek(&r->cursor);
        if (!pio_json_scan_key(&r->cursor, &pool, &token, &n) || (pio_json_scan_peek(&r->cursor), false) ||
            !pio_json_scan_u64(&r->cursor, &id))
            break;
        pio_status status = pio_bpe_add_token(&r->tokenizer->bpe, token, n, id, r->error);
        if (status) return status;
    }
    return r->cursor.reason ? fail_json(r) : PIO_OK;
}

/* ["a", "b"] or "a b" */
static pio_status read_merge(reader *r) {
    pio_json_cursor *c = &r->cursor;
    char *pool = r->pool_at;
    const char *left, *right;
    size_t n_left, n_right;
    if (pio_json_scan_peek(c) == '[') {
        c->at++;
        pio_json_scan_peek(c);
        bool ok = pio_json_scan_string(c, &pool, &left, &n_left) &&
                  pio_json_scan_take(c, ',', "a merge must have two parts") && (pio_json_scan_peek(c), true) &&
                  pio_json_scan_string(c, &pool, &right, &n_right) &&
                  pio_json_scan_take(c, ']', "a merge must have two parts");
        if (!ok) return fail_json(r);
    } else {
        if (!pio_json_scan_string(c, &pool, &left, &n_left)) return fail_json(r);
        if (n_left >= 8 && !memcmp(left, "#version", 8)) return PIO_OK;
        const char *space = memchr(left, ' ', n_left), *end = left + n_left;
        if (!space || memchr(space + 1, ' ', (size_t)(end - space - 1)))
            return pio_fail(r->error, PIO_CORRUPT,
                            "merge %u, '%.60s', is not two parts with a space between; fetch "
                            "the file again",
                            r->tokenizer->bpe.n_merges, left);
        n_left = (size_t)(space - left);
        right = space + 1;
        n_right = (size_t)(end - right);
    }
    return pio_bpe_add_merge(&r->tokenizer->bpe, left, n_left, right, n_right, r->error);
}

static pio_status read_merges(reader *r) {
    if (!pio_json_scan_take(&r->cursor, '[', "'merges' must be a list")) return fail_json(r);
    for (bool first = true; pio_json_scan_more(&r->cursor, ']', &first);) {
        pio_status status = read_merge(r);
        if (status) return status;
    }
    return r->cursor.reason ? fail_json(r) : PIO_OK;
}

/* The members of "model" but for its two large ones, of which only the places are taken down. */
typedef struct model_head {
    pio_node_string type, unk_token, prefix, suffix;
    pio_node_flag fuse_unk, byte_fallback, ignore_merges;
    const char *vocab, *merges;
} model_head;

static pio_status check_dropout(reader *r) {
    const char *begin = (pio_json_scan_peek(&r->cursor), r->cursor.at);
    if (!pio_json_scan_skip(&r->cursor)) return fail_json(r);
    size_t n = (size_t)(r->cursor.at - begin);
    for (size_t i = 0; i < n; i++) {
        if (*begin != 'n' && begin[i] >= '1' && begin[i] <= '9')
            return pio_fail(r->error, PIO_UNSUPPORTED, "model.dropout is %.*s, which makes ids random; set it to null",
                            (int)PIO_MIN(n, (size_t)20), begin);
    }
    return PIO_OK;
}

static pio_status read_model_head(reader *r, model_head *head) {
    const struct {
        const char *key;
        pio_node_string *string;
        pio_node_flag *flag;
    } members[] = {
        {"type", &head->type, NULL},
        {"unk_token", &head->unk_token, NULL},
        {"continuing_subword_prefix", &head->prefix, NULL},
        {"end_of_word_suffix", &head->suffix, NULL},
        {"fuse_unk", NULL, &head->fuse_unk},
        {"byte_fallback", NULL, &head->byte_fallback},
        {"ignore_merges", NULL, &head->ignore_merges},
    };
    pio_json_cursor *c = &r->cursor;
    pio_status status = PIO_OK;
    if (!pio_json_scan_take(c, '{', "'model' must be an object")) return fail_json(r);
    const char *key;
    for (bool first = true; next_key(r, &first, &key);) {
        size_t i = 0;
        while (i < PIO_COUNT(members) && strcmp(key, members[i].key) != 0) i++;
        if (i < PIO_COUNT(members)) {
            bool ok = members[i].string
                          ? pio_node_read_string(c, &r->pool_at, key, members[i].string, &status, r->error)
                          : pio_node_read_flag(c, key, members[i].flag, &status, r->error);
            if (!ok) return status;
            continue;
        }
        if (!strcmp(key, "dropout")) {
            if ((status = check_dropout(r))) return status;
            continue;
        }
        pio_json_scan_peek(c);
        if (!strcmp(key, "vocab")) head->vocab = c->at;
        if (!strcmp(key, "merges")) head->merges = c->at;
        if (!pio_json_scan_skip(c)) break;
    }
    return c->reason ? fail_json(r) : PIO_OK;
}

/* Bytes become characters in the last step of splitting. */
static bool ends_in_bytes(const pio_splitter *splitter) {
    return splitter->n_steps && splitter->steps[splitter->n_steps - 1].kind == PIO_SPLITTER_BYTES;
}

static pio_status read_model(reader *r) {
    model_head head = {0};
    pio_status status = read_model_head(r, &head);
    if (status) return status;
    const char *after = r->cursor.at;
    if (head.type.text ? strcmp(head.type.text, "BPE") != 0 : !head.merges)
        return pio_fail(r->error, PIO_UNSUPPORTED,
                        "model type '%.40s' is not supported (supported: BPE); use a model with a byte-pair tokenizer",
                        head.type.text ? head.type.text : "null");
    if (!head.vocab || !head.merges) return fail_corrupt(r, "'model' lacks 'vocab' or 'merges'");
    pio_bpe_options options = {
        .byte_level = ends_in_bytes(&r->tokenizer->splitter),
        .ignore_merges = head.ignore_merges == PIO_NODE_TRUE,
        .fuse_unk = head.fuse_unk == PIO_NODE_TRUE,
        .byte_fallback = head.byte_fallback == PIO_NODE_TRUE,
        .unk_token = head.unk_token.text,
        .prefix = head.prefix.text,
        .suffix = head.suffix.text,
    };
    pio_bpe_free(&r->tokenizer->bpe); /* of an earlier "model": the last one counts */
    status = pio_bpe_begin(&r->tokenizer->bpe, &options, r->error);
    r->cursor.at = head.vocab;
    if (!status) status = read_vocab(r);
    r->cursor.at = head.merges;
    if (!status) status = read_merges(r);
    if (!status) status = pio_bpe_finish(&r->tokenizer->bpe, &options, r->error);
    if (!status) r->cursor.at = after;
    return status;
}

static pio_status read_top(reader *r) {
    pio_json_cursor *c = &r->cursor;
    if (!pio_json_scan_take(c, '{', "the outermost value must be an object")) return fail_json(r);
    const char *key;
    for (bool first = true; next_key(r, &first, &key);) {
        pio_status status = PIO_OK;
        bool normalizer = !strcmp(key, "normalizer"), splitter = !strcmp(key, "pre_tokenizer");
        r->any_normalizer |= normalizer;
        r->any_splitter |= splitter;
        if (normalizer || splitter || !strcmp(key, "decoder")) {
            status = read_steps(r, key);
            if (status) pio_fail_prefix(r->error, "%s", key);
        } else if (!strcmp(key, "added_tokens")) {
            status = read_added_tokens(r);
        } else if (!strcmp(key, "model")) {
            r->any_model = true;
            pio_json_scan_peek(c);
            r->model = r->any_normalizer && r->any_splitter ? NULL : c->at;
            status = !r->model ? read_model(r) : pio_json_scan_skip(c) ? PIO_OK : fail_json(r);
        } else if (!pio_json_scan_skip(c)) {
            break;
        }
        if (status) return status;
    }
    if (c->reason) return fail_json(r);
    if (pio_json_scan_peek(c) || c->at < c->end) return fail_corrupt(r, "there is more behind the outermost object");
    if (!r->any_model) return fail_corrupt(r, "'model' is missing");
    if (!r->model) return PIO_OK;
    c->at = r->model;
    return read_model(r);
}

/* Ids as the reference gives them: that of the vocabulary where it has the token, else the next free one. The "id" that
 * the file states does not count. */
static pio_status number_added_tokens(pio_tokenizer *t, pio_error *error) {
    pio_normalizer_scratch scratch = {0};
    pio_regex_scratch regex_scratch = {0};
    scratch.regex = &regex_scratch;
    pio_status status = PIO_OK;
    int32_t next = t->bpe.n_entries;
    for (int32_t i = 0; i < t->added.n_tokens && !status; i++) {
        pio_added_token *token = &t->added.tokens[i];
        for (int32_t k = 0; k < i && token->id < 0; k++) {
            pio_added_token *earlier = &t->added.tokens[k];
            if (earlier->n_content != token->n_content || memcmp(earlier->content, token->content, token->n_content))
                continue;
            token->id = earlier->id;
            earlier->n_matched = 0; /* of two tokens with the same text the later one counts */
        }
        if (token->id < 0) token->id = pio_bpe_find(&t->bpe, token->content, token->n_content);
        if (token->id < 0) token->id = next++;
        const char *matched = token->content;
        size_t n = token->n_content;
        if (token->normalized) status = pio_normalizer_run(&t->normalizer, &scratch, &matched, &n, error);
        if (!status && !n)
            status = pio_fail(error, PIO_UNSUPPORTED,
                              "added token %d, '%.60s', is nothing after normalizing; set its 'normalized' to false", i,
                              token->content);
        if (!status && !(token->matched = copy_string((pio_node_string){matched, n})))
            status = pio_fail_memory(error, "the added tokens", n);
        token->n_matched = n;
    }
    pio_normalizer_scratch_free(&scratch);
    pio_regex_scratch_free(&regex_scratch);
    return status ? status : pio_added_tokens_finish(&t->added, error);
}

/* Metaspace's "first" asks whether a piece begins where the input did, before normalizing. That is known here only as
 * long as normalizing takes nothing away at the beginning. */
static pio_status check_first(const pio_tokenizer *t, pio_error *error) {
    bool first = false, takes = false;
    for (int32_t i = 0; i < t->splitter.n_steps; i++) first |= t->splitter.steps[i].first_only;
    for (int32_t i = 0; i < t->normalizer.n_steps; i++) {
        const pio_normalizer_step *step = &t->normalizer.steps[i];
        takes |= step->left || step->kind == PIO_NORMALIZE_DROP || step->kind == PIO_NORMALIZE_NMT ||
                 (step->kind == PIO_NORMALIZE_REPLACE && !step->text.n_bytes);
    }
    if (!first || !takes) return PIO_OK;
    return pio_fail(error, PIO_UNSUPPORTED,
                    "pre_tokenizer: 'Metaspace' with prepend_scheme 'first' is not supported behind a normalizer that "
                    "takes characters away; use a model whose tokenizer needs none");
}

pio_status pio_tokenizer_read(pio_tokenizer *tokenizer, const char *json, size_t n_bytes, pio_error *error) {
    reader r = {.tokenizer = tokenizer, .error = error};
    if (n_bytes > INT32_MAX)
        return pio_fail(error, PIO_LIMIT, "%zu bytes are too long for a tokenizer (at most 2 GiB)", n_bytes);
    r.pool = r.pool_at = malloc(n_bytes + 1);
    if (!r.pool) return pio_fail_memory(error, "a tokenizer's texts", n_bytes);
    pio_json_scan_begin(&r.cursor, json, n_bytes);
    pio_status status = read_top(&r);
    free(r.pool);
    if (!status && ends_in_bytes(&tokenizer->splitter)) tokenizer->splitter.n_steps--; /* pieces stay bytes */
    if (!status) status = check_first(tokenizer, error);
    if (!status) status = number_added_tokens(tokenizer, error);
    return status ? status : pio_tokenizer_make_views(tokenizer, error);
}
