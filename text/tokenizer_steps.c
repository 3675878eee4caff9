/* From the objects of tokenizer.json to steps. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/compiler.h"
#include "text/tokenizer_node.h"

/* What ByteLevel splits by when it is told to (Radford et al. 2019, GPT-2's encoder). */
static const char gpt2_pattern[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* What the other steps split by, over their own sets. */
static const char space_pattern[] = "\\p{!whitespace}", punctuation_pattern[] = "\\p{!punctuation}",
                  word_pattern[] = "\\p{!stepword}+|[^\\p{!stepword}\\p{!stepspace}]+";

static bool is(const pio_node *node, const char *type) {
    return node->type.text && !strcmp(node->type.text, type);
}

static pio_status fail_memory(pio_error *error) {
    return pio_fail_memory(error, "a tokenizer's steps", sizeof(pio_splitter_step));
}

static pio_status fail_kind(const pio_node *node, const char *what, const char *known, pio_error *error) {
    if (!node->type.text) return pio_fail(error, PIO_CORRUPT, "a %s has no 'type'; fetch the file again", what);
    return pio_fail(error, PIO_UNSUPPORTED,
                    "%s '%.60s' is not supported (supported: %s); use a model whose tokenizer "
                    "needs none",
                    what, node->type.text, known);
}

static pio_status fail_missing(const pio_node *node, const char *key, pio_error *error) {
    return pio_fail(error, PIO_CORRUPT, "'%.60s' lacks a usable '%s'; fetch the file again", node->type.text, key);
}

static pio_status prefix_pattern(const char *pattern, size_t n_bytes, pio_status status, pio_error *error) {
    if (!status) return PIO_OK;
    return pio_fail_prefix(error, "the regular expression '%.*s' cannot be used", (int)PIO_MIN(n_bytes, (size_t)200),
                           pattern);
}

static pio_status compile_pattern(const pio_node *node, pio_regex **out, pio_error *error) {
    pio_node_string regex = node->regex_pattern, literal = node->string_pattern;
    if (regex.text)
        return prefix_pattern(regex.text, regex.n_bytes, pio_regex_compile(regex.text, regex.n_bytes, out, error),
                              error);
    if (!literal.text || !literal.n_bytes) return fail_missing(node, "pattern", error);
    return prefix_pattern(literal.text, literal.n_bytes,
                          pio_regex_compile_literal(literal.text, literal.n_bytes, out, error), error);
}

static bool set_text(pio_text *text, pio_node_string from) {
    return pio_text_append(text, from.text, from.n_bytes);
}

static bool one_character(pio_node_string string) {
    return string.n_bytes && pio_utf8_length((unsigned char)string.text[0]) == string.n_bytes;
}

static pio_status normal_form_step(pio_normalizer_step *step, const pio_node *node, pio_error *error) {
    static const char *const names[] = {[PIO_NFC] = "NFC", [PIO_NFD] = "NFD", [PIO_NFKC] = "NFKC", [PIO_NFKD] = "NFKD"};
    int kind = 0;
    while (!is(node, names[kind])) kind++;
    step->kind = PIO_NORMALIZE_FORM;
    return pio_normal_form_create((pio_normal_form_kind)kind, &step->form, error);
}

static pio_status add_property(pio_char_set *set, const char *name, pio_error *error) {
    return pio_char_set_add_property(set, name, strlen(name), false) == PIO_PROPERTY_ADDED ? PIO_OK
                                                                                           : fail_memory(error);
}

pio_status pio_node_to_normalizer(const pio_node *node, pio_normalizer *normalizer, pio_error *error) {
    if (is(node, "Sequence")) {
        pio_status status = PIO_OK;
        for (int32_t i = 0; i < node->n_children && !status; i++)
            status = pio_node_to_normalizer(&node->children[i], normalizer, error);
        return status;
    }
    pio_normalizer_step *step = PIO_PUSH(normalizer, steps);
    if (!step) return fail_memory(error);
    if (is(node, "NFC") || is(node, "NFD") || is(node, "NFKC") || is(node, "NFKD"))
        return normal_form_step(step, node, error);
    if (is(node, "Lowercase")) {
        step->kind = PIO_NORMALIZE_LOWER;
        return PIO_OK;
    }
    if (is(node, "Nmt")) {
        step->kind = PIO_NORMALIZE_NMT;
        return PIO_OK;
    }
    if (is(node, "Strip")) {
        step->kind = PIO_NORMALIZE_STRIP;
        step->left = node->strip_left == PIO_NODE_TRUE;
        step->right = node->strip_right == PIO_NODE_TRUE;
        return add_property(&step->set, "!whitespace", error);
    }
    if (is(node, "StripAccents")) {
        step->kind = PIO_NORMALIZE_DROP;
        return add_property(&step->set, "!mark", error);
    }
    if (is(node, "Replace")) {
        step->kind = PIO_NORMALIZE_REPLACE;
        if (!set_text(&step->text, node->content)) return fail_memory(error);
        return compile_pattern(node, &step->regex, error);
    }
    if (is(node, "Prepend")) {
        step->kind = PIO_NORMALIZE_PREPEND;
        return set_text(&step->text, node->prepend) ? PIO_OK : fail_memory(error);
    }
    if (is(node, "ByteLevel")) {
        step->kind = PIO_NORMALIZE_BYTES;
        return PIO_OK;
    }
    normalizer->n_steps--;
    return fail_kind(node, "normalizer",
                     "NFC, NFD, NFKC, NFKD, Lowercase, Nmt, Strip, StripAccents, Replace, Prepend, "
                     "ByteLevel, Sequence",
                     error);
}

static pio_status behavior_of(const pio_node *node, pio_split_behavior *out, pio_error *error) {
    static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
    for (size_t i = 0; i < PIO_COUNT(names) && node->behavior.text; i++) {
        if (strcmp(node->behavior.text, names[i]) != 0) continue;
        *out = (pio_split_behavior)i;
        return PIO_OK;
    }
    return fail_missing(node, "behavior", error);
}

static pio_splitter_step *add_step(pio_splitter *splitter, pio_splitter_kind kind) {
    pio_splitter_step *step = PIO_PUSH(splitter, steps);
    if (step) step->kind = kind;
    return step;
}

/* A step that cuts by a pattern of this file. */
static pio_status add_own_step(pio_splitter *splitter, const char *pattern, pio_split_behavior behavior, bool invert,
                               pio_error *error) {
    pio_splitter_step *step = add_step(splitter, PIO_SPLITTER_REGEX);
    if (!step) return fail_memory(error);
    step->behavior = behavior;
    step->invert = invert;
    return pio_regex_compile_step(pattern, &step->regex, error);
}

static pio_status byte_level(const pio_node *node, pio_splitter *splitter, pio_error *error) {
    pio_status status = PIO_OK;
    if (node->add_prefix_space != PIO_NODE_FALSE) {
        pio_splitter_step *prefix = add_step(splitter, PIO_SPLITTER_PREFIX);
        if (!prefix || !pio_text_append(&prefix->text, " ", 1)) return fail_memory(error);
    }
    if (node->use_regex != PIO_NODE_FALSE)
        status = add_own_step(splitter, gpt2_pattern, PIO_SPLIT_ISOLATED, false, error);
    if (!status && !add_step(splitter, PIO_SPLITTER_BYTES)) status = fail_memory(error);
    return status;
}

static pio_status metaspace(const pio_node *node, pio_splitter *splitter, pio_error *error) {
    pio_node_string scheme = node->prepend_scheme;
    if (!one_character(node->replacement)) return fail_missing(node, "replacement", error);
    bool first = scheme.text && !strcmp(scheme.text, "first"), never = scheme.text && !strcmp(scheme.text, "never");
    if (scheme.text && !first && !never && strcmp(scheme.text, "always") != 0)
        return fail_missing(node, "prepend_scheme", error);
    pio_splitter_step *spaces = add_step(splitter, PIO_SPLITTER_SPACES);
    if (!spaces || !set_text(&spaces->text, node->replacement)) return fail_memory(error);
    if (!never && node->add_prefix_space != PIO_NODE_FALSE) {
        pio_splitter_step *prefix = add_step(splitter, PIO_SPLITTER_PREFIX);
        if (!prefix || !set_text(&prefix->text, node->replacement)) return fail_memory(error);
        prefix->first_only = first;
    }
    if (node->split == PIO_NODE_FALSE) return PIO_OK;
    pio_splitter_step *split = add_step(splitter, PIO_SPLITTER_REGEX);
    if (!split) return fail_memory(error);
    split->behavior = PIO_SPLIT_MERGED_WITH_NEXT;
    return pio_regex_compile_literal(node->replacement.text, node->replacement.n_bytes, &split->regex, error);
}

static pio_status split_step(const pio_node *node, pio_splitter *splitter, pio_error *error) {
    pio_splitter_step *step = add_step(splitter, PIO_SPLITTER_REGEX);
    if (!step) return fail_memory(error);
    step->invert = node->invert == PIO_NODE_TRUE;
    pio_status status = behavior_of(node, &step->behavior, error);
    return status ? status : compile_pattern(node, &step->regex, error);
}

static pio_status delimiter_step(const pio_node *node, pio_splitter *splitter, pio_error *error) {
    if (!one_character(node->delimiter)) return fail_missing(node, "delimiter", error);
    pio_splitter_step *step = add_step(splitter, PIO_SPLITTER_REGEX);
    if (!step) return fail_memory(error);
    step->behavior = PIO_SPLIT_REMOVED;
    return pio_regex_compile_literal(node->delimiter.text, node->delimiter.n_bytes, &step->regex, error);
}

static pio_status punctuation(const pio_node *node, pio_splitter *splitter, pio_error *error) {
    pio_split_behavior behavior = PIO_SPLIT_ISOLATED;
    pio_status status = node->behavior.text ? behavior_of(node, &behavior, error) : PIO_OK;
    return status ? status : add_own_step(splitter, punctuation_pattern, behavior, false, error);
}

pio_status pio_node_to_splitter(const pio_node *node, pio_splitter *splitter, pio_error *error) {
    pio_status status = PIO_OK;
    if (is(node, "Sequence")) {
        for (int32_t i = 0; i < node->n_children && !status; i++)
            status = pio_node_to_splitter(&node->children[i], splitter, error);
        return status;
    }
    if (is(node, "Split")) return split_step(node, splitter, error);
    if (is(node, "ByteLevel")) return byte_level(node, splitter, error);
    if (is(node, "Metaspace")) return metaspace(node, splitter, error);
    if (is(node, "CharDelimiterSplit")) return delimiter_step(node, splitter, error);
    if (is(node, "Punctuation")) return punctuation(node, splitter, error);
    if (is(node, "Digits"))
        return add_own_step(splitter, "\\p{!numeric}",
                            node->individual_digits == PIO_NODE_TRUE ? PIO_SPLIT_ISOLATED : PIO_SPLIT_CONTIGUOUS, false,
                            error);
    if (is(node, "WhitespaceSplit")) return add_own_step(splitter, space_pattern, PIO_SPLIT_REMOVED, false, error);
    if (is(node, "Whitespace")) return add_own_step(splitter, word_pattern, PIO_SPLIT_REMOVED, true, error);
    if (is(node, "BertPreTokenizer")) {
        status = add_own_step(splitter, space_pattern, PIO_SPLIT_REMOVED, false, error);
        return status ? status : add_own_step(splitter, punctuation_pattern, PIO_SPLIT_ISOLATED, false, error);
    }
    if (is(node, "FixedLength")) {
        pio_splitter_step *step = add_step(splitter, PIO_SPLITTER_LENGTH);
        if (!step) return fail_memory(error);
        step->n_characters = node->has_length ? (int32_t)node->length : 5;
        return step->n_characters > 0 ? PIO_OK : fail_missing(node, "length", error);
    }
    return fail_kind(node, "pre-tokenizer",
                     "Split, ByteLevel, Digits, Punctuation, Whitespace, WhitespaceSplit, "
                     "Metaspace, CharDelimiterSplit, BertPreTokenizer, FixedLength, Sequence",
                     error);
}

static pio_status decoder_text(pio_decoder_step *step, pio_decoder_kind kind, const pio_node *node,
                               pio_node_string text, const char *key, pio_error *error) {
    step->kind = kind;
    if (!text.n_bytes || (kind != PIO_DECODE_SUFFIX && !one_character(text))) return fail_missing(node, key, error);
    return set_text(&step->text, text) ? PIO_OK : fail_memory(error);
}

pio_status pio_node_to_decoder(const pio_node *node, pio_decoder *decoder, pio_error *error) {
    decoder->present = true;
    if (is(node, "Sequence")) {
        pio_status status = PIO_OK;
        for (int32_t i = 0; i < node->n_children && !status; i++)
            status = pio_node_to_decoder(&node->children[i], decoder, error);
        return status;
    }
    pio_decoder_step *step = PIO_PUSH(decoder, steps);
    if (!step) return fail_memory(error);
    if (is(node, "ByteLevel") || is(node, "ByteFallback") || is(node, "Fuse")) {
        step->kind = is(node, "ByteLevel") ? PIO_DECODE_BYTES
                     : is(node, "Fuse")    ? PIO_DECODE_FUSE
                                           : PIO_DECODE_BYTE_FALLBACK;
        return PIO_OK;
    }
    if (is(node, "Replace")) {
        step->kind = PIO_DECODE_REPLACE;
        if (!set_text(&step->text, node->content)) return fail_memory(error);
        return compile_pattern(node, &step->regex, error);
    }
    if (is(node, "Strip")) {
        step->start = (int32_t)node->start;
        step->stop = (int32_t)node->stop;
        return decoder_text(step, PIO_DECODE_STRIP, node, node->content, "content", error);
    }
    if (is(node, "Metaspace")) {
        bool never = (node->prepend_scheme.text && !strcmp(node->prepend_scheme.text, "never")) ||
                     node->add_prefix_space == PIO_NODE_FALSE;
        step->drop_first = !never;
        return decoder_text(step, PIO_DECODE_METASPACE, node, node->replacement, "replacement", error);
    }
    if (is(node, "BPEDecoder")) return decoder_text(step, PIO_DECODE_SUFFIX, node, node->suffix, "suffix", error);
    decoder->n_steps--;
    return fail_kind(node, "decoder", "ByteLevel, ByteFallback, Fuse, Replace, Strip, Metaspace, BPEDecoder, Sequence",
                     error);
}
